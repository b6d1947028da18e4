// Pages that a function brings in the thread that needs them, and pages supplied from bytes.

#include <stdatomic.h>

#include <zircon/syscalls/port.h>
#include <zxvm/zxvm.h>

#include "check.h"

#define PAGES 16
#define BAD ((void*)(PAGE - 8))

static atomic_int reads;
static int context_of_ours;

// Page n is n + 1 throughout; page 5 cannot be had.
static zx_status_t bring(void* context, uint64_t offset, void* buffer, size_t length) {
  CHECK(context == &context_of_ours);
  CHECK(offset % PAGE == 0 && length % PAGE == 0 && length > 0);
  reads++;
  if (offset <= 5 * PAGE && 5 * PAGE < offset + length) return ZX_ERR_IO_DATA_INTEGRITY;
  for (size_t at = 0; at < length; at += PAGE) memset((char*)buffer + at, (int)((offset + at) / PAGE) + 1, PAGE);
  return ZX_OK;
}

int main(void) {
  zx_handle_t pager, vmo = 77, port, other;
  OK(zx_pager_create(0, &pager));

  EXPECT(ZX_ERR_BAD_HANDLE, zxvm_pager_create_vmo_in_place(NOBODY, 0, PAGE, bring, NULL, &vmo));
  EXPECT(ZX_ERR_WRONG_TYPE, zxvm_pager_create_vmo_in_place(zx_process_self(), 0, PAGE, bring, NULL, &vmo));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_create_vmo_in_place(pager, 0, PAGE, NULL, NULL, &vmo));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_create_vmo_in_place(pager, ZX_VMO_TRAP_DIRTY, PAGE, bring, NULL, &vmo));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_create_vmo_in_place(pager, ZX_VMO_DISCARDABLE, PAGE, bring, NULL, &vmo));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zxvm_pager_create_vmo_in_place(pager, 0, UINT64_MAX, bring, NULL, &vmo));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_create_vmo_in_place(pager, 0, PAGE, bring, NULL, NULL));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_create_vmo_in_place(pager, 0, PAGE, bring, NULL, BAD));
  CHECK_EQ(vmo, 77);

  OK(zxvm_pager_create_vmo_in_place(pager, 0, PAGES * PAGE, bring, &context_of_ours, &vmo));
  zx_vaddr_t at;
  OK(zx_vmar_map(zx_vmar_root_self(), READ_WRITE, 0, vmo, 0, PAGES * PAGE, &at));
  volatile uint8_t* bytes = (uint8_t*)at;
  CHECK_EQ(bytes[3 * PAGE], 4);
  CHECK_EQ(reads, 1);
  CHECK_EQ(bytes[3 * PAGE + 77], 4);
  CHECK_EQ(reads, 1);
  bytes[8 * PAGE] = 99;
  CHECK_EQ(bytes[8 * PAGE] + bytes[8 * PAGE + 1], 99 + 9);
  uint8_t byte = 0;
  OK(zx_vmo_read(vmo, &byte, 9 * PAGE, 1));
  CHECK_EQ(byte, 10);
  EXPECT(ZX_ERR_IO_DATA_INTEGRITY, zx_vmo_read(vmo, &byte, 5 * PAGE, 1));
  EXPECT(ZX_ERR_IO_DATA_INTEGRITY, zxvm_try_copy(&byte, (void*)(at + 5 * PAGE), 1));

  uint8_t supplied[2 * PAGE];
  memset(supplied, 55, sizeof supplied);
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_supply_bytes(pager, vmo, 1, supplied, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_supply_bytes(pager, vmo, 0, supplied, 1));
  EXPECT(ZX_ERR_OUT_OF_RANGE, zxvm_pager_supply_bytes(pager, vmo, PAGES * PAGE, supplied, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_supply_bytes(pager, vmo, 5 * PAGE, NULL, PAGE));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_supply_bytes(pager, vmo, 5 * PAGE, BAD, PAGE));
  EXPECT(ZX_ERR_BAD_HANDLE, zxvm_pager_supply_bytes(pager, NOBODY, 0, supplied, PAGE));
  EXPECT(ZX_ERR_BAD_HANDLE, zxvm_pager_supply_bytes(NOBODY, vmo, 0, supplied, PAGE));
  OK(zx_port_create(0, &port));
  OK(zx_pager_create(0, &other));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_pager_supply_bytes(other, vmo, 0, supplied, PAGE));
  OK(zxvm_pager_supply_bytes(pager, vmo, 4 * PAGE, supplied, sizeof supplied));
  CHECK_EQ(bytes[5 * PAGE], 55);

  OK(zx_vmar_unmap(zx_vmar_root_self(), at, PAGES * PAGE));
  OK(zx_handle_close(vmo));
  OK(zx_handle_close(pager));
  return 0;
}
