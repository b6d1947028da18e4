//! The queries on a mapping of Linux's own, in a control group with a limit.
//!
//! 1. What is in the cache of Linux already does not count for the group, so the file is taken out of it before.
//! 2. The advice is what suits the queries best of all that Linux has: nothing is read around a fault, since the kernel may be set to read
//!    half of the budget there; what is wanted soon is said to be; what a query is done with can go.

use std::fs::{File, read_to_string};
use std::path::Path;
use std::time::Instant;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap};
use zxvm_testkit::group;

use crate::table::{Table, Use};
use crate::{Outcome, Result};

/// The queries, by this process, which enters the group.
pub fn run(path: &Path, table: Table, group: &Path) -> Result<Outcome> {
    group::enter(group)?;
    let file = File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let len = table.len() as usize;
    // SAFETY: a new mapping at an address of the kernel's choice, there as long as this process lives; nobody writes to the file.
    let bytes = unsafe {
        let base = mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, &file, 0)?;
        std::slice::from_raw_parts(base.cast::<u8>(), len)
    };
    let advise = |range: std::ops::Range<usize>, advice| {
        let part = &bytes[range];
        // SAFETY: advice on a mapping of a file, which changes no content.
        unsafe { madvise(part.as_ptr().cast_mut().cast(), part.len(), advice).expect("it is mapped") };
    };
    advise(0..len, Advice::Random);
    let mut resident = 0;
    let before = read_bytes()?;
    let begun = Instant::now();
    let sums = table.run(bytes, &mut |what| {
        resident = resident.max(mapped_bytes());
        match what {
            Use::Always(range) | Use::Soon(range) => advise(range, Advice::WillNeed),
            Use::DoneWith(range) => advise(range, Advice::LinuxCold),
        }
    });
    let time = begun.elapsed();
    Ok(Outcome { time, sums, brought: read_bytes()? - before, resident })
}

/// Bytes that this process has read from the disk.
fn read_bytes() -> Result<u64> {
    let io = read_to_string("/proc/self/io")?;
    let read =
        io.lines().find_map(|line| line.strip_prefix("read_bytes: ")).ok_or("Linux does not tell what was read")?;
    Ok(read.parse()?)
}

/// Bytes of files that this process has mapped and in memory. Nothing where Linux does not tell.
fn mapped_bytes() -> u64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("RssFile:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(0, |kib: u64| kib << 10)
}
