// Pointers that lead nowhere, for every pointer of every call: a status, no crash, nothing left behind.

#include <zircon/syscalls/port.h>

#include "check.h"

static uint8_t *hole, *no_access, *read_only, *gap, *no_access_mapping;
static zx_handle_t gap_vmar, gap_vmo;

#define KERNEL ((void*)0xffff800000000000)
#define NOWHERE ((void*)0x0000900000000000) // on x86-64 no address at all

// Two bytes are there, then nothing is.
#define STRADDLING ((void*)(hole - 2))

static void make_places(void) {
  // A page far from where others get theirs, so that nobody takes the place behind it.
  void* lonely = (void*)((uintptr_t)8 << 30);
  CHECK(mmap(lonely, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == lonely);
  hole = (uint8_t*)lonely + PAGE;
  no_access = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(no_access != MAP_FAILED && read_only != MAP_FAILED);
  zx_vaddr_t base = 0;
  gap_vmar = new_vmar(2 * PAGE, &base);
  gap_vmo = new_vmo(PAGE, 0);
  gap = (uint8_t*)base;
  no_access_mapping = map_at(gap_vmar, 0, PAGE, gap_vmo, 0, PAGE);
}

// For each place that cannot be written, `at`: checks the status of a call.
#define FOR_BAD_OUTS(at) \
  for (void **place = bad_outs(), *at; (at = *place) != (void*)1; place++)
#define EXPECT_OUT(status, type, ...)          \
  FOR_BAD_OUTS(bad) {                          \
    type out = (type)bad;                      \
    EXPECT(status, __VA_ARGS__);               \
  }

static void** bad_outs(void) {
  static void* places[10];
  void* all[] = {NULL, hole, STRADDLING, no_access, read_only, gap, no_access_mapping, KERNEL, NOWHERE, (void*)1};
  memcpy(places, all, sizeof places);
  return places;
}

static void required_results(void) {
  zx_handle_t root = zx_vmar_root_self(), vmo = new_vmo(PAGE, 0), good = ZX_HANDLE_INVALID;
  zx_vaddr_t base = 0, at = 0;
  zx_handle_t vmar = new_vmar(4 * PAGE, &base);

  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS, out));
  CHECK_EQ(handle_count(vmo), 1);
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*,
             zx_handle_replace(with_rights(vmo, ZX_RIGHT_SAME_RIGHTS), ZX_RIGHT_SAME_RIGHTS, out));
  CHECK_EQ(handle_count(vmo), 1);
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*,
             zx_vmo_replace_as_executable(with_rights(vmo, ZX_RIGHT_SAME_RIGHTS), ZX_HANDLE_INVALID, out));
  CHECK_EQ(handle_count(vmo), 1);
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_event_create(0, out));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_eventpair_create(0, out, &good));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_eventpair_create(0, &good, out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(good)); // the first of two is undone as well
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_vmo_create(PAGE, 0, out));
  const uint32_t children[] = {ZX_VMO_CHILD_SNAPSHOT, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE,
                               ZX_VMO_CHILD_SNAPSHOT_MODIFIED, ZX_VMO_CHILD_SLICE, ZX_VMO_CHILD_REFERENCE};
  OK(zx_vmo_write(vmo, "x", 0, 1));
  for (size_t i = 0; i < COUNT(children); i++) {
    uint64_t size = children[i] == ZX_VMO_CHILD_REFERENCE ? 0 : PAGE;
    EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_vmo_create_child(vmo, children[i], 0, size, out));
    // A child that nobody got is gone, and the parent is as it was before.
    CHECK_EQ(vmo_info(vmo).num_children, 0);
    CHECK_EQ(vmo_info(vmo).committed_private_bytes, PAGE);
    OK(zx_object_wait_one(vmo, ZX_VMO_ZERO_CHILDREN, 0, NULL));
  }
  EXPECT_OUT(ZX_ERR_WRONG_TYPE, zx_handle_t*, zx_vmo_create_contiguous(vmo, PAGE, 0, out));
  EXPECT_OUT(ZX_ERR_WRONG_TYPE, zx_handle_t*, zx_vmo_create_physical(vmo, 0, PAGE, out));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, uint64_t*, zx_vmo_get_size(vmo, out));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, uint64_t*, zx_vmo_get_stream_size(vmo, out));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zxvm_writeback_event(out));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zxvm_memory_stats_t*, zxvm_get_memory_stats(out));

  // Whatever place was taken is free again.
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_vmar_allocate(vmar, 0, 0, 4 * PAGE, out, &at));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_vaddr_t*, zx_vmar_allocate(vmar, 0, 0, 4 * PAGE, &good, out));
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(good));
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_vaddr_t*, zx_vmar_map(vmar, READ_WRITE, 0, vmo, 0, 4 * PAGE, out));
  CHECK_EQ(vmo_info(vmo).num_mappings, 0);
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_vaddr_t*, zx_vmar_map(root, READ_WRITE, 0, vmo, 0, PAGE, out));
  CHECK_EQ(vmo_info(vmo).num_mappings, 0);
  OK(zx_vmar_allocate(vmar, 0, 0, 4 * PAGE, &good, &at));
  CHECK_EQ(at, base);
  OK(zx_vmar_destroy(vmar));
  const zx_handle_t all[] = {vmo, vmar, good};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void optional_results(void) {
  zx_handle_t event = new_event();
  zx_info_handle_basic_t info;
  OK(zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
  FOR_BAD_OUTS(bad) {
    zx_status_t want = bad ? ZX_ERR_INVALID_ARGS : ZX_OK;
    EXPECT(want, zx_object_get_info(event, ZX_INFO_HANDLE_BASIC, &info, sizeof info, bad, NULL));
    EXPECT(want, zx_object_get_info(event, ZX_INFO_HANDLE_BASIC, &info, sizeof info, NULL, bad));
    EXPECT(want, zx_object_get_info(zx_vmar_root_self(), ZX_INFO_VMAR_MAPS, NULL, 0, NULL, bad));
    EXPECT(want, zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, bad));
  }
  OK(zx_handle_close(event));
}

