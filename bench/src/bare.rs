//! The bare mechanisms under a snapshot: a userfaultfd with a thread that does nothing but let stores go, private
//! mappings, and `fork`.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mm::{MapFlags, ProtFlags, UserfaultfdFlags, mmap, munmap, userfaultfd};

use crate::raw::P;

const UFFDIO_API: u32 = 0xc018_aa3f;
const UFFDIO_REGISTER: u32 = 0xc020_aa00;
const UFFDIO_WRITEPROTECT: u32 = 0xc018_aa06;
const WP: u64 = 2;
/// `UFFD_FEATURE_PAGEFAULT_FLAG_WP`, `UFFD_FEATURE_WP_HUGETLBFS_SHMEM`
const FEATURES: u64 = 1 | 1 << 12;

/// A shared mapping whose stores can be stopped, and the thread that lets them go.
pub struct Stopped {
    uffd: Arc<OwnedFd>,
    base: usize,
    pages: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn ioctl<const N: usize>(uffd: &OwnedFd, request: u32, arg: &mut [u64; N]) {
    // SAFETY: each request is called with an array as large as its record of 64-bit numbers.
    let result = unsafe { libc::ioctl(uffd.as_raw_fd(), request as libc::Ioctl, arg.as_mut_ptr()) };
    assert_eq!(result, 0, "{request:#x}: {}", std::io::Error::last_os_error());
}

impl Stopped {
    /// Takes over a shared mapping that the caller keeps.
    pub fn new(base: usize, pages: usize) -> Self {
        // SAFETY: what it can do to memory it does only after the registration below, of memory of the caller's.
        let uffd = unsafe { userfaultfd(UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK).unwrap() };
        ioctl(&uffd, UFFDIO_API, &mut [0xaa, FEATURES, 0]);
        ioctl(&uffd, UFFDIO_REGISTER, &mut [base as u64, (pages * P) as u64, WP, 0]);
        let (uffd, stop) = (Arc::new(uffd), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (uffd, stop) = (uffd.clone(), stop.clone());
            move || serve(&uffd, &stop)
        });
        Self { uffd, base, pages, stop, thread: Some(thread) }
    }

    /// Stops all stores.
    pub fn protect(&self) {
        ioctl(&self.uffd, UFFDIO_WRITEPROTECT, &mut [self.base as u64, (self.pages * P) as u64, 1]);
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().unwrap();
    }
}

fn serve(uffd: &OwnedFd, stop: &AtomicBool) {
    let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let _ = poll(&mut [PollFd::new(uffd, PollFlags::IN)], Some(&tick));
        let mut message = [0_u64; 4];
        // SAFETY: a message is 32 bytes.
        while unsafe { libc::read(uffd.as_raw_fd(), message.as_mut_ptr().cast(), 32) } == 32 {
            ioctl(uffd, UFFDIO_WRITEPROTECT, &mut [message[2] & !(P as u64 - 1), P as u64, 0]);
        }
    }
}

/// A private mapping of a file: the kernel's own copy on write.
pub struct Private {
    base: usize,
    pages: usize,
}

impl Private {
    /// Maps so many pages of the file.
    pub fn new(fd: &OwnedFd, pages: usize) -> Self {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(std::ptr::null_mut(), pages * P, prot, MapFlags::PRIVATE, fd, 0).unwrap() } as usize;
        Self { base, pages }
    }

    /// Where it is.
    pub fn base(&self) -> usize {
        self.base
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, known to nobody else.
        unsafe { munmap(self.base as *mut _, self.pages * P).unwrap() }
    }
}

/// Private memory with all pages there, small ones, as a program's heap has them.
pub struct Anonymous {
    base: usize,
    pages: usize,
}

impl Anonymous {
    /// So many pages.
    pub fn new(pages: usize) -> Self {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; advice that changes no content.
        unsafe {
            let flags = MapFlags::PRIVATE;
            let base = rustix::mm::mmap_anonymous(std::ptr::null_mut(), pages * P, prot, flags).unwrap();
            rustix::mm::madvise(base, pages * P, rustix::mm::Advice::LinuxNoHugepage).unwrap();
            rustix::mm::madvise(base, pages * P, rustix::mm::Advice::LinuxPopulateWrite).unwrap();
            Self { base: base as usize, pages }
        }
    }

    /// Where it is.
    pub fn base(&self) -> usize {
        self.base
    }
}

impl Drop for Anonymous {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, known to nobody else.
        unsafe { munmap(self.base as *mut _, self.pages * P).unwrap() }
    }
}

/// Forks; `during` gets how long the call took. The child ends at once.
pub fn fork() -> Duration {
    let start = Instant::now();
    // SAFETY: the child does nothing but end.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as it says.
        unsafe { libc::_exit(0) };
    }
    let time = start.elapsed();
    assert!(child > 0);
    // SAFETY: waits for the child; asks for no status.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    time
}

/// Stores to memory from a thread of its own, page after page, and knows the longest time between two stores.
pub struct Writer {
    stop: Arc<AtomicBool>,
    longest: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts.
    pub fn new(base: usize, pages: usize) -> Self {
        let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, longest) = (stop.clone(), longest.clone());
            move || {
                let mut last = Instant::now();
                for page in (0..pages).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // SAFETY: memory mapped by the caller for this.
                    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(base + page * P).write_volatile(1) };
                    let now = Instant::now();
                    longest.fetch_max((now - last).as_nanos() as u64, Ordering::Relaxed);
                    last = now;
                }
            }
        });
        Self { stop, longest, thread: Some(thread) }
    }

    /// The longest time between two stores around what `work` does.
    pub fn longest(&self, work: impl FnOnce()) -> Duration {
        self.longest.store(0, Ordering::Relaxed);
        work();
        std::thread::sleep(Duration::from_millis(2));
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().unwrap();
    }
}
