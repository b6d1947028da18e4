//! What zxvm asks of the operating system: typed operations, no policy.
//!
//! What every implementer keeps:
//! 1. A call that fails has changed nothing, unless its documentation says otherwise.
//! 2. A *store* is a sparse file of [`STORE_SIZE`] bytes. A page in it is either absent (reads as zero, uses no
//!    memory) or committed. [`Host::commit`] and every access that writes make pages committed, and
//!    [`Host::committed_runs`] tells exactly which ones are.
//! 3. Addresses handed to `map`, `unmap`, `protect`, `populate` and `absent_runs` lie inside one reservation made by
//!    [`Host::reserve`], in which every page is always either mapped from a store or held inaccessible: never free
//!    for others in the process to take.
//! 4. Ranges handed to a call are not empty.
//! 5. Replacing what is at an address is one step: no other thread ever sees the address free.

use core::fmt;
use core::time::Duration;
use std::sync::Weak;

use crate::addr::{AddrRange, StoreRange};
use crate::user::{UserRef, UserSlice};

/// Bytes of address in one store: the largest file offset Linux allows, in whole pages.
pub const STORE_SIZE: u64 = (1 << 63) - 4096;

/// One store. Numbers are given by the host and mean nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u32);

bitflags::bitflags! {
    /// What the processor lets a thread do with a page. Empty: nothing at all.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Prot: u8 {
        /// Loads.
        const READ = 1;
        /// Stores. Never without `READ`.
        const WRITE = 2;
        /// Instruction fetches. Never without `READ`.
        const EXECUTE = 4;
    }
}

/// What a page of a reservation shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Nothing: every access faults.
    Held,
    /// A store, from `at` (bytes) on.
    Store {
        /// Which.
        store: StoreId,
        /// Offset in the store of the first byte shown.
        at: u64,
        /// What is allowed.
        prot: Prot,
    },
}

/// A piece of address space as the host itself reports it (for audits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where.
    pub range: AddrRange,
    /// What is there.
    pub view: View,
}

/// How `populate` is to touch a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// As a load would.
    Read,
    /// As a store would, content unchanged.
    Write,
}

/// Which of the mappings that the system allows a call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Those up to the limit, less what is kept.
    Ordinary,
    /// What is kept for putting things back as well.
    Reserve,
}

/// Which accesses to a watched range wait for the [`FaultSink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Stores to guarded pages.
    Guarded,
    /// And all accesses to absent pages.
    Absent,
    /// And all accesses to pages without a page-table entry.
    Unentered,
}

/// Why an access waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is a store, and the page is guarded.
    Guarded,
    /// The page is absent.
    Absent,
    /// The page has no page-table entry.
    Unentered,
    /// One of these; the host cannot tell which. A load is not `Guarded`.
    Unknown,
    /// It waits for nothing: when it was made, the page did not allow it. That may have been so for an instant only, while
    /// something else was being shown there.
    Denied,
}

/// A thread of this process, as the host numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thread(pub u32);

/// An access that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Where, in bytes: the start of the page.
    pub page: u64,
    /// Why.
    pub reason: Wait,
    /// Whether it is a store. Known also where the reason is not.
    pub store: bool,
    /// Whose it is.
    pub thread: Thread,
}

/// What becomes of an access that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is to be tried again.
    Again,
    /// It is tried again already: its page has been let go by [`Host::unguard`].
    LetGo,
    /// It waits until [`Host::wake`] or [`Host::unguard`] of its page, or [`Host::fail`].
    Later,
    /// It cannot be done: the thread gets the signal for a bus error, with this error number, which is not 0.
    Fail(i32),
}

/// Who is asked when an access to a watched page has to wait.
pub trait FaultSink: Send + Sync + fmt::Debug {
    /// A thread waits. Called without any lock, from the host's own thread or from the one that waits. Blocks for nobody
    /// but for locks. If the answer is `Again` the thread is back here if it must wait still. The answer to `Denied` is `Again`
    /// or `Fail`.
    fn fault(&self, waiting: Waiting) -> Answer;
}

