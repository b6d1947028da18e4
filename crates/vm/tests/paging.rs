//! A pager behind mapped memory, on the simulated machine: who is asked for what, and what is seen.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{BEGIN, DIRTY, Machine, PLAIN, READ};
use zxvm_host::PAGE_SIZE;
use zxvm_host::sim::SimFault;
use zxvm_host::user::{UserRef, UserSlice};
use zxvm_types::Status;
use zxvm_vm::{CachePolicy, ChildKind, ChildRequest, PagerOp, RequestPort, Vmo, VmoOp};

#[test]
fn a_load_asks_for_its_page_and_sees_what_was_supplied() {
    let machine = Machine::new(8, false);
    assert_eq!(machine.host.load(machine.at(2)), Err(SimFault::Waits));
    assert_eq!(machine.host.load(machine.at(2)), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(READ, 2, 3)], "one request for one page");
    machine.audit();
    machine.supply(2, 4).unwrap();
    assert_eq!(machine.host.load(machine.at(2)), Ok(3));
    assert_eq!(machine.host.load(machine.at(3)), Ok(4));
    assert!(machine.port.take().is_empty());
    let mut byte = [0];
    machine.space.read_vmo(&machine.vmo, 3 * PAGE_SIZE, UserSlice::from(&mut byte[..])).unwrap();
    assert_eq!(byte, [4]);
    machine.audit();
    assert!(machine.dirty().is_empty());
}

#[test]
fn a_store_makes_a_page_dirty_until_it_is_saved() {
    let machine = Machine::new(8, false);
    machine.supply(0, 8).unwrap();
    let other = machine.map();
    machine.host.store(machine.at(1), 70).unwrap();
    machine.host.store(other + 2 * PAGE_SIZE, 71).unwrap();
    assert_eq!(machine.dirty(), [(1, 2, false)]);
    machine.audit();
    machine.op(BEGIN, 0, 8).unwrap();
    machine.audit();
    machine.host.store(other + PAGE_SIZE, 72).unwrap();
    machine.op(PagerOp::WritebackEnd, 0, 8).unwrap();
    assert_eq!(machine.dirty(), [(1, 1, false)], "stored to meanwhile, through another mapping");
    machine.audit();
    assert_eq!(machine.host.load(machine.at(1)), Ok(72));
}

#[test]
fn a_trapped_store_waits_for_consent() {
    let machine = Machine::new(4, true);
    assert_eq!(machine.host.store(machine.at(0), 1), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(READ, 0, 1)]);
    machine.supply(0, 2).unwrap();
    assert_eq!(machine.host.store(machine.at(0), 1), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(DIRTY, 0, 1)]);
    assert!(machine.dirty().is_empty());
    machine.op(PagerOp::Dirty, 0, 1).unwrap();
    assert_eq!(machine.host.store(machine.at(0), 9), Ok(()));
    assert_eq!(machine.op(PagerOp::Dirty, 1, 3), Err(Status::NOT_FOUND));
    assert_eq!(machine.dirty(), [(0, 1, false)]);
    machine.audit();
}

#[test]
fn zero_pages_are_no_pages_until_they_are_touched() {
    let machine = Machine::new(4, false);
    machine.space.set_vmo_size(&machine.vmo, 8 * PAGE_SIZE).unwrap();
    assert_eq!(machine.dirty(), [(4, 4, true)]);
    let other = machine.map();
    assert_eq!(machine.host.load(other + 5 * PAGE_SIZE), Ok(0));
    assert_eq!(machine.dirty(), [(4, 4, true)]);
    machine.audit();
    machine.host.store(other + 5 * PAGE_SIZE, 1).unwrap();
    machine.host.store(other + 6 * PAGE_SIZE, 1).unwrap();
    assert_eq!(machine.dirty(), [(4, 1, true), (5, 2, false), (7, 1, true)]);
    assert_eq!(machine.host.load(other + 7 * PAGE_SIZE), Ok(0));
    machine.op(BEGIN, 0, 8).unwrap();
    machine.op(PagerOp::WritebackEnd, 0, 8).unwrap();
    assert!(machine.dirty().is_empty());
    assert_eq!(machine.host.load(other + 7 * PAGE_SIZE), Err(SimFault::Waits), "it is absent now");
    machine.audit();
}

