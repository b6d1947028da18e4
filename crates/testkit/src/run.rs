//! A run: engine and model side by side, step after step.
//!
//! 1. After every step the outcomes are equal, the engine's audit passes, as many pages of memory are in use as the model
//!    has frames, and one VMO, chosen at random, is the same on both sides down to the byte. At every sixteenth step
//!    everything is.
//! 2. When a run fails, it prints its seed, the number of the step and the steps that led there.
//! 3. At the end everything is closed, and what was used is given back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use zerocopy::IntoBytes;
use zxvm_host::AddrRange;
use zxvm_host::linux::install_fault_recovery;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::UserSlice;
use zxvm_types::*;

use crate::PAGE;
use crate::cpu::Cpu;
use crate::engine;
use crate::generate::Generator;
use crate::helper::Helper;
use crate::model::wait::Resumed;
use crate::model::{Kind, Model, ObjectId};
use crate::op::{Buffer, Op, Outcome, QueryDirty};

/// Bytes in the root VMAR of a run: small, so that things meet.
pub const ROOT_LEN: u64 = 64 << 20;

/// How many steps a failed run shows.
const SHOWN: usize = 60;

/// The seed of a run: what `ZXVM_MODEL_SEED` says, else `default`.
///
/// # Panics
/// If the variable is not a number.
pub fn seed_or(default: u64) -> u64 {
    variable("ZXVM_MODEL_SEED").unwrap_or(default)
}

/// The length of a run: what `ZXVM_MODEL_STEPS` says, else `default`.
///
/// # Panics
/// If the variable is not a number.
pub fn steps_or(default: u64) -> u64 {
    variable("ZXVM_MODEL_STEPS").unwrap_or(default)
}

/// A seed that is different every time.
pub fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

/// Tells how to repeat a run that panics.
struct Story {
    seed: u64,
    step: u64,
    past: VecDeque<(Op, Outcome)>,
    now: Option<Op>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (index, (op, outcome)) in self.past.iter().enumerate() {
            let step = self.step - (self.past.len() - index) as u64;
            eprintln!("step {step}: {op:x?} -> {:?} {:x?} {:x?}", outcome.status, outcome.made, outcome.numbers);
        }
        eprintln!("failed at seed {}, step {}: {:x?}", self.seed, self.step, self.now);
    }
}

/// How often which call ended how.
pub type Tally = BTreeMap<(&'static str, Status), u64>;

/// Does `steps` steps on a fresh engine, and closes everything.
///
/// # Panics
/// Where engine and model differ.
pub fn run(kernel: &Arc<Kernel>, cpu: &Arc<dyn Cpu>, seed: u64, steps: u64) -> Tally {
    run_within(kernel, cpu, seed, steps, None)
}

/// [`run`] with a budget of so many pages over what pagers provide, which moves up and down.
///
/// # Panics
/// Where engine and model differ.
pub fn run_in_budget(kernel: &Arc<Kernel>, cpu: &Arc<dyn Cpu>, seed: u64, steps: u64, pages: u64) -> Tally {
    run_within(kernel, cpu, seed, steps, Some(pages))
}

fn run_within(kernel: &Arc<Kernel>, cpu: &Arc<dyn Cpu>, seed: u64, steps: u64, budget: Option<u64>) -> Tally {
    let mut pair = Pair::new(kernel, &**cpu);
    pair.wait_with(Helper::new(kernel.clone(), cpu.clone()));
    let mut generator = Generator::new(seed, cpu.is_real());
    if let Some(pages) = budget {
        generator.keep_to_budget();
        pair.keep_to_budget(pages);
    }
    let mut tally = Tally::new();
    let mut story = Story { seed, step: 0, past: VecDeque::new(), now: None };
    for step in 0..steps {
        story.step = step;
        let op = generator.next(&pair.model);
        story.now = Some(op.clone());
        let outcomes = pair.act(&op);
        kernel.audit();
        for (op, outcome) in &outcomes {
            pair.settle(op, outcome.status);
        }
        // Asking Linux takes longer than most steps.
        if !cpu.is_real() || step.is_multiple_of(16) {
            pair.compare_memory();
        }
        // In a budget they may be dropped again at once.
        for (op, outcome) in outcomes.iter().filter(|_| budget.is_none()) {
            pair.compare_entries(op, outcome);
        }
        match step % 16 {
            15 => pair.compare_all(),
            _ => pair.compare_some(step),
        }
        if outcomes.is_empty() {
            story.past.push_back((op, Outcome { status: Status::SHOULD_WAIT, ..Outcome::default() }));
        }
        for (op, outcome) in outcomes {
            *tally.entry((op.name(), outcome.status)).or_default() += 1;
            story.past.push_back((op, outcome));
        }
        while story.past.len() > SHOWN {
            story.past.pop_front();
        }
    }
    story.now = None;
    pair.end_wait();
    pair.close_all();
    kernel.audit();
    tally
}

/// Engine and model.
#[derive(Debug)]
pub struct Pair<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) cpu: &'a dyn Cpu,
    pub(crate) model: Model,
    pub(crate) helper: Option<Helper>,
    /// The step that waits.
    pub(crate) waiting: Option<Op>,
    /// Whether there is a budget, so that pages may go at any step.
    pub(crate) in_budget: bool,
}

