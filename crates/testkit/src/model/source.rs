//! What a pager VMO knows, page by page: pager.md §2, §6.
//!
//! 1. A page that is in no state is absent. Clean, awaiting and dirty pages have a frame in the content; the others have none.
//! 2. Zero ranges are runs of dirty zero pages that touch. What is marked of one is being written back: a run of pages from
//!    the range's start on, or nothing.
//! 3. A waiter is woken by news, and looks again from scratch. Here it is only noted who has what news.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zxvm_types::*;

use super::ObjectId;
use super::port::SlotId;

/// What is known of a page. Pages are counted from the start of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The pager has to be asked.
    Absent,
    /// It is zero, and was supplied so.
    CleanZero,
    /// As supplied.
    Clean,
    /// Writeback has begun.
    AwaitingClean,
    /// Written.
    Dirty,
    /// It is zero, and the pager does not know.
    DirtyZero,
}

impl State {
    /// Whether it reads as zero without a page.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::CleanZero | Self::DirtyZero)
    }
}

/// Kinds of requests, as the commands of their packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To supply.
    Read,
    /// To let become dirty.
    Dirty,
}

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The call that waits, for all of its request. There is one such call at most.
    Call,
    /// It too, as a read that goes on when its next page comes.
    Stream,
    /// An access to the page at this address.
    Access(u64),
}

/// One that waits on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// The first page that it needs.
    pub first: u64,
    /// Who it is.
    pub who: Who,
}

/// What was asked and not answered in full.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number among all of this VMO.
    pub id: u64,
    /// Of what.
    pub kind: Kind,
    /// Which pages.
    pub pages: Range<u64>,
    /// Those that have not been dealt with.
    pub left: BTreeSet<u64>,
    /// Who waits.
    pub waiters: Vec<Waiter>,
}

/// A message to the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A new request.
    Ask(u64, Kind, Range<u64>),
    /// It is not asked any more.
    Withdraw(u64),
    /// The VMO ends at this page now.
    Shorten(u64),
    /// Nothing more will come, and this is the last packet.
    Complete,
}

/// Whether the pager is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// It is.
    There,
    /// This VMO was detached.
    Detached,
    /// The pager's last handle was closed.
    Closed,
}

/// Whether something was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modified {
    /// Not since the last reset.
    No,
    /// It may go unseen, and may be seen.
    Perhaps,
    /// It was.
    Yes,
}

/// See the module.
#[derive(Debug)]
pub struct Source {
    /// Whose it is.
    pub pager: ObjectId,
    /// The VMO that the pager made; others that show the content are not the pager's.
    pub root: ObjectId,
    /// Its koid, which outlives it; 0 until the engine has chosen one.
    pub koid: zx_koid_t,
    /// Its place in the port.
    pub slot: SlotId,
    /// Whether the pager is asked before a page becomes dirty.
    pub trap_dirty: bool,
    /// Whether anybody can be asked.
    pub provider: Provider,
    /// Whether it was written to.
    pub modified: Modified,
    /// All that is outstanding.
    pub requests: Vec<Request>,
    /// What the port has not been told yet, in order.
    pub messages: Vec<Message>,
    /// What waiters have not been told yet.
    pub news: Vec<(Who, Result<(), Status>)>,
    states: BTreeMap<u64, State>,
    marked: BTreeSet<u64>,
    /// Zero pages that a load brought into memory, as the engine does it.
    loaded: BTreeSet<u64>,
    /// Pages in memory that were said to be always needed: pager.md §10.
    needed: BTreeSet<u64>,
    /// Pages that may be stored to without anybody noticing: somebody has stored near by since they became dirty.
    open: BTreeSet<u64>,
    next_id: u64,
}

impl Source {
    /// All absent.
    pub fn new(pager: ObjectId, root: ObjectId, slot: SlotId, trap_dirty: bool) -> Self {
        Self {
            pager,
            root,
            koid: ZX_KOID_INVALID,
            slot,
            trap_dirty,
            provider: Provider::There,
            modified: Modified::No,
            requests: Vec::new(),
            messages: Vec::new(),
            news: Vec::new(),
            states: BTreeMap::new(),
            marked: BTreeSet::new(),
            loaded: BTreeSet::new(),
            needed: BTreeSet::new(),
            open: BTreeSet::new(),
            next_id: 0,
        }
    }

