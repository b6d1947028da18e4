//! Makes up the next step: mostly one that works, regularly one that is wrong in some argument.
//!
//! The generator looks at the model, never at the engine: the seed and the model's past decide.

mod paged;

use fastrand::Rng;
use zxvm_types::*;

use crate::PAGE;
use crate::model::{Child, Kind, MORE_THAN_MEMORY, Mapping, Model, ObjectId, VMO_SIZE_MAX, Vmar, What};
use crate::op::{Allocate, Buffer, CreateChild, Lost, Map, Op, OpRange, Transfer};

/// Steps in a row, decided by a seed.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    stale: Vec<zx_handle_t>,
    real_buffers: bool,
    /// For how many steps something has been waiting.
    waits: u32,
}

/// What a step wants a handle to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Vmo,
    Vmar,
    Waitable,
    Pager,
    Port,
    Any,
}

/// More than this many handles, and the next steps close some.
const HANDLES_MAX: usize = 52;
/// More than this many VMARs or mappings, and the next steps take some away.
const CHILDREN_MAX: usize = 40;
/// New things go to places below this, so that they meet.
const CROWD: u64 = 96 * PAGE;

const MAP_ALIGNS: [u32; 12] = [
    ZX_VM_ALIGN_1KB,
    ZX_VM_ALIGN_2KB,
    ZX_VM_ALIGN_4KB,
    ZX_VM_ALIGN_8KB,
    ZX_VM_ALIGN_16KB,
    ZX_VM_ALIGN_32KB,
    ZX_VM_ALIGN_64KB,
    ZX_VM_ALIGN_128KB,
    ZX_VM_ALIGN_1MB,
    ZX_VM_ALIGN_16MB,
    ZX_VM_ALIGN_1GB,
    ZX_VM_ALIGN_4GB,
];

impl Generator {
    /// `real_buffers`: whether a call's buffer may lie in a mapping.
    pub fn new(seed: u64, real_buffers: bool) -> Self {
        Self { rng: Rng::with_seed(seed), stale: Vec::new(), real_buffers, waits: 0 }
    }

    /// The next step.
    pub fn next(&mut self, model: &Model) -> Op {
        let op = if model.is_waiting() {
            self.waits += 1;
            self.answer(model)
        } else {
            self.waits = 0;
            self.anything(model)
        };
        self.tame(model, op)
    }

