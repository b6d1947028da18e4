//! `free_zero_pages`: memory that holds nothing but zeros is given back, and nobody can tell.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::family::{
    DISCARDABLE, LARGEST, PAGE, check_handle, child, content, count_up, empty, empty_resizable, fill, lock, op,
    reference, snapshot, without, written,
};
use common::{P, RW, Region, StopOnDrop, load_word, peek, poke, store_word};
use zx::{CachePolicy, Rights, Status, VmarFlags as F, Vmo, VmoChildOptions as C, VmoOp};
use zxvm as zx;

fn committed(vmo: &Vmo) -> u64 {
    vmo.info().unwrap().committed_bytes / PAGE
}

/// Four committed pages, of which page 2 holds a 7 throughout.
fn mostly_zero() -> Vmo {
    let vmo = empty(4);
    op(&vmo, VmoOp::COMMIT, 0, 2).unwrap();
    fill(&vmo, 2, 7);
    fill(&vmo, 3, 0);
    vmo
}

#[test]
fn pages_of_zeros_are_given_back() {
    let vmo = mostly_zero();
    assert_eq!(committed(&vmo), 4);
    assert_eq!(vmo.free_zero_pages(), Ok(3 * PAGE));
    assert_eq!((committed(&vmo), content(&vmo)), (1, vec![0, 0, 7, 0]));
    assert_eq!(vmo.free_zero_pages(), Ok(0), "there is nothing more to be had");
    assert_eq!(empty(4).free_zero_pages(), Ok(0));
    assert_eq!(Vmo::create(0).unwrap().free_zero_pages(), Ok(0));
    fill(&vmo, 0, 5);
    assert_eq!(content(&vmo), [5, 0, 7, 0]);
}

#[test]
fn one_bit_is_enough_to_stay() {
    let vmo = empty(6);
    op(&vmo, VmoOp::COMMIT, 0, 6).unwrap();
    for (page, at, byte) in [(0, 0, 1_u8), (1, PAGE - 1, 0x80), (3, 2048, 1), (4, 4088, 0x10)] {
        vmo.write(&[byte], page * PAGE + at).unwrap();
    }
    assert_eq!(vmo.free_zero_pages(), Ok(2 * PAGE));
    assert_eq!(committed(&vmo), 4);
    assert_eq!(
        [0, 2 * PAGE - 1, 3 * PAGE + 2048, 4 * PAGE + 4088].map(|at| vmo.read_to_object::<u8>(at).unwrap()),
        [1, 0x80, 1, 0x10]
    );
}

#[test]
fn far_apart_and_many() {
    let vmo = Vmo::create(LARGEST).unwrap();
    for page in [0, 1 << 20, 1 << 40, LARGEST / PAGE - 1] {
        vmo.write(&[0; P], page * PAGE).unwrap();
    }
    vmo.write(&[1], 1 << 45).unwrap();
    assert_eq!(vmo.free_zero_pages(), Ok(4 * PAGE));
    assert_eq!((committed(&vmo), vmo.read_to_object(1 << 45)), (1, Ok(1_u8)));
    let vmo = empty(5000);
    op(&vmo, VmoOp::COMMIT, 0, 5000).unwrap();
    (0..5000).step_by(7).for_each(|page| fill(&vmo, page, 1));
    let stay = 5000_u64.div_ceil(7);
    assert_eq!(vmo.free_zero_pages(), Ok((5000 - stay) * PAGE));
    assert_eq!(committed(&vmo), stay);
    assert!(content(&vmo).iter().enumerate().all(|(page, byte)| *byte == u8::from(page % 7 == 0)));
}

#[test]
fn refusals() {
    check_handle(Vmo::free_zero_pages);
    let vmo = mostly_zero();
    assert_eq!(without(&vmo, Rights::WRITE).free_zero_pages(), Err(Status::ACCESS_DENIED));
    assert_eq!(without(&vmo, Rights::READ).free_zero_pages(), Ok(3 * PAGE), "WRITE is enough");
    let vmo = mostly_zero();
    vmo.set_cache_policy(CachePolicy::UnCached).unwrap();
    assert_eq!(without(&vmo, Rights::WRITE).free_zero_pages(), Err(Status::ACCESS_DENIED));
    assert_eq!((vmo.free_zero_pages(), committed(&vmo)), (Err(Status::BAD_STATE), 4));
}

#[test]
fn mappings_go_on() {
    let region = Region::new(8);
    let vmo = mostly_zero();
    let (at, reader) = (region.map(0, &vmo, 0, 4, RW), region.map(4, &vmo, 0, 4, F::PERM_READ));
    for page in 0..4 {
        poke(at + page * P, peek(at + page * P));
    }
    assert_eq!(vmo.free_zero_pages(), Ok(3 * PAGE));
    assert_eq!(committed(&vmo), 1);
    poke(at, 5);
    assert_eq!([peek(reader), peek(reader + 2 * P), peek(at + 2 * P)], [5, 7, 7]);
    assert_eq!(vmo.read_to_array(0), Ok([5_u8, 0]));
    assert_eq!([peek(reader + P), peek(at + 3 * P)], [0, 0]);
}

