//! A drawing of who shares which pages with whom, complete in itself.
//!
//! 1. Rows are the members, time goes down. Columns are runs of pages of equal number, at most [`COLUMNS`].
//! 2. A bar is a frame, or a run of them: the rows that it covers show the same memory. Its colour tells how many.
//! 3. A column of several pages is drawn as most of them are; the numbers at the right count every page.
//! 4. Nothing is drawn behind it, and all colours stand out from black as well as from white.
//! 5. No label is wider than its place: a title that is loses its beginning, as paths are told apart by their ends.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use zxvm_host::PAGE_SIZE;

use super::family::Family;
use crate::drawing::{end_of, escaped};
use crate::table::{count, counted, size};

/// Columns at most.
const COLUMNS: usize = 400;

/// Lengths, in units of the drawing.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 66.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const LETTERS: f64 = 12.0;
/// Characters of a title that there is room for, whatever the letters look like.
const TITLE: usize = 90;
/// The rows share this, within limits.
const ROWS: f64 = 700.0;
const ROW_MIN: f64 = 3.0;
const ROW_MAX: f64 = 24.0;

/// How many show a frame, as it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    One,
    Two,
    Few,
    Many,
}

impl Sharing {
    const ALL: [Self; 4] = [Self::One, Self::Two, Self::Few, Self::Many];

    fn of(members: usize) -> Self {
        match members {
            0 | 1 => Self::One,
            2 => Self::Two,
            3 | 4 => Self::Few,
            _ => Self::Many,
        }
    }

    /// Told apart by those who see red and green alike, too.
    fn colour(self) -> &'static str {
        match self {
            Self::One => "#d95f02",
            Self::Two => "#b8860b",
            Self::Few => "#2a9d6f",
            Self::Many => "#7390b5",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::One => "one has it alone",
            Self::Two => "two share it",
            Self::Few => "three or four",
            Self::Many => "five or more",
        }
    }
}

/// What stands beside the rows.
pub struct Labels {
    /// Over the drawing.
    pub title: String,
    /// At the left of each row.
    pub rows: Vec<String>,
    /// Pages that each member has alone.
    pub alone: Vec<u64>,
}

/// A bar: columns and rows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bar {
    columns: Range<usize>,
    rows: Range<usize>,
}

/// The drawing, as a document.
pub fn draw(family: &Family, labels: &Labels) -> String {
    let (pages, rows) = (family.pages(), family.members());
    let columns = pages.min(COLUMNS);
    let pitch = (ROWS / rows as f64).clamp(ROW_MIN, ROW_MAX);
    let gap = (pitch / 4.0).max(1.0);
    let height = TOP + pitch * rows as f64 + BOTTOM;
    let x = |column: usize| LEFT + PLOT * column as f64 / columns as f64;
    let y = |row: usize| TOP + pitch * row as f64;

    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"{LETTERS}\" \
         fill=\"#6e7781\" shape-rendering=\"crispEdges\">"
    );
    let title = escaped(&labels.title);
    let _ = writeln!(svg, "<title>{title}</title>");
    let shown = escaped(&end_of(&labels.title, TITLE));
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{shown}</text>");
    legend(&mut svg);

    // Where one row ends and the next begins, bars that go on are paler.
    let _ = writeln!(svg, "<mask id=\"rows\"><rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"white\"/>");
    for row in 1..rows {
        let _ =
            writeln!(svg, "<rect y=\"{:.1}\" width=\"{WIDTH}\" height=\"{gap:.1}\" fill=\"#808080\"/>", y(row) - gap);
    }
    let _ = writeln!(svg, "</mask>\n<g mask=\"url(#rows)\">");
    for bar in bars(family, columns) {
        let sharers = bar.rows.len();
        let _ = writeln!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\" fill=\"{}\"><title>{}</title></rect>",
            x(bar.columns.start),
            y(bar.rows.start),
            x(bar.columns.end) - x(bar.columns.start),
            pitch * sharers as f64 - gap,
            Sharing::of(sharers).colour(),
            bar_title(&bar, &labels.rows, pages, columns),
        );
    }
    let _ = writeln!(svg, "</g>");

    // As many labels as there is room for, the last row's among them.
    let every = (LETTERS / pitch).ceil() as usize;
    for row in (0..rows).filter(|row| (rows - 1 - row).is_multiple_of(every)) {
        let base = y(row) + (pitch - gap) / 2.0 + LETTERS / 3.0;
        let label = escaped(&labels.rows[row]);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{base:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 10.0);
        let alone = count(labels.alone[row]);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{base:.1}\">{alone} alone</text>", LEFT + PLOT + 10.0);
    }
    axis(&mut svg, pages, columns, y(rows));
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"50\">Each row is a VMO, time goes down. Rows that a bar joins show the same memory; \
         where bars end, pages were copied.</text>"
    );
    let mut x = LEFT;
    for sharing in Sharing::ALL {
        let (colour, meaning) = (sharing.colour(), sharing.meaning());
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"62\" width=\"14\" height=\"14\" fill=\"{colour}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"73\">{meaning}</text>", x + 20.0);
        x += 150.0;
    }
}