#[test]
fn what_is_detached_loses_what_is_clean() {
    let machine = Machine::new(4, false);
    machine.supply(0, 2).unwrap();
    machine.host.store(machine.at(1), 1).unwrap();
    assert_eq!(machine.host.load(machine.at(3)), Err(SimFault::Waits));
    machine.space.detach_vmo(&machine.pager, &machine.vmo).unwrap();
    assert!(machine.port.take().is_empty());
    assert_eq!(*machine.port.1.lock().unwrap(), 1);
    let bad_state = SimFault::Refused(Status::BAD_STATE.into_raw());
    assert_eq!(machine.host.load(machine.at(0)), Err(bad_state));
    assert_eq!(machine.host.load(machine.at(1)), Ok(1));
    assert_eq!(machine.supply(0, 1), Err(Status::BAD_STATE));
    machine.audit();
}

#[test]
fn a_mapping_that_goes_takes_its_request_back() {
    let machine = Machine::new(4, false);
    let other = machine.map();
    assert_eq!(machine.host.load(other), Err(SimFault::Waits));
    machine.space.root().unmap(other, 4 * PAGE_SIZE, true).unwrap();
    assert!(machine.port.take().is_empty());
    machine.audit();
}

#[test]
fn a_clone_shows_the_root_until_it_is_written_to() {
    let machine = Machine::new(4, false);
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 6).unwrap();
    let base = machine.map_of(&clone);
    let at = |page: u64| base + page * PAGE_SIZE;
    machine.audit();
    assert_eq!(machine.host.load(at(1)), Err(SimFault::Waits));
    assert_eq!(machine.port.take(), [(READ, 1, 2)]);
    machine.supply(0, 3).unwrap();
    assert_eq!(machine.host.load(at(1)), Ok(2));
    machine.audit();
    machine.host.store(machine.at(1), 50).unwrap();
    assert_eq!(machine.host.load(at(1)), Ok(50), "what is not its own shows what is written below");
    machine.host.store(at(1), 60).unwrap();
    machine.audit();
    machine.host.store(machine.at(1), 51).unwrap();
    assert_eq!((machine.host.load(at(1)), machine.read(&clone, 1)), (Ok(60), 60));
    assert_eq!((machine.read(&machine.vmo, 1), machine.dirty()), (51, vec![(1, 1, false)]));
    machine.write(&clone, 2, 61);
    machine.host.store(at(5), 62).unwrap();
    assert_eq!(machine.host.load(at(4)), Ok(0), "past the root it is zero");
    assert_eq!([machine.read(&clone, 2), machine.read(&clone, 5), machine.read(&machine.vmo, 2)], [61, 62, 3]);
    assert!(machine.port.take().is_empty());
    machine.space.set_vmo_size(&machine.vmo, 0).unwrap();
    assert_eq!([machine.host.load(at(0)), machine.host.load(at(3))], [Ok(0), Ok(0)], "zeros, and no request");
    assert_eq!(machine.read(&clone, 1), 60);
    machine.audit();
    machine.space.set_vmo_size(&machine.vmo, 4 * PAGE_SIZE).unwrap();
    machine.write(&machine.vmo, 3, 1);
    assert_eq!(machine.read(&clone, 3), 0, "what is grown again does not come back");
    machine.audit();
}

#[test]
fn a_clone_of_a_clone_lies_over_it() {
    let machine = Machine::new(4, true);
    machine.supply(0, 4).unwrap();
    let low = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 4).unwrap();
    let high = machine.child(&low, ChildKind::AtLeastOnWrite, 4).unwrap();
    let (low_at, high_at) = (machine.map_of(&low), machine.map_of(&high));
    assert_eq!(machine.host.load(high_at), Ok(1));
    machine.host.store(low_at, 70).unwrap();
    assert_eq!((machine.host.load(high_at), machine.read(&high, 0)), (Ok(70), 70));
    machine.audit();
    machine.host.store(low_at, 71).unwrap();
    assert_eq!(machine.host.load(high_at), Ok(71));
    machine.host.store(high_at, 80).unwrap();
    machine.host.store(low_at, 72).unwrap();
    assert_eq!((machine.host.load(high_at), machine.host.load(low_at)), (Ok(80), Ok(72)));
    machine.write(&low, 1, 73);
    assert_eq!(machine.host.load(high_at + PAGE_SIZE), Ok(73));
    machine.audit();
    assert_eq!(machine.child(&low, ChildKind::Modified, 4).err(), Some(Status::NOT_SUPPORTED));
    assert_eq!(machine.child(&machine.vmo, ChildKind::Snapshot, 4).err(), Some(Status::NOT_SUPPORTED));
    machine.space.root().unmap(low_at, 4 * PAGE_SIZE, true).unwrap();
    drop(low);
    assert_eq!((machine.host.load(high_at + PAGE_SIZE), machine.read(&high, 1)), (Ok(73), 73));
    machine.audit();
    assert!(machine.port.take().is_empty());
}

