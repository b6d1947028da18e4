//! What the calls mean, in the plainest data there is.
//!
//! 1. Every call is a function from the arguments to a status and effects, its checks in the order of the
//!    specification, one a line.
//! 2. A page of a VMO is committed exactly if its content has an entry for it in [`Pages`].
//! 3. A VMO is there while a handle or a mapping leads to it, a content while a VMO shows it, a VMAR while it is alive or
//!    a handle leads to it, the others while a handle leads to them.
//! 4. A call that fails changes nothing here, but for what the specification says it does.

mod access;
mod attribution;
mod child;
mod content;
mod discard;
mod handle;
mod info;
mod object;
mod op_range;
mod over;
mod pager;
mod pages;
mod place;
pub mod port;
mod protect;
pub mod reclaim;
pub mod seen;
pub mod source;
mod transfer;
mod unmap;
mod vmar;
mod vmo;
pub mod wait;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use content::{Content, ContentId};
pub use pages::{Frame, Pages};
pub use vmar::{Child, Mapping, Vmar, What};
pub use vmo::{Shape, Vmo};
use zxvm_types::*;

use self::port::{Slot, SlotId};
use self::reclaim::Memory;
use self::source::{Provider, Who};
use self::wait::{Job, Resumed};
use crate::op::{Lost, Op, Outcome};

/// The largest size of a VMO, in bytes.
pub const VMO_SIZE_MAX: u64 = 0u64.wrapping_sub(128 << 10);

/// More bytes than any machine that runs this has: a commit of so much is refused whole.
pub const MORE_THAN_MEMORY: u64 = 1 << 46;

/// Names an object of the model; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId(u64);

/// One entry of the handle table.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    /// What it leads to.
    pub object: ObjectId,
    /// `ZX_RIGHT_` bits.
    pub rights: u32,
}

/// What handles lead to.
#[derive(Clone, Debug)]
pub struct Object {
    /// As the engine chose it; 0 until then.
    pub koid: zx_koid_t,
    /// All that are active.
    pub signals: u32,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of objects.
#[derive(Clone, Debug)]
pub enum Kind {
    /// This process: its name, and its job's koid.
    Process([u8; ZX_MAX_NAME_LEN], zx_koid_t),
    /// Memory.
    Vmo(Vmo),
    /// A region of address space.
    Vmar(Vmar),
    /// An event.
    Event,
    /// One of two events, and the other one.
    Eventpair(ObjectId),
    /// Who provides pages.
    Pager,
    /// A queue of packets.
    Port(VecDeque<port::Entry>),
}

/// All that the calls act on.
#[derive(Debug)]
pub struct Model {
    objects: BTreeMap<ObjectId, Object>,
    contents: BTreeMap<ContentId, Content>,
    handles: BTreeMap<zx_handle_t, Handle>,
    next: u64,
    root: ObjectId,
    koids: BTreeSet<zx_koid_t>,
    closed_last: zx_handle_t,
    born: [zx_handle_t; 2],
    slots: BTreeMap<SlotId, Slot>,
    waiting: Option<Job>,
    /// Where something was taken out of the address space in this step.
    unmapped: Vec<std::ops::Range<u64>>,
    /// How many steps there were.
    steps: u64,
    /// Whether an access to memory that waits is a call that waits; else it is over, but for its request.
    accesses_wait: bool,
    memory: Memory,
}

/// What a process is born with, as the engine tells it.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Handle and koid of the process itself.
    pub process: (zx_handle_t, zx_koid_t),
    /// Koid of its job.
    pub job: zx_koid_t,
    /// Its name.
    pub name: [u8; ZX_MAX_NAME_LEN],
    /// Handle and koid of the root VMAR.
    pub root: (zx_handle_t, zx_koid_t),
    /// Address of the root VMAR.
    pub base: u64,
    /// Bytes in the root VMAR.
    pub len: u64,
}

