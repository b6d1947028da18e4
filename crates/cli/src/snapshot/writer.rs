//! The thread that keeps storing through the mapping.
//!
//! 1. `published` is k only after the first k stores are made, and at most one more has been made then. Each store is
//!    visible before the next (`Words`), so at any moment memory holds the first k stores, `published` ≤ k ≤
//!    `published` + 1.
//! 2. Round r began with store `starts[r]`; the list is right for every store that is published.
//! 3. The gap that ends with a store is noted between this store and the next: who has seen the next published finds it.
//! 4. Whoever waits for the writer gives up after [`PATIENCE`]: a store that never comes back is a finding, not a hang.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zxvm_host::linux::Words;

use super::stores::Round;
use crate::failure::Failure;

/// From one store to the next, at least. Faster only means that more has to be made again to verify.
const PACE: Duration = Duration::from_micros(1);

/// How long a store may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the writer and the others share.
#[derive(Debug)]
struct Desk {
    words: Words,
    pages: usize,
    published: AtomicU64,
    round: AtomicUsize,
    starts: Mutex<Vec<u64>>,
    longest_gap_ns: AtomicU64,
    stop: AtomicBool,
    idle: AtomicBool,
}

/// The writer, as others see it.
pub struct Writer {
    desk: Arc<Desk>,
}

impl Writer {
    /// A writer for these words, at rest.
    pub fn new(words: Words, pages: usize) -> Self {
        let desk = Desk {
            words,
            pages,
            published: AtomicU64::new(0),
            round: AtomicUsize::new(0),
            starts: Mutex::new(vec![0]),
            longest_gap_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            idle: AtomicBool::new(true),
        };
        Self { desk: Arc::new(desk) }
    }

    /// The words it stores to.
    pub fn words(&self) -> &Words {
        &self.desk.words
    }

    /// Lets it write, from where it was stopped.
    pub fn start(&self) -> Result<(), Failure> {
        self.desk.stop.store(false, Ordering::Relaxed);
        self.desk.idle.store(false, Ordering::Relaxed);
        let desk = self.desk.clone();
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || desk.write())?;
        // It ends when told to, and tells so itself.
        drop(thread);
        Ok(())
    }

    /// Stops it: no store is under way when this returns.
    ///
    /// # Errors
    /// `Stuck`: one is.
    pub fn stop(&self) -> Result<(), Failure> {
        self.desk.stop.store(true, Ordering::Relaxed);
        wait_until(|| self.desk.idle.load(Ordering::Acquire))
    }

    /// How many stores are made.
    pub fn published(&self) -> u64 {
        self.desk.published.load(Ordering::Acquire)
    }

    /// Waits until more than `stores` are made.
    ///
    /// # Errors
    /// `Stuck`
    pub fn wait_beyond(&self, stores: u64) -> Result<(), Failure> {
        wait_until(|| self.published() > stores)
    }

    /// The longest time from one store to the next since this was asked last.
    pub fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.desk.longest_gap_ns.swap(0, Ordering::Relaxed))
    }

    /// Lets the next round begin, with a store that is not made yet.
    pub fn next_round(&self) {
        self.desk.round.fetch_add(1, Ordering::Release);
    }

    /// With which store each round began.
    pub fn starts(&self) -> Vec<u64> {
        self.desk.starts().clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::Relaxed);
    }
}

impl Desk {
    fn starts(&self) -> MutexGuard<'_, Vec<u64>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let mut k = self.published.load(Ordering::Relaxed);
        let mut round = Round::new(self.pages, self.starts().len() - 1);
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let wanted = self.round.load(Ordering::Acquire);
            if wanted != round.number() {
                // A round that was over before it began has no stores.
                self.starts().resize(wanted + 1, k);
                round = Round::new(self.pages, wanted);
            }
            let store = round.store(k);
            self.words.store(store.word, store.value);
            k += 1;
            self.published.store(k, Ordering::Release);
            last = self.pace(last);
        }
        self.idle.store(true, Ordering::Release);
    }

    /// Waits for the time of the next store, and notes how long it has been since the last.
    fn pace(&self, last: Instant) -> Instant {
        loop {
            let now = Instant::now();
            let gap = now - last;
            if gap >= PACE {
                let nanos = gap.as_nanos() as u64;
                if nanos > self.longest_gap_ns.load(Ordering::Relaxed) {
                    self.longest_gap_ns.fetch_max(nanos, Ordering::Relaxed);
                }
                return now;
            }
            std::hint::spin_loop();
        }
    }
}

fn wait_until(done: impl Fn() -> bool) -> Result<(), Failure> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > PATIENCE {
            return Err(Failure::Stuck(PATIENCE.as_secs()));
        }
        thread::yield_now();
    }
    Ok(())
}
