//! VMOs: memory.

use core::ffi::c_void;

use zxvm_types::{zx_handle_t, zx_status_t};

use crate::entry::{call, exports};
use crate::user::{OutPtr, in_buffer, out_buffer};

exports! {
    fn vmo_create(size: u64, options: u32, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_create(size, options, unsafe { OutPtr::required(out) }))
    }

    fn vmo_read(handle: zx_handle_t, buffer: *mut c_void, offset: u64, buffer_size: usize) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_read(handle, unsafe { out_buffer(buffer, buffer_size) }, offset))
    }

    fn vmo_write(handle: zx_handle_t, buffer: *const c_void, offset: u64, buffer_size: usize) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_write(handle, unsafe { in_buffer(buffer, buffer_size) }, offset))
    }

    fn vmo_get_size(handle: zx_handle_t, size: *mut u64) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_get_size(handle, unsafe { OutPtr::required(size) }))
    }

    fn vmo_set_size(handle: zx_handle_t, size: u64) -> zx_status_t {
        call(|kernel| kernel.vmo_set_size(handle, size))
    }

    fn vmo_get_stream_size(handle: zx_handle_t, size: *mut u64) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_get_stream_size(handle, unsafe { OutPtr::required(size) }))
    }

    fn vmo_set_stream_size(handle: zx_handle_t, size: u64) -> zx_status_t {
        call(|kernel| kernel.vmo_set_stream_size(handle, size))
    }

    fn vmo_op_range(
        handle: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer: *mut c_void,
        buffer_size: usize,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_op_range(handle, op, offset, size, unsafe { out_buffer(buffer, buffer_size) }))
    }

    fn vmo_set_cache_policy(handle: zx_handle_t, cache_policy: u32) -> zx_status_t {
        call(|kernel| kernel.vmo_set_cache_policy(handle, cache_policy))
    }

    fn vmo_replace_as_executable(handle: zx_handle_t, vmex: zx_handle_t, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_replace_as_executable(handle, vmex, unsafe { OutPtr::required(out) }))
    }
}