#[test]
fn what_was_modified_in_a_clone_is_frozen_and_the_rest_is_not() {
    let machine = Machine::new(4, false);
    machine.supply(0, 4).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::Modified, 4).unwrap();
    let base = machine.map_of(&clone);
    machine.host.store(base, 70).unwrap();
    let frozen = machine.child(&clone, ChildKind::Modified, 4).unwrap();
    machine.audit();
    machine.host.store(base, 71).unwrap();
    machine.write(&machine.vmo, 1, 90);
    assert_eq!([machine.read(&frozen, 0), machine.read(&frozen, 1), machine.read(&clone, 1)], [70, 90, 90]);
    machine.write(&frozen, 1, 91);
    machine.write(&machine.vmo, 1, 92);
    assert_eq!([machine.read(&frozen, 1), machine.read(&clone, 1), machine.read(&clone, 0)], [91, 92, 71]);
    let third = machine.child(&frozen, ChildKind::AtLeastOnWrite, 4).unwrap();
    machine.write(&frozen, 1, 93);
    assert_eq!(machine.read(&third, 1), 91);
    machine.audit();
    drop(clone);
    machine.audit();
}

#[test]
fn the_last_one_over_a_root_says_that_it_is_over() {
    let machine = Machine::new(4, false);
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 4).unwrap();
    let Machine { host, space, port, vmo, base, .. } = machine;
    space.root().unmap(base, 4 * PAGE_SIZE, true).unwrap();
    drop(vmo);
    assert_eq!(*port.1.lock().unwrap(), 0);
    drop(clone);
    assert_eq!(*port.1.lock().unwrap(), 1);
    assert_eq!(host.memory_pages(), 0);
}

#[test]
fn what_lies_over_a_clone_that_shrinks_shows_zeros_of_its_own() {
    let machine = Machine::new(4, false);
    machine.supply(0, 4).unwrap();
    let low = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 4).unwrap();
    let high = machine.child(&low, ChildKind::AtLeastOnWrite, 4).unwrap();
    machine.write(&low, 2, 70);
    let at = machine.map_of(&high);
    machine.space.set_vmo_size(&low, PAGE_SIZE).unwrap();
    machine.audit();
    let shown = [0, 1, 2, 3].map(|page| machine.host.load(at + page * PAGE_SIZE));
    assert_eq!(shown, [1, 0, 0, 0].map(Ok));
    assert_eq!([1, 2].map(|page| machine.read(&high, page)), [0, 0]);
    machine.host.store(at + PAGE_SIZE, 80).unwrap();
    assert_eq!((machine.read(&high, 1), machine.read(&machine.vmo, 1)), (80, 2));
    assert!(machine.dirty().is_empty(), "a store to a clone is no store to the root");
    machine.audit();
}

#[test]
fn consent_to_some_pages_lets_no_store_go_to_others() {
    let machine = Machine::new(16, true);
    machine.supply(0, 16).unwrap();
    let bytes = [5; 16 * PAGE_SIZE as usize];
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| machine.space.write_vmo(&machine.vmo, 0, UserRef::from(&bytes[..])));
        while machine.port.is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(machine.port.take(), [(DIRTY, 0, 16)]);
        assert_eq!(machine.host.store(machine.at(3), 9), Err(SimFault::Waits));
        assert!(machine.port.take().is_empty(), "it waits by the writer's request");
        machine.op(PagerOp::Dirty, 0, 8).unwrap();
        machine.op(BEGIN, 0, 8).unwrap();
        machine.op(PagerOp::Dirty, 8, 16).unwrap();
        // What is being saved by now is not stored to without another consent.
        let stored = machine.host.store(machine.at(3), 9);
        machine.op(PagerOp::Dirty, 0, 16).unwrap();
        writer.join().unwrap().unwrap();
        assert_eq!(stored, Err(SimFault::Waits));
    });
    machine.audit();
}

