//! Calls that move pages, or take away those that nobody would miss: vmo.md §11, and the extensions.

use std::rc::Rc;

use zxvm_types::*;

use super::Model;
use crate::PAGE;
use crate::op::Transfer;

impl Model {
    pub(super) fn vmo_transfer_data(&mut self, args: Transfer) -> Result<(), Status> {
        let Transfer { dst, options, offset, len, src, src_offset } = args;
        if options != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if [offset, len, src_offset].iter().any(|number| !number.is_multiple_of(PAGE)) {
            return Err(Status::INVALID_ARGS);
        }
        let (dst, _) = self.vmo(dst, ZX_RIGHT_WRITE)?;
        let (src, _) = self.vmo(src, ZX_RIGHT_READ | ZX_RIGHT_WRITE)?;
        if dst == src && offset == src_offset {
            return Ok(());
        }
        for (vmo, offset) in [(src, src_offset), (dst, offset)] {
            self.in_range(vmo, offset, len)?;
            if self.is_paged(vmo) {
                return Err(Status::NOT_SUPPORTED);
            }
            // As for read and write.
            self.content(vmo).cached()?;
            self.content(vmo).present()?;
        }
        let (from, to) = (self.start(src) + src_offset, self.start(dst) + offset);
        if self.vmo_of(src).content == self.vmo_of(dst).content && from == to {
            return Ok(());
        }
        let taken = self.pages_mut(src).take(from, from + len);
        self.pages_mut(dst).free(to, to + len);
        for (at, frame) in taken {
            // What others hold too stays theirs.
            let own = Rc::try_unwrap(frame).map_or_else(|shared| Rc::new(*shared), Rc::new);
            self.pages_mut(dst).put(to + (at - from), own);
        }
        Ok(())
    }

    /// Bytes that the VMO has less.
    pub(super) fn vmo_free_zero_pages(&mut self, handle: zx_handle_t) -> Result<u64, Status> {
        let (vmo, _) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        self.content(vmo).cached()?;
        if self.is_paged(vmo) {
            return Ok(0);
        }
        let zeros: Vec<_> = self
            .committed_offsets(vmo)
            .filter(|&offset| self.page(vmo, offset).is_some_and(|page| page.iter().all(|&byte| byte == 0)))
            .collect();
        for &offset in &zeros {
            self.make_zero(vmo, offset, offset + PAGE)?;
        }
        Ok(zeros.len() as u64 * PAGE)
    }

    pub(super) fn vmo_create_contiguous(&self, bti: zx_handle_t, size: u64, alignment_log2: u32) -> Result<(), Status> {
        if size == 0 {
            return Err(Status::INVALID_ARGS);
        }
        if alignment_log2 != 0 && !(12..64).contains(&alignment_log2) {
            return Err(Status::INVALID_ARGS);
        }
        self.not_of_this_world(bti)
    }

    pub(super) fn vmo_create_physical(&self, resource: zx_handle_t) -> Result<(), Status> {
        self.not_of_this_world(resource)
    }

    /// A handle to an object of a type that does not exist here.
    fn not_of_this_world(&self, handle: zx_handle_t) -> Result<(), Status> {
        self.handle(handle).and(Err(Status::WRONG_TYPE))
    }
}
