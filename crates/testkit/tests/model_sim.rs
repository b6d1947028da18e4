//! The engine on the simulated machine, against the model.
//!
//! `ZXVM_MODEL_SEED` and `ZXVM_MODEL_STEPS` repeat or lengthen a run.

use std::sync::Arc;

use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::PAGE;
use zxvm_testkit::cpu::Cpu;
use zxvm_testkit::run::{ROOT_LEN, Tally, run, run_in_budget, seed_of_now, seed_or, steps_or};
use zxvm_types::{Status, Status as S};
use zxvm_vm::MemoryStats;

fn on_sim(seed: u64, steps: u64) -> Tally {
    within(None, seed, steps).0
}

/// With a budget of so many pages, or without one. What became of memory is told as well.
fn within(budget: Option<u64>, seed: u64, steps: u64) -> (Tally, MemoryStats) {
    let sim = Arc::new(SimHost::new(SimConfig::default()));
    let kernel = Arc::new(Kernel::new(sim.clone(), Config { root_len: ROOT_LEN, seed }).unwrap());
    let cpu: Arc<dyn Cpu> = sim.clone();
    let tally = match budget {
        None => run(&kernel, &cpu, seed, steps),
        Some(pages) => run_in_budget(&kernel, &cpu, seed, steps, pages),
    };
    assert_eq!(sim.memory_pages(), 0, "seed {seed}: memory that nobody has a use for");
    assert_eq!(sim.vma_count(), 1, "seed {seed}: the root VMAR is not held in one piece");
    let stats = kernel.memory_stats();
    drop(kernel);
    assert_eq!((sim.store_count(), sim.vma_count()), (0, 0), "seed {seed}: the engine is gone");
    (tally, stats)
}

