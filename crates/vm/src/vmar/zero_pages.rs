//! Committed pages that hold nothing but zeros are given back: what a mapped read, or a program that clears its memory,
//! has left committed.
//!
//! What a page holds is looked at while stores to it wait, so it cannot change between the look and the freeing. No
//! content changes: a page that is not there reads as zero.

use std::collections::BTreeSet;

use zxvm_host::user::UserSlice;
use zxvm_host::{PAGE_SIZE, VmoRange};
use zxvm_types::Status;

use super::snapshot::join;
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::vmo::Vmo;
use crate::vmo::family::{Cell, Content, Locked};

/// Bytes looked at under one hold of the locks.
const STEP: u64 = 1 << 20;

impl AddressSpace {
    /// Frees the committed pages of a VMO that hold only zeros. Returns how many bytes that were. A frame that others hold
    /// too is theirs then.
    ///
    /// # Errors
    /// `BAD_STATE`: not cached. `NOT_SUPPORTED`: it is mapped, and Linux has no userfaultfd for us. Then what the host
    /// gives; what was freed stays so.
    pub fn free_zero_pages(&self, vmo: &Vmo) -> Result<u64, Status> {
        self.off_own_stack(|| self.free_zeros(vmo))
    }

    fn free_zeros(&self, vmo: &Vmo) -> Result<u64, Status> {
        Vmo::check_cached(&vmo.lock())?;
        if vmo.lock().is_paged() {
            // What is zero there is the pager's to know.
            return Ok(0);
        }
        // Only where something is: a VMO may be nearly as long as 2^64. What is committed later is not looked at.
        let mut steps = BTreeSet::new();
        {
            let content = &mut vmo.lock();
            let shown = VmoRange::from_bounds(vmo.base(), vmo.limit_in(content).max(vmo.base()));
            vmo.committed_in(content, shown, &mut |run, _| steps.extend(run.start() / STEP..=(run.end() - 1) / STEP))?;
        }
        let mut freed = 0;
        for start in steps.into_iter().map(|step| step * STEP) {
            let step = |content: &Content| {
                let shown = VmoRange::from_bounds(vmo.base(), vmo.limit_in(content).max(vmo.base()));
                VmoRange::from_bounds(start, start.saturating_add(STEP).min(u64::MAX - (PAGE_SIZE - 1)))
                    .intersect(shown)
            };
            {
                // A look first, while all goes on: most memory is not zero, and is to be left in peace.
                let content = &mut vmo.lock();
                let Some(step) = step(content) else { break };
                if !self.has_zeros(vmo, content, step)? {
                    continue;
                }
            }
            let layout = self.still(vmo)?;
            let content = &mut vmo.lock();
            let Some(step) = step(content) else { break };
            let frozen = self.freeze(&layout, vmo, content, step)?;
            let runs = self.guard_all(vmo, content, step, &frozen)?;
            let result = self.free_zero_runs(&layout, vmo, content, &runs);
            self.thaw_all(vmo, content, &frozen, &runs);
            freed += result?;
        }
        Ok(freed)
    }

    fn has_zeros(&self, vmo: &Vmo, content: &mut Locked<'_>, range: VmoRange) -> Result<bool, Status> {
        let mut runs = Vec::new();
        vmo.committed_in(content, range, &mut |run, _| runs.push(run))?;
        for run in runs {
            for cell in content.family().cells(vmo.content(), run) {
                if !self.zero_runs(&cell)?.is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn free_zero_runs(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        runs: &[VmoRange],
    ) -> Result<u64, Status> {
        let mut freed = 0;
        for &run in runs {
            let Some(run) = run.intersect(content.whole()) else { continue };
            for cell in content.family().cells(vmo.content(), run) {
                for zero in self.zero_runs(&cell)? {
                    if cell.is_shared() {
                        // Its new place is shown at once, and empty: nothing is to be freed there.
                        self.drop_shared(layout, vmo.family(), content.family_mut(), vmo.content(), zero)?;
                    } else {
                        vmo.zero_own(content, zero.start(), zero.end(), &[zero])?;
                    }
                    freed += zero.len();
                }
            }
        }
        Ok(freed)
    }

    /// The runs of pages of a committed cell that hold only zeros.
    fn zero_runs(&self, cell: &Cell) -> Result<Vec<VmoRange>, Status> {
        let mut runs = Vec::new();
        let mut bytes = [0_u8; PAGE_SIZE as usize];
        for page in (0..cell.range.len()).step_by(PAGE_SIZE as usize) {
            let at = cell.window.offset(cell.at + page);
            self.host.read_store(cell.window.store(), at, UserSlice::from(&mut bytes[..])).map_err(status)?;
            if bytes.iter().any(|&byte| byte != 0) {
                continue;
            }
            let start = cell.range.start() + page;
            join(&mut runs, VmoRange::from_bounds(start, start + PAGE_SIZE));
        }
        Ok(runs)
    }
}
