//! `cargo bench --bench paging`: what it costs that a program supplies memory, against the bare mechanisms in the same run.
//!
//! `ZXVM_FAULTS=inline` measures faults that are delivered in the faulting thread; without it a thread of ours reads them.
//! The bare mechanisms fill the page where the fault is delivered, from memory at hand. Ours wakes a pager, another thread,
//! which takes a packet from a port, fills a page, and supplies it: what a program that uses it pays.

use std::sync::Barrier;
use std::time::Instant;

use zxvm_bench::bare::Stopped;
use zxvm_bench::pager::{Aux, BareInThread, BareThread, Paged};
use zxvm_bench::raw::{self, P};
use zxvm_bench::run::Run;
use zxvm_bench::{Side, Target, Timer, zx};
use zxvm_types::*;

fn in_thread() -> bool {
    std::env::var("ZXVM_FAULTS").is_ok_and(|way| way == "inline")
}

/// The bare mechanism of the delivery that is measured.
enum Bare {
    Thread { _filled: BareThread },
    InThread { _filled: BareInThread },
}

impl Bare {
    fn new(base: usize, pages: usize) -> Self {
        match in_thread() {
            true => Self::InThread { _filled: BareInThread::new(base, pages) },
            false => Self::Thread { _filled: BareThread::new(base, pages, false) },
        }
    }
}

fn load(at: usize) -> u64 {
    // SAFETY: memory mapped by the caller.
    u64::from(unsafe { std::ptr::with_exposed_provenance::<u8>(at).read_volatile() })
}

/// All bytes, eight at a time.
fn sum(base: usize, pages: usize) -> u64 {
    let word = |at| {
        // SAFETY: as above.
        unsafe { std::ptr::with_exposed_provenance::<u64>(at).read_volatile() }
    };
    (base..base + pages * P).step_by(8).fold(0, |sum: u64, at| sum.wrapping_add(word(at)))
}

/// Each thread loads from pages of its own; how long all of it takes.
fn load_all(timer: &mut Timer, base: usize, pages: usize, threads: usize) -> u64 {
    let (start, each) = (Barrier::new(threads + 1), pages / threads);
    let mut begun = Instant::now();
    let mut found = 0;
    std::thread::scope(|scope| {
        let work = |thread: usize| {
            let start = &start;
            move || {
                start.wait();
                (0..each).map(|page| load(base + (thread * each + page) * P)).sum::<u64>()
            }
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
        start.wait();
        begun = Instant::now();
        found = running.into_iter().map(|thread| thread.join().unwrap()).sum();
        timer.add(begun.elapsed());
    });
    found
}

fn faults(run: &mut Run) {
    let pages = if run.smoke { 16 } else { 2048 };
    run.samples(9);
    for threads in run.sizes(&[1, 2, 4, 8]) {
        let what = format!("Paging/Fault/{threads}Threads");
        if !run.wants(&what) {
            continue;
        }
        let ours = || -> Side<'_> {
            Box::new(move |timer: &mut Timer| {
                let paged = Paged::new(pages, 0, 1);
                load_all(timer, paged.base, pages, threads)
            })
        };
        let bare: Side<'_> = Box::new(|timer| {
            let raw = raw::Mapped::new(1, pages);
            let _filled = Bare::new(raw.base, pages);
            load_all(timer, raw.base, pages, threads)
        });
        let target = if threads == 1 { Target::Ratio(1.25) } else { Target::None };
        let per = pages as u64;
        run.case(format!("{what} (per fault; raw: bare fault)"), per, target, ours(), Some(bare));
        let relayed: Side<'_> = Box::new(|timer| {
            let raw = raw::Mapped::new(1, pages);
            let _filled = BareThread::new(raw.base, pages, true);
            load_all(timer, raw.base, pages, threads)
        });
        run.case(
            format!("{what} (per fault; raw: by way of a second thread)"),
            per,
            Target::None,
            ours(),
            Some(relayed),
        );
    }
    run.samples(25);
}

fn scan(run: &mut Run) {
    let pages = if run.smoke { 64 } else { 16 << 10 };
    let what = "Paging/Scan/ReadAhead512Pages";
    if !run.wants(what) {
        return;
    }
    run.samples(9);
    let file = raw::Mapped::new(1, pages);
    (0..pages * P).step_by(P).for_each(|at| raw::touch(file.base + at, 1));
    let bytes = vec![1_u8; pages * P];
    rustix::io::pwrite(&file.fds[0], &bytes, 0).unwrap();
    let ours: Side<'_> = Box::new(|timer| {
        let paged = Paged::new(pages, 0, 512.min(pages));
        timer.time(|| sum(paged.base, pages))
    });
    let warm: Side<'_> = Box::new(|timer| {
        let mapped = raw::View::new(&file.fds[0], pages);
        timer.time(|| sum(mapped.base(), pages))
    });
    let name = format!("{what} (per page; raw: warm mmap)");
    run.case(name, pages as u64, Target::Ratio(1.0 / 0.7), ours, Some(warm));
    run.samples(25);
}