impl<'a> Pair<'a> {
    /// A fresh engine with a model of its own.
    pub fn new(kernel: &'a Kernel, cpu: &'a dyn Cpu) -> Self {
        // Some buffers are not there.
        install_fault_recovery();
        Self { kernel, cpu, model: Model::new(engine::birth(kernel)), helper: None, waiting: None, in_budget: false }
    }

    /// The model, as it is now.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// From now on calls may wait: `helper` makes those that may.
    pub fn wait_with(&mut self, helper: Helper) {
        self.helper = Some(helper);
        if self.cpu.is_real() {
            self.model.let_accesses_wait();
        }
    }

    /// Does the step on both sides, and looks what becomes of the step that waits. Returns what is over, with the outcomes.
    ///
    /// # Panics
    /// Where the outcomes differ, or one side waits and the other does not.
    pub fn act(&mut self, op: &Op) -> Vec<(Op, Outcome)> {
        if self.in_budget {
            return self.act_in_budget(op);
        }
        let mut over = Vec::new();
        if self.waiting.is_none() && self.may_wait(op) {
            self.helper.as_mut().expect("one that waits").begin(op);
            let expected = self.model.begin(op);
            self.waiting = Some(op.clone());
            over.extend(self.look(expected));
            return over;
        }
        let outcome = self.step(op);
        over.push((op.clone(), outcome));
        if self.waiting.is_some() {
            match self.model.resume() {
                Resumed::Untouched => {}
                Resumed::WaitsAgain => over.extend(self.look(None)),
                Resumed::Over(outcome) => over.extend(self.look(Some(outcome))),
            }
        }
        over
    }

    /// Whether the step may have to wait for a pager.
    pub(crate) fn may_wait(&self, op: &Op) -> bool {
        let paged = |value: zx_handle_t| {
            let found = self.model.handles().find(|&(other, _)| other == value);
            found.is_some_and(|(_, handle)| {
                let is_vmo = matches!(self.model.object(handle.object).kind, Kind::Vmo(_));
                is_vmo && self.model.is_paged(handle.object)
            })
        };
        match *op {
            Op::VmoRead { vmo, .. }
            | Op::VmoWrite { vmo, .. }
            | Op::VmoSetSize { vmo, .. }
            | Op::VmoSetStreamSize { vmo, .. }
            | Op::VmoOpRange { vmo, .. } => paged(vmo),
            Op::ObjectSetProperty { handle, .. } => paged(handle),
            Op::VmarOpRange(_) => self.model.vmos().any(|(id, _)| self.model.is_paged(id)),
            Op::Load { addr } | Op::Store { addr, .. } => self.cpu.is_real() && self.model.is_paged_at(addr),
            _ => false,
        }
    }

    /// The step that waits has been woken, or has just begun.
    fn look(&mut self, expected: Option<Outcome>) -> Vec<(Op, Outcome)> {
        let helper = self.helper.as_ref().expect("it waits in there");
        let op = self.waiting.clone().expect("one that waits");
        if let Some(expected) = expected {
            self.waiting = None;
            let got = helper.outcome();
            compare(&op, &got, &expected);
            return vec![(op, got)];
        }
        if !matches!(op, Op::Load { .. } | Op::Store { .. }) {
            helper.sleeps();
            return Vec::new();
        }
        // Whoever serves faults needs a moment to ask, and nothing but the packet tells that it has.
        let mut over = Vec::new();
        while let Some(port) = self.model.port_of_waiting() {
            let wait = Op::PortWait { port, comes: true };
            let outcome = self.step(&wait);
            over.push((wait, outcome));
        }
        over
    }

