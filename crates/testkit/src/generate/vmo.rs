//! Steps on VMOs.

use zxvm_types::*;

use super::{Generator, Want, is_vmo, mappings, vmo_behind};
use crate::PAGE;
use crate::model::{MORE_THAN_MEMORY, Model, VMO_SIZE_MAX};
use crate::op::{Buffer, CreateChild, Op, Transfer};

impl Generator {
    pub(super) fn vmo_size(&mut self) -> u64 {
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

    pub(super) fn vmo_create(&mut self) -> Op {
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
    pub(super) fn offset_in_vmo(&mut self, model: &Model, handle: zx_handle_t) -> u64 {
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

    pub(super) fn transfer_len(&mut self) -> usize {
        match self.rng.u32(0..10) {
            0 => 0,
            1..4 => self.rng.usize(1..64),
            4..7 => self.rng.usize(1..3 * PAGE as usize),
            _ => PAGE as usize * self.rng.usize(1..8),
        }
    }

    pub(super) fn buffer(&mut self, model: &Model, handle: zx_handle_t, offset: u64, len: &mut usize) -> Buffer {
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

    pub(super) fn vmo_read(&mut self, model: &Model) -> Op {
        let vmo = self.handle(model, Want::Vmo);
        let (offset, mut len) = (self.offset_in_vmo(model, vmo), self.transfer_len());
        let buffer = self.buffer(model, vmo, offset, &mut len);
        Op::VmoRead { vmo, buffer, offset, len }
    }

    pub(super) fn vmo_write(&mut self, model: &Model) -> Op {
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

    pub(super) fn vmo_op_range(&mut self, model: &Model) -> Op {
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
    pub(super) fn lockable(&mut self, model: &Model) -> zx_handle_t {
        let any = self.handle(model, Want::Vmo);
        if self.one_in(6) {
            return any;
        }
        let suits = |id| is_vmo(model, id) && model.content(id).discardable;
        self.any(model.handles().filter(|(_, handle)| suits(handle.object))).map_or(any, |(value, _)| value)
    }

    /// A handle to a VMO that would be discarded, if there is one.
    pub(super) fn discardable_now(&mut self, model: &Model) -> zx_handle_t {
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
    pub(super) fn full(&mut self, model: &Model) -> zx_handle_t {
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

    /// As [`Generator::full`], or now and then a handle to a VMO that is not cached.
    pub(super) fn full_or_uncached(&mut self, model: &Model) -> zx_handle_t {
        let uncached = |id| is_vmo(model, id) && model.content(id).cache_policy != ZX_CACHE_POLICY_CACHED;
        let all = model.handles().filter(|(_, handle)| uncached(handle.object));
        let found = if self.one_in(8) { self.any(all) } else { None };
        found.map_or_else(|| self.full(model), |(value, _)| value)
    }

    /// Pages of a VMO: where, and how many bytes. Most often something is there; the range may go past the end, or begin
    /// behind it.
    pub(super) fn pages_in_vmo(&mut self, model: &Model, vmo: zx_handle_t) -> (u64, u64) {
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

    pub(super) fn vmo_create_child(&mut self, model: &Model) -> Op {
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

    pub(super) fn vmo_transfer_data(&mut self, model: &Model) -> Op {
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
    pub(super) fn vmo_of_other_memory(&mut self, model: &Model) -> Op {
        let handle = self.handle(model, Want::Any);
        let size = self.vmo_size();
        if self.one_in(2) {
            Op::VmoCreateContiguous { bti: handle, size, alignment_log2: self.rng.u32(0..80) }
        } else {
            Op::VmoCreatePhysical { resource: handle, paddr: self.rng.u64(..), size }
        }
    }
}
