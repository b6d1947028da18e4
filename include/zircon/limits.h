// Sizes of pages: what the architecture may have, and what old programs expect.

#ifndef ZIRCON_LIMITS_H_
#define ZIRCON_LIMITS_H_

#include <stdint.h>

#if defined(__x86_64__)
#define ZX_MIN_PAGE_SHIFT ((uint32_t)12u)
#define ZX_MAX_PAGE_SHIFT ((uint32_t)21u)
#elif defined(__aarch64__)
#define ZX_MIN_PAGE_SHIFT ((uint32_t)12u)
#define ZX_MAX_PAGE_SHIFT ((uint32_t)16u)
#else
#error "zircon: x86-64 and aarch64 only"
#endif

#define ZX_MIN_PAGE_SIZE ((uintptr_t)1 << ZX_MIN_PAGE_SHIFT)
#define ZX_MAX_PAGE_SIZE ((uintptr_t)1 << ZX_MAX_PAGE_SHIFT)

// For old programs; new ones call zx_system_get_page_size(). The library runs on pages of this size only.
#define ZX_PAGE_SIZE ((uintptr_t)4096u)

#endif // ZIRCON_LIMITS_H_
