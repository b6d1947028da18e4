//! Ports: packets of programs, packets of signals, and threads that wait for them.

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use zx::prelude::*;
use zx::{
    BootInstant, Event, EventPair, MonotonicDuration, MonotonicInstant, NullableHandle, ObjectType, Packet,
    PacketContents, Port, PortOptions, Rights, SignalPacket, Signals, Status, UserPacket, Vmo, WaitAsyncOpts,
};
use zxvm as zx;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::UserRef;

use common::StopOnDrop;

const PAST: MonotonicInstant = MonotonicInstant::INFINITE_PAST;
const NEVER: MonotonicInstant = MonotonicInstant::INFINITE;
const ONCE: WaitAsyncOpts = WaitAsyncOpts::empty();
/// Packets of programs that may wait in one port.
const LIMIT: usize = 4096;

fn user(key: u64) -> Packet {
    Packet::from_user_packet(key, 0, UserPacket::default())
}

fn set(object: &impl AsHandleRef, signals: Signals) {
    object.signal_handle(Signals::NONE, signals).unwrap();
}

fn clear(object: &impl AsHandleRef, signals: Signals) {
    object.signal_handle(signals, Signals::NONE).unwrap();
}

/// The keys of all that is in the port.
fn keys(port: &Port) -> Vec<u64> {
    let mut keys = Vec::new();
    loop {
        match port.wait(PAST) {
            Ok(packet) => keys.push(packet.key()),
            Err(status) => {
                assert_eq!(status, Status::TIMED_OUT);
                return keys;
            }
        }
    }
}

/// The oldest packet, which is of signals.
#[track_caller]
fn signal(port: &Port) -> SignalPacket {
    match port.wait(PAST).unwrap().contents() {
        PacketContents::SignalOne(signal) => signal,
        other => panic!("{other:?}"),
    }
}

fn cancel(port: &impl AsHandleRef, source: &impl AsHandleRef, key: u64) -> Result<(), Status> {
    Kernel::current()?.port_cancel(port.raw_handle(), source.raw_handle(), key)
}

fn without<T: HandleBased>(object: &T, rights: Rights) -> T {
    object.duplicate_handle(object.basic_info().unwrap().rights - rights).unwrap()
}

fn no_port() -> Port {
    NullableHandle::invalid().into()
}

fn wrong_port() -> Port {
    Event::create().into_handle().into()
}

/// Two handles to one event.
fn two_handles() -> (Event, Event) {
    let event = Event::create();
    let other = event.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    (event, other)
}

#[test]
fn a_port_is_what_it_is() {
    let kernel = Kernel::current().unwrap();
    let mut raw = 0;
    for options in [2, 3, u32::MAX] {
        assert_eq!(kernel.port_create(options, &mut raw), Err(Status::INVALID_ARGS));
    }
    let port = Port::create_with_opts(PortOptions::BIND_TO_INTERRUPT);
    let info = port.basic_info().unwrap();
    let rights = Rights::DUPLICATE | Rights::TRANSFER | Rights::INSPECT | Rights::READ | Rights::WRITE;
    assert_eq!((info.object_type, info.rights, info.related_koid.raw_koid()), (ObjectType::PORT, rights, 0));
    assert_eq!(port.count_info().unwrap().handle_count, 1);
    // Nobody waits for a port's signals: its handles never have the right, nor those to signal or name it.
    assert_eq!(port.wait_one(Signals::USER_0, PAST), zx::WaitResult::Err(Status::ACCESS_DENIED));
    assert_eq!(port.wait_async(&port, 0, Signals::USER_0, ONCE), Err(Status::ACCESS_DENIED));
    assert_eq!(port.signal(Signals::NONE, Signals::USER_0), Err(Status::ACCESS_DENIED));
    assert_eq!(port.get_name(), Err(Status::ACCESS_DENIED));
    assert_eq!(Vmo::from(port.into_handle()).get_size(), Err(Status::WRONG_TYPE));
}