    /// The state of a page.
    pub fn at(&self, page: u64) -> State {
        self.states.get(&page).copied().unwrap_or(State::Absent)
    }

    /// The pages of `range` that are not absent.
    pub fn known(&self, range: Range<u64>) -> Vec<(u64, State)> {
        self.states.range(range).map(|(&page, &state)| (page, state)).collect()
    }

    /// Sets one page. Zero ranges that change their start lose their marks.
    pub fn set(&mut self, page: u64, state: State) {
        match state {
            State::Absent => self.states.remove(&page),
            _ => self.states.insert(page, state),
        };
        if state != State::DirtyZero {
            self.marked.remove(&page);
        }
        if !state.is_zero() {
            self.loaded.remove(&page);
        }
        if state == State::Absent || state.is_zero() {
            self.needed.remove(&page);
        }
        if state != State::Dirty {
            self.open.remove(&page);
        }
    }

    /// How many pages of the run at `page` are in a state of which `which` is true, up to `end`.
    pub fn run(&self, page: u64, end: u64, which: impl Fn(State) -> bool) -> u64 {
        let mut to = page;
        // Nothing but absent pages may follow, up to the end of the largest VMO.
        while to < end {
            if self.states.range(to..).next().is_none() {
                return if which(State::Absent) { end } else { to };
            }
            if !which(self.at(to)) {
                break;
            }
            to += 1;
        }
        to
    }

    /// The zero ranges that start in `pages`, each whole.
    fn zero_ranges(&self, pages: &Range<u64>) -> Vec<Range<u64>> {
        let is_zero = |page| self.at(page) == State::DirtyZero;
        let starts = self.states.range(pages.clone()).map(|(&page, _)| page);
        let starts = starts.filter(|&page| is_zero(page) && (page == 0 || !is_zero(page - 1)));
        starts.map(|start| start..self.run(start, u64::MAX, |state| state == State::DirtyZero)).collect()
    }

    /// What is marked of each zero range is its start.
    fn settle_marks(&mut self) {
        for range in self.zero_ranges(&(0..u64::MAX)) {
            let kept = range.clone().take_while(|page| self.marked.contains(page)).count() as u64;
            let lost: Vec<_> = self.marked.range(range.start + kept..range.end).copied().collect();
            for page in lost {
                self.marked.remove(&page);
            }
        }
    }

    /// Whole pages have been made zero. What has a frame is to lose it.
    pub fn zero(&mut self, pages: Range<u64>) {
        for page in pages.clone() {
            self.loaded.remove(&page);
            self.needed.remove(&page);
            if self.at(page) != State::CleanZero {
                self.set(page, State::DirtyZero);
            }
        }
        self.settle_marks();
        self.resolve(Kind::Read, pages);
    }

    /// The VMO has grown by these pages.
    pub fn grow(&mut self, pages: Range<u64>) {
        for page in pages {
            self.set(page, State::DirtyZero);
        }
        self.settle_marks();
    }

    /// The VMO ends here now.
    pub fn shrink(&mut self, end: u64) {
        let gone: Vec<_> = self.states.range(end..).map(|(&page, _)| page).collect();
        for page in gone {
            self.set(page, State::Absent);
        }
        for kind in [Kind::Read, Kind::Dirty] {
            self.resolve(kind, end..u64::MAX);
        }
        self.messages.push(Message::Shorten(end));
    }

    /// WRITEBACK_BEGIN.
    pub fn begin_writeback(&mut self, pages: &Range<u64>, zero_only: bool) {
        for range in self.zero_ranges(pages) {
            self.marked.extend(range.start..range.end.min(pages.end));
        }
        for (page, state) in self.known(pages.clone()) {
            if state == State::Dirty && !zero_only {
                self.set(page, State::AwaitingClean);
            }
        }
    }

    /// WRITEBACK_END.
    pub fn end_writeback(&mut self, pages: &Range<u64>) {
        for range in self.zero_ranges(pages) {
            for page in range {
                if self.marked.remove(&page) && page < pages.end {
                    self.set(page, State::Absent);
                }
            }
        }
        for (page, state) in self.known(pages.clone()) {
            if state == State::AwaitingClean {
                self.set(page, State::Clean);
            }
        }
    }

