//! The order of locks, checked in debug builds.
//!
//! 1. A thread that holds a lock takes only locks of a later rank.
//! 2. No lock is held while a caller's buffer is accessed, while anything waits, or while the last reference to a VMO
//!    is dropped ([`assert_none_held`]).
//! 3. A lock whose holder panicked is taken as it is: the engine's own invariants are asserted, not assumed.
//!
//! Nothing here allocates, and the per-thread word needs no destructor: the engine may run below `malloc`.

use core::cell::Cell;
use core::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Ranks, first taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A slot of the handle table.
    Handles,
    /// The tree of VMARs.
    Layout,
    /// One VMO.
    Vmo,
    /// Which pages go next.
    Queues,
    /// The free space of the stores.
    Stores,
    /// How short memory is, and which event says so.
    Pressure,
    /// The signals of one object, and who waits for them.
    Signals,
    /// The packets of one port, and who waits for them. The last to be taken.
    Ports,
}

thread_local! {
    static HELD: Cell<u8> = const { Cell::new(0) };
}

/// One rank held by this thread.
#[derive(Debug)]
struct Held(Rank);

impl Held {
    fn take(rank: Rank) -> Self {
        if cfg!(debug_assertions) {
            let held = HELD.get();
            assert!(held >> rank as u8 == 0, "taking {rank:?} while holding ranks {held:#b}");
            HELD.set(held | 1 << rank as u8);
        }
        Self(rank)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD.set(HELD.get() & !(1 << self.0 as u8));
        }
    }
}

/// Asserts (in debug builds) that this thread holds no lock of the engine.
#[track_caller]
pub fn assert_none_held() {
    debug_assert_eq!(HELD.get(), 0, "a lock is held");
}

/// A mutex with a rank.
#[derive(Debug)]
pub struct Ranked<T> {
    rank: Rank,
    inner: Mutex<T>,
}

/// What [`Ranked::lock`] gives.
#[derive(Debug)]
pub struct RankedGuard<'a, T> {
    inner: MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Ranked<T> {
    /// A lock of this rank.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: Mutex::new(value) }
    }

    /// Waits for the lock.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock of this or a later rank.
    #[track_caller]
    pub fn lock(&self) -> RankedGuard<'_, T> {
        let held = Held::take(self.rank);
        RankedGuard { inner: self.inner.lock().unwrap_or_else(PoisonError::into_inner), _held: held }
    }

    /// The value, known to be shared with nobody.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for RankedGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for RankedGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// A readers-and-writer lock with a rank.
#[derive(Debug)]
pub struct RankedRw<T> {
    rank: Rank,
    inner: RwLock<T>,
}

/// What [`RankedRw::read`] gives.
#[derive(Debug)]
pub struct ReadGuard<'a, T> {
    inner: RwLockReadGuard<'a, T>,
    _held: Held,
}

/// What [`RankedRw::write`] gives.
#[derive(Debug)]
pub struct WriteGuard<'a, T> {
    inner: RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T> RankedRw<T> {
    /// A lock of this rank.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: RwLock::new(value) }
    }

    /// Waits until no writer has it.
    #[track_caller]
    pub fn read(&self) -> ReadGuard<'_, T> {
        let held = Held::take(self.rank);
        ReadGuard { inner: self.inner.read().unwrap_or_else(PoisonError::into_inner), _held: held }
    }

    /// Waits until nobody else has it.
    #[track_caller]
    pub fn write(&self) -> WriteGuard<'_, T> {
        let held = Held::take(self.rank);
        WriteGuard { inner: self.inner.write().unwrap_or_else(PoisonError::into_inner), _held: held }
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_order_is_free_again_afterwards() {
        let layout = RankedRw::new(Rank::Layout, ());
        let vmo = Ranked::new(Rank::Vmo, ());
        for _ in 0..2 {
            let _layout = layout.read();
            let _vmo = vmo.lock();
        }
        assert_none_held();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "taking Layout")]
    fn the_wrong_order_is_caught() {
        let layout = RankedRw::new(Rank::Layout, ());
        let vmo = Ranked::new(Rank::Vmo, ());
        let _vmo = vmo.lock();
        let _layout = layout.write();
    }
}
