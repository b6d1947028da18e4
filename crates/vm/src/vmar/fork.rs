//! A content that lies over another gets pages of its own for what it shows of that.
//!
//! 1. What others have is never stored to through a mapping of a content that lies over them: it is guarded there, wherever
//!    it is committed, and so the first store comes here.
//! 2. A fork is: those who see the content through another mapping wait; copy; show; change the books; show them the new
//!    place. If nothing could be shown all is as before.
//! 3. Nothing is forked that the pager has to provide still: whoever forks has fetched it.

use zxvm_host::{Answer, HostError, PAGE_SIZE, Room, StoreRange, VmoRange, Wait, Waiting, Watch};
use zxvm_types::Status;

use super::cow::{Keep, Part};
use super::fetch::{Next, Want};
use super::{AddressSpace, Layout};
use crate::error::status;
use crate::pager::{PageState, Who};
use crate::vmo::Vmo;
use crate::vmo::family::{FamilyState, Locked};
use crate::vmo::source::ROOT;

impl Layout {
    /// The parts of mappings that show a page of `range` of a content, its own or others that lie over it.
    pub fn parts_seen(&self, space: &AddressSpace, family: &FamilyState, content: u32, range: VmoRange) -> Vec<Part> {
        let mut parts = Vec::new();
        match family.over(content) {
            None => parts.extend(self.parts(space.root, family, content, range)),
            Some(_) => {
                for layer in family.layers(content, range).filter(|layer| layer.of == Some(content)) {
                    parts.extend(self.parts(space.root, family, content, layer.range));
                }
            }
        }
        for (other, range) in family.seen_through(content, range) {
            parts.extend(self.parts(space.root, family, other, range));
        }
        parts
    }
}

impl AddressSpace {
    /// Gives the content pages of its own for all of `range` that it shows of others. What a root has of it is there.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: what came before is done, and nobody can tell.
    pub(super) fn fork(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
        keep: Keep,
    ) -> Result<(), Status> {
        let (number, size) = (content.number(), content.size);
        let mut at = range.start();
        while at < range.end() {
            let layer = content.family().first_layer(number, VmoRange::from_bounds(at, range.end()));
            at = layer.range.end();
            let Some(of) = layer.of.filter(|&of| of != number) else { continue };
            let family = content.family_mut();
            let (run, window, place) = family.other_place(&vmo.family().stores, number, layer.range, size)?;
            at = run.end();
            let undo = |family: &mut FamilyState, parts: &[Part]| {
                family.free(&*self.host, &window, window.part(place, run.len()));
                for part in parts {
                    let _ = self.show_locked(layout, family, part.addrs);
                }
            };
            let below = VmoRange::from_bounds(layer.at, layer.at + run.len());
            let copied = match keep {
                Keep::All => self
                    .copy_below(family, of, below, &mut |into, len| (window.store(), window.part(place + into, len))),
                Keep::Nothing => Ok(()),
            };
            if let Err(error) = copied {
                undo(family, &[]);
                return Err(error);
            }
            // Those who see it through this one.
            let seen = family.seen_through(of, below);
            let seen: Vec<Part> = seen
                .into_iter()
                .filter(|&(other, _)| other != number && family.lies_over(other, number))
                .flat_map(|(other, range)| layout.parts(self.root, family, other, range))
                .collect();
            for (index, part) in seen.iter().enumerate() {
                let waits = self.host.watch(part.addrs, Watch::Unentered, Room::Ordinary);
                match waits.and_then(|()| self.host.drop_entries(&[part.addrs])) {
                    Ok(()) | Err(HostError::NotSupported) => {}
                    Err(error) => {
                        undo(family, &seen[..=index]);
                        return Err(status(error));
                    }
                }
            }
            if let Err(error) = self.show_moved(layout, family, number, run, &window, place) {
                undo(family, &seen);
                return Err(error);
            }
            family.contents[number as usize].extents.replace(run, &window, place);
            vmo.family().moved();
            for part in &seen {
                // What is refused is shown later, to who comes there.
                let _ = self.show_locked(layout, family, part.addrs);
            }
        }
        Ok(())
    }