// A packet that cannot be read is not queued; one that cannot be written is lost.
static void packets(void) {
  zx_handle_t port = ZX_HANDLE_INVALID;
  zx_port_packet_t packet = {.key = 1};
  EXPECT_OUT(ZX_ERR_INVALID_ARGS, zx_handle_t*, zx_port_create(0, out));
  OK(zx_port_create(0, &port));
  FOR_BAD_OUTS(bad) {
    if (bad != read_only) EXPECT(ZX_ERR_INVALID_ARGS, zx_port_queue(port, bad));
    EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(port, 0, bad));
    OK(zx_port_queue(port, &packet));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_port_wait(port, 0, bad));
    EXPECT(ZX_ERR_TIMED_OUT, zx_port_wait(port, 0, &packet));
  }
  OK(zx_port_queue(port, (const void*)read_only));
  OK(zx_handle_close(port));
}

// Nothing is discarded or freed where that cannot be told; a result that nobody wants is no error.
static void results_of_extensions(void) {
  zx_handle_t lockable = new_vmo(PAGE, ZX_VMO_DISCARDABLE), zeros = new_vmo(PAGE, 0);
  OK(zx_vmo_write(lockable, "x", 0, 1));
  OK(zx_vmo_op_range(lockable, ZX_VMO_OP_TRY_LOCK, 0, PAGE, NULL, 0));
  OK(zx_vmo_op_range(lockable, ZX_VMO_OP_UNLOCK, 0, PAGE, NULL, 0));
  OK(zx_vmo_op_range(zeros, ZX_VMO_OP_COMMIT, 0, PAGE, NULL, 0));
  FOR_BAD_OUTS(bad) {
    if (bad == NULL) continue;
    EXPECT(ZX_ERR_INVALID_ARGS, zxvm_vmo_discard(lockable, bad));
    EXPECT(ZX_ERR_INVALID_ARGS, zxvm_vmo_free_zero_pages(zeros, bad));
    EXPECT(ZX_ERR_INVALID_ARGS, zxvm_reclaim(PAGE, bad));
  }
  CHECK_EQ(committed(lockable), PAGE);
  CHECK_EQ(committed(zeros), PAGE);
  OK(zxvm_vmo_discard(lockable, NULL));
  OK(zxvm_vmo_free_zero_pages(zeros, NULL));
  OK(zxvm_reclaim(PAGE, NULL));
  CHECK_EQ(committed(lockable), 0);
  CHECK_EQ(committed(zeros), 0);
  OK(zx_handle_close(lockable));
  OK(zx_handle_close(zeros));
}

