//! `zxvm tour`: a real file in a VMO, every operation of `zx_vmar_op_range` on it, and what Linux shows of each.
//!
//! The steps are in `steps` and `refusals`, the comparison with the documentation in `verdict`.

mod refusals;
mod report;
mod stage;
mod steps;
mod verdict;

use std::path::Path;

use zxvm_syscall::Kernel;

use crate::failure::{Failure, refuse_file_limit};
use crate::progress::Progress;
use crate::{file, output, witness};
use report::Report;
use stage::Stage;

/// How many steps there are.
const STEPS: u64 = 34;

/// Runs the tour over `file`, or over this program itself, and prints it. Whether all was as documented.
///
/// # Errors
/// [`Failure`]: there is no report, or it could not be printed.
pub fn run(file: Option<&Path>, json: bool) -> Result<bool, Failure> {
    let path = file::named_or_self(file)?;
    // As it is, and in the VMO; and room for the rest of the machine.
    let content = file::load(&path, witness::available_bytes()? / 3)?;
    refuse_file_limit()?;
    let kernel = Kernel::current().map_err(|status| Failure::Setup { what: "the engine", status })?;
    let file_bytes = content.len() as u64;
    let cast = steps::Cast::new(content);
    let mut stage = Stage::new(kernel, cast.pages_needed() + refusals::PAGES, Progress::new(STEPS))?;
    let scenes = cast.pages_needed();
    steps::play(&mut stage, cast)?;
    refusals::play(&mut stage, scenes)?;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let counts = stage.counts();
    let report = Report::new(path.display().to_string(), file_bytes, release, counts, stage.finish());
    let printed = if json { output::print_json(&report) } else { output::print(&report.text()) };
    printed.map_err(Failure::Output)?;
    Ok(report.all_as_documented())
}
