//! `transfer_data`: pages that move, what is left where they were, and every documented refusal.

mod common;

use common::family::{
    PAGE, SNAPSHOTS, child, content, count_up, empty, empty_resizable, no_handle, reference, snapshot, without,
    written, wrong_handle,
};
use common::{RW, Region, peek, poke};
use zx::{Rights, Status, TransferDataOptions, Vmo, VmoChildOptions};
use zxvm as zx;

/// Moves `pages` pages.
fn transfer(dst: &Vmo, to: u64, pages: u64, src: &Vmo, from: u64) -> Result<(), Status> {
    dst.transfer_data(TransferDataOptions::empty(), to * PAGE, pages * PAGE, src, from * PAGE)
}

#[test]
fn pages_move() {
    let (dst, src) = (empty(4), written(4));
    assert_eq!(transfer(&dst, 1, 2, &src, 2), Ok(()));
    assert_eq!((content(&dst), content(&src)), (vec![0, 3, 4, 0], vec![1, 2, 0, 0]));
    let committed = |vmo: &Vmo| vmo.info().unwrap().committed_bytes;
    assert_eq!((committed(&dst), committed(&src)), (2 * PAGE, 2 * PAGE), "as many pages as before, elsewhere");
    // Both are what they were before: fit for everything.
    common::family::fill(&src, 2, 7);
    common::family::fill(&dst, 1, 8);
    assert_eq!((content(&dst), content(&src)), (vec![0, 8, 4, 0], vec![1, 2, 7, 0]));
}

#[test]
fn zeros_move_too() {
    let (dst, src) = (written(4), empty(4));
    assert_eq!(transfer(&dst, 1, 2, &src, 0), Ok(()));
    assert_eq!((content(&dst), content(&src)), (vec![1, 0, 0, 4], vec![0; 4]));
}

#[test]
fn ranges_of_one_vmo_may_overlap() {
    // As memmove, then what the source had and the destination did not cover is zero.
    let up = written(6);
    assert_eq!(transfer(&up, 2, 3, &up, 1), Ok(()));
    assert_eq!(content(&up), [1, 0, 2, 3, 4, 6]);
    let down = written(6);
    assert_eq!(transfer(&down, 1, 3, &down, 2), Ok(()));
    assert_eq!(content(&down), [1, 3, 4, 5, 0, 6]);
    let apart = written(6);
    assert_eq!(transfer(&apart, 4, 2, &apart, 0), Ok(()));
    assert_eq!(content(&apart), [0, 0, 3, 4, 1, 2]);
    let by_another_handle = apart.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    assert_eq!(transfer(&by_another_handle, 3, 2, &apart, 4), Ok(()));
    assert_eq!(content(&apart), [0, 0, 3, 1, 2, 0]);
}

#[test]
fn onto_itself_is_nothing_however_long() {
    let vmo = written(2);
    let same = vmo.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    assert_eq!(transfer(&vmo, 1, 1, &same, 1), Ok(()));
    assert_eq!(transfer(&vmo, 0, 100, &same, 0), Ok(()), "before the range");
    assert_eq!(content(&vmo), [1, 2]);
}

#[test]
fn options_come_first() {
    let all = |dst: &Vmo, offset, length, src: &Vmo, src_offset| {
        let options = TransferDataOptions::from_bits_retain(1);
        dst.transfer_data(options, offset, length, src, src_offset)
    };
    assert_eq!(all(&no_handle(), 0, PAGE, &no_handle(), 0), Err(Status::INVALID_ARGS));
    assert_eq!(all(&empty(1), 0, PAGE, &empty(1), 0), Err(Status::INVALID_ARGS));
}

#[test]
fn whole_pages_come_second() {
    let plain = |dst: &Vmo, offset, length, src: &Vmo, src_offset| {
        dst.transfer_data(TransferDataOptions::empty(), offset, length, src, src_offset)
    };
    for (offset, length, src_offset) in [(1, PAGE, 0), (0, PAGE - 1, 0), (0, PAGE, PAGE + 1), (u64::MAX, 0, 0)] {
        assert_eq!(plain(&no_handle(), offset, length, &no_handle(), src_offset), Err(Status::INVALID_ARGS));
        assert_eq!(plain(&empty(4), offset, length, &written(4), src_offset), Err(Status::INVALID_ARGS));
    }
}

