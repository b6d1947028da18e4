//! Making a VMO of another one: which kinds of which, and the new one's place in the family.
//!
//! A slice or a reference is a node more for the same content. A snapshot is a content more, which holds the frames that
//! its parent has committed; how those who store to them are stopped is the business of `vmar::snapshot`, which leads.

use std::sync::Arc;

use zxvm_host::{PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::family::{Content, FamilyState, Locked, Node};
use super::layers::Over;
use super::source::ROOT;
use super::{CachePolicy, MAX_SIZE, Shows, Vmo, VmoKind};
use crate::error::status;

/// Kinds of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// As if copied at the call.
    Snapshot,
    /// As a snapshot; of what a pager provides each page at the latest when it is written to.
    AtLeastOnWrite,
    /// As a snapshot; of what a pager provides only those pages that were modified in a clone.
    Modified,
    /// A part of the parent, the same pages.
    Slice,
    /// All of the parent, the same pages.
    Reference,
}

/// What a child is to be.
#[derive(Clone, Copy, Debug)]
pub struct ChildRequest {
    /// Its kind.
    pub kind: ChildKind,
    /// Where in the parent it starts, bytes.
    pub offset: u64,
    /// Bytes, as the caller counts them: the stream size.
    pub size: u64,
    /// Whether its size may change.
    pub resizable: bool,
    /// Whether it is a snapshot that nobody may write to.
    pub immutable: bool,
    /// Its name for life.
    pub koid: u64,
    /// Whether it gets the parent's name.
    pub named: bool,
}

impl Node {
    /// At most 31 bytes, then zeros.
    pub fn name(&self) -> [u8; 32] {
        self.name.as_deref().copied().unwrap_or_default()
    }

    /// Without a name.
    pub fn new(koid: u64, parent: Option<u32>, content: u32) -> Self {
        Self {
            name: None,
            parent,
            koid,
            children: 0,
            num_mappings: 0,
            content,
            slice_stream: 0,
            reference: false,
            clone: false,
            observer: None,
        }
    }
}

impl Vmo {
    /// Makes a slice or a reference of it. Nothing is allocated but what describes it.
    ///
    /// # Errors
    /// Check 5 of vmo.md §3.1 for these kinds, in that order.
    pub(crate) fn create_view(self: &Arc<Self>, request: ChildRequest) -> Result<Arc<Self>, Status> {
        let mut content = self.lock();
        let (shows, kind) = match request.kind {
            ChildKind::Slice => {
                let size = addr::round_up(request.size).ok_or(Status::OUT_OF_RANGE)?;
                if !request.offset.is_multiple_of(PAGE_SIZE) {
                    return Err(Status::INVALID_ARGS);
                }
                if size > MAX_SIZE {
                    return Err(Status::OUT_OF_RANGE);
                }
                let start = self.check_range(&content, request.offset, size).map_err(|_| Status::INVALID_ARGS)?;
                if self.kind.resizable {
                    return Err(Status::NOT_SUPPORTED);
                }
                let kind = VmoKind { resizable: false, discardable: false, immutable: false };
                (Shows::Slice(Box::new(VmoRange::from_bounds(start, start + size))), kind)
            }
            ChildKind::Reference => {
                if self.is_slice() || request.resizable && !self.kind.resizable {
                    return Err(Status::NOT_SUPPORTED);
                }
                (Shows::Whole, VmoKind { immutable: false, ..self.kind })
            }
            ChildKind::Snapshot | ChildKind::AtLeastOnWrite | ChildKind::Modified => {
                unreachable!("snapshots are not views")
            }
        };
        if content.cache_policy != CachePolicy::Cached {
            return Err(Status::BAD_STATE);
        }
        content.nodes += 1;
        let mut node = self.new_node(&content, &request, self.content);
        node.slice_stream = request.size;
        node.reference = request.kind == ChildKind::Reference;
        let node = self.add_node(&mut content, node);
        drop(content);
        Ok(self.sibling(request.koid, kind, shows, self.content, node))
    }

    /// Whether a snapshot of it may be made.
    ///
    /// # Errors
    /// Check 5 of vmo.md §3.1 for snapshots, in that order, from the alignment on.
    pub(crate) fn check_snapshot(&self, content: &Locked<'_>, request: &ChildRequest) -> Result<(), Status> {
        let size = addr::round_up(request.size).ok_or(Status::OUT_OF_RANGE)?;
        if !request.offset.is_multiple_of(PAGE_SIZE) {
            return Err(Status::INVALID_ARGS);
        }
        if size > MAX_SIZE {
            return Err(Status::OUT_OF_RANGE);
        }
        let end = request.offset.checked_add(size).ok_or(Status::OUT_OF_RANGE)?;
        if self.is_slice() && end > self.size_in(content) {
            return Err(Status::OUT_OF_RANGE);
        }
        if content.cache_policy != CachePolicy::Cached {
            return Err(Status::BAD_STATE);
        }
        let family = content.family();
        if request.kind == ChildKind::Snapshot && family.source.is_some() {
            return Err(Status::NOT_SUPPORTED);
        }
        content.origin.checked_add(end).ok_or(Status::INVALID_ARGS)?;
        if family.source.is_none() {
            return if self.is_slice() { Err(Status::NOT_SUPPORTED) } else { Ok(()) };
        }
        match request.kind {
            ChildKind::AtLeastOnWrite if !self.is_slice() || !family.is_paired(self.content) => Ok(()),
            ChildKind::Modified if self.content == ROOT && !self.is_slice_of_slice(family) => Ok(()),
            ChildKind::Modified if self.content != ROOT && !self.is_slice() => {
                let over_root = family.over(self.content).is_some_and(|over| over.parent == ROOT);
                let alone = !family.is_below(self.content);
                if alone && (over_root || family.is_paired(self.content)) { Ok(()) } else { Err(Status::NOT_SUPPORTED) }
            }
            ChildKind::Snapshot
            | ChildKind::AtLeastOnWrite
            | ChildKind::Modified
            | ChildKind::Slice
            | ChildKind::Reference => Err(Status::NOT_SUPPORTED),
        }
    }

