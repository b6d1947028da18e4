//! Projection: what the host should show, computed from the tree, and the calls that bring it there.
//!
//! 1. `view of a page` = the store page that its VMO has there, under the page's protection; or held, if no mapping is
//!    there or the page is past the end that the mapping knows ([`limit`]).
//! 2. In a mapping that may become writable, every page whose frame another content holds too is guarded. (Others may
//!    be.) It is not writable for an instant before that.
//! 3. A change is a list of steps; each is one host call. Only what differs is in it.
//! 4. If a step fails, everything that the steps before it (and it) touched is shown again as the tree says, which the
//!    change has not touched yet.

use zxvm_host::{AddrRange, HostError, HostResult, Prot, Room, StoreId, View, VmoRange, Watch, addr};

use super::mapping::Mapping;
use super::{AddressSpace, Layout, Part, RegionId};
use crate::vmo::family::FamilyState;
use crate::vmo::source::ROOT;

/// One host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show this here instead of whatever there is.
    Show(AddrRange, View),
    /// Stores are shown here and stay; allow this.
    Protect(AddrRange, Prot),
    /// Stores are shown here; watch them so.
    Watch(AddrRange, Watch),
    /// What is shown here is watched; guard it.
    Guard(AddrRange),
}

impl Step {
    fn range(self) -> AddrRange {
        match self {
            Self::Show(range, _) | Self::Protect(range, _) | Self::Watch(range, _) | Self::Guard(range) => range,
        }
    }
}

