//! [`DirectFile`]: a file that is read past the page cache of Linux.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use crate::PAGE_SIZE;
use crate::backing::{Backing, read_all};
use crate::buffer::PageBuffer;

/// A file, read and written with `O_DIRECT`: its pages are in the VMO alone, not in the page cache of Linux as well. Where the file
/// system does not offer that it is an ordinary file, and says so ([`is_direct`](Self::is_direct)).
///
/// Only whole pages go past the cache. The end of a file that is not one goes through it; Linux keeps the two together.
#[derive(Debug)]
pub struct DirectFile {
    ordinary: File,
    direct: Option<File>,
    /// Taken back by the first transfer that the file system refuses.
    is_direct: AtomicBool,
}

impl DirectFile {
    /// Opens a file that is there, to write as well if `writable`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path, writable: bool) -> io::Result<Self> {
        let options = || OpenOptions::new().read(true).write(writable).to_owned();
        let ordinary = options().open(path)?;
        let direct = options().custom_flags(OFlags::DIRECT.bits() as i32).open(path).ok();
        let is_direct = AtomicBool::new(direct.is_some());
        Ok(Self { ordinary, direct, is_direct })
    }

    /// Whether it goes past the page cache.
    pub fn is_direct(&self) -> bool {
        self.is_direct.load(Ordering::Relaxed)
    }

    /// The file to do this with, if that can be past the cache.
    fn direct_for(&self, offset: u64, bytes: &[u8]) -> Option<&File> {
        let whole = |number: u64| number.is_multiple_of(PAGE_SIZE);
        let fits = whole(offset) && whole(bytes.len() as u64) && whole(bytes.as_ptr().addr() as u64);
        self.direct.as_ref().filter(|_| fits && self.is_direct())
    }

    /// The result, or nothing where it is to be tried through the cache.
    fn unless_refused<T>(&self, result: io::Result<T>) -> Option<io::Result<T>> {
        match result {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.is_direct.store(false, Ordering::Relaxed);
                None
            }
            result => Some(result),
        }
    }
}

impl Backing for DirectFile {
    fn len(&self) -> io::Result<u64> {
        Backing::len(&self.ordinary)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(direct) = self.direct_for(offset, buffer) {
            // After less than a page there is nothing more, and no place to go on from.
            let read = |done: usize, rest: &mut [u8]| match done as u64 % PAGE_SIZE {
                0 => FileExt::read_at(direct, rest, offset + done as u64),
                _ => Ok(0),
            };
            if let Some(result) = self.unless_refused(read_all(read, buffer)) {
                return result;
            }
        }
        Backing::read_at(&self.ordinary, offset, buffer)
    }

    fn is_writable(&self) -> bool {
        self.ordinary.is_writable()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        const PAGE: usize = PAGE_SIZE as usize;
        let whole = data.len() / PAGE * PAGE;
        if self.is_direct() && whole > 0 && offset.is_multiple_of(PAGE_SIZE) {
            let mut aligned = PageBuffer::new(whole);
            aligned.bytes().copy_from_slice(&data[..whole]);
            let written =
                self.direct_for(offset, aligned.bytes()).map(|direct| direct.write_all_at(aligned.bytes(), offset));
            if let Some(result) = written.and_then(|written| self.unless_refused(written)) {
                result?;
                return Backing::write_at(&self.ordinary, offset + whole as u64, &data[whole..]);
            }
        }
        Backing::write_at(&self.ordinary, offset, data)
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        self.ordinary.zero_at(range)
    }

    fn sync(&self) -> io::Result<()> {
        self.ordinary.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Backing::set_len(&self.ordinary, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_reads_and_writes_as_the_file_itself_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..3 * 4096 + 100).map(|at| (at / 7) as u8).collect();
        fs::write(&path, &content).unwrap();
        let file = DirectFile::open(&path, true).unwrap();
        let mut buffer = PageBuffer::new(4 * 4096);
        assert_eq!(file.read_at(0, buffer.bytes()).unwrap(), content.len());
        assert_eq!(buffer.bytes()[..content.len()], content);
        assert_eq!(file.read_at(4096 * 2, &mut buffer.bytes()[..4096]).unwrap(), 4096);
        assert_eq!(buffer.bytes()[..4096], content[2 * 4096..3 * 4096]);
        file.write_at(4096, &[9; 2 * 4096 + 100]).unwrap();
        file.sync().unwrap();
        let mut expected = content;
        expected[4096..].fill(9);
        assert_eq!(fs::read(&path).unwrap(), expected, "the end is not cut and not filled up");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        assert_eq!(DirectFile::open(Path::new("/nonexistent/file"), false).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
