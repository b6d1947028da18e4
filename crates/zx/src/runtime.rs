//! The handles that a process is born with. (A crate of its own, `fuchsia_runtime`, on Fuchsia.)
//!
//! They stay open as long as the process; closing one by its number is a bug. Where the engine cannot run they are
//! invalid, and every call says why.

use zxvm_syscall::Kernel;

use crate::job::Job;
use crate::process::Process;
use crate::sys::ZX_HANDLE_INVALID;
use crate::unowned::Unowned;
use crate::vmar::Vmar;

/// This process's root VMAR.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let root = zx::runtime::vmar_root_self();
/// assert_eq!(root.raw_handle(), zx::runtime::vmar_root_self().raw_handle());
/// assert_eq!(unsafe { root.destroy() }, Err(zx::Status::NOT_SUPPORTED));
/// # Ok(())
/// # }
/// ```
pub fn vmar_root_self() -> Unowned<'static, Vmar> {
    Unowned::borrow_raw(Kernel::current().map_or(ZX_HANDLE_INVALID, Kernel::vmar_root_self))
}

/// The job of this process, which stands for the root of all jobs.
pub fn job_default() -> Unowned<'static, Job> {
    Unowned::borrow_raw(Kernel::current().map_or(ZX_HANDLE_INVALID, Kernel::job_default))
}

/// This process.
pub fn process_self() -> Unowned<'static, Process> {
    Unowned::borrow_raw(Kernel::current().map_or(ZX_HANDLE_INVALID, Kernel::process_self))
}
