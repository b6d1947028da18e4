//! Ranges that do not overlap, ordered by address, with the gaps between them.
//!
//! 1. In-order, ranges ascend and never overlap; none is empty.
//! 2. Every node knows the first and last byte of its subtree and the longest gap inside it.
//! 3. It is a treap: priorities are a heap, so that depth is logarithmic whatever the order of insertions.
//!
//! Look-up, insertion and removal, and the search for the lowest gap that is long enough, are logarithmic. Searching
//! touches only nodes (a cache line each); values lie beside them.

use core::ops::ControlFlow;

use zxvm_host::AddrRange;

/// Index of a node; `NONE` is no node.
type Link = u32;
const NONE: Link = u32::MAX;

/// See the module.
#[derive(Debug)]
pub struct Tree<T> {
    nodes: Vec<Node>,
    /// The value of each node; `None` only where the node is free.
    values: Vec<Option<T>>,
    free: Vec<Link>,
    root: Link,
    rng: fastrand::Rng,
}

/// One cache line, so that a step of a search costs one miss.
#[derive(Debug)]
#[repr(align(64))]
struct Node {
    range: AddrRange,
    priority: u32,
    left: Link,
    right: Link,
    first: u64,
    last: u64,
    max_gap: u64,
}

impl<T> Tree<T> {
    /// An empty tree; `seed` decides its shape.
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            values: Vec::new(),
            free: Vec::new(),
            root: NONE,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Puts a value at a range that touches no other.
    ///
    /// # Panics
    /// If the range is empty, or (in debug builds) overlaps another.
    pub fn insert(&mut self, range: AddrRange, value: T) {
        assert!(!range.is_empty());
        debug_assert!(self.is_free(range), "{range:?} overlaps");
        let node = Node {
            range,
            priority: self.rng.u32(..),
            left: NONE,
            right: NONE,
            first: range.start(),
            last: range.end(),
            max_gap: 0,
        };
        let link = match self.free.pop() {
            Some(link) => {
                self.nodes[link as usize] = node;
                self.values[link as usize] = Some(value);
                link
            }
            None => {
                self.nodes.push(node);
                self.values.push(Some(value));
                (self.nodes.len() - 1) as Link
            }
        };
        self.root = self.insert_below(self.root, link);
    }

    fn insert_below(&mut self, link: Link, new: Link) -> Link {
        let (start, priority) = (self.nodes[new as usize].range.start(), self.nodes[new as usize].priority);
        let Some(node) = self.nodes.get(link as usize) else { return new };
        if priority > node.priority {
            let (left, right) = self.split(link, start);
            (self.nodes[new as usize].left, self.nodes[new as usize].right) = (left, right);
            self.update(new);
            return new;
        }
        if start < node.range.start() {
            self.nodes[link as usize].left = self.insert_below(node.left, new);
        } else {
            self.nodes[link as usize].right = self.insert_below(node.right, new);
        }
        self.update(link);
        link
    }

    /// Takes the value whose range starts at `start` out.
    pub fn remove(&mut self, start: u64) -> Option<(AddrRange, T)> {
        let mut found = NONE;
        self.root = self.remove_below(self.root, start, &mut found);
        let value = self.values.get_mut(found as usize)?.take()?;
        self.free.push(found);
        Some((self.nodes[found as usize].range, value))
    }

    fn remove_below(&mut self, link: Link, start: u64, found: &mut Link) -> Link {
        let Some(node) = self.nodes.get(link as usize) else { return NONE };
        match start.cmp(&node.range.start()) {
            core::cmp::Ordering::Equal => {
                *found = link;
                return self.join(node.left, node.right);
            }
            core::cmp::Ordering::Less => self.nodes[link as usize].left = self.remove_below(node.left, start, found),
            core::cmp::Ordering::Greater => {
                self.nodes[link as usize].right = self.remove_below(node.right, start, found);
            }
        }
        if *found != NONE {
            self.update(link);
        }
        link
    }

    /// The value whose range contains `addr`.
    pub fn containing(&self, addr: u64) -> Option<(AddrRange, &T)> {
        self.first_ending_after(addr).filter(|(range, _)| range.start() <= addr)
    }

    /// The lowest value that has a byte in `range`.
    pub fn first_touching(&self, range: AddrRange) -> Option<(AddrRange, &T)> {
        self.first_ending_after(range.start()).filter(|(found, _)| found.start() < range.end())
    }

