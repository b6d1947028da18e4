//! Where the pages of a pager VMO come from.
//!
//! 1. The content that a family began with is the pager's, the *root*; it is there as long as any other of its family is.
//! 2. A root is careful from its first day: stores to it by calls, commits and everything that frees its pages, but for what is
//!    leaving (5), are made under the family's lock, and so are all changes of [`States`].
//! 3. [`Residency`] knows what is there: after each change of states it is told ([`Source::changed`]).
//! 4. Every page that has content and is not dirty is guarded wherever it may be stored through, and so is every zero page
//!    that a load has brought (`loaded`). All accesses to what is not there wait.
//! 5. Pages that are `leaving` are absent for the books and committed still: guarded, counted, and left alone until the host has freed
//!    them.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use zxvm_host::{AddrRange, PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::family::{Content, Family, FamilyState, Locked, Node};
use super::layers::Over;
use super::{MAX_SIZE, Shows, Vmo, VmoKind};
use crate::error::NO_ROOM;
use crate::pager::{PageState, RequestKind, RequestPort, Requests, States, Who, Woken};
use crate::reclaim::{Hint, PageId, Reclaim, Residency, Whereabouts};
use crate::store::StoreSet;

/// The number of a root among the contents of its family.
pub const ROOT: u32 = 0;

/// Who provides the pages of VMOs.
#[derive(Debug)]
pub struct Pager {
    /// Those that it provides for, and where their requests go: the last packet may be there when the VMO is not. `None` once it
    /// is closed.
    vmos: Mutex<Option<Vec<Provided>>>,
}

type Provided = (Weak<Family>, Arc<dyn RequestPort>);

/// Whether a pager still provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// It does.
    There,
    /// It has let go of this VMO.
    Detached,
    /// It has gone itself.
    Closed,
}

/// What a pager VMO is to be.
#[derive(Debug)]
pub struct PagerVmoRequest {
    /// Its name for life.
    pub koid: u64,
    /// Bytes, rounded up to pages when it is made.
    pub size: u64,
    /// Bytes as the user counts them.
    pub stream_size: u64,
    /// Whether its size may change.
    pub resizable: bool,
    /// Whether the pager is asked before a page becomes dirty.
    pub trap_dirty: bool,
    /// Where its requests go.
    pub port: Arc<dyn RequestPort>,
}

/// See the module.
#[derive(Debug)]
pub struct Source {
    pub pager: Arc<Pager>,
    /// Of the VMO that the pager made.
    pub koid: u64,
    pub port: Arc<dyn RequestPort>,
    pub trap_dirty: bool,
    pub provider: Provider,
    pub modified: bool,
    pub states: States,
    pub requests: Requests,
    /// Zero pages, by their offset, that are committed because somebody loaded from them.
    pub loaded: BTreeSet<u64>,
    pub residency: Residency,
    /// Pages that are being taken: the books have them as absent, but they are committed until the host has freed them.
    leaving: Vec<VmoRange>,
    /// Contents that lie over the root, or over one another.
    pub over: BTreeMap<u32, Over>,
}

impl Default for Pager {
    fn default() -> Self {
        Self { vmos: Mutex::new(Some(Vec::new())) }
    }
}

impl Pager {
    /// Adds one that it provides for.
    ///
    /// # Errors
    /// `BAD_STATE`: it is closed.
    fn add(&self, family: &Arc<Family>, port: Arc<dyn RequestPort>) -> Result<(), Status> {
        let mut vmos = self.vmos.lock().unwrap_or_else(PoisonError::into_inner);
        let vmos = vmos.as_mut().ok_or(Status::BAD_STATE)?;
        if vmos.len() == vmos.capacity() {
            vmos.retain(|(vmo, port)| vmo.strong_count() > 0 || !port.is_empty());
        }
        vmos.push((Arc::downgrade(family), port));
        Ok(())
    }

    /// Closes it: nothing that its VMOs have sent is delivered any more. Returns those that are there.
    pub(crate) fn close(&self) -> Vec<Arc<Family>> {
        let vmos = self.vmos.lock().unwrap_or_else(PoisonError::into_inner).take();
        let silenced = vmos.unwrap_or_default().into_iter().map(|(vmo, port)| {
            port.silence();
            vmo
        });
        silenced.filter_map(|vmo| vmo.upgrade()).collect()
    }
}

