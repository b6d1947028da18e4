//! A host that fails on demand, for the tests of every way back.
//!
//! 1. Every call that returns a [`HostResult`] is counted while armed, except `pieces` and `unguarded_runs`: audits do not disturb a count.
//! 2. A call that is made to fail does not reach the host beneath: it changes nothing.
//! 3. What is to be done before a call is done once, and without a lock.
//! 4. The lock is not held while the host beneath works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::addr::{AddrRange, StoreRange};
use crate::api::{
    Access, FaultSink, Halfway, Host, HostError, HostResult, Piece, PressureSink, Prot, Room, RunSink, StoreId, Thread,
    View, Watch,
};
use crate::user::{UserRef, UserSlice};

/// How long the failing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One call fails; the undo that follows succeeds.
    Once,
    /// That call and all later ones fail, undo included, until [`FailNth::disarm`].
    From,
}

/// Passes every call on to another host, but makes a chosen one fail.
///
/// ```
/// # use std::sync::Arc;
/// # use zxvm_host::{Host, HostError, fail::{FailNth, Mode}, sim::{SimConfig, SimHost}};
/// let host = FailNth::new(Arc::new(SimHost::new(SimConfig::default())));
/// host.arm(2, HostError::NoMemory, Mode::Once);
/// assert!(host.create_store().is_ok());
/// assert_eq!(host.create_store(), Err(HostError::NoMemory));
/// assert!(host.create_store().is_ok());
/// ```
#[derive(Debug)]
pub struct FailNth<H: ?Sized> {
    plan: Mutex<Plan>,
    before: Mutex<Option<Before>>,
    host: Arc<H>,
}

/// What is done before a call.
struct Before {
    n: u64,
    act: Box<dyn FnOnce() + Send>,
}

impl core::fmt::Debug for Before {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "something before call {}", self.n)
    }
}

#[derive(Debug)]
struct Plan {
    armed: Option<Armed>,
    calls: u64,
    fired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    n: u64,
    error: HostError,
    mode: Mode,
}

impl<H: Host + ?Sized> FailNth<H> {
    /// Wraps `host`; nothing fails before [`FailNth::arm`].
    pub fn new(host: Arc<H>) -> Self {
        Self { plan: Mutex::new(Plan { armed: None, calls: 0, fired: false }), before: Mutex::default(), host }
    }

    /// The host beneath.
    pub fn host(&self) -> &Arc<H> {
        &self.host
    }

    /// From now on, makes the `n`th counted call (the next one is the first) fail with `error`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn arm(&self, n: u64, error: HostError, mode: Mode) {
        assert!(n > 0, "the first call is number 1");
        *self.plan() = Plan { armed: Some(Armed { n, error, mode }), calls: 0, fired: false };
    }

    /// Before the `n`th counted call from here on (the next one is the first) `act` is done, by the thread that makes it: what another thread
    /// could do just then. It may make calls, which are not counted for this.
    pub fn before(&self, n: u64, act: impl FnOnce() + Send + 'static) {
        *self.lock_before() = Some(Before { n, act: Box::new(act) });
    }

    fn lock_before(&self) -> MutexGuard<'_, Option<Before>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act_before(&self) {
        let due = {
            let mut before = self.lock_before();
            if let Some(before) = &mut *before {
                before.n -= 1;
            }
            before.take_if(|before| before.n == 0)
        };
        if let Some(due) = due {
            (due.act)();
        }
    }

    /// Lets every call through again, and stops counting.
    pub fn disarm(&self) {
        self.plan().armed = None;
    }

    /// Counted calls between the last `arm` and the `disarm` after it (or now), failed ones included.
    pub fn calls(&self) -> u64 {
        self.plan().calls
    }

    /// Whether any call was made to fail since the last `arm`.
    pub fn fired(&self) -> bool {
        self.plan().fired
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call. An error means: this one is to fail.
    fn count(&self) -> HostResult {
        self.act_before();
        let mut plan = self.plan();
        let Some(Armed { n, error, mode }) = plan.armed else { return Ok(()) };
        plan.calls += 1;
        let fails = match mode {
            Mode::Once => plan.calls == n,
            Mode::From => plan.calls >= n,
        };
        if fails {
            plan.fired = true;
            return Err(error);
        }
        Ok(())
    }
}

