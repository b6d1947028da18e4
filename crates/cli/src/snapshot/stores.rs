//! What the writer stores, and where: decided beforehand, so that the content after any number of stores is known.
//!
//! 1. Store number k is a function of the number of pages, the round and k alone.
//! 2. No two stores have the same value: the content after k stores is that after no other number of stores.
//! 3. Within a round all stores go to about an eighth of the pages, some of them in every round: what a snapshot has to
//!    copy stays within bounds however fast the writer is.
//!
//! The rounds follow the snapshots. When each began, in stores, is what only the writer knows; it keeps a list.

use std::ops::Range;

use zxvm_host::PAGE_SIZE;

use crate::mix::mix;

/// Words in a page.
pub const PAGE_WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

/// One store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Which word of the VMO.
    pub word: usize,
    /// What it becomes.
    pub value: u64,
}

impl Store {
    /// The page that the word is in.
    pub fn page(self) -> usize {
        self.word / PAGE_WORDS
    }
}

/// Runs of pages that are chosen anew every round.
const SCATTERED: usize = 4;

/// The stores of one round.
#[derive(Clone, Debug)]
pub struct Round {
    number: usize,
    /// The same pages every round.
    always: Range<usize>,
    /// A stretch that moves on with every round.
    moving: Range<usize>,
    scattered: [Range<usize>; SCATTERED],
}

impl Round {
    /// The round with this number, on so many pages.
    pub fn new(pages: usize, number: usize) -> Self {
        let run = |len: usize, place: usize| {
            let len = len.max(1);
            let start = place % (pages - len + 1);
            start..start + len
        };
        let stretch = (pages / 16).max(1);
        let scattered = std::array::from_fn(|index| {
            let place = mix((number * SCATTERED + index) as u64 ^ 0x5ca7) as usize;
            run(pages / 128, place)
        });
        Self { number, always: run(pages / 64, 0), moving: run(stretch, (number + 1) * stretch), scattered }
    }

    /// Its number.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Store number `k`, which is in this round.
    pub fn store(&self, k: u64) -> Store {
        let value = mix(k);
        let choice = mix(!value);
        let run = match choice % 8 {
            0 | 1 => &self.always,
            chosen @ 2..=5 => &self.scattered[chosen as usize - 2],
            _ => &self.moving,
        };
        let page = run.start + (choice >> 32) as usize % run.len();
        let word = (choice >> 8) as usize % PAGE_WORDS;
        Store { word: page * PAGE_WORDS + word, value }
    }
}

/// Store number `k`, on so many pages. Rounds began with `starts`.
pub fn store(pages: usize, starts: &[u64], k: u64) -> Store {
    // The last of those that began there: the ones before have no stores.
    Round::new(pages, starts.partition_point(|&start| start <= k) - 1).store(k)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn stores_are_inside_and_differ() {
        for pages in [1, 2, 3, 100, 10_000] {
            let mut values = BTreeSet::new();
            for number in 0..5 {
                let round = Round::new(pages, number);
                for k in number as u64 * 1000..(number as u64 + 1) * 1000 {
                    let store = round.store(k);
                    assert!(store.page() < pages, "{pages} pages, {number}, {k}: {store:?}");
                    assert!(values.insert(store.value));
                }
            }
        }
    }

    #[test]
    fn a_store_belongs_to_the_round_that_began_last() {
        let starts = [0, 10, 10, 20];
        for (k, number) in [(0, 0), (9, 0), (10, 2), (19, 2), (20, 3), (500, 3)] {
            assert_eq!(store(1000, &starts, k), Round::new(1000, number).store(k));
        }
    }

    #[test]
    fn a_round_stays_on_some_pages_and_the_next_one_moves() {
        let touched = |number| {
            let round = Round::new(1600, number);
            (0..100_000).map(|k| round.store(k).page()).collect::<BTreeSet<_>>()
        };
        let rounds = [touched(0), touched(1), touched(2)];
        assert!(rounds.iter().all(|pages| (150..=180).contains(&pages.len())), "{:?}", rounds.map(|p| p.len()));
        let in_all = &(&rounds[0] & &rounds[1]) & &rounds[2];
        assert!((0..25).all(|page| in_all.contains(&page)), "the first pages are written in every round");
        assert!(in_all.len() < 60, "most others are not");
    }
}
