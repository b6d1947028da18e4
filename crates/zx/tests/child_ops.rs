//! `op_range` on families: what each operation does to a copy on write, to its parent, to windows and to references.

mod common;

use common::family::{
    Amount, Figures, PAGE, SNAPSHOTS, child, content, count_up, empty, empty_resizable, fill, op, page_at, reference,
    snapshot, without, written,
};
use common::{P, RW, Region};
use zx::{Rights, Status, Vmo, VmoChildOptions as C, VmoOp};
use zxvm as zx;

fn committed(vmo: &Vmo) -> u64 {
    vmo.info().unwrap().committed_bytes / PAGE
}

#[test]
fn commit_makes_every_page_its_own() {
    for kind in SNAPSHOTS {
        for of_child in [true, false] {
            let root = empty(4);
            fill(&root, 0, 1);
            fill(&root, 2, 3);
            let copy = child(&root, kind, 0, 4);
            let (who, other) = if of_child { (&copy, &root) } else { (&root, &copy) };
            assert_eq!(op(who, VmoOp::COMMIT, 0, 3), Ok(()));
            assert_eq!(Figures::of(who), Figures::new(3, 3, Amount::pages(3)), "shared pages are copied, others zero");
            assert_eq!(Figures::of(other), Figures::new(2, 2, Amount::pages(2)));
            assert_eq!((content(who), content(other)), (vec![1, 0, 3, 0], vec![1, 0, 3, 0]));
            fill(other, 2, 9);
            assert_eq!(content(who), [1, 0, 3, 0]);
        }
    }
}

#[test]
fn ranges_and_rights_as_for_any_vmo() {
    let root = written(2);
    let copy = snapshot(&root);
    for vmo in [&root, &copy, &child(&root, C::SLICE, 0, 2), &reference(&copy)] {
        for kind in [VmoOp::COMMIT, VmoOp::DECOMMIT, VmoOp::ZERO, VmoOp::CACHE_CLEAN, VmoOp::PREFETCH] {
            for (page, pages) in [(0, 3), (2, 1), (3, 0)] {
                let expected =
                    if pages == 0 && kind == VmoOp::CACHE_CLEAN { Status::INVALID_ARGS } else { Status::OUT_OF_RANGE };
                assert_eq!(op(vmo, kind, page, pages), Err(expected), "{kind:?}");
            }
        }
        for kind in [VmoOp::COMMIT, VmoOp::DECOMMIT, VmoOp::ZERO] {
            assert_eq!(op(&without(vmo, Rights::WRITE), kind, 9, 9), Err(Status::ACCESS_DENIED), "{kind:?}");
        }
    }
    assert_eq!((content(&root), content(&copy)), (vec![1, 2], vec![1, 2]));
}

#[test]
fn decommit_needs_memory_that_is_no_copy() {
    for kind in SNAPSHOTS {
        let root = written(3);
        let copy = child(&root, kind, 0, 3);
        let window = child(&root, C::SLICE, 0, 1);
        for vmo in [&root, &copy, &window, &reference(&root), &reference(&copy)] {
            assert_eq!(op(vmo, VmoOp::DECOMMIT, 0, 1), Err(Status::NOT_SUPPORTED), "mutual");
            assert_eq!(vmo.op_range(VmoOp::DECOMMIT, 1, 1), Err(Status::NOT_SUPPORTED), "before the alignment");
            assert_eq!(vmo.op_range(VmoOp::DECOMMIT, 1, 3 * PAGE), Err(Status::OUT_OF_RANGE), "after the range");
            assert_eq!(vmo.op_range(VmoOp::DECOMMIT, 1, 0), Ok(()), "after nothing at all");
        }
        assert_eq!((content(&root), content(&copy)), (vec![1, 2, 3], vec![1, 2, 3]));
        // The one that is left is like any other, and so are its windows and references.
        drop(root);
        drop(window);
        let same = reference(&copy);
        assert_eq!(op(&copy, VmoOp::DECOMMIT, 0, 1), Ok(()));
        assert_eq!(copy.op_range(VmoOp::DECOMMIT, 1, PAGE), Err(Status::INVALID_ARGS));
        assert_eq!(op(&same, VmoOp::DECOMMIT, 1, 1), Ok(()));
        assert_eq!((content(&copy), committed(&copy)), (vec![0, 0, 3], 1));
    }
}

#[test]
fn decommit_on_a_parent_again_when_its_copies_are_gone() {
    let root = written(3);
    let (a, b) = (snapshot(&root), snapshot(&root));
    let of_a = snapshot(&a);
    for gone in [a, b, of_a] {
        assert_eq!(op(&root, VmoOp::DECOMMIT, 0, 3), Err(Status::NOT_SUPPORTED));
        drop(gone);
    }
    assert_eq!(op(&root, VmoOp::DECOMMIT, 0, 3), Ok(()));
    assert_eq!((content(&root), committed(&root)), (vec![0; 3], 0));
}

