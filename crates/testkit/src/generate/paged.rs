//! Steps with pagers: what they are asked, what they answer, and what others do with their VMOs meanwhile.

use zxvm_types::*;

use super::{Generator, Want, mappings, vmo_behind};
use crate::PAGE;
use crate::model::source::{Kind as Asked, Request, Source, Who};
use crate::model::wait::Job;
use crate::model::{Kind, Model, ObjectId, Shape, VMO_SIZE_MAX};
use crate::op::{Buffer, CreateChild, CreatePagerVmo, Map, Op, OpRange, PagerRange, QueryDirty, Supply, Transfer};

/// Pages in a pager VMO: few enough to look at each.
const PAGES_MAX: u64 = 40;
/// More than this many pagers, ports or pager VMOs, and there are no more.
const MANY: usize = 5;
/// A call that has waited for so many steps is answered.
const PATIENCE: u32 = 8;

/// A VMO with its pager, and handles to both.
#[derive(Clone, Copy)]
pub(super) struct Managed<'m> {
    pub id: ObjectId,
    pub pager: zx_handle_t,
    pub vmo: zx_handle_t,
    pub source: &'m Source,
}

impl Generator {
    pub(super) fn pager_step(&mut self, model: &Model) -> Op {
        let count = |suits: fn(&Kind) -> bool| model.objects().filter(|(_, object)| suits(&object.kind)).count();
        let pagers = count(|kind| matches!(kind, Kind::Pager));
        let ports = count(|kind| matches!(kind, Kind::Port(_)));
        let clones = model.vmos().filter(|&(id, _)| model.is_over(id)).count();
        let vmos = model.vmos().filter(|&(id, _)| model.is_paged(id)).count() - clones;
        match self.rng.u32(0..110) {
            0..3 if pagers < MANY => Op::PagerCreate { options: u32::from(self.one_in(8)), lost: self.lost() },
            0..4 if pagers == 0 => Op::PagerCreate { options: 0, lost: self.lost() },
            4..7 if ports < MANY => {
                let options = if self.one_in(3) { self.rng.u32(0..4) } else { 0 };
                Op::PortCreate { options, lost: self.lost() }
            }
            7..15 if vmos < 3 * MANY => self.pager_create_vmo(model),
            15..21 if clones < 3 * MANY => self.clone_paged(model),
            0..24 => self.port_wait(model),
            24..26 => {
                let port = self.handle(model, Want::Port);
                Op::PortQueue { port, key: self.rng.u64(0..4), tag: self.rng.u8(..) }
            }
            26..50 => self.answer_freely(model),
            50..55 => self.query_dirty(model),
            55..59 => {
                let (pager, vmo) = self.managed_or_not(model, ZX_RIGHT_READ);
                let options = if self.one_in(8) { self.rng.u32(0..4) } else { u32::from(self.one_in(2)) };
                let len = match self.rng.u32(0..12) {
                    0 => None,
                    1 => Some(self.rng.usize(0..4)),
                    _ => Some(self.rng.usize(4..8)),
                };
                Op::PagerQueryVmoStats { pager, vmo, options, len }
            }
            59..71 => self.map_paged(model),
            71..93 => self.touch_paged(model),
            106..110 => self.memory_step(),
            _ => self.use_paged(model),
        }
    }

