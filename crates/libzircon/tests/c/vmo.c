// VMOs: creation, read and write, sizes, operations, cache policies, executable handles.

#include "check.h"

#define MAX_SIZE (UINT64_MAX - 128 * 1024 + 1)

static void create(void) {
  zx_handle_t vmo = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create(PAGE, ZX_VMO_RESIZABLE | ZX_VMO_UNBOUNDED, &vmo));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create(PAGE, 1u << 0, &vmo));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create(PAGE, ZX_VMO_TRAP_DIRTY, &vmo));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_create(UINT64_MAX, 0, &vmo));
  // Rounding the size comes before the other options.
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_create(UINT64_MAX, 1u << 0, &vmo));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_create(MAX_SIZE + 1, 0, &vmo));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_create(MAX_SIZE + 1, ZX_VMO_UNBOUNDED, &vmo));
  CHECK_EQ(vmo, ZX_HANDLE_INVALID);

  const struct {
    uint64_t asked;
    uint32_t options;
    uint64_t size;
  } good[] = {
      {0, 0, 0},
      {1, 0, PAGE},
      {PAGE + 1, ZX_VMO_RESIZABLE, 2 * PAGE},
      {PAGE, ZX_VMO_DISCARDABLE | ZX_VMO_RESIZABLE, PAGE},
      {MAX_SIZE, 0, MAX_SIZE},
      {5, ZX_VMO_UNBOUNDED, MAX_SIZE},
  };
  for (size_t i = 0; i < COUNT(good); i++) {
    uint64_t size = 1, stream = 1;
    vmo = new_vmo(good[i].asked, good[i].options);
    OK(zx_vmo_get_size(vmo, &size));
    CHECK_EQ(size, good[i].size);
    OK(zx_vmo_get_stream_size(vmo, &stream));
    CHECK_EQ(stream, good[i].asked);
    CHECK_EQ(committed(vmo), 0);
    OK(zx_object_wait_one(vmo, ZX_VMO_ZERO_CHILDREN, 0, NULL));
    OK(zx_handle_close(vmo));
  }

  // The far end of the largest one is as good as the start.
  const uint8_t word[8] = "far away";
  uint8_t back[8];
  vmo = new_vmo(MAX_SIZE, 0);
  OK(zx_vmo_write(vmo, word, MAX_SIZE - sizeof word, sizeof word));
  OK(zx_vmo_read(vmo, back, MAX_SIZE - sizeof word, sizeof word));
  CHECK(memcmp(word, back, sizeof word) == 0);
  CHECK_EQ(committed(vmo), PAGE);
  OK(zx_handle_close(vmo));
}

