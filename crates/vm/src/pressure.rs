//! How short memory is, as one of five levels: by how much is left, and for how long it has been so.
//!
//! 1. It gets worse at once: as soon as less than a threshold is left, the level is the one below it.
//! 2. It gets better only when it has been better, by the debounce as well, for the whole of the hysteresis: then the level is the
//!    worst of that time. So what hovers around a threshold, or dips again and again, does not make the level jump.
//! 3. Nothing here asks for the time or for memory: both are told.
//!
//! Source: pager.md §10.

use core::time::Duration;

const MIB: u64 = 1 << 20;

/// How short memory is, by severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// There is enough.
    Normal,
    /// Programs should use less.
    Warning,
    /// Programs should give back what they can.
    Critical,
    /// Processes will be ended soon.
    Imminent,
    /// Processes are being ended.
    OutOfMemory,
}

impl Level {
    /// All of them, the least severe first.
    pub const ALL: [Self; 5] = [Self::Normal, Self::Warning, Self::Critical, Self::Imminent, Self::OutOfMemory];
}

/// Where one level ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Bytes left below which it is `Warning`.
    pub warning: u64,
    /// Bytes left below which it is `Critical`. At most `warning`.
    pub critical: u64,
    /// Bytes left below which it is `Imminent`. At most `critical`.
    pub imminent: u64,
    /// Bytes left below which it is `OutOfMemory`. At most `imminent`.
    pub out_of_memory: u64,
    /// Bytes more than a threshold that must be left until it counts as better.
    pub debounce: u64,
    /// How long it must have been better.
    pub hysteresis: Duration,
}

impl Default for Thresholds {
    /// Those of Zircon, and for `Imminent`, of which the specification says only where it lies, a little more than for the last.
    fn default() -> Self {
        Self {
            warning: 300 * MIB,
            critical: 150 * MIB,
            imminent: 60 * MIB,
            out_of_memory: 50 * MIB,
            debounce: MIB,
            hysteresis: Duration::from_secs(8),
        }
    }
}

/// Where there is less than this in all, thresholds are lower.
const SMALL: u64 = 2048 * MIB;

impl Thresholds {
    /// The default where there are `total` bytes in all. Below 2 GiB all amounts are less in proportion: they are made for
    /// whole machines, and a group of 256 MiB would be short of memory from its first byte to its last, which tells nobody
    /// anything.
    pub fn for_total(total: u64) -> Self {
        let whole = Self::default();
        let part = |bytes: u64| (u128::from(bytes) * u128::from(total.min(SMALL)) / u128::from(SMALL)) as u64;
        Self {
            warning: part(whole.warning),
            critical: part(whole.critical),
            imminent: part(whole.imminent),
            out_of_memory: part(whole.out_of_memory),
            debounce: part(whole.debounce),
            hysteresis: whole.hysteresis,
        }
    }

    /// The default, with the thresholds that `text` has: `warning:critical:imminent:oom`, in MiB. `None`: it has not, or they do
    /// not descend.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').map(|part| part.parse::<u64>().ok()?.checked_mul(MIB));
        let mut next = || parts.next().flatten();
        let (warning, critical, imminent, out_of_memory) = (next()?, next()?, next()?, next()?);
        let thresholds = Self { warning, critical, imminent, out_of_memory, ..Self::default() };
        (parts.next().is_none() && thresholds.descend()).then_some(thresholds)
    }

    /// Whether they are in order: a worse level has no higher threshold.
    pub fn descend(&self) -> bool {
        self.marks().is_sorted_by(|more, less| more >= less)
    }

    /// The thresholds in bytes, the highest first.
    pub fn marks(&self) -> [u64; 4] {
        [self.warning, self.critical, self.imminent, self.out_of_memory]
    }

    /// The level with `left` bytes left, if nothing has been before.
    pub fn level(&self, left: u64) -> Level {
        let below = self.marks().iter().filter(|&&mark| left < mark).count();
        Level::ALL[below]
    }
}

/// The level, and what decides on the next.
#[derive(Clone, Debug)]
pub struct Levels {
    thresholds: Thresholds,
    level: Level,
    better: Option<Better>,
}

