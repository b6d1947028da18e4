//! What is known to be committed without asking the host.
//!
//! 1. Every page in here is committed. (Not every committed page is in here.) That stays so because pages are freed
//!    only by their VMO, under its lock, which takes them out of here first.
//! 2. Runs are sorted and never touch; there are at most [`RUNS_MAX`]. What would be one too many is not remembered.
//!
//! Asking costs the host some 30 ns a page; this makes it free for what was committed as a whole.

use std::collections::BTreeMap;

use zxvm_host::VmoRange;

const RUNS_MAX: usize = 64;

#[derive(Debug, Default)]
pub struct Known {
    /// Start → end; takes room only once there is one.
    runs: Option<Box<Runs>>,
    /// Counts the frees, so that whoever commits without the lock can tell whether one came between.
    frees: u64,
}

type Runs = BTreeMap<u64, u64>;

static EMPTY: Runs = BTreeMap::new();

impl Known {
    fn runs(&self) -> &Runs {
        self.runs.as_deref().unwrap_or(&EMPTY)
    }

    /// To be compared when the lock has been away.
    pub fn frees(&self) -> u64 {
        self.frees
    }

    /// All of `range` is committed.
    pub fn note(&mut self, range: VmoRange) {
        if range.is_empty() {
            return;
        }
        let runs = self.runs.get_or_insert_default();
        let (mut start, mut end) = (range.start(), range.end());
        while let Some((&s, &e)) = runs.range(..=end).next_back().filter(|&(_, &e)| e >= start) {
            runs.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        if runs.len() < RUNS_MAX {
            runs.insert(start, end);
        }
    }

    /// Pages of `range` are about to be freed.
    pub fn forget(&mut self, range: VmoRange) {
        self.frees += 1;
        let Some(runs) = self.runs.as_deref_mut().filter(|_| !range.is_empty()) else { return };
        while let Some((&s, &e)) = runs.range(..range.end()).next_back().filter(|&(_, &e)| e > range.start()) {
            runs.remove(&s);
            for (from, to) in [(s, range.start()), (range.end(), e)] {
                if from < to && runs.len() < RUNS_MAX {
                    runs.insert(from, to);
                }
            }
        }
    }

    /// The known parts of `range`, lowest first.
    pub fn parts(&self, range: VmoRange) -> impl Iterator<Item = VmoRange> + '_ {
        let before = self.runs().range(..=range.start()).next_back();
        let from = before.map_or(range.start(), |(&start, _)| start);
        let runs = self.runs().range(from..range.end()).map(|(&start, &end)| VmoRange::from_bounds(start, end));
        runs.filter_map(move |run| run.intersect(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = 4096;

    #[test]
    fn it_never_claims_what_was_freed() {
        let mut rng = fastrand::Rng::with_seed(21);
        let (mut known, mut pages) = (Known::default(), [false; 400]);
        for _ in 0..20_000 {
            let start = rng.u64(0..400);
            let end = rng.u64(start..=400);
            let range = VmoRange::from_bounds(start * P, end * P);
            let note = rng.bool();
            if note {
                known.note(range);
            } else {
                known.forget(range);
            }
            pages[start as usize..end as usize].fill(note);
            let parts: Vec<_> = known.parts(VmoRange::from_bounds(0, 400 * P)).collect();
            assert!(parts.windows(2).all(|two| two[0].end() < two[1].start()) && parts.len() <= RUNS_MAX);
            for part in &parts {
                assert!(pages[(part.start() / P) as usize..(part.end() / P) as usize].iter().all(|&page| page));
            }
            if note && known.runs().len() < RUNS_MAX {
                assert!(range.is_empty() || parts.iter().any(|part| part.contains(range)), "just noted");
            }
        }
    }
}
