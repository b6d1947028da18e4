//! Accesses that wait, dealt with by the thread that makes them: the kernel raises `SIGBUS` there instead of telling the
//! reader of a userfaultfd, and the handler (`copy.rs` has it) asks the sink.
//!
//! 1. The sink takes locks and memory, which a handler may do only if its thread cannot have been interrupted while it had
//!    the same locks, or was inside the allocator. It cannot: the kernel raises this signal at an access to a view, at once,
//!    and neither the engine with a lock nor the allocator makes one. (The engine touches no client memory under a
//!    lock. Its allocator is libzircon's own heap, or, where it is part of a Rust program, the program's.) Who breaks
//!    that is a handler of the program for another signal that interrupts a call of ours, or the program's allocator in Rust,
//!    and then accesses a view; CAVEATS.md says so.
//! 2. Stacks for signals are small, 8 KiB in every thread of Rust's with the kernel's frame, and the sink uses as much
//!    alone (measured, optimized), and 16 KiB more where it copies several pages. So it runs on a stack of ours, that of a desk,
//!    with all signals blocked: the kernel, which does not know that stack, would start another handler at the top of the
//!    one for signals, over what we have there.
//! 3. A thread that has to wait sleeps on the stack where the signal found it, with the signals blocked that were blocked
//!    there, as it would inside of the kernel. Its desk stays its own, as the place where it is woken.
//! 4. `errno` is put back, and nothing here is freed.
//!
//! The kernel ends a process in which the signal comes while it is blocked, or where there is no room for its frame (on a
//! stack that itself lies in a view, without one for signals). A page of a view that the kernel cannot bring back
//! from swap is taken for one that waits, and is tried again for ever.
//!
//! Changing what a mapping shows and who is told of it takes several system calls, and between them it allows less than before
//! and after. An access that was denied (`SIGSEGV`) is therefore asked about as well, with either delivery: if it is allowed by
//! now it is tried again, and nobody has seen that instant.
//!
//! Only on x86-64: elsewhere there is no handler.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use crate::addr::AddrRange;
use crate::api::FaultSink;

#[cfg(all(target_arch = "x86_64", not(miri)))]
pub use imp::{fail, on_fault, start, wake};
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub use none::{fail, start, wake};

/// What is to become of the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(all(target_arch = "x86_64", not(miri))), expect(dead_code, reason = "there is no handler"))]
pub enum Outcome {
    /// It is none of ours.
    Unknown,
    /// It is to be tried again.
    Again,
    /// It cannot be done, for this reason.
    Refused(i32),
}

/// Who is asked about accesses to a reservation, once that is known.
type Sink = Arc<OnceLock<Weak<dyn FaultSink>>>;

/// A reservation of this process.
struct Room {
    range: AddrRange,
    sink: Sink,
    /// Whether accesses that wait there are dealt with here. Those that are denied are in any case.
    waits: bool,
}

static ROOMS: RwLock<Vec<Room>> = RwLock::new(Vec::new());

/// Accesses to this reservation are ours from now on.
pub fn add_room(range: AddrRange, sink: Sink, waits: bool) {
    ROOMS.write().unwrap_or_else(PoisonError::into_inner).push(Room { range, sink, waits });
}

