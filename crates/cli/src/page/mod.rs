//! `zxvm page`: a file of any size, mapped through a pager of this process, touched, and verified.
//!
//! What threads do is in `touch`, in which order in `order`; what they find is counted (`latency`), looked at (`watch`), sampled
//! (`residency`), told (`report`) and drawn (`svg`). `source` is by which way the pager gets at the file. With `--write`, `store` keeps
//! records safe, `record` says what one is, and `ledger` what was acknowledged. With `--budget`, `share` watches that it is kept, and
//! `hints` says of each `part` of the file that was named whether it is needed.

mod hints;
mod latency;
mod ledger;
mod mapping;
mod order;
mod part;
mod record;
mod report;
mod residency;
mod share;
mod source;
mod store;
mod svg;
mod touch;
mod watch;

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::ValueEnum;
pub use order::Pattern;
pub use part::{Part, budget};
pub use source::Way;
use zxvm_host::PAGE_SIZE;
use zxvm_pagers::PagerBuilder;
use zxvm_syscall::{Delivery, Kernel};

use crate::drawing::Drawing;
use crate::failure::{Failure, refuse_file_limit, setup};
use crate::output;
use crate::progress::Progress;
use crate::table::{counted, size};
use hints::Hints;
use mapping::Mapping;
use order::Order;
use report::{Report, Writes};
use residency::Residency;
use share::{Limited, Share};
use source::Source;
use store::{Earlier, Store};
use touch::{Stage, Tally, Touched};
use watch::Watch;

/// How faults are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Faults {
    /// To a thread of the library
    Thread,
    /// To the thread that faults
    Inline,
}

/// What the command was given.
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// Whether to store records.
    pub write: bool,
    /// Where to tell of records that are safe.
    pub ack: Option<PathBuf>,
    /// In which order.
    pub pattern: Pattern,
    /// How often; as many pages as there are if it is not said.
    pub touches: Option<u64>,
    /// Threads, at least one.
    pub threads: u64,
    /// How faults are delivered; as the environment says if it is not said.
    pub faults: Option<Faults>,
    /// By which way to get at the file.
    pub way: Way,
    /// How much of it may be in memory, in bytes; as the environment says if it is not said.
    pub budget: Option<u64>,
    /// Parts that are always needed.
    pub need: Vec<Part>,
    /// Parts that are not needed.
    pub dont_need: Vec<Part>,
    /// Where to draw.
    pub svg: Option<PathBuf>,
    /// Whether one JSON document is wanted.
    pub json: bool,
}

