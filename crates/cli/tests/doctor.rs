//! `zxvm doctor` as a user runs it: every subject has its row, and only what blocks the engine makes it fail.

mod common;

use common::*;
use serde_json::Value;
use zxvm_host::linux::ring::{Ring, without_rings};

/// What every report tells about.
const SUBJECTS: [&str; 26] = [
    "version",
    "page size",
    "memory files",
    "MADV_POPULATE",
    "executable memory",
    "guard pages",
    "PAGEMAP_SCAN",
    "io_uring",
    "huge shared pages",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "open files (-n)",
    "file size (-f)",
    "address space (-v)",
    "memory of the group",
    "root VMAR",
    "a small trial",
    "snapshots of mapped VMOs",
    "bad addresses",
    "userfaultfd",
    "ZXVM_FAULTS=thread",
    "ZXVM_FAULTS=inline",
    "memory left",
    "memory pressure (PSI)",
    "limits of groups",
    "The engine runs here",
];

fn findings(report: &Value) -> Vec<&Value> {
    report["groups"].as_array().unwrap().iter().flat_map(|group| group["findings"].as_array().unwrap()).collect()
}

#[track_caller]
fn finding<'a>(report: &'a Value, subject: &str) -> &'a Value {
    let found = findings(report).into_iter().find(|finding| finding["subject"] == subject);
    found.unwrap_or_else(|| panic!("nothing on {subject} in {report:#}"))
}

#[test]
fn every_subject_has_a_row() {
    let output = zxvm(&["doctor"]);
    expect_code(&output, 0);
    let text = text(&output);
    for subject in SUBJECTS {
        assert!(text.contains(subject), "{subject} is missing in {text}");
    }
    assert!(!text.contains('\x1b'), "colours are for terminals");
    assert_eq!(complaint(&output), "");
}

#[test]
fn json_has_the_same_and_is_consistent() {
    let output = zxvm(&["doctor", "--json"]);
    expect_code(&output, 0);
    let report = json(&output);
    let findings = findings(&report);
    for subject in &SUBJECTS[..SUBJECTS.len() - 1] {
        finding(&report, subject);
    }
    for finding in &findings {
        assert!(["ok", "limited", "missing"].map(Value::from).contains(&finding["state"]), "{finding:#}");
        assert_eq!(finding["blocks_engine"], false, "{finding:#}");
        assert!(!finding["follows"].as_str().unwrap().is_empty());
    }
    let all_ok = findings.iter().all(|finding| finding["state"] == "ok");
    assert_eq!(report["verdict"], if all_ok { "runs" } else { "runs_with_limits" });
}

/// What is said of userfaultfd and what the engine then does are found out apart from each other.
#[test]
fn snapshots_of_mapped_vmos_work_exactly_where_page_faults_say_so() {
    let report = json(&zxvm(&["doctor", "--json"]));
    let state = |subject| finding(&report, subject)["state"].as_str().unwrap();
    let has_a_way = state("userfaultfd") != "missing" && state("- WP_HUGETLBFS_SHMEM") == "ok";
    assert_eq!(state("snapshots of mapped VMOs"), if has_a_way { "ok" } else { "missing" }, "{report:#}");
}

#[test]
fn a_file_size_limit_blocks_the_engine() {
    let output = zxvm_with_limit("-f 1000", &["doctor", "--json"]);
    expect_code(&output, 1);
    let report = json(&output);
    assert_eq!(report["verdict"], "cannot_run");
    for subject in ["memory files", "file size (-f)"] {
        assert_eq!(finding(&report, subject)["blocks_engine"], true);
    }
    let output = zxvm_with_limit("-f 1000", &["doctor"]);
    assert!(
        text(&output).ends_with(" The engine cannot run here: memory files, file size (-f).\n"),
        "{}",
        text(&output)
    );
}

#[test]
fn io_uring_is_told_of_as_this_process_finds_it() {
    let report = json(&zxvm(&["doctor", "--json"]));
    let state = if Ring::new(1).is_ok() { "ok" } else { "limited" };
    assert_eq!(finding(&report, "io_uring")["state"], state, "{report:#}");
}

#[test]
fn a_filter_that_forbids_io_uring_is_named_and_blocks_nothing() {
    let output = without_rings(|| zxvm(&["doctor", "--json"]));
    expect_code(&output, 0);
    let report = json(&output);
    let ring = finding(&report, "io_uring");
    assert_eq!((&ring["state"], &ring["blocks_engine"]), (&"limited".into(), &false.into()), "{ring:#}");
    // Where there was none before, there may be another reason.
    let why = without_rings(|| Ring::new(1)).unwrap_err();
    assert_eq!(ring["found"], why.to_string());
    assert_eq!(report["verdict"], "runs_with_limits");
}

#[test]
fn few_descriptors_limit_it() {
    let enough = json(&zxvm_with_limit("-n 64", &["doctor", "--json"]));
    assert_eq!(finding(&enough, "open files (-n)")["state"], "ok");
    let output = zxvm_with_limit("-n 10", &["doctor", "--json"]);
    expect_code(&output, 0);
    let few = json(&output);
    assert_eq!(finding(&few, "open files (-n)")["state"], "limited");
    assert_eq!(finding(&few, "a small trial")["state"], "ok");
}

#[test]
fn little_address_space_limits_it() {
    let output = zxvm_with_limit("-v 2000000", &["doctor", "--json"]);
    expect_code(&output, 0);
    let report = json(&output);
    assert_eq!(finding(&report, "address space (-v)")["state"], "limited");
    let root = finding(&report, "root VMAR");
    assert_eq!((&root["state"], &root["found"]), (&"limited".into(), &"1 GiB".into()));
    assert_eq!(report["verdict"], "runs_with_limits");
}
