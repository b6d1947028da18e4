//! Every way back, where a pager is: each call and each fault, with each of the host calls it makes failing in turn.
//!
//! For every case and for N = 1, 2, ... until the work gets through, a fresh engine is set up, the Nth call of the host (or the
//! Nth and all later ones) is made to fail, and the work is done. Then:
//! 1. the audit passes, after the next change at the latest;
//! 2. if it got through, all is as after the undisturbed work; if it was refused, the status is `NO_MEMORY` or `NO_RESOURCES`, and each page reads as before or as after the whole work; no
//!    page that had to be saved is forgotten;
//! 3. the same work again gets through, and all is as after the undisturbed work;
//! 4. when all is closed, the host has got everything back.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use zerocopy::IntoBytes;
use zxvm_host::HostError;
use zxvm_host::fail::{FailNth, Mode};
use zxvm_host::sim::{SimConfig, SimFault, SimHost};
use zxvm_syscall::user::{UserRef, UserSlice};
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

const PAGE: usize = 4096;
const PAGES: usize = 12;
const DETACH: &str = "detach";
const RW: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;

/// An engine with a pager VMO of [`PAGES`] pages, mapped twice, and a clone of it, mapped.
///
/// Of the VMO pages 0 to 4 are clean, 4 to 6 dirty, 6 and 7 zero and clean, 8 and 9 zero and dirty, the rest absent. The clone
/// has a page 1 of its own.
struct Scene {
    sim: Arc<SimHost>,
    host: Arc<FailNth<SimHost>>,
    kernel: Kernel,
    pager: zx_handle_t,
    port: zx_handle_t,
    vmo: zx_handle_t,
    clone: zx_handle_t,
    /// A full VMO to supply from.
    aux: zx_handle_t,
    at: [usize; 2],
    clone_at: usize,
    /// Where a snapshot of the clone is mapped, if there is one.
    frozen_at: Cell<Option<usize>>,
    /// Mappings that work has made.
    more: RefCell<Vec<usize>>,
}

/// What is seen of it: bytes of the VMO's, of the clone's and of its snapshot's pages, where they are there; and what has to be
/// saved.
#[derive(Clone, Debug, PartialEq)]
struct Sight {
    vmo: Vec<Option<u8>>,
    clone: Vec<Option<u8>>,
    frozen: Vec<Option<u8>>,
    dirty: Vec<bool>,
    size: u64,
}

impl Scene {
    fn new(trap: bool) -> Self {
        let sim = Arc::new(SimHost::new(SimConfig::default()));
        let host = Arc::new(FailNth::new(sim.clone()));
        let kernel = Kernel::new(host.clone(), Config { root_len: 64 << 20, seed: 7 }).unwrap();
        let (mut pager, mut port, mut vmo, mut clone, mut aux) = (0, 0, 0, 0, 0);
        kernel.pager_create(0, &mut pager).unwrap();
        kernel.port_create(0, &mut port).unwrap();
        let options = ZX_VMO_RESIZABLE | if trap { ZX_VMO_TRAP_DIRTY } else { 0 };
        kernel.pager_create_vmo(pager, options, port, 1, (PAGES * PAGE) as u64, &mut vmo).unwrap();
        kernel.vmo_create((PAGES * PAGE) as u64, 0, &mut aux).unwrap();
        let kind = ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE | ZX_VMO_CHILD_RESIZABLE;
        let (frozen_at, more) = Default::default();
        let mut scene =
            Self { sim, host, kernel, pager, port, vmo, clone, aux, at: [0; 2], clone_at: 0, frozen_at, more };
        scene.fill_aux();
        scene.supply(0, 6, true).unwrap();
        scene.supply(6, 2, false).unwrap();
        scene.kernel.vmo_create_child(vmo, kind, 0, (PAGES * PAGE) as u64, &mut clone).unwrap();
        scene.clone = clone;
        scene.at = [scene.map(vmo), scene.map(vmo)];
        scene.clone_at = scene.map(clone);
        scene.op(ZX_VMO_OP_ZERO, 8, 2).unwrap();
        if trap {
            scene.pager_op(ZX_PAGER_OP_DIRTY, 4, 2).unwrap();
        }
        scene.write(scene.vmo, 4, 2).unwrap();
        scene.write(scene.clone, 1, 1).unwrap();
        scene.fill_aux();
        scene.kernel.audit();
        scene
    }

