//! VMARs: address space.

use core::ffi::c_void;

use zxvm_syscall::Kernel;
use zxvm_types::{ZX_HANDLE_INVALID, zx_handle_t, zx_status_t, zx_vaddr_t, zx_vm_option_t};

use crate::entry::{call, exports, guarded};
use crate::thread_exit;
use crate::user::OutPtr;

exports! {
    fn vmar_root_self() -> zx_handle_t {
        guarded(|| Kernel::current_below_malloc().map_or(ZX_HANDLE_INVALID, Kernel::vmar_root_self))
    }

    fn vmar_allocate(
        parent_vmar: zx_handle_t,
        options: zx_vm_option_t,
        offset: usize,
        size: usize,
        child_vmar: *mut zx_handle_t,
        child_addr: *mut zx_vaddr_t,
    ) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let (child, addr) = unsafe { (OutPtr::required(child_vmar), OutPtr::required(child_addr)) };
            kernel.vmar_allocate(parent_vmar, options, offset, size, child, addr)
        })
    }

    fn vmar_map(
        handle: zx_handle_t,
        options: zx_vm_option_t,
        vmar_offset: usize,
        vmo: zx_handle_t,
        vmo_offset: u64,
        len: usize,
        mapped_addr: *mut zx_vaddr_t,
    ) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let addr = unsafe { OutPtr::required(mapped_addr) };
            kernel.vmar_map(handle, options, vmar_offset, vmo, vmo_offset, len, addr)
        })
    }

    fn vmar_unmap(handle: zx_handle_t, addr: zx_vaddr_t, len: usize) -> zx_status_t {
        call(|kernel| kernel.vmar_unmap(handle, addr, len))
    }

    fn vmar_protect(handle: zx_handle_t, options: zx_vm_option_t, addr: zx_vaddr_t, len: usize) -> zx_status_t {
        call(|kernel| kernel.vmar_protect(handle, options, addr, len))
    }

    fn vmar_destroy(handle: zx_handle_t) -> zx_status_t {
        call(|kernel| kernel.vmar_destroy(handle))
    }

    fn vmar_op_range(
        handle: zx_handle_t,
        op: u32,
        address: zx_vaddr_t,
        size: usize,
        buffer: *mut c_void,
        buffer_size: usize,
    ) -> zx_status_t {
        // No operation takes a buffer: the number is all that counts.
        call(|kernel| kernel.vmar_op_range(handle, op, address, size, buffer.addr(), buffer_size))
    }

    fn vmar_unmap_handle_close_thread_exit(
        vmar_handle: zx_handle_t,
        addr: zx_vaddr_t,
        size: usize,
        close_handle: zx_handle_t,
    ) -> zx_status_t {
        // SAFETY: the caller gives up this thread, and answers for what it keeps in the range.
        call(|kernel| Err(unsafe { thread_exit::unmap_close_exit(kernel, vmar_handle, addr, size, close_handle) }))
    }
}
