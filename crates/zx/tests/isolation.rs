//! Copies stay apart, however either side is written: by calls and operations, by stores through mappings that were
//! there before, by several threads at the same time, and by the kernel itself.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::family::{
    Amount, Figures, PAGE, SNAPSHOTS, child, content, count_up, empty, empty_resizable, fill, op, reference, snapshot,
    written,
};
use common::{P, RW, Region, StopOnDrop, linux_may_fault, load_word, peek, poke, store_word, try_poke};
use zx::{Status, TransferDataOptions, VmarFlags as F, VmarOp, Vmo, VmoChildOptions as C, VmoOp};
use zxvm as zx;

// ---- Every way to write, on either side, seen through every door ----

const PAGES: usize = 4;

/// Where things are in the region of a [`Side`].
const WHOLE: usize = 0;
const MIDDLE: usize = 5;
const READ_ONLY: usize = 8;
const BY_WINDOW: usize = 13;
const BY_REFERENCE: usize = 16;
const REGION: usize = 21;

/// A VMO of four pages, and all the ways to it.
struct Side {
    vmo: Vmo,
    window: Vmo,
    same: Vmo,
    region: Region,
}

impl Side {
    /// With mappings of all of it, of its middle, of all of it for reading, and through a window on pages 1 and 2 and
    /// through a reference. The processor knows each page there: from a load, or from a store as well, so that it might
    /// go on storing by itself.
    fn new(vmo: Vmo, stored: bool) -> Self {
        let region = Region::new(REGION);
        let (window, same) = (child(&vmo, C::SLICE, 1, 2), reference(&vmo));
        region.map(WHOLE, &vmo, 0, PAGES, RW);
        region.map(MIDDLE, &vmo, 1, 2, RW);
        region.map(READ_ONLY, &vmo, 0, PAGES, F::PERM_READ);
        region.map(BY_WINDOW, &window, 0, 2, RW);
        region.map(BY_REFERENCE, &same, 0, PAGES, RW);
        let side = Self { vmo, window, same, region };
        for (first, from, pages) in Self::WRITABLE {
            for page in 0..pages {
                let at = side.region.page(first + page);
                assert_eq!(peek(at), peek(side.region.page(READ_ONLY + from + page)));
                if stored {
                    poke(at, peek(at));
                }
            }
        }
        side
    }

    /// Mappings that can be stored to: where, which page of the VMO is first, how many.
    const WRITABLE: [(usize, usize, usize); 4] =
        [(WHOLE, 0, PAGES), (MIDDLE, 1, 2), (BY_WINDOW, 1, 2), (BY_REFERENCE, 0, PAGES)];

    /// Checks what everyone on this side sees, by calls and by loads.
    #[track_caller]
    fn sees(&self, expected: [u8; PAGES], what: &str) {
        assert_eq!(content(&self.vmo), expected, "{what}: by calls");
        assert_eq!(content(&self.same), expected, "{what}: by the reference");
        assert_eq!(content(&self.window), expected[1..3], "{what}: by the window");
        for (first, from, pages) in Self::WRITABLE.into_iter().chain([(READ_ONLY, 0, PAGES)]) {
            for page in 0..pages {
                let at = self.region.page(first + page);
                assert_eq!(
                    [peek(at), peek(at + P - 1)],
                    [expected[from + page]; 2],
                    "{what}: page {page} mapped at {first}"
                );
            }
        }
    }
}

/// Fills a mapped page.
fn store_page(at: usize, byte: u8) {
    for i in 0..P {
        poke(at + i, byte);
    }
}

