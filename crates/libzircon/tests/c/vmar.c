// VMARs and mappings: allocate, map, unmap, protect, destroy.

#include "check.h"

#define CAN_MAP_ALL \
  (ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE)
#define BAD_ALIGN ((zx_vm_option_t)9 << ZX_VM_ALIGN_BASE)

static zx_handle_t root(void) { return zx_vmar_root_self(); }

static zx_status_t allocate(zx_handle_t parent, zx_vm_option_t options, size_t offset, size_t size) {
  zx_handle_t child = ZX_HANDLE_INVALID;
  zx_vaddr_t at = 0;
  zx_status_t status = zx_vmar_allocate(parent, options, offset, size, &child, &at);
  if (status == ZX_OK) {
    CHECK(at != 0 && at % PAGE == 0 && vmar_info(child).base == at && vmar_info(child).len == size);
    OK(zx_vmar_destroy(child));
    OK(zx_handle_close(child));
  }
  return status;
}

static void allocating(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), event = new_event(), plain = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_BAD_HANDLE, allocate(NOBODY, 0, 0, PAGE));
  EXPECT(ZX_ERR_WRONG_TYPE, allocate(event, 0, 0, PAGE));
  zx_handle_t reader = without_rights(vmar, ZX_RIGHT_WRITE | ZX_RIGHT_EXECUTE);
  OK(allocate(reader, ZX_VM_CAN_MAP_READ, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, allocate(reader, ZX_VM_CAN_MAP_WRITE, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, allocate(reader, ZX_VM_CAN_MAP_EXECUTE, 0, PAGE));

  const zx_vm_option_t refused[] = {
      1u << 16,
      BAD_ALIGN,
      (zx_vm_option_t)33 << ZX_VM_ALIGN_BASE,
      ZX_VM_PERM_READ,
      ZX_VM_SPECIFIC_OVERWRITE,
      ZX_VM_ALLOW_FAULTS,
      ZX_VM_REQUIRE_NON_RESIZABLE,
      ZX_VM_FAULT_BEYOND_STREAM_SIZE,
      ZX_VM_MAP_RANGE,
  };
  for (size_t i = 0; i < COUNT(refused); i++) EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, refused[i], 0, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, 0, 0, PAGE + 1));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, 0, 0, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, 0, PAGE, PAGE)); // an offset that nobody asked for
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_SPECIFIC, 1, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_OFFSET_IS_UPPER_LIMIT, PAGE, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, 0, 0, 17 * PAGE));
  OK(allocate(vmar, ZX_VM_COMPACT, 0, 16 * PAGE));

  // Bounds.
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_SPECIFIC, 16 * PAGE, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_SPECIFIC, 15 * PAGE, 2 * PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_SPECIFIC, SIZE_MAX - PAGE + 1, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_OFFSET_IS_UPPER_LIMIT, 17 * PAGE, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(vmar, ZX_VM_OFFSET_IS_UPPER_LIMIT, PAGE, 2 * PAGE));
  OK(allocate(vmar, ZX_VM_OFFSET_IS_UPPER_LIMIT, 16 * PAGE, 16 * PAGE));
  OK(allocate(vmar, ZX_VM_OFFSET_IS_UPPER_LIMIT, 2 * PAGE, 2 * PAGE));
  OK(allocate(vmar, ZX_VM_SPECIFIC, 15 * PAGE, PAGE));

  // Placing needs the parent's permission, which is not inherited but may be given again.
  zx_vaddr_t at = 0;
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_READ, PAGE, 4 * PAGE, &plain, &at));
  CHECK_EQ(at, base + PAGE);
  EXPECT(ZX_ERR_NO_RESOURCES, allocate(vmar, 0, 0, 12 * PAGE));
  EXPECT(ZX_ERR_NO_RESOURCES, allocate(vmar, ZX_VM_OFFSET_IS_UPPER_LIMIT, 5 * PAGE, 2 * PAGE));
  EXPECT(ZX_ERR_ALREADY_EXISTS, allocate(vmar, ZX_VM_SPECIFIC, 4 * PAGE, PAGE));
  EXPECT(ZX_ERR_ALREADY_EXISTS, allocate(vmar, ZX_VM_SPECIFIC, 0, 2 * PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, allocate(plain, ZX_VM_SPECIFIC, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, allocate(plain, ZX_VM_OFFSET_IS_UPPER_LIMIT, PAGE, PAGE));
  OK(allocate(plain, ZX_VM_CAN_MAP_SPECIFIC, 0, PAGE));
  OK(zx_vmar_destroy(vmar));
  EXPECT(ZX_ERR_BAD_STATE, allocate(vmar, 0, 0, PAGE));
  EXPECT(ZX_ERR_BAD_STATE, allocate(plain, 0, 0, PAGE));

  // Alignment, and its conflict with a given place.
  zx_handle_t child = ZX_HANDLE_INVALID, wide = new_vmar(4 * MIB, &base);
  OK(zx_vmar_allocate(root(), ZX_VM_ALIGN_1GB, 0, PAGE, &child, &at));
  CHECK_EQ(at % ((size_t)1 << 30), 0);
  OK(zx_vmar_destroy(child));
  size_t odd = (base + PAGE) % MIB == 0 ? 2 * PAGE : PAGE;
  EXPECT(ZX_ERR_INVALID_ARGS, allocate(wide, ZX_VM_SPECIFIC | ZX_VM_ALIGN_1MB, odd, PAGE));
  size_t even = MIB - base % MIB;
  OK(allocate(wide, ZX_VM_SPECIFIC | ZX_VM_ALIGN_1MB, even, PAGE));
  OK(zx_vmar_destroy(wide));
  const zx_handle_t all[] = {vmar, event, plain, reader, child, wide};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static zx_status_t map(zx_handle_t vmar, zx_vm_option_t options, size_t offset, zx_handle_t vmo, uint64_t vmo_offset,
                       size_t len) {
  zx_vaddr_t at = 0;
  zx_status_t status = zx_vmar_map(vmar, options, offset, vmo, vmo_offset, len, &at);
  if (status == ZX_OK) {
    CHECK(at != 0 && at % PAGE == 0);
    OK(zx_vmar_unmap(vmar, at, len));
  }
  return status;
}

static void mapping_arguments(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), vmo = new_vmo(4 * PAGE, 0), event = new_event();
  zx_handle_t resizable = new_vmo(4 * PAGE, ZX_VMO_RESIZABLE), discardable = new_vmo(4 * PAGE, ZX_VMO_DISCARDABLE);
  EXPECT(ZX_ERR_BAD_HANDLE, map(NOBODY, READ_WRITE, 0, vmo, 0, PAGE));
  EXPECT(ZX_ERR_WRONG_TYPE, map(event, READ_WRITE, 0, vmo, 0, PAGE));
  EXPECT(ZX_ERR_BAD_HANDLE, map(vmar, READ_WRITE, 0, NOBODY, 0, PAGE));
  EXPECT(ZX_ERR_WRONG_TYPE, map(vmar, READ_WRITE, 0, event, 0, PAGE));

  // Rights of both handles.
  zx_handle_t unmappable = without_rights(vmo, ZX_RIGHT_MAP), vmo_reader = without_rights(vmo, ZX_RIGHT_WRITE);
  zx_handle_t vmo_writer = without_rights(vmo, ZX_RIGHT_READ), vmar_reader = without_rights(vmar, ZX_RIGHT_WRITE);
  EXPECT(ZX_ERR_ACCESS_DENIED, map(vmar, 0, 0, unmappable, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, map(vmar, READ_WRITE, 0, vmo_reader, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, map(vmar, READ_WRITE, 0, vmo_writer, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, map(vmar_reader, READ_WRITE, 0, vmo, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, map(vmar, ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, 0, vmo, 0, PAGE));
  OK(map(vmar, ZX_VM_PERM_READ, 0, vmo_reader, 0, PAGE));
  OK(map(vmar_reader, ZX_VM_PERM_READ, 0, vmo, 0, PAGE));
  OK(map(vmar, 0, 0, vmo, 0, PAGE)); // no access at all is fine

  const zx_vm_option_t refused[] = {
      ZX_VM_PERM_WRITE,
      ZX_VM_PERM_EXECUTE,
      ZX_VM_PERM_READ | ZX_VM_MAP_RANGE | ZX_VM_SPECIFIC_OVERWRITE,
      ZX_VM_PERM_READ | ZX_VM_CAN_MAP_READ,
      ZX_VM_PERM_READ | ZX_VM_CAN_MAP_WRITE,
      ZX_VM_PERM_READ | ZX_VM_CAN_MAP_EXECUTE,
      ZX_VM_PERM_READ | ZX_VM_FAULT_BEYOND_STREAM_SIZE,
      ZX_VM_PERM_READ | 1u << 16,
      ZX_VM_PERM_READ | BAD_ALIGN,
      ZX_VM_PERM_READ | ZX_VM_COMPACT,
      ZX_VM_PERM_READ | ZX_VM_CAN_MAP_SPECIFIC,
  };
  for (size_t i = 0; i < COUNT(refused); i++) EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, refused[i], 0, vmo, 0, PAGE));
  EXPECT(ZX_ERR_NOT_SUPPORTED, map(vmar, ZX_VM_PERM_READ | ZX_VM_REQUIRE_NON_RESIZABLE, 0, resizable, 0, PAGE));
  OK(map(vmar, ZX_VM_PERM_READ | ZX_VM_REQUIRE_NON_RESIZABLE, 0, vmo, 0, PAGE));
  OK(map(vmar, ZX_VM_PERM_READ, 0, resizable, 0, PAGE));
  EXPECT(ZX_ERR_NOT_SUPPORTED, map(vmar, ZX_VM_PERM_READ, 0, discardable, 0, PAGE));
  OK(map(vmar, ZX_VM_PERM_READ | ZX_VM_ALLOW_FAULTS, 0, discardable, 0, PAGE));

  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ, 0, vmo, 1, PAGE));
  EXPECT(ZX_ERR_OUT_OF_RANGE, map(vmar, ZX_VM_PERM_READ, 0, vmo, 0, SIZE_MAX));
  EXPECT(ZX_ERR_OUT_OF_RANGE, map(vmar, ZX_VM_PERM_READ, 0, vmo, UINT64_MAX - PAGE + 1, 2 * PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ, 0, vmo, 0, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ, PAGE, vmo, 0, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 1, vmo, 0, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 15 * PAGE, vmo, 0, 2 * PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS,
         map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC_OVERWRITE | ZX_VM_OFFSET_IS_UPPER_LIMIT, PAGE, vmo, 0, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ, 0, vmo, 0, 17 * PAGE));

  zx_handle_t plain = ZX_HANDLE_INVALID;
  zx_vaddr_t at = 0;
  OK(zx_vmar_allocate(vmar, ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE, 0, PAGE, &plain, &at));
  EXPECT(ZX_ERR_ACCESS_DENIED, map(plain, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 0, vmo, 0, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, map(plain, ZX_VM_PERM_READ | ZX_VM_SPECIFIC_OVERWRITE, 0, vmo, 0, PAGE));
  OK(map(plain, ZX_VM_PERM_READ, 0, vmo, 0, PAGE));
  OK(zx_vmar_destroy(vmar));
  EXPECT(ZX_ERR_BAD_STATE, map(vmar, ZX_VM_PERM_READ, 0, vmo, 0, PAGE));
  EXPECT(ZX_ERR_BAD_STATE, map(vmar, ZX_VM_PERM_READ, 0, vmo, 0, 0));
  const zx_handle_t all[] = {vmar,       vmo,        event,       resizable, discardable,
                             unmappable, vmo_reader, vmo_writer, vmar_reader, plain};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void placing(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), vmo = new_vmo(8 * PAGE, 0), inner = ZX_HANDLE_INVALID;
  for (uint8_t i = 0; i < 8; i++) OK(zx_vmo_write(vmo, &i, i * PAGE, 1));

  uint8_t* at = map_at(vmar, READ_WRITE, 4 * PAGE, vmo, 0, 3 * PAGE + 1); // the length is rounded up
  CHECK_EQ(at, base + 4 * PAGE);
  CHECK(at[PAGE] == 1 && at[3 * PAGE] == 3);
  EXPECT(ZX_ERR_ALREADY_EXISTS, map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 7 * PAGE, vmo, 0, PAGE));
  EXPECT(ZX_ERR_NO_RESOURCES, map(vmar, ZX_VM_PERM_READ, 0, vmo, 0, 9 * PAGE));
  CHECK_EQ(vmo_info(vmo).num_mappings, 1);

  // Overwriting cuts what is there; the rest keeps its offsets and protection.
  zx_vaddr_t over = 0;
  OK(zx_vmar_map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC_OVERWRITE, 5 * PAGE, vmo, 6 * PAGE, PAGE, &over));
  CHECK_EQ(over, at + PAGE);
  CHECK(at[0] == 0 && at[PAGE] == 6 && at[2 * PAGE] == 2 && at[3 * PAGE] == 3);
  CAN_WRITE(at + 2 * PAGE);
  CANNOT_WRITE(at + PAGE);
  CHECK_EQ(vmo_info(vmo).num_mappings, 3);
  // Any region in the way forbids it.
  zx_vaddr_t inner_base = 0;
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC, 9 * PAGE, PAGE, &inner, &inner_base));
  EXPECT(ZX_ERR_INVALID_ARGS, map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC_OVERWRITE, 7 * PAGE, vmo, 0, 4 * PAGE));
  CHECK_EQ(at[3 * PAGE], 3);

  // Neighbours that go on in the VMO become one.
  OK(zx_vmar_unmap(vmar, base, 9 * PAGE));
  map_at(vmar, READ_WRITE, 0, vmo, 0, PAGE);
  map_at(vmar, READ_WRITE, 2 * PAGE, vmo, 2 * PAGE, PAGE);
  CHECK_EQ(vmo_info(vmo).num_mappings, 2);
  map_at(vmar, READ_WRITE, PAGE, vmo, PAGE, PAGE);
  CHECK_EQ(vmo_info(vmo).num_mappings, 1);
  map_at(vmar, READ_WRITE, 3 * PAGE, vmo, 4 * PAGE, PAGE);
  CHECK_EQ(vmo_info(vmo).num_mappings, 2);

  // Below a limit, and with everything taken.
  zx_vaddr_t low = 0;
  OK(zx_vmar_map(vmar, ZX_VM_PERM_READ | ZX_VM_OFFSET_IS_UPPER_LIMIT, 7 * PAGE, vmo, 3 * PAGE, 3 * PAGE, &low));
  CHECK_EQ(low, base + 4 * PAGE);
  CHECK_EQ(*(uint8_t*)low, 3); // the VMO offset counts
  OK(zx_vmar_destroy(vmar));
  CHECK_EQ(vmo_info(vmo).num_mappings, 0);
  const zx_handle_t all[] = {vmar, vmo, inner};
  OK(zx_handle_close_many(all, COUNT(all)));
}

