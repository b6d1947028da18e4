//! Waiting: how one wait ends, and how to wait for several objects at once.

use zxvm_syscall::Kernel;

use crate::signals::Signals;
use crate::sys::{self, Status};
use crate::time::MonotonicInstant;
use crate::unowned::HandleRef;

/// How a wait ended. The signals are all that were active at that moment, asked for or not.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum WaitResult {
    /// At least one of those asked for is active.
    Ok(Signals),
    /// The deadline came first.
    TimedOut(Signals),
    /// The handle was closed; `HANDLE_CLOSED` is among the signals.
    Canceled(Signals),
    /// There was no wait.
    Err(Status),
}

impl WaitResult {
    /// The signals if one of those asked for is active, else why not.
    pub const fn to_result(self) -> Result<Signals, Status> {
        match self {
            Self::Ok(signals) => Ok(signals),
            Self::TimedOut(_) => Err(Status::TIMED_OUT),
            Self::Canceled(_) => Err(Status::CANCELED),
            Self::Err(status) => Err(status),
        }
    }

    /// Whether one of the signals asked for is active.
    pub const fn is_ok(self) -> bool {
        self.to_result().is_ok()
    }

    /// Whether none is.
    pub const fn is_err(self) -> bool {
        self.to_result().is_err()
    }

    /// [`to_result`](Self::to_result) with the signals changed.
    pub fn map<T>(self, f: impl FnOnce(Signals) -> T) -> Result<T, Status> {
        self.to_result().map(f)
    }

    /// [`to_result`](Self::to_result) with the status changed.
    pub fn map_err<E>(self, f: impl FnOnce(Status) -> E) -> Result<Signals, E> {
        self.to_result().map_err(f)
    }

    /// The signals.
    ///
    /// # Panics
    /// With `message`, if none of those asked for is active.
    #[track_caller]
    pub fn expect(self, message: &str) -> Signals {
        self.to_result().expect(message)
    }

    /// The status.
    ///
    /// # Panics
    /// With `message`, if one of those asked for is active.
    #[track_caller]
    pub fn expect_err(self, message: &str) -> Status {
        self.to_result().expect_err(message)
    }

    /// The signals.
    ///
    /// # Panics
    /// If none of those asked for is active.
    #[track_caller]
    pub fn unwrap(self) -> Signals {
        self.to_result().unwrap()
    }
}

/// One of the objects of [`object_wait_many`]. Has the layout of `zx_wait_item_t`.
#[derive(Debug, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(C)]
pub struct WaitItem<'a> {
    /// The object.
    pub handle: HandleRef<'a>,
    /// Any of these signals ends the wait.
    pub waitfor: Signals,
    /// Filled in: all the signals that were active.
    pub pending: Signals,
}

impl<'a> WaitItem<'a> {
    /// Waits for any of `signals` of `handle`.
    pub const fn new(handle: HandleRef<'a>, signals: Signals) -> Self {
        Self { handle, waitfor: signals, pending: Signals::NONE }
    }
}

/// Waits until any of `items` has any of its signals active, at most until `deadline`. Needs `WAIT` on each. The result
/// tells whether the wait was cancelled, by closing a handle of `items`: that item's `pending` holds `HANDLE_CLOSED`.
/// With no items it sleeps.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let (quiet, loud) = (zx::Event::create(), zx::Event::create());
/// loud.signal(zx::Signals::NONE, zx::Signals::USER_3)?;
/// let mut items = [quiet.wait_item(zx::Signals::USER_ALL), loud.wait_item(zx::Signals::USER_ALL)];
/// zx::object_wait_many(&mut items, zx::MonotonicInstant::INFINITE)?;
/// assert_eq!(items[1].pending, zx::Signals::USER_3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `OUT_OF_RANGE`: more than 64 items. `BAD_HANDLE`, `ACCESS_DENIED`, `NOT_SUPPORTED`: by the first item at fault.
/// `TIMED_OUT`: the deadline came first. Only on `TIMED_OUT` are the items filled in.
///
/// Source: `zx_object_wait_many`; abi.md §12.
pub fn object_wait_many(items: &mut [WaitItem<'_>], deadline: MonotonicInstant) -> Result<bool, Status> {
    let raw_item = |item: &WaitItem<'_>| sys::zx_wait_item_t {
        handle: item.handle.raw_handle(),
        waitfor: item.waitfor.bits(),
        pending: item.pending.bits(),
    };
    let mut raw: Vec<_> = items.iter().map(raw_item).collect();
    let result = Kernel::current()?.object_wait_many(&mut raw, deadline.into_nanos());
    for (item, raw) in items.iter_mut().zip(raw) {
        item.pending = Signals::from_bits_retain(raw.pending);
    }
    match result {
        Ok(()) => Ok(false),
        Err(Status::CANCELED) => Ok(true),
        Err(status) => Err(status),
    }
}

const _: () = assert!(
    size_of::<WaitItem<'_>>() == size_of::<sys::zx_wait_item_t>()
        && core::mem::offset_of!(WaitItem<'_>, pending) == core::mem::offset_of!(sys::zx_wait_item_t, pending)
);