fn supply(run: &mut Run) {
    let what = "Paging/Supply/2MiB";
    if !run.wants(what) {
        return;
    }
    let pages = 512;
    let mut aux = Aux::new(pages);
    let ours: Side<'_> = Box::new(|timer| {
        let paged = Paged::new(pages, 0, 1);
        aux.fill(pages);
        timer.time(|| aux.hand_over(paged.pager, paged.vmo, 0, pages));
        0
    });
    let bytes = vec![1_u8; pages * P];
    let copy: Side<'_> = Box::new(|timer| {
        let fd = raw::memfd(pages);
        timer.time(|| rustix::io::pwrite(&fd, &bytes, 0).unwrap());
        0
    });
    run.case(format!("{what} (per page; raw: pwrite)"), pages as u64, Target::None, ours, Some(copy));
}

fn first_write(run: &mut Run) {
    let pages = if run.smoke { 16 } else { 2048 };
    run.samples(9);
    for (how, options) in [("Untrapped", 0), ("Trapped", ZX_VMO_TRAP_DIRTY)] {
        let what = format!("Paging/FirstWrite/{how}");
        if !run.wants(&what) {
            continue;
        }
        // Not neighbours: those are let go together.
        let step = pages.min(64);
        let store =
            |base: usize| (0..pages).for_each(|n| raw::touch(base + n * step % pages * P + n * step / pages * P, 1));
        let ours: Side<'_> = Box::new(|timer| {
            let paged = Paged::new(pages, options, 1);
            paged.fill();
            // Both sides have their entries.
            sum(paged.base, pages);
            timer.time(|| store(paged.base));
            0
        });
        let bare = raw::Mapped::new(1, pages);
        raw::touch(bare.base, pages);
        let stopped = Stopped::new(bare.base, pages);
        let bare_side: Side<'_> = Box::new(|timer| {
            stopped.protect();
            timer.time(|| store(bare.base));
            0
        });
        let target = if options == 0 { Target::Over(1500.0) } else { Target::None };
        run.case(format!("{what} (per page; raw: bare fault)"), pages as u64, target, ours, Some(bare_side));
    }
    run.samples(25);
}

fn dirty(run: &mut Run) {
    let pages = if run.smoke { 256 } else { 1 << 18 };
    let what = "Paging/QueryDirty/1GiB64th";
    if run.wants(what) {
        let paged = Paged::new(pages, 0, 1);
        let mut aux = Aux::new(1);
        for page in (0..pages).step_by(64) {
            aux.supply(paged.pager, paged.vmo, page, 1);
            raw::touch(paged.base + page * P, 1);
        }
        let mut records = vec![zx_vmo_dirty_range_t::default(); pages / 64];
        let ours: Side<'_> = Box::new(|timer| timer.time(|| paged.dirty(&mut records)) as u64);
        run.case(what.into(), 1, Target::Most(1.5e6), ours, None);
    }
    let what = "Paging/Writeback/64MiB";
    if run.wants(what) {
        run.samples(9);
        let pages = if run.smoke { 64 } else { 16 << 10 };
        let paged = Paged::new(pages, 0, 1);
        paged.fill();
        let bare = raw::Mapped::new(1, pages);
        raw::touch(bare.base, pages);
        let stopped = Stopped::new(bare.base, pages);
        let bytes = vec![2_u8; pages * P];
        let mut records = vec![zx_vmo_dirty_range_t::default(); 16];
        let ours: Side<'_> = Box::new(|timer| {
            zx::write(paged.vmo, &bytes);
            // Entries that may be stored through, as the other side has them.
            raw::touch(paged.base, pages);
            timer.time(|| {
                assert_eq!(paged.dirty(&mut records), 1);
                paged.op(ZX_PAGER_OP_WRITEBACK_BEGIN);
                paged.op(ZX_PAGER_OP_WRITEBACK_END);
            });
            0
        });
        let protect: Side<'_> = Box::new(|timer| {
            raw::touch(bare.base, pages);
            timer.time(|| stopped.protect());
            0
        });
        let name = format!("{what} (per page; raw: UFFDIO_WRITEPROTECT)");
        run.case(name, pages as u64, Target::None, ours, Some(protect));
        run.samples(25);
    }
}

fn main() {
    Run::main("paging", &[faults, scan, supply, first_write, dirty]);
}
