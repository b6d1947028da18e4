// Events, signals, waits.

#include <pthread.h>

#include "check.h"

#define SYSTEM_SIGNAL (1u << 0)

static zx_time_t soon(void) { return zx_deadline_after(ZX_MSEC(20)); }

static void create(void) {
  zx_handle_t a = ZX_HANDLE_INVALID, b = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_INVALID_ARGS, zx_event_create(1, &a));
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_eventpair_create(1, &a, &b));
  OK(zx_event_create(0, &a));
  zx_signals_t observed = 9;
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(a, UINT32_MAX, 0, &observed));
  CHECK_EQ(observed, 0);
  OK(zx_handle_close(a));

  OK(zx_eventpair_create(0, &a, &b));
  zx_info_handle_basic_t of_a, of_b;
  OK(zx_object_get_info(a, ZX_INFO_HANDLE_BASIC, &of_a, sizeof of_a, NULL, NULL));
  OK(zx_object_get_info(b, ZX_INFO_HANDLE_BASIC, &of_b, sizeof of_b, NULL, NULL));
  CHECK_EQ(of_a.related_koid, of_b.koid);
  CHECK_EQ(of_b.related_koid, of_a.koid);
  OK(zx_handle_close(a));
  OK(zx_handle_close(b));
}

static void signal_own(void) {
  zx_handle_t event = new_event(), vmo = new_vmo(PAGE, 0);
  zx_signals_t observed = 0;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_object_signal(NOBODY, 0, 0));
  zx_handle_t mute = without_rights(event, ZX_RIGHT_SIGNAL);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_signal(mute, 0, SYSTEM_SIGNAL));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_signal(event, 0, SYSTEM_SIGNAL));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_signal(event, SYSTEM_SIGNAL, 0));
  // The system's own signal of a VMO cannot be forged.
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_signal(vmo, ZX_VMO_ZERO_CHILDREN, 0));
  OK(zx_object_signal(vmo, 0, ZX_USER_SIGNAL_3));
  OK(zx_object_wait_one(vmo, ZX_USER_SIGNAL_3, 0, &observed));
  CHECK_EQ(observed, ZX_VMO_ZERO_CHILDREN | ZX_USER_SIGNAL_3);

  // In both masks: set. Every handle to the object sees it.
  OK(zx_object_signal(event, ZX_EVENT_SIGNALED, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_7));
  OK(zx_object_wait_one(mute, ZX_EVENT_SIGNALED, 0, &observed));
  CHECK_EQ(observed, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_7);
  OK(zx_object_signal(event, ZX_USER_SIGNAL_ALL | ZX_EVENT_SIGNALED, 0));
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(event, UINT32_MAX, 0, NULL));
  const zx_handle_t all[] = {event, vmo, mute};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void signal_peer(void) {
  zx_handle_t a, b, event = new_event();
  OK(zx_eventpair_create(0, &a, &b));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_object_signal_peer(NOBODY, 0, 0));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_signal_peer(event, 0, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_signal_peer(a, 0, ZX_EVENTPAIR_PEER_CLOSED));
  OK(zx_object_signal_peer(a, 0, ZX_EVENTPAIR_SIGNALED | ZX_USER_SIGNAL_0));
  zx_signals_t observed = 0;
  OK(zx_object_wait_one(b, ZX_EVENTPAIR_SIGNALED, 0, &observed));
  CHECK_EQ(observed, ZX_EVENTPAIR_SIGNALED | ZX_USER_SIGNAL_0);
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(a, UINT32_MAX, 0, NULL));

  zx_handle_t again = with_rights(b, ZX_RIGHT_SAME_RIGHTS);
  OK(zx_handle_close(b));
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(a, ZX_EVENTPAIR_PEER_CLOSED, 0, NULL));
  OK(zx_handle_close(again));
  OK(zx_object_wait_one(a, ZX_EVENTPAIR_PEER_CLOSED, 0, &observed));
  CHECK_EQ(observed, ZX_EVENTPAIR_PEER_CLOSED);
  EXPECT(ZX_ERR_PEER_CLOSED, zx_object_signal_peer(a, 0, ZX_USER_SIGNAL_0));
  OK(zx_object_signal(a, 0, ZX_EVENTPAIR_SIGNALED));
  OK(zx_handle_close(a));
  OK(zx_handle_close(event));
}

static void wait_one(void) {
  zx_handle_t event = new_event(), deaf = without_rights(event, ZX_RIGHT_WAIT);
  zx_signals_t observed = 0;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_object_wait_one(NOBODY, 1, 0, &observed));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_wait_one(deaf, 1, 0, &observed));
  // VMARs are not waitable: their handles never have the right.
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_wait_one(zx_vmar_root_self(), 1, 0, &observed));

  OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_1));
  OK(zx_object_wait_one(event, ZX_USER_SIGNAL_1, ZX_TIME_INFINITE_PAST, NULL));
  OK(zx_object_wait_one(event, ZX_USER_SIGNAL_1 | ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, &observed));
  CHECK_EQ(observed, ZX_USER_SIGNAL_1);
  observed = 0;
  zx_time_t deadline = soon();
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(event, ZX_EVENT_SIGNALED, deadline, &observed));
  CHECK(zx_clock_get_monotonic() >= deadline);
  CHECK_EQ(observed, ZX_USER_SIGNAL_1);
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(event, ZX_SIGNAL_NONE, soon(), NULL));
  OK(zx_handle_close(event));
  OK(zx_handle_close(deaf));
}

