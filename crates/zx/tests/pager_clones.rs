//! Children of pager VMOs: which there are, what they see of their root, and that they are nobody's business but their own.

mod common;

use std::sync::Arc;

use common::family::{PAGE, page_at};
use common::pager::{
    FREE, NEW, TRAP, TestPager, byte_of, committed, op, read_page, read_pages, task, with, write_pages,
};
use common::{P, RW, Region, peek, poke};
use zx::{PagerOp, Status, Vmo, VmoChildOptions as C, VmoInfoFlags, VmoOp, VmoOptions};
use zxvm as zx;

const CLONE: C = C::SNAPSHOT_AT_LEAST_ON_WRITE;

fn clone_of(vmo: &Vmo, page: u64, pages: u64) -> Arc<Vmo> {
    Arc::new(vmo.create_child(CLONE, page * PAGE, pages * PAGE).unwrap())
}

// ---- Which there are ----

#[test]
fn types_and_parents() {
    let pager = TestPager::new();
    let root = pager.full(FREE, 2);
    let resizable = pager.full(VmoOptions::RESIZABLE, 2);
    let slice = root.create_child(C::SLICE, 0, 2 * PAGE).unwrap();
    let clone = clone_of(&root, 0, 2);
    let made = |vmo: &Vmo, options: C| {
        let size = if options == C::REFERENCE { 0 } else { PAGE };
        vmo.create_child(options, 0, size).map(drop)
    };
    let refused = Err(Status::NOT_SUPPORTED);
    for (name, vmo, expected) in [
        // SNAPSHOT, AT_LEAST_ON_WRITE, MODIFIED, SLICE, REFERENCE
        ("root", &*root, [refused, Ok(()), Ok(()), Ok(()), Ok(())]),
        ("resizable root", &*resizable, [refused, Ok(()), Ok(()), refused, Ok(())]),
        ("slice", &slice, [refused, Ok(()), Ok(()), Ok(()), refused]),
        ("clone", &*clone, [refused, Ok(()), Ok(()), Ok(()), Ok(())]),
    ] {
        let types = [C::SNAPSHOT, CLONE, C::SNAPSHOT_MODIFIED, C::SLICE, C::REFERENCE];
        assert_eq!(types.map(|options| made(vmo, options)), expected, "{name}");
    }
    assert_eq!(read_pages(&root, 0..2), Ok(vec![1, 2]));
    pager.expect_nothing();
}

#[test]
fn pager_calls_are_for_the_root() {
    let pager = TestPager::new();
    let root = pager.full(TRAP, 1);
    let reference = root.create_child(C::REFERENCE, 0, 0).unwrap();
    let slice = root.create_child(C::SLICE, 0, PAGE).unwrap();
    for child in [&*clone_of(&root, 0, 1), &slice, &reference] {
        assert!(child.info().unwrap().flags.contains(VmoInfoFlags::PAGER_BACKED));
        for op in [PagerOp::Fail(Status::IO), PagerOp::Dirty, common::pager::BEGIN, PagerOp::WritebackEnd] {
            assert_eq!(pager.op(op, child, 0..1), Err(Status::INVALID_ARGS));
        }
        assert_eq!(pager.pager.query_dirty_ranges(child, 0..PAGE), Err(Status::INVALID_ARGS));
        let stats = pager.pager.query_vmo_stats(child, zx::PagerVmoStatsOptions::empty());
        assert_eq!(stats, Err(Status::INVALID_ARGS));
        assert_eq!(op(child, VmoOp::DECOMMIT, 0..1), Err(Status::NOT_SUPPORTED));
    }
}

// ---- What a clone sees ----

#[test]
fn a_clone_reads_its_root_and_keeps_nothing() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let root = pager.vmo(TRAP, 4);
    let clone = clone_of(&root, 1, 3);
    pager.supply(&root, 1..2);
    assert_eq!(read_page(&clone, 0), Ok(byte_of(1)));
    let read = with(&clone, |clone| read_page(clone, 1));
    pager.expect_read(2..3);
    pager.supply(&root, 2..3);
    assert_eq!(read.end(), Ok(byte_of(2)));
    let at = region.map(0, &clone, 0, 3, RW);
    assert_eq!([peek(at), peek(at + P)], [byte_of(1), byte_of(2)]);
    let load = task(move || peek(at + 2 * P));
    pager.expect_read(3..4);
    pager.supply(&root, 3..4);
    assert_eq!(load.end(), byte_of(3));
    assert_eq!((committed(&root), committed(&clone)), (3, 0));
    assert_eq!(pager.all_dirty(&root), []);
    pager.expect_nothing();
}

