//! Every way back: each call, with each of the host calls it makes failing in turn.
//!
//! For every case, and for N = 1, 2, ... until the call gets through, a fresh engine is set up, the Nth call of the host
//! (or the Nth and all later ones) is made to fail, and the engine is called. Then:
//! 1. the status is `NO_MEMORY` or `NO_RESOURCES`, and all that a program can see is as before (where the host refused the
//!    way back as well: after the next change), unless the specification lets the call stop half way: then every page is
//!    as before or as after the whole call (as for a stream size, where a host that refuses everything from then on
//!    also refuses to write an edge back to a page that is there, which Linux does not). Among relatives, what was shared may
//!    be the VMO's own already, and what was to be moved may be in both places;
//! 2. or the status is `OK`, and all is as after the undisturbed call;
//! 3. in both cases the audit passes, and the same call repeated gets through and leads to the same end (but for moves, of
//!    which some are done then);
//! 4. when all is closed, the host has got everything back.
//!
//! The same cases run on machines that have just too little memory or just too few mappings.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use zxvm_host::fail::{FailNth, Mode};
use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_host::{AddrRange, Host, HostError, Prot, View};
use zxvm_syscall::user::{UserRef, UserSlice};
use zxvm_syscall::{Config, Kernel};
use zxvm_testkit::engine::{record, records};
use zxvm_types::*;

const PAGE: usize = 4096;
const R: u32 = ZX_VM_PERM_READ;
const RW: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
const CAN_RW: u32 = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC;

/// A machine, an engine on it, and the handles a case has made.
struct Bench {
    sim: Arc<SimHost>,
    host: Arc<FailNth<SimHost>>,
    kernel: Kernel,
    base: usize,
    handles: RefCell<Vec<zx_handle_t>>,
}

/// What a VMO holds that has a handle with `READ`.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    committed: u64,
    stream_size: u64,
    pages: Vec<Vec<u8>>,
}

/// What there is to know about a handle, valid or not: whether it is, what it leads to, and how many others do.
type Known = (Result<(), Status>, Option<zx_info_handle_basic_t>, Option<u32>);

/// All that a program can see without changing it, and how much of the machine is in use.
#[derive(Clone, Debug, PartialEq)]
struct Sight {
    handles: Vec<Known>,
    vmos: Vec<Option<zx_info_vmo_t>>,
    contents: Vec<Option<Content>>,
    maps: Vec<zx_info_maps_t>,
    access: Vec<(AddrRange, Option<Prot>)>,
    vmas: usize,
    memory_pages: u64,
}

impl Bench {
    fn new(config: SimConfig) -> Self {
        let sim = Arc::new(SimHost::new(config));
        let host = Arc::new(FailNth::new(sim.clone()));
        let kernel = Kernel::new(host.clone(), Config { root_len: 64 << 20, seed: 7 }).unwrap();
        let range: zx_info_vmar_t = record(&kernel, kernel.vmar_root_self(), ZX_INFO_VMAR).unwrap();
        Self { sim, host, kernel, base: range.base, handles: RefCell::new(Vec::new()) }
    }

    fn root(&self) -> zx_handle_t {
        self.kernel.vmar_root_self()
    }

    fn at(&self, page: usize) -> usize {
        self.base + page * PAGE
    }

    fn keep(&self, handle: zx_handle_t) -> zx_handle_t {
        self.handles.borrow_mut().push(handle);
        handle
    }

    /// For the call under test: the handle is closed at the end, however the call ends.
    fn making(&self, call: impl FnOnce(&mut zx_handle_t) -> Result<(), Status>) -> Result<(), Status> {
        let mut handle = ZX_HANDLE_INVALID;
        let result = call(&mut handle);
        if handle != ZX_HANDLE_INVALID {
            self.keep(handle);
        }
        result
    }

    fn vmo(&self, pages: usize, options: u32) -> zx_handle_t {
        let mut vmo = ZX_HANDLE_INVALID;
        self.kernel.vmo_create((pages * PAGE) as u64, options, &mut vmo).unwrap();
        self.keep(vmo)
    }

    /// A VMO whose every other page, from the first on, is committed and says which page it is.
    fn striped(&self, pages: usize, options: u32) -> zx_handle_t {
        let vmo = self.vmo(pages, options);
        for page in (0..pages).step_by(2) {
            self.write(vmo, page * PAGE, &[page as u8 + 1; PAGE]).unwrap();
        }
        vmo
    }

    /// A child that shows `pages` of `vmo` from its page `from` on.
    fn child(&self, vmo: zx_handle_t, options: u32, from: usize, pages: usize) -> zx_handle_t {
        let mut child = ZX_HANDLE_INVALID;
        self.try_child(vmo, options, from, pages, &mut child).unwrap();
        self.keep(child)
    }

    fn try_child(
        &self,
        vmo: zx_handle_t,
        options: u32,
        from: usize,
        pages: usize,
        out: &mut zx_handle_t,
    ) -> Result<(), Status> {
        self.kernel.vmo_create_child(vmo, options, (from * PAGE) as u64, (pages * PAGE) as u64, out)
    }

    fn transfer(&self, dst: zx_handle_t, at: usize, pages: usize, src: zx_handle_t, from: usize) -> Result<(), Status> {
        let [at, len, from] = [at, pages, from].map(|pages| (pages * PAGE) as u64);
        self.kernel.vmo_transfer_data(dst, 0, at, len, src, from)
    }

    /// As [`Bench::striped`], but no page is like one of that.
    fn marked(&self, pages: usize) -> zx_handle_t {
        let vmo = self.vmo(pages, 0);
        for page in (0..pages).step_by(2) {
            self.write(vmo, page * PAGE, &[page as u8 + 101; PAGE]).unwrap();
        }
        vmo
    }

    fn write(&self, vmo: zx_handle_t, offset: usize, bytes: &[u8]) -> Result<(), Status> {
        self.kernel.vmo_write(vmo, UserRef::from(bytes), offset as u64)
    }

