//! Which record is whose: from pages of a root to slots, in order, so that ranges are handled by what is known in them.
//!
//! Every time that a root begins to be known it gets a number of its own, its life. What is remembered of pages that
//! are gone is filed under it, and so forgotten with the root.

use std::collections::BTreeMap;
use std::ops::Range;

use super::RootId;
use super::slots::Slot;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    roots: BTreeMap<RootId, Root>,
    lives: u64,
}

#[derive(Debug)]
struct Root {
    life: u64,
    pages: BTreeMap<u64, u32>,
}

impl Index {
    pub(super) fn get(&self, root: RootId, page: u64) -> Option<Slot> {
        self.roots.get(&root)?.pages.get(&page).copied().map(Slot)
    }

    /// Notes where a page has its record.
    pub(super) fn insert(&mut self, root: RootId, page: u64, slot: Slot) {
        let before = self.root(root).pages.insert(page, slot.0);
        assert_eq!(before, None, "a page has one record");
    }

    pub(super) fn remove(&mut self, root: RootId, page: u64) -> Option<Slot> {
        self.roots.get_mut(&root)?.pages.remove(&page).map(Slot)
    }

    /// The life of a root, which begins now if it was not known.
    pub(super) fn life(&mut self, root: RootId) -> u64 {
        self.root(root).life
    }

    /// The known pages in a range, ascending.
    pub(super) fn range(&self, root: RootId, pages: Range<u64>) -> impl Iterator<Item = (u64, Slot)> {
        let known = self.roots.get(&root).filter(|_| pages.start < pages.end);
        known
            .into_iter()
            .flat_map(move |known| known.pages.range(pages.clone()))
            .map(|(&page, &slot)| (page, Slot(slot)))
    }

    /// Takes out some of the known pages in a range, ascending, and gives their records. None: there are no more.
    pub(super) fn drain_some(&mut self, root: RootId, pages: Range<u64>) -> Vec<Slot> {
        const SOME: usize = 256;
        let some: Vec<(u64, Slot)> = self.range(root, pages).take(SOME).collect();
        if let Some(known) = self.roots.get_mut(&root) {
            for (page, _) in &some {
                known.pages.remove(page);
            }
        }
        some.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Ends the life of a root, and gives the records of its pages.
    pub(super) fn end_life(&mut self, root: RootId) -> impl Iterator<Item = Slot> + use<> {
        self.roots.remove(&root).into_iter().flat_map(|known| known.pages.into_values()).map(Slot)
    }

    /// How many pages are known.
    pub(super) fn len(&self) -> usize {
        self.roots.values().map(|known| known.pages.len()).sum()
    }

    fn root(&mut self, root: RootId) -> &mut Root {
        let lives = &mut self.lives;
        self.roots.entry(root).or_insert_with(|| {
            *lives += 1;
            Root { life: *lives, pages: BTreeMap::new() }
        })
    }
}
