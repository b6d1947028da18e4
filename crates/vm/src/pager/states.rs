//! What is known of each page of a pager VMO.
//!
//! 1. Runs never touch or overlap if they could be one; what is in no run is absent.
//! 2. Pages that are `Clean`, `AwaitingClean` or `Dirty` are committed; those that are absent are not. Those that are zero
//!    may have been committed by a load through a mapping, and hold zeros then.
//! 3. `pages` counts the pages that have content.
//! 4. A zero range that is dirty knows how far from its start on it is being saved: its mark, which is lost when the
//!    range gets another start.
//!
//! The pages a program writes come in runs, and so do those that a pager supplies: a map of runs is small.

use std::collections::BTreeMap;

use zxvm_host::{PAGE_SIZE, VmoRange};

/// What is known of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Nothing: the pager has to be asked.
    Absent,
    /// It is zero, and the pager knows.
    CleanZero,
    /// It is as the pager has it.
    Clean,
    /// It is being saved, and was not written to since that began.
    AwaitingClean,
    /// It is not as the pager has it.
    Dirty,
    /// It is zero, and the pager does not know.
    DirtyZero,
}

impl PageState {
    /// Whether the page has content of its own.
    pub fn has_page(self) -> bool {
        match self {
            Self::Clean | Self::AwaitingClean | Self::Dirty => true,
            Self::Absent | Self::CleanZero | Self::DirtyZero => false,
        }
    }

    /// Whether it reads as zero without a page.
    pub fn is_zero(self) -> bool {
        match self {
            Self::CleanZero | Self::DirtyZero => true,
            Self::Absent | Self::Clean | Self::AwaitingClean | Self::Dirty => false,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct States {
    runs: BTreeMap<u64, Run>,
    pages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    end: u64,
    state: PageState,
    /// Of a dirty zero range: up to where it is being saved. Its start: not at all.
    marked: u64,
}

impl Run {
    /// How many pages with content it has, if it begins at `start`.
    fn pages(&self, start: u64) -> u64 {
        if self.state.has_page() { (self.end - start) / PAGE_SIZE } else { 0 }
    }
}

/// A run of pages that the pager does not have as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirtyRun {
    /// Which.
    pub range: VmoRange,
    /// Whether it is zero without pages.
    pub is_zero: bool,
}

impl States {
    /// The run at `at`, cut off at `end`: what, and up to where.
    pub fn run_at(&self, at: u64, end: u64) -> (PageState, u64) {
        if let Some((_, run)) = self.runs.range(..=at).next_back()
            && run.end > at
        {
            return (run.state, run.end.min(end));
        }
        let next = self.runs.range(at..).next().map_or(end, |(&start, _)| start);
        (PageState::Absent, next.min(end))
    }

    /// The state of one page.
    pub fn at(&self, page: u64) -> PageState {
        self.run_at(page, page + 1).0
    }

    /// All of `range`, lowest first, without gaps.
    pub fn runs(&self, range: VmoRange) -> impl Iterator<Item = (VmoRange, PageState)> + '_ {
        let mut at = range.start();
        core::iter::from_fn(move || {
            (at < range.end()).then(|| {
                let (state, end) = self.run_at(at, range.end());
                let run = VmoRange::from_bounds(at, end);
                at = end;
                (run, state)
            })
        })
    }

    /// The runs of `range` of which `which` is true, those that touch as one.
    pub fn runs_where(&self, range: VmoRange, which: impl Fn(PageState) -> bool) -> Vec<VmoRange> {
        let mut found: Vec<VmoRange> = Vec::new();
        for (run, _) in self.runs(range).filter(|&(_, state)| which(state)) {
            match found.last_mut() {
                Some(last) if last.end() == run.start() => *last = VmoRange::from_bounds(last.start(), run.end()),
                Some(_) | None => found.push(run),
            }
        }
        found
    }

    /// How many pages have content of their own.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    fn insert(&mut self, start: u64, run: Run) {
        self.pages += run.pages(start);
        self.runs.insert(start, run);
    }

    fn remove(&mut self, start: u64) {
        if let Some(run) = self.runs.remove(&start) {
            self.pages -= run.pages(start);
        }
    }

