//! Children of VMOs: copies on write, windows, and further objects for the same memory.

use zxvm_syscall::Kernel;

use crate::handle::NullableHandle;
use crate::sys::{self, Status};
use crate::vmo::Vmo;

flags! {
    /// What a child is to be: one of the types, and what goes with it. vmo.md §3 has the rules.
    pub struct VmoChildOptions: u32 {
        /// A type: the parent's content as it is at the call, on both sides, as if copied at once.
        const SNAPSHOT = sys::ZX_VMO_CHILD_SNAPSHOT;
        /// A type: a page is the child's own from its first write to it. The same as `SNAPSHOT` but for VMOs of pagers.
        const SNAPSHOT_AT_LEAST_ON_WRITE = sys::ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE;
        /// With a snapshot: its size can be changed. With a reference: by this handle too.
        const RESIZABLE = sys::ZX_VMO_CHILD_RESIZABLE;
        /// A type: a window on the parent. Its pages are the parent's.
        const SLICE = sys::ZX_VMO_CHILD_SLICE;
        /// With any type: the handle gets no `WRITE`.
        const NO_WRITE = sys::ZX_VMO_CHILD_NO_WRITE;
        /// A type: another object for all of the parent. Its pages, size and stream size are the parent's.
        const REFERENCE = sys::ZX_VMO_CHILD_REFERENCE;
        /// A type: a snapshot of what no pager supplied. The same as `SNAPSHOT` but for VMOs of pagers.
        const SNAPSHOT_MODIFIED = sys::ZX_VMO_CHILD_SNAPSHOT_MODIFIED;
    }
}

impl Vmo {
    /// A child of this VMO, for `size` bytes from `offset` on, rounded up to whole pages. Needs `DUPLICATE` and `READ`.
    ///
    /// Its handle has this one's rights with `GET_PROPERTY` and `SET_PROPERTY`, and `RESIZE` if it is asked for and only
    /// then. A snapshot's has `WRITE` besides and no `EXECUTE`. `NO_WRITE` takes `WRITE` away and leaves `EXECUTE`.
    ///
    /// A snapshot costs no memory until one of both sides writes to a page; it may reach past the parent's end, where it
    /// is zero for ever.
    ///
    /// ```
    /// use zxvm as zx;
    /// # fn main() -> Result<(), zx::Status> {
    /// let vmo = zx::Vmo::create(4096)?;
    /// vmo.write(b"before", 0)?;
    /// let snapshot = vmo.create_child(zx::VmoChildOptions::SNAPSHOT, 0, 4096)?;
    /// vmo.write(b"after ", 0)?;
    /// assert_eq!(&snapshot.read_to_array::<u8, 6>(0)?, b"before");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `OUT_OF_RANGE`: larger than a VMO can be; for a snapshot, past the end of what can be addressed. `INVALID_ARGS`:
    /// not exactly one type, or options that do not go with it; `offset` within a page; for a slice, a range not wholly
    /// in the parent; for a reference, a range at all; a snapshot that would end too far from where its ancestors start.
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`: also to make a reference `RESIZABLE` without `RESIZE`.
    /// `NOT_SUPPORTED`: this VMO is discardable; a slice of a resizable one; a snapshot or a reference of a slice; a
    /// `RESIZABLE` reference of one that is not. `BAD_STATE`: this VMO is not cached. `NO_MEMORY`.
    ///
    /// Source: `zx_vmo_create_child`; vmo.md §3.
    pub fn create_child(&self, opts: VmoChildOptions, offset: u64, size: u64) -> Result<Self, Status> {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current()?.vmo_create_child(self.raw_handle(), opts.bits(), offset, size, &mut raw)?;
        Ok(Self::from(NullableHandle::adopt(raw)))
    }
}
