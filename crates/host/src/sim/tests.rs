//! Each point of the contract of [`Host`], and a page-by-page model that the whole is compared with.

use super::*;

const P: u64 = PAGE_SIZE;
const RW: Prot = Prot::READ.union(Prot::WRITE);

fn sim() -> SimHost {
    SimHost::new(SimConfig::default())
}

/// `pages` pages, from page `first` of `range` on.
fn part(range: AddrRange, first: u64, pages: u64) -> AddrRange {
    AddrRange::from_bounds(range.start() + first * P, range.start() + (first + pages) * P)
}

fn pages(first: u64, pages: u64) -> StoreRange {
    StoreRange::from_bounds(first * P, (first + pages) * P)
}

fn shows(store: StoreId, first: u64, prot: Prot) -> View {
    View::Store { store, at: first * P, prot }
}

fn committed(host: &SimHost, store: StoreId, range: StoreRange) -> Vec<StoreRange> {
    let mut runs = Vec::new();
    host.committed_runs(store, range, &mut |run| runs.push(run)).unwrap();
    runs
}

fn absent(host: &SimHost, range: AddrRange) -> Vec<AddrRange> {
    let mut runs = Vec::new();
    host.absent_runs(range, &mut |run| runs.push(run)).unwrap();
    runs
}

fn write(host: &SimHost, store: StoreId, at: u64, bytes: &[u8]) {
    host.write_store(store, at, UserRef::from(bytes)).unwrap();
}

fn read(host: &SimHost, store: StoreId, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    host.read_store(store, at, UserSlice::from(&mut bytes[..])).unwrap();
    bytes
}

/// A store of which `count` pages, from its page 0 on, are mapped at the start of a reservation of `count` pages.
fn mapped(host: &SimHost, count: u64, prot: Prot) -> (StoreId, AddrRange) {
    let store = host.create_store().unwrap();
    let range = host.reserve(count * P).unwrap();
    host.map(range, shows(store, 0, prot)).unwrap();
    (store, range)
}

// Stores.

#[test]
fn reading_an_absent_page_gives_zeros_and_commits_nothing() {
    let host = sim();
    let store = host.create_store().unwrap();
    assert_eq!(read(&host, store, P - 2, 5), [0; 5]);
    assert_eq!(host.memory_pages(), 0);
}

#[test]
fn writing_commits_the_pages_written() {
    let host = sim();
    let store = host.create_store().unwrap();
    let bytes: Vec<u8> = (0..P as usize + 4).map(|i| i as u8 | 1).collect();
    write(&host, store, 2 * P - 2, &bytes);
    assert_eq!(committed(&host, store, pages(0, 10)), [pages(1, 3)]);
    assert_eq!(read(&host, store, 2 * P - 2, bytes.len()), bytes);
    assert_eq!(read(&host, store, 2 * P - 3, 1), [0]);
    write(&host, store, 8 * P, &[0]);
    assert_eq!(committed(&host, store, pages(0, 10)), [pages(1, 3), pages(8, 1)], "zeros are content too");
}

#[test]
fn transfers_reach_the_last_byte_of_a_store() {
    let host = sim();
    let store = host.create_store().unwrap();
    write(&host, store, STORE_SIZE - 1, &[7]);
    assert_eq!(read(&host, store, STORE_SIZE - 2, 2), [0, 7]);
}

#[test]
fn bytes_before_a_fault_have_been_copied() {
    let host = sim();
    let store = host.create_store().unwrap();
    write(&host, store, 0, &[1; 3 * PAGE_SIZE as usize]);
    host.punch(store, pages(2, 4)).unwrap();
    // A buffer of three pages at 0x10_0000, of which everything from 0x10_1005 on is missing.
    let (addr, hole) = (0x10_0000, 0x10_1005);
    let accessible = |done: usize, len: usize| match addr + done + len <= hole {
        true => (len, Ok(())),
        false => (hole - (addr + done), Err(UserFault { at: hole })),
    };

    let mut got = Vec::new();
    let result = host.read_with(store, 2, 3 * PAGE_SIZE as usize, |done, bytes| {
        assert!(host.state.try_lock().is_ok(), "the lock is held while the buffer is touched");
        assert_eq!(done, got.len());
        let (len, result) = accessible(done, bytes.len());
        got.extend_from_slice(&bytes[..len]);
        result
    });
    assert_eq!((result, got.len()), (Err(HostError::Fault { at: hole }), hole - addr));

    let result = host.write_with(store, P + 1, addr, 3 * PAGE_SIZE as usize, |done, bytes| {
        assert!(host.state.try_lock().is_ok(), "the lock is held while the buffer is touched");
        let (len, result) = accessible(done, bytes.len());
        bytes[..len].fill(2);
        result
    });
    assert_eq!(result, Err(HostError::Fault { at: hole }));
    assert_eq!(read(&host, store, 2 * P + 5, 2), [2, 0]);
    assert_eq!(committed(&host, store, pages(0, 6)), [pages(0, 3)]);
    assert_eq!(read(&host, store, P, 2), [1, 2]);
}