impl<H: Host + ?Sized> Host for FailNth<H> {
    fn create_store(&self) -> HostResult<StoreId> {
        self.count()?;
        self.host.create_store()
    }

    fn close_store(&self, store: StoreId) {
        self.host.close_store(store);
    }

    fn read_store(&self, store: StoreId, at: u64, to: UserSlice<'_>) -> HostResult {
        self.count()?;
        self.host.read_store(store, at, to)
    }

    fn write_store(&self, store: StoreId, at: u64, from: UserRef<'_>) -> HostResult {
        self.count()?;
        self.host.write_store(store, at, from)
    }

    fn copy(&self, store: StoreId, from: StoreRange, to: StoreId, at: u64) -> Result<(), Halfway> {
        self.count().map_err(|error| Halfway { done: 0, error })?;
        self.host.copy(store, from, to, at)
    }

    fn commit(&self, store: StoreId, range: StoreRange, window: Option<AddrRange>) -> HostResult {
        self.count()?;
        self.host.commit(store, range, window)
    }

    fn punch(&self, store: StoreId, range: StoreRange) -> HostResult {
        self.count()?;
        self.host.punch(store, range)
    }

    fn committed_runs(&self, store: StoreId, range: StoreRange, sink: RunSink<'_, StoreRange>) -> HostResult {
        self.count()?;
        self.host.committed_runs(store, range, sink)
    }

    fn reserve(&self, len: u64) -> HostResult<AddrRange> {
        self.count()?;
        self.host.reserve(len)
    }

    fn release(&self, range: AddrRange) {
        self.host.release(range);
    }

    fn map(&self, range: AddrRange, view: View) -> HostResult {
        self.count()?;
        self.host.map(range, view)
    }

    fn restore(&self, range: AddrRange, view: View) -> HostResult {
        self.count()?;
        self.host.restore(range, view)
    }

    fn commit_max(&self) -> u64 {
        self.host.commit_max()
    }

    fn protect(&self, range: AddrRange, prot: Prot, room: Room) -> HostResult {
        self.count()?;
        self.host.protect(range, prot, room)
    }

    fn populate(&self, range: AddrRange, access: Access) -> HostResult {
        self.count()?;
        self.host.populate(range, access)
    }

