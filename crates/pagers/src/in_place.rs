//! Reading in the thread that needs the pages: no request, no packet, no other thread.
//!
//! What is read is never older than what was written back: the library supplies only what is asked for still, and a page that became
//! something else while it was read is not.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use zxvm::{InPlace, Status};

use crate::PAGE_SIZE;
use crate::ahead::ReadAhead;
use crate::backing::Backing;
use crate::errors::{guarded, status_of};
use crate::stats::{Counters, add};

/// Who reads a backing in place.
pub struct Reader<B> {
    backing: Arc<B>,
    counters: Arc<Counters>,
    /// Bytes of the VMO.
    size: u64,
    ahead: Mutex<ReadAhead>,
}

impl<B: Backing> Reader<B> {
    /// Of a backing of so many bytes, with windows of at most `window` bytes.
    pub fn new(backing: Arc<B>, counters: Arc<Counters>, len: u64, window: u64) -> Self {
        Self { backing, counters, size: len.next_multiple_of(PAGE_SIZE), ahead: Mutex::new(ReadAhead::new(window)) }
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
        Ok(())
    }

    fn read_until(&self, range: Range<u64>) -> u64 {
        let plan = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).plan(&range, self.size);
        let end = plan.now.end.max(plan.behind.end);
        add(&self.counters.requests, 1);
        add(&self.counters.pages_asked, (range.end - range.start) / PAGE_SIZE);
        add(&self.counters.pages_ahead, end.saturating_sub(range.end) / PAGE_SIZE);
        end
    }
}