/// What is to be watched: where a content that is careful is shown in mappings that may ever be stored through, and where
/// one that a pager provides is shown at all.
#[derive(Debug, Default)]
pub struct Watched {
    /// All of that, and for what.
    pub ranges: Vec<(AddrRange, Watch)>,
    /// What of it is to be guarded.
    pub guards: Vec<AddrRange>,
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
                (Step::Guard(_), Step::Guard(_)) => return *last = Step::Guard(both),
                (
                    Step::Protect(..) | Step::Show(..) | Step::Watch(..) | Step::Guard(_),
                    Step::Protect(..) | Step::Show(..) | Step::Watch(..) | Step::Guard(_),
                ) => {}
            }
        }
        self.0.push(step);
    }

    /// Shows the views and watches `watched`, which are parts of them.
    pub fn show_watched(&mut self, views: Vec<(AddrRange, View)>, watched: &Watched) {
        // What may not be accessed in whatever way before it is watched is shown without that first.
        let absent = watched.ranges.iter().any(|&(_, what)| what != Watch::Guarded);
        let not_yet = match absent {
            true => Prot::all(),
            false if watched.guards.is_empty() => Prot::empty(),
            false => Prot::WRITE,
        };
        let mut later = Vec::new();
        for (range, view) in merged(views) {
            match view {
                View::Held => self.push(Step::Show(range, view)),
                View::Store { store, at, prot } => {
                    let first = prot.difference(not_yet);
                    self.push(Step::Show(range, View::Store { store, at, prot: first }));
                    if first != prot {
                        later.push((range, prot));
                    }
                }
            }
        }
        watched.ranges.iter().for_each(|&(range, what)| self.push(Step::Watch(range, what)));
        watched.guards.iter().for_each(|&guard| self.push(Step::Guard(guard)));
        later.into_iter().for_each(|(range, prot)| self.push(Step::Protect(range, prot)));
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
pub fn limit(mapping: &Mapping, family: &FamilyState) -> u64 {
    let vmo = &mapping.vmo;
    let end = vmo.limit_in(&family.contents[vmo.content() as usize]);
    limit_with(mapping, end.saturating_sub(vmo.base()), vmo.stream_size_in(family))
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
    family: &FamilyState,
    limit: u64,
) -> Vec<(AddrRange, View)> {
    let mut views = Vec::new();
    for (start, end, prot) in mapping.prots.runs(part.start() - base.start(), part.end() - base.start()) {
        let run = AddrRange::from_bounds(base.start() + start, base.start() + end);
        let shown = mapping.vmo_range(base, run);
        let mut at = run.start();
        let mut show = |from: u64, to: u64, view| {
            if from < to {
                views.push((AddrRange::from_bounds(from, to), view));
            }
        };
        if let Some(inside) = shown.intersect(VmoRange::from_bounds(0, limit)) {
            let inside = mapping.vmo.in_content(inside);
            let addr = |offset: u64| run.start() + (offset - inside.start());
            family.each_shown(mapping.vmo.content(), inside, |range, window, place, _| {
                let view = View::Store { store: window.store(), at: window.offset(place), prot };
                show(at, addr(range.start()), View::Held);
                show(addr(range.start()), addr(range.end()), view);
                at = addr(range.end());
            });
        }
        show(at, run.end(), View::Held);
    }
    views
}

/// Adds what is to be watched of `part` of the mapping at `base`, if its VMO ended at `limit`.
pub fn watch(
    mapping: &Mapping,
    base: AddrRange,
    part: AddrRange,
    family: &FamilyState,
    limit: u64,
    watched: &mut Watched,
) {
    let number = mapping.vmo.content();
    let storable = mapping.can.contains(Prot::WRITE);
    if !family.contents[number as usize].careful || !storable && family.source.is_none() {
        return;
    }
    let shown = mapping.vmo_range(base, part);
    let Some(inside) = shown.intersect(VmoRange::from_bounds(0, limit)) else { return };
    let inside = mapping.vmo.in_content(inside);
    let addrs = |range: VmoRange| {
        let start = part.start() + (range.start() - inside.start());
        AddrRange::from_bounds(start, start + range.len())
    };
    family.each_shown(number, inside, |range, _, _, of| {
        // What a pager provides, or another content has, is to be watched even where it is never stored to.
        let what = if of == number && family.paged(of).is_none() { Watch::Guarded } else { Watch::Absent };
        if !storable && what == Watch::Guarded {
            return;
        }
        let range = addrs(range);
        match watched.ranges.last_mut() {
            Some((last, before)) if last.end() == range.start() && *before == what => {
                *last = AddrRange::from_bounds(last.start(), range.end());
            }
            Some(_) | None => watched.ranges.push((range, what)),
        }
    });
    if !storable {
        return;
    }
    if let Some(source) = &family.source {
        for layer in family.layers(number, inside) {
            let whole = |run: VmoRange| {
                let start = layer.range.start() + (run.start() - layer.at);
                addrs(VmoRange::from_bounds(start, start + run.len()))
            };
            match layer.of {
                Some(ROOT) if number == ROOT => {
                    watched.guards.extend(source.guarded(layer.below()).into_iter().map(whole))
                }
                // Whatever is there is another one's.
                Some(ROOT) => watched.guards.extend(source.there(layer.below()).into_iter().map(whole)),
                Some(of) if of != number => watched.guards.push(addrs(layer.range)),
                Some(_) | None => {}
            }
        }
    }
    if !family.frames.is_empty() {
        let cells = family.cells(number, inside).into_iter().filter(|cell| cell.is_shared());
        watched.guards.extend(cells.map(|cell| addrs(cell.range)));
    }
}

/// A run of pages of one mapping: where it is shown, which store from which byte on, and what is allowed.
pub type StoredRun = (AddrRange, StoreId, u64, Prot);

/// The stores behind `part` of the mapping at `base`.
pub fn stores(mapping: &Mapping, base: AddrRange, part: AddrRange, family: &FamilyState) -> Vec<StoredRun> {
    let views = project(mapping, base, part, family, limit(mapping, family));
    let stored = views.into_iter().filter_map(|(range, view)| match view {
        View::Held => None,
        View::Store { store, at, prot } => Some((range, store, at, prot)),
    });
    stored.collect()
}

impl Layout {
    /// What the tree says of `range` below `id`, without gaps, and what of it is to be watched.
    pub(super) fn views(&self, id: RegionId, range: AddrRange) -> (Vec<(AddrRange, View)>, Watched) {
        let (mut views, mut watched) = (Vec::new(), Watched::default());
        let mut at = range.start();
        for (_, base, mapping) in self.mappings(id, range) {
            let part = base.intersect(range).expect("it touches");
            if at < part.start() {
                views.push((AddrRange::from_bounds(at, part.start()), View::Held));
            }
            let content = mapping.vmo.lock();
            let (family, limit) = (content.family(), limit(mapping, content.family()));
            views.extend(project(mapping, base, part, family, limit));
            watch(mapping, base, part, family, limit, &mut watched);
            at = part.end();
        }
        if at < range.end() {
            views.push((AddrRange::from_bounds(at, range.end()), View::Held));
        }
        (views, watched)
    }

    /// The runs of equal protection of a part of a mapping.
    pub(super) fn prots(&self, root: RegionId, part: &Part) -> Vec<(AddrRange, Prot)> {
        let (_, base, mapping) = self.first_mapping(root, part.base).expect("it is there");
        let start = base.start();
        let runs = mapping.prots.runs(part.addrs.start() - start, part.addrs.end() - start);
        runs.map(|(from, to, prot)| (AddrRange::from_bounds(start + from, start + to), prot)).collect()
    }
}

impl AddressSpace {
    /// Makes the calls. The tree must still say what was before. Holds no VMO's lock.
    pub(super) fn apply(&self, layout: &Layout, steps: &Steps) -> HostResult {
        for (index, &step) in steps.0.iter().enumerate() {
            if let Err(error) = self.step(step, Room::Ordinary) {
                for step in &steps.0[..=index] {
                    // What cannot be put back now is noted, and put back before the next change.
                    let _ = self.show_again(layout, step.range());
                }
                return Err(error);
            }
        }
        self.wake_shown(&steps.0);
        Ok(())
    }

    fn step(&self, step: Step, room: Room) -> HostResult {
        match (step, room) {
            (Step::Show(range, view), Room::Ordinary) => self.host.map(range, view),
            (Step::Show(range, view), Room::Reserve) => self.host.restore(range, view),
            (Step::Protect(range, prot), room) => self.host.protect(range, prot, room),
            (Step::Watch(range, what), room) => self.watch(range, what, room),
            (Step::Guard(range), _) => self.host.guard(range),
        }
    }

    /// Those who wait where something was shown anew try again: the host leaves them asleep.
    fn wake_shown(&self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Show(range, _) => self.wake_parked(*range),
                Step::Protect(..) | Step::Watch(..) | Step::Guard(_) => {}
            }
        }
    }

    /// Watches `range`. Where pages are only to be guarded one day and that cannot be had, who needs a guard finds out.
    pub(super) fn watch(&self, range: AddrRange, what: Watch, room: Room) -> HostResult {
        match self.host.watch(range, what, room) {
            Err(HostError::NotSupported) if what == Watch::Guarded => Ok(()),
            result => result,
        }
    }

    /// Undoes applied steps, for a change that failed after them.
    pub(super) fn take_back(&self, layout: &Layout, steps: &Steps) {
        for step in &steps.0 {
            let _ = self.show_again(layout, step.range());
        }
    }

    /// Makes the host show what the tree says of `range`; notes it as damaged if it will not.
    pub(super) fn show_again(&self, layout: &Layout, range: AddrRange) -> HostResult {
        let (views, watched) = layout.views(self.root, range);
        self.show_all(layout, range, views, &watched)
    }

    /// [`AddressSpace::show_again`] for a part of one mapping, with the lock of its VMO's family held.
    pub(super) fn show_locked(&self, layout: &Layout, family: &FamilyState, range: AddrRange) -> HostResult {
        let (_, base, mapping) = layout.first_mapping(self.root, range).expect("a part of a mapping");
        let limit = limit(mapping, family);
        let views = project(mapping, base, range, family, limit);
        let mut watched = Watched::default();
        watch(mapping, base, range, family, limit, &mut watched);
        self.show_all(layout, range, views, &watched)
    }

    fn show_all(
        &self,
        layout: &Layout,
        range: AddrRange,
        views: Vec<(AddrRange, View)>,
        watched: &Watched,
    ) -> HostResult {
        let mut steps = Steps::default();
        steps.show_watched(merged(views), watched);
        let result = steps.0.iter().try_for_each(|&step| self.step(step, Room::Reserve));
        let result = result.inspect_err(|_| {
            if !watched.ranges.is_empty() {
                // Until it can be shown right, nothing is: a store must not reach what is another one's.
                let _ = self.host.restore(range, View::Held);
            }
            layout.note_damaged(range);
        });
        self.wake_shown(&steps.0);
        result
    }
}
