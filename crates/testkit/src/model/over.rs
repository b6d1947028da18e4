//! Contents that lie over others: vmo.md §3.3, §3.5; pager.md §9.
//!
//! 1. The clone of what a pager provides, or of such a clone, lies *over* that. A page that it has of its own it shows; else
//!    what its parent shows there, up to its reach; else nobody's, which is zero.
//! 2. A page becomes its own when it is written to, committed or zeroed. It may be its own without a frame: then it is zero.
//! 3. A reach only shrinks: with the content, and with its parent.
//! 4. Where a page is nobody's, writes to the parent may show or not. The engine's choice is taken over: they do, unless it
//!    shows in a mapping, or did, or became so when something below shrank. Then it is its own.
//! 5. A content is there as long as one lies over it.
//! 6. Contents that share frames and lie over the same one are a *pair*, however many they are (vmo.md §3.3, two-way). What
//!    one has of its own the new one has too, the same frames; what nobody of them has is shown of what is below both.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::source::{Source, State};
use super::{Content, ContentId, Kind, Model, ObjectId, Pages, What};
use crate::{PAGE, pages_up};

/// How a content lies over another one.
#[derive(Clone, Debug)]
pub struct Over {
    /// Over which.
    pub parent: ContentId,
    /// Up to where, in bytes from the start of the root.
    pub reach: u64,
    /// The pages of its own.
    pub own: BTreeSet<u64>,
    /// Of which pair it is, if of any: the content that was of it first, which may have gone.
    pub pair: Option<ContentId>,
}

/// Whose a page is, and which of that one's.
pub type Seat = Option<(ContentId, u64)>;

impl Content {
    /// Its first page, counted in pages of the root.
    fn first(&self) -> u64 {
        self.root_offset / PAGE
    }

    /// Makes the page one of its own, as it is.
    fn keep(&mut self, page: u64) {
        if let Some(over) = &mut self.over {
            over.own.insert(page);
        }
    }
}

impl Model {
    /// Whose the page is that a content shows; nobody's, if there is `None`.
    pub(super) fn seat(&self, id: ContentId, page: u64) -> Seat {
        let content = &self.contents[&id];
        let Some(over) = content.over.as_ref().filter(|over| !over.own.contains(&page)) else {
            return Some((id, page));
        };
        let place = content.first() + page;
        if place >= over.reach / PAGE {
            return None;
        }
        self.seat(over.parent, place - self.contents[&over.parent].first())
    }

    /// The content at the bottom, if a pager provides it.
    pub(super) fn root_under(&self, id: ContentId) -> Option<ContentId> {
        match &self.contents[&id].over {
            Some(over) => self.root_under(over.parent),
            None => Some(id).filter(|id| self.contents[id].source.is_some()),
        }
    }

    /// The source of what the VMO shows, or of what that lies over.
    pub(super) fn source_under(&self, vmo: ObjectId) -> Option<&Source> {
        let root = self.root_under(self.vmo_of(vmo).content)?;
        self.contents[&root].source.as_ref()
    }

    /// What a pager knows of the page that a content shows, if it is the pager's.
    pub(super) fn state_of(&self, id: ContentId, page: u64) -> Option<State> {
        let (of, at) = self.seat(id, page)?;
        self.contents[&of].source.as_ref().map(|source| source.at(at))
    }

    /// How many pages of the pager's from `page` on, up to `end`, the content shows in a row in such a state.
    pub(super) fn run_of(&self, id: ContentId, page: u64, end: u64, which: impl Fn(State) -> bool) -> u64 {
        let Some((root, at)) = self.seat(id, page) else { return 0 };
        let Some(source) = &self.contents[&root].source else { return 0 };
        let run = source.run(at, at + (end - page), which) - at;
        if root == id {
            return run;
        }
        (0..run).take_while(|more| self.seat(id, page + more) == Some((root, at + more))).count() as u64
    }

    /// The page becomes the content's own, with what it shows.
    pub(super) fn fork(&mut self, id: ContentId, page: u64) {
        let seat = self.seat(id, page);
        if seat == Some((id, page)) {
            return;
        }
        let copy = seat.and_then(|(of, at)| self.contents[&of].pages.get(at * PAGE).copied());
        let content = self.contents.get_mut(&id).expect("it is shown");
        content.keep(page);
        if let Some(bytes) = copy {
            content.pages.put(page * PAGE, Rc::new(bytes));
        }
    }