    /// The value whose range starts at `start`.
    pub fn get(&self, start: u64) -> Option<&T> {
        self.values[self.find(start)? as usize].as_ref()
    }

    /// The value whose range starts at `start`, to be changed.
    pub fn get_mut(&mut self, start: u64) -> Option<&mut T> {
        let link = self.find(start)?;
        self.values[link as usize].as_mut()
    }

    fn find(&self, start: u64) -> Option<Link> {
        let mut link = self.root;
        while let Some(node) = self.nodes.get(link as usize) {
            link = match start.cmp(&node.range.start()) {
                core::cmp::Ordering::Less => node.left,
                core::cmp::Ordering::Equal => return Some(link),
                core::cmp::Ordering::Greater => node.right,
            };
        }
        None
    }

    /// Where the free `range` touches others: the ranges that end where it starts and start where it ends.
    pub fn touched_by(&self, range: AddrRange) -> (Option<AddrRange>, Option<AddrRange>) {
        let (mut before, mut after) = (None, None);
        let mut link = self.root;
        while let Some(node) = self.nodes.get(link as usize) {
            link = if node.range.end() <= range.start() {
                before = Some(node.range);
                node.right
            } else {
                after = Some(node.range);
                node.left
            };
        }
        (
            before.filter(|before: &AddrRange| before.end() == range.start()),
            after.filter(|after: &AddrRange| after.start() == range.end()),
        )
    }

    /// Whether nothing has a byte in `range`.
    pub fn is_free(&self, range: AddrRange) -> bool {
        self.find_ending_after(range.start()).is_none_or(|(found, _)| found.start() >= range.end())
    }

    /// The values that have a byte in `range`, lowest first.
    pub fn touching(&self, range: AddrRange) -> impl Iterator<Item = (AddrRange, &T)> {
        let mut at = range.start();
        core::iter::from_fn(move || {
            if at >= range.end() {
                return None;
            }
            let found = self.first_ending_after(at).filter(|(found, _)| found.start() < range.end())?;
            at = found.0.end();
            Some(found)
        })
    }

    /// The lowest value that ends after `addr`.
    fn first_ending_after(&self, addr: u64) -> Option<(AddrRange, &T)> {
        let (range, link) = self.find_ending_after(addr)?;
        Some((range, self.values[link as usize].as_ref().expect("in the tree")))
    }

    fn find_ending_after(&self, addr: u64) -> Option<(AddrRange, Link)> {
        let mut best = None;
        let mut link = self.root;
        while let Some(node) = self.nodes.get(link as usize) {
            if node.range.end() > addr {
                best = Some((node.range, link));
                link = node.left;
            } else {
                link = node.right;
            }
        }
        best
    }

    /// Calls `each` with the gaps of at least `min` bytes in `bounds` (which holds all ranges), lowest first, until it
    /// breaks.
    pub fn gaps<B>(
        &self,
        bounds: AddrRange,
        min: u64,
        mut each: impl FnMut(AddrRange) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut visit = |start: u64, end: u64| {
            if end > start && end - start >= min {
                each(AddrRange::from_bounds(start, end))
            } else {
                ControlFlow::Continue(())
            }
        };
        let Some(root) = self.nodes.get(self.root as usize) else { return visit(bounds.start(), bounds.end()) };
        visit(bounds.start(), root.first)?;
        self.gaps_below(root, min, &mut visit)?;
        visit(root.last, bounds.end())
    }

    fn gaps_below<B>(
        &self,
        node: &Node,
        min: u64,
        visit: &mut impl FnMut(u64, u64) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if node.max_gap < min {
            return ControlFlow::Continue(());
        }
        if let Some(left) = self.nodes.get(node.left as usize) {
            self.gaps_below(left, min, visit)?;
            visit(left.last, node.range.start())?;
        }
        if let Some(right) = self.nodes.get(node.right as usize) {
            visit(node.range.end(), right.first)?;
            self.gaps_below(right, min, visit)?;
        }
        ControlFlow::Continue(())
    }

    /// Two trees: what starts before `at`, and the rest.
    fn split(&mut self, link: Link, at: u64) -> (Link, Link) {
        let Some(node) = self.nodes.get(link as usize) else { return (NONE, NONE) };
        if node.range.start() < at {
            let (left, right) = self.split(node.right, at);
            self.nodes[link as usize].right = left;
            self.update(link);
            (link, right)
        } else {
            let (left, right) = self.split(node.left, at);
            self.nodes[link as usize].left = right;
            self.update(link);
            (left, link)
        }
    }

