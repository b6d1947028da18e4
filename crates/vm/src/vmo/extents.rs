//! Content: which range of a VMO lives where.
//!
//! 1. Extents are sorted, never overlap, are never empty, and lie each in one segment of `SEGMENT` bytes. Neighbours that
//!    continue each other are one.
//! 2. An extent shows a part of one window; no two extents of a content show the same byte of a window.
//! 3. Extents may reach past the VMO's size (room to grow); whatever is past it is not committed.
//! 4. A home is a window that was cut for this content: byte by byte for a range of the VMO, whether an extent shows it
//!    there or not. New pages get their places in homes, where nobody else holds the frame. There may be several homes
//!    for one range, where others hold frames of the first.
//!
//! An extent says where pages live if there are any; which of them are committed is the host's knowledge, and it
//! handles the faults. Who else holds them is the knowledge of [`Frames`].

use std::collections::BTreeMap;
use std::sync::Arc;

use zxvm_host::{HostResult, PAGE_SIZE, VmoRange};

use super::frames::Frames;
use crate::store::Window;

/// A VMO can be larger than a store. It is cut at multiples of this; a window covers at most one piece.
pub const SEGMENT: u64 = 1 << 40;

/// Takes room only once there is an extent: most VMOs of a program may be empty.
#[derive(Debug, Default)]
pub struct Extents(Option<Box<Inner>>);

#[derive(Debug)]
struct Inner {
    map: BTreeMap<u64, Extent>,
    homes: Vec<Home>,
}

static EMPTY: Inner = Inner { map: BTreeMap::new(), homes: Vec::new() };

#[derive(Clone, Debug)]
struct Extent {
    len: u64,
    window: Arc<Window>,
    /// Where in the window, bytes.
    at: u64,
}

#[derive(Debug)]
struct Home {
    range: VmoRange,
    window: Arc<Window>,
}

/// A part of one extent.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub range: VmoRange,
    pub window: &'a Arc<Window>,
    /// Where in the window the range starts, bytes.
    pub at: u64,
}

impl Extents {
    fn inner(&self) -> &Inner {
        self.0.as_deref().unwrap_or(&EMPTY)
    }

    fn inner_mut(&mut self) -> &mut Inner {
        self.0.get_or_insert_with(|| Box::new(Inner { map: BTreeMap::new(), homes: Vec::new() }))
    }

