//! Copy on write: a content gets frames of its own for what it shares, and mappings follow.
//!
//! 1. Shared frames are never stored to. In every mapping that may become writable they are guarded, so the first store
//!    comes here, by [`FaultSink`].
//! 2. Who moves? There is one frame for several contents, and room for another one in somebody's home. Whoever moves
//!    gets the copy there. A move costs a mapping its place (and Linux a VMA), so the writer keeps the frame if nobody
//!    else is shown it: the others take the copy. Otherwise the one who is not at home moves, or the writer.
//! 3. What a mapping is moved to is its content's alone, so it can be shown without a guard: there is no instant in
//!    which a store could slip through. Where several mappings show the content, all but the first are made to wait
//!    until the last one shows the new place: no thread sees two states.
//! 4. A move is: copy, show, then change the books. If nothing could be shown all is as before. If only a part could be,
//!    the move is done all the same, and the rest is noted as damaged: somebody may have stored to the new place.
//!
//! Everything here is done under the layout lock, for reading at least, and the family's lock.

use core::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use zxvm_host::{
    Access, AddrRange, Answer, FaultSink, HostError, PAGE_SIZE, Prot, Room, View, VmoRange, Wait, Waiting, Watch,
};
use zxvm_types::Status;

use super::project::limit;
use super::{AddressSpace, Fault, Layout, RegionId};
use crate::error::{NO_ROOM, status};
use crate::pager::RequestPort;
use crate::store::Window;
use crate::vmo::Vmo;
use crate::vmo::family::{Cell, Family, FamilyState, Locked};

/// Pages let go together when a store comes to one of a run that nobody shares any more.
const UNGUARD: u64 = 64 * PAGE_SIZE;

/// What is looked at when an access comes to an absent page that makes it wait, and how much of it must be absent to be
/// let go together.
const ABSENT_LOOK: u64 = 512 * PAGE_SIZE;
pub const ABSENT_MIN: u64 = 16 * PAGE_SIZE;

/// Others that are moved rather than a writer whom nobody sees move: finding them costs a look each.
const OTHERS_MAX: u32 = 16;

/// How long a store waits before it tries again, where there was no memory for it.
const NO_MEMORY_WAIT: Duration = Duration::from_millis(5);

/// What is to happen with what is in the pages that a content gets for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It stays.
    All,
    /// It becomes zero.
    Nothing,
}

/// A part of a mapping that shows a part of a content.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where the mapping starts.
    pub base: AddrRange,
    /// The part.
    pub addrs: AddrRange,
    /// What it shows, in the content.
    pub range: VmoRange,
    /// Whether the mapping may ever be stored through.
    pub storable: bool,
}

impl Part {
    /// The addresses that show `range`, which is inside.
    pub fn addrs_of(&self, range: VmoRange) -> AddrRange {
        let start = self.addrs.start() + (range.start() - self.range.start());
        AddrRange::from_bounds(start, start + range.len())
    }
}

/// What became of what a thread waits for.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// Nothing was to be done, or it was done by others.
    Nothing,
    /// It was dealt with.
    Something,
    /// It was dealt with, and the thread goes on already.
    LetGo,
    /// It is a pager's business, and this is what becomes of it.
    Answered(Answer),
    /// It waits for what is to be brought by the thread that is here.
    Asked(Arc<Family>, Arc<dyn RequestPort>),
}

/// Who gets the copy.
enum Mover {
    /// The one who asked.
    Itself,
    /// All others that hold the frame, each with the place of the run in it.
    Others(Vec<(u32, VmoRange)>),
}

impl Layout {
    /// The parts of mappings that show a page of `range` of a content.
    pub fn parts(&self, root: RegionId, family: &FamilyState, content: u32, range: VmoRange) -> Vec<Part> {
        let mut parts = Vec::new();
        for &base in &family.contents[content as usize].mappings {
            let page = AddrRange::from_bounds(base, base + PAGE_SIZE);
            let (_, at, mapping) = self.first_mapping(root, page).expect("the content knows its mappings");
            debug_assert_eq!(mapping.vmo.content(), content);
            let shown = mapping.vmo_range(at, at);
            let Some(inside) = shown.intersect(VmoRange::from_bounds(0, limit(mapping, family))) else { continue };
            let Some(range) = mapping.vmo.in_content(inside).intersect(range) else { continue };
            let start = at.start() + (range.start() - mapping.vmo.base() - shown.start());
            let addrs = AddrRange::from_bounds(start, start + range.len());
            parts.push(Part { base: at, addrs, range, storable: mapping.can.contains(Prot::WRITE) });
        }
        parts
    }
}