#[test]
fn what_is_written_to_the_root_shows_until_the_clone_writes() {
    let (pager, region) = (TestPager::new(), Region::new(8));
    let root = pager.full(FREE, 3);
    let clone = clone_of(&root, 0, 3);
    let (at_root, at_clone) = (region.map(0, &root, 0, 3, RW), region.map(4, &clone, 0, 3, RW));
    assert_eq!([peek(at_clone), peek(at_clone + P)], [1, 2]);
    root.write(&[0x51], 1).unwrap();
    poke(at_root + P + 1, 0x52);
    assert_eq!(clone.read_to_array::<u8, 2>(0), Ok([1, 0x51]));
    assert_eq!([peek(at_clone + 1), peek(at_clone + P + 1)], [0x51, 0x52]);

    clone.write(&[0x61], 2).unwrap();
    poke(at_clone + P + 2, 0x62);
    assert_eq!((committed(&root), committed(&clone)), (3, 2));
    root.write(&[0x71; 4], 0).unwrap();
    poke(at_root + P, 0x72);
    assert_eq!(clone.read_to_array::<u8, 3>(0), Ok([1, 0x51, 0x61]));
    assert_eq!([peek(at_clone + P), peek(at_clone + P + 1), peek(at_clone + P + 2)], [2, 0x52, 0x62]);
    assert_eq!(root.read_to_array::<u8, 4>(PAGE), Ok([0x72, 0x52, 2, 2]));
    assert_eq!(pager.all_dirty(&root), [(0..2, false)], "by its own writes");
    pager.expect_nothing();
}

#[test]
fn a_clone_of_a_clone_is_a_chain() {
    let pager = TestPager::new();
    let root = pager.full(FREE, 3);
    let middle = clone_of(&root, 0, 3);
    write_pages(&middle, 1..2).unwrap();
    let last = clone_of(&middle, 1, 2);
    assert_eq!(read_pages(&last, 0..2), Ok(vec![NEW, byte_of(2)]));
    root.write(&[9; P], 2 * PAGE).unwrap();
    assert_eq!(page_at(&last, PAGE), 9);
    last.write(&[8; P], 0).unwrap();
    assert_eq!((page_at(&middle, PAGE), page_at(&last, 0)), (NEW, 8));
    drop(middle);
    assert_eq!((page_at(&last, 0), page_at(&last, PAGE), page_at(&root, PAGE)), (8, 9, byte_of(1)));
}

#[test]
fn a_snapshot_of_what_a_clone_has_modified() {
    let pager = TestPager::new();
    let root = pager.full(FREE, 2);
    let clone = root.create_child(C::SNAPSHOT_MODIFIED, 0, 2 * PAGE).unwrap();
    clone.write(&[0x51; P], 0).unwrap();
    let snapshot = clone.create_child(C::SNAPSHOT_MODIFIED, 0, 2 * PAGE).unwrap();
    clone.write(&[0x52; P], 0).unwrap();
    assert_eq!((page_at(&clone, 0), page_at(&snapshot, 0)), (0x52, 0x51), "frozen");
    root.write(&[0x61; P], PAGE).unwrap();
    assert_eq!((page_at(&clone, PAGE), page_at(&snapshot, PAGE)), (0x61, 0x61), "never modified");
    snapshot.write(&[0x71; P], PAGE).unwrap();
    root.write(&[0x62; P], PAGE).unwrap();
    assert_eq!((page_at(&clone, PAGE), page_at(&snapshot, PAGE)), (0x62, 0x71));
    assert_eq!(page_at(&root, 0), byte_of(0));
}

#[test]
fn behind_the_end_of_the_root_is_zero_for_ever() {
    let pager = TestPager::new();
    let root = pager.full(VmoOptions::RESIZABLE, 3);
    let clone = clone_of(&root, 1, 4);
    assert_eq!(read_pages(&clone, 0..4), Ok(vec![2, 3, 0, 0]));
    root.set_size(6 * PAGE).unwrap();
    root.write(&[9; 3 * P], 3 * PAGE).unwrap();
    assert_eq!(read_pages(&clone, 0..4), Ok(vec![2, 3, 0, 0]), "what grows is not its");
    write_pages(&clone, 0..1).unwrap();
    root.set_size(PAGE).unwrap();
    assert_eq!(read_pages(&clone, 0..4), Ok(vec![NEW, 0, 0, 0]));
    root.set_size(6 * PAGE).unwrap();
    root.write(&[9; 5 * P], PAGE).unwrap();
    assert_eq!(read_pages(&clone, 0..4), Ok(vec![NEW, 0, 0, 0]), "and what comes back is not");
    write_pages(&clone, 2..4).unwrap();
    assert_eq!(committed(&clone), 3);
    pager.expect_nothing();
}

