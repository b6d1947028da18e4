// Ports: packets, waits that end in one, cancelling.

#include <pthread.h>

#include <zircon/syscalls/port.h>

#include "check.h"

#define LIMIT 4096 // packets of programs that may wait in one port
#define WAITS 5000

static zx_handle_t new_port(void) {
  zx_handle_t port = ZX_HANDLE_INVALID;
  OK(zx_port_create(0, &port));
  return port;
}

static void queue(zx_handle_t port, uint64_t key) {
  zx_port_packet_t packet = {.key = key};
  OK(zx_port_queue(port, &packet));
}

static zx_port_packet_t take(zx_handle_t port) {
  zx_port_packet_t packet;
  memset(&packet, 0xee, sizeof packet);
  OK(zx_port_wait(port, 0, &packet));
  return packet;
}

static void expect_key(zx_handle_t port, uint64_t key) { CHECK_EQ(take(port).key, key); }

static void expect_empty(zx_handle_t port) {
  zx_port_packet_t packet;
  EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(port, ZX_TIME_INFINITE_PAST, &packet));
}

static void create(void) {
  zx_handle_t port = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_INVALID_ARGS, zx_port_create(2, &port));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_port_create(UINT32_MAX, &port));
  OK(zx_port_create(ZX_PORT_BIND_TO_INTERRUPT, &port));
  zx_info_handle_basic_t info;
  OK(zx_object_get_info(port, ZX_INFO_HANDLE_BASIC, &info, sizeof info, NULL, NULL));
  CHECK_EQ(info.type, ZX_OBJ_TYPE_PORT);
  CHECK_EQ(info.rights, ZX_DEFAULT_PORT_RIGHTS);
  CHECK_EQ(info.related_koid, 0);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_wait_one(port, 1, 0, NULL));
  OK(zx_handle_close(port));
}

static void packets(void) {
  zx_handle_t port = new_port(), event = new_event();
  zx_handle_t read_only = without_rights(port, ZX_RIGHT_WRITE), write_only = without_rights(port, ZX_RIGHT_READ);
  zx_port_packet_t sent = {.key = UINT64_MAX, .type = 77, .status = -9}, got;
  for (size_t i = 0; i < 4; i++) sent.user.u64[i] = i << 60 | i;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_port_queue(NOBODY, NULL));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_port_queue(event, NULL));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_port_queue(read_only, NULL));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_port_queue(port, NULL));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_port_wait(NOBODY, 0, &got));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_port_wait(event, 0, &got));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_port_wait(write_only, 0, &got));
  EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(read_only, 0, NULL));

  OK(zx_port_queue(write_only, &sent));
  queue(port, 5);
  OK(zx_port_wait(read_only, ZX_TIME_INFINITE, &got));
  CHECK_EQ(got.key, sent.key);
  CHECK_EQ(got.type, ZX_PKT_TYPE_USER);
  CHECK_EQ(got.status, sent.status);
  CHECK(memcmp(&got.user, &sent.user, sizeof got.user) == 0);
  expect_key(port, 5);

  // Whoever has nowhere to put it loses it.
  queue(port, 6);
  queue(port, 7);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_port_wait(port, 0, NULL));
  expect_key(port, 7);

  for (int i = 0; i < LIMIT; i++) queue(port, 1);
  EXPECT(ZX_ERR_SHOULD_WAIT, zx_port_queue(port, &sent));
  expect_key(port, 1);
  OK(zx_port_queue(port, &sent));
  OK(zx_port_cancel_key(port, 0, 1));
  expect_key(port, sent.key);
  expect_empty(port);

  zx_time_t deadline = zx_deadline_after(ZX_MSEC(20));
  EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(port, deadline, &got));
  CHECK(zx_clock_get_monotonic() >= deadline);
  const zx_handle_t all[] = {port, event, read_only, write_only};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void order_of_errors(void) {
  zx_handle_t port = new_port(), event = new_event();
  zx_handle_t mute = without_rights(port, ZX_RIGHT_WRITE), deaf = without_rights(event, ZX_RIGHT_WAIT);
  const uint32_t both = ZX_WAIT_ASYNC_TIMESTAMP | ZX_WAIT_ASYNC_BOOT_TIMESTAMP;
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_wait_async(NOBODY, NOBODY, 0, 1, both));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_wait_async(NOBODY, NOBODY, 0, 1, 8));
  const struct {
    zx_handle_t port, source;
    zx_status_t status;
  } bad[] = {
      {NOBODY, NOBODY, ZX_ERR_BAD_HANDLE},   {event, NOBODY, ZX_ERR_WRONG_TYPE}, {mute, NOBODY, ZX_ERR_ACCESS_DENIED},
      {port, NOBODY, ZX_ERR_BAD_HANDLE},     {port, deaf, ZX_ERR_ACCESS_DENIED}, {port, port, ZX_ERR_ACCESS_DENIED},
      {port, zx_vmar_root_self(), ZX_ERR_ACCESS_DENIED},
  };
  for (size_t i = 0; i < COUNT(bad); i++) {
    EXPECT(bad[i].status, zx_object_wait_async(bad[i].source, bad[i].port, 0, 1, 0));
    EXPECT(bad[i].status, zx_port_cancel(bad[i].port, bad[i].source, 0));
  }
  EXPECT(ZX_ERR_NOT_FOUND, zx_port_cancel(port, event, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_port_cancel_key(NOBODY, 1, 0));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_port_cancel_key(NOBODY, 0, 0));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_port_cancel_key(event, 0, 0));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_port_cancel_key(mute, 0, 0));
  EXPECT(ZX_ERR_NOT_FOUND, zx_port_cancel_key(port, 0, 0));
  const zx_handle_t all[] = {port, event, mute, deaf};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void signals(void) {
  zx_handle_t port = new_port(), event = new_event();
  OK(zx_object_wait_async(event, port, 3, ZX_USER_SIGNAL_0 | ZX_USER_SIGNAL_1, 0));
  OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_5));
  expect_empty(port);
  OK(zx_object_signal(event, 0, ZX_USER_SIGNAL_1));
  OK(zx_object_signal(event, ZX_USER_SIGNAL_ALL, 0));
  zx_port_packet_t packet = take(port);
  CHECK_EQ(packet.key, 3);
  CHECK_EQ(packet.type, ZX_PKT_TYPE_SIGNAL_ONE);
  CHECK_EQ(packet.status, ZX_OK);
  CHECK_EQ(packet.signal.trigger, ZX_USER_SIGNAL_0 | ZX_USER_SIGNAL_1);
  CHECK_EQ(packet.signal.observed, ZX_USER_SIGNAL_1 | ZX_USER_SIGNAL_5);
  CHECK_EQ(packet.signal.count, 1);
  CHECK_EQ(packet.signal.timestamp, 0);
  CHECK_EQ(packet.signal.reserved1, 0);

  // Active already.
  OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  zx_time_t before = zx_clock_get_monotonic();
  OK(zx_object_wait_async(event, port, 4, ZX_EVENT_SIGNALED, ZX_WAIT_ASYNC_TIMESTAMP));
  OK(zx_object_wait_async(event, port, 5, ZX_EVENT_SIGNALED, ZX_WAIT_ASYNC_EDGE));
  packet = take(port);
  CHECK_EQ(packet.key, 4);
  CHECK(packet.signal.timestamp >= before && packet.signal.timestamp <= zx_clock_get_monotonic());
  expect_empty(port);
  OK(zx_object_signal(event, ZX_EVENT_SIGNALED, 0));
  OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  expect_key(port, 5);

  // The wait is the handle's; what is in the port is the port's.
  OK(zx_object_signal(event, ZX_EVENT_SIGNALED, 0));
  zx_handle_t other = with_rights(event, ZX_RIGHT_SAME_RIGHTS);
  OK(zx_object_wait_async(other, port, 6, ZX_EVENT_SIGNALED, 0));
  EXPECT(ZX_ERR_NOT_FOUND, zx_port_cancel(port, event, 6));
  OK(zx_handle_close(other));
  OK(zx_object_wait_async(event, port, 7, ZX_EVENT_SIGNALED, 0));
  OK(zx_object_wait_async(event, port, 8, ZX_EVENT_SIGNALED, 0));
  OK(zx_port_cancel(port, event, 7));
  OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  OK(zx_handle_close(event));
  expect_key(port, 8);
  expect_empty(port);
  OK(zx_handle_close(port));
}