static void read_and_write(void) {
  static uint8_t bytes[3 * PAGE], back[3 * PAGE];
  zx_handle_t vmo = new_vmo(3 * PAGE, 0), event = new_event();
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_read(NOBODY, back, 0, 1));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_write(NOBODY, bytes, 0, 1));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_read(event, back, 0, 1));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_write(event, bytes, 0, 1));
  zx_handle_t reader = without_rights(vmo, ZX_RIGHT_WRITE), writer = without_rights(vmo, ZX_RIGHT_READ);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_read(writer, back, 0, 1));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_write(reader, bytes, 0, 1));

  // Ranges: nothing is transferred unless all of it can be.
  const struct {
    uint64_t offset;
    size_t size;
  } outside[] = {{3 * PAGE, 1}, {3 * PAGE + 1, 0}, {2 * PAGE, PAGE + 1}, {UINT64_MAX, 1}, {1, SIZE_MAX}};
  for (size_t i = 0; i < COUNT(outside); i++) {
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_read(vmo, back, outside[i].offset, outside[i].size));
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_write(vmo, bytes, outside[i].offset, outside[i].size));
  }
  CHECK_EQ(committed(vmo), 0);
  OK(zx_vmo_read(vmo, NULL, 3 * PAGE, 0));
  OK(zx_vmo_write(vmo, NULL, 0, 0));

  // Reading commits nothing, writing what it touches.
  memset(back, 1, sizeof back);
  OK(zx_vmo_read(vmo, back, 0, sizeof back));
  CHECK(all_bytes_are(back, 0, sizeof back));
  CHECK_EQ(committed(vmo), 0);
  memset(bytes, 0xa5, sizeof bytes);
  OK(zx_vmo_write(vmo, bytes, PAGE - 1, 2));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  OK(zx_vmo_read(vmo, back, 0, sizeof back));
  CHECK(all_bytes_are(back, 0, PAGE - 1) && back[PAGE - 1] == 0xa5 && back[PAGE] == 0xa5);
  CHECK(all_bytes_are(back + PAGE + 1, 0, 2 * PAGE - 1));

  // A mapping is another way to the same bytes, and is a buffer like any other.
  uint8_t* at = map_root(vmo, READ_WRITE, 3 * PAGE);
  at[0] = 9;
  OK(zx_vmo_read(vmo, back, 0, 1));
  CHECK_EQ(back[0], 9);
  OK(zx_vmo_write(vmo, at, 2 * PAGE, PAGE));
  CHECK(at[2 * PAGE] == 9 && at[3 * PAGE - 1] == 0xa5);
  OK(zx_vmo_read(vmo, at, 2 * PAGE, PAGE));
  CHECK(at[0] == 9 && at[PAGE - 1] == 0xa5);
  unmap_root(at, 3 * PAGE);

  OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_read(vmo, back, 0, 1));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_write(vmo, bytes, 0, 1));
  // Overflow is found before, the range after.
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_read(vmo, back, UINT64_MAX, 1));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_read(vmo, back, 3 * PAGE, 1));
  const zx_handle_t all[] = {vmo, event, reader, writer};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void size(void) {
  uint8_t page[PAGE];
  uint64_t got = 0;
  zx_handle_t fixed = new_vmo(PAGE, 0), vmo = new_vmo(PAGE, ZX_VMO_RESIZABLE), event = new_event();
  zx_handle_t unbounded = new_vmo(PAGE, ZX_VMO_UNBOUNDED);
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_get_size(NOBODY, &got));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_get_size(event, &got));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_set_size(NOBODY, 0));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_set_size(event, 0));
  zx_handle_t bare = with_rights(vmo, ZX_RIGHT_NONE), no_resize = without_rights(vmo, ZX_RIGHT_RESIZE);
  OK(zx_vmo_get_size(bare, &got)); // needs no right
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_set_size(bare, 0));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_set_size(no_resize, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_set_size(vmo, UINT64_MAX));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_set_size(fixed, UINT64_MAX));
  EXPECT(ZX_ERR_UNAVAILABLE, zx_vmo_set_size(fixed, PAGE));
  EXPECT(ZX_ERR_UNAVAILABLE, zx_vmo_set_size(unbounded, PAGE));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_set_size(vmo, MAX_SIZE + 1));
  OK(zx_vmo_get_size(vmo, &got));
  CHECK_EQ(got, PAGE);

  // Growing heals a mapping that was too long; what comes is zero.
  uint8_t* at = map_root(vmo, READ_WRITE, 3 * PAGE);
  CAN_READ(at);
  CANNOT_READ(at + PAGE);
  OK(zx_vmo_set_size(vmo, 3 * PAGE));
  memset(at, 0xee, 3 * PAGE);
  // Shrinking frees, cuts to the byte, and takes the pages out of the mapping.
  OK(zx_vmo_set_size(vmo, PAGE + 10));
  OK(zx_vmo_get_size(vmo, &got));
  CHECK_EQ(got, 2 * PAGE);
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CHECK(at[PAGE + 9] == 0xee && all_bytes_are(at + PAGE + 10, 0, PAGE - 10));
  CANNOT_READ(at + 2 * PAGE);
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_read(vmo, page, 2 * PAGE, 1));
  OK(zx_vmo_set_size(vmo, 3 * PAGE));
  CHECK(all_bytes_are(at + 2 * PAGE, 0, PAGE));
  OK(zx_vmo_set_size(vmo, 0));
  CANNOT_READ(at);
  CHECK_EQ(committed(vmo), 0);
  unmap_root(at, 3 * PAGE);
  const zx_handle_t all[] = {fixed, vmo, event, unbounded, bare, no_resize};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void stream_size(void) {
  uint64_t got = 0;
  zx_handle_t vmo = new_vmo(3 * PAGE, 0), event = new_event();
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_get_stream_size(NOBODY, &got));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_get_stream_size(event, &got));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_set_stream_size(NOBODY, 0));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_set_stream_size(event, 0));
  zx_handle_t reader = without_rights(vmo, ZX_RIGHT_WRITE);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_set_stream_size(reader, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_set_stream_size(vmo, 3 * PAGE + 1));

  // From the smaller of both sizes on everything becomes zero; the same size again changes nothing.
  uint8_t* at = map_root(vmo, READ_WRITE, 3 * PAGE);
  memset(at, 0xcc, 3 * PAGE);
  OK(zx_vmo_set_stream_size(vmo, 3 * PAGE));
  CHECK(all_bytes_are(at, 0xcc, 3 * PAGE));
  OK(zx_vmo_set_stream_size(vmo, PAGE + 5));
  CHECK(all_bytes_are(at, 0xcc, PAGE + 5) && all_bytes_are(at + PAGE + 5, 0, 2 * PAGE - 5));
  memset(at, 0xdd, 3 * PAGE);
  OK(zx_vmo_set_stream_size(vmo, 2 * PAGE));
  CHECK(all_bytes_are(at, 0xdd, PAGE + 5) && all_bytes_are(at + PAGE + 5, 0, 2 * PAGE - 5));
  OK(zx_vmo_get_stream_size(vmo, &got));
  CHECK_EQ(got, 2 * PAGE);
  OK(zx_vmo_get_size(vmo, &got));
  CHECK_EQ(got, 3 * PAGE);
  unmap_root(at, 3 * PAGE);

  // A mapping made for it ends with it, after the page that holds the end.
  zx_vaddr_t with_end = 0;
  OK(zx_vmar_map(zx_vmar_root_self(), READ_WRITE | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE, 0, vmo, 0,
                 3 * PAGE, &with_end));
  at = (uint8_t*)with_end;
  CAN_WRITE(at + PAGE);
  CANNOT_READ(at + 2 * PAGE);
  OK(zx_vmo_set_stream_size(vmo, 2 * PAGE + 1));
  CAN_WRITE(at + 2 * PAGE);
  OK(zx_vmo_set_stream_size(vmo, 1));
  CAN_WRITE(at);
  CANNOT_READ(at + PAGE);
  unmap_root(at, 3 * PAGE);
  const zx_handle_t all[] = {vmo, event, reader};
  OK(zx_handle_close_many(all, COUNT(all)));
}

