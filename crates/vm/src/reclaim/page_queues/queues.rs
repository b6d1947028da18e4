//! What the books are told: which pages are there, which of them may be taken, and what is known of their use.
//!
//! 1. A page is known if it has a record, and every record is found by its page.
//! 2. A record's queue agrees with its marks: only pages that may be taken and are marked `Always` stand in `Need`,
//!    only those that are marked `NeedNot` and not `Always` in the queue of that name; of the others the `Proven` stand
//!    on the clock and the rest on probation, the `Armed` apart from those that are not.
//! 3. Only what is in hand is marked `ForAge`; what is marked `NeedNot` is armed.
//!
//! [`Queues::audit`] checks 1-3.

use std::ops::Range;

use super::ghosts::{Ghosts, hash};
use super::index::Index;
use super::loops::Loops;
use super::share::Share;
use super::slots::{Mark, Place, Slot, Slots};
use super::{Counts, Hint, PageId, PageStanding, RootId, Standing};

/// See the room. All ranges are in pages; one that ends before it starts is empty.
#[derive(Debug)]
pub struct Queues {
    pub(super) slots: Slots,
    pub(super) index: Index,
    /// What was taken on probation.
    new_ghosts: Ghosts,
    /// What was taken from the clock: rarer, so remembered for longer.
    proven_ghosts: Ghosts,
    pub(super) share: Share,
    loops: Loops,
    /// How many pages there may be.
    plan: u64,
    /// How many ghosts have come again.
    pub(super) refaulted: u64,
    /// The generation that is now. Wraps.
    pub(super) now: u32,
    /// How many on the clock were found used since a page was taken for room.
    pub(super) stays: u64,
    /// Where the search for aged pages goes on.
    pub(super) sweep: u32,
}

impl Default for Queues {
    fn default() -> Self {
        Self::new()
    }
}

impl Queues {
    /// Empty books, without a limit on pages.
    pub fn new() -> Self {
        Self {
            slots: Slots::new(),
            index: Index::default(),
            new_ghosts: Ghosts::new(),
            proven_ghosts: Ghosts::new(),
            share: Share::new(),
            loops: Loops::new(),
            plan: u64::MAX,
            refaulted: 0,
            now: 0,
            stays: 0,
            sweep: 0,
        }
    }

    /// Tells how many pages there may be, so how many ghosts are worth their memory. `u64::MAX`: any number.
    pub fn plan_for(&mut self, pages: u64) {
        self.plan = pages;
    }

    /// Pages are there and may be taken, and each was accessed just now. Nothing changes for those that are known.
    pub fn came(&mut self, root: RootId, pages: Range<u64>) {
        for page in pages {
            if self.index.get(root, page).is_none() {
                self.enter(PageId { root, page });
            }
        }
    }

    /// Pages may not be taken for now. Those in hand leave it, and those that are not known become so. A page so held
    /// keeps what is known of it, but what a program did not need it needs now.
    pub fn hold(&mut self, root: RootId, pages: Range<u64>) {
        for page in pages {
            let slot = self.index.get(root, page).unwrap_or_else(|| self.enter(PageId { root, page }));
            for mark in [Mark::NeedNot, Mark::Armed, Mark::ForAge] {
                self.slots.set(slot, mark, false);
            }
            self.slots.move_to(slot, Place::Held);
        }
    }

    /// Pages that are held may be taken again, each as the youngest of its queue. Others are not touched.
    pub fn release(&mut self, root: RootId, pages: Range<u64>) {
        for (_, slot) in self.index.range(root, pages) {
            if self.slots.place(slot) == Place::Held {
                let place = resting_place(&self.slots, slot);
                self.slots.move_to(slot, place);
            }
        }
    }

    /// Pages are not there any more, for another reason than being taken. Costs as much as what is known in the range.
    pub fn gone(&mut self, root: RootId, pages: Range<u64>) {
        loop {
            let some = self.index.drain_some(root, pages.clone());
            if some.is_empty() {
                break;
            }
            some.into_iter().for_each(|slot| self.slots.move_to(slot, Place::Free));
        }
    }

