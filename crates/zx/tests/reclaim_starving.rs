//! Who needs a page when all of the budget is dirty: accesses and calls wait until something was saved, or nobody can give it to
//! them any more; and nobody waits for ever.

#![allow(unsafe_code)]

mod common;

use std::sync::Arc;

use common::budget::{Alone, LEAST, Server, full_of_dirty, resident, set, stats};
use common::family::{PAGE, child, written};
use common::pager::{FREE, NEW, TRAP, Task, TestPager, byte_of, op, read_page, task, with, write_pages};
use common::{P, RW, Region, peek, poke};
use zx::{PagerOp, Status, VmarFlags as F, VmarFlagsExtended, VmarOp, Vmo, VmoChildOptions, VmoOp, VmoOptions};
use zxvm as zx;

/// The page that is wanted.
const WANTED: u64 = 100;

/// One of many that are dirty.
const SAVED: u64 = 3;

const PAGES: u64 = 200;

/// The budget is full of dirty pages of a VMO, which is mapped.
struct Scene {
    vmo: Arc<Vmo>,
    region: Region,
    pager: Arc<TestPager>,
    _alone: Alone,
}

impl Scene {
    fn new(options: VmoOptions) -> Self {
        let (_alone, pager) = (Alone::with(LEAST), Arc::new(TestPager::new()));
        let vmo = full_of_dirty(&pager, options, 0..LEAST, PAGES);
        let region = Region::new(PAGES as usize);
        region.map(0, &vmo, 0, PAGES as usize, RW | F::ALLOW_FAULTS);
        Self { vmo, region, pager, _alone }
    }

    fn at(&self, page: u64) -> usize {
        self.region.page(page as usize)
    }

    /// `task` asked for the wanted page, and the pager gave what there is no room for.
    #[track_caller]
    fn starve<T: std::fmt::Debug>(&self, task: &Task<T>) {
        let before = stats().starved;
        self.pager.expect_read(WANTED..WANTED + 1);
        self.pager.supply(&self.vmo, WANTED..WANTED + 1);
        assert_eq!((resident(), stats().starved), (LEAST, before + 1));
        task.waits();
        self.pager.expect_nothing();
    }

    #[track_caller]
    fn save(&self) {
        self.pager.write_back(&self.vmo, SAVED..SAVED + 1);
    }

    /// After a writeback it is asked for again, and comes.
    #[track_caller]
    fn relieve(&self) {
        self.save();
        self.pager.expect_read(WANTED..WANTED + 1);
        self.pager.supply(&self.vmo, WANTED..WANTED + 1);
    }

    fn try_load(&self) -> Task<Result<u8, Status>> {
        let at = self.at(WANTED);
        task(move || {
            let mut byte = [0];
            // SAFETY: nobody stores there meanwhile.
            unsafe { zx::try_read(at, &mut byte) }.map(|()| byte[0])
        })
    }
}

// ---- Going on ----

#[test]
fn accesses_go_on_after_a_writeback() {
    let scene = Scene::new(FREE);
    let at = scene.at(WANTED);
    let load = task(move || peek(at));
    scene.starve(&load);
    scene.relieve();
    assert_eq!(load.end(), byte_of(WANTED));
    // The page that was saved has gone, and is the pager's to bring.
    let gone = scene.at(SAVED);
    write_pages(&scene.vmo, WANTED..WANTED + 1).unwrap();
    let store = task(move || poke(gone, 5));
    scene.pager.expect_read(SAVED..SAVED + 1);
    scene.pager.supply(&scene.vmo, SAVED..SAVED + 1);
    store.waits();
    scene.pager.write_back(&scene.vmo, WANTED..WANTED + 1);
    scene.pager.expect_read(SAVED..SAVED + 1);
    scene.pager.supply(&scene.vmo, SAVED..SAVED + 1);
    store.end();
    assert_eq!((peek(gone), peek(gone + 1), resident()), (5, byte_of(SAVED), LEAST));
}

#[test]
fn calls_go_on_after_a_writeback() {
    type Call = fn(&Vmo) -> Result<(), Status>;
    let calls: [(&str, Call); 6] = [
        ("read", |vmo| read_page(vmo, WANTED).map(|byte| assert_eq!(byte, byte_of(WANTED)))),
        ("write", |vmo| vmo.write(&[NEW], WANTED * PAGE + 1)),
        ("zero a part", |vmo| vmo.op_range(VmoOp::ZERO, WANTED * PAGE + 1, 1)),
        ("commit", |vmo| op(vmo, VmoOp::COMMIT, WANTED..WANTED + 1)),
        ("prefetch", |vmo| op(vmo, VmoOp::PREFETCH, WANTED..WANTED + 1)),
        ("always need", |vmo| op(vmo, VmoOp::ALWAYS_NEED, WANTED..WANTED + 1)),
    ];
    for (name, call) in calls {
        println!("{name}");
        let scene = Scene::new(FREE);
        let call = with(&scene.vmo, call);
        scene.starve(&call);
        scene.relieve();
        assert_eq!(call.end(), Ok(()), "{name}");
        scene.pager.expect_nothing();
    }
    let scene = Scene::new(FREE);
    let (vmar, at) = (scene.region.vmar.duplicate_handle(zx::Rights::SAME_RIGHTS).unwrap(), scene.at(WANTED));
    let commit = task(move || vmar.op_range(VmarOp::COMMIT, at, P));
    scene.starve(&commit);
    scene.relieve();
    assert_eq!(commit.end(), Ok(()));
}

