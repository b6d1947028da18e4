//! What of the mapping is in memory, over time: by the kernel, whether the page table has it or not.
//!
//! Bands are parts of the file. Of a band with many pages some are looked at, evenly spread. Moments are kept at equal
//! distances; when there are too many, every second goes, and the distance doubles.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use zxvm_host::PAGE_SIZE;

use crate::witness::Witness;

/// Bands at most.
pub const BANDS: u64 = 240;

/// Moments at most; even.
const MOMENTS: usize = 120;

/// Pages of a band that are all looked at.
const ALL: u64 = 512;

/// Places that are looked at in larger bands, a page each.
const PLACES: u64 = 16;

/// One moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Since the start.
    pub at: Duration,
    /// Of each band, how many of 255 parts are in memory.
    pub bands: Vec<u8>,
    /// Of each band, whether any of it is dirty.
    pub dirty: Vec<bool>,
    /// Bytes the VMO has, by the engine.
    pub committed_bytes: u64,
}

/// The moments so far.
pub struct Residency {
    range: Range<u64>,
    pages: u64,
    bands: u64,
    start: Instant,
    every: Duration,
    moments: Vec<Moment>,
}

impl Residency {
    /// Of the mapping at these addresses.
    pub fn new(range: Range<u64>) -> Self {
        let pages = (range.end - range.start) / PAGE_SIZE;
        let every = Duration::from_millis(2);
        Self { range, pages, bands: pages.min(BANDS), start: Instant::now(), every, moments: Vec::new() }
    }

    /// The start of time.
    pub fn begin(&mut self) {
        self.start = Instant::now();
    }

    /// How long to wait for the next moment.
    pub fn until_next(&self) -> Duration {
        (self.every * self.moments.len() as u32).saturating_sub(self.start.elapsed())
    }

    /// Looks, and keeps what it sees.
    pub fn look(&mut self, witness: &Witness, dirty: &[Range<u64>], committed_bytes: u64) -> io::Result<()> {
        let at = self.start.elapsed();
        let bands = (0..self.bands).map(|band| self.part(witness, band)).collect::<io::Result<_>>()?;
        let is_dirty = |band| {
            let bytes = bytes_of(band, self.bands, self.pages);
            let next = dirty.partition_point(|range| range.end <= bytes.start);
            dirty.get(next).is_some_and(|range| range.start < bytes.end)
        };
        let dirty = (0..self.bands).map(is_dirty).collect();
        self.moments.push(Moment { at, bands, dirty, committed_bytes });
        if self.moments.len() == MOMENTS {
            let mut keep = [true, false].into_iter().cycle();
            self.moments.retain(|_| keep.next() == Some(true));
            self.every *= 2;
        }
        Ok(())
    }

    fn part(&self, witness: &Witness, band: u64) -> io::Result<u8> {
        let bytes = bytes_of(band, self.bands, self.pages);
        let pages = (bytes.end - bytes.start) / PAGE_SIZE;
        let start = self.range.start + bytes.start;
        let present = |first: u64, count: u64| -> io::Result<u64> {
            let addr = start + first * PAGE_SIZE;
            let runs = witness.resident_runs(&(addr..addr + count * PAGE_SIZE))?;
            Ok(runs.iter().map(|run| (run.end - run.start) / PAGE_SIZE).sum())
        };
        let (seen, there) = if pages <= ALL {
            (pages, present(0, pages)?)
        } else {
            let there = (0..PLACES).map(|place| present(pages * place / PLACES, 1)).sum::<io::Result<u64>>()?;
            (PLACES, there)
        };
        // What is there at all is to be seen.
        Ok((there * 255).div_ceil(seen) as u8)
    }

    /// All moments.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Pages of the whole.
    pub fn pages(&self) -> u64 {
        self.pages
    }
}

/// The bytes of a band.
pub fn bytes_of(band: u64, bands: u64, pages: u64) -> Range<u64> {
    let page = |band: u64| (u128::from(pages) * u128::from(band) / u128::from(bands)) as u64;
    page(band) * PAGE_SIZE..page(band + 1) * PAGE_SIZE
}

#[cfg(test)]
mod tests {
    use super::*;
    use zxvm_host::Host;
    use zxvm_host::linux::{Delivery, LinuxHost};

    #[test]
    fn every_byte_is_in_one_band() {
        for pages in [1, 7, 239, 240, 241, 1 << 30] {
            let bands = pages.min(BANDS);
            let mut end = 0;
            for band in 0..bands {
                let bytes = bytes_of(band, bands, pages);
                assert!(bytes.start == end && bytes.end > end);
                end = bytes.end;
            }
            assert_eq!(end, pages * PAGE_SIZE);
        }
    }

    #[test]
    fn moments_are_thinned_out_and_stay_in_order() {
        let witness = Witness::new().unwrap();
        // Reserved, and nothing of it shown.
        let host = LinuxHost::new(Delivery::Thread).unwrap();
        let range = host.reserve(10 * PAGE_SIZE).unwrap();
        let mut residency = Residency::new(range.start()..range.end());
        for _ in 0..3 * MOMENTS {
            let dirty = [2 * PAGE_SIZE..3 * PAGE_SIZE, 3 * PAGE_SIZE..4 * PAGE_SIZE];
            residency.look(&witness, &dirty, 5).unwrap();
        }
        let moments = residency.moments();
        assert!(moments.len() < MOMENTS && moments.len() >= MOMENTS / 2);
        assert!(moments.is_sorted_by_key(|moment| moment.at));
        assert_eq!(moments[3].bands, [0; 10]);
        assert_eq!(moments[3].dirty, (0..10).map(|band| (2..4).contains(&band)).collect::<Vec<_>>());
        host.release(range);
    }
}
