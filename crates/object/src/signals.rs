//! Signals of an object, and who waits for them: threads, and watches that no thread sleeps for.
//!
//! 1. Signals belong to the object: every handle sees the same.
//! 2. A thread's observer is in an object's list only while it is in [`wait`], and none of its signals is active. A
//!    watch's is there until one thing has happened to it, or it is forgotten.
//! 3. A waiter is woken by the first thing that happens to one of its observers: a signal becomes active, or the handle
//!    it waits through goes. What was active at that moment is what it reports.
//! 4. A waiter's own lock is taken inside an object's signal lock, never the other way round.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zxvm_types::{ZX_SIGNAL_HANDLE_CLOSED, zx_handle_t, zx_signals_t};
use zxvm_vm::lock::{Rank, Ranked, assert_none_held};

/// When to stop waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Never.
    Never,
    /// At this moment; one that has passed means not to wait at all.
    At(Instant),
}

impl Deadline {
    /// Whether it is not to be waited for.
    pub(crate) fn has_passed(self) -> bool {
        match self {
            Self::Never => false,
            Self::At(at) => at <= Instant::now(),
        }
    }

    /// Sleeps on `changed` until `ready` or the deadline.
    pub(crate) fn sleep<'a, T>(
        self,
        changed: &Condvar,
        mut guard: MutexGuard<'a, T>,
        ready: impl Fn(&T) -> bool,
    ) -> MutexGuard<'a, T> {
        while !ready(&guard) {
            let left = match self {
                Self::Never => Duration::MAX,
                Self::At(at) => at.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                break;
            }
            guard = match self {
                Self::Never => changed.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Self::At(_) => changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        guard
    }
}

/// The signals of one object.
#[derive(Debug)]
pub struct Signals {
    state: Ranked<State>,
}

#[derive(Debug)]
struct State {
    active: zx_signals_t,
    /// By their numbers: oldest first.
    observers: BTreeMap<ObserverId, Observer>,
}

#[derive(Debug)]
struct Observer {
    mask: zx_signals_t,
    handle: zx_handle_t,
    told: Told,
}

/// Who is told what happens to an observer.
#[derive(Debug)]
enum Told {
    Thread { waiter: Arc<Waiter>, index: usize },
    Watch(Arc<dyn Watch>),
}

/// One observer among all there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObserverId(u64);

impl ObserverId {
    /// None is less.
    pub(crate) const MIN: Self = Self(u64::MIN);
    /// None is more.
    pub(crate) const MAX: Self = Self(u64::MAX);

    /// One that nobody had before.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A wait that no thread sleeps for. Called under the lock of the signals: takes only locks of later ranks, and drops
/// nothing that would take others.
pub trait Watch: Send + Sync + core::fmt::Debug {
    /// It begins; answers whether anybody is still interested.
    fn begin(self: Arc<Self>) -> bool;

    /// One of its signals is active, among these. Nothing more happens to it.
    fn satisfied(&self, active: zx_signals_t);

    /// The handle it waits through is gone. Nothing more happens to it.
    fn canceled(&self);
}

/// What satisfies a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// One of its signals being active, from the start or later.
    Level,
    /// A change of the object's signals after which one of its own is active: also one that was active all along, as
    /// in Zircon's kernel.
    Edge,
}

/// One thread in [`wait`].
#[derive(Debug, Default)]
struct Waiter {
    /// What happened first to each item, in the order of happening.
    fired: Mutex<Vec<(usize, zx_signals_t)>>,
    changed: Condvar,
}

/// One thing to wait for.
#[derive(Clone, Copy, Debug)]
pub struct WaitFor<'a> {
    /// Whose signals.
    pub signals: &'a Signals,
    /// Which.
    pub mask: zx_signals_t,
    /// Through which handle: the wait ends when it goes.
    pub handle: zx_handle_t,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// Something that was waited for became or was active.
    Satisfied,
    /// The deadline came.
    TimedOut,
    /// A handle waited through was closed or replaced.
    Canceled,
}

