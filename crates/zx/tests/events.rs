//! Signals, and waiting for them.

use std::thread;
use std::time::Duration;

use zx::prelude::*;
use zx::{
    Event, EventPair, MonotonicDuration, MonotonicInstant, Rights, Signals, Status, Unowned, WaitItem, WaitResult,
};
use zxvm as zx;

const PAST: MonotonicInstant = MonotonicInstant::INFINITE_PAST;
const NEVER: MonotonicInstant = MonotonicInstant::INFINITE;

/// What is active now.
fn active(object: &impl AsHandleRef) -> Signals {
    match object.wait_handle(Signals::NONE, PAST) {
        WaitResult::TimedOut(signals) => signals,
        other => panic!("{other:?}"),
    }
}

/// Runs `wait` with the number of an event's handle in a thread, and `then` on the event once that thread surely waits.
fn while_waiting<T: Send>(wait: impl FnOnce(u32) -> T + Send, then: impl FnOnce(Event)) -> T {
    let event = Event::create();
    let raw = event.raw_handle();
    thread::scope(|s| {
        let waiter = s.spawn(move || wait(raw));
        thread::sleep(Duration::from_millis(100));
        assert!(!waiter.is_finished());
        then(event);
        waiter.join().unwrap()
    })
}

/// Waits for ever by the number of a handle that another thread owns.
fn wait_on(raw: u32) -> WaitResult {
    // SAFETY: a handle that closes meanwhile is what the tests are about; nobody else gets this number so soon.
    unsafe { Unowned::<Event>::from_raw_handle(raw) }.wait_one(Signals::USER_7, NEVER)
}

#[test]
fn signals_are_cleared_then_set() {
    let event = Event::create();
    assert_eq!(active(&event), Signals::NONE);
    event.signal(Signals::NONE, Signals::USER_0 | Signals::EVENT_SIGNALED).unwrap();
    assert_eq!(active(&event), Signals::USER_0 | Signals::EVENT_SIGNALED);
    event.signal(Signals::USER_0 | Signals::USER_1, Signals::USER_1).unwrap();
    assert_eq!(active(&event), Signals::USER_1 | Signals::EVENT_SIGNALED);
    event.signal(Signals::USER_ALL | Signals::EVENT_SIGNALED, Signals::NONE).unwrap();
    assert_eq!(active(&event), Signals::NONE);
}

#[test]
fn every_handle_sees_the_same_signals() {
    let event = Event::create();
    let other = event.duplicate_handle(Rights::SIGNAL).unwrap();
    other.signal(Signals::NONE, Signals::USER_2).unwrap();
    assert_eq!(active(&event), Signals::USER_2);
}

#[test]
fn the_systems_signals_are_not_for_programs() {
    let event = Event::create();
    let vmo = zx::Vmo::create(0).unwrap();
    let (pair, _peer) = EventPair::create();
    for forged in [Signals::OBJECT_0, Signals::HANDLE_CLOSED, Signals::OBJECT_PEER_CLOSED, Signals::all()] {
        assert_eq!(event.signal(Signals::NONE, forged), Err(Status::INVALID_ARGS));
        assert_eq!(event.signal(forged, Signals::NONE), Err(Status::INVALID_ARGS));
        assert_eq!(pair.signal(Signals::NONE, forged), Err(Status::INVALID_ARGS));
        assert_eq!(pair.signal_peer(Signals::NONE, forged), Err(Status::INVALID_ARGS));
    }
    assert_eq!(vmo.signal(Signals::VMO_ZERO_CHILDREN, Signals::NONE), Err(Status::INVALID_ARGS));
    vmo.signal(Signals::NONE, Signals::USER_7).unwrap();
    assert_eq!(active(&vmo), Signals::VMO_ZERO_CHILDREN | Signals::USER_7);
}

