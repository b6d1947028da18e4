//! The life of a family of VMOs, in step with the model: it grows, its members write, and they go in any order.
//!
//! 1. After every step the memory in use is compared, and now and then everything: what each VMO holds, what it says about
//!    itself, and what the address space says.
//! 2. The scaled bytes of a family add up to the memory in use (vmo.md §3.7).

use fastrand::Rng;
use zxvm_syscall::Kernel;
use zxvm_types::*;

use crate::PAGE;
use crate::cpu::Cpu;
use crate::engine::record;
use crate::op::{Buffer, CreateChild, Lost, Map, Op, Outcome};
use crate::run::Pair;

/// Pages in each member.
const PAGES: u64 = 4;

/// Whose child the next one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The first one's.
    Wide,
    /// The last one's.
    Deep,
    /// Anyone's.
    Anyhow,
}

/// One of the family.
#[derive(Clone, Copy, Debug)]
struct Member {
    vmo: zx_handle_t,
    /// Where all of it is mapped.
    addr: Option<u64>,
}

struct Family<'a> {
    pair: Pair<'a>,
    kernel: &'a Kernel,
    cpu: &'a dyn Cpu,
    rng: Rng,
    members: Vec<Member>,
}

/// A family of one and `children` more grows on a fresh engine, and goes.
///
/// # Panics
/// Where engine and model differ, or the sums do.
pub fn live_and_die(kernel: &Kernel, cpu: &dyn Cpu, growth: Growth, children: usize, seed: u64) {
    let pair = Pair::new(kernel, cpu);
    let mut family = Family { pair, kernel, cpu, rng: Rng::with_seed(seed), members: Vec::new() };
    family.join(&Op::VmoCreate { size: PAGES * PAGE, options: 0, lost: Lost::Nothing });
    // Not all of what they see is there.
    for page in 1..PAGES {
        family.write(family.members[0].vmo, page);
    }
    for born in 1..=children {
        family.grow(growth);
        if family.rng.u32(..2) == 0 {
            family.disturb();
        }
        family.pair.compare_memory();
        if born % 200 == 0 {
            family.check();
        }
    }
    while !family.members.is_empty() {
        let index = family.rng.usize(..family.members.len());
        family.bury(index);
        family.pair.compare_memory();
        if family.members.len() % 100 == 1 {
            family.check();
        }
        if !family.members.is_empty() && family.rng.u32(..4) == 0 {
            family.disturb();
        }
    }
    family.pair.close_all();
    assert_eq!(cpu.memory_pages(), 0, "seed {seed}: memory that nobody has a use for");
}

impl Family<'_> {
    fn act(&mut self, op: &Op) -> Outcome {
        let outcome = self.pair.step(op);
        assert_eq!(outcome.status, Status::OK, "{op:?}");
        outcome
    }

    fn join(&mut self, birth: &Op) {
        let vmo = self.act(birth).made[0].0;
        let addr = (self.rng.u32(..4) == 0).then(|| {
            let map = Map {
                vmar: self.kernel.vmar_root_self(),
                options: ZX_VM_PERM_READ | ZX_VM_PERM_WRITE,
                vmar_offset: 0,
                vmo,
                vmo_offset: 0,
                len: PAGES * PAGE,
                lost: Lost::Nothing,
            };
            self.act(&Op::VmarMap(map)).numbers[0]
        });
        self.members.push(Member { vmo, addr });
    }

    fn grow(&mut self, growth: Growth) {
        let (parent, offset) = match growth {
            Growth::Wide => (0, 0),
            Growth::Deep => (self.members.len() - 1, 0),
            // At times past the parent's end.
            Growth::Anyhow => (self.rng.usize(..self.members.len()), PAGE * u64::from(self.rng.u32(..8) == 0)),
        };
        let (vmo, options) = (self.members[parent].vmo, ZX_VMO_CHILD_SNAPSHOT);
        self.join(&Op::VmoCreateChild(CreateChild { vmo, options, offset, size: PAGES * PAGE, lost: Lost::Nothing }));
    }

    fn write(&mut self, vmo: zx_handle_t, page: u64) {
        let fill = self.rng.u8(..);
        self.act(&Op::VmoWrite { vmo, buffer: Buffer::Own, fill, offset: page * PAGE, len: 16 });
    }

    /// One of the things that happen to a page.
    fn disturb(&mut self) {
        let Member { vmo, addr } = self.members[self.rng.usize(..self.members.len())];
        let page = self.rng.u64(..PAGES);
        let op = match self.rng.u32(..8) {
            0 => ZX_VMO_OP_COMMIT,
            1 => ZX_VMO_OP_ZERO,
            _ => {
                match addr {
                    Some(addr) => {
                        let byte = self.rng.u8(..);
                        self.act(&Op::Store { addr: addr + page * PAGE, byte });
                    }
                    None => self.write(vmo, page),
                }
                return;
            }
        };
        self.act(&Op::VmoOpRange { vmo, op, offset: page * PAGE, size: PAGE, buffer_size: 0 });
    }

    /// A member is closed and unmapped, in one order or the other.
    fn bury(&mut self, index: usize) {
        let Member { vmo, addr } = self.members.swap_remove(index);
        let vmar = self.kernel.vmar_root_self();
        let mut steps = vec![Op::HandleClose { handle: vmo }];
        steps.extend(addr.map(|addr| Op::VmarUnmap { vmar, addr, len: PAGES * PAGE }));
        self.rng.shuffle(&mut steps);
        for step in steps {
            self.act(&step);
        }
    }

    fn check(&mut self) {
        self.kernel.audit();
        self.pair.compare_all();
        let mut scaled = 0_u128;
        for member in &self.members {
            let info: zx_info_vmo_t = record(self.kernel, member.vmo, ZX_INFO_VMO).expect("a VMO's record");
            scaled += u128::from(info.committed_scaled_bytes) << 63;
            scaled += u128::from(info.committed_fractional_scaled_bytes);
        }
        let pages = u128::from(self.cpu.memory_pages() * PAGE) << 63;
        // Each page of each member may have lost the rest of a division, which is no larger than the family.
        assert!(scaled.abs_diff(pages) < 1 << 40, "{scaled:#x} over the family, not {pages:#x}");
    }
}
