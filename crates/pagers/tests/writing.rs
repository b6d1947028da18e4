//! What a [`FilePager`] writes back: in which order, when it counts, and what becomes of errors.

mod common;

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::*;
use zxvm::{Status, VmarFlags, VmoOp};
use zxvm_host::linux::ring::without_rings;
use zxvm_pagers::{Backing, FilePager, PagerBuilder, Written};

#[test]
fn a_file_has_what_was_written_and_only_that_is_written() {
    over_files(&pattern(100_000), |name, backing, path| {
        let mut expected = pattern(100_000);
        let pager = FilePager::new(backing).unwrap();
        let vmo = pager.vmo().unwrap();
        let words = map(&vmo, VmarFlags::PERM_READ | VmarFlags::PERM_WRITE);
        words.store(0, 0x0102_0304_0506_0708);
        expected[..8].copy_from_slice(&0x0102_0304_0506_0708_u64.to_ne_bytes());
        vmo.write(b"hello", 50_000).unwrap();
        expected[50_000..50_005].copy_from_slice(b"hello");
        vmo.write(b"the end, and past it", 99_990).unwrap();
        expected[99_990..].copy_from_slice(b"the end, a");
        assert_eq!(pager.dirty_bytes(), Ok(3 * P), "{name}");
        let written = pager.writeback().unwrap();
        let last = 100_000 - 99_990 / P * P;
        assert_eq!(written, Written { bytes: 2 * P + last, zero_bytes: 0, ranges: 3, syncs: 1 }, "{name}");
        assert_eq!(pager.dirty_bytes(), Ok(0), "{name}");
        assert_eq!(pager.writeback().unwrap(), Written::default(), "{name}: nothing is dirty");
        assert!(fs::read(path).unwrap() == expected, "{name}");
        // The next store is seen.
        words.store(0, 7);
        assert_eq!(pager.dirty_bytes(), Ok(P), "{name}");
    });
}

/// Every third page of some hundreds, so that batches are full, and pieces that fill more than one.
fn many_pages_go_to_their_places() {
    const COUNT: u64 = 1500;
    over_files(&pattern((COUNT * P) as usize), |name, backing, path| {
        let mut expected = pattern((COUNT * P) as usize);
        let pager = FilePager::new(backing).unwrap();
        let vmo = pager.vmo().unwrap();
        let mut write = |start: u64, count: u64| {
            let data: Vec<u8> = (0..count * P).map(|at| (start * 7 + at / 3) as u8).collect();
            vmo.write(&data, start * P).unwrap();
            expected[(start * P) as usize..][..data.len()].copy_from_slice(&data);
        };
        (0..900).step_by(3).for_each(|page| write(page, 1));
        write(1000, 400);
        write(COUNT - 1, 1);
        vmo.op_range(VmoOp::ZERO, 500 * P, 20 * P).unwrap();
        expected[500 * P as usize..520 * P as usize].fill(0);
        pager.writeback().unwrap();
        assert_eq!(pager.dirty_bytes(), Ok(0), "{name}");
        assert!(fs::read(path).unwrap() == expected, "{name}");
    });
}

#[test]
fn pages_that_are_written_together_go_to_their_places() {
    many_pages_go_to_their_places();
}

#[test]
fn so_they_do_where_rings_are_refused() {
    without_rings(many_pages_go_to_their_places);
}

/// Records what is written together; else as the one under it.
struct Together(Shared, Arc<Mutex<Vec<Vec<Range<u64>>>>>);

impl Backing for Together {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    /// The last first: no order is promised.
    fn write_many(&self, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        let ranges = pieces.iter().map(|(offset, data)| *offset..*offset + data.len() as u64).collect();
        self.1.lock().unwrap().push(ranges);
        pieces.iter().rev().try_for_each(|(offset, data)| self.0.write_at(*offset, data))
    }
}

