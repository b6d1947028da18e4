//! [`CachePolicy`]: how the processor is to cache a VMO's pages.

use crate::sys;

/// How the processor caches a VMO's pages. On Linux it is a state with its errors only: memory stays cached.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(u32)]
pub enum CachePolicy {
    /// As ordinary memory.
    Cached = sys::ZX_CACHE_POLICY_CACHED,
    /// Not at all.
    UnCached = sys::ZX_CACHE_POLICY_UNCACHED,
    /// As a device's registers.
    UnCachedDevice = sys::ZX_CACHE_POLICY_UNCACHED_DEVICE,
    /// Not at all, and writes may be joined.
    WriteCombining = sys::ZX_CACHE_POLICY_WRITE_COMBINING,
    /// None that is known here.
    Unknown = u32::MAX,
}

impl From<u32> for CachePolicy {
    fn from(raw: u32) -> Self {
        match raw {
            sys::ZX_CACHE_POLICY_CACHED => Self::Cached,
            sys::ZX_CACHE_POLICY_UNCACHED => Self::UnCached,
            sys::ZX_CACHE_POLICY_UNCACHED_DEVICE => Self::UnCachedDevice,
            sys::ZX_CACHE_POLICY_WRITE_COMBINING => Self::WriteCombining,
            _ => Self::Unknown,
        }
    }
}

impl From<CachePolicy> for u32 {
    fn from(policy: CachePolicy) -> Self {
        policy as u32
    }
}
