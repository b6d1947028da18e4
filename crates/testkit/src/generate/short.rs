//! Steps when memory is short, and runs in which there is a budget.
//!
//! In a budget pages go in the middle of steps. So that it is known what became of the pages a step is about, a step that may need
//! room or a pager is about one page, and a supply is about pages none of which may go.

use zxvm_types::*;

use super::{Generator, vmo_behind};
use crate::PAGE;
use crate::model::reclaim::BUDGET_MIN;
use crate::model::source::State;
use crate::model::{Kind, Model, ObjectId};
use crate::op::{Buffer, Lost, Op, OpRange, PagerRange, Supply};

/// The largest budget of a run, in pages.
const BUDGET_MAX: u64 = 128;
/// So many steps in a row what is dirty is left so, most often, and as many it is saved.
const SEASON: u64 = 400;
/// Fewer VMOs of pagers than this, and the next steps make some.
const FEW: usize = 4;
/// The most pages supplied at once.
const SUPPLY_MAX: u64 = 8;

impl Generator {
    /// Memory is short.
    pub(super) fn memory_step(&mut self) -> Op {
        match self.rng.u32(0..10) {
            0..4 => Op::Reclaim { pages: self.some_pages() },
            4..7 => Op::AgePass,
            _ if self.in_budget => self.budget(),
            _ => {
                let (passes, last) = (self.rng.u32(0..4), self.one_in(3));
                Op::ReclaimAged { pages: self.some_pages(), passes, last }
            }
        }
    }

    fn some_pages(&mut self) -> u64 {
        match self.rng.u32(0..4) {
            0 if !self.in_budget => 1000,
            0 | 1 => self.rng.u64(0..3),
            _ => self.rng.u64(0..20),
        }
    }

    /// A new budget.
    fn budget(&mut self) -> Op {
        let pages = match self.rng.u32(0..12) {
            0 => self.rng.u64(0..BUDGET_MIN),
            1 => return Op::SetBudget { pages: None },
            2..8 => BUDGET_MIN,
            _ => self.rng.u64(BUDGET_MIN..=BUDGET_MAX),
        };
        Op::SetBudget { pages: Some(pages) }
    }

    /// Steps of a run with a budget that others have not: they bring pages in, and make them dirty.
    pub(super) fn fill_budget(&mut self, model: &Model) -> Op {
        if model.budget().is_none() {
            return Op::SetBudget { pages: Some(BUDGET_MIN) };
        }
        let all = self.all_managed(model);
        let count = |suits: fn(&Kind) -> bool| model.objects().filter(|(_, object)| suits(&object.kind)).count();
        if all.len() < FEW {
            return match () {
                () if count(|kind| matches!(kind, Kind::Pager)) == 0 => {
                    Op::PagerCreate { options: 0, lost: Lost::Nothing }
                }
                () if count(|kind| matches!(kind, Kind::Port(_))) == 0 => {
                    Op::PortCreate { options: 0, lost: Lost::Nothing }
                }
                () => self.pager_create_vmo(model),
            };
        }
        let Some(managed) = self.rng.choice(&all).copied() else { return self.pager_step(model) };
        let pages = model.size(managed.id) / PAGE;
        if pages == 0 {
            return self.pager_step(model);
        }
        let first = self.rng.u64(0..pages);
        let state = managed.source.at(first);
        let run = managed.source.run(first, pages.min(first + SUPPLY_MAX), |other| other == state);
        let (offset, len) = (first * PAGE, (run - first) * PAGE);
        let (pager, vmo) = (managed.pager, managed.vmo);
        match state {
            State::Absent => {
                let op = self.supply(model, pager, vmo, offset, len);
                let Op::PagerSupplyPages(Supply { aux, aux_offset, .. }) = op else { return op };
                match vmo_behind(model, aux).filter(|&id| model.size(id) >= aux_offset.saturating_add(len)) {
                    // What has no data brings no pages.
                    Some(id) if !model.is_paged(id) && model.page(id, aux_offset).is_none() => {
                        let (buffer, fill) = (Buffer::Own, self.rng.u8(..));
                        Op::VmoWrite { vmo: aux, buffer, fill, offset: aux_offset, len: len as usize }
                    }
                    Some(_) | None => op,
                }
            }
            State::Clean | State::AwaitingClean if managed.source.trap_dirty => {
                Op::PagerOpRange(PagerRange { pager, op: ZX_PAGER_OP_DIRTY, vmo, offset, len, data: 0 })
            }
            State::Clean | State::AwaitingClean | State::Dirty => {
                Op::VmoWrite { vmo, buffer: Buffer::Own, fill: self.rng.u8(..), offset, len: len as usize }
            }
            State::CleanZero | State::DirtyZero => {
                Op::VmoOpRange { vmo, op: ZX_VMO_OP_COMMIT, offset, size: PAGE, buffer_size: 0 }
            }
        }
    }

