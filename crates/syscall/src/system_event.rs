//! How short memory is: the level, the events that tell it, and what is to be done about it.
//!
//! 1. Exactly one of the events is signalled, the one of the level. While the level changes none may be, for an instant; never
//!    two. Who is woken by one finds the others not signalled.
//! 2. Nothing is watched before somebody asks for an event or for the level, or has something that may be taken: a VMO of a pager, or a
//!    discardable one. From then on the host tells what is left, and
//!    nobody looks while there is enough.
//! 3. The level and the events change together, behind `Rank::Pressure`. What is to be done about a level is done after that, without
//!    any lock, by the host's own thread.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock, Weak};

use zxvm_host::{Host, HostResult, PressureSink};
use zxvm_object::{Event, Handle, Koids, Object};
use zxvm_types::*;
use zxvm_vm::AddressSpace;
use zxvm_vm::lock::{Rank, Ranked};
use zxvm_vm::pressure::{Level, Levels, Thresholds};

use crate::kernel::{Kernel, require};
use crate::out::Out;
use crate::relief::Relief;
use crate::system;

/// What there are events of.
const KINDS: [(zx_system_event_type_t, Level); 5] = [
    (ZX_SYSTEM_EVENT_OUT_OF_MEMORY, Level::OutOfMemory),
    (ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL, Level::Critical),
    (ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING, Level::Warning),
    (ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL, Level::Normal),
    (ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY, Level::Imminent),
];

/// Bytes committed by calls after which it is time to look what is left: less than from one threshold to the next.
const LOOK_AFTER: u64 = 8 << 20;

/// How short memory is, for whoever only looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PressureReading {
    /// The level; where nobody watches memory, the one that what is left makes.
    pub level: Level,
    /// Bytes that can still be had.
    pub left: u64,
    /// Bytes that there are in all.
    pub total: u64,
}

/// One event of each kind, and the level.
pub struct SystemEvents {
    events: [(Level, zx_system_event_type_t, Object); KINDS.len()],
    watch: Ranked<Watch>,
    /// What is done about it.
    relief: Relief,
    /// Set once the host tells what is left.
    watching: OnceLock<()>,
    /// Bytes committed by calls since somebody looked, about.
    committed: AtomicU64,
}

/// What decides on the level.
#[derive(Debug, Default)]
struct Watch {
    /// Those the program wants, whatever there is in all.
    thresholds: Option<Thresholds>,
    /// There from the first observation on.
    levels: Option<Levels>,
}

impl SystemEvents {
    /// With no pressure, and nobody watching. Memory is to be had from `space`.
    pub fn new(koids: &Koids, space: &Arc<AddressSpace>) -> Self {
        let events = KINDS.map(|(kind, level)| {
            let event = Object::Event(Arc::new(Event::new(koids.next())));
            if level == Level::Normal {
                event.base().signals().update(0, ZX_EVENT_SIGNALED);
            }
            (level, kind, event)
        });
        let watch = Ranked::new(Rank::Pressure, Watch::default());
        let relief = Relief::new(Arc::downgrade(space));
        Self { events, watch, relief, watching: OnceLock::new(), committed: AtomicU64::new(0) }
    }

    fn of(&self, kind: zx_system_event_type_t) -> Option<&Object> {
        self.events.iter().find(|event| event.1 == kind).map(|event| &event.2)
    }

    /// `left` bytes are left at the moment `now`. The level from now on, and what decides on it.
    fn observe(&self, left: u64, now: Duration) -> Option<Levels> {
        let mut watch = self.watch.lock();
        // Begun when watching was. Without it there is nothing that the amount could be measured by.
        let levels = watch.levels.as_mut()?;
        let before = levels.level();
        let level = levels.observe(left, now);
        if level != before {
            let signals = |of: Level| {
                let event = self.events.iter().find(|event| event.0 == of);
                event.expect("there is an event of every level").2.base().signals()
            };
            signals(before).update(ZX_EVENT_SIGNALED, 0);
            signals(level).update(0, ZX_EVENT_SIGNALED);
        }
        Some(levels.clone())
    }

    /// Begins with thresholds that suit the host, unless the program has its own.
    fn begin(&self, host: &dyn Host) -> HostResult {
        let total = host.memory_total()?;
        let watch = &mut *self.watch.lock();
        watch
            .levels
            .get_or_insert_with(|| Levels::new(watch.thresholds.unwrap_or_else(|| Thresholds::for_total(total))));
        Ok(())
    }
}

impl PressureSink for SystemEvents {
    fn memory_left(&self, left: u64) -> Option<Duration> {
        let now = now();
        let levels = self.observe(left, now)?;
        self.relief.act(levels.level(), left, levels.thresholds(), now);
        levels.next_look(left)
    }

