//! What `Host` promises about accesses that wait, where the thread that makes them asks.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;

use crate::addr::{AddrRange, PAGE_SIZE};
use crate::api::{Answer, FaultSink, Host, Prot, Room, StoreId, Thread, View, Wait, Waiting, Watch};
use crate::linux::{Delivery, LinuxHost};
use crate::user::{UserFault, UserRef, UserSlice};

const P: u64 = PAGE_SIZE;
const RW: Prot = Prot::READ.union(Prot::WRITE);

/// Eight pages of a store, watched, and what is to be answered.
#[derive(Debug)]
struct Watched {
    host: LinuxHost,
    range: AddrRange,
    store: StoreId,
    answer: fn(&Self, Waiting) -> Answer,
    asked: Mutex<Vec<Waiting>>,
    come: Condvar,
}

impl FaultSink for Watched {
    fn fault(&self, waiting: Waiting) -> Answer {
        self.asked.lock().unwrap().push(waiting);
        self.come.notify_all();
        (self.answer)(self, waiting)
    }
}

impl Watched {
    /// `None`, with a word about it, where there is no userfaultfd.
    fn new(what: Watch, answer: fn(&Self, Waiting) -> Answer) -> Option<Arc<Self>> {
        let host = LinuxHost::new(Delivery::InThread).unwrap();
        let range = host.reserve(8 * P).unwrap();
        let store = host.create_store().unwrap();
        host.map(range, View::Store { store, at: 0, prot: RW }).unwrap();
        let (asked, come) = Default::default();
        let watched = Arc::new(Self { host, range, store, answer, asked, come });
        let sink: Weak<Self> = Arc::downgrade(&watched);
        watched.host.serve_faults(sink);
        if let Err(error) = watched.host.can_watch() {
            eprintln!("not tried: {error}");
            return None;
        }
        watched.host.watch(range, what, Room::Ordinary).unwrap();
        watched.host.guard(range).unwrap();
        Some(watched)
    }

    fn page(&self, index: u64) -> AddrRange {
        let start = self.range.start() + index * P;
        AddrRange::from_bounds(start, start + P)
    }

    /// Stores a byte as a program would, by the copy that survives what is not there.
    fn store(&self, index: u64, byte: u8) -> Result<(), UserFault> {
        // SAFETY: it is this test's memory.
        unsafe { UserSlice::from_raw_parts(self.page(index).addr() + 7, 1) }.fill_from(&[byte])
    }

    fn load(&self, index: u64) -> Result<u8, UserFault> {
        let mut byte = [0];
        // SAFETY: as above.
        unsafe { UserRef::from_raw_parts(self.page(index).addr() + 7, 1) }.copy_to(&mut byte)?;
        Ok(byte[0])
    }

    /// Waits until that many accesses have been asked about.
    fn asked(&self, count: usize) -> Vec<Waiting> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        while asked.len() < count {
            asked = self.come.wait(asked).unwrap();
        }
        asked.clone()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.host.release(self.range);
        self.host.close_store(self.store);
    }
}

fn let_go(watched: &Watched, waiting: Waiting) -> Answer {
    watched.host.unguard(AddrRange::from_bounds(waiting.page, waiting.page + P)).unwrap();
    Answer::Again
}

fn later(_: &Watched, _: Waiting) -> Answer {
    Answer::Later
}

fn this_thread() -> Thread {
    Thread(rustix::thread::gettid().as_raw_nonzero().get() as u32)
}

#[test]
fn a_store_that_waits_is_asked_about_once_and_tried_again() {
    let Some(t) = Watched::new(Watch::Guarded, let_go) else { return };
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = 77 };
    t.store(3, 9).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { *libc::__errno_location() }, 77);
    let page = t.page(3).start();
    assert_eq!(t.asked(1), [Waiting { page, reason: Wait::Unknown, store: true, thread: this_thread() }]);
    assert_eq!((t.load(3), t.load(2)), (Ok(9), Ok(0)), "loads of guarded pages do not wait");
    assert_eq!(t.asked(1).len(), 1);
}

#[test]
fn a_load_of_an_absent_page_waits_and_is_known_for_a_load() {
    let Some(t) = Watched::new(Watch::Absent, |t, waiting| {
        let page = AddrRange::from_bounds(waiting.page, waiting.page + P);
        t.host.unfreeze(page).unwrap();
        Answer::LetGo
    }) else {
        return;
    };
    assert_eq!(t.load(5), Ok(0));
    let asked = t.asked(1);
    assert_eq!((asked.len(), asked[0].store, asked[0].page), (1, false, t.page(5).start()));
}

#[test]
fn who_has_to_wait_sleeps_until_it_is_woken() {
    let Some(t) = Watched::new(Watch::Guarded, later) else { return };
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            t.store(1, 5).unwrap();
            done.store(1, Ordering::Release);
        });
        t.asked(1);
        // Woken for no reason it is back, woken for another page it is not.
        t.host.wake(t.page(2));
        thread::sleep(Duration::from_millis(20));
        assert_eq!((t.asked(1).len(), done.load(Ordering::Acquire)), (1, 0));
        t.host.wake(t.page(1));
        t.asked(2);
        assert_eq!(done.load(Ordering::Acquire), 0);
        // Which is a wake as well.
        t.host.unguard(t.page(1)).unwrap();
    });
    assert_eq!((t.load(1), t.asked(2).len()), (Ok(5), 2));
}

