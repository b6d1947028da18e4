// Pagers: requests served by a thread, failures, what is dirty and saved; and pointers that lead nowhere.

#include <pthread.h>
#include <stdatomic.h>

#include <zircon/syscalls/port.h>

#include "check.h"

#define KEY 0x5eed
#define PAGES 8
#define BAD ((void*)(PAGE - 8))

static zx_handle_t pager, port, vmo;
static atomic_int reads, dirties;

// Page n is supplied with n + 1 throughout; page 5 cannot be had.
static void* serve(void* unused) {
  (void)unused;
  uint8_t bytes[PAGE];
  for (;;) {
    zx_port_packet_t packet;
    OK(zx_port_wait(port, zx_deadline_after(ZX_SEC(60)), &packet));
    CHECK(packet.key == KEY && ZX_PKT_IS_PAGE_REQUEST(packet.type) && packet.status == ZX_OK);
    CHECK(packet.page_request.flags == 0 && packet.page_request.reserved0 == 0 && packet.page_request.reserved1 == 0);
    const uint64_t offset = packet.page_request.offset, length = packet.page_request.length;
    switch (packet.page_request.command) {
      case ZX_PAGER_VMO_READ: {
        reads++;
        if (offset == 5 * PAGE) {
          const uint64_t why = (uint64_t)(int64_t)ZX_ERR_IO_DATA_INTEGRITY;
          OK(zx_pager_op_range(pager, ZX_PAGER_OP_FAIL, vmo, offset, length, why));
          break;
        }
        zx_handle_t aux = new_vmo(length, 0);
        for (uint64_t at = 0; at < length; at += PAGE) {
          memset(bytes, (int)((offset + at) / PAGE) + 1, PAGE);
          OK(zx_vmo_write(aux, bytes, at, PAGE));
        }
        OK(zx_pager_supply_pages(pager, vmo, offset, length, aux, 0));
        OK(zx_handle_close(aux));
        break;
      }
      case ZX_PAGER_VMO_DIRTY:
        dirties++;
        OK(zx_pager_op_range(pager, ZX_PAGER_OP_DIRTY, vmo, offset, length, 0));
        break;
      default:
        CHECK_EQ(packet.page_request.command, ZX_PAGER_VMO_COMPLETE);
        CHECK(offset == 0 && length == 0);
        return NULL;
    }
  }
}

static void refused(void) {
  zx_handle_t out = 77, event = new_event();
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_create(1, &out));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_create(0, NULL));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_create(0, BAD));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_pager_create_vmo(NOBODY, ~0u, NOBODY, 0, PAGE, &out));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_pager_create_vmo(event, ~0u, NOBODY, 0, PAGE, &out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_pager_create_vmo(pager, ~0u, NOBODY, 0, PAGE, &out));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_pager_create_vmo(pager, ~0u, event, 0, PAGE, &out));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_create_vmo(pager, ~0u, port, 0, PAGE, &out));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_pager_create_vmo(pager, 0, port, 0, UINT64_MAX, &out));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_create_vmo(pager, 0, port, KEY, PAGE, NULL));
  CHECK_EQ(out, 77);
  // The VMO that nobody got has come and gone.
  zx_port_packet_t packet;
  OK(zx_port_wait(port, 0, &packet));
  CHECK(packet.key == KEY && packet.page_request.command == ZX_PAGER_VMO_COMPLETE);
  EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(port, 0, &packet));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create(PAGE, ZX_VMO_TRAP_DIRTY, &out));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_handle_duplicate(pager, ZX_RIGHT_SAME_RIGHTS, &out));
  OK(zx_handle_close(event));
}