#[test]
fn a_fault_at_the_first_byte_of_a_page_commits_nothing() {
    let host = sim();
    let store = host.create_store().unwrap();
    let result = host.write_with(store, 0, 0, 1, |_, _| Err(UserFault { at: 0 }));
    assert_eq!((result, host.memory_pages()), (Err(HostError::Fault { at: 0 }), 0));
}

#[test]
fn commit_keeps_content_and_makes_entries_in_the_window() {
    let host = sim();
    let (store, range) = mapped(&host, 4, RW);
    write(&host, store, P, &[5]);
    host.commit(store, pages(0, 2), None).unwrap();
    assert_eq!((host.memory_pages(), host.entries(range)), (2, 0));
    host.commit(store, pages(1, 2), Some(part(range, 1, 2))).unwrap();
    assert_eq!((host.memory_pages(), host.entries(range)), (3, 2));
    assert_eq!(absent(&host, range), [part(range, 0, 1), part(range, 3, 1)]);
    assert_eq!(read(&host, store, P, 1), [5]);
}

#[test]
fn a_window_may_consist_of_several_pieces() {
    let host = sim();
    let (store, range) = mapped(&host, 4, RW);
    host.protect(part(range, 2, 2), RW | Prot::EXECUTE, Room::Ordinary).unwrap();
    host.commit(store, pages(0, 4), Some(range)).unwrap();
    assert_eq!(host.entries(range), 4);
}

#[test]
fn punching_frees_and_shows_zeros_in_every_mapping() {
    let host = sim();
    let (store, first) = mapped(&host, 4, RW);
    let second = host.reserve(4 * P).unwrap();
    host.map(part(second, 1, 3), shows(store, 1, Prot::READ)).unwrap();
    host.store(first.start() + 2 * P, 9).unwrap();
    host.populate(first, Access::Read).unwrap();
    host.populate(part(second, 1, 3), Access::Read).unwrap();
    assert_eq!(host.load(second.start() + 2 * P), Ok(9));
    host.punch(store, pages(2, 1)).unwrap();
    assert_eq!(absent(&host, first), [part(first, 2, 1)]);
    assert_eq!(absent(&host, second), [part(second, 0, 1), part(second, 2, 1)]);
    assert_eq!(committed(&host, store, pages(0, 4)), [pages(0, 2), pages(3, 1)]);
    assert_eq!(host.memory_pages(), 3);
    assert_eq!(host.load(second.start() + 2 * P), Ok(0));
}

#[test]
fn committed_runs_are_clipped_and_never_touch() {
    let host = sim();
    let store = host.create_store().unwrap();
    for (first, count) in [(0, 2), (2, 2), (6, 1)] {
        host.commit(store, pages(first, count), None).unwrap();
    }
    assert_eq!(committed(&host, store, pages(0, 10)), [pages(0, 4), pages(6, 1)]);
    assert_eq!(committed(&host, store, pages(1, 2)), [pages(1, 2)]);
    assert_eq!(committed(&host, store, pages(4, 2)), []);
}

#[test]
fn a_sink_may_call_the_host() {
    let host = sim();
    let (store, range) = mapped(&host, 2, RW);
    host.commit(store, pages(0, 1), None).unwrap();
    host.committed_runs(store, pages(0, 2), &mut |run| host.punch(store, run).unwrap()).unwrap();
    assert_eq!(host.memory_pages(), 0);
    host.absent_runs(range, &mut |run| host.populate(run, Access::Write).unwrap()).unwrap();
    assert_eq!(host.memory_pages(), 2);
}

