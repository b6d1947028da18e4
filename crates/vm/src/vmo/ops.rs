//! Operations on a range of a content's pages, as far as no other content holds them and no mapping has to follow: commit,
//! free, zero, and what is committed. (Where that may be, `vmar::ops` leads.) Ranges count from the content's start.

use zxvm_host::user::UserRef;
use zxvm_host::{Host, PAGE_SIZE, StoreId, StoreRange, VmoRange, addr};
use zxvm_types::Status;

use super::family::{Content, InFlight, Locked};
use super::{CachePolicy, Vmo};
use crate::error::status;
use crate::pager::PageState;
use crate::vmo::extents::SEGMENT;

/// Pages freed in one go under the family's lock, in bytes.
const STEP: u64 = 64 << 20;

/// An operation of `zx_vmo_op_range` that acts on pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmoOp {
    /// Allocate what is absent, and what is another one's too.
    Commit,
    /// Free; reads zero afterwards.
    Decommit,
    /// As writing zeros, freeing what can be freed.
    Zero,
    /// May be reclaimed early. Nothing without a pager.
    DontNeed,
    /// Keep, bring in now. Nothing without a pager.
    AlwaysNeed,
    /// Bring in now. Nothing without a pager.
    Prefetch,
    /// Cache maintenance, of which Linux needs none.
    Cache,
}

/// What became of a step of work that may only be done while nobody ever shared the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direct {
    /// It is done up to this byte.
    DoneTo(u64),
    /// There is nothing more to do.
    Done,
    /// It must be done under the lock.
    Careful,
}

impl Vmo {
    /// The whole pages around `[offset, offset + len)`, if they are in range, in the content.
    pub(crate) fn widen(&self, offset: u64, len: u64) -> Result<VmoRange, Status> {
        let end = offset.checked_add(len).and_then(addr::round_up).ok_or(Status::OUT_OF_RANGE)?;
        let start = addr::round_down(offset);
        self.check_range(&self.lock(), start, end - start)?;
        Ok(self.in_content(VmoRange::from_bounds(start, end)))
    }

    /// Refuses to begin to commit more than the machine has.
    ///
    /// # Errors
    /// `NO_MEMORY`.
    pub(crate) fn check_plausible(&self, range: VmoRange) -> Result<(), Status> {
        if range.len() > self.host().commit_max() { Err(Status::NO_MEMORY) } else { Ok(()) }
    }

    /// Commits the pages at the start of `range`, shortened by whatever shrinks the VMO meanwhile, without the lock.
    pub(crate) fn commit_direct(&self, range: VmoRange) -> Result<Direct, Status> {
        let (part, window, from, frees, _in_flight) = {
            let mut content = self.lock();
            content.check_there()?;
            if content.careful {
                return Ok(Direct::Careful);
            }
            // Not more than is committed next: a range may be nearly as long as 2^64.
            let step = VmoRange::from_bounds(range.start(), range.end().min(range.start().saturating_add(SEGMENT)));
            self.ensure_extents(&mut content, step)?;
            let Some(left) = step.intersect(content.whole()) else { return Ok(Direct::Done) };
            let Some(place) = content.extents.places(left).next() else { return Ok(Direct::Done) };
            (place.range, place.window.clone(), place.at, content.known.frees(), InFlight::new(&self.family))
        };
        let result = self.host().commit(window.store(), window.part(from, part.len()), None);
        window.settle(from + part.len());
        result.map_err(status)?;
        self.note_committed(part, frees);
        Ok(Direct::DoneTo(part.end()))
    }