/// Offsets below the plot, and what a column is.
fn axis(svg: &mut String, pages: usize, columns: usize, bottom: f64) {
    let parts = pages.min(4);
    for part in 0..=parts {
        let page = pages * part / parts;
        let x = LEFT + PLOT * page as f64 / pages as f64;
        let anchor = match part {
            0 => "start",
            part if part == parts => "end",
            _ => "middle",
        };
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{bottom:.1}\" width=\"1\" height=\"5\"/>",
            if part == parts { x - 1.0 } else { x }
        );
        let offset = size(page as u64 * PAGE_SIZE);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{offset}</text>", bottom + 19.0);
    }
    let per_column = pages.div_ceil(columns);
    let what = if pages == columns {
        "One column is a page.".to_owned()
    } else if pages.is_multiple_of(columns) {
        format!("One column is {per_column} pages, drawn as most of them are.")
    } else {
        format!("One column is {} or {per_column} pages, drawn as most of them are.", per_column - 1)
    };
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">{what}</text>", bottom + 42.0);
}

/// The pages of a column.
fn pages_of(column: usize, pages: usize, columns: usize) -> Range<usize> {
    pages * column / columns..pages * (column + 1) / columns
}

/// All bars. Neighbours that are alike are one.
fn bars(family: &Family, columns: usize) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut open: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for column in 0..columns {
        let spans = typical(family, pages_of(column, family.pages(), columns));
        open.retain(|&(start, end), &mut from| {
            let goes_on = spans.contains(&(start..end));
            if !goes_on {
                bars.push(Bar { columns: from..column, rows: start..end });
            }
            goes_on
        });
        for span in spans {
            open.entry((span.start, span.end)).or_insert(column);
        }
    }
    bars.extend(open.into_iter().map(|((start, end), from)| Bar { columns: from..columns, rows: start..end }));
    bars
}

/// How most of the pages are shared.
fn typical(family: &Family, pages: Range<usize>) -> Vec<Range<usize>> {
    let mut kinds: Vec<(Vec<Range<usize>>, usize)> = Vec::new();
    for page in pages {
        let spans: Vec<_> = family.spans(page).collect();
        match kinds.iter_mut().find(|(kind, _)| *kind == spans) {
            Some((_, times)) => *times += 1,
            None => kinds.push((spans, 1)),
        }
    }
    // The first of those that are equally many.
    let most = kinds.iter().map(|&(_, times)| times).max();
    kinds.into_iter().find(|&(_, times)| Some(times) == most).map(|(kind, _)| kind).unwrap_or_default()
}

fn bar_title(bar: &Bar, rows: &[String], pages: usize, columns: usize) -> String {
    let first = pages_of(bar.columns.start, pages, columns).start;
    let end = pages_of(bar.columns.end - 1, pages, columns).end;
    let who = match &rows[bar.rows.clone()] {
        [only] => only.clone(),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    };
    let which = counted((end - first) as u64, "page");
    escaped(&format!("{who}: {which} from {}", size(first as u64 * PAGE_SIZE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages 0 and 1 are shared by all three, pages 2 and 3 by the two snapshots.
    fn family(pages: usize) -> Family {
        let mut family = Family::new(&vec![0; pages]);
        family.join();
        family.join();
        (pages / 2..pages).for_each(|page| family.change(page, 1));
        family.join();
        family
    }

    #[test]
    fn bars_join_rows_and_columns_that_are_alike() {
        let mut found = bars(&family(4), 4);
        found.sort_by_key(|bar| (bar.columns.start, bar.rows.start));
        let bar = |columns, rows| Bar { columns, rows };
        assert_eq!(found, [bar(0..2, 0..3), bar(2..4, 0..2), bar(2..4, 2..3)]);
    }

    #[test]
    fn a_column_is_drawn_as_most_of_its_pages() {
        // Pages 0 to 4 of nine in the first column, of which 4 is another.
        assert_eq!(pages_of(0, 9, 1), 0..9);
        assert_eq!(typical(&family(9), 0..9), [0..2, 2..3]);
        assert_eq!(typical(&family(9), 0..7), [Range { start: 0, end: 3 }]);
        let all: Vec<_> = (0..7).flat_map(|column| pages_of(column, 23, 7)).collect();
        assert_eq!(all, (0..23).collect::<Vec<_>>(), "every page is in one column");
    }

    #[test]
    fn every_part_of_a_row_is_covered_once() {
        let family = family(1000);
        let mut cells = vec![0; COLUMNS * 3];
        for bar in bars(&family, COLUMNS) {
            for row in bar.rows {
                bar.columns.clone().for_each(|column| cells[row * COLUMNS + column] += 1);
            }
        }
        assert!(cells.iter().all(|&times| times == 1));
    }

    #[test]
    fn a_title_keeps_its_end() {
        let labels = Labels {
            title: format!("{}/<end>", "long/".repeat(100)),
            rows: ["#1", "#2", "the VMO"].map(str::to_owned).to_vec(),
            alone: vec![0; 3],
        };
        let svg = draw(&family(4), &labels);
        assert!(svg.contains(&format!("<title>{}", escaped(&labels.title))), "whole where it can be read on demand");
        assert!(
            svg.contains(&format!(">…{}</text>", escaped(&labels.title[labels.title.len() - TITLE + 1..]))),
            "{svg}"
        );
    }
}