#[test]
fn who_has_to_wait_can_be_refused_and_the_copy_survives_that() {
    let Some(t) = Watched::new(Watch::Guarded, later) else { return };
    thread::scope(|scope| {
        let stores = scope.spawn(|| t.store(1, 5));
        let waiting = t.asked(1)[0];
        t.host.fail(Thread(waiting.thread.0 + 1), waiting.page, -40);
        t.host.fail(waiting.thread, waiting.page + P, -40);
        thread::sleep(Duration::from_millis(20));
        assert!(!stores.is_finished(), "it was another that was meant");
        t.host.fail(waiting.thread, waiting.page + 7, -40);
        assert_eq!(stores.join().unwrap(), Err(UserFault { at: t.page(1).addr() + 7 }));
    });
    assert_eq!((t.load(1), t.asked(1).len()), (Ok(0), 1));
}

#[test]
fn what_cannot_be_done_is_an_error_of_the_copy() {
    let Some(t) = Watched::new(Watch::Guarded, |_, _| Answer::Fail(-40)) else { return };
    assert_eq!(t.store(6, 1), Err(UserFault { at: t.page(6).addr() + 7 }));
    assert_eq!(t.asked(1).len(), 1);
}

#[test]
fn many_threads_may_wait_for_one_page() {
    const THREADS: usize = 24;
    let Some(t) = Watched::new(Watch::Guarded, later) else { return };
    let through = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                t.store(4, 3).unwrap();
                through.fetch_add(1, Ordering::Relaxed);
            });
        }
        t.asked(THREADS);
        assert_eq!(through.load(Ordering::Relaxed), 0);
        t.host.unguard(t.page(4)).unwrap();
    });
    assert_eq!((through.load(Ordering::Relaxed), t.load(4)), (THREADS, Ok(3)));
    assert_eq!(t.asked(THREADS).len(), THREADS, "all slept, and none was woken twice");
}

#[test]
fn waking_is_never_lost() {
    let Some(t) = Watched::new(Watch::Guarded, later) else { return };
    for round in 0..2000 {
        thread::scope(|scope| {
            scope.spawn(|| t.store(round % 8, 1).unwrap());
            t.asked(1 + round as usize);
            // Before it sleeps, while it falls asleep, or after: it depends.
            t.host.unguard(t.page(round % 8)).unwrap();
        });
        t.host.guard(t.page(round % 8)).unwrap();
        assert_eq!(t.asked(0).len(), 1 + round as usize);
    }
}

/// A signal handler of the program runs while a thread waits, as it would if it waited inside of the kernel.
#[test]
fn a_thread_that_waits_handles_signals() {
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn on_signal(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::Release);
    }
    let Some(t) = Watched::new(Watch::Guarded, later) else { return };
    // SAFETY: a handler that may run anywhere; nobody else here uses this signal.
    unsafe { libc::signal(libc::SIGUSR2, on_signal as *const () as usize) };
    thread::scope(|scope| {
        scope.spawn(|| t.store(0, 1).unwrap());
        let waiting = t.asked(1)[0];
        thread::sleep(Duration::from_millis(20));
        for count in 1..=3 {
            // SAFETY: a signal that is handled.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), waiting.thread.0, libc::SIGUSR2) };
            while HANDLED.load(Ordering::Acquire) < count {
                thread::yield_now();
            }
        }
        t.host.unguard(t.page(0)).unwrap();
    });
    assert_eq!(t.load(0), Ok(1));
}

/// What happens to the process as a whole. Each case is this test once more, in a process of its own.
#[test]
fn what_is_not_ours_or_refused_goes_to_the_handler_that_was_there() {
    const CASE: &str = "ZXVM_TEST_CASE";
    let name = "linux::inline::tests::what_is_not_ours_or_refused_goes_to_the_handler_that_was_there";
    if let Ok(case) = std::env::var(CASE) {
        let case = children::CASES.iter().find(|known| known.0 == case).unwrap();
        // SAFETY: ends this process at once.
        unsafe { libc::_exit((case.1)()) }
    }
    if LinuxHost::new(Delivery::InThread).is_ok() && Watched::new(Watch::Guarded, later).is_none() {
        return;
    }
    for &(case, _, end) in children::CASES {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let ended = child.args(["--exact", name, "--nocapture"]).env(CASE, case).status().unwrap();
        assert_eq!((ended.code(), ended.signal()), end, "{case}");
    }
}

/// What the children do.
mod children {
    use super::*;

    /// Name, what is done, and how the process then ends: by a code or by a signal.
    #[expect(clippy::type_complexity, reason = "it is a table")]
    pub const CASES: &[(&str, fn() -> i32, (Option<i32>, Option<i32>))] = &[
        ("refused", refused, (Some(0), None)),
        ("refused later", refused_later, (Some(0), None)),
        ("not ours", not_ours, (Some(0), None)),
        ("sent", sent, (Some(0), None)),
        ("no handler", || die(libc::SIG_DFL), (None, Some(libc::SIGBUS))),
        ("ignored", || die(libc::SIG_IGN), (None, Some(libc::SIGBUS))),
        ("not ours, no handler", not_ours_either, (None, Some(libc::SIGBUS))),
        ("blocked", blocked, (None, Some(libc::SIGBUS))),
    ];

