//! What a pager does to its VMOs: it refuses pages, lets them become dirty, saves them, lets go. (How it supplies them: `supply`.)
//!
//! Every one of these is made under the layout lock, for reading, and the family's lock, a step at a time; those who waited
//! are woken at the end of a step.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use zxvm_host::{AddrRange, PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::{AddressSpace, Layout};
use crate::error::{NO_ROOM, status};
use crate::pager::{PageState, RequestKind, Woken};
use crate::store::StoreSet;
use crate::vmo::Vmo;
use crate::vmo::family::Locked;
use crate::vmo::source::{Pager, PagerVmoRequest, Provider, ROOT, Source};

/// What a pager does with a range of its VMO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagerOp {
    /// Those who wait for it get this status.
    Fail(Status),
    /// It may be stored to.
    Dirty,
    /// It is being saved from here on.
    WritebackBegin {
        /// Only what is zero without pages.
        zero_only: bool,
    },
    /// It has been saved.
    WritebackEnd,
}

/// A run of pages that differs from what the pager has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirtyRange {
    /// Bytes from the VMO's start.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Whether it is zero, and has no pages.
    pub is_zero: bool,
}

impl AddressSpace {
    /// Makes a VMO whose pages `pager` provides.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: this process has no userfaultfd. `BAD_STATE`: the pager is closed. `OUT_OF_RANGE`: too large.
    ///
    /// Source: pager.md §3.
    pub fn create_pager_vmo(
        &self,
        stores: &Arc<StoreSet>,
        pager: &Arc<Pager>,
        request: PagerVmoRequest,
    ) -> Result<Arc<Vmo>, Status> {
        let vmo = Vmo::create_paged(stores, pager, &self.reclaim, request)?;
        match self.host.can_watch().map_err(status) {
            Ok(()) => {
                self.paged.store(true, Ordering::Relaxed);
                self.enlist(&vmo);
                Ok(vmo)
            }
            Err(error) => {
                // Nobody was told of it: it goes without a word.
                if let Some(source) = vmo.lock().paged_mut() {
                    source.provider = Provider::Closed;
                }
                Err(error)
            }
        }
    }

    /// Whether the VMO was made by this pager. What was made of it was not.
    pub fn is_pagers(&self, pager: &Pager, vmo: &Vmo) -> bool {
        vmo.lock().paged().is_some_and(|source| is_pagers(source, pager, vmo))
    }

    /// Applies `op` to `[offset, offset + len)` of the VMO; both are whole pages.
    ///
    /// # Errors
    /// Step 4 and what step 5 of pager.md §5 says from the ranges on, in that order; `NO_MEMORY`, `NO_RESOURCES`, and all is
    /// as before.
    pub fn pager_op_range(&self, pager: &Pager, vmo: &Vmo, op: PagerOp, offset: u64, len: u64) -> Result<(), Status> {
        let mut woken = Woken::new();
        let result = loop {
            let relief = self.reclaim.relief();
            match self.pager_op(pager, vmo, op, (offset, len), &mut woken) {
                // A pager that is made to wait might wait for itself: those who want to store do, and ask again.
                Err(NO_ROOM) => match self.make_room() {
                    Ok(true) => {}
                    Ok(false) => {
                        self.starve(
                            vmo.family(),
                            RequestKind::Dirty,
                            VmoRange::from_bounds(offset, offset + len),
                            relief,
                        );
                        break Err(Status::NO_MEMORY);
                    }
                    Err(error) => break Err(error),
                },
                result => break result,
            }
        };
        self.wake(woken);
        self.trim();
        result
    }

