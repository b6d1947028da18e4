// A first program: memory that is given back, and reads as zero afterwards.
//
//   cc examples/c/first.c -Iinclude -Ltarget/release -lzircon -o first
//   LD_LIBRARY_PATH=target/release ./first

#include <stdio.h>

#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

static unsigned long long committed(zx_handle_t vmo) {
  zx_info_vmo_t info = {0};
  zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof info, NULL, NULL);
  return info.committed_bytes;
}

static int say(const char* what, zx_status_t status, const zx_handle_t* vmo) {
  printf("%-10s %s, %llu bytes committed\n", what, zx_status_get_string(status), committed(*vmo));
  return status == ZX_OK;
}

int main(void) {
  const size_t size = 1 << 20;
  const zx_handle_t root = zx_vmar_root_self();
  zx_handle_t vmo = ZX_HANDLE_INVALID;
  zx_vaddr_t at = 0;

  if (!say("create", zx_vmo_create(size, 0, &vmo), &vmo)) return 1;
  if (!say("map", zx_vmar_map(root, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, size, &at), &vmo)) return 1;
  if (!say("COMMIT", zx_vmar_op_range(root, ZX_VMAR_OP_COMMIT, at, size, NULL, 0), &vmo)) return 1;

  volatile int* number = (int*)at;
  *number = 42;
  printf("           the number is %d\n", *number);
  if (!say("DECOMMIT", zx_vmar_op_range(root, ZX_VMAR_OP_DECOMMIT, at, size, NULL, 0), &vmo)) return 1;
  printf("           the number is %d\n", *number);

  zx_vmar_unmap(root, at, size);
  zx_handle_close(vmo);
  return 0;
}
