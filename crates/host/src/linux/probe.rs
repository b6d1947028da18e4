//! What the running kernel lets this process do, found out by trying it.
//!
//! Every question stands alone, opens what it needs, and leaves nothing behind: no mapping, no descriptor, no handler
//! (but [`survives_bad_address`] and [`delivery`], which install what the engine installs anyway).

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Weak};

use rustix::fs::MemfdFlags;
use rustix::mm::{Advice, MapFlags, ProtFlags, UserfaultfdFlags};

use super::sys::KeepErrno;
use super::{Delivery, LinuxHost, copy, pagemap};
use crate::addr::{AddrRange, PAGE_SIZE};
use crate::api::{Answer, FaultSink, Host, HostError, HostResult, Prot, Room, STORE_SIZE, View, Waiting, Watch};

bitflags::bitflags! {
    /// What a userfaultfd can do, as the kernel numbers it. Only what matters here has a name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct UffdFeatures: u64 {
        /// Report stores to write-protected pages.
        const PAGEFAULT_FLAG_WP = 1 << 0;
        /// Report a missing page of shared memory.
        const MISSING_SHMEM = 1 << 5;
        /// Raise SIGBUS in the faulting thread instead of reporting.
        const SIGBUS = 1 << 7;
        /// Say which thread it is.
        const THREAD_ID = 1 << 8;
        /// Report a page of shared memory that is there but not entered.
        const MINOR_SHMEM = 1 << 10;
        /// Write-protect shared memory.
        const WP_HUGETLBFS_SHMEM = 1 << 12;
        /// Write-protect what is not there yet.
        const WP_UNPOPULATED = 1 << 13;
        /// Take a write protection off without reporting, and remember that.
        const WP_ASYNC = 1 << 15;
        const _ = !0;
    }
}

/// The three ways to a userfaultfd, each with the reason why not.
#[derive(Debug)]
pub struct Userfaultfd {
    /// By system call, for all faults.
    pub syscall: io::Result<()>,
    /// By `/dev/userfaultfd`, for all faults.
    pub device: io::Result<()>,
    /// By system call, for faults of the program itself only: not for those that happen inside system calls.
    pub user_mode_only: io::Result<()>,
    /// What one of them can do, if there is one.
    pub features: Option<UffdFeatures>,
}

/// Tries all ways to a userfaultfd.
pub fn userfaultfd() -> Userfaultfd {
    let ways =
        [by_syscall(UserfaultfdFlags::CLOEXEC), by_device(), by_syscall(UserfaultfdFlags::CLOEXEC | USER_MODE_ONLY)];
    let features = ways.iter().flatten().find_map(|fd| handshake(fd.as_fd(), UffdFeatures::empty()).ok());
    let [syscall, device, user_mode_only] = ways.map(|way| way.map(drop));
    Userfaultfd { syscall, device, user_mode_only, features }
}

/// A userfaultfd that can all of `needed`, for all faults if this process may have that, else for its own accesses only.
///
/// # Errors
/// What the kernel says to the last way tried; whatever it is, there is no way. `EMFILE`, `ENFILE`: no descriptors.
pub(super) fn open_userfaultfd(needed: UffdFeatures) -> io::Result<OwnedFd> {
    let by_any_way = || match by_syscall(UserfaultfdFlags::CLOEXEC) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            by_device().or_else(|_| by_syscall(UserfaultfdFlags::CLOEXEC | USER_MODE_ONLY))
        }
        result => result,
    };
    let uffd = by_any_way()?;
    handshake(uffd.as_fd(), needed)?;
    // Reading is done by a thread that also waits for other things.
    rustix::io::ioctl_fionbio(&uffd, true)?;
    Ok(uffd)
}

/// `UFFD_USER_MODE_ONLY`
const USER_MODE_ONLY: UserfaultfdFlags = UserfaultfdFlags::from_bits_retain(1);

fn by_syscall(flags: UserfaultfdFlags) -> io::Result<OwnedFd> {
    // SAFETY: what the descriptor can do to memory, it does only after a registration, which is not made here.
    unsafe { rustix::mm::userfaultfd(flags) }.map_err(io::Error::from)
}

