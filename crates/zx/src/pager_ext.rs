//! What a [`Pager`] can ask here beyond Fuchsia's binding, where the C calls are made directly.

use core::ops::Range;
use std::sync::Arc;

use zerocopy::IntoBytes;
use zxvm_syscall::{Kernel, Provide};

use crate::handle::NullableHandle;
use crate::pager::{Pager, offset_and_length};
use crate::sys::{self, Status, zx_pager_vmo_stats_t, zx_vmo_dirty_range_t};
use crate::vmo::{Vmo, VmoOptions};

flags! {
    /// Ours, not Fuchsia's: what [`Pager::query_vmo_stats`] is to do besides.
    pub struct PagerVmoStatsOptions: u32 {
        /// Start anew.
        const RESET = sys::ZX_PAGER_RESET_VMO_STATS;
    }
}

/// Ours, not Fuchsia's: pages of a VMO that have to be written back.
#[derive(Debug, Clone, Eq, PartialEq, Hash)]
pub struct VmoDirtyRange {
    /// Where, in bytes.
    pub range: Range<u64>,
    /// Whether all of it is zero, and has no pages.
    pub is_zero: bool,
}

impl From<zx_vmo_dirty_range_t> for VmoDirtyRange {
    fn from(record: zx_vmo_dirty_range_t) -> Self {
        Self {
            range: record.offset..record.offset + record.length,
            is_zero: record.options & sys::ZX_VMO_DIRTY_RANGE_IS_ZERO != 0,
        }
    }
}

/// Ours, not Fuchsia's: what a pager may know about the use of a VMO.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash)]
pub struct PagerVmoStats {
    /// Whether it was written to, zeroed in part, or resized.
    pub modified: bool,
}

/// Ours, not Fuchsia's: who brings pages in the thread that needs them. See [`Pager::create_vmo_in_place`].
pub trait InPlace: Send + Sync + 'static {
    /// Fills `to`, whole pages, with what is at `offset` bytes of the VMO. Called by several threads at once, without locks. It must not
    /// touch the VMO, nor wait for a thread that does. If it panics that is [`Status::IO`].
    ///
    /// # Errors
    /// What those who wait for the pages get: an access a signal, a call this status.
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status>;

    /// Up to which byte to bring pages when those of `range` are needed. More than that is read ahead, as far as it is absent and the
    /// budget has room for it.
    fn read_until(&self, range: Range<u64>) -> u64 {
        range.end
    }
}

/// An [`InPlace`] as the engine knows it.
struct Provider<P>(P);

impl<P> core::fmt::Debug for Provider<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Provider")
    }
}

impl<P: InPlace> Provide for Provider<P> {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status> {
        self.0.read(offset, to)
    }

    fn read_until(&self, range: Range<u64>) -> u64 {
        self.0.read_until(range)
    }
}

impl Pager {
    /// Ours, not Fuchsia's: a VMO of this pager whose pages `provider` brings in the thread that needs them, without a port and without
    /// another thread. With [`FaultDelivery::InThread`](crate::FaultDelivery::InThread) that is the thread that makes the access, in a
    /// handler for a signal: then it may interrupt the program in the middle of anything that accesses the VMO, which must not hold what
    /// `provider` needs. Else it is a thread of the library, one fault at a time. Needs `ATTACH_VMO`.
    ///
    /// ```
    /// use zxvm as zx;
    /// struct Squares;
    /// impl zx::InPlace for Squares {
    ///     fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), zx::Status> {
    ///         for (at, byte) in (offset..).zip(to) {
    ///             *byte = (at * at) as u8;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # fn main() -> Result<(), zx::Status> {
    /// let pager = zx::Pager::create(zx::PagerOptions::empty())?;
    /// let vmo = pager.create_vmo_in_place(zx::VmoOptions::empty(), 1 << 20, Squares)?;
    /// assert_eq!(vmo.read_to_array::<u8, 3>(4099)?, [9, 16, 25]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `INVALID_ARGS`: options other than `RESIZABLE` and `UNBOUNDED`. `OUT_OF_RANGE`: too
    /// large. `NOT_SUPPORTED`: this process has no userfaultfd.
    pub fn create_vmo_in_place(&self, options: VmoOptions, size: u64, provider: impl InPlace) -> Result<Vmo, Status> {
        let mut raw = sys::ZX_HANDLE_INVALID;
        let provider = Arc::new(Provider(provider));
        Kernel::current()?.pager_create_vmo_in_place(self.raw_handle(), options.bits(), size, provider, &mut raw)?;
        Ok(NullableHandle::adopt(raw).into())
    }

    /// Ours, not Fuchsia's: supplies bytes, whole pages, from `offset` on, where the VMO has no pages. Saves what
    /// [`supply_pages`](Pager::supply_pages) needs: pages in another VMO. Needs `MANAGE_VMO` here and `WRITE` there.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `INVALID_ARGS`: not whole pages; not this pager's VMO. `OUT_OF_RANGE`: not all of it is
    /// in the VMO. `BAD_STATE`: it is detached. `NO_MEMORY`, `NO_RESOURCES`: a part may have been supplied.
    pub fn supply_bytes(&self, pager_vmo: &Vmo, offset: u64, bytes: &[u8]) -> Result<(), Status> {
        Kernel::current()?.pager_supply_bytes(self.raw_handle(), pager_vmo.raw_handle(), offset, bytes.into())
    }

    /// Ours, not Fuchsia's: what of `range` has to be written back, lowest first. Needs `MANAGE_VMO` here and `READ` there.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `INVALID_ARGS`: not this pager's VMO. `OUT_OF_RANGE`: not all of the range is
    /// in the VMO.
    ///
    /// Source: `zx_pager_query_dirty_ranges`; pager.md §8.
    pub fn query_dirty_ranges(&self, pager_vmo: &Vmo, range: Range<u64>) -> Result<Vec<VmoDirtyRange>, Status> {
        let (kernel, (offset, length)) = (Kernel::current()?, offset_and_length(&range));
        let mut records = vec![zx_vmo_dirty_range_t::default(); 16];
        loop {
            let (mut actual, mut avail) = (0, 0);
            let (pager, vmo, buffer) = (self.raw_handle(), pager_vmo.raw_handle(), records.as_mut_bytes().into());
            kernel.pager_query_dirty_ranges(pager, vmo, offset, length, buffer, &mut actual, &mut avail)?;
            if actual == avail {
                records.truncate(actual);
                return Ok(records.into_iter().map(VmoDirtyRange::from).collect());
            }
            records.resize(avail, zx_vmo_dirty_range_t::default());
        }
    }

    /// Ours, not Fuchsia's: whether the VMO was modified since it was made, or since that was last forgotten
    /// ([`RESET`](PagerVmoStatsOptions::RESET)). Needs `MANAGE_VMO` here and `READ` there.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `INVALID_ARGS`: not this pager's VMO; options.
    ///
    /// Source: `zx_pager_query_vmo_stats`; pager.md §8.
    pub fn query_vmo_stats(&self, pager_vmo: &Vmo, options: PagerVmoStatsOptions) -> Result<PagerVmoStats, Status> {
        let mut stats = zx_pager_vmo_stats_t::default();
        let (pager, vmo, buffer) = (self.raw_handle(), pager_vmo.raw_handle(), stats.as_mut_bytes().into());
        Kernel::current()?.pager_query_vmo_stats(pager, vmo, options.bits(), buffer)?;
        Ok(PagerVmoStats { modified: stats.modified & sys::ZX_PAGER_VMO_STATS_MODIFIED != 0 })
    }
}
