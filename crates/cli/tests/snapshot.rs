//! `zxvm snapshot` as a user runs it: what it prints and draws, what it exits with, and that its figures fit together.
//!
//! Where Linux gives no say in page faults, snapshots of mapped VMOs are refused; then that is what is checked, and
//! `zxvm doctor` must know it.

mod common;
mod faulting;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;

use common::*;
use faulting::{number, zxvm_with_faults};
use serde_json::Value;

const PAGE: u64 = 4096;

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

fn rows(report: &Value) -> &Vec<Value> {
    report["snapshots"].as_array().unwrap()
}

/// Runs the command on a file. Nothing where snapshots are refused for a reason that the doctor knows.
fn snapshot(file: &Path, arguments: &[&str]) -> Option<Output> {
    zxvm_with_faults(
        &[&["snapshot", file.to_str().unwrap()], arguments].concat(),
        "a snapshot of a mapped VMO cannot be had: NOT_SUPPORTED",
    )
}

/// Takes snapshots of these bytes and checks all that holds for any file.
fn snapshot_json(bytes: &[u8], count: u64, interval_ms: u64) -> Option<Value> {
    let file = file_of(bytes);
    let (count_text, interval) = (count.to_string(), interval_ms.to_string());
    let output = snapshot(file.path(), &["--json", "--snapshots", &count_text, "--interval", &interval])?;
    expect_code(&output, 0);
    let report = json(&output);
    assert_eq!(report["as_documented"], true);
    assert_eq!(report["differences"], Value::Array(vec![]));
    assert_eq!(number(&report["file_bytes"]), bytes.len() as u64);
    let pages = (bytes.len() as u64).div_ceil(PAGE);
    assert_eq!(number(&report["pages"]), pages);
    assert_eq!(rows(&report).len() as u64, count);
    moments_follow_each_other(&report, interval_ms);
    memory_adds_up(&report, pages);
    let order: BTreeSet<_> = report["closing_order"].as_array().unwrap().iter().map(number).collect();
    assert_eq!(order, (1..=count).collect(), "each is closed");
    // Each at the call and at the end; the VMO in two ways, twice.
    assert!(number(&report["comparisons"]) >= 2 * count + 4);
    Some(report)
}

/// Every snapshot holds a moment between asking and having, and only those of one moment are alike.
fn moments_follow_each_other(report: &Value, interval_ms: u64) {
    let mut stores = 0;
    let mut checksums = BTreeMap::new();
    let mut moments = BTreeSet::new();
    for (index, row) in rows(report).iter().enumerate() {
        assert_eq!(number(&row["number"]), index as u64 + 1);
        let (before, held, after) =
            (number(&row["stores_before"]), number(&row["stores"]), number(&row["stores_after"]));
        assert!(stores <= held && before <= held && held <= after + 1, "{row:#}");
        stores = held;
        let checksum = row["checksum"].as_str().unwrap();
        assert_eq!(checksums.insert(checksum, held).unwrap_or(held), held, "{row:#}");
        moments.insert(held);
        assert!(row["call_us"].as_f64().unwrap() > 0.0);
        assert!(row["writer_gap_us"].as_f64().unwrap() > 0.0);
        assert!(row["at_ms"].as_f64().unwrap() >= (interval_ms * (index as u64 + 1)) as f64);
    }
    assert_eq!(checksums.len(), moments.len());
    assert!(number(&report["whole"]["stores"]) >= stores, "the writer went on");
}

