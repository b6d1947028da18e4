// errno after every call is what it was before: alone, waiting, failing, and among other threads.

#include <pthread.h>

#include <zircon/syscalls/port.h>

#include "check.h"

#define KEPT(call)                                                                       \
  do {                                                                                   \
    errno = 12345;                                                                       \
    (void)(call);                                                                        \
    if (errno != 12345) check_failed(__FILE__, __LINE__, "%s: errno %d", #call, errno);  \
  } while (0)

static void every_call(void) {
  zx_handle_t h = 0, other = 0, vmar = 0;
  zx_vaddr_t at = 0, base = 0;
  uint64_t size = 0;
  uint8_t bytes[64];
  zx_futex_t word = 0, second = 0;
  zx_signals_t observed;
  uint8_t* bad = (uint8_t*)PAGE;
  zx_time_t soon;

  KEPT(zx_vmar_root_self()); // in the first round: makes the engine
  KEPT(zx_process_self());
  KEPT(zx_vmo_create(4 * PAGE, ZX_VMO_RESIZABLE, &h));
  KEPT(zx_vmo_create(4 * PAGE, 0, (zx_handle_t*)bad));
  KEPT(zx_handle_duplicate(h, ZX_RIGHT_SAME_RIGHTS, &other));
  KEPT(zx_handle_replace(other, ZX_RIGHT_SAME_RIGHTS, &other));
  KEPT(zx_handle_check_valid(NOBODY));
  KEPT(zx_handle_close(other));
  KEPT(zx_handle_close_many((zx_handle_t*)bad, 100));
  KEPT(zx_object_get_info(h, ZX_INFO_VMO, bytes, 4, NULL, NULL));
  KEPT(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_MAPS, NULL, 0, &size, NULL));
  KEPT(zx_object_get_property(h, ZX_PROP_NAME, bytes, sizeof bytes));
  KEPT(zx_object_set_property(h, ZX_PROP_NAME, bytes, sizeof bytes));
  KEPT(zx_object_signal(h, 0, ZX_USER_SIGNAL_0));
  KEPT(zx_object_signal_peer(h, 0, ZX_USER_SIGNAL_0));
  soon = zx_deadline_after(ZX_MSEC(2));
  KEPT(zx_object_wait_one(h, ZX_USER_SIGNAL_1, soon, &observed));
  zx_wait_item_t item = {h, ZX_USER_SIGNAL_1, 0};
  soon = zx_deadline_after(ZX_MSEC(2));
  KEPT(zx_object_wait_many(&item, 1, soon));
  zx_handle_t port = 0;
  zx_port_packet_t packet = {0};
  KEPT(zx_port_create(0, &port));
  KEPT(zx_port_create(0, (zx_handle_t*)bad));
  KEPT(zx_port_queue(port, &packet));
  KEPT(zx_port_queue(port, (zx_port_packet_t*)bad));
  KEPT(zx_port_wait(port, 0, (zx_port_packet_t*)bad));
  soon = zx_deadline_after(ZX_MSEC(2));
  KEPT(zx_port_wait(port, soon, &packet));
  KEPT(zx_object_wait_async(h, port, 1, ZX_USER_SIGNAL_1, 0));
  KEPT(zx_object_wait_async(h, port, 2, ZX_USER_SIGNAL_0, ZX_WAIT_ASYNC_TIMESTAMP));
  KEPT(zx_port_cancel(port, h, 1));
  KEPT(zx_port_cancel_key(port, 0, 3));
  KEPT(zx_handle_close(port));
  KEPT(zx_event_create(0, &other));
  KEPT(zx_handle_close(other));
  KEPT(zx_eventpair_create(0, &other, &other));
  KEPT(zx_vmar_allocate(zx_vmar_root_self(), ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE, 0, 8 * PAGE, &vmar, &base));
  KEPT(zx_vmar_map(vmar, READ_WRITE, 0, h, 0, 4 * PAGE, &at));
  KEPT(zx_vmo_write(h, bytes, 0, sizeof bytes));
  KEPT(zx_vmo_read(h, bytes, 0, sizeof bytes));
  KEPT(zx_vmo_read(h, bytes, 2 * PAGE, sizeof bytes));
  KEPT(zx_vmo_read(h, bad, 0, sizeof bytes));
  KEPT(zx_vmo_write(h, bad, 0, sizeof bytes));
  KEPT(zx_vmar_op_range(vmar, ZX_VMAR_OP_COMMIT, at, 4 * PAGE, NULL, 0));
  KEPT(zx_vmar_op_range(vmar, ZX_VMAR_OP_MAP_RANGE, at, 4 * PAGE, NULL, 0));
  KEPT(zx_vmar_op_range(vmar, ZX_VMAR_OP_DECOMMIT, at, 4 * PAGE, NULL, 0));
  KEPT(zx_vmar_protect(vmar, ZX_VM_PERM_READ, at, PAGE));
  KEPT(zx_vmar_unmap_handle_close_thread_exit(vmar, at + 1, PAGE, 0));
  KEPT(zx_vmar_unmap(vmar, at, PAGE));
  KEPT(zx_vmar_destroy(vmar));
  KEPT(zx_vmo_op_range(h, ZX_VMO_OP_ZERO, 10, PAGE, NULL, 0));
  KEPT(zx_vmo_get_size(h, &size));
  KEPT(zx_vmo_create_child(h, ZX_VMO_CHILD_SNAPSHOT, 0, 2 * PAGE, &other));
  KEPT(zx_vmo_write(other, bytes, 0, sizeof bytes));
  KEPT(zx_vmo_write(h, bytes, 0, sizeof bytes));
  KEPT(zx_vmo_transfer_data(other, 0, PAGE, PAGE, h, 0));
  KEPT(zxvm_vmo_free_zero_pages(other, &size));
  KEPT(zxvm_vmo_free_zero_pages(h, (uint64_t*)bad));
  KEPT(zx_handle_close(other));
  KEPT(zx_vmo_create_child(h, ZX_VMO_CHILD_SNAPSHOT, 1, PAGE, &other));
  KEPT(zx_vmo_create_child(h, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, (zx_handle_t*)bad));
  KEPT(zx_vmo_create_contiguous(NOBODY, PAGE, 0, &other));
  KEPT(zx_vmo_create_physical(NOBODY, 0, PAGE, &other));
  KEPT(zx_vmo_create(PAGE, ZX_VMO_DISCARDABLE, &other));
  KEPT(zx_vmo_op_range(other, ZX_VMO_OP_TRY_LOCK, 0, PAGE, NULL, 0));
  KEPT(zx_vmo_op_range(other, ZX_VMO_OP_UNLOCK, 0, PAGE, NULL, 0));
  KEPT(zxvm_vmo_discard(other, NULL));
  KEPT(zx_vmo_read(other, bytes, 0, 1));
  KEPT(zx_handle_close(other));
  KEPT(zx_vmo_set_size(h, PAGE));
  KEPT(zx_vmo_get_stream_size(h, &size));
  KEPT(zx_vmo_set_stream_size(h, 5));
  KEPT(zx_vmo_set_cache_policy(h, ZX_CACHE_POLICY_UNCACHED));
  KEPT(zx_vmo_replace_as_executable(h, ZX_HANDLE_INVALID, &h));
  KEPT(zx_handle_close(h));
  KEPT(zx_system_get_page_size());
  KEPT(zx_system_get_dcache_line_size());
  KEPT(zx_system_get_num_cpus());
  KEPT(zx_system_get_physmem());
  KEPT(zx_system_get_version_string());
  KEPT(zx_clock_get_monotonic());
  KEPT(zx_ticks_get());
  KEPT(zx_ticks_per_second());
  KEPT(zx_status_get_string(-4));
  KEPT(zx_cprng_draw(bytes, sizeof bytes));
  soon = zx_deadline_after(ZX_MSEC(2));
  KEPT(zx_nanosleep(soon));
  soon = zx_deadline_after(ZX_MSEC(2));
  KEPT(zx_futex_wait(&word, 0, 0, soon));
  KEPT(zx_futex_wait(&word, 1, 0, soon));
  KEPT(zx_futex_wait((zx_futex_t*)bad, 0, 0, soon));
  KEPT(zx_futex_wake(&word, 1));
  KEPT(zx_futex_requeue(&word, 1, 1, &second, 1, 0));
  OK(zx_handle_close(vmar));
}

static void* rounds(void* count) {
  for (int i = 0; i < *(const int*)count; i++) every_call();
  return NULL;
}

int main(void) {
  int count = 50;
  rounds(&(int){1});
  pthread_t threads[4];
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_create(&threads[i], NULL, rounds, &count) == 0);
  for (size_t i = 0; i < COUNT(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
  return 0;
}
