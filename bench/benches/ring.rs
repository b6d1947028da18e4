//! `cargo bench --bench ring`: transfers that a ready-made pager makes by io_uring, against `pread` and `pwrite` of as much, one
//! after the other, in the same run.
//!
//! Direct is past the page cache, to the disk that has the folder for temporary files; Cold is by way of a cache that has been
//! emptied of the file; Cached of one that has it. Only Writeback makes it durable. Where there is no io_uring both sides are
//! the same, and it is said.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Advice, OFlags, fadvise};
use zxvm_bench::raw::P;
use zxvm_bench::run::Run;
use zxvm_bench::{Side, Target, Timer};
use zxvm_host::linux::ring::{Ring, Transfer};
use zxvm_pagers::{Backing, DirectFile, FilePager, RingFile};

/// What a pager reads at once when accesses are in order, and writes at once.
const WINDOW: usize = 2 << 20;
const TOGETHER: usize = 256;

/// Bytes that start at a page.
struct Pages(Vec<u8>, usize);

impl Pages {
    fn new(bytes: usize) -> Self {
        let all = vec![0x5a; bytes + P];
        let start = all.as_ptr().align_offset(P);
        Self(all, start)
    }

    fn bytes(&mut self, len: usize) -> &mut [u8] {
        &mut self.0[self.1..self.1 + len]
    }
}

fn direct(path: &Path) -> File {
    let options = || OpenOptions::new().read(true).write(true).to_owned();
    let direct = options().custom_flags(OFlags::DIRECT.bits() as i32).open(path);
    direct.unwrap_or_else(|_| options().open(path).unwrap())
}

/// Where each page goes: apart from each other, each once.
fn places(file_pages: usize, pages: usize) -> Vec<u64> {
    let mut places: Vec<_> = (0..pages).map(|k| (k * 40_503 * 16 % file_pages * P) as u64).collect();
    places.sort_unstable();
    places.dedup();
    places
}

fn write_together(timer: &mut Timer, backing: &DirectFile, places: &[u64]) -> u64 {
    let mut data = Pages::new(TOGETHER * P);
    let data = &*data.bytes(TOGETHER * P);
    timer.time(|| {
        for places in places.chunks(TOGETHER) {
            let pieces: Vec<_> = places.iter().copied().zip(data.chunks(P)).collect();
            backing.write_many(&pieces).unwrap();
        }
    });
    places.len() as u64
}

fn write_in_turn(timer: &mut Timer, file: &File, places: &[u64]) -> u64 {
    let mut data = Pages::new(P);
    let data = &*data.bytes(P);
    timer.time(|| places.iter().for_each(|&at| file.write_all_at(data, at).unwrap()));
    places.len() as u64
}

fn write_by(timer: &mut Timer, ring: &mut Ring, file: &File, places: &[u64]) -> u64 {
    let page = [0x5a; P];
    let write = |&at| Transfer::Write { file: file.as_fd(), at, from: &page };
    let mut batch: Vec<_> = places.iter().map(write).collect();
    let results = timer.time(|| ring.run(&mut batch).unwrap());
    results.into_iter().filter(|result| result.as_ref().is_ok_and(|count| *count == P)).count() as u64
}

fn write_back(timer: &mut Timer, pager: &FilePager<DirectFile>, places: &[u64]) -> u64 {
    let vmo = pager.vmo().unwrap();
    places.iter().for_each(|&at| vmo.write(&[0x5a; P], at).unwrap());
    timer.time(|| pager.writeback().unwrap().bytes / P as u64)
}

fn read_all(timer: &mut Timer, bytes: usize, mut read: impl FnMut(u64, &mut [u8])) -> u64 {
    let mut buffer = Pages::new(WINDOW);
    let mut sum = 0_u64;
    for at in (0..bytes).step_by(WINDOW) {
        let window = buffer.bytes(WINDOW.min(bytes - at));
        timer.time(|| read(at as u64, black_box(&mut *window)));
        sum += window.iter().step_by(511).map(|byte| u64::from(*byte)).sum::<u64>();
    }
    sum
}

