//! The library as an object to link with: what it exports, what it is called, how it is found; and the example programs.

mod common;

use std::process::Command;

use common::{declared_calls, declared_extensions, library_dir, repository, run};

fn lines(command: &mut Command) -> Vec<String> {
    String::from_utf8(run(command).stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn it_exports_what_the_headers_declare_and_nothing_else() {
    let mut declared: Vec<_> =
        declared_calls().iter().flat_map(|name| [format!("zx_{name}"), format!("_zx_{name}")]).collect();
    declared.extend(declared_extensions());
    declared.sort_unstable();
    let symbols = lines(Command::new("nm").args(["-D", "--defined-only"]).arg(library_dir().join("libzircon.so")));
    let mut exported: Vec<_> = symbols.iter().map(|line| line.split(' ').next_back().unwrap()).collect();
    exported.sort_unstable();
    assert_eq!(exported, declared);
}

#[test]
fn it_has_the_name_of_zircons_and_is_never_unloaded() {
    let dynamic = lines(Command::new("readelf").arg("-dW").arg(library_dir().join("libzircon.so")));
    let has = |tag: &str, value: &str| dynamic.iter().any(|line| line.contains(tag) && line.contains(value));
    assert!(has("SONAME", "[libzircon.so]"), "{dynamic:#?}");
    assert!(has("FLAGS_1", "NODELETE"), "{dynamic:#?}");
}

#[test]
fn pkg_config_finds_it_in_the_repository() {
    let pkg_config = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", repository().join("crates/libzircon"));
        lines(command.args(arguments).arg("zircon")).concat()
    };
    assert_eq!(pkg_config(&["--modversion"]), env!("CARGO_PKG_VERSION"));
    let flags = pkg_config(&["--cflags", "--libs", "--static"]);
    let dir = repository().join("crates/libzircon/../..");
    for flag in [format!("-I{}/include", dir.display()), format!("-L{}/target/release", dir.display())] {
        assert!(flags.contains(&flag), "{flags}");
    }
    assert!(flags.contains("-lzircon") && flags.contains("-lpthread"), "{flags}");
}

/// What a program of `examples/c` prints, built as its first lines say, but for where the library is.
fn said_by_example(name: &str, more: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join(name);
    let mut cc = Command::new("cc");
    cc.current_dir(repository()).args([&format!("examples/c/{name}.c"), "-Iinclude"]);
    cc.arg(format!("-L{}", library_dir().display())).arg("-lzircon").args(more).arg("-o").arg(&program);
    run(&mut cc);
    lines(Command::new(&program).env("LD_LIBRARY_PATH", library_dir()))
}

#[test]
fn the_first_program_says_what_happens() {
    let expected = [
        "create     ZX_OK, 0 bytes committed",
        "map        ZX_OK, 0 bytes committed",
        "COMMIT     ZX_OK, 1048576 bytes committed",
        "           the number is 42",
        "DECOMMIT   ZX_OK, 0 bytes committed",
        "           the number is 0",
    ];
    assert_eq!(said_by_example("first", &[]), expected);
}

#[test]
fn snapshots_hold_instants_while_a_thread_writes() {
    let mut expected: Vec<_> = (1..=5).map(|number| format!("snapshot {number} holds one instant: yes")).collect();
    expected.push("the writer lost nothing: yes".to_owned());
    assert_eq!(said_by_example("snapshot", &["-lpthread"]), expected);
}

#[test]
fn a_file_is_seen_as_memory_and_saved() {
    let expected = [
        "0 pages of the file are in memory",
        "page 40: this is page 40",
        "page 41: this is page 41",
        "2 pages of the file are in memory",
        "saved:",
        "  pages 7 to 8",
        "  pages 40 to 40",
        "page 8 of the file: changed too",
        "saved:",
        "  pages 8 to 8",
        "pages were asked for 4 times, and to be changed 4 times",
    ];
    assert_eq!(said_by_example("file_pager", &["-lpthread"]), expected);
}
