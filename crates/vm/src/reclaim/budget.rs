//! How many pages of pagers' VMOs may be in memory.
//!
//! 1. Room is borrowed before pages come, so `used` is never less than what is there. It exceeds the limit only where the limit was
//!    lowered below it.
//! 2. Whoever gets none makes some, or waits; nobody is given more than there is.

use zxvm_host::PAGE_SIZE;

use core::sync::atomic::{AtomicU64, Ordering};

/// The least budget, in pages: below it a thread that needs two pages at once might never have both.
pub const BUDGET_MIN: u64 = 64;

/// The most pages that are asked for, supplied or freed in one go.
const CHUNK_MAX: u64 = 256;

/// See the module. In pages.
#[derive(Debug)]
pub struct Budget {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Default for Budget {
    /// Without a limit.
    fn default() -> Self {
        Self { limit: AtomicU64::new(u64::MAX), used: AtomicU64::new(0) }
    }
}

impl Budget {
    /// How many there may be.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether there is a limit at all.
    pub fn is_limited(&self) -> bool {
        self.limit() != u64::MAX
    }

    /// Changes how many there may be. What is there stays.
    pub fn set_limit(&self, pages: u64) {
        self.limit.store(pages.max(BUDGET_MIN), Ordering::SeqCst);
    }

    /// How many are there, or about to be.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// How many more there may be.
    pub fn free(&self) -> u64 {
        self.limit().saturating_sub(self.used())
    }

    /// How many are there too many.
    pub fn excess(&self) -> u64 {
        self.used().saturating_sub(self.limit())
    }

    /// The longest request for pages, in bytes: without a limit any.
    pub fn request_max(&self) -> u64 {
        if self.is_limited() { (self.limit() / 16).saturating_mul(PAGE_SIZE) } else { u64::MAX }
    }

    /// How many pages are dealt with, or freed, in one go: a small part of the whole, so that what was just brought in is still there
    /// when the last of it comes.
    pub fn chunk(&self) -> u64 {
        (self.limit() / 16).min(CHUNK_MAX)
    }

    /// Takes room for `want` pages, or for as many as there is room for; for fewer than `least` none. Answers for how many.
    pub fn borrow(&self, want: u64, least: u64) -> u64 {
        let mut got = 0;
        let more = |used: u64| {
            got = want.min(self.limit().saturating_sub(used));
            (got > 0 && got >= least).then(|| used + got)
        };
        match self.used.fetch_update(Ordering::SeqCst, Ordering::Relaxed, more) {
            Ok(_) => got,
            Err(_) => 0,
        }
    }

    /// So many are not there any more, or did not come.
    pub fn give_back(&self, pages: u64) {
        let before = self.used.fetch_sub(pages, Ordering::SeqCst);
        debug_assert!(before >= pages, "{before} pages were there, and {pages} have gone");
    }

    /// Asserts that exactly `pages` are there.
    pub fn audit(&self, pages: u64) {
        assert_eq!(self.used(), pages, "the budget counts pages that are not there, or misses some");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_there_is() {
        let budget = Budget::default();
        assert_eq!(budget.borrow(1 << 40, 1 << 40), 1 << 40, "without a limit there is always room");
        budget.give_back(1 << 40);
        budget.set_limit(100);
        assert_eq!(
            (budget.borrow(70, 0), budget.borrow(70, 31), budget.borrow(70, 0), budget.borrow(1, 0)),
            (70, 0, 30, 0)
        );
        budget.give_back(10);
        assert_eq!((budget.free(), budget.excess()), (10, 0));
        budget.set_limit(80);
        assert_eq!((budget.free(), budget.excess(), budget.borrow(1, 1)), (0, 10, 0));
        budget.audit(90);
    }

    #[test]
    fn there_is_a_least_budget() {
        let budget = Budget::default();
        budget.set_limit(1);
        assert_eq!(budget.limit(), BUDGET_MIN);
        assert!(budget.chunk() >= 2, "a store over the border of two pages needs both");
    }

    #[test]
    fn threads_together_get_as_much_as_there_is() {
        let budget = Budget::default();
        budget.set_limit(1000);
        let got: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..100).map(|_| budget.borrow(7, 0)).sum::<u64>())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(got, 1000);
        budget.audit(1000);
    }
}
