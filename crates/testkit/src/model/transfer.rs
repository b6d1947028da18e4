//! Calls that move pages, or take away those that nobody would miss: vmo.md §11, and the extensions.

use std::rc::Rc;

use zxvm_types::*;

use super::{ContentId, Model};
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
            if self.content(vmo).source.is_some() {
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
        let (source, target) = (self.vmo_of(src).content, self.vmo_of(dst).content);
        for page in self.shown_of_others(source, from, len) {
            self.fork(source, page);
        }
        let taken = self.pages_mut(src).take(from, from + len);
        // What it shows of others is not to be seen there any more.
        for page in self.shown_of_others(target, to, len) {
            self.zero_own(target, page..page + 1);
        }
        self.pages_mut(dst).free(to, to + len);
        for (at, frame) in taken {
            let page = (to + (at - from)) / PAGE;
            self.zero_own(target, page..page + 1);
            // What others hold too stays theirs.
            let own = Rc::try_unwrap(frame).map_or_else(|shared| Rc::new(*shared), Rc::new);
            self.pages_mut(dst).put(to + (at - from), own);
        }
        Ok(())
    }

    /// The pages in a range of bytes of a content that are those of one that it lies over.
    fn shown_of_others(&self, id: ContentId, start: u64, len: u64) -> Vec<u64> {
        if self.contents[&id].over.is_none() {
            return Vec::new();
        }
        let others = |&page: &u64| self.seat(id, page).is_some_and(|(of, _)| of != id);
        (start / PAGE..(start + len) / PAGE).filter(others).collect()
    }

    /// Bytes that the VMO has less.
    pub(super) fn vmo_free_zero_pages(&mut self, handle: zx_handle_t) -> Result<u64, Status> {
        let (vmo, _) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        self.content(vmo).cached()?;
        if self.content(vmo).source.is_some() {
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
