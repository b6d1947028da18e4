//! Which pages of pagers' VMOs may be in memory, and which of them go next. Books only: nothing here touches memory.
//!
//! 1. The [`Budget`] says how many; the [`Queues`] say which one goes next; a [`Residency`] ties one VMO to both.
//! 2. Whoever makes room says so by the [relief](Reclaim::relief): who found none and is about to wait looks whether it has moved.
//!
//! The lock of the queues comes after those of the families: they are told of pages under them, and asked without.

mod budget;
pub mod page_queues;
mod residency;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, Weak};

use zxvm_host::{PAGE_SIZE, VmoRange};

use crate::lock::{Rank, Ranked, RankedGuard};

pub use budget::{BUDGET_MIN, Budget};
pub use page_queues::{Found, Hint, PageId, Queues, RootId, Standing, Urgency, Verdict};
pub use residency::{Residency, Whereabouts};

/// Who wants to know that there is room again.
pub trait RoomObserver: Send + Sync + core::fmt::Debug {
    /// There is, or there may be. Called under locks up to that of a VMO: takes only later ones, and does not block.
    fn room(&self);

    /// Something else has become of `pages` of a root, bytes: who waits for room for one of them may need none any more. Called as
    /// [`room`](Self::room) is.
    fn look_again(&self, root: RootId, pages: VmoRange);
}

/// Who wants to know that pagers should save what is dirty.
pub trait WritebackSink: Send + Sync + core::fmt::Debug {
    /// They should, or need not any more. Called under locks up to that of the queues: takes only later ones, and does not block.
    fn writeback_wanted(&self, wanted: bool);
}

/// What has been done so far, in pages.
#[derive(Debug, Default)]
pub struct Done {
    /// Taken out of memory.
    pub evicted: AtomicU64,
    /// Times that somebody had to wait, or to ask again, because nothing could be taken.
    pub starved: AtomicU64,
    /// Accesses that came to the engine.
    pub faults: AtomicU64,
    /// Brought in by pagers.
    pub supplied: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub struct Reclaim {
    /// How many pages there may be.
    pub budget: Budget,
    /// What has been done so far.
    pub done: Done,
    queues: Ranked<Queues>,
    roots: Mutex<Roots>,
    relief: AtomicU64,
    /// How many wait for room.
    waiting: AtomicU64,
    observer: OnceLock<Weak<dyn RoomObserver>>,
    /// Whether pagers should save what is dirty: changes under the lock of the queues.
    writeback: AtomicBool,
    /// Whether memory is short, whatever the budget.
    short: AtomicBool,
    sink: OnceLock<Weak<dyn WritebackSink>>,
}

/// Numbers of VMOs.
#[derive(Debug, Default)]
struct Roots {
    next: u32,
    unused: Vec<RootId>,
}

impl Default for Reclaim {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            done: Done::default(),
            queues: Ranked::new(Rank::Queues, Queues::default()),
            roots: Mutex::default(),
            relief: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            observer: OnceLock::new(),
            writeback: AtomicBool::new(false),
            short: AtomicBool::new(false),
            sink: OnceLock::new(),
        }
    }
}

impl Reclaim {
    /// Names who is told of room. To be called once.
    pub fn observe(&self, observer: Weak<dyn RoomObserver>) {
        // Once, which is the contract.
        let _ = self.observer.set(observer);
    }

    /// Names who is told when pagers should save. To be called once.
    pub fn observe_writeback(&self, sink: Weak<dyn WritebackSink>) {
        let _ = self.sink.set(sink);
    }

    /// Memory is short, or not any more.
    pub fn set_short(&self, short: bool) {
        self.short.store(short, Ordering::Relaxed);
        self.weigh(&self.queues());
    }

    /// Decides whether pagers should save: somebody waits for room, memory is short and something dirty, or half of the budget is
    /// dirty; until less than a quarter is.
    pub fn weigh(&self, queues: &Queues) {
        let (held, limit) = (queues.held(), self.budget.limit());
        let needed = self.waiting() > 0 || held > 0 && self.short.load(Ordering::Relaxed);
        let wanted = match held {
            _ if needed => true,
            held if held >= limit / 2 => true,
            held if held <= limit / 4 => false,
            _ => return,
        };
        if self.writeback.swap(wanted, Ordering::Relaxed) != wanted
            && let Some(sink) = self.sink.get().and_then(Weak::upgrade)
        {
            sink.writeback_wanted(wanted);
        }
    }

    /// The order in which pages go.
    #[track_caller]
    pub fn queues(&self) -> RankedGuard<'_, Queues> {
        self.queues.lock()
    }

    /// There may be so many pages; `u64::MAX`: any number. What is there stays for now.
    pub fn set_limit(&self, pages: u64) {
        self.budget.set_limit(pages);
        {
            let queues = &mut *self.queues();
            queues.plan_for(self.budget.limit());
            self.weigh(queues);
        }
        self.eased();
    }

    /// Moves whenever there is room that was not there before, or a page that may be taken, or something else has become of one.
    pub fn relief(&self) -> u64 {
        self.relief.load(Ordering::SeqCst)
    }

    /// Something may be taken now that could not before.
    pub fn eased(&self) {
        self.relief.fetch_add(1, Ordering::SeqCst);
        if self.waiting() > 0
            && let Some(observer) = self.observer.get().and_then(Weak::upgrade)
        {
            observer.room();
        }
    }

    /// Something else has become of pages of a root.
    fn look_again(&self, root: RootId, pages: VmoRange) {
        if pages.is_empty() {
            return;
        }
        self.relief.fetch_add(1, Ordering::SeqCst);
        if self.waiting() > 0
            && let Some(observer) = self.observer.get().and_then(Weak::upgrade)
        {
            observer.look_again(root, pages);
        }
    }

    /// So many pages have gone, or did not come.
    pub fn freed(&self, pages: u64) {
        if pages > 0 {
            self.budget.give_back(pages);
            self.eased();
        }
    }

    /// How many wait for room.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// So many more wait for room.
    pub fn waits(&self, more: u64) {
        self.waiting.fetch_add(more, Ordering::SeqCst);
    }

    /// So many do not wait any more.
    pub fn waits_no_more(&self, fewer: u64) {
        self.waiting.fetch_sub(fewer, Ordering::SeqCst);
    }

    /// For how many pages there is room, or could be.
    pub fn prospect(&self) -> u64 {
        self.budget.free().saturating_add(self.queues().takeable())
    }

    /// How many pages may be read ahead: a small part of the budget, and never at the cost of the little that there is where most
    /// of it is dirty.
    pub fn ahead(&self) -> u64 {
        const FEW: u64 = 16;
        let spare = self.queues().spare().saturating_sub(FEW) / 2;
        (self.budget.request_max() / PAGE_SIZE).min(self.budget.free().saturating_add(spare))
    }

    fn new_root(&self) -> RootId {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots.unused.pop().unwrap_or_else(|| {
            let root = RootId(roots.next);
            roots.next += 1;
            root
        })
    }

    /// A VMO is no more, and what was to be saved of it neither.
    fn forget(&self, root: RootId) {
        {
            let queues = &mut *self.queues();
            queues.forget_root(root);
            self.weigh(queues);
        }
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).unused.push(root);
    }
}
