//! What is dirty, what is being saved and what is clean: every state and what changes it, with and without asking before
//! pages become dirty; and what pagers can find out.

mod common;

use std::sync::Arc;

use common::family::{PAGE, empty, without, wrong_handle};
use common::pager::{
    BEGIN, BEGIN_ZEROS, FREE, NEW, TRAP, TestPager, byte_of, committed, op, read_page, read_pages, task, with,
    write_pages,
};
use common::{P, RW, Region, peek, poke};
use zx::{
    Event, NullableHandle, Pager, PagerOp, PagerOptions, PagerVmoStatsOptions, Rights, Status, VmarFlags as F, VmarOp,
    Vmo, VmoChildOptions, VmoOp, VmoOptions,
};
use zxvm as zx;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::UserSlice;

const RESIZABLE: VmoOptions = VmoOptions::RESIZABLE;

/// A VMO of one page in each state: clean, clean and zero, being saved, dirty, dirty and zero; and one that is absent.
fn every_state(pager: &TestPager, options: VmoOptions) -> Arc<Vmo> {
    let vmo = pager.vmo(options, 6);
    pager.supply(&vmo, 0..1);
    pager.supply_zeros(&vmo, 1..2);
    pager.supply(&vmo, 2..4);
    make_dirty(pager, &vmo, 2);
    pager.begin(&vmo, 2..3);
    make_dirty(pager, &vmo, 3);
    op(&vmo, VmoOp::ZERO, 4..5).unwrap();
    assert!(pager.forget_modified(&vmo));
    pager.expect_nothing();
    vmo
}

const CLEAN: u64 = 0;
const CLEAN_ZERO: u64 = 1;
const AWAITING: u64 = 2;
const DIRTY: u64 = 3;
const DIRTY_ZERO: u64 = 4;
const ABSENT: u64 = 5;

/// Writes to a page that is there.
fn make_dirty(pager: &TestPager, vmo: &Arc<Vmo>, page: u64) {
    let allowed = pager.op(PagerOp::Dirty, vmo, page..page + 1);
    assert!(matches!(allowed, Ok(()) | Err(Status::NOT_SUPPORTED)), "{allowed:?}");
    write_pages(vmo, page..page + 1).unwrap();
}

/// What it holds of pages that need no request.
fn seen(vmo: &Vmo) -> Vec<u8> {
    read_pages(vmo, 0..5).unwrap()
}

// ---- The table of states ----

#[test]
fn states_are_told_apart() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = every_state(&pager, options);
        assert_eq!(pager.dirty_pages(&vmo), (vec![AWAITING, DIRTY], vec![DIRTY_ZERO]));
        assert_eq!((committed(&vmo), seen(&vmo)), (3, vec![byte_of(0), 0, NEW, NEW, 0]));
        assert_eq!(committed(&vmo), 3, "reading brings nothing");
    }
}

#[test]
fn a_write_makes_dirty() {
    for page in [CLEAN, CLEAN_ZERO, AWAITING, DIRTY, DIRTY_ZERO, ABSENT] {
        for options in [FREE, TRAP] {
            let pager = TestPager::new();
            let vmo = every_state(&pager, options);
            let write = with(&vmo, move |vmo| vmo.write(&[0x33], page * PAGE + 1));
            if page == ABSENT {
                pager.expect_read(page..page + 1);
                pager.supply(&vmo, page..page + 1);
            }
            if options == TRAP && page != DIRTY {
                pager.expect_dirty(page..page + 1);
                write.waits();
                let before = pager.dirty_pages(&vmo);
                assert_eq!(before, (vec![AWAITING, DIRTY], vec![DIRTY_ZERO]), "not yet");
                pager.dirty(&vmo, page..page + 1);
            }
            assert_eq!(write.end(), Ok(()));
            let (real, zero) = pager.dirty_pages(&vmo);
            assert!(real.contains(&page) && !zero.contains(&page), "{page}: {real:?} {zero:?}");
            assert_eq!(vmo.read_to_object::<u8>(page * PAGE + 1), Ok(0x33));
            assert!(pager.modified(&vmo));
            // What was written after the begin is not clean at the end.
            pager.end(&vmo, 0..6);
            assert!(pager.dirty_pages(&vmo).0.contains(&page));
            pager.expect_nothing();
        }
    }
}

