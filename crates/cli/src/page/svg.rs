//! A heat map of what is in memory over time, complete in itself.
//!
//! 1. Time goes to the right, the file from top to bottom. A cell is a band of the file at a moment; its colour tells how much of the
//!    band is in memory. Nothing is drawn where there is nothing.
//! 2. What is dirty is drawn over the left half of its cell.
//! 3. What was said of parts of the file is marked at the right, with thin lines across the map where it changes.
//! 4. Below is the memory of the VMO, by the engine, and the budget.
//! 5. Colours stand out from black as well as from white; no label is wider than its place.

use std::fmt::Write;

use zxvm_host::PAGE_SIZE;

use super::hints::{Hints, Said};
use super::residency::{BANDS, Moment, Residency};
use crate::drawing::{end_of, escaped};
use crate::table::size;

/// Lengths, in units of the drawing.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 92.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const HEIGHT: f64 = 480.0;
/// The curve of memory below the map.
const CURVE_TOP: f64 = TOP + HEIGHT + 40.0;
const CURVE: f64 = 84.0;
const BOTTOM: f64 = CURVE_TOP + CURVE;
const WHOLE: f64 = BOTTOM + 56.0;
/// The mark of what was said, and the words beside it.
const MARK: f64 = LEFT + PLOT + 8.0;
const MARK_WIDTH: f64 = 10.0;
/// Characters of a title that there is room for, whatever the letters look like.
const TITLE: usize = 90;

/// From little to all of a band.
const SHADES: [(u8, &str); 8] = [
    (1, "#cfe1f2"),
    (37, "#aacde6"),
    (73, "#7fb5da"),
    (110, "#579cca"),
    (146, "#3581b9"),
    (182, "#1d659f"),
    (219, "#124a7e"),
    (255, "#10335c"),
];
const DIRTY: &str = "#e6760a";
const BUDGET: &str = "#c2255c";
const LINES: &str = "#6e7781";

/// The shade of a part of 255.
fn shade(part: u8) -> Option<&'static str> {
    SHADES.iter().rev().find(|(from, _)| part >= *from).map(|(_, colour)| *colour)
}

/// How what was said is marked.
fn mark(said: Said) -> Option<&'static str> {
    match said {
        Said::Needed => Some("#2b8a3e"),
        Said::NotNeeded => Some("#b35c9e"),
        Said::Nothing => None,
    }
}

/// The drawing, as a document.
pub fn draw(residency: &Residency, hints: &Hints, budget: Option<u64>, title: &str) -> String {
    let moments = residency.moments();
    let last = moments.last().map_or(1.0, |moment| moment.at.as_secs_f64()).max(1e-6);
    let x = |moment: &Moment| LEFT + PLOT * moment.at.as_secs_f64() / last;
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{WHOLE:.0}\" \
         viewBox=\"0 0 {WIDTH} {WHOLE:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{LINES}\" \
         shape-rendering=\"crispEdges\">"
    );
    let _ = writeln!(svg, "<title>{}</title>", escaped(title));
    let shown = escaped(&end_of(title, TITLE));
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"28\" font-size=\"16\" font-weight=\"600\">{shown}</text>");
    legend(&mut svg, moments.iter().any(|moment| moment.dirty.contains(&true)));
    for (index, moment) in moments.iter().enumerate() {
        let (left, right) = (x(moment), moments.get(index + 1).map_or(LEFT + PLOT, x));
        // The last one is the end: it has no time of its own.
        if right - left >= 0.01 {
            cells(&mut svg, moment, left, right - left);
        }
    }
    said(&mut svg, hints, residency.pages());
    for (top, height) in [(TOP, HEIGHT), (CURVE_TOP, CURVE)] {
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{PLOT}\" height=\"{height}\" fill=\"none\" stroke=\"{LINES}\"/>"
        );
    }
    curve(&mut svg, moments, last, budget);
    offsets(&mut svg, residency.pages());
    times(&mut svg, last);
    svg.push_str("</svg>\n");
    svg
}

/// A moment, from here to the next. Neighbours of a colour are one bar.
fn cells(svg: &mut String, moment: &Moment, left: f64, width: f64) {
    let bands = moment.bands.len();
    let y = |band: usize| TOP + HEIGHT * band as f64 / bands as f64;
    // A little into the next one, which is drawn over it: no light between the two.
    let lap = 0.6_f64.min(LEFT + PLOT - left - width);
    let mut bars = |colour_of: &dyn Fn(usize) -> Option<&'static str>, width: f64| {
        let mut from = 0;
        while from < bands {
            let colour = colour_of(from);
            let to = (from + 1..bands).find(|&band| colour_of(band) != colour).unwrap_or(bands);
            if let Some(colour) = colour {
                let (top, height) = (y(from), y(to) - y(from));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left:.2}\" y=\"{top:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{colour}\"/>"
                );
            }
            from = to;
        }
    };
    bars(&|band| shade(moment.bands[band]), width + lap);
    bars(&|band| moment.dirty[band].then_some(DIRTY), width / 2.0);
}

