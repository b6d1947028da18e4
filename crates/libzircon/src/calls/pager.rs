//! Pagers: programs that provide the pages of VMOs.

use core::ffi::c_void;

use zxvm_types::{zx_handle_t, zx_status_t};

use crate::entry::{call, exports};
use crate::user::{OutPtr, out_buffer};

exports! {
    fn pager_create(options: u32, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.pager_create(options, unsafe { OutPtr::required(out) }))
    }

    fn pager_create_vmo(
        pager: zx_handle_t,
        options: u32,
        port: zx_handle_t,
        key: u64,
        size: u64,
        out: *mut zx_handle_t,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.pager_create_vmo(pager, options, port, key, size, unsafe { OutPtr::required(out) }))
    }

    fn pager_detach_vmo(pager: zx_handle_t, vmo: zx_handle_t) -> zx_status_t {
        call(|kernel| kernel.pager_detach_vmo(pager, vmo))
    }

    fn pager_supply_pages(
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        offset: u64,
        length: u64,
        aux_vmo: zx_handle_t,
        aux_offset: u64,
    ) -> zx_status_t {
        call(|kernel| kernel.pager_supply_pages(pager, pager_vmo, offset, length, aux_vmo, aux_offset))
    }

    fn pager_op_range(
        pager: zx_handle_t,
        op: u32,
        pager_vmo: zx_handle_t,
        offset: u64,
        length: u64,
        data: u64,
    ) -> zx_status_t {
        call(|kernel| kernel.pager_op_range(pager, op, pager_vmo, offset, length, data))
    }

    fn pager_query_dirty_ranges(
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        offset: u64,
        length: u64,
        buffer: *mut c_void,
        buffer_size: usize,
        actual: *mut usize,
        avail: *mut usize,
    ) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let (buffer, actual, avail) =
                unsafe { (out_buffer(buffer, buffer_size), OutPtr::optional(actual), OutPtr::optional(avail)) };
            kernel.pager_query_dirty_ranges(pager, pager_vmo, offset, length, buffer, actual, avail)
        })
    }

    fn pager_query_vmo_stats(
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        options: u32,
        buffer: *mut c_void,
        buffer_size: usize,
    ) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            kernel.pager_query_vmo_stats(pager, pager_vmo, options, unsafe { out_buffer(buffer, buffer_size) })
        })
    }
}