#[test]
fn a_store_makes_dirty() {
    for page in [CLEAN, CLEAN_ZERO, AWAITING, DIRTY, DIRTY_ZERO] {
        for options in [FREE, TRAP] {
            for loaded in [false, true] {
                let (pager, region) = (TestPager::new(), Region::new(6));
                let vmo = every_state(&pager, options);
                let at = region.map(0, &vmo, 0, 6, RW) + page as usize * P;
                if loaded {
                    peek(at);
                }
                let store = task(move || poke(at + 1, 0x33));
                if options == TRAP && page != DIRTY {
                    pager.expect_dirty(page..page + 1);
                    store.waits();
                    pager.dirty(&vmo, page..page + 1);
                }
                store.end();
                let (real, zero) = pager.dirty_pages(&vmo);
                assert!(real.contains(&page) && !zero.contains(&page), "{page}: {real:?} {zero:?}");
                pager.end(&vmo, 0..6);
                assert!(pager.dirty_pages(&vmo).0.contains(&page));
                assert_eq!(vmo.read_to_object::<u8>(page * PAGE + 1), Ok(0x33));
                pager.expect_nothing();
            }
        }
    }
}

#[test]
fn a_commit_gives_zeros_pages_and_makes_nothing_dirty() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = every_state(&pager, options);
        let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..5));
        if options == TRAP {
            pager.expect_dirty(DIRTY_ZERO..DIRTY_ZERO + 1);
            commit.waits();
            pager.dirty(&vmo, DIRTY_ZERO..DIRTY_ZERO + 1);
        }
        assert_eq!(commit.end(), Ok(()));
        assert_eq!(committed(&vmo), 5);
        assert_eq!(pager.dirty_pages(&vmo), (vec![AWAITING, DIRTY, DIRTY_ZERO], vec![]));
        assert_eq!(seen(&vmo), [byte_of(0), 0, NEW, NEW, 0]);
        assert!(!pager.modified(&vmo));
        // It does not undo the begin.
        pager.end(&vmo, 0..6);
        assert_eq!(pager.dirty_pages(&vmo), (vec![DIRTY, DIRTY_ZERO], vec![]));
        pager.expect_nothing();
    }
}

#[test]
fn zeroing_whole_pages_asks_nobody() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = every_state(&pager, options);
        assert_eq!(op(&vmo, VmoOp::ZERO, 0..6), Ok(()));
        pager.expect_nothing();
        assert_eq!(pager.all_dirty(&vmo), [(0..1, true), (2..6, true)], "what is clean and zero stays so");
        assert_eq!((read_pages(&vmo, 0..6), committed(&vmo)), (Ok(vec![0; 6]), 0));
        assert!(pager.modified(&vmo));
    }
}

#[test]
fn what_grows_is_zero_and_dirty() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let vmo = pager.vmo(TRAP | RESIZABLE, 1);
    let at = region.map(0, &vmo, 0, 4, RW | F::ALLOW_FAULTS);
    vmo.set_size(3 * PAGE).unwrap();
    assert_eq!(pager.all_dirty(&vmo), [(1..3, true)]);
    assert_eq!([read_page(&vmo, 2), Ok(peek(at + P))], [Ok(0), Ok(0)]);
    assert_eq!(committed(&vmo), 0);
    vmo.set_size(2 * PAGE).unwrap();
    assert_eq!(pager.all_dirty(&vmo), [(1..2, true)]);
    let store = task(move || poke(at + P, NEW));
    pager.expect_dirty(1..2);
    pager.dirty(&vmo, 1..2);
    store.end();
    assert_eq!((pager.all_dirty(&vmo), committed(&vmo)), (vec![(1..2, false)], 1));
    pager.expect_nothing();
}

