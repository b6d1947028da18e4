//! `zxvm page` as a user runs it: what it prints, draws and exits with, that it never changes a file it was not told to, and that
//! nothing acknowledged is lost or torn however often it is killed.
//!
//! Where Linux gives no say in page faults there are no pagers; then that is what is checked, and `zxvm doctor` must know it.

mod common;
mod faulting;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::*;
use faulting::{number, zxvm_with_faults};
use serde_json::Value;
use zxvm_host::linux::ring::{Ring, without_rings};

const PAGE: usize = 4096;

struct Folder {
    dir: tempfile::TempDir,
    file: PathBuf,
}

fn folder(bytes: &[u8]) -> Folder {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a <file> & more");
    fs::write(&file, bytes).unwrap();
    Folder { dir, file }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / PAGE * 31 + at / 5) as u8).collect()
}

/// Runs the command on a file. Nothing where pagers are refused for a reason that the doctor knows.
fn page(file: &Path, arguments: &[&str]) -> Option<Output> {
    zxvm_with_faults(
        &[&["page", file.to_str().unwrap()], arguments].concat(),
        "a pager for the file cannot be had: NOT_SUPPORTED",
    )
}

fn page_json(file: &Path, arguments: &[&str]) -> Option<Value> {
    let output = page(file, &[arguments, &["--json"]].concat())?;
    expect_code(&output, 0);
    let report = json(&output);
    assert_eq!(report["as_documented"], true);
    assert_eq!(report["differences"], Value::Array(vec![]));
    Some(report)
}

