//! A budget over what pagers provide, on real memory: what goes has left Linux's memory and comes back by a request, what is dirty
//! stays, and the program is told when to save.

mod common;

use std::process::Command;
use std::sync::Arc;

use common::budget::{
    Alone, LEAST, Server, audit, entries, full_of_dirty, hinted, pages_in_memory, resident, set, stats,
};
use common::family::{PAGE, child, empty, fill};
use common::pager::{
    FREE, NEW, TRAP, TestPager, byte_of, committed, crowd, op, read_page, read_pages, task, write_pages,
};
use common::{P, RW, Region, linux_may_fault, peek, poke};
use zx::{Event, MonotonicInstant, Rights, Signals, Status, Vmo, VmoChildOptions, VmoOp};
use zxvm as zx;

const ON_WRITE: VmoChildOptions = VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE;

/// Tells the process that this program starts as what to be.
const ROLE: &str = "ZXVM_TEST_BUDGET";

// ---- Setting it ----

#[test]
fn a_budget_is_whole_pages_and_not_too_few() {
    let _alone = Alone::unlimited();
    assert_eq!(stats().budget, None);
    assert_eq!(zx::set_memory_budget(Some(LEAST * PAGE - 1)), Err(Status::INVALID_ARGS));
    assert_eq!(zx::set_memory_budget(Some(0)), Err(Status::INVALID_ARGS));
    assert_eq!(stats().budget, None, "a refusal changes nothing");
    assert_eq!(zx::set_memory_budget(Some(LEAST * PAGE + PAGE - 1)), Ok(()));
    assert_eq!(stats().budget, Some(LEAST * PAGE));
    assert_eq!(zx::set_memory_budget(Some(u64::MAX)), Ok(()));
    set(None);
    assert_eq!(stats().budget, None);
}

/// What a process is told by `ZXVM_BUDGET`, by running this program once more.
fn with_variable(word: &str) -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "the_environment_may_say", "--nocapture"]).env(ROLE, "tell").env("ZXVM_BUDGET", word);
    let output = program.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    told.lines().find_map(|line| line.split("told: ").nth(1)).expect("it tells").to_owned()
}

#[test]
fn the_environment_may_say() {
    if std::env::var_os(ROLE).is_some() {
        println!("told: {:?}", zx::memory_stats().map(|stats| stats.budget));
        return;
    }
    for (word, bytes) in [("262144", 262_144), ("300K", 300 << 10), ("64M", 64 << 20), ("1G", 1 << 30)] {
        assert_eq!(with_variable(word), format!("{:?}", Ok::<_, Status>(Some(bytes))));
    }
    for word in ["", "many", "64X", "255K", "-1"] {
        assert_eq!(with_variable(word), format!("{:?}", Err::<(), _>(Status::INVALID_ARGS)), "{word:?}");
    }
}

#[test]
fn lowering_it_takes_what_is_beyond_it_and_raising_it_brings_nothing() {
    let _alone = Alone::unlimited();
    let pager = TestPager::new();
    let vmo = pager.full(FREE, 300);
    assert_eq!(resident(), 300);
    set(Some(100));
    assert_eq!((resident(), committed(&vmo), pages_in_memory()), (100, 100, 100));
    set(Some(1000));
    assert_eq!((resident(), committed(&vmo)), (100, 100));
    // What is dirty stays, beyond the budget if need be, and goes when it was saved.
    pager.supply(&vmo, 0..300);
    write_pages(&vmo, 0..200).unwrap();
    set(Some(LEAST));
    assert_eq!((stats().resident, stats().dirty), (200 * PAGE, 200 * PAGE));
    pager.write_back(&vmo, 0..50);
    assert_eq!(stats().resident, 150 * PAGE);
    pager.write_back(&vmo, 50..200);
    assert_eq!((resident(), committed(&vmo)), (LEAST, LEAST));
}

// ---- What goes ----

