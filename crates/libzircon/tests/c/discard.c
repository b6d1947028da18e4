// What is ours and not Zircon's: discarding on purpose, and giving pages of zeros back. With what locks tell about it.

#include "check.h"

static zx_vmo_lock_state_t lock(zx_handle_t vmo, uint64_t size) {
  zx_vmo_lock_state_t state;
  memset(&state, 0xee, sizeof state);
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, size, &state, sizeof state));
  CHECK(state.offset == 0 && state.size == size);
  return state;
}

static void discard_refused(void) {
  uint32_t discarded = 7;
  zx_handle_t event = new_event(), plain = new_vmo(PAGE, 0), vmo = new_vmo(PAGE, ZX_VMO_DISCARDABLE);
  zx_handle_t reader = without_rights(vmo, ZX_RIGHT_WRITE), plain_reader = without_rights(plain, ZX_RIGHT_WRITE);
  const struct {
    zx_handle_t vmo;
    zx_status_t status;
  } bad[] = {
      {ZX_HANDLE_INVALID, ZX_ERR_BAD_HANDLE}, {NOBODY, ZX_ERR_BAD_HANDLE},          {event, ZX_ERR_WRONG_TYPE},
      {reader, ZX_ERR_ACCESS_DENIED},         {plain_reader, ZX_ERR_ACCESS_DENIED}, {plain, ZX_ERR_NOT_SUPPORTED},
  };
  for (size_t i = 0; i < COUNT(bad); i++) {
    discarded = 7;
    EXPECT(bad[i].status, zxvm_vmo_discard(bad[i].vmo, &discarded));
    CHECK_EQ(discarded, 0);
    EXPECT(bad[i].status, zxvm_vmo_discard(bad[i].vmo, NULL));
  }
  // Never locked: that is no error.
  discarded = 7;
  OK(zxvm_vmo_discard(vmo, &discarded));
  CHECK_EQ(discarded, 0);
  const zx_handle_t all[] = {event, plain, vmo, reader, plain_reader};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void discard(void) {
  const uint64_t size = 2 * PAGE;
  uint8_t byte = 7;
  uint32_t discarded = 7;
  zx_handle_t vmo = new_vmo(size, ZX_VMO_DISCARDABLE);
  uint8_t* at = map_root(vmo, READ_WRITE | ZX_VM_ALLOW_FAULTS, size);
  memset(at, 9, size);
  CHECK_EQ(lock(vmo, size).discarded_size, 0);
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_TRY_LOCK, 0, size, NULL, 0));
  for (int locks = 2; locks > 0; locks--) {
    OK(zxvm_vmo_discard(vmo, &discarded));
    CHECK_EQ(discarded, 0);
    OK(zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, size, NULL, 0));
  }
  CHECK(all_bytes_are(at, 9, size));
  CHECK_EQ(committed(vmo), size);

  OK(zxvm_vmo_discard(vmo, &discarded));
  CHECK_EQ(discarded, 1);
  OK(zxvm_vmo_discard(vmo, &discarded));
  CHECK_EQ(discarded, 0);
  CHECK_EQ(committed(vmo), 0);
  CANNOT_READ(at);
  CANNOT_WRITE(at + PAGE);
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmo_read(vmo, &byte, 0, 1));
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmo_write(vmo, &byte, 0, 1));
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, PAGE, NULL, 0));
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmo_op_range(vmo, ZX_VMO_OP_ZERO, 1, 1, NULL, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_read(vmo, &byte, size, 1));
  OK(zx_vmo_read(vmo, NULL, 0, 0));
  EXPECT(ZX_ERR_UNAVAILABLE, zx_vmo_op_range(vmo, ZX_VMO_OP_TRY_LOCK, 0, size, NULL, 0));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, size, NULL, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, PAGE, NULL, 0));
  CHECK_EQ(byte, 7);

  zx_vmo_lock_state_t state = lock(vmo, size);
  CHECK(state.discarded_offset == 0 && state.discarded_size == size);
  CHECK(all_bytes_are(at, 0, size));
  memset(at, 5, size);
  CHECK_EQ(lock(vmo, size).discarded_size, 0);
  OK(zx_vmo_read(vmo, &byte, size - 1, 1));
  CHECK_EQ(byte, 5);

  // A lock that cannot tell is none.
  uint8_t little[31];
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, size, NULL, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, size, little, sizeof little));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_op_range(vmo, ZX_VMO_OP_LOCK, 0, size, (void*)(PAGE - 8), sizeof state));
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, size, NULL, 0));
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, size, NULL, 0));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_op_range(vmo, ZX_VMO_OP_UNLOCK, 0, size, NULL, 0));
  unmap_root(at, size);
  OK(zx_handle_close(vmo));

  zx_vaddr_t nowhere = 0;
  vmo = new_vmo(size, ZX_VMO_DISCARDABLE);
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_vmar_map(zx_vmar_root_self(), READ_WRITE, 0, vmo, 0, size, &nowhere));
  OK(zx_handle_close(vmo));
}

