//! What one pager VMO has in memory, as the budget and the queues know it.
//!
//! 1. `there` is how many of its pages are there. Together with `lent`, room for pages that are about to come, it is counted in
//!    the budget.
//! 2. The queues know each page that is there and no other; which of them may be taken follows from their states.
//! 3. Everything here changes under the lock of the VMO's family.

use core::ops::Range;
use std::sync::Arc;

use zxvm_host::VmoRange;

use super::{Reclaim, RootId};

/// What becomes of pages as far as reclaim is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// They are not there.
    Gone,
    /// They are there, and may be taken.
    Takeable,
    /// They are there, and have to be saved first.
    Held,
}

/// See the module.
#[derive(Debug)]
pub struct Residency {
    reclaim: Arc<Reclaim>,
    root: RootId,
    there: u64,
    lent: u64,
}

impl Residency {
    /// Of a VMO that has nothing in memory yet.
    pub fn new(reclaim: Arc<Reclaim>) -> Self {
        Self { root: reclaim.new_root(), reclaim, there: 0, lent: 0 }
    }

    /// What the queues know it as.
    pub fn root(&self) -> RootId {
        self.root
    }

    /// What it is counted in.
    pub fn reclaim(&self) -> &Arc<Reclaim> {
        &self.reclaim
    }

    /// How many of its pages are there.
    pub fn there(&self) -> u64 {
        self.there
    }

    /// Takes room for pages that are about to come, or for as many of them as there is room for; for fewer than `least` none.
    /// Answers for how many.
    pub fn borrow(&mut self, pages: u64, least: u64) -> u64 {
        let got = self.reclaim.budget.borrow(pages, least);
        self.lent += got;
        got
    }

    /// Gives room back that was borrowed and not used.
    pub fn repay(&mut self) {
        if self.lent > 0 {
            self.reclaim.freed(core::mem::take(&mut self.lent));
        }
    }

    /// So many pages are there now; for those that have come room was borrowed.
    pub fn count(&mut self, there: u64) {
        if there > self.there {
            let came = there - self.there;
            debug_assert!(came <= self.lent, "{came} pages have come, and there was room for {}", self.lent);
            self.lent = self.lent.saturating_sub(came);
        } else if there < self.there {
            self.reclaim.freed(self.there - there);
        }
        self.there = there;
    }

    /// Something else has become of `pages`, bytes: who waits for room for one of them looks again.
    pub fn look_again(&self, pages: VmoRange) {
        self.reclaim.look_again(self.root, pages);
    }

    /// Tells the queues what has become of runs of pages.
    pub fn tell(&self, runs: impl Iterator<Item = (Range<u64>, Whereabouts)>) {
        let queues = &mut *self.reclaim.queues();
        for (pages, whereabouts) in runs {
            match whereabouts {
                Whereabouts::Gone => queues.gone(self.root, pages),
                Whereabouts::Takeable => {
                    queues.came(self.root, pages.clone());
                    queues.release(self.root, pages);
                }
                Whereabouts::Held => queues.hold(self.root, pages),
            }
        }
        self.reclaim.weigh(queues);
    }
}

impl Drop for Residency {
    fn drop(&mut self) {
        self.reclaim.forget(self.root);
        self.reclaim.freed(self.there + self.lent);
    }
}
