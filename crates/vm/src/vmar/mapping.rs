//! A mapping: a leaf that shows a window of a VMO.
//!
//! 1. `can` was fixed when it was made; no page's current protection goes beyond it.
//! 2. Protection is kept as runs: neighbouring runs differ.
//! 3. The part of the VMO shown, `[offset, offset + length)`, never wraps (the length is the tree's knowledge).

use std::sync::Arc;

use zxvm_host::{AddrRange, Prot, VmoRange};

use crate::vmo::Vmo;

/// See the module.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub vmo: Arc<Vmo>,
    /// Byte of the VMO shown at the mapping's base.
    pub offset: u64,
    /// What the handles allowed when it was made.
    pub can: Prot,
    /// Pages past the stream size fault, not only those past the size.
    pub ends_with_stream: bool,
    pub prots: ProtRuns,
}

impl Mapping {
    /// The part of the VMO that `part` of the mapping at `base` shows.
    pub fn vmo_range(&self, base: AddrRange, part: AddrRange) -> VmoRange {
        let start = self.offset + (part.start() - base.start());
        VmoRange::from_bounds(start, start + part.len())
    }

    /// The piece of the mapping at `base` that is at `part`, as a mapping of its own.
    pub fn piece(&self, base: AddrRange, part: AddrRange) -> Self {
        let into = part.start() - base.start();
        Self { offset: self.offset + into, prots: self.prots.piece(into, part.len()), ..self.clone() }
    }

    /// Whether `next`, which starts where `self` of `len` bytes ends, can be one with it.
    pub fn continues_with(&self, len: u64, next: &Self) -> bool {
        Arc::ptr_eq(&self.vmo, &next.vmo)
            && self.offset.checked_add(len) == Some(next.offset)
            && self.can == next.can
            && self.ends_with_stream == next.ends_with_stream
    }
}

/// Protection of each page of a mapping, as runs. Offsets are bytes from the mapping's base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtRuns {
    first: Prot,
    /// Where each later run starts; ascending.
    rest: Vec<(u64, Prot)>,
}

impl ProtRuns {
    pub fn new(prot: Prot) -> Self {
        Self { first: prot, rest: Vec::new() }
    }

    /// The run at `offset` of a mapping of `len` bytes: what, and where it ends.
    pub fn run_at(&self, offset: u64, len: u64) -> (Prot, u64) {
        let next = self.rest.partition_point(|&(start, _)| start <= offset);
        let prot = if next == 0 { self.first } else { self.rest[next - 1].1 };
        (prot, self.rest.get(next).map_or(len, |&(start, _)| start.min(len)))
    }

    /// The runs of `[start, end)`.
    pub fn runs(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64, Prot)> + '_ {
        let mut at = start;
        core::iter::from_fn(move || {
            (at < end).then(|| {
                let (prot, stop) = self.run_at(at, end);
                let run = (at, stop, prot);
                at = stop;
                run
            })
        })
    }

    /// Gives `[start, end)` of a mapping of `len` bytes one protection.
    pub fn set(&mut self, start: u64, end: u64, len: u64, prot: Prot) {
        let (after, _) = self.run_at(end.min(len - 1), len);
        let from = self.rest.partition_point(|&(at, _)| at < start);
        let to = self.rest.partition_point(|&(at, _)| at <= end);
        let before = if start == 0 { None } else { Some(self.run_at(start - 1, len).0) };
        let mut new = [None; 2];
        match before {
            None => self.first = prot,
            Some(before) if before == prot => {}
            Some(_) => new[0] = Some((start, prot)),
        }
        if end < len && after != prot {
            new[1] = Some((end, after));
        }
        self.rest.splice(from..to, new.into_iter().flatten());
    }

    fn piece(&self, start: u64, len: u64) -> Self {
        let mut runs = self.runs(start, start + len);
        let first = runs.next().expect("a piece has pages").2;
        Self { first, rest: runs.map(|(at, _, prot)| (at - start, prot)).collect() }
    }

    /// Adds the runs of what follows at `at`.
    pub fn append(&mut self, at: u64, next: &Self) {
        let last = self.rest.last().map_or(self.first, |&(_, prot)| prot);
        if last != next.first {
            self.rest.push((at, next.first));
        }
        self.rest.extend(next.rest.iter().map(|&(start, prot)| (at + start, prot)));
    }

    /// Asserts the invariants for a mapping of `len` bytes.
    pub fn audit(&self, len: u64, can: Prot) {
        let mut previous = (0, self.first);
        for &(at, prot) in &self.rest {
            assert!(at > previous.0 && at < len && at.is_multiple_of(zxvm_host::PAGE_SIZE));
            assert_ne!(prot, previous.1, "two equal runs in a row");
            previous = (at, prot);
        }
        for (_, _, prot) in self.runs(0, len) {
            assert!(can.contains(prot), "{prot:?} is beyond {can:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = 4096;
    const ALL: Prot = Prot::all();

    #[test]
    fn runs_agree_with_a_page_by_page_list() {
        let mut rng = fastrand::Rng::with_seed(11);
        let prots = [Prot::empty(), Prot::READ, ALL];
        let len = 16 * P;
        let mut runs = ProtRuns::new(ALL);
        let mut pages = [ALL; 16];
        for _ in 0..5000 {
            let start = rng.u64(0..16);
            let end = rng.u64(start + 1..=16);
            let prot = prots[rng.usize(..3)];
            runs.set(start * P, end * P, len, prot);
            pages[start as usize..end as usize].fill(prot);
            runs.audit(len, ALL);
            for (page, &prot) in pages.iter().enumerate() {
                assert_eq!(runs.run_at(page as u64 * P, len).0, prot);
            }
            let cut = rng.u64(1..16) * P;
            let mut joined = runs.piece(0, cut);
            joined.append(cut, &runs.piece(cut, len - cut));
            assert_eq!(joined, runs);
        }
    }
}
