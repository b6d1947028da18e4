//! Who pays for which page: the figures of families, exact to the 2^-63 byte, told by VMOs and by their mappings.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::family::{
    Amount, Figures, ONE, PAGE, SNAPSHOTS, child, content, count_up, empty, empty_resizable, fill, op, reference,
    snapshot, written,
};
use common::{P, RW, Region, peek, poke};
use zx::{Vmo, VmoChildOptions as C, VmoOp};
use zxvm as zx;

/// How a test writes: by calls, or by stores to a mapping that it makes at once. The figures are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Calls,
    Stores,
}

/// A VMO, and where all of it is mapped, if it is.
struct Member {
    vmo: Vmo,
    region: Option<Region>,
    pages: u64,
}

impl Member {
    fn new(by: By, vmo: Vmo) -> Self {
        let pages = vmo.get_size().unwrap() / PAGE;
        let region = (by == By::Stores && pages > 0).then(|| {
            let region = Region::new(pages as usize);
            region.map(0, &vmo, 0, pages as usize, RW);
            region
        });
        Self { vmo, region, pages }
    }

    /// So many pages, all of them written.
    fn written(by: By, pages: u64) -> Self {
        let new = Self::new(by, empty(pages));
        (0..pages).for_each(|page| new.write(page, page as u8 + 1));
        new
    }

    /// The same, of a size that can be changed.
    fn written_resizable(by: By, pages: u64) -> Self {
        let new = Self::new(by, empty_resizable(pages));
        (0..pages).for_each(|page| new.write(page, page as u8 + 1));
        new
    }

    fn child(&self, by: By, options: C, page: u64, pages: u64) -> Self {
        Self::new(by, child(&self.vmo, options, page, pages))
    }

    /// Fills a page.
    fn write(&self, page: u64, byte: u8) {
        match &self.region {
            Some(region) => (0..P).for_each(|i| poke(region.page(page as usize) + i, byte)),
            None => fill(&self.vmo, page, byte),
        }
    }

    /// What the VMO says; and what its mapping says of as much as is still there is the same.
    #[track_caller]
    fn figures(&self) -> Figures {
        let figures = Figures::of(&self.vmo);
        if let Some(region) = &self.region {
            assert_eq!(Figures::of_mapping(&region.vmar, region.base), figures, "of the mapping");
        }
        figures
    }

    #[track_caller]
    fn expect(&self, committed: u64, private: u64, scaled: Amount) {
        assert_eq!(self.figures(), Figures::new(committed, private, scaled), "{} pages", self.pages);
    }
}

/// Runs a test with every type that copies, in both ways of writing.
fn in_all_ways(test: impl Fn(By, C)) {
    for kind in SNAPSHOTS {
        test(By::Calls, kind);
        test(By::Stores, kind);
    }
}

/// Whole pages.
fn pages(count: u64) -> Amount {
    Amount::pages(count)
}

/// Half pages.
fn halves(count: u64) -> Amount {
    Amount::part(count, 2)
}

#[test]
fn amounts_are_what_the_tables_say() {
    assert_eq!(halves(3), Amount { bytes: 6144, fraction: 0 });
    assert_eq!(Amount::part(1, 3), Amount { bytes: 1365, fraction: ONE / 3 });
    assert_eq!(Amount::part(5, 6), Amount { bytes: 3413, fraction: ONE / 3 });
}

#[test]
fn alone() {
    for by in [By::Calls, By::Stores] {
        let vmo = Member::new(by, empty(3));
        vmo.expect(0, 0, pages(0));
        vmo.write(1, 7);
        vmo.expect(1, 1, pages(1));
        vmo.write(1, 0);
        vmo.expect(1, 1, pages(1)); // a page of zeros is a page
        op(&vmo.vmo, VmoOp::DECOMMIT, 0, 3).unwrap();
        vmo.expect(0, 0, pages(0));
    }
}

