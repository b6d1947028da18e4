// zx_object_get_info and properties.

#include "check.h"

static zx_status_t info(zx_handle_t handle, uint32_t topic, void* buffer, size_t size, size_t* actual, size_t* avail) {
  return zx_object_get_info(handle, topic, buffer, size, actual, avail);
}

static void topics(void) {
  zx_handle_t event = new_event(), vmo = new_vmo(PAGE, 0);
  uint8_t buffer[256];
  size_t actual = 9, avail = 9;
  // An unknown topic or version comes before everything else.
  EXPECT(ZX_ERR_NOT_SUPPORTED, info(NOBODY, 99, buffer, sizeof buffer, &actual, &avail));
  EXPECT(ZX_ERR_NOT_SUPPORTED, info(vmo, 23 | 9u << 28, buffer, sizeof buffer, &actual, &avail));
  EXPECT(ZX_ERR_BAD_HANDLE, info(NOBODY, ZX_INFO_HANDLE_BASIC, buffer, sizeof buffer, &actual, &avail));
  EXPECT(ZX_ERR_BAD_HANDLE, info(NOBODY, ZX_INFO_HANDLE_VALID, NULL, 0, NULL, NULL));

  const uint32_t typed[] = {ZX_INFO_VMAR, ZX_INFO_VMAR_MAPS, ZX_INFO_PROCESS_MAPS, ZX_INFO_VMO};
  for (size_t i = 0; i < COUNT(typed); i++) {
    EXPECT(ZX_ERR_WRONG_TYPE, info(event, typed[i], buffer, sizeof buffer, &actual, &avail));
  }
  CHECK(actual == 9 && avail == 9);

  OK(info(event, ZX_INFO_HANDLE_VALID, NULL, 0, &actual, &avail));
  CHECK(actual == 9 && avail == 9);
  OK(zx_handle_close(event));
  OK(zx_handle_close(vmo));
}

