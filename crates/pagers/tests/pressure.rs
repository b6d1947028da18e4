//! Pagers under a budget: everything fits that is written back in time, nothing is lost where it cannot be, and nobody waits for ever.
//!
//! The budget is the process's, so these tests take turns ([`Budget`]). Each is run with both ways of dealing with faults.

mod common;

use std::fs;
use std::io::{self, ErrorKind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use common::*;
use zxvm::{MemoryStats, MonotonicInstant, Signals, VmarFlags, Vmo};
use zxvm_host::linux::Words;
use zxvm_pagers::{Backing, FilePager, PagerBuilder};
use zxvm_syscall::Kernel;

const RW: VmarFlags = VmarFlags::PERM_READ.union(VmarFlags::PERM_WRITE);

/// Words in a page.
const WORDS: usize = 512;

/// A limit of memory, for one test at a time.
struct Budget {
    _turn: MutexGuard<'static, ()>,
    bytes: u64,
    before: MemoryStats,
}

impl Budget {
    fn set(bytes: u64) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        zxvm::set_memory_budget(Some(bytes)).unwrap();
        let before = zxvm::memory_stats().unwrap();
        assert_eq!(before.resident, 0, "the tests before have left nothing");
        Self { _turn: turn, bytes, before }
    }

    fn pages(&self) -> u64 {
        self.bytes / P
    }

    /// How much has become since, and that there is not more in memory than there may be.
    fn look(&self) -> MemoryStats {
        let now = zxvm::memory_stats().unwrap();
        assert_eq!(now.budget, Some(self.bytes));
        // The two are of slightly different moments.
        assert!(now.resident <= self.bytes && now.dirty <= self.bytes, "{now:?}");
        let since = |now: u64, before: u64| now - before;
        MemoryStats {
            supplied: since(now.supplied, self.before.supplied),
            evicted: since(now.evicted, self.before.evicted),
            starved: since(now.starved, self.before.starved),
            ..now
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        let _ = zxvm::set_memory_budget(None);
    }
}

/// A VMO, mapped as long as this is there.
struct Mapped {
    words: Words,
    range: std::ops::Range<u64>,
}

impl Mapped {
    fn new(vmo: &Vmo) -> Self {
        let len = vmo.get_size().unwrap();
        let addr = zxvm::runtime::vmar_root_self().map(0, vmo, 0, len as usize, RW).unwrap() as u64;
        let range = addr..addr + len;
        let words = Words::new(zxvm_host::AddrRange::from_bounds(range.start, range.end)).unwrap();
        Self { words, range }
    }

    fn pages(&self) -> u64 {
        (self.range.end - self.range.start) / P
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let kernel = Kernel::current().unwrap();
        let len = (self.range.end - self.range.start) as usize;
        kernel.vmar_unmap(kernel.vmar_root_self(), self.range.start as usize, len).unwrap();
    }
}

/// What thread `number` of `threads` stores: two words to each of its pages, at their starts and ends, in an order of its own.
fn store_all(words: &Words, pages: u64, number: u64, threads: u64, round: u64) {
    let mine: Vec<u64> = (0..pages).filter(|page| page % threads == number).collect();
    for k in 0..mine.len() as u64 {
        // Odd numbers of threads forwards, even ones in jumps.
        let index = if number % 2 == 1 { k } else { k * 7919 % mine.len() as u64 };
        let page = mine[index as usize];
        words.store(page as usize * WORDS, value(page, round));
        words.store(page as usize * WORDS + WORDS - 1, !value(page, round));
    }
}

fn value(page: u64, round: u64) -> u64 {
    0x5aa5_0000_0000_0000 | round << 32 | page
}

/// What all of it is after `round`, over what was there before.
fn expected(before: &[u8], pages: u64, round: u64) -> Vec<u8> {
    let mut bytes = before.to_vec();
    bytes.resize((pages * P) as usize, 0);
    for page in 0..pages {
        let at = (page * P) as usize;
        bytes[at..at + 8].copy_from_slice(&value(page, round).to_ne_bytes());
        bytes[at + 4088..at + 4096].copy_from_slice(&(!value(page, round)).to_ne_bytes());
    }
    bytes
}

/// Stores everything with four threads, twice, while somebody looks whether the budget is kept.
fn store_under(budget: &Budget, mapped: &Mapped) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                budget.look();
                thread::yield_now();
            }
        });
        for round in 1..=2 {
            thread::scope(|scope| {
                for number in 0..4 {
                    scope.spawn(move || store_all(&mapped.words, mapped.pages(), number, 4, round));
                }
            });
        }
        done.store(true, Ordering::SeqCst);
        looking.join().unwrap();
    });
}

/// Everything is as it was stored, in memory.
fn is_there(mapped: &Mapped, content: &[u8]) {
    for at in (0..content.len() as u64).step_by(8) {
        assert_eq!(mapped.words.load(at as usize / 8), word(content, at), "at {at}");
    }
}