impl AddressSpace {
    /// Gives the content frames of its own for all of `range` that it shares with others.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: what came before is done, and nobody can tell.
    pub(super) fn make_own(
        &self,
        layout: &Layout,
        family: &Family,
        state: &mut FamilyState,
        content: u32,
        range: VmoRange,
    ) -> Result<(), Status> {
        let mut rest = range;
        while let Some(cell) = state.first_shared(content, rest) {
            let (run, mover) = self.who_moves(layout, state, content, &cell);
            let cell = cell.part(run);
            let done = match mover {
                Mover::Itself => self.move_itself(layout, family, state, content, &cell, Keep::All)?,
                Mover::Others(others) => self.move_others(layout, family, state, content, &cell, &others)?,
            };
            rest = VmoRange::from_bounds(done, range.end());
        }
        Ok(())
    }

    /// Takes the shared pages of `range` from the content, without a copy: they read as zero.
    ///
    /// # Errors
    /// As [`AddressSpace::make_own`]; what came before is zero.
    pub(super) fn drop_shared(
        &self,
        layout: &Layout,
        family: &Family,
        state: &mut FamilyState,
        content: u32,
        range: VmoRange,
    ) -> Result<(), Status> {
        let mut rest = range;
        while let Some(cell) = state.first_shared(content, rest) {
            // Where it lies over another content, what it has no place for would be shown of that.
            let lies_over = state.over(content).is_some();
            let done = if !lies_over && layout.parts(self.root, state, content, cell.range).is_empty() {
                state.release(family.host(), &cell);
                let content = &mut state.contents[content as usize];
                content.known.forget(cell.range);
                content.extents.cut(cell.range);
                family.moved();
                cell.range.end()
            } else {
                self.move_itself(layout, family, state, content, &cell, Keep::Nothing)?
            };
            rest = VmoRange::from_bounds(done, range.end());
        }
        Ok(())
    }

    /// Who gets the copy of a shared cell that the content is to have for its own, and of how much of it at once.
    fn who_moves(&self, layout: &Layout, state: &FamilyState, content: u32, cell: &Cell) -> (VmoRange, Mover) {
        let shown = |content, range| !layout.parts(self.root, state, content, range).is_empty();
        let count = cell.count.expect("it is shared");
        let at_home = state.contents[content as usize].extents.is_home(&cell.window);
        let seen = shown(content, cell.range);
        if !seen && (!at_home || count > OTHERS_MAX) {
            return (cell.range, Mover::Itself);
        }
        let (run, others) = state.sharers(content, cell);
        let nobody_sees = !others.iter().any(|&(other, range)| shown(other, range));
        if nobody_sees || at_home && others.len() == 1 && seen {
            (run, Mover::Others(others))
        } else {
            (run, Mover::Itself)
        }
    }

    /// The content gets another place for the pages of a shared cell. Returns up to where: there may be no room for all
    /// of them in one place.
    fn move_itself(
        &self,
        layout: &Layout,
        family: &Family,
        state: &mut FamilyState,
        content: u32,
        cell: &Cell,
        keep: Keep,
    ) -> Result<u64, Status> {
        let (run, window, at) =
            state.other_place(&family.stores, content, cell.range, state.contents[content as usize].size)?;
        let cell = cell.part(run);
        match keep {
            Keep::All => copy(family, state, &cell, &window, at)?,
            Keep::Nothing => {}
        }
        self.show_moved(layout, state, content, run, &window, at)
            .inspect_err(|_| state.free(family.host(), &window, window.part(at, run.len())))?;
        state.release(family.host(), &cell);
        let moved = &mut state.contents[content as usize];
        moved.extents.replace(run, &window, at);
        match keep {
            Keep::All => moved.known.note(run),
            Keep::Nothing => moved.known.forget(run),
        }
        family.moved();
        Ok(run.end())
    }

