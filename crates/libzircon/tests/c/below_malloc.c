// An allocator on top of the library, in place of the C library's: the library must never call it.
//
// Built as a program, it tests itself. Built with PRELOAD as a shared library, it serves any program.

#include <pthread.h>
#include <stdatomic.h>

#include <zircon/syscalls/port.h>

#include "check.h"

// Blocks are powers of two from 1 << MIN_CLASS up; free ones wait in a list per class.
#define MIN_CLASS 6
#define CLASSES 40
#define CHUNK_LEN (4 * MIB)

struct header { // lies right before what malloc returns
  void* block;
  size_t class;
};

static struct block {
  struct block* next;
} *free_blocks[CLASSES];
static uint8_t *chunk, *chunk_end;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static atomic_size_t calls;

// Whether this thread is in a call of the library.
static __thread bool inside __attribute__((tls_model("initial-exec")));

static void die(const char* why) {
  if (write(2, why, strlen(why)) < 0) _exit(3);
  _exit(2);
}

// `len` bytes of committed memory from the library; NULL if it has none.
static void* grow(size_t len) {
  zx_handle_t vmo = ZX_HANDLE_INVALID;
  zx_vaddr_t at = 0;
  inside = true;
  zx_status_t status = zx_vmo_create(len, 0, &vmo);
  if (status == ZX_OK) status = zx_vmar_map(zx_vmar_root_self(), READ_WRITE, 0, vmo, 0, len, &at);
  if (status == ZX_OK) status = zx_vmar_op_range(zx_vmar_root_self(), ZX_VMAR_OP_COMMIT, at, len, NULL, 0);
  zx_handle_close(vmo);
  inside = false;
#ifdef PRELOAD
  static atomic_flag said = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&said) && write(2, "memory from zircon", 18) < 0) die("no stderr\n");
#endif
  return status == ZX_OK ? (void*)at : NULL;
}

static void* new_block(size_t class) {
  size_t len = (size_t)1 << class;
  struct block* block = free_blocks[class];
  if (block != NULL) {
    free_blocks[class] = block->next;
    return block;
  }
  if (len >= CHUNK_LEN) return grow(len);
  if ((size_t)(chunk_end - chunk) < len) {
    uint8_t* fresh = grow(CHUNK_LEN);
    if (fresh == NULL) return NULL;
    chunk = fresh;
    chunk_end = fresh + CHUNK_LEN;
  }
  chunk += len;
  return chunk - len;
}

static void* allocate(size_t size, size_t align) {
  if (inside) die("the library has called malloc\n");
  atomic_fetch_add(&calls, 1);
  size_t class = MIN_CLASS;
  if (size > (size_t)1 << 38) return NULL;
  while ((size_t)1 << class < size + align + sizeof(struct header)) class++;
  while (atomic_flag_test_and_set(&lock)) sched_yield();
  uint8_t* block = new_block(class);
  atomic_flag_clear(&lock);
  if (block == NULL) return NULL;
  uintptr_t at = ((uintptr_t)block + sizeof(struct header) + align - 1) & ~(align - 1);
  ((struct header*)at)[-1] = (struct header){block, class};
  return (void*)at;
}

static size_t usable(void* at) {
  struct header header = ((struct header*)at)[-1];
  return (size_t)((uint8_t*)header.block + ((size_t)1 << header.class) - (uint8_t*)at);
}

void* malloc(size_t size) { return allocate(size, 16); }

void free(void* at) {
  if (at == NULL) return;
  if (inside) die("the library has called free\n");
  struct header header = ((struct header*)at)[-1];
  while (atomic_flag_test_and_set(&lock)) sched_yield();
  struct block* block = header.block;
  block->next = free_blocks[header.class];
  free_blocks[header.class] = block;
  atomic_flag_clear(&lock);
}

void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  void* at = malloc(bytes);
  return at == NULL ? NULL : memset(at, 0, bytes);
}

void* realloc(void* at, size_t size) {
  if (at != NULL && usable(at) >= size) return at;
  void* next = malloc(size);
  if (at != NULL && next != NULL) memcpy(next, at, usable(at));
  if (next != NULL) free(at);
  return next;
}

