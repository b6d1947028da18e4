//! `cargo bench --bench file_pager`: a file through a ready-made pager, against Linux's own mapping of it in the same run.
//!
//! The file is in the page cache. Each sample maps it anew, so that every page faults, or is brought in by whoever reads ahead.
//! What is timed is a loop over all words of all pages. Not measured: making and ending mapping and pager.

use std::io::Write;
use std::os::fd::AsFd;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use zxvm_bench::raw::P;
use zxvm_bench::run::Run;
use zxvm_bench::{Side, Target, Timer, zx};
use zxvm_pagers::FilePager;
use zxvm_types::*;

/// What is done with so many pages from an address on.
type Work = fn(usize, usize) -> u64;

/// The sum of every word from there on.
fn scan(base: usize, pages: usize) -> u64 {
    let words = std::ptr::with_exposed_provenance::<u64>(base);
    // SAFETY: so many pages are mapped there by the caller.
    (0..pages * P / 8).fold(0, |sum, index| sum.wrapping_add(unsafe { words.add(index).read_volatile() }))
}

/// A word of every page, in an order that nobody foresees.
fn scatter(base: usize, pages: usize) -> u64 {
    let load = |k: usize| {
        let page = k * 40_503 % pages;
        // SAFETY: so many pages are mapped there by the caller.
        unsafe { std::ptr::with_exposed_provenance::<u64>(base + page * P).read_volatile() }
    };
    (0..pages).fold(0, |sum, k| sum.wrapping_add(load(k)))
}

fn file(pages: usize) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..pages * P).map(|at| (at / 11) as u8).collect();
    file.write_all(&bytes).unwrap();
    file
}

fn ours(timer: &mut Timer, file: &std::fs::File, pages: usize, work: Work) -> u64 {
    let pager = FilePager::new(file.try_clone().unwrap()).unwrap();
    let (vmo, kernel, mut base) = (pager.vmo().unwrap(), zx::kernel(), 0);
    let root = kernel.vmar_root_self();
    kernel.vmar_map(root, ZX_VM_PERM_READ, 0, vmo.raw_handle(), 0, pages * P, &mut base).unwrap();
    let sum = timer.time(|| work(base, pages));
    kernel.vmar_unmap(root, base, pages * P).unwrap();
    sum
}

fn linux(timer: &mut Timer, file: &std::fs::File, pages: usize, work: Work) -> u64 {
    // SAFETY: a new mapping at an address of the kernel's choice, without references into it when it ends.
    unsafe {
        let base = mmap(std::ptr::null_mut(), pages * P, ProtFlags::READ, MapFlags::SHARED, file.as_fd(), 0).unwrap();
        let sum = timer.time(|| work(base.expose_provenance(), pages));
        munmap(base, pages * P).unwrap();
        sum
    }
}

fn cases(run: &mut Run) {
    run.samples(9);
    let pages = if run.smoke { 64 } else { 16_384 };
    let file = &file(pages);
    let works: [(&str, Target, Work); 2] = [
        ("FilePager/Scan/64MiB", Target::Ratio(1.0 / 0.7), scan),
        ("FilePager/Scattered/64MiB", Target::None, scatter),
    ];
    for (what, target, work) in works {
        let ours: Side<'_> = Box::new(move |timer| ours(timer, file, pages, work));
        let linux: Side<'_> = Box::new(move |timer| linux(timer, file, pages, work));
        run.case(what.to_owned(), pages as u64, target, ours, Some(linux));
    }
}

fn main() {
    Run::main("file_pager", &[cases]);
}
