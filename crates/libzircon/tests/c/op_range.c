// zx_vmar_op_range: arguments, walks, effects.

#include "check.h"

static const uint32_t ALL_OPS[] = {ZX_VMAR_OP_COMMIT,    ZX_VMAR_OP_DECOMMIT,    ZX_VMAR_OP_MAP_RANGE, ZX_VMAR_OP_ZERO,
                                   ZX_VMAR_OP_DONT_NEED, ZX_VMAR_OP_ALWAYS_NEED, ZX_VMAR_OP_PREFETCH};

static zx_status_t op(zx_handle_t vmar, uint32_t op, const void* at, size_t size) {
  return zx_vmar_op_range(vmar, op, (zx_vaddr_t)at, size, NULL, 0);
}

static void arguments(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(8 * PAGE, &base), event = new_event(), vmo = new_vmo(8 * PAGE, 0);
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, 8 * PAGE);
  at[0] = 1;

  for (size_t i = 0; i < COUNT(ALL_OPS); i++) {
    EXPECT(ZX_ERR_BAD_HANDLE, op(NOBODY, ALL_OPS[i], at, PAGE));
    EXPECT(ZX_ERR_WRONG_TYPE, op(event, ALL_OPS[i], at, PAGE));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_op_range(vmar, ALL_OPS[i], base, PAGE, at, 0));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_op_range(vmar, ALL_OPS[i], base, PAGE, NULL, 1));
    EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, ALL_OPS[i], at, 0));
    EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, ALL_OPS[i], at, SIZE_MAX));
    EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, ALL_OPS[i], at + 1, PAGE));
    EXPECT(ZX_ERR_OUT_OF_RANGE, op(vmar, ALL_OPS[i], at - PAGE, PAGE));
    EXPECT(ZX_ERR_OUT_OF_RANGE, op(vmar, ALL_OPS[i], at, 9 * PAGE));
    EXPECT(ZX_ERR_OUT_OF_RANGE, op(vmar, ALL_OPS[i], at + 8 * PAGE, PAGE));
  }
  const uint32_t unknown[] = {0, 4, 5, 6, 7, 8, 9, 11, 15, UINT32_MAX};
  for (size_t i = 0; i < COUNT(unknown); i++) EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, unknown[i], at, PAGE));
  CHECK(at[0] == 1 && committed(vmo) == PAGE);

  // The rights, each alone; a missing one comes before the other arguments.
  const struct {
    uint32_t op;
    zx_rights_t needs;
  } rights[] = {
      {ZX_VMAR_OP_COMMIT, ZX_RIGHT_WRITE},       {ZX_VMAR_OP_DECOMMIT, ZX_RIGHT_WRITE},
      {ZX_VMAR_OP_ZERO, ZX_RIGHT_WRITE},         {ZX_VMAR_OP_PREFETCH, ZX_RIGHT_READ},
      {ZX_VMAR_OP_MAP_RANGE, ZX_RIGHT_NONE},     {ZX_VMAR_OP_DONT_NEED, ZX_RIGHT_NONE},
      {ZX_VMAR_OP_ALWAYS_NEED, ZX_RIGHT_NONE},
  };
  for (size_t i = 0; i < COUNT(rights); i++) {
    zx_handle_t with = with_rights(vmar, rights[i].needs);
    OK(op(with, rights[i].op, at, PAGE));
    OK(zx_handle_close(with));
    if (rights[i].needs == ZX_RIGHT_NONE) continue;
    zx_handle_t without = without_rights(vmar, rights[i].needs);
    EXPECT(ZX_ERR_ACCESS_DENIED, op(without, rights[i].op, at, PAGE));
    EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmar_op_range(without, rights[i].op, base + 1, 0, at, 1));
    OK(zx_handle_close(without));
  }

  OK(zx_vmar_destroy(vmar));
  EXPECT(ZX_ERR_BAD_STATE, op(vmar, ZX_VMAR_OP_COMMIT, at, PAGE));
  EXPECT(ZX_ERR_OUT_OF_RANGE, op(vmar, ZX_VMAR_OP_COMMIT, at, 9 * PAGE));
  const zx_handle_t all[] = {vmar, event, vmo};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void commit(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(64 * PAGE, &base), vmo = new_vmo(64 * PAGE, 0);
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, 64 * PAGE);
  uint8_t* second = map_root(vmo, ZX_VM_PERM_READ, 64 * PAGE);
  at[9 * PAGE] = 42;
  OK(op(vmar, ZX_VMAR_OP_COMMIT, at + 8 * PAGE, 31 * PAGE + 1)); // the size is rounded up
  CHECK_EQ(committed(vmo), 32 * PAGE);
  CHECK_EQ(pages_in_page_table(at, 64 * PAGE), 32);
  CHECK(in_page_table(at + 8 * PAGE) && in_page_table(at + 39 * PAGE));
  // Content is kept, and there is one content.
  CHECK(at[9 * PAGE] == 42 && second[9 * PAGE] == 42 && all_bytes_are(second + 10 * PAGE, 0, 30 * PAGE));

  // What the mapping allows at present plays no part.
  OK(zx_vmar_protect(vmar, 0, base, PAGE));
  OK(zx_vmar_protect(vmar, ZX_VM_PERM_READ, base + PAGE, PAGE));
  OK(op(vmar, ZX_VMAR_OP_COMMIT, at, 2 * PAGE));
  CHECK_EQ(committed(vmo), 34 * PAGE);
  CANNOT_READ(at);
  CANNOT_WRITE(at + PAGE);
  unmap_root(second, 64 * PAGE);
  OK(zx_vmar_destroy(vmar));
  OK(zx_handle_close(vmar));
  OK(zx_handle_close(vmo));
}

