// Who deals with accesses that wait, said by the program: here the thread that makes them. With small stacks for signals.

#include <pthread.h>

#include "check.h"

enum { PAGES = 64, THREADS = 4 };

static zx_handle_t vmo, snapshot;
static volatile uint8_t* at;

static void* store_all(void* small_stack) {
  if (small_stack != NULL) {
    stack_t stack = {.ss_sp = small_stack, .ss_size = 8192};
    CHECK(sigaltstack(&stack, NULL) == 0);
  }
  errno = 77;
  for (size_t page = 0; page < PAGES; page++) {
    at[page * PAGE] = 2;
  }
  CHECK_EQ(errno, 77);
  return NULL;
}

static void holds(zx_handle_t held, uint8_t value) {
  for (size_t page = 0; page < PAGES; page++) {
    uint8_t byte = 7;
    OK(zx_vmo_read(held, &byte, page * PAGE, 1));
    CHECK_EQ(byte, value);
  }
}

int main(void) {
  errno = 77;
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_set_fault_delivery(2));
  OK(zxvm_set_fault_delivery(ZXVM_FAULTS_THREAD));
  OK(zxvm_set_fault_delivery(ZXVM_FAULTS_INLINE));
  CHECK_EQ(errno, 77);
  vmo = new_vmo(PAGES * PAGE, 0);
  EXPECT(ZX_ERR_BAD_STATE, zxvm_set_fault_delivery(ZXVM_FAULTS_THREAD));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_set_fault_delivery(7));

  uint8_t* base = map_root(vmo, READ_WRITE, PAGES * PAGE);
  at = base;
  for (int round = 0; round < 20; round++) {
    memset(base, 1, PAGES * PAGE);
    zx_status_t status = zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGES * PAGE, &snapshot);
    if (status == ZX_ERR_NOT_SUPPORTED) {
      return 0;
    }
    OK(status);
    pthread_t threads[THREADS];
    void* stacks[THREADS];
    for (int n = 0; n < THREADS; n++) {
      stacks[n] = n % 2 == 0 ? NULL : malloc(8192);
      CHECK(pthread_create(&threads[n], NULL, store_all, stacks[n]) == 0);
    }
    for (int n = 0; n < THREADS; n++) {
      CHECK(pthread_join(threads[n], NULL) == 0);
      free(stacks[n]);
    }
    holds(snapshot, 1);
    holds(vmo, 2);
    OK(zx_handle_close(snapshot));
  }
  // A result may go where it has to wait.
  memset(base, 1, PAGES * PAGE);
  OK(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGES * PAGE, &snapshot));
  OK(zx_vmo_get_size(vmo, (uint64_t*)(base + PAGE)));
  OK(zx_vmo_read(snapshot, base + 2 * PAGE, 0, 3 * PAGE));
  holds(snapshot, 1);
  CHECK_EQ(*(uint64_t*)(base + PAGE), PAGES * PAGE);
  unmap_root(base, PAGES * PAGE);
  const zx_handle_t all[] = {vmo, snapshot};
  OK(zx_handle_close_many(all, COUNT(all)));
  return 0;
}
