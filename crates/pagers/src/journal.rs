//! [`Journaled`]: all of what is written between two syncs is in the backing, or nothing.
//!
//! 1. Writes are kept in memory until `sync`. That writes them to the journal, makes it durable (from then on the batch will be
//!    in the backing, whatever happens), writes them to their places, makes those durable, and clears the journal.
//! 2. A batch in the journal counts if its checksums fit. One that does not was never confirmed, and nothing of it is in its
//!    place: places are written only after the journal is durable.
//! 3. Opening puts a batch that counts in its place, which may have been done before, in part or wholly. Then the journal is
//!    cleared.
//! 4. A batch that could not be put in its place is kept, and goes there before the next is written over it.
//! 5. Reads see what was written, wherever it is.
//!
//! The journal: a header of 4096 bytes (magic, length and checksum of the batch, checksum of these), then the batch: for each write
//! kind, offset, length and bytes. All numbers are 64 bits, little-endian.
//!
//! A process may be killed at any moment. Loss of power is covered as far as the system's fsync is honest.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backing::Backing;
use crate::checksum::checksum;

const MAGIC: u64 = u64::from_le_bytes(*b"zxvmjnl1");
const HEADER: u64 = 4096;

/// A change of the backing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Zero(Range<u64>),
    End(u64),
}

/// What opening a journal found.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// The last batch was finished.
    Nothing,
    /// A batch was not wholly in the journal. Nothing of it is in its place.
    Dropped,
    /// A batch of so many changes had been confirmed, or was about to be. It is in its place as a whole.
    Finished(u64),
}

/// A backing that is written to by way of a journal: after any crash it holds all that was written before a [`sync`](Backing::sync)
/// or nothing of what was written since the one before. What is written between syncs is kept in memory.
#[derive(Debug)]
pub struct Journaled<B> {
    inner: B,
    journal: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Confirmed by the journal, and not in its place yet.
    unfinished: Vec<Change>,
    /// Written since the last sync.
    pending: Vec<Change>,
}

impl<B: Backing> Journaled<B> {
    /// Over this backing, with the journal in a file of its own, which is made if it is not there. Whoever writes to the backing
    /// goes by way of the journal, one process at a time.
    ///
    /// # Errors
    /// The file cannot be used (`InvalidData`: it is not a journal); a batch cannot be put in its place.
    pub fn open(inner: B, journal: &Path) -> io::Result<(Self, Recovered)> {
        let journal = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(journal)?;
        let recovered = match read_batch(&journal)? {
            Found::Nothing => Recovered::Nothing,
            Found::Broken => Recovered::Dropped,
            Found::Batch(changes) => {
                apply(&inner, &changes)?;
                inner.sync()?;
                Recovered::Finished(changes.len() as u64)
            }
        };
        clear(&journal)?;
        Ok((Self { inner, journal, state: Mutex::new(State::default()) }, recovered))
    }

    /// What is under it.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what is confirmed in its place.
    fn finish(&self, state: &mut State) -> io::Result<()> {
        if !state.unfinished.is_empty() {
            apply(&self.inner, &state.unfinished)?;
            self.inner.sync()?;
            state.unfinished.clear();
            clear(&self.journal)?;
        }
        Ok(())
    }
}

impl<B: Backing> Backing for Journaled<B> {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        let mut len = self.inner.len()?;
        for change in state.changes() {
            len = match change {
                Change::Write { offset, data } => len.max(offset + data.len() as u64),
                Change::Zero(_) => len,
                Change::End(end) => *end,
            };
        }
        Ok(len)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.state();
        if state.changes().next().is_none() {
            // The usual case reads beside others.
            drop(state);
            return self.inner.read_at(offset, buffer);
        }
        let mut filled = self.inner.read_at(offset, buffer)?;
        buffer[filled..].fill(0);
        for change in state.changes() {
            filled = change.overlay(offset, buffer, filled);
        }
        Ok(filled)
    }

    fn is_writable(&self) -> bool {
        self.inner.is_writable()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().pending.push(Change::Write { offset, data: data.to_vec() });
        Ok(())
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        self.state().pending.push(Change::Zero(range));
        Ok(())
    }

    /// Confirms all that was written since the last time. On an error it is forgotten, unless the journal has it.
    fn sync(&self) -> io::Result<()> {
        let state = &mut *self.state();
        let pending = std::mem::take(&mut state.pending);
        self.finish(state)?;
        if pending.is_empty() {
            return self.inner.sync();
        }
        if let Err(error) = write_batch(&self.journal, &pending) {
            // If it cannot be cleared it has no header that fits, or one that fits as a whole: both are all or nothing.
            let _ = clear(&self.journal);
            return Err(error);
        }
        state.unfinished = pending;
        self.finish(state)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().pending.push(Change::End(len));
        Ok(())
    }
}

