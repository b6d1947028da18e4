// Types of time, and arithmetic on them that saturates instead of overflowing.
//
// The two infinities are the ends of the range: a sum or product that would pass one of them stops there.

#ifndef ZIRCON_TIME_H_
#define ZIRCON_TIME_H_

#include <stdint.h>
#include <time.h>

#include <zircon/compiler.h>

__BEGIN_CDECLS

// Nanoseconds: a moment of some clock, and a length of time.
typedef int64_t zx_time_t;
typedef int64_t zx_duration_t;

// Ticks of the hardware counter, for moments and lengths alike.
typedef int64_t zx_ticks_t;

// The same, saying which clock is meant. All of them are one type to the compiler.
typedef int64_t zx_instant_mono_t;
typedef int64_t zx_instant_boot_t;
typedef int64_t zx_duration_mono_t;
typedef int64_t zx_duration_boot_t;
typedef int64_t zx_instant_mono_ticks_t;
typedef int64_t zx_instant_boot_ticks_t;
typedef int64_t zx_duration_mono_ticks_t;
typedef int64_t zx_duration_boot_ticks_t;

#define ZX_TIME_INFINITE INT64_MAX
#define ZX_TIME_INFINITE_PAST INT64_MIN

static inline __CONSTEXPR int64_t __zx_saturating_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  return !__builtin_add_overflow(a, b, &sum) ? sum : a < 0 ? INT64_MIN : INT64_MAX;
}

static inline __CONSTEXPR int64_t __zx_saturating_sub(int64_t a, int64_t b) {
  int64_t difference = 0;
  return !__builtin_sub_overflow(a, b, &difference) ? difference : a < 0 ? INT64_MIN : INT64_MAX;
}

static inline __CONSTEXPR int64_t __zx_saturating_mul(int64_t a, int64_t b) {
  int64_t product = 0;
  return !__builtin_mul_overflow(a, b, &product) ? product : (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
}

static inline __CONSTEXPR zx_time_t zx_time_add_duration(zx_time_t time, zx_duration_t duration) {
  return __zx_saturating_add(time, duration);
}

static inline __CONSTEXPR zx_time_t zx_time_sub_duration(zx_time_t time, zx_duration_t duration) {
  return __zx_saturating_sub(time, duration);
}

static inline __CONSTEXPR zx_duration_t zx_time_sub_time(zx_time_t later, zx_time_t earlier) {
  return __zx_saturating_sub(later, earlier);
}

static inline __CONSTEXPR zx_duration_t zx_duration_add_duration(zx_duration_t a, zx_duration_t b) {
  return __zx_saturating_add(a, b);
}

static inline __CONSTEXPR zx_duration_t zx_duration_sub_duration(zx_duration_t a, zx_duration_t b) {
  return __zx_saturating_sub(a, b);
}

static inline __CONSTEXPR zx_duration_t zx_duration_mul_int64(zx_duration_t duration, int64_t factor) {
  return __zx_saturating_mul(duration, factor);
}

static inline __CONSTEXPR int64_t zx_nsec_from_duration(zx_duration_t duration) { return duration; }

static inline __CONSTEXPR zx_duration_t zx_duration_from_nsec(int64_t n) { return n; }

static inline __CONSTEXPR zx_duration_t zx_duration_from_usec(int64_t n) {
  return __zx_saturating_mul(n, 1000);
}

static inline __CONSTEXPR zx_duration_t zx_duration_from_msec(int64_t n) {
  return __zx_saturating_mul(n, 1000000);
}

static inline __CONSTEXPR zx_duration_t zx_duration_from_sec(int64_t n) {
  return __zx_saturating_mul(n, 1000000000);
}

static inline __CONSTEXPR zx_duration_t zx_duration_from_min(int64_t n) {
  return __zx_saturating_mul(n, 60000000000);
}

static inline __CONSTEXPR zx_duration_t zx_duration_from_hour(int64_t n) {
  return __zx_saturating_mul(n, 3600000000000);
}

static inline __CONSTEXPR zx_ticks_t zx_ticks_add_ticks(zx_ticks_t a, zx_ticks_t b) {
  return __zx_saturating_add(a, b);
}

static inline __CONSTEXPR zx_ticks_t zx_ticks_sub_ticks(zx_ticks_t a, zx_ticks_t b) {
  return __zx_saturating_sub(a, b);
}

static inline __CONSTEXPR zx_ticks_t zx_ticks_mul_int64(zx_ticks_t ticks, int64_t factor) {
  return __zx_saturating_mul(ticks, factor);
}

// POSIX has its own record of time; seconds that do not fit become an infinity.
static inline __CONSTEXPR zx_duration_t zx_duration_from_timespec(struct timespec spec) {
  return __zx_saturating_add(__zx_saturating_mul((int64_t)spec.tv_sec, 1000000000), (int64_t)spec.tv_nsec);
}

static inline __CONSTEXPR zx_time_t zx_time_from_timespec(struct timespec spec) {
  return zx_duration_from_timespec(spec);
}

// The nanoseconds are never negative: before zero, the seconds are rounded down.
static inline __CONSTEXPR struct timespec zx_timespec_from_duration(zx_duration_t duration) {
  int64_t seconds = duration / 1000000000;
  int64_t nanoseconds = duration % 1000000000;
  if (nanoseconds < 0) {
    seconds -= 1;
    nanoseconds += 1000000000;
  }
  struct timespec spec = {seconds, nanoseconds};
  return spec;
}

static inline __CONSTEXPR struct timespec zx_timespec_from_time(zx_time_t time) {
  return zx_timespec_from_duration(time);
}

// A number of units as a zx_duration_t. Constant where the argument is, and not saturating: for literals.
#define ZX_NSEC(n) ((zx_duration_t)(1LL * (n)))
#define ZX_USEC(n) ((zx_duration_t)(1000LL * (n)))
#define ZX_MSEC(n) ((zx_duration_t)(1000000LL * (n)))
#define ZX_SEC(n) ((zx_duration_t)(1000000000LL * (n)))
#define ZX_MIN(n) ((zx_duration_t)(60LL * 1000000000LL * (n)))
#define ZX_HOUR(n) ((zx_duration_t)(3600LL * 1000000000LL * (n)))

__END_CDECLS

#endif // ZIRCON_TIME_H_
