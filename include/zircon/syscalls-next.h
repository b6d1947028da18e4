// Where upstream keeps what is not yet stable. Nothing here is only here: zircon/syscalls.h has it all.

#ifndef ZIRCON_SYSCALLS_NEXT_H_
#define ZIRCON_SYSCALLS_NEXT_H_

#include <zircon/syscalls.h>

#endif // ZIRCON_SYSCALLS_NEXT_H_