    /// Maps `pages` of `vmo` from its page `from` on, at page `at` of the VMAR.
    fn map(&self, vmar: zx_handle_t, options: u32, at: usize, vmo: zx_handle_t, from: usize, pages: usize) {
        self.try_map(vmar, options | ZX_VM_SPECIFIC, at, vmo, from, pages).unwrap();
    }

    fn try_map(
        &self,
        vmar: zx_handle_t,
        options: u32,
        at: usize,
        vmo: zx_handle_t,
        from: usize,
        pages: usize,
    ) -> Result<(), Status> {
        self.kernel.vmar_map(vmar, options, at * PAGE, vmo, (from * PAGE) as u64, pages * PAGE, &mut 0)
    }

    fn vmar(&self, parent: zx_handle_t, at: usize, pages: usize) -> zx_handle_t {
        let mut child = ZX_HANDLE_INVALID;
        let options = CAN_RW | ZX_VM_SPECIFIC;
        self.kernel.vmar_allocate(parent, options, at * PAGE, pages * PAGE, &mut child, &mut 0).unwrap();
        self.keep(child)
    }

    fn protect(&self, vmar: zx_handle_t, options: u32, at: usize, pages: usize) -> Result<(), Status> {
        self.kernel.vmar_protect(vmar, options, self.at(at), pages * PAGE)
    }

    fn unmap(&self, vmar: zx_handle_t, at: usize, pages: usize) -> Result<(), Status> {
        self.kernel.vmar_unmap(vmar, self.at(at), pages * PAGE)
    }

    fn op(&self, vmar: zx_handle_t, op: u32, at: usize, pages: usize) -> Result<(), Status> {
        self.kernel.vmar_op_range(vmar, op, self.at(at), pages * PAGE, 0, 0)
    }

    fn vmo_op(&self, vmo: zx_handle_t, op: u32, offset: usize, len: usize) -> Result<(), Status> {
        self.kernel.vmo_op_range(vmo, op, offset as u64, len as u64, UserSlice::from(&mut [0; 32][..]))
    }

    fn record<T: FromBytes + IntoBytes + Immutable + KnownLayout + Default>(
        &self,
        handle: u32,
        topic: u32,
    ) -> Option<T> {
        record(&self.kernel, handle, topic).ok()
    }

    fn content(&self, vmo: zx_handle_t) -> Option<Content> {
        let info: zx_info_vmo_t = self.record(vmo, ZX_INFO_VMO)?;
        let mut stream_size = 0;
        self.kernel.vmo_get_stream_size(vmo, &mut stream_size).unwrap();
        let mut pages = vec![vec![0; PAGE]; (info.size_bytes as usize / PAGE).min(64)];
        for (index, page) in pages.iter_mut().enumerate() {
            let offset = (index * PAGE) as u64;
            self.kernel.vmo_read(vmo, UserSlice::from(&mut page[..]), offset).ok()?;
        }
        Some(Content { committed: info.committed_bytes, stream_size, pages })
    }

    fn sight(&self) -> Sight {
        let handles = self.handles.borrow().clone();
        let count = |handle| self.record::<zx_info_handle_count_t>(handle, ZX_INFO_HANDLE_COUNT);
        let vmo = |handle| {
            // How much memory describes the content is the engine's own affair, and numbers may be skipped.
            let info: Option<zx_info_vmo_t> = self.record(handle, ZX_INFO_VMO);
            info.map(|info| zx_info_vmo_t { koid: 0, metadata_bytes: 0, ..info })
        };
        let root = AddrRange::new(self.base as u64, 64 << 20).unwrap();
        let mut access: Vec<(AddrRange, Option<Prot>)> = Vec::new();
        for piece in self.sim.pieces(root).unwrap() {
            let prot = match piece.view {
                View::Held => None,
                View::Store { prot, .. } => (!prot.is_empty()).then_some(prot),
            };
            match access.last_mut() {
                Some((range, same)) if *same == prot => {
                    *range = AddrRange::from_bounds(range.start(), piece.range.end());
                }
                Some(_) | None => access.push((piece.range, prot)),
            }
        }
        Sight {
            handles: handles
                .iter()
                .map(|&handle| {
                    let valid = self.kernel.handle_check_valid(handle);
                    let basic: Option<zx_info_handle_basic_t> = self.record(handle, ZX_INFO_HANDLE_BASIC);
                    let basic = basic.map(|basic| zx_info_handle_basic_t { koid: 0, ..basic });
                    (valid, basic, count(handle).map(|count| count.handle_count))
                })
                .collect(),
            vmos: handles.iter().map(|&handle| vmo(handle)).collect(),
            contents: handles.iter().map(|&handle| self.content(handle)).collect(),
            maps: records(&self.kernel, self.kernel.process_self(), ZX_INFO_PROCESS_MAPS).unwrap(),
            access,
            vmas: self.sim.vma_count(),
            memory_pages: self.sim.memory_pages(),
        }
    }

    /// What loads and stores in the first pages of the root VMAR give. Commits what it loads.
    fn probe(&self) -> Vec<(Option<u8>, bool)> {
        let pages = (0..128).map(|page| self.at(page) as u64);
        pages.map(|addr| (self.sim.load(addr).ok(), self.sim.store(addr + 1, 99).is_ok())).collect()
    }

    /// Where the host refused even the way back, the next change of the address space takes it. This one changes nothing.
    fn repair(&self) {
        self.unmap(self.root(), 120, 1).unwrap();
    }

    /// What the host refused to free is freed when the next memory is needed.
    fn reclaim(&self) {
        let mut vmo = ZX_HANDLE_INVALID;
        self.kernel.vmo_create(PAGE as u64, 0, &mut vmo).unwrap();
        // On a small machine there may be no page left; that is enough.
        let _ = self.write(vmo, 0, &[1]);
        self.kernel.handle_close(vmo).unwrap();
    }

