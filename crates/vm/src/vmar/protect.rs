//! Changing what a range allows.

use zxvm_host::{AddrRange, Prot};
use zxvm_types::Status;

use super::project::{Step, Steps, limit};
use super::{Child, Layout, RegionId, Vmar};
use crate::error::status;

impl Vmar {
    /// Gives the pages of `[addr, addr + len)` the protection `prot`. `addr` and `len` are whole pages, `len` is not 0.
    /// `children` says whether mappings in regions below may be changed (they never gain anything).
    ///
    /// # Errors
    /// Checks 7 to 10 of vmar.md §6, in that order; then `NO_MEMORY`, and all is as before.
    pub fn protect(&self, addr: u64, len: u64, prot: Prot, children: bool) -> Result<(), Status> {
        let mut layout = self.space.change()?;
        layout.region(self.id)?;
        let range = self.inside(addr, len).ok_or(Status::INVALID_ARGS)?;
        let (steps, parts) = self.plan_protect(&layout, range, prot, children)?;
        self.space.apply(&layout, &steps).map_err(status)?;
        for (region, base, part) in parts {
            if let Some(Child::Mapping(mapping)) = layout.region_mut(region).children.get_mut(base.start()) {
                let (start, end) = (part.start() - base.start(), part.end() - base.start());
                mapping.prots.set(start, end, base.len(), prot);
            }
        }
        Ok(())
    }

    /// The walk that checks: what to call, and which parts of which mappings change.
    #[allow(clippy::type_complexity)]
    fn plan_protect(
        &self,
        layout: &Layout,
        range: AddrRange,
        prot: Prot,
        children: bool,
    ) -> Result<(Steps, Vec<(RegionId, AddrRange, AddrRange)>), Status> {
        let mut steps = Steps::default();
        let mut parts = Vec::new();
        let mut at = range.start();
        for (region, base, mapping) in layout.mappings(self.id, range) {
            let part = base.intersect(range).expect("it touches");
            if part.start() > at {
                return Err(Status::NOT_FOUND);
            }
            if !mapping.can.contains(prot) {
                return Err(Status::ACCESS_DENIED);
            }
            if region != self.id && !children {
                return Err(Status::INVALID_ARGS);
            }
            let shown_end = {
                let content = mapping.vmo.lock();
                let shown = limit(mapping, content.family()).saturating_sub(mapping.offset).min(base.len());
                base.start() + shown
            };
            let mut differs = false;
            for (start, end, old) in mapping.prots.runs(part.start() - base.start(), part.end() - base.start()) {
                if region != self.id && !old.contains(prot) {
                    return Err(Status::ACCESS_DENIED);
                }
                if old == prot {
                    continue;
                }
                differs = true;
                let (start, end) = (base.start() + start, (base.start() + end).min(shown_end));
                if start < end {
                    steps.push(Step::Protect(AddrRange::from_bounds(start, end), prot));
                }
            }
            if differs {
                parts.push((region, base, part));
            }
            at = part.end();
        }
        if at < range.end() {
            return Err(Status::NOT_FOUND);
        }
        Ok((steps, parts))
    }
}
