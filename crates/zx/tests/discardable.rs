//! Discardable VMOs: locked, unlocked, discarded, and locked again.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::family::{
    DISCARDABLE, PAGE, check_handle, content, empty, fill, lock, lock_into, op, snapshot, without, written,
};
use common::{P, RW, Region, StopOnDrop, peek, poke, try_peek, try_poke};
use zx::{Rights, Status, VmarFlags as F, VmarOp, Vmo, VmoInfoFlags, VmoOp, VmoOptions};
use zxvm as zx;

/// A discardable VMO of so many pages, all of them written.
fn discardable(pages: u64) -> Vmo {
    common::family::count_up(Vmo::create_with_opts(DISCARDABLE, pages * PAGE).unwrap())
}

/// The same, locked once and unlocked: it may be discarded.
fn may_go(pages: u64) -> Vmo {
    let vmo = discardable(pages);
    op(&vmo, VmoOp::TRY_LOCK, 0, pages).unwrap();
    op(&vmo, VmoOp::UNLOCK, 0, pages).unwrap();
    vmo
}

/// The same, discarded.
fn gone(pages: u64) -> Vmo {
    let vmo = may_go(pages);
    assert_eq!(vmo.discard(), Ok(true));
    vmo
}

fn committed(vmo: &Vmo) -> u64 {
    vmo.info().unwrap().committed_bytes / PAGE
}

#[test]
fn what_is_not_discardable_is_not_discarded() {
    check_handle(Vmo::discard);
    let plain = written(1);
    for vmo in [&plain, &snapshot(&plain)] {
        assert_eq!(vmo.discard(), Err(Status::NOT_SUPPORTED));
        assert_eq!(without(vmo, Rights::WRITE).discard(), Err(Status::ACCESS_DENIED), "the right comes first");
    }
    let vmo = may_go(1);
    assert_eq!(without(&vmo, Rights::WRITE).discard(), Err(Status::ACCESS_DENIED));
    assert_eq!(content(&vmo), [1]);
    assert_eq!(without(&vmo, Rights::READ).discard(), Ok(true));
}

#[test]
fn unlocked_and_not_discarded_is_ordinary_memory() {
    let region = Region::new(2);
    for vmo in [discardable(2), may_go(2)] {
        let at = region.vmar.map(0, &vmo, 0, 2 * P, RW | F::ALLOW_FAULTS).unwrap();
        assert_eq!((content(&vmo), committed(&vmo), peek(at + P)), (vec![1, 2], 2, 2));
        poke(at, 9);
        vmo.write(&[8; P], PAGE).unwrap();
        assert_eq!(vmo.read_to_array(0), Ok([9_u8, 1]));
        op(&vmo, VmoOp::DECOMMIT, 1, 1).unwrap();
        assert_eq!((committed(&vmo), peek(at + P)), (1, 0));
        op(&vmo, VmoOp::COMMIT, 0, 2).unwrap();
        op(&vmo, VmoOp::ZERO, 0, 1).unwrap();
        assert_eq!(content(&vmo), [0, 0]);
        assert!(vmo.info().unwrap().flags.contains(VmoInfoFlags::DISCARDABLE));
        // SAFETY: nothing refers to the mapping.
        unsafe { region.vmar.unmap(at, 2 * P) }.unwrap();
    }
}

#[test]
fn only_what_was_locked_once_and_is_not_now_can_go() {
    let vmo = discardable(2);
    assert_eq!((vmo.discard(), content(&vmo)), (Ok(false), vec![1, 2]), "never locked");
    for locked in 1..=3 {
        assert_eq!(op(&vmo, VmoOp::TRY_LOCK, 0, 2), Ok(()));
        assert_eq!((vmo.discard(), content(&vmo)), (Ok(false), vec![1, 2]), "locked {locked} times");
    }
    for left in (0..3).rev() {
        assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 2), Ok(()));
        let goes = vmo.discard();
        assert_eq!(goes, Ok(left == 0), "locked {left} times still");
    }
    assert_eq!((vmo.discard(), committed(&vmo)), (Ok(false), 0), "once");
    // Locked and unlocked again, it may go again, even if there is nothing in it.
    lock(&vmo).unwrap();
    assert_eq!(vmo.discard(), Ok(false));
    op(&vmo, VmoOp::UNLOCK, 0, 2).unwrap();
    assert_eq!((vmo.discard(), vmo.discard()), (Ok(true), Ok(false)));
}

