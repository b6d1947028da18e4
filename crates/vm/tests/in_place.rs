//! Memory that is brought by the thread that needs it, on the simulated machine.

mod common;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use common::{BEGIN, Machine};
use zxvm_host::PAGE_SIZE;
use zxvm_host::sim::SimFault;
use zxvm_host::user::UserSlice;
use zxvm_types::Status;
use zxvm_vm::{ChildKind, InPlace, PagerOp, Provide, VmoOp};

/// Brings pages filled with their number and one, and so many more behind what is needed. What it was asked for is kept.
#[derive(Debug, Default)]
struct Counting {
    ahead: u64,
    asked: Mutex<Vec<(u64, u64)>>,
    /// What it says instead.
    refuses: Mutex<Option<Status>>,
    /// Done once, in the middle of the next read.
    meanwhile: Meanwhile,
}

#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Provide for Counting {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status> {
        let pages = to.len() as u64 / PAGE_SIZE;
        self.asked.lock().unwrap().push((offset / PAGE_SIZE, offset / PAGE_SIZE + pages));
        for (page, bytes) in (offset / PAGE_SIZE..).zip(to.chunks_mut(PAGE_SIZE as usize)) {
            bytes.fill((page + 1) as u8);
        }
        let meanwhile = self.meanwhile.0.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.refuses.lock().unwrap().map_or(Ok(()), Err)
    }

    fn read_until(&self, range: Range<u64>) -> u64 {
        range.end + self.ahead * PAGE_SIZE
    }
}

fn machine(pages: u64, ahead: u64) -> (Machine, Arc<Counting>) {
    let provider = Arc::new(Counting { ahead, ..Counting::default() });
    let machine = Machine::with_port(pages, Arc::new(InPlace::new(provider.clone())));
    (machine, provider)
}