    fn map(&self, vmo: zx_handle_t) -> usize {
        let mut at = 0;
        self.kernel.vmar_map(self.kernel.vmar_root_self(), RW, 0, vmo, 0, PAGES * PAGE, &mut at).unwrap();
        at
    }

    /// A snapshot of what was modified in the clone, mapped until the end.
    fn freeze(&self) -> Result<(), Status> {
        let (mut frozen, len) = (0, (PAGES * PAGE) as u64);
        self.kernel.vmo_create_child(self.clone, ZX_VMO_CHILD_SNAPSHOT_MODIFIED, 0, len, &mut frozen)?;
        let mapped = self.map_more(frozen);
        self.kernel.handle_close(frozen).unwrap();
        self.frozen_at.set(Some(mapped?));
        Ok(())
    }

    /// One more, which is there until the end.
    fn map_more(&self, vmo: zx_handle_t) -> Result<usize, Status> {
        let mut at = 0;
        self.kernel.vmar_map(self.kernel.vmar_root_self(), RW, 0, vmo, 0, PAGES * PAGE, &mut at)?;
        self.more.borrow_mut().push(at);
        Ok(at)
    }

    fn fill_aux(&self) {
        for page in 0..PAGES {
            let bytes = [page as u8 + 1; PAGE];
            self.kernel.vmo_write(self.aux, UserRef::from(&bytes[..]), (page * PAGE) as u64).unwrap();
        }
    }

    fn supply(&self, from: usize, count: usize, full: bool) -> Result<(), Status> {
        let (from, len) = ((from * PAGE) as u64, (count * PAGE) as u64);
        if full {
            return self.kernel.pager_supply_pages(self.pager, self.vmo, from, len, self.aux, from);
        }
        let mut empty = 0;
        self.kernel.vmo_create(len, 0, &mut empty).unwrap();
        let result = self.kernel.pager_supply_pages(self.pager, self.vmo, from, len, empty, 0);
        self.kernel.handle_close(empty).unwrap();
        result
    }

    fn pager_op(&self, op: u32, from: usize, count: usize) -> Result<(), Status> {
        self.kernel.pager_op_range(self.pager, op, self.vmo, (from * PAGE) as u64, (count * PAGE) as u64, 0)
    }

    fn op(&self, op: u32, from: usize, count: usize) -> Result<(), Status> {
        self.op_on(self.vmo, op, from * PAGE, count * PAGE)
    }

    fn op_on(&self, vmo: zx_handle_t, op: u32, offset: usize, len: usize) -> Result<(), Status> {
        self.kernel.vmo_op_range(vmo, op, offset as u64, len as u64, UserSlice::from(&mut [][..]))
    }

    /// Whole pages of 50 and more.
    fn write(&self, vmo: zx_handle_t, from: usize, count: usize) -> Result<(), Status> {
        let bytes: Vec<u8> = (from..from + count).flat_map(|page| [page as u8 + 50; PAGE]).collect();
        self.kernel.vmo_write(vmo, UserRef::from(&bytes[..]), (from * PAGE) as u64)
    }

    fn access(&self, at: usize, page: usize, store: Option<u8>) -> Result<(), Status> {
        let addr = (at + page * PAGE) as u64;
        let done = match store {
            Some(byte) => self.sim.store(addr, byte),
            None => self.sim.load(addr).map(drop),
        };
        match done {
            Ok(()) => Ok(()),
            Err(SimFault::NoMemory) => Err(Status::NO_MEMORY),
            Err(fault) => panic!("{fault:?} at page {page}"),
        }
    }