#[test]
fn every_byte_is_read_in_any_order_by_any_number_of_threads_and_the_file_stays_as_it_is() {
    for len in [1, PAGE, 100 * PAGE + 1, 1000 * PAGE] {
        let content = pattern(len);
        let folder = folder(&content);
        let pages = len.div_ceil(PAGE) as u64;
        for (pattern, threads) in [("seq", 1), ("seq", 7), ("random", 4), ("zipf", 16)] {
            let threads_text = threads.to_string();
            let Some(report) = page_json(&folder.file, &["--pattern", pattern, "--threads", &threads_text]) else {
                return;
            };
            let name = format!("{len} bytes, {pattern} by {threads}: {report:#}");
            assert_eq!((number(&report["touches"]), number(&report["pages"])), (pages, pages), "{name}");
            let touched = number(&report["pages_touched"]);
            if pattern == "seq" {
                assert_eq!(touched, pages, "{name}");
            }
            assert!(touched >= 1 && touched <= pages, "{name}");
            assert_eq!(number(&report["compared_bytes"]), pages * PAGE as u64, "{name}");
            assert!(number(&report["requests"]) >= 1 && number(&report["failed"]) == 0, "{name}");
            let supplied = number(&report["pages_asked"]) + number(&report["pages_ahead"]);
            assert!(supplied >= touched, "{name}");
            // Every page that was touched is there; what was read ahead is there besides.
            let memory = &report["memory"];
            let committed = number(&memory["committed_bytes"]);
            assert!(committed >= touched * PAGE as u64 && committed <= pages * PAGE as u64, "{name}");
            assert!(number(&memory["linux_bytes"]) >= committed, "{name}");
            assert!(
                number(&memory["entries"]) >= touched && number(&memory["entries"]) <= committed / PAGE as u64,
                "{name}"
            );
            let latency = &report["latency"];
            let order = ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(|name| latency[name].as_f64().unwrap());
            assert!(order.is_sorted(), "{name}");
            assert!(number(&report["faulted"]) >= 1 && order[0] > 0.0, "the first access always faults: {name}");
            assert_eq!(report["writes"], Value::Null);
        }
        assert!(fs::read(&folder.file).unwrap() == content);
        assert_eq!(fs::read_dir(folder.dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}

#[test]
fn in_order_few_reads_bring_many_pages_and_at_random_each_brings_one() {
    let folder = folder(&pattern(2000 * PAGE));
    let Some(report) = page_json(&folder.file, &[]) else { return };
    assert!(number(&report["reads"]) < 40 && number(&report["requests"]) < 100, "{report:#}");
    let report = page_json(&folder.file, &["--pattern", "random", "--touches", "100"]).unwrap();
    assert_eq!(number(&report["touches"]), 100);
    assert!(number(&report["pages_ahead"]) < 10, "{report:#}");
}

#[test]
fn faults_go_where_they_are_wanted() {
    let folder = folder(&pattern(300 * PAGE));
    for (faults, who) in [("thread", "a thread of the library"), ("inline", "the thread that faults")] {
        for arguments in
            [&["--pattern", "random", "--threads", "8"][..], &["--threads", "2"], &["--write", "--threads", "4"]]
        {
            let Some(report) = page_json(&folder.file, &[arguments, &["--faults", faults]].concat()) else { return };
            assert_eq!(report["faults"], who);
            assert!(number(&report["faulted"]) >= 1);
        }
    }
    let mut command = Command::new(ZXVM);
    let output = quiet(command.args(["page", folder.file.to_str().unwrap(), "--json"]).env("ZXVM_FAULTS", "inline"));
    expect_code(&output, 0);
    assert_eq!(json(&output)["faults"], "the thread that faults");
    let output = quiet(command.env("ZXVM_FAULTS", "odd"));
    expect_code(&output, 2);
    assert!(complaint(&output).contains("ZXVM_FAULTS is neither thread nor inline"), "{}", complaint(&output));
}

/// Through the page cache, past it, by io_uring, and with io_uring forbidden: the same bytes, and what was had is told.
#[test]
fn whichever_way_the_pager_gets_at_the_file_it_finds_the_same() {
    let before = pattern(1500 * PAGE + 100);
    let run = |way: &str| {
        let folder = folder(&before);
        let backing = ["--backing", way];
        let report = page_json(&folder.file, &backing)?;
        assert_eq!(number(&report["pages_touched"]), 1501);
        assert_eq!(report["backing"], way);
        let ack = folder.dir.path().join("ack");
        let ack_text = ack.to_str().unwrap();
        let write = ["--write", "--pattern", "random", "--threads", "3", "--ack", ack_text];
        page_json(&folder.file, &[&write[..], &backing].concat())?;
        assert!(all_is_there(&folder.file, &ack, &before) > 0);
        let table = page(&folder.file, &backing)?;
        expect_code(&table, 0);
        let table = text(&table);
        assert!(table.lines().all(|line| line.chars().count() <= 110), "{table}");
        Some((report["no_ring"].clone(), table))
    };
    let has_rings = Ring::new(1).is_ok();
    for way in ["file", "direct", "ring"] {
        let Some((no_ring, table)) = run(way) else { return };
        assert_eq!(no_ring == Value::Null, has_rings || way == "file", "{table}");
        assert_eq!(table.contains(", by io_uring\n"), has_rings && way != "file", "{table}");
    }
    for way in ["direct", "ring"] {
        let (why, Some((no_ring, table))) = without_rings(|| (Ring::new(1).unwrap_err().to_string(), run(way))) else {
            return;
        };
        assert_eq!(no_ring, why);
        assert!(table.contains(&format!(", without io_uring:\n {why}\n")), "{table}");
    }
}

#[test]
fn a_file_that_only_may_be_read_will_do() {
    let folder = folder(&pattern(10 * PAGE));
    let mut permissions = fs::metadata(&folder.file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&folder.file, permissions).unwrap();
    let Some(report) = page_json(&folder.file, &[]) else { return };
    assert_eq!(number(&report["pages_touched"]), 10);
}

#[test]
fn a_table_for_people_fits_a_terminal() {
    let folder = folder(&pattern(300 * PAGE));
    let Some(output) = page(&folder.file, &["--threads", "2"]) else { return };
    expect_code(&output, 0);
    let text = text(&output);
    assert!(
        text.starts_with(&format!(" {}: 1,228,800 bytes, 300 pages of 4 KiB; Linux ", folder.file.display())),
        "{text}"
    );
    assert_eq!(text.lines().last().unwrap(), " all 1,200 KiB read are as read(2) says");
    for line in text.lines().skip(1) {
        assert!(line.chars().count() <= 110, "{line}");
        assert_eq!(line, line.trim_end());
    }
    assert_eq!(complaint(&output), "");
}

/// The magic at both ends, the page and the number of a record.
fn fields(bytes: &[u8]) -> [u64; 4] {
    let word = |index: usize| u64::from_le_bytes(bytes[index * 8..][..8].try_into().unwrap());
    [word(0), word(1), word(2), word(PAGE / 8 - 1)]
}

const MAGIC: u64 = u64::from_le_bytes(*b"zxvm rec");

/// What a list says that `--ack` has filled: the last number of each page. A line without an end was not told.
fn acknowledged(ack: &Path) -> BTreeMap<u64, u64> {
    let text = fs::read_to_string(ack).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut last = BTreeMap::new();
    for line in whole.lines() {
        let (number, page) = line.split_once(' ').unwrap();
        let (number, page): (u64, u64) = (number.parse().unwrap(), page.parse().unwrap());
        let before = last.insert(page, number);
        assert!(before < Some(number), "numbers of page {page} rise");
    }
    last
}

/// Looks at the file without the command: all that was acknowledged is there, and other pages are as they were or whole.
fn all_is_there(file: &Path, ack: &Path, before: &[u8]) -> u64 {
    let content = fs::read(file).unwrap();
    assert_eq!(content.len(), before.len());
    let acknowledged = acknowledged(ack);
    for (page, (bytes, before)) in content.chunks(PAGE).zip(before.chunks(PAGE)).enumerate() {
        let told = acknowledged.get(&(page as u64)).copied();
        if bytes == before {
            assert_eq!(told, None, "page {page} has lost its record");
        } else {
            let [start, in_page, number, end] = fields(bytes);
            assert_eq!((start, in_page, end), (MAGIC, page as u64, MAGIC), "page {page} is torn");
            assert!(told <= Some(number), "page {page} has {number}, and {told:?} was acknowledged");
        }
    }
    acknowledged.len() as u64
}

#[test]
fn records_are_in_the_file_and_told_of() {
    // The end is no whole page, and stays.
    let before = pattern(500 * PAGE + 100);
    let folder = folder(&before);
    let ack = folder.dir.path().join("ack");
    for (pattern, threads) in [("seq", "1"), ("random", "8"), ("zipf", "3")] {
        let arguments = ["--write", "--pattern", pattern, "--threads", threads, "--ack", ack.to_str().unwrap()];
        let known = acknowledged(&ack).len() as u64;
        let Some(report) = page_json(&folder.file, &arguments) else { return };
        let writes = &report["writes"];
        assert_eq!(number(&writes["earlier_acknowledged"]), known, "{report:#}");
        assert_eq!(number(&writes["earlier_unacknowledged"]), 0);
        assert_eq!(number(&report["touches"]), 500);
        assert!(number(&writes["acknowledged"]) >= number(&report["pages_touched"]));
        assert!(number(&writes["pages_written"]) >= number(&report["pages_touched"]));
        assert!(number(&writes["writebacks"]) >= 1);
        assert_eq!(all_is_there(&folder.file, &ack, &before), 500, "the first run was everywhere");
    }
    assert_eq!(fs::read(&folder.file).unwrap()[500 * PAGE..], before[500 * PAGE..]);
    // And without writing it is a file like others.
    page_json(&folder.file, &["--pattern", "random"]).unwrap();
}

#[test]
fn whatever_kills_it_all_that_was_acknowledged_is_there_and_nothing_is_torn() {
    const KILLS: u64 = 25;
    let before = vec![0; 2000 * PAGE];
    let folder = folder(&before);
    let ack = folder.dir.path().join("ack");
    let Some(_) = page(&folder.file, &["--touches", "1"]) else { return };
    let arguments = |pattern: &'static str, way: &'static str| {
        let file = folder.file.to_str().unwrap();
        [
            "page",
            file,
            "--write",
            "--threads",
            "3",
            "--touches",
            "1000000",
            "--pattern",
            pattern,
            "--backing",
            way,
            "--ack",
            ack.to_str().unwrap(),
        ]
    };
    let mut told = 0;
    for kill in 0..KILLS {
        let pattern = ["random", "zipf", "seq"][kill as usize % 3];
        let way = ["file", "direct", "ring"][kill as usize / 3 % 3];
        let mut command = Command::new(ZXVM);
        command.args(arguments(pattern, way)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = command.spawn().unwrap();
        // From before anything is stored to many batches later.
        std::thread::sleep(Duration::from_micros(kill * kill * 1500 + kill * 777));
        running.kill().unwrap();
        let status = running.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "it was killed, and had not ended: {status}"
        );

        // The next run puts right what was begun, and looks itself.
        let report = page_json(&folder.file, &["--write", "--touches", "1", "--ack", ack.to_str().unwrap()]).unwrap();
        let now = all_is_there(&folder.file, &ack, &before);
        assert!(number(&report["writes"]["earlier_acknowledged"]) + 1 >= now, "{report:#}");
        told = now;
    }
    assert!(told > 500, "most kills came while records were stored: {told} pages have one");
}

/// The two ways in which a file may have been spoiled since.
#[test]
fn a_lost_or_torn_record_is_found() {
    let folder = folder(&vec![0; 20 * PAGE]);
    let Some(_) = page_json(&folder.file, &["--write"]) else { return };
    let good = fs::read(&folder.file).unwrap();
    for (spoil, why) in [
        (vec![0; PAGE], "Page 7 has lost the record that was acknowledged"),
        ([&good[7 * PAGE..][..PAGE / 2], &vec![0; PAGE / 2]].concat(), "Page 7 holds a part of a record"),
        (good[8 * PAGE..9 * PAGE].to_vec(), "Page 7 holds a part of a record"),
    ] {
        let mut bad = good.clone();
        bad[7 * PAGE..8 * PAGE].copy_from_slice(&spoil);
        fs::write(&folder.file, &bad).unwrap();
        let output = page(&folder.file, &["--write", "--json"]).unwrap();
        expect_code(&output, 1);
        assert_eq!(json(&output)["differences"], Value::Array(vec![why.into()]));
        assert!(fs::read(&folder.file).unwrap() == bad, "it is left for whoever wants to look");
    }
}

#[test]
fn a_list_of_another_file_is_refused() {
    let folder = folder(&vec![0; 20 * PAGE]);
    let Some(_) = page_json(&folder.file, &["--write"]) else { return };
    fs::write(&folder.file, vec![0; 21 * PAGE]).unwrap();
    let output = zxvm(&["page", folder.file.to_str().unwrap(), "--write"]);
    expect_code(&output, 2);
    assert!(
        complaint(&output).contains(".zxvm: belongs to a file of 81920 bytes, not of 86016"),
        "{}",
        complaint(&output)
    );
    let other = folder.dir.path().join("other");
    fs::write(&other, vec![0; PAGE]).unwrap();
    fs::write(folder.dir.path().join("other.zxvm-journal"), vec![1; 5000]).unwrap();
    let output = zxvm(&["page", other.to_str().unwrap(), "--write"]);
    expect_code(&output, 2);
    assert!(complaint(&output).contains("other.zxvm-journal: not a journal"), "{}", complaint(&output));
}

const SVG: &str = "http://www.w3.org/2000/svg";

#[test]
fn the_drawing_is_a_document_that_shows_the_file_coming_in() {
    let folder = folder(&pattern(3000 * PAGE));
    let drawing = folder.dir.path().join("out.svg");
    for arguments in [&["--pattern", "random"][..], &["--write"]] {
        let Some(output) = page(&folder.file, &[arguments, &["--svg", drawing.to_str().unwrap()]].concat()) else {
            return;
        };
        expect_code(&output, 0);
        let text = fs::read_to_string(&drawing).unwrap();
        let svg = roxmltree::Document::parse(&text).unwrap();
        assert!(svg.root_element().has_tag_name((SVG, "svg")));
        assert!(!text.contains("href") && !text.contains("url("), "complete in itself");
        let texts: Vec<_> =
            svg.descendants().filter(|node| node.has_tag_name((SVG, "text"))).filter_map(|node| node.text()).collect();
        let order = if arguments.len() == 2 { "random" } else { "seq" };
        assert!(texts[0].ends_with(&format!("a <file> & more: 3,000 pages, {order}, 1 thread")), "{}", texts[0]);
        for label in ["all of it", "little of a band", "0 B", "11 MiB", "in memory"] {
            assert!(texts.contains(&label), "{label} is missing in {texts:?}");
        }
        assert_eq!(texts.contains(&"something is dirty"), order == "seq", "{texts:?}");
        assert!(texts.contains(&"0 ms") || texts.contains(&"0.0 s"), "{texts:?}");
        let number = |node: roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let cells: Vec<_> =
            svg.descendants().filter(|node| node.has_tag_name((SVG, "rect")) && number(*node, "y") >= 92.0).collect();
        assert!(cells.len() > 5, "something came in");
        for cell in cells {
            let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| number(cell, name));
            assert!(x >= 89.9 && x + width <= 1070.1 && y + height <= 696.1, "a cell outside: {cell:?}");
        }
    }
}

/// How much of a part is in memory on average and at the end, of all its pages.
fn part_in_memory(report: &Value, said: &str) -> [f64; 2] {
    let parts = report["limited"]["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["said"] == said).unwrap_or_else(|| panic!("no {said} in {report:#}"));
    ["resident_pages_mean", "resident_pages"].map(|name| part[name].as_f64().unwrap() / part["pages"].as_f64().unwrap())
}

#[test]
fn hints_show_in_what_is_in_memory_and_the_budget_is_kept() {
    const BUDGET: u64 = 1 << 20;
    let content = pattern(1500 * PAGE);
    let folder = folder(&content);
    let hints = ["--need", "10%-15%", "--dont-need", "50%-70%", "--dont-need", "5M-5632K"];
    for faults in ["thread", "inline"] {
        for write in [&[][..], &["--write"]] {
            let run = |hints: &[&str]| {
                let limits = ["--budget", "1M", "--pattern", "random", "--touches", "8000", "--threads", "3"];
                let report = page_json(&folder.file, &[&limits[..], &["--faults", faults], write, hints].concat())?;
                let limited = &report["limited"];
                assert_eq!(number(&limited["budget_bytes"]), BUDGET);
                let most = number(&limited["resident_bytes_most"]);
                assert!(most <= BUDGET && most > BUDGET / 2, "{report:#}");
                assert!(number(&limited["resident_bytes_end"]) <= BUDGET, "{report:#}");
                assert!(number(&limited["evicted_pages"]) > 3000 && number(&limited["faults"]) > 3000, "{report:#}");
                let found = number(&limited["found"]) as f64 / 8000.0;
                assert!((found - limited["hit_rate"].as_f64().unwrap()).abs() < 1e-9 && found > 0.05, "{report:#}");
                Some(report)
            };
            let Some(plain) = run(&[]) else { return };
            let [all, _] = part_in_memory(&plain, "nothing");
            assert!((0.1..0.18).contains(&all), "256 of 1,500 pages: {plain:#}");
            let hinted = run(&hints).unwrap();
            let [needed, not_needed, others] =
                ["needed", "not_needed", "nothing"].map(|said| part_in_memory(&hinted, said));
            for moment in 0..2 {
                assert!(needed[moment] > 0.95, "{hinted:#}");
                assert!(not_needed[moment] < 0.5 * others[moment], "{hinted:#}");
            }
            assert!(not_needed[0] < 0.35 * others[0], "{hinted:#}");
        }
    }
}

#[test]
fn hints_are_marked_in_the_drawing_and_the_map_follows_them() {
    let folder = folder(&pattern(1500 * PAGE));
    let drawing = folder.dir.path().join("out.svg");
    let arguments = ["--budget", "1M", "--pattern", "random", "--touches", "8000", "--svg", drawing.to_str().unwrap()];
    let Some(output) = page(&folder.file, &[&arguments[..], &["--need", "10%-15%", "--dont-need", "50%-70%"]].concat())
    else {
        return;
    };
    expect_code(&output, 0);
    let told = text(&output);
    for line in
        ["Of the file 1 MiB may be in memory, and at most", "found their page there", "not needed ", "all others "]
    {
        assert!(told.contains(line), "{line} is missing in {told}");
    }
    assert!(told.lines().skip(1).all(|line| line.chars().count() <= 110 && line == line.trim_end()), "{told}");
    let text = fs::read_to_string(&drawing).unwrap();
    let svg = roxmltree::Document::parse(&text).unwrap();
    let texts: Vec<_> =
        svg.descendants().filter(|node| node.has_tag_name((SVG, "text"))).filter_map(|node| node.text()).collect();
    for label in ["needed", "not needed", "1 MiB may be"] {
        assert!(texts.contains(&label), "{label} is missing in {texts:?}");
    }
    // How much of the map between two offsets is coloured, by how dark a shade is, in the second half.
    let number = |node: roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let ink = |from: f64, to: f64| -> f64 {
        let cells = svg.descendants().filter(|node| node.has_tag_name((SVG, "rect")) && number(*node, "y") >= 92.0);
        let inks = cells.filter(|cell| cell.attribute("stroke").is_none()).map(|cell| {
            let [x, y, width, height] = ["x", "y", "width", "height"].map(|name| number(cell, name));
            let blue = u8::from_str_radix(&cell.attribute("fill").unwrap()[1..3], 16).unwrap();
            let across = (x + width).min(1070.0) - x.max(580.0);
            let down = (y + height).min(92.0 + 480.0 * to) - y.max(92.0 + 480.0 * from);
            across.max(0.0) * down.max(0.0) * f64::from(255 - blue)
        });
        inks.sum::<f64>() / (to - from)
    };
    let [needed, not_needed, others] = [(0.105, 0.145), (0.51, 0.69), (0.71, 1.0)].map(|(from, to)| ink(from, to));
    assert!(needed > 2.0 * others && not_needed < 0.7 * others, "{needed}, {not_needed} and {others}");
}

#[test]
fn under_a_budget_nothing_acknowledged_is_lost_either() {
    const KILLS: u64 = 10;
    let before = vec![0; 2000 * PAGE];
    let folder = folder(&before);
    let ack = folder.dir.path().join("ack");
    let (file, ack_text) = (folder.file.to_str().unwrap(), ack.to_str().unwrap());
    let Some(_) = page(&folder.file, &["--touches", "1"]) else { return };
    let mut told = 0;
    for kill in 0..KILLS {
        let faults = ["thread", "inline"][kill as usize % 2];
        let mut command = Command::new(ZXVM);
        // The least there can be: 64 pages for 16 threads and their 8 records a batch.
        command.args(["page", file, "--write", "--threads", "16", "--touches", "1000000", "--pattern", "random"]);
        command.args(["--budget", "256K", "--faults", faults, "--need", "0%-1%", "--dont-need", "50%-60%"]);
        command.args(["--ack", ack_text]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(kill * kill * 8000 + kill * 777));
        running.kill().unwrap();
        let status = running.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "it had not ended: {status}");
        let report = page_json(&folder.file, &["--write", "--touches", "1", "--ack", ack_text]).unwrap();
        let now = all_is_there(&folder.file, &ack, &before);
        assert!(number(&report["writes"]["earlier_acknowledged"]) + 1 >= now, "{report:#}");
        told = now;
    }
    assert!(told > 100, "most kills came while records were stored: {told} pages have one");
    let report =
        page_json(&folder.file, &["--write", "--budget", "256K", "--threads", "64", "--pattern", "random"]).unwrap();
    assert!(number(&report["writes"]["dirty_bytes_most"]) <= 64 << 10, "{report:#}");
}

#[test]
fn what_cannot_be_paged_is_named() {
    let folder = folder(&[]);
    let (empty, small) = (folder.file.to_str().unwrap(), folder.dir.path().join("small"));
    fs::write(&small, [1; 100]).unwrap();
    let small = small.to_str().unwrap();
    let cases = [
        (vec!["page"], "<FILE>"),
        (vec!["page", "/nonexistent/file"], "zxvm: /nonexistent/file: No such file or directory"),
        (vec!["page", "/"], "zxvm: /: not a regular file"),
        (vec!["page", "/", "--write"], "zxvm: /: Is a directory"),
        (vec!["page", empty], "empty: there is nothing to touch"),
        (vec!["page", small, "--write"], "less than a page: there is no room for a record"),
        (vec!["page", small, "--svg", "/nonexistent/out.svg"], "zxvm: /nonexistent/out.svg: No such file or directory"),
        (vec!["page", small, "--ack", "x"], "--write"),
        (vec!["page", small, "--pattern", "odd"], "invalid value 'odd'"),
        (vec!["page", small, "--threads", "0"], "0 is not in 1..=256"),
        (vec!["page", small, "--touches", "0"], "0 is not in 1.."),
        (vec!["page", small, "--faults", "odd"], "invalid value 'odd'"),
        (vec!["page", small, "--budget", "much"], "not a size such as 64M or 1G"),
        (vec!["page", small, "--budget", "255K"], "less than 256K"),
        (vec!["page", small, "--need", "10%"], "neither like 10%-20% nor like 16M-32M"),
        (vec!["page", small, "--need", "20%-120%"], "neither like 10%-20% nor like 16M-32M"),
        (vec!["page", small, "--need", "20%-10%"], "the part 20%-10% is empty"),
        (vec!["page", small, "--dont-need", "0-5000"], "the part 0-5000 is not in the file, which has 100 bytes"),
        (vec!["page", small, "--need", "0-10", "--dont-need", "5-100"], "cannot be needed and not needed"),
    ];
    for (arguments, why) in cases {
        let output = zxvm(&arguments);
        expect_code(&output, 2);
        assert_eq!(text(&output), "", "{arguments:?}");
        assert!(complaint(&output).contains(why), "{arguments:?}: {}", complaint(&output));
    }
}

#[test]
fn a_file_size_limit_is_a_message_not_a_signal() {
    let folder = folder(&pattern(PAGE));
    let output = zxvm_with_limit("-f 1000", &["page", folder.file.to_str().unwrap()]);
    expect_code(&output, 1);
    assert!(complaint(&output).contains("RLIMIT_FSIZE"), "{}", complaint(&output));
}
