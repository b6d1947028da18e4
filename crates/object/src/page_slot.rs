//! The one place in a port that a pager VMO has.
//!
//! 1. A slot has its requests in order. The first of them, and no other, is in the port's queue.
//! 2. After COMPLETE, or once silent, it takes none.
//! 3. What is in it is delivered even when the VMO is gone. It is not counted against the port's limit.
//!
//! All of it is behind the port's lock.

use std::collections::VecDeque;
use std::sync::Arc;

use zxvm_host::VmoRange;
use zxvm_types::*;
use zxvm_vm::{RequestKind, RequestPort};

use crate::port::Port;

/// A pager VMO's place in its port. Keeps the port, but not open.
#[derive(Debug)]
pub struct PageSlot {
    port: Arc<Port>,
    /// In the port.
    id: u64,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Pages { id: u64, kind: RequestKind, range: VmoRange },
    Complete,
}

/// What a port knows of a [`PageSlot`].
#[derive(Debug)]
pub(crate) struct Slot {
    key: u64,
    requests: VecDeque<Request>,
    /// The request in the port's queue, and its number there.
    placed: Option<(Request, u64)>,
    /// Nothing more comes.
    ended: bool,
    /// There is a [`PageSlot`].
    used: bool,
}

impl PageSlot {
    /// A place in `port` for a VMO with this key.
    pub fn new(port: &Arc<Port>, key: u64) -> Arc<Self> {
        let slot = Slot { key, requests: VecDeque::new(), placed: None, ended: false, used: true };
        let id = port.if_open(|state| {
            let id = state.number();
            state.slots.insert(id, slot);
            id
        });
        // A closed port has no slots, so any number finds none.
        Arc::new(Self { port: port.clone(), id: id.unwrap_or(u64::MAX) })
    }

    fn change(&self, change: impl FnOnce(&mut Slot)) {
        self.port.if_open(|state| state.change_slot(self.id, change));
    }
}

impl RequestPort for PageSlot {
    fn request(&self, id: u64, kind: RequestKind, range: VmoRange) {
        self.change(|slot| {
            if !slot.ended {
                slot.requests.push_back(Request::Pages { id, kind, range });
            }
        });
    }

    fn withdraw(&self, id: u64) {
        self.change(|slot| {
            let is_it = |request: &Request| matches!(request, Request::Pages { id: other, .. } if *other == id);
            if let Some(at) = slot.requests.iter().position(is_it) {
                slot.requests.remove(at);
            }
        });
    }

    fn shorten(&self, end: u64) {
        self.change(|slot| {
            let placed = slot.placed.iter_mut().map(|(request, _)| request);
            slot.requests.iter_mut().chain(placed).for_each(|request| request.shorten(end));
        });
    }

    fn complete(&self) {
        self.change(|slot| {
            if !slot.ended {
                slot.end();
                slot.requests.push_back(Request::Complete);
            }
        });
    }

    fn silence(&self) {
        self.change(Slot::end);
    }

    fn is_empty(&self) -> bool {
        let mut empty = true;
        self.change(|slot| empty = slot.requests.is_empty());
        empty
    }
}

impl Request {
    fn shorten(&mut self, end: u64) {
        match self {
            // What lies beyond it as a whole is withdrawn by whoever asked.
            Self::Pages { range, .. } if range.start() < end && end < range.end() => {
                *range = VmoRange::from_bounds(range.start(), end);
            }
            Self::Pages { .. } | Self::Complete => {}
        }
    }
}

impl Drop for PageSlot {
    fn drop(&mut self) {
        self.change(|slot| slot.used = false);
    }
}

impl Slot {
    fn end(&mut self) {
        self.ended = true;
        self.requests.clear();
    }

    /// Takes the first request out. Its place in the queue is gone already.
    pub(crate) fn take(&mut self) -> zx_port_packet_t {
        self.placed = None;
        let (command, offset, length) = match self.requests.pop_front().expect("only a request has a place") {
            Request::Pages { kind: RequestKind::Read, range, .. } => (ZX_PAGER_VMO_READ, range.start(), range.len()),
            Request::Pages { kind: RequestKind::Dirty, range, .. } => (ZX_PAGER_VMO_DIRTY, range.start(), range.len()),
            Request::Complete => (ZX_PAGER_VMO_COMPLETE, 0, 0),
        };
        let request = zx_packet_page_request_t { command, offset, length, ..Default::default() };
        zx_port_packet_t {
            key: self.key,
            packet_type: ZX_PKT_TYPE_PAGE_REQUEST,
            status: ZX_OK,
            union: zerocopy::transmute!(request),
        }
    }

    /// Gives up its place in the queue if that is not for the first request any more.
    pub(crate) fn take_stale_place(&mut self) -> Option<u64> {
        self.placed.take_if(|(request, _)| self.requests.front() != Some(request)).map(|(_, number)| number)
    }

