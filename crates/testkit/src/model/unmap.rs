//! `zx_vmar_unmap`: vmar.md §5.

use zxvm_types::*;

use super::{Model, What};
use crate::{PAGE, pages_up};

impl Model {
    pub(super) fn vmar_unmap(&mut self, handle: zx_handle_t, addr: u64, len: u64) -> Result<(), Status> {
        let (vmar, rights) = self.vmar(handle, 0)?;
        if !addr.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        let len = pages_up(len).filter(|&len| len != 0).ok_or(Status::INVALID_ARGS)?;
        let region = self.vmar_of(vmar);
        if !region.alive {
            return Err(Status::BAD_STATE);
        }
        let range = region.range(addr, len).ok_or(Status::INVALID_ARGS)?;
        let mut doomed = Vec::new();
        for child in region.children.iter().filter(|child| child.overlaps(&range)) {
            let What::Vmar(id) = child.what else { continue };
            if child.base < range.start || child.end() > range.end || rights & ZX_RIGHT_OP_CHILDREN == 0 {
                return Err(Status::INVALID_ARGS);
            }
            doomed.push(id);
        }
        for id in doomed {
            self.kill(id);
        }
        self.vmar_mut(vmar).cut(&range);
        self.unmapped.push(range);
        Ok(())
    }
}
