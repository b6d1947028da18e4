//! Which pages have a page-table entry, as the kernel tells it.
//!
//! 1. Two ways with the same answer: `PAGEMAP_SCAN` (Linux 6.7) reports runs, `pread` of `/proc/self/pagemap` every page.
//!    The scan is some three times cheaper where most pages are present.
//! 2. Runs are reported lowest first and never touch.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

use super::retry;
use super::sys::KeepErrno;
use crate::addr::{AddrRange, PAGE_SIZE};
use crate::api::{HostError, HostResult, RunSink};

/// `PAGE_IS_PRESENT`.
const PRESENT: u64 = 1 << 3;
/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const _: () = assert!(size_of::<Scan>() == 96);

/// Reports the runs without entries.
///
/// # Errors
/// `Other(ENOTTY)`: the kernel has no such call.
pub fn scan(pagemap: &OwnedFd, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
    let _errno = KeepErrno::new();
    let mut regions = [Region::default(); 64];
    let mut runs = Runs { run: None, sink };
    let mut at = range.start();
    while at < range.end() {
        let mut arg = Scan {
            size: size_of::<Scan>() as u64,
            start: at,
            end: range.end(),
            vec: regions.as_mut_ptr().expose_provenance() as u64,
            vec_len: regions.len() as u64,
            category_inverted: PRESENT,
            category_mask: PRESENT,
            return_mask: PRESENT,
            ..Scan::default()
        };
        // SAFETY: the argument and the vector it names are ours and as long as they say.
        let found = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
        let Ok(found) = usize::try_from(found) else {
            return Err(HostError::Other(KeepErrno::get()));
        };
        for region in &regions[..found] {
            runs.add(region.start, region.end);
        }
        at = arg.walk_end.max(at + PAGE_SIZE);
    }
    runs.end();
    Ok(())
}

/// The same from the table itself.
pub fn read(pagemap: &OwnedFd, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
    read_without(pagemap, range, 1 << 63, sink)
}

/// Reports the runs of pages that are not write-protected by a userfaultfd.
pub fn unguarded(pagemap: &OwnedFd, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
    read_without(pagemap, range, 1 << 57, sink)
}

/// Reports the runs whose entries do not have the bit.
fn read_without(pagemap: &OwnedFd, range: AddrRange, bit: u64, sink: RunSink<'_, AddrRange>) -> HostResult {
    let mut entries = [0_u8; 4096];
    let mut runs = Runs { run: None, sink };
    let mut at = range.start();
    while at < range.end() {
        let want = entries.len().min(((range.end() - at) / PAGE_SIZE * 8) as usize);
        let got = retry(|| rustix::io::pread(pagemap, &mut entries[..want], at / PAGE_SIZE * 8))?;
        if got == 0 || !got.is_multiple_of(8) {
            return Err(HostError::Other(Errno::IO.raw_os_error()));
        }
        for entry in entries[..got].chunks_exact(8) {
            if u64::from_ne_bytes(entry.try_into().expect("8 bytes")) & bit == 0 {
                runs.add(at, at + PAGE_SIZE);
            }
            at += PAGE_SIZE;
        }
    }
    runs.end();
    Ok(())
}

/// Joins what touches.
struct Runs<'a> {
    run: Option<(u64, u64)>,
    sink: RunSink<'a, AddrRange>,
}

impl Runs<'_> {
    fn add(&mut self, start: u64, end: u64) {
        match &mut self.run {
            Some((_, last)) if *last == start => *last = end,
            run => {
                let done = run.replace((start, end));
                self.report(done);
            }
        }
    }

    fn report(&mut self, run: Option<(u64, u64)>) {
        if let Some((start, end)) = run {
            (self.sink)(AddrRange::from_bounds(start, end));
        }
    }

    fn end(mut self) {
        let run = self.run.take();
        self.report(run);
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::linux::LinuxHost;
    use crate::{Access, Host, Prot, View};

    #[test]
    fn both_ways_give_the_same_answer() {
        let host = LinuxHost::new(crate::linux::Delivery::Thread).unwrap();
        let range = host.reserve(2048 * PAGE_SIZE).unwrap();
        let store = host.create_store().unwrap();
        host.map(range, View::Store { store, at: 0, prot: Prot::READ | Prot::WRITE }).unwrap();
        for page in (0..2048).filter(|page| page % 7 == 0 || page % 11 == 3) {
            let start = range.start() + page * PAGE_SIZE;
            host.populate(AddrRange::from_bounds(start, start + PAGE_SIZE), Access::Write).unwrap();
        }
        let collect = |way: fn(&OwnedFd, AddrRange, RunSink<'_, AddrRange>) -> HostResult| {
            let mut runs = Vec::new();
            way(&host.pagemap, range, &mut |run| runs.push(run)).map(|()| runs)
        };
        let expected = collect(read).unwrap();
        assert!(expected.len() > 300);
        match collect(scan) {
            Ok(runs) => assert_eq!(runs, expected),
            Err(error) => assert_eq!(error, HostError::Other(libc::ENOTTY), "this kernel should have it"),
        }
        host.release(range);
        host.close_store(store);
    }
}