    /// A page was taken. Forgotten, but for its ghost.
    pub fn taken(&mut self, page: PageId) {
        let Some(slot) = self.index.remove(page.root, page.page) else { return };
        let takings = worth_remembering(self.index_len(), self.plan);
        // A program that does not need a page says nothing about how much room newcomers need.
        if !self.slots.has(slot, Mark::NeedNot) {
            let remembered = hash(self.index.life(page.root), page.page);
            let ghosts = match self.slots.has(slot, Mark::Proven) {
                true => &mut self.proven_ghosts,
                false => &mut self.new_ghosts,
            };
            ghosts.remember(takings);
            ghosts.add(remembered);
        }
        self.slots.move_to(slot, Place::Free);
    }

    /// Forgets a root: its pages, their ghosts.
    pub fn forget_root(&mut self, root: RootId) {
        for slot in self.index.end_life(root) {
            self.slots.move_to(slot, Place::Free);
        }
        if self.index_len() == 0 {
            // So that the memory of the records is given back.
            (self.slots, self.sweep) = (Slots::new(), 0);
        }
    }

    /// Notes what a program says of those of the pages that are known. `DONT_NEED` is as if their entries had been
    /// dropped, and does nothing to pages that are held or `ALWAYS_NEED`. A page in hand that is always needed leaves
    /// it.
    pub fn hint(&mut self, root: RootId, pages: Range<u64>, hint: Hint) {
        for (_, slot) in self.index.range(root, pages) {
            let place = self.slots.place(slot);
            match hint {
                Hint::DontNeed => {
                    if place == Place::Held || self.slots.has(slot, Mark::Always) || self.slots.has(slot, Mark::NeedNot)
                    {
                        continue;
                    }
                    self.slots.set(slot, Mark::NeedNot, true);
                    self.slots.set(slot, Mark::Armed, true);
                    if place != Place::Hand {
                        self.slots.move_to(slot, Place::NeedNot);
                    }
                }
                Hint::AlwaysNeed => {
                    self.slots.set(slot, Mark::Always, true);
                    self.slots.set(slot, Mark::NeedNot, false);
                    self.slots.set(slot, Mark::ForAge, false);
                    if place != Place::Held && place != Place::Need {
                        self.slots.move_to(slot, Place::Need);
                    }
                }
            }
        }
    }

    /// A new generation begins: every page is a pass older.
    pub fn pass(&mut self) {
        self.now = self.now.wrapping_add(1);
        self.sweep = 0;
    }

    /// What a pass found of those of the pages that are known: used since they were last looked at, or not. Their
    /// entries are dropped now in either case. A page in hand that was used leaves it.
    pub fn known(&mut self, root: RootId, pages: Range<u64>, used: bool) {
        for (_, slot) in self.index.range(root, pages) {
            let (place, armed) = (self.slots.place(slot), self.slots.has(slot, Mark::Armed));
            if used {
                self.slots.set_generation(slot, self.now);
                // What has its first entry was used once, as all that ever came.
                if armed {
                    self.slots.set(slot, Mark::Proven, true);
                }
                self.slots.set(slot, Mark::NeedNot, false);
                self.slots.set(slot, Mark::ForAge, false);
            }
            self.slots.set(slot, Mark::Armed, true);
            let may_move = match place {
                Place::Held => false,
                Place::Hand => used,
                Place::Need => false,
                Place::NewFresh | Place::NewArmed | Place::ProvenFresh | Place::ProvenArmed | Place::NeedNot => {
                    used || !armed
                }
                Place::Free => unreachable!("a page has a record in use"),
            };
            if may_move {
                let place = resting_place(&self.slots, slot);
                self.slots.move_to(slot, place);
            }
        }
    }

    /// How many pages stand where. Looks at all ghosts.
    pub fn counts(&self) -> Counts {
        let len = |place| self.slots.len(place);
        Counts {
            newcomers: self.newcomers(),
            proven: self.proven(),
            need_not: len(Place::NeedNot),
            need: len(Place::Need),
            held: len(Place::Held),
            in_hand: len(Place::Hand),
            ghosts: self.new_ghosts.count() + self.proven_ghosts.count(),
        }
    }

    /// How many pages could be taken for room, those in hand among them.
    pub fn takeable(&self) -> u64 {
        self.index_len() - self.slots.len(Place::Held)
    }

