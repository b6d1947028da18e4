//! `zx_vmar_protect`: vmar.md §6.

use zxvm_types::*;

use super::vmar::{PERMS, check_form, check_perms, effective_perms, rights_of_perms};
use super::{Model, What};
use crate::{PAGE, pages_up};

impl Model {
    pub(super) fn vmar_protect(
        &mut self,
        handle: zx_handle_t,
        options: u32,
        addr: u64,
        len: u64,
    ) -> Result<(), Status> {
        let (vmar, rights) = self.vmar(handle, rights_of_perms(effective_perms(options)))?;
        check_perms(options)?;
        if !addr.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        check_form(options)?;
        if options & !(PERMS | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let len = pages_up(len).filter(|&len| len != 0).ok_or(Status::INVALID_ARGS)?;
        let region = self.vmar_of(vmar);
        if !region.alive {
            return Err(Status::BAD_STATE);
        }
        let range = region.range(addr, len).ok_or(Status::INVALID_ARGS)?;
        let perms = effective_perms(options);
        let pieces = self.pieces(vmar, &range);
        let mut reached = range.start;
        for piece in &pieces {
            if piece.addr != reached {
                return Err(Status::NOT_FOUND);
            }
            if perms & !piece.can != 0 {
                return Err(Status::ACCESS_DENIED);
            }
            if piece.parent != vmar && rights & ZX_RIGHT_OP_CHILDREN == 0 {
                return Err(Status::INVALID_ARGS);
            }
            if piece.parent != vmar && piece.prot.iter().any(|old| perms & !old != 0) {
                return Err(Status::ACCESS_DENIED);
            }
            reached += piece.len;
        }
        if reached != range.end {
            return Err(Status::NOT_FOUND);
        }
        for piece in pieces {
            let children = &mut self.vmar_mut(piece.parent).children;
            for child in children.iter_mut().filter(|child| child.overlaps(&(piece.addr..piece.addr + 1))) {
                let What::Mapping(mapping) = &mut child.what else { panic!("the piece is of a mapping") };
                let first = ((piece.addr - child.base) / PAGE) as usize;
                mapping.prot[first..first + piece.prot.len()].fill(perms);
            }
        }
        Ok(())
    }
}
