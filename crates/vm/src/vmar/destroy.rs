//! The end of a region and all below it.

use zxvm_host::View;
use zxvm_types::Status;

use super::Vmar;
use super::project::{Step, Steps};
use crate::error::status;

impl Vmar {
    /// Unmaps everything in the region, kills it and all regions below, and returns its space to its parent.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: the root. `BAD_STATE`: dead already. Then what the host gives, and all is as before.
    ///
    /// Source: vmar.md §7.
    pub fn destroy(&self) -> Result<(), Status> {
        if self.is_root() {
            return Err(Status::NOT_SUPPORTED);
        }
        let gone = {
            let mut layout = self.space.change()?;
            let region = layout.region(self.id)?;
            let parent = region.parent.expect("only the root has none");
            if layout.first_mapping(self.id, self.range).is_some() {
                let mut steps = Steps::default();
                steps.push(Step::Show(self.range, View::Held));
                self.space.apply(&layout, &steps).map_err(status)?;
            }
            layout.cut(parent, self.range)
        };
        drop(gone);
        Ok(())
    }
}
