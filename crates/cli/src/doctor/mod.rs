//! `zxvm doctor`: what this machine allows, one finding a row, and what follows from it.
//!
//! 1. What can be tried is tried; settings are read only where trying would tell nothing.
//! 2. Only a finding that [blocks](Finding::blocks) the engine makes the exit status 1.
//! 3. Nothing is tried that would end the process: memory files are not made under a file size limit, bad addresses are
//!    not touched while `SIGSEGV` is blocked, nor an access made that waits while `SIGBUS` is.

mod engine;
mod faults;
mod kernel;
mod limits;
mod pressure;

use std::fs;
use std::io;

use serde::Serialize;

use crate::output;
use crate::procfs::signal_set;
use crate::table::{Column, Grid, Tone};

/// How something is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// Less than there could be.
    Limited,
    /// Not there.
    Missing,
}

/// One row.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it is about.
    subject: &'static str,
    /// How it is.
    state: State,
    /// What was found.
    found: String,
    /// What follows for the user.
    follows: String,
    /// Whether the engine cannot run here because of it.
    blocks_engine: bool,
}

impl Finding {
    fn new(subject: &'static str, state: State, found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self { subject, state, found: found.into(), follows: follows.into(), blocks_engine: false }
    }

    /// If it is missing, the engine cannot run.
    fn blocks(mut self) -> Self {
        self.blocks_engine = self.state == State::Missing;
        self
    }
}

/// What belongs together.
#[derive(Debug, Serialize)]
struct Group {
    title: &'static str,
    findings: Vec<Finding>,
}

/// What follows from all findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Nothing is amiss.
    Runs,
    /// The engine runs; something is less than it could be.
    RunsWithLimits,
    /// The engine cannot run.
    CannotRun,
}

#[derive(Debug, Serialize)]
struct Report {
    kernel: String,
    groups: Vec<Group>,
    verdict: Verdict,
}

/// Looks at the machine and prints what was found. Whether the engine can run here.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(json: bool) -> io::Result<bool> {
    let store = kernel::Store::try_one();
    let has_stores = store.can_be_had();
    let faults = faults::Faults::try_all();
    let groups = vec![
        Group { title: "Kernel", findings: kernel::findings(store) },
        Group { title: "Limits", findings: limits::findings() },
        Group { title: "Engine", findings: engine::findings(has_stores) },
        Group { title: "Page faults, for snapshots of mapped VMOs", findings: faults.for_snapshots() },
        Group { title: "Page faults, for pagers", findings: faults.for_pagers() },
        Group { title: "Memory pressure", findings: pressure::findings() },
    ];
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let report = Report { kernel: release, verdict: verdict(&groups), groups };
    if json {
        output::print_json(&report)?
    } else {
        output::print(&report.text())?
    }
    Ok(report.verdict != Verdict::CannotRun)
}

fn verdict(groups: &[Group]) -> Verdict {
    let findings = || groups.iter().flat_map(|group| &group.findings);
    if findings().any(|finding| finding.blocks_engine) {
        Verdict::CannotRun
    } else if findings().any(|finding| finding.state != State::Ok) {
        Verdict::RunsWithLimits
    } else {
        Verdict::Runs
    }
}

impl Report {
    fn text(&self) -> String {
        let mut grid = Grid::new(&[
            ("", Column::Word),
            ("What", Column::Word),
            ("Found", Column::Text),
            ("What follows", Column::Text),
        ]);
        for group in &self.groups {
            grid.heading(group.title);
            for finding in &group.findings {
                let (mark, tone) = match finding.state {
                    State::Ok => ("✓", Tone::Good),
                    State::Limited => ("!", Tone::Warn),
                    State::Missing => ("✗", Tone::Bad),
                };
                let follows = if finding.state == State::Ok { Tone::Dim } else { Tone::Plain };
                let cells = [(mark, tone), (finding.subject, Tone::Plain), (&finding.found, Tone::Plain)];
                grid.row(cells.into_iter().chain([(finding.follows.as_str(), follows)]));
            }
        }
        let findings = || self.groups.iter().flat_map(|group| &group.findings);
        let limits = findings().filter(|finding| finding.state != State::Ok).count();
        let (tone, last) = match self.verdict {
            Verdict::Runs => (Tone::Good, "The engine runs here, with everything it can use.".to_owned()),
            Verdict::RunsWithLimits => {
                (Tone::Good, format!("The engine runs here. Less than there could be: {limits}."))
            }
            Verdict::CannotRun => {
                let blocking: Vec<_> = findings().filter(|f| f.blocks_engine).map(|f| f.subject).collect();
                (Tone::Bad, format!("The engine cannot run here: {}.", blocking.join(", ")))
            }
        };
        let (head, style) = (Tone::Heading.style(), tone.style());
        format!(" {head}Linux {}{head:#}\n\n{}\n {style}{last}{style:#}\n", self.kernel, grid.text())
    }
}

/// A set of signals has number n as bit n - 1.
const SIGBUS: u64 = 1 << (7 - 1);
const SIGSEGV: u64 = 1 << (11 - 1);

/// Whether one of the signals is in a set of this process, as `/proc` names it.
fn signal_is_set(set: &str, signals: u64) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    signal_set(&status, set).is_some_and(|set| set & signals != 0)
}

/// The first line of a file of settings.
fn setting(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A number from a file of settings.
fn number(path: &str) -> Option<u64> {
    setting(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        let groups = vec![Group { title: "Things", findings }];
        Report { kernel: "6.1.0".to_owned(), verdict: verdict(&groups), groups }
    }

    #[test]
    fn only_what_blocks_the_engine_is_fatal() {
        let fine = || Finding::new("this", State::Ok, "there", "nothing").blocks();
        let less = || Finding::new("that", State::Missing, "absent", "something");
        let fatal = || Finding::new("memory files", State::Missing, "EPERM", "no VMOs").blocks();
        assert_eq!(report(vec![fine()]).verdict, Verdict::Runs);
        assert_eq!(report(vec![fine(), less()]).verdict, Verdict::RunsWithLimits);
        assert_eq!(report(vec![fatal(), less()]).verdict, Verdict::CannotRun);
        assert!(report(vec![fatal(), less()]).text().contains("cannot run here: memory files."));
        assert!(report(vec![fine(), less()]).text().contains("Less than there could be: 1."));
    }
}
