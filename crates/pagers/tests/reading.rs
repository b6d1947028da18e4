//! What a [`FilePager`] brings in: content, how much at once, and what becomes of requests that cannot be answered.

mod common;

use std::fs::File;
use std::io::{Cursor, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use common::*;
use zxvm::{Status, VmarFlags, VmoOp};
use zxvm_host::linux::ring::without_rings;
use zxvm_pagers::{Backing, DirectFile, FilePager, NoRing, PagerBuilder, RingFile, SeekReader};

fn one_thread() -> PagerBuilder {
    PagerBuilder::new().threads(1.try_into().unwrap())
}

/// Loads every word, and reads all; by threads of the pager, and in place.
fn reads_as(name: &str, backing: Arc<dyn Backing>, content: &[u8]) {
    reads_by(PagerBuilder::new(), name, backing.clone(), content);
    reads_by(PagerBuilder::new().in_place(), &format!("{name}, in place"), backing, content);
}

fn reads_by(builder: PagerBuilder, name: &str, backing: Arc<dyn Backing>, content: &[u8]) {
    let pager = builder.open(backing).unwrap();
    let vmo = pager.vmo().unwrap();
    let (len, size) = (content.len() as u64, (content.len() as u64).next_multiple_of(P));
    assert_eq!((pager.len(), vmo.get_size().unwrap()), (len, size), "{name}");
    let mut expected = content.to_vec();
    expected.resize(size as usize, 0);
    let words = map(&vmo, VmarFlags::PERM_READ);
    for at in (0..size).step_by(8) {
        assert_eq!(words.load(at as usize / 8), word(&expected, at), "{name}, {len} bytes, at {at}");
    }
    assert!(vmo.read_to_vec::<u8>(0, size).unwrap() == expected, "{name}, {len} bytes");
    let stats = pager.stats();
    assert!(stats.pages_asked + stats.pages_ahead >= size / P && stats.pages_asked <= size / P, "{name}: {stats:?}");
}

#[test]
fn a_file_reads_as_it_is_and_zero_to_the_end_of_its_last_page() {
    for len in [1, 4095, 4096, 4097, 1_000_000, 3 << 20] {
        let content = pattern(len);
        over_files(&content, |name, backing, _| reads_as(name, backing, &content));
    }
}

/// By calls, so that windows are as large as they may be at once.
#[test]
fn large_reads_end_where_the_file_does() {
    for len in [(2 << 20) - 1, 2 << 20, (2 << 20) + (256 << 10) + 513] {
        let content = pattern(len);
        over_files(&content, |name, backing, _| {
            let pager = FilePager::new(backing).unwrap();
            let vmo = pager.vmo().unwrap();
            vmo.op_range(VmoOp::COMMIT, 0, vmo.get_size().unwrap()).unwrap();
            assert!(vmo.read_to_vec::<u8>(0, len as u64).unwrap() == content, "{name}, {len} bytes");
            let past = vmo.read_to_vec::<u8>(len as u64, vmo.get_size().unwrap() - len as u64).unwrap();
            assert!(past.iter().all(|byte| *byte == 0), "{name}, {len} bytes");
        });
    }
}

#[test]
fn where_rings_are_refused_files_are_read_without() {
    let content = pattern(1_000_000);
    without_rings(|| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&content).unwrap();
        let by_ring = RingFile::new(file.reopen().unwrap());
        assert!(by_ring.why_not().is_some_and(NoRing::is_final), "{by_ring:?}");
        let direct = DirectFile::open(file.path(), true).unwrap();
        assert_eq!(direct.why_not(), by_ring.why_not());
        over_files(&content, |name, backing, _| reads_as(name, backing, &content));
    });
}