    fn marks(&self) -> Vec<u64> {
        let watch = self.watch.lock();
        let Some(levels) = &watch.levels else { return Vec::new() };
        let [warning, ..] = levels.thresholds().marks();
        // Where looking every second begins, too.
        levels.thresholds().marks().into_iter().chain([warning.saturating_mul(2)]).collect()
    }
}

fn now() -> Duration {
    Duration::from_nanos(u64::try_from(system::clock_get_monotonic()).unwrap_or(0))
}

impl fmt::Debug for SystemEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemEvents").field("watch", &self.watch).field("relief", &self.relief).finish_non_exhaustive()
    }
}

impl Kernel {
    /// A handle to the event of this kind: to be waited for, and not to be signalled. From the first call on it is watched how
    /// much memory is left.
    ///
    /// Where the host cannot tell (no descriptors or threads are left, say) the event is the one it would be; the next call
    /// tries again.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (`ZX_SYSTEM_EVENT_OUT_OF_MEMORY` needs `MANAGE_PROCESS`; the one job
    /// that exists is the root), `INVALID_ARGS` (kind; `out`), `NO_MEMORY`.
    ///
    /// Source: abi.md §12, pager.md §10.
    pub fn system_get_event(
        &self,
        root_job: zx_handle_t,
        kind: zx_system_event_type_t,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let Handle { object, rights } = self.handles.get(root_job)?;
        let Object::Job(_) = object else { return Err(Status::WRONG_TYPE) };
        if kind == ZX_SYSTEM_EVENT_OUT_OF_MEMORY {
            require(rights, ZX_RIGHT_MANAGE_PROCESS)?;
        }
        let event = self.system_events.of(kind).ok_or(Status::INVALID_ARGS)?;
        let _ = self.watch_memory();
        self.give(event.clone(), ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS, out).map(drop)
    }

    /// How short memory is. Looks, and has it watched from now on.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`, `INTERNAL`: the host cannot tell.
    pub fn pressure_level(&self) -> Result<Level, Status> {
        self.watch_memory().map_err(zxvm_vm::status)?;
        let left = self.host().memory_left().map_err(zxvm_vm::status)?;
        Ok(self.system_events.observe(left, now()).map_or(Level::Normal, |levels| levels.level()))
    }

    /// How short memory is. Changes nothing: no level, and not whether memory is watched. `None`: the host cannot tell.
    pub(crate) fn pressure_reading(&self) -> Option<PressureReading> {
        let (left, total) = (self.host().memory_left().ok()?, self.host().memory_total().ok()?);
        let watch = self.system_events.watch.lock();
        let level = match &watch.levels {
            Some(levels) => levels.level(),
            None => watch.thresholds.unwrap_or_else(|| Thresholds::for_total(total)).level(left),
        };
        Some(PressureReading { level, left, total })
    }

    /// Says where levels begin, whatever there is in all and whatever the environment says (`ZXVM_PRESSURE`).
    ///
    /// # Errors
    /// `INVALID_ARGS`: they do not descend. `BAD_STATE`: it is too late, memory is watched already.
    pub fn set_pressure_thresholds(&self, thresholds: Thresholds) -> Result<(), Status> {
        if !thresholds.descend() {
            return Err(Status::INVALID_ARGS);
        }
        let mut watch = self.system_events.watch.lock();
        if watch.levels.is_some() {
            return Err(Status::BAD_STATE);
        }
        watch.thresholds = Some(thresholds);
        Ok(())
    }

    /// Has the host tell how much memory is left, from now on.
    ///
    /// # Errors
    /// What the host says. Another call tries again.
    pub(crate) fn watch_memory(&self) -> HostResult {
        let events = &self.system_events;
        if events.watching.get().is_some() {
            return Ok(());
        }
        let host = self.host();
        events.begin(&**host)?;
        // What is so already is so before anybody has the event.
        events.observe(host.memory_left()?, now());
        let sink: Weak<SystemEvents> = Arc::downgrade(events);
        host.watch_memory(sink)?;
        let _ = events.watching.set(());
        Ok(())
    }

    /// A call has committed so many bytes, or could not: passes its result on. Whoever watches memory looks now and then while
    /// there is much of that, and at once where there was none to be had.
    pub(crate) fn committed(&self, bytes: u64, result: Result<(), Status>) -> Result<(), Status> {
        let events = &self.system_events;
        if events.watching.get().is_some() {
            let since = events.committed.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
            if since >= LOOK_AFTER || result == Err(Status::NO_MEMORY) {
                events.committed.store(0, Ordering::Relaxed);
                self.host().look_at_memory();
            }
        }
        result
    }
}
