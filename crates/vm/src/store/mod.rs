//! Where pages live: windows cut out of a few stores.
//!
//! 1. A window is a range of one store that belongs to one VMO alone. Nothing is committed outside windows.
//! 2. A new window reads as zero. A dropped one is freed before its range is used again. What the host will not free
//!    just then waits in `unclean`, and is tried again at the next occasion.
//! 3. A few stores serve any number of windows: small ones are packed together (the kernel's page tree of a file stays
//!    shallow), large ones have stores of their own so that they do not spread the small ones. Each kind has several
//!    stores, because Linux changes one file under one lock.
//! 4. Whoever reads or writes through a window outside the VMO's lock holds the `Arc` meanwhile. A VMO that shrinks
//!    meanwhile *retires* the window's tail: nobody will show those bytes again, and whatever such a late writer leaves
//!    there is freed by [`Window::settle`].

mod space;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use zxvm_host::{Host, HostError, HostResult, PAGE_SIZE, StoreId, StoreRange};

use crate::lock::{Rank, Ranked};
use space::Space;

/// Windows from this size on (bytes) go to the wide stores, in multiples of `WIDE_UNIT`.
const WIDE_MIN: u64 = 64 << 20;
const WIDE_UNIT: u64 = 2 << 20;
/// Stores of each kind.
const SPREAD: usize = 4;

/// All stores of an engine.
#[derive(Debug)]
pub struct StoreSet {
    host: Arc<dyn Host>,
    pools: Ranked<Pools>,
}

#[derive(Debug, Default)]
struct Pools {
    pools: Vec<Pool>,
    turn: usize,
    unclean: Vec<Unclean>,
}

/// What should be free and is not.
#[derive(Debug)]
struct Unclean {
    pool: usize,
    range: StoreRange,
    /// Whether the range is still part of a window.
    in_window: bool,
}

#[derive(Debug)]
struct Pool {
    store: StoreId,
    width: Width,
    space: Space,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Packed,
    Wide,
}

/// A range of a store that is one VMO's alone.
#[derive(Debug)]
pub struct Window {
    set: Arc<StoreSet>,
    pool: usize,
    store: StoreId,
    range: StoreRange,
    /// The range and the page behind it.
    taken: StoreRange,
    /// Bytes of the window from here on are shown by nobody, for good.
    retired_from: AtomicU64,
}

impl StoreSet {
    /// No stores yet; they are made as they are needed.
    pub fn new(host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self { host, pools: Ranked::new(Rank::Stores, Pools::default()) })
    }

    /// The host that the stores are of.
    pub fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// A window of `len` bytes (whole pages, at least one), all zero.
    ///
    /// # Errors
    /// `NoDescriptors`, `NoMemory`: the host has no store to give and none has room.
    pub fn window(self: &Arc<Self>, len: u64) -> HostResult<Arc<Window>> {
        let (width, room) = match len {
            0..WIDE_MIN => (Width::Packed, len),
            WIDE_MIN.. => (Width::Wide, len.div_ceil(WIDE_UNIT) * WIDE_UNIT),
        };
        let mut pools = self.pools.lock();
        pools.clean(&*self.host);
        // Asking where data ends walks on to the next hole: a page behind every window that is never used keeps it inside.
        let (pool, taken) = pools.take(&*self.host, width, room + PAGE_SIZE)?;
        let range = StoreRange::from_bounds(taken.start(), taken.end() - PAGE_SIZE);
        let store = pools.pools[pool].store;
        drop(pools);
        Ok(Arc::new(Window { set: self.clone(), pool, store, range, taken, retired_from: AtomicU64::new(u64::MAX) }))
    }

    /// Frees what the host would not free earlier.
    pub fn tidy(&self) {
        self.pools.lock().clean(&*self.host);
    }

    /// Asserts the invariants above against the host.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn audit(&self) {
        let pools = self.pools.lock();
        for (index, pool) in pools.pools.iter().enumerate() {
            for free in pool.space.free() {
                let check = &mut |run| panic!("pool {index}: {run:?} is committed in free space {free:?}");
                self.host.committed_runs(pool.store, free, check).expect("the host answers audits");
            }
        }
    }
}

impl Pools {
    fn take(&mut self, host: &dyn Host, width: Width, len: u64) -> HostResult<(usize, StoreRange)> {
        self.turn = self.turn.wrapping_add(1);
        let ours = || self.pools.iter().enumerate().filter(|(_, p)| p.width == width).map(|(i, _)| i);
        let index = match ours().nth(self.turn % SPREAD) {
            Some(index) => index,
            None => match (host.create_store(), ours().next(), self.pools.is_empty()) {
                (Ok(store), _, _) => {
                    self.pools.push(Pool { store, width, space: Space::default() });
                    self.pools.len() - 1
                }
                // Better a crowded store than none.
                (Err(_), Some(index), _) => index,
                (Err(_), None, false) => 0,
                (Err(error), None, true) => return Err(error),
            },
        };
        let range = self.pools[index].space.take(len).ok_or(HostError::NoMemory)?;
        Ok((index, range))
    }

    fn clean(&mut self, host: &dyn Host) {
        let Self { pools, unclean, .. } = self;
        unclean.retain(|&Unclean { pool, range, in_window }| {
            let clean = host.punch(pools[pool].store, range).is_ok();
            if clean && !in_window {
                pools[pool].space.give_back(range);
            }
            !clean
        });
    }
}

impl Drop for StoreSet {
    fn drop(&mut self) {
        for pool in &self.pools.get_mut().pools {
            self.host.close_store(pool.store);
        }
    }
}

impl Window {
    /// The store it is cut from.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// The part of the store that is `[at, at + len)` of the window, in bytes.
    #[track_caller]
    pub fn part(&self, at: u64, len: u64) -> StoreRange {
        let start = self.range.start() + at;
        assert!(at <= self.range.len() && len <= self.range.len() - at);
        StoreRange::from_bounds(start, start + len)
    }

    /// Where byte `at` of the window is in the store.
    pub fn offset(&self, at: u64) -> u64 {
        debug_assert!(at < self.range.len());
        self.range.start() + at
    }

    /// Frees everything from `at` on and lets nobody show it again. Cannot fail: what the host does not free now is
    /// freed with the window.
    pub fn retire(&self, at: u64) {
        self.retired_from.fetch_min(at, Ordering::Release);
        self.punch_retired(at);
    }

    /// To be called after access outside the VMO's lock to the bytes before `end`: frees what came too late.
    pub fn settle(&self, end: u64) {
        // The host takes one store's writes and punches one after the other. If the punch of `retire` came first, what was
        // stored before it is seen after the write; if it came later, it freed what was written.
        let retired = self.retired_from.load(Ordering::Acquire);
        if retired < end {
            self.punch_retired(retired);
        }
    }

    fn punch_retired(&self, at: u64) {
        let tail = self.part(at, self.range.len() - at);
        if !tail.is_empty() && self.set.host.punch(self.store, tail).is_err() {
            self.set.pools.lock().unclean.push(Unclean { pool: self.pool, range: tail, in_window: true });
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let clean = self.set.host.punch(self.store, self.range).is_ok();
        let mut pools = self.set.pools.lock();
        pools.unclean.retain(|unclean| unclean.pool != self.pool || !self.range.contains(unclean.range));
        pools.clean(&*self.set.host);
        if clean {
            pools.pools[self.pool].space.give_back(self.taken);
        } else {
            pools.unclean.push(Unclean { pool: self.pool, range: self.taken, in_window: false });
        }
    }
}

#[cfg(test)]
mod tests;
