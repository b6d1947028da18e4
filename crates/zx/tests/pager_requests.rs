//! Who asks a pager for what, in which pieces, what becomes of those who wait, and how requests that overlap are one.

mod common;

use std::sync::Arc;

use common::family::{PAGE, empty, page_at, without};
use common::pager::{
    Asked, FREE, NEW, TRAP, Task, TestPager, byte_of, committed, crowd, op, pages_of, read_page, read_pages, task,
    with, write_pages,
};
use common::{P, RW, Region, peek, poke, try_peek, try_poke};
use zx::{Rights, Status, VmarFlags as F, VmarOp, Vmo, VmoChildOptions, VmoOp, VmoOptions};
use zxvm as zx;

const CLONE: VmoChildOptions = VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE;
const RESIZABLE: VmoOptions = VmoOptions::RESIZABLE;
const FAILURES: [Status; 5] =
    [Status::IO, Status::IO_DATA_INTEGRITY, Status::BAD_STATE, Status::NO_SPACE, Status::BUFFER_TOO_SMALL];

// ---- Mapped accesses ----

#[test]
fn a_load_asks_for_its_page_alone() {
    let (pager, region) = (TestPager::new(), Region::new(8));
    let vmo = pager.vmo(FREE, 8);
    pager.supply(&vmo, 2..3);
    let at = region.map(0, &vmo, 0, 8, RW);
    assert_eq!(peek(at + 2 * P), byte_of(2));
    let load = task(move || peek(at + 3 * P));
    pager.expect_read(3..4);
    load.waits();
    pager.supply(&vmo, 3..4);
    assert_eq!(load.end(), byte_of(3));
    pager.expect_nothing();
    assert_eq!((committed(&vmo), pager.all_dirty(&vmo).len()), (2, 0));
}

#[test]
fn a_store_asks_to_read_and_then_to_dirty() {
    for options in [FREE, TRAP] {
        let (pager, region) = (TestPager::new(), Region::new(4));
        let vmo = pager.vmo(options, 4);
        let at = region.map(0, &vmo, 0, 4, RW);
        let store = task(move || poke(at + P + 5, NEW));
        pager.expect_read(1..2);
        store.waits();
        pager.supply(&vmo, 1..2);
        if options == TRAP {
            pager.expect_dirty(1..2);
            store.waits();
            assert_eq!(pager.all_dirty(&vmo), []);
            pager.dirty(&vmo, 1..2);
        }
        store.end();
        assert_eq!(vmo.read_to_object::<u8>(PAGE + 5), Ok(NEW));
        assert_eq!(vmo.read_to_object::<u8>(PAGE), Ok(byte_of(1)));
        assert_eq!(pager.all_dirty(&vmo), [(1..2, false)]);
        // It is dirty now: nobody is asked again.
        poke(at + P, NEW);
        pager.expect_nothing();
    }
}

#[test]
fn a_load_before_a_store_leaves_it_clean() {
    for options in [FREE, TRAP] {
        let (pager, region) = (TestPager::new(), Region::new(1));
        let vmo = pager.full(options, 1);
        let at = region.map(0, &vmo, 0, 1, RW);
        assert_eq!(peek(at), byte_of(0));
        assert_eq!((pager.all_dirty(&vmo), pager.modified(&vmo)), (vec![], false));
        let store = task(move || poke(at, NEW));
        if options == TRAP {
            pager.expect_dirty(0..1);
            pager.dirty(&vmo, 0..1);
        }
        store.end();
        assert_eq!((pager.all_dirty(&vmo), pager.modified(&vmo)), (vec![(0..1, false)], true));
        pager.expect_nothing();
    }
}

#[test]
fn who_may_not_store_asks_nobody() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let vmo = pager.vmo(TRAP, 2);
    let read_only = region.map(0, &vmo, 0, 1, F::PERM_READ);
    assert!(try_poke(read_only, NEW).is_err());
    let no_access = region.map(1, &vmo, 0, 1, F::empty());
    assert!(try_peek(no_access).is_err());
    let (reader, writer) = (without(&vmo, Rights::WRITE), without(&vmo, Rights::READ));
    assert_eq!(write_pages(&reader, 0..1), Err(Status::ACCESS_DENIED));
    assert_eq!(read_page(&writer, 0), Err(Status::ACCESS_DENIED));
    for write in [VmoOp::COMMIT, VmoOp::ZERO] {
        assert_eq!(op(&reader, write, 0..1), Err(Status::ACCESS_DENIED));
    }
    assert_eq!(op(&writer, VmoOp::PREFETCH, 0..1), Err(Status::ACCESS_DENIED));
    // Nor does who is out of range.
    assert_eq!(read_pages(&vmo, 1..3), Err(Status::OUT_OF_RANGE));
    assert_eq!(write_pages(&vmo, 1..3), Err(Status::OUT_OF_RANGE));
    assert_eq!(op(&vmo, VmoOp::COMMIT, 1..3), Err(Status::OUT_OF_RANGE));
    pager.expect_nothing();
}

