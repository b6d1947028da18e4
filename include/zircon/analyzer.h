// Tells clang's static analyser who owns a handle. Empty for every other compiler.

#ifndef ZIRCON_ANALYZER_H_
#define ZIRCON_ANALYZER_H_

#if defined(__clang__) && defined(__has_attribute)
#if __has_attribute(acquire_handle) && __has_attribute(release_handle) && __has_attribute(use_handle)
#define ZX_HANDLE_ACQUIRE __attribute__((acquire_handle("Fuchsia")))
#define ZX_HANDLE_RELEASE __attribute__((release_handle("Fuchsia")))
#define ZX_HANDLE_USE __attribute__((use_handle("Fuchsia")))
#define ZX_HANDLE_ACQUIRE_UNOWNED __attribute__((acquire_handle("FuchsiaUnowned")))
#define ZX_HANDLE_RELEASE_UNOWNED __attribute__((release_handle("FuchsiaUnowned")))
#define ZX_HANDLE_USE_UNOWNED __attribute__((use_handle("FuchsiaUnowned")))
#endif
#endif

#ifndef ZX_HANDLE_ACQUIRE
#define ZX_HANDLE_ACQUIRE
#define ZX_HANDLE_RELEASE
#define ZX_HANDLE_USE
#define ZX_HANDLE_ACQUIRE_UNOWNED
#define ZX_HANDLE_RELEASE_UNOWNED
#define ZX_HANDLE_USE_UNOWNED
#endif

#endif // ZIRCON_ANALYZER_H_
