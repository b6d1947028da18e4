//! What the engine tells of pagers' pages after a step: which are in memory, who waits and for what, what may go.
//!
//! No program sees this. The model needs it where the engine is free to take pages, and looks that it is otherwise what it knows
//! itself.

use std::collections::BTreeMap;

use zxvm_types::*;

use super::source::{Kind, State};

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The call that waits. There is one such call at most.
    Call,
    /// An access to the page at this address.
    Access(u64),
}

/// A page that is not absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenPage {
    /// Never `Absent`.
    pub state: State,
    /// Whether it is in memory.
    pub there: bool,
}

/// What a pager made.
#[derive(Clone, Debug)]
pub struct SeenRoot {
    /// How often pages of it went of which its user was not told.
    pub losses: u64,
    /// By number.
    pub pages: BTreeMap<u64, SeenPage>,
    /// Who waits for the pager.
    pub waiting: Vec<(Kind, Waits)>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By the koids of the VMOs.
    pub roots: BTreeMap<zx_koid_t, SeenRoot>,
    /// Who waits for room, longest first.
    pub starving: Vec<Waits>,
    /// Koids of discardable VMOs that may go.
    pub may_go: Vec<zx_koid_t>,
    /// How many pages are said to be in memory, and how many of them not to go before they are saved.
    pub told: (u64, u64),
}

impl Seen {
    /// What is known of a page, if it is not absent.
    pub fn page(&self, koid: zx_koid_t, page: u64) -> Option<SeenPage> {
        self.roots.get(&koid)?.pages.get(&page).copied()
    }

    /// Pages in memory, and how many of them may go.
    pub fn resident(&self) -> (u64, u64) {
        let there = self.roots.values().flat_map(|root| root.pages.values()).filter(|page| page.there);
        let held = there.clone().filter(|page| matches!(page.state, State::AwaitingClean | State::Dirty));
        let (there, held) = (there.count() as u64, held.count() as u64);
        (there, there - held)
    }

    /// Whether `who` waits for a pager, and for what.
    pub fn asks(&self, who: Waits) -> Option<Kind> {
        let all = self.roots.values().flat_map(|root| &root.waiting);
        all.into_iter().find(|(_, other)| *other == who).map(|&(kind, _)| kind)
    }
}
