//! `zxvm page`: a file of any size, mapped through a pager of this process, touched, and verified.
//!
//! What threads do is in `touch`, in which order in `order`; what they find is counted (`latency`), sampled (`residency`), told
//! (`report`) and drawn (`svg`). `source` is by which way the pager gets at the file. With `--write`, `store` keeps records safe, `record` says what one is, and `ledger` what was
//! acknowledged.

mod latency;
mod ledger;
mod order;
mod record;
mod report;
mod residency;
mod source;
mod store;
mod svg;
mod touch;

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
pub use order::Pattern;
pub use source::Way;
use zerocopy::{FromZeros, IntoBytes};
use zxvm_host::linux::Words;
use zxvm_host::{AddrRange, PAGE_SIZE};
use zxvm_pagers::{Backing, FilePager};
use zxvm_syscall::{Delivery, Kernel};
use zxvm_types::*;

use crate::drawing::Drawing;
use crate::failure::{Failure, refuse_file_limit, setup};
use crate::output;
use crate::progress::Progress;
use crate::table::counted;
use crate::witness::{Witness, file_bytes};
use order::Order;
use report::{Memory, Report, Writes};
use residency::Residency;
use source::Source;
use store::{Earlier, Store};
use touch::{Stage, Tally, Touched};

/// How long no page may be touched before it is a finding. Disks are slow; no access is that slow.
const PATIENCE: Duration = Duration::from_secs(60);

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

    let progress = Progress::new(if options.write { 3 } else { 1 });
    let compare_with = File::open(path).map_err(told)?;
    let look_at = file.try_clone().map_err(told)?;
    let source = Source::open(options.way, path, file, options.write).map_err(told)?;
    let (store, earlier) = if options.write {
        progress.step("look at what earlier runs left");
        let (store, earlier) = Store::open(path, source.backing(), look_at, bytes, &progress)?;
        store.tell(ack);
        (Some(store), earlier)
    } else {
        (None, Earlier::default())
    };
    let sound = earlier.differences.is_empty();
    let backing = store.as_ref().map_or_else(|| source.backing(), Store::backing);
    let pager = FilePager::new(backing)
        .map_err(|error| Failure::Setup { what: "a pager for the file", status: error.into() })?;
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
    });

    progress.step("touch pages");
    let mut watch = Watch {
        mapping: &mapping,
        residency: Residency::new(mapping.range.clone()),
        draws: drawing.is_some(),
        dirty_bytes_most: 0,
    };
    let (tallies, elapsed) = watch.run(&stage, &progress)?;
    let mut differences = earlier.differences.clone();
    let mut total = Tally::default();
    for mut tally in tallies {
        total.faulted.join(&tally.faulted);
        total.loading += tally.loading;
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
    if let Some(drawing) = drawing {
        let threads = counted(options.threads, "thread");
        let title = format!("{}: {}, {}, {threads}", path.display(), counted(pages, "page"), options.pattern.name());
        drawing.finish(Some(svg::draw(&watch.residency, &title)))?;
    }
    progress.finish();

    let (stats, loading_s) = (stage.pager.stats(), total.loading.as_secs_f64());
    let a_second = |amount: u64| if loading_s > 0.0 { amount as f64 * options.threads as f64 / loading_s } else { 0.0 };
    let touches = stage.done.load(Ordering::Relaxed);
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

/// The VMO, mapped as a whole.
struct Mapping<'k> {
    kernel: &'k Kernel,
    range: Range<u64>,
    witness: Witness,
}

impl<'k> Mapping<'k> {
    fn new(kernel: &'k Kernel, pager: &FilePager<Arc<dyn Backing>>, bytes: u64, write: bool) -> Result<Self, Failure> {
        let vmo = pager.vmo().map_err(|status| Failure::Setup { what: "a handle to the VMO", status })?;
        let options = ZX_VM_PERM_READ | if write { ZX_VM_PERM_WRITE } else { 0 };
        let (mut addr, len) = (0, bytes as usize);
        let mapped = kernel.vmar_map(kernel.vmar_root_self(), options, 0, vmo.raw_handle(), 0, len, &mut addr);
        setup("a mapping of the file", mapped)?;
        let end = addr as u64 + bytes.next_multiple_of(PAGE_SIZE);
        Ok(Self { kernel, range: addr as u64..end, witness: Witness::new()? })
    }

    fn words(&self) -> Result<Words, Failure> {
        let words = Words::new(AddrRange::from_bounds(self.range.start, self.range.end));
        words.ok_or(Failure::Setup { what: "the mapping", status: Status::BAD_STATE })
    }

