//! `cargo bench --bench snapshot`: what snapshots cost, against the bare mechanisms under them in the same run.
//!
//! The bare fault mechanism is a userfaultfd whose thread lets the store go and does nothing else: no copy, no look-up.
//! `MAP_PRIVATE` is the kernel's own copy on write, one way only. Not measured: the time in which the snapshot is closed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use zxvm_bench::bare::{Anonymous, Private, Stopped, Writer, fork};
use zxvm_bench::raw::{self, P};
use zxvm_bench::run::Run;
use zxvm_bench::{Side, Target, Timer, Unit, zx};
use zxvm_host::linux::{Delivery, LinuxHost};
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

/// Counts the bytes of the heap.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is passed on to the system's allocator; counting touches no memory of the blocks.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn snapshot(vmo: zx_handle_t, pages: usize) -> zx_handle_t {
    let mut child = 0;
    zx::kernel().vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, (pages * P) as u64, &mut child).unwrap();
    child
}

fn close(handle: zx_handle_t) {
    zx::kernel().handle_close(handle).unwrap();
}

/// Every page written anew, so that the next snapshot has nothing to share with an earlier one but frames of its own.
fn fresh(pages: usize) -> zx::Mapped {
    let mapped = zx::Mapped::new(1, pages);
    raw::touch(mapped.base, pages);
    mapped
}

fn create(run: &mut Run) {
    let pages = if run.smoke { 64 } else { 1 << 18 };
    run.samples(7);
    let what = "Snapshot/Create/1GiBResident";
    if run.wants(what) {
        let ours = fresh(pages);
        let raw = raw::Mapped::new(1, pages);
        raw::touch(raw.base, pages);
        let stopped = Stopped::new(raw.base, pages);
        let heap = Anonymous::new(pages);
        let ours_side = || -> Side<'_> {
            Box::new(|timer: &mut Timer| {
                raw::touch(ours.base, pages);
                let child = timer.time(|| snapshot(ours.vmos[0], pages));
                close(child);
                0
            })
        };
        let protect: Side<'_> = Box::new(|timer| {
            raw::touch(raw.base, pages);
            timer.time(|| stopped.protect());
            0
        });
        let fork_side: Side<'_> = Box::new(|timer| {
            raw::touch(heap.base(), pages);
            timer.add(fork());
            0
        });
        let name = |against| format!("{what} (per page; raw: {against})");
        run.case(name("UFFDIO_WRITEPROTECT"), pages as u64, Target::Most(100.0), ours_side(), Some(protect));
        run.case(name("fork"), pages as u64, Target::Ratio(1.0), ours_side(), Some(fork_side));
    }
    let what = "Snapshot/WriterStall/1GiBResident";
    if run.wants(what) {
        let ours = fresh(pages);
        let heap = Anonymous::new(pages);
        let (ours_writer, heap_writer) = (Writer::new(ours.base, pages), Writer::new(heap.base(), pages));
        let ours_side: Side<'_> = Box::new(|timer| {
            let mut child = 0;
            timer.add(ours_writer.longest(|| child = snapshot(ours.vmos[0], pages)));
            close(child);
            0
        });
        let fork_side: Side<'_> = Box::new(|timer| {
            timer.add(heap_writer.longest(|| {
                fork();
            }));
            0
        });
        run.case(format!("{what} (raw: fork)"), 1, Target::Ratio(1.0), ours_side, Some(fork_side));
        drop((ours_writer, heap_writer));
    }
    run.samples(25);
}

/// The pages in an order: one after the other, or far from each other.
fn order(pages: usize, writes: usize, scattered: bool) -> Vec<usize> {
    let step = if scattered { pages / writes * 7 + 1 } else { 1 };
    (0..writes).map(|n| n * step % pages).collect()
}

fn store(base: usize, order: &[usize]) {
    for page in order {
        raw::touch(base + page * P, 1);
    }
}

