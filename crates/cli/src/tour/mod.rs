//! `zxvm tour`: a real file in a VMO, every operation of `zx_vmar_op_range` on it, and what Linux shows of each.
//!
//! The steps are in `steps` and `refusals`, the comparison with the documentation in `verdict`.

mod refusals;
mod report;
mod stage;
mod steps;
mod verdict;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use zxvm_syscall::Kernel;
use zxvm_types::Status;

use crate::progress::Progress;
use crate::table::size;
use crate::{output, witness};
use report::Report;
use stage::Stage;

/// How many steps there are.
const STEPS: u64 = 34;

/// Why there is no tour.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// The file cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The engine cannot start, or a scene cannot be set up.
    #[error("{what} cannot be had: {status} (zxvm doctor may know why)")]
    Setup {
        /// What was wanted.
        what: &'static str,
        /// How that ended.
        status: Status,
    },
    /// Stores cannot be made, and trying would end the process.
    #[error("files may not be larger than {} here (RLIMIT_FSIZE), and VMOs live in sparse files of 8 EiB; try `ulimit -f unlimited`", size(*.0))]
    FileLimit(u64),
    /// Linux does not tell.
    #[error("/proc cannot be read: {0}")]
    Proc(#[from] io::Error),
    /// Standard output does not take the report.
    #[error("the report cannot be written: {0}")]
    Output(io::Error),
}

/// Names what a preparation was for.
fn setup(what: &'static str, result: Result<(), Status>) -> Result<(), TourError> {
    result.map_err(|status| TourError::Setup { what, status })
}

/// Runs the tour over `file`, or over this program itself, and prints it. Whether all was as documented.
///
/// # Errors
/// [`TourError`]: there is no report, or it could not be printed.
pub fn run(file: Option<&Path>, json: bool) -> Result<bool, TourError> {
    let path = match file {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?,
    };
    let content = load(&path)?;
    if let Some(limit) = getrlimit(Resource::Fsize).current {
        return Err(TourError::FileLimit(limit));
    }
    let kernel = Kernel::current().map_err(|status| TourError::Setup { what: "the engine", status })?;
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
    printed.map_err(TourError::Output)?;
    Ok(report.all_as_documented())
}

/// The bytes of a regular file that fits in memory twice: as it is, and in the VMO.
fn load(path: &Path) -> Result<Vec<u8>, TourError> {
    let failed = |why: String| TourError::File { path: path.to_owned(), why };
    let told = |error: io::Error| failed(error.to_string());
    let file = File::open(path).map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    if !metadata.is_file() {
        return Err(failed("not a regular file".to_owned()));
    }
    let max = witness::available_bytes()? / 3;
    let too_large = || failed(format!("too large: the tour needs it in memory twice, and takes at most {}", size(max)));
    if metadata.len() > max {
        return Err(too_large());
    }
    // Files of /proc say that they are empty and are not.
    let mut content = Vec::with_capacity(metadata.len() as usize);
    file.take(max + 1).read_to_end(&mut content).map_err(told)?;
    if content.len() as u64 > max { Err(too_large()) } else { Ok(content) }
}