impl Model {
    /// A process that has done nothing yet.
    pub fn new(birth: Birth) -> Self {
        let mut model = Self {
            objects: BTreeMap::new(),
            contents: BTreeMap::new(),
            handles: BTreeMap::new(),
            next: 0,
            root: ObjectId(0),
            koids: BTreeSet::new(),
            closed_last: ZX_HANDLE_INVALID,
            born: [birth.process.0, birth.root.0],
            slots: BTreeMap::new(),
            waiting: None,
            unmapped: Vec::new(),
            steps: 0,
            accesses_wait: false,
            memory: Memory::default(),
        };
        let root = model.add(0, Kind::Vmar(Vmar::root(birth.base, birth.len)));
        model.root = root;
        let process = model.add(0, Kind::Process(birth.name, birth.job));
        let rights = ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ | ZX_RIGHT_WRITE | ZX_RIGHT_EXECUTE;
        let born = Outcome { made: vec![birth.root, birth.process], ..Outcome::default() };
        model.give(root, rights, &born, 0);
        model.give(process, ZX_DEFAULT_PROCESS_RIGHTS, &born, 1);
        model
    }

    /// Does the step. `got` is what the engine did: where it was free to choose, its choice is checked and taken over.
    ///
    /// # Panics
    /// If a choice was not legal.
    pub fn apply(&mut self, op: &Op, got: &Outcome) -> Outcome {
        let outcome = self.dispatch(op, got);
        self.reap();
        outcome.unwrap_or_else(|| panic!("{op:x?} waits"))
    }

    /// [`Model::apply`] for a call that may wait: `None` if it does. Only calls for which the engine has no choice may.
    pub fn begin(&mut self, op: &Op) -> Option<Outcome> {
        let outcome = self.dispatch(op, &Outcome::default());
        self.reap();
        outcome
    }

    /// What becomes of the call that waits.
    pub fn resume(&mut self) -> Resumed {
        let outcome = self.go_on();
        self.reap();
        outcome
    }

