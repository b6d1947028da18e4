//! Pagers and their VMOs come and go: the order of checks, rights and sizes, and who is told when one of them goes.

mod common;

use std::sync::Arc;

use common::family::{DISCARDABLE, LARGEST, PAGE, without, wrong_handle};
use common::pager::{
    Asked, BEGIN, FREE, KEY, NEW, TRAP, TestPager, byte_of, committed, op, read_page, read_pages, with, write_pages,
};
use common::{P, RW, Region, peek, try_peek, try_poke};
use zx::{
    Event, MonotonicInstant, NullableHandle, Pager, PagerOp, PagerOptions, Port, Rights, Signals, Status, Vmo,
    VmoChildOptions, VmoInfoFlags, VmoOp, VmoOptions,
};
use zxvm as zx;

const CLONE: VmoChildOptions = VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE;
const NOTHING: VmoOptions = VmoOptions::from_bits_retain(1 << 31);

fn no_pager() -> Pager {
    NullableHandle::invalid().into()
}

fn wrong_pager() -> Pager {
    Event::create().into_handle().into()
}

/// A pager without these rights. There is one handle to it.
fn weak_pager(rights: Rights) -> Pager {
    let pager = Pager::create(PagerOptions::empty()).unwrap();
    let held = pager.basic_info().unwrap().rights;
    pager.replace_handle(held - rights).unwrap()
}

fn rights_of(vmo: &Vmo) -> Rights {
    vmo.basic_info().unwrap().rights
}

// ---- Making them ----

#[test]
fn a_pager_has_few_rights() {
    assert_eq!(Pager::create(PagerOptions::from_bits_retain(1)).err(), Some(Status::INVALID_ARGS));
    let pager = Pager::create(PagerOptions::empty()).unwrap();
    let rights = Rights::INSPECT | Rights::TRANSFER | Rights::ATTACH_VMO | Rights::MANAGE_VMO;
    assert_eq!(pager.basic_info().unwrap().rights, rights);
    assert_eq!(pager.basic_info().unwrap().object_type, zx::ObjectType::PAGER);
    assert_eq!(pager.duplicate_handle(Rights::SAME_RIGHTS).err(), Some(Status::ACCESS_DENIED));
    let waited = pager.wait_one(Signals::USER_0, MonotonicInstant::INFINITE_PAST);
    assert_eq!(waited, zx::WaitResult::Err(Status::ACCESS_DENIED));
    assert_eq!(pager.signal(Signals::NONE, Signals::USER_0), Err(Status::ACCESS_DENIED));
    assert_eq!(pager.get_name(), Err(Status::ACCESS_DENIED));
    assert_eq!(pager.count_info().unwrap().handle_count, 1);
}

#[test]
fn errors_of_creating_come_in_order() {
    let pager = Pager::create(PagerOptions::empty()).unwrap();
    let port = Port::create();
    let no_port: Port = NullableHandle::invalid().into();
    let wrong_port: Port = Event::create().into_handle().into();
    let weak_port = port.duplicate_handle(Rights::READ | Rights::INSPECT).unwrap();
    let create = |pager: &Pager, options, port: &Port, size| pager.create_vmo(options, port, KEY, size).err();

    // The pager, whatever else is wrong.
    for (pager, status) in [
        (no_pager(), Status::BAD_HANDLE),
        (wrong_pager(), Status::WRONG_TYPE),
        (weak_pager(Rights::ATTACH_VMO), Status::ACCESS_DENIED),
    ] {
        assert_eq!(create(&pager, NOTHING, &no_port, u64::MAX), Some(status));
        assert_eq!(create(&pager, FREE, &port, PAGE), Some(status));
    }
    // Then the port.
    for (port, status) in
        [(&no_port, Status::BAD_HANDLE), (&wrong_port, Status::WRONG_TYPE), (&weak_port, Status::ACCESS_DENIED)]
    {
        assert_eq!(create(&pager, NOTHING, port, u64::MAX), Some(status));
        assert_eq!(create(&pager, FREE, port, PAGE), Some(status));
    }
    // Then what it is to be.
    for options in [NOTHING, DISCARDABLE, DISCARDABLE | TRAP, VmoOptions::from_bits_retain(1)] {
        assert_eq!(create(&pager, options, &port, PAGE), Some(Status::INVALID_ARGS), "{options:?}");
    }
    for size in [u64::MAX, LARGEST + 1, LARGEST + PAGE] {
        for options in [FREE, TRAP, VmoOptions::RESIZABLE] {
            assert_eq!(create(&pager, options, &port, size), Some(Status::OUT_OF_RANGE), "{size:#x}");
        }
    }
    // What is refused has told the port nothing.
    assert_eq!(port.wait(MonotonicInstant::INFINITE_PAST).err(), Some(Status::TIMED_OUT));
    // What creating does not ask for it need not have.
    let weak = weak_pager(Rights::MANAGE_VMO | Rights::INSPECT | Rights::TRANSFER);
    assert_eq!(create(&weak, TRAP, &port.duplicate_handle(Rights::WRITE).unwrap(), PAGE), None);
}

