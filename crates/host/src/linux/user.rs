//! Buffers of the caller: addresses that may not be there.
//!
//! 1. Client memory is never borrowed as a Rust reference: other threads and other mappings may write it at any time.
//! 2. Every access either succeeds or reports the first byte that could not be accessed; it never kills the process
//!    (`copy.rs` says where that holds).
//! 3. Nothing is accessed while a lock of the engine is held: the access may fault into the engine.

use core::marker::PhantomData;

use super::copy::{copy_between, copy_in, copy_out};

macro_rules! user_buffer {
    ($(#[$meta:meta])* $name:ident, $lent:ty, $leave:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            addr: usize,
            len: usize,
            life: PhantomData<$lent>,
        }

        impl $name<'_> {
            /// The `len` bytes at `addr`, which may be any address at all.
            ///
            /// # Safety
            #[doc = $leave]
            pub const unsafe fn from_raw_parts(addr: usize, len: usize) -> Self {
                Self { addr, len, life: PhantomData }
            }

            /// Address of the first byte.
            pub const fn addr(self) -> usize {
                self.addr
            }

            /// Length in bytes.
            pub const fn len(self) -> usize {
                self.len
            }

            /// Whether it has no bytes.
            pub const fn is_empty(self) -> bool {
                self.len == 0
            }

            /// The part of `len` bytes from `at` on.
            ///
            /// # Panics
            /// If that is not inside.
            #[track_caller]
            pub fn part(self, at: usize, len: usize) -> Self {
                assert!(at.checked_add(len).is_some_and(|end| end <= self.len));
                Self { addr: self.addr.wrapping_add(at), len, life: PhantomData }
            }
        }
    };
}

user_buffer! {
    /// A caller's buffer that a call writes to.
    UserSlice, &'a mut [u8], "The caller lets the engine overwrite whatever of this range is writable."
}
user_buffer! {
    /// A caller's buffer that a call reads from.
    UserRef, &'a [u8], "The caller lets the engine read whatever of this range is readable."
}

/// The first byte of a buffer that could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot access {at:#x}")]
pub struct UserFault {
    /// Its address.
    pub at: usize,
}

impl UserSlice<'_> {
    /// Copies `bytes` to the start of the buffer.
    ///
    /// # Errors
    /// The first byte that is not writable; those before it have been written.
    ///
    /// # Panics
    /// If the buffer is shorter than `bytes`.
    pub fn fill_from(self, bytes: &[u8]) -> Result<(), UserFault> {
        assert!(bytes.len() <= self.len);
        // SAFETY: whoever made this value allowed writing to the range; `copy_out` survives what is not there.
        unsafe { copy_out(self.addr, bytes) }
    }
}

impl UserRef<'_> {
    /// Copies the start of the buffer to `bytes`.
    ///
    /// # Errors
    /// The first byte that is not readable; those before it have been copied.
    ///
    /// # Panics
    /// If the buffer is shorter than `bytes`.
    pub fn copy_to(self, bytes: &mut [u8]) -> Result<(), UserFault> {
        assert!(bytes.len() <= self.len);
        // SAFETY: whoever made this value allowed reading the range; `copy_in` survives what is not there.
        unsafe { copy_in(bytes, self.addr) }
    }
}

/// Where a copy between two buffers stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyStop {
    /// Bytes done.
    pub done: usize,
    /// The error number with which a pager refused the access after them; 0: none did, it is not allowed.
    pub error: i32,
}

impl UserSlice<'_> {
    /// Copies from another buffer to this one, both as long. They should not overlap.
    ///
    /// # Errors
    /// Where it stopped; what comes before has been copied.
    ///
    /// # Panics
    /// If one is longer.
    pub fn copy_from(self, from: UserRef<'_>) -> Result<(), CopyStop> {
        assert_eq!(self.len, from.len);
        // SAFETY: whoever made these values allowed writing to the one and reading the other; `copy_between` survives what is
        // not there.
        unsafe { copy_between(self.addr, from.addr, self.len) }.map_err(|(done, error)| CopyStop { done, error })
    }
}

impl<'a> From<&'a mut [u8]> for UserSlice<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self { addr: bytes.as_mut_ptr().expose_provenance(), len: bytes.len(), life: PhantomData }
    }
}

impl<'a> From<&'a [u8]> for UserRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { addr: bytes.as_ptr().expose_provenance(), len: bytes.len(), life: PhantomData }
    }
}
