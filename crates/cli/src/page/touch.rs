//! The threads that touch pages, and compare what they read with what `read(2)` says.
//!
//! 1. Every word of a touched page is loaded, and compared with the file as another descriptor of it shows it; in a page that
//!    this run has stored to and not yet written back, with the record that was stored.
//! 2. A page's first word is timed apart: that is where a fault happens. Whether one did, Linux tells: by the thread's count of
//!    faults, looked at after accesses too slow for memory alone.
//! 3. Where memory is limited it is looked before an access whether the page is there; the time for that is not counted.
//! 4. After the first difference a thread stops. One that waits for a page for ever is found by `done` standing still.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zerocopy::IntoBytes;
use zxvm_host::linux::{Words, resident};
use zxvm_host::{AddrRange, PAGE_SIZE};
use zxvm_pagers::{Backing, FilePager};
use zxvm_syscall::Kernel;

use super::hints::{Hints, Said};
use super::latency::Latencies;
use super::order::Order;
use super::record::{WORDS, record};
use super::store::Store;
use crate::procfs;

/// Memory answers sooner than this, wherever it is.
const SLOW: Duration = Duration::from_nanos(250);

/// What a thread found.
#[derive(Debug, Default)]
pub struct Tally {
    /// Accesses that faulted.
    pub faulted: Latencies,
    /// Time in which pages were loaded.
    pub loading: Duration,
    /// Accesses whose page was in memory just before; counted where memory is limited.
    pub found: u64,
    /// Bytes loaded and compared.
    pub compared_bytes: u64,
    /// What is not as it should be.
    pub differences: Vec<String>,
}

/// What all threads share.
pub struct Stage {
    /// The mapping.
    pub words: Words,
    /// The file, by another descriptor.
    pub file: File,
    /// Which page comes when.
    pub order: Order,
    /// Whole pages that may be touched.
    pub pages: u64,
    /// Touches of all threads.
    pub touches: u64,
    /// How many threads there are.
    pub threads: u64,
    /// With `--write`.
    pub store: Option<Store>,
    /// The pager.
    pub pager: FilePager<Arc<dyn Backing>>,
    /// Touches done.
    pub done: AtomicU64,
    /// Pages touched.
    pub touched: Touched,
    /// Somebody has found a difference.
    pub stop: AtomicBool,
    /// Where the mapping is, if it is to be looked whether pages are in memory before they are touched.
    pub look: Option<u64>,
    /// After how many touches of all threads it is said again that pages are not needed.
    pub hint_every: u64,
    /// What is said of parts of the file.
    pub hints: Hints,
    /// The engine.
    pub kernel: &'static Kernel,
}

/// A set of pages: a bit each for as many as there are usually, a tree for more.
pub enum Touched {
    /// A bit each.
    Few(Vec<AtomicU64>),
    /// Their numbers.
    Many(Mutex<BTreeSet<u64>>),
}

impl Touched {
    /// None of so many.
    pub fn new(pages: u64) -> Self {
        const FEW: u64 = 1 << 32;
        if pages <= FEW {
            Self::Few((0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
        } else {
            Self::Many(Mutex::default())
        }
    }

    /// Takes a page in. False: it was.
    pub fn insert(&self, page: u64) -> bool {
        match self {
            Self::Few(bits) => {
                let bit = 1 << (page % 64);
                bits[(page / 64) as usize].fetch_or(bit, Ordering::Relaxed) & bit == 0
            }
            Self::Many(pages) => pages.lock().unwrap_or_else(PoisonError::into_inner).insert(page),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Few(bits) => bits.iter().map(|bits| u64::from(bits.load(Ordering::Relaxed).count_ones())).sum(),
            Self::Many(pages) => pages.lock().unwrap_or_else(PoisonError::into_inner).len() as u64,
        }
    }
}

/// Faults of this thread, as Linux counts them.
struct Faults {
    stat: File,
    last: u64,
}

impl Faults {
    fn new() -> io::Result<Self> {
        let mut faults = Self { stat: File::open("/proc/thread-self/stat")?, last: 0 };
        faults.rose()?;
        Ok(faults)
    }

    /// Whether there were any since this was asked last.
    fn rose(&mut self) -> io::Result<bool> {
        let mut text = [0; 1024];
        let len = FileExt::read_at(&self.stat, &mut text, 0)?;
        let now = procfs::faults(&String::from_utf8_lossy(&text[..len])).ok_or(io::ErrorKind::InvalidData)?;
        Ok(std::mem::replace(&mut self.last, now) != now)
    }
}

/// What one thread needs.
struct Hand<'a> {
    stage: &'a Stage,
    faults: Faults,
    memory: Box<[u64; WORDS]>,
    disk: Vec<u8>,
    tally: Tally,
}

impl Stage {
    /// What thread `number` does.
    pub fn touch(&self, number: u64) -> io::Result<Tally> {
        let (memory, disk) = (Box::new([0; WORDS]), vec![0; PAGE_SIZE as usize]);
        let mut hand = Hand { stage: self, faults: Faults::new()?, memory, disk, tally: Tally::default() };
        let part = |number: u64| (u128::from(self.touches) * u128::from(number) / u128::from(self.threads)) as u64;
        for k in part(number)..part(number + 1) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let page = self.order.page(k);
            let difference = match &self.store {
                None => hand.read(page)?,
                Some(store) => {
                    let (found, is_due) = store.store(page, |last, next| hand.read_and_store(page, last, next));
                    let found = found?;
                    if is_due {
                        store.commit_full(&self.pager)?;
                    }
                    found
                }
            };
            if let Some(difference) = difference {
                self.stop.store(true, Ordering::Relaxed);
                hand.tally.differences.push(difference);
            }
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(start) = self.look
                && done.is_multiple_of(self.hint_every)
            {
                self.hints
                    .say(self.kernel, start, Said::NotNeeded)
                    .map_err(|status| io::Error::other(format!("DONT_NEED: {status}")))?;
            }
        }
        Ok(hand.tally)
    }

