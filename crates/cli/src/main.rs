//! The command `zxvm`: a tour of what each operation does to Linux's own memory, snapshots taken while a thread stores, files
//! mapped through a pager, another process watched, and a report on what this machine allows.
//!
//! Exit status: 0 if all is well, 1 if something is not as documented or the engine cannot run, 2 if the command was
//! not given what it needs.
#![forbid(unsafe_code)]

mod cgroup;
mod doctor;
mod drawing;
mod failure;
mod file;
mod mix;
mod output;
mod page;
mod procfs;
mod progress;
mod snapshot;
mod table;
mod top;
mod tour;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

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
    /// Take snapshots of a file in memory while a thread keeps storing to it, and show what that costs
    ///
    /// The file is loaded into a VMO and mapped. Each snapshot must hold the file and exactly the first so many stores,
    /// at the call, at the end, and after others are closed. Told are the waits of the caller and of the writer, the
    /// pages copied and the memory, by the engine and by Linux. Exit status 1 if anything is not as documented.
    Snapshot {
        /// The file; this program itself if none is named
        file: Option<PathBuf>,
        /// How many snapshots
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
        snapshots: u16,
        /// Milliseconds from one to the next
        #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=60_000))]
        interval: u32,
        /// Draw who shares which pages with whom
        #[arg(long, value_name = "OUT.svg")]
        svg: Option<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Map a file through a pager of this process, touch its pages, and compare every byte with read(2)
    ///
    /// Told are the faults, how long accesses took that faulted, and what the pager supplied, by the engine and by Linux.
    /// Without --write the file is never changed. Exit status 1 if a byte is not as read(2) says, or a record is not
    /// where it was acknowledged.
    Page {
        /// The file
        file: PathBuf,
        /// Store a record to every page that is touched, in place of WHAT IS IN THE FILE
        ///
        /// Records are written back in batches, through a journal beside the file (FILE.zxvm-journal), and acknowledged in
        /// FILE.zxvm. However a run is ended, the next one finishes what it had begun and looks for all that was acknowledged.
        /// Loss of power is covered as far as the system's fsync is honest.
        #[arg(long)]
        write: bool,
        /// Append a line for each record that is safe: its number and its page
        #[arg(long, value_name = "OUT", requires = "write")]
        ack: Option<PathBuf>,
        /// In which order pages are touched
        #[arg(long, value_enum, default_value_t = page::Pattern::Seq)]
        pattern: page::Pattern,
        /// How many pages are touched; as many as the file has if it is not said
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
        touches: Option<u64>,
        /// How many threads touch them
        #[arg(long, value_name = "T", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
        threads: u16,
        /// Who deals with faults; as ZXVM_FAULTS says if it is not said, or else a thread of the library
        #[arg(long, value_enum)]
        faults: Option<page::Faults>,
        /// By which way the pager gets at the file; if io_uring or O_DIRECT is not to be had, it is said
        #[arg(long, value_enum, default_value_t = page::Way::File)]
        backing: page::Way,
        /// How much of the file may be in memory, such as 64M or 1G; as ZXVM_BUDGET says if it is not said
        ///
        /// What is not needed goes first, what is always needed last, and what is dirty never: it is written back before.
        #[arg(long, value_name = "SIZE", value_parser = page::budget)]
        budget: Option<u64>,
        /// A part that is always needed, such as 10%-20% or 16M-32M (ZX_VMAR_OP_ALWAYS_NEED); may be given again
        #[arg(long, value_name = "RANGE")]
        need: Vec<page::Part>,
        /// A part that is not needed (ZX_VMAR_OP_DONT_NEED, said again and again); may be given again
        #[arg(long, value_name = "RANGE")]
        dont_need: Vec<page::Part>,
        /// Draw what is in memory over time
        #[arg(long, value_name = "OUT.svg")]
        svg: Option<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Watch another process that uses the library: its VMOs, its VMARs, faults, evictions, memory pressure
    ///
    /// The process must have been asked to let itself be watched: started with ZXVM_TOP=1, or with ZXVM_TOP=/path/of/a/socket,
    /// or by a call of its own (zxvm_serve_top, zxvm::serve_top). Only its own user and root may watch, and nothing is changed
    /// by that. Exit status 2 if it cannot be watched.
    Top {
        /// The process
        #[arg(required_unless_present = "socket", value_parser = clap::value_parser!(u32).range(1..))]
        pid: Option<u32>,
        /// Its socket, in place of its number
        #[arg(long, value_name = "PATH", conflicts_with = "pid")]
        socket: Option<PathBuf>,
        /// How often to look, such as 1s or 500ms
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = top::every)]
        every: Duration,
        /// Look once and print tables
        #[arg(long)]
        once: bool,
        /// Look once and print the JSON document that the process tells
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
        Command::Snapshot { file, snapshots, interval, svg, json } => snapshot::run(&snapshot::Options {
            file,
            snapshots: snapshots.into(),
            interval: Duration::from_millis(interval.into()),
            svg,
            json,
        }),
        Command::Page {
            file,
            write,
            ack,
            pattern,
            touches,
            threads,
            faults,
            backing,
            budget,
            need,
            dont_need,
            svg,
            json,
        } => page::run(&page::Options {
            file,
            write,
            ack,
            pattern,
            touches,
            threads: threads.into(),
            faults,
            way: backing,
            budget,
            need,
            dont_need,
            svg,
            json,
        }),
        Command::Top { pid, socket, every, once, json } => top::run(&top::Options { pid, socket, every, once, json }),
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
