//! Memory of mappings, touched by its address; and a region of address space for one test.
#![allow(dead_code)] // each test program uses its part of this

pub mod budget;
pub mod family;
pub mod pager;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zxvm as zx;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::UserRef;

use zx::VmarFlags as F;

/// Bytes in a page.
pub const P: usize = 4096;

/// Readable and writable.
pub const RW: F = F::PERM_READ.union(F::PERM_WRITE);

/// Everything that a region can allow but execution.
pub const CAN_MAP: F = F::CAN_MAP_READ.union(F::CAN_MAP_WRITE).union(F::CAN_MAP_SPECIFIC);

/// The byte at `addr`, which the test has mapped readable.
pub fn peek(addr: usize) -> u8 {
    // SAFETY: mapped readable by the test, which forms no references to it.
    unsafe { std::ptr::with_exposed_provenance::<u8>(addr).read_volatile() }
}

/// Stores a byte at `addr`, which the test has mapped writable.
pub fn poke(addr: usize, byte: u8) {
    // SAFETY: mapped writable by the test, which forms no references to it.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(addr).write_volatile(byte) }
}

/// Loads a word at `addr`, which the test has mapped readable, with whatever was stored before it.
pub fn load_word(addr: usize) -> u64 {
    word_at(addr).load(Ordering::Acquire)
}

/// Stores a word at `addr`, which the test has mapped writable, after all that this thread has stored before.
pub fn store_word(addr: usize, word: u64) {
    word_at(addr).store(word, Ordering::Release);
}

fn word_at(addr: usize) -> &'static AtomicU64 {
    assert_eq!(addr % align_of::<AtomicU64>(), 0);
    // SAFETY: mapped and aligned; the test accesses it by atomics only, and does not use this after it unmaps it.
    unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(addr)) }
}

/// How a load from `addr` would end. The address must be one that only the test uses.
pub fn try_peek(addr: usize) -> Result<u8, zx::Status> {
    let vmo = zx::Vmo::create(1)?;
    // SAFETY: as in `try_poke`. A page that is not there is an error.
    let from = unsafe { UserRef::from_raw_parts(addr, 1) };
    Kernel::current()?.vmo_write(vmo.raw_handle(), from, 0)?;
    vmo.read_to_object(0)
}

/// How a store to `addr` would end. The address must be one that only the test uses.
pub fn try_poke(addr: usize, byte: u8) -> Result<(), zx::Status> {
    let vmo = zx::Vmo::create(1)?;
    vmo.write(&[byte], 0)?;
    // SAFETY: only the test uses the address, and it forms no references to it.
    unsafe { vmo.read_raw(std::ptr::with_exposed_provenance_mut::<u8>(addr), 1, 0) }
}

/// Tells threads to stop when it is dropped, by a failed check as well: the scope that waits for them can then end.
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A region of the root VMAR, destroyed on drop.
pub struct Region {
    pub vmar: zx::Vmar,
    pub base: usize,
}

impl Region {
    pub fn new(pages: usize) -> Self {
        Self::with(pages, CAN_MAP)
    }

    pub fn with(pages: usize, flags: F) -> Self {
        let (vmar, base) = zx::runtime::vmar_root_self().allocate(0, pages * P, flags).expect("room in the root");
        Self { vmar, base }
    }

    /// Maps a new VMO of so many pages at this page of the region.
    pub fn map_new(&self, at_page: usize, pages: usize) -> (zx::Vmo, usize) {
        let vmo = zx::Vmo::create((pages * P) as u64).expect("a VMO");
        let addr = self.vmar.map(at_page * P, &vmo, 0, pages * P, RW | F::SPECIFIC).expect("room in the region");
        assert_eq!(addr, self.base + at_page * P);
        (vmo, addr)
    }

    /// Maps so many pages of a VMO, from its page `from` on, at this page of the region.
    pub fn map(&self, at_page: usize, vmo: &zx::Vmo, from: usize, pages: usize, flags: F) -> usize {
        let at = self.vmar.map(at_page * P, vmo, (from * P) as u64, pages * P, flags | F::SPECIFIC);
        assert_eq!(at, Ok(self.base + at_page * P));
        self.base + at_page * P
    }

    /// Unmaps so many pages of the region.
    pub fn unmap(&self, at_page: usize, pages: usize) {
        // SAFETY: tests keep no references into their regions.
        unsafe { self.vmar.unmap(self.page(at_page), pages * P) }.expect("part of the region");
    }

    /// The address of a page of the region.
    pub fn page(&self, page: usize) -> usize {
        self.base + page * P
    }

    /// Another handle to the region without these rights.
    pub fn without(&self, rights: zx::Rights) -> zx::Vmar {
        self.vmar.duplicate_handle(self.vmar.basic_info().unwrap().rights - rights).unwrap()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: tests keep no references into their regions. BAD_STATE: the test destroyed it.
        let result = unsafe { self.vmar.destroy() };
        assert!(matches!(result, Ok(()) | Err(zx::Status::BAD_STATE)), "{result:?}");
    }
}

/// Whether a fault that Linux itself makes can be served: it can be by a userfaultfd for all faults, and a thread that reads it.
pub fn linux_may_fault() -> bool {
    if std::env::var("ZXVM_FAULTS").is_ok_and(|word| word == "inline") {
        return false;
    }
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let privileged = u64::from_str_radix(effective, 16).unwrap() & CAP_SYS_PTRACE != 0;
    let allowed = std::fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd").is_ok_and(|text| text.trim() == "1");
    let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/userfaultfd").is_ok();
    privileged || allowed || device
}
