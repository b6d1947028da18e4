//! What Linux itself shows of this process's memory.
//!
//! 1. Nothing here asks the engine. Every figure is the kernel's: from `/proc`, from the metadata of an open file, or by `mincore(2)`.
//! 2. Looking changes nothing: no page is touched but by [`Witness::read`] and [`Witness::write`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

use zxvm_host::linux::resident;
use zxvm_host::{AddrRange, PAGE_SIZE};

use crate::procfs::{self, Area, PAGEMAP_ENTRY};

/// Open files of `/proc/self`.
pub struct Witness {
    pagemap: File,
    memory: File,
}

/// What there was at one moment. Bytes, but for `entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Pages of the range that have an entry in the page table.
    pub entries: u64,
    /// Resident bytes of the range, by `smaps`.
    pub range_resident_bytes: u64,
    /// What the whole process has resident of shared memory.
    pub resident_bytes: u64,
    /// Memory in all files that the engine keeps VMOs in, mapped or not.
    pub file_bytes: u64,
}

impl Witness {
    /// Opens what is needed: two file descriptors.
    pub fn new() -> io::Result<Self> {
        let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
        Ok(Self { pagemap: File::open("/proc/self/pagemap")?, memory })
    }

    /// Looks at a range of addresses (whole pages).
    pub fn look(&self, range: &Range<u64>) -> io::Result<Sight> {
        let status = fs::read_to_string("/proc/self/status")?;
        Ok(Sight {
            entries: self.present_runs(range)?.iter().map(|run| (run.end - run.start) / PAGE_SIZE).sum(),
            range_resident_bytes: self.areas(range)?.iter().map(|area| area.rss_bytes).sum(),
            resident_bytes: procfs::bytes_field(&status, "RssShmem").ok_or(io::ErrorKind::InvalidData)?,
            file_bytes: file_bytes()?,
        })
    }

    /// The runs of pages, as addresses, that have entries.
    pub fn present_runs(&self, range: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let mut entries = vec![0; ((range.end - range.start) / PAGE_SIZE) as usize * PAGEMAP_ENTRY];
        self.pagemap.read_exact_at(&mut entries, range.start / PAGE_SIZE * PAGEMAP_ENTRY as u64)?;
        let addr = |index| range.start + index * PAGE_SIZE;
        Ok(procfs::present_runs(&entries).into_iter().map(|run| addr(run.start)..addr(run.end)).collect())
    }

    /// The runs of pages, as addresses, that are in memory, whether they have entries or not. All of the range must be mapped.
    pub fn resident_runs(&self, range: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let addr = |index: usize| range.start + index as u64 * PAGE_SIZE;
        let pages = resident(AddrRange::from_bounds(range.start, range.end))?;
        let mut at = 0;
        let runs = pages.chunk_by(|a, b| a == b).filter_map(|run| {
            let start = at;
            at += run.len();
            run[0].then(|| addr(start)..addr(start + run.len()))
        });
        Ok(runs.collect())
    }

    /// The areas that touch the range.
    pub fn areas(&self, range: &Range<u64>) -> io::Result<Vec<Area>> {
        Ok(procfs::areas(&fs::read_to_string("/proc/self/smaps")?, range))
    }

    /// Loads from memory, as the program would; absent pages fault in.
    ///
    /// # Errors
    /// The program would die there.
    pub fn read(&self, addr: u64, to: &mut [u8]) -> io::Result<()> {
        self.memory.read_exact_at(to, addr)
    }

    /// Stores to memory, as the program would.
    ///
    /// # Errors
    /// The program would die there.
    pub fn write(&self, addr: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, addr)
    }
}

/// How many areas of memory Linux keeps track of: those that touch the range, and all.
pub fn areas_in(range: &Range<u64>) -> io::Result<(usize, usize)> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    Ok((procfs::areas(&maps, range).len(), maps.lines().count()))
}

/// Bytes of memory in the engine's files: what the kernel has allocated, whoever maps it.
pub fn file_bytes() -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        // One of the descriptors is that of the folder, gone by the time we ask.
        let Ok(target) = fs::read_link(&path) else { continue };
        if target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:zxvm ") {
            bytes += fs::metadata(&path)?.blocks() * BLOCK;
        }
    }
    Ok(bytes)
}

/// Bytes of memory that programs can have before the machine, or the group this process is in, runs out.
pub fn available_bytes() -> io::Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let machine = procfs::bytes_field(&meminfo, "MemAvailable").ok_or(io::ErrorKind::InvalidData)?;
    let group = crate::cgroup::memory().map(|group| group.limit_bytes.saturating_sub(group.used_bytes));
    Ok(group.map_or(machine, |group| group.min(machine)))
}

/// How Linux may use huge pages for shared memory, which then commits more than what is asked for.
pub fn huge_shared_pages() -> Option<String> {
    const DIR: &str = "/sys/kernel/mm/transparent_hugepage";
    let setting = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        procfs::chosen(&text).map(str::to_owned)
    };
    let on = |chosen: &str| matches!(chosen, "always" | "within_size" | "force");
    if let Some(all) = setting(&format!("{DIR}/shmem_enabled")).filter(|all| on(all)) {
        return Some(all);
    }
    let sizes = fs::read_dir(DIR).ok()?;
    sizes.filter_map(Result::ok).find_map(|size| {
        let chosen = setting(&format!("{}/shmem_enabled", size.path().display())).filter(|chosen| on(chosen))?;
        let name = size.file_name();
        Some(format!("{chosen} ({})", name.to_string_lossy().trim_start_matches("hugepages-")))
    })
}
