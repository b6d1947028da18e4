//! Typed memory that the engine fills: the only unsafe blocks of this crate.
//!
//! Three things need them: buffers that are pointers ([`Vmo::read_raw`], [`try_read`]), one that holds nothing yet
//! ([`Vmo::read_uninit`], [`records`]), and one of values whose bytes may include padding ([`bytes_of`]). They rest on
//! 1. [`FromBytes`]: any bytes make a value of the type;
//! 2. the engine: `vmo_read` that returns OK has written the whole buffer, and `object_get_info` that returns OK has
//!    written as many records as it says, which are at most as many as there is room for.

use core::mem::MaybeUninit;
use core::slice;

use zerocopy::FromBytes;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::{UserRef, UserSlice};

use crate::info::Topic;
use crate::sys::{Status, zx_handle_t};
use crate::vmo::Vmo;

/// Records that were filled in, the rest of the buffer, and how many records there are.
pub type Records<'a, T> = (&'a mut [T], &'a mut [MaybeUninit<T>], usize);

/// The bytes of `values`, for the engine to overwrite.
pub fn bytes_of<T: FromBytes>(values: &mut [T]) -> UserSlice<'_> {
    // SAFETY: the memory is borrowed for us alone, and whatever bytes are put there make values of T.
    unsafe { UserSlice::from_raw_parts(values.as_mut_ptr().expose_provenance(), size_of_val(values)) }
}

/// The bytes of `values`, for the engine to overwrite.
fn bytes_of_uninit<T>(values: &mut [MaybeUninit<T>]) -> UserSlice<'_> {
    // SAFETY: the memory is borrowed for us alone, and a `MaybeUninit` may hold any bytes.
    unsafe { UserSlice::from_raw_parts(values.as_mut_ptr().expose_provenance(), size_of_val(values)) }
}

/// The values that are in `filled`.
///
/// # Safety
/// All its bytes have been written.
unsafe fn assume_filled<T: FromBytes>(filled: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: same memory, same layout, same life; the bytes are there (the caller) and make values (`FromBytes`).
    unsafe { slice::from_raw_parts_mut(filled.as_mut_ptr().cast(), filled.len()) }
}

/// As many records of a topic as fit into `buffer`.
pub fn records<T: FromBytes>(
    handle: zx_handle_t,
    topic: Topic,
    buffer: &mut [MaybeUninit<T>],
) -> Result<Records<'_, T>, Status> {
    let (mut actual, mut avail) = (0, 0);
    Kernel::current()?.object_get_info(handle, *topic, bytes_of_uninit(buffer), &mut actual, &mut avail)?;
    let (filled, rest) = buffer.split_at_mut(actual);
    // SAFETY: by 2 above, these records have been written.
    Ok((unsafe { assume_filled(filled) }, rest, avail))
}

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
pub unsafe fn try_read(from: usize, to: &mut [u8]) -> Result<(), Status> {
    // SAFETY: the caller's promise.
    let from = unsafe { UserRef::from_raw_parts(from, to.len()) };
    Kernel::current()?.try_copy(UserSlice::from(to), from)
}

/// Ours, not Fuchsia's: copies to memory at `to`, as [`try_read`] copies from it.
///
/// # Safety
/// Whatever is writable there may be overwritten.
///
/// # Errors
/// As [`try_read`].
pub unsafe fn try_write(to: usize, from: &[u8]) -> Result<(), Status> {
    // SAFETY: the caller's promise.
    let to = unsafe { UserSlice::from_raw_parts(to, from.len()) };
    Kernel::current()?.try_copy(to, UserRef::from(from))
}

impl Vmo {
    /// As [`read`](Self::read), to memory that is given by its address: `buffer_length` values of `T`.
    ///
    /// # Safety
    /// The memory is the caller's to overwrite. (An address that is not accessible is only an error.)
    ///
    /// # Errors
    /// As [`read`](Self::read), and `NOT_FOUND`: the buffer is not accessible. Values before that have been written.
    pub unsafe fn read_raw<T: FromBytes>(
        &self,
        buffer: *mut T,
        buffer_length: usize,
        offset: u64,
    ) -> Result<(), Status> {
        // No VMO is as large as the number this sticks at: that will be OUT_OF_RANGE, in its turn.
        let len = buffer_length.saturating_mul(size_of::<T>());
        // SAFETY: the caller gives the memory to be overwritten, and any bytes make a T.
        let to = unsafe { UserSlice::from_raw_parts(buffer.expose_provenance(), len) };
        Kernel::current()?.vmo_read(self.raw_handle(), to, offset)
    }

    /// As [`read`](Self::read), to memory that need not hold anything yet, and which comes back as values.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_uninit<'a, T: Copy + FromBytes>(
        &self,
        data: &'a mut [MaybeUninit<T>],
        offset: u64,
    ) -> Result<&'a mut [T], Status> {
        Kernel::current()?.vmo_read(self.raw_handle(), bytes_of_uninit(data), offset)?;
        // SAFETY: by 2 above, the whole buffer has been written.
        Ok(unsafe { assume_filled(data) })
    }
}
