//! A worked example: a table of columns, ten times as large as what may be in memory, and queries over it.
//!
//! ```console
//! cargo run --release -p zxvm-pagers --example column_scan [MIB]
//! ```
//!
//! The file has a dictionary of values, a column of keys, and columns of codes that stand for values of the dictionary (`table.rs`). A
//! query adds up the values of one column in the rows whose key is right. So dictionary and keys are used by each query, a column of
//! codes by one in thirty. `MIB` is the budget, 16 without it; the file is made for it, ten times as large, and goes at the end.
//!
//! The same queries are run three times, each time by a process of its own, and have to give the same sums as plain reading does:
//!
//! 1. the file is a pager's VMO ([`FilePager`](zxvm_pagers::FilePager) over [`DirectFile`], so that Linux caches nothing), with a budget; dictionary and keys
//!    are said to be always needed, and what a query is done with not to be needed;
//! 2. the same, and nothing is said: which pages go is found out from their use alone;
//! 3. the file is mapped by Linux, in a control group with the budget as its limit (`linux.rs`), with the advice that Linux has for
//!    this. Where no group can be made it is left out, and the reason printed.
//!
//! Told are the time, how much was brought in, how much of what the queries visited was there already (each page counted once a query),
//! and how much was in memory at most. The limit of a group also holds for what the process has besides the file.

mod linux;
mod table;

use std::error::Error;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use table::{Done, PAGE, Table, Use};
use zxvm as zx;
use zxvm_pagers::{DirectFile, PagerBuilder};
use zxvm_testkit::group::MemoryGroup;

/// Pages read ahead at most: what is read beyond the end of a column is read for nothing.
const READ_AHEAD: NonZero<u32> = NonZero::new(128).unwrap();

/// Tells a process what to do, and with which file.
const TASK: &str = "ZXVM_COLUMN_SCAN";

/// What came out of one way to run the queries.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Of all queries.
    pub time: Duration,
    /// All sums, in one number.
    pub sums: u64,
    /// Bytes brought into memory.
    pub brought: u64,
    /// Bytes of the file in memory, at most.
    pub resident: u64,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The queries on a pager's VMO, under a budget.
fn on_zxvm(path: &Path, table: Table, hints: bool) -> Result<Outcome> {
    zx::set_memory_budget(Some(table.budget))?;
    let pager = PagerBuilder::new().read_ahead(READ_AHEAD).open(DirectFile::open(path, false)?)?;
    let (root, len) = (zx::runtime::vmar_root_self(), table.len() as usize);
    let base = root.map(0, &pager.vmo()?, 0, len, zx::VmarFlags::PERM_READ)?;
    // SAFETY: mapped as long as this process lives, and nobody writes to it.
    let bytes = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(base), len) };
    let mut resident = 0;
    let begun = Instant::now();
    let sums = table.run(bytes, &mut |what| {
        resident = zx::memory_stats().map_or(resident, |stats| resident.max(stats.resident));
        let (op, range) = match what {
            Use::Always(range) => (zx::VmarOp::ALWAYS_NEED, range),
            // The pager reads ahead by itself.
            Use::Soon(_) => return,
            Use::DoneWith(range) => (zx::VmarOp::DONT_NEED, range),
        };
        if hints {
            root.op_range(op, base + range.start, range.len()).expect("it is mapped");
        }
    });
    let time = begun.elapsed();
    Ok(Outcome { time, sums, brought: zx::memory_stats()?.supplied, resident })
}

/// Runs this program as a process of its own that does `task`.
fn in_process(task: &str, group: &str, path: &Path, table: Table) -> Result<Outcome> {
    let task = format!("{task}\n{group}\n{}\n{}", table.budget, path.display());
    let output = Command::new(std::env::current_exe()?).env(TASK, task).env_remove("ZXVM_BUDGET").output()?;
    let out = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [nanos, sums, brought, resident] if output.status.success() => {
            Ok(Outcome { time: Duration::from_nanos(nanos), sums, brought, resident })
        }
        _ => Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// What such a process does.
fn do_task(task: &str) -> Result<()> {
    let mut lines = task.lines();
    let mut next = || lines.next().ok_or("four lines");
    let (what, group, budget, path) = (next()?, Path::new(next()?), next()?.parse()?, Path::new(next()?));
    let table = Table { budget };
    let Outcome { time, sums, brought, resident } = match what {
        "linux" => linux::run(path, table, group)?,
        _ => on_zxvm(path, table, what == "hints")?,
    };
    println!("{} {sums} {brought} {resident}", time.as_nanos());
    Ok(())
}

fn print(what: &str, outcome: Outcome, done: Done) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let there = 100.0 * (1.0 - (outcome.brought / PAGE) as f64 / done.visited as f64);
    println!(
        "| {what:<31} | {:>7.0} ms | {:>7.1} MiB | {:>5.1} % | {:>6.1} MiB |",
        outcome.time.as_secs_f64() * 1e3,
        mib(outcome.brought),
        there.max(0.0),
        mib(outcome.resident),
    );
}

fn main() -> Result<()> {
    if let Ok(task) = std::env::var(TASK) {
        return do_task(&task);
    }
    let mib: u64 = std::env::args().nth(1).map_or(Ok(16), |mib| mib.parse())?;
    let table = Table { budget: mib.max(4) << 20 };
    // Not in a folder that may be in memory.
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no folder")?)?;
    let path = folder.path().join("table");
    let done = table.make(&path)?;
    println!(
        "{} MiB in a file, {} MiB in memory at most, {} queries\n",
        table.len() >> 20,
        table.budget >> 20,
        done.queries
    );
    println!("| the file is                     |       time | brought in  | there   | in memory  |");
    println!("|---------------------------------|------------|-------------|---------|------------|");

    let group = MemoryGroup::new(table.budget);
    let folder = group.as_ref().map(|group| group.folder().display().to_string());
    let ways = [
        ("a VMO of a pager, with hints", "hints", Ok(String::new())),
        ("a VMO of a pager, without", "none", Ok(String::new())),
        ("mapped by Linux, in a group", "linux", folder),
    ];
    for (what, task, group) in ways {
        let outcome = match group {
            Ok(group) => in_process(task, &group, &path, table)?,
            Err(error) => {
                println!("\nskipped: {what}: no control group can be made: {error}");
                continue;
            }
        };
        print(what, outcome, done);
        if outcome.sums != done.sums {
            return Err(format!("{what}: the sums are wrong").into());
        }
    }
    println!("\nThe sums are those of plain reading.");
    Ok(())
}
