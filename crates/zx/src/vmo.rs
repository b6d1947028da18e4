//! [`Vmo`]: memory as an object.

use zerocopy::{FromBytes, FromZeros};
use zxvm_syscall::Kernel;
use zxvm_syscall::user::UserSlice;

use crate::bti::Bti;
use crate::cache_policy::CachePolicy;
use crate::handle::NullableHandle;
use crate::info::{self, Topic};
use crate::property::{self, Property};
use crate::raw;
use crate::resource::Resource;
use crate::sys::{self, Status};
use crate::vmo_info::VmoInfo;

flags! {
    /// What a new VMO is to be. `ZX_VMO_DISCARDABLE` has no name here: `VmoOptions::from_bits_retain` takes it.
    pub struct VmoOptions: u32 {
        /// Its size can be changed.
        const RESIZABLE = sys::ZX_VMO_RESIZABLE;
        /// Ask the pager before a clean page is written. For VMOs of pagers only.
        const TRAP_DIRTY = sys::ZX_VMO_TRAP_DIRTY;
        /// As large as can be; the size given is where the content ends.
        const UNBOUNDED = sys::ZX_VMO_UNBOUNDED;
    }
}

flags! {
    /// How [`Vmo::transfer_data`] is to go about it. There is nothing to choose yet.
    pub struct TransferDataOptions: u32 {}
}

assoc_values! {
    /// What [`Vmo::op_range`] can do to a range. vmo.md §7 has the rules.
    pub struct VmoOp(u32) {
        /// Commit the absent pages. Needs `WRITE`.
        COMMIT = sys::ZX_VMO_OP_COMMIT;
        /// Give the pages back: they read as zero. Needs `WRITE`.
        DECOMMIT = sys::ZX_VMO_OP_DECOMMIT;
        /// Keep the content from being discarded. Cannot succeed here: it fills in a buffer that
        /// [`Vmo::op_range`] has no room for. Use `TRY_LOCK`.
        LOCK = sys::ZX_VMO_OP_LOCK;
        /// Undo one lock. Needs `READ` or `WRITE`.
        UNLOCK = sys::ZX_VMO_OP_UNLOCK;
        /// Make instruction fetches see what was written. Needs `READ`.
        CACHE_SYNC = sys::ZX_VMO_OP_CACHE_SYNC;
        /// Drop the cache without writing it back. `NOT_SUPPORTED`.
        CACHE_INVALIDATE = sys::ZX_VMO_OP_CACHE_INVALIDATE;
        /// Write the cache back. Needs `READ`.
        CACHE_CLEAN = sys::ZX_VMO_OP_CACHE_CLEAN;
        /// Write the cache back, then drop it. Needs `READ`.
        CACHE_CLEAN_INVALIDATE = sys::ZX_VMO_OP_CACHE_CLEAN_INVALIDATE;
        /// Make all bytes zero. Needs `WRITE`.
        ZERO = sys::ZX_VMO_OP_ZERO;
        /// Keep the content from being discarded, unless that has happened (`UNAVAILABLE`). Needs `READ` or `WRITE`.
        TRY_LOCK = sys::ZX_VMO_OP_TRY_LOCK;
        /// Hint: these pages will not be used soon. Needs no right.
        DONT_NEED = sys::ZX_VMO_OP_DONT_NEED;
        /// Hint: keep these pages. Needs no right.
        ALWAYS_NEED = sys::ZX_VMO_OP_ALWAYS_NEED;
        /// Bring the pages in. Needs `READ`.
        PREFETCH = sys::ZX_VMO_OP_PREFETCH;
    }
}

