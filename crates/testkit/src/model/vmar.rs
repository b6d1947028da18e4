//! Regions as a tree of plain sorted vectors, and the calls that put something into it or take a region out:
//! vmar.md §1, §3, §4, §7.

use std::ops::Range;

use zxvm_types::*;

use super::{Kind, Model, ObjectId};
use crate::op::{Allocate, Lost, Map, Outcome};
use crate::{PAGE, pages_up};

/// The PERM bits.
pub(super) const PERMS: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE | ZX_VM_PERM_EXECUTE;
const CAN_MAP: u32 = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE;

/// A region of address space.
#[derive(Clone, Debug)]
pub struct Vmar {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
    /// What its mappings may be, as PERM bits.
    pub can: u32,
    /// Whether others choose where they are in it.
    pub specific: bool,
    /// Whether it places at the lowest fit.
    pub compact: bool,
    /// Where it is, if it is not the root.
    pub parent: Option<ObjectId>,
    /// Not destroyed.
    pub alive: bool,
    /// What is in it, by address, never overlapping. A dead region has none.
    pub children: Vec<Child>,
}

/// What is in a region.
#[derive(Clone, Debug)]
pub struct Child {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
    /// Which.
    pub what: What,
}

/// The kinds of children.
#[derive(Clone, Debug)]
pub enum What {
    /// A region.
    Vmar(ObjectId),
    /// A mapping.
    Mapping(Mapping),
}

/// A window on a VMO.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What it shows.
    pub vmo: ObjectId,
    /// From which byte on.
    pub offset: u64,
    /// What its pages may become, as PERM bits.
    pub can: u32,
    /// Whether pages past the stream size fault.
    pub ends_with_stream: bool,
    /// The PERM bits of each page.
    pub prot: Vec<u32>,
}

impl Child {
    /// One past the last address.
    pub fn end(&self) -> u64 {
        self.base + self.len
    }

    pub(super) fn overlaps(&self, range: &Range<u64>) -> bool {
        self.base < range.end && range.start < self.end()
    }

    /// The part of a mapping between two addresses in it.
    pub(super) fn part(&self, range: Range<u64>) -> Self {
        let What::Mapping(mapping) = &self.what else { panic!("regions are never cut") };
        let first = range.start - self.base;
        let pages = (first / PAGE) as usize..((range.end - self.base) / PAGE) as usize;
        let mapping = Mapping { offset: mapping.offset + first, prot: mapping.prot[pages].to_vec(), ..mapping.clone() };
        Self { base: range.start, len: range.end - range.start, what: What::Mapping(mapping) }
    }
}

impl Vmar {
    pub(super) fn root(base: u64, len: u64) -> Self {
        Self { base, len, can: PERMS, specific: true, compact: false, parent: None, alive: true, children: Vec::new() }
    }

    /// The range as addresses if it lies inside.
    pub(super) fn range(&self, addr: u64, len: u64) -> Option<Range<u64>> {
        let inside = addr >= self.base && len <= self.len && addr - self.base <= self.len - len;
        inside.then(|| addr..addr + len)
    }

    fn insert(&mut self, child: Child) -> usize {
        let index = self.children.partition_point(|other| other.base < child.base);
        self.children.insert(index, child);
        index
    }

    /// Takes the mappings in the range out, keeping their parts outside of it.
    pub(super) fn cut(&mut self, range: &Range<u64>) {
        let children = std::mem::take(&mut self.children);
        for child in children {
            if !child.overlaps(range) {
                self.children.push(child);
                continue;
            }
            if child.base < range.start {
                self.children.push(child.part(child.base..range.start));
            }
            if child.end() > range.end {
                self.children.push(child.part(range.end..child.end()));
            }
        }
    }

    /// Joins the child at `index` with the next one, if they are alike.
    fn merge(&mut self, index: usize) {
        let [left, right, ..] = &mut self.children[index..] else { return };
        let touches = left.end() == right.base;
        let (What::Mapping(a), What::Mapping(b)) = (&mut left.what, &mut right.what) else { return };
        let alike = a.vmo == b.vmo && a.can == b.can && a.ends_with_stream == b.ends_with_stream;
        if touches && alike && a.offset.checked_add(left.len) == Some(b.offset) {
            a.prot.append(&mut b.prot);
            left.len += right.len;
            self.children.remove(index + 1);
        }
    }
}