// ---- OP_DIRTY ----

#[test]
fn errors_of_operations_come_in_order() {
    let pager = TestPager::new();
    let vmo = pager.full(TRAP, 2);
    let (no_pager, wrong_pager): (Pager, Pager) =
        (NullableHandle::invalid().into(), Event::create().into_handle().into());
    let weak_pager = Pager::create(PagerOptions::empty()).unwrap();
    let weak_pager = weak_pager.replace_handle(Rights::INSPECT | Rights::ATTACH_VMO).unwrap();
    let no_vmo: Vmo = NullableHandle::invalid().into();
    let stranger = TestPager::new().vmo(TRAP, 2);
    let bad_status = PagerOp::Fail(Status::NO_MEMORY);
    let bad_options = PagerOp::WritebackBegin(zx::PagerWritebackBeginOptions::from_bits_retain(2));
    for op in [bad_status, PagerOp::Dirty, BEGIN, BEGIN_ZEROS, bad_options, PagerOp::WritebackEnd] {
        for range in [1..PAGE + 1, 0..PAGE + 1] {
            assert_eq!(no_pager.op_range(op, &no_vmo, range), Err(Status::INVALID_ARGS));
        }
        for (pager, status) in
            [(&no_pager, Status::BAD_HANDLE), (&wrong_pager, Status::WRONG_TYPE), (&weak_pager, Status::ACCESS_DENIED)]
        {
            assert_eq!(pager.op_range(op, &no_vmo, 0..9 * PAGE), Err(status));
        }
        for (vmo, status) in [
            (&no_vmo, Status::BAD_HANDLE),
            (&wrong_handle(), Status::WRONG_TYPE),
            (&without(&vmo, Rights::WRITE), Status::ACCESS_DENIED),
            (&*stranger, Status::INVALID_ARGS),
            (&empty(1), Status::INVALID_ARGS),
        ] {
            assert_eq!(pager.pager.op_range(op, vmo, 0..9 * PAGE), Err(status));
        }
    }
    // The data comes before the range.
    for op in [bad_status, bad_options, PagerOp::Fail(Status::OK), PagerOp::Fail(Status::TIMED_OUT)] {
        assert_eq!(pager.op(op, &vmo, 0..9), Err(Status::INVALID_ARGS), "{op:?}");
    }
    for op in [PagerOp::Fail(Status::IO), PagerOp::Dirty, BEGIN, BEGIN_ZEROS, PagerOp::WritebackEnd] {
        for range in [0..3, 1..3, 2..3, 3..4] {
            assert_eq!(pager.op(op, &vmo, range.clone()), Err(Status::OUT_OF_RANGE), "{op:?} {range:?}");
        }
        assert_eq!(pager.op(op, &vmo, 2..2), Ok(()), "nothing, at the end: {op:?}");
    }
    // What the safe interface does not pass.
    let raw = |op, data| {
        let (pager, vmo) = (pager.pager.raw_handle(), vmo.raw_handle());
        Kernel::current().unwrap().pager_op_range(pager, op, vmo, 0, PAGE, data)
    };
    for op in [zx::sys::ZX_PAGER_OP_DIRTY, zx::sys::ZX_PAGER_OP_WRITEBACK_END] {
        assert_eq!(raw(op, 1), Err(Status::INVALID_ARGS));
    }
    for op in [0, 5, u32::MAX] {
        assert_eq!(raw(op, 0), Err(Status::NOT_SUPPORTED));
    }
    assert_eq!(
        raw(zx::sys::ZX_PAGER_OP_FAIL, u64::from(Status::IO.into_raw().cast_unsigned())),
        Err(Status::INVALID_ARGS)
    );
    let free = pager.full(FREE, 1);
    assert_eq!(pager.op(PagerOp::Dirty, &free, 0..9), Err(Status::NOT_SUPPORTED), "before the range");
    assert_eq!((pager.all_dirty(&vmo), pager.all_dirty(&free)), (vec![], vec![]));
    pager.expect_nothing();
}

