//! What was found, as a table for people or as one JSON document.

use std::fmt::Write;

use serde::Serialize;
use zxvm_host::PAGE_SIZE;

use crate::table::{Column, Grid, Tone, count, counted, size};

/// One snapshot.
#[derive(Debug, Serialize)]
pub struct Row {
    /// From 1.
    pub number: usize,
    /// When it was asked for, since the first store.
    pub at_ms: f64,
    /// How long `zx_vmo_create_child` took: what the creator waits.
    pub call_us: f64,
    /// The longest time from one store to the next around the call: what the writer waits.
    pub writer_gap_us: f64,
    /// Stores made when it was asked for.
    pub stores_before: u64,
    /// Stores made when the call was back.
    pub stores_after: u64,
    /// Stores that it holds. Nothing if no number explains what it holds.
    pub stores: Option<u64>,
    /// Pages that have been copied since the snapshot before, by the private bytes of the VMO.
    pub copied_pages: u64,
    /// Memory in all files of the engine just after the call.
    pub linux_bytes: u64,
    /// Over all pages.
    pub checksum: Option<String>,
    /// At the end. Nothing where it did not come to that.
    pub share: Option<Share>,
}

/// What a VMO had of the memory when all were there.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    /// Committed, as `ZX_INFO_VMO` tells it.
    pub committed_bytes: u64,
    /// Of these, no other VMO's as well.
    pub private_bytes: u64,
    /// Each page divided by the number of those who share it; rounded.
    pub scaled_bytes: u64,
}

impl Share {
    fn alone(&self) -> u64 {
        self.private_bytes / PAGE_SIZE
    }

    fn shared(&self) -> u64 {
        (self.committed_bytes - self.private_bytes) / PAGE_SIZE
    }
}

/// The whole family, when all were there and the writer at rest.
#[derive(Debug, Serialize)]
pub struct Whole {
    /// The VMO itself.
    pub vmo: Share,
    /// Pages copied since the last snapshot.
    pub copied_pages: u64,
    /// Stores made.
    pub stores: u64,
    /// Frames there must be, by the stores.
    pub frames: u64,
    /// Of these, copies for a store that the next snapshot overtook: they show the same as the frame before.
    pub overtaken_copies: u64,
    /// All shares together; rounded.
    pub scaled_bytes: u64,
    /// Memory that Linux holds for it.
    pub linux_bytes: u64,
    /// What copies would take.
    pub copies_bytes: u64,
}

/// Areas that Linux has, by `/proc/self/maps`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Areas {
    /// Where the VMO is mapped.
    pub mapping: usize,
    /// In the whole process.
    pub process: usize,
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
    /// Bytes in a page.
    pub page_bytes: u64,
    /// Pages of the VMO.
    pub pages: u64,
    /// Whether Linux can count pages exactly; if not, its figures are only shown.
    pub counts_judged: bool,
    /// The snapshots.
    pub snapshots: Vec<Row>,
    /// Nothing where it did not come to that.
    pub whole: Option<Whole>,
    /// The longest time from one store to the next while no snapshot was made.
    pub writer_gap_between_us: f64,
    /// Before the first snapshot.
    pub areas_before: Areas,
    /// After the last.
    pub areas_after: Areas,
    /// In which order the snapshots were closed.
    pub closing_order: Vec<usize>,
    /// How often the content of a VMO was compared with what it should be.
    pub comparisons: u64,
    /// What is not as documented.
    pub differences: Vec<String>,
    /// Whether nothing is.
    pub as_documented: bool,
}