#[test]
fn only_pagers_make_vmos_that_trap() {
    for options in [TRAP, TRAP | VmoOptions::RESIZABLE] {
        assert_eq!(Vmo::create_with_opts(options, PAGE).err(), Some(Status::INVALID_ARGS));
    }
}

#[test]
fn a_new_vmo_has_nothing_and_is_not_modified() {
    let pager = TestPager::new();
    for (options, rights) in [
        (FREE, Rights::VMO_DEFAULT),
        (TRAP, Rights::VMO_DEFAULT),
        (VmoOptions::RESIZABLE, Rights::VMO_DEFAULT | Rights::RESIZE),
        (VmoOptions::RESIZABLE | TRAP, Rights::VMO_DEFAULT | Rights::RESIZE),
    ] {
        let vmo = pager.pager.create_vmo(options, &pager.port, KEY, 2 * PAGE + 1).unwrap();
        assert_eq!((rights_of(&vmo), vmo.get_size()), (rights, Ok(3 * PAGE)));
        assert_eq!(vmo.get_stream_size(), Ok(2 * PAGE + 1), "not rounded");
        let info = vmo.info().unwrap();
        let resizable = options.contains(VmoOptions::RESIZABLE);
        assert!(info.flags.contains(VmoInfoFlags::PAGER_BACKED | VmoInfoFlags::PAGED));
        assert_eq!(info.flags.contains(VmoInfoFlags::RESIZABLE), resizable);
        assert!(!info.flags.contains(VmoInfoFlags::IS_COW_CLONE));
        assert_eq!((info.committed_bytes, info.num_children, info.parent_koid.raw_koid()), (0, 0, 0));
        assert!(!pager.modified(&vmo));
        assert_eq!(pager.all_dirty(&vmo), []);
        vmo.wait_one(Signals::VMO_ZERO_CHILDREN, MonotonicInstant::INFINITE_PAST).unwrap();

        let child = vmo.create_child(CLONE, 0, PAGE).unwrap();
        assert!(child.info().unwrap().flags.contains(VmoInfoFlags::PAGER_BACKED | VmoInfoFlags::IS_COW_CLONE));
        let waited = vmo.wait_one(Signals::VMO_ZERO_CHILDREN, MonotonicInstant::INFINITE_PAST);
        assert!(matches!(waited, zx::WaitResult::TimedOut(_)), "it has a child: {waited:?}");
    }
    pager.port.wait(MonotonicInstant::INFINITE_PAST).expect("each has said that it is gone");
    let plain = Vmo::create(PAGE).unwrap();
    assert!(!plain.info().unwrap().flags.contains(VmoInfoFlags::PAGER_BACKED));
}

#[test]
fn sizes_from_nothing_to_the_largest() {
    let pager = TestPager::new();
    let empty = pager.vmo(FREE, 0);
    assert_eq!((empty.get_size(), empty.read(&mut [], 0), empty.write(&[], 0)), (Ok(0), Ok(()), Ok(())));
    assert_eq!(empty.read(&mut [0], 0), Err(Status::OUT_OF_RANGE));
    assert_eq!(pager.all_dirty(&empty), []);
    assert_eq!(pager.op(BEGIN, &empty, 0..0), Ok(()));

    let last = LARGEST / PAGE - 1;
    let vmo = pager.vmo(FREE, last + 1);
    let read = with(&vmo, move |vmo| read_page(vmo, last));
    pager.expect_read(last..last + 1);
    pager.supply(&vmo, last..last + 1);
    assert_eq!(read.end(), Ok(byte_of(last)));
    assert_eq!(committed(&vmo), 1);
}

