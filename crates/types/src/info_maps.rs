//! What `zx_object_get_info` tells about the regions of an address space.
//!
//! Versions 1 and 2 count pages where the newest counts bytes: they are no prefixes of it.

use crate::limits::ZX_MAX_NAME_LEN;
use crate::padding::PadByte;
use crate::scalars::*;

records! {
    /// A mapping, as the first version told it.
    pub struct zx_info_maps_mapping_v1_t: 32 {
        /// `ZX_VM_PERM_*` as they are now.
        0 => mmu_flags: zx_vm_option_t,
        /// Zero.
        4 => padding1: [PadByte; 4],
        /// What is mapped.
        8 => vmo_koid: zx_koid_t,
        /// From where on, in bytes.
        16 => vmo_offset: u64,
        /// Pages committed in the VMO, as far as it is mapped here.
        24 => committed_pages: usize,
    }

    /// A mapping, as the second version told it.
    pub struct zx_info_maps_mapping_v2_t: 40 {
        /// `ZX_VM_PERM_*` as they are now.
        0 => mmu_flags: zx_vm_option_t,
        /// Zero.
        4 => padding1: [PadByte; 4],
        /// What is mapped.
        8 => vmo_koid: zx_koid_t,
        /// From where on, in bytes.
        16 => vmo_offset: u64,
        /// Pages committed in the VMO, as far as it is mapped here.
        24 => committed_pages: usize,
        /// Pages committed or compressed.
        32 => populated_pages: usize,
    }

    /// A mapping. Amounts are in bytes.
    pub struct zx_info_maps_mapping_t: 88 {
        /// `ZX_VM_PERM_*` as they are now.
        0 => mmu_flags: zx_vm_option_t,
        /// Zero.
        4 => padding1: [PadByte; 4],
        /// What is mapped.
        8 => vmo_koid: zx_koid_t,
        /// From where on, in bytes.
        16 => vmo_offset: u64,
        /// Committed in the VMO, as far as it is mapped here.
        24 => committed_bytes: usize,
        /// Committed or compressed.
        32 => populated_bytes: usize,
        /// Of the committed: no other VMO's as well.
        40 => committed_private_bytes: usize,
        /// Of the populated: no other VMO's as well.
        48 => populated_private_bytes: usize,
        /// The committed, each byte divided by the number of VMOs that share it.
        56 => committed_scaled_bytes: usize,
        /// The populated, each byte divided by the number of VMOs that share it.
        64 => populated_scaled_bytes: usize,
        /// What dividing the committed leaves, in units of 2^-63 byte.
        72 => committed_fractional_scaled_bytes: u64,
        /// What dividing the populated leaves, in units of 2^-63 byte.
        80 => populated_fractional_scaled_bytes: u64,
    }

    /// One region of an address space, as the first version told it.
    pub struct zx_info_maps_v1_t: 96 {
        /// The name of the VMO mapped, or of the region, ended by NUL.
        0 => name: [u8; ZX_MAX_NAME_LEN],
        /// First address.
        32 => base: zx_vaddr_t,
        /// Length in bytes.
        40 => size: usize,
        /// How many regions this one is inside of.
        48 => depth: usize,
        /// `ZX_INFO_MAPS_TYPE_*`
        56 => r#type as "type": zx_info_maps_type_t,
        /// Zero.
        60 => padding1: [PadByte; 4],
        /// Where the type is `MAPPING`: the mapping. Else zero.
        64 => mapping as "u.mapping": zx_info_maps_mapping_v1_t,
    }

    /// One region of an address space, as the second version told it.
    pub struct zx_info_maps_v2_t: 104 {
        /// The name of the VMO mapped, or of the region, ended by NUL.
        0 => name: [u8; ZX_MAX_NAME_LEN],
        /// First address.
        32 => base: zx_vaddr_t,
        /// Length in bytes.
        40 => size: usize,
        /// How many regions this one is inside of.
        48 => depth: usize,
        /// `ZX_INFO_MAPS_TYPE_*`
        56 => r#type as "type": zx_info_maps_type_t,
        /// Zero.
        60 => padding1: [PadByte; 4],
        /// Where the type is `MAPPING`: the mapping. Else zero.
        64 => mapping as "u.mapping": zx_info_maps_mapping_v2_t,
    }

    /// One region of an address space.
    pub struct zx_info_maps_t: 152 {
        /// The name of the VMO mapped, or of the region, ended by NUL.
        0 => name: [u8; ZX_MAX_NAME_LEN],
        /// First address.
        32 => base: zx_vaddr_t,
        /// Length in bytes.
        40 => size: usize,
        /// How many regions this one is inside of.
        48 => depth: usize,
        /// `ZX_INFO_MAPS_TYPE_*`
        56 => r#type as "type": zx_info_maps_type_t,
        /// Zero.
        60 => padding1: [PadByte; 4],
        /// Where the type is `MAPPING`: the mapping. Else zero.
        64 => mapping as "u.mapping": zx_info_maps_mapping_t,
    }
}

constants! {
    /// Nothing.
    pub const ZX_INFO_MAPS_TYPE_NONE: zx_info_maps_type_t = 0;
    /// The address space itself.
    pub const ZX_INFO_MAPS_TYPE_ASPACE: zx_info_maps_type_t = 1;
    /// A VMAR.
    pub const ZX_INFO_MAPS_TYPE_VMAR: zx_info_maps_type_t = 2;
    /// A mapping.
    pub const ZX_INFO_MAPS_TYPE_MAPPING: zx_info_maps_type_t = 3;
}