/// Shares, frames, what was copied, and what Linux holds.
fn memory_adds_up(report: &Value, pages: u64) {
    let whole = &report["whole"];
    let frames = number(&whole["frames"]);
    let members: Vec<_> = rows(report).iter().map(|row| &row["share"]).chain([&whole["vmo"]]).collect();
    let mut scaled = 0;
    for share in &members {
        assert_eq!(number(&share["committed_bytes"]), pages * PAGE, "every member shows every page");
        assert!(number(&share["private_bytes"]) <= number(&share["scaled_bytes"]));
        scaled += number(&share["scaled_bytes"]);
    }
    assert!(scaled.abs_diff(frames * PAGE) <= members.len() as u64, "{scaled} are not {frames} frames");
    assert_eq!(number(&whole["scaled_bytes"]), frames * PAGE);
    let copied: u64 = rows(report).iter().map(|row| number(&row["copied_pages"])).sum();
    let copied = copied + number(&whole["copied_pages"]);
    // Those copied between asking how many and the call are in nobody's figure.
    assert!(pages + copied <= frames && frames <= pages * members.len() as u64, "{copied} copied, {frames} frames");
    assert_eq!(number(&rows(report)[0]["copied_pages"]), 0, "nobody to copy for yet");
    assert_eq!(number(&whole["copies_bytes"]), pages * PAGE * members.len() as u64);
    if report["counts_judged"] == true {
        assert_eq!(number(&whole["linux_bytes"]), frames * PAGE);
    }
}

#[test]
fn a_file_of_some_hundred_pages_is_shared_but_for_what_is_stored_to() {
    let bytes: Vec<u8> = (0..800 * PAGE as usize + 123).map(|byte| (byte / 11) as u8).collect();
    let Some(report) = snapshot_json(&bytes, 6, 10) else { return };
    let whole = &report["whole"];
    // About an eighth of the pages is stored to in a round, and never more.
    assert!(number(&whole["linux_bytes"]) < number(&whole["copies_bytes"]) / 2, "{whole:#}");
    assert!(number(&whole["vmo"]["private_bytes"]) >= PAGE, "the writer went on after the last");
}

#[test]
fn a_page_and_less_will_do() {
    snapshot_json(b"x", 3, 1);
    snapshot_json(&[7; PAGE as usize], 3, 0);
    snapshot_json(&[0; 3 * PAGE as usize], 1, 0);
}

#[test]
fn many_snapshots_in_a_row_are_each_exact() {
    snapshot_json(&[1; 100 * PAGE as usize], 60, 0);
}

#[test]
fn without_a_file_it_takes_itself() {
    let output = zxvm(&["snapshot", "--snapshots", "2", "--interval", "0"]);
    if complaint(&output).contains("NOT_SUPPORTED") {
        return;
    }
    expect_code(&output, 0);
    let text = text(&output);
    assert!(text.starts_with(&format!(" {ZXVM}: ")), "{text}");
    assert_eq!(text.matches('✓').count(), 2 + 1, "one a snapshot, and one in the legend");
    assert!(text.lines().last().unwrap().starts_with(" 2 snapshots as documented, by "), "{text}");
    assert_eq!(complaint(&output), "");
}

#[test]
fn lines_fit_a_terminal_of_110_columns() {
    let file = file_of(&[3; 300_000]);
    let Some(output) = snapshot(file.path(), &["--snapshots", "50", "--interval", "0"]) else { return };
    expect_code(&output, 0);
    for line in text(&output).lines().skip(1) {
        assert!(line.chars().count() <= 110, "{line}");
        assert_eq!(line, line.trim_end());
    }
}

/// A bar of the drawing: where it is, and what it says.
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    says: String,
}

fn bars(svg: &roxmltree::Document<'_>) -> Vec<Bar> {
    let number = |node: roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse().unwrap();
    let said = |node: roxmltree::Node<'_, '_>| {
        let title = node.children().find(|child| child.has_tag_name((SVG, "title")))?;
        title.text().map(str::to_owned)
    };
    let rects = svg.descendants().filter(|node| node.has_tag_name((SVG, "rect")));
    let bar = |node| {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| number(node, name));
        Bar { x, y, width, height, says: said(node)? }.into()
    };
    rects.filter(|node| said(*node).is_some()).filter_map(bar).collect()
}

const SVG: &str = "http://www.w3.org/2000/svg";

