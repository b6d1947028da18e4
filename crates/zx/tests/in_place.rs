//! Pages that a function brings in the thread that needs them, and pages supplied from bytes, on real memory.

mod common;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{P, RW, Region, StopOnDrop, peek, poke};
use zx::{InPlace, Pager, PagerOp, PagerOptions, PagerWritebackBeginOptions, Status, Vmo, VmoOp, VmoOptions};
use zxvm as zx;

/// One of these takes whatever may go of the whole process, so each is alone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What every byte of a page is.
fn byte_of(page: u64) -> u8 {
    (page % 251) as u8 + 1
}

#[derive(Default)]
struct Backing {
    ahead: u64,
    reads: AtomicU64,
    refuses: AtomicBool,
    /// What was written back, by page.
    saved: Mutex<std::collections::HashMap<u64, u8>>,
}

struct Reader(Arc<Backing>);

impl InPlace for Reader {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status> {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        if self.0.refuses.load(Ordering::Relaxed) {
            return Err(Status::IO_DATA_INTEGRITY);
        }
        let saved = self.0.saved.lock().unwrap();
        for (page, bytes) in (offset / P as u64..).zip(to.chunks_mut(P)) {
            bytes.fill(saved.get(&page).copied().unwrap_or(byte_of(page)));
        }
        Ok(())
    }

    fn read_until(&self, range: Range<u64>) -> u64 {
        range.end + self.0.ahead * P as u64
    }
}

fn made(pages: u64, ahead: u64) -> (Pager, Vmo, Arc<Backing>) {
    let backing = Arc::new(Backing { ahead, ..Backing::default() });
    let pager = Pager::create(PagerOptions::empty()).unwrap();
    let vmo = pager.create_vmo_in_place(VmoOptions::empty(), pages * P as u64, Reader(backing.clone())).unwrap();
    (pager, vmo, backing)
}

#[test]
fn loads_stores_and_calls_bring_what_they_need() {
    let _alone = alone();
    let (_pager, vmo, backing) = made(100, 7);
    let region = Region::new(100);
    let at = region.map(0, &vmo, 0, 100, RW);
    assert_eq!(peek(at + 10 * P), byte_of(10));
    // What comes behind comes while this goes on already.
    let since = Instant::now();
    while vmo.info().unwrap().committed_bytes < 8 * P as u64 {
        assert!(since.elapsed() < Duration::from_secs(20), "nothing comes behind");
        std::thread::yield_now();
    }
    let reads = backing.reads.load(Ordering::Relaxed);
    assert!((11..18).all(|page| peek(at + page * P) == byte_of(page as u64)));
    assert_eq!(backing.reads.load(Ordering::Relaxed), reads);
    poke(at + 50 * P, 7);
    assert_eq!((peek(at + 50 * P), peek(at + 50 * P + 1)), (7, byte_of(50)));
    assert_eq!(vmo.read_to_array::<u8, 2>(99 * P as u64).unwrap(), [byte_of(99); 2]);
    vmo.op_range(VmoOp::COMMIT, 60 * P as u64, 20 * P as u64).unwrap();
    assert!((60..80).all(|page| peek(at + page * P) == byte_of(page as u64)));
}

#[test]
fn a_refusal_is_a_status_and_is_forgotten() {
    let _alone = alone();
    let (_pager, vmo, backing) = made(10, 2);
    let region = Region::new(10);
    let at = region.map(0, &vmo, 0, 10, RW);
    let mut byte = [0];
    backing.refuses.store(true, Ordering::Relaxed);
    // SAFETY: nobody writes there.
    let load = |byte: &mut [u8; 1]| unsafe { zx::try_read(at + 3 * P, byte) };
    assert_eq!(load(&mut byte), Err(Status::IO_DATA_INTEGRITY));
    assert_eq!(vmo.read_to_array::<u8, 1>(0), Err(Status::IO_DATA_INTEGRITY));
    backing.refuses.store(false, Ordering::Relaxed);
    assert_eq!(load(&mut byte), Ok(()));
    assert_eq!(byte, [byte_of(3)]);
}

