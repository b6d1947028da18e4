//! `zx_vmo_create_child`, and who is whose child: vmo.md §3.

use zxvm_types::*;

use super::{Content, Kind, Model, ObjectId, Pages, Shape, VMO_SIZE_MAX, Vmo};
use crate::op::{CreateChild, Outcome};
use crate::{PAGE, pages_up};

/// The types that are eager copies of what no pager supplies.
const SNAPSHOTS: u32 = ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE | ZX_VMO_CHILD_SNAPSHOT_MODIFIED;

impl Model {
    pub(super) fn vmo_create_child(
        &mut self,
        args: CreateChild,
        got: &Outcome,
    ) -> Result<Vec<(zx_handle_t, zx_koid_t)>, Status> {
        let CreateChild { vmo, options, offset, size: stream_size, lost } = args;
        let size = pages_up(stream_size).ok_or(Status::OUT_OF_RANGE)?;
        let no_write = options & ZX_VMO_CHILD_NO_WRITE != 0;
        if no_write && options & ZX_VMO_CHILD_RESIZABLE != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let options = options & !ZX_VMO_CHILD_NO_WRITE;
        let has = |bit: u32| options & bit != 0;
        let (parent, parent_rights) = self.vmo(vmo, ZX_RIGHT_DUPLICATE | ZX_RIGHT_READ)?;
        if self.content(parent).discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        let (content, shape) = if has(ZX_VMO_CHILD_SLICE) {
            self.check_slice(parent, options, offset, size)?;
            let start = self.start(parent) + offset;
            (self.vmo_of(parent).content, Shape::Slice { start, size, stream_size })
        } else if has(ZX_VMO_CHILD_REFERENCE) {
            self.check_reference(parent, parent_rights, options, offset, size)?;
            (self.vmo_of(parent).content, Shape::Reference)
        } else {
            self.check_snapshot(parent, options, offset, size)?;
            let pairs = has(ZX_VMO_CHILD_SNAPSHOT_MODIFIED) && self.is_over(parent) || self.is_paired(parent);
            let (over, pages) = if pairs {
                let (over, pages) = self.pair_of(parent, offset, size);
                (Some(over), pages)
            } else if self.is_paged(parent) {
                (Some(self.over_of(parent, offset, size)), Pages::default())
            } else {
                // Past the parent's end there is nothing to copy, and what comes there later is the parent's alone.
                let from = self.content(parent);
                (None, from.pages.snapshot(offset, (offset + size).min(from.size)))
            };
            let from = self.content(parent);
            let copy = Content {
                size,
                stream_size,
                resizable: has(ZX_VMO_CHILD_RESIZABLE),
                discardable: false,
                cache_policy: ZX_CACHE_POLICY_CACHED,
                locks: 0,
                locked_once: false,
                discarded: false,
                idle: 0,
                losses: 0,
                family: from.family,
                root_offset: from.root_offset + self.start(parent) + offset,
                pages,
                source: None,
                over,
            };
            (self.add_content(copy), Shape::Snapshot)
        };
        let mut rights = parent_rights & !ZX_RIGHT_RESIZE | ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_SET_PROPERTY;
        if has(ZX_VMO_CHILD_RESIZABLE) {
            rights |= ZX_RIGHT_RESIZE;
        }
        if no_write {
            rights &= !ZX_RIGHT_WRITE;
        } else if shape == Shape::Snapshot {
            rights = rights & !ZX_RIGHT_EXECUTE | ZX_RIGHT_WRITE;
        }
        let named = parent_rights & ZX_RIGHT_GET_PROPERTY != 0;
        let child = Vmo {
            content,
            shape,
            parent: Some(parent),
            immutable: no_write && has(ZX_VMO_CHILD_SNAPSHOT),
            name: if named { self.vmo_of(parent).name } else { [0; ZX_MAX_NAME_LEN] },
        };
        let child = self.add(ZX_VMO_ZERO_CHILDREN, Kind::Vmo(child));
        self.give_unless(lost, child, rights, got)
    }

    fn check_slice(&self, parent: ObjectId, options: u32, offset: u64, size: u64) -> Result<(), Status> {
        if options != ZX_VMO_CHILD_SLICE {
            return Err(Status::INVALID_ARGS);
        }
        if !offset.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        if size > VMO_SIZE_MAX {
            return Err(Status::OUT_OF_RANGE);
        }
        if self.in_range(parent, offset, size).is_err() {
            return Err(Status::INVALID_ARGS);
        }
        if self.content(parent).resizable {
            return Err(Status::NOT_SUPPORTED);
        }
        self.content(parent).cached()
    }

