//! Ports: one queue of packets each, and threads that wait for them.
//!
//! 1. The queue is by age over all kinds of packets: each gets a number as it enters, and the lowest leaves first.
//! 2. Packets in the queue and threads waiting are never there at once. A packet goes to the thread that has waited
//!    longest before the lock is let go: so it wakes one thread, which cannot miss it.
//! 3. A wait for signals is there exactly as long as the port lists it. What the object tells about one that is no more
//!    is dropped.
//! 4. Packets and waits keep no handle and no object.
//! 5. A port without handles is closed for good: it has and takes no packets, waits and slots. A thread that waits is not
//!    woken by that.
//! 6. The port's lock is taken under those of signals and VMOs, and only a waiting thread's own is taken under it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use zxvm_types::*;
use zxvm_vm::lock::{Rank, Ranked, assert_none_held};

use crate::object::{Base, Based, Object};
use crate::page_slot::Slot;
use crate::signals::{Deadline, ObserverId, Trigger, Watch};

/// Packets of programs that may wait in one port. Those of the system are not limited.
pub const MAX_USER_PACKETS: usize = 4096;

/// A port that gave a packet to a waiting thread so shortly ago is about to do so again.
const BUSY: Duration = Duration::from_micros(500);

/// How long a thread looks for a packet from such a port before it sleeps.
const LINGER: Duration = Duration::from_micros(40);

/// A queue of packets.
#[derive(Debug)]
pub struct Port {
    base: Base,
    state: Ranked<State>,
}

/// What a port is asked to wait for.
#[derive(Clone, Copy, Debug)]
pub struct AsyncWait {
    /// The key of the packet.
    pub key: u64,
    /// Any of these signals.
    pub signals: zx_signals_t,
    /// Whether one that is active now counts.
    pub trigger: Trigger,
    /// The clock that tells when, if that is asked for.
    pub clock: Option<fn() -> zx_time_t>,
}

#[derive(Debug)]
pub(crate) struct State {
    open: bool,
    next_number: u64,
    queue: BTreeMap<u64, Entry>,
    /// The packets that can be cancelled: key, handle they came by (if of signals), number.
    cancellable: BTreeSet<(u64, zx_handle_t, u64)>,
    user_packets: usize,
    waits: BTreeMap<(u64, zx_handle_t, ObserverId), Arc<Wait>>,
    /// Who has waited longest comes first.
    threads: VecDeque<Arc<Thread>>,
    pub(crate) slots: BTreeMap<u64, Slot>,
    /// When a thread that waited was given a packet last.
    given: Option<Instant>,
}

/// A place in the queue.
#[derive(Debug)]
enum Entry {
    User(zx_port_packet_t),
    Signal {
        packet: zx_port_packet_t,
        handle: zx_handle_t,
    },
    /// The first request of this slot.
    Page(u64),
}

/// A wait for signals.
#[derive(Debug)]
struct Wait {
    id: ObserverId,
    port: Weak<Port>,
    source: Weak<dyn Based>,
    handle: zx_handle_t,
    ask: AsyncWait,
}

/// A thread that waits for a packet.
#[derive(Debug, Default)]
struct Thread {
    packet: Mutex<Option<zx_port_packet_t>>,
    given: Condvar,
}

impl Port {
    /// An empty one, to which nobody has handles yet.
    pub fn new(koid: zx_koid_t) -> Self {
        let state = State {
            open: true,
            next_number: 0,
            queue: BTreeMap::new(),
            cancellable: BTreeSet::new(),
            user_packets: 0,
            waits: BTreeMap::new(),
            threads: VecDeque::new(),
            slots: BTreeMap::new(),
            given: None,
        };
        Self { base: Base::new(koid, 0), state: Ranked::new(Rank::Ports, state) }
    }

