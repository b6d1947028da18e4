//! `cargo bench --bench reclaim`: a file of ten times the budget, loaded from at random; what an age pass costs; how long faults take
//! while pages are evicted.
//!
//! Nine of ten loads bring a page in, and one has to go for it. Times are per load. Three who do the same:
//!
//! 1. ours: a bare pager thread, one `pread` and one supply a request ("pager"), the ready-made one of `zxvm-pagers`
//!    ("FilePager"), and the same that reads in the thread of the fault ("in place"; with `ZXVM_FAULTS=inline` that is the one that
//!    loads);
//! 2. a cache of a program's own, asked at each load, which needs no fault (`cache.rs`);
//! 3. a mapping of the file in a process of a control group with the budget as its limit (`mapped.rs`). It cannot be given pages that
//!    the cache of Linux has already, so it is compared with those who read past that cache ("Direct").

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use zxvm_bench::cache::Cache;
use zxvm_bench::mapped::{Short, is_short};
use zxvm_bench::pager::Paged;
use zxvm_bench::random::{Loads, WARMING, content, load, load_all};
use zxvm_bench::raw::{self, P};
use zxvm_bench::run::Run;
use zxvm_bench::{Side, Target, zx};
use zxvm_pagers::{Backing, DirectFile, FilePager, PagerBuilder};
use zxvm_types::*;

/// How much of everything.
#[derive(Clone, Copy)]
struct Sizes {
    /// Pages that may be in memory.
    budget: usize,
    /// Pages of the file.
    pages: usize,
    /// Loads in a sample.
    loads: usize,
}

impl Sizes {
    fn of(run: &Run) -> Self {
        match run.smoke {
            true => Self { budget: 64, pages: 640, loads: 64 },
            false => Self { budget: 4096, pages: 40_960, loads: 16_384 },
        }
    }

    /// Of what waits for a disk.
    fn slow(self) -> Self {
        Self { loads: self.loads.min(4096), ..self }
    }

    fn loads(self, threads: usize, seed: u64) -> Loads {
        Loads { pages: self.pages, loads: self.loads, threads, seed }
    }

    fn warming(self) -> Loads {
        Loads { loads: 2 * self.budget, ..self.loads(1, WARMING) }
    }
}

fn set_budget(pages: Option<usize>) {
    zx::kernel().set_memory_budget(pages.map(|pages| (pages * P) as u64)).unwrap();
}

/// A file made for this, and gone at the end.
struct Made {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Made {
    fn new(pages: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = folder.path().join("pages");
        let mut file = File::create(&path).unwrap();
        file.write_all(&content(pages)).unwrap();
        file.sync_all().unwrap();
        Self { _folder: folder, path }
    }

    fn open(&self) -> File {
        File::open(&self.path).unwrap()
    }

    fn direct(&self) -> std::io::Result<File> {
        OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&self.path)
    }
}

/// A file by way of a ready-made pager, mapped.
struct Ready<B: Backing> {
    _pager: FilePager<B>,
    base: usize,
    len: usize,
}

impl<B: Backing> Ready<B> {
    fn new(backing: B, pages: usize) -> Self {
        Self::with(PagerBuilder::new(), backing, pages)
    }

    fn with(builder: PagerBuilder, backing: B, pages: usize) -> Self {
        let pager = builder.read_ahead(NonZero::<u32>::MIN).open(backing).unwrap();
        let (vmo, kernel, mut base, len) = (pager.vmo().unwrap(), zx::kernel(), 0, pages * P);
        kernel.vmar_map(kernel.vmar_root_self(), ZX_VM_PERM_READ, 0, vmo.raw_handle(), 0, len, &mut base).unwrap();
        Self { _pager: pager, base, len }
    }

    fn load(&self, page: usize) -> u64 {
        load(self.base, page)
    }
}

impl<B: Backing> Drop for Ready<B> {
    fn drop(&mut self) {
        zx::kernel().vmar_unmap(zx::kernel().vmar_root_self(), self.base, self.len).unwrap();
    }
}