// What INSPECT is needed for.
static void inspect(void) {
  uint8_t buffer[256];
  zx_handle_t vmo = new_vmo(PAGE, 0), bare = with_rights(vmo, ZX_RIGHT_NONE);
  zx_handle_t vmar = without_rights(zx_vmar_root_self(), ZX_RIGHT_INSPECT);
  zx_handle_t process = without_rights(zx_process_self(), ZX_RIGHT_INSPECT);
  OK(info(bare, ZX_INFO_HANDLE_BASIC, buffer, sizeof buffer, NULL, NULL));
  OK(info(bare, ZX_INFO_VMO, buffer, sizeof buffer, NULL, NULL));
  EXPECT(ZX_ERR_ACCESS_DENIED, info(bare, ZX_INFO_HANDLE_COUNT, buffer, sizeof buffer, NULL, NULL));
  EXPECT(ZX_ERR_ACCESS_DENIED, info(vmar, ZX_INFO_VMAR, buffer, sizeof buffer, NULL, NULL));
  EXPECT(ZX_ERR_ACCESS_DENIED, info(vmar, ZX_INFO_VMAR_MAPS, buffer, sizeof buffer, NULL, NULL));
  EXPECT(ZX_ERR_ACCESS_DENIED, info(process, ZX_INFO_PROCESS_MAPS, buffer, sizeof buffer, NULL, NULL));
  const zx_handle_t all[] = {vmo, bare, vmar, process};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void single_records(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0);
  uint8_t buffer[64];
  size_t actual = 9, avail = 9;
  memset(buffer, 0xaa, sizeof buffer);
  EXPECT(ZX_ERR_BUFFER_TOO_SMALL,
         info(vmo, ZX_INFO_HANDLE_BASIC, buffer, sizeof(zx_info_handle_basic_t) - 1, &actual, &avail));
  CHECK(actual == 0 && avail == 1 && all_bytes_are(buffer, 0xaa, sizeof buffer));
  EXPECT(ZX_ERR_BUFFER_TOO_SMALL, info(vmo, ZX_INFO_HANDLE_BASIC, NULL, 0, NULL, NULL));

  OK(info(vmo, ZX_INFO_HANDLE_BASIC, buffer, sizeof buffer, &actual, &avail));
  CHECK(actual == 1 && avail == 1);
  const zx_info_handle_basic_t* basic = (const void*)buffer;
  CHECK(basic->koid >= ZX_KOID_FIRST && basic->rights == ZX_DEFAULT_VMO_RIGHTS && basic->type == ZX_OBJ_TYPE_VMO);
  CHECK(basic->related_koid == 0 && basic->reserved == 0);
  CHECK(all_bytes_are(buffer + sizeof *basic, 0xaa, sizeof buffer - sizeof *basic));

  // One object, one koid; another object, another.
  zx_handle_t same = with_rights(vmo, ZX_RIGHT_READ), other = new_vmo(PAGE, 0);
  zx_info_handle_basic_t of_same, of_other;
  OK(info(same, ZX_INFO_HANDLE_BASIC, &of_same, sizeof of_same, NULL, NULL));
  OK(info(other, ZX_INFO_HANDLE_BASIC, &of_other, sizeof of_other, NULL, NULL));
  CHECK(of_same.koid == basic->koid && of_other.koid != basic->koid && of_same.rights == ZX_RIGHT_READ);
  const zx_handle_t all[] = {vmo, same, other};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void about_vmos(void) {
  zx_handle_t vmo = new_vmo(3 * PAGE, 0);
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "example", 7));
  uint8_t* at = map_root(vmo, READ_WRITE, 3 * PAGE);
  uint8_t* again = map_root(vmo, ZX_VM_PERM_READ, PAGE);
  at[0] = at[PAGE] = 1;
  zx_info_vmo_t got = vmo_info(vmo);
  CHECK(strcmp(got.name, "example") == 0);
  CHECK_EQ(got.size_bytes, 3 * PAGE);
  CHECK_EQ(got.num_mappings, 2);
  CHECK_EQ(got.share_count, 1);
  CHECK_EQ(got.num_children, 0);
  CHECK_EQ(got.flags, ZX_INFO_VMO_TYPE_PAGED | ZX_INFO_VMO_VIA_HANDLE);
  CHECK_EQ(got.handle_rights, ZX_DEFAULT_VMO_RIGHTS);
  CHECK_EQ(got.committed_bytes, 2 * PAGE);
  CHECK_EQ(got.populated_bytes, 2 * PAGE);
  CHECK_EQ(got.committed_private_bytes, 2 * PAGE);
  CHECK_EQ(got.committed_scaled_bytes, 2 * PAGE);
  CHECK(got.metadata_bytes != 0);

  // Each older version is a prefix with a size of its own.
  const struct {
    uint32_t topic;
    size_t size;
  } versions[] = {{ZX_INFO_VMO_V1, 104}, {ZX_INFO_VMO_V2, 120}, {ZX_INFO_VMO_V3, 128}, {ZX_INFO_VMO, 176}};
  for (size_t i = 0; i < COUNT(versions); i++) {
    uint8_t buffer[200];
    memset(buffer, 0x55, sizeof buffer);
    EXPECT(ZX_ERR_BUFFER_TOO_SMALL, info(vmo, versions[i].topic, buffer, versions[i].size - 1, NULL, NULL));
    OK(info(vmo, versions[i].topic, buffer, versions[i].size, NULL, NULL));
    CHECK(memcmp(buffer, &got, versions[i].size) == 0);
    CHECK(all_bytes_are(buffer + versions[i].size, 0x55, sizeof buffer - versions[i].size));
  }
  unmap_root(at, 3 * PAGE);
  unmap_root(again, PAGE);
  CHECK_EQ(vmo_info(vmo).num_mappings, 0);
  OK(zx_handle_close(vmo));

  vmo = new_vmo(PAGE, ZX_VMO_RESIZABLE | ZX_VMO_DISCARDABLE);
  CHECK_EQ(vmo_info(vmo).flags,
           ZX_INFO_VMO_TYPE_PAGED | ZX_INFO_VMO_VIA_HANDLE | ZX_INFO_VMO_RESIZABLE | ZX_INFO_VMO_DISCARDABLE);
  CHECK_EQ(vmo_info(vmo).metadata_bytes, 0);
  OK(zx_handle_close(vmo));
}

