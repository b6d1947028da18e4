//! Who shows which frame: the snapshots in the order of their making, and last the VMO as it is at the end.
//!
//! 1. A page that is stored to between two members is a frame of its own from the later one on; one that is not is the same
//!    frame in both. So each frame is shown by members that follow each other.
//! 2. There is one exception: a store that is stopped at a shared page gets its copy, and before it is made the next
//!    member comes. Then both show the same in two frames ([`Family::split`]).
//! 3. This is reckoned from the stores alone. What the engine and Linux say of memory is compared with it, not used.

use std::ops::Range;

use zxvm_host::PAGE_SIZE;

/// Bytes, in units of 2^-63: as exact as `ZX_INFO_VMO` tells them.
pub type Fine = u128;

/// One byte.
pub const BYTE: Fine = 1 << 63;

/// One version of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    /// The first member that shows it. The last is the one before the next frame's first.
    since: usize,
    /// Its checksum.
    sum: u64,
}

/// The frames of every page, and how many members there are so far.
pub struct Family {
    pages: Vec<Vec<Frame>>,
    members: usize,
}

/// What one member has of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Pages that it shows.
    pub pages: u64,
    /// Of these, pages that nobody else shows.
    pub alone: u64,
    /// Each page divided by the number of those who show it.
    pub scaled: Fine,
}

impl Family {
    /// No members yet. Pages have these checksums.
    pub fn new(sums: &[u64]) -> Self {
        Self { pages: sums.iter().map(|&sum| vec![Frame { since: 0, sum }]).collect(), members: 0 }
    }

    /// The page has become another, for members to come.
    pub fn change(&mut self, page: usize, sum: u64) {
        let frames = &mut self.pages[page];
        let last = frames.last_mut().expect("every page has a frame");
        if last.since == self.members {
            last.sum = sum;
        } else {
            frames.push(Frame { since: self.members, sum });
        }
    }

    /// A member that shows all pages as they are now.
    pub fn join(&mut self) {
        self.members += 1;
    }

    /// The page had been copied when the member came, and nothing was stored to the copy yet.
    pub fn split(&mut self, page: usize, member: usize) {
        let frames = &mut self.pages[page];
        let place = frames.partition_point(|frame| frame.since < member);
        if frames.get(place).is_none_or(|frame| frame.since != member) {
            let sum = frames[place - 1].sum;
            frames.insert(place, Frame { since: member, sum });
        }
    }

    /// How many members there are.
    pub fn members(&self) -> usize {
        self.members
    }

    /// How many pages each has.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The checksums of the member's pages.
    pub fn sums(&self, member: usize) -> impl Iterator<Item = u64> {
        self.pages.iter().map(move |frames| {
            let shown = frames.partition_point(|frame| frame.since <= member);
            frames[shown - 1].sum
        })
    }

    /// The members that show each frame of the page.
    pub fn spans(&self, page: usize) -> impl Iterator<Item = Range<usize>> {
        let frames = &self.pages[page];
        let ends = frames.iter().skip(1).map(|frame| frame.since).chain([self.members]);
        // A frame that came after the last member is nobody's.
        frames.iter().zip(ends).map(|(frame, end)| frame.since..end).filter(|span| !span.is_empty())
    }

    /// Frames in all.
    pub fn frames(&self) -> u64 {
        (0..self.pages()).map(|page| self.spans(page).count() as u64).sum()
    }

    /// What each member has.
    pub fn portions(&self) -> Vec<Portion> {
        let mut portions = vec![Portion::default(); self.members];
        for span in (0..self.pages()).flat_map(|page| self.spans(page)) {
            let sharers = span.len() as u64;
            for portion in &mut portions[span] {
                portion.pages += 1;
                portion.alone += u64::from(sharers == 1);
                portion.scaled += Fine::from(PAGE_SIZE) * BYTE / Fine::from(sharers);
            }
        }
        portions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pages, two snapshots and the VMO. Page 0 is never stored to, page 1 before each snapshot and after, page 2
    /// after the second.
    fn family() -> Family {
        let mut family = Family::new(&[10, 20, 30]);
        family.change(1, 21);
        family.join();
        family.change(1, 22);
        family.join();
        family.change(1, 23);
        family.change(2, 31);
        family.change(2, 32);
        family.join();
        family
    }

    #[test]
    fn members_show_what_there_was() {
        let family = family();
        let shown: Vec<Vec<_>> = (0..3).map(|member| family.sums(member).collect()).collect();
        assert_eq!(shown, [[10, 21, 30], [10, 22, 30], [10, 23, 32]]);
        let spans = |page| family.spans(page).collect::<Vec<_>>();
        assert_eq!(spans(0), [Range { start: 0, end: 3 }]);
        assert_eq!(spans(1), [0..1, 1..2, 2..3]);
        assert_eq!(spans(2), [0..2, 2..3]);
        assert_eq!(family.frames(), 6);
    }

    #[test]
    fn shares_add_up_to_the_frames() {
        let page = Fine::from(PAGE_SIZE) * BYTE;
        let older = Portion { pages: 3, alone: 1, scaled: page / 3 + page + page / 2 };
        let now = Portion { pages: 3, alone: 2, scaled: page / 3 + 2 * page };
        let portions = family().portions();
        assert_eq!(portions, [older, older, now]);
        let all: Fine = portions.iter().map(|portion| portion.scaled).sum();
        assert!(6 * page - all < 3, "but for what thirds leave over");
    }

    #[test]
    fn a_copy_that_was_overtaken_is_a_frame_with_the_same_content() {
        let mut family = family();
        family.split(0, 1);
        family.split(1, 1);
        assert_eq!(family.spans(0).collect::<Vec<_>>(), [0..1, 1..3]);
        assert_eq!(family.sums(0).next(), family.sums(1).next());
        assert_eq!(family.frames(), 7, "page 1 has been stored to anyway");
    }

    #[test]
    fn what_changes_after_the_last_member_is_nobodys() {
        let mut family = family();
        family.change(0, 11);
        assert_eq!(family.frames(), 6);
        assert_eq!(family.sums(2).next(), Some(10));
    }
}