#[test]
fn in_place_pages_are_read_ahead_and_errors_are_told_and_not_remembered() {
    let backing = Scripted::pages(256);
    let pager = PagerBuilder::new().in_place().open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    let words = map(&vmo, VmarFlags::PERM_READ);
    for page in 0..32 {
        assert_eq!(words.load(page * 512), word(&backing.content(), page as u64 * P));
    }
    assert!(backing.reads().len() < 16, "{:?}", backing.reads());
    backing.set_mood(Mood::FailAt(255, ErrorKind::InvalidData));
    assert_eq!(vmo.read_to_vec::<u8>(255 * P, P), Err(Status::IO_DATA_INTEGRITY));
    backing.set_mood(Mood::Fine);
    assert_eq!(vmo.read_to_vec::<u8>(255 * P, P).unwrap(), backing.content()[255 * P as usize..]);
    assert!(pager.stats().failed > 0 && pager.stats().pages_ahead > 0);
}

#[test]
fn what_is_resized_or_limited_cannot_be_read_in_place() {
    for builder in [PagerBuilder::new().resizable(), PagerBuilder::new().dirty_limit(1 << 20)] {
        let error = builder.in_place().open(Shared(Scripted::pages(1))).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn an_empty_file_has_an_empty_vmo() {
    over_files(b"", |name, backing, _| {
        let pager = FilePager::new(backing).unwrap();
        assert!(pager.is_empty(), "{name}");
        assert_eq!(pager.vmo().unwrap().get_size(), Ok(0), "{name}");
        assert_eq!(pager.writeback().unwrap().bytes, 0, "{name}");
    });
}

#[test]
fn what_reads_and_seeks_will_do_and_cannot_be_written() {
    let content = pattern(50_000);
    let pager = FilePager::new(SeekReader::new(Cursor::new(content.clone()))).unwrap();
    let vmo = pager.vmo().unwrap();
    assert!(vmo.read_to_vec::<u8>(0, 50_000).unwrap() == content);
    assert_eq!(vmo.write(b"x", 0), Err(Status::ACCESS_DENIED));
    let root = zxvm::runtime::vmar_root_self();
    let writable = VmarFlags::PERM_READ | VmarFlags::PERM_WRITE;
    assert_eq!(root.map(0, &vmo, 0, 4096, writable), Err(Status::ACCESS_DENIED));
}

/// In order: reads of 1, 2, 4, 8, 16 pages, then 16. Anywhere else: a page.
#[test]
fn windows_grow_with_order_and_not_without() {
    let backing = Scripted::pages(2000);
    let builder = one_thread().read_ahead(16.try_into().unwrap());
    let pager = builder.open(Shared(backing.clone())).unwrap();
    let words = map(&pager.vmo().unwrap(), VmarFlags::PERM_READ);
    let content = backing.content();
    let load = |page: u64| assert_eq!(words.load(page as usize * 512), word(&content, page * P));
    (0..63).for_each(load);
    assert_eq!(
        backing.reads(),
        [pages(0, 1), pages(1, 2), pages(3, 4), pages(7, 8), pages(15, 16), pages(31, 16), pages(47, 16)]
    );
    let scattered = [1500, 300, 1200, 700, 1900, 150, 999];
    scattered.into_iter().for_each(load);
    assert_eq!(backing.reads(), scattered.map(|page| pages(page, 1)));
    load(63);
    assert_eq!(backing.reads(), [pages(63, 16)], "the first is still in order");
    load(1501);
    assert_eq!(backing.reads(), [pages(1501, 2)]);
    let stats = pager.stats();
    assert_eq!((stats.requests, stats.reads, stats.failed), (16, 16, 0));
    assert_eq!((stats.pages_asked, stats.pages_ahead), (16, 63 - 7 + 15 + 1));
}

#[test]
fn large_windows_are_followed_by_the_next_but_never_past_the_end() {
    let backing = Scripted::pages(500);
    let pager = one_thread().open(Shared(backing.clone())).unwrap();
    let words = map(&pager.vmo().unwrap(), VmarFlags::PERM_READ);
    let content = backing.content();
    (0..500).for_each(|page| assert_eq!(words.load(page * 512), word(&content, page as u64 * P)));
    // What is behind is read after whoever waits has gone on.
    wait_until("the end", || pager.stats().pages_asked + pager.stats().pages_ahead == 500);
    let reads = backing.reads();
    assert_eq!(
        reads[..7],
        [pages(0, 1), pages(1, 2), pages(3, 4), pages(7, 8), pages(15, 16), pages(31, 32), pages(63, 32)]
    );
    let mut next = 0;
    for read in &reads {
        assert_eq!(read.start, next, "each page once, in order: {reads:?}");
        next = read.end;
    }
    assert_eq!(next, 500 * P);
    assert!(reads.len() <= 12, "{reads:?}");
}

#[test]
fn a_call_over_many_pages_is_one_request() {
    let backing = Scripted::pages(1000);
    let pager = one_thread().open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    vmo.op_range(VmoOp::COMMIT, 0, 700 * P).unwrap();
    let reads = backing.reads();
    assert_eq!(reads, [pages(0, 512), pages(512, 188)], "as much as there is room for at once");
    assert_eq!(vmo.info().unwrap().committed_bytes, 700 * P);
    assert_eq!(pager.stats().requests, 1);
}

#[test]
fn sixteen_threads_on_the_same_pages_read_each_once() {
    let backing = Scripted::pages(400);
    backing.set_mood(Mood::Slow);
    let builder = PagerBuilder::new().threads(4.try_into().unwrap()).read_ahead(1.try_into().unwrap());
    let pager = builder.open(Shared(backing.clone())).unwrap();
    let words = map(&pager.vmo().unwrap(), VmarFlags::PERM_READ);
    let content = backing.content();
    thread::scope(|scope| {
        for thread in 0..16_u64 {
            let (words, content) = (&words, &content);
            scope.spawn(move || {
                for step in 0..100 {
                    // All go over the same pages, each in another order.
                    let page = (step * [1, 3, 7, 9][thread as usize % 4] + thread) % 100;
                    for at in [0, 511] {
                        assert_eq!(words.load(page as usize * 512 + at), word(content, page * P + at as u64 * 8));
                    }
                }
            });
        }
    });
    let mut reads = backing.reads();
    reads.sort_by_key(|read| read.start);
    assert_eq!(reads, (0..100).map(|page| pages(page, 1)).collect::<Vec<_>>());
}

#[test]
fn errors_are_told_with_the_nearest_status_and_not_remembered() {
    let backing = Scripted::pages(64);
    let pager = one_thread().open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    let cases = [
        (ErrorKind::StorageFull, Status::NO_SPACE),
        (ErrorKind::InvalidData, Status::IO_DATA_INTEGRITY),
        (ErrorKind::UnexpectedEof, Status::BUFFER_TOO_SMALL),
        (ErrorKind::BrokenPipe, Status::BAD_STATE),
        (ErrorKind::TimedOut, Status::IO),
    ];
    for (kind, status) in cases {
        backing.set_mood(Mood::FailAt(10, kind));
        assert_eq!(vmo.read_to_vec::<u8>(10 * P, 8), Err(status), "{kind}");
    }
    backing.set_mood(Mood::Fine);
    assert_eq!(vmo.read_to_vec::<u8>(10 * P, 8).unwrap(), backing.content()[10 * P as usize..][..8]);
    assert_eq!(pager.stats().failed, 5);
}

#[test]
fn a_panic_of_the_backing_is_an_error_and_the_thread_goes_on() {
    let backing = Scripted::pages(64);
    let pager = one_thread().open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    backing.set_mood(Mood::PanicAt(3));
    assert_eq!(vmo.read_to_vec::<u8>(3 * P, 8), Err(Status::IO));
    backing.set_mood(Mood::Fine);
    assert!(vmo.read_to_vec::<u8>(0, 64 * P).unwrap() == backing.content());
}

/// A bad page in what is read ahead is nobody's error.
#[test]
fn only_who_asks_for_a_bad_page_fails() {
    let backing = Scripted::pages(64);
    backing.set_mood(Mood::FailAt(6, ErrorKind::InvalidData));
    let pager = one_thread().open(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    let content = backing.content();
    // 3 is asked for with a window that takes 6 in.
    for page in [0, 1, 3, 4, 5] {
        let expected = &content[(page * P) as usize..][..P as usize];
        assert_eq!(vmo.read_to_vec::<u8>(page * P, P).unwrap(), expected, "page {page}");
    }
    assert_eq!(
        backing.reads(),
        [pages(0, 1), pages(1, 2), pages(3, 4), pages(3, 1), pages(4, 1), pages(5, 2), pages(5, 1)]
    );
    assert_eq!(vmo.read_to_vec::<u8>(6 * P, P), Err(Status::IO_DATA_INTEGRITY));
    assert_eq!(vmo.read_to_vec::<u8>(7 * P, P).unwrap(), content[7 * P as usize..][..P as usize]);
    // A long read has what comes before.
    let mut buffer = vec![0; 10 * P as usize];
    assert_eq!(vmo.read(&mut buffer, 0), Err(Status::IO_DATA_INTEGRITY));
    assert_eq!(buffer[..6 * P as usize], content[..6 * P as usize]);
}

#[test]
fn a_slow_page_keeps_nobody_else_waiting() {
    let backing = Scripted::pages(64);
    let pager = FilePager::new(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    backing.set_mood(Mood::Stuck);
    thread::scope(|scope| {
        let slow = scope.spawn(|| vmo.read_to_vec::<u8>(0, 8));
        wait_until("the first read", || backing.reading.load(Ordering::SeqCst) == 1);
        // Supplied by somebody else: any thread may.
        let other = scope.spawn(|| vmo.read_to_vec::<u8>(20 * P, 8));
        wait_until("the second read", || backing.reading.load(Ordering::SeqCst) == 2);
        assert!(!slow.is_finished() && !other.is_finished());
        backing.set_mood(Mood::Fine);
        assert!(slow.join().unwrap().is_ok() && other.join().unwrap().is_ok());
    });
}

#[test]
fn who_waits_when_the_pager_goes_fails_and_what_is_there_stays() {
    let backing = Scripted::pages(64);
    let pager = FilePager::new(Shared(backing.clone())).unwrap();
    let vmo = pager.vmo().unwrap();
    vmo.read_to_vec::<u8>(0, P).unwrap();
    backing.set_mood(Mood::Stuck);
    thread::scope(|scope| {
        let waiting: Vec<_> = (10..26)
            .map(|page| {
                scope.spawn({
                    let vmo = &vmo;
                    move || vmo.read_to_vec::<u8>(page * P, 8)
                })
            })
            .collect();
        wait_until("the reads", || backing.reading.load(Ordering::SeqCst) == 2);
        let dropped = scope.spawn(move || drop(pager));
        for waiter in waiting {
            assert_eq!(waiter.join().unwrap(), Err(Status::BAD_STATE), "though the reads still hang");
        }
        assert_eq!(backing.reading.load(Ordering::SeqCst), 2);
        backing.set_mood(Mood::Fine);
        dropped.join().unwrap();
    });
    assert_eq!(Arc::strong_count(&backing), 1, "nothing keeps the backing");
    assert_eq!(vmo.read_to_vec::<u8>(0, P).unwrap(), backing.content()[..P as usize]);
    assert_eq!(vmo.read_to_vec::<u8>(40 * P, 8), Err(Status::BAD_STATE));
}

#[test]
fn a_file_that_was_cut_reads_as_zero_where_it_was() {
    over_files(&pattern(10 * 4096), |name, backing, path| {
        let pager = FilePager::new(backing).unwrap();
        let vmo = pager.vmo().unwrap();
        File::options().write(true).open(path).unwrap().set_len(5000).unwrap();
        let mut expected = pattern(5000);
        expected.resize(10 * 4096, 0);
        assert!(vmo.read_to_vec::<u8>(0, 10 * P).unwrap() == expected, "{name}");
        assert_eq!(vmo.info().unwrap().committed_bytes, 2 * P, "{name}: zeros have no pages");
    });
}