    /// Whole pages become the content's own, and zero.
    pub(super) fn zero_own(&mut self, id: ContentId, pages: std::ops::Range<u64>) {
        let content = self.contents.get_mut(&id).expect("it is shown");
        content.pages.free(pages.start * PAGE, pages.end * PAGE);
        pages.for_each(|page| content.keep(page));
    }

    /// What of these pages is nobody's becomes the content's own.
    pub(super) fn keep_nobodys(&mut self, id: ContentId, pages: std::ops::Range<u64>) {
        if self.contents[&id].over.is_none() {
            return;
        }
        for page in pages {
            if self.seat(id, page).is_none() {
                self.contents.get_mut(&id).expect("it is there").keep(page);
            }
        }
    }

    /// What mappings show is not nobody's.
    pub(super) fn keep_mapped(&mut self) {
        let children = self.objects.values().filter_map(|object| match &object.kind {
            Kind::Vmar(vmar) => Some(&vmar.children),
            _ => None,
        });
        let mapped = children.flatten().filter_map(|child| match &child.what {
            What::Mapping(mapping) => Some((mapping.vmo, mapping.offset, child.len, mapping.ends_with_stream)),
            What::Vmar(_) => None,
        });
        for (vmo, offset, len, ends_with_stream) in mapped.filter(|&(vmo, ..)| self.is_over(vmo)).collect::<Vec<_>>() {
            self.keep_shown(vmo, offset, len, ends_with_stream);
        }
    }

    /// What a mapping like this shows is not nobody's.
    pub(super) fn keep_shown(&mut self, vmo: ObjectId, offset: u64, len: u64, ends_with_stream: bool) {
        let limit = if ends_with_stream { self.stream_end(vmo).min(self.size(vmo)) } else { self.size(vmo) };
        let (start, end) = (offset.min(limit), (offset + len).min(limit));
        let at = self.start(vmo);
        self.keep_nobodys(self.vmo_of(vmo).content, (at + start) / PAGE..(at + end) / PAGE);
    }

    /// A content that ended at `old` ends at `end` now. What lies over it shows zeros of its own where it shows nobody's then:
    /// the lowest first, and who lies over it shows those.
    pub(super) fn shorten(&mut self, id: ContentId, end: u64, old: u64) {
        let origin = self.contents[&id].root_offset;
        for (&other, content) in &mut self.contents {
            let Some(over) = content.over.as_mut().filter(|over| other == id || over.parent == id) else { continue };
            over.reach = over.reach.min(origin + end);
        }
        if end >= old {
            return;
        }
        let mut above: Vec<_> = self.contents.keys().copied().filter(|&other| self.lies_over(other, id)).collect();
        above.sort_by_key(|&other| self.depth(other));
        for other in above {
            let content = &self.contents[&other];
            let local = |at: u64| (origin + at).saturating_sub(content.root_offset).min(content.size) / PAGE;
            self.keep_nobodys(other, local(end)..local(old));
        }
    }

    /// Whether one content lies over another, at whatever distance.
    fn lies_over(&self, above: ContentId, below: ContentId) -> bool {
        let parent = self.contents[&above].over.as_ref().map(|over| over.parent);
        parent.is_some_and(|parent| parent == below || self.lies_over(parent, below))
    }

    /// Over how many others a content lies.
    fn depth(&self, id: ContentId) -> u32 {
        self.contents[&id].over.as_ref().map_or(0, |over| 1 + self.depth(over.parent))
    }

    /// Whether some content lies over this one.
    pub(super) fn is_below(&self, id: ContentId) -> bool {
        self.contents.values().any(|content| content.over.as_ref().is_some_and(|over| over.parent == id))
    }

    /// Gives a content that lies over another one its new size.
    pub(super) fn resize_over(&mut self, vmo: ObjectId, size: u64) {
        let id = self.vmo_of(vmo).content;
        let rounded = pages_up(size).expect("checked");
        let content = self.content_mut(vmo);
        let old = content.size;
        if rounded <= old {
            content.pages.free(rounded, old);
            // What is not its own stays as it is.
            content.pages.zero(size, rounded);
            content.over.as_mut().expect("it lies over one").own.split_off(&(rounded / PAGE));
        }
        content.size = rounded;
        content.stream_size = size;
        self.shorten(id, rounded, old);
    }

