//! `zx_vmar_op_range`: vmar.md §9; and the walk that it shares with protect.

use std::ops::Range;

use zxvm_types::*;

use super::wait::{Fetch, Job, Want};
use super::{Model, ObjectId, What};
use crate::op::{OpRange, Outcome};
use crate::{PAGE, pages_up};

/// What a mapping and a range of addresses have in common.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub parent: ObjectId,
    pub addr: u64,
    pub len: u64,
    pub vmo: ObjectId,
    pub offset: u64,
    pub can: u32,
    pub ends_with_stream: bool,
    pub prot: Vec<u32>,
}

impl Model {
    /// The mappings in the range, lowest first, sub-VMARs entered.
    pub(super) fn pieces(&self, vmar: ObjectId, range: &Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for child in self.vmar_of(vmar).children.iter().filter(|child| child.overlaps(range)) {
            match &child.what {
                What::Vmar(inner) => pieces.append(&mut self.pieces(*inner, range)),
                What::Mapping(_) => {
                    let part = child.part(child.base.max(range.start)..child.end().min(range.end));
                    let What::Mapping(mapping) = part.what else { panic!("a part of a mapping is one") };
                    pieces.push(Piece {
                        parent: vmar,
                        addr: part.base,
                        len: part.len,
                        vmo: mapping.vmo,
                        offset: mapping.offset,
                        can: mapping.can,
                        ends_with_stream: mapping.ends_with_stream,
                        prot: mapping.prot,
                    });
                }
            }
        }
        pieces
    }

    pub(super) fn vmar_op_range(&mut self, args: OpRange) -> Option<Outcome> {
        match self.check_vmar_op(args) {
            Ok((vmar, rights, rest)) => self.launch(Job::Vmar { args, vmar, rights, rest, inner: None }),
            Err(status) => Some(Outcome::of(Err(status))),
        }
    }

    fn check_vmar_op(&self, args: OpRange) -> Result<(ObjectId, u32, Range<u64>), Status> {
        let OpRange { vmar, op, addr, size, buffer, buffer_size } = args;
        let needs = match op {
            ZX_VMAR_OP_COMMIT | ZX_VMAR_OP_DECOMMIT | ZX_VMAR_OP_ZERO => ZX_RIGHT_WRITE,
            ZX_VMAR_OP_PREFETCH => ZX_RIGHT_READ,
            _ => 0,
        };
        let (vmar, rights) = self.vmar(vmar, needs)?;
        let known = [
            ZX_VMAR_OP_COMMIT,
            ZX_VMAR_OP_DECOMMIT,
            ZX_VMAR_OP_MAP_RANGE,
            ZX_VMAR_OP_ZERO,
            ZX_VMAR_OP_DONT_NEED,
            ZX_VMAR_OP_ALWAYS_NEED,
            ZX_VMAR_OP_PREFETCH,
        ];
        if !known.contains(&op) {
            return Err(Status::INVALID_ARGS);
        }
        if buffer != 0 || buffer_size != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let size = pages_up(size).filter(|&size| size != 0).ok_or(Status::INVALID_ARGS)?;
        if !addr.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        let region = self.vmar_of(vmar);
        let range = region.range(addr, size).ok_or(Status::OUT_OF_RANGE)?;
        if !region.alive {
            return Err(Status::BAD_STATE);
        }
        Ok((vmar, rights, range))
    }

    /// Does the operation for the mapping at the start of `rest`. Answers what is to be brought in for it, and how many bytes of
    /// address it has.
    pub(super) fn vmar_op_piece(
        &mut self,
        args: OpRange,
        vmar: ObjectId,
        rights: u32,
        rest: &Range<u64>,
    ) -> Result<(Option<Fetch>, u64), Status> {
        let op = args.op;
        if !self.vmar_of(vmar).alive {
            return Err(Status::BAD_STATE);
        }
        let piece = self.pieces(vmar, rest).into_iter().next().filter(|piece| piece.addr == rest.start);
        let piece = piece.ok_or(Status::BAD_STATE)?;
        let own_only = matches!(op, ZX_VMAR_OP_COMMIT | ZX_VMAR_OP_DECOMMIT | ZX_VMAR_OP_PREFETCH);
        if piece.parent != vmar && (own_only || rights & ZX_RIGHT_OP_CHILDREN == 0) {
            return Err(Status::INVALID_ARGS);
        }
        let end = piece.offset + piece.len;
        if piece.ends_with_stream && end > self.stream_end(piece.vmo) {
            return Err(Status::OUT_OF_RANGE);
        }
        let can = match op {
            ZX_VMAR_OP_COMMIT | ZX_VMAR_OP_DECOMMIT | ZX_VMAR_OP_ZERO => ZX_VM_PERM_WRITE,
            ZX_VMAR_OP_PREFETCH => ZX_VM_PERM_READ,
            _ => 0,
        };
        if can & !piece.can != 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let (vmo, offset, len) = (piece.vmo, piece.offset, piece.len);
        if self.is_paged(vmo) {
            let want = match op {
                ZX_VMAR_OP_COMMIT => Want::Committed,
                ZX_VMAR_OP_PREFETCH => Want::Present,
                ZX_VMAR_OP_ALWAYS_NEED => Want::PresentIfCan,
                ZX_VMAR_OP_DECOMMIT => return self.decommit(vmo, offset, len).map(|()| (None, len)),
                ZX_VMAR_OP_ZERO => {
                    self.content(vmo).cached()?;
                    self.in_range(vmo, offset, len)?;
                    let zero = self.zeroing(vmo, offset, offset + len);
                    self.zero_pages(zero);
                    return Ok((None, len));
                }
                ZX_VMAR_OP_DONT_NEED => return self.in_range(vmo, offset, len).map(|()| (None, len)),
                _ => return Ok((None, len)),
            };
            self.in_range(vmo, offset, len)?;
            return Ok((Some(self.fetch(vmo, offset, len, want)), len));
        }
        match op {
            ZX_VMAR_OP_COMMIT => self.commit(vmo, offset, len)?,
            ZX_VMAR_OP_DECOMMIT => self.decommit(vmo, offset, len)?,
            ZX_VMAR_OP_ZERO => self.zero(vmo, offset, len)?,
            ZX_VMAR_OP_PREFETCH => self.in_range(vmo, offset, len)?,
            _ => {}
        }
        Ok((None, len))
    }

    /// The first offset that a mapping which ends with the stream does not show, if the VMO reaches so far.
    pub(super) fn stream_end(&self, vmo: ObjectId) -> u64 {
        pages_up(self.stream_size(vmo)).unwrap_or(u64::MAX)
    }

    /// Addresses of the pages in the range that have to have a page-table entry after an operation that makes them:
    /// those that are committed and allow an access. A page that a store would have to copy first may go without.
    pub fn entered(&self, range: &Range<u64>) -> Vec<u64> {
        let mut pages = Vec::new();
        for piece in self.pieces(self.root, range) {
            for (index, &prot) in piece.prot.iter().enumerate() {
                let at = index as u64 * PAGE;
                let offset = piece.offset + at;
                let shown =
                    offset < self.size(piece.vmo) && (!piece.ends_with_stream || offset < self.stream_end(piece.vmo));
                // A mapping may reach further than any content.
                let at_page = self.start(piece.vmo).checked_add(offset).filter(|_| shown);
                let holders = at_page.map_or(0, |at| self.content(piece.vmo).pages.holders(at));
                let shared = holders > 1 && prot & ZX_VM_PERM_WRITE != 0;
                if prot != 0 && holders > 0 && !shared {
                    pages.push(piece.addr + at);
                }
            }
        }
        pages
    }
}
