//! A budget over what pagers provide, on the simulated machine: what goes, what stays, and who waits.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{BEGIN, DIRTY, Machine, PLAIN, READ};
use zxvm_host::PAGE_SIZE;
use zxvm_host::fail::FailNth;
use zxvm_host::sim::{SimFault, SimHost};
use zxvm_types::Status;
use zxvm_vm::{ChildKind, PagerOp, RequestKind, Vmo, VmoOp, WaitingOne, WritebackSink};

/// The least budget, in pages.
const BUDGET: u64 = 64;

fn machine(pages: u64) -> Machine {
    let machine = Machine::new(pages, false);
    machine.budget(BUDGET);
    machine
}

#[derive(Debug, Default)]
struct Wish(Mutex<Vec<bool>>);

impl WritebackSink for Wish {
    fn writeback_wanted(&self, wanted: bool) {
        self.0.lock().unwrap().push(wanted);
    }
}

impl Machine {
    fn budget(&self, pages: u64) {
        self.space.set_budget(Some(pages * PAGE_SIZE)).unwrap();
    }

    fn resident(&self) -> u64 {
        self.space.memory_stats().resident / PAGE_SIZE
    }

    /// Loads from a page, which is supplied if it is asked for: whether it was there.
    fn touch(&self, page: u64) -> bool {
        let hit = self.host.load(self.at(page)).is_ok();
        if !hit {
            assert_eq!(self.port.take(), [(READ, page, page + 1)]);
            self.supply(page, page + 1).unwrap();
            assert_eq!(self.host.load(self.at(page)), Ok((page + 1) as u8));
        }
        let stats = self.space.memory_stats();
        assert!(stats.budget.is_none_or(|budget| stats.resident <= budget));
        hit
    }

    fn is_there(&self, page: u64) -> bool {
        let mut found = false;
        let hit = self.host.load(self.at(page));
        if hit.is_ok() {
            found = true;
        } else {
            self.port.take();
            self.op(PagerOp::Fail(Status::IO), page, page + 1).unwrap();
        }
        found
    }

    fn supply_zeros(&self, from: u64, to: u64) -> Result<(), Status> {
        let (offset, len) = (from * PAGE_SIZE, (to - from) * PAGE_SIZE);
        let aux = Vmo::create(&self.stores, 2, PLAIN, len, 0).unwrap();
        self.space.supply_pages(&self.pager, &self.vmo, offset, len, &aux, 0)
    }

    fn write_back(&self, from: u64, to: u64) {
        self.op(BEGIN, from, to).unwrap();
        self.op(PagerOp::WritebackEnd, from, to).unwrap();
    }
}

#[test]
fn a_budget_is_kept_and_every_page_is_what_it_was() {
    let machine = machine(1000);
    for round in 0..3 {
        for page in 0..200 {
            machine.touch(page);
        }
        machine.audit();
        assert!(machine.resident() <= BUDGET && machine.resident() > BUDGET / 2, "round {round}");
    }
    let stats = machine.space.memory_stats();
    assert_eq!(stats.supplied - stats.evicted, stats.resident);
    assert_eq!(stats.budget, Some(BUDGET * PAGE_SIZE));
}

#[test]
fn less_than_the_least_budget_is_refused_and_no_budget_lets_everything_stay() {
    let machine = Machine::new(200, false);
    assert_eq!(machine.space.set_budget(Some(BUDGET * PAGE_SIZE - 1)), Err(Status::INVALID_ARGS));
    assert_eq!(machine.space.memory_stats().budget, None);
    machine.supply(0, 200).unwrap();
    assert_eq!(machine.resident(), 200);
    machine.budget(100);
    assert_eq!(machine.resident(), 100, "what is beyond it goes at once");
    machine.audit();
    machine.space.set_budget(None).unwrap();
    machine.supply(0, 200).unwrap();
    assert_eq!(machine.resident(), 200);
    machine.audit();
}

#[test]
fn what_is_supplied_at_once_is_kept_to_the_budget_as_well() {
    let machine = machine(1000);
    machine.supply(0, 500).unwrap();
    assert!(machine.resident() <= BUDGET);
    machine.audit();
    assert!(machine.is_there(499), "what came last is there");
    assert!((0..500).filter(|&page| machine.is_there(page)).count() as u64 <= BUDGET);
}

