//! What was acknowledged, beside the file: `FILE.zxvm` has a number for each page, that of the last record which `--write` has
//! called safe.
//!
//! 1. A number is written only after its record is durable in FILE, and told to others only after it is durable here.
//! 2. Numbers of a run are greater than those of every run before: each run begins with an epoch of its own in the high bits.
//! 3. One process at a time: the file is locked as long as it is open.
//!
//! A header of 4096 bytes (magic, length of FILE, epoch, checksum of these), then 8 bytes a page; little-endian. Sparse.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::SeekFrom;
use zxvm_host::PAGE_SIZE;
use zxvm_pagers::checksum;

const MAGIC: u64 = u64::from_le_bytes(*b"zxvmack1");
const HEADER: u64 = 4096;
const ENTRY: u64 = 8;

/// Numbers in an epoch, as bits.
const EPOCH: u32 = 40;

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    pages: u64,
    first: u64,
}

impl Ledger {
    /// Opens the ledger of a file of so many bytes, or begins it, and begins an epoch.
    ///
    /// # Errors
    /// It cannot be used; it belongs to a file of another length; another process has it.
    pub fn open(path: &Path, file_bytes: u64) -> io::Result<Self> {
        let invalid = |why: String| Err(io::Error::new(ErrorKind::InvalidData, why));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return invalid("another process is writing to the file".to_owned()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut epoch = 1;
        if file.metadata()?.len() > 0 {
            let mut header = [0; 32];
            file.read_exact_at(&mut header, 0)?;
            let fields = header.as_chunks::<8>().0;
            let [magic, bytes, last, sum] = [0, 1, 2, 3].map(|field| u64::from_le_bytes(fields[field]));
            if magic != MAGIC || sum != checksum(&header[..24]) {
                return invalid("not a list of what zxvm page --write acknowledged".to_owned());
            }
            if bytes != file_bytes {
                return invalid(format!("belongs to a file of {bytes} bytes, not of {file_bytes}"));
            }
            epoch = last + 1;
        }
        let mut header = [MAGIC, file_bytes, epoch].map(u64::to_le_bytes).concat();
        header.extend(checksum(&header).to_le_bytes());
        file.write_all_at(&header, 0)?;
        file.sync_data()?;
        Ok(Self { file, pages: file_bytes / PAGE_SIZE, first: epoch << EPOCH })
    }

    /// Where the numbers of this run begin.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The numbers of `count` pages from `page` on; 0 where nothing was acknowledged.
    pub fn numbers(&self, page: u64, count: u64) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; (count * ENTRY) as usize];
        let mut done = 0;
        while done < bytes.len() {
            match self.file.read_at(&mut bytes[done..], HEADER + page * ENTRY + done as u64) {
                // Past the end nothing is noted.
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    /// The next page from `page` on that may have a number.
    pub fn next(&self, page: u64) -> io::Result<Option<u64>> {
        let next = next_data(&self.file, HEADER + page * ENTRY)?;
        Ok(next.map(|at| (at - HEADER) / ENTRY).filter(|&page| page < self.pages))
    }

    /// Notes numbers whose records are durable.
    pub fn acknowledge(&self, numbers: &BTreeMap<u64, u64>) -> io::Result<()> {
        let mut run: (u64, Vec<u8>) = (0, Vec::new());
        for (&page, number) in numbers {
            if page != run.0 + run.1.len() as u64 / ENTRY {
                self.file.write_all_at(&run.1, HEADER + run.0 * ENTRY)?;
                run = (page, Vec::new());
            }
            run.1.extend(number.to_le_bytes());
        }
        self.file.write_all_at(&run.1, HEADER + run.0 * ENTRY)?;
        self.file.sync_data()
    }
}

/// The next byte from `at` on that is not in a hole.
pub fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(next) => Ok(Some(next)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_there_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.zxvm");
        let ledger = Ledger::open(&path, 1 << 30).unwrap();
        let first = ledger.first();
        let numbers = BTreeMap::from([(0, first), (1, first + 9), (5, first + 2), (200_000, first + 3)]);
        ledger.acknowledge(&numbers).unwrap();
        assert_eq!(ledger.numbers(0, 7).unwrap(), [first, first + 9, 0, 0, 0, first + 2, 0]);
        assert_eq!(ledger.numbers(200_000, 2).unwrap(), [first + 3, 0]);
        assert!(ledger.next(6).unwrap().unwrap() <= 200_000);
        assert_eq!(ledger.next(201_000).unwrap(), None);
        assert!(Ledger::open(&path, 1 << 30).unwrap_err().to_string().contains("another process"));
        drop(ledger);
        assert!(Ledger::open(&path, 1 << 20).unwrap_err().to_string().contains("belongs to a file of 1073741824"));
        let again = Ledger::open(&path, 1 << 30).unwrap();
        assert!(again.first() > first + (1 << 39), "greater than all of the first run");
        assert_eq!(again.numbers(5, 1).unwrap(), [first + 2]);
    }

    #[test]
    fn another_file_is_not_taken_for_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [b'x'; 100]).unwrap();
        assert_eq!(Ledger::open(file.path(), 4096).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(std::fs::read(file.path()).unwrap(), [b'x'; 100]);
    }
}
