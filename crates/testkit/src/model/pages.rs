//! What a content holds: a map from page to frame.
//!
//! 1. A page with a frame is committed; one without reads as zero. Both bounds of every range are in bytes.
//! 2. A snapshot is a copy of the map: it holds the same frames, and a frame that more than one map holds never changes.
//!    `Rc` keeps that: `Rc::make_mut` copies what others hold too, and takes over what nobody else does. So the count of an
//!    `Rc` is the number of contents that resolve to the frame, and no page ever has to be looked up in another content.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::PAGE;

/// The bytes of a committed page. Two pages with the same `Rc` are one page of memory.
pub type Frame = Rc<[u8; PAGE as usize]>;

/// The committed pages of a content, by their offset in pages.
#[derive(Debug, Default)]
pub struct Pages {
    pages: BTreeMap<u64, Frame>,
    /// Whether any page was ever committed.
    pub ever: bool,
}

impl Pages {
    /// The bytes of the page at `offset`, if it is committed.
    pub fn get(&self, offset: u64) -> Option<&[u8; PAGE as usize]> {
        self.pages.get(&(offset / PAGE)).map(|page| &**page)
    }

    /// How many contents hold the frame of the page at `offset`; 0 if the page is not committed.
    pub fn holders(&self, offset: u64) -> usize {
        self.pages.get(&(offset / PAGE)).map_or(0, Rc::strong_count)
    }

    /// Offsets of the committed pages between two offsets that are multiples of the page.
    pub fn offsets(&self, start: u64, end: u64) -> impl Iterator<Item = u64> {
        self.frames(start, end).map(|(offset, _)| offset)
    }

    /// The committed pages between two offsets that are multiples of the page.
    pub fn frames(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &Frame)> {
        self.pages.range(start / PAGE..end.max(start) / PAGE).map(|(page, frame)| (page * PAGE, frame))
    }

    /// The same frames, seen from `start` on and up to `end`.
    pub fn snapshot(&self, start: u64, end: u64) -> Self {
        let pages: BTreeMap<_, _> =
            self.frames(start, end).map(|(offset, frame)| ((offset - start) / PAGE, frame.clone())).collect();
        Self { ever: !pages.is_empty(), pages }
    }

    /// Copies out.
    pub fn read(&self, offset: u64, to: &mut [u8]) {
        for (at, byte) in (offset..).zip(to) {
            *byte = self.get(at).map_or(0, |page| page[(at % PAGE) as usize]);
        }
    }

    /// Copies in. The pages become this content's own.
    pub fn write(&mut self, offset: u64, from: &[u8]) {
        for (at, &byte) in (offset..).zip(from) {
            self.own(at)[(at % PAGE) as usize] = byte;
        }
    }

    /// Makes all pages that the range touches committed and this content's own.
    pub fn commit(&mut self, start: u64, end: u64) {
        for page in start / PAGE..end.div_ceil(PAGE) {
            self.own(page * PAGE);
        }
    }

    /// Commits the page at `offset`, as a load by the processor does. One that is shared stays shared.
    pub fn touch(&mut self, offset: u64) {
        self.frame(offset);
    }

    /// Frees all pages of a range of whole pages.
    pub fn free(&mut self, start: u64, end: u64) {
        self.take(start, end);
    }

    /// Takes all pages of a range of whole pages out.
    pub fn take(&mut self, start: u64, end: u64) -> Vec<(u64, Frame)> {
        let mut rest = self.pages.split_off(&(start / PAGE));
        let mut behind = rest.split_off(&(end.max(start) / PAGE));
        self.pages.append(&mut behind);
        rest.into_iter().map(|(page, frame)| (page * PAGE, frame)).collect()
    }

    /// Puts a frame in the place of the page at `offset`.
    pub fn put(&mut self, offset: u64, frame: Frame) {
        self.ever = true;
        self.pages.insert(offset / PAGE, frame);
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
            Rc::make_mut(page)[from..from + (end - start) as usize].fill(0);
        }
    }

    fn own(&mut self, offset: u64) -> &mut [u8; PAGE as usize] {
        Rc::make_mut(self.frame(offset))
    }

    fn frame(&mut self, offset: u64) -> &mut Frame {
        self.ever = true;
        self.pages.entry(offset / PAGE).or_insert_with(|| Rc::new([0; PAGE as usize]))
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
        assert_eq!(pages.offsets(0, 3 * PAGE).collect::<Vec<_>>(), [0, 2 * PAGE]);
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
        assert_eq!((pages.frames(0, u64::MAX).count(), pages.ever), (0, false));
    }

    #[test]
    fn within_one_page() {
        let mut pages = Pages::default();
        pages.write(10, &[1; 10]);
        pages.zero(12, 15);
        let mut bytes = [0; 10];
        pages.read(10, &mut bytes);
        assert_eq!(bytes, [1, 1, 0, 0, 0, 1, 1, 1, 1, 1]);
        assert_eq!(pages.holders(0), 1);
    }

    #[test]
    fn a_frame_is_shared_until_somebody_writes_it() {
        let mut pages = Pages::default();
        pages.write(PAGE, &[7; 2 * PAGE as usize]);
        let mut copy = pages.snapshot(PAGE, 3 * PAGE);
        assert_eq!((pages.holders(PAGE), copy.holders(0), copy.holders(PAGE)), (2, 2, 2));
        copy.touch(0);
        assert_eq!(copy.holders(0), 2);
        copy.write(5, &[8]);
        pages.zero(2 * PAGE, 2 * PAGE + 1);
        assert_eq!((pages.holders(PAGE), copy.holders(0), copy.holders(PAGE)), (1, 1, 1));
        let byte = |pages: &Pages, offset| pages.get(offset).expect("committed")[(offset % PAGE) as usize];
        assert_eq!([byte(&pages, PAGE + 5), byte(&copy, 5), byte(&pages, 2 * PAGE), byte(&copy, PAGE)], [7, 8, 0, 7]);
    }
}
