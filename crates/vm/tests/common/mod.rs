//! A machine with a pager behind mapped memory, simulated.
#![allow(dead_code)] // each test program uses its part of this

use std::sync::{Arc, Mutex};

use zxvm_host::sim::SimHost;
use zxvm_host::user::{UserRef, UserSlice};
use zxvm_host::{Host, PAGE_SIZE, Prot, VmoRange};
use zxvm_types::Status;
use zxvm_vm::{
    AddressSpace, ChildKind, ChildRequest, MapRequest, Pager, PagerOp, PagerVmoRequest, Place, RequestKind,
    RequestPort, StoreSet, Vmo, VmoKind,
};

/// What was sent and not taken back.
#[derive(Debug, Default)]
pub struct Sent(Mutex<Vec<(u64, RequestKind, VmoRange)>>, pub Mutex<u32>);

impl Sent {
    /// Takes all packets out.
    pub fn take(&self) -> Vec<(RequestKind, u64, u64)> {
        let pages = |range: VmoRange| (range.start() / PAGE_SIZE, range.end() / PAGE_SIZE);
        let sent = self.0.lock().unwrap().drain(..).collect::<Vec<_>>();
        sent.into_iter().map(|(_, kind, range)| (kind, pages(range).0, pages(range).1)).collect()
    }
}

impl RequestPort for Sent {
    fn request(&self, id: u64, kind: RequestKind, range: VmoRange) {
        self.0.lock().unwrap().push((id, kind, range));
    }

    fn withdraw(&self, id: u64) {
        self.0.lock().unwrap().retain(|&(other, ..)| other != id);
    }

    fn shorten(&self, end: u64) {
        for (_, _, range) in &mut *self.0.lock().unwrap() {
            *range = VmoRange::from_bounds(range.start(), range.end().min(end));
        }
    }

    fn complete(&self) {
        self.0.lock().unwrap().clear();
        *self.1.lock().unwrap() += 1;
    }

