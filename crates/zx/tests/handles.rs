//! Handles: owning, borrowing, duplicating, replacing, and what they tell about themselves.

use std::collections::HashSet;

use zx::prelude::*;
use zx::{Event, EventPair, Handle, HandleRef, NullableHandle, ObjectType, Rights, Signals, Status, Unowned, Vmo};
use zxvm as zx;

/// A handle value that was good and is not any more.
fn closed_value() -> u32 {
    Event::create().raw_handle()
}

#[test]
fn all_of_them_are_one_number() {
    fn check<T: Send + Sync>() {
        assert_eq!((size_of::<T>(), align_of::<T>()), (4, 4), "{}", std::any::type_name::<T>());
    }
    check::<Handle>();
    check::<Option<Handle>>();
    check::<NullableHandle>();
    check::<Event>();
    check::<EventPair>();
    check::<Vmo>();
    check::<zx::Vmar>();
    check::<zx::Process>();
    check::<zx::Resource>();
    check::<Unowned<'static, Vmo>>();
    check::<HandleRef<'static>>();
    assert_eq!(size_of::<zx::WaitItem<'static>>(), 12);
}

#[test]
fn drop_closes_and_into_raw_does_not() {
    let raw = closed_value();
    assert_eq!(Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));
    let raw = Event::create().into_raw();
    assert_eq!(Handle::check_raw_valid(raw), Ok(()));
    // SAFETY: the number was just given up by its owner.
    let handle = unsafe { Handle::from_raw(raw) }.unwrap();
    assert_eq!(handle.raw_handle(), raw);
    let raw = NullableHandle::from(handle).into_raw();
    // SAFETY: as above.
    drop(Event::from(unsafe { Handle::from_raw_unchecked(raw) }));
    assert_eq!(Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));
}

#[test]
fn zero_is_no_handle() {
    assert_eq!(Handle::check_raw_valid(0), Err(Status::BAD_HANDLE));
    // SAFETY: 0 is nobody's.
    let (none, null) = unsafe { (Handle::from_raw(0), NullableHandle::from_raw(0)) };
    assert_eq!(none, None);
    assert!(null.is_invalid() && null.is_invalid_handle());
    assert_eq!(null, NullableHandle::from(None));
    assert_eq!(null.into_raw(), 0);
    assert_eq!(Handle::try_from(NullableHandle::invalid()), Err(Status::BAD_HANDLE));
}

#[test]
#[should_panic = "not 0"]
fn an_unchecked_handle_is_not_zero() {
    // SAFETY: 0 is nobody's; it panics.
    let _ = unsafe { Handle::from_raw_unchecked(0) };
}

#[test]
fn numbers_without_the_fixed_bits_are_bad() {
    let event = Event::create();
    assert_eq!(event.raw_handle() & 3, 3);
    for raw in [event.raw_handle() & !1, event.raw_handle() & !2, event.raw_handle() & !3] {
        assert_eq!(Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));
    }
}

#[test]
fn the_invalid_handle_says_so_to_everything() {
    let none = NullableHandle::invalid();
    let now = zx::MonotonicInstant::INFINITE_PAST;
    assert_eq!(none.duplicate_handle(Rights::SAME_RIGHTS).unwrap_err(), Status::BAD_HANDLE);
    assert_eq!(none.signal(Signals::NONE, Signals::USER_0), Err(Status::BAD_HANDLE));
    assert_eq!(none.wait_one(Signals::USER_0, now), zx::WaitResult::Err(Status::BAD_HANDLE));
    assert_eq!(none.get_name(), Err(Status::BAD_HANDLE));
    assert_eq!(none.set_name(&zx::Name::default()), Err(Status::BAD_HANDLE));
    assert_eq!(none.basic_info(), Err(Status::BAD_HANDLE));
    assert_eq!(none.count_info(), Err(Status::BAD_HANDLE));
    assert_eq!(none.koid(), Err(Status::BAD_HANDLE));
    assert_eq!(none.replace_handle(Rights::WAIT), Ok(NullableHandle::invalid()));
    assert_eq!(Vmo::from(NullableHandle::invalid()).get_size(), Err(Status::BAD_HANDLE));
}

#[test]
fn a_handle_of_another_type_says_so_before_its_rights() {
    let vmo = Vmo::from(Event::create().replace_handle(Rights::NONE).unwrap().into_handle());
    assert_eq!(vmo.read(&mut [0], 0), Err(Status::WRONG_TYPE));
    assert_eq!(vmo.get_size(), Err(Status::WRONG_TYPE));
    assert_eq!(vmo.info(), Err(Status::WRONG_TYPE));
}