#[test]
fn one_key_may_be_used_for_many() {
    let pager = TestPager::new();
    let (a, b) = (pager.vmo(FREE, 1), pager.vmo(FREE, 2));
    let read_a = with(&a, |vmo| read_page(vmo, 0));
    pager.expect_read(0..1);
    let read_b = with(&b, |vmo| read_page(vmo, 1));
    pager.expect_read(1..2);
    pager.supply(&b, 1..2);
    assert_eq!(read_b.end(), Ok(byte_of(1)));
    read_a.waits();
    pager.supply(&a, 0..1);
    assert_eq!(read_a.end(), Ok(byte_of(0)));
    pager.expect_nothing();
}

#[test]
fn one_pager_serves_many_ports() {
    let (pager, other) = (TestPager::new(), Port::create());
    let here = pager.vmo(FREE, 1);
    let there = Arc::new(pager.pager.create_vmo(FREE, &other, 9, PAGE).unwrap());
    let read = with(&there, |vmo| read_page(vmo, 0));
    let packet = other.wait(MonotonicInstant::after(zx::MonotonicDuration::from_seconds(30))).unwrap();
    assert_eq!(packet.key(), 9);
    pager.expect_nothing();
    pager.supply(&there, 0..1);
    assert_eq!(read.end(), Ok(byte_of(0)));
    drop(here);
    pager.expect(Asked::Complete);
    assert_eq!(other.wait(MonotonicInstant::INFINITE_PAST).err(), Some(Status::TIMED_OUT));
}

// ---- Detaching ----

#[test]
fn errors_of_detaching_come_in_order() {
    let (pager, other) = (TestPager::new(), TestPager::new());
    let vmo = pager.full(FREE, 2);
    let no_vmo: Vmo = NullableHandle::invalid().into();
    for weak in [Rights::ATTACH_VMO, Rights::MANAGE_VMO] {
        assert_eq!(weak_pager(weak).detach_vmo(&no_vmo), Err(Status::ACCESS_DENIED));
    }
    assert_eq!(no_pager().detach_vmo(&no_vmo), Err(Status::BAD_HANDLE));
    assert_eq!(wrong_pager().detach_vmo(&no_vmo), Err(Status::WRONG_TYPE));
    assert_eq!(pager.pager.detach_vmo(&no_vmo), Err(Status::BAD_HANDLE));
    assert_eq!(pager.pager.detach_vmo(&wrong_handle()), Err(Status::WRONG_TYPE));
    assert_eq!(
        other.pager.detach_vmo(&without(&vmo, Rights::WRITE)),
        Err(Status::ACCESS_DENIED),
        "the right comes first"
    );

    let plain = Vmo::create(PAGE).unwrap();
    let clone = vmo.create_child(CLONE, 0, PAGE).unwrap();
    let slice = vmo.create_child(VmoChildOptions::SLICE, 0, PAGE).unwrap();
    let reference = vmo.create_child(VmoChildOptions::REFERENCE, 0, 0).unwrap();
    for not_ours in [&plain, &clone, &slice, &reference, &*other.vmo(FREE, 1)] {
        assert_eq!(pager.pager.detach_vmo(not_ours), Err(Status::INVALID_ARGS));
    }
    // All is as it was.
    assert_eq!((read_pages(&vmo, 0..2), committed(&vmo)), (Ok(vec![1, 2]), 2));
    pager.expect_nothing();
}

#[test]
fn who_waits_is_told_that_it_is_detached() {
    let pager = TestPager::new();
    let vmo = pager.vmo(TRAP, 4);
    pager.supply(&vmo, 0..1);
    let write = with(&vmo, |vmo| write_pages(vmo, 0..1));
    pager.expect_dirty(0..1);
    let read = with(&vmo, |vmo| read_page(vmo, 1));
    pager.expect_read(1..2);
    let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 2..4));
    // Not taken from the port: it leaves it, and the last packet comes in its place.
    commit.waits();
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
    for ended in [write.end(), read.end().map(drop), commit.end()] {
        assert_eq!(ended, Err(Status::BAD_STATE));
    }
    pager.expect(Asked::Complete);
    pager.expect_nothing();
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()), "a second time");
    drop(vmo);
    pager.expect_nothing();
}