// ---- Waits that another thread ends ----

struct wait {
  zx_handle_t handle;
  zx_status_t status;
  zx_signals_t observed;
  pthread_t thread;
};

static void* wait_in_thread(void* argument) {
  struct wait* wait = argument;
  wait->status = zx_object_wait_one(wait->handle, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, &wait->observed);
  return NULL;
}

static void start_wait(struct wait* wait, zx_handle_t handle) {
  *wait = (struct wait){.handle = handle};
  CHECK(pthread_create(&wait->thread, NULL, wait_in_thread, wait) == 0);
  OK(zx_nanosleep(soon()));
}

static void end_wait(struct wait* wait, zx_status_t status, zx_signals_t observed) {
  CHECK(pthread_join(wait->thread, NULL) == 0);
  EXPECT(status, wait->status);
  CHECK_EQ(wait->observed, observed);
}

static void woken(void) {
  zx_handle_t event = new_event(), waited, other;
  struct wait wait;

  start_wait(&wait, event);
  OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_0));
  OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  end_wait(&wait, ZX_OK, ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_0);
  OK(zx_object_signal(event, ZX_EVENT_SIGNAL_MASK, 0));

  // Only the handle waited through counts.
  waited = with_rights(event, ZX_RIGHT_SAME_RIGHTS);
  other = with_rights(event, ZX_RIGHT_SAME_RIGHTS);
  start_wait(&wait, waited);
  OK(zx_handle_close(other));
  OK(zx_handle_close(waited));
  end_wait(&wait, ZX_ERR_CANCELED, ZX_SIGNAL_HANDLE_CLOSED);

  waited = with_rights(event, ZX_RIGHT_SAME_RIGHTS);
  start_wait(&wait, waited);
  OK(zx_handle_replace(waited, ZX_RIGHT_SAME_RIGHTS, &other));
  end_wait(&wait, ZX_ERR_CANCELED, ZX_SIGNAL_HANDLE_CLOSED);
  OK(zx_handle_close(other));
  OK(zx_handle_close(event));
}

static zx_wait_item_t in_thread[2];

static void* wait_many_in_thread(void* status) {
  *(zx_status_t*)status = zx_object_wait_many(in_thread, COUNT(in_thread), ZX_TIME_INFINITE);
  return NULL;
}

static void wait_many(void) {
  zx_handle_t a = new_event(), b = new_event(), deaf = without_rights(a, ZX_RIGHT_WAIT);
  zx_time_t deadline = soon();
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_many(NULL, 0, deadline));
  CHECK(zx_clock_get_monotonic() >= deadline);
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_object_wait_many(NULL, ZX_WAIT_MANY_MAX_ITEMS + 1, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_object_wait_many(NULL, SIZE_MAX, 0));

  // The first bad one decides, and nothing is filled in.
  zx_wait_item_t bad[] = {{a, 1, 7}, {deaf, 1, 7}, {NOBODY, 1, 7}};
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_wait_many(bad, 3, 0));
  bad[1].handle = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_object_wait_many(bad, 3, 0));
  CHECK_EQ(bad[0].pending, 7);

  OK(zx_object_signal(b, 0, ZX_USER_SIGNAL_2));
  zx_wait_item_t items[ZX_WAIT_MANY_MAX_ITEMS];
  for (size_t i = 0; i < COUNT(items); i++) items[i] = (zx_wait_item_t){i % 2 ? b : a, ZX_EVENT_SIGNALED, 9};
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_many(items, COUNT(items), 0));
  for (size_t i = 0; i < COUNT(items); i++) CHECK_EQ(items[i].pending, i % 2 ? ZX_USER_SIGNAL_2 : 0);
  OK(zx_object_signal(a, 0, ZX_EVENT_SIGNALED));
  OK(zx_object_wait_many(items, COUNT(items), 0));
  for (size_t i = 0; i < COUNT(items); i++) {
    CHECK_EQ(items[i].pending, i % 2 ? ZX_USER_SIGNAL_2 : ZX_EVENT_SIGNALED);
    CHECK_EQ(items[i].handle, i % 2 ? b : a);
  }

  OK(zx_object_signal(a, ZX_EVENT_SIGNALED, ZX_USER_SIGNAL_4));
  in_thread[0] = (zx_wait_item_t){a, ZX_EVENT_SIGNALED, 0};
  in_thread[1] = (zx_wait_item_t){b, ZX_EVENT_SIGNALED, 0};
  zx_status_t status = ZX_OK;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, wait_many_in_thread, &status) == 0);
  OK(zx_nanosleep(soon()));
  OK(zx_handle_close(b));
  CHECK(pthread_join(thread, NULL) == 0);
  EXPECT(ZX_ERR_CANCELED, status);
  CHECK_EQ(in_thread[0].pending, ZX_USER_SIGNAL_4);
  CHECK_EQ(in_thread[1].pending, ZX_USER_SIGNAL_2 | ZX_SIGNAL_HANDLE_CLOSED);
  OK(zx_handle_close(a));
  OK(zx_handle_close(deaf));
}

int main(void) {
  create();
  signal_own();
  signal_peer();
  wait_one();
  woken();
  wait_many();
  return 0;
}
