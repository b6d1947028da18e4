//! Who answers for which memory: vmo.md §3.7.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Model, ObjectId};
use crate::PAGE;

/// The figures of some pages, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// Of committed pages.
    pub committed: u64,
    /// Of those that no other content shows.
    pub private: u64,
    /// How many pages there are that so many contents show.
    pages_by_holders: BTreeMap<u64, u64>,
}

/// One byte as a fixed-point number.
const ONE_BYTE: u128 = 1 << 63;

impl Attribution {
    /// Each page divided by the number of contents that show it: whole bytes, and the rest in units of 2^-63 byte.
    pub fn scaled(&self) -> (u64, u64) {
        let scaled = self.scaled_fixed();
        ((scaled / ONE_BYTE) as u64, (scaled % ONE_BYTE) as u64)
    }

    fn scaled_fixed(&self) -> u128 {
        let parts = self.pages_by_holders.iter();
        parts.map(|(&holders, &pages)| u128::from(pages * PAGE) * ONE_BYTE / u128::from(holders)).sum()
    }

    /// As [`Attribution::scaled`], or as the engine gave it: in which step it rounds is its own affair, as long as no page
    /// is off by more than its rests.
    pub(super) fn scaled_as(&self, given: Option<(u64, u64)>) -> (u64, u64) {
        let close = |&(bytes, fraction): &(u64, u64)| {
            let value = u128::from(bytes) * ONE_BYTE + u128::from(fraction);
            let rests: u64 = self.pages_by_holders.iter().map(|(holders, pages)| (holders - 1) * pages).sum();
            u128::from(fraction) < ONE_BYTE && value.abs_diff(self.scaled_fixed()) <= u128::from(rests)
        };
        given.filter(close).unwrap_or_else(|| self.scaled())
    }
}