#[test]
fn dirty_pages_stay_and_are_not_forgotten() {
    let machine = machine(1000);
    for page in 0..20 {
        machine.touch(page);
        machine.host.store(machine.at(page), 200).unwrap();
    }
    for page in 100..400 {
        machine.touch(page);
    }
    machine.audit();
    assert_eq!(machine.dirty(), [(0, 20, false)]);
    for page in 0..20 {
        assert_eq!(machine.host.load(machine.at(page)), Ok(200));
    }
    assert_eq!(machine.space.memory_stats().dirty, 20 * PAGE_SIZE);
    machine.write_back(0, 20);
    assert_eq!(machine.space.memory_stats().dirty, 0);
    machine.space.take_pages(u64::MAX);
    assert!(!machine.is_there(0), "what was saved may go");
    assert_eq!(machine.resident(), 0);
    machine.audit();
}

#[test]
fn with_everything_dirty_an_access_waits_until_something_was_saved() {
    let machine = machine(1000);
    let wish = Arc::new(Wish::default());
    let sink: Arc<dyn WritebackSink> = wish.clone();
    machine.space.observe_writeback(Arc::downgrade(&sink));
    machine.fill_with_dirty();
    assert_eq!(*wish.0.lock().unwrap(), [true], "pagers are told to save long before all is dirty");
    assert_eq!(machine.host.load(machine.at(500)), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(READ, 500, 501)]);
    machine.supply(500, 501).unwrap();
    assert_eq!(machine.resident(), BUDGET, "nothing overran");
    machine.audit();
    assert_eq!(machine.space.memory_stats().starved, 1);
    assert!(machine.port.take().is_empty(), "nobody asks while there is no room");
    machine.write_back(3, 4);
    assert_eq!(machine.host.load(machine.at(500)), Err(SimFault::Waits), "it looks again");
    assert_eq!(machine.port.take(), [(READ, 500, 501)], "and is asked for again");
    machine.supply(500, 501).unwrap();
    assert_eq!(machine.host.load(machine.at(500)), Ok(245));
    assert!(!machine.is_there(3));
    machine.audit();
    machine.write_back(0, BUDGET);
    assert_eq!(*wish.0.lock().unwrap(), [true, false]);
}

#[test]
fn a_call_that_waits_for_room_goes_on_when_there_is_some() {
    let machine = machine(1000);
    machine.fill_with_dirty();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let prefetch = scope.spawn(|| {
            let result = machine.space.vmo_op_range(&machine.vmo, VmoOp::Prefetch, 500 * PAGE_SIZE, 8 * PAGE_SIZE);
            done.store(true, Ordering::SeqCst);
            result
        });
        let mut asked = 0;
        while machine.space.memory_stats().starved == 0 {
            for (_, from, to) in machine.port.take() {
                asked += 1;
                machine.supply(from, to).unwrap();
            }
        }
        assert!(asked > 0 && !done.load(Ordering::SeqCst));
        machine.write_back(0, BUDGET);
        while !done.load(Ordering::SeqCst) {
            for (_, from, to) in machine.port.take() {
                machine.supply(from, to).unwrap();
            }
        }
        assert_eq!(prefetch.join().unwrap(), Ok(()));
    });
    assert!(machine.is_there(507));
    machine.audit();
}

#[test]
fn zero_pages_take_room_once_they_have_pages() {
    let machine = machine(1000);
    machine.space.set_vmo_size(&machine.vmo, 2000 * PAGE_SIZE).unwrap();
    let base = machine.map();
    let at = |page: u64| base + page * PAGE_SIZE;
    assert_eq!(machine.resident(), 0);
    for page in 1000..1200 {
        assert_eq!(machine.host.load(at(page)), Ok(0));
        assert!(machine.resident() <= BUDGET);
    }
    assert!(machine.resident() > BUDGET / 2, "Linux has no page of zeros for them");
    machine.audit();
    assert_eq!(machine.dirty(), [(1000, 1000, true)], "they are still zero without pages for the pager");
    for page in 1000..1000 + BUDGET {
        machine.host.store(at(page), 1).unwrap();
    }
    machine.audit();
    assert_eq!(machine.host.store(at(1500), 1), Err(SimFault::Waits), "all is dirty");
    assert_eq!(machine.host.load(at(1500)), Err(SimFault::Waits));
    machine.write_back(1000, 1001);
    assert_eq!(machine.host.store(at(1500), 1), Ok(()));
    assert_eq!(machine.resident(), BUDGET);
    machine.audit();
}

