//! What a pager was asked for, and who waits for it.
//!
//! 1. Requests of one kind never overlap. Each has waiters: the last one that leaves takes it back.
//! 2. `left` of a request is what of it has not been dealt with; nothing left, and it is over.
//! 3. Waiters of an access are one per thread and address.
//!
//! Whoever is woken looks again: what is here is about being woken in time and with the right status, not about what is
//! there. All of it is under the lock of the VMO's family.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex};

use zxvm_host::{VmoRange, Waiting};
use zxvm_types::Status;

use super::port::{RequestKind, RequestPort};

/// A thread that waits inside a call.
#[derive(Debug, Default)]
pub struct Sleeper {
    news: Mutex<Option<Result<(), Status>>>,
    come: Condvar,
}

impl Sleeper {
    /// Blocks until there is news since the last [`Sleeper::forget`].
    pub fn wait(&self) -> Result<(), Status> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(news) = *news {
                return news;
            }
            news = self.come.wait(news).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the wait, or the next one.
    pub fn wake(&self, news: Result<(), Status>) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
        self.come.notify_all();
    }

    /// From here on only what comes later is news.
    pub fn forget(&self) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Who waits.
#[derive(Clone, Debug)]
pub enum Who {
    /// A call, for all of its request.
    Call(Arc<Sleeper>),
    /// A call that goes on as soon as the next page is there, and stays a waiter.
    Stream(Arc<Sleeper>),
    /// An access to memory.
    Access(Waiting),
    /// What is read ahead waits for nobody.
    Nobody,
}

impl Who {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Call(a) | Self::Stream(a), Self::Call(b) | Self::Stream(b)) => Arc::ptr_eq(a, b),
            (Self::Access(a), Self::Access(b)) => (a.thread, a.page) == (b.thread, b.page),
            (Self::Call(_) | Self::Stream(_), Self::Access(_)) | (Self::Access(_), Self::Call(_) | Self::Stream(_)) => {
                false
            }
            (Self::Nobody, _) | (_, Self::Nobody) => false,
        }
    }
}

#[derive(Debug)]
struct Waiter {
    /// The first page it needs.
    first: u64,
    who: Who,
}

#[derive(Debug)]
struct Request {
    id: u64,
    start: u64,
    left: Vec<VmoRange>,
    waiters: Vec<Waiter>,
}

/// Accesses whose wait is over, each with the status if it failed. Calls are woken at once, these by whoever holds the
/// address space.
pub type Woken = Vec<(Waiting, Result<(), Status>)>;

/// See the module.
#[derive(Debug, Default)]
pub struct Requests {
    /// By where they end.
    read: BTreeMap<u64, Request>,
    dirty: BTreeMap<u64, Request>,
    next_id: u64,
}

impl Requests {
    fn kind(&mut self, kind: RequestKind) -> &mut BTreeMap<u64, Request> {
        match kind {
            RequestKind::Read => &mut self.read,
            RequestKind::Dirty => &mut self.dirty,
        }
    }

    /// `who` waits from here on for the pages at the start of `range`, by a request that is there or by a new one.
    pub fn ask(&mut self, port: &dyn RequestPort, kind: RequestKind, range: VmoRange, who: Who) {
        match &who {
            Who::Call(sleeper) | Who::Stream(sleeper) => sleeper.forget(),
            Who::Access(_) | Who::Nobody => {}
        }
        let first = range.start();
        let id = self.next_id;
        let waiter = Waiter { first, who };
        let requests = self.kind(kind);
        let next = requests.range_mut(first + 1..).next();
        let end = match next {
            Some((_, request)) if request.start <= first => {
                match request.waiters.iter_mut().find(|other| other.who.is_same(&waiter.who)) {
                    Some(known) => *known = waiter,
                    None => request.waiters.push(waiter),
                }
                return;
            }
            Some((_, request)) => request.start.min(range.end()),
            None => range.end(),
        };
        let range = VmoRange::from_bounds(first, end);
        requests.insert(end, Request { id, start: first, left: vec![range], waiters: vec![waiter] });
        self.next_id += 1;
        port.request(id, kind, range);
    }

    /// The pages of `range` need not be asked for any more.
    pub fn resolve(&mut self, port: &dyn RequestPort, kind: RequestKind, range: VmoRange, woken: &mut Woken) {
        for end in self.touching(kind, range) {
            let requests = self.kind(kind);
            let request = requests.get_mut(&end).expect("just found");
            request.subtract(range);
            if request.left.is_empty() {
                let request = requests.remove(&end).expect("just found");
                port.withdraw(request.id);
                request.waiters.into_iter().for_each(|waiter| waiter.wake(Ok(()), woken));
                continue;
            }
            for waiter in &mut request.waiters {
                if let Who::Stream(sleeper) = &waiter.who
                    && range.start() <= waiter.first
                    && waiter.first < range.end()
                {
                    let rest = request.left.iter().find(|left| left.end() > waiter.first);
                    waiter.first = rest.map_or(end, |left| left.start().max(waiter.first));
                    sleeper.wake(Ok(()));
                }
            }
        }
    }

    /// Those who wait for a page of `range` first get `status`; for others it need not be asked for any more.
    pub fn fail(&mut self, port: &dyn RequestPort, range: VmoRange, status: Status, woken: &mut Woken) {
        for kind in [RequestKind::Read, RequestKind::Dirty] {
            for waiter in self.give_up(port, kind, range, woken) {
                waiter.wake(Err(status), woken);
            }
        }
    }