#[test]
fn ten_times_the_budget_is_written_by_four_threads() {
    let budget = Budget::set(512 << 10);
    let pages = 10 * budget.pages();
    over_files(&pattern((pages * P) as usize), |name, backing, path| {
        let pager = FilePager::new(backing).unwrap();
        let mapped = Mapped::new(&pager.vmo().unwrap());
        store_under(&budget, &mapped);
        let content = expected(&pattern((pages * P) as usize), pages, 2);
        is_there(&mapped, &content);
        pager.writeback().unwrap();
        assert!(fs::read(path).unwrap() == content, "{name}");
        let stats = budget.look();
        assert!(stats.evicted >= (pages - budget.pages()) * P, "{name}: {stats:?}");
        // Each page was dirtied twice, and most of it had to go in between.
        assert!(pager.stats().pages_written >= pages + pages / 2, "{name}: {:?}", pager.stats());
        assert!(pager.background_error().is_none(), "{name}");
    });
}

#[test]
fn a_backing_that_refuses_makes_threads_wait_and_loses_nothing() {
    let budget = Budget::set(256 << 10);
    let pages = 4 * budget.pages();
    let backing = Scripted::pages(pages);
    let before = backing.content();
    let pager = FilePager::new(Shared(backing.clone())).unwrap();
    let mapped = &Mapped::new(&pager.vmo().unwrap());
    for round in 1..=2 {
        backing.changes_left.store(0, Ordering::SeqCst);
        thread::scope(|scope| {
            let starved = budget.look().starved;
            let storing: Vec<_> =
                (0..4).map(|number| scope.spawn(move || store_all(&mapped.words, pages, number, 4, round))).collect();
            wait_until("a thread that waits for room", || budget.look().starved > starved);
            wait_until("an error", || {
                pager.background_error().is_some_and(|error| error.kind() == ErrorKind::StorageFull)
            });
            assert!(storing.iter().any(|thread| !thread.is_finished()), "there is no room for all of it");
            assert!(pager.dirty_bytes().unwrap() >= budget.bytes / 2, "it is still dirty");
            backing.changes_left.store(i64::MAX, Ordering::SeqCst);
        });
        let content = expected(&before, pages, round);
        is_there(mapped, &content);
        pager.writeback().unwrap();
        assert!(backing.content() == content);
    }
}

/// Syncs wait until they may go on.
struct SlowSync {
    inner: Shared,
    gate: Arc<(Mutex<bool>, Condvar)>,
    waiting: Arc<AtomicU64>,
}

impl Backing for SlowSync {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, data)
    }

    fn sync(&self) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.1.wait_while(self.gate.0.lock().unwrap(), |open| !*open).unwrap());
        self.inner.sync()
    }
}

#[test]
fn half_a_budget_of_dirty_pages_is_written_back_while_requests_are_answered() {
    let budget = Budget::set(256 << 10);
    let backing = Scripted::pages(1000);
    let (gate, waiting) = (Arc::new((Mutex::new(false), Condvar::new())), Arc::new(AtomicU64::new(0)));
    let slow = SlowSync { inner: Shared(backing.clone()), gate: gate.clone(), waiting: waiting.clone() };
    let pager = PagerBuilder::new().threads(1.try_into().unwrap()).open(slow).unwrap();
    let vmo = pager.vmo().unwrap();
    for page in 0..budget.pages() / 2 {
        vmo.write(&[7; 10], page * P).unwrap();
    }
    wait_until("a writeback that nobody asked for", || waiting.load(Ordering::SeqCst) > 0);
    // There is as much room again, and the one thread that answers has nothing to do with the disk that is slow.
    for page in 500..1000 {
        assert_eq!(
            vmo.read_to_vec::<u8>(page * P, P).unwrap(),
            pattern((1000 * P) as usize)[(page * P) as usize..][..4096]
        );
        budget.look();
    }
    assert_eq!(pager.dirty_bytes(), Ok(budget.bytes / 2), "nothing is clean before it is durable");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    // What was stored while it was read may be dirty again: that is less than anybody is asked to write back for.
    wait_until("clean pages", || pager.dirty_bytes().unwrap() <= budget.bytes / 4);
    assert_eq!(&backing.content()[..10], [7; 10]);
}

#[test]
fn a_pager_that_is_to_ignore_it_leaves_it_to_the_program() {
    let budget = Budget::set(256 << 10);
    let pages = 3 * budget.pages();
    let backing = Scripted::pages(pages);
    let pager = PagerBuilder::new().ignore_pressure().open(Shared(backing.clone())).unwrap();
    let mapped = &Mapped::new(&pager.vmo().unwrap());
    let wanted = zxvm::writeback_event().unwrap();
    thread::scope(|scope| {
        let storing = scope.spawn(move || store_all(&mapped.words, pages, 0, 1, 1));
        wait_until("a thread that waits for room", || budget.look().starved > 0);
        assert_eq!(pager.stats().writebacks, 0);
        while !storing.is_finished() {
            if wanted.wait_one(Signals::EVENT_SIGNALED, MonotonicInstant::INFINITE_PAST).is_ok() {
                pager.writeback().unwrap();
            }
        }
    });
    is_there(mapped, &expected(&pattern((pages * P) as usize), pages, 1));
}