#[test]
fn detaching_drops_what_is_clean_and_keeps_what_is_not() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.vmo(options | VmoOptions::RESIZABLE, 5);
        // Clean, zero and clean, being saved, dirty, absent; and zero and dirty behind them.
        pager.supply(&vmo, 0..1);
        pager.supply_zeros(&vmo, 1..2);
        pager.supply(&vmo, 2..4);
        make_dirty(&pager, &vmo, 2, options);
        pager.begin(&vmo, 2..3);
        make_dirty(&pager, &vmo, 3, options);
        vmo.set_size(6 * PAGE).unwrap();
        assert_eq!(committed(&vmo), 3);
        assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
        pager.expect(Asked::Complete);

        assert_eq!(committed(&vmo), 2, "at once");
        assert_eq!(pager.all_dirty(&vmo), [(2..4, false), (5..6, true)]);
        for page in [0, 1, 4] {
            assert_eq!(read_page(&vmo, page), Err(Status::BAD_STATE), "{page}");
            assert_eq!(write_pages(&vmo, page..page + 1), Err(Status::BAD_STATE), "{page}");
            assert_eq!(op(&vmo, VmoOp::COMMIT, page..page + 1), Err(Status::BAD_STATE), "{page}");
        }
        assert_eq!(read_pages(&vmo, 2..4), Ok(vec![NEW, NEW]));
        assert_eq!(read_page(&vmo, 5), Ok(0));
        assert_eq!(write_pages(&vmo, 3..4), Ok(()), "it is dirty already");
        let may_write = if options == TRAP { Err(Status::BAD_STATE) } else { Ok(()) };
        assert_eq!(write_pages(&vmo, 2..3), may_write, "it is being saved");
        // Hints do not mind.
        assert_eq!(op(&vmo, VmoOp::ALWAYS_NEED, 0..6), Ok(()));
        assert_eq!(op(&vmo, VmoOp::DONT_NEED, 0..6), Ok(()));

        // The pager has no say any more, but may save what is left.
        assert_eq!(pager.try_supply(&vmo, 0..1), Err(Status::BAD_STATE));
        assert_eq!(pager.op(PagerOp::Fail(Status::IO), &vmo, 0..1), Err(Status::BAD_STATE));
        let dirty = if options == TRAP { Status::BAD_STATE } else { Status::NOT_SUPPORTED };
        assert_eq!(pager.op(PagerOp::Dirty, &vmo, 3..4), Err(dirty));
        assert!(pager.modified(&vmo));
        pager.write_back(&vmo, 0..6);
        assert_eq!(pager.all_dirty(&vmo), []);
        assert_eq!(read_pages(&vmo, 2..4), Ok(vec![NEW, NEW]), "clean, and still there");
        assert_eq!(read_page(&vmo, 5), Err(Status::BAD_STATE), "zeros that were saved must be asked for");
        assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
        assert_eq!((committed(&vmo), read_page(&vmo, 2)), (0, Err(Status::BAD_STATE)));
        pager.expect_nothing();
    }
}

/// Writes to a page that is there.
fn make_dirty(pager: &TestPager, vmo: &Arc<Vmo>, page: u64, options: VmoOptions) {
    if options == TRAP {
        pager.dirty(vmo, page..page + 1);
    }
    write_pages(vmo, page..page + 1).unwrap();
}

#[test]
fn what_detaching_drops_is_gone_from_mappings() {
    let (pager, region) = (TestPager::new(), Region::new(2));
    let vmo = pager.full(FREE, 2);
    let at = region.map(0, &vmo, 0, 2, RW);
    write_pages(&vmo, 1..2).unwrap();
    assert_eq!((peek(at), peek(at + P)), (byte_of(0), NEW));
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
    pager.expect(Asked::Complete);
    assert!(try_peek(at).is_err(), "clean, and so gone");
    assert!(try_poke(at, 1).is_err());
    assert_eq!(try_peek(at + P), Ok(NEW));
    assert_eq!(try_poke(at + P, 3), Ok(()));
    assert_eq!(read_page(&vmo, 1), Ok(NEW));
    assert_eq!(vmo.read_to_object::<u8>(PAGE), Ok(3));
}

#[test]
fn a_clone_keeps_what_it_has_when_its_root_is_detached() {
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 2);
    let clone = vmo.create_child(CLONE, 0, 2 * PAGE).unwrap();
    clone.write(&[9], 0).unwrap();
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
    assert_eq!(clone.read_to_object::<u8>(0), Ok(9));
    assert_eq!(clone.read_to_object::<u8>(1), Ok(byte_of(0)));
    assert_eq!(read_page(&clone, 1), Err(Status::BAD_STATE));
    assert_eq!(write_pages(&clone, 1..2), Err(Status::BAD_STATE));
}

// ---- The last reference to a VMO ----

#[test]
fn the_last_handle_sends_complete() {
    let pager = TestPager::new();
    for options in [FREE, TRAP] {
        let vmo = pager.full(options, 1);
        let again = vmo.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
        drop(vmo);
        pager.expect_nothing();
        drop(again);
        pager.expect(Asked::Complete);
        pager.expect_nothing();
    }
}

