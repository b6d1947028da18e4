//! Copies that survive a bad address, and the one handler for `SIGSEGV` and `SIGBUS`.
//!
//! 1. On x86-64 a copy is one instruction at a known place. [`install`] adds a signal handler that, when exactly that
//!    instruction faults, continues behind it with the number of bytes left; no cost where nothing faults.
//! 2. An access that only waits is not one of these faults: `inline.rs` is asked first, where it is in use.
//! 3. Every other fault goes to the handler that was there before, unchanged. One that `inline.rs` has given up goes there
//!    as well, with its error number in `si_errno`.
//! 4. Elsewhere (other processors) the kernel copies, by `process_vm_readv` and `process_vm_writev` on ourselves.
//!
//! A program that installs its own `SIGSEGV` or `SIGBUS` handler later without chaining, or that blocks the signal, loses 1
//! and 2: a bad address, and an access that waits, then end the process. Nothing of the engine is half done at that point.

use super::user::UserFault;

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod imp {
    use core::mem::MaybeUninit;
    use core::sync::atomic::{AtomicPtr, Ordering};
    use std::sync::Once;

    use super::super::inline::{self, Outcome};
    use crate::api::Wait;

    /// How a copy ended.
    #[repr(C)]
    struct End {
        /// Bytes not copied.
        left: usize,
        /// The error number of the signal that ended it, if it had one.
        error: i64,
    }

    /// `rep movsb`. Layout: 5 bytes, then the copy (2 bytes), then the return.
    #[unsafe(naked)]
    unsafe extern "sysv64" fn copy(dst: usize, src: usize, len: usize) -> End {
        core::arch::naked_asm!("mov rcx, rdx", "xor edx, edx", "rep movsb", "mov rax, rcx", "ret")
    }

    const FAULTING: usize = 5;
    const BEHIND: usize = 7;

    /// # Safety
    /// What is accessible of both ranges may be read and overwritten.
    pub unsafe fn copy_bytes(dst: usize, src: usize, len: usize) -> Result<(), (usize, i32)> {
        // SAFETY: passed on to the caller; faults are survived once `install` has run.
        let End { left, error } = unsafe { copy(dst, src, len) };
        if left == 0 { Ok(()) } else { Err((len - left, error as i32)) }
    }

    static PREVIOUS: [AtomicPtr<libc::sigaction>; 2] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 2];

    fn slot(signal: libc::c_int) -> usize {
        usize::from(signal == libc::SIGBUS)
    }

    /// Why the signal came.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Cause {
        /// An access, which comes here again if nothing is done.
        Access,
        /// Somebody sent it.
        Sent,
        /// An access that was refused; the next time it may not be.
        Refused,
    }

    /// Nothing is mapped there.
    const SEGV_MAPERR: libc::c_int = 1;
    /// What is mapped there does not allow it.
    const SEGV_ACCERR: libc::c_int = 2;

    /// Bit of a page fault's error code: it was a store.
    const WRITE: i64 = 2;

    extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let registers = context.cast::<libc::ucontext_t>();
        // SAFETY: the kernel hands a valid record to a handler installed with SA_SIGINFO.
        let code = unsafe { (*info).si_code };
        let mut cause = if code <= 0 { Cause::Sent } else { Cause::Access };
        let reason = match (signal, code) {
            (libc::SIGBUS, libc::BUS_ADRERR) => Some(Wait::Unknown),
            (libc::SIGSEGV, SEGV_MAPERR | SEGV_ACCERR) => Some(Wait::Denied),
            _ => None,
        };
        if let Some(reason) = reason {
            // SAFETY: as above; with these codes the record has an address.
            let addr = unsafe { (*info).si_addr() };
            // SAFETY: the kernel hands a valid context to a handler installed with SA_SIGINFO.
            let error_code = unsafe { (*registers).uc_mcontext.gregs[libc::REG_ERR as usize] };
            match inline::on_fault(addr.addr() as u64, reason, error_code & WRITE != 0, context.addr()) {
                Outcome::Unknown => {}
                Outcome::Again => return,
                Outcome::Refused(_) if reason == Wait::Denied => {}
                Outcome::Refused(error) => {
                    // SAFETY: as above; nobody else has the record.
                    unsafe { (*info).si_errno = error };
                    cause = Cause::Refused;
                }
            }
        }
        let start = copy as *const () as usize;
        // SAFETY: as above.
        let ip = unsafe { &mut (*registers).uc_mcontext.gregs[libc::REG_RIP as usize] };
        if *ip as usize == start + FAULTING {
            *ip = (start + BEHIND) as i64;
            // A fault has none.
            // SAFETY: as above.
            let error = if cause == Cause::Access { 0 } else { unsafe { (*info).si_errno } };
            // SAFETY: as above.
            unsafe { (*registers).uc_mcontext.gregs[libc::REG_RDX as usize] = i64::from(error) };
            return;
        }
        let previous = PREVIOUS[slot(signal)].load(Ordering::Acquire);
        if previous.is_null() {
            return;
        }
        // SAFETY: set once by `install`, never freed.
        let previous = unsafe { &*previous };
        match previous.sa_sigaction {
            libc::SIG_IGN if cause == Cause::Sent => {}
            libc::SIG_DFL | libc::SIG_IGN => {
                let mut default = *previous;
                if cause == Cause::Refused {
                    // No access can ignore it.
                    default.sa_sigaction = libc::SIG_DFL;
                }
                // SAFETY: putting back what was there; the access faults again and the kernel acts on it, or the signal
                // is sent again. Only system calls that a handler may make.
                unsafe {
                    libc::sigaction(signal, &default, core::ptr::null_mut());
                    if cause != Cause::Access {
                        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), signal);
                    }
                }
            }
            handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
                // SAFETY: the flag says that the address is of such a function.
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    unsafe { core::mem::transmute(handler) };
                handler(signal, info, context);
            }
            handler => {
                // SAFETY: without SA_SIGINFO the address is of a function with one argument.
                let handler: extern "C" fn(libc::c_int) = unsafe { core::mem::transmute(handler) };
                handler(signal);
            }
        }
    }

    pub fn install() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            for signal in [libc::SIGSEGV, libc::SIGBUS] {
                let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
                // SAFETY: plain calls with valid pointers; a zeroed sigaction is a valid value.
                unsafe {
                    libc::sigaction(signal, core::ptr::null(), previous.as_mut_ptr());
                    // Known before our handler can run.
                    PREVIOUS[slot(signal)].store(Box::into_raw(Box::new(previous.assume_init())), Ordering::Release);
                    let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                    action.sa_sigaction = on_fault as *const () as usize;
                    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                    libc::sigaction(signal, &action, core::ptr::null_mut());
                }
            }
        });
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_copy_stands_where_the_handler_looks() {
            // SAFETY: code of ours, at least 11 bytes long.
            let code = unsafe { core::slice::from_raw_parts(copy as *const () as *const u8, 11) };
            assert_eq!(&code[FAULTING..BEHIND], [0xf3, 0xa4], "rep movsb: {code:x?}");
        }
    }
}