// ---- zx_vmo_op_range ----

static zx_status_t op(zx_handle_t vmo, uint32_t op, uint64_t offset, uint64_t size) {
  return zx_vmo_op_range(vmo, op, offset, size, NULL, 0);
}

static void op_arguments(void) {
  zx_handle_t vmo = new_vmo(3 * PAGE, 0), event = new_event();
  EXPECT(ZX_ERR_BAD_HANDLE, op(NOBODY, ZX_VMO_OP_COMMIT, 0, PAGE));
  EXPECT(ZX_ERR_WRONG_TYPE, op(event, ZX_VMO_OP_COMMIT, 0, PAGE));
  const uint32_t unknown[] = {0, 5, 15, 99, UINT32_MAX};
  for (size_t i = 0; i < COUNT(unknown); i++) EXPECT(ZX_ERR_INVALID_ARGS, op(vmo, unknown[i], 0, PAGE));

  const struct {
    uint32_t op;
    zx_rights_t needs;
    zx_status_t past_end; // for one byte
    zx_status_t no_length;
  } ops[] = {
      {ZX_VMO_OP_COMMIT, ZX_RIGHT_WRITE, ZX_ERR_OUT_OF_RANGE, ZX_OK},
      {ZX_VMO_OP_DECOMMIT, ZX_RIGHT_WRITE, ZX_ERR_OUT_OF_RANGE, ZX_OK},
      {ZX_VMO_OP_ZERO, ZX_RIGHT_WRITE, ZX_ERR_OUT_OF_RANGE, ZX_OK},
      {ZX_VMO_OP_CACHE_SYNC, ZX_RIGHT_READ, ZX_ERR_OUT_OF_RANGE, ZX_ERR_INVALID_ARGS},
      {ZX_VMO_OP_CACHE_CLEAN, ZX_RIGHT_READ, ZX_ERR_OUT_OF_RANGE, ZX_ERR_INVALID_ARGS},
      {ZX_VMO_OP_CACHE_CLEAN_INVALIDATE, ZX_RIGHT_READ, ZX_ERR_OUT_OF_RANGE, ZX_ERR_INVALID_ARGS},
      {ZX_VMO_OP_PREFETCH, ZX_RIGHT_READ, ZX_ERR_OUT_OF_RANGE, ZX_OK},
      {ZX_VMO_OP_DONT_NEED, ZX_RIGHT_NONE, ZX_OK, ZX_OK},
      {ZX_VMO_OP_ALWAYS_NEED, ZX_RIGHT_NONE, ZX_OK, ZX_OK},
  };
  for (size_t i = 0; i < COUNT(ops); i++) {
    zx_handle_t with = with_rights(vmo, ops[i].needs), without = without_rights(vmo, ops[i].needs);
    OK(op(with, ops[i].op, PAGE, PAGE));
    OK(op(vmo, ops[i].op, 0, 3 * PAGE));
    if (ops[i].needs != ZX_RIGHT_NONE) EXPECT(ZX_ERR_ACCESS_DENIED, op(without, ops[i].op, PAGE, PAGE));
    EXPECT(ops[i].past_end, op(vmo, ops[i].op, 3 * PAGE, 1));
    EXPECT(ops[i].past_end, op(vmo, ops[i].op, PAGE, UINT64_MAX));
    EXPECT(ops[i].no_length, op(vmo, ops[i].op, 3 * PAGE, 0));
    if (ops[i].no_length == ZX_OK) EXPECT(ops[i].past_end, op(vmo, ops[i].op, 3 * PAGE + 1, 0));
    // The buffer is not looked at.
    OK(zx_vmo_op_range(with, ops[i].op, PAGE, PAGE, (void*)1, 1));
    OK(zx_handle_close(with));
    OK(zx_handle_close(without));
  }
  EXPECT(ZX_ERR_NOT_SUPPORTED, op(vmo, ZX_VMO_OP_CACHE_INVALIDATE, 0, PAGE));

  const uint32_t locks[] = {ZX_VMO_OP_LOCK, ZX_VMO_OP_TRY_LOCK, ZX_VMO_OP_UNLOCK};
  zx_handle_t neither = without_rights(vmo, ZX_RIGHTS_IO);
  for (size_t i = 0; i < COUNT(locks); i++) {
    EXPECT(ZX_ERR_NOT_SUPPORTED, op(vmo, locks[i], 0, 3 * PAGE));
    EXPECT(ZX_ERR_ACCESS_DENIED, op(neither, locks[i], 0, 3 * PAGE));
  }
  const zx_handle_t all[] = {vmo, event, neither};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void commit_decommit_zero(void) {
  zx_handle_t vmo = new_vmo(4 * PAGE, 0);
  uint8_t* at = map_root(vmo, READ_WRITE, 4 * PAGE);
  // COMMIT takes whole pages and keeps content.
  at[PAGE] = 5;
  OK(op(vmo, ZX_VMO_OP_COMMIT, PAGE + 1, PAGE));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CHECK(at[PAGE] == 5 && at[2 * PAGE] == 0);
  OK(op(vmo, ZX_VMO_OP_COMMIT, 0, 4 * PAGE));
  CHECK_EQ(committed(vmo), 4 * PAGE);

  // DECOMMIT wants aligned ranges, unless there is nothing to do.
  memset(at, 0x77, 4 * PAGE);
  EXPECT(ZX_ERR_INVALID_ARGS, op(vmo, ZX_VMO_OP_DECOMMIT, 1, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, op(vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE + 1));
  OK(op(vmo, ZX_VMO_OP_DECOMMIT, 1, 0));
  CHECK_EQ(committed(vmo), 4 * PAGE);
  OK(op(vmo, ZX_VMO_OP_DECOMMIT, 0, 2 * PAGE));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CHECK(!in_page_table(at) && !in_page_table(at + PAGE) && in_page_table(at + 2 * PAGE));

  // ZERO frees whole pages, zeroes parts of others in place, and commits nothing.
  OK(op(vmo, ZX_VMO_OP_ZERO, 10, 2 * PAGE + 10));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CHECK(all_bytes_are(at + 2 * PAGE, 0, 20) && all_bytes_are(at + 2 * PAGE + 20, 0x77, 2 * PAGE - 20));
  OK(op(vmo, ZX_VMO_OP_ZERO, 2 * PAGE + 30, 2 * PAGE - 30));
  CHECK_EQ(committed(vmo), PAGE);
  uint8_t last[PAGE];
  OK(zx_vmo_read(vmo, last, 3 * PAGE, PAGE));
  CHECK(all_bytes_are(last, 0, PAGE) && at[2 * PAGE + 29] == 0x77 && at[2 * PAGE + 30] == 0);
  unmap_root(at, 4 * PAGE);
  OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED));
  EXPECT(ZX_ERR_BAD_STATE, op(vmo, ZX_VMO_OP_ZERO, 0, PAGE));
  OK(zx_handle_close(vmo));
}