object_type! {
    /// A virtual memory object: zeros until written, in pages that exist once they are needed. It can be read and
    /// written here, and mapped by a [`Vmar`](crate::Vmar). All offsets and sizes are in bytes.
    ///
    /// ```
    /// use zxvm as zx;
    /// # fn main() -> Result<(), zx::Status> {
    /// let vmo = zx::Vmo::create(3 << 40)?;
    /// vmo.write(&[1, 2, 3], 2 << 40)?;
    /// assert_eq!(vmo.read_to_vec::<u8>((2 << 40) - 1, 5)?, [0, 1, 2, 3, 0]);
    /// assert_eq!(vmo.info()?.committed_bytes, 4096);
    /// vmo.op_range(zx::VmoOp::ZERO, 2 << 40, 3)?;
    /// assert_eq!(vmo.read_to_object::<u32>(2 << 40)?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Vmo;
}

impl Vmo {
    /// A new VMO of `size` bytes, rounded up to whole pages. All of it is zero and nothing is committed.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`: more than 2^64 bytes less 128 KiB; `NO_MEMORY`.
    ///
    /// Source: `zx_vmo_create`; vmo.md §2.1.
    pub fn create(size: u64) -> Result<Self, Status> {
        Self::create_with_opts(VmoOptions::empty(), size)
    }

    /// A new VMO, as [`create`](Self::create), with options. Its handle has the rights
    /// [`VMO_DEFAULT`](crate::Rights::VMO_DEFAULT), and `RESIZE` if it is resizable.
    ///
    /// # Errors
    /// `INVALID_ARGS`: `RESIZABLE` with `UNBOUNDED`; options that are not for this call. Then as
    /// [`create`](Self::create).
    ///
    /// Source: `zx_vmo_create`; vmo.md §2.1.
    pub fn create_with_opts(opts: VmoOptions, size: u64) -> Result<Self, Status> {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current()?.vmo_create(size, opts.bits(), &mut raw)?;
        Ok(Self(NullableHandle::adopt(raw)))
    }

    /// A new VMO of `size` bytes of contiguous physical memory, aligned to 2^`alignment_log2` bytes (0: to pages). There is
    /// no [`Bti`] here to ask for it with.
    ///
    /// # Errors
    /// `INVALID_ARGS`: no size; an alignment below a page, or that is none. `BAD_HANDLE`; `WRONG_TYPE`.
    ///
    /// Source: `zx_vmo_create_contiguous`; vmo.md §2.2.
    pub fn create_contiguous(bti: &Bti, size: usize, alignment_log2: u32) -> Result<Self, Status> {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current()?.vmo_create_contiguous(bti.raw_handle(), size, alignment_log2, &mut raw)?;
        Ok(Self(NullableHandle::adopt(raw)))
    }

    /// Copies `data.len()` bytes from `offset` on into `data`. Needs `READ`. Commits nothing.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `BAD_STATE`: the VMO is not cached. `OUT_OF_RANGE`: not all of the
    /// range is in the VMO; nothing has been copied. `NOT_FOUND`: the content was discarded.
    ///
    /// Source: `zx_vmo_read`; vmo.md §6.
    pub fn read(&self, data: &mut [u8], offset: u64) -> Result<(), Status> {
        Kernel::current()?.vmo_read(self.raw_handle(), data.into(), offset)
    }

    /// As [`read`](Self::read), into a new vector of `length` values.
    ///
    /// # Errors
    /// `NO_MEMORY`: for the vector. Then as [`read`](Self::read).
    pub fn read_to_vec<T: Copy + FromBytes>(&self, offset: u64, length: u64) -> Result<Vec<T>, Status> {
        let length = usize::try_from(length).map_err(|_| Status::NO_MEMORY)?;
        let mut values = T::new_vec_zeroed(length).map_err(|_| Status::NO_MEMORY)?;
        self.fill(&mut values, offset)?;
        Ok(values)
    }

