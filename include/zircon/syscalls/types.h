// Names of the records that prototypes point to, for those who only pass the pointers on.

#ifndef ZIRCON_SYSCALLS_TYPES_H_
#define ZIRCON_SYSCALLS_TYPES_H_

#include <zircon/types.h>

typedef struct zx_port_packet zx_port_packet_t; // zircon/syscalls/port.h

#endif // ZIRCON_SYSCALLS_TYPES_H_
