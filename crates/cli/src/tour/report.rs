//! What the tour found, as a table for people or as one JSON document.

use std::fmt::Write;

use serde::Serialize;
use zxvm_host::PAGE_SIZE;

use super::verdict::Counts;
use crate::table::{Column, Grid, Tone, count, counted};

/// One step: what was called, what Linux showed before and after, and whether that is what is documented.
#[derive(Debug, Serialize)]
pub struct Row {
    /// From 1.
    pub number: usize,
    /// Heading.
    pub group: &'static str,
    /// The call.
    pub call: String,
    /// What the documentation says of it.
    #[serde(rename = "documented")]
    pub says: &'static str,
    /// How it ended.
    pub status: String,
    /// How it should have.
    pub documented_status: String,
    /// Before the call.
    pub before: Figures,
    /// After it.
    pub after: Figures,
    /// How long the call took.
    pub time_us: f64,
    /// The verdict.
    pub as_documented: bool,
    /// Why not.
    pub differences: Vec<String>,
}

/// One moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Pages of the tour that have an entry in the page table.
    pub page_table_entries: u64,
    /// Committed, as `ZX_INFO_VMO` tells it.
    pub committed_zx_bytes: u64,
    /// Committed, as Linux accounts it to the files.
    pub committed_linux_bytes: u64,
    /// Resident, by `smaps` of the tour's addresses.
    pub range_resident_bytes: u64,
    /// Resident shared memory of the process, `RssShmem`.
    pub resident_bytes: u64,
}

/// The whole tour.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file that was mapped.
    pub file: String,
    /// Bytes in it.
    pub file_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Bytes in a page.
    pub page_bytes: u64,
    /// Whether page counts could be judged; if not, only status, protection and content were.
    pub counts_judged: bool,
    /// The steps.
    pub rows: Vec<Row>,
    /// How many are as documented.
    pub as_documented: usize,
    /// How many there are.
    pub total: usize,
}

const LEGEND: &str = " \
 Pages before → after, as Linux tells. Page table: entries in /proc/self/pagemap. Committed: blocks of the\n \
 memory files, and what ZX_INFO_VMO says afterwards. Resident: RssShmem in /proc/self/status. A ✓ stands for\n \
 more: all contents are the file's bytes or zeros where they should be, and the protections are right.";

impl Report {
    /// Counts the verdicts.
    pub fn new(file: String, file_bytes: u64, kernel: String, counts: Counts, rows: Vec<Row>) -> Self {
        let as_documented = rows.iter().filter(|row| row.as_documented).count();
        let (counts_judged, total) = (counts == Counts::Judged, rows.len());
        Self { file, file_bytes, kernel, page_bytes: PAGE_SIZE, counts_judged, rows, as_documented, total }
    }

    /// Whether every step is as documented.
    pub fn all_as_documented(&self) -> bool {
        self.as_documented == self.total
    }

    /// For people.
    pub fn text(&self) -> String {
        let (dim, head, bad) = (Tone::Dim.style(), Tone::Heading.style(), Tone::Bad.style());
        let bytes = counted(self.file_bytes, "byte");
        let pages = counted(self.file_bytes.div_ceil(PAGE_SIZE), "page");
        let mut text = format!(
            " {head}{}{head:#}: {bytes}, {pages} of 4 KiB; Linux {}\n\n{}",
            self.file,
            self.kernel,
            self.table()
        );
        let _ = writeln!(text, "\n{dim}{LEGEND}{dim:#}");
        for row in self.rows.iter().filter(|row| !row.as_documented) {
            let _ = writeln!(text, "\n {bad}✗ {}  {}{bad:#}\n   documented: {}", row.number, row.call, row.says);
            for difference in &row.differences {
                let _ = writeln!(text, "   but: {difference}");
            }
        }
        if !self.counts_judged {
            let warn = Tone::Warn.style();
            let _ = writeln!(
                text,
                "\n {warn}Linux uses huge pages for shared memory here: page counts are shown, not judged.{warn:#}"
            );
        }
        let tone = if self.all_as_documented() { Tone::Good } else { Tone::Bad }.style();
        let _ = writeln!(text, "\n {tone}{} of {} as documented{tone:#}", self.as_documented, self.total);
        text
    }

