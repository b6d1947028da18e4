//! What is known of all pages of pagers' VMOs, and who waits: for audits and tests that check that it is right.
//!
//! Nothing is changed by looking. Each VMO is looked at by itself: what others do meanwhile may show in one and not in the next.

use std::sync::PoisonError;

use zxvm_host::VmoRange;

use super::AddressSpace;
use super::evict::is_root;
use crate::pager::{PageState, RequestKind, Who};
use crate::vmo::source::ROOT;

/// Who waits, for a pager or for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingOne {
    /// A thread inside a call.
    Call,
    /// A thread that accesses the page at this address.
    Access(u64),
}

/// A pager's VMO, in bytes.
#[derive(Clone, Debug)]
pub struct RootCensus {
    /// Its name for life.
    pub koid: u64,
    /// How often pages of it went of which its user was not told.
    pub losses: u64,
    /// Runs of pages that are not absent, ascending.
    pub states: Vec<(VmoRange, PageState)>,
    /// Zero pages that have a page of memory nevertheless, since somebody loaded from them, ascending.
    pub loaded: Vec<u64>,
    /// Who waits for the pager.
    pub waiting: Vec<(RequestKind, WaitingOne)>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Census {
    /// Those that are there.
    pub roots: Vec<RootCensus>,
    /// Who waits for room in the budget, longest first.
    pub starving: Vec<WaitingOne>,
    /// Discardable VMOs that may go when memory is short, by their koids: longest unlocked first.
    pub may_go: Vec<u64>,
}

impl AddressSpace {
    /// Looks at everything.
    pub fn census(&self) -> Census {
        let roots: Vec<_> = self.lock_roots().keys().copied().collect();
        let roots = roots.into_iter().filter_map(|root| {
            let family = self.root_family(root)?;
            let content = family.lock(ROOT);
            if !is_root(content.family(), root) {
                return None;
            }
            let (source, whole) = (content.root(), content.family().contents[ROOT as usize].whole());
            let known = source.states.runs(whole).filter(|&(_, state)| state != PageState::Absent);
            Some(RootCensus {
                koid: source.koid,
                losses: u64::from(content.losses),
                states: known.collect(),
                loaded: source.loaded.iter().copied().collect(),
                waiting: source.requests.waiting().filter_map(|(kind, who)| Some((kind, waiting_one(who)?))).collect(),
            })
        });
        let roots = roots.collect();
        let starving = {
            let waiters = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            waiters.iter().filter_map(|waiter| waiting_one(&waiter.who)).collect()
        };
        let unlocked: Vec<_> = {
            let unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
            unlocked.iter().filter_map(|known| known.vmo()).collect()
        };
        let may_go = unlocked.iter().filter(|vmo| vmo.lock().may_go()).map(|vmo| vmo.koid()).collect();
        Census { roots, starving, may_go }
    }
}

fn waiting_one(who: &Who) -> Option<WaitingOne> {
    match who {
        Who::Call(_) | Who::Stream(_) => Some(WaitingOne::Call),
        Who::Access(waiting) => Some(WaitingOne::Access(waiting.page)),
        Who::Nobody => None,
    }
}