static void decommit(void) {
  zx_handle_t root = zx_vmar_root_self(), vmo = new_vmo(16 * PAGE, 0);
  uint8_t* at = map_root(vmo, READ_WRITE, 16 * PAGE);
  uint8_t* second = map_root(vmo, READ_WRITE, 16 * PAGE);
  memset(at, 0x5a, 16 * PAGE);
  CHECK(all_bytes_are(second, 0x5a, 16 * PAGE));
  OK(op(root, ZX_VMAR_OP_DECOMMIT, at + 4 * PAGE, 8 * PAGE));
  CHECK_EQ(committed(vmo), 8 * PAGE);
  CHECK_EQ(pages_in_page_table(at + 4 * PAGE, 8 * PAGE), 0);
  CHECK_EQ(pages_in_page_table(second + 4 * PAGE, 8 * PAGE), 0);
  CHECK(all_bytes_are(second + 4 * PAGE, 0, 8 * PAGE) && all_bytes_are(at + 4 * PAGE, 0, 8 * PAGE));
  CHECK(all_bytes_are(at, 0x5a, 4 * PAGE) && all_bytes_are(second + 12 * PAGE, 0x5a, 4 * PAGE));
  unmap_root(at, 16 * PAGE);
  unmap_root(second, 16 * PAGE);
  OK(zx_handle_close(vmo));
}

// COMMIT takes memory from the machine and DECOMMIT gives it back. Others use memory too: some attempts are allowed.
static void machine_memory(void) {
  const size_t len = 128 * MIB;
  const int64_t most = (int64_t)(len >> 10) * 9 / 10;
  zx_handle_t vmo = new_vmo(len, 0);
  uint8_t* at = map_root(vmo, READ_WRITE, len);
  for (int attempt = 1;; attempt++) {
    int64_t before = kib_in("/proc/meminfo", "Shmem:");
    OK(op(zx_vmar_root_self(), ZX_VMAR_OP_COMMIT, at, len));
    int64_t during = kib_in("/proc/meminfo", "Shmem:");
    CHECK_EQ(committed(vmo), len);
    OK(op(zx_vmar_root_self(), ZX_VMAR_OP_DECOMMIT, at, len));
    int64_t after = kib_in("/proc/meminfo", "Shmem:");
    CHECK_EQ(committed(vmo), 0);
    if (during - before >= most && during - after >= most) break;
    CHECK(attempt < 10);
  }
  unmap_root(at, len);
  OK(zx_handle_close(vmo));
}

