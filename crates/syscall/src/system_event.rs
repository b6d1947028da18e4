//! Events that tell how short memory is.
//!
//! Exactly one of them is signalled at any time. Nothing here measures memory yet, so it is always the one that says that
//! there is no pressure.

use std::sync::Arc;

use zxvm_object::{Event, Handle, Koids, Object};
use zxvm_types::*;

use crate::kernel::{Kernel, require};
use crate::out::Out;

/// What there are events of.
const KINDS: [zx_system_event_type_t; 5] = [
    ZX_SYSTEM_EVENT_OUT_OF_MEMORY,
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL,
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING,
    ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL,
    ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY,
];

/// One event of each kind.
#[derive(Debug)]
pub struct SystemEvents([(zx_system_event_type_t, Object); KINDS.len()]);

impl SystemEvents {
    /// With no pressure.
    pub fn new(koids: &Koids) -> Self {
        Self(KINDS.map(|kind| {
            let event = Object::Event(Arc::new(Event::new(koids.next())));
            if kind == ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL {
                event.base().signals().update(0, ZX_EVENT_SIGNALED);
            }
            (kind, event)
        }))
    }

    fn of(&self, kind: zx_system_event_type_t) -> Option<&Object> {
        self.0.iter().find(|event| event.0 == kind).map(|event| &event.1)
    }
}

impl Kernel {
    /// A handle to the event of this kind: to be waited for, and not to be signalled.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (`ZX_SYSTEM_EVENT_OUT_OF_MEMORY` needs `MANAGE_PROCESS`; the one job
    /// that exists is the root), `INVALID_ARGS` (kind; `out`), `NO_MEMORY`.
    ///
    /// Source: abi.md §12.
    pub fn system_get_event(
        &self,
        root_job: zx_handle_t,
        kind: zx_system_event_type_t,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let Handle { object, rights } = self.handles.get(root_job)?;
        let Object::Job(_) = object else { return Err(Status::WRONG_TYPE) };
        if kind == ZX_SYSTEM_EVENT_OUT_OF_MEMORY {
            require(rights, ZX_RIGHT_MANAGE_PROCESS)?;
        }
        let event = self.system_events.of(kind).ok_or(Status::INVALID_ARGS)?;
        self.give(event.clone(), ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS, out).map(drop)
    }
}