void* aligned_alloc(size_t align, size_t size) { return allocate(size, align < 16 ? 16 : align); }
void* memalign(size_t align, size_t size);
void* memalign(size_t align, size_t size) { return aligned_alloc(align, size); }
size_t malloc_usable_size(void* at);
size_t malloc_usable_size(void* at) { return at == NULL ? 0 : usable(at); }

int posix_memalign(void** out, size_t align, size_t size) {
  void* at = aligned_alloc(align, size);
  if (at != NULL) *out = at;
  return at == NULL ? ENOMEM : 0;
}

#ifndef PRELOAD

static bool from_the_library(const void* at) {
  zx_info_vmar_t root = vmar_info(zx_vmar_root_self());
  return (zx_vaddr_t)at - root.base < root.len;
}

static void* churn(void* seed) {
  uint64_t random = (uintptr_t)seed * 0x9e3779b97f4a7c15 + 1;
  uint8_t* held[64] = {0};
  size_t lengths[64] = {0};
  for (int i = 0; i < 20000; i++) {
    random = random * 6364136223846793005 + 1442695040888963407;
    size_t slot = random >> 58, length = (random >> 33) % (i % 100 == 0 ? 300000 : 500);
    CHECK(held[slot] == NULL || all_bytes_are(held[slot], (uint8_t)slot, lengths[slot]));
    if (random >> 32 & 1) {
      free(held[slot]);
      held[slot] = malloc(length);
    } else {
      held[slot] = realloc(held[slot], length);
    }
    CHECK(held[slot] != NULL);
    memset(held[slot], (int)slot, length);
    lengths[slot] = length;
    if (i % 50 == 0) { // calls of the library from beside the allocator
      zx_handle_t vmo = ZX_HANDLE_INVALID;
      inside = true;
      OK(zx_vmo_create(length, 0, &vmo));
      zx_info_maps_t maps[4];
      size_t actual;
      OK(zx_object_get_info(zx_vmar_root_self(), ZX_INFO_VMAR_MAPS, maps, sizeof maps, &actual, NULL));
      zx_wait_item_t item = {vmo, ZX_USER_SIGNAL_0, 0};
      EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_many(&item, 1, 0));
      EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(vmo, ZX_USER_SIGNAL_0, zx_deadline_after(1000), NULL));
      zx_handle_t port = ZX_HANDLE_INVALID;
      zx_port_packet_t packet = {.key = 1};
      OK(zx_port_create(0, &port));
      OK(zx_port_queue(port, &packet));
      OK(zx_object_wait_async(vmo, port, 2, ZX_USER_SIGNAL_0, 0));
      OK(zx_object_wait_async(vmo, port, 3, ZX_USER_SIGNAL_0, ZX_WAIT_ASYNC_BOOT_TIMESTAMP));
      OK(zx_object_signal(vmo, 0, ZX_USER_SIGNAL_0));
      OK(zx_port_cancel(port, vmo, 3));
      OK(zx_port_wait(port, 0, &packet));
      OK(zx_port_wait(port, ZX_TIME_INFINITE, &packet));
      EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(port, zx_deadline_after(1000), &packet));
      OK(zx_handle_close(port));
      OK(zx_handle_close(vmo));
      inside = false;
    }
  }
  for (size_t i = 0; i < COUNT(held); i++) free(held[i]);
  return NULL;
}

int main(void) {
  char* text = NULL;
  size_t length = 0;
  FILE* memory = open_memstream(&text, &length); // the C library allocates as well
  for (int i = 0; i < 10000; i++) fprintf(memory, "%d ", i);
  fclose(memory);
  CHECK(length == 48890 && from_the_library(text));
  free(text);

  void* aligned = aligned_alloc(PAGE, 10);
  CHECK((uintptr_t)aligned % PAGE == 0 && from_the_library(aligned));
  free(aligned);
  uint8_t* large = calloc(3, 5 * MIB);
  CHECK(from_the_library(large) && all_bytes_are(large, 0, 15 * MIB));
  free(large);

  pthread_t threads[4];
  for (uintptr_t i = 0; i < COUNT(threads); i++) CHECK(pthread_create(&threads[i], NULL, churn, (void*)i) == 0);
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(atomic_load(&calls) > 40000);

  // Watched meanwhile, if the environment wants that.
  const char* top = getenv("ZXVM_TOP");
  while (top != NULL && access(top, F_OK) != 0) usleep(1000);
  return 0;
}

#endif