fn by_device() -> io::Result<OwnedFd> {
    /// `_IO(0xaa, 0)`: the argument is flags, the result a descriptor.
    const USERFAULTFD_IOC_NEW: u32 = 0xaa00;
    let _errno = KeepErrno::new();
    let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/userfaultfd")?;
    // SAFETY: the request takes a number and touches no memory.
    let fd = unsafe { libc::ioctl(device.as_raw_fd(), USERFAULTFD_IOC_NEW as libc::Ioctl, libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Asks for the features `wanted`, once for each descriptor; answers which there are.
fn handshake(fd: BorrowedFd<'_>, wanted: UffdFeatures) -> io::Result<UffdFeatures> {
    /// `struct uffdio_api`
    #[repr(C)]
    struct Api {
        api: u64,
        features: u64,
        ioctls: u64,
    }
    /// `_IOWR(0xaa, 0x3f, struct uffdio_api)`
    const UFFDIO_API: u32 = 0xc018_aa3f;
    let _errno = KeepErrno::new();
    let mut api = Api { api: 0xaa, features: wanted.bits(), ioctls: 0 };
    // SAFETY: the request reads and writes one `struct uffdio_api`, which `api` is.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_API as libc::Ioctl, &raw mut api) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(UffdFeatures::from_bits_retain(api.features)) }
}

/// A page of our own, unmapped at the end.
struct Page(*mut core::ffi::c_void);

impl Page {
    fn private() -> io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; nobody forms references into it.
        let page =
            unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), PAGE_SIZE as usize, prot, MapFlags::PRIVATE)? };
        Ok(Self(page))
    }

    fn shared(fd: BorrowedFd<'_>, prot: ProtFlags) -> io::Result<Self> {
        // SAFETY: as above.
        let page =
            unsafe { rustix::mm::mmap(core::ptr::null_mut(), PAGE_SIZE as usize, prot, MapFlags::SHARED, fd, 0)? };
        Ok(Self(page))
    }

    fn advise(&self, advice: Advice) -> io::Result<()> {
        // SAFETY: the page is ours and empty; there is nothing in it to lose.
        unsafe { rustix::mm::madvise(self.0, PAGE_SIZE as usize, advice) }?;
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: made in one of the two functions above, known to nobody else.
        let _ = unsafe { rustix::mm::munmap(self.0, PAGE_SIZE as usize) };
    }
}

/// A file in memory as large as a store.
///
/// # Errors
/// What the kernel says. Above the process's `RLIMIT_FSIZE` the kernel says it by a signal that ends the process: ask for
/// the limit first.
pub fn store() -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("zxvm-probe", MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, STORE_SIZE)?;
    Ok(file)
}

/// Whether memory of a store can be mapped executable.
///
/// # Errors
/// What the kernel says.
pub fn executable(store: BorrowedFd<'_>) -> io::Result<()> {
    Page::shared(store, ProtFlags::READ | ProtFlags::EXEC).map(drop)
}

/// Whether memory of a store can be populated (Linux 5.14).
///
/// # Errors
/// What the kernel says.
pub fn populate(store: BorrowedFd<'_>) -> io::Result<()> {
    Page::shared(store, ProtFlags::READ | ProtFlags::WRITE)?.advise(Advice::LinuxPopulateWrite)
}