#[test]
fn clones_wait_for_what_is_below_and_for_nothing_else() {
    let scene = Scene::new(FREE);
    let clone = Arc::new(child(&scene.vmo, VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE, 0, PAGES));
    // A copy of what is there is no page of the pager's.
    assert_eq!(write_pages(&clone, 0..1), Ok(()));
    let write = with(&clone, |clone| clone.write(&[1], WANTED * PAGE));
    scene.starve(&write);
    scene.relieve();
    assert_eq!(write.end(), Ok(()));
    assert_eq!(resident(), LEAST);
    assert_eq!([read_page(&clone, 0), read_page(&clone, WANTED)], [Ok(NEW), Ok(byte_of(WANTED))]);
}

#[test]
fn zero_pages_wait_for_room_without_asking_the_pager() {
    let scene = Scene::new(FREE);
    op(&scene.vmo, VmoOp::ZERO, WANTED..WANTED + 4).unwrap();
    let at = scene.at(WANTED);
    let accesses = [
        task(move || usize::from(peek(at))),
        task(move || {
            poke(at + P, 5);
            5
        }),
    ];
    let call = with(&scene.vmo, |vmo| vmo.write(&[6], (WANTED + 2) * PAGE));
    for access in &accesses {
        access.waits();
    }
    call.waits();
    scene.pager.expect_nothing();
    assert_eq!(resident(), LEAST);
    scene.pager.write_back(&scene.vmo, 0..3);
    assert_eq!((accesses.map(Task::end), call.end()), ([0, 5], Ok(())));
    assert!(resident() > 0);
    assert_eq!(read_page(&scene.vmo, WANTED + 3), Ok(0));
    scene.pager.expect_nothing();
}

#[test]
fn consent_for_which_there_is_no_room_is_asked_for_again() {
    let scene = Scene::new(TRAP);
    op(&scene.vmo, VmoOp::ZERO, WANTED..WANTED + 1).unwrap();
    let at = scene.at(WANTED);
    let store = task(move || poke(at, 5));
    scene.pager.expect_dirty(WANTED..WANTED + 1);
    // A pager must not be made to wait: it may be the one that saves.
    assert_eq!(scene.pager.op(PagerOp::Dirty, &scene.vmo, WANTED..WANTED + 1), Err(Status::NO_MEMORY));
    store.waits();
    scene.pager.expect_nothing();
    scene.save();
    scene.pager.expect_dirty(WANTED..WANTED + 1);
    scene.pager.dirty(&scene.vmo, WANTED..WANTED + 1);
    store.end();
    assert_eq!((peek(at), peek(at + 1)), (5, 0));
}

#[test]
fn a_larger_budget_and_dropped_dirty_pages_are_room_too() {
    type Relief = fn(&Scene);
    let reliefs: [(&str, Relief); 4] = [
        ("a larger budget", |_| set(Some(LEAST + 1))),
        ("no budget", |_| set(None)),
        ("zeroed", |scene| op(&scene.vmo, VmoOp::ZERO, SAVED..SAVED + 1).unwrap()),
        ("cut off", |scene| scene.vmo.set_size(150 * PAGE).unwrap()),
    ];
    for (name, relief) in reliefs {
        println!("{name}");
        let scene = Scene::new(FREE | VmoOptions::RESIZABLE);
        if name == "cut off" {
            // One of them lies at the end.
            op(&scene.vmo, VmoOp::ZERO, 0..1).unwrap();
            scene.pager.supply(&scene.vmo, 180..181);
            write_pages(&scene.vmo, 180..181).unwrap();
        }
        let at = scene.at(WANTED);
        let load = task(move || peek(at));
        scene.starve(&load);
        relief(&scene);
        scene.pager.expect_read(WANTED..WANTED + 1);
        scene.pager.supply(&scene.vmo, WANTED..WANTED + 1);
        assert_eq!(load.end(), byte_of(WANTED), "{name}");
    }
}

#[test]
fn a_vmo_that_goes_makes_room_for_others() {
    let scene = Scene::new(FREE);
    let other = scene.pager.vmo_with_key(FREE, PAGES, 7);
    let read = with(&other, |vmo| read_page(vmo, WANTED));
    let pages = WANTED..WANTED + 1;
    assert_eq!(scene.pager.next(), (7, common::pager::Asked::Read(pages.clone())));
    scene.pager.supply(&other, pages.clone());
    read.waits();
    let Scene { vmo, region, pager, _alone } = scene;
    drop((vmo, region));
    let asked = loop {
        // The VMO that has gone says so.
        match pager.next() {
            (common::pager::KEY, asked) => assert_eq!(asked, common::pager::Asked::Complete),
            other => break other,
        }
    };
    assert_eq!(asked, (7, common::pager::Asked::Read(pages.clone())));
    pager.supply(&other, pages);
    assert_eq!((read.end(), resident()), (Ok(byte_of(WANTED)), 1));
}

