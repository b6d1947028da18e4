//! Calls and accesses that may have to wait for a pager: pager.md §2, §6.1.
//!
//! 1. A [`Job`] is such a call under way: it goes on until it is over, or has asked for something and waits. Whenever it is
//!    woken it looks again from scratch.
//! 2. At most one waits at a time. An access may also just leave its request behind: then it is over, as far as the model
//!    goes, and its request stays (`Model::accesses_wait`).

use std::ops::Range;

use zxvm_types::*;

use super::seen::Waits;
use super::source::{Kind as Asked, Message, Source, State, Who};
use super::{ContentId, Model, ObjectId};
use crate::op::{Buffer, FILLER, OpRange, Outcome};
use crate::{PAGE, pages_up};

/// The most pages that a write asks for at once.
const WRITE_MAX: u64 = 16;

/// What pages are brought in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// COMMIT.
    Committed,
    /// PREFETCH.
    Present,
    /// ALWAYS_NEED.
    PresentIfCan,
}

/// Pages that are brought in. Offsets are the content's, in pages.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    vmo: ObjectId,
    at: u64,
    end: u64,
    want: Want,
}

/// Bytes that become zero. Offsets are the content's, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Zero {
    vmo: ObjectId,
    at: u64,
    end: u64,
}

/// What is under way.
#[derive(Clone, Debug)]
pub enum Job {
    /// `zx_vmo_read`.
    Read {
        /// What is read.
        vmo: ObjectId,
        /// From where on.
        offset: u64,
        /// How many bytes.
        len: usize,
        /// Where they go.
        buffer: Buffer,
        /// Those that were copied.
        bytes: Vec<u8>,
    },
    /// `zx_vmo_write`.
    Write {
        /// What is written to.
        vmo: ObjectId,
        /// From where on.
        offset: u64,
        /// What is written.
        bytes: Vec<u8>,
        /// How much of it was.
        done: usize,
    },
    /// Hints and COMMIT; the bytes are the buffer that the call does not look at.
    Fetch(Fetch, Vec<u8>),
    /// ZERO; the bytes as for `Fetch`.
    Zero(Zero, Vec<u8>),
    /// `zx_vmo_set_size`: first the end of the last page becomes zero, if that can be.
    SetSize {
        /// What is resized.
        vmo: ObjectId,
        /// To how many bytes.
        size: u64,
        /// The end of the last page.
        zero: Zero,
    },
    /// The stream size changes: what is behind it becomes zero first.
    SetStreamSize {
        /// Whose.
        vmo: ObjectId,
        /// To how many bytes.
        size: u64,
        /// What is behind it.
        zero: Zero,
    },
    /// `zx_vmar_op_range`.
    Vmar {
        /// The arguments.
        args: OpRange,
        /// The region.
        vmar: ObjectId,
        /// What the handle may.
        rights: u32,
        /// What is left of the range.
        rest: Range<u64>,
        /// The pages of the mapping at its start, if they are being brought in, and how many bytes of address those are.
        inner: Option<(Fetch, u64)>,
    },
    /// A load or a store.
    Access {
        /// Where.
        addr: u64,
        /// What is stored.
        byte: Option<u8>,
    },
}

/// What became of what waits.
#[derive(Clone, Debug)]
pub enum Resumed {
    /// It sleeps on.
    Untouched,
    /// It has looked again, and waits.
    WaitsAgain,
    /// It is over.
    Over(Outcome),
}

/// How far a step got: `None` if it waits.
type Done = Option<Result<(), Status>>;

impl Model {
    /// Whether a call or an access waits.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// What waits.
    pub fn waiting(&self) -> Option<&Job> {
        self.waiting.as_ref()
    }

    /// Accesses to memory wait, as calls do, from now on.
    pub fn let_accesses_wait(&mut self) {
        self.accesses_wait = true;
    }

