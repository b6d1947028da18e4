//! `zxvm tour` as a user runs it: what it prints, what it exits with, and that looking at memory changes none of it.

mod common;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use common::*;
use serde_json::Value;

/// Every step, in order. Numbers that depend on the file are left out.
const STEPS: [&str; 34] = [
    "zx_vmo_create",
    "zx_vmo_write",
    "zx_vmar_map, read and write",
    "MAP_RANGE all",
    "store a byte behind the file",
    "COMMIT all",
    "zx_vmar_map again",
    "ALWAYS_NEED half of it",
    "PREFETCH all",
    "DONT_NEED all",
    "zx_vmar_protect 1st, read-only",
    "DECOMMIT",
    "ZX_VMO_OP_DECOMMIT 4 pages",
    "ZERO 4 pages",
    "MAP_RANGE all",
    "zx_vmar_protect 1st, writable",
    "COMMIT 1 byte",
    "load a byte of an absent page",
    "zx_vmar_unmap both",
    "zx_handle_close",
    "DECOMMIT over a gap",
    "DECOMMIT over a read-only VMO",
    "COMMIT over a sub-VMAR",
    "zx_vmo_set_size to half",
    "COMMIT past the end",
    "MAP_RANGE past the end",
    "DECOMMIT without WRITE",
    "DECOMMIT on a VMO handle",
    "operation 4, which is none",
    "DECOMMIT with a buffer",
    "DECOMMIT 0 bytes",
    "DECOMMIT an unaligned address",
    "DECOMMIT outside the VMAR",
    "DECOMMIT in a dead VMAR",
];

/// Steps 1 to 20 follow each other with nothing but looking between them; after that scenes are set up and struck.
const UNDISTURBED: usize = 20;

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Runs the tour over these bytes and checks all that holds for any file.
fn tour_json(bytes: &[u8]) -> Value {
    let file = file_of(bytes);
    let output = zxvm(&["tour", "--json", file.path().to_str().unwrap()]);
    expect_code(&output, 0);
    let report = json(&output);
    assert_eq!(number(&report["file_bytes"]), bytes.len() as u64);
    assert_eq!(number(&report["total"]), STEPS.len() as u64);
    assert_eq!(report["as_documented"], report["total"]);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), STEPS.len());
    for (row, step) in rows.iter().zip(STEPS) {
        let call = row["call"].as_str().unwrap();
        assert!(call.starts_with(step), "{call} stands where {step} should");
        assert_eq!(row["as_documented"], true, "{row:#}");
        assert_eq!(row["status"], row["documented_status"]);
        assert_eq!(row["differences"], Value::Array(vec![]));
        assert!(row["time_us"].as_f64().unwrap() > 0.0);
    }
    report
}

#[test]
fn a_file_of_some_pages_is_as_documented() {
    let report = tour_json(&[7; 3 * 4096 + 1]);
    if report["counts_judged"] == false {
        return;
    }
    // 4 pages of file and 16 behind it.
    let after = |step: usize, what: &str| number(&report["rows"][step - 1]["after"][what]);
    assert_eq!(after(1, "committed_linux_bytes"), 0);
    assert_eq!(after(2, "committed_linux_bytes"), 4 * 4096);
    assert_eq!(after(3, "page_table_entries"), 0);
    assert_eq!(after(4, "page_table_entries"), 4, "MAP_RANGE enters what is committed");
    assert_eq!(after(4, "committed_linux_bytes"), 4 * 4096, "and nothing else");
    assert_eq!(after(6, "page_table_entries"), 20);
    assert_eq!(after(6, "committed_zx_bytes"), 20 * 4096);
    assert_eq!(after(9, "page_table_entries"), 40, "both mappings");
    assert_eq!(after(12, "page_table_entries"), 20, "DECOMMIT takes the entries of both");
    assert_eq!(after(12, "committed_linux_bytes"), 10 * 4096);
    assert_eq!(after(20, "committed_linux_bytes"), 0);
    assert_eq!(after(20, "range_resident_bytes"), 0);
}

/// Contents are checked after every step, through mappings too. Were a page faulted in by that, the next step would
/// begin with other numbers than this one ended with.
#[test]
fn looking_changes_nothing() {
    let report = tour_json(&[1; 70_000]);
    let rows = report["rows"].as_array().unwrap();
    for pair in rows[..UNDISTURBED].windows(2) {
        assert_eq!(pair[0]["after"], pair[1]["before"], "between {} and {}", pair[0]["call"], pair[1]["call"]);
    }
}

#[test]
fn a_file_of_one_byte_and_one_of_none_will_do() {
    tour_json(b"x");
    let report = tour_json(b"");
    assert_eq!(report["rows"][0]["call"], "zx_vmo_create, 16 pages");
}

#[test]
fn without_a_file_it_takes_itself() {
    let output = zxvm(&["tour"]);
    expect_code(&output, 0);
    let text = text(&output);
    assert!(text.starts_with(&format!(" {ZXVM}: ")), "{text}");
    // The wider the numbers are, the sooner what stands beside them is broken into lines: only the first word is certain.
    let rows: Vec<_> = text.lines().filter(|line| line.ends_with('✓')).collect();
    for (step, row) in STEPS.iter().zip(&rows) {
        let (word, shown) = (step.split(' ').next(), row.split_whitespace().nth(1));
        assert!(shown.unwrap().starts_with(word.unwrap()), "{step} is missing in {text}");
    }
    assert_eq!(rows.len(), STEPS.len());
    assert_eq!(text.matches('✓').count(), STEPS.len() + 1, "one a step, and one in the legend");
    assert!(!text.contains('✗'));
    assert_eq!(text.lines().last(), Some(" 34 of 34 as documented"));
    assert_eq!(complaint(&output), "");
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let file = file_of(b"content");
    let path = file.path().to_str().unwrap();
    assert!(!text(&zxvm(&["tour", path])).contains('\x1b'));
    let forced = Command::new(ZXVM).args(["tour", path]).env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").output();
    assert!(text(&forced.unwrap()).contains('\x1b'));
}

#[test]
fn lines_fit_a_terminal_of_110_columns() {
    let file = file_of(&[3; 100_000]);
    let output = zxvm(&["tour", file.path().to_str().unwrap()]);
    for line in text(&output).lines().skip(1) {
        assert!(line.chars().count() <= 110, "{line}");
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn what_cannot_be_toured_is_named() {
    for (path, why) in [("/nonexistent/file", "No such file or directory"), ("/", "not a regular file")] {
        let output = zxvm(&["tour", path]);
        expect_code(&output, 2);
        assert_eq!(text(&output), "");
        let complaint = complaint(&output);
        assert!(complaint.starts_with(&format!("zxvm: {path}: ")) && complaint.contains(why), "{complaint}");
    }
    expect_code(&zxvm(&["tour", "--colour"]), 2);
}

#[test]
fn few_descriptors_are_enough() {
    let output = zxvm_with_limit("-n 64", &["tour"]);
    expect_code(&output, 0);
}

/// Making a store under a file size limit would end the process by a signal.
#[test]
fn a_file_size_limit_is_a_message_not_a_signal() {
    let output = zxvm_with_limit("-f 1000", &["tour"]);
    expect_code(&output, 1);
    assert!(complaint(&output).contains("RLIMIT_FSIZE"), "{}", complaint(&output));
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let mut child = Command::new(ZXVM).arg("tour").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));
}
