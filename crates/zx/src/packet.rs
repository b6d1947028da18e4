//! [`Packet`]: what a port delivers, and its kinds.

use core::ops::Range;

use crate::signals::Signals;
use crate::sys;

/// A packet. Has the layout of `zx_port_packet_t`.
///
/// ```
/// use zxvm as zx;
/// # fn main() -> Result<(), zx::Status> {
/// let port = zx::Port::create();
/// let sent = zx::Packet::from_user_packet(7, -1, zx::UserPacket::from_u8_array([3; 32]));
/// port.queue(&sent)?;
/// assert_eq!(port.wait(zx::MonotonicInstant::INFINITE_PAST)?, sent);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Packet(pub(crate) sys::zx_port_packet_t);

/// What is in a packet. Fuchsia has more kinds, of what is not here: guests, power domains.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum PacketContents {
    /// Sent by a program.
    User(UserPacket),
    /// Signals of an object.
    SignalOne(SignalPacket),
    /// A command to a pager.
    Pager(PagerPacket),
    /// An interrupt.
    Interrupt(InterruptPacket),
}

/// 32 bytes of the sender's own.
#[derive(Debug, Default, Copy, Clone, Eq, PartialEq)]
pub struct UserPacket(sys::zx_packet_user_t);

/// Signals of an object.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct SignalPacket(sys::zx_packet_signal_t);

/// A command to a pager.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct PagerPacket(sys::zx_packet_page_request_t);

/// An interrupt.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct InterruptPacket(sys::zx_packet_interrupt_t);

impl Packet {
    /// A packet for [`Port::queue`](crate::Port::queue). Key and status mean what the program wants them to.
    pub fn from_user_packet(key: u64, status: i32, user: UserPacket) -> Self {
        Self(sys::zx_port_packet_t { key, packet_type: sys::ZX_PKT_TYPE_USER, status, union: user.0 })
    }

    /// Chosen by whoever asked for the packet.
    pub fn key(&self) -> u64 {
        self.0.key
    }

    /// The sender's, or `ZX_OK`.
    pub fn status(&self) -> i32 {
        self.0.status
    }

    /// What is in it.
    ///
    /// # Panics
    /// If that is of a kind that nothing here sends.
    pub fn contents(&self) -> PacketContents {
        let bytes = self.0.union;
        match self.0.packet_type {
            sys::ZX_PKT_TYPE_USER => PacketContents::User(UserPacket(bytes)),
            sys::ZX_PKT_TYPE_SIGNAL_ONE => PacketContents::SignalOne(SignalPacket(zerocopy::transmute!(bytes))),
            sys::ZX_PKT_TYPE_PAGE_REQUEST => PacketContents::Pager(PagerPacket(zerocopy::transmute!(bytes))),
            sys::ZX_PKT_TYPE_INTERRUPT => PacketContents::Interrupt(InterruptPacket(zerocopy::transmute!(bytes))),
            other => panic!("a packet of type {other}"),
        }
    }
}

impl UserPacket {
    /// With these bytes.
    pub fn from_u8_array(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_u8_array(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its bytes, to be changed.
    pub fn as_mut_u8_array(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl SignalPacket {
    /// The signals that were waited for.
    pub fn trigger(&self) -> Signals {
        Signals::from_bits_retain(self.0.trigger)
    }

    /// All that were active.
    pub fn observed(&self) -> Signals {
        Signals::from_bits_retain(self.0.observed)
    }

    /// One.
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// When, in nanoseconds of the clock asked for; else 0.
    pub fn timestamp(&self) -> sys::zx_time_t {
        self.0.timestamp
    }

    /// The record.
    pub fn raw_packet(&self) -> &sys::zx_packet_signal_t {
        &self.0
    }
}

impl PagerPacket {
    /// What the pager is to do.
    ///
    /// # Panics
    /// If it is nothing that is ever sent.
    pub fn command(&self) -> sys::zx_page_request_command_t {
        use sys::zx_page_request_command_t::*;
        match self.0.command {
            sys::ZX_PAGER_VMO_READ => ZX_PAGER_VMO_READ,
            sys::ZX_PAGER_VMO_COMPLETE => ZX_PAGER_VMO_COMPLETE,
            sys::ZX_PAGER_VMO_DIRTY => ZX_PAGER_VMO_DIRTY,
            other => panic!("a command of {other}"),
        }
    }

    /// The part of the VMO it is about, in bytes.
    pub fn range(&self) -> Range<u64> {
        self.0.offset..self.0.offset + self.0.length
    }
}

impl InterruptPacket {
    /// When, in nanoseconds of the monotonic clock.
    pub fn timestamp(&self) -> sys::zx_time_t {
        self.0.timestamp
    }
}

const _: () = assert!(size_of::<Packet>() == size_of::<sys::zx_port_packet_t>());

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn packet(packet_type: u32, contents: &[u8]) -> Packet {
        let union = contents.try_into().unwrap();
        Packet(sys::zx_port_packet_t { key: 1, packet_type, status: 0, union })
    }

    #[test]
    fn commands_have_their_names_and_ranges() {
        use sys::zx_page_request_command_t::*;
        let commands = [
            (sys::ZX_PAGER_VMO_READ, ZX_PAGER_VMO_READ),
            (sys::ZX_PAGER_VMO_COMPLETE, ZX_PAGER_VMO_COMPLETE),
            (sys::ZX_PAGER_VMO_DIRTY, ZX_PAGER_VMO_DIRTY),
        ];
        for (command, name) in commands {
            let record = sys::zx_packet_page_request_t { command, offset: 4096, length: 8192, ..Default::default() };
            let PacketContents::Pager(pager) = packet(sys::ZX_PKT_TYPE_PAGE_REQUEST, record.as_bytes()).contents()
            else {
                panic!("no command")
            };
            assert_eq!((pager.command(), pager.range()), (name, 4096..12288));
            assert_eq!(name as u16, command);
        }
    }

    #[test]
    fn an_interrupt_tells_when() {
        let record = sys::zx_packet_interrupt_t { timestamp: 42, ..Default::default() };
        let PacketContents::Interrupt(interrupt) = packet(sys::ZX_PKT_TYPE_INTERRUPT, record.as_bytes()).contents()
        else {
            panic!("no interrupt")
        };
        assert_eq!(interrupt.timestamp(), 42);
    }

    #[test]
    #[should_panic(expected = "a packet of type 2")]
    fn an_unknown_type_is_a_broken_invariant() {
        packet(2, &[0; 32]).contents();
    }
}
