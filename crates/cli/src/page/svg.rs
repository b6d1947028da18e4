//! A drawing of what is in memory over time, complete in itself.
//!
//! 1. Columns are parts of the file, time goes down. A cell's colour tells how much of the part is entered in the page table.
//! 2. What is dirty is drawn over the upper half of its cell.
//! 3. At the right is the memory of the VMO, by the engine.
//! 4. Colours stand out from black as well as from white; no label is wider than its place.

use std::fmt::Write;

use zxvm_host::PAGE_SIZE;

use super::residency::{COLUMNS, Moment, Residency};
use crate::drawing::{end_of, escaped};
use crate::table::size;

/// Lengths, in units of the drawing.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 66.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const HEIGHT: f64 = 560.0;
/// Characters of a title that there is room for, whatever the letters look like.
const TITLE: usize = 90;

/// Little, half and all of a part. Nothing is not drawn.
const SHADES: [(u8, &str, &str); 4] = [
    (1, "#b9d3ea", "less than a third"),
    (85, "#6fa3d0", "up to two thirds"),
    (170, "#2f78b3", "more"),
    (255, "#1b4f7f", "all of it"),
];
const DIRTY: &str = "#d95f02";

/// The shade of a part of 255.
fn shade(part: u8) -> Option<&'static str> {
    SHADES.iter().rev().find(|(from, _, _)| part >= *from).map(|(_, colour, _)| *colour)
}

/// The drawing, as a document.
pub fn draw(residency: &Residency, title: &str) -> String {
    let moments = residency.moments();
    let last = moments.last().map_or(1.0, |moment| moment.at.as_secs_f64()).max(1e-6);
    let y = |moment: &Moment| TOP + HEIGHT * moment.at.as_secs_f64() / last;
    let whole = TOP + HEIGHT + BOTTOM;
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{whole:.0}\" \
         viewBox=\"0 0 {WIDTH} {whole:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#6e7781\" \
         shape-rendering=\"crispEdges\">"
    );
    let _ = writeln!(svg, "<title>{}</title>", escaped(title));
    let shown = escaped(&end_of(title, TITLE));
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{shown}</text>");
    legend(&mut svg);

    for (index, moment) in moments.iter().enumerate() {
        let (top, bottom) = (y(moment), moments.get(index + 1).map_or(TOP + HEIGHT, y));
        // The last one is the end: it has no time of its own.
        if bottom - top < 0.01 {
            continue;
        }
        row(&mut svg, moment, top, bottom - top);
    }
    let _ = writeln!(
        svg,
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{PLOT}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#6e7781\"/>"
    );
    times(&mut svg, moments, last);
    offsets(&mut svg, residency.pages());
    svg.push_str("</svg>\n");
    svg
}

/// A moment, from here to the next. Neighbours of a colour are one bar.
fn row(svg: &mut String, moment: &Moment, top: f64, height: f64) {
    let columns = moment.columns.len();
    let x = |column: usize| LEFT + PLOT * column as f64 / columns as f64;
    // A little into the next row, which is drawn over it: no light between the two.
    let lap = 0.6_f64.min(TOP + HEIGHT - top - height);
    let mut bars = |colour_of: &dyn Fn(usize) -> Option<&'static str>, height: f64| {
        let mut from = 0;
        while from < columns {
            let colour = colour_of(from);
            let to = (from + 1..columns).find(|&column| colour_of(column) != colour).unwrap_or(columns);
            if let Some(colour) = colour {
                let (left, width) = (x(from), x(to) - x(from));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{colour}\"/>"
                );
            }
            from = to;
        }
    };
    bars(&|column| shade(moment.columns[column]), height + lap);
    bars(&|column| moment.dirty[column].then_some(DIRTY), height / 2.0);
}

fn legend(svg: &mut String) {
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"50\">Columns are parts of the file, time goes down. Coloured is what the page table of \
         the process has; at the right, what the VMO has.</text>"
    );
    let mut x = LEFT;
    let dirty = (0, DIRTY, "something is dirty");
    for (_, colour, meaning) in SHADES.into_iter().chain([dirty]) {
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"62\" width=\"14\" height=\"14\" fill=\"{colour}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"73\">{meaning}</text>", x + 20.0);
        x += 160.0;
    }
}

/// Times at the left, memory at the right.
fn times(svg: &mut String, moments: &[Moment], last: f64) {
    const PARTS: u32 = 5;
    for part in 0..=PARTS {
        let time = last * f64::from(part) / f64::from(PARTS);
        let y = TOP + HEIGHT * f64::from(part) / f64::from(PARTS);
        let label = if last < 10.0 { format!("{:.0} ms", time * 1000.0) } else { format!("{time:.1} s") };
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 10.0, y + 4.0);
        let next = moments.partition_point(|moment| moment.at.as_secs_f64() <= time + 1e-9);
        if let Some(moment) = next.checked_sub(1).and_then(|index| moments.get(index)) {
            let has = size(moment.committed_bytes);
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\">{has}</text>", LEFT + PLOT + 10.0, y + 4.0);
        }
    }
}

/// Offsets below the plot.
fn offsets(svg: &mut String, pages: u64) {
    let (parts, bottom) = (pages.min(4), TOP + HEIGHT);
    for part in 0..=parts {
        let page = (u128::from(pages) * u128::from(part) / u128::from(parts)) as u64;
        let x = LEFT + PLOT * part as f64 / parts as f64;
        let anchor = match part {
            0 => "start",
            part if part == parts => "end",
            _ => "middle",
        };
        let offset = size(page * PAGE_SIZE);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{offset}</text>", bottom + 19.0);
    }
    let what = if pages <= COLUMNS {
        "One column is a page.".to_owned()
    } else {
        format!("One column is about {}.", size(pages / COLUMNS * PAGE_SIZE))
    };
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">{what}</text>", bottom + 42.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_at_all_has_a_shade() {
        assert_eq!(shade(0), None);
        assert_eq!([1, 84, 85, 254, 255].map(shade), [0, 0, 1, 2, 3].map(|index: usize| Some(SHADES[index].1)));
    }
}