    fn committed_bytes(&self, pager: &FilePager<Arc<dyn Backing>>) -> Result<u64, Failure> {
        let failed = |status| Failure::Setup { what: "ZX_INFO_VMO", status };
        let vmo = pager.vmo().map_err(failed)?;
        let mut info = zx_info_vmo_t::new_zeroed();
        let none = || None::<&mut usize>;
        let handle = vmo.raw_handle();
        let told = self.kernel.object_get_info(handle, ZX_INFO_VMO, info.as_mut_bytes().into(), none(), none());
        setup("ZX_INFO_VMO", told)?;
        Ok(info.committed_bytes)
    }

    fn memory(&self, stage: &Stage) -> Result<Memory, Failure> {
        let runs = present_entries(&self.witness, &self.range)?;
        Ok(Memory {
            committed_bytes: self.committed_bytes(&stage.pager)?,
            linux_bytes: file_bytes()?,
            entries: runs,
            resident_bytes: self.witness.areas(&self.range)?.iter().map(|area| area.rss_bytes).sum(),
        })
    }

    fn end(self) -> Result<(), Failure> {
        let len = (self.range.end - self.range.start) as usize;
        let ended = self.kernel.vmar_unmap(self.kernel.vmar_root_self(), self.range.start as usize, len);
        setup("the end of the mapping", ended)
    }
}

/// Entries of a range that may be too large to ask for at once.
fn present_entries(witness: &Witness, range: &Range<u64>) -> io::Result<u64> {
    const STEP: u64 = 1 << 30;
    let mut entries = 0;
    let mut at = range.start;
    while at < range.end {
        let to = range.end.min(at + STEP);
        let runs = witness.present_runs(&(at..to))?;
        entries += runs.iter().map(|run| (run.end - run.start) / PAGE_SIZE).sum::<u64>();
        at = to;
    }
    Ok(entries)
}

/// Looks on while threads touch.
struct Watch<'m, 'k> {
    mapping: &'m Mapping<'k>,
    residency: Residency,
    draws: bool,
    dirty_bytes_most: u64,
}

impl Watch<'_, '_> {
    /// Starts the threads and waits for them. What they found, and how long that took.
    fn run(&mut self, stage: &Arc<Stage>, progress: &Progress) -> Result<(Vec<Tally>, Duration), Failure> {
        let (sender, tallies) = mpsc::channel();
        self.residency.begin();
        let start = Instant::now();
        for number in 0..stage.threads {
            let (stage, sender) = (stage.clone(), sender.clone());
            // It says itself when it ends; if it never does, so does `wait`.
            drop(thread::Builder::new().name("touch".to_owned()).spawn(move || {
                let tally = stage.touch(number);
                drop(stage);
                let _ = sender.send(tally);
            })?);
        }
        let tallies = self.wait(stage, &tallies, progress)?;
        let elapsed = start.elapsed();
        self.look(stage)?;
        Ok((tallies, elapsed))
    }

    fn wait(
        &mut self,
        stage: &Stage,
        from: &Receiver<io::Result<Tally>>,
        progress: &Progress,
    ) -> Result<Vec<Tally>, Failure> {
        const TICK: Duration = Duration::from_millis(20);
        let mut tallies = Vec::new();
        let (mut done, mut moved) = (0, Instant::now());
        while (tallies.len() as u64) < stage.threads {
            self.look(stage)?;
            let patience = if self.draws { self.residency.until_next().min(TICK) } else { TICK };
            match from.recv_timeout(patience) {
                Ok(tally) => tallies.push(tally?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Untouched(0)),
            }
            let now = stage.done.load(Ordering::Relaxed);
            progress.within(now as usize, stage.touches as usize);
            if now != done {
                (done, moved) = (now, Instant::now());
            } else if moved.elapsed() > PATIENCE {
                return Err(Failure::Untouched(PATIENCE.as_secs()));
            }
        }
        Ok(tallies)
    }

    fn look(&mut self, stage: &Stage) -> Result<(), Failure> {
        if stage.store.is_some() {
            let dirty = stage.pager.dirty_bytes().map_err(|status| Failure::Setup { what: "what is dirty", status })?;
            self.dirty_bytes_most = self.dirty_bytes_most.max(dirty);
        }
        if self.draws && self.residency.until_next().is_zero() {
            let dirty =
                stage.pager.dirty_ranges().map_err(|status| Failure::Setup { what: "what is dirty", status })?;
            let committed = self.mapping.committed_bytes(&stage.pager)?;
            self.residency.look(&self.mapping.witness, &dirty, committed)?;
        }
        Ok(())
    }
}
