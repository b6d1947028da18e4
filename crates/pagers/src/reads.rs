//! Reads under way.
//!
//! 1. A read's `reading` is what it has not begun to supply. Who asks for pages of it joins, and is answered by it: the pages
//!    were asked for before they are supplied. What is being supplied may be joined no more: the request may have come after.
//! 2. Reads may overlap. Supplying what is there changes nothing.
//! 3. A writeback lets the reads end that were there when its writes were done ([`Reads::wait_for`]) before pages become clean:
//!    what they have read may be old, and only pages that are there are safe from it.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::ahead::ReadAhead;

#[derive(Debug)]
struct Read {
    id: u64,
    whole: Range<u64>,
    reading: Range<u64>,
    joined: Vec<Range<u64>>,
}

#[derive(Debug)]
struct State {
    ahead: ReadAhead,
    reads: Vec<Read>,
    next_id: u64,
}

/// The reads of a VMO, and what is to be read next.
#[derive(Debug)]
pub struct Reads {
    state: Mutex<State>,
    ended: Condvar,
}

/// A read that has been noted as being under way. It must be ended.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    id: u64,
    /// What is to be read.
    pub range: Range<u64>,
}

/// What is to be done for a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Work {
    /// A read with what was asked for. Nothing: another read has it.
    pub now: Option<Ticket>,
    /// One that nobody asked for yet.
    pub behind: Option<Ticket>,
}

impl Reads {
    /// None, and windows of at most `window_max` bytes.
    pub fn new(window_max: u64) -> Self {
        let state = State { ahead: ReadAhead::new(window_max), reads: Vec::new(), next_id: 0 };
        Self { state: Mutex::new(state), ended: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on windows are of at most `window_max` bytes.
    pub fn limit(&self, window_max: u64) {
        self.state().ahead.limit(window_max);
    }

    /// What is to be done when `asked` is asked for and the VMO ends at `end`.
    pub fn plan(&self, asked: &Range<u64>, end: u64) -> Work {
        let state = &mut *self.state();
        if let Some(read) = state.reads.iter_mut().find(|read| contains(&read.reading, asked)) {
            read.joined.push(asked.clone());
            let behind = state.ahead.caught_up(asked, end);
            return Work { now: None, behind: state.begin_behind(behind) };
        }
        if state.reads.iter().any(|read| contains(&read.whole, asked)) {
            // Most likely this is answered in a moment, but that cannot be known. It is in order, though.
            let behind = state.ahead.caught_up(asked, end);
            return Work { now: Some(state.begin(asked.clone())), behind: state.begin_behind(behind) };
        }
        let plan = state.ahead.plan(asked, end);
        // Up to where somebody else reads.
        let others = state.reads.iter().map(|read| read.whole.start).filter(|&start| start >= asked.end);
        let now_end = others.fold(plan.now.end, u64::min);
        let now = state.begin(plan.now.start..now_end);
        Work { now: Some(now), behind: state.begin_behind(plan.behind) }
    }

    /// A read of exactly this.
    pub fn exactly(&self, range: Range<u64>) -> Ticket {
        self.state().begin(range)
    }

    /// What is up to `to` of it is about to be supplied.
    pub fn supplying(&self, ticket: &Ticket, to: u64) {
        let state = &mut *self.state();
        let read = state.reads.iter_mut().find(|read| read.id == ticket.id).expect("a read that has not ended");
        read.reading.start = to.min(read.reading.end);
    }

    /// It has ended. Who had joined it, wherever that was.
    pub fn end(&self, ticket: Ticket) -> Vec<Range<u64>> {
        let state = &mut *self.state();
        let index = state.reads.iter().position(|read| read.id == ticket.id).expect("a read that has not ended");
        let read = state.reads.swap_remove(index);
        self.ended.notify_all();
        read.joined
    }

    /// Waits until all reads have ended that touch `range` now.
    pub fn wait_for(&self, range: &Range<u64>) {
        let state = self.state();
        let ids = state.touching(range);
        let there = |state: &mut State| state.reads.iter().any(|read| ids.contains(&read.id));
        drop(self.ended.wait_while(state, there).unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn begin(&mut self, range: Range<u64>) -> Ticket {
        let id = self.next_id;
        self.next_id += 1;
        self.reads.push(Read { id, whole: range.clone(), reading: range.clone(), joined: Vec::new() });
        Ticket { id, range }
    }

    /// Not where somebody else reads.
    fn begin_behind(&mut self, range: Range<u64>) -> Option<Ticket> {
        (!range.is_empty() && self.touching(&range).is_empty()).then(|| self.begin(range))
    }

    fn touching(&self, range: &Range<u64>) -> Vec<u64> {
        let touches = |read: &&Read| read.whole.start < range.end && range.start < read.whole.end;
        self.reads.iter().filter(touches).map(|read| read.id).collect()
    }
}

fn contains(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PAGE_SIZE;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    const FAR: u64 = 1 << 40;

    fn pages(start: u64, count: u64) -> Range<u64> {
        start * PAGE_SIZE..(start + count) * PAGE_SIZE
    }

    #[test]
    fn who_asks_for_what_is_being_read_joins_it() {
        let reads = Reads::new(8 * PAGE_SIZE);
        let first = reads.plan(&pages(0, 4), FAR).now.unwrap();
        assert_eq!(reads.plan(&pages(1, 2), FAR), Work { now: None, behind: None });
        assert_eq!(reads.end(first), [pages(1, 2)]);
        let again = reads.plan(&pages(1, 2), FAR).now.expect("nobody reads it any more");
        assert_eq!(reads.end(again), []);
    }

    #[test]
    fn what_is_being_supplied_is_joined_no_more() {
        let reads = Reads::new(8 * PAGE_SIZE);
        let first = reads.plan(&pages(0, 4), FAR).now.unwrap();
        reads.supplying(&first, 2 * PAGE_SIZE);
        let second = reads.plan(&pages(1, 1), FAR).now.expect("it may have been evicted since");
        assert_eq!(second.range, pages(1, 1));
        assert!(reads.plan(&pages(2, 2), FAR).now.is_none(), "that is still read");
        assert_eq!(reads.end(first), [pages(2, 2)]);
        assert_eq!(reads.end(second), []);
    }

    #[test]
    fn reads_stop_where_another_begins() {
        let reads = Reads::new(8 * PAGE_SIZE);
        let ahead = reads.exactly(pages(3, 1));
        let first = reads.plan(&pages(0, 1), FAR).now.unwrap();
        let second = reads.plan(&pages(1, 1), FAR).now.unwrap();
        assert_eq!((first.range.clone(), second.range.clone()), (pages(0, 1), pages(1, 2)));
        [ahead, first, second].into_iter().for_each(|ticket| drop(reads.end(ticket)));
    }

    #[test]
    fn a_writeback_waits_for_the_reads_that_were_there_and_no_others() {
        let reads = Reads::new(8 * PAGE_SIZE);
        let (old, elsewhere) = (reads.exactly(pages(0, 4)), reads.exactly(pages(9, 1)));
        let (say, said) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                reads.wait_for(&pages(3, 2));
                say.send(()).unwrap();
            });
            assert!(said.recv_timeout(Duration::from_millis(50)).is_err(), "one is under way");
            let newer = reads.exactly(pages(3, 1));
            reads.end(old);
            // It would wait for `newer` as well if it had begun to wait only now; then the next two lines would hang.
            said.recv_timeout(Duration::from_secs(10)).expect("the old one has ended");
            reads.end(newer);
        });
        reads.end(elsewhere);
    }
}
