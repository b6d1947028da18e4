//! What an [`AsyncPager`] does with futures: many at once, slow ones, failing and panicking ones, and a runtime that goes.
#![cfg(feature = "tokio")]

mod common;

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{P, Scripted, Shared, map, pattern, wait_until, word};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use zxvm::{Status, VmarFlags, VmoOp};
use zxvm_pagers::{AsyncBacking, AsyncPager, Backing};

/// Reads need a permit each.
struct Gated {
    inner: Shared,
    gate: Semaphore,
    waiting: AtomicU64,
    bad_page: AtomicU64,
    panics: bool,
}

#[derive(Clone)]
struct Gate(Arc<Gated>);

fn gated(pages: u64, permits: usize, panics: bool) -> Gate {
    let inner = Shared(Scripted::pages(pages));
    let (gate, waiting, bad_page) = (Semaphore::new(permits), AtomicU64::new(0), AtomicU64::new(u64::MAX));
    Gate(Arc::new(Gated { inner, gate, waiting, bad_page, panics }))
}

impl AsyncBacking for Gate {
    async fn len(&self) -> io::Result<u64> {
        self.0.inner.len()
    }

    async fn read_at(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        self.0.gate.acquire().await.unwrap().forget();
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        let bad = self.0.bad_page.load(Ordering::SeqCst);
        if (range.start / P..range.end / P).contains(&bad) {
            assert!(!self.0.panics, "a future that panics on purpose");
            return Err(ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let filled = self.0.inner.read_at(range.start, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn is_writable(&self) -> bool {
        true
    }

    async fn write_at(&self, offset: u64, data: Vec<u8>) -> io::Result<()> {
        tokio::task::yield_now().await;
        self.0.inner.write_at(offset, &data)
    }

    async fn sync(&self) -> io::Result<()> {
        self.0.inner.sync()
    }
}

const PLENTY: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reads_wait_at_once() {
    let backing = gated(500, 0, false);
    let pager = AsyncPager::open(backing.clone(), 1).await.unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|page| {
            let vmo = pager.vmo().unwrap();
            spawn_blocking(move || vmo.read_to_vec::<u8>(page * 3 * P, P).unwrap())
        })
        .collect();
    let waiting = backing.clone();
    spawn_blocking(move || wait_until("a hundred reads", || waiting.0.waiting.load(Ordering::SeqCst) == 100))
        .await
        .unwrap();
    backing.0.gate.add_permits(PLENTY);
    let content = pattern((500 * P) as usize);
    for (page, task) in tasks.into_iter().enumerate() {
        assert!(task.await.unwrap() == content[page * 3 * P as usize..][..P as usize]);
    }
    assert_eq!(pager.stats().reads, 100);
}

#[tokio::test]
async fn one_thread_of_the_runtime_is_enough() {
    let backing = gated(300, PLENTY, false);
    let pager = AsyncPager::open(backing, 64).await.unwrap();
    let vmo = pager.vmo().unwrap();
    let load = move || {
        let words = map(&vmo, VmarFlags::PERM_READ);
        let content = pattern((300 * P) as usize);
        (0..300).for_each(|page| assert_eq!(words.load(page * 512), word(&content, page as u64 * P)));
    };
    spawn_blocking(load).await.unwrap();
    assert!(pager.stats().reads < 30, "it reads ahead: {:?}", pager.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_panics_reach_who_asked_and_nobody_else() {
    for panics in [false, true] {
        let backing = gated(64, PLENTY, panics);
        let pager = AsyncPager::open(backing.clone(), 16).await.unwrap();
        backing.0.bad_page.store(6, Ordering::SeqCst);
        let vmo = pager.vmo().unwrap();
        let look = move || {
            let content = pattern((64 * P) as usize);
            for page in [0, 1, 3, 4, 5, 7] {
                let expected = &content[(page * P) as usize..][..P as usize];
                assert!(vmo.read_to_vec::<u8>(page * P, P).unwrap() == expected, "page {page}");
            }
            vmo.read_to_vec::<u8>(6 * P, P)
        };
        let status = if panics { Status::IO } else { Status::IO_DATA_INTEGRITY };
        assert_eq!(spawn_blocking(look).await.unwrap(), Err(status));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_writes_back_and_an_error_leaves_it_dirty() {
    let backing = gated(600, PLENTY, false);
    let pager = AsyncPager::open(backing.clone(), 16).await.unwrap();
    let vmo = pager.vmo().unwrap();
    let store = move || {
        vmo.write(b"first", 0).unwrap();
        vmo.write(&[9; 400 * P as usize], 100 * P).unwrap();
        vmo.op_range(VmoOp::ZERO, 550 * P, 10 * P).unwrap();
    };
    spawn_blocking(store).await.unwrap();
    let scripted = &backing.0.inner.0;
    scripted.changes_left.store(2, Ordering::SeqCst);
    assert_eq!(pager.writeback().await.unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(pager.dirty_bytes(), Ok(411 * P));
    scripted.changes_left.store(i64::MAX, Ordering::SeqCst);
    let written = pager.writeback().await.unwrap();
    assert_eq!((written.bytes, written.zero_bytes, written.ranges, written.syncs), (401 * P, 10 * P, 3, 1));
    assert_eq!(pager.dirty_bytes(), Ok(0));
    let mut expected = pattern((600 * P) as usize);
    expected[..5].copy_from_slice(b"first");
    expected[100 * P as usize..500 * P as usize].fill(9);
    expected[550 * P as usize..560 * P as usize].fill(0);
    assert!(scripted.content() == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_when_the_pager_goes_fails() {
    let backing = gated(8, 0, false);
    let pager = AsyncPager::open(backing.clone(), 1).await.unwrap();
    let vmo = pager.vmo().unwrap();
    let waiter = spawn_blocking(move || vmo.read_to_vec::<u8>(0, P));
    let waiting = backing.clone();
    spawn_blocking(move || wait_until("the read", || waiting.0.waiting.load(Ordering::SeqCst) == 1)).await.unwrap();
    drop(pager);
    assert_eq!(waiter.await.unwrap(), Err(Status::BAD_STATE));
    backing.0.gate.add_permits(1);
}

#[test]
fn a_runtime_that_ends_answers_with_an_error() {
    let backing = gated(8, 0, false);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let pager = runtime.block_on(AsyncPager::open(backing.clone(), 1)).unwrap();
    let vmo = pager.vmo().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| vmo.read_to_vec::<u8>(0, P));
        wait_until("the read", || backing.0.waiting.load(Ordering::SeqCst) == 1);
        runtime.shutdown_timeout(Duration::from_secs(5));
        let result = waiter.join().unwrap();
        assert!(matches!(result, Err(Status::BAD_STATE | Status::IO)), "{result:?}");
        // Those that come later have no runtime at all.
        assert_eq!(vmo.read_to_vec::<u8>(P, 8), Err(Status::BAD_STATE));
    });
}
