// A pager for a file: the file is seen as memory, page by page as it is touched, and what was changed is saved. That is what
// mmap does for the files of a file system; here the program itself decides where the bytes come from and go to.
//
//   cc examples/c/file_pager.c -Iinclude -Ltarget/release -lzircon -lpthread -o file_pager
//   LD_LIBRARY_PATH=target/release ./file_pager

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/port.h>

enum { PAGE = 4096, PAGES = 64, RANGES = 8 };

static int file;
static zx_handle_t pager, port, vmo;
static int reads, dirties; // requests served

static int failed(const char* what, zx_status_t status) {
  if (status != ZX_OK) printf("%s: %s\n", what, zx_status_get_string(status));
  return status != ZX_OK;
}

// Brings pages from the file, by way of a VMO from which they are moved: nobody sees a page that is half read.
static zx_status_t bring(uint64_t offset, uint64_t length) {
  char page[PAGE];
  zx_handle_t aux;
  zx_status_t status = zx_vmo_create(length, 0, &aux);
  if (status != ZX_OK) return status;
  for (uint64_t at = 0; at < length && status == ZX_OK; at += PAGE) {
    if (pread(file, page, PAGE, (off_t)(offset + at)) != PAGE) status = ZX_ERR_IO;
    if (status == ZX_OK) status = zx_vmo_write(aux, page, at, PAGE);
  }
  if (status == ZX_OK) status = zx_pager_supply_pages(pager, vmo, offset, length, aux, 0);
  zx_handle_close(aux);
  return status;
}

// Serves requests until the VMO is gone.
static void* serve(void* unused) {
  (void)unused;
  zx_port_packet_t packet;
  while (zx_port_wait(port, ZX_TIME_INFINITE, &packet) == ZX_OK) {
    const uint64_t offset = packet.page_request.offset, length = packet.page_request.length;
    switch (packet.page_request.command) {
      case ZX_PAGER_VMO_READ:
        reads++;
        // Who waits for pages that cannot be had must be told.
        if (failed("bring", bring(offset, length))) {
          zx_pager_op_range(pager, ZX_PAGER_OP_FAIL, vmo, offset, length, (uint64_t)(int64_t)ZX_ERR_IO);
        }
        break;
      case ZX_PAGER_VMO_DIRTY:
        // The place to see whether there is room for it.
        dirties++;
        failed("dirty", zx_pager_op_range(pager, ZX_PAGER_OP_DIRTY, vmo, offset, length, 0));
        break;
      case ZX_PAGER_VMO_COMPLETE:
        return NULL;
    }
  }
  return NULL;
}

// Writes what was changed to the file. What is changed again meanwhile is not lost: it stays dirty.
static int save(void) {
  zx_vmo_dirty_range_t ranges[RANGES];
  size_t count = 0, all = 0;
  char page[PAGE];
  do {
    if (failed("query", zx_pager_query_dirty_ranges(pager, vmo, 0, PAGES * PAGE, ranges, sizeof ranges, &count, &all))) {
      return 1;
    }
    for (size_t i = 0; i < count; i++) {
      const uint64_t offset = ranges[i].offset, length = ranges[i].length;
      printf("  pages %d to %d\n", (int)(offset / PAGE), (int)((offset + length) / PAGE - 1));
      if (failed("begin", zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_BEGIN, vmo, offset, length, 0))) return 1;
      for (uint64_t at = offset; at < offset + length; at += PAGE) {
        if (failed("read", zx_vmo_read(vmo, page, at, PAGE)) || pwrite(file, page, PAGE, (off_t)at) != PAGE) return 1;
      }
      if (failed("end", zx_pager_op_range(pager, ZX_PAGER_OP_WRITEBACK_END, vmo, offset, length, 0))) return 1;
    }
  } while (count < all);
  return 0;
}

static int in_memory(void) {
  zx_info_vmo_t info = {0};
  zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof info, NULL, NULL);
  return (int)(info.committed_bytes / PAGE);
}

int main(void) {
  char page[PAGE] = {0};
  FILE* temporary = tmpfile();
  if (temporary == NULL) return 1;
  file = fileno(temporary);
  for (int i = 0; i < PAGES; i++) {
    snprintf(page, sizeof page, "this is page %d", i);
    if (pwrite(file, page, PAGE, i * PAGE) != PAGE) return 1;
  }

  const zx_vm_option_t access = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
  zx_vaddr_t at;
  if (failed("pager", zx_pager_create(0, &pager)) || failed("port", zx_port_create(0, &port))) return 1;
  if (failed("VMO", zx_pager_create_vmo(pager, ZX_VMO_TRAP_DIRTY, port, 0, PAGES * PAGE, &vmo))) return 1;
  if (failed("map", zx_vmar_map(zx_vmar_root_self(), access, 0, vmo, 0, PAGES * PAGE, &at))) return 1;
  pthread_t server;
  if (pthread_create(&server, NULL, serve, NULL) != 0) return 1;

  char* text = (char*)at;
  printf("%d pages of the file are in memory\n", in_memory());
  printf("page 40: %s\n", text + 40 * PAGE);
  printf("page 41: %s\n", text + 41 * PAGE);
  printf("%d pages of the file are in memory\n", in_memory());

  strcpy(text + 7 * PAGE, "changed");
  strcpy(text + 8 * PAGE, "changed too");
  strcpy(text + 40 * PAGE, "and this");
  printf("saved:\n");
  if (save()) return 1;
  if (pread(file, page, PAGE, 8 * PAGE) != PAGE) return 1;
  printf("page 8 of the file: %s\n", page);
  strcpy(text + 8 * PAGE, "changed again");
  printf("saved:\n");
  if (save()) return 1;

  // Whoever serves it is told when nobody has the VMO any more.
  zx_vmar_unmap(zx_vmar_root_self(), at, PAGES * PAGE);
  zx_handle_close(vmo);
  pthread_join(server, NULL);
  printf("pages were asked for %d times, and to be changed %d times\n", reads, dirties);
  zx_handle_close(pager);
  zx_handle_close(port);
  fclose(temporary);
  return 0;
}
