// Children of VMOs: every refusal in its order, handles, what each kind of child sees, the tree, figures, moved pages.

#include <pthread.h>

#include "check.h"

#define MAX_SIZE (UINT64_MAX - 128 * 1024 + 1)
#define SNAPSHOT ZX_VMO_CHILD_SNAPSHOT
#define SLICE ZX_VMO_CHILD_SLICE
#define REFERENCE ZX_VMO_CHILD_REFERENCE
#define RESIZABLE ZX_VMO_CHILD_RESIZABLE
#define NO_WRITE ZX_VMO_CHILD_NO_WRITE
#define UNKNOWN ((uint32_t)1 << 1)

static const uint32_t snapshots[] = {SNAPSHOT, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, ZX_VMO_CHILD_SNAPSHOT_MODIFIED};

// A VMO whose pages hold 1, 2, 3 and so on.
static zx_handle_t written(uint64_t pages, uint32_t options) {
  zx_handle_t vmo = new_vmo(pages * PAGE, options);
  uint8_t page[PAGE];
  for (uint64_t i = 0; i < pages; i++) {
    memset(page, (int)i + 1, PAGE);
    OK(zx_vmo_write(vmo, page, i * PAGE, PAGE));
  }
  return vmo;
}

static void fill(zx_handle_t vmo, uint64_t page, uint8_t value) {
  uint8_t bytes[PAGE];
  memset(bytes, value, PAGE);
  OK(zx_vmo_write(vmo, bytes, page * PAGE, PAGE));
}

#define HOLDS(vmo, ...) holds(__LINE__, vmo, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
static void holds(int line, zx_handle_t vmo, const uint8_t* values, size_t pages) {
  uint8_t bytes[PAGE];
  uint64_t size = 0;
  OK(zx_vmo_get_size(vmo, &size));
  if (size != pages * PAGE) check_failed(__FILE__, line, "%llu bytes", (unsigned long long)size);
  for (size_t i = 0; i < pages; i++) {
    OK(zx_vmo_read(vmo, bytes, i * PAGE, PAGE));
    if (!all_bytes_are(bytes, values[i], PAGE)) check_failed(__FILE__, line, "page %zu is not %d", i, values[i]);
  }
}

#define REFUSED(status, vmo, options, offset, size)                               \
  do {                                                                            \
    zx_handle_t nothing = 77;                                                     \
    EXPECT(status, zx_vmo_create_child(vmo, options, offset, size, &nothing));    \
    CHECK_EQ(nothing, 77);                                                        \
  } while (0)