#[test]
fn a_hot_set_survives_a_scan() {
    let machine = machine(4000);
    for _ in 0..20 {
        for page in 0..20 {
            machine.touch(page);
        }
        for page in 100..130 {
            machine.touch(page);
        }
    }
    for page in 1000..3000 {
        machine.touch(page);
        if page % 20 == 0 {
            for hot in 0..20 {
                machine.touch(hot);
            }
        }
    }
    let hits = (0..20).filter(|&page| machine.touch(page)).count();
    assert!(hits >= 18, "{hits} of 20 are there");
    machine.audit();
}

#[test]
fn what_is_not_needed_goes_first_and_what_always_is_last() {
    let machine = machine(4000);
    for page in 0..60 {
        machine.touch(page);
    }
    let hint = |op, from: u64, to: u64| {
        machine.space.vmo_op_range(&machine.vmo, op, from * PAGE_SIZE, (to - from) * PAGE_SIZE).unwrap();
    };
    hint(VmoOp::AlwaysNeed, 0, 10);
    hint(VmoOp::DontNeed, 40, 60);
    assert_eq!(machine.resident(), 60, "nothing goes by being hinted at");
    machine.touch(59);
    for page in 1000..1020 {
        machine.touch(page);
    }
    let there = |from: u64, to: u64| (from..to).filter(|&page| machine.is_there(page)).count();
    assert!((0..=3).contains(&there(40, 59)), "what is not needed has made room for the 20 new ones");
    assert_eq!(there(10, 40), 30, "and nothing else has");
    assert!(machine.is_there(59), "but for what was used since");
    for page in 2000..3000 {
        machine.touch(page);
    }
    assert_eq!(there(0, 10), 10, "always needed");
    machine.audit();
    hint(VmoOp::DontNeed, 0, 10);
    for page in 3000..3200 {
        machine.touch(page);
    }
    assert_eq!(there(0, 10), 10, "that is not taken back by the other hint");
}

#[test]
fn always_needed_brings_in_and_goes_only_when_nothing_else_is_left() {
    let machine = machine(4000);
    std::thread::scope(|scope| {
        let call = scope
            .spawn(|| machine.space.vmo_op_range(&machine.vmo, VmoOp::AlwaysNeed, 0, 2 * BUDGET * PAGE_SIZE).unwrap());
        while !call.is_finished() {
            for (kind, from, to) in machine.port.take() {
                assert_eq!(kind, READ);
                machine.supply(from, to).unwrap();
            }
        }
    });
    machine.audit();
    assert!(machine.resident() <= BUDGET);
    assert!(machine.touch(2 * BUDGET - 1), "the rest of it pushed out what came first");
    machine.touch(3000);
    assert_eq!(machine.host.load(machine.at(3000)), Ok((3001_u64 & 0xff) as u8), "and others are still served");
    machine.audit();
}

#[test]
fn what_is_seen_through_clones_is_hinted_at_and_is_used_through_them() {
    let machine = machine(4000);
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 100).unwrap();
    let base = machine.map_of(&clone);
    for page in 0..60 {
        machine.touch(page);
    }
    machine.space.vmo_op_range(&clone, VmoOp::DontNeed, 0, 60 * PAGE_SIZE).unwrap();
    assert_eq!(machine.host.load(base + 5 * PAGE_SIZE), Ok(6));
    for page in 1000..1040 {
        machine.touch(page);
    }
    assert!(machine.is_there(5), "it was used through the clone");
    assert!(!machine.is_there(6));
    machine.host.store(base + 5 * PAGE_SIZE, 99).unwrap();
    for page in 2000..2200 {
        machine.touch(page);
    }
    assert_eq!(machine.host.load(base + 5 * PAGE_SIZE), Ok(99), "what is the clone's own is not the pager's to bring");
    clone.audit(&mut Default::default());
    machine.audit();
}

