//! The tour's main part: a file becomes a VMO, is mapped twice, and every operation is done to it.
//!
//! The VMO has room for more pages than the file has, so that there is always something uncommitted to tell from what
//! is committed, even with an empty file.

use zxvm_host::PAGE_SIZE;
use zxvm_host::user::UserRef;
use zxvm_types::*;

use super::stage::{Access, Stage, bytes};
use super::verdict::Documented;
use crate::failure::Failure;

/// Pages behind the file.
const ROOM: u64 = 16;

/// Pages of the small pieces.
const PIECE: u64 = 4;

/// Bytes written at once.
const CHUNK: usize = 1 << 20;

/// Linux may enter so many neighbours of a page that it enters.
const NEIGHBOURS: u64 = 16;

/// What the file amounts to.
pub struct Cast {
    file: Vec<u8>,
    file_pages: u64,
    pages: u64,
}

impl Cast {
    /// The cast for this file.
    pub fn new(file: Vec<u8>) -> Self {
        let file_pages = (file.len() as u64).div_ceil(PAGE_SIZE);
        Self { file, file_pages, pages: file_pages + ROOM }
    }

    /// Pages of address that its steps need: two mappings, with a page between.
    pub fn pages_needed(&self) -> u64 {
        2 * (self.pages + 1)
    }
}

/// Plays it. Nothing is left mapped or alive.
pub fn play(stage: &mut Stage<'_>, cast: Cast) -> Result<(), Failure> {
    let vmo = becomes_memory(stage, cast.file, cast.file_pages, cast.pages)?;
    let pages = cast.pages;
    let (first, second) = (stage.at(0), stage.at(pages + 1));
    is_mapped_twice(stage, vmo, pages, first, second)?;
    let committed = is_given_back(stage, vmo, pages, first)?;
    ends(stage, vmo, pages, [first, second], committed)
}

/// Ends with every page committed and entered at page 0 of the stage.
fn becomes_memory(stage: &mut Stage<'_>, file: Vec<u8>, loaded: u64, pages: u64) -> Result<zx_handle_t, Failure> {
    let (vmar, first, len) = (stage.vmar, stage.at(0), bytes(pages));
    stage.group("A file becomes memory");
    let mut vmo = ZX_HANDLE_INVALID;
    let says = "A new VMO is zeros and has no memory.";
    stage.step(format!("zx_vmo_create, {pages} pages"), says, Documented::ok(0, 0), |hands| {
        hands.kernel.vmo_create(len as u64, 0, &mut vmo)
    })?;
    stage.adopt(vmo, vec![0; len]);

    stage.content(vmo)[..file.len()].copy_from_slice(&file);
    let says = "Writing commits the pages written. Nothing is mapped yet.";
    stage.step("zx_vmo_write the file", says, Documented::ok(0, loaded), |hands| {
        for (index, chunk) in file.chunks(CHUNK).enumerate() {
            let at = index * CHUNK;
            hands.kernel.vmo_write(vmo, UserRef::from(chunk), at as u64)?;
            hands.progress.within(at, file.len());
        }
        Ok(())
    })?;

    let options = Access::ReadWrite.options() | ZX_VM_SPECIFIC;
    let mut addr = 0;
    let says = "A mapping gets its page-table entries as it is used.";
    stage.step("zx_vmar_map, read and write", says, Documented::ok(0, loaded), |hands| {
        hands.kernel.vmar_map(vmar, options, 0, vmo, 0, len, &mut addr)
    })?;
    stage.shows(first, vmo, len, Access::ReadWrite);

    let says = "MAP_RANGE enters the committed pages and allocates nothing.";
    stage.step("MAP_RANGE all", says, Documented::ok(loaded, loaded), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_MAP_RANGE, first, len, 0, 0)
    })?;

    let stored = bytes(loaded + 1);
    stage.content(vmo)[stored] = b'!';
    let says = "A store through the mapping commits its page; the VMO has the byte.";
    stage.step("store a byte behind the file", says, Documented::ok(loaded + 1, loaded + 1), |hands| {
        hands.witness.write((first + stored) as u64, b"!").map_err(|_| Status::IO)
    })?;

    let says = "COMMIT allocates every absent page, enters all, and keeps the content.";
    stage.step("COMMIT all", says, Documented::ok(pages, pages), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_COMMIT, first, len, 0, 0)
    })?;
    Ok(vmo)
}

