//! How much memory is left on the simulated machine, and who is told.
//!
//! 1. What is left is a number that tests set. Until then it is all there is: committing does not change it, so that what a
//!    test sees does not depend on what it commits.
//! 2. There is no clock: the sink is told when watching begins, when the number is set and when somebody asks for it, by whoever
//!    does that, and never because of time. What it answered is kept for tests to see.
//! 3. No lock is held while the sink is told.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use super::SimHost;
use crate::addr::PAGE_SIZE;
use crate::api::PressureSink;

/// What there is beside the stores.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    left: Option<u64>,
    sink: Option<Weak<dyn PressureSink>>,
    next: Option<Duration>,
    told: u64,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimHost {
    /// From now on so many bytes are left, and whoever watches is told.
    pub fn set_memory_left(&self, left: u64) {
        self.memory.lock().left = Some(left);
        self.tell_memory_left();
    }

    /// When the one who watches wants to be told again, as it said the last time.
    pub fn next_look(&self) -> Option<Duration> {
        self.memory.lock().next
    }

    /// How often the one who watches has been told.
    pub fn times_told(&self) -> u64 {
        self.memory.lock().told
    }

    /// Bytes of memory in the machine.
    pub(super) fn all_memory(&self) -> u64 {
        self.lock().config.memory_pages_max.saturating_mul(PAGE_SIZE)
    }

    /// Bytes that are left of it.
    pub(super) fn left_of_memory(&self) -> u64 {
        let left = self.memory.lock().left;
        left.unwrap_or_else(|| self.all_memory())
    }

    /// From now on `sink` is told, if nobody is.
    pub(super) fn begin_watch(&self, sink: Weak<dyn PressureSink>) {
        let mut state = self.memory.lock();
        if state.sink.is_some() {
            return;
        }
        state.sink = Some(sink);
        drop(state);
        self.tell_memory_left();
    }

    /// Tells whoever watches.
    pub(super) fn tell_memory_left(&self) {
        let sink = self.memory.lock().sink.as_ref().and_then(Weak::upgrade);
        let Some(sink) = sink else { return };
        let next = sink.memory_left(self.left_of_memory());
        let mut state = self.memory.lock();
        state.next = next;
        state.told += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Host;
    use crate::sim::SimConfig;
    use std::sync::Arc;

    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<u64>>);

    impl PressureSink for Told {
        fn memory_left(&self, left: u64) -> Option<Duration> {
            self.0.lock().unwrap().push(left);
            (left < 100).then_some(Duration::from_secs(left))
        }
    }

    #[test]
    fn the_first_who_watches_is_told_at_every_occasion() {
        let host = SimHost::new(SimConfig { memory_pages_max: 2, ..SimConfig::default() });
        host.set_memory_left(300);
        host.look_at_memory();
        assert_eq!((host.memory_total(), host.memory_left()), (Ok(2 * PAGE_SIZE), Ok(300)));
        let (first, second) = (Arc::new(Told::default()), Arc::new(Told::default()));
        let weak =
            |told: &Arc<Told>| -> Weak<dyn PressureSink> { Arc::downgrade(&(told.clone() as Arc<dyn PressureSink>)) };
        host.watch_memory(weak(&first)).unwrap();
        host.watch_memory(weak(&second)).unwrap();
        host.set_memory_left(50);
        assert_eq!(host.next_look(), Some(Duration::from_secs(50)));
        host.look_at_memory();
        host.set_memory_left(200);
        assert_eq!(host.next_look(), None);
        assert_eq!(*first.0.lock().unwrap(), [300, 50, 50, 200]);
        assert_eq!(*second.0.lock().unwrap(), []);
        drop(first);
        host.set_memory_left(1);
        assert_eq!(host.times_told(), 4, "nobody is there any more");
    }

    #[test]
    fn nothing_is_used_up_until_a_test_says_so() {
        let host = SimHost::default();
        assert_eq!(host.memory_left(), host.memory_total());
    }
}
