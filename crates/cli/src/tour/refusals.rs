//! Calls that the documentation says must fail, and what they leave done or undone.
//!
//! Every scene has its own slot of the stage, sets itself up without a row, and leaves nothing behind.

use zxvm_host::PAGE_SIZE;
use zxvm_types::*;

use super::stage::{Access, Stage, bytes};
use super::verdict::Documented;
use crate::failure::{Failure, setup};

/// Pages of a slot, and of the pieces in it.
const SLOT: u64 = 16;
const PIECE: u64 = 4;

/// Pages of address that the scenes need.
pub const PAGES: u64 = 5 * SLOT;

/// What a piece holds.
const FILL: u8 = 0x5a;

/// Plays the scenes in the slots from page `from` on.
pub fn play(stage: &mut Stage<'_>, from: u64) -> Result<(), Failure> {
    stage.group("Refusals that leave earlier pieces done");
    gap(stage, from)?;
    read_only_handle(stage, from + SLOT)?;
    region_below(stage, from + 2 * SLOT)?;
    stage.group("A VMO that shrinks under its mapping");
    past_the_end(stage, from + 3 * SLOT)?;
    stage.group("Refusals that change nothing");
    arguments(stage, from + 4 * SLOT)
}

/// A piece, and nothing behind it.
fn gap(stage: &mut Stage<'_>, slot: u64) -> Result<(), Failure> {
    let (vmar, addr) = (stage.vmar, stage.at(slot));
    let vmo = make_vmo(stage, PIECE, 0, Some(FILL))?;
    make_mapping(stage, vmar, slot, vmo, vmo, Access::ReadWrite)?;
    stage.content(vmo).fill(0);
    let says = "A page of the range is not mapped: BAD_STATE, but what is mapped before it has been decommitted.";
    stage.step("DECOMMIT over a gap", says, Documented::refused(Status::BAD_STATE, 0, 0), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_DECOMMIT, addr, bytes(2 * PIECE), 0, 0)
    })?;
    strike(stage, slot, &[vmo])
}

/// A piece, and one mapped from a handle without `WRITE`.
fn read_only_handle(stage: &mut Stage<'_>, slot: u64) -> Result<(), Failure> {
    let (vmar, addr) = (stage.vmar, stage.at(slot));
    let vmo = make_vmo(stage, PIECE, 0, Some(FILL))?;
    make_mapping(stage, vmar, slot, vmo, vmo, Access::ReadWrite)?;
    let other = make_vmo(stage, PIECE, 0, Some(FILL))?;
    let mut read_only = ZX_HANDLE_INVALID;
    let rights = ZX_RIGHT_READ | ZX_RIGHT_MAP;
    setup("a read-only handle", stage.kernel.handle_duplicate(other, rights, &mut read_only))?;
    make_mapping(stage, vmar, slot + PIECE, read_only, other, Access::Read)?;
    stage.content(vmo).fill(0);
    let says = "A piece was mapped from a read-only VMO handle: ACCESS_DENIED for it, the one before it is done.";
    let documented = Documented::refused(Status::ACCESS_DENIED, PIECE, PIECE);
    stage.step("DECOMMIT over a read-only VMO", says, documented, |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_DECOMMIT, addr, bytes(2 * PIECE), 0, 0)
    })?;
    strike(stage, slot, &[vmo, other, read_only])
}

/// A piece, and a VMAR with another in it.
fn region_below(stage: &mut Stage<'_>, slot: u64) -> Result<(), Failure> {
    let (vmar, addr) = (stage.vmar, stage.at(slot));
    let vmo = make_vmo(stage, PIECE, 0, None)?;
    make_mapping(stage, vmar, slot, vmo, vmo, Access::ReadWrite)?;
    let child = make_region(stage, slot + PIECE)?;
    let other = make_vmo(stage, PIECE, 0, None)?;
    make_mapping(stage, child, slot + PIECE, other, other, Access::ReadWrite)?;
    let says = "A piece lies in a sub-VMAR: INVALID_ARGS for it, the one before it is committed.";
    let documented = Documented::refused(Status::INVALID_ARGS, PIECE, PIECE);
    stage.step("COMMIT over a sub-VMAR", says, documented, |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_COMMIT, addr, bytes(2 * PIECE), 0, 0)
    })?;
    strike(stage, slot, &[vmo, other, child])
}

/// A piece whose VMO becomes half as long.
fn past_the_end(stage: &mut Stage<'_>, slot: u64) -> Result<(), Failure> {
    let (vmar, addr) = (stage.vmar, stage.at(slot));
    let vmo = make_vmo(stage, 2 * PIECE, ZX_VMO_RESIZABLE, Some(FILL))?;
    make_mapping(stage, vmar, slot, vmo, vmo, Access::ReadWrite)?;
    stage.content(vmo).truncate(bytes(PIECE));
    let says = "A VMO that shrinks gives the memory back, and its mappings lose the pages.";
    stage.step("zx_vmo_set_size to half", says, Documented::ok(PIECE, PIECE), |hands| {
        hands.kernel.vmo_set_size(vmo, PIECE * PAGE_SIZE)
    })?;
    let says = "The piece reaches past the end of its VMO: OUT_OF_RANGE, and the piece is left alone.";
    stage.step("COMMIT past the end", says, Documented::refused(Status::OUT_OF_RANGE, PIECE, PIECE), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_COMMIT, addr, bytes(2 * PIECE), 0, 0)
    })?;
    let says = "MAP_RANGE is cut off at the end of the VMO.";
    stage.step("MAP_RANGE past the end", says, Documented::ok(PIECE, PIECE), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_MAP_RANGE, addr, bytes(2 * PIECE), 0, 0)
    })?;
    strike(stage, slot, &[vmo])
}