    /// All of `range` is `state` now.
    pub fn set(&mut self, range: VmoRange, state: PageState) {
        if range.is_empty() {
            return;
        }
        self.carve(range);
        if state == PageState::Absent {
            return;
        }
        let (mut start, mut run) = (range.start(), Run { end: range.end(), state, marked: range.start() });
        if let Some((&before, &left)) = self.runs.range(..start).next_back()
            && left.end == start
            && left.state == state
        {
            self.remove(before);
            (start, run.marked) = (before, left.marked);
        }
        if let Some(&right) = self.runs.get(&run.end)
            && right.state == state
        {
            self.remove(run.end);
            run.end = right.end;
        }
        self.insert(start, run);
    }

    /// Takes `range` out of all runs: what is left of a marked range is marked still.
    fn carve(&mut self, range: VmoRange) {
        while let Some((&start, &run)) = self.runs.range(..range.end()).next_back() {
            if run.end <= range.start() {
                break;
            }
            self.remove(start);
            for (from, to) in [(start, range.start().min(run.end)), (range.end().max(start), run.end)] {
                if from < to {
                    self.insert(from, Run { end: to, state: run.state, marked: run.marked.clamp(from, to) });
                }
            }
        }
    }

    /// `range` has been made zero, and the pager does not know; of what is zero already nothing changes.
    pub fn zero(&mut self, range: VmoRange) {
        for run in self.runs_where(range, |state| !state.is_zero()) {
            self.set(run, PageState::DirtyZero);
        }
    }

    /// What is dirty in `range` is being saved from here on; or only what is zero without pages. Returns what with pages is.
    pub fn begin_writeback(&mut self, range: VmoRange, zero_only: bool) -> Vec<VmoRange> {
        for (&start, run) in self.runs.range_mut(range.start()..range.end()) {
            if run.state == PageState::DirtyZero {
                run.marked = run.marked.max(run.end.min(range.end())).max(start);
            }
        }
        if zero_only {
            return Vec::new();
        }
        let dirty = self.runs_where(range, |state| state == PageState::Dirty);
        dirty.iter().for_each(|&run| self.set(run, PageState::AwaitingClean));
        dirty
    }

    /// What was being saved in `range` is, as far as it was not written to meanwhile.
    pub fn end_writeback(&mut self, range: VmoRange) {
        let zero: Vec<_> = self.runs.range(range.start()..range.end()).map(|(&start, &run)| (start, run)).collect();
        for (start, run) in zero.into_iter().filter(|(_, run)| run.state == PageState::DirtyZero) {
            let saved = run.marked.min(range.end());
            if saved > start {
                self.set(VmoRange::from_bounds(start, saved), PageState::Absent);
                if let Some(rest) = self.runs.get_mut(&saved).filter(|_| saved < run.end) {
                    rest.marked = saved;
                }
            }
        }
        for run in self.runs_where(range, |state| state == PageState::AwaitingClean) {
            self.set(run, PageState::Clean);
        }
    }

    /// What the pager does not have in `range`, lowest first. What has pages is one run with its neighbours that have.
    pub fn dirty(&self, range: VmoRange) -> Vec<DirtyRun> {
        let mut found: Vec<DirtyRun> = Vec::new();
        for (run, state) in self.runs(range) {
            let is_zero = match state {
                PageState::Dirty | PageState::AwaitingClean => false,
                PageState::DirtyZero => true,
                PageState::Absent | PageState::CleanZero | PageState::Clean => continue,
            };
            match found.last_mut() {
                Some(last) if last.range.end() == run.start() && !last.is_zero && !is_zero => {
                    last.range = VmoRange::from_bounds(last.range.start(), run.end());
                }
                Some(_) | None => found.push(DirtyRun { range: run, is_zero }),
            }
        }
        found
    }

