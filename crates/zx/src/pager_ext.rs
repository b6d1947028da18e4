//! What a [`Pager`] can ask here beyond Fuchsia's binding, where the C calls are made directly.

use core::ops::Range;

use zerocopy::IntoBytes;
use zxvm_syscall::Kernel;

use crate::pager::{Pager, offset_and_length};
use crate::sys::{self, Status, zx_pager_vmo_stats_t, zx_vmo_dirty_range_t};
use crate::vmo::Vmo;

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

impl Pager {
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
