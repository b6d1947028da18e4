//! How many contents hold a frame, for the frames of a family that are not simply their owner's.
//!
//! A frame is a page of a window. A window is cut for one content, its owner.
//!
//! 1. A frame without a count is held by its owner alone, or by nobody.
//! 2. A count of 2 or more: so many contents show the frame. It is committed, and nobody stores to it.
//! 3. A count of 1: one content holds it alone. It may be another one than the owner, which must not use it meanwhile.
//! 4. A count of 0: nobody holds it, but the host would not free it yet. It must not be used.
//! 5. Runs never overlap and are never empty; neighbours of equal count are one.

use std::collections::BTreeMap;

use zxvm_host::{StoreId, StoreRange};

/// See the module.
#[derive(Debug, Default)]
pub struct Frames {
    /// Takes room only once there is a count.
    runs: Option<Box<Runs>>,
}

type Runs = BTreeMap<(StoreId, u64), Run>;

static EMPTY: Runs = BTreeMap::new();

#[derive(Clone, Copy, Debug)]
struct Run {
    end: u64,
    count: u32,
}

impl Frames {
    fn counted(&self) -> &Runs {
        self.runs.as_deref().unwrap_or(&EMPTY)
    }

    /// Whether no frame has a count.
    pub fn is_empty(&self) -> bool {
        self.counted().is_empty()
    }

    /// `range` in runs of equal count, lowest first, without gaps.
    pub fn runs(&self, store: StoreId, range: StoreRange) -> impl Iterator<Item = (StoreRange, Option<u32>)> + '_ {
        let before = self.counted().range(..=(store, range.start())).next_back();
        let from = before.filter(|((s, _), _)| *s == store).map_or(range.start(), |((_, start), _)| *start);
        let mut counted =
            self.counted().range((store, from)..(store, range.end())).filter_map(move |(&(_, start), run)| {
                Some((StoreRange::from_bounds(start, run.end).intersect(range)?, run.count))
            });
        let mut at = range.start();
        let mut next = counted.next();
        core::iter::from_fn(move || {
            if at >= range.end() {
                return None;
            }
            let (end, count) = match next {
                Some((run, count)) if run.start() == at => {
                    next = counted.next();
                    (run.end(), Some(count))
                }
                Some((run, _)) => (run.start(), None),
                None => (range.end(), None),
            };
            let part = StoreRange::from_bounds(at, end);
            at = end;
            Some((part, count))
        })
    }

    /// How much of `range` has no count, from its start on.
    pub fn uncounted(&self, store: StoreId, range: StoreRange) -> u64 {
        match self.runs(store, range).next() {
            Some((run, None)) => run.len(),
            Some((_, Some(_))) | None => 0,
        }
    }

    /// Gives every frame of `range` the count that `change` makes of the present one.
    pub fn change(
        &mut self,
        store: StoreId,
        range: StoreRange,
        mut change: impl FnMut(StoreRange, Option<u32>) -> Option<u32>,
    ) {
        let old: Vec<_> = self.runs(store, range).collect();
        self.cut(store, range);
        for (run, count) in old {
            if let Some(count) = change(run, count) {
                self.insert(store, run, count);
            }
        }
    }

    /// One more content holds the frames of `range`, each of which somebody held.
    pub fn share(&mut self, store: StoreId, range: StoreRange) {
        self.change(store, range, |_, count| Some(count.unwrap_or(1) + 1));
    }

    fn cut(&mut self, store: StoreId, range: StoreRange) {
        let Some(runs) = self.runs.as_deref_mut() else { return };
        while let Some((&(s, start), &run)) = runs.range(..(store, range.end())).next_back() {
            if s != store || run.end <= range.start() {
                break;
            }
            runs.remove(&(store, start));
            for (from, to) in [(start, range.start()), (range.end(), run.end)] {
                if from < to {
                    runs.insert((store, from), Run { end: to, count: run.count });
                }
            }
        }
    }

    fn insert(&mut self, store: StoreId, range: StoreRange, count: u32) {
        let runs = self.runs.get_or_insert_default();
        let (mut start, mut end) = (range.start(), range.end());
        if let Some((&(s, from), &run)) = runs.range(..(store, start)).next_back()
            && (s, run.end, run.count) == (store, start, count)
        {
            runs.remove(&(store, from));
            start = from;
        }
        if let Some(&run) = runs.get(&(store, end))
            && run.count == count
        {
            runs.remove(&(store, end));
            end = run.end;
        }
        runs.insert((store, start), Run { end, count });
    }

    /// Every counted run.
    pub fn all(&self) -> impl Iterator<Item = (StoreId, StoreRange, u32)> + '_ {
        self.counted().iter().map(|(&(store, start), run)| (store, StoreRange::from_bounds(start, run.end), run.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = 4096;

    fn pages(start: u64, end: u64) -> StoreRange {
        StoreRange::from_bounds(start * P, end * P)
    }

    #[test]
    fn counts_agree_with_a_page_by_page_list() {
        let mut rng = fastrand::Rng::with_seed(5);
        let stores = [StoreId(3), StoreId(4)];
        let (mut frames, mut list) = (Frames::default(), [[None; 32]; 2]);
        for _ in 0..20_000 {
            let which = rng.usize(..2);
            let start = rng.u64(0..32);
            let end = rng.u64(start + 1..=32);
            let to = [None, Some(0), Some(1), Some(2)][rng.usize(..4)];
            let share = rng.bool();
            if share {
                frames.share(stores[which], pages(start, end));
            } else {
                frames.change(stores[which], pages(start, end), |_, _| to);
            }
            for count in &mut list[which][start as usize..end as usize] {
                *count = if share { Some(count.unwrap_or(1) + 1) } else { to };
            }
            for (store, list) in stores.iter().zip(&list) {
                let mut at = 0;
                for (run, count) in frames.runs(*store, pages(0, 32)) {
                    assert_eq!(run.start(), at);
                    at = run.end();
                    assert!(list[(run.start() / P) as usize..(run.end() / P) as usize].iter().all(|n| *n == count));
                }
                assert_eq!(at, 32 * P);
            }
            let all: Vec<_> = frames.all().collect();
            assert!(all.windows(2).all(|two| {
                let ((s, a, m), (t, b, n)) = (two[0], two[1]);
                s != t || a.end() < b.start() || a.end() == b.start() && m != n
            }));
        }
    }
}
