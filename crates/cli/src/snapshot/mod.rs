//! `zxvm snapshot`: a real file in a VMO, a thread that keeps storing to it, and snapshots that hold one moment each.
//!
//! What happens is in `play`. What the writer stores (`stores`, `writer`) is known beforehand, so the content at every
//! moment can be made again (`shadow`), and from it follows who shares which pages (`family`). What the engine and Linux
//! say is compared with that (`account`), and told (`report`, `svg`).

mod account;
mod family;
mod play;
mod report;
mod shadow;
mod stores;
mod svg;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use zxvm_host::PAGE_SIZE;
use zxvm_syscall::Kernel;

use crate::drawing::Drawing;
use crate::failure::{Failure, refuse_file_limit};
use crate::progress::Progress;
use crate::table::counted;
use crate::witness::huge_shared_pages;
use crate::{file, output, witness};
use play::Play;
use report::Report;

/// What the command was given.
pub struct Options {
    /// The file; this program itself if there is none.
    pub file: Option<PathBuf>,
    /// How many snapshots, at least one.
    pub snapshots: usize,
    /// From one to the next.
    pub interval: Duration,
    /// Where to draw.
    pub svg: Option<PathBuf>,
    /// Whether one JSON document is wanted.
    pub json: bool,
}

/// Takes the snapshots and prints what was found. Whether all was as documented.
///
/// # Errors
/// [`Failure`]: there is no report, or it could not be printed.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let path = file::named_or_self(options.file.as_deref())?;
    // As it is, as it should be, what each snapshot makes the writer copy, and room for the rest of the machine.
    let parts = 3 + options.snapshots as u64 / 4;
    let content = file::load(&path, witness::available_bytes()? / parts)?;
    if content.is_empty() {
        return Err(Failure::File { path, why: "empty: there is nothing to take a snapshot of".to_owned() });
    }
    let drawing = options.svg.as_deref().map(Drawing::create).transpose()?;
    refuse_file_limit()?;
    let kernel = Kernel::current().map_err(|status| Failure::Setup { what: "the engine", status })?;
    let file_bytes = content.len() as u64;
    let counts_judged = huge_shared_pages().is_none();

    let mut play = Play::new(kernel, content, counts_judged, Progress::new(Play::steps(options.snapshots)))?;
    play.take(options.snapshots, options.interval)?;
    play.account()?;
    if let Some(drawing) = drawing {
        let pages = counted(file_bytes.div_ceil(PAGE_SIZE), "page");
        drawing.finish(play.drawing(&format!("{}: {pages}, {}", path.display(), snapshots(options.snapshots))))?;
    }
    play.close()?;
    let seen = play.finish()?;

    let report = Report {
        file: path.display().to_string(),
        file_bytes,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        page_bytes: PAGE_SIZE,
        pages: file_bytes.div_ceil(PAGE_SIZE),
        counts_judged,
        snapshots: seen.rows,
        whole: seen.whole,
        writer_gap_between_us: play::micros(seen.gap_between),
        areas_before: seen.areas_before,
        areas_after: seen.areas_after,
        closing_order: seen.closing_order,
        comparisons: seen.comparisons,
        as_documented: seen.differences.is_empty(),
        differences: seen.differences,
    };
    let printed = if options.json { output::print_json(&report) } else { output::print(&report.text()) };
    printed.map_err(Failure::Output)?;
    Ok(report.as_documented)
}

fn snapshots(count: usize) -> String {
    counted(count as u64, "snapshot")
}