/// The ways in which each call ends, as far as a run can bring them about.
const ENDS: &[(&str, &[Status])] = &[
    ("handle_close", &[S::OK, S::BAD_HANDLE]),
    ("handle_close_many", &[S::OK, S::BAD_HANDLE]),
    ("handle_duplicate", &[S::OK, S::BAD_HANDLE, S::ACCESS_DENIED, S::INVALID_ARGS]),
    ("handle_replace", &[S::OK, S::BAD_HANDLE, S::INVALID_ARGS]),
    ("handle_check_valid", &[S::OK, S::BAD_HANDLE]),
    (
        "object_get_info",
        &[S::OK, S::NOT_SUPPORTED, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::BAD_STATE, S::BUFFER_TOO_SMALL],
    ),
    (
        "object_get_property",
        &[
            S::OK,
            S::INVALID_ARGS,
            S::BAD_HANDLE,
            S::ACCESS_DENIED,
            S::NOT_SUPPORTED,
            S::BUFFER_TOO_SMALL,
            S::WRONG_TYPE,
        ],
    ),
    (
        "object_set_property",
        &[
            S::OK,
            S::INVALID_ARGS,
            S::BAD_HANDLE,
            S::ACCESS_DENIED,
            S::NOT_SUPPORTED,
            S::BUFFER_TOO_SMALL,
            S::WRONG_TYPE,
        ],
    ),
    ("object_signal", &[S::OK, S::BAD_HANDLE, S::ACCESS_DENIED, S::INVALID_ARGS]),
    ("object_signal_peer", &[S::OK, S::BAD_HANDLE, S::ACCESS_DENIED, S::INVALID_ARGS, S::PEER_CLOSED]),
    ("object_wait_one", &[S::OK, S::BAD_HANDLE, S::ACCESS_DENIED, S::TIMED_OUT]),
    ("object_wait_many", &[S::OK, S::OUT_OF_RANGE, S::BAD_HANDLE, S::ACCESS_DENIED, S::TIMED_OUT]),
    ("event_create", &[S::OK, S::INVALID_ARGS]),
    ("eventpair_create", &[S::OK, S::NOT_SUPPORTED, S::INVALID_ARGS]),
    ("vmo_create", &[S::OK, S::INVALID_ARGS, S::OUT_OF_RANGE]),
    ("vmo_read", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::BAD_STATE, S::OUT_OF_RANGE, S::NOT_FOUND]),
    (
        "vmo_write",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::BAD_STATE, S::OUT_OF_RANGE, S::NOT_FOUND],
    ),
    ("vmo_get_size", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE]),
    (
        "vmo_set_size",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::OUT_OF_RANGE, S::UNAVAILABLE, S::INVALID_ARGS],
    ),
    ("vmo_get_stream_size", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE]),
    ("vmo_set_stream_size", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::OUT_OF_RANGE]),
    (
        "vmo_op_range COMMIT",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::OUT_OF_RANGE, S::NO_MEMORY, S::NOT_FOUND],
    ),
    (
        "vmo_op_range DECOMMIT",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::OUT_OF_RANGE, S::INVALID_ARGS, S::NOT_SUPPORTED],
    ),
    (
        "vmo_op_range ZERO",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::OUT_OF_RANGE, S::BAD_STATE, S::NOT_FOUND],
    ),
    (
        "vmo_op_range LOCK",
        &[S::OK, S::ACCESS_DENIED, S::NOT_SUPPORTED, S::OUT_OF_RANGE, S::INVALID_ARGS, S::UNAVAILABLE],
    ),
    ("vmo_op_range UNLOCK", &[S::OK, S::ACCESS_DENIED, S::NOT_SUPPORTED, S::OUT_OF_RANGE, S::BAD_STATE]),
    (
        "vmo_op_range, others",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::NOT_SUPPORTED, S::OUT_OF_RANGE, S::INVALID_ARGS],
    ),
    ("vmo_create_child SNAPSHOT", CHILD_ENDS),
    ("vmo_create_child SLICE", CHILD_ENDS),
    ("vmo_create_child REFERENCE", CHILD_ENDS),
    ("vmo_transfer_data", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::INVALID_ARGS, S::OUT_OF_RANGE]),
    ("vmo_create_contiguous", &[S::INVALID_ARGS, S::BAD_HANDLE, S::WRONG_TYPE]),
    ("vmo_create_physical", &[S::BAD_HANDLE, S::WRONG_TYPE]),
    ("vmo_discard", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::NOT_SUPPORTED]),
    ("vmo_free_zero_pages", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::BAD_STATE]),
    ("reclaim", &[S::OK]),
    ("age_pass", &[S::OK]),
    ("reclaim_aged", &[S::OK]),
    ("vmo_set_cache_policy", &[S::OK, S::INVALID_ARGS, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::BAD_STATE]),
    ("vmo_replace_as_executable", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::INVALID_ARGS]),
    (
        "vmar_allocate",
        &[
            S::OK,
            S::BAD_HANDLE,
            S::WRONG_TYPE,
            S::ACCESS_DENIED,
            S::INVALID_ARGS,
            S::BAD_STATE,
            S::ALREADY_EXISTS,
            S::NO_RESOURCES,
        ],
    ),
    (
        "vmar_map",
        &[
            S::OK,
            S::BAD_HANDLE,
            S::WRONG_TYPE,
            S::ACCESS_DENIED,
            S::INVALID_ARGS,
            S::NOT_SUPPORTED,
            S::OUT_OF_RANGE,
            S::BAD_STATE,
            S::ALREADY_EXISTS,
            S::NO_RESOURCES,
        ],
    ),
    ("vmar_unmap", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::INVALID_ARGS, S::BAD_STATE]),
    (
        "vmar_protect",
        &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::INVALID_ARGS, S::BAD_STATE, S::NOT_FOUND],
    ),
    ("vmar_destroy", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::NOT_SUPPORTED, S::BAD_STATE]),
    ("vmar_op_range COMMIT", OP_ENDS),
    ("vmar_op_range COMMIT", &[S::NOT_FOUND]),
    ("vmar_op_range DECOMMIT", OP_ENDS),
    ("vmar_op_range DECOMMIT", &[S::NOT_SUPPORTED]),
    ("vmar_op_range MAP_RANGE", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::INVALID_ARGS, S::OUT_OF_RANGE, S::BAD_STATE]),
    ("vmar_op_range ZERO", OP_ENDS),
    ("vmar_op_range, others", OP_ENDS),
    ("load", &[S::OK, S::NOT_FOUND, S::SHOULD_WAIT]),
    ("store", &[S::OK, S::NOT_FOUND, S::SHOULD_WAIT]),
    ("port_create", &[S::OK, S::INVALID_ARGS]),
    ("port_queue", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED]),
    ("port_wait", &[S::OK, S::TIMED_OUT, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED]),
    ("pager_create", &[S::OK, S::INVALID_ARGS]),
    ("pager_create_vmo", &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::INVALID_ARGS, S::OUT_OF_RANGE]),
    ("pager_detach_vmo", &[S::OK, S::INVALID_ARGS]),
    (
        "pager_supply_pages",
        &[
            S::OK,
            S::INVALID_ARGS,
            S::BAD_HANDLE,
            S::WRONG_TYPE,
            S::ACCESS_DENIED,
            S::OUT_OF_RANGE,
            S::NOT_SUPPORTED,
            S::BAD_STATE,
        ],
    ),
    ("pager_op_range FAIL", &[S::OK, S::INVALID_ARGS, S::WRONG_TYPE, S::OUT_OF_RANGE, S::BAD_STATE]),
    (
        "pager_op_range DIRTY",
        &[
            S::OK,
            S::INVALID_ARGS,
            S::BAD_HANDLE,
            S::WRONG_TYPE,
            S::NOT_SUPPORTED,
            S::OUT_OF_RANGE,
            S::BAD_STATE,
            S::NOT_FOUND,
        ],
    ),
    ("pager_op_range WRITEBACK_BEGIN", &[S::OK, S::INVALID_ARGS, S::BAD_HANDLE, S::WRONG_TYPE, S::OUT_OF_RANGE]),
    ("pager_op_range WRITEBACK_END", &[S::OK, S::INVALID_ARGS, S::WRONG_TYPE, S::OUT_OF_RANGE]),
    ("pager_op_range, others", &[S::NOT_SUPPORTED]),
    ("pager_query_dirty_ranges", &[S::OK, S::INVALID_ARGS, S::BAD_HANDLE, S::WRONG_TYPE, S::OUT_OF_RANGE]),
    ("pager_query_vmo_stats", &[S::OK, S::BUFFER_TOO_SMALL, S::BAD_HANDLE, S::WRONG_TYPE, S::INVALID_ARGS]),
];