const LEGEND: &str = " \
 Call: how long zx_vmo_create_child took. Gap: the writer's longest time from one store to the next around it.\n \
 Stores: how many of them the snapshot holds. Copied: pages copied since the one before. Linux: memory in its\n \
 files just after the call. Shared, alone: pages when all were there, by ZX_INFO_VMO. A ✓ stands for: every\n \
 page is that of the file and exactly so many stores; after the call, at the end, and as others were closed.";

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let (dim, head, bad) = (Tone::Dim.style(), Tone::Heading.style(), Tone::Bad.style());
        let (bytes, pages) = (counted(self.file_bytes, "byte"), counted(self.pages, "page"));
        let mut text = format!(
            " {head}{}{head:#}: {bytes}, {pages} of 4 KiB; Linux {}\n\n{}\n{dim}{LEGEND}{dim:#}\n",
            self.file,
            self.kernel,
            self.table()
        );
        if let Some(whole) = &self.whole {
            let vmos = counted(self.snapshots.len() as u64 + 1, "VMO");
            let (each, copies) = (size(self.pages * PAGE_SIZE), size(whole.copies_bytes));
            let _ = writeln!(
                text,
                "\n {vmos} of {each}: {copies} to look at, {head}{}{head:#} of memory by Linux; {} frames, {} scaled bytes",
                size(whole.linux_bytes),
                count(whole.frames),
                count(whole.scaled_bytes)
            );
            if whole.overtaken_copies > 0 {
                let copies = count(whole.overtaken_copies);
                let _ = writeln!(
                    text,
                    " Copies that the next snapshot overtook, before the store they were made for: {copies}"
                );
            }
        }
        let (before, after) = (self.areas_before, self.areas_after);
        let _ = writeln!(
            text,
            " Areas by /proc/self/maps, before and with all snapshots: {} → {} of the mapping, {} → {} of the process",
            before.mapping, after.mapping, before.process, after.process
        );
        let around = self.snapshots.iter().map(|row| row.writer_gap_us).fold(0.0, f64::max);
        let between = micros(self.writer_gap_between_us);
        let _ = writeln!(text, " The writer waited {} µs at most around a call, {between} between", micros(around));
        if !self.closing_order.is_empty() {
            let order: Vec<_> = self.closing_order.iter().map(usize::to_string).collect();
            let order = wrapped(" Closed in the order ", &order.join(" "));
            let _ = writeln!(text, "{order}");
        }
        if !self.counts_judged {
            let warn = Tone::Warn.style();
            let _ = writeln!(
                text,
                " {warn}Linux uses huge pages for shared memory here: its figures are shown, not judged.{warn:#}"
            );
        }
        if !self.as_documented {
            text.push('\n');
        }
        for difference in &self.differences {
            let _ = writeln!(text, " {bad}✗ {difference}{bad:#}");
        }
        let (tone, verdict) = if self.as_documented {
            let times = counted(self.comparisons, "comparison");
            let snapshots = counted(self.snapshots.len() as u64, "snapshot");
            (Tone::Good, format!("{snapshots} as documented, by {times} of whole contents"))
        } else {
            (Tone::Bad, format!("not as documented: {}", counted(self.differences.len() as u64, "difference")))
        };
        let tone = tone.style();
        let _ = writeln!(text, "\n {tone}{verdict}{tone:#}");
        text
    }

    fn table(&self) -> String {
        let mut grid = Grid::new(&[
            ("\n#", Column::Number),
            ("At\nms", Column::Number),
            ("Call\nµs", Column::Number),
            ("Gap\nµs", Column::Number),
            ("\nStores", Column::Number),
            ("Pages\ncopied", Column::Number),
            ("Linux\nKiB", Column::Number),
            ("Pages\nshared", Column::Number),
            ("\nalone", Column::Number),
            ("\nChecksum", Column::Word),
            ("", Column::Word),
        ]);
        for row in &self.snapshots {
            let (shared, alone) = shares(row.share.as_ref());
            let figures = [
                (row.number.to_string(), Tone::Dim),
                (count(row.at_ms as u64), Tone::Dim),
                (micros(row.call_us), Tone::Plain),
                (micros(row.writer_gap_us), Tone::Plain),
                (row.stores.map_or("none fits".to_owned(), count), Tone::Plain),
                (count(row.copied_pages), Tone::Plain),
                (count(row.linux_bytes >> 10), Tone::Plain),
                (shared, Tone::Plain),
                (alone, Tone::Plain),
                (row.checksum.clone().unwrap_or_default(), Tone::Dim),
            ];
            let verdict = if row.stores.is_some() { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
            grid.row(figures.iter().map(|(text, tone)| (text.as_str(), *tone)).chain([verdict]));
        }
        if let Some(whole) = &self.whole {
            let (shared, alone) = shares(Some(&whole.vmo));
            let (stores, copied) = (count(whole.stores), count(whole.copied_pages));
            let linux = count(whole.linux_bytes >> 10);
            let cells = ["VMO", "", "", "", &stores, &copied, &linux, &shared, &alone];
            grid.row(cells.map(|text| (text, Tone::Plain)));
        }
        grid.text()
    }
}