    /// The dirty ranges in `pages`, in pages, and whether they are zero.
    pub fn dirty(&self, pages: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut found: Vec<(Range<u64>, bool)> = Vec::new();
        for (page, state) in self.known(pages) {
            let zero = match state {
                State::Dirty | State::AwaitingClean => false,
                State::DirtyZero => true,
                State::Absent | State::CleanZero | State::Clean => continue,
            };
            match found.last_mut() {
                Some((range, kind)) if range.end == page && *kind == zero => range.end = page + 1,
                Some(_) | None => found.push((page..page + 1, zero)),
            }
        }
        found
    }

    /// Whether a store needs nobody's consent.
    pub fn storable(&self, page: u64) -> bool {
        match self.at(page) {
            State::Absent => false,
            State::Dirty => true,
            State::CleanZero | State::Clean | State::AwaitingClean | State::DirtyZero => !self.trap_dirty,
        }
    }

    /// A store by an address was granted. A page that is open already may have been stored to unseen.
    pub fn stored(&mut self, page: u64) {
        if self.open.contains(&page) {
            self.perhaps_modified();
        } else {
            self.modified = Modified::Yes;
        }
        let is_dirty = |page| self.at(page) == State::Dirty;
        let first = (0..=page).rev().take_while(|&page| is_dirty(page)).last().unwrap_or(page);
        let end = self.run(page, u64::MAX, |state| state == State::Dirty);
        self.open.extend(first..end);
    }

    /// These pages have been let become dirty. Stores that waited for that are granted: each is a modification.
    pub fn grant(&mut self, pages: Range<u64>) {
        let before = self.news.len();
        self.resolve(Kind::Dirty, pages.clone());
        if self.news[before..].iter().any(|(who, _)| matches!(who, Who::Access(_))) {
            self.modified = Modified::Yes;
            self.open.extend(pages);
        }
    }

    /// A mapping was made. Of a page that is dirty already the engine does not see its first store.
    pub fn mapped(&mut self) {
        let dirty = self.states.iter().filter(|(_, state)| **state == State::Dirty);
        self.open.extend(dirty.map(|(&page, _)| page));
    }

    /// Something was done that may count as a modification.
    pub fn perhaps_modified(&mut self) {
        if self.modified == Modified::No {
            self.modified = Modified::Perhaps;
        }
    }

    /// A zero page was loaded from.
    pub fn load(&mut self, page: u64) {
        self.loaded.insert(page);
    }

    /// Zero pages in memory.
    pub fn loaded(&self) -> u64 {
        self.loaded.len() as u64
    }

    /// Whether the page is in memory.
    pub fn is_there(&self, page: u64) -> bool {
        match self.at(page) {
            State::Clean | State::AwaitingClean | State::Dirty => true,
            State::CleanZero | State::DirtyZero => self.loaded.contains(&page),
            State::Absent => false,
        }
    }

    /// Whether the page is in memory and may go.
    pub fn is_takeable(&self, page: u64) -> bool {
        match self.at(page) {
            State::Clean => true,
            State::CleanZero | State::DirtyZero => self.loaded.contains(&page),
            State::Absent | State::AwaitingClean | State::Dirty => false,
        }
    }

    /// A page that may go has gone.
    pub fn evict(&mut self, page: u64) {
        self.loaded.remove(&page);
        self.needed.remove(&page);
        if self.at(page) == State::Clean {
            self.set(page, State::Absent);
        }
    }

    /// ALWAYS_NEED: the mark is on the page, if there is one.
    pub fn need(&mut self, page: u64) {
        if self.is_there(page) {
            self.needed.insert(page);
        }
    }

    /// Whether the page was said to be always needed.
    pub fn is_needed(&self, page: u64) -> bool {
        self.needed.contains(&page)
    }

