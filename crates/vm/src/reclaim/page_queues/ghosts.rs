//! Pages that were taken not long ago: so many takings, and not how much time.
//!
//! A ghost is 8 bytes: 32 bits of the page's hash and its place in the order of takings, in a table of buckets. A full
//! bucket forgets its eldest. So now and then a ghost is lost early or a page taken for a ghost: that costs a worse
//! choice, nothing else.

/// Ghosts in a bucket: a cache line of them.
const WAYS: usize = 8;
/// Fewer buckets are not worth the trouble.
const FEWEST: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ghost {
    tag: u32,
    /// When it was taken. Zero: no ghost.
    taking: u32,
}

const NOBODY: Ghost = Ghost { tag: 0, taking: 0 };

/// See the module.
#[derive(Debug)]
pub(super) struct Ghosts {
    buckets: Vec<[Ghost; WAYS]>,
    /// How many takings back one is remembered.
    span: u32,
    taking: u32,
}

impl Ghosts {
    pub(super) fn new() -> Self {
        Self { buckets: Vec::new(), span: 0, taking: 0 }
    }

    /// Makes room to remember so many takings. Never less than before.
    pub(super) fn remember(&mut self, takings: u64) {
        let span = takings.min(1 << 30) as u32;
        if span <= self.span {
            return;
        }
        let living: Vec<Ghost> = self.buckets.iter().flatten().copied().filter(|&ghost| self.lives(ghost)).collect();
        self.span = span;
        // Half as many places again, or too many buckets would be full.
        let buckets = (span as usize * 3 / 2).div_ceil(WAYS).max(FEWEST);
        self.buckets = vec![[NOBODY; WAYS]; buckets];
        living.into_iter().for_each(|ghost| self.put(ghost));
    }

    /// Remembers a page by its hash.
    pub(super) fn add(&mut self, hash: u64) {
        if self.span == 0 {
            return;
        }
        // Zero is left out.
        self.taking = self.taking.checked_add(1).unwrap_or(1);
        self.put(Ghost { tag: tag(hash), taking: self.taking });
    }

    /// Forgets a page. Whether it was remembered.
    pub(super) fn remove(&mut self, hash: u64) -> bool {
        if self.span == 0 {
            return false;
        }
        let (at, tag) = (self.bucket(tag(hash)), tag(hash));
        for way in 0..WAYS {
            let ghost = self.buckets[at][way];
            if ghost.tag == tag && self.lives(ghost) {
                self.buckets[at][way] = NOBODY;
                return true;
            }
        }
        false
    }

    /// How many are remembered, by looking at all. Those of roots that were forgotten count until they are out of the
    /// span.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().flatten().filter(|&&ghost| self.lives(ghost)).count() as u64
    }

    fn lives(&self, ghost: Ghost) -> bool {
        ghost.taking != 0 && self.age(ghost) < self.span
    }

    fn age(&self, ghost: Ghost) -> u32 {
        self.taking.wrapping_sub(ghost.taking)
    }

    fn put(&mut self, ghost: Ghost) {
        let at = self.bucket(ghost.tag);
        let worth = |&way: &usize| match self.buckets[at][way] {
            NOBODY => u32::MAX,
            other => self.age(other),
        };
        let way = (0..WAYS).max_by_key(worth).expect("a bucket has ways");
        self.buckets[at][way] = ghost;
    }

    /// The high bits choose, so that the number of buckets need not be a power of two.
    fn bucket(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.buckets.len() as u64) >> 32) as usize
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A hash of a page in a life of its root. The same in every run.
pub(super) fn hash(life: u64, page: u64) -> u64 {
    let mixed = (life.rotate_left(52) ^ page).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_for_a_span_of_takings() {
        let mut ghosts = Ghosts::new();
        ghosts.remember(100);
        (0..150).for_each(|page| ghosts.add(hash(1, page)));
        assert!(!ghosts.remove(hash(1, 49)), "out of the span");
        assert!(ghosts.remove(hash(1, 149)) && !ghosts.remove(hash(1, 149)), "once");
        assert!(!ghosts.remove(hash(2, 140)), "another life");
        let left = (50..149).filter(|&page| ghosts.remove(hash(1, page))).count();
        assert_eq!((left, ghosts.count()), (99, 0));
    }

    #[test]
    fn growing_loses_nobody() {
        let mut ghosts = Ghosts::new();
        ghosts.add(hash(1, 0));
        assert_eq!(ghosts.count(), 0, "no room, no ghosts");
        ghosts.remember(20);
        (0..30).for_each(|page| ghosts.add(hash(1, page)));
        ghosts.remember(1000);
        assert_eq!(ghosts.count(), 20, "and brings nobody back");
        assert_eq!((10..30).filter(|&page| ghosts.remove(hash(1, page))).count(), 20);
    }

    #[test]
    fn a_full_table_loses_few() {
        let mut ghosts = Ghosts::new();
        ghosts.remember(100_000);
        (0..300_000).for_each(|page| ghosts.add(hash(7, page)));
        let left = ghosts.count();
        assert!((95_000..=100_000).contains(&left), "{left} of 100,000 are left");
        let others = (0..100_000).filter(|&page| ghosts.remove(hash(8, page))).count();
        assert!(others < 100, "{others} of 100,000 others were taken for ghosts");
    }
}