/// It has been better for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Better {
    since: Duration,
    /// The worst level since then.
    worst: Level,
}

/// When to look again while it is not normal, or nearly not.
const LOOK: Duration = Duration::from_secs(1);

impl Levels {
    /// Normal, until something else is observed.
    ///
    /// # Panics
    /// If the thresholds do not descend.
    pub fn new(thresholds: Thresholds) -> Self {
        assert!(thresholds.descend(), "thresholds that do not descend: {thresholds:?}");
        Self { thresholds, level: Level::Normal, better: None }
    }

    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Where the levels begin.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// `left` bytes are left at the moment `now`, which is told by a clock that never goes back. The level from now on.
    pub fn observe(&mut self, left: u64, now: Duration) -> Level {
        let at_once = self.thresholds.level(left);
        let steady = self.thresholds.level(left.saturating_sub(self.thresholds.debounce));
        if at_once >= self.level {
            self.become_level(at_once);
        } else if steady >= self.level {
            // Not clear of the threshold.
            self.better = None;
        } else {
            let better = self.better.get_or_insert(Better { since: now, worst: steady });
            better.worst = better.worst.max(steady);
            let Better { since, worst } = *better;
            if now.saturating_sub(since) >= self.thresholds.hysteresis {
                self.become_level(worst);
                // Better still than that: for the next step its own time begins.
                self.better = (steady < worst).then_some(Better { since: now, worst: steady });
            }
        }
        self.level
    }

    /// When to look again after `left` bytes have been observed. `None`: there is no need to, without a sign: it is normal, and
    /// twice the first threshold is left. Nearer to it a second is what memory may need to be gone, and not every system tells of
    /// amounts.
    pub fn next_look(&self, left: u64) -> Option<Duration> {
        let far = left >= self.thresholds.warning.saturating_mul(2);
        (self.level != Level::Normal || !far).then_some(LOOK)
    }