    /// What the handler was told: how often, address, error number, code.
    static TOLD: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

    extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel's record, passed on.
        let (addr, info) = unsafe { ((*info).si_addr(), &*info) };
        TOLD[1].store(addr.addr(), Ordering::Relaxed);
        TOLD[2].store(info.si_errno as usize, Ordering::Relaxed);
        TOLD[3].store(info.si_code as usize, Ordering::Relaxed);
        TOLD[0].fetch_add(1, Ordering::Relaxed);
        // If it is no page of ours, there is one afterwards.
        let page = addr.map_addr(|addr| addr & !(P as usize - 1));
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        if info.si_errno == 0 && info.si_code > 0 {
            // SAFETY: a page that the test below has mapped.
            unsafe { libc::mmap(page, P as usize, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        }
    }

    fn told() -> [usize; 4] {
        core::array::from_fn(|at| TOLD[at].load(Ordering::Relaxed))
    }

    /// Sets what is there before the engine's handler.
    fn before(handler: usize) {
        // SAFETY: a zeroed record is a valid one, and the handler may run anywhere.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = handler;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, core::ptr::null_mut()), 0);
        }
    }

    /// Stores as any program does.
    fn poke(addr: usize) {
        // SAFETY: memory of the test's that may fault, and is nobody's variable.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(addr).write_volatile(1) };
    }

    /// Refuses the first, and lets the others go.
    fn first_refused(t: &Watched, waiting: Waiting) -> Answer {
        match t.asked(1).len() {
            1 => Answer::Fail(-40),
            _ => let_go(t, waiting),
        }
    }

    fn refused() -> i32 {
        before(on_bus_error as *const () as usize);
        let t = Watched::new(Watch::Guarded, first_refused).unwrap();
        let addr = t.page(2).addr() + 9;
        poke(addr);
        assert_eq!(told(), [1, addr, -40_i32 as usize, libc::BUS_ADRERR as usize]);
        assert_eq!(t.asked(2).len(), 2, "the handler returned, and the store was tried again");
        0
    }

    fn refused_later() -> i32 {
        before(on_bus_error as *const () as usize);
        let t = Watched::new(Watch::Guarded, later).unwrap();
        let addr = t.page(2).addr() + 9;
        thread::scope(|scope| {
            scope.spawn(|| poke(addr));
            let waiting = t.asked(1)[0];
            t.host.fail(waiting.thread, waiting.page, -41);
            t.asked(2);
            t.host.unguard(t.page(2)).unwrap();
        });
        assert_eq!(told(), [1, addr, -41_i32 as usize, libc::BUS_ADRERR as usize]);
        0
    }

    /// A page past the end of a file.
    fn past_the_end() -> usize {
        let file = rustix::fs::memfd_create("short", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let prot = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        let shared = rustix::mm::MapFlags::SHARED;
        // SAFETY: a new mapping at an address of the kernel's choice.
        unsafe { rustix::mm::mmap(core::ptr::null_mut(), P as usize, prot, shared, &file, 0) }
            .unwrap()
            .expose_provenance()
    }

    fn not_ours() -> i32 {
        before(on_bus_error as *const () as usize);
        let t = Watched::new(Watch::Guarded, let_go).unwrap();
        let addr = past_the_end() + 5;
        poke(addr);
        assert_eq!(told(), [1, addr, 0, libc::BUS_ADRERR as usize]);
        // And ours is there still.
        poke(t.page(1).addr());
        assert_eq!((told()[0], t.asked(1).len()), (1, 1));
        0
    }

    fn not_ours_either() -> i32 {
        before(libc::SIG_DFL);
        let _t = Watched::new(Watch::Guarded, let_go).unwrap();
        poke(past_the_end());
        1
    }

    fn sent() -> i32 {
        before(on_bus_error as *const () as usize);
        let _t = Watched::new(Watch::Guarded, let_go).unwrap();
        // SAFETY: a signal that is handled.
        unsafe { libc::raise(libc::SIGBUS) };
        assert_eq!((told()[0], told()[3] as i32), (1, libc::SI_TKILL));
        0
    }

    fn die(handler: usize) -> i32 {
        before(handler);
        let t = Watched::new(Watch::Guarded, first_refused).unwrap();
        // The page could be stored to the second time: that must not save the process.
        poke(t.page(2).addr());
        1
    }

    fn blocked() -> i32 {
        before(libc::SIG_DFL);
        let t = Watched::new(Watch::Guarded, let_go).unwrap();
        // SAFETY: a set of ours.
        unsafe {
            let mut set: libc::sigset_t = core::mem::zeroed();
            libc::sigaddset(&raw mut set, libc::SIGBUS);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, core::ptr::null_mut());
        }
        poke(t.page(2).addr());
        1
    }
}
