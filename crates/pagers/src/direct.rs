//! [`DirectFile`]: a file that is read past the page cache of Linux.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use crate::backing::{Backing, read_all};
use crate::buffer::PageBuffer;
use crate::rings::Rings;
use crate::{NoRing, PAGE_SIZE};

/// Bytes written together at most: so many may have to be copied.
const TOGETHER: usize = 1 << 20;

/// A file, read and written with `O_DIRECT`: its pages are in the VMO alone, not in the page cache of Linux as well. Where the file
/// system does not offer that it is an ordinary file, and says so ([`is_direct`](Self::is_direct)).
///
/// Where there is io_uring, large reads are made in parts that are under way at once, and pages that are written together are as
/// well; where not, one after the other ([`why_not`](Self::why_not)). So they go to the file in no particular order between two
/// syncs.
///
/// Only whole pages go past the cache. The end of a file that is not one goes through it; Linux keeps the two together.
#[derive(Debug)]
pub struct DirectFile {
    ordinary: File,
    direct: Option<File>,
    /// Taken back by the first transfer that the file system refuses.
    is_direct: AtomicBool,
    rings: Rings,
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
        Ok(Self { ordinary, direct, is_direct, rings: Rings::new() })
    }

    /// Why there is no io_uring, if there is none.
    pub fn why_not(&self) -> Option<NoRing> {
        self.rings.why_not()
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

    /// Writes whole pages past the cache, from memory that starts at a page. Nothing: it is to be tried otherwise.
    fn write_direct(&self, offset: u64, data: &[u8]) -> Option<io::Result<()>> {
        self.direct_for(offset, data).and_then(|direct| self.unless_refused(direct.write_all_at(data, offset)))
    }

    /// Writes pieces of whole pages past the cache, all at once. Whether they are written; if not, any of them may be.
    fn write_together(&self, pieces: &[(u64, &[u8])]) -> bool {
        let Some(direct) = self.direct.as_ref().filter(|_| self.is_direct()) else { return false };
        if pieces.iter().all(|&(offset, data)| self.direct_for(offset, data).is_some()) {
            return self.rings.write(direct.as_fd(), pieces);
        }
        let mut aligned = PageBuffer::new(pieces.iter().map(|(_, data)| data.len()).sum());
        let mut rest = aligned.bytes();
        let mut copies = Vec::with_capacity(pieces.len());
        for &(offset, data) in pieces {
            let (copy, later) = rest.split_at_mut(data.len());
            copy.copy_from_slice(data);
            copies.push((offset, &*copy));
            rest = later;
        }
        self.rings.write(direct.as_fd(), &copies)
    }
}

/// So many of the pieces, one at least, as are no more than this many bytes together.
fn within(bytes_max: usize, pieces: &[(u64, &[u8])]) -> usize {
    let mut bytes = 0;
    let fits = |piece: &&(u64, &[u8])| {
        bytes += piece.1.len();
        bytes <= bytes_max
    };
    pieces.iter().take_while(fits).count().max(1)
}

impl Backing for DirectFile {
    fn len(&self) -> io::Result<u64> {
        Backing::len(&self.ordinary)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(direct) = self.direct_for(offset, buffer) {
            if let Some(count) = self.rings.read(direct.as_fd(), offset, buffer) {
                return Ok(count);
            }
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
            let written = self.write_direct(offset, &data[..whole]).or_else(|| {
                let mut aligned = PageBuffer::new(whole);
                aligned.bytes().copy_from_slice(&data[..whole]);
                self.write_direct(offset, aligned.as_slice())
            });
            if let Some(result) = written {
                result?;
                return Backing::write_at(&self.ordinary, offset + whole as u64, &data[whole..]);
            }
        }
        Backing::write_at(&self.ordinary, offset, data)
    }

