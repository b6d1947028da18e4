//! Moving pages from one VMO to another: afterwards the target has what the source had, and the source reads as zero.
//!
//! 1. It is done in steps; each is whole for everybody: while it lasts, stores to the source wait.
//! 2. Holes move as holes: a page that is not committed in the source is not in the target either.
//! 3. Where the ranges overlap, the steps go away from the overlap, and what is target stays.
//!
//! Pages are copied, not relinked: a page that moved to another offset would not be at the same place for the family
//! any more, and a mapping of either would have to follow.

use std::collections::BTreeSet;
use std::sync::Arc;

use zxvm_host::user::{UserRef, UserSlice};
use zxvm_host::{PAGE_SIZE, VmoRange};
use zxvm_types::Status;

use super::cow::Keep;
use super::fetch::Want;
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::vmo::Vmo;
use crate::vmo::family::Content;
use crate::vmo::layers::Layer;

/// Bytes moved under one hold of the locks, by way of the heap.
const STEP: u64 = 256 << 10;

impl AddressSpace {
    /// Moves `[src_offset, src_offset + len)` of `src` to `offset` of `dst`. All three are whole pages.
    ///
    /// # Errors
    /// For `src`, then for `dst`: `OUT_OF_RANGE`: not inside. `NOT_SUPPORTED`: a pager provides it. `BAD_STATE`: not cached; `NOT_FOUND`: discarded. Then what the host
    /// gives: what was moved stays so, and nothing is lost.
    ///
    /// Source: vmo.md §11.
    pub fn transfer(
        &self,
        dst: &Arc<Vmo>,
        offset: u64,
        len: u64,
        src: &Arc<Vmo>,
        src_offset: u64,
    ) -> Result<(), Status> {
        let check = |vmo: &Vmo, offset| -> Result<u64, Status> {
            let content = vmo.lock();
            let at = vmo.check_range(&content, offset, len)?;
            if content.is_paged() {
                return Err(Status::NOT_SUPPORTED);
            }
            Vmo::check_cached(&content)?;
            content.check_there()?;
            Ok(at)
        };
        let (from, to) = (check(src, src_offset)?, check(dst, offset)?);
        let one = src.same_content(dst);
        if len == 0 || one && from == to {
            return Ok(());
        }
        let mut bytes = vec![0; STEP.min(len) as usize];
        // Only where something is, on either side: a range may be nearly as long as 2^64.
        let mut steps = BTreeSet::new();
        for (vmo, at) in [(src, from), (dst, to)] {
            let mut add = |run: VmoRange| steps.extend((run.start() - at) / STEP..=(run.end() - 1 - at) / STEP);
            let (content, range) = (&mut vmo.lock(), VmoRange::from_bounds(at, at + len));
            vmo.committed_in(content, range, &mut |run, _| add(run))?;
            content.family().layers(content.number(), range).filter(|layer| layer.is_of_another(vmo)).for_each(
                |layer| {
                    add(layer.range);
                },
            );
        }
        let upwards = !one || to < from;
        let mut order: Vec<u64> = steps.into_iter().collect();
        if !upwards {
            order.reverse();
        }
        for step in order.into_iter().map(|step| step * STEP) {
            let step_len = STEP.min(len - step);
            let target = VmoRange::from_bounds(to + step, to + step + step_len);
            let source = VmoRange::from_bounds(from + step, from + step + step_len);
            self.have_own(src, source)?;
            self.off_own_stack(|| self.move_step(dst, target, src, source, &mut bytes))?;
        }
        Ok(())
    }

    /// Gives a content that lies over others pages of its own for what it shows of them in `range`. Blocks until the pager has
    /// provided what it shows of a root.
    fn have_own(&self, vmo: &Vmo, range: VmoRange) -> Result<(), Status> {
        loop {
            let next = {
                let content = vmo.lock();
                let mut layers = content.family().layers(content.number(), range);
                layers.find(|layer| layer.is_of_another(vmo)).map(|layer| layer.range)
            };
            match next {
                Some(others) => self.fetch(vmo, others, Want::Stored)?,
                None => return Ok(()),
            }
        }
    }