fn first_write(run: &mut Run) {
    let (pages, writes) = if run.smoke { (64, 8) } else { (1 << 16, 8192) };
    run.samples(7);
    for scattered in [false, true] {
        let places = order(pages, writes, scattered);
        let places = &places[..];
        let how = if scattered { "Scattered" } else { "Sequential" };
        let what = format!("Snapshot/FirstWrite/{how}");
        if !run.wants(&what) {
            continue;
        }
        let bare = raw::Mapped::new(1, pages);
        raw::touch(bare.base, pages);
        let stopped = Stopped::new(bare.base, pages);
        let bare_side = || -> Side<'_> {
            Box::new(|timer: &mut Timer| {
                stopped.protect();
                timer.time(|| store(bare.base, places));
                0
            })
        };
        let ours = fresh(pages);
        let k = zx::kernel();
        let ours_side = |mapped: bool| -> Side<'_> {
            let ours = &ours;
            Box::new(move |timer: &mut Timer| {
                let child = snapshot(ours.vmos[0], pages);
                let mut at = 0;
                if mapped {
                    let root = k.vmar_root_self();
                    k.vmar_map(root, zx::RW, 0, child, 0, pages * P, &mut at).unwrap();
                }
                timer.time(|| store(ours.base, places));
                if mapped {
                    k.vmar_unmap(k.vmar_root_self(), at, pages * P).unwrap();
                }
                close(child);
                0
            })
        };
        let name = |which, against| format!("{what}/{which} (per page; raw: {against})");
        let per = writes as u64;
        run.case(name("NobodyMapsIt", "bare fault"), per, Target::Ratio(1.5), ours_side(false), Some(bare_side()));
        run.case(name("MappedSnapshot", "bare fault"), per, Target::None, ours_side(true), Some(bare_side()));
        let private: Side<'_> = Box::new(|timer| {
            let private = Private::new(&bare.fds[0], pages);
            timer.time(|| store(private.base(), places));
            0
        });
        run.case(name("NobodyMapsIt", "MAP_PRIVATE"), per, Target::None, ours_side(false), Some(private));
        // The snapshot mapped and stored to, the VMO it was made of unmapped: the use that MAP_PRIVATE is made for.
        let template = zx::vmo(pages);
        k.vmo_op_range(
            template,
            ZX_VMO_OP_COMMIT,
            0,
            (pages * P) as u64,
            zxvm_host::user::UserSlice::from(&mut [][..]),
        )
        .unwrap();
        let clone: Side<'_> = Box::new(|timer| {
            let child = snapshot(template, pages);
            let mut at = 0;
            k.vmar_map(k.vmar_root_self(), zx::RW, 0, child, 0, pages * P, &mut at).unwrap();
            timer.time(|| store(at, places));
            k.vmar_unmap(k.vmar_root_self(), at, pages * P).unwrap();
            close(child);
            0
        });
        run.case(name("InTheClone", "bare fault"), per, Target::None, clone, Some(bare_side()));
        close(template);
    }
    run.samples(25);
}

/// The first write after a snapshot with an engine that asks in the thread that writes, against one whose own thread does.
fn deliveries(run: &mut Run) {
    let what = "Snapshot/FirstWrite/InThread";
    if !run.wants(what) {
        return;
    }
    let (pages, writes) = if run.smoke { (64, 8) } else { (1 << 13, 4096) };
    run.samples(15);
    let places = order(pages, writes, false);
    let side = |delivery| -> Side<'_> {
        let host = Arc::new(LinuxHost::new(delivery).unwrap());
        let k = Kernel::new(host, Config { root_len: 1 << 30, seed: 1 }).unwrap();
        let (len, mut vmo, mut base) = ((pages * P) as u64, 0, 0);
        k.vmo_create(len, 0, &mut vmo).unwrap();
        k.vmar_map(k.vmar_root_self(), zx::RW, 0, vmo, 0, pages * P, &mut base).unwrap();
        let places = &places;
        Box::new(move |timer: &mut Timer| {
            raw::touch(base, pages);
            let mut child = 0;
            k.vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, len, &mut child).unwrap();
            timer.time(|| store(base, places));
            k.handle_close(child).unwrap();
            0
        })
    };
    let name = format!("{what} (per page; raw: by the thread of the library)");
    run.case(name, writes as u64, Target::None, side(Delivery::InThread), Some(side(Delivery::Thread)));
    run.samples(25);
}

