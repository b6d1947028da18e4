//! Writing dirty pages back, in order.
//!
//! 1. Lowest first. A piece is begun just before it is read, so that the newest content goes. Pieces that are small are read
//!    one after the other and written together ([`Batch`]).
//! 2. After every so many bytes, and at the end, the backing makes it durable; only then are the pieces ended, and clean.
//! 3. Before that, reads end that may have older content (see `reads`).
//! 4. What is zero without pages is one piece, however long: it is begun and ended as a whole or stays dirty.

use std::io;
use std::ops::Range;

use zxvm::{PagerOp, PagerWritebackBeginOptions, Status, VmoDirtyRange};

use crate::PAGE_SIZE;
use crate::backing::Backing;
use crate::buffer::PageBuffer;
use crate::core::Core;
use crate::errors::guarded;
use crate::stats::add;

/// Bytes of a piece that has pages at most, and of pieces that are written together.
pub const PIECE: u64 = 1 << 20;

/// What a writeback wrote.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes written, and durable.
    pub bytes: u64,
    /// Bytes made zero, and durable.
    pub zero_bytes: u64,
    /// Dirty ranges there were.
    pub ranges: u64,
    /// How often the backing made it durable.
    pub syncs: u64,
}

/// A piece to write: whole pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub range: Range<u64>,
    pub is_zero: bool,
}

impl Piece {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
}

impl Core {
    /// All that is dirty, in pieces, and how many ranges it is.
    pub fn dirty_pieces(&self) -> Result<(Vec<Piece>, u64), Status> {
        let size = self.vmo.get_size()?;
        let ranges = self.with_pager(|pager| pager.query_dirty_ranges(&self.vmo, 0..size))?;
        Ok((pieces(&ranges), ranges.len() as u64))
    }

    /// Begins the piece. What is stored from now on is dirty again.
    pub fn begin(&self, piece: &Piece) -> Result<(), Status> {
        let options = match piece.is_zero {
            true => PagerWritebackBeginOptions::DIRTY_RANGE_IS_ZERO,
            false => PagerWritebackBeginOptions::empty(),
        };
        let begin = PagerOp::WritebackBegin(options);
        self.with_pager(|pager| pager.op_range(begin, &self.vmo, piece.range.clone()))
    }

    /// They are durable: what was not stored to since is clean.
    pub fn end(&self, pieces: &mut Vec<Piece>) -> Result<(), Status> {
        for Piece { range, .. } in pieces.drain(..) {
            self.reads.wait_for(&range);
            add(&self.counters.pages_written, (range.end - range.start) / PAGE_SIZE);
            self.with_pager(|pager| pager.op_range(PagerOp::WritebackEnd, &self.vmo, range))?;
        }
        Ok(())
    }

    /// What of the piece the backing has a place for.
    pub fn inside(&self, piece: &Piece) -> Range<u64> {
        let end = self.lengths().now;
        piece.range.start.min(end)..piece.range.end.min(end)
    }
}

/// Pieces that have been read and are to be written together. None is zero; each starts at a page of the buffer.
pub struct Batch {
    buffer: PageBuffer,
    /// With where it is in the buffer. What of it lies past the end has no place in the backing.
    read: Vec<(Piece, Range<usize>)>,
    /// Where the next starts.
    next: usize,
    /// Bytes that have a place.
    pub bytes: u64,
}

impl Batch {
    /// With room for all of these, or for the longest and as much as that may be.
    pub fn for_pieces(pieces: &[Piece]) -> Self {
        let bytes: u64 = pieces.iter().filter(|piece| !piece.is_zero).map(Piece::len).sum();
        Self { buffer: PageBuffer::new(bytes.min(PIECE) as usize), read: Vec::new(), next: 0, bytes: 0 }
    }

    /// Whether the piece can be read as well.
    pub fn has_room(&self, piece: &Piece) -> bool {
        self.next as u64 + piece.len() <= PIECE
    }

    /// Begins the piece, for which there must be room, and reads it.
    pub fn read(&mut self, core: &Core, piece: Piece) -> Result<(), Status> {
        core.begin(&piece)?;
        let inside = core.inside(&piece);
        let place = self.next..self.next + (inside.end - inside.start) as usize;
        core.vmo.read(&mut self.buffer.bytes()[place.clone()], inside.start)?;
        self.next += piece.len() as usize;
        self.bytes += place.len() as u64;
        self.read.push((piece, place));
        Ok(())
    }

    /// Writes what has been read. On an error all of it stays dirty.
    pub fn write<B: Backing>(&mut self, backing: &B, progress: &mut Progress) -> io::Result<()> {
        let bytes = self.buffer.as_slice();
        let with_place = self.read.iter().filter(|(_, place)| !place.is_empty());
        let pieces: Vec<_> = with_place.map(|(piece, place)| (piece.range.start, &bytes[place.clone()])).collect();
        match pieces[..] {
            [] => {}
            [(offset, data)] => guarded(|| backing.write_at(offset, data))?,
            [_, ..] => guarded(|| backing.write_many(&pieces))?,
        }
        (self.next, self.bytes) = (0, 0);
        for (piece, place) in self.read.drain(..) {
            progress.wrote(piece, place.len() as u64);
        }
        Ok(())
    }
}

/// What a writeback has done so far.
#[derive(Debug, Default)]
pub struct Progress {
    pub written: Written,
    /// Written and not durable yet.
    pub open: Vec<Piece>,
    pub open_bytes: u64,
}

impl Progress {
    pub fn wrote(&mut self, piece: Piece, bytes: u64) {
        match piece.is_zero {
            true => self.written.zero_bytes += bytes,
            false => self.written.bytes += bytes,
        }
        self.open_bytes += bytes;
        self.open.push(piece);
    }

    /// All that is open is durable.
    pub fn synced(&mut self, core: &Core) -> io::Result<()> {
        add(&core.counters.syncs, 1);
        self.written.syncs += 1;
        self.open_bytes = 0;
        Ok(core.end(&mut self.open)?)
    }
}

fn pieces(ranges: &[VmoDirtyRange]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for dirty in ranges {
        let (Range { mut start, end }, is_zero) = (dirty.range.clone(), dirty.is_zero);
        while start < end {
            let to = if is_zero { end } else { end.min(start + PIECE) };
            pieces.push(Piece { range: start..to, is_zero });
            start = to;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_pages_is_cut() {
        let ranges = [
            VmoDirtyRange { range: 4096..4096 + PIECE + 8192, is_zero: false },
            VmoDirtyRange { range: 10 * PIECE..20 * PIECE, is_zero: true },
        ];
        let piece = |range, is_zero| Piece { range, is_zero };
        let expected = [
            piece(4096..4096 + PIECE, false),
            piece(4096 + PIECE..4096 + PIECE + 8192, false),
            piece(10 * PIECE..20 * PIECE, true),
        ];
        assert_eq!(pieces(&ranges), expected);
    }
}
