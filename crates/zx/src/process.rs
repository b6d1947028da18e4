//! [`Process`]: the process and its address space as a whole.

use core::mem::MaybeUninit;

use crate::info::{self, Topic};
use crate::maps::MapInfo;
use crate::raw::{self, Records};
use crate::sys::Status;

object_type! {
    /// A process; here always this one, see [`process_self`](crate::runtime::process_self).
    pub struct Process;
}

impl Process {
    /// The regions of the process's address space, into `buf` as far as it is long enough. Needs `INSPECT`. The first
    /// record is the address space, the second the root VMAR; then depth first, by ascending address. A mapping gives
    /// one record for each run of equal protection.
    ///
    /// Gives the records, the rest of `buf`, and the number of records there are.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`; `NO_MEMORY`.
    ///
    /// Source: `ZX_INFO_PROCESS_MAPS`; vmar.md §11.
    pub fn info_maps<'a>(&self, buf: &'a mut [MaybeUninit<MapInfo>]) -> Result<Records<'a, MapInfo>, Status> {
        raw::records(self.raw_handle(), Topic::PROCESS_MAPS, buf)
    }

    /// The regions of the process's address space, all of them. See [`info_maps`](Self::info_maps).
    ///
    /// ```
    /// use zxvm as zx;
    /// # fn main() -> Result<(), zx::Status> {
    /// let maps = zx::runtime::process_self().info_maps_vec()?;
    /// assert_eq!(maps[0].details(), zx::MapDetails::AddressSpace);
    /// assert_eq!(maps[1].name, "root");
    /// # Ok(())
    /// # }
    /// ```
    pub fn info_maps_vec(&self) -> Result<Vec<MapInfo>, Status> {
        info::many(self.raw_handle(), Topic::PROCESS_MAPS)
    }
}
