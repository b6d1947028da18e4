//! A model of memfd stores, mappings and page tables: the same on every run, and strict.
//!
//! 1. Nothing comes from outside: no system call, no clock, no chance. It runs under Miri.
//! 2. Where the contract of [`Host`] leaves freedom, the model does what Linux does, page by page; limits are set by
//!    [`SimConfig`]. After `NoMemory`, `commit` has filled the lowest pages, as far as the memory went (none at all if
//!    the range is larger than all memory), and `protect` has changed the lowest VMAs, as far as the limit allowed.
//! 3. A caller who breaks the contract gets a panic that says how. Every check comes before any change, so the model is
//!    still whole after such a panic.
//! 4. The simulated addresses are numbers only: tests reach them through [`SimHost::load`] and [`SimHost::store`].
//!    Callers' buffers are real memory, and are never touched while the lock is held.
//! 5. A page-table entry exists only for a committed page.

mod memory;
mod runs;
mod space;
mod store;
#[cfg(test)]
mod tests;

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use self::memory::Memory;
use self::runs::RunSet;
use self::space::{Space, bounds};
use self::store::Store;
use crate::addr::{AddrRange, PAGE_SIZE, StoreRange, round_down};
use crate::api::{
    Access, Answer, FaultSink, Halfway, Host, HostError, HostResult, Piece, PressureSink, Prot, Room, RunSink,
    STORE_SIZE, StoreId, Thread, View, Wait, Waiting, Watch,
};
use crate::user::{UserFault, UserRef, UserSlice};

/// How much the simulated machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimConfig {
    /// Stores open at once; beyond: [`HostError::NoDescriptors`].
    pub stores_max: usize,
    /// Committed pages over all stores; beyond: [`HostError::NoMemory`].
    pub memory_pages_max: u64,
    /// VMAs over all reservations; beyond: [`HostError::NoMemory`].
    pub vmas_max: usize,
}

impl Default for SimConfig {
    /// More than a test of ordinary size needs; as many VMAs as Linux gives.
    fn default() -> Self {
        Self { stores_max: 65_536, memory_pages_max: 1 << 20, vmas_max: 65_530 }
    }
}

/// Why a simulated processor could not finish a load or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimFault {
    /// The address is in no reservation.
    #[error("not mapped")]
    NotMapped,
    /// The page shows nothing ([`View::Held`]).
    #[error("held inaccessible")]
    Held,
    /// The page shows a store, but not for this access.
    #[error("denied by the protection")]
    Denied,
    /// The page was absent, or shared, and there is no memory for it.
    #[error("no memory for an absent page")]
    NoMemory,
    /// The thread would wait, for somebody who is to wake it.
    #[error("waiting")]
    Waits,
    /// The thread would get the signal for a bus error, with this error number.
    #[error("refused with error {0}")]
    Refused(i32),
}

/// The simulated operating system.
pub struct SimHost {
    state: Mutex<State>,
    sink: Mutex<Option<Weak<dyn FaultSink>>>,
    memory: Memory,
}

/// How often a simulated access that waits asks the sink before it is given up: on Linux it would wait on.
const ASKS_MAX: usize = 64;

/// Whoever calls is one and the same simulated thread.
const THREAD: Thread = Thread(1);

/// What an access meets.
enum Touch {
    /// This byte of this store.
    Done(StoreId, u64),
    /// It has to wait.
    Wait(Wait),
}

#[derive(Debug)]
struct State {
    config: SimConfig,
    /// The open ones, and the closed ones that something still maps.
    stores: BTreeMap<StoreId, Store>,
    /// Numbers are never used twice, so that a use after close is found.
    next_store: u32,
    stores_open: usize,
    /// Committed bytes over all stores.
    committed: u64,
    space: Space,
}

impl Default for SimHost {
    /// With the default limits.
    fn default() -> Self {
        Self::new(SimConfig::default())
    }
}

