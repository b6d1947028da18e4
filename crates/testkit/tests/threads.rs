//! Many threads on one engine, on Linux: nothing breaks, nothing is lost, and what an operation touches is what was there
//! when it looked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use zxvm_host::linux::{Delivery, LinuxHost, install_fault_recovery};
use zxvm_host::{AddrRange, View};
use zxvm_syscall::user::{UserRef, UserSlice};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::cpu::{Cpu, Native};
use zxvm_testkit::engine::record;
use zxvm_types::*;

const PAGE: usize = 4096;
const ROOT_LEN: u64 = 64 << 20;
const RW: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;

/// One test at a time: they look at the descriptors of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kernel(seed: u64) -> Kernel {
    install_fault_recovery();
    Kernel::new(
        Arc::new(LinuxHost::new(Delivery::of_environment().unwrap()).unwrap()),
        Config { root_len: ROOT_LEN, seed },
    )
    .unwrap()
}

fn new_vmo(kernel: &Kernel, pages: usize, options: u32) -> zx_handle_t {
    let mut vmo = ZX_HANDLE_INVALID;
    kernel.vmo_create((pages * PAGE) as u64, options, &mut vmo).unwrap();
    vmo
}

fn committed(kernel: &Kernel, vmo: zx_handle_t) -> u64 {
    record::<zx_info_vmo_t>(kernel, vmo, ZX_INFO_VMO).unwrap().committed_bytes
}

fn root(kernel: &Kernel) -> AddrRange {
    let range: zx_info_vmar_t = record(kernel, kernel.vmar_root_self(), ZX_INFO_VMAR).unwrap();
    AddrRange::new(range.base as u64, range.len as u64).unwrap()
}

/// Bytes of memory in all the stores of this process.
fn memory_in_stores() -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // The descriptor of the directory itself is gone by now.
        let Ok(target) = std::fs::read_link(&path) else { continue };
        if target.to_string_lossy().contains("memfd:zxvm") {
            bytes += std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512;
        }
    }
    bytes
}

fn assert_nothing_left(kernel: &Kernel) {
    kernel.audit();
    assert_eq!(memory_in_stores(), 0, "memory that nobody has a use for");
    let pieces = kernel.host().pieces(root(kernel)).unwrap();
    assert!(pieces.iter().all(|piece| piece.view == View::Held), "{pieces:?}");
    assert_eq!(pieces.len(), 1, "held in more than one piece: {pieces:?}");
}

/// Handles that all threads use.
#[derive(Default)]
struct Shared {
    vmos: Mutex<Vec<zx_handle_t>>,
    vmars: Mutex<Vec<zx_handle_t>>,
}

/// One of them, if there is any. It may be closed by the time it is used.
fn pick(rng: &mut Rng, handles: &Mutex<Vec<zx_handle_t>>) -> zx_handle_t {
    rng.choice(handles.lock().unwrap().iter().copied()).unwrap_or(ZX_HANDLE_INVALID)
}

/// Adds a handle, or closes it where there are enough.
fn keep(kernel: &Kernel, handles: &Mutex<Vec<zx_handle_t>>, handle: zx_handle_t, max: usize) {
    let mut handles = handles.lock().unwrap();
    if handles.len() < max {
        handles.push(handle);
    } else {
        drop(handles);
        kernel.handle_close(handle).unwrap();
    }
}

/// Takes one out and closes it.
fn drop_one(kernel: &Kernel, rng: &mut Rng, handles: &Mutex<Vec<zx_handle_t>>) -> Result<(), Status> {
    let handle = {
        let mut handles = handles.lock().unwrap();
        if handles.is_empty() {
            return Ok(());
        }
        let index = rng.usize(0..handles.len());
        handles.swap_remove(index)
    };
    kernel.handle_close(handle)
}

