//! Taking clean pages of pagers' VMOs out of memory: for room in a budget, or because memory is short.
//!
//! 1. What may be taken is guarded wherever it may be stored through, so a page that is found clean under its family's lock stays as it is
//!    until it is freed. Who copies from it without that lock is told before it goes.
//! 2. Whether a page is used is what the page tables say: its entries are dropped, many at a time, and looked for later. Both is
//!    done without any lock; that a mapping has changed meanwhile makes an answer wrong, and does no other harm.
//! 3. Pages are freed without a lock. While that goes on they are *leaving*: absent for the books, so an access asks for them, and
//!    nobody brings, zeroes or cuts off anything there before it is done.

use core::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use zxvm_host::{AddrRange, PAGE_SIZE, VmoRange};
use zxvm_types::Status;

use super::{AddressSpace, Layout, Roots};
use crate::reclaim::{Found, PageId, RootId, Urgency, Verdict};
use crate::store::Window;
use crate::vmo::Vmo;
use crate::vmo::family::{Family, FamilyState, Locked};
use crate::vmo::source::ROOT;

/// Pages looked at, and dropped from page tables, together.
const BATCH: usize = 64;

/// Where a run of a root's pages is shown.
pub(super) struct Spot {
    pub addrs: AddrRange,
    /// The page of the root that is shown first.
    pub page: u64,
}

/// Gets the place of a root's pages among all, what knows where they are shown, and the pages.
type EachRoot<'a> = &'a mut dyn FnMut(usize, &FamilyState, &Layout, &[PageId]);

impl AddressSpace {
    /// Asserts that the books of reclaim say what is there.
    pub(super) fn audit_reclaim(&self) {
        let families: Vec<_> = {
            let roots = self.lock_roots();
            roots.iter().filter_map(|(&root, family)| Some((root, family.upgrade()?))).collect()
        };
        let there = families.iter().map(|(root, family)| {
            let content = family.lock(ROOT);
            if is_root(content.family(), *root) { content.root().residency.there() } else { 0 }
        });
        self.reclaim.budget.audit(there.sum());
        self.audit_room();
        self.reclaim.queues().audit();
    }

    /// A pager's VMO has been made.
    pub(super) fn enlist(&self, vmo: &Vmo) {
        let Some(root) = vmo.lock().paged().map(|source| source.residency.root()) else { return };
        self.lock_roots().insert(root, Arc::downgrade(vmo.family()));
    }

    pub(super) fn root_family(&self, root: RootId) -> Option<Arc<Family>> {
        self.lock_roots().get(&root)?.upgrade()
    }

    /// Takes pages until there is room for some. Answers whether any went.
    ///
    /// # Errors
    /// `NO_MEMORY`: some could go, and the host does not free them. Who waited for room might wait for ever.
    pub(super) fn make_room(&self) -> Result<bool, Status> {
        let budget = &self.reclaim.budget;
        let want = budget.chunk().saturating_sub(budget.free());
        match self.try_evict(want.min(BATCH as u64).max(1), Urgency::Room) {
            (0, true) => Err(Status::NO_MEMORY),
            (freed, _) => Ok(freed > 0),
        }
    }

    /// Takes pages ahead of need, so that whoever needs room next finds some.
    pub(super) fn keep_room(&self) {
        const AHEAD: u64 = 8;
        let budget = &self.reclaim.budget;
        let ahead = (budget.limit() / 32).min(AHEAD);
        // Where most of it is dirty, what little may go is left for those who came for it.
        if budget.is_limited() && budget.free() < ahead / 2 && self.reclaim.queues().spare() > 4 * ahead {
            self.evict(ahead - budget.free().min(ahead), Urgency::Room);
        }
    }

    /// Takes what is there beyond the budget, as far as it may be.
    pub(super) fn trim(&self) {
        loop {
            let excess = self.reclaim.budget.excess();
            if excess == 0 || self.evict(excess, Urgency::Room) == 0 {
                return;
            }
        }
    }

    /// Takes `want` pages, or a few more, in the order of the queues. Answers how many: fewer if no more may be taken, or the
    /// host refuses.
    pub(super) fn evict(&self, want: u64, urgency: Urgency) -> u64 {
        self.try_evict(want, urgency).0
    }

