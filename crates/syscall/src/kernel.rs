//! The engine as one value: host, stores, address space, handles, and the handles that a process is born with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustix::rand::{GetRandomFlags, getrandom};
use zxvm_host::linux::{Delivery, LinuxHost, in_child, install_fault_recovery, keep_from_children};
use zxvm_host::{Host, PAGE_SIZE};
use zxvm_object::{Handle, HandleTable, Job, Koids, Object, PagerObject, Port, Process, VmarObject, VmoObject};
use zxvm_types::*;
use zxvm_vm::pressure::Thresholds;
use zxvm_vm::{AddressSpace, StoreSet};

use crate::memory::{WritebackEvent, budget_of};
use crate::system;
use crate::system_event::SystemEvents;
use crate::top::{self, Top};
use crate::zero_scan::ZeroScan;

/// What a [`Kernel`] is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of address to reserve for the root VMAR, a power of two; less is taken where the system gives less.
    pub root_len: u64,
    /// Decides placement and handle values.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        // As many pages as placement chooses among (vmar.md §12).
        Self { root_len: PAGE_SIZE << 30, seed: 0 }
    }
}

/// All that `zx_` calls act on. See the methods, one per call.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) stores: Arc<StoreSet>,
    pub(crate) space: Arc<AddressSpace>,
    pub(crate) handles: HandleTable,
    pub(crate) koids: Koids,
    pub(crate) zero_scan: ZeroScan,
    pub(crate) system_events: Arc<SystemEvents>,
    pub(crate) writeback: Arc<WritebackEvent>,
    pub(crate) top: Top,
    /// When it was made, on the monotonic clock, in nanoseconds.
    pub(crate) born: i64,
    host: Arc<dyn Host>,
    process: zx_handle_t,
    root: zx_handle_t,
    job: zx_handle_t,
}

/// The process's own engine, once it is there.
static CURRENT: OnceLock<Kernel> = OnceLock::new();

/// Held while it is made: which thread is to deal with its faults, if the program has said so.
static MAKING: Mutex<Option<Delivery>> = Mutex::new(None);