#[test]
fn packets_come_out_in_order_and_unchanged() {
    let port = Port::create();
    let mut user = UserPacket::default();
    for (at, byte) in user.as_mut_u8_array().iter_mut().enumerate() {
        *byte = at as u8;
    }
    for key in [u64::MAX, 0, 5] {
        port.queue(&Packet::from_user_packet(key, -7, user)).unwrap();
    }
    for key in [u64::MAX, 0, 5] {
        let packet = port.wait(NEVER).unwrap();
        assert_eq!((packet.key(), packet.status()), (key, -7));
        assert_eq!(packet.contents(), PacketContents::User(user));
    }
    assert_eq!(port.wait(PAST), Err(Status::TIMED_OUT));
    // A packet that was of signals is the program's own once the program sends it.
    let event = Event::create();
    set(&event, Signals::USER_1);
    event.wait_async(&port, 9, Signals::USER_1, ONCE).unwrap();
    let received = port.wait(PAST).unwrap();
    port.queue(&received).unwrap();
    let again = port.wait(PAST).unwrap();
    assert!(matches!(again.contents(), PacketContents::User(_)));
    assert_ne!(again, received);
}

#[test]
fn the_handle_comes_before_the_packet_and_the_deadline() {
    let kernel = Kernel::current().unwrap();
    let port = Port::create();
    // SAFETY: address 1 is never mapped, so nothing is read.
    let nowhere = || unsafe { UserRef::from_raw_parts(1, 48) };
    let (read_only, write_only) = (without(&port, Rights::WRITE), without(&port, Rights::READ));
    for (bad, status) in [
        (&no_port(), Status::BAD_HANDLE),
        (&wrong_port(), Status::WRONG_TYPE),
        (&read_only, Status::ACCESS_DENIED),
        (&port, Status::INVALID_ARGS),
    ] {
        assert_eq!(kernel.port_queue(bad.raw_handle(), nowhere()), Err(status));
    }
    for (bad, status) in [
        (&no_port(), Status::BAD_HANDLE),
        (&wrong_port(), Status::WRONG_TYPE),
        (&write_only, Status::ACCESS_DENIED),
        (&read_only, Status::TIMED_OUT),
    ] {
        assert_eq!(bad.wait(PAST), Err(status));
    }
    write_only.queue(&user(1)).unwrap();
    assert_eq!(read_only.wait(PAST).map(|packet| packet.key()), Ok(1));
}

#[test]
fn a_wait_checks_its_options_then_the_port_then_the_object() {
    let kernel = Kernel::current().unwrap();
    let (port, event, vmo) = (Port::create(), Event::create(), Vmo::create(1).unwrap());
    let both = WaitAsyncOpts::TIMESTAMP | WaitAsyncOpts::BOOT_TIMESTAMP;
    for options in [both, both | WaitAsyncOpts::EDGE_TRIGGERED, WaitAsyncOpts::from_bits_retain(8)] {
        let none = NullableHandle::invalid();
        assert_eq!(none.wait_async(&no_port(), 0, Signals::USER_0, options), Err(Status::INVALID_ARGS));
    }
    let none = NullableHandle::invalid();
    for (bad, status) in [
        (&no_port(), Status::BAD_HANDLE),
        (&wrong_port(), Status::WRONG_TYPE),
        (&without(&port, Rights::WRITE), Status::ACCESS_DENIED),
    ] {
        assert_eq!(none.wait_async(bad, 0, Signals::USER_0, ONCE), Err(status));
        assert_eq!(cancel(bad, &none, 0), Err(status));
        assert_eq!(bad.cancel(0), Err(status));
    }
    let root = zx::runtime::vmar_root_self();
    for (bad, status) in [
        (none.as_handle_ref(), Status::BAD_HANDLE),
        (without(&event, Rights::WAIT).as_handle_ref(), Status::ACCESS_DENIED),
        (root.as_handle_ref(), Status::ACCESS_DENIED),
    ] {
        assert_eq!(bad.wait_async(&port, 0, Signals::USER_0, ONCE), Err(status));
        assert_eq!(cancel(&port, &bad, 0), Err(status));
    }
    assert_eq!(cancel(&port, &event, 0), Err(Status::NOT_FOUND));
    assert_eq!(kernel.port_cancel_key(0, 1, 0), Err(Status::INVALID_ARGS));
    assert_eq!(port.cancel(0), Err(Status::NOT_FOUND));
    vmo.wait_async(&port, 3, Signals::VMO_ZERO_CHILDREN, ONCE).unwrap();
    assert_eq!(keys(&port), [3]);
}