#[test]
fn a_mapping_alone_keeps_it() {
    let (pager, region) = (TestPager::new(), Region::new(2));
    let vmo = pager.full(FREE, 1);
    let at = region.map(0, &vmo, 0, 1, RW);
    drop(vmo);
    assert_eq!(peek(at), byte_of(0));
    pager.expect_nothing();
    region.unmap(0, 1);
    pager.expect(Asked::Complete);
}

#[test]
fn a_child_alone_keeps_it() {
    let pager = TestPager::new();
    for child in [CLONE, VmoChildOptions::SLICE] {
        let vmo = pager.vmo(FREE, 2);
        pager.supply(&vmo, 0..1);
        let child = Arc::new(vmo.create_child(child, 0, 2 * PAGE).unwrap());
        let kept = vmo.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
        drop(vmo);
        assert_eq!(read_page(&child, 0), Ok(byte_of(0)));
        let read = with(&child, |child| read_page(child, 1));
        pager.expect_read(1..2);
        pager.supply(&kept, 1..2);
        assert_eq!(read.end(), Ok(byte_of(1)));
        drop(kept);
        pager.expect_nothing();
        assert_eq!(read_pages(&child, 0..2), Ok(vec![1, 2]));
        drop(child);
        pager.expect(Asked::Complete);
        pager.expect_nothing();
    }
}

// ---- The last handle to the pager ----

#[test]
fn a_closed_pager_leaves_what_is_there() {
    for options in [FREE, TRAP] {
        let pager = TestPager::new();
        let vmo = pager.vmo(options, 4);
        pager.supply(&vmo, 0..2);
        make_dirty(&pager, &vmo, 1, options);
        let read = with(&vmo, |vmo| read_page(vmo, 2));
        pager.expect_read(2..3);
        let commit = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 3..4));
        commit.waits();
        let TestPager { pager, port } = pager;
        drop(pager);
        assert_eq!(read.end(), Err(Status::BAD_STATE));
        assert_eq!(commit.end(), Err(Status::BAD_STATE));
        assert_eq!(port.wait(MonotonicInstant::INFINITE_PAST).err(), Some(Status::TIMED_OUT), "not even COMPLETE");

        assert_eq!((read_pages(&vmo, 0..2), committed(&vmo)), (Ok(vec![byte_of(0), NEW]), 2));
        assert_eq!(read_page(&vmo, 2), Err(Status::BAD_STATE));
        assert_eq!(write_pages(&vmo, 1..2), Ok(()), "it is dirty already");
        let may_write = if options == TRAP { Err(Status::BAD_STATE) } else { Ok(()) };
        assert_eq!(write_pages(&vmo, 0..1), may_write);
        drop(vmo);
        assert_eq!(port.wait(MonotonicInstant::INFINITE_PAST).err(), Some(Status::TIMED_OUT));
    }
}

#[test]
fn a_closed_pager_takes_even_complete_back() {
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 1);
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
    let TestPager { pager, port } = pager;
    drop(pager);
    assert_eq!(port.wait(MonotonicInstant::INFINITE_PAST).err(), Some(Status::TIMED_OUT));
    drop(vmo);
    assert_eq!(port.wait(MonotonicInstant::INFINITE_PAST).err(), Some(Status::TIMED_OUT));
}

// ---- The last handle to the port ----

#[test]
fn requests_to_a_closed_port_wait_until_they_are_resolved() {
    let pager = TestPager::new();
    let vmo = pager.vmo(FREE, 3);
    let TestPager { pager, port } = pager;
    drop(port);
    let pager = TestPager { pager, port: Port::create() };
    let read = with(&vmo, |vmo| read_page(vmo, 0));
    let failed = with(&vmo, |vmo| read_page(vmo, 1));
    let detached = with(&vmo, |vmo| op(vmo, VmoOp::COMMIT, 2..3));
    read.waits();
    failed.waits();
    detached.waits();
    pager.supply(&vmo, 0..1);
    assert_eq!(read.end(), Ok(byte_of(0)));
    pager.fail(&vmo, 1..2, Status::IO_DATA_INTEGRITY);
    assert_eq!(failed.end(), Err(Status::IO_DATA_INTEGRITY));
    detached.waits();
    assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
    assert_eq!(detached.end(), Err(Status::BAD_STATE));
    pager.expect_nothing();
}