    fn dispatch(&mut self, op: &Op, got: &Outcome) -> Option<Outcome> {
        let number = |result: Result<u64, Status>| match result {
            Ok(number) => Outcome { numbers: [number, Outcome::default().numbers[1]], ..Outcome::default() },
            Err(status) => Outcome::of(Err(status)),
        };
        let made = |result: Result<Vec<(zx_handle_t, zx_koid_t)>, Status>| match result {
            Ok(made) => Outcome { made, ..Outcome::default() },
            Err(status) => Outcome::of(Err(status)),
        };
        Some(match *op {
            Op::HandleClose { handle } => Outcome::of(self.handle_close(handle)),
            Op::HandleCloseMany { ref handles } => Outcome::of(self.handle_close_many(handles)),
            Op::HandleDuplicate { handle, rights, lost } => made(self.handle_duplicate(handle, rights, lost, got)),
            Op::HandleReplace { handle, rights, lost } => made(self.handle_replace(handle, rights, lost, got)),
            Op::HandleCheckValid { handle } => Outcome::of(self.handle(handle).map(drop)),
            Op::ObjectGetInfo { handle, topic, len } => self.object_get_info(handle, topic, len, got),
            Op::ObjectGetProperty { handle, property, len } => self.object_get_property(handle, property, len),
            Op::ObjectSetProperty { handle, property, ref value } => {
                return self.object_set_property(handle, property, value.as_deref());
            }
            Op::ObjectSignal { handle, clear, set } => Outcome::of(self.object_signal(handle, clear, set)),
            Op::ObjectSignalPeer { handle, clear, set } => Outcome::of(self.object_signal_peer(handle, clear, set)),
            Op::ObjectWaitOne { handle, signals } => self.object_wait_one(handle, signals),
            Op::ObjectWaitMany { ref items } => self.object_wait_many(items),
            Op::EventCreate { options, lost } => made(self.event_create(options, lost, got)),
            Op::EventpairCreate { options, lost } => made(self.eventpair_create(options, lost, got)),
            Op::VmoCreate { size, options, lost } => made(self.vmo_create(size, options, lost, got)),
            Op::VmoRead { vmo, buffer, offset, len } => return self.vmo_read(vmo, buffer, offset, len),
            Op::VmoWrite { vmo, buffer, fill, offset, len } => {
                return self.vmo_write(vmo, buffer, fill, offset, len);
            }
            Op::VmoGetSize { vmo } => number(self.vmo(vmo, 0).map(|(id, _)| self.size(id))),
            Op::VmoSetSize { vmo, size } => return self.vmo_set_size(vmo, size),
            Op::VmoGetStreamSize { vmo } => number(self.vmo(vmo, 0).map(|(id, _)| self.stream_size(id))),
            Op::VmoSetStreamSize { vmo, size } => return self.vmo_set_stream_size(vmo, size),
            Op::VmoOpRange { vmo, op, offset, size, buffer_size } => {
                return self.vmo_op_range(vmo, op, offset, size, buffer_size);
            }
            Op::VmoCreateChild(args) => made(self.vmo_create_child(args, got)),
            Op::VmoTransferData(args) => Outcome::of(self.vmo_transfer_data(args)),
            Op::VmoCreateContiguous { bti, size, alignment_log2 } => {
                Outcome::of(self.vmo_create_contiguous(bti, size, alignment_log2))
            }
            Op::VmoCreatePhysical { resource, .. } => Outcome::of(self.vmo_create_physical(resource)),
            Op::VmoDiscard { vmo } => number(self.vmo_discard(vmo).map(u64::from)),
            Op::VmoFreeZeroPages { vmo } => number(self.vmo_free_zero_pages(vmo)),
            Op::Reclaim { .. } | Op::AgePass | Op::ReclaimAged { .. } | Op::SetBudget { .. } => self.reclaim(op, got),
            Op::VmoSetCachePolicy { vmo, policy } => Outcome::of(self.vmo_set_cache_policy(vmo, policy)),
            Op::VmoReplaceAsExecutable { vmo, vmex, lost } => {
                made(self.vmo_replace_as_executable(vmo, vmex, lost, got))
            }
            Op::VmarAllocate(args) => match self.vmar_allocate(args, got) {
                Ok((made, addr)) => Outcome { made: vec![made], ..number(Ok(addr)) },
                Err(status) => Outcome::of(Err(status)),
            },
            Op::VmarMap(args) => number(self.vmar_map(args, got)),
            Op::VmarUnmap { vmar, addr, len } => Outcome::of(self.vmar_unmap(vmar, addr, len)),
            Op::VmarProtect { vmar, options, addr, len } => Outcome::of(self.vmar_protect(vmar, options, addr, len)),
            Op::VmarDestroy { vmar } => Outcome::of(self.vmar_destroy(vmar)),
            Op::VmarOpRange(args) => return self.vmar_op_range(args),
            Op::Load { addr } => return self.access(addr, None),
            Op::Store { addr, byte } => return self.access(addr, Some(byte)),
            Op::PortCreate { options, lost } => made(self.port_create(options, lost, got)),
            Op::PortQueue { port, key, tag } => Outcome::of(self.port_queue(port, key, tag)),
            Op::PortWait { port, .. } => match self.port_wait(port, got) {
                Ok(bytes) => Outcome { bytes, ..Outcome::default() },
                Err(status) => Outcome::of(Err(status)),
            },
            Op::PagerCreate { options, lost } => made(self.pager_create(options, lost, got)),
            Op::PagerCreateVmo(args) => made(self.pager_create_vmo(args, got)),
            Op::PagerDetachVmo { pager, vmo } => Outcome::of(self.pager_detach_vmo(pager, vmo)),
            Op::PagerSupplyPages(args) => Outcome::of(self.pager_supply_pages(args)),
            Op::PagerOpRange(args) => Outcome::of(self.pager_op_range(args)),
            Op::PagerQueryDirtyRanges(args) => self.pager_query_dirty_ranges(args),
            Op::PagerQueryVmoStats { pager, vmo, options, len } => {
                self.pager_query_vmo_stats(pager, vmo, options, len, got)
            }
        })
    }

    /// Every handle there is.
    pub fn handles(&self) -> impl Iterator<Item = (zx_handle_t, Handle)> + Clone {
        self.handles.iter().map(|(&value, &handle)| (value, handle))
    }

