//! What VMOs show: a content, seen whole by the VMO it was made for and by its references, in part by its slices.
//!
//! 1. A content is there while a VMO shows it. That may be a slice or a reference alone.
//! 2. A snapshot makes a new content that holds the same frames. Everything that a clone sees is copied at the call, so
//!    limits, projections of offsets and hidden nodes (vmo.md §3.5, §3.6) need no rule here.
//! 3. A discarded content has no pages.
//! 4. What a pager provides is not copied: clones of it lie over it (see `over`).

use zxvm_types::*;

use super::over::Over;
use super::source::Source;
use super::{MORE_THAN_MEMORY, Model, ObjectId, Pages, Shape, Vmo};
use crate::PAGE;

/// Names a content of the model; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentId(pub(super) u64);

/// Pages, and what all VMOs that show them have in common.
#[derive(Debug)]
pub struct Content {
    /// Bytes, whole pages.
    pub size: u64,
    /// Bytes.
    pub stream_size: u64,
    /// Whether the size can change.
    pub resizable: bool,
    /// Whether it can be locked.
    pub discardable: bool,
    /// `ZX_CACHE_POLICY_`
    pub cache_policy: u32,
    /// How often it is locked.
    pub locks: u64,
    /// Whether it was ever locked: before, it is never discarded.
    pub locked_once: bool,
    /// Whether it was discarded and not locked since.
    pub discarded: bool,
    /// How many generations of ages have ended since it was unlocked, if it was.
    pub idle: u32,
    /// How often it was discarded, or pages of it went that a pager can bring again.
    pub losses: u64,
    /// The content that it and its relatives come from, by snapshots of snapshots.
    pub family: ContentId,
    /// Where its first byte is in the content that the family comes from, if that reached so far.
    pub root_offset: u64,
    /// What it holds.
    pub pages: Pages,
    /// Who provides its pages, if it is not nobody.
    pub source: Option<Source>,
    /// What it lies over, if it does.
    pub over: Option<Over>,
}

impl Content {
    pub(super) fn cached(&self) -> Result<(), Status> {
        if self.cache_policy == ZX_CACHE_POLICY_CACHED { Ok(()) } else { Err(Status::BAD_STATE) }
    }

    pub(super) fn present(&self) -> Result<(), Status> {
        if self.discarded { Err(Status::NOT_FOUND) } else { Ok(()) }
    }
}

impl Model {
    /// What the VMO shows.
    pub fn content(&self, vmo: ObjectId) -> &Content {
        &self.contents[&self.vmo_of(vmo).content]
    }

    pub(super) fn content_mut(&mut self, vmo: ObjectId) -> &mut Content {
        let id = self.vmo_of(vmo).content;
        self.contents.get_mut(&id).expect("a VMO shows it")
    }

    pub(super) fn pages_mut(&mut self, vmo: ObjectId) -> &mut Pages {
        &mut self.content_mut(vmo).pages
    }

    /// Whether a pager provides what the VMO shows, or what that lies over.
    pub fn is_paged(&self, vmo: ObjectId) -> bool {
        self.source_under(vmo).is_some()
    }

    /// Bytes in the VMO, whole pages.
    pub fn size(&self, vmo: ObjectId) -> u64 {
        match self.vmo_of(vmo).shape {
            Shape::Slice { size, .. } => size,
            Shape::Created | Shape::Snapshot | Shape::Reference => self.content(vmo).size,
        }
    }

    /// Bytes: a slice has its own.
    pub fn stream_size(&self, vmo: ObjectId) -> u64 {
        match self.vmo_of(vmo).shape {
            Shape::Slice { stream_size, .. } => stream_size,
            Shape::Created | Shape::Snapshot | Shape::Reference => self.content(vmo).stream_size,
        }
    }

    pub(super) fn set_stream_size(&mut self, vmo: ObjectId, size: u64) {
        match &mut self.vmo_mut(vmo).shape {
            Shape::Slice { stream_size, .. } => *stream_size = size,
            Shape::Created | Shape::Snapshot | Shape::Reference => self.content_mut(vmo).stream_size = size,
        }
    }

    /// Where the VMO's first byte is in its content.
    pub fn start(&self, vmo: ObjectId) -> u64 {
        match self.vmo_of(vmo).shape {
            Shape::Slice { start, .. } => start,
            Shape::Created | Shape::Snapshot | Shape::Reference => 0,
        }
    }

    /// The bytes of the page at `offset` in the VMO, if it is committed, there or in what that lies over.
    pub fn page(&self, vmo: ObjectId, offset: u64) -> Option<&[u8; PAGE as usize]> {
        // A mapping may show more than there is.
        if offset >= self.size(vmo) {
            return None;
        }
        let (of, page) = self.seat(self.vmo_of(vmo).content, (self.start(vmo) + offset) / PAGE)?;
        self.contents[&of].pages.get(page * PAGE)
    }

