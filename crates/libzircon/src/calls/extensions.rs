//! What is ours and not Zircon's.
//!
//! A result that is wanted is written once before anything is done, so that a place which cannot be written changes
//! nothing.

use core::ffi::c_void;
use core::time::Duration;

use zxvm_syscall::{Delivery, Kernel, Out};
use zxvm_types::{Status, zx_handle_t, zx_status_t};

use crate::entry::{call, extensions, guarded};
use crate::user::{OutPtr, in_buffer, out_buffer};

/// Puts a result where the caller wants it, if anywhere.
pub(super) fn put<T>(to: Option<OutPtr<T>>, value: T) -> Result<(), Status>
where
    OutPtr<T>: Out<T>,
{
    to.put(value).map_err(|_| Status::INVALID_ARGS)
}

extensions! {
    fn set_fault_delivery(delivery: u32) -> zx_status_t {
        guarded(|| {
            let delivery = match delivery {
                0 => Ok(Delivery::Thread),
                1 => Ok(Delivery::InThread),
                _ => Err(Status::INVALID_ARGS),
            };
            Status::from_result(delivery.and_then(Kernel::set_fault_delivery)).into_raw()
        })
    }

    fn try_copy(to: *mut c_void, from: *const c_void, len: usize) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let (to, from) = unsafe { (out_buffer(to, len), in_buffer(from, len)) };
            kernel.try_copy(to, from)
        })
    }

    fn vmo_discard(vmo: zx_handle_t, discarded: *mut u32) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let to = unsafe { OutPtr::optional(discarded) };
            put(to, 0)?;
            let gone = kernel.vmo_discard(vmo)?;
            put(to, u32::from(gone))
        })
    }

    fn vmo_free_zero_pages(vmo: zx_handle_t, bytes: *mut u64) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let to = unsafe { OutPtr::optional(bytes) };
            put(to, 0)?;
            let freed = kernel.vmo_free_zero_pages(vmo)?;
            put(to, freed)
        })
    }

    fn free_zero_pages_every(nanoseconds: u64) -> zx_status_t {
        call(|kernel| kernel.free_zero_pages_every(Duration::from_nanos(nanoseconds)))
    }
}