#[test]
fn a_closed_store_lives_until_its_last_mapping_goes() {
    let host = sim();
    let (store, range) = mapped(&host, 4, RW);
    host.store(range.start() + P, 3).unwrap();
    host.close_store(store);
    assert_eq!((host.store_count(), host.memory_pages()), (0, 1));
    assert_eq!(host.load(range.start() + P), Ok(3));
    host.populate(part(range, 2, 1), Access::Write).unwrap();
    host.protect(part(range, 0, 3), Prot::READ, Room::Ordinary).unwrap();
    assert_eq!(host.memory_pages(), 2);
    host.map(part(range, 1, 3), View::Held).unwrap();
    assert_eq!(host.memory_pages(), 2, "page 0 still shows it");
    host.map(part(range, 0, 1), View::Held).unwrap();
    assert_eq!(host.memory_pages(), 0);
}

#[test]
fn an_unmapped_store_goes_when_closed_and_a_release_drops_the_rest() {
    let host = sim();
    let unmapped = host.create_store().unwrap();
    host.commit(unmapped, pages(0, 3), None).unwrap();
    host.close_store(unmapped);
    assert_eq!(host.memory_pages(), 0);
    let (store, range) = mapped(&host, 2, RW);
    host.populate(range, Access::Write).unwrap();
    host.close_store(store);
    host.release(range);
    assert_eq!((host.memory_pages(), host.vma_count(), host.entries(range)), (0, 0, 0));
}

// Address space.

#[test]
fn a_reservation_is_held_and_apart_from_others() {
    let host = sim();
    let (a, b) = (host.reserve(4 * P).unwrap(), host.reserve(2 * P).unwrap());
    assert!(a.end() < b.start());
    assert_eq!(host.pieces(a).unwrap(), [Piece { range: a, view: View::Held }]);
    assert_eq!(absent(&host, a), [a]);
    assert_eq!(host.load(a.start()), Err(SimFault::Held));
    assert_eq!(host.load(a.end()), Err(SimFault::NotMapped));
    host.release(a);
    assert_eq!(host.load(a.start()), Err(SimFault::NotMapped));
    assert_eq!(host.reserve(4 * P).unwrap(), a, "given back, it can be had again");
    let c = host.reserve(P).unwrap();
    assert!(c.start() > b.end());
}

#[test]
fn addresses_run_out() {
    let host = sim();
    assert_eq!(host.reserve(1 << 47), Err(HostError::NoMemory));
    let half = host.reserve(1 << 46).unwrap();
    assert_eq!(host.reserve(1 << 46), Err(HostError::NoMemory));
    assert_eq!(host.reserve(u64::MAX - P + 1), Err(HostError::NoMemory));
    host.release(half);
    assert_eq!(host.reserve(1 << 46), Ok(half));
}

#[test]
fn mapping_replaces_what_was_there_with_its_entries() {
    let host = sim();
    let (a, range) = mapped(&host, 4, RW);
    let b = host.create_store().unwrap();
    host.populate(range, Access::Write).unwrap();
    host.map(part(range, 1, 2), shows(b, 7, Prot::READ)).unwrap();
    assert_eq!(
        host.pieces(range).unwrap(),
        [
            Piece { range: part(range, 0, 1), view: shows(a, 0, RW) },
            Piece { range: part(range, 1, 2), view: shows(b, 7, Prot::READ) },
            Piece { range: part(range, 3, 1), view: shows(a, 3, RW) },
        ]
    );
    assert_eq!(absent(&host, range), [part(range, 1, 2)]);
    host.map(part(range, 1, 2), View::Held).unwrap();
    assert_eq!(host.pieces(part(range, 1, 1)).unwrap(), [Piece { range: part(range, 1, 1), view: View::Held }]);
    assert_eq!(host.memory_pages(), 4, "unmapping frees nothing");
}

#[test]
fn protect_keeps_entries_and_changes_what_is_allowed() {
    let host = sim();
    let (store, range) = mapped(&host, 3, RW);
    host.populate(range, Access::Write).unwrap();
    host.protect(part(range, 1, 1), Prot::READ, Room::Ordinary).unwrap();
    assert_eq!(host.entries(range), 3);
    assert_eq!(host.store(range.start() + P, 1), Err(SimFault::Denied));
    assert_eq!(host.load(range.start() + P), Ok(0));
    host.protect(range, Prot::empty(), Room::Ordinary).unwrap();
    assert_eq!(host.entries(range), 3);
    assert_eq!(host.load(range.start()), Err(SimFault::Denied));
    assert_eq!(host.pieces(range).unwrap(), [Piece { range, view: shows(store, 0, Prot::empty()) }]);
}