/// Takes the file out of the page cache.
fn cool(file: &File) {
    file.sync_all().unwrap();
    fadvise(file, 0, None, Advice::DontNeed).unwrap();
}

fn cases(run: &mut Run) {
    run.samples(9);
    let pages = if run.smoke { 1024 } else { 16_384 };
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("file");
    let mut file = File::create(path).unwrap();
    file.write_all(&(0..pages * P).map(|at| (at / 11) as u8).collect::<Vec<_>>()).unwrap();
    file.sync_all().unwrap();

    let (past_cache, raw_past_cache) = (&DirectFile::open(path, true).unwrap(), &direct(path));
    let cached = &OpenOptions::new().read(true).write(true).open(path).unwrap();
    let by_ring = &RingFile::new(cached.try_clone().unwrap());
    if let Some(why) = by_ring.why_not() {
        eprintln!("no io_uring: {why}");
    }
    if !past_cache.is_direct() {
        eprintln!("no O_DIRECT in {}", folder.path().display());
    }

    let bytes = pages * P;
    let ours: Side<'_> =
        Box::new(move |timer| read_all(timer, bytes, |at, to| _ = past_cache.read_at(at, to).unwrap()));
    let raw: Side<'_> =
        Box::new(move |timer| read_all(timer, bytes, |at, to| raw_past_cache.read_exact_at(to, at).unwrap()));
    run.case("Ring/Read/Direct/64MiB (per page; raw: pread)".to_owned(), pages as u64, Target::None, ours, Some(raw));

    let ours: Side<'_> = Box::new(move |timer| {
        cool(cached);
        read_all(timer, bytes, |at, to| _ = by_ring.read_at(at, to).unwrap())
    });
    let raw: Side<'_> = Box::new(move |timer| {
        cool(cached);
        read_all(timer, bytes, |at, to| cached.read_exact_at(to, at).unwrap())
    });
    run.case("Ring/Read/Cold/64MiB (per page; raw: pread)".to_owned(), pages as u64, Target::None, ours, Some(raw));
    let ours: Side<'_> = Box::new(move |timer| read_all(timer, bytes, |at, to| _ = by_ring.read_at(at, to).unwrap()));
    let raw: Side<'_> = Box::new(move |timer| read_all(timer, bytes, |at, to| cached.read_exact_at(to, at).unwrap()));
    run.case("Ring/Read/Cached/64MiB (per page; raw: pread)".to_owned(), pages as u64, Target::None, ours, Some(raw));

    let places = &places(pages, pages / 16);
    let count = places.len() as u64;
    let ours: Side<'_> = Box::new(move |timer| write_together(timer, past_cache, places));
    let raw: Side<'_> = Box::new(move |timer| write_in_turn(timer, raw_past_cache, places));
    run.case(
        "Ring/Write/Direct/ScatteredPages (per page; raw: pwrite)".to_owned(),
        count,
        Target::None,
        ours,
        Some(raw),
    );

    // What RingFile does not do, and why.
    if let Ok(mut ring) = Ring::new(64) {
        let ours: Side<'_> = Box::new(move |timer| write_by(timer, &mut ring, cached, places));
        let raw: Side<'_> = Box::new(move |timer| write_in_turn(timer, cached, places));
        let name = "Ring/Write/Cached/ScatteredPages (per page; raw: pwrite)";
        run.case(name.to_owned(), count, Target::None, ours, Some(raw));
    }

    // With all that a writeback does besides, and durable.
    let pager = &FilePager::new(DirectFile::open(path, true).unwrap()).unwrap();
    let ours: Side<'_> = Box::new(move |timer| write_back(timer, pager, places));
    let raw: Side<'_> = Box::new(move |timer| {
        let written = write_in_turn(timer, raw_past_cache, places);
        timer.time(|| raw_past_cache.sync_data().unwrap());
        written
    });
    let name = "Ring/Writeback/Direct/ScatteredPages (per page; raw: pwrite+fdatasync)";
    run.case(name.to_owned(), count, Target::None, ours, Some(raw));
}

fn main() {
    Run::main("ring", &[cases]);
}
