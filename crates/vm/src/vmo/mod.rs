//! Memory objects: so many bytes, some of them committed.
//!
//! 1. The size is a multiple of the page and at most [`MAX_SIZE`]. Bytes at and past it do not exist: no mapping shows
//!    them, no call reaches them, and when the VMO grows again they are zero.
//! 2. Content is a map of extents over store windows ([`extents`]); where there is none, the content is zero. VMOs made
//!    of one another are a [`family`], and share [`frames`].
//! 3. `mappings` of a content holds the base address of every mapping that shows it, no more and no less. It changes
//!    only together with the VMAR tree, under the layout lock *and* the family's lock.
//! 4. Freeing pages (decommit, zero, shrink) happens under the family's lock; what is taken for room is absent for the books before
//!    the lock is let go. So whoever holds it and sees a page committed can rely on it.
//! 5. What a call says of a VMO's bytes counts from the VMO's own start; everything below counts from the start of the
//!    content that it shows. They differ for slices.
//!
//! A VMO lives as long as somebody holds its `Arc`: handles (by way of their object) and mappings.

mod audit;
pub(crate) mod child;
pub(crate) mod extents;
pub(crate) mod family;
pub(crate) mod frames;
mod info;
pub(crate) mod io;
mod known;
pub(crate) mod layers;
mod lock_state;
pub(crate) mod ops;
mod size;
pub(crate) mod source;

use std::sync::{Arc, Weak};

use zxvm_host::{Host, VmoRange, addr};
use zxvm_types::Status;

use crate::lock::assert_none_held;
use crate::store::StoreSet;
use family::{Content, Family, FamilyState, Locked, Node};

pub use child::{ChildKind, ChildRequest};
pub use family::ChildObserver;
pub use info::{Attribution, VmoInfo};
pub use io::IoError;
pub use ops::VmoOp;
pub use source::{Pager, PagerVmoRequest};

/// The largest size of a VMO, in bytes.
pub const MAX_SIZE: u64 = u64::MAX - (128 << 10) + 1;

/// What kind of VMO, decided when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmoKind {
    /// `set_size` may change its size.
    pub resizable: bool,
    /// The system may take its content while nobody has it locked.
    pub discardable: bool,
    /// A snapshot that nobody may write to.
    pub immutable: bool,
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

/// What a VMO shows of its content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// All of it: it was made with it, or is a reference to it.
    Whole,
    /// This part, with a stream size of its own.
    Slice(Box<VmoRange>),
}