#[test]
fn many_threads_want_the_same_pages_and_each_is_what_it_was_at_last() {
    let _alone = alone();
    const PAGES: u64 = 256;
    let (pager, vmo, backing) = made(PAGES, 3);
    let region = Region::new(PAGES as usize);
    let at = region.map(0, &vmo, 0, PAGES as usize, RW);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        // One that takes pages away, all the time, and one that saves what is dirty.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                zx::reclaim(PAGES * P as u64).unwrap();
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                save(&pager, &vmo, &backing, 0..PAGES);
            }
        });
        let threads: Vec<_> = (0..4_u64)
            .map(|thread| {
                let (pager, vmo, backing) = (&pager, &vmo, &backing);
                scope.spawn(move || {
                    let _ = (pager, vmo, backing);
                    let mut rng = 12345 + thread;
                    // The byte in this thread's own place of each page, as it wrote it last.
                    let mut last = vec![None; PAGES as usize];
                    for step in 0..3000_u64 {
                        rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let page = (rng >> 33) % PAGES;
                        // Pages are saved as one byte each, so one thread writes to a page and others read it.
                        let place = at + page as usize * P;
                        if page % 4 == thread && step % 3 == 0 {
                            let byte = (rng >> 20) as u8;
                            (0..P).step_by(512).for_each(|into| poke(place + into, byte));
                            last[page as usize] = Some(byte);
                        } else if page % 4 == thread {
                            let expected = last[page as usize].unwrap_or(byte_of(page));
                            assert_eq!(peek(place), expected, "page {page}");
                        } else {
                            peek(place);
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    zxvm_syscall::Kernel::current().unwrap().audit();
}

#[test]
fn a_vmo_may_go_while_pages_are_brought_ahead() {
    let _alone = alone();
    for _ in 0..300 {
        let (pager, vmo, _) = made(64, 16);
        let region = Region::new(64);
        let at = region.map(0, &vmo, 0, 64, RW);
        drop(vmo);
        assert_eq!(peek(at + 5 * P), byte_of(5));
        drop(region);
        drop(pager);
    }
}

/// Saves what is dirty: of each page its first byte, which is to be all of it.
fn save(pager: &Pager, vmo: &Vmo, backing: &Backing, pages: Range<u64>) {
    let bytes = pages.start * P as u64..pages.end * P as u64;
    for dirty in pager.query_dirty_ranges(vmo, bytes).unwrap() {
        let range = dirty.range.clone();
        pager.op_range(PagerOp::WritebackBegin(PagerWritebackBeginOptions::empty()), vmo, range.clone()).unwrap();
        for offset in range.clone().step_by(P) {
            let byte = vmo.read_to_array::<u8, 1>(offset).unwrap()[0];
            backing.saved.lock().unwrap().insert(offset / P as u64, byte);
        }
        pager.op_range(PagerOp::WritebackEnd, vmo, range).unwrap();
    }
}

#[test]
fn nobody_is_asked_before_pages_become_dirty_and_so_nobody_can_be_told_to() {
    let _alone = alone();
    let pager = Pager::create(PagerOptions::empty()).unwrap();
    let reader = || Reader(Arc::default());
    assert_eq!(pager.create_vmo_in_place(VmoOptions::TRAP_DIRTY, 1, reader()).unwrap_err(), Status::INVALID_ARGS);
    assert_eq!(pager.create_vmo_in_place(VmoOptions::empty(), u64::MAX, reader()).unwrap_err(), Status::OUT_OF_RANGE);
}

#[test]
fn bytes_are_supplied_where_nothing_is() {
    let _alone = alone();
    let pager = Pager::create(PagerOptions::empty()).unwrap();
    let port = zx::Port::create();
    let vmo = pager.create_vmo(VmoOptions::empty(), &port, 0, 40 * P as u64).unwrap();
    let bytes: Vec<u8> = (0..20 * P).map(|at| byte_of((at / P) as u64)).collect();
    pager.supply_bytes(&vmo, 4 * P as u64, &bytes[4 * P..8 * P]).unwrap();
    vmo.write(&[99], 5 * P as u64).unwrap();
    pager.supply_bytes(&vmo, 0, &bytes).unwrap();
    for page in 0..20 {
        let expected = if page == 5 { 99 } else { byte_of(page) };
        assert_eq!(vmo.read_to_array::<u8, 1>(page * P as u64), Ok([expected]));
    }
    assert_eq!(vmo.info().unwrap().committed_bytes, 20 * P as u64);
    assert_eq!(pager.supply_bytes(&vmo, 1, &bytes), Err(Status::INVALID_ARGS));
    assert_eq!(pager.supply_bytes(&vmo, 0, &bytes[..100]), Err(Status::INVALID_ARGS));
    assert_eq!(pager.supply_bytes(&vmo, 30 * P as u64, &bytes), Err(Status::OUT_OF_RANGE));
    assert_eq!(pager.supply_bytes(&Vmo::create(1).unwrap(), 0, &[]), Err(Status::INVALID_ARGS));
    pager.detach_vmo(&vmo).unwrap();
    assert_eq!(pager.supply_bytes(&vmo, 0, &bytes), Err(Status::BAD_STATE));
}
