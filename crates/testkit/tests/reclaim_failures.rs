//! Every way back, where a budget is full: each thing that needs room, or takes pages, with each of the host calls it makes failing in
//! turn.
//!
//! For every case and for N = 1, 2, ... until the work gets through, a fresh engine is set up, the Nth call of the host (or the Nth
//! and all later ones) is made to fail, and the work is done. Then:
//! 1. the audit passes, after the next change at the latest: the budget counts what is there, and the queues know it;
//! 2. no more is there than may be, and nothing that had to be saved is forgotten, nor reads as anything else;
//! 3. the same work again gets through, and so does what comes after it: every page can be had, and what is saved may go;
//! 4. when all is closed, the host has got everything back.

use std::sync::Arc;

use zerocopy::IntoBytes;
use zxvm_host::HostError;
use zxvm_host::fail::{FailNth, Mode};
use zxvm_host::sim::{SimConfig, SimFault, SimHost};
use zxvm_syscall::user::{UserRef, UserSlice};
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

const PAGE: u64 = 4096;

/// The least there is, in pages.
const BUDGET: u64 = 64;

const PAGES: u64 = 200;

/// Pages that are dirty, and hold [`NEW`].
const DIRTY: u64 = 10;
const NEW: u8 = 0xee;

/// Pages at the end that are zero, without pages.
const ZEROS: u64 = 4;

const RW: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;

/// An engine whose budget is used up, but for one page: of a pager VMO, mapped twice, pages 0 to 10 are dirty, the rest is clean. A
/// clone, mapped, has a page 20 of its own.
struct Scene {
    sim: Arc<SimHost>,
    host: Arc<FailNth<SimHost>>,
    kernel: Kernel,
    pager: zx_handle_t,
    port: zx_handle_t,
    vmo: zx_handle_t,
    clone: zx_handle_t,
    at: [u64; 2],
    clone_at: u64,
}

