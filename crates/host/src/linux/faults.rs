//! Accesses that wait: userfaultfd over shared mappings, and the thread that serves it.
//!
//! 1. Nothing is opened and no thread started before the first `watch`.
//! 2. The thread touches no client memory and holds no lock while it asks the sink. Every message it reads is answered
//!    with a wake (ending write protection is one), whatever has become of the address: an access that must wait still is
//!    back at once.
//! 3. The thread keeps the descriptors alive, not the host: when the host goes, it is told to end.
//! 4. Who is refused an access is told when it is back with it: by then it may have gone on, or the page may be there. What
//!    it is told with depends on where it waits: a signal interrupts the program; a system call gets `EFAULT` from a page
//!    that is poisoned for a moment.
//! 5. Where the thread that makes the access is to ask, there is no such thread and no message: see `inline.rs`.
//!
//! A descriptor for all faults is taken where this process may have one. Otherwise one for the program's own accesses
//! serves: a system call that meets a page that makes it wait then fails with `EFAULT`.

use core::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::probe::{self, UffdFeatures};
use super::sys::KeepErrno;
use super::{Delivery, entries, inline};
use crate::addr::{AddrRange, PAGE_SIZE, round_down};
use crate::api::{Answer, FaultSink, HostError, HostResult, Thread, Wait, Waiting, Watch};

const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_UNREGISTER: libc::c_ulong = 0x8010_aa01;
const UFFDIO_WAKE: libc::c_ulong = 0x8010_aa02;
const UFFDIO_WRITEPROTECT: libc::c_ulong = 0xc018_aa06;
const UFFDIO_POISON: libc::c_ulong = 0xc020_aa08;
const POISON_DONT_WAKE: u64 = 1;
const MODE_MISSING: u64 = 1;
const MODE_WP: u64 = 2;
const MODE_MINOR: u64 = 4;
const EVENT_PAGEFAULT: u8 = 0x12;
const FLAG_WRITE: u64 = 1;
const FLAG_WP: u64 = 2;
const FLAG_MINOR: u64 = 4;

