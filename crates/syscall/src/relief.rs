//! What is done when memory is short: ages, discardable VMOs, clean pages of pagers' VMOs, and pagers that are told to save.
//!
//! 1. Generations of ages begin every [`GENERATION`] while memory is short or nearly so, more often once it is nearly gone. With enough
//!    memory nothing is looked at.
//! 2. From `Critical` on the oldest two of eight generations go, as far as is needed to be out of `Warning`; near the end all
//!    but the newest two, also what is always needed.
//!
//! Called by the host's own thread, without locks, each time it has looked how much is left.

use core::time::Duration;
use std::sync::{Mutex, PoisonError, Weak};

use zxvm_host::PAGE_SIZE;
use zxvm_vm::AddressSpace;
use zxvm_vm::pressure::{Level, Thresholds};

/// How long a generation of ages lasts.
pub const GENERATION: Duration = Duration::from_secs(5);

/// The same once memory is nearly gone.
const GENERATION_LAST: Duration = Duration::from_secs(1);

/// Passes after which a page is in the oldest two of eight generations.
const OLD: u32 = 6;

/// Passes after which a page is not in the newest two.
const INACTIVE: u32 = 2;

/// See the module.
#[derive(Debug)]
pub struct Relief {
    space: Weak<AddressSpace>,
    /// When the generation that is now began.
    since: Mutex<Option<Duration>>,
}

impl Relief {
    /// By taking from `space`.
    pub fn new(space: Weak<AddressSpace>) -> Self {
        Self { space, since: Mutex::new(None) }
    }

    /// `left` bytes are left at the moment `now`, and that is `level`. Answers how many pages were taken.
    pub fn act(&self, level: Level, left: u64, thresholds: &Thresholds, now: Duration) -> u64 {
        let Some(space) = self.space.upgrade() else { return 0 };
        let near = left < thresholds.warning.saturating_mul(2);
        self.age(&space, level, near, now);
        let wanted = thresholds.warning.saturating_add(thresholds.debounce).saturating_sub(left).div_ceil(PAGE_SIZE);
        match level {
            Level::Normal | Level::Warning => {
                space.set_short(false);
                0
            }
            Level::Critical => {
                space.set_short(true);
                space.take_aged(wanted, OLD, false)
            }
            Level::Imminent | Level::OutOfMemory => {
                space.set_short(true);
                space.take_aged(wanted, INACTIVE, true)
            }
        }
    }