impl Kernel {
    /// The process's own engine, on Linux, made at the first call.
    ///
    /// Which thread deals with accesses that wait is what [`Kernel::set_fault_delivery`] said; if it said nothing, what the
    /// environment variable `ZXVM_FAULTS` says, `thread` (as without it) or `inline`. Where levels of memory pressure begin is
    /// what [`Kernel::set_pressure_thresholds`] says, else what `ZXVM_PRESSURE` says ([`Thresholds::parse`]), else what
    /// suits the machine. `ZXVM_BUDGET` says how much of what pagers provide may be in memory to begin with, such as `64M`.
    /// `ZXVM_TOP` says by which socket it can be watched ([`Kernel::serve_top`]).
    ///
    /// # Errors
    /// `BAD_STATE`: this process was forked from one that had an engine. `INVALID_ARGS`: one of these variables says something
    /// else.
    /// `NO_RESOURCES`, `NO_MEMORY`, `ACCESS_DENIED`,
    /// `INTERNAL`: Linux refused what the engine needs (`/proc`, a file descriptor, address space).
    pub fn current() -> Result<&'static Self, Status> {
        Self::current_or(top::serve_as_environment_says)
    }

    /// [`Kernel::current`] where no thread may be started, since that calls `malloc`: `ZXVM_TOP` is not looked at.
    /// [`Kernel::serve_top_from_here`] is for that.
    ///
    /// # Errors
    /// As [`Kernel::current`].
    pub fn current_below_malloc() -> Result<&'static Self, Status> {
        Self::current_or(|_| {})
    }

    /// The process's own engine, as soon as it is there. Waits for that without making it, and takes no memory meanwhile.
    pub(crate) fn wait_for_current() -> &'static Self {
        CURRENT.wait()
    }

    /// The process's own engine; `made` is called if it was made now.
    fn current_or(made: impl FnOnce(&'static Self)) -> Result<&'static Self, Status> {
        if in_child() {
            return Err(Status::BAD_STATE);
        }
        if let Some(kernel) = CURRENT.get() {
            return Ok(kernel);
        }
        let is_new = Self::make_current()?;
        let kernel = CURRENT.get().ok_or(Status::INTERNAL)?;
        if is_new {
            made(kernel);
        }
        Ok(kernel)
    }

    /// Whether it was not there yet.
    fn make_current() -> Result<bool, Status> {
        // A refusal is not remembered: the next call tries again.
        let delivery = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if CURRENT.get().is_some() {
            return Ok(false);
        }
        let delivery = (*delivery).or_else(Delivery::of_environment).ok_or(Status::INVALID_ARGS)?;
        Ok(CURRENT.set(Self::on_linux(delivery)?).is_ok())
    }

    /// Says which thread is to deal with accesses that wait, whatever the environment says.
    ///
    /// # Errors
    /// `BAD_STATE`: it is too late, the engine is there; or this process was forked from one that had an engine.
    pub fn set_fault_delivery(delivery: Delivery) -> Result<(), Status> {
        if in_child() {
            return Err(Status::BAD_STATE);
        }
        let mut asked = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if CURRENT.get().is_some() {
            return Err(Status::BAD_STATE);
        }
        *asked = Some(delivery);
        Ok(())
    }

    fn on_linux(delivery: Delivery) -> Result<Self, Status> {
        let mut seed = [0; 8];
        // The pool is ready long before a program runs; if not, a fixed seed is weaker but works.
        let _ = getrandom(&mut seed, GetRandomFlags::NONBLOCK);
        let thresholds = std::env::var_os("ZXVM_PRESSURE").map(|text| {
            let read = text.to_str().and_then(Thresholds::parse);
            read.ok_or(Status::INVALID_ARGS)
        });
        let thresholds = thresholds.transpose()?;
        let host = LinuxHost::new(delivery).map_err(zxvm_vm::status)?;
        let config = Config { seed: u64::from_ne_bytes(seed), ..Config::default() };
        let kernel = Self::new(Arc::new(host), config)?;
        if let Some(thresholds) = thresholds {
            kernel.set_pressure_thresholds(thresholds)?;
        }
        if let Some(budget) = std::env::var_os("ZXVM_BUDGET") {
            let budget = budget.to_str().and_then(budget_of).ok_or(Status::INVALID_ARGS)?;
            kernel.set_memory_budget(Some(budget))?;
        }
        // Buffers may be given by address in Rust too.
        install_fault_recovery();
        keep_from_children(kernel.space.range());
        Ok(kernel)
    }

    /// An engine of its own on a host of the caller's choice.
    ///
    /// # Errors
    /// `NO_MEMORY`: the host has no address space to give.
    pub fn new(host: Arc<dyn Host>, config: Config) -> Result<Self, Status> {
        let stores = StoreSet::new(host.clone());
        let space = AddressSpace::new(host.clone(), config.root_len, config.seed)?;
        // A different stream from the one that places things.
        let handles = HandleTable::new((config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32);
        let koids = Koids::default();
        let job_koid = koids.next();
        let name = std::env::current_exe().ok();
        let name = name.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str()).unwrap_or("");
        let process = Object::Process(Arc::new(Process::new(koids.next(), job_koid, name)));
        let process = handles.insert(process, ZX_DEFAULT_PROCESS_RIGHTS)?;
        let root = Object::Vmar(Arc::new(VmarObject::new(koids.next(), space.root())));
        let rights = ZX_DEFAULT_VMAR_RIGHTS | ZX_RIGHT_READ | ZX_RIGHT_WRITE | ZX_RIGHT_EXECUTE;
        let root = handles.insert(root, rights)?;
        let job = handles.insert(Object::Job(Arc::new(Job::root(job_koid))), ZX_DEFAULT_JOB_RIGHTS)?;
        let system_events = Arc::new(SystemEvents::new(&koids, &space));
        let writeback = Arc::new(WritebackEvent::new(&koids));
        let sink: Weak<WritebackEvent> = Arc::downgrade(&writeback);
        space.observe_writeback(sink);
        let zero_scan = ZeroScan::default();
        let (top, born) = (Top::default(), system::clock_get_monotonic());
        Ok(Self {
            stores,
            space,
            handles,
            koids,
            zero_scan,
            system_events,
            writeback,
            top,
            born,
            host,
            process,
            root,
            job,
        })
    }

    /// What it runs on.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// What is in memory, and what may be taken of it: for those who look that it is right, and for what the system does of its own
    /// accord, to be done now.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// The process's handle to itself; not to be closed.
    pub fn process_self(&self) -> zx_handle_t {
        self.process
    }

    /// The process's handle to its root VMAR; not to be closed.
    pub fn vmar_root_self(&self) -> zx_handle_t {
        self.root
    }

    /// The process's handle to its job, which stands for the root of all jobs; not to be closed.
    pub fn job_default(&self) -> zx_handle_t {
        self.job
    }

    /// Asserts the invariants of every room against the host. Slow; for tests.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn audit(&self) {
        self.space.audit();
        self.stores.audit();
        let mut seen = BTreeSet::new();
        self.handles.for_each(|handle| match &handle.object {
            Object::Vmo(object) => object.vmo().audit(&mut seen),
            Object::Vmar(_)
            | Object::Event(_)
            | Object::EventPair(_)
            | Object::Process(_)
            | Object::Job(_)
            | Object::Pager(_) => {}
            Object::Port(port) => port.audit(),
        });
    }

    /// The handle's object if it is a VMO.
    pub(crate) fn vmo(&self, handle: zx_handle_t) -> Result<(Arc<VmoObject>, zx_rights_t), Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        let Object::Vmo(object) = object else { return Err(Status::WRONG_TYPE) };
        Ok((object, rights))
    }

    /// The handle's object if it is a VMO and the handle has all of `needs`.
    pub(crate) fn vmo_with(
        &self,
        handle: zx_handle_t,
        needs: zx_rights_t,
    ) -> Result<(Arc<VmoObject>, zx_rights_t), Status> {
        let (object, rights) = self.vmo(handle)?;
        require(rights, needs)?;
        Ok((object, rights))
    }

    /// The handle's object if it is a VMAR and the handle has all of `needs`.
    pub(crate) fn vmar_with(
        &self,
        handle: zx_handle_t,
        needs: zx_rights_t,
    ) -> Result<(Arc<VmarObject>, zx_rights_t), Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        let Object::Vmar(object) = object else { return Err(Status::WRONG_TYPE) };
        require(rights, needs)?;
        Ok((object, rights))
    }

    /// The handle's object if it is a pager and the handle has all of `needs`.
    pub(crate) fn pager_with(&self, handle: zx_handle_t, needs: zx_rights_t) -> Result<Arc<PagerObject>, Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        let Object::Pager(object) = object else { return Err(Status::WRONG_TYPE) };
        require(rights, needs)?;
        Ok(object)
    }

    /// The handle's object if it is a port and the handle has all of `needs`.
    pub(crate) fn port_with(&self, handle: zx_handle_t, needs: zx_rights_t) -> Result<Arc<Port>, Status> {
        let Handle { object, rights } = self.handles.get(handle)?;
        let Object::Port(object) = object else { return Err(Status::WRONG_TYPE) };
        require(rights, needs)?;
        Ok(object)
    }
}

/// Whether all of `needs` are there.
pub(crate) fn require(rights: zx_rights_t, needs: zx_rights_t) -> Result<(), Status> {
    if rights & needs == needs { Ok(()) } else { Err(Status::ACCESS_DENIED) }
}