#[cfg(all(not(target_arch = "x86_64"), not(miri)))]
mod imp {
    /// # Safety
    /// What is accessible of both ranges may be read and overwritten.
    pub unsafe fn copy_bytes(dst: usize, src: usize, len: usize) -> Result<(), (usize, i32)> {
        let mut done = 0;
        while done < len {
            let local = libc::iovec { iov_base: (src + done) as *mut libc::c_void, iov_len: len - done };
            let remote = libc::iovec { iov_base: (dst + done) as *mut libc::c_void, iov_len: len - done };
            // SAFETY: the kernel checks both ranges; overwriting them was allowed by the caller.
            let copied = unsafe { libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0) };
            match usize::try_from(copied) {
                Ok(n) if n > 0 => done += n,
                Ok(_) | Err(_) => return Err((done, 0)),
            }
        }
        Ok(())
    }

    pub fn install() {}
}

#[cfg(miri)]
mod imp {
    /// # Safety
    /// Both ranges are valid.
    pub unsafe fn copy_bytes(dst: usize, src: usize, len: usize) -> Result<(), (usize, i32)> {
        let dst = core::ptr::with_exposed_provenance_mut::<u8>(dst);
        // SAFETY: passed on to the caller.
        unsafe { core::ptr::copy_nonoverlapping(core::ptr::with_exposed_provenance::<u8>(src), dst, len) };
        Ok(())
    }

    pub fn install() {}
}

/// Makes copies to and from bad addresses report instead of kill, from now on. Cheap after the first time.
pub fn install() {
    imp::install();
}

/// Copies `bytes` to `dst`.
///
/// # Safety
/// Whatever is writable of the range may be overwritten.
pub(super) unsafe fn copy_out(dst: usize, bytes: &[u8]) -> Result<(), UserFault> {
    // SAFETY: the source is a live slice; the target is the caller's promise.
    unsafe { imp::copy_bytes(dst, bytes.as_ptr().expose_provenance(), bytes.len()) }
        .map_err(|(done, _)| UserFault { at: dst.wrapping_add(done) })
}

/// Copies from `src` to `bytes`.
///
/// # Safety
/// Whatever is readable of the range may be read.
pub(super) unsafe fn copy_in(bytes: &mut [u8], src: usize) -> Result<(), UserFault> {
    // SAFETY: the target is a live slice that we hold alone; the source is the caller's promise.
    unsafe { imp::copy_bytes(bytes.as_mut_ptr().expose_provenance(), src, bytes.len()) }
        .map_err(|(done, _)| UserFault { at: src.wrapping_add(done) })
}

/// Copies `len` bytes from `src` to `dst`; either may be the bad one. An error says how many are done, and with which error
/// number the access after them was refused; 0: it was not, it is not allowed.
///
/// # Safety
/// Whatever is writable at the target may be overwritten, and whatever is readable at the source may be read.
pub(super) unsafe fn copy_between(dst: usize, src: usize, len: usize) -> Result<(), (usize, i32)> {
    // SAFETY: passed on.
    unsafe { imp::copy_bytes(dst, src, len) }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_bad_address_is_reported_with_its_place() {
        install();
        let host = super::super::LinuxHost::new(crate::linux::Delivery::Thread).unwrap();
        let range = crate::Host::reserve(&host, 8192).unwrap();
        let store = crate::Host::create_store(&host).unwrap();
        let first = crate::AddrRange::from_bounds(range.start(), range.start() + 4096);
        let view = crate::View::Store { store, at: 0, prot: crate::Prot::READ | crate::Prot::WRITE };
        crate::Host::map(&host, first, view).unwrap();
        let bytes = [7_u8; 100];
        // SAFETY: the memory is ours or inaccessible.
        unsafe {
            assert_eq!(copy_out(range.addr() + 4096 - 10, &bytes), Err(UserFault { at: range.addr() + 4096 }));
            assert_eq!(copy_out(0, &bytes), Err(UserFault { at: 0 }));
            let mut back = [0; 10];
            copy_in(&mut back, range.addr() + 4086).unwrap();
            assert_eq!(back, [7; 10]);
            assert_eq!(copy_in(&mut back, range.addr() + 4090), Err(UserFault { at: range.addr() + 4096 }));
        }
        crate::Host::release(&host, range);
        crate::Host::close_store(&host, store);
    }
}