    /// Everybody who waits, and for what.
    pub fn waiting(&self) -> impl Iterator<Item = (RequestKind, &Who)> {
        let kinds = [(RequestKind::Read, &self.read), (RequestKind::Dirty, &self.dirty)];
        let all = kinds.into_iter().flat_map(|(kind, requests)| requests.values().map(move |request| (kind, request)));
        all.flat_map(|(kind, request)| request.waiters.iter().map(move |waiter| (kind, &waiter.who)))
    }

    /// The pages of `range` are not to be had for now: returns those who wait for one of them first, each with that one, who wait here
    /// no longer. For others it need not be asked for any more.
    pub fn starve(
        &mut self,
        port: &dyn RequestPort,
        kind: RequestKind,
        range: VmoRange,
        woken: &mut Woken,
    ) -> impl Iterator<Item = (u64, Who)> + use<> {
        self.give_up(port, kind, range, woken).into_iter().map(|waiter| (waiter.first, waiter.who))
    }

    fn give_up(
        &mut self,
        port: &dyn RequestPort,
        kind: RequestKind,
        range: VmoRange,
        woken: &mut Woken,
    ) -> Vec<Waiter> {
        let mut hit = Vec::new();
        for end in self.touching(kind, range) {
            let requests = self.kind(kind);
            let mut request = requests.remove(&end).expect("just found");
            request.subtract(range);
            let is_hit = |waiter: &mut Waiter| range.start() <= waiter.first && waiter.first < range.end();
            hit.extend(request.waiters.extract_if(.., is_hit));
            if request.left.is_empty() || request.waiters.is_empty() {
                port.withdraw(request.id);
                request.waiters.into_iter().for_each(|waiter| waiter.wake(Ok(()), woken));
            } else {
                requests.insert(end, request);
            }
        }
        hit
    }

    /// Everybody is woken, and nothing is asked for any more.
    pub fn end(&mut self, port: &dyn RequestPort, woken: &mut Woken) {
        for request in
            core::mem::take(&mut self.read).into_values().chain(core::mem::take(&mut self.dirty).into_values())
        {
            port.withdraw(request.id);
            request.waiters.into_iter().for_each(|waiter| waiter.wake(Ok(()), woken));
        }
    }

    /// Those who wait with an access of which this is true do not any more.
    pub fn leave(&mut self, port: &dyn RequestPort, gone: impl Fn(&Who) -> bool) {
        for requests in [&mut self.read, &mut self.dirty] {
            requests.retain(|_, request| {
                request.waiters.retain(|waiter| !gone(&waiter.who));
                if request.waiters.is_empty() {
                    port.withdraw(request.id);
                }
                !request.waiters.is_empty()
            });
        }
    }

    /// A call is over that may be a waiter still.
    pub fn leave_call(&mut self, port: &dyn RequestPort, sleeper: &Arc<Sleeper>) {
        self.leave(port, |who| match who {
            Who::Call(other) | Who::Stream(other) => Arc::ptr_eq(sleeper, other),
            Who::Access(_) | Who::Nobody => false,
        });
    }

    /// Whether a request is out for this page, or was when it was made.
    pub fn is_asked(&self, kind: RequestKind, page: u64) -> bool {
        let requests = match kind {
            RequestKind::Read => &self.read,
            RequestKind::Dirty => &self.dirty,
        };
        requests.range(page + 1..).next().is_some_and(|(_, request)| request.start <= page)
    }

    /// What a request asks for still; nothing, if it is over.
    pub fn left(&self, kind: RequestKind, id: u64) -> Vec<VmoRange> {
        let requests = match kind {
            RequestKind::Read => &self.read,
            RequestKind::Dirty => &self.dirty,
        };
        requests.values().find(|request| request.id == id).map_or(Vec::new(), |request| request.left.clone())
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.dirty.is_empty()
    }

    fn touching(&mut self, kind: RequestKind, range: VmoRange) -> Vec<u64> {
        let from = self.kind(kind).range(range.start() + 1..);
        from.take_while(|(_, request)| request.start < range.end()).map(|(&end, _)| end).collect()
    }

    /// Asserts the invariants for a VMO of `size` bytes.
    pub fn audit(&self, size: u64) {
        for requests in [&self.read, &self.dirty] {
            let mut last = 0;
            for (&end, request) in requests {
                // One that was made before the VMO shrank reaches past its end still, but has nothing left there.
                let left = &request.left;
                assert!(last <= request.start && request.start < end, "{request:?} up to {end:#x}");
                assert!(
                    left.iter().all(|left| request.start <= left.start() && left.end() <= end.min(size)),
                    "{request:?}"
                );
                assert!(!request.waiters.is_empty() && !request.left.is_empty(), "{request:?} is over");
                last = end;
            }
        }
    }
}

impl Request {
    fn subtract(&mut self, range: VmoRange) {
        let cut = |left: VmoRange| {
            let below = (left.start(), left.end().min(range.start()));
            let above = (left.start().max(range.end()), left.end());
            [below, above].into_iter().filter(|(from, to)| from < to).map(|(from, to)| VmoRange::from_bounds(from, to))
        };
        self.left = core::mem::take(&mut self.left).into_iter().flat_map(cut).collect();
    }
}

impl Waiter {
    fn wake(self, news: Result<(), Status>, woken: &mut Woken) {
        match self.who {
            Who::Call(sleeper) | Who::Stream(sleeper) => sleeper.wake(news),
            Who::Access(waiting) => woken.push((waiting, news)),
            Who::Nobody => {}
        }
    }
}

#[cfg(all(test, loom))]
mod orders;
#[cfg(all(test, not(loom)))]
mod tests;
