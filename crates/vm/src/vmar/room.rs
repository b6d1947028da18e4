//! Waiting for room in the budget.
//!
//! 1. Who finds no room, and nothing that could be taken, waits here. Nobody waits with a lock, and neither a pager nor the host's own
//!    thread ever does: an access is parked, a call sleeps.
//! 2. No wake-up is lost: who is about to wait says when it last looked, by the [relief](crate::reclaim::Reclaim::relief), and looks
//!    again if there was any since.
//! 3. As many are woken as there is room for, those who have waited longest first. Whoever is woken looks again from scratch.
//! 4. Who does not need room any more is woken too, or taken out, and takes nobody's turn: what it wanted has come, has gone or is not
//!    shown any longer.

use core::sync::atomic::Ordering;
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::AddressSpace;
use crate::pager::{Sleeper, Who, Woken};
use crate::reclaim::{RoomObserver, RootId};
use zxvm_host::{AddrRange, Answer, VmoRange};
use zxvm_types::Status;

/// Who waits, longest first.
pub type Waiters = VecDeque<Waiter>;

/// One who waits.
#[derive(Debug)]
pub struct Waiter {
    pub who: Who,
    /// What for: the page that begins at this byte of a root. `None`: it looks again whenever something becomes of any.
    pub wanted: Option<(RootId, u64)>,
}

impl AddressSpace {
    /// `waiter` waits until there is room, unless there was some since `relief` was read: then it is to look again, and that is what
    /// it is told.
    pub(super) fn wait_for_room(&self, waiter: Waiter, relief: u64) {
        self.reclaim.done.starved.fetch_add(1, Ordering::Relaxed);
        let mut waiters = self.lock_waiters();
        self.reclaim.waits(1);
        // Whoever makes room after this look sees that somebody waits.
        if self.reclaim.relief() == relief {
            waiters.push_back(waiter);
            drop(waiters);
            self.reclaim.weigh(&self.reclaim.queues());
            return;
        }
        drop(waiters);
        self.wake_waiters(vec![waiter]);
    }

    /// A call makes room, or waits for it. `relief` is from before it found none.
    ///
    /// # Errors
    /// `NO_MEMORY`: as for [`AddressSpace::make_room`].
    pub(super) fn sleep_for_room(&self, sleeper: &Arc<Sleeper>, relief: u64) -> Result<(), Status> {
        if self.make_room()? {
            return Ok(());
        }
        sleeper.forget();
        self.wait_for_room(Waiter { who: Who::Call(sleeper.clone()), wanted: None }, relief);
        // Whatever the news is: who looks again finds out.
        let _ = sleeper.wait();
        Ok(())
    }

    /// An access makes room, or waits for it in the host. `relief` is from before it found none.
    ///
    /// # Errors
    /// `NO_MEMORY`: as for [`AddressSpace::make_room`].
    pub(super) fn park_for_room(&self, waiting: zxvm_host::Waiting, relief: u64) -> Result<Answer, Status> {
        if self.make_room()? {
            return Ok(Answer::Again);
        }
        let later = self.park(waiting);
        self.wait_for_room(Waiter { who: Who::Access(waiting), wanted: None }, relief);
        Ok(later)
    }

    /// Who waited with an access in `range` waits there no longer: something else is shown.
    pub(super) fn leave_room(&self, range: AddrRange) {
        let gone = self.take_waiters(|waiter| match &waiter.who {
            Who::Access(waiting) => range.start() <= waiting.page && waiting.page < range.end(),
            Who::Call(_) | Who::Stream(_) | Who::Nobody => false,
        });
        self.reclaim.waits_no_more(gone.len() as u64);
    }

    /// Asserts that those who wait are counted.
    pub(super) fn audit_room(&self) {
        let waiters = self.lock_waiters();
        assert_eq!(waiters.len() as u64, self.reclaim.waiting(), "those who wait for room are counted: {waiters:?}");
    }

    fn take_waiters(&self, which: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        if self.reclaim.waiting() == 0 {
            return Vec::new();
        }
        let mut waiters = self.lock_waiters();
        let (taken, stay): (Waiters, Waiters) = core::mem::take(&mut *waiters).into_iter().partition(which);
        *waiters = stay;
        taken.into()
    }

    /// They wait no longer, and look again.
    fn wake_waiters(&self, woken: Vec<Waiter>) {
        self.reclaim.waits_no_more(woken.len() as u64);
        self.reclaim.weigh(&self.reclaim.queues());
        for waiter in woken {
            match waiter.who {
                Who::Call(sleeper) | Who::Stream(sleeper) => sleeper.wake(Ok(())),
                Who::Access(waiting) => self.wake(Woken::from([(waiting, Ok(()))])),
                Who::Nobody => {}
            }
        }
    }

    fn lock_waiters(&self) -> MutexGuard<'_, Waiters> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomObserver for AddressSpace {
    fn room(&self) {
        let many = usize::try_from(self.reclaim.prospect()).unwrap_or(usize::MAX).max(1);
        let woken: Vec<Waiter> = {
            let mut waiters = self.lock_waiters();
            let many = many.min(waiters.len());
            waiters.drain(..many).collect()
        };
        self.wake_waiters(woken);
    }

    fn look_again(&self, root: RootId, pages: VmoRange) {
        let concerned = |&(of, page): &(RootId, u64)| of == root && pages.start() <= page && page < pages.end();
        let woken = self.take_waiters(|waiter| waiter.wanted.as_ref().is_none_or(concerned));
        if !woken.is_empty() {
            self.wake_waiters(woken);
        }
    }
}
