//! VMOs through calls: content, sizes, operations, and every documented refusal.

mod common;

use std::mem::MaybeUninit;

use common::{P, RW, Region, peek, poke};
use zx::{CachePolicy, Event, NullableHandle, Resource, Rights, Status, Vmo, VmoInfo, VmoInfoFlags, VmoOp, VmoOptions};
use zxvm as zx;

const PAGE: u64 = P as u64;

/// The largest size: 2^64 less 128 KiB.
const LARGEST: u64 = u64::MAX - (128 << 10) + 1;

const DISCARDABLE: VmoOptions = VmoOptions::from_bits_retain(zx::sys::ZX_VMO_DISCARDABLE);

fn vmo(pages: u64) -> Vmo {
    Vmo::create(pages * PAGE).unwrap()
}

fn resizable(pages: u64) -> Vmo {
    Vmo::create_with_opts(VmoOptions::RESIZABLE, pages * PAGE).unwrap()
}

/// Another handle without these rights.
fn without(vmo: &Vmo, rights: Rights) -> Vmo {
    vmo.duplicate_handle(vmo.basic_info().unwrap().rights - rights).unwrap()
}

fn committed(vmo: &Vmo) -> u64 {
    vmo.info().unwrap().committed_bytes
}

/// What is no VMO gives WRONG_TYPE, and no handle BAD_HANDLE, for this call.
fn check_handle<T>(call: impl Fn(&Vmo) -> Result<T, Status>) {
    assert_eq!(call(&NullableHandle::invalid().into()).err(), Some(Status::BAD_HANDLE));
    assert_eq!(call(&Event::create().into_handle().into()).err(), Some(Status::WRONG_TYPE));
}

#[test]
fn the_record_has_its_layout() {
    assert_eq!(size_of::<VmoInfo>(), 176);
    assert_eq!(size_of::<Vmo>(), 4);
    let raw = zx::sys::zx_info_vmo_t { flags: 1 << 31 | 1, cache_policy: 9, handle_rights: 4, ..Default::default() };
    let info = VmoInfo::from(raw);
    assert_eq!(info.flags.bits(), 1 << 31 | 1, "unknown flags are kept");
    assert_eq!((info.cache_policy(), info.handle_rights), (CachePolicy::Unknown, Rights::READ));
}

#[test]
fn a_new_vmo_is_empty() {
    let vmo = Vmo::create(PAGE + 1).unwrap();
    assert_eq!((vmo.get_size(), vmo.get_stream_size()), (Ok(2 * PAGE), Ok(PAGE + 1)));
    assert_eq!(vmo.read_to_vec::<u8>(0, 2 * PAGE).unwrap(), vec![0; 2 * P]);
    let info = vmo.info().unwrap();
    assert_eq!(info.koid, vmo.koid().unwrap());
    assert_eq!((info.size_bytes, info.committed_bytes, info.populated_bytes), (2 * PAGE, 0, 0));
    assert_eq!(info.flags, VmoInfoFlags::PAGED | VmoInfoFlags::VIA_HANDLE);
    assert_eq!((info.num_children, info.num_mappings, info.share_count), (0, 0, 0));
    assert_eq!((info.parent_koid, info.handle_rights), (zx::Koid::default(), Rights::VMO_DEFAULT));
    assert_eq!(info.cache_policy(), CachePolicy::Cached);
    check_handle(Vmo::info);
}

#[test]
fn sizes_of_new_vmos() {
    assert_eq!(Vmo::create(0).unwrap().get_size(), Ok(0));
    assert_eq!(Vmo::create(LARGEST).unwrap().get_size(), Ok(LARGEST));
    assert_eq!(Vmo::create(LARGEST + 1).unwrap_err(), Status::OUT_OF_RANGE);
    assert_eq!(Vmo::create(u64::MAX).unwrap_err(), Status::OUT_OF_RANGE);
}

