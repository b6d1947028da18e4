//! How much of what pagers provide is in memory: ours and not Zircon's.

use zerocopy::{Immutable, IntoBytes};
use zxvm_syscall::{MemoryStats, Out as _};
use zxvm_types::{Status, zx_handle_t, zx_status_t};

use super::extensions::put;
use crate::entry::{call, extensions};
use crate::user::OutPtr;

/// `ZXVM_BUDGET_NONE`.
const NONE: u64 = u64::MAX;

/// `zxvm_memory_stats_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Immutable, IntoBytes)]
pub struct Record {
    budget: u64,
    resident: u64,
    dirty: u64,
    newcomers: u64,
    proven: u64,
    need_not: u64,
    need: u64,
    supplied: u64,
    evicted: u64,
    refaulted: u64,
    faults: u64,
    starved: u64,
}

const _: () = assert!(size_of::<Record>() == 96);

impl From<MemoryStats> for Record {
    fn from(stats: MemoryStats) -> Self {
        Self {
            budget: stats.budget.unwrap_or(NONE),
            resident: stats.resident,
            dirty: stats.dirty,
            newcomers: stats.newcomers,
            proven: stats.proven,
            need_not: stats.need_not,
            need: stats.need,
            supplied: stats.supplied,
            evicted: stats.evicted,
            refaulted: stats.refaulted,
            faults: stats.faults,
            starved: stats.starved,
        }
    }
}

extensions! {
    fn set_memory_budget(bytes: u64) -> zx_status_t {
        call(|kernel| kernel.set_memory_budget((bytes != NONE).then_some(bytes)))
    }

    fn get_memory_stats(stats: *mut Record) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let to = unsafe { OutPtr::required(stats) };
            to.put(Record::from(kernel.memory_stats())).map_err(|_| Status::INVALID_ARGS)
        })
    }

    fn reclaim(bytes: u64, taken: *mut u64) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            let to = unsafe { OutPtr::optional(taken) };
            put(to, 0)?;
            put(to, kernel.reclaim(bytes))
        })
    }

    fn writeback_event(out: *mut zx_handle_t) -> zx_status_t {
        call(|kernel| {
            // SAFETY: the caller's promise.
            kernel.writeback_event(unsafe { OutPtr::required(out) })
        })
    }
}