#[test]
fn populate_commits_absent_pages() {
    let host = sim();
    let (store, range) = mapped(&host, 4, Prot::READ);
    write(&host, store, P, &[6]);
    host.populate(part(range, 1, 2), Access::Read).unwrap();
    assert_eq!((host.memory_pages(), host.entries(range)), (2, 2));
    assert_eq!(read(&host, store, P, 1), [6]);
}

#[test]
fn the_processor_faults_pages_in_one_by_one() {
    let host = sim();
    let (store, range) = mapped(&host, 4, RW);
    assert_eq!(host.load(range.start() + P + 5), Ok(0));
    assert_eq!(committed(&host, store, pages(0, 4)), [pages(1, 1)]);
    host.store(range.start() + 3 * P + 1, 8).unwrap();
    assert_eq!(absent(&host, range), [part(range, 0, 1), part(range, 2, 1)]);
    assert_eq!(read(&host, store, 3 * P, 3), [0, 8, 0]);
}

#[test]
fn only_the_first_page_of_the_process_is_surely_free() {
    let host = sim();
    let range = host.reserve(P).unwrap();
    let local = 0u8;
    assert!(host.is_mapped(range.addr()) && host.is_mapped((&raw const local).addr()));
    assert!(!host.is_mapped(0) && !host.is_mapped(P as usize - 1));
}

#[test]
fn empty_ranges_are_legal_and_change_nothing() {
    let host = sim();
    let (store, range) = mapped(&host, 2, RW);
    let (no_addr, no_page) = (part(range, 1, 0), pages(1, 0));
    host.map(no_addr, View::Held).unwrap();
    host.protect(no_addr, Prot::READ, Room::Ordinary).unwrap();
    host.populate(no_addr, Access::Write).unwrap();
    host.commit(store, no_page, Some(no_addr)).unwrap();
    host.punch(store, no_page).unwrap();
    assert_eq!((absent(&host, no_addr), committed(&host, store, no_page)), (vec![], vec![]));
    assert_eq!(host.pieces(no_addr).unwrap(), []);
    assert_eq!(host.pieces(range).unwrap(), [Piece { range, view: shows(store, 0, RW) }]);
    assert_eq!((host.memory_pages(), host.vma_count()), (0, 1));
}

// Limits.

#[test]
fn vmas_merge_only_when_equal_and_contiguous() {
    let host = sim();
    let range = host.reserve(8 * P).unwrap();
    let (a, b) = (host.create_store().unwrap(), host.create_store().unwrap());
    let steps = [
        (part(range, 2, 2), shows(a, 2, RW), 3),
        (part(range, 4, 2), shows(a, 4, RW), 3),         // continues to the right
        (part(range, 1, 1), shows(a, 1, RW), 3),         // and to the left
        (part(range, 6, 1), shows(a, 5, RW), 4),         // not contiguous
        (part(range, 6, 1), shows(b, 6, RW), 4),         // another store
        (part(range, 6, 1), shows(a, 6, Prot::READ), 4), // another protection
        (part(range, 6, 1), shows(a, 6, RW), 3),
        (part(range, 3, 1), shows(a, 3, RW), 3), // the same again, in the middle
        (part(range, 3, 1), View::Held, 5),
        (part(range, 3, 1), shows(a, 3, RW), 3), // closes the gap
        (part(range, 1, 6), View::Held, 1),
    ];
    for (at, view, count) in steps {
        host.map(at, view).unwrap();
        assert_eq!(host.vma_count(), count, "after {view:?} at {at:?}");
    }
}

#[test]
fn beyond_the_vma_limit_nothing_changes() {
    let host = SimHost::new(SimConfig { vmas_max: 3, ..SimConfig::default() });
    let (store, range) = mapped(&host, 6, RW);
    host.populate(range, Access::Write).unwrap();
    host.map(part(range, 1, 1), View::Held).unwrap();
    let before = (host.pieces(range).unwrap(), absent(&host, range));
    assert_eq!(host.map(part(range, 3, 1), shows(store, 0, RW)), Err(HostError::NoMemory));
    assert_eq!(host.map(part(range, 5, 1), shows(store, 0, RW)), Err(HostError::NoMemory));
    assert_eq!(host.reserve(P), Err(HostError::NoMemory));
    assert_eq!((host.pieces(range).unwrap(), absent(&host, range)), before);
    // Giving back and putting back draw on a reserve.
    host.map(part(range, 3, 1), View::Held).unwrap();
    host.restore(part(range, 5, 1), shows(store, 0, RW)).unwrap();
    assert_eq!(host.vma_count(), 6);
    assert_eq!(host.protect(part(range, 4, 1), Prot::READ, Room::Ordinary), Err(HostError::NoMemory));
    host.restore(range, shows(store, 0, RW)).unwrap();
    assert_eq!(host.vma_count(), 1);
}

