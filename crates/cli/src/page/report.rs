//! What was found, as a table for people or as one JSON document.

use std::fmt::Write;

use serde::Serialize;

use super::latency::Latencies;
use super::share::Limited;
use super::source::Way;
use crate::table::{Column, Grid, Tone, count, counted, size};

/// How long accesses that faulted took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50_us: f64,
    /// Nine of ten.
    pub p90_us: f64,
    /// Ninety-nine of a hundred.
    pub p99_us: f64,
    /// All but one of a thousand.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl From<&Latencies> for Percentiles {
    fn from(latencies: &Latencies) -> Self {
        let us = |per_mille| latencies.per_mille_ns(per_mille) as f64 / 1000.0;
        Self {
            p50_us: us(500),
            p90_us: us(900),
            p99_us: us(990),
            p999_us: us(999),
            max_us: latencies.max_ns() as f64 / 1000.0,
        }
    }
}

/// What `--write` did and found.
#[derive(Clone, Debug, Serialize)]
pub struct Writes {
    /// Pages whose acknowledged records of earlier runs were looked for.
    pub earlier_acknowledged: u64,
    /// Whole records found that are newer than what was acknowledged.
    pub earlier_unacknowledged: u64,
    /// Whether the journal had a batch that a killed run had not finished.
    pub finished_batch: bool,
    /// Records acknowledged in this run: the last of each page in a batch.
    pub acknowledged: u64,
    /// Bytes dirty at most when somebody looked.
    pub dirty_bytes_most: u64,
    /// Pages written back.
    pub pages_written: u64,
    /// Writebacks.
    pub writebacks: u64,
}

/// What is there, by the engine and by Linux.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Committed, by `ZX_INFO_VMO`.
    pub committed_bytes: u64,
    /// In the engine's files, by Linux. The pager's own buffers are in there as well.
    pub linux_bytes: u64,
    /// Pages of the mapping that the page table has.
    pub entries: u64,
    /// Resident of the mapping, by `smaps`.
    pub resident_bytes: u64,
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// Bytes in it.
    pub file_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Pages it has.
    pub pages: u64,
    /// In which order they are touched.
    pub pattern: &'static str,
    /// Threads that touch.
    pub threads: u64,
    /// How faults are delivered.
    pub faults: &'static str,
    /// By which way the pager was to get at the file.
    pub backing: Way,
    /// Where the bytes came by.
    pub access: &'static str,
    /// Why io_uring was not used, where it was to be.
    pub no_ring: Option<String>,
    /// Touches made.
    pub touches: u64,
    /// Pages touched.
    pub pages_touched: u64,
    /// Accesses that faulted.
    pub faulted: u64,
    /// Time in which pages were loaded, of all threads.
    pub loading_s: f64,
    /// Accesses that faulted, in a second of all threads loading.
    pub faults_per_s: f64,
    /// Bytes loaded, in such a second.
    pub bytes_per_s: f64,
    /// From the first touch to the last, comparing included.
    pub elapsed_s: f64,
    /// Of accesses that faulted.
    pub latency: Percentiles,
    /// Requests the pager was sent.
    pub requests: u64,
    /// Reads of the file.
    pub reads: u64,
    /// Pages supplied because somebody asked.
    pub pages_asked: u64,
    /// Pages supplied before.
    pub pages_ahead: u64,
    /// Requests that failed.
    pub failed: u64,
    /// With `--write`.
    pub writes: Option<Writes>,
    /// Where memory is limited, or hints are given.
    pub limited: Option<Limited>,
    /// At the end.
    pub memory: Memory,
    /// Bytes compared with `read(2)`.
    pub compared_bytes: u64,
    /// What is wrong.
    pub differences: Vec<String>,
    /// Whether nothing is.
    pub as_documented: bool,
}

