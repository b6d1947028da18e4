//! Do all say the same of memory: the stores that were made, the engine, and Linux? Pure comparisons.
//!
//! 1. The engine tells 1/n of a page exactly but for less than 2^-63 byte. So much per page is forgiven, and nothing else.
//! 2. Linux counts whole pages. It is asked only where its count can be exact.

use zxvm_host::PAGE_SIZE;
use zxvm_types::zx_info_vmo_t;

use super::family::{BYTE, Fine, Portion};
use crate::table::counted;

/// What `ZX_INFO_VMO` says of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Committed, in bytes.
    pub committed_bytes: u64,
    /// Of these, no other VMO's as well.
    pub private_bytes: u64,
    /// Each page divided by the number of those who share it.
    pub scaled: Fine,
}

impl From<&zx_info_vmo_t> for Told {
    fn from(info: &zx_info_vmo_t) -> Self {
        let whole = Fine::from(info.committed_scaled_bytes) * BYTE;
        Self {
            committed_bytes: info.committed_bytes,
            private_bytes: info.committed_private_bytes,
            scaled: whole + Fine::from(info.committed_fractional_scaled_bytes),
        }
    }
}

/// In bytes, rounded.
pub fn rounded(fine: Fine) -> u64 {
    ((fine + BYTE / 2) / BYTE) as u64
}

/// Where the engine says something else of this member than the stores do.
pub fn of_member(name: &str, portion: &Portion, told: &Told) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, pages: u64, bytes: u64| {
        if bytes != pages * PAGE_SIZE {
            let documented = counted(pages, "page");
            found.push(format!("{name}: ZX_INFO_VMO says {bytes} bytes {what}, documented is {documented}"));
        }
    };
    compare("committed", portion.pages, told.committed_bytes);
    compare("private", portion.alone, told.private_bytes);
    if told.scaled.abs_diff(portion.scaled) > Fine::from(portion.pages) {
        let of = |fine| fine as f64 / BYTE as f64;
        let (says, documented) = (of(told.scaled), of(portion.scaled));
        found.push(format!("{name}: ZX_INFO_VMO says {says} scaled bytes, documented is {documented}"));
    }
    found
}

/// Where the shares of all, the frames and the memory that Linux holds are not the same.
pub fn of_all(pages: u64, frames: u64, told: &[Told], linux_bytes: Option<u64>) -> Vec<String> {
    let mut found = Vec::new();
    let bytes = frames * PAGE_SIZE;
    let scaled: Fine = told.iter().map(|told| told.scaled).sum();
    if scaled.abs_diff(Fine::from(bytes) * BYTE) > Fine::from(pages) * told.len() as Fine {
        let says = scaled as f64 / BYTE as f64;
        found.push(format!("the scaled bytes of all are {says}, the frames {bytes}"));
    }
    if let Some(linux) = linux_bytes.filter(|&linux| linux != bytes) {
        found.push(format!("Linux has {linux} bytes in its files, the frames are {bytes}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven pages: one alone, six shared by three.
    fn portion() -> Portion {
        let third = Fine::from(PAGE_SIZE) * BYTE / 3;
        Portion { pages: 7, alone: 1, scaled: Fine::from(PAGE_SIZE) * BYTE + 6 * third }
    }

    fn told() -> Told {
        let committed_bytes = 7 * PAGE_SIZE;
        Told { committed_bytes, private_bytes: PAGE_SIZE, scaled: 3 * Fine::from(PAGE_SIZE) * BYTE }
    }

    #[test]
    fn what_thirds_leave_over_is_forgiven() {
        assert_eq!(of_member("#1", &portion(), &told()), [""; 0]);
        assert_eq!(of_all(7, 9, &[told(); 3], Some(9 * PAGE_SIZE)), [""; 0]);
        assert_eq!(of_all(7, 9, &[told(); 3], None), [""; 0]);
        assert_eq!(rounded(portion().scaled), 3 * PAGE_SIZE);
    }

    #[test]
    fn nothing_else_is() {
        let only = |told: Told| {
            let found = of_member("#1", &portion(), &told);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].clone()
        };
        let committed = only(Told { committed_bytes: 6 * PAGE_SIZE, ..told() });
        assert_eq!(committed, "#1: ZX_INFO_VMO says 24576 bytes committed, documented is 7 pages");
        let private = only(Told { private_bytes: 0, ..told() });
        assert_eq!(private, "#1: ZX_INFO_VMO says 0 bytes private, documented is 1 page");
        let scaled = only(Told { scaled: told().scaled + 100, ..told() });
        assert!(scaled.starts_with("#1: ZX_INFO_VMO says 12288 scaled bytes"), "{scaled}");
        assert_eq!(of_all(7, 10, &[told(); 3], Some(9 * PAGE_SIZE)).len(), 2);
    }
}
