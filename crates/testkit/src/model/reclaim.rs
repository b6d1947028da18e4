//! Memory that is short: pager.md §10, and a budget over what pagers provide, which is not Zircon's.
//!
//! 1. Which pages go is the engine's choice. It is taken over, after a look that each might go: it is clean, or zero with a page that
//!    a load has brought. What is always needed goes only as a last resort, or when nothing else is left.
//! 2. There are never more pages in memory than the budget has room for, unless what is beyond it may not go.
//! 3. Who waits for room is the engine's word, which is taken only from those who need some: an access to a zero page or a call for
//!    one, and who asked for what a pager supplied in vain. Nobody waits while there is room, but for those that were woken and
//!    did not take it.

use zxvm_types::*;

use super::seen::{Seen, SeenPage, Waits};
use super::source::{Kind as Asked, State, Who};
use super::wait::Job;
use super::{ContentId, Kind, Model, ObjectId};
use crate::op::{Op, Outcome, UNTOUCHED};

/// The least budget, in pages.
pub const BUDGET_MIN: u64 = 64;

/// Why pages have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Some step needed room.
    Step,
    /// So many were to go.
    Room,
    /// Those that were not used.
    Aged,
    /// Those too that are always needed.
    Last,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    /// How many pages there may be.
    limit: u64,
    /// What the engine has after this step.
    seen: Seen,
    /// Those that might have been discarded before it.
    might_go: Vec<zx_koid_t>,
    /// Whether who needs room gets it.
    has_room: bool,
    /// Who waits for room.
    starving: Vec<Waits>,
    /// Who does since this step.
    starved: Vec<Waits>,
    /// How many were woken since there was no room at all.
    woken: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            limit: u64::MAX,
            seen: Seen::default(),
            might_go: Vec::new(),
            has_room: true,
            starving: Vec::new(),
            starved: Vec::new(),
            woken: 0,
        }
    }
}

impl From<Who> for Waits {
    fn from(who: Who) -> Self {
        match who {
            Who::Call | Who::Stream => Self::Call,
            Who::Access(page) => Self::Access(page),
        }
    }
}

impl Model {
    /// What the engine had before a step, and what it has after it: to be told before the step, where it may take pages.
    pub fn show(&mut self, before: &Seen, after: Seen) {
        self.memory.might_go = before.may_go.clone();
        self.memory.seen = after;
    }

    /// Whether who needs room in this step gets it.
    pub fn give_room(&mut self, gives: bool) {
        self.memory.has_room = gives;
    }

    /// How many pages there may be, if there is a limit.
    pub fn budget(&self) -> Option<u64> {
        Some(self.memory.limit).filter(|&limit| limit != u64::MAX)
    }

    /// Whether what waits does so for room.
    pub fn is_starving(&self) -> bool {
        self.waiting().is_some_and(|job| self.memory.starving.contains(&job.waits()))
    }

    /// Whether what waits did so for room before this step, or for a moment in it, and does not now.
    pub(super) fn has_been_starving(&self, job: &Job) -> bool {
        let (waits, memory) = (job.waits(), &self.memory);
        let did = memory.starving.contains(&waits) || memory.starved.contains(&waits);
        did && !memory.seen.starving.contains(&waits)
    }

    /// Whether `who` has to wait, since a page of a root is zero and there is no room for it.
    pub(super) fn starves(&mut self, root: ContentId, page: u64, who: Waits) -> bool {
        let source = self.contents[&root].source.as_ref().expect("a root");
        let starves = !self.memory.has_room && source.at(page).is_zero() && !source.is_there(page);
        if starves {
            self.memory.starved.push(who);
        }
        starves
    }

    /// Whether there is no room for zero pages of a root.
    pub(super) fn lacks_room(&self, vmo: ObjectId, mut pages: std::ops::Range<u64>) -> bool {
        let source = self.content(vmo).source.as_ref().expect("a root");
        !self.memory.has_room && pages.any(|page| source.at(page).is_zero() && !source.is_there(page))
    }

