//! Owned handles: [`Handle`], which is always one, and [`NullableHandle`], which may be none.
//!
//! 1. Who owns a handle closes it, on drop, once.
//! 2. `Option<Handle>` and [`NullableHandle`] have the layout of `zx_handle_t`: 0 is none.
//! 3. Neither can be copied or cloned; [`Handle::duplicate`] asks the engine for another handle.

use core::mem;
use core::num::NonZeroU32;

use zxvm_syscall::Kernel;

use crate::handle_info::{HandleBasicInfo, HandleCountInfo};
use crate::info::{self, Topic};
use crate::koid::Koid;
use crate::name::Name;
use crate::port::{Port, WaitAsyncOpts};
use crate::property::{self, Property};
use crate::rights::Rights;
use crate::signals::Signals;
use crate::sys::{self, Status, zx_handle_t};
use crate::time::MonotonicInstant;
use crate::traits::{AsHandleRef, HandleBased};
use crate::unowned::HandleRef;
use crate::wait::{WaitItem, WaitResult};

/// A handle to an object of any type. Never the invalid handle.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let handle: zx::Handle = zx::Event::create().into_handle().try_into()?;
/// let weak = handle.duplicate(zx::Rights::WAIT)?;
/// assert_eq!(handle.koid()?, weak.koid()?);
/// assert_eq!(weak.signal(zx::Signals::NONE, zx::Signals::USER_0), Err(zx::Status::ACCESS_DENIED));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(transparent)]
pub struct Handle(NonZeroU32);

impl Handle {
    /// Takes a handle over; `None` for 0.
    ///
    /// # Safety
    /// `raw` is 0 or a handle that nobody else closes.
    #[allow(unsafe_code)]
    pub unsafe fn from_raw(raw: zx_handle_t) -> Option<Self> {
        Self::adopt(raw)
    }

    /// Takes a handle over that is not 0.
    ///
    /// # Safety
    /// `raw` is a handle that nobody else closes.
    ///
    /// # Panics
    /// If it is 0.
    #[allow(unsafe_code)]
    pub unsafe fn from_raw_unchecked(raw: zx_handle_t) -> Self {
        Self::adopt(raw).expect("the caller says that it is not 0")
    }

    /// Takes over what the engine has just given out.
    pub(crate) fn adopt(raw: zx_handle_t) -> Option<Self> {
        NonZeroU32::new(raw).map(Self)
    }

    /// Whether this number stands for a handle of this process now.
    ///
    /// # Errors
    /// `BAD_HANDLE`: it does not.
    ///
    /// Source: `zx_handle_check_valid`.
    pub fn check_raw_valid(raw: zx_handle_t) -> Result<(), Status> {
        Kernel::current()?.handle_check_valid(raw)
    }

    /// The handle's number. This object keeps it.
    pub const fn raw_handle(&self) -> zx_handle_t {
        self.0.get()
    }

    /// The handle's number, to be closed by the caller.
    pub fn into_raw(self) -> zx_handle_t {
        let raw = self.raw_handle();
        mem::forget(self);
        raw
    }

    /// The handle, as one that may be invalid.
    pub fn into_handle(self) -> NullableHandle {
        self.into()
    }

    /// Another handle to the same object. See [`NullableHandle::duplicate_handle`].
    pub fn duplicate(&self, rights: Rights) -> Result<Self, Status> {
        NullableHandle::duplicate_handle(&self.as_handle_ref(), rights)?.try_into()
    }

    /// Another handle in place of this one. See [`NullableHandle::replace_handle`].
    pub fn replace(self, rights: Rights) -> Result<Self, Status> {
        NullableHandle::from(self).replace_handle(rights)?.try_into()
    }
}

common_methods!(Handle);

impl Drop for Handle {
    fn drop(&mut self) {
        // Without an engine (a forked child) there is nothing to close; a bad handle was closed behind our back.
        if let Ok(kernel) = Kernel::current() {
            let _ = kernel.handle_close(self.raw_handle());
        }
    }
}

/// A handle to an object of any type, or the invalid handle. Calls on the invalid one give `BAD_HANDLE`.
///
/// ```
/// use zxvm as zx;
/// let none = zx::NullableHandle::invalid();
/// assert_eq!(none.koid(), Err(zx::Status::BAD_HANDLE));
/// assert_eq!(none.replace_handle(zx::Rights::NONE), Ok(zx::NullableHandle::invalid()));
/// ```
#[derive(Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(transparent)]
pub struct NullableHandle(Option<Handle>);

