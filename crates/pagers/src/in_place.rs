//! Reading in the thread that needs the pages: no request, no packet, no other thread.
//!
//! What is read is never older than what was written back: the library supplies only what is asked for still, and a page that became
//! something else while it was read is not.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zxvm::{InPlace, Status};

use crate::PAGE_SIZE;
use crate::ahead::ReadAhead;
use crate::backing::Backing;
use crate::errors::{guarded, status_of};
use crate::stats::{Counters, add};

/// Plans remembered that nobody has read yet, at most: some never are, since their pages are there.
const PLANS: usize = 16;

/// Who reads a backing in place.
pub struct Reader<B> {
    backing: Arc<B>,
    counters: Arc<Counters>,
    /// Bytes of the VMO.
    size: u64,
    ahead: Mutex<Ahead>,
}

struct Ahead {
    streams: ReadAhead,
    /// What is to be read besides what is asked for.
    plans: VecDeque<Range<u64>>,
}

impl<B: Backing> Reader<B> {
    /// Of a backing of so many bytes, with windows of at most `window` bytes.
    pub fn new(backing: Arc<B>, counters: Arc<Counters>, len: u64, window: u64) -> Self {
        let ahead = Mutex::new(Ahead { streams: ReadAhead::new(window), plans: VecDeque::new() });
        Self { backing, counters, size: len.next_multiple_of(PAGE_SIZE), ahead }
    }

    fn lock(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what is about to be supplied.
    fn count(&self, offset: u64, len: u64) {
        let ahead = &mut *self.lock();
        let counter = match ahead.plans.iter().position(|plan| plan.contains(&offset)) {
            Some(at) => {
                ahead.plans[at].start = offset + len;
                if ahead.plans[at].is_empty() {
                    ahead.plans.remove(at);
                }
                &self.counters.pages_ahead
            }
            None => &self.counters.pages_asked,
        };
        add(counter, len / PAGE_SIZE);
    }
}

impl<B: Backing> InPlace for Reader<B> {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status> {
        add(&self.counters.reads, 1);
        let filled = guarded(|| self.backing.read_at(offset, to)).map_err(|error| {
            add(&self.counters.failed, 1);
            status_of(&error)
        })?;
        // Past its end there are zeros.
        to.get_mut(filled..).ok_or(Status::IO)?.fill(0);
        self.count(offset, to.len() as u64);
        Ok(())
    }

    fn read_until(&self, range: Range<u64>) -> u64 {
        add(&self.counters.requests, 1);
        let ahead = &mut *self.lock();
        let plan = ahead.streams.plan(&range, self.size);
        let end = plan.now.end.max(plan.behind.end);
        if range.end < end {
            ahead.plans.truncate(PLANS - 1);
            ahead.plans.push_front(range.end..end);
        }
        end
    }
}
