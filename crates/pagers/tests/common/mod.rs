//! A backing that is told what to do, and what it was asked for.
#![allow(dead_code)]

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use zxvm::{VmarFlags, Vmo};
use zxvm_host::AddrRange;
use zxvm_host::linux::Words;
use zxvm_pagers::{Backing, DirectFile, RingFile, SeekBacking};

pub const P: u64 = 4096;

/// Longer than anything here takes: a wait that ends by it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What happened to a backing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Read(Range<u64>),
    Write(Range<u64>),
    Zero(Range<u64>),
    Sync,
    SetLen(u64),
}

/// How reads go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// They fail if they touch this page.
    FailAt(u64, ErrorKind),
    PanicAt(u64),
    /// They do not return until the mood changes.
    Stuck,
    /// They take some milliseconds.
    Slow,
}

#[derive(Debug)]
pub struct Scripted {
    pub bytes: Mutex<Vec<u8>>,
    calls: Mutex<Vec<Call>>,
    mood: Mutex<Mood>,
    changed: Condvar,
    /// Writes and syncs that go well before one fails.
    pub changes_left: AtomicI64,
    pub reading: AtomicU64,
}

/// Bytes that differ from page to page and within pages.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 4096 * 31 + at / 5) as u8).collect()
}

impl Scripted {
    pub fn new(len: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: Mutex::new(pattern(len)),
            calls: Mutex::default(),
            mood: Mutex::new(Mood::Fine),
            changed: Condvar::new(),
            changes_left: AtomicI64::new(i64::MAX),
            reading: AtomicU64::new(0),
        })
    }

    pub fn pages(count: u64) -> Arc<Self> {
        Self::new((count * P) as usize)
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.changed.notify_all();
    }

    /// What was called since this was asked last.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    pub fn reads(&self) -> Vec<Range<u64>> {
        let read = |call| match call {
            Call::Read(range) => Some(range),
            Call::Write(_) | Call::Zero(_) | Call::Sync | Call::SetLen(_) => None,
        };
        self.calls().into_iter().filter_map(read).collect()
    }

    pub fn content(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    fn change(&self, call: Call) -> io::Result<()> {
        self.calls.lock().unwrap().push(call);
        match self.changes_left.fetch_sub(1, Ordering::SeqCst) {
            ..=0 => Err(ErrorKind::StorageFull.into()),
            1.. => Ok(()),
        }
    }
}

/// A share of it, so that a test can look on.
#[derive(Debug, Clone)]
pub struct Shared(pub Arc<Scripted>);

impl Backing for Shared {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let range = offset..offset + buffer.len() as u64;
        self.0.calls.lock().unwrap().push(Call::Read(range.clone()));
        // As a read does it: the bytes of now, whenever it returns.
        let bytes = self.0.content();
        self.0.reading.fetch_add(1, Ordering::SeqCst);
        let mood = self.0.mood.lock().unwrap();
        let mood = *self.0.changed.wait_while(mood, |mood| *mood == Mood::Stuck).unwrap();
        self.0.reading.fetch_sub(1, Ordering::SeqCst);
        match mood {
            Mood::FailAt(page, kind) if range.contains(&(page * P)) => return Err(kind.into()),
            Mood::PanicAt(page) if range.contains(&(page * P)) => panic!("a backing that panics on purpose"),
            Mood::Slow => std::thread::sleep(Duration::from_millis(3)),
            Mood::Fine | Mood::FailAt(..) | Mood::PanicAt(_) | Mood::Stuck => {}
        }
        let there = bytes.get(offset as usize..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.change(Call::Write(offset..offset + data.len() as u64))?;
        let (from, to) = (offset as usize, offset as usize + data.len());
        let mut bytes = self.0.bytes.lock().unwrap();
        let len = bytes.len().max(to);
        bytes.resize(len, 0);
        bytes[from..to].copy_from_slice(data);
        Ok(())
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        self.0.change(Call::Zero(range.clone()))?;
        let mut bytes = self.0.bytes.lock().unwrap();
        let len = bytes.len();
        bytes[(range.start as usize).min(len)..(range.end as usize).min(len)].fill(0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.change(Call::Sync)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.change(Call::SetLen(len))?;
        self.0.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
}

/// Calls `test` with every kind of backing there is for files, each over a file of its own with this content.
pub fn over_files(content: &[u8], test: impl Fn(&str, Arc<dyn Backing>, &Path)) {
    fn file(path: &Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }
    for name in ["File", "SeekBacking", "DirectFile", "RingFile"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let backing: Arc<dyn Backing> = match name {
            "File" => Arc::new(file(&path)),
            "SeekBacking" => Arc::new(SeekBacking::new(file(&path))),
            "DirectFile" => Arc::new(DirectFile::open(&path, true).unwrap()),
            _ => Arc::new(RingFile::new(file(&path))),
        };
        test(name, backing, &path);
    }
}

pub fn pages(start: u64, count: u64) -> Range<u64> {
    start * P..(start + count) * P
}

/// The VMO, mapped.
pub fn map(vmo: &Vmo, flags: VmarFlags) -> Words {
    let len = vmo.get_size().unwrap();
    let addr = zxvm::runtime::vmar_root_self().map(0, vmo, 0, len as usize, flags).unwrap() as u64;
    Words::new(AddrRange::from_bounds(addr, addr + len)).unwrap()
}

/// The word at a byte.
pub fn word(bytes: &[u8], at: u64) -> u64 {
    u64::from_ne_bytes(bytes[at as usize..at as usize + 8].try_into().unwrap())
}

/// Waits until it is so.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come about");
        std::thread::yield_now();
    }
}