    fn become_level(&mut self, level: Level) {
        self.level = level;
        self.better = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::*;

    /// Observes what is left in MiB at a time in seconds.
    fn at(levels: &mut Levels, left_mib: u64, seconds: u64) -> Level {
        levels.observe(left_mib * MIB, Duration::from_secs(seconds))
    }

    fn levels() -> Levels {
        Levels::new(Thresholds::default())
    }

    #[test]
    fn each_threshold_ends_a_level_at_once() {
        for (left, level) in [
            (0, OutOfMemory),
            (50 * MIB - 1, OutOfMemory),
            (50 * MIB, Imminent),
            (60 * MIB - 1, Imminent),
            (60 * MIB, Critical),
            (150 * MIB - 1, Critical),
            (150 * MIB, Warning),
            (300 * MIB - 1, Warning),
            (300 * MIB, Normal),
            (u64::MAX, Normal),
        ] {
            assert_eq!(levels().observe(left, Duration::ZERO), level, "{left} bytes");
        }
    }

    #[test]
    fn worse_is_at_once_also_while_it_gets_better() {
        let mut levels = levels();
        assert_eq!(at(&mut levels, 100, 0), Critical);
        assert_eq!(at(&mut levels, 500, 1), Critical);
        assert_eq!(at(&mut levels, 55, 1), Imminent);
        // The time that it has been better before does not count.
        assert_eq!(at(&mut levels, 500, 8), Imminent);
        assert_eq!(at(&mut levels, 500, 15), Imminent);
        assert_eq!(at(&mut levels, 500, 16), Normal);
    }

    #[test]
    fn better_takes_the_whole_hysteresis() {
        let mut levels = levels();
        assert_eq!(at(&mut levels, 299, 100), Warning);
        for seconds in 101..109 {
            assert_eq!(at(&mut levels, 400, seconds), Warning);
        }
        assert_eq!(at(&mut levels, 400, 109), Normal);
    }

    #[test]
    fn being_as_bad_again_begins_the_time_anew() {
        let mut levels = levels();
        at(&mut levels, 299, 0);
        at(&mut levels, 400, 1);
        assert_eq!(at(&mut levels, 299, 8), Warning);
        assert_eq!(at(&mut levels, 400, 9), Warning);
        assert_eq!(at(&mut levels, 400, 16), Warning);
        assert_eq!(at(&mut levels, 400, 17), Normal);
    }

    #[test]
    fn less_than_the_debounce_above_a_threshold_is_not_better() {
        let mut levels = levels();
        at(&mut levels, 149, 0);
        for seconds in 1..50 {
            assert_eq!(levels.observe(151 * MIB - 1, Duration::from_secs(seconds)), Critical);
        }
        assert_eq!(at(&mut levels, 151, 50), Critical);
        // It must stay so.
        assert_eq!(levels.observe(151 * MIB - 1, Duration::from_secs(57)), Critical);
        assert_eq!(at(&mut levels, 151, 58), Critical);
        assert_eq!(at(&mut levels, 151, 66), Warning);
    }

    #[test]
    fn the_level_becomes_the_worst_of_the_time_that_was_better() {
        let mut levels = levels();
        at(&mut levels, 10, 0);
        at(&mut levels, 1000, 1);
        at(&mut levels, 200, 2);
        at(&mut levels, 1000, 3);
        assert_eq!(at(&mut levels, 1000, 9), Warning, "there were 200 MiB for a moment");
        assert_eq!(at(&mut levels, 1000, 16), Warning);
        assert_eq!(at(&mut levels, 1000, 17), Normal);
    }

    #[test]
    fn without_hysteresis_better_is_at_once_too() {
        let mut levels = Levels::new(Thresholds { hysteresis: Duration::ZERO, ..Thresholds::default() });
        assert_eq!(at(&mut levels, 10, 0), OutOfMemory);
        assert_eq!(at(&mut levels, 100, 0), Critical);
        assert_eq!(at(&mut levels, 1000, 0), Normal);
    }

    #[test]
    fn looks_are_asked_for_only_where_it_is_not_normal_or_nearly_not() {
        let mut levels = levels();
        at(&mut levels, 600, 0);
        assert_eq!(levels.next_look(600 * MIB), None);
        assert_eq!(levels.next_look(600 * MIB - 1), Some(LOOK));
        at(&mut levels, 299, 0);
        assert_eq!(levels.next_look(299 * MIB), Some(LOOK));
        at(&mut levels, 5000, 1);
        assert_eq!(levels.next_look(5000 * MIB), Some(LOOK), "it is not normal before the hysteresis is over");
        at(&mut levels, 5000, 9);
        assert_eq!(levels.next_look(5000 * MIB), None);
    }

    #[test]
    fn thresholds_are_less_where_there_is_less_in_all() {
        let whole = Thresholds::default();
        assert_eq!(Thresholds::for_total(u64::MAX), whole);
        assert_eq!(Thresholds::for_total(2048 * MIB), whole);
        let half = Thresholds::for_total(1024 * MIB);
        assert_eq!(half.marks(), [150 * MIB, 75 * MIB, 30 * MIB, 25 * MIB]);
        assert_eq!((half.debounce, half.hysteresis), (MIB / 2, whole.hysteresis));
        let nothing = Thresholds::for_total(0);
        assert_eq!(nothing.marks(), [0; 4]);
        assert_eq!(Levels::new(nothing).observe(0, Duration::ZERO), Normal);
    }

    #[test]
    fn thresholds_are_read_in_mib_and_must_descend() {
        let read = Thresholds::parse("1000:500:100:0").unwrap();
        assert_eq!(read.marks(), [1000 * MIB, 500 * MIB, 100 * MIB, 0]);
        assert_eq!((read.debounce, read.hysteresis), (MIB, Duration::from_secs(8)));
        assert!(Thresholds::parse("7:7:7:7").is_some());
        for bad in ["", "1", "4:3:2", "4:3:2:1:0", "1:2:3:4", "4:3:2:", "a:3:2:1", "4:3:2:-1", "99999999999999:3:2:1"] {
            assert_eq!(Thresholds::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    #[should_panic(expected = "do not descend")]
    fn thresholds_that_do_not_descend_are_a_mistake() {
        Levels::new(Thresholds { critical: 400 * MIB, ..Thresholds::default() });
    }

    #[test]
    fn levels_are_ordered_by_severity() {
        assert!(Level::ALL.is_sorted());
        assert!(Normal < OutOfMemory);
    }
}