    /// As [`evict`](Self::evict). Answers also whether it ended because the host refuses.
    fn try_evict(&self, want: u64, urgency: Urgency) -> (u64, bool) {
        let (mut arm, mut batch, mut freed) = (Vec::new(), Vec::new(), 0);
        while freed < want {
            arm.clear();
            batch.clear();
            {
                let queues = &mut *self.reclaim.queues();
                queues.arm_next(BATCH, &mut arm);
                queues.candidates(BATCH.min((want - freed) as usize), urgency, &mut batch);
            }
            self.arm(&mut arm);
            if batch.is_empty() {
                break;
            }
            batch.sort_unstable();
            let found = match urgency {
                // Everything goes, in use or not: who looked would find what is in use again and again.
                Urgency::Aged { passes: 0 } | Urgency::Last { passes: 0 } => vec![Found::Unused; batch.len()],
                Urgency::Room | Urgency::Aged { .. } | Urgency::Last { .. } => self.look(&batch),
            };
            let mut take = Vec::with_capacity(batch.len());
            {
                let queues = &mut *self.reclaim.queues();
                let verdicts =
                    batch.iter().zip(found).filter(|&(&page, found)| queues.settle(page, found) == Verdict::Take);
                take.extend(verdicts.map(|(&page, _)| page));
            }
            let (went, refused) = self.take(&take);
            freed += went;
            if went == 0 && refused {
                // They are the next again, and would be refused again.
                return (freed, true);
            }
        }
        (freed, false)
    }

    /// Drops the page-table entries of pages, so that it shows whether they are used.
    fn arm(&self, pages: &mut [PageId]) {
        if pages.is_empty() {
            return;
        }
        pages.sort_unstable();
        let mut addrs = Vec::with_capacity(pages.len());
        self.each_root(pages, &mut |_, family, layout, pages| {
            addrs.extend(runs(pages).flat_map(|run| self.spots(layout, family, run)).map(|spot| spot.addrs));
        });
        // Where it is refused the pages seem to be in use for a while.
        let _ = self.host.drop_entries(&addrs);
    }

    /// Which of the pages have been used since their entries were dropped.
    fn look(&self, pages: &[PageId]) -> Vec<Found> {
        let mut found = vec![Found::Unused; pages.len()];
        let mut spots = Vec::new();
        self.each_root(pages, &mut |start, family, layout, pages| {
            for run in runs(pages) {
                spots.extend(self.spots(layout, family, run).map(|spot| (start, pages.len(), spot)));
            }
        });
        for (start, len, spot) in spots {
            let mut mark = |from: u64, to: u64, what: Found| {
                let first = spot.page + (from - spot.addrs.start()) / PAGE_SIZE;
                let pages = &pages[start..start + len];
                let from_index = pages.partition_point(|id| id.page < first);
                let until = first + (to - from) / PAGE_SIZE;
                for (index, _) in pages.iter().enumerate().skip(from_index).take_while(|(_, id)| id.page < until) {
                    let found = &mut found[start + index];
                    if *found != Found::Used {
                        *found = what;
                    }
                }
            };
            let mut at = spot.addrs.start();
            let looked = self.host.absent_runs(spot.addrs, &mut |absent| {
                if at < absent.start() {
                    mark(at, absent.start(), Found::Used);
                }
                at = absent.end();
            });
            match looked {
                Ok(()) if at < spot.addrs.end() => mark(at, spot.addrs.end(), Found::Used),
                Ok(()) => {}
                Err(_) => mark(spot.addrs.start(), spot.addrs.end(), Found::Unknown),
            }
        }
        found
    }

    /// Frees pages, as far as they may be still. Answers how many, and whether the host refused some.
    fn take(&self, pages: &[PageId]) -> (u64, bool) {
        let (mut freed, mut refused) = (0, false);
        for pages in pages.chunk_by(|a, b| a.root == b.root) {
            let Some(family) = self.root_family(pages[0].root) else { continue };
            let taken = take_some(&family, pages);
            freed += taken.0;
            refused |= taken.1;
        }
        self.reclaim.done.evicted.fetch_add(freed, Ordering::Relaxed);
        (freed, refused)
    }

    /// Calls `each` for the pages of each root that is there, under the locks it takes to find where they are shown: with the place of
    /// the first in `pages`, which are in order.
    fn each_root(&self, pages: &[PageId], each: EachRoot<'_>) {
        let mut start = 0;
        for pages in pages.chunk_by(|a, b| a.root == b.root) {
            if let Some(family) = self.root_family(pages[0].root) {
                let layout = self.layout.read();
                let content = family.lock(ROOT);
                if is_root(content.family(), pages[0].root) {
                    each(start, content.family(), &layout, pages);
                }
            }
            start += pages.len();
        }
    }

