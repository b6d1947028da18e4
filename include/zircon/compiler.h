// Names for what compilers offer beyond the language.
//
// All of them work with gcc and clang, in C11 and C++17.

#ifndef ZIRCON_COMPILER_H_
#define ZIRCON_COMPILER_H_

#ifdef __cplusplus
#define __BEGIN_CDECLS extern "C" {
#define __END_CDECLS }
#else
#define __BEGIN_CDECLS
#define __END_CDECLS
#endif

// Visibility and linkage.
#define __EXPORT __attribute__((__visibility__("default")))
#define __LOCAL __attribute__((__visibility__("hidden")))
#define __WEAK __attribute__((__weak__))
#define __ALIAS(name) __attribute__((__alias__(name)))
#define __SECTION(name) __attribute__((__section__(name)))
#define __USED __attribute__((__used__))
#define __UNUSED __attribute__((__unused__))

// What a function does, and does not do.
#define __NO_RETURN __attribute__((__noreturn__))
#define __CONST __attribute__((__const__)) // the result depends on the arguments alone
#define __PURE __attribute__((__pure__))   // may read memory, changes nothing
#define __MALLOC __attribute__((__malloc__))
#define __NONNULL(...) __attribute__((__nonnull__(__VA_ARGS__)))
#define __PRINTFLIKE(format, first) __attribute__((__format__(__printf__, format, first)))
#define __SCANFLIKE(format, first) __attribute__((__format__(__scanf__, format, first)))
#define __WARN_UNUSED_RESULT __attribute__((__warn_unused_result__))
#define __DEPRECATE __attribute__((__deprecated__))

// How it is compiled.
#define __ALWAYS_INLINE __attribute__((__always_inline__))
#define __NO_INLINE __attribute__((__noinline__))
#define __ALIGNED(bytes) __attribute__((__aligned__(bytes)))
#define __PACKED __attribute__((__packed__))
#define __UNREACHABLE __builtin_unreachable()

#ifdef __cplusplus
#define __FALLTHROUGH [[fallthrough]]
#define __CONSTEXPR constexpr
#else
#define __FALLTHROUGH __attribute__((__fallthrough__))
#define __CONSTEXPR
#endif

#endif // ZIRCON_COMPILER_H_