impl Scene {
    fn new(trap: bool) -> Self {
        let sim = Arc::new(SimHost::new(SimConfig::default()));
        let host = Arc::new(FailNth::new(sim.clone()));
        let kernel = Kernel::new(host.clone(), Config { root_len: 64 << 20, seed: 7 }).unwrap();
        kernel.set_memory_budget(Some(BUDGET * PAGE)).unwrap();
        let (mut pager, mut port, mut vmo, mut clone) = (0, 0, 0, 0);
        kernel.pager_create(0, &mut pager).unwrap();
        kernel.port_create(0, &mut port).unwrap();
        let options = ZX_VMO_RESIZABLE | if trap { ZX_VMO_TRAP_DIRTY } else { 0 };
        kernel.pager_create_vmo(pager, options, port, 1, PAGES * PAGE, &mut vmo).unwrap();
        kernel.vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE, 0, PAGES * PAGE, &mut clone).unwrap();
        let mut scene = Self { sim, host, kernel, pager, port, vmo, clone, at: [0; 2], clone_at: 0 };
        scene.at = [scene.map(vmo), scene.map(vmo)];
        scene.clone_at = scene.map(clone);
        scene.op(scene.vmo, ZX_VMO_OP_ZERO, PAGES - ZEROS, ZEROS).unwrap();
        scene.supply(0, DIRTY).unwrap();
        if trap {
            scene.pager_op(ZX_PAGER_OP_DIRTY, 0, DIRTY).unwrap();
        }
        for page in 0..DIRTY {
            scene.kernel.vmo_write(vmo, UserRef::from(&[NEW; PAGE as usize][..]), page * PAGE).unwrap();
        }
        for page in DIRTY..BUDGET {
            scene.supply(page, 1).unwrap();
            // Some by one mapping, some by both, some by none.
            for at in &scene.at[..page as usize % 3] {
                scene.load(*at, page).unwrap();
            }
        }
        scene.kernel.vmo_write(clone, UserRef::from(&[7; PAGE as usize][..]), 20 * PAGE).unwrap();
        // What went ahead of need comes again: there is room for one page at most.
        for page in DIRTY..BUDGET {
            if scene.resident() + 1 >= BUDGET {
                break;
            }
            scene.supply(page, 1).unwrap();
        }
        assert!(scene.resident() + 1 >= BUDGET);
        scene.kernel.audit();
        scene
    }

    fn map(&self, vmo: zx_handle_t) -> u64 {
        let (mut at, len) = (0, (PAGES * PAGE) as usize);
        self.kernel.vmar_map(self.kernel.vmar_root_self(), RW, 0, vmo, 0, len, &mut at).unwrap();
        at as u64
    }

    /// Whatever fails here is the work's, but for the VMO to supply from.
    fn supply(&self, from: u64, count: u64) -> Result<(), Status> {
        let mut aux = 0;
        self.kernel.vmo_create(count * PAGE, 0, &mut aux)?;
        let filled = (0..count).try_for_each(|page| {
            let bytes = [byte_of(from + page); PAGE as usize];
            self.kernel.vmo_write(aux, UserRef::from(&bytes[..]), page * PAGE)
        });
        let supplied = filled
            .and_then(|()| self.kernel.pager_supply_pages(self.pager, self.vmo, from * PAGE, count * PAGE, aux, 0));
        self.kernel.handle_close(aux).unwrap();
        supplied
    }

    fn pager_op(&self, op: u32, from: u64, count: u64) -> Result<(), Status> {
        self.kernel.pager_op_range(self.pager, op, self.vmo, from * PAGE, count * PAGE, 0)
    }

    fn op(&self, vmo: zx_handle_t, op: u32, from: u64, count: u64) -> Result<(), Status> {
        self.kernel.vmo_op_range(vmo, op, from * PAGE, count * PAGE, UserSlice::from(&mut [][..]))
    }

    fn load(&self, at: u64, page: u64) -> Result<u8, Status> {
        match self.sim.load(at + page * PAGE) {
            Ok(byte) => Ok(byte),
            Err(SimFault::NoMemory) => Err(Status::NO_MEMORY),
            // The host has not got back what it showed, or it waits: both are to be tried again.
            Err(SimFault::Waits | SimFault::Held) => Err(Status::SHOULD_WAIT),
            Err(fault) => panic!("{fault:?} at page {page}"),
        }
    }

    /// Loads from a page, which is supplied where it is asked for.
    fn touch(&self, at: u64, page: u64) -> Result<(), Status> {
        for _ in 0..3 {
            match self.load(at, page) {
                Ok(byte) => {
                    let expected = if page < DIRTY { [NEW, byte_of(page)] } else { [byte_of(page); 2] };
                    assert!(expected.contains(&byte), "page {page}: {byte:#x}");
                    return Ok(());
                }
                Err(Status::SHOULD_WAIT) => self.supply(page, 1)?,
                Err(status) => return Err(status),
            }
        }
        Err(Status::NO_MEMORY)
    }

    fn resident(&self) -> u64 {
        self.kernel.memory_stats().resident / PAGE
    }

    fn dirty(&self) -> Vec<(u64, u64)> {
        let mut ranges = [zx_vmo_dirty_range_t::default(); 32];
        let (mut count, buffer, none) = (0, ranges.as_mut_bytes().into(), None::<&mut usize>);
        let mut size = 0;
        self.kernel.vmo_get_size(self.vmo, &mut size).unwrap();
        self.kernel.pager_query_dirty_ranges(self.pager, self.vmo, 0, size, buffer, &mut count, none).unwrap();
        let real = ranges[..count].iter().filter(|range| range.options & ZX_VMO_DIRTY_RANGE_IS_ZERO == 0);
        real.map(|range| (range.offset / PAGE, range.length / PAGE)).collect()
    }

    fn is_dirty(&self, page: u64) -> bool {
        self.dirty().iter().any(|&(from, pages)| (from..from + pages).contains(&page))
    }

    fn read(&self, vmo: zx_handle_t, page: u64) -> Result<u8, Status> {
        let mut byte = [0];
        self.kernel.vmo_read(vmo, UserSlice::from(&mut byte[..]), page * PAGE).map(|()| byte[0])
    }

    /// The next change puts right what the host would not put back.
    fn settle(&self) {
        let mut vmar = 0;
        let (root, none) = (self.kernel.vmar_root_self(), None::<&mut usize>);
        self.kernel.vmar_allocate(root, ZX_VM_CAN_MAP_READ, 0, PAGE as usize, &mut vmar, none).unwrap();
        self.kernel.vmar_destroy(vmar).unwrap();
        self.kernel.handle_close(vmar).unwrap();
    }

    /// Everything can be had still, through each mapping, and what is saved may go.
    fn goes_on(&self, what: &str) {
        for page in (0..PAGES - ZEROS).step_by(13) {
            for at in self.at {
                assert_eq!(self.touch(at, page), Ok(()), "{what}, page {page} afterwards");
                assert!(self.resident() <= BUDGET, "{what}, afterwards");
            }
        }
        for page in 0..DIRTY {
            if self.is_dirty(page) {
                assert_eq!(self.read(self.vmo, page), Ok(NEW), "{what}, page {page} afterwards");
            }
        }
        assert_eq!(self.load(self.clone_at, 20), Ok(7), "{what}, the clone's own");
        assert_eq!(self.pager_op(ZX_PAGER_OP_WRITEBACK_BEGIN, 0, PAGES), Ok(()));
        assert_eq!(self.pager_op(ZX_PAGER_OP_WRITEBACK_END, 0, PAGES), Ok(()));
        let there = self.kernel.memory_stats().resident;
        assert_eq!((self.kernel.reclaim(u64::MAX), self.resident()), (there, 0), "{what}: nothing need stay");
        self.kernel.audit();
    }

    fn close(self) {
        for at in self.at.into_iter().chain([self.clone_at]) {
            let len = (PAGES * PAGE) as usize;
            self.kernel.vmar_unmap(self.kernel.vmar_root_self(), at as usize, len).unwrap();
        }
        self.kernel.handle_close_many(&[self.vmo, self.clone, self.pager, self.port]).unwrap();
        self.kernel.audit();
        assert_eq!((self.resident(), self.sim.memory_pages()), (0, 0), "pages are left");
    }
}

