//! A set of bytes kept as runs: the committed pages of a store, the page-table entries of a reservation.
//!
//! 1. The runs never overlap and never touch: two neighbours would have become one.
//! 2. No run is empty.
//! 3. `len` is the sum of their lengths.
//!
//! Every operation costs as many steps as runs are touched, however many pages these hold.

use core::iter::once;
use core::ops::Range;
use std::collections::BTreeMap;

/// The set; empty to begin with.
#[derive(Debug, Default)]
pub(super) struct RunSet {
    /// Start to end of each run.
    runs: BTreeMap<u64, u64>,
    len: u64,
}

impl RunSet {
    /// Bytes in the set.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Puts `range` in. Returns how many bytes of it were new.
    pub(super) fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut merged = range.clone();
        let mut absorbed = 0;
        while let Some((start, end)) = self.last_below(range.end + 1).filter(|(_, end)| *end >= range.start) {
            self.runs.remove(&start);
            absorbed += end - start;
            merged = merged.start.min(start)..merged.end.max(end);
        }
        let added = merged.end - merged.start - absorbed;
        self.runs.insert(merged.start, merged.end);
        self.len += added;
        added
    }

    /// Takes `range` out. Returns how many bytes of it were there.
    pub(super) fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut removed = 0;
        while let Some((start, end)) = self.last_below(range.end).filter(|(_, end)| *end > range.start) {
            self.runs.remove(&start);
            if range.end < end {
                self.runs.insert(range.end, end);
            }
            if start < range.start {
                self.runs.insert(start, range.start);
            }
            removed += end.min(range.end) - start.max(range.start);
        }
        self.len -= removed;
        removed
    }

    /// The runs of the set within `range`, lowest first.
    pub(super) fn runs(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let across = self.last_below(range.start);
        let inside = self.runs.range(range.clone()).map(|(&start, &end)| (start, end));
        across
            .into_iter()
            .chain(inside)
            .map(move |(start, end)| start.max(range.start)..end.min(range.end))
            .filter(|run| !run.is_empty())
    }

    /// The runs of `range` that are not in the set, lowest first.
    pub(super) fn gaps(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = range.start;
        self.runs(range.clone()).chain(once(range.end..range.end)).filter_map(move |run| {
            let gap = at..run.start;
            at = run.end;
            (!gap.is_empty()).then_some(gap)
        })
    }

    /// The last run that starts below `bound`.
    fn last_below(&self, bound: u64) -> Option<(u64, u64)> {
        self.runs.range(..bound).next_back().map(|(&start, &end)| (start, end))
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a slice of one run is meant")]
mod tests {
    use super::*;

    fn set(ranges: &[Range<u64>]) -> RunSet {
        let mut set = RunSet::default();
        for range in ranges {
            set.insert(range.clone());
        }
        set
    }

    fn all(set: &RunSet) -> Vec<Range<u64>> {
        set.runs(0..100).collect()
    }

    #[test]
    fn runs_that_touch_become_one() {
        let mut s = set(&[0..2, 4..6, 8..10]);
        assert_eq!(s.insert(2..4), 2);
        assert_eq!(all(&s), [0..6, 8..10]);
        assert_eq!(s.insert(1..12), 4);
        assert_eq!(all(&s), [0..12]);
        assert_eq!(s.len(), 12);
    }

    #[test]
    fn removing_the_middle_splits() {
        let mut s = set(&[0..10, 20..30]);
        assert_eq!(s.remove(4..22), 8);
        assert_eq!(all(&s), [0..4, 22..30]);
        assert_eq!(s.remove(24..26), 2);
        assert_eq!(all(&s), [0..4, 22..24, 26..30]);
        assert_eq!(s.len(), 10);
    }

    #[test]
    fn an_empty_range_changes_nothing() {
        let mut s = set(&[0..10]);
        assert_eq!((s.insert(20..20), s.remove(5..5)), (0, 0));
        assert_eq!(all(&s), [0..10]);
    }

    #[test]
    fn runs_and_gaps_are_clipped_and_complete() {
        let s = set(&[0..4, 6..8, 10..20]);
        assert_eq!(s.runs(2..12).collect::<Vec<_>>(), [2..4, 6..8, 10..12]);
        assert_eq!(s.gaps(2..12).collect::<Vec<_>>(), [4..6, 8..10]);
        assert_eq!(s.gaps(19..25).collect::<Vec<_>>(), [20..25]);
        assert_eq!(s.gaps(11..15).count(), 0);
        assert_eq!(s.gaps(4..4).count() + s.runs(12..12).count(), 0);
    }
}
