//! The locks of discardable VMOs: while one is held, the content stays. (How mappings follow when it goes, or is there
//! again, is the business of `vmar::discard`, which leads.)

use zxvm_types::Status;

use super::Vmo;
use super::family::{Content, Discard};

impl Vmo {
    /// Takes one lock back. Answers whether it was the last.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: not discardable. `OUT_OF_RANGE`: not exactly the whole. `BAD_STATE`: there is no lock.
    ///
    /// Source: vmo.md §9.
    pub(crate) fn unlock_content(&self, offset: u64, len: u64) -> Result<bool, Status> {
        let content = &mut *self.lock();
        self.check_whole_discardable(content, offset, len)?;
        content.locks = content.locks.checked_sub(1).ok_or(Status::BAD_STATE)?;
        Ok(content.locks == 0)
    }

    /// # Errors
    /// `NOT_SUPPORTED`: not discardable. `OUT_OF_RANGE`: not exactly the whole.
    pub(crate) fn check_whole_discardable(&self, content: &Content, offset: u64, len: u64) -> Result<(), Status> {
        if !self.kind.discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        if (offset, len) != (0, content.size) { Err(Status::OUT_OF_RANGE) } else { Ok(()) }
    }
}

impl Content {
    /// Locks what is there once more. Not for what was discarded.
    pub fn lock_once(&mut self) {
        debug_assert_ne!(self.discard, Discard::Discarded);
        self.locks += 1;
        self.discard = Discard::Allowed;
    }

    /// Whether the system may take it now.
    pub fn may_go(&self) -> bool {
        self.locks == 0 && self.discard == Discard::Allowed
    }

    /// # Errors
    /// `NOT_FOUND`: it was discarded.
    pub fn check_there(&self) -> Result<(), Status> {
        match self.discard {
            Discard::Discarded => Err(Status::NOT_FOUND),
            Discard::NotYet | Discard::Allowed => Ok(()),
        }
    }
}