#[test]
fn a_trapped_store_to_a_page_that_went_asks_for_the_page_again() {
    let machine = Machine::new(1000, true);
    machine.budget(BUDGET);
    machine.touch(0);
    assert_eq!(machine.host.store(machine.at(0), 1), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(DIRTY, 0, 1)]);
    assert_eq!(machine.space.take_pages(1), 1);
    assert_eq!(machine.op(PagerOp::Dirty, 0, 1), Err(Status::NOT_FOUND));
    assert_eq!(machine.host.store(machine.at(0), 1), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(READ, 0, 1)]);
    machine.audit();
}

#[test]
fn a_vmo_that_goes_gives_its_room_back_and_lets_others_go_on() {
    let machine = machine(1000);
    let second = Machine::beside(&machine, 1000);
    for page in 0..BUDGET {
        second.touch(page);
        second.host.store(second.at(page), 7).unwrap();
    }
    assert_eq!(machine.host.load(machine.at(0)), Err(SimFault::Waits));
    machine.port.take();
    machine.supply(0, 1).unwrap();
    assert_eq!(machine.space.memory_stats().starved, 1);
    second.unmap();
    drop(second);
    assert_eq!(machine.resident(), 0);
    assert!(!machine.touch(0));
    machine.audit();
}

#[test]
fn who_waits_for_room_is_told_when_the_pager_goes() {
    for detach in [true, false] {
        let machine = machine(1000);
        machine.fill_with_dirty();
        std::thread::scope(|scope| {
            let call =
                scope.spawn(|| machine.space.vmo_op_range(&machine.vmo, VmoOp::Prefetch, 500 * PAGE_SIZE, PAGE_SIZE));
            machine.serve_until(|| machine.starved() > 0);
            if detach {
                machine.space.detach_vmo(&machine.pager, &machine.vmo).unwrap();
            } else {
                machine.space.close_pager(&machine.pager);
            }
            assert_eq!(call.join().unwrap(), Err(Status::BAD_STATE));
        });
        machine.audit();
    }
}

#[test]
fn who_waits_for_room_is_trimmed_when_the_vmo_shrinks() {
    let machine = machine(1000);
    machine.fill_with_dirty();
    std::thread::scope(|scope| {
        let call =
            scope.spawn(|| machine.space.vmo_op_range(&machine.vmo, VmoOp::Prefetch, 500 * PAGE_SIZE, PAGE_SIZE));
        machine.serve_until(|| machine.starved() > 0);
        machine.space.set_vmo_size(&machine.vmo, 400 * PAGE_SIZE).unwrap();
        assert_eq!(call.join().unwrap(), Ok(()));
    });
    machine.audit();
}

#[test]
fn ages_follow_use() {
    let machine = Machine::new(1000, false);
    for page in 0..100 {
        machine.touch(page);
    }
    // The first pass finds the entries of the coming, the second that nobody used them since.
    for _ in 0..6 {
        machine.space.age_pass();
        for page in 0..10 {
            assert!(machine.touch(page));
        }
    }
    machine.space.age_pass();
    assert_eq!(machine.space.take_aged(1000, 3, false), 90);
    assert_eq!((0..100).filter(|&page| machine.is_there(page)).count(), 10);
    assert_eq!(machine.space.take_aged(1000, 3, false), 0);
    machine.audit();
}

#[test]
fn always_needed_goes_by_age_only_at_the_last() {
    let machine = Machine::new(1000, false);
    machine.supply(0, 50).unwrap();
    machine.space.vmo_op_range(&machine.vmo, VmoOp::AlwaysNeed, 0, 10 * PAGE_SIZE).unwrap();
    (0..3).for_each(|_| machine.space.age_pass());
    assert_eq!(machine.space.take_aged(1000, 2, false), 40);
    assert_eq!(machine.space.take_aged(1000, 2, true), 10);
    machine.audit();
}

impl Machine {
    /// Everything that may be is dirty.
    fn fill_with_dirty(&self) {
        for page in 0..BUDGET {
            self.touch(page);
            self.host.store(self.at(page), 200).unwrap();
        }
    }