impl Signals {
    /// With these active.
    pub const fn new(active: zx_signals_t) -> Self {
        Self { state: Ranked::new(Rank::Signals, State { active, observers: BTreeMap::new() }) }
    }

    /// What is active now.
    pub fn active(&self) -> zx_signals_t {
        self.state.lock().active
    }

    /// Clears, then sets, as one step.
    pub fn update(&self, clear: zx_signals_t, set: zx_signals_t) {
        let state = &mut *self.state.lock();
        let before = state.active;
        state.active = before & !clear | set;
        if state.active == before {
            return;
        }
        state.fire(|observer, active| (observer.mask & active != 0).then_some(active));
    }

    /// Ends the waits through `handle`, which is no more.
    pub fn cancel(&self, handle: zx_handle_t) {
        let state = &mut *self.state.lock();
        state.fire(|observer, active| (observer.handle == handle).then_some(active | ZX_SIGNAL_HANDLE_CLOSED));
    }

    /// Lets `watch` wait for any of `mask` through `handle`, unless it is satisfied at once. Answers whether it was
    /// interested. Whoever calls this makes sure afterwards that the handle is still there.
    pub fn watch(
        &self,
        id: ObserverId,
        mask: zx_signals_t,
        handle: zx_handle_t,
        trigger: Trigger,
        watch: &Arc<impl Watch + 'static>,
    ) -> bool {
        let state = &mut *self.state.lock();
        if !watch.clone().begin() {
            return false;
        }
        if trigger == Trigger::Level && state.active & mask != 0 {
            watch.satisfied(state.active);
        } else {
            state.observers.insert(id, Observer { mask, handle, told: Told::Watch(watch.clone()) });
        }
        true
    }

    /// Takes a watch out, if it is still here. It is told nothing.
    pub fn forget(&self, id: ObserverId) {
        let _ = self.state.lock().observers.remove(&id);
    }
}

impl State {
    /// Tells and removes the observers for which `observed` answers.
    fn fire(&mut self, observed: impl Fn(&Observer, zx_signals_t) -> Option<zx_signals_t>) {
        let active = self.active;
        self.observers.retain(|_, observer| match observed(observer, active) {
            Some(seen) => {
                observer.told.tell(seen);
                false
            }
            None => true,
        });
    }
}

impl Told {
    fn tell(&self, seen: zx_signals_t) {
        match self {
            Self::Thread { waiter, index } => {
                waiter.lock().push((*index, seen));
                waiter.changed.notify_one();
            }
            Self::Watch(watch) if seen & ZX_SIGNAL_HANDLE_CLOSED != 0 => watch.canceled(),
            Self::Watch(watch) => watch.satisfied(seen),
        }
    }
}

/// Waits until one of `items` is satisfied or canceled, or the deadline comes. `seen` receives, for each item, what was
/// active when it was satisfied, or at the end. An item is satisfied at once if one of its signals is active already, also
/// when the deadline has passed. `is_open` says whether a handle is still there: one that went between its look-up and
/// the wait ends the wait like one that goes during it. Blocks without holding a lock.
///
/// # Panics
/// If `seen` and `items` differ in length.
pub fn wait(
    items: &[WaitFor<'_>],
    deadline: Deadline,
    seen: &mut [zx_signals_t],
    is_open: impl Fn(zx_handle_t) -> bool,
) -> WaitEnd {
    assert_eq!(items.len(), seen.len());
    assert_none_held();
    let waiter = Arc::new(Waiter::default());
    let mut satisfied = false;
    let mut ids = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut state = item.signals.state.lock();
        let id = ObserverId::next();
        ids.push(id);
        if state.active & item.mask != 0 {
            satisfied = true;
            waiter.lock().push((index, state.active));
        } else {
            let told = Told::Thread { waiter: waiter.clone(), index };
            state.observers.insert(id, Observer { mask: item.mask, handle: item.handle, told });
        }
    }
    if !satisfied {
        // From here on a handle that goes finds its observer.
        for item in items.iter().filter(|item| !is_open(item.handle)) {
            item.signals.cancel(item.handle);
        }
        drop(deadline.sleep(&waiter.changed, waiter.lock(), |fired| !fired.is_empty()));
    }
    for ((item, id), seen) in items.iter().zip(ids).zip(&mut *seen) {
        let mut state = item.signals.state.lock();
        let _ = state.observers.remove(&id);
        *seen = state.active;
    }
    let fired = waiter.lock();
    let mut end = WaitEnd::TimedOut;
    for &(index, observed) in fired.iter() {
        seen[index] = observed;
        end = match (end, observed & ZX_SIGNAL_HANDLE_CLOSED != 0) {
            (_, true) | (WaitEnd::Canceled, false) => WaitEnd::Canceled,
            (WaitEnd::TimedOut | WaitEnd::Satisfied, false) => WaitEnd::Satisfied,
        };
    }
    end
}