impl Counting {
    fn take(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// A load that is woken before it waits goes on at once; on the simulation it is tried again.
fn load(machine: &Machine, page: u64) -> Result<u8, SimFault> {
    machine.host.load(machine.at(page)).or_else(|_| machine.host.load(machine.at(page)))
}

#[test]
fn an_access_brings_its_page_and_what_comes_behind() {
    let (machine, provider) = machine(100, 3);
    assert_eq!(load(&machine, 5), Ok(6));
    assert_eq!(provider.take(), [(5, 6), (6, 9)]);
    for page in 6..9 {
        assert_eq!(machine.host.load(machine.at(page)), Ok(page as u8 + 1));
    }
    assert!(provider.take().is_empty());
    assert_eq!(load(&machine, 4), Ok(5));
    assert_eq!(provider.take(), [(4, 5)], "what comes behind is there");
    assert_eq!(load(&machine, 99), Ok(100));
    assert_eq!(provider.take(), [(99, 100)], "there is an end");
    machine.audit();
}

#[test]
fn calls_bring_what_they_need() {
    let (machine, provider) = machine(100, 0);
    let mut bytes = vec![0; 3 * PAGE_SIZE as usize];
    machine.space.read_vmo(&machine.vmo, 10 * PAGE_SIZE, UserSlice::from(&mut bytes[..])).unwrap();
    assert_eq!((bytes[0], bytes[PAGE_SIZE as usize], bytes[2 * PAGE_SIZE as usize]), (11, 12, 13));
    machine.write(&machine.vmo, 20, 77);
    assert_eq!(load(&machine, 20), Ok(77));
    assert_eq!(machine.dirty(), [(20, 1, false)]);
    for op in [VmoOp::Commit, VmoOp::Prefetch, VmoOp::AlwaysNeed] {
        machine.space.vmo_op_range(&machine.vmo, op, 40 * PAGE_SIZE, 20 * PAGE_SIZE).unwrap();
    }
    assert_eq!(provider.take(), [(10, 13), (20, 21), (40, 56), (56, 60)]);
    machine.audit();
}

#[test]
fn clones_see_what_is_brought() {
    let (machine, _) = machine(100, 2);
    let clone = machine.child(&machine.vmo, ChildKind::AtLeastOnWrite, 100).unwrap();
    let base = machine.map_of(&clone);
    let load =
        |page: u64| machine.host.load(base + page * PAGE_SIZE).or_else(|_| machine.host.load(base + page * PAGE_SIZE));
    assert_eq!(load(7), Ok(8));
    assert_eq!(load(9), Ok(10));
    machine.audit();
    clone.audit(&mut Default::default());
}

#[test]
fn a_refusal_reaches_who_waits_and_is_forgotten() {
    let (machine, provider) = machine(100, 2);
    *provider.refuses.lock().unwrap() = Some(Status::IO_DATA_INTEGRITY);
    let mut byte = [0];
    let read = |byte: &mut [u8; 1]| machine.space.read_vmo(&machine.vmo, 0, UserSlice::from(&mut byte[..]));
    assert_eq!(read(&mut byte), Err(Status::IO_DATA_INTEGRITY.into()));
    assert_eq!(machine.host.load(machine.at(1)), Err(SimFault::Waits));
    *provider.refuses.lock().unwrap() = None;
    assert_eq!(read(&mut byte), Ok(()));
    assert_eq!(load(&machine, 1), Ok(2));
    machine.audit();
}

#[test]
fn a_function_that_panics_is_an_error_of_input() {
    let (machine, provider) = machine(10, 0);
    *provider.meanwhile.0.lock().unwrap() = Some(Box::new(|| panic!("this is part of the test")));
    let mut byte = [0];
    let read = machine.space.read_vmo(&machine.vmo, 0, UserSlice::from(&mut byte[..]));
    assert_eq!(read, Err(Status::IO.into()));
    assert_eq!(load(&machine, 0), Ok(1));
}

#[test]
fn what_becomes_something_else_meanwhile_is_not_overwritten() {
    let (machine, provider) = machine(100, 4);
    let machine = Arc::new(machine);
    let other = machine.clone();
    *provider.meanwhile.0.lock().unwrap() = Some(Box::new(move || {
        other.space.vmo_op_range(&other.vmo, VmoOp::Zero, 10 * PAGE_SIZE, PAGE_SIZE).unwrap();
        // And is saved and forgotten: it is absent again, but not what was read before.
        other.op(BEGIN, 10, 11).unwrap();
        other.op(PagerOp::WritebackEnd, 10, 11).unwrap();
    }));
    let mut byte = [9];
    machine.space.vmo_op_range(&machine.vmo, VmoOp::Prefetch, 10 * PAGE_SIZE, PAGE_SIZE).unwrap();
    assert_eq!(provider.take()[..2], [(10, 11), (11, 15)], "it was looked at again, and asked for again");
    machine.space.read_vmo(&machine.vmo, 10 * PAGE_SIZE, UserSlice::from(&mut byte[..])).unwrap();
    machine.audit();
}

#[test]
fn a_vmo_that_shrinks_meanwhile_gets_what_is_inside() {
    let (machine, provider) = machine(100, 0);
    let machine = Arc::new(machine);
    let other = machine.clone();
    *provider.meanwhile.0.lock().unwrap() =
        Some(Box::new(move || other.space.set_vmo_size(&other.vmo, 12 * PAGE_SIZE).unwrap()));
    machine.space.vmo_op_range(&machine.vmo, VmoOp::Prefetch, 10 * PAGE_SIZE, 10 * PAGE_SIZE).unwrap();
    assert_eq!(load(&machine, 11), Ok(12));
    machine.audit();
}

#[test]
fn a_budget_is_kept_by_those_who_bring_as_well() {
    let (machine, _) = machine(1000, 16);
    machine.space.set_budget(Some(64 * PAGE_SIZE)).unwrap();
    for page in 0..1000 {
        assert_eq!(load(&machine, page), Ok((page + 1) as u8));
        assert!(machine.space.memory_stats().resident <= 64 * PAGE_SIZE);
    }
    for page in 0..64 {
        assert_eq!(load(&machine, page), Ok((page + 1) as u8));
        machine.host.store(machine.at(page), 1).or_else(|_| machine.host.store(machine.at(page), 1)).unwrap();
    }
    assert_eq!(machine.host.load(machine.at(500)), Err(SimFault::Waits), "all is dirty");
    assert_eq!(machine.host.load(machine.at(500)), Err(SimFault::Waits));
    machine.op(BEGIN, 0, 64).unwrap();
    machine.op(PagerOp::WritebackEnd, 0, 64).unwrap();
    assert_eq!(load(&machine, 500), Ok(245));
    machine.audit();
}

#[test]
fn nobody_brings_anything_after_the_end() {
    let (machine, provider) = machine(10, 0);
    machine.space.detach_vmo(&machine.pager, &machine.vmo).unwrap();
    let mut byte = [0];
    let read = machine.space.read_vmo(&machine.vmo, 0, UserSlice::from(&mut byte[..]));
    assert_eq!(read, Err(Status::BAD_STATE.into()));
    assert!(provider.take().is_empty());
}