    /// The handles that the process was born with.
    pub fn born(&self) -> [zx_handle_t; 2] {
        self.born
    }

    /// Every object there is.
    pub fn objects(&self) -> impl Iterator<Item = (ObjectId, &Object)> {
        self.objects.iter().map(|(&id, object)| (id, object))
    }

    /// Takes over that the page at `offset` was committed by a call that then failed.
    pub fn adopt_commit(&mut self, vmo: ObjectId, offset: u64) {
        let at = self.start(vmo) + offset;
        self.pages_mut(vmo).commit(at, at + 1);
    }

    /// The object, which is there.
    pub fn object(&self, id: ObjectId) -> &Object {
        &self.objects[&id]
    }

    /// The root VMAR.
    pub fn root(&self) -> ObjectId {
        self.root
    }

    fn add(&mut self, signals: u32, kind: Kind) -> ObjectId {
        let id = ObjectId(self.next);
        self.next += 1;
        self.objects.insert(id, Object { koid: ZX_KOID_INVALID, signals, kind });
        id
    }

    fn add_content(&mut self, content: Content) -> ContentId {
        let id = ContentId(self.next);
        self.next += 1;
        self.contents.insert(id, content);
        id
    }

    /// Enters a handle under the value that the engine chose for its `index`th result.
    fn give(&mut self, object: ObjectId, rights: u32, got: &Outcome, index: usize) -> (zx_handle_t, zx_koid_t) {
        // Where the engine gave none, the comparison of the outcomes tells.
        let Some(&(value, koid)) = got.made.get(index) else { return (ZX_HANDLE_INVALID, ZX_KOID_INVALID) };
        let fixed = ZX_HANDLE_FIXED_BITS_MASK;
        assert!(value != ZX_HANDLE_INVALID && value & fixed == fixed, "{value:#x} is no handle value");
        assert!(!self.handles.contains_key(&value), "{value:#x} is in use already");
        assert_ne!(value, self.closed_last, "handed out again at once");
        let known = &mut self.objects.get_mut(&object).expect("it was just made or found").koid;
        if *known == ZX_KOID_INVALID {
            assert!(koid >= ZX_KOID_FIRST && koid >> 63 == 0, "{koid:#x} is no koid");
            assert!(self.koids.insert(koid), "koid {koid} was used before");
            *known = koid;
        }
        let koid = *known;
        self.handles.insert(value, Handle { object, rights });
        self.closed_last = ZX_HANDLE_INVALID;
        (value, koid)
    }

    /// As [`Model::give`], unless the result cannot be written.
    fn give_unless(
        &mut self,
        lost: Lost,
        object: ObjectId,
        rights: u32,
        got: &Outcome,
    ) -> Result<Vec<(zx_handle_t, zx_koid_t)>, Status> {
        match lost {
            Lost::Nothing => Ok(vec![self.give(object, rights, got, 0)]),
            Lost::First | Lost::Second => Err(Status::INVALID_ARGS),
        }
    }

    fn handle(&self, handle: zx_handle_t) -> Result<Handle, Status> {
        self.handles.get(&handle).copied().ok_or(Status::BAD_HANDLE)
    }

    /// A handle to a VMO: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED`.
    fn vmo(&self, handle: zx_handle_t, needs: u32) -> Result<(ObjectId, u32), Status> {
        let Handle { object, rights } = self.handle(handle)?;
        match self.objects[&object].kind {
            Kind::Vmo(_) if rights & needs == needs => Ok((object, rights)),
            Kind::Vmo(_) => Err(Status::ACCESS_DENIED),
            Kind::Process(..) | Kind::Vmar(_) | Kind::Event | Kind::Eventpair(_) | Kind::Pager | Kind::Port(_) => {
                Err(Status::WRONG_TYPE)
            }
        }
    }