#[test]
fn dirtying_is_all_or_nothing() {
    let pager = TestPager::new();
    let vmo = every_state(&pager, TRAP);
    let before = (pager.all_dirty(&vmo), committed(&vmo));
    for range in [0..6, 5..6, 4..6] {
        assert_eq!(pager.op(PagerOp::Dirty, &vmo, range), Err(Status::NOT_FOUND));
    }
    assert_eq!(pager.op(PagerOp::Dirty, &vmo, 0..7), Err(Status::OUT_OF_RANGE));
    assert_eq!((pager.all_dirty(&vmo), committed(&vmo)), before);
    pager.dirty(&vmo, 0..5);
    assert_eq!(pager.dirty_pages(&vmo), (vec![0, 1, 2, 3, 4], vec![]), "zeros get pages");
    assert_eq!((committed(&vmo), seen(&vmo)), (5, vec![byte_of(0), 0, NEW, NEW, 0]));
    assert!(!pager.modified(&vmo), "in advance");
    pager.end(&vmo, 0..6);
    assert_eq!(pager.dirty_pages(&vmo).0.len(), 5, "what was being saved is dirty again");
    write_pages(&vmo, 0..5).unwrap();
    assert!(pager.modified(&vmo));
    pager.expect_nothing();
}

#[test]
fn who_waits_to_dirty_looks_again_when_that_is_refused() {
    let pager = TestPager::new();
    let vmo = pager.vmo(TRAP, 3);
    pager.supply(&vmo, 0..1);
    let write = with(&vmo, |vmo| write_pages(vmo, 0..1));
    pager.expect_dirty(0..1);
    for (range, status) in [(0..2, Status::NOT_FOUND), (0..9, Status::OUT_OF_RANGE)] {
        assert_eq!(pager.op(PagerOp::Dirty, &vmo, range), Err(status));
        pager.expect_dirty(0..1);
        write.waits();
        assert_eq!(pager.all_dirty(&vmo), []);
    }
    pager.dirty(&vmo, 0..1);
    assert_eq!(write.end(), Ok(()));
    pager.expect_nothing();
}

// ---- Writeback ----

#[test]
fn what_is_saved_is_clean() {
    for options in [FREE, TRAP] {
        let (pager, region) = (TestPager::new(), Region::new(6));
        let vmo = every_state(&pager, options);
        let at = region.map(0, &vmo, 0, 6, RW);
        assert_eq!(peek(at + DIRTY as usize * P), NEW);
        poke(at + DIRTY as usize * P, 0x34);
        pager.begin(&vmo, 0..6);
        assert_eq!(pager.dirty_pages(&vmo), (vec![AWAITING, DIRTY], vec![DIRTY_ZERO]), "until the end");
        pager.end(&vmo, 0..6);
        assert_eq!(pager.all_dirty(&vmo), []);
        assert_eq!((committed(&vmo), vmo.read_to_object::<u8>(DIRTY * PAGE)), (3, Ok(0x34)));
        // Zeros that were saved are the pager's again.
        let read = with(&vmo, |vmo| read_page(vmo, DIRTY_ZERO));
        pager.expect_read(DIRTY_ZERO..DIRTY_ZERO + 1);
        pager.supply(&vmo, DIRTY_ZERO..DIRTY_ZERO + 1);
        assert_eq!(read.end(), Ok(byte_of(DIRTY_ZERO)));
        pager.expect_nothing();
    }
}

