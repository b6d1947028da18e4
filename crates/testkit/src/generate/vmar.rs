//! Steps on VMARs and mappings, and accesses to them.

use fastrand::Rng;
use zxvm_types::*;

use super::{CROWD, Generator, Want, mappings};
use crate::PAGE;
use crate::model::{Kind, Model, Vmar, What};
use crate::op::{Allocate, Lost, Map, Op, OpRange};

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
    /// A handle to a VMAR, and the VMAR if it is one that lives.
    pub(super) fn region<'m>(&mut self, model: &'m Model) -> (zx_handle_t, Option<&'m Vmar>) {
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
    pub(super) fn spot(&mut self, region: Option<&Vmar>, size: u64, overwrite: bool) -> (u32, u64) {
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

    pub(super) fn align(&mut self) -> u32 {
        match self.rng.u32(0..24) {
            0..3 => *self.rng.choice(&MAP_ALIGNS).expect("twelve"),
            3 if self.one_in(3) => self.rng.u32(..) & 0xff00_0000,
            _ => 0,
        }
    }

    pub(super) fn vmar_allocate(&mut self, model: &Model) -> Op {
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

    pub(super) fn perms(&mut self) -> u32 {
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

    pub(super) fn vmar_map(&mut self, model: &Model) -> Op {
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
    pub(super) fn range(&mut self, model: &Model, region: Option<&Vmar>, gapless: bool) -> (u64, u64) {
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

    pub(super) fn vmar_unmap(&mut self, model: &Model) -> Op {
        let (vmar, region) = self.region(model);
        let (addr, len) = self.range(model, region, false);
        Op::VmarUnmap { vmar, addr, len }
    }

    pub(super) fn vmar_protect(&mut self, model: &Model) -> Op {
        let (vmar, region) = self.region(model);
        let (addr, len) = self.range(model, region, true);
        let mut options = self.perms();
        if self.one_in(32) {
            options |= 1 << self.rng.u32(0..32);
        }
        Op::VmarProtect { vmar, options, addr, len }
    }

    pub(super) fn vmar_op_range(&mut self, model: &Model) -> Op {
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
    pub(super) fn touched(&mut self, model: &Model) -> u64 {
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
}
