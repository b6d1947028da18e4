//! Memory objects: so many bytes, some of them committed.
//!
//! 1. The size is a multiple of the page and at most [`MAX_SIZE`]. Bytes at and past it do not exist: no mapping shows
//!    them, no call reaches them, and when the VMO grows again they are zero.
//! 2. Content is a map of extents over store windows ([`extents`]); where there is none, the content is zero.
//! 3. `mappings` holds the base address of every mapping of this VMO, no more and no less. It changes only together
//!    with the VMAR tree, under the layout lock *and* this VMO's lock.
//! 4. Freeing pages (decommit, zero, shrink) happens under the VMO's lock. So whoever holds it and sees a page
//!    committed can rely on it.
//!
//! A VMO lives as long as somebody holds its `Arc`: handles (by way of their object) and mappings.

pub(crate) mod extents;
mod info;
mod io;
mod known;
mod lock_state;
mod ops;
mod size;

use std::collections::BTreeSet;
use std::sync::Arc;

use zxvm_host::{Host, VmoRange, addr};
use zxvm_types::Status;

use crate::lock::{Rank, Ranked, RankedGuard};
use crate::store::StoreSet;
use extents::Extents;
use known::Known;

pub use info::VmoInfo;
pub use io::IoError;
pub use ops::VmoOp;

/// The largest size of a VMO, in bytes.
pub const MAX_SIZE: u64 = u64::MAX - (128 << 10) + 1;

/// What kind of VMO, decided when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmoKind {
    /// `set_size` may change its size.
    pub resizable: bool,
    /// The system may take its content while nobody has it locked.
    pub discardable: bool,
}

/// How the processor is to cache a VMO's memory. On Linux this is state only: memory stays cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// As ordinary memory.
    Cached,
    /// Not at all.
    Uncached,
    /// Not at all, strictly ordered.
    UncachedDevice,
    /// Writes gathered.
    WriteCombining,
}

/// A memory object.
#[derive(Debug)]
pub struct Vmo {
    stores: Arc<StoreSet>,
    koid: u64,
    kind: VmoKind,
    state: Ranked<State>,
}

/// What changes about a VMO.
#[derive(Debug)]
pub(crate) struct State {
    size: u64,
    stream_size: u64,
    cache_policy: CachePolicy,
    locks: u64,
    name: [u8; 32],
    pub(crate) extents: Extents,
    known: Known,
    pub(crate) mappings: BTreeSet<u64>,
}

impl Vmo {
    /// Makes a VMO of `size` bytes, rounded up to whole pages; nothing is committed and no host call is made.
    /// The stream size is `stream_size`. `koid` is its name for life.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`: larger than [`MAX_SIZE`].
    ///
    /// Source: vmo.md §2.1.
    pub fn create(
        stores: &Arc<StoreSet>,
        koid: u64,
        kind: VmoKind,
        size: u64,
        stream_size: u64,
    ) -> Result<Arc<Self>, Status> {
        let size = addr::round_up(size).filter(|&size| size <= MAX_SIZE).ok_or(Status::OUT_OF_RANGE)?;
        let state = State {
            size,
            stream_size,
            cache_policy: CachePolicy::Cached,
            locks: 0,
            name: [0; 32],
            extents: Extents::default(),
            known: Known::default(),
            mappings: BTreeSet::new(),
        };
        Ok(Arc::new(Self { stores: stores.clone(), koid, kind, state: Ranked::new(Rank::Vmo, state) }))
    }

    /// The number that names it among all objects.
    pub fn koid(&self) -> u64 {
        self.koid
    }

    /// What kind it is.
    pub fn kind(&self) -> VmoKind {
        self.kind
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.lock().size
    }

    /// Its name: at most 31 bytes, then zeros.
    pub fn name(&self) -> [u8; 32] {
        self.lock().name
    }

    /// Names it. The last byte of `name` is zero.
    pub fn set_name(&self, name: [u8; 32]) {
        debug_assert_eq!(name[31], 0);
        self.lock().name = name;
    }

    /// How it is cached.
    pub fn cache_policy(&self) -> CachePolicy {
        self.lock().cache_policy
    }

    /// Sets the cache policy.
    ///
    /// # Errors
    /// `BAD_STATE`: it is mapped, or discardable and the policy is not `Cached`.
    ///
    /// Source: vmo.md §8.
    pub fn set_cache_policy(&self, policy: CachePolicy) -> Result<(), Status> {
        let mut state = self.lock();
        if !state.mappings.is_empty() || self.kind.discardable && policy != CachePolicy::Cached {
            return Err(Status::BAD_STATE);
        }
        state.cache_policy = policy;
        Ok(())
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> RankedGuard<'_, State> {
        self.state.lock()
    }

    fn host(&self) -> &dyn Host {
        self.stores.host()
    }

    /// How far the window of a new extent at `start` may reach: sizes of resizable VMOs leave room to grow in place.
    fn capacity(&self, size: u64) -> u64 {
        const ROOM_MIN: u64 = 1 << 20;
        if self.kind.resizable {
            size.saturating_mul(2).max(ROOM_MIN).checked_next_power_of_two().unwrap_or(MAX_SIZE).min(MAX_SIZE)
        } else {
            size
        }
    }

    /// Gives every page of `range` that lies inside the VMO a place in a store.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: no store; nothing that can be seen has changed.
    pub(crate) fn ensure_extents(&self, state: &mut State, range: VmoRange) -> Result<(), Status> {
        let whole = state.whole();
        self.ensure_extents_within(state, range, whole)
    }

    /// [`Vmo::ensure_extents`] for a VMO that is about to have the size of `whole`.
    pub(crate) fn ensure_extents_within(
        &self,
        state: &mut State,
        range: VmoRange,
        whole: VmoRange,
    ) -> Result<(), Status> {
        let Some(range) = range.intersect(whole) else { return Ok(()) };
        let capacity = self.capacity(whole.end());
        state.extents.ensure(range, capacity, |len| self.stores.window(len)).map_err(crate::error::status)
    }
}

impl State {
    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes as the user counts them.
    pub(crate) fn stream_size(&self) -> u64 {
        self.stream_size
    }

    /// Everything there is.
    pub(crate) fn whole(&self) -> VmoRange {
        VmoRange::from_bounds(0, self.size)
    }

    /// `[offset, offset + len)` if it is in range (vmo.md, general rules).
    fn check_range(&self, offset: u64, len: u64) -> Result<(), Status> {
        if offset > self.size || len > self.size - offset {
            return Err(Status::OUT_OF_RANGE);
        }
        Ok(())
    }
}