#[test]
fn what_goes_leaves_memory_and_page_tables_and_comes_back_by_a_request() {
    let _alone = Alone::with(LEAST);
    let (pager, region) = (Arc::new(TestPager::new()), Region::new(2 * 400));
    let vmo = pager.vmo(FREE, 400);
    let at = [region.map(0, &vmo, 0, 400, RW), region.map(400, &vmo, 0, 400, RW)];
    let before = stats();
    let server = Server::start(&pager, &vmo);
    for page in 0..400 {
        assert_eq!(peek(at[page % 2] + page * P), byte_of(page as u64));
        server.rest();
        let there = resident();
        assert_eq!((committed(&vmo), pages_in_memory()), (there, there), "page {page}");
    }
    assert!(resident() > LEAST / 2);
    assert_eq!(server.reads(), (0..400).collect::<Vec<_>>());
    let (after, info) = (stats(), vmo.info().unwrap());
    let evicted = after.evicted - before.evicted;
    assert_eq!((after.supplied - before.supplied, evicted), (400 * PAGE, 400 * PAGE - after.resident));
    assert!(info.committed_change_events > 0);
    // What has an entry is there; what has gone has none.
    let entered: Vec<bool> = (0..400).map(|page| at.iter().any(|at| entries(at + page * P, 1)[0])).collect();
    assert!(entered.iter().filter(|&&entered| entered).count() as u64 <= resident());
    let load = |is_entered: bool| {
        // What went last comes first: it is remembered.
        let pages = (0..400).rev().filter(|&page| entered[page] == is_entered);
        pages.for_each(|page| assert_eq!(peek(at[1] + page * P), byte_of(page as u64)));
        server.reads()
    };
    assert_eq!(load(true), []);
    let again = load(false);
    assert!(again.len() as u64 >= 400 - LEAST && again.iter().all(|&page| !entered[page as usize]));
    assert!(stats().refaulted > before.refaulted, "what came again soon is known to have");
    assert_eq!(read_pages(&vmo, 0..200).unwrap(), (0..200).map(byte_of).collect::<Vec<_>>());
    assert!(resident() <= LEAST);
}

#[test]
fn calls_keep_to_the_budget_and_see_what_the_pager_has() {
    let _alone = Alone::with(LEAST);
    let pager = Arc::new(TestPager::new());
    let vmo = pager.vmo(FREE, 500);
    let server = Server::start(&pager, &vmo);
    assert_eq!(read_pages(&vmo, 0..500).unwrap(), (0..500).map(byte_of).collect::<Vec<_>>());
    assert!(resident() > 0);
    for what in [VmoOp::COMMIT, VmoOp::PREFETCH] {
        assert_eq!(op(&vmo, what, 0..500), Ok(()));
        server.rest();
        assert_eq!(committed(&vmo), resident());
    }
    assert_eq!(pages_in_memory(), resident());
    // A pager that supplies more than was asked for is not refused: what came last stays.
    pager.supply(&vmo, 0..300);
    assert!(resident() <= LEAST);
    assert_eq!(pager.all_dirty(&vmo), []);
}

#[test]
fn a_load_of_a_zero_page_takes_room_and_gives_it_back() {
    let _alone = Alone::with(LEAST);
    let (pager, region) = (TestPager::new(), Region::new(300));
    let vmo = pager.vmo(FREE, 300);
    pager.supply_zeros(&vmo, 0..200);
    op(&vmo, VmoOp::ZERO, 200..300).unwrap();
    assert_eq!(resident(), 0);
    let at = region.map(0, &vmo, 0, 300, RW);
    for page in 0..300 {
        assert_eq!(peek(at + page * P), 0);
        assert_eq!(pages_in_memory(), resident());
    }
    assert!(resident() > LEAST / 2, "Linux has no page of zeros for them");
    assert_eq!((committed(&vmo), pager.all_dirty(&vmo)), (0, vec![(200..300, true)]));
    pager.expect_nothing();
}