#[test]
fn more_permission_does_not_let_a_store_by() {
    let (pager, region) = (TestPager::new(), Region::new(2));
    let vmo = pager.full(TRAP, 2);
    let at = region.map(0, &vmo, 0, 2, F::PERM_READ);
    assert_eq!((peek(at), peek(at + P)), (byte_of(0), byte_of(1)));
    // SAFETY: the test keeps no references into its region.
    unsafe { region.vmar.protect(at, 2 * P, RW) }.unwrap();
    let store = task(move || poke(at, NEW));
    pager.expect_dirty(0..1);
    pager.dirty(&vmo, 0..1);
    store.end();
    assert_eq!(pager.all_dirty(&vmo), [(0..1, false)]);
}

#[test]
fn a_buffer_of_a_call_is_brought_in_as_any_memory() {
    let (pager, region) = (TestPager::new(), Region::new(2));
    let vmo = pager.vmo(TRAP, 2);
    let at = region.map(0, &vmo, 0, 2, RW);
    let from = task(move || try_peek(at));
    pager.expect_read(0..1);
    pager.supply(&vmo, 0..1);
    assert_eq!(from.end(), Ok(byte_of(0)));
    let to = task(move || try_poke(at + P, NEW));
    pager.expect_read(1..2);
    pager.supply(&vmo, 1..2);
    pager.expect_dirty(1..2);
    pager.dirty(&vmo, 1..2);
    assert_eq!(to.end(), Ok(()));
    assert_eq!(peek(at + P), NEW);
    pager.expect_nothing();
}

#[test]
fn a_buffer_that_cannot_be_brought_in_is_an_error() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let vmo = pager.vmo(FREE, 1);
    let at = region.map(0, &vmo, 0, 1, RW);
    for access in [|at| try_peek(at).map(drop), |at| try_poke(at, NEW)] {
        let access = task(move || access(at));
        pager.expect_read(0..1);
        access.waits();
        pager.fail(&vmo, 0..1, Status::IO);
        assert!(access.end().is_err());
    }
    // Nothing is remembered.
    let load = task(move || try_peek(at));
    pager.expect_read(0..1);
    pager.supply(&vmo, 0..1);
    assert_eq!(load.end(), Ok(byte_of(0)));
}

#[test]
fn who_waits_for_what_is_unmapped_fails() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let vmo = pager.vmo(FREE, 1);
    let at = region.map(0, &vmo, 0, 1, RW);
    let load = task(move || try_peek(at));
    pager.expect_read(0..1);
    region.unmap(0, 1);
    assert!(load.end().is_err());
}

/// Maps a page of a VMO over what is at the start of the region.
fn replace(region: &Region, vmo: &Vmo) {
    let flags = zx::VmarFlagsExtended::PERM_READ | zx::VmarFlagsExtended::SPECIFIC_OVERWRITE;
    // SAFETY: nothing refers to the memory.
    assert_eq!(unsafe { region.vmar.map_unsafe(0, vmo, 0, P, flags) }, Ok(region.base));
}

#[test]
fn who_waits_for_what_is_replaced_looks_at_what_is_there_now() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let (vmo, plain) = (pager.vmo(FREE, 1), empty(1));
    plain.write(&[NEW], 0).unwrap();
    let at = region.map(0, &vmo, 0, 1, RW);
    let load = task(move || try_peek(at));
    pager.expect_read(0..1);
    replace(&region, &plain);
    assert_eq!(load.end(), Ok(NEW));
    pager.expect_nothing();
}

#[test]
fn who_waits_for_what_is_replaced_asks_the_pager_of_what_is_there_now() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let (vmo, next) = (pager.vmo(FREE, 1), pager.vmo_with_key(FREE, 1, 7));
    let at = region.map(0, &vmo, 0, 1, RW);
    let load = task(move || try_peek(at));
    pager.expect_read(0..1);
    replace(&region, &next);
    load.waits();
    assert_eq!(pager.next(), (7, Asked::Read(0..1)));
    pager.supply(&next, 0..1);
    assert_eq!(load.end(), Ok(byte_of(0)));
    pager.expect_nothing();
}

