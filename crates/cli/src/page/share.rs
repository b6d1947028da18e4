//! Whether the budget is kept, what became of pages under it, and how much of each part of the file is in memory.
//!
//! 1. What is in memory is looked at while pages are touched: in all by the engine, of each part by the kernel.
//! 2. At the end the kernel is asked for the whole, when nothing moves.
//! 3. Looking takes a small part of the time, however large the file is.

use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;
use zxvm_host::PAGE_SIZE;
use zxvm_syscall::MemoryStats;

use super::hints::{Hints, Said};
use super::mapping::Mapping;
use crate::failure::Failure;
use crate::table::{Column, Grid, Tone, count, counted, size};

/// Looks at parts take one in so many parts of the time.
const LOOKS: u32 = 10;

/// Looks on.
#[derive(Debug)]
pub struct Share {
    budget: Option<u64>,
    hints: Hints,
    last: MemoryStats,
    resident_most: u64,
    parts: [Seen; Said::ALL.len()],
    next_look: Instant,
}

/// How much of a part was in memory.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    last_pages: u64,
    /// Of the looks in the second half of all touches.
    sum_pages: u64,
    looks: u64,
}

/// How much of a part of the file is in memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PartSeen {
    /// What was said of it.
    pub said: Said,
    /// Its pages.
    pub pages: u64,
    /// In memory after the last touch.
    pub resident_pages: u64,
    /// In memory on average, in the second half of the touches.
    pub resident_pages_mean: f64,
}

/// What there is to tell of a limit of memory.
#[derive(Clone, Debug, Serialize)]
pub struct Limited {
    /// How much of the file may be in memory. Nothing: any amount.
    pub budget_bytes: Option<u64>,
    /// The most that was, by the engine, whenever somebody looked.
    pub resident_bytes_most: u64,
    /// In memory at the end, by the kernel.
    pub resident_bytes_end: u64,
    /// Touches whose page was in memory just before.
    pub found: u64,
    /// Those of all touches.
    pub hit_rate: f64,
    /// Accesses that came to the engine.
    pub faults: u64,
    /// Pages taken out of memory.
    pub evicted_pages: u64,
    /// Pages brought in that had been taken not long before.
    pub refaulted_pages: u64,
    /// How often somebody had to wait because nothing could be taken.
    pub starved: u64,
    /// The parts of the file of which different things were said.
    pub parts: Vec<PartSeen>,
}

impl Share {
    /// Of a file that this was said of.
    pub fn new(budget: Option<u64>, hints: Hints) -> Self {
        let (last, parts) = (MemoryStats::default(), Default::default());
        Self { budget, hints, last, resident_most: 0, parts, next_look: Instant::now() }
    }

    /// Looks. `counts`: this is in the second half. `last`: it is the last time.
    pub fn look(&mut self, mapping: &Mapping<'_>, counts: bool, last: bool) -> io::Result<()> {
        self.last = mapping.kernel.memory_stats();
        self.resident_most = self.resident_most.max(self.last.resident);
        let start = Instant::now();
        if start < self.next_look && !last {
            return Ok(());
        }
        for (seen, said) in self.parts.iter_mut().zip(Said::ALL) {
            seen.last_pages = mapping.resident_pages(self.hints.runs(said))?;
            if counts {
                seen.sum_pages += seen.last_pages;
                seen.looks += 1;
            }
        }
        self.next_look = Instant::now() + (start.elapsed() * LOOKS).max(Duration::from_millis(2));
        Ok(())
    }

    /// What there is to tell, after so many touches, of which so many found their page.
    pub fn report(&mut self, mapping: &Mapping<'_>, touches: u64, found: u64) -> Result<Limited, Failure> {
        let now = mapping.kernel.memory_stats();
        self.resident_most = self.resident_most.max(now.resident);
        let whole = 0..(mapping.range.end - mapping.range.start) / PAGE_SIZE;
        let parts = self.parts.iter().zip(Said::ALL).map(|(seen, said)| PartSeen {
            said,
            pages: self.hints.pages(said),
            resident_pages: seen.last_pages,
            resident_pages_mean: seen.sum_pages as f64 / seen.looks.max(1) as f64,
        });
        Ok(Limited {
            budget_bytes: self.budget,
            resident_bytes_most: self.resident_most,
            resident_bytes_end: mapping.resident_pages([whole].into_iter())? * PAGE_SIZE,
            found,
            hit_rate: found as f64 / touches.max(1) as f64,
            faults: self.last.faults,
            evicted_pages: self.last.evicted / PAGE_SIZE,
            refaulted_pages: self.last.refaulted / PAGE_SIZE,
            starved: self.last.starved,
            parts: parts.filter(|part| part.pages > 0).collect(),
        })
    }
}

impl Limited {
    /// What is wrong, if the budget was not kept.
    pub fn broken(&self) -> Option<String> {
        let most = self.resident_bytes_most.max(self.resident_bytes_end);
        let budget = self.budget_bytes.filter(|&budget| most > budget)?;
        Some(format!("{} were in memory, more than the {} there may be", size(most), size(budget)))
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let most = size(self.resident_bytes_most);
        let _ = match self.budget_bytes {
            Some(budget) => writeln!(text, " Of the file {} may be in memory, and at most {most} were.", size(budget)),
            None => writeln!(text, " Any amount of the file may be in memory; at most {most} were."),
        };
        let _ = writeln!(
            text,
            " {:.1}% of the touches found their page there. {} came to the engine;\n {} taken out, and {} came again soon; somebody waited for room {}.\n",
            self.hit_rate * 100.0,
            counted(self.faults, "access").replace("accesss", "accesses"),
            counted(self.evicted_pages, "page"),
            count(self.refaulted_pages),
            counted(self.starved, "time"),
        );
        let mut grid = Grid::new(&[
            ("Pages of the file", Column::Word),
            ("All", Column::Number),
            ("In memory\nat the end", Column::Number),
            ("\n%", Column::Number),
            ("on\naverage", Column::Number),
            ("\n%", Column::Number),
        ]);
        for part in &self.parts {
            let percent = |pages: f64| format!("{:.1}", pages * 100.0 / part.pages as f64);
            let cells = [
                part.said.name().to_owned(),
                count(part.pages),
                count(part.resident_pages),
                percent(part.resident_pages as f64),
                count(part.resident_pages_mean as u64),
                percent(part.resident_pages_mean),
            ];
            grid.row(cells.iter().map(|cell| (cell.as_str(), Tone::Plain)));
        }
        text + &grid.text()
    }
}