#[test]
fn a_packet_tells_what_was_active_when_it_came() {
    let (port, event) = (Port::create(), Event::create());
    let asked = Signals::USER_0 | Signals::USER_1;
    event.wait_async(&port, 4, asked, ONCE).unwrap();
    set(&event, Signals::USER_5);
    assert_eq!(port.wait(PAST), Err(Status::TIMED_OUT));
    set(&event, Signals::USER_1);
    set(&event, Signals::USER_0);
    clear(&event, Signals::USER_ALL);
    let packet = port.wait(PAST).unwrap();
    assert_eq!((packet.key(), packet.status()), (4, 0));
    let PacketContents::SignalOne(signal) = packet.contents() else { panic!("{packet:?}") };
    assert_eq!((signal.trigger(), signal.observed()), (asked, Signals::USER_1 | Signals::USER_5));
    assert_eq!((signal.count(), signal.timestamp(), signal.raw_packet().reserved1), (1, 0, 0));
    // One packet a wait.
    set(&event, Signals::USER_0);
    assert_eq!(port.wait(PAST), Err(Status::TIMED_OUT));
    // Nothing asked for never comes.
    event.wait_async(&port, 5, Signals::NONE, ONCE).unwrap();
    set(&event, Signals::USER_ALL);
    assert_eq!(port.wait(PAST), Err(Status::TIMED_OUT));
    assert_eq!(cancel(&port, &event, 5), Ok(()));
}

#[test]
fn what_is_active_counts_at_once_unless_an_edge_is_asked_for() {
    let (port, event) = (Port::create(), Event::create());
    set(&event, Signals::USER_0);
    event.wait_async(&port, 1, Signals::USER_0, ONCE).unwrap();
    event.wait_async(&port, 2, Signals::USER_0, WaitAsyncOpts::EDGE_TRIGGERED).unwrap();
    assert_eq!(keys(&port), [1]);
    // No change, and a change the other way.
    set(&event, Signals::USER_0);
    clear(&event, Signals::USER_0);
    assert_eq!(keys(&port), []);
    set(&event, Signals::USER_0);
    assert_eq!(keys(&port), [2]);
}

#[test]
fn timestamps_are_of_the_moment_of_the_signal() {
    let (port, event) = (Port::create(), Event::create());
    event.wait_async(&port, 1, Signals::USER_0, WaitAsyncOpts::TIMESTAMP).unwrap();
    event.wait_async(&port, 2, Signals::USER_0, WaitAsyncOpts::BOOT_TIMESTAMP).unwrap();
    thread::sleep(Duration::from_millis(2));
    let before = (MonotonicInstant::get().into_nanos(), BootInstant::get().into_nanos());
    set(&event, Signals::USER_0);
    let after = (MonotonicInstant::get().into_nanos(), BootInstant::get().into_nanos());
    thread::sleep(Duration::from_millis(2));
    assert!((before.0..=after.0).contains(&signal(&port).timestamp()));
    assert!((before.1..=after.1).contains(&signal(&port).timestamp()));
    // Active already: the moment of the call.
    let stamp = WaitAsyncOpts::TIMESTAMP | WaitAsyncOpts::EDGE_TRIGGERED;
    event.wait_async(&port, 3, Signals::USER_0, stamp - WaitAsyncOpts::EDGE_TRIGGERED).unwrap();
    assert!(signal(&port).timestamp() >= after.0);
}