    fn check_reference(
        &self,
        parent: ObjectId,
        rights: u32,
        options: u32,
        offset: u64,
        size: u64,
    ) -> Result<(), Status> {
        let resizable = options & ZX_VMO_CHILD_RESIZABLE != 0;
        if options & !(ZX_VMO_CHILD_REFERENCE | ZX_VMO_CHILD_RESIZABLE) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if offset != 0 || size != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if self.is_slice(parent) {
            return Err(Status::NOT_SUPPORTED);
        }
        if resizable && !self.content(parent).resizable {
            return Err(Status::NOT_SUPPORTED);
        }
        if resizable && rights & ZX_RIGHT_RESIZE == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        self.content(parent).cached()
    }

    fn check_snapshot(&self, parent: ObjectId, options: u32, offset: u64, size: u64) -> Result<(), Status> {
        if options & !(SNAPSHOTS | ZX_VMO_CHILD_RESIZABLE) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if (options & SNAPSHOTS).count_ones() != 1 {
            return Err(Status::INVALID_ARGS);
        }
        if !offset.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        if size > VMO_SIZE_MAX {
            return Err(Status::OUT_OF_RANGE);
        }
        let end = offset.checked_add(size).ok_or(Status::OUT_OF_RANGE)?;
        if self.is_slice(parent) && end > self.size(parent) {
            return Err(Status::OUT_OF_RANGE);
        }
        self.content(parent).cached()?;
        if self.is_paged(parent) && options & ZX_VMO_CHILD_SNAPSHOT != 0 {
            return Err(Status::NOT_SUPPORTED);
        }
        if self.content(parent).root_offset.checked_add(end).is_none() {
            return Err(Status::INVALID_ARGS);
        }
        if !self.is_paged(parent) {
            return if self.is_slice(parent) { Err(Status::NOT_SUPPORTED) } else { Ok(()) };
        }
        if options & ZX_VMO_CHILD_SNAPSHOT_MODIFIED == 0 {
            let two_way = self.is_paired(parent);
            return if two_way && self.is_slice(parent) { Err(Status::NOT_SUPPORTED) } else { Ok(()) };
        }
        if !self.is_over(parent) {
            // Of the root as of a slice of it, but not of a slice of what is a child itself.
            let above = self.vmo_of(parent).parent.and_then(|above| self.vmo_of(above).parent);
            return if self.is_slice(parent) && above.is_some() { Err(Status::NOT_SUPPORTED) } else { Ok(()) };
        }
        if !self.is_slice(parent) && self.can_be_paired(parent) { Ok(()) } else { Err(Status::NOT_SUPPORTED) }
    }

    /// Whether it was made as a slice.
    pub fn is_slice(&self, vmo: ObjectId) -> bool {
        match self.vmo_of(vmo).shape {
            Shape::Slice { .. } => true,
            Shape::Created | Shape::Snapshot | Shape::Reference => false,
        }
    }

    /// How many children it has, inherited ones included.
    pub fn children_of(&self, vmo: ObjectId) -> u64 {
        self.vmos().filter(|(_, other)| other.parent == Some(vmo)).count() as u64
    }

    /// Whether it is one. An orphaned snapshot no longer is; an orphaned slice or reference does not stand for itself.
    pub(super) fn is_child(&self, vmo: ObjectId) -> bool {
        match self.vmo_of(vmo).shape {
            Shape::Created => false,
            Shape::Snapshot => self.vmo_of(vmo).parent.is_some(),
            Shape::Slice { .. } | Shape::Reference => true,
        }
    }

    /// The children of `gone`, which had this parent, become that one's.
    pub(super) fn rehome(&mut self, gone: ObjectId, parent: Option<ObjectId>) {
        for object in self.objects.values_mut() {
            let Kind::Vmo(vmo) = &mut object.kind else { continue };
            if vmo.parent == Some(gone) {
                vmo.parent = parent;
            }
        }
    }

    /// Sets ZERO_CHILDREN where it belongs, and nowhere else.
    pub(super) fn signal_zero_children(&mut self) {
        let parents: std::collections::BTreeSet<_> = self.vmos().filter_map(|(_, vmo)| vmo.parent).collect();
        for (id, object) in &mut self.objects {
            let Kind::Vmo(_) = &object.kind else { continue };
            if parents.contains(id) {
                object.signals &= !ZX_VMO_ZERO_CHILDREN;
            } else {
                object.signals |= ZX_VMO_ZERO_CHILDREN;
            }
        }
    }
}