impl State {
    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.unfinished.iter().chain(&self.pending)
    }
}

impl Change {
    /// Puts it over what was read at `offset`, of which `filled` bytes are content. How many are then.
    fn overlay(&self, offset: u64, buffer: &mut [u8], filled: usize) -> usize {
        let end = offset + buffer.len() as u64;
        let part = |range: &Range<u64>| {
            let (from, to) = (range.start.max(offset), range.end.min(end));
            (from < to).then(|| (from - offset) as usize..(to - offset) as usize)
        };
        match self {
            Self::Write { offset: at, data } => match part(&(*at..at + data.len() as u64)) {
                Some(place) => {
                    let from = (offset + place.start as u64 - at) as usize;
                    buffer[place.clone()].copy_from_slice(&data[from..from + place.len()]);
                    filled.max(place.end)
                }
                None => filled,
            },
            Self::Zero(range) => {
                if let Some(place) = part(range) {
                    buffer[place].fill(0);
                }
                filled
            }
            Self::End(len) => {
                let content = len.saturating_sub(offset).min(buffer.len() as u64) as usize;
                buffer[content..].fill(0);
                content
            }
        }
    }
}

fn apply<B: Backing>(backing: &B, changes: &[Change]) -> io::Result<()> {
    let mut writes: Vec<(u64, &[u8])> = Vec::new();
    let flush = |writes: &mut Vec<_>| {
        let done = if writes.is_empty() { Ok(()) } else { backing.write_many(writes) };
        writes.clear();
        done
    };
    for change in changes {
        match change {
            Change::Write { offset, data } => {
                // The later of two that overlap counts.
                if writes.last().is_some_and(|(last, data)| *offset < last + data.len() as u64) {
                    flush(&mut writes)?;
                }
                writes.push((*offset, data));
            }
            Change::Zero(range) => {
                flush(&mut writes)?;
                backing.zero_at(range.clone())?;
            }
            Change::End(len) => {
                flush(&mut writes)?;
                backing.set_len(*len)?;
            }
        }
    }
    flush(&mut writes)
}

fn write_batch(journal: &File, changes: &[Change]) -> io::Result<()> {
    let mut body = Vec::new();
    for change in changes {
        let (numbers, data): ([u64; 3], &[u8]) = match change {
            Change::Write { offset, data } => ([0, *offset, data.len() as u64], data),
            Change::Zero(range) => ([1, range.start, range.end - range.start], &[]),
            Change::End(len) => ([2, *len, 0], &[]),
        };
        body.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        body.extend(data);
    }
    let fields = [MAGIC, body.len() as u64, checksum(&body)];
    let mut header: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
    header.extend(checksum(&header).to_le_bytes());
    header.resize(HEADER as usize, 0);
    journal.write_all_at(&body, HEADER)?;
    journal.write_all_at(&header, 0)?;
    journal.sync_data()
}

fn clear(journal: &File) -> io::Result<()> {
    journal.write_all_at(&[0; HEADER as usize], 0)
}

enum Found {
    Nothing,
    Broken,
    Batch(Vec<Change>),
}