static void discardable(void) {
  zx_handle_t vmo = new_vmo(2 * PAGE, ZX_VMO_DISCARDABLE), none = new_vmo(0, ZX_VMO_DISCARDABLE);
  zx_vmo_lock_state_t state;
  EXPECT(ZX_ERR_BAD_STATE, op(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE));
  const uint32_t locks[] = {ZX_VMO_OP_LOCK, ZX_VMO_OP_TRY_LOCK, ZX_VMO_OP_UNLOCK};
  for (size_t i = 0; i < COUNT(locks); i++) {
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_op_range(vmo, locks[i], 0, PAGE, &state, sizeof state));
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_op_range(vmo, locks[i], PAGE, PAGE, &state, sizeof state));
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_op_range(vmo, locks[i], 0, 0, &state, sizeof state));
  }
  // A lock that cannot be reported is undone.
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, 2 * PAGE, &state, sizeof state - 1));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, 2 * PAGE, NULL, sizeof state));
  EXPECT(ZX_ERR_BAD_STATE, op(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE));

  memset(&state, 0xff, sizeof state);
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, 2 * PAGE, &state, sizeof state));
  CHECK(state.offset == 0 && state.size == 2 * PAGE && state.discarded_offset == 0 && state.discarded_size == 0);
  OK(op(vmo, ZX_VMO_OP_TRY_LOCK, 0, 2 * PAGE)); // locks nest
  OK(op(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE));
  OK(op(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE));
  EXPECT(ZX_ERR_BAD_STATE, op(vmo, ZX_VMO_OP_UNLOCK, 0, 2 * PAGE));
  OK(zx_vmo_op_range(none, ZX_VMO_OP_LOCK, 0, 0, &state, sizeof state));

  // Mapped only by those who expect faults.
  zx_vaddr_t at = 0;
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_vmar_map(zx_vmar_root_self(), READ_WRITE, 0, vmo, 0, PAGE, &at));
  OK(zx_vmar_map(zx_vmar_root_self(), READ_WRITE | ZX_VM_ALLOW_FAULTS, 0, vmo, 0, PAGE, &at));
  *(uint8_t*)at = 1;
  CHECK_EQ(committed(vmo), PAGE);
  OK(op(vmo, ZX_VMO_OP_DECOMMIT, 0, PAGE));
  unmap_root((void*)at, PAGE);
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_WRITE_COMBINING));
  OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED));
  OK(zx_handle_close(vmo));
  OK(zx_handle_close(none));
}