    /// Queues a packet of a program. Its type is made to say so.
    ///
    /// # Errors
    /// `SHOULD_WAIT`: [`MAX_USER_PACKETS`] wait already. `BAD_HANDLE`: the last handle is gone.
    pub fn queue(&self, packet: zx_port_packet_t) -> Result<(), Status> {
        let packet = zx_port_packet_t { packet_type: ZX_PKT_TYPE_USER, ..packet };
        let mut state = self.state.lock();
        if !state.open {
            return Err(Status::BAD_HANDLE);
        }
        if state.user_packets == MAX_USER_PACKETS {
            return Err(Status::SHOULD_WAIT);
        }
        state.push(Entry::User(packet));
        state.hand_out();
        Ok(())
    }

    /// The oldest packet; waits for one until the deadline. Blocks without holding a lock.
    pub fn wait(&self, deadline: Deadline) -> Option<zx_port_packet_t> {
        assert_none_held();
        let thread = {
            let mut state = self.state.lock();
            if let Some(packet) = state.take() {
                return Some(packet);
            }
            if deadline.has_passed() {
                return None;
            }
            let thread = Arc::new(Thread::default());
            state.threads.push_back(thread.clone());
            if state.given.is_some_and(|given| given.elapsed() < BUSY) {
                drop(state);
                thread.linger();
            }
            thread
        };
        let packet = deadline.sleep(&thread.given, thread.lock(), Option::is_some).take();
        if packet.is_some() {
            return packet;
        }
        self.state.lock().threads.retain(|other| !Arc::ptr_eq(other, &thread));
        // From here on it is given none; it may have been given one since it woke.
        thread.lock().take()
    }

    /// Queues a packet once `source`, to which `handle` is, has one of the signals. Whoever calls this makes sure
    /// afterwards that the handle is still there.
    ///
    /// # Errors
    /// `BAD_HANDLE`: the port's last handle is gone.
    pub fn wait_async(self: &Arc<Self>, source: &Object, handle: zx_handle_t, ask: AsyncWait) -> Result<(), Status> {
        let id = ObserverId::next();
        let wait = Wait { id, port: Arc::downgrade(self), source: source.downgrade(), handle, ask };
        let watched = source.base().signals().watch(id, ask.signals, handle, ask.trigger, &Arc::new(wait));
        if watched { Ok(()) } else { Err(Status::BAD_HANDLE) }
    }

    /// Takes back the waits made through `handle` with this key, and their packets. Whether there were any.
    pub fn cancel(&self, handle: zx_handle_t, key: u64) -> bool {
        self.cancel_all(handle..=handle, key)
    }

    /// Takes back the waits with this key, and all packets with it but requests of pages. Whether there were any.
    pub fn cancel_key(&self, key: u64) -> bool {
        self.cancel_all(zx_handle_t::MIN..=zx_handle_t::MAX, key)
    }

    fn cancel_all(&self, handles: RangeInclusive<zx_handle_t>, key: u64) -> bool {
        let (waits, packets) = self.state.lock().cancel(handles, key);
        for wait in &waits {
            wait.forget();
        }
        packets > 0 || !waits.is_empty()
    }

    /// The last handle is gone.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.open = false;
        state.queue.clear();
        state.cancellable.clear();
        state.user_packets = 0;
        state.slots.clear();
        let waits = core::mem::take(&mut state.waits);
        drop(state);
        for wait in waits.values() {
            wait.forget();
        }
    }

    /// Acts on the state of an open port.
    pub(crate) fn if_open<T>(&self, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = self.state.lock();
        state.open.then(|| act(&mut state))
    }

    /// How many threads wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().threads.len()
    }

    /// Asserts what the top of this file says. For tests.
    ///
    /// # Panics
    /// If it does not hold.
    pub fn audit(&self) {
        let state = self.state.lock();
        assert!(state.queue.is_empty() || state.threads.is_empty(), "threads wait beside packets");
        let mut cancellable = BTreeSet::new();
        let mut in_slots = BTreeMap::new();
        let mut user_packets = 0;
        for (&number, entry) in &state.queue {
            assert!(number < state.next_number);
            match entry {
                Entry::User(packet) => {
                    user_packets += 1;
                    cancellable.insert((packet.key, ZX_HANDLE_INVALID, number));
                }
                Entry::Signal { packet, handle } => {
                    cancellable.insert((packet.key, *handle, number));
                }
                Entry::Page(slot) => assert_eq!(in_slots.insert(*slot, number), None, "a slot has one place"),
            }
        }
        assert_eq!(state.cancellable, cancellable);
        assert_eq!(state.user_packets, user_packets);
        assert!(user_packets <= MAX_USER_PACKETS);
        for (id, slot) in &state.slots {
            slot.audit(in_slots.remove(id));
        }
        assert!(in_slots.is_empty(), "a place of no slot");
        let empty = state.queue.is_empty() && state.waits.is_empty() && state.slots.is_empty();
        assert!(state.open || empty, "a closed port has something");
    }
}