#[test]
fn a_region_that_is_destroyed_lets_its_waiters_go() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let vmo = pager.vmo(FREE, 4);
    let at = region.map(0, &vmo, 0, 4, RW);
    let loads: Vec<_> = (0..4).map(|page| task(move || try_peek(at + page * P))).collect();
    for _ in 0..4 {
        pager.next();
    }
    // SAFETY: nothing refers to the memory.
    unsafe { region.vmar.destroy() }.unwrap();
    for load in loads {
        assert!(load.end().is_err());
    }
    pager.expect_nothing();
}

// ---- Reading and writing by calls ----

#[test]
fn a_read_asks_for_runs_of_what_is_absent() {
    let pager = TestPager::new();
    let vmo = pager.vmo(TRAP, 8);
    pager.supply(&vmo, 2..3);
    let read = with(&vmo, |vmo| read_pages(vmo, 0..5));
    pager.expect_read(0..2);
    read.waits();
    pager.supply(&vmo, 0..2);
    pager.expect_read(3..5);
    pager.supply(&vmo, 3..5);
    assert_eq!(read.end(), Ok(vec![1, 2, 3, 4, 5]));
    pager.expect_nothing();
    assert_eq!(pager.all_dirty(&vmo), []);
    // From and to the middle of pages.
    let read = with(&vmo, |vmo| vmo.read_to_vec::<u8>(6 * PAGE - 1, 2));
    pager.expect_read(5..7);
    pager.supply(&vmo, 5..7);
    assert_eq!(read.end(), Ok(vec![byte_of(5), byte_of(6)]));
}

#[test]
fn a_read_copies_along_while_one_request_stays() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 4);
    let read = with(&vmo, |vmo| read_pages(vmo, 0..4));
    pager.expect_read(0..4);
    for page in 0..4 {
        read.waits();
        pager.supply(&vmo, page..page + 1);
    }
    assert_eq!(read.end(), Ok(vec![1, 2, 3, 4]));
    pager.expect_nothing();
}

#[test]
fn a_write_asks_for_sixteen_pages_at_most() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.vmo(options, 40);
        let write = with(&vmo, |vmo| vmo.write(&vec![NEW; 20 * P], PAGE + 7));
        for pages in [1..17, 17..22] {
            pager.expect_read(pages.clone());
            pager.supply(&vmo, pages.clone());
            if options == TRAP {
                pager.expect_dirty(pages.clone());
                pager.dirty(&vmo, pages);
            }
        }
        assert_eq!(write.end(), Ok(()));
        assert_eq!(pager.all_dirty(&vmo), [(1..22, false)]);
        assert_eq!(vmo.read_to_array::<u8, 8>(PAGE), Ok([2, 2, 2, 2, 2, 2, 2, NEW]));
        assert_eq!(vmo.read_to_array::<u8, 2>(21 * PAGE + 6), Ok([NEW, byte_of(21)]));
        pager.expect_nothing();
    }
}

#[test]
fn a_write_asks_to_dirty_what_is_not_dirty_yet() {
    let pager = TestPager::new();
    let vmo = pager.full(TRAP, 8);
    pager.dirty(&vmo, 3..5);
    let write = with(&vmo, |vmo| write_pages(vmo, 1..7));
    pager.expect_dirty(1..3);
    pager.dirty(&vmo, 1..3);
    pager.expect_dirty(5..7);
    assert_eq!(page_at(&vmo, 2 * PAGE), NEW, "what may be written is");
    pager.dirty(&vmo, 5..7);
    assert_eq!(write.end(), Ok(()));
    assert_eq!(pager.all_dirty(&vmo), [(1..7, false)]);
}