    /// The others get another place for the pages of a shared cell, all the same one.
    fn move_others(
        &self,
        layout: &Layout,
        family: &Family,
        state: &mut FamilyState,
        content: u32,
        cell: &Cell,
        others: &[(u32, VmoRange)],
    ) -> Result<u64, Status> {
        let &(first, range) = others.first().expect("it is shared");
        let (run, window, at) = state.other_place(&family.stores, first, range, state.contents[first as usize].size)?;
        let cell = cell.part(VmoRange::from_bounds(cell.range.start(), cell.range.start() + run.len()));
        copy(family, state, &cell, &window, at)?;
        // Those whom somebody sees are moved alone: it takes no guard to show them what is theirs alone.
        if others.len() == 1 {
            self.show_moved(layout, state, first, run, &window, at)
                .inspect_err(|_| state.free(family.host(), &window, window.part(at, run.len())))?;
        }
        let at_home = state.contents[content as usize].extents.is_home(&cell.window);
        state.frames.change(cell.window.store(), cell.stored(), |_, _| (!at_home).then_some(1));
        if others.len() > 1 {
            let part = window.part(at, run.len());
            state.frames.change(window.store(), part, |_, _| Some(others.len() as u32));
        }
        for &(other, range) in others {
            let range = VmoRange::from_bounds(range.start(), range.start() + run.len());
            state.contents[other as usize].extents.replace(range, &window, at);
        }
        family.moved();
        Ok(cell.range.end())
    }

    /// Shows `run` of the content at its new place, in every mapping that shows it. The books say still what was before.
    pub(super) fn show_moved(
        &self,
        layout: &Layout,
        state: &FamilyState,
        content: u32,
        run: VmoRange,
        window: &Window,
        at: u64,
    ) -> Result<(), Status> {
        let parts = layout.parts(self.root, state, content, run);
        let undo = |touched: &[Part]| {
            for part in touched {
                let _ = self.show_locked(layout, state, part.addrs);
            }
        };
        for (index, part) in parts.iter().enumerate().skip(1) {
            let waits = self
                .host
                .watch(part.addrs, Watch::Unentered, Room::Ordinary)
                .and_then(|()| self.host.drop_entries(&[part.addrs]));
            match waits {
                // Without a watch nobody can be made to wait, but then nobody may store here either: a mapping that may
                // be written to is given frames of its own when it is made.
                Ok(()) | Err(HostError::NotSupported) => {}
                Err(error) => {
                    undo(&parts[1..=index]);
                    return Err(status(error));
                }
            }
        }
        let mut shown = false;
        for (index, part) in parts.iter().enumerate() {
            for (addrs, prot) in layout.prots(self.root, part) {
                let into = part.range.start() - run.start() + (addrs.start() - part.addrs.start());
                let view = View::Store { store: window.store(), at: window.offset(at + into), prot };
                match self.host.map(addrs, view) {
                    Ok(()) => {
                        self.wake_parked(addrs);
                        shown = true;
                    }
                    Err(error) if !shown => {
                        undo(&parts[index..]);
                        return Err(status(error));
                    }
                    // A store may have gone to the new place already. Who comes here waits, and is shown it then.
                    Err(_) => {
                        layout.note_damaged(addrs);
                        continue;
                    }
                }
                if part.storable {
                    // It can be guarded one day, and is one with its neighbours until then. It need not be.
                    let _ = self.watch(addrs, Watch::Guarded, Room::Ordinary);
                }
            }
        }
        Ok(())
    }