#[test]
fn an_end_without_a_begin_does_nothing() {
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 3);
    write_pages(&vmo, 0..2).unwrap();
    op(&vmo, VmoOp::ZERO, 2..3).unwrap();
    pager.end(&vmo, 0..3);
    assert_eq!(pager.all_dirty(&vmo), [(0..2, false), (2..3, true)]);
    // One begin, an end for each piece, in any order; and the reverse.
    pager.begin(&vmo, 0..3);
    pager.end(&vmo, 1..2);
    assert_eq!(pager.all_dirty(&vmo), [(0..1, false), (2..3, true)]);
    pager.end(&vmo, 0..1);
    pager.end(&vmo, 2..3);
    assert_eq!(pager.all_dirty(&vmo), []);
    write_pages(&vmo, 0..2).unwrap();
    pager.begin(&vmo, 1..2);
    pager.begin(&vmo, 0..1);
    pager.end(&vmo, 0..3);
    assert_eq!(pager.all_dirty(&vmo), []);
}

#[test]
fn a_begin_of_zeros_leaves_pages() {
    let pager = TestPager::new();
    let vmo = every_state(&pager, FREE);
    pager.end(&vmo, 0..6);
    pager.begin_zeros(&vmo, 0..6);
    pager.end(&vmo, 0..6);
    assert_eq!(pager.dirty_pages(&vmo), (vec![DIRTY], vec![]));
}

#[test]
fn ranges_are_judged_by_the_size_of_the_moment() {
    let pager = TestPager::new();
    let vmo = pager.full(RESIZABLE, 3);
    write_pages(&vmo, 0..3).unwrap();
    pager.begin(&vmo, 0..3);
    vmo.set_size(2 * PAGE).unwrap();
    assert_eq!(pager.op(PagerOp::WritebackEnd, &vmo, 0..3), Err(Status::OUT_OF_RANGE));
    assert_eq!(pager.all_dirty(&vmo), [(0..2, false)]);
    pager.end(&vmo, 0..2);
    assert_eq!(pager.all_dirty(&vmo), []);
}

#[test]
fn a_store_after_the_begin_is_seen_through_every_mapping() {
    for options in [FREE, TRAP] {
        let (pager, region) = (TestPager::new(), Region::new(8));
        let vmo = pager.full(options, 4);
        let (one, other) = (region.map(0, &vmo, 0, 4, RW), region.map(4, &vmo, 0, 4, RW));
        if options == TRAP {
            pager.dirty(&vmo, 0..4);
        }
        for page in 0..4 {
            poke(one + page * P, 1);
            poke(other + page * P + 1, 1);
        }
        pager.begin(&vmo, 0..4);
        let store = task(move || {
            poke(one, 2);
            poke(other + P, 2);
        });
        if options == TRAP {
            pager.expect_dirty(0..1);
            pager.dirty(&vmo, 0..1);
            pager.expect_dirty(1..2);
            pager.dirty(&vmo, 1..2);
        }
        store.end();
        pager.end(&vmo, 0..4);
        assert_eq!(pager.all_dirty(&vmo), [(0..2, false)]);
        pager.expect_nothing();
    }
}

#[test]
fn translations_made_ahead_do_not_let_a_store_by() {
    for options in [FREE, TRAP] {
        let (pager, region) = (TestPager::new(), Region::new(8));
        let vmo = pager.full(options, 3);
        let at = region.map(0, &vmo, 0, 3, RW | F::MAP_RANGE);
        for ahead in [VmarOp::MAP_RANGE, VmarOp::COMMIT, VmarOp::PREFETCH, VmarOp::ALWAYS_NEED] {
            assert_eq!(region.vmar.op_range(ahead, at, 3 * P), Ok(()));
            assert_eq!(pager.all_dirty(&vmo), [], "{ahead:?}");
            let store = task(move || poke(at + P, 2));
            if options == TRAP {
                pager.expect_dirty(1..2);
                pager.dirty(&vmo, 1..2);
            }
            store.end();
            assert_eq!(pager.all_dirty(&vmo), [(1..2, false)], "{ahead:?}");
            pager.write_back(&vmo, 0..3);
        }
        pager.expect_nothing();
    }
}

// ---- Zeros that are being saved ----

/// A VMO of eight pages, of which [2, 6) are zero and dirty.
fn with_zeros(pager: &TestPager) -> Arc<Vmo> {
    let vmo = pager.full(FREE, 8);
    op(&vmo, VmoOp::ZERO, 2..6).unwrap();
    assert_eq!(pager.all_dirty(&vmo), [(2..6, true)]);
    vmo
}