impl SimHost {
    /// A machine with nothing on it.
    pub fn new(config: SimConfig) -> Self {
        let state = State {
            config,
            stores: BTreeMap::new(),
            next_store: 0,
            stores_open: 0,
            committed: 0,
            space: Space::new(config.vmas_max),
        };
        Self { state: Mutex::new(state), sink: Mutex::new(None), memory: Memory::default() }
    }

    /// Loads a byte as the processor would: an absent page is committed, a page-table entry made.
    ///
    /// # Errors
    /// The fault the thread would get; nothing has changed.
    pub fn load(&self, addr: u64) -> Result<u8, SimFault> {
        let mut byte = [0];
        self.access(addr, Prot::READ, |state, store, at| state.stores[&store].read(at, &mut byte))?;
        Ok(byte[0])
    }

    /// Stores a byte as the processor would: an absent page is committed, a page-table entry made.
    ///
    /// # Errors
    /// The fault the thread would get; nothing has changed.
    pub fn store(&self, addr: u64, byte: u8) -> Result<(), SimFault> {
        self.access(addr, Prot::WRITE, |state, store, at| state.live(store).write(at, &[byte]))
    }

    /// Does the access, after asking the sink as long as it has to wait.
    fn access(&self, addr: u64, needed: Prot, act: impl FnOnce(&mut State, StoreId, u64)) -> Result<(), SimFault> {
        for _ in 0..ASKS_MAX {
            let mut state = self.lock();
            let reason = match state.touch(addr, needed)? {
                Touch::Done(store, at) => {
                    act(&mut state, store, at);
                    return Ok(());
                }
                Touch::Wait(reason) => reason,
            };
            drop(state);
            let sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Weak::upgrade);
            let sink = sink.expect("contract: a page is watched, and nobody serves faults");
            let store = needed.contains(Prot::WRITE);
            match sink.fault(Waiting { page: round_down(addr), reason, store, thread: THREAD }) {
                Answer::Again | Answer::LetGo => {}
                Answer::Later => return Err(SimFault::Waits),
                Answer::Fail(error) => return Err(SimFault::Refused(error)),
            }
        }
        Err(SimFault::NoMemory)
    }

    /// Committed pages over all stores, the closed ones that are still mapped included.
    pub fn memory_pages(&self) -> u64 {
        self.lock().committed / PAGE_SIZE
    }

    /// Stores that are open.
    pub fn store_count(&self) -> usize {
        self.lock().stores_open
    }

    /// VMAs over all reservations, counted after merging as Linux does; `Held` pieces count too.
    pub fn vma_count(&self) -> usize {
        self.lock().space.vma_count()
    }

    /// Pages of `range` that have a page-table entry.
    pub fn entries(&self, range: AddrRange) -> u64 {
        self.lock().space.entries.runs(bounds(range)).map(|run| run.end - run.start).sum::<u64>() / PAGE_SIZE
    }

    /// Gives `put` what the store holds, page by page and without the lock. `put` also gets how much it had before.
    fn read_with(
        &self,
        store: StoreId,
        at: u64,
        len: usize,
        mut put: impl FnMut(usize, &[u8]) -> Result<(), UserFault>,
    ) -> HostResult {
        self.lock().open(store);
        check_in_store(at, len as u64);
        let mut bounce = [0; PAGE_SIZE as usize];
        let mut done = 0;
        while done < len {
            let from = at + done as u64;
            let bytes = &mut bounce[..within_page(from, len - done)];
            self.lock().open(store).read(from, bytes);
            put(done, bytes).map_err(|fault| HostError::Fault { at: fault.at })?;
            done += bytes.len();
        }
        Ok(())
    }

    /// Overwrites the store with what `get` gives, page by page and without the lock. `get` also gets how much it gave
    /// before; its faults are at addresses that start at `addr`.
    fn write_with(
        &self,
        store: StoreId,
        at: u64,
        addr: usize,
        len: usize,
        mut get: impl FnMut(usize, &mut [u8]) -> Result<(), UserFault>,
    ) -> HostResult {
        self.lock().open(store);
        check_in_store(at, len as u64);
        let mut bounce = [0; PAGE_SIZE as usize];
        let mut done = 0;
        while done < len {
            let to = at + done as u64;
            let bytes = &mut bounce[..within_page(to, len - done)];
            let got = get(done, bytes);
            let bytes = match got {
                Ok(()) => &*bytes,
                Err(fault) => &bytes[..fault.at.wrapping_sub(addr.wrapping_add(done))],
            };
            if !bytes.is_empty() {
                let mut state = self.lock();
                state.open(store);
                let page = round_down(to);
                if state.commit(store, page..page + PAGE_SIZE) == page {
                    return Err(HostError::NoMemory);
                }
                state.live(store).write(to, bytes);
            }
            got.map_err(|fault| HostError::Fault { at: fault.at })?;
            done += bytes.len();
        }
        Ok(())
    }

    /// A panic under the lock is a broken contract, found before anything was changed: the state is good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A store that is open.
    fn open(&mut self, store: StoreId) -> &mut Store {
        match self.stores.get_mut(&store) {
            Some(found) if !found.closed => found,
            Some(_) | None => panic!("contract: {store:?} is used, but is not open"),
        }
    }

    /// A store that is open or mapped.
    fn live(&mut self, store: StoreId) -> &mut Store {
        self.stores.get_mut(&store).expect("a store that is mapped is kept")
    }

    /// Commits `range` of a live store from its start on, as far as the memory goes. Returns where that ends.
    fn commit(&mut self, store: StoreId, range: Range<u64>) -> u64 {
        let mut free = self.config.memory_pages_max.saturating_mul(PAGE_SIZE) - self.committed;
        let committed = &mut self.live(store).committed;
        let mut end = range.end;
        for gap in committed.gaps(range.clone()) {
            let len = gap.end - gap.start;
            if free < len {
                end = gap.start + free;
                break;
            }
            free -= len;
        }
        let added = committed.insert(range.start..end);
        self.committed += added;
        end
    }

    /// Frees `range` of a live store, with the entries that lead there.
    fn punch(&mut self, store: StoreId, range: StoreRange) {
        let freed = self.live(store).punch(range.start()..range.end());
        self.committed -= freed;
        self.space.forget_entries(store, range);
    }

    /// Drops the closed ones of `stores` that nothing maps any more.
    fn reap(&mut self, stores: impl IntoIterator<Item = StoreId>) {
        for store in stores {
            let gone = self.stores.get(&store).is_some_and(|found| found.closed) && !self.space.shows(store);
            if gone {
                let store = self.stores.remove(&store).expect("it was just found");
                self.committed -= store.committed.len();
            }
        }
    }

    /// The stores that `range` shows.
    fn stores_in(&self, range: AddrRange) -> Vec<StoreId> {
        let pieces = self.space.pieces(range).into_iter();
        pieces
            .filter_map(|piece| match piece.view {
                View::Held => None,
                View::Store { store, .. } => Some(store),
            })
            .collect()
    }

    /// What `range` shows, all of which shows stores under a protection that has `needed`.
    fn shown(&self, range: AddrRange, needed: Prot) -> Vec<(AddrRange, StoreId, u64)> {
        self.check_reserved(range);
        let pieces = self.space.pieces(range).into_iter();
        pieces
            .map(|piece| match piece.view {
                View::Held => panic!("contract: {:?} is held, not mapped from a store", piece.range),
                View::Store { store, at, prot } => {
                    assert!(prot.contains(needed), "contract: {:?} has {prot:?} without {needed:?}", piece.range);
                    (piece.range, store, at)
                }
            })
            .collect()
    }

    /// The processor's way to a byte.
    fn touch(&mut self, addr: u64, needed: Prot) -> Result<Touch, SimFault> {
        let (store, at, prot) = match self.space.view_at(addr).ok_or(SimFault::NotMapped)? {
            View::Held => return Err(SimFault::Held),
            View::Store { store, at, prot } => (store, at, prot),
        };
        if !prot.contains(needed) {
            return Err(SimFault::Denied);
        }
        let page = round_down(at);
        let here = round_down(addr)..round_down(addr) + PAGE_SIZE;
        let absent = self.live(store).committed.gaps(page..page + PAGE_SIZE).next().is_some();
        let space = &self.space;
        let unentered = space.entries.gaps(here.clone()).next().is_some();
        let waits = |set: &RunSet| set.runs(here.clone()).next().is_some();
        if absent && waits(&space.absent_wait) {
            return Ok(Touch::Wait(Wait::Absent));
        }
        if unentered && waits(&space.unentered_wait) {
            return Ok(Touch::Wait(Wait::Unentered));
        }
        if needed.contains(Prot::WRITE) && waits(&space.guards) {
            return Ok(Touch::Wait(Wait::Guarded));
        }
        if self.commit(store, page..page + PAGE_SIZE) == page {
            return Err(SimFault::NoMemory);
        }
        self.space.entries.insert(here);
        Ok(Touch::Done(store, at))
    }

    /// No access to a page of `range` waits: populating it by hand would wait for ever.
    fn check_open(&self, range: AddrRange, access: Access) {
        for (piece, store, at) in self.shown(range, Prot::empty()) {
            let absent: Vec<_> = self.stores[&store].committed.gaps(at..at + piece.len()).collect();
            for gap in absent {
                let here = piece.start() + (gap.start - at)..piece.start() + (gap.end - at);
                let waits = self.space.absent_wait.runs(here).next();
                assert!(waits.is_none(), "contract: populating {range:?}, where {waits:?} waits");
            }
        }
        let guard = self.space.guards.runs(bounds(range)).next().filter(|_| access == Access::Write);
        assert!(guard.is_none(), "contract: populating {range:?}, where {guard:?} is guarded");
    }

    fn check_watched(&self, range: AddrRange) {
        self.shown(range, Prot::empty());
        assert!(self.space.is_watched(range), "contract: {range:?} is not watched");
    }

    fn check_reserved(&self, range: AddrRange) {
        assert!(
            range.is_empty() || self.space.is_reserved(range),
            "contract: {range:?} does not lie in one reservation"
        );
    }
}

