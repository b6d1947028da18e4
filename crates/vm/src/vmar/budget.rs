//! The budget of memory for what pagers provide, as programs set and see it.

use core::sync::atomic::Ordering;
use std::sync::Weak;

use zxvm_host::PAGE_SIZE;
use zxvm_types::Status;

use super::AddressSpace;
use crate::reclaim::{BUDGET_MIN, WritebackSink};

/// How much of what pagers provide is in memory, and what has become of it. Bytes, but for numbers of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// How much there may be; `None`: any amount.
    pub budget: Option<u64>,
    /// How much is there.
    pub resident: u64,
    /// Of that: has to be saved before it may go.
    pub dirty: u64,
    /// Of that: was not needed again since it came.
    pub newcomers: u64,
    /// Of that: was.
    pub proven: u64,
    /// Of that: was said not to be needed, and not used since.
    pub need_not: u64,
    /// Of that: was said to be always needed.
    pub need: u64,
    /// Brought in by pagers so far.
    pub supplied: u64,
    /// Taken out so far.
    pub evicted: u64,
    /// Of what was brought in: what had been taken not long before.
    pub refaulted: u64,
    /// How many accesses came to the engine.
    pub faults: u64,
    /// How often somebody had to wait because nothing could be taken.
    pub starved: u64,
}

impl AddressSpace {
    /// Limits how much of what pagers provide is in memory, in bytes, rounded down to pages; `None`: not at all. What is there
    /// beyond it goes now, and what has to be saved first as soon as it is.
    ///
    /// # Errors
    /// `INVALID_ARGS`: less than 256 KiB.
    pub fn set_budget(&self, bytes: Option<u64>) -> Result<(), Status> {
        let pages = bytes.map_or(u64::MAX, |bytes| bytes / PAGE_SIZE);
        if pages < BUDGET_MIN {
            return Err(Status::INVALID_ARGS);
        }
        self.reclaim.set_limit(pages);
        self.trim();
        Ok(())
    }

    /// Names who is told when pagers should save. To be called once.
    pub fn observe_writeback(&self, sink: Weak<dyn WritebackSink>) {
        self.reclaim.observe_writeback(sink);
    }

    /// How much there may be in memory, in bytes; `None`: any amount.
    pub fn budget(&self) -> Option<u64> {
        let budget = &self.reclaim.budget;
        budget.is_limited().then(|| budget.limit() * PAGE_SIZE)
    }

    /// How much is in memory, and what has become of it.
    pub fn memory_stats(&self) -> MemoryStats {
        let (counts, refaulted) = {
            let queues = self.reclaim.queues();
            (queues.counts(), queues.refaulted())
        };
        let (budget, done) = (&self.reclaim.budget, &self.reclaim.done);
        MemoryStats {
            budget: self.budget(),
            resident: budget.used() * PAGE_SIZE,
            dirty: counts.held * PAGE_SIZE,
            newcomers: counts.newcomers * PAGE_SIZE,
            proven: counts.proven * PAGE_SIZE,
            need_not: counts.need_not * PAGE_SIZE,
            need: counts.need * PAGE_SIZE,
            supplied: done.supplied.load(Ordering::Relaxed) * PAGE_SIZE,
            evicted: done.evicted.load(Ordering::Relaxed) * PAGE_SIZE,
            refaulted: refaulted * PAGE_SIZE,
            faults: done.faults.load(Ordering::Relaxed),
            starved: done.starved.load(Ordering::Relaxed),
        }
    }
}