    fn pager_op(
        &self,
        pager: &Pager,
        vmo: &Vmo,
        op: PagerOp,
        (offset, len): (u64, u64),
        woken: &mut Woken,
    ) -> Result<(), Status> {
        let layout = self.layout.read();
        let content = &mut vmo.lock();
        if !content.paged().is_some_and(|source| is_pagers(source, pager, vmo)) {
            return Err(Status::INVALID_ARGS);
        }
        if op == PagerOp::Dirty {
            return self.let_become_dirty(&layout, vmo, content, (offset, len), woken);
        }
        vmo.check_range(content, offset, len)?;
        let range = VmoRange::from_bounds(offset, offset + len);
        match op {
            PagerOp::Fail(status) => {
                check_there(content)?;
                let source = content.paged_mut().expect("a root");
                source.requests.fail(&*source.port, range, status, woken);
            }
            PagerOp::Dirty => unreachable!("see above"),
            PagerOp::WritebackBegin { zero_only } => {
                let source = content.paged().expect("a root");
                if !zero_only {
                    // A store that comes after this waits, and finds what is being saved.
                    for run in source.states.runs_where(range, |state| state == PageState::Dirty) {
                        self.guard_shown(&layout, content.family(), run)?;
                    }
                }
                let source = content.paged_mut().expect("a root");
                source.states.begin_writeback(range, zero_only);
                source.changed(range);
            }
            PagerOp::WritebackEnd => {
                let source = content.paged_mut().expect("a root");
                source.states.end_writeback(range);
                source.changed(range);
                let loaded: Vec<u64> = source.loaded.range(range.start()..range.end()).copied().collect();
                for page in loaded {
                    let page = VmoRange::from_bounds(page, page + PAGE_SIZE);
                    if content.paged().expect("a root").states.at(page.start()) == PageState::Absent {
                        self.drop_loaded(vmo, content, page);
                    }
                }
                self.reclaim.eased();
            }
        }
        Ok(())
    }

    /// A zero page that a load has brought is to be absent.
    fn drop_loaded(&self, vmo: &Vmo, content: &mut Locked<'_>, page: VmoRange) {
        let state = match vmo.free(content, page) {
            Ok(()) => {
                vmo.family().moved();
                PageState::Absent
            }
            // It is a page that is as the pager has it, then.
            Err(_) => PageState::Clean,
        };
        content.paged_mut().expect("a root").set(page, state);
    }

    fn let_become_dirty(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        (offset, len): (u64, u64),
        woken: &mut Woken,
    ) -> Result<(), Status> {
        if !content.paged().expect("a root").trap_dirty {
            return Err(Status::NOT_SUPPORTED);
        }
        let end = offset.checked_add(len).filter(|_| offset <= content.size).ok_or(Status::OUT_OF_RANGE)?;
        let (range, size) = (VmoRange::from_bounds(offset, end), content.size);
        let source = content.paged_mut().expect("a root");
        if end > size {
            source.resolve(RequestKind::Dirty, range, woken);
            return Err(Status::OUT_OF_RANGE);
        }
        check_there(content)?;
        let source = content.paged_mut().expect("a root");
        if source.states.runs(range).any(|(_, state)| state == PageState::Absent) {
            source.resolve(RequestKind::Dirty, range, woken);
            return Err(Status::NOT_FOUND);
        }
        if range.is_empty() {
            return Ok(());
        }
        self.make_dirty(layout, vmo, content, range)?;
        // Only those who wait for these pages are let go: the first store of any other is to be seen. (Others may have waited
        // by the same request, for what was let become dirty before, and is being saved by now.)
        let parts = layout.parts(self.root, content.family(), ROOT, range);
        let source = content.paged_mut().expect("a root");
        source.resolve(RequestKind::Dirty, range, woken);
        for (waiting, _) in &*woken {
            let page = AddrRange::from_bounds(waiting.page, waiting.page + PAGE_SIZE);
            if !parts.iter().any(|part| part.addrs.contains(page)) {
                continue;
            }
            source.modified = true;
            // If it is refused the store asks for it again.
            let _ = self.host.unguard(page);
        }
        Ok(())
    }

