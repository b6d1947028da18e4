//! Many threads over more pages than a budget lets be in memory: nothing is lost, nothing is stale, and the budget is kept.
//!
//! 1. A page's bytes follow from its number and its version; each page has one thread that makes new versions of it. Whoever reads
//!    one knows between which two versions it must be.
//! 2. The pager is one thread, which gives what it saved last. So what it gives is never older than what it was told was saved.
//! 3. Whatever may be refused meanwhile (unmapped, let go, refused by the pager) is tried again; nothing is ever torn.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use zerocopy::IntoBytes;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::{UserRef, UserSlice};
use zxvm_types::*;

use crate::PAGE;
use crate::cpu::{Cpu, Native};

const P: usize = PAGE as usize;

/// The least budget there is, in pages.
pub const BUDGET: u64 = 64;

/// Ten times as many.
const PAGES: u64 = 10 * BUDGET;

const THREADS: u64 = 8;

/// Pages of the VMOs that come and go.
const GUEST_PAGES: u64 = 32;

const MAIN_KEY: u64 = 1;

const RW: u32 = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
const CAN: u32 = ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_SPECIFIC;

/// What a race is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides what each thread does, but not in which order.
    pub seed: u64,
    /// How long, before the end is checked.
    pub time: Duration,
    /// Whether the pager is asked before pages become dirty.
    pub trap: bool,
    /// Whether the budget goes up and down.
    pub moving: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Loads, stores and calls that got through.
    pub done: u64,
    /// Pages taken out of memory.
    pub evicted: u64,
    /// How often somebody waited for room.
    pub starved: u64,
    /// How often the budget was looked at.
    pub samples: u64,
}

/// A page that its thread makes new versions of.
#[derive(Default)]
struct Version {
    /// The last one that is known to be there.
    done: AtomicU64,
    /// The last one that may be.
    begun: AtomicU64,
}

struct Race<'a> {
    kernel: &'a Kernel,
    plan: Plan,
    pager: zx_handle_t,
    port: zx_handle_t,
    main: zx_handle_t,
    region: zx_handle_t,
    base: usize,
    versions: Vec<Version>,
    /// First bytes of pages, as saved. The pager's alone.
    saved: Mutex<Vec<u8>>,
    /// VMOs that come and go, by key.
    guests: Mutex<BTreeMap<u64, zx_handle_t>>,
    over: AtomicBool,
    served: AtomicBool,
    done: AtomicU64,
    samples: AtomicU64,
}

/// The first byte of a version of a page. The others are [`filling`].
fn first_byte(page: u64, version: u64) -> u8 {
    (page.wrapping_mul(31)).wrapping_add(version) as u8
}

fn filling(page: u64) -> u8 {
    (page % 251) as u8 + 3
}

fn whole_page(page: u64, first: u8) -> Vec<u8> {
    let mut bytes = vec![filling(page); P];
    bytes[0] = first;
    bytes
}

/// Nobody else is left to answer: whoever waits is told so.
struct LetGo<'a>(&'a Kernel, zx_handle_t);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.handle_close(self.1);
        }
    }
}

/// Plays it on an engine that does nothing else, and has nothing of a pager's in memory.
///
/// # Panics
/// If a page is not what it must be, the budget is exceeded, or anything is left.
pub fn race(kernel: &Kernel, plan: Plan) -> Told {
    let before = kernel.memory_stats();
    kernel.set_memory_budget(Some(BUDGET * PAGE)).expect("the least there is");
    let (mut pager, mut port, mut main, mut region, mut base) = (0, 0, 0, 0, 0);
    kernel.pager_create(0, &mut pager).expect("a pager");
    kernel.port_create(0, &mut port).expect("a port");
    let options = if plan.trap { ZX_VMO_TRAP_DIRTY } else { 0 };
    kernel.pager_create_vmo(pager, options, port, MAIN_KEY, PAGES * PAGE, &mut main).expect("a VMO");
    let len = (2 * PAGES * PAGE) as usize;
    kernel.vmar_allocate(kernel.vmar_root_self(), CAN, 0, len, &mut region, &mut base).expect("room");
    let race = Race {
        kernel,
        plan,
        pager,
        port,
        main,
        region,
        base,
        versions: (0..PAGES).map(|_| Version::default()).collect(),
        saved: Mutex::new((0..PAGES).map(|page| first_byte(page, 0)).collect()),
        guests: Mutex::default(),
        over: AtomicBool::new(false),
        served: AtomicBool::new(false),
        done: AtomicU64::new(0),
        samples: AtomicU64::new(0),
    };
    (0..2).for_each(|view| race.map_view(view).expect("room"));
    race.run();
    kernel.set_memory_budget(None).expect("no limit");
    kernel.vmar_destroy(region).expect("still there");
    kernel.handle_close_many(&[region, main, pager, port]).expect("all are handles");
    kernel.audit();
    let after = kernel.memory_stats();
    assert_eq!((after.resident, after.dirty, Native.memory_pages()), (0, 0, 0), "something is left");
    Told {
        done: race.done.into_inner(),
        evicted: (after.evicted - before.evicted) / PAGE,
        starved: after.starved - before.starved,
        samples: race.samples.into_inner(),
    }
}