#[test]
fn what_is_zeroed_in_a_snapshot_of_a_clone_is_not_what_is_below() {
    let machine = Machine::new(4, false);
    machine.supply(0, 4).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::Modified, 4).unwrap();
    machine.write(&clone, 0, 70);
    let frozen = machine.child(&clone, ChildKind::Modified, 4).unwrap();
    machine.space.vmo_op_range(&frozen, VmoOp::Zero, 0, PAGE_SIZE).unwrap();
    assert_eq!((machine.read(&frozen, 0), machine.read(&clone, 0)), (0, 70));
    machine.audit();
}

#[test]
fn what_was_zeroed_in_a_clone_is_zero_in_its_snapshot() {
    let machine = Machine::new(6, false);
    machine.supply(0, 6).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::Modified, 6).unwrap();
    machine.space.vmo_op_range(&clone, VmoOp::Zero, PAGE_SIZE, 3 * PAGE_SIZE).unwrap();
    machine.write(&clone, 2, 70);
    let frozen = machine.child(&clone, ChildKind::Modified, 6).unwrap();
    machine.audit();
    machine.write(&clone, 1, 71);
    let seen = [0, 1, 2, 3, 4].map(|page| machine.read(&frozen, page));
    assert_eq!(seen, [1, 0, 70, 0, 5]);
    machine.write(&frozen, 3, 72);
    assert_eq!([1, 2, 3].map(|page| machine.read(&clone, page)), [71, 70, 0]);
    machine.audit();
}

#[test]
fn a_read_beside_a_detach_sees_what_was_there_or_fails() {
    const PAGES: u64 = 8000;
    for _ in 0..10 {
        let machine = Machine::new(PAGES, false);
        machine.supply(0, 2).unwrap();
        // What is clean is in many runs, which go one after the other.
        (2..PAGES).step_by(2).for_each(|page| machine.supply(page, page + 1).unwrap());
        let begun = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut byte = [0];
                while machine.space.read_vmo(&machine.vmo, PAGE_SIZE, UserSlice::from(&mut byte[..])).is_ok() {
                    assert_eq!(byte, [2]);
                    begun.store(true, Ordering::Relaxed);
                }
            });
            while !begun.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            machine.space.detach_vmo(&machine.pager, &machine.vmo).unwrap();
        });
    }
}

#[test]
fn a_vmo_shrinks_over_a_request() {
    let machine = Machine::new(8, false);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| machine.space.vmo_op_range(&machine.vmo, VmoOp::Commit, 0, 4 * PAGE_SIZE));
        while machine.port.is_empty() {
            std::thread::yield_now();
        }
        machine.space.set_vmo_size(&machine.vmo, 2 * PAGE_SIZE).unwrap();
        let audited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| machine.audit()));
        // Whatever it says, the thread must not wait for ever.
        machine.supply(0, 2).unwrap();
        commit.join().unwrap().unwrap();
        audited.unwrap();
    });
    machine.audit();
}

#[test]
fn what_a_pager_provides_stays_cached() {
    let machine = Machine::new(4, false);
    machine.space.root().unmap(machine.base, 4 * PAGE_SIZE, true).unwrap();
    assert_eq!(machine.vmo.set_cache_policy(CachePolicy::Uncached), Err(Status::BAD_STATE));
    assert_eq!(machine.vmo.set_cache_policy(CachePolicy::Cached), Ok(()));
}

#[test]
fn pages_move_into_a_clone() {
    let machine = Machine::new(6, false);
    machine.supply(0, 4).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 6).unwrap();
    let high = machine.child(&clone, ChildKind::AtLeastOnWrite, 6).unwrap();
    let (at, high_at) = (machine.map_of(&clone), machine.map_of(&high));
    let plain = Vmo::create(&machine.stores, 2, PLAIN, 4 * PAGE_SIZE, 0).unwrap();
    machine.write(&plain, 1, 44);
    machine.space.transfer(&clone, 2 * PAGE_SIZE, 4 * PAGE_SIZE, &plain, 0).unwrap();
    machine.audit();
    let seen = [1, 2, 3, 4, 5];
    assert_eq!(seen.map(|page| machine.host.load(at + page * PAGE_SIZE)), [2, 0, 44, 0, 0].map(Ok));
    assert_eq!(seen.map(|page| machine.read(&clone, page)), [2, 0, 44, 0, 0]);
    assert_eq!(seen.map(|page| machine.host.load(high_at + page * PAGE_SIZE)), [2, 0, 44, 0, 0].map(Ok));
    machine.host.store(high_at + 3 * PAGE_SIZE, 45).unwrap();
    assert_eq!([2, 3].map(|page| machine.read(&machine.vmo, page)), [3, 4]);
    assert_eq!((machine.read(&clone, 3), machine.read(&plain, 1)), (44, 0));
    assert!(machine.port.take().is_empty(), "what is overwritten is not asked for");
    machine.audit();
}

