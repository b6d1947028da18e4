//! Linux: stores are memfds, views are shared mappings, and what is there is read from the kernel.
//!
//! 1. A [`StoreId`] is the number of a memfd that only this type opens and closes.
//! 2. No page of a store is ever allocated without being up to date, so that `SEEK_DATA` and `SEEK_HOLE` see exactly the
//!    committed pages: whatever `fallocate` makes is populated before the call returns. Only a `commit` that ran out of
//!    memory half way can leave pages that stay unseen until they are touched; `unseen` remembers that it happened.
//! 3. The C library's `errno` is as before after every call.

mod copy;
mod entries;
mod exit;
mod faults;
mod fork;
pub mod futex;
mod inline;
mod pagemap;
mod peer;
pub mod pressure;
pub mod probe;
pub mod reserve;
mod resident;
pub mod ring;
mod sys;
pub mod user;
mod words;

use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

pub use copy::install as install_fault_recovery;
pub use exit::{OwnFile, remove_at_exit};
pub use faults::without_signals;
pub use fork::{NotForChildren, in_child, keep_from_children};
pub use peer::{Peer, has_raised_privileges, peer};
pub use resident::resident;
pub use words::Words;

use crate::addr::{AddrRange, PAGE_SIZE, StoreRange};
use crate::api::{
    Access, FaultSink, Halfway, Host, HostError, HostResult, Piece, PressureSink, Prot, Room, RunSink, STORE_SIZE,
    StoreId, Thread, View, Watch,
};
use entries::Entries;
use faults::Faults;
use pressure::Watcher;
use sys::KeepErrno;
use user::{UserRef, UserSlice};

/// The pages of one `fallocate` call: a signal makes the kernel undo and restart one, so they are kept short.
const FALLOCATE_MAX: u64 = 2 << 20;
/// From here on `fallocate` before populating is cheaper than populating alone (measured: a quarter less per page).
const FALLOCATE_MIN: u64 = 8 * PAGE_SIZE;

/// Bytes copied from store to store at a time, by way of the stack.
const COPY_MAX: usize = 4 * PAGE_SIZE as usize;

/// From here on a range is looked at before it is freed.
const LOOK_MIN: u64 = 8 * PAGE_SIZE;

/// The running kernel.
#[derive(Debug)]
pub struct LinuxHost {
    pagemap: OwnedFd,
    entries: Entries,
    /// Which memfd (by inode) is which store; for [`Host::pieces`] only.
    inodes: Mutex<Vec<(u64, StoreId)>>,
    /// Whether there may be pages that `SEEK_DATA` does not see.
    unseen: AtomicBool,
    /// Bytes of memory in the machine.
    memory: u64,
    delivery: Delivery,
    /// Who is asked about accesses that wait.
    sink: Arc<OnceLock<Weak<dyn FaultSink>>>,
    /// There from the first `watch` on.
    faults: Mutex<Option<Arc<Faults>>>,
    /// There from the first `watch_memory` on.
    watcher: Mutex<Option<Watcher>>,
}

/// Which thread asks the [`FaultSink`] about an access that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// One of the library. A Linux system call may wait as well, where this process may have that.
    #[default]
    Thread,
    /// The one that makes the access, in the handler for `SIGBUS`: sooner. A Linux system call fails with `EFAULT`.
    InThread,
}

impl Delivery {
    /// What the environment asks for, in `ZXVM_FAULTS`: `thread` or `inline`, and `thread` if it says nothing. `None`: it
    /// says something else.
    pub fn of_environment() -> Option<Self> {
        match std::env::var_os("ZXVM_FAULTS") {
            None => Some(Self::default()),
            Some(word) if word == "thread" => Some(Self::Thread),
            Some(word) if word == "inline" => Some(Self::InThread),
            Some(_) => None,
        }
    }
}

impl From<Errno> for HostError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOMEM | Errno::NOSPC => Self::NoMemory,
            Errno::MFILE | Errno::NFILE => Self::NoDescriptors,
            Errno::ACCESS | Errno::PERM => Self::Permission,
            other => Self::Other(other.raw_os_error()),
        }
    }
}

