//! The C headers are correct C and C++, and say what the Rust items say.
//!
//! 1. Every header compiles alone, without a warning, as C11 and C++17, whether `__Fuchsia__` is defined or not.
//! 2. Every type, constant and record of the catalogue is in the headers with the same type, value and layout; the
//!    checks in C are generated from the catalogue. Every constant and record of the headers is in the catalogue.
//! 3. The inline functions and macros do what they say: small programs are compiled and run.
//!
//! `cc` and `c++` are needed; `gcc`, `g++`, `clang` and `clang++` are used as well where they are installed.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use zxvm_types::catalogue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    C,
    Cxx,
}

impl Language {
    const ALL: [Self; 2] = [Self::C, Self::Cxx];

    fn standard(self) -> &'static str {
        match self {
            Self::C => "-std=c11",
            Self::Cxx => "-std=c++17",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cxx => "cc",
        }
    }

    /// The one that must be there, then those that may be.
    fn compiler_names(self) -> [&'static str; 3] {
        match self {
            Self::C => ["cc", "gcc", "clang"],
            Self::Cxx => ["c++", "g++", "clang++"],
        }
    }

    /// The compilers of this machine; one that goes by two names is listed once.
    fn compilers(self) -> Vec<PathBuf> {
        let names = self.compiler_names();
        let mut seen = HashSet::new();
        let found: Vec<PathBuf> = names
            .iter()
            .filter_map(|name| find_program(name))
            .filter(|path| seen.insert(fs::canonicalize(path).unwrap()))
            .collect();
        assert!(find_program(names[0]).is_some(), "these tests need {}", names[0]);
        found
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn include_dir() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include")).unwrap()
}

