//! Windows on the simulated machine: what is dropped, retired or refused.

use std::sync::Arc;

use zxvm_host::fail::{FailNth, Mode};
use zxvm_host::sim::SimHost;
use zxvm_host::user::UserRef;
use zxvm_host::{Host, HostError};

use super::*;

const P: u64 = 4096;

fn write(set: &StoreSet, window: &Window, at: u64) {
    set.host().write_store(window.store(), window.offset(at), UserRef::from(&[1_u8][..])).unwrap();
}

#[test]
fn a_dropped_window_is_zero_when_its_range_is_used_again() {
    let sim = Arc::new(SimHost::default());
    let set = StoreSet::new(sim.clone());
    for _ in 0..3 * SPREAD {
        let window = set.window(2 * P).unwrap();
        write(&set, &window, P);
        assert_eq!(sim.memory_pages(), 1);
        drop(window);
        assert_eq!(sim.memory_pages(), 0);
        set.audit();
    }
    assert_eq!(sim.store_count(), SPREAD);
}

#[test]
fn what_the_host_would_not_free_waits_and_is_not_reused() {
    let sim = Arc::new(SimHost::default());
    let failing = Arc::new(FailNth::new(sim.clone()));
    let set = StoreSet::new(failing.clone());
    let window = set.window(P).unwrap();
    let (store, at) = (window.store(), window.offset(0));
    write(&set, &window, 0);
    failing.arm(1, HostError::NoMemory, Mode::Once);
    drop(window);
    assert_eq!(sim.memory_pages(), 1);
    failing.disarm();
    for _ in 0..SPREAD {
        let next = set.window(P).unwrap();
        let mut byte = [7];
        sim.read_store(next.store(), next.offset(0), byte[..].as_mut().into()).unwrap();
        assert_eq!(byte, [0], "{store:?} {at}");
    }
    assert_eq!(sim.memory_pages(), 0);
    set.audit();
}

#[test]
fn a_late_write_to_a_retired_tail_is_freed() {
    let sim = Arc::new(SimHost::default());
    let set = StoreSet::new(sim.clone());
    let window = set.window(4 * P).unwrap();
    for page in 0..4 {
        write(&set, &window, page * P);
    }
    window.retire(2 * P);
    assert_eq!(sim.memory_pages(), 2);
    write(&set, &window, 3 * P);
    window.settle(4 * P);
    assert_eq!(sim.memory_pages(), 2);
}

#[test]
fn few_descriptors_are_enough_for_any_number_of_windows() {
    let sim = Arc::new(SimHost::default());
    let set = StoreSet::new(sim.clone());
    let windows: Vec<_> = (0..1000).map(|i| set.window(if i % 10 == 0 { WIDE_MIN } else { P }).unwrap()).collect();
    assert!(sim.store_count() <= 2 * SPREAD);
    drop(windows);
    set.audit();
}

#[test]
fn data_of_one_window_never_runs_into_the_next() {
    let set = StoreSet::new(Arc::new(SimHost::default()));
    let windows: Vec<_> = (0..4 * SPREAD).map(|_| set.window(2 * P).unwrap()).collect();
    for window in &windows {
        write(&set, window, 0);
        write(&set, window, P);
    }
    for window in &windows {
        let (mut runs, all) = (Vec::new(), StoreRange::from_bounds(0, zxvm_host::STORE_SIZE));
        set.host().committed_runs(window.store(), all, &mut |run| runs.push(run)).unwrap();
        assert!(runs.contains(&window.part(0, 2 * P)), "{runs:?}");
    }
}
