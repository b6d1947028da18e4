//! What a VMO holds: a map from page to bytes.
//!
//! A page with an entry is committed; one without reads as zero. Both bounds of every range are in bytes.

use std::collections::BTreeMap;

use crate::PAGE;

/// The committed pages of a VMO, by their offset in pages.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
    /// Whether any page was ever committed.
    pub ever: bool,
}

impl Pages {
    /// The bytes of the page at `offset`, if it is committed.
    pub fn get(&self, offset: u64) -> Option<&[u8; PAGE as usize]> {
        self.pages.get(&(offset / PAGE)).map(|page| &**page)
    }

    /// Offsets of the committed pages.
    pub fn offsets(&self) -> impl Iterator<Item = u64> {
        self.pages.keys().map(|page| page * PAGE)
    }

    /// Committed bytes between two offsets that are multiples of the page.
    pub fn committed(&self, start: u64, end: u64) -> u64 {
        if start >= end { 0 } else { self.pages.range(start / PAGE..end / PAGE).count() as u64 * PAGE }
    }

    /// Copies out.
    pub fn read(&self, offset: u64, to: &mut [u8]) {
        for (at, byte) in (offset..).zip(to) {
            *byte = self.get(at).map_or(0, |page| page[(at % PAGE) as usize]);
        }
    }

    /// Copies in, committing.
    pub fn write(&mut self, offset: u64, from: &[u8]) {
        for (at, &byte) in (offset..).zip(from) {
            self.page(at)[(at % PAGE) as usize] = byte;
        }
    }

    /// Commits all pages that the range touches.
    pub fn commit(&mut self, start: u64, end: u64) {
        for page in start / PAGE..end.div_ceil(PAGE) {
            self.page(page * PAGE);
        }
    }

    /// Frees all pages of a range of whole pages.
    pub fn free(&mut self, start: u64, end: u64) {
        let gone: Vec<_> = self.pages.range(start / PAGE..end / PAGE).map(|(&page, _)| page).collect();
        for page in gone {
            self.pages.remove(&page);
        }
    }

    /// Makes bytes zero: whole pages are freed, partial ones stay as they are, committed or not.
    pub fn zero(&mut self, start: u64, end: u64) {
        let (first, last) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        if first <= last {
            self.free(first, last);
            self.zero_partial(start, first);
            self.zero_partial(last, end);
        } else {
            self.zero_partial(start, end);
        }
    }

    fn zero_partial(&mut self, start: u64, end: u64) {
        if let Some(page) = self.pages.get_mut(&(start / PAGE)).filter(|_| start < end) {
            let from = (start % PAGE) as usize;
            page[from..from + (end - start) as usize].fill(0);
        }
    }

    fn page(&mut self, offset: u64) -> &mut [u8; PAGE as usize] {
        self.ever = true;
        self.pages.entry(offset / PAGE).or_insert_with(|| Box::new([0; PAGE as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroing_frees_whole_pages_only() {
        let mut pages = Pages::default();
        pages.write(0, &[7; 3 * PAGE as usize]);
        pages.zero(PAGE - 2, 2 * PAGE + 2);
        assert_eq!(pages.offsets().collect::<Vec<_>>(), [0, 2 * PAGE]);
        let mut bytes = [9; 6];
        pages.read(PAGE - 4, &mut bytes);
        assert_eq!(bytes, [7, 7, 0, 0, 0, 0]);
        pages.read(2 * PAGE, &mut bytes);
        assert_eq!(bytes, [0, 0, 7, 7, 7, 7]);
    }

    #[test]
    fn zeroing_commits_nothing() {
        let mut pages = Pages::default();
        pages.zero(1, 3 * PAGE - 1);
        pages.zero(u64::MAX / PAGE * PAGE - PAGE, u64::MAX / PAGE * PAGE);
        assert_eq!((pages.offsets().count(), pages.ever), (0, false));
    }

    #[test]
    fn within_one_page() {
        let mut pages = Pages::default();
        pages.write(10, &[1; 10]);
        pages.zero(12, 15);
        let mut bytes = [0; 10];
        pages.read(10, &mut bytes);
        assert_eq!(bytes, [1, 1, 0, 0, 0, 1, 1, 1, 1, 1]);
        assert_eq!(pages.committed(0, PAGE), PAGE);
    }
}
