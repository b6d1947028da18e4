//! What a pager has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a pager has done so far. Each figure is exact; together they may be of slightly different moments.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests of pages that came.
    pub requests: u64,
    /// Reads of the backing.
    pub reads: u64,
    /// Pages supplied because somebody asked for them.
    pub pages_asked: u64,
    /// Pages supplied besides, because they will be asked for.
    pub pages_ahead: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Pages that were let become dirty; only a pager with a dirty limit is asked.
    pub pages_dirtied: u64,
    /// Pages written back.
    pub pages_written: u64,
    /// Writebacks that ended well, with something to write.
    pub writebacks: u64,
    /// How often the backing was asked to make everything durable.
    pub syncs: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub struct Counters {
    pub requests: AtomicU64,
    pub reads: AtomicU64,
    pub pages_asked: AtomicU64,
    pub pages_ahead: AtomicU64,
    pub failed: AtomicU64,
    pub pages_dirtied: AtomicU64,
    pub pages_written: AtomicU64,
    pub writebacks: AtomicU64,
    pub syncs: AtomicU64,
}

impl Counters {
    pub fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: get(&self.requests),
            reads: get(&self.reads),
            pages_asked: get(&self.pages_asked),
            pages_ahead: get(&self.pages_ahead),
            failed: get(&self.failed),
            pages_dirtied: get(&self.pages_dirtied),
            pages_written: get(&self.pages_written),
            writebacks: get(&self.writebacks),
            syncs: get(&self.syncs),
        }
    }
}

/// Counts more of something.
pub fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
