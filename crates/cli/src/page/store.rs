//! `--write`: records are stored through the mapping, written back, and acknowledged.
//!
//! 1. A record is whole in memory whenever a writeback reads it: the gate lets threads store, or the writeback read, and the
//!    gate opens again at the sync, after all has been read.
//! 2. The writeback goes through a journal, so a batch is in the file as a whole or not at all, wherever the process is killed.
//! 3. A batch is acknowledged after its writeback ended well: in the ledger, then to whoever wants to be told.
//! 4. A page has one storing thread at a time.
//! 5. No more pages are stored to between two commits than a part of the budget, and who stores waits inside the gate for room if there
//!    is none. So most of the budget is clean whenever somebody waits, and the gate can always be closed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use zxvm_host::PAGE_SIZE;
use zxvm_pagers::{Backing, FilePager, Journaled, Recovered};

use super::ledger::{Ledger, next_data};
use super::record::{self, Found};
use crate::failure::Failure;
use crate::progress::Progress;

/// Records of a batch at most.
const BATCH: u64 = 256;

/// What part of the budget may be stored to between two commits. While one is being made durable the next may begin, so twice as
/// much may be dirty.
const BATCH_PART: u64 = 8;

/// Pages looked at together.
const LOOK: u64 = 256;

/// Locks for pages.
const LOCKS: usize = 1024;

/// Lets threads store, or one writeback read.
#[derive(Debug)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    /// Stores from one closing to the next at most.
    batch: u64,
}

#[derive(Debug, Default)]
struct GateState {
    inside: u64,
    /// Stores made since it was closed last.
    stored: u64,
    closed: bool,
}

impl Gate {
    fn new(batch: u64) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), batch }
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is open, and one more may store.
    fn enter(&self) {
        let shut = |state: &mut GateState| state.closed || state.inside + state.stored >= self.batch;
        let state = self.changed.wait_while(self.state(), shut);
        state.unwrap_or_else(PoisonError::into_inner).inside += 1;
    }

    /// After a store. Whether no more may be made until it has been closed: the last who leaves is always told so.
    #[must_use]
    fn leave(&self) -> bool {
        let mut state = self.state();
        state.inside -= 1;
        state.stored += 1;
        self.changed.notify_all();
        state.stored >= self.batch
    }

    /// Closes it, and waits until nobody is inside.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let waited = self.changed.wait_while(state, |state| state.inside > 0);
        waited.unwrap_or_else(PoisonError::into_inner).stored = 0;
    }

    /// Whether somebody has closed it since it was full.
    fn is_full(&self) -> bool {
        self.state().stored >= self.batch
    }

    fn open(&self) {
        self.state().closed = false;
        self.changed.notify_all();
    }
}

/// The file by way of its journal; lets threads store again once all has been read.
struct Gated {
    file: Journaled<Arc<dyn Backing>>,
    gate: Arc<Gate>,
}

impl Backing for Gated {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn is_writable(&self) -> bool {
        self.file.is_writable()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        self.file.zero_at(range)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.open();
        self.file.sync()
    }
}

/// What earlier runs left.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// Pages with a record that was acknowledged, all of which must be there.
    pub acknowledged: u64,
    /// Whole records that nobody was told of, or newer ones.
    pub unacknowledged: u64,
    /// What the journal had.
    pub finished_batch: bool,
    /// What is wrong.
    pub differences: Vec<String>,
}

/// Records of pages whose numbers have the same rest: what the last one was.
type Latest = Mutex<HashMap<u64, u64>>;

/// The storing side of the job.
pub struct Store {
    gate: Arc<Gate>,
    ledger: Ledger,
    backing: Arc<dyn Backing>,
    next: AtomicU64,
    latest: Vec<Latest>,
    batch: Mutex<BTreeMap<u64, u64>>,
    /// One at a time; who is told of what was acknowledged.
    commit: Mutex<Option<File>>,
    acknowledged: AtomicU64,
}

/// With so much more at its end.
pub fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