    /// Begins a job. `None` if it waits.
    pub(super) fn launch(&mut self, mut job: Job) -> Option<Outcome> {
        if self.is_waiting() {
            let outcome = self.go(&mut job, None);
            assert!(outcome.is_some(), "{job:x?} waits, as another one does");
            return outcome;
        }
        for source in self.contents.values_mut().filter_map(|content| content.source.as_mut()) {
            source.news.clear();
        }
        let outcome = self.go(&mut job, None);
        match outcome {
            Some(_) => self.leave_call(),
            None => self.waiting = Some(job),
        }
        outcome
    }

    /// Goes on with what waits, if there is news for it. Other news is dropped: the accesses that wait are over.
    pub(super) fn go_on(&mut self) -> Resumed {
        let mut job = self.waiting.take().expect("something waits");
        let who = job.who();
        let mut news = None;
        for source in self.contents.values_mut().filter_map(|content| content.source.as_mut()) {
            // The last counts.
            let mine = source.news.drain(..).rfind(|(other, _)| who.contains(other));
            news = news.or(mine);
        }
        let news = news.map(|(_, news)| news).or_else(|| self.has_been_starving(&job).then_some(Ok(())));
        let Some(news) = news else {
            self.waiting = Some(job);
            return Resumed::Untouched;
        };
        match self.go(&mut job, Some(news)) {
            Some(outcome) => {
                self.leave_call();
                Resumed::Over(outcome)
            }
            None => {
                self.waiting = Some(job);
                Resumed::WaitsAgain
            }
        }
    }

    /// A handle to the port whose oldest packets have to be taken out for the access that waits to be known to: it is in
    /// there, or will be.
    pub fn port_of_waiting(&self) -> Option<zx_handle_t> {
        let Some(Job::Access { addr, .. }) = &self.waiting else { return None };
        let who = Who::Access(addr / PAGE * PAGE);
        let sources = self.contents.values().filter_map(|content| content.source.as_ref());
        let asked = |source: &&Source| {
            let mine = source.requests.iter().filter(|request| request.waiters.iter().any(|waiter| waiter.who == who));
            let sent = &self.slots[&source.slot].sent;
            let mut mine = mine;
            mine.any(|request| sent.iter().any(|message| matches!(message, Message::Ask(id, ..) if *id == request.id)))
        };
        let slot = &self.slots[&sources.into_iter().find(asked)?.slot];
        self.port_handle(slot.port)
    }

    /// A handle through which packets can be taken out of the port.
    pub fn port_handle(&self, port: ObjectId) -> Option<zx_handle_t> {
        let suits = |handle: &super::Handle| handle.object == port && handle.rights & ZX_RIGHT_READ != 0;
        self.handles().find(|(_, handle)| suits(handle)).map(|(value, _)| value)
    }

    /// A handle to the pager of a VMO, and one to the VMO with these rights, if the pager's calls work with them.
    pub fn managers(&self, vmo: ObjectId, rights: u32) -> Option<(zx_handle_t, zx_handle_t)> {
        let source = self.content(vmo).source.as_ref().filter(|source| source.root == vmo)?;
        let with = |object, rights| {
            let suits = move |handle: &super::Handle| handle.object == object && handle.rights & rights == rights;
            self.handles().find(|(_, handle)| suits(handle)).map(|(value, _)| value)
        };
        Some((with(source.pager, ZX_RIGHT_ATTACH_VMO | ZX_RIGHT_MANAGE_VMO)?, with(vmo, rights)?))
    }

    /// Whether the page at `offset` of the VMO would have to be asked for.
    pub fn is_absent(&self, vmo: ObjectId, offset: u64) -> bool {
        let page = (self.start(vmo) + offset) / PAGE;
        self.state_of(self.vmo_of(vmo).content, page) == Some(State::Absent)
    }

    /// Whether the page at `offset` of the VMO can be stored to without a pager or room.
    pub fn is_ready(&self, vmo: ObjectId, offset: u64) -> bool {
        let page = (self.start(vmo) + offset) / PAGE;
        match self.state_of(self.vmo_of(vmo).content, page) {
            Some(State::Clean | State::AwaitingClean) => self.source_under(vmo).is_none_or(|source| !source.trap_dirty),
            Some(State::Dirty) | None => true,
            Some(State::Absent | State::CleanZero | State::DirtyZero) => false,
        }
    }

