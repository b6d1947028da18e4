//! What those who watch are told, on the simulated machine.

use std::sync::{Arc, Mutex};

use zxvm_host::PAGE_SIZE;
use zxvm_host::sim::SimHost;
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

const MIB: u64 = 1 << 20;

fn kernel() -> (Arc<SimHost>, Kernel) {
    let sim = Arc::new(SimHost::default());
    sim.set_memory_left(100 * MIB);
    let kernel = Kernel::new(sim.clone(), Config { root_len: 64 << 20, seed: 3 }).unwrap();
    (sim, kernel)
}

fn vmo(kernel: &Kernel, pages: u64, name: &str) -> zx_handle_t {
    let mut handle = 0;
    kernel.vmo_create(pages * PAGE_SIZE, 0, &mut handle).unwrap();
    kernel.object_set_property(handle, ZX_PROP_NAME, name.as_bytes().into()).unwrap();
    handle
}

fn map(kernel: &Kernel, vmar: zx_handle_t, vmo: zx_handle_t, offset: u64, pages: u64) -> u64 {
    let (access, mut addr) = (ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0);
    kernel.vmar_map(vmar, access, 0, vmo, offset, (pages * PAGE_SIZE) as usize, &mut addr).unwrap();
    addr as u64
}

#[track_caller]
fn has(report: &str, part: &str) {
    assert!(report.contains(part), "{part} is not in\n{report}");
}

#[test]
fn every_vmo_is_told_of_once_whoever_leads_to_it() {
    let (_, kernel) = kernel();
    let big = vmo(&kernel, 8, "big");
    kernel.vmo_op_range(big, ZX_VMO_OP_COMMIT, 0, 5 * PAGE_SIZE, (&mut [0_u8; 0][..]).into()).unwrap();
    map(&kernel, kernel.vmar_root_self(), big, 0, 8);
    // No handle leads to this one any more.
    let hidden = vmo(&kernel, 4, "hidden");
    kernel.vmo_op_range(hidden, ZX_VMO_OP_COMMIT, 0, 3 * PAGE_SIZE, (&mut [0_u8; 0][..]).into()).unwrap();
    let at = map(&kernel, kernel.vmar_root_self(), hidden, PAGE_SIZE, 3);
    kernel.handle_close(hidden).unwrap();
    let mut slice = 0;
    kernel.vmo_create_child(big, ZX_VMO_CHILD_SLICE, 0, 2 * PAGE_SIZE, &mut slice).unwrap();

    let report = kernel.top_report();
    assert_eq!(report.matches('\n').count(), 1);
    has(
        &report,
        r#""name":"big","kind":"plain","size":32768,"committed":20480,"dirty":0,"pager_backed":false,"parent":null,"children":1,"mappings":1,"handles":1}"#,
    );
    has(
        &report,
        r#""name":"hidden","kind":"plain","size":16384,"committed":12288,"dirty":0,"pager_backed":false,"parent":null,"children":0,"mappings":1,"handles":0}"#,
    );
    has(&report, r#""kind":"slice","size":8192,"committed":0,"dirty":0"#);
    has(&report, &format!(r#""base":{at},"size":12288,"koid""#));
    has(&report, r#""name":"hidden","prot":"rw-","offset":4096,"committed":8192}"#);
    assert_eq!(report.matches(r#""mappings":"#).count(), 3);
    // The most committed first.
    let vmos = report.find(r#""vmos""#).unwrap();
    let place = |name: &str| report[vmos..].find(name).unwrap();
    assert!(place("big") < place("hidden") && place("hidden") < place("slice"));
    has(&report, r#""vmos_left_out":0,"maps":["#);

    // Nothing of a report keeps anything alive.
    kernel.vmar_unmap(kernel.vmar_root_self(), at as usize, 3 * PAGE_SIZE as usize).unwrap();
    assert!(!kernel.top_report().contains("hidden"));
    kernel.audit();
}

#[test]
fn the_tree_has_the_koids_of_regions_that_handles_lead_to() {
    let (_, kernel) = kernel();
    let (mut outer, mut inner, mut at) = (0, 0, 0);
    let flags = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE;
    let root = kernel.vmar_root_self();
    kernel.vmar_allocate(root, flags, 0, 16 * PAGE_SIZE as usize, &mut outer, &mut at).unwrap();
    // As large as the one around it: both begin at the same place.
    kernel.vmar_allocate(outer, flags, 0, 16 * PAGE_SIZE as usize, &mut inner, &mut at).unwrap();
    let both = kernel.top_report();
    let regions = |depth: u32, koid: &str| {
        format!(r#""kind":"vmar","depth":{depth},"base":{at},"size":65536,"koid":{koid},"name":"useralloc"}}"#)
    };
    let koid_at = |depth: u32| {
        let start = regions(depth, "");
        let start = &start[..start.find(r#","name""#).unwrap()];
        let digits = &both[both.find(start).unwrap() + start.len()..];
        digits[..digits.find(',').unwrap()].to_owned()
    };
    let koids = [1, 2].map(koid_at);
    assert!(koids[0].parse::<u64>().unwrap() < koids[1].parse::<u64>().unwrap(), "{koids:?}");
    kernel.handle_close(outer).unwrap();
    let report = kernel.top_report();
    has(&report, &regions(1, "null"));
    has(&report, &regions(2, &koids[1]));
    has(&report, r#""kind":"vmar","depth":0,"#);
}

#[test]
fn pressure_is_told_and_not_watched_for_it() {
    let (sim, kernel) = kernel();
    has(&kernel.top_report(), r#""pressure":{"level":"critical","left":104857600,"total":"#);
    assert!(sim.next_look().is_none());
    sim.set_memory_left(1000 * MIB);
    has(&kernel.top_report(), r#""level":"normal""#);
    // The level of those who watch is the one that is told.
    kernel.pressure_level().unwrap();
    sim.set_memory_left(100 * MIB);
    sim.set_memory_left(1000 * MIB);
    has(&kernel.top_report(), r#""level":"critical","left":1048576000"#);
}

#[test]
fn very_many_are_told_of_in_part() {
    let (_, kernel) = kernel();
    for _ in 0..5000 {
        vmo(&kernel, 1, "");
    }
    let one = vmo(&kernel, 1, "the one with a page");
    kernel.vmo_op_range(one, ZX_VMO_OP_COMMIT, 0, PAGE_SIZE, (&mut [0_u8; 0][..]).into()).unwrap();
    let report = kernel.top_report();
    has(&report, r#""vmos_left_out":905,"#);
    has(&report, "the one with a page");
    assert_eq!(report.matches(r#""mappings":"#).count(), 4096);
}

#[test]
fn reports_are_made_while_everything_changes() {
    let (_, kernel) = kernel();
    let ended = Mutex::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..300 {
                let vmo = vmo(&kernel, 1 + round % 7, "brief");
                let at = map(&kernel, kernel.vmar_root_self(), vmo, 0, 1);
                kernel.handle_close(vmo).unwrap();
                kernel.vmar_unmap(kernel.vmar_root_self(), at as usize, PAGE_SIZE as usize).unwrap();
            }
            *ended.lock().unwrap() = true;
        });
        while !*ended.lock().unwrap() {
            let report = kernel.top_report();
            assert!(report.starts_with("{\"zxvm_top\":1,") && report.ends_with("}\n"));
        }
    });
    assert!(!kernel.top_report().contains("brief"));
    kernel.audit();
}