#[test]
fn locks_are_of_all_of_it() {
    let vmo = discardable(2);
    for kind in [VmoOp::LOCK, VmoOp::TRY_LOCK, VmoOp::UNLOCK] {
        for (offset, size) in [(0, PAGE), (PAGE, PAGE), (0, 3 * PAGE), (0, 0), (1, 2 * PAGE), (0, 2 * PAGE - 1)] {
            assert_eq!(vmo.op_range(kind, offset, size), Err(Status::OUT_OF_RANGE), "{kind:?} {offset} {size}");
        }
        let neither = without(&vmo, Rights::IO);
        assert_eq!(neither.op_range(kind, 0, PAGE), Err(Status::ACCESS_DENIED), "the right comes first");
        // Either of both will do.
        for lacking in [Rights::READ, Rights::WRITE] {
            let expected = if kind == VmoOp::LOCK { Err(Status::INVALID_ARGS) } else { Ok(()) };
            assert_eq!(without(&vmo, lacking).op_range(kind, 0, 2 * PAGE), expected, "{kind:?}: LOCK wants its buffer");
        }
    }
    let empty = Vmo::create_with_opts(DISCARDABLE, 0).unwrap();
    assert_eq!((op(&empty, VmoOp::TRY_LOCK, 0, 0), op(&empty, VmoOp::UNLOCK, 0, 0)), (Ok(()), Ok(())));
}

#[test]
fn unlocking_what_is_not_locked() {
    let vmo = discardable(1);
    assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 1), Err(Status::BAD_STATE));
    let vmo = may_go(1);
    assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 1), Err(Status::BAD_STATE));
    let vmo = gone(1);
    assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 1), Err(Status::BAD_STATE));
}

#[test]
fn what_is_gone_is_not_there() {
    let vmo = gone(3);
    let mut byte = [7];
    assert_eq!(vmo.read(&mut byte, 0), Err(Status::NOT_FOUND));
    assert_eq!(vmo.write(&byte, 2 * PAGE), Err(Status::NOT_FOUND));
    assert_eq!(op(&vmo, VmoOp::COMMIT, 1, 1), Err(Status::NOT_FOUND));
    assert_eq!(vmo.op_range(VmoOp::ZERO, 10, 10), Err(Status::NOT_FOUND), "a part of a page");
    assert_eq!(op(&vmo, VmoOp::DECOMMIT, 0, 3), Ok(()), "there is nothing to give back");
    assert_eq!(byte, [7]);
    // Ranges are found out before, and nothing is always there.
    assert_eq!(vmo.read(&mut byte, 3 * PAGE), Err(Status::OUT_OF_RANGE));
    assert_eq!(vmo.write(&byte, 3 * PAGE), Err(Status::OUT_OF_RANGE));
    assert_eq!(op(&vmo, VmoOp::COMMIT, 3, 1), Err(Status::OUT_OF_RANGE));
    assert_eq!((vmo.read(&mut [], 0), vmo.write(&[], 3 * PAGE)), (Ok(()), Ok(())));
    // What is about the VMO and not its content goes on.
    assert_eq!((vmo.get_size(), vmo.get_stream_size(), committed(&vmo)), (Ok(3 * PAGE), Ok(3 * PAGE), 0));
    assert!(vmo.info().unwrap().flags.contains(VmoInfoFlags::DISCARDABLE));
}

#[test]
fn locking_tells_what_was_lost() {
    let vmo = discardable(3);
    let state = |vmo: &Vmo| {
        let state = lock(vmo).unwrap();
        assert_eq!((state.offset, state.size), (0, 3 * PAGE), "the arguments");
        (state.discarded_offset, state.discarded_size)
    };
    assert_eq!(state(&vmo), (0, 0));
    op(&vmo, VmoOp::UNLOCK, 0, 3).unwrap();
    assert_eq!(state(&vmo), (0, 0), "unlocked, but not discarded");
    op(&vmo, VmoOp::UNLOCK, 0, 3).unwrap();
    assert_eq!(content(&vmo), [1, 2, 3]);
    assert_eq!(vmo.discard(), Ok(true));
    assert_eq!(op(&vmo, VmoOp::TRY_LOCK, 0, 3), Err(Status::UNAVAILABLE));
    assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 3), Err(Status::BAD_STATE), "that was no lock");
    assert_eq!(state(&vmo), (0, 3 * PAGE), "all of it");
    // And it is memory again, zero.
    assert_eq!((content(&vmo), committed(&vmo)), (vec![0; 3], 0));
    fill(&vmo, 1, 9);
    assert_eq!(state(&vmo), (0, 0), "told once");
    assert_eq!((op(&vmo, VmoOp::TRY_LOCK, 0, 3), vmo.discard()), (Ok(()), Ok(false)));
    for _ in 0..3 {
        assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 3), Ok(()));
    }
    assert_eq!(content(&vmo), [0, 9, 0]);
    assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 3), Err(Status::BAD_STATE));
}

#[test]
fn a_lock_that_cannot_tell_is_none() {
    for vmo in [discardable(1), may_go(1), gone(1)] {
        for short in [0, 31] {
            assert_eq!(lock_into(&vmo, &mut vec![0; short]), Err(Status::INVALID_ARGS), "{short}");
            assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 1), Err(Status::BAD_STATE));
        }
        assert_eq!(lock_into(&vmo, &mut [0; 40]), Ok(()), "more than it needs is fine");
        assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 1), Ok(()));
    }
    assert_eq!(lock(&empty(1)).unwrap_err(), Status::NOT_SUPPORTED);
}

