//! The kinds of objects, and what all of them have.
//!
//! 1. A koid names one object for ever.
//! 2. `handles` counts the handles in the table that name the object; when it falls to zero the object is told
//!    ([`Object::handle_gone`]). Mappings keep a VMO's memory alive, not its object.
//! 3. Whether an object may be waited on is a matter of its default rights.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use zxvm_types::*;
use zxvm_vm::{ChildObserver, Vmar, Vmo};

use crate::pager::PagerObject;
use crate::port::Port;
use crate::signals::Signals;

/// Gives out koids.
#[derive(Debug)]
pub struct Koids(AtomicU64);

impl Default for Koids {
    fn default() -> Self {
        Self(AtomicU64::new(ZX_KOID_FIRST))
    }
}

impl Koids {
    /// One that nobody had before.
    pub fn next(&self) -> zx_koid_t {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What every object has.
#[derive(Debug)]
pub struct Base {
    koid: zx_koid_t,
    handles: AtomicU32,
    signals: Signals,
}

impl Base {
    /// With these signals active.
    pub const fn new(koid: zx_koid_t, active: zx_signals_t) -> Self {
        Self { koid, handles: AtomicU32::new(0), signals: Signals::new(active) }
    }

    /// Its number.
    pub fn koid(&self) -> zx_koid_t {
        self.koid
    }

    /// How many handles name it.
    pub fn handle_count(&self) -> u32 {
        self.handles.load(Ordering::Relaxed)
    }

    /// Its signals.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }
}

/// What has a [`Base`].
pub(crate) trait Based: Send + Sync + core::fmt::Debug {
    /// What all objects have.
    fn base(&self) -> &Base;
}

macro_rules! based {
    ($($kind:ty),*) => { $(
        impl Based for $kind {
            fn base(&self) -> &Base {
                &self.base
            }
        }
    )* };
}
based!(VmoObject, VmarObject, Event, EventPair, Process, Job);

fn weak<T: Based + 'static>(object: &Arc<T>) -> Weak<dyn Based> {
    let weak: Weak<T> = Arc::downgrade(object);
    weak
}

/// A memory object as handles see it.
#[derive(Debug)]
pub struct VmoObject {
    base: Base,
    vmo: Arc<Vmo>,
    /// Taken while the signal is made to say what is true: so the last to say it knows all that came before.
    telling: Mutex<()>,
}

impl VmoObject {
    /// For a VMO that nobody has handles to yet.
    pub fn new(vmo: Arc<Vmo>) -> Arc<Self> {
        let base = Base::new(vmo.koid(), ZX_VMO_ZERO_CHILDREN);
        let object = Arc::new(Self { base, vmo, telling: Mutex::new(()) });
        let observer: Weak<Self> = Arc::downgrade(&object);
        object.vmo.observe_children(observer);
        object
    }

    /// Makes `ZX_VMO_ZERO_CHILDREN` say whether it has children. To be called whenever that may have changed.
    pub fn tell_children(&self) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        match self.vmo.num_children() {
            0 => self.base.signals.update(0, ZX_VMO_ZERO_CHILDREN),
            _ => self.base.signals.update(ZX_VMO_ZERO_CHILDREN, 0),
        }
    }

    /// The memory.
    pub fn vmo(&self) -> &Arc<Vmo> {
        &self.vmo
    }
}

impl ChildObserver for VmoObject {
    fn no_children(&self) {
        self.tell_children();
    }
}

/// A region as handles see it.
#[derive(Debug)]
pub struct VmarObject {
    base: Base,
    vmar: Vmar,
}

impl VmarObject {
    /// For a region that nobody has handles to yet.
    pub fn new(koid: zx_koid_t, vmar: Vmar) -> Self {
        Self { base: Base::new(koid, 0), vmar }
    }

    /// The region.
    pub fn vmar(&self) -> &Vmar {
        &self.vmar
    }
}

/// An event.
#[derive(Debug)]
pub struct Event {
    base: Base,
}