impl Based for Port {
    fn base(&self) -> &Base {
        &self.base
    }
}

impl State {
    /// A number that nothing here had before.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Puts an entry at the end of the queue.
    fn push(&mut self, entry: Entry) -> u64 {
        let number = self.number();
        match &entry {
            Entry::User(packet) => {
                self.user_packets += 1;
                self.cancellable.insert((packet.key, ZX_HANDLE_INVALID, number));
            }
            Entry::Signal { packet, handle } => {
                self.cancellable.insert((packet.key, *handle, number));
            }
            Entry::Page(_) => {}
        }
        self.queue.insert(number, entry);
        number
    }

    /// Takes the oldest packet out.
    fn take(&mut self) -> Option<zx_port_packet_t> {
        let (number, entry) = self.queue.pop_first()?;
        Some(match entry {
            Entry::User(packet) => {
                self.user_packets -= 1;
                self.cancellable.remove(&(packet.key, ZX_HANDLE_INVALID, number));
                packet
            }
            Entry::Signal { packet, handle } => {
                self.cancellable.remove(&(packet.key, handle, number));
                packet
            }
            Entry::Page(id) => {
                let packet = self.slots.get_mut(&id).expect("a place in the queue has its slot").take();
                self.place_slot(id);
                packet
            }
        })
    }

    /// Gives packets to threads until there are no more of the ones or the others.
    fn hand_out(&mut self) {
        while !self.queue.is_empty()
            && let Some(thread) = self.threads.pop_front()
        {
            *thread.lock() = self.take();
            thread.given.notify_one();
            self.given = Some(Instant::now());
        }
    }

    fn cancel(&mut self, handles: RangeInclusive<zx_handle_t>, key: u64) -> (Vec<Arc<Wait>>, usize) {
        let (low, high) = (*handles.start(), *handles.end());
        let waits = self.waits.range((key, low, ObserverId::MIN)..=(key, high, ObserverId::MAX));
        let waits: Vec<_> = waits.map(|(_, wait)| wait.clone()).collect();
        for wait in &waits {
            self.waits.remove(&wait.place());
        }
        let packets: Vec<_> = self.cancellable.range((key, low, u64::MIN)..=(key, high, u64::MAX)).copied().collect();
        for packet in &packets {
            self.cancellable.remove(packet);
            if let Some(Entry::User(_)) = self.queue.remove(&packet.2) {
                self.user_packets -= 1;
            }
        }
        (waits, packets.len())
    }

    /// Changes a slot, and its place in the queue with it.
    pub(crate) fn change_slot(&mut self, id: u64, change: impl FnOnce(&mut Slot)) {
        // No slot: the port was closed when it was made.
        let Some(slot) = self.slots.get_mut(&id) else { return };
        change(slot);
        self.place_slot(id);
        self.hand_out();
    }

    /// Makes the queue hold the first request of a slot, at the end if it was not there. A slot that nobody needs goes.
    fn place_slot(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if let Some(stale) = slot.take_stale_place() {
            self.queue.remove(&stale);
        }
        if slot.needs_place() {
            let number = self.push(Entry::Page(id));
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.set_place(number);
            }
        } else if slot.is_useless() {
            self.slots.remove(&id);
        }
    }
}

impl Wait {
    fn place(&self) -> (u64, zx_handle_t, ObserverId) {
        (self.ask.key, self.handle, self.id)
    }

    /// Takes it out of the object's list; the port lists it no more.
    fn forget(&self) {
        if let Some(source) = self.source.upgrade() {
            source.base().signals().forget(self.id);
        }
    }
}

