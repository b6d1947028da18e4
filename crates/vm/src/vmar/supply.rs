//! Supplying: what is absent of a pager's VMO gets content, out of another VMO or out of bytes.
//!
//! 1. Existing content always wins. A page is guarded before it is there, and is there whole or not at all.
//! 2. Room is borrowed for each page that comes. For what there is none, and none can be made, it is as if it had been evicted at
//!    once: those who wait for it wait for room, and ask again.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use zxvm_host::user::UserRef;
use zxvm_host::{Access, Halfway, PAGE_SIZE, Prot, VmoRange};
use zxvm_types::Status;

use super::paging::check_there;
use super::room::Waiter;
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::pager::{PageState, RequestKind, Who, Woken};
use crate::store::Window;
use crate::vmo::Vmo;
use crate::vmo::family::{Family, Locked};
use crate::vmo::io::IoError;
use crate::vmo::source::{Pager, ROOT};

/// Bytes supplied under one hold of the locks.
const STEP: u64 = 2 << 20;

/// Bytes of a caller taken at a time.
const BYTES: usize = 64 << 10;

/// What is taken out of the VMO from which pages are supplied: a committed run, `into` bytes from the start of what is
/// supplied.
struct Taken {
    into: u64,
    len: u64,
    window: Arc<Window>,
    /// Where in the window, bytes.
    at: u64,
}

