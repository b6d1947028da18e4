//! Traits over all handle types: for generic code, and for code that was written when these were the only methods.
//!
//! Every provided method does what the inherent one does; documentation is there.

use crate::handle::NullableHandle;
use crate::handle_info::{HandleBasicInfo, HandleCountInfo};
use crate::koid::Koid;
use crate::name::Name;
use crate::port::{Port, WaitAsyncOpts};
use crate::rights::Rights;
use crate::signals::Signals;
use crate::sys::{Status, zx_handle_t};
use crate::time::MonotonicInstant;
use crate::unowned::HandleRef;
use crate::wait::WaitResult;

/// Anything that has a handle to lend.
///
/// ```
/// use zxvm as zx;
/// use zx::AsHandleRef;
/// fn describe(object: &impl AsHandleRef) -> Result<String, zx::Status> {
///     Ok(format!("{:?}", object.basic_info()?.object_type))
/// }
/// assert_eq!(describe(&zx::Event::create()), Ok("ObjectType(EVENT)".to_string()));
/// ```
pub trait AsHandleRef {
    /// The handle, borrowed.
    fn as_handle_ref(&self) -> HandleRef<'_>;

    /// The handle's number; 0 if it is invalid.
    fn raw_handle(&self) -> zx_handle_t {
        HandleRef::raw_handle(&self.as_handle_ref())
    }

    /// See [`NullableHandle::signal`].
    fn signal_handle(&self, clear_mask: Signals, set_mask: Signals) -> Result<(), Status> {
        NullableHandle::signal(&self.as_handle_ref(), clear_mask, set_mask)
    }

    /// See [`NullableHandle::wait_one`].
    fn wait_handle(&self, signals: Signals, deadline: MonotonicInstant) -> WaitResult {
        NullableHandle::wait_one(&self.as_handle_ref(), signals, deadline)
    }

    /// See [`NullableHandle::wait_async`].
    fn wait_async_handle(&self, port: &Port, key: u64, signals: Signals, options: WaitAsyncOpts) -> Result<(), Status> {
        NullableHandle::wait_async(&self.as_handle_ref(), port, key, signals, options)
    }

    /// See [`NullableHandle::get_name`].
    fn get_name(&self) -> Result<Name, Status> {
        NullableHandle::get_name(&self.as_handle_ref())
    }

    /// See [`NullableHandle::set_name`].
    fn set_name(&self, name: &Name) -> Result<(), Status> {
        NullableHandle::set_name(&self.as_handle_ref(), name)
    }

    /// See [`NullableHandle::basic_info`].
    fn basic_info(&self) -> Result<HandleBasicInfo, Status> {
        NullableHandle::basic_info(&self.as_handle_ref())
    }

    /// See [`NullableHandle::count_info`].
    fn count_info(&self) -> Result<HandleCountInfo, Status> {
        NullableHandle::count_info(&self.as_handle_ref())
    }

    /// See [`NullableHandle::koid`].
    fn get_koid(&self) -> Result<Koid, Status> {
        NullableHandle::koid(&self.as_handle_ref())
    }
}

impl<T: AsHandleRef + ?Sized> AsHandleRef for &T {
    fn as_handle_ref(&self) -> HandleRef<'_> {
        T::as_handle_ref(self)
    }
}

/// Anything that is one owned handle.
pub trait HandleBased: AsHandleRef + From<NullableHandle> + Into<NullableHandle> {
    /// See [`NullableHandle::duplicate_handle`].
    fn duplicate_handle(&self, rights: Rights) -> Result<Self, Status> {
        NullableHandle::duplicate_handle(&self.as_handle_ref(), rights).map(Self::from)
    }

    /// See [`NullableHandle::replace_handle`].
    fn replace_handle(self, rights: Rights) -> Result<Self, Status> {
        NullableHandle::replace_handle(self.into(), rights).map(Self::from)
    }

    /// The handle without its type.
    fn into_handle(self) -> NullableHandle {
        self.into()
    }

    /// The handle's number, to be closed by the caller; 0 if it is invalid.
    fn into_raw(self) -> zx_handle_t {
        NullableHandle::into_raw(self.into())
    }

    /// The handle as a `Self`, which is not checked.
    fn from_handle(handle: NullableHandle) -> Self {
        handle.into()
    }

    /// This object's handle as an `H`, which is not checked.
    fn into_handle_based<H: HandleBased>(self) -> H {
        H::from_handle(self.into())
    }

    /// That object's handle as a `Self`, which is not checked.
    fn from_handle_based<H: HandleBased>(object: H) -> Self {
        Self::from(object.into())
    }

    /// Whether it is the invalid handle.
    fn is_invalid_handle(&self) -> bool {
        NullableHandle::is_invalid(&self.as_handle_ref())
    }
}

/// One of two objects that know each other.
pub trait Peered: AsHandleRef {
    /// Clears, then sets signals of the other one. Needs `SIGNAL_PEER`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `INVALID_ARGS`: signals that are not for programs to change; `PEER_CLOSED`: it is
    /// gone.
    ///
    /// Source: `zx_object_signal_peer`; abi.md §12.
    fn signal_peer(&self, clear_mask: Signals, set_mask: Signals) -> Result<(), Status> {
        let kernel = zxvm_syscall::Kernel::current()?;
        kernel.object_signal_peer(self.raw_handle(), clear_mask.bits(), set_mask.bits())
    }

    /// Whether the other one is gone. Needs `WAIT`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `CANCELED`: the handle was closed meanwhile.
    fn is_closed(&self) -> Result<bool, Status> {
        match self.wait_handle(Signals::OBJECT_PEER_CLOSED, MonotonicInstant::INFINITE_PAST) {
            WaitResult::Ok(_) => Ok(true),
            WaitResult::TimedOut(_) => Ok(false),
            WaitResult::Canceled(_) => Err(Status::CANCELED),
            WaitResult::Err(status) => Err(status),
        }
    }
}