#[test]
fn two_pages_and_a_snapshot() {
    in_all_ways(|by, kind| {
        let parent = Member::written(by, 2);
        let copy = parent.child(by, kind, 0, 2);
        parent.expect(2, 0, pages(1));
        copy.expect(2, 0, pages(1));
        parent.write(0, 10);
        parent.expect(2, 1, halves(3));
        copy.expect(2, 1, halves(3));
        copy.write(1, 20);
        parent.expect(2, 2, pages(2));
        copy.expect(2, 2, pages(2));
        for page in 0..2 {
            parent.write(page, 11);
            copy.write(page, 21);
        }
        parent.expect(2, 2, pages(2));
        copy.expect(2, 2, pages(2));
        assert_eq!((content(&parent.vmo), content(&copy.vmo)), (vec![11, 11], vec![21, 21]));
    });
}

#[test]
fn a_copy_that_reaches_past_the_end() {
    in_all_ways(|by, kind| {
        let parent = Member::written(by, 3);
        let copy = parent.child(by, kind, 1, 3);
        parent.expect(3, 1, pages(2));
        copy.expect(2, 0, pages(1));
    });
}

#[test]
fn children_of_a_child_that_is_closed() {
    in_all_ways(|by, kind| {
        let parent = Member::written(by, 4);
        let middle = parent.child(by, kind, 1, 3);
        let first = middle.child(by, kind, 0, 2);
        let second = middle.child(by, kind, 2, 1);
        middle.write(1, 9);
        drop(middle);
        parent.expect(4, 1, halves(5));
        first.expect(2, 0, pages(1));
        second.expect(1, 0, halves(1));
        drop(first);
        parent.expect(4, 3, halves(7));
        second.expect(1, 0, halves(1));
        drop(second);
        parent.expect(4, 4, pages(4));
    });
}

#[test]
fn thirds_and_halves() {
    in_all_ways(|by, kind| {
        let root = Member::written(by, 1);
        let copy = root.child(by, kind, 0, 2);
        copy.write(1, 2);
        let last = copy.child(by, kind, 0, 3);
        root.expect(1, 0, Amount::part(1, 3));
        copy.expect(2, 0, Amount::part(5, 6));
        last.expect(2, 0, Amount::part(5, 6));
    });
}

#[test]
fn zeroes_on_either_side() {
    in_all_ways(|by, kind| {
        let parent = Member::written(by, 1);
        let copy = parent.child(by, kind, 0, 1);
        op(&parent.vmo, VmoOp::ZERO, 0, 1).unwrap();
        parent.expect(0, 0, pages(0));
        copy.expect(1, 1, pages(1));
        drop(copy);
        parent.expect(0, 0, pages(0));

        let parent = Member::written(by, 1);
        let copy = parent.child(by, kind, 0, 1);
        op(&copy.vmo, VmoOp::ZERO, 0, 1).unwrap();
        parent.expect(1, 1, pages(1));
        copy.expect(0, 0, pages(0));
    });
}

#[test]
fn shrinking_one_of_two() {
    in_all_ways(|by, kind| {
        for shrink_parent in [true, false] {
            let parent = Member::written_resizable(by, 4);
            let copy = parent.child(by, kind | C::RESIZABLE, 0, 4);
            parent.write(1, 11);
            copy.write(2, 22);
            parent.expect(4, 2, pages(3));
            copy.expect(4, 2, pages(3));
            let (small, large) = if shrink_parent { (&parent, &copy) } else { (&copy, &parent) };
            small.vmo.set_size(PAGE).unwrap();
            small.expect(1, 0, halves(1));
            large.expect(4, 3, halves(7));
        }
    });
}

#[test]
fn shrinking_all_but_one() {
    in_all_ways(|by, kind| {
        for last in 0..3 {
            let parent = Member::written_resizable(by, 3);
            let copies = [0, 1, 2].map(|page| parent.child(by, kind | C::RESIZABLE, page, 1));
            parent.expect(3, 0, halves(3));
            for (index, copy) in copies.iter().enumerate() {
                copy.expect(1, 0, halves(1));
                if index != last {
                    copy.vmo.set_size(0).unwrap();
                    copy.expect(0, 0, pages(0));
                }
            }
            parent.expect(3, 2, halves(5));
            parent.vmo.set_size(0).unwrap();
            parent.expect(0, 0, pages(0));
            copies[last].expect(1, 1, pages(1));
            assert_eq!(content(&copies[last].vmo), [last as u8 + 1]);
        }
    });
}