    /// How a new content lies over that of `parent`, whose family has a pager.
    pub(super) fn over_of(&self, parent: ObjectId, offset: u64, size: u64) -> Over {
        let below = self.content(parent);
        let origin = below.root_offset + self.start(parent) + offset;
        let end = below.root_offset + self.start(parent) + self.size(parent);
        let reach = (origin + size).min(end).max(origin);
        Over { parent: self.vmo_of(parent).content, reach, own: BTreeSet::new(), pair: None }
    }

    /// Whether what the VMO shows lies over another content.
    pub fn is_over(&self, vmo: ObjectId) -> bool {
        self.content(vmo).over.is_some()
    }

    /// Whether MODIFIED of the VMO, which lies over another one, would be a snapshot of what was modified in there. (Who is of
    /// a pair lies over the root, and nobody over it.)
    pub(super) fn can_be_paired(&self, vmo: ObjectId) -> bool {
        let id = self.vmo_of(vmo).content;
        let over_root = self.contents[&id].over.as_ref().is_some_and(|over| self.contents[&over.parent].over.is_none());
        over_root && !self.is_below(id)
    }

    /// Whether what the VMO shows is of a pair, of which others are there.
    pub fn is_paired(&self, vmo: ObjectId) -> bool {
        let id = self.vmo_of(vmo).content;
        let pair = |content: &Content| content.over.as_ref().and_then(|over| over.pair);
        let mine = pair(&self.contents[&id]);
        mine.is_some() && self.contents.iter().any(|(&other, content)| other != id && pair(content) == mine)
    }

    /// Makes a pair of the content of `parent`, which lies over another one, and a new one: how that lies over it, and what it
    /// holds.
    pub(super) fn pair_of(&mut self, parent: ObjectId, offset: u64, size: u64) -> (Over, Pages) {
        let id = self.vmo_of(parent).content;
        let content = self.contents.get_mut(&id).expect("it is shown");
        let (first, origin) = (offset / PAGE, content.root_offset);
        let pages = content.pages.snapshot(offset, (offset + size).min(content.size));
        let over = content.over.as_mut().expect("it lies over one");
        over.pair.get_or_insert(id);
        let reach = over.reach.min(origin + offset + size);
        // Of zeros without a frame only those are taken over that hide something.
        let hides = |page: u64| origin + page * PAGE < reach;
        let own = over.own.range(first..first + size / PAGE).map(|page| page - first);
        let own = own.filter(|&page| pages.holders(page * PAGE) > 0 || hides(first + page)).collect();
        (Over { parent: over.parent, reach, own, pair: over.pair }, pages)
    }
}

#[cfg(test)]
mod tests {
    use zxvm_types::*;

    use super::super::port::SlotId;
    use super::super::{Birth, Shape, Vmo};
    use super::*;

    /// A root, one over it, and one over that, of four pages each; all of the root is there and says its number.
    fn tower() -> (Model, [ContentId; 3]) {
        let birth = Birth {
            process: (3, 1024),
            job: 1025,
            name: [0; ZX_MAX_NAME_LEN],
            root: (7, 1026),
            base: 1 << 30,
            len: 1 << 30,
        };
        let mut model = Model::new(birth);
        let root = ContentId(100);
        let over = |parent| Over { parent, reach: 4 * PAGE, own: BTreeSet::new(), pair: None };
        for (id, over) in [(100, None), (101, Some(over(root))), (102, Some(over(ContentId(101))))] {
            let content = Content {
                size: 4 * PAGE,
                stream_size: 4 * PAGE,
                resizable: true,
                discardable: false,
                cache_policy: ZX_CACHE_POLICY_CACHED,
                locks: 0,
                locked_once: false,
                discarded: false,
                idle: 0,
                losses: 0,
                family: root,
                root_offset: 0,
                pages: Pages::default(),
                source: None,
                over,
            };
            model.contents.insert(ContentId(id), content);
        }
        let content = model.contents.get_mut(&root).unwrap();
        let mut source = Source::new(ObjectId(1), ObjectId(2), SlotId(3), false);
        for page in 0..4 {
            source.set(page, State::Clean);
            content.pages.write(page * PAGE, &[page as u8 + 1]);
        }
        content.source = Some(source);
        (model, [root, ContentId(101), ContentId(102)])
    }

    /// What the first byte of each page is.
    fn shown(model: &Model, id: ContentId) -> [u8; 4] {
        [0, 1, 2, 3].map(|page| {
            let seat = model.seat(id, page);
            seat.and_then(|(of, at)| model.contents[&of].pages.get(at * PAGE)).map_or(0, |bytes| bytes[0])
        })
    }

