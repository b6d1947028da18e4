//! `zx_object_get_info`.

use zerocopy::{Immutable, IntoBytes};
use zxvm_host::user::UserSlice;
use zxvm_object::{Handle, Object, aspace_record, maps_records, maps_v1, maps_v2, vmo_record};
use zxvm_types::*;

use crate::kernel::{Kernel, require};
use crate::out::{Out, invalid_args};

/// A buffer for records, and where to say how many.
pub(crate) struct Sink<'a, A, B> {
    pub buffer: UserSlice<'a>,
    pub actual: A,
    pub avail: B,
}

impl<A: Out<usize>, B: Out<usize>> Sink<'_, A, B> {
    fn counts(self, actual: usize, avail: usize) -> Result<(), Status> {
        self.actual.put(actual).map_err(invalid_args)?;
        self.avail.put(avail).map_err(invalid_args)
    }

    /// One record of these bytes: all of it or an error.
    fn one(self, record: &[u8]) -> Result<(), Status> {
        if self.buffer.len() < record.len() {
            self.counts(0, 1)?;
            return Err(Status::BUFFER_TOO_SMALL);
        }
        self.buffer.fill_from(record).map_err(invalid_args)?;
        self.counts(1, 1)
    }

    /// As many records as fit.
    pub fn many<T: IntoBytes + Immutable>(self, records: impl ExactSizeIterator<Item = T>) -> Result<(), Status> {
        let avail = records.len();
        let fit = (self.buffer.len() / size_of::<T>()).min(avail);
        for (index, record) in records.take(fit).enumerate() {
            let place = self.buffer.part(index * size_of::<T>(), size_of::<T>());
            place.fill_from(record.as_bytes()).map_err(invalid_args)?;
        }
        self.counts(fit, avail)
    }
}

/// What a topic asks of the handle.
#[derive(Clone, Copy)]
enum Topic {
    HandleValid,
    HandleBasic,
    HandleCount,
    Vmar,
    VmarMaps,
    ProcessMaps(MapsVersion),
    /// The first so many bytes of the record.
    Vmo(usize),
}

#[derive(Clone, Copy)]
enum MapsVersion {
    V1,
    V2,
    Bytes,
}

impl Topic {
    fn decode(topic: u32) -> Result<Self, Status> {
        Ok(match topic {
            ZX_INFO_HANDLE_VALID => Self::HandleValid,
            ZX_INFO_HANDLE_BASIC => Self::HandleBasic,
            ZX_INFO_HANDLE_COUNT => Self::HandleCount,
            ZX_INFO_VMAR => Self::Vmar,
            ZX_INFO_VMAR_MAPS => Self::VmarMaps,
            ZX_INFO_PROCESS_MAPS_V1 => Self::ProcessMaps(MapsVersion::V1),
            ZX_INFO_PROCESS_MAPS_V2 => Self::ProcessMaps(MapsVersion::V2),
            ZX_INFO_PROCESS_MAPS => Self::ProcessMaps(MapsVersion::Bytes),
            ZX_INFO_VMO_V1 => Self::Vmo(size_of::<zx_info_vmo_v1_t>()),
            ZX_INFO_VMO_V2 => Self::Vmo(size_of::<zx_info_vmo_v2_t>()),
            ZX_INFO_VMO_V3 => Self::Vmo(size_of::<zx_info_vmo_v3_t>()),
            ZX_INFO_VMO => Self::Vmo(size_of::<zx_info_vmo_t>()),
            _ => return Err(Status::NOT_SUPPORTED),
        })
    }
}

impl Kernel {
    /// Records about the object, into `buffer`; `actual` and `avail` get how many were written and how many there are.
    ///
    /// # Errors
    /// In order: `NOT_SUPPORTED` (topic), `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (most need `INSPECT`), `BAD_STATE` (maps of
    /// a dead VMAR), `BUFFER_TOO_SMALL` (single records), `INVALID_ARGS` (not writable).
    ///
    /// Source: abi.md §8, §9, §12.
    pub fn object_get_info(
        &self,
        handle: zx_handle_t,
        topic: u32,
        buffer: UserSlice<'_>,
        actual: impl Out<usize>,
        avail: impl Out<usize>,
    ) -> Result<(), Status> {
        let topic = Topic::decode(topic)?;
        let Handle { object, rights } = self.handles.get(handle)?;
        let sink = Sink { buffer, actual, avail };
        let inspect = || require(rights, ZX_RIGHT_INSPECT);
        match (topic, &object) {
            (Topic::HandleValid, _) => Ok(()),
            (Topic::HandleBasic, _) => {
                let record = zx_info_handle_basic_t {
                    koid: object.base().koid(),
                    rights,
                    r#type: object.object_type(),
                    related_koid: object.related_koid(),
                    ..Default::default()
                };
                sink.one(record.as_bytes())
            }
            (Topic::HandleCount, _) => {
                inspect()?;
                sink.one(zx_info_handle_count_t { handle_count: object.base().handle_count() }.as_bytes())
            }
            (Topic::Vmar, Object::Vmar(vmar)) => {
                inspect()?;
                let range = vmar.vmar().range();
                sink.one(zx_info_vmar_t { base: range.addr(), len: range.len() as usize }.as_bytes())
            }
            (Topic::VmarMaps, Object::Vmar(vmar)) => {
                inspect()?;
                let records = vmar.vmar().maps()?;
                sink.many(maps_records(&records, 0))
            }
            (Topic::ProcessMaps(version), Object::Process(process)) => {
                inspect()?;
                let walk = self.space.root().maps()?;
                let mut records = vec![aspace_record(self.space.range(), process.name())];
                records.extend(maps_records(&walk, 1));
                match version {
                    MapsVersion::V1 => sink.many(records.iter().map(maps_v1)),
                    MapsVersion::V2 => sink.many(records.iter().map(maps_v2)),
                    MapsVersion::Bytes => sink.many(records.into_iter()),
                }
            }
            (Topic::Vmo(len), Object::Vmo(vmo)) => {
                let info = vmo.vmo().info()?;
                sink.one(&vmo_record(&info, rights).as_bytes()[..len])
            }
            (Topic::Vmar | Topic::VmarMaps | Topic::ProcessMaps(_) | Topic::Vmo(_), _) => Err(Status::WRONG_TYPE),
        }
    }
}
