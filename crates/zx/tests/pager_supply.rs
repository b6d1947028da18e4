//! Supplying pages: the order of checks, that pages move, and that what is there wins.

mod common;

use common::family::{PAGE, empty, page_at, without, wrong_handle};
use common::pager::{
    FREE, NEW, TRAP, TestPager, byte_of, bytes, committed, op, read_page, read_pages, with, write_pages,
};
use common::{P, RW, Region, peek, poke};
use zx::{Event, NullableHandle, Pager, PagerOptions, Rights, Status, Vmo, VmoChildOptions, VmoOp, VmoOptions};
use zxvm as zx;

fn no_vmo() -> Vmo {
    NullableHandle::invalid().into()
}

/// A VMO of so many pages, which hold 0x40, 0x41 and so on.
fn letters(pages: u64) -> Vmo {
    let vmo = empty(pages);
    for page in 0..pages {
        vmo.write(&[0x40 + page as u8; P], page * PAGE).unwrap();
    }
    vmo
}

#[test]
fn errors_come_in_order() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 2);
    let (no_pager, wrong_pager): (Pager, Pager) =
        (NullableHandle::invalid().into(), Event::create().into_handle().into());
    let weak_pager = Pager::create(PagerOptions::empty()).unwrap();
    let weak_pager = weak_pager.replace_handle(Rights::INSPECT | Rights::ATTACH_VMO).unwrap();

    // Whole pages, whatever the handles are.
    for (range, aux_offset) in [(1..PAGE + 1, 0), (0..PAGE + 1, 0), (0..1, 0), (PAGE - 1..PAGE, 0), (0..PAGE, 1)] {
        assert_eq!(no_pager.supply_pages(&no_vmo(), range, &no_vmo(), aux_offset), Err(Status::INVALID_ARGS));
    }
    // The pager.
    for (pager, status) in
        [(&no_pager, Status::BAD_HANDLE), (&wrong_pager, Status::WRONG_TYPE), (&weak_pager, Status::ACCESS_DENIED)]
    {
        assert_eq!(pager.supply_pages(&no_vmo(), 0..PAGE, &no_vmo(), 0), Err(status));
    }
    // The VMO.
    let reader = without(&vmo, Rights::WRITE);
    let stranger = TestPager::new().vmo(FREE, 2);
    let clone = vmo.create_child(VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE, 0, PAGE).unwrap();
    let slice = vmo.create_child(VmoChildOptions::SLICE, 0, PAGE).unwrap();
    let reference = vmo.create_child(VmoChildOptions::REFERENCE, 0, 0).unwrap();
    for (vmo, status) in [
        (&no_vmo(), Status::BAD_HANDLE),
        (&wrong_handle(), Status::WRONG_TYPE),
        (&reader, Status::ACCESS_DENIED),
        (&*stranger, Status::INVALID_ARGS),
        (&clone, Status::INVALID_ARGS),
        (&slice, Status::INVALID_ARGS),
        (&reference, Status::INVALID_ARGS),
        (&empty(1), Status::INVALID_ARGS),
    ] {
        assert_eq!(pager.pager.supply_pages(vmo, 0..PAGE, &no_vmo(), 0), Err(status));
    }
    // What is supplied.
    let plain = letters(2);
    let supply = |range, aux: &Vmo, aux_offset| pager.pager.supply_pages(&vmo, range, aux, aux_offset);
    for (aux, status) in [
        (&no_vmo(), Status::BAD_HANDLE),
        (&wrong_handle(), Status::WRONG_TYPE),
        (&without(&plain, Rights::READ), Status::ACCESS_DENIED),
        (&without(&plain, Rights::WRITE), Status::ACCESS_DENIED),
    ] {
        // Also where the range is none of the VMO's.
        assert_eq!(supply(2 * PAGE..3 * PAGE, aux, 0), Err(status));
    }
    for aux_offset in [PAGE, 2 * PAGE, u64::MAX - PAGE + 1] {
        assert_eq!(supply(2 * PAGE..4 * PAGE, &plain, aux_offset), Err(Status::OUT_OF_RANGE));
    }
    assert_eq!(supply(0..PAGE, &stranger, 0), Err(Status::NOT_SUPPORTED), "it has a pager");
    assert_eq!(supply(0..PAGE, &vmo, 0), Err(Status::NOT_SUPPORTED), "it has a pager");
    let parent = letters(2);
    let child = parent.create_child(VmoChildOptions::SNAPSHOT, 0, 2 * PAGE).unwrap();
    for relative in [&parent, &child] {
        assert_eq!(supply(0..PAGE, relative, 0), Err(Status::BAD_STATE));
        assert_eq!(page_at(relative, 0), 0x40);
    }
    // Nothing is always there.
    assert_eq!(supply(9 * PAGE..9 * PAGE, &plain, 0), Ok(()));
    // Up to here nothing has been taken.
    assert_eq!((page_at(&plain, 0), page_at(&plain, PAGE), committed(&plain), committed(&vmo)), (0x40, 0x41, 2, 0));
    pager.expect_nothing();
}

