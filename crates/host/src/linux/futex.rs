//! Linux's futexes on words at any address.
//!
//! The words are the clients': nothing here reads or writes them, the kernel does.

use core::ptr;

use super::sys::KeepErrno;
use rustix::io::Errno;

/// Why a futex call ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FutexError {
    /// The word holds another value.
    #[error("the word has changed")]
    Changed,
    /// The deadline came.
    #[error("timed out")]
    TimedOut,
    /// The word is not there.
    #[error("the word cannot be accessed")]
    Fault,
    /// Anything else, as the error number Linux gave.
    #[error("the kernel said error {0}")]
    Other(i32),
}

fn call(op: i32, word: usize, value: u32, value2: usize, word2: usize, value3: u32) -> Result<(), FutexError> {
    let _errno = KeepErrno::new();
    // SAFETY: the kernel checks the words' addresses and only compares and queues; a timeout is ours or none.
    let result =
        unsafe { libc::syscall(libc::SYS_futex, word, op | libc::FUTEX_PRIVATE_FLAG, value, value2, word2, value3) };
    if result >= 0 {
        return Ok(());
    }
    Err(match Errno::from_raw_os_error(KeepErrno::get()) {
        Errno::AGAIN => FutexError::Changed,
        Errno::TIMEDOUT => FutexError::TimedOut,
        Errno::FAULT => FutexError::Fault,
        other => FutexError::Other(other.raw_os_error()),
    })
}

/// Sleeps while the word holds `value`, until woken or until the monotonic clock shows `until` nanoseconds.
///
/// # Errors
/// See [`FutexError`].
pub fn wait(word: usize, value: u32, until: Option<u64>) -> Result<(), FutexError> {
    let at =
        until.map(|ns| libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 });
    let at = at.as_ref().map_or(ptr::null(), ptr::from_ref);
    loop {
        match call(libc::FUTEX_WAIT_BITSET, word, value, at.expose_provenance(), 0, u32::MAX) {
            Err(FutexError::Other(libc::EINTR)) => {}
            result => return result,
        }
    }
}

/// Wakes at most `count` threads that sleep on the word.
///
/// # Errors
/// See [`FutexError`].
pub fn wake(word: usize, count: u32) -> Result<(), FutexError> {
    // Linux wakes one even if asked for none.
    if count == 0 {
        return Ok(());
    }
    call(libc::FUTEX_WAKE, word, count.min(i32::MAX as u32), 0, 0, 0)
}

/// If the word holds `value`: wakes at most `count` threads and moves at most `moved` others to another word.
///
/// # Errors
/// See [`FutexError`].
pub fn requeue(word: usize, count: u32, value: u32, to: usize, moved: u32) -> Result<(), FutexError> {
    let (count, moved) = (count.min(i32::MAX as u32), moved.min(i32::MAX as u32));
    call(libc::FUTEX_CMP_REQUEUE, word, count, moved as usize, to, value)
}