    /// Frees the pages of `[offset, offset + len)` of the VMO.
    ///
    /// # Errors
    /// In the order of vmo.md §7: `OUT_OF_RANGE`, `NOT_SUPPORTED` (it has relatives, or a pager), `INVALID_ARGS` (not whole pages); then
    /// what the host gives, and pages before it are freed.
    pub(crate) fn decommit(&self, offset: u64, len: u64) -> Result<(), Status> {
        let mut content = self.lock();
        let start = self.check_range(&content, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let mut rest = None;
        loop {
            if content.family().has_relatives() || content.family().source.is_some() {
                return Err(Status::NOT_SUPPORTED);
            }
            let range = VmoRange::new(offset, len).map_err(|_| Status::INVALID_ARGS)?;
            let range = VmoRange::from_bounds(start, start + range.len());
            let left: VmoRange = rest.unwrap_or(range);
            let step = VmoRange::from_bounds(left.start(), left.end().min(left.start().saturating_add(STEP)));
            self.free(&mut content, step)?;
            if step.end() == range.end() {
                return Ok(());
            }
            // Let others in between. A range may be nearly as long as 2^64: go on where there is something.
            drop(content);
            content = self.lock();
            let left = VmoRange::from_bounds(step.end(), range.end());
            let Some(next) = content.extents.places(left).next().map(|place| place.range.start()) else {
                return Ok(());
            };
            rest = Some(VmoRange::from_bounds(next, range.end()));
        }
    }

    /// Frees the pages of `range`, none of which another content holds.
    pub(crate) fn free(&self, content: &mut Content, range: VmoRange) -> Result<(), Status> {
        let Some(range) = range.intersect(content.whole()) else { return Ok(()) };
        content.free_run(self.host(), range)
    }

    /// # Errors
    /// `BAD_STATE`: not cached.
    pub(crate) fn check_cached(content: &Content) -> Result<(), Status> {
        if content.cache_policy == CachePolicy::Cached { Ok(()) } else { Err(Status::BAD_STATE) }
    }

    /// Makes `[start, end)`, which is inside the content, zero: the edges, whose pages no other content holds, and of the
    /// whole pages those in `own`, which it frees.
    ///
    /// # Errors
    /// `NOT_FOUND`: a part of a page that was discarded. Then what the host gives: the edges are then as before, and of the
    /// whole pages those that were freed stay so.
    pub(crate) fn zero_own(&self, content: &mut Content, start: u64, end: u64, own: &[VmoRange]) -> Result<(), Status> {
        let first_whole = addr::round_up(start).expect("inside the VMO");
        let end_whole = addr::round_down(end);
        if start < first_whole || end_whole < end {
            content.check_there()?;
        }
        if first_whole > end_whole {
            // Inside one page.
            return self.zero_edge(content, start, end).map(drop);
        }
        let head = self.zero_edge(content, start, first_whole)?;
        let result = self.zero_edge(content, end_whole, end).and_then(|tail| {
            own.iter().try_for_each(|&range| self.free(content, range)).inspect_err(|_| self.put_back(tail))
        });
        result.inspect_err(|_| self.put_back(head))
    }

    /// Zeroes a part of one page (or nothing), if it is committed. Returns what was there.
    pub(crate) fn zero_edge(&self, content: &mut Content, start: u64, end: u64) -> Result<Option<Edge>, Status> {
        if start == end {
            return Ok(None);
        }
        let page = addr::round_down(start);
        let Some(place) = content.extents.places(VmoRange::from_bounds(page, page + PAGE_SIZE)).next() else {
            return Ok(None);
        };
        let mut committed = false;
        let part = place.window.part(place.at, PAGE_SIZE);
        self.host().committed_runs(place.window.store(), part, &mut |_| committed = true).map_err(status)?;
        if !committed {
            return Ok(None);
        }
        let (store, at) = (place.window.store(), place.window.offset(place.at + (start - page)));
        let mut edge = Edge { store, at, len: (end - start) as usize, bytes: [0; PAGE_SIZE as usize] };
        let zeros = [0; PAGE_SIZE as usize];
        self.host().read_store(store, at, edge.bytes[..edge.len].as_mut().into()).map_err(status)?;
        self.host().write_store(store, at, UserRef::from(&zeros[..edge.len])).map_err(status)?;
        Ok(Some(edge))
    }

    fn put_back(&self, edge: Option<Edge>) {
        if let Some(Edge { store, at, len, bytes }) = edge {
            // The page is there, so there is nothing left to refuse but the copy itself.
            let _ = self.host().write_store(store, at, UserRef::from(&bytes[..len]));
        }
    }

    /// `range` has been committed without the lock; true still if nothing was freed since `frees` was read.
    pub(crate) fn note_committed(&self, range: VmoRange, frees: u64) {
        let mut content = self.lock();
        if content.known.frees() == frees {
            content.known.note(range);
        }
    }

    /// The committed runs of `range`, as far as it is inside, lowest first, with how many contents hold them. Runs may
    /// touch.
    pub(crate) fn committed_in(
        &self,
        content: &mut Locked<'_>,
        range: VmoRange,
        sink: &mut dyn FnMut(VmoRange, u32),
    ) -> Result<(), Status> {
        let Some(range) = range.intersect(content.whole()) else { return Ok(()) };
        if let Some(source) = content.paged() {
            source.states.runs_where(range, PageState::has_page).into_iter().for_each(|run| sink(run, 1));
            return Ok(());
        }
        if content.family().frames.is_empty() {
            return self.committed_own(content, range, &mut |run| sink(run, 1));
        }
        for cell in content.family().cells(self.content, range) {
            match cell.count {
                Some(users) if users > 1 => sink(cell.range, users),
                Some(_) | None => self.committed_own(content, cell.range, &mut |run| sink(run, 1))?,
            }
        }
        Ok(())
    }

    /// The committed runs of `range`, none of which another content holds.
    fn committed_own(
        &self,
        content: &mut Content,
        range: VmoRange,
        sink: &mut dyn FnMut(VmoRange),
    ) -> Result<(), Status> {
        let mut learned = Vec::new();
        let mut at = range.start();
        for known in content.known.parts(range) {
            self.ask_committed(content, at, known.start(), &mut |run| {
                learned.push(run);
                sink(run);
            })?;
            sink(known);
            at = known.end();
        }
        self.ask_committed(content, at, range.end(), &mut |run| {
            learned.push(run);
            sink(run);
        })?;
        for run in learned {
            content.known.note(run);
        }
        Ok(())
    }

    pub(super) fn ask_committed(
        &self,
        content: &Content,
        start: u64,
        end: u64,
        sink: &mut dyn FnMut(VmoRange),
    ) -> Result<(), Status> {
        if start == end {
            return Ok(());
        }
        for place in content.extents.places(VmoRange::from_bounds(start, end)) {
            let part = place.window.part(place.at, place.range.len());
            let mut found = |run: StoreRange| {
                let start = place.range.start() + (run.start() - part.start());
                sink(VmoRange::from_bounds(start, start + run.len()));
            };
            self.host().committed_runs(place.window.store(), part, &mut found).map_err(status)?;
        }
        Ok(())
    }
}

/// The part of a page that was overwritten with zeros, and what it was. Good while the family's lock is held.
pub(crate) struct Edge {
    store: StoreId,
    at: u64,
    len: usize,
    bytes: [u8; PAGE_SIZE as usize],
}

impl Content {
    /// Frees the pages of `range`, which is inside, and none of which another content holds.
    ///
    /// # Errors
    /// What the host gives; parts that lie in places before have been freed.
    pub fn free_run(&mut self, host: &dyn Host, range: VmoRange) -> Result<(), Status> {
        self.known.forget(range);
        self.extents.places(range).try_for_each(|place| {
            let part = place.window.part(place.at, place.range.len());
            host.punch(place.window.store(), part).map_err(status)
        })
    }
}