#[test]
fn options_of_new_vmos() {
    let create = |opts, size| Vmo::create_with_opts(opts, size);
    let unbounded = create(VmoOptions::UNBOUNDED, 5).unwrap();
    assert_eq!((unbounded.get_size(), unbounded.get_stream_size()), (Ok(LARGEST), Ok(5)));
    assert_eq!(unbounded.set_size(0), Err(Status::UNAVAILABLE));
    assert_eq!(create(VmoOptions::UNBOUNDED, LARGEST + 1).unwrap_err(), Status::OUT_OF_RANGE);
    assert_eq!(create(VmoOptions::UNBOUNDED | VmoOptions::RESIZABLE, 0).unwrap_err(), Status::INVALID_ARGS);
    assert_eq!(create(VmoOptions::TRAP_DIRTY, 0).unwrap_err(), Status::INVALID_ARGS);
    assert_eq!(create(VmoOptions::from_bits_retain(1), 0).unwrap_err(), Status::INVALID_ARGS);
    let both = create(VmoOptions::RESIZABLE | DISCARDABLE, PAGE).unwrap();
    assert!(both.info().unwrap().flags.contains(VmoInfoFlags::RESIZABLE | VmoInfoFlags::DISCARDABLE));
    assert_eq!(both.basic_info().unwrap().rights, Rights::VMO_DEFAULT | Rights::RESIZE);
}

