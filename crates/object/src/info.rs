//! The records of `zx_object_get_info` about memory.

use zxvm_host::{AddrRange, PAGE_SIZE, Prot};
use zxvm_types::*;
use zxvm_vm::{CachePolicy, MapRecord, RecordKind, VmoInfo};

/// The record of a VMO, reached by a handle with these rights. Older versions of it are prefixes.
pub fn vmo_record(info: &VmoInfo, rights: zx_rights_t) -> zx_info_vmo_t {
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    zx_info_vmo_t {
        koid: info.koid,
        name: info.name,
        size_bytes: info.size,
        parent_koid: info.parent_koid,
        num_children: info.num_children as _,
        num_mappings: info.num_mappings as _,
        // One process, one address space.
        share_count: info.num_mappings.min(1) as _,
        flags: ZX_INFO_VMO_TYPE_PAGED
            | ZX_INFO_VMO_VIA_HANDLE
            | flag(info.kind.resizable, ZX_INFO_VMO_RESIZABLE)
            | flag(info.is_clone, ZX_INFO_VMO_IS_COW_CLONE)
            | flag(info.pager_backed, ZX_INFO_VMO_PAGER_BACKED)
            | flag(info.kind.discardable, ZX_INFO_VMO_DISCARDABLE)
            | flag(info.kind.immutable, ZX_INFO_VMO_IMMUTABLE),
        committed_bytes: info.memory.committed,
        handle_rights: rights,
        cache_policy: cache_policy(info.cache_policy),
        metadata_bytes: info.metadata_bytes,
        committed_change_events: info.losses,
        // Nothing is compressed.
        populated_bytes: info.memory.committed,
        committed_private_bytes: info.memory.private,
        populated_private_bytes: info.memory.private,
        committed_scaled_bytes: info.memory.scaled,
        populated_scaled_bytes: info.memory.scaled,
        committed_fractional_scaled_bytes: info.memory.scaled_fraction,
        populated_fractional_scaled_bytes: info.memory.scaled_fraction,
        ..Default::default()
    }
}

fn cache_policy(policy: CachePolicy) -> u32 {
    match policy {
        CachePolicy::Cached => ZX_CACHE_POLICY_CACHED,
        CachePolicy::Uncached => ZX_CACHE_POLICY_UNCACHED,
        CachePolicy::UncachedDevice => ZX_CACHE_POLICY_UNCACHED_DEVICE,
        CachePolicy::WriteCombining => ZX_CACHE_POLICY_WRITE_COMBINING,
    }
}

/// The records of a walk; `depth` is added to each, for a walk that starts deeper.
pub fn maps_records(records: &[MapRecord], depth: usize) -> impl ExactSizeIterator<Item = zx_info_maps_t> + '_ {
    records.iter().map(move |record| {
        let mut out = zx_info_maps_t {
            base: record.range.addr(),
            size: record.range.len() as _,
            depth: record.depth + depth,
            ..Default::default()
        };
        match record.kind {
            RecordKind::Region { root } => {
                out.r#type = ZX_INFO_MAPS_TYPE_VMAR;
                let name: &[u8] = if root { b"root" } else { b"useralloc" };
                out.name[..name.len()].copy_from_slice(name);
            }
            RecordKind::Mapping { prot, vmo_koid, vmo_name, vmo_offset, memory } => {
                out.r#type = ZX_INFO_MAPS_TYPE_MAPPING;
                out.name = vmo_name;
                out.mapping = zx_info_maps_mapping_t {
                    mmu_flags: permissions(prot),
                    vmo_koid,
                    vmo_offset,
                    committed_bytes: memory.committed as _,
                    populated_bytes: memory.committed as _,
                    committed_private_bytes: memory.private as _,
                    populated_private_bytes: memory.private as _,
                    committed_scaled_bytes: memory.scaled as _,
                    populated_scaled_bytes: memory.scaled as _,
                    committed_fractional_scaled_bytes: memory.scaled_fraction,
                    populated_fractional_scaled_bytes: memory.scaled_fraction,
                    ..Default::default()
                };
            }
        }
        out
    })
}

/// The record of the address space itself, named after its process.
pub fn aspace_record(range: AddrRange, name: [u8; ZX_MAX_NAME_LEN]) -> zx_info_maps_t {
    zx_info_maps_t {
        name,
        base: range.addr(),
        size: range.len() as _,
        r#type: ZX_INFO_MAPS_TYPE_ASPACE,
        ..Default::default()
    }
}

/// The oldest layout of a maps record: pages, not bytes.
pub fn maps_v1(new: &zx_info_maps_t) -> zx_info_maps_v1_t {
    zx_info_maps_v1_t {
        name: new.name,
        base: new.base,
        size: new.size,
        depth: new.depth,
        r#type: new.r#type,
        mapping: zx_info_maps_mapping_v1_t {
            mmu_flags: new.mapping.mmu_flags,
            vmo_koid: new.mapping.vmo_koid,
            vmo_offset: new.mapping.vmo_offset,
            committed_pages: new.mapping.committed_bytes / PAGE_SIZE as usize,
            ..Default::default()
        },
        ..Default::default()
    }
}

/// The second layout of a maps record: pages, not bytes.
pub fn maps_v2(new: &zx_info_maps_t) -> zx_info_maps_v2_t {
    zx_info_maps_v2_t {
        name: new.name,
        base: new.base,
        size: new.size,
        depth: new.depth,
        r#type: new.r#type,
        mapping: zx_info_maps_mapping_v2_t {
            mmu_flags: new.mapping.mmu_flags,
            vmo_koid: new.mapping.vmo_koid,
            vmo_offset: new.mapping.vmo_offset,
            committed_pages: new.mapping.committed_bytes / PAGE_SIZE as usize,
            populated_pages: new.mapping.populated_bytes / PAGE_SIZE as usize,
            ..Default::default()
        },
        ..Default::default()
    }
}

fn permissions(prot: Prot) -> u32 {
    let bit = |flag, bit| if prot.contains(flag) { bit } else { 0 };
    bit(Prot::READ, ZX_VM_PERM_READ) | bit(Prot::WRITE, ZX_VM_PERM_WRITE) | bit(Prot::EXECUTE, ZX_VM_PERM_EXECUTE)
}