    /// Copies pages of a content to where `target` says, by how far they are from the start.
    fn copy_below(
        &self,
        family: &FamilyState,
        of: u32,
        below: VmoRange,
        target: &mut dyn FnMut(u64, u64) -> (zxvm_host::StoreId, StoreRange),
    ) -> Result<(), Status> {
        let mut runs = Vec::new();
        match family.paged(of) {
            Some(source) => {
                debug_assert!(source.states.runs(below).all(|(_, state)| state != PageState::Absent));
                runs = source.states.runs_where(below, PageState::has_page);
            }
            None => runs.push(below),
        }
        for run in runs {
            for place in family.contents[of as usize].extents.places(run) {
                let start = place.window.part(place.at, place.range.len());
                let mut committed = Vec::new();
                self.host
                    .committed_runs(place.window.store(), start, &mut |run| committed.push(run))
                    .map_err(status)?;
                for from in committed {
                    let into = place.range.start() - below.start() + (from.start() - start.start());
                    let (store, to) = target(into, from.len());
                    let copied = self.host.copy(place.window.store(), from, store, to.start());
                    copied.map_err(|halfway| status(halfway.error))?;
                }
            }
        }
        Ok(())
    }

    /// An access to the page of a content at the start of `range`, which may lie over others. `None`: what is there is its own.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: it has to wait longer.
    pub(super) fn access_over(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
        waiting: Waiting,
    ) -> Result<Option<Answer>, Status> {
        let layer = content.family().first_layer(content.number(), range);
        let Some(of) = layer.of.filter(|&of| of != content.number()) else { return Ok(None) };
        let stores = waiting.store || waiting.reason == Wait::Guarded;
        if of == ROOT {
            let source = content.family_mut().source.as_deref_mut().expect("there is a root");
            match source.next(layer.below(), Want::Present) {
                Next::Ask(kind, run) => {
                    return match source.ask(kind, run, Who::Access(waiting)) {
                        Ok(()) => Ok(Some(self.park(waiting))),
                        Err(status) => Ok(Some(Answer::Fail(status.into_raw()))),
                    };
                }
                Next::Ready(_) => {}
            }
        }
        if stores {
            self.fork(layout, vmo, content, range, Keep::All)?;
            return Ok(Some(Answer::Again));
        }
        if of == ROOT {
            self.load_zero(layout, vmo, content, layer.at)?;
        } else {
            let (window, at, _) = content.family().contents[of as usize].extents.at(layer.at).expect("its own");
            let (window, part) = (window.clone(), window.part(at, PAGE_SIZE));
            for part in layout.parts_seen(self, content.family(), of, layer.below()) {
                if part.storable && !content.family().contents[of as usize].mappings.contains(&part.base.start()) {
                    self.host.guard(part.addrs).map_err(status)?;
                }
            }
            self.host.commit(window.store(), part, None).map_err(status)?;
        }
        Ok(Some(Answer::Again))
    }

    /// The content ends earlier than it did: what lies over it shows zeros of its own from there on.
    pub(super) fn shorten_over(&self, layout: &Layout, vmo: &Vmo, end: u64, old: u64) {
        let content = &mut vmo.lock();
        let number = content.number();
        let family = content.family_mut();
        family.shorten_reaches(number, end);
        // Also where it has nothing of its own any more: what it showed there was shown through it.
        for (other, range) in family.nobodys_over(number, VmoRange::from_bounds(end.min(old), old)) {
            let whole = family.contents[other as usize].whole();
            let placed = family.ensure(&vmo.family().stores, other, range, whole);
            for part in layout.parts(self.root, family, other, range) {
                match placed {
                    Ok(()) => drop(self.show_locked(layout, family, part.addrs)),
                    Err(_) => layout.note_damaged(part.addrs),
                }
            }
        }
    }
}
