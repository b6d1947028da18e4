// Futexes.

#include <pthread.h>

#include "check.h"

static zx_futex_t first, second;

static zx_time_t soon(void) { return zx_deadline_after(ZX_MSEC(20)); }

static void arguments(void) {
  zx_handle_t event = new_event();
  atomic_store(&first, 5);
  EXPECT(ZX_ERR_BAD_STATE, zx_futex_wait(&first, 6, ZX_HANDLE_INVALID, ZX_TIME_INFINITE));
  zx_time_t deadline = soon();
  EXPECT(ZX_ERR_TIMED_OUT, zx_futex_wait(&first, 5, ZX_HANDLE_INVALID, deadline));
  CHECK(zx_clock_get_monotonic() >= deadline);
  EXPECT(ZX_ERR_TIMED_OUT, zx_futex_wait(&first, 5, ZX_HANDLE_INVALID, ZX_TIME_INFINITE_PAST));
  // Owners are threads, which have no handles here.
  EXPECT(ZX_ERR_BAD_STATE, zx_futex_wait(&first, 6, event, soon()));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_futex_wait(&first, 5, event, soon()));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_futex_wait(&first, 5, NOBODY, soon()));

  EXPECT(ZX_ERR_BAD_STATE, zx_futex_requeue(&first, 1, 6, &second, 1, ZX_HANDLE_INVALID));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_requeue(&first, 1, 5, &first, 1, ZX_HANDLE_INVALID));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_futex_requeue(&first, 1, 5, &second, 1, event));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_futex_requeue(&first, 1, 5, &second, 1, NOBODY));
  OK(zx_futex_requeue(&first, 1, 5, &second, 1, ZX_HANDLE_INVALID));
  OK(zx_futex_wake(&first, 0));
  OK(zx_futex_wake(&first, UINT32_MAX));

  const zx_futex_t* unaligned = (const zx_futex_t*)((uintptr_t)&first + 1);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_wait(unaligned, 5, ZX_HANDLE_INVALID, ZX_TIME_INFINITE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_wake(unaligned, 1));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_requeue(unaligned, 1, 5, &second, 1, ZX_HANDLE_INVALID));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_requeue(&first, 1, 5, unaligned, 1, ZX_HANDLE_INVALID));
  OK(zx_handle_close(event));
}

// ---- Waiters ----

static atomic_int awake;

static void* wait_in_thread(void* word) {
  OK(zx_futex_wait(word, 0, ZX_HANDLE_INVALID, ZX_TIME_INFINITE));
  atomic_fetch_add(&awake, 1);
  return NULL;
}

static void until_awake(int count) {
  while (atomic_load(&awake) < count) OK(zx_nanosleep(zx_deadline_after(ZX_MSEC(1))));
  OK(zx_nanosleep(soon()));
  CHECK_EQ(atomic_load(&awake), count);
}

static void waiters(zx_futex_t* from, zx_futex_t* to) {
  pthread_t threads[4];
  atomic_store(&awake, 0);
  atomic_store(from, 0);
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_create(&threads[i], NULL, wait_in_thread, from) == 0);
  OK(zx_nanosleep(zx_deadline_after(ZX_MSEC(100))));
  OK(zx_futex_wake(from, 0));
  until_awake(0);
  OK(zx_futex_wake(from, 1));
  until_awake(1);
  // One wakes, one moves to the other word, one stays.
  OK(zx_futex_requeue(from, 1, 0, to, 1, ZX_HANDLE_INVALID));
  until_awake(2);
  OK(zx_futex_wake(from, UINT32_MAX));
  until_awake(3);
  OK(zx_futex_wake(to, UINT32_MAX));
  until_awake(4);
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
  arguments();
  waiters(&first, &second);
  // In a VMO's memory as well.
  zx_handle_t vmo = new_vmo(PAGE, 0);
  zx_futex_t* at = (zx_futex_t*)map_root(vmo, READ_WRITE, PAGE);
  waiters(&at[0], &at[1]);
  unmap_root(at, PAGE);
  OK(zx_handle_close(vmo));
  return 0;
}