static void order_of_checks(void) {
  zx_handle_t event = new_event(), fixed = new_vmo(2 * PAGE, 0), resizable = new_vmo(2 * PAGE, ZX_VMO_RESIZABLE);
  zx_handle_t discardable = new_vmo(2 * PAGE, ZX_VMO_DISCARDABLE | ZX_VMO_RESIZABLE);
  zx_handle_t uncached = new_vmo(2 * PAGE, 0), uncached_resizable = new_vmo(2 * PAGE, ZX_VMO_RESIZABLE);
  OK(zx_vmo_set_cache_policy(uncached, ZX_CACHE_POLICY_UNCACHED));
  OK(zx_vmo_set_cache_policy(uncached_resizable, ZX_CACHE_POLICY_UNCACHED));
  zx_handle_t slice = new_child(fixed, SLICE, 0, PAGE);
  const uint32_t types[] = {SNAPSHOT, snapshots[1], snapshots[2], SLICE, REFERENCE, 0, SNAPSHOT | SLICE, UNKNOWN};
  const zx_handle_t whatever[] = {ZX_HANDLE_INVALID, NOBODY, event, fixed, resizable, discardable, uncached};

  for (size_t t = 0; t < COUNT(types); t++) {
    // 1, 2: before the handle.
    for (size_t i = 0; i < COUNT(whatever); i++) {
      REFUSED(ZX_ERR_OUT_OF_RANGE, whatever[i], types[t] | NO_WRITE | RESIZABLE, 1, UINT64_MAX);
      REFUSED(ZX_ERR_INVALID_ARGS, whatever[i], types[t] | NO_WRITE | RESIZABLE, 1, PAGE);
    }
    // 3: the handle, its type, its rights.
    REFUSED(ZX_ERR_BAD_HANDLE, ZX_HANDLE_INVALID, types[t], 1, PAGE);
    REFUSED(ZX_ERR_BAD_HANDLE, NOBODY, types[t], 1, PAGE);
    zx_handle_t bare = with_rights(event, ZX_RIGHT_NONE);
    REFUSED(ZX_ERR_WRONG_TYPE, event, types[t], 1, PAGE);
    REFUSED(ZX_ERR_WRONG_TYPE, bare, types[t], 1, PAGE);
    REFUSED(ZX_ERR_WRONG_TYPE, zx_vmar_root_self(), types[t], 1, PAGE);
    OK(zx_handle_close(bare));
    const zx_rights_t needed[] = {ZX_RIGHT_DUPLICATE, ZX_RIGHT_READ};
    for (size_t i = 0; i < COUNT(needed); i++) {
      zx_handle_t poor = without_rights(discardable, needed[i]);
      REFUSED(ZX_ERR_ACCESS_DENIED, poor, types[t], 1, PAGE);
      OK(zx_handle_close(poor));
    }
    // 4: before a look at the type.
    REFUSED(ZX_ERR_NOT_SUPPORTED, discardable, types[t], 1, MAX_SIZE + PAGE);
  }

  // 5: slices.
  REFUSED(ZX_ERR_INVALID_ARGS, fixed, SLICE | RESIZABLE, 0, MAX_SIZE + PAGE);
  REFUSED(ZX_ERR_INVALID_ARGS, fixed, SLICE | SNAPSHOT, 0, MAX_SIZE + PAGE);
  REFUSED(ZX_ERR_INVALID_ARGS, fixed, SLICE | UNKNOWN, 0, MAX_SIZE + PAGE);
  REFUSED(ZX_ERR_INVALID_ARGS, fixed, SLICE, 1, MAX_SIZE + PAGE);
  REFUSED(ZX_ERR_OUT_OF_RANGE, fixed, SLICE, 0, MAX_SIZE + PAGE);
  REFUSED(ZX_ERR_INVALID_ARGS, resizable, SLICE, 0, 3 * PAGE);
  REFUSED(ZX_ERR_INVALID_ARGS, uncached, SLICE, 3 * PAGE, 0);
  REFUSED(ZX_ERR_NOT_SUPPORTED, uncached_resizable, SLICE, 0, PAGE);
  REFUSED(ZX_ERR_BAD_STATE, uncached, SLICE, 0, PAGE);

  // References.
  REFUSED(ZX_ERR_INVALID_ARGS, slice, REFERENCE | SNAPSHOT, 0, 0);
  REFUSED(ZX_ERR_INVALID_ARGS, slice, REFERENCE | UNKNOWN, 0, 0);
  REFUSED(ZX_ERR_INVALID_ARGS, slice, REFERENCE, PAGE, 0);
  REFUSED(ZX_ERR_INVALID_ARGS, slice, REFERENCE, 0, 1);
  REFUSED(ZX_ERR_NOT_SUPPORTED, slice, REFERENCE, 0, 0);
  REFUSED(ZX_ERR_NOT_SUPPORTED, uncached, REFERENCE | RESIZABLE, 0, 0);
  zx_handle_t bound = without_rights(uncached_resizable, ZX_RIGHT_RESIZE);
  REFUSED(ZX_ERR_ACCESS_DENIED, bound, REFERENCE | RESIZABLE, 0, 0);
  REFUSED(ZX_ERR_BAD_STATE, bound, REFERENCE, 0, 0);
  REFUSED(ZX_ERR_BAD_STATE, uncached_resizable, REFERENCE | RESIZABLE, 0, 0);

  // Snapshots.
  const uint32_t none[] = {0, RESIZABLE, NO_WRITE, SNAPSHOT | snapshots[1], snapshots[1] | snapshots[2], SNAPSHOT | UNKNOWN};
  for (size_t i = 0; i < COUNT(none); i++) REFUSED(ZX_ERR_INVALID_ARGS, slice, none[i], 1, MAX_SIZE + PAGE);
  for (size_t i = 0; i < COUNT(snapshots); i++) {
    REFUSED(ZX_ERR_INVALID_ARGS, slice, snapshots[i], 1, MAX_SIZE + PAGE);
    REFUSED(ZX_ERR_OUT_OF_RANGE, slice, snapshots[i], 0, MAX_SIZE + PAGE);
    REFUSED(ZX_ERR_OUT_OF_RANGE, uncached, snapshots[i], UINT64_MAX - PAGE + 1, 2 * PAGE);
    REFUSED(ZX_ERR_OUT_OF_RANGE, slice, snapshots[i], 0, 2 * PAGE);
    REFUSED(ZX_ERR_NOT_SUPPORTED, slice, snapshots[i], 0, PAGE);
    REFUSED(ZX_ERR_BAD_STATE, uncached, snapshots[i], 0, PAGE);
    const uint64_t half = (uint64_t)1 << 63;
    zx_handle_t far = new_child(fixed, snapshots[i] | RESIZABLE, half, PAGE);
    REFUSED(ZX_ERR_INVALID_ARGS, far, snapshots[i], half, PAGE);
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_set_size(far, MAX_SIZE + 1));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_set_size(far, half + PAGE));
    OK(zx_vmo_set_size(far, 2 * PAGE));
    OK(zx_handle_close(far));
  }

  // Nobody wants the child: it is gone, and the parent as before.
  OK(zx_handle_close(slice));
  fill(fixed, 0, 1);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create_child(fixed, SNAPSHOT, 0, PAGE, NULL));
  CHECK_EQ(vmo_info(fixed).num_children, 0);
  CHECK_EQ(vmo_info(fixed).committed_private_bytes, PAGE);
  OK(zx_object_wait_one(fixed, ZX_VMO_ZERO_CHILDREN, 0, NULL));
  OK(zx_vmo_op_range(fixed, ZX_VMO_OP_DECOMMIT, 0, PAGE, NULL, 0));
  const zx_handle_t all[] = {event, fixed, resizable, discardable, uncached, uncached_resizable, bound};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void for_devices(void) {
  zx_handle_t event = new_event(), out = 77;
  const zx_handle_t any[] = {ZX_HANDLE_INVALID, NOBODY, event, zx_process_self()};
  for (size_t i = 0; i < COUNT(any); i++) {
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create_contiguous(any[i], 0, 0, &out));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create_contiguous(any[i], PAGE, 11, &out));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create_contiguous(any[i], PAGE, 64, &out));
    zx_status_t status = i < 2 ? ZX_ERR_BAD_HANDLE : ZX_ERR_WRONG_TYPE;
    EXPECT(status, zx_vmo_create_contiguous(any[i], PAGE, 0, &out));
    EXPECT(status, zx_vmo_create_contiguous(any[i], PAGE, 12, NULL));
    EXPECT(status, zx_vmo_create_contiguous(any[i], SIZE_MAX, 63, &out));
    EXPECT(status, zx_vmo_create_physical(any[i], 0, PAGE, &out));
    EXPECT(status, zx_vmo_create_physical(any[i], 1, 0, NULL));
    EXPECT(status, zx_vmo_create_physical(any[i], UINTPTR_MAX, SIZE_MAX, &out));
  }
  CHECK_EQ(out, 77);
  OK(zx_handle_close(event));
}

