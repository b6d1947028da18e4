//! Snapshots: a content more that holds all frames of another one, while threads store to it.
//!
//! A snapshot is taken in this order:
//! 1. The layout is locked for writing, the family is locked, and nobody copies to the content without that lock.
//! 2. Every mapping of the content is frozen: accesses to absent pages wait. From here on no page is committed.
//! 3. What is committed is found, and guarded in every mapping that may be stored through. A thread that stores to a
//!    page before it is guarded has that store in the snapshot; at the first page that is guarded it waits. So of each
//!    thread's stores the snapshot has those up to one point.
//! 4. The frames are counted once more, and belong to both. The freeze ends wherever much is absent; where little is,
//!    and where it is not worth it, the first access to an absent page comes to [`super::cow`], like a store to a guarded
//!    one, when the locks are free.
//!
//! A refusal by the host leaves guards that were set already, and what is frozen: they cost whoever comes there first a
//! fault, no more.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use zxvm_host::{AddrRange, HostResult, Room, VmoRange, Watch, addr};
use zxvm_types::Status;

use super::cow::{ABSENT_MIN, Part};
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::lock::WriteGuard;
use crate::vmo::family::{Content, Locked};
use crate::vmo::{ChildKind, ChildRequest, Vmo};

/// Gaps that a snapshot lets go on by themselves at once: each costs a few system calls.
const THAWS_MAX: u32 = 1024;

/// A mapping in which to look for entries: on older kernels that means to read as many.
const LEARN_MAX: u64 = 4 << 30;

impl AddressSpace {
    /// Makes a child of a VMO. Blocks while calls copy to the VMO from buffers that are slow.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: the parent is discardable. Then check 5 of vmo.md §3.1; `NOT_SUPPORTED`: a snapshot of what is
    /// mapped, where Linux has no userfaultfd for us; `NO_MEMORY`, `NO_RESOURCES`.
    pub fn create_child(&self, parent: &Arc<Vmo>, request: ChildRequest) -> Result<Arc<Vmo>, Status> {
        if parent.kind().discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        match request.kind {
            ChildKind::Slice | ChildKind::Reference => parent.create_view(request),
            ChildKind::Snapshot | ChildKind::AtLeastOnWrite | ChildKind::Modified => {
                self.create_snapshot(parent, &request)
            }
        }
    }

    fn create_snapshot(&self, parent: &Arc<Vmo>, request: &ChildRequest) -> Result<Arc<Vmo>, Status> {
        {
            let content = &mut parent.lock();
            parent.check_snapshot(content, request)?;
            if content.is_in_pager_tree() && !parent.is_pair_asked(content.family(), request) {
                return Ok(parent.add_over(content, request));
            }
        }
        self.off_own_stack(|| self.take_snapshot(parent, request))
    }

