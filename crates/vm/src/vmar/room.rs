//! Waiting for room in the budget.
//!
//! 1. Who finds no room, and nothing that could be taken, waits here. Nobody waits with a lock, and neither a pager nor the host's own
//!    thread ever does: an access is parked, a call sleeps.
//! 2. No wake-up is lost: who is about to wait says when it last looked, by the [relief](crate::reclaim::Reclaim::relief), and looks
//!    again if there was any since.
//! 3. As many are woken as there is room for, those who have waited longest first. Whoever is woken looks again from scratch.

use core::sync::atomic::Ordering;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::AddressSpace;
use crate::pager::{Sleeper, Who, Woken};
use crate::reclaim::RoomObserver;
use zxvm_host::Answer;

/// Who waits, longest first.
pub type Waiters = VecDeque<Who>;

impl AddressSpace {
    /// `who` waits until there is room, unless there was some since `relief` was read: then it is to look again, and that is what
    /// it is told.
    pub(super) fn wait_for_room(&self, who: Who, relief: u64) {
        self.reclaim.done.starved.fetch_add(1, Ordering::Relaxed);
        let mut waiters = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        self.reclaim.waits(1);
        // Whoever makes room after this look sees that somebody waits.
        if self.reclaim.relief() == relief {
            waiters.push_back(who);
            drop(waiters);
            self.reclaim.weigh(&self.reclaim.queues());
            return;
        }
        drop(waiters);
        self.reclaim.waits_no_more(1);
        self.wake_who(who);
    }

    /// A call makes room, or waits for it. `relief` is from before it found none.
    pub(super) fn sleep_for_room(&self, sleeper: &Arc<Sleeper>, relief: u64) {
        if self.make_room() {
            return;
        }
        sleeper.forget();
        self.wait_for_room(Who::Call(sleeper.clone()), relief);
        // Whatever the news is: who looks again finds out.
        let _ = sleeper.wait();
    }

    /// An access makes room, or waits for it in the host. `relief` is from before it found none.
    pub(super) fn park_for_room(&self, waiting: zxvm_host::Waiting, relief: u64) -> Answer {
        if self.make_room() {
            return Answer::Again;
        }
        let later = self.park(waiting);
        self.wait_for_room(Who::Access(waiting), relief);
        later
    }

    fn wake_who(&self, who: Who) {
        match who {
            Who::Call(sleeper) | Who::Stream(sleeper) => sleeper.wake(Ok(())),
            Who::Access(waiting) => self.wake(Woken::from([(waiting, Ok(()))])),
            Who::Nobody => {}
        }
    }
}

impl RoomObserver for AddressSpace {
    fn room(&self) {
        let many = usize::try_from(self.reclaim.prospect()).unwrap_or(usize::MAX).max(1);
        let woken: Vec<Who> = {
            let mut waiters = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            let many = many.min(waiters.len());
            waiters.drain(..many).collect()
        };
        self.reclaim.waits_no_more(woken.len() as u64);
        self.reclaim.weigh(&self.reclaim.queues());
        for who in woken {
            self.wake_who(who);
        }
    }
}