#[test]
fn what_is_refused_late_is_gone_from_where_it_was() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 2);
    for range in [1..3, 2..4, 1 << 40..(1 << 40) + 2] {
        let aux = letters(3);
        assert_eq!(pager.pager.supply_pages(&vmo, bytes(&range), &aux, PAGE), Err(Status::OUT_OF_RANGE), "{range:?}");
        assert_eq!(read_pages(&aux, 0..3), Ok(vec![0x40, 0, 0]), "{range:?}");
    }
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
    let aux = letters(1);
    assert_eq!(pager.pager.supply_pages(&vmo, 0..PAGE, &aux, 0), Err(Status::BAD_STATE));
    assert_eq!((page_at(&aux, 0), committed(&aux), committed(&vmo)), (0, 0, 0));
}

#[test]
fn pages_move() {
    let (pager, region) = (TestPager::new(), Region::new(16));
    let vmo = pager.vmo(FREE, 8);
    let aux = letters(6);
    let (at, seen) = (region.map(0, &aux, 0, 6, RW), region.map(8, &vmo, 0, 8, RW));
    assert_eq!(peek(at + 2 * P), 0x42);
    assert_eq!(pager.pager.supply_pages(&vmo, bytes(&(5..8)), &aux, 2 * PAGE), Ok(()));
    assert_eq!(read_pages(&vmo, 5..8), Ok(vec![0x42, 0x43, 0x44]));
    assert_eq!([peek(seen + 5 * P), peek(seen + 7 * P + 9)], [0x42, 0x44]);
    // Where they were is zero, through mappings too; what was not asked for is untouched.
    assert_eq!(committed(&aux), 3);
    assert_eq!(read_pages(&aux, 0..6), Ok(vec![0x40, 0x41, 0, 0, 0, 0x45]));
    assert_eq!([peek(at + P), peek(at + 2 * P), peek(at + 4 * P), peek(at + 5 * P)], [0x41, 0, 0, 0x45]);
    // Nothing is shared.
    poke(at + 2 * P, 1);
    poke(seen + 5 * P + 1, 2);
    assert_eq!(vmo.read_to_array::<u8, 2>(5 * PAGE), Ok([0x42, 2]));
    assert_eq!(aux.read_to_array::<u8, 2>(2 * PAGE), Ok([1, 0]));
    let info = vmo.info().unwrap();
    assert_eq!((info.committed_bytes, info.committed_private_bytes), (3 * PAGE, 3 * PAGE));
}

#[test]
fn what_is_supplied_is_clean() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.full(options, 3);
        assert_eq!((pager.all_dirty(&vmo), pager.modified(&vmo), committed(&vmo)), (vec![], false, 3));
        // What a pager has saved nothing of it can be asked for again.
        assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
        assert_eq!(committed(&vmo), 0);
    }
}

#[test]
fn what_was_never_written_is_supplied_as_zeros_without_pages() {
    let (pager, region) = (TestPager::new(), Region::new(3));
    let vmo = pager.vmo(FREE, 3);
    let aux = empty(3);
    aux.write(&[NEW], PAGE).unwrap();
    assert_eq!(pager.pager.supply_pages(&vmo, bytes(&(0..3)), &aux, 0), Ok(()));
    assert_eq!(committed(&vmo), 1);
    assert_eq!([0, PAGE, PAGE + 1, 2 * PAGE].map(|at| vmo.read_to_object::<u8>(at)), [Ok(0), Ok(NEW), Ok(0), Ok(0)]);
    assert_eq!(committed(&vmo), 1, "reading brings nothing");
    let at = region.map(0, &vmo, 0, 3, RW);
    assert_eq!([peek(at), peek(at + P), peek(at + 2 * P)], [0, NEW, 0]);
    assert_eq!(pager.all_dirty(&vmo), []);
    pager.expect_nothing();
}