impl Source {
    /// Asks the pager for the pages of `range`, on behalf of `who`, who waits from here on.
    ///
    /// # Errors
    /// `BAD_STATE`: it does not provide any more.
    pub fn ask(&mut self, kind: RequestKind, range: VmoRange, who: Who) -> Result<(), Status> {
        match self.provider {
            Provider::There => self.requests.ask(&*self.port, kind, range, who),
            Provider::Detached | Provider::Closed => return Err(Status::BAD_STATE),
        }
        Ok(())
    }

    /// What the pager was asked of this kind in `range` is dealt with.
    pub fn resolve(&mut self, kind: RequestKind, range: VmoRange, woken: &mut Woken) {
        self.requests.resolve(&*self.port, kind, range, woken);
        self.residency.look_again(range);
    }

    /// Nobody waits for the pager any more: all look again.
    pub fn end_requests(&mut self, woken: &mut Woken) {
        self.requests.end(&*self.port, woken);
        self.residency.look_again(VmoRange::from_bounds(0, addr::round_down(u64::MAX)));
    }

    /// All of `range` is `state` now.
    pub fn set(&mut self, range: VmoRange, state: PageState) {
        self.states.set(range, state);
        if !state.is_zero() {
            self.unload(range);
        }
        self.changed(range);
    }

    /// A page that is zero has been brought by a load.
    pub fn load(&mut self, range: VmoRange) {
        self.loaded.extend((range.start()..range.end()).step_by(PAGE_SIZE as usize));
        self.changed(range);
    }

    /// Clean pages are about to be freed, without the lock. Until that is done ([`Source::left`], [`Source::stay`]) nobody may bring
    /// anything there: see [`Family::lock_settled`].
    pub fn leave(&mut self, range: VmoRange) {
        debug_assert!(self.states.runs(range).all(|(_, state)| state == PageState::Clean));
        self.states.set(range, PageState::Absent);
        self.leaving.push(range);
    }

    /// Pages that were about to be freed have been.
    pub fn left(&mut self, range: VmoRange) {
        self.leaving.retain(|&leaving| leaving != range);
        self.evicted(range);
    }

    /// Pages that were about to be freed could not be.
    pub fn stay(&mut self, range: VmoRange) {
        self.leaving.retain(|&leaving| leaving != range);
        self.states.set(range, PageState::Clean);
        self.put_back(range);
    }

    /// Whether some of these pages are being freed.
    pub fn is_leaving(&self, range: VmoRange) -> bool {
        self.leaving.iter().any(|leaving| leaving.intersect(range).is_some())
    }

    /// Zero pages that a load had brought have been freed, or others that were about to be.
    pub fn evicted(&mut self, range: VmoRange) {
        self.unload(range);
        {
            let root = self.residency.root();
            let queues = &mut *self.residency.reclaim().queues();
            pages(range).for_each(|page| queues.taken(PageId { root, page }));
        }
        self.count();
    }

    /// Pages that were to be taken could not be.
    pub fn put_back(&self, range: VmoRange) {
        let root = self.residency.root();
        let queues = &mut *self.residency.reclaim().queues();
        pages(range).for_each(|page| queues.put_back(PageId { root, page }));
    }

    /// Whether a page that was to be taken still is.
    pub fn is_to_be_taken(&self, page: u64) -> bool {
        let id = PageId { root: self.residency.root(), page: page / PAGE_SIZE };
        self.is_takeable(page) && self.residency.reclaim().queues().is_to_be_taken(id)
    }

    /// Whether the page is there and need not be saved first.
    pub fn is_takeable(&self, page: u64) -> bool {
        match self.states.at(page) {
            PageState::Clean => true,
            PageState::CleanZero | PageState::DirtyZero => self.loaded.contains(&page),
            PageState::Absent | PageState::AwaitingClean | PageState::Dirty => false,
        }
    }

    /// States in `range` have changed: the budget and the queues are told.
    pub fn changed(&mut self, range: VmoRange) {
        self.count();
        let whereabouts = |state: PageState| match state {
            PageState::Clean => Whereabouts::Takeable,
            PageState::AwaitingClean | PageState::Dirty => Whereabouts::Held,
            PageState::Absent | PageState::CleanZero | PageState::DirtyZero => Whereabouts::Gone,
        };
        let mut told = Vec::new();
        for (run, state) in self.states.runs(range) {
            let mut at = run.start();
            if state.is_zero() {
                for &page in self.loaded.range(run.start()..run.end()) {
                    told.push((pages(VmoRange::from_bounds(at, page)), Whereabouts::Gone));
                    told.push((pages(VmoRange::from_bounds(page, page + PAGE_SIZE)), Whereabouts::Takeable));
                    at = page + PAGE_SIZE;
                }
            }
            told.push((pages(VmoRange::from_bounds(at, run.end())), whereabouts(state)));
        }
        self.residency.tell(told.into_iter().filter(|(pages, _)| !pages.is_empty()));
        self.residency.look_again(range);
    }

