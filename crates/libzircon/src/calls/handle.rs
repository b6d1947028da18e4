//! Handles: close, duplicate, replace.

use zxvm_syscall::Kernel;
use zxvm_types::{Status, ZX_HANDLE_INVALID, zx_handle_t, zx_rights_t, zx_status_t};

use crate::entry::{call, exports};
use crate::user::{OutPtr, copy_array_in};

/// Handles read from the caller's array at a time.
const CHUNK: usize = 64;

/// Closes `count` handles, the readable part of them whatever happens.
///
/// # Safety
/// Whatever is readable of the array may be read.
unsafe fn close_many(kernel: &Kernel, handles: *const zx_handle_t, count: usize) -> Result<(), Status> {
    let mut chunk = [ZX_HANDLE_INVALID; CHUNK];
    let mut outcome = Ok(());
    let mut done = 0;
    while done < count {
        let chunk = &mut chunk[..CHUNK.min(count - done)];
        // SAFETY: passed on. A count that makes the address wrap has met an address that is not there before.
        unsafe { copy_array_in(chunk, handles.wrapping_add(done)) }?;
        outcome = outcome.and(kernel.handle_close_many(chunk));
        done += chunk.len();
    }
    outcome
}

exports! {
    fn handle_close(handle: zx_handle_t) -> zx_status_t {
        call(|kernel| kernel.handle_close(handle))
    }

    fn handle_close_many(handles: *const zx_handle_t, num_handles: usize) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| unsafe { close_many(kernel, handles, num_handles) })
    }

    fn handle_duplicate(handle: zx_handle_t, rights: zx_rights_t, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.handle_duplicate(handle, rights, unsafe { OutPtr::required(out) }))
    }

    fn handle_replace(handle: zx_handle_t, rights: zx_rights_t, out: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.handle_replace(handle, rights, unsafe { OutPtr::required(out) }))
    }

    fn handle_check_valid(handle: zx_handle_t) -> zx_status_t {
        call(|kernel| kernel.handle_check_valid(handle))
    }
}
