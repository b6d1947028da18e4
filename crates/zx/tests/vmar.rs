//! Address space: regions, mappings, and `op_range`, with every documented refusal.

mod common;

use std::mem::MaybeUninit;

use common::{CAN_MAP, P, RW, Region, peek, poke, try_poke};
use zx::{Event, MapDetails, MapInfo, MappingDetails, NullableHandle, Rights, Status, Vmar, VmarFlagsExtended, VmarOp};
use zx::{VmarFlags as F, Vmo};
use zxvm as zx;

const ALL_OPS: [VmarOp; 7] = [
    VmarOp::COMMIT,
    VmarOp::DECOMMIT,
    VmarOp::MAP_RANGE,
    VmarOp::ZERO,
    VmarOp::DONT_NEED,
    VmarOp::ALWAYS_NEED,
    VmarOp::PREFETCH,
];

/// A bit that means nothing.
const NO_SUCH_FLAG: F = F::from_bits_retain(1 << 16);
/// Alignment to 2 bytes: below the least that there is.
const NO_SUCH_ALIGNMENT: F = F::from_bits_retain(1 << 24);

fn vmo(pages: usize) -> Vmo {
    Vmo::create((pages * P) as u64).unwrap()
}

fn committed(vmo: &Vmo) -> usize {
    vmo.info().unwrap().committed_bytes as usize / P
}

fn unmap(vmar: &Vmar, addr: usize, len: usize) -> Result<(), Status> {
    // SAFETY: tests keep no references into mappings.
    unsafe { vmar.unmap(addr, len) }
}

fn protect(vmar: &Vmar, addr: usize, len: usize, flags: F) -> Result<(), Status> {
    // SAFETY: as above.
    unsafe { vmar.protect(addr, len, flags) }
}

fn destroy(vmar: &Vmar) -> Result<(), Status> {
    // SAFETY: as above.
    unsafe { vmar.destroy() }
}

fn overwrite(vmar: &Vmar, offset: usize, vmo: &Vmo, len: usize) -> Result<usize, Status> {
    let flags = VmarFlagsExtended::PERM_READ | VmarFlagsExtended::PERM_WRITE | VmarFlagsExtended::SPECIFIC_OVERWRITE;
    // SAFETY: as above.
    unsafe { vmar.map_unsafe(offset, vmo, 0, len, flags) }
}

/// What is no VMAR gives WRONG_TYPE, and no handle BAD_HANDLE, for this call.
fn check_handle<T>(call: impl Fn(&Vmar) -> Result<T, Status>) {
    assert_eq!(call(&NullableHandle::invalid().into()).err(), Some(Status::BAD_HANDLE));
    assert_eq!(call(&Event::create().into_handle().into()).err(), Some(Status::WRONG_TYPE));
}

#[test]
fn records_have_their_layout() {
    assert_eq!((size_of::<MapInfo>(), size_of::<MappingDetails>(), size_of::<Vmar>()), (152, 88, 4));
    assert_eq!(F::ALIGN_4GB.bits(), 32 << 24);
    assert_eq!(VmarFlagsExtended::ALIGN_1KB.bits(), F::ALIGN_1KB.bits());
    assert_eq!(VmarFlagsExtended::SPECIFIC_OVERWRITE.bits(), 1 << 5);
    assert_eq!(F::from_bits(1 << 5), None, "the safe set does not have it");
}

#[test]
fn a_region_is_where_it_says() {
    let root = zx::runtime::vmar_root_self().info().unwrap();
    let region = Region::new(16);
    let info = region.vmar.info().unwrap();
    assert_eq!((info.base, info.len), (region.base, 16 * P));
    assert!(root.base <= info.base && info.base + info.len <= root.base + root.len);
    let (inner, base) = region.vmar.allocate(3 * P, P, F::CAN_MAP_READ | F::SPECIFIC).unwrap();
    assert_eq!((base, inner.info().unwrap().base), (region.page(3), region.page(3)));
    let blind = region.without(Rights::INSPECT);
    assert_eq!(blind.info(), Err(Status::ACCESS_DENIED));
    check_handle(Vmar::info);
}

#[test]
fn placement() {
    let region = Region::new(64);
    let (whole, base) = region.vmar.allocate(40 * P, 24 * P, CAN_MAP | F::SPECIFIC).unwrap();
    let (_inside, at) = whole.allocate(0, 24 * P, F::CAN_MAP_READ).unwrap();
    assert_eq!(at, base, "as large as the region: there is one place");
    let (_a, a) = region.vmar.allocate(32 * P, 4 * P, F::CAN_MAP_READ | F::OFFSET_IS_UPPER_LIMIT).unwrap();
    assert!(region.base <= a && a + 4 * P <= region.page(32));
    let (_b, b) = region.vmar.allocate(0, P, F::CAN_MAP_READ | F::ALIGN_16KB).unwrap();
    assert_eq!(b % (16 << 10), 0);
}

