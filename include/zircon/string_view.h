// A string that somebody else keeps.

#ifndef ZIRCON_STRING_VIEW_H_
#define ZIRCON_STRING_VIEW_H_

#include <stddef.h>

// c_str[length] is a NUL, which length does not count.
typedef struct zx_string_view {
  const char* c_str;
  size_t length;
} zx_string_view_t;

#endif // ZIRCON_STRING_VIEW_H_