#[test]
fn duplicates_have_at_most_the_rights_of_the_original() {
    let vmo = Vmo::create(1).unwrap();
    let same = vmo.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    assert_eq!(same.basic_info().unwrap().rights, Rights::VMO_DEFAULT);
    let read = vmo.duplicate(Rights::READ | Rights::DUPLICATE).unwrap();
    assert_eq!(read.basic_info().unwrap().rights, Rights::READ | Rights::DUPLICATE);
    assert_eq!(read.write(&[0], 0), Err(Status::ACCESS_DENIED));
    assert_eq!(read.duplicate_handle(Rights::WRITE).unwrap_err(), Status::INVALID_ARGS);
    assert_eq!(read.duplicate_handle(Rights::SAME_RIGHTS | Rights::READ).unwrap_err(), Status::INVALID_ARGS);
    let nothing = read.duplicate_handle(Rights::NONE).unwrap();
    assert_eq!(nothing.basic_info().unwrap().rights, Rights::NONE);
    assert_eq!(nothing.duplicate_handle(Rights::NONE).unwrap_err(), Status::ACCESS_DENIED);
    assert_eq!(nothing.koid(), vmo.koid());
}

#[test]
fn a_replaced_handle_is_gone_even_when_that_fails() {
    let event = Event::create();
    let (raw, koid) = (event.raw_handle(), event.koid().unwrap());
    let event = event.replace(Rights::WAIT).unwrap();
    assert_eq!((event.koid().unwrap(), event.basic_info().unwrap().rights), (koid, Rights::WAIT));
    assert_ne!(event.raw_handle(), raw);
    assert_eq!(Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));
    let raw = event.raw_handle();
    assert_eq!(event.replace_handle(Rights::SIGNAL).unwrap_err(), Status::INVALID_ARGS);
    assert_eq!(Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));

    let handle = Handle::try_from(Event::create().into_handle()).unwrap();
    let handle = handle.replace(Rights::SAME_RIGHTS).unwrap();
    assert_eq!(handle.basic_info().unwrap().rights, Rights::BASIC | Rights::SIGNAL);
    assert_eq!(handle.replace(Rights::READ).unwrap_err(), Status::INVALID_ARGS);
}

#[test]
fn what_each_type_says_it_is() {
    let (a, b) = EventPair::create();
    let root = zx::runtime::vmar_root_self();
    let (process, job) = (zx::runtime::process_self(), zx::runtime::job_default());
    let pager = zx::Pager::create(zx::PagerOptions::empty()).unwrap();
    let event = Event::create();
    let resizable = Vmo::create_with_opts(zx::VmoOptions::RESIZABLE, 0).unwrap();
    let (region, _) = root.allocate(0, 4096, zx::VmarFlags::CAN_MAP_READ).unwrap();
    let vmar = (Rights::BASIC - Rights::WAIT) | Rights::OP_CHILDREN;
    for (handle, object_type, rights) in [
        (event.as_handle_ref(), ObjectType::EVENT, Rights::BASIC | Rights::SIGNAL),
        (a.as_handle_ref(), ObjectType::EVENTPAIR, Rights::BASIC | Rights::SIGNAL | Rights::SIGNAL_PEER),
        (resizable.as_handle_ref(), ObjectType::VMO, Rights::VMO_DEFAULT | Rights::RESIZE),
        (root.as_handle_ref(), ObjectType::VMAR, vmar | Rights::IO | Rights::EXECUTE),
        (region.as_handle_ref(), ObjectType::VMAR, vmar | Rights::READ),
        (pager.as_handle_ref(), ObjectType::PAGER, Rights::from_bits_retain(zx::sys::ZX_DEFAULT_PAGER_RIGHTS)),
        (job.as_handle_ref(), ObjectType::JOB, Rights::from_bits_retain(zx::sys::ZX_DEFAULT_JOB_RIGHTS)),
        (process.as_handle_ref(), ObjectType::PROCESS, Rights::from_bits_retain(zx::sys::ZX_DEFAULT_PROCESS_RIGHTS)),
    ] {
        let info = handle.basic_info().unwrap();
        assert_eq!((info.object_type, info.rights), (object_type, rights));
        assert!(info.koid.raw_koid() >= zx::sys::ZX_KOID_FIRST);
        assert_eq!(handle.get_koid(), Ok(info.koid));
    }
    assert_eq!(a.basic_info().unwrap().related_koid, b.koid().unwrap());
    assert_eq!(b.basic_info().unwrap().related_koid, a.koid().unwrap());
    assert_eq!(resizable.basic_info().unwrap().related_koid, zx::Koid::default());
    assert_eq!(process.basic_info().unwrap().related_koid, job.koid().unwrap());
    assert_eq!(job.basic_info().unwrap().related_koid, zx::Koid::default(), "the root");
    // SAFETY: nothing is in it.
    unsafe { region.destroy() }.unwrap();
}

#[test]
fn koids_are_never_given_twice() {
    let koids: HashSet<_> = (0..100).map(|_| Event::create().koid().unwrap()).collect();
    assert_eq!(koids.len(), 100);
}

#[test]
fn handles_are_counted_and_mappings_are_not() {
    let vmo = Vmo::create(4096).unwrap();
    let root = zx::runtime::vmar_root_self();
    let addr = root.map(0, &vmo, 0, 4096, zx::VmarFlags::PERM_READ).unwrap();
    let two = vmo.duplicate_handle(Rights::BASIC - Rights::INSPECT).unwrap();
    assert_eq!(vmo.count_info().unwrap().handle_count, 2);
    assert_eq!(two.count_info(), Err(Status::ACCESS_DENIED));
    drop(two);
    assert_eq!(vmo.count_info().unwrap().handle_count, 1);
    // SAFETY: nothing refers to it.
    unsafe { root.unmap(addr, 4096) }.unwrap();
}

