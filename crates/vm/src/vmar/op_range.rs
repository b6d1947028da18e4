//! `zx_vmar_op_range`: one operation on all that is mapped in a range.
//!
//! 1. The walk goes from the lowest address up, piece by piece (a piece is what one mapping has of the range). Errors
//!    leave the pieces before them done.
//! 2. No lock is held from one piece to the next. Inside a piece the layout lock is held for reading while page-table
//!    entries are made, at most [`STEP`] bytes at a time, after looking that the mapping is still there: populating by
//!    address must not reach what another thread has mapped there meanwhile.
//! 3. `MAP_RANGE` and the hints allocate nothing. They look for committed pages and make entries for them under the
//!    VMO's lock, under which alone pages are freed.
//!
//! Populating is the kernel's own work on shared memory; it never faults into the engine, so 2 and 3 are no access to
//! client memory under a lock.

use std::sync::Arc;

use zxvm_host::{Access, AddrRange, PAGE_SIZE, Prot, StoreRange, VmoRange, addr};
use zxvm_types::Status;

use super::mapping::Mapping;
use super::project::{StoredRun, stores};
use super::{Child, Layout, RegionId, Vmar};
use crate::error::status;
use crate::vmo::family::FamilyState;
use crate::vmo::{Vmo, VmoOp};

/// Bytes for which entries are made under one hold of the layout lock.
const STEP: u64 = 4 << 20;

/// From so many bytes on, asking which entries are missing is cheaper than making those that are there again.
const LOOK_MIN: u64 = 8 * PAGE_SIZE;

/// An operation on mapped memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmarOp {
    /// Allocate what is absent, and make page-table entries.
    Commit,
    /// Free; reads zero afterwards in every mapping of the VMO.
    Decommit,
    /// Make page-table entries for what is committed.
    MapRange,
    /// As writing zeros, freeing what can be freed.
    Zero,
    /// May be reclaimed early. Nothing without a pager.
    DontNeed,
    /// Keep; brings in what a pager has, then as `MapRange`.
    AlwaysNeed,
    /// Brings in what a pager has, then as `MapRange`.
    Prefetch,
}

impl VmarOp {
    /// What the mapping must have been made with. Its current protection plays no part.
    fn needs(self) -> Prot {
        match self {
            Self::Commit | Self::Decommit | Self::Zero => Prot::WRITE,
            Self::Prefetch => Prot::READ,
            Self::MapRange | Self::DontNeed | Self::AlwaysNeed => Prot::empty(),
        }
    }

    /// Whether mappings in regions below are out of its reach.
    fn own_mappings_only(self) -> bool {
        match self {
            Self::Commit | Self::Decommit | Self::Prefetch => true,
            Self::MapRange | Self::Zero | Self::DontNeed | Self::AlwaysNeed => false,
        }
    }
}

/// What one mapping has of a range: enough to know it again when the lock has been away.
#[derive(Debug)]
pub struct Piece {
    pub region: RegionId,
    pub vmo: Arc<Vmo>,
    pub range: AddrRange,
    pub vmo_range: VmoRange,
}

impl Vmar {
    /// Applies `op` to the mappings in `[addr, addr + len)`. `addr` and `len` are whole pages, `len` is not 0. `children` says
    /// whether mappings in regions below may be touched at all.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`: not inside the region, dead or alive. `BAD_STATE`: dead, or a page of the range is not mapped. By
    /// piece, in the order a to f of vmar.md §9; earlier pieces stay done.
    pub fn op_range(&self, op: VmarOp, addr: u64, len: u64, children: bool) -> Result<(), Status> {
        let range = self.inside(addr, len).ok_or(Status::OUT_OF_RANGE)?;
        let mut at = range.start();
        while at < range.end() {
            let rest = AddrRange::from_bounds(at, range.end());
            // A region that died meanwhile is found here, by the check after a failure, or by the one at the end.
            let piece = self.next_piece(op, rest, children)?;
            self.perform(op, &piece).or_else(|error| self.alive().and(Err(error)))?;
            at = piece.range.end();
        }
        self.alive()
    }

