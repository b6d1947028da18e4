//! Results on their way to the caller.

use zxvm_host::user::UserFault;
use zxvm_types::Status;

/// A place for a result.
pub trait Out<T> {
    /// Puts it there.
    ///
    /// # Errors
    /// The place is not there or not writable.
    fn put(self, value: T) -> Result<(), UserFault>;
}

impl<T> Out<T> for &mut T {
    fn put(self, value: T) -> Result<(), UserFault> {
        *self = value;
        Ok(())
    }
}

/// Nobody wants the result.
impl<T, O: Out<T>> Out<T> for Option<O> {
    fn put(self, value: T) -> Result<(), UserFault> {
        self.map_or(Ok(()), |out| out.put(value))
    }
}

/// The status for a result that could not be written.
pub(crate) fn invalid_args(_: UserFault) -> Status {
    Status::INVALID_ARGS
}
