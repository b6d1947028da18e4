//! The programs in the README are the ones in the repository, so they run as printed.

use std::fs;
use std::path::Path;

#[test]
fn the_readme_prints_the_first_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for (language, path) in [("c", "examples/c/first.c"), ("rust", "crates/zx/examples/first.rs")] {
        let program = fs::read_to_string(root.join(path)).unwrap();
        assert!(readme.contains(&format!("```{language}\n{program}```\n")), "{path} is not in the README as it is");
    }
}