    fn absent_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
        self.count()?;
        self.host.absent_runs(range, sink)
    }

    fn serve_faults(&self, sink: Weak<dyn FaultSink>) {
        self.host.serve_faults(sink);
    }

    fn can_watch(&self) -> HostResult {
        self.count()?;
        self.host.can_watch()
    }

    fn wake(&self, range: AddrRange) {
        self.host.wake(range);
    }

    fn fail(&self, thread: Thread, addr: u64, error: i32) {
        self.host.fail(thread, addr, error);
    }

    fn watch(&self, range: AddrRange, what: Watch, room: Room) -> HostResult {
        self.count()?;
        self.host.watch(range, what, room)
    }

    fn guard(&self, range: AddrRange) -> HostResult {
        self.count()?;
        self.host.guard(range)
    }

    fn unguard(&self, range: AddrRange) -> HostResult {
        self.count()?;
        self.host.unguard(range)
    }

    fn unfreeze(&self, range: AddrRange) -> HostResult {
        self.count()?;
        self.host.unfreeze(range)
    }

    fn drop_entries(&self, ranges: &[AddrRange]) -> HostResult {
        self.count()?;
        self.host.drop_entries(ranges)
    }

    fn unguarded_runs(&self, range: AddrRange, sink: RunSink<'_, AddrRange>) -> HostResult {
        self.host.unguarded_runs(range, sink)
    }

    fn watch_memory(&self, sink: Weak<dyn PressureSink>) -> HostResult {
        self.count()?;
        self.host.watch_memory(sink)
    }

    fn memory_left(&self) -> HostResult<u64> {
        self.count()?;
        self.host.memory_left()
    }

    fn memory_total(&self) -> HostResult<u64> {
        self.count()?;
        self.host.memory_total()
    }

    fn look_at_memory(&self) {
        self.host.look_at_memory();
    }

    fn is_mapped(&self, addr: usize) -> bool {
        self.host.is_mapped(addr)
    }

    fn pieces(&self, range: AddrRange) -> HostResult<Vec<Piece>> {
        self.host.pieces(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    use crate::addr::PAGE_SIZE;
    use crate::sim::{SimConfig, SimHost};

    /// There never is one.
    #[derive(Debug)]
    enum Nobody {}

    impl PressureSink for Nobody {
        fn memory_left(&self, _left: u64) -> Option<Duration> {
            match *self {}
        }
    }

    fn host() -> FailNth<SimHost> {
        FailNth::new(Arc::new(SimHost::new(SimConfig::default())))
    }

    #[test]
    fn once_fails_exactly_one_call() {
        let host = host();
        assert!(host.create_store().is_ok());
        host.arm(2, HostError::NoDescriptors, Mode::Once);
        assert!(host.create_store().is_ok());
        assert!(!host.fired());
        assert_eq!(host.create_store(), Err(HostError::NoDescriptors));
        assert!(host.fired());
        assert!(host.create_store().is_ok());
        assert_eq!(host.calls(), 3);
        assert_eq!(host.host().store_count(), 3, "the failed call did not reach the host");
    }

    #[test]
    fn from_fails_until_disarmed() {
        let host = host();
        host.arm(2, HostError::NoMemory, Mode::From);
        assert!(host.reserve(PAGE_SIZE).is_ok());
        assert_eq!(host.reserve(PAGE_SIZE), Err(HostError::NoMemory));
        assert_eq!(host.create_store(), Err(HostError::NoMemory));
        host.disarm();
        assert!(host.create_store().is_ok());
        assert_eq!((host.calls(), host.fired()), (3, true), "kept, and not counted on, after disarm");
        host.arm(1, HostError::Permission, Mode::From);
        assert_eq!((host.calls(), host.fired()), (0, false));
    }

    /// One call of each kind, in an order in which all succeed.
    #[test]
    fn every_call_that_can_fail_is_counted_except_pieces() {
        let host = host();
        host.arm(u64::MAX, HostError::NoMemory, Mode::Once);
        let expect = |calls| assert_eq!(host.calls(), calls);
        let store = host.create_store().unwrap();
        expect(1);
        let range = host.reserve(PAGE_SIZE).unwrap();
        expect(2);
        host.map(range, View::Store { store, at: 0, prot: Prot::READ }).unwrap();
        expect(3);
        host.protect(range, Prot::READ | Prot::WRITE, Room::Ordinary).unwrap();
        expect(4);
        host.populate(range, Access::Read).unwrap();
        expect(5);
        host.absent_runs(range, &mut |_| ()).unwrap();
        expect(6);
        let page = StoreRange::from_bounds(0, PAGE_SIZE);
        host.commit(store, page, Some(range)).unwrap();
        expect(7);
        host.committed_runs(store, page, &mut |_| ()).unwrap();
        expect(8);
        let mut bytes = [1; 3];
        host.write_store(store, 0, UserRef::from(&bytes[..])).unwrap();
        expect(9);
        host.read_store(store, 0, UserSlice::from(&mut bytes[..])).unwrap();
        expect(10);
        host.copy(store, page, store, PAGE_SIZE).unwrap();
        expect(11);
        host.can_watch().unwrap();
        expect(12);
        host.watch(range, Watch::Guarded, Room::Ordinary).unwrap();
        expect(13);
        host.guard(range).unwrap();
        expect(14);
        host.unguard(range).unwrap();
        expect(15);
        host.drop_entries(&[range]).unwrap();
        expect(16);
        host.unfreeze(range).unwrap();
        expect(17);
        host.punch(store, page).unwrap();
        expect(18);
        host.memory_total().unwrap();
        expect(19);
        host.memory_left().unwrap();
        expect(20);
        let nobody: Weak<Nobody> = Weak::new();
        host.watch_memory(nobody).unwrap();
        expect(21);
        host.look_at_memory();
        host.pieces(range).unwrap();
        host.unguarded_runs(range, &mut |_| ()).unwrap();
        assert!(host.is_mapped(range.addr()));
        host.close_store(store);
        host.release(range);
        expect(21);
        assert!(!host.fired());
    }

    #[test]
    fn any_host_can_be_beneath() {
        let inner: Arc<dyn Host> = Arc::new(host());
        let outer = FailNth::new(inner);
        outer.arm(1, HostError::Other(5), Mode::Once);
        assert_eq!(outer.create_store(), Err(HostError::Other(5)));
        assert!(outer.create_store().is_ok());
    }
}