    /// Supplies what is asked for.
    fn serve(&self) {
        for (kind, from, to) in self.port.take() {
            assert_eq!(kind, READ);
            self.supply(from, to).unwrap();
        }
        std::thread::yield_now();
    }

    fn serve_until(&self, done: impl Fn() -> bool) {
        while !done() {
            self.serve();
        }
    }

    fn starved(&self) -> u64 {
        self.space.memory_stats().starved
    }

    /// Needs a page, by a call.
    fn prefetch(&self, page: u64) -> Result<(), Status> {
        self.space.vmo_op_range(&self.vmo, VmoOp::Prefetch, page * PAGE_SIZE, PAGE_SIZE)
    }
}

#[test]
fn who_waits_for_room_does_not_wake_others_who_do() {
    let machine = machine(1000);
    machine.fill_with_dirty();
    let starved = std::thread::scope(|scope| {
        let calls: Vec<_> = (500..503)
            .map(|page| {
                scope.spawn({
                    let machine = &machine;
                    move || machine.prefetch(page)
                })
            })
            .collect();
        machine.serve_until(|| machine.starved() >= 3);
        (0..2000).for_each(|_| machine.serve());
        let starved = machine.starved();
        machine.write_back(0, BUDGET);
        machine.serve_until(|| calls.iter().all(|call| call.is_finished()));
        starved
    });
    assert_eq!(starved, 3, "nobody asks again where nothing has changed");
    machine.audit();
}

#[test]
fn all_who_wait_for_a_page_go_on_when_it_comes_and_when_it_cannot_any_more() {
    for shrink in [false, true] {
        let machine = machine(1000);
        machine.fill_with_dirty();
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..5).map(|_| scope.spawn(|| machine.prefetch(500))).collect();
            machine.serve_until(|| machine.starved() >= 5);
            if shrink {
                machine.space.set_vmo_size(&machine.vmo, 400 * PAGE_SIZE).unwrap();
            } else {
                machine.write_back(0, 1);
            }
            machine.serve_until(|| calls.iter().all(|call| call.is_finished()));
        });
        machine.audit();
    }
}

#[test]
fn an_access_that_is_no_more_takes_nobodys_turn() {
    let machine = machine(1000);
    machine.fill_with_dirty();
    machine.space.set_vmo_size(&machine.vmo, 1001 * PAGE_SIZE).unwrap();
    let base = machine.map();
    assert_eq!(machine.host.load(base + 1000 * PAGE_SIZE), Err(SimFault::Waits), "a page of zeros takes room");
    std::thread::scope(|scope| {
        let call = scope.spawn(|| machine.prefetch(600));
        machine.serve_until(|| machine.starved() >= 2);
        machine.space.root().unmap(base, 1001 * PAGE_SIZE, true).unwrap();
        machine.audit();
        machine.write_back(0, 1);
        machine.serve_until(|| call.is_finished());
    });
    machine.audit();
}

#[test]
fn nothing_is_to_be_saved_of_a_vmo_that_has_gone() {
    let machine = machine(1000);
    let second = Machine::beside(&machine, 1000);
    let wish = Arc::new(Wish::default());
    let sink: Arc<dyn WritebackSink> = wish.clone();
    machine.space.observe_writeback(Arc::downgrade(&sink));
    second.fill_with_dirty();
    second.unmap();
    drop(second);
    assert_eq!(*wish.0.lock().unwrap(), [true, false]);
}

/// What a pager was asked, as soon as it is anything.
fn asked(machine: &Machine) -> Vec<(RequestKind, u64, u64)> {
    loop {
        let asked = machine.port.take();
        if !asked.is_empty() {
            return asked;
        }
        std::thread::yield_now();
    }
}

