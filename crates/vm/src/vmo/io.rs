//! Copying between a VMO and a caller's buffer, without the lock.
//!
//! The family's lock is held only to look up where the next bytes live; the copy itself holds the window and no lock,
//! since the buffer may be anything: memory of the same VMO, memory that a pager must bring, memory that is not there.
//!
//! 1. A write does so only as long as nobody ever shared the content ([`Content::careful`]); it is counted while it
//!    copies. Otherwise `vmar::ops` leads.
//! 2. A read looks afterwards whether a frame has become another one's meanwhile, and if so reads again.
//!
//! [`Content::careful`]: super::family::Content::careful

use core::sync::atomic::Ordering;
use std::sync::Arc;

use zxvm_host::user::{UserRef, UserSlice};
use zxvm_host::{HostError, PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::Vmo;
use super::extents::SEGMENT;
use super::family::{InFlight, Locked};
use super::ops::Direct;
use super::source::ROOT;
use crate::error;
use crate::lock::assert_none_held;
use crate::pager::PageState;
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
            | HostError::NotSupported
            | HostError::Other(_) => Self::Status(error::status(host)),
        }
    }
}

/// How many times a read starts again because a frame moved, before it holds the lock to read.
const READ_TRIES: u32 = 3;

/// Bytes read under the lock at a time, by way of the stack.
pub(crate) const BOUNCE: usize = 2 * PAGE_SIZE as usize;

/// Where the next bytes of a read are.
enum Run {
    /// In this window, from this byte of it on.
    Stored(Arc<Window>, u64),
    /// They have no place, so they are zero.
    Zero,
    /// A pager has to provide these pages of the root first.
    Absent(VmoRange),
}

/// What became of a step of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes have been copied.
    Copied(usize),
    /// A pager has to provide these pages of the root first, and nothing has been copied.
    Absent(VmoRange),
}

/// How the bytes of a read go to the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The host copies them.
    Direct,
    /// By the stack: the buffer may be memory that a pager has to provide.
    Bounced,
}

impl Vmo {
    /// Copies bytes from `offset` on to the start of `to`, as many as are in one place. Commits nothing. Copies nothing at the
    /// end.
    ///
    /// # Errors
    /// In this order: `OUT_OF_RANGE` for an end that overflows, `BAD_STATE` if not cached, `OUT_OF_RANGE` past the size,
    /// `NOT_FOUND` if discarded; then what the buffer or the host gives.
    ///
    /// Source: vmo.md §6.
    pub(crate) fn read_some(&self, offset: u64, to: UserSlice<'_>, way: Way) -> Result<Read, IoError> {
        assert_none_held();
        offset.checked_add(to.len() as u64).ok_or(Status::OUT_OF_RANGE)?;
        let tries = match way {
            Way::Direct => READ_TRIES,
            Way::Bounced => 0,
        };
        for _ in 0..tries {
            let moves = self.family.moves.load(Ordering::Acquire);
            let Some((run, len)) = self.next_run(&self.lock(), offset, to.len())? else { return Ok(Read::Copied(0)) };
            match run {
                Run::Stored(window, at) => {
                    self.host().read_store(window.store(), window.offset(at), to.part(0, len))?;
                }
                Run::Zero => fill_zero(to.part(0, len))?,
                Run::Absent(range) => return Ok(Read::Absent(range)),
            }
            // The copy came before this look (it was a system call), and a frame that moved says so before it changes.
            if self.family.moves.load(Ordering::Acquire) == moves {
                return Ok(Read::Copied(len));
            }
        }
        self.read_bounced(offset, to)
    }

    /// [`Vmo::read_some`] with the lock held while bytes are taken.
    #[cold]
    #[inline(never)]
    fn read_bounced(&self, offset: u64, to: UserSlice<'_>) -> Result<Read, IoError> {
        let mut bytes = [0; BOUNCE];
        let len = {
            let content = self.lock();
            let Some((run, len)) = self.next_run(&content, offset, to.len())? else { return Ok(Read::Copied(0)) };
            let len = len.min(BOUNCE);
            match run {
                Run::Stored(window, at) => {
                    let bytes = UserSlice::from(&mut bytes[..len]);
                    self.host().read_store(window.store(), window.offset(at), bytes)?;
                }
                Run::Zero => {}
                Run::Absent(range) => return Ok(Read::Absent(range)),
            }
            len
        };
        to.fill_from(&bytes[..len]).map_err(|fault| IoError::Buffer { at: fault.at })?;
        Ok(Read::Copied(len))
    }

