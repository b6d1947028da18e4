//! A walk through all regions and mappings for whoever watches from outside, and must be in nobody's way.
//!
//! 1. Under the layout lock only the tree is walked; no host is asked, no VMO locked. What the VMOs use is asked for later.
//! 2. Nothing is kept alive: VMOs that have gone meanwhile have gone.

use std::sync::{Arc, Weak};

use zxvm_host::{AddrRange, Prot, VmoRange};

use super::{AddressSpace, Child, Layout, RegionId, Vmar};
use crate::vmo::Vmo;

/// What was found, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Regions and mappings, depth first, lowest first.
    pub found: Vec<Surveyed>,
    /// How many more there are.
    pub left_out: u64,
}

/// A region, or a run of pages of one mapping that allow the same.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// Where.
    pub range: AddrRange,
    /// How far below the root, which is at depth 0.
    pub depth: usize,
    /// What.
    pub what: SurveyedKind,
}

/// What a [`Surveyed`] is.
#[derive(Clone, Debug)]
pub enum SurveyedKind {
    /// A region.
    Region(Vmar),
    /// Pages of a mapping.
    Mapping {
        /// What they allow.
        prot: Prot,
        /// The VMO that they show.
        vmo: Weak<Vmo>,
        /// The part of it.
        shown: VmoRange,
    },
}

impl AddressSpace {
    /// At most `most` regions and mappings, from the root on.
    pub fn survey(self: &Arc<Self>, most: usize) -> Survey {
        let mut survey = Survey::default();
        self.look_through(&self.layout.read(), self.root, 0, most, &mut survey);
        survey
    }

    fn look_through(self: &Arc<Self>, layout: &Layout, id: RegionId, depth: usize, most: usize, survey: &mut Survey) {
        let region = layout.regions.get(id).expect("alive");
        let vmar = Vmar { space: self.clone(), id, range: region.range };
        survey.add(most, || Surveyed { range: region.range, depth, what: SurveyedKind::Region(vmar) });
        for (base, child) in region.children.touching(region.range) {
            match child {
                Child::Region(below) => self.look_through(layout, *below, depth + 1, most, survey),
                Child::Mapping(mapping) => {
                    for (start, end, prot) in mapping.prots.runs(0, base.len()) {
                        let range = AddrRange::from_bounds(base.start() + start, base.start() + end);
                        survey.add(most, || {
                            let (vmo, shown) = (Arc::downgrade(&mapping.vmo), mapping.vmo_range(base, range));
                            Surveyed { range, depth: depth + 1, what: SurveyedKind::Mapping { prot, vmo, shown } }
                        });
                    }
                }
            }
        }
    }
}

impl Survey {
    fn add(&mut self, most: usize, found: impl FnOnce() -> Surveyed) {
        if self.found.len() < most {
            self.found.push(found());
        } else {
            self.left_out += 1;
        }
    }
}
