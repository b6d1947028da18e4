//! Where the bytes of a pager's VMO are.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl};

/// Where the bytes of a pager's VMO are. Called from several threads at once. Offsets and lengths are in bytes; reads begin and
/// end at whole pages and go to memory that starts at a page, but for the last of all that there is.
///
/// A call may take long: only those who want just these pages wait. It may panic: that is an error. It must not touch the VMO.
///
/// An error of a read becomes the status of those who wait: `NO_SPACE`, `IO_DATA_INTEGRITY`, `BUFFER_TOO_SMALL`, `BAD_STATE` or
/// `IO`, whichever is nearest to its kind; an error that carries one of these as [`Status`](zxvm::Status) is that one.
pub trait Backing: Send + Sync + 'static {
    /// How many bytes there are.
    ///
    /// # Errors
    /// Whatever it meets: then there is no pager.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are none.
    ///
    /// # Errors
    /// As [`len`](Self::len).
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads what is at `offset`. Less than the buffer holds means that nothing comes after it: the rest is zero.
    ///
    /// # Errors
    /// Whatever it meets: those who wait for these pages fail. The next who wants them asks again.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether it can be written to. If not, nobody gets a VMO that can.
    fn is_writable(&self) -> bool {
        false
    }

    /// Writes all of `data` at `offset`. Only what [`sync`](Self::sync) has confirmed counts as written.
    ///
    /// # Errors
    /// Whatever it meets: the writeback ends with it, and the pages stay dirty.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _ = (offset, data);
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    /// Writes all of each piece at its offset, in any order. Pieces do not overlap.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at). Any of the pieces may have been written then.
    fn write_many(&self, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        pieces.iter().try_for_each(|&(offset, data)| self.write_at(offset, data))
    }

    /// Makes the range zero. Writes zeros if there is no better way.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        write_zeros(self, range)
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Ends it at `len`; what is added is zero. For VMOs that can be resized.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn set_len(&self, len: u64) -> io::Result<()> {
        let _ = len;
        Err(ErrorKind::Unsupported.into())
    }
}

/// Writes zeros over the range.
pub fn write_zeros<B: Backing + ?Sized>(backing: &B, range: Range<u64>) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut at = range.start;
    while at < range.end {
        let len = (range.end - at).min(ZEROS.len() as u64);
        backing.write_at(at, &ZEROS[..len as usize])?;
        at += len;
    }
    Ok(())
}

/// Reads until the buffer is full or nothing comes any more.
pub fn read_all(mut read: impl FnMut(usize, &mut [u8]) -> io::Result<usize>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(done, &mut buffer[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// A regular file, or a device that says how long it is. Durable means `fdatasync`; zeros become holes where they can.
impl Backing for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_all(|done, rest| FileExt::read_at(self, rest, offset + done as u64), buffer)
    }

    fn is_writable(&self) -> bool {
        // Who cannot ask cannot write.
        fcntl_getfl(self).is_ok_and(|flags| flags.intersects(OFlags::WRONLY | OFlags::RDWR))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, offset)
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if !range.is_empty() && fallocate(self, punch, range.start, range.end - range.start).is_ok() {
            return Ok(());
        }
        write_zeros(self, range)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

/// What somebody else holds as well, of whatever kind.
impl<B: Backing + ?Sized> Backing for Arc<B> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }

    fn is_writable(&self) -> bool {
        (**self).is_writable()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, data)
    }

    fn write_many(&self, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        (**self).write_many(pieces)
    }

    fn zero_at(&self, range: Range<u64>) -> io::Result<()> {
        (**self).zero_at(range)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        (**self).set_len(len)
    }
}

/// Anything that reads, writes and seeks, by one thread at a time. Durable means `flush`.
#[derive(Debug)]
pub struct SeekBacking<T>(Mutex<T>);

impl<T> SeekBacking<T> {
    /// Over this.
    pub fn new(inner: T) -> Self {
        Self(Mutex::new(inner))
    }

    /// It again.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, T> {
        // A panic in the middle leaves it somewhere, but every call seeks first.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Read + Write + Seek + Send + 'static> Backing for SeekBacking<T> {
    fn len(&self) -> io::Result<u64> {
        self.inner().seek(SeekFrom::End(0))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.inner();
        inner.seek(SeekFrom::Start(offset))?;
        read_all(|_, rest| inner.read(rest), buffer)
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.seek(SeekFrom::Start(offset))?;
        inner.write_all(data)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner().flush()
    }
}

/// Anything that reads and seeks, by one thread at a time. Cannot be written to.
#[derive(Debug)]
pub struct SeekReader<T>(SeekBacking<T>);

impl<T> SeekReader<T> {
    /// Over this.
    pub fn new(inner: T) -> Self {
        Self(SeekBacking::new(inner))
    }
}