/// A way to make page 2 of a side hold 9 throughout (or 0, where it can only clear), and what it then holds.
type Way = (&'static str, fn(&Side), u8);

const WAYS: [Way; 16] = [
    ("a call", |side| fill(&side.vmo, 2, 9), 9),
    ("a call to the window", |side| fill(&side.window, 1, 9), 9),
    ("a call to the reference", |side| fill(&side.same, 2, 9), 9),
    ("stores to the whole", |side| store_page(side.region.page(WHOLE + 2), 9), 9),
    ("stores to the middle", |side| store_page(side.region.page(MIDDLE + 1), 9), 9),
    ("stores by the window", |side| store_page(side.region.page(BY_WINDOW + 1), 9), 9),
    ("stores by the reference", |side| store_page(side.region.page(BY_REFERENCE + 2), 9), 9),
    (
        "stores where only loads were allowed",
        |side| {
            let at = side.region.page(READ_ONLY + 2);
            assert!(try_poke(at, 9).is_err());
            // SAFETY: nothing refers to the mapping.
            unsafe { side.region.vmar.protect(at, P, RW) }.unwrap();
            store_page(at, 9);
            // SAFETY: as above.
            unsafe { side.region.vmar.protect(at, P, F::PERM_READ) }.unwrap();
            assert!(try_poke(at, 8).is_err());
        },
        9,
    ),
    (
        "stores to what was taken away and given back",
        |side| {
            let at = side.region.page(WHOLE);
            // SAFETY: as above.
            unsafe { side.region.vmar.protect(at, PAGES * P, F::empty()) }.unwrap();
            // SAFETY: as above.
            unsafe { side.region.vmar.protect(at, PAGES * P, RW) }.unwrap();
            store_page(at + 2 * P, 9);
        },
        9,
    ),
    (
        "stores to a new mapping",
        |side| {
            let region = Region::new(1);
            store_page(region.map(0, &side.vmo, 2, 1, RW), 9);
        },
        9,
    ),
    (
        "a call that reads into the mapping",
        |side| {
            let (nine, at) = (empty(1), side.region.page(WHOLE + 2));
            fill(&nine, 0, 9);
            // SAFETY: as above.
            unsafe { nine.read_raw(std::ptr::with_exposed_provenance_mut::<u8>(at), P, 0) }.unwrap();
        },
        9,
    ),
    ("ZERO", |side| op(&side.vmo, VmoOp::ZERO, 2, 1).unwrap(), 0),
    ("ZERO of the window", |side| op(&side.window, VmoOp::ZERO, 1, 1).unwrap(), 0),
    (
        "ZERO of the mapping",
        |side| side.region.vmar.op_range(VmarOp::ZERO, side.region.page(MIDDLE + 1), P).unwrap(),
        0,
    ),
    (
        "moved pages",
        |side| {
            let nine = empty(1);
            fill(&nine, 0, 9);
            side.vmo.transfer_data(TransferDataOptions::empty(), 2 * PAGE, PAGE, &nine, 0).unwrap();
        },
        9,
    ),
    (
        "pages moved away",
        |side| empty(1).transfer_data(TransferDataOptions::empty(), 0, PAGE, &side.vmo, 2 * PAGE).unwrap(),
        0,
    ),
];

#[test]
fn every_way_to_write_on_either_side() {
    for kind in SNAPSHOTS {
        for (what, write, value) in WAYS {
            for copy_stored in [false, true] {
                // The parent's mappings are older than the copy, and the copy's older than the copy of it.
                let parent = Side::new(written(4), true);
                let copy = Side::new(child(&parent.vmo, kind, 0, 4), copy_stored);
                let last = Side::new(child(&copy.vmo, kind, 0, 4), false);
                let (before, after) = ([1, 2, 3, 4], [1, 2, value, 4]);
                write(&copy);
                copy.sees(after, what);
                parent.sees(before, what);
                last.sees(before, what);
                write(&parent);
                parent.sees(after, what);
                last.sees(before, what);
                write(&last);
                for side in [&parent, &copy, &last] {
                    side.sees(after, what);
                }
                // What is shared again is kept apart again.
                let again = snapshot(&parent.vmo);
                store_page(parent.region.page(MIDDLE + 1), 77);
                assert_eq!(content(&again), after, "{what}");
                parent.sees([1, 2, 77, 4], what);
                let again = snapshot(&parent.vmo);
                write(&parent);
                assert_eq!(content(&again), [1, 2, 77, 4], "{what}");
                parent.sees(after, what);
            }
        }
    }
}

#[test]
fn a_new_size_on_either_side() {
    let region = Region::new(8);
    for kind in SNAPSHOTS {
        let parent = count_up(empty_resizable(4));
        let copy = child(&parent, kind | C::RESIZABLE, 0, 4);
        let (p, c) = (region.map(0, &parent, 0, 4, RW), region.map(4, &copy, 0, 4, RW));
        poke(p, 1);
        poke(c, 1);
        parent.set_size(PAGE).unwrap();
        assert_eq!((0..4).map(|page| peek(c + page * P)).collect::<Vec<_>>(), [1, 2, 3, 4]);
        parent.set_size(4 * PAGE).unwrap();
        store_page(p + 2 * P, 9);
        assert_eq!((peek(c + 2 * P), peek(p + P)), (3, 0));
        copy.set_size(2 * PAGE).unwrap();
        copy.set_size(4 * PAGE).unwrap();
        assert_eq!((peek(c + 2 * P), peek(p + 2 * P)), (0, 9));
        region.unmap(0, 8);
    }
}

#[test]
fn many_mappings_at_many_offsets() {
    // Forty mappings of a VMO, each of another part; after each snapshot one store through each of them, to its own page.
    let region = Region::new(200);
    let vmo = written(40);
    let at: Vec<usize> = (0..40).map(|n| region.map(5 * n, &vmo, n.min(36), 4, RW)).collect();
    let mut copies = Vec::new();
    for round in 0..10_u8 {
        copies.push((content(&vmo), snapshot(&vmo)));
        for (n, at) in at.iter().enumerate() {
            let page = n.min(36) + (n + usize::from(round)) % 4;
            store_page(at + (page - n.min(36)) * P, 100 + round);
            assert_eq!(vmo.read_to_object((page * P) as u64), Ok(100 + round));
        }
        for (expected, copy) in &copies {
            assert_eq!(content(copy), *expected, "round {round}");
        }
    }
}

#[test]
fn a_mapping_of_a_copy_outlives_everything_else() {
    let region = Region::new(2);
    let parent = written(2);
    let at = region.map(0, &snapshot(&parent), 0, 2, RW);
    fill(&parent, 0, 9);
    assert_eq!([peek(at), peek(at + P)], [1, 2]);
    poke(at + P, 8);
    assert_eq!(content(&parent), [9, 2]);
    drop(parent);
    assert_eq!([peek(at), peek(at + 1), peek(at + P), peek(at + P + 1)], [1, 1, 8, 2]);
    store_page(at, 7);
    assert_eq!(peek(at + 100), 7);
}

// ---- Operations on mappings ----

#[test]
fn commit_by_way_of_a_mapping_makes_pages_their_own() {
    for of_copy in [true, false] {
        let (at_parent, at_copy) = (Region::new(8), Region::new(8));
        let parent = written(8);
        let copy = child(&parent, C::SNAPSHOT, 0, 8);
        at_parent.map(0, &parent, 0, 8, RW);
        at_copy.map(0, &copy, 0, 8, RW);
        let (who, other, region) = if of_copy { (&copy, &parent, &at_copy) } else { (&parent, &copy, &at_parent) };
        region.vmar.op_range(VmarOp::COMMIT, region.page(2), 3 * P).unwrap();
        assert_eq!(Figures::of(who), Figures::new(8, 3, Amount::part(11, 2)));
        assert_eq!(Figures::of(other), Figures::new(8, 3, Amount::part(11, 2)));
        region.vmar.op_range(VmarOp::COMMIT, region.base, 8 * P).unwrap();
        assert_eq!([Figures::of(who), Figures::of(other)], [Figures::new(8, 8, Amount::pages(8)); 2]);
        assert_eq!((content(who), content(other)), (content(&written(8)), content(&written(8))));
        for page in 0..8 {
            assert_eq!([peek(at_parent.page(page)), peek(at_copy.page(page))], [page as u8 + 1; 2]);
            store_page(region.page(page), 50);
        }
        assert_eq!((content(who), content(other)), (vec![50; 8], content(&written(8))));
        assert_eq!(Figures::of(who), Figures::new(8, 8, Amount::pages(8)), "there was nothing left to allocate");
    }
}

#[test]
fn commit_by_way_of_a_mapping_of_the_unwritten() {
    let region = Region::new(4);
    let copy = child(&written(2), C::SNAPSHOT, 0, 4);
    region.map(0, &copy, 0, 4, RW);
    region.vmar.op_range(VmarOp::COMMIT, region.base, 4 * P).unwrap();
    assert_eq!(Figures::of(&copy), Figures::new(4, 4, Amount::pages(4)));
    assert_eq!((0..4).map(|page| peek(region.page(page))).collect::<Vec<_>>(), [1, 2, 0, 0]);
}

#[test]
fn other_operations_by_way_of_a_mapping() {
    let region = Region::new(4);
    let parent = written(4);
    let copy = snapshot(&parent);
    let at = region.map(0, &copy, 0, 4, RW);
    let act = |kind| region.vmar.op_range(kind, at, 4 * P);
    let before = [&parent, &copy].map(Figures::of);
    for kind in [VmarOp::MAP_RANGE, VmarOp::PREFETCH, VmarOp::DONT_NEED, VmarOp::ALWAYS_NEED] {
        assert_eq!(act(kind), Ok(()), "{kind:?}");
        assert_eq!([&parent, &copy].map(Figures::of), before, "{kind:?} copies nothing");
        // And does not make the shared pages storable.
        assert_eq!((content(&parent), content(&copy)), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
    }
    poke(at + P, 9);
    assert_eq!(content(&parent), [1, 2, 3, 4]);
    assert_eq!(act(VmarOp::DECOMMIT), Err(Status::NOT_SUPPORTED), "as for the VMO");
    assert_eq!(act(VmarOp::ZERO), Ok(()));
    assert_eq!((content(&parent), content(&copy), peek(at + P)), (vec![1, 2, 3, 4], vec![0; 4], 0));
    drop(parent);
    assert_eq!(act(VmarOp::DECOMMIT), Ok(()));
}

// ---- Threads that store while copies are made ----

/// Words in a page.
const WORDS: usize = P / 8;

/// What a thread stores: page after page of its share, each filled word by word with the number of the round of that
/// page. Round r fills page r % pages, so a table of `pages` pages holds the last `pages` numbers, and of the page that is
/// being filled some words from the front.
struct Writer {
    /// Pages of its share.
    pages: usize,
    /// Its first page in the VMO.
    first: usize,
    /// Where it stores: the address of its first page.
    at: usize,
}

impl Writer {
    /// Stores until told to stop; gives the last round.
    fn run(&self, stop: &AtomicBool, progress: &AtomicU64) -> u64 {
        let mut round = self.pages as u64;
        while !stop.load(Ordering::Relaxed) {
            let page = self.at + round as usize % self.pages * P;
            for word in 0..WORDS {
                store_word(page + word * 8, round);
            }
            progress.store(round, Ordering::Release);
            round += 1;
        }
        round - 1
    }

    /// The state before the first round.
    fn prepare(&self) {
        for page in 0..self.pages {
            for word in 0..WORDS {
                store_word(self.at + page * P + word * 8, page as u64);
            }
        }
    }

    /// Checks that these pages are what the thread had stored in some instant: of all its stores, in its order, exactly
    /// those before one. Gives the round that it was in.
    #[track_caller]
    fn check_instant(&self, words: &[u64], what: &str) -> u64 {
        let words = &words[self.first * WORDS..(self.first + self.pages) * WORDS];
        let pages: Vec<&[u64]> = words.chunks(WORDS).collect();
        let round = *words.iter().max().unwrap();
        let newest = pages[round as usize % self.pages];
        let stored = newest.iter().take_while(|word| **word == round).count();
        assert_ne!(stored, 0, "{what}: a page is filled from the front: {} in round {round}", newest[0]);
        let before = round.saturating_sub(self.pages as u64);
        let wrong = newest[stored..].iter().find(|word| **word != before);
        assert_eq!(wrong, None, "{what}: torn, or a store is lost, after {stored} words of round {round}");
        for ago in 1..self.pages as u64 {
            let page = pages[(round - ago) as usize % self.pages];
            let wrong = page.iter().position(|word| *word != round - ago);
            assert_eq!(wrong.map(|at| (at, page[at])), None, "{what}: round {round}, {ago} before");
        }
        round
    }
}

fn words(vmo: &Vmo) -> Vec<u64> {
    vmo.read_to_vec(0, vmo.get_size().unwrap() / 8).unwrap()
}

/// Makes copies while threads store through mappings of several kinds, and checks each copy, now and later.
fn store_while_copying(runs: usize, kind: C, copy_of_a_copy: bool) {
    const SHARE: usize = 6;
    let region = Region::new(100);
    let vmo = empty(3 * SHARE as u64);
    let (window, same) = (child(&vmo, C::SLICE, SHARE as u64, SHARE as u64), reference(&vmo));
    let writers = [
        Writer { pages: SHARE, first: 0, at: region.map(0, &vmo, 0, SHARE, RW) },
        Writer { pages: SHARE, first: SHARE, at: region.map(20, &window, 0, SHARE, RW) },
        Writer {
            pages: SHARE,
            first: 2 * SHARE,
            at: region.map(40, &same, 1, 3 * SHARE - 1, RW) + (2 * SHARE - 1) * P,
        },
    ];
    writers.iter().for_each(Writer::prepare);
    let stop = AtomicBool::new(false);
    let progress = [const { AtomicU64::new(0) }; 3];
    let mut held: Vec<(Vmo, Vec<u64>)> = Vec::new();
    let mut latest = [0; 3];
    thread::scope(|scope| {
        let running: Vec<_> = writers
            .iter()
            .zip(&progress)
            .map(|(writer, progress)| scope.spawn(|| writer.run(&stop, progress)))
            .collect();
        {
            let _stop = StopOnDrop(&stop);
            for run in 0..runs {
                // Until all of them have stored something since the last one.
                while progress.iter().zip(&latest).any(|(now, then)| now.load(Ordering::Acquire) <= *then) {
                    thread::yield_now();
                }
                let known = [0, 1, 2].map(|index| progress[index].load(Ordering::Acquire));
                let mut copy = child(&vmo, kind, 0, 3 * SHARE as u64);
                if copy_of_a_copy {
                    copy = snapshot(&copy);
                }
                let shown = words(&copy);
                for (index, writer) in writers.iter().enumerate() {
                    latest[index] = writer.check_instant(&shown, &format!("run {run}"));
                    assert!(latest[index] >= known[index], "run {run}: what was stored before the call is in it");
                }
                held.push((copy, shown));
                if held.len() > 8 {
                    let (copy, shown) = held.swap_remove(run % 7);
                    assert!(words(&copy) == shown, "run {run}: a copy does not change");
                }
            }
        }
        let last: Vec<u64> = running.into_iter().map(|thread| thread.join().unwrap()).collect();
        // The parent has everything, seen by calls and through each mapping.
        let all = words(&vmo);
        for (writer, last) in writers.iter().zip(last) {
            assert_eq!(writer.check_instant(&all, "the parent"), last);
            for page in 0..SHARE {
                let at = writer.at + page * P;
                let ago = (last - page as u64) % SHARE as u64;
                assert_eq!([load_word(at), load_word(at + P - 8)], [last - ago; 2], "a store is lost");
            }
        }
    });
    for (copy, shown) in &held {
        assert!(words(copy) == *shown, "a copy does not change");
    }
}

#[test]
fn a_copy_holds_of_each_thread_what_it_stored_before_some_instant() {
    for kind in SNAPSHOTS {
        store_while_copying(100, kind, false);
    }
}

#[test]
fn so_does_a_copy_of_a_copy() {
    store_while_copying(100, C::SNAPSHOT, true);
}

#[test]
fn threads_store_to_the_copy_as_well() {
    // Both sides are stored to by threads at the same time, right after the copy is made, to the same pages.
    let region = Region::new(40);
    for run in 0..100_u64 {
        let vmo = empty(8);
        let p = region.map(0, &vmo, 0, 8, RW);
        (0..8 * WORDS).for_each(|word| store_word(p + word * 8, run));
        let copy = snapshot(&vmo);
        let c = region.map(10, &copy, 0, 8, RW);
        let second = region.map(20, &copy, 0, 8, RW);
        thread::scope(|scope| {
            // Each thread has every fourth word; of the two on the copy one stores by either mapping.
            for (at, lane) in [(p, 0), (c, 1), (second, 2)] {
                scope.spawn(move || {
                    for word in (lane..8 * WORDS).step_by(4) {
                        store_word(at + word * 8, 1000 + lane as u64);
                    }
                });
            }
        });
        for word in 0..8 * WORDS {
            let (of_parent, of_copy) = match word % 4 {
                0 => (1000, run),
                1 => (run, 1001),
                2 => (run, 1002),
                _ => (run, run),
            };
            let at = word * 8;
            assert_eq!(
                [load_word(p + at), load_word(c + at), load_word(second + at)],
                [of_parent, of_copy, of_copy],
                "{word}"
            );
        }
        assert_eq!(Figures::of(&copy), Figures::new(8, 8, Amount::pages(8)));
        assert_eq!(Figures::of(&vmo), Figures::new(8, 8, Amount::pages(8)));
        region.unmap(0, 40);
    }
}

#[test]
fn threads_that_write_by_calls_while_copies_are_made() {
    // As with stores: one word a call, ascending, over all pages.
    const PAGES: u64 = 16;
    let vmo = empty(PAGES);
    (0..PAGES).for_each(|page| vmo.write(&page.to_ne_bytes(), page * PAGE + 8).unwrap());
    let stop = AtomicBool::new(false);
    let progress = AtomicU64::new(0);
    let instant = |vmo: &Vmo| {
        let held: Vec<u64> = (0..PAGES).map(|page| vmo.read_to_object(page * PAGE + 8).unwrap()).collect();
        let latest = *held.iter().max().unwrap();
        for ago in 0..PAGES {
            assert_eq!(held[((latest - ago) % PAGES) as usize], latest - ago, "{held:?}");
        }
        latest
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = PAGES;
            while !stop.load(Ordering::Relaxed) {
                vmo.write(&number.to_ne_bytes(), number % PAGES * PAGE + 8).unwrap();
                progress.store(number, Ordering::Release);
                number += 1;
            }
            number - 1
        });
        {
            let _stop = StopOnDrop(&stop);
            let mut latest = 0;
            for _ in 0..100 {
                while progress.load(Ordering::Acquire) <= latest {
                    thread::yield_now();
                }
                let known = progress.load(Ordering::Acquire);
                let copy = snapshot(&vmo);
                latest = instant(&copy);
                assert!(latest >= known, "what was written before the call is in it: {latest} {known}");
                assert_eq!(instant(&copy), latest);
            }
        }
        let last = writer.join().unwrap();
        assert_eq!(instant(&vmo), last);
    });
}

