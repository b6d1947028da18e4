// A snapshot while writing: a thread goes on storing to memory while copies of it are made. Each copy costs nothing until
// the thread touches a page again, then one page; and each holds one instant of what the thread did.
//
//   cc examples/c/snapshot.c -Iinclude -Ltarget/release -lzircon -lpthread -o snapshot
//   LD_LIBRARY_PATH=target/release ./snapshot

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

enum { PAGE = 4096, ROWS = 64, SNAPSHOTS = 5 };

// A table of one row a page. The writer numbers its stores and makes one to each row in turn, so that in any one instant
// the rows hold the last ROWS numbers.
static _Atomic uint64_t* table;
static _Atomic uint64_t written;
static atomic_bool stop;

static _Atomic uint64_t* row(_Atomic uint64_t* first, uint64_t number) {
  return first + number % ROWS * (PAGE / sizeof *first);
}

static void* keep_writing(void* unused) {
  (void)unused;
  for (uint64_t number = ROWS; !atomic_load(&stop); number++) {
    atomic_store(row(table, number), number);
    atomic_store(&written, number);
  }
  return NULL;
}

static void let_it_write(void) {
  uint64_t until = atomic_load(&written) + 2 * ROWS;
  while (atomic_load(&written) < until) zx_nanosleep(zx_deadline_after(ZX_USEC(100)));
}

// The latest number in the table, if all others are there as well; or 0.
static uint64_t instant(_Atomic uint64_t* first) {
  uint64_t latest = 0;
  for (uint64_t i = 0; i < ROWS; i++) {
    if (*row(first, i) > latest) latest = *row(first, i);
  }
  for (uint64_t i = 0; i < ROWS; i++) {
    if (*row(first, latest - i) != latest - i) return 0;
  }
  return latest;
}

static int failed(const char* what, zx_status_t status) {
  if (status != ZX_OK) printf("%s: %s\n", what, zx_status_get_string(status));
  return status != ZX_OK;
}

int main(void) {
  const zx_handle_t root = zx_vmar_root_self();
  const size_t size = ROWS * PAGE;
  zx_handle_t vmo, copies[SNAPSHOTS];
  zx_vaddr_t at, seen[SNAPSHOTS];
  if (failed("create", zx_vmo_create(size, 0, &vmo))) return 1;
  if (failed("map", zx_vmar_map(root, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, size, &at))) return 1;
  table = (_Atomic uint64_t*)at;
  for (uint64_t i = 0; i < ROWS; i++) *row(table, i) = i;

  pthread_t writer;
  if (pthread_create(&writer, NULL, keep_writing, NULL) != 0) return 1;
  for (int i = 0; i < SNAPSHOTS; i++) {
    if (failed("snapshot", zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, size, &copies[i]))) return 1;
    if (failed("map", zx_vmar_map(root, ZX_VM_PERM_READ, 0, copies[i], 0, size, &seen[i]))) return 1;
    let_it_write();
  }
  atomic_store(&stop, true);
  pthread_join(writer, NULL);

  // The writer has long gone on; the copies have not.
  uint64_t before = 0;
  for (int i = 0; i < SNAPSHOTS; i++) {
    uint64_t held = instant((_Atomic uint64_t*)seen[i]);
    printf("snapshot %d holds one instant: %s\n", i + 1, held > before ? "yes" : "no");
    before = held;
  }
  printf("the writer lost nothing: %s\n", instant(table) == written ? "yes" : "no");

  for (int i = 0; i < SNAPSHOTS; i++) {
    zx_vmar_unmap(root, seen[i], size);
    zx_handle_close(copies[i]);
  }
  zx_vmar_unmap(root, at, size);
  zx_handle_close(vmo);
  return 0;
}