    fn anything(&mut self, model: &Model) -> Op {
        if model.handles().count() > HANDLES_MAX && self.one_in(2) {
            let handle = self.disposable(model);
            return self.close(handle);
        }
        if children(model).count() > CHILDREN_MAX && self.one_in(2) {
            return self.clear_away(model);
        }
        match self.rng.u32(0..318) {
            212..318 => self.pager_step(model),
            0..5 => {
                let handle = self.disposable(model);
                self.close(handle)
            }
            5 => {
                let handles: Vec<_> = (0..self.rng.usize(0..4)).map(|_| self.disposable(model)).collect();
                self.stale.extend(&handles);
                Op::HandleCloseMany { handles }
            }
            6..12 => {
                let handle = self.handle(model, Want::Any);
                Op::HandleDuplicate { handle, rights: self.rights(model, handle), lost: self.lost() }
            }
            12..14 => {
                let handle = self.disposable(model);
                self.stale.push(handle);
                Op::HandleReplace { handle, rights: self.rights(model, handle), lost: self.lost() }
            }
            14 => Op::HandleCheckValid { handle: self.handle(model, Want::Any) },
            15 => Op::EventCreate { options: u32::from(self.one_in(8)), lost: self.lost() },
            16 => {
                let lost = if self.one_in(12) { Lost::Second } else { self.lost() };
                Op::EventpairCreate { options: u32::from(self.one_in(8)), lost }
            }
            17..19 => {
                let (handle, clear, set) = (self.handle(model, Want::Waitable), self.signals(), self.signals());
                Op::ObjectSignal { handle, clear, set }
            }
            19 => {
                let (handle, clear, set) = (self.handle(model, Want::Waitable), self.signals(), self.signals());
                Op::ObjectSignalPeer { handle, clear, set }
            }
            20..22 => Op::ObjectWaitOne { handle: self.handle(model, Want::Waitable), signals: self.signals() },
            22 => {
                let count = if self.one_in(20) { 65 } else { self.rng.usize(0..4) };
                let items = (0..count).map(|_| (self.handle(model, Want::Waitable), self.signals())).collect();
                Op::ObjectWaitMany { items }
            }
            23..30 => self.get_info(model),
            30..32 => self.get_property(model),
            32..35 => self.set_property(model),
            35..42 => self.vmo_create(),
            42..47 => self.vmo_read(model),
            47..57 => self.vmo_write(model),
            57 => Op::VmoGetSize { vmo: self.handle(model, Want::Vmo) },
            58..65 => {
                let vmo = self.resizable(model);
                Op::VmoSetSize { vmo, size: self.vmo_size() }
            }
            65 => Op::VmoGetStreamSize { vmo: self.handle(model, Want::Vmo) },
            66..69 => {
                let vmo = self.handle(model, Want::Vmo);
                Op::VmoSetStreamSize { vmo, size: self.offset_in_vmo(model, vmo) }
            }
            69..78 | 205..212 => self.vmo_op_range(model),
            78..80 => {
                let policy = if self.one_in(6) { self.rng.u32(..8) } else { self.rng.u32(..2) };
                Op::VmoSetCachePolicy { vmo: self.handle(model, Want::Vmo), policy }
            }
            80..82 => {
                let vmo = if self.one_in(10) { self.disposable(model) } else { self.handle(model, Want::Vmo) };
                let vmo = if is_born(model, vmo) { ZX_HANDLE_INVALID } else { vmo };
                let vmex = if self.one_in(10) { self.handle(model, Want::Any) } else { ZX_HANDLE_INVALID };
                self.stale.push(vmo);
                Op::VmoReplaceAsExecutable { vmo, vmex, lost: self.lost() }
            }
            82..88 => self.vmar_allocate(model),
            88..105 => self.vmar_map(model),
            105..113 => self.vmar_unmap(model),
            113..124 => self.vmar_protect(model),
            124..126 => Op::VmarDestroy { vmar: self.handle(model, Want::Vmar) },
            126..142 => self.vmar_op_range(model),
            142..164 => self.vmo_create_child(model),
            164..168 => self.vmo_transfer_data(model),
            168..170 => self.vmo_of_other_memory(model),
            170..173 => Op::VmoDiscard { vmo: self.discardable_now(model) },
            173..175 => Op::VmoFreeZeroPages { vmo: self.full(model) },
            175..187 => self.vmo_write(model),
            187..193 => Op::Load { addr: self.touched(model) },
            _ => Op::Store { addr: self.touched(model), byte: self.rng.u8(..) },
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn any<T>(&mut self, from: impl Iterator<Item = T>) -> Option<T> {
        let all: Vec<_> = from.collect();
        let index = self.rng.usize(0..all.len().max(1));
        all.into_iter().nth(index)
    }

    fn lost(&mut self) -> Lost {
        if self.one_in(24) { Lost::First } else { Lost::Nothing }
    }

    fn close(&mut self, handle: zx_handle_t) -> Op {
        self.stale.push(handle);
        if self.stale.len() > 64 {
            self.stale.drain(..32);
        }
        Op::HandleClose { handle }
    }

    /// A handle that is not one of the two a process is born with.
    fn disposable(&mut self, model: &Model) -> zx_handle_t {
        if self.one_in(16) {
            return self.bad_handle();
        }
        let dead = |id| matches!(&model.object(id).kind, Kind::Vmar(vmar) if !vmar.alive);
        let all = model.handles().filter(|&(value, _)| !is_born(model, value));
        // Those of dead VMARs are of little use.
        let found = match self.any(all.clone().filter(|(_, handle)| dead(handle.object))) {
            Some(found) if self.one_in(2) => Some(found),
            Some(_) | None => self.any(all),
        };
        found.map_or(ZX_HANDLE_INVALID, |(value, _)| value)
    }

    /// A value that is most likely no handle; if it is, it is not one that a process is born with.
    fn bad_handle(&mut self) -> zx_handle_t {
        match self.rng.u32(0..3) {
            0 => ZX_HANDLE_INVALID,
            1 => self.rng.choice(self.stale.iter().copied()).unwrap_or(3),
            _ => self.rng.u32(..) & !1,
        }
    }

    fn handle(&mut self, model: &Model, want: Want) -> zx_handle_t {
        match self.rng.u32(0..32) {
            0 => return self.bad_handle(),
            1..3 => return self.any(model.handles()).map_or(0, |(value, _)| value),
            _ => {}
        }
        let suits = |id: ObjectId| match (&model.object(id).kind, want) {
            (_, Want::Any) | (Kind::Vmo(_), Want::Vmo) | (Kind::Vmar(_), Want::Vmar) => true,
            (Kind::Event | Kind::Eventpair(_) | Kind::Vmo(_) | Kind::Process(..), Want::Waitable) => true,
            (Kind::Pager, Want::Pager) | (Kind::Port(_), Want::Port) => true,
            (Kind::Event | Kind::Eventpair(_) | Kind::Process(..), Want::Vmo | Want::Vmar) => false,
            (Kind::Pager | Kind::Port(_), _) | (_, Want::Pager | Want::Port) => false,
            (Kind::Vmo(_), Want::Vmar) | (Kind::Vmar(_), Want::Vmo | Want::Waitable) => false,
        };
        let alive = |id| !matches!(&model.object(id).kind, Kind::Vmar(vmar) if !vmar.alive);
        let all = model.handles().filter(|(_, handle)| suits(handle.object));
        let found = if self.one_in(6) { self.any(all) } else { self.any(all.filter(|(_, h)| alive(h.object))) };
        found.map_or(0, |(value, _)| value)
    }

    /// A handle to a VMO that can be resized, if there is one.
    fn resizable(&mut self, model: &Model) -> zx_handle_t {
        if self.one_in(8) {
            return self.handle(model, Want::Vmo);
        }
        let suits = |id| is_vmo(model, id) && model.content(id).resizable;
        self.any(model.handles().filter(|(_, handle)| suits(handle.object))).map_or(0, |(value, _)| value)
    }

    fn rights(&mut self, model: &Model, handle: zx_handle_t) -> u32 {
        let held = model.handles().find(|&(value, _)| value == handle).map_or(0, |(_, handle)| handle.rights);
        match self.rng.u32(0..10) {
            0..5 => ZX_RIGHT_SAME_RIGHTS,
            5..8 => held & !(1 << self.rng.u32(0..25)) & !(1 << self.rng.u32(0..25)),
            8 => held & self.rng.u32(..) & self.rng.u32(..),
            _ => held | 1 << self.rng.u32(0..32),
        }
    }

    fn signals(&mut self) -> u32 {
        match self.rng.u32(0..8) {
            0 => 0,
            1 => ZX_EVENT_SIGNALED,
            2 => ZX_EVENTPAIR_PEER_CLOSED,
            3 => self.rng.u32(..),
            _ => 1 << self.rng.u32(24..32),
        }
    }

    fn get_info(&mut self, model: &Model) -> Op {
        let (topic, want, whole) = match self.rng.u32(0..16) {
            0 => (ZX_INFO_HANDLE_VALID, Want::Any, 0),
            1 => (ZX_INFO_HANDLE_BASIC, Want::Any, 32),
            2 => (ZX_INFO_HANDLE_COUNT, Want::Any, 4),
            3..5 => (ZX_INFO_VMAR, Want::Vmar, 16),
            5..8 => (ZX_INFO_VMAR_MAPS, Want::Vmar, 152 * 60),
            8 => (ZX_INFO_PROCESS_MAPS, Want::Any, 152 * 60),
            9 => (ZX_INFO_PROCESS_MAPS_V1, Want::Any, 96 * 60),
            10 => (ZX_INFO_PROCESS_MAPS_V2, Want::Any, 104 * 60),
            11 => (ZX_INFO_VMO_V1, Want::Vmo, 104),
            12 => (ZX_INFO_VMO_V2, Want::Vmo, 120),
            13 => (ZX_INFO_VMO_V3, Want::Vmo, 128),
            14 => (ZX_INFO_VMO, Want::Vmo, 176),
            _ => (ZX_INFO_VMAR | 1 << 28, Want::Vmar, 16),
        };
        let process = matches!(topic, ZX_INFO_PROCESS_MAPS | ZX_INFO_PROCESS_MAPS_V1 | ZX_INFO_PROCESS_MAPS_V2);
        let handle = match self.any(model.handles().filter(|(_, h)| is_process(model, h.object))) {
            Some((value, _)) if process && !self.one_in(10) => value,
            Some(_) | None => self.handle(model, want),
        };
        let len = match self.rng.u32(0..6) {
            0 => 0,
            1 => self.rng.usize(0..=whole),
            2 => whole + self.rng.usize(0..16),
            _ => whole,
        };
        Op::ObjectGetInfo { handle, topic, len }
    }

    fn property(&mut self) -> (u32, usize) {
        match self.rng.u32(0..12) {
            0 => (ZX_PROP_STREAM_MODE_APPEND, 8),
            1..6 => (ZX_PROP_NAME, 32),
            _ => (ZX_PROP_VMO_CONTENT_SIZE, 8),
        }
    }

    /// A handle to something that has properties, most often a VMO.
    fn with_properties(&mut self, model: &Model) -> zx_handle_t {
        let process = self.any(model.handles().filter(|(_, handle)| is_process(model, handle.object)));
        match (process, self.rng.u32(0..10)) {
            (Some((value, _)), 0) => value,
            (_, 1) => self.handle(model, Want::Any),
            (_, _) => self.handle(model, Want::Vmo),
        }
    }

    fn get_property(&mut self, model: &Model) -> Op {
        let handle = self.with_properties(model);
        let (property, whole) = self.property();
        let len = match self.rng.u32(0..8) {
            0 => None,
            1 => Some(self.rng.usize(0..whole)),
            2 => Some(whole + 5),
            _ => Some(whole),
        };
        Op::ObjectGetProperty { handle, property, len }
    }

    fn set_property(&mut self, model: &Model) -> Op {
        let handle = self.with_properties(model);
        let (property, _) = self.property();
        let mut value = match property {
            ZX_PROP_NAME => (0..self.rng.usize(0..40)).map(|_| self.rng.u8(b'a'..=b'z')).collect(),
            _ => self.offset_in_vmo(model, handle).to_ne_bytes().to_vec(),
        };
        if property == ZX_PROP_VMO_CONTENT_SIZE && self.one_in(8) {
            value.truncate(self.rng.usize(0..8));
        }
        Op::ObjectSetProperty { handle, property, value: (!self.one_in(16)).then_some(value) }
    }

    fn vmo_size(&mut self) -> u64 {
        match self.rng.u32(0..32) {
            0..2 => 0,
            2..20 => self.rng.u64(1..=8) * PAGE,
            20..28 => self.rng.u64(1..12 * PAGE),
            28 => self.rng.u64(16..200) * PAGE,
            29 => 1 << self.rng.u32(30..64),
            30 => VMO_SIZE_MAX - self.rng.u64(0..3) * PAGE,
            _ => u64::MAX - self.rng.u64(0..200 << 10),
        }
    }

    fn vmo_create(&mut self) -> Op {
        let mut options = 0;
        if self.one_in(2) {
            options |= ZX_VMO_RESIZABLE;
        }
        if self.one_in(4) {
            options |= ZX_VMO_DISCARDABLE;
        }
        if self.one_in(10) {
            options = options & !ZX_VMO_RESIZABLE | ZX_VMO_UNBOUNDED;
        }
        if self.one_in(24) {
            options |= 1 << self.rng.u32(0..8);
        }
        Op::VmoCreate { size: self.vmo_size(), options, lost: self.lost() }
    }

    /// An offset that is worth trying: near what is there, near the ends, near where Linux stops.
    fn offset_in_vmo(&mut self, model: &Model, handle: zx_handle_t) -> u64 {
        let Some(vmo) = vmo_behind(model, handle) else { return self.rng.u64(0..4 * PAGE) };
        let size = model.size(vmo);
        match self.rng.u32(0..24) {
            0..2 => 0,
            2..14 => self.rng.u64(0..=size.min(12 * PAGE)),
            14..16 => self.rng.u64(0..=size.min(12 * PAGE)) / PAGE * PAGE,
            16 => size,
            17..19 => size - self.rng.u64(0..=size.min(4 * PAGE)),
            19 => size.saturating_add(self.rng.u64(0..3 * PAGE)),
            20 => (1_u64 << 63).wrapping_sub(2 * PAGE).wrapping_add(self.rng.u64(0..4 * PAGE)),
            21 => model.stream_size(vmo),
            22 => self.any(model.committed_offsets(vmo)).unwrap_or(0),
            _ => self.rng.u64(..),
        }
    }

    fn transfer_len(&mut self) -> usize {
        match self.rng.u32(0..10) {
            0 => 0,
            1..4 => self.rng.usize(1..64),
            4..7 => self.rng.usize(1..3 * PAGE as usize),
            _ => PAGE as usize * self.rng.usize(1..8),
        }
    }

    fn buffer(&mut self, model: &Model, handle: zx_handle_t, offset: u64, len: &mut usize) -> Buffer {
        if self.one_in(24) {
            return Buffer::Null;
        }
        if !self.real_buffers || !self.one_in(3) {
            return Buffer::Own;
        }
        let addr = self.touched(model);
        *len = (*len).min((PAGE - addr % PAGE) as usize);
        // Two copies of the same bytes that overlap have no defined result.
        let vmo = vmo_behind(model, handle);
        let content = |vmo| model.vmo_of(vmo).content;
        let same = mappings(model).any(|(child, mapping)| {
            let inside = (child.base..child.end()).contains(&addr);
            let shown = mapping.offset.wrapping_add(addr.wrapping_sub(child.base));
            let apart = |vmo| {
                let (shown, copied) =
                    (model.start(mapping.vmo).wrapping_add(shown), model.start(vmo).wrapping_add(offset));
                content(mapping.vmo) != content(vmo) || shown.abs_diff(copied) >= 2 * PAGE
            };
            inside && vmo.is_some_and(|vmo| !apart(vmo))
        });
        if same { Buffer::Own } else { Buffer::At(addr) }
    }

    fn vmo_read(&mut self, model: &Model) -> Op {
        let vmo = self.handle(model, Want::Vmo);
        let (offset, mut len) = (self.offset_in_vmo(model, vmo), self.transfer_len());
        let buffer = self.buffer(model, vmo, offset, &mut len);
        Op::VmoRead { vmo, buffer, offset, len }
    }

    fn vmo_write(&mut self, model: &Model) -> Op {
        let vmo = self.full(model);
        let (offset, mut len) = (self.offset_in_vmo(model, vmo), self.transfer_len());
        if !self.one_in(4) {
            // Inside.
            let left = vmo_behind(model, vmo).map_or(0, |vmo| model.size(vmo).saturating_sub(offset));
            len = len.min(left as usize);
        }
        // What a write that fails half way has committed is asked of a VMO that answers for the pages.
        let known = |vmo| match vmo_behind(model, vmo) {
            Some(vmo) => {
                model.owner(vmo).is_some_and(|owner| model.handles().any(|(_, handle)| handle.object == owner))
            }
            None => true,
        };
        let buffer = if known(vmo) { self.buffer(model, vmo, offset, &mut len) } else { Buffer::Own };
        Op::VmoWrite { vmo, buffer, fill: self.rng.u8(..), offset, len }
    }

    fn vmo_op_range(&mut self, model: &Model) -> Op {
        const LOCKS: [u32; 4] = [ZX_VMO_OP_LOCK, ZX_VMO_OP_UNLOCK, ZX_VMO_OP_UNLOCK, ZX_VMO_OP_TRY_LOCK];
        let mut vmo = self.full(model);
        let op = match self.rng.u32(0..24) {
            0..5 => ZX_VMO_OP_COMMIT,
            5..9 => ZX_VMO_OP_DECOMMIT,
            9..13 => ZX_VMO_OP_ZERO,
            13..20 => *self.rng.choice(&LOCKS).expect("four"),
            _ => self.rng.u32(0..16),
        };
        let buffer_size = *self.rng.choice(&[0, 31, 32, 32, 32, 40]).expect("six");
        if matches!(op, ZX_VMO_OP_LOCK | ZX_VMO_OP_UNLOCK | ZX_VMO_OP_TRY_LOCK) {
            vmo = self.lockable(model);
            if let Some(found) = vmo_behind(model, vmo).filter(|_| !self.one_in(8)) {
                return Op::VmoOpRange { vmo, op, offset: 0, size: model.size(found), buffer_size };
            }
        }
        if self.one_in(10) {
            vmo = self.lockable(model);
        }
        let found = vmo_behind(model, vmo);
        let mut offset = self.offset_in_vmo(model, vmo);
        let mut size = match self.rng.u32(0..8) {
            0 => 0,
            1..4 => self.rng.u64(1..4 * PAGE),
            4..7 => self.rng.u64(1..6) * PAGE,
            _ => found.map_or(PAGE, |vmo| model.size(vmo).saturating_sub(offset)),
        };
        if op == ZX_VMO_OP_COMMIT && size > 300 * PAGE {
            // So much that no machine has it, or so little that every one has. In between lies what the engine could get
            // for the room it keeps for growth.
            let far = found.is_some_and(|vmo| !model.content(vmo).resizable) && size >= MORE_THAN_MEMORY;
            size = if far { MORE_THAN_MEMORY } else { 300 * PAGE };
        }
        if !self.one_in(4) {
            offset = offset / PAGE * PAGE;
            size = size.next_multiple_of(PAGE).max(size);
        }
        Op::VmoOpRange { vmo, op, offset, size, buffer_size }
    }

    /// A handle to a VMO that can be locked, if there is one.
    fn lockable(&mut self, model: &Model) -> zx_handle_t {
        let any = self.handle(model, Want::Vmo);
        if self.one_in(6) {
            return any;
        }
        let suits = |id| is_vmo(model, id) && model.content(id).discardable;
        self.any(model.handles().filter(|(_, handle)| suits(handle.object))).map_or(any, |(value, _)| value)
    }

    /// A handle to a VMO that would be discarded, if there is one.
    fn discardable_now(&mut self, model: &Model) -> zx_handle_t {
        let any = self.lockable(model);
        let suits = |id| {
            is_vmo(model, id) && {
                let content = model.content(id);
                content.discardable && content.locked_once && content.locks == 0 && !content.discarded
            }
        };
        let all = model.handles().filter(|(_, handle)| suits(handle.object));
        if self.one_in(2) { self.any(all).map_or(any, |(value, _)| value) } else { any }
    }

    /// A handle to a VMO, most often one that has pages, often one that shares them, at times one that has lost them.
    fn full(&mut self, model: &Model) -> zx_handle_t {
        let any = self.handle(model, Want::Vmo);
        if vmo_behind(model, any).is_none() && self.one_in(2) {
            return any;
        }
        let wish = self.rng.u32(0..24);
        let suits = |id| {
            is_vmo(model, id) && {
                let figures = model.attribution(id, 0, u64::MAX);
                match wish {
                    0..3 => model.content(id).discarded,
                    3..10 => figures.committed > 0,
                    10..20 => figures.private < figures.committed,
                    _ => true,
                }
            }
        };
        self.any(model.handles().filter(|(_, handle)| suits(handle.object))).map_or(any, |(value, _)| value)
    }

    /// Pages of a VMO: where, and how many bytes. Most often something is there; the range may go past the end, or begin
    /// behind it.
    fn pages_in_vmo(&mut self, model: &Model, vmo: zx_handle_t) -> (u64, u64) {
        let pages = vmo_behind(model, vmo).map_or(4, |vmo| model.size(vmo) / PAGE);
        let near = pages.min(12);
        let offset = match self.rng.u32(0..24) {
            0..10 => 0,
            10..18 => self.rng.u64(0..=near) * PAGE,
            18 => pages * PAGE,
            19 => pages * PAGE + self.rng.u64(0..3) * PAGE,
            20 => self.offset_in_vmo(model, vmo) / PAGE * PAGE,
            21 => 0_u64.wrapping_sub(self.rng.u64(1..10) * PAGE),
            _ => pages.saturating_sub(self.rng.u64(1..4)) * PAGE,
        };
        let whole = (pages * PAGE).saturating_sub(offset);
        let len = match self.rng.u32(0..8) {
            0..3 if whole > 0 => whole,
            0..5 => self.rng.u64(0..=near) * PAGE,
            5 => whole.saturating_add(self.rng.u64(0..4) * PAGE),
            _ => self.rng.u64(1..4) * PAGE,
        };
        (offset, len)
    }

    fn vmo_create_child(&mut self, model: &Model) -> Op {
        const TYPES: [u32; 9] = [
            ZX_VMO_CHILD_SNAPSHOT,
            ZX_VMO_CHILD_SNAPSHOT,
            ZX_VMO_CHILD_SNAPSHOT,
            ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE,
            ZX_VMO_CHILD_SNAPSHOT_MODIFIED,
            ZX_VMO_CHILD_SLICE,
            ZX_VMO_CHILD_SLICE,
            ZX_VMO_CHILD_REFERENCE,
            ZX_VMO_CHILD_REFERENCE,
        ];
        let mut vmo = self.full(model);
        if vmo_behind(model, vmo).is_none_or(|vmo| model.content(vmo).discardable) && !self.one_in(4) {
            // One that may have children.
            let rights = ZX_RIGHT_DUPLICATE | ZX_RIGHT_READ;
            let suits = |id| is_vmo(model, id) && !model.content(id).discardable;
            let all = model.handles().filter(|(_, h)| h.rights & rights == rights && suits(h.object));
            vmo = self.any(all).map_or(vmo, |(value, _)| value);
        }
        let found = vmo_behind(model, vmo);
        let mut options = *self.rng.choice(&TYPES).expect("nine");
        let (mut offset, mut size) = self.pages_in_vmo(model, vmo);
        match options {
            ZX_VMO_CHILD_SLICE if !self.one_in(6) => {
                // Inside.
                let whole = found.map_or(0, |vmo| model.size(vmo));
                offset = offset.min(whole);
                size = size.min(whole - offset);
            }
            ZX_VMO_CHILD_REFERENCE => {
                if !self.one_in(6) {
                    (offset, size) = (0, 0);
                }
                let resizable = found.is_some_and(|vmo| model.content(vmo).resizable);
                if if resizable { self.one_in(2) } else { self.one_in(8) } {
                    options |= ZX_VMO_CHILD_RESIZABLE;
                }
            }
            ZX_VMO_CHILD_SLICE => {}
            _ => {
                if self.one_in(2) {
                    options |= ZX_VMO_CHILD_RESIZABLE;
                }
            }
        }
        if options & ZX_VMO_CHILD_RESIZABLE == 0 && self.one_in(5) {
            options |= ZX_VMO_CHILD_NO_WRITE;
        }
        match self.rng.u32(0..40) {
            0 => options ^= 1 << self.rng.u32(0..10),
            1 => options |= self.rng.choice(&TYPES).expect("nine"),
            2 => offset = offset.wrapping_add(self.rng.u64(1..PAGE)),
            3 => size = u64::MAX - self.rng.u64(0..3 * PAGE),
            4 => size = VMO_SIZE_MAX - self.rng.u64(0..2) * PAGE,
            5 => options |= ZX_VMO_CHILD_NO_WRITE | ZX_VMO_CHILD_RESIZABLE,
            6 => size = self.vmo_size(),
            7..12 => size = size.saturating_sub(self.rng.u64(1..PAGE)),
            _ => {}
        }
        Op::VmoCreateChild(CreateChild { vmo, options, offset, size, lost: self.lost() })
    }

    fn vmo_transfer_data(&mut self, model: &Model) -> Op {
        let (mut dst, mut src) = (self.full(model), self.full(model));
        if self.one_in(4) {
            dst = src;
        }
        if self.one_in(20) {
            src = self.lockable(model);
        }
        let (mut src_offset, mut len) = self.pages_in_vmo(model, src);
        let (mut offset, _) = self.pages_in_vmo(model, dst);
        if !self.one_in(6) {
            // Inside of both.
            let room = |vmo, offset| vmo_behind(model, vmo).map_or(0, |vmo| model.size(vmo).saturating_sub(offset));
            len = len.min(room(src, src_offset)).min(room(dst, offset));
        }
        let mut options = 0;
        match self.rng.u32(0..24) {
            0 => options = 1 << self.rng.u32(0..32),
            1 => offset = offset.wrapping_add(1),
            2 => src_offset = src_offset.wrapping_add(512),
            3 => len = len.wrapping_add(1),
            4 => offset = src_offset,
            _ => {}
        }
        Op::VmoTransferData(Transfer { dst, options, offset, len, src, src_offset })
    }

    /// Of memory that no process can have here.
    fn vmo_of_other_memory(&mut self, model: &Model) -> Op {
        let handle = self.handle(model, Want::Any);
        let size = self.vmo_size();
        if self.one_in(2) {
            Op::VmoCreateContiguous { bti: handle, size, alignment_log2: self.rng.u32(0..80) }
        } else {
            Op::VmoCreatePhysical { resource: handle, paddr: self.rng.u64(..), size }
        }
    }

    /// A handle to a VMAR, and the VMAR if it is one that lives.
    fn region<'m>(&mut self, model: &'m Model) -> (zx_handle_t, Option<&'m Vmar>) {
        let handle = if self.one_in(3) {
            // The root, more often than its share: most of what there is, is in it.
            let root = model.handles().find(|(_, handle)| handle.object == model.root());
            root.map_or(0, |(value, _)| value)
        } else {
            self.handle(model, Want::Vmar)
        };
        let object = model.handles().find(|&(value, _)| value == handle).map(|(_, handle)| handle.object);
        let vmar = object.and_then(|id| if let Kind::Vmar(vmar) = &model.object(id).kind { Some(vmar) } else { None });
        (handle, vmar.filter(|vmar| vmar.alive))
    }

    /// Where in a region something of `size` bytes is to go, with the option for it.
    fn spot(&mut self, region: Option<&Vmar>, size: u64, overwrite: bool) -> (u32, u64) {
        let Some(region) = region else { return (0, 0) };
        let crowd = region.len.min(CROWD);
        let page = |rng: &mut Rng| rng.u64(0..=crowd / PAGE) * PAGE;
        match self.rng.u32(0..20) {
            0..7 => (0, 0),
            7..10 => (ZX_VM_SPECIFIC, page(&mut self.rng)),
            10..13 => {
                // Next to something, at its left or its right.
                let edges =
                    region.children.iter().flat_map(|c| [c.end(), c.base.saturating_sub(size).max(region.base)]);
                (ZX_VM_SPECIFIC, self.any(edges).map_or(0, |edge| edge - region.base))
            }
            13..16 if overwrite => (ZX_VM_SPECIFIC_OVERWRITE, page(&mut self.rng)),
            13..16 => (ZX_VM_SPECIFIC, page(&mut self.rng)),
            16 => (ZX_VM_OFFSET_IS_UPPER_LIMIT, size.saturating_add(page(&mut self.rng))),
            17 => (ZX_VM_OFFSET_IS_UPPER_LIMIT, region.len),
            18 => {
                let options = *self
                    .rng
                    .choice(&[ZX_VM_SPECIFIC, ZX_VM_SPECIFIC_OVERWRITE, ZX_VM_OFFSET_IS_UPPER_LIMIT, 0])
                    .expect("four");
                let offset = match self.rng.u32(0..5) {
                    0 => region.len,
                    1 => region.len.wrapping_add(PAGE),
                    2 => self.rng.u64(0..region.len),
                    3 => u64::MAX / PAGE * PAGE,
                    _ => region.len.wrapping_sub(size),
                };
                (options, offset)
            }
            _ => (1 << self.rng.u32(4..6) | 1 << self.rng.u32(4..14), page(&mut self.rng)),
        }
    }

    fn align(&mut self) -> u32 {
        match self.rng.u32(0..24) {
            0..3 => *self.rng.choice(&MAP_ALIGNS).expect("twelve"),
            3 if self.one_in(3) => self.rng.u32(..) & 0xff00_0000,
            _ => 0,
        }
    }

    fn vmar_allocate(&mut self, model: &Model) -> Op {
        let (parent, region) = self.region(model);
        let mut size = self.rng.u64(1..=32) * PAGE;
        match self.rng.u32(0..24) {
            0 => size = 0,
            1 => size += 1,
            2 => size = u64::MAX - self.rng.u64(0..2 * PAGE),
            3 => size = region.map_or(0, |region| region.len),
            _ => {}
        }
        let overwrite = self.one_in(20);
        let (mut options, offset) = self.spot(region, size, overwrite);
        options |= self.align();
        let can = region.map_or(0, |region| region.can);
        if can & ZX_VM_PERM_READ != 0 && !self.one_in(16) {
            options |= ZX_VM_CAN_MAP_READ;
        }
        if can & ZX_VM_PERM_WRITE != 0 && !self.one_in(8) {
            options |= ZX_VM_CAN_MAP_WRITE;
        }
        if can & ZX_VM_PERM_EXECUTE != 0 && self.one_in(2) {
            options |= ZX_VM_CAN_MAP_EXECUTE;
        }
        if !self.one_in(4) {
            options |= ZX_VM_CAN_MAP_SPECIFIC;
        }
        if self.one_in(4) {
            options |= ZX_VM_COMPACT;
        }
        if self.one_in(20) {
            options ^= 1 << self.rng.u32(0..20);
        }
        let lost = if self.one_in(24) { Lost::Second } else { self.lost() };
        Op::VmarAllocate(Allocate { parent, options, offset, size, lost })
    }

    fn perms(&mut self) -> u32 {
        const R: u32 = ZX_VM_PERM_READ;
        const W: u32 = ZX_VM_PERM_WRITE;
        const X: u32 = ZX_VM_PERM_EXECUTE;
        match self.rng.u32(0..32) {
            0..7 => R,
            7..22 => R | W,
            22..25 => 0,
            25..27 => R | X,
            27 => R | W | X,
            28 => X | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED,
            29 => ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED,
            _ => self.rng.u32(0..8),
        }
    }

    fn vmar_map(&mut self, model: &Model) -> Op {
        let (vmar, region) = self.region(model);
        let vmo = if self.one_in(2) { self.full(model) } else { self.handle(model, Want::Vmo) };
        let mut vmo_offset = match self.rng.u32(0..3) {
            0 => 0,
            _ => self.offset_in_vmo(model, vmo) / PAGE * PAGE,
        };
        let mut len = self.rng.u64(1..=10) * PAGE;
        match self.rng.u32(0..32) {
            0 => vmo_offset = vmo_offset.wrapping_add(1),
            1 => vmo_offset = u64::MAX / PAGE * PAGE,
            2 => len = 0,
            3 => len = self.rng.u64(..),
            4..8 => len = self.rng.u64(1..10 * PAGE),
            8 => len = region.map_or(PAGE, |region| region.len),
            _ => {}
        }
        let (place, mut vmar_offset) = self.spot(region, len.checked_next_multiple_of(PAGE).unwrap_or(len), true);
        let mut options = self.perms() | place | self.align();
        if self.one_in(2) {
            options |= ZX_VM_ALLOW_FAULTS;
        }
        if self.one_in(6) && place & ZX_VM_SPECIFIC_OVERWRITE == 0 {
            options |= ZX_VM_MAP_RANGE;
        }
        if self.one_in(10) {
            options |= ZX_VM_FAULT_BEYOND_STREAM_SIZE | if self.one_in(10) { 0 } else { ZX_VM_ALLOW_FAULTS };
        }
        if self.one_in(16) {
            options |= ZX_VM_REQUIRE_NON_RESIZABLE;
        }
        if self.one_in(24) {
            options ^= 1 << self.rng.u32(0..24);
        }
        let mut vmo = vmo;
        if let Some(region) = region.filter(|_| self.one_in(5)) {
            // Goes on where another mapping ends, in addresses and in the VMO.
            let mapped = region.children.iter().filter_map(|child| match &child.what {
                What::Mapping(mapping) => Some((child, mapping)),
                What::Vmar(_) => None,
            });
            if let Some((child, mapping)) = self.any(mapped) {
                let same = model.handles().filter(|(_, handle)| handle.object == mapping.vmo);
                if let Some((value, _)) = self.any(same) {
                    vmo = value;
                    vmo_offset = mapping.offset + child.len;
                    vmar_offset = child.end() - region.base;
                    options = options & !(ZX_VM_OFFSET_IS_UPPER_LIMIT | 0xff00_0000) | ZX_VM_SPECIFIC;
                }
            }
        }
        Op::VmarMap(Map { vmar, options, vmar_offset, vmo, vmo_offset, len, lost: self.lost() })
    }

    /// A range of addresses to work on. `gapless`: most often one without gaps.
    fn range(&mut self, model: &Model, region: Option<&Vmar>, gapless: bool) -> (u64, u64) {
        let Some(region) = region else {
            let root = model.vmar_of(model.root());
            return (root.base + self.rng.u64(0..64) * PAGE, PAGE * self.rng.u64(1..8));
        };
        let inside: Vec<_> = mappings(model)
            .map(|(child, _)| child)
            .filter(|child| child.base >= region.base && child.end() <= region.base + region.len)
            .collect();
        let (mut addr, mut len) = match self.rng.choice(&inside) {
            Some(child) if !self.one_in(6) => {
                let start = child.base + self.rng.u64(0..child.len / PAGE) * PAGE;
                let mut end = child.end();
                // Over what follows without a gap, as far as luck goes.
                while !self.one_in(3) {
                    match inside.iter().find(|other| other.base == end) {
                        Some(next) => end = next.end(),
                        None => break,
                    }
                }
                let cut = if self.one_in(2) { self.rng.u64(0..(end - start) / PAGE) * PAGE } else { 0 };
                let over = if gapless && !self.one_in(10) { 0 } else { self.rng.u64(0..6) * PAGE };
                let back = if gapless && !self.one_in(10) { 0 } else { self.rng.u64(0..6) * PAGE };
                let start = start.saturating_sub(back).max(region.base);
                (start, (end - cut).saturating_add(over).saturating_sub(start))
            }
            Some(_) | None => {
                let pages = region.len.min(CROWD) / PAGE;
                (region.base + self.rng.u64(0..pages) * PAGE, self.rng.u64(1..=pages) * PAGE)
            }
        };
        match self.rng.u32(0..48) {
            0 => addr += self.rng.u64(1..PAGE),
            1 => len = 0,
            2 => len = u64::MAX - self.rng.u64(0..2 * PAGE),
            3 => addr = region.base.wrapping_sub(PAGE),
            4 => addr = region.base + region.len,
            5 => len = region.base + region.len - addr.min(region.base + region.len) + PAGE,
            6 => (addr, len) = (region.base, region.len),
            7 => addr = u64::MAX / PAGE * PAGE,
            8..14 => len = len.saturating_sub(self.rng.u64(1..PAGE)),
            _ => {}
        }
        (addr, len)
    }

    fn vmar_unmap(&mut self, model: &Model) -> Op {
        let (vmar, region) = self.region(model);
        let (addr, len) = self.range(model, region, false);
        Op::VmarUnmap { vmar, addr, len }
    }

    fn vmar_protect(&mut self, model: &Model) -> Op {
        let (vmar, region) = self.region(model);
        let (addr, len) = self.range(model, region, true);
        let mut options = self.perms();
        if self.one_in(32) {
            options |= 1 << self.rng.u32(0..32);
        }
        Op::VmarProtect { vmar, options, addr, len }
    }

    fn vmar_op_range(&mut self, model: &Model) -> Op {
        let (vmar, region) = self.region(model);
        let (addr, size) = self.range(model, region, true);
        let op = match self.rng.u32(0..24) {
            0..5 => ZX_VMAR_OP_COMMIT,
            5..10 => ZX_VMAR_OP_DECOMMIT,
            10..14 => ZX_VMAR_OP_MAP_RANGE,
            14..17 => ZX_VMAR_OP_ZERO,
            17 => ZX_VMAR_OP_DONT_NEED,
            18..20 => ZX_VMAR_OP_ALWAYS_NEED,
            20..22 => ZX_VMAR_OP_PREFETCH,
            _ => self.rng.u32(0..20),
        };
        let buffer = u64::from(self.one_in(40));
        let buffer_size = u64::from(self.one_in(40));
        Op::VmarOpRange(OpRange { vmar, op, addr, size, buffer, buffer_size })
    }

    /// An address for a load or a store, or for a buffer; always inside the root VMAR.
    fn touched(&mut self, model: &Model) -> u64 {
        let root = model.vmar_of(model.root());
        match self.any(mappings(model)) {
            Some((child, mapping)) if !self.one_in(8) => {
                // Most often where the mapping has something to show.
                let shown = model.size(mapping.vmo).saturating_sub(mapping.offset).min(child.len);
                let len = if shown > 0 && !self.one_in(4) { shown } else { child.len };
                child.base + self.rng.u64(0..len)
            }
            Some(_) | None => root.base + self.rng.u64(0..root.len.min(CROWD)),
        }
    }

    fn clear_away(&mut self, model: &Model) -> Op {
        let root = model.vmar_of(model.root());
        let vmar = model.handles().find(|(_, handle)| handle.object == model.root()).map_or(0, |(value, _)| value);
        match self.any(root.children.iter()) {
            Some(child) => Op::VmarUnmap { vmar, addr: child.base, len: child.len },
            None => Op::VmarUnmap { vmar, addr: root.base, len: root.len },
        }
    }
}

/// Everything that is in some region, regions included.
fn children(model: &Model) -> impl Iterator<Item = &Child> {
    let vmars = model.objects().filter_map(|(_, object)| match &object.kind {
        Kind::Vmar(vmar) => Some(vmar),
        _ => None,
    });
    vmars.flat_map(|vmar| &vmar.children)
}

/// Every mapping there is.
fn mappings(model: &Model) -> impl Iterator<Item = (&Child, &Mapping)> {
    children(model).filter_map(|child| match &child.what {
        What::Mapping(mapping) => Some((child, mapping)),
        What::Vmar(_) => None,
    })
}

fn is_vmo(model: &Model, id: ObjectId) -> bool {
    matches!(model.object(id).kind, Kind::Vmo(_))
}

/// The VMO that the handle leads to, if it is one.
fn vmo_behind(model: &Model, handle: zx_handle_t) -> Option<ObjectId> {
    let found = model.handles().find(|&(value, _)| value == handle)?;
    is_vmo(model, found.1.object).then_some(found.1.object)
}

fn is_process(model: &Model, id: ObjectId) -> bool {
    matches!(model.object(id).kind, Kind::Process(..))
}

/// Whether a process is born with this handle.
fn is_born(model: &Model, value: zx_handle_t) -> bool {
    model.born().contains(&value)
}
