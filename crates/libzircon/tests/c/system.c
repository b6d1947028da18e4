// The machine, time, randomness, names of statuses.

#include <time.h>

#include "check.h"

static void machine(void) {
  CHECK_EQ(zx_system_get_page_size(), sysconf(_SC_PAGESIZE));
  uint32_t line = zx_system_get_dcache_line_size();
  CHECK(line >= 16 && line <= 1024 && (line & (line - 1)) == 0);
  uint32_t cpus = zx_system_get_num_cpus();
  CHECK(cpus >= 1 && cpus <= (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
  CHECK_EQ(zx_system_get_physmem() >> 10, kib_in("/proc/meminfo", "MemTotal:"));
  zx_string_view_t version = zx_system_get_version_string();
  CHECK(version.length > 0 && version.length == strlen(version.c_str));
  CHECK(zx_process_self() != ZX_HANDLE_INVALID && zx_process_self() == zx_process_self());
  zx_info_handle_basic_t info;
  OK(zx_object_get_info(zx_process_self(), ZX_INFO_HANDLE_BASIC, &info, sizeof info, NULL, NULL));
  CHECK_EQ(info.type, ZX_OBJ_TYPE_PROCESS);
}

static void job_and_events(void) {
  const zx_handle_t job = zx_job_default();
  zx_info_handle_basic_t info, process;
  OK(zx_object_get_info(job, ZX_INFO_HANDLE_BASIC, &info, sizeof info, NULL, NULL));
  OK(zx_object_get_info(zx_process_self(), ZX_INFO_HANDLE_BASIC, &process, sizeof process, NULL, NULL));
  CHECK(info.type == ZX_OBJ_TYPE_JOB && info.rights == ZX_DEFAULT_JOB_RIGHTS && info.related_koid == 0);
  CHECK_EQ(process.related_koid, info.koid);
  CHECK_EQ(zx_job_default(), job);
  char name[ZX_MAX_NAME_LEN];
  OK(zx_object_get_property(job, ZX_PROP_NAME, name, sizeof name));
  CHECK(strcmp(name, "root") == 0);

  int signalled = 0;
  for (uint32_t kind = ZX_SYSTEM_EVENT_OUT_OF_MEMORY; kind <= ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY; kind++) {
    zx_handle_t event, again;
    OK(zx_system_get_event(job, kind, &event));
    OK(zx_system_get_event(job, kind, &again));
    CHECK_EQ(rights_of(event), ZX_RIGHT_WAIT | ZX_RIGHT_DUPLICATE | ZX_RIGHT_TRANSFER);
    EXPECT(ZX_ERR_ACCESS_DENIED, zx_object_signal(event, 0, ZX_EVENT_SIGNALED));
    zx_info_handle_basic_t one, other;
    OK(zx_object_get_info(event, ZX_INFO_HANDLE_BASIC, &one, sizeof one, NULL, NULL));
    OK(zx_object_get_info(again, ZX_INFO_HANDLE_BASIC, &other, sizeof other, NULL, NULL));
    CHECK(one.type == ZX_OBJ_TYPE_EVENT && one.koid == other.koid);
    zx_status_t status = zx_object_wait_one(event, ZX_EVENT_SIGNALED, 0, NULL);
    CHECK_EQ(status, kind == ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL ? ZX_OK : ZX_ERR_TIMED_OUT);
    signalled += status == ZX_OK;
    OK(zx_handle_close(event));
    OK(zx_handle_close(again));
  }
  CHECK_EQ(signalled, 1);

  zx_handle_t event = ZX_HANDLE_INVALID, weak = without_rights(job, ZX_RIGHT_MANAGE_PROCESS);
  EXPECT(ZX_ERR_BAD_HANDLE, zx_system_get_event(NOBODY, 99, &event));
  EXPECT(ZX_ERR_WRONG_TYPE, zx_system_get_event(zx_process_self(), 99, &event));
  EXPECT(ZX_ERR_ACCESS_DENIED, zx_system_get_event(weak, ZX_SYSTEM_EVENT_OUT_OF_MEMORY, &event));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_system_get_event(weak, 0, &event));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_system_get_event(job, ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY + 1, &event));
  EXPECT(ZX_ERR_INVALID_ARGS, zx_system_get_event(job, ZX_SYSTEM_EVENT_OUT_OF_MEMORY, NULL));
  CHECK_EQ(event, ZX_HANDLE_INVALID);
  OK(zx_system_get_event(weak, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL, &event));
  OK(zx_handle_close(event));
  OK(zx_handle_close(weak));
}

static int64_t linux_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

static void clocks(void) {
  int64_t before = linux_now();
  zx_time_t now = zx_clock_get_monotonic();
  CHECK(before <= now && now <= linux_now());
  CHECK(zx_ticks_per_second() > 0);
  zx_ticks_t ticks = zx_ticks_get();
  zx_time_t deadline = zx_deadline_after(ZX_MSEC(10));
  CHECK(deadline >= now + ZX_MSEC(10));
  OK(zx_nanosleep(deadline));
  CHECK(zx_clock_get_monotonic() >= deadline);
  CHECK((double)(zx_ticks_get() - ticks) / (double)zx_ticks_per_second() >= 0.009);

  CHECK_EQ(zx_deadline_after(ZX_TIME_INFINITE), ZX_TIME_INFINITE);
  CHECK_EQ(zx_deadline_after(ZX_TIME_INFINITE - 1), ZX_TIME_INFINITE);
  CHECK(zx_deadline_after(-1) <= zx_clock_get_monotonic());
  now = zx_clock_get_monotonic();
  OK(zx_nanosleep(0));
  OK(zx_nanosleep(-5));
  OK(zx_nanosleep(ZX_TIME_INFINITE_PAST));
  OK(zx_nanosleep(now));
  CHECK(zx_clock_get_monotonic() - now < ZX_SEC(1));
}

static void randomness(void) {
  uint8_t a[1000], b[1000], guarded[] = {1, 2, 3};
  memset(a, 0, sizeof a);
  memset(b, 0, sizeof b);
  zx_cprng_draw(a, sizeof a);
  zx_cprng_draw(b, sizeof b);
  CHECK(memcmp(a, b, sizeof a) != 0);
  size_t bits = 0;
  for (size_t i = 0; i < sizeof a; i++) bits += (size_t)__builtin_popcount(a[i]);
  CHECK(bits > 3500 && bits < 4500); // of 8000: more than ten standard deviations
  CHECK(!all_bytes_are(a + 900, 0, 100));
  zx_cprng_draw(guarded + 1, 1);
  zx_cprng_draw(NULL, 0);
  CHECK(guarded[0] == 1 && guarded[2] == 3);
}

static void status_names(void) {
  CHECK(strcmp(zx_status_get_string(ZX_OK), "ZX_OK") == 0);
  CHECK(strcmp(zx_status_get_string(ZX_ERR_NO_MEMORY), "ZX_ERR_NO_MEMORY") == 0);
  CHECK(strcmp(zx_status_get_string(ZX_ERR_CONNECTION_ABORTED), "ZX_ERR_CONNECTION_ABORTED") == 0);
  CHECK(strcmp(zx_status_get_string(-5), "(UNKNOWN)") == 0);
  CHECK(strcmp(zx_status_get_string(INT32_MAX), "(UNKNOWN)") == 0);
}

int main(void) {
  machine();
  job_and_events();
  clocks();
  randomness();
  status_names();
  return 0;
}