    fn age(&self, space: &AddressSpace, level: Level, near: bool, now: Duration) {
        let generation = match level {
            Level::Normal if !near => {
                *self.since.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return;
            }
            Level::Normal | Level::Warning | Level::Critical => GENERATION,
            Level::Imminent | Level::OutOfMemory => GENERATION_LAST,
        };
        let is_time = {
            let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
            let is_time = since.is_none_or(|since| now.saturating_sub(since) >= generation);
            if is_time {
                *since = Some(now);
            }
            is_time
        };
        if is_time {
            space.age_pass();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kernel::{Config, Kernel};
    use zxvm_host::sim::SimHost;
    use zxvm_types::*;

    const MIB: u64 = 1 << 20;

    struct Machine {
        kernel: Kernel,
        relief: Relief,
        seconds: std::cell::Cell<u64>,
        pager: zx_handle_t,
        vmo: zx_handle_t,
    }

    impl Machine {
        /// With a pager VMO of so many pages, all there.
        fn new(pages: u64) -> Self {
            let kernel = Kernel::new(Arc::new(SimHost::default()), Config { root_len: 64 << 20, seed: 3 }).unwrap();
            let relief = Relief::new(Arc::downgrade(&kernel.space));
            let (mut pager, mut port, mut vmo, mut aux) = (0, 0, 0, 0);
            let len = pages * PAGE_SIZE;
            kernel.pager_create(0, &mut pager).unwrap();
            kernel.port_create(0, &mut port).unwrap();
            kernel.pager_create_vmo(pager, 0, port, 1, len, &mut vmo).unwrap();
            kernel.vmo_create(len, 0, &mut aux).unwrap();
            kernel.vmo_op_range(aux, ZX_VMO_OP_COMMIT, 0, len, (&mut [0_u8; 0][..]).into()).unwrap();
            kernel.pager_supply_pages(pager, vmo, 0, len, aux, 0).unwrap();
            kernel.handle_close(aux).unwrap();
            Self { kernel, relief, seconds: std::cell::Cell::new(1000), pager, vmo }
        }

        /// So many seconds go by with so much left.
        fn goes_by(&self, seconds: u64, level: Level, left: u64) -> u64 {
            let act = |_| {
                self.seconds.set(self.seconds.get() + 1);
                self.relief.act(level, left, &Thresholds::default(), Duration::from_secs(self.seconds.get()))
            };
            (0..seconds).map(act).sum()
        }

        fn resident(&self) -> u64 {
            self.kernel.memory_stats().resident / PAGE_SIZE
        }

        fn hint(&self, op: u32, from: u64, to: u64) {
            let none = (&mut [0_u8; 0][..]).into();
            self.kernel.vmo_op_range(self.vmo, op, from * PAGE_SIZE, (to - from) * PAGE_SIZE, none).unwrap();
        }
    }

    #[test]
    fn only_what_is_old_goes_at_ordinary_pressure() {
        let machine = Machine::new(100);
        assert_eq!(machine.goes_by(100, Level::Normal, 4000 * MIB), 0);
        assert_eq!(machine.goes_by(25, Level::Critical, 140 * MIB), 0, "nothing is known to be old");
        // A generation is five seconds.
        assert_eq!(machine.goes_by(10, Level::Critical, 140 * MIB), 100);
        assert_eq!(machine.resident(), 0);
        machine.kernel.audit();
    }

    #[test]
    fn ages_are_known_when_it_gets_serious_if_it_was_near() {
        let machine = Machine::new(100);
        assert_eq!(machine.goes_by(40, Level::Normal, 500 * MIB), 0);
        assert_eq!(machine.goes_by(1, Level::Warning, 200 * MIB), 0);
        assert_eq!(machine.goes_by(1, Level::Critical, 140 * MIB), 100);
    }

    #[test]
    fn no_more_goes_than_is_wanted() {
        let machine = Machine::new(1000);
        machine.goes_by(40, Level::Warning, 200 * MIB);
        let left = 301 * MIB - 100 * PAGE_SIZE;
        let gone = machine.goes_by(1, Level::Critical, left);
        assert!((100..200).contains(&gone), "{gone}");
    }

    #[test]
    fn what_is_always_needed_goes_only_at_the_last() {
        let machine = Machine::new(100);
        machine.hint(ZX_VMO_OP_ALWAYS_NEED, 0, 10);
        machine.hint(ZX_VMO_OP_DONT_NEED, 50, 60);
        assert_eq!(machine.goes_by(1, Level::Critical, 140 * MIB), 10, "what is not needed goes whatever its age");
        machine.goes_by(60, Level::Critical, 140 * MIB);
        assert_eq!(machine.resident(), 10);
        machine.goes_by(1, Level::Imminent, 55 * MIB);
        assert_eq!(machine.resident(), 0);
    }

    #[test]
    fn a_discardable_vmo_goes_once_it_has_been_unlocked_for_long() {
        let machine = Machine::new(1);
        let (kernel, mut vmo) = (&machine.kernel, 0);
        let len = 16 * PAGE_SIZE;
        let op = |vmo, op| kernel.vmo_op_range(vmo, op, 0, len, (&mut [0_u8; 32][..]).into());
        kernel.vmo_create(len, ZX_VMO_DISCARDABLE, &mut vmo).unwrap();
        op(vmo, ZX_VMO_OP_COMMIT).unwrap();
        machine.goes_by(60, Level::Critical, 140 * MIB);
        op(vmo, ZX_VMO_OP_TRY_LOCK).unwrap();
        machine.goes_by(60, Level::Critical, 140 * MIB);
        op(vmo, ZX_VMO_OP_UNLOCK).unwrap();
        assert_eq!(machine.goes_by(25, Level::Critical, 140 * MIB), 0);
        op(vmo, ZX_VMO_OP_TRY_LOCK).unwrap();
        op(vmo, ZX_VMO_OP_UNLOCK).unwrap();
        assert_eq!(machine.goes_by(25, Level::Critical, 140 * MIB), 0, "unlocked for the second time");
        assert_eq!(machine.goes_by(10, Level::Critical, 140 * MIB), 16);
        assert_eq!(op(vmo, ZX_VMO_OP_TRY_LOCK), Err(Status::UNAVAILABLE));
        kernel.audit();
    }

    #[test]
    fn pagers_are_told_to_save_while_memory_is_short() {
        let machine = Machine::new(10);
        let (kernel, mut event) = (&machine.kernel, 0);
        kernel.writeback_event(&mut event).unwrap();
        let is_wanted = || {
            let mut observed = 0;
            kernel.object_wait_one(event, ZX_EVENT_SIGNALED, 0, &mut observed).is_ok()
        };
        machine.goes_by(1, Level::Critical, 140 * MIB);
        assert!(!is_wanted(), "nothing is dirty");
        kernel.vmo_write(machine.vmo, (&[1_u8][..]).into(), 0).unwrap();
        assert!(is_wanted());
        for op in [ZX_PAGER_OP_WRITEBACK_BEGIN, ZX_PAGER_OP_WRITEBACK_END] {
            kernel.pager_op_range(machine.pager, op, machine.vmo, 0, PAGE_SIZE, 0).unwrap();
        }
        assert!(!is_wanted());
        kernel.vmo_write(machine.vmo, (&[1_u8][..]).into(), 0).unwrap();
        machine.goes_by(1, Level::Normal, 4000 * MIB);
        assert!(!is_wanted(), "memory is not short any more");
    }
}
