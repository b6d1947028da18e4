//! What the books answer: whose entries to drop, whom to look at next, and what follows from what was found.
//!
//! A page that is given out is in hand until it is settled, so that it is never given out twice. Newcomers that were
//! used leave the probation, and of pages on the clock at most `MOST_STAYS` in a row are kept, and no more than there
//! are: then one is taken although it was used. So a budget that is full always yields, and soon.

use super::queues::{Queues, resting_place};
use super::slots::{Mark, Place, Slot};
use super::{Found, PageId, Urgency, Verdict};

/// If so many were all used, those that were not are too few to be worth the search.
const MOST_STAYS: u64 = 32;

impl Queues {
    /// Names pages whose entries are to be dropped now, so that their use shows in time: at most `max`. They count as
    /// armed from here on. Fewer than `max`, or none: there are no more for now.
    pub fn arm_next(&mut self, max: usize, out: &mut Vec<PageId>) {
        let end = out.len().saturating_add(max);
        for (fresh, armed) in [(Place::NewFresh, Place::NewArmed), (Place::ProvenFresh, Place::ProvenArmed)] {
            while out.len() < end
                && self.slots.len(armed) < self.slots.len(fresh)
                && let Some(slot) = self.slots.eldest(fresh)
            {
                self.slots.set(slot, Mark::Armed, true);
                self.slots.move_to(slot, armed);
                out.push(self.slots.page(slot));
            }
        }
    }

    /// Names the next pages to look at, at most `max`. They are in hand until [`Queues::settle`], or until they are
    /// gone or held.
    ///
    /// For [`Urgency::Room`] there is always one as long as not all pages that could be taken are in hand. Otherwise
    /// the answer is empty when no other page may be taken.
    pub fn candidates(&mut self, max: usize, urgency: Urgency, out: &mut Vec<PageId>) {
        let end = out.len().saturating_add(max);
        match urgency {
            Urgency::Room => self.for_room(end, out),
            Urgency::Aged { passes } => self.for_age(end, passes, false, out),
            Urgency::Last { passes } => self.for_age(end, passes, true, out),
        }
    }

    /// Tells how a candidate was found, and learns what becomes of it. A page that is not in hand stays.
    pub fn settle(&mut self, page: PageId, found: Found) -> Verdict {
        let Some(slot) = self.in_hand(page) else { return Verdict::Stay };
        let (armed, proven) = (self.slots.has(slot, Mark::Armed), self.slots.has(slot, Mark::Proven));
        let used = match found {
            Found::Used => true,
            // No entry, no use; and what cannot be told goes in the order of coming.
            Found::Unused | Found::Unknown => false,
        };
        let for_age = self.slots.has(slot, Mark::ForAge);
        let on_clock = !for_age && (proven || self.slots.has(slot, Mark::Always));
        let stays = match used {
            false => false,
            true if for_age => true,
            true if on_clock && self.stays >= MOST_STAYS.min(self.takeable()) => false,
            // An entry that was never dropped tells of the first access only.
            true => armed || proven,
        };
        if !stays {
            self.stays = if for_age { self.stays } else { 0 };
            return Verdict::Take;
        }
        self.stays += u64::from(on_clock);
        self.slots.set_generation(slot, self.now);
        self.slots.set(slot, Mark::Proven, proven || armed);
        self.slots.set(slot, Mark::NeedNot, false);
        self.slots.set(slot, Mark::Armed, false);
        self.leave_hand(slot);
        Verdict::Stay
    }

    /// Puts a candidate back that was to be taken and could not be, as the youngest of its queue. Nothing happens to a
    /// page that is not in hand.
    pub fn put_back(&mut self, page: PageId) {
        if let Some(slot) = self.in_hand(page) {
            self.leave_hand(slot);
        }
    }

    fn in_hand(&self, page: PageId) -> Option<Slot> {
        self.index.get(page.root, page.page).filter(|&slot| self.slots.place(slot) == Place::Hand)
    }

    fn leave_hand(&mut self, slot: Slot) {
        self.slots.set(slot, Mark::ForAge, false);
        let place = resting_place(&self.slots, slot);
        self.slots.move_to(slot, place);
    }

    fn give(&mut self, slot: Slot, out: &mut Vec<PageId>) {
        self.slots.move_to(slot, Place::Hand);
        out.push(self.slots.page(slot));
    }

    fn for_room(&mut self, end: usize, out: &mut Vec<PageId>) {
        let start = out.len();
        while out.len() < end
            && let Some(slot) = self.next_for_room()
        {
            self.give(slot, out);
        }
        if out.len() > start {
            return;
        }
        while out.len() < end
            && let Some(slot) = self.slots.eldest(Place::Need)
        {
            self.give(slot, out);
        }
    }

    /// The next page for room that is not always needed.
    fn next_for_room(&self) -> Option<Slot> {
        let (newcomers, proven) = (self.newcomers(), self.proven());
        let probation = [Place::NewArmed, Place::NewFresh];
        let clock = [Place::ProvenArmed, Place::ProvenFresh];
        let queues = match newcomers > self.share.newcomers(newcomers + proven) {
            true => [probation, clock],
            false => [clock, probation],
        };
        let mut places = [Place::NeedNot].into_iter().chain(queues.into_iter().flatten());
        places.find_map(|place| self.slots.eldest(place))
    }

    /// Goes once round all records, from where it stopped.
    fn for_age(&mut self, end: usize, passes: u32, need_too: bool, out: &mut Vec<PageId>) {
        while out.len() < end
            && let Some(slot) = self.slots.eldest(Place::NeedNot)
        {
            self.slots.set(slot, Mark::ForAge, true);
            self.give(slot, out);
        }
        for _ in 0..self.slots.end() {
            if out.len() >= end {
                break;
            }
            let slot = Slot(self.sweep);
            self.sweep = if self.sweep + 1 < self.slots.end() { self.sweep + 1 } else { 0 };
            let may = match self.slots.place(slot) {
                Place::NewFresh | Place::NewArmed | Place::ProvenFresh | Place::ProvenArmed => true,
                Place::Need => need_too,
                Place::NeedNot | Place::Held | Place::Hand | Place::Free => false,
            };
            if may && self.age(slot) >= passes {
                self.slots.set(slot, Mark::ForAge, true);
                self.give(slot, out);
            }
        }
    }
}
