//! Where the tour plays: one VMAR, the VMOs alive at the moment with what they should hold, and the mappings of them.
//!
//! 1. Whoever makes a step first writes down here what the documentation says (contents, protections), then acts.
//! 2. [`Stage::step`] looks at Linux right before and right after the call, and checks contents only after that: reading
//!    an absent page through a mapping would commit it, so contents are read through mappings where the page table has
//!    an entry, and everywhere through `zx_vmo_read`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use zerocopy::{FromZeros, IntoBytes};
use zxvm_host::PAGE_SIZE;
use zxvm_syscall::Kernel;
use zxvm_types::*;

use super::report::{Figures, Row};
use super::verdict::{Counts, Documented, Seen, Terms, differences};
use crate::failure::{Failure, setup};
use crate::procfs;
use crate::progress::Progress;
use crate::witness::{Sight, Witness, huge_shared_pages};

/// Bytes compared at once.
const CHUNK: usize = 1 << 20;

/// The tour's place in the address space.
pub struct Stage<'k> {
    /// The engine.
    pub kernel: &'k Kernel,
    /// The VMAR that everything is mapped in, with every right.
    pub vmar: zx_handle_t,
    /// Address of its first byte.
    pub base: usize,
    range: Range<u64>,
    witness: Witness,
    terms: Terms,
    contents: BTreeMap<zx_handle_t, Vec<u8>>,
    leaving: Option<zx_handle_t>,
    mappings: BTreeMap<usize, Mapping>,
    group: &'static str,
    rows: Vec<Row>,
    progress: Progress,
}

/// A mapping that shows its VMO from the start.
struct Mapping {
    vmo: zx_handle_t,
    len: usize,
    access: Access,
}

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
}

impl Access {
    /// As options of `zx_vmar_map` and `zx_vmar_protect`.
    pub fn options(self) -> u32 {
        match self {
            Self::Read => ZX_VM_PERM_READ,
            Self::ReadWrite => ZX_VM_PERM_READ | ZX_VM_PERM_WRITE,
        }
    }

    /// As `smaps` writes it, of shared memory.
    fn perms(self) -> &'static str {
        match self {
            Self::Read => "r--s",
            Self::ReadWrite => "rw-s",
        }
    }
}

impl<'k> Stage<'k> {
    /// Allocates a VMAR of `pages`.
    pub fn new(kernel: &'k Kernel, pages: u64, progress: Progress) -> Result<Self, Failure> {
        let (mut vmar, mut base) = (ZX_HANDLE_INVALID, 0);
        let len = (pages * PAGE_SIZE) as usize;
        let options = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC;
        let made = kernel.vmar_allocate(kernel.vmar_root_self(), options, 0, len, &mut vmar, &mut base);
        setup("a VMAR to play in", made)?;
        let witness = Witness::new()?;
        let range = base as u64..(base + len) as u64;
        let terms = Terms {
            counts: if huge_shared_pages().is_some() { Counts::Shown } else { Counts::Judged },
            resident_base_bytes: witness.look(&range)?.resident_bytes,
            resident_slack_bytes: resident_slack_bytes()?,
        };
        Ok(Self {
            kernel,
            vmar,
            base,
            range,
            witness,
            terms,
            contents: BTreeMap::new(),
            leaving: None,
            mappings: BTreeMap::new(),
            group: "",
            rows: Vec::new(),
            progress,
        })
    }

    /// The rows of the tour, all steps being done.
    pub fn finish(self) -> Vec<Row> {
        self.progress.finish();
        self.rows
    }

    /// Whether page counts are judged here.
    pub fn counts(&self) -> Counts {
        self.terms.counts
    }

    /// Gives the following steps a heading.
    pub fn group(&mut self, title: &'static str) {
        self.group = title;
    }

    /// From now on the VMO is looked after; it should hold this.
    pub fn adopt(&mut self, vmo: zx_handle_t, content: Vec<u8>) {
        self.contents.insert(vmo, content);
    }

    /// What the VMO should hold. Empty for one that is not looked after.
    pub fn content(&mut self, vmo: zx_handle_t) -> &mut Vec<u8> {
        self.contents.entry(vmo).or_default()
    }

    /// The VMO's handle has been closed.
    pub fn forget(&mut self, vmo: zx_handle_t) {
        self.contents.remove(&vmo);
    }

    /// The next step closes the VMO's handle.
    pub fn leaves(&mut self, vmo: zx_handle_t) {
        self.leaving = Some(vmo);
    }

    /// There is a mapping at this address, or it has changed.
    pub fn shows(&mut self, addr: usize, vmo: zx_handle_t, len: usize, access: Access) {
        self.mappings.insert(addr, Mapping { vmo, len, access });
    }

    /// The mapping at this address is about to go.
    pub fn hides(&mut self, addr: usize) {
        self.mappings.remove(&addr);
    }

    /// Address of the page.
    pub fn at(&self, page: u64) -> usize {
        self.base + bytes(page)
    }