static void buffers(void) {
  zx_handle_t vmo = new_vmo(2 * PAGE, 0), lockable = new_vmo(PAGE, ZX_VMO_DISCARDABLE), event = new_event();
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, PAGE, NULL, 0));
  FOR_BAD_OUTS(bad) {
    EXPECT(ZX_ERR_INVALID_ARGS,
           zx_object_get_info(event, ZX_INFO_HANDLE_BASIC, bad, sizeof(zx_info_handle_basic_t), NULL, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_get_info(zx_vmar_root_self(), ZX_INFO_VMAR_MAPS, bad,
                                                   sizeof(zx_info_maps_t), NULL, NULL));
    EXPECT(ZX_ERR_BUFFER_TOO_SMALL, zx_object_get_info(event, ZX_INFO_HANDLE_BASIC, bad, 0, NULL, NULL));
    OK(zx_object_get_info(zx_vmar_root_self(), ZX_INFO_VMAR_MAPS, bad, 0, NULL, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_get_property(vmo, ZX_PROP_NAME, bad, ZX_MAX_NAME_LEN));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_get_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, bad, 8));
    EXPECT(ZX_ERR_INVALID_ARGS,
           zx_vmo_op_range(lockable, ZX_VMO_OP_LOCK, 0, PAGE, bad, sizeof(zx_vmo_lock_state_t)));
    EXPECT(ZX_ERR_BAD_STATE, zx_vmo_op_range(lockable, ZX_VMO_OP_UNLOCK, 0, PAGE, bad, 1));
    OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, PAGE, bad, PAGE)); // not looked at
    if (bad != NULL) {
      EXPECT(ZX_ERR_INVALID_ARGS,
             zx_vmar_op_range(zx_vmar_root_self(), ZX_VMAR_OP_COMMIT, (zx_vaddr_t)no_access_mapping, PAGE, bad, 0));
    }
  }
  const struct {
    const void* at;
    bool readable;
    zx_status_t of_transfer;
  } ins[] = {
      {NULL, false, ZX_ERR_NOT_FOUND},
      {hole, false, ZX_ERR_NOT_FOUND},
      {STRADDLING, false, ZX_ERR_NOT_FOUND},
      {gap, false, ZX_ERR_NOT_FOUND},
      {KERNEL, false, ZX_ERR_NOT_FOUND},
      {NOWHERE, false, ZX_ERR_NOT_FOUND},
      {no_access, false, ZX_ERR_ACCESS_DENIED},
      {no_access_mapping, false, ZX_ERR_ACCESS_DENIED},
      {read_only, true, ZX_ERR_ACCESS_DENIED},
  };
  for (size_t i = 0; i < COUNT(ins); i++) {
    // A committed page, an absent one, and both.
    for (uint64_t offset = 0; offset < 2 * PAGE; offset += PAGE / 2) {
      size_t size = offset < PAGE ? PAGE : 2 * PAGE - offset;
      EXPECT(ins[i].of_transfer, zx_vmo_read(vmo, (void*)(uintptr_t)ins[i].at, offset, size));
      if (!ins[i].readable) EXPECT(ins[i].of_transfer, zx_vmo_write(vmo, ins[i].at, offset, size));
    }
    if (ins[i].readable) continue;
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_set_property(vmo, ZX_PROP_NAME, ins[i].at, 5));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_set_property(vmo, ZX_PROP_VMO_CONTENT_SIZE, ins[i].at, 8));
  }
  const zx_handle_t all[] = {vmo, lockable, event};
  OK(zx_handle_close_many(all, COUNT(all)));
}

static void arrays(void) {
  zx_handle_t event = new_event();
  const void* bad[] = {NULL, hole, STRADDLING, no_access, gap, KERNEL, NOWHERE};
  for (size_t i = 0; i < COUNT(bad); i++) {
    EXPECT(ZX_ERR_INVALID_ARGS, zx_handle_close_many(bad[i], 1));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_handle_close_many(bad[i], SIZE_MAX));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_wait_many((void*)(uintptr_t)bad[i], 1, 0));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_object_wait_many((void*)(uintptr_t)bad[i], ZX_WAIT_MANY_MAX_ITEMS, 0));
    OK(zx_handle_close_many(bad[i], 0));
    EXPECT(ZX_ERR_TIMED_OUT, zx_object_wait_many((void*)(uintptr_t)bad[i], 0, 0));
  }
  // An array that can be read but not written: the result cannot be told.
  zx_wait_item_t* items = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  items[0] = (zx_wait_item_t){event, ZX_EVENT_SIGNALED, 0};
  CHECK(mprotect(items, PAGE, PROT_READ) == 0);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_object_wait_many(items, 1, 0));
  munmap(items, PAGE);
  OK(zx_handle_check_valid(event));
  OK(zx_handle_close(event));
}

