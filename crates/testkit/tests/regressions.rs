//! What was once wrong. Each test's first lines tell the story.

use std::sync::Arc;

use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_syscall::user::UserSlice;
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::engine::record;
use zxvm_types::*;

const PAGE: u64 = 4096;

fn kernel() -> Kernel {
    let sim = Arc::new(SimHost::new(SimConfig::default()));
    Kernel::new(sim, Config { root_len: 64 << 20, seed: 1 }).unwrap()
}

fn vmo(kernel: &Kernel, size: u64, options: u32) -> zx_handle_t {
    let mut vmo = ZX_HANDLE_INVALID;
    kernel.vmo_create(size, options, &mut vmo).unwrap();
    vmo
}

fn op_range(kernel: &Kernel, vmo: zx_handle_t, op: u32, offset: u64, size: u64) -> Result<(), Status> {
    kernel.vmo_op_range(vmo, op, offset, size, UserSlice::from(&mut [][..]))
}

/// COMMIT of nothing in the middle of a page was rounded to the whole page, and committed it. A range without bytes has no
/// pages (vmo.md §7: zero length is OK, and every page *of the range* is committed).
#[test]
fn committing_nothing_commits_nothing() {
    let kernel = kernel();
    let vmo = vmo(&kernel, 4 * PAGE, 0);
    op_range(&kernel, vmo, ZX_VMO_OP_COMMIT, PAGE + 100, 0).unwrap();
    let info: zx_info_vmo_t = record(&kernel, vmo, ZX_INFO_VMO).unwrap();
    assert_eq!((info.committed_bytes, info.metadata_bytes), (0, 0));
}

/// COMMIT of an unbounded VMO made a description of each of its 2^24 parts, for minutes and with gigabytes of memory,
/// before it found that the first part alone was too much.
#[test]
fn a_commit_that_is_far_too_large_is_refused_at_once() {
    let kernel = kernel();
    let vmo = vmo(&kernel, 0, ZX_VMO_UNBOUNDED);
    assert_eq!(op_range(&kernel, vmo, ZX_VMO_OP_COMMIT, 0, 1 << 52), Err(Status::NO_MEMORY));
    let info: zx_info_vmo_t = record(&kernel, vmo, ZX_INFO_VMO).unwrap();
    assert_eq!(info.committed_bytes, 0);
    assert!(info.metadata_bytes < 64 << 10, "{} bytes to describe nothing", info.metadata_bytes);
}

/// COMMIT through a VMAR goes step by step, and each step was small enough for the machine: it went on until the system's
/// out-of-memory killer came. The whole is refused at once, as for the VMO itself (CAVEATS).
#[test]
fn a_commit_of_more_than_the_machine_has_is_refused_through_a_mapping_too() {
    let sim = Arc::new(SimHost::new(SimConfig { memory_pages_max: 100, ..SimConfig::default() }));
    let kernel = Kernel::new(sim.clone(), Config { root_len: 64 << 20, seed: 1 }).unwrap();
    let vmo = vmo(&kernel, 200 * PAGE, 0);
    let mut addr = 0;
    let options = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
    let len = 200 * PAGE as usize;
    kernel.vmar_map(kernel.vmar_root_self(), options, 0, vmo, 0, len, &mut addr).unwrap();
    let commit = |len| kernel.vmar_op_range(kernel.vmar_root_self(), ZX_VMAR_OP_COMMIT, addr, len, 0, 0);
    assert_eq!((commit(len), sim.memory_pages()), (Err(Status::NO_MEMORY), 0));
    assert_eq!((commit(len / 2), sim.memory_pages()), (Ok(()), 100));
}

