//! The simulated address space: reservations, what is mapped in them, and the page tables.
//!
//! 1. Reservations never overlap and never touch.
//! 2. The VMAs fill every reservation and nothing else. Neighbours that show equal and contiguous views are one VMA,
//!    as Linux merges them: so their number is what counts against Linux's limit.
//! 3. `shown` lists, for each store, the VMAs that show it.
//! 4. Page-table entries exist only where a store is shown. [`super::State`] sees to it that the page is committed.
//! 5. Pages are guarded, and accesses to them wait for more than that, only where a VMA is watched. Whether it is
//!    watched tells VMAs apart, as on Linux.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use super::runs::RunSet;
use crate::addr::{AddrRange, PAGE_SIZE, StoreRange};
use crate::api::{HostError, HostResult, Piece, Prot, Room, StoreId, View, Watch};

/// Where the first reservation goes: far from anything that a process, or Miri, really has.
pub(super) const BASE: u64 = 1 << 44;
/// Where user addresses end.
const LIMIT: u64 = 1 << 47;
/// What stays free between two reservations.
const SPACING: u64 = PAGE_SIZE;

/// A maximal piece of one view; its start is the key.
#[derive(Clone, Copy, Debug)]
struct Vma {
    end: u64,
    view: View,
    watched: bool,
}

/// VMAs beyond the limit for what gives back and for what is put back.
const RESERVE: usize = 16;

/// The address space.
#[derive(Debug)]
pub(super) struct Space {
    vmas_max: usize,
    /// Start to end of each.
    reservations: BTreeMap<u64, u64>,
    vmas: BTreeMap<u64, Vma>,
    /// Starts of the VMAs that show a store. No empty sets.
    shown: BTreeMap<StoreId, BTreeSet<u64>>,
    /// Addresses that have a page-table entry.
    pub(super) entries: RunSet,
    /// Addresses of pages whose stores wait.
    pub(super) guards: RunSet,
    /// Addresses at which accesses to absent pages wait.
    pub(super) absent_wait: RunSet,
    /// Addresses at which accesses to pages without an entry wait.
    pub(super) unentered_wait: RunSet,
}

impl Space {
    /// An empty one, which will never have more than `vmas_max` VMAs.
    pub(super) fn new(vmas_max: usize) -> Self {
        Self {
            vmas_max,
            reservations: BTreeMap::new(),
            vmas: BTreeMap::new(),
            shown: BTreeMap::new(),
            entries: RunSet::default(),
            guards: RunSet::default(),
            absent_wait: RunSet::default(),
            unentered_wait: RunSet::default(),
        }
    }

    /// How many VMAs there are.
    pub(super) fn vma_count(&self) -> usize {
        self.vmas.len()
    }

    /// Whether any VMA shows `store`.
    pub(super) fn shows(&self, store: StoreId) -> bool {
        self.shown.contains_key(&store)
    }

    /// Whether `range` lies in one reservation.
    pub(super) fn is_reserved(&self, range: AddrRange) -> bool {
        self.reservations.range(..=range.start()).next_back().is_some_and(|(_, &end)| range.end() <= end)
    }

    /// Reserves the lowest free `len` bytes.
    pub(super) fn reserve(&mut self, len: u64) -> HostResult<AddrRange> {
        let mut start = BASE;
        for (&taken, &end) in &self.reservations {
            if len.checked_add(SPACING).is_some_and(|room| room <= taken - start) {
                break;
            }
            start = end + SPACING;
        }
        let end = start.checked_add(len).filter(|end| *end <= LIMIT).ok_or(HostError::NoMemory)?;
        if self.vmas.len() >= self.vmas_max {
            return Err(HostError::NoMemory);
        }
        self.reservations.insert(start, end);
        self.insert(start, Vma { end, view: View::Held, watched: false });
        Ok(AddrRange::from_bounds(start, end))
    }

    /// Gives the reservation back, with all that is mapped there.
    pub(super) fn release(&mut self, range: AddrRange) {
        assert_eq!(
            self.reservations.get(&range.start()),
            Some(&range.end()),
            "contract: releasing {range:?}, which is no reservation"
        );
        self.reservations.remove(&range.start());
        self.entries.remove(bounds(range));
        self.end_watch(range);
        while let Some((&start, _)) = self.vmas.range(bounds(range)).next() {
            self.remove(start);
        }
    }

    /// Shows `view` in the whole of `range`, without page-table entries.
    pub(super) fn map(&mut self, range: AddrRange, view: View, from: Room) -> HostResult {
        let vmas_max = self.limit(from);
        self.replace(range, view, false, vmas_max)?;
        self.entries.remove(bounds(range));
        self.end_watch(range);
        Ok(())
    }

    fn limit(&self, room: Room) -> usize {
        match room {
            Room::Ordinary => self.vmas_max,
            Room::Reserve => self.vmas_max + RESERVE,
        }
    }

    /// Lets all accesses to the range go on, until something is guarded there.
    pub(super) fn end_watch(&mut self, range: AddrRange) {
        for set in [&mut self.guards, &mut self.absent_wait, &mut self.unentered_wait] {
            set.remove(bounds(range));
        }
    }

    /// Watches the range, all of which shows stores.
    ///
    /// # Errors
    /// `NoMemory`: the VMAs below the one that did not fit are watched.
    pub(super) fn watch(&mut self, range: AddrRange, what: Watch, room: Room) -> HostResult {
        for piece in self.pieces(range) {
            self.replace(piece.range, piece.view, true, self.limit(room))?;
            let addrs = bounds(piece.range);
            match what {
                Watch::Guarded => {}
                Watch::Absent => drop(self.absent_wait.insert(addrs)),
                Watch::Unentered => {
                    self.absent_wait.insert(addrs.clone());
                    self.unentered_wait.insert(addrs);
                }
            }
        }
        Ok(())
    }