fn read_batch(journal: &File) -> io::Result<Found> {
    let len = journal.metadata()?.len();
    if len == 0 {
        return Ok(Found::Nothing);
    }
    let mut header = vec![0; HEADER.min(len) as usize];
    journal.read_exact_at(&mut header, 0)?;
    if header.iter().all(|byte| *byte == 0) {
        // Of a finished batch, or of one that did not come to its header: nothing of that one is in its place.
        return Ok(Found::Nothing);
    }
    let mut fields = header.chunks_exact(8).map(number);
    let mut field = || fields.next().ok_or(ErrorKind::InvalidData);
    let (magic, body_len, body_sum, sum) = (field()?, field()?, field()?, field()?);
    if magic != MAGIC {
        return Err(io::Error::new(ErrorKind::InvalidData, "not a journal"));
    }
    if sum != checksum(&header[..24]) || body_len > len - HEADER {
        return Ok(Found::Broken);
    }
    let mut body = vec![0; body_len as usize];
    journal.read_exact_at(&mut body, HEADER)?;
    if checksum(&body) != body_sum {
        return Ok(Found::Broken);
    }
    Ok(decode(&body).map_or(Found::Broken, Found::Batch))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

fn decode(mut body: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while !body.is_empty() {
        let (numbers, rest) = body.split_at_checked(24)?;
        let [kind, offset, len] = [0, 8, 16].map(|at| number(&numbers[at..at + 8]));
        body = rest;
        changes.push(match kind {
            0 => {
                let (data, rest) = body.split_at_checked(usize::try_from(len).ok()?)?;
                body = rest;
                Change::Write { offset, data: data.to_vec() }
            }
            1 => Change::Zero(offset..offset.checked_add(len)?),
            2 => Change::End(offset),
            _ => return None,
        });
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A backing in memory whose calls begin to fail after so many changes.
    #[derive(Debug, Default)]
    struct Memory {
        bytes: Mutex<Vec<u8>>,
        calls_left: AtomicU64,
    }

    impl Memory {
        fn new(len: usize) -> Self {
            Self { bytes: Mutex::new(vec![0; len]), calls_left: AtomicU64::new(u64::MAX) }
        }

        fn call(&self) -> io::Result<()> {
            let left = self.calls_left.load(Ordering::Relaxed);
            self.calls_left.store(left.checked_sub(1).ok_or(ErrorKind::StorageFull)?, Ordering::Relaxed);
            Ok(())
        }

        fn bytes(&self) -> Vec<u8> {
            self.bytes.lock().unwrap().clone()
        }
    }

    impl Backing for &'static Memory {
        fn len(&self) -> io::Result<u64> {
            Ok(self.bytes().len() as u64)
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.bytes();
            let there = bytes.get(offset as usize..).unwrap_or_default();
            let count = there.len().min(buffer.len());
            buffer[..count].copy_from_slice(&there[..count]);
            Ok(count)
        }

        fn is_writable(&self) -> bool {
            true
        }

        fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.call()?;
            self.bytes.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(data);
            Ok(())
        }

        /// The last first: no order is promised.
        fn write_many(&self, pieces: &[(u64, &[u8])]) -> io::Result<()> {
            pieces.iter().rev().try_for_each(|(offset, data)| self.write_at(*offset, data))
        }

        fn sync(&self) -> io::Result<()> {
            self.call()
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.call()?;
            self.bytes.lock().unwrap().resize(len as usize, 0);
            Ok(())
        }
    }

    fn memory() -> &'static Memory {
        Box::leak(Box::new(Memory::new(100)))
    }

    fn read(backing: &dyn Backing) -> Vec<u8> {
        let mut buffer = vec![0; 300];
        let filled = backing.read_at(0, &mut buffer).unwrap();
        buffer.truncate(filled);
        buffer
    }

    fn journal() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        (folder, path)
    }

    #[test]
    fn nothing_is_in_its_place_before_the_sync_and_reads_see_it_all_the_same() {
        let (_folder, path) = journal();
        let inner = memory();
        let (journaled, recovered) = Journaled::open(inner, &path).unwrap();
        assert_eq!(recovered, Recovered::Nothing);
        journaled.write_at(10, &[1; 20]).unwrap();
        journaled.zero_at(15..18).unwrap();
        journaled.set_len(120).unwrap();
        journaled.write_at(110, &[2; 5]).unwrap();
        let mut expected = vec![0; 120];
        expected[10..30].fill(1);
        expected[15..18].fill(0);
        expected[110..115].fill(2);
        assert_eq!(read(&journaled), expected);
        assert_eq!(journaled.len().unwrap(), 120);
        assert_eq!(inner.bytes(), [0; 100]);
        journaled.sync().unwrap();
        assert_eq!(inner.bytes(), expected);
        assert_eq!(read(&journaled), expected);
        drop(journaled);
        assert_eq!(Journaled::open(inner, &path).unwrap().1, Recovered::Nothing);
    }

    /// The batch is cut at every change of the backing; opening again completes it.
    #[test]
    fn a_batch_that_was_cut_in_the_middle_is_completed() {
        let mut expected = vec![0; 100];
        expected[0..10].fill(1);
        expected[50..60].fill(2);
        expected[90..95].fill(3);
        for calls in 0..4 {
            let (_folder, path) = journal();
            let inner = memory();
            let (journaled, _) = Journaled::open(inner, &path).unwrap();
            inner.calls_left.store(calls, Ordering::Relaxed);
            for (at, byte, len) in [(0, 1, 10), (50, 2, 10), (90, 3, 5)] {
                journaled.write_at(at, &vec![byte; len]).unwrap();
            }
            assert_eq!(journaled.sync().unwrap_err().kind(), ErrorKind::StorageFull);
            assert_eq!(read(&journaled), expected, "confirmed by the journal");
            drop(journaled);
            inner.calls_left.store(u64::MAX, Ordering::Relaxed);
            let (_, recovered) = Journaled::open(inner, &path).unwrap();
            assert_eq!(recovered, Recovered::Finished(3), "after {calls} calls");
            assert_eq!(inner.bytes(), expected);
        }
    }

    #[test]
    fn the_later_of_two_writes_to_a_place_counts() {
        let (_folder, path) = journal();
        let inner = memory();
        let (journaled, _) = Journaled::open(inner, &path).unwrap();
        for (at, byte, len) in [(0, 1, 10), (5, 2, 10), (40, 3, 10), (20, 4, 25), (60, 5, 1)] {
            journaled.write_at(at, &vec![byte; len]).unwrap();
        }
        journaled.sync().unwrap();
        let bytes = inner.bytes();
        let places =
            [(0..5, 1), (5..15, 2), (15..20, 0), (20..45, 4), (45..50, 3), (50..60, 0), (60..61, 5), (61..100, 0)];
        for (place, byte) in places {
            assert!(bytes[place.clone()].iter().all(|found| *found == byte), "{place:?} in {bytes:?}");
        }
    }

    #[test]
    fn what_could_not_be_put_in_its_place_goes_there_before_the_next() {
        let (_folder, path) = journal();
        let inner = memory();
        let (journaled, _) = Journaled::open(inner, &path).unwrap();
        inner.calls_left.store(0, Ordering::Relaxed);
        journaled.write_at(0, &[1; 10]).unwrap();
        journaled.sync().unwrap_err();
        journaled.write_at(5, &[2; 10]).unwrap();
        journaled.sync().unwrap_err();
        inner.calls_left.store(u64::MAX, Ordering::Relaxed);
        journaled.write_at(20, &[3; 1]).unwrap();
        journaled.sync().unwrap();
        let bytes = inner.bytes();
        assert_eq!((&bytes[..10], bytes[10], bytes[20]), (&[1; 10][..], 0, 3), "the second was told to have failed");
    }

    /// The journal is cut, or spoiled, at every place.
    #[test]
    fn a_batch_counts_as_a_whole_or_not_at_all() {
        let (_folder, path) = journal();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        write_batch(&file, &[Change::Write { offset: 3, data: vec![7; 40] }, Change::Zero(1..2)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in HEADER as usize..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(read_batch(&File::open(&path).unwrap()).unwrap(), Found::Broken), "cut at {cut}");
        }
        for at in (8..32).chain(HEADER as usize..whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let inner = memory();
            assert_eq!(Journaled::open(inner, &path).unwrap().1, Recovered::Dropped, "spoiled at {at}");
            assert_eq!(inner.bytes(), [0; 100]);
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(Journaled::open(memory(), &path).unwrap().1, Recovered::Finished(2));
    }

    #[test]
    fn another_file_is_not_taken_for_a_journal() {
        let (_folder, path) = journal();
        std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
        assert_eq!(Journaled::open(memory(), &path).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 10_000]);
    }
}