    fn sight(&self) -> Sight {
        let mut size = 0;
        self.kernel.vmo_get_size(self.vmo, &mut size).unwrap();
        let mut records = [zx_vmo_dirty_range_t::default(); PAGES];
        let (mut count, buffer) = (0, records.as_mut_bytes().into());
        self.kernel
            .pager_query_dirty_ranges(self.pager, self.vmo, 0, size, buffer, &mut count, None::<&mut usize>)
            .unwrap();
        let is_dirty = |page: usize| {
            let at = (page * PAGE) as u64;
            records[..count].iter().any(|range| range.offset <= at && at < range.offset + range.length)
        };
        let pages = size as usize / PAGE;
        // Absent pages are not looked at by reading: that would wait for ever. The second mapping shows them.
        let loaded = |base: usize, page: usize| match self.sim.load((base + page * PAGE) as u64) {
            Ok(byte) => Some(byte),
            Err(SimFault::Waits | SimFault::Held | SimFault::Refused(_)) => None,
            Err(fault) => panic!("{fault:?} at page {page}"),
        };
        Sight {
            dirty: (0..pages).map(is_dirty).collect(),
            vmo: (0..pages).map(|page| loaded(self.at[1], page)).collect(),
            clone: (0..PAGES).map(|page| loaded(self.clone_at, page)).collect(),
            frozen: self.frozen_at.get().map_or_else(Vec::new, |at| (0..PAGES).map(|page| loaded(at, page)).collect()),
            size,
        }
    }

    /// The next change puts right what the host would not put back.
    fn settle(&self) {
        let mut vmar = 0;
        let can = ZX_VM_CAN_MAP_READ;
        self.kernel.vmar_allocate(self.kernel.vmar_root_self(), can, 0, PAGE, &mut vmar, None::<&mut usize>).unwrap();
        self.kernel.vmar_destroy(vmar).unwrap();
        self.kernel.handle_close(vmar).unwrap();
    }

    fn close(self) {
        for at in self.at.into_iter().chain([self.clone_at]).chain(self.more.take()) {
            self.kernel.vmar_unmap(self.kernel.vmar_root_self(), at, PAGES * PAGE).unwrap();
        }
        self.kernel.handle_close_many(&[self.vmo, self.clone, self.aux, self.pager, self.port]).unwrap();
        self.kernel.audit();
        assert_eq!(self.sim.memory_pages(), 0, "pages are left");
    }
}

/// Does it with every host call failing in turn.
fn check(name: &str, trap: bool, work: impl Fn(&Scene) -> Result<(), Status>) {
    check_from(&|| Scene::new(trap), name, trap, work);
}

/// [`check`] where the clone has a snapshot: they share page 1, and each has a page 2 of its own.
fn check_pair(name: &str, trap: bool, work: impl Fn(&Scene) -> Result<(), Status>) {
    let scene = || {
        let scene = Scene::new(trap);
        scene.write(scene.clone, 2, 1).unwrap();
        scene.freeze().unwrap();
        scene.kernel.vmo_write(scene.clone, UserRef::from(&[77; PAGE][..]), 2 * PAGE as u64).unwrap();
        scene.kernel.audit();
        scene
    };
    check_from(&scene, name, trap, work);
}

