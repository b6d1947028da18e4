//! The contract of [`Host`](crate::Host), checked on the running kernel.

use super::*;

const P: u64 = PAGE_SIZE;
const RW: Prot = Prot::READ.union(Prot::WRITE);

struct Setup {
    host: LinuxHost,
    range: AddrRange,
    store: StoreId,
}

impl Setup {
    fn new() -> Self {
        let host = LinuxHost::new(Delivery::Thread).unwrap();
        let range = host.reserve(64 * P).unwrap();
        let store = host.create_store().unwrap();
        Self { host, range, store }
    }

    fn pages(&self, from: u64, to: u64) -> AddrRange {
        AddrRange::from_bounds(self.range.start() + from * P, self.range.start() + to * P)
    }

    fn view(&self, page: u64, prot: Prot) -> View {
        View::Store { store: self.store, at: page * P, prot }
    }

    fn committed(&self) -> Vec<(u64, u64)> {
        let mut runs = Vec::new();
        let all = StoreRange::from_bounds(0, STORE_SIZE);
        self.host.committed_runs(self.store, all, &mut |r| runs.push((r.start() / P, r.end() / P))).unwrap();
        runs
    }

    fn absent(&self, range: AddrRange) -> u64 {
        let mut pages = 0;
        self.host.absent_runs(range, &mut |run| pages += run.pages()).unwrap();
        pages
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.host.release(self.range);
        self.host.close_store(self.store);
    }
}

#[test]
fn committing_is_seen_exactly_with_and_without_a_window() {
    let t = Setup::new();
    for pages in [1, 7, 8, 33] {
        let range = StoreRange::from_bounds(100 * P, (100 + pages) * P);
        t.host.commit(t.store, range, None).unwrap();
        assert_eq!(t.committed(), [(100, 100 + pages)]);
        t.host.punch(t.store, range).unwrap();
        assert_eq!(t.committed(), []);
        let window = t.pages(2, 2 + pages);
        t.host.map(window, t.view(100, RW)).unwrap();
        t.host.commit(t.store, range, Some(window)).unwrap();
        assert_eq!(t.committed(), [(100, 100 + pages)]);
        assert_eq!(t.absent(window), 0);
        t.host.punch(t.store, range).unwrap();
        assert_eq!(t.absent(window), pages);
        t.host.map(window, View::Held).unwrap();
    }
}

#[test]
fn reading_commits_nothing_and_writing_what_it_touches() {
    let t = Setup::new();
    let mut bytes = [9; 3 * P as usize];
    t.host.read_store(t.store, 0, bytes[..].as_mut().into()).unwrap();
    assert_eq!((bytes.iter().max(), t.committed()), (Some(&0), vec![]));
    t.host.write_store(t.store, P - 1, UserRef::from(&[5, 6][..])).unwrap();
    assert_eq!(t.committed(), [(0, 2)]);
    t.host.read_store(t.store, P - 2, bytes[..4].as_mut().into()).unwrap();
    assert_eq!(bytes[..4], [0, 5, 6, 0]);
}

#[test]
fn a_bad_buffer_is_a_fault_with_its_place() {
    let t = Setup::new();
    t.host.map(t.pages(0, 1), t.view(0, RW)).unwrap();
    let addr = t.range.addr();
    // SAFETY: the memory is ours or inaccessible.
    let (to, from) = unsafe { (UserSlice::from_raw_parts(addr, 8192), UserRef::from_raw_parts(addr + 4096, 10)) };
    assert_eq!(t.host.read_store(t.store, 0, to), Err(HostError::Fault { at: addr + 4096 }));
    assert_eq!(t.host.write_store(t.store, 0, from), Err(HostError::Fault { at: addr + 4096 }));
}

#[test]
fn pieces_are_what_was_mapped() {
    let t = Setup::new();
    t.host.map(t.pages(4, 8), t.view(10, RW)).unwrap();
    t.host.protect(t.pages(5, 6), Prot::READ, Room::Ordinary).unwrap();
    t.host.map(t.pages(7, 8), View::Held).unwrap();
    let pieces = t.host.pieces(t.range).unwrap();
    let expected = [
        (0, 4, View::Held),
        (4, 5, t.view(10, RW)),
        (5, 6, t.view(11, Prot::READ)),
        (6, 7, t.view(12, RW)),
        (7, 64, View::Held),
    ];
    let expected = expected.map(|(from, to, view)| Piece { range: t.pages(from, to), view });
    assert_eq!(pieces, expected);
}

#[test]
fn errno_is_the_callers() {
    let t = Setup::new();
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = 77 };
    assert!(!t.host.is_mapped(0));
    assert!(t.host.is_mapped(t.range.addr()));
    // SAFETY: nothing is mapped at 0.
    let nowhere = unsafe { UserSlice::from_raw_parts(0, 1) };
    assert_eq!(t.host.read_store(t.store, 0, nowhere), Err(HostError::Fault { at: 0 }));
    // A store of a wild number, closed by nobody.
    assert!(t.host.punch(StoreId(i32::MAX as u32), StoreRange::from_bounds(0, P)).is_err());
    assert_eq!(futex::wait(nowhere.addr(), 0, Some(0)), Err(futex::FutexError::Fault));
    // SAFETY: as above.
    assert_eq!(unsafe { *libc::__errno_location() }, 77);
}