    /// Whether a pager provides what is mapped at the address.
    pub fn is_paged_at(&self, addr: u64) -> bool {
        let page = addr / PAGE * PAGE;
        self.pieces(self.root, &(page..page.saturating_add(PAGE))).iter().any(|piece| self.is_paged(piece.vmo))
    }

    /// The port of the pager VMO that is mapped at the address, as a handle through which packets can be taken out.
    pub fn slot_port_at(&self, addr: u64) -> Option<Option<zx_handle_t>> {
        let page = addr / PAGE * PAGE;
        let pieces = self.pieces(self.root, &(page..page.saturating_add(PAGE)));
        let source = self.source_under(pieces.first()?.vmo)?;
        Some(self.port_handle(self.slots[&source.slot].port))
    }

    /// A call that is over waits for nothing.
    fn leave_call(&mut self) {
        for source in self.contents.values_mut().filter_map(|content| content.source.as_mut()) {
            source.leave(|who| matches!(who, Who::Call | Who::Stream));
            source.news.clear();
        }
    }

    fn go(&mut self, job: &mut Job, news: Option<Result<(), Status>>) -> Option<Outcome> {
        match job {
            Job::Read { vmo, offset, len, buffer, bytes } => {
                let result = self.go_read(*vmo, *offset, *len, *buffer, bytes, news)?;
                let own = matches!(buffer, Buffer::Own);
                bytes.resize(*len, FILLER);
                let bytes = if own { std::mem::take(bytes) } else { Vec::new() };
                Some(Outcome { status: result.into(), bytes, ..Outcome::default() })
            }
            Job::Write { vmo, offset, bytes, done } => self.go_write(*vmo, *offset, bytes, done, news).map(Outcome::of),
            Job::Fetch(fetch, bytes) => {
                let status = self.go_fetch(fetch, news)?.into();
                Some(Outcome { status, bytes: bytes.clone(), ..Outcome::default() })
            }
            Job::Zero(zero, bytes) => {
                let status = self.go_zero(zero, news)?.into();
                Some(Outcome { status, bytes: bytes.clone(), ..Outcome::default() })
            }
            Job::SetSize { vmo, size, zero } => {
                // What the pager refuses stays as it is.
                let _ = self.go_zero(zero, news)?;
                if self.is_over(*vmo) {
                    self.resize_over(*vmo, *size)
                } else {
                    self.resize_paged(*vmo, *size)
                }
                Some(Outcome::default())
            }
            Job::SetStreamSize { vmo, size, zero } => {
                let (vmo, size) = (*vmo, *size);
                let result = self.go_zero(zero, news)?;
                if result.is_ok() {
                    self.set_stream_size(vmo, size);
                }
                Some(Outcome::of(result))
            }
            Job::Vmar { args, vmar, rights, rest, inner } => {
                self.go_vmar(*args, *vmar, *rights, rest, inner, news).map(Outcome::of)
            }
            Job::Access { addr, byte } => self.go_access(*addr, *byte, news),
        }
    }

    fn go_read(
        &mut self,
        vmo: ObjectId,
        offset: u64,
        len: usize,
        buffer: Buffer,
        bytes: &mut Vec<u8>,
        news: Option<Result<(), Status>>,
    ) -> Done {
        if let Some(Err(status)) = news {
            return Some(Err(status));
        }
        while bytes.len() < len {
            if offset + len as u64 > self.size(vmo) {
                return Some(Err(Status::OUT_OF_RANGE));
            }
            let (start, id) = (self.start(vmo), self.vmo_of(vmo).content);
            let at = start + offset + bytes.len() as u64;
            let (page, end) = (at / PAGE, (start + offset + len as u64).div_ceil(PAGE));
            if self.state_of(id, page) == Some(State::Absent) {
                match self.ask_below(id, page, end, Who::Stream) {
                    Ok(()) => return None,
                    Err((status, _)) => return Some(Err(status)),
                }
            }
            match buffer {
                Buffer::Own => {}
                Buffer::Null => return Some(Err(Status::NOT_FOUND)),
                Buffer::At(addr) => panic!("a buffer at {addr:#x} while the call may wait"),
            }
            let some = (len - bytes.len()).min((PAGE - at % PAGE) as usize);
            let from = bytes.len();
            bytes.resize(from + some, 0);
            if let Some((of, below)) = self.seat(id, page) {
                self.contents[&of].pages.read(below * PAGE + at % PAGE, &mut bytes[from..]);
            }
        }
        Some(Ok(()))
    }