    /// Tells what is known of the pages in a range, ascending. For audits and reports.
    pub fn each(&self, root: RootId, pages: Range<u64>, tell: &mut dyn FnMut(u64, PageStanding)) {
        for (page, slot) in self.index.range(root, pages) {
            let standing = match self.slots.place(slot) {
                Place::NewFresh | Place::NewArmed => Standing::Newcomer,
                Place::ProvenFresh | Place::ProvenArmed => Standing::Proven,
                Place::NeedNot => Standing::NeedNot,
                Place::Need => Standing::Need,
                Place::Held => Standing::Held,
                Place::Hand => Standing::InHand,
                Place::Free => unreachable!("a page has a record in use"),
            };
            let told = PageStanding {
                standing,
                age_passes: self.age(slot),
                armed: self.slots.has(slot, Mark::Armed),
                proven: self.slots.has(slot, Mark::Proven),
                always_need: self.slots.has(slot, Mark::Always),
            };
            tell(page, told);
        }
    }

    /// Checks that the books agree with each other. Looks at everything.
    ///
    /// # Panics
    /// If they do not.
    pub fn audit(&self) {
        self.slots.audit();
        for number in 0..self.slots.end() {
            let slot = Slot(number);
            let (place, has) = (self.slots.place(slot), |mark| self.slots.has(slot, mark));
            if place == Place::Free {
                continue;
            }
            let page = self.slots.page(slot);
            assert_eq!(self.index.get(page.root, page.page), Some(slot), "{page:?} is found");
            assert!(!has(Mark::ForAge) || place == Place::Hand, "{page:?} is in hand for its age");
            assert!(!has(Mark::NeedNot) || has(Mark::Armed) && !has(Mark::Always), "{page:?} is not needed");
            if place != Place::Hand && place != Place::Held {
                assert_eq!(place, resting_place(&self.slots, slot), "{page:?} stands where its marks say");
            }
        }
        assert_eq!(self.index.len() as u64, self.index_len(), "every page has a record");
    }

    pub(super) fn newcomers(&self) -> u64 {
        self.slots.len(Place::NewFresh) + self.slots.len(Place::NewArmed)
    }

    pub(super) fn proven(&self) -> u64 {
        self.slots.len(Place::ProvenFresh) + self.slots.len(Place::ProvenArmed)
    }

    /// Passes since the last known use.
    pub(super) fn age(&self, slot: Slot) -> u32 {
        self.now.wrapping_sub(self.slots.generation(slot))
    }

    /// How many pages are known.
    fn index_len(&self) -> u64 {
        u64::from(self.slots.end()) - self.slots.len(Place::Free)
    }

    /// Gives a page a record and a place: on the clock if its ghost is met, or if there is room for all.
    fn enter(&mut self, page: PageId) -> Slot {
        let pages = self.index_len() + 1;
        let remembered = hash(self.index.life(page.root), page.page);
        let was_new = self.new_ghosts.remove(remembered);
        let was_proven = self.proven_ghosts.remove(remembered);
        if was_new {
            self.share.more_for_newcomers(pages);
        }
        if was_proven {
            self.share.more_for_proven(pages);
        }
        self.loops.came(was_proven);
        self.refaulted += u64::from(was_new || was_proven);
        let ghost = (was_new || was_proven) && self.loops.lets_in();
        let proven = ghost || has_room(pages, self.plan);
        let slot = self.slots.add(page, if proven { Place::ProvenFresh } else { Place::NewFresh }, self.now);
        self.slots.set(slot, Mark::Proven, proven);
        self.index.insert(page.root, page.page, slot);
        slot
    }
}

/// How many takings are worth their memory, when so many pages are known. Grows in few steps: each moves all ghosts.
pub(super) fn worth_remembering(pages: u64, plan: u64) -> u64 {
    match plan {
        // Ghosts say little where nothing is taken but for its age.
        u64::MAX => 1 << pages.ilog2(),
        plan => pages.next_power_of_two().min(plan),
    }
}

/// Whether there is room on the clock for pages that nothing is known of. Without a plan nobody knows.
pub(super) fn has_room(pages: u64, plan: u64) -> bool {
    plan != u64::MAX && pages < plan / 10 * 9
}

/// Where a page stands that is neither held nor in hand.
pub(super) fn resting_place(slots: &Slots, slot: Slot) -> Place {
    let has = |mark| slots.has(slot, mark);
    match (has(Mark::Proven), has(Mark::Armed)) {
        _ if has(Mark::Always) => Place::Need,
        _ if has(Mark::NeedNot) => Place::NeedNot,
        (false, false) => Place::NewFresh,
        (false, true) => Place::NewArmed,
        (true, false) => Place::ProvenFresh,
        (true, true) => Place::ProvenArmed,
    }
}