#[test]
fn what_is_there_wins() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.vmo(options | VmoOptions::RESIZABLE, 5);
        // Clean, clean and zero, dirty, being saved, zeroed; and grown behind them.
        pager.supply(&vmo, 0..1);
        pager.supply_zeros(&vmo, 1..2);
        pager.supply(&vmo, 2..4);
        if options == TRAP {
            pager.dirty(&vmo, 2..4);
        }
        write_pages(&vmo, 2..4).unwrap();
        pager.begin(&vmo, 3..4);
        op(&vmo, VmoOp::ZERO, 4..5).unwrap();
        vmo.set_size(6 * PAGE).unwrap();
        let before = (pager.all_dirty(&vmo), committed(&vmo));
        assert_eq!(before, (vec![(2..4, false), (4..6, true)], 3));

        let aux = letters(6);
        assert_eq!(pager.pager.supply_pages(&vmo, bytes(&(0..6)), &aux, 0), Ok(()));
        assert_eq!(read_pages(&vmo, 0..6), Ok(vec![byte_of(0), 0, NEW, NEW, 0, 0]));
        assert_eq!((pager.all_dirty(&vmo), committed(&vmo)), before);
        assert_eq!(committed(&aux), 0, "it is taken all the same");
        pager.end(&vmo, 3..4);
        assert_eq!(pager.all_dirty(&vmo), [(2..3, false), (4..6, true)]);
    }
}

#[test]
fn only_what_is_absent_is_supplied() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 6);
    pager.supply(&vmo, 1..2);
    pager.supply(&vmo, 4..5);
    assert_eq!(pager.pager.supply_pages(&vmo, bytes(&(0..6)), &letters(6), 0), Ok(()));
    assert_eq!(read_pages(&vmo, 0..6), Ok(vec![0x40, byte_of(1), 0x42, 0x43, byte_of(4), 0x45]));
    assert_eq!(committed(&vmo), 6);
}

#[test]
fn several_requests_are_met_by_one_supply() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 8);
    let (a, b) = (with(&vmo, |vmo| read_pages(vmo, 0..2)), with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 6..8)));
    let mut asked = [pager.next().1, pager.next().1];
    asked.sort_by_key(|asked| format!("{asked:?}"));
    assert_eq!(asked, [common::pager::Asked::Read(0..2), common::pager::Asked::Read(6..8)]);
    pager.supply(&vmo, 0..8);
    assert_eq!((a.end(), b.end()), (Ok(vec![1, 2]), Ok(())));
    // Also what nobody had asked for is there.
    assert_eq!(read_page(&vmo, 4), Ok(byte_of(4)));
    pager.expect_nothing();
}

#[test]
fn one_request_is_met_by_many_supplies_in_any_order() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 6);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 0..6));
    pager.expect_read(0..6);
    for pages in [5..6, 2..4, 0..1, 4..5] {
        pager.supply(&vmo, pages);
        commit.waits();
    }
    pager.supply_zeros(&vmo, 1..2);
    assert_eq!(commit.end(), Ok(()));
    assert_eq!(read_pages(&vmo, 0..6), Ok(vec![1, 0, 3, 4, 5, 6]));
    assert_eq!(committed(&vmo), 6, "the commit gives the zeros a page");
    assert_eq!(pager.all_dirty(&vmo), []);
    pager.expect_nothing();
}

#[test]
fn more_than_a_step_at_once() {
    let (pager, region) = (TestPager::new(), Region::new(3000));
    let vmo = pager.vmo(FREE, 3000);
    let aux = empty(3000);
    for page in 0..3000 {
        aux.write(&u64::to_ne_bytes(page), page * PAGE).unwrap();
    }
    let at = region.map(0, &vmo, 0, 3000, RW);
    assert_eq!(pager.pager.supply_pages(&vmo, bytes(&(0..3000)), &aux, 0), Ok(()));
    assert_eq!((committed(&vmo), committed(&aux)), (3000, 0));
    for page in 0..3000 {
        assert_eq!(vmo.read_to_object::<u64>(page * PAGE), Ok(page));
        assert_eq!(peek(at + page as usize * P), page as u8);
    }
}
