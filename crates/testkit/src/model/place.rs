//! Where something new goes: the checks 6 to 15 of vmar.md §3, and §12.

use std::ops::Range;

use zxvm_types::*;

use super::{Model, ObjectId, Vmar, What};
use crate::PAGE;

impl Model {
    /// Where `size` bytes go. Where the engine is free to choose, `chosen` is what it chose; if that is not a legal place, the
    /// answer is another one.
    pub(super) fn place(
        &self,
        vmar: ObjectId,
        can: u32,
        options: u32,
        offset: u64,
        size: u64,
        chosen: u64,
    ) -> Result<Range<u64>, Status> {
        let has = |bit: u32| options & bit != 0;
        let region = self.vmar_of(vmar);
        let specific = has(ZX_VM_SPECIFIC | ZX_VM_SPECIFIC_OVERWRITE);
        let upper_limit = has(ZX_VM_OFFSET_IS_UPPER_LIMIT);
        if !region.alive {
            return Err(Status::BAD_STATE);
        }
        if size == 0 {
            return Err(Status::INVALID_ARGS);
        }
        if can & !region.can != 0 {
            return Err(Status::ACCESS_DENIED);
        }
        if specific && upper_limit {
            return Err(Status::INVALID_ARGS);
        }
        if offset != 0 && !specific && !upper_limit {
            return Err(Status::INVALID_ARGS);
        }
        if !offset.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        if (specific || upper_limit) && !region.specific {
            return Err(Status::ACCESS_DENIED);
        }
        let out = if upper_limit {
            offset > region.len || size > region.len || size > offset
        } else {
            offset >= region.len || size > region.len - offset
        };
        if out {
            return Err(Status::INVALID_ARGS);
        }
        let align = match options >> ZX_VM_ALIGN_BASE {
            0 => PAGE,
            exponent => PAGE.max(1 << exponent),
        };
        if specific {
            let range = region.base + offset..region.base + offset + size;
            if !range.start.is_multiple_of(align) {
                return Err(Status::INVALID_ARGS);
            }
            let mut taken = region.children.iter().filter(|child| child.overlaps(&range));
            if has(ZX_VM_SPECIFIC_OVERWRITE) {
                if taken.any(|child| matches!(child.what, What::Vmar(_))) {
                    return Err(Status::INVALID_ARGS);
                }
            } else if taken.next().is_some() {
                return Err(Status::ALREADY_EXISTS);
            }
            return Ok(range);
        }
        let ceiling = region.base + if upper_limit { offset } else { region.len };
        let lowest = lowest_fit(region, size, align, ceiling).ok_or(Status::NO_RESOURCES)?;
        // Where it is not legal, or there is none, the comparison of the outcomes tells.
        let legal = chosen.is_multiple_of(align)
            && chosen >= region.base
            && chosen <= ceiling - size
            && !region.children.iter().any(|child| child.overlaps(&(chosen..chosen + size)))
            && (!region.compact || chosen == lowest);
        Ok(if legal { chosen..chosen + size } else { lowest..lowest + size })
    }
}

fn lowest_fit(region: &Vmar, size: u64, align: u64, ceiling: u64) -> Option<u64> {
    let mut start = region.base.checked_next_multiple_of(align)?;
    loop {
        if start > ceiling || size > ceiling - start {
            return None;
        }
        match region.children.iter().find(|child| child.overlaps(&(start..start + size))) {
            Some(child) => start = child.end().checked_next_multiple_of(align)?,
            None => return Some(start),
        }
    }
}