fn check_in_store(at: u64, len: u64) {
    assert!(
        at.checked_add(len).is_some_and(|end| end <= STORE_SIZE),
        "contract: {len:#x} bytes at {at:#x} go beyond the end of the store"
    );
}

fn check_prot(prot: Prot) {
    assert!(prot.is_empty() || prot.contains(Prot::READ), "contract: {prot:?} without READ");
}

/// How many of `left` bytes from `at` on lie in its page.
fn within_page(at: u64, left: usize) -> usize {
    left.min((PAGE_SIZE - at % PAGE_SIZE) as usize)
}

impl SimHost {
    fn show(&self, range: AddrRange, view: View, from: Room) -> HostResult {
        let mut state = self.lock();
        state.check_reserved(range);
        match view {
            View::Held => {}
            View::Store { store, at, prot } => {
                state.open(store);
                assert!(at.is_multiple_of(PAGE_SIZE), "contract: mapping from {at:#x}, not page-aligned");
                check_in_store(at, range.len());
                check_prot(prot);
            }
        }
        let stores = state.stores_in(range);
        state.space.map(range, view, from)?;
        state.reap(stores);
        Ok(())
    }
}

impl Host for SimHost {
    fn create_store(&self) -> HostResult<StoreId> {
        let mut state = self.lock();
        if state.stores_open >= state.config.stores_max {
            return Err(HostError::NoDescriptors);
        }
        let store = StoreId(state.next_store);
        state.next_store = store.0.checked_add(1).ok_or(HostError::NoDescriptors)?;
        state.stores_open += 1;
        state.stores.insert(store, Store::default());
        Ok(store)
    }