/// Where what is supplied comes from.
enum Material<'a> {
    /// Committed runs of another VMO; what is between them is zero.
    Taken(&'a [Taken]),
    /// All of it.
    Bytes(&'a [u8]),
}

/// Where a part of it comes from that has content.
enum Piece<'a> {
    /// A window, from this byte of it on.
    Window(&'a Window, u64),
    Bytes(&'a [u8]),
}

impl Material<'_> {
    /// The parts of `run` that have content, lowest first; the material begins at `base`.
    fn parts(&self, base: u64, run: VmoRange) -> impl Iterator<Item = (VmoRange, Piece<'_>)> {
        let (taken, bytes) = match self {
            Self::Taken(taken) => {
                let first = taken.partition_point(|piece| base + piece.into + piece.len <= run.start());
                (&taken[first..], None)
            }
            Self::Bytes(bytes) => {
                (&[][..], Some((run, Piece::Bytes(&bytes[(run.start() - base) as usize..(run.end() - base) as usize]))))
            }
        };
        let taken = taken.iter().map_while(move |piece| {
            let start = base + piece.into;
            let part = VmoRange::from_bounds(start, start + piece.len).intersect(run)?;
            Some((part, Piece::Window(&piece.window, piece.at + (part.start() - start))))
        });
        taken.chain(bytes)
    }
}

impl AddressSpace {
    /// Moves the pages of `[aux_offset, aux_offset + len)` of `aux` to what is absent in `[offset, offset + len)` of the VMO.
    /// All are whole pages.
    ///
    /// # Errors
    /// Steps 4 and 6 to 8 of pager.md §4, in that order; `NO_MEMORY`, `NO_RESOURCES`: a part may have been supplied, and `aux`
    /// has all of it still.
    pub fn supply_pages(
        &self,
        pager: &Pager,
        vmo: &Vmo,
        offset: u64,
        len: u64,
        aux: &Vmo,
        aux_offset: u64,
    ) -> Result<(), Status> {
        if !self.is_pagers(pager, vmo) {
            return Err(Status::INVALID_ARGS);
        }
        let taken = take(aux, aux_offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let supplied = self.supply(vmo.family(), (offset, len), &Material::Taken(&taken), None);
        match supplied {
            // Refused by the host: what was to be supplied is not lost.
            Err(Status::NO_MEMORY | Status::NO_RESOURCES) => {}
            Ok(()) | Err(_) => aux.decommit(aux_offset, len)?,
        }
        supplied
    }

    /// Copies the buffer, whole pages, to what is absent from `offset` on, which is one's start. Unlike with
    /// [`AddressSpace::supply_pages`] nothing becomes zero without a page.
    ///
    /// # Errors
    /// Steps 4 and 8 of pager.md §4, in that order; what the buffer gives; `NO_MEMORY`, `NO_RESOURCES`. What comes before is supplied.
    pub fn supply_bytes(&self, pager: &Pager, vmo: &Vmo, offset: u64, from: UserRef<'_>) -> Result<(), IoError> {
        if !self.is_pagers(pager, vmo) {
            return Err(Status::INVALID_ARGS.into());
        }
        {
            let content = &vmo.lock();
            vmo.check_range(content, offset, from.len() as u64)?;
            check_there(content)?;
        }
        let mut bytes = vec![0; from.len().min(BYTES)];
        let mut done = 0;
        while done < from.len() {
            let part = from.part(done, (from.len() - done).min(BYTES));
            let bytes = &mut bytes[..part.len()];
            part.copy_to(bytes).map_err(|fault| IoError::Buffer { at: fault.at })?;
            let at = (offset + done as u64, bytes.len() as u64);
            self.supply(vmo.family(), at, &Material::Bytes(bytes), None)?;
            done += bytes.len();
        }
        Ok(())
    }

    /// Supplies bytes, whole pages, from `offset` on to what is absent there and still asked for by the request `id`.
    pub(super) fn supply_claimed(&self, family: &Family, offset: u64, bytes: &[u8], id: u64) -> Result<(), Status> {
        self.supply(family, (offset, bytes.len() as u64), &Material::Bytes(bytes), Some(id))
    }

    /// Supplies step by step, to what is absent or, of that, what the request `only` asks for still.
    fn supply(
        &self,
        family: &Family,
        (offset, len): (u64, u64),
        material: &Material<'_>,
        only: Option<u64>,
    ) -> Result<(), Status> {
        let mut done = 0;
        while done < len {
            let relief = self.reclaim.relief();
            let step = STEP.min(len - done);
            let supplied = self.supply_locked(family, (offset, len), (done, step), material, only)?;
            if supplied == step || self.make_room()? {
                done += supplied;
                continue;
            }
            let rest = VmoRange::from_bounds(offset + done + supplied, offset + done + step);
            self.starve(family, RequestKind::Read, rest, relief);
            done += step;
        }
        self.keep_room();
        Ok(())
    }

    /// Supplies `step` bytes from `done` bytes of the whole on, up to the first page for which there is no room: answers how many
    /// bytes come before that.
    fn supply_locked(
        &self,
        family: &Family,
        (offset, len): (u64, u64),
        (done, step): (u64, u64),
        material: &Material<'_>,
        only: Option<u64>,
    ) -> Result<u64, Status> {
        let mut woken = Woken::new();
        let result = {
            let layout = self.layout.read();
            let end = offset.checked_add(len).ok_or(Status::OUT_OF_RANGE)?;
            let range = VmoRange::from_bounds(offset + done, offset + done + step);
            let content = &mut family.lock_settled(range);
            // Whoever supplies may do so for a root that has gone.
            if content.family().source.is_none() {
                return Err(Status::BAD_STATE);
            }
            if end > content.size {
                return Err(Status::OUT_OF_RANGE);
            }
            check_there(content)?;
            let result = self.supply_step(&layout, family, content, range, (offset, material, only));
            let source = content.root_mut();
            source.residency.repay();
            if let Ok(end) = result {
                let supplied = VmoRange::from_bounds(range.start(), end);
                source.resolve(RequestKind::Read, supplied, &mut woken);
                self.enter(&layout, content, supplied, &woken);
            }
            result.map(|end| end - range.start())
        };
        self.wake(woken);
        result
    }

    /// There is no room for pages of `range` that the pager has let have: who asked for one of them waits for room.
    pub(super) fn starve(&self, family: &Family, kind: RequestKind, range: VmoRange, relief: u64) {
        let mut woken = Woken::new();
        let (root, starved): (_, Vec<(u64, Who)>) = {
            let content = &mut family.lock(ROOT);
            let Some(source) = content.family_mut().source.as_deref_mut() else { return };
            (source.residency.root(), source.requests.starve(&*source.port, kind, range, &mut woken).collect())
        };
        self.wake(woken);
        for (page, who) in starved.into_iter().filter(|(_, who)| !matches!(who, Who::Nobody)) {
            self.wait_for_room(Waiter { who, wanted: Some((root, page)) }, relief);
        }
    }

    /// Supplies what is absent in `range`, up to the first page for which there is no room; the material begins at `base`. Answers
    /// up to where.
    fn supply_step(
        &self,
        layout: &Layout,
        family: &Family,
        content: &mut Locked<'_>,
        range: VmoRange,
        (base, material, only): (u64, &Material<'_>, Option<u64>),
    ) -> Result<u64, Status> {
        let source = content.root();
        let mut absent = source.states.runs_where(range, |state| state == PageState::Absent);
        if let Some(id) = only {
            let left = source.requests.left(RequestKind::Read, id);
            absent = absent.iter().flat_map(|run| left.iter().filter_map(|left| left.intersect(*run))).collect();
        }
        let whole = content.whole();
        for run in absent {
            content.family_mut().ensure(&family.stores, ROOT, run, whole)?;
            self.guard_shown(layout, content.family(), run)?;
            let mut at = run.start();
            for (part, piece) in material.parts(base, run) {
                let source = content.root_mut();
                source.set(VmoRange::from_bounds(at, part.start()), PageState::CleanZero);
                let room = source.residency.borrow(part.pages(), 0) * PAGE_SIZE;
                let fits = VmoRange::from_bounds(part.start(), part.start() + room);
                if !fits.is_empty() {
                    self.fill(content, fits, &piece)?;
                }
                if fits != part {
                    return Ok(fits.end());
                }
                at = part.end();
            }
            content.root_mut().set(VmoRange::from_bounds(at, run.end()), PageState::CleanZero);
        }
        Ok(range.end())
    }

    /// Copies a piece to absent pages, which are clean then: all, or those before a refusal.
    fn fill(&self, content: &mut Locked<'_>, part: VmoRange, piece: &Piece<'_>) -> Result<(), Status> {
        let (mut end, mut result) = (part.end(), Ok(()));
        for place in content.extents.places(part) {
            let (into, len) = (place.range.start() - part.start(), place.range.len());
            let (store, to) = (place.window.store(), place.window.part(place.at, len));
            let copied = match piece {
                Piece::Window(window, at) => {
                    self.host.copy(window.store(), window.part(at + into, len), store, to.start())
                }
                Piece::Bytes(bytes) => {
                    let bytes = UserRef::from(&bytes[into as usize..(into + len) as usize]);
                    self.host.write_store(store, to.start(), bytes).map_err(|error| {
                        // What of it came through is taken back. Freeing takes no memory.
                        let _ = self.host.punch(store, to);
                        Halfway { done: 0, error }
                    })
                }
            };
            if let Err(halfway) = copied {
                (end, result) = (place.range.start() + halfway.done, Err(status(halfway.error)));
                break;
            }
        }
        let filled = VmoRange::from_bounds(part.start(), end);
        content.root_mut().set(filled, PageState::Clean);
        self.reclaim.done.supplied.fetch_add(filled.pages(), Ordering::Relaxed);
        result
    }

    /// Makes page-table entries for pages just supplied, in mappings where somebody waited for some of them.
    fn enter(&self, layout: &Layout, content: &Locked<'_>, range: VmoRange, woken: &Woken) {
        if woken.is_empty() || range.len() <= PAGE_SIZE {
            return;
        }
        let source = content.root();
        let there = source.states.runs_where(range, PageState::has_page);
        let family = content.family();
        let mut seen = family.seen_through(ROOT, range);
        seen.push((ROOT, range));
        for (other, shown) in seen {
            let origin = family.contents[other as usize].origin;
            for part in layout.parts(self.root, family, other, shown) {
                let waited = |page: u64| part.addrs.start() <= page && page < part.addrs.end();
                if !woken.iter().any(|(waiting, _)| waited(waiting.page)) {
                    continue;
                }
                let here = |run: &VmoRange| {
                    let local = (run.start().checked_sub(origin)?, run.end().checked_sub(origin)?);
                    VmoRange::from_bounds(local.0, local.1).intersect(part.range)
                };
                let readable = layout.prots(self.root, &part).into_iter();
                for (addrs, _) in readable.filter(|(_, prot)| prot.contains(Prot::READ)) {
                    for run in there.iter().filter_map(here) {
                        if let Some(addrs) = part.addrs_of(run).intersect(addrs) {
                            // Without an entry the access makes it.
                            let _ = self.host.populate(addrs, Access::Read);
                        }
                    }
                }
            }
        }
    }
}

/// What is committed in a range of the VMO from which pages are supplied.
///
/// # Errors
/// Step 6 of pager.md §4.
fn take(aux: &Vmo, offset: u64, len: u64) -> Result<Vec<Taken>, Status> {
    let content = &mut aux.lock();
    let start = aux.check_range(content, offset, len)?;
    if content.family().source.is_some() {
        return Err(Status::NOT_SUPPORTED);
    }
    if content.family().nodes.len() > 1 {
        return Err(Status::BAD_STATE);
    }
    let mut runs = Vec::new();
    aux.committed_in(content, VmoRange::from_bounds(start, start + len), &mut |run, _| runs.push(run))?;
    let mut taken = Vec::new();
    for run in runs {
        for place in content.extents.places(run) {
            let (into, len) = (place.range.start() - start, place.range.len());
            taken.push(Taken { into, len, window: place.window.clone(), at: place.at });
        }
    }
    Ok(taken)
}