static void free_zero_pages(void) {
  uint64_t bytes = 7;
  zx_handle_t event = new_event(), vmo = new_vmo(4 * PAGE, 0), reader = without_rights(vmo, ZX_RIGHT_WRITE);
  const struct {
    zx_handle_t vmo;
    zx_status_t status;
  } bad[] = {{NOBODY, ZX_ERR_BAD_HANDLE}, {event, ZX_ERR_WRONG_TYPE}, {reader, ZX_ERR_ACCESS_DENIED}};
  for (size_t i = 0; i < COUNT(bad); i++) {
    bytes = 7;
    EXPECT(bad[i].status, zxvm_vmo_free_zero_pages(bad[i].vmo, &bytes));
    CHECK_EQ(bytes, 0);
    EXPECT(bad[i].status, zxvm_vmo_free_zero_pages(bad[i].vmo, NULL));
  }
  uint8_t* at = map_root(vmo, READ_WRITE, 4 * PAGE);
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 4 * PAGE, NULL, 0));
  at[3 * PAGE - 1] = 9;
  OK(zxvm_vmo_free_zero_pages(vmo, &bytes));
  CHECK_EQ(bytes, 3 * PAGE);
  CHECK_EQ(committed(vmo), PAGE);
  at[0] = 8;
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CHECK(all_bytes_are(at + 1, 0, 3 * PAGE - 2) && at[3 * PAGE - 1] == 9 && all_bytes_are(at + 3 * PAGE, 0, PAGE));

  // A copy's zeros stay zeros where its parent has something else.
  zx_handle_t copy = ZX_HANDLE_INVALID;
  uint8_t zeros[PAGE] = {0}, back[PAGE];
  OK(zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, 4 * PAGE, &copy));
  OK(zx_vmo_write(copy, zeros, 0, PAGE));
  OK(zxvm_vmo_free_zero_pages(copy, NULL));
  // Once an hour, and not at all.
  OK(zxvm_free_zero_pages_every(3600000000000));
  OK(zxvm_free_zero_pages_every(0));
  CHECK_EQ(committed(copy), PAGE);
  OK(zx_vmo_read(copy, back, 0, PAGE));
  CHECK(all_bytes_are(back, 0, PAGE) && at[0] == 8);
  OK(zx_handle_close(copy));
  unmap_root(at, 4 * PAGE);

  OK(zx_object_wait_one(vmo, ZX_VMO_ZERO_CHILDREN, zx_deadline_after(ZX_SEC(10)), NULL));
  OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED));
  EXPECT(ZX_ERR_BAD_STATE, zxvm_vmo_free_zero_pages(vmo, &bytes));
  const zx_handle_t all[] = {event, vmo, reader};
  OK(zx_handle_close_many(all, COUNT(all)));
}

int main(void) {
  discard_refused();
  discard();
  free_zero_pages();
  return 0;
}
