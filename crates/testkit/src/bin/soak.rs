//! A soak: for as many minutes as are named, the model test on Linux and the races over a budget, in turns, each with a seed of its own,
//! which is printed before it begins.
//!
//! 1. It ends with 0 when the time is over, and with the words of the first check that fails otherwise. The round that has begun is
//!    played to its end, some seconds.
//! 2. A model run is repeated by `ZXVM_MODEL_SEED` (see `run`); a race plays the same calls again, in whatever order its threads have.
//!
//! ```console
//! cargo run --release -p zxvm-testkit --bin soak -- MINUTES
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zxvm_host::linux::{Delivery, LinuxHost, install_fault_recovery};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::cpu::{Cpu, Native};
use zxvm_testkit::racing::{Plan, race};
use zxvm_testkit::run::{ROOT_LEN, run, seed_of_now, seed_or, steps_or};

/// Steps of a model run, unless `ZXVM_MODEL_STEPS` says otherwise.
const STEPS: u64 = 10_000;

/// How long one race takes.
const RACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let minutes = std::env::args().nth(1).and_then(|word| word.parse::<f64>().ok());
    let Some(length) = minutes.and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok()) else {
        eprintln!("usage: soak MINUTES");
        return ExitCode::from(2);
    };
    let Some(delivery) = Delivery::of_environment() else {
        eprintln!("soak: ZXVM_FAULTS is neither thread nor inline");
        return ExitCode::from(2);
    };
    install_fault_recovery();
    let begin = Instant::now();
    let mut round = 0_u64;
    while begin.elapsed() < length {
        let seed = seed_or(seed_of_now());
        // A fresh engine for each, alone in this process.
        let engine = || {
            let host = Arc::new(LinuxHost::new(delivery).expect("what an engine needs"));
            Arc::new(Kernel::new(host, Config { root_len: ROOT_LEN, seed }).expect("address space"))
        };
        let at = begin.elapsed().as_secs();
        println!("{at:>6} s: round {round}, seed {seed}: model");
        let cpu: Arc<dyn Cpu> = Arc::new(Native);
        let calls: u64 = run(&engine(), &cpu, seed, steps_or(STEPS)).into_values().sum();
        let plan = Plan { seed, time: RACE, trap: round % 2 == 1, moving: round % 4 >= 2 };
        println!("{:>6} s: {calls} calls agree; {plan:?}", begin.elapsed().as_secs());
        let told = race(&engine(), plan);
        println!("{:>6} s: {told:?}", begin.elapsed().as_secs());
        round += 1;
    }
    println!("{round} rounds in {} s, and nothing is wrong", begin.elapsed().as_secs());
    ExitCode::SUCCESS
}