// What MAP_RANGE enters in the page table, and what lies behind the VMO's end.
static void populating(void) {
  zx_handle_t vmo = new_vmo(4 * PAGE, ZX_VMO_RESIZABLE);
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, PAGE, 2 * PAGE, NULL, 0));
  uint8_t* at = map_root(vmo, READ_WRITE | ZX_VM_MAP_RANGE, 6 * PAGE);
  CHECK(!in_page_table(at) && in_page_table(at + PAGE) && in_page_table(at + 2 * PAGE));
  CHECK(!in_page_table(at + 3 * PAGE) && !in_page_table(at + 4 * PAGE));
  CHECK_EQ(committed(vmo), 2 * PAGE);
  CANNOT_READ(at + 4 * PAGE);
  unmap_root(at, 6 * PAGE);
  CANNOT_READ(at);
  OK(zx_handle_close(vmo));
}

static void unmapping(void) {
  zx_vaddr_t base = 0, inner_base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), vmo = new_vmo(8 * PAGE, 0), inner = ZX_HANDLE_INVALID;
  zx_handle_t event = new_event(), childless = without_rights(vmar, ZX_RIGHT_OP_CHILDREN);
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, 8 * PAGE);
  for (int i = 0; i < 8; i++) at[i * PAGE] = (uint8_t)i;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmar_unmap(NOBODY, base, PAGE));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmar_unmap(event, base, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(vmar, base + 1, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(vmar, base, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(vmar, base, SIZE_MAX));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(vmar, base - PAGE, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(vmar, base + 15 * PAGE, 2 * PAGE));

  // A hole in the middle leaves two parts, at their old offsets; a hole is no error.
  OK(zx_vmar_unmap(vmar, base + 3 * PAGE, 1));
  CHECK_EQ(vmo_info(vmo).num_mappings, 2);
  CHECK(at[2 * PAGE] == 2 && at[4 * PAGE] == 4);
  CANNOT_READ(at + 3 * PAGE);
  OK(zx_vmar_unmap(vmar, base + 3 * PAGE, PAGE));
  OK(zx_vmar_unmap(vmar, base + 10 * PAGE, 6 * PAGE));

  // Regions go only whole, and only with the right.
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ, 8 * PAGE, 4 * PAGE, &inner,
                      &inner_base));
  uint8_t* inside = map_at(inner, ZX_VM_PERM_READ, 0, vmo, 0, PAGE);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(vmar, base + 7 * PAGE, 2 * PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_unmap(childless, base, 16 * PAGE));
  CHECK(at[0] == 0 && inside[0] == 0 && at[7 * PAGE] == 7);
  OK(zx_vmar_unmap(childless, base, PAGE));
  OK(zx_vmar_unmap(vmar, base, 16 * PAGE));
  CHECK_EQ(vmo_info(vmo).num_mappings, 0);
  CANNOT_READ(inside);
  EXPECT(ZX_ERR_BAD_STATE, map(inner, ZX_VM_PERM_READ, 0, vmo, 0, PAGE));
  OK(zx_vmar_destroy(vmar));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmar_unmap(vmar, base, PAGE));
  const zx_handle_t all[] = {vmar, vmo, inner, event, childless};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void protecting(void) {
  zx_vaddr_t base = 0, inner_base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), vmo = new_vmo(8 * PAGE, 0), inner = ZX_HANDLE_INVALID;
  zx_handle_t event = new_event(), vmar_reader = without_rights(vmar, ZX_RIGHT_WRITE);
  zx_handle_t vmo_reader = without_rights(vmo, ZX_RIGHT_WRITE), childless = without_rights(vmar, ZX_RIGHT_OP_CHILDREN);
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, 4 * PAGE);
  at[0] = 1;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmar_protect(NOBODY, ZX_VM_PERM_READ, base, PAGE));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmar_protect(event, ZX_VM_PERM_READ, base, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmar_protect(vmar_reader, READ_WRITE, base, PAGE));
  OK(zx_vmar_protect(vmar_reader, ZX_VM_PERM_READ, base, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_WRITE, base, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base + 1, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_READ | 1u << 16, base, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, base, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_READ | ZX_VM_ALIGN_4KB, base, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base + 15 * PAGE, 2 * PAGE));

  // The length is rounded up; what is taken away can be given back; the mapping stays one.
  OK(zx_vmar_protect(vmar, ZX_VM_PERM_READ, base, PAGE + 1));
  CANNOT_WRITE(at);
  CANNOT_WRITE(at + PAGE);
  CAN_WRITE(at + 2 * PAGE);
  OK(zx_vmar_protect(vmar, 0, base, PAGE));
  CANNOT_READ(at);
  OK(zx_vmar_protect(vmar, READ_WRITE, base, 4 * PAGE));
  CAN_WRITE(at);
  CHECK_EQ(at[0], 1);
  CHECK_EQ(vmo_info(vmo).num_mappings, 1);

  // All is checked before anything changes: a gap, then a mapping that may not be written.
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base, 5 * PAGE));
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base + 5 * PAGE, PAGE));
  uint8_t* read_only = map_at(vmar, ZX_VM_PERM_READ, 4 * PAGE, vmo_reader, 4 * PAGE, PAGE);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmar_protect(vmar, READ_WRITE, base, 5 * PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED,
         zx_vmar_protect(vmar, ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE, base, PAGE));
  CAN_WRITE(at);
  CANNOT_WRITE(read_only);

  // Through the parent a region's mappings may lose permissions, not gain them.
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE,
                      5 * PAGE, PAGE, &inner, &inner_base));
  EXPECT(ZX_ERR_NOT_FOUND, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base + 4 * PAGE, 2 * PAGE)); // empty: a gap
  uint8_t* inside = map_at(inner, READ_WRITE, 0, vmo, 0, PAGE);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_protect(childless, ZX_VM_PERM_READ, base + 4 * PAGE, 2 * PAGE));
  OK(zx_vmar_protect(vmar, ZX_VM_PERM_READ, base + 4 * PAGE, 2 * PAGE));
  CANNOT_WRITE(inside);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmar_protect(vmar, READ_WRITE, base + 5 * PAGE, PAGE));
  OK(zx_vmar_protect(inner, READ_WRITE, base + 5 * PAGE, PAGE));
  CAN_WRITE(inside);
  OK(zx_vmar_destroy(vmar));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmar_protect(vmar, ZX_VM_PERM_READ, base, PAGE));
  const zx_handle_t all[] = {vmar, vmo, inner, event, vmar_reader, vmo_reader, childless};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void destroying(void) {
  zx_vaddr_t base = 0, inner_base = 0, again_base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), vmo = new_vmo(PAGE, 0), inner = ZX_HANDLE_INVALID;
  zx_handle_t event = new_event(), childless = without_rights(vmar, ZX_RIGHT_OP_CHILDREN), again = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmar_destroy(NOBODY));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmar_destroy(event));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmar_destroy(childless));
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_vmar_destroy(root()));
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ, 0, 4 * PAGE, &inner,
                      &inner_base));
  uint8_t* at = map_at(inner, ZX_VM_PERM_READ, 0, vmo, 0, PAGE);
  CAN_READ(at);
  OK(zx_vmar_destroy(vmar));
  CANNOT_READ(at);
  EXPECT(ZX_ERR_BAD_STATE, zx_vmar_destroy(vmar));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmar_destroy(inner));

  // The space is free again. Closing all handles of a region, on the other hand, frees nothing.
  size_t offset = base - vmar_info(root()).base;
  OK(zx_vmar_allocate(root(), ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_READ, offset, 16 * PAGE, &again, &again_base));
  zx_vaddr_t mapped = 0;
  OK(zx_vmar_map(again, ZX_VM_PERM_READ, 0, vmo, 0, PAGE, &mapped));
  OK(zx_handle_close(again));
  CAN_READ((void*)mapped);
  EXPECT(ZX_ERR_ALREADY_EXISTS, allocate(root(), ZX_VM_SPECIFIC, offset, PAGE));
  unmap_root((void*)again_base, 16 * PAGE);
  CANNOT_READ((void*)mapped);
  const zx_handle_t all[] = {vmar, vmo, inner, event, childless};
  OK(zx_handle_close_many(all, COUNT(all)));
}

int main(void) {
  CHECK(root() != ZX_HANDLE_INVALID && root() == zx_vmar_root_self());
  allocating();
  mapping_arguments();
  placing();
  populating();
  unmapping();
  protecting();
  destroying();
  return 0;
}