#[test]
fn pages_move_out_of_a_clone() {
    let machine = Machine::new(4, true);
    machine.supply(0, 2).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 6).unwrap();
    let at = machine.map_of(&clone);
    machine.write(&clone, 1, 60);
    let plain = Vmo::create(&machine.stores, 2, PLAIN, 6 * PAGE_SIZE, 0).unwrap();
    machine.write(&plain, 5, 9);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| machine.space.transfer(&plain, 0, 6 * PAGE_SIZE, &clone, 0));
        while machine.port.is_empty() {
            assert!(!mover.is_finished(), "nothing was asked for");
            std::thread::yield_now();
        }
        assert_eq!(machine.port.take(), [(READ, 2, 4)]);
        machine.supply(2, 4).unwrap();
        mover.join().unwrap().unwrap();
    });
    machine.audit();
    let all = [0, 1, 2, 3, 4, 5];
    assert_eq!(all.map(|page| machine.read(&plain, page)), [1, 60, 3, 4, 0, 0]);
    assert_eq!(all.map(|page| machine.read(&clone, page)), [0; 6]);
    assert_eq!(all.map(|page| machine.host.load(at + page * PAGE_SIZE)), [Ok(0); 6]);
    assert_eq!([0, 1, 2, 3].map(|page| machine.read(&machine.vmo, page)), [1, 2, 3, 4]);
    machine.audit();
}

#[test]
fn a_clone_may_start_behind_the_end_of_what_it_lies_over() {
    let machine = Machine::new(1, false);
    let (offset, size) = (2 * PAGE_SIZE, PAGE_SIZE);
    let kind = ChildKind::AtLeastOnWrite;
    let request = ChildRequest { kind, offset, size, resizable: false, immutable: false, koid: 9, named: false };
    let clone = machine.space.create_child(&machine.vmo, request).unwrap();
    machine.audit();
    assert_eq!(machine.read(&clone, 0), 0);
    machine.write(&clone, 0, 5);
    assert_eq!(machine.read(&clone, 0), 5);
    machine.audit();
    assert!(machine.port.take().is_empty());
}

/// The tree has a pager before anything is projected onto it (vmo.md §3.1).
#[test]
fn a_snapshot_of_a_clone_is_refused_for_its_pager_first() {
    let machine = Machine::new(2, false);
    let over = |of: &Arc<Vmo>, kind, offset, pages: u64| {
        let size = pages * PAGE_SIZE;
        let request = ChildRequest { kind, offset, size, resizable: false, immutable: false, koid: 9, named: false };
        machine.space.create_child(of, request)
    };
    let clone = over(&machine.vmo, ChildKind::AtLeastOnWrite, 1 << 63, 1).unwrap();
    let too_far = |kind| over(&clone, kind, 1 << 63, 1).map(drop);
    assert_eq!(too_far(ChildKind::Snapshot), Err(Status::NOT_SUPPORTED));
    assert_eq!(too_far(ChildKind::AtLeastOnWrite), Err(Status::INVALID_ARGS));
    assert_eq!(too_far(ChildKind::Modified), Err(Status::INVALID_ARGS));
}

/// Whole pages of a clone that are zeroed over what the pager has not supplied are committed, the others are not.
#[test]
fn zeros_over_what_is_absent_are_pages() {
    let machine = Machine::new(5, true);
    machine.supply(0, 2).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 6).unwrap();
    let above = machine.child(&clone, ChildKind::AtLeastOnWrite, 6).unwrap();
    let at = machine.map_of(&clone);
    machine.space.vmo_op_range(&clone, VmoOp::Zero, PAGE_SIZE, 3 * PAGE_SIZE).unwrap();
    let committed = |vmo: &Vmo| vmo.info().unwrap().memory.committed / PAGE_SIZE;
    assert_eq!((committed(&clone), committed(&machine.vmo)), (2, 2), "of 1 to 3");
    machine.space.vmo_op_range(&above, VmoOp::Zero, 2 * PAGE_SIZE, 4 * PAGE_SIZE).unwrap();
    assert_eq!(committed(&above), 1, "of 2 to 5: only 4 is the pager's");
    assert_eq!(machine.port.take(), []);
    for page in 1..4 {
        assert_eq!((machine.read(&clone, page), machine.host.load(at + page * PAGE_SIZE)), (0, Ok(0)));
    }
    machine.supply(2, 5).unwrap();
    assert_eq!([0, 1, 2, 3, 4].map(|page| machine.read(&clone, page)), [1, 0, 0, 0, 5]);
    machine.audit();
}

