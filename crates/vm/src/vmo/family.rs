//! VMOs that were made of one another: one lock, one set of frames, one tree of parents and children.
//!
//! 1. A family has contents (what is in a VMO that has pages of its own) and nodes (VMOs as programs see them). Slices
//!    and references are nodes that show another one's content. A content is there while a node shows it, a node while
//!    somebody holds its [`Vmo`](super::Vmo).
//! 2. Contents share frames by snapshots alone, so a frame is at the same place for all of them, counted from the first
//!    VMO of the family on: `origin` + offset. What is not committed is never shared.
//! 3. Once a content is `careful` it stays so. Only before that may somebody copy to it or commit its pages without this
//!    lock, counted in `in_flight`.
//! 4. `moves` counts how often a frame has become another one's: who copies from a content without the lock looks
//!    whether it changed meanwhile.
//! 5. `children` of a node counts the nodes that name it as their parent.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use slab::Slab;
use zxvm_host::{Host, PAGE_SIZE, StoreRange, VmoRange};
use zxvm_types::Status;

use super::extents::Extents;
use super::frames::Frames;
use super::known::Known;
use super::layers::Layer;
use super::source::{Provider, ROOT, Source};
use super::{CachePolicy, MAX_SIZE};
use crate::error::status;
use crate::lock::{Rank, Ranked, RankedGuard};
use crate::store::{StoreSet, Window};

/// Who wants to know that a VMO's last child has gone.
pub trait ChildObserver: Send + Sync + core::fmt::Debug {
    /// It has none now. Called without locks; it may have one again.
    fn no_children(&self);
}

#[derive(Debug)]
pub struct Family {
    pub stores: Arc<StoreSet>,
    pub moves: AtomicU64,
    pub in_flight: AtomicU32,
    state: Ranked<FamilyState>,
}

#[derive(Debug)]
pub struct FamilyState {
    pub contents: Slab<Content>,
    pub nodes: Slab<Node>,
    pub frames: Frames,
    /// Where the pages of the first content come from, if a pager is to provide them.
    pub source: Option<Box<Source>>,
    /// Frames that nobody holds and the host would not free: with their windows, so that nobody else is given them.
    dead: Option<Box<Dead>>,
}

type Dead = Vec<(Arc<Window>, StoreRange)>;

/// What is in a VMO.
#[derive(Debug)]
pub struct Content {
    /// Bytes, whole pages.
    pub size: u64,
    /// Bytes as the user counts them; of slices their node knows.
    pub stream_size: u64,
    pub resizable: bool,
    pub cache_policy: CachePolicy,
    /// How often a discardable VMO is locked.
    pub locks: u32,
    pub discard: Discard,
    pub extents: Extents,
    pub known: Known,
    /// The base address of every mapping that shows it, by way of whichever node.
    pub mappings: BTreeSet<u64>,
    /// The place of its byte 0 in the first VMO of the family.
    pub origin: u64,
    /// Whether copies and commits hold the lock.
    pub careful: bool,
    /// How many nodes show it.
    pub nodes: u32,
    /// How often its pages were taken away by the system.
    pub losses: u32,
}

/// Whether the system may take a content, and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// It was never locked, so nobody is prepared for its loss.
    NotYet,
    /// While it is not locked it may go.
    Allowed,
    /// It is gone; whoever locks it next is told.
    Discarded,
}

/// A VMO as programs see it.
#[derive(Debug)]
pub struct Node {
    /// Most have none.
    pub name: Option<Box<[u8; 32]>>,
    pub parent: Option<u32>,
    pub koid: u64,
    pub children: u32,
    pub num_mappings: u32,
    pub content: u32,
    /// The stream size of a slice.
    pub slice_stream: u64,
    /// Made as a reference: its memory counts for another one.
    pub reference: bool,
    /// Made as a snapshot, and its parent has not died without one of its own.
    pub clone: bool,
    pub observer: Option<Weak<dyn ChildObserver>>,
}

/// A run of a content's pages that live in one place and are held by the same number of contents.
#[derive(Clone, Debug)]
pub struct Cell {
    pub range: VmoRange,
    pub window: Arc<Window>,
    /// Where in the window, bytes.
    pub at: u64,
    /// As in [`Frames`].
    pub count: Option<u32>,
}