static void cache_policy(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0), event = new_event();
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_set_cache_policy(NOBODY, ZX_CACHE_POLICY_MASK + 1));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_set_cache_policy(NOBODY, ZX_CACHE_POLICY_CACHED));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_set_cache_policy(event, ZX_CACHE_POLICY_CACHED));
  zx_handle_t unmappable = without_rights(vmo, ZX_RIGHT_MAP);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_set_cache_policy(unmappable, ZX_CACHE_POLICY_CACHED));
  uint8_t* at = map_root(vmo, READ_WRITE, PAGE);
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED));
  at[0] = 3;
  unmap_root(at, PAGE);
  for (uint32_t policy = ZX_CACHE_POLICY_CACHED; policy <= ZX_CACHE_POLICY_MASK; policy++) {
    OK(zx_vmo_set_cache_policy(vmo, policy));
    CHECK_EQ(vmo_info(vmo).cache_policy, policy);
  }
  // Mapping works whatever the policy.
  at = map_root(vmo, READ_WRITE, PAGE);
  CHECK_EQ(at[0], 3);
  unmap_root(at, PAGE);
  const zx_handle_t all[] = {vmo, event, unmappable};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void executable(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0), watch = with_rights(vmo, ZX_RIGHT_SAME_RIGHTS), event = new_event();
  zx_handle_t out = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_replace_as_executable(NOBODY, ZX_HANDLE_INVALID, &out));
  // Whatever happens, the first handle is gone.
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_replace_as_executable(with_rights(event, ZX_RIGHT_SAME_RIGHTS), ZX_HANDLE_INVALID, &out));
  CHECK_EQ(handle_count(event), 1);
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_replace_as_executable(with_rights(vmo, ZX_RIGHT_SAME_RIGHTS), event, &out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_replace_as_executable(with_rights(vmo, ZX_RIGHT_SAME_RIGHTS), NOBODY, &out));
  CHECK_EQ(handle_count(vmo), 2);

  OK(zx_vmo_replace_as_executable(vmo, ZX_HANDLE_INVALID, &out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(vmo));
  CHECK_EQ(rights_of(out), ZX_DEFAULT_VMO_RIGHTS | ZX_RIGHT_EXECUTE);
  CHECK_EQ(handle_count(watch), 2);

#if defined(__x86_64__)
  const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov eax, 42; ret
#elif defined(__aarch64__)
  const uint32_t code[] = {0x52800540, 0xd65f03c0}; // mov w0, #42; ret
#endif
  OK(zx_vmo_write(out, code, 0, sizeof code));
  zx_vaddr_t at = 0;
  EXPECT(ZX_ERR_ACCESS_DENIED,
         zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, watch, 0, PAGE, &at));
  OK(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, out, 0, PAGE, &at));
  __builtin___clear_cache((char*)at, (char*)at + sizeof code);
  int (*function)(void) = (int (*)(void))at;
  CHECK_EQ(function(), 42);
  unmap_root((void*)at, PAGE);
  const zx_handle_t all[] = {out, watch, event};
  OK(zx_handle_close_many(all, COUNT(all)));
}

int main(void) {
  create();
  read_and_write();
  size();
  stream_size();
  op_arguments();
  commit_decommit_zero();
  discardable();
  cache_policy();
  executable();
  return 0;
}
