//! `zxvm top`: another process that uses the library, as it is from moment to moment.
//!
//! `socket` finds it and asks, `report` takes its answer apart, `once` prints it, `view` draws it, and `live` does so again and again.
//! What is asked changes nothing over there.

mod live;
mod once;
mod report;
mod socket;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use crate::failure::Failure;
use crate::output;
use socket::Target;

/// What the command was given.
pub struct Options {
    /// Which process; or
    pub pid: Option<u32>,
    /// which socket.
    pub socket: Option<PathBuf>,
    /// How often to ask.
    pub every: Duration,
    /// Whether to ask once only, for tables.
    pub once: bool,
    /// Whether to ask once only, for what is told as it is.
    pub json: bool,
}

/// Watches. Always well if it ends without an error.
///
/// # Errors
/// [`Failure`]: nobody is there, or nothing (more) is told.
pub fn run(options: &Options) -> Result<bool, Failure> {
    let target = match (&options.socket, options.pid) {
        (Some(path), _) => Target::socket(path.clone()),
        (None, Some(pid)) => Target::process(pid)?,
        (None, None) => return Err(Failure::Nobody),
    };
    if options.json {
        output::print(&report::raw(&target.ask()?.text)).map_err(Failure::Output)?;
    } else if options.once {
        output::print(&target.ask()?.report.text()).map_err(Failure::Output)?;
    } else {
        live::run(&target, options.every)?;
    }
    Ok(true)
}

/// A time such as `2s`, `500ms` or `1m`: from 100 ms to an hour.
///
/// # Errors
/// It is none.
pub fn every(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        _ => return Err("units are ms, s and m".to_owned()),
    };
    let ms = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let ms = ms.filter(|ms| (100..=3_600_000).contains(ms));
    ms.map(Duration::from_millis).ok_or_else(|| "a whole number, in all from 100ms to 60m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let read = ["1s", "2", "500ms", "60m"].map(|text| every(text).unwrap().as_millis());
        assert_eq!(read, [1000, 2000, 500, 3_600_000]);
        for wrong in ["", "s", "0s", "99ms", "61m", "1h", "1.5s", "99999999999999999999s"] {
            assert!(every(wrong).is_err(), "{wrong}");
        }
    }
}