fn shares(share: Option<&Share>) -> (String, String) {
    share.map_or_else(Default::default, |share| (count(share.shared()), count(share.alone())))
}

/// Broken into lines between words.
fn wrapped(start: &str, words: &str) -> String {
    const WIDTH: usize = 110;
    let mut lines = vec![start.trim_end().to_owned()];
    for word in words.split(' ') {
        let line = lines.last_mut().expect("there is a first");
        if line.chars().count() + 1 + word.len() > WIDTH {
            lines.push(format!("  {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

fn micros(time_us: f64) -> String {
    if time_us < 10.0 { format!("{time_us:.1}") } else { count(time_us as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(stores: Option<u64>, differences: Vec<String>) -> Report {
        let share = Share { committed_bytes: 5 << 12, private_bytes: 2 << 12, scaled_bytes: 3 << 12 };
        let row = Row {
            number: 1,
            at_ms: 20.4,
            call_us: 1234.5,
            writer_gap_us: 3.21,
            stores_before: 7,
            stores_after: 9,
            stores,
            copied_pages: 4,
            linux_bytes: 1 << 20,
            checksum: Some("0123456789abcdef".to_owned()),
            share: Some(share),
        };
        let whole = Whole {
            vmo: share,
            copied_pages: 6,
            stores: 1000,
            frames: 7,
            overtaken_copies: 1,
            scaled_bytes: 7 << 12,
            linux_bytes: 7 << 12,
            copies_bytes: 10 << 12,
        };
        let areas = Areas { mapping: 1, process: 30 };
        Report {
            file: "file".to_owned(),
            file_bytes: 20_000,
            kernel: "6.1".to_owned(),
            page_bytes: PAGE_SIZE,
            pages: 5,
            counts_judged: true,
            snapshots: vec![row],
            whole: Some(whole),
            writer_gap_between_us: 10.0,
            areas_before: areas,
            areas_after: areas,
            closing_order: vec![1],
            comparisons: 4,
            as_documented: differences.is_empty(),
            differences,
        }
    }

    fn plain(report: &Report) -> String {
        anstream::adapter::strip_str(&report.text()).to_string()
    }

    #[test]
    fn a_row_tells_all_figures() {
        let text = plain(&report(Some(8), vec![]));
        let line = |start: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(start)).expect(start);
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("1 "), "1 20 1,234 3.2 8 4 1,024 3 2 0123456789abcdef ✓");
        assert_eq!(line("VMO "), "VMO 1,000 6 28 3 2");
        assert!(text.contains("the store they were made for: 1\n"), "{text}");
        assert_eq!(text.lines().last(), Some(" 1 snapshot as documented, by 4 comparisons of whole contents"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let text = plain(&report(None, vec!["snapshot 1, page 3: torn".to_owned()]));
        assert!(text.contains("none fits") && text.contains("✗ snapshot 1, page 3: torn"), "{text}");
        assert_eq!(text.lines().last(), Some(" not as documented: 1 difference"));
    }

    #[test]
    fn long_lists_are_broken() {
        let words: Vec<_> = (0..100).map(|number: u32| number.to_string()).collect();
        let text = wrapped(" Start ", &words.join(" "));
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() <= 110));
        assert_eq!(text.split_whitespace().count(), 101);
    }
}