/// A piece that nothing happens to.
fn arguments(stage: &mut Stage<'_>, slot: u64) -> Result<(), Failure> {
    let (vmar, addr, len) = (stage.vmar, stage.at(slot), bytes(PIECE));
    let vmo = make_vmo(stage, PIECE, 0, Some(FILL))?;
    make_mapping(stage, vmar, slot, vmo, vmo, Access::ReadWrite)?;
    let mut weak = ZX_HANDLE_INVALID;
    setup("a weak handle", stage.kernel.handle_duplicate(vmar, ZX_RIGHT_READ | ZX_RIGHT_OP_CHILDREN, &mut weak))?;
    let dead = make_region(stage, slot + PIECE)?;
    setup("a dead VMAR", stage.kernel.vmar_destroy(dead))?;

    use Status as S;
    let (page, decommit) = (PAGE_SIZE as usize, ZX_VMAR_OP_DECOMMIT);
    let dead_addr = addr + len;
    let outside = stage.base - page;
    type Call = (zx_handle_t, u32, usize, usize, usize, usize);
    let calls: [(&str, &'static str, Status, Call); 8] = [
        (
            "DECOMMIT without WRITE",
            "COMMIT and DECOMMIT need WRITE on the VMAR handle.",
            S::ACCESS_DENIED,
            (weak, decommit, addr, len, 0, 0),
        ),
        ("DECOMMIT on a VMO handle", "The handle must be a VMAR's.", S::WRONG_TYPE, (vmo, decommit, addr, len, 0, 0)),
        (
            "operation 4, which is none",
            "An unknown operation is INVALID_ARGS.",
            S::INVALID_ARGS,
            (vmar, 4, addr, len, 0, 0),
        ),
        (
            "DECOMMIT with a buffer",
            "The buffer must be null, its size 0.",
            S::INVALID_ARGS,
            (vmar, decommit, addr, len, addr, page),
        ),
        ("DECOMMIT 0 bytes", "An empty range is INVALID_ARGS.", S::INVALID_ARGS, (vmar, decommit, addr, 0, 0, 0)),
        (
            "DECOMMIT an unaligned address",
            "The address must be that of a page.",
            S::INVALID_ARGS,
            (vmar, decommit, addr + 1, page, 0, 0),
        ),
        (
            "DECOMMIT outside the VMAR",
            "The range must lie within the VMAR.",
            S::OUT_OF_RANGE,
            (vmar, decommit, outside, len, 0, 0),
        ),
        (
            "DECOMMIT in a dead VMAR",
            "A destroyed VMAR is BAD_STATE.",
            S::BAD_STATE,
            (dead, decommit, dead_addr, len, 0, 0),
        ),
    ];
    for (call, says, status, (handle, op, addr, size, buffer, buffer_size)) in calls {
        stage.step(call, says, Documented::refused(status, PIECE, PIECE), |hands| {
            hands.kernel.vmar_op_range(handle, op, addr, size, buffer, buffer_size)
        })?;
    }
    strike(stage, slot, &[vmo, weak, dead])
}

/// A VMO that the stage looks after, committed throughout if it is filled.
fn make_vmo(stage: &mut Stage<'_>, pages: u64, options: u32, fill: Option<u8>) -> Result<zx_handle_t, Failure> {
    let mut vmo = ZX_HANDLE_INVALID;
    setup("a VMO", stage.kernel.vmo_create(pages * PAGE_SIZE, options, &mut vmo))?;
    let content = vec![fill.unwrap_or(0); bytes(pages)];
    if fill.is_some() {
        setup("content", stage.kernel.vmo_write(vmo, content.as_slice().into(), 0))?;
    }
    stage.adopt(vmo, content);
    Ok(vmo)
}

/// A mapping of the whole of `vmo`, by `handle`, at page `page` of the stage, where `vmar` is the stage's or begins. What is
/// committed is entered.
fn make_mapping(
    stage: &mut Stage<'_>,
    vmar: zx_handle_t,
    page: u64,
    handle: zx_handle_t,
    vmo: zx_handle_t,
    access: Access,
) -> Result<(), Failure> {
    let offset = if vmar == stage.vmar { bytes(page) } else { 0 };
    let len = stage.content(vmo).len();
    let options = access.options() | ZX_VM_SPECIFIC | ZX_VM_MAP_RANGE;
    let mut addr = 0;
    setup("a mapping", stage.kernel.vmar_map(vmar, options, offset, handle, 0, len, &mut addr))?;
    stage.shows(addr, vmo, len, access);
    Ok(())
}

/// A VMAR of a piece's size at page `page` of the stage.
fn make_region(stage: &mut Stage<'_>, page: u64) -> Result<zx_handle_t, Failure> {
    let options = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_SPECIFIC;
    let (mut child, mut addr) = (ZX_HANDLE_INVALID, 0);
    let made = stage.kernel.vmar_allocate(stage.vmar, options, bytes(page), bytes(PIECE), &mut child, &mut addr);
    setup("a sub-VMAR", made)?;
    Ok(child)
}

/// Clears the slot and closes the handles.
fn strike(stage: &mut Stage<'_>, slot: u64, handles: &[zx_handle_t]) -> Result<(), Failure> {
    let addr = stage.at(slot);
    for page in slot..slot + SLOT {
        stage.hides(stage.at(page));
    }
    setup("an empty slot", stage.kernel.vmar_unmap(stage.vmar, addr, bytes(SLOT)))?;
    setup("a clean end", stage.kernel.handle_close_many(handles))?;
    handles.iter().for_each(|&handle| stage.forget(handle));
    Ok(())
}