#[test]
fn protect_stops_where_the_limit_is() {
    let host = SimHost::new(SimConfig { vmas_max: 3, ..SimConfig::default() });
    let (a, range) = mapped(&host, 4, RW);
    let b = host.create_store().unwrap();
    host.map(part(range, 2, 2), shows(b, 0, RW)).unwrap();
    let middle = part(range, 1, 2);
    // Page 1 fits as a third VMA; page 2 does not as a fourth.
    assert_eq!(host.protect(middle, Prot::READ, Room::Ordinary), Err(HostError::NoMemory));
    assert_eq!(host.pieces(middle).unwrap()[0].view, shows(a, 1, Prot::READ));
    assert_eq!(host.pieces(middle).unwrap()[1].view, shows(b, 0, RW));
    host.protect(range, RW, Room::Ordinary).unwrap();
    assert_eq!(host.vma_count(), 2);
}

#[test]
fn descriptors_run_out_and_come_back() {
    let host = SimHost::new(SimConfig { stores_max: 1, ..SimConfig::default() });
    let first = host.create_store().unwrap();
    assert_eq!(host.create_store(), Err(HostError::NoDescriptors));
    host.close_store(first);
    assert_ne!(host.create_store().unwrap(), first, "numbers are never used twice");
}

fn three_pages() -> SimHost {
    SimHost::new(SimConfig { memory_pages_max: 3, ..SimConfig::default() })
}

#[test]
fn commit_fills_what_fits() {
    let host = three_pages();
    let (store, range) = mapped(&host, 4, RW);
    host.commit(store, pages(1, 1), None).unwrap();
    assert_eq!(host.commit(store, pages(0, 4), None), Err(HostError::NoMemory));
    assert_eq!(committed(&host, store, pages(0, 4)), [pages(1, 1)], "larger than all memory: not begun");
    let other = host.create_store().unwrap();
    host.commit(other, pages(0, 1), None).unwrap();
    assert_eq!(host.commit(store, pages(0, 3), Some(part(range, 0, 3))), Err(HostError::NoMemory));
    assert_eq!(committed(&host, store, pages(0, 4)), [pages(0, 2)]);
    assert_eq!(absent(&host, range), [part(range, 2, 2)]);
    host.close_store(other);
    host.commit(store, pages(0, 3), None).unwrap();
}

#[test]
fn populate_without_memory_changes_nothing() {
    let host = three_pages();
    let (store, range) = mapped(&host, 6, RW);
    host.commit(store, pages(1, 1), None).unwrap();
    host.map(part(range, 4, 2), shows(store, 0, RW)).unwrap();
    assert_eq!(host.populate(part(range, 0, 4), Access::Read), Err(HostError::NoMemory));
    assert_eq!(committed(&host, store, pages(0, 6)), [pages(1, 1)]);
    assert_eq!(host.entries(range), 0);
    host.map(part(range, 2, 2), shows(store, 0, RW)).unwrap();
    host.populate(range, Access::Read).unwrap();
    assert_eq!((host.memory_pages(), host.entries(range)), (2, 6), "the same two pages, seen three times");
}

#[test]
fn writes_and_accesses_without_memory_stop_at_the_page() {
    let host = three_pages();
    let (store, range) = mapped(&host, 8, RW);
    host.commit(store, pages(7, 1), None).unwrap();
    let bytes = [4; 3 * PAGE_SIZE as usize];
    assert_eq!(host.write_store(store, 2, UserRef::from(&bytes[..])), Err(HostError::NoMemory));
    assert_eq!(committed(&host, store, pages(0, 7)), [pages(0, 2)]);
    assert_eq!(read(&host, store, 2 * P - 2, 4), [4, 4, 0, 0], "bytes before it have been copied");
    assert_eq!(host.load(range.start() + 2 * P), Err(SimFault::NoMemory));
    assert_eq!(host.store(range.start() + 2 * P, 1), Err(SimFault::NoMemory));
    assert_eq!(host.entries(range), 0);
    host.store(range.start() + P, 1).unwrap();
}

// Broken contracts.