impl LinuxHost {
    /// Opens what is needed (one file descriptor).
    ///
    /// # Errors
    /// `NoDescriptors`, `Permission`: `/proc` cannot be read. `Other(EINVAL)`: pages are not 4 KiB.
    pub fn new(delivery: Delivery) -> HostResult<Self> {
        if rustix::param::page_size() as u64 != PAGE_SIZE {
            return Err(HostError::Other(Errno::INVAL.raw_os_error()));
        }
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let pagemap = rustix::fs::open("/proc/self/pagemap", flags, rustix::fs::Mode::empty())?;
        reserve::hold();
        Ok(Self {
            pagemap,
            entries: Entries::default(),
            inodes: Mutex::new(Vec::new()),
            unseen: AtomicBool::new(false),
            memory: physical_memory(),
            delivery,
            sink: Arc::default(),
            faults: Mutex::default(),
            watcher: Mutex::default(),
        })
    }

    fn faults(&self) -> HostResult<Arc<Faults>> {
        let mut service = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(faults) = &*service {
            return Ok(faults.clone());
        }
        // A refusal is not remembered: descriptors may be free next time.
        let sink = self.sink.get().ok_or(HostError::NotSupported)?;
        let faults = Arc::new(Faults::new(sink.clone(), self.delivery)?);
        *service = Some(faults.clone());
        Ok(faults)
    }
}

/// Bytes of memory in the machine.
pub fn physical_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}

/// Bytes in a line of the first data cache.
pub fn dcache_line_size() -> u32 {
    // SAFETY: a question without pointers.
    let size = unsafe { libc::sysconf(libc::_SC_LEVEL1_DCACHE_LINESIZE) };
    // The kernel may not know; 64 is then right on nearly every processor it runs on.
    u32::try_from(size).ok().filter(|&size| size != 0).unwrap_or(64)
}

/// Sleeps until the monotonic clock shows `at` nanoseconds.
pub fn sleep_until(at: u64) {
    let at = rustix::time::Timespec { tv_sec: (at / 1_000_000_000) as i64, tv_nsec: (at % 1_000_000_000) as i64 };
    while rustix::thread::clock_nanosleep_absolute(rustix::thread::ClockId::Monotonic, &at) == Err(Errno::INTR) {}
}

fn fd(store: &StoreId) -> BorrowedFd<'_> {
    // SAFETY: a StoreId is the number of a memfd that `create_store` opened and that stays open until `close_store`,
    // after which the engine does not use the id.
    unsafe { BorrowedFd::borrow_raw(store.0 as i32) }
}

