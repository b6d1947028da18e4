// Forked children have none of it: their calls fail cleanly, and the parent's memory is not theirs to write.

#include <pthread.h>

#include "check.h"

static zx_handle_t vmo, event;
static uint8_t* at;
static atomic_bool stop;

static void calls_fail(void) {
  zx_handle_t out = 77, second = 77;
  zx_vaddr_t addr = 0;
  uint64_t size = 0;
  uint8_t bytes[256];
  zx_futex_t word = 0, other = 0;
  zx_wait_item_t item = {event, 0, 0};
  CHECK_EQ(zx_vmar_root_self(), ZX_HANDLE_INVALID);
  CHECK_EQ(zx_process_self(), ZX_HANDLE_INVALID);
  CHECK_EQ(zx_job_default(), ZX_HANDLE_INVALID);
  const zx_status_t results[] = {
      zx_handle_close(vmo),
      zx_handle_close_many(&vmo, 1),
      zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS, &out),
      zx_handle_replace(vmo, ZX_RIGHT_SAME_RIGHTS, &out),
      zx_handle_check_valid(vmo),
      zx_object_get_info(vmo, ZX_INFO_VMO, bytes, sizeof bytes, NULL, NULL),
      zx_object_get_property(vmo, ZX_PROP_NAME, bytes, sizeof bytes),
      zx_object_set_property(vmo, ZX_PROP_NAME, bytes, sizeof bytes),
      zx_object_signal(event, 0, ZX_EVENT_SIGNALED),
      zx_object_signal_peer(event, 0, 0),
      zx_object_wait_one(event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, NULL),
      zx_object_wait_many(&item, 1, ZX_TIME_INFINITE),
      zx_event_create(0, &out),
      zx_eventpair_create(0, &out, &second),
      zx_vmar_allocate(ZX_HANDLE_INVALID, 0, 0, PAGE, &out, &addr),
      zx_vmar_map(ZX_HANDLE_INVALID, READ_WRITE, 0, vmo, 0, PAGE, &addr),
      zx_vmar_unmap(ZX_HANDLE_INVALID, (zx_vaddr_t)at, PAGE),
      zx_vmar_protect(ZX_HANDLE_INVALID, ZX_VM_PERM_READ, (zx_vaddr_t)at, PAGE),
      zx_vmar_destroy(ZX_HANDLE_INVALID),
      zx_vmar_op_range(ZX_HANDLE_INVALID, ZX_VMAR_OP_DECOMMIT, (zx_vaddr_t)at, PAGE, NULL, 0),
      zx_vmar_unmap_handle_close_thread_exit(ZX_HANDLE_INVALID, (zx_vaddr_t)at, PAGE, vmo),
      zx_vmo_create(PAGE, 0, &out),
      zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, &out),
      zx_vmo_create_contiguous(vmo, PAGE, 0, &out),
      zx_vmo_create_physical(vmo, 0, PAGE, &out),
      zx_vmo_transfer_data(vmo, 0, 0, PAGE, vmo, PAGE),
      zx_pager_create(0, &out),
      zx_pager_create_vmo(vmo, 0, vmo, 0, PAGE, &out),
      zx_pager_detach_vmo(vmo, vmo),
      zx_pager_supply_pages(vmo, vmo, 0, PAGE, vmo, 0),
      zx_pager_op_range(vmo, ZX_PAGER_OP_DIRTY, vmo, 0, PAGE, 0),
      zx_pager_query_dirty_ranges(vmo, vmo, 0, PAGE, bytes, sizeof bytes, &size, &size),
      zx_pager_query_vmo_stats(vmo, vmo, 0, bytes, sizeof bytes),
      zx_system_get_event(vmo, ZX_SYSTEM_EVENT_OUT_OF_MEMORY, &out),
      zxvm_vmo_discard(vmo, NULL),
      zxvm_vmo_free_zero_pages(vmo, NULL),
      zx_vmo_read(vmo, bytes, 0, 1),
      zx_vmo_write(vmo, bytes, 0, 1),
      zx_vmo_get_size(vmo, &size),
      zx_vmo_set_size(vmo, 0),
      zx_vmo_get_stream_size(vmo, &size),
      zx_vmo_set_stream_size(vmo, 0),
      zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE, NULL, 0),
      zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED),
      zx_vmo_replace_as_executable(vmo, ZX_HANDLE_INVALID, &out),
      zx_futex_wait(&word, 0, ZX_HANDLE_INVALID, ZX_TIME_INFINITE),
      zx_futex_wake(&word, 1),
      zx_futex_requeue(&word, 1, 0, &other, 1, ZX_HANDLE_INVALID),
  };
  for (size_t i = 0; i < COUNT(results); i++) {
    if (results[i] != ZX_ERR_BAD_STATE) {
      check_failed(__FILE__, __LINE__, "call %zu: %s", i, zx_status_get_string(results[i]));
    }
  }
  CHECK(out == 77 && second == 77);

  // What is about the machine goes on working.
  CHECK(zx_clock_get_monotonic() > 0 && zx_system_get_physmem() > 0 && zx_system_get_num_cpus() > 0);
  zx_cprng_draw(bytes, sizeof bytes);
  OK(zx_nanosleep(zx_deadline_after(1000)));
}

static void wait_for(pid_t child) {
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void family(void) {
  at[0] = 1;
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    CANNOT_READ(at);
    calls_fail();
    child = fork();
    if (child == 0) {
      calls_fail();
      exit(0);
    }
    wait_for(child);
    exit(0);
  }
  wait_for(child);
  CHECK(at[0] == 1 && at[PAGE] == 0);
  at[PAGE] = 2;
  CHECK_EQ(committed(vmo), 2 * PAGE);
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, NULL));
}

static void* keep_busy(void* unused) {
  (void)unused;
  while (!atomic_load(&stop)) {
    zx_handle_t own = new_vmo(16 * PAGE, 0);
    uint8_t* mapped = map_root(own, READ_WRITE, 16 * PAGE);
    OK(zx_vmar_op_range(zx_vmar_root_self(), ZX_VMAR_OP_COMMIT, (zx_vaddr_t)mapped, 16 * PAGE, NULL, 0));
    unmap_root(mapped, 16 * PAGE);
    OK(zx_handle_close(own));
  }
  return NULL;
}

// Locks that other threads held at the fork are held for ever in the child; it must not need them.
static void among_busy_threads(void) {
  pthread_t threads[3];
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_create(&threads[i], NULL, keep_busy, NULL) == 0);
  for (int i = 0; i < 200; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(30);
      calls_fail();
      exit(0);
    }
    wait_for(child);
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(int count, char** arguments) {
  (void)arguments;
  vmo = new_vmo(4 * PAGE, 0);
  event = new_event();
  at = map_root(vmo, READ_WRITE, 4 * PAGE);
  if (count > 1) return 7; // run anew: everything works
  family();
  among_busy_threads();
  int status = run_self("anew");
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  CHECK(system("true") == 0); // a child by another way than fork
  CHECK(at[0] == 1 && at[PAGE] == 2);
  OK(zx_handle_check_valid(vmo));
  unmap_root(at, 4 * PAGE);
  OK(zx_handle_close(vmo));
  OK(zx_handle_close(event));
  return 0;
}
