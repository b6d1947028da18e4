//! What `zx_object_get_info` tells about VMOs.
//!
//! Every older version is a prefix of every newer one. Amounts are in bytes.

use crate::limits::ZX_MAX_NAME_LEN;
use crate::padding::PadByte;
use crate::scalars::*;

records! {
    /// A VMO, as the first version told it.
    pub struct zx_info_vmo_v1_t: 104 {
        /// The VMO.
        0 => koid: zx_koid_t,
        /// Its name, ended by NUL.
        8 => name: [u8; ZX_MAX_NAME_LEN],
        /// Its size.
        40 => size_bytes: u64,
        /// Its parent, or 0.
        48 => parent_koid: zx_koid_t,
        /// Its children.
        56 => num_children: usize,
        /// Mappings of it.
        64 => num_mappings: usize,
        /// Address spaces it is mapped in.
        72 => share_count: usize,
        /// `ZX_INFO_VMO_*`
        80 => flags: u32,
        /// Zero.
        84 => padding1: [PadByte; 4],
        /// Committed.
        88 => committed_bytes: u64,
        /// What the handle asked about allows.
        96 => handle_rights: zx_rights_t,
        /// `ZX_CACHE_POLICY_*`
        100 => cache_policy: u32,
    }

    /// A VMO, as the second version told it.
    pub struct zx_info_vmo_v2_t: 120 {
        /// The VMO.
        0 => koid: zx_koid_t,
        /// Its name, ended by NUL.
        8 => name: [u8; ZX_MAX_NAME_LEN],
        /// Its size.
        40 => size_bytes: u64,
        /// Its parent, or 0.
        48 => parent_koid: zx_koid_t,
        /// Its children.
        56 => num_children: usize,
        /// Mappings of it.
        64 => num_mappings: usize,
        /// Address spaces it is mapped in.
        72 => share_count: usize,
        /// `ZX_INFO_VMO_*`
        80 => flags: u32,
        /// Zero.
        84 => padding1: [PadByte; 4],
        /// Committed.
        88 => committed_bytes: u64,
        /// What the handle asked about allows.
        96 => handle_rights: zx_rights_t,
        /// `ZX_CACHE_POLICY_*`
        100 => cache_policy: u32,
        /// Used to keep track of its pages.
        104 => metadata_bytes: u64,
        /// How often the system itself has changed what is committed.
        112 => committed_change_events: u64,
    }

    /// A VMO, as the third version told it.
    pub struct zx_info_vmo_v3_t: 128 {
        /// The VMO.
        0 => koid: zx_koid_t,
        /// Its name, ended by NUL.
        8 => name: [u8; ZX_MAX_NAME_LEN],
        /// Its size.
        40 => size_bytes: u64,
        /// Its parent, or 0.
        48 => parent_koid: zx_koid_t,
        /// Its children.
        56 => num_children: usize,
        /// Mappings of it.
        64 => num_mappings: usize,
        /// Address spaces it is mapped in.
        72 => share_count: usize,
        /// `ZX_INFO_VMO_*`
        80 => flags: u32,
        /// Zero.
        84 => padding1: [PadByte; 4],
        /// Committed.
        88 => committed_bytes: u64,
        /// What the handle asked about allows.
        96 => handle_rights: zx_rights_t,
        /// `ZX_CACHE_POLICY_*`
        100 => cache_policy: u32,
        /// Used to keep track of its pages.
        104 => metadata_bytes: u64,
        /// How often the system itself has changed what is committed.
        112 => committed_change_events: u64,
        /// Committed or compressed.
        120 => populated_bytes: u64,
    }

    /// A VMO.
    pub struct zx_info_vmo_t: 176 {
        /// The VMO.
        0 => koid: zx_koid_t,
        /// Its name, ended by NUL.
        8 => name: [u8; ZX_MAX_NAME_LEN],
        /// Its size.
        40 => size_bytes: u64,
        /// Its parent, or 0.
        48 => parent_koid: zx_koid_t,
        /// Its children.
        56 => num_children: usize,
        /// Mappings of it.
        64 => num_mappings: usize,
        /// Address spaces it is mapped in.
        72 => share_count: usize,
        /// `ZX_INFO_VMO_*`
        80 => flags: u32,
        /// Zero.
        84 => padding1: [PadByte; 4],
        /// Committed.
        88 => committed_bytes: u64,
        /// What the handle asked about allows.
        96 => handle_rights: zx_rights_t,
        /// `ZX_CACHE_POLICY_*`
        100 => cache_policy: u32,
        /// Used to keep track of its pages.
        104 => metadata_bytes: u64,
        /// How often the system itself has changed what is committed.
        112 => committed_change_events: u64,
        /// Committed or compressed.
        120 => populated_bytes: u64,
        /// Of the committed: no other VMO's as well.
        128 => committed_private_bytes: u64,
        /// Of the populated: no other VMO's as well.
        136 => populated_private_bytes: u64,
        /// The committed, each byte divided by the number of VMOs that share it.
        144 => committed_scaled_bytes: u64,
        /// The populated, each byte divided by the number of VMOs that share it.
        152 => populated_scaled_bytes: u64,
        /// What dividing the committed leaves, in units of 2^-63 byte.
        160 => committed_fractional_scaled_bytes: u64,
        /// What dividing the populated leaves, in units of 2^-63 byte.
        168 => populated_fractional_scaled_bytes: u64,
    }
}

constants! {
    /// The bit that tells paged from physical.
    pub const ZX_INFO_VMO_TYPE_PAGED: u32 = 1 << 0;
    /// Physical: no flag at all.
    pub const ZX_INFO_VMO_TYPE_PHYSICAL: u32 = 0;
    /// Its size can be changed.
    pub const ZX_INFO_VMO_RESIZABLE: u32 = 1 << 1;
    /// It is a copy on write.
    pub const ZX_INFO_VMO_IS_COW_CLONE: u32 = 1 << 2;
    /// The process has it by a handle.
    pub const ZX_INFO_VMO_VIA_HANDLE: u32 = 1 << 3;
    /// The process has it by a mapping.
    pub const ZX_INFO_VMO_VIA_MAPPING: u32 = 1 << 4;
    /// A pager supplies it, or the one it is a copy of.
    pub const ZX_INFO_VMO_PAGER_BACKED: u32 = 1 << 5;
    /// It is physically contiguous.
    pub const ZX_INFO_VMO_CONTIGUOUS: u32 = 1 << 6;
    /// The system may drop its content.
    pub const ZX_INFO_VMO_DISCARDABLE: u32 = 1 << 7;
    /// Its content cannot be changed any more.
    pub const ZX_INFO_VMO_IMMUTABLE: u32 = 1 << 8;
    /// The process has it by an I/O buffer.
    pub const ZX_INFO_VMO_VIA_IOB_HANDLE: u32 = 1 << 9;
}

/// The part of a VMO's flags that tells its type: `PAGED` or `PHYSICAL`.
#[allow(non_snake_case)] // a macro in C
pub const fn ZX_INFO_VMO_TYPE(flags: u32) -> u32 {
    flags & ZX_INFO_VMO_TYPE_PAGED
}