#[test]
fn small_pieces_are_written_together_up_to_what_is_zero_and_no_more_than_so_much() {
    let (backing, together) = (Scripted::pages(2000), Arc::default());
    let pager = FilePager::new(Together(Shared(backing.clone()), Arc::clone(&together))).unwrap();
    let vmo = pager.vmo().unwrap();
    let write = |start: u64, count: u64| vmo.write(&vec![start as u8; (count * P) as usize], start * P).unwrap();
    for (start, count) in [(1, 1), (3, 2), (20, 1), (30, 1), (100, 100), (300, 100), (500, 100), (1000, 300)] {
        write(start, count);
    }
    vmo.op_range(VmoOp::ZERO, 10 * P, P).unwrap();
    backing.changes_left.store(1, Ordering::SeqCst);
    assert_eq!(pager.writeback().unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(pager.dirty_bytes(), Ok(606 * P), "none of those that were written together is clean");
    backing.changes_left.store(i64::MAX, Ordering::SeqCst);
    together.lock().unwrap().clear();
    assert_eq!(pager.writeback().unwrap().bytes, 605 * P);
    let expected = [
        vec![pages(1, 1), pages(3, 2)],
        vec![pages(20, 1), pages(30, 1), pages(100, 100), pages(300, 100)],
        // Each of the others is alone: 500, after which the next has no room, that one, which is full, and what is left of it.
    ];
    assert_eq!(*together.lock().unwrap(), expected);
    assert!(vmo.read_to_vec::<u8>(0, 2000 * P).unwrap() == backing.content());
}

#[test]
fn pages_go_in_ascending_order_and_are_clean_only_after_the_sync() {
    let backing = Scripted::pages(1000);
    let pager = FilePager::new(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    for page in [900, 3, 500, 4, 901] {
        vmo.write(&[page as u8; 10], page * P).unwrap();
    }
    vmo.op_range(VmoOp::ZERO, 100 * P, 300 * P).unwrap();
    backing.calls();
    backing.changes_left.store(4, Ordering::SeqCst);
    assert_eq!(pager.writeback().unwrap_err().kind(), ErrorKind::StorageFull);
    let order = [
        Call::Write(pages(3, 2)),
        Call::Zero(pages(100, 300)),
        Call::Write(pages(500, 1)),
        Call::Write(pages(900, 2)),
        Call::Sync,
    ];
    assert_eq!(backing.calls(), order);
    assert_eq!(pager.dirty_bytes(), Ok(305 * P), "the sync failed: nothing is clean");
    backing.changes_left.store(i64::MAX, Ordering::SeqCst);
    let written = pager.writeback().unwrap();
    assert_eq!(written, Written { bytes: 5 * P, zero_bytes: 300 * P, ranges: 4, syncs: 1 });
    assert_eq!(backing.calls(), order);
    assert_eq!(pager.dirty_bytes(), Ok(0));
    assert!(vmo.read_to_vec::<u8>(0, 1000 * P).unwrap() == backing.content());
}

#[test]
fn an_error_leaves_dirty_what_was_not_durable_before() {
    for good in 0..6 {
        let backing = Scripted::pages(64);
        let builder = PagerBuilder::new().sync_every((2 * P).try_into().unwrap());
        let pager = builder.open(Shared(backing.clone())).unwrap();
        let vmo = pager.vmo().unwrap();
        // Four pieces, a sync after two and after four: write, write, sync, write, write, sync.
        for page in [1, 11, 21, 31] {
            vmo.write(b"new", page * P).unwrap();
        }
        backing.changes_left.store(good, Ordering::SeqCst);
        assert_eq!(pager.writeback().unwrap_err().kind(), ErrorKind::StorageFull);
        let dirty = if good < 3 { 4 } else { 2 };
        assert_eq!(pager.dirty_bytes(), Ok(dirty * P), "after {good} good calls");
        backing.changes_left.store(i64::MAX, Ordering::SeqCst);
        assert_eq!(pager.writeback().unwrap().bytes, dirty * P);
        assert!(vmo.read_to_vec::<u8>(0, 64 * P).unwrap() == backing.content());
    }
}

#[test]
fn a_store_during_the_writeback_stays_dirty() {
    let backing = Scripted::pages(300);
    let pager = FilePager::new(Shared(backing.clone())).unwrap();
    let words = map(&pager.vmo().unwrap(), VmarFlags::PERM_READ | VmarFlags::PERM_WRITE);
    thread::scope(|scope| {
        let storing = scope.spawn(|| {
            for round in 1..=200_u64 {
                (0..300).for_each(|page| words.store(page * 512 + round as usize, round));
            }
        });
        while !storing.is_finished() {
            pager.writeback().unwrap();
        }
    });
    pager.writeback().unwrap();
    assert_eq!(pager.dirty_bytes(), Ok(0));
    let content = backing.content();
    for page in 0..300 {
        for round in 1..=200 {
            assert_eq!(word(&content, page * P + round * 8), round, "page {page}");
        }
    }
}

/// Pages that become clean and go must not come back older, whatever reads are under way.
#[test]
fn nothing_that_was_written_back_is_replaced_by_what_was_read_before() {
    let backing = Scripted::pages(8);
    let builder = PagerBuilder::new().threads(2.try_into().unwrap());
    let pager = builder.open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    backing.set_mood(Mood::Stuck);
    thread::scope(|scope| {
        // A read that has the old bytes and has not supplied them.
        let reader = scope.spawn(|| vmo.read_to_vec::<u8>(0, 4 * P));
        wait_until("the read", || backing.reading.load(Ordering::SeqCst) == 1);
        // Zeroing asks nobody, answers that request, and is written back; then the pages are absent.
        vmo.op_range(VmoOp::ZERO, 0, 4 * P).unwrap();
        assert!(reader.join().unwrap().unwrap().iter().all(|byte| *byte == 0));
        let writeback = scope.spawn(|| pager.writeback());
        wait_until("the write", || backing.calls().contains(&Call::Sync));
        thread::sleep(Duration::from_millis(50));
        assert!(!writeback.is_finished(), "it waits for the read");
        assert_eq!(pager.dirty_bytes(), Ok(4 * P));
        backing.set_mood(Mood::Fine);
        assert_eq!(writeback.join().unwrap().unwrap().zero_bytes, 4 * P);
    });
    assert!(vmo.read_to_vec::<u8>(0, 4 * P).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn who_makes_more_dirty_than_may_be_waits_for_a_writeback() {
    let backing = Scripted::pages(64);
    let pager = PagerBuilder::new().dirty_limit(8 * P).open(Shared(backing.clone())).unwrap();
    let words = map(&pager.vmo().unwrap(), VmarFlags::PERM_READ | VmarFlags::PERM_WRITE);
    for page in 0..64 {
        words.store(page * 512, page as u64);
        assert!(pager.dirty_bytes().unwrap() <= 8 * P);
    }
    let stats = pager.stats();
    assert_eq!((stats.pages_dirtied, stats.writebacks, stats.pages_written), (64, 7, 56));
    pager.writeback().unwrap();
    let content = backing.content();
    (0..64).for_each(|page| assert_eq!(word(&content, page * P), page));
}

#[test]
fn a_write_over_the_limit_fails_if_nothing_can_be_written_back() {
    let backing = Scripted::pages(64);
    let pager = PagerBuilder::new().dirty_limit(2 * P).open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    backing.changes_left.store(0, Ordering::SeqCst);
    vmo.write(b"one", 0).unwrap();
    vmo.write(b"two", P).unwrap();
    assert_eq!(vmo.write(b"three", 2 * P), Err(Status::NO_SPACE));
    assert_eq!(pager.background_error().unwrap().kind(), ErrorKind::StorageFull);
    assert!(pager.background_error().is_none(), "told once");
    assert_eq!(vmo.read_to_array::<u8, 3>(0).unwrap(), *b"one", "nothing is lost");
    backing.changes_left.store(i64::MAX, Ordering::SeqCst);
    vmo.write(b"three", 2 * P).unwrap();
    assert_eq!(&backing.content()[..3], b"one");
}

#[test]
fn in_the_background_it_is_written_and_errors_are_kept() {
    let backing = Scripted::pages(4);
    let pager = PagerBuilder::new().writeback_every(Duration::from_millis(5)).open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    vmo.write(b"first", 0).unwrap();
    wait_until("the write", || backing.content().starts_with(b"first"));
    backing.changes_left.store(0, Ordering::SeqCst);
    vmo.write(b"other", 0).unwrap();
    let mut error = None;
    wait_until("the error", || {
        error = pager.background_error();
        error.is_some()
    });
    assert_eq!(error.unwrap().kind(), ErrorKind::StorageFull);
    backing.changes_left.store(i64::MAX, Ordering::SeqCst);
    wait_until("the next try", || backing.content().starts_with(b"other"));
}

#[test]
fn closing_writes_back_and_gives_the_pager_again_if_it_cannot() {
    let backing = Scripted::pages(4);
    let pager = FilePager::new(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    vmo.write(b"kept", 0).unwrap();
    backing.changes_left.store(0, Ordering::SeqCst);
    let (error, pager) = pager.close().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    backing.changes_left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(pager.close().unwrap().bytes, P);
    assert!(backing.content().starts_with(b"kept"));
    assert_eq!(vmo.read_to_array::<u8, 4>(0).unwrap(), *b"kept", "what is there stays");
}

#[test]
fn the_backing_follows_the_length_at_the_next_writeback() {
    for trap in [false, true] {
        let backing = Scripted::new(10_000);
        let mut builder = PagerBuilder::new().resizable();
        if trap {
            builder = builder.dirty_limit(P);
        }
        let pager = builder.open(Shared(backing.clone())).unwrap();
        let vmo = pager.vmo().unwrap();
        assert_eq!(vmo.set_size(0), Err(Status::ACCESS_DENIED), "only by the pager");
        let mut expected = backing.content();
        for len in [20_001, 9000, 5000, 7000, 4096, 30_000, 1, 12_288] {
            // What is past the end in the last page is not content.
            let end = expected.len() as u64;
            if !end.is_multiple_of(P) {
                vmo.write(b"past the end"[..((P - end % P) as usize).min(12)].as_ref(), end).unwrap();
            }
            pager.set_len(len).unwrap();
            expected.resize(len as usize, 0);
            assert_eq!(pager.len(), len);
            assert!(vmo.read_to_vec::<u8>(0, len).unwrap() == expected, "{len}");
            if len != 5000 {
                pager.writeback().unwrap();
                assert!(backing.content() == expected, "{len}");
            }
            vmo.write(b"!", len / 2).unwrap();
            expected[len as usize / 2] = b'!';
        }
        drop(pager);
    }
    let pager = FilePager::new(Shared(Scripted::pages(1))).unwrap();
    assert_eq!(Status::from(pager.set_len(5).unwrap_err()), Status::UNAVAILABLE);
    assert_eq!(pager.len(), P);
}
