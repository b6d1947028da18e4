//! What `--need` and `--dont-need` have said of parts of the file, and saying so to the engine.
//!
//! 1. Pages are needed, not needed, or neither; none is both.
//! 2. That pages are needed is said once, before any is touched: the mark stays with them. That they are not concerns pages that are
//!    there, so it is said again after every so many touches, however fast those are.

use std::ops::Range;

use serde::Serialize;
use zxvm_host::PAGE_SIZE;
use zxvm_syscall::Kernel;
use zxvm_types::{Status, ZX_VMAR_OP_ALWAYS_NEED, ZX_VMAR_OP_DONT_NEED};

use super::part::Part;

/// What was said of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// That it is always needed.
    Needed,
    /// That it is not needed.
    NotNeeded,
    /// Nothing.
    Nothing,
}

impl Said {
    /// All.
    pub const ALL: [Self; 3] = [Self::Needed, Self::NotNeeded, Self::Nothing];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::NotNeeded => "not needed",
            Self::Nothing => "all others",
        }
    }
}

/// Runs of pages, ascending, with what was said of them. Together they are the file.
#[derive(Clone, Debug)]
pub struct Hints {
    runs: Vec<(Range<u64>, Said)>,
}

impl Hints {
    /// # Errors
    /// A part is none of the file, or is said to be both.
    pub fn new(need: &[Part], dont_need: &[Part], file_bytes: u64) -> Result<Self, String> {
        let mut said = Vec::new();
        for (parts, what) in [(need, Said::Needed), (dont_need, Said::NotNeeded)] {
            for part in parts {
                said.push((part.pages(file_bytes)?, what, part));
            }
        }
        said.sort_by_key(|(pages, _, _)| (pages.start, pages.end));
        let (mut runs, mut end) = (Vec::<(Range<u64>, Said)>::new(), 0);
        let mut before = None;
        for (pages, what, part) in said {
            if let Some((last, last_part)) = before
                && pages.start < end
                && last != what
            {
                return Err(format!(
                    "the parts {last_part} and {part} have pages in common, and cannot be needed and not needed"
                ));
            }
            if pages.start > end {
                runs.push((end..pages.start, Said::Nothing));
            }
            if pages.end > end {
                runs.push((pages.start.max(end)..pages.end, what));
                (end, before) = (pages.end, Some((what, part)));
            }
        }
        let pages = file_bytes.div_ceil(PAGE_SIZE);
        if end < pages {
            runs.push((end..pages, Said::Nothing));
        }
        Ok(Self { runs })
    }

    /// Whether anything was said.
    pub fn are_given(&self) -> bool {
        self.runs.iter().any(|(_, said)| *said != Said::Nothing)
    }

    /// The runs of pages of which this was said.
    pub fn runs(&self, said: Said) -> impl Iterator<Item = Range<u64>> {
        self.runs.iter().filter(move |(_, what)| *what == said).map(|(pages, _)| pages.clone())
    }

    /// How many pages that is.
    pub fn pages(&self, said: Said) -> u64 {
        self.runs(said).map(|pages| pages.end - pages.start).sum()
    }

    /// Says of a mapping of the file at `addr` what is to be said so.
    ///
    /// # Errors
    /// The engine's.
    pub fn say(&self, kernel: &Kernel, addr: u64, said: Said) -> Result<(), Status> {
        let op = match said {
            Said::Needed => ZX_VMAR_OP_ALWAYS_NEED,
            Said::NotNeeded => ZX_VMAR_OP_DONT_NEED,
            Said::Nothing => return Ok(()),
        };
        for pages in self.runs(said) {
            let (start, len) = (addr + pages.start * PAGE_SIZE, (pages.end - pages.start) * PAGE_SIZE);
            kernel.vmar_op_range(kernel.vmar_root_self(), op, start as usize, len as usize, 0, 0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(need: &[&str], dont_need: &[&str]) -> Result<Vec<(Range<u64>, Said)>, String> {
        let parts = |parts: &[&str]| parts.iter().map(|part| part.parse().unwrap()).collect::<Vec<Part>>();
        Hints::new(&parts(need), &parts(dont_need), 100 * PAGE_SIZE).map(|hints| hints.runs)
    }

    #[test]
    fn every_page_is_in_one_run() {
        use Said::{Needed, NotNeeded, Nothing};
        assert_eq!(hints(&[], &[]).unwrap(), [(0..100, Nothing)]);
        let runs = hints(&["60%-70%", "10%-20%"], &["20%-30%", "90%-100%"]).unwrap();
        let expected = [
            (0..10, Nothing),
            (10..20, Needed),
            (20..30, NotNeeded),
            (30..60, Nothing),
            (60..70, Needed),
            (70..90, Nothing),
            (90..100, NotNeeded),
        ];
        assert_eq!(runs, expected);
        assert_eq!(
            hints(&["0%-50%", "10%-20%", "40%-60%"], &[]).unwrap(),
            [(0..50, Needed), (50..60, Needed), (60..100, Nothing)]
        );
    }

    #[test]
    fn no_page_is_needed_and_not_needed() {
        for (need, dont_need) in [("10%-20%", "19%-30%"), ("10%-50%", "20%-30%"), ("20%-30%", "10%-50%")] {
            let why = hints(&[need], &[dont_need]).unwrap_err();
            assert!(why.contains("cannot be needed and not needed"), "{why}");
        }
        // Not even where another needed part lies between.
        assert!(hints(&["0%-50%", "10%-20%"], &["30%-40%"]).is_err());
    }
}
