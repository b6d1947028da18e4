//! Signals, waits that never block, and properties: abi.md §10 and §12, vmo.md §5 and §11.

use zxvm_types::*;

use super::wait::Job;
use super::{Kind, Model};
use crate::op::{FILLER, Outcome, UNTOUCHED};

impl Model {
    pub(super) fn object_signal(&mut self, handle: zx_handle_t, clear: u32, set: u32) -> Result<(), Status> {
        let found = self.handle(handle)?;
        if found.rights & ZX_RIGHT_SIGNAL == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let object = self.objects.get_mut(&found.object).expect("a handle leads to it");
        if (clear | set) & !settable(&object.kind) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        object.signals = object.signals & !clear | set;
        Ok(())
    }

    pub(super) fn object_signal_peer(&mut self, handle: zx_handle_t, clear: u32, set: u32) -> Result<(), Status> {
        let found = self.handle(handle)?;
        if found.rights & ZX_RIGHT_SIGNAL_PEER == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let kind = &self.object(found.object).kind;
        let Kind::Eventpair(peer) = *kind else { return Err(Status::NOT_SUPPORTED) };
        if (clear | set) & !settable(kind) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let peer = self.objects.get_mut(&peer).ok_or(Status::PEER_CLOSED)?;
        peer.signals = peer.signals & !clear | set;
        Ok(())
    }

    pub(super) fn object_wait_one(&self, handle: zx_handle_t, signals: u32) -> Outcome {
        let active = match self.active(handle) {
            Ok(active) => active,
            Err(status) => return Outcome::of(Err(status)),
        };
        let status = if active & signals != 0 { Status::OK } else { Status::TIMED_OUT };
        Outcome { status, numbers: [u64::from(active), UNTOUCHED], ..Outcome::default() }
    }

    /// The bytes of the outcome are the `pending` fields, which were all [`FILLER`].
    pub(super) fn object_wait_many(&self, items: &[(zx_handle_t, u32)]) -> Outcome {
        let untouched = vec![FILLER; 4 * items.len()];
        let refuse = |status| Outcome { status, bytes: untouched, ..Outcome::default() };
        if items.len() > ZX_WAIT_MANY_MAX_ITEMS {
            return refuse(Status::OUT_OF_RANGE);
        }
        let active: Result<Vec<_>, _> = items.iter().map(|&(handle, _)| self.active(handle)).collect();
        let active = match active {
            Ok(active) => active,
            Err(status) => return refuse(status),
        };
        let matched = active.iter().zip(items).any(|(active, (_, signals))| active & signals != 0);
        Outcome {
            status: if matched { Status::OK } else { Status::TIMED_OUT },
            bytes: active.into_iter().flat_map(u32::to_ne_bytes).collect(),
            ..Outcome::default()
        }
    }

    /// What a wait on the handle sees.
    fn active(&self, handle: zx_handle_t) -> Result<u32, Status> {
        let found = self.handle(handle)?;
        if found.rights & ZX_RIGHT_WAIT == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        Ok(self.object(found.object).signals)
    }

    pub(super) fn object_get_property(&self, handle: zx_handle_t, property: u32, len: Option<usize>) -> Outcome {
        let mut bytes = vec![FILLER; len.unwrap_or(0)];
        let status = self.get_property(handle, property, len, &mut bytes).into();
        Outcome { status, bytes, ..Outcome::default() }
    }

    fn get_property(
        &self,
        handle: zx_handle_t,
        property: u32,
        len: Option<usize>,
        bytes: &mut [u8],
    ) -> Result<(), Status> {
        let len = len.ok_or(Status::INVALID_ARGS)?;
        let found = self.handle(handle)?;
        if found.rights & ZX_RIGHT_GET_PROPERTY == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let value: &[u8] = match (property, &self.object(found.object).kind) {
            (ZX_PROP_NAME, _) if len < ZX_MAX_NAME_LEN => return Err(Status::BUFFER_TOO_SMALL),
            (ZX_PROP_NAME, Kind::Vmo(vmo)) => &vmo.name,
            (ZX_PROP_NAME, Kind::Process(name, _)) => name,
            (ZX_PROP_VMO_CONTENT_SIZE, _) if len < 8 => return Err(Status::BUFFER_TOO_SMALL),
            (ZX_PROP_VMO_CONTENT_SIZE, Kind::Vmo(_)) => &self.stream_size(found.object).to_ne_bytes(),
            (ZX_PROP_NAME | ZX_PROP_VMO_CONTENT_SIZE, _) => return Err(Status::WRONG_TYPE),
            (_, _) => return Err(Status::NOT_SUPPORTED),
        };
        bytes[..value.len()].copy_from_slice(value);
        Ok(())
    }

    pub(super) fn object_set_property(
        &mut self,
        handle: zx_handle_t,
        property: u32,
        value: Option<&[u8]>,
    ) -> Option<Outcome> {
        match self.set_property(handle, property, value) {
            Ok(Some(job)) => self.launch(job),
            Ok(None) => Some(Outcome::default()),
            Err(status) => Some(Outcome::of(Err(status))),
        }
    }

    /// What is left to do, if that may wait.
    fn set_property(
        &mut self,
        handle: zx_handle_t,
        property: u32,
        value: Option<&[u8]>,
    ) -> Result<Option<Job>, Status> {
        let value = value.ok_or(Status::INVALID_ARGS)?;
        let found = self.handle(handle)?;
        if found.rights & ZX_RIGHT_SET_PROPERTY == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let kind = &mut self.objects.get_mut(&found.object).expect("a handle leads to it").kind;
        match property {
            ZX_PROP_NAME => {
                let name = match kind {
                    Kind::Vmo(vmo) => &mut vmo.name,
                    Kind::Process(name, _) => name,
                    Kind::Vmar(_) | Kind::Event | Kind::Eventpair(_) | Kind::Pager | Kind::Port(_) => {
                        return Err(Status::WRONG_TYPE);
                    }
                };
                let len = value.len().min(ZX_MAX_NAME_LEN - 1);
                *name = [0; ZX_MAX_NAME_LEN];
                name[..len].copy_from_slice(&value[..len]);
                Ok(None)
            }
            ZX_PROP_VMO_CONTENT_SIZE => {
                if found.rights & ZX_RIGHT_WRITE == 0 {
                    return Err(Status::ACCESS_DENIED);
                }
                let size = value.first_chunk().copied().map(u64::from_ne_bytes).ok_or(Status::BUFFER_TOO_SMALL)?;
                let Kind::Vmo(_) = kind else { return Err(Status::WRONG_TYPE) };
                let whole = self.size(found.object);
                if size < whole && self.is_paged(found.object) {
                    let zero = self.zeroing(found.object, size, whole);
                    return Ok(Some(Job::SetStreamSize { vmo: found.object, size, zero }));
                }
                if size < whole {
                    self.make_zero(found.object, size, whole)?;
                }
                self.set_stream_size(found.object, size);
                Ok(None)
            }
            _ => Err(Status::NOT_SUPPORTED),
        }
    }
}

fn settable(kind: &Kind) -> u32 {
    match kind {
        Kind::Event | Kind::Eventpair(_) => ZX_USER_SIGNAL_ALL | ZX_EVENT_SIGNALED,
        Kind::Vmo(_) | Kind::Vmar(_) | Kind::Process(..) | Kind::Pager | Kind::Port(_) => ZX_USER_SIGNAL_ALL,
    }
}