/// Every region inside another cost a frame of stack in every walk; with tens of thousands the process died in one.
#[test]
fn regions_nest_only_so_deep_that_every_walk_gets_back() {
    let kernel = kernel();
    let mut parent = kernel.vmar_root_self();
    let top = loop {
        let (mut child, mut addr) = (ZX_HANDLE_INVALID, 0);
        match kernel.vmar_allocate(parent, ZX_VM_CAN_MAP_READ, 0, PAGE as usize, &mut child, &mut addr) {
            Ok(()) => parent = child,
            Err(status) => break status,
        }
        assert!(addr != 0);
    };
    assert_eq!(top, Status::NO_RESOURCES);
    kernel.audit();
}

/// A pager, a VMO of its, and the port where it is asked.
fn paged(kernel: &Kernel, pages: u64, options: u32) -> [zx_handle_t; 3] {
    let (mut pager, mut port, mut vmo) = (ZX_HANDLE_INVALID, ZX_HANDLE_INVALID, ZX_HANDLE_INVALID);
    kernel.pager_create(0, &mut pager).unwrap();
    kernel.port_create(0, &mut port).unwrap();
    kernel.pager_create_vmo(pager, options, port, 7, pages * PAGE, &mut vmo).unwrap();
    [pager, vmo, port]
}

/// Returns when something is asked.
fn wait_for_request(kernel: &Kernel, port: zx_handle_t) {
    kernel.port_wait(port, ZX_TIME_INFINITE, &mut zx_port_packet_t::default()).unwrap();
}

/// A read of two pages waits when the VMO shrinks to one: the request for both is still there, and the audit thought that
/// it asked for what is past the end.
#[test]
fn a_request_may_have_asked_for_what_was_cut_off_since() {
    let kernel = Arc::new(kernel());
    let [pager, vmo, port] = paged(&kernel, 2, ZX_VMO_RESIZABLE);
    let reader = std::thread::spawn({
        let kernel = kernel.clone();
        move || kernel.vmo_read(vmo, UserSlice::from(&mut [0; 2 * PAGE as usize][..]), 0)
    });
    wait_for_request(&kernel, port);
    kernel.vmo_set_size(vmo, PAGE).unwrap();
    kernel.audit();
    let aux = self::vmo(&kernel, PAGE, 0);
    kernel.pager_supply_pages(pager, vmo, 0, PAGE, aux, 0).unwrap();
    assert_eq!(reader.join().unwrap(), Err(Status::OUT_OF_RANGE));
    kernel.audit();
}

/// ZERO of a part of a page that its pager then supplies as zero made the page dirty: it reads as zero already, so there is
/// nothing to write (pager.md §2), and nothing for which TRAP_DIRTY would have the pager asked.
#[test]
fn a_part_of_a_page_that_comes_as_zero_is_not_written() {
    for options in [0, ZX_VMO_TRAP_DIRTY] {
        let kernel = Arc::new(kernel());
        let [pager, vmo, port] = paged(&kernel, 1, options);
        let zero = std::thread::spawn({
            let kernel = kernel.clone();
            move || op_range(&kernel, vmo, ZX_VMO_OP_ZERO, 10, 20)
        });
        wait_for_request(&kernel, port);
        let aux = self::vmo(&kernel, PAGE, 0);
        kernel.pager_supply_pages(pager, vmo, 0, PAGE, aux, 0).unwrap();
        zero.join().unwrap().unwrap();
        let info: zx_info_vmo_t = record(&kernel, vmo, ZX_INFO_VMO).unwrap();
        assert_eq!(info.committed_bytes, 0);
        let mut avail = 1;
        let nowhere = UserSlice::from(&mut [][..]);
        kernel.pager_query_dirty_ranges(pager, vmo, 0, PAGE, nowhere, None::<&mut usize>, &mut avail).unwrap();
        assert_eq!(avail, 0);
    }
}

/// A pager VMO let itself be made uncached, and then could not be read (vmo.md §8, check 4).
#[test]
fn a_pager_vmo_is_always_cached() {
    let kernel = kernel();
    let [_, vmo, _] = paged(&kernel, 1, 0);
    assert_eq!(kernel.vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED), Err(Status::BAD_STATE));
    assert_eq!(kernel.vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_CACHED), Ok(()));
}
