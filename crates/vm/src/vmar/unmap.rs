//! Unmapping: whatever lies in a range goes.

use zxvm_host::{AddrRange, View};
use zxvm_types::Status;

use super::project::{Step, Steps};
use super::{Child, Vmar};
use crate::error::status;

impl Vmar {
    /// Cuts the mappings in `[addr, addr + len)` out and destroys the regions there. `addr` and `len` are whole pages, `len`
    /// is not 0. `children` says whether regions may go.
    ///
    /// # Errors
    /// Checks 4 to 6 of vmar.md §5, in that order; then what the host gives, and all is as before.
    pub fn unmap(&self, addr: u64, len: u64, children: bool) -> Result<(), Status> {
        let gone = {
            let mut layout = self.space.change()?;
            let region = layout.region(self.id)?;
            let range = self.inside(addr, len).ok_or(Status::INVALID_ARGS)?;
            let mut span = None::<AddrRange>;
            let mut shown = false;
            for (at, child) in region.children.touching(range) {
                shown |= match child {
                    Child::Region(_) if !children || !range.contains(at) => return Err(Status::INVALID_ARGS),
                    Child::Region(below) => layout.first_mapping(*below, at).is_some(),
                    Child::Mapping(_) => true,
                };
                let part = at.intersect(range).expect("it touches");
                span = Some(AddrRange::from_bounds(span.map_or(part.start(), AddrRange::start), part.end()));
            }
            let Some(span) = span else { return Ok(()) };
            if shown {
                let mut steps = Steps::default();
                steps.push(Step::Show(span, View::Held));
                self.space.apply(&layout, &steps).map_err(status)?;
            }
            layout.cut(self.id, span)
        };
        drop(gone);
        Ok(())
    }
}