/// Who is told how much memory is left.
pub trait PressureSink: Send + Sync + fmt::Debug {
    /// `left` bytes can still be had. Called by the host's own thread, without locks: when watching begins, whenever there is
    /// a sign that memory is short or is not any more, and again after the time that is answered. `None`: only when there is a
    /// sign.
    fn memory_left(&self, left: u64) -> Option<Duration>;

    /// Amounts of memory left, in bytes, that it wants to hear of when they are crossed. Where the system can be told of
    /// amounts it is; elsewhere they change nothing. Asked once, when watching begins.
    fn marks(&self) -> Vec<u64> {
        Vec::new()
    }
}

/// Why the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No memory, or the kernel's limit on mappings.
    #[error("no memory, or too many mappings")]
    NoMemory,
    /// No more file descriptors.
    #[error("no file descriptors left")]
    NoDescriptors,
    /// The caller's buffer cannot be accessed at this address.
    #[error("the buffer cannot be accessed at {at:#x}")]
    Fault {
        /// The first byte that could not be accessed.
        at: usize,
    },
    /// The process may not make files as large as a store (`RLIMIT_FSIZE`).
    #[error("files may not be large enough")]
    FileSizeLimit,
    /// The kernel does not allow it here.
    #[error("not permitted")]
    Permission,
    /// The kernel cannot do it here: it has no such call, or keeps it from this process.
    #[error("not supported")]
    NotSupported,
    /// Anything else, as the error number Linux gave.
    #[error("the kernel said error {0}")]
    Other(i32),
}

/// Where a call stopped that keeps what it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halfway {
    /// Bytes done, from the start on.
    pub done: u64,
    /// Why it stopped.
    pub error: HostError,
}

/// Short for results of the host.
pub type HostResult<T = ()> = Result<T, HostError>;

/// Receives runs, lowest first, that never touch or overlap.
pub type RunSink<'a, R> = &'a mut dyn FnMut(R);

/// The operating system.
pub trait Host: Send + Sync + fmt::Debug {
    /// Makes an empty store.
    fn create_store(&self) -> HostResult<StoreId>;

    /// Gives a store up. What is mapped from it stays mapped. Cannot fail.
    fn close_store(&self, store: StoreId);

