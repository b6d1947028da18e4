//! `unsafe` is a word in signatures here; the blocks are in `raw.rs`, each with its argument.

use std::fs;
use std::path::Path;

#[test]
fn only_raw_rs_has_unsafe_blocks() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut blocks_in_raw = 0;
    for file in fs::read_dir(source).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let blocks = code.filter(|line| line.contains("unsafe {")).count();
        if path.ends_with("raw.rs") {
            blocks_in_raw = blocks;
        } else {
            assert_eq!(blocks, 0, "{}", path.display());
        }
    }
    assert_ne!(blocks_in_raw, 0, "the search finds what it looks for");
}