#[test]
fn refused_regions() {
    let region = Region::new(4);
    let v = &region.vmar;
    let new = |offset: usize, size, flags| v.allocate(offset, size, flags).map(|_| ()).unwrap_err();
    let (bad, denied) = (Status::INVALID_ARGS, Status::ACCESS_DENIED);
    assert_eq!(new(0, P, F::CAN_MAP_EXECUTE), denied, "the handle lacks EXECUTE");
    assert_eq!(region.without(Rights::WRITE).allocate(0, P, F::CAN_MAP_WRITE).unwrap_err(), denied);
    for flags in [F::PERM_READ, F::ALLOW_FAULTS, F::REQUIRE_NON_RESIZABLE, NO_SUCH_FLAG, NO_SUCH_ALIGNMENT] {
        assert_eq!(new(0, P, flags), bad, "{flags:?}");
    }
    assert_eq!([new(0, 0, F::empty()), new(0, P + 1, F::empty()), new(0, 5 * P, F::empty())], [bad; 3]);
    assert_eq!(
        [new(P, P, F::empty()), new(1, P, F::SPECIFIC), new(P, P, F::SPECIFIC | F::OFFSET_IS_UPPER_LIMIT)],
        [bad; 3]
    );
    assert_eq!(
        [new(4 * P, P, F::SPECIFIC), new(P, 4 * P, F::SPECIFIC), new(P, 2 * P, F::OFFSET_IS_UPPER_LIMIT)],
        [bad; 3]
    );
    check_handle(|vmar| vmar.allocate(0, P, F::empty()));

    let (_middle, _) = v.allocate(P, 2 * P, F::SPECIFIC).unwrap();
    assert_eq!(new(2 * P, P, F::SPECIFIC), Status::ALREADY_EXISTS);
    assert_eq!(new(0, 2 * P, F::empty()), Status::NO_RESOURCES);
    let (_first, _) = v.allocate(0, P, F::SPECIFIC).unwrap();
    let (_last, _) = v.allocate(0, P, F::empty()).unwrap();
    assert_eq!(new(0, P, F::empty()), Status::NO_RESOURCES);
}

#[test]
fn a_region_bounds_what_is_in_it() {
    let region = Region::with(4, F::CAN_MAP_READ);
    let (bad_child, bad_place) = (F::CAN_MAP_WRITE, F::CAN_MAP_READ | F::SPECIFIC);
    assert_eq!(region.vmar.allocate(0, P, bad_child).unwrap_err(), Status::ACCESS_DENIED);
    assert_eq!(region.vmar.allocate(0, P, bad_place).unwrap_err(), Status::ACCESS_DENIED);
    let limit = F::CAN_MAP_READ | F::OFFSET_IS_UPPER_LIMIT;
    assert_eq!(region.vmar.allocate(2 * P, P, limit).unwrap_err(), Status::ACCESS_DENIED);
    assert_eq!(region.vmar.map(0, &vmo(1), 0, P, RW), Err(Status::ACCESS_DENIED));
    // Where to be is not handed down: a region inside may allow it.
    assert!(region.vmar.allocate(0, P, F::CAN_MAP_READ | F::CAN_MAP_SPECIFIC).is_ok());
}

#[test]
fn a_mapping_shows_the_vmo() {
    let region = Region::new(8);
    let vmo = vmo(4);
    vmo.write(&[1], P as u64).unwrap();
    let addr = region.vmar.map(2 * P, &vmo, P as u64, 2 * P - 5, RW | F::SPECIFIC).unwrap();
    assert_eq!((addr, peek(addr), peek(addr + 2 * P - 1)), (region.page(2), 1, 0));
    poke(addr + P, 2);
    assert_eq!(vmo.read_to_object(2 * P as u64), Ok(2_u8));
    vmo.write(&[3], 3 * P as u64 - 1).unwrap();
    assert_eq!(peek(addr + 2 * P - 1), 3);
    // The mapping keeps the VMO; the handles have nothing to do with it.
    drop(vmo);
    assert_eq!(peek(addr), 1);
    let second = region.vmar.duplicate_handle(Rights::NONE).unwrap();
    drop(second);
    poke(addr, 4);
    assert_eq!(peek(addr), 4);
}

#[test]
fn permissions_of_mappings() {
    let region = Region::new(4);
    let vmo = vmo(1);
    let at = |page: usize, flags: F| region.vmar.map(page * P, &vmo, 0, P, flags | F::SPECIFIC).unwrap();
    let (nothing, read, write) = (at(0, F::empty()), at(1, F::PERM_READ), at(2, RW));
    poke(write, 7);
    assert_eq!(peek(read), 7);
    assert_eq!([try_poke(nothing, 1), try_poke(read, 1)].map(|result| result.is_ok()), [false; 2]);
    try_poke(write, 8).unwrap();
    assert_eq!(peek(read), 8);
    at(3, F::PERM_READ_IF_XOM_UNSUPPORTED);
}

