//! Discardable VMOs: their content goes while nobody has it locked, and whoever locks it next is told.
//!
//! A content that is discarded is shown by no mapping, until it is locked again: then it is empty, and shown.

use zxvm_types::Status;

use super::AddressSpace;
use super::resize::Ends;
use crate::error::status;
use crate::vmo::Vmo;
use crate::vmo::family::Discard;

impl AddressSpace {
    /// Locks the content of a VMO once more. `offset` and `len` are the whole VMO. Answers whether it had been discarded:
    /// then it is empty now.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: not discardable. `OUT_OF_RANGE`: not exactly the whole. `UNAVAILABLE`: it was discarded, and
    /// `even_if_discarded` is not given. Then what the host gives, and all is as before.
    ///
    /// Source: vmo.md §9.
    pub fn lock_vmo(&self, vmo: &Vmo, offset: u64, len: u64, even_if_discarded: bool) -> Result<bool, Status> {
        {
            let mut content = vmo.lock();
            vmo.check_whole_discardable(&content, offset, len)?;
            match content.check_there() {
                Ok(()) => {
                    content.lock_once();
                    return Ok(false);
                }
                Err(_) if !even_if_discarded => return Err(Status::UNAVAILABLE),
                Err(_) => {}
            }
        }
        let layout = self.change()?;
        let steps = {
            let content = &mut vmo.lock();
            // Another thread may have been faster, or have changed the size.
            vmo.check_whole_discardable(content, offset, len)?;
            if content.check_there().is_ok() {
                content.lock_once();
                return Ok(false);
            }
            let (size, stream_size) = (content.size, content.stream_size);
            self.plan_follow(&layout, vmo, content, Ends::Size(size, stream_size))?
        };
        self.apply(&layout, &steps).map_err(status)?;
        let mut content = vmo.lock();
        content.discard = Discard::Allowed;
        content.lock_once();
        Ok(true)
    }

    /// Takes the content of a VMO away, as memory pressure does, if it may go: it has been locked before and is not now.
    /// Answers whether it went.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: not discardable. Then what the host gives, and all is as before.
    ///
    /// Source: vmo.md §9.
    pub fn discard_vmo(&self, vmo: &Vmo) -> Result<bool, Status> {
        if !vmo.kind().discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        let layout = self.change()?;
        let steps = {
            let content = &mut vmo.lock();
            if !content.may_go() {
                return Ok(false);
            }
            let steps = self.plan_follow(&layout, vmo, content, Ends::Size(0, 0))?;
            // Before mappings stop to show it: who locks it from here on waits for the layout lock, and is not told that
            // all is there while it is not shown.
            content.discard = Discard::Discarded;
            steps
        };
        if let Err(error) = self.apply(&layout, &steps) {
            vmo.lock().discard = Discard::Allowed;
            self.take_back(&layout, &steps);
            return Err(status(error));
        }
        let gone = {
            let content = &mut vmo.lock();
            content.losses += 1;
            vmo.forget_from(content, 0)
        };
        drop(layout);
        drop(gone);
        Ok(true)
    }
}
