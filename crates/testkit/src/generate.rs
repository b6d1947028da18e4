//! Makes up the next step: mostly one that works, regularly one that is wrong in some argument.
//!
//! The generator looks at the model, never at the engine: the seed and the model's past decide.

mod paged;
mod short;
mod vmar;
mod vmo;

use fastrand::Rng;
use zxvm_types::*;

use crate::PAGE;
use crate::model::{Child, Kind, Mapping, Model, ObjectId, What};
use crate::op::{Lost, Op};

/// Steps in a row, decided by a seed.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    stale: Vec<zx_handle_t>,
    real_buffers: bool,
    /// For how many steps something has been waiting.
    waits: u32,
    /// Whether there is a budget.
    in_budget: bool,
    /// How many steps there were, in a budget.
    steps: u64,
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

impl Generator {
    /// `real_buffers`: whether a call's buffer may lie in a mapping.
    pub fn new(seed: u64, real_buffers: bool) -> Self {
        Self { rng: Rng::with_seed(seed), stale: Vec::new(), real_buffers, waits: 0, in_budget: false, steps: 0 }
    }

    /// Only steps of which it is known what they do in a budget.
    pub fn keep_to_budget(&mut self) {
        self.in_budget = true;
    }

    /// The next step.
    pub fn next(&mut self, model: &Model) -> Op {
        let op = if model.is_waiting() {
            self.waits += 1;
            self.answer(model)
        } else {
            self.waits = 0;
            if self.in_budget && self.one_in(3) { self.fill_budget(model) } else { self.anything(model) }
        };
        let op = self.tame(model, op);
        if self.in_budget { self.tame_in_budget(model, op) } else { op }
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
            173..175 => Op::VmoFreeZeroPages { vmo: self.full_or_uncached(model) },
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
