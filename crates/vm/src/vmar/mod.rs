//! The tree of VMARs: who owns which addresses.
//!
//! 1. Children of a region (regions and mappings) never overlap and never leave it.
//! 2. A mapping is a leaf: page-aligned, never empty. What it may become (`can`) is within what its region allows, and
//!    what a region allows is within what its parent allows.
//! 3. A dead region is in no map; only stale handles name it. Its number is never given to another.
//! 4. What Linux shows at every address of the root is the projection of the tree ([`project`]), but for the ranges in
//!    `damaged`, which the next change repairs first.
//! 5. A mapping's base is in its content's `mappings`, and the other way round.
//!
//! Everything is behind `Rank::Layout`. Changes take it for writing, so they are atomic towards one another; a change
//! first computes, then makes the host calls, then changes the tree: a refusal by the host leaves the tree as it was,
//! and what was already shown is put back. The last reference to a VMO is dropped after the lock.
//!
//! `AddressSpace::audit` checks 1, 2, 4 and 5.

mod ages;
mod allocate;
mod budget;
mod census;
mod cow;
mod destroy;
mod discard;
mod evict;
mod fetch;
mod fork;
mod hints;
mod map;
mod mapping;
mod maps;
mod op_range;
mod ops;
mod paging;
mod placement;
mod project;
mod protect;
mod provide;
mod relief;
mod resize;
mod room;
mod snapshot;
mod supply;
mod survey;
mod transfer;
mod tree;
mod unmap;
mod zero_pages;

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use slotmap::SlotMap;
use zxvm_host::{Access, AddrRange, Host, PAGE_SIZE, Prot};
use zxvm_types::Status;

use crate::error::status;
use crate::lock::{Rank, RankedRw, WriteGuard};
use crate::reclaim::{Reclaim, RootId};
use crate::vmo::Vmo;
use crate::vmo::family::Family;
use cow::Part;
use mapping::Mapping;
use tree::Tree;

pub use allocate::AllocateRequest;
pub use budget::MemoryStats;
pub use census::{Census, RootCensus, WaitingOne};
pub use map::{MapRequest, NewMapping};
pub use maps::{MapRecord, RecordKind};
pub use op_range::VmarOp;
pub use paging::{DirtyRange, PagerOp};
pub use placement::Place;
pub use survey::{Survey, Surveyed, SurveyedKind};

slotmap::new_key_type! {
    /// A region, dead or alive.
    struct RegionId;
}

/// What a region lets its contents be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionFlags {
    /// Protection that mappings in it may have.
    pub can: Prot,
    /// Whether callers may choose places in it.
    pub specific: bool,
    /// Whether its contents are to be placed close together.
    pub compact: bool,
}

/// All VMARs of the process, below one root.
#[derive(Debug)]
pub struct AddressSpace {
    host: Arc<dyn Host>,
    range: AddrRange,
    root: RegionId,
    layout: RankedRw<Layout>,
    /// Pages with accesses that wait for a pager: where something else is shown they are to be woken.
    parked: Mutex<BTreeSet<u64>>,
    /// Whether there ever was a VMO that a pager provides.
    paged: AtomicBool,
    /// What may be in memory of what pagers provide, and what goes next.
    reclaim: Arc<Reclaim>,
    /// Pagers' VMOs, as the queues know them; some may have gone.
    roots: Mutex<Roots>,
    /// Discardable VMOs that are not locked, in the order in which they were unlocked.
    unlocked: Mutex<Vec<relief::Unlocked>>,
    /// Who waits for room in the budget.
    room: Mutex<room::Waiters>,
}

/// See [`AddressSpace::roots`].
type Roots = BTreeMap<RootId, Weak<Family>>;

/// A region as a handle sees it: it may be dead.
#[derive(Clone, Debug)]
pub struct Vmar {
    space: Arc<AddressSpace>,
    id: RegionId,
    range: AddrRange,
}

#[derive(Debug)]
struct Layout {
    regions: SlotMap<RegionId, Region>,
    rng: fastrand::Rng,
    /// Also noted by those who change what is shown under the lock for reading, and a family's lock.
    damaged: Mutex<Vec<AddrRange>>,
}

#[derive(Debug)]
struct Region {
    range: AddrRange,
    parent: Option<RegionId>,
    /// How many regions it is inside of; less than [`allocate::DEPTH_MAX`], since walks recurse.
    depth: usize,
    flags: RegionFlags,
    children: Tree<Child>,
}

#[derive(Debug)]
enum Child {
    Region(RegionId),
    Mapping(Mapping),
}

/// Why an access faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is mapped there, or what was there has been discarded.
    NotMapped,
    /// The page does not allow the access.
    Denied,
    /// The page is past the end of its VMO.
    PastEnd,
    /// For no reason of its own: there is something to be done first, or another thread has changed it since.
    Waits,
}