impl Watch for Wait {
    fn begin(self: Arc<Self>) -> bool {
        let Some(port) = self.port.upgrade() else { return false };
        port.if_open(|state| state.waits.insert(self.place(), self.clone())).is_some()
    }

    fn satisfied(&self, active: zx_signals_t) {
        let Some(port) = self.port.upgrade() else { return };
        let timestamp = self.ask.clock.map_or(0, |now| now());
        let signal = zx_packet_signal_t {
            trigger: self.ask.signals,
            observed: active,
            count: 1,
            timestamp,
            ..Default::default()
        };
        let packet = zx_port_packet_t {
            key: self.ask.key,
            packet_type: ZX_PKT_TYPE_SIGNAL_ONE,
            status: ZX_OK,
            union: zerocopy::transmute!(signal),
        };
        port.if_open(|state| {
            if state.waits.remove(&self.place()).is_some() {
                state.push(Entry::Signal { packet, handle: self.handle });
                state.hand_out();
            }
        });
    }

    fn canceled(&self) {
        if let Some(port) = self.port.upgrade() {
            port.if_open(|state| state.waits.remove(&self.place()));
        }
    }
}

impl Thread {
    /// Looks for its packet for a while before it sleeps: to be woken takes longer.
    fn linger(&self) {
        let since = Instant::now();
        while self.lock().is_none() && since.elapsed() < LINGER {
            std::thread::yield_now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<zx_port_packet_t>> {
        self.packet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Event;
    use std::thread;
    use std::time::{Duration, Instant};

    const A: zx_signals_t = ZX_USER_SIGNAL_0;
    const B: zx_signals_t = ZX_USER_SIGNAL_1;
    /// Handles of the tests' own.
    const H: zx_handle_t = 3;
    const OTHER: zx_handle_t = 7;

    fn user(key: u64, tag: u8) -> zx_port_packet_t {
        zx_port_packet_t { key, packet_type: 77, status: -5, union: [tag; 32] }
    }

    fn poll(port: &Port) -> Option<zx_port_packet_t> {
        port.audit();
        let packet = port.wait(Deadline::At(Instant::now()));
        port.audit();
        packet
    }

    fn keys(port: &Port) -> Vec<u64> {
        core::iter::from_fn(|| poll(port)).map(|packet| packet.key).collect()
    }

    fn event() -> Object {
        Object::Event(Arc::new(Event::new(1024)))
    }

    fn level(key: u64, signals: zx_signals_t) -> AsyncWait {
        AsyncWait { key, signals, trigger: Trigger::Level, clock: None }
    }

    fn signal_of(packet: zx_port_packet_t) -> zx_packet_signal_t {
        assert_eq!((packet.packet_type, packet.status), (ZX_PKT_TYPE_SIGNAL_ONE, ZX_OK));
        zerocopy::transmute!(packet.union)
    }

    fn until_waiting(port: &Port, count: usize) {
        while port.waiting() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn packets_leave_in_the_order_of_their_coming_and_as_they_came() {
        let port = Port::new(1);
        for tag in 0..3 {
            port.queue(user(9, tag)).unwrap();
        }
        for tag in 0..3 {
            assert_eq!(poll(&port), Some(zx_port_packet_t { packet_type: ZX_PKT_TYPE_USER, ..user(9, tag) }));
        }
        assert_eq!(poll(&port), None);
    }

    #[test]
    fn programs_packets_are_limited_and_signals_are_not() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        for _ in 0..MAX_USER_PACKETS {
            port.queue(user(1, 0)).unwrap();
        }
        assert_eq!(port.queue(user(1, 0)), Err(Status::SHOULD_WAIT));
        event.base().signals().update(0, A);
        for _ in 0..MAX_USER_PACKETS {
            port.wait_async(&event, H, level(2, A)).unwrap();
        }
        assert_eq!(port.queue(user(1, 0)), Err(Status::SHOULD_WAIT));
        assert_eq!(poll(&port).map(|packet| packet.key), Some(1));
        port.queue(user(3, 0)).unwrap();
        assert_eq!(port.queue(user(1, 0)), Err(Status::SHOULD_WAIT));
        assert!(port.cancel_key(1));
        port.queue(user(4, 0)).unwrap();
        let keys = keys(&port);
        assert_eq!(keys.len(), MAX_USER_PACKETS + 2);
        assert_eq!((keys[0], &keys[keys.len() - 2..]), (2, &[3, 4][..]));
    }

    #[test]
    fn a_packet_of_signals_tells_what_was_active_then() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        port.wait_async(&event, H, AsyncWait { clock: Some(|| 42), ..level(5, A | B) }).unwrap();
        assert_eq!(poll(&port), None);
        event.base().signals().update(0, ZX_USER_SIGNAL_7);
        assert_eq!(poll(&port), None);
        event.base().signals().update(0, B);
        event.base().signals().update(B, A);
        let packet = poll(&port).unwrap();
        let expected = zx_packet_signal_t {
            trigger: A | B,
            observed: B | ZX_USER_SIGNAL_7,
            count: 1,
            timestamp: 42,
            ..Default::default()
        };
        assert_eq!((packet.key, signal_of(packet)), (5, expected));
        // It was one wait: the second change is nobody's.
        assert_eq!(poll(&port), None);
    }

    #[test]
    fn a_level_counts_at_once_and_an_edge_after_a_change() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        let signals = event.base().signals();
        signals.update(0, A);
        port.wait_async(&event, H, level(1, A)).unwrap();
        for key in [2, 3] {
            port.wait_async(&event, H, AsyncWait { trigger: Trigger::Edge, ..level(key, A) }).unwrap();
        }
        assert_eq!(signal_of(poll(&port).unwrap()).timestamp, 0);
        // No change, and a change that leaves none of its signals active.
        signals.update(0, A);
        signals.update(A, 0);
        assert_eq!(poll(&port), None);
        signals.update(0, A);
        assert_eq!(keys(&port), [2, 3]);
        // As in Zircon's kernel, a change of another signal counts while one of its own is active.
        port.wait_async(&event, H, AsyncWait { trigger: Trigger::Edge, ..level(4, A) }).unwrap();
        signals.update(0, B);
        assert_eq!(signal_of(poll(&port).unwrap()).observed, A | B);
    }

    #[test]
    fn waits_are_the_handles() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        for (handle, key) in [(H, 1), (OTHER, 1), (H, 2), (H, 1)] {
            port.wait_async(&event, handle, level(key, A)).unwrap();
        }
        assert!(port.cancel(H, 1));
        assert!(!port.cancel(H, 1));
        event.base().signals().update(0, A);
        // Packets as well, but not those of others.
        port.queue(user(1, 0)).unwrap();
        assert!(port.cancel(OTHER, 1));
        assert!(!port.cancel(OTHER, 2));
        assert_eq!(keys(&port), [2, 1]);

        event.base().signals().update(A, 0);
        port.wait_async(&event, H, level(3, A)).unwrap();
        port.wait_async(&event, H, level(4, B)).unwrap();
        event.base().signals().update(0, A);
        event.base().signals().cancel(H);
        event.base().signals().update(0, B);
        assert_eq!(keys(&port), [3], "what is queued stays, what waits goes");
        assert!(port.state.lock().waits.is_empty());
    }

