//! What is always true of a family, asserted against the host. For tests: slow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zxvm_host::{PAGE_SIZE, StoreId, StoreRange, VmoRange, addr};

use super::Vmo;
use super::family::FamilyState;
use super::source::{Provider, ROOT, Source};
use crate::pager::PageState;
use crate::reclaim::Standing;

/// Past every VMO.
const END: u64 = u64::MAX - (PAGE_SIZE - 1);

impl Vmo {
    /// Asserts the invariants of the VMO's whole family: its extents, what it is known to have committed, who holds which
    /// frames, that nothing is committed past its size or held by nobody, what a pager is said to have supplied, and who is whose
    /// child.
    ///
    /// Does nothing if `seen` says that it was the turn of this family before.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn audit(&self, seen: &mut BTreeSet<usize>) {
        if !seen.insert(Arc::as_ptr(&self.family).addr()) {
            return;
        }
        let content = self.lock();
        let family = content.family();
        for (number, content) in &family.contents {
            assert!(addr::round_up(content.size) == Some(content.size));
            content.extents.audit();
            for known in content.known.parts(content.whole()) {
                let mut bytes = 0;
                self.ask_committed(content, known.start(), known.end(), &mut |run| bytes += run.len())
                    .expect("the host answers audits");
                assert_eq!(bytes, known.len(), "content {number}: {known:?} is not all committed");
            }
            let past = |run| panic!("content {number}: {run:?} is committed past the end {:#x}", content.end());
            for cell in family.cells(number as u32, VmoRange::from_bounds(content.end(), END)) {
                assert!(cell.count.is_none(), "content {number}: {:?} is held past the end", cell.range);
                self.host()
                    .committed_runs(cell.window.store(), cell.stored(), &mut { past })
                    .expect("the host answers audits");
            }
        }
        self.audit_source(family);
        family.audit_layers();
        self.audit_frames(family);
        audit_nodes(family);
    }

    fn audit_frames(&self, family: &FamilyState) {
        let held = held(family);
        for (store, range, count) in family.frames.all() {
            for (run, users) in held.runs(store, range) {
                assert_eq!(users, count, "{run:?} of {store:?} is held by {users}, not {count}");
                if users > 1 {
                    assert_eq!(self.committed(store, run), run.len(), "{run:?} of {store:?} is shared and not there");
                }
            }
        }
        for (number, content) in &family.contents {
            for cell in family.cells(number as u32, VmoRange::from_bounds(0, END)) {
                let store = cell.window.store();
                for (run, users) in held.runs(store, cell.stored()) {
                    assert_eq!(users, cell.count.unwrap_or(1), "content {number}: {run:?} of {store:?}");
                }
                let owned = content.extents.is_home(&cell.window);
                assert!(owned || cell.count.is_some(), "content {number}: {:?} is another one's", cell.range);
            }
            for (range, window) in content.extents.homes() {
                let whole = window.part(0, range.len());
                for (run, _) in held.runs(window.store(), whole).into_iter().filter(|(_, users)| *users == 0) {
                    let kept = family.frames.runs(window.store(), run).filter(|(_, count)| *count == Some(0));
                    let kept: u64 = kept.map(|(kept, _)| self.committed(window.store(), kept)).sum();
                    let committed = self.committed(window.store(), run);
                    assert_eq!(committed, kept, "content {number}: {run:?} of {:?} is lost", window.store());
                }
            }
        }
    }

    fn audit_source(&self, family: &FamilyState) {
        let Some(source) = &family.source else { return };
        let root = &family.contents[ROOT as usize];
        assert!(root.careful);
        source.states.audit();
        source.requests.audit(root.size);
        assert!(source.provider == Provider::There || source.requests.is_empty(), "nobody is left to be asked");
        let past = VmoRange::from_bounds(root.size, END);
        assert_eq!(source.states.run_at(past.start(), past.end()), (PageState::Absent, past.end()));
        self.audit_residency(source);
        for (run, state) in source.states.runs(root.whole()) {
            let loaded = source.loaded.range(run.start()..run.end()).count();
            assert!(loaded == 0 || state.is_zero(), "{run:?} is {state:?}");
            let mut committed = Vec::new();
            self.ask_committed(root, run.start(), run.end(), &mut |run| committed.push(run))
                .expect("the host answers audits");
            if state.has_page() {
                let bytes: u64 = committed.iter().map(|run| run.len()).sum();
                assert_eq!(bytes, run.len(), "{run:?} is {state:?}");
                continue;
            }
            let mut pages = committed.iter().flat_map(|run| (run.start()..run.end()).step_by(PAGE_SIZE as usize));
            assert!(
                pages.all(|page| source.loaded.contains(&page)),
                "{run:?} is {state:?}, and {committed:?} is there"
            );
        }
    }

    /// What the queues know is what is there, and what of it may be taken.
    fn audit_residency(&self, source: &Source) {
        assert_eq!(source.residency.there(), source.states.pages() + source.loaded.len() as u64);
        let mut known = 0;
        source.residency.reclaim().queues().each(source.residency.root(), 0..u64::MAX / PAGE_SIZE, &mut |page, is| {
            known += 1;
            let page = page * PAGE_SIZE;
            let held = is.standing == Standing::Held;
            let state = source.states.at(page);
            assert_eq!(held, !source.is_takeable(page), "{page:#x} is {state:?}, and {is:?}");
            assert!(state.has_page() || source.loaded.contains(&page), "{page:#x} is {state:?}, and {is:?}");
        });
        assert_eq!(known, source.residency.there(), "the queues miss pages");
    }

    fn committed(&self, store: StoreId, range: StoreRange) -> u64 {
        let mut bytes = 0;
        let count = &mut |run: StoreRange| bytes += run.len();
        self.host().committed_runs(store, range, count).expect("the host answers audits");
        bytes
    }
}

