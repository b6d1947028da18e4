//! Discardable VMOs: vmo.md §9.

use zxvm_types::*;

use super::{Content, Model, ObjectId};

impl Model {
    /// LOCK, TRY_LOCK and UNLOCK, after the look at the rights. `buffer` is for LOCK alone.
    pub(super) fn lock_op(
        &mut self,
        vmo: ObjectId,
        op: u32,
        offset: u64,
        size: u64,
        buffer: &mut [u8],
    ) -> Result<(), Status> {
        let content = self.content_mut(vmo);
        if !content.discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        if (offset, size) != (0, content.size) {
            return Err(Status::OUT_OF_RANGE);
        }
        match op {
            ZX_VMO_OP_UNLOCK => {
                content.locks = content.locks.checked_sub(1).ok_or(Status::BAD_STATE)?;
                content.idle = 0;
                return Ok(());
            }
            ZX_VMO_OP_TRY_LOCK if content.discarded => return Err(Status::UNAVAILABLE),
            ZX_VMO_OP_TRY_LOCK => {}
            _ => {
                let state = [offset, size, 0, if content.discarded { content.size } else { 0 }];
                // The lock is taken first, and a content that has been locked is one that was there.
                content.locked_once = true;
                content.discarded = false;
                // Who is not told of the lock has it not, any more.
                content.idle = 0;
                let room = buffer.get_mut(..size_of_val(&state)).ok_or(Status::INVALID_ARGS)?;
                room.copy_from_slice(&state.map(u64::to_ne_bytes).concat());
            }
        }
        content.locks += 1;
        content.locked_once = true;
        Ok(())
    }

    /// Whether the content went just now.
    pub(super) fn vmo_discard(&mut self, handle: zx_handle_t) -> Result<bool, Status> {
        let (vmo, _) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        let content = self.content_mut(vmo);
        if !content.discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        let goes = content.may_go();
        if goes {
            content.discard();
        }
        Ok(goes)
    }
}

impl Content {
    /// Whether it may be discarded now.
    pub(super) fn may_go(&self) -> bool {
        self.discardable && self.locks == 0 && self.locked_once && !self.discarded
    }

    /// It is discarded.
    pub(super) fn discard(&mut self) {
        self.pages.free(0, self.size);
        self.discarded = true;
        self.losses += 1;
    }
}