    fn close_store(&self, store: StoreId) {
        let mut state = self.lock();
        state.open(store).closed = true;
        state.stores_open -= 1;
        state.reap([store]);
    }

    fn read_store(&self, store: StoreId, at: u64, to: UserSlice<'_>) -> HostResult {
        self.read_with(store, at, to.len(), |done, bytes| to.part(done, bytes.len()).fill_from(bytes))
    }

    fn write_store(&self, store: StoreId, at: u64, from: UserRef<'_>) -> HostResult {
        self.write_with(store, at, from.addr(), from.len(), |done, bytes| from.part(done, bytes.len()).copy_to(bytes))
    }

    fn copy(&self, store: StoreId, from: StoreRange, to: StoreId, at: u64) -> Result<(), Halfway> {
        let mut state = self.lock();
        state.open(store);
        state.open(to);
        check_in_store(from.start(), from.len());
        check_in_store(at, from.len());
        let there = state.live(to).committed.runs(at..at + from.len()).next();
        assert_eq!(there, None, "contract: pages are there where {from:?} is to go");
        let end = state.commit(to, at..at + from.len());
        let mut bytes = [0; PAGE_SIZE as usize];
        for page in (at..end).step_by(PAGE_SIZE as usize) {
            state.live(store).read(from.start() + (page - at), &mut bytes);
            state.live(to).write(page, &bytes);
        }
        let done = end - at;
        if done < from.len() { Err(Halfway { done, error: HostError::NoMemory }) } else { Ok(()) }
    }