#[test]
fn the_drawing_is_a_document_that_covers_every_page_of_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a <file> & more");
    fs::write(&file, [9; 500 * PAGE as usize]).unwrap();
    let drawing = folder.path().join("out.svg");
    let arguments = ["--snapshots", "4", "--interval", "5", "--svg", drawing.to_str().unwrap()];
    let Some(output) = snapshot(&file, &arguments) else { return };
    expect_code(&output, 0);
    let text = fs::read_to_string(&drawing).unwrap();
    let svg = roxmltree::Document::parse(&text).unwrap();
    assert!(svg.root_element().has_tag_name((SVG, "svg")));
    assert!(!text.contains("href") && !text.contains("url(h"), "complete in itself");
    let texts: Vec<_> =
        svg.descendants().filter(|node| node.has_tag_name((SVG, "text"))).filter_map(|node| node.text()).collect();
    let title = format!("{}: 500 pages, 4 snapshots", file.display());
    assert_eq!(texts[0], title);
    for label in ["one has it alone", "two share it", "three or four", "five or more", "the VMO", "0 B", "2,000 KiB"] {
        assert!(texts.contains(&label), "{label} is missing in {texts:?}");
    }
    assert_eq!(texts.iter().filter(|text| text.starts_with('#')).count(), 4);
    let numbers = texts.iter().filter(|text| text.strip_suffix(" alone").is_some_and(|n| n.parse::<u64>().is_ok()));
    assert_eq!(numbers.count(), 4 + 1, "each row has its number");

    let bars = bars(&svg);
    assert!(bars.iter().any(|bar| bar.says.starts_with("the VMO: ")), "the writer went on after the last");
    assert!(bars.iter().any(|bar| bar.says.contains(" to the VMO: ")), "most pages are shared by all");
    let (left, right) = (130.0, 1050.0);
    let row_tops: BTreeSet<_> = bars.iter().map(|bar| bar.y as u64).collect();
    for top in row_tops {
        let middle = top as f64 + 1.0;
        let here = bars.iter().filter(|bar| bar.y <= middle && middle < bar.y + bar.height);
        let mut spans: Vec<_> = here.map(|bar| (bar.x, bar.x + bar.width)).collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut end: f64 = left;
        for span in spans {
            assert!((span.0 - end).abs() < 0.1, "a hole or an overlap at {end} in the row at {top}");
            end = span.1;
        }
        assert!((end - right).abs() < 0.1, "the row at {top} ends at {end}");
    }
}

#[test]
fn what_there_cannot_be_snapshots_of_is_named() {
    let empty = file_of(b"");
    let empty = empty.path().to_str().unwrap();
    let cases = [
        (vec!["snapshot", "/nonexistent/file"], "zxvm: /nonexistent/file: No such file or directory"),
        (vec!["snapshot", "/"], "zxvm: /: not a regular file"),
        (vec!["snapshot", empty], "empty: there is nothing to take a snapshot of"),
        (vec!["snapshot", "--svg", "/nonexistent/out.svg"], "zxvm: /nonexistent/out.svg: No such file or directory"),
        (vec!["snapshot", "--snapshots", "0"], "0 is not in 1..=1000"),
        (vec!["snapshot", "--snapshots", "1001"], "1001 is not in 1..=1000"),
        (vec!["snapshot", "--snapshots", "some"], "invalid value 'some'"),
        (vec!["snapshot", "--interval", "-1"], "'-1'"),
    ];
    for (arguments, why) in cases {
        let output = zxvm(&arguments);
        expect_code(&output, 2);
        assert_eq!(text(&output), "", "{arguments:?}");
        assert!(complaint(&output).contains(why), "{arguments:?}: {}", complaint(&output));
    }
}

/// What was in the place of the drawing is lost only to a drawing.
#[test]
fn without_a_drawing_its_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (there, absent) = (folder.path().join("there.svg"), folder.path().join("absent.svg"));
    fs::write(&there, "precious").unwrap();
    for path in [&there, &absent] {
        expect_code(&zxvm_with_limit("-f 1000", &["snapshot", "--svg", path.to_str().unwrap()]), 1);
    }
    assert_eq!(fs::read_to_string(&there).unwrap(), "precious");
    assert!(!absent.exists());
}

/// Making a store under a file size limit would end the process by a signal.
#[test]
fn a_file_size_limit_is_a_message_not_a_signal() {
    let output = zxvm_with_limit("-f 1000", &["snapshot"]);
    expect_code(&output, 1);
    assert!(complaint(&output).contains("RLIMIT_FSIZE"), "{}", complaint(&output));
}