static void map_range(void) {
  zx_handle_t root = zx_vmar_root_self(), vmo = new_vmo(16 * PAGE, 0);
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 4 * PAGE, 4 * PAGE, NULL, 0));
  const uint32_t ops[] = {ZX_VMAR_OP_MAP_RANGE, ZX_VMAR_OP_ALWAYS_NEED, ZX_VMAR_OP_PREFETCH};
  for (size_t i = 0; i < COUNT(ops); i++) {
    uint8_t* at = map_root(vmo, READ_WRITE, 16 * PAGE);
    OK(zx_vmar_protect(root, ZX_VM_PERM_READ, (zx_vaddr_t)at + 5 * PAGE, PAGE));
    OK(zx_vmar_protect(root, 0, (zx_vaddr_t)at + 6 * PAGE, PAGE));
    CHECK_EQ(pages_in_page_table(at, 16 * PAGE), 0);
    OK(op(root, ops[i], at, 16 * PAGE));
    // Committed pages only, with what is allowed at present; nothing is committed.
    CHECK(in_page_table(at + 4 * PAGE) && in_page_table(at + 5 * PAGE) && in_page_table(at + 7 * PAGE));
    CHECK_EQ(pages_in_page_table(at, 16 * PAGE), 3);
    CHECK_EQ(committed(vmo), 4 * PAGE);
    CANNOT_WRITE(at + 5 * PAGE);
    unmap_root(at, 16 * PAGE);
  }
  uint8_t* at = map_root(vmo, READ_WRITE, 16 * PAGE);
  OK(op(root, ZX_VMAR_OP_DONT_NEED, at, 16 * PAGE));
  CHECK(pages_in_page_table(at, 16 * PAGE) == 0 && committed(vmo) == 4 * PAGE);
  unmap_root(at, 16 * PAGE);
  OK(zx_handle_close(vmo));
}

static void zero(void) {
  zx_handle_t root = zx_vmar_root_self(), vmo = new_vmo(4 * PAGE, 0);
  uint8_t* at = map_root(vmo, READ_WRITE, 4 * PAGE);
  memset(at, 0x11, 4 * PAGE);
  OK(op(root, ZX_VMAR_OP_ZERO, at + PAGE, PAGE + 1));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CHECK(all_bytes_are(at, 0x11, PAGE) && all_bytes_are(at + PAGE, 0, 2 * PAGE) && at[3 * PAGE] == 0x11);
  unmap_root(at, 4 * PAGE);
  OK(zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED));
  at = map_root(vmo, READ_WRITE, 4 * PAGE);
  EXPECT(ZX_ERR_BAD_STATE, op(root, ZX_VMAR_OP_ZERO, at, PAGE));
  unmap_root(at, 4 * PAGE);
  OK(zx_handle_close(vmo));
}