// ---- Buffers, and the kernel as a writer ----

#[test]
fn buffers_in_mappings_of_the_family() {
    let region = Region::new(12);
    let parent = written(4);
    let copy = snapshot(&parent);
    let last = snapshot(&copy);
    let at = [(0, &parent), (4, &copy), (8, &last)].map(|(page, vmo)| region.map(page, vmo, 0, 4, RW));
    // Each is read into the mapping of each, itself too, one page further.
    for (from, vmo) in [&parent, &copy, &last].into_iter().enumerate() {
        for to in at {
            let first: u8 = vmo.read_to_object(0).unwrap();
            let others: Vec<_> =
                [&parent, &copy, &last].into_iter().zip(at).filter(|(_, other)| *other != to).collect();
            let before: Vec<_> = others.iter().map(|(other, _)| content(other)).collect();
            // SAFETY: nothing refers to the mappings.
            unsafe { vmo.read_raw(std::ptr::with_exposed_provenance_mut::<u8>(to + P), P, 0) }.unwrap();
            assert_eq!(peek(to + P), first, "{from}");
            let after: Vec<_> = others.iter().map(|(other, _)| content(other)).collect();
            assert_eq!(before, after, "{from}");
        }
    }
    // And each is written from the mapping of each.
    let parent = written(4);
    let copy = snapshot(&parent);
    let region = Region::new(8);
    let (p, c) = (region.map(0, &parent, 0, 4, RW), region.map(4, &copy, 0, 4, RW));
    for (vmo, from, page) in [(&copy, p, 1), (&parent, c, 2), (&copy, c, 3), (&parent, p, 0)] {
        // SAFETY: mapped for the length of this test; nothing stores there during the call but the call.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(from + 2 * P), P) };
        vmo.write(bytes, page * PAGE).unwrap();
    }
    assert_eq!((content(&parent), content(&copy)), (vec![3, 2, 3, 4], vec![1, 3, 3, 3]));
}