static void rights_and_names(void) {
  zx_handle_t vmo = new_vmo(PAGE, ZX_VMO_RESIZABLE), with_execute = ZX_HANDLE_INVALID;
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "parent", 6));
  OK(zx_vmo_replace_as_executable(vmo, ZX_HANDLE_INVALID, &with_execute));
  vmo = with_execute;
  const zx_rights_t property = ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_SET_PROPERTY;
  const zx_rights_t lacking[] = {0, ZX_RIGHT_WRITE, property, ZX_RIGHT_RESIZE, ZX_RIGHT_MAP, ZX_RIGHT_EXECUTE};
  for (size_t i = 0; i < COUNT(lacking); i++) {
    zx_handle_t parent = without_rights(vmo, lacking[i]);
    const zx_rights_t base = (rights_of(parent) & ~ZX_RIGHT_RESIZE) | property;
    const zx_rights_t copy = (base | ZX_RIGHT_WRITE) & ~ZX_RIGHT_EXECUTE;
    const struct {
      uint32_t options;
      uint64_t size;
      zx_rights_t rights;
    } made[] = {
        {SNAPSHOT, PAGE, copy},
        {SNAPSHOT | RESIZABLE, PAGE, copy | ZX_RIGHT_RESIZE},
        {SNAPSHOT | NO_WRITE, PAGE, base & ~ZX_RIGHT_WRITE},
        {snapshots[1], PAGE, copy},
        {snapshots[2], PAGE, copy},
        {REFERENCE, 0, base},
        {REFERENCE | NO_WRITE, 0, base & ~ZX_RIGHT_WRITE},
    };
    for (size_t j = 0; j < COUNT(made); j++) {
      zx_handle_t child = new_child(parent, made[j].options, 0, made[j].size);
      CHECK_EQ(rights_of(child), made[j].rights);
      CHECK(strcmp(vmo_info(child).name, lacking[i] & property ? "" : "parent") == 0);
      OK(zx_handle_close(child));
    }
    OK(zx_handle_close(parent));
  }
  OK(zx_handle_close(vmo));

  // A slice has what its parent's handle has.
  vmo = new_vmo(PAGE, 0);
  zx_handle_t reader = without_rights(vmo, ZX_RIGHT_WRITE), slice = new_child(reader, SLICE, 0, PAGE);
  CHECK_EQ(rights_of(slice), rights_of(reader));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_write(slice, "x", 0, 1));
  zx_vaddr_t at = 0;
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmar_map(zx_vmar_root_self(), READ_WRITE, 0, slice, 0, PAGE, &at));
  const zx_handle_t all[] = {vmo, reader, slice};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void flags_and_sizes(void) {
  uint64_t size = 0;
  zx_handle_t vmo = new_vmo(2 * PAGE - 3, ZX_VMO_RESIZABLE);
  zx_handle_t copy = new_child(vmo, SNAPSHOT, 0, PAGE + 1), frozen = new_child(vmo, SNAPSHOT | NO_WRITE, 0, PAGE);
  zx_handle_t same = new_child(vmo, REFERENCE | RESIZABLE, 0, 0), bound = new_child(vmo, REFERENCE, 0, 0);
  CHECK_EQ(vmo_info(copy).flags, ZX_INFO_VMO_TYPE_PAGED | ZX_INFO_VMO_VIA_HANDLE | ZX_INFO_VMO_IS_COW_CLONE);
  CHECK_EQ(vmo_info(frozen).flags, vmo_info(copy).flags | ZX_INFO_VMO_IMMUTABLE);
  CHECK_EQ(vmo_info(same).flags, vmo_info(vmo).flags);
  OK(zx_vmo_get_stream_size(copy, &size));
  CHECK_EQ(size, PAGE + 1);
  CHECK_EQ(vmo_info(copy).size_bytes, 2 * PAGE);
  OK(zx_vmo_get_stream_size(same, &size));
  CHECK_EQ(size, 2 * PAGE - 3);
  EXPECT(ZX_ERR_UNAVAILABLE, zx_vmo_set_size(copy, PAGE));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_set_size(bound, PAGE));
  OK(zx_vmo_set_size(same, PAGE));
  OK(zx_vmo_get_size(vmo, &size));
  CHECK_EQ(size, PAGE);
  OK(zx_vmo_set_size(vmo, 3 * PAGE));
  OK(zx_vmo_get_size(bound, &size));
  CHECK_EQ(size, 3 * PAGE);
  OK(zx_vmo_set_stream_size(bound, 5));
  OK(zx_vmo_get_stream_size(same, &size));
  CHECK_EQ(size, 5);
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED));
  EXPECT(ZX_ERR_BAD_STATE, zx_vmo_set_cache_policy(same, ZX_CACHE_POLICY_UNCACHED));
  const zx_handle_t all[] = {vmo, copy, frozen, same, bound};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void content(void) {
  for (size_t i = 0; i < COUNT(snapshots); i++) {
    zx_handle_t vmo = written(3, ZX_VMO_RESIZABLE);
    uint8_t* of_vmo = map_root(vmo, READ_WRITE, 3 * PAGE);
    of_vmo[0] = of_vmo[PAGE - 1];
    zx_handle_t copy = new_child(vmo, snapshots[i] | RESIZABLE, PAGE, 3 * PAGE);
    uint8_t* of_copy = map_root(copy, READ_WRITE, 3 * PAGE);
    HOLDS(copy, 2, 3, 0);

    // By calls, and by stores to mappings from before and after.
    memset(of_vmo + PAGE, 11, PAGE);
    fill(vmo, 2, 12);
    HOLDS(copy, 2, 3, 0);
    memset(of_copy, 21, PAGE);
    fill(copy, 2, 22);
    HOLDS(vmo, 1, 11, 12);
    HOLDS(copy, 21, 3, 22);
    CHECK(all_bytes_are(of_copy + PAGE, 3, PAGE) && all_bytes_are(of_vmo + 2 * PAGE, 12, PAGE));

    // Ends: growing shows zeros, on either side.
    OK(zx_vmo_set_size(vmo, PAGE));
    OK(zx_vmo_set_size(vmo, 3 * PAGE));
    HOLDS(vmo, 1, 0, 0);
    HOLDS(copy, 21, 3, 22);
    OK(zx_vmo_set_size(copy, PAGE));
    CANNOT_READ(of_copy + PAGE);
    OK(zx_vmo_set_size(copy, 3 * PAGE));
    HOLDS(copy, 21, 0, 0);

    // A clone of the clone sees what that could see, and outlives it.
    zx_handle_t last = new_child(copy, snapshots[i], 0, 4 * PAGE);
    unmap_root(of_copy, 3 * PAGE);
    OK(zx_handle_close(copy));
    fill(vmo, 1, 99);
    HOLDS(last, 21, 0, 0, 0);
    unmap_root(of_vmo, 3 * PAGE);
    OK(zx_handle_close(vmo));
    HOLDS(last, 21, 0, 0, 0);
    OK(zx_handle_close(last));
  }

  // Windows and references are the parent's memory.
  zx_handle_t vmo = written(3, 0), slice = new_child(vmo, SLICE, PAGE, 2 * PAGE), same = new_child(vmo, REFERENCE, 0, 0);
  uint8_t* at = map_root(slice, READ_WRITE, 2 * PAGE);
  memset(at, 8, PAGE);
  HOLDS(vmo, 1, 8, 3);
  fill(same, 2, 9);
  HOLDS(slice, 8, 9);
  CHECK(all_bytes_are(at + PAGE, 9, PAGE));
  uint8_t byte;
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_read(slice, &byte, 2 * PAGE, 1));
  OK(zx_handle_close(vmo));
  HOLDS(same, 1, 8, 9);
  unmap_root(at, 2 * PAGE);
  OK(zx_handle_close(slice));
  OK(zx_handle_close(same));
}