    /// Whatever waits is over at the end: nobody is left to provide.
    ///
    /// # Panics
    /// If it is not.
    pub fn end_wait(&mut self) {
        if self.in_budget {
            // Who waits for room would do so for ever.
            self.act(&Op::SetBudget { pages: None });
        }
        while self.waiting.is_some() {
            let pager =
                self.model.handles().find(|(_, handle)| matches!(self.model.object(handle.object).kind, Kind::Pager));
            let (handle, _) = pager.expect("nothing waits without a pager");
            self.act(&Op::HandleClose { handle });
        }
        self.helper = None;
    }

    /// Does the step on both sides.
    ///
    /// # Panics
    /// Where the outcomes differ.
    pub fn step(&mut self, op: &Op) -> Outcome {
        let before = op.takes_pages().then(|| engine::seen(self.kernel));
        let got = engine::apply(self.kernel, self.cpu, op);
        if let Some(before) = before {
            self.model.show(&before, engine::seen(self.kernel));
        }
        let expected = self.model.apply(op, &got);
        compare(op, &got, &expected);
        got
    }
}

/// Engine and model say the same.
pub(crate) fn compare(op: &Op, got: &Outcome, expected: &Outcome) {
    if got != expected {
        let at = got.bytes.iter().zip(&expected.bytes).position(|(a, b)| a != b);
        let about = |outcome: &Outcome| {
            let from = at.unwrap_or(0) / 16 * 16;
            let near = &outcome.bytes[from..outcome.bytes.len().min(from + 48)];
            format!("{:?} {:x?} {:x?} {near:x?}", outcome.status, outcome.made, outcome.numbers)
        };
        panic!("{op:x?}\nbytes differ from {at:?} on\n engine {}\n model  {}", about(got), about(expected));
    }
}