    /// The budget is told how many pages are there.
    pub fn count(&mut self) {
        let leaving: u64 = self.leaving.iter().map(|range| range.pages()).sum();
        self.residency.count(self.states.pages() + self.loaded.len() as u64 + leaving);
    }

    /// Takes room for so many pages that are about to come. What is not used is to be given [back](Residency::repay).
    ///
    /// # Errors
    /// [`NO_ROOM`].
    pub fn borrow(&mut self, pages: u64) -> Result<(), Status> {
        if self.residency.borrow(pages, pages) == pages { Ok(()) } else { Err(NO_ROOM) }
    }

    /// How many pages of `range` are zero and would take room.
    pub fn zero_pages(&self, range: VmoRange) -> u64 {
        let zero: u64 = self.states.runs_where(range, PageState::is_zero).iter().map(|run| run.pages()).sum();
        zero - self.loaded.range(range.start()..range.end()).count() as u64
    }

    /// Pages of `range` are used by a call.
    pub fn touched(&self, range: VmoRange) {
        self.residency.reclaim().queues().touched(self.residency.root(), pages(range));
    }

    /// What becomes of the pages of `range` when memory is short.
    pub fn hint(&self, range: VmoRange, hint: Hint) {
        self.residency.reclaim().queues().hint(self.residency.root(), pages(range), hint);
    }

    /// No page of `range` is there because of a load.
    fn unload(&mut self, range: VmoRange) {
        if let Some(&first) = self.loaded.range(range.start()..range.end()).next() {
            let mut tail = self.loaded.split_off(&first);
            let mut rest = tail.split_off(&range.end());
            self.loaded.append(&mut rest);
        }
    }

    /// What of `range` is to be guarded where the root shows it.
    pub fn guarded(&self, range: VmoRange) -> Vec<VmoRange> {
        self.committed(range, |state| state.has_page() && state != PageState::Dirty)
    }

    /// What of `range` is committed.
    pub fn there(&self, range: VmoRange) -> Vec<VmoRange> {
        self.committed(range, PageState::has_page)
    }

    fn committed(&self, range: VmoRange, which: impl Fn(PageState) -> bool) -> Vec<VmoRange> {
        let mut runs = self.states.runs_where(range, which);
        let loaded = self.loaded.range(range.start()..range.end());
        runs.extend(loaded.map(|&page| VmoRange::from_bounds(page, page + PAGE_SIZE)));
        // Still there: a store to it is not to be lost with it.
        runs.extend(self.leaving.iter().filter_map(|leaving| leaving.intersect(range)));
        runs
    }

    /// Forgets what is in `range`, which is not there any more, or not yet: `state` says what it is instead.
    pub fn resized(&mut self, range: VmoRange, state: PageState, woken: &mut Woken) {
        if range.is_empty() {
            return;
        }
        self.resolve(RequestKind::Read, range, woken);
        self.resolve(RequestKind::Dirty, range, woken);
        self.unload(range);
        self.states.set(range, state);
        self.changed(range);
        if state == PageState::Absent {
            self.port.shorten(range.start());
        }
    }
}

/// Numbers of pages.
fn pages(range: VmoRange) -> Range<u64> {
    range.start() / PAGE_SIZE..range.end() / PAGE_SIZE
}

impl Family {
    /// The lock of the family of a root, once none of its pages of `range` is being freed. That is soon: who frees them waits for nobody
    /// but this lock.
    pub fn lock_settled(&self, range: VmoRange) -> Locked<'_> {
        loop {
            let content = self.lock(ROOT);
            if !content.family().source.as_ref().is_some_and(|source| source.is_leaving(range)) {
                return content;
            }
            drop(content);
            std::thread::yield_now();
        }
    }
}

