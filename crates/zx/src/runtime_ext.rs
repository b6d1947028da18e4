//! What can be said about the engine of this process, beyond Fuchsia's binding.

use zxvm_syscall::Kernel;

use crate::sys::Status;

pub use zxvm_syscall::Delivery as FaultDelivery;

/// Ours, not Fuchsia's: says which thread deals with an access to mapped memory that has something to wait for, such as the
/// first store to a page after a snapshot. To be called before anything else that needs the engine. Without it the environment
/// variable `ZXVM_FAULTS` decides, `thread` or `inline`; without that it is [`FaultDelivery::Thread`].
///
/// Where it cannot be had, what needs it says `NOT_SUPPORTED`: snapshots of what is mapped for writing, and VMOs of pagers.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// zx::set_fault_delivery(zx::FaultDelivery::InThread)?;
/// let vmo = zx::Vmo::create(4096)?;
/// assert_eq!(zx::set_fault_delivery(zx::FaultDelivery::Thread), Err(zx::Status::BAD_STATE));
/// # drop(vmo);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `BAD_STATE`: it is too late.
pub fn set_fault_delivery(delivery: FaultDelivery) -> Result<(), Status> {
    Kernel::set_fault_delivery(delivery)
}