#[test]
fn signalling_and_waiting_need_their_rights() {
    let event = Event::create();
    let deaf = event.duplicate_handle(Rights::SIGNAL).unwrap();
    let mute = event.duplicate_handle(Rights::WAIT).unwrap();
    assert_eq!(mute.signal(Signals::NONE, Signals::USER_0), Err(Status::ACCESS_DENIED));
    assert_eq!(deaf.wait_one(Signals::USER_0, PAST), WaitResult::Err(Status::ACCESS_DENIED));
    let root = zx::runtime::vmar_root_self();
    assert_eq!(root.wait_one(Signals::USER_0, PAST), WaitResult::Err(Status::ACCESS_DENIED));
    let (pair, _peer) = EventPair::create();
    let weak = pair.duplicate_handle(Rights::BASIC | Rights::SIGNAL).unwrap();
    assert_eq!(weak.signal_peer(Signals::NONE, Signals::USER_0), Err(Status::ACCESS_DENIED));
    assert_eq!(pair.duplicate_handle(Rights::SIGNAL_PEER).unwrap().is_closed(), Err(Status::ACCESS_DENIED));
}

#[test]
fn a_wait_tells_all_that_is_active() {
    let event = Event::create();
    event.signal(Signals::NONE, Signals::USER_0 | Signals::USER_1).unwrap();
    let both = Signals::USER_0 | Signals::USER_1;
    // Active already: the deadline does not matter.
    assert_eq!(event.wait_one(Signals::USER_0, PAST), WaitResult::Ok(both));
    assert_eq!(event.wait_one(Signals::USER_0, NEVER), WaitResult::Ok(both));
    let start = MonotonicInstant::get();
    let length = MonotonicDuration::from_millis(20);
    assert_eq!(event.wait_one(Signals::USER_2, start + length), WaitResult::TimedOut(both));
    assert!(MonotonicInstant::get() - start >= length);
}

#[test]
fn a_wait_ends_when_another_thread_signals() {
    let signal = |event: Event| {
        event.signal(Signals::NONE, Signals::USER_6).unwrap(); // not what it waits for
        event.signal(Signals::NONE, Signals::USER_7).unwrap();
        // Kept open: what ended the wait was the signal.
        std::mem::forget(event);
    };
    assert_eq!(while_waiting(wait_on, signal), WaitResult::Ok(Signals::USER_6 | Signals::USER_7));
}

#[test]
fn closing_the_handle_waited_on_cancels_the_wait() {
    assert_eq!(while_waiting(wait_on, drop), WaitResult::Canceled(Signals::HANDLE_CLOSED));
    let replace = |event: Event| drop(event.replace_handle(Rights::SAME_RIGHTS).unwrap());
    assert_eq!(while_waiting(wait_on, replace), WaitResult::Canceled(Signals::HANDLE_CLOSED));
}

#[test]
fn closing_another_handle_does_not() {
    let close_another = |event: Event| {
        drop(event.duplicate_handle(Rights::SAME_RIGHTS).unwrap());
        thread::sleep(Duration::from_millis(20));
        event.signal(Signals::NONE, Signals::USER_7).unwrap();
        std::mem::forget(event);
    };
    assert_eq!(while_waiting(wait_on, close_another), WaitResult::Ok(Signals::USER_7));
}

#[test]
fn one_of_many() {
    let events: Vec<_> = (0..64).map(|_| Event::create()).collect();
    let mut items: Vec<_> = events.iter().map(|event| event.wait_item(Signals::USER_0)).collect();
    assert_eq!(zx::object_wait_many(&mut items, PAST), Err(Status::TIMED_OUT));
    events[63].signal(Signals::NONE, Signals::USER_0 | Signals::USER_1).unwrap();
    events[5].signal(Signals::NONE, Signals::USER_1).unwrap();
    assert_eq!(zx::object_wait_many(&mut items, NEVER), Ok(false));
    for (index, item) in items.iter().enumerate() {
        let expected = match index {
            63 => Signals::USER_0 | Signals::USER_1,
            5 => Signals::USER_1,
            _ => Signals::NONE,
        };
        assert_eq!(item.pending, expected);
    }
    // On a timeout too.
    events[63].signal(Signals::USER_0, Signals::NONE).unwrap();
    assert_eq!(zx::object_wait_many(&mut items, PAST), Err(Status::TIMED_OUT));
    assert_eq!((items[63].pending, items[5].pending), (Signals::USER_1, Signals::USER_1));

    let extra = Event::create();
    items.push(extra.wait_item(Signals::USER_0));
    assert_eq!(zx::object_wait_many(&mut items, PAST), Err(Status::OUT_OF_RANGE));
}

