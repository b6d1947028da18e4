// Packets: what ports deliver, and what pagers and asynchronous waits send.

#ifndef ZIRCON_SYSCALLS_PORT_H_
#define ZIRCON_SYSCALLS_PORT_H_

#include <zircon/syscalls/types.h>
#include <zircon/types.h>

// zx_port_create
#define ZX_PORT_BIND_TO_INTERRUPT ((uint32_t)1u)

// zx_object_wait_async
#define ZX_WAIT_ASYNC_ONCE ((uint32_t)0u) // obsolete: all are
#define ZX_WAIT_ASYNC_TIMESTAMP ((uint32_t)1u)
#define ZX_WAIT_ASYNC_EDGE ((uint32_t)2u)
#define ZX_WAIT_ASYNC_BOOT_TIMESTAMP ((uint32_t)4u)

// zx_port_packet_t.type. 2 and 8 are not used.
#define ZX_PKT_TYPE_USER ((zx_packet_type_t)0u)
#define ZX_PKT_TYPE_SIGNAL_ONE ((zx_packet_type_t)1u)
#define ZX_PKT_TYPE_GUEST_BELL ((zx_packet_type_t)3u)
#define ZX_PKT_TYPE_GUEST_MEM ((zx_packet_type_t)4u)
#define ZX_PKT_TYPE_GUEST_IO ((zx_packet_type_t)5u)
#define ZX_PKT_TYPE_GUEST_VCPU ((zx_packet_type_t)6u)
#define ZX_PKT_TYPE_INTERRUPT ((zx_packet_type_t)7u)
#define ZX_PKT_TYPE_PAGE_REQUEST ((zx_packet_type_t)9u)

#define ZX_PKT_IS_USER(type) ((type) == ZX_PKT_TYPE_USER)
#define ZX_PKT_IS_SIGNAL_ONE(type) ((type) == ZX_PKT_TYPE_SIGNAL_ONE)
#define ZX_PKT_IS_GUEST_BELL(type) ((type) == ZX_PKT_TYPE_GUEST_BELL)
#define ZX_PKT_IS_GUEST_MEM(type) ((type) == ZX_PKT_TYPE_GUEST_MEM)
#define ZX_PKT_IS_GUEST_IO(type) ((type) == ZX_PKT_TYPE_GUEST_IO)
#define ZX_PKT_IS_GUEST_VCPU(type) ((type) == ZX_PKT_TYPE_GUEST_VCPU)
#define ZX_PKT_IS_INTERRUPT(type) ((type) == ZX_PKT_TYPE_INTERRUPT)
#define ZX_PKT_IS_PAGE_REQUEST(type) ((type) == ZX_PKT_TYPE_PAGE_REQUEST)

// zx_packet_page_request_t.command
#define ZX_PAGER_VMO_READ ((uint16_t)0u)     // supply these pages
#define ZX_PAGER_VMO_COMPLETE ((uint16_t)1u) // no more commands will come
#define ZX_PAGER_VMO_DIRTY ((uint16_t)2u)    // allow these pages to be written

// USER: 32 bytes of the sender's own.
typedef union zx_packet_user {
  uint64_t u64[4];
  uint32_t u32[8];
  uint16_t u16[16];
  uint8_t c8[32];
} zx_packet_user_t;

// SIGNAL_ONE: `trigger` was waited for, `observed` is all that was active.
typedef struct zx_packet_signal {
  zx_signals_t trigger;
  zx_signals_t observed;
  uint64_t count; // 1
  zx_time_t timestamp;
  uint64_t reserved1;
} zx_packet_signal_t;

// PAGE_REQUEST: a command about `length` bytes of the VMO from `offset` on.
typedef struct zx_packet_page_request {
  uint16_t command;
  uint16_t flags;
  uint32_t reserved0;
  uint64_t offset;
  uint64_t length;
  uint64_t reserved1;
} zx_packet_page_request_t;

// INTERRUPT
typedef struct zx_packet_interrupt {
  zx_time_t timestamp;
  uint64_t reserved0;
  uint64_t reserved1;
  uint64_t reserved2;
} zx_packet_interrupt_t;

struct zx_port_packet {
  uint64_t key;
  zx_packet_type_t type;
  zx_status_t status;
  union {
    zx_packet_user_t user;
    zx_packet_signal_t signal;
    zx_packet_page_request_t page_request;
    zx_packet_interrupt_t interrupt;
  };
};

#endif // ZIRCON_SYSCALLS_PORT_H_
