//! Who waits for what, and who is woken with which status, one thread after the other.

use std::sync::Mutex;

use zxvm_host::{Thread, Wait};

use super::*;

const P: u64 = 4096;

fn pages(from: u64, to: u64) -> VmoRange {
    VmoRange::from_bounds(from * P, to * P)
}

/// What was sent and not taken back.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<(u64, RequestKind, VmoRange)>>);

impl Sent {
    fn ranges(&self) -> Vec<(RequestKind, VmoRange)> {
        self.0.lock().unwrap().iter().map(|&(_, kind, range)| (kind, range)).collect()
    }
}

impl RequestPort for Sent {
    fn request(&self, id: u64, kind: RequestKind, range: VmoRange) {
        self.0.lock().unwrap().push((id, kind, range));
    }

    fn withdraw(&self, id: u64) {
        self.0.lock().unwrap().retain(|&(other, ..)| other != id);
    }

    fn shorten(&self, _end: u64) {}

    fn complete(&self) {}

    fn silence(&self) {}

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

fn call() -> (Who, Arc<Sleeper>) {
    let sleeper = Arc::new(Sleeper::default());
    (Who::Call(sleeper.clone()), sleeper)
}

fn stream() -> (Who, Arc<Sleeper>) {
    let sleeper = Arc::new(Sleeper::default());
    (Who::Stream(sleeper.clone()), sleeper)
}

fn access(thread: u32, page: u64) -> Who {
    Who::Access(Waiting { page: page * P, reason: Wait::Absent, store: false, thread: Thread(thread) })
}

fn news(sleeper: &Sleeper) -> Option<Result<(), Status>> {
    *sleeper.news.lock().unwrap()
}

const READ: RequestKind = RequestKind::Read;

#[test]
fn requests_of_one_kind_never_overlap() {
    let (mut requests, sent) = (Requests::default(), Sent::default());
    let (a, first) = call();
    let (b, inside) = call();
    let (c, before) = call();
    requests.ask(&sent, READ, pages(4, 8), a);
    requests.ask(&sent, READ, pages(5, 10), b);
    requests.ask(&sent, READ, pages(2, 6), c);
    assert_eq!(sent.ranges(), [(READ, pages(4, 8)), (READ, pages(2, 4))]);
    requests.ask(&sent, RequestKind::Dirty, pages(2, 6), access(1, 0));
    assert_eq!(sent.ranges().len(), 3, "the other kind is by itself");
    requests.audit(10 * P);
    let mut woken = Woken::new();
    requests.resolve(&sent, READ, pages(4, 7), &mut woken);
    assert_eq!((news(&first), news(&inside)), (None, None));
    requests.resolve(&sent, READ, pages(7, 8), &mut woken);
    assert_eq!((news(&first), news(&inside), news(&before)), (Some(Ok(())), Some(Ok(())), None));
    assert_eq!(sent.ranges()[0], (READ, pages(2, 4)), "what is resolved before it is seen is taken back");
    assert!(woken.is_empty());
}

#[test]
fn a_failure_hits_those_whose_first_page_it_is() {
    let (mut requests, sent) = (Requests::default(), Sent::default());
    let (a, first) = call();
    let (b, second) = call();
    requests.ask(&sent, READ, pages(0, 4), a);
    requests.ask(&sent, READ, pages(2, 4), b);
    let mut woken = Woken::new();
    requests.fail(&sent, pages(2, 3), Status::IO, &mut woken);
    assert_eq!((news(&first), news(&second)), (None, Some(Err(Status::IO))));
    requests.resolve(&sent, READ, pages(0, 2), &mut woken);
    assert_eq!(news(&first), None);
    requests.resolve(&sent, READ, pages(3, 4), &mut woken);
    assert_eq!(news(&first), Some(Ok(())), "it asks again for what failed");
    assert!(requests.is_empty());
}

#[test]
fn a_stream_goes_on_with_its_next_page_and_stays_a_waiter() {
    let (mut requests, sent) = (Requests::default(), Sent::default());
    let (who, sleeper) = stream();
    requests.ask(&sent, READ, pages(0, 8), who.clone());
    let mut woken = Woken::new();
    requests.resolve(&sent, READ, pages(4, 5), &mut woken);
    assert_eq!(news(&sleeper), None);
    requests.resolve(&sent, READ, pages(0, 2), &mut woken);
    assert_eq!(news(&sleeper), Some(Ok(())));
    requests.ask(&sent, READ, pages(2, 8), who.clone());
    assert_eq!((news(&sleeper), sent.ranges().len()), (None, 1), "no second packet");
    requests.fail(&sent, pages(3, 8), Status::IO, &mut woken);
    assert_eq!(news(&sleeper), None, "its next page is none of these");
    requests.fail(&sent, pages(2, 3), Status::IO, &mut woken);
    assert_eq!(news(&sleeper), Some(Err(Status::IO)));
    assert!(requests.is_empty() && sent.ranges().is_empty());
}

#[test]
fn the_last_one_who_leaves_takes_the_request_back() {
    let (mut requests, sent) = (Requests::default(), Sent::default());
    let (who, sleeper) = call();
    requests.ask(&sent, READ, pages(0, 1), who);
    requests.ask(&sent, READ, pages(0, 1), access(1, 7));
    requests.ask(&sent, READ, pages(0, 1), access(1, 7));
    requests.leave_call(&sent, &sleeper);
    assert_eq!(sent.ranges().len(), 1);
    let mut woken = Woken::new();
    requests.resolve(&sent, READ, pages(0, 1), &mut woken);
    assert_eq!(woken.len(), 1, "one waiter for a thread and an address");
    requests.ask(&sent, READ, pages(3, 4), access(2, 9));
    requests.leave(&sent, |who| matches!(who, Who::Access(waiting) if waiting.page == 9 * P));
    assert!(requests.is_empty() && sent.ranges().is_empty());
}