#[test]
fn four_that_have_all_written() {
    in_all_ways(|by, kind| {
        let root = Member::written(by, 1);
        let (a, b) = (root.child(by, kind, 0, 1), root.child(by, kind, 0, 1));
        let c = a.child(by, kind, 0, 1);
        for member in [&root, &a, &b, &c] {
            member.expect(1, 0, Amount::part(1, 4));
        }
        for (written, member) in [&b, &root, &c].into_iter().enumerate() {
            member.write(0, 9);
            member.expect(1, 1, pages(1));
            let left = 3 - written as u64;
            a.expect(1, u64::from(left == 1), Amount::part(1, left));
        }
        a.write(0, 9);
        for member in [&root, &a, &b, &c] {
            member.expect(1, 1, pages(1));
        }
    });
}

#[test]
fn the_last_holder_takes_the_page_over() {
    in_all_ways(|by, kind| {
        // By a write of the other, by a close of the other, and where the other never covered it.
        let parent = Member::written(by, 3);
        let copy = parent.child(by, kind, 0, 2);
        copy.write(0, 10);
        parent.expect(3, 2, halves(5));
        parent.write(0, 20);
        parent.expect(3, 2, halves(5)); // no page more: it was the only one to see it
        copy.expect(2, 1, halves(3));
        drop(copy);
        parent.expect(3, 3, pages(3));
        parent.write(1, 21);
        parent.write(2, 22);
        parent.expect(3, 3, pages(3));
    });
}

#[test]
fn many_holders() {
    // The parts of one page: as many as there are holders, whatever that divides to.
    let root = written(1);
    let mut copies = Vec::new();
    for holders in 2..=60 {
        copies.push(snapshot(&root));
        for member in [&root, &copies[0], copies.last().unwrap()] {
            assert_eq!(Figures::of(member), Figures::new(1, 0, Amount::part(1, holders)));
        }
    }
    for holders in (2..60).rev() {
        copies.swap_remove(holders as usize / 3);
        assert_eq!(Figures::of(&root), Figures::new(1, 0, Amount::part(1, holders)));
    }
    copies.clear();
    assert_eq!(Figures::of(&root), Figures::new(1, 1, pages(1)));
}

#[test]
fn fractions_add_up_to_bytes() {
    // Three pages, a third of each: three times a third of a byte is a byte, but for what the fixed point cuts off.
    let root = written(3);
    let copies = [snapshot(&root), snapshot(&root)];
    for member in [&root, &copies[0], &copies[1]] {
        let figures = Figures::of(member);
        let exact = Amount::pages(1).units();
        let missing = exact - figures.scaled.units();
        assert!(missing <= 3, "{figures:?}: at most one unit a page is cut off");
        assert_eq!((figures.committed, figures.private), (3 * PAGE, 0));
    }
}

#[test]
fn copies_of_nothing_cost_nothing() {
    in_all_ways(|by, kind| {
        let parent = Member::new(by, empty(4));
        let copy = parent.child(by, kind, 0, 4);
        parent.expect(0, 0, pages(0));
        copy.expect(0, 0, pages(0));
        copy.write(0, 1);
        copy.expect(1, 1, pages(1)); // one for the writer alone
        parent.expect(0, 0, pages(0));
    });
}