/// One random call.
fn hammer(kernel: &Kernel, rng: &mut Rng, shared: &Shared, area: AddrRange) -> Result<(), Status> {
    const OPTIONS: [u32; 4] = [0, ZX_VMO_RESIZABLE, ZX_VMO_RESIZABLE, ZX_VMO_DISCARDABLE | ZX_VMO_RESIZABLE];
    const PERMS: [u32; 4] = [RW, RW, ZX_VM_PERM_READ, 0];
    const OPS: [u32; 7] = [
        ZX_VMAR_OP_COMMIT,
        ZX_VMAR_OP_DECOMMIT,
        ZX_VMAR_OP_MAP_RANGE,
        ZX_VMAR_OP_ZERO,
        ZX_VMAR_OP_DONT_NEED,
        ZX_VMAR_OP_ALWAYS_NEED,
        ZX_VMAR_OP_PREFETCH,
    ];
    let addr = area.addr() + rng.usize(0..128) * PAGE;
    let len = rng.usize(1..=24) * PAGE;
    let offset = rng.u64(0..16) * PAGE as u64;
    let vmar = if rng.bool() { kernel.vmar_root_self() } else { pick(rng, &shared.vmars) };
    let vmo = pick(rng, &shared.vmos);
    match rng.u32(0..24) {
        0..2 => {
            let mut vmo = ZX_HANDLE_INVALID;
            let options = *rng.choice(&OPTIONS).unwrap();
            kernel.vmo_create(rng.u64(0..16 * PAGE as u64), options, &mut vmo)?;
            keep(kernel, &shared.vmos, vmo, 12);
            Ok(())
        }
        2 => drop_one(kernel, rng, &shared.vmos),
        3 => {
            let (mut child, mut at) = (ZX_HANDLE_INVALID, 0);
            let can = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC | ZX_VM_SPECIFIC;
            kernel.vmar_allocate(vmar, can, addr - area.addr(), len, &mut child, &mut at)?;
            keep(kernel, &shared.vmars, child, 8);
            Ok(())
        }
        4 => drop_one(kernel, rng, &shared.vmars),
        5 => kernel.vmar_destroy(vmar),
        6..11 => {
            let place = [ZX_VM_SPECIFIC, ZX_VM_SPECIFIC_OVERWRITE, ZX_VM_SPECIFIC_OVERWRITE, ZX_VM_MAP_RANGE];
            let place = *rng.choice(&place).unwrap();
            let at = if place == ZX_VM_MAP_RANGE { 0 } else { addr - area.addr() };
            let options = place | ZX_VM_ALLOW_FAULTS | rng.choice(&PERMS).unwrap();
            kernel.vmar_map(vmar, options, at, vmo, offset, len, &mut 0)
        }
        11..13 => kernel.vmar_unmap(vmar, addr, len),
        13..16 => kernel.vmar_protect(vmar, *rng.choice(&PERMS).unwrap(), addr, len),
        16..19 => kernel.vmar_op_range(vmar, *rng.choice(&OPS).unwrap(), addr, len, 0, 0),
        19 => kernel.vmo_set_size(vmo, rng.u64(0..16 * PAGE as u64)),
        20 => {
            let op = [ZX_VMO_OP_COMMIT, ZX_VMO_OP_DECOMMIT, ZX_VMO_OP_ZERO];
            let op = *rng.choice(&op).unwrap();
            kernel.vmo_op_range(vmo, op, offset, len as u64, UserSlice::from(&mut [][..]))
        }
        21 => kernel.vmo_read(vmo, UserSlice::from(&mut vec![0; len][..]), offset + rng.u64(0..PAGE as u64)),
        22 => kernel.vmo_write(vmo, UserRef::from(&vec![1; len][..]), offset + rng.u64(0..PAGE as u64)),
        _ => {
            // Whatever is there: a value or a fault.
            let _ = Native.load(addr as u64);
            let _ = Native.store(addr as u64, 7);
            Ok(())
        }
    }
}

