//! Memory is short: what was not used for long goes, whatever the budget.

use std::sync::{Arc, PoisonError, Weak};

use zxvm_types::Status;

use super::AddressSpace;
use crate::reclaim::Urgency;
use crate::vmo::Vmo;

/// A discardable VMO that is not locked.
#[derive(Debug)]
pub struct Unlocked {
    vmo: Weak<Vmo>,
    /// Passes over the ages of pages, since it was unlocked.
    passes: u32,
}

impl Unlocked {
    /// The VMO, if it is there still.
    pub(super) fn vmo(&self) -> Option<Arc<Vmo>> {
        self.vmo.upgrade()
    }
}

impl AddressSpace {
    /// Takes what was not used in the last `passes` passes over the ages: discardable VMOs that were unlocked before, and clean pages of
    /// pagers' VMOs; at most about so many pages. What is always needed goes only if `last`. Answers how many went.
    ///
    /// Source: pager.md §10.
    pub fn take_aged(&self, pages: u64, passes: u32, last: bool) -> u64 {
        let discarded = self.discard_aged(pages, passes);
        let urgency = if last { Urgency::Last { passes } } else { Urgency::Aged { passes } };
        discarded + self.evict(pages.saturating_sub(discarded), urgency)
    }

    /// Takes at most about so many pages, whichever turn it is. Answers how many went.
    pub fn take_pages(&self, pages: u64) -> u64 {
        self.evict(pages, Urgency::Room)
    }

    /// Memory is short, or not any more: pagers are to save what is dirty, whatever the budget.
    pub fn set_short(&self, short: bool) {
        self.reclaim.set_short(short);
    }

    /// Takes one lock of a discardable VMO back. With the last one it may go when memory is short.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: not discardable. `OUT_OF_RANGE`: not exactly the whole. `BAD_STATE`: there is no lock.
    ///
    /// Source: vmo.md §9.
    pub fn unlock_vmo(&self, vmo: &Arc<Vmo>, offset: u64, len: u64) -> Result<(), Status> {
        if vmo.unlock_content(offset, len)? {
            let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
            unlocked.retain(|known| known.vmo.strong_count() > 0 && !core::ptr::eq(known.vmo.as_ptr(), &**vmo));
            unlocked.push(Unlocked { vmo: Arc::downgrade(vmo), passes: 0 });
        }
        Ok(())
    }

    /// A pass over ages.
    pub(super) fn age_unlocked(&self) {
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        unlocked.iter_mut().for_each(|known| known.passes = known.passes.saturating_add(1));
    }

    /// Discards what was unlocked at least so many passes ago, longest first. Answers how many pages went.
    fn discard_aged(&self, pages: u64, passes: u32) -> u64 {
        let mut gone = 0;
        while gone < pages {
            let eldest = {
                let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(at) = unlocked.iter().position(|known| known.passes >= passes) else { break };
                unlocked.remove(at).vmo.upgrade()
            };
            let Some(vmo) = eldest else { continue };
            let committed = vmo.info().map_or(0, |info| info.memory.committed) / zxvm_host::PAGE_SIZE;
            // Locked again meanwhile, or refused by the host: it is as if it had been used.
            if self.discard_vmo(&vmo).unwrap_or(false) {
                gone += committed;
            }
        }
        gone
    }
}