    /// Closes everything and looks whether the machine is as it was before the case.
    fn close_all(self, name: &str) {
        self.unmap(self.root(), 0, (64 << 20) / PAGE).unwrap();
        let _ = self.kernel.handle_close_many(&self.handles.borrow());
        self.reclaim();
        self.kernel.audit();
        let records: Vec<zx_info_maps_t> =
            records(&self.kernel, self.kernel.process_self(), ZX_INFO_PROCESS_MAPS).unwrap();
        assert_eq!(records.len(), 2, "{name}: mappings are left");
        assert_eq!(self.sim.memory_pages(), 0, "{name}: memory is left");
        assert_eq!(self.sim.vma_count(), 1, "{name}: the root VMAR is in pieces");
        let Self { sim, host, kernel, .. } = self;
        drop((kernel, host));
        assert_eq!((sim.store_count(), sim.vma_count()), (0, 0), "{name}: the engine left something");
    }
}

/// Whether a call that fails may have done a part of its work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    /// No: all is as before.
    Never,
    /// Pages may be as after the call.
    Pages,
    /// No; but what was shared may be the VMO's own already, which costs memory and changes no content.
    Own,
    /// Both.
    OwnPages,
    /// Pages may have been moved, each from here to there, or be here and there. So the call made again moves less.
    Moved,
}

impl Half {
    fn pages(self) -> bool {
        match self {
            Self::Pages | Self::OwnPages | Self::Moved => true,
            Self::Never | Self::Own => false,
        }
    }

    /// What does not count: where a frame lies, and so how many VMAs show it, is for the engine to choose, once there are
    /// several places.
    fn seen(self, sight: &Sight) -> Sight {
        let vmas = match self {
            Self::Never | Self::Pages => sight.vmas,
            Self::Own | Self::OwnPages | Self::Moved => 0,
        };
        Sight { vmas, ..sight.clone() }
    }
}

/// A state, and a call that works in it. The state is an array of handles.
struct Case<const N: usize> {
    name: &'static str,
    half: Half,
    set_up: fn(&Bench) -> [zx_handle_t; N],
    call: fn(&Bench, [zx_handle_t; N]) -> Result<(), Status>,
}

impl<const N: usize> Case<N> {
    fn check(&self) {
        let before = self.sight_of(|_, _| ());
        let after = self.sight_of(|bench, state| (self.call)(bench, state).unwrap());
        let probed = self.prepared(SimConfig::default()).0.probe();
        for (error, mode) in [
            (HostError::NoMemory, Mode::Once),
            (HostError::NoDescriptors, Mode::Once),
            (HostError::NoMemory, Mode::From),
        ] {
            let count = (1..).find(|&n| {
                let name = format!("{}, call {n} of the host, {error:?} {mode:?}", self.name);
                let (bench, state) = self.prepared(SimConfig::default());
                bench.host.arm(n, error, mode);
                let result = (self.call)(&bench, state);
                bench.host.disarm();
                let fired = bench.host.fired();
                assert!(fired || result.is_ok(), "{name}: {result:?} though nothing failed");
                if mode == Mode::From {
                    bench.repair();
                }
                self.judge(&name, bench, state, result, mode, [&before, &after]);
                if !self.half.pages() && result.is_err() {
                    let (bench, state) = self.prepared(SimConfig::default());
                    bench.host.arm(n, error, mode);
                    assert_eq!((self.call)(&bench, state), result, "{name}: not the same the second time");
                    bench.host.disarm();
                    bench.repair();
                    assert_eq!(bench.probe(), probed, "{name}: loads and stores are not as before");
                }
                !fired
            });
            assert!(count.is_some(), "{}: never gets through", self.name);
        }
        self.check_small_machines(&before, &after);
    }

    /// On machines that are as large as the state needs, then a little larger, until the call gets through.
    fn check_small_machines(&self, before: &Sight, after: &Sight) {
        for extra in 0..64 {
            let config = SimConfig { vmas_max: before.vmas + extra, ..SimConfig::default() };
            if self.on_small_machine(config, before, after) {
                break;
            }
        }
        for extra in 0..=64 {
            let config = SimConfig { memory_pages_max: before.memory_pages + extra, ..SimConfig::default() };
            if self.on_small_machine(config, before, after) {
                break;
            }
        }
    }

    fn on_small_machine(&self, config: SimConfig, before: &Sight, after: &Sight) -> bool {
        let name = format!("{}, {config:?}", self.name);
        // To set the state up may take more for a moment than to keep it.
        let Ok((bench, state)) = std::panic::catch_unwind(|| self.prepared(config)) else { return false };
        let result = (self.call)(&bench, state);
        bench.kernel.audit();
        bench.reclaim();
        match result {
            Ok(()) => assert_same(&name, &self.half.seen(&bench.sight()), &self.half.seen(after)),
            Err(_) => self.failed(&name, &bench.sight(), result, before, after),
        }
        bench.close_all(&name);
        result.is_ok()
    }

    fn prepared(&self, config: SimConfig) -> (Bench, [zx_handle_t; N]) {
        let bench = Bench::new(config);
        let state = (self.set_up)(&bench);
        (bench, state)
    }

    fn sight_of(&self, act: impl FnOnce(&Bench, [zx_handle_t; N])) -> Sight {
        let (bench, state) = self.prepared(SimConfig::default());
        act(&bench, state);
        bench.kernel.audit();
        bench.reclaim();
        let sight = bench.sight();
        bench.close_all(self.name);
        sight
    }

    fn judge(
        &self,
        name: &str,
        bench: Bench,
        state: [zx_handle_t; N],
        result: Result<(), Status>,
        mode: Mode,
        [before, after]: [&Sight; 2],
    ) {
        bench.kernel.audit();
        bench.reclaim();
        if result.is_err() {
            self.failed(name, &bench.sight(), result, before, after);
            if self.half == Half::Moved {
                return bench.close_all(name);
            }
            (self.call)(&bench, state).unwrap_or_else(|status| panic!("{name}: again, undisturbed: {status}"));
            bench.kernel.audit();
        }
        let (mut now, then) = (self.half.seen(&bench.sight()), self.half.seen(after));
        if matches!((self.half, mode), (Half::Own | Half::OwnPages | Half::Moved, Mode::From)) {
            // A page that the host would not free, in the middle of what is in use, is freed with what is around it.
            assert!(now.memory_pages >= then.memory_pages, "{name}: memory is missing");
            now.memory_pages = then.memory_pages;
        }
        assert_same(&format!("{name}: in the end"), &now, &then);
        bench.close_all(name);
    }

