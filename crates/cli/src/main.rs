//! The command `zxvm`: a tour of what each operation does to Linux's own memory, and a report on what this machine allows.
//!
//! Exit status: 0 if all is well, 1 if something is not as documented or the engine cannot run, 2 if the command was
//! not given what it needs.
#![forbid(unsafe_code)]

mod cgroup;
mod doctor;
mod failure;
mod file;
mod output;
mod procfs;
mod progress;
mod table;
mod tour;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use failure::Failure;

/// Zircon's virtual memory on Linux: see it work, and see what it needs.
#[derive(Parser)]
#[command(name = "zxvm", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Map a file and do every operation of zx_vmar_op_range to it, next to what Linux shows
    ///
    /// The file is loaded into a VMO and mapped through zx_ calls. Before and after each call, the page table, the
    /// committed memory and the resident memory are read from Linux, and compared with what the documentation of the
    /// call says. Calls that must fail are made as well. Exit status 1 if anything is not as documented.
    Tour {
        /// The file; this program itself if none is named
        file: Option<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Tell which kernel features, privileges and limits there are, and what follows
    ///
    /// Exit status 1 if the engine cannot run here at all.
    Doctor {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Tour { file, json } => tour::run(file.as_deref(), json),
        Command::Doctor { json } => doctor::run(json).map_err(Failure::Output),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(failure) => {
            anstream::eprintln!("{bad}zxvm:{bad:#} {failure}", bad = table::Tone::Bad.style());
            ExitCode::from(if failure.is_usage() { USAGE } else { FAILED })
        }
    }
}