#[test]
fn hammered_by_eight_threads() {
    let _alone = alone();
    let kernel = kernel(1);
    let area = root(&kernel);
    let shared = Shared::default();
    let end = Instant::now() + Duration::from_secs(3);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 0..8 {
            let (kernel, shared, done) = (&kernel, &shared, &done);
            scope.spawn(move || {
                let mut rng = Rng::with_seed(seed);
                while Instant::now() < end {
                    for _ in 0..64 {
                        let result = hammer(kernel, &mut rng, shared, area);
                        assert!(!matches!(result, Err(Status::INTERNAL)), "INTERNAL");
                        done.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(done.into_inner() > 1_000, "hardly any call succeeded");
    kernel.audit();
    kernel.vmar_unmap(kernel.vmar_root_self(), area.addr(), area.len() as usize).unwrap();
    let handles = [shared.vmos.into_inner().unwrap(), shared.vmars.into_inner().unwrap()].concat();
    kernel.handle_close_many(&handles).unwrap();
    assert_nothing_left(&kernel);
}

/// COMMIT takes hold of what is mapped and then works without the lock of the address space. If the range is remapped
/// meanwhile, it has to finish what it took hold of and must not reach, by address, what came later: then both VMOs would
/// have pages.
#[test]
fn a_commit_never_reaches_what_was_mapped_later() {
    const PAGES: usize = 48;
    const ALL: u64 = (PAGES * PAGE) as u64;
    let _alone = alone();
    let kernel = kernel(2);
    let (range, vmar) = (root(&kernel), kernel.vmar_root_self());
    let map = |vmo| {
        let options = RW | ZX_VM_SPECIFIC_OVERWRITE;
        kernel.vmar_map(vmar, options, 0, vmo, 0, PAGES * PAGE, &mut 0).unwrap();
    };
    let mut rng = Rng::with_seed(3);
    let mut early = 0;
    for round in 0..1_500 {
        let first = new_vmo(&kernel, PAGES, 0);
        let later = new_vmo(&kernel, PAGES, 0);
        map(first);
        let start = Barrier::new(2);
        let pause = rng.u32(0..4_000);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                kernel.vmar_op_range(vmar, ZX_VMAR_OP_COMMIT, range.addr(), PAGES * PAGE, 0, 0).unwrap();
            });
            start.wait();
            for _ in 0..pause {
                std::hint::spin_loop();
            }
            map(later);
        });
        let seen = (committed(&kernel, first), committed(&kernel, later));
        assert!(seen == (ALL, 0) || seen == (0, ALL), "round {round}: {seen:?}");
        early += u32::from(seen == (ALL, 0));
        kernel.handle_close_many(&[first, later]).unwrap();
    }
    assert!(early > 0, "the commit was never first: nothing was tested");
    kernel.vmar_unmap(vmar, range.addr(), PAGES * PAGE).unwrap();
    assert_nothing_left(&kernel);
}

/// Sets the flag when the test is over, failed or not.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// MAP_RANGE enters committed pages only. On Linux, touching an absent page would commit it: a page freed between the look
/// and the touch must not come back.
#[test]
fn map_range_never_allocates() {
    const PAGES: usize = 64;
    let _alone = alone();
    let kernel = kernel(4);
    let (range, vmar) = (root(&kernel), kernel.vmar_root_self());
    let vmo = new_vmo(&kernel, PAGES, ZX_VMO_RESIZABLE);
    kernel.vmar_map(vmar, RW | ZX_VM_SPECIFIC, 0, vmo, 0, PAGES * PAGE, &mut 0).unwrap();
    let stop = AtomicBool::new(false);
    let entered = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    kernel.vmar_op_range(vmar, ZX_VMAR_OP_MAP_RANGE, range.addr(), PAGES * PAGE, 0, 0).unwrap();
                    entered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = StopAtEnd(&stop);
        let end = Instant::now() + Duration::from_secs(1);
        let mut turn = 0;
        while Instant::now() < end {
            let size = (PAGES * PAGE) as u64;
            let none = || UserSlice::from(&mut [][..]);
            kernel.vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, size, none()).unwrap();
            match turn % 4 {
                0 => kernel.vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, 0, size, none()).unwrap(),
                1 => kernel.vmar_op_range(vmar, ZX_VMAR_OP_DECOMMIT, range.addr(), PAGES * PAGE, 0, 0).unwrap(),
                2 => kernel.vmo_op_range(vmo, ZX_VMO_OP_ZERO, 0, size, none()).unwrap(),
                _ => {
                    kernel.vmo_set_size(vmo, 0).unwrap();
                    kernel.vmo_set_size(vmo, size).unwrap();
                }
            }
            for _ in 0..3 {
                assert_eq!(committed(&kernel, vmo), 0, "turn {turn}: pages came back");
                thread::yield_now();
            }
            turn += 1;
        }
        assert!(turn > 10, "hardly any turn");
    });
    assert!(entered.into_inner() > 10, "hardly any MAP_RANGE");
    kernel.vmar_unmap(vmar, range.addr(), PAGES * PAGE).unwrap();
    kernel.handle_close(vmo).unwrap();
    assert_nothing_left(&kernel);
}