    /// Copies from the store into a caller's buffer. Commits nothing in the store.
    ///
    /// # Errors
    /// `Fault`: bytes before the fault have been copied.
    fn read_store(&self, store: StoreId, at: u64, to: UserSlice<'_>) -> HostResult;

    /// Copies a caller's buffer into the store, committing the pages written.
    ///
    /// # Errors
    /// `Fault`, `NoMemory`: bytes before it have been copied.
    fn write_store(&self, store: StoreId, at: u64, from: UserRef<'_>) -> HostResult;

    /// Copies `from` to the range of the store `to` that starts at `at`, all of which is absent, committing all pages there.
    ///
    /// # Errors
    /// `NoMemory`: so much of it, whole pages from the start on, has been copied; the rest is absent.
    fn copy(&self, store: StoreId, from: StoreRange, to: StoreId, at: u64) -> Result<(), Halfway>;

    /// Commits every absent page of the range; content is kept. If `window` is given, it is an address range of the
    /// same length whose pages show exactly this store range with `WRITE` allowed, none guarded: page-table entries are made
    /// there too.
    ///
    /// # Errors
    /// `NoMemory`: some pages may have been committed.
    fn commit(&self, store: StoreId, range: StoreRange, window: Option<AddrRange>) -> HostResult;

    /// The most bytes that `commit` could ever commit at once: what is more is not worth trying.
    fn commit_max(&self) -> u64;

    /// Frees every page of the range: it reads as zero afterwards, in every mapping.
    fn punch(&self, store: StoreId, range: StoreRange) -> HostResult;

    /// Reports the committed runs of the range.
    fn committed_runs(&self, store: StoreId, range: StoreRange, sink: RunSink<'_, StoreRange>) -> HostResult;

    /// Reserves `len` bytes (whole pages) of address space, all of it `Held`.
    fn reserve(&self, len: u64) -> HostResult<AddrRange>;

    /// Gives a whole reservation back. Cannot fail.
    fn release(&self, range: AddrRange);

    /// Shows `view` in the whole of `range`, in place of whatever was there. For `View::Store` the last byte is within the store.
    fn map(&self, range: AddrRange, view: View) -> HostResult;

    /// As [`Host::map`], for putting back what was there before: may draw on what the host keeps for this. (So may `map`
    /// of `View::Held`, which gives something back.)
    fn restore(&self, range: AddrRange, view: View) -> HostResult;

    /// Changes what is allowed in `range`, all of which shows stores.
    ///
    /// # Errors
    /// `NoMemory`: part may have been changed.
    fn protect(&self, range: AddrRange, prot: Prot, room: Room) -> HostResult;

    /// Makes page-table entries for the whole range, which shows stores that allow the access and has, for
    /// `Access::Write`, no guarded page. Pages that are absent become committed.
    ///
    /// # Errors
    /// `NoMemory`: some pages may have been populated.
    fn populate(&self, range: AddrRange, access: Access) -> HostResult;

    /// Reports the runs of `range` that have no page-table entry.
    fn absent_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult;

    /// Names who is asked about accesses that wait. To be called once, before the first `watch`.
    fn serve_faults(&self, sink: Weak<dyn FaultSink>);

    /// Whether accesses can be watched here at all. May start what that takes.
    ///
    /// # Errors
    /// `NotSupported`: no. Else what is missing.
    fn can_watch(&self) -> HostResult;

    /// Whoever waits with an access to a page of `range`, watched now or before, tries again.
    fn wake(&self, range: AddrRange);

    /// The thread that waits with an access to the page at `addr` gets the signal for a bus error, with the address and
    /// `error`, which is not 0, as its error number. If it handles that and returns, it tries again.
    fn fail(&self, thread: Thread, addr: u64, error: i32);

    /// From now on accesses to `range`, all of which shows stores, wait as `what` says, if they did not wait for more
    /// already. Showing something else there, by `map` or `restore`, ends the watch.
    ///
    /// # Errors
    /// `NotSupported`: this host cannot watch. `NoMemory`: part may be watched.
    fn watch(&self, range: AddrRange, what: Watch, room: Room) -> HostResult;

    /// From now on stores to the pages of `range`, which is watched, wait until `unguard`. Pages that are absent are
    /// guarded as well.
    ///
    /// # Errors
    /// `NoMemory`: part may be guarded.
    fn guard(&self, range: AddrRange) -> HostResult;

    /// Lets stores to the pages of `range` go on. May stop at the first that is not watched, with an error.
    fn unguard(&self, range: AddrRange) -> HostResult;

    /// From now on no access to `range` waits, until some page of it is guarded. Guards there end. What is not watched is
    /// left alone, or watched for guards.
    ///
    /// # Errors
    /// `NoMemory`: part may be as before.
    fn unfreeze(&self, range: AddrRange) -> HostResult;

    /// Drops the page-table entries of all `ranges`, if possible with one flush of the processors' caches of entries for all; what
    /// is committed stays so, what is guarded stays so. They may show anything by now.
    ///
    /// # Errors
    /// Those before one that is refused are done.
    fn drop_entries(&self, ranges: &[AddrRange]) -> HostResult;

    /// Reports the runs of `range` that are not guarded. For audits: slow.
    fn unguarded_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult;

    /// Whether something is mapped at this address of the process (inside or outside reservations, accessible or not).
    fn is_mapped(&self, addr: usize) -> bool;

    /// Tells `sink` how much memory is left, from now on. Starts what that takes, once: later calls add nothing.
    ///
    /// # Errors
    /// `NoMemory`, `NoDescriptors`: nothing was started; another call tries again.
    fn watch_memory(&self, sink: Weak<dyn PressureSink>) -> HostResult;

    /// Bytes that can still be had: the least of what the system and each group that this process belongs to leaves.
    ///
    /// # Errors
    /// What kept it from being read.
    fn memory_left(&self) -> HostResult<u64>;

    /// Bytes that could be had if this process had the system, and each group that it belongs to, for itself.
    ///
    /// # Errors
    /// As [`Host::memory_left`].
    fn memory_total(&self) -> HostResult<u64>;

    /// The sink of `watch_memory` is told soon how much is left. Cheap, and nothing where nobody watches.
    fn look_at_memory(&self);

    /// What is mapped in a part of a reservation, lowest first and without gaps. For audits: slow.
    fn pieces(&self, range: AddrRange) -> HostResult<Vec<Piece>>;
}
