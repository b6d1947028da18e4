//! Making a region inside a region.

use zxvm_types::Status;

use super::{Child, Place, Region, RegionFlags, Tree, Vmar};

/// Regions inside of each other, at most. Walks recurse, and stacks are small where they run below malloc.
pub const DEPTH_MAX: usize = 128;

/// What [`Vmar::allocate`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct AllocateRequest {
    /// Where.
    pub place: Place,
    /// Bytes, whole pages.
    pub size: u64,
    /// What it lets its contents be.
    pub flags: RegionFlags,
}

impl Vmar {
    /// Makes a region; the space is its own until it is destroyed. No host call.
    ///
    /// # Errors
    /// Checks 6 to 15 of vmar.md §3, in that order; then `NO_RESOURCES`: nested deeper than 128 regions.
    pub fn allocate(&self, request: AllocateRequest) -> Result<Self, Status> {
        let mut layout = self.space.layout.write();
        let range = layout.place(self.id, &request.place, request.size, request.flags.can)?;
        let depth = layout.region(self.id)?.depth + 1;
        if depth >= DEPTH_MAX {
            return Err(Status::NO_RESOURCES);
        }
        let children = Tree::new(layout.rng.u64(..));
        let id = layout.regions.insert(Region { range, parent: Some(self.id), depth, flags: request.flags, children });
        layout.region_mut(self.id).children.insert(range, Child::Region(id));
        Ok(Self { space: self.space.clone(), id, range })
    }
}