#[test]
fn a_begin_or_end_inside_zeros_does_nothing_to_them() {
    let pager = TestPager::new();
    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 3..6);
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), [(2..6, true)]);
    pager.begin(&vmo, 0..8);
    pager.end(&vmo, 3..6);
    assert_eq!(pager.all_dirty(&vmo), [(2..6, true)]);
    pager.end(&vmo, 2..6);
    assert_eq!(pager.all_dirty(&vmo), []);
}

#[test]
fn the_end_cleans_zeros_as_far_as_both_go() {
    let pager = TestPager::new();
    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 2..5);
    pager.end(&vmo, 2..4);
    assert_eq!(pager.all_dirty(&vmo), [(4..6, true)]);
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), [(4..6, true)], "what is left is not marked");

    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 1..4);
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), [(4..6, true)]);

    // A shorter begin after a longer one takes nothing back.
    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 0..8);
    pager.begin(&vmo, 2..3);
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), []);
}

#[test]
fn a_page_written_inside_splits_zeros() {
    let pager = TestPager::new();
    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 0..8);
    write_pages(&vmo, 3..4).unwrap();
    assert_eq!(pager.all_dirty(&vmo), [(2..3, true), (3..4, false), (4..6, true)]);
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), [(3..4, false)], "the rest was saved");
}

#[test]
fn zeros_that_join_marked_ones() {
    let pager = TestPager::new();
    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 0..8);
    op(&vmo, VmoOp::ZERO, 1..2).unwrap();
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), [(1..6, true)], "at the start: the mark is lost");

    let vmo = with_zeros(&pager);
    pager.begin(&vmo, 0..8);
    op(&vmo, VmoOp::ZERO, 6..7).unwrap();
    pager.end(&vmo, 0..8);
    assert_eq!(pager.all_dirty(&vmo), [(6..7, true)], "at the end: it holds");
}

// ---- What pagers find out ----

/// The call itself: the records that fit, and both counts.
fn query(pager: &TestPager, vmo: &Vmo, range: (u64, u64), room: usize) -> Result<(Vec<u64>, usize, usize), Status> {
    let mut buffer = vec![0xee; room];
    let (mut actual, mut avail) = (77, 77);
    Kernel::current()?.pager_query_dirty_ranges(
        pager.pager.raw_handle(),
        vmo.raw_handle(),
        range.0,
        range.1,
        UserSlice::from(&mut buffer[..]),
        &mut actual,
        &mut avail,
    )?;
    let (written, rest) = buffer.split_at(actual * 24);
    assert!(rest.iter().all(|byte| *byte == 0xee), "what is behind the records is left alone");
    let words = written.chunks(8).map(|word| u64::from_ne_bytes(*word.first_chunk().unwrap())).collect();
    Ok((words, actual, avail))
}

