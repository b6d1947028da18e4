//! Addresses, offsets and ranges that are right by construction.
//!
//! 1. Every range here is half-open, page-aligned at both ends and never wraps.
//! 2. An empty range is legal and contains nothing.
//! 3. The three kinds (addresses, VMO offsets, store offsets) do not mix: each is its own type.
//!
//! Check once at the door with `new`; further in, an unaligned or wrapping range cannot exist.

use core::fmt;

/// Bytes in a page. The library runs on 4 KiB pages only and refuses to start on others.
pub const PAGE_SIZE: u64 = 4096;

/// Why a pair of numbers is not a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The start or the length is not a multiple of the page size.
    #[error("not page-aligned")]
    Unaligned,
    /// The end does not fit the number.
    #[error("the end overflows")]
    Overflow,
}

/// `n` rounded up to whole pages; `None` where that overflows.
pub const fn round_up(n: u64) -> Option<u64> {
    match n.checked_add(PAGE_SIZE - 1) {
        Some(n) => Some(n & !(PAGE_SIZE - 1)),
        None => None,
    }
}

/// `n` rounded down to whole pages.
pub const fn round_down(n: u64) -> u64 {
    n & !(PAGE_SIZE - 1)
}

macro_rules! range_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name {
            start: u64,
            len: u64,
        }

        impl $name {
            /// The range `[start, start + len)`, both in bytes.
            ///
            /// # Errors
            /// [`RangeError`] where either number is unaligned or the end overflows.
            pub const fn new(start: u64, len: u64) -> Result<Self, RangeError> {
                if !start.is_multiple_of(PAGE_SIZE) || !len.is_multiple_of(PAGE_SIZE) {
                    return Err(RangeError::Unaligned);
                }
                if start.checked_add(len).is_none() {
                    return Err(RangeError::Overflow);
                }
                Ok(Self { start, len })
            }

            /// The range `[start, end)`, from numbers that are known to make one.
            ///
            /// # Panics
            /// If they do not: that is a broken invariant of ours.
            #[track_caller]
            pub const fn from_bounds(start: u64, end: u64) -> Self {
                assert!(start <= end && start.is_multiple_of(PAGE_SIZE) && end.is_multiple_of(PAGE_SIZE));
                Self { start, len: end - start }
            }

            /// First byte.
            pub const fn start(self) -> u64 {
                self.start
            }

            /// One past the last byte.
            pub const fn end(self) -> u64 {
                self.start + self.len
            }

            /// Length in bytes.
            pub const fn len(self) -> u64 {
                self.len
            }

            /// Length in pages.
            pub const fn pages(self) -> u64 {
                self.len / PAGE_SIZE
            }

            /// Whether nothing is in it.
            pub const fn is_empty(self) -> bool {
                self.len == 0
            }

            /// Whether `other` lies wholly inside.
            pub const fn contains(self, other: Self) -> bool {
                self.start <= other.start && other.end() <= self.end()
            }

            /// What both have in common, if that is at least a page.
            pub fn intersect(self, other: Self) -> Option<Self> {
                let start = self.start.max(other.start);
                let end = self.end().min(other.end());
                (start < end).then(|| Self::from_bounds(start, end))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}[{:#x}, {:#x})", stringify!($name), self.start, self.end())
            }
        }
    };
}

range_type! {
    /// Addresses of this process.
    AddrRange
}
range_type! {
    /// Offsets in a VMO.
    VmoRange
}
range_type! {
    /// Offsets in a [store](crate::StoreId).
    StoreRange
}

impl AddrRange {
    /// The start as a pointer-sized number.
    pub const fn addr(self) -> usize {
        self.start as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_aligned_and_does_not_wrap() {
        assert_eq!(AddrRange::new(1, 4096), Err(RangeError::Unaligned));
        assert_eq!(AddrRange::new(4096, 1), Err(RangeError::Unaligned));
        assert_eq!(AddrRange::new(u64::MAX - 4095, 4096), Err(RangeError::Overflow));
        assert_eq!(AddrRange::new(4096, 8192).unwrap().end(), 12288);
    }

    #[test]
    fn ranges_that_only_touch_do_not_intersect() {
        let a = VmoRange::from_bounds(0, 8192);
        let b = VmoRange::from_bounds(8192, 12288);
        assert_eq!(a.intersect(b), None);
        assert_eq!(a.intersect(VmoRange::from_bounds(4096, 12288)), Some(VmoRange::from_bounds(4096, 8192)));
    }

    #[test]
    fn rounding_knows_its_limits() {
        assert_eq!(round_up(1), Some(4096));
        assert_eq!(round_up(u64::MAX), None);
        assert_eq!(round_down(4097), 4096);
    }
}