    /// What a thread waits for is dealt with.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: it has to wait longer.
    pub(super) fn resolve(&self, waiting: Waiting) -> Result<Resolved, Status> {
        let page = AddrRange::from_bounds(waiting.page, waiting.page + PAGE_SIZE);
        if !self.range.contains(page) {
            return Ok(Resolved::Nothing);
        }
        let layout = self.layout.read();
        let Some((_, base, mapping)) = layout.first_mapping(self.root, page) else { return Ok(Resolved::Nothing) };
        let vmo = &mapping.vmo;
        // Whoever makes others wait holds this lock until they need not.
        let content = &mut vmo.lock();
        let shown = mapping.vmo_range(base, page);
        if shown.end() > limit(mapping, content.family()) {
            return Ok(Resolved::Nothing);
        }
        let range = vmo.in_content(shown);
        if layout.is_damaged() {
            // It may be made to wait by what could not be undone: shown anew it is not.
            let _ = self.show_locked(&layout, content.family(), page);
        }
        if content.paged().is_some() {
            let answer = self.access_paged(&layout, vmo, content, range, waiting)?;
            return Ok(answered(answer, vmo, content));
        }
        if let Some(answer) = self.access_over(&layout, vmo, content, range, waiting)? {
            return Ok(answered(answer, vmo, content));
        }
        // Only what is careful was ever frozen.
        let (absent, stores) = match waiting.reason {
            Wait::Guarded => (false, true),
            Wait::Absent => (content.careful, false),
            // It was, until the locks were free.
            Wait::Unentered => return Ok(Resolved::Something),
            Wait::Denied => return Ok(Resolved::Nothing),
            Wait::Unknown => {
                let mut there = false;
                vmo.committed_in(content, range, &mut |_, _| there = true)?;
                (content.careful && !there, waiting.store)
            }
        };
        if absent {
            self.let_absent_go(&layout, vmo, content, range, page)?;
        }
        let (prot, _) = mapping.prots.run_at(page.start() - base.start(), base.len());
        if !stores || !prot.contains(Prot::WRITE) {
            return Ok(if absent { Resolved::Something } else { Resolved::Nothing });
        }
        let state = content.family_mut();
        if state.first_shared(vmo.content(), range).is_some() {
            self.make_own(&layout, vmo.family(), state, vmo.content(), range)?;
        } else if self.let_stores_go(&layout, state, vmo, range, page) {
            return Ok(Resolved::LetGo);
        }
        // Where the page was moved to it is not guarded; then there is nothing to end.
        Ok(if self.host.unguard(page).is_ok() { Resolved::LetGo } else { Resolved::Something })
    }

    /// Lets accesses to absent pages around `page`, which shows `range`, go on by themselves, as before they were frozen. If
    /// there are only few it is not worth a mapping more: then the page is there afterwards.
    fn let_absent_go(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
        page: AddrRange,
    ) -> Result<(), Status> {
        let block = range.start() - range.start() % ABSENT_LOOK;
        let block = VmoRange::from_bounds(block, block.saturating_add(ABSENT_LOOK).min(content.whole().end()));
        let Some(block) = block.intersect(content.whole()) else { return Ok(()) };
        let parts = layout.parts(self.root, content.family(), vmo.content(), block);
        let Some(part) = parts.into_iter().find(|part| part.addrs.contains(page)) else { return Ok(()) };
        let place = content.extents.places(part.range).find(|place| place.range.intersect(range).is_some());
        let Some(place) = place else { return Ok(()) };
        let place = (place.range, place.window.clone(), place.at);
        let (mut start, mut end) = (place.0.start(), place.0.end());
        let mut present = false;
        vmo.committed_in(content, place.0, &mut |run, _| match run {
            run if run.end() <= range.start() => start = run.end(),
            run if run.start() >= range.end() => end = end.min(run.start()),
            _ => present = true,
        })?;
        if present {
            return Ok(());
        }
        let gap = VmoRange::from_bounds(start, end);
        if gap.len() >= ABSENT_MIN && self.host.unfreeze(part.addrs_of(gap)).is_ok() {
            return Ok(());
        }
        let at = place.2 + (range.start() - place.0.start());
        self.host.commit(place.1.store(), place.1.part(at, PAGE_SIZE), None).map_err(status)
    }

