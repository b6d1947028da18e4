//! The content as it should be: the file, and the first so many stores made again in ordinary memory.
//!
//! 1. `sums[p]` is the checksum of page p; the checksum of all is that of the sums. A store changes them in constant time,
//!    so that thousands of moments can be compared with what a snapshot holds.
//! 2. `changed` are the pages stored to since it was last taken away, each once; `is_changed` tells of every page whether it
//!    is among them.

use std::collections::BTreeSet;

use zxvm_host::PAGE_SIZE;

use super::stores::{PAGE_WORDS, Round};
use crate::mix::mix;

/// Bytes in a page.
const PAGE: usize = PAGE_SIZE as usize;

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// What one word adds to the checksum of what it is part of.
fn term(index: usize, word: u64) -> u64 {
    mix(word ^ mix(index as u64))
}

/// The checksum of a page's bytes.
pub fn page_sum(page: &[u8]) -> u64 {
    let words = page.as_chunks::<WORD>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes));
    words.enumerate().fold(0, |sum: u64, (index, word)| sum.wrapping_add(term(index, word)))
}

/// The checksum of all pages, by the checksum of each.
pub fn whole_sum(sums: impl IntoIterator<Item = u64>) -> u64 {
    sums.into_iter().enumerate().fold(0, |sum: u64, (page, own)| sum.wrapping_add(term(page, own)))
}

/// No number of stores leads to what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// A page that is wrong.
    pub page: usize,
    /// In which way.
    pub kind: Wrong,
}

/// How a page is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing was stored to it during the call, and it is not what it was.
    Altered,
    /// It holds no prefix of the stores to it: some are missing between others, or torn.
    NoPrefix,
    /// It holds a prefix, but not the same one as other pages.
    OtherMoment,
}

/// See the top of the file.
pub struct Shadow {
    content: Vec<u8>,
    sums: Vec<u64>,
    stores: u64,
    round: Round,
    changed: Vec<usize>,
    is_changed: Vec<bool>,
}

impl Shadow {
    /// The file, and no stores yet. The last page is filled up with zeros.
    pub fn new(mut content: Vec<u8>) -> Self {
        content.resize(content.len().next_multiple_of(PAGE), 0);
        let sums: Vec<_> = content.chunks(PAGE).map(page_sum).collect();
        let (round, is_changed) = (Round::new(sums.len(), 0), vec![false; sums.len()]);
        Self { content, sums, stores: 0, round, changed: Vec::new(), is_changed }
    }

    /// Its bytes.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The checksum of each page.
    pub fn sums(&self) -> &[u64] {
        &self.sums
    }

    /// How many stores it holds.
    pub fn stores(&self) -> u64 {
        self.stores
    }

    /// How many pages have been stored to since they were last taken away.
    pub fn changed_pages(&self) -> u64 {
        self.changed.len() as u64
    }

    /// Takes away the list of pages that have been stored to.
    pub fn take_changed(&mut self) -> Vec<usize> {
        self.changed.iter().for_each(|&page| self.is_changed[page] = false);
        std::mem::take(&mut self.changed)
    }

    /// Makes stores until there are `stores`. Rounds began with `starts`.
    pub fn advance(&mut self, starts: &[u64], stores: u64) {
        while self.stores < stores {
            self.advance_by_one(starts);
        }
    }

    /// Makes the next store. Its page.
    fn advance_by_one(&mut self, starts: &[u64]) -> usize {
        while starts.get(self.round.number() + 1).is_some_and(|&start| start <= self.stores) {
            self.round = Round::new(self.sums.len(), self.round.number() + 1);
        }
        let store = self.round.store(self.stores);
        let (page, index) = (store.page(), store.word % PAGE_WORDS);
        let bytes = &mut self.content.as_chunks_mut::<WORD>().0[store.word];
        let old = u64::from_ne_bytes(*bytes);
        *bytes = store.value.to_ne_bytes();
        self.sums[page] = self.sums[page].wrapping_sub(term(index, old)).wrapping_add(term(index, store.value));
        if !std::mem::replace(&mut self.is_changed[page], true) {
            self.changed.push(page);
        }
        self.stores += 1;
        page
    }

