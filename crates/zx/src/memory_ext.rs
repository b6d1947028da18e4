//! How much of what pagers provide is in memory: beyond Fuchsia's binding.

use zxvm_syscall::Kernel;

use crate::event::Event;
use crate::handle::NullableHandle;
use crate::sys::{self, Status};

pub use zxvm_syscall::MemoryStats;

/// Ours, not Fuchsia's: limits how much of what pagers provide is in memory, in bytes, rounded down to pages; `None`: not at all. Pages
/// that were not used for long go first, those that are not needed ([`VmoOp::DONT_NEED`](crate::VmoOp::DONT_NEED)) before all others,
/// those that always are ([`VmoOp::ALWAYS_NEED`](crate::VmoOp::ALWAYS_NEED)) last, and those that are dirty never. An access that needs
/// room where all is dirty waits until something was saved: see [`writeback_event`].
///
/// Without it the environment variable `ZXVM_BUDGET` decides, such as `64M`; without that there is no limit.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// zx::set_memory_budget(Some(64 << 20))?;
/// assert_eq!(zx::memory_stats()?.budget, Some(64 << 20));
/// assert_eq!(zx::set_memory_budget(Some(4096)), Err(zx::Status::INVALID_ARGS));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `INVALID_ARGS`: less than 256 KiB.
pub fn set_memory_budget(bytes: Option<u64>) -> Result<(), Status> {
    Kernel::current()?.set_memory_budget(bytes)
}

/// Ours, not Fuchsia's: how much of what pagers provide may be in memory, in bytes; `None`: any amount. Takes no lock, unlike
/// [`memory_stats`].
///
/// # Errors
/// There is no engine.
pub fn memory_budget() -> Result<Option<u64>, Status> {
    Ok(Kernel::current()?.memory_budget())
}

/// Ours, not Fuchsia's: how much of what pagers provide is in memory, and what has become of it.
///
/// # Errors
/// There is no engine.
pub fn memory_stats() -> Result<MemoryStats, Status> {
    Ok(Kernel::current()?.memory_stats())
}

/// Ours, not Fuchsia's: takes about so many bytes of clean pages of pagers' VMOs out of memory at once, whichever turn it is, in use or
/// not. Answers how many.
///
/// # Errors
/// There is no engine.
pub fn reclaim(bytes: u64) -> Result<u64, Status> {
    Ok(Kernel::current()?.reclaim(bytes))
}

/// Ours, not Fuchsia's: the event that is signalled ([`Signals::EVENT_SIGNALED`](crate::Signals::EVENT_SIGNALED)) while pagers should save
/// what is dirty: half of the budget is, or somebody waits for room, or memory is short. It can be waited for, and not be signalled.
///
/// # Errors
/// `NO_MEMORY`: no more handles.
pub fn writeback_event() -> Result<Event, Status> {
    let mut raw = sys::ZX_HANDLE_INVALID;
    Kernel::current()?.writeback_event(&mut raw)?;
    Ok(NullableHandle::adopt(raw).into())
}
