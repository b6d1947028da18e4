//! Unmapping the caller's own stack: `zx_vmar_unmap_handle_close_thread_exit`.
//!
//! 1. The work is done on a scratch stack of ours. There is one; the word [`TAKEN`] says whether a thread is on it.
//! 2. Whoever is on it has all signals blocked, so that no handler ever runs there.
//! 3. After a successful unmap nothing touches the caller's stack; after the word is released nothing touches the
//!    scratch stack either: what is left runs in registers and ends in the kernel.
//!
//! The thread ends by the bare system call. What the C library keeps about it (the thread-local block, at the top of a
//! stack given by `pthread_attr_setstack`) must lie outside the range: the kernel and `pthread_join` still use it.

use core::arch::naked_asm;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::thread::futex;
use zxvm_host::PAGE_SIZE;
use zxvm_syscall::Kernel;
use zxvm_types::{Status, zx_handle_t, zx_status_t, zx_vaddr_t};

/// Bytes of the scratch stack; there is a page below it that cannot be accessed.
const STACK_LEN: usize = 256 << 10;
const GUARD_LEN: usize = PAGE_SIZE as usize;

const FREE: u32 = 0;
const BUSY: u32 = 1;

/// Whether a thread is on the scratch stack: a futex.
static TAKEN: AtomicU32 = AtomicU32::new(FREE);

/// One past the highest byte of the scratch stack; 0 before the first use. Behind [`TAKEN`].
static TOP: AtomicUsize = AtomicUsize::new(0);

/// The scratch stack, given back when dropped.
struct Scratch {
    top: *mut u8,
}

impl Scratch {
    /// Waits until nobody is on it.
    fn take() -> Result<Self, Status> {
        while TAKEN.compare_exchange(FREE, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // Whatever ends the wait, the word tells.
            let _ = futex::wait(&TAKEN, futex::Flags::PRIVATE, BUSY, None);
        }
        let mut scratch = Self { top: ptr::with_exposed_provenance_mut(TOP.load(Ordering::Relaxed)) };
        if scratch.top.is_null() {
            scratch.top = new_stack().map_err(|_| Status::NO_MEMORY)?;
            TOP.store(scratch.top.expose_provenance(), Ordering::Relaxed);
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        TAKEN.store(FREE, Ordering::Release);
        let _ = futex::wake(&TAKEN, futex::Flags::PRIVATE, 1);
    }
}

/// Maps a stack and returns its top.
fn new_stack() -> rustix::io::Result<*mut u8> {
    let len = GUARD_LEN + STACK_LEN;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice, of which all but the first page becomes accessible.
    unsafe {
        let bottom = rustix::mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags)?;
        let usable = bottom.byte_add(GUARD_LEN);
        if let Err(errno) = rustix::mm::mprotect(usable, STACK_LEN, MprotectFlags::READ | MprotectFlags::WRITE) {
            let _ = rustix::mm::munmap(bottom, len);
            return Err(errno);
        }
        Ok(bottom.cast::<u8>().add(len))
    }
}

/// All of the calling thread's signals, blocked until dropped.
struct SignalsBlocked(u64);

impl SignalsBlocked {
    fn new() -> Self {
        Self(Self::set(!0))
    }

    /// Sets the mask and returns the one before. Not by the C library, which leaves out two of its own.
    fn set(mask: u64) -> u64 {
        let mut before = 0;
        // SAFETY: both masks are valid and of the size that is given.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const mask,
                &raw mut before,
                size_of::<u64>(),
            )
        };
        before
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        Self::set(self.0);
    }
}

/// What is to be done on the scratch stack.
#[derive(Clone, Copy)]
struct Request {
    kernel: &'static Kernel,
    vmar: zx_handle_t,
    addr: zx_vaddr_t,
    len: usize,
    close: zx_handle_t,
}

/// Unmaps the range, closes `close` and ends the thread. Returns only if the range could not be unmapped, with the
/// reason, and then nothing has changed.
///
/// # Safety
/// Nobody needs what is in the range any more, this thread's stack included; its thread-local block is not in it.
pub unsafe fn unmap_close_exit(
    kernel: &'static Kernel,
    vmar: zx_handle_t,
    addr: zx_vaddr_t,
    len: usize,
    close: zx_handle_t,
) -> Status {
    let request = Request { kernel, vmar, addr, len, close };
    let _signals = SignalsBlocked::new();
    let scratch = match Scratch::take() {
        Ok(scratch) => scratch,
        Err(status) => return status,
    };
    // SAFETY: the stack is ours alone until `scratch` is dropped, which does not happen if the thread ends.
    Status::from_raw(unsafe { on_stack(&request, scratch.top) })
}

/// Runs on the scratch stack. Returns the error if the range stays mapped, else not at all.
unsafe extern "C" fn run(request: *const Request) -> zx_status_t {
    // SAFETY: the caller's stack is still there. A copy, made now: it may be gone after the unmap.
    let Request { kernel, vmar, addr, len, close } = unsafe { request.read_volatile() };
    if let Err(status) = kernel.vmar_unmap(vmar, addr, len) {
        return status.into_raw();
    }
    if kernel.handle_close(close).is_err() {
        // Nobody is left to be told.
        std::process::abort();
    }
    // SAFETY: this thread is the one on the scratch stack, and needs it no more.
    unsafe { leave(&TAKEN) }
}

/// Calls [`run`] with the stack pointer at `top`, which is a multiple of 16.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn on_stack(request: *const Request, top: *mut u8) -> zx_status_t {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rsi",
        "call {run}",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
        run = sym run,
    )
}

/// Frees the word, wakes one who waits for it, and ends the thread. Uses no stack.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn leave(word: &AtomicU32) -> ! {
    naked_asm!(
        "mov dword ptr [rdi], {free}",
        "mov esi, {wake}",
        "mov edx, 1",
        "mov eax, {futex}",
        "syscall",
        "xor edi, edi",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        free = const FREE,
        wake = const libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
        futex = const libc::SYS_futex,
        exit = const libc::SYS_exit,
    )
}

/// Calls [`run`] with the stack pointer at `top`, which is a multiple of 16.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn on_stack(request: *const Request, top: *mut u8) -> zx_status_t {
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "mov sp, x1",
        "bl {run}",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        "ret",
        run = sym run,
    )
}

/// Frees the word, wakes one who waits for it, and ends the thread. Uses no stack.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn leave(word: &AtomicU32) -> ! {
    naked_asm!(
        "mov w1, #{free}",
        "stlr w1, [x0]",
        "mov w1, #{wake}",
        "mov w2, #1",
        "mov x8, #{futex}",
        "svc #0",
        "mov x0, #0",
        "mov x8, #{exit}",
        "svc #0",
        "brk #1",
        free = const FREE,
        wake = const libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
        futex = const libc::SYS_futex,
        exit = const libc::SYS_exit,
    )
}