fn check_from(scene: &dyn Fn() -> Scene, name: &str, trap: bool, work: impl Fn(&Scene) -> Result<(), Status>) {
    let undisturbed = scene();
    let before = undisturbed.sight();
    assert_eq!(work(&undisturbed), Ok(()), "{name}");
    let after = undisturbed.sight();
    undisturbed.kernel.audit();
    undisturbed.close();
    let mut refused = 0;
    for mode in [Mode::Once, Mode::From] {
        for error in [HostError::NoMemory, HostError::NoDescriptors] {
            for n in 1.. {
                let scene = scene();
                scene.host.arm(n, error, mode);
                let result = work(&scene);
                scene.host.disarm();
                let fired = scene.host.fired();
                let what = format!("{name} (trap: {trap}), call {n} of the host {mode:?} {error:?}: {result:?}");
                scene.settle();
                scene.kernel.audit();
                let sight = scene.sight();
                match result {
                    Ok(()) if sight != after => {
                        // Letting go cannot be refused: what was not freed then is the next time.
                        assert_eq!(name, DETACH, "{what}: {sight:?}");
                        assert_eq!(sight.dirty, after.dirty, "{what}");
                        assert_eq!(work(&scene), Ok(()), "{what}, and again");
                        assert_eq!(scene.sight(), after, "{what}, and again");
                    }
                    Ok(()) => {}
                    Err(status) => {
                        refused += 1;
                        assert!([Status::NO_MEMORY, Status::NO_RESOURCES].contains(&status), "{what}");
                        let either = |now: &[Option<u8>], a: &[Option<u8>], b: &[Option<u8>]| {
                            let found = |page: usize, list: &[Option<u8>]| list.get(page).copied().flatten();
                            (0..now.len()).all(|page| [found(page, a), found(page, b)].contains(&now[page]))
                        };
                        assert!(either(&sight.vmo, &before.vmo, &after.vmo), "{what}: {sight:?}");
                        assert!(either(&sight.clone, &before.clone, &after.clone), "{what}: {sight:?}");
                        let before_it = if before.frozen.is_empty() { &after.frozen } else { &before.frozen };
                        assert!(either(&sight.frozen, before_it, &after.frozen), "{what}: {sight:?}");
                        for (page, &dirty) in before.dirty.iter().enumerate() {
                            let forgotten = dirty && after.dirty.get(page) == Some(&true);
                            assert!(!forgotten || sight.dirty.get(page) == Some(&true), "{what}: {page} is forgotten");
                        }
                        assert_eq!(work(&scene), Ok(()), "{what}, and again");
                        assert_eq!(scene.sight(), after, "{what}, and again");
                    }
                }
                scene.kernel.audit();
                scene.close();
                if !fired {
                    break;
                }
            }
        }
    }
    println!("{name}, trap {trap}: {refused} refusals");
}

#[test]
fn a_pagers_calls() {
    for trap in [false, true] {
        check("supply", trap, |scene| scene.supply(3, 9, true));
        check("supply zeros", trap, |scene| scene.supply(9, 3, false));
        check("begin", trap, |scene| scene.pager_op(ZX_PAGER_OP_WRITEBACK_BEGIN, 0, PAGES));
        check("end", trap, |scene| {
            scene.pager_op(ZX_PAGER_OP_WRITEBACK_BEGIN, 0, PAGES)?;
            scene.pager_op(ZX_PAGER_OP_WRITEBACK_END, 0, PAGES)
        });
        check(DETACH, trap, |scene| scene.kernel.pager_detach_vmo(scene.pager, scene.vmo));
    }
    check("let become dirty", true, |scene| scene.pager_op(ZX_PAGER_OP_DIRTY, 0, 10));
}

#[test]
fn calls_on_a_root() {
    for trap in [false, true] {
        // Where the pager would have to be asked, it has consented.
        let consent = |scene: &Scene| if trap { scene.pager_op(ZX_PAGER_OP_DIRTY, 0, 10) } else { Ok(()) };
        check("write", trap, |scene| consent(scene).and_then(|()| scene.write(scene.vmo, 2, 7)));
        check("commit", trap, |scene| consent(scene).and_then(|()| scene.op(ZX_VMO_OP_COMMIT, 0, 10)));
        check("zero", trap, |scene| scene.op(ZX_VMO_OP_ZERO, 3, 6));
        check("zero a part", trap, |scene| {
            consent(scene)?;
            scene.op_on(scene.vmo, ZX_VMO_OP_ZERO, 3 * PAGE + 1, 2 * PAGE)
        });
        check("shrink", trap, |scene| scene.kernel.vmo_set_size(scene.vmo, (3 * PAGE) as u64));
        check("grow", trap, |scene| scene.kernel.vmo_set_size(scene.vmo, (2 * PAGES * PAGE) as u64));
        check("map", trap, |scene| {
            let at = scene.map_more(scene.vmo)?;
            scene.access(at, 2, None)
        });
    }
}