/// A memory object.
#[derive(Debug)]
pub struct Vmo {
    family: Arc<Family>,
    koid: u64,
    kind: VmoKind,
    shows: Shows,
    content: u32,
    node: u32,
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
        let content = Content::new(size, stream_size, kind.resizable, 0);
        let family = Family::new(stores.clone(), content, Node::new(koid, None, 0));
        Ok(Arc::new(Self { family, koid, kind, shows: Shows::Whole, content: 0, node: 0 }))
    }

    /// The number that names it among all objects.
    pub fn koid(&self) -> u64 {
        self.koid
    }

    /// What kind it is.
    pub fn kind(&self) -> VmoKind {
        self.kind
    }

    /// Whether it is a part of another one.
    pub fn is_slice(&self) -> bool {
        match &self.shows {
            Shows::Whole => false,
            Shows::Slice(_) => true,
        }
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size_in(&self.lock())
    }

    /// Its name: at most 31 bytes, then zeros.
    pub fn name(&self) -> [u8; 32] {
        self.lock().family().nodes[self.node as usize].name()
    }

    /// Names it. The last byte of `name` is zero.
    pub fn set_name(&self, name: [u8; 32]) {
        debug_assert_eq!(name[31], 0);
        self.lock().family_mut().nodes[self.node as usize].name = (name != [0; 32]).then(|| Box::new(name));
    }

    /// Names who wants to know that its last child has gone.
    pub fn observe_children(&self, observer: Weak<dyn ChildObserver>) {
        self.lock().family_mut().nodes[self.node as usize].observer = Some(observer);
    }

    /// How many VMOs have it as their parent.
    pub fn num_children(&self) -> u32 {
        self.lock().family().nodes[self.node as usize].children
    }

    /// How it is cached.
    pub fn cache_policy(&self) -> CachePolicy {
        self.lock().cache_policy
    }

    /// Sets the cache policy.
    ///
    /// # Errors
    /// `BAD_STATE`: it is mapped, has children or is a child; or it is discardable or a pager's, and the policy is not `Cached`.
    ///
    /// Source: vmo.md §8.
    pub fn set_cache_policy(&self, policy: CachePolicy) -> Result<(), Status> {
        let mut content = self.lock();
        let node = &content.family().nodes[self.node as usize];
        let shows_another = self.is_slice() || node.reference;
        let related = node.children > 0 || node.parent.is_some() || shows_another || content.nodes > 1;
        let cached_only = self.kind.discardable || content.is_in_pager_tree();
        if !content.mappings.is_empty() || related || cached_only && policy != CachePolicy::Cached {
            return Err(Status::BAD_STATE);
        }
        content.cache_policy = policy;
        Ok(())
    }

    /// The family's lock, as that of its content.
    #[track_caller]
    pub(crate) fn lock(&self) -> Locked<'_> {
        self.family.lock(self.content)
    }

    /// The VMOs that it was made of, and those made of it.
    pub(crate) fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// The number of its content in the family.
    pub(crate) fn content(&self) -> u32 {
        self.content
    }

    /// Whether it shows the same content as another one.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.family, &other.family) && self.content == other.content
    }

    /// The byte of the content at its start.
    pub(crate) fn base(&self) -> u64 {
        match &self.shows {
            Shows::Whole => 0,
            Shows::Slice(range) => range.start(),
        }
    }

    /// The byte of the content where it ends for programs.
    pub(crate) fn end_in(&self, content: &Content) -> u64 {
        match &self.shows {
            Shows::Whole => content.size,
            Shows::Slice(range) => range.end(),
        }
    }

    /// The byte of the content from which on mappings of it show nothing.
    pub(crate) fn limit_in(&self, content: &Content) -> u64 {
        self.end_in(content).min(content.end())
    }

    /// Bytes.
    pub(crate) fn size_in(&self, content: &Content) -> u64 {
        self.end_in(content) - self.base()
    }

    /// Bytes as the user counts them.
    pub(crate) fn stream_size_in(&self, family: &FamilyState) -> u64 {
        match &self.shows {
            Shows::Whole => family.contents[self.content as usize].stream_size,
            Shows::Slice(_) => family.nodes[self.node as usize].slice_stream,
        }
    }

    pub(crate) fn set_stream_size_in(&self, family: &mut FamilyState, stream_size: u64) {
        match &self.shows {
            Shows::Whole => family.contents[self.content as usize].stream_size = stream_size,
            Shows::Slice(_) => family.nodes[self.node as usize].slice_stream = stream_size,
        }
    }

    /// The range of the content that is `range` of this VMO, which is inside it.
    pub(crate) fn in_content(&self, range: VmoRange) -> VmoRange {
        VmoRange::from_bounds(self.base() + range.start(), self.base() + range.end())
    }

    /// Where `[offset, offset + len)` of it is in the content, if it is in range (vmo.md, general rules).
    pub(crate) fn check_range(&self, content: &Content, offset: u64, len: u64) -> Result<u64, Status> {
        let size = self.size_in(content);
        if offset > size || len > size - offset {
            return Err(Status::OUT_OF_RANGE);
        }
        Ok(self.base() + offset)
    }

    /// A mapping of it has been made at `base`.
    pub(crate) fn mapping_made(&self, content: &mut Locked<'_>, base: u64) {
        content.mappings.insert(base);
        content.family_mut().nodes[self.node as usize].num_mappings += 1;
    }

    /// The mapping of it at `base` is no more.
    pub(crate) fn mapping_gone(&self, content: &mut Locked<'_>, base: u64) {
        content.mappings.remove(&base);
        content.family_mut().nodes[self.node as usize].num_mappings -= 1;
    }

    fn host(&self) -> &dyn Host {
        self.family.host()
    }

    /// Gives every page of `range` that lies inside the content a place in a store.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`: no store; nothing that can be seen has changed.
    pub(crate) fn ensure_extents(&self, content: &mut Locked<'_>, range: VmoRange) -> Result<(), Status> {
        let whole = content.whole();
        self.ensure_extents_within(content, range, whole)
    }

    /// [`Vmo::ensure_extents`] for a content that is about to have the size of `whole`.
    pub(crate) fn ensure_extents_within(
        &self,
        content: &mut Locked<'_>,
        range: VmoRange,
        whole: VmoRange,
    ) -> Result<(), Status> {
        let number = content.number();
        content.family_mut().ensure(&self.family.stores, number, range, whole)
    }
}

impl Drop for Vmo {
    fn drop(&mut self) {
        assert_none_held();
        let (observer, windows) = self.lock().family_mut().node_gone(self.family.host(), self.node);
        drop(windows);
        if let Some(observer) = observer {
            observer.no_children();
        }
    }
}