    fn silence(&self) {
        self.0.lock().unwrap().clear();
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

pub struct Machine {
    pub host: Arc<SimHost>,
    pub stores: Arc<StoreSet>,
    pub space: Arc<AddressSpace>,
    pub pager: Arc<Pager>,
    pub port: Arc<Sent>,
    pub vmo: Arc<Vmo>,
    pub base: u64,
}

fn engine() -> (Arc<SimHost>, Arc<StoreSet>, Arc<AddressSpace>) {
    let host = Arc::new(SimHost::default());
    let (stores, space) = (StoreSet::new(host.clone()), AddressSpace::new(host.clone(), 1 << 30, 1).unwrap());
    (host, stores, space)
}

pub const PLAIN: VmoKind = VmoKind { resizable: false, discardable: false, immutable: false };

impl Machine {
    /// With a pager VMO of so many pages, mapped.
    pub fn new(pages: u64, trap_dirty: bool) -> Self {
        let (host, stores, space) = engine();
        let port: Arc<Sent> = Arc::default();
        Self::made(host, stores, space, (pages, trap_dirty), port.clone(), port)
    }

    /// Whose host is asked by way of another.
    pub fn through(host: Arc<SimHost>, by: Arc<dyn Host>, pages: u64) -> Self {
        let (stores, space) = (StoreSet::new(by.clone()), AddressSpace::new(by, 1 << 30, 1).unwrap());
        let port: Arc<Sent> = Arc::default();
        Self::made(host, stores, space, (pages, false), port.clone(), port)
    }

    /// Whose requests go elsewhere.
    pub fn with_port(pages: u64, port: Arc<dyn RequestPort>) -> Self {
        let (host, stores, space) = engine();
        Self::made(host, stores, space, (pages, false), Arc::default(), port)
    }

    fn made(
        host: Arc<SimHost>,
        stores: Arc<StoreSet>,
        space: Arc<AddressSpace>,
        (pages, trap_dirty): (u64, bool),
        port: Arc<Sent>,
        to: Arc<dyn RequestPort>,
    ) -> Self {
        let pager = Arc::new(Pager::default());
        let request = PagerVmoRequest {
            koid: 1,
            size: pages * PAGE_SIZE,
            stream_size: pages * PAGE_SIZE,
            resizable: true,
            trap_dirty,
            port: to,
        };
        let vmo = space.create_pager_vmo(&stores, &pager, request).unwrap();
        let mut machine = Self { host, stores, space, pager, port, vmo, base: 0 };
        machine.base = machine.map();
        machine
    }

    /// With another VMO of the same machine, by another pager, mapped.
    pub fn beside(other: &Self, pages: u64) -> Self {
        let (host, stores, space) = (other.host.clone(), other.stores.clone(), other.space.clone());
        let port: Arc<Sent> = Arc::default();
        Self::made(host, stores, space, (pages, false), port.clone(), port)
    }

    /// Unmaps it.
    pub fn unmap(&self) {
        self.space.root().unmap(self.base, self.vmo.size(), true).unwrap();
    }

    pub fn map(&self) -> u64 {
        self.map_of(&self.vmo)
    }

    pub fn map_of(&self, vmo: &Arc<Vmo>) -> u64 {
        let place = Place { offset: 0, specific: false, overwrite: false, upper_limit: false, align: 0 };
        let prot = Prot::READ | Prot::WRITE;
        let (vmo, len) = (vmo.clone(), vmo.size());
        let request =
            MapRequest { vmo, offset: 0, len, place, can: prot, prot, ends_with_stream: false, populate: false };
        let root = self.space.root();
        root.map(request).unwrap().range().start()
    }

    pub fn child(&self, of: &Arc<Vmo>, kind: ChildKind, pages: u64) -> Result<Arc<Vmo>, Status> {
        let size = pages * PAGE_SIZE;
        let request = ChildRequest { kind, offset: 0, size, resizable: true, immutable: false, koid: 9, named: false };
        self.space.create_child(of, request)
    }

    pub fn read(&self, vmo: &Vmo, page: u64) -> u8 {
        let mut byte = [0];
        self.space.read_vmo(vmo, page * PAGE_SIZE, UserSlice::from(&mut byte[..])).unwrap();
        byte[0]
    }

    pub fn write(&self, vmo: &Vmo, page: u64, byte: u8) {
        self.space.write_vmo(vmo, page * PAGE_SIZE, UserRef::from(&[byte][..])).unwrap();
    }

    pub fn at(&self, page: u64) -> u64 {
        self.base + page * PAGE_SIZE
    }

    /// Supplies pages `[from, to)`, each filled with its number and one.
    pub fn supply(&self, from: u64, to: u64) -> Result<(), Status> {
        let aux = Vmo::create(&self.stores, 2, PLAIN, (to - from) * PAGE_SIZE, 0).unwrap();
        for page in from..to {
            let bytes = [(page + 1) as u8; PAGE_SIZE as usize];
            self.space.write_vmo(&aux, (page - from) * PAGE_SIZE, UserRef::from(&bytes[..])).unwrap();
        }
        self.space.supply_pages(&self.pager, &self.vmo, from * PAGE_SIZE, (to - from) * PAGE_SIZE, &aux, 0)
    }

    pub fn op(&self, op: PagerOp, from: u64, to: u64) -> Result<(), Status> {
        self.space.pager_op_range(&self.pager, &self.vmo, op, from * PAGE_SIZE, (to - from) * PAGE_SIZE)
    }

    pub fn dirty(&self) -> Vec<(u64, u64, bool)> {
        let ranges = self.space.dirty_ranges(&self.pager, &self.vmo, 0, self.vmo.size()).unwrap();
        ranges.iter().map(|range| (range.offset / PAGE_SIZE, range.length / PAGE_SIZE, range.is_zero)).collect()
    }

    pub fn audit(&self) {
        self.space.audit();
        self.vmo.audit(&mut Default::default());
    }
}

pub const READ: RequestKind = RequestKind::Read;
pub const DIRTY: RequestKind = RequestKind::Dirty;
pub const BEGIN: PagerOp = PagerOp::WritebackBegin { zero_only: false };
