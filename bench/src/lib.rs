//! Two ways to do the same, timed in turns.
//!
//! 1. Every case has our side and the best raw Linux sequence we know for the same effect; samples of both alternate, so
//!    that what disturbs the machine disturbs both. Medians are compared.
//! 2. What is prepared before each sample is not timed.
//! 3. A side returns a number that depends on the work, so that work left undone shows ([`Case::run`]).

pub mod bare;
pub mod cache;
pub mod mapped;
pub mod pager;
pub mod random;
pub mod raw;
pub mod run;
pub mod zx;

use std::time::{Duration, Instant};

/// What a case is meant to reach.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Our median over the raw one, at most.
    Ratio(f64),
    /// Our median less the raw one, at most so many nanoseconds.
    Over(f64),
    /// Ours, at most so much (nanoseconds, if it is a time).
    Most(f64),
    /// Reported only.
    None,
}

/// One side of a case: prepares, then does the timed part; returns the check number.
pub type Side<'a> = Box<dyn FnMut(&mut Timer) -> u64 + 'a>;

/// A case.
pub struct Case<'a> {
    /// As in Zircon's microbenchmarks where there is one.
    pub name: String,
    /// How many times the timed part does its thing; times are per thing.
    pub per: u64,
    /// Ours.
    pub ours: Side<'a>,
    /// Raw Linux; none where there is no counterpart.
    pub raw: Option<Side<'a>>,
    /// What to reach.
    pub target: Target,
}

/// Measures the part of a side that counts.
#[derive(Debug, Default)]
pub struct Timer(Duration);

impl Timer {
    /// Times `work`.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0 += start.elapsed();
        result
    }

    /// Takes a time down that was measured otherwise.
    pub fn add(&mut self, time: Duration) {
        self.0 += time;
    }
}

/// What figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Nanos,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
}

impl Unit {
    /// So much of it, for a table.
    pub fn say(self, amount: f64) -> String {
        match self {
            Self::Nanos if amount < 10_000.0 => format!("{amount:.0} ns"),
            Self::Nanos if amount < 10_000_000.0 => format!("{:.1} µs", amount / 1e3),
            Self::Nanos => format!("{:.1} ms", amount / 1e6),
            Self::Bytes => format!("{amount:.0} B"),
            Self::Count => format!("{amount:.0}"),
        }
    }
}

/// How a case came out: times are nanoseconds per thing.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the case.
    pub name: String,
    /// Median of ours.
    pub ours: f64,
    /// Median of raw.
    pub raw: Option<f64>,
    /// What to reach.
    pub target: Target,
    /// What the figures are of.
    pub unit: Unit,
}

impl Outcome {
    /// Ours over raw.
    pub fn ratio(&self) -> Option<f64> {
        self.raw.map(|raw| self.ours / raw)
    }

    /// Whether the target is reached; `None` without one.
    pub fn reached(&self) -> Option<bool> {
        match self.target {
            Target::Ratio(most) => self.ratio().map(|ratio| ratio <= most),
            Target::Over(most) => self.raw.map(|raw| self.ours - raw <= most),
            Target::Most(most) => Some(self.ours <= most),
            Target::None => None,
        }
    }
}

impl Case<'_> {
    /// Runs both sides in turns, `samples` times each.
    ///
    /// # Panics
    /// If a side's check number changes from sample to sample or differs from the other side's.
    pub fn run(mut self, samples: usize) -> Outcome {
        let (mut ours, mut raws) = (Vec::new(), Vec::new());
        let mut expected = None;
        let per = self.per as f64;
        let mut sample = |side: &mut Side<'_>, times: &mut Vec<f64>| {
            let mut timer = Timer::default();
            let check = side(&mut timer);
            assert_eq!(*expected.get_or_insert(check), check, "{}: work was left undone", self.name);
            times.push(timer.0.as_nanos() as f64 / per);
        };
        for _ in 0..samples {
            if let Some(raw) = &mut self.raw {
                sample(raw, &mut raws);
            }
            sample(&mut self.ours, &mut ours);
        }
        Outcome {
            ours: median(&mut ours),
            raw: (!raws.is_empty()).then(|| median(&mut raws)),
            target: self.target,
            name: self.name,
            unit: Unit::Nanos,
        }
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
