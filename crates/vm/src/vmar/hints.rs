//! `DONT_NEED`: pages that may go before all others. (`ALWAYS_NEED` brings pages in, and marks each as it comes: see `fetch`.)
//!
//! Nothing is dropped by it but page-table entries: the next access brings the entry back, which shows that the page is needed
//! after all.

use zxvm_host::{PAGE_SIZE, VmoRange};

use super::AddressSpace;
use crate::pager::PageState;
use crate::reclaim::Hint;
use crate::vmo::Vmo;
use crate::vmo::family::Locked;
use crate::vmo::source::ROOT;

impl AddressSpace {
    /// The pages of a root that are shown in `range` of a content of a pager's tree, and are as the pager has them, may go first.
    ///
    /// Source: pager.md §10.
    pub(super) fn need_not(&self, vmo: &Vmo, range: VmoRange) {
        let shown = {
            let layout = self.layout.read();
            let content = &vmo.lock();
            let runs = clean_below(content, range);
            let spots = runs.into_iter().flat_map(|run| self.spots(&layout, content.family(), run));
            spots.map(|spot| spot.addrs).collect::<Vec<_>>()
        };
        // Before they are said not to be needed: an entry that is there afterwards is from an access that came later. Where it is
        // refused they seem to be needed.
        let _ = self.host.drop_entries(&shown);
        let content = &vmo.lock();
        for run in clean_below(content, range) {
            content.root().hint(run, Hint::DontNeed);
        }
    }
}

/// What a content shows in `range` of its root that is as the pager has it, in the root.
fn clean_below(content: &Locked<'_>, range: VmoRange) -> Vec<VmoRange> {
    let (family, number) = (content.family(), content.number());
    let Some(range) = range.intersect(content.whole()) else { return Vec::new() };
    let below: Vec<VmoRange> = if number == ROOT {
        vec![range]
    } else {
        family.layers(number, range).filter(|layer| layer.of == Some(ROOT)).map(|layer| layer.below()).collect()
    };
    let clean = |run| content.root().states.runs_where(run, |state| state == PageState::Clean);
    below.into_iter().flat_map(clean).filter(|run| run.len() >= PAGE_SIZE).collect()
}