#[test]
fn a_root_that_shrinks_is_no_fault_for_a_mapped_clone() {
    let (pager, region) = (TestPager::new(), Region::new(2));
    let root = pager.full(VmoOptions::RESIZABLE, 2);
    let clone = clone_of(&root, 0, 2);
    let at = region.map(0, &clone, 0, 2, RW);
    assert_eq!([peek(at), peek(at + P)], [1, 2]);
    root.set_size(0).unwrap();
    assert_eq!([peek(at), peek(at + P)], [0, 0]);
    poke(at + P, NEW);
    assert_eq!(page_at(&clone, 0), 0);
    assert_eq!(clone.read_to_object::<u8>(PAGE), Ok(NEW));
    pager.expect_nothing();
}

// ---- What operations do ----

#[test]
fn zeroing_a_clone_asks_nobody() {
    let pager = TestPager::new();
    let root = pager.vmo(TRAP, 3);
    pager.supply(&root, 0..1);
    let clone = clone_of(&root, 0, 3);
    assert_eq!(op(&clone, VmoOp::ZERO, 0..3), Ok(()));
    assert_eq!(read_pages(&clone, 0..3), Ok(vec![0; 3]));
    pager.expect_nothing();
    assert_eq!(read_page(&root, 0), Ok(byte_of(0)));
    assert_eq!(pager.all_dirty(&root), []);
}

/// vmo.md §7: over what is not supplied zeros are committed, and stay what they are when it is.
#[test]
fn zeros_over_what_was_not_supplied_are_pages_of_the_clone() {
    let pager = TestPager::new();
    let root = pager.vmo(TRAP, 3);
    pager.supply(&root, 0..1);
    let clone = clone_of(&root, 0, 4);
    op(&clone, VmoOp::ZERO, 0..4).unwrap();
    assert_eq!((committed(&root), committed(&clone)), (1, 2));
    op(&clone, VmoOp::ZERO, 0..4).unwrap();
    assert_eq!(committed(&clone), 0, "now they are its own");
    pager.supply(&root, 1..3);
    assert_eq!(read_pages(&clone, 0..4), Ok(vec![0; 4]));
    pager.expect_nothing();
}

/// The rest of the page is the pager's, so it is asked; that a page becomes the clone's own is not its business.
#[test]
fn zeroing_a_part_of_a_page_asks_for_the_rest() {
    let pager = TestPager::new();
    let root = pager.vmo(TRAP, 3);
    let clone = clone_of(&root, 0, 3);
    let zero = |clone: &Vmo| clone.op_range(VmoOp::ZERO, PAGE - 4, PAGE + 8);
    let refused = with(&clone, zero);
    pager.expect_read(0..1);
    pager.fail(&root, 0..1, Status::IO);
    assert_eq!(refused.end(), Err(Status::IO));
    let zeroed = with(&clone, zero);
    pager.expect_read(0..1);
    pager.supply(&root, 0..1);
    pager.expect_read(2..3);
    pager.supply_zeros(&root, 2..3);
    assert_eq!(zeroed.end(), Ok(()));
    assert_eq!(clone.read_to_array::<u8, 6>(PAGE - 6), Ok([1, 1, 0, 0, 0, 0]));
    assert_eq!(
        (committed(&root), committed(&clone)),
        (1, 2),
        "the first page of it, and the one that nobody was asked for"
    );
    assert_eq!(pager.all_dirty(&root), []);
    pager.expect_nothing();
}

