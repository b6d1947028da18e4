//! [`Port`]: packets from programs, and from the system.

use zerocopy::IntoBytes;
use zxvm_syscall::Kernel;

use crate::handle::NullableHandle;
use crate::packet::Packet;
use crate::sys::{self, Status};
use crate::time::MonotonicInstant;

flags! {
    /// Options of [`Port::create_with_opts`].
    pub struct PortOptions: u32 {
        /// Interrupts may be bound to it. There are none here.
        const BIND_TO_INTERRUPT = sys::ZX_PORT_BIND_TO_INTERRUPT;
    }
}

flags! {
    /// Options of [`wait_async`](NullableHandle::wait_async).
    pub struct WaitAsyncOpts: u32 {
        /// Tell when, on the monotonic clock.
        const TIMESTAMP = sys::ZX_WAIT_ASYNC_TIMESTAMP;
        /// Wait for a change even if the signal is active now.
        const EDGE_TRIGGERED = sys::ZX_WAIT_ASYNC_EDGE;
        /// Tell when, on the boot clock. Not together with `TIMESTAMP`.
        const BOOT_TIMESTAMP = sys::ZX_WAIT_ASYNC_BOOT_TIMESTAMP;
    }
}

object_type! {
    /// A queue of packets: sent by programs, or by the system when a signal comes that was asked for.
    ///
    /// ```
    /// use zxvm as zx;
    /// # fn main() -> Result<(), zx::Status> {
    /// let (port, event) = (zx::Port::create(), zx::Event::create());
    /// event.wait_async(&port, 7, zx::Signals::USER_0, zx::WaitAsyncOpts::empty())?;
    /// event.signal(zx::Signals::NONE, zx::Signals::USER_0)?;
    /// let packet = port.wait(zx::MonotonicInstant::INFINITE)?;
    /// assert_eq!(packet.key(), 7);
    /// let zx::PacketContents::SignalOne(signal) = packet.contents() else { panic!("{packet:?}") };
    /// assert_eq!(signal.observed(), zx::Signals::USER_0);
    /// # Ok(())
    /// # }
    /// ```
    pub struct Port;
}

impl Port {
    /// A new port without packets. Its handle has the rights `DUPLICATE`, `TRANSFER`, `INSPECT`, `READ` and `WRITE`.
    ///
    /// # Panics
    /// If there is no memory, or no engine.
    pub fn create() -> Self {
        Self::create_with_opts(PortOptions::empty())
    }

    /// As [`create`](Self::create), with options.
    ///
    /// # Panics
    /// If there is no such option, no memory, or no engine.
    pub fn create_with_opts(opts: PortOptions) -> Self {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current().and_then(|kernel| kernel.port_create(opts.bits(), &mut raw)).expect("a port");
        NullableHandle::adopt(raw).into()
    }

    /// Queues a packet. It becomes a user packet if it was none. Needs `WRITE`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`; `SHOULD_WAIT`: 4,096 of them are waiting.
    ///
    /// Source: `zx_port_queue`; pager.md §7.
    pub fn queue(&self, packet: &Packet) -> Result<(), Status> {
        Kernel::current()?.port_queue(self.raw_handle(), packet.0.as_bytes().into())
    }

    /// Takes the oldest packet; waits for one until `deadline`. Needs `READ`. A deadline in the past polls.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`; `TIMED_OUT`.
    ///
    /// Source: `zx_port_wait`; pager.md §7.
    pub fn wait(&self, deadline: MonotonicInstant) -> Result<Packet, Status> {
        let mut packet = sys::zx_port_packet_t::default();
        Kernel::current()?.port_wait(self.raw_handle(), deadline.into_nanos(), &mut packet)?;
        Ok(Packet(packet))
    }

    /// Takes back the waits with this key, and all packets with it but requests of pages. Needs `WRITE`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`; `NOT_FOUND`: there were none.
    ///
    /// Source: `zx_port_cancel_key`; pager.md §7.
    pub fn cancel(&self, key: u64) -> Result<(), Status> {
        Kernel::current()?.port_cancel_key(self.raw_handle(), 0, key)
    }
}
