//! What there is about the system beyond Fuchsia's binding.

use zxvm_syscall::Kernel;

use crate::event::Event;
use crate::handle::NullableHandle;
use crate::job::Job;
use crate::sys::{self, Status};

pub use zxvm_syscall::pressure::Level as MemoryPressure;

/// Ours, not Fuchsia's: the event that is signalled while memory is as short as `kind` (`sys::ZX_SYSTEM_EVENT_*`) says.
/// Exactly one of them is at any time. It can be waited for, and not be signalled.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let job = zx::runtime::job_default();
/// let warning = zx::system_get_event(&job, zx::sys::ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING)?;
/// let now = warning.wait_one(zx::Signals::EVENT_SIGNALED, zx::MonotonicInstant::INFINITE_PAST);
/// assert_eq!(now.is_ok(), zx::memory_pressure()? == zx::MemoryPressure::Warning);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED` (`OUT_OF_MEMORY` needs `MANAGE_PROCESS`). `INVALID_ARGS`: no such kind.
///
/// Source: `zx_system_get_event`; abi.md §12.
pub fn system_get_event(root_job: &Job, kind: sys::zx_system_event_type_t) -> Result<Event, Status> {
    let mut raw = sys::ZX_HANDLE_INVALID;
    Kernel::current()?.system_get_event(root_job.raw_handle(), kind, &mut raw)?;
    Ok(NullableHandle::adopt(raw).into())
}

/// Ours, not Fuchsia's: how short memory is, by what the machine and the control groups of this process leave. Its events are
/// [`system_get_event`]'s, and it is the one of them that is signalled. Looks, and has memory watched from now on.
///
/// Levels begin where Zircon's do, with less than 300, 150, 60 and 50 MiB left, and with less in proportion where there is less
/// than 2 GiB in all; or where the environment variable `ZXVM_PRESSURE` says, four numbers of MiB such as `1000:500:100:50`. It gets worse
/// at once, and better when it has been so for 8 seconds.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// if zx::memory_pressure()? >= zx::MemoryPressure::Critical {
///     // Drop what can be had again.
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NO_MEMORY`, `NO_RESOURCES`, `INTERNAL`: the system cannot be asked.
pub fn memory_pressure() -> Result<MemoryPressure, Status> {
    Kernel::current()?.pressure_level()
}
