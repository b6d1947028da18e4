//! Where requests of a pager VMO go.

use zxvm_host::VmoRange;

use super::in_place::InPlace;

/// What is asked of a pager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// To supply pages.
    Read,
    /// To let pages become dirty.
    Dirty,
}

/// The one place in a port that a pager VMO has. Its packets leave it in the order in which they came, and at most one of
/// them is among the port's packets at a time: the next one enters when that one is taken out or withdrawn.
///
/// Called under the VMO's lock: takes only locks of later ranks, and does not block.
pub trait RequestPort: Send + Sync + core::fmt::Debug {
    /// Sends a request. `id` names it among all of this VMO.
    fn request(&self, id: u64, kind: RequestKind, range: VmoRange);

    /// Takes a request back, if it is still here.
    fn withdraw(&self, id: u64);

    /// The VMO ends at `end` now: what is still here does not ask for more.
    fn shorten(&self, end: u64);

    /// Takes all requests back that are still here, and sends the last packet.
    fn complete(&self);

    /// Takes everything back that is still here. Nothing more is sent.
    fn silence(&self);

    /// Whether nothing is still here.
    fn is_empty(&self) -> bool;

    /// What is to be answered by whoever asks, if that is how it is done.
    fn in_place(&self) -> Option<&InPlace> {
        None
    }
}
