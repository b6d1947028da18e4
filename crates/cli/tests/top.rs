//! `zxvm top` as a user runs it, on this process and on others.
//!
//! Where Linux gives no say in page faults there are no pagers; then VMOs without one are watched.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::*;
use serde_json::Value;
use zxvm as zx;
use zxvm_pagers::FilePager;

const PAGE: u64 = 4096;

fn top(arguments: &[&str]) -> Output {
    zxvm(&[&["top"], arguments].concat())
}

/// Runs the command on a socket.
fn top_at(socket: &Path, arguments: &[&str]) -> Output {
    top(&[&["--socket", socket.to_str().unwrap()], arguments].concat())
}

#[track_caller]
fn expect_complaint(output: &Output, part: &str) {
    expect_code(output, 2);
    let complaint = complaint(output);
    assert!(complaint.contains(part), "{part} is not in: {complaint}");
}

fn named<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["vmos"].as_array().unwrap();
    all.iter().find(|vmo| vmo["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// The memory of this process is as the process itself says: by the report, by the tables, and by neither after it has ended that.
#[test]
fn what_is_told_agrees_with_what_the_process_says() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    zx::serve_top(&socket).unwrap();
    let root = zx::runtime::vmar_root_self();

    let plain = zx::Vmo::create(16 * PAGE).unwrap();
    plain.set_name(&zx::Name::new("the plain one").unwrap()).unwrap();
    plain.op_range(zx::VmoOp::COMMIT, 0, 3 * PAGE).unwrap();
    let access = zx::VmarFlags::PERM_READ | zx::VmarFlags::PERM_WRITE;
    let addr = root.map(0, &plain, PAGE, 4 * PAGE as usize, access).unwrap();

    let file = dir.path().join("file");
    fs::write(&file, vec![7; 2 << 20]).unwrap();
    zx::set_memory_budget(Some(1 << 20)).unwrap();
    let pager = FilePager::new(File::options().read(true).write(true).open(&file).unwrap()).ok();
    if let Some(pager) = &pager {
        let vmo = pager.vmo().unwrap();
        vmo.set_name(&zx::Name::new("the paged one").unwrap()).unwrap();
        let mut byte = [0];
        for page in (0..512).chain([0]) {
            vmo.read(&mut byte, page * PAGE).unwrap();
            assert_eq!(byte, [7]);
        }
        vmo.write(&[8], PAGE).unwrap();
    }

    // What is read ahead may be on its way still.
    let (report, stats) = loop {
        let before = zx::memory_stats().unwrap();
        let output = top_at(&socket, &["--json"]);
        expect_code(&output, 0);
        if zx::memory_stats().unwrap() == before {
            break (json(&output), before);
        }
    };
    assert_eq!((&report["zxvm_top"], &report["pid"]), (&1.into(), &std::process::id().into()));
    let told = named(&report, "the plain one");
    let info = plain.info().unwrap();
    for (name, figure) in [
        ("koid", plain.koid().unwrap().raw_koid()),
        ("size", info.size_bytes),
        ("committed", info.committed_bytes),
        ("children", 0),
        ("mappings", 1),
        ("handles", 1),
    ] {
        assert_eq!(told[name], figure, "{name}: {told:#}");
    }
    let maps = report["maps"].as_array().unwrap();
    let mapping = maps.iter().find(|map| map["base"] == addr).unwrap();
    let expected = ["mapping".into(), (4 * PAGE).into(), Value::from("rw-"), (2 * PAGE).into(), PAGE.into()];
    assert_eq!(["kind", "size", "prot", "committed", "offset"].map(|key| &mapping[key]), expected.each_ref());
    assert_eq!(maps[0]["name"], "root");

    let memory = &report["memory"];
    assert_eq!(memory["budget"], 1 << 20);
    for (name, figure) in [
        ("resident", stats.resident),
        ("dirty", stats.dirty),
        ("supplied", stats.supplied),
        ("evicted", stats.evicted),
        ("faults", stats.faults),
        ("starved", stats.starved),
    ] {
        assert_eq!(memory[name], figure, "{name}: {memory:#}");
    }
    if let Some(pager) = &pager {
        let told = named(&report, "the paged one");
        assert_eq!((&told["kind"], &told["dirty"]), (&"pager".into(), &PAGE.into()), "{told:#}");
        assert_eq!(told["committed"], pager.vmo().unwrap().info().unwrap().committed_bytes);
        assert!(stats.evicted >= 1 << 20 && stats.dirty == PAGE, "{stats:?}");
    }
    assert!(["normal", "warning", "critical"].contains(&report["pressure"]["level"].as_str().unwrap()));

    let output = top_at(&socket, &["--once"]);
    expect_code(&output, 0);
    let tables = text(&output);
    for part in ["of pagers' memory", "VMAR root", &format!("{addr:#x}")] {
        assert!(tables.contains(part), "{part} is not in\n{tables}");
    }
    let row = tables.lines().find(|line| line.contains("the plain one")).unwrap();
    let row = row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(row.ends_with("the plain one plain 64 KiB 12 KiB 0 B 0 1 1"), "{row}");
    // With nothing to show it on the live view says so.
    expect_complaint(&top_at(&socket, &[]), "there is no terminal");

    zx::stop_serving_top().unwrap();
    expect_complaint(&top_at(&socket, &["--json"]), "there is no such socket");
    // SAFETY: nothing refers to the memory.
    unsafe { root.unmap(addr, 4 * PAGE as usize).unwrap() };
}

/// A process that never ends by itself: the command pages through a file, over and over.
struct Victim {
    child: Child,
    dir: tempfile::TempDir,
}

impl Victim {
    /// Watched at its usual place, if at all; `None` where there are no pagers.
    fn start(is_watched: bool) -> Option<Self> {
        Self::start_as(is_watched.then_some("1"), None)
    }

    /// Watched at this socket; `None` where there are no pagers.
    fn start_at(socket: &Path) -> Option<Self> {
        Self::start_as(socket.to_str(), Some(socket))
    }

    fn start_as(top: Option<&str>, socket: Option<&Path>) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, vec![7; 4 << 20]).unwrap();
        let mut command = Command::new(ZXVM);
        command.args(["page", file.to_str().unwrap(), "--pattern", "random", "--touches", "1000000000000"]);
        command.env("ZXVM_BUDGET", "1M").env("XDG_RUNTIME_DIR", dir.path()).env_remove("ZXVM_TOP");
        if let Some(top) = top {
            command.env("ZXVM_TOP", top);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut victim = Self { child: command.spawn().unwrap(), dir };
        let socket = socket.map_or_else(|| victim.socket(), Path::to_path_buf);
        // It ends at once where it can have no pager.
        while top.is_some() && !socket.exists() {
            if victim.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::yield_now();
        }
        Some(victim)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join(format!("zxvm-top.{}", self.child.id()))
    }

    /// What is told of it, once it has taken pages out of memory. `None`: it cannot have a pager.
    fn report(&mut self) -> Option<Value> {
        loop {
            let output = top(&[&self.child.id().to_string(), "--json"]);
            if output.status.success() {
                let report = json(&output);
                if report["memory"]["evicted"].as_u64().unwrap() > 0 {
                    return Some(report);
                }
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn another_process_is_found_by_its_number_and_its_death_is_told() {
    let Some(mut victim) = Victim::start(true) else { return };
    assert_eq!(fs::metadata(victim.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    let Some(report) = victim.report() else { return };
    assert_eq!(report["pid"], victim.child.id());
    let (memory, vmos) = (&report["memory"], report["vmos"].as_array().unwrap());
    assert_eq!(memory["budget"], 1 << 20);
    assert!(memory["resident"].as_u64().unwrap() <= 1 << 20 && memory["faults"].as_u64().unwrap() > 0, "{memory:#}");
    assert!(vmos.iter().any(|vmo| vmo["kind"] == "pager" && vmo["size"] == 4 << 20), "{vmos:#?}");

    let pid = victim.child.id().to_string();
    // Whoever watches needs no engine, and so none of what that needs.
    let output = zxvm_with_limit("-f 0", &["top", &pid, "--once"]);
    expect_code(&output, 0);
    assert!(text(&output).contains("4 MiB"), "{}", text(&output));

    victim.kill();
    expect_complaint(&top(&[&pid, "--json"]), &format!("there is no process {pid}"));
    // A killed process leaves its socket.
    expect_complaint(&top_at(&victim.socket(), &["--once"]), "its process has ended");
}

#[test]
fn a_process_that_was_not_asked_is_not_watched() {
    let victim = Victim::start(false).unwrap();
    let pid = victim.child.id().to_string();
    for arguments in [&[&*pid, "--once"][..], &[&*pid, "--json"], &[&*pid]] {
        expect_complaint(&top(arguments), "start it with ZXVM_TOP=1");
    }
    assert!(!victim.socket().exists());
}

#[test]
fn what_is_no_socket_of_a_watched_process_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    expect_complaint(&top_at(&path, &["--json"]), "there is no such socket");
    fs::write(&path, "").unwrap();
    expect_complaint(&top_at(&path, &["--json"]), "this is no socket");
    let other = dir.path().join("y");
    let listener = UnixListener::bind(&other).unwrap();
    let answers =
        [("hello\n", "what is told there is no report"), ("{", "while it answered"), ("", "while it answered")];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (answer, _) in answers {
                use std::io::{Read, Write};
                let mut stream = listener.accept().unwrap().0;
                let mut question = [0; 11];
                stream.read_exact(&mut question).unwrap();
                assert_eq!(&question, b"zxvm-top 1\n");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        for (_, why) in answers {
            expect_complaint(&top_at(&other, &["--json"]), why);
        }
    });
    for arguments in [&[][..], &["0"], &["12", "--socket", "/a"], &["12", "--every", "1h"], &["x"]] {
        expect_code(&top(arguments), 2);
    }
    expect_complaint(&top(&["2147483647"]), "there is no process 2147483647");
}

/// Needs root, and `setpriv`, to become somebody else.
#[test]
fn another_user_is_refused() {
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).args(arguments);
        quiet(&mut command)
    };
    let can_become =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|it| it.status.success());
    if !rustix::process::geteuid().is_root() || !can_become("setpriv") || !as_nobody(&["true"]).status.success() {
        return;
    }
    // The command is where everybody may run it, and the socket where everybody may look.
    let dir = tempfile::tempdir().unwrap();
    let command = dir.path().join("zxvm");
    fs::copy(ZXVM, &command).unwrap();
    for path in [dir.path(), &command] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let socket = dir.path().join("socket");
    let Some(victim) = Victim::start_at(&socket) else { return };
    let ask = || as_nobody(&[command.to_str().unwrap(), "top", "--json", "--socket", socket.to_str().unwrap()]);
    expect_complaint(&ask(), "another user's");
    // Also if the file lets it in.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    expect_complaint(&ask(), "it says: another user");
    expect_code(&top_at(&socket, &["--json"]), 0);
    // By its number it is not even found.
    let pid = victim.child.id().to_string();
    expect_complaint(&as_nobody(&[command.to_str().unwrap(), "top", "--once", &pid]), "is another user's");
}