    pub(crate) fn needs_place(&self) -> bool {
        self.placed.is_none() && !self.requests.is_empty()
    }

    pub(crate) fn set_place(&mut self, number: u64) {
        self.placed = self.requests.front().map(|request| (*request, number));
    }

    pub(crate) fn is_useless(&self) -> bool {
        !self.used && self.requests.is_empty()
    }

    /// Asserts that it agrees with its place in the queue.
    pub(crate) fn audit(&self, place: Option<u64>) {
        assert_eq!(self.placed.map(|(_, number)| number), place);
        assert_eq!(self.placed.map(|(request, _)| request), self.requests.front().copied());
        assert!(!self.is_useless());
        assert!(!self.ended || self.requests.iter().all(|request| *request == Request::Complete));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::MAX_USER_PACKETS;
    use crate::signals::Deadline;
    use std::thread;
    use std::time::Instant;
    use zxvm_host::PAGE_SIZE;
    use zxvm_vm::lock::{Rank, Ranked};

    const KEY: u64 = 0xfeed;
    const USER: u64 = 1;

    fn slot() -> (Arc<Port>, Arc<PageSlot>) {
        let port = Arc::new(Port::new(1024));
        let slot = PageSlot::new(&port, KEY);
        (port, slot)
    }

    fn pages(first: u64) -> VmoRange {
        VmoRange::from_bounds(first * PAGE_SIZE, (first + 2) * PAGE_SIZE)
    }

    /// Asks for two pages from `id` on.
    fn ask(slot: &PageSlot, id: u64) {
        slot.request(id, RequestKind::Read, pages(id));
        slot.port.audit();
    }

    fn poll(port: &Port) -> Option<zx_port_packet_t> {
        port.audit();
        let packet = port.wait(Deadline::At(Instant::now()));
        port.audit();
        packet
    }

    /// All that comes: the first page of requests, `None` for COMPLETE and USER for a program's packet.
    fn drain(port: &Port) -> Vec<Option<u64>> {
        let mut all = Vec::new();
        while let Some(packet) = poll(port) {
            if packet.packet_type == ZX_PKT_TYPE_USER {
                all.push(Some(packet.key));
                continue;
            }
            let request: zx_packet_page_request_t = zerocopy::transmute!(packet.union);
            all.push(match request.command {
                ZX_PAGER_VMO_COMPLETE => None,
                _ => Some(request.offset / PAGE_SIZE),
            });
        }
        all
    }

    fn queue_user(port: &Port) {
        port.queue(zx_port_packet_t { key: USER, ..Default::default() }).unwrap();
    }

    #[test]
    fn packets_say_what_is_asked() {
        let (port, slot) = slot();
        slot.request(7, RequestKind::Read, pages(3));
        slot.request(8, RequestKind::Dirty, pages(5));
        slot.complete();
        let expect = |command, offset, length| {
            let request = zx_packet_page_request_t { command, offset, length, ..Default::default() };
            zx_port_packet_t {
                key: KEY,
                packet_type: ZX_PKT_TYPE_PAGE_REQUEST,
                status: ZX_OK,
                union: zerocopy::transmute!(request),
            }
        };
        assert_eq!(poll(&port), Some(expect(ZX_PAGER_VMO_COMPLETE, 0, 0)));
        let slot = PageSlot::new(&port, KEY);
        slot.request(7, RequestKind::Read, pages(3));
        slot.request(8, RequestKind::Dirty, pages(5));
        assert_eq!(poll(&port), Some(expect(ZX_PAGER_VMO_READ, 3 * PAGE_SIZE, 2 * PAGE_SIZE)));
        assert_eq!(poll(&port), Some(expect(ZX_PAGER_VMO_DIRTY, 5 * PAGE_SIZE, 2 * PAGE_SIZE)));
    }

    #[test]
    fn the_second_request_enters_when_the_first_leaves() {
        let (port, slot) = slot();
        let other = PageSlot::new(&port, KEY);
        for id in [10, 11, 12] {
            ask(&slot, id);
        }
        queue_user(&port);
        ask(&other, 20);
        assert_eq!(drain(&port), [10, USER, 20, 11, 12].map(Some));
    }

    #[test]
    fn a_withdrawn_request_makes_room_for_the_next() {
        let (port, slot) = slot();
        for id in [10, 11, 12, 13] {
            ask(&slot, id);
        }
        queue_user(&port);
        slot.withdraw(12);
        slot.withdraw(10);
        slot.withdraw(10);
        slot.withdraw(99);
        // The next one enters behind what came meanwhile.
        assert_eq!(drain(&port), [USER, 11, 13].map(Some));
        ask(&slot, 14);
        slot.withdraw(14);
        assert_eq!(drain(&port), []);
        // What was delivered is the pager's to answer.
        ask(&slot, 15);
        assert_eq!(drain(&port), [Some(15)]);
        slot.withdraw(15);
        ask(&slot, 15);
        assert_eq!(drain(&port), [Some(15)]);
    }

    #[test]
    fn what_is_cut_off_is_not_asked_for() {
        let (port, slot) = slot();
        ask(&slot, 10);
        ask(&slot, 20);
        queue_user(&port);
        slot.shorten(21 * PAGE_SIZE);
        port.audit();
        slot.shorten(11 * PAGE_SIZE);
        slot.withdraw(20);
        let request: zx_packet_page_request_t = zerocopy::transmute!(poll(&port).unwrap().union);
        assert_eq!((request.offset, request.length), (10 * PAGE_SIZE, PAGE_SIZE), "it keeps its place");
        assert!(slot.is_empty());
        assert_eq!(drain(&port), [Some(USER)]);
    }

    #[test]
    fn complete_is_the_last_and_comes_once() {
        let (port, slot) = slot();
        ask(&slot, 10);
        ask(&slot, 11);
        queue_user(&port);
        slot.complete();
        slot.complete();
        ask(&slot, 12);
        slot.withdraw(12);
        assert_eq!(drain(&port), [Some(USER), None]);
        slot.complete();
        ask(&slot, 13);
        assert_eq!(drain(&port), []);
    }

    #[test]
    fn silence_takes_everything_back() {
        let (port, slot) = slot();
        let other = PageSlot::new(&port, KEY);
        ask(&slot, 10);
        ask(&other, 20);
        slot.silence();
        ask(&slot, 11);
        slot.complete();
        assert_eq!(drain(&port), [Some(20)]);
        other.complete();
        other.silence();
        assert_eq!(drain(&port), []);
    }

    #[test]
    fn what_was_sent_outlives_the_slot_and_then_all_is_gone() {
        let (port, slot) = slot();
        ask(&slot, 10);
        ask(&slot, 11);
        drop(slot);
        assert_eq!(drain(&port), [10, 11].map(Some));
        let slot = PageSlot::new(&port, KEY);
        slot.complete();
        drop(slot);
        assert_eq!(drain(&port), [None]);
        drop(PageSlot::new(&port, KEY));
        assert_eq!(port.if_open(|state| state.slots.len()), Some(0));
    }

    #[test]
    fn keys_and_limits_are_for_others() {
        let (port, slot) = slot();
        for _ in 0..MAX_USER_PACKETS {
            queue_user(&port);
        }
        ask(&slot, 10);
        assert!(!port.cancel_key(KEY));
        assert!(port.cancel_key(USER));
        assert!(!port.cancel(ZX_HANDLE_INVALID, KEY));
        assert_eq!(drain(&port), [Some(10)]);
    }

    #[test]
    fn requests_to_a_closed_port_go_nowhere() {
        let (port, slot) = slot();
        ask(&slot, 10);
        port.close();
        ask(&slot, 11);
        slot.withdraw(10);
        slot.complete();
        let late = PageSlot::new(&port, KEY);
        ask(&late, 20);
        late.silence();
        assert_eq!(drain(&port), []);
        drop((slot, late));
        port.audit();
    }

    /// As the engine uses it: under the lock of a family of VMOs, which the last of it may go under, too.
    #[test]
    fn requests_come_under_the_lock_of_vmos() {
        let (port, slot) = slot();
        let vmo = Ranked::new(Rank::Vmo, Some(slot));
        let mut locked = vmo.lock();
        let slot = locked.as_ref().unwrap();
        slot.request(10, RequestKind::Read, pages(10));
        slot.withdraw(10);
        slot.complete();
        *locked = None;
        drop(locked);
        assert_eq!(drain(&port), [None]);
    }

    #[test]
    fn a_waiting_thread_takes_each_as_it_comes() {
        let (port, slot) = slot();
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| port.wait(Deadline::Never))).collect();
            while port.waiting() < waiters.len() {
                thread::yield_now();
            }
            ask(&slot, 10);
            ask(&slot, 11);
            // Both are out already, so this takes neither back.
            slot.complete();
            let commands = waiters.into_iter().map(|waiter| {
                let request: zx_packet_page_request_t = zerocopy::transmute!(waiter.join().unwrap().unwrap().union);
                (request.command, request.offset / PAGE_SIZE)
            });
            let mut commands: Vec<_> = commands.collect();
            commands.sort_unstable();
            assert_eq!(commands, [(ZX_PAGER_VMO_READ, 10), (ZX_PAGER_VMO_READ, 11), (ZX_PAGER_VMO_COMPLETE, 0)]);
        });
        assert_eq!(drain(&port), []);
    }
}
