//! Bringing pages in the thread that needs them, by a function of the program.
//!
//! No lock is held while that works. What it has brought is supplied to what was asked for and is so still: a page that was zeroed, or
//! supplied by others, meanwhile stays what it is.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use zxvm_host::{PAGE_SIZE, VmoRange, addr};
use zxvm_types::Status;

use super::AddressSpace;
use crate::pager::{InPlace, PageState, RequestKind, RequestPort, Who, Woken};
use crate::vmo::family::Family;
use crate::vmo::source::ROOT;

/// Bytes brought at once.
const BYTES: u64 = 64 << 10;

impl AddressSpace {
    /// Answers the requests of the family's root that are answered in place, if that is how it is provided for. To be called by whoever
    /// has asked, without locks.
    pub(super) fn answer_in_place(&self, family: &Family, port: &Arc<dyn RequestPort>) {
        let Some(requests) = port.in_place() else { return };
        let mut bytes = Vec::new();
        while let Some((id, range)) = requests.next() {
            self.answer(family, requests, (id, range), &mut bytes);
            let until = addr::round_down(read_until(requests, range));
            // What is read ahead is asked for as well, for nobody: so it is noticed if its pages become something else.
            if let Some((id, more)) = self.claim(family, requests, range, until) {
                self.answer(family, requests, (id, more), &mut bytes);
            }
        }
    }

    /// Brings what a request asks for, and supplies it or says why not.
    fn answer(&self, family: &Family, requests: &InPlace, (id, range): (u64, VmoRange), bytes: &mut Vec<u8>) {
        let mut at = range.start();
        while at < range.end() {
            let len = (range.end() - at).min(BYTES);
            if (bytes.len() as u64) < len {
                bytes.resize(len as usize, 0);
            }
            let bytes = &mut bytes[..len as usize];
            let supplied = read(requests, at, bytes).and_then(|()| self.supply_shrinking(family, at, bytes, id));
            if let Err(status) = supplied {
                let mut woken = Woken::new();
                if let Some(source) = &mut family.lock(ROOT).family_mut().source {
                    source.requests.fail(&*source.port, VmoRange::from_bounds(at, at + len), status, &mut woken);
                }
                self.wake(woken);
            }
            at += len;
        }
    }

    /// Supplies what of it is inside the VMO still.
    fn supply_shrinking(&self, family: &Family, at: u64, bytes: &[u8], id: u64) -> Result<(), Status> {
        let mut end = bytes.len();
        loop {
            match self.supply_claimed(family, at, &bytes[..end], id) {
                // Whoever waited for it was woken when it shrank.
                Err(Status::OUT_OF_RANGE) => match family.lock(ROOT).family().contents.get(ROOT as usize) {
                    Some(root) if root.size > at => end = end.min((root.size - at) as usize),
                    Some(_) | None => return Ok(()),
                },
                // Nobody provides any more, and nobody waits.
                Err(Status::BAD_STATE) => return Ok(()),
                result => return result,
            }
        }
    }

    /// Asks for what is absent right behind `range`, up to `until`: which request that is, and for what, if it is for anything.
    fn claim(&self, family: &Family, requests: &InPlace, range: VmoRange, until: u64) -> Option<(u64, VmoRange)> {
        let mut content = family.lock(ROOT);
        // Whoever it was brought for may have let the VMO go by now.
        let size = content.family().contents.get(ROOT as usize)?.size;
        let source = content.family_mut().source.as_deref_mut()?;
        let room = source.residency.reclaim().ahead() * PAGE_SIZE;
        let until = until.min(size).min(range.end().saturating_add(room));
        if until < range.end() + PAGE_SIZE {
            return None;
        }
        let rest = VmoRange::from_bounds(range.end(), until);
        let (state, end) = source.states.run_at(rest.start(), rest.end());
        if state != PageState::Absent || source.requests.is_asked(RequestKind::Read, rest.start()) {
            return None;
        }
        source.ask(RequestKind::Read, VmoRange::from_bounds(rest.start(), end), Who::Nobody).ok()?;
        requests.next()
    }
}

/// Where the function panics there is nothing to be read ahead.
fn read_until(requests: &InPlace, range: VmoRange) -> u64 {
    let until = AssertUnwindSafe(|| requests.provider().read_until(range.start()..range.end()));
    std::panic::catch_unwind(until).unwrap_or(range.end())
}

/// What a function of the program does wrong is its own error, and nobody else's end.
fn read(requests: &InPlace, at: u64, bytes: &mut [u8]) -> Result<(), Status> {
    let read = AssertUnwindSafe(|| requests.provider().read(at, bytes));
    std::panic::catch_unwind(read).unwrap_or(Err(Status::IO))
}
