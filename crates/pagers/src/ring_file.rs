//! [`RingFile`]: a file whose large reads are made by io_uring.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use crate::NoRing;
use crate::backing::Backing;
use crate::rings::Rings;

/// A file, by way of the page cache of Linux, whose large reads are made in parts that are under way at once. Where there is no
/// io_uring it is read as an ordinary file, and says why ([`why_not`](Self::why_not)).
///
/// Writes are ordinary ones: to the page cache they are copies, with nothing to wait for that could be waited for at once, and
/// some file systems (ext4) hand those of a ring to threads of the kernel, at several times the cost. The disk is waited for in
/// [`sync`](Backing::sync). [`DirectFile`](crate::DirectFile) waits for it in writes, and so makes them by io_uring.
#[derive(Debug)]
pub struct RingFile {
    file: File,
    rings: Rings,
}

impl RingFile {
    /// Over this file.
    pub fn new(file: File) -> Self {
        Self { file, rings: Rings::new() }
    }

    /// Why there is no io_uring, if there is none.
    pub fn why_not(&self) -> Option<NoRing> {
        self.rings.why_not()
    }

    /// It again.
    pub fn into_inner(self) -> File {
        self.file
    }
}

impl Backing for RingFile {
    fn len(&self) -> io::Result<u64> {
        Backing::len(&self.file)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self.rings.read(self.file.as_fd(), offset, buffer) {
            Some(count) => Ok(count),
            None => Backing::read_at(&self.file, offset, buffer),
        }
    }

    fn is_writable(&self) -> bool {
        self.file.is_writable()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Backing::write_at(&self.file, offset, data)
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        self.file.zero_at(range)
    }

    fn sync(&self) -> io::Result<()> {
        Backing::sync(&self.file)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Backing::set_len(&self.file, len)
    }
}