#[test]
fn failures_reach_calls_and_are_forgotten() {
    let pager = TestPager::new();
    let vmo = pager.vmo(TRAP, 4);
    for status in FAILURES {
        let read = with(&vmo, |vmo| read_page(vmo, 0));
        pager.expect_read(0..1);
        pager.fail(&vmo, 0..1, status);
        assert_eq!(read.end(), Err(status));
        for commits in [VmoOp::COMMIT, VmoOp::PREFETCH] {
            let commit = with(&vmo, move |vmo| op(vmo, commits, 0..2));
            pager.expect_read(0..2);
            pager.fail(&vmo, 0..2, status);
            assert_eq!(commit.end(), Err(status), "{commits:?}");
        }
        let zero = with(&vmo, |vmo| vmo.op_range(VmoOp::ZERO, 1, 1));
        pager.expect_read(0..1);
        pager.fail(&vmo, 0..1, status);
        assert_eq!(zero.end(), Err(status));
        let write = with(&vmo, |vmo| write_pages(vmo, 0..1));
        pager.expect_read(0..1);
        pager.fail(&vmo, 0..1, status);
        assert_eq!(write.end(), Err(status));
    }
    pager.supply(&vmo, 0..1);
    for status in FAILURES {
        let write = with(&vmo, |vmo| write_pages(vmo, 0..1));
        pager.expect_dirty(0..1);
        pager.fail(&vmo, 0..1, status);
        assert_eq!(write.end(), Err(status));
        assert_eq!((pager.all_dirty(&vmo), read_page(&vmo, 0)), (vec![], Ok(byte_of(0))));
    }
    assert!(!pager.modified(&vmo));
    // Where nobody waits a failure does nothing, also to pages that are there.
    pager.fail(&vmo, 0..4, Status::IO);
    assert_eq!(read_page(&vmo, 0), Ok(byte_of(0)));
    let read = with(&vmo, |vmo| read_page(vmo, 3));
    pager.expect_read(3..4);
    pager.supply(&vmo, 3..4);
    assert_eq!(read.end(), Ok(byte_of(3)));
}

#[test]
fn what_came_before_a_failure_is_done() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 20);
    let write = with(&vmo, |vmo| write_pages(vmo, 0..20));
    pager.expect_read(0..16);
    pager.supply(&vmo, 0..16);
    pager.expect_read(16..20);
    pager.fail(&vmo, 16..20, Status::NO_SPACE);
    assert_eq!(write.end(), Err(Status::NO_SPACE));
    assert_eq!(read_pages(&vmo, 0..16), Ok(vec![NEW; 16]));
    assert_eq!(pager.all_dirty(&vmo), [(0..16, false)]);
    assert!(pager.modified(&vmo));

    pager.supply(&vmo, 16..18);
    let read = with(&vmo, |vmo| {
        let mut bytes = vec![0; 5 * P];
        (vmo.read(&mut bytes, 15 * PAGE), bytes)
    });
    pager.expect_read(18..20);
    pager.fail(&vmo, 18..20, Status::IO);
    let (result, bytes) = read.end();
    assert_eq!(result, Err(Status::IO));
    assert_eq!([bytes[0], bytes[P], bytes[2 * P]], [NEW, byte_of(16), byte_of(17)]);
}

// ---- Operations ----

#[test]
fn a_commit_asks_for_the_whole_run() {
    let (pager, region) = (TestPager::new(), Region::new(100));
    let vmo = pager.vmo(FREE, 100);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..40));
    pager.expect_read(0..40);
    pager.supply(&vmo, 0..39);
    commit.waits();
    pager.supply(&vmo, 39..40);
    assert_eq!(commit.end(), Ok(()));
    assert_eq!((committed(&vmo), pager.all_dirty(&vmo)), (40, vec![]));

    pager.supply(&vmo, 42..43);
    let at = region.map(0, &vmo, 0, 100, RW);
    for commits in [VmarOp::COMMIT, VmarOp::PREFETCH] {
        let first = if commits == VmarOp::COMMIT { 39 } else { 60 };
        let vmar = region.vmar.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
        let commit = task(move || vmar.op_range(commits, at + first * P, 6 * P));
        if commits == VmarOp::COMMIT {
            pager.expect_read(40..42);
            pager.supply(&vmo, 40..42);
            pager.expect_read(43..45);
            pager.supply(&vmo, 43..45);
        } else {
            pager.expect_read(60..66);
            pager.supply(&vmo, 60..66);
        }
        assert_eq!(commit.end(), Ok(()), "{commits:?}");
    }
    assert_eq!((peek(at + 44 * P), peek(at + 65 * P)), (byte_of(44), byte_of(65)));
    assert_eq!(pager.all_dirty(&vmo), []);
    pager.expect_nothing();
}