impl<T: Read + Seek + Send + 'static> Backing for SeekReader<T> {
    fn len(&self) -> io::Result<u64> {
        self.0.inner().seek(SeekFrom::End(0))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.0.inner();
        inner.seek(SeekFrom::Start(offset))?;
        read_all(|_, rest| inner.read(rest), buffer)
    }
}

/// Bytes made by a function. See [`from_fn`].
#[derive(Debug)]
pub struct FnBacking<F> {
    len: u64,
    fill: F,
}

/// `len` bytes, which `fill` makes: it is given the range, and a buffer as long as that, to fill wholly. Cannot be written to.
///
/// ```
/// use zxvm_pagers::{FilePager, from_fn};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let squares = from_fn(1 << 40, |range: std::ops::Range<u64>, buffer: &mut [u8]| {
///     for (at, word) in range.step_by(8).zip(buffer.chunks_mut(8)) {
///         word.copy_from_slice(&(at / 8).wrapping_pow(2).to_le_bytes()[..word.len()]);
///     }
///     Ok(())
/// });
/// let pager = FilePager::new(squares)?;
/// assert_eq!(pager.vmo()?.read_to_object::<u64>(8 * 1_000_000)?, 1_000_000_000_000);
/// # Ok(())
/// # }
/// ```
pub fn from_fn<F>(len: u64, fill: F) -> FnBacking<F>
where
    F: Fn(Range<u64>, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
{
    FnBacking { len, fill }
}

impl<F> Backing for FnBacking<F>
where
    F: Fn(Range<u64>, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
{
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.len.saturating_sub(offset).min(buffer.len() as u64);
        if count > 0 {
            (self.fill)(offset..offset + count, &mut buffer[..count as usize])?;
        }
        Ok(count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RingFile;
    use std::io::Cursor;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|index| (index / 3) as u8).collect()
    }

    fn reads_alike(backing: &dyn Backing, content: &[u8]) {
        assert_eq!(backing.len().unwrap(), content.len() as u64);
        for (offset, len) in [(0, 10), (4096, 4096), (9000, 4096), (content.len(), 5), (content.len() + 7, 5)] {
            let mut buffer = vec![0; len];
            let expected = content.get(offset..).unwrap_or_default();
            let expected = &expected[..expected.len().min(len)];
            assert_eq!(backing.read_at(offset as u64, &mut buffer).unwrap(), expected.len(), "{offset}");
            assert_eq!(&buffer[..expected.len()], expected);
        }
    }

    #[test]
    fn all_kinds_read_alike() {
        let content = bytes(10_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        reads_alike(&file, &content);
        let by_ring = RingFile::new(file);
        reads_alike(&by_ring, &content);
        let file = by_ring.into_inner();
        let shared: Arc<dyn Backing> = Arc::new(file);
        reads_alike(&shared, &content);
        reads_alike(&SeekBacking::new(Cursor::new(content.clone())), &content);
        reads_alike(&SeekReader::new(Cursor::new(content.clone())), &content);
        let made = content.clone();
        let fill = move |range: Range<u64>, buffer: &mut [u8]| {
            buffer.copy_from_slice(&made[range.start as usize..range.end as usize]);
            Ok(())
        };
        reads_alike(&from_fn(content.len() as u64, fill), &content);
    }

    #[test]
    fn files_are_written_and_punched() {
        let file = tempfile::tempfile().unwrap();
        let backing: &dyn Backing = &file;
        assert!(backing.is_writable());
        backing.write_at(0, &[7; 20_000]).unwrap();
        backing.zero_at(4096..12_288).unwrap();
        backing.sync().unwrap();
        backing.set_len(30_000).unwrap();
        let mut all = [1; 30_000];
        assert_eq!(backing.read_at(0, &mut all).unwrap(), 30_000);
        let expected = |at: usize| if (4096..12_288).contains(&at) || at >= 20_000 { 0 } else { 7 };
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == expected(at)));
    }

    #[test]
    fn what_only_reads_cannot_be_written() {
        let reader = SeekReader::new(Cursor::new(bytes(10)));
        assert!(!reader.is_writable());
        assert_eq!(reader.write_at(0, b"x").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        let named = tempfile::NamedTempFile::new().unwrap();
        assert!(!File::open(named.path()).unwrap().is_writable());
    }

    #[test]
    fn seeking_writes_and_zeros() {
        let backing = SeekBacking::new(Cursor::new(bytes(100)));
        backing.write_at(50, &[9; 60]).unwrap();
        backing.zero_at(10..20).unwrap();
        let mut expected = bytes(50);
        expected.extend([9; 60]);
        expected[10..20].fill(0);
        assert_eq!(backing.into_inner().into_inner(), expected);
    }
}
