//! [`Unowned`]: a handle that somebody else closes.
//!
//! It has the layout of `zx_handle_t`, derefs to the object type, and closes nothing on drop.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;

use crate::handle::NullableHandle;
use crate::sys::zx_handle_t;
use crate::traits::AsHandleRef;

/// A borrowed `T`, as long as `'a`.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let vmo = zx::Vmo::create(4096)?;
/// {
///     let borrowed = zx::Unowned::<zx::Vmo>::new(&vmo);
///     assert_eq!(borrowed.get_size()?, 4096);
/// }
/// assert_eq!(vmo.get_size()?, 4096);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(transparent)]
pub struct Unowned<'a, T> {
    inner: ManuallyDrop<T>,
    life: PhantomData<&'a T>,
}

/// A borrowed handle to an object of any type.
pub type HandleRef<'a> = Unowned<'a, NullableHandle>;

impl<'a, T: From<NullableHandle>> Unowned<'a, T> {
    /// Borrows `inner` as a `T`.
    pub fn new<U: AsHandleRef>(inner: &'a U) -> Self
    where
        T: From<U>,
    {
        Self::borrow_raw(inner.raw_handle())
    }

    /// Borrows a handle by its number; 0 is the invalid handle.
    ///
    /// # Safety
    /// The handle stays open as long as `'a`.
    #[allow(unsafe_code)]
    pub unsafe fn from_raw_handle(raw: zx_handle_t) -> Self {
        Self::borrow_raw(raw)
    }

    /// Borrows a handle that the caller knows to outlive `'a`.
    pub(crate) fn borrow_raw(raw: zx_handle_t) -> Self {
        Self { inner: ManuallyDrop::new(NullableHandle::adopt(raw).into()), life: PhantomData }
    }
}

impl<T: AsHandleRef> Unowned<'_, T> {
    /// The handle's number; 0 if it is invalid.
    pub fn raw_handle(&self) -> zx_handle_t {
        NullableHandle::raw_handle(&self.inner.as_handle_ref().inner)
    }
}

impl<'a> HandleRef<'a> {
    /// The same handle as a `T`, which is not checked.
    pub fn cast<T: From<NullableHandle>>(self) -> Unowned<'a, T> {
        Unowned::borrow_raw(self.raw_handle())
    }
}

impl<T> Deref for Unowned<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: AsHandleRef + From<NullableHandle>> Clone for Unowned<'_, T> {
    fn clone(&self) -> Self {
        Self::borrow_raw(self.raw_handle())
    }
}

impl<T: AsHandleRef> AsHandleRef for Unowned<'_, T> {
    fn as_handle_ref(&self) -> HandleRef<'_> {
        T::as_handle_ref(&self.inner)
    }
}

const _: () = assert!(size_of::<HandleRef<'_>>() == size_of::<zx_handle_t>());
