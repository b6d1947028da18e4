//! Races that once lost a store or stopped for ever: one test for each, long enough to have shown it.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::family::{PAGE, empty, fill, op, snapshot, without};
use common::pager::{FREE, TestPager};
use common::{P, RW, Region, load_word, peek, poke, store_word};
use zx::{TransferDataOptions, VmarFlags, VmarFlagsExtended, VmarOp, VmoChildOptions, VmoOp};
use zxvm as zx;

const PAGES: usize = 16;
const ROUNDS: u64 = 1500;

fn spin_until(go: &AtomicBool) {
    while !go.load(Ordering::Acquire) {
        std::hint::spin_loop();
    }
}

/// In each round a thread stores one word to each page of a mapped source while `call` works on the source and a target.
/// `sight` tells where the words may be then, besides the source's mapping.
fn no_store_is_lost(
    child_is_source: bool,
    call: impl Fn(&zx::Vmo, &zx::Vmo) + Sync,
    sight: impl Fn(&zx::Vmo, u64) -> Option<u64>,
) {
    let region = Region::new(2 * PAGES);
    for round in 1..=ROUNDS {
        let parent = empty(PAGES as u64);
        op(&parent, VmoOp::COMMIT, 0, PAGES as u64).unwrap();
        let child = snapshot(&parent);
        let (source, relative) = if child_is_source { (&child, &parent) } else { (&parent, &child) };
        let at = region.map(0, source, 0, PAGES, RW);
        let seen = region.map(PAGES, relative, 0, PAGES, RW);
        for page in 0..PAGES {
            load_word(at + page * P);
            load_word(seen + page * P);
        }
        let stranger = empty(PAGES as u64);
        let target = if child_is_source { relative } else { &stranger };
        let go = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                spin_until(&go);
                (0..round * 7919 % 10_000).for_each(|_| std::hint::spin_loop());
                (0..PAGES).for_each(|page| store_word(at + page * P, round));
            });
            thread::yield_now();
            go.store(true, Ordering::Release);
            call(source, target);
        });
        for page in 0..PAGES {
            let there = load_word(at + page * P) == round || sight(target, page as u64 * PAGE) == Some(round);
            assert!(there, "round {round}: the store to page {page} is nowhere");
        }
        region.unmap(0, PAGES);
        region.unmap(PAGES, PAGES);
    }
}

fn word_of(vmo: &zx::Vmo, offset: u64) -> Option<u64> {
    vmo.read_to_object(offset).ok()
}

fn transfer(source: &zx::Vmo, target: &zx::Vmo) {
    target.transfer_data(TransferDataOptions::empty(), 0, PAGES as u64 * PAGE, source, 0).unwrap();
}

/// A shared page of zeros is shown at a new place, which was freed after that: with what had been stored there.
#[test]
fn giving_zeros_back_loses_no_store() {
    let free = |source: &zx::Vmo, _: &zx::Vmo| {
        source.free_zero_pages().unwrap();
    };
    no_store_is_lost(false, free, |_, _| None);
}

/// The same after the source's pages had been moved.
#[test]
fn a_transfer_loses_no_store_to_its_source() {
    no_store_is_lost(false, transfer, word_of);
}

/// What the target needed for its own was moved for the source, after that had been read and stopped.
#[test]
fn a_transfer_to_a_relative_loses_no_store_to_its_source() {
    no_store_is_lost(true, transfer, word_of);
}

/// COMMIT made entries without the lock under which ZERO frees pages. An entry for a page that had gone waited for the
/// fault service, that for the layout lock, behind somebody who changes the layout.
#[test]
fn commit_and_zero_do_not_wait_for_each_other() {
    const PAGES: usize = 512;
    let (done, all_done) = mpsc::channel();
    thread::spawn(move || {
        let region = Region::new(PAGES + 8);
        let vmo = empty(PAGES as u64);
        op(&vmo, VmoOp::COMMIT, 0, PAGES as u64).unwrap();
        let at = region.map(0, &vmo, 0, PAGES, RW);
        drop(snapshot(&vmo));
        let other = empty(1);
        let (rounds, end) = (AtomicU64::new(0), Instant::now() + Duration::from_secs(3));
        let repeat = |work: &(dyn Fn() + Sync)| {
            while Instant::now() < end {
                work();
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| repeat(&|| region.vmar.op_range(VmarOp::COMMIT, at, PAGES * P).unwrap()));
            scope.spawn(|| repeat(&|| op(&vmo, VmoOp::ZERO, 0, PAGES as u64).unwrap()));
            scope.spawn(|| {
                repeat(&|| {
                    region.map(PAGES + 1, &other, 0, 1, RW);
                    region.unmap(PAGES + 1, 1);
                });
            });
        });
        done.send(rounds.into_inner()).unwrap();
    });
    assert!(all_done.recv_timeout(Duration::from_secs(60)).expect("they wait for each other") > 0);
}