impl Store {
    /// Opens what is beside the file, completes what a killed run had begun, and looks whether all is there that was
    /// acknowledged.
    ///
    /// The records are written by way of `backing`, and those of earlier runs looked at in `look_at`: the same file. No more than
    /// `budget` bytes are to be in memory.
    pub fn open(
        path: &Path,
        backing: Arc<dyn Backing>,
        look_at: File,
        bytes: u64,
        budget: Option<u64>,
        progress: &Progress,
    ) -> Result<(Self, Earlier), Failure> {
        let (ledger_path, journal_path) = (beside(path, ".zxvm"), beside(path, ".zxvm-journal"));
        let of = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| Failure::File { path, why: error.to_string() }
        };
        let ledger = Ledger::open(&ledger_path, bytes).map_err(of(&ledger_path))?;
        let (journaled, recovered) = Journaled::open(backing, &journal_path).map_err(of(&journal_path))?;
        let mut earlier = look(&look_at, &ledger, bytes / PAGE_SIZE, progress).map_err(of(path))?;
        earlier.finished_batch = match recovered {
            Recovered::Finished(_) => true,
            Recovered::Nothing | Recovered::Dropped => false,
        };
        let part = budget.map_or(BATCH, |budget| budget / PAGE_SIZE / BATCH_PART);
        let gate = Arc::new(Gate::new(part.clamp(1, BATCH)));
        let store = Self {
            backing: Arc::new(Gated { file: journaled, gate: gate.clone() }),
            gate,
            next: AtomicU64::new(ledger.first()),
            ledger,
            latest: (0..LOCKS).map(|_| Latest::default()).collect(),
            batch: Mutex::default(),
            commit: Mutex::new(None),
            acknowledged: AtomicU64::new(0),
        };
        Ok((store, earlier))
    }

    /// Whom to tell of what was acknowledged: a line for each record, `number page`.
    pub fn tell(&self, ack: Option<File>) {
        *self.commit.lock().unwrap_or_else(PoisonError::into_inner) = ack;
    }

    /// What the pager reads and writes.
    pub fn backing(&self) -> Arc<dyn Backing> {
        self.backing.clone()
    }

    /// Records acknowledged in this run.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Calls `change` for a page that nobody else stores to meanwhile, with the number of its last record in this run and that of
    /// the one it is to store. Also answers whether a commit is due.
    pub fn store<T>(&self, page: u64, change: impl FnOnce(Option<u64>, u64) -> T) -> (T, bool) {
        self.gate.enter();
        let mut latest = self.latest[page as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let result = change(latest.get(&page).copied(), number);
        latest.insert(page, number);
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).insert(page, number);
        drop(latest);
        (result, self.gate.leave())
    }

    /// The number of a page's last record in this run.
    pub fn latest(&self, page: u64) -> Option<u64> {
        self.latest[page as usize % LOCKS].lock().unwrap_or_else(PoisonError::into_inner).get(&page).copied()
    }

    /// Commits, if nobody has since it was due.
    pub fn commit_full(&self, pager: &FilePager<Arc<dyn Backing>>) -> io::Result<()> {
        let ack = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        if self.gate.is_full() { self.commit_locked(ack, pager) } else { Ok(()) }
    }

    /// Writes back, and acknowledges.
    pub fn commit(&self, pager: &FilePager<Arc<dyn Backing>>) -> io::Result<()> {
        self.commit_locked(self.commit.lock().unwrap_or_else(PoisonError::into_inner), pager)
    }

    fn commit_locked(
        &self,
        mut ack: MutexGuard<'_, Option<File>>,
        pager: &FilePager<Arc<dyn Backing>>,
    ) -> io::Result<()> {
        self.gate.close();
        let batch = std::mem::take(&mut *self.batch.lock().unwrap_or_else(PoisonError::into_inner));
        let result = pager.writeback();
        // Without a sync it is still closed.
        self.gate.open();
        result?;
        if batch.is_empty() {
            return Ok(());
        }
        self.ledger.acknowledge(&batch)?;
        self.acknowledged.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if let Some(ack) = &mut *ack {
            let lines: String = batch.iter().map(|(page, number)| format!("{number} {page}\n")).collect();
            ack.write_all(lines.as_bytes())?;
        }
        Ok(())
    }
}