impl AddressSpace {
    /// Reserves at most `len_max` bytes (a power of two; less where the system gives less) and makes them the root region.
    /// `seed` decides where things are placed.
    ///
    /// # Errors
    /// `NO_MEMORY`: not even the least useful reservation can be had.
    pub fn new(host: Arc<dyn Host>, len_max: u64, seed: u64) -> Result<Arc<Self>, Status> {
        const LEN_MIN: u64 = 16 << 20;
        let mut len = len_max;
        let range = loop {
            match host.reserve(len) {
                Ok(range) => break range,
                Err(_) if len > LEN_MIN => len /= 2,
                Err(error) => return Err(status(error)),
            }
        };
        let mut rng = fastrand::Rng::with_seed(seed);
        let flags = RegionFlags { can: Prot::all(), specific: true, compact: false };
        let mut regions = SlotMap::with_key();
        let root = regions.insert(Region { range, parent: None, depth: 0, flags, children: Tree::new(rng.u64(..)) });
        let layout = RankedRw::new(Rank::Layout, Layout { regions, rng, damaged: Mutex::default() });
        let space = Arc::new(Self {
            host,
            range,
            root,
            layout,
            parked: Mutex::default(),
            paged: AtomicBool::new(false),
            reclaim: Arc::default(),
            roots: Mutex::default(),
            unlocked: Mutex::default(),
            room: Mutex::default(),
        });
        let own: Weak<Self> = Arc::downgrade(&space);
        space.reclaim.observe(own.clone());
        space.host.serve_faults(own);
        Ok(space)
    }

    /// The addresses of the root region.
    pub fn range(&self) -> AddrRange {
        self.range
    }

    /// The root region.
    pub fn root(self: &Arc<Self>) -> Vmar {
        Vmar { space: self.clone(), id: self.root, range: self.range }
    }

    /// Why the host reported that `addr` cannot be accessed.
    pub fn why_fault(&self, addr: usize, access: Access) -> Fault {
        let addr = addr as u64;
        if addr < self.range.start() || addr >= self.range.end() {
            return if self.host.is_mapped(addr as usize) { Fault::Denied } else { Fault::NotMapped };
        }
        let layout = self.layout.read();
        let page = zxvm_host::addr::round_down(addr);
        let page = AddrRange::from_bounds(page, page + PAGE_SIZE);
        let Some((_, base, mapping)) = layout.first_mapping(self.root, page) else { return Fault::NotMapped };
        let need = match access {
            Access::Read => Prot::READ,
            Access::Write => Prot::WRITE,
        };
        let (prot, _) = mapping.prots.run_at(page.start() - base.start(), base.len());
        if !prot.contains(need) {
            return Fault::Denied;
        }
        let content = mapping.vmo.lock();
        // A VMO is as long as it was when it is discarded; what is not there is the page.
        let stream_size = mapping.vmo.stream_size_in(content.family());
        let end = project::limit_with(mapping, mapping.vmo.size_in(&content), stream_size);
        if mapping.vmo_range(base, page).end() > end {
            Fault::PastEnd
        } else if content.check_there().is_err() {
            Fault::NotMapped
        } else {
            Fault::Waits
        }
    }

    /// Asserts the invariants of the tree, and that the host shows exactly what it says.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn audit(&self) {
        self.audit_reclaim();
        // For writing: faults are resolved under it for reading, and would be seen half way.
        let layout = self.layout.write();
        layout.audit(self.root, None);
        assert!(!layout.is_damaged(), "the host would not put back {:?}", layout.damaged);
        let (views, watched) = layout.views(self.root, self.range);
        let expected = project::merged(views);
        let pieces = self.host.pieces(self.range).expect("the host answers audits");
        let shown = project::merged(pieces.into_iter().map(|piece| (piece.range, piece.view)).collect());
        assert_eq!(shown, expected, "the host shows something else than the tree says");
        for guard in watched.guards {
            let open = &mut |open| panic!("stores to {open:?} reach what others hold");
            self.host.unguarded_runs(guard, open).expect("the host answers audits");
        }
    }

    fn is_paged(&self) -> bool {
        self.paged.load(Ordering::Relaxed)
    }

    /// The lock, for a change; what an earlier refusal left is repaired first.
    fn change(&self) -> Result<WriteGuard<'_, Layout>, Status> {
        let mut layout = self.layout.write();
        loop {
            let damaged = layout.damaged.get_mut().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(range) = damaged else { return Ok(layout) };
            self.show_again(&layout, range).map_err(status)?;
        }
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        self.host.release(self.range);
    }
}

impl Vmar {
    /// Its addresses (also when it is dead).
    pub fn range(&self) -> AddrRange {
        self.range
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.id == self.space.root
    }