static void many(void) {
  zx_handle_t port = new_port(), event = new_event();
  for (uint64_t key = 0; key < WAITS; key++) OK(zx_object_wait_async(event, port, key, ZX_EVENT_SIGNALED, 0));
  for (uint64_t key = 0; key < WAITS; key += 3) OK(zx_port_cancel(port, event, key));
  OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  for (uint64_t key = 1; key < WAITS; key += 3) OK(zx_port_cancel_key(port, 0, key));
  for (uint64_t key = 2; key < WAITS; key += 3) expect_key(port, key);
  expect_empty(port);
  OK(zx_handle_close(port));
  OK(zx_handle_close(event));
}

static void* wait_in_thread(void* port) {
  zx_port_packet_t packet;
  OK(zx_port_wait((zx_handle_t)(uintptr_t)port, ZX_TIME_INFINITE, &packet));
  return (void*)(uintptr_t)packet.key;
}

static void threads(void) {
  zx_handle_t port = new_port();
  pthread_t waiting[4];
  uintptr_t seen = 0;
  for (size_t i = 0; i < COUNT(waiting); i++) {
    CHECK(pthread_create(&waiting[i], NULL, wait_in_thread, (void*)(uintptr_t)port) == 0);
  }
  for (size_t i = 0; i < COUNT(waiting); i++) queue(port, (uint64_t)1 << i);
  for (size_t i = 0; i < COUNT(waiting); i++) {
    void* key = NULL;
    CHECK(pthread_join(waiting[i], &key) == 0);
    seen += (uintptr_t)key;
  }
  CHECK_EQ(seen, (1 << COUNT(waiting)) - 1);
  expect_empty(port);
  OK(zx_handle_close(port));
}

// Ports that go with all that is in them leave nothing.
static void nothing_leaks(void) {
  zx_handle_t event = new_event();
  for (int round = 0; round < 3; round++) {
    int64_t before = kib_in("/proc/self/status", "VmRSS:");
    for (int i = 0; i < 20000; i++) {
      zx_handle_t port = new_port();
      for (uint64_t key = 0; key < 5; key++) {
        queue(port, key);
        OK(zx_object_wait_async(event, port, key, ZX_EVENT_SIGNALED, 0));
      }
      OK(zx_handle_close(port));
    }
    CHECK(round == 0 || kib_in("/proc/self/status", "VmRSS:") - before < 4 << 10);
  }
  OK(zx_handle_close(event));
}

int main(void) {
  create();
  packets();
  order_of_errors();
  signals();
  many();
  threads();
  nothing_leaks();
  return 0;
}