#[test]
fn always_need_goes_on_after_a_failure() {
    let (pager, region) = (TestPager::new(), Region::new(3));
    let vmo = pager.vmo(FREE, 3);
    let hint = with(&vmo, |vmo| op(vmo, VmoOp::ALWAYS_NEED, 0..3));
    for first in 0..2 {
        pager.expect_read(first..3);
        pager.fail(&vmo, first..3, Status::IO);
    }
    pager.expect_read(2..3);
    pager.supply(&vmo, 2..3);
    assert_eq!(hint.end(), Ok(()));
    assert_eq!(committed(&vmo), 1);
    let at = region.map(0, &vmo, 0, 3, F::PERM_READ);
    let vmar = region.vmar.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    let hint = task(move || vmar.op_range(VmarOp::ALWAYS_NEED, at, 3 * P));
    pager.expect_read(0..2);
    pager.supply(&vmo, 0..2);
    assert_eq!(hint.end(), Ok(()));
    assert_eq!([peek(at), peek(at + P), peek(at + 2 * P)], [1, 2, 3]);
    pager.expect_nothing();
}

#[test]
fn what_never_asks() {
    let (pager, region) = (TestPager::new(), Region::new(8));
    let vmo = pager.vmo(TRAP | RESIZABLE, 4);
    pager.supply(&vmo, 0..1);
    pager.supply_zeros(&vmo, 1..2);
    vmo.set_size(5 * PAGE).unwrap();
    let at = region.map(0, &vmo, 0, 5, RW | F::MAP_RANGE);
    assert_eq!(region.vmar.op_range(VmarOp::MAP_RANGE, at, 5 * P), Ok(()));
    assert_eq!(region.vmar.op_range(VmarOp::DONT_NEED, at, 5 * P), Ok(()));
    assert_eq!(op(&vmo, VmoOp::DONT_NEED, 0..5), Ok(()));
    assert_eq!([read_page(&vmo, 0), read_page(&vmo, 1), read_page(&vmo, 4)], [Ok(1), Ok(0), Ok(0)]);
    assert_eq!([peek(at), peek(at + P), peek(at + 4 * P)], [1, 0, 0]);
    assert_eq!(op(&vmo, VmoOp::ZERO, 2..4), Ok(()));
    assert_eq!(vmo.op_range(VmoOp::ZERO, PAGE + 1, 1), Ok(()), "it reads as zero");
    pager.all_dirty(&vmo);
    region.vmar.maps_vec().unwrap();
    assert_eq!(op(&vmo, VmoOp::DECOMMIT, 0..1), Err(Status::NOT_SUPPORTED));
    pager.expect_nothing();
}

#[test]
fn zeroing_part_of_a_page_needs_the_page() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.vmo(options, 3);
        // The end of one page, all of the next, the start of the third.
        let zero = with(&vmo, |vmo| vmo.op_range(VmoOp::ZERO, PAGE - 8, PAGE + 16));
        let mut asked = Vec::new();
        for _ in 0..if options == TRAP { 4 } else { 2 } {
            let (_, what) = pager.next();
            match &what {
                Asked::Read(pages) => pager.supply(&vmo, pages.clone()),
                Asked::Dirty(pages) => pager.dirty(&vmo, pages.clone()),
                Asked::Complete => panic!("it is there"),
            }
            asked.push(what);
        }
        assert_eq!(zero.end(), Ok(()));
        for page in [0, 2] {
            let read = asked.iter().position(|asked| *asked == Asked::Read(page..page + 1)).expect("the page is read");
            let dirty = asked.iter().position(|asked| *asked == Asked::Dirty(page..page + 1));
            assert_eq!(dirty.is_some_and(|dirty| dirty > read), options == TRAP);
        }
        assert_eq!(pager.all_dirty(&vmo), [(0..1, false), (1..2, true), (2..3, false)]);
        assert_eq!(vmo.read_to_array::<u8, 2>(PAGE - 9), Ok([1, 0]));
        assert_eq!(vmo.read_to_array::<u8, 2>(2 * PAGE + 7), Ok([0, 3]));
        pager.expect_nothing();
    }
}