/// CAN_MAP bits, or rights, as PERM bits.
fn perms_from(bits: u32, [read, write, execute]: [u32; 3]) -> u32 {
    let bit = |from, to| if bits & from != 0 { to } else { 0 };
    bit(read, ZX_VM_PERM_READ) | bit(write, ZX_VM_PERM_WRITE) | bit(execute, ZX_VM_PERM_EXECUTE)
}

pub(super) fn perms_of_rights(rights: u32) -> u32 {
    perms_from(rights, [ZX_RIGHT_READ, ZX_RIGHT_WRITE, ZX_RIGHT_EXECUTE])
}

/// The rights that PERM bits ask for.
pub(super) fn rights_of_perms(perms: u32) -> u32 {
    let bit = |from, to| if perms & from != 0 { to } else { 0 };
    bit(ZX_VM_PERM_READ, ZX_RIGHT_READ)
        | bit(ZX_VM_PERM_WRITE, ZX_RIGHT_WRITE)
        | bit(ZX_VM_PERM_EXECUTE, ZX_RIGHT_EXECUTE)
}

/// The PERM bits that a mapping gets: execute-only is impossible, and readable where that was allowed.
pub(super) fn effective_perms(options: u32) -> u32 {
    let read = if options & ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED != 0 { ZX_VM_PERM_READ } else { 0 };
    options & PERMS | read
}

/// `INVALID_ARGS` unless WRITE and EXECUTE come with READ.
pub(super) fn check_perms(options: u32) -> Result<(), Status> {
    let perms = effective_perms(options);
    if perms != 0 && perms & ZX_VM_PERM_READ == 0 { Err(Status::INVALID_ARGS) } else { Ok(()) }
}

/// `INVALID_ARGS` for bits that mean nothing.
pub(super) fn check_form(options: u32) -> Result<(), Status> {
    let exponent = options >> ZX_VM_ALIGN_BASE;
    let known = (1 << 16) - 1;
    if options & 0x00ff_ffff & !known != 0 || !(exponent == 0 || (10..=32).contains(&exponent)) {
        return Err(Status::INVALID_ARGS);
    }
    Ok(())
}

impl Model {
    pub(super) fn vmar_allocate(
        &mut self,
        args: Allocate,
        got: &Outcome,
    ) -> Result<((zx_handle_t, zx_koid_t), u64), Status> {
        let Allocate { parent, options, offset, size, lost } = args;
        let can = perms_from(options, [ZX_VM_CAN_MAP_READ, ZX_VM_CAN_MAP_WRITE, ZX_VM_CAN_MAP_EXECUTE]);
        let (parent, _) = self.vmar(parent, rights_of_perms(can | options & PERMS))?;
        check_form(options)?;
        if options & PERMS != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if !size.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        let allowed = ZX_VM_COMPACT
            | ZX_VM_SPECIFIC
            | ZX_VM_CAN_MAP_SPECIFIC
            | CAN_MAP
            | ZX_VM_OFFSET_IS_UPPER_LIMIT
            | ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED;
        if options & 0x00ff_ffff & !allowed != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let range = self.place(parent, can, options, offset, size, got.numbers[0])?;
        if lost != Lost::Nothing {
            return Err(Status::INVALID_ARGS);
        }
        let vmar = Vmar {
            base: range.start,
            len: size,
            can,
            specific: options & ZX_VM_CAN_MAP_SPECIFIC != 0,
            compact: options & ZX_VM_COMPACT != 0,
            parent: Some(parent),
            alive: true,
            children: Vec::new(),
        };
        let vmar = self.add(0, Kind::Vmar(vmar));
        self.vmar_mut(parent).insert(Child { base: range.start, len: size, what: What::Vmar(vmar) });
        let made = self.give(vmar, ZX_DEFAULT_VMAR_RIGHTS | rights_of_perms(can), got, 0);
        Ok((made, range.start))
    }