static void operations(void) {
  zx_handle_t vmo = written(3, 0), copy = new_child(vmo, SNAPSHOT, 0, 3 * PAGE), slice = new_child(vmo, SLICE, 0, PAGE);
  const zx_handle_t both[] = {vmo, copy};
  for (size_t i = 0; i < COUNT(both); i++) {
    EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_op_range(both[i], ZX_VMO_OP_DECOMMIT, 1, 3 * PAGE, NULL, 0));
    OK(zx_vmo_op_range(both[i], ZX_VMO_OP_DECOMMIT, 1, 0, NULL, 0));
    EXPECT(ZX_ERR_NOT_SUPPORTED, zx_vmo_op_range(both[i], ZX_VMO_OP_DECOMMIT, 1, PAGE, NULL, 0));
    EXPECT(ZX_ERR_NOT_SUPPORTED, zx_vmo_op_range(both[i], ZX_VMO_OP_LOCK, 0, 3 * PAGE, NULL, 0));
    OK(zx_vmo_op_range(both[i], ZX_VMO_OP_PREFETCH, 0, 3 * PAGE, NULL, 0));
    CHECK_EQ(vmo_info(both[i]).committed_bytes, 3 * PAGE);
    CHECK_EQ(vmo_info(both[i]).committed_private_bytes, 0);
  }
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_vmo_op_range(slice, ZX_VMO_OP_DECOMMIT, 0, PAGE, NULL, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_op_range(slice, ZX_VMO_OP_ZERO, 0, 2 * PAGE, NULL, 0));
  OK(zx_vmo_op_range(slice, ZX_VMO_OP_ZERO, 0, PAGE, NULL, 0));
  OK(zx_vmo_op_range(copy, ZX_VMO_OP_ZERO, PAGE, PAGE, NULL, 0));
  OK(zx_vmo_op_range(copy, ZX_VMO_OP_COMMIT, 2 * PAGE, PAGE, NULL, 0));
  HOLDS(vmo, 0, 2, 3);
  HOLDS(copy, 1, 0, 3);
  CHECK_EQ(vmo_info(vmo).committed_private_bytes, 2 * PAGE);
  CHECK_EQ(vmo_info(copy).committed_private_bytes, 2 * PAGE);
  OK(zx_handle_close(copy));
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, 3 * PAGE, NULL, 0));
  CHECK_EQ(committed(vmo), 0);
  OK(zx_handle_close(slice));
  OK(zx_handle_close(vmo));
}