impl Waiter {
    fn lock(&self) -> MutexGuard<'_, Vec<(usize, zx_signals_t)>> {
        self.fired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A handle that is there no more.
    const GONE: u32 = 11;
    const POLL: fn() -> Deadline = || Deadline::At(Instant::now());

    fn wait_one(signals: &Signals, mask: u32, handle: u32, deadline: Deadline) -> (WaitEnd, u32) {
        let mut seen = [0];
        let end = wait(&[WaitFor { signals, mask, handle }], deadline, &mut seen, |handle| handle != GONE);
        (end, seen[0])
    }

    #[test]
    fn a_handle_that_went_before_the_wait_ends_it() {
        let signals = Signals::new(0b1000);
        let canceled = (WaitEnd::Canceled, 0b1000 | ZX_SIGNAL_HANDLE_CLOSED);
        assert_eq!(wait_one(&signals, 0b1, GONE, Deadline::Never), canceled);
    }

    fn until_observed(signals: &Signals, count: usize) {
        while signals.state.lock().observers.len() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn active_already_beats_a_past_deadline() {
        let signals = Signals::new(0b101);
        assert_eq!(wait_one(&signals, 0b100, 3, POLL()), (WaitEnd::Satisfied, 0b101));
        assert_eq!(wait_one(&signals, 0b010, 3, POLL()), (WaitEnd::TimedOut, 0b101));
        assert_eq!(wait_one(&signals, 0, 3, POLL()), (WaitEnd::TimedOut, 0b101));
        assert!(signals.state.lock().observers.is_empty());
    }

    #[test]
    fn a_pulse_is_seen_as_it_was() {
        let signals = Signals::new(0);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_one(&signals, 0b11, 3, Deadline::Never));
            until_observed(&signals, 1);
            signals.update(0, 0b10);
            signals.update(0b10, 0);
            assert_eq!(waiter.join().unwrap(), (WaitEnd::Satisfied, 0b10));
        });
    }

    #[test]
    fn closing_another_handle_does_nothing() {
        let signals = Signals::new(0b1000);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_one(&signals, 0b1, 3, Deadline::Never));
            until_observed(&signals, 1);
            signals.cancel(7);
            assert_eq!(signals.state.lock().observers.len(), 1);
            signals.cancel(3);
            assert_eq!(waiter.join().unwrap(), (WaitEnd::Canceled, 0b1000 | ZX_SIGNAL_HANDLE_CLOSED));
        });
    }

    #[test]
    fn many_are_waited_for_at_once() {
        let (a, b) = (Signals::new(0), Signals::new(0b100));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut seen = [9; 2];
                let items = [WaitFor { signals: &a, mask: 1, handle: 3 }, WaitFor { signals: &b, mask: 1, handle: 7 }];
                (wait(&items, Deadline::Never, &mut seen, |_| true), seen)
            });
            until_observed(&a, 1);
            until_observed(&b, 1);
            a.update(0, 1);
            assert_eq!(waiter.join().unwrap(), (WaitEnd::Satisfied, [1, 0b100]));
        });
        assert!(a.state.lock().observers.is_empty() && b.state.lock().observers.is_empty());
    }
}