impl Cell {
    /// Whether another content holds the frames too.
    pub fn is_shared(&self) -> bool {
        self.count.is_some_and(|count| count > 1)
    }

    /// Where in the store it is.
    pub fn stored(&self) -> StoreRange {
        self.window.part(self.at, self.range.len())
    }

    /// The part of it in `range`.
    pub fn part(&self, range: VmoRange) -> Self {
        Self { range, at: self.at + (range.start() - self.range.start()), ..self.clone() }
    }
}

/// The lock of a family, taken by way of one of its VMOs: stands for that one's content.
#[derive(Debug)]
pub struct Locked<'a> {
    state: RankedGuard<'a, FamilyState>,
    content: u32,
}

impl Deref for Locked<'_> {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.state.contents[self.content as usize]
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Content {
        &mut self.state.contents[self.content as usize]
    }
}

impl Locked<'_> {
    /// Which content of the family it is.
    pub fn number(&self) -> u32 {
        self.content
    }

    /// The whole family.
    pub fn family(&self) -> &FamilyState {
        &self.state
    }

    /// The whole family, to be changed.
    pub fn family_mut(&mut self) -> &mut FamilyState {
        &mut self.state
    }
}

impl Family {
    /// With one content and one node for it, both numbered 0.
    pub fn new(stores: Arc<StoreSet>, content: Content, node: Node) -> Arc<Self> {
        let mut state = FamilyState {
            contents: Slab::with_capacity(1),
            nodes: Slab::with_capacity(1),
            frames: Frames::default(),
            source: None,
            dead: None,
        };
        state.contents.insert(content);
        state.nodes.insert(node);
        let state = Ranked::new(Rank::Vmo, state);
        Arc::new(Self { stores, moves: AtomicU64::new(0), in_flight: AtomicU32::new(0), state })
    }

    #[track_caller]
    pub fn lock(&self, content: u32) -> Locked<'_> {
        let mut state = self.state.lock();
        if state.dead.is_some() {
            state.tidy(self.host());
        }
        Locked { state, content }
    }

    pub fn host(&self) -> &dyn Host {
        self.stores.host()
    }

    /// Says that a frame has become another one's, to those who copy from it without the lock.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Release);
    }
}

/// Somebody who copies to a content, or commits its pages, without the lock.
#[derive(Debug)]
pub struct InFlight<'a>(&'a Family);

