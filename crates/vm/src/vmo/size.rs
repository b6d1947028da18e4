//! Size and stream size, as far as no mapping has to follow. (Where one has, `vmar::resize` leads.)

use core::sync::atomic::Ordering;
use std::sync::Arc;

use zxvm_host::{PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::family::Locked;
use super::{MAX_SIZE, Vmo};
use crate::pager::PageState;
use crate::store::Window;

impl Vmo {
    /// Bytes as the user counts them.
    pub fn stream_size(&self) -> u64 {
        self.stream_size_in(self.lock().family())
    }

    /// The whole pages of a new size.
    ///
    /// # Errors
    /// In order: `OUT_OF_RANGE` (rounding overflows), `UNAVAILABLE` (not resizable), `OUT_OF_RANGE` (too large),
    /// `INVALID_ARGS` (its end, counted from the first VMO of the family, overflows).
    pub(crate) fn check_new_size(&self, size: u64) -> Result<u64, Status> {
        let rounded = addr::round_up(size).ok_or(Status::OUT_OF_RANGE)?;
        if !self.kind().resizable {
            return Err(Status::UNAVAILABLE);
        }
        if rounded > MAX_SIZE {
            return Err(Status::OUT_OF_RANGE);
        }
        self.lock().origin.checked_add(rounded).map(|_| rounded).ok_or(Status::INVALID_ARGS)
    }

    /// Gives the content its new size, once every mapping shows nothing from there on and no other content holds the page
    /// where it ends. What is returned is to be dropped without locks.
    ///
    /// # Errors
    /// What the host gives; nothing has changed then.
    pub(crate) fn set_size_locked(
        &self,
        content: &mut Locked<'_>,
        size: u64,
        rounded: u64,
    ) -> Result<Vec<Arc<Window>>, Status> {
        let old = content.size;
        let mut gone = Vec::new();
        if rounded <= old {
            // What is between the size and the page's end is zero. The rest cannot fail. (A pager was asked for the page before:
            // what it refused stays as it is, and what was stored since is zeroed here.)
            let number = content.number();
            let own = match content.paged() {
                Some(source) => source.states.at(addr::round_down(size)) == PageState::Dirty,
                None => content.family().over(number).is_none() || content.extents.at(size).is_some(),
            };
            if own {
                self.zero_edge(content, size, rounded)?;
            }
            gone = self.forget_from(content, rounded);
        }
        content.size = rounded;
        content.stream_size = size;
        self.family.stores.tidy();
        Ok(gone)
    }

    /// Forgets all that is in the content from `at` on. What is returned is to be dropped without locks.
    pub(crate) fn forget_from(&self, content: &mut Locked<'_>, at: u64) -> Vec<Arc<Window>> {
        let host = self.host();
        if content.careful {
            let beyond = VmoRange::from_bounds(at, u64::MAX - (PAGE_SIZE - 1));
            // Before it goes: who copies from it without the lock looks afterwards.
            self.family.moved();
            content.family_mut().forget(host, self.content, beyond);
            return Vec::new();
        }
        let inside = VmoRange::from_bounds(at, content.size.max(at));
        content.known.forget(inside);
        let alone = self.family.in_flight.load(Ordering::Acquire) == 0;
        content.extents.truncate(at, alone, |window, at, len| host.punch(window.store(), window.part(at, len)).is_ok())
    }
}
