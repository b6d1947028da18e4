//! What a VMO tells about itself. [`VmoInfo`] has the layout of `zx_info_vmo_t`; amounts are in bytes.

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::cache_policy::CachePolicy;
use crate::koid::Koid;
use crate::name::Name;
use crate::rights::Rights;
use crate::sys::{self, PadByte};

flags! {
    /// What kind of VMO it is, and how the process has it. Bits not known here are kept.
    pub struct VmoInfoFlags: u32 {
        /// It has pages of ordinary memory.
        const PAGED = sys::ZX_INFO_VMO_TYPE_PAGED;
        /// Its size can be changed.
        const RESIZABLE = sys::ZX_INFO_VMO_RESIZABLE;
        /// It is a copy on write.
        const IS_COW_CLONE = sys::ZX_INFO_VMO_IS_COW_CLONE;
        /// The process has it by a handle.
        const VIA_HANDLE = sys::ZX_INFO_VMO_VIA_HANDLE;
        /// The process has it by a mapping.
        const VIA_MAPPING = sys::ZX_INFO_VMO_VIA_MAPPING;
        /// A pager supplies it, or the one it is a copy of.
        const PAGER_BACKED = sys::ZX_INFO_VMO_PAGER_BACKED;
        /// It is physically contiguous.
        const CONTIGUOUS = sys::ZX_INFO_VMO_CONTIGUOUS;
        /// The system may drop its content.
        const DISCARDABLE = sys::ZX_INFO_VMO_DISCARDABLE;
        /// Its content cannot be changed any more.
        const IMMUTABLE = sys::ZX_INFO_VMO_IMMUTABLE;
        /// The process has it by an I/O buffer.
        const VIA_IOB_HANDLE = sys::ZX_INFO_VMO_VIA_IOB_HANDLE;
    }
}

/// A VMO.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VmoInfo {
    /// The VMO.
    pub koid: Koid,
    /// Its name.
    pub name: Name,
    /// Its size.
    pub size_bytes: u64,
    /// Its parent, or 0.
    pub parent_koid: Koid,
    /// Its children.
    pub num_children: usize,
    /// Mappings of it.
    pub num_mappings: usize,
    /// Address spaces it is mapped in.
    pub share_count: usize,
    /// Its kind.
    pub flags: VmoInfoFlags,
    padding1: [PadByte; 4],
    /// Committed.
    pub committed_bytes: u64,
    /// What the handle asked about allows.
    pub handle_rights: Rights,
    cache_policy: u32,
    /// Used to keep track of its pages.
    pub metadata_bytes: u64,
    /// How often the system itself has changed what is committed.
    pub committed_change_events: u64,
    /// Committed or compressed.
    pub populated_bytes: u64,
    /// Of the committed: no other VMO's as well.
    pub committed_private_bytes: u64,
    /// Of the populated: no other VMO's as well.
    pub populated_private_bytes: u64,
    /// The committed, each byte divided by the number of VMOs that share it.
    pub committed_scaled_bytes: u64,
    /// The populated, each byte divided by the number of VMOs that share it.
    pub populated_scaled_bytes: u64,
    /// What dividing the committed leaves, in units of 2^-63 byte.
    pub committed_fractional_scaled_bytes: u64,
    /// What dividing the populated leaves, in units of 2^-63 byte.
    pub populated_fractional_scaled_bytes: u64,
}

impl VmoInfo {
    /// How the processor is to cache its pages.
    pub fn cache_policy(&self) -> CachePolicy {
        self.cache_policy.into()
    }
}

impl From<sys::zx_info_vmo_t> for VmoInfo {
    fn from(info: sys::zx_info_vmo_t) -> Self {
        zerocopy::transmute!(info)
    }
}

macro_rules! assert_same_offsets {
    ($($field:ident)*) => {
        $( const _: () = assert!(offset_of!(VmoInfo, $field) == offset_of!(sys::zx_info_vmo_t, $field)); )*
    };
}
assert_same_offsets! {
    koid name size_bytes parent_koid num_children num_mappings share_count flags committed_bytes handle_rights
    cache_policy metadata_bytes committed_change_events populated_bytes committed_private_bytes populated_private_bytes
    committed_scaled_bytes populated_scaled_bytes committed_fractional_scaled_bytes populated_fractional_scaled_bytes
}