#[test]
fn a_borrowed_handle_closes_nothing() {
    let vmo = Vmo::create(4096).unwrap();
    {
        let borrowed: Unowned<'_, Vmo> = Unowned::new(&vmo);
        let untyped: HandleRef<'_> = Unowned::new(&vmo);
        assert_eq!(borrowed.clone(), borrowed);
        assert_eq!(untyped, vmo.as_handle_ref());
        assert_eq!(untyped.raw_handle(), vmo.raw_handle());
        assert_eq!(untyped.clone().cast::<Vmo>().get_size(), Ok(4096));
        assert_eq!(untyped.cast::<Event>().basic_info().unwrap().object_type, ObjectType::VMO);
        // SAFETY: `vmo` outlives it.
        let by_number = unsafe { Unowned::<'_, Vmo>::from_raw_handle(vmo.raw_handle()) };
        assert_eq!(by_number.as_handle_ref().raw_handle(), vmo.raw_handle());
    }
    assert_eq!(vmo.get_size(), Ok(4096));
    assert_eq!(vmo.count_info().unwrap().handle_count, 1);
}

#[test]
fn generic_code_goes_through_the_traits() {
    fn weaken<H: HandleBased>(object: H, rights: Rights) -> H {
        assert!(!object.is_invalid_handle());
        let weak = object.duplicate_handle(rights | Rights::DUPLICATE).unwrap();
        drop(object);
        H::from_handle(weak.replace_handle(rights).unwrap().into_handle())
    }
    fn rights(object: impl AsHandleRef) -> Rights {
        object.basic_info().unwrap().rights
    }
    let event = weaken(Event::create(), Rights::WAIT | Rights::DUPLICATE);
    assert_eq!(rights(&event), Rights::WAIT | Rights::DUPLICATE);
    assert_eq!(event.signal_handle(Signals::NONE, Signals::USER_0), Err(Status::ACCESS_DENIED));
    assert!(event.wait_handle(Signals::USER_0, zx::MonotonicInstant::INFINITE_PAST).is_err());
    let untyped = weaken(event.into_handle(), Rights::NONE);
    assert_eq!(rights(&untyped), Rights::NONE);
    let vmo = untyped.into_handle_based::<Vmo>();
    assert_eq!(vmo.get_size(), Err(Status::WRONG_TYPE));
    let event = Event::from_handle_based(vmo);
    assert_eq!(AsHandleRef::raw_handle(&&event), event.raw_handle());
    assert_eq!(AsHandleRef::count_info(&event), Err(Status::ACCESS_DENIED));
    // SAFETY: the number comes from its owner, who gives it up.
    drop(unsafe { NullableHandle::from_raw(HandleBased::into_raw(event)) });
}

#[test]
fn born_with_handles_are_the_same_every_time() {
    assert_eq!(zx::runtime::vmar_root_self(), zx::runtime::vmar_root_self());
    assert_eq!(zx::runtime::process_self(), zx::runtime::process_self());
    assert!(zx::runtime::vmar_root_self().info().is_ok(), "the ones above closed nothing");
}

#[test]
fn numbers_show_their_names() {
    assert_eq!(format!("{:?}", ObjectType::VMAR), "ObjectType(VMAR)");
    assert_eq!(format!("{:?}", ObjectType::from_raw(63)), "ObjectType(63)");
    assert_eq!(format!("{:?}", zx::VmoOp::ZERO), "VmoOp(ZERO)");
    assert_eq!(zx::VmarOp::MAP_RANGE.into_raw(), 3);
    assert_eq!(*zx::Topic::VMO, zx::sys::ZX_INFO_VMO);
    assert_eq!(*zx::Property::NAME, 3);
    assert_eq!(format!("{:?}", Rights::READ | Rights::WRITE), "Rights(READ | WRITE)");
    assert_eq!(format!("{:?}", Rights::NONE), "Rights(0x0)");
    assert_eq!(Signals::EVENT_SIGNALED, Signals::OBJECT_3);
    assert_eq!(Signals::USER_ALL | Signals::OBJECT_ALL, Signals::all());
    assert_eq!(Rights::CHANNEL_DEFAULT.bits(), 0xF00E);
}

#[test]
fn unknown_rights_are_left_out_of_the_handles_info() {
    let record = zx::sys::zx_info_handle_basic_t { rights: 1 << 30 | 1, r#type: 200, ..Default::default() };
    let info = zx::HandleBasicInfo::from(record);
    assert_eq!(info.rights, Rights::DUPLICATE);
    assert_eq!(info.object_type, ObjectType::from_raw(200));
}

#[test]
fn the_machine() {
    assert_eq!(zx::system_get_page_size(), 4096);
    assert!(zx::system_get_physmem() >= 1 << 20);
    assert!(zx::system_get_num_cpus() >= 1);
    assert!(zx::system_get_dcache_line_size().is_power_of_two());
}
