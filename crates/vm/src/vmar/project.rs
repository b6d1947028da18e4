//! Projection: what the host should show, computed from the tree, and the calls that bring it there.
//!
//! 1. `view of a page` = the store page that its VMO has there, under the page's protection; or held, if no mapping is
//!    there or the page is past the end that the mapping knows ([`limit`]).
//! 2. A change is a list of steps, lowest first; each is one host call. Only what differs is in it.
//! 3. If a step fails, everything that the steps before it (and it) touched is shown again as the tree says, which the
//!    change has not touched yet.

use zxvm_host::{AddrRange, HostResult, Prot, StoreId, View, VmoRange, addr};

use super::mapping::Mapping;
use super::{AddressSpace, Layout, RegionId};
use crate::vmo::State;

/// One host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show this here instead of whatever there is.
    Show(AddrRange, View),
    /// Stores are shown here and stay; allow this.
    Protect(AddrRange, Prot),
}

impl Step {
    fn range(self) -> AddrRange {
        match self {
            Self::Show(range, _) | Self::Protect(range, _) => range,
        }
    }
}

/// Steps in the order of addresses; what can be one call becomes one.
#[derive(Debug, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    pub fn push(&mut self, step: Step) {
        if let Some(last) = self.0.last_mut()
            && last.range().end() == step.range().start()
        {
            let both = AddrRange::from_bounds(last.range().start(), step.range().end());
            match (*last, step) {
                (Step::Protect(_, a), Step::Protect(_, b)) if a == b => return *last = Step::Protect(both, a),
                (Step::Show(range, a), Step::Show(_, b)) if continues(range, a, b) => {
                    return *last = Step::Show(both, a);
                }
                (Step::Protect(..) | Step::Show(..), Step::Protect(..) | Step::Show(..)) => {}
            }
        }
        self.0.push(step);
    }

    pub fn show(&mut self, views: Vec<(AddrRange, View)>) {
        for (range, view) in views {
            self.push(Step::Show(range, view));
        }
    }
}

/// Whether what is shown behind `range` (which shows `a`) goes on as `b`.
fn continues(range: AddrRange, a: View, b: View) -> bool {
    match (a, b) {
        (View::Held, View::Held) => true,
        (View::Store { store: s, at, prot: p }, View::Store { store: t, at: next, prot: q }) => {
            s == t && p == q && at + range.len() == next
        }
        (View::Held, View::Store { .. }) | (View::Store { .. }, View::Held) => false,
    }
}

/// The same views in as few pieces as possible.
pub fn merged(views: Vec<(AddrRange, View)>) -> Vec<(AddrRange, View)> {
    let mut merged: Vec<(AddrRange, View)> = Vec::with_capacity(views.len());
    for (range, view) in views {
        if let Some(last) = merged.last_mut()
            && last.0.end() == range.start()
            && continues(last.0, last.1, view)
        {
            last.0 = AddrRange::from_bounds(last.0.start(), range.end());
        } else {
            merged.push((range, view));
        }
    }
    merged
}

/// Where the VMO ends for this mapping, in bytes of the VMO.
pub fn limit(mapping: &Mapping, state: &State) -> u64 {
    limit_with(mapping, state.size(), state.stream_size())
}

/// [`limit`] for sizes that the VMO may have one day.
pub fn limit_with(mapping: &Mapping, size: u64, stream_size: u64) -> u64 {
    if mapping.ends_with_stream { addr::round_up(stream_size).unwrap_or(u64::MAX).min(size) } else { size }
}

/// What `part` of the mapping at `base` should show, if its VMO ended at `limit`. Covers `part` without gaps.
pub fn project(
    mapping: &Mapping,
    base: AddrRange,
    part: AddrRange,
    state: &State,
    limit: u64,
) -> Vec<(AddrRange, View)> {
    let mut views = Vec::new();
    for (start, end, prot) in mapping.prots.runs(part.start() - base.start(), part.end() - base.start()) {
        let run = AddrRange::from_bounds(base.start() + start, base.start() + end);
        let shown = mapping.vmo_range(base, run);
        let mut at = shown.start();
        let addr = |offset: u64| run.start() + (offset - shown.start());
        let mut show = |from: u64, to: u64, view| {
            if from < to {
                views.push((AddrRange::from_bounds(addr(from), addr(to)), view));
            }
        };
        if let Some(inside) = shown.intersect(VmoRange::from_bounds(0, limit)) {
            for place in state.extents.places(inside) {
                let view = View::Store { store: place.window.store(), at: place.window.offset(place.at), prot };
                show(at, place.range.start(), View::Held);
                show(place.range.start(), place.range.end(), view);
                at = place.range.end();
            }
        }
        show(at, shown.end(), View::Held);
    }
    views
}

/// A run of pages of one mapping: where it is shown, which store from which byte on, and what is allowed.
pub type StoredRun = (AddrRange, StoreId, u64, Prot);

/// The stores behind `part` of the mapping at `base`.
pub fn stores(mapping: &Mapping, base: AddrRange, part: AddrRange, state: &State) -> Vec<StoredRun> {
    let views = project(mapping, base, part, state, limit(mapping, state));
    let stored = views.into_iter().filter_map(|(range, view)| match view {
        View::Held => None,
        View::Store { store, at, prot } => Some((range, store, at, prot)),
    });
    stored.collect()
}

impl Layout {
    /// What the tree says of `range` below `id`, without gaps.
    pub(super) fn views(&self, id: RegionId, range: AddrRange) -> Vec<(AddrRange, View)> {
        let mut views = Vec::new();
        let mut at = range.start();
        for (_, base, mapping) in self.mappings(id, range) {
            let part = base.intersect(range).expect("it touches");
            if at < part.start() {
                views.push((AddrRange::from_bounds(at, part.start()), View::Held));
            }
            let state = mapping.vmo.lock();
            views.extend(project(mapping, base, part, &state, limit(mapping, &state)));
            at = part.end();
        }
        if at < range.end() {
            views.push((AddrRange::from_bounds(at, range.end()), View::Held));
        }
        views
    }
}

impl AddressSpace {
    /// Makes the calls. The tree must still say what was before. Holds no VMO's lock.
    pub(super) fn apply(&self, layout: &mut Layout, steps: &Steps) -> HostResult {
        for (index, &step) in steps.0.iter().enumerate() {
            let result = match step {
                Step::Show(range, view) => self.host.map(range, view),
                Step::Protect(range, prot) => self.host.protect(range, prot),
            };
            if let Err(error) = result {
                for step in &steps.0[..=index] {
                    // What cannot be put back now is noted, and put back before the next change.
                    let _ = self.show_again(layout, step.range());
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Undoes applied steps, for a change that failed after them.
    pub(super) fn take_back(&self, layout: &mut Layout, steps: &Steps) {
        for step in &steps.0 {
            let _ = self.show_again(layout, step.range());
        }
    }

    /// Makes the host show what the tree says of `range`; notes it as damaged if it will not.
    pub(super) fn show_again(&self, layout: &mut Layout, range: AddrRange) -> HostResult {
        for (part, view) in merged(layout.views(self.root, range)) {
            if let Err(error) = self.host.restore(part, view) {
                layout.damaged.push(AddrRange::from_bounds(part.start(), range.end()));
                return Err(error);
            }
        }
        Ok(())
    }
}