    /// Offsets in the VMO of the committed pages it shows.
    pub fn committed_offsets(&self, vmo: ObjectId) -> impl Iterator<Item = u64> {
        let start = self.start(vmo);
        self.content(vmo).pages.offsets(start, start + self.size(vmo)).map(move |offset| offset - start)
    }

    /// A living VMO whose figures are those of the content that `vmo` shows: slices and references have none.
    pub fn owner(&self, vmo: ObjectId) -> Option<ObjectId> {
        let content = self.vmo_of(vmo).content;
        let owns = |other: &Vmo| match other.shape {
            Shape::Created | Shape::Snapshot => other.content == content,
            Shape::Slice { .. } | Shape::Reference => false,
        };
        self.vmos().find(|(_, other)| owns(other)).map(|(id, _)| id)
    }

    /// Pages of memory in all contents, shared ones counted once.
    pub fn frames(&self) -> u64 {
        let mut shared = std::collections::BTreeSet::new();
        let mut alone = 0;
        for content in self.contents.values() {
            for (_, frame) in content.pages.frames(0, u64::MAX) {
                match std::rc::Rc::strong_count(frame) {
                    1 => alone += 1,
                    _ => drop(shared.insert(std::rc::Rc::as_ptr(frame))),
                }
            }
        }
        let loaded: u64 =
            self.contents.values().filter_map(|content| content.source.as_ref()).map(Source::loaded).sum();
        alone + shared.len() as u64 + loaded
    }

    /// Whether snapshots join the content with another one that lives (vmo.md §7, "mutual").
    ///
    /// In the tree of §3.6 that is the same as having a hidden parent: a snapshot hangs the new leaf into the tree of its
    /// parent, in one place or another; every hidden node has two children at least, or it is merged; so a leaf without a
    /// hidden parent is the only leaf of its tree. And no merge ever takes a tree apart.
    pub(super) fn has_cow_relatives(&self, vmo: ObjectId) -> bool {
        let own = self.vmo_of(vmo).content;
        let family = self.contents[&own].family;
        self.contents.iter().any(|(&other, content)| other != own && content.family == family)
    }

    /// `OUT_OF_RANGE` unless the range, which need not be aligned, is inside.
    pub(super) fn in_range(&self, vmo: ObjectId, offset: u64, len: u64) -> Result<(), Status> {
        let size = self.size(vmo);
        if offset <= size && len <= size - offset { Ok(()) } else { Err(Status::OUT_OF_RANGE) }
    }

    pub(super) fn commit(&mut self, vmo: ObjectId, offset: u64, len: u64) -> Result<(), Status> {
        self.in_range(vmo, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        // No state of the content could make this one possible.
        if len >= MORE_THAN_MEMORY {
            return Err(Status::NO_MEMORY);
        }
        self.content(vmo).present()?;
        let start = self.start(vmo) + offset;
        self.pages_mut(vmo).commit(start, start + len);
        Ok(())
    }

    pub(super) fn decommit(&mut self, vmo: ObjectId, offset: u64, len: u64) -> Result<(), Status> {
        self.in_range(vmo, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        if self.has_cow_relatives(vmo) || self.is_paged(vmo) {
            return Err(Status::NOT_SUPPORTED);
        }
        if !offset.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        let start = self.start(vmo) + offset;
        self.pages_mut(vmo).free(start, start + len);
        Ok(())
    }

    pub(super) fn zero(&mut self, vmo: ObjectId, offset: u64, len: u64) -> Result<(), Status> {
        // In the order of read and write; the specification gives none for this one.
        self.content(vmo).cached()?;
        self.in_range(vmo, offset, len)?;
        self.make_zero(vmo, offset, offset + len)
    }

    /// Makes bytes of the VMO that are inside it zero. Of a page that was discarded there is no part.
    pub(super) fn make_zero(&mut self, vmo: ObjectId, from: u64, to: u64) -> Result<(), Status> {
        if from < to && !(from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE)) {
            self.content(vmo).present()?;
        }
        let start = self.start(vmo);
        self.pages_mut(vmo).zero(start + from, start + to);
        Ok(())
    }

    /// Every VMO there is.
    pub fn vmos(&self) -> impl Iterator<Item = (ObjectId, &Vmo)> {
        self.objects.iter().filter_map(|(&id, object)| match &object.kind {
            super::Kind::Vmo(vmo) => Some((id, vmo)),
            _ => None,
        })
    }
}