#[test]
fn mappings_of_what_is_gone_fault_until_it_is_locked() {
    let region = Region::new(6);
    let vmo = may_go(3);
    let flags = RW | F::SPECIFIC;
    assert_eq!(region.vmar.map(0, &vmo, 0, 3 * P, flags), Err(Status::NOT_SUPPORTED), "it must be able to fault");
    let at = region.vmar.map(0, &vmo, 0, 3 * P, flags | F::ALLOW_FAULTS).unwrap();
    let part = region.vmar.map(4 * P, &vmo, 2 * PAGE, P, F::PERM_READ | F::SPECIFIC | F::ALLOW_FAULTS).unwrap();
    assert_eq!([peek(at), peek(at + 2 * P), peek(part)], [1, 3, 3]);
    poke(at, 5);
    assert_eq!(vmo.discard(), Ok(true));
    for page in [at, at + P, at + 2 * P, part] {
        assert!(try_peek(page).is_err() && try_poke(page, 9).is_err());
    }
    assert!(region.vmar.op_range(VmarOp::COMMIT, at, P).is_err());
    // Made while it is gone, it faults as well.
    let late = region.vmar.map(3 * P, &vmo, 0, P, flags | F::ALLOW_FAULTS).unwrap();
    assert!(try_peek(late).is_err());
    lock(&vmo).unwrap();
    assert_eq!([at, at + P, at + 2 * P, part, late].map(peek), [0; 5]);
    poke(at + 2 * P, 7);
    poke(late, 6);
    assert_eq!([peek(part), peek(at)], [7, 6]);
    assert_eq!(vmo.read_to_object(2 * PAGE), Ok(7_u8));
    assert!(try_poke(part, 1).is_err(), "protected as before");
}

#[test]
fn resizable_and_discardable() {
    let vmo = Vmo::create_with_opts(DISCARDABLE | VmoOptions::RESIZABLE, PAGE).unwrap();
    vmo.set_size(3 * PAGE).unwrap();
    common::family::count_up(vmo.duplicate_handle(Rights::SAME_RIGHTS).unwrap());
    assert_eq!(op(&vmo, VmoOp::TRY_LOCK, 0, 1), Err(Status::OUT_OF_RANGE), "the size that it has now");
    op(&vmo, VmoOp::TRY_LOCK, 0, 3).unwrap();
    vmo.set_size(2 * PAGE).unwrap();
    assert_eq!(op(&vmo, VmoOp::UNLOCK, 0, 3), Err(Status::OUT_OF_RANGE));
    op(&vmo, VmoOp::UNLOCK, 0, 2).unwrap();
    assert_eq!((content(&vmo), vmo.discard()), (vec![1, 2], Ok(true)));
    let state = lock(&vmo).unwrap();
    assert_eq!((state.size, state.discarded_offset, state.discarded_size), (2 * PAGE, 0, 2 * PAGE));
    assert_eq!(content(&vmo), [0, 0]);
}

#[test]
fn discarding_against_users() {
    // A user locks, fills, checks and unlocks, over and over; another thread discards whenever it can. While it is
    // locked nothing is lost; when something was, the lock says so, and all of it is zero.
    let region = Region::new(4);
    let vmo = discardable(4);
    let at = region.vmar.map(0, &vmo, 0, 4 * P, RW | F::ALLOW_FAULTS).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let discarder = scope.spawn(|| {
            let mut discarded = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                discarded += u64::from(vmo.discard().unwrap());
                thread::yield_now();
            }
            discarded
        });
        let lost = {
            let _stop = StopOnDrop(&stop);
            let (mut lost, mut filled) = (0_u64, 0_u8);
            let mut round = 0_u32;
            while round < 2000 || (lost == 0 && round < 1_000_000) {
                let state = lock(&vmo).unwrap();
                let expected = if state.discarded_size == 0 { filled } else { 0 };
                lost += u64::from(state.discarded_size != 0);
                for page in 0..if round == 0 { 0 } else { 4 } {
                    assert_eq!([peek(at + page * P), peek(at + page * P + P - 1)], [expected; 2], "round {round}");
                }
                filled = round as u8 | 1;
                for page in 0..4 {
                    poke(at + page * P, filled);
                    poke(at + page * P + P - 1, filled);
                    assert_eq!(vmo.read_to_object((page * P) as u64), Ok(filled));
                }
                op(&vmo, VmoOp::UNLOCK, 0, 4).unwrap();
                round += 1;
                thread::yield_now();
            }
            lost
        };
        let discarded = discarder.join().unwrap();
        assert!(lost > 0, "the other thread had its chance");
        // The last time may have gone unnoticed.
        assert!(discarded == lost || discarded == lost + 1, "{discarded} {lost}");
    });
}