#[test]
fn dirty_ranges_are_clipped_sorted_and_never_of_two_kinds() {
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 8);
    write_pages(&vmo, 0..2).unwrap();
    pager.begin(&vmo, 1..2);
    op(&vmo, VmoOp::ZERO, 2..4).unwrap();
    write_pages(&vmo, 4..5).unwrap();
    write_pages(&vmo, 6..7).unwrap();
    let all = [0, 2, 0, 2, 2, 1, 4, 1, 0, 6, 1, 0];
    let in_bytes = |records: &[u64]| -> Vec<u64> {
        records.chunks(3).flat_map(|record| [record[0] * PAGE, record[1] * PAGE, record[2]]).collect()
    };
    let whole = (0, 8 * PAGE);
    assert_eq!(query(&pager, &vmo, whole, 1000), Ok((in_bytes(&all), 4, 4)));
    // As many whole records as there is room for.
    for (room, fit) in [(0, 0), (23, 0), (24, 1), (47, 1), (72, 3), (95, 3), (96, 4)] {
        assert_eq!(query(&pager, &vmo, whole, room), Ok((in_bytes(&all[..3 * fit]), fit, 4)), "{room}");
    }
    // Rounded to pages, clipped to them.
    assert_eq!(query(&pager, &vmo, (PAGE + 5, PAGE), 1000), Ok((in_bytes(&[1, 1, 0, 2, 1, 1]), 2, 2)));
    assert_eq!(query(&pager, &vmo, (3 * PAGE - 1, 1), 1000), Ok((in_bytes(&[2, 1, 1]), 1, 1)));
    assert_eq!(query(&pager, &vmo, (5 * PAGE, PAGE), 1000), Ok((vec![], 0, 0)));
    assert_eq!(query(&pager, &vmo, (0, 0), 1000), Ok((vec![], 0, 0)));
    for range in [(0, 8 * PAGE + 1), (8 * PAGE, 1), (u64::MAX, 1), (1, u64::MAX), (9 * PAGE, 0)] {
        assert_eq!(query(&pager, &vmo, range, 1000), Err(Status::OUT_OF_RANGE), "{range:?}");
    }
    // More than the safe interface first has room for.
    let vmo = pager.full(FREE, 200);
    for page in (0..200).step_by(2) {
        write_pages(&vmo, page..page + 1).unwrap();
    }
    assert_eq!(pager.dirty_pages(&vmo).0, (0..200).step_by(2).collect::<Vec<_>>());
}

#[test]
fn errors_of_queries_come_in_order() {
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 1);
    let (no_pager, wrong_pager): (Pager, Pager) =
        (NullableHandle::invalid().into(), Event::create().into_handle().into());
    let weak_pager = Pager::create(PagerOptions::empty()).unwrap();
    let weak_pager = weak_pager.replace_handle(Rights::INSPECT | Rights::ATTACH_VMO).unwrap();
    let no_vmo: Vmo = NullableHandle::invalid().into();
    let stranger = TestPager::new().vmo(FREE, 1);
    let unknown = PagerVmoStatsOptions::from_bits_retain(2);
    let both = |pager: &Pager, vmo: &Vmo| {
        let ranges = pager.query_dirty_ranges(vmo, 0..9 * PAGE).err();
        assert_eq!(ranges, pager.query_vmo_stats(vmo, unknown).err());
        ranges
    };
    for (pager, status) in
        [(&no_pager, Status::BAD_HANDLE), (&wrong_pager, Status::WRONG_TYPE), (&weak_pager, Status::ACCESS_DENIED)]
    {
        assert_eq!(both(pager, &no_vmo), Some(status));
    }
    for (vmo, status) in [
        (&no_vmo, Status::BAD_HANDLE),
        (&wrong_handle(), Status::WRONG_TYPE),
        (&without(&vmo, Rights::READ), Status::ACCESS_DENIED),
        (&*stranger, Status::INVALID_ARGS),
        (&empty(1), Status::INVALID_ARGS),
    ] {
        assert_eq!(both(&pager.pager, vmo), Some(status));
    }
    assert_eq!(pager.pager.query_vmo_stats(&vmo, unknown), Err(Status::INVALID_ARGS));
    // It need not be writable.
    let reader = without(&vmo, Rights::WRITE);
    assert_eq!(pager.all_dirty(&reader), []);
    assert!(!pager.forget_modified(&reader));
    let small = &mut [0_u8; 3][..];
    let stats = Kernel::current().unwrap().pager_query_vmo_stats(0, 0, 9, UserSlice::from(small));
    assert_eq!(stats, Err(Status::BUFFER_TOO_SMALL), "first of all");
}

