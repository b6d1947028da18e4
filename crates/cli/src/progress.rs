//! A bar for work that takes longer than a second; shorter work shows nothing, and so does a stderr that is no terminal.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How fine the bar is.
const FINE: u64 = 1000;

/// A bar that fills in every step.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    shown: Cell<bool>,
    step: Cell<u64>,
    steps: u64,
}

impl Progress {
    /// Over so many steps.
    pub fn new(steps: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(FINE), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("  {bar:30.cyan/dim}  {msg}").expect("a template of ours");
        bar.set_style(style);
        Self { bar, start: Instant::now(), shown: Cell::new(false), step: Cell::new(0), steps }
    }

    /// The next step begins.
    pub fn step(&self, what: &str) {
        self.step.set(self.step.get() + 1);
        self.bar.set_message(format!("step {} of {}: {what}", self.step.get(), self.steps));
        self.within(0, 1);
    }

    /// `done` of `all` of the present step are done.
    pub fn within(&self, done: usize, all: usize) {
        self.bar.set_position((done as u128 * u128::from(FINE) / (all as u128).max(1)) as u64);
        if !self.shown.get() && self.start.elapsed() > Duration::from_secs(1) {
            self.shown.set(true);
            // Hidden by itself where stderr is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