#[test]
fn the_system_signals_ports_too() {
    let port = Port::create();
    let (pair, peer) = EventPair::create();
    pair.wait_async(&port, 1, Signals::EVENTPAIR_PEER_CLOSED, ONCE).unwrap();
    let vmo = Vmo::create(4096).unwrap();
    let child = vmo.create_child(zx::VmoChildOptions::SNAPSHOT, 0, 4096).unwrap();
    vmo.wait_async(&port, 2, Signals::VMO_ZERO_CHILDREN, ONCE).unwrap();
    assert_eq!(keys(&port), []);
    drop(peer);
    drop(child);
    assert_eq!(keys(&port), [1, 2]);
}

#[test]
fn cancelling_is_by_the_very_handle_and_the_key() {
    let port = Port::create();
    let (event, other) = two_handles();
    for key in [1, 2, 1] {
        event.wait_async(&port, key, Signals::USER_0, ONCE).unwrap();
        other.wait_async(&port, 10 + key, Signals::USER_0, ONCE).unwrap();
    }
    assert_eq!(cancel(&port, &other, 1), Err(Status::NOT_FOUND));
    assert_eq!(cancel(&port, &event, 11), Err(Status::NOT_FOUND));
    // Both waits at once.
    assert_eq!(cancel(&port, &event, 1), Ok(()));
    assert_eq!(cancel(&port, &event, 1), Err(Status::NOT_FOUND));
    port.queue(&user(2)).unwrap();
    set(&event, Signals::USER_0);
    // A packet that is in the port already goes too; the program's own does not.
    assert_eq!(cancel(&port, &other, 12), Ok(()));
    assert_eq!(cancel(&port, &event, 2), Ok(()));
    assert_eq!(cancel(&port, &event, 2), Err(Status::NOT_FOUND));
    assert_eq!(keys(&port), [2, 11, 11]);
    // Another port's are its own.
    let second = Port::create();
    event.wait_async(&second, 5, Signals::USER_0, ONCE).unwrap();
    assert_eq!(cancel(&port, &event, 5), Err(Status::NOT_FOUND));
    assert_eq!(keys(&second), [5]);
}

#[test]
fn cancelling_by_key_takes_all_with_it() {
    let port = Port::create();
    let (event, other) = two_handles();
    let vmo = Vmo::create(1).unwrap();
    for key in [1, 2] {
        port.queue(&user(key)).unwrap();
        event.wait_async(&port, key, Signals::USER_0, ONCE).unwrap();
        other.wait_async(&port, key, Signals::USER_0, ONCE).unwrap();
        vmo.wait_async(&port, key, Signals::VMO_ZERO_CHILDREN, ONCE).unwrap();
    }
    assert_eq!(port.cancel(1), Ok(()));
    assert_eq!(port.cancel(1), Err(Status::NOT_FOUND));
    set(&event, Signals::USER_0);
    assert_eq!(keys(&port), [2; 4]);
    // A wait alone is something.
    vmo.wait_async(&port, 3, Signals::USER_0, ONCE).unwrap();
    assert_eq!(port.cancel(3), Ok(()));
    set(&vmo, Signals::USER_0);
    assert_eq!(keys(&port), []);
}

#[test]
fn a_wait_ends_with_its_handle_and_a_packet_does_not() {
    let port = Port::create();
    let (event, other) = two_handles();
    event.wait_async(&port, 1, Signals::USER_0, ONCE).unwrap();
    other.wait_async(&port, 2, Signals::USER_0, ONCE).unwrap();
    drop(other);
    assert_eq!(keys(&port), [], "no packet tells of it");
    set(&event, Signals::USER_0);
    assert_eq!(keys(&port), [1]);

    clear(&event, Signals::USER_0);
    event.wait_async(&port, 3, Signals::USER_0, ONCE).unwrap();
    let event = event.replace_handle(Rights::SAME_RIGHTS).unwrap();
    set(&event, Signals::USER_0);
    assert_eq!(keys(&port), [], "the replaced handle is gone");

    event.wait_async(&port, 4, Signals::USER_0, ONCE).unwrap();
    drop(event);
    assert_eq!(keys(&port), [4], "what is in the port stays");
}