impl NullableHandle {
    /// The invalid handle.
    pub const fn invalid() -> Self {
        Self(None)
    }

    /// Takes a handle over; 0 is the invalid one.
    ///
    /// # Safety
    /// `raw` is 0 or a handle that nobody else closes.
    #[allow(unsafe_code)]
    pub const unsafe fn from_raw(raw: zx_handle_t) -> Self {
        Self::adopt(raw)
    }

    /// Takes over what the engine has just given out.
    pub(crate) const fn adopt(raw: zx_handle_t) -> Self {
        match NonZeroU32::new(raw) {
            Some(raw) => Self(Some(Handle(raw))),
            None => Self(None),
        }
    }

    /// The handle's number; 0 if it is invalid. This object keeps it.
    pub const fn raw_handle(&self) -> zx_handle_t {
        match &self.0 {
            Some(handle) => handle.raw_handle(),
            None => sys::ZX_HANDLE_INVALID,
        }
    }

    /// The handle's number, to be closed by the caller; 0 if it is invalid.
    pub fn into_raw(self) -> zx_handle_t {
        self.0.map_or(sys::ZX_HANDLE_INVALID, Handle::into_raw)
    }

    /// Whether it is the invalid handle.
    pub const fn is_invalid(&self) -> bool {
        self.0.is_none()
    }

    /// This handle itself: what object types turn into.
    pub fn into_handle(self) -> Self {
        self
    }