    fn alive(&self) -> Result<(), Status> {
        self.space.layout.read().region(self.id).map(drop)
    }

    /// The piece at the start of `rest`, after its checks a to d.
    fn next_piece(&self, op: VmarOp, rest: AddrRange, children: bool) -> Result<Piece, Status> {
        let layout = self.space.layout.read();
        layout.region(self.id)?;
        let (region, base, mapping) = layout.first_mapping(self.id, rest).ok_or(Status::BAD_STATE)?;
        if base.start() > rest.start() {
            return Err(Status::BAD_STATE);
        }
        if region != self.id && (op.own_mappings_only() || !children) {
            return Err(Status::INVALID_ARGS);
        }
        let range = base.intersect(rest).expect("it touches");
        let vmo_range = mapping.vmo_range(base, range);
        if mapping.ends_with_stream {
            let end = addr::round_up(mapping.vmo.stream_size()).unwrap_or(u64::MAX);
            if vmo_range.end() > end {
                return Err(Status::OUT_OF_RANGE);
            }
        }
        if !mapping.can.contains(op.needs()) {
            return Err(Status::ACCESS_DENIED);
        }
        Ok(Piece { region, vmo: mapping.vmo.clone(), range, vmo_range })
    }

    fn perform(&self, op: VmarOp, piece: &Piece) -> Result<(), Status> {
        let (vmo, range) = (&piece.vmo, piece.vmo_range);
        match op {
            VmarOp::Commit => {
                piece.in_range()?;
                vmo.check_plausible(range)?;
                if vmo.is_pager_backed() {
                    self.space.commit_content(vmo, vmo.in_content(range))?;
                    return self.map_range(piece);
                }
                self.commit(piece)
            }
            VmarOp::Decommit => vmo.decommit(range.start(), range.len()),
            VmarOp::Zero => self.space.vmo_op_range(vmo, VmoOp::Zero, range.start(), range.len()),
            VmarOp::DontNeed => self.space.vmo_op_range(vmo, VmoOp::DontNeed, range.start(), range.len()),
            VmarOp::AlwaysNeed => {
                self.space.vmo_op_range(vmo, VmoOp::AlwaysNeed, range.start(), range.len())?;
                self.map_range(piece)
            }
            VmarOp::Prefetch => {
                self.space.vmo_op_range(vmo, VmoOp::Prefetch, range.start(), range.len())?;
                self.map_range(piece)
            }
            VmarOp::MapRange => self.map_range(piece),
        }
    }

    /// Commits the piece and makes its entries, step by step.
    fn commit(&self, piece: &Piece) -> Result<(), Status> {
        let vmo = &piece.vmo;
        for (step, vmo_step) in piece.steps() {
            let layout = self.space.layout.read();
            let (frees, careful) = {
                let content = vmo.lock();
                content.check_there()?;
                (content.known.frees(), content.careful)
            };
            let Some(runs) = layout.still_there(piece, step) else {
                // Another thread has unmapped it: what is left to do concerns the VMO alone.
                drop(layout);
                self.space.commit_content(vmo, vmo.in_content(vmo_step))?;
                continue;
            };
            if careful {
                // Held while entries are made: so nobody frees what was committed, and nobody makes accesses wait.
                let content = &mut vmo.lock();
                let inside = vmo_step.intersect(VmoRange::from_bounds(0, vmo.size_in(content)));
                let Some(inside) = inside else { continue };
                self.space.commit_locked(&layout, vmo, content, vmo.in_content(inside))?;
                // What has become the content's own may be shown elsewhere than before.
                let Some(runs) = layout.still_shown(piece, step, content.family()) else { continue };
                for (run, ..) in runs.into_iter().filter(|(.., prot)| prot.contains(Prot::READ)) {
                    self.space.host.populate(run, Access::Read).map_err(status)?;
                }
                continue;
            }
            for (run, store, at, prot) in runs {
                let part = StoreRange::from_bounds(at, at + run.len());
                // A page that may not be written cannot be committed by its address.
                let window = prot.contains(Prot::WRITE).then_some(run);
                self.space.host.commit(store, part, window).map_err(status)?;
                if window.is_none() && prot.contains(Prot::READ) {
                    self.space.host.populate(run, Access::Read).map_err(status)?;
                }
                let start = vmo_step.start() + (run.start() - step.start());
                vmo.note_committed(vmo.in_content(VmoRange::from_bounds(start, start + run.len())), frees);
            }
        }
        Ok(())
    }

