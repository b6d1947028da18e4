//! Events and pairs of them.

use std::sync::Arc;

use zxvm_object::{Event, EventPair, Object};
use zxvm_types::*;

use crate::kernel::Kernel;
use crate::out::Out;

impl Kernel {
    /// Makes an event.
    ///
    /// # Errors
    /// `INVALID_ARGS`: options; `out`. `NO_MEMORY`.
    pub fn event_create(&self, options: u32, out: impl Out<zx_handle_t>) -> Result<(), Status> {
        if options != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let event = Object::Event(Arc::new(Event::new(self.koids.next())));
        self.give(event, ZX_DEFAULT_EVENT_RIGHTS, out).map(drop)
    }

    /// Makes two events that signal each other.
    ///
    /// # Errors
    /// `NOT_SUPPORTED`: options. `INVALID_ARGS`: `out0`, `out1`. `NO_MEMORY`.
    pub fn eventpair_create(
        &self,
        options: u32,
        out0: impl Out<zx_handle_t>,
        out1: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        if options != 0 {
            return Err(Status::NOT_SUPPORTED);
        }
        let [a, b] = EventPair::pair([self.koids.next(), self.koids.next()]);
        let first = self.give(Object::EventPair(a), ZX_DEFAULT_EVENTPAIR_RIGHTS, out0)?;
        let second = self.give(Object::EventPair(b), ZX_DEFAULT_EVENTPAIR_RIGHTS, out1);
        second.map(drop).inspect_err(|_| drop(self.handles.remove(first)))
    }
}
