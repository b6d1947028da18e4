//! Being watched: ours and not Zircon's.
//!
//! 1. What `ZXVM_TOP` asks for is prepared when the library is loaded, not when its engine is made: that starts a thread, for which
//!    the C library calls `malloc`, and the engine may be made from within `malloc`.
//! 2. Without `ZXVM_TOP` nothing happens then, and with it nothing but that: the engine is made at the first call, as ever.

use core::ffi::c_char;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use zxvm_syscall::Kernel;
use zxvm_types::{Status, zx_status_t};

use crate::entry::{call, extensions};
use crate::user::in_buffer;

/// Bytes that the path of a socket may have, and the zero after them.
const PATH_MAX: usize = 108;

extern "C" fn prepare() {
    // Not as a call: no handler of signals is to be there before one.
    Kernel::serve_top_from_here();
}

/// What the loader is to call.
#[used]
// SAFETY: functions of this type are what the section holds; this one may be called before `main`, and by nobody else.
#[unsafe(link_section = ".init_array")]
pub static PREPARE: extern "C" fn() = prepare;

extensions! {
    fn serve_top(path: *const c_char) -> zx_status_t {
        call(|kernel| {
            if path.is_null() {
                kernel.stop_serving_top();
                return Ok(());
            }
            let mut bytes = [0_u8; PATH_MAX];
            let mut len = 0;
            loop {
                let byte = bytes.get_mut(len..=len).ok_or(Status::INVALID_ARGS)?;
                // SAFETY: the caller's promise.
                let from = unsafe { in_buffer(path.wrapping_add(len).cast(), 1) };
                from.copy_to(byte).map_err(|_| Status::INVALID_ARGS)?;
                if byte == [0] {
                    break;
                }
                len += 1;
            }
            kernel.serve_top(Path::new(OsStr::from_bytes(&bytes[..len])))
        })
    }
}