/// A mapping made with MAP_RANGE is populated after it is there. If another thread unmaps it in between and maps something
/// of its own in the same place, that is neither an error of the first call nor the first call's to take away.
#[test]
fn a_map_touches_only_its_own_mapping_after_it_is_made() {
    const PAGES: usize = 4;
    let _alone = alone();
    let kernel = kernel(5);
    let (range, vmar) = (root(&kernel), kernel.vmar_root_self());
    let (first, second) = (new_vmo(&kernel, PAGES, 0), new_vmo(&kernel, PAGES, 0));
    kernel.vmo_write(second, UserRef::from(&[7][..]), 0).unwrap();
    let stop = AtomicBool::new(false);
    let made = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let options = RW | ZX_VM_SPECIFIC | ZX_VM_MAP_RANGE;
                match kernel.vmar_map(vmar, options, 0, first, 0, PAGES * PAGE, &mut 0) {
                    Ok(()) => made.fetch_add(1, Ordering::Relaxed),
                    Err(Status::ALREADY_EXISTS) => 0,
                    Err(status) => panic!("{status}"),
                };
            }
        });
        let _stop = StopAtEnd(&stop);
        let end = Instant::now() + Duration::from_secs(1);
        let mut rng = Rng::with_seed(6);
        while Instant::now() < end {
            kernel.vmar_unmap(vmar, range.addr(), PAGES * PAGE).unwrap();
            for _ in 0..rng.u32(0..4_000) {
                std::hint::spin_loop();
            }
            if kernel.vmar_map(vmar, RW | ZX_VM_SPECIFIC, 0, second, 0, PAGES * PAGE, &mut 0).is_ok() {
                for _ in 0..4 {
                    assert_eq!(Native.load(range.start()), Ok(7), "somebody else took the mapping away");
                }
            }
        }
    });
    assert!(made.into_inner() > 10, "the first thread hardly ever mapped anything");
    kernel.vmar_unmap(vmar, range.addr(), PAGES * PAGE).unwrap();
    kernel.handle_close_many(&[first, second]).unwrap();
    assert_nothing_left(&kernel);
}

/// A new stream size makes everything from the smaller of the old and the new one on zero. "Old" is what it is when the new
/// one takes its place, not what it was when the call began.
#[test]
fn a_stream_size_is_changed_from_what_it_is_then() {
    const P: u64 = PAGE as u64;
    let _alone = alone();
    let kernel = kernel(7);
    let vmo = new_vmo(&kernel, 8, 0);
    let start = Barrier::new(2);
    let mut rng = Rng::with_seed(8);
    let mut decided = 0;
    for round in 0..3_000 {
        kernel.vmo_set_stream_size(vmo, 8 * P).unwrap();
        let pause = rng.u32(0..3_000);
        let mut seen = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for _ in 0..pause {
                    std::hint::spin_loop();
                }
                kernel.vmo_set_stream_size(vmo, 7 * P).unwrap();
            });
            start.wait();
            kernel.vmo_set_stream_size(vmo, P).unwrap();
            kernel.vmo_write(vmo, UserRef::from(&[9][..]), 5 * P).unwrap();
            kernel.vmo_get_stream_size(vmo, &mut seen).unwrap();
        });
        let mut now = 0;
        kernel.vmo_get_stream_size(vmo, &mut now).unwrap();
        if (seen, now) == (P, 7 * P) {
            // The other call came after the write, and found the stream short.
            let mut byte = [1];
            kernel.vmo_read(vmo, UserSlice::from(&mut byte[..]), 5 * P).unwrap();
            assert_eq!(byte, [0], "round {round}: what was behind the end of the stream came back");
            decided += 1;
        }
    }
    assert!(decided > 10, "hardly any round decided anything");
    kernel.handle_close(vmo).unwrap();
}