    /// Who asked for these pages of a root waits for room instead.
    pub(super) fn starve(&mut self, vmo: ObjectId, kind: Asked, pages: &std::ops::Range<u64>) {
        let starved = self.source_mut(vmo).starve(kind, pages);
        self.memory.starved.extend(starved.into_iter().map(Waits::from));
    }

    /// From which page on a supply was in vain, for want of room: from the first that is absent still and was to get a page, if
    /// nothing may go.
    pub(super) fn supplied_in_vain(
        &self,
        vmo: ObjectId,
        pages: std::ops::Range<u64>,
        has_data: impl Fn(u64) -> bool,
    ) -> u64 {
        let (there, takeable) = self.memory.seen.resident();
        if self.memory.limit == u64::MAX || takeable > 0 || there < self.memory.limit {
            return pages.end;
        }
        let source = self.content(vmo).source.as_ref().expect("a root");
        let absent = |page: &u64| self.memory.seen.page(source.koid, *page).is_none();
        let is_vain = |page: &u64| source.at(*page) == State::Absent && has_data(*page) && absent(page);
        pages.clone().find(is_vain).unwrap_or(pages.end)
    }

    /// How many pages the engine took is the first number of the outcome.
    pub(super) fn reclaim(&mut self, op: &Op, got: &Outcome) -> Outcome {
        let number = |number| Outcome { numbers: [number, UNTOUCHED], ..Outcome::default() };
        match *op {
            Op::Reclaim { pages } => {
                let before = self.resident().1;
                let gone = self.take_pages(Reason::Room);
                assert!(
                    gone >= pages.min(before) && gone <= pages,
                    "{gone} pages went: {pages} of {before} were to go"
                );
                number(gone)
            }
            Op::ReclaimAged { pages, passes, last } => {
                let discarded = self.take_discardable(pages, passes);
                let wanted = pages.saturating_sub(discarded);
                let gone = self.take_pages(if last { Reason::Last } else { Reason::Aged });
                assert!(gone <= wanted, "{gone} pages went, and {wanted} were to go");
                number(discarded + gone)
            }
            Op::AgePass => {
                for content in self.contents.values_mut() {
                    content.idle += 1;
                }
                Outcome::default()
            }
            Op::SetBudget { pages } => {
                if pages.is_some_and(|pages| pages < BUDGET_MIN) {
                    return Outcome::of(Err(Status::INVALID_ARGS));
                }
                self.memory.limit = pages.unwrap_or(u64::MAX);
                self.take_pages(Reason::Room);
                Outcome::default()
            }
            _ => unreachable!("{op:?} is about no memory; got {got:?}"),
        }
    }

    /// Takes over which pages have gone in a step that needed room for others.
    pub fn take_over(&mut self) {
        self.take_pages(Reason::Step);
    }

    /// Takes over who waits for room. The last thing in a step.
    ///
    /// # Panics
    /// If somebody does who needs none, or while there is room; or if there is more than there may be.
    pub fn settle_room(&mut self) {
        let (there, takeable) = self.resident();
        let Memory { limit, seen, starving, starved, woken, .. } = &mut self.memory;
        assert!(there <= *limit || takeable == 0, "{there} pages, {takeable} of which may go, in a budget of {limit}");
        let mut known = starving.clone();
        known.append(starved);
        for who in &seen.starving {
            assert!(known.contains(who), "{who:x?} waits for room, and needs none");
        }
        let prospect = limit.saturating_sub(there) + takeable;
        *woken += known.len().saturating_sub(seen.starving.len()) as u64;
        if prospect == 0 {
            *woken = 0;
        }
        let lost = !seen.starving.is_empty() && prospect > *woken;
        assert!(!lost, "{:x?} wait for room, and there is some for {prospect}: {woken} were woken", seen.starving);
        starving.clone_from(&seen.starving);
    }

