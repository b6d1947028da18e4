//! Where new things go: checks on the place a caller asks for, and the choice of one where it does not.
//!
//! The choice is uniform among the candidate positions (vmar.md §12). Most regions are mostly empty, so it draws positions
//! among all and takes the first that is free: each free one is equally likely. Only a crowded region has its
//! candidates counted, gap by gap.

use core::ops::ControlFlow;

use zxvm_host::{AddrRange, PAGE_SIZE, Prot};
use zxvm_types::Status;

use super::{Child, Layout, Region, RegionId};

/// Candidate positions that a choice is made among, at most.
const CHOICES: u64 = 1 << 30;
/// Draws before candidates are counted.
const DRAWS: u32 = 32;

/// Where a caller wants something. Offsets are bytes from the region's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// The offset given.
    pub offset: u64,
    /// Exactly there.
    pub specific: bool,
    /// Exactly there, in place of mappings that are in the way.
    pub overwrite: bool,
    /// Anywhere that ends at or below the offset.
    pub upper_limit: bool,
    /// Alignment of the address, bytes; a power of two, or 0.
    pub align: u64,
}

impl Place {
    fn fixed(&self) -> bool {
        self.specific || self.overwrite
    }
}

impl Layout {
    /// Checks 6 to 15 of vmar.md §3 for something of `size` bytes (whole pages) that may be used as `can` says.
    pub(super) fn place(&mut self, id: RegionId, place: &Place, size: u64, can: Prot) -> Result<AddrRange, Status> {
        let region = self.region(id)?;
        let (base, len) = (region.range.start(), region.range.len());
        if size == 0 {
            return Err(Status::INVALID_ARGS);
        }
        if !region.flags.can.contains(can) {
            return Err(Status::ACCESS_DENIED);
        }
        if place.fixed() && place.upper_limit || !place.fixed() && !place.upper_limit && place.offset != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if !place.offset.is_multiple_of(PAGE_SIZE) {
            return Err(Status::INVALID_ARGS);
        }
        if (place.fixed() || place.upper_limit) && !region.flags.specific {
            return Err(Status::ACCESS_DENIED);
        }
        let out_of_bounds = if place.upper_limit {
            place.offset > len || size > len || size > place.offset
        } else {
            place.offset >= len || size > len - place.offset
        };
        if out_of_bounds {
            return Err(Status::INVALID_ARGS);
        }
        if place.fixed() {
            let start = base + place.offset;
            if place.align > PAGE_SIZE && !start.is_multiple_of(place.align) {
                return Err(Status::INVALID_ARGS);
            }
            let range = AddrRange::from_bounds(start, start + size);
            return region.check_fixed(range, place.overwrite).map(|()| range);
        }
        let end = if place.upper_limit { base + place.offset } else { region.range.end() };
        let choices = if region.flags.compact { 1 } else { CHOICES };
        let zone = AddrRange::from_bounds(base, end);
        let Self { regions, rng, .. } = self;
        regions[id].choose(zone, size, place.align.max(PAGE_SIZE), choices, rng).ok_or(Status::NO_RESOURCES)
    }
}

impl Region {
    fn check_fixed(&self, range: AddrRange, overwrite: bool) -> Result<(), Status> {
        if !overwrite {
            return if self.children.is_free(range) { Ok(()) } else { Err(Status::ALREADY_EXISTS) };
        }
        let mut touched = self.children.touching(range);
        if touched.any(|(_, child)| matches!(child, Child::Region(_))) { Err(Status::INVALID_ARGS) } else { Ok(()) }
    }

