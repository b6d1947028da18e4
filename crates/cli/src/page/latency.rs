//! How long accesses took, counted in classes a sixteenth apart.

/// Classes of each power of two.
const PARTS: u64 = 16;

/// A count for each class of times.
#[derive(Clone, Debug)]
pub struct Latencies {
    classes: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { classes: vec![0; class(u64::MAX) + 1], count: 0, max_ns: 0 }
    }
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, ns: u64) {
        self.classes[class(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Takes those of another in.
    pub fn join(&mut self, other: &Self) {
        self.classes.iter_mut().zip(&other.classes).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// So many of a thousand took no longer than this, to a sixteenth. 0 if there are none.
    pub fn per_mille_ns(&self, per_mille: u64) -> u64 {
        let wanted = (u128::from(self.count) * u128::from(per_mille)).div_ceil(1000) as u64;
        let mut seen = 0;
        for (class, count) in self.classes.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return last_of(class).min(self.max_ns);
            }
        }
        0
    }
}

fn class(ns: u64) -> usize {
    if ns < PARTS {
        return ns as usize;
    }
    let shift = ns.ilog2() - PARTS.ilog2();
    (u64::from(shift) * PARTS + (ns >> shift)) as usize
}

/// The longest time of a class.
fn last_of(class: usize) -> u64 {
    let class = class as u64;
    if class < 2 * PARTS {
        return class;
    }
    let shift = class / PARTS - 1;
    let first = (class - shift * PARTS) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_join_without_gaps() {
        let mut last = None;
        for ns in (0..5000).chain([1 << 20, (1 << 20) + 1, u64::MAX - 1, u64::MAX]) {
            let class = class(ns);
            assert!(last_of(class) >= ns && (last_of(class) - ns) as f64 <= ns as f64 / 16.0, "{ns}");
            assert!(last <= Some(class));
            last = Some(class);
        }
    }

    #[test]
    fn parts_of_a_thousand() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.per_mille_ns(500), 0);
        (1..=10).for_each(|ns| latencies.add(ns));
        let mut others = Latencies::default();
        others.add(1_000_000);
        latencies.join(&others);
        assert_eq!([0, 500, 900, 910, 1000].map(|part| latencies.per_mille_ns(part)), [1, 6, 10, 1_000_000, 1_000_000]);
        assert_eq!((latencies.count(), latencies.max_ns()), (11, 1_000_000));
    }
}