    /// Asserts that the engine knows of each page what the model does.
    ///
    /// # Panics
    /// If it does not.
    pub fn compare_seen(&self, seen: &Seen) {
        let sources = self.contents.values().filter_map(|content| Some((content.source.as_ref()?, content.losses)));
        let mut count = 0;
        for (source, losses) in sources {
            let root = seen.roots.get(&source.koid).unwrap_or_else(|| panic!("no pages of {}", source.koid));
            assert_eq!(root.losses, losses, "how often pages of {} have gone", source.koid);
            let mine = source.known(0..u64::MAX).into_iter();
            let mine = mine.map(|(page, state)| (page, SeenPage { state, there: source.is_there(page) }));
            for (page, known) in mine {
                assert_eq!(root.pages.get(&page), Some(&known), "page {page:#x} of {}", source.koid);
            }
            for (&page, known) in &root.pages {
                assert_ne!(source.at(page), State::Absent, "page {page:#x} of {} is {known:?}", source.koid);
            }
            count += 1;
        }
        assert_eq!(seen.roots.len(), count, "pagers' VMOs");
        let (there, takeable) = self.resident();
        assert_eq!(seen.told, (there, there - takeable), "pages in memory, and those that may not go");
    }

    /// Pages in memory, and how many of them may go.
    pub fn resident(&self) -> (u64, u64) {
        let (mut there, mut takeable) = (0, 0);
        for source in self.contents.values().filter_map(|content| content.source.as_ref()) {
            for (page, _) in source.known(0..u64::MAX) {
                there += u64::from(source.is_there(page));
                takeable += u64::from(source.is_takeable(page));
            }
        }
        (there, takeable)
    }

    /// What may go and is gone is gone. Answers how many pages that are.
    fn take_pages(&mut self, reason: Reason) -> u64 {
        let (mut all, mut needed, mut stayed) = (0, 0, 0);
        for content in self.contents.values_mut() {
            let Some(source) = &mut content.source else { continue };
            let Some(root) = self.memory.seen.roots.get(&source.koid) else { continue };
            let mut gone = 0;
            for (page, state) in source.known(0..u64::MAX) {
                if !source.is_takeable(page) {
                    continue;
                }
                let goes = match root.pages.get(&page) {
                    None => state == State::Clean,
                    Some(seen) => seen.state == state && !seen.there,
                };
                if !goes {
                    stayed += u64::from(!source.is_needed(page));
                    continue;
                }
                needed += u64::from(source.is_needed(page));
                if state == State::Clean {
                    content.pages.free(page * crate::PAGE, (page + 1) * crate::PAGE);
                }
                source.evict(page);
                gone += 1;
            }
            if gone > 0 {
                // Of pages that go together nobody is told one by one.
                let losses = content.losses + 1..=content.losses + gone;
                assert!(losses.contains(&root.losses), "pages went {} times, not {losses:?}", root.losses);
                content.losses = root.losses;
            }
            all += gone;
        }
        match reason {
            Reason::Room => assert!(needed == 0 || stayed == 0, "{needed} needed pages went, {stayed} others did not"),
            Reason::Aged => assert_eq!(needed, 0, "always needed"),
            Reason::Step | Reason::Last => {}
        }
        all
    }

    /// Discardable contents that are gone are gone. Answers how many pages that are.
    fn take_discardable(&mut self, pages: u64, passes: u32) -> u64 {
        let mut gone = 0;
        let might_go = std::mem::take(&mut self.memory.might_go);
        let stays = |koid: &zx_koid_t| self.memory.seen.may_go.contains(koid);
        let (stayed, went): (Vec<_>, Vec<_>) = might_go.into_iter().partition(stays);
        for koid in went {
            let Some(vmo) = self.by_koid(koid) else { panic!("{koid} was discarded, and is none") };
            let content = self.content_mut(vmo);
            assert!(content.may_go() && content.idle >= passes, "{koid} was discarded: {content:?}");
            gone += content.pages.offsets(0, u64::MAX).count() as u64;
            content.discard();
        }
        for koid in stayed {
            let idle = self.by_koid(koid).map_or(0, |vmo| self.content(vmo).idle);
            assert!(gone >= pages || idle < passes, "{koid} was not discarded");
        }
        gone
    }

    fn by_koid(&self, koid: zx_koid_t) -> Option<ObjectId> {
        let suits = |kind: &Kind| matches!(kind, Kind::Vmo(_));
        self.objects().find(|(_, object)| object.koid == koid && suits(&object.kind)).map(|(id, _)| id)
    }
}