    /// This handle, borrowed.
    pub fn as_handle_ref(&self) -> HandleRef<'_> {
        HandleRef::borrow_raw(self.raw_handle())
    }

    /// Another handle to the same object, with `rights` or, for [`Rights::SAME_RIGHTS`], with those of this one.
    /// Needs `DUPLICATE`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `INVALID_ARGS`: this handle lacks some of `rights`; `NO_MEMORY`.
    ///
    /// Source: `zx_handle_duplicate`; abi.md §12.
    pub fn duplicate_handle(&self, rights: Rights) -> Result<Self, Status> {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current()?.handle_duplicate(self.raw_handle(), rights.bits(), &mut raw)?;
        Ok(Self::adopt(raw))
    }

    /// Another handle, with `rights` (as in [`duplicate_handle`](Self::duplicate_handle)), in place of this one, which
    /// is closed even on errors. The invalid handle is replaced by itself.
    ///
    /// # Errors
    /// `INVALID_ARGS`: this handle lacks some of `rights`; `NO_MEMORY`.
    ///
    /// Source: `zx_handle_replace`; abi.md §12.
    pub fn replace_handle(self, rights: Rights) -> Result<Self, Status> {
        if self.is_invalid() {
            return Ok(self);
        }
        let kernel = Kernel::current()?;
        let mut raw = sys::ZX_HANDLE_INVALID;
        kernel.handle_replace(self.into_raw(), rights.bits(), &mut raw)?;
        Ok(Self::adopt(raw))
    }

    /// Clears, then sets signals of the object, in one step. Needs `SIGNAL`. Only the user signals, and `SIGNALED` of
    /// events and event pairs, are for programs to change.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `INVALID_ARGS`: other signals.
    ///
    /// Source: `zx_object_signal`; abi.md §12.
    pub fn signal(&self, clear_mask: Signals, set_mask: Signals) -> Result<(), Status> {
        Kernel::current()?.object_signal(self.raw_handle(), clear_mask.bits(), set_mask.bits())
    }

    /// Waits until any of `signals` is active, at most until `deadline`. Needs `WAIT`. A deadline in the past polls.
    /// The result holds all signals that were active, asked for or not.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `NOT_SUPPORTED`: the object cannot be waited for. [`WaitResult::Canceled`]: the
    /// handle was closed meanwhile.
    ///
    /// Source: `zx_object_wait_one`; abi.md §12.
    pub fn wait_one(&self, signals: Signals, deadline: MonotonicInstant) -> WaitResult {
        let kernel = match Kernel::current() {
            Ok(kernel) => kernel,
            Err(status) => return WaitResult::Err(status),
        };
        let mut observed = 0;
        let result = kernel.object_wait_one(self.raw_handle(), signals.bits(), deadline.into_nanos(), &mut observed);
        let observed = Signals::from_bits_retain(observed);
        match result {
            Ok(()) => WaitResult::Ok(observed),
            Err(Status::TIMED_OUT) => WaitResult::TimedOut(observed),
            Err(Status::CANCELED) => WaitResult::Canceled(observed),
            Err(status) => WaitResult::Err(status),
        }
    }

    /// Has one packet with this key queued in `port` once any of `signals` is active. No thread waits. Needs `WAIT`, and
    /// `WRITE` on the port. The wait is this handle's: it ends, without a packet, when this is closed or replaced.
    ///
    /// # Errors
    /// `INVALID_ARGS`: both timestamps, or an option that is none. Of the port, then of this: `BAD_HANDLE`; `ACCESS_DENIED`.
    /// `WRONG_TYPE`: `port` is none. `NOT_SUPPORTED`: the object cannot be waited for.
    ///
    /// Source: `zx_object_wait_async`; abi.md §12.
    pub fn wait_async(&self, port: &Port, key: u64, signals: Signals, options: WaitAsyncOpts) -> Result<(), Status> {
        let kernel = Kernel::current()?;
        kernel.object_wait_async(self.raw_handle(), port.raw_handle(), key, signals.bits(), options.bits())
    }

    /// An item for [`object_wait_many`](crate::object_wait_many) that waits for any of `signals` here.
    pub fn wait_item(&self, signals: Signals) -> WaitItem<'_> {
        WaitItem::new(self.as_handle_ref(), signals)
    }

    /// The object's name. Needs `GET_PROPERTY`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`; `WRONG_TYPE`: objects of this type have no name.
    ///
    /// Source: `ZX_PROP_NAME`; abi.md §12.
    pub fn get_name(&self) -> Result<Name, Status> {
        property::get(self.raw_handle(), Property::NAME)
    }

    /// Renames the object. Needs `SET_PROPERTY`.
    ///
    /// # Errors
    /// As [`get_name`](Self::get_name).
    ///
    /// Source: `ZX_PROP_NAME`; abi.md §12.
    pub fn set_name(&self, name: &Name) -> Result<(), Status> {
        property::set(self.raw_handle(), Property::NAME, name)
    }

    /// Number and type of the object, and the rights of this handle. Needs no right.
    ///
    /// # Errors
    /// `BAD_HANDLE`.
    ///
    /// Source: `ZX_INFO_HANDLE_BASIC`; abi.md §8.
    pub fn basic_info(&self) -> Result<HandleBasicInfo, Status> {
        info::one::<sys::zx_info_handle_basic_t>(self.raw_handle(), Topic::HANDLE_BASIC).map(Into::into)
    }

    /// How many handles the object has. Needs `INSPECT`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `ACCESS_DENIED`.
    ///
    /// Source: `ZX_INFO_HANDLE_COUNT`; abi.md §8.
    pub fn count_info(&self) -> Result<HandleCountInfo, Status> {
        info::one::<sys::zx_info_handle_count_t>(self.raw_handle(), Topic::HANDLE_COUNT).map(Into::into)
    }

    /// The object's number, unique as long as the engine runs. Needs no right.
    ///
    /// # Errors
    /// `BAD_HANDLE`.
    pub fn koid(&self) -> Result<Koid, Status> {
        self.basic_info().map(|info| info.koid)
    }
}

impl AsHandleRef for NullableHandle {
    fn as_handle_ref(&self) -> HandleRef<'_> {
        self.as_handle_ref()
    }
}

impl HandleBased for NullableHandle {}

impl From<Handle> for NullableHandle {
    fn from(handle: Handle) -> Self {
        Self(Some(handle))
    }
}

impl From<Option<Handle>> for NullableHandle {
    fn from(handle: Option<Handle>) -> Self {
        Self(handle)
    }
}

impl TryFrom<NullableHandle> for Handle {
    type Error = Status;

    /// # Errors
    /// `BAD_HANDLE`: it is the invalid handle.
    fn try_from(handle: NullableHandle) -> Result<Self, Status> {
        handle.0.ok_or(Status::BAD_HANDLE)
    }
}

const _: () = assert!(size_of::<Option<Handle>>() == size_of::<zx_handle_t>());