#[test]
fn a_commit_of_a_clone_forks_what_it_asks_for() {
    let pager = TestPager::new();
    let root = pager.vmo(TRAP, 6);
    let clone = clone_of(&root, 1, 4);
    pager.supply(&root, 3..4);
    let commit = with(&clone, |clone| op(clone, VmoOp::COMMIT, 0..4));
    pager.expect_read(1..3);
    pager.supply(&root, 1..3);
    pager.expect_read(4..5);
    pager.fail(&root, 4..5, Status::IO);
    assert_eq!(commit.end(), Err(Status::IO));
    let commit = with(&clone, |clone| op(clone, VmoOp::COMMIT, 0..4));
    pager.expect_read(4..5);
    pager.supply(&root, 4..5);
    assert_eq!(commit.end(), Ok(()));
    assert_eq!((committed(&root), committed(&clone)), (4, 4));
    assert_eq!(pager.all_dirty(&root), []);
    pager.write_back(&root, 0..6);
    assert_eq!(read_pages(&clone, 0..4), Ok(vec![2, 3, 4, 5]));
    pager.expect_nothing();
}

#[test]
fn hints_to_a_clone_reach_the_pages_of_its_root() {
    let pager = TestPager::new();
    let root = pager.vmo(FREE, 3);
    let clone = clone_of(&root, 1, 2);
    let hint = with(&clone, |clone| op(clone, VmoOp::ALWAYS_NEED, 0..2));
    pager.expect_read(1..3);
    pager.supply(&root, 1..3);
    assert_eq!(hint.end(), Ok(()));
    assert_eq!((committed(&root), committed(&clone)), (2, 0));
    assert_eq!(op(&clone, VmoOp::DONT_NEED, 0..2), Ok(()));
    assert_eq!(op(&clone, VmoOp::DONT_NEED, 0..3), Err(Status::OUT_OF_RANGE));
    pager.expect_nothing();
}

#[test]
fn failures_reach_who_reads_and_writes_a_clone() {
    type Act = fn(&Vmo) -> Result<(), Status>;
    let pager = TestPager::new();
    let root = pager.vmo(TRAP, 2);
    let clone = clone_of(&root, 0, 2);
    let acts: [Act; 3] = [
        |clone| read_page(clone, 1).map(drop),
        |clone| clone.write(&[1], PAGE),
        |clone| op(clone, VmoOp::PREFETCH, 1..2),
    ];
    for act in acts {
        let act = with(&clone, act);
        pager.expect_read(1..2);
        pager.fail(&root, 1..2, Status::IO_DATA_INTEGRITY);
        assert_eq!(act.end(), Err(Status::IO_DATA_INTEGRITY));
    }
    assert_eq!(committed(&clone), 0);
}

#[test]
fn what_is_done_to_a_slice_is_done_to_the_root() {
    for kind in [C::SLICE, C::REFERENCE] {
        let (pager, region) = (TestPager::new(), Region::new(2));
        let root = pager.vmo(TRAP, 4);
        let (offset, size, first) = if kind == C::SLICE { (PAGE, 2 * PAGE, 1) } else { (0, 0, 0) };
        let child = Arc::new(root.create_child(kind, offset, size).unwrap());
        let write = with(&child, |child| write_pages(child, 0..1));
        pager.expect_read(first..first + 1);
        pager.supply(&root, first..first + 1);
        pager.expect_dirty(first..first + 1);
        pager.dirty(&root, first..first + 1);
        assert_eq!(write.end(), Ok(()));
        let at = region.map(0, &child, 1, 1, RW);
        pager.supply(&root, first + 1..first + 2);
        let store = task(move || poke(at, NEW));
        pager.expect_dirty(first + 1..first + 2);
        pager.dirty(&root, first + 1..first + 2);
        store.end();
        assert_eq!(pager.all_dirty(&root), [(first..first + 2, false)]);
        assert!(pager.forget_modified(&root));
        pager.write_back(&root, 0..4);
        // A store is seen after it was saved, through the child's mapping too.
        let store = task(move || poke(at, 1));
        pager.expect_dirty(first + 1..first + 2);
        pager.dirty(&root, first + 1..first + 2);
        store.end();
        assert_eq!(op(&child, VmoOp::ZERO, 0..1), Ok(()));
        assert_eq!(pager.all_dirty(&root), [(first..first + 1, true), (first + 1..first + 2, false)]);
        assert!(pager.modified(&root));
        assert_eq!(committed(&root), 1);
        pager.expect_nothing();
    }
}

#[test]
fn who_writes_to_clones_modifies_nothing() {
    let pager = TestPager::new();
    let root = pager.full(TRAP, 2);
    let clone = clone_of(&root, 0, 2);
    write_pages(&clone, 0..2).unwrap();
    op(&clone, VmoOp::ZERO, 0..1).unwrap();
    assert_eq!((pager.modified(&root), pager.all_dirty(&root)), (false, vec![]));
    assert_eq!((committed(&root), committed(&clone)), (2, 1));
}