impl FamilyState {
    /// Accesses in `range` do not wait for the pager any more: what they accessed is shown there no longer.
    pub fn leave(&mut self, range: AddrRange) {
        if let Some(source) = &mut self.source
            && !source.requests.is_empty()
        {
            source.requests.leave(&*source.port, |who| match who {
                Who::Access(waiting) => range.start() <= waiting.page && waiting.page < range.end(),
                Who::Call(_) | Who::Stream(_) | Who::Nobody => false,
            });
        }
    }

    /// The pager behind this content itself.
    pub fn paged(&self, content: u32) -> Option<&Source> {
        self.source.as_deref().filter(|_| content == ROOT)
    }
}

impl Locked<'_> {
    /// The pager behind this content itself.
    pub fn paged(&self) -> Option<&Source> {
        self.family().paged(self.number())
    }

    /// Whether it is a pager's, or lies over one that is.
    pub fn is_in_pager_tree(&self) -> bool {
        self.family().source.is_some()
    }

    /// Whether a pager is behind this content itself.
    pub fn is_paged(&self) -> bool {
        self.paged().is_some()
    }

    /// The pager at the bottom of the family, in which there is one.
    pub fn root(&self) -> &Source {
        self.family().source.as_deref().expect("it is in a pager's tree")
    }

    /// [`Locked::root`], to be changed.
    pub fn root_mut(&mut self) -> &mut Source {
        self.family_mut().source.as_deref_mut().expect("it is in a pager's tree")
    }

    /// [`Locked::paged`], to be changed.
    pub fn paged_mut(&mut self) -> Option<&mut Source> {
        let number = self.number();
        self.family_mut().source.as_deref_mut().filter(|_| number == ROOT)
    }
}

impl Vmo {
    /// Makes a VMO whose pages `pager` provides. Nothing is there yet.
    ///
    /// # Errors
    /// `BAD_STATE`: the pager is closed. `OUT_OF_RANGE`: larger than [`MAX_SIZE`].
    ///
    /// Source: pager.md §3.
    pub(crate) fn create_paged(
        stores: &Arc<StoreSet>,
        pager: &Arc<Pager>,
        reclaim: &Arc<Reclaim>,
        request: PagerVmoRequest,
    ) -> Result<Arc<Self>, Status> {
        let size = addr::round_up(request.size).filter(|&size| size <= MAX_SIZE).ok_or(Status::OUT_OF_RANGE)?;
        let mut content = Content::new(size, request.stream_size, request.resizable, 0);
        content.careful = true;
        let family = Family::new(stores.clone(), content, Node::new(request.koid, None, ROOT));
        let port = request.port.clone();
        family.lock(ROOT).family_mut().source = Some(Box::new(Source {
            pager: pager.clone(),
            koid: request.koid,
            port: request.port,
            trap_dirty: request.trap_dirty,
            provider: Provider::There,
            modified: false,
            states: States::default(),
            requests: Requests::default(),
            loaded: BTreeSet::new(),
            residency: Residency::new(reclaim.clone()),
            leaving: Vec::new(),
            over: BTreeMap::new(),
        }));
        // When it is whole: whoever closes the pager looks at it.
        pager.add(&family, port)?;
        let kind = VmoKind { resizable: request.resizable, discardable: false, immutable: false };
        Ok(Arc::new(Self { family, koid: request.koid, kind, shows: Shows::Whole, content: ROOT, node: 0 }))
    }

    /// Frees the pages of `range` of a root, part by part: `gone` says what each is then.
    ///
    /// # Errors
    /// What the host gives; parts before it are gone.
    pub(crate) fn drop_pages(
        &self,
        content: &mut Locked<'_>,
        range: VmoRange,
        mut gone: impl FnMut(&mut Source, VmoRange),
    ) -> Result<(), Status> {
        let mut parts: Vec<VmoRange> = content.extents.places(range).map(|place| place.range).collect();
        parts.push(VmoRange::from_bounds(range.end(), range.end()));
        let mut at = range.start();
        for part in parts {
            let gap = VmoRange::from_bounds(at, part.start());
            at = part.end();
            self.free(content, part)?;
            let source = content.paged_mut().expect("a root");
            for part in [gap, part].into_iter().filter(|part| !part.is_empty()) {
                source.unload(part);
                gone(source, part);
                source.changed(part);
            }
        }
        Ok(())
    }

    /// Whether a pager is behind it, or behind what it was made of.
    pub fn is_pager_backed(&self) -> bool {
        self.lock().family().source.is_some()
    }
}
