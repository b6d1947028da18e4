//! Mapping a VMO.

use std::sync::Arc;

use zxvm_host::{AddrRange, HostError, Prot, VmoRange};
use zxvm_types::Status;

use super::mapping::{Mapping, ProtRuns};
use super::op_range::Piece;
use super::project::{Steps, Watched, limit, project, watch};
use super::{AddressSpace, Child, Layout, Place, RegionId, Vmar};
use crate::error::status;
use crate::vmo::Vmo;

/// What [`Vmar::map`] is asked for.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// What to show.
    pub vmo: Arc<Vmo>,
    /// From which byte of it on; whole pages.
    pub offset: u64,
    /// How many bytes; whole pages. `offset + len` does not overflow.
    pub len: u64,
    /// Where.
    pub place: Place,
    /// What the mapping may ever allow.
    pub can: Prot,
    /// What it allows at first; within `can`.
    pub prot: Prot,
    /// Whether pages past the stream size fault.
    pub ends_with_stream: bool,
    /// Whether to make page-table entries for what is committed.
    pub populate: bool,
}

/// A mapping just made, that nobody has been told of yet.
#[derive(Debug)]
pub struct NewMapping<'a> {
    vmar: &'a Vmar,
    piece: Piece,
}

impl Vmar {
    /// Maps a VMO into this region.
    ///
    /// # Errors
    /// Checks 6 to 16 of vmar.md §3 and §4, in that order; then `NO_MEMORY`, `NO_RESOURCES` from the host, and all is as
    /// before.
    pub fn map(&self, request: MapRequest) -> Result<NewMapping<'_>, Status> {
        debug_assert!(request.can.contains(request.prot));
        let populate = request.populate;
        let (piece, gone) = {
            let mut layout = self.space.change()?;
            let range = layout.place(self.id, &request.place, request.len, request.can)?;
            let mapping = Mapping {
                vmo: request.vmo,
                offset: request.offset,
                can: request.can,
                ends_with_stream: request.ends_with_stream,
                prots: ProtRuns::new(request.prot),
            };
            let vmo_range = mapping.vmo_range(range, range);
            self.space.show_first(&layout, &mapping, range)?;
            let gone = if request.place.overwrite { layout.cut(self.id, range) } else { Vec::new() };
            let piece = Piece { region: self.id, vmo: mapping.vmo.clone(), range, vmo_range };
            layout.insert(self.id, range, mapping);
            (piece, gone)
        };
        drop(gone);
        let new = NewMapping { vmar: self, piece };
        if populate && let Err(error) = self.map_range(&new.piece) {
            new.take_away();
            return Err(error);
        }
        Ok(new)
    }
}

impl AddressSpace {
    /// Shows a mapping that is not in the tree yet.
    fn show_first(&self, layout: &Layout, mapping: &Mapping, range: AddrRange) -> Result<(), Status> {
        let vmo = &mapping.vmo;
        let plan = |own: bool| -> Result<Steps, Status> {
            let content = &mut vmo.lock();
            let limit = limit(mapping, content.family());
            let inside = mapping.vmo_range(range, range).intersect(VmoRange::from_bounds(0, limit));
            if let Some(inside) = inside.map(|inside| vmo.in_content(inside)) {
                if own {
                    self.make_own(layout, vmo.family(), content.family_mut(), vmo.content(), inside)?;
                }
                vmo.ensure_extents(content, inside)?;
            }
            let family = content.family();
            let mut steps = Steps::default();
            let views = project(mapping, range, range, family, limit);
            let mut watched = Watched::default();
            watch(mapping, range, range, family, limit, &mut watched);
            steps.show_watched(views, &watched);
            Ok(steps)
        };
        match self.apply(layout, &plan(false)?) {
            // Without guards a mapping that may be written to shows only what is its content's alone.
            Err(HostError::NotSupported) => self.apply(layout, &plan(true)?).map_err(status),
            result => result.map_err(status),
        }
    }
}

impl NewMapping<'_> {
    /// Where it is.
    pub fn range(&self) -> AddrRange {
        self.piece.range
    }

    /// Undoes it, as far as no other thread has changed it meanwhile. Cannot fail: what the host does not take away now it
    /// does before the next change.
    pub fn take_away(self) {
        let Self { vmar, piece } = self;
        let gone = {
            let mut layout = vmar.space.layout.write();
            if layout.mapping_of(&piece, piece.range).is_none() {
                return;
            }
            let gone = layout.cut(vmar.id, piece.range);
            let _ = vmar.space.show_again(&layout, piece.range);
            gone
        };
        drop((gone, piece));
    }
}

impl Layout {
    /// Adds a mapping to the tree, as one with its neighbours where they continue each other.
    fn insert(&mut self, id: RegionId, range: AddrRange, mut mapping: Mapping) {
        let region = self.region_mut(id);
        let mut at = range;
        let (before, after) = region.children.touched_by(range);
        let mapping_at = |found: AddrRange| match region.children.get(found.start()) {
            Some(Child::Mapping(other)) => Some(other),
            Some(Child::Region(_)) | None => None,
        };
        let left =
            before.filter(|&found| mapping_at(found).is_some_and(|other| other.continues_with(found.len(), &mapping)));
        let right =
            after.filter(|&found| mapping_at(found).is_some_and(|other| mapping.continues_with(range.len(), other)));
        let mut take = |found: AddrRange| match region.children.remove(found.start()) {
            Some((_, Child::Mapping(other))) => other,
            Some((_, Child::Region(_))) | None => unreachable!("just seen"),
        };
        let mut bases_gone = [None; 2];
        if let Some(found) = right {
            let other = take(found);
            mapping.prots.append(range.len(), &other.prots);
            at = AddrRange::from_bounds(at.start(), found.end());
            bases_gone[0] = Some(found.start());
        }
        if let Some(found) = left {
            let mut other = take(found);
            other.prots.append(found.len(), &mapping.prots);
            mapping = other;
            at = AddrRange::from_bounds(found.start(), at.end());
            bases_gone[1] = Some(found.start());
        }
        {
            let content = &mut mapping.vmo.lock();
            for base in bases_gone.into_iter().flatten() {
                mapping.vmo.mapping_gone(content, base);
            }
            mapping.vmo.mapping_made(content, at.start());
        }
        region.children.insert(at, Child::Mapping(mapping));
    }
}