#[test]
fn programs_packets_are_limited_and_signals_are_not() {
    let (port, event) = (Port::create(), Event::create());
    for _ in 0..LIMIT {
        port.queue(&user(1)).unwrap();
    }
    assert_eq!(port.queue(&user(1)), Err(Status::SHOULD_WAIT));
    set(&event, Signals::USER_0);
    event.wait_async(&port, 2, Signals::USER_0, ONCE).unwrap();
    assert_eq!(port.queue(&user(1)), Err(Status::SHOULD_WAIT));
    assert_eq!(port.wait(PAST).unwrap().key(), 1);
    port.queue(&user(3)).unwrap();
    assert_eq!(port.queue(&user(1)), Err(Status::SHOULD_WAIT));
    let keys = keys(&port);
    assert_eq!((keys.len(), &keys[LIMIT - 2..]), (LIMIT + 1, &[1, 2, 3][..]));
}

#[test]
fn thousands_of_waits_need_no_threads() {
    const COUNT: u64 = 20_000;
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let (port, event) = (Port::create(), Event::create());
    let others: Vec<_> = (0..COUNT / 2).map(|_| Event::create()).collect();
    let before = threads();
    for key in 0..COUNT {
        let source = if key % 2 == 0 { &event } else { &others[key as usize / 2] };
        source.wait_async(&port, key, Signals::USER_0, ONCE).unwrap();
    }
    // Tests beside this one start and end threads, but not thousands.
    assert!(threads() < before + 1000);
    for key in (0..COUNT).step_by(8) {
        assert_eq!(cancel(&port, &event, key), Ok(()));
    }
    set(&event, Signals::USER_0);
    for other in &others {
        set(other, Signals::USER_0);
    }
    for key in (1..COUNT).step_by(8) {
        assert_eq!(port.cancel(key), Ok(()), "{key}");
    }
    let left = |key: &u64| key % 8 > 1;
    let even = (0..COUNT).step_by(2).filter(left);
    let odd = (1..COUNT).step_by(2).filter(left);
    assert_eq!(keys(&port), even.chain(odd).collect::<Vec<_>>());
}

#[test]
fn a_thread_is_woken_by_a_packet_and_by_its_deadline() {
    let (port, event) = (Port::create(), Event::create());
    event.wait_async(&port, 7, Signals::USER_0, ONCE).unwrap();
    thread::scope(|s| {
        let waiter = s.spawn(|| port.wait(NEVER));
        thread::sleep(Duration::from_millis(50));
        assert!(!waiter.is_finished());
        set(&event, Signals::USER_0);
        assert_eq!(waiter.join().unwrap().map(|packet| packet.key()), Ok(7));
    });
    let deadline = MonotonicInstant::after(MonotonicDuration::from_millis(30));
    assert_eq!(port.wait(deadline), Err(Status::TIMED_OUT));
    assert!(MonotonicInstant::get() >= deadline);
}

#[test]
fn one_packet_wakes_one_thread() {
    const THREADS: u64 = 8;
    let port = Port::create();
    thread::scope(|s| {
        let waiters: Vec<_> = (0..THREADS).map(|_| s.spawn(|| port.wait(NEVER).unwrap().key())).collect();
        thread::sleep(Duration::from_millis(50));
        port.queue(&user(0)).unwrap();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(waiters.iter().filter(|waiter| waiter.is_finished()).count(), 1);
        for key in 1..THREADS {
            port.queue(&user(key)).unwrap();
        }
        let keys: HashSet<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
        assert_eq!(keys, (0..THREADS).collect());
    });
    assert_eq!(keys(&port), []);
}

#[test]
fn closing_a_port_wakes_nobody() {
    let event = Event::create();
    let port = Port::create();
    let raw = port.raw_handle();
    event.wait_async(&port, 1, Signals::USER_0, ONCE).unwrap();
    let deadline = MonotonicInstant::after(MonotonicDuration::from_millis(150));
    thread::scope(|s| {
        let waiter = s.spawn(move || {
            let mut packet = zx::sys::zx_port_packet_t::default();
            Kernel::current()?.port_wait(raw, deadline.into_nanos(), &mut packet)
        });
        thread::sleep(Duration::from_millis(50));
        drop(port);
        // The wait went with the port.
        set(&event, Signals::USER_0);
        assert_eq!(waiter.join().unwrap(), Err(Status::TIMED_OUT));
    });
    assert!(MonotonicInstant::get() >= deadline);
}

