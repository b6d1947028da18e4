//! Every program in `tests/c/`, built as strictly as can be, against the shared and the static library.

mod common;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Link, compiler, declared_calls, link, repository, run};

#[track_caller]
fn build_and_run(name: &str, how: Link) {
    build_and_run_as(name, how, |_, _| {});
}

/// `prepare` gets the command that runs the program, and a folder.
#[track_caller]
fn build_and_run_as(name: &str, how: Link, prepare: impl FnOnce(&mut Command, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let calls = declared_calls().iter().fold(String::new(), |mut text, name| {
        writeln!(text, "CALL({name})").unwrap();
        text
    });
    fs::write(dir.path().join("calls.inc"), calls).unwrap();
    let program = dir.path().join(name);
    let mut cc = compiler();
    cc.arg("-I").arg(dir.path()).arg("-o").arg(&program);
    cc.arg(repository().join("crates/libzircon/tests/c").join(format!("{name}.c")));
    link(&mut cc, how);
    run(&mut cc);
    let mut command = Command::new(&program);
    prepare(&mut command, dir.path());
    run(&mut command);
}

macro_rules! programs {
    ($($name:ident),* $(,)?) => {
        mod shared {
            $( #[test] fn $name() { super::build_and_run(stringify!($name), super::Link::Shared); } )*
        }

        mod linked_statically {
            $( #[test] fn $name() { super::build_and_run(stringify!($name), super::Link::Static); } )*
        }

        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];
    };
}

programs! {
    aliases, badptr, below_malloc, children, discard, errno, events, exit_thread, faults, fork, futex, handles, in_place, info,
    limits, op_range, pager, ports, reclaim, refused, signals, system, top, vmar, vmo,
}

#[test]
fn none_is_forgotten() {
    let mut found: Vec<_> = fs::read_dir(repository().join("crates/libzircon/tests/c"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".c").map(str::to_owned))
        .collect();
    found.sort_unstable();
    assert_eq!(found, PROGRAMS);
}

/// The library starts a thread, which takes memory from an allocator that is built on it.
#[test]
fn an_allocator_that_is_watched() {
    for how in [Link::Shared, Link::Static] {
        build_and_run_as("below_malloc", how, |program, dir| {
            program.env("ZXVM_TOP", dir.join("socket"));
        });
    }
}

/// A program that knows nothing of us, on an allocator that is built on us.
#[test]
fn an_allocator_for_any_program() {
    let dir = tempfile::tempdir().unwrap();
    let allocator = dir.path().join("liballocator.so");
    let mut cc = compiler();
    cc.args(["-DPRELOAD", "-shared", "-fPIC", "-o"]).arg(&allocator);
    cc.arg(repository().join("crates/libzircon/tests/c/below_malloc.c"));
    link(&mut cc, Link::Shared);
    run(&mut cc);
    let list = |preload: Option<&Path>| {
        let mut ls = Command::new("ls");
        ls.arg("-lR").arg(repository().join("include"));
        if let Some(library) = preload {
            ls.env("LD_PRELOAD", library);
        }
        run(&mut ls)
    };
    let (with, without) = (list(Some(&allocator)), list(None));
    assert_eq!(with.stdout, without.stdout);
    assert_eq!((&*with.stderr, &*without.stderr), (&b"memory from zircon"[..], &b""[..]));
}
