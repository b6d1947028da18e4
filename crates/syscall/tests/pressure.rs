//! Events about memory follow what the host says is left: on the simulated machine, where tests say how much that is.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use zxvm_host::fail::{FailNth, Mode};
use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_host::{Host, HostError, PAGE_SIZE};
use zxvm_syscall::pressure::{Level, Thresholds};
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

const MIB: u64 = 1 << 20;

/// The kinds of events, by level.
const KINDS: [zx_system_event_type_t; 5] = [
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL,
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING,
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL,
    ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY,
    ZX_SYSTEM_EVENT_OUT_OF_MEMORY,
];

/// An engine on `host`, where nothing takes time to get better.
fn kernel(host: Arc<dyn Host>) -> Kernel {
    let kernel = Kernel::new(host, Config { root_len: 64 << 20, seed: 3 }).unwrap();
    kernel.set_pressure_thresholds(at_once()).unwrap();
    kernel
}

fn at_once() -> Thresholds {
    Thresholds { hysteresis: Duration::ZERO, ..Thresholds::default() }
}

fn event(kernel: &Kernel, kind: zx_system_event_type_t) -> zx_handle_t {
    let mut handle = 0;
    kernel.system_get_event(kernel.job_default(), kind, &mut handle).unwrap();
    handle
}

fn events(kernel: &Kernel) -> [zx_handle_t; 5] {
    KINDS.map(|kind| event(kernel, kind))
}

fn is_signalled(kernel: &Kernel, event: zx_handle_t) -> bool {
    let mut observed = 0;
    match kernel.object_wait_one(event, ZX_EVENT_SIGNALED, 0, &mut observed) {
        Ok(()) => true,
        Err(status) => {
            assert_eq!((status, observed), (Status::TIMED_OUT, 0));
            false
        }
    }
}

/// The levels whose events are signalled.
fn signalled(kernel: &Kernel, events: &[zx_handle_t; 5]) -> Vec<Level> {
    let all = Level::ALL.into_iter().zip(events);
    all.filter(|&(_, &event)| is_signalled(kernel, event)).map(|(level, _)| level).collect()
}

/// What is left, in MiB, and the level that it makes.
const STEPS: [(u64, Level); 9] = [
    (1000, Level::Normal),
    (299, Level::Warning),
    (149, Level::Critical),
    (59, Level::Imminent),
    (49, Level::OutOfMemory),
    (55, Level::Imminent),
    (1000, Level::Normal),
    (0, Level::OutOfMemory),
    (200, Level::Warning),
];

#[test]
fn exactly_the_event_of_the_level_is_signalled() {
    let sim = Arc::new(SimHost::default());
    let kernel = kernel(sim.clone());
    let events = events(&kernel);
    for (left, level) in STEPS {
        sim.set_memory_left(left * MIB);
        assert_eq!(signalled(&kernel, &events), [level], "{left} MiB");
        assert_eq!(kernel.pressure_level(), Ok(level), "{left} MiB");
        let looks_again = level != Level::Normal;
        assert_eq!(sim.next_look().is_some(), looks_again, "{left} MiB");
    }
}

#[test]
fn who_waits_for_an_event_is_woken_and_finds_the_others_not_signalled() {
    let sim = Arc::new(SimHost::default());
    let kernel = kernel(sim.clone());
    let events = events(&kernel);
    thread::scope(|scope| {
        let waiters = [1, 2, 3, 4].map(|level| {
            let (kernel, events) = (&kernel, &events);
            scope.spawn(move || {
                kernel.object_wait_one(events[level], ZX_EVENT_SIGNALED, ZX_TIME_INFINITE, None::<&mut u32>).unwrap();
                is_signalled(kernel, events[level - 1])
            })
        });
        // Each is woken by its own level, and only the level after it is yet to come.
        for (waiter, left) in waiters.into_iter().zip([299, 149, 59, 49]) {
            assert!(!waiter.is_finished());
            sim.set_memory_left(left * MIB);
            assert!(!waiter.join().unwrap(), "the event before is signalled with {left} MiB left");
        }
    });
}

#[test]
fn what_is_so_when_the_first_event_is_asked_for_is_signalled_already() {
    let sim = Arc::new(SimHost::default());
    sim.set_memory_left(100 * MIB);
    let kernel = kernel(sim.clone());
    let critical = event(&kernel, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL);
    assert!(is_signalled(&kernel, critical));
}

#[test]
fn getting_better_takes_its_time() {
    let sim = Arc::new(SimHost::default());
    let kernel = Kernel::new(sim.clone(), Config { root_len: 64 << 20, seed: 3 }).unwrap();
    let hysteresis = Duration::from_secs(100_000);
    kernel.set_pressure_thresholds(Thresholds { hysteresis, ..Thresholds::default() }).unwrap();
    let events = events(&kernel);
    sim.set_memory_left(100 * MIB);
    sim.set_memory_left(4000 * MIB);
    assert_eq!(signalled(&kernel, &events), [Level::Critical]);
    sim.set_memory_left(10 * MIB);
    assert_eq!(signalled(&kernel, &events), [Level::OutOfMemory]);
    assert_eq!(sim.next_look(), Some(Duration::from_secs(1)));
}

