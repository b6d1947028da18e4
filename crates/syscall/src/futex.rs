//! Futexes: Linux's own, which are the same idea.
//!
//! The word may be at any address; the kernel answers for those that are not there.

use zxvm_host::linux::futex::{self, FutexError};
use zxvm_types::*;

use crate::kernel::Kernel;

fn word(addr: usize) -> Result<usize, Status> {
    if addr == 0 || !addr.is_multiple_of(align_of::<u32>()) { Err(Status::INVALID_ARGS) } else { Ok(addr) }
}

fn status(error: FutexError) -> Status {
    match error {
        FutexError::Changed => Status::BAD_STATE,
        FutexError::TimedOut => Status::TIMED_OUT,
        FutexError::Fault => Status::INVALID_ARGS,
        FutexError::Other(_) => Status::INTERNAL,
    }
}

impl Kernel {
    /// Sleeps until the word at `value_ptr` is woken, if it holds `current_value` now. Blocks until `deadline` at most.
    ///
    /// # Errors
    /// In order: `INVALID_ARGS` (unaligned, not there), `BAD_STATE` (another value), `BAD_HANDLE`, `WRONG_TYPE` (the owner is no
    /// thread), `TIMED_OUT`.
    pub fn futex_wait(
        &self,
        value_ptr: usize,
        current_value: i32,
        new_futex_owner: zx_handle_t,
        deadline: zx_time_t,
    ) -> Result<(), Status> {
        let word = word(value_ptr)?;
        if new_futex_owner != ZX_HANDLE_INVALID {
            // The value decides first; a past deadline asks for nothing but the comparison.
            match futex::wait(word, current_value as u32, Some(0)) {
                Err(FutexError::TimedOut) | Ok(()) => return Err(self.not_a_thread(new_futex_owner)),
                Err(error) => return Err(status(error)),
            }
        }
        let until = (deadline != ZX_TIME_INFINITE).then_some(deadline.max(0) as u64);
        futex::wait(word, current_value as u32, until).map_err(status)
    }

    /// Wakes at most `wake_count` threads.
    ///
    /// # Errors
    /// `INVALID_ARGS`: unaligned.
    pub fn futex_wake(&self, value_ptr: usize, wake_count: u32) -> Result<(), Status> {
        let word = word(value_ptr)?;
        match futex::wake(word, wake_count) {
            // Nobody can be waiting on a word that is not there.
            Ok(()) | Err(FutexError::Fault) => Ok(()),
            Err(error) => Err(status(error)),
        }
    }

    /// Wakes at most `wake_count` threads, and makes at most `requeue_count` others wait on another word, if the word at
    /// `value_ptr` holds `current_value`.
    ///
    /// # Errors
    /// In order: `INVALID_ARGS` (unaligned, the same word twice, not there), `BAD_STATE` (another value), `BAD_HANDLE`,
    /// `WRONG_TYPE` (the owner is no thread).
    pub fn futex_requeue(
        &self,
        value_ptr: usize,
        wake_count: u32,
        current_value: i32,
        requeue_ptr: usize,
        requeue_count: u32,
        new_requeue_owner: zx_handle_t,
    ) -> Result<(), Status> {
        let (from, to) = (word(value_ptr)?, word(requeue_ptr)?);
        if from == to {
            return Err(Status::INVALID_ARGS);
        }
        if new_requeue_owner != ZX_HANDLE_INVALID {
            futex::requeue(from, 0, current_value as u32, to, 0).map_err(status)?;
            return Err(self.not_a_thread(new_requeue_owner));
        }
        futex::requeue(from, wake_count, current_value as u32, to, requeue_count).map_err(status)
    }

    /// Why this handle cannot own a futex: there are no thread objects.
    fn not_a_thread(&self, handle: zx_handle_t) -> Status {
        match self.handles.get(handle) {
            Ok(_) => Status::WRONG_TYPE,
            Err(status) => status,
        }
    }
}