/// What `broken` panics with; the host must be usable afterwards.
fn violation<T: fmt::Debug>(broken: impl FnOnce(&SimHost, StoreId, AddrRange) -> T) -> String {
    let host = sim();
    let (store, range) = mapped(&host, 4, Prot::READ);
    host.map(part(range, 3, 1), View::Held).unwrap();
    let before = (host.pieces(range).unwrap(), host.memory_pages(), host.entries(range), host.store_count());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| broken(&host, store, range)));
    let panic = panic.expect_err("the violation was not noticed");
    let after = (host.pieces(range).unwrap(), host.memory_pages(), host.entries(range), host.store_count());
    assert_eq!(after, before, "a violation changed something");
    let message = panic.downcast_ref::<String>().expect("a message with the numbers in it");
    assert!(message.contains("contract: "), "{message}");
    message.clone()
}

fn assert_violation<T: fmt::Debug>(means: &str, broken: impl FnOnce(&SimHost, StoreId, AddrRange) -> T) {
    let message = violation(broken);
    assert!(message.contains(means), "{message:?} does not say {means:?}");
}

#[test]
fn ranges_must_lie_in_one_reservation() {
    let beyond = |range: AddrRange| part(range, 2, 3);
    let means = "does not lie in one reservation";
    assert_violation(means, |h, s, r| h.map(beyond(r), shows(s, 0, RW)));
    assert_violation(means, |h, _, r| h.protect(beyond(r), Prot::READ, Room::Ordinary));
    assert_violation(means, |h, _, r| h.populate(beyond(r), Access::Read));
    assert_violation(means, |h, _, r| h.absent_runs(beyond(r), &mut |_| ()));
    assert_violation(means, |h, _, r| h.pieces(beyond(r)));
    assert_violation(means, |h, _, r| h.release(beyond(r)));
    assert_violation("which is no reservation", |h, _, r| h.release(part(r, 0, 2)));
    assert_violation("not whole pages", |h, _, _| h.reserve(P + 1));
    assert_violation("not whole pages", |h, _, _| h.reserve(0));
}

#[test]
fn protections_must_make_sense() {
    assert_violation("without READ", |h, s, r| h.map(r, shows(s, 0, Prot::WRITE)));
    assert_violation("without READ", |h, _, r| h.protect(part(r, 0, 1), Prot::EXECUTE, Room::Ordinary));
    assert_violation("is held", |h, _, r| h.protect(r, Prot::READ, Room::Ordinary));
    assert_violation("is held", |h, _, r| h.populate(r, Access::Read));
    assert_violation("without Prot(WRITE)", |h, _, r| h.populate(part(r, 0, 1), Access::Write));
    assert_violation("without Prot(READ)", |h, s, _| {
        let barred = h.reserve(P).unwrap();
        h.map(barred, shows(s, 0, Prot::empty())).unwrap();
        h.populate(barred, Access::Read)
    });
}

#[test]
fn windows_must_show_the_range_for_writing() {
    assert_violation("without Prot(WRITE)", |h, s, r| h.commit(s, pages(0, 1), Some(part(r, 0, 1))));
    assert_violation("is held", |h, s, r| h.commit(s, pages(3, 1), Some(part(r, 3, 1))));
    assert_violation("is not as long as", |h, s, r| h.commit(s, pages(0, 1), Some(part(r, 0, 2))));
    assert_violation("does not show", |h, s, _| {
        let window = h.reserve(P).unwrap();
        h.map(window, shows(s, 1, RW)).unwrap();
        h.commit(s, pages(0, 1), Some(window))
    });
}

#[test]
fn store_offsets_must_exist() {
    let means = "beyond the end of the store";
    let last = STORE_SIZE / P;
    assert_violation(means, |h, s, r| h.map(part(r, 0, 2), shows(s, last - 1, RW)));
    assert_violation(means, |h, s, _| h.commit(s, pages(last, 1), None));
    assert_violation(means, |h, s, _| h.punch(s, pages(last - 1, 2)));
    assert_violation(means, |h, s, _| h.committed_runs(s, pages(last, 1), &mut |_| ()));
    assert_violation(means, |h, s, _| h.read_store(s, STORE_SIZE, UserSlice::from(&mut [0][..])));
    assert_violation(means, |h, s, _| h.write_store(s, u64::MAX, UserRef::from(&[0][..])));
    assert_violation("not page-aligned", |h, store, r| h.map(r, View::Store { store, at: 1, prot: RW }));
}