    /// These pages cannot be had for want of room: who waits for one of them first does not wait here any more.
    pub fn starve(&mut self, kind: Kind, pages: &Range<u64>) -> Vec<Who> {
        let mut starved = Vec::new();
        for request in self.requests.iter_mut().filter(|request| request.kind == kind) {
            if request.pages.start >= pages.end || request.pages.end <= pages.start {
                continue;
            }
            request.left.retain(|page| !pages.contains(page));
            let hit = request.waiters.extract_if(.., |waiter| pages.contains(&waiter.first));
            starved.extend(hit.map(|waiter| waiter.who));
        }
        self.sweep();
        starved
    }

    /// Asks for `pages`, or waits for who has asked for the first of them. `BAD_STATE`: there is nobody to be asked.
    pub fn ask(&mut self, kind: Kind, pages: Range<u64>, who: Who) -> Result<(), Status> {
        if self.provider != Provider::There {
            return Err(Status::BAD_STATE);
        }
        let first = pages.start;
        let waiter = Waiter { first, who };
        let others = self.requests.iter_mut().filter(|other| other.kind == kind && other.pages.end > first);
        let end = match others.min_by_key(|other| other.pages.end) {
            Some(covering) if covering.pages.start <= first => {
                // A thread waits once.
                covering.waiters.retain(|other| !is_same(other.who, who));
                covering.waiters.push(waiter);
                return Ok(());
            }
            Some(next) => next.pages.start.min(pages.end),
            None => pages.end,
        };
        let id = self.next_id;
        self.next_id += 1;
        let left = (first..end).collect();
        self.requests.push(Request { id, kind, pages: first..end, left, waiters: vec![waiter] });
        self.messages.push(Message::Ask(id, kind, first..end));
        Ok(())
    }

    /// These pages have been dealt with.
    pub fn resolve(&mut self, kind: Kind, pages: Range<u64>) {
        for request in self.requests.iter_mut().filter(|request| request.kind == kind) {
            request.left.retain(|page| !pages.contains(page));
            // It stays a waiter, and says what it needs next when it looks again.
            let goes_on = |waiter: &&Waiter| waiter.who == Who::Stream && pages.contains(&waiter.first);
            self.news.extend(request.waiters.iter().filter(goes_on).map(|waiter| (waiter.who, Ok(()))));
        }
        self.sweep();
    }

    /// These pages cannot be had.
    pub fn fail(&mut self, pages: Range<u64>, status: Status) {
        for request in &mut self.requests {
            if request.pages.start >= pages.end || request.pages.end <= pages.start {
                continue;
            }
            request.left.retain(|page| !pages.contains(page));
            for waiter in request.waiters.extract_if(.., |waiter| pages.contains(&waiter.first)) {
                self.news.push((waiter.who, Err(status)));
            }
        }
        self.sweep();
    }

    /// Drops requests that are over: nothing is left, or nobody waits.
    fn sweep(&mut self) {
        let over = |request: &mut Request| request.left.is_empty() || request.waiters.is_empty();
        for request in self.requests.extract_if(.., over) {
            self.messages.push(Message::Withdraw(request.id));
            self.news.extend(request.waiters.iter().map(|waiter| (waiter.who, Ok(()))));
        }
    }

    /// Those of whom `gone` is true do not wait any more.
    pub fn leave(&mut self, gone: impl Fn(Who) -> bool) {
        for request in &mut self.requests {
            request.waiters.retain(|waiter| !gone(waiter.who));
        }
        self.sweep();
    }

    /// Nobody is asked any more, from now on.
    pub fn end(&mut self, provider: Provider) {
        self.provider = provider;
        for request in std::mem::take(&mut self.requests) {
            self.messages.push(Message::Withdraw(request.id));
            self.news.extend(request.waiters.iter().map(|waiter| (waiter.who, Ok(()))));
        }
    }
}