impl Race<'_> {
    fn run(&self) {
        let end = Instant::now() + self.plan.time;
        thread::scope(|scope| {
            let pager = scope.spawn(|| {
                let _let_go = LetGo(self.kernel, self.pager);
                self.serve();
            });
            let rng = |number: u64| Rng::with_seed(self.plan.seed.wrapping_mul(1000).wrapping_add(number));
            let mut threads: Vec<_> =
                (0..THREADS).map(|number| scope.spawn(move || self.work(number, &mut rng(number)))).collect();
            threads.push(scope.spawn(move || self.remap(&mut rng(100))));
            threads.push(scope.spawn(move || self.clone_some(&mut rng(101))));
            threads.push(scope.spawn(move || self.host_guests(&mut rng(102))));
            threads.push(scope.spawn(move || self.watch(&mut rng(103))));
            while Instant::now() < end && !pager.is_finished() && !threads.iter().any(|thread| thread.is_finished()) {
                thread::sleep(Duration::from_millis(5));
            }
            self.over.store(true, Ordering::Relaxed);
            let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            assert!(ended.iter().all(Result::is_ok), "a thread has failed: its words are above");
            for page in 0..PAGES {
                // The pager refuses one of a hundred.
                assert!((0..20).any(|_| self.read(page)), "page {page} cannot be read");
            }
            self.let_go_under_loads();
            self.served.store(true, Ordering::Relaxed);
        });
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn at(&self, view: u64, page: u64) -> u64 {
        self.base as u64 + (view * PAGES + page) * PAGE
    }

    fn map_view(&self, view: u64) -> Result<(), Status> {
        let (offset, len, mut at) = ((view * PAGES * PAGE) as usize, (PAGES * PAGE) as usize, 0);
        self.kernel.vmar_map(self.region, RW | ZX_VM_SPECIFIC, offset, self.main, 0, len, &mut at)
    }

    // ---- Those who use the pages ----

    fn work(&self, number: u64, rng: &mut Rng) {
        while !self.is_over() {
            let page = rng.u64(0..PAGES);
            let own = page - page % THREADS + number;
            let at = self.at(rng.u64(0..2), page);
            let done = match rng.u32(0..16) {
                0..5 => self.window(page, || Native.load(at).ok()),
                5..8 => {
                    let at = self.at(rng.u64(0..2), own);
                    self.new_version(own, |byte| Native.store(at, byte).is_ok())
                }
                8..11 => self.read(page),
                11..13 => self.new_version(own, |byte| {
                    let bytes = whole_page(own, byte);
                    self.kernel.vmo_write(self.main, UserRef::from(&bytes[..]), own * PAGE).is_ok()
                }),
                _ => self.advise(rng, page),
            };
            self.done.fetch_add(u64::from(done), Ordering::Relaxed);
        }
    }

    /// What is read first of a page must be of a version that may have been there. Whether anything could be read.
    fn window(&self, page: u64, read: impl FnOnce() -> Option<u8>) -> bool {
        let version = &self.versions[page as usize];
        let oldest = version.done.load(Ordering::SeqCst);
        let Some(byte) = read() else { return false };
        let newest = version.begun.load(Ordering::SeqCst);
        let later = u64::from(byte.wrapping_sub(first_byte(page, oldest)));
        assert!(later <= newest - oldest, "page {page}: {byte:#x} is of none of the versions {oldest} to {newest}");
        true
    }

    /// The thread whose page it is makes a new version of it.
    fn new_version(&self, page: u64, write: impl FnOnce(u8) -> bool) -> bool {
        let version = &self.versions[page as usize];
        let next = version.done.load(Ordering::SeqCst) + 1;
        version.begun.store(next, Ordering::SeqCst);
        let written = write(first_byte(page, next));
        if written {
            version.done.store(next, Ordering::SeqCst);
        }
        written
    }

    /// Reads all of a page by a call.
    fn read(&self, page: u64) -> bool {
        self.read_of(self.main, page)
    }

    fn read_of(&self, vmo: zx_handle_t, page: u64) -> bool {
        let mut bytes = vec![0; P];
        self.window(page, || {
            self.kernel.vmo_read(vmo, UserSlice::from(&mut bytes[..]), page * PAGE).ok()?;
            let other = bytes[1..].iter().find(|&&byte| byte != filling(page));
            assert_eq!(other, None, "page {page} holds what is not its own");
            Some(bytes[0])
        })
    }

    fn advise(&self, rng: &mut Rng, page: u64) -> bool {
        let pages = rng.u64(1..=8).min(PAGES - page);
        if rng.bool() {
            const OPS: [u32; 5] =
                [ZX_VMO_OP_COMMIT, ZX_VMO_OP_PREFETCH, ZX_VMO_OP_DONT_NEED, ZX_VMO_OP_DONT_NEED, ZX_VMO_OP_ALWAYS_NEED];
            let op = OPS[rng.usize(0..OPS.len())];
            let done = self.kernel.vmo_op_range(self.main, op, page * PAGE, pages * PAGE, UserSlice::from(&mut [][..]));
            return self.may_fail(done);
        }
        const OPS: [u32; 5] = [
            ZX_VMAR_OP_COMMIT,
            ZX_VMAR_OP_PREFETCH,
            ZX_VMAR_OP_DONT_NEED,
            ZX_VMAR_OP_MAP_RANGE,
            ZX_VMAR_OP_ALWAYS_NEED,
        ];
        let op = OPS[rng.usize(0..OPS.len())];
        let at = self.at(rng.u64(0..2), page) as usize;
        self.may_fail(self.kernel.vmar_op_range(self.region, op, at, pages as usize * P, 0, 0))
    }

    /// `IO`: refused by the pager. `BAD_STATE`: unmapped just now.
    fn may_fail(&self, result: Result<(), Status>) -> bool {
        let expected = [Ok(()), Err(Status::IO), Err(Status::BAD_STATE)];
        assert!(expected.contains(&result), "{result:?}");
        result.is_ok()
    }

    // ---- Those who change what is around them ----

    fn remap(&self, rng: &mut Rng) {
        while !self.is_over() {
            let view = rng.u64(0..2);
            let len = (PAGES * PAGE) as usize;
            self.kernel.vmar_unmap(self.region, self.at(view, 0) as usize, len).expect("it is mapped");
            (0..rng.u32(0..50)).for_each(|_| thread::yield_now());
            self.map_view(view).expect("it was mapped before");
            thread::sleep(Duration::from_micros(rng.u64(0..3000)));
        }
    }

    fn clone_some(&self, rng: &mut Rng) {
        while !self.is_over() {
            let mut clone = 0;
            let kind = ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE;
            self.kernel.vmo_create_child(self.main, kind, 0, PAGES * PAGE, &mut clone).expect("a child");
            let own = rng.u64(0..PAGES);
            let wrote = self.kernel.vmo_write(clone, UserRef::from(&[1; P][..]), own * PAGE);
            self.may_fail(wrote);
            for _ in 0..20 {
                let page = rng.u64(0..PAGES);
                if page != own {
                    self.read_of(clone, page);
                }
            }
            if wrote.is_ok() {
                let mut bytes = [0; P];
                self.kernel.vmo_read(clone, UserSlice::from(&mut bytes[..]), own * PAGE).expect("its own page");
                assert_eq!(bytes, [1; P], "page {own} of the clone");
            }
            self.kernel.handle_close(clone).expect("it is there");
        }
    }

    /// VMOs of the same pager that come, shrink, grow, and are let go while they are used: whatever becomes of their accesses.
    fn host_guests(&self, rng: &mut Rng) {
        let (mut region, mut base) = (0, 0);
        let len = (2 * GUEST_PAGES * PAGE) as usize;
        let root = self.kernel.vmar_root_self();
        self.kernel.vmar_allocate(root, CAN, 0, len, &mut region, &mut base).expect("room");
        for key in MAIN_KEY + 1.. {
            if self.is_over() {
                break;
            }
            let options = ZX_VMO_RESIZABLE | if rng.bool() { ZX_VMO_TRAP_DIRTY } else { 0 };
            let (mut vmo, mut at) = (0, 0);
            let size = GUEST_PAGES * PAGE;
            self.kernel.pager_create_vmo(self.pager, options, self.port, key, size, &mut vmo).expect("a VMO");
            self.lock_guests().insert(key, vmo);
            let flags = RW | ZX_VM_SPECIFIC | ZX_VM_ALLOW_FAULTS;
            self.kernel.vmar_map(region, flags, 0, vmo, 0, size as usize, &mut at).expect("room");
            thread::scope(|scope| {
                let mut others = rng.fork();
                scope.spawn(move || {
                    for _ in 0..30 {
                        let addr = at as u64 + others.u64(0..GUEST_PAGES) * PAGE;
                        let _ = if others.bool() { Native.load(addr).map(drop) } else { Native.store(addr, 1) };
                    }
                });
                for _ in 0..rng.u32(1..6) {
                    let (from, pages) = (rng.u64(0..GUEST_PAGES), rng.u64(1..8));
                    let zero = |op| {
                        let nothing = UserSlice::from(&mut [][..]);
                        self.kernel.vmo_op_range(vmo, op, from * PAGE, pages * PAGE, nothing)
                    };
                    // Past the end, let go, refused: any of it.
                    let _ = match rng.u32(0..4) {
                        0 => self.kernel.vmo_set_size(vmo, from * PAGE),
                        1 => self.kernel.vmo_set_size(vmo, size),
                        2 => zero(ZX_VMO_OP_ZERO),
                        _ => zero(ZX_VMO_OP_ALWAYS_NEED),
                    };
                }
                match rng.u32(0..3) {
                    0 => self.kernel.pager_detach_vmo(self.pager, vmo).expect("it is this pager's"),
                    1 => self.kernel.vmar_unmap(region, base, len).expect("it is a part"),
                    _ => {}
                }
            });
            self.lock_guests().remove(&key);
            self.kernel.handle_close(vmo).expect("it is there");
            self.kernel.vmar_unmap(region, base, len).expect("it is a part");
        }
        self.kernel.vmar_destroy(region).expect("it is there");
        self.kernel.handle_close(region).expect("it is there");
    }

    /// Looks at the budget, and moves it.
    fn watch(&self, rng: &mut Rng) {
        let most = if self.plan.moving { 4 * BUDGET } else { BUDGET };
        while !self.is_over() {
            for _ in 0..50 {
                let there = self.kernel.memory_stats().resident / PAGE;
                assert!(there <= most, "{there} pages are there, and {most} may be");
                self.samples.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
            match rng.u32(0..4) {
                0 => drop(self.kernel.reclaim(rng.u64(0..BUDGET) * PAGE)),
                1 if self.plan.moving => {
                    let pages = rng.u64(BUDGET..=4 * BUDGET);
                    self.kernel.set_memory_budget(Some(pages * PAGE)).expect("enough");
                }
                _ => thread::sleep(Duration::from_micros(500)),
            }
        }
    }

    /// The pager lets go while threads load: they get what they should, or are told.
    fn let_go_under_loads(&self) {
        thread::scope(|scope| {
            for number in 0..THREADS {
                scope.spawn(move || {
                    for page in (number..PAGES).step_by(THREADS as usize) {
                        self.window(page, || Native.load(self.at(number % 2, page)).ok());
                    }
                });
            }
            thread::sleep(Duration::from_millis(2));
            self.kernel.pager_detach_vmo(self.pager, self.main).expect("it is this pager's");
        });
    }

    // ---- The pager ----

    fn lock_guests(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, zx_handle_t>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let (kernel, mut rng) = (self.kernel, Rng::with_seed(self.plan.seed));
        let (mut event, mut turn) = (0, 0_u64);
        kernel.writeback_event(&mut event).expect("an event");
        while !self.served.load(Ordering::Relaxed) {
            let mut packet = zx_port_packet_t::default();
            let soon = zxvm_syscall::system::clock_get_monotonic() + 300_000;
            match kernel.port_wait(self.port, soon, &mut packet) {
                Ok(()) => self.answer(&packet, &mut rng),
                Err(status) => assert_eq!(status, Status::TIMED_OUT),
            }
            turn += 1;
            let none = None::<&mut zx_signals_t>;
            let wanted = kernel.object_wait_one(event, ZX_EVENT_SIGNALED, ZX_TIME_INFINITE_PAST, none).is_ok();
            // It takes its time, so that some wait for room.
            if wanted && rng.u32(0..64) == 0 || turn.is_multiple_of(1024) {
                self.save(MAIN_KEY, self.main);
                let guests: Vec<_> = self.lock_guests().iter().map(|(&key, &vmo)| (key, vmo)).collect();
                guests.into_iter().for_each(|(key, vmo)| self.save(key, vmo));
            }
        }
        kernel.handle_close(event).expect("it is there");
    }

    fn answer(&self, packet: &zx_port_packet_t, rng: &mut Rng) {
        let request: zx_packet_page_request_t = zerocopy::transmute!(packet.union);
        let vmo = match packet.key {
            MAIN_KEY => self.main,
            key => match self.lock_guests().get(&key) {
                Some(&vmo) => vmo,
                None => return,
            },
        };
        let (offset, len) = (request.offset, request.length);
        let op = |op, data| self.kernel.pager_op_range(self.pager, op, vmo, offset, len, data);
        let answered = match request.command {
            ZX_PAGER_VMO_READ if rng.u32(0..100) == 0 => op(ZX_PAGER_OP_FAIL, i64::from(ZX_ERR_IO) as u64),
            ZX_PAGER_VMO_READ => self.supply(packet.key, vmo, offset, len),
            ZX_PAGER_VMO_DIRTY => op(ZX_PAGER_OP_DIRTY, 0),
            _ => return,
        };
        // NOT_FOUND: what was to become dirty has gone. NO_MEMORY: there is no room for it. The others are about guests.
        let mut expected = vec![Ok(()), Err(Status::NOT_FOUND), Err(Status::NO_MEMORY)];
        if packet.key != MAIN_KEY {
            expected.extend([Err(Status::OUT_OF_RANGE), Err(Status::BAD_STATE), Err(Status::BAD_HANDLE)]);
        } else if self.is_over() {
            expected.push(Err(Status::BAD_STATE));
        }
        assert!(expected.contains(&answered), "{request:?}: {answered:?}");
    }

    fn supply(&self, key: u64, vmo: zx_handle_t, offset: u64, len: u64) -> Result<(), Status> {
        let mut aux = 0;
        self.kernel.vmo_create(len, 0, &mut aux)?;
        for page in offset / PAGE..(offset + len) / PAGE {
            let bytes = match key {
                MAIN_KEY => whole_page(page, self.saved.lock().unwrap_or_else(PoisonError::into_inner)[page as usize]),
                _ => vec![1; P],
            };
            self.kernel.vmo_write(aux, UserRef::from(&bytes[..]), page * PAGE - offset)?;
        }
        let supplied = self.kernel.pager_supply_pages(self.pager, vmo, offset, len, aux, 0);
        self.kernel.handle_close(aux)?;
        supplied
    }

    /// Saves what is dirty. A guest may go meanwhile.
    fn save(&self, key: u64, vmo: zx_handle_t) {
        let mut ranges = [zx_vmo_dirty_range_t::default(); 64];
        let mut count = 0;
        let none = None::<&mut usize>;
        let mut size = 0;
        let asked = self.kernel.vmo_get_size(vmo, &mut size).and_then(|()| {
            self.kernel.pager_query_dirty_ranges(
                self.pager,
                vmo,
                0,
                size,
                ranges.as_mut_bytes().into(),
                &mut count,
                none,
            )
        });
        assert!(asked.is_ok() || key != MAIN_KEY, "{asked:?}");
        if asked.is_err() {
            return;
        }
        for range in &ranges[..count] {
            let op = |op| self.kernel.pager_op_range(self.pager, op, vmo, range.offset, range.length, 0);
            let begun = op(ZX_PAGER_OP_WRITEBACK_BEGIN);
            if key == MAIN_KEY {
                assert_eq!(begun, Ok(()));
                for page in range.offset / PAGE..(range.offset + range.length) / PAGE {
                    let mut bytes = vec![0; P];
                    self.kernel.vmo_read(vmo, UserSlice::from(&mut bytes[..]), page * PAGE).expect("it is being saved");
                    assert!(bytes[1..].iter().all(|&byte| byte == filling(page)), "page {page} is saved torn");
                    self.saved.lock().unwrap_or_else(PoisonError::into_inner)[page as usize] = bytes[0];
                }
            }
            let ended = op(ZX_PAGER_OP_WRITEBACK_END);
            assert!(ended.is_ok() || key != MAIN_KEY, "{ended:?}");
        }
    }
}
