//! [`Koid`]: the number of an object.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::sys::zx_koid_t;

/// The number of an object: never given twice while the engine runs. 0 is no object.
#[derive(
    Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Koid(zx_koid_t);

impl Koid {
    /// The koid with this number.
    pub const fn from_raw(raw: zx_koid_t) -> Self {
        Self(raw)
    }

    /// The number.
    pub const fn raw_koid(&self) -> zx_koid_t {
        self.0
    }
}