#[test]
fn reclaim_takes_what_is_clean_and_tells_how_much() {
    let _alone = Alone::unlimited();
    let (pager, region) = (Arc::new(TestPager::new()), Region::new(40));
    let vmo = pager.full(FREE, 40);
    let at = region.map(0, &vmo, 0, 40, RW);
    (0..10).for_each(|page| poke(at + page * P, NEW));
    (10..40).for_each(|page| assert_eq!(peek(at + page * P), byte_of(page as u64)));
    let plain = empty(5);
    (0..5).for_each(|page| fill(&plain, page, 1));
    assert_eq!(zx::reclaim(0), Ok(0));
    let some = zx::reclaim(5 * PAGE).unwrap() / PAGE;
    assert!((5..=30).contains(&some), "{some}");
    assert_eq!(resident(), 40 - some);
    assert_eq!(zx::reclaim(u64::MAX), Ok((30 - some) * PAGE), "in use or not");
    assert_eq!((resident(), committed(&vmo), pages_in_memory()), (10, 10, 15));
    assert_eq!(entries(at, 40).into_iter().filter(|&there| there).count(), 10);
    assert_eq!(pager.all_dirty(&vmo), [(0..10, false)]);
    assert_eq!((zx::reclaim(u64::MAX), committed(&plain)), (Ok(0), 5));
    let server = Server::start(&pager, &vmo);
    (0..10).for_each(|page| assert_eq!(peek(at + page * P), NEW));
    (10..40).for_each(|page| assert_eq!(peek(at + page * P), byte_of(page as u64)));
    assert_eq!(server.reads(), (10..40).collect::<Vec<_>>());
}

