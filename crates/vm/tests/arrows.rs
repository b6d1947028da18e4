//! The rooms of this crate use each other in one direction only.
//!
//! `vmar → vmo → pager → reclaim → store → lock, error, pressure`: read off the `crate::` paths of every file.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first.
const ROOMS: [&[&str]; 6] = [&["lock", "error", "pressure"], &["store"], &["reclaim"], &["pager"], &["vmo"], &["vmar"]];

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn arrows_go_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in files(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let Some(own) = level(first.trim_end_matches(".rs")) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        // What tests use is theirs.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for used in code.split("crate::").skip(1) {
            let room = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            let used = level(room).unwrap_or_else(|| panic!("{inside:?} uses crate::{room}, which is no room"));
            assert!(used <= own, "{inside:?} uses crate::{room}, which is above it");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} uses were found: does this test still read them?");
}