    /// The pager lets go of the VMO: nothing more is asked for, and what is as the pager has it is dropped.
    ///
    /// # Errors
    /// `INVALID_ARGS`: not this pager's.
    ///
    /// Source: pager.md §3.
    pub fn detach_vmo(&self, pager: &Pager, vmo: &Vmo) -> Result<(), Status> {
        let mut woken = Woken::new();
        {
            let _layout = self.layout.read();
            let content = &mut vmo.lock();
            let size = content.size;
            let source = content.paged_mut().filter(|source| is_pagers(source, pager, vmo));
            let source = source.ok_or(Status::INVALID_ARGS)?;
            match source.provider {
                Provider::There => {
                    source.provider = Provider::Detached;
                    source.end_requests(&mut woken);
                    source.port.complete();
                }
                Provider::Detached | Provider::Closed => {}
            }
            let clean = |state| match state {
                PageState::Clean | PageState::CleanZero => true,
                PageState::Absent | PageState::AwaitingClean | PageState::Dirty | PageState::DirtyZero => false,
            };
            let runs = source.states.runs_where(VmoRange::from_bounds(0, size), clean);
            // Before they go: who copies from them without the lock looks afterwards.
            vmo.family().moved();
            for run in runs {
                // What the host does not free stays.
                let _ = vmo.drop_pages(content, run, |source, part| source.set(part, PageState::Absent));
            }
        }
        self.wake(woken);
        Ok(())
    }

    /// The last handle to the pager has gone: nobody is asked any more.
    ///
    /// Source: pager.md §3.
    pub fn close_pager(&self, pager: &Pager) {
        for family in pager.close() {
            let mut woken = Woken::new();
            // What is gone meanwhile has no source any more.
            if let Some(source) = &mut family.lock(ROOT).family_mut().source {
                match source.provider {
                    Provider::There => source.provider = Provider::Closed,
                    Provider::Detached | Provider::Closed => {}
                }
                source.end_requests(&mut woken);
            }
            self.wake(woken);
        }
    }

    /// All dirty ranges around `[offset, offset + len)`, in bytes, lowest first.
    ///
    /// # Errors
    /// `INVALID_ARGS`: not this pager's. `OUT_OF_RANGE`.
    ///
    /// Source: pager.md §8.
    pub fn dirty_ranges(&self, pager: &Pager, vmo: &Vmo, offset: u64, len: u64) -> Result<Vec<DirtyRange>, Status> {
        let content = vmo.lock();
        let source = content.paged().filter(|source| is_pagers(source, pager, vmo)).ok_or(Status::INVALID_ARGS)?;
        vmo.check_range(&content, offset, len)?;
        let end = addr::round_up(offset + len).expect("inside the VMO");
        let dirty = source.states.dirty(VmoRange::from_bounds(addr::round_down(offset), end));
        let range = |run: &crate::pager::DirtyRun| DirtyRange {
            offset: run.range.start(),
            length: run.range.len(),
            is_zero: run.is_zero,
        };
        Ok(dirty.iter().map(range).collect())
    }

    /// Whether the VMO was modified, and if `reset` forgets that.
    ///
    /// # Errors
    /// `INVALID_ARGS`: not this pager's.
    ///
    /// Source: pager.md §8.
    pub fn was_modified(&self, pager: &Pager, vmo: &Vmo, reset: bool) -> Result<bool, Status> {
        let content = &mut vmo.lock();
        let source = content.paged_mut().filter(|source| is_pagers(source, pager, vmo)).ok_or(Status::INVALID_ARGS)?;
        let modified = source.modified;
        source.modified &= !reset;
        Ok(modified)
    }
}

pub(super) fn is_pagers(source: &Source, pager: &Pager, vmo: &Vmo) -> bool {
    core::ptr::eq(&*source.pager, pager) && source.koid == vmo.koid()
}

/// # Errors
/// `BAD_STATE`: the pager has let go of the VMO.
pub(super) fn check_there(content: &Locked<'_>) -> Result<(), Status> {
    match content.paged().expect("a root").provider {
        Provider::There => Ok(()),
        Provider::Detached | Provider::Closed => Err(Status::BAD_STATE),
    }
}