/// Ends with every page committed and entered in both mappings; the first is read-only.
fn is_mapped_twice(
    stage: &mut Stage<'_>,
    vmo: zx_handle_t,
    pages: u64,
    first: usize,
    second: usize,
) -> Result<(), Failure> {
    let (vmar, len) = (stage.vmar, bytes(pages));
    stage.group("A second mapping of it");
    let options = Access::ReadWrite.options() | ZX_VM_SPECIFIC;
    let offset = second - first;
    let mut addr = 0;
    let says = "Another mapping shows the same pages. It has entries of its own, none yet.";
    stage.step("zx_vmar_map again", says, Documented::ok(pages, pages), |hands| {
        hands.kernel.vmar_map(vmar, options, offset, vmo, 0, len, &mut addr)
    })?;
    stage.shows(second, vmo, len, Access::ReadWrite);

    let half = pages / 2;
    let says = "ALWAYS_NEED enters the committed pages.";
    let documented = Documented::ok(pages + half, pages).or_more_entries(NEIGHBOURS);
    stage.step("ALWAYS_NEED half of it", says, documented, |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_ALWAYS_NEED, second, bytes(half), 0, 0)
    })?;

    let says = "PREFETCH enters the committed pages.";
    stage.step("PREFETCH all", says, Documented::ok(2 * pages, pages), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_PREFETCH, second, len, 0, 0)
    })?;

    let says = "DONT_NEED is a hint for pagers; anonymous memory stays as it is.";
    stage.step("DONT_NEED all", says, Documented::ok(2 * pages, pages), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_DONT_NEED, second, len, 0, 0)
    })?;

    stage.shows(first, vmo, len, Access::Read);
    let says = "zx_vmar_protect takes effect on entries already made; they stay.";
    stage.step("zx_vmar_protect 1st, read-only", says, Documented::ok(2 * pages, pages), |hands| {
        hands.kernel.vmar_protect(vmar, ZX_VM_PERM_READ, first, len)
    })
}

/// Ends with the first mapping writable again. Returns the pages that are then committed.
fn is_given_back(stage: &mut Stage<'_>, vmo: zx_handle_t, pages: u64, first: usize) -> Result<u64, Failure> {
    let (vmar, half) = (stage.vmar, pages / 2);
    let op = |stage: &mut Stage<'_>, call: String, says, op, from: u64, count: u64, left: u64| {
        let addr = first + bytes(from);
        stage.content(vmo)[bytes(from)..bytes(from + count)].fill(0);
        stage.step(call, says, Documented::ok(2 * left, left), |hands| {
            hands.kernel.vmar_op_range(vmar, op, addr, bytes(count), 0, 0)
        })
    };
    stage.group("Memory given back, through the read-only mapping");
    let says = "DECOMMIT frees the pages in every mapping, whatever the present protection; they read as zeros.";
    let mut left = pages - half;
    op(stage, format!("DECOMMIT {half} pages"), says, ZX_VMAR_OP_DECOMMIT, 0, half, left)?;
    let says = "ZX_VMO_OP_DECOMMIT is the old spelling of it.";
    left -= PIECE;
    op(stage, format!("ZX_VMO_OP_DECOMMIT {PIECE} pages"), says, ZX_VMO_OP_DECOMMIT, half, PIECE, left)?;
    let says = "ZERO is as writing zeros, and frees what can be freed.";
    left -= PIECE;
    op(stage, format!("ZERO {PIECE} pages"), says, ZX_VMAR_OP_ZERO, half + PIECE, PIECE, left)?;
    let says = "MAP_RANGE leaves uncommitted pages alone: no memory, no entry.";
    stage.step("MAP_RANGE all", says, Documented::ok(2 * left, left), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_MAP_RANGE, first, bytes(pages), 0, 0)
    })?;

    stage.group("A little of it comes back");
    stage.shows(first, vmo, bytes(pages), Access::ReadWrite);
    let says = "Through its own VMAR a mapping may regain what it was made with.";
    stage.step("zx_vmar_protect 1st, writable", says, Documented::ok(2 * left, left), |hands| {
        hands.kernel.vmar_protect(vmar, Access::ReadWrite.options(), first, bytes(pages))
    })?;
    let says = "A size is rounded up to whole pages.";
    stage.step("COMMIT 1 byte", says, Documented::ok(2 * left + 1, left + 1), |hands| {
        hands.kernel.vmar_op_range(vmar, ZX_VMAR_OP_COMMIT, first, 1, 0, 0)
    })?;
    let says = "A load reads zero. On Linux it commits a page too, which it does not on Zircon (see CAVEATS).";
    let documented = Documented::ok(2 * left + 2, left + 2).or_more_entries(NEIGHBOURS);
    stage.step("load a byte of an absent page", says, documented, |hands| {
        let mut byte = [1];
        hands.witness.read((first + bytes(half - 1)) as u64, &mut byte).map_err(|_| Status::IO)?;
        if byte == [0] { Ok(()) } else { Err(Status::IO_DATA_INTEGRITY) }
    })?;
    Ok(left + 2)
}

/// Ends with nothing.
fn ends(
    stage: &mut Stage<'_>,
    vmo: zx_handle_t,
    pages: u64,
    mappings: [usize; 2],
    committed: u64,
) -> Result<(), Failure> {
    let vmar = stage.vmar;
    stage.group("The end of it");
    mappings.iter().for_each(|&addr| stage.hides(addr));
    let says = "Unmapping takes the entries and leaves the VMO its content. Gaps are fine.";
    stage.step("zx_vmar_unmap both", says, Documented::ok(0, committed), |hands| {
        hands.kernel.vmar_unmap(vmar, mappings[0], bytes(2 * pages + 1))
    })?;
    stage.leaves(vmo);
    let says = "With the last handle and the last mapping goes the memory.";
    stage.step("zx_handle_close", says, Documented::ok(0, 0), |hands| hands.kernel.handle_close(vmo))
}