impl Event {
    /// With nothing signalled.
    pub fn new(koid: zx_koid_t) -> Self {
        Self { base: Base::new(koid, 0) }
    }
}

/// One side of a pair of events.
#[derive(Debug)]
pub struct EventPair {
    base: Base,
    peer_koid: zx_koid_t,
    peer: Mutex<Weak<EventPair>>,
}

impl EventPair {
    /// Two sides, with nothing signalled.
    pub fn pair(koids: [zx_koid_t; 2]) -> [Arc<Self>; 2] {
        let side =
            |koid, peer_koid| Arc::new(Self { base: Base::new(koid, 0), peer_koid, peer: Mutex::new(Weak::new()) });
        let (a, b) = (side(koids[0], koids[1]), side(koids[1], koids[0]));
        a.set_peer(Arc::downgrade(&b));
        b.set_peer(Arc::downgrade(&a));
        [a, b]
    }

    fn set_peer(&self, peer: Weak<Self>) {
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = peer;
    }

    /// The other side, if handles to it are left.
    pub fn peer(&self) -> Option<Arc<Self>> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn last_handle_gone(&self) {
        if let Some(peer) = self.peer() {
            peer.set_peer(Weak::new());
            self.set_peer(Weak::new());
            peer.base.signals.update(0, ZX_EVENTPAIR_PEER_CLOSED);
        }
    }
}

/// This process.
#[derive(Debug)]
pub struct Process {
    base: Base,
    job_koid: zx_koid_t,
    name: Mutex<[u8; ZX_MAX_NAME_LEN]>,
}

impl Process {
    /// A process of this name (at most 31 bytes count).
    pub fn new(koid: zx_koid_t, job_koid: zx_koid_t, name: &str) -> Self {
        let mut bytes = [0; ZX_MAX_NAME_LEN];
        let len = name.len().min(ZX_MAX_NAME_LEN - 1);
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Self { base: Base::new(koid, 0), job_koid, name: Mutex::new(bytes) }
    }