    /// A handle to a VMAR: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED`.
    fn vmar(&self, handle: zx_handle_t, needs: u32) -> Result<(ObjectId, u32), Status> {
        let Handle { object, rights } = self.handle(handle)?;
        match self.objects[&object].kind {
            Kind::Vmar(_) if rights & needs == needs => Ok((object, rights)),
            Kind::Vmar(_) => Err(Status::ACCESS_DENIED),
            Kind::Process(..) | Kind::Vmo(_) | Kind::Event | Kind::Eventpair(_) | Kind::Pager | Kind::Port(_) => {
                Err(Status::WRONG_TYPE)
            }
        }
    }

    /// The VMO, which it is.
    pub fn vmo_of(&self, id: ObjectId) -> &Vmo {
        match &self.objects[&id].kind {
            Kind::Vmo(vmo) => vmo,
            other => panic!("not a VMO: {other:?}"),
        }
    }

    fn vmo_mut(&mut self, id: ObjectId) -> &mut Vmo {
        match self.objects.get_mut(&id).map(|object| &mut object.kind) {
            Some(Kind::Vmo(vmo)) => vmo,
            other => panic!("not a VMO: {other:?}"),
        }
    }

    /// The VMAR, which it is.
    pub fn vmar_of(&self, id: ObjectId) -> &Vmar {
        match &self.objects[&id].kind {
            Kind::Vmar(vmar) => vmar,
            other => panic!("not a VMAR: {other:?}"),
        }
    }

    fn vmar_mut(&mut self, id: ObjectId) -> &mut Vmar {
        match self.objects.get_mut(&id).map(|object| &mut object.kind) {
            Some(Kind::Vmar(vmar)) => vmar,
            other => panic!("not a VMAR: {other:?}"),
        }
    }

    /// Every mapping of the VMO.
    pub fn mappings_of(&self, vmo: ObjectId) -> usize {
        let children = self.objects.values().filter_map(|object| match &object.kind {
            Kind::Vmar(vmar) => Some(&vmar.children),
            _ => None,
        });
        children.flatten().filter(|child| matches!(&child.what, What::Mapping(mapping) if mapping.vmo == vmo)).count()
    }

    /// Drops what nothing leads to any more, and tells ports what is to be told.
    fn reap(&mut self) {
        // An access that was under way where nothing is mapped any more, or something else, does not wait.
        self.steps += 1;
        let gone = std::mem::take(&mut self.unmapped);
        for source in self.contents.values_mut().filter_map(|content| content.source.as_mut()) {
            source.leave(|who| matches!(who, Who::Access(page) if gone.iter().any(|range| range.contains(&page))));
        }
        let mut used: BTreeSet<_> = self.handles.values().map(|handle| handle.object).collect();
        for (&id, object) in &self.objects {
            let Kind::Vmar(vmar) = &object.kind else { continue };
            if vmar.alive {
                used.insert(id);
            }
            used.extend(vmar.children.iter().filter_map(|child| match &child.what {
                What::Mapping(mapping) => Some(mapping.vmo),
                What::Vmar(_) => None,
            }));
        }
        let gone: Vec<_> = self.objects.keys().copied().filter(|id| !used.contains(id)).collect();
        for id in gone {
            match self.objects.remove(&id).expect("it was just found").kind {
                Kind::Vmo(vmo) => self.rehome(id, vmo.parent),
                Kind::Eventpair(peer) => {
                    if let Some(peer) = self.objects.get_mut(&peer) {
                        peer.signals |= ZX_EVENTPAIR_PEER_CLOSED;
                    }
                }
                Kind::Pager => self.pager_gone(id),
                Kind::Process(..) | Kind::Vmar(_) | Kind::Event | Kind::Port(_) => {}
            }
        }
        self.keep_mapped();
        let shown: BTreeSet<_> = self.vmos().map(|(_, vmo)| vmo.content).collect();
        self.deliver();
        let unseen =
            |model: &Self| model.contents.keys().copied().find(|&id| !shown.contains(&id) && !model.is_below(id));
        while let Some(id) = unseen(self) {
            match self.contents.remove(&id).expect("it was just found").source {
                Some(source) if source.provider == Provider::There => self.complete(source.slot),
                Some(_) | None => {}
            }
        }
        self.deliver();
        self.signal_zero_children();
    }
}
