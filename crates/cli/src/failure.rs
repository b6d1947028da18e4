//! Why a command has no report.

use std::io;
use std::path::PathBuf;

use rustix::process::{Resource, getrlimit};
use zxvm_types::Status;

use crate::table::size;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file that was named cannot be used.
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
    /// A store through a mapping does not come back.
    #[error("the writer has made no store for {0} seconds: one through the mapping does not come back")]
    Stuck(u64),
    /// An access to a page does not come back.
    #[error("no page has been touched for {0} seconds: an access through the mapping does not come back")]
    Untouched(u64),
    /// The environment does not say who deals with faults.
    #[error("the variable ZXVM_FAULTS is neither thread nor inline")]
    FaultsVariable,
    /// Nobody is named who is to be watched.
    #[error("a process or a socket is needed")]
    Nobody,
    /// A process that is to be watched is not there.
    #[error("there is no process {0}")]
    NoProcess(u32),
    /// A process that is to be watched is somebody else's.
    #[error("process {0} is another user's, who alone (besides root) may watch it")]
    OtherUser(u32),
    /// A process has no socket to be watched by.
    #[error(
        "process {pid} has no socket to be watched by (looked for {looked}): start it with ZXVM_TOP=1, or name the socket that it was told to have with --socket. Before a process has first used the library it has none, either"
    )]
    NoSocket {
        /// Which.
        pid: u32,
        /// Where one was looked for.
        looked: String,
    },
    /// Nothing is told at a socket.
    #[error("{}: {why}", path.display())]
    Unwatched {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A live view is wanted where there is nothing to show it on.
    #[error("there is no terminal to show it on: try --once or --json")]
    NoTerminal,
    /// Standard output does not take the report.
    #[error("the report cannot be written: {0}")]
    Output(io::Error),
}

impl Failure {
    /// Whether the command was not given what it needs.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::File { .. }
            | Self::FaultsVariable
            | Self::Nobody
            | Self::NoProcess(_)
            | Self::OtherUser(_)
            | Self::NoSocket { .. }
            | Self::Unwatched { .. }
            | Self::NoTerminal => true,
            Self::Setup { .. }
            | Self::FileLimit(_)
            | Self::Proc(_)
            | Self::Stuck(_)
            | Self::Untouched(_)
            | Self::Output(_) => false,
        }
    }
}

/// Names what a preparation was for.
pub fn setup(what: &'static str, result: Result<(), Status>) -> Result<(), Failure> {
    result.map_err(|status| Failure::Setup { what, status })
}

/// Refuses where the first VMO with memory would end the process.
pub fn refuse_file_limit() -> Result<(), Failure> {
    match getrlimit(Resource::Fsize).current {
        Some(limit) => Err(Failure::FileLimit(limit)),
        None => Ok(()),
    }
}
