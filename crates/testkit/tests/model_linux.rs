//! The engine on Linux itself, against the model.
//!
//! `ZXVM_MODEL_SEED` and `ZXVM_MODEL_STEPS` repeat or lengthen a run.

use std::sync::{Arc, Mutex, PoisonError};

use zxvm_host::linux::{Delivery, LinuxHost};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::cpu::{Cpu, Native};
use zxvm_testkit::family::{Growth, live_and_die};
use zxvm_testkit::run::{ROOT_LEN, run, run_in_budget, seed_of_now, seed_or, steps_or};

/// A fresh engine, and nobody else's tests while it lives.
fn alone(seed: u64, act: impl FnOnce(&Arc<Kernel>)) {
    // Audits read the list of this process's mappings, which is only whole while nobody else changes a neighbour; and the
    // memory in use is that of the process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Arc::new(LinuxHost::new(Delivery::of_environment().unwrap()).unwrap());
    act(&Arc::new(Kernel::new(host, Config { root_len: ROOT_LEN, seed }).unwrap()));
}

fn on_linux(seed: u64, steps: u64) {
    let cpu: Arc<dyn Cpu> = Arc::new(Native);
    alone(seed, |kernel| drop(run(kernel, &cpu, seed, steps)));
}

#[test]
fn one_long_run() {
    on_linux(seed_or(1), steps_or(30_000));
}

/// The early life of an engine, many times.
#[test]
fn short_runs() {
    for seed in 200..220 {
        on_linux(seed_or(seed), steps_or(1_000));
    }
}

#[test]
fn a_run_like_no_other() {
    let seed = seed_or(seed_of_now());
    eprintln!("seed {seed}");
    on_linux(seed, steps_or(10_000));
}

#[test]
fn runs_in_a_budget() {
    let cpu: Arc<dyn Cpu> = Arc::new(Native);
    for (seed, pages) in [(400, 64), (401, 100), (seed_of_now(), 64)] {
        let seed = seed_or(seed);
        eprintln!("seed {seed}");
        alone(seed, |kernel| drop(run_in_budget(kernel, &cpu, seed, steps_or(3_000), pages)));
    }
}

/// Families as large as a few seconds allow; `families.rs` has larger ones, on the simulation.
#[test]
fn families() {
    for (growth, seed) in [(Growth::Wide, 1), (Growth::Deep, 2), (Growth::Anyhow, 3)] {
        alone(seed, |kernel| live_and_die(kernel, &Native, growth, 150, seed));
    }
}
