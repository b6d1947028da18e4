//! All orders in which threads can meet over a request: whoever waits is woken, with a status that is true.
//!
//! The threads do what `vmar::fetch` and `vmar::paging` do, on books that hold nothing else: the lock stands for that of a
//! family. A wake that is lost is a thread that waits for ever, which loom reports.

use loom::sync::{Arc as Shared, Mutex as Lock};
use loom::thread;

use super::*;

const PAGE: u64 = 4096;

#[derive(Debug)]
struct Nowhere;

impl RequestPort for Nowhere {
    fn request(&self, _id: u64, _kind: RequestKind, _range: VmoRange) {}

    fn withdraw(&self, _id: u64) {}

    fn shorten(&self, _end: u64) {}

    fn complete(&self) {}

    fn silence(&self) {}

    fn is_empty(&self) -> bool {
        true
    }
}

#[derive(Debug, Default)]
struct Books {
    requests: Requests,
    /// Which pages are there.
    there: [bool; 2],
    detached: bool,
}

type Family = Shared<Lock<Books>>;

fn family() -> Family {
    Shared::new(Lock::new(Books::default()))
}

fn pages(from: u64, to: u64) -> VmoRange {
    VmoRange::from_bounds(from * PAGE, to * PAGE)
}

/// As a call that needs pages from `first` on, all of them at once or one after the other.
fn fetch(family: &Family, first: usize, as_stream: bool) -> Result<(), Status> {
    let sleeper = Arc::new(Sleeper::default());
    let result = loop {
        {
            let mut books = family.lock().unwrap();
            let Some(at) = (first..2).find(|&page| !books.there[page]) else { break Ok(()) };
            if books.detached {
                break Err(Status::BAD_STATE);
            }
            let who = if as_stream { Who::Stream(sleeper.clone()) } else { Who::Call(sleeper.clone()) };
            let end = (at..2).find(|&page| books.there[page]).unwrap_or(2);
            books.requests.ask(&Nowhere, RequestKind::Read, pages(at as u64, end as u64), who);
        }
        if let Err(status) = sleeper.wait() {
            break Err(status);
        }
    };
    family.lock().unwrap().requests.leave_call(&Nowhere, &sleeper);
    result
}

fn supply(family: &Family, from: u64, to: u64) {
    let mut books = family.lock().unwrap();
    books.there[from as usize..to as usize].fill(true);
    books.requests.resolve(&Nowhere, RequestKind::Read, pages(from, to), &mut Woken::new());
}

fn fail(family: &Family, from: u64, to: u64) {
    family.lock().unwrap().requests.fail(&Nowhere, pages(from, to), Status::IO, &mut Woken::new());
}

fn nobody_is_left(family: &Family) {
    let books = family.lock().unwrap();
    books.requests.audit(2 * PAGE);
    assert!(books.requests.is_empty());
}

#[test]
fn all_who_wait_for_pages_get_them() {
    loom::model(|| {
        let family = family();
        let askers = [0, 1].map(|first| {
            let family = family.clone();
            thread::spawn(move || fetch(&family, first, false))
        });
        supply(&family, 1, 2);
        supply(&family, 0, 1);
        for asker in askers {
            assert_eq!(asker.join().unwrap(), Ok(()));
        }
        nobody_is_left(&family);
    });
}

#[test]
fn a_stream_takes_what_comes() {
    loom::model(|| {
        let family = family();
        let asker = thread::spawn({
            let family = family.clone();
            move || fetch(&family, 0, true)
        });
        supply(&family, 0, 1);
        supply(&family, 1, 2);
        assert_eq!(asker.join().unwrap(), Ok(()));
        nobody_is_left(&family);
    });
}

#[test]
fn a_refusal_is_told_or_forgotten() {
    for as_stream in [false, true] {
        loom::model(move || {
            let family = family();
            let asker = thread::spawn({
                let family = family.clone();
                move || fetch(&family, 0, as_stream)
            });
            supply(&family, 1, 2);
            fail(&family, 0, 1);
            supply(&family, 0, 1);
            let result = asker.join().unwrap();
            assert!(result == Ok(()) || result == Err(Status::IO), "{result:?}");
            nobody_is_left(&family);
        });
    }
}

#[test]
fn nobody_waits_for_a_pager_that_has_let_go() {
    loom::model(|| {
        let family = family();
        let asker = thread::spawn({
            let family = family.clone();
            move || fetch(&family, 0, false)
        });
        supply(&family, 0, 1);
        {
            let mut books = family.lock().unwrap();
            books.detached = true;
            books.requests.end(&Nowhere, &mut Woken::new());
        }
        assert_eq!(asker.join().unwrap(), Err(Status::BAD_STATE));
        nobody_is_left(&family);
    });
}