#[test]
fn refused_mappings() {
    let region = Region::new(4);
    let (v, vmo) = (&region.vmar, vmo(1));
    let map = |offset: usize, vmo_offset, len, flags| v.map(offset, &vmo, vmo_offset, len, flags).unwrap_err();
    let (bad, denied) = (Status::INVALID_ARGS, Status::ACCESS_DENIED);
    for flags in [
        F::PERM_WRITE,
        F::PERM_EXECUTE,
        F::PERM_READ | F::CAN_MAP_READ,
        F::COMPACT,
        F::CAN_MAP_SPECIFIC,
        F::FAULT_BEYOND_STREAM_SIZE,
        NO_SUCH_FLAG,
        NO_SUCH_ALIGNMENT,
        F::SPECIFIC | F::OFFSET_IS_UPPER_LIMIT,
    ] {
        assert_eq!(map(0, 0, P, flags), bad, "{flags:?}");
    }
    assert_eq!([map(0, 1, P, RW), map(1, 0, P, RW | F::SPECIFIC), map(P, 0, P, RW), map(0, 0, 0, RW)], [bad; 4]);
    assert_eq!(
        [map(4 * P, 0, P, RW | F::SPECIFIC), map(P, 0, 4 * P, RW | F::SPECIFIC), map(0, 0, 5 * P, RW)],
        [bad; 3]
    );
    assert_eq!(map(0, 0, usize::MAX, RW), Status::OUT_OF_RANGE);
    assert_eq!(map(0, u64::MAX - P as u64 + 1, P, RW), Status::OUT_OF_RANGE);
    v.map(P, &vmo, 0, P, RW | F::SPECIFIC).unwrap();
    assert_eq!(map(P, 0, P, RW | F::SPECIFIC), Status::ALREADY_EXISTS);
    assert_eq!(map(0, 0, 3 * P, RW), Status::NO_RESOURCES);

    let no_write = vmo.duplicate_handle(Rights::VMO_DEFAULT - Rights::WRITE).unwrap();
    let no_map = vmo.duplicate_handle(Rights::VMO_DEFAULT - Rights::MAP).unwrap();
    assert_eq!(v.map(0, &no_write, 0, P, RW), Err(denied));
    assert_eq!(v.map(0, &no_map, 0, P, F::empty()), Err(denied), "even to see nothing");
    assert_eq!(v.map(0, &vmo, 0, P, F::PERM_READ | F::PERM_EXECUTE), Err(denied));
    assert_eq!(region.without(Rights::WRITE).map(0, &vmo, 0, P, RW), Err(denied));
    check_handle(|vmar| vmar.map(0, &vmo, 0, P, RW));
    assert_eq!(v.map(0, &NullableHandle::invalid().into(), 0, P, RW), Err(Status::BAD_HANDLE));
    assert_eq!(v.map(0, &Event::create().into_handle().into(), 0, P, RW), Err(Status::WRONG_TYPE));

    let resizable = Vmo::create_with_opts(zx::VmoOptions::RESIZABLE, P as u64).unwrap();
    assert_eq!(v.map(0, &resizable, 0, P, RW | F::REQUIRE_NON_RESIZABLE), Err(Status::NOT_SUPPORTED));
    let discardable = zx::VmoOptions::from_bits_retain(zx::sys::ZX_VMO_DISCARDABLE);
    let discardable = Vmo::create_with_opts(discardable, P as u64).unwrap();
    assert_eq!(v.map(0, &discardable, 0, P, RW), Err(Status::NOT_SUPPORTED));
    v.map(0, &discardable, 0, P, RW | F::ALLOW_FAULTS).unwrap();
}

#[test]
fn overwriting_replaces_mappings_and_never_regions() {
    let region = Region::new(6);
    let (old, addr) = region.map_new(0, 4);
    old.write(&[1; 4 * P], 0).unwrap();
    let new = vmo(2);
    assert_eq!(overwrite(&region.vmar, P, &new, 2 * P), Ok(addr + P));
    assert_eq!([0, 1, 2, 3].map(|page| peek(region.page(page))), [1, 0, 0, 1]);
    poke(region.page(1), 9);
    assert_eq!((new.read_to_object(0), old.read_to_object(P as u64)), (Ok(9_u8), Ok(1_u8)));
    assert_eq!((old.info().unwrap().num_mappings, new.info().unwrap().num_mappings), (2, 1));

    let (_inner, _) = region.vmar.allocate(4 * P, P, F::CAN_MAP_READ | F::SPECIFIC).unwrap();
    assert_eq!(overwrite(&region.vmar, 3 * P, &new, 2 * P), Err(Status::INVALID_ARGS));
    assert_eq!(peek(region.page(3)), 1, "nothing changed");
    let both = VmarFlagsExtended::SPECIFIC_OVERWRITE | VmarFlagsExtended::MAP_RANGE;
    // SAFETY: tests keep no references into mappings.
    let refused = unsafe { region.vmar.map_unsafe(0, &new, 0, P, both) };
    assert_eq!(refused, Err(Status::INVALID_ARGS));
    // Where nothing is, it is SPECIFIC.
    assert_eq!(overwrite(&region.vmar, 5 * P, &new, P), Ok(region.page(5)));
}

