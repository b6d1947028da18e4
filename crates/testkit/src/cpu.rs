//! The processor's view of memory: loads and stores at addresses that may fault.
//!
//! 1. A fault is an answer here, never a signal.
//! 2. Nothing is ever borrowed as a Rust reference: other threads and other mappings may write it at any time.

use std::fmt;

use rustix::io::Errno;
use zxvm_host::sim::SimHost;
use zxvm_syscall::user::{UserRef, UserSlice};

/// The access faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// Whoever executes loads and stores.
pub trait Cpu: fmt::Debug {
    /// Loads a byte.
    ///
    /// # Errors
    /// [`Fault`]
    fn load(&self, addr: u64) -> Result<u8, Fault>;

    /// Stores a byte.
    ///
    /// # Errors
    /// [`Fault`]
    fn store(&self, addr: u64, byte: u8) -> Result<(), Fault>;

    /// Whether addresses are real ones, so that a call's buffer may lie in a mapping.
    fn is_real(&self) -> bool;
}

impl Cpu for SimHost {
    fn load(&self, addr: u64) -> Result<u8, Fault> {
        Self::load(self, addr).map_err(|_| Fault)
    }

    fn store(&self, addr: u64, byte: u8) -> Result<(), Fault> {
        Self::store(self, addr, byte).map_err(|_| Fault)
    }

    fn is_real(&self) -> bool {
        false
    }
}

/// The real processor, with Linux in between: it makes the access for us and says EFAULT instead of a signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

impl Cpu for Native {
    fn load(&self, addr: u64) -> Result<u8, Fault> {
        let mut byte = [0_u8];
        transfer(Way::In, &mut byte, addr)?;
        Ok(byte[0])
    }

    fn store(&self, addr: u64, byte: u8) -> Result<(), Fault> {
        transfer(Way::Out, &mut [byte], addr)
    }

    fn is_real(&self) -> bool {
        true
    }
}

#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

fn transfer(way: Way, own: &mut [u8; 1], addr: u64) -> Result<(), Fault> {
    let here = libc::iovec { iov_base: own.as_mut_ptr().cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: addr as *mut _, iov_len: 1 };
    // SAFETY: `here` is ours for the whole call. `there` is memory of a VMAR that a test runs on and that nobody forms
    // references into; Linux checks the address itself.
    let moved = unsafe {
        let this_process = libc::getpid();
        match way {
            Way::In => libc::process_vm_readv(this_process, &here, 1, &there, 1, 0),
            Way::Out => libc::process_vm_writev(this_process, &here, 1, &there, 1, 0),
        }
    };
    match moved {
        1 => Ok(()),
        _ => {
            let error = std::io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(Errno::FAULT.raw_os_error()), "{addr:#x}: {error}");
            Err(Fault)
        }
    }
}

/// A buffer that a call may write to, at any address inside a VMAR under test, or at NULL.
pub fn slice_at<'a>(addr: u64, len: usize) -> UserSlice<'a> {
    // SAFETY: the addresses under test are never borrowed as references, and nobody has memory at NULL.
    unsafe { UserSlice::from_raw_parts(addr as usize, len) }
}

/// A buffer that a call may read, at any address inside a VMAR under test, or at NULL.
pub fn ref_at<'a>(addr: u64, len: usize) -> UserRef<'a> {
    // SAFETY: as in `slice_at`.
    unsafe { UserRef::from_raw_parts(addr as usize, len) }
}