/// A page that a load had brought, by a mapping that was not frozen, could be stored to before what came earlier in memory
/// was guarded: so a snapshot had the later one of two stores and not the earlier.
#[test]
fn a_snapshot_has_the_stores_of_a_thread_up_to_one_point() {
    const PAGES: usize = 1024;
    let last = PAGES - 1;
    let region = Region::new(2 * PAGES);
    for round in 0..40_u64 {
        let vmo = empty(PAGES as u64);
        // Many runs, so that guarding takes its time; what is absent lies between them.
        (1..PAGES).step_by(2).for_each(|page| fill(&vmo, page as u64, 0));
        let loads = region.map(0, &without(&vmo, zx::Rights::WRITE), 0, PAGES, VmarFlags::PERM_READ);
        let stores = region.map(PAGES, &vmo, 0, PAGES, RW);
        (1..PAGES).step_by(2).for_each(|page| store_word(stores + page * P, 0));
        let go = AtomicBool::new(false);
        let copy = thread::scope(|scope| {
            scope.spawn(|| {
                spin_until(&go);
                for page in (0..PAGES).step_by(2) {
                    load_word(loads + page * P);
                    store_word(stores + page * P, 7);
                    store_word(stores + last * P, page as u64 + 1);
                }
            });
            go.store(true, Ordering::Release);
            (0..round * 7919 % 20_000).for_each(|_| std::hint::spin_loop());
            snapshot(&vmo)
        });
        let stored = word_of(&copy, last as u64 * PAGE).unwrap();
        let missing = (0..stored).step_by(2).find(|page| word_of(&copy, page * PAGE) != Some(7));
        assert_eq!(missing, None, "round {round}: the store of page {stored} is there, and an earlier one is not");
        region.unmap(0, PAGES);
        region.unmap(PAGES, PAGES);
    }
}

/// The same of a clone of what a pager provides: some of its pages are its own, and the stores to others fork them. The second
/// snapshot finds what the first one has made shared.
#[test]
fn a_snapshot_of_a_clone_has_the_stores_of_a_thread_up_to_one_point() {
    const PAGES: usize = 96;
    let (pager, region) = (TestPager::new(), Region::new(PAGES));
    for round in 0..150_u64 {
        let root = pager.full(FREE, PAGES as u64);
        let clone = root.create_child(VmoChildOptions::SNAPSHOT_MODIFIED, 0, PAGES as u64 * PAGE).unwrap();
        (0..PAGES).step_by(3).for_each(|page| fill(&clone, page as u64, 0));
        let stores = region.map(0, &clone, 0, PAGES, RW);
        let done = AtomicU64::new(0);
        let copies = thread::scope(|scope| {
            scope.spawn(|| {
                for page in 0..PAGES {
                    store_word(stores + page * P, 7);
                    done.store(page as u64, Ordering::Relaxed);
                }
            });
            // Not at the same place each time.
            while done.load(Ordering::Relaxed) < round % (PAGES as u64 / 2) {
                std::hint::spin_loop();
            }
            let frozen = || clone.create_child(VmoChildOptions::SNAPSHOT_MODIFIED, 0, PAGES as u64 * PAGE).unwrap();
            [frozen(), frozen()]
        });
        for copy in copies {
            let stored = |page: u64| word_of(&copy, page * PAGE) == Some(7);
            let first = (0..PAGES as u64).find(|&page| !stored(page)).unwrap_or(PAGES as u64);
            let later = (first..PAGES as u64).find(|&page| stored(page));
            assert_eq!(later, None, "round {round}: the store to page {first} is not there, and a later one is");
        }
        assert!((0..PAGES as u64).all(|page| word_of(&clone, page * PAGE) == Some(7)), "round {round}");
        region.unmap(0, PAGES);
    }
}

/// The stack of whoever makes the snapshot was guarded under the locks that it takes to let stores go.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_thread_takes_a_snapshot_of_its_own_stack() {
    extern "C" fn take(vmo: &zx::Vmo) {
        drop(snapshot(vmo));
    }
    const PAGES: usize = 256;
    let (done, all_done) = mpsc::channel();
    thread::spawn(move || {
        let region = Region::new(PAGES);
        let vmo = empty(PAGES as u64);
        op(&vmo, VmoOp::COMMIT, 0, PAGES as u64).unwrap();
        let top = region.map(0, &vmo, 0, PAGES, RW) + PAGES * P;
        // SAFETY: a stack of 1 MiB that is mapped for the whole call; `take` does not unwind, and the stack pointer is as
        // before afterwards.
        unsafe {
            std::arch::asm!(
                "mov r12, rsp",
                "mov rsp, {top}",
                "call {take}",
                "mov rsp, r12",
                top = in(reg) top,
                take = sym take,
                in("rdi") &raw const vmo,
                out("r12") _,
                clobber_abi("C"),
            );
        }
        done.send(()).unwrap();
    });
    all_done.recv_timeout(Duration::from_secs(30)).expect("it waits for itself");
}

#[test]
fn no_thread_sees_the_instant_in_which_a_mapping_is_replaced() {
    // Of a pager's memory: what is shown has to be watched, and must not be accessed before.
    let (pager, port) = (zx::Pager::create(zx::PagerOptions::empty()).unwrap(), zx::Port::create());
    let vmo = pager.create_vmo(zx::VmoOptions::empty(), &port, 1, P as u64).unwrap();
    let aux = zx::Vmo::create(P as u64).unwrap();
    aux.write(&[7; P], 0).unwrap();
    pager.supply_pages(&vmo, 0..P as u64, &aux, 0).unwrap();
    let region = Region::new(1);
    let at = region.map(0, &vmo, 0, 1, RW);
    let again = VmarFlagsExtended::PERM_READ | VmarFlagsExtended::PERM_WRITE | VmarFlagsExtended::SPECIFIC_OVERWRITE;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(peek(at), 7);
                    poke(at + 1, 8);
                }
            });
        }
        for _ in 0..2000 {
            // SAFETY: nothing refers to the memory.
            assert_eq!(unsafe { region.vmar.map_unsafe(0, &vmo, 0, P, again) }, Ok(at));
        }
        over.store(true, Ordering::Relaxed);
    });
}