static void futexes(void) {
  zx_futex_t good = 0;
  const zx_futex_t* bad[] = {NULL, (void*)hole, STRADDLING, (void*)no_access, (void*)gap, KERNEL, NOWHERE};
  for (size_t i = 0; i < COUNT(bad); i++) {
    EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_wait(bad[i], 0, ZX_HANDLE_INVALID, ZX_TIME_INFINITE));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_requeue(bad[i], 1, 0, &good, 1, ZX_HANDLE_INVALID));
  }
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_requeue(&good, 1, 0, NULL, 1, ZX_HANDLE_INVALID));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_futex_wake(NULL, 1));
  OK(zx_futex_wake((void*)hole, 1)); // nobody waits there
}

// Results that nobody gets use up nothing: neither handles (the table has 262,144 places) nor memory.
static void nothing_leaks(void) {
  zx_handle_t event = new_event(), vmo = new_vmo(PAGE, 0), good;
  zx_vaddr_t at;
  OK(zx_vmo_write(vmo, "x", 0, 1));
  int64_t before = kib_in("/proc/self/status", "VmRSS:");
  for (int i = 0; i < 300000; i++) {
    EXPECT(ZX_ERR_INVALID_ARGS, zx_event_create(0, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_eventpair_create(0, &good, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_port_create(0, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create(PAGE, 0, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_handle_duplicate(event, ZX_RIGHT_SAME_RIGHTS, NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zxvm_writeback_event(NULL));
    EXPECT(ZX_ERR_INVALID_ARGS, zx_vmar_allocate(zx_vmar_root_self(), 0, 0, PAGE, &good, NULL));
  }
  CHECK_EQ(handle_count(event), 1);
  OK(zx_vmar_allocate(zx_vmar_root_self(), 0, 0, PAGE, &good, &at));
  OK(zx_vmar_destroy(good));
  OK(zx_handle_close(good));
  CHECK(kib_in("/proc/self/status", "VmRSS:") - before < 16 << 10);
  OK(zx_handle_close(vmo));
  OK(zx_handle_close(event));
}

static size_t lines_of_maps(void) {
  FILE* maps = fopen("/proc/self/maps", "r");
  size_t lines = 0;
  for (int c; (c = fgetc(maps)) != EOF;) lines += c == '\n';
  fclose(maps);
  return lines;
}

static size_t open_files(void) {
  size_t count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

// ---- Programs that end on purpose, run by the ones below ----

static volatile sig_atomic_t handler_ran;

static void handler(int signal) {
  (void)signal;
  handler_ran = 1;
  _exit(42);
}

static int end_on_purpose(const char* how) {
  struct sigaction own = {.sa_handler = handler};
  if (strcmp(how, "own handler") == 0) sigaction(SIGSEGV, &own, NULL);
  make_places();
  EXPECT(ZX_ERR_INVALID_ARGS, zx_event_create(0, (zx_handle_t*)hole));
  CHECK(!handler_ran);
  if (strcmp(how, "random") == 0) {
    zx_cprng_draw(hole, 1);
  } else {
    *(volatile uint8_t*)hole = 1;
  }
  return 0;
}

// The library survives its own faults only: the program's end it, or reach the handler that it had.
static void faults_of_the_program(void) {
  int status = run_self("fault");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  status = run_self("own handler");
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
  // zx_cprng_draw has no status to return.
  status = run_self("random");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(int count, char** arguments) {
  if (count > 1) return end_on_purpose(arguments[1]);
  make_places();
  size_t lines = 0, files = 0;
  // What the first rounds make may stay (the library opens its files one by one); the last must add nothing.
  const int last = 3;
  for (int round = 0; round <= last; round++) {
    required_results();
    optional_results();
    results_of_extensions();
    packets();
    buffers();
    arrays();
    futexes();
    if (round == last - 1) lines = lines_of_maps(), files = open_files();
  }
  CHECK_EQ(lines_of_maps(), lines);
  CHECK_EQ(open_files(), files);
  nothing_leaks();
  faults_of_the_program();
  return 0;
}
