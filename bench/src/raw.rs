//! Raw Linux: memfds and shared mappings, as a C program would use them.

use std::os::fd::OwnedFd;
use std::ptr;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};

/// Bytes in a page.
pub const P: usize = 4096;
const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A memfd of so many pages.
pub fn memfd(pages: usize) -> OwnedFd {
    let fd = memfd_create("raw", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, (pages * P) as u64).unwrap();
    fd
}

/// So many memfds of so many pages, mapped one behind the other.
pub struct Mapped {
    /// The files.
    pub fds: Vec<OwnedFd>,
    /// The address of the first.
    pub base: usize,
    /// Pages of each.
    pub pages: usize,
}

impl Mapped {
    /// Maps them.
    pub fn new(count: usize, pages: usize) -> Self {
        let len = count * pages * P;
        // SAFETY: new mappings at an address of the kernel's choice, then inside it.
        unsafe {
            let base = mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE).unwrap() as usize;
            let map = |index: usize| {
                let fd = memfd(pages);
                let at = (base + index * pages * P) as *mut _;
                mmap(at, pages * P, RW, MapFlags::SHARED | MapFlags::FIXED, &fd, 0).unwrap();
                fd
            };
            Self { fds: (0..count).map(map).collect(), base, pages }
        }
    }

    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.fds.len() * self.pages * P
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives all memory back.
    pub fn punch(&self) {
        for fd in &self.fds {
            fallocate(fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, (self.pages * P) as u64).unwrap();
        }
    }

    /// Commits and populates.
    pub fn commit(&self) {
        for fd in &self.fds {
            fallocate(fd, FallocateFlags::KEEP_SIZE, 0, (self.pages * P) as u64).unwrap();
        }
        self.advise(Advice::LinuxPopulateWrite);
    }

    /// `madvise` of everything.
    pub fn advise(&self, advice: Advice) {
        advise(self.base, self.len(), advice);
    }

    /// `mprotect` of everything.
    pub fn protect(&self, flags: MprotectFlags) {
        // SAFETY: mappings of ours without references into them.
        unsafe { mprotect(self.base as *mut _, self.len(), flags).unwrap() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, known to nobody else.
        unsafe { munmap(self.base as *mut _, self.len()).unwrap() }
    }
}

/// `madvise`.
pub fn advise(base: usize, len: usize, advice: Advice) {
    // SAFETY: shared mappings of ours: no advice given here changes their content.
    unsafe { madvise(base as *mut _, len, advice).unwrap() }
}

/// Maps a page of a file and unmaps it again.
pub fn map_unmap(fd: &OwnedFd) {
    // SAFETY: a new mapping, gone before anybody knows it.
    unsafe {
        let at = mmap(ptr::null_mut(), P, RW, MapFlags::SHARED, fd, 0).unwrap();
        munmap(at, P).unwrap();
    }
}

/// Maps a page of a file at a fixed place inside a reservation, and reserves the place again.
pub fn map_unmap_fixed(fd: &OwnedFd, at: usize, page: usize) {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
    map_fixed(fd, at, page);
    // SAFETY: as in `map_fixed`.
    unsafe { mmap_anonymous(at as *mut _, P, ProtFlags::empty(), flags).unwrap() };
}

fn map_fixed(fd: &OwnedFd, at: usize, page: usize) {
    // SAFETY: the place is in a reservation of the caller's.
    unsafe { mmap(at as *mut _, P, RW, MapFlags::SHARED | MapFlags::FIXED, fd, (page * P) as u64).unwrap() };
}

/// One more mapping of a file, for reading.
pub struct View {
    base: usize,
    len: usize,
}

impl View {
    /// Maps so many pages.
    pub fn new(fd: &OwnedFd, pages: usize) -> Self {
        let len = pages * P;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, fd, 0).unwrap() as usize };
        Self { base, len }
    }

    /// Where it is.
    pub fn base(&self) -> usize {
        self.base
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, known to nobody else.
        unsafe { munmap(self.base as *mut _, self.len).unwrap() }
    }
}

/// Random places in a reservation.
pub struct Places {
    base: usize,
    len: usize,
    state: u64,
}

impl Places {
    /// Reserves `len` bytes.
    pub fn new(len: usize) -> Self {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags).unwrap() as usize };
        Self { base, len, state: 1 }
    }

    /// One more.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.base + (self.state >> 20) as usize % (self.len / P) * P
    }

    /// Maps a page of a file at one, for good.
    pub fn map(&mut self, fd: &OwnedFd, page: usize) {
        map_fixed(fd, self.next(), page);
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // SAFETY: reserved in `new`, and so was all mapped in it.
        unsafe { munmap(self.base as *mut _, self.len).unwrap() }
    }
}

/// Writes a byte to each page.
pub fn touch(base: usize, pages: usize) {
    for page in 0..pages {
        // SAFETY: memory mapped by the caller for this.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(base + page * P).write_volatile(1) }
    }
}

/// How many pages have a page-table entry.
pub fn present(base: usize, pages: usize) -> u64 {
    use std::os::unix::fs::FileExt;
    let pagemap = std::fs::File::open("/proc/self/pagemap").unwrap();
    let mut entries = vec![0; pages * 8];
    pagemap.read_exact_at(&mut entries, (base / P * 8) as u64).unwrap();
    entries.chunks_exact(8).filter(|entry| entry[7] & 0x80 != 0).count() as u64
}
