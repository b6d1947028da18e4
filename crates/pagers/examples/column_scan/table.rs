//! The table, and the queries over it. Who has its bytes in memory, and how, is no business of theirs.
//!
//! 1. The file is the dictionary (`u64` values), the keys (`u32`, one a row), then 30 columns (`u32` codes, one a row). Each of these is
//!    5/16 of the budget, so all together ten times as much as that, and what each query needs 15/16.
//! 2. Each query reads keys and one column in order, and the dictionary at random. It says what it wants, and what it is done
//!    with, as it goes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

/// Bytes in a page.
pub const PAGE: u64 = 4096;

/// Times that all columns are asked for.
const ROUNDS: usize = 2;

/// Rows between two words on what a query wants, and is done with.
const STRIDE: usize = 1 << 18;

/// What a query says of a range of the file, in bytes.
#[derive(Clone, Debug)]
pub enum Use {
    /// All queries need it.
    Always(Range<usize>),
    /// This one reads it in order, next.
    Soon(Range<usize>),
    /// This one was done with it just now; another may want it later.
    DoneWith(Range<usize>),
}

/// What there is to reach.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// All sums, in one number.
    pub sums: u64,
    /// Queries.
    pub queries: u64,
    /// Pages visited by them, each counted once a query.
    pub visited: u64,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Bytes that may be in memory: a multiple of 1 MiB.
    pub budget: u64,
}

impl Table {
    /// Bytes of the dictionary.
    fn dictionary(self) -> usize {
        self.column()
    }

    /// Bytes of the keys, and of each column.
    fn column(self) -> usize {
        self.budget as usize * 5 / 16
    }

    /// How many columns there are besides the keys.
    const COLUMNS: usize = 30;

    /// Bytes of the file.
    pub fn len(self) -> u64 {
        (self.dictionary() + (1 + Self::COLUMNS) * self.column()) as u64
    }

    /// Where column `number` is.
    fn place(self, number: usize) -> Range<usize> {
        let start = self.dictionary() + (1 + number) * self.column();
        start..start + self.column()
    }

    /// Makes the file, and answers what queries over it are to give: by plain reading.
    pub fn make(self, path: &Path) -> io::Result<Done> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let values = (self.dictionary() / 8) as u64;
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for _ in 0..values {
            file.write_all(&random().to_le_bytes())?;
        }
        for _ in 0..self.column() / 4 {
            file.write_all(&(random() as u32).to_le_bytes())?;
        }
        for _ in 0..Self::COLUMNS * self.column() / 4 {
            file.write_all(&((random() % values) as u32).to_le_bytes())?;
        }
        file.into_inner()?.sync_all()?;
        let sums = self.run(&std::fs::read(path)?, &mut |_| {});
        let queries = (ROUNDS * Self::COLUMNS) as u64;
        let visited = queries * (self.dictionary() + 2 * self.column()) as u64 / PAGE;
        Ok(Done { sums, queries, visited })
    }

    /// All queries over the bytes of the file. `tell` hears what becomes of which of them.
    pub fn run(self, bytes: &[u8], tell: &mut dyn FnMut(Use)) -> u64 {
        tell(Use::Always(0..self.dictionary() + self.column()));
        let mut sums = 0_u64;
        for query in 0..ROUNDS * Self::COLUMNS {
            sums = sums.rotate_left(1) ^ self.query(bytes, query, tell);
        }
        sums
    }

    /// The sum of the values of a column in the rows whose key says so.
    fn query(self, bytes: &[u8], query: usize, tell: &mut dyn FnMut(Use)) -> u64 {
        // Not one after the other: 7 and the number of columns have no common divisor.
        let place = self.place(query * 7 % Self::COLUMNS);
        let (dictionary, rest) = bytes.split_at(self.dictionary());
        let (keys, codes) = (&rest[..self.column()], &bytes[place.clone()]);
        let word =
            |from: &[u8], row: usize| u32::from_le_bytes(from[4 * row..4 * row + 4].try_into().expect("4 bytes"));
        let value = |code: usize| u64::from_le_bytes(dictionary[8 * code..8 * code + 8].try_into().expect("8 bytes"));
        let wanted = query as u32 % 4;
        let (mut sum, rows) = (0_u64, self.column() / 4);
        for start in (0..rows).step_by(STRIDE) {
            let end = rows.min(start + STRIDE);
            for first in [self.dictionary(), place.start] {
                tell(Use::Soon(first + 4 * start..first + 4 * end));
            }
            for row in (start..end).filter(|&row| word(keys, row) % 4 == wanted) {
                sum = sum.wrapping_add(value(word(codes, row) as usize));
            }
            tell(Use::DoneWith(place.start + 4 * start..place.start + 4 * end));
        }
        sum
    }
}
