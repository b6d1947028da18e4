//! Packets: what ports deliver.
//!
//! After `status` come 32 bytes whose meaning the type decides; the record of each kind is just that long.

use crate::scalars::*;

records! {
    /// A packet.
    pub struct zx_port_packet_t: 48 {
        /// Chosen by whoever asked for the packet.
        0 => key: u64,
        /// `ZX_PKT_TYPE_*`
        8 => packet_type as "type": zx_packet_type_t,
        /// For the program's own packets: whatever the sender put here. Else `ZX_OK`.
        12 => status: zx_status_t,
        /// A [`zx_packet_user_t`], [`zx_packet_signal_t`], [`zx_packet_page_request_t`] or [`zx_packet_interrupt_t`].
        16 => union as "user": zx_packet_user_t,
    }

    /// Signals of an object. Type `SIGNAL_ONE`.
    pub struct zx_packet_signal_t: 32 {
        /// The signals that were waited for.
        0 => trigger: zx_signals_t,
        /// All the signals that were active.
        4 => observed: zx_signals_t,
        /// One.
        8 => count: u64,
        /// When, if that was asked for; else 0.
        16 => timestamp: zx_time_t,
        /// Zero.
        24 => reserved1: u64,
    }

    /// A command to a pager. Type `PAGE_REQUEST`.
    pub struct zx_packet_page_request_t: 32 {
        /// `ZX_PAGER_VMO_*`
        0 => command: u16,
        /// Zero.
        2 => flags: u16,
        /// Zero.
        4 => reserved0: u32,
        /// Start in the VMO, in bytes.
        8 => offset: u64,
        /// Length in bytes.
        16 => length: u64,
        /// Zero.
        24 => reserved1: u64,
    }

    /// An interrupt. Type `INTERRUPT`.
    pub struct zx_packet_interrupt_t: 32 {
        /// When.
        0 => timestamp: zx_time_t,
        /// Zero.
        8 => reserved0: u64,
        /// Zero.
        16 => reserved1: u64,
        /// Zero.
        24 => reserved2: u64,
    }
}

/// The program's own bytes. Type `USER`. In C a union of arrays of 8, 16, 32 and 64 bits.
pub type zx_packet_user_t = [u8; 32];

constants! {
    /// Sent by a program.
    pub const ZX_PKT_TYPE_USER: zx_packet_type_t = 0;
    /// Signals of an object.
    pub const ZX_PKT_TYPE_SIGNAL_ONE: zx_packet_type_t = 1;
    /// A guest rang a bell.
    pub const ZX_PKT_TYPE_GUEST_BELL: zx_packet_type_t = 3;
    /// A guest touched memory.
    pub const ZX_PKT_TYPE_GUEST_MEM: zx_packet_type_t = 4;
    /// A guest did input or output.
    pub const ZX_PKT_TYPE_GUEST_IO: zx_packet_type_t = 5;
    /// A guest's processor changed its state.
    pub const ZX_PKT_TYPE_GUEST_VCPU: zx_packet_type_t = 6;
    /// An interrupt.
    pub const ZX_PKT_TYPE_INTERRUPT: zx_packet_type_t = 7;
    /// A command to a pager.
    pub const ZX_PKT_TYPE_PAGE_REQUEST: zx_packet_type_t = 9;

    /// The default, and obsolete: one packet per call.
    pub const ZX_WAIT_ASYNC_ONCE: u32 = 0;
    /// Tell when, on the monotonic clock.
    pub const ZX_WAIT_ASYNC_TIMESTAMP: u32 = 1;
    /// Wait for a change even if the signal is active now.
    pub const ZX_WAIT_ASYNC_EDGE: u32 = 2;
    /// Tell when, on the boot clock.
    pub const ZX_WAIT_ASYNC_BOOT_TIMESTAMP: u32 = 4;

    /// To create: interrupts can be bound to the port.
    pub const ZX_PORT_BIND_TO_INTERRUPT: u32 = 1;
}