static void about_vmars(void) {
  zx_info_vmar_t root = vmar_info(zx_vmar_root_self());
  CHECK(root.base % PAGE == 0 && root.len % PAGE == 0 && root.len >= (size_t)1 << 32);
  zx_vaddr_t base = 0, inner_base = 0;
  zx_handle_t vmar = new_vmar(16 * PAGE, &base), inner = ZX_HANDLE_INVALID, vmo = new_vmo(4 * PAGE, 0);
  CHECK(vmar_info(vmar).base == base && vmar_info(vmar).len == 16 * PAGE);
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "mapped", 6));
  uint8_t* low = map_at(vmar, READ_WRITE, PAGE, vmo, PAGE, 3 * PAGE);
  OK(zx_vmar_allocate(vmar, ZX_VM_SPECIFIC | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ, 8 * PAGE, 4 * PAGE, &inner,
                      &inner_base));
  map_at(inner, ZX_VM_PERM_READ, 0, vmo, 0, PAGE);
  OK(zx_vmar_protect(vmar, ZX_VM_PERM_READ, (zx_vaddr_t)low + PAGE, PAGE));
  low[0] = 1;

  // Depth first, by address; one record per run of equal protection.
  const struct {
    uint32_t type, mmu_flags;
    size_t depth, base, size, vmo_offset, committed;
  } want[] = {
      {ZX_INFO_MAPS_TYPE_VMAR, 0, 0, 0, 16 * PAGE, 0, 0},
      {ZX_INFO_MAPS_TYPE_MAPPING, READ_WRITE, 1, PAGE, PAGE, PAGE, PAGE},
      {ZX_INFO_MAPS_TYPE_MAPPING, ZX_VM_PERM_READ, 1, 2 * PAGE, PAGE, 2 * PAGE, 0},
      {ZX_INFO_MAPS_TYPE_MAPPING, READ_WRITE, 1, 3 * PAGE, PAGE, 3 * PAGE, 0},
      {ZX_INFO_MAPS_TYPE_VMAR, 0, 1, 8 * PAGE, 4 * PAGE, 0, 0},
      {ZX_INFO_MAPS_TYPE_MAPPING, ZX_VM_PERM_READ, 2, 8 * PAGE, PAGE, 0, 0},
  };
  zx_info_maps_t records[16];
  size_t actual = 0, avail = 0;
  OK(info(vmar, ZX_INFO_VMAR_MAPS, records, sizeof records, &actual, &avail));
  CHECK(actual == COUNT(want) && avail == COUNT(want));
  for (size_t i = 0; i < COUNT(want); i++) {
    CHECK_EQ(records[i].type, want[i].type);
    CHECK_EQ(records[i].depth, want[i].depth);
    CHECK_EQ(records[i].base, base + want[i].base);
    CHECK_EQ(records[i].size, want[i].size);
    if (want[i].type == ZX_INFO_MAPS_TYPE_MAPPING) {
      CHECK(strcmp(records[i].name, "mapped") == 0);
      CHECK_EQ(records[i].u.mapping.mmu_flags, want[i].mmu_flags);
      CHECK_EQ(records[i].u.mapping.vmo_offset, want[i].vmo_offset);
      CHECK_EQ(records[i].u.mapping.committed_bytes, want[i].committed);
      CHECK_EQ(records[i].u.mapping.vmo_koid, vmo_info(vmo).koid);
    } else {
      CHECK(strcmp(records[i].name, "useralloc") == 0);
    }
  }
  // A short buffer gets what fits, and the count of all.
  OK(info(vmar, ZX_INFO_VMAR_MAPS, records, 2 * sizeof *records + 1, &actual, &avail));
  CHECK(actual == 2 && avail == COUNT(want));
  OK(info(vmar, ZX_INFO_VMAR_MAPS, NULL, 0, &actual, &avail));
  CHECK(actual == 0 && avail == COUNT(want));
  OK(info(vmar, ZX_INFO_VMAR_MAPS, records, sizeof records, NULL, NULL));

  OK(zx_vmar_destroy(vmar));
  CHECK_EQ(vmar_info(vmar).base, base);
  EXPECT(ZX_ERR_BAD_STATE, info(vmar, ZX_INFO_VMAR_MAPS, records, sizeof records, NULL, NULL));
  const zx_handle_t all[] = {vmar, inner, vmo};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void about_the_process(void) {
  zx_handle_t vmo = new_vmo(2 * PAGE, 0);
  uint8_t* at = map_root(vmo, READ_WRITE, 2 * PAGE);
  at[0] = 1;
  zx_info_maps_t records[8];
  size_t actual = 0, avail = 0;
  OK(info(zx_process_self(), ZX_INFO_PROCESS_MAPS, records, sizeof records, &actual, &avail));
  CHECK(actual == 3 && avail == 3);
  CHECK(records[0].type == ZX_INFO_MAPS_TYPE_ASPACE && records[0].depth == 0);
  CHECK(records[1].type == ZX_INFO_MAPS_TYPE_VMAR && records[1].depth == 1 && strcmp(records[1].name, "root") == 0);
  CHECK(records[2].type == ZX_INFO_MAPS_TYPE_MAPPING && records[2].depth == 2);
  CHECK_EQ(records[2].base, (uintptr_t)at);
  CHECK_EQ(records[2].u.mapping.committed_bytes, PAGE);
  // The older records count pages.
  zx_info_maps_v1_t first[8];
  zx_info_maps_v2_t second[8];
  OK(info(zx_process_self(), ZX_INFO_PROCESS_MAPS_V1, first, sizeof first, &actual, NULL));
  CHECK(actual == 3 && first[2].u.mapping.committed_pages == 1);
  OK(info(zx_process_self(), ZX_INFO_PROCESS_MAPS_V2, second, sizeof second, &actual, NULL));
  CHECK(actual == 3 && second[2].u.mapping.committed_pages == 1 && second[2].u.mapping.populated_pages == 1);
  unmap_root(at, 2 * PAGE);
  OK(zx_handle_close(vmo));
}

