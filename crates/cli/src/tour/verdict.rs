//! Is what Linux shows what the documentation says? A pure comparison, so that it can be tested without a kernel.
//!
//! 1. No difference means "as documented"; every difference is told with both numbers.
//! 2. Two witnesses must agree as well: the engine's `ZX_INFO_VMO` with the files' blocks, the page table with `smaps`,
//!    and the page table with the process's `RssShmem` (within what Linux's own counter may be off).

use std::ops::RangeInclusive;

use zxvm_host::PAGE_SIZE;
use zxvm_types::Status;

use crate::table::counted;
use crate::witness::Sight;

/// What the documentation says of a step. Pages.
#[derive(Clone, Debug)]
pub struct Documented {
    /// How the call ends.
    pub status: Status,
    /// Entries in the page table afterwards.
    pub entries: RangeInclusive<u64>,
    /// Pages with memory behind them afterwards.
    pub committed: RangeInclusive<u64>,
}

impl Documented {
    /// The call succeeds, with exactly these numbers afterwards.
    pub fn ok(entries: u64, committed: u64) -> Self {
        Self::refused(Status::OK, entries, committed)
    }

    /// The call fails, with exactly these numbers afterwards.
    pub fn refused(status: Status, entries: u64, committed: u64) -> Self {
        Self { status, entries: entries..=entries, committed: committed..=committed }
    }

    /// Up to so many more entries may be there: Linux may enter the neighbours of a page it enters.
    pub fn or_more_entries(mut self, more: u64) -> Self {
        self.entries = *self.entries.start()..=self.entries.end() + more;
        self
    }
}

/// What was seen after the step.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// How the call ended.
    pub status: Status,
    /// What Linux shows.
    pub linux: Sight,
    /// What the engine says is committed, in bytes.
    pub zx_committed_bytes: u64,
}

/// What is taken into account.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Whether page counts can be exact. They cannot where Linux uses huge pages for shared memory.
    pub counts: Counts,
    /// Resident bytes of shared memory that are none of the tour's.
    pub resident_base_bytes: u64,
    /// By how much Linux's counter of resident memory may be off, in bytes.
    pub resident_slack_bytes: u64,
}

/// Whether page counts are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// They are.
    Judged,
    /// They are only shown.
    Shown,
}

/// Every difference, in words.
pub fn differences(documented: &Documented, seen: &Seen, terms: &Terms) -> Vec<String> {
    let mut found = Vec::new();
    if seen.status != documented.status {
        found.push(format!("ended with {}, documented is {}", seen.status, documented.status));
    }
    if terms.counts == Counts::Shown {
        return found;
    }
    let linux = &seen.linux;
    let mut compare = |what: &str, pages: u64, documented: &RangeInclusive<u64>| {
        if !documented.contains(&pages) {
            found.push(format!("{what} {}, documented is {}", counted(pages, "page"), in_words(documented)));
        }
    };
    compare("the page table has", linux.entries, &documented.entries);
    compare("Linux has committed", linux.file_bytes / PAGE_SIZE, &documented.committed);
    compare("ZX_INFO_VMO says", seen.zx_committed_bytes / PAGE_SIZE, &documented.committed);
    if seen.zx_committed_bytes != linux.file_bytes {
        let (zx, files) = (seen.zx_committed_bytes, linux.file_bytes);
        found.push(format!("ZX_INFO_VMO says {zx} bytes, Linux has {files} in its files"));
    }
    let entered = linux.entries * PAGE_SIZE;
    if linux.range_resident_bytes != entered {
        let resident = linux.range_resident_bytes;
        found.push(format!("smaps has {resident} bytes resident, the page table {entered}"));
    }
    let expected = entered + terms.resident_base_bytes;
    if linux.resident_bytes.abs_diff(expected) > terms.resident_slack_bytes {
        found.push(format!("RssShmem is {} bytes, the page table has {expected}", linux.resident_bytes));
    }
    found
}

fn in_words(range: &RangeInclusive<u64>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{} to {}", range.start(), range.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { counts: Counts::Judged, resident_base_bytes: 8192, resident_slack_bytes: 4096 };

    /// Three entries, four pages committed, and everybody says so.
    fn seen() -> Seen {
        let (entries, committed) = (3 * PAGE_SIZE, 4 * PAGE_SIZE);
        let linux = Sight {
            entries: 3,
            range_resident_bytes: entries,
            resident_bytes: entries + 8192 + 4096,
            file_bytes: committed,
        };
        Seen { status: Status::OK, linux, zx_committed_bytes: committed }
    }

    #[test]
    fn agreement_is_silent() {
        assert_eq!(differences(&Documented::ok(3, 4), &seen(), &TERMS), [""; 0]);
        assert_eq!(differences(&Documented::ok(1, 4).or_more_entries(2), &seen(), &TERMS), [""; 0]);
    }

    fn only(documented: Documented, seen: Seen) -> String {
        let found = differences(&documented, &seen, &TERMS);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn each_witness_can_object() {
        let refused = Documented::refused(Status::BAD_STATE, 3, 4);
        assert_eq!(only(refused, seen()), "ended with OK, documented is BAD_STATE");
        assert_eq!(only(Documented::ok(2, 4), seen()), "the page table has 3 pages, documented is 2");
        let few = Documented::ok(0, 4).or_more_entries(2);
        assert_eq!(only(few, seen()), "the page table has 3 pages, documented is 0 to 2");

        let mut other = seen();
        other.linux.range_resident_bytes = 0;
        assert_eq!(only(Documented::ok(3, 4), other), "smaps has 0 bytes resident, the page table 12288");
        let mut other = seen();
        other.linux.resident_bytes += 1024;
        assert_eq!(only(Documented::ok(3, 4), other), "RssShmem is 25600 bytes, the page table has 20480");
    }

    #[test]
    fn the_engine_and_linux_are_compared_with_each_other_too() {
        let mut other = seen();
        other.linux.file_bytes += 512;
        assert_eq!(only(Documented::ok(3, 4), other), "ZX_INFO_VMO says 16384 bytes, Linux has 16896 in its files");
        let found = differences(&Documented::ok(3, 5), &seen(), &TERMS);
        assert_eq!(
            found,
            ["Linux has committed 4 pages, documented is 5", "ZX_INFO_VMO says 4 pages, documented is 5"]
        );
    }

    #[test]
    fn counts_that_cannot_be_exact_are_not_judged_but_the_status_is() {
        let shown = Terms { counts: Counts::Shown, ..TERMS };
        assert_eq!(differences(&Documented::ok(7, 7), &seen(), &shown), [""; 0]);
        let refused = Documented::refused(Status::BAD_STATE, 7, 7);
        assert_eq!(differences(&refused, &seen(), &shown), ["ended with OK, documented is BAD_STATE"]);
    }
}