impl Model {
    /// The figures of the pages that the VMO shows between two of its offsets. A slice or a reference shows pages too,
    /// but does not answer for them: that is for the caller to say.
    pub fn attribution(&self, vmo: ObjectId, from: u64, to: u64) -> Attribution {
        let (start, size) = (self.start(vmo), self.size(vmo));
        let mut figures = Attribution::default();
        for (_, frame) in self.content(vmo).pages.frames(start + from.min(size), start + to.min(size)) {
            let holders = Rc::strong_count(frame) as u64;
            figures.committed += PAGE;
            if holders == 1 {
                figures.private += PAGE;
            }
            *figures.pages_by_holders.entry(holders).or_default() += 1;
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use zxvm_types::*;

    use super::super::Birth;
    use super::*;
    use crate::op::{Buffer, CreateChild, Lost, Op, Outcome};

    /// A model that is told that every call went well. Handles and koids are counted up.
    struct Family {
        model: Model,
        next: u32,
    }

    impl Family {
        fn new() -> Self {
            let birth = Birth {
                process: (3, 1024),
                job: 1025,
                name: [0; ZX_MAX_NAME_LEN],
                root: (7, 1026),
                base: 1 << 30,
                len: 1 << 30,
            };
            Self { model: Model::new(birth), next: 11 }
        }

        fn make(&mut self, op: &Op) -> zx_handle_t {
            let handle = self.next;
            self.next += 4;
            let got = Outcome { made: vec![(handle, 2000 + u64::from(handle))], ..Outcome::default() };
            assert_eq!(self.model.apply(op, &got).status, Status::OK, "{op:?}");
            handle
        }

        fn act(&mut self, op: &Op) {
            assert_eq!(self.model.apply(op, &Outcome::default()).status, Status::OK, "{op:?}");
        }

        /// A VMO all of whose pages are written.
        fn written(&mut self, pages: u64, options: u32) -> zx_handle_t {
            let vmo = self.make(&Op::VmoCreate { size: pages * PAGE, options, lost: Lost::Nothing });
            (0..pages).for_each(|page| self.write(vmo, page));
            vmo
        }

        fn snapshot(&mut self, vmo: zx_handle_t, first: u64, pages: u64) -> zx_handle_t {
            let options = ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_RESIZABLE;
            let args = CreateChild { vmo, options, offset: first * PAGE, size: pages * PAGE, lost: Lost::Nothing };
            self.make(&Op::VmoCreateChild(args))
        }

        fn write(&mut self, vmo: zx_handle_t, page: u64) {
            self.act(&Op::VmoWrite { vmo, buffer: Buffer::Own, fill: 1, offset: page * PAGE, len: 1 });
        }

        fn zero(&mut self, vmo: zx_handle_t) {
            self.act(&Op::VmoOpRange { vmo, op: ZX_VMO_OP_ZERO, offset: 0, size: PAGE, buffer_size: 0 });
        }

        fn set_size(&mut self, vmo: zx_handle_t, pages: u64) {
            self.act(&Op::VmoSetSize { vmo, size: pages * PAGE });
        }

        fn close(&mut self, handle: zx_handle_t) {
            self.act(&Op::HandleClose { handle });
        }

        fn figures(&self, vmo: zx_handle_t) -> Attribution {
            let (vmo, _) = self.model.vmo(vmo, 0).unwrap();
            self.model.attribution(vmo, 0, u64::MAX)
        }

        /// That the scaled bytes are these fractions of a page, and that they add up to what there is.
        #[track_caller]
        fn assert_scaled<const N: usize>(&self, expected: [(zx_handle_t, (u64, u64)); N]) {
            let mut all = 0;
            for (vmo, (dividend, divisor)) in expected {
                let scaled = self.figures(vmo).scaled_fixed();
                let exact = u128::from(dividend * PAGE) * ONE_BYTE / u128::from(divisor);
                assert!(scaled.abs_diff(exact) <= 2, "{scaled:#x}, not {dividend}/{divisor} of a page");
                all += scaled;
            }
            let pages = u128::from(self.model.frames() * PAGE) * ONE_BYTE;
            assert!(all.abs_diff(pages) <= 2 * N as u128, "{all:#x} over all, not {pages:#x}");
        }
    }

    /// The first three rows of the table.
    #[test]
    fn parent_and_child_part() {
        let mut family = Family::new();
        let parent = family.written(2, 0);
        let child = family.snapshot(parent, 0, 2);
        family.assert_scaled([(parent, (1, 1)), (child, (1, 1))]);
        for vmo in [parent, child] {
            let figures = family.figures(vmo);
            assert_eq!((figures.committed, figures.private), (2 * PAGE, 0));
        }
        family.write(parent, 0);
        family.assert_scaled([(parent, (3, 2)), (child, (3, 2))]);
        family.write(child, 1);
        family.assert_scaled([(parent, (2, 1)), (child, (2, 1))]);
        for page in 0..2 {
            family.write(parent, page);
            family.write(child, page);
        }
        family.assert_scaled([(parent, (2, 1)), (child, (2, 1))]);
    }

    #[test]
    fn a_child_that_sees_less() {
        let mut family = Family::new();
        let parent = family.written(3, 0);
        let child = family.snapshot(parent, 1, 3);
        family.assert_scaled([(parent, (2, 1)), (child, (1, 1))]);
    }

    #[test]
    fn grandchildren_of_a_child_that_is_closed() {
        let mut family = Family::new();
        let root = family.written(4, 0);
        let only = family.snapshot(root, 1, 3);
        let first = family.snapshot(only, 0, 2);
        let second = family.snapshot(only, 2, 1);
        family.write(only, 1);
        family.close(only);
        family.assert_scaled([(root, (5, 2)), (first, (1, 1)), (second, (1, 2))]);
        family.close(first);
        family.assert_scaled([(root, (7, 2)), (second, (1, 2))]);
        family.close(second);
        family.assert_scaled([(root, (4, 1))]);
    }

    #[test]
    fn thirds() {
        let mut family = Family::new();
        let root = family.written(1, 0);
        let child = family.snapshot(root, 0, 2);
        family.write(child, 1);
        let grandchild = family.snapshot(child, 0, 3);
        family.assert_scaled([(root, (1, 3)), (child, (5, 6)), (grandchild, (5, 6))]);
        // As the specification writes it: 4096/3 is 1365 and a third.
        assert_eq!(family.figures(root).scaled(), (1365, (1 << 63) / 3));
    }

    #[test]
    fn zeroing_takes_out_of_one_only() {
        let mut family = Family::new();
        let parent = family.written(1, 0);
        let child = family.snapshot(parent, 0, 1);
        family.zero(parent);
        family.assert_scaled([(parent, (0, 1)), (child, (1, 1))]);
        family.close(child);
        family.assert_scaled([(parent, (0, 1))]);

        let mut family = Family::new();
        let parent = family.written(1, 0);
        let child = family.snapshot(parent, 0, 1);
        family.zero(child);
        family.assert_scaled([(parent, (1, 1)), (child, (0, 1))]);
    }

    #[test]
    fn shrinking_lets_go() {
        let mut family = Family::new();
        let parent = family.written(4, ZX_VMO_RESIZABLE);
        let child = family.snapshot(parent, 0, 4);
        family.write(parent, 1);
        family.write(child, 2);
        family.assert_scaled([(parent, (3, 1)), (child, (3, 1))]);
        family.set_size(parent, 1);
        family.assert_scaled([(parent, (1, 2)), (child, (7, 2))]);
    }

    #[test]
    fn the_last_one_keeps_only_what_it_sees() {
        let mut family = Family::new();
        let parent = family.written(3, ZX_VMO_RESIZABLE);
        let children = [0, 1, 2].map(|page| family.snapshot(parent, page, 1));
        let [first, second, third] = children;
        for shrunk in [first, second, parent] {
            family.set_size(shrunk, 0);
        }
        family.assert_scaled([(parent, (0, 1)), (first, (0, 1)), (second, (0, 1)), (third, (1, 1))]);
    }

    #[test]
    fn all_of_a_family_write() {
        let mut family = Family::new();
        let root = family.written(1, 0);
        let (a, b) = (family.snapshot(root, 0, 1), family.snapshot(root, 0, 1));
        let c = family.snapshot(a, 0, 1);
        family.assert_scaled([root, a, b, c].map(|vmo| (vmo, (1, 4))));
        for vmo in [root, a, b, c] {
            family.write(vmo, 0);
        }
        family.assert_scaled([root, a, b, c].map(|vmo| (vmo, (1, 1))));
        assert!([root, a, b, c].iter().all(|&vmo| family.figures(vmo).private == PAGE));
    }
}
