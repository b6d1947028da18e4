//! Batches against a file held in memory, refusals, and what is left behind. Where this machine allows no rings, that is
//! what is checked.

use super::*;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

/// A ring, or nothing where the kernel has none for anybody.
fn ring(depth: u32) -> Option<Ring> {
    match Ring::new(depth) {
        Ok(ring) => Some(ring),
        Err(why) => {
            assert!(why.is_final(), "{why}");
            None
        }
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 4096 * 31 + at / 5) as u8).collect()
}

fn file(content: &[u8]) -> File {
    let fd = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = File::from(fd);
    file.write_all(content).unwrap();
    file
}

fn content(file: &File) -> Vec<u8> {
    let mut all = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut all, 0).unwrap();
    all
}

/// Reads `len` bytes at each place in one batch, and checks them and how many there are.
#[track_caller]
fn reads_as(ring: &mut Ring, file: &File, content: &[u8], places: &[(u64, usize)]) {
    let mut buffers: Vec<Vec<u8>> = places.iter().map(|&(_, len)| vec![0xee; len]).collect();
    let mut batch: Vec<_> =
        places.iter().zip(&mut buffers).map(|(&(at, _), to)| Transfer::Read { file: file.as_fd(), at, to }).collect();
    let results = ring.run(&mut batch).unwrap();
    for ((&(at, len), buffer), result) in places.iter().zip(&buffers).zip(results) {
        let there = content.get(at as usize..).unwrap_or_default();
        let there = &there[..there.len().min(len)];
        assert_eq!(result.unwrap(), there.len(), "at {at}");
        assert!(buffer[..there.len()] == *there, "at {at}");
        assert!(buffer[there.len()..].iter().all(|byte| *byte == 0xee), "nothing past what was read, at {at}");
    }
}

#[test]
fn reads_are_as_long_as_the_file_is() {
    let Some(mut ring) = ring(8) else { return };
    let all = bytes(100_000);
    let file = file(&all);
    reads_as(&mut ring, &file, &all, &[(0, 10), (99_990, 10), (99_990, 4096), (100_000, 1), (200_000, 50), (7, 0)]);
    reads_as(&mut ring, &file, &all, &[(0, 1 << 20)]);
    reads_as(&mut ring, &file, &all, &[]);
}

#[test]
fn a_batch_may_be_longer_than_the_ring_is_deep() {
    for depth in [1, 2, 64] {
        let Some(mut ring) = ring(depth) else { return };
        let file = file(&[0; 600 * 100]);
        let expected = bytes(600 * 100);
        for _ in 0..3 {
            let pieces = expected.chunks(100).enumerate().rev();
            let at = |index: usize| index as u64 * 100;
            let mut batch: Vec<_> =
                pieces.map(|(index, from)| Transfer::Write { file: file.as_fd(), at: at(index), from }).collect();
            let results = ring.run(&mut batch).unwrap();
            assert!(results.into_iter().all(|result| result.unwrap() == 100));
            assert!(content(&file) == expected);
            let places: Vec<_> = (0..600).map(|index| (at(index), 100)).collect();
            reads_as(&mut ring, &file, &expected, &places);
        }
    }
}

#[test]
fn an_error_is_of_its_own_transfer() {
    let Some(mut ring) = ring(4) else { return };
    let good = file(&bytes(50));
    let closed_to_writes = File::open("/proc/self/exe").unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (mut first, mut second) = ([0; 10], [0; 10]);
    let mut batch = [
        Transfer::Read { file: good.as_fd(), at: 0, to: &mut first },
        Transfer::Write { file: closed_to_writes.as_fd(), at: 0, from: b"no" },
        Transfer::Write { file: full.as_fd(), at: 0, from: b"no" },
        Transfer::Read { file: good.as_fd(), at: u64::MAX, to: &mut second },
        Transfer::Write { file: good.as_fd(), at: i64::MAX as u64, from: b"no" },
        Transfer::Write { file: good.as_fd(), at: 50, from: b"more" },
    ];
    let codes = ring.run(&mut batch).unwrap().into_iter().map(|result| result.map_err(|error| error.raw_os_error()));
    let (bad, full, place) = (Err(Some(libc::EBADF)), Err(Some(libc::ENOSPC)), Err(Some(libc::EINVAL)));
    assert_eq!(codes.collect::<Vec<_>>(), [Ok(10), bad, full, place, place, Ok(4)]);
    assert_eq!(first, bytes(50)[..10]);
    assert_eq!(content(&good)[50..], *b"more");
}

/// A pipe moves what there is: the rest is asked for again, and the end is the end.
#[test]
fn what_comes_in_parts_is_put_together() {
    let Some(mut ring) = ring(4) else { return };
    let (reader, mut writer) = io::pipe().unwrap();
    let sent = bytes(300_000);
    let mut received = vec![0; 400_000];
    thread::scope(|scope| {
        scope.spawn(|| {
            for part in sent.chunks(7001) {
                writer.write_all(part).unwrap();
            }
            drop(writer);
        });
        let mut batch = [Transfer::Read { file: reader.as_fd(), at: 0, to: &mut received }];
        assert_eq!(ring.run(&mut batch).unwrap().remove(0).unwrap(), sent.len());
    });
    assert!(received[..sent.len()] == sent);
    drop(reader);
}