#[test]
fn unmapping_cuts_mappings() {
    let region = Region::new(8);
    let (vmo, addr) = region.map_new(0, 5);
    vmo.write(&[7; 5 * P], 0).unwrap();
    unmap(&region.vmar, addr + P, 2 * P - 1).unwrap();
    assert_eq!([0, 3, 4].map(|page| peek(region.page(page))), [7; 3]);
    assert_eq!([1, 2].map(|page| try_poke(region.page(page), 1)), [Err(Status::NOT_FOUND); 2]);
    assert_eq!(vmo.info().unwrap().num_mappings, 2);
    unmap(&region.vmar, addr + P, P).expect("nothing is there: nothing happens");
    unmap(&region.vmar, region.base, 8 * P).unwrap();
    assert_eq!(vmo.info().unwrap().num_mappings, 0);
    assert_eq!(vmo.read_to_object(4 * P as u64), Ok(7_u8), "the VMO keeps its content");
    // The space is free again.
    region.vmar.map(0, &vmo, 0, 8 * P, RW).unwrap();
}

#[test]
fn refused_unmaps() {
    let region = Region::new(6);
    let v = &region.vmar;
    let (inner, _) = v.allocate(2 * P, 2 * P, CAN_MAP | F::SPECIFIC).unwrap();
    inner.map(0, &vmo(1), 0, P, RW | F::SPECIFIC).unwrap();
    for (addr, len) in [
        (region.base + 1, P),
        (region.base, 0),
        (region.base, usize::MAX),
        (region.base - P, 2 * P),
        (region.page(5), 2 * P),
        (region.page(1), 2 * P), // cuts the inner region
        (region.page(3), P),
    ] {
        assert_eq!(unmap(v, addr, len), Err(Status::INVALID_ARGS), "{:#x} {len:#x}", addr.wrapping_sub(region.base));
    }
    assert_eq!(unmap(&region.without(Rights::OP_CHILDREN), region.base, 6 * P), Err(Status::INVALID_ARGS));
    poke(region.page(2), 1);
    unmap(v, region.page(1), 4 * P).unwrap();
    assert_eq!(unmap(&inner, region.page(2), P), Err(Status::BAD_STATE), "it went as a whole");
    check_handle(|vmar| unmap(vmar, P, P));
}

#[test]
fn protection_comes_and_goes() {
    let region = Region::new(4);
    let (_vmo, addr) = region.map_new(0, 3);
    poke(addr + P, 7);
    protect(&region.vmar, addr + P, P - 1, F::PERM_READ).unwrap();
    assert_eq!(peek(addr + P), 7);
    assert_eq!([0, 1, 2].map(|page| try_poke(region.page(page), 8).is_ok()), [true, false, true]);
    protect(&region.vmar, addr, 3 * P, F::empty()).unwrap();
    assert_eq!([0, 1, 2].map(|page| try_poke(region.page(page), 9).is_ok()), [false; 3]);
    protect(&region.vmar, addr, 3 * P, RW).unwrap();
    assert_eq!([0, 1, 2].map(|page| peek(region.page(page))), [8, 7, 8]);
    poke(addr + P, 9);
}

#[test]
fn refused_protections() {
    let region = Region::new(8);
    let v = &region.vmar;
    let (vmo, addr) = region.map_new(0, 2);
    let read_only = vmo.duplicate_handle(Rights::READ | Rights::MAP).unwrap();
    v.map(2 * P, &read_only, 0, P, F::PERM_READ | F::SPECIFIC).unwrap();
    let (bad, denied) = (Status::INVALID_ARGS, Status::ACCESS_DENIED);
    for flags in [F::PERM_WRITE, F::PERM_READ | F::SPECIFIC, F::CAN_MAP_READ, NO_SUCH_FLAG, F::PERM_READ | F::ALIGN_4KB]
    {
        assert_eq!(protect(v, addr, P, flags), Err(bad), "{flags:?}");
    }
    for (addr, len) in [(addr + 1, P), (addr, 0), (addr - P, P), (region.page(7), 2 * P), (addr, usize::MAX)] {
        assert_eq!(protect(v, addr, len, F::PERM_READ), Err(bad));
    }
    assert_eq!(protect(v, addr, P, F::PERM_READ | F::PERM_EXECUTE), Err(denied));
    assert_eq!(protect(&region.without(Rights::WRITE), addr, P, RW), Err(denied));
    // Everything is checked before anything changes.
    protect(v, addr, 3 * P, F::PERM_READ).unwrap();
    assert_eq!(protect(v, addr, 3 * P, RW), Err(denied), "the handle of the third page's VMO was read-only");
    assert_eq!(protect(v, addr, 4 * P, F::empty()), Err(Status::NOT_FOUND));
    assert_eq!((peek(addr), try_poke(addr, 1).is_ok()), (0, false));
    check_handle(|vmar| protect(vmar, P, P, F::empty()));
}

