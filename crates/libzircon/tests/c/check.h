// What the test programs share: checks, and looks at what the kernel did.
//
// The first check that fails says where and ends the program with 1. Nothing here calls malloc.

#ifndef CHECK_H_
#define CHECK_H_

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zircon/process.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zxvm/zxvm.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define NOBODY ((zx_handle_t)0x13579bdf) // a value with the two low bits set that is (almost surely) no handle
#define READ_WRITE (ZX_VM_PERM_READ | ZX_VM_PERM_WRITE)
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

__attribute__((noreturn, format(printf, 3, 4))) static inline void check_failed(const char* file, int line,
                                                                                const char* format, ...) {
  char text[512];
  int length = snprintf(text, sizeof text, "%s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  length += vsnprintf(text + length, sizeof text - (size_t)length - 1, format, arguments);
  va_end(arguments);
  text[length++] = '\n';
  if (write(2, text, (size_t)length) < 0) abort();
  _exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, "not so: %s", #condition))

#define CHECK_EQ(left, right) check_eq(__FILE__, __LINE__, #left " == " #right, (uint64_t)(left), (uint64_t)(right))
static inline void check_eq(const char* file, int line, const char* what, uint64_t left, uint64_t right) {
  if (left != right) {
    check_failed(file, line, "not so: %s: %#llx, %#llx", what, (unsigned long long)left, (unsigned long long)right);
  }
}

#define EXPECT(status, call) check_status(__FILE__, __LINE__, #call, status, call)
static inline void check_status(const char* file, int line, const char* call, zx_status_t want, zx_status_t got) {
  if (want != got) {
    check_failed(file, line, "%s: %s, not %s", call, zx_status_get_string(got), zx_status_get_string(want));
  }
}

#define OK(call) EXPECT(ZX_OK, call)

// ---- Handles and objects ----

static inline zx_handle_t new_vmo(uint64_t size, uint32_t options) {
  zx_handle_t vmo = ZX_HANDLE_INVALID;
  OK(zx_vmo_create(size, options, &vmo));
  return vmo;
}

static inline zx_handle_t new_child(zx_handle_t parent, uint32_t options, uint64_t offset, uint64_t size) {
  zx_handle_t child = ZX_HANDLE_INVALID;
  OK(zx_vmo_create_child(parent, options, offset, size, &child));
  return child;
}

static inline zx_handle_t new_event(void) {
  zx_handle_t event = ZX_HANDLE_INVALID;
  OK(zx_event_create(0, &event));
  return event;
}

// Another handle to the same object, with these rights.
static inline zx_handle_t with_rights(zx_handle_t handle, zx_rights_t rights) {
  zx_handle_t out = ZX_HANDLE_INVALID;
  OK(zx_handle_duplicate(handle, rights, &out));
  return out;
}

static inline zx_rights_t rights_of(zx_handle_t handle) {
  zx_info_handle_basic_t info;
  OK(zx_object_get_info(handle, ZX_INFO_HANDLE_BASIC, &info, sizeof info, NULL, NULL));
  return info.rights;
}

// Another handle to the same object, without these rights.
static inline zx_handle_t without_rights(zx_handle_t handle, zx_rights_t rights) {
  return with_rights(handle, rights_of(handle) & ~rights);
}

static inline uint32_t handle_count(zx_handle_t handle) {
  zx_info_handle_count_t info;
  OK(zx_object_get_info(handle, ZX_INFO_HANDLE_COUNT, &info, sizeof info, NULL, NULL));
  return info.handle_count;
}

static inline zx_info_vmo_t vmo_info(zx_handle_t vmo) {
  zx_info_vmo_t info;
  OK(zx_object_get_info(vmo, ZX_INFO_VMO, &info, sizeof info, NULL, NULL));
  return info;
}

static inline uint64_t committed(zx_handle_t vmo) { return vmo_info(vmo).committed_bytes; }

static inline zx_info_vmar_t vmar_info(zx_handle_t vmar) {
  zx_info_vmar_t info;
  OK(zx_object_get_info(vmar, ZX_INFO_VMAR, &info, sizeof info, NULL, NULL));
  return info;
}

// Maps the whole of [0, len) somewhere in the root VMAR.
static inline uint8_t* map_root(zx_handle_t vmo, zx_vm_option_t options, size_t len) {
  zx_vaddr_t at = 0;
  OK(zx_vmar_map(zx_vmar_root_self(), options, 0, vmo, 0, len, &at));
  return (uint8_t*)at;
}

static inline void unmap_root(const void* at, size_t len) {
  OK(zx_vmar_unmap(zx_vmar_root_self(), (zx_vaddr_t)at, len));
}

// A region of its own in the root VMAR, where things may be placed.
static inline zx_handle_t new_vmar(size_t size, zx_vaddr_t* base) {
  const zx_vm_option_t options =
      ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE;
  zx_handle_t vmar = ZX_HANDLE_INVALID;
  OK(zx_vmar_allocate(zx_vmar_root_self(), options, 0, size, &vmar, base));
  return vmar;
}

// Maps [vmo_offset, vmo_offset + len) at `offset` in the region.
static inline uint8_t* map_at(zx_handle_t vmar, zx_vm_option_t options, size_t offset, zx_handle_t vmo,
                              uint64_t vmo_offset, size_t len) {
  zx_vaddr_t at = 0;
  OK(zx_vmar_map(vmar, options | ZX_VM_SPECIFIC, offset, vmo, vmo_offset, len, &at));
  return (uint8_t*)at;
}

static inline bool all_bytes_are(const void* at, uint8_t value, size_t len) {
  const uint8_t* bytes = at;
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != value) return false;
  }
  return true;
}