    pub(super) fn vmar_map(&mut self, args: Map, got: &Outcome) -> Result<u64, Status> {
        let Map { vmar, options, vmar_offset, vmo, vmo_offset, len, lost } = args;
        let has = |bit: u32| options & bit != 0;
        let (vmar, vmar_rights) = self.vmar(vmar, 0)?;
        let (vmo, vmo_rights) = self.vmo(vmo, 0)?;
        if vmo_rights & ZX_RIGHT_MAP == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        check_perms(options)?;
        if has(ZX_VM_MAP_RANGE) && has(ZX_VM_SPECIFIC_OVERWRITE) {
            return Err(Status::INVALID_ARGS);
        }
        if has(CAN_MAP) {
            return Err(Status::INVALID_ARGS);
        }
        let can = perms_of_rights(vmar_rights & vmo_rights);
        let perms = effective_perms(options);
        if perms & !can != 0 {
            return Err(Status::ACCESS_DENIED);
        }
        if has(ZX_VM_FAULT_BEYOND_STREAM_SIZE) && !has(ZX_VM_ALLOW_FAULTS) {
            return Err(Status::INVALID_ARGS);
        }
        check_form(options)?;
        if has(ZX_VM_REQUIRE_NON_RESIZABLE) && self.content(vmo).resizable {
            return Err(Status::NOT_SUPPORTED);
        }
        if self.content(vmo).discardable && !has(ZX_VM_ALLOW_FAULTS) {
            return Err(Status::NOT_SUPPORTED);
        }
        if has(ZX_VM_COMPACT | ZX_VM_CAN_MAP_SPECIFIC) {
            return Err(Status::INVALID_ARGS);
        }
        if !vmo_offset.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        let len = pages_up(len).ok_or(Status::OUT_OF_RANGE)?;
        if vmo_offset.checked_add(len).is_none() {
            return Err(Status::OUT_OF_RANGE);
        }
        let range = self.place(vmar, can, options, vmar_offset, len, got.numbers[0])?;
        let mapping = Mapping {
            vmo,
            offset: vmo_offset,
            can,
            ends_with_stream: has(ZX_VM_FAULT_BEYOND_STREAM_SIZE),
            prot: vec![perms; (len / PAGE) as usize],
        };
        self.unmapped.push(range.clone());
        if let Some(source) = &mut self.content_mut(vmo).source {
            source.mapped();
        }
        self.keep_shown(vmo, vmo_offset, len, mapping.ends_with_stream);
        let region = self.vmar_mut(vmar);
        region.cut(&range);
        let index = region.insert(Child { base: range.start, len, what: What::Mapping(mapping) });
        region.merge(index);
        if index > 0 {
            region.merge(index - 1);
        }
        if lost != Lost::Nothing {
            self.vmar_mut(vmar).cut(&range);
            return Err(Status::INVALID_ARGS);
        }
        Ok(range.start)
    }

    pub(super) fn vmar_destroy(&mut self, handle: zx_handle_t) -> Result<(), Status> {
        let (vmar, _) = self.vmar(handle, ZX_RIGHT_OP_CHILDREN)?;
        if vmar == self.root {
            return Err(Status::NOT_SUPPORTED);
        }
        if !self.vmar_of(vmar).alive {
            return Err(Status::BAD_STATE);
        }
        self.kill(vmar);
        Ok(())
    }

    /// Ends a region and all in it, and gives its range back.
    pub(super) fn kill(&mut self, vmar: ObjectId) {
        let region = self.vmar_mut(vmar);
        region.alive = false;
        let range = region.base..region.base + region.len;
        let parent = region.parent.take();
        for child in std::mem::take(&mut region.children) {
            if let What::Vmar(child) = child.what {
                self.kill(child);
            }
        }
        self.unmapped.push(range);
        if let Some(parent) = parent {
            let siblings = &mut self.vmar_mut(parent).children;
            siblings.retain(|child| !matches!(child.what, What::Vmar(id) if id == vmar));
        }
    }
}
