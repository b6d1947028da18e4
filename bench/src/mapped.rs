//! Raw Linux: a mapping of a file in a process that may have little memory.
//!
//! The bench runs itself once more as that process, which enters a control group, maps the file, loads, and prints what came out.
//! Pages of a file that are in the cache already count for whoever brought them in, so the file is taken out of it before: the process
//! reads from the disk, as who compares with it should.

use std::fs::File;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Advice as FileAdvice, fadvise, fstatfs};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap};
use zxvm_testkit::group::{self, MemoryGroup};

use crate::random::{self, Loads, WARMING};
use crate::raw::P;

/// Tells the process what to do.
const SHORT: &str = "ZXVM_BENCH_SHORT";

/// The type of a file system in memory, which gives nothing back when memory is short.
const TMPFS: i64 = 0x0102_1994;

/// A file to be mapped by a process that may have so many bytes.
pub struct Short<'a> {
    /// The file.
    pub path: &'a Path,
    /// Bytes for the process, all it needs included.
    pub limit: u64,
}

impl Short<'_> {
    /// Loads as [`random::load_all`] does, after as many loads of other pages by one thread as make twice the limit.
    ///
    /// # Errors
    /// Such a process cannot be had, and why.
    pub fn load_all(&self, what: Loads) -> Result<(u64, Duration)> {
        let file = File::open(self.path)?;
        if fstatfs(&file)?.f_type as i64 == TMPFS {
            return Err(Error::other("the file is in memory, not on a disk"));
        }
        file.sync_all()?;
        fadvise(&file, 0, None, FileAdvice::DontNeed)?;
        let group = MemoryGroup::new(self.limit)?;
        let warm = self.limit as usize / P * 2;
        let numbers = [what.pages, what.loads, what.threads, what.seed as usize, warm].map(|number| number.to_string());
        let mut child = Command::new(std::env::current_exe()?);
        child.env(SHORT, format!("{}\n{}\n{}", numbers.join(" "), group.folder().display(), self.path.display()));
        let output = child.output()?;
        let out = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<u64> = out.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [wrong, nanos] if output.status.success() => Ok((wrong, Duration::from_nanos(nanos))),
            _ => Err(Error::other(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))),
        }
    }
}

/// Whether this process is such a one; then it has done what it is for.
pub fn is_short() -> bool {
    let Ok(what) = std::env::var(SHORT) else { return false };
    let mut lines = what.lines();
    let mut next = || lines.next().expect("three lines");
    let numbers: Vec<usize> = next().split(' ').map(|number| number.parse().expect("a number")).collect();
    let (folder, path) = (PathBuf::from(next()), PathBuf::from(next()));
    let [pages, loads, threads, seed, warm] = numbers[..] else { panic!("five numbers") };
    group::enter(&folder).unwrap();
    let file = File::open(path).unwrap();
    // SAFETY: a new mapping at an address of the kernel's choice, there until the process ends; a page a fault, as others have it.
    let base = unsafe {
        let base = mmap(std::ptr::null_mut(), pages * P, ProtFlags::READ, MapFlags::SHARED, &file, 0).unwrap();
        madvise(base, pages * P, Advice::Random).unwrap();
        base.expose_provenance()
    };
    let load = |page| random::load(base, page);
    random::load_all(Loads { pages, loads: warm, threads: 1, seed: WARMING }, load);
    let (wrong, time) = random::load_all(Loads { pages, loads, threads, seed: seed as u64 }, load);
    println!("{wrong} {}", time.as_nanos());
    true
}