static zx_koid_t koid_of(zx_handle_t vmo) { return vmo_info(vmo).koid; }

static void no_children_soon(zx_handle_t vmo) {
  OK(zx_object_wait_one(vmo, ZX_VMO_ZERO_CHILDREN, zx_deadline_after(ZX_SEC(10)), NULL));
  CHECK_EQ(vmo_info(vmo).num_children, 0);
}

static void has_children(zx_handle_t vmo, uint64_t count) {
  EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_one(vmo, ZX_VMO_ZERO_CHILDREN, 0, NULL));
  CHECK_EQ(vmo_info(vmo).num_children, count);
}

static void tree(void) {
  const struct {
    uint32_t options;
    uint64_t size;
  } types[] = {{SNAPSHOT, PAGE}, {snapshots[1], PAGE}, {snapshots[2], PAGE}, {SLICE, PAGE}, {REFERENCE, 0}};
  zx_handle_t vmo = written(1, 0);
  for (size_t i = 0; i < COUNT(types); i++) {
    zx_handle_t child = new_child(vmo, types[i].options, 0, types[i].size);
    has_children(vmo, 1);
    CHECK_EQ(vmo_info(child).parent_koid, koid_of(vmo));
    // It lives until its last mapping is gone.
    uint8_t* at = map_root(child, READ_WRITE, PAGE);
    OK(zx_handle_close(child));
    has_children(vmo, 1);
    CHECK_EQ(at[0], 1);
    unmap_root(at, PAGE);
    no_children_soon(vmo);
  }
  // Children of one that goes become its parent's; without one they are orphans.
  zx_handle_t middle = new_child(vmo, SNAPSHOT, 0, PAGE), last = new_child(middle, SNAPSHOT, 0, PAGE);
  zx_handle_t slice = new_child(middle, SLICE, 0, PAGE);
  has_children(vmo, 1);
  OK(zx_handle_close(middle));
  has_children(vmo, 2);
  CHECK_EQ(vmo_info(last).parent_koid, koid_of(vmo));
  CHECK_EQ(vmo_info(slice).parent_koid, koid_of(vmo));
  OK(zx_handle_close(vmo));
  CHECK_EQ(vmo_info(last).parent_koid, 0);
  CHECK_EQ(vmo_info(last).flags, ZX_INFO_VMO_TYPE_PAGED | ZX_INFO_VMO_VIA_HANDLE);
  HOLDS(last, 1);
  HOLDS(slice, 1);
  OK(zx_handle_close(last));
  OK(zx_handle_close(slice));
}

