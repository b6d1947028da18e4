//! Snapshots: a content more that holds all frames of another one, while threads store to it.
//!
//! A snapshot is taken in this order:
//! 1. The layout is locked for writing, the family is locked, and nobody copies to the content without that lock.
//! 2. Every mapping of the content is frozen: accesses to absent pages wait. From here on no page is committed.
//! 3. What is committed is found, and guarded in every mapping that may be stored through. A thread that stores to a
//!    page before it is guarded has that store in the snapshot; at the first page that is guarded it waits. So of each
//!    thread's stores the snapshot has those up to one point.
//! 4. The frames are counted once more, and belong to both. The freeze ends; a thread that waits comes to
//!    [`super::cow`] when the locks are free.
//!
//! A refusal by the host ends the freeze. Guards that were set already cost whoever stores there a fault, no more.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use zxvm_host::{AddrRange, HostError, Prot, VmoRange, Watch, addr};
use zxvm_types::Status;

use super::cow::Part;
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::lock::WriteGuard;
use crate::vmo::family::Locked;
use crate::vmo::{ChildKind, ChildRequest, Vmo};

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
            ChildKind::Snapshot => self.create_snapshot(parent, &request),
        }
    }

    fn create_snapshot(&self, parent: &Arc<Vmo>, request: &ChildRequest) -> Result<Arc<Vmo>, Status> {
        parent.check_snapshot(&parent.lock(), request)?;
        let layout = self.still(parent)?;
        let content = &mut parent.lock();
        parent.check_snapshot(content, request)?;
        let size = addr::round_up(request.size).expect("checked");
        let range = VmoRange::from_bounds(request.offset, request.offset + size);
        let Some(range) = range.intersect(content.whole()) else {
            return Ok(parent.add_snapshot(content, request, &[]));
        };
        let frozen = self.freeze(&layout, parent, content, range)?;
        let runs = self.guard_all(parent, content, range, &frozen);
        let child = runs.map(|runs| parent.add_snapshot(content, request, &runs));
        self.thaw(&layout, &frozen);
        child
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
        for part in layout.parts(self.root, content.family(), vmo.content(), range) {
            // Between extents nothing is shown, and nothing can be frozen.
            let mut runs: Vec<VmoRange> = Vec::new();
            content.extents.places(part.range).for_each(|place| join(&mut runs, place.range));
            for range in runs {
                let piece = Part { addrs: part.addrs_of(range), range, ..part };
                let result = self.host.watch(piece.addrs, Watch::Absent);
                frozen.push(piece);
                if let Err(error) = result {
                    self.thaw(layout, &frozen);
                    return Err(status(error));
                }
            }
        }
        Ok(frozen)
    }

    /// Ends a freeze.
    pub(super) fn thaw(&self, layout: &Layout, frozen: &[Part]) {
        for part in frozen {
            // It was watched for more, so it can be watched for less. Were that refused after all, it is shown anew.
            if self.host.watch(part.addrs, Watch::Guarded).is_err() {
                layout.note_damaged(part.addrs);
            }
        }
    }

    /// Ends a freeze for which nothing was shared: what others do not hold is not guarded any more.
    pub(super) fn thaw_all(&self, layout: &Layout, vmo: &Vmo, content: &Locked<'_>, frozen: &[Part]) {
        for part in frozen {
            for cell in content.family().cells(vmo.content(), part.range) {
                if !cell.is_shared() {
                    // What was moved meanwhile is not watched, nor guarded.
                    let _ = self.host.unguard(part.addrs_of(cell.range));
                }
            }
        }
        self.thaw(layout, frozen);
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
        for part in frozen {
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
            if content.known.parts(part.range).next() == Some(part.range) {
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

    /// Whether stores to the page at `addr` come to the fault service.
    pub(super) fn is_guarded(&self, addr: u64) -> bool {
        let page = addr::round_down(addr);
        let page = AddrRange::from_bounds(page, page + zxvm_host::PAGE_SIZE);
        if !self.range.contains(page) {
            return false;
        }
        let layout = self.layout.read();
        let writable = layout.first_mapping(self.root, page).is_some_and(|(_, base, mapping)| {
            mapping.prots.run_at(page.start() - base.start(), base.len()).0.contains(Prot::WRITE)
        });
        let mut open = false;
        let looked: Result<(), HostError> = self.host.unguarded_runs(page, &mut |_| open = true);
        writable && looked.is_ok() && !open
    }
}

/// Adds a run to a list of runs, as one with the last if it continues that.
fn join(runs: &mut Vec<VmoRange>, run: VmoRange) {
    match runs.last_mut() {
        Some(last) if last.end() == run.start() => *last = VmoRange::from_bounds(last.start(), run.end()),
        Some(_) | None => runs.push(run),
    }
}