/// Looks at all pages that have anything.
fn look(file: &File, ledger: &Ledger, pages: u64, progress: &Progress) -> io::Result<Earlier> {
    let mut earlier = Earlier::default();
    let mut bytes = vec![0; (LOOK * PAGE_SIZE) as usize];
    let mut page = 0;
    loop {
        let data = next_data(file, page * PAGE_SIZE)?.map(|at| at / PAGE_SIZE);
        let Some(next) = data.into_iter().chain(ledger.next(page)?).min().filter(|&next| next < pages) else { break };
        let count = LOOK.min(pages - next);
        let here = &mut bytes[..(count * PAGE_SIZE) as usize];
        here.fill(0);
        Backing::read_at(file, next * PAGE_SIZE, here)?;
        let numbers = ledger.numbers(next, count)?;
        for ((page, bytes), number) in (next..).zip(here.chunks(PAGE_SIZE as usize)).zip(numbers) {
            earlier.judge(page, record::look(page, bytes), number);
        }
        page = next + count;
        progress.within(page as usize, pages as usize);
    }
    Ok(earlier)
}

impl Earlier {
    fn judge(&mut self, page: u64, found: Found, acknowledged: u64) {
        self.acknowledged += u64::from(acknowledged > 0);
        let wrong = match found {
            Found::Torn => "holds a part of a record",
            Found::Other if acknowledged > 0 => "has lost the record that was acknowledged",
            Found::Whole(number) if number < acknowledged => "holds an older record than was acknowledged",
            Found::Whole(number) => {
                self.unacknowledged += u64::from(number > acknowledged);
                return;
            }
            Found::Other => return,
        };
        self.differences.push(format!("Page {page} {wrong}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_older_or_torn_is_told() {
        let mut earlier = Earlier::default();
        earlier.judge(0, Found::Other, 0);
        earlier.judge(1, Found::Whole(7), 7);
        earlier.judge(2, Found::Whole(8), 7);
        earlier.judge(3, Found::Whole(8), 0);
        assert_eq!((earlier.acknowledged, earlier.unacknowledged, earlier.differences.len()), (2, 2, 0));
        earlier.judge(4, Found::Torn, 0);
        earlier.judge(5, Found::Other, 7);
        earlier.judge(6, Found::Whole(6), 7);
        let expected = [
            "Page 4 holds a part of a record",
            "Page 5 has lost the record that was acknowledged",
            "Page 6 holds an older record than was acknowledged",
        ];
        assert_eq!(earlier.differences, expected);
    }

    #[test]
    fn the_gate_waits_for_those_inside_and_keeps_others_out() {
        let gate = Gate::new(2);
        gate.enter();
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| gate.close());
            while !gate.state().closed {
                std::thread::yield_now();
            }
            assert!(!closing.is_finished());
            let entering = scope.spawn(|| gate.enter());
            assert!(!gate.leave(), "one more may enter");
            closing.join().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!entering.is_finished(), "it is closed");
            gate.open();
            entering.join().unwrap();
        });
        assert_eq!(gate.state().inside, 1);
    }

    #[test]
    fn no_more_than_a_batch_is_stored_before_it_is_closed_and_the_last_is_told() {
        const THREADS: u64 = 20;
        let (gate, told) = (Gate::new(3), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    gate.enter();
                    if gate.leave() {
                        told.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for batch in 1..=THREADS / 3 {
                while told.load(Ordering::SeqCst) < batch {
                    std::thread::yield_now();
                }
                let (stored, inside) = {
                    let state = gate.state();
                    (state.stored, state.inside)
                };
                assert_eq!((stored, inside), (3, 0), "the others wait");
                gate.close();
                assert!(!gate.is_full());
                gate.open();
            }
        });
        assert_eq!((gate.state().stored, told.into_inner()), (THREADS % 3, THREADS / 3));
    }
}