    /// Somebody waits for room: something is saved, or zero, or there may be more.
    pub(super) fn make_room(&mut self, model: &Model) -> Op {
        let all = self.all_managed(model);
        let is_held = |state| matches!(state, State::Dirty | State::AwaitingClean);
        let holds = |id: ObjectId| {
            let source = model.content(id).source.as_ref().expect("a root");
            source.known(0..u64::MAX).into_iter().any(|(_, state)| is_held(state))
        };
        let all: Vec<_> = all.into_iter().filter(|managed| holds(managed.id)).collect();
        let managed = match self.rng.choice(&all) {
            Some(managed) if self.waits < 60 => *managed,
            Some(_) | None => return Op::SetBudget { pages: None },
        };
        let (pager, vmo, len) = (managed.pager, managed.vmo, model.size(managed.id));
        let op = match self.rng.u32(0..8) {
            0 => return self.budget(),
            1 => {
                let (offset, size) = (self.rng.u64(0..=len / PAGE) * PAGE, PAGE.min(len));
                return Op::VmoOpRange { vmo, op: ZX_VMO_OP_ZERO, offset, size, buffer_size: 0 };
            }
            2..5 => ZX_PAGER_OP_WRITEBACK_BEGIN,
            _ => ZX_PAGER_OP_WRITEBACK_END,
        };
        let (offset, len) = if self.rng.bool() { (0, len) } else { (self.rng.u64(0..len / PAGE) * PAGE, PAGE) };
        Op::PagerOpRange(PagerRange { pager, op, vmo, offset, len, data: 0 })
    }

    /// Steps of which it would not be known what becomes of their pages become others.
    pub(super) fn tame_in_budget(&mut self, model: &Model, op: Op) -> Op {
        self.steps += 1;
        let saves = self.steps / SEASON % 2 == 1 || model.is_starving();
        let unready = |id: ObjectId, offset: u64, len: u64| {
            let end = offset.saturating_add(len).min(model.size(id));
            (offset / PAGE * PAGE..end).step_by(PAGE as usize).any(|at| !model.is_ready(id, at))
        };
        let fits = |vmo: zx_handle_t, offset: u64, len: u64| match vmo_behind(model, vmo) {
            Some(id) if model.is_paged(id) && unready(id, offset, len) => len.min(PAGE - offset % PAGE),
            Some(_) | None => len,
        };
        match op {
            Op::VmoRead { vmo, buffer, offset, len } => {
                Op::VmoRead { vmo, buffer, offset, len: fits(vmo, offset, len as u64) as usize }
            }
            Op::VmoWrite { vmo, buffer, fill, offset, len } => {
                Op::VmoWrite { vmo, buffer, fill, offset, len: fits(vmo, offset, len as u64) as usize }
            }
            Op::VmoOpRange { vmo, op, offset, size, buffer_size } => match op {
                ZX_VMO_OP_COMMIT | ZX_VMO_OP_ALWAYS_NEED | ZX_VMO_OP_PREFETCH => {
                    Op::VmoOpRange { vmo, op, offset, size: fits(vmo, offset, size), buffer_size }
                }
                _ => Op::VmoOpRange { vmo, op, offset, size, buffer_size },
            },
            Op::VmarOpRange(args) => match args.op {
                ZX_VMAR_OP_COMMIT | ZX_VMAR_OP_ALWAYS_NEED | ZX_VMAR_OP_PREFETCH => {
                    Op::VmarOpRange(OpRange { size: args.size.min(PAGE), ..args })
                }
                _ => Op::VmarOpRange(args),
            },
            Op::PagerSupplyPages(args) => Op::PagerSupplyPages(tame_supply(model, args)),
            Op::PagerOpRange(args) if args.op == ZX_PAGER_OP_DIRTY => {
                let Some(id) = vmo_behind(model, args.vmo) else { return Op::PagerOpRange(args) };
                let len = if has_zero(model, id, args.offset, args.len) { PAGE.min(args.len) } else { args.len };
                Op::PagerOpRange(PagerRange { len, ..args })
            }
            // What is dirty is to stay, so that there is much of it.
            Op::PagerOpRange(PagerRange { op: ZX_PAGER_OP_WRITEBACK_BEGIN, .. }) | Op::PagerDetachVmo { .. }
                if !saves && !self.one_in(8) =>
            {
                Op::AgePass
            }
            op => op,
        }
    }
}

/// Whether there is a zero page in the range of a root. Of others nothing is known.
fn has_zero(model: &Model, id: ObjectId, offset: u64, len: u64) -> bool {
    let Some(source) = &model.content(id).source else { return true };
    let end = offset.saturating_add(len).min(model.size(id));
    (offset / PAGE..end / PAGE).any(|page| source.at(page).is_zero())
}

/// The first pages of what is supplied none of which may go.
fn tame_supply(model: &Model, args: Supply) -> Supply {
    let source = vmo_behind(model, args.vmo).and_then(|id| model.content(id).source.as_ref());
    let Some(source) = source else { return args };
    let pages = args.len / PAGE;
    if pages == 0 || !args.len.is_multiple_of(PAGE) || args.offset.checked_add(args.len).is_none() {
        return args;
    }
    let may_go = |at: &u64| source.is_takeable(args.offset / PAGE + at);
    let skipped = (0..pages.min(64)).find(|at| !may_go(at)).unwrap_or(pages);
    let count = (skipped..pages.min(skipped + SUPPLY_MAX)).find(may_go).unwrap_or(pages.min(skipped + SUPPLY_MAX));
    let len = count.saturating_sub(skipped) * PAGE;
    let aux_offset = args.aux_offset.wrapping_add(skipped * PAGE);
    Supply { offset: args.offset + skipped * PAGE, aux_offset, len, ..args }
}
