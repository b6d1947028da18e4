//! Which page goes next, when memory that a program supplies must make room. Books only: nothing here touches memory.
//!
//! Nobody is told of an access to a page that has its entry in the page table. So use is sampled: the engine drops the
//! entries of some pages (they are *armed*), and looks later which of them are there again. These books say whose
//! entries to drop, whom to look at, and what follows from what was found.
//!
//! A page that comes is a *newcomer*, on probation in the order of coming. Half way it is armed, so that the accesses
//! that belong to its coming do not count, and at the end it is looked at: who was used again is *proven*, the others
//! go and leave a *ghost*. Proven pages stand on a clock, armed half way round. A ghost that comes again is proven at
//! once, and tells which of the two needs more room: the one it was taken from. So a scan passes through the probation
//! and leaves the rest alone.
//!
//! Two exceptions. As long as a budget has room, what comes stands on the clock at once: if the first thing a program
//! does is to go through more than there is room for, again and again, some of it must stay. And if nearly all that
//! comes was proven before, only a few are proven again, for the same reason.

mod ghosts;
mod index;
mod loops;
mod order;
mod queues;
mod share;
mod slots;
#[cfg(test)]
mod tests;
mod touch;

pub use queues::Queues;

/// A pager VMO whose pages can be taken. Whoever keeps the books gives the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootId(pub u32);

/// A page of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId {
    /// Of which root.
    pub root: RootId,
    /// Its number in the root: offset divided by page size, less than 2^52.
    pub page: u64,
}

/// What a program says of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `DONT_NEED`: they go before all others, unless they are used again.
    DontNeed,
    /// `ALWAYS_NEED`: they go after all others.
    AlwaysNeed,
}

/// What may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Room is wanted in a budget: whatever the order says. Pages of `ALWAYS_NEED` only when nothing else is left.
    Room,
    /// Memory is short: what was not known to be used in so many passes, and pages of `DONT_NEED` whatever their age.
    /// Pages of `ALWAYS_NEED` never.
    Aged {
        /// So many times [`Queues::pass`] was called since the last use that is known. 0: everything.
        passes: u32,
    },
    /// Memory is nearly gone: as `Aged`, and pages of `ALWAYS_NEED` are as all others.
    Last {
        /// As there.
        passes: u32,
    },
}

/// How a candidate's entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Used,
    /// It is not there.
    Unused,
    /// It could not be told.
    Unknown,
}

/// What becomes of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be taken, and stays in hand until it is ([`Queues::taken`]) or turns out not to be possible
    /// ([`Queues::put_back`]).
    Take,
    /// It is in a queue again.
    Stay,
}

/// How many pages stand where. Those in hand are in none of the queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On probation.
    pub newcomers: u64,
    /// On the clock.
    pub proven: u64,
    /// Said not to be needed, and not used since.
    pub need_not: u64,
    /// Said to be always needed.
    pub need: u64,
    /// May not be taken for now.
    pub held: u64,
    /// Given out as candidates, and not settled or taken yet.
    pub in_hand: u64,
    /// Taken not long ago, and remembered.
    pub ghosts: u64,
}

/// In which queue a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On probation.
    Newcomer,
    /// On the clock.
    Proven,
    /// Said not to be needed, and not used since.
    NeedNot,
    /// Said to be always needed.
    Need,
    /// May not be taken for now.
    Held,
    /// Given out as a candidate.
    InHand,
}

/// What the books know of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageStanding {
    /// Where it stands.
    pub standing: Standing,
    /// Passes begun since it was last known to be used, or came.
    pub age_passes: u32,
    /// Whether its entry was dropped and not found again since.
    pub armed: bool,
    /// Whether it was used again after it had come, or is taken to have been: a ghost, or one that came when there was
    /// room. Kept while it is held.
    pub proven: bool,
    /// Whether it is marked `ALWAYS_NEED`. Kept while it is held.
    pub always_need: bool,
}