const LEGEND: &str = " \
 Faulted: accesses to a page during which Linux counted a fault of the thread. Seconds are those of loading;\n \
 comparing is not in them. Pages asked, ahead: those that somebody waited for, those brought in before.";

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let (dim, head, bad) = (Tone::Dim.style(), Tone::Heading.style(), Tone::Bad.style());
        let (bytes, pages) = (counted(self.file_bytes, "byte"), counted(self.pages, "page"));
        let mut text = format!(
            " {head}{}{head:#}: {bytes}, {pages} of 4 KiB; Linux {}\n {}, {}, by {}; faults go to {}\n The pager gets at the file {}{}\n\n{}\n{}\n{dim}{LEGEND}{dim:#}\n",
            self.file,
            self.kernel,
            self.pattern,
            counted(self.touches, "touch").replace("touchs", "touches"),
            counted(self.threads, "thread"),
            self.faults,
            self.access,
            self.ring(),
            self.accesses(),
            self.supplies(),
        );
        if let Some(writes) = &self.writes {
            let _ = writeln!(text, "\n{}", writes.text().trim_end());
        }
        if let Some(limited) = &self.limited {
            let _ = writeln!(text, "\n{}", limited.text().trim_end());
        }
        let _ = writeln!(
            text,
            "\n In memory at the end: {} by ZX_INFO_VMO, {} in all files of the engine by Linux;\n of the mapping {} and {} resident",
            size(self.memory.committed_bytes),
            size(self.memory.linux_bytes),
            counted(self.memory.entries, "entry").replace("entrys", "entries"),
            size(self.memory.resident_bytes),
        );
        if !self.as_documented {
            text.push('\n');
        }
        for difference in &self.differences {
            let _ = writeln!(text, " {bad}✗ {difference}{bad:#}");
        }
        let (tone, verdict) = if self.as_documented {
            (Tone::Good, format!("all {} read are as read(2) says", size(self.compared_bytes)))
        } else {
            (Tone::Bad, counted(self.differences.len() as u64, "difference"))
        };
        let tone = tone.style();
        let _ = writeln!(text, "\n {tone}{verdict}{tone:#}");
        text
    }

    fn ring(&self) -> String {
        match (&self.no_ring, self.backing) {
            (Some(why), _) => format!(", without io_uring:\n {why}"),
            (None, Way::File) => String::new(),
            (None, Way::Direct | Way::Ring) => ", by io_uring".to_owned(),
        }
    }

    fn accesses(&self) -> String {
        let mut grid = Grid::new(&[
            ("Pages\ntouched", Column::Number),
            ("\nFaulted", Column::Number),
            ("Faults\na second", Column::Number),
            ("MiB\na second", Column::Number),
            ("p50\nµs", Column::Number),
            ("p90\nµs", Column::Number),
            ("p99\nµs", Column::Number),
            ("p99.9\nµs", Column::Number),
            ("max\nµs", Column::Number),
        ]);
        let Percentiles { p50_us, p90_us, p99_us, p999_us, max_us } = self.latency;
        let cells = [
            count(self.pages_touched),
            count(self.faulted),
            count(self.faults_per_s as u64),
            count((self.bytes_per_s / f64::from(1 << 20)) as u64),
            micros(p50_us),
            micros(p90_us),
            micros(p99_us),
            micros(p999_us),
            micros(max_us),
        ];
        grid.row(cells.iter().map(|cell| (cell.as_str(), Tone::Plain)));
        grid.text()
    }

    fn supplies(&self) -> String {
        let mut grid = Grid::new(&[
            ("Requests", Column::Number),
            ("Reads", Column::Number),
            ("Pages asked", Column::Number),
            ("ahead", Column::Number),
            ("supplied", Column::Number),
            ("Failed", Column::Number),
        ]);
        let supplied = self.pages_asked + self.pages_ahead;
        let cells = [self.requests, self.reads, self.pages_asked, self.pages_ahead, supplied, self.failed].map(count);
        grid.row(cells.iter().map(|cell| (cell.as_str(), Tone::Plain)));
        grid.text()
    }
}

impl Writes {
    fn text(&self) -> String {
        let mut text = format!(
            " Written back: {} in {}, up to {} dirty; {} acknowledged\n",
            counted(self.pages_written, "page"),
            counted(self.writebacks, "writeback"),
            size(self.dirty_bytes_most),
            counted(self.acknowledged, "record"),
        );
        let _ = writeln!(
            text,
            " Of earlier runs: {} with an acknowledged record, {} not acknowledged{}",
            counted(self.earlier_acknowledged, "page"),
            counted(self.earlier_unacknowledged, "whole record"),
            if self.finished_batch { "; a batch that was cut off is finished" } else { "" },
        );
        text
    }
}

fn micros(time_us: f64) -> String {
    if time_us < 10.0 { format!("{time_us:.1}") } else { count(time_us as u64) }
}
