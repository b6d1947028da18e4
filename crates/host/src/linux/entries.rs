//! Dropping page-table entries, of many ranges with one call.
//!
//! 1. Shared memory keeps its pages: an access makes the entry again, at no fault to us. So dropping is harmless wherever a
//!    reservation of ours is, whatever it shows by now.
//! 2. `process_madvise` takes many ranges and flushes the processors' caches of entries once. That a process may advise itself with
//!    anything came late (6.13); where it is refused each range is dropped alone, and that is remembered.

use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::mm::Advice;
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::retry;
use super::sys::KeepErrno;
use crate::addr::AddrRange;
use crate::api::{HostError, HostResult};

/// The most ranges of one call (`IOV_MAX` is 1024).
const RANGES_MAX: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub struct Entries {
    /// This process, opened at the first need.
    own: Mutex<Option<OwnedFd>>,
    one_by_one: AtomicBool,
}

impl Entries {
    /// Drops the entries of all `ranges`.
    pub fn drop_all(&self, ranges: &[AddrRange]) -> HostResult {
        if ranges.len() < 2 || self.one_by_one.load(Ordering::Relaxed) {
            return ranges.iter().try_for_each(|&range| drop_one(range));
        }
        for some in ranges.chunks(RANGES_MAX) {
            let Err(error) = self.advise(some) else { continue };
            match error {
                HostError::NoMemory | HostError::NoDescriptors => {}
                // The kernel will not do it so.
                HostError::Fault { .. }
                | HostError::FileSizeLimit
                | HostError::Permission
                | HostError::NotSupported
                | HostError::Other(_) => self.one_by_one.store(true, Ordering::Relaxed),
            }
            some.iter().try_for_each(|&range| drop_one(range))?;
        }
        Ok(())
    }

    fn advise(&self, ranges: &[AddrRange]) -> HostResult {
        let mut vectors = [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; RANGES_MAX];
        for (vector, range) in vectors.iter_mut().zip(ranges) {
            *vector = libc::iovec { iov_base: range.addr() as *mut _, iov_len: range.len() as usize };
        }
        let whole: u64 = ranges.iter().map(|range| range.len()).sum();
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match &*own {
            Some(own) => own,
            None => own.insert(pidfd_open(getpid(), PidfdFlags::empty())?),
        };
        let _errno = KeepErrno::new();
        // SAFETY: the vector is ours and as long as it says; what it names is in reservations of ours (contract of the trait), of
        // which only entries go.
        let advised = unsafe {
            let (advice, none) = (Advice::LinuxDontNeed as libc::c_int, 0_u32);
            libc::syscall(libc::SYS_process_madvise, own.as_raw_fd(), vectors.as_ptr(), ranges.len(), advice, none)
        };
        match u64::try_from(advised) {
            Ok(done) if done == whole => Ok(()),
            // A part: the rest was not there.
            Ok(_) => Err(HostError::NotSupported),
            Err(_) => Err(Errno::from_raw_os_error(KeepErrno::get()).into()),
        }
    }
}

/// Drops the entries of `range`.
pub fn drop_one(range: AddrRange) -> HostResult {
    // SAFETY: shared memory keeps its pages; only entries go.
    retry(|| unsafe { rustix::mm::madvise(range.addr() as *mut _, range.len() as usize, Advice::LinuxDontNeed) })
}
