//! Commands that need a say in page faults.

use std::process::Output;

use serde_json::Value;

use crate::common::{complaint, expect_code, json, zxvm};

/// A number of a report.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Runs a command that needs a say in page faults. Nothing where it is refused, with this complaint, for a reason that the doctor
/// knows.
pub fn zxvm_with_faults(arguments: &[&str], refusal: &str) -> Option<Output> {
    let output = zxvm(arguments);
    if complaint(&output).contains(refusal) {
        let doctor = json(&zxvm(&["doctor", "--json"]));
        let findings =
            doctor["groups"].as_array().unwrap().iter().flat_map(|group| group["findings"].as_array().unwrap());
        let finding = findings.into_iter().find(|finding| finding["subject"] == "snapshots of mapped VMOs").unwrap();
        assert_eq!(finding["state"], "missing", "{finding:#}");
        expect_code(&output, 1);
        return None;
    }
    Some(output)
}