#[test]
fn results_that_mean_again_end_and_those_that_are_errors_count() {
    let mut buffer = [0; 100];
    let file = file(b"");
    let mut job = Job::new(&mut Transfer::Read { file: file.as_fd(), at: 4096, to: &mut buffer });
    assert!(job.goes_on(-libc::EINTR) && job.goes_on(60) && job.goes_on(-libc::EINTR));
    assert_eq!((job.entry().off, job.entry().len, job.entry().addr), (4096 + 60, 40, job.addr as u64 + 60));
    assert!(!job.goes_on(-libc::EINVAL), "no going on from there");
    assert_eq!((job.done, job.error.is_none()), (60, true));
    let mut job = Job::new(&mut Transfer::Write { file: file.as_fd(), at: 0, from: b"12345" });
    assert!(job.goes_on(2) && !job.goes_on(0));
    assert_eq!(job.error.unwrap().kind(), ErrorKind::WriteZero);
    let mut job = Job::new(&mut Transfer::Write { file: file.as_fd(), at: 0, from: b"12345" });
    let again = (0..).take_while(|_| job.goes_on(-libc::EAGAIN)).count();
    assert_eq!((again, job.error.unwrap().raw_os_error()), (TRIES as usize, Some(libc::EAGAIN)));
}

#[test]
fn threads_have_rings_of_their_own_or_one_behind_a_lock() {
    let Some(shared) = ring(8) else { return };
    let shared = Mutex::new(shared);
    let all = bytes(1 << 20);
    let file = file(&all);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (shared, all, file) = (&shared, &all, &file);
            scope.spawn(move || {
                let mut own = ring(16).unwrap();
                for round in 0..50 {
                    let at = |step: u64| (step * 40_503 + round * 977 + thread * 131) % (1 << 20);
                    let places: Vec<_> = (0..40).map(|step| (at(step), 3000)).collect();
                    reads_as(&mut own, file, all, &places);
                    reads_as(&mut shared.lock().unwrap(), file, all, &places);
                }
            });
        }
    });
}

#[test]
fn who_is_refused_is_told_why_and_nobody_else_is() {
    let before = ring(2);
    let why = without_rings(|| Ring::new(2)).unwrap_err();
    if before.is_some() {
        assert_eq!(why, NoRing::Forbidden);
    }
    assert!(why.is_final(), "{why}");
    assert_eq!(ring(2).is_some(), before.is_some(), "another thread");
    for (errno, why) in [
        (Errno::NOSYS, NoRing::Absent),
        (Errno::INVAL, NoRing::TooOld),
        (Errno::NOMEM, NoRing::NoMemory),
        (Errno::MFILE, NoRing::NoDescriptors),
        (Errno::IO, NoRing::Other(libc::EIO)),
    ] {
        assert_eq!(NoRing::of(errno), why);
    }
}

/// The filter came after the ring.
#[test]
fn a_ring_that_may_not_be_used_any_more_says_so_and_leaves_nothing_under_way() {
    let Some(mut ring) = ring(4) else { return };
    let file = file(&[0; 100]);
    let mut buffer = [0xee; 100];
    let why = without_rings(|| {
        let mut batch = [
            Transfer::Read { file: file.as_fd(), at: 0, to: &mut buffer },
            Transfer::Write { file: file.as_fd(), at: 0, from: b"x" },
        ];
        ring.run(&mut batch).unwrap_err()
    });
    assert_eq!(why, NoRing::Forbidden);
    assert_eq!((ring.queues.open(), ring.queues.in_flight()), (0, 0));
    assert_eq!(buffer, [0xee; 100]);
    reads_as(&mut ring, &file, &[0; 100], &[(0, 100)]);
}

#[test]
fn a_child_is_refused_and_the_parent_goes_on() {
    let Some(mut ring) = ring(4) else { return };
    let file = file(&bytes(100));
    // SAFETY: the child makes a few calls that need no other thread, and ends without coming back here.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let mut buffer = [0; 10];
        let refused = ring.run(&mut [Transfer::Read { file: file.as_fd(), at: 0, to: &mut buffer }]);
        let is_right = refused.is_err_and(|why| why == NoRing::Forked);
        drop(ring);
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!is_right)) };
    }
    let mut status = -1;
    // SAFETY: writes one number, which is ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    reads_as(&mut ring, &file, &bytes(100), &[(0, 100), (50, 100)]);
}

#[test]
fn rings_give_back_what_they_took() {
    if ring(1).is_none() {
        return;
    }
    let rings: Vec<_> = (0..400).map(|_| Ring::new(4).unwrap().queues.places()).collect();
    // Others run beside this, so it may not be the same all the time.
    let addresses: BTreeSet<_> = rings.iter().map(|ring| ring.0).collect();
    let descriptors: BTreeSet<_> = rings.iter().map(|ring| ring.1).collect();
    assert!(addresses.len() < 300 && descriptors.len() < 300, "{addresses:?} {descriptors:?}");
}