/// All headers, as they are written between angle brackets.
fn headers() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension() == Some(OsStr::new("h")) {
                found.insert(path.strip_prefix(include_dir()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&include_dir(), &mut found);
    found
}

fn include_all() -> String {
    headers().iter().map(|header| format!("#include <{header}>\n")).collect()
}

fn run<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> Output {
    Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Runs a compiler on the sources, with warnings as errors.
fn compile(compiler: &Path, language: Language, options: &[&str], sources: &[PathBuf]) {
    let output = Command::new(compiler)
        .args([language.standard(), "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(include_dir())
        .args(options)
        .args(sources)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{} {} {options:?}:\n{}",
        compiler.display(),
        language.standard(),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write_source(folder: &Path, stem: &str, language: Language, text: &str) -> PathBuf {
    let path = folder.join(stem).with_extension(language.extension());
    fs::write(&path, text).unwrap();
    path
}

/// Compiles the text with every compiler of both languages, and hands each program to `check`.
fn for_each_program(text: &str, options: &[&str], check: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    for language in Language::ALL {
        let source = write_source(folder.path(), "program", language, text);
        for compiler in language.compilers() {
            let options = [options, &["-o", program.to_str().unwrap()]].concat();
            compile(&compiler, language, &options, std::slice::from_ref(&source));
            check(&program);
        }
    }
}

#[test]
fn the_headers_of_the_specification_are_there() {
    let headers = headers();
    for name in [
        "analyzer",
        "assert",
        "compiler",
        "errors",
        "limits",
        "process",
        "rights",
        "status",
        "string_view",
        "syscalls",
        "syscalls-next",
        "syscalls/object",
        "syscalls/port",
        "syscalls/types",
        "time",
        "types",
    ] {
        assert!(headers.contains(&format!("zircon/{name}.h")), "{name}");
    }
}

#[test]
fn each_header_compiles_alone() {
    let folder = tempfile::tempdir().unwrap();
    for language in Language::ALL {
        let sources: Vec<PathBuf> = headers()
            .iter()
            .enumerate()
            .map(|(number, header)| {
                // Twice, for the guard; and C wants at least one declaration.
                let text = format!("#include <{header}>\n#include <{header}>\nextern int nothing;\n");
                write_source(folder.path(), &format!("alone{number}"), language, &text)
            })
            .collect();
        for compiler in language.compilers() {
            compile(&compiler, language, &["-fsyntax-only"], &sources);
            compile(&compiler, language, &["-fsyntax-only", "-D__Fuchsia__"], &sources);
        }
    }
}

/// The name in C of a type in the catalogue.
fn c_type(repr: &str) -> &str {
    match repr {
        "u16" => "uint16_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "usize" => "size_t",
        name => {
            assert!(catalogue::scalars().any(|scalar| scalar.name == name), "no such type: {name}");
            name
        }
    }
}

/// A literal that fits every type the value fits.
fn c_literal(value: i128) -> String {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(i64::MIN), _) => format!("(-{}LL - 1)", i64::MAX),
        (Ok(value), _) => format!("({value}LL)"),
        (_, Ok(value)) => format!("({value}ULL)"),
        _ => panic!("{value} fits no type of C"),
    }
}

#[test]
fn the_headers_say_what_the_rust_items_say() {
    let mut text = include_all();
    text.push_str(
        "#ifdef __cplusplus
#include <type_traits>
#define HOLDS(condition) static_assert(condition, #condition)
#define TYPE(of, type) static_assert(std::is_same<decltype(of), type>::value, #of)
#else
#define HOLDS(condition) _Static_assert(condition, #condition)
#define TYPE(of, type) _Static_assert(_Generic((of), type: 1, default: 0), #of)
#endif
",
    );
    for scalar in catalogue::scalars() {
        let name = scalar.name;
        let of_type = match (scalar.size, scalar.signed) {
            (4, true) => "int32_t",
            (4, false) => "uint32_t",
            (8, true) => "int64_t",
            (8, false) => "uint64_t",
            _ => panic!("{scalar:?}"),
        };
        writeln!(text, "HOLDS(sizeof({name}) == {});", scalar.size).unwrap();
        // The sum has the type of a value read: without `_Atomic`, and in C++ no reference.
        writeln!(text, "TYPE(*({name}*)0 + 0, {of_type});").unwrap();
    }
    for constant in catalogue::constants() {
        let (name, of_type) = (constant.name, c_type(constant.repr));
        writeln!(text, "TYPE({name}, {of_type});").unwrap();
        writeln!(text, "HOLDS({name} == ({of_type}){});", c_literal(constant.value)).unwrap();
    }
    for record in catalogue::records() {
        let name = record.name;
        writeln!(text, "HOLDS(sizeof({name}) == {});", record.size).unwrap();
        for field in record.fields {
            writeln!(text, "HOLDS(offsetof({name}, {}) == {});", field.name, field.offset).unwrap();
            writeln!(text, "HOLDS(sizeof((({name}*)0)->{}) == {});", field.name, field.size).unwrap();
        }
    }
    // What the catalogue has one field for, in C a union: each kind of packet is where that field is.
    for kind in ["user", "signal", "page_request", "interrupt"] {
        writeln!(text, "HOLDS(offsetof(zx_port_packet_t, {kind}) == 16);").unwrap();
        writeln!(text, "HOLDS(sizeof(((zx_port_packet_t*)0)->{kind}) == 32);").unwrap();
    }

    let folder = tempfile::tempdir().unwrap();
    for language in Language::ALL {
        let source = write_source(folder.path(), "catalogue", language, &text);
        for compiler in language.compilers() {
            compile(&compiler, language, &["-fsyntax-only"], std::slice::from_ref(&source));
        }
    }
}

#[test]
fn every_constant_of_the_headers_is_a_rust_item() {
    // Attributes, and a switch of assert.h: macros without a value of the ABI.
    let no_constant = |name: &str| {
        ["ZX_HANDLE_ACQUIRE", "ZX_HANDLE_RELEASE", "ZX_HANDLE_USE", "ZX_DEBUG_ASSERT_IMPLEMENTED"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let known: HashSet<&str> = catalogue::constants().map(|constant| constant.name).collect();
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path(), "macros", Language::C, &include_all());
    let include = include_dir();
    let args = [OsStr::new("-dM"), OsStr::new("-E"), OsStr::new("-I"), include.as_os_str(), source.as_os_str()];
    let output = run(&Language::C.compilers()[0], args);
    assert!(output.status.success());

    // Macros with parameters have their `(` right behind the name, so they are no known name and no plain one.
    let macros = String::from_utf8(output.stdout).unwrap();
    let plain: HashSet<&str> = macros
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split(' ').next())
        .filter(|name| (name.starts_with("ZX_") || name.starts_with("__ZX_")) && !name.contains('('))
        .filter(|name| !no_constant(name))
        .collect();
    let unknown: BTreeSet<_> = plain.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(plain.len(), known.len());
}

#[test]
fn every_record_of_the_headers_is_a_rust_item() {
    let known: HashSet<&str> = catalogue::records().map(|record| record.name).collect();
    let mut declared: HashSet<String> = headers()
        .iter()
        .flat_map(|header| {
            let text = fs::read_to_string(include_dir().join(header)).unwrap();
            let names = text.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';'));
            names.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(declared.remove("zx_packet_user_t"), "a union, for which Rust has an array of bytes");
    assert!(declared.remove("zxvm_memory_stats_t"), "not Zircon's: libzircon has it");
    assert!(declared.insert("zx_port_packet_t".to_owned()), "declared before its fields are, in syscalls/types.h");
    assert_eq!(declared, known.into_iter().map(str::to_owned).collect());
}

#[test]
fn time_saturates_and_converts() {
    const TEXT: &str = r"
#include <zircon/time.h>
#define CHECK(condition) do { if (!(condition)) return __LINE__; } while (0)
int main(void) {
  CHECK(zx_time_add_duration(1, 2) == 3);
  CHECK(zx_time_add_duration(ZX_TIME_INFINITE, 1) == ZX_TIME_INFINITE);
  CHECK(zx_time_add_duration(ZX_TIME_INFINITE_PAST, -1) == ZX_TIME_INFINITE_PAST);
  CHECK(zx_time_sub_duration(ZX_TIME_INFINITE_PAST, 1) == ZX_TIME_INFINITE_PAST);
  CHECK(zx_time_sub_duration(0, ZX_TIME_INFINITE_PAST) == ZX_TIME_INFINITE);
  CHECK(zx_time_sub_time(5, 7) == -2);
  CHECK(zx_time_sub_time(-2, ZX_TIME_INFINITE) == ZX_TIME_INFINITE_PAST);
  CHECK(zx_duration_add_duration(ZX_HOUR(1), -ZX_MIN(60)) == 0);
  CHECK(zx_duration_sub_duration(ZX_SEC(1), ZX_MSEC(1)) == 999000000);
  CHECK(zx_duration_mul_int64(ZX_TIME_INFINITE, 2) == ZX_TIME_INFINITE);
  CHECK(zx_duration_mul_int64(ZX_TIME_INFINITE, -2) == ZX_TIME_INFINITE_PAST);
  CHECK(zx_duration_mul_int64(ZX_TIME_INFINITE_PAST, -1) == ZX_TIME_INFINITE);
  CHECK(zx_duration_from_usec(7) == ZX_USEC(7) && ZX_USEC(7) == 7000 * ZX_NSEC(1));
  CHECK(zx_duration_from_msec(7) == ZX_MSEC(7) && zx_duration_from_sec(7) == ZX_SEC(7));
  CHECK(zx_duration_from_min(7) == ZX_MIN(7) && zx_duration_from_hour(7) == ZX_HOUR(7));
  CHECK(zx_duration_from_hour(INT64_MAX / 1000) == ZX_TIME_INFINITE);
  CHECK(zx_nsec_from_duration(zx_duration_from_nsec(-3)) == -3);
  CHECK(zx_ticks_add_ticks(INT64_MAX, 1) == INT64_MAX && zx_ticks_sub_ticks(INT64_MIN, 1) == INT64_MIN);
  CHECK(zx_ticks_mul_int64(6, 7) == 42);

  struct timespec before = zx_timespec_from_duration(-1);
  CHECK(before.tv_sec == -1 && before.tv_nsec == 999999999);
  CHECK(zx_duration_from_timespec(before) == -1);
  struct timespec after = zx_timespec_from_time(ZX_SEC(3) + 4);
  CHECK(after.tv_sec == 3 && after.tv_nsec == 4);
  CHECK(zx_time_from_timespec(after) == ZX_SEC(3) + 4);
  after.tv_sec = INT64_MAX;
  CHECK(zx_time_from_timespec(after) == ZX_TIME_INFINITE);
  return 0;
}
";
    // The sanitizer turns an overflow, which would be undefined, into a failure.
    for_each_program(TEXT, &["-fsanitize=signed-integer-overflow", "-fsanitize-undefined-trap-on-error"], |program| {
        let status = run(program, [""; 0]).status;
        assert!(status.success(), "{status}: the code is the line of the check that failed, modulo 256");
    });
}

#[test]
fn macros_with_parameters() {
    const TEXT: &str = r"
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/port.h>
#define CHECK(condition) do { if (!(condition)) return __LINE__; } while (0)
int main(void) {
  CHECK(ZX_INFO_VMO_TYPE(ZX_INFO_VMO_TYPE_PAGED | ZX_INFO_VMO_RESIZABLE) == ZX_INFO_VMO_TYPE_PAGED);
  CHECK(ZX_INFO_VMO_TYPE(ZX_INFO_VMO_CONTIGUOUS) == ZX_INFO_VMO_TYPE_PHYSICAL);
  for (uint32_t type = 0; type < 12; type++) {
    CHECK(ZX_PKT_IS_USER(type) == (type == 0));
    CHECK(ZX_PKT_IS_SIGNAL_ONE(type) == (type == 1));
    CHECK(ZX_PKT_IS_GUEST_BELL(type) == (type == 3));
    CHECK(ZX_PKT_IS_GUEST_MEM(type) == (type == 4));
    CHECK(ZX_PKT_IS_GUEST_IO(type) == (type == 5));
    CHECK(ZX_PKT_IS_GUEST_VCPU(type) == (type == 6));
    CHECK(ZX_PKT_IS_INTERRUPT(type) == (type == 7));
    CHECK(ZX_PKT_IS_PAGE_REQUEST(type) == (type == 9));
  }
  return 0;
}
";
    for_each_program(TEXT, &[], |program| {
        let status = run(program, [""; 0]).status;
        assert!(status.success(), "{status}: the code is the line of the check that failed");
    });
}

#[test]
fn assertions_say_where_and_why_and_abort() {
    const TEXT: &str = r#"
#include <zircon/assert.h>
int main(int argc, char** argv) {
  (void)argv;
  ZX_ASSERT(argc > 0);
  ZX_ASSERT_MSG(argc != 2, "argc is %d", argc);
  ZX_DEBUG_ASSERT(argc != 3);
  ZX_DEBUG_ASSERT_MSG(argc != 3, "argc is %d", argc);
  if (argc == 4) ZX_PANIC("four: %s", "too many");
  return 0;
}
"#;
    const SIGABRT: i32 = 6;
    let check = |program: &Path, args: &[&str], said: Option<&str>| {
        let output = run(program, args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        match said {
            None => assert!(output.status.success() && stderr.is_empty(), "{args:?}: {stderr}"),
            Some(text) => {
                assert_eq!(output.status.signal(), Some(SIGABRT), "{args:?}");
                assert!(stderr.contains(text), "{args:?}: {stderr}");
            }
        }
    };
    let always = |program: &Path| {
        check(program, &[], None);
        check(program, &["2"], Some(": not true: argc != 2\nargc is 2\n"));
        check(program, &["2", "3", "4"], Some("four: too many\n"));
    };
    let debug = Some(": not true: argc != 3\nassertion failed\n");
    for_each_program(TEXT, &[], |program| {
        always(program);
        check(program, &["2", "3"], debug);
    });
    for_each_program(TEXT, &["-DNDEBUG"], |program| {
        always(program);
        check(program, &["2", "3"], None);
    });
    for_each_program(TEXT, &["-DNDEBUG", "-DZX_ASSERT_LEVEL=2"], |program| check(program, &["2", "3"], debug));
    for_each_program(TEXT, &["-DZX_ASSERT_LEVEL=1"], |program| check(program, &["2", "3"], None));
}
