//! The mapping of the VMO, and what of it is there.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use zerocopy::{FromZeros, IntoBytes};
use zxvm_host::linux::Words;
use zxvm_host::{AddrRange, PAGE_SIZE};
use zxvm_pagers::{Backing, FilePager};
use zxvm_syscall::Kernel;
use zxvm_types::*;

use super::report::Memory;
use super::touch::Stage;
use crate::failure::{Failure, setup};
use crate::witness::{Witness, file_bytes};

/// The VMO, mapped as a whole.
pub struct Mapping<'k> {
    /// The engine.
    pub kernel: &'k Kernel,
    /// Its addresses.
    pub range: Range<u64>,
    /// Who looks at it.
    pub witness: Witness,
}

impl<'k> Mapping<'k> {
    /// Maps it, for stores as well if it is to be written.
    pub fn new(
        kernel: &'k Kernel,
        pager: &FilePager<Arc<dyn Backing>>,
        bytes: u64,
        write: bool,
    ) -> Result<Self, Failure> {
        let vmo = pager.vmo().map_err(|status| Failure::Setup { what: "a handle to the VMO", status })?;
        let options = ZX_VM_PERM_READ | if write { ZX_VM_PERM_WRITE } else { 0 };
        let (mut addr, len) = (0, bytes as usize);
        let mapped = kernel.vmar_map(kernel.vmar_root_self(), options, 0, vmo.raw_handle(), 0, len, &mut addr);
        setup("a mapping of the file", mapped)?;
        let end = addr as u64 + bytes.next_multiple_of(PAGE_SIZE);
        Ok(Self { kernel, range: addr as u64..end, witness: Witness::new()? })
    }

    /// Its words.
    pub fn words(&self) -> Result<Words, Failure> {
        let words = Words::new(AddrRange::from_bounds(self.range.start, self.range.end));
        words.ok_or(Failure::Setup { what: "the mapping", status: Status::BAD_STATE })
    }

    /// What the VMO has, by the engine.
    pub fn committed_bytes(&self, pager: &FilePager<Arc<dyn Backing>>) -> Result<u64, Failure> {
        let failed = |status| Failure::Setup { what: "ZX_INFO_VMO", status };
        let vmo = pager.vmo().map_err(failed)?;
        let mut info = zx_info_vmo_t::new_zeroed();
        let none = || None::<&mut usize>;
        let handle = vmo.raw_handle();
        let told = self.kernel.object_get_info(handle, ZX_INFO_VMO, info.as_mut_bytes().into(), none(), none());
        setup("ZX_INFO_VMO", told)?;
        Ok(info.committed_bytes)
    }

    /// What is there.
    pub fn memory(&self, stage: &Stage) -> Result<Memory, Failure> {
        let runs = in_steps(&self.range, |part| self.witness.present_runs(part))?;
        Ok(Memory {
            committed_bytes: self.committed_bytes(&stage.pager)?,
            linux_bytes: file_bytes()?,
            entries: runs,
            resident_bytes: self.witness.areas(&self.range)?.iter().map(|area| area.rss_bytes).sum(),
        })
    }

    /// How many of these pages are in memory, by the kernel.
    pub fn resident_pages(&self, runs: impl Iterator<Item = Range<u64>>) -> io::Result<u64> {
        let mut there = 0;
        for pages in runs {
            let [start, end] = [pages.start, pages.end].map(|page| self.range.start + page * PAGE_SIZE);
            there += in_steps(&(start..end), |part| self.witness.resident_runs(part))?;
        }
        Ok(there)
    }

    /// Unmaps it.
    pub fn end(self) -> Result<(), Failure> {
        let len = (self.range.end - self.range.start) as usize;
        let ended = self.kernel.vmar_unmap(self.kernel.vmar_root_self(), self.range.start as usize, len);
        setup("the end of the mapping", ended)
    }
}

/// Pages in runs of a range that may be too large to ask for at once.
fn in_steps(range: &Range<u64>, runs_of: impl Fn(&Range<u64>) -> io::Result<Vec<Range<u64>>>) -> io::Result<u64> {
    const STEP: u64 = 1 << 30;
    let mut pages = 0;
    let mut at = range.start;
    while at < range.end {
        let to = range.end.min(at + STEP);
        pages += runs_of(&(at..to))?.iter().map(|run| (run.end - run.start) / PAGE_SIZE).sum::<u64>();
        at = to;
    }
    Ok(pages)
}