    /// One of the first `choices` free positions for `size` bytes in `zone`, at multiples of `step`.
    fn choose(
        &self,
        zone: AddrRange,
        size: u64,
        step: u64,
        choices: u64,
        rng: &mut fastrand::Rng,
    ) -> Option<AddrRange> {
        let at = |start: u64| AddrRange::from_bounds(start, start + size);
        let (first, count) = positions(zone, size, step)?;
        if choices > 1 && count <= choices {
            for _ in 0..DRAWS {
                let drawn = at(first + rng.u64(0..count) * step);
                if self.children.is_free(drawn) {
                    return Some(drawn);
                }
            }
        }
        // Counts up to `nth` positions; answers the position, or how many there are.
        let find = |nth: u64| {
            let mut seen = 0;
            let found = self.children.gaps(self.range, size, |gap| {
                if gap.start() >= zone.end() {
                    return ControlFlow::Break(None);
                }
                let Some((first, count)) = gap.intersect(zone).and_then(|gap| positions(gap, size, step)) else {
                    return ControlFlow::Continue(());
                };
                if nth - seen < count {
                    return ControlFlow::Break(Some(first + (nth - seen) * step));
                }
                seen += count;
                ControlFlow::Continue(())
            });
            match found {
                ControlFlow::Break(Some(start)) => Ok(start),
                ControlFlow::Break(None) | ControlFlow::Continue(()) => Err(seen),
            }
        };
        // The last of the choices, if there are as many; else there are fewer.
        let count = match find(choices - 1) {
            Ok(start) if choices == 1 => return Some(at(start)),
            Ok(_) => choices,
            Err(count) => count,
        };
        let nth = (count > 0).then(|| rng.u64(0..count))?;
        find(nth).ok().map(at)
    }
}

/// The first position for `size` bytes in `gap` at a multiple of `step`, and how many there are.
fn positions(gap: AddrRange, size: u64, step: u64) -> Option<(u64, u64)> {
    let first = gap.start().checked_next_multiple_of(step)?;
    let last = gap.end().checked_sub(size)?;
    let last = last - last % step;
    (first <= last).then(|| (first, (last - first) / step + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmar::{RegionFlags, Tree};

    const P: u64 = 4096;

    fn region(compact: bool) -> Region {
        let range = AddrRange::from_bounds(64 * P, 128 * P);
        let flags = RegionFlags { can: Prot::all(), specific: true, compact };
        Region { range, parent: None, depth: 0, flags, children: Tree::new(5) }
    }

    fn fill(region: &mut Region, from: u64, to: u64) {
        region.children.insert(AddrRange::from_bounds(from * P, to * P), Child::Region(RegionId::default()));
    }

    /// Draws often and counts how often each page was chosen.
    fn histogram(region: &Region, size: u64, step: u64, choices: u64) -> Vec<(u64, u32)> {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6400 {
            let spot = region.choose(region.range, size * P, step * P, choices, &mut rng).unwrap();
            assert_eq!(spot.len(), size * P);
            *counts.entry(spot.start() / P).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    #[test]
    fn every_free_position_is_equally_likely() {
        let mut region = region(false);
        fill(&mut region, 70, 100);
        fill(&mut region, 104, 126);
        let counts = histogram(&region, 2, 1, CHOICES);
        let pages: Vec<_> = counts.iter().map(|&(page, _)| page).collect();
        assert_eq!(pages, [64, 65, 66, 67, 68, 100, 101, 102, 126]);
        let even = 6400 / pages.len() as u32;
        assert!(counts.iter().all(|&(_, n)| n.abs_diff(even) < even / 4), "{counts:?}");
    }

    #[test]
    fn a_crowded_region_is_counted_and_still_even() {
        let mut region = region(false);
        fill(&mut region, 64, 90);
        fill(&mut region, 91, 127);
        let counts = histogram(&region, 1, 1, CHOICES);
        assert_eq!(counts.iter().map(|&(page, _)| page).collect::<Vec<_>>(), [90, 127]);
        assert!(counts[0].1.abs_diff(3200) < 300, "{counts:?}");
    }

    #[test]
    fn choices_beyond_the_limit_are_never_made() {
        let mut region = region(false);
        fill(&mut region, 65, 70);
        let counts = histogram(&region, 1, 1, 3);
        assert_eq!(counts.iter().map(|&(page, _)| page).collect::<Vec<_>>(), [64, 70, 71]);
    }

    #[test]
    fn a_compact_region_fills_from_below() {
        let mut region = region(true);
        fill(&mut region, 64, 65);
        fill(&mut region, 66, 70);
        assert_eq!(histogram(&region, 1, 1, 1), [(65, 6400)]);
        assert_eq!(histogram(&region, 2, 1, 1), [(70, 6400)]);
        assert_eq!(histogram(&region, 2, 16, 1), [(80, 6400)]);
    }

    #[test]
    fn no_spot_is_no_spot() {
        let mut region = region(false);
        fill(&mut region, 65, 128);
        let mut rng = fastrand::Rng::with_seed(3);
        assert_eq!(region.choose(region.range, 2 * P, P, CHOICES, &mut rng), None);
        assert_eq!(region.choose(region.range, P, 128 * P, CHOICES, &mut rng), None);
    }
}