fn flags(prot: Prot) -> ProtFlags {
    let mut flags = ProtFlags::empty();
    flags.set(ProtFlags::READ, prot.contains(Prot::READ));
    flags.set(ProtFlags::WRITE, prot.contains(Prot::WRITE));
    flags.set(ProtFlags::EXEC, prot.contains(Prot::EXECUTE));
    flags
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> HostResult<T> {
    loop {
        match call() {
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return Ok(result?),
        }
    }
}

fn populate(range: AddrRange, access: Access) -> HostResult {
    let advice = match access {
        Access::Read => Advice::LinuxPopulateRead,
        Access::Write => Advice::LinuxPopulateWrite,
    };
    // SAFETY: populating changes no content, whatever is mapped there.
    retry(|| unsafe { rustix::mm::madvise(range.addr() as *mut _, range.len() as usize, advice) })
        .map_err(|e| if e == HostError::from(Errno::FAULT) { HostError::Fault { at: range.addr() } } else { e })
}

/// Shows `view` in `range`.
fn show(range: AddrRange, view: View) -> rustix::io::Result<()> {
    let (addr, len) = (range.addr() as *mut core::ffi::c_void, range.len() as usize);
    // SAFETY: the range lies in a reservation of ours (contract of the trait), so nothing but views is replaced.
    // Whether clients still use what was there is theirs to answer for: the public calls that lead here say so.
    let mapped = unsafe {
        match view {
            View::Held => {
                let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
                rustix::mm::mmap_anonymous(addr, len, ProtFlags::empty(), flags)
            }
            View::Store { store, at, prot } => {
                let map_flags = MapFlags::SHARED | MapFlags::FIXED;
                rustix::mm::mmap(addr, len, flags(prot), map_flags, fd(&store), at)
            }
        }
    }?;
    debug_assert_eq!(mapped, addr);
    Ok(())
}

/// A mapping of our own, to populate a store range that nobody has mapped writable.
struct Alias(AddrRange);

impl Alias {
    fn new(store: StoreId, range: StoreRange) -> HostResult<Self> {
        let len = range.len() as usize;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; nobody forms references into it.
        let at =
            unsafe { rustix::mm::mmap(core::ptr::null_mut(), len, prot, MapFlags::SHARED, fd(&store), range.start())? };
        Ok(Self(AddrRange::from_bounds(at as u64, at as u64 + range.len())))
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        // SAFETY: made in `new`, known to nobody else.
        let _ = unsafe { rustix::mm::munmap(self.0.addr() as *mut _, self.0.len() as usize) };
    }
}

/// Copies from store to store, `N` bytes at a time.
fn copy_by<const N: usize>(store: StoreId, from: StoreRange, to: StoreId, at: u64) -> Result<(), Halfway> {
    let mut bounce = [0_u8; N];
    let mut done = 0;
    while done < from.len() {
        let bytes = &mut bounce[..N.min((from.len() - done) as usize)];
        let copied = sys::read_at(fd(&store).as_raw_fd(), from.start() + done, UserSlice::from(&mut *bytes))
            .and_then(|()| sys::write_at(fd(&to).as_raw_fd(), at + done, UserRef::from(&*bytes)));
        copied.map_err(|error| {
            // What of these bytes came through is taken back. Freeing takes no memory.
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = retry(|| rustix::fs::fallocate(fd(&to), flags, at + done, bytes.len() as u64));
            Halfway { done, error }
        })?;
        done += bytes.len() as u64;
    }
    Ok(())
}

impl Host for LinuxHost {
    fn create_store(&self) -> HostResult<StoreId> {
        // Where files are limited, making one too large is answered with a signal.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        if limit.is_some_and(|most| most < STORE_SIZE) {
            return Err(HostError::FileSizeLimit);
        }
        let file = rustix::fs::memfd_create("zxvm", MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&file, STORE_SIZE)?;
        let inode = rustix::fs::fstat(&file)?.st_ino;
        let store = StoreId(file.into_raw_fd() as u32);
        self.inodes.lock().unwrap_or_else(|e| e.into_inner()).push((inode, store));
        Ok(store)
    }

    fn close_store(&self, store: StoreId) {
        self.inodes.lock().unwrap_or_else(|e| e.into_inner()).retain(|&(_, s)| s != store);
        // SAFETY: the number came from `into_raw_fd`, and the engine gives each store up once.
        unsafe { rustix::io::close(store.0 as i32) };
    }

    fn read_store(&self, store: StoreId, at: u64, to: UserSlice<'_>) -> HostResult {
        sys::read_at(fd(&store).as_raw_fd(), at, to)
    }

    fn write_store(&self, store: StoreId, at: u64, from: UserRef<'_>) -> HostResult {
        sys::write_at(fd(&store).as_raw_fd(), at, from)
    }

    fn copy(&self, store: StoreId, from: StoreRange, to: StoreId, at: u64) -> Result<(), Halfway> {
        match from.len() {
            PAGE_SIZE => copy_by::<{ PAGE_SIZE as usize }>(store, from, to, at),
            _ => copy_by::<COPY_MAX>(store, from, to, at),
        }
    }

    fn commit(&self, store: StoreId, range: StoreRange, window: Option<AddrRange>) -> HostResult {
        let work = || {
            if range.len() >= FALLOCATE_MIN {
                let mut at = range.start();
                while at < range.end() {
                    let len = FALLOCATE_MAX.min(range.end() - at);
                    retry(|| rustix::fs::fallocate(fd(&store), FallocateFlags::KEEP_SIZE, at, len))?;
                    at += len;
                }
            }
            match window {
                Some(window) => populate(window, Access::Write),
                None => populate(Alias::new(store, range)?.0, Access::Write),
            }
        };
        work().inspect_err(|_| self.unseen.store(true, Ordering::Relaxed))
    }

    fn commit_max(&self) -> u64 {
        self.memory
    }

    fn punch(&self, store: StoreId, range: StoreRange) -> HostResult {
        // To look costs half of what it costs to free nothing, but for few pages that is not worth the look.
        if range.len() >= LOOK_MIN && !self.unseen.load(Ordering::Relaxed) {
            match rustix::fs::seek(fd(&store), SeekFrom::Data(range.start())) {
                Ok(start) if start < range.end() => {}
                Ok(_) | Err(Errno::NXIO) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        retry(|| rustix::fs::fallocate(fd(&store), flags, range.start(), range.len()))
    }

    fn committed_runs(&self, store: StoreId, range: StoreRange, sink: RunSink<'_, StoreRange>) -> HostResult {
        let mut at = range.start();
        while at < range.end() {
            let start = match rustix::fs::seek(fd(&store), SeekFrom::Data(at)) {
                Ok(start) if start < range.end() => start,
                Ok(_) | Err(Errno::NXIO) => break,
                Err(errno) => return Err(errno.into()),
            };
            let end = match range.end() - start {
                PAGE_SIZE => range.end(),
                _ => rustix::fs::seek(fd(&store), SeekFrom::Hole(start))?.min(range.end()),
            };
            if end <= start {
                // Freed between the two calls.
                at = start + PAGE_SIZE;
                continue;
            }
            sink(StoreRange::from_bounds(start, end));
            at = end;
        }
        Ok(())
    }

    fn reserve(&self, len: u64) -> HostResult<AddrRange> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), len as usize, ProtFlags::empty(), flags)? };
        let range = AddrRange::from_bounds(at as u64, at as u64 + len);
        inline::add_room(range, self.sink.clone(), self.delivery == Delivery::InThread);
        Ok(range)
    }

    fn release(&self, range: AddrRange) {
        // SAFETY: the whole of a reservation, which the engine gives up.
        let _ = unsafe { rustix::mm::munmap(range.addr() as *mut _, range.len() as usize) };
        inline::remove_room(range);
    }

    fn map(&self, range: AddrRange, view: View) -> HostResult {
        match view {
            View::Held => self.restore(range, view),
            View::Store { .. } => Ok(show(range, view)?),
        }
    }

    fn restore(&self, range: AddrRange, view: View) -> HostResult {
        Ok(reserve::with(|| show(range, view))?)
    }

    fn protect(&self, range: AddrRange, prot: Prot, room: Room) -> HostResult {
        let flags = MprotectFlags::from_bits_retain(flags(prot).bits());
        // SAFETY: as in `show`.
        let call = || unsafe { rustix::mm::mprotect(range.addr() as *mut _, range.len() as usize, flags) };
        match room {
            Room::Ordinary => Ok(call()?),
            Room::Reserve => Ok(reserve::with(call)?),
        }
    }

    fn populate(&self, range: AddrRange, access: Access) -> HostResult {
        populate(range, access)
    }

    fn absent_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
        match pagemap::scan(&self.pagemap, range, sink) {
            Err(HostError::Other(libc::ENOTTY)) => pagemap::read(&self.pagemap, range, sink),
            result => result,
        }
    }

    fn serve_faults(&self, sink: Weak<dyn FaultSink>) {
        // Once, which is the contract.
        let _ = self.sink.set(sink);
    }

    fn can_watch(&self) -> HostResult {
        self.faults().map(drop)
    }

    fn wake(&self, range: AddrRange) {
        if let Ok(faults) = self.faults() {
            faults.wake(range);
        }
    }

    fn fail(&self, thread: Thread, addr: u64, error: i32) {
        if let Ok(faults) = self.faults() {
            faults.fail(thread, addr, error);
        }
    }

    fn watch(&self, range: AddrRange, what: Watch, room: Room) -> HostResult {
        let faults = self.faults()?;
        match room {
            Room::Ordinary => Ok(faults.watch(range, what)?),
            Room::Reserve => Ok(reserve::with(|| faults.watch(range, what))?),
        }
    }

    fn guard(&self, range: AddrRange) -> HostResult {
        self.faults()?.protect(range, true)
    }

    fn unguard(&self, range: AddrRange) -> HostResult {
        self.faults()?.protect(range, false)
    }

    fn unfreeze(&self, range: AddrRange) -> HostResult {
        self.faults()?.unfreeze(range)
    }

    fn drop_entries(&self, ranges: &[AddrRange]) -> HostResult {
        self.entries.drop_all(ranges)
    }

    fn unguarded_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
        pagemap::unguarded(&self.pagemap, range, sink)
    }

    fn watch_memory(&self, sink: Weak<dyn PressureSink>) -> HostResult {
        let _errno = KeepErrno::new();
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if watcher.is_none() {
            *watcher = Some(Watcher::new(pressure::ROOT.into(), sink)?);
        }
        Ok(())
    }

    fn memory_left(&self) -> HostResult<u64> {
        let _errno = KeepErrno::new();
        Ok(pressure::left_and_total(Path::new(pressure::ROOT))?.0)
    }

    fn memory_total(&self) -> HostResult<u64> {
        let _errno = KeepErrno::new();
        Ok(pressure::left_and_total(Path::new(pressure::ROOT))?.1)
    }

    fn look_at_memory(&self) {
        if let Some(watcher) = &*self.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher.look();
        }
    }

    fn is_mapped(&self, addr: usize) -> bool {
        sys::is_mapped(addr)
    }

    fn pieces(&self, range: AddrRange) -> HostResult<Vec<Piece>> {
        let io = |e: std::io::Error| HostError::Other(e.raw_os_error().unwrap_or(Errno::IO.raw_os_error()));
        let mut pieces = Vec::new();
        for line in BufReader::new(File::open("/proc/self/maps").map_err(io)?).lines() {
            let line = line.map_err(io)?;
            let malformed = || HostError::Other(Errno::PROTO.raw_os_error());
            let mut words = line.split_ascii_whitespace();
            let (bounds, perms) = (words.next().ok_or_else(malformed)?, words.next().ok_or_else(malformed)?);
            let (start, end) = bounds.split_once('-').ok_or_else(malformed)?;
            let hex = |s: &str| u64::from_str_radix(s, 16).map_err(|_| malformed());
            let whole = AddrRange::from_bounds(hex(start)?, hex(end)?);
            let Some(part) = whole.intersect(range) else { continue };
            let at = hex(words.next().ok_or_else(malformed)?)? + (part.start() - whole.start());
            let inode: u64 = words.nth(1).ok_or_else(malformed)?.parse().map_err(|_| malformed())?;
            let view = if inode == 0 && perms.starts_with("---p") {
                View::Held
            } else {
                let inodes = self.inodes.lock().unwrap_or_else(|e| e.into_inner());
                let store = inodes.iter().find(|&&(i, _)| i == inode).ok_or_else(malformed)?.1;
                let mut prot = Prot::empty();
                prot.set(Prot::READ, perms.contains('r'));
                prot.set(Prot::WRITE, perms.contains('w'));
                prot.set(Prot::EXECUTE, perms.contains('x'));
                View::Store { store, at, prot }
            };
            pieces.push(Piece { range: part, view });
        }
        Ok(pieces)
    }
}

#[cfg(all(test, not(miri)))]
mod tests;