/// Lines of `/proc/self/maps` between two addresses.
fn vmas(base: usize, len: usize) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = |line: &str| usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    maps.lines().filter(|line| (base..base + len).contains(&start(line))).count()
}

fn memory(run: &mut Run) {
    if !run.wants("Snapshot/Memory") {
        return;
    }
    let (pages, writes) = if run.smoke { (64, 8) } else { (1 << 18, 10_000) };
    let ours = fresh(pages);
    let before = BYTES.load(Ordering::Relaxed);
    let child = snapshot(ours.vmos[0], pages);
    let each = (BYTES.load(Ordering::Relaxed) - before) as f64;
    run.count("Snapshot/Memory/PerChild".into(), Unit::Bytes, each, None, Target::None);
    let vmas_before = vmas(ours.base, ours.len);
    store(ours.base, &order(pages, writes, true));
    let added = vmas(ours.base, ours.len) - vmas_before;
    run.count(
        format!("Snapshot/VmasAdded/{writes}ScatteredWrites"),
        Unit::Count,
        added as f64,
        None,
        Target::Most(0.0),
    );
    let books = (BYTES.load(Ordering::Relaxed) - before) as f64;
    let held = |vmo| {
        let mut info = zx_info_vmo_t::default();
        let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut info);
        let none = None::<&mut usize>;
        let buffer = zxvm_host::user::UserSlice::from(bytes);
        zx::kernel().object_get_info(vmo, ZX_INFO_VMO, buffer, none, None::<&mut usize>).unwrap();
        info.committed_private_bytes
    };
    let copied = held(child) as f64 - (writes * P) as f64;
    run.count(format!("Snapshot/Memory/CopiedBeyond{writes}Writes"), Unit::Bytes, copied, None, Target::Most(0.0));
    let most = (pages * P) as f64 / 100.0;
    run.count(format!("Snapshot/Memory/BooksAfter{writes}Writes"), Unit::Bytes, books, None, Target::Most(most));
    close(child);
}

fn families(run: &mut Run) {
    let depth = if run.smoke { 5 } else { 100 };
    let side: Side<'_> = Box::new(|timer| {
        let first = zx::vmo(64);
        zx::write(first, &vec![1; 64 * P]);
        let mut chain = vec![first];
        timer.time(|| {
            for n in 0..depth {
                let child = snapshot(*chain.last().unwrap(), 64);
                zx::kernel()
                    .vmo_write(child, zxvm_host::user::UserRef::from(&[7; 1][..]), (n % 64 * P) as u64)
                    .unwrap();
                chain.push(child);
            }
        });
        let mut bytes = vec![0; 64 * P];
        zx::read(*chain.last().unwrap(), &mut bytes);
        zx::kernel().handle_close_many(&chain).unwrap();
        bytes.iter().map(|&byte| u64::from(byte)).sum()
    });
    run.case(format!("Snapshot/ChainOf{depth} (per snapshot and write)"), depth as u64, Target::None, side, None);
    let mut huge = 0;
    zx::kernel().vmo_create(1 << 40, 0, &mut huge).unwrap();
    let side: Side<'_> = Box::new(|timer| {
        let child = timer.time(|| snapshot(huge, 1 << 28));
        close(child);
        0
    });
    run.case("Snapshot/CreateOfEmpty/1TiB".into(), 1, Target::None, side, None);
    close(huge);
}

fn main() {
    Run::main("snapshot", &[families, memory, deliveries, first_write, create]);
}
