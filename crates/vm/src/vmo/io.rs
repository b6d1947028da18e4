//! Copying between a VMO and a caller's buffer.
//!
//! The VMO's lock is held only to look up where the next bytes live; the copy itself holds the window and no lock, since
//! the buffer may be anything: memory of the same VMO, memory that a pager must bring, memory that is not there.

use std::sync::Arc;

use zxvm_host::user::{UserRef, UserSlice};
use zxvm_host::{HostError, PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::extents::SEGMENT;
use super::{CachePolicy, State, Vmo};
use crate::error;
use crate::lock::assert_none_held;
use crate::store::Window;

/// Why a copy stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoError {
    /// The caller's buffer cannot be accessed at this address.
    Buffer {
        /// The first such byte.
        at: usize,
    },
    /// Anything else.
    Status(Status),
}

impl From<Status> for IoError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<HostError> for IoError {
    fn from(host: HostError) -> Self {
        match host {
            HostError::Fault { at } => Self::Buffer { at },
            HostError::NoMemory
            | HostError::NoDescriptors
            | HostError::FileSizeLimit
            | HostError::Permission
            | HostError::Other(_) => Self::Status(error::status(host)),
        }
    }
}

/// Which way a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

/// The next run of bytes of a copy.
enum Run {
    /// So many bytes live in this window, from this byte of it on.
    Stored { window: Arc<Window>, at: u64, len: u64 },
    /// So many bytes have no place, so they are zero.
    Zero { len: u64 },
}

impl Vmo {
    /// Copies `to.len()` bytes from `offset` on to the buffer. Commits nothing.
    ///
    /// # Errors
    /// In this order: `OUT_OF_RANGE` for an end that overflows, `BAD_STATE` if not cached, `OUT_OF_RANGE` past the size;
    /// then, with what comes before already copied, what the buffer or the host gives.
    ///
    /// Source: vmo.md §6.
    pub fn read(&self, offset: u64, to: UserSlice<'_>) -> Result<(), IoError> {
        self.copy(Direction::Read, offset, to.len(), |run, done| match run {
            Run::Stored { window, at, len } => {
                Ok(self.host().read_store(window.store(), window.offset(at), to.part(done, len as usize))?)
            }
            Run::Zero { len } => fill_zero(to.part(done, len as usize)),
        })
    }

    /// Copies the buffer to the bytes from `offset` on, committing the pages written.
    ///
    /// # Errors
    /// As [`Vmo::read`]; also `NO_MEMORY`, `NO_RESOURCES`.
    ///
    /// Source: vmo.md §6.
    pub fn write(&self, offset: u64, from: UserRef<'_>) -> Result<(), IoError> {
        self.copy(Direction::Write, offset, from.len(), |run, done| match run {
            Run::Stored { window, at, len } => {
                let part = from.part(done, len as usize);
                let result = self.host().write_store(window.store(), window.offset(at), part);
                window.settle(at + len);
                Ok(result?)
            }
            Run::Zero { len: _ } => unreachable!("a write has made its extents"),
        })
    }

    fn copy(
        &self,
        direction: Direction,
        offset: u64,
        len: usize,
        mut transfer: impl FnMut(Run, usize) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        assert_none_held();
        let end = offset.checked_add(len as u64).ok_or(Status::OUT_OF_RANGE)?;
        let mut at = offset;
        loop {
            let Some(run) = self.next_run(direction, at, end)? else { return Ok(()) };
            let len = match run {
                Run::Stored { len, .. } | Run::Zero { len } => len,
            };
            transfer(run, (at - offset) as usize)?;
            at += len;
            if at == end {
                return Ok(());
            }
        }
    }

    /// Where the bytes from `at` on live, `end` not reached yet; `None` if there are none.
    fn next_run(&self, direction: Direction, at: u64, end: u64) -> Result<Option<Run>, Status> {
        let mut state = self.lock();
        if state.cache_policy != CachePolicy::Cached {
            return Err(Status::BAD_STATE);
        }
        state.check_range(at, end - at)?;
        if at == end {
            return Ok(None);
        }
        let stored = |state: &State| {
            let (window, from, len) = state.extents.at(at)?;
            Some(Run::Stored { window: window.clone(), at: from, len: len.min(end - at) })
        };
        if let Some(run) = stored(&state) {
            return Ok(Some(run));
        }
        let first = addr::round_down(at);
        let last = addr::round_up(end).expect("inside the VMO").min(first.saturating_add(SEGMENT));
        let range = VmoRange::from_bounds(first, last);
        Ok(match direction {
            Direction::Read => {
                let next = state.extents.places(range).next().map_or(last, |place| place.range.start());
                Some(Run::Zero { len: next.min(end) - at })
            }
            Direction::Write => {
                self.ensure_extents(&mut state, range)?;
                stored(&state)
            }
        })
    }
}

fn fill_zero(to: UserSlice<'_>) -> Result<(), IoError> {
    static ZEROS: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];
    let mut done = 0;
    while done < to.len() {
        let len = ZEROS.len().min(to.len() - done);
        to.part(done, len).fill_from(&ZEROS[..len]).map_err(|fault| IoError::Buffer { at: fault.at })?;
        done += len;
    }
    Ok(())
}
