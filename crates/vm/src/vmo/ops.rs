//! Operations on a range of a VMO's pages: commit, decommit, zero, and the hints that mean nothing without a pager.

use zxvm_host::user::UserRef;
use zxvm_host::{PAGE_SIZE, StoreId, StoreRange, VmoRange, addr};
use zxvm_types::Status;

use super::extents::SEGMENT;
use super::{CachePolicy, State, Vmo};
use crate::error::status;

/// Pages freed in one go under the VMO's lock, in bytes.
const STEP: u64 = 64 << 20;

/// An operation of `zx_vmo_op_range` that acts on pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmoOp {
    /// Allocate what is absent.
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

impl Vmo {
    /// Applies `op` to `[offset, offset + len)`, in bytes.
    ///
    /// # Errors
    /// By op, in the order of vmo.md §7: `INVALID_ARGS` for an empty cache range or an unaligned decommit,
    /// `OUT_OF_RANGE`, `BAD_STATE` for zeroing what is not cached, `NO_MEMORY`, `NO_RESOURCES`.
    pub fn op_range(&self, op: VmoOp, offset: u64, len: u64) -> Result<(), Status> {
        match op {
            VmoOp::Commit => {
                let range = self.widen(offset, len)?;
                // Nothing in the middle of a page is still nothing.
                if len == 0 { Ok(()) } else { self.commit(range) }
            }
            VmoOp::Decommit => {
                if len == 0 || VmoRange::new(offset, len).is_err() {
                    self.lock().check_range(offset, len)?;
                }
                if len == 0 {
                    return Ok(());
                }
                let range = VmoRange::new(offset, len).map_err(|_| Status::INVALID_ARGS)?;
                self.decommit(range)
            }
            VmoOp::Zero => self.zero(offset, len),
            VmoOp::Cache if len == 0 => Err(Status::INVALID_ARGS),
            VmoOp::Cache => self.lock().check_range(offset, len),
            VmoOp::Prefetch => self.widen(offset, len).map(drop),
            VmoOp::DontNeed | VmoOp::AlwaysNeed => Ok(()),
        }
    }

    /// The whole pages around `[offset, offset + len)`, if they are in range.
    fn widen(&self, offset: u64, len: u64) -> Result<VmoRange, Status> {
        let end = offset.checked_add(len).and_then(addr::round_up).ok_or(Status::OUT_OF_RANGE)?;
        let start = addr::round_down(offset);
        self.lock().check_range(start, end - start)?;
        Ok(VmoRange::from_bounds(start, end))
    }

    /// Refuses to begin to commit more than the machine has.
    ///
    /// # Errors
    /// `NO_MEMORY`.
    pub(crate) fn check_plausible(&self, range: VmoRange) -> Result<(), Status> {
        if range.len() > self.host().commit_max() { Err(Status::NO_MEMORY) } else { Ok(()) }
    }

    /// Commits the pages of `range`, shortened by whatever shrinks the VMO meanwhile.
    pub(crate) fn commit(&self, range: VmoRange) -> Result<(), Status> {
        self.check_plausible(range)?;
        let mut at = range.start();
        while at < range.end() {
            let next = {
                let mut state = self.lock();
                // Not more than is committed next: a range may be nearly as long as 2^64.
                let step = VmoRange::from_bounds(at, range.end().min(at.saturating_add(SEGMENT)));
                self.ensure_extents(&mut state, step)?;
                let left = step.intersect(state.whole());
                let place = left.and_then(|left| state.extents.places(left).next());
                place.map(|place| (place.range, place.window.clone(), place.at, state.known.frees()))
            };
            let Some((part, window, from, frees)) = next else { return Ok(()) };
            let result = self.host().commit(window.store(), window.part(from, part.len()), None);
            window.settle(from + part.len());
            result.map_err(status)?;
            self.note_committed(part, frees);
            at = part.end();
        }
        Ok(())
    }

    /// Frees the pages of `range`.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`; then what the host gives, and pages before it are freed.
    pub(crate) fn decommit(&self, range: VmoRange) -> Result<(), Status> {
        let mut state = self.lock();
        state.check_range(range.start(), range.len())?;
        let mut rest = range;
        while !rest.is_empty() {
            let step = VmoRange::from_bounds(rest.start(), rest.end().min(rest.start().saturating_add(STEP)));
            self.free(&mut state, step)?;
            if step.end() == range.end() {
                break;
            }
            // Let others in between. A range may be nearly as long as 2^64: go on where there is something.
            drop(state);
            state = self.lock();
            let left = VmoRange::from_bounds(step.end(), range.end());
            let next = state.extents.places(left).next().map_or(range.end(), |place| place.range.start());
            rest = VmoRange::from_bounds(next, range.end());
        }
        Ok(())
    }