impl Pair<'_> {
    /// Takes over what a call that failed half way has committed. A write whose buffer faults may have committed the page
    /// that it was about to fill: the specification leaves it open, and Linux versions differ. A COMMIT that runs out of
    /// memory keeps what it has, lowest pages first.
    fn settle(&mut self, op: &Op, status: Status) {
        let (handle, offset, pages_max) = match *op {
            Op::VmoWrite { vmo, buffer: Buffer::Null | Buffer::At(_), offset, .. } => (vmo, offset, 1),
            Op::VmoOpRange { vmo, op: ZX_VMO_OP_COMMIT, offset, .. } if status == Status::NO_MEMORY => {
                (vmo, offset, u64::MAX)
            }
            _ => return,
        };
        if status == Status::OK {
            return;
        }
        let Some((_, found)) = self.model.handles().find(|&(value, _)| value == handle) else { return };
        if !matches!(self.model.object(found.object).kind, Kind::Vmo(_)) {
            return;
        }
        // The generator sees to it that there is one who answers for the pages.
        let owner = self.model.owner(found.object);
        let Some(&(owner, handle)) = self.vmos().iter().find(|&&(id, _)| Some(id) == owner) else { return };
        let info: zx_info_vmo_t = engine::record(self.kernel, handle, ZX_INFO_VMO).expect("a VMO's record");
        let mut at = offset;
        for _ in 0..pages_max {
            let known = self.model.attribution(owner, 0, u64::MAX);
            let same = (known.committed, known.private) == (info.committed_bytes, info.committed_private_bytes);
            if same || at >= self.model.size(found.object) {
                break;
            }
            self.model.adopt_commit(found.object, at);
            at += PAGE;
        }
    }

    /// An operation that makes page-table entries has made them.
    fn compare_entries(&self, op: &Op, outcome: &Outcome) {
        let (addr, len) = match op {
            Op::VmarOpRange(args) => match args.op {
                ZX_VMAR_OP_COMMIT | ZX_VMAR_OP_MAP_RANGE | ZX_VMAR_OP_ALWAYS_NEED | ZX_VMAR_OP_PREFETCH => {
                    (args.addr, args.size)
                }
                _ => return,
            },
            Op::VmarMap(args) if args.options & ZX_VM_MAP_RANGE != 0 => (outcome.numbers[0], args.len),
            _ => return,
        };
        if outcome.status != Status::OK {
            return;
        }
        let len = len.next_multiple_of(PAGE);
        let range = AddrRange::from_bounds(addr, addr + len);
        let mut absent = Vec::new();
        self.kernel.host().absent_runs(range, &mut |run| absent.push(run)).expect("reading the page tables");
        for page in self.model.entered(&(addr..addr + len)) {
            let missing = absent.iter().any(|run| (run.start()..run.end()).contains(&page));
            assert!(!missing, "no page-table entry for the committed page at {page:#x}");
        }
    }

    /// Not a page of memory more than the contents need, nor less.
    ///
    /// # Panics
    /// If it is not so.
    pub fn compare_memory(&self) {
        assert_eq!(self.cpu.memory_pages(), self.model.frames(), "pages of memory in use");
    }

    fn compare_some(&mut self, step: u64) {
        let vmos = self.vmos();
        if let Some(&(id, handle)) = vmos.get(step as usize % vmos.len().max(1)) {
            self.compare_vmo(id, handle);
        }
    }

    /// Every VMO, and the whole address space.
    ///
    /// # Panics
    /// Where they differ.
    pub fn compare_all(&mut self) {
        for (id, handle) in self.vmos() {
            self.compare_vmo(id, handle);
        }
        self.model.compare_seen(&engine::seen(self.kernel));
        self.step(&Op::ObjectGetInfo {
            handle: self.kernel.process_self(),
            topic: ZX_INFO_PROCESS_MAPS,
            len: 200 * size_of::<zx_info_maps_t>(),
        });
    }

    /// Every VMO that has a handle, with one.
    fn vmos(&self) -> Vec<(ObjectId, zx_handle_t)> {
        let mut vmos: Vec<_> = self
            .model
            .handles()
            .filter(|(_, handle)| matches!(self.model.object(handle.object).kind, Kind::Vmo(_)))
            .map(|(value, handle)| (handle.object, value))
            .collect();
        vmos.sort_unstable();
        vmos.dedup_by_key(|(id, _)| *id);
        vmos
    }

    fn compare_vmo(&mut self, id: ObjectId, handle: zx_handle_t) {
        let len = size_of::<zx_info_vmo_t>();
        self.step(&Op::ObjectGetInfo { handle, topic: ZX_INFO_VMO, len });
        let mut offsets: Vec<_> = self.model.committed_offsets(id).collect();
        // And some that are absent, or were.
        let size = self.model.size(id);
        offsets.extend((0..size.min(10 * PAGE)).step_by(PAGE as usize));
        offsets.extend(size.checked_sub(PAGE));
        // What a pager would have to be asked for is not looked at.
        offsets.retain(|&offset| !self.model.is_absent(id, offset));
        self.compare_dirty(id);
        let mut bytes = [0; PAGE as usize];
        for offset in offsets {
            match self.kernel.vmo_read(handle, UserSlice::from(&mut bytes[..]), offset) {
                Ok(()) => {}
                // This handle does not let us look, or nothing does.
                Err(Status::ACCESS_DENIED | Status::BAD_STATE) => return,
                Err(Status::NOT_FOUND) if self.model.content(id).discarded => return,
                Err(status) => panic!("reading VMO {id:?} at {offset:#x}: {status}"),
            }
            let expected = self.model.page(id, offset).unwrap_or(&[0; PAGE as usize]);
            if bytes.as_bytes() != expected.as_bytes() {
                let at = bytes.iter().zip(expected).position(|(a, b)| a != b).expect("they differ");
                panic!(
                    "VMO {id:?} at {offset:#x} + {at:#x}: {:x?}, not {:x?}",
                    &bytes[at..][..1],
                    &expected[at..][..1]
                );
            }
        }
    }

    /// What a pager can ask about its VMO.
    fn compare_dirty(&mut self, id: ObjectId) {
        let Some((pager, vmo)) = self.model.managers(id, ZX_RIGHT_READ) else { return };
        let len = self.model.size(id);
        self.step(&Op::PagerQueryDirtyRanges(QueryDirty { pager, vmo, offset: 0, len, buffer_len: Some(64 * 24) }));
        self.step(&Op::PagerQueryVmoStats { pager, vmo, options: 0, len: Some(4) });
    }

    /// Closes and unmaps everything, and looks that nothing is left.
    ///
    /// # Panics
    /// If something is.
    pub fn close_all(&mut self) {
        let root = self.model.vmar_of(self.model.root());
        self.step(&Op::VmarUnmap { vmar: self.kernel.vmar_root_self(), addr: root.base, len: root.len });
        let born = self.model.born();
        let handles = self.model.handles().map(|(value, _)| value).filter(|value| !born.contains(value)).collect();
        self.step(&Op::HandleCloseMany { handles });
        let left: Vec<_> = self.model.objects().map(|(id, object)| (id, object.koid)).collect();
        assert_eq!(left.len(), 2, "left beside the process and the root VMAR: {left:?}");
        self.compare_all();
    }
}