#[test]
fn protecting_a_region_inside_can_only_take_away() {
    let region = Region::new(2);
    let (inner, base) = region.vmar.allocate(0, P, CAN_MAP | F::SPECIFIC).unwrap();
    inner.map(0, &vmo(1), 0, P, RW).unwrap();
    assert_eq!(protect(&region.without(Rights::OP_CHILDREN), base, P, F::PERM_READ), Err(Status::INVALID_ARGS));
    protect(&region.vmar, base, P, F::PERM_READ).unwrap();
    assert_eq!(protect(&region.vmar, base, P, RW), Err(Status::ACCESS_DENIED));
    protect(&inner, base, P, RW).unwrap();
    poke(base, 1);
}

#[test]
fn destroying_takes_all_of_it() {
    let region = Region::new(4);
    let (inner, base) = region.vmar.allocate(P, 2 * P, CAN_MAP | F::SPECIFIC).unwrap();
    let vmo = vmo(1);
    inner.map(0, &vmo, 0, P, RW | F::SPECIFIC).unwrap();
    poke(base, 7);
    assert_eq!(destroy(&region.without(Rights::OP_CHILDREN)), Err(Status::ACCESS_DENIED));
    destroy(&region.vmar).unwrap();
    assert_eq!(try_poke(base, 8), Err(Status::NOT_FOUND));
    assert_eq!((vmo.info().unwrap().num_mappings, vmo.read_to_object(0)), (0, Ok(7_u8)));
    for dead in [&region.vmar, &inner] {
        assert_eq!(destroy(dead), Err(Status::BAD_STATE));
        assert_eq!(dead.allocate(0, P, F::empty()).unwrap_err(), Status::BAD_STATE);
        assert_eq!(dead.map(0, &vmo, 0, P, RW), Err(Status::BAD_STATE));
        assert_eq!(unmap(dead, base, P), Err(Status::BAD_STATE));
        assert_eq!(protect(dead, base, P, RW), Err(Status::BAD_STATE));
        assert_eq!(dead.op_range(VmarOp::COMMIT, base, P), Err(Status::BAD_STATE));
        assert_eq!(dead.op_range(VmarOp::COMMIT, base + 4 * P, P), Err(Status::OUT_OF_RANGE), "looked at before");
        assert_eq!(dead.maps_vec(), Err(Status::BAD_STATE));
        assert!(dead.info().is_ok(), "where it was can still be asked");
    }
    let root = zx::runtime::vmar_root_self();
    assert_eq!(destroy(&root), Err(Status::NOT_SUPPORTED));
    check_handle(destroy);
}

#[test]
fn commit_and_decommit() {
    let region = Region::new(4);
    let (vmo, addr) = region.map_new(0, 4);
    vmo.write(&[7], P as u64).unwrap();
    region.vmar.op_range(VmarOp::COMMIT, addr + P, 2 * P - 1).unwrap();
    assert_eq!((committed(&vmo), peek(addr + P)), (2, 7));
    region.vmar.op_range(VmarOp::COMMIT, addr, 4 * P).unwrap();
    assert_eq!((committed(&vmo), peek(addr + P)), (4, 7));
    poke(addr + 3 * P, 8);
    region.vmar.op_range(VmarOp::DECOMMIT, addr + P, P).unwrap();
    assert_eq!((committed(&vmo), vmo.read_to_object(P as u64)), (3, Ok(0_u8)));
    assert_eq!((peek(addr + P), peek(addr + 3 * P)), (0, 8));
}

#[test]
fn zeroing() {
    let region = Region::new(2);
    let (vmo, addr) = region.map_new(0, 2);
    vmo.write(&[7; 2 * P], 0).unwrap();
    region.vmar.op_range(VmarOp::ZERO, addr, 1).unwrap();
    assert_eq!(committed(&vmo), 1);
    assert_eq!((peek(addr), peek(addr + P - 1), peek(addr + P)), (0, 0, 7));
}

#[test]
fn hints_change_no_content_and_commit_nothing() {
    let region = Region::new(3);
    let (vmo, addr) = region.map_new(0, 3);
    vmo.write(&[7], P as u64).unwrap();
    for op in [VmarOp::MAP_RANGE, VmarOp::ALWAYS_NEED, VmarOp::DONT_NEED, VmarOp::PREFETCH] {
        region.vmar.op_range(op, addr, 3 * P).unwrap();
        assert_eq!((committed(&vmo), peek(addr + P)), (1, 7), "{op:?}");
    }
}