    #[test]
    fn a_wait_is_over_once_the_port_does_not_list_it() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        port.wait_async(&event, H, level(1, A)).unwrap();
        let wait = port.state.lock().waits.values().next().unwrap().clone();
        // Half of a cancellation: the object still has it, and tells it.
        let (waits, packets) = port.state.lock().cancel(H..=H, 1);
        assert_eq!((waits.len(), packets), (1, 0));
        event.base().signals().update(0, A);
        assert_eq!(poll(&port), None);
        drop((waits, wait));

        event.base().signals().update(A, 0);
        port.wait_async(&event, H, level(2, A)).unwrap();
        let wait = Arc::downgrade(port.state.lock().waits.values().next().unwrap());
        assert!(port.cancel_key(2));
        assert!(wait.upgrade().is_none(), "the event still has the wait");
    }

    #[test]
    fn a_key_takes_everything_with_it() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        event.base().signals().update(0, B);
        for key in [1, 2] {
            port.queue(user(key, 0)).unwrap();
            port.wait_async(&event, H, level(key, A)).unwrap();
            port.wait_async(&event, OTHER, level(key, B)).unwrap();
        }
        assert!(port.cancel_key(1));
        assert!(!port.cancel_key(1));
        event.base().signals().update(0, A);
        assert_eq!(keys(&port), [2, 2, 2]);
        port.wait_async(&event, H, AsyncWait { trigger: Trigger::Edge, ..level(9, A) }).unwrap();
        assert!(port.cancel_key(9), "a wait alone is something");
    }

    #[test]
    fn a_closed_port_has_and_takes_nothing() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        port.queue(user(1, 0)).unwrap();
        port.wait_async(&event, H, level(1, A)).unwrap();
        let weak = Arc::downgrade(port.state.lock().waits.values().next().unwrap());
        port.close();
        assert!(weak.upgrade().is_none(), "the event still has the wait");
        assert_eq!(port.queue(user(1, 0)), Err(Status::BAD_HANDLE));
        assert_eq!(port.wait_async(&event, H, level(1, A)), Err(Status::BAD_HANDLE));
        event.base().signals().update(0, A);
        assert_eq!(port.wait_async(&event, H, level(1, A)), Err(Status::BAD_HANDLE));
        assert_eq!(poll(&port), None);
    }

    #[test]
    fn waits_outlive_neither_the_port_nor_the_object() {
        let (port, event) = (Arc::new(Port::new(1)), event());
        port.wait_async(&event, H, level(1, A)).unwrap();
        drop(event);
        assert!(port.cancel_key(1));
        let event = self::event();
        port.wait_async(&event, H, level(1, A)).unwrap();
        drop(port);
        event.base().signals().update(0, A);
    }

    #[test]
    fn one_packet_wakes_the_thread_that_waited_longest() {
        let port = Port::new(1);
        thread::scope(|scope| {
            let first = scope.spawn(|| port.wait(Deadline::Never));
            until_waiting(&port, 1);
            let second = scope.spawn(|| port.wait(Deadline::Never));
            until_waiting(&port, 2);
            port.queue(user(1, 0)).unwrap();
            assert_eq!(port.waiting(), 1);
            assert_eq!(first.join().unwrap().map(|packet| packet.key), Some(1));
            port.audit();
            port.queue(user(2, 0)).unwrap();
            assert_eq!(second.join().unwrap().map(|packet| packet.key), Some(2));
        });
        assert_eq!(poll(&port), None);
    }

    #[test]
    fn a_deadline_ends_a_wait_and_closing_does_not() {
        let port = Port::new(1);
        let deadline = Instant::now() + Duration::from_millis(60);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| port.wait(Deadline::At(deadline)));
            until_waiting(&port, 1);
            port.close();
            assert_eq!(waiter.join().unwrap(), None);
        });
        assert!(Instant::now() >= deadline);
        assert_eq!(port.waiting(), 0);
    }

    #[test]
    fn no_packet_is_lost_between_a_deadline_and_a_packet() {
        let port = Port::new(1);
        let got = thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut got = 0;
                        let soon = || Deadline::At(Instant::now() + Duration::from_micros(30));
                        while port.wait(soon()).is_none_or(|packet| {
                            got += 1;
                            packet.key != 1
                        }) {}
                        got
                    })
                })
                .collect();
            for _ in 0..20_000 {
                while port.queue(user(0, 0)) == Err(Status::SHOULD_WAIT) {
                    thread::yield_now();
                }
            }
            for _ in &waiters {
                while port.queue(user(1, 0)) == Err(Status::SHOULD_WAIT) {
                    thread::yield_now();
                }
            }
            waiters.into_iter().map(|waiter| waiter.join().unwrap()).sum::<usize>()
        });
        assert_eq!(got, 20_000 + 4);
        port.audit();
    }
}