    fn failed(&self, name: &str, now: &Sight, result: Result<(), Status>, before: &Sight, after: &Sight) {
        assert!(
            matches!(result, Err(Status::NO_MEMORY | Status::NO_RESOURCES)),
            "{name}: {result:?} is not what the documentation says"
        );
        let [now, before, after] = [now, before, after].map(|sight| self.half.seen(sight));
        match self.half {
            Half::Never => assert_same(&format!("{name}: {result:?}"), &now, &before),
            Half::Own => {
                let contents = |sight: &Sight| sight.contents.clone();
                assert_same(&format!("{name}: {result:?}"), &without_pages(&now), &without_pages(&before));
                assert!(contents(&now) == contents(&before), "{name}: {result:?}: a content has changed");
            }
            Half::Pages | Half::OwnPages | Half::Moved => {
                assert_same(name, &without_pages(&now), &without_pages(&before));
                for ((now, before), after) in now.contents.iter().zip(&before.contents).zip(&after.contents) {
                    let (Some(now), Some(before), Some(after)) = (now, before, after) else { continue };
                    let bounds = before.committed.min(after.committed)..=before.committed.max(after.committed);
                    let inside = self.half == Half::Moved || bounds.contains(&now.committed);
                    assert!(inside, "{name}: {} of {bounds:?} committed", now.committed);
                    for (index, page) in now.pages.iter().enumerate() {
                        let known = [&before.pages[index], &after.pages[index]].contains(&page);
                        assert!(known, "{name}: page {index} is neither as before nor as after");
                    }
                }
                // Nothing is lost: what is somewhere before and after is somewhere now.
                let pages = |sight: &Sight| -> HashSet<Vec<u8>> {
                    sight.contents.iter().flatten().flat_map(|content| content.pages.clone()).collect()
                };
                let (now, before, after) = (pages(&now), pages(&before), pages(&after));
                assert!(before.intersection(&after).all(|page| now.contains(page)), "{name}: a page is lost");
            }
        }
    }
}

fn assert_same(name: &str, now: &Sight, then: &Sight) {
    assert_eq!(now.handles, then.handles, "{name}: handles");
    assert_eq!(now.access, then.access, "{name}: what may be accessed");
    for (index, (now, then)) in now.contents.iter().zip(&then.contents).enumerate() {
        let (Some(now), Some(then)) = (now, then) else { continue };
        assert_eq!((now.committed, now.stream_size), (then.committed, then.stream_size), "{name}: handle {index}");
        let differs = now.pages.iter().zip(&then.pages).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{name}: a page of handle {index} has another content");
    }
    assert_eq!(now.vmos, then.vmos, "{name}: VMOs");
    assert_eq!(now.maps, then.maps, "{name}: maps");
    assert_eq!((now.vmas, now.memory_pages), (then.vmas, then.memory_pages), "{name}: VMAs and pages in use");
    assert!(now == then, "{name}: {now:?} is not {then:?}");
}

fn without_pages(sight: &Sight) -> Sight {
    let mut sight = sight.clone();
    sight.contents.clear();
    sight.memory_pages = 0;
    for info in sight.vmos.iter_mut().flatten() {
        *info = zx_info_vmo_t {
            committed_bytes: 0,
            populated_bytes: 0,
            committed_private_bytes: 0,
            populated_private_bytes: 0,
            committed_scaled_bytes: 0,
            populated_scaled_bytes: 0,
            committed_fractional_scaled_bytes: 0,
            populated_fractional_scaled_bytes: 0,
            ..*info
        };
    }
    for record in &mut sight.maps {
        let mapping = &mut record.mapping;
        *mapping = zx_info_maps_mapping_t {
            mmu_flags: mapping.mmu_flags,
            vmo_koid: mapping.vmo_koid,
            vmo_offset: mapping.vmo_offset,
            ..Default::default()
        };
    }
    sight
}

/// Two VMOs that do not change their size and one that does, mapped in several windows under several protections: pages
/// 0..8 and 8..12 of the root VMAR, a gap, 16..24, which shows more than there is; and 20 pages further a VMAR.
fn crowded(bench: &Bench) -> [zx_handle_t; 4] {
    let root = bench.root();
    let first = bench.striped(8, 0);
    let second = bench.striped(4, 0);
    let third = bench.striped(6, ZX_VMO_RESIZABLE);
    bench.map(root, RW, 0, first, 0, 8);
    bench.map(root, R, 8, second, 0, 4);
    bench.map(root, RW | ZX_VM_ALLOW_FAULTS, 16, third, 0, 8);
    bench.protect(root, R, 2, 2).unwrap();
    bench.protect(root, 0, 5, 1).unwrap();
    bench.protect(root, R, 17, 1).unwrap();
    let child = bench.vmar(root, 40, 16);
    bench.map(child, RW, 2, third, 1, 4);
    bench.map(child, R, 6, first, 2, 3);
    [first, second, third, child]
}

/// A VMO of eight pages, a snapshot of the last four and of four that are not there, and a snapshot of that one; each has
/// parted from the others in a page of its own, and pages are left that two or three of them share. A slice shows three pages
/// of the first one. All are mapped: the parent at page 0 of the root VMAR, once more at 10 without leave to write, the
/// child at 20, the grandchild at 30 and the slice at 40.
fn family(bench: &Bench) -> [zx_handle_t; 4] {
    let root = bench.root();
    let parent = bench.vmo(8, 0);
    bench.write(parent, 0, &[1; 7 * PAGE]).unwrap();
    bench.map(root, RW, 0, parent, 0, 8);
    bench.map(root, R, 10, parent, 2, 4);
    let child = bench.child(parent, ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_RESIZABLE, 4, 8);
    bench.map(root, RW | ZX_VM_ALLOW_FAULTS, 20, child, 0, 8);
    bench.write(child, PAGE, &[2; 10]).unwrap();
    let grandchild = bench.child(child, ZX_VMO_CHILD_SNAPSHOT, 0, 4);
    bench.map(root, RW, 30, grandchild, 0, 4);
    bench.write(grandchild, 0, &[3; 10]).unwrap();
    bench.write(parent, 6 * PAGE, &[4; 10]).unwrap();
    let slice = bench.child(parent, ZX_VMO_CHILD_SLICE, 3, 3);
    bench.map(root, RW, 40, slice, 0, 3);
    [parent, child, grandchild, slice]
}