/// The ways in which calls end that wait for a pager: what it fails them with, and what becomes of them when it goes.
const WAITS: &[(&str, &[Status])] = &[
    ("vmo_read", FAILURES),
    ("vmo_write", FAILURES),
    ("vmo_op_range COMMIT", FAILURES),
    ("vmo_op_range ZERO", &[S::IO, S::BAD_STATE]),
    ("vmo_op_range, others", &[S::BAD_STATE]),
    ("vmar_op_range COMMIT", &[S::BAD_STATE]),
    ("vmar_op_range, others", &[S::BAD_STATE]),
];

const FAILURES: &[Status] = &[S::IO, S::IO_DATA_INTEGRITY, S::BAD_STATE, S::NO_SPACE, S::BUFFER_TOO_SMALL];

const CHILD_ENDS: &[Status] = &[
    S::OK,
    S::OUT_OF_RANGE,
    S::INVALID_ARGS,
    S::BAD_HANDLE,
    S::WRONG_TYPE,
    S::ACCESS_DENIED,
    S::NOT_SUPPORTED,
    S::BAD_STATE,
];

const OP_ENDS: &[Status] =
    &[S::OK, S::BAD_HANDLE, S::WRONG_TYPE, S::ACCESS_DENIED, S::INVALID_ARGS, S::OUT_OF_RANGE, S::BAD_STATE];

/// The run that also shows that the generator leaves nothing out.
#[test]
fn one_long_run() {
    let tally = on_sim(seed_or(1), steps_or(180_000));
    let ends = ENDS.iter().chain(WAITS);
    let all = ends.flat_map(|&(call, statuses)| statuses.iter().map(move |&status| (call, status)));
    let missing: Vec<_> = all.filter(|end| !tally.contains_key(end)).collect();
    let shortened = steps_or(u64::MAX) < 180_000;
    assert!(missing.is_empty() || shortened, "these never happened: {missing:?}");
    let known: Vec<_> = ENDS.iter().map(|(call, _)| call).collect();
    assert!(tally.keys().all(|(call, _)| known.contains(&call)), "a call is missing from the list");
}

#[test]
fn another_long_run() {
    on_sim(seed_or(2), steps_or(120_000));
}

/// The early life of an engine, many times.
#[test]
fn short_runs() {
    for seed in 100..140 {
        on_sim(seed_or(seed), steps_or(1_500));
    }
}

#[test]
fn runs_of_middling_length() {
    for seed in 3..13 {
        on_sim(seed_or(seed), steps_or(8_000));
    }
}

#[test]
fn a_run_like_no_other() {
    let seed = seed_or(seed_of_now());
    eprintln!("seed {seed}");
    on_sim(seed, steps_or(10_000));
}

#[test]
fn runs_in_a_budget() {
    let (mut evicted, mut starved) = (0, 0);
    for seed in 300..308 {
        let (_, stats) = within(Some(64 + seed % 5 * 16), seed_or(seed), steps_or(6_000));
        evicted += stats.evicted / PAGE;
        starved += stats.starved;
    }
    eprintln!("{evicted} pages were taken, and {starved} times somebody waited for room");
    assert!(evicted > 1_000 && starved > 20 || steps_or(u64::MAX) < 6_000, "{evicted} taken, {starved} starved");
}

#[test]
fn a_run_in_a_budget_like_no_other() {
    let seed = seed_or(seed_of_now());
    eprintln!("seed {seed}");
    within(Some(64), seed, steps_or(10_000));
}