    /// Ends the guard of a page that its content has alone again, and of its neighbours of which that is true. Answers
    /// whether it could.
    fn let_stores_go(
        &self,
        layout: &Layout,
        state: &mut FamilyState,
        vmo: &Vmo,
        range: VmoRange,
        page: AddrRange,
    ) -> bool {
        let block = range.start() - range.start() % UNGUARD;
        let block = VmoRange::from_bounds(block, block.saturating_add(UNGUARD).min(u64::MAX - (PAGE_SIZE - 1)));
        let cell = state.cells(vmo.content(), block).into_iter().find(|cell| cell.range.intersect(range).is_some());
        let parts = match cell {
            Some(cell) => {
                if state.contents[vmo.content() as usize].extents.is_home(&cell.window) {
                    // The owner has it alone again: it needs no count for that.
                    state.frames.change(cell.window.store(), cell.stored(), |_, count| count.filter(|&n| n != 1));
                }
                layout.parts(self.root, state, vmo.content(), cell.range)
            }
            None => Vec::new(),
        };
        let addrs = parts.iter().find(|part| part.addrs.contains(page)).map_or(page, |part| part.addrs);
        self.host.unguard(addrs).is_ok()
    }
}

/// What is to be done about an access that is a pager's business.
fn answered(answer: Answer, vmo: &Vmo, content: &Locked<'_>) -> Resolved {
    let port = &content.root().port;
    match answer {
        Answer::Later if port.in_place().is_some() => Resolved::Asked(vmo.family().clone(), port.clone()),
        answer => Resolved::Answered(answer),
    }
}

/// Copies what is in the pages of the cell to a place that nobody uses.
fn copy(family: &Family, state: &mut FamilyState, cell: &Cell, window: &Arc<Window>, at: u64) -> Result<(), Status> {
    let (from, to) = (cell.stored(), window.part(at, cell.range.len()).start());
    let copied =
        family.host().copy(cell.window.store(), from, window.store(), to).map_err(|halfway| status(halfway.error));
    copied.inspect_err(|_| state.free(family.host(), window, window.part(at, cell.range.len())))
}

impl FamilyState {
    /// The others that hold the frames of a shared cell: how many of its pages the same ones hold, and who.
    fn sharers(&self, content: u32, cell: &Cell) -> (VmoRange, Vec<(u32, VmoRange)>) {
        let count = cell.count.expect("it is shared") as usize;
        let place = self.contents[content as usize].origin + cell.range.start();
        let (mut found, mut len) = (Vec::with_capacity(count - 1), cell.range.len());
        for (other, held) in &self.contents {
            let Some(offset) = place.checked_sub(held.origin).filter(|_| other != content as usize) else { continue };
            let Some((window, at, left)) = held.extents.at(offset) else { continue };
            if Arc::ptr_eq(window, &cell.window) && at == cell.at {
                found.push((other as u32, offset));
                len = len.min(left);
                if found.len() == count - 1 {
                    break;
                }
            }
        }
        debug_assert_eq!(found.len(), count - 1, "the count is right");
        let others = found.into_iter().map(|(other, at)| (other, VmoRange::from_bounds(at, at + len))).collect();
        (VmoRange::from_bounds(cell.range.start(), cell.range.start() + len), others)
    }
}

impl FaultSink for AddressSpace {
    fn fault(&self, waiting: Waiting) -> Answer {
        if waiting.reason == Wait::Denied {
            let access = if waiting.store { Access::Write } else { Access::Read };
            // Under the lock, so what was being shown is shown.
            let allowed = self.why_fault(waiting.page as usize, access) == Fault::Waits;
            let shown = !self.layout.read().is_damaged();
            return if allowed && shown { Answer::Again } else { Answer::Fail(Status::ACCESS_DENIED.into_raw()) };
        }
        self.reclaim.done.faults.fetch_add(1, Ordering::Relaxed);
        let relief = self.reclaim.relief();
        let answer = match self.resolve(waiting) {
            Err(NO_ROOM) => self.park_for_room(waiting, relief),
            Ok(Resolved::Nothing | Resolved::Something) => Ok(Answer::Again),
            Ok(Resolved::LetGo) => Ok(Answer::LetGo),
            Ok(Resolved::Answered(answer)) => Ok(answer),
            Ok(Resolved::Asked(family, port)) => {
                self.answer_in_place(&family, &port);
                // It is parked, and has been woken.
                Ok(Answer::Later)
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => answer,
            Err(_) => {
                // A store cannot fail. It waits, as it would in Zircon, until there is memory.
                std::thread::sleep(NO_MEMORY_WAIT);
                Answer::Again
            }
        }
    }
}