static void names(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0), event = new_event();
  char name[40];
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_get_property(NOBODY, ZX_PROP_NAME, NULL, 32));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_set_property(NOBODY, ZX_PROP_NAME, NULL, 0));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_object_get_property(NOBODY, ZX_PROP_NAME, name, 32));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_object_set_property(NOBODY, ZX_PROP_NAME, name, 0));
  // Events have no names, and their handles no right to ask for one.
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_get_property(event, ZX_PROP_NAME, name, 32));
  zx_handle_t bare = without_rights(vmo, ZX_RIGHTS_PROPERTY);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_get_property(bare, ZX_PROP_NAME, name, 32));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_set_property(bare, ZX_PROP_NAME, "x", 1));
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_object_get_property(vmo, 99, name, 32));
  EXPECT(ZX_ERR_NOT_SUPPORTED, zx_object_set_property(vmo, 99, name, 32));
  EXPECT(ZX_ERR_BUFFER_TOO_SMALL, zx_object_get_property(vmo, ZX_PROP_NAME, name, 31));

  // Always 32 bytes, the last a NUL; what is too long is cut.
  memset(name, 'x', sizeof name);
  OK(zx_object_get_property(vmo, ZX_PROP_NAME, name, sizeof name));
  CHECK(all_bytes_are(name, 0, 32) && name[32] == 'x');
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "0123456789012345678901234567890123456789", 40));
  OK(zx_object_get_property(vmo, ZX_PROP_NAME, name, 32));
  CHECK(strcmp(name, "0123456789012345678901234567890") == 0);
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "short", 5));
  OK(zx_object_get_property(vmo, ZX_PROP_NAME, name, 32));
  CHECK(strcmp(name, "short") == 0 && all_bytes_are(name + 5, 0, 27));
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "", 0));
  OK(zx_object_get_property(vmo, ZX_PROP_NAME, name, 32));
  CHECK(all_bytes_are(name, 0, 32));
  OK(zx_object_get_property(zx_process_self(), ZX_PROP_NAME, name, 32));
  CHECK(name[0] != 0);
  const zx_handle_t all[] = {vmo, event, bare};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void content_size(void) {
  zx_handle_t vmo = new_vmo(PAGE + 7, 0);
  uint64_t size = 0;
  EXPECT(ZX_ERR_BUFFER_TOO_SMALL, zx_object_get_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &size, 7));
  OK(zx_object_get_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &size, 8));
  CHECK_EQ(size, PAGE + 7);
  EXPECT(ZX_ERR_WRONG_TYPE, zx_object_get_property(zx_process_self(), ZX_PROP_VMO_CONTENT_SIZE, &size, 8));
  zx_handle_t reader = without_rights(vmo, ZX_RIGHT_WRITE);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_set_property(reader, ZX_PROP_VMO_CONTENT_SIZE, &size, 8));
  EXPECT(ZX_ERR_BUFFER_TOO_SMALL, zx_object_set_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &size, 7));

  // The bytes behind it become zero; it may exceed the size, and then is told as it was set.
  uint8_t bytes[2 * PAGE];
  memset(bytes, 0x99, sizeof bytes);
  OK(zx_vmo_write(vmo, bytes, 0, sizeof bytes));
  size = 100;
  OK(zx_object_set_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &size, sizeof size));
  OK(zx_vmo_read(vmo, bytes, 0, sizeof bytes));
  CHECK(all_bytes_are(bytes, 0x99, 100) && all_bytes_are(bytes + 100, 0, sizeof bytes - 100));
  size = 10 * PAGE;
  OK(zx_object_set_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, &size, sizeof size));
  OK(zx_vmo_get_stream_size(vmo, &size));
  CHECK_EQ(size, 10 * PAGE);
  OK(zx_handle_close(vmo));
  OK(zx_handle_close(reader));
}

int main(void) {
  topics();
  inspect();
  single_records();
  about_vmos();
  about_vmars();
  about_the_process();
  names();
  content_size();
  return 0;
}
