//! What a [`Vmo`] can do here beyond Fuchsia's binding. Code that is to run there as well cannot use it.

use std::time::Duration;

use zxvm_syscall::Kernel;

use crate::sys::Status;
use crate::vmo::Vmo;

/// Ours, not Fuchsia's: from now on looks through all VMOs for pages of zeros every `period` and gives them back, from a
/// thread of the library; an empty period ends that. A VMO in which any were found writes by calls more slowly from then
/// on.
///
/// # Errors
/// `NO_RESOURCES`: no thread can be had.
pub fn free_zero_pages_every(period: Duration) -> Result<(), Status> {
    Kernel::current()?.free_zero_pages_every(period)
}

impl Vmo {
    /// Ours, not Fuchsia's: discards the content of a discardable VMO, as the system may when memory is short. Needs
    /// `WRITE`.
    ///
    /// True: the content is gone by this call, and the VMO cannot be read, written or accessed through mappings until it
    /// is locked again; then it is zero. False: it may not go, because it is locked, has never been locked, or is gone
    /// already.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `NOT_SUPPORTED`: the VMO is not discardable.
    pub fn discard(&self) -> Result<bool, Status> {
        Kernel::current()?.vmo_discard(self.raw_handle())
    }

    /// Ours, not Fuchsia's: frees the committed pages that hold nothing but zeros, and says how many bytes those were.
    /// Nobody can see the difference but in [`info`](Self::info). Needs `WRITE`. On a slice or a reference it is the
    /// parent's pages that are freed, in its range.
    ///
    /// ```
    /// use zxvm as zx;
    /// # fn main() -> Result<(), zx::Status> {
    /// let vmo = zx::Vmo::create(8192)?;
    /// vmo.write(&[0; 8192], 0)?;
    /// vmo.write(&[7], 5000)?;
    /// assert_eq!(vmo.free_zero_pages()?, 4096);
    /// assert_eq!(vmo.read_to_object::<u8>(5000)?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `BAD_STATE`: the VMO is not cached.
    pub fn free_zero_pages(&self) -> Result<u64, Status> {
        Kernel::current()?.vmo_free_zero_pages(self.raw_handle())
    }
}
