//! Ports: packets, and waits that end in one.

use core::ffi::c_void;

use zxvm_types::{zx_handle_t, zx_port_packet_t, zx_signals_t, zx_status_t, zx_time_t};

use crate::entry::{call, exports};
use crate::user::{OutPtr, in_buffer};

exports! {
    fn port_create(options: u32, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.port_create(options, unsafe { OutPtr::required(out) }))
    }

    fn port_queue(handle: zx_handle_t, packet: *const zx_port_packet_t) -> zx_status_t {
        let packet = packet.cast::<c_void>();
        // SAFETY: the caller's promise.
        call(|kernel| kernel.port_queue(handle, unsafe { in_buffer(packet, size_of::<zx_port_packet_t>()) }))
    }

    fn port_wait(handle: zx_handle_t, deadline: zx_time_t, packet: *mut zx_port_packet_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.port_wait(handle, deadline, unsafe { OutPtr::required(packet) }))
    }

    fn port_cancel(handle: zx_handle_t, source: zx_handle_t, key: u64) -> zx_status_t {
        call(|kernel| kernel.port_cancel(handle, source, key))
    }

    fn port_cancel_key(handle: zx_handle_t, options: u32, key: u64) -> zx_status_t {
        call(|kernel| kernel.port_cancel_key(handle, options, key))
    }

    fn object_wait_async(
        handle: zx_handle_t,
        port: zx_handle_t,
        key: u64,
        signals: zx_signals_t,
        options: u32,
    ) -> zx_status_t {
        call(|kernel| kernel.object_wait_async(handle, port, key, signals, options))
    }
}
