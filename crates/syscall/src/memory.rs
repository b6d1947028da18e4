//! How much of what pagers provide is in memory. Not calls of Zircon's, where the system decides that alone.

use std::sync::Arc;

use zxvm_host::PAGE_SIZE;
use zxvm_object::{Event, Koids, Object};
use zxvm_types::*;
use zxvm_vm::{MemoryStats, WritebackSink};

use crate::kernel::Kernel;
use crate::out::Out;

/// The event that is signalled while pagers should save what is dirty.
#[derive(Debug)]
pub struct WritebackEvent(Arc<Event>);

impl WritebackEvent {
    /// Not signalled yet.
    pub fn new(koids: &Koids) -> Self {
        Self(Arc::new(Event::new(koids.next())))
    }
}

impl WritebackSink for WritebackEvent {
    fn writeback_wanted(&self, wanted: bool) {
        let (clear, set) = if wanted { (0, ZX_EVENT_SIGNALED) } else { (ZX_EVENT_SIGNALED, 0) };
        Object::Event(self.0.clone()).base().signals().update(clear, set);
    }
}

/// What `ZXVM_BUDGET` says: bytes, with `K`, `M`, `G` or `T` for powers of 1,024.
pub fn budget_of(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "m" | "MiB" => 1 << 20,
        "G" | "g" | "GiB" => 1 << 30,
        "T" | "t" | "TiB" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

impl Kernel {
    /// Limits how much of what pagers provide is in memory, in bytes, rounded down to pages; `None`: not at all. What is there
    /// beyond it goes now, and what has to be saved first as soon as it is. Until then accesses that need room wait.
    ///
    /// # Errors
    /// `INVALID_ARGS`: less than 256 KiB.
    pub fn set_memory_budget(&self, bytes: Option<u64>) -> Result<(), Status> {
        self.space.set_budget(bytes)
    }

    /// How much of what pagers provide may be in memory, in bytes; `None`: any amount.
    pub fn memory_budget(&self) -> Option<u64> {
        self.space.budget()
    }

    /// How much of what pagers provide is in memory, and what has become of it.
    pub fn memory_stats(&self) -> MemoryStats {
        self.space.memory_stats()
    }

    /// Takes about so many bytes of clean pages of pagers' VMOs out of memory, whichever turn it is, in use or not. Answers how many.
    pub fn reclaim(&self, bytes: u64) -> u64 {
        self.space.take_pages(bytes / PAGE_SIZE) * PAGE_SIZE
    }

    /// Begins a new generation of ages of pagers' pages, after noting which were used in the one that ends. Whoever gives memory back
    /// when it is short does that by itself; this is for measuring, and for who knows better when one ends.
    pub fn age_pass(&self) {
        self.space.age_pass();
    }

    /// A handle to the event that is signalled while pagers should save what is dirty: half of the budget is, or somebody waits for
    /// room, or memory is short. To be waited for, and not to be signalled.
    ///
    /// # Errors
    /// `INVALID_ARGS` (`out`), `NO_MEMORY`.
    pub fn writeback_event(&self, out: impl Out<zx_handle_t>) -> Result<(), Status> {
        let event = Object::Event(self.writeback.0.clone());
        self.give(event, ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS, out).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_have_units() {
        let read = ["64M", "262144", "2GiB", "1T", "7k"].map(|text| budget_of(text).unwrap());
        assert_eq!(read, [64 << 20, 262_144, 2 << 30, 1 << 40, 7 << 10]);
        for wrong in ["", "M", "64X", "-1", "1.5G", "99999999999999999999", "20000000T"] {
            assert_eq!(budget_of(wrong), None, "{wrong}");
        }
    }
}
