// Handles: values, rights, close, duplicate, replace, check.

#include "check.h"

static void values(void) {
  zx_handle_t event = new_event();
  CHECK_EQ(event & ZX_HANDLE_FIXED_BITS_MASK, ZX_HANDLE_FIXED_BITS_MASK);
  OK(zx_handle_check_valid(event));
  const zx_handle_t bad[] = {ZX_HANDLE_INVALID, event & ~1u, event & ~2u, event ^ 4096u, NOBODY};
  for (size_t i = 0; i < COUNT(bad); i++) EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(bad[i]));
  OK(zx_handle_close(event));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(event));
  for (int i = 0; i < 500; i++) {
    zx_handle_t next = new_event();
    CHECK(next != event);
    OK(zx_handle_close(next));
  }
}

static void close_one(void) {
  OK(zx_handle_close(ZX_HANDLE_INVALID));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_close(NOBODY));
  zx_handle_t event = new_event();
  OK(zx_handle_close(event));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_close(event));
}

static void close_many(void) {
  OK(zx_handle_close_many(NULL, 0));
  OK(zx_handle_close_many((const zx_handle_t*)PAGE, 0));

  zx_handle_t few[] = {new_event(), ZX_HANDLE_INVALID, new_event()};
  OK(zx_handle_close_many(few, COUNT(few)));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(few[0]));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(few[2]));

  // A bad or repeated one is reported wherever it stands, and all others are closed.
  for (size_t place = 0; place < 200; place += 33) {
    for (int repeat = 0; repeat <= 1; repeat++) {
      zx_handle_t many[200];
      for (size_t i = 0; i < COUNT(many); i++) many[i] = new_event();
      zx_handle_t spare = many[place];
      many[place] = repeat ? many[(place + 1) % COUNT(many)] : NOBODY;
      EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_close_many(many, COUNT(many)));
      for (size_t i = 0; i < COUNT(many); i++) EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(many[i]));
      OK(zx_handle_close(spare));
    }
  }
}

static void duplicate(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0), out = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_duplicate(ZX_HANDLE_INVALID, ZX_RIGHT_SAME_RIGHTS, &out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_duplicate(NOBODY, ZX_RIGHT_SAME_RIGHTS, &out));

  zx_handle_t fixed = without_rights(vmo, ZX_RIGHT_DUPLICATE);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_handle_duplicate(fixed, ZX_RIGHT_SAME_RIGHTS, &out));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_handle_duplicate(fixed, ZX_RIGHT_EXECUTE, &out));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_handle_duplicate(vmo, ZX_RIGHT_EXECUTE, &out));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS | ZX_RIGHT_READ, &out));
  CHECK_EQ(handle_count(vmo), 2);

  OK(zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS, &out));
  CHECK(out != vmo);
  CHECK_EQ(rights_of(out), rights_of(vmo));
  CHECK_EQ(handle_count(vmo), 3);
  OK(zx_handle_close(out));
  OK(zx_handle_duplicate(vmo, ZX_RIGHT_NONE, &out));
  CHECK_EQ(rights_of(out), ZX_RIGHT_NONE);
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_vmo_read(out, NULL, 0, 0));
  const zx_handle_t all[] = {vmo, fixed, out};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void replace(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0), old = with_rights(vmo, ZX_RIGHT_READ | ZX_RIGHT_MAP), out = ZX_HANDLE_INVALID;
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_replace(NOBODY, ZX_RIGHT_SAME_RIGHTS, &out));
  // Needs no right, and leaves the number of handles as it was.
  OK(zx_handle_replace(old, ZX_RIGHT_READ, &out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(old));
  CHECK_EQ(rights_of(out), ZX_RIGHT_READ);
  CHECK_EQ(handle_count(vmo), 2);
  OK(zx_handle_replace(out, ZX_RIGHT_SAME_RIGHTS, &old));
  CHECK_EQ(rights_of(old), ZX_RIGHT_READ);
  // Refused rights cost the handle.
  EXPECT(ZX_ERR_INVALID_ARGS, zx_handle_replace(old, ZX_RIGHT_WRITE, &out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(old));
  CHECK_EQ(handle_count(vmo), 1);
  OK(zx_handle_close(vmo));
}

static void rights_at_birth(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0), resizable = new_vmo(PAGE, ZX_VMO_RESIZABLE), event = new_event(), pair[2];
  OK(zx_eventpair_create(0, &pair[0], &pair[1]));
  CHECK_EQ(rights_of(vmo), ZX_DEFAULT_VMO_RIGHTS);
  CHECK_EQ(rights_of(resizable), ZX_DEFAULT_VMO_RIGHTS | ZX_RIGHT_RESIZE);
  CHECK_EQ(rights_of(event), ZX_DEFAULT_EVENT_RIGHTS);
  CHECK_EQ(rights_of(pair[0]), ZX_DEFAULT_EVENTPAIR_RIGHTS);
  CHECK_EQ(rights_of(pair[1]), ZX_DEFAULT_EVENTPAIR_RIGHTS);
  CHECK_EQ(rights_of(zx_vmar_root_self()),
           ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ | ZX_RIGHT_WRITE | ZX_RIGHT_EXECUTE);
  CHECK_EQ(rights_of(zx_process_self()), ZX_DEFAULT_PROCESS_RIGHTS);

  zx_handle_t vmar = ZX_HANDLE_INVALID;
  zx_vaddr_t base = 0;
  OK(zx_vmar_allocate(zx_vmar_root_self(), ZX_VM_CAN_MAP_READ, 0, PAGE, &vmar, &base));
  CHECK_EQ(rights_of(vmar), ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ);
  OK(zx_vmar_destroy(vmar));
  const zx_handle_t all[] = {vmo, resizable, event, pair[0], pair[1], vmar};
  OK(zx_handle_close_many(all, COUNT(all)));
}

// Which of two faults of a handle is told.
static void type_before_rights(void) {
  zx_handle_t event = new_event(), bare = with_rights(event, ZX_RIGHT_NONE);
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmo_read(bare, NULL, 0, 0));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_vmar_destroy(bare));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_signal(bare, 0, 0));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_vmo_read(NOBODY, NULL, 0, 0));
  OK(zx_handle_close(event));
  OK(zx_handle_close(bare));
}

// A mapping keeps the memory, but is no handle.
static void mappings_are_not_handles(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0);
  uint8_t* at = map_root(vmo, READ_WRITE, PAGE);
  CHECK_EQ(handle_count(vmo), 1);
  at[0] = 7;
  OK(zx_handle_close(vmo));
  CHECK_EQ(at[0], 7);
  unmap_root(at, PAGE);
}

int main(void) {
  values();
  close_one();
  close_many();
  duplicate();
  replace();
  rights_at_birth();
  type_before_rights();
  mappings_are_not_handles();
  return 0;
}