    fn commit(&self, store: StoreId, range: StoreRange, window: Option<AddrRange>) -> HostResult {
        let mut state = self.lock();
        state.open(store);
        check_in_store(range.start(), range.len());
        if let Some(window) = window {
            assert_eq!(window.len(), range.len(), "contract: {window:?} is not as long as {range:?}");
            for (piece, shown, at) in state.shown(window, Prot::WRITE) {
                let expected = (store, range.start() + (piece.start() - window.start()));
                assert_eq!((shown, at), expected, "contract: {window:?} does not show {range:?} of {store:?}");
            }
            state.check_open(window, Access::Write);
        }
        if range.pages() > state.config.memory_pages_max {
            return Err(HostError::NoMemory); // like `LinuxHost`: does not even begin what can never fit
        }
        let end = state.commit(store, range.start()..range.end());
        if let Some(window) = window {
            state.space.entries.insert(window.start()..window.start() + (end - range.start()));
        }
        if end < range.end() { Err(HostError::NoMemory) } else { Ok(()) }
    }

    fn punch(&self, store: StoreId, range: StoreRange) -> HostResult {
        let mut state = self.lock();
        state.open(store);
        check_in_store(range.start(), range.len());
        state.punch(store, range);
        Ok(())
    }

    fn committed_runs(&self, store: StoreId, range: StoreRange, sink: RunSink<'_, StoreRange>) -> HostResult {
        check_in_store(range.start(), range.len());
        // The sink may call the host: it runs after the lock is let go.
        let runs: Vec<_> = self.lock().open(store).committed.runs(range.start()..range.end()).collect();
        for run in runs {
            sink(StoreRange::from_bounds(run.start, run.end));
        }
        Ok(())
    }

    fn reserve(&self, len: u64) -> HostResult<AddrRange> {
        assert!(len > 0 && len.is_multiple_of(PAGE_SIZE), "contract: reserving {len:#x} bytes, not whole pages");
        self.lock().space.reserve(len)
    }

    fn release(&self, range: AddrRange) {
        let mut state = self.lock();
        state.check_reserved(range);
        let stores = state.stores_in(range);
        state.space.release(range);
        state.reap(stores);
    }

    fn commit_max(&self) -> u64 {
        self.lock().config.memory_pages_max.saturating_mul(PAGE_SIZE)
    }

    fn restore(&self, range: AddrRange, view: View) -> HostResult {
        self.show(range, view, Room::Reserve)
    }

    fn map(&self, range: AddrRange, view: View) -> HostResult {
        match view {
            View::Held => self.restore(range, view),
            View::Store { .. } => self.show(range, view, Room::Ordinary),
        }
    }

    fn protect(&self, range: AddrRange, prot: Prot, room: Room) -> HostResult {
        check_prot(prot);
        let mut state = self.lock();
        state.shown(range, Prot::empty());
        state.space.protect(range, prot, room)
    }