    fn store(model: &mut Model, id: ContentId, page: u64, byte: u8) {
        model.fork(id, page);
        model.contents.get_mut(&id).unwrap().pages.write(page * PAGE, &[byte]);
    }

    #[test]
    fn what_is_its_own_is_seen_from_above_only() {
        let (mut model, [root, low, high]) = tower();
        store(&mut model, low, 1, 70);
        assert_eq!([root, low, high].map(|id| shown(&model, id)), [[1, 2, 3, 4], [1, 70, 3, 4], [1, 70, 3, 4]]);
        store(&mut model, root, 1, 80);
        store(&mut model, root, 2, 81);
        store(&mut model, high, 2, 90);
        model.zero_own(low, 1..3);
        assert_eq!([root, low, high].map(|id| shown(&model, id)), [[1, 80, 81, 4], [1, 0, 0, 4], [1, 0, 90, 4]]);
    }

    #[test]
    fn what_is_asked_for_in_a_row_ends_where_something_is_in_between() {
        let (mut model, [root, low, high]) = tower();
        model.fork(low, 2);
        let any = |_| true;
        assert_eq!([root, low, high].map(|id| model.run_of(id, 0, 4, any)), [4, 2, 2]);
        assert_eq!([low, high].map(|id| model.run_of(id, 2, 4, any)), [0, 0]);
        assert_eq!([low, high].map(|id| model.state_of(id, 3)), [Some(State::Clean); 2]);
    }

    /// A VMO that shows a content, as if it had been made with it.
    fn vmo_of(model: &mut Model, content: ContentId) -> ObjectId {
        let name = [0; ZX_MAX_NAME_LEN];
        model.add(0, Kind::Vmo(Vmo { content, shape: Shape::Snapshot, parent: None, immutable: false, name }))
    }

    #[test]
    fn a_pair_shares_what_was_modified_and_nothing_else() {
        let (mut model, [root, low, high]) = tower();
        model.contents.remove(&high);
        let parent = vmo_of(&mut model, low);
        store(&mut model, low, 1, 70);
        model.zero_own(low, 2..3);
        assert!(model.can_be_paired(parent) && !model.is_paired(parent));
        // From the page of its own on, and one page past the end.
        let (over, pages) = model.pair_of(parent, PAGE, 4 * PAGE);
        assert_eq!((over.reach, &over.own), (4 * PAGE, &BTreeSet::from([0, 1])));
        assert!(!model.is_paired(parent), "there is no other yet");
        let lower = &model.contents[&low];
        let frozen = Content { size: 4 * PAGE, root_offset: PAGE, over: Some(over), pages, source: None, ..*lower };
        let frozen_id = ContentId(103);
        model.contents.insert(frozen_id, frozen);
        assert!(model.is_paired(parent) && model.can_be_paired(parent));
        let holders = |model: &Model| model.contents[&low].pages.holders(PAGE);
        assert_eq!((shown(&model, frozen_id), holders(&model)), ([70, 0, 4, 0], 2));
        store(&mut model, low, 1, 71);
        store(&mut model, root, 3, 80);
        store(&mut model, frozen_id, 1, 90);
        assert_eq!([low, frozen_id].map(|id| shown(&model, id)), [[1, 71, 0, 80], [70, 90, 80, 0]]);
        assert_eq!(holders(&model), 1);
    }

    #[test]
    fn a_reach_only_shrinks() {
        let (mut model, [root, low, high]) = tower();
        let resize = |model: &mut Model, id, from: u64, to: u64| {
            let content: &mut Content = model.contents.get_mut(&id).unwrap();
            content.pages.free(to * PAGE, 4 * PAGE);
            content.size = to * PAGE;
            model.shorten(id, to * PAGE, from * PAGE);
        };
        store(&mut model, high, 3, 90);
        resize(&mut model, root, 4, 2);
        resize(&mut model, root, 2, 4);
        (0..4).for_each(|page| store(&mut model, root, page, 10));
        assert_eq!([low, high].map(|id| shown(&model, id)), [[10, 10, 0, 0], [10, 10, 0, 90]]);
        // Below there are zeros now that are one's own, so whoever is above shows what becomes of them.
        store(&mut model, low, 2, 71);
        assert_eq!(shown(&model, high), [10, 10, 71, 90]);
        resize(&mut model, low, 4, 1);
        assert_eq!(shown(&model, high), [10, 0, 0, 90]);
    }
}
