//! The two queues of a ring, in memory that the kernel shares with us.
//!
//! 1. Entries go out in `sqes`; the slot of each follows from the tail, since `array` is the identity, written once. Results come
//!    back in the other queue.
//! 2. Heads and tails only grow, and wrap. The kernel moves the head of entries and the tail of results; we move the others.
//! 3. Every entry that the kernel has taken gives exactly one result. So what it has taken, less the results we have seen, is
//!    under way. That is never more than the ring is deep, and there is room for twice as many results: none is lost.
//! 4. The kernel looks at entries inside [`Queues::enter`] only. What it has not taken can be taken back.

use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::linux::sys::KeepErrno;

/// Beyond what is asked for: fewer if there may not be so many; all of a batch, whatever becomes of its first; no interrupts
/// for results, which are fetched. The last is from Linux 5.19.
const SETUP: u32 = 1 << 4 | 1 << 7 | 1 << 8;
/// `IORING_FEAT_SINGLE_MMAP`, `IORING_FEAT_NODROP`.
const NEEDED: u32 = 1 << 0 | 1 << 1;
/// `IORING_ENTER_GETEVENTS`.
const GET_EVENTS: u32 = 1;
/// `IORING_OFF_SQ_RING`, `IORING_OFF_SQES`.
const QUEUES_AT: u64 = 0;
const ENTRIES_AT: u64 = 0x1000_0000;