    /// Its name.
    pub fn name(&self) -> [u8; ZX_MAX_NAME_LEN] {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_name(&self, name: [u8; ZX_MAX_NAME_LEN]) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

/// The job that all processes are in: here a name to show, when something is for those alone who have it.
#[derive(Debug)]
pub struct Job {
    base: Base,
    name: Mutex<[u8; ZX_MAX_NAME_LEN]>,
}

impl Job {
    /// The root of all jobs.
    pub fn root(koid: zx_koid_t) -> Self {
        let mut name = [0; ZX_MAX_NAME_LEN];
        name[..4].copy_from_slice(b"root");
        Self { base: Base::new(koid, 0), name: Mutex::new(name) }
    }

    fn name(&self) -> [u8; ZX_MAX_NAME_LEN] {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_name(&self, name: [u8; ZX_MAX_NAME_LEN]) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

/// Any object.
#[derive(Clone, Debug)]
pub enum Object {
    /// See [`VmoObject`].
    Vmo(Arc<VmoObject>),
    /// See [`VmarObject`].
    Vmar(Arc<VmarObject>),
    /// See [`Event`].
    Event(Arc<Event>),
    /// See [`EventPair`].
    EventPair(Arc<EventPair>),
    /// See [`Process`].
    Process(Arc<Process>),
    /// See [`Job`].
    Job(Arc<Job>),
    /// See [`PagerObject`].
    Pager(Arc<PagerObject>),
    /// See [`Port`].
    Port(Arc<Port>),
}

impl Object {
    /// What all objects have.
    pub fn base(&self) -> &Base {
        match self {
            Self::Vmo(object) => &object.base,
            Self::Vmar(object) => &object.base,
            Self::Event(object) => &object.base,
            Self::EventPair(object) => &object.base,
            Self::Process(object) => &object.base,
            Self::Job(object) => &object.base,
            Self::Pager(object) => object.base(),
            Self::Port(object) => object.base(),
        }
    }
    /// It, without keeping it.
    pub(crate) fn downgrade(&self) -> Weak<dyn Based> {
        match self {
            Self::Vmo(object) => weak(object),
            Self::Vmar(object) => weak(object),
            Self::Event(object) => weak(object),
            Self::EventPair(object) => weak(object),
            Self::Process(object) => weak(object),
            Self::Job(object) => weak(object),
            Self::Pager(object) => weak(object),
            Self::Port(object) => weak(object),
        }
    }

    /// `ZX_OBJ_TYPE_*`.
    pub fn object_type(&self) -> zx_obj_type_t {
        match self {
            Self::Vmo(_) => ZX_OBJ_TYPE_VMO,
            Self::Vmar(_) => ZX_OBJ_TYPE_VMAR,
            Self::Event(_) => ZX_OBJ_TYPE_EVENT,
            Self::EventPair(_) => ZX_OBJ_TYPE_EVENTPAIR,
            Self::Process(_) => ZX_OBJ_TYPE_PROCESS,
            Self::Job(_) => ZX_OBJ_TYPE_JOB,
            Self::Pager(_) => ZX_OBJ_TYPE_PAGER,
            Self::Port(_) => ZX_OBJ_TYPE_PORT,
        }
    }

    /// The koid of what it belongs to: the peer, the parent job; 0 for most.
    pub fn related_koid(&self) -> zx_koid_t {
        match self {
            Self::EventPair(object) => object.peer_koid,
            Self::Process(object) => object.job_koid,
            Self::Vmo(_) | Self::Vmar(_) | Self::Event(_) | Self::Job(_) | Self::Pager(_) | Self::Port(_) => 0,
        }
    }

    /// Whether threads may wait for its signals.
    pub fn is_waitable(&self) -> bool {
        match self {
            Self::Vmo(_) | Self::Event(_) | Self::EventPair(_) | Self::Process(_) | Self::Job(_) => true,
            Self::Vmar(_) | Self::Pager(_) | Self::Port(_) => false,
        }
    }

    /// The signals that callers may set and clear on it.
    pub fn settable_signals(&self) -> zx_signals_t {
        match self {
            Self::Event(_) => ZX_EVENT_SIGNALED | ZX_USER_SIGNAL_ALL,
            Self::EventPair(_) => ZX_EVENTPAIR_SIGNALED | ZX_USER_SIGNAL_ALL,
            Self::Vmo(_) | Self::Vmar(_) | Self::Process(_) | Self::Job(_) | Self::Pager(_) | Self::Port(_) => {
                ZX_USER_SIGNAL_ALL
            }
        }
    }

    /// Its name; `None` if its kind has none.
    pub fn name(&self) -> Option<[u8; ZX_MAX_NAME_LEN]> {
        match self {
            Self::Vmo(object) => Some(object.vmo.name()),
            Self::Process(object) => Some(object.name()),
            Self::Job(object) => Some(object.name()),
            Self::Vmar(_) | Self::Event(_) | Self::EventPair(_) | Self::Pager(_) | Self::Port(_) => None,
        }
    }

    /// Names it; answers whether its kind has names. The last byte is zero.
    pub fn set_name(&self, name: [u8; ZX_MAX_NAME_LEN]) -> bool {
        match self {
            Self::Vmo(object) => object.vmo.set_name(name),
            Self::Process(object) => object.set_name(name),
            Self::Job(object) => object.set_name(name),
            Self::Vmar(_) | Self::Event(_) | Self::EventPair(_) | Self::Pager(_) | Self::Port(_) => return false,
        }
        true
    }

    /// A handle to it has been put into the table.
    pub(crate) fn handle_made(&self) {
        self.base().handles.fetch_add(1, Ordering::Relaxed);
    }

    /// The handle of this value has left the table.
    pub(crate) fn handle_gone(&self, handle: zx_handle_t) {
        self.base().signals.cancel(handle);
        if self.base().handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            match self {
                Self::EventPair(object) => object.last_handle_gone(),
                Self::Pager(object) => object.last_handle_gone(),
                Self::Vmo(_) | Self::Vmar(_) | Self::Event(_) | Self::Process(_) | Self::Job(_) => {}
                Self::Port(object) => object.close(),
            }
        }
    }
}
