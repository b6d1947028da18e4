//! Bringing in what a pager has to provide: for calls, which wait here, and for accesses, which wait in the host.
//!
//! 1. Nobody waits with a lock. Whoever has waited looks again from scratch.
//! 2. What is stored to is `Dirty` before it is: pages that are not are guarded, and calls change the state first.
//! 3. Pages are guarded before they are there.

use std::sync::{Arc, PoisonError};

use zxvm_host::{AddrRange, Answer, PAGE_SIZE, VmoRange, Wait, Waiting, addr};
use zxvm_types::Status;

use super::cow::{Keep, Part};
use super::ops::{pages_around, whole_pages};
use super::{AddressSpace, Layout};
use crate::error::{NO_ROOM, status};
use crate::pager::{PageState, RequestKind, RequestPort, Sleeper, Who, Woken};
use crate::reclaim::Hint;
use crate::vmo::Vmo;
use crate::vmo::family::{FamilyState, Locked};
use crate::vmo::source::{ROOT, Source};

/// The most a write asks for at once.
pub const WRITE_MAX: u64 = 16 * PAGE_SIZE;

/// Bytes dealt with under one hold of the locks.
const FETCH_STEP: u64 = 1 << 20;

/// Pages let go together when a store comes to one of a dirty run.
const LET_GO: u64 = 64 * PAGE_SIZE;

/// What pages are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To be there, but for those that are zero.
    Present,
    /// That too; what cannot be had is passed over.
    PresentIfCan,
    /// To be committed.
    Committed,
    /// To be stored to: as many as one request is for.
    Stored,
}

impl Want {
    /// What of it concerns the root below a content that lies over it.
    fn below(self) -> Self {
        match self {
            Self::PresentIfCan => self,
            Self::Present | Self::Committed | Self::Stored => Self::Present,
        }
    }

    /// Whether the pages must be the content's own.
    fn is_own(self) -> bool {
        match self {
            Self::Present | Self::PresentIfCan => false,
            Self::Committed | Self::Stored => true,
        }
    }
}

/// What became of a step.
enum Step {
    /// It is done up to this byte.
    DoneTo(u64),
    /// The pager was asked, by way of this.
    Wait(Arc<dyn RequestPort>),
}

/// What is to be done for the pages at the start of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The pager is to be asked.
    Ask(RequestKind, VmoRange),
    /// They are what is wanted, or can be made so.
    Ready(VmoRange),
}

impl Source {
    /// What is to be done for the pages at the start of `range`.
    pub fn next(&self, range: VmoRange, want: Want) -> Next {
        let (state, end) = self.states.run_at(range.start(), range.end());
        let run = VmoRange::from_bounds(range.start(), end);
        let first = |len| VmoRange::from_bounds(run.start(), run.end().min(run.start().saturating_add(len)));
        match (state, want) {
            (PageState::Absent, Want::Stored) => Next::Ask(RequestKind::Read, first(WRITE_MAX)),
            (PageState::Absent, Want::Present | Want::PresentIfCan | Want::Committed) => {
                // All that is wanted, but no more than is there still when its last page comes.
                Next::Ask(RequestKind::Read, first(self.residency.reclaim().budget.request_max()))
            }
            (PageState::DirtyZero, Want::Committed) if self.trap_dirty => Next::Ask(RequestKind::Dirty, run),
            (
                PageState::CleanZero | PageState::Clean | PageState::AwaitingClean | PageState::DirtyZero,
                Want::Stored,
            ) if self.trap_dirty => Next::Ask(RequestKind::Dirty, self.not_dirty(range, WRITE_MAX)),
            (
                PageState::CleanZero
                | PageState::Clean
                | PageState::AwaitingClean
                | PageState::Dirty
                | PageState::DirtyZero,
                Want::Present | Want::PresentIfCan | Want::Committed | Want::Stored,
            ) => Next::Ready(run),
        }
    }

    /// Whether the pager need not be asked before this page is stored to.
    pub fn is_storable(&self, page: u64) -> bool {
        match self.next(VmoRange::from_bounds(page, page + PAGE_SIZE), Want::Stored) {
            Next::Ready(_) => true,
            Next::Ask(..) => false,
        }
    }

