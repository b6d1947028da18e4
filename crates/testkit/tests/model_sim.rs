//! The engine on the simulated machine, against the model.
//!
//! `ZXVM_MODEL_SEED` and `ZXVM_MODEL_STEPS` repeat or lengthen a run.

use std::sync::Arc;

use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::run::{ROOT_LEN, Tally, run, seed_of_now, seed_or, steps_or};

fn on_sim(seed: u64, steps: u64) -> Tally {
    let sim = Arc::new(SimHost::new(SimConfig::default()));
    let kernel = Kernel::new(sim.clone(), Config { root_len: ROOT_LEN, seed }).unwrap();
    let tally = run(&kernel, &*sim, seed, steps);
    assert_eq!(sim.memory_pages(), 0, "seed {seed}: memory that nobody has a use for");
    assert_eq!(sim.vma_count(), 1, "seed {seed}: the root VMAR is not held in one piece");
    drop(kernel);
    assert_eq!((sim.store_count(), sim.vma_count()), (0, 0), "seed {seed}: the engine is gone");
    tally
}

#[test]
fn one_long_run() {
    let tally = on_sim(seed_or(1), steps_or(60_000));
    eprintln!("{tally:#?}");
}

#[test]
fn another_long_run() {
    on_sim(seed_or(2), steps_or(60_000));
}

/// The early life of an engine, many times.
#[test]
fn short_runs() {
    for seed in 100..140 {
        on_sim(seed_or(seed), steps_or(1_000));
    }
}

#[test]
fn runs_of_middling_length() {
    for seed in 3..8 {
        on_sim(seed_or(seed), steps_or(8_000));
    }
}

#[test]
fn a_run_like_no_other() {
    let seed = seed_or(seed_of_now());
    eprintln!("seed {seed}");
    on_sim(seed, steps_or(10_000));
}