/// Does it and prints what was found. Whether all was as it should be.
///
/// # Errors
/// [`Failure`]: there is no report, or it could not be printed.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let path = &options.file;
    let failed = |why: String| Failure::File { path: path.clone(), why };
    let told = |error: io::Error| failed(error.to_string());
    let file = File::options().read(true).write(options.write).open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    let bytes = metadata.len();
    if !metadata.is_file() {
        return Err(failed("not a regular file".to_owned()));
    }
    let needed = if options.write { PAGE_SIZE } else { 1 };
    if bytes < needed {
        let why = if options.write {
            "less than a page: there is no room for a record"
        } else {
            "empty: there is nothing to touch"
        };
        return Err(failed(why.to_owned()));
    }
    let hints = Hints::new(&options.need, &options.dont_need, bytes).map_err(failed)?;
    let drawing = options.svg.as_deref().map(Drawing::create).transpose()?;
    let ack = options.ack.as_ref().map(|ack| {
        let file = File::options().append(true).create(true).open(ack);
        file.map_err(|error| Failure::File { path: ack.clone(), why: error.to_string() })
    });
    let ack = ack.transpose()?;
    refuse_file_limit()?;
    let delivery = match options.faults {
        Some(Faults::Thread) => Delivery::Thread,
        Some(Faults::Inline) => Delivery::InThread,
        None => Delivery::of_environment().ok_or(Failure::FaultsVariable)?,
    };
    setup("a say in who deals with faults", Kernel::set_fault_delivery(delivery))?;
    let kernel = Kernel::current().map_err(|status| Failure::Setup { what: "the engine", status })?;
    if options.budget.is_some() {
        setup("the budget", kernel.set_memory_budget(options.budget))?;
    }
    let budget = kernel.memory_budget();
    let is_limited = budget.is_some() || hints.are_given();

    let progress = Progress::new(if options.write { 3 } else { 1 });
    let compare_with = File::open(path).map_err(told)?;
    let look_at = file.try_clone().map_err(told)?;
    let source = Source::open(options.way, path, file, options.write).map_err(told)?;
    let (store, earlier) = if options.write {
        progress.step("look at what earlier runs left");
        let (store, earlier) = Store::open(path, source.backing(), look_at, bytes, budget, &progress)?;
        store.tell(ack);
        (Some(store), earlier)
    } else {
        (None, Earlier::default())
    };
    let sound = earlier.differences.is_empty();
    let backing = store.as_ref().map_or_else(|| source.backing(), Store::backing);
    let mut builder = PagerBuilder::new();
    if options.write {
        // A record may be half stored at any time: the store says when pages may be read, and lets few be dirty.
        builder = builder.ignore_pressure();
    }
    let pager =
        builder.open(backing).map_err(|error| Failure::Setup { what: "a pager for the file", status: error.into() })?;
    let mapping = Mapping::new(kernel, &pager, bytes, options.write)?;
    // What is not a whole page has no room for a record.
    let pages = if options.write { bytes / PAGE_SIZE } else { bytes.div_ceil(PAGE_SIZE) };
    let stage = Arc::new(Stage {
        words: mapping.words()?,
        file: compare_with,
        order: Order::new(options.pattern, pages, RandomState::new().build_hasher().finish()),
        pages,
        // What is wrong already is looked at as it is.
        touches: if sound { options.touches.unwrap_or(pages) } else { 0 },
        threads: options.threads,
        store,
        pager,
        done: AtomicU64::new(0),
        touched: Touched::new(pages),
        stop: AtomicBool::new(false),
        look: is_limited.then_some(mapping.range.start),
        hint_every: hint_every(budget),
        hints,
        kernel,
    });

    progress.step("touch pages");
    let mut watch = Watch {
        mapping: &mapping,
        residency: Residency::new(mapping.range.clone()),
        draws: drawing.is_some(),
        share: is_limited.then(|| Share::new(budget, stage.hints.clone())),
        dirty_bytes_most: 0,
    };
    let (tallies, elapsed) = watch.run(&stage, &progress)?;
    let mut differences = earlier.differences.clone();
    let mut total = Tally::default();
    for mut tally in tallies {
        total.faulted.join(&tally.faulted);
        total.loading += tally.loading;
        total.found += tally.found;
        total.compared_bytes += tally.compared_bytes;
        differences.append(&mut tally.differences);
    }
    if let Some(store) = stage.store.as_ref().filter(|_| sound) {
        progress.step("write back, and compare all once more");
        store.commit(&stage.pager).map_err(told)?;
        let mut again = stage.compare_all().map_err(told)?;
        total.compared_bytes += again.compared_bytes;
        differences.append(&mut again.differences);
    }
    let touches = stage.done.load(Ordering::Relaxed);
    let limited = watch.share.as_mut().map(|share| share.report(&mapping, touches, total.found)).transpose()?;
    differences.extend(limited.iter().filter_map(Limited::broken));
    if let Some(drawing) = drawing {
        let threads = counted(options.threads, "thread");
        let limit = budget.map_or(String::new(), |budget| format!(", {} of memory", size(budget)));
        let title =
            format!("{}: {}, {}, {threads}{limit}", path.display(), counted(pages, "page"), options.pattern.name());
        drawing.finish(Some(svg::draw(&watch.residency, &stage.hints, budget, &title)))?;
    }
    progress.finish();

    let (stats, loading_s) = (stage.pager.stats(), total.loading.as_secs_f64());
    let a_second = |amount: u64| if loading_s > 0.0 { amount as f64 * options.threads as f64 / loading_s } else { 0.0 };
    let writes = stage.store.as_ref().map(|store| Writes {
        earlier_acknowledged: earlier.acknowledged,
        earlier_unacknowledged: earlier.unacknowledged,
        finished_batch: earlier.finished_batch,
        acknowledged: store.acknowledged(),
        dirty_bytes_most: watch.dirty_bytes_most,
        pages_written: stats.pages_written,
        writebacks: stats.writebacks,
    });
    let report = Report {
        file: path.display().to_string(),
        file_bytes: bytes,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        pages: bytes.div_ceil(PAGE_SIZE),
        pattern: options.pattern.name(),
        threads: options.threads,
        faults: match delivery {
            Delivery::Thread => "a thread of the library",
            Delivery::InThread => "the thread that faults",
        },
        backing: options.way,
        access: source.access(),
        no_ring: source.no_ring().map(|why| why.to_string()),
        touches,
        pages_touched: stage.touched.count(),
        faulted: total.faulted.count(),
        loading_s,
        faults_per_s: a_second(total.faulted.count()),
        bytes_per_s: a_second(touches * PAGE_SIZE),
        elapsed_s: elapsed.as_secs_f64(),
        latency: (&total.faulted).into(),
        requests: stats.requests,
        reads: stats.reads,
        pages_asked: stats.pages_asked,
        pages_ahead: stats.pages_ahead,
        failed: stats.failed,
        writes,
        limited,
        memory: mapping.memory(&stage)?,
        compared_bytes: total.compared_bytes,
        as_documented: differences.is_empty(),
        differences,
    };
    drop(stage);
    mapping.end()?;
    let printed = if options.json { output::print_json(&report) } else { output::print(&report.text()) };
    printed.map_err(Failure::Output)?;
    Ok(report.as_documented)
}

/// After how many touches it is said again that pages are not needed: a small part of those that can have come in between.
fn hint_every(budget: Option<u64>) -> u64 {
    budget.map_or(1024, |budget| budget / PAGE_SIZE / 32).max(4)
}
