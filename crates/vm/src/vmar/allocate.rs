//! Making a region inside a region.

use zxvm_types::Status;

use super::{Child, Place, Region, RegionFlags, Tree, Vmar};

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
    /// Checks 6 to 15 of vmar.md §3, in that order.
    pub fn allocate(&self, request: AllocateRequest) -> Result<Self, Status> {
        let mut layout = self.space.layout.write();
        let range = layout.place(self.id, &request.place, request.size, request.flags.can)?;
        let children = Tree::new(layout.rng.u64(..));
        let id = layout.regions.insert(Region { range, parent: Some(self.id), flags: request.flags, children });
        layout.region_mut(self.id).children.insert(range, Child::Region(id));
        Ok(Self { space: self.space.clone(), id, range })
    }
}