    fn is_slice_of_slice(&self, family: &FamilyState) -> bool {
        let parent = family.nodes[self.node as usize].parent;
        self.is_slice() && parent.is_some_and(|parent| family.nodes[parent as usize].parent.is_some())
    }

    /// Whether what `request` asks for shares frames with it, rather than lying over it.
    pub(crate) fn is_pair_asked(&self, family: &FamilyState, request: &ChildRequest) -> bool {
        self.content != ROOT && (request.kind == ChildKind::Modified || family.is_paired(self.content))
    }

    /// Adds a content to the family that lies over this one.
    pub(crate) fn add_over(&self, content: &mut Locked<'_>, request: &ChildRequest) -> Arc<Self> {
        let size = addr::round_up(request.size).expect("checked");
        let origin = content.origin + self.base() + request.offset;
        let mut child = Content::new(size, request.size, request.resizable, origin);
        child.careful = true;
        let reach = (origin + size).min(content.origin + self.end_in(content));
        let over = Over { parent: self.content, reach, pair: None };
        self.add_content(content, request, child, Some(over))
    }

    /// Adds a snapshot to the family, which holds what its parent holds of `runs` (ranges of the parent that are
    /// committed, and to which nobody stores any more).
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: no store for what is zero in the parent and not below it.
    pub(crate) fn add_snapshot(
        self: &Arc<Self>,
        content: &mut Locked<'_>,
        request: &ChildRequest,
        runs: &[VmoRange],
    ) -> Result<Arc<Self>, Status> {
        let size = addr::round_up(request.size).expect("checked");
        let mut child = Content::new(size, request.size, request.resizable, content.origin + request.offset);
        child.careful = true;
        content.careful = true;
        let family = content.family_mut();
        let capacity = child.capacity(size);
        for zeros in family.zeros_over(self.content, VmoRange::from_bounds(request.offset, request.offset + size), runs)
        {
            let (mut at, end) = (zeros.start() - request.offset, zeros.end() - request.offset);
            while at < end {
                let rest = VmoRange::from_bounds(at, end);
                let window = |len| self.family.stores.window(len);
                let place = child.extents.other_place(rest, capacity, &family.frames, window).map_err(status)?;
                child.extents.replace(place.0, &place.1, place.2);
                at = place.0.end();
            }
        }
        for &run in runs {
            for cell in family.cells(self.content, run) {
                let start = cell.range.start() - request.offset;
                let range = VmoRange::from_bounds(start, start + cell.range.len());
                child.extents.replace(range, &cell.window, cell.at);
                family.frames.share(cell.window.store(), cell.stored());
            }
        }
        let over = family.over(self.content).map(|over| Over {
            reach: over.reach.min(child.origin + size),
            pair: Some(over.pair.unwrap_or(self.koid)),
            ..over
        });
        if let Some(source) = &mut family.source
            && let Some(mine) = source.over.get_mut(&self.content)
        {
            mine.pair = over.and_then(|over| over.pair);
        }
        Ok(self.add_content(content, request, child, over))
    }

    fn add_content(
        &self,
        content: &mut Locked<'_>,
        request: &ChildRequest,
        child: Content,
        over: Option<Over>,
    ) -> Arc<Self> {
        let family = content.family_mut();
        let child = family.contents.insert(child) as u32;
        if let (Some(source), Some(over)) = (&mut family.source, over) {
            source.over.insert(child, over);
        }
        let mut node = self.new_node(content, request, child);
        node.clone = true;
        let node = self.add_node(content, node);
        let kind = VmoKind { resizable: request.resizable, discardable: false, immutable: request.immutable };
        self.sibling(request.koid, kind, Shows::Whole, child, node)
    }

    fn new_node(&self, content: &Locked<'_>, request: &ChildRequest, shown: u32) -> Node {
        let mut node = Node::new(request.koid, Some(self.node), shown);
        if request.named {
            node.name = content.family().nodes[self.node as usize].name.clone();
        }
        node
    }

    fn add_node(&self, content: &mut Locked<'_>, node: Node) -> u32 {
        let nodes = &mut content.family_mut().nodes;
        nodes[self.node as usize].children += 1;
        nodes.insert(node) as u32
    }

    fn sibling(&self, koid: u64, kind: VmoKind, shows: Shows, content: u32, node: u32) -> Arc<Self> {
        Arc::new(Self { family: self.family.clone(), koid, kind, shows, content, node })
    }
}