    /// One tree of two, all of `left` before all of `right`.
    fn join(&mut self, left: Link, right: Link) -> Link {
        let (Some(l), Some(r)) = (self.nodes.get(left as usize), self.nodes.get(right as usize)) else {
            return if left == NONE { right } else { left };
        };
        if l.priority > r.priority {
            let joined = self.join(l.right, right);
            self.nodes[left as usize].right = joined;
            self.update(left);
            left
        } else {
            let joined = self.join(left, r.left);
            self.nodes[right as usize].left = joined;
            self.update(right);
            right
        }
    }

    fn update(&mut self, link: Link) {
        let node = &self.nodes[link as usize];
        let (mut first, mut last, mut max_gap) = (node.range.start(), node.range.end(), 0);
        if let Some(left) = self.nodes.get(node.left as usize) {
            first = left.first;
            max_gap = left.max_gap.max(node.range.start() - left.last);
        }
        if let Some(right) = self.nodes.get(node.right as usize) {
            last = right.last;
            max_gap = max_gap.max(right.max_gap).max(right.first - node.range.end());
        }
        let node = &mut self.nodes[link as usize];
        (node.first, node.last, node.max_gap) = (first, last, max_gap);
    }

    /// Asserts the invariants.
    pub fn audit(&self, bounds: AddrRange) {
        let mut end = bounds.start();
        let (mut count, mut longest) = (0, 0);
        for (range, _) in self.touching(bounds) {
            assert!(range.start() >= end && !range.is_empty() && bounds.contains(range));
            if count > 0 {
                longest = longest.max(range.start() - end);
            }
            end = range.end();
            count += 1;
        }
        assert_eq!(count, self.nodes.len() - self.free.len(), "a node is out of bounds or unreachable");
        if let Some(root) = self.nodes.get(self.root as usize) {
            assert_eq!((root.last, root.max_gap), (end, longest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const P: u64 = 4096;

    fn range(start: u64, pages: u64) -> AddrRange {
        AddrRange::from_bounds(start * P, (start + pages) * P)
    }

    #[test]
    fn it_agrees_with_an_ordered_map() {
        let mut rng = fastrand::Rng::with_seed(7);
        let bounds = range(100, 500);
        let mut tree = Tree::new(1);
        let mut naive: BTreeMap<u64, (AddrRange, u32)> = BTreeMap::new();
        for step in 0..4000 {
            let want = range(100 + rng.u64(0..490), 1 + rng.u64(0..10));
            let clash = naive.values().any(|(r, _)| r.intersect(want).is_some());
            assert_eq!(tree.first_touching(want).is_some(), clash);
            if !clash {
                tree.insert(want, step);
                naive.insert(want.start(), (want, step));
            } else if let Some((&start, _)) = naive.range(..=want.start()).next_back() {
                assert_eq!(tree.remove(start), naive.remove(&start));
            }
            tree.audit(bounds);
            if tree.is_free(want) {
                let before = naive.values().map(|&(r, _)| r).find(|r| r.end() == want.start());
                let after = naive.values().map(|&(r, _)| r).find(|r| r.start() == want.end());
                assert_eq!(tree.touched_by(want), (before, after));
            }
            let addr = (100 + rng.u64(0..500)) * P;
            let expected = naive.values().find(|(r, _)| r.start() <= addr && addr < r.end());
            assert_eq!(tree.containing(addr).map(|(r, &v)| (r, v)), expected.copied());
            let mut gaps = Vec::new();
            let min = P * (1 + rng.u64(0..5));
            let _ = tree.gaps(bounds, min, |gap| {
                gaps.push(gap);
                ControlFlow::<()>::Continue(())
            });
            let mut at = bounds.start();
            let mut expected = Vec::new();
            for (r, _) in naive.values() {
                expected.push((at, r.start()));
                at = r.end();
            }
            expected.push((at, bounds.end()));
            expected.retain(|&(a, b)| b - a >= min);
            assert_eq!(gaps, expected.iter().map(|&(a, b)| AddrRange::from_bounds(a, b)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_stays_shallow() {
        let mut tree = Tree::new(3);
        for i in 0..10_000 {
            tree.insert(range(2 * i + 1, 1), ());
        }
        fn depth(tree: &Tree<()>, link: Link) -> usize {
            tree.nodes.get(link as usize).map_or(0, |n| 1 + depth(tree, n.left).max(depth(tree, n.right)))
        }
        assert!(depth(&tree, tree.root) < 50);
    }
}