#[test]
fn the_present_protection_does_not_matter_to_operations() {
    let region = Region::new(1);
    let (vmo, addr) = region.map_new(0, 1);
    protect(&region.vmar, addr, P, F::empty()).unwrap();
    for op in ALL_OPS {
        region.vmar.op_range(op, addr, P).unwrap();
    }
    region.vmar.op_range(VmarOp::COMMIT, addr, P).unwrap();
    assert_eq!(committed(&vmo), 1);
}

#[test]
fn operations_refused_at_the_door() {
    let region = Region::new(2);
    let (vmo, addr) = region.map_new(0, 2);
    let v = &region.vmar;
    vmo.write(&[7; 2 * P], 0).unwrap();
    for op in ALL_OPS {
        assert_eq!(v.op_range(op, addr + 1, P), Err(Status::INVALID_ARGS), "{op:?}");
        assert_eq!(v.op_range(op, addr, 0), Err(Status::INVALID_ARGS), "{op:?}");
        assert_eq!(v.op_range(op, addr, usize::MAX), Err(Status::INVALID_ARGS), "{op:?}");
        assert_eq!(v.op_range(op, addr - P, 2 * P), Err(Status::OUT_OF_RANGE), "{op:?}");
        assert_eq!(v.op_range(op, addr + P, 2 * P), Err(Status::OUT_OF_RANGE), "{op:?}");
        check_handle(|vmar| vmar.op_range(op, addr, P));
    }
    for op in [0, 4, 5, 11, 15, u32::MAX] {
        assert_eq!(v.op_range(VmarOp::from_raw(op), addr, P), Err(Status::INVALID_ARGS));
    }
    assert_eq!((committed(&vmo), peek(addr), peek(addr + P)), (2, 7, 7));
}

#[test]
fn operations_need_their_rights() {
    let region = Region::new(2);
    let (vmo, addr) = region.map_new(0, 1);
    let (no_read, no_write) = (region.without(Rights::READ), region.without(Rights::WRITE));
    for op in [VmarOp::COMMIT, VmarOp::DECOMMIT, VmarOp::ZERO] {
        assert_eq!(no_write.op_range(op, addr, P), Err(Status::ACCESS_DENIED), "{op:?}");
        assert_eq!(no_read.op_range(op, addr, P), Ok(()), "{op:?}");
    }
    assert_eq!(no_read.op_range(VmarOp::PREFETCH, addr, P), Err(Status::ACCESS_DENIED));
    let nothing = region.vmar.duplicate_handle(Rights::NONE).unwrap();
    for op in [VmarOp::MAP_RANGE, VmarOp::DONT_NEED, VmarOp::ALWAYS_NEED] {
        assert_eq!(nothing.op_range(op, addr, P), Ok(()), "{op:?}");
    }
    // A mapping remembers what the handle of its VMO allowed.
    let read_only = vmo.duplicate_handle(Rights::READ | Rights::MAP).unwrap();
    let shown = region.vmar.map(P, &read_only, 0, P, F::PERM_READ | F::SPECIFIC).unwrap();
    for op in [VmarOp::COMMIT, VmarOp::DECOMMIT, VmarOp::ZERO] {
        assert_eq!(region.vmar.op_range(op, shown, P), Err(Status::ACCESS_DENIED), "{op:?}");
    }
    assert_eq!(region.vmar.op_range(VmarOp::PREFETCH, shown, P), Ok(()));
}

#[test]
fn what_comes_before_a_gap_is_done() {
    let region = Region::new(4);
    let (first, addr) = region.map_new(0, 1);
    let (last, _) = region.map_new(2, 1);
    for vmo in [&first, &last] {
        vmo.write(&[7], 0).unwrap();
    }
    for op in ALL_OPS {
        assert_eq!(region.vmar.op_range(op, addr, 3 * P), Err(Status::BAD_STATE), "{op:?}");
        assert_eq!(region.vmar.op_range(op, addr + P, P), Err(Status::BAD_STATE), "{op:?}");
    }
    assert_eq!((committed(&first), committed(&last)), (0, 1));
    assert_eq!((peek(addr), peek(region.page(2))), (0, 7));
}