    /// Whether the other one is the same region of the same space.
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.space, &other.space)
    }

    /// The address space it is in.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// The part of the region that starts at `addr` and has `len` bytes, rounded up to pages by the caller; `None` if it
    /// is not wholly inside.
    fn inside(&self, addr: u64, len: u64) -> Option<AddrRange> {
        AddrRange::new(addr, len).ok().filter(|&range| self.range.contains(range))
    }
}

impl Layout {
    /// What the host shows in `range` is not what the tree says, and it would not be put right.
    fn note_damaged(&self, range: AddrRange) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).push(range);
    }

    fn is_damaged(&self) -> bool {
        !self.damaged.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn region(&self, id: RegionId) -> Result<&Region, Status> {
        self.regions.get(id).ok_or(Status::BAD_STATE)
    }

    fn region_mut(&mut self, id: RegionId) -> &mut Region {
        self.regions.get_mut(id).expect("alive")
    }

    /// The lowest mapping with a byte in `range`, regions below `id` entered: its region, where it is, and itself.
    fn first_mapping(&self, id: RegionId, range: AddrRange) -> Option<(RegionId, AddrRange, &Mapping)> {
        let region = self.regions.get(id).expect("alive");
        region.children.touching(range).find_map(|(at, child)| match child {
            Child::Mapping(mapping) => Some((id, at, mapping)),
            Child::Region(below) => self.first_mapping(*below, at.intersect(range).expect("it touches")),
        })
    }

    /// All mappings with a byte in `range`, lowest first, regions below `id` entered.
    fn mappings(&self, id: RegionId, range: AddrRange) -> impl Iterator<Item = (RegionId, AddrRange, &Mapping)> {
        let mut at = range.start();
        core::iter::from_fn(move || {
            let rest = (at < range.end()).then(|| AddrRange::from_bounds(at, range.end()))?;
            let found = self.first_mapping(id, rest)?;
            at = found.1.end();
            Some(found)
        })
    }

    /// Takes everything in `range` of the region out of the tree: parts of mappings outside stay, regions inside die.
    /// What is returned is to be dropped without locks.
    fn cut(&mut self, id: RegionId, range: AddrRange) -> Vec<Arc<Vmo>> {
        let mut gone = Vec::new();
        let mut from = range.start();
        while from < range.end() {
            let region = self.region_mut(id);
            let rest = AddrRange::from_bounds(from, range.end());
            let Some((at, _)) = region.children.first_touching(rest) else { break };
            from = at.end();
            match region.children.remove(at.start()).expect("just found").1 {
                Child::Region(below) => {
                    debug_assert!(range.contains(at));
                    gone.extend(self.cut(below, at));
                    self.regions.remove(below);
                }
                Child::Mapping(mapping) => {
                    let content = &mut mapping.vmo.lock();
                    mapping.vmo.mapping_gone(content, at.start());
                    content.family_mut().leave(at.intersect(range).expect("it touches"));
                    for side in [(at.start(), range.start()), (range.end(), at.end())] {
                        if side.0 < side.1 {
                            let part = AddrRange::from_bounds(side.0, side.1);
                            mapping.vmo.mapping_made(content, part.start());
                            region.children.insert(part, Child::Mapping(mapping.piece(at, part)));
                        }
                    }
                    gone.push(mapping.vmo.clone());
                }
            }
        }
        gone
    }

    fn audit(&self, id: RegionId, parent: Option<RegionId>) {
        let region = &self.regions[id];
        assert_eq!(region.parent, parent);
        region.children.audit(region.range);
        for (at, child) in region.children.touching(region.range) {
            match child {
                Child::Region(below) => {
                    assert_eq!(self.regions[*below].range, at);
                    assert!(region.flags.can.contains(self.regions[*below].flags.can));
                    self.audit(*below, Some(id));
                }
                Child::Mapping(mapping) => {
                    assert!(region.flags.can.contains(mapping.can));
                    mapping.prots.audit(at.len(), mapping.can);
                    let content = mapping.vmo.lock();
                    assert!(content.mappings.contains(&at.start()), "the VMO does not know of {at:?}");
                    for &base in &content.mappings {
                        let root = self.root_of(id);
                        let page = AddrRange::from_bounds(base, base + PAGE_SIZE);
                        let known = self.first_mapping(root, page);
                        assert!(
                            known.is_some_and(|(_, r, m)| r.start() == base && m.vmo.same_content(&mapping.vmo)),
                            "the VMO says that it is mapped at {base:#x}"
                        );
                    }
                }
            }
        }
    }

    fn root_of(&self, id: RegionId) -> RegionId {
        core::iter::successors(Some(id), |&id| self.regions[id].parent).last().expect("at least itself")
    }
}