#[test]
fn closed_stores_must_not_be_used() {
    let closed = |host: &SimHost| {
        let store = host.create_store().unwrap();
        host.close_store(store);
        store
    };
    let means = "is not open";
    assert_violation(means, |h, _, _| h.close_store(closed(h)));
    assert_violation(means, |h, _, _| h.commit(closed(h), pages(0, 1), None));
    assert_violation(means, |h, _, _| h.punch(closed(h), pages(0, 1)));
    assert_violation(means, |h, _, _| h.committed_runs(closed(h), pages(0, 1), &mut |_| ()));
    assert_violation(means, |h, _, _| h.read_store(closed(h), 0, UserSlice::from(&mut [0][..])));
    assert_violation(means, |h, _, _| h.write_store(closed(h), 0, UserRef::from(&[0][..])));
    assert_violation(means, |h, _, r| h.map(r, shows(closed(h), 0, RW)));
}

#[test]
fn a_closed_store_that_is_mapped_must_not_be_used_either() {
    let host = sim();
    let (store, _) = mapped(&host, 1, RW);
    host.close_store(store);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.punch(store, pages(0, 1))));
    assert!(panic.is_err());
}

// Everything together.

/// The same, page by page, without any thought for speed.
struct Naive {
    views: Vec<View>,
    entries: Vec<bool>,
    /// Per store and page: the byte at its start, if committed.
    bytes: Vec<Vec<Option<u8>>>,
    vmas_max: usize,
    memory_pages_max: usize,
}

impl Naive {
    fn vma_count(views: &[View]) -> usize {
        1 + views.windows(2).filter(|pair| space::shifted(pair[0], P) != pair[1]).count()
    }

    fn memory(&self) -> usize {
        self.bytes.iter().flatten().flatten().count()
    }

    /// Commits a page, if there is memory.
    fn commit(&mut self, store: usize, page: usize) -> bool {
        if self.bytes[store][page].is_none() {
            if self.memory() == self.memory_pages_max {
                return false;
            }
            self.bytes[store][page] = Some(0);
        }
        true
    }

    fn shown(&self, page: usize) -> Option<(usize, usize, Prot)> {
        match self.views[page] {
            View::Held => None,
            View::Store { store, at, prot } => Some((store.0 as usize, (at / P) as usize, prot)),
        }
    }

    fn map(&mut self, pages: Range<usize>, view: View) -> bool {
        let mut views = self.views.clone();
        for (i, page) in pages.clone().enumerate() {
            views[page] = space::shifted(view, i as u64 * P);
        }
        // Holding a range gives something back: there is a reserve for that, larger than this machine.
        let fits = view == View::Held || Self::vma_count(&views) <= self.vmas_max;
        if fits {
            self.views = views;
            self.entries[pages].fill(false);
        }
        fits
    }

    fn punch(&mut self, store: usize, pages: Range<usize>) {
        self.bytes[store][pages.clone()].fill(None);
        for page in 0..self.views.len() {
            if self.shown(page).is_some_and(|(s, at, _)| s == store && pages.contains(&at)) {
                self.entries[page] = false;
            }
        }
    }
}

/// Splitmix64: enough chance for a test, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn range(&mut self, n: usize) -> Range<usize> {
        let start = self.below(n);
        start..start + 1 + self.below(n - start)
    }

    fn prot(&mut self) -> Prot {
        [Prot::empty(), Prot::READ, RW, RW, RW][self.below(5)]
    }
}

#[test]
fn random_steps_agree_with_a_page_by_page_model() {
    let (seeds, steps) = if cfg!(miri) { (1, 60) } else { (20, 3000) };
    for seed in 0..seeds {
        random_steps(seed, steps);
    }
}

