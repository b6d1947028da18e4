//! Raw Linux: a cache of a file's pages in a reservation, as vmcache does it. A page is read with `pread` to its own place, and pages
//! go with `MADV_DONTNEED`, 64 at a time. No fault is ever waited for: whoever loads asks the cache first.
//!
//! 1. The word of a page says whether it is there, and changes whenever the page comes or goes: a load counts if the word was the
//!    same before and after.
//! 2. Room is taken before a page comes, so there are never more than the limit.
//! 3. A clock goes round all pages: who was not used since it came by last goes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::random;
use crate::raw::P;

/// Pages that go together.
const BATCH: usize = 64;

/// The low bits of a page's word; above them a number that grows whenever the page comes.
const STATE: u64 = 3;
const ABSENT: u64 = 0;
const LOCKED: u64 = 1;
const THERE: u64 = 2;
/// There, and not used since the clock came by.
const MARKED: u64 = 3;

/// See the module.
pub struct Cache {
    file: File,
    base: usize,
    words: Vec<AtomicU64>,
    limit: usize,
    used: AtomicUsize,
    hand: AtomicUsize,
}

impl Cache {
    /// Of so many pages of a file, at most `limit` of them in memory. A file opened with `O_DIRECT` will do.
    pub fn new(file: File, pages: usize, limit: usize) -> Self {
        let (rw, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: a new mapping at an address of the kernel's choice; huge pages could not go one by one.
        let base = unsafe {
            let base = mmap_anonymous(std::ptr::null_mut(), pages * P, rw, flags).unwrap();
            madvise(base, pages * P, Advice::LinuxNoHugepage).unwrap();
            base.expose_provenance()
        };
        let words = (0..pages).map(|_| AtomicU64::new(ABSENT)).collect();
        Self { file, base, words, limit, used: AtomicUsize::new(0), hand: AtomicUsize::new(0) }
    }

    /// The first word of a page.
    pub fn load(&self, page: usize) -> u64 {
        let word = &self.words[page];
        loop {
            let before = word.load(Ordering::Acquire);
            let to = |state| before & !STATE | state;
            match before & STATE {
                ABSENT if self.change(page, before, to(LOCKED)) => {
                    self.bring(page);
                    word.store((before & !STATE) + STATE + 1 + THERE, Ordering::Release);
                }
                THERE => {
                    let value = random::load(self.base, page);
                    fence(Ordering::Acquire);
                    if word.load(Ordering::Relaxed) == before {
                        return value;
                    }
                }
                MARKED => {
                    self.change(page, before, to(THERE));
                }
                _ => std::thread::yield_now(),
            }
        }
    }

    /// Pages in memory.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn change(&self, page: usize, from: u64, to: u64) -> bool {
        self.words[page].compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn bring(&self, page: usize) {
        let take = |used: usize| (used < self.limit).then_some(used + 1);
        while self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            self.evict();
        }
        // SAFETY: a page of the reservation that nobody else has: its word says so.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(self.base + page * P), P)
        };
        self.file.read_exact_at(bytes, (page * P) as u64).unwrap();
    }

    fn evict(&self) {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..2 * self.words.len() {
            let page = self.hand.fetch_add(1, Ordering::Relaxed) % self.words.len();
            let word = self.words[page].load(Ordering::Relaxed);
            match word & STATE {
                THERE => {
                    self.change(page, word, word & !STATE | MARKED);
                }
                MARKED if self.change(page, word, word & !STATE | LOCKED) => batch.push(page),
                _ => {}
            }
            if batch.len() == BATCH.min(self.limit / 2) {
                break;
            }
        }
        for &page in &batch {
            // SAFETY: a page of the reservation that nobody else has; it is read again before it is used.
            unsafe { madvise((self.base + page * P) as *mut _, P, Advice::LinuxDontNeed).unwrap() };
            let word = self.words[page].load(Ordering::Relaxed);
            self.words[page].store(word & !STATE | ABSENT, Ordering::Release);
        }
        self.used.fetch_sub(batch.len(), Ordering::Relaxed);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, known to nobody else.
        unsafe { munmap(self.base as *mut _, self.words.len() * P).unwrap() }
    }
}
