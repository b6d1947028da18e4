//! What every call does on its way in and out.
//!
//! The system calls below go to the kernel directly and leave `errno` alone, but the Rust library's locks use it. So it
//! is put back here, once, for all of them.

use zxvm_syscall::Kernel;
use zxvm_types::{Status, zx_status_t};

/// Declares C functions: `fn NAME` is exported as `zx_NAME` and `_zx_NAME`.
///
/// All are `unsafe`: the caller gives the library leave to write whatever is writable behind the pointers it passes,
/// and answers for what is lost in address space it asks to change.
macro_rules! exports {
    ($( fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block )*) => { $(
        #[unsafe(export_name = concat!("zx_", stringify!($name)))]
        unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? $body

        const _: () = {
            #[unsafe(export_name = concat!("_zx_", stringify!($name)))]
            unsafe extern "C" fn twin($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the same promise, passed on.
                unsafe { $name($($arg),*) }
            }
        };
    )* };
}
pub(crate) use exports;

/// Declares C functions that are ours and not Zircon's: `fn NAME` is exported as `zxvm_NAME`, without a twin. `unsafe`
/// as those above.
macro_rules! extensions {
    ($( fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block )*) => { $(
        #[unsafe(export_name = concat!("zxvm_", stringify!($name)))]
        unsafe extern "C" fn $name($($arg: $ty),*) -> $ret $body
    )* };
}
pub(crate) use extensions;

/// The calling thread's `errno`, put back at the end.
struct KeepErrno(i32);

impl KeepErrno {
    fn new() -> Self {
        // SAFETY: the thread's own errno, always valid.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl Drop for KeepErrno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Runs `act` with `errno` kept and bad addresses survivable, where no kernel is needed.
pub fn guarded<T>(act: impl FnOnce() -> T) -> T {
    let _errno = KeepErrno::new();
    zxvm_host::linux::install_fault_recovery();
    act()
}

/// Runs `act` on this process's kernel and encodes how it ended.
pub fn call(act: impl FnOnce(&'static Kernel) -> Result<(), Status>) -> zx_status_t {
    guarded(|| Status::from_result(Kernel::current_below_malloc().and_then(act)).into_raw())
}