#[test]
fn reads_ahead_are_a_small_part_of_the_budget() {
    let most = |bytes| {
        let _budget = Budget::set(bytes);
        let backing = Scripted::pages(1500);
        let pager = FilePager::new(Shared(backing.clone())).unwrap();
        let vmo = pager.vmo().unwrap();
        for page in 0..1500 {
            vmo.read_to_array::<u8, 1>(page * P).unwrap();
        }
        let stats = pager.stats();
        assert!(stats.pages_asked + stats.pages_ahead >= 1500, "{stats:?}");
        backing.reads().iter().map(|read| (read.end - read.start) / P).max().unwrap()
    };
    assert_eq!([256 << 10, 1 << 20, 16 << 20].map(most), [1, 4, 64]);
}

/// The last page of the content has to come before it can be cut, which needs room that only a writeback can make.
#[test]
fn a_length_can_change_where_all_is_dirty() {
    let budget = Budget::set(256 << 10);
    let len = 2 * budget.bytes + 100;
    let backing = Scripted::new(len as usize);
    let pager = &PagerBuilder::new().resizable().open(Shared(backing.clone())).unwrap();
    let mapped = &Mapped::new(&pager.vmo().unwrap());
    backing.changes_left.store(0, Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| (0..2 * budget.pages()).for_each(|page| mapped.words.store(page as usize * WORDS, page)));
        wait_until("a thread that waits for room", || budget.look().starved > 0);
        let starved = budget.look().starved;
        let growing = scope.spawn(|| pager.set_len(len + 50));
        wait_until("another one", || budget.look().starved > starved);
        assert_eq!(pager.len(), len);
        backing.changes_left.store(i64::MAX, Ordering::SeqCst);
        growing.join().unwrap().unwrap();
    });
    pager.writeback().unwrap();
    let content = backing.content();
    assert_eq!(content.len() as u64, len + 50);
    assert!(content[(len - 100) as usize..len as usize] == pattern(len as usize)[(len - 100) as usize..]);
    assert_eq!(content[len as usize..], [0; 50]);
    assert!((0..2 * budget.pages()).all(|page| word(&content, page * P) == page));
}

/// Runs all of the others once more in a process where the other one deals with faults.
#[test]
fn whoever_deals_with_faults() {
    const OTHER: &str = "ZXVM_TEST_OTHER_FAULTS";
    if std::env::var_os(OTHER).is_some() {
        return;
    }
    let inline = std::env::var("ZXVM_FAULTS").is_ok_and(|faults| faults == "inline");
    let faults = if inline { "thread" } else { "inline" };
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.env(OTHER, "1").env("ZXVM_FAULTS", faults).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "with ZXVM_FAULTS={faults}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("ten_times_the_budget_is_written_by_four_threads ... ok"), "{said}");
}

#[cfg(feature = "tokio")]
mod futures {
    use std::ops::Range;

    use super::*;
    use zxvm_pagers::AsyncBacking;
    use zxvm_pagers::AsyncPager;

    struct Remote(Shared);

    impl AsyncBacking for Remote {
        async fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        async fn read_at(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
            tokio::task::yield_now().await;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let filled = self.0.read_at(range.start, &mut bytes)?;
            bytes.truncate(filled);
            Ok(bytes)
        }

        fn is_writable(&self) -> bool {
            true
        }

        async fn write_at(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
            tokio::task::yield_now().await;
            self.0.write_at(offset, &data)
        }

        async fn sync(&self) -> io::Result<()> {
            self.0.sync()
        }
    }

    #[test]
    fn ten_times_the_budget_goes_by_futures_whose_backing_may_refuse_for_a_while() {
        let budget = &Budget::set(256 << 10);
        let pages = 10 * budget.pages();
        let backing = Scripted::pages(pages);
        let before = backing.content();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let pager = runtime.block_on(AsyncPager::open(Remote(Shared(backing.clone())), 64)).unwrap();
        let mapped = &Mapped::new(&pager.vmo().unwrap());
        backing.changes_left.store(0, Ordering::SeqCst);
        thread::scope(|scope| {
            let storing = scope.spawn(|| store_under(budget, mapped));
            let refused = || pager.background_error().is_some_and(|error| error.kind() == ErrorKind::StorageFull);
            wait_until("an error", refused);
            assert!(!storing.is_finished(), "there is no room for all of it");
            backing.changes_left.store(i64::MAX, Ordering::SeqCst);
        });
        let content = expected(&before, pages, 2);
        is_there(mapped, &content);
        runtime.block_on(pager.writeback()).unwrap();
        assert!(backing.content() == content);
        assert!(budget.look().evicted > 8 * budget.bytes);
    }
}