fn is_same(a: Who, b: Who) -> bool {
    match (a, b) {
        (Who::Access(a), Who::Access(b)) => a == b,
        (Who::Call | Who::Stream, Who::Call | Who::Stream) => true,
        (Who::Access(_), Who::Call | Who::Stream) | (Who::Call | Who::Stream, Who::Access(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(trap_dirty: bool) -> Source {
        Source::new(ObjectId(1), ObjectId(2), SlotId(3), trap_dirty)
    }

    /// One letter a page.
    fn letters(source: &Source, count: u64) -> String {
        let letter = |page| match source.at(page) {
            State::Absent => '.',
            State::CleanZero => 'z',
            State::Clean => 'c',
            State::AwaitingClean => 'w',
            State::Dirty => 'd',
            State::DirtyZero => 'Z',
        };
        (0..count).map(letter).collect()
    }

    fn set(source: &mut Source, pages: Range<u64>, state: State) {
        pages.for_each(|page| source.set(page, state));
    }

    #[test]
    fn writeback_cleans_what_was_not_written_again() {
        let mut source = source(false);
        set(&mut source, 0..4, State::Dirty);
        source.begin_writeback(&(0..3), false);
        source.set(1, State::Dirty);
        assert_eq!(letters(&source, 4), "wdwd");
        source.end_writeback(&(0..4));
        assert_eq!(letters(&source, 4), "cdcd");
        source.end_writeback(&(0..4));
        assert_eq!(letters(&source, 4), "cdcd", "without a BEGIN it changes nothing");
        assert_eq!(source.dirty(0..4), [(1..2, false), (3..4, false)]);
    }

    #[test]
    fn zero_ranges_are_written_back_from_their_start() {
        let mut source = source(false);
        source.grow(2..8);
        source.begin_writeback(&(3..8), true);
        source.end_writeback(&(0..8));
        assert_eq!(letters(&source, 8), "..ZZZZZZ", "a BEGIN inside marks nothing");
        source.begin_writeback(&(0..6), true);
        source.begin_writeback(&(0..4), true);
        source.end_writeback(&(3..8));
        assert_eq!(letters(&source, 8), "..ZZZZZZ", "an END inside cleans nothing");
        source.end_writeback(&(0..5));
        assert_eq!(letters(&source, 8), ".....ZZZ", "a shorter BEGIN does not shrink the mark");
        source.end_writeback(&(0..8));
        assert_eq!(letters(&source, 8), ".....ZZZ", "what is left has no mark");
    }

    #[test]
    fn marks_survive_a_split_and_a_join_at_the_end_only() {
        let mut source = source(false);
        source.grow(1..6);
        source.begin_writeback(&(0..6), false);
        source.set(3, State::Dirty);
        source.end_writeback(&(0..6));
        assert_eq!(letters(&source, 6), "...d..");
        source.zero(3..5);
        source.begin_writeback(&(0..6), false);
        source.zero(5..6);
        source.zero(2..3);
        source.end_writeback(&(0..6));
        assert_eq!(letters(&source, 6), "..ZZZZ", "a new start loses the mark");
        source.begin_writeback(&(0..4), false);
        source.zero(0..1);
        source.grow(6..7);
        source.end_writeback(&(0..7));
        assert_eq!(letters(&source, 7), "Z...ZZZ");
    }

    #[test]
    fn zeroing_leaves_what_is_clean_and_zero() {
        let mut source = source(true);
        source.set(0, State::CleanZero);
        source.set(1, State::Clean);
        source.set(2, State::AwaitingClean);
        source.ask(Kind::Read, 4..6, Who::Call).unwrap();
        source.zero(0..5);
        assert_eq!(letters(&source, 6), "zZZZZ.");
        assert_eq!(source.requests[0].left, BTreeSet::from([5]));
        assert_eq!(source.dirty(0..6), [(1..5, true)]);
    }

    fn packets(source: &mut Source) -> Vec<Message> {
        std::mem::take(&mut source.messages)
    }

    fn news(source: &mut Source) -> Vec<(Who, Result<(), Status>)> {
        std::mem::take(&mut source.news)
    }

    #[test]
    fn requests_never_overlap() {
        let mut source = source(true);
        source.ask(Kind::Read, 4..6, Who::Access(0x4000)).unwrap();
        source.ask(Kind::Read, 2..8, Who::Call).unwrap();
        source.ask(Kind::Dirty, 5..6, Who::Access(0x5000)).unwrap();
        source.ask(Kind::Read, 5..8, Who::Access(0x5000)).unwrap();
        source.ask(Kind::Read, 5..8, Who::Access(0x5000)).unwrap();
        let asked = [(Kind::Read, 4..6), (Kind::Read, 2..4), (Kind::Dirty, 5..6)];
        let asked = asked.into_iter().enumerate().map(|(id, (kind, pages))| Message::Ask(id as u64, kind, pages));
        assert_eq!(packets(&mut source), asked.collect::<Vec<_>>());
        source.resolve(Kind::Read, 0..5);
        assert_eq!((packets(&mut source), news(&mut source)), (vec![Message::Withdraw(1)], vec![(Who::Call, Ok(()))]));
        source.resolve(Kind::Read, 5..6);
        let woken = [0x4000, 0x5000].map(|addr| (Who::Access(addr), Ok(())));
        assert_eq!(news(&mut source), woken);
        assert_eq!(source.requests.len(), 1, "the other kind stays");
    }

    #[test]
    fn a_failure_is_for_whom_it_hits_first() {
        let mut source = source(false);
        source.ask(Kind::Read, 0..4, Who::Call).unwrap();
        source.ask(Kind::Read, 2..3, Who::Access(0x2000)).unwrap();
        source.fail(2..3, Status::IO);
        assert_eq!(news(&mut source), [(Who::Access(0x2000), Err(Status::IO))]);
        source.resolve(Kind::Read, 0..2);
        assert_eq!(news(&mut source), []);
        source.resolve(Kind::Read, 3..4);
        assert_eq!(news(&mut source), [(Who::Call, Ok(()))], "it asks again for what failed");
        source.ask(Kind::Read, 0..4, Who::Call).unwrap();
        packets(&mut source);
        source.fail(0..1, Status::NO_SPACE);
        assert_eq!(news(&mut source), [(Who::Call, Err(Status::NO_SPACE))]);
        assert_eq!(packets(&mut source), [Message::Withdraw(1)], "nobody waits for the rest");
    }

    #[test]
    fn a_stream_goes_on_with_each_page_that_comes() {
        let mut source = source(false);
        source.ask(Kind::Read, 0..4, Who::Stream).unwrap();
        source.resolve(Kind::Read, 1..2);
        assert_eq!(news(&mut source), []);
        source.resolve(Kind::Read, 0..1);
        assert_eq!(news(&mut source), [(Who::Stream, Ok(()))]);
        source.ask(Kind::Read, 2..4, Who::Stream).unwrap();
        assert_eq!(packets(&mut source), [Message::Ask(0, Kind::Read, 0..4)], "the same request");
        source.fail(0..2, Status::NO_SPACE);
        assert_eq!(news(&mut source), []);
        source.fail(2..3, Status::IO);
        assert_eq!(news(&mut source), [(Who::Stream, Err(Status::IO))]);
        assert!(source.requests.is_empty());
    }

    #[test]
    fn the_last_to_leave_takes_the_request_back() {
        let mut source = source(false);
        source.ask(Kind::Read, 0..1, Who::Access(0x1000)).unwrap();
        source.ask(Kind::Read, 0..1, Who::Call).unwrap();
        packets(&mut source);
        source.leave(|who| who == Who::Access(0x1000));
        assert_eq!(packets(&mut source), []);
        source.end(Provider::Detached);
        assert_eq!((packets(&mut source), news(&mut source)), (vec![Message::Withdraw(0)], vec![(Who::Call, Ok(()))]));
        assert_eq!(source.ask(Kind::Read, 0..1, Who::Call), Err(Status::BAD_STATE));
    }

    #[test]
    fn a_store_is_seen_unless_the_page_was_open_already() {
        let mut source = source(false);
        set(&mut source, 0..3, State::Dirty);
        source.stored(1);
        assert_eq!(source.modified, Modified::Yes);
        source.modified = Modified::No;
        source.stored(2);
        assert_eq!(source.modified, Modified::Perhaps);
        source.begin_writeback(&(0..3), false);
        source.modified = Modified::No;
        source.set(2, State::Dirty);
        source.stored(2);
        assert_eq!(source.modified, Modified::Yes);

        let mut source = self::source(true);
        source.set(0, State::Dirty);
        source.grant(0..1);
        assert_eq!(source.modified, Modified::No, "in advance");
        source.ask(Kind::Dirty, 1..2, Who::Access(0x1000)).unwrap();
        source.grant(0..2);
        assert_eq!(source.modified, Modified::Yes);
    }
}