    /// All VMOs that a pager can be told about, with handles that work for that.
    pub(super) fn all_managed<'m>(&self, model: &'m Model) -> Vec<Managed<'m>> {
        let vmos = model.vmos();
        let managed = vmos.filter_map(|(id, _)| {
            let (pager, vmo) = model.managers(id, ZX_RIGHT_READ | ZX_RIGHT_WRITE)?;
            let source = model.content(id).source.as_ref().expect("it has a pager");
            Some(Managed { id, pager, vmo, source })
        });
        managed.collect()
    }

    fn managed<'m>(&mut self, model: &'m Model) -> Option<Managed<'m>> {
        let all = self.all_managed(model);
        // Those that wait for an answer, more often.
        let asking: Vec<_> = all.iter().filter(|managed| !managed.source.requests.is_empty()).copied().collect();
        let asking = self.rng.choice(&asking).copied().filter(|_| self.rng.bool());
        asking.or_else(|| self.rng.choice(&all).copied())
    }

    /// A handle to a pager and one to its VMO, or to others.
    fn managed_or_not(&mut self, model: &Model, _rights: u32) -> (zx_handle_t, zx_handle_t) {
        let managed = self.managed(model).map(|managed| (managed.pager, managed.vmo));
        let (mut pager, mut vmo) = managed.unwrap_or((ZX_HANDLE_INVALID, ZX_HANDLE_INVALID));
        if self.one_in(20) {
            pager = self.handle(model, Want::Pager);
        }
        if self.one_in(20) {
            vmo = if self.rng.bool() { self.paged(model) } else { self.handle(model, Want::Vmo) };
        }
        (pager, vmo)
    }

    /// A handle to a VMO that shows what a pager provides, if there is one.
    fn paged(&mut self, model: &Model) -> zx_handle_t {
        let all = model.handles().filter(|(_, h)| super::is_vmo(model, h.object) && model.is_paged(h.object));
        // Those of pairs that share frames, more often.
        let shares = |id| {
            let figures = model.attribution(id, 0, u64::MAX);
            model.is_paired(id) && figures.private < figures.committed
        };
        let sharing = all.clone().filter(|(_, handle)| shares(handle.object));
        let found = if self.one_in(6) { self.any(sharing) } else { None };
        found.or_else(|| self.any(all)).map_or(0, |(value, _)| value)
    }

    pub(super) fn pager_create_vmo(&mut self, model: &Model) -> Op {
        let (pager, port) = (self.handle(model, Want::Pager), self.handle(model, Want::Port));
        let mut options = 0;
        if self.one_in(2) {
            options |= ZX_VMO_RESIZABLE;
        }
        if self.one_in(2) {
            options |= ZX_VMO_TRAP_DIRTY;
        }
        let mut size = match self.rng.u32(0..8) {
            0 => 0,
            1..6 if self.in_budget => self.rng.u64(10..=PAGES_MAX) * PAGE,
            1..6 => self.rng.u64(1..=10) * PAGE,
            6 => self.rng.u64(0..PAGES_MAX * PAGE),
            _ => self.rng.u64(1..=PAGES_MAX) * PAGE,
        };
        match self.rng.u32(0..24) {
            0 => options |= ZX_VMO_DISCARDABLE,
            1 => options |= 1 << self.rng.u32(5..32),
            2 => size = u64::MAX - self.rng.u64(0..PAGE - 1),
            3 => size = VMO_SIZE_MAX + 1 + self.rng.u64(0..PAGE),
            _ => {}
        }
        Op::PagerCreateVmo(CreatePagerVmo { pager, options, port, key: self.rng.u64(0..6), size, lost: self.lost() })
    }

    /// A clone of what a pager provides, or of such a clone.
    fn clone_paged(&mut self, model: &Model) -> Op {
        let rights = ZX_RIGHT_DUPLICATE | ZX_RIGHT_READ;
        // Those that are clones already, more often than their share, and those with pages of their own.
        let over = self.one_in(2);
        let full = over && self.rng.bool();
        let suits = |id| {
            super::is_vmo(model, id)
                && model.is_paged(id)
                && (!over || model.is_over(id))
                && (!full || model.attribution(id, 0, u64::MAX).committed > 0)
        };
        let all = model.handles().filter(|(_, h)| h.rights & rights == rights && suits(h.object));
        let vmo = self.any(all).map_or_else(|| self.paged(model), |(value, _)| value);
        let Some(id) = vmo_behind(model, vmo) else { return self.pager_create_vmo(model) };
        let mut options = match self.rng.u32(0..6) {
            0 => ZX_VMO_CHILD_SNAPSHOT_MODIFIED,
            1..3 if model.is_over(id) => ZX_VMO_CHILD_SNAPSHOT_MODIFIED,
            3 if self.one_in(4) => ZX_VMO_CHILD_SNAPSHOT,
            _ => ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE,
        };
        if self.rng.bool() {
            options |= ZX_VMO_CHILD_RESIZABLE;
        }
        let pages = model.size(id) / PAGE;
        let first = if self.rng.bool() { 0 } else { self.rng.u64(0..=pages) };
        let left = pages - first;
        let count = match self.rng.u32(0..4) {
            0 => left,
            1 => self.rng.u64(0..=left),
            2 if model.is_slice(id) => left,
            _ => left + self.rng.u64(0..4),
        };
        Op::VmoCreateChild(CreateChild { vmo, options, offset: first * PAGE, size: count * PAGE, lost: self.lost() })
    }

    fn port_wait(&mut self, model: &Model) -> Op {
        // One with packets, if there is one.
        let full = model.handles().filter(|(_, handle)| match &model.object(handle.object).kind {
            Kind::Port(queue) => !queue.is_empty() && handle.rights & ZX_RIGHT_READ != 0,
            _ => false,
        });
        let full = self.any(full).filter(|_| !self.one_in(6)).map(|(value, _)| value);
        let port = full.unwrap_or_else(|| self.handle(model, Want::Port));
        Op::PortWait { port, comes: false }
    }

    fn query_dirty(&mut self, model: &Model) -> Op {
        let (pager, vmo) = self.managed_or_not(model, ZX_RIGHT_READ);
        let size = vmo_behind(model, vmo).map_or(PAGE, |id| model.size(id));
        let (mut offset, mut len) = (0, size);
        match self.rng.u32(0..8) {
            0 => (offset, len) = (self.rng.u64(0..=size), self.rng.u64(0..4 * PAGE)),
            1..4 => {
                offset = self.rng.u64(0..=size);
                len = self.rng.u64(0..=size - offset);
            }
            4 => len = u64::MAX - self.rng.u64(0..PAGE),
            _ => {}
        }
        let buffer_len = match self.rng.u32(0..6) {
            0 => None,
            1 => Some(self.rng.usize(0..30)),
            2 => Some(self.rng.usize(0..100)),
            _ => Some(24 * 20),
        };
        Op::PagerQueryDirtyRanges(QueryDirty { pager, vmo, offset, len, buffer_len })
    }

    fn map_paged(&mut self, model: &Model) -> Op {
        let op = self.vmar_map(model);
        let Op::VmarMap(map) = op else { return op };
        let vmo = self.paged(model);
        let Some(id) = vmo_behind(model, vmo) else { return Op::VmarMap(map) };
        let vmo_offset = if self.rng.bool() { 0 } else { self.rng.u64(0..=model.size(id) / PAGE) * PAGE };
        Op::VmarMap(Map { vmo, vmo_offset, ..map })
    }

    /// A load or a store where a pager provides.
    fn touch_paged(&mut self, model: &Model) -> Op {
        let paged = mappings(model).filter(|(_, mapping)| model.is_paged(mapping.vmo));
        let Some((child, mapping)) = self.any(paged) else { return self.map_paged(model) };
        let shown = model.size(mapping.vmo).saturating_sub(mapping.offset).min(child.len);
        let len = if shown > 0 && !self.one_in(8) { shown } else { child.len };
        let addr = child.base + self.rng.u64(0..len);
        if self.one_in(3) { Op::Load { addr } } else { Op::Store { addr, byte: self.rng.u8(..) } }
    }

    /// A call on a pager VMO such as anybody makes.
    fn use_paged(&mut self, model: &Model) -> Op {
        let vmo = self.paged(model);
        let Some(id) = vmo_behind(model, vmo) else { return self.pager_create_vmo(model) };
        let size = model.size(id);
        let offset = self.rng.u64(0..=size);
        let len = self.rng.u64(0..=(size - offset).min(8 * PAGE)) as usize;
        match self.rng.u32(0..20) {
            0..4 => {
                let buffer = if self.one_in(12) { Buffer::Null } else { Buffer::Own };
                Op::VmoRead { vmo, buffer, offset, len }
            }
            4..9 => Op::VmoWrite { vmo, buffer: Buffer::Own, fill: self.rng.u8(..), offset, len },
            9..15 => {
                let ops = [
                    ZX_VMO_OP_COMMIT,
                    ZX_VMO_OP_COMMIT,
                    ZX_VMO_OP_COMMIT,
                    ZX_VMO_OP_ZERO,
                    ZX_VMO_OP_ZERO,
                    ZX_VMO_OP_ZERO,
                    ZX_VMO_OP_ALWAYS_NEED,
                    ZX_VMO_OP_DONT_NEED,
                    ZX_VMO_OP_PREFETCH,
                ];
                let op = *self.rng.choice(&ops).expect("nine");
                let whole = self.one_in(3);
                let (offset, len) = (offset, len as u64);
                let (offset, len) = if whole { (offset / PAGE * PAGE, len / PAGE * PAGE) } else { (offset, len) };
                Op::VmoOpRange { vmo, op, offset, size: len, buffer_size: 0 }
            }
            15..17 => {
                let size = if self.rng.bool() { self.rng.u64(0..12) * PAGE } else { self.rng.u64(0..12 * PAGE) };
                Op::VmoSetSize { vmo, size }
            }
            17 => Op::VmoSetStreamSize { vmo, size: self.rng.u64(0..=size) },
            _ => {
                let op = *self
                    .rng
                    .choice(&[ZX_VMAR_OP_COMMIT, ZX_VMAR_OP_ALWAYS_NEED, ZX_VMAR_OP_PREFETCH, ZX_VMAR_OP_MAP_RANGE])
                    .expect("four");
                let paged = mappings(model).filter(|(_, mapping)| model.is_paged(mapping.vmo));
                let Some((child, _)) = self.any(paged) else { return self.map_paged(model) };
                let vmar = model.handles().find(|(_, handle)| handle.object == model.root()).map_or(0, |(v, _)| v);
                Op::VmarOpRange(OpRange { vmar, op, addr: child.base, size: child.len, buffer: 0, buffer_size: 0 })
            }
        }
    }

    /// What a pager does, asked or not.
    fn answer_freely(&mut self, model: &Model) -> Op {
        let Some(managed) = self.managed(model) else { return self.pager_create_vmo(model) };
        if self.one_in(40) {
            let (pager, vmo) = self.managed_or_not(model, ZX_RIGHT_WRITE);
            return Op::PagerDetachVmo { pager, vmo };
        }
        let request = self.rng.choice(&managed.source.requests).cloned();
        match request {
            Some(request) if self.rng.bool() => self.answer_to(model, managed, &request),
            Some(_) | None => {
                let (mut offset, mut len) = self.pages_of(model, managed.id);
                let (pager, vmo) = self.managed_or_not(model, ZX_RIGHT_WRITE);
                match self.rng.u32(0..48) {
                    0 => offset += self.rng.u64(1..PAGE),
                    1 => len += self.rng.u64(1..PAGE),
                    2 => len = 0_u64.wrapping_sub(PAGE),
                    3 => offset = 0_u64.wrapping_sub(2 * PAGE),
                    _ => {}
                }
                if self.one_in(3) {
                    return self.supply(model, pager, vmo, offset, len);
                }
                let op = match self.rng.u32(0..14) {
                    0..4 => ZX_PAGER_OP_DIRTY,
                    4..8 => ZX_PAGER_OP_WRITEBACK_BEGIN,
                    8..11 => ZX_PAGER_OP_WRITEBACK_END,
                    11..13 => ZX_PAGER_OP_FAIL,
                    _ => self.rng.u32(..8),
                };
                if matches!(op, ZX_PAGER_OP_WRITEBACK_BEGIN | ZX_PAGER_OP_WRITEBACK_END) && self.rng.bool() {
                    (offset, len) = (0, model.size(managed.id));
                }
                Op::PagerOpRange(PagerRange { pager, op, vmo, offset, len, data: self.data(op) })
            }
        }
    }

    fn data(&mut self, op: u32) -> u64 {
        let failures = [
            Status::IO,
            Status::IO_DATA_INTEGRITY,
            Status::BAD_STATE,
            Status::NO_SPACE,
            Status::BUFFER_TOO_SMALL,
            Status::NO_MEMORY,
            Status::OK,
        ];
        match op {
            ZX_PAGER_OP_FAIL if self.one_in(16) => u64::from(Status::IO.into_raw().cast_unsigned()),
            ZX_PAGER_OP_FAIL => {
                let status = *self.rng.choice(&failures).expect("seven");
                i64::from(status.into_raw()).cast_unsigned()
            }
            ZX_PAGER_OP_WRITEBACK_BEGIN => u64::from(self.one_in(4)),
            _ => u64::from(self.one_in(16)),
        }
    }

    /// Whole pages of a pager VMO, most often inside.
    fn pages_of(&mut self, model: &Model, id: ObjectId) -> (u64, u64) {
        let pages = model.size(id) / PAGE;
        let first = self.rng.u64(0..=pages);
        let count = match self.rng.u32(0..12) {
            0 => self.rng.u64(0..4),
            1..5 => self.rng.u64(0..=(pages - first).min(2)),
            _ => self.rng.u64(0..=pages - first),
        };
        (first * PAGE, count * PAGE)
    }

    /// An answer to one request, or to a part of it.
    fn answer_to(&mut self, model: &Model, managed: Managed<'_>, request: &Request) -> Op {
        let Managed { pager, vmo, .. } = managed;
        // It may reach past the end since.
        let end = request.pages.end.min(model.size(managed.id) / PAGE).max(request.pages.start + 1);
        let (mut from, mut to) = (request.pages.start, end);
        match self.rng.u32(0..4) {
            0 => to = self.rng.u64(from..to) + 1,
            1 => from = self.rng.u64(from..to),
            _ => {}
        }
        let (offset, len) = (from * PAGE, (to - from) * PAGE);
        let op = match (request.kind, self.rng.u32(0..4)) {
            (_, 0) => ZX_PAGER_OP_FAIL,
            (Asked::Read, _) => return self.supply(model, pager, vmo, offset, len),
            (Asked::Dirty, _) => ZX_PAGER_OP_DIRTY,
        };
        Op::PagerOpRange(PagerRange { pager, op, vmo, offset, len, data: self.data(op) })
    }

    pub(super) fn supply(&mut self, model: &Model, pager: zx_handle_t, vmo: zx_handle_t, offset: u64, len: u64) -> Op {
        let suits = |id: ObjectId| {
            super::is_vmo(model, id) && {
                let content = model.content(id);
                let orphan = matches!(model.vmo_of(id).shape, Shape::Slice { .. } | Shape::Reference);
                // Of these the specification says nothing.
                !content.discardable && content.cache_policy == ZX_CACHE_POLICY_CACHED && !orphan
            }
        };
        let rights = ZX_RIGHT_READ | ZX_RIGHT_WRITE;
        let all = model.handles().filter(|(_, handle)| suits(handle.object));
        let good = all.clone().filter(|(_, handle)| {
            let id = handle.object;
            let family = |id| model.content(id).family;
            let alone = !model.vmos().any(|(other, _)| other != id && family(other) == family(id));
            handle.rights & rights == rights && alone && !model.is_paged(id) && model.size(id) >= len
        });
        let found = if self.one_in(10) { self.any(all) } else { self.any(good) };
        let Some((aux, handle)) = found else {
            // There will be one the next time.
            return Op::VmoCreate { size: PAGES_MAX * PAGE, options: 0, lost: self.lost() };
        };
        let room = model.size(handle.object).saturating_sub(len).min(PAGES_MAX * PAGE);
        let mut aux_offset = match self.rng.u32(0..4) {
            0 => 0,
            1 => room / PAGE * PAGE,
            _ => self.rng.u64(0..=room / PAGE) * PAGE,
        };
        match self.rng.u32(0..40) {
            0 => aux_offset += self.rng.u64(1..PAGE),
            1 => aux_offset = 0_u64.wrapping_sub(PAGE),
            _ => {}
        }
        Op::PagerSupplyPages(Supply { pager, vmo, offset, len, aux, aux_offset })
    }

    /// A step while something waits: none that waits too, or takes away what it works on.
    pub(super) fn answer(&mut self, model: &Model) -> Op {
        if self.waits > PATIENCE {
            return self.answer_the_waiting(model);
        }
        match self.rng.u32(0..26) {
            24..26 => self.memory_step(),
            0..4 => self.port_wait(model),
            4..15 => match self.answer_freely(model) {
                // Too good an answer too often.
                op @ (Op::PagerSupplyPages(_) | Op::PagerOpRange(_) | Op::PagerDetachVmo { .. }) => op,
                _ => self.answer_the_waiting(model),
            },
            15..18 => self.answer_the_waiting(model),
            18 if self.one_in(3) => self.close_a_pager(model),
            18..20 => {
                let vmo = self.paged(model);
                let fixed = matches!(model.waiting(), Some(Job::SetStreamSize { .. }));
                match vmo_behind(model, vmo) {
                    Some(id) if !fixed && !self.shows_a_waiting_one(model, id) => {
                        let size = self.rng.u64(0..=model.size(id) / PAGE + 1) * PAGE;
                        Op::VmoSetSize { vmo, size }
                    }
                    Some(_) | None => self.port_wait(model),
                }
            }
            20 => {
                let vmo = self.paged(model);
                let Some(id) = vmo_behind(model, vmo).filter(|&id| !self.shows_a_waiting_one(model, id)) else {
                    return self.port_wait(model);
                };
                let (offset, size) = self.pages_of(model, id);
                Op::VmoOpRange { vmo, op: ZX_VMO_OP_ZERO, offset, size, buffer_size: 0 }
            }
            21 => self.query_dirty(model),
            22 if self.rng.bool() => match self.clone_paged(model) {
                op @ Op::VmoCreateChild(_) => op,
                _ => self.port_wait(model),
            },
            _ if !self.real_buffers => self.touch_paged_only(model),
            _ => self.port_wait(model),
        }
    }

    /// Whether an access may wait by way of this VMO, which goes on before its time where the engine shows it something else.
    fn shows_a_waiting_one(&self, model: &Model, id: ObjectId) -> bool {
        model.is_over(id) && matches!(model.waiting(), Some(Job::Access { .. }))
    }

    fn touch_paged_only(&mut self, model: &Model) -> Op {
        match self.touch_paged(model) {
            op @ (Op::Load { .. } | Op::Store { .. }) => op,
            _ => self.port_wait(model),
        }
    }

    fn close_a_pager(&mut self, model: &Model) -> Op {
        let pagers = model.handles().filter(|(_, handle)| matches!(model.object(handle.object).kind, Kind::Pager));
        let handle = self.any(pagers).map_or(ZX_HANDLE_INVALID, |(value, _)| value);
        self.close(handle)
    }

    /// An answer to what waits, or the end of its pager if that cannot answer.
    fn answer_the_waiting(&mut self, model: &Model) -> Op {
        if model.is_starving() {
            return self.make_room(model);
        }
        let waits = |who: Who| match model.waiting() {
            Some(Job::Access { addr, .. }) => who == Who::Access(addr / PAGE * PAGE),
            Some(_) => matches!(who, Who::Call | Who::Stream),
            None => false,
        };
        let all = self.all_managed(model);
        for managed in all {
            let mine = |request: &&Request| request.waiters.iter().any(|waiter| waits(waiter.who));
            let Some(request) = managed.source.requests.iter().find(mine).cloned() else { continue };
            if self.waits <= PATIENCE {
                return self.answer_to(model, managed, &request);
            }
            let end = request.pages.end.min(model.size(managed.id) / PAGE);
            let (offset, len) = (request.pages.start * PAGE, (end - request.pages.start) * PAGE);
            let Managed { pager, vmo, .. } = managed;
            let op = match request.kind {
                Asked::Read if self.waits < 3 * PATIENCE => return self.supply(model, pager, vmo, offset, len),
                Asked::Dirty if self.waits < 3 * PATIENCE => ZX_PAGER_OP_DIRTY,
                Asked::Read | Asked::Dirty => ZX_PAGER_OP_FAIL,
            };
            let data = if op == ZX_PAGER_OP_FAIL { i64::from(Status::IO.into_raw()).cast_unsigned() } else { 0 };
            return Op::PagerOpRange(PagerRange { pager, op, vmo, offset, len, data });
        }
        self.close_a_pager(model)
    }

    /// Steps of which the model could not tell the end, or not soon, become others.
    pub(super) fn tame(&mut self, model: &Model, op: Op) -> Op {
        let paged = |vmo| vmo_behind(model, vmo).is_some_and(|id| model.is_paged(id));
        match op {
            Op::VmoSetSize { vmo, size } if paged(vmo) && size > PAGES_MAX * PAGE && size <= VMO_SIZE_MAX => {
                Op::VmoSetSize { vmo, size: size % (PAGES_MAX * PAGE) }
            }
            Op::VmoRead { vmo, buffer, offset, len } => {
                let buffer = match buffer {
                    Buffer::At(_) if paged(vmo) => Buffer::Own,
                    Buffer::At(addr) if model.is_paged_at(addr) => Buffer::Own,
                    Buffer::At(_) | Buffer::Own | Buffer::Null => buffer,
                };
                Op::VmoRead { vmo, buffer, offset, len }
            }
            Op::VmoWrite { vmo, buffer, fill, offset, len } => {
                let buffer = match buffer {
                    Buffer::At(_) | Buffer::Null if paged(vmo) => Buffer::Own,
                    Buffer::At(addr) if model.is_paged_at(addr) => Buffer::Own,
                    Buffer::At(_) | Buffer::Own | Buffer::Null => buffer,
                };
                Op::VmoWrite { vmo, buffer, fill, offset, len }
            }
            Op::VmoCreateChild(mut args) if paged(args.vmo) => {
                Self::tame_clone(&mut args);
                Op::VmoCreateChild(args)
            }
            // It might wait, with no end to it.
            Op::VmoTransferData(args) if self.takes_absent(model, args) => self.port_wait(model),
            // Whether an access waits must be seen in the port, so it must be the only one that asks.
            Op::Load { addr } | Op::Store { addr, .. } if self.real_buffers && model.is_paged_at(addr) => {
                if self.is_seen(model, addr) { op } else { self.port_wait(model) }
            }
            op => op,
        }
    }

    /// Makes a child of what a pager is behind so short that each page can be looked at.
    fn tame_clone(args: &mut CreateChild) {
        let over = ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE | ZX_VMO_CHILD_SNAPSHOT_MODIFIED;
        if args.options & over != 0 && args.size > PAGES_MAX * PAGE && args.size <= VMO_SIZE_MAX {
            args.size %= PAGES_MAX * PAGE;
        }
    }

    /// Whether what is to be moved has to be asked for.
    fn takes_absent(&self, model: &Model, args: Transfer) -> bool {
        let Some(id) = vmo_behind(model, args.src).filter(|&id| model.is_over(id)) else { return false };
        let end = args.src_offset.saturating_add(args.len).min(model.size(id));
        (args.src_offset..end).step_by(PAGE as usize).any(|offset| model.is_absent(id, offset))
    }

    /// Whether an access that waits can be seen to: its packet can be taken out of the port.
    fn is_seen(&self, model: &Model, addr: u64) -> bool {
        model.slot_port_at(addr).is_none_or(|port| port.is_some())
    }
}