/// They are not any more. Who sleeps there tries again.
pub fn remove_room(range: AddrRange) {
    wake(range);
    ROOMS.write().unwrap_or_else(PoisonError::into_inner).retain(|room| room.range != range);
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod none {
    use crate::addr::AddrRange;
    use crate::api::{HostError, HostResult, Thread};

    pub fn start() -> HostResult {
        Err(HostError::NotSupported)
    }

    pub fn wake(_range: AddrRange) {}

    pub fn fail(_thread: Thread, _page: u64, _error: i32) {}
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod imp {
    use core::ffi::c_void;
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
    use std::sync::{Arc, PoisonError, Weak};

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

    use super::super::sys::KeepErrno;
    use super::super::{copy, futex, in_child, reserve};
    use super::{Outcome, ROOMS};
    use crate::addr::{AddrRange, PAGE_SIZE, round_down};
    use crate::api::{Answer, FaultSink, HostError, HostResult, Thread, Wait, Waiting};

    /// Bytes of the stack on which the sink is asked: as many as the thread of the other delivery has. Only what was used
    /// takes memory.
    const STACK: usize = 256 << 10;

    /// How long a thread waits for a desk where there is no memory for one.
    const NO_DESK_WAIT: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };

    /// A thread's word: 0 before it sleeps, this while it does; this when it may try again; else the error number with which
    /// it is refused.
    const SLEEPS: u32 = i32::MIN as u32;
    const WOKEN: u32 = SLEEPS + 1;

    /// A thread's place while an access of its is dealt with: a stack, and at its top this record. Made when all are
    /// taken, and kept.
    #[repr(C, align(64))]
    struct Desk {
        next: AtomicPtr<Self>,
        /// Whose it is; 0: nobody's.
        thread: AtomicU32,
        /// Where the kernel has put the state of that thread.
        frame: AtomicUsize,
        /// The page of the access; 0: none.
        page: AtomicU64,
        /// Above: how often the desk was taken, so that nobody wakes the next one who takes it. Below: the thread's word.
        state: AtomicU64,
    }

    /// All desks. None is ever taken out.
    static DESKS: AtomicPtr<Desk> = AtomicPtr::new(ptr::null_mut());

    fn desks() -> impl Iterator<Item = &'static Desk> {
        let mut at = DESKS.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: what is in the list was made by `Desk::make` and stays.
            let desk = unsafe { at.as_ref() }?;
            at = desk.next.load(Ordering::Relaxed);
            Some(desk)
        })
    }

    impl Desk {
        /// The desk of this thread, for the signal whose frame is given. Waits if there is no memory for one.
        fn take(thread: u32, frame: usize) -> &'static Self {
            loop {
                for desk in desks() {
                    let taken = desk.thread.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed);
                    // Two signals of a thread have no frame in common: whoever had this one left it by a jump.
                    if taken.is_ok() || taken == Err(thread) && desk.frame.load(Ordering::Relaxed) == frame {
                        desk.frame.store(frame, Ordering::Relaxed);
                        return desk;
                    }
                }
                match Self::make(thread, frame) {
                    Ok(desk) => return desk,
                    // SAFETY: the time is ours, and a handler may sleep.
                    Err(_) => unsafe { libc::nanosleep(&NO_DESK_WAIT, ptr::null_mut()) },
                };
            }
        }

        /// Makes one more, which is taken. Only system calls: a handler may do that.
        fn make(thread: u32, frame: usize) -> rustix::io::Result<&'static Self> {
            let page = PAGE_SIZE as usize;
            let len = page + STACK + page;
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a new mapping at an address of the kernel's choice.
            let base = reserve::with(|| unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, prot, flags) })?;
            // SAFETY: the lowest page, of which nobody knows yet: what goes beyond the stack is to be seen.
            if let Err(error) = unsafe { rustix::mm::mprotect(base, page, MprotectFlags::empty()) } {
                // SAFETY: as above.
                let _ = unsafe { rustix::mm::munmap(base, len) };
                return Err(error);
            }
            let desk = base.wrapping_byte_add(page + STACK).cast::<Self>();
            // SAFETY: the last page of the mapping, aligned, large enough, and nobody else's.
            unsafe {
                desk.write(Self {
                    next: AtomicPtr::new(ptr::null_mut()),
                    thread: AtomicU32::new(thread),
                    frame: AtomicUsize::new(frame),
                    page: AtomicU64::new(0),
                    state: AtomicU64::new(0),
                });
            }
            // SAFETY: just written, and never unmapped.
            let made = unsafe { &*desk };
            let mut first = DESKS.load(Ordering::Relaxed);
            loop {
                made.next.store(first, Ordering::Relaxed);
                match DESKS.compare_exchange_weak(first, desk, Ordering::Release, Ordering::Relaxed) {
                    Ok(_) => return Ok(made),
                    Err(other) => first = other,
                }
            }
        }

        /// From now on the thread can be woken.
        fn expect(&self, page: u64) {
            let taken = (self.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
            self.state.store(taken << 32, Ordering::SeqCst);
            self.page.store(page, Ordering::SeqCst);
        }

        fn leave(&self) {
            self.page.store(0, Ordering::Relaxed);
            self.thread.store(0, Ordering::Release);
        }

        /// Sleeps until somebody has written the word.
        fn sleep(&self) -> Outcome {
            loop {
                let state = self.state.load(Ordering::Acquire);
                match state as u32 {
                    0 => {
                        let asleep = state | u64::from(SLEEPS);
                        let _ = self.state.compare_exchange(state, asleep, Ordering::SeqCst, Ordering::SeqCst);
                    }
                    // The lower half is the one at the address itself. What it is then is seen above.
                    SLEEPS => drop(futex::wait(self.state.as_ptr().expose_provenance(), SLEEPS, None)),
                    WOKEN => return Outcome::Again,
                    error => return Outcome::Refused(error as i32),
                }
            }
        }

        /// Writes the word of the thread here, if it is the one that is meant and its word is not written yet.
        fn tell(&self, news: u32, is_meant: impl Fn(&Self) -> bool) {
            loop {
                let state = self.state.load(Ordering::SeqCst);
                let (taken, word) = (state >> 32 << 32, state as u32);
                if word != 0 && word != SLEEPS || !is_meant(self) {
                    return;
                }
                let told = taken | u64::from(news);
                // It fails if the thread falls asleep, or if another one has the desk by now, which may be meant as well.
                if self.state.compare_exchange(state, told, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    if word == SLEEPS {
                        let _ = futex::wake(self.state.as_ptr().expose_provenance(), 1);
                    }
                    return;
                }
            }
        }
    }

    /// Has the signal handled.
    pub fn start() -> HostResult {
        copy::install();
        if desks().next().is_none() {
            Desk::make(0, 0).map_err(HostError::from)?;
        }
        Ok(())
    }

    /// Those who sleep because of a page of `range` try again.
    pub fn wake(range: AddrRange) {
        for desk in desks() {
            desk.tell(WOKEN, |desk| (range.start()..range.end()).contains(&desk.page.load(Ordering::SeqCst)));
        }
    }

    /// The thread that sleeps because of `page` is refused its access. One that is not asleep yet will not be.
    pub fn fail(thread: Thread, page: u64, error: i32) {
        debug_assert!(![0, SLEEPS, WOKEN].contains(&(error as u32)));
        for desk in desks() {
            desk.tell(error as u32, |desk| {
                desk.thread.load(Ordering::Relaxed) == thread.0 && desk.page.load(Ordering::SeqCst) == page
            });
        }
    }

    /// All signals blocked, but for those that were put back.
    struct Blocked(u64);

    impl Blocked {
        fn all() -> Self {
            let mut before = 0;
            set_mask(u64::MAX, &mut before);
            Self(before)
        }
    }

    impl Drop for Blocked {
        fn drop(&mut self) {
            set_mask(self.0, ptr::null_mut());
        }
    }

    /// By direct call: the C library's leaves some signals out.
    fn set_mask(mask: u64, before: *mut u64) {
        // SAFETY: both sets are ours, or none, and as long as is said.
        unsafe {
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, before, size_of::<u64>())
        };
    }

    /// Deals with an access to `addr` that raised the signal whose frame is given, for a reason that is `Unknown`, or because it
    /// was `Denied`.
    pub fn on_fault(addr: u64, reason: Wait, store: bool, frame: usize) -> Outcome {
        // A forked child has nothing of ours, and its parent may have been in here.
        if in_child() {
            return Outcome::Unknown;
        }
        let _errno = KeepErrno::new();
        let blocked = Blocked::all();
        let Some(sink) = sink_of(addr, reason) else { return Outcome::Unknown };
        // The engine is going, and with it what makes accesses wait.
        let Some(sink) = sink.upgrade() else { return Outcome::Again };
        let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        let desk = Desk::take(thread, frame);
        let page = round_down(addr);
        // Before the sink is asked: it may be that the thread is told before it knows that it has to wait.
        desk.expect(page);
        let waiting = Waiting { page, reason, store, thread: Thread(thread) };
        let mut question = Question { sink: Some(sink), waiting, answer: Answer::Again };
        // SAFETY: the desk is this thread's, so nobody is on its stack, and signals are blocked. `ask` gets what it wants.
        unsafe { on_stack(ptr::from_ref(desk).addr(), ask, (&raw mut question).cast()) };
        drop(blocked);
        let outcome = match question.answer {
            Answer::Again | Answer::LetGo => Outcome::Again,
            Answer::Later => desk.sleep(),
            Answer::Fail(error) => Outcome::Refused(error),
        };
        desk.leave();
        outcome
    }

    fn sink_of(addr: u64, reason: Wait) -> Option<Weak<dyn FaultSink>> {
        let rooms = ROOMS.read().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.iter().find(|room| (room.range.start()..room.range.end()).contains(&addr))?;
        if room.waits || reason == Wait::Denied { room.sink.get().cloned() } else { None }
    }

    struct Question {
        sink: Option<Arc<dyn FaultSink>>,
        waiting: Waiting,
        answer: Answer,
    }

    /// A panic in here ends the process.
    extern "sysv64" fn ask(question: *mut c_void) {
        // SAFETY: `on_fault` passes one, which it does not touch meanwhile.
        let question = unsafe { &mut *question.cast::<Question>() };
        // It goes here too: it may be the last one that knows the sink.
        if let Some(sink) = question.sink.take() {
            question.answer = sink.fault(question.waiting);
        }
    }

    /// Calls `act(with)` on the stack that ends at `top`.
    ///
    /// # Safety
    /// There is such a stack, at `top` aligned as stacks are, that nobody uses; and `act` may be called with that.
    #[unsafe(naked)]
    unsafe extern "sysv64" fn on_stack(top: usize, act: extern "sysv64" fn(*mut c_void), with: *mut c_void) {
        core::arch::naked_asm!(
            "push rbp",
            "mov rbp, rsp",
            "mov rsp, rdi",
            "mov rdi, rdx",
            "call rsi",
            "mov rsp, rbp",
            "pop rbp",
            "ret"
        )
    }
}

#[cfg(all(test, target_arch = "x86_64", not(miri)))]
mod tests;
