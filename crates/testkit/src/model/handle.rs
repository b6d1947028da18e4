//! Handles and events: abi.md §12.

use zxvm_types::*;

use super::{Handle, Kind, Model};
use crate::op::{Lost, Outcome};

type Made = Result<Vec<(zx_handle_t, zx_koid_t)>, Status>;

impl Model {
    pub(super) fn handle_close(&mut self, handle: zx_handle_t) -> Result<(), Status> {
        if handle == ZX_HANDLE_INVALID {
            return Ok(());
        }
        self.take(handle).map(drop)
    }

    pub(super) fn handle_close_many(&mut self, handles: &[zx_handle_t]) -> Result<(), Status> {
        let mut result = Ok(());
        for &handle in handles {
            if self.handle_close(handle).is_err() {
                result = Err(Status::BAD_HANDLE);
            }
            // One after the other.
            self.reap();
        }
        result
    }

    pub(super) fn handle_duplicate(&mut self, handle: zx_handle_t, rights: u32, lost: Lost, got: &Outcome) -> Made {
        let old = self.handle(handle)?;
        if old.rights & ZX_RIGHT_DUPLICATE == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let rights = fewer(old.rights, rights)?;
        self.give_unless(lost, old.object, rights, got)
    }

    pub(super) fn handle_replace(&mut self, handle: zx_handle_t, rights: u32, lost: Lost, got: &Outcome) -> Made {
        let old = self.take(handle)?;
        let rights = fewer(old.rights, rights)?;
        self.give_unless(lost, old.object, rights, got)
    }

    pub(super) fn vmo_replace_as_executable(
        &mut self,
        vmo: zx_handle_t,
        vmex: zx_handle_t,
        lost: Lost,
        got: &Outcome,
    ) -> Made {
        // vmo.md §2.4. No handle here is a resource.
        let verdict = match vmex {
            ZX_HANDLE_INVALID => Ok(()),
            other => self.handle(other).and(Err(Status::WRONG_TYPE)),
        };
        let old = self.take(vmo)?;
        if !matches!(self.object(old.object).kind, Kind::Vmo(_)) {
            return Err(Status::BAD_HANDLE);
        }
        verdict?;
        self.give_unless(lost, old.object, old.rights | ZX_RIGHT_EXECUTE, got)
    }

    pub(super) fn event_create(&mut self, options: u32, lost: Lost, got: &Outcome) -> Made {
        if options != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let event = self.add(0, Kind::Event);
        self.give_unless(lost, event, ZX_DEFAULT_EVENT_RIGHTS, got)
    }

    pub(super) fn eventpair_create(&mut self, options: u32, lost: Lost, got: &Outcome) -> Made {
        if options != 0 {
            return Err(Status::NOT_SUPPORTED);
        }
        if lost != Lost::Nothing {
            return Err(Status::INVALID_ARGS);
        }
        let first = self.add(0, Kind::Event);
        let second = self.add(0, Kind::Eventpair(first));
        self.objects.get_mut(&first).expect("it was just made").kind = Kind::Eventpair(second);
        let rights = ZX_DEFAULT_EVENTPAIR_RIGHTS;
        Ok(vec![self.give(first, rights, got, 0), self.give(second, rights, got, 1)])
    }

    fn take(&mut self, handle: zx_handle_t) -> Result<Handle, Status> {
        let old = self.handles.remove(&handle).ok_or(Status::BAD_HANDLE)?;
        self.closed_last = handle;
        Ok(old)
    }
}

fn fewer(held: u32, wanted: u32) -> Result<u32, Status> {
    if wanted == ZX_RIGHT_SAME_RIGHTS {
        return Ok(held);
    }
    if wanted & !held != 0 {
        return Err(Status::INVALID_ARGS);
    }
    Ok(wanted)
}
