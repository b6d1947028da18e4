//! Ports as far as pagers need them, and the place in them of a pager VMO: pager.md §6.3, §7.

use std::collections::VecDeque;

use zerocopy::IntoBytes;
use zxvm_types::*;

use super::source::{Kind as Asked, Message};
use super::{Kind, Model, ObjectId};
use crate::PAGE;
use crate::op::{Lost, Outcome};

/// Names a slot of the model; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub(super) u64);

/// What is in a port's queue.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A program's packet.
    User(zx_port_packet_t),
    /// The first message of a slot, and in which step it came. Among those of one step no order is specified.
    Slot(SlotId, u64),
}

/// A pager VMO's place in a port. It may outlive the VMO.
#[derive(Debug)]
pub struct Slot {
    /// Where.
    pub port: ObjectId,
    /// Whose VMO it is.
    pub pager: ObjectId,
    /// Of every packet.
    pub key: u64,
    /// What was sent and neither taken out nor taken back.
    pub sent: VecDeque<Message>,
    /// Which of them is in the port's queue.
    pub placed: Option<Message>,
    /// Nothing more is sent.
    pub over: bool,
}

impl Slot {
    fn tell(&mut self, message: Message) {
        match message {
            _ if self.over => {}
            Message::Ask(..) => self.sent.push_back(message),
            Message::Shorten(end) => {
                for other in self.sent.iter_mut().chain(&mut self.placed) {
                    if let Message::Ask(_, _, pages) = other {
                        pages.end = pages.end.min(end);
                    }
                }
            }
            Message::Withdraw(id) => {
                self.sent.retain(|other| !matches!(other, Message::Ask(asked, ..) if *asked == id))
            }
            Message::Complete => {
                self.over = true;
                self.sent = VecDeque::from([message]);
            }
        }
    }
}

impl Model {
    pub(super) fn port_create(
        &mut self,
        options: u32,
        lost: Lost,
        got: &Outcome,
    ) -> Result<Vec<(zx_handle_t, zx_koid_t)>, Status> {
        if options & !ZX_PORT_BIND_TO_INTERRUPT != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let port = self.add(0, Kind::Port(VecDeque::new()));
        self.give_unless(lost, port, ZX_DEFAULT_PORT_RIGHTS, got)
    }

    pub(super) fn port_queue(&mut self, handle: zx_handle_t, key: u64, tag: u8) -> Result<(), Status> {
        let port = self.port(handle, ZX_RIGHT_WRITE)?;
        let Some(Kind::Port(queue)) = self.objects.get_mut(&port).map(|object| &mut object.kind) else {
            panic!("it is a port")
        };
        let user = |entry: &&Entry| matches!(entry, Entry::User(_));
        if queue.iter().filter(user).count() >= 4096 {
            return Err(Status::SHOULD_WAIT);
        }
        queue.push_back(Entry::User(zx_port_packet_t { packet_type: ZX_PKT_TYPE_USER, ..user_packet(key, tag) }));
        Ok(())
    }

    /// The bytes of the outcome are the packet.
    pub(super) fn port_wait(&mut self, handle: zx_handle_t, got: &Outcome) -> Result<Vec<u8>, Status> {
        let port = self.port(handle, ZX_RIGHT_READ)?;
        let Some(Kind::Port(queue)) = self.objects.get_mut(&port).map(|object| &mut object.kind) else {
            panic!("it is a port")
        };
        let first = match queue.front().ok_or(Status::TIMED_OUT)? {
            Entry::User(_) => 0,
            Entry::Slot(_, step) => {
                let equals = queue.iter().take_while(|entry| matches!(entry, Entry::Slot(_, other) if other == step));
                let packet = |entry: &Entry| match entry {
                    Entry::User(packet) => *packet,
                    Entry::Slot(id, _) => page_request(self.slots[id].key, &self.slots[id].sent[0]),
                };
                equals.map(packet).position(|packet| packet.as_bytes() == got.bytes).unwrap_or(0)
            }
        };
        let packet = match queue.remove(first).expect("just found") {
            Entry::User(packet) => packet,
            Entry::Slot(id, _) => {
                let slot = self.slots.get_mut(&id).expect("it has a place");
                slot.placed = None;
                let message = slot.sent.pop_front().expect("its first message has the place");
                page_request(slot.key, &message)
            }
        };
        Ok(packet.as_bytes().to_vec())
    }