#[test]
fn nothing_is_watched_before_it_is_asked_for() {
    let sim = Arc::new(SimHost::default());
    let kernel = kernel(sim.clone());
    sim.set_memory_left(MIB);
    assert_eq!(sim.times_told(), 0);
    assert_eq!(kernel.pressure_level(), Ok(Level::OutOfMemory));
    assert_eq!(sim.times_told(), 1);
}

#[test]
fn thresholds_can_be_set_until_it_is_watched() {
    let sim = Arc::new(SimHost::default());
    let kernel = kernel(sim.clone());
    let wrong = Thresholds { warning: 1, ..at_once() };
    assert_eq!(kernel.set_pressure_thresholds(wrong), Err(Status::INVALID_ARGS));
    kernel.set_pressure_thresholds(Thresholds { warning: 1000 * MIB, ..at_once() }).unwrap();
    sim.set_memory_left(999 * MIB);
    assert_eq!(kernel.pressure_level(), Ok(Level::Warning));
    assert_eq!(kernel.set_pressure_thresholds(at_once()), Err(Status::BAD_STATE));
}

#[test]
fn a_small_machine_is_not_short_of_memory_by_itself() {
    let memory_pages_max = 256 * MIB / PAGE_SIZE;
    let sim = Arc::new(SimHost::new(SimConfig { memory_pages_max, ..SimConfig::default() }));
    let kernel = Kernel::new(sim.clone(), Config { root_len: 64 << 20, seed: 3 }).unwrap();
    assert_eq!(kernel.pressure_level(), Ok(Level::Normal));
    // 300 of 2048 are 37.5 of 256.
    sim.set_memory_left(75 * MIB / 2);
    assert_eq!(kernel.pressure_level(), Ok(Level::Normal));
    sim.set_memory_left(75 * MIB / 2 - 1);
    assert_eq!(kernel.pressure_level(), Ok(Level::Warning));
}

#[test]
fn much_that_is_committed_is_a_reason_to_look() {
    let sim = Arc::new(SimHost::default());
    let kernel = kernel(sim.clone());
    let (mut vmo, size, root) = (0, 16 * MIB, kernel.vmar_root_self());
    kernel.vmo_create(size, 0, &mut vmo).unwrap();
    let mut addr = 0;
    kernel.vmar_map(root, ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, size as usize, &mut addr).unwrap();
    let bytes = vec![1; 4 * MIB as usize];
    let commit = |size| kernel.vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, size, (&mut [][..]).into()).unwrap();
    let commit_mapped = |size| kernel.vmar_op_range(root, ZX_VMAR_OP_COMMIT, addr, size, 0, 0).unwrap();
    commit(size);
    assert_eq!(sim.times_told(), 0, "nobody watches");
    event(&kernel, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL);
    let before = sim.times_told();
    commit(4 * MIB);
    commit_mapped(4 * MIB as usize - 4096);
    kernel.vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, size, (&mut [][..]).into()).unwrap();
    assert_eq!(sim.times_told(), before);
    kernel.vmo_write(vmo, bytes[..4096].into(), 0).unwrap();
    assert_eq!(sim.times_told(), before + 1);
    kernel.vmo_write(vmo, bytes[..].into(), 0).unwrap();
    assert_eq!(sim.times_told(), before + 1);
    kernel.vmo_write(vmo, bytes[..].into(), 0).unwrap();
    assert_eq!(sim.times_told(), before + 2);
}

#[test]
fn memory_that_cannot_be_had_is_a_reason_to_look() {
    let sim = Arc::new(SimHost::new(SimConfig { memory_pages_max: 4, ..SimConfig::default() }));
    let kernel = kernel(sim.clone());
    event(&kernel, ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL);
    let (mut vmo, before) = (0, sim.times_told());
    kernel.vmo_create(5 * PAGE_SIZE, 0, &mut vmo).unwrap();
    let commit = kernel.vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 5 * PAGE_SIZE, (&mut [][..]).into());
    assert_eq!((commit, sim.times_told()), (Err(Status::NO_MEMORY), before + 1));
}

#[test]
fn a_host_that_cannot_watch_is_asked_again() {
    let sim = Arc::new(SimHost::default());
    let host = Arc::new(FailNth::new(sim.clone()));
    let kernel = kernel(host.clone());
    // Total, left, watch: any of them.
    for n in 1..=3 {
        host.arm(n, HostError::NoDescriptors, Mode::From);
        let events = events(&kernel);
        assert_eq!(signalled(&kernel, &events), [Level::Normal]);
        assert_eq!(kernel.pressure_level(), Err(Status::NO_RESOURCES));
        host.disarm();
        kernel.handle_close_many(&events).unwrap();
    }
    let events = events(&kernel);
    sim.set_memory_left(0);
    assert_eq!(signalled(&kernel, &events), [Level::OutOfMemory]);
}
