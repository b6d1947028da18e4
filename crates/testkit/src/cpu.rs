//! The processor's view of memory: loads and stores at addresses that may fault.
//!
//! 1. A fault is an answer here, never a signal.
//! 2. Nothing is ever borrowed as a Rust reference: other threads and other mappings may write it at any time.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use zxvm_host::linux::install_fault_recovery;
use zxvm_host::sim::{SimFault, SimHost};
use zxvm_syscall::user::{UserRef, UserSlice};

use crate::PAGE;

/// Why an access was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The thread gets a signal.
    Fatal,
    /// It would wait, and this processor does not: its request stays.
    Waits,
}

/// Whoever executes loads and stores.
pub trait Cpu: fmt::Debug + Send + Sync {
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

    /// Pages of memory that the engine has in use for contents.
    fn memory_pages(&self) -> u64;
}

impl Cpu for SimHost {
    fn load(&self, addr: u64) -> Result<u8, Fault> {
        Self::load(self, addr).map_err(fault)
    }

    fn store(&self, addr: u64, byte: u8) -> Result<(), Fault> {
        Self::store(self, addr, byte).map_err(fault)
    }

    fn is_real(&self) -> bool {
        false
    }

    fn memory_pages(&self) -> u64 {
        Self::memory_pages(self)
    }
}

fn fault(fault: SimFault) -> Fault {
    match fault {
        SimFault::Waits => Fault::Waits,
        SimFault::NotMapped | SimFault::Held | SimFault::Denied | SimFault::NoMemory | SimFault::Refused(_) => {
            Fault::Fatal
        }
    }
}

/// The real processor. The copy that the engine uses for the buffers of callers accesses memory as a program does, in user
/// mode, and survives the fault: what a program's own store would wait for, this one waits for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

impl Cpu for Native {
    fn load(&self, addr: u64) -> Result<u8, Fault> {
        install_fault_recovery();
        let mut byte = [0];
        ref_at(addr, 1).copy_to(&mut byte).map_err(|_| Fault::Fatal)?;
        Ok(byte[0])
    }

    fn store(&self, addr: u64, byte: u8) -> Result<(), Fault> {
        install_fault_recovery();
        slice_at(addr, 1).fill_from(&[byte]).map_err(|_| Fault::Fatal)
    }

    fn is_real(&self) -> bool {
        true
    }

    /// From the list of this process's descriptors: right only while a process has one engine.
    fn memory_pages(&self) -> u64 {
        let links = std::fs::read_dir("/proc/self/fd").expect("the list of descriptors");
        let stores = links.filter_map(|link| {
            let path = link.expect("the list of descriptors").path();
            // The descriptor of the list itself is gone by now.
            let target = std::fs::read_link(&path).ok()?;
            target.to_string_lossy().contains("memfd:zxvm").then_some(path)
        });
        stores.map(|path| std::fs::metadata(path).expect("an open file").blocks() * 512 / PAGE).sum()
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
