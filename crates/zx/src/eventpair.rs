//! [`EventPair`]: two events that know of each other.

use zxvm_syscall::Kernel;

use crate::handle::NullableHandle;
use crate::sys;
use crate::traits::Peered;

object_type! {
    /// One of two events: each can signal the other, and tells when the other is gone.
    ///
    /// ```
    /// use zxvm as zx;
    /// use zx::Peered;
    /// # fn main() -> Result<(), zx::Status> {
    /// let (ours, theirs) = zx::EventPair::create();
    /// ours.signal_peer(zx::Signals::NONE, zx::Signals::USER_0)?;
    /// assert!(theirs.wait_one(zx::Signals::USER_0, zx::MonotonicInstant::INFINITE).is_ok());
    /// drop(theirs);
    /// assert!(ours.is_closed()?);
    /// # Ok(())
    /// # }
    /// ```
    pub struct EventPair;
}

impl EventPair {
    /// Two new events with no signal active. Their handles have the rights [`BASIC`](crate::Rights::BASIC), `SIGNAL`
    /// and `SIGNAL_PEER`.
    ///
    /// # Panics
    /// If there is no memory, or no engine.
    pub fn create() -> (Self, Self) {
        let (mut a, mut b) = (sys::ZX_HANDLE_INVALID, sys::ZX_HANDLE_INVALID);
        Kernel::current().and_then(|kernel| kernel.eventpair_create(0, &mut a, &mut b)).expect("an event pair");
        (NullableHandle::adopt(a).into(), NullableHandle::adopt(b).into())
    }
}

impl Peered for EventPair {}