#[test]
fn decommit_and_commit_through_windows_and_references() {
    let region = Region::new(4);
    let root = written(4);
    let at = region.map(0, &root, 0, 4, RW);
    let (window, same) = (child(&root, C::SLICE, 1, 2), reference(&root));
    assert_eq!(op(&window, VmoOp::DECOMMIT, 1, 2), Err(Status::OUT_OF_RANGE), "judged against the window");
    assert_eq!(op(&window, VmoOp::DECOMMIT, 1, 1), Ok(()));
    assert_eq!((content(&root), common::peek(at + 2 * P)), (vec![1, 2, 0, 4], 0));
    assert_eq!(op(&same, VmoOp::DECOMMIT, 0, 1), Ok(()));
    assert_eq!(content(&root), [0, 2, 0, 4]);
    assert_eq!(op(&root, VmoOp::DECOMMIT, 0, 4), Ok(()));
    assert_eq!(op(&window, VmoOp::COMMIT, 0, 1), Ok(()));
    assert_eq!((committed(&root), content(&window)), (1, vec![0, 0]));
    assert_eq!(op(&same, VmoOp::COMMIT, 3, 1), Ok(()));
    assert_eq!(committed(&root), 2);
}

#[test]
fn zero_is_for_one_side() {
    for kind in SNAPSHOTS {
        for of_child in [true, false] {
            let root = written(4);
            let copy = child(&root, kind, 0, 4);
            let (who, other) = if of_child { (&copy, &root) } else { (&root, &copy) };
            // Two whole pages, and ten bytes on either side of them.
            assert_eq!(who.op_range(VmoOp::ZERO, PAGE - 10, 2 * PAGE + 20), Ok(()));
            assert_eq!(who.read_to_array(PAGE - 11), Ok([1_u8, 0]));
            assert_eq!(who.read_to_array(3 * PAGE + 9), Ok([0_u8, 4]));
            assert_eq!([page_at(who, PAGE), page_at(who, 2 * PAGE)], [0; 2]);
            assert_eq!(content(other), [1, 2, 3, 4]);
            assert_eq!(Figures::of(who), Figures::new(2, 2, Amount::pages(2)), "whole pages of zeros are nothing");
            assert_eq!(Figures::of(other), Figures::new(4, 4, Amount::pages(4)), "nobody else sees its pages any more");
            // What was zeroed can be written, and a later copy has the zeros.
            fill(who, 1, 9);
            assert_eq!(content(&child(who, kind, 1, 2)), [9, 0]);
            assert_eq!(content(other), [1, 2, 3, 4]);
        }
    }
}

#[test]
fn zero_of_what_is_zero_commits_nothing() {
    let root = empty(3);
    let copy = snapshot(&root);
    for vmo in [&root, &copy] {
        assert_eq!(vmo.op_range(VmoOp::ZERO, 5, 2 * PAGE), Ok(()));
        assert_eq!(committed(vmo), 0);
    }
    fill(&root, 0, 1);
    let copy = snapshot(&root);
    assert_eq!(op(&copy, VmoOp::ZERO, 0, 1), Ok(()));
    assert_eq!(copy.op_range(VmoOp::ZERO, 10, 100), Ok(()), "a part of what was zeroed");
    assert_eq!((committed(&copy), committed(&root), content(&copy)), (0, 1, vec![0; 3]));
}

#[test]
fn zero_through_windows_and_references() {
    let root = written(4);
    let (window, same, copy) = (child(&root, C::SLICE, 1, 2), reference(&root), snapshot(&root));
    assert_eq!(op(&window, VmoOp::ZERO, 0, 1), Ok(()));
    assert_eq!(op(&same, VmoOp::ZERO, 3, 1), Ok(()));
    assert_eq!(op(&window, VmoOp::ZERO, 1, 2), Err(Status::OUT_OF_RANGE));
    assert_eq!((content(&root), content(&copy)), (vec![1, 0, 3, 0], vec![1, 2, 3, 4]));
    assert_eq!(committed(&root), 2);
}

#[test]
fn families_cannot_be_locked() {
    let root = written(1);
    for vmo in [&root, &snapshot(&root), &child(&root, C::SLICE, 0, 1), &reference(&root)] {
        for kind in [VmoOp::LOCK, VmoOp::TRY_LOCK, VmoOp::UNLOCK] {
            assert_eq!(op(vmo, kind, 0, 1), Err(Status::NOT_SUPPORTED), "{kind:?}");
        }
    }
}

#[test]
fn hints_and_caches_change_nothing() {
    let root = count_up(empty_resizable(2));
    let copy = snapshot(&root);
    let before = [&root, &copy].map(Figures::of);
    for vmo in [&root, &copy, &reference(&root)] {
        for kind in [VmoOp::CACHE_SYNC, VmoOp::CACHE_CLEAN, VmoOp::CACHE_CLEAN_INVALIDATE, VmoOp::PREFETCH] {
            assert_eq!(op(vmo, kind, 0, 2), Ok(()), "{kind:?}");
        }
        for kind in [VmoOp::DONT_NEED, VmoOp::ALWAYS_NEED] {
            assert_eq!(vmo.op_range(kind, u64::MAX, u64::MAX), Ok(()), "{kind:?}");
        }
    }
    let blank = snapshot(&empty(2));
    assert_eq!(op(&blank, VmoOp::PREFETCH, 0, 2), Ok(()));
    assert_eq!(committed(&blank), 0, "never commits");
    assert_eq!([&root, &copy].map(Figures::of), before);
}
