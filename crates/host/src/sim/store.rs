//! One simulated store: which pages are committed, and what they hold.
//!
//! 1. Only committed pages have contents; a committed page without contents is all zeros.
//! 2. Whoever makes a store larger has asked [`super::State`] for the memory first.

use core::ops::Range;
use std::collections::BTreeMap;

use super::runs::RunSet;
use crate::addr::{PAGE_SIZE, round_down};

const PAGE_BYTES: usize = PAGE_SIZE as usize;

/// A sparse file.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Whether it has no descriptor any more: it lives as long as something maps it.
    pub(super) closed: bool,
    /// Which bytes are in committed pages.
    pub(super) committed: RunSet,
    /// The pages that were ever written other than zero, by offset.
    contents: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

impl Store {
    /// Copies out what is at `at`. All of it lies in one page.
    pub(super) fn read(&self, at: u64, to: &mut [u8]) {
        let within = (at % PAGE_SIZE) as usize;
        match self.contents.get(&round_down(at)) {
            Some(page) => to.copy_from_slice(&page[within..within + to.len()]),
            None => to.fill(0),
        }
    }

    /// Overwrites what is at `at`. All of it lies in one page, which is committed.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        let start = round_down(at);
        let within = (at % PAGE_SIZE) as usize;
        debug_assert!(self.committed.gaps(start..start + PAGE_SIZE).next().is_none());
        if !self.contents.contains_key(&start) && bytes.iter().all(|byte| *byte == 0) {
            return;
        }
        let page = self.contents.entry(start).or_insert_with(|| Box::new([0; PAGE_BYTES]));
        page[within..within + bytes.len()].copy_from_slice(bytes);
    }

    /// Frees the pages of `range`. Returns how many bytes that gave back.
    pub(super) fn punch(&mut self, range: Range<u64>) -> u64 {
        while let Some((&start, _)) = self.contents.range(range.clone()).next() {
            self.contents.remove(&start);
        }
        self.committed.remove(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_other_than_zero_take_room() {
        let mut store = Store::default();
        store.committed.insert(0..2 * PAGE_SIZE);
        store.write(0, &[0; 16]);
        assert!(store.contents.is_empty());
        store.write(PAGE_SIZE + 3, &[7, 0]);
        assert_eq!(store.contents.len(), 1);
        store.write(PAGE_SIZE + 3, &[0]);
        let mut back = [9; 4];
        store.read(PAGE_SIZE + 2, &mut back);
        assert_eq!(back, [0; 4]);
    }

    #[test]
    fn punching_forgets_the_contents() {
        let mut store = Store::default();
        store.committed.insert(0..3 * PAGE_SIZE);
        for page in 0..3 {
            store.write(page * PAGE_SIZE, &[1]);
        }
        assert_eq!(store.punch(PAGE_SIZE..2 * PAGE_SIZE), PAGE_SIZE);
        let mut first = [0; 3];
        for (page, byte) in first.iter_mut().enumerate() {
            store.read(page as u64 * PAGE_SIZE, core::slice::from_mut(byte));
        }
        assert_eq!(first, [1, 0, 1]);
    }
}