    /// The pages at the start of `range` that are there and not dirty, at most `len` bytes.
    fn not_dirty(&self, range: VmoRange, len: u64) -> VmoRange {
        let range = VmoRange::from_bounds(range.start(), range.end().min(range.start().saturating_add(len)));
        let runs = self.states.runs(range);
        let run = runs.take_while(|&(_, state)| state != PageState::Absent && state != PageState::Dirty).last();
        VmoRange::from_bounds(range.start(), run.map_or(range.end(), |(run, _)| run.end()))
    }
}

impl AddressSpace {
    /// Makes the pages of `range` of a content in a pager's tree what is wanted, shortened by whatever shrinks it meanwhile.
    /// Blocks until the pager has provided.
    ///
    /// # Errors
    /// What the pager gives; `BAD_STATE`: it does not provide any more; `NO_MEMORY`, `NO_RESOURCES`.
    pub(super) fn fetch(&self, vmo: &Vmo, range: VmoRange, want: Want) -> Result<(), Status> {
        let sleeper = Arc::new(Sleeper::default());
        let mut at = range.start();
        loop {
            let relief = self.reclaim.relief();
            let step = {
                let layout = self.layout.read();
                let content = &mut vmo.lock();
                let end = range.end().min(content.size);
                // Who stores does so as far as it can before it asks again.
                if at >= end || want == Want::Stored && at > range.start() {
                    return Ok(());
                }
                let step = FETCH_STEP.min(self.reclaim.budget.chunk() * PAGE_SIZE);
                let rest = VmoRange::from_bounds(at, end.min(at.saturating_add(step)));
                self.fetch_step(&layout, vmo, content, rest, (end, want), &sleeper)
            };
            match step {
                Ok(Step::DoneTo(next)) => {
                    at = next;
                    continue;
                }
                Ok(Step::Wait(port)) => self.answer_in_place(vmo.family(), &port),
                Err(NO_ROOM) => {
                    self.sleep_for_room(&sleeper, relief)?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            match sleeper.wait() {
                Err(_) if want == Want::PresentIfCan => at += PAGE_SIZE,
                woken => woken?,
            }
        }
    }

    /// Does what can be done for the pages at the start of `rest`, or asks for them, up to `end`.
    fn fetch_step(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        rest: VmoRange,
        (end, want): (u64, Want),
        sleeper: &Arc<Sleeper>,
    ) -> Result<Step, Status> {
        let number = content.number();
        let layer = content.family().first_layer(number, VmoRange::from_bounds(rest.start(), end));
        let run = layer.range.intersect(rest).expect("it starts there");
        let done = Ok(Step::DoneTo(run.end()));
        let of = match layer.of {
            Some(of) if number != ROOT && of == number => None,
            of => of,
        };
        let Some(of) = of else {
            // It has pages of its own there, or zeros.
            match want {
                Want::Present | Want::PresentIfCan => {}
                Want::Committed => self.commit_locked(layout, vmo, content, run)?,
                Want::Stored => vmo.ensure_extents(content, run)?,
            }
            return done;
        };
        if of == ROOT {
            let root_want = if number == ROOT { want } else { want.below() };
            let source = content.root_mut();
            match source.next(layer.below(), root_want) {
                Next::Ask(kind, asked) => match source.ask(kind, asked, Who::Call(sleeper.clone())) {
                    Err(_) if want == Want::PresentIfCan => {
                        return Ok(Step::DoneTo(rest.start() + asked.len()));
                    }
                    Err(status) => return Err(status),
                    Ok(()) => return Ok(Step::Wait(source.port.clone())),
                },
                Next::Ready(ready) => {
                    let run = VmoRange::from_bounds(run.start(), run.end().min(run.start() + ready.len()));
                    if want == Want::PresentIfCan {
                        // At once: what comes after it is not to push it out.
                        source.hint(ready, Hint::AlwaysNeed);
                    }
                    if number == ROOT {
                        self.ready(layout, vmo, content, run, want)?;
                    } else if want.is_own() {
                        self.fork(layout, vmo, content, run, Keep::All)?;
                        return Ok(Step::DoneTo(if want == Want::Stored { run.end() } else { run.start() }));
                    }
                    return Ok(Step::DoneTo(run.end()));
                }
            }
        }
        if want.is_own() {
            self.fork(layout, vmo, content, run, Keep::All)?;
        }
        // What is its own now may have to be committed still.
        if want == Want::Committed { Ok(Step::DoneTo(run.start())) } else { done }
    }

    /// Waits until the page of a root at the start of `range` is there, for a read that goes on with it: it asks for all
    /// of `range`, and stays a waiter until `sleeper` leaves.
    pub(super) fn wait_to_read(&self, vmo: &Vmo, range: VmoRange, sleeper: &Arc<Sleeper>) -> Result<(), Status> {
        let port = {
            let content = &mut vmo.family().lock(ROOT);
            let end = range.end().min(content.size);
            if range.start() >= end {
                return Ok(());
            }
            let source = content.root_mut();
            match source.next(VmoRange::from_bounds(range.start(), end), Want::Present) {
                Next::Ready(_) => return Ok(()),
                Next::Ask(kind, run) => source.ask(kind, run, Who::Stream(sleeper.clone()))?,
            }
            source.port.clone()
        };
        self.answer_in_place(vmo.family(), &port);
        sleeper.wait()
    }

    /// Makes `[start, end)` of a root zero. Whole pages are freed, without any request; for a part of a page the pager is
    /// asked as for a store, unless it reads as zero already. Blocks until it has provided.
    ///
    /// # Errors
    /// What the pager gives; `BAD_STATE`: it does not provide any more; `OUT_OF_RANGE`: the VMO has shrunk below; then what
    /// the host gives. What comes before is zero.
    pub(super) fn zero_paged(&self, vmo: &Vmo, start: u64, end: u64) -> Result<(), Status> {
        let (first, last) = (addr::round_up(start).expect("inside the VMO"), addr::round_down(end));
        if start < first.min(end) {
            self.zero_part(vmo, start, first.min(end))?;
        }
        for whole in whole_pages(start, end) {
            let mut woken = Woken::new();
            let result = {
                let _layout = self.layout.read();
                let content = &mut vmo.family().lock_settled(whole);
                content.check_inside(whole)?;
                let result = vmo.drop_pages(content, whole, |source, part| {
                    source.states.zero(part);
                    source.modified = true;
                    source.resolve(RequestKind::Read, part, &mut woken);
                });
                vmo.family().moved();
                result
            };
            self.wake(woken);
            result?;
        }
        if first <= last && last < end {
            self.zero_part(vmo, last, end)?;
        }
        Ok(())
    }

    /// Makes `[start, end)` of a content that lies over others zero. Nobody is asked for whole pages; one that the pager has not
    /// supplied becomes a committed page of zeros (vmo.md §7), unless there are more of them than the machine has memory.
    ///
    /// For a part of a page the pager is asked as for a store, though pager.md §9 says that ZERO on a clone never asks: the rest
    /// of the page stays what it is, and only the pager knows that (pager.md §6.1). It need not consent, as to a store.
    ///
    /// # Errors
    /// As [`AddressSpace::zero_paged`]; `NO_MEMORY`, `NO_RESOURCES`: not all that would have to be committed is, and all is zero.
    pub(super) fn zero_over(&self, vmo: &Vmo, start: u64, end: u64) -> Result<(), Status> {
        let (first, last) = (addr::round_up(start).expect("inside the VMO"), addr::round_down(end));
        let mut edges = Vec::new();
        if start < first.min(end) {
            edges.push(pages_around(start, first.min(end)));
        }
        if first <= last && last < end {
            edges.push(pages_around(last, end));
        }
        loop {
            for &page in &edges {
                self.fetch(vmo, page, Want::Stored)?;
            }
            let layout = self.layout.read();
            let content = &mut vmo.lock();
            content.check_inside(pages_around(start, end))?;
            let number = content.number();
            let is_own = |page: &VmoRange| content.family().first_layer(number, *page).of == Some(number);
            if !edges.iter().all(is_own) {
                continue;
            }
            let mut absent = Vec::new();
            for whole in whole_pages(start, end) {
                absent = content.family().absent_below(number, whole);
                // A range may be nearly as long as 2^64: then zeros are all that is to be had.
                if absent.iter().map(|run| run.len()).sum::<u64>() > self.host.commit_max() {
                    absent.clear();
                }
                self.fork(&layout, vmo, content, whole, Keep::Nothing)?;
                vmo.ensure_extents(content, whole)?;
            }
            self.zero_locked(&layout, vmo, content, start, end)?;
            return absent.into_iter().try_for_each(|run| self.commit_locked(&layout, vmo, content, run));
        }
    }

    /// Makes a part of one page of a root zero.
    pub(super) fn zero_part(&self, vmo: &Vmo, start: u64, end: u64) -> Result<(), Status> {
        let page = pages_around(start, end);
        let sleeper = Arc::new(Sleeper::default());
        loop {
            let relief = self.reclaim.relief();
            let asked = {
                let layout = self.layout.read();
                let content = &mut vmo.lock();
                content.check_inside(page)?;
                let source = content.root_mut();
                if source.states.at(page.start()).is_zero() {
                    source.modified = true;
                    return Ok(());
                }
                match source.next(page, Want::Stored) {
                    // Whenever it was waited for it may have come as a zero page, and then nothing is to be stored.
                    Next::Ask(kind, run) => {
                        source.ask(kind, run, Who::Call(sleeper.clone()))?;
                        Some(source.port.clone())
                    }
                    Next::Ready(_) => {
                        source.modified = true;
                        match self.make_dirty(&layout, vmo, content, page) {
                            Ok(()) => return vmo.zero_edge(content, start, end).map(drop),
                            Err(NO_ROOM) => None,
                            Err(error) => return Err(error),
                        }
                    }
                }
            };
            match asked {
                Some(port) => {
                    self.answer_in_place(vmo.family(), &port);
                    sleeper.wait()?;
                }
                None => self.sleep_for_room(&sleeper, relief)?,
            }
        }
    }

    /// Makes pages what is wanted that need not be asked for.
    fn ready(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        run: VmoRange,
        want: Want,
    ) -> Result<(), Status> {
        let state = content.root().states.at(run.start());
        match (want, state) {
            (Want::Present | Want::PresentIfCan, _) => Ok(()),
            (Want::Stored, _) | (Want::Committed, PageState::DirtyZero) => self.make_dirty(layout, vmo, content, run),
            (Want::Committed, PageState::CleanZero) => {
                self.bring_zero(layout, vmo, content, run, |source| source.set(run, PageState::Clean))
            }
            (Want::Committed, PageState::Absent | PageState::Clean | PageState::AwaitingClean | PageState::Dirty) => {
                Ok(())
            }
        }
    }

    /// Pages of a root that are there become dirty: those that are zero get a page.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: none has become dirty.
    pub(super) fn make_dirty(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
    ) -> Result<(), Status> {
        let source = content.root();
        let zero = source.states.runs_where(range, PageState::is_zero);
        if zero.is_empty() {
            content.root_mut().set(range, PageState::Dirty);
            return Ok(());
        }
        self.bring_zero(layout, vmo, content, range, |source| source.set(range, PageState::Dirty))
    }

    /// What is zero in `range` of a root gets pages, and then `then` says what they are.
    ///
    /// # Errors
    /// [`NO_ROOM`]; `NO_MEMORY`, `NO_RESOURCES`: nobody can tell that there are some already.
    fn bring_zero(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
        then: impl FnOnce(&mut Source),
    ) -> Result<(), Status> {
        let source = content.root_mut();
        source.borrow(source.zero_pages(range))?;
        let zero = source.states.runs_where(range, PageState::is_zero);
        let mut brought = 0;
        let result = zero.iter().try_for_each(|&run| {
            self.commit_zero(layout, vmo, content, run)?;
            brought += 1;
            Ok(())
        });
        let source = content.root_mut();
        match result {
            Ok(()) => then(source),
            // Those that are there are as if somebody had loaded from them.
            Err(_) => zero[..brought].iter().for_each(|&run| source.load(run)),
        }
        source.residency.repay();
        result
    }

    /// Zero pages of a root become committed, guarded wherever they may be stored through.
    fn commit_zero(&self, layout: &Layout, vmo: &Vmo, content: &mut Locked<'_>, range: VmoRange) -> Result<(), Status> {
        vmo.check_plausible(range)?;
        let family = content.family_mut();
        let root = family.contents[ROOT as usize].whole();
        family.ensure(&vmo.family().stores, ROOT, range, root)?;
        self.guard_shown(layout, family, range)?;
        let result = family.contents[ROOT as usize].extents.places(range).try_for_each(|place| {
            let part = place.window.part(place.at, place.range.len());
            self.host.commit(place.window.store(), part, None).map_err(status)
        });
        // Some may be there: they are as if somebody had loaded from them.
        result.inspect_err(|_| content.root_mut().load(range))
    }

    /// Stores to `range` of a root wait from now on, in every mapping of it or of what lies over it.
    pub(super) fn guard_shown(&self, layout: &Layout, family: &FamilyState, range: VmoRange) -> Result<(), Status> {
        for part in layout.parts_seen(self, family, ROOT, range).iter().filter(|part| part.storable) {
            self.host.guard(part.addrs).map_err(status)?;
        }
        Ok(())
    }

    /// Accesses whose wait is over go on, or fail.
    pub(super) fn wake(&self, woken: Woken) {
        for (waiting, news) in woken {
            self.parked.lock().unwrap_or_else(PoisonError::into_inner).remove(&waiting.page);
            match news {
                Ok(()) => self.host.wake(AddrRange::from_bounds(waiting.page, waiting.page + PAGE_SIZE)),
                Err(status) => self.host.fail(waiting.thread, waiting.page, status.into_raw()),
            }
        }
    }

    /// Something else is shown in `range` now: the host does not wake those who wait there.
    pub(super) fn wake_parked(&self, range: AddrRange) {
        let woken: Vec<u64> = {
            let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
            let woken = parked.range(range.start()..range.end()).copied().collect();
            for page in &woken {
                parked.remove(page);
            }
            woken
        };
        self.leave_room(range);
        for page in woken {
            self.host.wake(AddrRange::from_bounds(page, page + PAGE_SIZE));
        }
    }

    /// An access to the page of a root at the start of `range`, shown at `waiting.page`.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: it has to wait longer.
    pub(super) fn access_paged(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
        waiting: Waiting,
    ) -> Result<Answer, Status> {
        let source = content.root_mut();
        let stores = waiting.store || waiting.reason == Wait::Guarded;
        match source.next(range, if stores { Want::Stored } else { Want::Present }) {
            Next::Ask(kind, run) => {
                let run = VmoRange::from_bounds(run.start(), run.start() + PAGE_SIZE);
                match source.ask(kind, run, Who::Access(waiting)) {
                    Ok(()) => Ok(self.park(waiting)),
                    Err(status) => Ok(Answer::Fail(status.into_raw())),
                }
            }
            Next::Ready(_) if stores => {
                source.modified = true;
                if source.states.at(range.start()) == PageState::Dirty {
                    return Ok(self.let_dirty_go(layout, content.family(), vmo, range, waiting));
                }
                self.make_dirty(layout, vmo, content, range)?;
                Ok(self.let_page_go(AddrRange::from_bounds(waiting.page, waiting.page + PAGE_SIZE), waiting))
            }
            Next::Ready(_) => {
                self.load_zero(layout, vmo, content, range.start())?;
                Ok(Answer::Again)
            }
        }
    }

    /// The access waits for a pager from here on.
    pub(super) fn park(&self, waiting: Waiting) -> Answer {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).insert(waiting.page);
        Answer::Later
    }

    /// A page of a root is about to be loaded from: if it is zero it gets a page.
    pub(super) fn load_zero(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        page: u64,
    ) -> Result<(), Status> {
        let source = content.root();
        if !source.states.at(page).is_zero() {
            return Ok(());
        }
        let page = VmoRange::from_bounds(page, page + PAGE_SIZE);
        self.bring_zero(layout, vmo, content, page, |source| source.load(page))
    }

    /// Stores to a dirty page, and to its neighbours that are dirty, go on in the mapping where one of them waits.
    fn let_dirty_go(
        &self,
        layout: &Layout,
        family: &FamilyState,
        vmo: &Vmo,
        range: VmoRange,
        waiting: Waiting,
    ) -> Answer {
        let page = AddrRange::from_bounds(waiting.page, waiting.page + PAGE_SIZE);
        let block = range.start() - range.start() % LET_GO;
        let block = VmoRange::from_bounds(block, block.saturating_add(LET_GO).min(addr::round_down(u64::MAX)));
        let source = family.paged(vmo.content()).expect("a root");
        let dirty = source.states.runs_where(block, |state| state == PageState::Dirty);
        let run = dirty.into_iter().find(|run| run.intersect(range).is_some()).unwrap_or(range);
        let parts = layout.parts(self.root, family, vmo.content(), run);
        let part = parts.iter().find(|part: &&Part| part.addrs.contains(page));
        self.let_page_go(part.map_or(page, |part| part.addrs), waiting)
    }

    /// Stores to `addrs` go on, to a page of which one waits.
    fn let_page_go(&self, addrs: AddrRange, waiting: Waiting) -> Answer {
        // A page that was absent and not guarded is not let go by this.
        match self.host.unguard(addrs) {
            Ok(()) if waiting.reason == Wait::Guarded => Answer::LetGo,
            Ok(()) | Err(_) => Answer::Again,
        }
    }
}