/// So many pages that no machine has them stay uncommitted.
#[test]
fn zeros_over_all_that_is_absent_are_no_pages() {
    let machine = Machine::new(2, false);
    machine.supply(0, 2).unwrap();
    machine.space.set_vmo_size(&machine.vmo, 1 << 45).unwrap();
    machine.space.pager_op_range(&machine.pager, &machine.vmo, BEGIN, 0, 1 << 45).unwrap();
    machine.space.pager_op_range(&machine.pager, &machine.vmo, PagerOp::WritebackEnd, 0, 1 << 45).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 1 << 33).unwrap();
    machine.space.set_vmo_stream_size(&clone, PAGE_SIZE).unwrap();
    assert_eq!([0, 1, 2, (1 << 33) - 1].map(|page| machine.read(&clone, page)), [1, 0, 0, 0]);
    assert_eq!((clone.info().unwrap().memory.committed, machine.port.take()), (0, vec![]));
    machine.audit();
}

/// Two contents, one over the other, show nobody's where the root has shrunk: the lower one is given the zeros, whatever their
/// numbers in the family, which are given again.
#[test]
fn who_lies_lowest_gets_the_zeros_of_a_root_that_shrinks() {
    for numbered_again in [false, true] {
        let machine = Machine::new(2, false);
        machine.supply(0, 2).unwrap();
        let first = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 2).unwrap();
        let low = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 2).unwrap();
        let keep = (!numbered_again).then_some(first);
        let high = machine.child(&low, ChildKind::AtLeastOnWrite, 2).unwrap();
        machine.space.set_vmo_size(&machine.vmo, PAGE_SIZE).unwrap();
        machine.space.set_vmo_size(&machine.vmo, 2 * PAGE_SIZE).unwrap();
        machine.write(&machine.vmo, 1, 70);
        assert_eq!((machine.read(&low, 1), machine.read(&high, 1)), (0, 0));
        machine.write(&low, 1, 71);
        assert_eq!(machine.read(&high, 1), 71, "at its first write the latest it has pages of its own");
        machine.audit();
        drop(keep);
        machine.audit();
    }
}

/// The zeros that a pair shows where its root has shrunk are each one's own.
#[test]
fn a_pair_shows_zeros_of_its_own_where_its_root_has_shrunk() {
    let machine = Machine::new(4, false);
    machine.supply(0, 4).unwrap();
    let clone = machine.child(&machine.vmo, ChildKind::Modified, 4).unwrap();
    machine.write(&clone, 1, 70);
    let frozen = machine.child(&clone, ChildKind::Modified, 6).unwrap();
    let at = [&clone, &frozen].map(|vmo| machine.map_of(vmo));
    machine.space.set_vmo_size(&machine.vmo, PAGE_SIZE).unwrap();
    machine.space.set_vmo_size(&machine.vmo, 4 * PAGE_SIZE).unwrap();
    machine.write(&machine.vmo, 2, 71);
    machine.audit();
    let shown = |at: u64| [0, 1, 2, 3].map(|page| machine.host.load(at + page * PAGE_SIZE));
    assert_eq!(at.map(shown), [[1, 70, 0, 0].map(Ok); 2]);
    machine.host.store(at[0] + 2 * PAGE_SIZE, 72).unwrap();
    machine.write(&frozen, 3, 73);
    assert_eq!(at.map(shown), [[1, 70, 72, 0].map(Ok), [1, 70, 0, 73].map(Ok)]);
    let late = machine.child(&clone, ChildKind::AtLeastOnWrite, 4).unwrap();
    machine.write(&clone, 3, 74);
    assert_eq!([0, 1, 2, 3].map(|page| machine.read(&late, page)), [1, 70, 72, 0], "it is one more of the pair");
    machine.audit();
    drop(clone);
    assert_eq!(at.map(shown), [[1, 70, 72, 74].map(Ok), [1, 70, 0, 73].map(Ok)], "a mapping keeps it");
    machine.audit();
}