    fn populate(&self, range: AddrRange, access: Access) -> HostResult {
        let needed = match access {
            Access::Read => Prot::READ,
            Access::Write => Prot::WRITE,
        };
        let mut state = self.lock();
        state.check_open(range, access);
        let mut filled = Vec::new();
        for (piece, store, at) in state.shown(range, needed) {
            let wanted = StoreRange::from_bounds(at, at + piece.len());
            let gaps: Vec<_> = state.live(store).committed.gaps(at..wanted.end()).collect();
            filled.extend(gaps.into_iter().map(|gap| (store, gap)));
            if state.commit(store, at..wanted.end()) < wanted.end() {
                // A call that fails has changed nothing: what was absent before is absent again.
                for (store, gap) in filled {
                    state.punch(store, StoreRange::from_bounds(gap.start, gap.end));
                }
                return Err(HostError::NoMemory);
            }
        }
        state.space.entries.insert(bounds(range));
        Ok(())
    }

    fn absent_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
        let state = self.lock();
        state.check_reserved(range);
        let runs: Vec<_> = state.space.entries.gaps(bounds(range)).collect();
        drop(state);
        for run in runs {
            sink(AddrRange::from_bounds(run.start, run.end));
        }
        Ok(())
    }

    fn serve_faults(&self, sink: Weak<dyn FaultSink>) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    fn can_watch(&self) -> HostResult {
        Ok(())
    }

    /// Nobody waits here: an access that would says so, and is gone.
    fn wake(&self, _range: AddrRange) {}

    /// As for `wake`.
    fn fail(&self, _thread: Thread, _addr: u64, _error: i32) {}

    fn watch(&self, range: AddrRange, what: Watch, room: Room) -> HostResult {
        let mut state = self.lock();
        state.shown(range, Prot::empty());
        state.space.watch(range, what, room)
    }

    fn guard(&self, range: AddrRange) -> HostResult {
        let mut state = self.lock();
        state.check_watched(range);
        state.space.guards.insert(bounds(range));
        Ok(())
    }

    fn unguard(&self, range: AddrRange) -> HostResult {
        let mut state = self.lock();
        state.check_reserved(range);
        state.space.guards.remove(bounds(range));
        Ok(())
    }

    fn unfreeze(&self, range: AddrRange) -> HostResult {
        let mut state = self.lock();
        state.check_reserved(range);
        state.space.end_watch(range);
        Ok(())
    }

    fn drop_entries(&self, ranges: &[AddrRange]) -> HostResult {
        let mut state = self.lock();
        for &range in ranges {
            state.check_reserved(range);
            state.space.entries.remove(bounds(range));
        }
        Ok(())
    }

    fn unguarded_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
        let runs: Vec<_> = self.lock().space.guards.gaps(bounds(range)).collect();
        for run in runs {
            sink(AddrRange::from_bounds(run.start, run.end));
        }
        Ok(())
    }

    /// Outside the reservations is the real process, where tests have their buffers; only its first page is surely
    /// free.
    fn is_mapped(&self, addr: usize) -> bool {
        addr as u64 >= PAGE_SIZE
    }

    fn watch_memory(&self, sink: Weak<dyn PressureSink>) -> HostResult {
        self.begin_watch(sink);
        Ok(())
    }

    fn memory_left(&self) -> HostResult<u64> {
        Ok(self.left_of_memory())
    }

    fn memory_total(&self) -> HostResult<u64> {
        Ok(self.all_memory())
    }

    fn look_at_memory(&self) {
        self.tell_memory_left();
    }

    fn pieces(&self, range: AddrRange) -> HostResult<Vec<Piece>> {
        let state = self.lock();
        state.check_reserved(range);
        Ok(state.space.pieces(range))
    }
}

impl fmt::Debug for SimHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("SimHost")
            .field("config", &state.config)
            .field("stores_open", &state.stores_open)
            .field("memory_pages", &(state.committed / PAGE_SIZE))
            .field("vmas", &state.space.vma_count())
            .finish()
    }
}