#[test]
fn then_the_handles() {
    let (dst, src) = (empty(1), written(1));
    let bad = [(Status::BAD_HANDLE, no_handle()), (Status::WRONG_TYPE, wrong_handle())];
    for (status, handle) in &bad {
        assert_eq!(transfer(handle, 0, 1, &src, 0), Err(*status));
        assert_eq!(transfer(&dst, 0, 1, handle, 0), Err(*status));
        // The destination first, whatever the source is.
        assert_eq!(transfer(handle, 0, 1, &without(&src, Rights::IO), 0), Err(*status));
        assert_eq!(transfer(&without(&dst, Rights::WRITE), 0, 1, handle, 0), Err(Status::ACCESS_DENIED));
    }
    assert_eq!(transfer(&no_handle(), 0, 1, &wrong_handle(), 0), Err(Status::BAD_HANDLE));
    assert_eq!(transfer(&wrong_handle(), 0, 1, &no_handle(), 0), Err(Status::WRONG_TYPE));
    for lacking in [Rights::READ, Rights::WRITE] {
        assert_eq!(transfer(&dst, 0, 1, &without(&src, lacking), 0), Err(Status::ACCESS_DENIED));
        // Rights come before the range.
        assert_eq!(transfer(&dst, 0, 9, &without(&src, lacking), 0), Err(Status::ACCESS_DENIED));
    }
    assert_eq!(content(&src), [1]);
    assert_eq!(transfer(&without(&dst, Rights::READ), 0, 1, &src, 0), Ok(()), "the destination needs WRITE alone");
    assert_eq!((content(&dst), content(&src)), (vec![1], vec![0]));
}