    /// Compares all pages that this run has touched with the file once more. What is wrong.
    pub fn compare_all(&self) -> io::Result<Tally> {
        let (memory, disk) = (Box::new([0; WORDS]), vec![0; PAGE_SIZE as usize]);
        let mut hand = Hand { stage: self, faults: Faults::new()?, memory, disk, tally: Tally::default() };
        let found = match &self.touched {
            Touched::Few(bits) => {
                let is_in = |page: &u64| bits[(page / 64) as usize].load(Ordering::Relaxed) >> (page % 64) & 1 == 1;
                hand.compare_pages((0..self.pages).filter(is_in))
            }
            Touched::Many(pages) => {
                let pages = pages.lock().unwrap_or_else(PoisonError::into_inner).clone();
                hand.compare_pages(pages.into_iter())
            }
        };
        found?;
        Ok(hand.tally)
    }
}

impl Hand<'_> {
    fn load(&mut self, page: u64) -> io::Result<()> {
        let base = page as usize * WORDS;
        let words = &self.stage.words;
        if let Some(start) = self.stage.look {
            let addr = start + page * PAGE_SIZE;
            self.tally.found += u64::from(resident(AddrRange::from_bounds(addr, addr + PAGE_SIZE))?[0]);
        }
        let start = Instant::now();
        self.memory[0] = words.load(base);
        let first = start.elapsed();
        for (index, word) in self.memory.iter_mut().enumerate().skip(1) {
            *word = words.load(base + index);
        }
        self.tally.loading += start.elapsed();
        self.tally.compared_bytes += PAGE_SIZE;
        if first > SLOW && self.faults.rose()? {
            self.tally.faulted.add(first.as_nanos() as u64);
        }
        self.stage.touched.insert(page);
        Ok(())
    }

    /// Whether what was loaded is what the file has.
    fn is_as_on_disk(&mut self, page: u64) -> io::Result<bool> {
        let filled = Backing::read_at(&self.stage.file, page * PAGE_SIZE, &mut self.disk)?;
        self.disk[filled..].fill(0);
        Ok(self.memory.as_bytes() == self.disk)
    }

    fn read(&mut self, page: u64) -> io::Result<Option<String>> {
        self.load(page)?;
        let same = self.is_as_on_disk(page)?;
        Ok((!same).then(|| format!("Page {page} is not what read(2) says")))
    }

    fn read_and_store(&mut self, page: u64, last: Option<u64>, next: u64) -> io::Result<Option<String>> {
        self.load(page)?;
        let difference = match last {
            Some(last) => {
                (*self.memory != record(page, last)).then(|| format!("Page {page} is not what was stored to it"))
            }
            None => (!self.is_as_on_disk(page)?).then(|| format!("Page {page} is not what read(2) says")),
        };
        for (index, word) in record(page, next).into_iter().enumerate() {
            self.stage.words.store(page as usize * WORDS + index, word);
        }
        Ok(difference)
    }

    fn compare_pages(&mut self, pages: impl Iterator<Item = u64>) -> io::Result<()> {
        for page in pages {
            if let Some(difference) = self.read(page)? {
                self.tally.differences.push(difference);
                return Ok(());
            }
            let last = self.stage.store.as_ref().and_then(|store| store.latest(page));
            if last.is_some_and(|last| *self.memory != record(page, last)) {
                self.tally.differences.push(format!("Page {page} is not the last record that was stored to it"));
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_once() {
        for touched in [Touched::new(1000), Touched::new(1 << 40)] {
            let pages = [0, 63, 64, 999, 63];
            assert_eq!(pages.map(|page| touched.insert(page)), [true, true, true, true, false]);
            assert_eq!(touched.count(), 4);
        }
    }

    #[test]
    fn a_fault_of_this_thread_is_seen() {
        let mut faults = Faults::new().unwrap();
        let many = vec![1_u8; 32 << 20];
        assert!(faults.rose().unwrap(), "{} bytes of fresh memory", many.len());
    }
}