#[test]
fn a_size_inside_a_page_needs_the_page() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.vmo(options | RESIZABLE, 4);
        let resize = with(&vmo, |vmo| vmo.set_size(2 * PAGE + 100));
        pager.expect_read(2..3);
        pager.supply(&vmo, 2..3);
        if options == TRAP {
            pager.expect_dirty(2..3);
            pager.dirty(&vmo, 2..3);
        }
        assert_eq!(resize.end(), Ok(()));
        assert_eq!(vmo.read_to_array::<u8, 2>(2 * PAGE + 99), Ok([byte_of(2), 0]));
        assert_eq!((pages_of(&vmo), pager.all_dirty(&vmo)), (3, vec![(2..3, false)]));

        // What the pager says to it does not matter.
        let resize = with(&vmo, |vmo| vmo.set_size(PAGE + 100));
        pager.expect_read(1..2);
        pager.fail(&vmo, 1..2, Status::IO);
        assert_eq!(resize.end(), Ok(()));
        assert_eq!(pages_of(&vmo), 2);
        pager.expect_nothing();
    }
}

// ---- Clones ----

#[test]
fn a_clone_asks_for_pages_of_its_root_and_never_to_dirty() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let vmo = pager.vmo(TRAP, 8);
    let clone = Arc::new(vmo.create_child(CLONE, 2 * PAGE, 4 * PAGE).unwrap());
    let at = region.map(0, &clone, 0, 4, RW);

    let store = task(move || poke(at, NEW));
    pager.expect_read(2..3);
    pager.supply(&vmo, 2..3);
    store.end();
    let commit = with(&clone, |clone| op(clone, VmoOp::COMMIT, 0..3));
    pager.expect_read(3..5);
    pager.supply(&vmo, 3..5);
    assert_eq!(commit.end(), Ok(()));
    let write = with(&clone, |clone| clone.write(&[NEW], 3 * PAGE));
    pager.expect_read(5..6);
    pager.supply(&vmo, 5..6);
    assert_eq!(write.end(), Ok(()));
    pager.expect_nothing();
    assert_eq!(pager.all_dirty(&vmo), []);
    assert!(!pager.modified(&vmo));
    assert_eq!((committed(&vmo), committed(&clone)), (4, 4));
    assert_eq!(read_pages(&vmo, 2..6), Ok(vec![3, 4, 5, 6]));
}

// ---- A VMO that shrinks under those who wait ----

#[test]
fn who_waits_for_what_is_cut_off() {
    type Act = fn(&Vmo) -> Result<(), Status>;
    let acts: [(Act, Result<(), Status>); 6] = [
        (|vmo| read_page(vmo, 2).map(drop), Err(Status::OUT_OF_RANGE)),
        (|vmo| write_pages(vmo, 2..3), Err(Status::OUT_OF_RANGE)),
        (|vmo| op(vmo, VmoOp::COMMIT, 2..3), Ok(())),
        (|vmo| op(vmo, VmoOp::ALWAYS_NEED, 2..3), Ok(())),
        (|vmo| op(vmo, VmoOp::PREFETCH, 2..3), Ok(())),
        (|vmo| vmo.op_range(VmoOp::ZERO, 2 * PAGE + 1, 1), Err(Status::OUT_OF_RANGE)),
    ];
    for (number, (act, expected)) in acts.into_iter().enumerate() {
        let pager = TestPager::new();
        let vmo = pager.vmo(FREE | RESIZABLE, 4);
        let waiter = with(&vmo, act);
        pager.expect_read(2..3);
        vmo.set_size(3 * PAGE).unwrap();
        waiter.waits();
        vmo.set_size(2 * PAGE).unwrap();
        assert_eq!(waiter.end(), expected, "{number}");
        pager.expect_nothing();
        assert_eq!(pager.try_supply(&vmo, 2..3), Err(Status::OUT_OF_RANGE));
    }
}

#[test]
fn who_waits_for_more_than_is_cut_off_waits_for_the_rest() {
    let pager = TestPager::new();
    let vmo = pager.vmo(RESIZABLE, 6);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 1..5));
    pager.expect_read(1..5);
    vmo.set_size(3 * PAGE).unwrap();
    commit.waits();
    pager.supply(&vmo, 1..3);
    assert_eq!(commit.end(), Ok(()));
    pager.expect_nothing();
}

#[test]
fn who_waits_to_dirty_what_is_cut_off() {
    let pager = TestPager::new();
    let vmo = pager.full(TRAP | RESIZABLE, 3);
    let write = with(&vmo, |vmo| write_pages(vmo, 2..3));
    pager.expect_dirty(2..3);
    vmo.set_size(2 * PAGE).unwrap();
    assert_eq!(write.end(), Err(Status::OUT_OF_RANGE));
    // What grows there is new.
    vmo.set_size(3 * PAGE).unwrap();
    assert_eq!((read_page(&vmo, 2), pager.all_dirty(&vmo)), (Ok(0), vec![(2..3, true)]));
    pager.expect_nothing();
}

