//! Eviction while threads use, change, hint at, clone, unmap and let go of what is evicted: see `racing`. Minutes of it are played by
//! the program `soak`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zxvm_host::linux::{Delivery, LinuxHost, install_fault_recovery};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::racing::{Plan, race};
use zxvm_testkit::run::{ROOT_LEN, seed_of_now, seed_or};

/// One race at a time: what is left is looked for in the descriptors of the whole process.
fn play(trap: bool, moving: bool) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    install_fault_recovery();
    let seed = seed_or(seed_of_now());
    println!("seed {seed}");
    let host = Arc::new(LinuxHost::new(Delivery::of_environment().unwrap()).unwrap());
    let kernel = Kernel::new(host, Config { root_len: ROOT_LEN, seed }).unwrap();
    let told = race(&kernel, Plan { seed, time: Duration::from_secs(2), trap, moving });
    println!("{told:?}");
    assert!(told.done > 0 && told.samples > 0 && told.evicted > 0, "{told:?}");
}

#[test]
fn under_a_budget() {
    play(false, false);
}

#[test]
fn under_a_budget_where_the_pager_is_asked_first() {
    play(true, false);
}

#[test]
fn while_the_budget_goes_up_and_down() {
    play(false, true);
    play(true, true);
}
