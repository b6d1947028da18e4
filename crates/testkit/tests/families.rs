//! Families of a thousand VMOs on the simulated machine, against the model: wide ones, deep ones and those that grow anyhow.

use std::sync::Arc;

use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::PAGE;
use zxvm_testkit::family::{Growth, live_and_die};
use zxvm_testkit::op::{Buffer, CreateChild, Lost, Op, Outcome};
use zxvm_testkit::run::{Pair, ROOT_LEN};
use zxvm_types::*;

fn on_sim(growth: Growth, seed: u64) {
    let sim = Arc::new(SimHost::new(SimConfig::default()));
    let kernel = Kernel::new(sim.clone(), Config { root_len: ROOT_LEN, seed }).unwrap();
    live_and_die(&kernel, &*sim, growth, 1_000, seed);
}

#[test]
fn a_thousand_children_of_one() {
    on_sim(Growth::Wide, 1);
}

#[test]
fn a_chain_of_a_thousand() {
    on_sim(Growth::Deep, 2);
}

#[test]
fn a_thousand_of_all_generations() {
    for seed in 3..6 {
        on_sim(Growth::Anyhow, seed);
    }
}

/// Nobody is left but a slice and a reference, then the reference alone: they keep what they show, and it is nobody else's.
#[test]
fn windows_outlive_the_family() {
    const PAGES: u64 = 4;
    let sim = Arc::new(SimHost::new(SimConfig::default()));
    let kernel = Kernel::new(sim.clone(), Config { root_len: ROOT_LEN, seed: 9 }).unwrap();
    let mut pair = Pair::new(&kernel, &*sim);
    let mut act = |op: Op| -> Outcome {
        let outcome = pair.step(&op);
        assert_eq!(outcome.status, Status::OK, "{op:?}");
        pair.compare_all();
        pair.compare_memory();
        kernel.audit();
        outcome
    };
    let child = |vmo, options, offset, pages: u64| {
        Op::VmoCreateChild(CreateChild { vmo, options, offset, size: pages * PAGE, lost: Lost::Nothing })
    };
    let write = |vmo, fill, pages: u64| Op::VmoWrite {
        vmo,
        buffer: Buffer::Own,
        fill,
        offset: 0,
        len: (pages * PAGE) as usize,
    };
    let root = act(Op::VmoCreate { size: PAGES * PAGE, options: 0, lost: Lost::Nothing }).made[0].0;
    act(write(root, 1, PAGES));
    let slice = act(child(root, ZX_VMO_CHILD_SLICE, PAGE, 2)).made[0].0;
    let snapshot = act(child(root, ZX_VMO_CHILD_SNAPSHOT, 0, PAGES)).made[0].0;
    let reference = act(child(snapshot, ZX_VMO_CHILD_REFERENCE, 0, 0)).made[0].0;
    assert_eq!(sim.memory_pages(), PAGES);
    act(Op::HandleClose { handle: root });
    act(write(slice, 2, 1));
    assert_eq!(sim.memory_pages(), PAGES + 1, "the slice has copied a page that the snapshot sees too");
    act(Op::HandleClose { handle: snapshot });
    act(write(reference, 3, PAGES));
    assert_eq!(sim.memory_pages(), 2 * PAGES, "nothing is shared any more");
    act(Op::HandleClose { handle: slice });
    assert_eq!(sim.memory_pages(), PAGES);
    act(write(reference, 4, PAGES));
    act(Op::HandleClose { handle: reference });
    assert_eq!(sim.memory_pages(), 0);
}