    /// Where a run of a root's pages is shown.
    pub(super) fn spots(&self, layout: &Layout, family: &FamilyState, run: VmoRange) -> impl Iterator<Item = Spot> {
        let mut seen = family.seen_through(ROOT, run);
        seen.push((ROOT, run));
        seen.into_iter().flat_map(move |(content, shown)| {
            let origin = family.contents[content as usize].origin;
            let parts = layout.parts(self.root, family, content, shown);
            parts
                .into_iter()
                .map(move |part| Spot { addrs: part.addrs, page: (origin + part.range.start()) / PAGE_SIZE })
        })
    }

    pub(super) fn lock_roots(&self) -> MutexGuard<'_, Roots> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the family's root is there, and is this one.
pub(super) fn is_root(family: &FamilyState, root: RootId) -> bool {
    family.source.as_ref().is_some_and(|source| source.residency.root() == root)
}

/// Pages that go together: a run in one place.
struct Part {
    range: VmoRange,
    window: Arc<Window>,
    /// Where in the window, bytes.
    at: u64,
}

/// Answers how many pages it freed, and whether the host refused some.
fn take_some(family: &Family, pages: &[PageId]) -> (u64, bool) {
    let root = pages[0].root;
    let (mut freed, mut refused) = (0, false);
    let leaving = {
        let content = &mut family.lock(ROOT);
        if !is_root(content.family(), root) {
            return (0, false);
        }
        // Before they go: who copies from them without the lock looks afterwards.
        family.moved();
        let (leaving, loaded) = takeable(content, pages);
        for part in &leaving {
            content.known.forget(part.range);
            content.root_mut().leave(part.range);
        }
        // Zeros may be wanted again at once, and are few.
        for part in loaded {
            let result = content.free_run(family.host(), part);
            refused |= result.is_err();
            match result {
                Ok(()) => {
                    content.losses = content.losses.saturating_add(1);
                    content.root_mut().evicted(part);
                    freed += part.pages();
                }
                Err(_) => content.root_mut().put_back(part),
            }
        }
        leaving
    };
    // Without the lock: others go on with what else there is meanwhile.
    let gone = leaving.into_iter().map(|part| {
        let stored = part.window.part(part.at, part.range.len());
        (family.host().punch(part.window.store(), stored).is_ok(), part)
    });
    let gone: Vec<(bool, Part)> = gone.collect();
    let content = &mut family.lock(ROOT);
    // The VMO may have gone with all its pages.
    if is_root(content.family(), root) {
        for (is_gone, part) in &gone {
            if *is_gone {
                content.losses = content.losses.saturating_add(1);
                content.root_mut().left(part.range);
                freed += part.range.pages();
            } else {
                content.root_mut().stay(part.range);
                refused = true;
            }
        }
    }
    (freed, refused)
}

/// Of the pages of a root those whose turn it is still: clean ones, and zeros that a load has brought.
fn takeable(content: &Locked<'_>, pages: &[PageId]) -> (Vec<Part>, Vec<VmoRange>) {
    let (mut clean, mut loaded): (Vec<Part>, Vec<VmoRange>) = (Vec::new(), Vec::new());
    let source = content.root();
    for run in runs(pages) {
        for place in content.extents.places(run) {
            let here = (place.range.start()..place.range.end()).step_by(PAGE_SIZE as usize);
            for page in here.filter(|&page| source.is_to_be_taken(page)) {
                let range = VmoRange::from_bounds(page, page + PAGE_SIZE);
                let at = place.at + (page - place.range.start());
                if source.states.at(page).is_zero() {
                    loaded.push(range);
                    continue;
                }
                match clean.last_mut() {
                    Some(last)
                        if last.range.end() == page
                            && Arc::ptr_eq(&last.window, place.window)
                            && last.at + last.range.len() == at =>
                    {
                        last.range = VmoRange::from_bounds(last.range.start(), range.end());
                    }
                    Some(_) | None => clean.push(Part { range, window: place.window.clone(), at }),
                }
            }
        }
    }
    (clean, loaded)
}

/// Runs of pages that are next to one another, in bytes.
fn runs(pages: &[PageId]) -> impl Iterator<Item = VmoRange> {
    pages.chunk_by(|a, b| a.page + 1 == b.page).map(|run| {
        let start = run[0].page * PAGE_SIZE;
        VmoRange::from_bounds(start, start + run.len() as u64 * PAGE_SIZE)
    })
}
