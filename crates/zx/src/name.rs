//! [`Name`]: what objects are called.
//!
//! A name made here has at most 31 bytes, none of them NUL, and is padded with NULs to 32.

use core::fmt;

use bstr::BStr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::sys::{Status, ZX_MAX_NAME_LEN};

/// The name of an object: up to 31 bytes, mostly UTF-8.
///
/// ```
/// use zxvm as zx;
/// const NAME: zx::Name = zx::Name::new_lossy("frame buffer");
/// # fn main() -> Result<(), zx::Status> {
/// let vmo = zx::Vmo::create(0)?;
/// vmo.set_name(&NAME)?;
/// assert_eq!(vmo.get_name()?, "frame buffer");
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Name([u8; ZX_MAX_NAME_LEN]);

impl Name {
    /// The name with this text.
    ///
    /// # Errors
    /// `INVALID_ARGS`: 32 bytes or more, or a NUL inside.
    pub const fn new(name: &str) -> Result<Self, Status> {
        Self::from_bytes(name.as_bytes())
    }

    /// The name with these bytes.
    ///
    /// # Errors
    /// `INVALID_ARGS`: 32 bytes or more, or a NUL inside.
    pub const fn from_bytes(bytes: &[u8]) -> Result<Self, Status> {
        if bytes.len() >= ZX_MAX_NAME_LEN {
            return Err(Status::INVALID_ARGS);
        }
        let name = Self::from_bytes_lossy(bytes);
        if name.len() == bytes.len() { Ok(name) } else { Err(Status::INVALID_ARGS) }
    }

    /// The name with as much of this text as fits: its first 31 bytes without NULs.
    pub const fn new_lossy(name: &str) -> Self {
        Self::from_bytes_lossy(name.as_bytes())
    }

    /// The name with as many of these bytes as fit: the first 31 without NULs.
    pub const fn from_bytes_lossy(bytes: &[u8]) -> Self {
        let mut name = [0; ZX_MAX_NAME_LEN];
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() && from < ZX_MAX_NAME_LEN - 1 {
            if bytes[from] != 0 {
                name[to] = bytes[from];
                to += 1;
            }
            from += 1;
        }
        Self(name)
    }

    /// Length in bytes.
    pub const fn len(&self) -> usize {
        let mut len = 0;
        while len < self.0.len() && self.0[len] != 0 {
            len += 1;
        }
        len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    /// The bytes, as text that need not be UTF-8.
    pub fn as_bstr(&self) -> &BStr {
        BStr::new(self.as_bytes())
    }

    /// The bytes, without the NULs behind them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..self.len()]
    }

    /// All 32 bytes, as C has them.
    pub const fn as_raw(&self) -> &[u8; ZX_MAX_NAME_LEN] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_bstr(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_bstr(), f)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl PartialEq<Name> for str {
    fn eq(&self, other: &Name) -> bool {
        other == self
    }
}

impl PartialEq<Name> for &str {
    fn eq(&self, other: &Name) -> bool {
        other == *self
    }
}
