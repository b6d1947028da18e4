// Far more of everything than Linux gives to one process by the piece.

#include <sys/resource.h>

#include "check.h"

#define VMOS 100000

// VMOs are not files: a hundred thousand of them, each with memory of its own, under a limit of 1024 descriptors.
static void many_vmos(void) {
  static zx_handle_t vmos[VMOS];
  const struct rlimit few = {1024, 1024};
  CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
  for (uint32_t i = 0; i < VMOS; i++) {
    vmos[i] = new_vmo(PAGE, 0);
    OK(zx_vmo_op_range(vmos[i], ZX_VMO_OP_COMMIT, 0, PAGE, NULL, 0));
    OK(zx_vmo_write(vmos[i], &i, i % 1000 * 4, sizeof i));
  }
  for (uint32_t i = 0; i < VMOS; i++) {
    uint32_t value = 0;
    OK(zx_vmo_read(vmos[i], &value, i % 1000 * 4, sizeof value));
    CHECK_EQ(value, i);
    CHECK_EQ(committed(vmos[i]), PAGE);
  }
  // Memory that goes from one to another is zero.
  uint8_t page[PAGE];
  for (uint32_t i = 0; i < VMOS; i += 2) OK(zx_handle_close(vmos[i]));
  for (uint32_t i = 0; i < VMOS; i += 2) {
    vmos[i] = new_vmo(PAGE, 0);
    OK(zx_vmo_read(vmos[i], page, 0, PAGE));
    CHECK(all_bytes_are(page, 0, PAGE));
  }
  OK(zx_handle_close_many(vmos, VMOS));
}

// Mappings are limited by the kernel; at the limit the answer is NO_MEMORY, and what is there stays as it is.
static void many_mappings(void) {
  const size_t most = 100000;
  zx_vaddr_t base = 0, at = 0;
  zx_handle_t vmar = new_vmar(2 * most * PAGE, &base), vmo = new_vmo(PAGE, 0);
  uint32_t word = 0x12345678;
  OK(zx_vmo_write(vmo, &word, 0, sizeof word));
  zx_status_t status = ZX_OK;
  size_t made = 0;
  for (; made < most && status == ZX_OK; made++) {
    status = zx_vmar_map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 2 * made * PAGE, vmo, 0, PAGE, &at);
  }
  EXPECT(ZX_ERR_NO_MEMORY, status);
  made--;
  CHECK(made > 10000);
  CHECK_EQ(vmo_info(vmo).num_mappings, made);
  CHECK_EQ(*(uint32_t*)base, word);
  CHECK_EQ(*(uint32_t*)(base + 2 * (made - 1) * PAGE), word);
  CANNOT_READ((void*)(base + 2 * made * PAGE));

  // Giving back works where nothing more can be had, and makes room.
  OK(zx_vmar_unmap(vmar, base, PAGE));
  CANNOT_READ((void*)base);
  OK(zx_vmar_map(vmar, ZX_VM_PERM_READ | ZX_VM_SPECIFIC, 0, vmo, 0, PAGE, &at));
  CHECK_EQ(*(uint32_t*)base, word);
  OK(zx_vmar_destroy(vmar));
  CHECK_EQ(vmo_info(vmo).num_mappings, 0);
}

int main(void) {
  many_vmos();
  many_mappings();
  return 0;
}