    /// Whether all of the range is watched.
    pub(super) fn is_watched(&self, range: AddrRange) -> bool {
        let before = self.vmas.range(..=range.start()).next_back();
        let from = before.map_or(range.start(), |(&start, _)| start);
        self.vmas.range(from..range.end()).all(|(_, vma)| vma.watched)
    }

    /// Changes what is allowed, VMA by VMA from the lowest on, as Linux does.
    ///
    /// # Errors
    /// `NoMemory`: the VMAs below the one that did not fit have been changed.
    pub(super) fn protect(&mut self, range: AddrRange, prot: Prot, room: Room) -> HostResult {
        for piece in self.pieces(range) {
            match piece.view {
                View::Held => unreachable!("the caller has checked that {range:?} shows stores"),
                View::Store { store, at, .. } => {
                    let (_, vma) = self.vmas.range(..=piece.range.start()).next_back().expect("the piece is there");
                    let watched = vma.watched;
                    self.replace(piece.range, View::Store { store, at, prot }, watched, self.limit(room))?
                }
            }
        }
        Ok(())
    }

    /// What is in `range`, which is reserved; lowest first.
    pub(super) fn pieces(&self, range: AddrRange) -> Vec<Piece> {
        let across = self.vmas.range(..range.start()).next_back();
        let inside = self.vmas.range(bounds(range));
        across
            .into_iter()
            .chain(inside)
            .filter_map(|(&start, vma)| {
                let piece = AddrRange::from_bounds(start, vma.end).intersect(range)?;
                Some(Piece { range: piece, view: shifted(vma.view, piece.start() - start) })
            })
            .collect()
    }

    /// What the page at `addr` shows; `None` outside every reservation.
    pub(super) fn view_at(&self, addr: u64) -> Option<View> {
        let (&start, vma) = self.vmas.range(..=addr).next_back()?;
        (addr < vma.end).then(|| shifted(vma.view, addr - start))
    }

    /// Drops every page-table entry that leads to `range` of the store.
    pub(super) fn forget_entries(&mut self, store: StoreId, range: StoreRange) {
        for start in self.shown.get(&store).into_iter().flatten() {
            let vma = self.vmas[start];
            let View::Store { at, .. } = vma.view else { unreachable!("`shown` lists only VMAs that show a store") };
            let shows = StoreRange::from_bounds(at, at + (vma.end - start));
            if let Some(part) = shows.intersect(range) {
                let addr = start + (part.start() - at);
                self.entries.remove(addr..addr + part.len());
            }
        }
    }

    /// Puts `view` in place of what `range` shows, merging with the neighbours.
    fn replace(&mut self, range: AddrRange, view: View, watched: bool, vmas_max: usize) -> HostResult {
        if range.is_empty() {
            return Ok(());
        }
        // All VMAs that overlap the range, and the neighbours that touch it.
        let before = self.vmas.range(..range.start()).next_back().filter(|(_, vma)| vma.end >= range.start());
        let from_start = self.vmas.range(range.start()..=range.end());
        let touched: Vec<(u64, Vma)> =
            before.into_iter().chain(from_start).map(|(&start, &vma)| (start, vma)).collect();

        let mut middle = (range.start(), Vma { end: range.end(), view, watched });
        let mut left = touched.first().copied().filter(|(start, _)| *start < range.start());
        let mut right = touched.last().copied().filter(|(_, vma)| vma.end > range.end());
        if let Some((start, vma)) = &mut left {
            vma.end = range.start();
            if shifted(vma.view, vma.end - *start) == middle.1.view && vma.watched == watched {
                middle = (*start, Vma { end: range.end(), view: vma.view, watched });
                left = None;
            }
        }
        if let Some((start, vma)) = &mut right {
            vma.view = shifted(vma.view, range.end() - (*start).min(range.end()));
            *start = range.end();
            if shifted(middle.1.view, range.end() - middle.0) == vma.view && vma.watched == watched {
                middle.1.end = vma.end;
                right = None;
            }
        }

        let after = self.vmas.len() - touched.len() + 1 + usize::from(left.is_some()) + usize::from(right.is_some());
        if after > vmas_max {
            return Err(HostError::NoMemory);
        }
        for (start, _) in touched {
            self.remove(start);
        }
        for (start, vma) in left.into_iter().chain([middle]).chain(right) {
            self.insert(start, vma);
        }
        Ok(())
    }

    fn insert(&mut self, start: u64, vma: Vma) {
        match vma.view {
            View::Held => {}
            View::Store { store, .. } => {
                self.shown.entry(store).or_default().insert(start);
            }
        }
        self.vmas.insert(start, vma);
    }

    fn remove(&mut self, start: u64) {
        let vma = self.vmas.remove(&start).expect("the VMA was just found");
        match vma.view {
            View::Held => {}
            View::Store { store, .. } => {
                let starts = self.shown.get_mut(&store).expect("`shown` lists every VMA that shows a store");
                starts.remove(&start);
                if starts.is_empty() {
                    self.shown.remove(&store);
                }
            }
        }
    }
}

/// The range in the standard library's form.
pub(super) fn bounds(range: AddrRange) -> Range<u64> {
    range.start()..range.end()
}

/// The view that continues `view` after `by` bytes.
pub(super) fn shifted(view: View, by: u64) -> View {
    match view {
        View::Held => View::Held,
        View::Store { store, at, prot } => View::Store { store, at: at + by, prot },
    }
}