static void figures(void) {
  zx_handle_t vmo = written(1, 0), copy = new_child(vmo, SNAPSHOT, 0, 2 * PAGE);
  fill(copy, 1, 2);
  zx_handle_t last = new_child(copy, SNAPSHOT, 0, 3 * PAGE);
  // One page of three, one of two.
  const struct {
    zx_handle_t vmo;
    uint64_t committed, scaled;
  } all[] = {{vmo, PAGE, 1365}, {copy, 2 * PAGE, 3413}, {last, 2 * PAGE, 3413}};
  for (size_t i = 0; i < COUNT(all); i++) {
    zx_info_vmo_t info = vmo_info(all[i].vmo);
    CHECK_EQ(info.committed_bytes, all[i].committed);
    CHECK_EQ(info.populated_bytes, all[i].committed);
    CHECK_EQ(info.committed_private_bytes, 0);
    CHECK_EQ(info.committed_scaled_bytes, all[i].scaled);
    CHECK_EQ(info.committed_fractional_scaled_bytes, ((uint64_t)1 << 63) / 3);
    CHECK_EQ(info.populated_scaled_bytes, all[i].scaled);
    CHECK_EQ(info.populated_fractional_scaled_bytes, ((uint64_t)1 << 63) / 3);
  }
  OK(zx_handle_close(last));
  CHECK_EQ(vmo_info(copy).committed_scaled_bytes, PAGE + PAGE / 2);
  CHECK_EQ(vmo_info(copy).committed_fractional_scaled_bytes, 0);
  OK(zx_handle_close(vmo));
  CHECK_EQ(vmo_info(copy).committed_private_bytes, 2 * PAGE);
  OK(zx_handle_close(copy));
}