// A gap is an error, but what lies before it is done.
static void gaps(void) {
  zx_vaddr_t base = 0, inner_base = 0;
  zx_handle_t vmar = new_vmar(8 * PAGE, &base), vmo = new_vmo(8 * PAGE, 0), inner = ZX_HANDLE_INVALID;
  uint8_t* at = (uint8_t*)base;
  for (size_t i = 0; i < COUNT(ALL_OPS); i++) EXPECT(ZX_ERR_BAD_STATE, op(vmar, ALL_OPS[i], at, 8 * PAGE));
  map_at(vmar, READ_WRITE, PAGE, vmo, PAGE, 2 * PAGE); // [gap][1 2][gap][4][gap]
  map_at(vmar, READ_WRITE, 4 * PAGE, vmo, 4 * PAGE, PAGE);

  EXPECT(ZX_ERR_BAD_STATE, op(vmar, ZX_VMAR_OP_COMMIT, at, 3 * PAGE));
  CHECK_EQ(committed(vmo), 0);
  EXPECT(ZX_ERR_BAD_STATE, op(vmar, ZX_VMAR_OP_COMMIT, at + PAGE, 4 * PAGE));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  memset(at + PAGE, 1, 2 * PAGE);
  at[4 * PAGE] = 1;
  EXPECT(ZX_ERR_BAD_STATE, op(vmar, ZX_VMAR_OP_DECOMMIT, at + 2 * PAGE, 3 * PAGE));
  CHECK(at[PAGE] == 1 && at[2 * PAGE] == 0 && at[4 * PAGE] == 1);
  EXPECT(ZX_ERR_BAD_STATE, op(vmar, ZX_VMAR_OP_DECOMMIT, at + 4 * PAGE, 2 * PAGE));
  CHECK(at[PAGE] == 1 && at[4 * PAGE] == 0);
  OK(op(vmar, ZX_VMAR_OP_DECOMMIT, at + PAGE, 2 * PAGE));
  // A region with nothing in it is a gap.
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC, 3 * PAGE, PAGE, &inner, &inner_base));
  for (size_t i = 0; i < COUNT(ALL_OPS); i++) EXPECT(ZX_ERR_BAD_STATE, op(vmar, ALL_OPS[i], at + PAGE, 4 * PAGE));
  OK(zx_vmar_destroy(vmar));
  const zx_handle_t all[] = {vmar, vmo, inner};
  OK(zx_handle_close_many(all, COUNT(all)));
}

// What each mapping was made with decides, not the handle's rights alone.
static void mappings_of_lesser_handles(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(8 * PAGE, &base), vmo = new_vmo(8 * PAGE, 0);
  zx_handle_t reader = without_rights(vmo, ZX_RIGHT_WRITE), blind = with_rights(vmo, ZX_RIGHT_MAP);
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, PAGE);
  map_at(vmar, ZX_VM_PERM_READ, PAGE, reader, 2 * PAGE, PAGE);
  map_at(vmar, 0, 2 * PAGE, blind, 4 * PAGE, PAGE);

  EXPECT(ZX_ERR_ACCESS_DENIED, op(vmar, ZX_VMAR_OP_COMMIT, at, 2 * PAGE));
  CHECK_EQ(committed(vmo), PAGE);
  at[0] = 5;
  EXPECT(ZX_ERR_ACCESS_DENIED, op(vmar, ZX_VMAR_OP_ZERO, at, 2 * PAGE));
  CHECK_EQ(at[0], 0);
  at[0] = 5;
  EXPECT(ZX_ERR_ACCESS_DENIED, op(vmar, ZX_VMAR_OP_DECOMMIT, at, 2 * PAGE));
  CHECK_EQ(at[0], 0);
  OK(op(vmar, ZX_VMAR_OP_PREFETCH, at, 2 * PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, op(vmar, ZX_VMAR_OP_PREFETCH, at, 3 * PAGE));
  OK(op(vmar, ZX_VMAR_OP_MAP_RANGE, at, 3 * PAGE));
  OK(op(vmar, ZX_VMAR_OP_ALWAYS_NEED, at, 3 * PAGE));
  OK(op(vmar, ZX_VMAR_OP_DONT_NEED, at, 3 * PAGE));
  OK(zx_vmar_destroy(vmar));
  const zx_handle_t all[] = {vmar, vmo, reader, blind};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void regions_inside(void) {
  zx_vaddr_t base = 0, inner_base = 0;
  zx_handle_t vmar = new_vmar(8 * PAGE, &base), vmo = new_vmo(8 * PAGE, 0), inner = ZX_HANDLE_INVALID;
  zx_handle_t childless = without_rights(vmar, ZX_RIGHT_OP_CHILDREN);
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE, PAGE,
                      PAGE, &inner, &inner_base));
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, PAGE);
  uint8_t* inside = map_at(inner, READ_WRITE, 0, vmo, 4 * PAGE, PAGE);

  EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, ZX_VMAR_OP_COMMIT, at, 2 * PAGE));
  CHECK_EQ(committed(vmo), PAGE); // the part before is done
  at[0] = inside[0] = 1;
  EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, ZX_VMAR_OP_DECOMMIT, at, 2 * PAGE));
  CHECK(at[0] == 0 && inside[0] == 1);
  EXPECT(ZX_ERR_INVALID_ARGS, op(vmar, ZX_VMAR_OP_PREFETCH, at, 2 * PAGE));
  const uint32_t entering[] = {ZX_VMAR_OP_MAP_RANGE, ZX_VMAR_OP_DONT_NEED, ZX_VMAR_OP_ALWAYS_NEED, ZX_VMAR_OP_ZERO};
  for (size_t i = 0; i < COUNT(entering); i++) {
    EXPECT(ZX_ERR_INVALID_ARGS, op(childless, entering[i], at, 2 * PAGE));
    OK(op(childless, entering[i], at, PAGE));
  }
  CHECK_EQ(inside[0], 1);
  for (size_t i = 0; i < COUNT(entering); i++) OK(op(vmar, entering[i], at, 2 * PAGE));
  CHECK_EQ(inside[0], 0);
  for (size_t i = 0; i < COUNT(ALL_OPS); i++) OK(op(inner, ALL_OPS[i], inside, PAGE));
  OK(zx_vmar_destroy(vmar));
  const zx_handle_t all[] = {vmar, vmo, inner, childless};
  OK(zx_handle_close_many(all, COUNT(all)));
}

