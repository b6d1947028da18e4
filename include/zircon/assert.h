// Assertions that say where they failed, then abort.
//
// ZX_ASSERT is always checked. ZX_DEBUG_ASSERT is checked where ZX_DEBUG_ASSERT_IMPLEMENTED is true: that is set by
// ZX_ASSERT_LEVEL (checked from 2 on), and where that is not defined by the absence of NDEBUG.

#ifndef ZIRCON_ASSERT_H_
#define ZIRCON_ASSERT_H_

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <zircon/compiler.h>

#if defined(ZX_ASSERT_LEVEL)
#define ZX_DEBUG_ASSERT_IMPLEMENTED (ZX_ASSERT_LEVEL > 1)
#elif defined(NDEBUG)
#define ZX_DEBUG_ASSERT_IMPLEMENTED 0
#else
#define ZX_DEBUG_ASSERT_IMPLEMENTED 1
#endif

__NO_RETURN __PRINTFLIKE(1, 2) static inline void __zx_panic(const char* format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  abort();
}

static inline void __zx_assert_failed(const char* file, int line, const char* condition) {
  fprintf(stderr, "%s:%d: not true: %s\n", file, line, condition);
}

// Says something, in the manner of printf, and aborts.
#define ZX_PANIC(...) __zx_panic(__VA_ARGS__)

// Aborts unless the condition holds. The second form adds something to say, in the manner of printf.
#define ZX_ASSERT(condition) ZX_ASSERT_MSG(condition, "assertion failed")
#define ZX_ASSERT_MSG(condition, ...)                      \
  do {                                                     \
    if (__builtin_expect(!(condition), 0)) {               \
      __zx_assert_failed(__FILE__, __LINE__, #condition);  \
      __zx_panic(__VA_ARGS__);                             \
    }                                                      \
  } while (0)

// The same in debug builds. In others the condition is compiled, but not evaluated.
#define ZX_DEBUG_ASSERT(condition) ZX_DEBUG_ASSERT_MSG(condition, "assertion failed")
#define ZX_DEBUG_ASSERT_MSG(condition, ...)                    \
  do {                                                         \
    if (ZX_DEBUG_ASSERT_IMPLEMENTED) {                         \
      ZX_ASSERT_MSG(condition, __VA_ARGS__);                   \
    }                                                          \
  } while (0)

#endif // ZIRCON_ASSERT_H_
