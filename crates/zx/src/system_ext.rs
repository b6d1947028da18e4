//! What there is about the system beyond Fuchsia's binding.

use zxvm_syscall::Kernel;

use crate::event::Event;
use crate::handle::NullableHandle;
use crate::job::Job;
use crate::sys::{self, Status};

/// Ours, not Fuchsia's: the event that is signalled while memory is as short as `kind` (`sys::ZX_SYSTEM_EVENT_*`) says.
/// Exactly one of them is at any time. It can be waited for, and not be signalled.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let job = zx::runtime::job_default();
/// let normal = zx::system_get_event(&job, zx::sys::ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL)?;
/// normal.wait_one(zx::Signals::EVENT_SIGNALED, zx::MonotonicInstant::INFINITE_PAST).unwrap();
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