#[test]
fn operations_and_regions_inside() {
    let region = Region::new(3);
    let (_outer_vmo, addr) = region.map_new(0, 1);
    let (inner, _) = region.vmar.allocate(P, P, CAN_MAP | F::SPECIFIC).unwrap();
    for op in ALL_OPS {
        assert_eq!(region.vmar.op_range(op, addr, 2 * P), Err(Status::BAD_STATE), "{op:?}: an empty region is a gap");
    }
    let vmo = vmo(1);
    vmo.write(&[7], 0).unwrap();
    inner.map(0, &vmo, 0, P, RW).unwrap();
    for op in [VmarOp::COMMIT, VmarOp::DECOMMIT, VmarOp::PREFETCH] {
        assert_eq!(region.vmar.op_range(op, addr, 2 * P), Err(Status::INVALID_ARGS), "{op:?}");
    }
    let alone = region.without(Rights::OP_CHILDREN);
    for op in [VmarOp::MAP_RANGE, VmarOp::DONT_NEED, VmarOp::ALWAYS_NEED, VmarOp::ZERO] {
        assert_eq!(alone.op_range(op, addr, 2 * P), Err(Status::INVALID_ARGS), "{op:?}");
        assert_eq!(vmo.read_to_object(0), Ok(7_u8), "{op:?}");
        assert_eq!(region.vmar.op_range(op, addr, 2 * P), Ok(()), "{op:?}");
    }
    assert_eq!(vmo.read_to_object(0), Ok(0_u8), "zeroed last");
}

#[test]
fn past_the_end_of_the_vmo() {
    let region = Region::new(2);
    let vmo = vmo(1);
    let addr = region.vmar.map(0, &vmo, 0, 2 * P, RW).unwrap();
    vmo.write(&[7], 0).unwrap();
    for op in [VmarOp::COMMIT, VmarOp::DECOMMIT, VmarOp::ZERO, VmarOp::PREFETCH] {
        assert_eq!(region.vmar.op_range(op, addr, 2 * P), Err(Status::OUT_OF_RANGE), "{op:?}");
        assert_eq!((committed(&vmo), peek(addr)), (1, 7), "{op:?} leaves the piece alone");
    }
    for op in [VmarOp::MAP_RANGE, VmarOp::DONT_NEED, VmarOp::ALWAYS_NEED] {
        assert_eq!(region.vmar.op_range(op, addr, 2 * P), Ok(()), "{op:?}");
    }
    assert!(try_poke(addr + P, 1).is_err());
}

#[test]
fn past_the_end_of_the_content() {
    let region = Region::new(3);
    let vmo = Vmo::create(3 * P as u64).unwrap();
    vmo.set_stream_size(P as u64 + 1).unwrap();
    let flags = RW | F::ALLOW_FAULTS | F::FAULT_BEYOND_STREAM_SIZE;
    let addr = region.vmar.map(0, &vmo, 0, 3 * P, flags).unwrap();
    let stores = || [0, 1, 2].map(|page| try_poke(addr + page * P, 7).is_ok());
    assert_eq!(stores(), [true, true, false], "the page that holds the end is there");
    for op in ALL_OPS {
        assert_eq!(region.vmar.op_range(op, addr, 3 * P), Err(Status::OUT_OF_RANGE), "{op:?}");
        assert_eq!(region.vmar.op_range(op, addr, 2 * P), Ok(()), "{op:?}");
    }
    vmo.set_stream_size(3 * P as u64).unwrap();
    assert_eq!(stores(), [true; 3]);
    vmo.set_stream_size(P as u64).unwrap();
    assert_eq!(stores(), [true, false, false]);
}

#[test]
fn code_can_be_mapped_where_all_allow_it() {
    let region = Region::with(2, CAN_MAP | F::CAN_MAP_EXECUTE);
    let ambient = zx::Resource::from(NullableHandle::invalid());
    let code = vmo(1).replace_as_executable(&ambient).unwrap();
    let run = F::PERM_READ | F::PERM_EXECUTE;
    let addr = region.vmar.map(0, &code, 0, P, run).unwrap();
    assert_eq!(region.vmar.map(0, &vmo(1), 0, P, run), Err(Status::ACCESS_DENIED));
    assert_eq!(region.without(Rights::EXECUTE).map(0, &code, 0, P, run), Err(Status::ACCESS_DENIED));
    // With nothing but a return in it, in the machine's own code.
    let ret: &[u8] = if cfg!(target_arch = "aarch64") { &[0xc0, 0x03, 0x5f, 0xd6] } else { &[0xc3] };
    code.write(ret, 0).unwrap();
    code.op_range(zx::VmoOp::CACHE_SYNC, 0, P as u64).unwrap();
    // SAFETY: a function without arguments or results is there, mapped executable.
    unsafe { std::mem::transmute::<*const (), extern "C" fn()>(std::ptr::with_exposed_provenance(addr))() };
}