static void moved_pages(void) {
  zx_handle_t dst = written(3, 0), src = written(3, 0), event = new_event();
  zx_handle_t of_dst = new_child(dst, SNAPSHOT, 0, 3 * PAGE), of_src = new_child(src, SNAPSHOT, 0, 3 * PAGE);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_transfer_data(NOBODY, 1, 0, PAGE, NOBODY, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_transfer_data(NOBODY, 0, 1, PAGE, NOBODY, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_transfer_data(NOBODY, 0, 0, 1, NOBODY, 0));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_transfer_data(NOBODY, 0, 0, PAGE, NOBODY, 1));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_transfer_data(NOBODY, 0, 0, PAGE, event, 0));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_transfer_data(event, 0, 0, PAGE, NOBODY, 0));
  zx_handle_t poor = without_rights(dst, ZX_RIGHT_WRITE);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_transfer_data(poor, 0, 0, PAGE, event, 0));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_transfer_data(src, 0, 0, 9 * PAGE, poor, 0));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_transfer_data(dst, 0, 0, PAGE, NOBODY, 0));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_transfer_data(dst, 0, 0, PAGE, event, 0));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_transfer_data(dst, 0, 0, 2 * PAGE, src, 2 * PAGE));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zx_vmo_transfer_data(dst, 0, 2 * PAGE, 2 * PAGE, src, 0));
  OK(zx_vmo_transfer_data(dst, 0, 0, 9 * PAGE, dst, 0)); // onto itself
  HOLDS(dst, 1, 2, 3);
  HOLDS(src, 1, 2, 3);
  OK(zx_vmo_transfer_data(dst, 0, 0, 2 * PAGE, src, PAGE));
  HOLDS(dst, 2, 3, 3);
  HOLDS(src, 1, 0, 0);
  HOLDS(of_dst, 1, 2, 3);
  HOLDS(of_src, 1, 2, 3);
  OK(zx_vmo_transfer_data(dst, 0, PAGE, 2 * PAGE, dst, 0)); // overlapping
  HOLDS(dst, 0, 2, 3);
  const zx_handle_t all[] = {dst, src, event, of_dst, of_src, poor};
  OK(zx_handle_close_many(all, COUNT(all)));
}

// ---- A thread that stores while copies are made ----

#define ROWS 32

static _Atomic uint64_t* table;
static _Atomic uint64_t stored;
static atomic_bool stop;

static _Atomic uint64_t* row(_Atomic uint64_t* first, uint64_t number) {
  return first + number % ROWS * (PAGE / sizeof *first);
}

static void* keep_storing(void* unused) {
  (void)unused;
  for (uint64_t number = ROWS; !atomic_load(&stop); number++) {
    atomic_store(row(table, number), number);
    atomic_store(&stored, number);
  }
  return NULL;
}

// The latest number, if those before it are there.
static uint64_t instant(_Atomic uint64_t* first) {
  uint64_t latest = 0;
  for (uint64_t i = 0; i < ROWS; i++) latest = *row(first, i) > latest ? *row(first, i) : latest;
  for (uint64_t i = 0; i < ROWS; i++) CHECK_EQ(*row(first, latest - i), latest - i);
  return latest;
}

static void while_storing(void) {
  zx_handle_t vmo = new_vmo(ROWS * PAGE, 0);
  table = (_Atomic uint64_t*)map_root(vmo, READ_WRITE, ROWS * PAGE);
  for (uint64_t i = 0; i < ROWS; i++) *row(table, i) = i;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, keep_storing, NULL) == 0);
  uint64_t held = 0;
  for (int i = 0; i < 100; i++) {
    while (atomic_load(&stored) <= held) sched_yield();
    uint64_t known = atomic_load(&stored);
    zx_handle_t copy = new_child(vmo, SNAPSHOT, 0, ROWS * PAGE);
    _Atomic uint64_t* at = (_Atomic uint64_t*)map_root(copy, ZX_VM_PERM_READ, ROWS * PAGE);
    held = instant(at);
    CHECK(held >= known);
    CHECK_EQ(instant(at), held);
    unmap_root((void*)at, ROWS * PAGE);
    OK(zx_handle_close(copy));
  }
  atomic_store(&stop, true);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_EQ(instant(table), stored);
  unmap_root((void*)table, ROWS * PAGE);
  OK(zx_handle_close(vmo));
}

int main(void) {
  order_of_checks();
  for_devices();
  rights_and_names();
  flags_and_sizes();
  content();
  operations();
  tree();
  figures();
  moved_pages();
  while_storing();
  return 0;
}