static void served(void) {
  uint8_t bytes[2 * PAGE];
  uint8_t* at = map_root(vmo, READ_WRITE, PAGES * PAGE);
  CHECK((vmo_info(vmo).flags & ZX_INFO_VMO_PAGER_BACKED) != 0);
  CHECK(at[PAGE] == 2 && at[2 * PAGE - 1] == 2);
  CHECK_EQ(committed(vmo), PAGE);
  OK(zx_vmo_read(vmo, bytes, PAGE + PAGE / 2, sizeof bytes));
  CHECK(bytes[0] == 2 && bytes[PAGE] == 3 && bytes[2 * PAGE - 1] == 4);
  EXPECT(ZX_ERR_IO_DATA_INTEGRITY, zx_vmo_read(vmo, bytes, 5 * PAGE, 1));
  EXPECT(ZX_ERR_IO_DATA_INTEGRITY, zx_vmo_write(vmo, bytes, 5 * PAGE, 1));
  EXPECT(ZX_ERR_IO_DATA_INTEGRITY, zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 5 * PAGE, PAGE, NULL, 0));
  CHECK_EQ(committed(vmo), 3 * PAGE);
  CHECK_EQ(dirties, 0);

  at[PAGE] = 9;
  CHECK_EQ(dirties, 1);
  OK(zx_vmo_write(vmo, "x", 3 * PAGE, 1));
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, 4 * PAGE, PAGE, NULL, 0));
  CHECK_EQ(dirties, 2);

  zx_vmo_dirty_range_t ranges[4];
  size_t actual = 77, avail = 77;
  memset(ranges, 0xee, sizeof ranges);
  OK(zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, ranges, sizeof ranges, &actual, &avail));
  CHECK(actual == 3 && avail == 3);
  CHECK(ranges[0].offset == PAGE && ranges[0].length == PAGE && ranges[0].options == 0);
  CHECK(ranges[1].offset == 3 * PAGE && ranges[1].length == PAGE && ranges[1].options == 0);
  CHECK(ranges[2].offset == 4 * PAGE && ranges[2].length == PAGE && ranges[2].options == ZX_VMO_DIRTY_RANGE_IS_ZERO);
  CHECK(all_bytes_are((uint8_t*)&ranges[3], 0xee, sizeof *ranges));
  OK(zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, NULL, 0, &actual, &avail));
  CHECK(actual == 0 && avail == 3);
  OK(zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, NULL, 23, NULL, NULL));
  OK(zx_pager_query_dirty_ranges(pager, vmo, 0, PAGE, NULL, sizeof ranges, NULL, NULL)); // nothing is dirty there
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, NULL, 24, NULL, NULL));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, BAD, 24, NULL, NULL));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_query_dirty_ranges(pager, vmo, 0, PAGE, NULL, 0, BAD, NULL));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE + 1, NULL, 0, NULL, NULL));

  zx_pager_vmo_stats_t stats = {77};
  EXPECT(ZX_ERR_BUFFER_TOO_SMALL, zx_pager_query_vmo_stats(NOBODY, NOBODY, ~0u, NULL, 3));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_query_vmo_stats(pager, vmo, 2, &stats, sizeof stats));
  // What cannot be told is not forgotten.
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_query_vmo_stats(pager, vmo, ZX_PAGER_RESET_VMO_STATS, NULL, sizeof stats));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_query_vmo_stats(pager, vmo, ZX_PAGER_RESET_VMO_STATS, BAD, sizeof stats));
  CHECK_EQ(stats.modified, 77);
  OK(zx_pager_query_vmo_stats(pager, vmo, ZX_PAGER_RESET_VMO_STATS, &stats, sizeof stats));
  CHECK_EQ(stats.modified, ZX_PAGER_VMO_STATS_MODIFIED);
  OK(zx_pager_query_vmo_stats(pager, vmo, 0, &stats, sizeof stats));
  CHECK_EQ(stats.modified, 0);

  EXPECT(ZX_ERR_INVALID_ARGS, zx_pager_op_range(NOBODY, 99, NOBODY, 1, PAGE, 0));
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_pager_op_range(pager, 99, vmo, 0, PAGE, 0));
  OK(zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_BEGIN, vmo, 0, PAGES * PAGE, 0));
  OK(zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_END, vmo, 0, 4 * PAGE, 0));
  OK(zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, ranges, sizeof ranges, &actual, &avail));
  CHECK(actual == 1 && ranges[0].offset == 4 * PAGE);
  // It was saved: a store is asked for again.
  at[PAGE + 1] = 8;
  CHECK_EQ(dirties, 3);
  CHECK(at[PAGE] == 9 && at[PAGE + 1] == 8);
  unmap_root(at, PAGES * PAGE);
}

int main(void) {
  OK(zx_pager_create(0, &pager));
  OK(zx_port_create(0, &port));
  CHECK_EQ(rights_of(pager), ZX_DEFAULT_PAGER_RIGHTS);
  refused();
  OK(zx_pager_create_vmo(pager, ZX_VMO_TRAP_DIRTY, port, KEY, PAGES * PAGE, &vmo));
  pthread_t server;
  CHECK(pthread_create(&server, NULL, serve, NULL) == 0);
  served();
  OK(zx_pager_detach_vmo(pager, vmo));
  CHECK(pthread_join(server, NULL) == 0);
  CHECK(reads > 0);
  uint8_t byte = 0;
  OK(zx_vmo_read(vmo, &byte, PAGE, 1)); // it is dirty: kept
  CHECK_EQ(byte, 9);
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_read(vmo, &byte, 3 * PAGE, 1));
  const zx_handle_t all[] = {vmo, port, pager};
  OK(zx_handle_close_many(all, COUNT(all)));
  return 0;
}
