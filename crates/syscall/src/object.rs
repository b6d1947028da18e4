//! Properties, signals and waits: what all kinds of objects have.

use std::time::{Duration, Instant};

use zxvm_host::user::{UserRef, UserSlice};
use zxvm_object::{Deadline, Handle, Object, WaitEnd, WaitFor, wait};
use zxvm_types::*;

use crate::kernel::{Kernel, require};
use crate::out::{Out, invalid_args};
use crate::system;

const NAME_LEN: usize = ZX_MAX_NAME_LEN;

impl Kernel {
    /// Reads a property into `value`.
    ///
    /// # Errors
    /// In order: `INVALID_ARGS` (NULL), `BAD_HANDLE`, `ACCESS_DENIED` (needs `GET_PROPERTY`), `NOT_SUPPORTED` (no such
    /// property), `BUFFER_TOO_SMALL`, `WRONG_TYPE`, `INVALID_ARGS` (not writable).
    ///
    /// Source: abi.md §12.
    pub fn object_get_property(&self, handle: zx_handle_t, property: u32, value: UserSlice<'_>) -> Result<(), Status> {
        if value.addr() == 0 {
            return Err(Status::INVALID_ARGS);
        }
        let Handle { object, rights } = self.handles.get(handle)?;
        require(rights, ZX_RIGHT_GET_PROPERTY)?;
        let fits = |len| if value.len() < len { Err(Status::BUFFER_TOO_SMALL) } else { Ok(()) };
        match property {
            ZX_PROP_NAME => {
                fits(NAME_LEN)?;
                let name = object.name().ok_or(Status::WRONG_TYPE)?;
                value.fill_from(&name).map_err(invalid_args)
            }
            ZX_PROP_VMO_CONTENT_SIZE => {
                fits(size_of::<u64>())?;
                let Object::Vmo(vmo) = object else { return Err(Status::WRONG_TYPE) };
                value.fill_from(&vmo.vmo().stream_size().to_ne_bytes()).map_err(invalid_args)
            }
            _ => Err(Status::NOT_SUPPORTED),
        }
    }

    /// Sets a property from `value`.
    ///
    /// # Errors
    /// As [`Kernel::object_get_property`], with `SET_PROPERTY`; the content size of a VMO also needs `WRITE`.
    ///
    /// Source: abi.md §12, vmo.md §5 and §11.
    pub fn object_set_property(&self, handle: zx_handle_t, property: u32, value: UserRef<'_>) -> Result<(), Status> {
        if value.addr() == 0 {
            return Err(Status::INVALID_ARGS);
        }
        let Handle { object, rights } = self.handles.get(handle)?;
        require(rights, ZX_RIGHT_SET_PROPERTY)?;
        match property {
            ZX_PROP_NAME => {
                let mut name = [0; NAME_LEN];
                let len = value.len().min(NAME_LEN - 1);
                value.copy_to(&mut name[..len]).map_err(invalid_args)?;
                if object.set_name(name) { Ok(()) } else { Err(Status::WRONG_TYPE) }
            }
            ZX_PROP_VMO_CONTENT_SIZE => {
                // Without WRITE the property is not there to be set, whatever the length (vmo.md §5).
                require(rights, ZX_RIGHT_WRITE)?;
                if value.len() < size_of::<u64>() {
                    return Err(Status::BUFFER_TOO_SMALL);
                }
                let Object::Vmo(vmo) = object else { return Err(Status::WRONG_TYPE) };
                let mut bytes = [0; size_of::<u64>()];
                value.copy_to(&mut bytes).map_err(invalid_args)?;
                self.space.set_vmo_content_size(vmo.vmo(), u64::from_ne_bytes(bytes))
            }
            _ => Err(Status::NOT_SUPPORTED),
        }
    }

