//! `zx_object_get_info`: abi.md §8, §9, §12; vmar.md §11; vmo.md §10.

use zerocopy::{FromBytes, IntoBytes};
use zxvm_types::*;

use super::attribution::Attribution;
use super::{Kind, Model, ObjectId, Shape, What};
use crate::PAGE;
use crate::op::{FILLER, Outcome};

/// What a topic gives, as the bytes of its records.
enum Records {
    /// Nothing is written at all.
    None,
    /// One, whole or not at all.
    One(Vec<u8>),
    /// As many as fit.
    Many(Vec<Vec<u8>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MapsLayout {
    PagesV1,
    PagesV2,
    Bytes,
}

impl Model {
    /// The numbers of the outcome are *actual* and *avail*, its bytes the buffer.
    pub(super) fn object_get_info(&self, handle: zx_handle_t, topic: u32, len: usize, got: &Outcome) -> Outcome {
        let mut outcome = Outcome { bytes: vec![FILLER; len], ..Outcome::default() };
        match self.records(handle, topic, got) {
            Ok(Records::None) => {}
            Ok(Records::One(record)) if len < record.len() => {
                outcome.status = Status::BUFFER_TOO_SMALL;
                outcome.numbers = [0, 1];
            }
            Ok(Records::One(record)) => {
                outcome.bytes[..record.len()].copy_from_slice(&record);
                outcome.numbers = [1, 1];
            }
            Ok(Records::Many(records)) => {
                let fit = records.first().map_or(0, |record| len / record.len()).min(records.len());
                let bytes = records[..fit].concat();
                outcome.bytes[..bytes.len()].copy_from_slice(&bytes);
                outcome.numbers = [fit as u64, records.len() as u64];
            }
            Err(status) => outcome.status = status,
        }
        outcome
    }

    fn records(&self, handle: zx_handle_t, topic: u32, got: &Outcome) -> Result<Records, Status> {
        let known = [
            ZX_INFO_HANDLE_VALID,
            ZX_INFO_HANDLE_BASIC,
            ZX_INFO_HANDLE_COUNT,
            ZX_INFO_VMAR,
            ZX_INFO_VMAR_MAPS,
            ZX_INFO_PROCESS_MAPS_V1,
            ZX_INFO_PROCESS_MAPS_V2,
            ZX_INFO_PROCESS_MAPS,
            ZX_INFO_VMO_V1,
            ZX_INFO_VMO_V2,
            ZX_INFO_VMO_V3,
            ZX_INFO_VMO,
        ];
        if !known.contains(&topic) {
            return Err(Status::NOT_SUPPORTED);
        }
        let found = self.handle(handle)?;
        let object = self.object(found.object);
        let inspect = || if found.rights & ZX_RIGHT_INSPECT != 0 { Ok(()) } else { Err(Status::ACCESS_DENIED) };
        match topic {
            ZX_INFO_HANDLE_VALID => Ok(Records::None),
            ZX_INFO_HANDLE_BASIC => {
                let (r#type, related_koid) = match &object.kind {
                    Kind::Process(_, job) => (ZX_OBJ_TYPE_PROCESS, *job),
                    Kind::Vmo(_) => (ZX_OBJ_TYPE_VMO, 0),
                    Kind::Vmar(_) => (ZX_OBJ_TYPE_VMAR, 0),
                    Kind::Event => (ZX_OBJ_TYPE_EVENT, 0),
                    Kind::Pager => (ZX_OBJ_TYPE_PAGER, 0),
                    Kind::Port(_) => (ZX_OBJ_TYPE_PORT, 0),
                    // A peer that is gone is still named; its number was taken note of when it was made.
                    Kind::Eventpair(peer) => match self.objects.get(peer) {
                        Some(peer) => (ZX_OBJ_TYPE_EVENTPAIR, peer.koid),
                        None => (ZX_OBJ_TYPE_EVENTPAIR, chosen(got).related_koid),
                    },
                };
                let (koid, rights) = (object.koid, found.rights);
                let record = zx_info_handle_basic_t { koid, rights, r#type, related_koid, ..Default::default() };
                Ok(Records::One(record.as_bytes().to_vec()))
            }
            ZX_INFO_HANDLE_COUNT => {
                inspect()?;
                let handle_count = self.handles.values().filter(|other| other.object == found.object).count() as u32;
                Ok(Records::One(zx_info_handle_count_t { handle_count }.as_bytes().to_vec()))
            }
            ZX_INFO_VMAR => {
                let Kind::Vmar(vmar) = &object.kind else { return Err(Status::WRONG_TYPE) };
                inspect()?;
                let record = zx_info_vmar_t { base: vmar.base as usize, len: vmar.len as usize };
                Ok(Records::One(record.as_bytes().to_vec()))
            }
            ZX_INFO_VMAR_MAPS => {
                let Kind::Vmar(vmar) = &object.kind else { return Err(Status::WRONG_TYPE) };
                inspect()?;
                if !vmar.alive {
                    return Err(Status::BAD_STATE);
                }
                let mut records = Vec::new();
                self.maps(found.object, 0, MapsLayout::Bytes, got, &mut records);
                Ok(Records::Many(records.iter().map(|record| laid_out(record, MapsLayout::Bytes)).collect()))
            }
            ZX_INFO_PROCESS_MAPS_V1 | ZX_INFO_PROCESS_MAPS_V2 | ZX_INFO_PROCESS_MAPS => {
                let Kind::Process(..) = &object.kind else { return Err(Status::WRONG_TYPE) };
                inspect()?;
                let layout = match topic {
                    ZX_INFO_PROCESS_MAPS_V1 => MapsLayout::PagesV1,
                    ZX_INFO_PROCESS_MAPS_V2 => MapsLayout::PagesV2,
                    _ => MapsLayout::Bytes,
                };
                let root = self.vmar_of(self.root);
                let space = zx_info_maps_t {
                    // The address space has a name of its own, which nothing but this record tells.
                    name: got.bytes.first_chunk().copied().unwrap_or_default(),
                    base: root.base as usize,
                    size: root.len as usize,
                    depth: 0,
                    r#type: ZX_INFO_MAPS_TYPE_ASPACE,
                    ..Default::default()
                };
                let mut records = vec![space];
                self.maps(self.root, 1, layout, got, &mut records);
                Ok(Records::Many(records.iter().map(|record| laid_out(record, layout)).collect()))
            }
            _ => {
                let Kind::Vmo(vmo) = &object.kind else { return Err(Status::WRONG_TYPE) };
                let content = self.content(found.object);
                let figures = match vmo.shape {
                    Shape::Created | Shape::Snapshot => self.attribution(found.object, 0, content.size),
                    Shape::Slice { .. } | Shape::Reference => Attribution::default(),
                };
                let given = whole_record(got, 0);
                let scaled = given.map(|record: zx_info_vmo_t| {
                    (record.committed_scaled_bytes, record.committed_fractional_scaled_bytes)
                });
                let (scaled, fraction) = figures.scaled_as(scaled);
                let mappings = self.mappings_of(found.object);
                let flag = |is, flag| if is { flag } else { 0 };
                let metadata_bytes = chosen_metadata(got);
                if figures.committed > 0 {
                    assert_ne!(metadata_bytes, Some(0), "pages without metadata");
                } else if !content.pages.ever && vmo.shape == Shape::Created && self.children_of(found.object) == 0 {
                    assert!(metadata_bytes.is_none_or(|bytes| bytes == 0), "metadata without pages");
                }
                let record = zx_info_vmo_t {
                    koid: object.koid,
                    name: vmo.name,
                    size_bytes: self.size(found.object),
                    parent_koid: vmo.parent.map_or(ZX_KOID_INVALID, |parent| self.object(parent).koid),
                    num_children: self.children_of(found.object) as usize,
                    num_mappings: mappings,
                    share_count: mappings.min(1),
                    flags: ZX_INFO_VMO_TYPE_PAGED
                        | ZX_INFO_VMO_VIA_HANDLE
                        | flag(content.resizable, ZX_INFO_VMO_RESIZABLE)
                        | flag(vmo.shape == Shape::Snapshot && vmo.parent.is_some(), ZX_INFO_VMO_IS_COW_CLONE)
                        | flag(self.is_paged(found.object), ZX_INFO_VMO_PAGER_BACKED)
                        | flag(content.discardable, ZX_INFO_VMO_DISCARDABLE)
                        | flag(vmo.immutable, ZX_INFO_VMO_IMMUTABLE),
                    committed_bytes: figures.committed,
                    handle_rights: found.rights,
                    cache_policy: content.cache_policy,
                    metadata_bytes: metadata_bytes.unwrap_or(0),
                    committed_change_events: content.losses,
                    populated_bytes: figures.committed,
                    committed_private_bytes: figures.private,
                    populated_private_bytes: figures.private,
                    committed_scaled_bytes: scaled,
                    populated_scaled_bytes: scaled,
                    committed_fractional_scaled_bytes: fraction,
                    populated_fractional_scaled_bytes: fraction,
                    ..Default::default()
                };
                let len = match topic {
                    ZX_INFO_VMO_V1 => size_of::<zx_info_vmo_v1_t>(),
                    ZX_INFO_VMO_V2 => size_of::<zx_info_vmo_v2_t>(),
                    ZX_INFO_VMO_V3 => size_of::<zx_info_vmo_v3_t>(),
                    _ => size_of::<zx_info_vmo_t>(),
                };
                Ok(Records::One(record.as_bytes()[..len].to_vec()))
            }
        }
    }

    /// The region and all in it, before what is in that.
    fn maps(&self, vmar: ObjectId, depth: usize, layout: MapsLayout, got: &Outcome, records: &mut Vec<zx_info_maps_t>) {
        let region = self.vmar_of(vmar);
        records.push(zx_info_maps_t {
            name: padded(if vmar == self.root { b"root" } else { b"useralloc" }),
            base: region.base as usize,
            size: region.len as usize,
            depth,
            r#type: ZX_INFO_MAPS_TYPE_VMAR,
            ..Default::default()
        });
        for child in &region.children {
            let mapping = match &child.what {
                What::Vmar(inner) => {
                    self.maps(*inner, depth + 1, layout, got, records);
                    continue;
                }
                What::Mapping(mapping) => mapping,
            };
            let mut at = 0;
            for run in mapping.prot.chunk_by(|a, b| a == b) {
                let len = run.len() as u64 * PAGE;
                let vmo_offset = mapping.offset + at;
                let figures = self.attribution(mapping.vmo, vmo_offset, vmo_offset + len);
                let given = if layout == MapsLayout::Bytes { whole_record(got, records.len()) } else { None };
                let scaled = given.map(|record: zx_info_maps_t| {
                    let mapping = record.mapping;
                    (mapping.committed_scaled_bytes as u64, mapping.committed_fractional_scaled_bytes)
                });
                let (scaled, fraction) = figures.scaled_as(scaled);
                let (committed, private) = (figures.committed as usize, figures.private as usize);
                records.push(zx_info_maps_t {
                    name: self.vmo_of(mapping.vmo).name,
                    base: (child.base + at) as usize,
                    size: len as usize,
                    depth: depth + 1,
                    r#type: ZX_INFO_MAPS_TYPE_MAPPING,
                    mapping: zx_info_maps_mapping_t {
                        mmu_flags: run[0],
                        vmo_koid: self.object(mapping.vmo).koid,
                        vmo_offset,
                        committed_bytes: committed,
                        populated_bytes: committed,
                        committed_private_bytes: private,
                        populated_private_bytes: private,
                        committed_scaled_bytes: scaled as usize,
                        populated_scaled_bytes: scaled as usize,
                        committed_fractional_scaled_bytes: fraction,
                        populated_fractional_scaled_bytes: fraction,
                        ..Default::default()
                    },
                    ..Default::default()
                });
                at += len;
            }
        }
    }
}

/// The record that the engine gave, as far as it did.
fn chosen(got: &Outcome) -> zx_info_handle_basic_t {
    zx_info_handle_basic_t::read_from_prefix(&got.bytes).map(|(record, _)| record).unwrap_or_default()
}

/// The record at `index` of those that the engine gave, if it is there whole.
fn whole_record<T: FromBytes>(got: &Outcome, index: usize) -> Option<T> {
    let bytes = got.bytes.get(index * size_of::<T>()..)?;
    let given = got.status == Status::OK && (index as u64) < got.numbers[0];
    T::read_from_prefix(bytes).ok().filter(|_| given).map(|(record, _)| record)
}

fn chosen_metadata(got: &Outcome) -> Option<u64> {
    let at = std::mem::offset_of!(zx_info_vmo_t, metadata_bytes);
    let whole = got.status == Status::OK && got.bytes.len() >= size_of::<zx_info_vmo_v2_t>();
    whole.then(|| u64::from_ne_bytes(got.bytes[at..at + 8].try_into().expect("8 bytes")))
}

fn padded(name: &[u8]) -> [u8; ZX_MAX_NAME_LEN] {
    let mut whole = [0; ZX_MAX_NAME_LEN];
    whole[..name.len()].copy_from_slice(name);
    whole
}

fn laid_out(record: &zx_info_maps_t, layout: MapsLayout) -> Vec<u8> {
    let bytes = record.as_bytes();
    if layout == MapsLayout::Bytes {
        return bytes.to_vec();
    }
    // Both older layouts are the newest up to the offset in the VMO, and then count pages.
    let same =
        std::mem::offset_of!(zx_info_maps_t, mapping) + std::mem::offset_of!(zx_info_maps_mapping_t, committed_bytes);
    let mut old = bytes[..same].to_vec();
    old.extend((record.mapping.committed_bytes / PAGE as usize).to_ne_bytes());
    if layout == MapsLayout::PagesV2 {
        old.extend((record.mapping.populated_bytes / PAGE as usize).to_ne_bytes());
    }
    old
}
