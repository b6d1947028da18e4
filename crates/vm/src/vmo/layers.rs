//! What a content shows where it has nothing of its own: contents over others.
//!
//! 1. A content that was made of a pager's VMO, or of another such one, lies *over* that. Where it has an extent it shows
//!    what is there, its own; else what its parent shows there, up to its `reach`; else zeros.
//! 2. So its extents are exactly what it has of its own: what was written to, and what lies beyond its reach.
//! 3. A reach only shrinks: with the content, and with what is below it.
//! 4. Contents that share frames over the same parent are a *pair* (there may be more than two). Nobody lies over one of
//!    them.
//! 5. A content is there as long as somebody lies over it.

use std::sync::Arc;

use zxvm_host::VmoRange;

use super::family::FamilyState;
use super::source::ROOT;
use crate::pager::PageState;
use crate::store::Window;

/// How a content lies over another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Over which.
    pub parent: u32,
    /// Up to which byte, counted from the start of the root.
    pub reach: u64,
    /// Of which pair it is, if of any: the number of the one that was there first, which others may bear later.
    pub pair: Option<u64>,
}

/// A run of pages of a content that come from one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which.
    pub range: VmoRange,
    /// Whose they are; `None`: nobody's, they are zero.
    pub of: Option<u32>,
    /// Which of that one's, from here on.
    pub at: u64,
}

impl Layer {
    /// The pages as those of whose they are.
    pub fn below(&self) -> VmoRange {
        VmoRange::from_bounds(self.at, self.at + self.range.len())
    }
}

impl FamilyState {
    /// How a content lies over another, if it does.
    pub fn over(&self, content: u32) -> Option<Over> {
        self.source.as_deref().and_then(|source| source.over.get(&content).copied())
    }

    /// The run at the start of `range` of a content.
    pub fn first_layer(&self, content: u32, range: VmoRange) -> Layer {
        let own = Layer { range, of: Some(content), at: range.start() };
        let Some(over) = self.over(content) else { return own };
        let cut = |end: u64| VmoRange::from_bounds(range.start(), range.end().min(end));
        let held = &self.contents[content as usize];
        if let Some((_, _, left)) = held.extents.at(range.start()) {
            return Layer { range: cut(range.start() + left), ..own };
        }
        let next = held.extents.places(range).next().map_or(range.end(), |place| place.range.start());
        let gap = cut(next);
        let reach = over.reach.saturating_sub(held.origin);
        if gap.start() >= reach {
            return Layer { range: gap, of: None, at: 0 };
        }
        let gap = VmoRange::from_bounds(gap.start(), gap.end().min(reach));
        let parent = self.contents[over.parent as usize].origin;
        let start = held.origin + gap.start() - parent;
        let below = self.first_layer(over.parent, VmoRange::from_bounds(start, start + gap.len()));
        Layer { range: VmoRange::from_bounds(gap.start(), gap.start() + below.range.len()), ..below }
    }