#[test]
fn what_modifies() {
    type Act = fn(&TestPager, &Arc<Vmo>);
    let acts: [(&str, bool, Act); 17] = [
        ("a write", true, |_, vmo| write_pages(vmo, 0..1).unwrap()),
        ("a write of nothing", false, |_, vmo| vmo.write(&[], 0).unwrap()),
        ("a write out of range", false, |_, vmo| assert!(write_pages(vmo, 3..9).is_err())),
        ("growing", true, |_, vmo| vmo.set_size(9 * PAGE).unwrap()),
        ("shrinking", true, |_, vmo| vmo.set_size(PAGE).unwrap()),
        ("zeroing", true, |_, vmo| op(vmo, VmoOp::ZERO, 1..2).unwrap()),
        ("zeroing nothing", false, |_, vmo| op(vmo, VmoOp::ZERO, 1..1).unwrap()),
        ("reading", false, |_, vmo| drop(read_pages(vmo, 0..2).unwrap())),
        ("supplying", false, |pager, vmo| pager.supply(vmo, 2..4)),
        ("committing", false, |_, vmo| op(vmo, VmoOp::COMMIT, 0..2).unwrap()),
        ("a hint", false, |_, vmo| op(vmo, VmoOp::ALWAYS_NEED, 0..2).unwrap()),
        ("prefetching", false, |_, vmo| op(vmo, VmoOp::PREFETCH, 0..2).unwrap()),
        ("writeback", false, |pager, vmo| pager.write_back(vmo, 0..4)),
        ("a failure", false, |pager, vmo| pager.fail(vmo, 0..4, Status::IO)),
        ("a clone's write", false, |_, vmo| {
            let clone = vmo.create_child(VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE, 0, PAGE).unwrap();
            write_pages(&clone, 0..1).unwrap();
        }),
        ("a load", false, |_, vmo| {
            let region = Region::new(1);
            assert_eq!(peek(region.map(0, vmo, 0, 1, RW)), byte_of(0));
        }),
        ("a store", true, |_, vmo| {
            let region = Region::new(1);
            poke(region.map(0, vmo, 0, 1, RW), 1);
        }),
    ];
    for (name, modifies, act) in acts {
        let pager = TestPager::new();
        let vmo = pager.vmo(RESIZABLE, 4);
        pager.supply(&vmo, 0..2);
        assert!(!pager.modified(&vmo));
        act(&pager, &vmo);
        assert_eq!(pager.modified(&vmo), modifies, "{name}");
        assert_eq!(pager.forget_modified(&vmo), modifies, "asking does not forget: {name}");
        assert!(!pager.modified(&vmo), "{name}");
    }
}

#[test]
fn a_slice_modifies_its_root() {
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 2);
    let slice = vmo.create_child(VmoChildOptions::SLICE, PAGE, PAGE).unwrap();
    write_pages(&slice, 0..1).unwrap();
    assert!(pager.forget_modified(&vmo));
    op(&slice, VmoOp::ZERO, 0..1).unwrap();
    assert!(pager.forget_modified(&vmo));
    assert_eq!(pager.all_dirty(&vmo), [(1..2, true)]);
}

#[test]
fn a_write_from_nowhere_leaves_dirty_pages_and_modifies_by_what_it_copied() {
    let (pager, region) = (TestPager::new(), Region::new(3));
    let vmo = pager.full(FREE, 4);
    // One page, then a hole.
    let (_source, at) = region.map_new(0, 1);
    poke(at, 0x44);
    let write = |offset, addr, len| {
        // SAFETY: only the test uses the addresses. A page that is not there is an error.
        let from = unsafe { zxvm_syscall::user::UserRef::from_raw_parts(addr, len) };
        Kernel::current().unwrap().vmo_write(vmo.raw_handle(), from, offset)
    };
    assert_eq!(write(0, at + P, P), Err(Status::NOT_FOUND));
    assert!(!pager.modified(&vmo), "nothing was copied");
    assert_eq!(read_page(&vmo, 0), Ok(byte_of(0)));
    assert_eq!(write(2 * PAGE, at, 2 * P), Err(Status::NOT_FOUND));
    assert!(pager.modified(&vmo));
    assert_eq!(vmo.read_to_object::<u8>(2 * PAGE), Ok(0x44));
    assert!(pager.dirty_pages(&vmo).0.contains(&2));
}