    /// How many packets are in the port.
    pub fn waiting_in(&self, port: ObjectId) -> usize {
        match &self.object(port).kind {
            Kind::Port(queue) => queue.len(),
            other => panic!("not a port: {other:?}"),
        }
    }

    /// A handle to a port: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED`.
    pub(super) fn port(&self, handle: zx_handle_t, needs: u32) -> Result<ObjectId, Status> {
        let found = self.handle(handle)?;
        match self.object(found.object).kind {
            Kind::Port(_) if found.rights & needs == needs => Ok(found.object),
            Kind::Port(_) => Err(Status::ACCESS_DENIED),
            Kind::Process(..) | Kind::Vmo(_) | Kind::Vmar(_) | Kind::Event | Kind::Eventpair(_) | Kind::Pager => {
                Err(Status::WRONG_TYPE)
            }
        }
    }

    /// Tells the slots what sources have to say, and gives each its place in its port.
    pub(super) fn deliver(&mut self) {
        for content in self.contents.values_mut() {
            let Some(source) = &mut content.source else { continue };
            let slot = self.slots.get_mut(&source.slot).expect("a source has one");
            for message in source.messages.drain(..) {
                slot.tell(message);
            }
        }
        for (&id, slot) in &mut self.slots {
            let Some(Kind::Port(queue)) = self.objects.get_mut(&slot.port).map(|port| &mut port.kind) else {
                // Its last handle is gone.
                slot.sent.clear();
                continue;
            };
            let first = slot.sent.front().cloned();
            if slot.placed == first {
                continue;
            }
            queue.retain(|entry| !matches!(entry, Entry::Slot(other, _) if *other == id));
            if first.is_some() {
                queue.push_back(Entry::Slot(id, self.steps));
            }
            slot.placed = first;
        }
        let used: Vec<_> = self.contents.values().filter_map(|content| Some(content.source.as_ref()?.slot)).collect();
        self.slots.retain(|id, slot| used.contains(id) || !slot.sent.is_empty());
    }

    /// Ends the slots of a pager's VMOs without a word, also of those that have gone before.
    pub(super) fn silence(&mut self, pager: ObjectId) {
        for slot in self.slots.values_mut().filter(|slot| slot.pager == pager) {
            slot.over = true;
            slot.sent.clear();
        }
    }

    /// Ends the slot of a VMO that is gone.
    pub(super) fn complete(&mut self, slot: SlotId) {
        self.slots.get_mut(&slot).expect("a source has one").tell(Message::Complete);
    }
}

/// A packet as a program makes it.
pub fn user_packet(key: u64, tag: u8) -> zx_port_packet_t {
    zx_port_packet_t { key, packet_type: u32::MAX, status: -i32::from(tag), union: [tag; 32] }
}

fn page_request(key: u64, message: &Message) -> zx_port_packet_t {
    let request = match message {
        Message::Ask(_, kind, pages) => zx_packet_page_request_t {
            command: match kind {
                Asked::Read => ZX_PAGER_VMO_READ,
                Asked::Dirty => ZX_PAGER_VMO_DIRTY,
            },
            offset: pages.start * PAGE,
            length: (pages.end - pages.start) * PAGE,
            ..Default::default()
        },
        Message::Complete => zx_packet_page_request_t { command: ZX_PAGER_VMO_COMPLETE, ..Default::default() },
        Message::Withdraw(_) | Message::Shorten(_) => panic!("it is told and not sent"),
    };
    let union = request.as_bytes().try_into().expect("32 bytes");
    zx_port_packet_t { key, packet_type: ZX_PKT_TYPE_PAGE_REQUEST, status: 0, union }
}
