//! What all pagers here have in common: the VMO and what is done to it, whoever has the bytes.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use zxvm::{Pager, PagerOp, PagerOptions, Port, Rights, Status, Vmo, VmoOptions};

use crate::PAGE_SIZE;
use crate::buffer::PageBuffer;
use crate::reads::{Reads, Work};
use crate::stats::{Counters, add};

/// What part of a limit of memory is read ahead at once at most. A window may have another behind it, and there may be several
/// streams.
const AHEAD_PART: u64 = 64;

/// Where the content ends, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// In the VMO.
    pub now: u64,
    /// In the backing.
    pub backing: u64,
    /// The lowest that it was in the VMO since the last writeback: what comes after is not the backing's any more.
    pub lowest: u64,
}

/// How a pager is to be.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Bytes read at once at most, whole pages.
    pub window: u64,
    /// Whether the VMO can be resized.
    pub resizable: bool,
    /// Whether the pager is asked before pages become dirty.
    pub trap_dirty: bool,
    /// Whether others may write.
    pub writable: bool,
}

/// A VMO and its pager. The last handle of the pager is in here, so that it can be closed while threads use it.
pub struct Core {
    pager: RwLock<Option<Pager>>,
    pub vmo: Vmo,
    pub port: Port,
    pub reads: Reads,
    pub counters: Arc<Counters>,
    lengths: Mutex<Lengths>,
    pub config: Config,
}

/// What one thread reads to, and supplies from.
pub struct Aux {
    pub vmo: Vmo,
    pub buffer: PageBuffer,
}

impl Aux {
    /// With room for so many bytes.
    pub fn new(len: u64) -> Result<Self, Status> {
        Ok(Self { vmo: Vmo::create(len)?, buffer: PageBuffer::new(len as usize) })
    }
}

impl Core {
    /// With a VMO of `len` bytes that `make` makes.
    pub fn new(
        len: u64,
        config: Config,
        counters: Arc<Counters>,
        make: impl FnOnce(&Pager, VmoOptions, &Port) -> Result<Vmo, Status>,
    ) -> Result<Self, Status> {
        let (pager, port) = (Pager::create(PagerOptions::empty())?, Port::create());
        let mut options = VmoOptions::empty();
        options.set(VmoOptions::RESIZABLE, config.resizable);
        options.set(VmoOptions::TRAP_DIRTY, config.trap_dirty);
        let vmo = make(&pager, options, &port)?;
        Ok(Self {
            pager: RwLock::new(Some(pager)),
            vmo,
            port,
            reads: Reads::new(config.window),
            counters,
            lengths: Mutex::new(Lengths { now: len, backing: len, lowest: len }),
            config,
        })
    }

    pub fn lengths(&self) -> MutexGuard<'_, Lengths> {
        self.lengths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle for the program: nobody resizes the VMO but by way of the pager, and nobody writes what cannot be saved.
    pub fn handle(&self) -> Result<Vmo, Status> {
        let mut rights = Rights::VMO_DEFAULT;
        if !self.config.writable {
            rights -= Rights::WRITE;
        }
        self.vmo.duplicate_handle(rights)
    }

    /// Closes the pager: who waits fails with `BAD_STATE`, and so does whoever wants what is not there. What is there stays.
    pub fn close(&self) {
        let pager = self.pager.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(pager);
    }

    /// # Errors
    /// `BAD_STATE`: it is closed.
    pub fn with_pager<T>(&self, call: impl FnOnce(&Pager) -> Result<T, Status>) -> Result<T, Status> {
        call(self.pager.read().unwrap_or_else(PoisonError::into_inner).as_ref().ok_or(Status::BAD_STATE)?)
    }

    /// What is to be done for a request.
    pub fn plan(&self, asked: &Range<u64>) -> Work {
        let end = self.vmo.get_size().unwrap_or(asked.end);
        let budget = zxvm::memory_budget().ok().flatten().unwrap_or(u64::MAX);
        self.reads.limit(self.config.window.min(budget / AHEAD_PART / PAGE_SIZE * PAGE_SIZE));
        self.reads.plan(asked, end)
    }

    /// Supplies `range`: the bytes, and zeros by way of `aux`, which is empty.
    ///
    /// # Errors
    /// `NO_MEMORY`, `NO_RESOURCES`.
    pub fn supply(&self, aux: &Vmo, bytes: &[u8], range: &Range<u64>) -> Result<(), Status> {
        loop {
            // What the VMO has no more nobody waits for.
            let end = range.end.min(self.vmo.get_size()?);
            if end <= range.start {
                return Ok(());
            }
            let bytes = &bytes[..bytes.len().min((end - range.start) as usize)];
            match self.with_pager(|pager| self.supply_some(pager, aux, bytes, &(range.start..end))) {
                // It shrank in between.
                Err(Status::OUT_OF_RANGE) => {}
                // Closed: those who waited were told.
                Ok(()) | Err(Status::BAD_STATE) => return Ok(()),
                Err(status) => return Err(status),
            }
        }
    }

    fn supply_some(&self, pager: &Pager, aux: &Vmo, bytes: &[u8], range: &Range<u64>) -> Result<(), Status> {
        const PAGE: usize = PAGE_SIZE as usize;
        let (whole, part) = bytes.split_at(bytes.len() / PAGE * PAGE);
        pager.supply_bytes(&self.vmo, range.start, whole)?;
        let mut at = range.start + whole.len() as u64;
        if !part.is_empty() {
            let mut page = [0; PAGE];
            page[..part.len()].copy_from_slice(part);
            pager.supply_bytes(&self.vmo, at, &page)?;
            at += PAGE_SIZE;
        }
        if at < range.end { pager.supply_pages(&self.vmo, at..range.end, aux, 0) } else { Ok(()) }
    }

    /// Whoever waits for pages of `range`, or to write to them, fails.
    pub fn fail(&self, range: Range<u64>, status: Status) {
        add(&self.counters.failed, 1);
        self.on_range(PagerOp::Fail(status), range);
    }

    /// Pages of `range` may be written to.
    pub fn let_dirty(&self, range: Range<u64>) {
        add(&self.counters.pages_dirtied, (range.end - range.start) / PAGE_SIZE);
        self.on_range(PagerOp::Dirty, range);
    }

    /// Answers a request. All that can go wrong is that nobody waits any more: pages went, the VMO shrank, the pager is closed.
    fn on_range(&self, op: PagerOp, range: Range<u64>) {
        let end = range.end.min(self.vmo.get_size().unwrap_or(0));
        if range.start < end {
            let _ = self.with_pager(|pager| pager.op_range(op, &self.vmo, range.start..end));
        }
    }

    /// What has to be written back, lowest first.
    pub fn dirty_ranges(&self) -> Result<Vec<Range<u64>>, Status> {
        let size = self.vmo.get_size()?;
        let ranges = self.with_pager(|pager| pager.query_dirty_ranges(&self.vmo, 0..size))?;
        Ok(ranges.into_iter().map(|dirty| dirty.range).collect())
    }

    /// Bytes that have to be written back.
    pub fn dirty_bytes(&self) -> Result<u64, Status> {
        Ok(self.dirty_ranges()?.iter().map(|range| range.end - range.start).sum())
    }
}