macro_rules! cases {
    ($($name:ident: $half:ident, $set_up:expr, $call:expr;)*) => {
        $(
            #[test]
            fn $name() {
                Case { name: stringify!($name), half: Half::$half, set_up: $set_up, call: $call }.check();
            }
        )*
    };
}

cases! {
    handle_close_of_a_vmo: Never, |b| [b.striped(8, 0)], |b, [vmo]| match b.kernel.handle_close(vmo) {
        // Closed by the call before: a close always works.
        Err(Status::BAD_HANDLE) => panic!("a close that failed closed nevertheless"),
        result => result,
    };
    handle_close_of_a_mapped_vmo: Never, crowded, |b, [_, _, third, _]| b.kernel.handle_close(third);
    handle_close_of_a_vmar: Never, crowded, |b, [.., child]| b.kernel.handle_close(child);
    handle_close_many: Never, crowded, |b, all| b.kernel.handle_close_many(&all);
    handle_duplicate: Never, crowded, |b, [first, ..]| {
        b.making(|out| b.kernel.handle_duplicate(first, ZX_RIGHT_SAME_RIGHTS, out))
    };
    handle_replace: Never, crowded, |b, [first, ..]| {
        b.making(|out| b.kernel.handle_replace(first, ZX_RIGHT_SAME_RIGHTS, out))
    };
    vmo_replace_as_executable: Never, crowded, |b, [first, ..]| {
        b.making(|out| b.kernel.vmo_replace_as_executable(first, ZX_HANDLE_INVALID, out))
    };
    object_get_info: Never, crowded, |b, [first, ..]| {
        record::<zx_info_vmo_t>(&b.kernel, first, ZX_INFO_VMO)?;
        records::<zx_info_maps_t>(&b.kernel, b.root(), ZX_INFO_VMAR_MAPS).map(drop)
    };
    object_set_property_name: Never, crowded, |b, [first, ..]| {
        b.kernel.object_set_property(first, ZX_PROP_NAME, UserRef::from(&b"name"[..]))
    };
    object_set_property_content_size: Never, crowded, |b, [first, ..]| {
        let size = (PAGE as u64 + 10).to_ne_bytes();
        b.kernel.object_set_property(first, ZX_PROP_VMO_CONTENT_SIZE, UserRef::from(&size[..]))
    };
    event_create: Never, |_| [], |b, []| b.making(|out| b.kernel.event_create(0, out));
    vmo_create: Never, |_| [], |b, []| b.making(|out| b.kernel.vmo_create(1 << 20, ZX_VMO_RESIZABLE, out));
    vmo_read: Never, crowded, |b, [first, ..]| {
        b.kernel.vmo_read(first, UserSlice::from(&mut [0; 8 * PAGE][..]), 0)
    };
    vmo_write_to_absent_pages: Pages, |b| [b.vmo(8, 0)], |b, [vmo]| b.write(vmo, PAGE, &[7; 4 * PAGE]);
    vmo_write_to_committed_pages: Pages, crowded, |b, [first, ..]| b.write(first, 0, &[7; 8 * PAGE]);
    vmo_write_far_out: Pages, |b| {
        let vmo = b.vmo(0, ZX_VMO_UNBOUNDED);
        b.write(vmo, 1 << 62, &[1]).unwrap();
        b.map(b.root(), RW, 0, vmo, ((1 << 41) - 4 * PAGE) / PAGE, 8);
        [vmo]
    }, |b, [vmo]| b.write(vmo, (1 << 41) - 2 * PAGE, &[7; 4 * PAGE]);
    vmo_set_size_larger: Never, crowded, |b, [_, _, third, _]| b.kernel.vmo_set_size(third, 7 * PAGE as u64);
    vmo_set_size_much_larger: Never, crowded, |b, [_, _, third, _]| b.kernel.vmo_set_size(third, 1 << 41);
    vmo_set_size_from_nothing: Never, |b| {
        let vmo = b.vmo(0, ZX_VMO_RESIZABLE);
        b.map(b.root(), RW, 0, vmo, 0, 4);
        b.map(b.root(), R, 8, vmo, 1, 6);
        b.map(b.root(), 0, 16, vmo, 0, 6);
        b.protect(b.root(), R, 1, 1).unwrap();
        [vmo]
    }, |b, [vmo]| b.kernel.vmo_set_size(vmo, 5 * PAGE as u64);
    vmo_set_size_smaller: Never, crowded, |b, [_, _, third, _]| b.kernel.vmo_set_size(third, 2 * PAGE as u64 + 10);
    vmo_set_size_nothing: Never, crowded, |b, [_, _, third, _]| b.kernel.vmo_set_size(third, 0);
    vmo_set_size_within_a_page: Never, crowded, |b, [_, _, third, _]| {
        b.kernel.vmo_set_size(third, 5 * PAGE as u64 + 10)
    };
    vmo_set_stream_size_smaller: Pages, |b| {
        let vmo = b.striped(8, 0);
        b.map(b.root(), RW | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE, 0, vmo, 0, 8);
        b.map(b.root(), R | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE, 16, vmo, 1, 8);
        b.map(b.root(), RW, 32, vmo, 0, 8);
        b.protect(b.root(), R, 3, 2).unwrap();
        [vmo]
    }, |b, [vmo]| b.kernel.vmo_set_stream_size(vmo, 2 * PAGE as u64 + 10);
    vmo_set_stream_size_larger: Pages, |b| {
        let vmo = b.striped(8, 0);
        b.kernel.vmo_set_stream_size(vmo, 10).unwrap();
        b.write(vmo, 20, &[3; 6 * PAGE]).unwrap();
        b.map(b.root(), RW | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE, 0, vmo, 0, 8);
        b.map(b.root(), R | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE, 16, vmo, 1, 8);
        b.protect(b.root(), R, 3, 2).unwrap();
        [vmo]
    }, |b, [vmo]| b.kernel.vmo_set_stream_size(vmo, 6 * PAGE as u64);
    vmo_commit: Pages, crowded, |b, [first, ..]| b.vmo_op(first, ZX_VMO_OP_COMMIT, 0, 8 * PAGE);
    vmo_decommit: Pages, crowded, |b, [first, ..]| b.vmo_op(first, ZX_VMO_OP_DECOMMIT, PAGE, 6 * PAGE);
    vmo_zero: Pages, crowded, |b, [first, ..]| b.vmo_op(first, ZX_VMO_OP_ZERO, 10, 6 * PAGE + 20);
    vmo_prefetch: Never, crowded, |b, [first, ..]| b.vmo_op(first, ZX_VMO_OP_PREFETCH, 0, 8 * PAGE);
    vmo_lock_and_unlock: Never, |b| [b.striped(4, ZX_VMO_DISCARDABLE)], |b, [vmo]| {
        b.vmo_op(vmo, ZX_VMO_OP_LOCK, 0, 4 * PAGE)?;
        b.vmo_op(vmo, ZX_VMO_OP_UNLOCK, 0, 4 * PAGE)
    };
    vmo_set_cache_policy: Never, |b| [b.striped(4, 0)], |b, [vmo]| {
        b.kernel.vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_UNCACHED)
    };
    vmo_create_child_snapshot: Never, crowded, |b, [first, ..]| {
        b.making(|out| b.try_child(first, ZX_VMO_CHILD_SNAPSHOT, 0, 8, out))
    };
    vmo_create_child_snapshot_of_the_middle: Never, crowded, |b, [first, ..]| {
        b.making(|out| b.try_child(first, ZX_VMO_CHILD_SNAPSHOT, 2, 3, out))
    };
    vmo_create_child_snapshot_of_a_resizable_one: Never, crowded, |b, [_, _, third, _]| {
        b.making(|out| b.try_child(third, ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_RESIZABLE, 1, 20, out))
    };
    vmo_create_child_snapshot_of_nothing: Never, crowded, |b, [first, ..]| {
        b.making(|out| b.try_child(first, ZX_VMO_CHILD_SNAPSHOT, 9, 0, out))
    };
    vmo_create_child_snapshot_of_what_is_far_out: Never, |b| {
        let vmo = b.vmo(0, ZX_VMO_UNBOUNDED);
        b.write(vmo, (1 << 41) - PAGE, &[7; 2 * PAGE]).unwrap();
        b.map(b.root(), RW, 0, vmo, ((1 << 41) - 4 * PAGE) / PAGE, 8);
        [vmo]
    }, |b, [vmo]| b.making(|out| b.try_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 1, 1 << 40, out));
    vmo_create_child_snapshot_again: Own, family, |b, [parent, ..]| {
        b.making(|out| b.try_child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, 8, out))
    };
    vmo_create_child_snapshot_of_a_child: Own, family, |b, [_, child, ..]| {
        b.making(|out| b.try_child(child, ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_NO_WRITE, 1, 8, out))
    };
    vmo_create_child_slice: Never, family, |b, [parent, ..]| {
        b.making(|out| b.try_child(parent, ZX_VMO_CHILD_SLICE, 1, 4, out))
    };
    vmo_create_child_reference: Never, family, |b, [_, child, ..]| {
        b.making(|out| b.try_child(child, ZX_VMO_CHILD_REFERENCE, 0, 0, out))
    };
    handle_close_of_a_parent: Own, family, |b, [parent, ..]| b.kernel.handle_close(parent);
    handle_close_of_a_child: Own, |b| {
        let all = family(b);
        b.unmap(b.root(), 20, 8).unwrap();
        all
    }, |b, [_, child, ..]| b.kernel.handle_close(child);
    handle_close_of_a_family: Own, |b| {
        let all = family(b);
        b.unmap(b.root(), 0, 60).unwrap();
        all
    }, |b, all| b.kernel.handle_close_many(&all);
    family_object_get_info: Own, family, |b, [parent, child, ..]| {
        record::<zx_info_vmo_t>(&b.kernel, parent, ZX_INFO_VMO)?;
        record::<zx_info_vmo_t>(&b.kernel, child, ZX_INFO_VMO)?;
        records::<zx_info_maps_t>(&b.kernel, b.root(), ZX_INFO_VMAR_MAPS).map(drop)
    };
    family_vmo_read: Own, family, |b, [_, child, ..]| {
        b.kernel.vmo_read(child, UserSlice::from(&mut [0; 8 * PAGE][..]), 0)
    };
    family_vmo_write: OwnPages, family, |b, [parent, ..]| b.write(parent, 0, &[7; 8 * PAGE]);
    family_vmo_write_to_a_child: OwnPages, family, |b, [_, child, ..]| b.write(child, 10, &[7; 7 * PAGE]);
    family_vmo_write_to_a_slice: OwnPages, family, |b, [.., slice]| b.write(slice, PAGE, &[7; 2 * PAGE]);
    family_store: Own, family, |b, _| b.sim.store(b.at(4) as u64, 7).map_err(|_| Status::NO_MEMORY);
    family_store_to_a_child: Own, family, |b, _| b.sim.store(b.at(22) as u64, 7).map_err(|_| Status::NO_MEMORY);
    family_store_through_a_slice: Own, family, |b, _| b.sim.store(b.at(41) as u64, 7).map_err(|_| Status::NO_MEMORY);
    family_vmo_commit: OwnPages, family, |b, [_, child, ..]| b.vmo_op(child, ZX_VMO_OP_COMMIT, 0, 8 * PAGE);
    family_vmo_zero: OwnPages, family, |b, [parent, ..]| b.vmo_op(parent, ZX_VMO_OP_ZERO, 4 * PAGE + 10, 2 * PAGE);
    family_vmo_zero_of_a_child: OwnPages, family, |b, [_, child, ..]| b.vmo_op(child, ZX_VMO_OP_ZERO, 10, 3 * PAGE);
    family_vmo_set_size_smaller: Own, family, |b, [_, child, ..]| {
        b.kernel.vmo_set_size(child, 2 * PAGE as u64 + 10)
    };
    family_vmo_set_size_larger: Own, family, |b, [_, child, ..]| b.kernel.vmo_set_size(child, 1 << 41);
    family_vmo_set_stream_size: OwnPages, family, |b, [_, child, ..]| {
        b.kernel.vmo_set_stream_size(child, 2 * PAGE as u64 + 10)
    };
    vmo_transfer_data: Moved, |b| [b.striped(6, 0), b.marked(6)], |b, [dst, src]| b.transfer(dst, 1, 4, src, 0);
    vmo_transfer_data_within_one: Moved, |b| [b.striped(8, 0)], |b, [vmo]| b.transfer(vmo, 1, 6, vmo, 0);
    family_vmo_transfer_data_out: Moved, |b| {
        let [_, child, ..] = family(b);
        [b.striped(6, 0), child]
    }, |b, [dst, child]| b.transfer(dst, 0, 4, child, 0);
    family_vmo_transfer_data_in: Moved, |b| {
        let [parent, ..] = family(b);
        [b.marked(6), parent]
    }, |b, [src, parent]| b.transfer(parent, 3, 4, src, 1);
    family_vmo_transfer_data_among_relatives: Moved, family, |b, [parent, child, ..]| {
        b.transfer(parent, 3, 4, child, 0)
    };
    vmo_discard: Pages, |b| {
        let vmo = b.striped(4, ZX_VMO_DISCARDABLE);
        b.map(b.root(), RW | ZX_VM_ALLOW_FAULTS, 0, vmo, 0, 4);
        b.vmo_op(vmo, ZX_VMO_OP_LOCK, 0, 4 * PAGE).unwrap();
        b.vmo_op(vmo, ZX_VMO_OP_UNLOCK, 0, 4 * PAGE).unwrap();
        [vmo]
    }, |b, [vmo]| b.kernel.vmo_discard(vmo).map(drop);
    vmo_lock_of_what_was_discarded: Never, |b| {
        let vmo = b.striped(4, ZX_VMO_DISCARDABLE);
        b.map(b.root(), RW | ZX_VM_ALLOW_FAULTS, 0, vmo, 0, 4);
        b.vmo_op(vmo, ZX_VMO_OP_LOCK, 0, 4 * PAGE).unwrap();
        b.vmo_op(vmo, ZX_VMO_OP_UNLOCK, 0, 4 * PAGE).unwrap();
        assert!(b.kernel.vmo_discard(vmo).unwrap());
        [vmo]
    }, |b, [vmo]| b.vmo_op(vmo, ZX_VMO_OP_LOCK, 0, 4 * PAGE);
    vmo_free_zero_pages: Pages, |b| {
        let vmo = b.striped(8, 0);
        b.vmo_op(vmo, ZX_VMO_OP_COMMIT, 0, 8 * PAGE).unwrap();
        b.map(b.root(), RW, 0, vmo, 0, 8);
        [vmo]
    }, |b, [vmo]| b.kernel.vmo_free_zero_pages(vmo).map(drop);
    family_vmo_free_zero_pages: OwnPages, |b| {
        let [parent, child, grandchild, slice] = family(b);
        b.vmo_op(child, ZX_VMO_OP_COMMIT, 0, 8 * PAGE).unwrap();
        b.write(parent, 4 * PAGE, &[0; PAGE]).unwrap();
        [parent, child, grandchild, slice]
    }, |b, all| all.into_iter().try_for_each(|vmo| b.kernel.vmo_free_zero_pages(vmo).map(drop));
    family_vmar_map: Own, family, |b, [_, child, ..]| b.try_map(b.root(), RW | ZX_VM_SPECIFIC, 50, child, 0, 8);
    family_vmar_map_of_a_slice: Own, family, |b, [.., slice]| b.try_map(b.root(), R | ZX_VM_SPECIFIC, 50, slice, 1, 4);
    family_vmar_map_over: Own, family, |b, [.., grandchild, _]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC_OVERWRITE, 2, grandchild, 0, 4)
    };
    family_vmar_map_with_map_range: Own, family, |b, [parent, ..]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC | ZX_VM_MAP_RANGE, 50, parent, 0, 8)
    };
    family_vmar_unmap: Own, family, |b, _| b.unmap(b.root(), 5, 26);
    family_vmar_protect: Own, family, |b, _| b.protect(b.root(), R, 3, 3);
    family_vmar_protect_for_writing: Own, family, |b, _| b.protect(b.root(), RW, 10, 4);
    family_vmar_commit: OwnPages, family, |b, _| b.op(b.root(), ZX_VMAR_OP_COMMIT, 20, 8);
    family_vmar_commit_through_a_slice: OwnPages, family, |b, _| b.op(b.root(), ZX_VMAR_OP_COMMIT, 40, 3);
    family_vmar_zero: OwnPages, family, |b, _| b.op(b.root(), ZX_VMAR_OP_ZERO, 20, 4);
    family_vmar_map_range: Own, family, |b, _| b.op(b.root(), ZX_VMAR_OP_MAP_RANGE, 20, 8);
    vmar_allocate: Never, crowded, |b, _| {
        let options = CAN_RW | ZX_VM_SPECIFIC;
        b.making(|out| b.kernel.vmar_allocate(b.root(), options, 60 * PAGE, 4 * PAGE, out, &mut 0))
    };
    vmar_map: Never, crowded, |b, [first, ..]| b.try_map(b.root(), RW | ZX_VM_SPECIFIC, 26, first, 1, 4);
    vmar_map_of_absent_pages: Never, |b| [b.vmo(8, 0)], |b, [vmo]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC, 26, vmo, 1, 4)
    };
    vmar_map_past_the_end: Never, crowded, |b, [_, _, third, _]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC, 26, third, 4, 8)
    };
    vmar_map_that_merges: Never, |b| {
        let vmo = b.striped(12, 0);
        b.map(b.root(), RW, 0, vmo, 0, 4);
        b.map(b.root(), R, 8, vmo, 8, 4);
        [vmo]
    }, |b, [vmo]| b.try_map(b.root(), RW | ZX_VM_SPECIFIC, 4, vmo, 4, 4);
    vmar_map_far_out: Never, |b| {
        let vmo = b.vmo(0, ZX_VMO_UNBOUNDED);
        b.write(vmo, (1 << 41) - PAGE, &[7; 2 * PAGE]).unwrap();
        [vmo]
    }, |b, [vmo]| b.try_map(b.root(), RW | ZX_VM_SPECIFIC, 0, vmo, ((1 << 41) - 4 * PAGE) / PAGE, 8);
    vmar_map_with_map_range: Never, crowded, |b, [first, ..]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC | ZX_VM_MAP_RANGE, 26, first, 0, 8)
    };
    vmar_map_ending_with_the_stream: Never, |b| {
        let vmo = b.striped(8, 0);
        b.kernel.vmo_set_stream_size(vmo, 3 * PAGE as u64).unwrap();
        [vmo]
    }, |b, [vmo]| {
        let options = RW | ZX_VM_SPECIFIC | ZX_VM_ALLOW_FAULTS | ZX_VM_FAULT_BEYOND_STREAM_SIZE;
        b.try_map(b.root(), options, 4, vmo, 1, 8)
    };
    vmar_map_over_a_gap: Never, crowded, |b, [_, second, ..]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC_OVERWRITE, 13, second, 0, 2)
    };
    vmar_map_over_the_middle_of_one: Never, crowded, |b, [_, second, ..]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC_OVERWRITE, 3, second, 0, 3)
    };
    vmar_map_over_several: Never, crowded, |b, [_, second, ..]| {
        b.try_map(b.root(), RW | ZX_VM_SPECIFIC_OVERWRITE, 1, second, 0, 20)
    };
    vmar_map_over_itself: Never, crowded, |b, [first, ..]| {
        b.try_map(b.root(), R | ZX_VM_SPECIFIC_OVERWRITE, 1, first, 1, 6)
    };
    vmar_unmap_of_the_middle: Never, crowded, |b, _| b.unmap(b.root(), 3, 1);
    vmar_unmap_of_a_tail: Never, crowded, |b, _| b.unmap(b.root(), 20, 8);
    vmar_unmap_of_several: Never, crowded, |b, _| b.unmap(b.root(), 1, 18);
    vmar_unmap_of_a_vmar: Never, crowded, |b, _| b.unmap(b.root(), 10, 60);
    vmar_unmap_of_nothing: Never, crowded, |b, _| b.unmap(b.root(), 12, 3);
    vmar_protect: Never, crowded, |b, _| b.protect(b.root(), RW, 1, 2);
    vmar_protect_of_many_runs: Never, |b| {
        let vmo = b.striped(16, 0);
        b.map(b.root(), RW, 0, vmo, 0, 16);
        for page in (1..16).step_by(2) {
            b.protect(b.root(), [R, 0][page / 2 % 2], page, 1).unwrap();
        }
        [vmo]
    }, |b, _| b.protect(b.root(), R, 2, 12);
    vmar_protect_that_splits: Never, |b| {
        let vmo = b.striped(8, 0);
        b.map(b.root(), RW, 0, vmo, 0, 8);
        [vmo]
    }, |b, _| b.protect(b.root(), 0, 3, 2);
    vmar_protect_of_several: Never, crowded, |b, _| b.protect(b.root(), R, 1, 9);
    vmar_protect_past_the_end: Never, crowded, |b, _| b.protect(b.root(), R, 16, 8);
    vmar_protect_through_a_vmar: Never, crowded, |b, _| b.protect(b.root(), R, 43, 4);
    vmar_destroy: Never, crowded, |b, [.., child]| b.kernel.vmar_destroy(child);
    vmar_destroy_of_a_tree: Never, |b| {
        let [first, _, _, child] = crowded(b);
        let inner = b.vmar(child, 12, 4);
        b.map(inner, RW, 0, first, 0, 1);
        b.map(inner, R, 2, first, 0, 1);
        [child]
    }, |b, [child]| b.kernel.vmar_destroy(child);
    vmar_commit: Pages, crowded, |b, _| b.op(b.root(), ZX_VMAR_OP_COMMIT, 0, 12);
    vmar_commit_of_absent_pages: Pages, |b| {
        let vmo = b.vmo(16, 0);
        b.map(b.root(), RW, 0, vmo, 0, 16);
        b.protect(b.root(), 0, 4, 4).unwrap();
        b.protect(b.root(), R, 8, 4).unwrap();
        [vmo]
    }, |b, _| b.op(b.root(), ZX_VMAR_OP_COMMIT, 0, 16);
    vmar_decommit: Pages, crowded, |b, _| b.op(b.root(), ZX_VMAR_OP_DECOMMIT, 0, 8);
    vmar_map_range: Never, crowded, |b, _| b.op(b.root(), ZX_VMAR_OP_MAP_RANGE, 0, 12);
    vmar_zero: Pages, crowded, |b, _| b.op(b.root(), ZX_VMAR_OP_ZERO, 0, 12);
    vmar_always_need: Never, crowded, |b, _| b.op(b.root(), ZX_VMAR_OP_ALWAYS_NEED, 0, 12);
    vmar_prefetch: Never, crowded, |b, _| b.op(b.root(), ZX_VMAR_OP_PREFETCH, 0, 8);
}
