//! The locks of discardable VMOs: while one is held, the content stays.

use zxvm_types::Status;

use super::{State, Vmo};

impl Vmo {
    /// Locks the content once more. `offset` and `len` are the whole VMO.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: not discardable. `OUT_OF_RANGE`: not exactly the whole.
    ///
    /// Source: vmo.md §9.
    pub fn lock_content(&self, offset: u64, len: u64) -> Result<(), Status> {
        self.whole_discardable(offset, len, |state| {
            state.locks += 1;
            Ok(())
        })
    }

    /// Takes one lock back.
    ///
    /// # Errors
    /// As [`Vmo::lock_content`]; then `BAD_STATE`: there is none.
    pub fn unlock_content(&self, offset: u64, len: u64) -> Result<(), Status> {
        self.whole_discardable(offset, len, |state| {
            state.locks = state.locks.checked_sub(1).ok_or(Status::BAD_STATE)?;
            Ok(())
        })
    }

    fn whole_discardable(
        &self,
        offset: u64,
        len: u64,
        act: impl FnOnce(&mut State) -> Result<(), Status>,
    ) -> Result<(), Status> {
        if !self.kind.discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        let mut state = self.lock();
        if (offset, len) != (0, state.size) {
            return Err(Status::OUT_OF_RANGE);
        }
        act(&mut state)
    }
}