impl<'a> InFlight<'a> {
    /// To be called under the lock.
    pub fn new(family: &'a Family) -> Self {
        family.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(family)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

impl Content {
    /// Empty, of `size` bytes.
    pub fn new(size: u64, stream_size: u64, resizable: bool, origin: u64) -> Self {
        Self {
            size,
            stream_size,
            resizable,
            cache_policy: CachePolicy::Cached,
            locks: 0,
            discard: Discard::NotYet,
            extents: Extents::default(),
            known: Known::default(),
            mappings: BTreeSet::new(),
            origin,
            careful: false,
            nodes: 1,
            losses: 0,
        }
    }

    /// Everything there is.
    pub fn whole(&self) -> VmoRange {
        VmoRange::from_bounds(0, self.size)
    }

    /// # Errors
    /// `OUT_OF_RANGE`: the range, which was inside once, is not any more.
    pub fn check_inside(&self, range: VmoRange) -> Result<(), Status> {
        if range.end() > self.size { Err(Status::OUT_OF_RANGE) } else { Ok(()) }
    }

    /// Where its pages end: nowhere past the size, and nothing is there once it is discarded.
    pub fn end(&self) -> u64 {
        match self.discard {
            Discard::Discarded => 0,
            Discard::NotYet | Discard::Allowed => self.size,
        }
    }

    /// How far homes may reach if the size is `size`: resizable VMOs have room to grow in place.
    pub fn capacity(&self, size: u64) -> u64 {
        const ROOM_MIN: u64 = 1 << 20;
        if self.resizable {
            size.saturating_mul(2).max(ROOM_MIN).checked_next_power_of_two().unwrap_or(MAX_SIZE).min(MAX_SIZE)
        } else {
            size
        }
    }
}

impl FamilyState {
    fn each_cell(&self, content: u32, range: VmoRange) -> impl Iterator<Item = Cell> + '_ {
        self.contents[content as usize].extents.places(range).flat_map(|place| {
            let part = place.window.part(place.at, place.range.len());
            self.frames.runs(place.window.store(), part).map(move |(run, count)| {
                let into = run.start() - part.start();
                let start = place.range.start() + into;
                let range = VmoRange::from_bounds(start, start + run.len());
                Cell { range, window: place.window.clone(), at: place.at + into, count }
            })
        })
    }

    /// The runs of a content's pages in `range` that have a place, lowest first.
    pub fn cells(&self, content: u32, range: VmoRange) -> Vec<Cell> {
        self.each_cell(content, range).collect()
    }

    /// The first run in `range` that another content holds too.
    pub fn first_shared(&self, content: u32, range: VmoRange) -> Option<Cell> {
        if self.frames.is_empty() {
            return None;
        }
        self.each_cell(content, range).find(Cell::is_shared)
    }

    /// Whether another content was made of this one by a snapshot, or this one of another, and both are there.
    pub fn has_relatives(&self) -> bool {
        self.contents.len() > 1
    }

    /// Gives every page of `range` that lies inside `whole`, which the content is about to have, a place.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: no store; nothing that can be seen has changed.
    pub fn ensure(
        &mut self,
        stores: &Arc<StoreSet>,
        content: u32,
        range: VmoRange,
        whole: VmoRange,
    ) -> Result<(), Status> {
        let Some(range) = range.intersect(whole) else { return Ok(()) };
        if self.over(content).is_some() {
            return self.ensure_layers(stores, content, range, whole);
        }
        let content = &mut self.contents[content as usize];
        let capacity = content.capacity(whole.end());
        content.extents.ensure(range, capacity, &self.frames, |len| stores.window(len)).map_err(status)
    }

    /// [`FamilyState::ensure`] for a content that lies over another: what is nobody's becomes its own, and what is a root's gets
    /// its place there.
    fn ensure_layers(
        &mut self,
        stores: &Arc<StoreSet>,
        content: u32,
        range: VmoRange,
        whole: VmoRange,
    ) -> Result<(), Status> {
        let layers: Vec<Layer> = self.layers(content, range).collect();
        for layer in layers {
            match layer.of {
                Some(ROOT) => {
                    let root = self.contents[ROOT as usize].whole();
                    self.ensure(stores, ROOT, layer.below(), root)?;
                }
                Some(_) => {}
                None => {
                    let mut rest = layer.range;
                    while !rest.is_empty() {
                        let (run, window, at) = self.other_place(stores, content, rest, whole.end())?;
                        self.contents[content as usize].extents.replace(run, &window, at);
                        rest = VmoRange::from_bounds(run.end(), rest.end());
                    }
                }
            }
        }
        Ok(())
    }

    /// A place of its own for the pages at the start of `range` of a content of `size` bytes, where nobody has one: for which
    /// of them, in which window, and where in it. Nothing is shown there yet.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: no store.
    pub fn other_place(
        &mut self,
        stores: &Arc<StoreSet>,
        content: u32,
        range: VmoRange,
        size: u64,
    ) -> Result<(VmoRange, Arc<Window>, u64), Status> {
        let content = &mut self.contents[content as usize];
        let capacity = content.capacity(size);
        content.extents.other_place(range, capacity, &self.frames, |len| stores.window(len)).map_err(status)
    }

    /// Frees frames that nobody holds any more. What the host will not free now it is asked to free again.
    pub fn free(&mut self, host: &dyn Host, window: &Arc<Window>, range: StoreRange) {
        if host.punch(window.store(), range).is_err() {
            self.frames.change(window.store(), range, |_, _| Some(0));
            self.dead.get_or_insert_default().push((window.clone(), range));
        }
    }

    fn tidy(&mut self, host: &dyn Host) {
        for (window, range) in *self.dead.take().unwrap_or_default() {
            self.frames.change(window.store(), range, |_, _| None);
            self.free(host, &window, range);
        }
    }

    /// Lets go of the frames of a cell that has a count: one content less holds them. What nobody holds is freed.
    pub fn release(&mut self, host: &dyn Host, cell: &Cell) {
        let (store, mut gone) = (cell.window.store(), Vec::new());
        self.frames.change(store, cell.stored(), |run, count| match count {
            // What is the owner's alone is not to be let go of, and what nobody holds not held.
            None | Some(0) => unreachable!("the cell's content holds it with others"),
            Some(1) => {
                gone.push(run);
                None
            }
            Some(more) => Some(more - 1),
        });
        for run in gone {
            self.free(host, &cell.window, run);
        }
    }

    /// Forgets what is in `range` of a careful content: frames go to the others who hold them, or are freed. Cannot fail:
    /// what the host does not free now it is asked to free again.
    pub fn forget(&mut self, host: &dyn Host, content: u32, range: VmoRange) {
        self.contents[content as usize].known.forget(range);
        for cell in self.cells(content, range) {
            match cell.count {
                Some(_) => self.release(host, &cell),
                None => self.free(host, &cell.window, cell.stored()),
            }
        }
        self.contents[content as usize].extents.cut(range);
    }

    /// A node goes. Returns who is to be told that it has no children any more, and the windows that went with it; both
    /// are to be dropped without locks.
    pub fn node_gone(&mut self, host: &dyn Host, node: u32) -> (Option<Arc<dyn ChildObserver>>, Vec<Arc<Window>>) {
        let gone = self.nodes.remove(node as usize);
        let mut observer = None;
        if gone.children > 0 {
            for (_, child) in self.nodes.iter_mut().filter(|(_, child)| child.parent == Some(node)) {
                child.parent = gone.parent;
                child.clone &= gone.parent.is_some();
            }
        }
        if let Some(parent) = gone.parent {
            let parent = &mut self.nodes[parent as usize];
            parent.children = parent.children - 1 + gone.children;
            if parent.children == 0 {
                observer = parent.observer.as_ref().and_then(Weak::upgrade);
            }
        }
        let content = &mut self.contents[gone.content as usize];
        content.nodes -= 1;
        let mut windows = Vec::new();
        // Others may show what it has: then it stays, until they have gone.
        let mut next = Some(gone.content);
        while let Some(content) = next.filter(|&content| self.contents[content as usize].nodes == 0) {
            if self.is_below(content) {
                break;
            }
            next = self.over(content).map(|over| over.parent);
            windows.extend(self.content_gone(host, content));
        }
        (observer, windows)
    }

    /// A content goes, with the frames that nobody else holds.
    fn content_gone(&mut self, host: &dyn Host, content: u32) -> Vec<Arc<Window>> {
        if content == ROOT
            && let Some(source) = self.source.take()
        {
            match source.provider {
                Provider::There => source.port.complete(),
                Provider::Detached | Provider::Closed => {}
            }
        }
        let homes: Vec<_> =
            self.contents[content as usize].extents.homes().map(|(range, window)| (range, window.clone())).collect();
        let everything = VmoRange::from_bounds(0, u64::MAX - (PAGE_SIZE - 1));
        if !self.frames.is_empty() {
            for cell in self.cells(content, everything) {
                match cell.count {
                    Some(_) => self.release(host, &cell),
                    None => {
                        // A home that nobody else uses goes as a whole, with its window.
                        let whole = homes.iter().find(|(_, window)| Arc::ptr_eq(window, &cell.window));
                        let lent = whole.is_some_and(|(range, window)| self.is_lent(window, range.len()));
                        if lent {
                            self.free(host, &cell.window, cell.stored());
                        }
                    }
                }
            }
        }
        drop(self.contents.remove(content as usize));
        if let Some(source) = &mut self.source {
            source.over.remove(&content);
        }
        homes.into_iter().map(|(_, window)| window).collect()
    }

    /// Whether somebody holds frames of a window by a count.
    fn is_lent(&self, window: &Window, len: u64) -> bool {
        self.frames.runs(window.store(), window.part(0, len)).any(|(_, count)| count.is_some_and(|count| count > 0))
    }
}