/// Whether a page of a store can be guarded in place (private memory: Linux 6.13; files: 6.15).
///
/// # Errors
/// What the kernel says.
pub fn guard(store: BorrowedFd<'_>) -> io::Result<()> {
    const GUARD_INSTALL: i32 = 102;
    let _errno = KeepErrno::new();
    let page = Page::shared(store, ProtFlags::READ | ProtFlags::WRITE)?;
    // SAFETY: the page is ours and empty. rustix has no name for this advice.
    let result = unsafe { libc::madvise(page.0, PAGE_SIZE as usize, GUARD_INSTALL) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the page table can be scanned by `PAGEMAP_SCAN` (Linux 6.7).
///
/// # Errors
/// What the kernel says; `InvalidData` if it does not see a page that is there.
pub fn pagemap_scan() -> io::Result<()> {
    let pagemap = std::fs::File::open("/proc/self/pagemap")?.into();
    let page = Page::private()?;
    // SAFETY: the page is ours and writable.
    unsafe { page.0.cast::<u8>().write_volatile(1) };
    let start = page.0.addr() as u64;
    let mut absent = false;
    pagemap::scan(&pagemap, AddrRange::from_bounds(start, start + PAGE_SIZE), &mut |_| absent = true).map_err(
        |error| match error {
            HostError::Other(code) => io::Error::from_raw_os_error(code),
            other => io::Error::other(other),
        },
    )?;
    if absent { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
}

/// Whether a call that is given a bad address reports it, as the engine needs.
///
/// Not to be asked while `SIGSEGV` is blocked: the kernel would then end the process.
pub fn survives_bad_address() -> bool {
    copy::install();
    let Ok(page) = Page::private() else { return false };
    // SAFETY: takes all access from a page of ours that nobody uses.
    if unsafe { rustix::mm::mprotect(page.0, PAGE_SIZE as usize, rustix::mm::MprotectFlags::empty()) }.is_err() {
        return false;
    }
    let addr = page.0.expose_provenance();
    // SAFETY: nothing of the page is readable, so nothing is read.
    unsafe { copy::copy_in(&mut [0], addr) }.is_err_and(|fault| fault.at == addr)
}

/// A page that stores wait for, and who lets them go.
#[derive(Debug)]
struct Trial {
    host: LinuxHost,
    asked: AtomicBool,
}

impl FaultSink for Trial {
    fn fault(&self, waiting: Waiting) -> Answer {
        self.asked.store(true, Ordering::Relaxed);
        match self.host.unguard(AddrRange::from_bounds(waiting.page, waiting.page + PAGE_SIZE)) {
            Ok(()) => Answer::LetGo,
            Err(_) => Answer::Fail(libc::EIO),
        }
    }
}

/// Whether an access that waits is dealt with in this way: one is made.
///
/// Not to be asked while `SIGBUS` is blocked: the kernel would then end the process.
///
/// # Errors
/// What the host says; `Fault`: nobody has dealt with it.
pub fn delivery(delivery: Delivery) -> HostResult {
    let trial = Arc::new(Trial { host: LinuxHost::new(delivery)?, asked: AtomicBool::new(false) });
    let host = &trial.host;
    let sink: Weak<Trial> = Arc::downgrade(&trial);
    host.serve_faults(sink);
    host.can_watch()?;
    let store = host.create_store()?;
    let page = host.reserve(PAGE_SIZE).inspect_err(|_| host.close_store(store))?;
    let result = (|| {
        host.map(page, View::Store { store, at: 0, prot: Prot::READ | Prot::WRITE })?;
        host.watch(page, Watch::Guarded, Room::Ordinary)?;
        host.guard(page)?;
        copy::install();
        // SAFETY: a page of ours, in which there is nothing.
        unsafe { copy::copy_out(page.addr(), &[1]) }.map_err(|fault| HostError::Fault { at: fault.at })?;
        if trial.asked.load(Ordering::Relaxed) { Ok(()) } else { Err(HostError::NotSupported) }
    })();
    host.release(page);
    host.close_store(store);
    result
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_dealt_with_in_both_ways_or_in_none() {
        let ways = [Delivery::Thread, Delivery::InThread].map(delivery);
        let has_features = userfaultfd().features.is_some_and(|has| has.contains(UffdFeatures::WP_HUGETLBFS_SHMEM));
        assert_eq!(ways[0].is_ok(), has_features, "{ways:?}");
        assert_eq!(ways[1].is_ok(), has_features && cfg!(target_arch = "x86_64"), "{ways:?}");
    }

    #[test]
    fn a_store_can_be_had_populated_and_executed() {
        let store = store().unwrap();
        populate(store.as_fd()).unwrap();
        executable(store.as_fd()).unwrap();
        let committed = rustix::fs::fstat(&store).unwrap().st_blocks as u64 * 512;
        assert_eq!(committed % PAGE_SIZE, 0);
        assert!(committed >= PAGE_SIZE, "populating has committed a page");
    }

    #[test]
    fn a_bad_address_is_survived() {
        assert!(survives_bad_address());
    }

    #[test]
    fn features_are_known_exactly_when_there_is_a_way() {
        let uffd = userfaultfd();
        let any = uffd.syscall.is_ok() || uffd.device.is_ok() || uffd.user_mode_only.is_ok();
        assert_eq!(uffd.features.is_some(), any, "{uffd:?}");
        if let Some(features) = uffd.features {
            assert!(features.contains(UffdFeatures::MISSING_SHMEM), "in every kernel since 4.11: {features:?}");
        }
    }

    #[test]
    fn what_a_kernel_does_not_know_it_says_so() {
        for (what, result) in [("scan", pagemap_scan()), ("guard", guard(store().unwrap().as_fd()))] {
            if let Err(error) = result {
                let known = [libc::EINVAL, libc::ENOTTY, libc::EPERM, libc::ENOSYS];
                assert!(error.raw_os_error().is_some_and(|code| known.contains(&code)), "{what}: {error}");
            }
        }
    }
}
