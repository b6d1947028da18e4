//! How the C programs of these tests are built and run.
//!
//! The library under test is the one that Cargo built beside the running test; headers come from the repository.

#![allow(dead_code)] // each test file uses its part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How a program gets the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `libzircon.so`, found at run time.
    Shared,
    /// `libzircon.a`, with what the Rust library in it needs.
    Static,
}

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate is in the repository")
}

/// Where `libzircon.so` and `libzircon.a` are: beside this test.
pub fn library_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let dir = test.parent().expect("a program is in a folder").to_path_buf();
    for name in ["libzircon.so", "libzircon.a"] {
        assert!(dir.join(name).exists(), "{name} is not in {}", dir.display());
    }
    dir
}

/// `cc` with the repository's headers, strict.
pub fn compiler() -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-g"]);
    cc.arg("-I").arg(repository().join("include"));
    cc
}

/// Adds what links the library.
pub fn link(cc: &mut Command, link: Link) {
    let dir = library_dir();
    match link {
        Link::Shared => {
            // Before what the environment says: Cargo names a folder there in which an older library may lie.
            cc.arg("-L").arg(&dir).arg("-lzircon").arg(format!("-Wl,--disable-new-dtags,-rpath,{}", dir.display()));
        }
        Link::Static => {
            cc.arg(dir.join("libzircon.a"));
        }
    }
    cc.args(["-lpthread", "-ldl", "-lm"]);
}

/// Runs a command that must succeed.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// The calls that the headers declare, without `zx_`, in order.
pub fn declared_calls() -> Vec<String> {
    let include = repository().join("include/zircon");
    let mut names = Vec::new();
    for file in ["syscalls.h", "process.h", "status.h"] {
        let text = fs::read_to_string(include.join(file)).expect("a header of the repository");
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['/', '#', ' '])) {
            let name = match line.strip_prefix("__ZX_CALL(") {
                Some(arguments) => arguments.split(',').nth(1).map(str::trim),
                None => line.split_once(" zx_").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name),
            };
            names.extend(name.map(str::to_owned));
        }
    }
    names.sort_unstable();
    names
}

/// The calls that are ours and not Zircon's, as they are exported, in order.
pub fn declared_extensions() -> Vec<String> {
    let header = repository().join("include/zxvm/zxvm.h");
    let text = fs::read_to_string(header).expect("a header of the repository");
    let declarations = text.lines().filter_map(|line| line.strip_prefix("extern zx_status_t "));
    let mut names: Vec<_> = declarations.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())).collect();
    names.sort_unstable();
    names
}