#[test]
fn a_port_goes_with_its_last_handle() {
    let event = Event::create();
    let port = Port::create();
    let other = port.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    event.wait_async(&port, 1, Signals::USER_0, ONCE).unwrap();
    port.queue(&user(2)).unwrap();
    drop(port);
    set(&event, Signals::USER_0);
    assert_eq!(keys(&other), [2, 1]);
}

#[test]
fn waits_signals_closings_and_cancellings_race() {
    const ROUNDS: u64 = 2_000;
    let port = Port::create();
    let (mut told, mut untold) = (0, 0);
    for round in 0..ROUNDS {
        let (event, other) = two_handles();
        thread::scope(|s| {
            s.spawn(|| other.wait_async(&port, round, Signals::USER_0, ONCE).unwrap());
            s.spawn(|| set(&event, Signals::USER_0));
        });
        // Whoever came first, the packet is there, and once.
        assert_eq!(keys(&port), [round]);
        clear(&event, Signals::USER_0);
        other.wait_async(&port, round, Signals::USER_0, ONCE).unwrap();
        let canceled = thread::scope(|s| {
            let canceller = s.spawn(|| cancel(&port, &event, round).or_else(|_| cancel(&port, &other, round)));
            s.spawn(|| set(&event, Signals::USER_0));
            canceller.join().unwrap()
        });
        assert_eq!((canceled, keys(&port)), (Ok(()), vec![]));

        clear(&event, Signals::USER_0);
        other.wait_async(&port, round, Signals::USER_0, ONCE).unwrap();
        thread::scope(|s| {
            s.spawn(|| drop(other));
            s.spawn(|| set(&event, Signals::USER_0));
        });
        match &keys(&port)[..] {
            [] => untold += 1,
            [key] if *key == round => told += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told + untold, ROUNDS);
}

/// A wait that begins while its handle is closed is refused, or ends with it: it never tells of what comes later.
#[test]
fn no_wait_outlives_a_handle_that_closes_meanwhile() {
    const ROUNDS: u64 = 20_000;
    let port = Port::create();
    let kernel = Kernel::current().unwrap();
    // The handle to wait through, then the outcome; 0 and `NONE_YET` where there is none.
    const NONE_YET: i32 = 1;
    let (asked, outcome, stop) = (AtomicU32::new(0), AtomicI32::new(NONE_YET), AtomicBool::new(false));
    thread::scope(|s| {
        let _stop = StopOnDrop(&stop);
        s.spawn(|| {
            for key in 0..ROUNDS {
                let raw = loop {
                    match asked.swap(0, Ordering::Acquire) {
                        0 if stop.load(Ordering::Relaxed) => return,
                        0 => std::hint::spin_loop(),
                        raw => break raw,
                    }
                };
                let result = kernel.object_wait_async(raw, port.raw_handle(), key, Signals::USER_0.bits(), 0);
                outcome.store(Status::from_result(result).into_raw(), Ordering::Release);
            }
        });
        for key in 0..ROUNDS {
            let (event, other) = two_handles();
            asked.store(other.raw_handle(), Ordering::Release);
            // At another moment each time.
            for _ in 0..key % 200 {
                std::hint::spin_loop();
            }
            drop(other);
            let ended = loop {
                match outcome.swap(NONE_YET, Ordering::Acquire) {
                    NONE_YET => thread::yield_now(),
                    ended => break Status::from_raw(ended),
                }
            };
            assert!([Status::OK, Status::BAD_HANDLE].contains(&ended), "{ended:?}");
            set(&event, Signals::USER_0);
            assert_eq!(keys(&port), []);
            assert_eq!(port.cancel(key), Err(Status::NOT_FOUND));
        }
    });
}