    /// Makes entries for the committed pages of the piece that may be read and have none.
    pub(super) fn map_range(&self, piece: &Piece) -> Result<(), Status> {
        for (step, vmo_step) in piece.steps() {
            let layout = self.space.layout.read();
            let Some(runs) = layout.still_there(piece, step) else { return Ok(()) };
            let host = &self.space.host;
            for (run, ..) in runs.into_iter().filter(|(.., prot)| prot.contains(Prot::READ)) {
                let mut absent = Vec::new();
                if run.len() < LOOK_MIN {
                    absent.push(run);
                } else {
                    host.absent_runs(run, &mut |gap| absent.push(gap)).map_err(status)?;
                }
                if absent.is_empty() {
                    continue;
                }
                // While this is held nobody frees what is found.
                let content = &mut piece.vmo.lock();
                for gap in absent {
                    let offset = vmo_step.start() + (gap.start() - step.start());
                    let shown = piece.vmo.in_content(VmoRange::from_bounds(offset, offset + gap.len()));
                    let mut committed = Vec::new();
                    piece.vmo.committed_in(content, shown, &mut |found, _| committed.push(found))?;
                    for found in committed {
                        let start = gap.start() + (found.start() - shown.start());
                        let target = AddrRange::from_bounds(start, start + found.len());
                        host.populate(target, Access::Read).map_err(status)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Piece {
    fn in_range(&self) -> Result<(), Status> {
        if self.vmo_range.end() > self.vmo.size() { Err(Status::OUT_OF_RANGE) } else { Ok(()) }
    }

    fn steps(&self) -> impl Iterator<Item = (AddrRange, VmoRange)> + '_ {
        let count = self.range.len().div_ceil(STEP);
        (0..count).map(|n| {
            let (from, to) = (n * STEP, ((n + 1) * STEP).min(self.range.len()));
            let addrs = AddrRange::from_bounds(self.range.start() + from, self.range.start() + to);
            let bytes = VmoRange::from_bounds(self.vmo_range.start() + from, self.vmo_range.start() + to);
            (addrs, bytes)
        })
    }
}

impl Layout {
    /// What `step` of the piece shows, if it is still the piece's mapping that is there.
    fn still_there(&self, piece: &Piece, step: AddrRange) -> Option<Vec<StoredRun>> {
        self.still_shown(piece, step, piece.vmo.lock().family())
    }

    /// [`Layout::still_there`] with the lock of the VMO's family held.
    fn still_shown(&self, piece: &Piece, step: AddrRange, family: &FamilyState) -> Option<Vec<StoredRun>> {
        if self.is_damaged() {
            // What the host shows at an address may not be what the tree says: use none.
            return None;
        }
        self.mapping_of(piece, step).map(|(base, mapping)| stores(mapping, base, step, family))
    }

    /// The piece's mapping, if it is still the one at `step`.
    pub(super) fn mapping_of(&self, piece: &Piece, step: AddrRange) -> Option<(AddrRange, &Mapping)> {
        let region = self.regions.get(piece.region)?;
        let (base, child) = region.children.containing(step.start())?;
        let mapping = match child {
            Child::Mapping(mapping) => mapping,
            Child::Region(_) => return None,
        };
        let same = Arc::ptr_eq(&mapping.vmo, &piece.vmo)
            && base.contains(step)
            && mapping.vmo_range(base, step).start() == piece.vmo_range.start() + (step.start() - piece.range.start());
        same.then_some((base, mapping))
    }
}
