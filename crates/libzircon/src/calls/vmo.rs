//! VMOs: memory.

use core::ffi::c_void;

use zxvm_types::{zx_handle_t, zx_paddr_t, zx_status_t};

use crate::entry::{call, exports};
use crate::user::{OutPtr, in_buffer, out_buffer};

exports! {
    fn vmo_create(size: u64, options: u32, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_create(size, options, unsafe { OutPtr::required(out) }))
    }

    fn vmo_create_child(
        handle: zx_handle_t,
        options: u32,
        offset: u64,
        size: u64,
        out: *mut zx_handle_t,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_create_child(handle, options, offset, size, unsafe { OutPtr::required(out) }))
    }

    fn vmo_create_contiguous(
        bti: zx_handle_t,
        size: usize,
        alignment_log2: u32,
        out: *mut zx_handle_t,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_create_contiguous(bti, size, alignment_log2, unsafe { OutPtr::required(out) }))
    }

    fn vmo_create_physical(
        resource: zx_handle_t,
        paddr: zx_paddr_t,
        size: usize,
        out: *mut zx_handle_t,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.vmo_create_physical(resource, paddr as u64, size, unsafe { OutPtr::required(out) }))
    }

    fn vmo_transfer_data(
        dst_vmo: zx_handle_t,
        options: u32,
        offset: u64,
        length: u64,
        src_vmo: zx_handle_t,
        src_offset: u64,
    ) -> zx_status_t {
        call(|kernel| kernel.vmo_transfer_data(dst_vmo, options, offset, length, src_vmo, src_offset))
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