    /// Makes the call, and a row of what Linux then shows next to what is documented.
    pub fn step(
        &mut self,
        call: impl Into<String>,
        says: &'static str,
        documented: Documented,
        act: impl FnOnce(&mut Hands<'_>) -> Result<(), Status>,
    ) -> Result<(), Failure> {
        let call = call.into();
        self.progress.step(&call);
        let before = self.look()?;
        let mut hands = Hands { kernel: self.kernel, witness: &self.witness, progress: &self.progress };
        let start = Instant::now();
        let status = Status::from_result(act(&mut hands));
        let time = start.elapsed();
        if let Some(vmo) = self.leaving.take() {
            self.forget(vmo);
        }
        let after = self.look()?;
        let seen = Seen { status, linux: after.0, zx_committed_bytes: after.1 };
        let mut found = differences(&documented, &seen, &self.terms);
        found.extend(self.check_access()?);
        found.extend(self.check_content()?);
        self.rows.push(Row {
            number: self.rows.len() + 1,
            group: self.group,
            call,
            says,
            status: status.to_string(),
            documented_status: documented.status.to_string(),
            before: figures(before),
            after: figures(after),
            time_us: micros(time),
            as_documented: found.is_empty(),
            differences: found,
        });
        Ok(())
    }

    /// What Linux shows of the stage, and the committed bytes that the engine tells.
    fn look(&self) -> Result<(Sight, u64), Failure> {
        let mut committed = 0;
        for &vmo in self.contents.keys() {
            let mut info = zx_info_vmo_t::new_zeroed();
            let none = || None::<&mut usize>;
            // A VMO that could not be made has no figures; the row that made it says so.
            if self.kernel.object_get_info(vmo, ZX_INFO_VMO, info.as_mut_bytes().into(), none(), none()).is_ok() {
                committed += info.committed_bytes;
            }
        }
        Ok((self.witness.look(&self.range)?, committed))
    }

    /// Whether Linux lets every mapping do what it should, and no more. Past the end of its VMO that is nothing.
    fn check_access(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for (&addr, mapping) in &self.mappings {
            let end = self.contents.get(&mapping.vmo).map_or(0, Vec::len).min(mapping.len);
            let parts = [(addr..addr + end, mapping.access.perms()), (addr + end..addr + mapping.len, "---p")];
            for (part, perms) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
                for area in self.witness.areas(&(part.start as u64..part.end as u64))? {
                    if area.perms != perms {
                        found.push(format!("smaps has {} at {:#x}, documented is {perms}", area.perms, part.start));
                    }
                }
            }
            if mapping.access == Access::Read && self.witness.write(addr as u64, &[1]).is_ok() {
                found.push(format!("a store to read-only memory at {addr:#x} went through"));
            }
        }
        Ok(found)
    }

    /// Whether every VMO holds what it should, read by system call and through its mappings.
    fn check_content(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut buffer = vec![0; CHUNK];
        let all =
            self.contents.values().map(Vec::len).sum::<usize>() + self.mappings.values().map(|m| m.len).sum::<usize>();
        let mut done = 0;
        for (&vmo, content) in &self.contents {
            let mut at = 0;
            for expected in content.chunks(CHUNK) {
                let read = &mut buffer[..expected.len()];
                match self.kernel.vmo_read(vmo, read.into(), at as u64) {
                    Err(status) => found.push(format!("zx_vmo_read at {at:#x} ended with {status}")),
                    Ok(()) => found.extend(wrong_byte(&buffer, expected, at, "zx_vmo_read")),
                }
                at += expected.len();
                done += expected.len();
                self.progress.within(done, all);
            }
        }
        for (&addr, mapping) in &self.mappings {
            let Some(content) = self.contents.get(&mapping.vmo) else { continue };
            for run in self.witness.present_runs(&(addr as u64..(addr + mapping.len) as u64))? {
                let run = (run.start as usize - addr)..(run.end as usize - addr);
                let Some(expected) = content.get(run.clone()) else {
                    found.push(format!("the page table has pages past the end of the VMO, at {:#x}", addr + run.start));
                    continue;
                };
                for (expected, at) in expected.chunks(CHUNK).zip((run.start..).step_by(CHUNK)) {
                    match self.witness.read((addr + at) as u64, &mut buffer[..expected.len()]) {
                        Err(error) => found.push(format!("a load at {:#x} failed: {error}", addr + at)),
                        Ok(()) => found.extend(wrong_byte(&buffer, expected, at, "the mapping")),
                    }
                    done += expected.len();
                    self.progress.within(done, all);
                }
            }
        }
        // One is enough: the first wrong byte tells, and there may be millions.
        found.truncate(1);
        Ok(found)
    }
}

/// What a step may use.
pub struct Hands<'a> {
    /// The engine.
    pub kernel: &'a Kernel,
    /// For loads and stores through mappings.
    pub witness: &'a Witness,
    /// For steps that take long.
    pub progress: &'a Progress,
}

/// Bytes in so many pages.
pub fn bytes(pages: u64) -> usize {
    (pages * PAGE_SIZE) as usize
}

fn wrong_byte(read: &[u8], expected: &[u8], at: usize, from: &str) -> Option<String> {
    let read = &read[..expected.len()];
    if read == expected {
        return None;
    }
    let (index, (read, expected)) =
        read.iter().zip(expected).enumerate().find(|(_, (read, expected))| read != expected)?;
    Some(format!("{from} gives {read:#04x} at byte {:#x}, documented is {expected:#04x}", at + index))
}

fn figures((linux, zx_committed_bytes): (Sight, u64)) -> Figures {
    Figures {
        page_table_entries: linux.entries,
        committed_zx_bytes: zx_committed_bytes,
        committed_linux_bytes: linux.file_bytes,
        range_resident_bytes: linux.range_resident_bytes,
        resident_bytes: linux.resident_bytes,
    }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// Linux counts resident memory per processor and adds it up only when a part is full; before 6.17 what is left in the
/// parts is not shown.
fn resident_slack_bytes() -> io::Result<u64> {
    let release = rustix::system::uname();
    if procfs::kernel_version(&release.release().to_string_lossy()) >= Some((6, 17)) {
        return Ok(0);
    }
    let processors = procfs::processors(&fs::read_to_string("/proc/stat")?);
    Ok(processors * (2 * processors).max(32) * PAGE_SIZE)
}