    /// Where the bytes from `offset` on are, and how many there; `None` if `len` is 0.
    fn next_run(&self, content: &Locked<'_>, offset: u64, len: usize) -> Result<Option<(Run, usize)>, Status> {
        Self::check_cached(content)?;
        let at = self.check_range(content, offset, len as u64)?;
        if len == 0 {
            return Ok(None);
        }
        content.check_there()?;
        let mut end = at + len as u64;
        let first = addr::round_down(at);
        let last = addr::round_up(end).expect("inside the VMO");
        let (mut extents, mut from) = (&content.extents, at);
        let family = content.family();
        if let Some(source) = &family.source {
            let layer = family.first_layer(self.content, VmoRange::from_bounds(first, last));
            let Some(of) = layer.of else {
                return Ok(Some((Run::Zero, (layer.range.end().min(end) - at) as usize)));
            };
            end = end.min(layer.range.end());
            if of == ROOT {
                let (state, run_end) = source.states.run_at(layer.at, layer.below().end());
                end = end.min(first + (run_end - layer.at));
                match state {
                    PageState::Absent => return Ok(Some((Run::Absent(layer.below()), 0))),
                    PageState::CleanZero | PageState::DirtyZero => {
                        return Ok(Some((Run::Zero, (end - at) as usize)));
                    }
                    PageState::Clean | PageState::AwaitingClean | PageState::Dirty => {
                        source.touched(VmoRange::from_bounds(
                            layer.at,
                            addr::round_up(layer.at + (end - first)).unwrap_or(run_end),
                        ));
                    }
                }
            }
            extents = &family.contents[of as usize].extents;
            from = layer.at + (at - first);
        }
        let len = end - at;
        if let Some((window, place, there)) = extents.at(from) {
            return Ok(Some((Run::Stored(window.clone(), place), there.min(len) as usize)));
        }
        let first = addr::round_down(from);
        let last = addr::round_up(from + len).expect("inside the VMO").min(first.saturating_add(SEGMENT));
        let next = extents.places(VmoRange::from_bounds(first, last)).next();
        let next = next.map_or(last, |place| place.range.start());
        Ok(Some((Run::Zero, (next.min(from + len) - from) as usize)))
    }

    /// Copies bytes from the start of `from` to those from `offset` on, as many as have one place, committing the pages
    /// written. Answers up to which byte of the VMO.
    ///
    /// # Errors
    /// As [`Vmo::read_some`]; also `NO_MEMORY`, `NO_RESOURCES`.
    ///
    /// Source: vmo.md §6.
    pub(crate) fn write_direct(&self, offset: u64, from: UserRef<'_>) -> Result<Direct, IoError> {
        assert_none_held();
        let end = offset.checked_add(from.len() as u64).ok_or(Status::OUT_OF_RANGE)?;
        let (window, at, len, _in_flight) = {
            let mut content = self.lock();
            Self::check_cached(&content)?;
            let start = self.check_range(&content, offset, end - offset)?;
            if from.is_empty() {
                return Ok(Direct::Done);
            }
            content.check_there()?;
            if content.careful {
                return Ok(Direct::Careful);
            }
            if content.extents.at(start).is_none() {
                let first = addr::round_down(start);
                let last = addr::round_up(start + from.len() as u64).expect("inside the VMO");
                let last = last.min(first.saturating_add(SEGMENT));
                self.ensure_extents(&mut content, VmoRange::from_bounds(first, last))?;
            }
            let (window, at, there) = content.extents.at(start).expect("it has a place now");
            (window.clone(), at, there.min(end - offset), InFlight::new(&self.family))
        };
        let result = self.host().write_store(window.store(), window.offset(at), from.part(0, len as usize));
        window.settle(at + len);
        result?;
        Ok(Direct::DoneTo(offset + len))
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
