//! Access to memory that may fail: for programs that want an error rather than a signal.

use zxvm_host::Access;
use zxvm_host::user::{CopyStop, UserRef, UserSlice};
use zxvm_types::Status;

use crate::kernel::Kernel;

impl Kernel {
    /// Copies from one place in memory to another, both as long; either may be memory that a pager provides, or nothing at
    /// all. Blocks while a pager provides.
    ///
    /// # Errors
    /// What a pager refused the access with; `BAD_STATE`: it does not provide any more. `NOT_FOUND`: nothing is there.
    /// `ACCESS_DENIED`: it does not allow that. `OUT_OF_RANGE`: it is past the end of a VMO. What comes before has been copied.
    ///
    /// Source: pager.md §11. Ours, not Zircon's.
    pub fn try_copy(&self, to: UserSlice<'_>, from: UserRef<'_>) -> Result<(), Status> {
        to.copy_from(from).map_err(|CopyStop { done, error }| {
            if error != 0 {
                return Status::from_raw(error);
            }
            // Which of the two was it?
            let rest = from.part(done, 1);
            let (at, access) = match rest.copy_to(&mut [0]) {
                Ok(()) => (to.addr().wrapping_add(done), Access::Write),
                Err(fault) => (fault.at, Access::Read),
            };
            self.access_error(at, access)
        })
    }
}