/// How many contents show what: where the number changes, and to what.
struct Held(BTreeMap<(StoreId, u64), u32>);

fn held(family: &FamilyState) -> Held {
    let mut steps: BTreeMap<(StoreId, u64), i64> = BTreeMap::new();
    for (_, content) in &family.contents {
        for place in content.extents.places(VmoRange::from_bounds(0, END)) {
            let part = place.window.part(place.at, place.range.len());
            *steps.entry((place.window.store(), part.start())).or_default() += 1;
            *steps.entry((place.window.store(), part.end())).or_default() -= 1;
        }
    }
    let mut users = 0;
    let sum = |(at, step)| {
        users += step;
        (at, u32::try_from(users).expect("as many begin as end"))
    };
    Held(steps.into_iter().map(sum).collect())
}

impl Held {
    fn runs(&self, store: StoreId, range: StoreRange) -> Vec<(StoreRange, u32)> {
        let before = self.0.range(..=(store, range.start())).next_back().filter(|((s, _), _)| *s == store);
        let mut users = before.map_or(0, |(_, &users)| users);
        let mut at = range.start();
        let mut runs = Vec::new();
        for (&(_, next), &then) in self.0.range((store, range.start() + 1)..(store, range.end())) {
            runs.push((StoreRange::from_bounds(at, next), users));
            (at, users) = (next, then);
        }
        if at < range.end() {
            runs.push((StoreRange::from_bounds(at, range.end()), users));
        }
        runs
    }
}

fn audit_nodes(family: &FamilyState) {
    let (mut children, mut shown): (BTreeMap<u32, u32>, BTreeMap<u32, (u32, u32)>) = Default::default();
    for (number, node) in &family.nodes {
        if let Some(parent) = node.parent {
            assert!(family.nodes.contains(parent as usize), "node {number}");
            *children.entry(parent).or_default() += 1;
        }
        assert!(node.parent.is_some() || !node.clone, "node {number} is a clone of nothing");
        let (nodes, mappings) = shown.entry(node.content).or_default();
        *nodes += 1;
        *mappings += node.num_mappings;
    }
    for (number, node) in &family.nodes {
        assert_eq!(node.children, children.remove(&(number as u32)).unwrap_or(0), "node {number}");
    }
    for (number, content) in &family.contents {
        let (nodes, mappings) = shown.remove(&(number as u32)).unwrap_or_default();
        assert_eq!((content.nodes, content.mappings.len()), (nodes, mappings as usize), "content {number}");
        assert!(family.contents.len() == 1 || content.careful, "content {number} has relatives and is not careful");
    }
    assert!(shown.is_empty(), "{shown:?} is shown and not there");
}