/// A side of loads: the first time some more before, until the budget is full.
fn side<'a>(sizes: Sizes, threads: usize, load: impl Fn(usize) -> u64 + Sync + 'a) -> Side<'a> {
    let mut samples = 0;
    Box::new(move |timer| {
        if samples == 0 {
            load_all(sizes.warming(), &load);
        }
        samples += 1;
        let (wrong, time) = load_all(sizes.loads(threads, samples), &load);
        timer.add(time);
        wrong
    })
}

fn cached(run: &mut Run) {
    let sizes = Sizes::of(run);
    let file = Made::new(sizes.pages);
    set_budget(Some(sizes.budget));
    run.samples(9);
    for threads in [1, 2] {
        let what = format!("Reclaim/Random/{threads}Threads");
        let paged = || {
            let paged = Paged::of_file(sizes.pages, file.open());
            side(sizes, threads, move |page| paged.load(page))
        };
        let raw = || {
            let cache = Cache::new(file.open(), sizes.pages, sizes.budget);
            side(sizes, threads, move |page| cache.load(page))
        };
        let per = sizes.loads as u64;
        let name = format!("{what} (pager; raw: own cache)");
        if run.wants(&name) {
            run.case(name, per, Target::Ratio(1.0), paged(), Some(raw()));
        }
        let name = format!("{what} (FilePager; raw: own cache)");
        if run.wants(&name) {
            let ready = Ready::new(file.open(), sizes.pages);
            let ready = side(sizes, threads, move |page| ready.load(page));
            run.case(name, per, Target::None, ready, Some(raw()));
        }
        let name = format!("{what} (in place; raw: own cache)");
        if run.wants(&name) {
            let ready = Ready::with(PagerBuilder::new().in_place(), file.open(), sizes.pages);
            let ready = side(sizes, threads, move |page| ready.load(page));
            run.case(name, per, Target::Ratio(1.0), ready, Some(raw()));
        }
    }
    let against = "Reclaim/Random/2Threads (pager; against 1 thread)";
    if run.wants(against) {
        let paged = Paged::of_file(sizes.pages, file.open());
        let side = |threads| side(sizes, threads, |page| paged.load(page));
        run.case(against.into(), sizes.loads as u64, Target::Ratio(1.0), side(2), Some(side(1)));
    }
    set_budget(None);
}

fn direct(run: &mut Run) {
    let sizes = Sizes::of(run).slow();
    if !run.wants("Reclaim/Random/Direct/1Threads") && !run.wants("Reclaim/Random/Direct/2Threads") {
        return;
    }
    let file = Made::new(sizes.pages);
    set_budget(Some(sizes.budget));
    run.samples(7);
    for threads in [1, 2] {
        let (what, per) = (format!("Reclaim/Random/Direct/{threads}Threads"), sizes.loads as u64);
        let ready = || {
            let ready = Ready::new(DirectFile::open(&file.path, false).unwrap(), sizes.pages);
            side(sizes, threads, move |page| ready.load(page))
        };
        match file.direct() {
            Ok(direct) => {
                let cache = Cache::new(direct, sizes.pages, sizes.budget);
                let raw = side(sizes, threads, move |page| cache.load(page));
                run.case(format!("{what} (FilePager; raw: own cache)"), per, Target::None, ready(), Some(raw));
            }
            Err(error) => eprintln!("{what} (raw: own cache): skipped: no O_DIRECT: {error}"),
        }
        // A process needs some memory for itself.
        let limit = ((sizes.budget * P) as u64).max(4 << 20);
        let short = Short { path: &file.path, limit };
        let name = format!("{what} (FilePager; raw: mmap in a group)");
        match short.load_all(Loads { loads: threads, ..sizes.loads(threads, 0) }) {
            Ok(_) => {
                let mut samples = 0;
                let raw: Side<'_> = Box::new(move |timer| {
                    samples += 1;
                    let (wrong, time) = short.load_all(sizes.loads(threads, samples)).unwrap();
                    timer.add(time);
                    wrong
                });
                run.case(name, per, Target::None, ready(), Some(raw));
            }
            Err(error) => eprintln!("{name}: skipped: {error}"),
        }
    }
    set_budget(None);
}

