//! Content: which range of a VMO lives where.
//!
//! 1. Extents are sorted, never overlap, are never empty, and lie each in one segment of `SEGMENT` bytes.
//! 2. An extent shows a part of one window; no two extents show the same byte of a window.
//! 3. Extents may reach past the VMO's size (room to grow); whatever is past it is not committed.
//!
//! An extent here is *native*: it says where pages live if there are any; which of them are committed is the host's
//! knowledge, and it handles the faults.

use std::collections::BTreeMap;
use std::sync::Arc;

use zxvm_host::{HostResult, PAGE_SIZE, VmoRange};

use crate::store::Window;

/// A VMO can be larger than a store. It is cut at multiples of this; a window covers at most one piece.
pub const SEGMENT: u64 = 1 << 40;

#[derive(Debug, Default)]
pub struct Extents {
    map: BTreeMap<u64, Extent>,
}

#[derive(Clone, Debug)]
struct Extent {
    len: u64,
    window: Arc<Window>,
    /// Where in the window, bytes.
    at: u64,
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
    /// The parts of extents in `range`, lowest first.
    pub fn places(&self, range: VmoRange) -> impl Iterator<Item = Place<'_>> {
        let before = self.map.range(..=range.start()).next_back();
        let from = before.map_or(range.start(), |(&start, _)| start);
        self.map.range(from..range.end()).filter_map(move |(&start, extent)| {
            let part = VmoRange::from_bounds(start, start + extent.len).intersect(range)?;
            Some(Place { range: part, window: &extent.window, at: extent.at + (part.start() - start) })
        })
    }

    /// The window that holds byte `offset`, where in the window that is, and how many bytes there are from it on.
    pub fn at(&self, offset: u64) -> Option<(&Arc<Window>, u64, u64)> {
        let (&start, extent) = self.map.range(..=offset).next_back()?;
        let into = offset - start;
        (into < extent.len).then(|| (&extent.window, extent.at + into, extent.len - into))
    }

    /// Makes extents for what has none in `range`. Each new one reaches as far as its segment, the next extent and
    /// `capacity` allow. Those made before an error stay.
    pub fn ensure(
        &mut self,
        range: VmoRange,
        capacity: u64,
        mut window: impl FnMut(u64) -> HostResult<Arc<Window>>,
    ) -> HostResult {
        debug_assert!(range.end() <= capacity);
        let mut at = range.start();
        while at < range.end() {
            let before = self.map.range(..=at).next_back().map_or(0, |(&start, extent)| start + extent.len);
            if before > at {
                at = before;
                continue;
            }
            let segment = at - at % SEGMENT;
            let start = before.max(segment);
            let after = self.map.range(at..).next().map_or(u64::MAX, |(&start, _)| start);
            let end = after.min(capacity).min(segment.saturating_add(SEGMENT));
            self.map.insert(start, Extent { len: end - start, window: window(end - start)?, at: 0 });
            at = end;
        }
        Ok(())
    }

    /// Forgets everything from `size` on and returns it, so that it can be freed without locks. `free` frees the tail that
    /// is cut off a kept window (from its byte `.1`, so many bytes `.2`) to be used again when the VMO grows, and answers
    /// whether it could.
    pub fn truncate(&mut self, size: u64, free: impl FnOnce(&Window, u64, u64) -> bool) -> Vec<Arc<Window>> {
        if let Some((&start, extent)) = self.map.range_mut(..size).next_back()
            && start + extent.len > size
        {
            let keep = size - start;
            // Somebody who reads or writes outside the lock holds the window: such a write may come later than this.
            let alone = Arc::strong_count(&extent.window) == 1;
            if !(alone && free(&extent.window, extent.at + keep, extent.len - keep)) {
                extent.window.retire(extent.at + keep);
                extent.len = keep;
            }
        }
        self.map.split_off(&size).into_values().map(|extent| extent.window).collect()
    }

    /// Bytes of memory used to describe the content.
    pub fn metadata_bytes(&self) -> u64 {
        self.map.len() as u64 * (size_of::<(u64, Extent)>() + size_of::<Window>()) as u64
    }

    /// Asserts the invariants.
    pub fn audit(&self) {
        let mut end = 0;
        for (&start, extent) in &self.map {
            assert!(start >= end, "extents overlap at {start:#x}");
            assert!(extent.len > 0 && extent.len.is_multiple_of(PAGE_SIZE) && start.is_multiple_of(PAGE_SIZE));
            end = start + extent.len;
            assert_eq!(start / SEGMENT, (end - 1) / SEGMENT, "an extent crosses a segment");
            extent.window.part(extent.at, extent.len);
        }
    }
}
