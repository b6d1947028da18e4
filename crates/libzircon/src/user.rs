//! Pointers of the caller.
//!
//! 1. A pointer is a number until it is used; it may be NULL, unmapped, read-only or unaligned.
//! 2. Using one that is not there is an error to return, never a crash.

use core::ffi::c_void;

use zerocopy::{FromBytes, Immutable, IntoBytes};
use zxvm_syscall::Out;
use zxvm_syscall::user::{UserFault, UserRef, UserSlice};
use zxvm_types::Status;

/// Where the caller wants one value.
#[derive(Clone, Copy)]
pub struct OutPtr<T>(*mut T);

impl<T> OutPtr<T> {
    /// A place that must be given: NULL cannot be written to.
    ///
    /// # Safety
    /// Whatever of it is writable may be overwritten.
    pub unsafe fn required(at: *mut T) -> Self {
        Self(at)
    }

    /// A place that may be left out by NULL.
    ///
    /// # Safety
    /// Whatever of it is writable may be overwritten.
    pub unsafe fn optional(at: *mut T) -> Option<Self> {
        (!at.is_null()).then_some(Self(at))
    }
}

impl<T: IntoBytes + Immutable> Out<T> for OutPtr<T> {
    fn put(self, value: T) -> Result<(), UserFault> {
        if self.0.is_null() {
            // Needs no fault to find out, and so works where SIGSEGV is blocked.
            return Err(UserFault { at: 0 });
        }
        // SAFETY: promised when this was made.
        unsafe { UserSlice::from_raw_parts(self.0.expose_provenance(), size_of::<T>()) }.fill_from(value.as_bytes())
    }
}

/// A buffer that the call writes.
///
/// # Safety
/// Whatever of it is writable may be overwritten.
pub unsafe fn out_buffer<'a>(at: *mut c_void, len: usize) -> UserSlice<'a> {
    // SAFETY: passed on.
    unsafe { UserSlice::from_raw_parts(at.expose_provenance(), len) }
}

/// A buffer that the call reads.
///
/// # Safety
/// Whatever of it is readable may be read.
pub unsafe fn in_buffer<'a>(at: *const c_void, len: usize) -> UserRef<'a> {
    // SAFETY: passed on.
    unsafe { UserRef::from_raw_parts(at.expose_provenance(), len) }
}

/// Copies the caller's array at `from` to `to`, all of it.
///
/// # Safety
/// Whatever of it is readable may be read.
///
/// # Errors
/// `INVALID_ARGS`: it is not all there.
pub unsafe fn copy_array_in<T: FromBytes + IntoBytes>(to: &mut [T], from: *const T) -> Result<(), Status> {
    if to.is_empty() {
        return Ok(());
    }
    if from.is_null() {
        return Err(Status::INVALID_ARGS);
    }
    // SAFETY: passed on.
    unsafe { in_buffer(from.cast(), size_of_val(to)) }.copy_to(to.as_mut_bytes()).map_err(|_| Status::INVALID_ARGS)
}

/// Copies `from` to the caller's array at `to`.
///
/// # Safety
/// Whatever of it is writable may be overwritten.
///
/// # Errors
/// `INVALID_ARGS`: it is not all writable.
pub unsafe fn copy_array_out<T: IntoBytes + Immutable>(to: *mut T, from: &[T]) -> Result<(), Status> {
    // SAFETY: passed on.
    unsafe { out_buffer(to.cast(), size_of_val(from)) }.fill_from(from.as_bytes()).map_err(|_| Status::INVALID_ARGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_arrives_at_an_unaligned_address() {
        let mut bytes = [0_u8; 9];
        // SAFETY: eight bytes of ours.
        unsafe { OutPtr::required(bytes[1..].as_mut_ptr().cast::<u64>()) }.put(0x0807_0605_0403_0201).unwrap();
        assert_eq!(bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn null_is_an_error_where_required_and_nothing_where_optional() {
        // SAFETY: nothing is there to be overwritten.
        unsafe {
            assert_eq!(OutPtr::<u32>::required(core::ptr::null_mut()).put(1), Err(UserFault { at: 0 }));
            assert_eq!(OutPtr::<u32>::optional(core::ptr::null_mut()).put(1), Ok(()));
            assert_eq!(copy_array_in(&mut [0_u32; 2], core::ptr::null()), Err(Status::INVALID_ARGS));
            assert_eq!(copy_array_in::<u32>(&mut [], core::ptr::null()), Ok(()));
        }
    }
}