    /// Does work that guards pages, on a stack that is not shown by this address space: a thread whose own stack is guarded
    /// under the locks would wait for whoever waits for these locks.
    pub(super) fn off_own_stack<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let mark = 0_u8;
        let here = (&raw const mark).addr() as u64;
        if here < self.range.start() || here >= self.range.end() {
            return work();
        }
        let started = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                // Whoever starts a thread has all signals blocked until it is started: no time to fault by a signal.
                while !started.load(Ordering::Acquire) {
                    std::thread::park();
                }
                work()
            });
            started.store(true, Ordering::Release);
            worker.thread().unpark();
            match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn take_snapshot(&self, parent: &Arc<Vmo>, request: &ChildRequest) -> Result<Arc<Vmo>, Status> {
        let layout = self.still(parent)?;
        let content = &mut parent.lock();
        parent.check_snapshot(content, request)?;
        let size = addr::round_up(request.size).expect("checked");
        let range = VmoRange::from_bounds(request.offset, request.offset + size);
        let Some(range) = range.intersect(content.whole()) else {
            return parent.add_snapshot(content, request, &[]);
        };
        let frozen = self.freeze(&layout, parent, content, range)?;
        let runs = self.guard_all(parent, content, range, &frozen)?;
        let child = parent.add_snapshot(content, request, &runs)?;
        self.thaw(&frozen, &runs);
        Ok(child)
    }

    /// The layout lock, for a change, at a moment when nobody copies to the VMO's content, or commits its pages, without the
    /// family's lock; and from then on nobody does.
    pub(super) fn still(&self, vmo: &Vmo) -> Result<WriteGuard<'_, Layout>, Status> {
        loop {
            let layout = self.change()?;
            vmo.lock().careful = true;
            if vmo.family().in_flight.load(Ordering::Acquire) == 0 {
                return Ok(layout);
            }
            // Their buffers may be memory that it takes this lock to bring.
            drop(layout);
            std::thread::yield_now();
        }
    }

    /// Makes accesses to absent pages of `range` of the VMO's content wait, in every mapping. Returns the parts of mappings
    /// where they do.
    pub(super) fn freeze(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &Locked<'_>,
        range: VmoRange,
    ) -> Result<Vec<Part>, Status> {
        let mut frozen = Vec::new();
        let parts = layout.parts(self.root, content.family(), vmo.content(), content.whole());
        // Loads wait too: a page that one brings could be stored to from then on.
        let any = parts.iter().any(|part| part.storable);
        for part in parts.into_iter().filter(|_| any) {
            if part.storable {
                // All of it is watched from now on, as what is shown later will be.
                self.watch_places(content, &part).map_err(status)?;
            }
            let Some(inside) = part.range.intersect(range) else { continue };
            let part = Part { addrs: part.addrs_of(inside), range: inside, ..part };
            for range in shown_runs(content, &part) {
                let piece = Part { addrs: part.addrs_of(range), range, ..part };
                self.host.watch(piece.addrs, Watch::Absent, Room::Ordinary).map_err(status)?;
                frozen.push(piece);
            }
        }
        Ok(frozen)
    }

    fn watch_places(&self, content: &Locked<'_>, part: &Part) -> HostResult {
        shown_runs(content, part)
            .into_iter()
            .try_for_each(|run| self.watch(part.addrs_of(run), Watch::Guarded, Room::Ordinary))
    }

    /// Ends a freeze wherever that is worth it; `runs` are committed.
    pub(super) fn thaw(&self, frozen: &[Part], runs: &[VmoRange]) {
        let mut left = THAWS_MAX;
        for part in frozen {
            let mut at = part.range.start();
            let first = runs.partition_point(|run| run.end() <= at);
            let inside =
                runs[first..].iter().map_while(|run| run.intersect(part.range)).map(|run| (run.start(), run.end()));
            for (start, end) in inside.chain([(part.range.end(), part.range.end())]) {
                if start.saturating_sub(at) >= ABSENT_MIN && left > 0 {
                    left -= 1;
                    // If it is refused, who comes there first asks for it again.
                    let _ = self.host.unfreeze(part.addrs_of(VmoRange::from_bounds(at, start)));
                }
                at = end;
            }
        }
    }

    /// Ends a freeze for which nothing was shared: what others do not hold is not guarded any more.
    pub(super) fn thaw_all(&self, vmo: &Vmo, content: &Locked<'_>, frozen: &[Part], runs: &[VmoRange]) {
        for part in frozen {
            for cell in content.family().cells(vmo.content(), part.range) {
                if !cell.is_shared() {
                    // What was moved meanwhile is not watched, nor guarded.
                    let _ = self.host.unguard(part.addrs_of(cell.range));
                }
            }
        }
        self.thaw(frozen, runs);
    }

    /// Finds what is committed in `range` and guards it wherever it is not already.
    pub(super) fn guard_all(
        &self,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
        frozen: &[Part],
    ) -> Result<Vec<VmoRange>, Status> {
        let mut runs: Vec<VmoRange> = Vec::new();
        let mut own: Vec<VmoRange> = Vec::new();
        self.learn_committed(content, frozen);
        vmo.committed_in(content, range, &mut |run, users| {
            join(&mut runs, run);
            if users == 1 {
                join(&mut own, run);
            }
        })?;
        for part in frozen.iter().filter(|part| part.storable) {
            let first = own.partition_point(|run| run.end() <= part.range.start());
            for run in own[first..].iter().map_while(|run| run.intersect(part.range)) {
                self.host.guard(part.addrs_of(run)).map_err(status)?;
            }
        }
        Ok(runs)
    }

    /// Pages that have a page-table entry are committed: to look for those costs the host a fraction of what it costs to
    /// look for pages. Nothing is lost if it does not answer.
    fn learn_committed(&self, content: &mut Locked<'_>, frozen: &[Part]) {
        for part in frozen {
            if part.range.len() > LEARN_MAX || content.known.parts(part.range).next() == Some(part.range) {
                continue;
            }
            let (mut at, mut entered) = (part.addrs.start(), Vec::new());
            let looked = self.host.absent_runs(part.addrs, &mut |gap: AddrRange| {
                entered.push((at, gap.start()));
                at = gap.end();
            });
            if looked.is_err() {
                continue;
            }
            entered.push((at, part.addrs.end()));
            for (start, end) in entered.into_iter().filter(|(start, end)| start < end) {
                let from = part.range.start() + (start - part.addrs.start());
                content.known.note(VmoRange::from_bounds(from, from + (end - start)));
            }
        }
    }
}

/// What of a part is shown at all: between extents nothing is, and nothing can be watched.
fn shown_runs(content: &Content, part: &Part) -> Vec<VmoRange> {
    let mut runs = Vec::new();
    content.extents.places(part.range).for_each(|place| join(&mut runs, place.range));
    runs
}

/// Adds a run to a list of runs, as one with the last if it continues that.
pub(super) fn join(runs: &mut Vec<VmoRange>, run: VmoRange) {
    match runs.last_mut() {
        Some(last) if last.end() == run.start() => *last = VmoRange::from_bounds(last.start(), run.end()),
        Some(_) | None => runs.push(run),
    }
}