    fn go_write(
        &mut self,
        vmo: ObjectId,
        offset: u64,
        bytes: &[u8],
        done: &mut usize,
        news: Option<Result<(), Status>>,
    ) -> Done {
        if let Some(Err(status)) = news {
            return Some(Err(status));
        }
        while *done < bytes.len() {
            let (start, size) = (self.start(vmo), self.size(vmo));
            let id = self.vmo_of(vmo).content;
            let at = start + offset + *done as u64;
            let page = at / PAGE;
            // Who waits for a page that is still inside goes on waiting when the VMO shrinks.
            let end =
                (start + offset + bytes.len() as u64).div_ceil(PAGE).min(page + WRITE_MAX).min((start + size) / PAGE);
            if page < end {
                match self.ask_to_store(id, page, end, Who::Call) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(status) => return Some(Err(status)),
                }
            }
            let some = (bytes.len() - *done).min((PAGE - at % PAGE) as usize);
            if self.is_over(vmo) {
                if offset + bytes.len() as u64 > size {
                    // As below: it is its own therefore.
                    let state = self.state_of(id, page);
                    let run = self.run_of(id, page, end.max(page), |other| Some(other) == state);
                    let run = run.max(u64::from(page < end));
                    (page..page + run).for_each(|page| self.fork(id, page));
                    return Some(Err(Status::OUT_OF_RANGE));
                }
                self.fork(id, page);
                self.pages_mut(vmo).write(at, &bytes[*done..*done + some]);
                *done += some;
                continue;
            }
            if page < end && self.starves(id, page, Waits::Call) {
                return None;
            }
            let content = self.content_mut(vmo);
            let source = content.source.as_mut().expect("a pager VMO");
            if offset + bytes.len() as u64 > size {
                // What it had waited for has been looked up, and is dirty therefore, though nothing is copied.
                let state = source.at(page);
                for page in page..source.run(page, end.max(page), |other| other == state) {
                    source.set(page, State::Dirty);
                    content.pages.touch(page * PAGE);
                }
                return Some(Err(Status::OUT_OF_RANGE));
            }
            source.set(page, State::Dirty);
            source.modified = super::source::Modified::Yes;
            content.pages.write(at, &bytes[*done..*done + some]);
            *done += some;
        }
        Some(Ok(()))
    }

    fn go_fetch(&mut self, fetch: &mut Fetch, news: Option<Result<(), Status>>) -> Done {
        match news {
            // It goes on with the next page.
            Some(Err(_)) if fetch.want == Want::PresentIfCan => fetch.at += 1,
            Some(Err(status)) => return Some(Err(status)),
            Some(Ok(())) | None => {}
        }
        loop {
            let id = self.vmo_of(fetch.vmo).content;
            let end = fetch.end.min(self.content(fetch.vmo).size / PAGE);
            if fetch.at >= end {
                return Some(Ok(()));
            }
            if self.is_over(fetch.vmo) {
                if self.state_of(id, fetch.at) != Some(State::Absent) {
                    if fetch.want == Want::PresentIfCan {
                        self.need(id, fetch.at);
                    }
                    if fetch.want == Want::Committed {
                        self.fork(id, fetch.at);
                        self.pages_mut(fetch.vmo).commit(fetch.at * PAGE, (fetch.at + 1) * PAGE);
                    }
                    fetch.at += 1;
                    continue;
                }
                match self.ask_below(id, fetch.at, end, Who::Call) {
                    Ok(()) => return None,
                    Err((_, run)) if fetch.want == Want::PresentIfCan => fetch.at += run,
                    Err((status, _)) => return Some(Err(status)),
                }
                continue;
            }
            let content = self.content_mut(fetch.vmo);
            let source = content.source.as_mut().expect("a pager VMO");
            let state = source.at(fetch.at);
            let run = fetch.at..source.run(fetch.at, end, |other| other == state);
            let asked = match (state, fetch.want) {
                (State::Absent, _) => Asked::Read,
                (State::DirtyZero, Want::Committed) if source.trap_dirty => Asked::Dirty,
                (State::CleanZero | State::DirtyZero, Want::Committed) => {
                    if self.starves(id, fetch.at, Waits::Call) {
                        return None;
                    }
                    let content = self.content_mut(fetch.vmo);
                    let source = content.source.as_mut().expect("a pager VMO");
                    source.set(fetch.at, if state == State::CleanZero { State::Clean } else { State::Dirty });
                    content.pages.touch(fetch.at * PAGE);
                    fetch.at += 1;
                    continue;
                }
                (_, Want::PresentIfCan) => {
                    source.need(fetch.at);
                    fetch.at += 1;
                    continue;
                }
                (_, _) => {
                    fetch.at += 1;
                    continue;
                }
            };
            match source.ask(asked, run.clone(), Who::Call) {
                Ok(()) => return None,
                Err(_) if fetch.want == Want::PresentIfCan => fetch.at = run.end,
                Err(status) => return Some(Err(status)),
            }
        }
    }

    fn go_zero(&mut self, zero: &mut Zero, news: Option<Result<(), Status>>) -> Done {
        if let Some(Err(status)) = news {
            return Some(Err(status));
        }
        if self.is_over(zero.vmo) {
            return self.go_zero_over(*zero);
        }
        while zero.at < zero.end {
            let content = self.content_mut(zero.vmo);
            let page = zero.at / PAGE;
            let whole = zero.end / PAGE;
            let source = content.source.as_mut().expect("a pager VMO");
            if zero.at.is_multiple_of(PAGE) && page < whole {
                if content.size < whole * PAGE {
                    return Some(Err(Status::OUT_OF_RANGE));
                }
                source.zero(page..whole);
                content.pages.free(page * PAGE, whole * PAGE);
                source.modified = super::source::Modified::Yes;
                zero.at = whole * PAGE;
                continue;
            }
            if content.size < (page + 1) * PAGE {
                return Some(Err(Status::OUT_OF_RANGE));
            }
            let end = zero.end.min((page + 1) * PAGE);
            if !source.at(page).is_zero() {
                match source.ask_to_store(page, page + 1, Who::Call) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(status) => return Some(Err(status)),
                }
                source.set(page, State::Dirty);
                content.pages.zero(zero.at, end);
            }
            source.modified = super::source::Modified::Yes;
            zero.at = end;
        }
        Some(Ok(()))
    }

    /// [`Model::go_zero`] for what lies over others: first the pages of which a part becomes zero are to be its own.
    fn go_zero_over(&mut self, zero: Zero) -> Done {
        let Zero { vmo, at: start, end } = zero;
        if start >= end {
            return Some(Ok(()));
        }
        let id = self.vmo_of(vmo).content;
        let (first, last) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        let head = (start < first.min(end)).then_some(start / PAGE);
        let tail = (first <= last && last < end).then_some(last / PAGE);
        for page in head.into_iter().chain(tail) {
            if page >= self.content(vmo).size / PAGE {
                continue;
            }
            if self.state_of(id, page) == Some(State::Absent) {
                match self.ask_below(id, page, page + 1, Who::Call) {
                    Ok(()) => return None,
                    Err((status, _)) => return Some(Err(status)),
                }
            }
            self.fork(id, page);
        }
        if pages_up(end).is_none_or(|end| end > self.content(vmo).size) {
            return Some(Err(Status::OUT_OF_RANGE));
        }
        // What would have to be asked for becomes a page of zeros; nobody is asked.
        let whole = first / PAGE..last.max(first) / PAGE;
        let absent: Vec<_> = whole.clone().filter(|&page| self.state_of(id, page) == Some(State::Absent)).collect();
        self.zero_own(id, whole);
        self.pages_mut(vmo).zero(start, end);
        absent.into_iter().for_each(|page| self.pages_mut(vmo).touch(page * PAGE));
        Some(Ok(()))
    }

    /// Zeroing whole pages never waits.
    pub(super) fn zero_pages(&mut self, mut zero: Zero) {
        let done = self.go_zero(&mut zero, None);
        assert_eq!(done, Some(Ok(())), "whole pages inside");
    }

    fn go_access(&mut self, addr: u64, byte: Option<u8>, news: Option<Result<(), Status>>) -> Option<Outcome> {
        let fault = || Some(Outcome::of(Err(Status::NOT_FOUND)));
        if let Some(Err(_)) = news {
            return fault();
        }
        let perms = if byte.is_some() { ZX_VM_PERM_WRITE } else { ZX_VM_PERM_READ };
        let Ok((vmo, at)) = self.reach(addr, perms) else { return fault() };
        let (id, page) = (self.vmo_of(vmo).content, at / PAGE);
        if self.is_paged(vmo) {
            let who = Who::Access(addr / PAGE * PAGE);
            let ready = match byte {
                Some(_) => self.ask_to_store(id, page, page + 1, who),
                None if self.state_of(id, page) == Some(State::Absent) => {
                    self.ask_below(id, page, page + 1, who).map(|()| false).map_err(|(status, _)| status)
                }
                None => Ok(true),
            };
            match ready {
                Ok(true) => {}
                Ok(false) if self.accesses_wait => return None,
                Ok(false) => return Some(Outcome::of(Err(Status::SHOULD_WAIT))),
                Err(_) => return fault(),
            }
            let needs_room = match byte {
                Some(_) => self.contents[&id].source.as_ref().map(|_| (id, page)),
                None => self.seat(id, page).filter(|(of, _)| self.contents[of].source.is_some()),
            };
            if let Some((root, at)) = needs_room
                && self.starves(root, at, who.into())
            {
                return if self.accesses_wait { None } else { Some(Outcome::of(Err(Status::SHOULD_WAIT))) };
            }
            if byte.is_some() || self.seat(id, page).is_none() {
                self.fork(id, page);
            }
        }
        // A load reaches what is below.
        let (of, page) = self.seat(id, page).expect("it is its own, if it was nobody's");
        let at = page * PAGE + at % PAGE;
        let content = self.contents.get_mut(&of).expect("it is there");
        if let Some(source) = &mut content.source {
            match byte {
                Some(_) => {
                    source.set(page, State::Dirty);
                    source.stored(page);
                }
                None if source.at(page).is_zero() => {
                    source.load(page);
                    return Some(Outcome { numbers: [0, Outcome::default().numbers[1]], ..Outcome::default() });
                }
                None => {}
            }
        }
        match byte {
            Some(byte) => {
                content.pages.write(at, &[byte]);
                Some(Outcome::default())
            }
            None => {
                content.pages.touch(at);
                let loaded = content.pages.get(at).expect("it was just touched")[(at % PAGE) as usize];
                Some(Outcome { numbers: [loaded.into(), Outcome::default().numbers[1]], ..Outcome::default() })
            }
        }
    }

    /// A load of the byte at the address, or a store to it.
    pub(super) fn access(&mut self, addr: u64, byte: Option<u8>) -> Option<Outcome> {
        if self.accesses_wait {
            return self.launch(Job::Access { addr, byte });
        }
        self.go_access(addr, byte, None)
    }

    fn go_vmar(
        &mut self,
        args: OpRange,
        vmar: ObjectId,
        rights: u32,
        rest: &mut Range<u64>,
        inner: &mut Option<(Fetch, u64)>,
        mut news: Option<Result<(), Status>>,
    ) -> Done {
        loop {
            if let Some((fetch, len)) = inner {
                if let Err(status) = self.go_fetch(fetch, news.take())? {
                    return Some(Err(status));
                }
                rest.start += *len;
                *inner = None;
            }
            if rest.is_empty() {
                return Some(Ok(()));
            }
            match self.vmar_op_piece(args, vmar, rights, rest) {
                Ok((Some(fetch), len)) => *inner = Some((fetch, len)),
                Ok((None, len)) => rest.start += len,
                Err(status) => return Some(Err(status)),
            }
        }
    }

    /// The page that a content shows is always needed, if it is the pager's.
    fn need(&mut self, id: ContentId, page: u64) {
        let Some((root, at)) = self.seat(id, page) else { return };
        if let Some(source) = self.contents.get_mut(&root).and_then(|root| root.source.as_mut()) {
            source.need(at);
        }
    }

    /// Asks the pager for the pages that a content shows of it from `page` on, up to `end`, as far as they are absent and in a
    /// row. How many they are is told with a refusal.
    fn ask_below(&mut self, id: ContentId, page: u64, end: u64, who: Who) -> Result<(), (Status, u64)> {
        let run = self.run_of(id, page, end, |state| state == State::Absent);
        let (root, at) = self.seat(id, page).expect("it is the pager's");
        let source = self.contents.get_mut(&root).and_then(|root| root.source.as_mut()).expect("it is the pager's");
        source.ask(Asked::Read, at..at + run, who).map_err(|status| (status, run))
    }

    /// Asks for what a store to `page` of a content needs, up to `end`. Answers whether nothing is needed.
    fn ask_to_store(&mut self, id: ContentId, page: u64, end: u64, who: Who) -> Result<bool, Status> {
        if let Some(source) = &mut self.contents.get_mut(&id).expect("it is shown").source {
            return source.ask_to_store(page, end, who);
        }
        if self.state_of(id, page) == Some(State::Absent) {
            return self.ask_below(id, page, end, who).map(|()| false).map_err(|(status, _)| status);
        }
        Ok(true)
    }

    /// Brings in whole pages around a range of bytes of a pager VMO, which is inside.
    pub(super) fn fetch(&self, vmo: ObjectId, offset: u64, len: u64, want: Want) -> Fetch {
        let start = self.start(vmo) + offset;
        Fetch { vmo, at: start / PAGE, end: (start + len).div_ceil(PAGE), want }
    }

    /// Makes bytes of a pager VMO zero, which are inside.
    pub(super) fn zeroing(&self, vmo: ObjectId, from: u64, to: u64) -> Zero {
        let start = self.start(vmo);
        Zero { vmo, at: start + from, end: start + to }
    }

    /// Gives a pager VMO its new size.
    fn resize_paged(&mut self, vmo: ObjectId, size: u64) {
        let content = self.content_mut(vmo);
        let rounded = pages_up(size).expect("checked");
        let source = content.source.as_mut().expect("a pager VMO");
        let (old, new) = (content.size / PAGE, rounded / PAGE);
        if new < old {
            source.shrink(new);
            content.pages.free(rounded, content.size);
        } else {
            source.grow(old..new);
        }
        source.modified = super::source::Modified::Yes;
        content.size = rounded;
        content.stream_size = size;
        self.shorten(self.vmo_of(vmo).content, rounded, old * PAGE);
    }
}

impl Job {
    /// As whom it may wait for room.
    pub(super) fn waits(&self) -> Waits {
        self.who()[0].into()
    }

    /// As whom it may wait.
    fn who(&self) -> [Who; 2] {
        match self {
            Self::Access { addr, .. } => [Who::Access(addr / PAGE * PAGE); 2],
            _ => [Who::Call, Who::Stream],
        }
    }
}

impl Source {
    /// Asks for what a store to `page` needs, up to `end`. Answers whether nothing is needed.
    fn ask_to_store(&mut self, page: u64, end: u64, who: Who) -> Result<bool, Status> {
        if self.at(page) == State::Absent {
            let run = self.run(page, end, |state| state == State::Absent);
            return self.ask(Asked::Read, page..run, who).map(|()| false);
        }
        if self.storable(page) {
            return Ok(true);
        }
        let run = self.run(page, end, |state| state != State::Absent && state != State::Dirty);
        self.ask(Asked::Dirty, page..run, who).map(|()| false)
    }
}
