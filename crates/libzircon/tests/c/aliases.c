// Both names of every call that the headers declare. The list is made from the headers when this is compiled.

#include "check.h"

#define CALL(name) {#name, (void (*)(void))zx_##name, (void (*)(void))_zx_##name},
static const struct {
  const char* name;
  void (*plain)(void);
  void (*twin)(void);
} calls[] = {
#include "calls.inc"
};

int main(void) {
  CHECK(COUNT(calls) >= 58);
  for (size_t i = 0; i < COUNT(calls); i++) CHECK(calls[i].plain != NULL && calls[i].twin != NULL);

  // A twin does the same.
  zx_handle_t vmo = ZX_HANDLE_INVALID;
  zx_vaddr_t at = 0;
  uint64_t word = 7;
  OK(_zx_vmo_create(PAGE, 0, &vmo));
  OK(_zx_vmo_write(vmo, &word, 8, sizeof word));
  OK(_zx_vmar_map(_zx_vmar_root_self(), ZX_VM_PERM_READ, 0, vmo, 0, PAGE, &at));
  CHECK_EQ(((uint64_t*)at)[1], 7);
  OK(_zx_vmar_op_range(zx_vmar_root_self(), ZX_VMAR_OP_DECOMMIT, at, PAGE, NULL, 0));
  CHECK_EQ(((uint64_t*)at)[1], 0);
  OK(_zx_vmar_unmap(_zx_vmar_root_self(), at, PAGE));
  OK(_zx_handle_close(vmo));
  EXPECT(ZX_ERR_BAD_HANDLE, _zx_handle_close(vmo));
  CHECK(_zx_process_self() == zx_process_self());
  CHECK(_zx_system_get_version_string().c_str == zx_system_get_version_string().c_str);
  CHECK(_zx_status_get_string(ZX_OK) == zx_status_get_string(ZX_OK));
  return 0;
}
