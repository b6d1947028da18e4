//! Being watched by `zxvm top`: beyond Fuchsia's binding.

use std::path::Path;

use zxvm_syscall::Kernel;

use crate::sys::Status;

/// Ours, not Fuchsia's: from now on this process can be watched by the socket at `path` (`zxvm top --socket`), by its own user and by
/// root; nothing can be changed by it. The file is made, for the user alone, in place of one whose owner has died, and is removed when
/// the process exits. A socket that was there for this process goes first.
///
/// Without it the environment variable `ZXVM_TOP` decides: `1` for a socket in `$XDG_RUNTIME_DIR` or `/tmp`, or a path; without that
/// there is none.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let path = std::env::temp_dir().join(format!("watched.{}", std::process::id()));
/// zx::serve_top(&path)?;
/// assert!(path.exists());
/// zx::stop_serving_top()?;
/// assert!(!path.exists());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `INVALID_ARGS`: no path that a socket may have (107 bytes at most). `ALREADY_EXISTS`: something is there that is not a socket whose
/// owner has died. `ACCESS_DENIED`, `NOT_FOUND`: of the folder. `NO_RESOURCES`: no thread or descriptor can be had. `IO`: anything
/// else. Nothing is served then.
pub fn serve_top(path: impl AsRef<Path>) -> Result<(), Status> {
    Kernel::current()?.serve_top(path.as_ref())
}

/// Ours, not Fuchsia's: this process is not to be watched any more.
///
/// # Errors
/// There is no engine.
pub fn stop_serving_top() -> Result<(), Status> {
    Kernel::current()?.stop_serving_top();
    Ok(())
}
