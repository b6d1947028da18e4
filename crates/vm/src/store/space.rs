//! Free space in one store: which bytes of a file no window uses.
//!
//! 1. Free ranges never touch or overlap: neighbours are joined.
//! 2. Everything from `top` on is free and in no list.
//! 3. The two indexes hold the same ranges.
//!
//! The smallest range that fits is taken, the lowest of equal ones: files stay dense at the front, which keeps the
//! kernel's page trees shallow.

use std::collections::{BTreeMap, BTreeSet};

use zxvm_host::{STORE_SIZE, StoreRange};

#[derive(Debug, Default)]
pub struct Space {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
    top: u64,
}

impl Space {
    /// Takes `len` bytes; `None` if the store has no such range left.
    pub fn take(&mut self, len: u64) -> Option<StoreRange> {
        let fit = self.by_len.range((len, 0)..).next().copied();
        let Some((found, start)) = fit else {
            let end = self.top.checked_add(len).filter(|&end| end <= STORE_SIZE)?;
            let range = StoreRange::from_bounds(self.top, end);
            self.top = end;
            return Some(range);
        };
        self.forget(start, found);
        if found > len {
            self.note(start + len, found - len);
        }
        Some(StoreRange::from_bounds(start, start + len))
    }

    /// Gives a range back that `take` gave (or a part of one).
    pub fn give_back(&mut self, range: StoreRange) {
        let (mut start, mut end) = (range.start(), range.end());
        if let Some((&before, &len)) = self.by_start.range(..start).next_back() {
            assert!(before + len <= start, "freed twice: {range:?}");
            if before + len == start {
                self.forget(before, len);
                start = before;
            }
        }
        if let Some((&after, &len)) = self.by_start.range(start..).next() {
            assert!(end <= after, "freed twice: {range:?}");
            if end == after {
                self.forget(after, len);
                end = after + len;
            }
        }
        assert!(end <= self.top, "never taken: {range:?}");
        if end == self.top {
            self.top = start;
        } else {
            self.note(start, end - start);
        }
    }

    /// Every free range, lowest first; the last one is the endless rest.
    pub fn free(&self) -> impl Iterator<Item = StoreRange> + '_ {
        let listed = self.by_start.iter().map(|(&start, &len)| StoreRange::from_bounds(start, start + len));
        listed.chain(core::iter::once(StoreRange::from_bounds(self.top, STORE_SIZE)))
    }

    fn note(&mut self, start: u64, len: u64) {
        self.by_start.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn forget(&mut self, start: u64, len: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = 4096;

    #[test]
    fn what_is_given_back_is_joined_and_used_again() {
        let mut space = Space::default();
        let ranges: Vec<_> = (0..4).map(|_| space.take(P).unwrap()).collect();
        space.give_back(ranges[0]);
        space.give_back(ranges[2]);
        assert_eq!(space.free().count(), 3);
        space.give_back(ranges[1]);
        assert_eq!(space.free().next(), Some(StoreRange::from_bounds(0, 3 * P)));
        assert_eq!(space.take(2 * P), Some(StoreRange::from_bounds(0, 2 * P)));
        space.give_back(ranges[3]);
        assert_eq!(space.top, 2 * P, "free space at the top is no range of its own");
    }

    #[test]
    fn the_smallest_fit_is_taken() {
        let mut space = Space::default();
        let big = space.take(4 * P).unwrap();
        let wall = space.take(P).unwrap();
        let small = space.take(2 * P).unwrap();
        let _end = space.take(P).unwrap();
        space.give_back(big);
        space.give_back(small);
        assert_eq!(space.take(2 * P), Some(small));
        assert_eq!(wall.start(), 4 * P);
    }

    #[test]
    fn a_store_can_be_full() {
        let mut space = Space::default();
        assert!(space.take(STORE_SIZE).is_some());
        assert_eq!(space.take(P), None);
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn freeing_twice_is_caught() {
        let mut space = Space::default();
        let a = space.take(P).unwrap();
        let _b = space.take(P).unwrap();
        space.give_back(a);
        space.give_back(a);
    }
}
