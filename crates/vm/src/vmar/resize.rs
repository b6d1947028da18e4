//! A VMO changes its size, and its mappings follow.
//!
//! Shrinking: first no mapping shows the tail, then it is freed, so that no store can slip in between. Growing: first
//! the VMO has the pages, then they are shown. Every refusal of the host leaves size, content and views as they were.

use zxvm_host::{AddrRange, PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::project::{Steps, Watched, limit, limit_with, project, watch};
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::pager::{PageState, Woken};
use crate::vmo::Vmo;
use crate::vmo::family::Locked;

/// Where a content is to end, as far as that is to change.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// All that show it: at this size, and where mappings end with the stream, at that stream size (both in bytes).
    Size(u64, u64),
    /// This VMO, in mappings that end with the stream.
    Stream(u64),
}

impl AddressSpace {
    /// Sets the size of a VMO to `size` bytes, rounded up to pages; the stream size becomes `size`.
    ///
    /// # Errors
    /// Checks 4 to 8 of vmo.md §4, in that order; then what the host gives, and all is as before.
    pub fn set_vmo_size(&self, vmo: &Vmo, size: u64) -> Result<(), Status> {
        let rounded = vmo.check_new_size(size)?;
        let mut woken = Woken::new();
        if size < rounded && rounded <= vmo.size() && vmo.is_pager_backed() {
            // What the pager refuses stays as it is.
            let _ = self.zero_in_tree(vmo, size, rounded);
        }
        let gone = {
            let layout = self.change()?;
            let steps = {
                let content = &mut vmo.lock();
                if size < rounded && rounded <= content.size {
                    // The end of the last page becomes zero, for this VMO alone.
                    let last = VmoRange::from_bounds(addr::round_down(size), rounded);
                    self.make_own(&layout, vmo.family(), content.family_mut(), vmo.content(), last)?;
                }
                // What was discarded is not shown, whatever its size.
                let end = if content.check_there().is_ok() { rounded } else { 0 };
                self.plan_follow(&layout, vmo, content, Ends::Size(end, size))?
            };
            self.apply(&layout, &steps).map_err(status)?;
            let (old, is_root) = (vmo.size(), vmo.lock().is_paged());
            let mut resize = || {
                let beyond = VmoRange::from_bounds(rounded.min(old), old);
                let content = &mut if is_root { vmo.family().lock_settled(beyond) } else { vmo.lock() };
                let gone = vmo.set_size_locked(content, size, rounded)?;
                if let Some(source) = content.paged_mut() {
                    source.modified = true;
                    source.resized(VmoRange::from_bounds(rounded.min(old), old), PageState::Absent, &mut woken);
                    source.resized(VmoRange::from_bounds(old.min(rounded), rounded), PageState::DirtyZero, &mut woken);
                }
                Ok(gone)
            };
            let gone = resize().inspect_err(|_: &Status| self.take_back(&layout, &steps))?;
            self.shorten_over(&layout, vmo, rounded, old);
            gone
        };
        self.wake(woken);
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
        zero_from: impl Fn(u64, u64) -> Result<Option<u64>, Status>,
    ) -> Result<(), Status> {
        let in_tree = vmo.is_pager_backed();
        if in_tree {
            // The pager may have to be asked for the page where it ends.
            let (vmo_size, old) = (vmo.size(), vmo.stream_size());
            let Some(zero_from) = zero_from(vmo_size, old)? else { return Ok(()) };
            if zero_from < vmo_size {
                self.zero_in_tree(vmo, vmo.base() + zero_from, vmo.base() + vmo_size)?;
            }
        }
        let layout = self.change()?;
        // Both change only under the layout lock.
        let (vmo_size, old, steps, zero_from) = {
            let content = &mut vmo.lock();
            let (vmo_size, old) = (vmo.size_in(content), vmo.stream_size_in(content.family()));
            let Some(zero_from) = zero_from(vmo_size, old)? else { return Ok(()) };
            (vmo_size, old, self.plan_follow(&layout, vmo, content, Ends::Stream(size))?, zero_from)
        };
        self.apply(&layout, &steps).map_err(status)?;
        let zero = || {
            let content = &mut vmo.lock();
            // What is shown from here on is what the new stream size lets be shown.
            vmo.set_stream_size_in(content.family_mut(), size);
            if zero_from >= vmo_size || in_tree {
                return Ok(());
            }
            let result = self.zero_locked(&layout, vmo, content, vmo.base() + zero_from, vmo.base() + vmo_size);
            result.inspect_err(|_| vmo.set_stream_size_in(content.family_mut(), old))
        };
        zero().inspect_err(|_| self.take_back(&layout, &steps))
    }

    /// What the mappings of the VMO's content should show if it ended as `ends` says, where that differs.
    pub(super) fn plan_follow(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        ends: Ends,
    ) -> Result<Steps, Status> {
        let mut steps = Steps::default();
        let bases: Vec<u64> = content.mappings.iter().copied().collect();
        for base in bases {
            let page = AddrRange::from_bounds(base, base + PAGE_SIZE);
            let (_, at, mapping) = layout.first_mapping(self.root, page).expect("the VMO knows its mappings");
            debug_assert!(mapping.vmo.same_content(vmo));
            let old = limit(mapping, content.family());
            let (size, new) = match ends {
                Ends::Size(size, stream) => (size, limit_with(mapping, size, stream)),
                // References share the stream size; a slice has its own.
                Ends::Stream(stream)
                    if core::ptr::eq(&*mapping.vmo, vmo) || !vmo.is_slice() && !mapping.vmo.is_slice() =>
                {
                    let end = mapping.vmo.limit_in(content).saturating_sub(mapping.vmo.base());
                    (content.size, limit_with(mapping, end, stream))
                }
                Ends::Stream(_) => continue,
            };
            let changed = VmoRange::from_bounds(old.min(new), old.max(new));
            let Some(changed) = changed.intersect(mapping.vmo_range(at, at)) else { continue };
            if new > old {
                let inside = mapping.vmo.in_content(changed);
                vmo.ensure_extents_within(content, inside, VmoRange::from_bounds(0, size))?;
            }
            let start = at.start() + (changed.start() - mapping.offset);
            let part = AddrRange::from_bounds(start, start + changed.len());
            let family = content.family();
            let mut watched = Watched::default();
            watch(mapping, at, part, family, new, &mut watched);
            steps.show_watched(project(mapping, at, part, family, new), &watched);
        }
        Ok(steps)
    }
}
