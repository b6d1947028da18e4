//! A VMO changes its size, and its mappings follow.
//!
//! Shrinking: first no mapping shows the tail, then it is freed, so that no store can slip in between. Growing: first
//! the VMO has the pages, then they are shown. Every refusal of the host leaves size, content and views as they were.

use std::sync::Arc;

use zxvm_host::{AddrRange, PAGE_SIZE, VmoRange};
use zxvm_types::Status;

use super::project::{Steps, limit_with, project};
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::vmo::Vmo;

impl AddressSpace {
    /// Sets the size of a VMO to `size` bytes, rounded up to pages; the stream size becomes `size`.
    ///
    /// # Errors
    /// Checks 4 to 6 of vmo.md §4, in that order; then what the host gives, and all is as before.
    pub fn set_vmo_size(&self, vmo: &Vmo, size: u64) -> Result<(), Status> {
        let rounded = vmo.check_new_size(size)?;
        let gone = {
            let mut layout = self.change()?;
            let steps = self.plan_follow(&layout, vmo, rounded, size)?;
            self.apply(&mut layout, &steps).map_err(status)?;
            let result = vmo.set_size_locked(&mut vmo.lock(), size, rounded);
            result.inspect_err(|_| self.take_back(&mut layout, &steps))?
        };
        drop(gone);
        Ok(())
    }

    /// Sets the stream size of a VMO. Everything from the smaller of the old and the new one on becomes zero; mappings that
    /// end with the stream follow. The same size again does nothing.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`: beyond the size. Then what the host gives, and size and views are as before.
    ///
    /// Source: vmo.md §5.
    pub fn set_vmo_stream_size(&self, vmo: &Vmo, size: u64) -> Result<(), Status> {
        self.follow_stream(vmo, size, |vmo_size, old| match size {
            size if size == old => Ok(None),
            size if size > vmo_size => Err(Status::OUT_OF_RANGE),
            size => Ok(Some(old.min(size))),
        })
    }

    /// Sets the stream size by its old door, the content size property: it may be beyond the VMO's size, and what lies
    /// behind the new one becomes zero.
    ///
    /// # Errors
    /// What the host gives, and size and views are as before.
    ///
    /// Source: vmo.md §5.
    pub fn set_vmo_content_size(&self, vmo: &Vmo, size: u64) -> Result<(), Status> {
        self.follow_stream(vmo, size, |_, _| Ok(Some(size)))
    }

    /// `zero_from` gets the size and the stream size and says from where on the content becomes zero, if anything is to be
    /// done.
    fn follow_stream(
        &self,
        vmo: &Vmo,
        size: u64,
        zero_from: impl FnOnce(u64, u64) -> Result<Option<u64>, Status>,
    ) -> Result<(), Status> {
        let mut layout = self.change()?;
        // Both change only under the layout lock.
        let (vmo_size, old) = {
            let state = vmo.lock();
            (state.size(), state.stream_size())
        };
        let Some(zero_from) = zero_from(vmo_size, old)? else { return Ok(()) };
        let steps = self.plan_follow(&layout, vmo, vmo_size, size)?;
        self.apply(&mut layout, &steps).map_err(status)?;
        let result = vmo.set_stream_size_locked(&mut vmo.lock(), size, zero_from);
        result.inspect_err(|_| self.take_back(&mut layout, &steps))
    }

    /// What the mappings of the VMO should show with its new size, where that differs.
    fn plan_follow(&self, layout: &Layout, vmo: &Vmo, size: u64, stream_size: u64) -> Result<Steps, Status> {
        let mut steps = Steps::default();
        let state = &mut *vmo.lock();
        let bases: Vec<u64> = state.mappings.iter().copied().collect();
        for base in bases {
            let page = AddrRange::from_bounds(base, base + PAGE_SIZE);
            let (_, at, mapping) = layout.first_mapping(self.root, page).expect("the VMO knows its mappings");
            debug_assert!(core::ptr::eq(Arc::as_ptr(&mapping.vmo), vmo));
            let old = limit_with(mapping, state.size(), state.stream_size());
            let new = limit_with(mapping, size, stream_size);
            let changed = VmoRange::from_bounds(old.min(new), old.max(new));
            let Some(changed) = changed.intersect(mapping.vmo_range(at, at)) else { continue };
            if new > old {
                vmo.ensure_extents_within(state, changed, VmoRange::from_bounds(0, size))?;
            }
            let start = at.start() + (changed.start() - mapping.offset);
            let part = AddrRange::from_bounds(start, start + changed.len());
            steps.show(project(mapping, at, part, state, new));
        }
        Ok(steps)
    }
}
