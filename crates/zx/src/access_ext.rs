//! Access to memory that may fail.

use crate::raw;
use crate::sys::Status;

/// Ours, not Fuchsia's: copies from memory at `from`, which may be memory of a pager, or nothing at all. An error instead of a
/// signal. Blocks while a pager provides.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let vmo = zx::Vmo::create(4096)?;
/// vmo.write(b"hello", 0)?;
/// let root = zx::runtime::vmar_root_self();
/// let addr = root.map(0, &vmo, 0, 4096, zx::VmarFlags::PERM_READ)?;
/// let mut bytes = [0; 5];
/// // SAFETY: nobody writes there.
/// unsafe { zx::try_read(addr, &mut bytes)? };
/// assert_eq!(&bytes, b"hello");
/// // SAFETY: nobody has references to it.
/// unsafe {
///     root.unmap(addr, 4096)?;
///     assert_eq!(zx::try_read(addr, &mut bytes), Err(zx::Status::NOT_FOUND));
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Safety
/// Whatever is readable there may be read: no other thread writes it without synchronization.
///
/// # Errors
/// What a pager refused the access with; `BAD_STATE`: it does not provide any more. `NOT_FOUND`: nothing is there.
/// `ACCESS_DENIED`: it does not allow that. `OUT_OF_RANGE`: past the end of a VMO. What comes before has been copied.
#[allow(unsafe_code)]
pub unsafe fn try_read(from: usize, to: &mut [u8]) -> Result<(), Status> {
    // SAFETY: passed on.
    unsafe { raw::try_read(from, to) }
}

/// Ours, not Fuchsia's: copies to memory at `to`, as [`try_read`] copies from it.
///
/// # Safety
/// Whatever is writable there may be overwritten.
///
/// # Errors
/// As [`try_read`].
#[allow(unsafe_code)]
pub unsafe fn try_write(to: usize, from: &[u8]) -> Result<(), Status> {
    // SAFETY: passed on.
    unsafe { raw::try_write(to, from) }
}
