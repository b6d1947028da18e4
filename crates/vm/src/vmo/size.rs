//! Size and stream size, as far as no mapping has to follow. (Where one has, `vmar::resize` leads.)

use std::sync::Arc;

use zxvm_host::{VmoRange, addr};
use zxvm_types::Status;

use super::{MAX_SIZE, State, Vmo};
use crate::store::Window;

impl Vmo {
    /// Bytes as the user counts them.
    pub fn stream_size(&self) -> u64 {
        self.lock().stream_size
    }

    /// The whole pages of a new size.
    ///
    /// # Errors
    /// In order: `OUT_OF_RANGE` (rounding overflows), `UNAVAILABLE` (not resizable), `OUT_OF_RANGE` (too large).
    pub(crate) fn check_new_size(&self, size: u64) -> Result<u64, Status> {
        let rounded = addr::round_up(size).ok_or(Status::OUT_OF_RANGE)?;
        if !self.kind().resizable {
            return Err(Status::UNAVAILABLE);
        }
        if rounded > MAX_SIZE { Err(Status::OUT_OF_RANGE) } else { Ok(rounded) }
    }

    /// Gives the VMO its new size, once every mapping shows nothing from there on. What is returned is to be dropped
    /// without locks.
    ///
    /// # Errors
    /// What the host gives; nothing has changed then.
    pub(crate) fn set_size_locked(
        &self,
        state: &mut State,
        size: u64,
        rounded: u64,
    ) -> Result<Vec<Arc<Window>>, Status> {
        let old = state.size;
        let mut gone = Vec::new();
        if rounded <= old {
            // What is between the size and the page's end is zero. The rest cannot fail.
            self.zero_edge(state, size, rounded)?;
            state.known.forget(VmoRange::from_bounds(rounded, old));
            let host = self.host();
            gone = state
                .extents
                .truncate(rounded, |window, at, len| host.punch(window.store(), window.part(at, len)).is_ok());
        }
        state.size = rounded;
        state.stream_size = size;
        self.stores.tidy();
        Ok(gone)
    }

    /// Sets the stream size alone; everything from `zero_from` on becomes zero. Mappings that end with the stream have been
    /// withdrawn.
    pub(crate) fn set_stream_size_locked(
        &self,
        state: &mut State,
        stream_size: u64,
        zero_from: u64,
    ) -> Result<(), Status> {
        if zero_from < state.size {
            self.zero_locked(state, zero_from, state.size)?;
        }
        state.stream_size = stream_size;
        Ok(())
    }
}