// Mappings that reach beyond the memory, or beyond the content.
static void past_the_end(void) {
  zx_handle_t root = zx_vmar_root_self(), vmo = new_vmo(2 * PAGE, ZX_VMO_RESIZABLE);
  uint8_t* at = map_root(vmo, READ_WRITE, 4 * PAGE);
  at[0] = 3;
  const uint32_t strict[] = {ZX_VMAR_OP_COMMIT, ZX_VMAR_OP_DECOMMIT, ZX_VMAR_OP_ZERO, ZX_VMAR_OP_PREFETCH};
  for (size_t i = 0; i < COUNT(strict); i++) EXPECT(ZX_ERR_OUT_OF_RANGE, op(root, strict[i], at, 4 * PAGE));
  CHECK(at[0] == 3 && committed(vmo) == PAGE);
  const uint32_t lenient[] = {ZX_VMAR_OP_MAP_RANGE, ZX_VMAR_OP_DONT_NEED, ZX_VMAR_OP_ALWAYS_NEED};
  for (size_t i = 0; i < COUNT(lenient); i++) OK(op(root, lenient[i], at, 4 * PAGE));
  CHECK_EQ(committed(vmo), PAGE);
  OK(zx_vmo_set_size(vmo, 4 * PAGE));
  for (size_t i = 0; i < COUNT(ALL_OPS); i++) OK(op(root, ALL_OPS[i], at, 4 * PAGE));
  unmap_root(at, 4 * PAGE);

  OK(zx_vmo_set_stream_size(vmo, PAGE + 1));
  at = map_root(vmo, READ_WRITE | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE, 4 * PAGE);
  for (size_t i = 0; i < COUNT(ALL_OPS); i++) {
    OK(op(root, ALL_OPS[i], at, 2 * PAGE));
    EXPECT(ZX_ERR_OUT_OF_RANGE, op(root, ALL_OPS[i], at, 3 * PAGE));
    EXPECT(ZX_ERR_OUT_OF_RANGE, op(root, ALL_OPS[i], at + 3 * PAGE, PAGE));
  }
  unmap_root(at, 4 * PAGE);
  OK(zx_handle_close(vmo));
}

int main(void) {
  arguments();
  commit();
  decommit();
  machine_memory();
  map_range();
  zero();
  gaps();
  mappings_of_lesser_handles();
  regions_inside();
  past_the_end();
  return 0;
}