    /// Asserts the invariants.
    pub fn audit(&self) {
        let mut last: Option<(u64, Run)> = None;
        assert_eq!(self.pages, self.runs.iter().map(|(&start, run)| run.pages(start)).sum::<u64>());
        for (&start, &run) in &self.runs {
            assert!(start < run.end && start <= run.marked && run.marked <= run.end, "{start:#x}: {run:?}");
            assert!(run.state != PageState::Absent);
            assert!(run.marked == start || run.state == PageState::DirtyZero, "{start:#x}: {run:?}");
            if let Some((at, before)) = last {
                assert!(before.end <= start, "{at:#x}: {before:?} overlaps {start:#x}");
                assert!(before.end < start || before.state != run.state, "two runs could be one at {start:#x}");
            }
            last = Some((start, run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = 4096;

    fn pages(from: u64, to: u64) -> VmoRange {
        VmoRange::from_bounds(from * P, to * P)
    }

    /// One letter a page.
    fn letters(states: &States, count: u64) -> String {
        states.audit();
        let letter = |page| match states.at(page * P) {
            PageState::Absent => '.',
            PageState::CleanZero => 'z',
            PageState::Clean => 'c',
            PageState::AwaitingClean => 'w',
            PageState::Dirty => 'd',
            PageState::DirtyZero => 'Z',
        };
        (0..count).map(letter).collect()
    }

    #[test]
    fn pages_are_what_they_were_set_to() {
        let mut rng = fastrand::Rng::with_seed(7);
        let all = [
            PageState::Absent,
            PageState::CleanZero,
            PageState::Clean,
            PageState::AwaitingClean,
            PageState::Dirty,
            PageState::DirtyZero,
        ];
        for _ in 0..200 {
            let (mut states, mut list) = (States::default(), [PageState::Absent; 24]);
            for _ in 0..30 {
                let (from, state) = (rng.u64(0..24), all[rng.usize(0..all.len())]);
                let to = rng.u64(from..=24);
                states.set(pages(from, to), state);
                list[from as usize..to as usize].fill(state);
                states.audit();
                for (page, &expected) in list.iter().enumerate() {
                    assert_eq!(states.at(page as u64 * P), expected);
                }
            }
        }
    }

    #[test]
    fn saving_cleans_what_was_not_written_meanwhile() {
        let mut states = States::default();
        states.set(pages(0, 4), PageState::Dirty);
        assert_eq!(states.begin_writeback(pages(0, 3), false), [pages(0, 3)]);
        states.set(pages(1, 2), PageState::Dirty);
        states.end_writeback(pages(0, 4));
        assert_eq!(letters(&states, 4), "cdcd");
        assert_eq!(states.dirty(pages(0, 4)).len(), 2);
    }

    #[test]
    fn a_zero_range_is_saved_from_its_start_on() {
        let mut states = States::default();
        states.set(pages(2, 8), PageState::DirtyZero);
        // From inside it: nothing.
        states.begin_writeback(pages(3, 8), true);
        states.end_writeback(pages(0, 8));
        assert_eq!(letters(&states, 8), "..ZZZZZZ");
        // A shorter one afterwards takes nothing back, and an end that begins inside cleans nothing.
        states.begin_writeback(pages(0, 6), true);
        states.begin_writeback(pages(0, 4), true);
        states.end_writeback(pages(3, 8));
        assert_eq!(letters(&states, 8), "..ZZZZZZ");
        states.end_writeback(pages(0, 5));
        assert_eq!(letters(&states, 8), ".....ZZZ");
        // What is left is not marked any more.
        states.end_writeback(pages(0, 8));
        assert_eq!(letters(&states, 8), ".....ZZZ");
    }

    #[test]
    fn a_write_splits_a_marked_range_and_a_new_start_loses_the_mark() {
        let mut states = States::default();
        states.set(pages(1, 6), PageState::DirtyZero);
        states.begin_writeback(pages(0, 6), false);
        states.set(pages(3, 4), PageState::Dirty);
        states.end_writeback(pages(0, 6));
        assert_eq!(letters(&states, 6), "...d..");

        states.set(pages(1, 6), PageState::Absent);
        states.zero(pages(1, 4));
        states.begin_writeback(pages(0, 6), false);
        states.zero(pages(4, 5));
        states.end_writeback(pages(0, 6));
        assert_eq!(letters(&states, 6), "....Z.", "joined at the end");
        states.begin_writeback(pages(0, 6), false);
        states.zero(pages(3, 4));
        states.end_writeback(pages(0, 6));
        assert_eq!(letters(&states, 6), "...ZZ.", "joined before the start");
    }

    #[test]
    fn zeroing_leaves_what_is_zero() {
        let mut states = States::default();
        states.set(pages(0, 1), PageState::CleanZero);
        states.set(pages(1, 2), PageState::Clean);
        states.set(pages(2, 3), PageState::AwaitingClean);
        states.zero(pages(0, 5));
        assert_eq!(letters(&states, 5), "zZZZZ");
        let zero = DirtyRun { range: pages(1, 5), is_zero: true };
        assert_eq!(states.dirty(pages(0, 5)), [zero]);
    }
}