#[test]
fn windows_and_references_pay_for_nothing() {
    let region = Region::new(9);
    let root = written(4);
    let (window, same) = (child(&root, C::SLICE, 1, 2), reference(&root));
    let inner = child(&window, C::SLICE, 1, 1);
    let (through_window, through_same) = (region.map(0, &window, 0, 2, RW), region.map(3, &same, 1, 3, RW));
    let seen = |at| Figures::of_mapping(&region.vmar, at);
    for vmo in [&window, &same, &inner] {
        assert_eq!(Figures::of(vmo), Figures::none());
    }
    assert_eq!(Figures::of(&root), Figures::new(4, 4, pages(4)), "nor do they take a share");
    assert_eq!(seen(through_window), Figures::new(2, 2, pages(2)), "a mapping shows what it shows");
    assert_eq!(seen(through_same), Figures::new(3, 3, pages(3)));
    let copy = child(&root, C::SNAPSHOT, 1, 1);
    assert_eq!(Figures::of(&root), Figures::new(4, 3, halves(7)));
    assert_eq!(seen(through_window), Figures::new(2, 1, halves(3)));
    assert_eq!(seen(through_same), Figures::new(3, 2, halves(5)));
    // Not even when their parent is closed.
    drop(root);
    for vmo in [&window, &same, &inner] {
        assert_eq!(Figures::of(vmo), Figures::none());
    }
    poke(through_window, 99);
    assert_eq!((peek(through_same), content(&copy)), (99, vec![2]));
    assert_eq!(Figures::of(&copy), Figures::new(1, 1, pages(1)));
    assert_eq!(Figures::of(&window), Figures::none());
}

#[test]
fn mappings_of_parts() {
    let region = Region::new(9);
    let root = written(4);
    let copy = child(&root, C::SNAPSHOT, 0, 3);
    fill(&copy, 1, 9);
    let (a, b) = (region.map(0, &root, 1, 2, RW), region.map(3, &root, 3, 1, RW));
    let (c, d) = (region.map(5, &copy, 0, 1, RW), region.map(7, &copy, 1, 2, RW));
    let seen = |at| Figures::of_mapping(&region.vmar, at);
    assert_eq!(seen(a), Figures::new(2, 1, halves(3)));
    assert_eq!(seen(b), Figures::new(1, 1, pages(1)));
    assert_eq!(seen(c), Figures::new(1, 0, halves(1)));
    assert_eq!(seen(d), Figures::new(2, 1, halves(3)));
    // Through all three doors that tell about mappings.
    let maps = zx::runtime::process_self().info_maps_vec().unwrap();
    let of_process = maps.iter().find(|map| map.base == a && map.details().as_mapping().is_some()).unwrap();
    let details = *of_process.details().as_mapping().unwrap();
    assert_eq!((details.committed_bytes, details.committed_private_bytes), (2 * P, P));
    assert_eq!((details.committed_scaled_bytes, details.committed_fractional_scaled_bytes), (P + P / 2, 0));
    assert_eq!(details.vmo_koid, root.koid().unwrap());
}

#[test]
fn what_was_zeroed_or_cut_off_in_a_clone_counts_for_those_who_see_it() {
    let root = written(2);
    let copy = child(&root, C::SNAPSHOT | C::RESIZABLE, 0, 2);
    let of_copy = snapshot(&copy);
    op(&copy, VmoOp::ZERO, 0, 1).unwrap();
    copy.set_size(PAGE).unwrap();
    assert_eq!(Figures::of(&copy), Figures::none());
    assert_eq!(Figures::of(&root), Figures::new(2, 0, pages(1)));
    assert_eq!(Figures::of(&of_copy), Figures::new(2, 0, pages(1)));
    drop(of_copy);
    assert_eq!(Figures::of(&root), Figures::new(2, 2, pages(2)));
}

// ---- Any family at all ----

/// Numbers that look like chance, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

/// A VMO, and the frame that each of its pages is, told by number.
struct Modelled {
    vmo: Vmo,
    frames: Vec<Option<u32>>,
}

