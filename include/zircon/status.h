// Status codes as text.

#ifndef ZIRCON_STATUS_H_
#define ZIRCON_STATUS_H_

#include <zircon/types.h>

__BEGIN_CDECLS

// The name of the macro with this value, such as "ZX_ERR_NO_MEMORY", or "(UNKNOWN)". Never NULL; lives for ever.
const char* zx_status_get_string(zx_status_t status) __CONST;
const char* _zx_status_get_string(zx_status_t status) __CONST;

__END_CDECLS

#endif // ZIRCON_STATUS_H_