/// What the colours mean.
fn legend(svg: &mut String, is_dirty: bool) {
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"50\">Time goes to the right, the file from top to bottom. Coloured is what is in memory; \
         the curve is all of it.</text>"
    );
    let mut x = LEFT;
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"73\">little of a band</text>");
    x += 92.0;
    for (_, colour) in SHADES {
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"62\" width=\"22\" height=\"14\" fill=\"{colour}\"/>");
        x += 22.0;
    }
    let _ = writeln!(svg, "<text x=\"{}\" y=\"73\">all of it</text>", x + 8.0);
    if is_dirty {
        x += 90.0;
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"62\" width=\"14\" height=\"14\" fill=\"{DIRTY}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"73\">something is dirty</text>", x + 20.0);
    }
}

/// Marks beside the parts that something was said of, and what it was, once each where there is room.
fn said(svg: &mut String, hints: &Hints, pages: u64) {
    let y = |page: u64| TOP + HEIGHT * page as f64 / pages as f64;
    let mut lowest_label = 0.0;
    let mut runs: Vec<_> =
        Said::ALL.into_iter().flat_map(|said| hints.runs(said).map(move |run| (run, said))).collect();
    runs.sort_by_key(|(run, _)| run.start);
    for (run, said) in runs {
        let Some(colour) = mark(said) else { continue };
        let (top, bottom) = (y(run.start), y(run.end));
        let height = (bottom - top).max(1.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{MARK}\" y=\"{top:.2}\" width=\"{MARK_WIDTH}\" height=\"{height:.2}\" fill=\"{colour}\"/>"
        );
        for edge in [top, bottom] {
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{edge:.2}\" y2=\"{edge:.2}\" stroke=\"{colour}\" \
                 stroke-dasharray=\"6 4\"/>",
                MARK + MARK_WIDTH
            );
        }
        let label = (top + bottom) / 2.0 + 4.0;
        if label - lowest_label >= 14.0 {
            let (x, name) = (MARK + MARK_WIDTH + 6.0, said.name());
            let _ =
                writeln!(svg, "<text x=\"{x}\" y=\"{label:.1}\" fill=\"{colour}\" font-weight=\"600\">{name}</text>");
            lowest_label = label;
        }
    }
}

/// How much is in memory, and how much may be.
fn curve(svg: &mut String, moments: &[Moment], last: f64, budget: Option<u64>) {
    let most = moments.iter().map(|moment| moment.committed_bytes).chain(budget).max().unwrap_or(0).max(1);
    // Some air above the highest.
    let y = |bytes: u64| BOTTOM - CURVE * 0.86 * bytes as f64 / most as f64;
    let mut points = format!("{LEFT},{BOTTOM}");
    let mut at = 0;
    for moment in moments {
        let x = LEFT + PLOT * moment.at.as_secs_f64() / last;
        let _ = write!(points, " {x:.2},{:.2} {x:.2},{:.2}", y(at), y(moment.committed_bytes));
        at = moment.committed_bytes;
    }
    let end = LEFT + PLOT;
    let _ = writeln!(
        svg,
        "<polygon points=\"{points} {end},{:.2} {end},{BOTTOM}\" fill=\"{}\" fill-opacity=\"0.55\"/>",
        y(at),
        SHADES[3].1
    );
    let label = end + 10.0;
    for (text, y) in [(size(at), BOTTOM - 18.0), ("in memory".to_owned(), BOTTOM - 4.0)] {
        let _ = writeln!(svg, "<text x=\"{label}\" y=\"{y:.1}\">{text}</text>");
    }
    if let Some(budget) = budget {
        let top = y(budget);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{top:.2}\" y2=\"{top:.2}\" stroke=\"{BUDGET}\" stroke-width=\"1.5\"/>"
        );
        let may = format!("{} may be", size(budget));
        let _ = writeln!(svg, "<text x=\"{label}\" y=\"{:.1}\" fill=\"{BUDGET}\">{may}</text>", top + 4.0);
    }
}

/// Times below the curve.
fn times(svg: &mut String, last: f64) {
    const PARTS: u32 = 5;
    for part in 0..=PARTS {
        let time = last * f64::from(part) / f64::from(PARTS);
        let x = LEFT + PLOT * f64::from(part) / f64::from(PARTS);
        let anchor = match part {
            0 => "start",
            PARTS => "end",
            _ => "middle",
        };
        let label = if last < 2.0 { format!("{:.0} ms", time * 1000.0) } else { format!("{time:.1} s") };
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>", BOTTOM + 18.0);
    }
}

/// Offsets at the left of the map.
fn offsets(svg: &mut String, pages: u64) {
    let parts = pages.min(4);
    for part in 0..=parts {
        let page = (u128::from(pages) * u128::from(part) / u128::from(parts)) as u64;
        let y = TOP + HEIGHT * part as f64 / parts as f64;
        let offset = size(page * PAGE_SIZE);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{offset}</text>", LEFT - 10.0, y + 4.0);
    }
    let what = if pages <= BANDS {
        "One band is a page.".to_owned()
    } else {
        format!("One band is about {}.", size(pages / BANDS * PAGE_SIZE))
    };
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">{what}</text>", TOP + HEIGHT + 19.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_at_all_has_a_shade() {
        assert_eq!(shade(0), None);
        assert_eq!([1, 36, 37, 254, 255].map(shade), [0, 0, 1, 6, 7].map(|index: usize| Some(SHADES[index].1)));
    }
}