/// `struct io_sqring_offsets`.
#[repr(C)]
#[derive(Debug, Default)]
struct EntryOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_cqring_offsets`.
#[repr(C)]
#[derive(Debug, Default)]
struct CompletionOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Debug, Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq_off: EntryOffsets,
    cq_off: CompletionOffsets,
}

/// `struct io_uring_sqe`, for reads and writes.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Entry {
    pub opcode: u8,
    pub flags: u8,
    pub ioprio: u16,
    pub fd: i32,
    pub off: u64,
    pub addr: u64,
    pub len: u32,
    pub rw_flags: u32,
    pub user_data: u64,
    pub rest: [u64; 3],
}

impl Entry {
    /// `IORING_OP_READ`.
    pub const READ: u8 = 22;
    /// `IORING_OP_WRITE`.
    pub const WRITE: u8 = 23;
}

/// `struct io_uring_cqe`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    pub user_data: u64,
    pub res: i32,
    pub flags: u32,
}

const _: () = assert!(size_of::<Params>() == 120 && size_of::<Entry>() == 64 && size_of::<Completion>() == 16);

/// Memory shared with the kernel, and with no child.
#[derive(Debug)]
struct Shared {
    addr: usize,
    len: usize,
}

impl Shared {
    fn new(ring: &OwnedFd, at: u64, len: usize) -> rustix::io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { rustix::mm::mmap(core::ptr::null_mut(), len, prot, flags, ring.as_fd(), at)? };
        let shared = Self { addr: base.expose_provenance(), len };
        // SAFETY: changes what children get of it, and no content.
        unsafe { rustix::mm::madvise(base, len, Advice::LinuxDontFork)? };
        Ok(shared)
    }

    /// Where the `index`th `T` is, from `offset` bytes on.
    fn at<T>(&self, offset: u32, index: u32) -> *mut T {
        let start = offset as usize + index as usize * size_of::<T>();
        assert!(start.is_multiple_of(align_of::<T>()) && start + size_of::<T>() <= self.len);
        core::ptr::with_exposed_provenance_mut(self.addr + start)
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: inside and aligned (`at`), mapped as long as `self` is, and accessed atomically by all, the kernel too.
        unsafe { AtomicU32::from_ptr(self.at(offset, 0)) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: made in `new`. References into it lived no longer than `self`.
            let _ = unsafe { rustix::mm::munmap(core::ptr::with_exposed_provenance_mut(self.addr), self.len) };
        }
    }
}

/// A ring's descriptor and its queues.
#[derive(Debug)]
pub struct Queues {
    // Unmapped before the descriptor is closed.
    heads: Shared,
    sqes: Shared,
    ring: OwnedFd,
    params: Params,
    /// Entries made, and results seen, since the beginning.
    made: u32,
    seen: u32,
}

impl Queues {
    /// # Errors
    /// What the kernel says. `EINVAL`: it does not know what is needed here.
    pub fn new(depth: u32) -> rustix::io::Result<Self> {
        let mut params = Params { flags: SETUP, ..Params::default() };
        let ring = setup(depth, &mut params)?;
        if params.features & NEEDED != NEEDED {
            return Err(Errno::INVAL);
        }
        let entries_end = params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>();
        let results_end = params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<Completion>();
        let heads = Shared::new(&ring, QUEUES_AT, entries_end.max(results_end))?;
        let sqes = Shared::new(&ring, ENTRIES_AT, params.sq_entries as usize * size_of::<Entry>())?;
        for index in 0..params.sq_entries {
            heads.word(params.sq_off.array + index * size_of::<u32>() as u32).store(index, Ordering::Relaxed);
        }
        Ok(Self { heads, sqes, ring, params, made: 0, seen: 0 })
    }

    /// How many entries the kernel has taken.
    fn taken(&self) -> u32 {
        self.heads.word(self.params.sq_off.head).load(Ordering::Acquire)
    }

    /// Taken, and without a result that we have seen.
    pub fn in_flight(&self) -> u32 {
        self.taken().wrapping_sub(self.seen)
    }

    /// Made, and without a result that we have seen.
    pub fn open(&self) -> u32 {
        self.made.wrapping_sub(self.seen)
    }

    /// Whether one more may be made.
    pub fn has_room(&self) -> bool {
        self.open() < self.params.sq_entries
    }

    /// Adds an entry, for which there must be room.
    ///
    /// # Safety
    /// The memory that it names is the kernel's, to read or to write as the entry says, until its result is seen or it is
    /// [taken back](Self::take_back).
    pub unsafe fn push(&mut self, entry: Entry) {
        assert!(self.has_room());
        let slot = self.sqes.at::<Entry>(0, self.made & (self.params.sq_entries - 1));
        // SAFETY: the slot is inside and aligned (`at`). Whatever was in it has a result, since no more are open than there are
        // slots, so the kernel looks at it only after the tail tells it to.
        unsafe { slot.write(entry) };
        self.made = self.made.wrapping_add(1);
        self.heads.word(self.params.sq_off.tail).store(self.made, Ordering::Release);
    }

    /// Takes back what the kernel has not taken.
    pub fn take_back(&mut self) {
        self.made = self.taken();
        self.heads.word(self.params.sq_off.tail).store(self.made, Ordering::Release);
    }

    /// Hands over what was added, and waits for `results`, of those under way then. May do less of both.
    ///
    /// # Errors
    /// What the kernel says. Of what was added some may be taken all the same.
    pub fn enter(&self, results: u32) -> rustix::io::Result<()> {
        let _errno = KeepErrno::new();
        let added = self.made.wrapping_sub(self.taken());
        let none = core::ptr::null::<libc::sigset_t>();
        // SAFETY: what entries name was allowed for by `push`; there is no set of signals.
        let said = unsafe {
            let ring = self.ring.as_raw_fd();
            libc::syscall(libc::SYS_io_uring_enter, ring, added, results, GET_EVENTS, none, 0_usize)
        };
        if said < 0 { Err(Errno::from_raw_os_error(KeepErrno::get())) } else { Ok(()) }
    }

    /// The next result.
    pub fn pop(&mut self) -> Option<Completion> {
        let offsets = &self.params.cq_off;
        if self.heads.word(offsets.tail).load(Ordering::Acquire) == self.seen {
            return None;
        }
        let slot = self.heads.at::<Completion>(offsets.cqes, self.seen & (self.params.cq_entries - 1));
        // SAFETY: inside and aligned (`at`). The tail says that the kernel has written it, and it writes there again only after
        // the head tells it to.
        let completion = unsafe { slot.read() };
        self.seen = self.seen.wrapping_add(1);
        self.heads.word(self.params.cq_off.head).store(self.seen, Ordering::Release);
        Some(completion)
    }

    /// Gives nothing back but the descriptor: there is nothing mapped here.
    pub fn forget(&mut self) {
        (self.heads.len, self.sqes.len) = (0, 0);
    }

    /// Where the queues are, and the descriptor's number.
    #[cfg(all(test, not(miri)))]
    pub fn places(&self) -> ([usize; 2], i32) {
        ([self.heads.addr, self.sqes.addr], self.ring.as_raw_fd())
    }
}

fn setup(depth: u32, params: &mut Params) -> rustix::io::Result<OwnedFd> {
    let _errno = KeepErrno::new();
    // SAFETY: reads and writes one `struct io_uring_params`, which `params` is.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, depth.max(1), &raw mut *params) };
    match i32::try_from(ring) {
        // SAFETY: a new descriptor that is nobody else's; the kernel has set close-on-exec.
        Ok(ring @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(ring) }),
        Ok(_) | Err(_) => Err(Errno::from_raw_os_error(KeepErrno::get())),
    }
}
