//! In which order pages are touched.

use clap::ValueEnum;

use crate::mix::mix;

/// How accesses are spread over the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// One after the other; each thread has its own part
    Seq,
    /// Each as likely as any other
    Random,
    /// Few pages often and most rarely, as Zipf's law has it
    Zipf,
}

impl Pattern {
    /// Its name, as it is given.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Random => "random",
            Self::Zipf => "zipf",
        }
    }
}

/// A page for each touch.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pattern: Pattern,
    pages: u64,
    seed: u64,
    stride: u64,
}

impl Order {
    /// Over so many pages, at least one.
    pub fn new(pattern: Pattern, pages: u64, seed: u64) -> Self {
        // Where the pages of Zipf's law are: no common factor, so each rank has its own.
        let stride = (0..).map(|more| pages / 8 * 5 + 1 + more).find(|&stride| gcd(stride, pages) == 1);
        Self { pattern, pages, seed, stride: stride.expect("there is a prime") }
    }

    /// The page of touch `k`.
    pub fn page(&self, k: u64) -> u64 {
        match self.pattern {
            Pattern::Seq => k % self.pages,
            Pattern::Random => mix(self.seed ^ k) % self.pages,
            Pattern::Zipf => {
                let uniform = (mix(self.seed ^ k) >> 11) as f64 / (1_u64 << 53) as f64;
                // The inverse of the distribution whose density falls as 1 / rank.
                let rank = ((self.pages as f64 + 1.0).powf(uniform) as u64).clamp(1, self.pages) - 1;
                (u128::from(rank) * u128::from(self.stride) % u128::from(self.pages)) as u64
            }
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn counts(pattern: Pattern, pages: u64, touches: u64) -> Vec<u64> {
        let order = Order::new(pattern, pages, 42);
        let mut counts = BTreeMap::new();
        (0..touches).for_each(|k| *counts.entry(order.page(k)).or_insert(0) += 1);
        assert!(counts.keys().all(|&page| page < pages));
        let mut counts: Vec<_> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn in_order_every_page_comes_once_a_round() {
        assert_eq!(counts(Pattern::Seq, 100, 200), [2; 100]);
    }

    #[test]
    fn random_pages_come_about_alike() {
        let counts = counts(Pattern::Random, 100, 100_000);
        assert_eq!(counts.len(), 100);
        assert!(counts[0] < 1200 && counts[99] > 800, "{counts:?}");
    }

    #[test]
    fn by_zipfs_law_each_rank_comes_half_as_often_as_that_of_half_its_number() {
        let counts = counts(Pattern::Zipf, 10_000, 1_000_000);
        let sums = [1, 2, 4, 8].map(|rank| counts[rank - 1..2 * rank - 1].iter().sum::<u64>() as f64);
        for pair in sums.windows(2) {
            // 1/r + … + 1/(2r - 1) goes from 1 to ln 2, so octaves are nearly alike.
            assert!((0.7..=1.1).contains(&(pair[1] / pair[0])), "{sums:?}");
        }
        assert!(counts[0] > 20 * counts[99], "{} and {}", counts[0], counts[99]);
    }

    #[test]
    fn any_number_of_pages_will_do() {
        for pages in [1, 2, 3, 8, 1 << 40] {
            for pattern in [Pattern::Seq, Pattern::Random, Pattern::Zipf] {
                let order = Order::new(pattern, pages, 7);
                assert!((0..1000).all(|k| order.page(k) < pages));
            }
        }
    }
}