#[test]
fn windows_and_references_act_on_the_parent_in_their_range() {
    let vmo = mostly_zero();
    let (window, same) = (child(&vmo, C::SLICE, 1, 2), reference(&vmo));
    assert_eq!(window.free_zero_pages(), Ok(PAGE));
    assert_eq!((committed(&vmo), content(&vmo)), (3, vec![0, 0, 7, 0]));
    assert_eq!(without(&same, Rights::WRITE).free_zero_pages(), Err(Status::ACCESS_DENIED));
    assert_eq!(same.free_zero_pages(), Ok(2 * PAGE));
    assert_eq!((committed(&vmo), content(&same)), (1, vec![0, 0, 7, 0]));
}

#[test]
fn families_keep_their_content() {
    let root = mostly_zero();
    let copy = snapshot(&root);
    fill(&root, 2, 0);
    fill(&root, 1, 9);
    fill(&copy, 0, 8);
    let last = snapshot(&copy);
    let contents = || [&root, &copy, &last].map(content);
    let before = contents();
    assert_eq!(before, [vec![0, 9, 0, 0], vec![8, 0, 7, 0], vec![8, 0, 7, 0]]);
    for vmo in [&copy, &root, &last, &copy] {
        vmo.free_zero_pages().unwrap();
        assert_eq!(contents(), before);
    }
    assert_eq!([&root, &copy, &last].map(committed), [1, 2, 2], "what is not zero");
    // And they are as far apart as before.
    fill(&copy, 1, 30);
    fill(&last, 3, 40);
    fill(&root, 3, 50);
    assert_eq!(contents(), [vec![0, 9, 0, 50], vec![8, 30, 7, 0], vec![8, 0, 7, 40]]);
    drop(copy);
    assert_eq!([&root, &last].map(content), [vec![0, 9, 0, 50], vec![8, 0, 7, 40]]);
}

#[test]
fn zeros_over_content_of_the_parent_stay_zeros() {
    // A page of zeros that the copy wrote itself must not become the parent's again.
    let root = written(3);
    let copy = snapshot(&root);
    fill(&copy, 1, 0);
    copy.free_zero_pages().unwrap();
    assert_eq!((content(&copy), content(&root)), (vec![1, 0, 3], vec![1, 2, 3]));
    assert_eq!(committed(&copy), 2);
    let last = snapshot(&copy);
    drop(copy);
    assert_eq!((content(&last), content(&root)), (vec![1, 0, 3], vec![1, 2, 3]));
}

#[test]
fn other_kinds() {
    let vmo = count_up(empty_resizable(2));
    fill(&vmo, 0, 0);
    vmo.set_size(4 * PAGE).unwrap();
    assert_eq!((vmo.free_zero_pages(), content(&vmo)), (Ok(PAGE), vec![0, 2, 0, 0]));
    let vmo = Vmo::create_with_opts(DISCARDABLE, 2 * PAGE).unwrap();
    fill(&vmo, 0, 0);
    lock(&vmo).unwrap();
    assert_eq!((vmo.free_zero_pages(), content(&vmo)), (Ok(PAGE), vec![0, 0]));
}

#[test]
fn no_store_is_lost() {
    // Threads store to pages that are zero more often than not, while they are freed: a store is there as soon as it is
    // made, and until the thread itself makes the page zero again. By turns through a mapping and a call.
    const THREADS: usize = 3;
    const PER_THREAD: usize = 8;
    let region = Region::new(THREADS * PER_THREAD);
    let vmo = empty((THREADS * PER_THREAD) as u64);
    let at = region.map(0, &vmo, 0, THREADS * PER_THREAD, RW);
    let stop = AtomicBool::new(false);
    let rounds = AtomicU64::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (vmo, stop, rounds) = (&vmo, &stop, &rounds);
                scope.spawn(move || {
                    let mut number = 1_u64;
                    while !stop.load(Ordering::Relaxed) {
                        let page = thread * PER_THREAD + number as usize % PER_THREAD;
                        let word = page * P + number as usize * 8 % P;
                        assert_eq!(load_word(at + word), 0);
                        if number.is_multiple_of(3) {
                            vmo.write(&number.to_ne_bytes(), word as u64).unwrap();
                        } else {
                            store_word(at + word, number);
                        }
                        for _ in 0..number % 50 {
                            assert_eq!(load_word(at + word), number, "a store is lost");
                        }
                        assert_eq!(vmo.read_to_object(word as u64), Ok(number), "a store is lost");
                        store_word(at + word, 0);
                        number += 1;
                        rounds.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let _stop = StopOnDrop(&stop);
        let mut freed = 0;
        let mut calls = 0;
        while calls < 1000 || ((freed == 0 || rounds.load(Ordering::Relaxed) < 10_000) && calls < 1_000_000) {
            freed += vmo.free_zero_pages().unwrap();
            calls += 1;
            assert!(!threads.iter().any(|thread| thread.is_finished()), "a thread has failed");
        }
        assert_ne!(freed, 0);
    });
    vmo.free_zero_pages().unwrap();
    assert_eq!(committed(&vmo), 0);
}