    fn table(&self) -> String {
        let mut grid = Grid::new(&[
            ("", Column::Number),
            ("\nStep", Column::Text),
            ("\nStatus", Column::Word),
            ("Page\ntable", Column::Number),
            ("Committed\nLinux", Column::Number),
            ("\nzx", Column::Number),
            ("\nResident", Column::Number),
            ("\nµs", Column::Number),
            ("", Column::Word),
        ]);
        let mut group = "";
        for row in &self.rows {
            if row.group != group {
                group = row.group;
                grid.heading(group);
            }
            let status = if row.status == "OK" { Tone::Plain } else { Tone::Warn };
            let verdict = if row.as_documented { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
            let pages = |figure: fn(&Figures) -> u64| change(figure(&row.before), figure(&row.after));
            let figures = [
                pages(|figures| figures.page_table_entries),
                pages(|figures| figures.committed_linux_bytes / PAGE_SIZE),
                ((row.after.committed_zx_bytes / PAGE_SIZE).to_string(), Tone::Dim),
                pages(|figures| figures.resident_bytes / PAGE_SIZE),
            ];
            let (number, time) = (row.number.to_string(), micros(row.time_us));
            let start = [(number.as_str(), Tone::Dim), (row.call.as_str(), Tone::Plain), (row.status.as_str(), status)];
            let middle = figures.iter().map(|(text, tone)| (text.as_str(), *tone));
            grid.row(start.into_iter().chain(middle).chain([(time.as_str(), Tone::Dim), verdict]));
        }
        grid.text()
    }
}

/// A number of pages; both of them if it has changed.
fn change(before: u64, after: u64) -> (String, Tone) {
    if before == after { (after.to_string(), Tone::Dim) } else { (format!("{before} → {after}"), Tone::Plain) }
}

fn micros(time_us: f64) -> String {
    if time_us < 10.0 { format!("{time_us:.1}") } else { count(time_us as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, differences: Vec<String>) -> Row {
        let figures = Figures {
            page_table_entries: 3,
            committed_zx_bytes: 8192,
            committed_linux_bytes: 8192,
            range_resident_bytes: 12288,
            resident_bytes: 12288,
        };
        Row {
            number,
            group: "Group",
            call: "COMMIT all".to_owned(),
            says: "What it says.",
            status: "OK".to_owned(),
            documented_status: "OK".to_owned(),
            before: Figures { committed_linux_bytes: 4096, ..figures },
            after: figures,
            time_us: 1234.5,
            as_documented: differences.is_empty(),
            differences,
        }
    }

    fn report(counts: Counts) -> Report {
        let rows = vec![row(1, vec![]), row(2, vec!["the page table has 3 pages, documented is 4".to_owned()])];
        Report::new("file".to_owned(), 5000, "6.1".to_owned(), counts, rows)
    }

    #[test]
    fn what_is_not_as_documented_is_told_and_counted() {
        let report = report(Counts::Judged);
        assert!(!report.all_as_documented());
        let text = anstream::adapter::strip_str(&report.text()).to_string();
        let line =
            |start: &str| text.lines().find(|line| line.trim_start().starts_with(start)).expect(start).to_owned();
        assert_eq!(line("1 ").split_whitespace().collect::<Vec<_>>().join(" "), "1 COMMIT all OK 3 1 → 2 2 3 1,234 ✓");
        assert!(line("2 ").ends_with('✗'));
        assert!(text.contains("✗ 2  COMMIT all\n   documented: What it says.\n   but: the page table has 3 pages"));
        assert_eq!(text.lines().last(), Some(" 1 of 2 as documented"));
        assert!(!text.contains("huge pages"));
    }

    #[test]
    fn counts_that_were_not_judged_are_admitted() {
        assert!(report(Counts::Shown).text().contains("huge pages for shared memory"));
    }
}