#[test]
fn maps_tell_what_is_where() {
    let region = Region::new(8);
    let (vmo, addr) = region.map_new(1, 3);
    vmo.set_name(&zx::Name::new_lossy("three")).unwrap();
    poke(addr + P, 1);
    protect(&region.vmar, addr + P, P, F::PERM_READ).unwrap();
    let (inner, inner_base) = region.vmar.allocate(5 * P, 2 * P, CAN_MAP | F::SPECIFIC).unwrap();
    inner.map(P, &vmo, 0, P, F::empty() | F::SPECIFIC).unwrap();

    let maps = region.vmar.maps_vec().unwrap();
    let places: Vec<_> = maps.iter().map(|map| (map.base, map.size / P, map.depth)).collect();
    let expected = [
        (region.base, 8, 0),
        (addr, 1, 1),
        (addr + P, 1, 1),
        (addr + 2 * P, 1, 1),
        (inner_base, 2, 1),
        (inner_base + P, 1, 2),
    ];
    assert_eq!(places, expected);
    assert_eq!((maps[0].details(), maps[4].details()), (MapDetails::Vmar, MapDetails::Vmar));
    assert_eq!(maps[1].name, "three");
    let second = *maps[2].details().as_mapping().unwrap();
    assert_eq!((second.vmo_koid, second.vmo_offset), (vmo.koid().unwrap(), P as u64));
    assert_eq!((second.committed_bytes, second.mmu_flags), (P, VmarFlagsExtended::PERM_READ));
    let first = maps[1].details().as_mapping().unwrap().mmu_flags;
    assert_eq!(first, VmarFlagsExtended::PERM_READ | VmarFlagsExtended::PERM_WRITE);
    assert_eq!(maps[5].details().as_mapping().unwrap().mmu_flags, VmarFlagsExtended::empty());

    // Into a buffer that is too short, and one that is too long.
    let mut buffer = [MaybeUninit::uninit(); 2];
    let (some, rest, all) = region.vmar.maps(&mut buffer).unwrap();
    assert_eq!((&*some, rest.len(), all), (&maps[..2], 0, 6));
    let mut buffer = [MaybeUninit::uninit(); 9];
    let (every, rest, all) = region.vmar.maps(&mut buffer).unwrap();
    assert_eq!((&*every, rest.len(), all), (&maps[..], 3, 6));
    assert_eq!(region.vmar.maps(&mut []).unwrap().2, 6);
    assert_eq!(region.without(Rights::INSPECT).maps_vec(), Err(Status::ACCESS_DENIED));
    check_handle(Vmar::maps_vec);
}

#[test]
fn lists_longer_than_the_first_room_come_whole() {
    let region = Region::new(40);
    let vmo = vmo(1);
    for page in (0..40).step_by(2) {
        region.vmar.map(page * P, &vmo, 0, P, RW | F::SPECIFIC).unwrap();
    }
    assert_eq!(region.vmar.maps_vec().unwrap().len(), 21);
}

#[test]
fn the_process_tells_its_address_space() {
    let region = Region::new(2);
    let (vmo, addr) = region.map_new(0, 1);
    let process = zx::runtime::process_self();
    let maps = process.info_maps_vec().unwrap();
    assert_eq!((maps[0].details(), maps[0].depth), (MapDetails::AddressSpace, 0));
    let root = zx::runtime::vmar_root_self().info().unwrap();
    assert_eq!(
        (maps[1].name.to_string(), maps[1].base, maps[1].size, maps[1].depth),
        ("root".into(), root.base, root.len, 1)
    );
    let ours = maps.iter().find(|map| map.base == addr && map.details().as_mapping().is_some()).unwrap();
    assert_eq!((ours.depth, ours.details().as_mapping().unwrap().vmo_koid), (3, vmo.koid().unwrap()));
    let mut buffer = [MaybeUninit::uninit(); 2];
    let (some, rest, all) = process.info_maps(&mut buffer).unwrap();
    assert_eq!((some.len(), rest.len(), some[1].depth), (2, 0, 1));
    assert!(all >= 4);
    let blind = process.duplicate_handle(process.basic_info().unwrap().rights - Rights::INSPECT).unwrap();
    assert_eq!(blind.info_maps_vec(), Err(Status::ACCESS_DENIED));
    assert_eq!(zx::Process::from(Event::create().into_handle()).info_maps_vec(), Err(Status::WRONG_TYPE));
}

#[test]
fn records_of_ones_own_making() {
    let mut mapping = MappingDetails::default();
    mapping.vmo_offset = 4096;
    let name = zx::Name::new_lossy("made");
    let make = |details| MapInfo::new(name, 4096, 8192, 2, details);
    let record = make(MapDetails::Mapping(&mapping)).unwrap();
    assert_eq!(record.details(), MapDetails::Mapping(&mapping));
    assert_eq!(make(MapDetails::Unknown), Err(Status::INVALID_ARGS));
    for details in [MapDetails::None, MapDetails::AddressSpace, MapDetails::Vmar] {
        assert_eq!(make(details).unwrap().details(), details);
        assert_eq!(details.as_mapping(), None);
        assert_ne!(make(details).unwrap(), record);
    }
    assert!(format!("{:?}", make(MapDetails::None).unwrap()).contains("details: None"));
}