#[test]
fn accesses_to_a_root() {
    for trap in [false, true] {
        check("load zero", trap, |scene| scene.access(scene.at[0], 6, None));
        check("load what is there", trap, |scene| scene.access(scene.at[0], 0, None));
        check("store to what is dirty", trap, |scene| scene.access(scene.at[0], 4, Some(99)));
    }
    check("store to what is clean", false, |scene| scene.access(scene.at[0], 1, Some(99)));
    check("store to clean zero", false, |scene| scene.access(scene.at[0], 7, Some(99)));
    check("store to dirty zero", false, |scene| scene.access(scene.at[0], 8, Some(99)));
}

#[test]
fn clones() {
    for trap in [false, true] {
        check("write to a clone", trap, |scene| scene.write(scene.clone, 0, 5));
        check("store to a clone", trap, |scene| scene.access(scene.clone_at, 2, Some(98)));
        check("store to a clone's zero", trap, |scene| scene.access(scene.clone_at, 6, Some(98)));
        check("commit a clone", trap, |scene| scene.op_on(scene.clone, ZX_VMO_OP_COMMIT, 0, 9 * PAGE));
        check("zero a clone", trap, |scene| scene.op_on(scene.clone, ZX_VMO_OP_ZERO, PAGE / 2, 4 * PAGE));
        check("zero a clone over nothing", trap, |scene| scene.op_on(scene.clone, ZX_VMO_OP_ZERO, 8 * PAGE, 4 * PAGE));
        check("shrink a clone", trap, |scene| scene.kernel.vmo_set_size(scene.clone, PAGE as u64));
        check("what is over a clone", trap, |scene| {
            let mut child = 0;
            let kind = ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE;
            scene.kernel.vmo_create_child(scene.clone, kind, 0, (PAGES * PAGE) as u64, &mut child)?;
            let mapped = scene.map_more(child);
            scene.kernel.handle_close(child).unwrap();
            let at = mapped?;
            scene.access(at, 3, Some(97))?;
            scene.access(scene.clone_at, 4, Some(96))
        });
    }
}

#[test]
fn pairs() {
    let frozen = |scene: &Scene, page: usize, byte: u8| {
        let at = scene.frozen_at.get().expect("it is mapped");
        scene.access(at, page, Some(byte))
    };
    for trap in [false, true] {
        check("freeze a clone", trap, |scene| {
            if scene.frozen_at.get().is_none() {
                scene.freeze()?;
            }
            scene.access(scene.clone_at, 1, Some(98))
        });
        check_pair("shrink the root of a pair", trap, |scene| scene.kernel.vmo_set_size(scene.vmo, (3 * PAGE) as u64));
    }
    check_pair("write to what is shared", false, |scene| scene.write(scene.clone, 0, 3));
    check_pair("store to what is shared", false, |scene| scene.access(scene.clone_at, 1, Some(98)));
    check_pair("store to what is frozen", false, |scene| frozen(scene, 1, 98));
    check_pair("store to a snapshot", false, |scene| (0..8).try_for_each(|page| frozen(scene, page, 97)));
    check_pair("commit one of a pair", false, |scene| scene.op_on(scene.clone, ZX_VMO_OP_COMMIT, 0, 9 * PAGE));
    check_pair("zero one of a pair", false, |scene| scene.op_on(scene.clone, ZX_VMO_OP_ZERO, PAGE / 2, 4 * PAGE));
    check_pair("zero one of a pair over nothing", false, |scene| {
        scene.op_on(scene.clone, ZX_VMO_OP_ZERO, 0, PAGES * PAGE)
    });
    check_pair("shrink one of a pair", false, |scene| scene.kernel.vmo_set_size(scene.clone, PAGE as u64));
}