    /// Makes stores, up to `last` of them, until every page has the checksum that was seen. With how many that is.
    ///
    /// # Errors
    /// [`Mismatch`]: with none of these numbers. There are `last` stores then.
    pub fn advance_to(&mut self, seen: &[u64], starts: &[u64], last: u64) -> Result<u64, Mismatch> {
        let mut wrong: BTreeSet<usize> = (0..seen.len()).filter(|&page| seen[page] != self.sums[page]).collect();
        let mut never_right = wrong.clone();
        let mut stored_to = BTreeSet::new();
        while !wrong.is_empty() {
            if self.stores >= last {
                return Err(mismatch(&wrong, &never_right, &stored_to));
            }
            let page = self.advance_by_one(starts);
            stored_to.insert(page);
            if seen[page] == self.sums[page] {
                wrong.remove(&page);
                never_right.remove(&page);
            } else {
                wrong.insert(page);
            }
        }
        Ok(self.stores)
    }
}

/// The worst that can be said.
fn mismatch(wrong: &BTreeSet<usize>, never_right: &BTreeSet<usize>, stored_to: &BTreeSet<usize>) -> Mismatch {
    let first = |pages: &mut dyn Iterator<Item = &usize>, kind| pages.next().map(|&page| Mismatch { page, kind });
    first(&mut never_right.difference(stored_to), Wrong::Altered)
        .or_else(|| first(&mut never_right.iter(), Wrong::NoPrefix))
        .or_else(|| first(&mut wrong.iter(), Wrong::OtherMoment))
        .expect("asked only where a page is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTS: [u64; 3] = [0, 40, 70];

    /// Twenty-four pages and a piece, none like another.
    fn shadow() -> Shadow {
        Shadow::new((0..24 * PAGE + 100).map(|byte| (byte / 7) as u8).collect())
    }

    fn sums(shadow: &Shadow) -> Vec<u64> {
        shadow.content().chunks(PAGE).map(page_sum).collect()
    }

    fn after(stores: u64) -> Shadow {
        let mut shadow = shadow();
        shadow.advance(&STARTS, stores);
        shadow
    }

    #[test]
    fn checksums_follow_the_stores() {
        for stores in [0, 1, 39, 40, 41, 100] {
            assert_eq!(sums(&after(stores)), after(stores).sums(), "{stores}");
        }
        let mut shadow = after(10);
        assert_eq!(shadow.take_changed().len() as u64, after(10).changed_pages());
        assert_eq!(shadow.changed_pages(), 0);
    }

    #[test]
    fn a_checksum_depends_on_the_place() {
        let mut page = [0; PAGE];
        page[0] = 1;
        let first = page_sum(&page);
        page.swap(0, WORD);
        assert_ne!(first, page_sum(&page));
        assert_ne!(whole_sum([1, 2]), whole_sum([2, 1]));
    }

    #[test]
    fn the_moment_is_found() {
        for moment in [20, 21, 45, 80] {
            let seen = sums(&after(moment));
            assert_eq!(after(20).advance_to(&seen, &STARTS, 80), Ok(moment));
        }
    }

    #[test]
    fn what_no_moment_explains_is_told_with_its_page() {
        let mut altered = after(30);
        let untouched = (0..25).find(|&page| {
            let mut later = after(30);
            later.take_changed();
            later.advance(&STARTS, 60);
            !later.changed.contains(&page)
        });
        let page = untouched.expect("a page that nobody stores to");
        altered.content[page * PAGE + 5] ^= 1;
        let found = after(30).advance_to(&sums(&altered), &STARTS, 60);
        assert_eq!(found, Err(Mismatch { page, kind: Wrong::Altered }));

        // The next store is lost, one after it is there.
        let mut lost = after(30);
        let next = lost.round.store(30);
        let later = (31..40).find(|&k| lost.round.store(k).page() == next.page()).expect("the page is stored to again");
        let store = lost.round.store(later);
        lost.content.as_chunks_mut::<WORD>().0[store.word] = store.value.to_ne_bytes();
        let found = after(30).advance_to(&sums(&lost), &STARTS, 60);
        assert_eq!(found, Err(Mismatch { page: next.page(), kind: Wrong::NoPrefix }));

        // One page of a later moment than the others.
        let mut mixed = after(30);
        let next = mixed.round.store(30).page();
        let later = (31..40).map(|k| (k, mixed.round.store(k))).find(|(_, store)| store.page() != next);
        let (_, store) = later.expect("a store to another page");
        mixed.content.as_chunks_mut::<WORD>().0[store.word] = store.value.to_ne_bytes();
        let found = after(30).advance_to(&sums(&mixed), &STARTS, 60).unwrap_err();
        assert_eq!(found.kind, Wrong::OtherMoment, "{found:?}");
    }
}