    /// All of `range` of a content, lowest first, without gaps.
    pub fn layers(&self, content: u32, range: VmoRange) -> impl Iterator<Item = Layer> + '_ {
        let mut at = range.start();
        core::iter::from_fn(move || {
            (at < range.end()).then(|| {
                let layer = self.first_layer(content, VmoRange::from_bounds(at, range.end()));
                at = layer.range.end();
                layer
            })
        })
    }

    /// Where what a content shows in `range` is stored: which pages, in which window, from which byte of it on, and whose it
    /// is. What has no place is left out.
    pub fn each_shown(&self, content: u32, range: VmoRange, mut each: impl FnMut(VmoRange, &Arc<Window>, u64, u32)) {
        if self.over(content).is_none() {
            for place in self.contents[content as usize].extents.places(range) {
                each(place.range, place.window, place.at, content);
            }
            return;
        }
        for layer in self.layers(content, range) {
            let Some(of) = layer.of else { continue };
            for place in self.contents[of as usize].extents.places(layer.below()) {
                let start = layer.range.start() + (place.range.start() - layer.at);
                each(VmoRange::from_bounds(start, start + place.range.len()), place.window, place.at, of);
            }
        }
    }

    /// Who else shows pages of `range` of a content as its own: others that lie over it, each with its pages.
    pub fn seen_through(&self, content: u32, range: VmoRange) -> Vec<(u32, VmoRange)> {
        self.shown_by_others(content, range, |_, of| of == Some(content))
    }

    /// What others that lie over a content, at whatever distance, show as nobody's where `range` of it is: each with its
    /// pages, the lowest first.
    pub fn nobodys_over(&self, content: u32, range: VmoRange) -> Vec<(u32, VmoRange)> {
        let mut shown =
            self.shown_by_others(content, range, |other, of| of.is_none() && self.lies_over(other, content));
        shown.sort_by_key(|&(other, _)| self.below(other).count());
        shown
    }

    /// The pages of others at the place of `range` of a content, as far as `which` is true of the other and of whose they are.
    fn shown_by_others(
        &self,
        content: u32,
        range: VmoRange,
        which: impl Fn(u32, Option<u32>) -> bool,
    ) -> Vec<(u32, VmoRange)> {
        let Some(source) = self.source.as_deref() else { return Vec::new() };
        let origin = self.contents[content as usize].origin;
        let mut seen = Vec::new();
        for &other in source.over.keys().filter(|&&other| other != content) {
            let held = &self.contents[other as usize];
            let local = |at: u64| (origin + at).saturating_sub(held.origin).min(held.size);
            let range = VmoRange::from_bounds(local(range.start()), local(range.end()));
            let shown = self.layers(other, range).filter(|layer| which(other, layer.of));
            seen.extend(shown.map(|layer| (other, layer.range)));
        }
        seen
    }

    /// What of `range` of a content it shows of a root whose pager has not supplied it.
    pub fn absent_below(&self, content: u32, range: VmoRange) -> Vec<VmoRange> {
        let Some(source) = self.source.as_deref() else { return Vec::new() };
        let mut absent = Vec::new();
        for layer in self.layers(content, range).filter(|layer| layer.of == Some(ROOT)) {
            for run in source.states.runs_where(layer.below(), |state| state == PageState::Absent) {
                let start = layer.range.start() + (run.start() - layer.at);
                absent.push(VmoRange::from_bounds(start, start + run.len()));
            }
        }
        absent
    }

    /// Whether `above` lies over `below`, at whatever distance.
    pub fn lies_over(&self, above: u32, below: u32) -> bool {
        self.below(above).any(|over| over.parent == below)
    }

    /// How a content lies over another, that over the next, and so on down to the root.
    fn below(&self, content: u32) -> impl Iterator<Item = Over> + '_ {
        core::iter::successors(self.over(content), |over| self.over(over.parent))
    }

    /// What of `range` of a content that lies over another is zero though there may be something below: it has a place of its
    /// own, outside `runs`, which are committed.
    pub fn zeros_over(&self, content: u32, range: VmoRange, runs: &[VmoRange]) -> Vec<VmoRange> {
        let Some(over) = self.over(content) else { return Vec::new() };
        let held = &self.contents[content as usize];
        let reach = VmoRange::from_bounds(0, over.reach.saturating_sub(held.origin));
        let Some(range) = range.intersect(reach) else { return Vec::new() };
        let mut zeros = Vec::new();
        for place in held.extents.places(range) {
            let mut at = place.range.start();
            let first = runs.partition_point(|run| run.end() <= at);
            let inside = runs[first..].iter().map_while(|run| run.intersect(place.range));
            for (start, end) in inside.map(|run| (run.start(), run.end())).chain([(place.range.end(), u64::MAX)]) {
                if at < start {
                    zeros.push(VmoRange::from_bounds(at, start));
                }
                at = end;
            }
        }
        zeros
    }

    /// A content ends at `end` of its own now: what lies over it does not reach further.
    pub fn shorten_reaches(&mut self, content: u32, end: u64) {
        let end = self.contents[content as usize].origin.saturating_add(end);
        let Some(source) = self.source.as_deref_mut() else { return };
        for (&other, over) in &mut source.over {
            if other == content || over.parent == content {
                over.reach = over.reach.min(end);
            }
        }
    }

    /// Whether somebody lies over a content.
    pub fn is_below(&self, content: u32) -> bool {
        self.source.as_deref().is_some_and(|source| source.over.values().any(|over| over.parent == content))
    }

    /// Whether a content shares frames with another that is there.
    pub fn is_paired(&self, content: u32) -> bool {
        let pair = self.over(content).and_then(|over| over.pair);
        let others = self.source.iter().flat_map(|source| &source.over);
        pair.is_some_and(|pair| others.into_iter().any(|(&other, over)| other != content && over.pair == Some(pair)))
    }

    /// Asserts the invariants.
    pub fn audit_layers(&self) {
        let Some(source) = self.source.as_deref() else { return };
        for (number, held) in &self.contents {
            let number = number as u32;
            assert_eq!(number != ROOT, source.over.contains_key(&number), "content {number}");
            assert!(held.nodes > 0 || self.is_below(number), "content {number} is nobody's");
            let Some(over) = self.over(number) else { continue };
            let parent = &self.contents[over.parent as usize];
            assert!(
                over.reach <= (held.origin + held.size).min(parent.origin + parent.size),
                "content {number}: {over:?}"
            );
            let paired = self.is_paired(number);
            assert!(over.pair.is_none() || !self.is_below(number) || !paired, "content {number}");
            let others = source.over.values().filter(|other| other.pair == over.pair);
            assert!(
                !paired || others.into_iter().all(|other| other.parent == over.parent),
                "content {number} is of a pair whose others lie elsewhere: {over:?}"
            );
            let shared = self.first_shared(number, held.whole());
            assert!(shared.is_none() || paired, "content {number} is of no pair, and shares {shared:?}");
        }
    }
}
