//! Ports: queues of packets, and waits that end in one.

use std::sync::Arc;

use zerocopy::{FromZeros, IntoBytes};
use zxvm_host::user::UserRef;
use zxvm_object::{AsyncWait, Object, Port, Trigger};
use zxvm_types::*;

use crate::kernel::Kernel;
use crate::object::until;
use crate::out::{Out, invalid_args};
use crate::system;

impl Kernel {
    /// Makes a port.
    ///
    /// # Errors
    /// `INVALID_ARGS`: options other than `BIND_TO_INTERRUPT`, which changes nothing; `out`. `NO_MEMORY`.
    ///
    /// Source: pager.md §7.
    pub fn port_create(&self, options: u32, out: impl Out<zx_handle_t>) -> Result<(), Status> {
        if options & !ZX_PORT_BIND_TO_INTERRUPT != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let port = Object::Port(Arc::new(Port::new(self.koids.next())));
        self.give(port, ZX_DEFAULT_PORT_RIGHTS, out).map(drop)
    }

    /// Queues the packet at `packet`, whose type becomes `USER`.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`), `INVALID_ARGS` (NULL, not readable),
    /// `SHOULD_WAIT` (4,096 of them wait already).
    ///
    /// Source: pager.md §7; abi.md §12.
    pub fn port_queue(&self, handle: zx_handle_t, packet: UserRef<'_>) -> Result<(), Status> {
        let port = self.port_with(handle, ZX_RIGHT_WRITE)?;
        if packet.addr() == 0 {
            return Err(Status::INVALID_ARGS);
        }
        let mut copy = zx_port_packet_t::new_zeroed();
        packet.copy_to(copy.as_mut_bytes()).map_err(invalid_args)?;
        port.queue(copy)
    }

    /// Takes the oldest packet; waits for one until `deadline` (nanoseconds of the monotonic clock). Blocks. A packet
    /// that cannot be written to `packet` is lost.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `READ`), `TIMED_OUT`, `INVALID_ARGS` (`packet`).
    ///
    /// Source: pager.md §7; abi.md §12.
    pub fn port_wait(
        &self,
        handle: zx_handle_t,
        deadline: zx_time_t,
        packet: impl Out<zx_port_packet_t>,
    ) -> Result<(), Status> {
        let port = self.port_with(handle, ZX_RIGHT_READ)?;
        let oldest = port.wait(until(deadline)).ok_or(Status::TIMED_OUT)?;
        packet.put(oldest).map_err(invalid_args)
    }

    /// Takes back the waits made through the very handle `source` with this key, and their packets.
    ///
    /// # Errors
    /// In order: of the port `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`); of `source` `BAD_HANDLE`,
    /// `ACCESS_DENIED` (needs `WAIT`), `NOT_SUPPORTED` (not waitable); `NOT_FOUND`: there were none.
    ///
    /// Source: pager.md §7; abi.md §12.
    pub fn port_cancel(&self, handle: zx_handle_t, source: zx_handle_t, key: u64) -> Result<(), Status> {
        let port = self.port_with(handle, ZX_RIGHT_WRITE)?;
        self.waitable(source)?;
        if port.cancel(source, key) { Ok(()) } else { Err(Status::NOT_FOUND) }
    }

    /// Takes back the waits with this key, and all packets with it but requests of pages.
    ///
    /// # Errors
    /// In order: `INVALID_ARGS` (options), `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`), `NOT_FOUND`: there
    /// were none.
    ///
    /// Source: pager.md §7; abi.md §12.
    pub fn port_cancel_key(&self, handle: zx_handle_t, options: u32, key: u64) -> Result<(), Status> {
        if options != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let port = self.port_with(handle, ZX_RIGHT_WRITE)?;
        if port.cancel_key(key) { Ok(()) } else { Err(Status::NOT_FOUND) }
    }

    /// Has one packet with this key queued in `port` when one of `signals` is active. The wait ends without a packet when
    /// `handle` is closed or replaced.
    ///
    /// # Errors
    /// In order: `INVALID_ARGS` (options); of the port `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`); of
    /// `handle` `BAD_HANDLE`, `ACCESS_DENIED` (needs `WAIT`), `NOT_SUPPORTED` (not waitable).
    ///
    /// Source: abi.md §12.
    pub fn object_wait_async(
        &self,
        handle: zx_handle_t,
        port: zx_handle_t,
        key: u64,
        signals: zx_signals_t,
        options: u32,
    ) -> Result<(), Status> {
        const STAMPS: u32 = ZX_WAIT_ASYNC_TIMESTAMP | ZX_WAIT_ASYNC_BOOT_TIMESTAMP;
        let clock: Option<fn() -> zx_time_t> = match options & STAMPS {
            ZX_WAIT_ASYNC_TIMESTAMP => Some(system::clock_get_monotonic),
            ZX_WAIT_ASYNC_BOOT_TIMESTAMP => Some(system::clock_get_boot),
            0 => None,
            _ => return Err(Status::INVALID_ARGS),
        };
        let trigger = match options & !STAMPS {
            ZX_WAIT_ASYNC_ONCE => Trigger::Level,
            ZX_WAIT_ASYNC_EDGE => Trigger::Edge,
            _ => return Err(Status::INVALID_ARGS),
        };
        let port = self.port_with(port, ZX_RIGHT_WRITE)?;
        let object = self.waitable(handle)?;
        port.wait_async(&object, handle, AsyncWait { key, signals, trigger, clock })?;
        if self.handles.get(handle).is_err() {
            // It went between its look-up and the wait.
            object.base().signals().cancel(handle);
        }
        Ok(())
    }
}
