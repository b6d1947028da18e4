//! Loads from pages in an order that nobody foresees: the same order, whoever has the pages.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::raw::P;

/// Numbers of pages in a fixed order, each as likely as any other.
#[derive(Clone, Debug)]
pub struct Order {
    state: u64,
    pages: usize,
}

impl Order {
    /// Among so many pages. Another seed is another order.
    pub fn new(seed: u64, pages: usize) -> Self {
        Self { state: (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15), pages }
    }
}

impl Iterator for Order {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        Some(((u128::from(self.state) * self.pages as u128) >> 64) as usize)
    }
}

/// What is at the start of a page of a file made for this: tells pages apart, and from zeros.
pub fn mark(page: usize) -> u64 {
    (page as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// The content of such a file.
pub fn content(pages: usize) -> Vec<u8> {
    let mut bytes = vec![7; pages * P];
    bytes
        .chunks_exact_mut(P)
        .enumerate()
        .for_each(|(page, bytes)| bytes[..8].copy_from_slice(&mark(page).to_ne_bytes()));
    bytes
}

/// The first word of a page of a mapping.
pub fn load(base: usize, page: usize) -> u64 {
    // SAFETY: memory mapped by the caller, aligned to pages.
    unsafe { std::ptr::with_exposed_provenance::<u64>(base + page * P).read_volatile() }
}

/// What is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Loads {
    /// From so many pages.
    pub pages: usize,
    /// So many times together.
    pub loads: usize,
    /// By so many threads, each in an order of its own.
    pub threads: usize,
    /// No two runs are to be in the same order: what is remembered of one must not help the next.
    pub seed: u64,
}

/// The seed of loads that are not measured.
pub const WARMING: u64 = 1 << 20;

/// Loads. How many times something else was there than [`mark`] says, and how long it took.
pub fn load_all(what: Loads, load: impl Fn(usize) -> u64 + Sync) -> (u64, Duration) {
    let Loads { pages, loads, threads, seed } = what;
    let (start, load) = (&Barrier::new(threads + 1), &load);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let order = Order::new(seed * 64 + thread as u64, pages).take(loads / threads);
                scope.spawn(move || {
                    start.wait();
                    order.filter(|&page| load(page) != mark(page)).count() as u64
                })
            })
            .collect();
        start.wait();
        let begun = Instant::now();
        let wrong = running.into_iter().map(|thread| thread.join().expect("it only loads")).sum();
        (wrong, begun.elapsed())
    })
}