#[test]
fn linux_writes_into_a_mapped_copy() {
    for of_copy in [true, false] {
        let region = Region::new(4);
        let parent = written(4);
        let copy = snapshot(&parent);
        let (who, other) = if of_copy { (&copy, &parent) } else { (&parent, &copy) };
        let at = region.map(0, who, 0, 4, RW);
        assert_eq!(peek(at + P), 2, "there, and shared");
        let (mut out, mut into) = std::io::pipe().unwrap();
        into.write_all(&[9; 2 * P]).unwrap();
        // SAFETY: mapped for the length of this test, and nothing else refers to it.
        let buffer =
            unsafe { std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(at + P), 2 * P) };
        let left = match out.read_exact(buffer) {
            Ok(()) => {
                assert_eq!((content(who), content(other)), (vec![1, 9, 9, 4], vec![1, 2, 3, 4]));
                0
            }
            Err(error) => {
                // Documented: without the privilege for it, Linux answers for itself.
                assert!(!linux_may_fault(), "{error}");
                assert_eq!(error.raw_os_error(), Some(14), "EFAULT: {error}");
                assert_eq!((content(who), content(other)), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
                2 * P
            }
        };
        // Where the page is the VMO's own already, Linux may write in any case.
        store_page(at, 5);
        into.write_all(&[6; P]).unwrap();
        // SAFETY: as above.
        let buffer = unsafe { std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(at), P) };
        out.read_exact(&mut vec![0; left]).unwrap();
        out.read_exact(buffer).unwrap();
        assert_eq!((content(who)[0], content(other)[0]), (6, 1));
    }
}

#[test]
fn linux_reads_from_a_mapped_copy() {
    let region = Region::new(4);
    let parent = written(4);
    let copy = snapshot(&parent);
    let at = region.map(0, &copy, 0, 4, RW);
    fill(&parent, 1, 9);
    let (mut out, mut into) = std::io::pipe().unwrap();
    // SAFETY: mapped for the length of this test, and nothing stores to it meanwhile.
    into.write_all(unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(at), 4 * P) }).unwrap();
    let mut got = vec![0; 4 * P];
    out.read_exact(&mut got).unwrap();
    assert_eq!([got[0], got[P], got[2 * P], got[4 * P - 1]], [1, 2, 3, 4]);
    assert_eq!(Figures::of(&copy), Figures::new(4, 1, Amount::part(5, 2)), "reading copies nothing");
}