#[test]
fn what_is_written_can_be_read_in_every_form() {
    let vmo = vmo(4);
    let text: Vec<u8> = (0..=255).collect();
    vmo.write(&text, PAGE - 100).unwrap();
    let mut bytes = [0; 256];
    vmo.read(&mut bytes, PAGE - 100).unwrap();
    assert_eq!(bytes, *text);
    assert_eq!(vmo.read_to_vec::<u8>(PAGE - 100, 256).unwrap(), text);
    assert_eq!(vmo.read_to_vec::<[u8; 3]>(PAGE - 100, 2).unwrap(), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(vmo.read_to_array::<u16, 3>(PAGE - 98), Ok([0x0302, 0x0504, 0x0706]));
    assert_eq!(vmo.read_to_object::<u64>(PAGE - 98), Ok(0x0908_0706_0504_0302));
    let mut uninit = [MaybeUninit::<u32>::uninit(); 2];
    assert_eq!(vmo.read_uninit(&mut uninit, PAGE - 96).unwrap(), [0x0706_0504, 0x0b0a_0908]);
    let mut raw = [0_u32; 3];
    // SAFETY: the first two elements of a live array.
    unsafe { vmo.read_raw(raw.as_mut_ptr(), 2, PAGE - 96) }.unwrap();
    assert_eq!(raw, [0x0706_0504, 0x0b0a_0908, 0]);
    assert_eq!(vmo.read_to_vec::<u8>(3 * PAGE, 0).unwrap(), []);
    assert_eq!(committed(&vmo), 2 * PAGE);
}

#[test]
fn reading_commits_nothing() {
    let vmo = vmo(16);
    assert_eq!(vmo.read_to_vec::<u64>(0, 2048).unwrap(), [0; 2048]);
    assert_eq!(committed(&vmo), 0);
}

#[test]
fn the_far_end_of_the_largest_vmo() {
    let vmo = Vmo::create(LARGEST).unwrap();
    vmo.write(b"end", LARGEST - 3).unwrap();
    assert_eq!(vmo.read_to_array(LARGEST - 4), Ok(*b"\0end"));
    assert_eq!(vmo.write(b"end", LARGEST - 2), Err(Status::OUT_OF_RANGE));
    vmo.op_range(VmoOp::CACHE_CLEAN, 0, LARGEST).unwrap();
    vmo.op_range(VmoOp::DECOMMIT, 0, LARGEST).unwrap();
    assert_eq!((vmo.read_to_array(LARGEST - 4), committed(&vmo)), (Ok(*b"\0\0\0\0"), 0));
}

#[test]
fn ranges_of_reads_and_writes() {
    let vmo = vmo(2);
    let size = 2 * PAGE;
    for (offset, len) in [(size - 1, 2), (size, 1), (size + 1, 0), (u64::MAX, 0), (u64::MAX, 1), (0, P * 2 + 1)] {
        assert_eq!(vmo.read(&mut vec![0; len], offset), Err(Status::OUT_OF_RANGE), "{offset} {len}");
        assert_eq!(vmo.write(&vec![1; len], offset), Err(Status::OUT_OF_RANGE), "{offset} {len}");
        assert_eq!(vmo.read_to_vec::<u8>(offset, len as u64), Err(Status::OUT_OF_RANGE), "{offset} {len}");
    }
    assert_eq!((vmo.read(&mut [], size), vmo.write(&[], size)), (Ok(()), Ok(())));
    assert_eq!(committed(&vmo), 0, "a refused write does nothing");
    assert_eq!(vmo.read_to_vec::<u64>(0, u64::MAX), Err(Status::NO_MEMORY), "for the vector");
    // SAFETY: refused before anything is written.
    let overflow = unsafe { vmo.read_raw(std::ptr::dangling_mut::<u64>(), usize::MAX, 0) };
    assert_eq!(overflow, Err(Status::OUT_OF_RANGE));
}

#[test]
fn reads_and_writes_need_their_rights() {
    let vmo = vmo(1);
    assert_eq!(without(&vmo, Rights::READ).read(&mut [0], 0), Err(Status::ACCESS_DENIED));
    assert_eq!(without(&vmo, Rights::WRITE).write(&[0], 0), Err(Status::ACCESS_DENIED));
    without(&vmo, Rights::READ).write(&[7], 0).unwrap();
    assert_eq!(without(&vmo, Rights::WRITE).read_to_object(0), Ok(7_u8));
    check_handle(|vmo| vmo.read(&mut [0], 0));
    check_handle(|vmo| vmo.write(&[0], 0));
    check_handle(|vmo| vmo.read_to_object::<u8>(0));
}

#[test]
fn a_buffer_that_is_not_there() {
    let vmo = vmo(1);
    vmo.write(&[7; P], 0).unwrap();
    let region = Region::new(4);
    let (_shown, addr) = region.map_new(0, 1);
    let read_to = |addr: usize, len| {
        // SAFETY: the addresses are null or in a region of this test, to which nothing refers.
        unsafe { vmo.read_raw(std::ptr::with_exposed_provenance_mut::<u8>(addr), len, 0) }
    };
    assert_eq!(read_to(0, 1), Err(Status::NOT_FOUND));
    assert_eq!(read_to(0, 0), Ok(()), "nobody looks at an empty buffer");
    // Partly there: whole pages before the fault are written, and the fault is an error.
    assert_eq!(read_to(addr + P - 10, 20), Err(Status::NOT_FOUND));
    read_to(addr + P - 10, 10).unwrap();
    assert_eq!((peek(addr + P - 10), peek(addr + P - 11)), (7, 0));
}

#[test]
fn a_buffer_in_a_mapping_of_the_same_vmo() {
    let region = Region::new(4);
    let (vmo, addr) = region.map_new(0, 4);
    for (page, byte) in (1..=4).enumerate() {
        vmo.write(&[byte; P], (page * P) as u64).unwrap();
    }
    // SAFETY: nothing refers to the mapping.
    unsafe { vmo.read_raw(std::ptr::with_exposed_provenance_mut::<u8>(addr + P), P, 0) }.unwrap();
    assert_eq!(vmo.read_to_array(PAGE - 1), Ok([1_u8, 1]));
    assert_eq!(vmo.read_to_array(2 * PAGE - 1), Ok([1_u8, 3]));
}

#[test]
fn growing_and_shrinking() {
    let vmo = resizable(3);
    vmo.write(&[7; 3 * P], 0).unwrap();
    vmo.set_size(PAGE + 10).unwrap();
    assert_eq!((vmo.get_size(), vmo.get_stream_size()), (Ok(2 * PAGE), Ok(PAGE + 10)));
    assert_eq!(vmo.read_to_array(PAGE + 9), Ok([7, 0]), "the rest of the last page is zero");
    assert_eq!((committed(&vmo), vmo.read(&mut [0], 2 * PAGE)), (2 * PAGE, Err(Status::OUT_OF_RANGE)));
    vmo.set_size(3 * PAGE).unwrap();
    assert_eq!(vmo.read_to_vec::<u8>(2 * PAGE, PAGE).unwrap(), [0; P], "what was cut off stays gone");
    vmo.set_size(0).unwrap();
    assert_eq!((vmo.get_size(), committed(&vmo)), (Ok(0), 0));
    vmo.set_size(LARGEST).unwrap();
    assert_eq!(vmo.get_size(), Ok(LARGEST));
}

#[test]
fn refused_sizes() {
    assert_eq!(vmo(1).set_size(0), Err(Status::UNAVAILABLE));
    let vmo = resizable(1);
    assert_eq!(vmo.set_size(LARGEST + 1), Err(Status::OUT_OF_RANGE));
    assert_eq!(vmo.set_size(u64::MAX), Err(Status::OUT_OF_RANGE));
    assert_eq!(without(&vmo, Rights::RESIZE).set_size(0), Err(Status::ACCESS_DENIED));
    assert_eq!(without(&vmo, Rights::WRITE).set_size(0), Err(Status::ACCESS_DENIED));
    assert_eq!(vmo.get_size(), Ok(PAGE));
    check_handle(|vmo| vmo.set_size(0));
    check_handle(Vmo::get_size);
}

#[test]
fn a_mapping_follows_the_size() {
    let region = Region::new(2);
    let vmo = resizable(2);
    let addr = region.vmar.map(0, &vmo, 0, 2 * P, RW).unwrap();
    poke(addr + P, 7);
    vmo.set_size(PAGE).unwrap();
    assert!(common::try_poke(addr + P, 8).is_err());
    common::try_poke(addr, 8).unwrap();
    vmo.set_size(2 * PAGE).unwrap();
    assert_eq!((peek(addr), peek(addr + P)), (8, 0));
    poke(addr + P, 9);
    assert_eq!(vmo.read_to_object(PAGE), Ok(9_u8));
}

#[test]
fn the_end_of_the_content() {
    let vmo = vmo(2);
    vmo.write(&[7; 2 * P], 0).unwrap();
    vmo.set_stream_size(2 * PAGE).unwrap();
    assert_eq!(vmo.read_to_object(2 * PAGE - 1), Ok(7_u8), "the same as before: nothing happens");
    vmo.set_stream_size(100).unwrap();
    assert_eq!(vmo.get_stream_size(), Ok(100));
    assert_eq!((vmo.read_to_array(99), vmo.read_to_object(PAGE)), (Ok([7_u8, 0]), Ok(0_u8)));
    vmo.write(&[8; 10], 200).unwrap();
    assert_eq!(vmo.get_stream_size(), Ok(100), "a write does not move it");
    vmo.set_stream_size(300).unwrap();
    assert_eq!(vmo.read_to_vec::<u8>(100, 200).unwrap(), [0; 200], "nor does growing bring anything back");
    assert_eq!(vmo.set_stream_size(2 * PAGE + 1), Err(Status::OUT_OF_RANGE));
    assert_eq!(without(&vmo, Rights::WRITE).set_stream_size(0), Err(Status::ACCESS_DENIED));
    assert_eq!(vmo.get_stream_size(), Ok(300));
    check_handle(Vmo::get_stream_size);
    check_handle(|vmo| vmo.set_stream_size(0));
}

#[test]
fn the_end_of_the_content_the_old_way() {
    let vmo = vmo(1);
    vmo.write(&[7; P], 0).unwrap();
    vmo.set_content_size(&50).unwrap();
    assert_eq!((vmo.get_content_size(), vmo.get_stream_size()), (Ok(50), Ok(50)));
    assert_eq!(vmo.read_to_array(49), Ok([7_u8, 0]));
    vmo.set_content_size(&(3 * PAGE)).unwrap();
    assert_eq!((vmo.get_content_size(), vmo.get_size()), (Ok(3 * PAGE), Ok(PAGE)), "past the end is accepted");
    assert_eq!(without(&vmo, Rights::SET_PROPERTY).set_content_size(&0), Err(Status::ACCESS_DENIED));
    assert_eq!(without(&vmo, Rights::WRITE).set_content_size(&0), Err(Status::ACCESS_DENIED));
    assert_eq!(without(&vmo, Rights::GET_PROPERTY).get_content_size(), Err(Status::ACCESS_DENIED));
    let process = zx::runtime::process_self().duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    let process = Vmo::from(process.into_handle());
    assert_eq!(process.get_content_size(), Err(Status::WRONG_TYPE));
    assert_eq!(process.set_content_size(&0), Err(Status::WRONG_TYPE));
}

#[test]
fn cache_policies() {
    for (number, policy) in
        [CachePolicy::Cached, CachePolicy::UnCached, CachePolicy::UnCachedDevice, CachePolicy::WriteCombining]
            .into_iter()
            .enumerate()
    {
        assert_eq!((u32::from(policy), CachePolicy::from(number as u32)), (number as u32, policy));
    }
    assert_eq!((CachePolicy::from(4), u32::from(CachePolicy::Unknown)), (CachePolicy::Unknown, u32::MAX));

    let vmo = vmo(1);
    vmo.write(&[7], 0).unwrap();
    vmo.set_cache_policy(CachePolicy::WriteCombining).unwrap();
    assert_eq!(vmo.info().unwrap().cache_policy(), CachePolicy::WriteCombining);
    assert_eq!(vmo.read(&mut [0], 0), Err(Status::BAD_STATE));
    assert_eq!(vmo.write(&[0], 0), Err(Status::BAD_STATE));
    assert_eq!(vmo.op_range(VmoOp::ZERO, 0, PAGE), Err(Status::BAD_STATE));
    assert_eq!(vmo.set_cache_policy(CachePolicy::Unknown), Err(Status::INVALID_ARGS));
    let none = Vmo::from(NullableHandle::invalid());
    assert_eq!(none.set_cache_policy(CachePolicy::Unknown), Err(Status::INVALID_ARGS), "before the handle");
    vmo.set_cache_policy(CachePolicy::Cached).unwrap();
    assert_eq!(vmo.read_to_object(0), Ok(7_u8));

    assert_eq!(without(&vmo, Rights::MAP).set_cache_policy(CachePolicy::Cached), Err(Status::ACCESS_DENIED));
    check_handle(|vmo| vmo.set_cache_policy(CachePolicy::Cached));
    let region = Region::new(1);
    region.vmar.map(0, &vmo, 0, P, RW).unwrap();
    assert_eq!(vmo.set_cache_policy(CachePolicy::UnCached), Err(Status::BAD_STATE));
    let discardable = Vmo::create_with_opts(DISCARDABLE, PAGE).unwrap();
    assert_eq!(discardable.set_cache_policy(CachePolicy::UnCached), Err(Status::BAD_STATE));
    assert_eq!(discardable.set_cache_policy(CachePolicy::Cached), Ok(()));
}

#[test]
fn commit() {
    let vmo = vmo(8);
    vmo.write(&[7], 5 * PAGE).unwrap();
    vmo.op_range(VmoOp::COMMIT, 2 * PAGE + 1, PAGE).unwrap();
    assert_eq!(committed(&vmo), 3 * PAGE, "the two pages it touches, and the one written");
    vmo.op_range(VmoOp::COMMIT, 0, 8 * PAGE).unwrap();
    assert_eq!((committed(&vmo), vmo.read_to_object(5 * PAGE)), (8 * PAGE, Ok(7_u8)));
    assert_eq!(vmo.op_range(VmoOp::COMMIT, 8 * PAGE, 0), Ok(()));
}

#[test]
fn decommit() {
    let region = Region::new(4);
    let (vmo, addr) = region.map_new(0, 4);
    vmo.write(&[7; 4 * P], 0).unwrap();
    assert_eq!(peek(addr + P), 7);
    vmo.op_range(VmoOp::DECOMMIT, PAGE, 2 * PAGE).unwrap();
    assert_eq!(committed(&vmo), 2 * PAGE);
    assert_eq!(vmo.read_to_array(PAGE - 1), Ok([7_u8, 0]));
    assert_eq!((peek(addr + P), peek(addr + 3 * P)), (0, 7), "mappings see it");
    for (offset, size) in [(1, PAGE), (0, 1), (PAGE - 1, 2)] {
        assert_eq!(vmo.op_range(VmoOp::DECOMMIT, offset, size), Err(Status::INVALID_ARGS));
    }
    assert_eq!(vmo.op_range(VmoOp::DECOMMIT, 1, 0), Ok(()));
    assert_eq!(vmo.op_range(VmoOp::DECOMMIT, 1, 4 * PAGE), Err(Status::OUT_OF_RANGE), "before the alignment");
}

#[test]
fn zero() {
    let vmo = vmo(4);
    vmo.write(&[7; 4 * P], 0).unwrap();
    vmo.op_range(VmoOp::ZERO, PAGE - 10, 2 * PAGE + 20).unwrap();
    assert_eq!(vmo.read_to_array(PAGE - 11), Ok([7_u8, 0]));
    assert_eq!(vmo.read_to_array(3 * PAGE + 9), Ok([0_u8, 7]));
    assert_eq!(vmo.read_to_vec::<u8>(PAGE, 2 * PAGE).unwrap(), [0; 2 * P]);
    assert_eq!(committed(&vmo), 2 * PAGE, "whole pages are given back");
    vmo.op_range(VmoOp::DECOMMIT, 0, 4 * PAGE).unwrap();
    vmo.op_range(VmoOp::ZERO, 1, 10).unwrap();
    assert_eq!(committed(&vmo), 0, "zeros stay as they are");
}

#[test]
fn operations_stay_in_the_vmo() {
    let vmo = vmo(2);
    vmo.write(&[7], 0).unwrap();
    for op in [
        VmoOp::COMMIT,
        VmoOp::DECOMMIT,
        VmoOp::ZERO,
        VmoOp::CACHE_SYNC,
        VmoOp::CACHE_CLEAN,
        VmoOp::CACHE_CLEAN_INVALIDATE,
        VmoOp::PREFETCH,
    ] {
        for (offset, size) in [(0, 3 * PAGE), (2 * PAGE, PAGE), (3 * PAGE, PAGE), (PAGE, u64::MAX - PAGE + 1)] {
            assert_eq!(vmo.op_range(op, offset, size), Err(Status::OUT_OF_RANGE), "{op:?} {offset:#x} {size:#x}");
        }
    }
    assert_eq!((committed(&vmo), vmo.read_to_object(0)), (PAGE, Ok(7_u8)));
    // Hints about ordinary memory come true by themselves, wherever that is.
    for op in [VmoOp::DONT_NEED, VmoOp::ALWAYS_NEED] {
        assert_eq!(vmo.op_range(op, u64::MAX, u64::MAX), Ok(()));
    }
}

#[test]
fn operations_need_their_rights() {
    let vmo = vmo(1);
    let reader = without(&vmo, Rights::WRITE);
    let writer = without(&vmo, Rights::READ);
    let neither = without(&vmo, Rights::IO);
    for op in [VmoOp::COMMIT, VmoOp::DECOMMIT, VmoOp::ZERO] {
        assert_eq!(reader.op_range(op, 0, PAGE), Err(Status::ACCESS_DENIED), "{op:?}");
        assert_eq!(writer.op_range(op, 0, PAGE), Ok(()), "{op:?}");
    }
    for op in [VmoOp::CACHE_SYNC, VmoOp::CACHE_CLEAN, VmoOp::CACHE_CLEAN_INVALIDATE, VmoOp::PREFETCH] {
        assert_eq!(writer.op_range(op, 0, PAGE), Err(Status::ACCESS_DENIED), "{op:?}");
        assert_eq!(reader.op_range(op, 0, PAGE), Ok(()), "{op:?}");
    }
    for op in [VmoOp::DONT_NEED, VmoOp::ALWAYS_NEED] {
        assert_eq!(neither.op_range(op, 0, PAGE), Ok(()), "{op:?}");
        check_handle(|vmo| vmo.op_range(op, 0, PAGE));
    }
    for op in [VmoOp::LOCK, VmoOp::TRY_LOCK, VmoOp::UNLOCK] {
        assert_eq!(neither.op_range(op, 0, PAGE), Err(Status::ACCESS_DENIED), "{op:?}");
    }
    check_handle(|vmo| vmo.op_range(VmoOp::COMMIT, 0, PAGE));
}

#[test]
fn operations_that_are_none() {
    let vmo = vmo(1);
    for op in [0, 5, 15, u32::MAX] {
        assert_eq!(vmo.op_range(VmoOp::from_raw(op), 0, PAGE), Err(Status::INVALID_ARGS));
    }
    for op in [VmoOp::CACHE_SYNC, VmoOp::CACHE_CLEAN, VmoOp::CACHE_CLEAN_INVALIDATE] {
        assert_eq!(vmo.op_range(op, 0, 0), Err(Status::INVALID_ARGS), "{op:?}");
    }
    assert_eq!(vmo.op_range(VmoOp::CACHE_INVALIDATE, 0, PAGE), Err(Status::NOT_SUPPORTED));
    vmo.op_range(VmoOp::PREFETCH, 0, PAGE).unwrap();
    assert_eq!(committed(&vmo), 0, "prefetching ordinary memory commits nothing");
}

#[test]
fn locks_are_for_discardable_vmos() {
    for op in [VmoOp::LOCK, VmoOp::TRY_LOCK, VmoOp::UNLOCK] {
        assert_eq!(vmo(1).op_range(op, 0, PAGE), Err(Status::NOT_SUPPORTED), "{op:?}");
    }
    let vmo = Vmo::create_with_opts(DISCARDABLE, 2 * PAGE).unwrap();
    assert_eq!(vmo.op_range(VmoOp::UNLOCK, 0, 2 * PAGE), Err(Status::BAD_STATE));
    for op in [VmoOp::LOCK, VmoOp::TRY_LOCK, VmoOp::UNLOCK] {
        assert_eq!(vmo.op_range(op, 0, PAGE), Err(Status::OUT_OF_RANGE), "{op:?}");
    }
    // Nested, and only as often as locked: a LOCK that failed for want of a buffer is none.
    vmo.op_range(VmoOp::TRY_LOCK, 0, 2 * PAGE).unwrap();
    vmo.op_range(VmoOp::TRY_LOCK, 0, 2 * PAGE).unwrap();
    assert_eq!(vmo.op_range(VmoOp::LOCK, 0, 2 * PAGE), Err(Status::INVALID_ARGS));
    vmo.write(&[7], 0).unwrap();
    vmo.op_range(VmoOp::UNLOCK, 0, 2 * PAGE).unwrap();
    vmo.op_range(VmoOp::UNLOCK, 0, 2 * PAGE).unwrap();
    assert_eq!(vmo.op_range(VmoOp::UNLOCK, 0, 2 * PAGE), Err(Status::BAD_STATE));
    assert_eq!(vmo.read_to_object(0), Ok(7_u8));
}

#[test]
fn a_vmo_for_code() {
    let vmo = vmo(1);
    let (koid, raw) = (vmo.koid(), vmo.raw_handle());
    let ambient = Resource::from(NullableHandle::invalid());
    let code = vmo.replace_as_executable(&ambient).unwrap();
    assert_eq!(code.basic_info().unwrap().rights, Rights::VMO_DEFAULT | Rights::EXECUTE);
    assert_eq!((code.koid(), zx::Handle::check_raw_valid(raw)), (koid, Err(Status::BAD_HANDLE)));
    // Whatever the outcome, the old handle is gone.
    let event = Resource::from(Event::create().into_handle());
    let raw = code.raw_handle();
    assert_eq!(code.replace_as_executable(&event).unwrap_err(), Status::WRONG_TYPE);
    assert_eq!(zx::Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));
    let raw = Event::create().raw_handle();
    // SAFETY: closed already, so that closing it once more does nothing.
    let closed = Resource::from(unsafe { NullableHandle::from_raw(raw) });
    assert_eq!(self::vmo(1).replace_as_executable(&closed).unwrap_err(), Status::BAD_HANDLE);
    let no_vmo = Vmo::from(Event::create().into_handle());
    let raw = no_vmo.raw_handle();
    assert_eq!(no_vmo.replace_as_executable(&ambient).unwrap_err(), Status::BAD_HANDLE);
    assert_eq!(zx::Handle::check_raw_valid(raw), Err(Status::BAD_HANDLE));
}

#[test]
fn mappings_are_counted() {
    let region = Region::new(4);
    let vmo = vmo(1);
    region.vmar.map(0, &vmo, 0, P, RW | zx::VmarFlags::SPECIFIC).unwrap();
    region.vmar.map(2 * P, &vmo, 0, P, RW | zx::VmarFlags::SPECIFIC).unwrap();
    let info = vmo.info().unwrap();
    assert_eq!((info.num_mappings, info.share_count), (2, 1));
    poke(region.page(2), 7);
    assert_eq!((peek(region.page(0)), committed(&vmo)), (7, PAGE), "one page, seen twice");
}