#[test]
fn zeroing_a_part_of_what_went_and_came_again_as_zero_stores_nothing() {
    let machine = Machine::new(8, true);
    let mut more = Vec::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| machine.space.vmo_op_range(&machine.vmo, VmoOp::Zero, 100, 200));
        assert_eq!(asked(&machine), [(READ, 0, 1)]);
        machine.supply(0, 1).unwrap();
        assert_eq!(asked(&machine), [(DIRTY, 0, 1)]);
        assert_eq!(machine.space.take_pages(1), 1);
        assert_eq!(machine.op(PagerOp::Dirty, 0, 1), Err(Status::NOT_FOUND));
        assert_eq!(asked(&machine), [(READ, 0, 1)]);
        machine.supply_zeros(0, 1).unwrap();
        while !call.is_finished() {
            more.extend(machine.port.take());
            // Were it asked, it would not wait for ever.
            let _ = machine.op(PagerOp::Dirty, 0, if more.is_empty() { 0 } else { 1 });
        }
        assert_eq!(call.join().unwrap(), Ok(()));
    });
    assert_eq!((more, machine.dirty()), (vec![], vec![]), "it reads as zero already");
    machine.audit();
}

#[test]
fn who_waits_for_room_sleeps_on_when_another_supply_finds_none() {
    let machine = machine(1000);
    machine.fill_with_dirty();
    let waiting = [500, 600, 700].map(|page| {
        assert_eq!(machine.host.load(machine.at(page)), Err(SimFault::Waits));
        assert_eq!(machine.port.take(), [(READ, page, page + 1)]);
        machine.supply(page, page + 1).unwrap();
        WaitingOne::Access(machine.at(page))
    });
    assert_eq!(machine.space.census().starving, waiting, "they would ask, be supplied in vain, and ask again");
    machine.write_back(0, 1);
    assert_eq!(machine.space.census().starving, waiting[1..], "there is room for one");
    machine.audit();
}

#[test]
fn what_may_be_of_any_age_goes_though_it_is_in_use() {
    let machine = Machine::new(100, false);
    for page in 0..70 {
        machine.touch(page);
    }
    machine.space.vmo_op_range(&machine.vmo, VmoOp::AlwaysNeed, 0, 10 * PAGE_SIZE).unwrap();
    machine.space.age_pass();
    for page in 0..70 {
        assert!(machine.touch(page));
    }
    assert_eq!(machine.space.take_aged(1000, 0, true), 70);
    machine.audit();
}

/// What another thread may do between any two calls that taking pages makes.
fn meanwhile(what: fn(&Machine)) {
    const PAGES: u64 = 32;
    let mut taken = 0;
    for n in 1..=6 {
        let host = Arc::new(SimHost::default());
        let between = Arc::new(FailNth::new(host.clone()));
        let machine = Arc::new(Machine::through(host, between.clone(), PAGES));
        machine.supply(0, PAGES).unwrap();
        let other = machine.clone();
        between.before(n, move || what(&other));
        taken += machine.space.take_pages(PAGES);
        // There were fewer calls.
        between.before(u64::MAX, || ());
        machine.audit();
    }
    assert!(taken > PAGES, "it was in the middle of it at times");
}

#[test]
fn a_store_through_a_new_mapping_is_not_lost_with_a_page_that_is_being_taken() {
    meanwhile(|machine| {
        let base = machine.map();
        if machine.host.store(base + 5 * PAGE_SIZE, 200).is_ok() {
            assert_eq!(machine.dirty(), [(5, 1, false)], "it was seen");
            assert_eq!(machine.host.load(base + 5 * PAGE_SIZE), Ok(200));
        } else {
            assert_eq!(machine.port.take(), [(READ, 5, 6)], "it is asked for");
            machine.op(PagerOp::Fail(Status::IO), 5, 6).unwrap();
        }
    });
}

#[test]
fn what_is_being_taken_counts_until_it_has_gone() {
    meanwhile(|machine| assert_eq!(machine.resident(), 32));
}

#[test]
fn a_load_of_what_is_being_taken_sees_it_or_asks() {
    meanwhile(|machine| match machine.host.load(machine.at(7)) {
        Ok(byte) => assert_eq!(byte, 8),
        Err(_) => {
            machine.port.take();
            machine.op(PagerOp::Fail(Status::IO), 7, 8).unwrap();
        }
    });
}

#[test]
fn what_is_detached_while_it_is_being_taken_is_gone_as_well() {
    meanwhile(|machine| machine.space.detach_vmo(&machine.pager, &machine.vmo).unwrap());
}