    /// The parts of extents in `range`, lowest first.
    pub fn places(&self, range: VmoRange) -> impl Iterator<Item = Place<'_>> {
        let before = self.inner().map.range(..=range.start()).next_back();
        let from = before.map_or(range.start(), |(&start, _)| start);
        self.inner().map.range(from..range.end()).filter_map(move |(&start, extent)| {
            let part = VmoRange::from_bounds(start, start + extent.len).intersect(range)?;
            Some(Place { range: part, window: &extent.window, at: extent.at + (part.start() - start) })
        })
    }

    /// The window that holds byte `offset`, where in the window that is, and how many bytes there are from it on.
    pub fn at(&self, offset: u64) -> Option<(&Arc<Window>, u64, u64)> {
        let (&start, extent) = self.inner().map.range(..=offset).next_back()?;
        let into = offset - start;
        (into < extent.len).then(|| (&extent.window, extent.at + into, extent.len - into))
    }

    /// Whether the window was cut for this content.
    pub fn is_home(&self, window: &Arc<Window>) -> bool {
        self.inner().homes.iter().any(|home| Arc::ptr_eq(&home.window, window))
    }

    /// The windows that were cut for this content, each with what it is for.
    pub fn homes(&self) -> impl Iterator<Item = (VmoRange, &Arc<Window>)> {
        self.inner().homes.iter().map(|home| (home.range, &home.window))
    }

    /// Makes extents for what has none in `range`. Where nobody ever shared a frame each new one reaches as far as its
    /// segment, the next extent and `capacity` allow. Those made before an error stay.
    pub fn ensure(
        &mut self,
        range: VmoRange,
        capacity: u64,
        frames: &Frames,
        mut window: impl FnMut(u64) -> HostResult<Arc<Window>>,
    ) -> HostResult {
        debug_assert!(range.end() <= capacity);
        let mut at = range.start();
        while at < range.end() {
            let before = self.inner().map.range(..=at).next_back().map_or(0, |(&start, extent)| start + extent.len);
            if before > at {
                at = before;
                continue;
            }
            let after = self.inner().map.range(at..).next().map_or(u64::MAX, |(&start, _)| start);
            let (from, to) = if frames.is_empty() { (before, after) } else { (at, after.min(range.end())) };
            let (place, home, offset) = self.free_place(at, from, to, capacity, frames, &mut window)?;
            at = place.end();
            self.insert(place, home, offset);
        }
        Ok(())
    }

    /// A place in a home for the page at `at` and as many of its neighbours in `[from, to)` as there is one run of room
    /// for: which of them, which window, and where in it.
    fn free_place(
        &mut self,
        at: u64,
        from: u64,
        to: u64,
        capacity: u64,
        frames: &Frames,
        window: &mut impl FnMut(u64) -> HostResult<Arc<Window>>,
    ) -> HostResult<(VmoRange, Arc<Window>, u64)> {
        let free = |home: &Home| {
            let range = home.range;
            if at < range.start() || at >= range.end() {
                return None;
            }
            let start = if frames.is_empty() { from.max(range.start()) } else { at };
            let end = to.min(range.end());
            let offset = start - range.start();
            let len = frames.uncounted(home.window.store(), home.window.part(offset, end - start));
            (len > 0).then(|| (VmoRange::from_bounds(start, start + len), home.window.clone(), offset))
        };
        if let Some(found) = self.inner().homes.iter().find_map(free) {
            return Ok(found);
        }
        let segment = at - at % SEGMENT;
        let end = capacity.min(segment.saturating_add(SEGMENT));
        let covered = self.inner().homes.iter().any(|home| home.range.start() <= at && at < home.range.end());
        let below = self.inner().homes.iter().map(|home| home.range.end()).filter(|&end| end <= at).max();
        let start = if covered { segment } else { below.unwrap_or(0).max(segment) };
        self.inner_mut().homes.push(Home { range: VmoRange::from_bounds(start, end), window: window(end - start)? });
        Ok(free(self.inner().homes.last().expect("just pushed")).expect("nobody holds frames of a new window"))
    }

    /// A place for the pages at the start of `range` that nobody else holds, in place of the one they have: for how many
    /// bytes, which window, and where in it. Nothing is shown there yet.
    ///
    /// # Errors
    /// What `window` gives.
    pub fn other_place(
        &mut self,
        range: VmoRange,
        capacity: u64,
        frames: &Frames,
        mut window: impl FnMut(u64) -> HostResult<Arc<Window>>,
    ) -> HostResult<(VmoRange, Arc<Window>, u64)> {
        self.free_place(range.start(), range.start(), range.end(), capacity, frames, &mut window)
    }

    /// Shows `range` at a place in a window, instead of where it was, if anywhere.
    pub fn replace(&mut self, range: VmoRange, window: &Arc<Window>, at: u64) {
        self.cut(range);
        // Invariant 1: an extent lies in one segment.
        let mut start = range.start();
        while start < range.end() {
            let end = range.end().min((start - start % SEGMENT).saturating_add(SEGMENT));
            self.insert(VmoRange::from_bounds(start, end), window.clone(), at + (start - range.start()));
            start = end;
        }
    }

    /// Forgets where `range` is.
    pub fn cut(&mut self, range: VmoRange) {
        if range.is_empty() {
            return;
        }
        while let Some((&start, extent)) = self.inner().map.range(..range.end()).next_back() {
            let end = start + extent.len;
            if end <= range.start() {
                break;
            }
            let extent = self.inner_mut().map.remove(&start).expect("just found");
            for (from, to) in [(start, range.start()), (range.end(), end)] {
                if from < to {
                    let at = extent.at + (from - start);
                    self.inner_mut().map.insert(from, Extent { len: to - from, window: extent.window.clone(), at });
                }
            }
        }
    }

    /// Adds an extent where there is none, as one with its neighbours where they continue each other.
    fn insert(&mut self, range: VmoRange, window: Arc<Window>, at: u64) {
        let mut start = range.start();
        let mut extent = Extent { len: range.len(), window, at };
        if let Some((&before, left)) = self.inner().map.range(..start).next_back()
            && before + left.len == start
            && !start.is_multiple_of(SEGMENT)
            && Arc::ptr_eq(&left.window, &extent.window)
            && left.at + left.len == extent.at
        {
            extent = Extent { len: left.len + extent.len, window: extent.window, at: left.at };
            self.inner_mut().map.remove(&before);
            start = before;
        }
        let end = start + extent.len;
        if let Some(right) = self.inner().map.get(&end)
            && !end.is_multiple_of(SEGMENT)
            && Arc::ptr_eq(&right.window, &extent.window)
            && extent.at + extent.len == right.at
        {
            extent.len += right.len;
            self.inner_mut().map.remove(&end);
        }
        self.inner_mut().map.insert(start, extent);
    }

    /// Forgets everything from `size` on, of a content that nobody ever shared, and returns it so that it can be freed
    /// without locks. `free` frees the tail that is cut off a kept window (from its byte `.1`, so many bytes `.2`) to be
    /// used again when the VMO grows, and answers whether it could. It is asked only if the caller is `alone`: somebody
    /// who writes outside the lock may come later than this.
    pub fn truncate(
        &mut self,
        size: u64,
        alone: bool,
        free: impl FnOnce(&Window, u64, u64) -> bool,
    ) -> Vec<Arc<Window>> {
        if let Some((&start, extent)) = self.inner_mut().map.range_mut(..size).next_back()
            && start + extent.len > size
        {
            let keep = size - start;
            if !(alone && free(&extent.window, extent.at + keep, extent.len - keep)) {
                extent.window.retire(extent.at + keep);
                extent.len = keep;
                for home in self
                    .inner_mut()
                    .homes
                    .iter_mut()
                    .filter(|home| home.range.start() < size && size < home.range.end())
                {
                    home.range = VmoRange::from_bounds(home.range.start(), size);
                }
            }
        }
        self.inner_mut().homes.retain(|home| home.range.start() < size);
        self.inner_mut().map.split_off(&size).into_values().map(|extent| extent.window).collect()
    }

    /// Bytes of memory used to describe the content.
    pub fn metadata_bytes(&self) -> u64 {
        (self.inner().map.len() * size_of::<(u64, Extent)>() + self.inner().homes.len() * size_of::<(Home, Window)>())
            as u64
    }

    /// Asserts the invariants.
    pub fn audit(&self) {
        let mut last: Option<(u64, &Extent)> = None;
        for (&start, extent) in &self.inner().map {
            if let Some((before, left)) = last {
                let end = before + left.len;
                assert!(start >= end, "extents overlap at {start:#x}");
                let one = start == end && !start.is_multiple_of(SEGMENT) && Arc::ptr_eq(&left.window, &extent.window);
                assert!(!one || left.at + left.len != extent.at, "two extents could be one at {start:#x}");
            }
            assert!(extent.len > 0 && extent.len.is_multiple_of(PAGE_SIZE) && start.is_multiple_of(PAGE_SIZE));
            assert_eq!(start / SEGMENT, (start + (extent.len - 1)) / SEGMENT, "an extent crosses a segment");
            extent.window.part(extent.at, extent.len);
            last = Some((start, extent));
        }
        for home in &self.inner().homes {
            assert!(!home.range.is_empty());
            home.window.part(0, home.range.len());
        }
    }
}
