//! The C face: every function that `include/zircon/` and `include/zxvm/` declare, and nothing else.
//!
//! What each of them keeps:
//! 1. It exists twice, as `zx_NAME` and `_zx_NAME` (what is ours and not Zircon's: once, as `zxvm_NAME`), and does no
//!    more than decode its arguments, make one call of [`zxvm_syscall`] and encode the result.
//! 2. Any address may be given for a pointer. It is read and written through `user`, which reports what is not there.
//! 3. `errno` is afterwards what it was before.
//! 4. The process's `malloc` is not called: memory comes from the library's own `heap`. Only to start a thread the C library
//!    calls it.
//! 5. In a forked child it returns `BAD_STATE` (or no handle) and takes no lock that the parent may have held.
//!
//! It must not be called from a signal handler that interrupted another of these calls.

mod calls;
mod entry;
mod heap;
mod thread_exit;
mod user;