    /// Clears and sets signals of the object.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `ACCESS_DENIED` (needs `SIGNAL`), `INVALID_ARGS` (not the caller's to set).
    ///
    /// Source: abi.md §12.
    pub fn object_signal(&self, handle: zx_handle_t, clear: u32, set: u32) -> Result<(), Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        require(rights, ZX_RIGHT_SIGNAL)?;
        if (clear | set) & !object.settable_signals() != 0 {
            return Err(Status::INVALID_ARGS);
        }
        object.base().signals().update(clear, set);
        Ok(())
    }

    /// Clears and sets signals of the object's peer.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `ACCESS_DENIED` (needs `SIGNAL_PEER`), `NOT_SUPPORTED` (no peer by kind), `INVALID_ARGS`,
    /// `PEER_CLOSED`.
    ///
    /// Source: abi.md §12.
    pub fn object_signal_peer(&self, handle: zx_handle_t, clear: u32, set: u32) -> Result<(), Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        require(rights, ZX_RIGHT_SIGNAL_PEER)?;
        let Object::EventPair(pair) = &object else { return Err(Status::NOT_SUPPORTED) };
        if (clear | set) & !object.settable_signals() != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let peer = pair.peer().ok_or(Status::PEER_CLOSED)?;
        Object::EventPair(peer).base().signals().update(clear, set);
        Ok(())
    }

    /// Waits until one of `signals` is active, at most until `deadline` (nanoseconds of the monotonic clock). Blocks.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `ACCESS_DENIED` (needs `WAIT`), `NOT_SUPPORTED` (not waitable), `TIMED_OUT`, `CANCELED`;
    /// `INVALID_ARGS` (`observed`).
    ///
    /// Source: abi.md §12.
    pub fn object_wait_one(
        &self,
        handle: zx_handle_t,
        signals: zx_signals_t,
        deadline: zx_time_t,
        observed: impl Out<zx_signals_t>,
    ) -> Result<(), Status> {
        let object = self.waitable(handle)?;
        let mut seen = [0];
        let items = [WaitFor { signals: object.base().signals(), mask: signals, handle }];
        let end = wait(&items, until(deadline), &mut seen, |handle| self.handles.get(handle).is_ok());
        observed.put(seen[0]).map_err(invalid_args)?;
        ended(end)
    }

    /// Waits until one of `items` has one of its signals active. Every `pending` is filled, but for the errors that are
    /// found before the wait. Blocks.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`: more than 64. Then per item, in order, as [`Kernel::object_wait_one`].
    ///
    /// Source: abi.md §12.
    pub fn object_wait_many(&self, items: &mut [zx_wait_item_t], deadline: zx_time_t) -> Result<(), Status> {
        if items.len() > ZX_WAIT_MANY_MAX_ITEMS {
            return Err(Status::OUT_OF_RANGE);
        }
        let objects = items.iter().map(|item| self.waitable(item.handle)).collect::<Result<Vec<_>, _>>()?;
        let waits: Vec<_> = objects
            .iter()
            .zip(&*items)
            .map(|(object, item)| WaitFor { signals: object.base().signals(), mask: item.waitfor, handle: item.handle })
            .collect();
        let mut seen = vec![0; items.len()];
        let end = wait(&waits, until(deadline), &mut seen, |handle| self.handles.get(handle).is_ok());
        for (item, seen) in items.iter_mut().zip(seen) {
            item.pending = seen;
        }
        ended(end)
    }

    /// The handle's object if threads and ports may wait for it by this handle.
    pub(crate) fn waitable(&self, handle: zx_handle_t) -> Result<Object, Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        require(rights, ZX_RIGHT_WAIT)?;
        if object.is_waitable() { Ok(object) } else { Err(Status::NOT_SUPPORTED) }
    }
}

/// `deadline` (nanoseconds of the monotonic clock) as a moment of Rust's.
pub(crate) fn until(deadline: zx_time_t) -> Deadline {
    if deadline == ZX_TIME_INFINITE {
        return Deadline::Never;
    }
    let left = deadline.saturating_sub(system::clock_get_monotonic()).max(0);
    // So far away that the clock cannot say it is never.
    Instant::now().checked_add(Duration::from_nanos(left as u64)).map_or(Deadline::Never, Deadline::At)
}

fn ended(end: WaitEnd) -> Result<(), Status> {
    match end {
        WaitEnd::Satisfied => Ok(()),
        WaitEnd::TimedOut => Err(Status::TIMED_OUT),
        WaitEnd::Canceled => Err(Status::CANCELED),
    }
}