/// How long each load takes of pages that are not there: half of them, and 99 of 100, are faster than that.
fn latencies(base: usize, pages: impl Iterator<Item = usize>) -> [Duration; 2] {
    let mut times: Vec<Duration> = pages
        .map(|page| {
            let start = Instant::now();
            std::hint::black_box(load(base, page));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

fn latency(run: &mut Run) {
    let sizes = Sizes::of(run);
    let file = Made::new(sizes.pages);
    run.samples(15);
    for (place, what, target) in [(0, "Median", Target::None), (1, "P99", Target::Ratio(3.0))] {
        let name = format!("Reclaim/Fault/{what} (while evicting; raw: ours with room)");
        if !run.wants(&name) {
            continue;
        }
        // Every page once, so that each load is a fault.
        let order = |count: usize| (0..count).map(|k| k * 40_503 % sizes.pages);
        let evicting: Side<'_> = Box::new(|timer| {
            set_budget(Some(sizes.budget));
            let paged = Paged::of_file(sizes.pages, file.open());
            order(sizes.budget).for_each(|page| {
                std::hint::black_box(load(paged.base, page));
            });
            timer.add(latencies(paged.base, order(sizes.pages).skip(sizes.budget).take(sizes.loads))[place]);
            0
        });
        let with_room: Side<'_> = Box::new(|timer| {
            set_budget(None);
            let paged = Paged::of_file(sizes.pages, file.open());
            timer.add(latencies(paged.base, order(sizes.loads))[place]);
            0
        });
        run.case(name, 1, target, evicting, Some(with_room));
        set_budget(None);
    }
}

fn ages(run: &mut Run) {
    let name = "Reclaim/AgePass/1GiB (raw: MADV_DONTNEED)";
    if !run.wants(name) {
        return;
    }
    let pages = if run.smoke { 512 } else { 1 << 18 };
    let enter = |base: usize| (0..pages).fold(0_u64, |sum, page| sum.wrapping_add(load(base, page)));
    let paged = Paged::new(pages, 0, 1);
    paged.fill();
    let mapped = raw::Mapped::new(1, pages);
    mapped.commit();
    run.samples(9);
    let ours: Side<'_> = Box::new(|timer| {
        enter(paged.base);
        timer.time(|| zx::kernel().age_pass());
        raw::present(paged.base, pages)
    });
    let raw: Side<'_> = Box::new(|timer| {
        enter(mapped.base);
        timer.time(|| mapped.advise(rustix::mm::Advice::LinuxDontNeed));
        raw::present(mapped.base, pages)
    });
    run.case(name.into(), 1, Target::Most(20e6), ours, Some(raw));
}

fn taking(run: &mut Run) {
    let name = "Reclaim/Take/64MiB (per page; raw: PUNCH_HOLE of single pages)";
    if !run.wants(name) {
        return;
    }
    let pages = if run.smoke { 512 } else { 16_384 };
    run.samples(9);
    let ours: Side<'_> = Box::new(|timer| {
        let paged = Paged::new(pages, 0, 1);
        paged.fill();
        let before = zx::kernel().memory_stats().evicted;
        timer.time(|| zx::kernel().reclaim((pages * P) as u64));
        (zx::kernel().memory_stats().evicted - before) / P as u64
    });
    let raw: Side<'_> = Box::new(|timer| {
        let mapped = raw::Mapped::new(1, pages);
        mapped.commit();
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        timer.time(|| {
            let punch = |page: usize| rustix::fs::fallocate(&mapped.fds[0], flags, (page * P) as u64, P as u64);
            (0..pages).for_each(|page| punch(page).unwrap());
        });
        pages as u64 - raw::present(mapped.base, pages)
    });
    run.case(name.into(), pages as u64, Target::None, ours, Some(raw));
}

fn main() {
    if is_short() {
        return;
    }
    Run::main("reclaim", &[cached, latency, ages, taking, direct]);
}
