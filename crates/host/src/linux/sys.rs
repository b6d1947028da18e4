//! System calls that rustix does not offer for memory that may not be there: buffers go to the kernel as numbers, and
//! `errno` is put back.

use std::os::fd::RawFd;

use super::user::{UserRef, UserSlice};
use crate::addr::{PAGE_SIZE, round_down};
use crate::api::{HostError, HostResult};
use rustix::io::Errno;

/// The calling thread's `errno`, put back at the end.
pub struct KeepErrno(i32);

impl KeepErrno {
    pub fn new() -> Self {
        Self(Self::get())
    }

    pub fn get() -> i32 {
        // SAFETY: the thread's own errno, always valid.
        unsafe { *libc::__errno_location() }
    }
}

impl Drop for KeepErrno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Repeats a transfer until `len` bytes are through. `call` gets how many are.
fn transfer(addr: usize, len: usize, mut call: impl FnMut(usize) -> isize) -> HostResult {
    let _errno = KeepErrno::new();
    let mut done = 0;
    while done < len {
        match usize::try_from(call(done)) {
            Ok(0) => return Err(HostError::Other(Errno::IO.raw_os_error())),
            Ok(n) => done += n,
            Err(_) => match Errno::from_raw_os_error(KeepErrno::get()) {
                Errno::INTR => {}
                Errno::FAULT => return Err(HostError::Fault { at: addr + done }),
                other => return Err(other.into()),
            },
        }
    }
    Ok(())
}

/// `pread` of the whole buffer.
pub fn read_at(fd: RawFd, at: u64, to: UserSlice<'_>) -> HostResult {
    transfer(to.addr(), to.len(), |done| {
        let to = to.part(done, to.len() - done);
        // SAFETY: whoever made the buffer allowed overwriting it; the kernel checks that it is there.
        unsafe { libc::pread(fd, to.addr() as *mut _, to.len(), (at + done as u64) as i64) }
    })
}

/// `pwrite` of the whole buffer.
pub fn write_at(fd: RawFd, at: u64, from: UserRef<'_>) -> HostResult {
    transfer(from.addr(), from.len(), |done| {
        let from = from.part(done, from.len() - done);
        // SAFETY: whoever made the buffer allowed reading it; the kernel checks that it is there.
        unsafe { libc::pwrite(fd, from.addr() as *const _, from.len(), (at + done as u64) as i64) }
    })
}

/// Whether anything is mapped at the page of `addr`.
pub fn is_mapped(addr: usize) -> bool {
    let _errno = KeepErrno::new();
    let mut resident = 0;
    let page = round_down(addr as u64) as usize;
    // SAFETY: asks about a page; writes one byte that is ours.
    unsafe { libc::mincore(page as *mut _, PAGE_SIZE as usize, &mut resident) == 0 }
}