    fn free(&self, state: &mut State, range: VmoRange) -> Result<(), Status> {
        let Some(range) = range.intersect(state.whole()) else { return Ok(()) };
        state.known.forget(range);
        for place in state.extents.places(range) {
            let part = place.window.part(place.at, place.range.len());
            self.host().punch(place.window.store(), part).map_err(status)?;
        }
        Ok(())
    }

    /// Makes `[offset, offset + len)` zero, freeing whole pages.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`, `BAD_STATE` (not cached), then what the host gives: the edges are then as before, and of the
    /// whole pages those that were freed stay so.
    pub(crate) fn zero(&self, offset: u64, len: u64) -> Result<(), Status> {
        let state = &mut *self.lock();
        if state.cache_policy != CachePolicy::Cached {
            return Err(Status::BAD_STATE);
        }
        state.check_range(offset, len)?;
        self.zero_locked(state, offset, offset + len)
    }

    /// Makes `[start, end)`, which is inside, zero. See [`Vmo::zero`].
    pub(super) fn zero_locked(&self, state: &mut State, start: u64, end: u64) -> Result<(), Status> {
        let first_whole = addr::round_up(start).expect("inside the VMO");
        let end_whole = addr::round_down(end);
        if first_whole > end_whole {
            // Inside one page.
            return self.zero_edge(state, start, end).map(drop);
        }
        let head = self.zero_edge(state, start, first_whole)?;
        let result = self.zero_edge(state, end_whole, end).and_then(|tail| {
            let whole = VmoRange::from_bounds(first_whole, end_whole);
            self.free(state, whole).inspect_err(|_| self.put_back(tail))
        });
        result.inspect_err(|_| self.put_back(head))
    }

    /// Zeroes a part of one page (or nothing), if it is committed. Returns what was there.
    pub(super) fn zero_edge(&self, state: &mut State, start: u64, end: u64) -> Result<Option<Edge>, Status> {
        if start == end {
            return Ok(None);
        }
        let page = addr::round_down(start);
        let Some(place) = state.extents.places(VmoRange::from_bounds(page, page + PAGE_SIZE)).next() else {
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

    /// Frees counted so far, for [`Vmo::note_committed`].
    pub(crate) fn frees(&self) -> u64 {
        self.lock().known.frees()
    }

    /// `range` has been committed without the lock; true still if nothing was freed since `frees` was read.
    pub(crate) fn note_committed(&self, range: VmoRange, frees: u64) {
        let mut state = self.lock();
        if state.known.frees() == frees {
            state.known.note(range);
        }
    }

    /// The committed runs of `range`, as far as it is inside, lowest first. Runs may touch.
    pub(crate) fn committed_in(
        &self,
        state: &mut State,
        range: VmoRange,
        sink: &mut dyn FnMut(VmoRange),
    ) -> Result<(), Status> {
        let Some(range) = range.intersect(state.whole()) else { return Ok(()) };
        let mut learned = Vec::new();
        let mut at = range.start();
        for known in state.known.parts(range) {
            self.ask_committed(state, at, known.start(), &mut |run| {
                learned.push(run);
                sink(run);
            })?;
            sink(known);
            at = known.end();
        }
        self.ask_committed(state, at, range.end(), &mut |run| {
            learned.push(run);
            sink(run);
        })?;
        for run in learned {
            state.known.note(run);
        }
        Ok(())
    }

    pub(super) fn ask_committed(
        &self,
        state: &State,
        start: u64,
        end: u64,
        sink: &mut dyn FnMut(VmoRange),
    ) -> Result<(), Status> {
        if start == end {
            return Ok(());
        }
        for place in state.extents.places(VmoRange::from_bounds(start, end)) {
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

/// The part of a page that was overwritten with zeros, and what it was. Good while the VMO's lock is held.
pub(super) struct Edge {
    store: StoreId,
    at: u64,
    len: usize,
    bytes: [u8; PAGE_SIZE as usize],
}