#[test]
fn the_first_item_at_fault_decides() {
    let event = Event::create();
    let deaf = event.duplicate_handle(Rights::NONE).unwrap();
    let none = zx::NullableHandle::invalid();
    let wait = |handles: [&dyn AsHandleRef; 3]| {
        let mut items = handles.map(|handle| WaitItem::new(handle.as_handle_ref(), Signals::USER_0));
        zx::object_wait_many(&mut items, NEVER)
    };
    assert_eq!(wait([&event, &none, &deaf]), Err(Status::BAD_HANDLE));
    assert_eq!(wait([&event, &deaf, &none]), Err(Status::ACCESS_DENIED));
}

#[test]
fn waiting_for_nothing_sleeps() {
    let start = MonotonicInstant::get();
    let length = MonotonicDuration::from_millis(20);
    assert_eq!(zx::object_wait_many(&mut [], start + length), Err(Status::TIMED_OUT));
    assert!(MonotonicInstant::get() - start >= length);
}

#[test]
fn closing_one_of_many_cancels_the_wait() {
    let quiet = Event::create();
    let wait = |raw| {
        // SAFETY: as in `wait_on`.
        let closing = unsafe { Unowned::<Event>::from_raw_handle(raw) };
        let mut items = [quiet.wait_item(Signals::USER_7), closing.wait_item(Signals::USER_7)];
        let canceled = zx::object_wait_many(&mut items, NEVER);
        (canceled, items.map(|item| item.pending))
    };
    let expected = (Ok(true), [Signals::NONE, Signals::HANDLE_CLOSED]);
    assert_eq!(while_waiting(wait, drop), expected);
}

#[test]
fn a_pair_signals_across() {
    let (a, b) = EventPair::create();
    a.signal_peer(Signals::NONE, Signals::USER_0 | Signals::EVENTPAIR_SIGNALED).unwrap();
    assert_eq!((active(&a), active(&b)), (Signals::NONE, Signals::USER_0 | Signals::EVENTPAIR_SIGNALED));
    a.signal(Signals::NONE, Signals::USER_1).unwrap();
    b.signal_peer(Signals::USER_1, Signals::USER_2).unwrap();
    assert_eq!(active(&a), Signals::USER_2);
}

#[test]
fn a_pair_tells_when_the_other_is_gone() {
    let (a, b) = EventPair::create();
    let second = b.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    drop(b);
    assert_eq!(a.is_closed(), Ok(false));
    drop(second);
    assert_eq!(a.is_closed(), Ok(true));
    assert_eq!(active(&a), Signals::EVENTPAIR_PEER_CLOSED);
    assert_eq!(a.signal_peer(Signals::NONE, Signals::USER_0), Err(Status::PEER_CLOSED));
}

#[test]
fn results_of_waits_are_results() {
    let ok = WaitResult::Ok(Signals::USER_0);
    let late = WaitResult::TimedOut(Signals::USER_1);
    let closed = WaitResult::Canceled(Signals::HANDLE_CLOSED);
    let failed = WaitResult::Err(Status::BAD_HANDLE);
    assert_eq!(
        [ok, late, closed, failed].map(WaitResult::to_result),
        [Ok(Signals::USER_0), Err(Status::TIMED_OUT), Err(Status::CANCELED), Err(Status::BAD_HANDLE)]
    );
    assert_eq!([ok, late, closed, failed].map(WaitResult::is_ok), [true, false, false, false]);
    assert_eq!([ok, late, closed, failed].map(WaitResult::is_err), [false, true, true, true]);
    assert_eq!((ok.unwrap(), ok.expect("active")), (Signals::USER_0, Signals::USER_0));
    assert_eq!(late.expect_err("nothing active"), Status::TIMED_OUT);
    assert_eq!(ok.map(|signals| signals.bits()), Ok(1 << 24));
    assert_eq!(closed.map_err(Status::into_raw), Err(zx::sys::ZX_ERR_CANCELED));
}