    fn move_step(
        &self,
        dst: &Vmo,
        target: VmoRange,
        src: &Vmo,
        source: VmoRange,
        bytes: &mut [u8],
    ) -> Result<(), Status> {
        let one = src.same_content(dst);
        let layout = self.still(src)?;
        if Arc::ptr_eq(src.family(), dst.family()) {
            // What moves for the target must not be of the source once that is frozen: where it moves to, it is not.
            let content = &mut dst.lock();
            content.check_inside(target)?;
            self.make_own(&layout, dst.family(), content.family_mut(), dst.content(), target)?;
        }
        let (frozen, runs) = {
            let content = &mut src.lock();
            content.check_inside(source)?;
            let frozen = self.freeze(&layout, src, content, source)?;
            let runs = self.guard_all(src, content, source, &frozen)?;
            self.read_runs(content, source, &runs, bytes)?;
            (frozen, runs)
        };
        // Nobody can store to the source: by calls not while the layout is locked, by mappings not while it is guarded.
        let move_on = || {
            self.write_pieces(&layout, dst, target, pieces(target, source, &runs, one), bytes)?;
            let content = &mut src.lock();
            for (start, end) in outside(source, one.then_some(target)) {
                if start < end {
                    self.zero_locked(&layout, src, content, start, end)?;
                }
            }
            Ok(())
        };
        let moved = move_on();
        match moved {
            // All of it is absent now, or the target.
            Ok(()) => self.thaw(&frozen, &[]),
            Err(_) => self.thaw_all(src, &src.lock(), &frozen, &runs),
        }
        moved
    }

    /// Reads the committed runs of `source` to their places in `bytes`.
    fn read_runs(
        &self,
        content: &Content,
        source: VmoRange,
        runs: &[VmoRange],
        bytes: &mut [u8],
    ) -> Result<(), Status> {
        for place in runs.iter().flat_map(|&run| content.extents.places(run)) {
            let into = (place.range.start() - source.start()) as usize;
            let to = UserSlice::from(&mut bytes[into..into + place.range.len() as usize]);
            self.host.read_store(place.window.store(), place.window.offset(place.at), to).map_err(status)?;
        }
        Ok(())
    }

    /// Writes what `read_runs` has read to the pieces of `target`, and makes the holes zero.
    fn write_pieces(
        &self,
        layout: &Layout,
        dst: &Vmo,
        target: VmoRange,
        pieces: Vec<Piece>,
        bytes: &[u8],
    ) -> Result<(), Status> {
        let content = &mut dst.lock();
        content.check_inside(target)?;
        content.check_there()?;
        for piece in pieces {
            // What it shows of others is not to be seen there any more.
            let (Piece::Data(range) | Piece::Hole(range)) = piece;
            self.fork(layout, dst, content, range, Keep::Nothing)?;
            let range = match piece {
                Piece::Data(range) => range,
                Piece::Hole(range) => {
                    self.zero_locked(layout, dst, content, range.start(), range.end())?;
                    continue;
                }
            };
            self.make_own(layout, dst.family(), content.family_mut(), dst.content(), range)?;
            dst.ensure_extents(content, range)?;
            for place in content.extents.places(range) {
                let into = (place.range.start() - target.start()) as usize;
                let from = UserRef::from(&bytes[into..into + place.range.len() as usize]);
                self.host.write_store(place.window.store(), place.window.offset(place.at), from).map_err(status)?;
            }
        }
        Ok(())
    }
}

impl Layer {
    /// Whether these pages of a VMO's content are those of another one below it.
    fn is_of_another(&self, vmo: &Vmo) -> bool {
        self.of.is_some_and(|of| of != vmo.content())
    }
}

/// A part of the target, and what the source has for it.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Data(VmoRange),
    Hole(VmoRange),
}

/// The target in pieces, in the order in which they are to be overwritten. In a content that is its own target that is away
/// from the overlap, data page by page: so nothing is overwritten that has not been moved.
fn pieces(target: VmoRange, source: VmoRange, runs: &[VmoRange], one: bool) -> Vec<Piece> {
    let overlap = one && target.intersect(source).is_some();
    let mut pieces = Vec::new();
    let mut at = target.start();
    for run in runs {
        let start = target.start() + (run.start() - source.start());
        if at < start {
            pieces.push(Piece::Hole(VmoRange::from_bounds(at, start)));
        }
        at = start + run.len();
        let len = if overlap { PAGE_SIZE } else { run.len() };
        pieces.extend(
            (start..at).step_by(len as usize).map(|start| Piece::Data(VmoRange::from_bounds(start, start + len))),
        );
    }
    if at < target.end() {
        pieces.push(Piece::Hole(VmoRange::from_bounds(at, target.end())));
    }
    if overlap && target.start() > source.start() {
        pieces.reverse();
    }
    pieces
}

/// The two parts of `range` that are not in `other`, from where to where; they may be empty.
fn outside(range: VmoRange, other: Option<VmoRange>) -> [(u64, u64); 2] {
    match other.and_then(|other| range.intersect(other)) {
        Some(both) => [(range.start(), both.start()), (both.end(), range.end())],
        None => [(range.start(), range.end()), (range.end(), range.end())],
    }
}