// ---- What the kernel says ----

// Whether the page at this address has a page-table entry.
static inline bool in_page_table(const void* at) {
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  uint64_t entry = 0;
  CHECK(pread(fd, &entry, sizeof entry, (off_t)((uintptr_t)at / PAGE * sizeof entry)) == sizeof entry);
  close(fd);
  return entry >> 63 != 0;
}

static inline size_t pages_in_page_table(const void* at, size_t len) {
  size_t count = 0;
  for (size_t i = 0; i < len; i += PAGE) count += in_page_table((const uint8_t*)at + i);
  return count;
}

// A figure in KiB from a file such as /proc/meminfo.
static inline int64_t kib_in(const char* path, const char* name) {
  char text[8192];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  CHECK(length > 0);
  text[length] = 0;
  const char* line = strstr(text, name);
  CHECK(line != NULL);
  return strtoll(line + strlen(name), NULL, 10);
}

// ---- Accesses that may fault ----

static inline sigjmp_buf* probe_place(void) {
  static sigjmp_buf place;
  return &place;
}

static inline void probe_caught(int signal) { siglongjmp(*probe_place(), signal); }

// Loads a byte, and stores it again if `write`. The signal that this raised, or 0.
static inline int probe(const void* at, bool write) {
  const int signals[] = {SIGSEGV, SIGBUS};
  struct sigaction catch = {.sa_handler = probe_caught}, before[COUNT(signals)];
  for (size_t i = 0; i < COUNT(signals); i++) sigaction(signals[i], &catch, &before[i]);
  int caught = sigsetjmp(*probe_place(), 1);
  if (caught == 0) {
    volatile uint8_t* byte = (volatile uint8_t*)(uintptr_t)at;
    uint8_t value = *byte;
    if (write) *byte = value;
  }
  for (size_t i = 0; i < COUNT(signals); i++) sigaction(signals[i], &before[i], NULL);
  return caught;
}

#define CAN_READ(at) CHECK(probe(at, false) == 0)
#define CAN_WRITE(at) CHECK(probe(at, true) == 0)
#define CANNOT_READ(at) CHECK(probe(at, false) != 0)
#define CANNOT_WRITE(at) CHECK(probe(at, true) != 0)

// Runs this program again with one argument, and returns what waitpid says of it.
static inline int run_self(const char* argument) {
  pid_t child = fork();
  if (child == 0) {
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 2);
    execl("/proc/self/exe", "self", argument, (char*)NULL);
    _exit(127);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  return status;
}

#endif // CHECK_H_