#[test]
fn what_goes_below_a_clone_is_asked_for_and_what_is_its_own_stays() {
    let _alone = Alone::unlimited();
    let (pager, region) = (Arc::new(TestPager::new()), Region::new(60));
    let vmo = pager.full(FREE, 20);
    let clone = child(&vmo, ON_WRITE, 0, 20);
    let above = child(&clone, ON_WRITE, 5, 10);
    write_pages(&clone, 3..7).unwrap();
    write_pages(&above, 9..10).unwrap();
    let at = [(&*vmo, 20), (&clone, 20), (&above, 10)];
    let at = [0, 1, 2].map(|index| region.map(20 * index, at[index].0, 0, at[index].1, RW));
    (0..20).for_each(|page| assert_eq!(peek(at[0] + page * P), byte_of(page as u64)));
    assert_eq!(zx::reclaim(u64::MAX), Ok(20 * PAGE));
    assert_eq!([&*vmo, &clone, &above].map(committed), [0, 4, 1]);
    let server = Server::start(&pager, &vmo);
    let seen = |at: usize, pages: usize| (0..pages).map(|page| peek(at + page * P)).collect::<Vec<_>>();
    let own = |first: u64, pages: u64, own: &[u64]| {
        (first..first + pages).map(|page| if own.contains(&page) { NEW } else { byte_of(page) }).collect::<Vec<_>>()
    };
    assert_eq!(seen(at[2], 10), own(5, 10, &[5, 6, 14]));
    assert_eq!(server.reads(), [7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(seen(at[1], 20), own(0, 20, &[3, 4, 5, 6]));
    assert_eq!(server.reads(), [0, 1, 2, 14, 15, 16, 17, 18, 19]);
    // The first store to a clone of what has gone brings it first, and then is the clone's.
    assert_eq!(zx::reclaim(u64::MAX), Ok(16 * PAGE));
    poke(at[1] + 10 * P, 5);
    assert_eq!(server.reads(), [10]);
    assert_eq!((peek(at[1] + 10 * P + 1), peek(at[0] + 10 * P)), (byte_of(10), byte_of(10)));
    assert_eq!(pager.all_dirty(&vmo), []);
}

#[test]
fn a_system_call_brings_back_what_has_gone() {
    if !linux_may_fault() {
        return println!("skipped: faults of Linux's own are not served");
    }
    let _alone = Alone::with(LEAST);
    let (pager, region) = (Arc::new(TestPager::new()), Region::new(400));
    let vmo = pager.vmo(FREE, 400);
    let at = region.map(0, &vmo, 0, 400, RW);
    let _server = Server::start(&pager, &vmo);
    let path = std::env::temp_dir().join(format!("zxvm-reclaim-{}", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    for page in 0..400 {
        // SAFETY: mapped readable, and nobody stores there.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(at + page * P), P) };
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).unwrap();
        let mut written = [0; P];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut written, 0).unwrap();
        assert_eq!(written, [byte_of(page as u64); P]);
        assert!(resident() <= LEAST);
    }
}

// ---- What stays ----

#[test]
fn what_is_dirty_or_being_saved_stays() {
    for options in [FREE, TRAP] {
        let _alone = Alone::with(LEAST);
        let (pager, region) = (Arc::new(TestPager::new()), Region::new(400));
        let vmo = full_of_dirty(&pager, options, 0..20, 400);
        let at = region.map(0, &vmo, 0, 400, RW);
        pager.begin(&vmo, 0..10);
        let scan = || {
            let server = Server::start(&pager, &vmo);
            (100..300).for_each(|page| assert_eq!(peek(at + page * P), byte_of(page as u64)));
            assert_eq!(server.reads().len(), 200);
        };
        scan();
        assert_eq!(zx::reclaim(u64::MAX).map(|_| resident()), Ok(20));
        assert_eq!(read_pages(&vmo, 0..20).unwrap(), [NEW; 20]);
        assert_eq!(pager.all_dirty(&vmo).iter().map(|(pages, _)| pages.end - pages.start).sum::<u64>(), 20);
        pager.end(&vmo, 0..10);
        assert_eq!(stats().dirty, 10 * PAGE);
        scan();
        assert_eq!(pager.dirty_pages(&vmo), ((10..20).collect(), vec![]));
        // Saved pages have gone: the pager is asked, and gives what it has.
        assert_eq!(zx::reclaim(u64::MAX).map(|_| resident()), Ok(10));
        let load = task(move || peek(at));
        pager.expect_read(0..1);
        pager.supply(&vmo, 0..1);
        assert_eq!(load.end(), byte_of(0));
    }
}

#[test]
fn a_trapped_store_to_what_went_asks_for_the_page_and_then_for_consent() {
    let _alone = Alone::unlimited();
    let (pager, region) = (TestPager::new(), Region::new(10));
    let vmo = pager.full(TRAP, 10);
    let at = region.map(0, &vmo, 0, 10, RW);
    assert_eq!(peek(at), byte_of(0));
    let store = task(move || poke(at, 7));
    pager.expect_dirty(0..1);
    assert_eq!(zx::reclaim(u64::MAX), Ok(10 * PAGE));
    assert_eq!(pager.op(zx::PagerOp::Dirty, &vmo, 0..1), Err(Status::NOT_FOUND), "it went meanwhile");
    pager.expect_read(0..1);
    pager.supply(&vmo, 0..1);
    pager.expect_dirty(0..1);
    pager.dirty(&vmo, 0..1);
    store.end();
    assert_eq!((peek(at), peek(at + 1), pager.all_dirty(&vmo)), (7, byte_of(0), vec![(0..1, false)]));
    assert_eq!(zx::reclaim(u64::MAX), Ok(0));
}

// ---- Being told ----

fn is_signalled(event: &Event) -> bool {
    event.wait_one(Signals::EVENT_SIGNALED, MonotonicInstant::INFINITE_PAST).is_ok()
}

#[test]
fn the_event_says_when_to_save() {
    let _alone = Alone::with(LEAST);
    let event = zx::writeback_event().unwrap();
    let pager = TestPager::new();
    assert_eq!(event.basic_info().unwrap().rights & (Rights::SIGNAL | Rights::WAIT), Rights::WAIT);
    assert_eq!(event.signal(Signals::empty(), Signals::EVENT_SIGNALED), Err(Status::ACCESS_DENIED));
    let vmo = full_of_dirty(&pager, FREE, 0..LEAST / 2 - 1, 200);
    assert!(!is_signalled(&event));
    pager.supply(&vmo, 100..101);
    write_pages(&vmo, 100..101).unwrap();
    assert!(is_signalled(&event) && is_signalled(&zx::writeback_event().unwrap()), "half of it is dirty");
    pager.write_back(&vmo, 0..10);
    assert!(is_signalled(&event), "until less than a quarter is");
    pager.write_back(&vmo, 10..20);
    assert!(!is_signalled(&event));
    pager.write_back(&vmo, 0..200);
    // With room for all of it nothing needs to be saved.
    set(None);
    write_pages(&vmo, 100..101).unwrap();
    assert!(!is_signalled(&event));
    // And a smaller budget changes that.
    let second = full_of_more_dirty(&pager, 40);
    assert!(!is_signalled(&event));
    set(Some(LEAST));
    assert!(is_signalled(&event));
    drop((vmo, second));
    assert!(!is_signalled(&event), "there is nothing to save any more");
}

/// One more VMO, of dirty pages.
fn full_of_more_dirty(pager: &TestPager, pages: u64) -> Arc<Vmo> {
    let vmo = pager.full(FREE, pages);
    write_pages(&vmo, 0..pages).unwrap();
    vmo
}

#[test]
fn who_saves_by_the_event_never_keeps_anybody_waiting_for_ever() {
    let _alone = Alone::with(LEAST);
    let (pager, region) = (Arc::new(TestPager::new()), Region::new(1000));
    let vmo = pager.vmo(FREE, 1000);
    let at = region.map(0, &vmo, 0, 1000, RW);
    let _server = Server::start(&pager, &vmo);
    let (event, stop) = (zx::writeback_event().unwrap(), Event::create());
    let (saver, file, stopped) = (pager.clone(), vmo.clone(), stop.duplicate_handle(Rights::SAME_RIGHTS).unwrap());
    // Every page is stored to: each has to be saved before the budget's worth further on can come.
    let stores = crowd(4, move |number| (number..1000).step_by(4).for_each(|page| poke(at + page * P, NEW)));
    let save = task(move || {
        let on = |event| zx::WaitItem { handle: event, waitfor: Signals::EVENT_SIGNALED, pending: Signals::empty() };
        loop {
            let mut events = [on(event.as_handle_ref()), on(stopped.as_handle_ref())];
            zx::object_wait_many(&mut events, MonotonicInstant::INFINITE).unwrap();
            if events[1].pending.contains(Signals::EVENT_SIGNALED) {
                return;
            }
            for (pages, is_zero) in saver.all_dirty(&file) {
                assert!(!is_zero);
                saver.write_back(&file, pages);
            }
            assert!(resident() <= LEAST);
        }
    });
    stores.into_iter().for_each(|store| store.end());
    stop.signal(Signals::empty(), Signals::EVENT_SIGNALED).unwrap();
    save.end();
    assert!(resident() <= LEAST);
    audit();
}

#[test]
fn stats_add_up() {
    let _alone = Alone::with(2 * LEAST);
    let pager = Arc::new(TestPager::new());
    let vmo = full_of_dirty(&pager, FREE, 0..10, 500);
    let _server = Server::start(&pager, &vmo);
    op(&vmo, VmoOp::ALWAYS_NEED, 20..30).unwrap();
    op(&vmo, VmoOp::PREFETCH, 100..400).unwrap();
    op(&vmo, VmoOp::DONT_NEED, 390..400).unwrap();
    let stats = stats();
    assert_eq!(stats.resident, stats.dirty + stats.newcomers + stats.proven + stats.need_not + stats.need);
    assert_eq!((stats.dirty, stats.need, hinted()), (10 * PAGE, 10 * PAGE, (10, 10)));
    assert_eq!(committed(&vmo) * PAGE, stats.resident);
    assert_eq!(read_page(&vmo, 5), Ok(NEW));
}
