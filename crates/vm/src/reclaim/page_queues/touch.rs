//! What leaves no page-table entry, and what is asked often.

use std::ops::Range;

use super::queues::{Queues, resting_place};
use super::slots::{Mark, Place};
use super::{PageId, RootId};

impl Queues {
    /// Pages were used by a call, which makes no entries. As if an entry had been found: who uses a page twice before it is armed is as one
    /// who uses it once.
    pub fn touched(&mut self, root: RootId, pages: Range<u64>) {
        for (_, slot) in self.index.range(root, pages) {
            self.slots.set_generation(slot, self.now);
            let place = self.slots.place(slot);
            if place == Place::Held || !self.slots.has(slot, Mark::Armed) {
                continue;
            }
            self.slots.set(slot, Mark::Proven, true);
            for mark in [Mark::NeedNot, Mark::Armed, Mark::ForAge] {
                self.slots.set(slot, mark, false);
            }
            let place = resting_place(&self.slots, slot);
            self.slots.move_to(slot, place);
        }
    }

    /// How many pages may not be taken for now.
    pub fn held(&self) -> u64 {
        self.slots.len(Place::Held)
    }

    /// How many pages may be taken that nobody says are always needed.
    pub fn spare(&self) -> u64 {
        self.takeable() - self.slots.len(Place::Need)
    }

    /// Whether a page that was to be taken still is: it may have turned out to be needed meanwhile.
    pub fn is_to_be_taken(&self, page: PageId) -> bool {
        self.index.get(page.root, page.page).is_some_and(|slot| self.slots.place(slot) == Place::Hand)
    }

    /// How many pages have come, so far, that had been taken not long before.
    pub fn refaulted(&self) -> u64 {
        self.refaulted
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hint, Standing, Urgency};
    use super::*;

    const ROOT: RootId = RootId(0);

    fn standing(queues: &Queues, page: u64) -> Standing {
        let mut found = None;
        queues.each(ROOT, page..page + 1, &mut |_, known| found = Some(known.standing));
        found.unwrap()
    }

    #[test]
    fn a_call_proves_a_page_only_after_its_coming_is_over() {
        let mut queues = Queues::new();
        queues.came(ROOT, 0..4);
        queues.touched(ROOT, 0..4);
        queues.touched(ROOT, 0..4);
        assert_eq!(standing(&queues, 0), Standing::Newcomer, "these belong to its coming");
        let mut armed = Vec::new();
        queues.arm_next(1, &mut armed);
        let page = armed[0].page;
        queues.touched(ROOT, page..page + 1);
        assert_eq!(standing(&queues, page), Standing::Proven);
        queues.hint(ROOT, 3..4, Hint::DontNeed);
        queues.touched(ROOT, 3..4);
        assert_eq!(standing(&queues, 3), Standing::Proven, "it is needed after all");
        let (mut out, all) = (Vec::new(), PageId { root: ROOT, page: 0 });
        queues.candidates(4, Urgency::Room, &mut out);
        assert!(queues.is_to_be_taken(all));
        queues.hint(ROOT, 0..1, Hint::AlwaysNeed);
        assert!(!queues.is_to_be_taken(all), "it is needed after all");
        out.into_iter().for_each(|page| queues.put_back(page));
        assert_eq!(queues.spare(), 3);
        queues.hold(ROOT, 1..2);
        queues.touched(ROOT, 1..2);
        assert_eq!((queues.held(), standing(&queues, 1)), (1, Standing::Held));
        queues.audit();
    }
}