    /// As [`read`](Self::read), into a new array.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_to_array<T: Copy + FromBytes, const N: usize>(&self, offset: u64) -> Result<[T; N], Status> {
        let mut values = <[T; N]>::new_zeroed();
        self.fill(&mut values, offset)?;
        Ok(values)
    }

    /// As [`read`](Self::read), of one value.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_to_object<T: Copy + FromBytes>(&self, offset: u64) -> Result<T, Status> {
        let [value] = self.read_to_array(offset)?;
        Ok(value)
    }

    fn fill<T: FromBytes>(&self, values: &mut [T], offset: u64) -> Result<(), Status> {
        Kernel::current()?.vmo_read(self.raw_handle(), raw::bytes_of(values), offset)
    }

    /// Copies `data` to the VMO, from `offset` on. Needs `WRITE`. Commits the pages it touches.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `BAD_STATE`: the VMO is not cached. `OUT_OF_RANGE`: not all of the
    /// range is in the VMO; nothing has been copied. `NOT_FOUND`: the content was discarded. `NO_MEMORY`: pages before
    /// that have been written.
    ///
    /// Source: `zx_vmo_write`; vmo.md §6.
    pub fn write(&self, data: &[u8], offset: u64) -> Result<(), Status> {
        Kernel::current()?.vmo_write(self.raw_handle(), data.into(), offset)
    }

    /// Moves `length` bytes of `src_vmo` from `src_offset` on to this VMO, to `offset`: whole pages, without copying where
    /// that can be. Where they were is zero afterwards. Needs `WRITE` here, and `READ` and `WRITE` there. Both may be the
    /// same VMO, and the ranges may overlap. Relatives of both keep their content.
    ///
    /// # Errors
    /// `INVALID_ARGS`: options; an offset or a length that is not whole pages. `BAD_HANDLE`; `WRONG_TYPE`;
    /// `ACCESS_DENIED`. `OUT_OF_RANGE`: not all of a range is in its VMO; nothing has been moved. `NO_MEMORY`.
    ///
    /// Source: `zx_vmo_transfer_data`; vmo.md §11.
    pub fn transfer_data(
        &self,
        options: TransferDataOptions,
        offset: u64,
        length: u64,
        src_vmo: &Self,
        src_offset: u64,
    ) -> Result<(), Status> {
        let (dst, src) = (self.raw_handle(), src_vmo.raw_handle());
        Kernel::current()?.vmo_transfer_data(dst, options.bits(), offset, length, src, src_offset)
    }

    /// The size in bytes, whole pages. Needs no right.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`.
    ///
    /// Source: `zx_vmo_get_size`; vmo.md §4.
    pub fn get_size(&self) -> Result<u64, Status> {
        let mut size = 0;
        Kernel::current()?.vmo_get_size(self.raw_handle(), &mut size)?;
        Ok(size)
    }

    /// Makes the VMO `size` bytes long, rounded up to whole pages. Needs `WRITE` and `RESIZE`. What is cut off is gone;
    /// mappings of it fault until the VMO grows again. What is added is zero.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `OUT_OF_RANGE`: as for [`create`](Self::create). `UNAVAILABLE`: the
    /// VMO is not resizable. `INVALID_ARGS`: a child that would end too far from where its ancestors start.
    ///
    /// Source: `zx_vmo_set_size`; vmo.md §4.
    pub fn set_size(&self, size: u64) -> Result<(), Status> {
        Kernel::current()?.vmo_set_size(self.raw_handle(), size)
    }

    /// Where the content ends, to the byte. Needs no right.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`.
    ///
    /// Source: `zx_vmo_get_stream_size`; vmo.md §5.
    pub fn get_stream_size(&self) -> Result<u64, Status> {
        let mut size = 0;
        Kernel::current()?.vmo_get_stream_size(self.raw_handle(), &mut size)?;
        Ok(size)
    }

    /// Says where the content ends, to the byte. Needs `WRITE`. Everything from the lower of the old and the new end on
    /// becomes zero.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `OUT_OF_RANGE`: past the VMO's end.
    ///
    /// Source: `zx_vmo_set_stream_size`; vmo.md §5.
    pub fn set_stream_size(&self, size: u64) -> Result<(), Status> {
        Kernel::current()?.vmo_set_stream_size(self.raw_handle(), size)
    }

    /// Where the content ends, to the byte: an older way to ask. Needs `GET_PROPERTY`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `WRONG_TYPE`.
    ///
    /// Source: `ZX_PROP_VMO_CONTENT_SIZE`; vmo.md §5.
    pub fn get_content_size(&self) -> Result<u64, Status> {
        property::get(self.raw_handle(), Property::VMO_CONTENT_SIZE)
    }

    /// Says where the content ends, to the byte, perhaps past the VMO's end. Needs `SET_PROPERTY` and `WRITE`.
    /// Everything from the new end on becomes zero.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `WRONG_TYPE`.
    ///
    /// Source: `ZX_PROP_VMO_CONTENT_SIZE`; vmo.md §5.
    pub fn set_content_size(&self, size: &u64) -> Result<(), Status> {
        property::set(self.raw_handle(), Property::VMO_CONTENT_SIZE, size)
    }

    /// Says how the processor is to cache the pages. Needs `MAP`. Memory stays cached on Linux, but a VMO that is not
    /// cached cannot be read, written or zeroed by calls.
    ///
    /// # Errors
    /// `INVALID_ARGS`: [`CachePolicy::Unknown`]. `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `BAD_STATE`: the VMO is
    /// mapped, has children or is a child; it is discardable and this is not `Cached`.
    ///
    /// Source: `zx_vmo_set_cache_policy`; vmo.md §8.
    pub fn set_cache_policy(&self, cache_policy: CachePolicy) -> Result<(), Status> {
        Kernel::current()?.vmo_set_cache_policy(self.raw_handle(), cache_policy.into())
    }

    /// Does `op` to `size` bytes from `offset` on. What right it needs stands at the operation.
    ///
    /// # Errors
    /// `INVALID_ARGS`: no such operation; `DECOMMIT` of part of a page; a cache operation of 0 bytes; `LOCK`.
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `OUT_OF_RANGE`: not all of the range is in the VMO; a lock not of
    /// all of it. `NOT_SUPPORTED`: not with this kind of VMO; `DECOMMIT` where pages are shared with a copy on write, or
    /// may be. `BAD_STATE`: `ZERO` of a VMO that is not cached; `UNLOCK` without a lock. `NOT_FOUND`: the content was
    /// discarded. `UNAVAILABLE`: so it was before `TRY_LOCK`. `NO_MEMORY`: part may be done.
    ///
    /// Source: `zx_vmo_op_range`; vmo.md §7.
    pub fn op_range(&self, op: VmoOp, offset: u64, size: u64) -> Result<(), Status> {
        let no_buffer = UserSlice::from([].as_mut_slice());
        Kernel::current()?.vmo_op_range(self.raw_handle(), op.into_raw(), offset, size, no_buffer)
    }

    /// What there is to know about the VMO. Needs no right.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`.
    ///
    /// Source: `ZX_INFO_VMO`; vmo.md §10.
    pub fn info(&self) -> Result<VmoInfo, Status> {
        info::one::<sys::zx_info_vmo_t>(self.raw_handle(), Topic::VMO).map(Into::into)
    }

    /// Another handle in place of this one, with `EXECUTE` besides. This one is closed even on errors. `vmex` may be
    /// invalid.
    ///
    /// # Errors
    /// `BAD_HANDLE`: not a VMO; `vmex` is not a handle. `WRONG_TYPE`: `vmex` is not a resource. `NO_MEMORY`.
    ///
    /// Source: `zx_vmo_replace_as_executable`; vmo.md §2.4.
    pub fn replace_as_executable(self, vmex: &Resource) -> Result<Self, Status> {
        let kernel = Kernel::current()?;
        let mut raw = sys::ZX_HANDLE_INVALID;
        kernel.vmo_replace_as_executable(self.into_raw(), vmex.raw_handle(), &mut raw)?;
        Ok(Self(NullableHandle::adopt(raw)))
    }
}