fn random_steps(seed: u64, steps: usize) {
    const SPACE: usize = 16;
    const STORES: usize = 3;
    let (vmas_max, memory_pages_max) = (9, 20);
    let host = SimHost::new(SimConfig { vmas_max, memory_pages_max: memory_pages_max as u64, ..SimConfig::default() });
    let whole = host.reserve(SPACE as u64 * P).unwrap();
    let stores: Vec<StoreId> = (0..STORES).map(|_| host.create_store().unwrap()).collect();
    let mut naive = Naive {
        views: vec![View::Held; SPACE],
        entries: vec![false; SPACE],
        bytes: vec![vec![None; SPACE]; STORES],
        vmas_max,
        memory_pages_max,
    };
    let mut dice = Dice(seed);
    for step in 0..steps {
        let say = format!("seed {seed}, step {step}");
        let range = dice.range(SPACE);
        let addrs = part(whole, range.start as u64, range.len() as u64);
        let at = pages(range.start as u64, range.len() as u64);
        let (s, prot) = (dice.below(STORES), dice.prot());
        let store = stores[s];
        match dice.below(9) {
            0 | 1 => {
                let view = shows(store, dice.below(SPACE + 1 - range.len()) as u64, prot);
                assert_eq!(host.map(addrs, view).is_ok(), naive.map(range, view), "{say}");
            }
            2 => assert_eq!(host.map(addrs, View::Held).is_ok(), naive.map(range, View::Held), "{say}"),
            3 if range.clone().all(|page| naive.shown(page).is_some()) => {
                // VMA by VMA, up to the first that does not fit.
                let pieces = host.pieces(addrs).unwrap();
                let fits = pieces.iter().all(|piece| {
                    let View::Store { store, at, .. } = piece.view else { unreachable!() };
                    let first = ((piece.range.start() - whole.start()) / P) as usize;
                    let entries = naive.entries.clone();
                    let fits = naive.map(first..first + piece.range.pages() as usize, View::Store { store, at, prot });
                    naive.entries = entries;
                    fits
                });
                assert_eq!(host.protect(addrs, prot, Room::Ordinary).is_ok(), fits, "{say}");
            }
            4 if range.clone().all(|page| naive.shown(page).is_some_and(|(.., prot)| prot.contains(RW))) => {
                let before = naive.bytes.clone();
                let fits = range.clone().all(|page| {
                    let (s, at, _) = naive.shown(page).unwrap();
                    naive.commit(s, at)
                });
                match fits {
                    true => naive.entries[range].fill(true),
                    false => naive.bytes = before,
                }
                assert_eq!(host.populate(addrs, Access::Write).is_ok(), fits, "{say}");
            }
            5 => {
                let fits = range.clone().all(|page| naive.commit(s, page));
                assert_eq!(host.commit(store, at, None).is_ok(), fits, "{say}");
            }
            6 => {
                host.punch(store, at).unwrap();
                naive.punch(s, range);
            }
            7 => {
                let byte = dice.below(3) as u8;
                let fits = naive.commit(s, range.start);
                if fits {
                    naive.bytes[s][range.start] = Some(byte);
                }
                let result = host.write_store(store, at.start(), UserRef::from(&[byte][..]));
                assert_eq!(result.is_ok(), fits, "{say}");
            }
            _ => {
                let byte = dice.below(3) as u8;
                let expected = match naive.shown(range.start) {
                    None => Err(SimFault::Held),
                    Some((.., prot)) if !prot.contains(RW) => Err(SimFault::Denied),
                    Some((s, at, _)) if naive.commit(s, at) => {
                        naive.bytes[s][at] = Some(byte);
                        naive.entries[range.start] = true;
                        Ok(())
                    }
                    Some(_) => Err(SimFault::NoMemory),
                };
                assert_eq!(host.store(addrs.start(), byte), expected, "{say}");
            }
        }
        compare(&host, whole, &stores, &naive, &say);
    }
}

fn compare(host: &SimHost, whole: AddrRange, stores: &[StoreId], naive: &Naive, say: &str) {
    let pieces = host.pieces(whole).unwrap();
    let views: Vec<View> = pieces
        .iter()
        .flat_map(|piece| (0..piece.range.pages()).map(|page| space::shifted(piece.view, page * P)))
        .collect();
    assert_eq!(views, naive.views, "{say}");
    assert_eq!(host.vma_count(), Naive::vma_count(&naive.views), "{say}");
    assert_eq!(pieces.len(), host.vma_count(), "{say}");
    assert_eq!(host.memory_pages(), naive.memory() as u64, "{say}");

    let mut entries = vec![true; naive.entries.len()];
    for run in absent(host, whole) {
        let first = ((run.start() - whole.start()) / P) as usize;
        entries[first..first + run.pages() as usize].fill(false);
    }
    assert_eq!(entries, naive.entries, "{say}");

    for (store, naive) in stores.iter().zip(&naive.bytes) {
        let mut bytes = vec![None; naive.len()];
        for run in committed(host, *store, pages(0, naive.len() as u64)) {
            for at in (run.start()..run.end()).step_by(PAGE_SIZE as usize) {
                bytes[(at / P) as usize] = Some(read(host, *store, at, 1)[0]);
            }
        }
        assert_eq!(&bytes, naive, "{say}");
    }
}