#[test]
fn many_wait_and_all_go_on() {
    let scene = Scene::new(FREE);
    let base = scene.at(0);
    let loads: Vec<_> = (WANTED..WANTED + 16).map(|page| task(move || peek(base + page as usize * P))).collect();
    let calls: Vec<_> =
        (WANTED + 16..WANTED + 32).map(|page| with(&scene.vmo, move |vmo| read_page(vmo, page))).collect();
    let server = Server::start(&scene.pager, &scene.vmo);
    while stats().starved < 32 {
        std::thread::yield_now();
    }
    // One page at a time: whoever gets room must not keep it from the others.
    for page in 0..4 {
        scene.pager.write_back(&scene.vmo, page..page + 1);
    }
    for (index, load) in loads.into_iter().enumerate() {
        assert_eq!(load.end(), byte_of(WANTED + index as u64));
    }
    for (index, call) in calls.into_iter().enumerate() {
        assert_eq!(call.end(), Ok(byte_of(WANTED + 16 + index as u64)));
    }
    drop(server);
    assert!(resident() > 0);
}

// ---- Giving up ----

#[test]
fn who_waits_for_room_is_told_that_the_pager_has_let_go() {
    for detach in [true, false] {
        let scene = Scene::new(FREE);
        let load = scene.try_load();
        scene.starve(&load);
        let Scene { vmo, region, pager, _alone } = scene;
        let read = with(&vmo, |vmo| read_page(vmo, WANTED + 1));
        pager.expect_read(WANTED + 1..WANTED + 2);
        pager.supply(&vmo, WANTED + 1..WANTED + 2);
        read.waits();
        if detach {
            assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
        } else {
            drop(pager);
        }
        assert_eq!((load.end(), read.end()), (Err(Status::BAD_STATE), Err(Status::BAD_STATE)));
        drop((vmo, region));
    }
}

#[test]
fn who_waits_for_room_beyond_the_new_end_is_told() {
    let scene = Scene::new(FREE | VmoOptions::RESIZABLE);
    let (load, read) = (scene.try_load(), with(&scene.vmo, |vmo| read_page(vmo, WANTED)));
    let before = stats().starved;
    let server = Server::start(&scene.pager, &scene.vmo);
    while stats().starved < before + 2 {
        std::thread::yield_now();
    }
    drop(server);
    load.waits();
    read.waits();
    scene.vmo.set_size(WANTED * PAGE).unwrap();
    assert_eq!((load.end(), read.end()), (Err(Status::OUT_OF_RANGE), Err(Status::OUT_OF_RANGE)));
}

#[test]
fn who_waits_where_something_else_is_shown_by_now_gets_that() {
    for overwritten in [false, true] {
        let scene = Scene::new(FREE);
        let load = scene.try_load();
        scene.starve(&load);
        if overwritten {
            let flags = VmarFlagsExtended::PERM_READ | VmarFlagsExtended::SPECIFIC_OVERWRITE;
            // SAFETY: nothing refers to the page that was shown there.
            let at = unsafe { scene.region.vmar.map_unsafe(WANTED as usize * P, &written(1), 0, P, flags) };
            assert_eq!((at, load.end()), (Ok(scene.at(WANTED)), Ok(1)));
        } else {
            scene.region.unmap(WANTED as usize, 1);
            assert_eq!(load.end(), Err(Status::NOT_FOUND));
        }
    }
}

#[test]
fn who_waits_for_what_turns_out_to_be_zero_needs_no_room() {
    for by_pager in [false, true] {
        let scene = Scene::new(FREE);
        let read = with(&scene.vmo, |vmo| read_page(vmo, WANTED));
        scene.starve(&read);
        if by_pager {
            scene.pager.supply_zeros(&scene.vmo, WANTED..WANTED + 1);
        } else {
            op(&scene.vmo, VmoOp::ZERO, WANTED..WANTED + 1).unwrap();
        }
        assert_eq!((read.end(), resident()), (Ok(0), LEAST));
        scene.pager.expect_nothing();
    }
}

#[test]
fn what_the_pager_refuses_is_said_to_those_who_ask_again() {
    let scene = Scene::new(FREE);
    let load = scene.try_load();
    scene.starve(&load);
    // Nobody asks just now: there is nobody to be told.
    scene.pager.fail(&scene.vmo, WANTED..WANTED + 1, Status::IO);
    load.waits();
    scene.save();
    scene.pager.expect_read(WANTED..WANTED + 1);
    scene.pager.fail(&scene.vmo, WANTED..WANTED + 1, Status::IO);
    assert_eq!(load.end(), Err(Status::IO));
}