fn byte_of(page: u64) -> u8 {
    page as u8 % 200 + 1
}

/// Does it with every host call failing in turn. `saves`: the dirty pages need not be dirty afterwards.
fn check(name: &str, trap: bool, saves: bool, work: impl Fn(&Scene) -> Result<(), Status>) {
    let undisturbed = Scene::new(trap);
    let evicted = undisturbed.kernel.memory_stats().evicted;
    assert_eq!(work(&undisturbed), Ok(()), "{name}");
    let went = undisturbed.kernel.memory_stats().evicted - evicted;
    assert!(undisturbed.resident() <= BUDGET);
    undisturbed.kernel.audit();
    undisturbed.goes_on(name);
    undisturbed.close();
    let mut cases = 0;
    for mode in [Mode::Once, Mode::From] {
        for error in [HostError::NoMemory, HostError::NoDescriptors] {
            for n in 1.. {
                let scene = Scene::new(trap);
                scene.host.arm(n, error, mode);
                let result = work(&scene);
                scene.host.disarm();
                let fired = scene.host.fired();
                let what = format!("{name} (trap: {trap}), call {n} of the host {mode:?} {error:?}: {result:?}");
                let refused = [Err(Status::NO_MEMORY), Err(Status::NO_RESOURCES)].contains(&result);
                assert!(result.is_ok() || refused, "{what}");
                scene.settle();
                scene.kernel.audit();
                assert!(scene.resident() <= BUDGET, "{what}");
                for page in 0..DIRTY {
                    let is_kept = saves || scene.is_dirty(page);
                    assert!(is_kept, "{what}: page {page} is forgotten: {:?}", scene.dirty());
                    if scene.is_dirty(page) {
                        assert_eq!(scene.read(scene.vmo, page), Ok(NEW), "{what}: page {page}");
                    }
                }
                if refused {
                    assert_eq!(work(&scene), Ok(()), "{what}, and again");
                    scene.kernel.audit();
                }
                scene.goes_on(&what);
                scene.close();
                if !fired {
                    break;
                }
                cases += 1;
            }
        }
    }
    println!("{name}, trap {trap}: {cases} failures; {} pages went where nothing failed", went / PAGE);
    assert!(cases > 0, "{name} makes no host call");
}

#[test]
fn what_needs_room() {
    for trap in [false, true] {
        check("supply one", trap, false, |scene| scene.supply(150, 1));
        check("supply many", trap, false, |scene| scene.supply(100, 20));
        check("load", trap, false, |scene| scene.touch(scene.at[0], 150));
        check("load through a clone", trap, false, |scene| scene.touch(scene.clone_at, 151));
        check("load a zero page", trap, false, |scene| match scene.load(scene.at[1], PAGES - 1) {
            Ok(byte) => {
                assert_eq!(byte, 0);
                Ok(())
            }
            Err(Status::SHOULD_WAIT) => Err(Status::NO_MEMORY),
            Err(status) => Err(status),
        });
    }
    check("commit zero pages", false, false, |scene| scene.op(scene.vmo, ZX_VMO_OP_COMMIT, PAGES - ZEROS, ZEROS));
    check("let zero pages become dirty", true, false, |scene| scene.pager_op(ZX_PAGER_OP_DIRTY, PAGES - ZEROS, ZEROS));
}

#[test]
fn what_takes_pages() {
    for trap in [false, true] {
        check("reclaim", trap, false, |scene| {
            scene.kernel.reclaim(40 * PAGE);
            Ok(())
        });
        check("a smaller budget", trap, false, |scene| {
            scene.kernel.set_memory_budget(Some(2 * BUDGET * PAGE))?;
            let supplied = scene.supply(100, 20);
            scene.kernel.set_memory_budget(Some(BUDGET * PAGE))?;
            // What the host would not free goes when it does again.
            scene.host.disarm();
            scene.kernel.set_memory_budget(Some(BUDGET * PAGE))?;
            supplied
        });
        check("save, and reclaim", trap, true, |scene| {
            scene.pager_op(ZX_PAGER_OP_WRITEBACK_BEGIN, 0, DIRTY)?;
            scene.pager_op(ZX_PAGER_OP_WRITEBACK_END, 0, DIRTY)?;
            scene.kernel.reclaim(u64::MAX);
            Ok(())
        });
    }
}

#[test]
fn hints() {
    for trap in [false, true] {
        check("do not need", trap, false, |scene| {
            scene.op(scene.vmo, ZX_VMO_OP_DONT_NEED, 0, PAGES)?;
            scene.supply(100, 10)
        });
        check("do not need, through a clone", trap, false, |scene| {
            scene.op(scene.clone, ZX_VMO_OP_DONT_NEED, 0, PAGES)?;
            scene.supply(100, 10)
        });
        check("always need", trap, false, |scene| {
            scene.supply(60, 4)?;
            scene.op(scene.vmo, ZX_VMO_OP_ALWAYS_NEED, 60, 4)?;
            scene.supply(100, 20)
        });
    }
}