/// Drives a family by chance, and compares all figures with those of a table of frames.
#[track_caller]
fn drive(seed: u64) {
    const PAGES: u64 = 6;
    let mut chance = Chance(seed);
    let mut next_frame = 0;
    let mut family = vec![Modelled { vmo: empty_resizable(PAGES), frames: vec![None; PAGES as usize] }];
    for step in 0..120 {
        let who = chance.below(family.len() as u64) as usize;
        let size = family[who].frames.len() as u64;
        match chance.below(10) {
            0..4 if size > 0 => {
                let page = chance.below(size);
                fill(&family[who].vmo, page, step as u8);
                // In place if nobody else sees it, so that the number may stay; which one it is makes no difference.
                family[who].frames[page as usize] = Some(next_frame);
                next_frame += 1;
            }
            0..6 if family.len() < 7 => {
                let (page, pages) = (chance.below(PAGES), 1 + chance.below(PAGES));
                let vmo = child(&family[who].vmo, C::SNAPSHOT | C::RESIZABLE, page, pages);
                let parent = &family[who].frames;
                let frames = (page..page + pages).map(|page| parent.get(page as usize).copied().flatten()).collect();
                family.push(Modelled { vmo, frames });
            }
            0..7 if size > 0 => {
                let page = chance.below(size);
                let pages = 1 + chance.below(size - page);
                op(&family[who].vmo, VmoOp::ZERO, page, pages).unwrap();
                family[who].frames[page as usize..(page + pages) as usize].fill(None);
            }
            0..8 => {
                let pages = chance.below(PAGES + 2);
                family[who].vmo.set_size(pages * PAGE).unwrap();
                family[who].frames.resize(pages as usize, None);
            }
            _ if family.len() > 1 => drop(family.swap_remove(who)),
            _ => {}
        }
        let mut holders: BTreeMap<u32, u64> = BTreeMap::new();
        for frame in family.iter().flat_map(|member| member.frames.iter().flatten()) {
            *holders.entry(*frame).or_default() += 1;
        }
        let mut all = 0;
        for (index, member) in family.iter().enumerate() {
            let what = format!("seed {seed}, step {step}, member {index}: {:?}", member.frames);
            let figures = Figures::of(&member.vmo);
            let seen: Vec<u64> = member.frames.iter().flatten().map(|frame| holders[frame]).collect();
            assert_eq!(figures.committed, seen.len() as u64 * PAGE, "{what}");
            assert_eq!(figures.private, seen.iter().filter(|n| **n == 1).count() as u64 * PAGE, "{what}");
            // 420 is a multiple of all numbers of holders.
            let exact = seen.iter().map(|n| 420 / n).sum::<u64>() as u128 * u128::from(PAGE) * u128::from(ONE);
            let told = figures.scaled.units() * 420;
            let cut_off = seen.len() as u128 * 420;
            assert!(told <= exact && exact - told <= cut_off, "{what}: {figures:?}");
            all += told;
        }
        let frames = holders.len() as u128 * u128::from(PAGE) * u128::from(ONE) * 420;
        assert!(
            all <= frames && frames - all <= 420 * 60,
            "seed {seed}, step {step}: the family has {} pages",
            holders.len()
        );
    }
    // All distinct: what is left alone has all its pages to itself.
    family.truncate(1);
    let distinct: BTreeSet<u32> = family[0].frames.iter().copied().flatten().collect();
    let left = Figures::of(&family[0].vmo);
    assert_eq!(left, Figures::new(distinct.len() as u64, distinct.len() as u64, pages(distinct.len() as u64)));
}

#[test]
fn the_shares_of_a_family_add_up_to_its_pages() {
    for seed in 0..150 {
        drive(seed);
    }
}

#[test]
fn a_family_that_grew_by_stores() {
    // As above in small, with stores: what each mapping saw last is in its VMO, and the shares add up.
    let root = Member::new(By::Stores, count_up(empty(8)));
    let mut members = vec![root];
    let mut chance = Chance(7);
    for round in 0..40_u8 {
        let who = chance.below(members.len() as u64) as usize;
        if members.len() < 6 && round % 4 == 0 {
            let copy = members[who].child(By::Stores, C::SNAPSHOT, 0, 8);
            members.push(copy);
        } else {
            members[who].write(chance.below(8), 100 + round);
        }
        let contents: BTreeSet<(usize, u8)> =
            members.iter().flat_map(|member| content(&member.vmo).into_iter().enumerate()).collect();
        // Every write was of a value of its own, so pages that read the same are one frame.
        let shares: u128 = members.iter().map(|member| member.figures().scaled.units()).sum();
        let frames = contents.len() as u128 * Amount::pages(1).units();
        assert!(shares <= frames && frames - shares <= 48, "round {round}: {} frames", contents.len());
    }
}