#[test]
fn a_clone_sees_zero_where_its_root_is_cut_off() {
    let (pager, region) = (TestPager::new(), Region::new(3));
    let vmo = pager.vmo(RESIZABLE, 3);
    let clone = Arc::new(vmo.create_child(CLONE, 0, 3 * PAGE).unwrap());
    let at = region.map(0, &clone, 0, 3, RW);
    let read = with(&clone, |clone| read_page(clone, 2));
    pager.expect_read(2..3);
    let store = task(move || poke(at + 2 * P, NEW));
    store.waits();
    vmo.set_size(2 * PAGE).unwrap();
    store.end();
    assert!(matches!(read.end(), Ok(0)));
    assert_eq!([peek(at + 2 * P), peek(at + 2 * P + 1)], [NEW, 0]);
    pager.expect_nothing();
}

// ---- Requests that overlap ----

#[test]
fn any_number_of_threads_on_a_page_make_one_request() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let vmo = pager.vmo(TRAP, 1);
    let at = region.map(0, &vmo, 0, 1, RW);
    let shared = vmo.clone();
    let threads = crowd(100, move |number| match number % 4 {
        0 => peek(at),
        1 => try_peek(at).unwrap(),
        2 => read_page(&shared, 0).unwrap(),
        _ => op(&shared, VmoOp::COMMIT, 0..1).map(|()| byte_of(0)).unwrap(),
    });
    pager.expect_read(0..1);
    for thread in &threads[..4] {
        thread.waits();
    }
    pager.expect_nothing();
    pager.supply(&vmo, 0..1);
    for thread in threads {
        assert_eq!(thread.end(), byte_of(0));
    }
    pager.expect_nothing();

    let shared = vmo.clone();
    let threads = crowd(100, move |number| match number % 2 {
        0 => poke(at + number, NEW),
        _ => shared.write(&[NEW], number as u64).unwrap(),
    });
    pager.expect_dirty(0..1);
    for thread in &threads[..2] {
        thread.waits();
    }
    pager.expect_nothing();
    pager.dirty(&vmo, 0..1);
    threads.into_iter().for_each(Task::end);
    assert_eq!(vmo.read_to_array::<u8, 100>(0), Ok([NEW; 100]));
    pager.expect_nothing();
}

#[test]
fn a_request_is_cut_where_another_starts() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 6);
    let inner = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 2..4));
    pager.expect_read(2..4);
    let outer = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..6));
    pager.expect_read(0..2);
    pager.supply(&vmo, 0..2);
    // It waits for the other's request now, which is not sent a second time.
    outer.waits();
    pager.expect_nothing();
    pager.supply(&vmo, 2..4);
    assert_eq!(inner.end(), Ok(()));
    pager.expect_read(4..6);
    pager.supply(&vmo, 4..6);
    assert_eq!(outer.end(), Ok(()));
    pager.expect_nothing();
}

#[test]
fn who_starts_in_a_request_waits_for_it_and_then_asks_for_more() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 6);
    let first = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..4));
    pager.expect_read(0..4);
    let second = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 1..6));
    second.waits();
    pager.expect_nothing();
    pager.supply(&vmo, 0..4);
    assert_eq!(first.end(), Ok(()));
    pager.expect_read(4..6);
    pager.supply(&vmo, 4..6);
    assert_eq!(second.end(), Ok(()));
    pager.expect_nothing();
}

#[test]
fn reading_and_dirtying_are_asked_apart() {
    let pager = TestPager::new();
    let vmo = pager.vmo(TRAP, 2);
    pager.supply(&vmo, 0..1);
    let write = with(&vmo, |vmo| write_pages(vmo, 0..1));
    pager.expect_dirty(0..1);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..2));
    pager.expect_read(1..2);
    pager.supply(&vmo, 1..2);
    assert_eq!(commit.end(), Ok(()), "it does not ask to dirty");
    write.waits();
    pager.dirty(&vmo, 0..2);
    assert_eq!(write.end(), Ok(()));
}