    fn write_many(&self, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        let is_whole = |number: u64| number.is_multiple_of(PAGE_SIZE);
        let are_pages = |&(offset, data): &(u64, &[u8])| is_whole(offset) && is_whole(data.len() as u64);
        let (whole, others): (Vec<_>, Vec<_>) = pieces.iter().copied().partition(are_pages);
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(within(TOGETHER, rest));
            if now.len() < 2 || !self.write_together(now) {
                now.iter().try_for_each(|&(offset, data)| self.write_at(offset, data))?;
            }
            rest = later;
        }
        others.into_iter().try_for_each(|(offset, data)| self.write_at(offset, data))
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
    use zxvm_host::linux::ring::without_rings;

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

    /// Whole pages in memory that starts at a page or does not, and what is not whole pages.
    #[test]
    fn pieces_that_are_written_together_are_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut expected = vec![1; 2000 * 4096];
        fs::write(&path, &expected).unwrap();
        let file = DirectFile::open(&path, true).unwrap();
        let mut aligned = PageBuffer::new(400 * 4096);
        aligned.bytes().fill(2);
        let unaligned = vec![3; 400 * 4096 + 1];
        let aligned = aligned.as_slice().chunks(4096).enumerate().map(|(k, data)| (k as u64 * 3 * 4096, data));
        let unaligned = unaligned[1..].chunks(4096).enumerate().map(|(k, data)| ((k as u64 * 3 + 1) * 4096, data));
        let ends: [(u64, &[u8]); 3] =
            [(1990 * 4096 + 5, &[4; 10]), (1991 * 4096, &[5; 4097]), (2000 * 4096, &[6; 100])];
        let all: [Vec<(u64, &[u8])>; 4] =
            [aligned.clone().collect(), unaligned.clone().collect(), ends.to_vec(), Vec::new()];
        let mixed = aligned.chain(unaligned).chain(ends).collect();
        for pieces in all.into_iter().chain([mixed]) {
            file.write_many(&pieces).unwrap();
            for (offset, data) in pieces {
                expected.resize(expected.len().max(offset as usize + data.len()), 0);
                expected[offset as usize..][..data.len()].copy_from_slice(data);
            }
            file.sync().unwrap();
            assert!(fs::read(&path).unwrap() == expected);
        }
    }

    /// Refused only now, so that one sees that it was asked for.
    #[test]
    fn a_ring_is_used_for_several_pieces_and_for_large_reads_and_done_without_if_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![1; 300 * 4096]).unwrap();
        let pages = PageBuffer::new(2 * 4096);
        let pieces = [(0, &pages.as_slice()[..4096]), (8 * 4096, &pages.as_slice()[4096..])];
        let write_two = |file: &DirectFile| file.write_many(&pieces).unwrap();
        let write_one = |file: &DirectFile| file.write_many(&pieces[..1]).unwrap();
        let read = |file: &DirectFile| {
            let mut buffer = PageBuffer::new(300 * 4096);
            assert_eq!(file.read_at(0, buffer.bytes()).unwrap(), 300 * 4096);
            assert!(buffer.as_slice()[..4096].iter().all(|byte| *byte == 0));
        };
        let asks = |job: &(dyn Fn(&DirectFile) + Sync)| {
            let file = DirectFile::open(&path, true).unwrap();
            let could = file.is_direct() && file.why_not().is_none();
            without_rings(|| job(&file));
            could.then(|| file.why_not().is_some())
        };
        assert_ne!(asks(&write_one), Some(true));
        assert_ne!(asks(&write_two), Some(false));
        assert_ne!(asks(&read), Some(false));
        let now = fs::read(&path).unwrap();
        assert!(now.chunks(4096).enumerate().all(|(k, page)| page == [u8::from(k != 0 && k != 8); 4096]));
    }

    #[test]
    fn so_many_pieces_are_within_so_many_bytes() {
        let data = [0; 10];
        let pieces: Vec<(u64, &[u8])> = [4, 6, 1, 10].map(|len| (0, &data[..len])).to_vec();
        assert_eq!([1, 4, 9, 10, 11, 20, 21].map(|most| within(most, &pieces)), [1, 1, 1, 2, 3, 3, 4]);
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        assert_eq!(DirectFile::open(Path::new("/nonexistent/file"), false).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
