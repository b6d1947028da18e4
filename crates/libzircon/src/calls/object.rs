//! Objects of any type: information, properties, signals, waits; and those that only signal.

use core::ffi::c_void;

use zxvm_syscall::Kernel;
use zxvm_types::{Status, ZX_WAIT_MANY_MAX_ITEMS, zx_handle_t, zx_signals_t, zx_status_t, zx_time_t, zx_wait_item_t};

use crate::entry::{call, exports};
use crate::user::{OutPtr, copy_array_in, copy_array_out, in_buffer, out_buffer};

/// Waits for any of `count` items, which are copied in before and out afterwards.
///
/// # Safety
/// Whatever is accessible of the array may be read and overwritten.
unsafe fn wait_many(
    kernel: &Kernel,
    items: *mut zx_wait_item_t,
    count: usize,
    deadline: zx_time_t,
) -> Result<(), Status> {
    let mut copy = [zx_wait_item_t::default(); ZX_WAIT_MANY_MAX_ITEMS];
    let copy = copy.get_mut(..count).ok_or(Status::OUT_OF_RANGE)?;
    // SAFETY: passed on.
    unsafe { copy_array_in(copy, items) }?;
    let outcome = kernel.object_wait_many(copy, deadline);
    if let Ok(()) | Err(Status::TIMED_OUT | Status::CANCELED) = outcome {
        // SAFETY: passed on.
        unsafe { copy_array_out(items, copy) }?;
    }
    outcome
}

exports! {
    fn object_get_info(
        handle: zx_handle_t,
        topic: u32,
        buffer: *mut c_void,
        buffer_size: usize,
        actual: *mut usize,
        avail: *mut usize,
    ) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let (buffer, actual, avail) =
                unsafe { (out_buffer(buffer, buffer_size), OutPtr::optional(actual), OutPtr::optional(avail)) };
            kernel.object_get_info(handle, topic, buffer, actual, avail)
        })
    }

    fn object_get_property(
        handle: zx_handle_t,
        property: u32,
        value: *mut c_void,
        value_size: usize,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.object_get_property(handle, property, unsafe { out_buffer(value, value_size) }))
    }

    fn object_set_property(
        handle: zx_handle_t,
        property: u32,
        value: *const c_void,
        value_size: usize,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.object_set_property(handle, property, unsafe { in_buffer(value, value_size) }))
    }

    fn object_signal(handle: zx_handle_t, clear_mask: u32, set_mask: u32) -> zx_status_t {
        call(|kernel| kernel.object_signal(handle, clear_mask, set_mask))
    }

    fn object_signal_peer(handle: zx_handle_t, clear_mask: u32, set_mask: u32) -> zx_status_t {
        call(|kernel| kernel.object_signal_peer(handle, clear_mask, set_mask))
    }

    fn object_wait_one(
        handle: zx_handle_t,
        signals: zx_signals_t,
        deadline: zx_time_t,
        observed: *mut zx_signals_t,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.object_wait_one(handle, signals, deadline, unsafe { OutPtr::optional(observed) }))
    }

    fn object_wait_many(items: *mut zx_wait_item_t, num_items: usize, deadline: zx_time_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| unsafe { wait_many(kernel, items, num_items, deadline) })
    }

    fn event_create(options: u32, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.event_create(options, unsafe { OutPtr::required(out) }))
    }

    fn eventpair_create(options: u32, out0: *mut zx_handle_t, out1: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| unsafe { kernel.eventpair_create(options, OutPtr::required(out0), OutPtr::required(out1)) })
    }
}