/// `struct uffdio_range`.
#[repr(C)]
struct Range {
    start: u64,
    len: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    range: Range,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_writeprotect`.
#[repr(C)]
struct WriteProtect {
    range: Range,
    mode: u64,
}

/// `struct uffdio_poison`.
#[repr(C)]
struct Poison {
    range: Range,
    mode: u64,
    updated: i64,
}

/// `struct uffd_msg`, of which only page faults are read.
#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    flags: u64,
    address: u64,
    thread: u64,
}

const _: () = assert!(size_of::<Message>() == 32);

impl From<AddrRange> for Range {
    fn from(range: AddrRange) -> Self {
        Self { start: range.start(), len: range.len() }
    }
}

/// What is open; see the module.
#[derive(Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    uffd: OwnedFd,
    way: Way,
}

/// How accesses that wait are heard of.
#[derive(Debug)]
enum Way {
    /// By the thread that reads the descriptor.
    Messages {
        /// Readable when it is to end.
        stop: OwnedFd,
        /// Who is to be refused its access to which page, with what, and since when.
        refused: Mutex<Vec<Refusal>>,
    },
    /// By the signal.
    Signal,
}

#[derive(Debug)]
struct Refusal {
    thread: Thread,
    page: u64,
    error: i32,
    since: Instant,
}

/// A thread that is woken is back before this, or it asks again.
const REFUSAL_LASTS: Duration = Duration::from_millis(50);

/// How long the thread looks for more before it sleeps.
const LINGER: Duration = Duration::from_micros(40);

/// How long a page is poisoned for a system call: one that misses it is back.
const POISON_LASTS: Duration = Duration::from_micros(200);

impl Faults {
    /// Opens the descriptors and starts the thread, or has the signal handled.
    ///
    /// # Errors
    /// `NotSupported`: this kernel, or this process, cannot have it. `NoDescriptors`, `NoMemory`.
    pub fn new(sink: Weak<dyn FaultSink>, delivery: Delivery) -> HostResult<Self> {
        match delivery {
            Delivery::Thread => {
                let uffd = open(UffdFeatures::THREAD_ID)?;
                let way = Way::Messages { stop: eventfd(0, EventfdFlags::CLOEXEC)?, refused: Mutex::default() };
                let inner = Arc::new(Inner { uffd, way });
                let served = inner.clone();
                without_signals(|| {
                    let builder = std::thread::Builder::new().name("zxvm-faults".into()).stack_size(256 << 10);
                    builder.spawn(move || served.serve(&sink)).map(drop).map_err(|_| HostError::NoMemory)
                })?;
                Ok(Self { inner })
            }
            Delivery::InThread => {
                let uffd = open(UffdFeatures::SIGBUS)?;
                inline::start()?;
                Ok(Self { inner: Arc::new(Inner { uffd, way: Way::Signal }) })
            }
        }
    }

    pub fn watch(&self, range: AddrRange, what: Watch) -> rustix::io::Result<()> {
        let more = match what {
            Watch::Guarded => 0,
            Watch::Absent => MODE_MISSING,
            Watch::Unentered => MODE_MISSING | MODE_MINOR,
        };
        let mut register = Register { range: range.into(), mode: MODE_WP | more, ioctls: 0 };
        // What is registered for more already stays so: the kernel takes only more, or other, modes.
        self.inner.try_ioctl(UFFDIO_REGISTER, &mut register)
    }

    pub fn unfreeze(&self, range: AddrRange) -> HostResult {
        // Wakes who waits there, and ends write protection: for absent pages that costs next to nothing.
        self.inner.ioctl(UFFDIO_UNREGISTER, &mut Range::from(range))?;
        self.inner.wake_sleepers(range);
        // Like its neighbours again, so that the kernel has one mapping, not three.
        Ok(self.watch(range, Watch::Guarded)?)
    }

    pub fn protect(&self, range: AddrRange, on: bool) -> HostResult {
        let mut arg = WriteProtect { range: range.into(), mode: u64::from(on) };
        match self.inner.try_ioctl(UFFDIO_WRITEPROTECT, &mut arg) {
            // Before Linux 6.3 a call is for one mapping only.
            Err(Errno::NOENT) if range.len() > PAGE_SIZE => {
                let middle = range.start() + range.pages() / 2 * PAGE_SIZE;
                let low = self.protect(AddrRange::from_bounds(range.start(), middle), on);
                self.protect(AddrRange::from_bounds(middle, range.end()), on).and(low)
            }
            result => {
                result?;
                if !on {
                    self.inner.wake_sleepers(range);
                }
                Ok(())
            }
        }
    }

    pub fn wake(&self, range: AddrRange) {
        self.inner.forget_refusals(range);
        self.inner.wake(range);
    }

    pub fn fail(&self, thread: Thread, addr: u64, error: i32) {
        self.inner.fail(thread, addr, error);
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        match &self.inner.way {
            // A counter at 0 takes 1 without waiting.
            Way::Messages { stop, .. } => drop(rustix::io::write(stop, &1_u64.to_ne_bytes())),
            Way::Signal => {}
        }
    }
}

impl Inner {
    fn ioctl<T>(&self, request: libc::c_ulong, arg: &mut T) -> HostResult {
        Ok(self.try_ioctl(request, arg)?)
    }

    fn try_ioctl<T>(&self, request: libc::c_ulong, arg: &mut T) -> rustix::io::Result<()> {
        let _errno = KeepErrno::new();
        loop {
            // SAFETY: each request is called with the record that it takes. What it changes is how accesses to views of
            // ours wait, never what is there.
            if unsafe { libc::ioctl(self.uffd.as_raw_fd(), request, core::ptr::from_mut(arg)) } >= 0 {
                return Ok(());
            }
            match Errno::from_raw_os_error(KeepErrno::get()) {
                // The kernel was changing the address space as a whole (a fork): it asks to be called again.
                Errno::AGAIN | Errno::INTR => std::thread::yield_now(),
                errno => return Err(errno),
            }
        }
    }

    fn wake(&self, range: AddrRange) {
        match self.way {
            // Refused only for what is no range of addresses of this process.
            Way::Messages { .. } => drop(self.ioctl(UFFDIO_WAKE, &mut Range::from(range))),
            Way::Signal => inline::wake(range),
        }
    }

    /// Wakes those whom the kernel does not know of, after a call by which it wakes all others.
    fn wake_sleepers(&self, range: AddrRange) {
        match self.way {
            Way::Messages { .. } => {}
            Way::Signal => inline::wake(range),
        }
    }

    /// The thread that waits with an access to the page of `addr` is refused it.
    fn fail(&self, thread: Thread, addr: u64, error: i32) {
        let page = round_down(addr);
        match &self.way {
            Way::Messages { refused, .. } => {
                let refusal = Refusal { thread, page, error, since: Instant::now() };
                refused.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
                self.wake(AddrRange::from_bounds(page, page + PAGE_SIZE));
            }
            Way::Signal => inline::fail(thread, page, error),
        }
    }

    /// Something has changed in `range`: who was refused an access there asks again.
    fn forget_refusals(&self, range: AddrRange) {
        let Way::Messages { refused, .. } = &self.way else { return };
        let is_there = |refusal: &Refusal| range.start() <= refusal.page && refusal.page < range.end();
        refused.lock().unwrap_or_else(PoisonError::into_inner).retain(|refusal| !is_there(refusal));
    }

    /// With what the thread is refused its access to the page, if it is.
    fn refusal(&self, thread: Thread, page: u64) -> Option<i32> {
        let Way::Messages { refused, .. } = &self.way else { return None };
        let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|refusal| refusal.since.elapsed() < REFUSAL_LASTS);
        let at = refused.iter().position(|refusal| (refusal.thread, refusal.page) == (thread, page))?;
        Some(refused.swap_remove(at).error)
    }

    /// The thread waits with this access, and is refused it. It tries again in any case: one that blocks the signal would wait
    /// for ever.
    fn refuse(&self, thread: Thread, addr: u64, error: i32) {
        let page = AddrRange::from_bounds(round_down(addr), round_down(addr) + PAGE_SIZE);
        if is_in_system_call(thread) && self.poison(page).is_ok() {
            self.wake(page);
            std::thread::sleep(POISON_LASTS);
            let _ = entries::drop_one(page);
        } else {
            bus_error(thread, addr, error);
            self.wake(page);
        }
    }

    /// Accesses to the page fail, in this mapping, until its entry is dropped.
    ///
    /// # Errors
    /// The kernel cannot do that (before Linux 6.6), or the page has an entry.
    fn poison(&self, page: AddrRange) -> rustix::io::Result<()> {
        let mut poison = Poison { range: page.into(), mode: POISON_DONT_WAKE, updated: 0 };
        self.try_ioctl(UFFDIO_POISON, &mut poison)
    }

    fn serve(&self, sink: &Weak<dyn FaultSink>) {
        let Way::Messages { stop, .. } = &self.way else { return };
        loop {
            let mut fds = [PollFd::new(&self.uffd, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
            // An error here (a signal cannot be: all are blocked) is answered by looking again.
            let _ = poll(&mut fds, None);
            if !fds[1].revents().is_empty() {
                return;
            }
            // Faults come in flocks, and to be woken takes longer than to answer one.
            let mut since = Instant::now();
            while since.elapsed() < LINGER {
                if self.answer_all(sink) {
                    since = Instant::now();
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Answers what there is. Whether there was anything.
    fn answer_all(&self, sink: &Weak<dyn FaultSink>) -> bool {
        let mut any = false;
        while let Some(message) = self.next_message() {
            any = true;
            if message.event != EVENT_PAGEFAULT {
                continue;
            }
            let page = round_down(message.address);
            let reason = match message.flags {
                flags if flags & FLAG_WP != 0 => Wait::Guarded,
                flags if flags & FLAG_MINOR != 0 => Wait::Unentered,
                _ => Wait::Absent,
            };
            let thread = Thread(message.thread as u32);
            if let Some(error) = self.refusal(thread, page) {
                self.refuse(thread, message.address, error);
                continue;
            }
            let waiting = Waiting { page, reason, store: message.flags & (FLAG_WRITE | FLAG_WP) != 0, thread };
            match sink.upgrade().map_or(Answer::Again, |sink| sink.fault(waiting)) {
                Answer::Again => self.wake(AddrRange::from_bounds(page, page + PAGE_SIZE)),
                Answer::LetGo | Answer::Later => {}
                Answer::Fail(error) => self.refuse(thread, message.address, error),
            }
        }
        any
    }

    fn next_message(&self) -> Option<Message> {
        let mut message = MaybeUninit::<Message>::uninit();
        // SAFETY: the kernel writes whole messages, at most as many bytes as are there.
        let read = unsafe { libc::read(self.uffd.as_raw_fd(), message.as_mut_ptr().cast(), size_of::<Message>()) };
        // SAFETY: all of it was written, and every pattern of bits is a message.
        (read == size_of::<Message>() as isize).then(|| unsafe { message.assume_init() })
    }
}

/// Whether a thread of this process that waits does so inside a system call, not in the program itself.
fn is_in_system_call(thread: Thread) -> bool {
    // `-1`, or a word, for the program itself.
    let state = std::fs::read(format!("/proc/self/task/{}/syscall", thread.0));
    state.is_ok_and(|state| state.first().is_some_and(u8::is_ascii_digit))
}

/// `siginfo_t` as the kernel takes it from those who send signals.
#[repr(C)]
struct SignalInfo {
    signal: i32,
    error: i32,
    code: i32,
    reserved: i32,
    /// Where `si_addr` is read.
    addr: u64,
    /// Where `si_value` is read.
    value: u64,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<SignalInfo>() == size_of::<libc::siginfo_t>());

/// Sends a thread of this process the signal for a bus error. Its code is that of a signal that was sent: the kernel lets
/// nobody say that it was a fault. The address is where a handler looks for it.
fn bus_error(thread: Thread, addr: u64, error: i32) {
    let _errno = KeepErrno::new();
    let info =
        SignalInfo { signal: libc::SIGBUS, error, code: libc::SI_QUEUE, reserved: 0, addr, value: addr, rest: [0; 12] };
    let process = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: the record is as long as the kernel reads, and all of it is set. A thread that has ended gets nothing.
    unsafe {
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread.0, libc::SIGBUS, &raw const info);
    }
}

fn open(more: UffdFeatures) -> HostResult<OwnedFd> {
    let needed = more
        | UffdFeatures::PAGEFAULT_FLAG_WP
        | UffdFeatures::MISSING_SHMEM
        | UffdFeatures::MINOR_SHMEM
        | UffdFeatures::WP_HUGETLBFS_SHMEM;
    probe::open_userfaultfd(needed).map_err(|error| match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => HostError::NoDescriptors,
        Some(libc::ENOMEM) => HostError::NoMemory,
        Some(_) | None => HostError::NotSupported,
    })
}

/// Runs `start` with all signals blocked, so that a thread made in it never runs a handler of the program.
pub fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are ours; masks of the calling thread only, put back at the end.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (zeroed(), zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let result = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, core::ptr::null_mut());
        result
    }
}