#[test]
fn then_the_ranges_and_nothing_is_lost() {
    let (dst, src) = (written(4), count_up(empty_resizable(4)));
    for (to, pages, from) in [(0, 1, 4), (0, 5, 0), (0, 2, 3), (3, 2, 0), (4, 1, 0), (1 << 51, 1, 0), (0, 1, 1 << 51)] {
        assert_eq!(transfer(&dst, to, pages, &src, from), Err(Status::OUT_OF_RANGE), "{to} {pages} {from}");
    }
    let far = u64::MAX - PAGE + 1;
    let wrapping = dst.transfer_data(TransferDataOptions::empty(), far, 2 * PAGE, &src, 0);
    assert_eq!(wrapping, Err(Status::OUT_OF_RANGE));
    let wrapping = dst.transfer_data(TransferDataOptions::empty(), 0, 2 * PAGE, &src, far);
    assert_eq!(wrapping, Err(Status::OUT_OF_RANGE));
    assert_eq!((content(&dst), content(&src)), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
    assert_eq!(transfer(&dst, 4, 0, &src, 4), Ok(()), "nothing, at the ends");
    assert_eq!(transfer(&dst, 5, 0, &src, 0), Err(Status::OUT_OF_RANGE));
}

#[test]
fn snapshots_keep_what_they_hold() {
    for kind in SNAPSHOTS {
        // Of the source, of the destination, and both at once.
        let (dst, src) = (count_up(empty(3)), written(3));
        let (of_dst, of_src) = (child(&dst, kind, 0, 3), child(&src, kind, 0, 3));
        assert_eq!(transfer(&dst, 0, 2, &src, 1), Ok(()));
        assert_eq!((content(&dst), content(&src)), (vec![2, 3, 3], vec![1, 0, 0]));
        assert_eq!((content(&of_dst), content(&of_src)), (vec![1, 2, 3], vec![1, 2, 3]));

        // From a snapshot, which has no page of its own yet, to another one.
        let (from, to) = (child(&of_src, kind, 0, 3), child(&of_dst, kind, 0, 3));
        assert_eq!(transfer(&to, 1, 1, &from, 2), Ok(()));
        assert_eq!((content(&to), content(&from)), (vec![1, 3, 3], vec![1, 2, 0]));
        assert_eq!((content(&of_dst), content(&of_src)), (vec![1, 2, 3], vec![1, 2, 3]));
        assert_eq!((content(&dst), content(&src)), (vec![2, 3, 3], vec![1, 0, 0]));

        // What moved is the mover's alone: it can be written without anyone else seeing it.
        common::family::fill(&to, 1, 9);
        assert_eq!((content(&to), content(&of_src), content(&of_dst)), (vec![1, 9, 3], vec![1, 2, 3], vec![1, 2, 3]));
    }
}

#[test]
fn between_parent_and_child() {
    let parent = written(3);
    let copy = snapshot(&parent);
    assert_eq!(transfer(&copy, 2, 1, &parent, 0), Ok(()));
    assert_eq!((content(&parent), content(&copy)), (vec![0, 2, 3], vec![1, 2, 1]));
    assert_eq!(transfer(&parent, 0, 3, &copy, 0), Ok(()));
    assert_eq!((content(&parent), content(&copy)), (vec![1, 2, 1], vec![0, 0, 0]));
}

#[test]
fn through_windows_and_references() {
    let (dst, src) = (written(4), written(4));
    let (window, other) = (child(&dst, VmoChildOptions::SLICE, 1, 2), reference(&src));
    assert_eq!(transfer(&window, 0, 2, &other, 2), Ok(()));
    assert_eq!((content(&dst), content(&src)), (vec![1, 3, 4, 4], vec![1, 2, 0, 0]));
    assert_eq!((content(&window), content(&other)), (vec![3, 4], vec![1, 2, 0, 0]));
    // The range is judged against the window.
    assert_eq!(transfer(&window, 1, 2, &other, 0), Err(Status::OUT_OF_RANGE));
    assert_eq!(transfer(&src, 0, 3, &window, 0), Err(Status::OUT_OF_RANGE));
    assert_eq!(content(&dst), [1, 3, 4, 4]);
    // The other way round.
    assert_eq!(transfer(&other, 2, 2, &window, 0), Ok(()));
    assert_eq!((content(&dst), content(&src)), (vec![1, 0, 0, 4], vec![1, 2, 3, 4]));
    // A window and what it is a window of have the same pages: as within one VMO.
    let window = child(&src, VmoChildOptions::SLICE, 1, 3);
    assert_eq!(transfer(&src, 0, 3, &window, 0), Ok(()));
    assert_eq!(content(&src), [2, 3, 4, 0]);
}

#[test]
fn mappings_follow() {
    let region = Region::new(12);
    let (dst, src) = (empty(4), written(4));
    let (to, from) = (region.map(0, &dst, 0, 4, RW), region.map(4, &src, 0, 4, RW));
    let copy = snapshot(&src);
    let of_copy = region.map(8, &copy, 0, 4, RW);
    let shown = |at: usize| -> Vec<u8> { (0..4).map(|page| peek(at + page * common::P)).collect() };
    assert_eq!((shown(to), shown(from), shown(of_copy)), (vec![0; 4], vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
    assert_eq!(transfer(&dst, 0, 2, &src, 1), Ok(()));
    assert_eq!((shown(to), shown(from), shown(of_copy)), (vec![2, 3, 0, 0], vec![1, 0, 0, 4], vec![1, 2, 3, 4]));
    // Stores go to where the pages are now.
    for (at, byte) in [(to, 20), (from, 30), (of_copy, 40)] {
        (0..4).for_each(|page| (0..common::P).for_each(|i| poke(at + page * common::P + i, byte + page as u8)));
    }
    assert_eq!(content(&dst), [20, 21, 22, 23]);
    assert_eq!(content(&src), [30, 31, 32, 33]);
    assert_eq!(content(&copy), [40, 41, 42, 43]);
}
