//! What an address space tells about its regions. [`MapInfo`] has the layout of `zx_info_maps_t`.

use core::fmt;
use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::koid::Koid;
use crate::name::Name;
use crate::sys::{self, PadByte, Status};
use crate::vmar_flags::VmarFlagsExtended;

/// One region of an address space; of a mapping, one run of equal protection.
#[derive(Copy, Clone, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MapInfo {
    /// The name of the VMO mapped, or of the region.
    pub name: Name,
    /// First address.
    pub base: usize,
    /// Length in bytes.
    pub size: usize,
    /// How many regions this one is inside of.
    pub depth: usize,
    kind: sys::zx_info_maps_type_t,
    padding1: [PadByte; 4],
    /// All zero where `kind` is not `MAPPING`.
    mapping: MappingDetails,
}

/// What kind of region it is.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub enum MapDetails<'a> {
    /// A kind not known here.
    Unknown,
    /// Nothing.
    None,
    /// The address space itself.
    AddressSpace,
    /// A VMAR.
    Vmar,
    /// A mapping.
    Mapping(&'a MappingDetails),
}

/// A mapping. Amounts are in bytes.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MappingDetails {
    /// `PERM_*` as they are now.
    pub mmu_flags: VmarFlagsExtended,
    padding1: [PadByte; 4],
    /// What is mapped.
    pub vmo_koid: Koid,
    /// From where on, in bytes.
    pub vmo_offset: u64,
    /// Committed in the VMO, as far as it is mapped here.
    pub committed_bytes: usize,
    /// Committed or compressed.
    pub populated_bytes: usize,
    /// Of the committed: no other VMO's as well.
    pub committed_private_bytes: usize,
    /// Of the populated: no other VMO's as well.
    pub populated_private_bytes: usize,
    /// The committed, each byte divided by the number of VMOs that share it.
    pub committed_scaled_bytes: usize,
    /// The populated, each byte divided by the number of VMOs that share it.
    pub populated_scaled_bytes: usize,
    /// What dividing the committed leaves, in units of 2^-63 byte.
    pub committed_fractional_scaled_bytes: u64,
    /// What dividing the populated leaves, in units of 2^-63 byte.
    pub populated_fractional_scaled_bytes: u64,
}

impl MapInfo {
    /// A record of one's own making.
    ///
    /// # Errors
    /// `INVALID_ARGS`: [`MapDetails::Unknown`].
    pub fn new(name: Name, base: usize, size: usize, depth: usize, details: MapDetails<'_>) -> Result<Self, Status> {
        let kind = match details {
            MapDetails::Unknown => return Err(Status::INVALID_ARGS),
            MapDetails::None => sys::ZX_INFO_MAPS_TYPE_NONE,
            MapDetails::AddressSpace => sys::ZX_INFO_MAPS_TYPE_ASPACE,
            MapDetails::Vmar => sys::ZX_INFO_MAPS_TYPE_VMAR,
            MapDetails::Mapping(_) => sys::ZX_INFO_MAPS_TYPE_MAPPING,
        };
        let mapping = details.as_mapping().copied().unwrap_or_default();
        Ok(Self { name, base, size, depth, kind, padding1: Default::default(), mapping })
    }

    /// What kind of region it is.
    pub fn details(&self) -> MapDetails<'_> {
        match self.kind {
            sys::ZX_INFO_MAPS_TYPE_NONE => MapDetails::None,
            sys::ZX_INFO_MAPS_TYPE_ASPACE => MapDetails::AddressSpace,
            sys::ZX_INFO_MAPS_TYPE_VMAR => MapDetails::Vmar,
            sys::ZX_INFO_MAPS_TYPE_MAPPING => MapDetails::Mapping(&self.mapping),
            _ => MapDetails::Unknown,
        }
    }
}

impl fmt::Debug for MapInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapInfo")
            .field("name", &self.name)
            .field("base", &self.base)
            .field("size", &self.size)
            .field("depth", &self.depth)
            .field("details", &self.details())
            .finish()
    }
}

impl MapDetails<'_> {
    /// The mapping, if it is one.
    pub fn as_mapping(&self) -> Option<&MappingDetails> {
        match self {
            Self::Mapping(mapping) => Some(mapping),
            Self::Unknown | Self::None | Self::AddressSpace | Self::Vmar => None,
        }
    }
}

const _: () = {
    assert!(size_of::<MapInfo>() == size_of::<sys::zx_info_maps_t>());
    assert!(offset_of!(MapInfo, depth) == offset_of!(sys::zx_info_maps_t, depth));
    assert!(offset_of!(MapInfo, kind) == offset_of!(sys::zx_info_maps_t, r#type));
    assert!(offset_of!(MapInfo, mapping) == offset_of!(sys::zx_info_maps_t, mapping));
};

macro_rules! assert_same_offsets {
    ($($field:ident)*) => { $(
        const _: () = assert!(offset_of!(MappingDetails, $field) == offset_of!(sys::zx_info_maps_mapping_t, $field));
    )* };
}
assert_same_offsets! {
    mmu_flags vmo_koid vmo_offset committed_bytes populated_bytes committed_private_bytes populated_private_bytes
    committed_scaled_bytes populated_scaled_bytes committed_fractional_scaled_bytes populated_fractional_scaled_bytes
}