#[test]
fn two_vmos_of_one_pager_do_not_mind_each_other() {
    let pager = TestPager::new();
    let (a, b) = (pager.vmo_with_key(FREE, 4, 1), pager.vmo_with_key(FREE, 4, 2));
    let read_a = with(&a, |vmo| read_pages(vmo, 0..4));
    assert_eq!(pager.next(), (1, Asked::Read(0..4)));
    let read_b = with(&b, |vmo| read_pages(vmo, 0..4));
    assert_eq!(pager.next(), (2, Asked::Read(0..4)));
    pager.fail(&a, 0..4, Status::IO);
    assert_eq!(read_a.end(), Err(Status::IO));
    read_b.waits();
    pager.supply(&b, 0..4);
    assert_eq!(read_b.end(), Ok(vec![1, 2, 3, 4]));
    assert_eq!((committed(&a), committed(&b)), (0, 4));
    pager.expect_nothing();
}

#[test]
fn requests_of_a_vmo_come_one_after_the_other() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 5);
    let mut reads = Vec::new();
    for page in 0..5 {
        let read = with(&vmo, move |vmo| read_page(vmo, page));
        read.waits();
        reads.push(read);
    }
    for page in 0..5 {
        pager.expect_read(page..page + 1);
    }
    pager.expect_nothing();
    for (page, read) in (0..5).rev().zip(reads.into_iter().rev()) {
        pager.supply(&vmo, page..page + 1);
        assert_eq!(read.end(), Ok(byte_of(page)));
    }
}

#[test]
fn what_is_supplied_early_is_never_asked() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 3);
    let (first, second) = (with(&vmo, |vmo| read_page(vmo, 0)), with(&vmo, |vmo| read_page(vmo, 1)));
    first.waits();
    second.waits();
    // Both are asked for now, one of them in the port; and neither has been taken from it.
    pager.supply(&vmo, 0..1);
    assert_eq!(first.end(), Ok(byte_of(0)));
    pager.expect_read(1..2);
    pager.fail(&vmo, 0..3, Status::IO);
    assert_eq!(second.end(), Err(Status::IO));
    pager.expect_nothing();
    let third = with(&vmo, |vmo| read_page(vmo, 2));
    third.waits();
    pager.fail(&vmo, 2..3, Status::IO);
    assert_eq!(third.end(), Err(Status::IO));
    pager.expect_nothing();
}

#[test]
fn zeroing_resolves_what_is_asked() {
    let pager = TestPager::new();
    let vmo = pager.vmo(TRAP, 4);
    let read = with(&vmo, |vmo| read_pages(vmo, 0..4));
    pager.expect_read(0..4);
    assert_eq!(op(&vmo, VmoOp::ZERO, 0..4), Ok(()));
    assert_eq!(read.end(), Ok(vec![0; 4]));
    pager.expect_nothing();
    assert_eq!(pager.all_dirty(&vmo), [(0..4, true)]);
}

// ---- Failures of a part ----

#[test]
fn a_failed_part_counts_only_at_the_start_of_a_request() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 4);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..4));
    pager.expect_read(0..4);
    pager.fail(&vmo, 2..3, Status::IO);
    commit.waits();
    pager.supply(&vmo, 0..2);
    commit.waits();
    pager.supply(&vmo, 3..4);
    // It asks again for what failed.
    pager.expect_read(2..3);
    pager.supply(&vmo, 2..3);
    assert_eq!(commit.end(), Ok(()));

    let vmo = pager.vmo(FREE, 4);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..4));
    pager.expect_read(0..4);
    pager.fail(&vmo, 0..1, Status::NO_SPACE);
    pager.supply(&vmo, 1..4);
    assert_eq!(commit.end(), Err(Status::NO_SPACE));
    assert_eq!(committed(&vmo), 3);
}

#[test]
fn a_read_fails_where_it_has_got_to() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 4);
    let read = with(&vmo, |vmo| {
        let mut bytes = vec![0; 4 * P];
        (vmo.read(&mut bytes, 0), bytes[P])
    });
    pager.expect_read(0..4);
    pager.supply(&vmo, 0..2);
    read.waits();
    pager.fail(&vmo, 2..4, Status::IO);
    assert_eq!(read.end(), (Err(Status::IO), byte_of(1)));
    pager.expect_nothing();
}

#[test]
fn each_who_waits_for_a_request_is_judged_by_its_own_start() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 4);
    let first = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..4));
    pager.expect_read(0..4);
    let second = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 2..4));
    second.waits();
    pager.fail(&vmo, 0..2, Status::IO);
    pager.supply(&vmo, 2..4);
    assert_eq!((first.end(), second.end()), (Err(Status::IO), Ok(())));
    pager.expect_nothing();
}
