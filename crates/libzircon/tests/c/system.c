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
  clocks();
  randomness();
  status_names();
  return 0;
}
