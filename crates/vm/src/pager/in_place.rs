//! Requests that are answered in the thread that makes them.
//!
//! 1. A request waits here from when it is made, under locks, to when the locks are gone; then the thread that made it answers what
//!    there is. Each is taken by one thread, and taken back with those who wait for it.
//! 2. It stays outstanding while it is answered, so what happens to its pages meanwhile is seen: only what it asks for still is
//!    supplied.

use core::ops::Range;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use zxvm_host::VmoRange;
use zxvm_types::Status;

use super::port::{RequestKind, RequestPort};

/// Who brings pages in the thread that needs them.
pub trait Provide: Send + Sync + core::fmt::Debug {
    /// Fills `to`, whole pages, with what is at `offset` of the VMO. Called without locks, by the thread that makes an access or a call or, if
    /// accesses are dealt with by a thread of the library, by that. Must not touch the VMO.
    ///
    /// # Errors
    /// Whatever those who wait for the pages are to get.
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status>;

    /// Up to which byte of the VMO to bring pages, when those of `range` (bytes) are needed.
    fn read_until(&self, range: Range<u64>) -> u64 {
        range.end
    }
}

/// Where the requests of a VMO go that is provided for in place.
#[derive(Debug)]
pub struct InPlace {
    provider: Arc<dyn Provide>,
    pending: Mutex<VecDeque<(u64, VmoRange)>>,
}

impl InPlace {
    /// With nothing to be answered.
    pub fn new(provider: Arc<dyn Provide>) -> Self {
        Self { provider, pending: Mutex::default() }
    }

    /// Who answers.
    pub fn provider(&self) -> &dyn Provide {
        &*self.provider
    }

    /// Takes the next that is to be answered: its number, and what it asks for.
    pub fn next(&self) -> Option<(u64, VmoRange)> {
        self.lock().pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, VmoRange)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestPort for InPlace {
    fn request(&self, id: u64, kind: RequestKind, range: VmoRange) {
        debug_assert_eq!(kind, RequestKind::Read, "nobody is asked before pages become dirty");
        self.lock().push_back((id, range));
    }

    fn withdraw(&self, id: u64) {
        self.lock().retain(|&(other, _)| other != id);
    }

    /// Who answers looks what is asked for still.
    fn shorten(&self, _end: u64) {}

    fn complete(&self) {
        self.silence();
    }

    fn silence(&self) {
        self.lock().clear();
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn in_place(&self) -> Option<&InPlace> {
        Some(self)
    }
}
