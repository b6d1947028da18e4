//! Memory that runs short in a control group of its own: a process in a real group with a limit is told in time.
//!
//! Needs the right to make a group, which root has as a rule. Where it cannot be made the test says why and is over.
//!
//! The test program runs itself once more, as the process in the group: with [`GROUP`] in its environment it is that.

mod common;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{P, RW, poke};
use zxvm as zx;
use zxvm::MemoryPressure as Level;
use zxvm::sys;

/// Names the folder of the group to the process that is to be in it.
const GROUP: &str = "ZXVM_TEST_GROUP";

const MIB: usize = 1 << 20;

/// What the group may have.
const LIMIT: usize = 400 * MIB;

/// What the process takes at once. Levels begin, in proportion to 2 GiB, with 58 and 29 MiB left.
const AT_ONCE: usize = 300 * MIB;

/// A group that was made, gone at the end.
struct Group(PathBuf);

impl Group {
    /// Below the group of this process, version 1, or beside it, version 2.
    fn make() -> io::Result<Self> {
        let name = format!("zxvm-test-{}", std::process::id());
        let other = io::Error::other;
        let cgroup = fs::read_to_string("/proc/self/cgroup")?;
        let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
        let own = |ours: &dyn Fn(&str) -> bool| {
            let mut lines = cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
            lines.find(|(controllers, _)| ours(controllers)).map(|(_, path)| path.to_owned())
        };
        let mounted = |kind: &str, option: &str| {
            mountinfo.lines().find_map(|line| {
                let (left, right) = line.split_once(" - ")?;
                let options = right.split(' ').nth(2)?;
                let is_it = right.split(' ').next() == Some(kind) && options.split(',').any(|word| word == option);
                is_it.then(|| PathBuf::from(left.split(' ').nth(4).unwrap_or_default()))
            })
        };
        let has_memory = |controllers: &str| controllers.split(',').any(|name| name == "memory");
        let (parent, limit) = if let Some(point) = mounted("cgroup", "memory") {
            let path = own(&has_memory).ok_or_else(|| other("this process is in no group of version 1"))?;
            let inside = point.join(path.trim_start_matches('/'));
            (if inside.is_dir() { inside } else { point }, "memory.limit_in_bytes")
        } else {
            let point = mounted("cgroup2", "rw").ok_or_else(|| other("no hierarchy is mounted for writing"))?;
            let path = own(&str::is_empty).ok_or_else(|| other("this process is in no group of version 2"))?;
            // A group with processes in it can have no groups with limits below.
            let inside = point.join(Path::new(path.trim_start_matches('/')).parent().unwrap_or(Path::new("")));
            (if inside.is_dir() { inside } else { point }, "memory.max")
        };
        let folder = parent.join(name);
        fs::create_dir(&folder)?;
        let group = Self(folder);
        fs::write(group.0.join(limit), LIMIT.to_string())?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Events of all levels.
struct Events([zx::Event; 5]);

impl Events {
    fn new() -> Self {
        let kinds = [
            sys::ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL,
            sys::ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING,
            sys::ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL,
            sys::ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY,
            sys::ZX_SYSTEM_EVENT_OUT_OF_MEMORY,
        ];
        let job = zx::runtime::job_default();
        Self(kinds.map(|kind| zx::system_get_event(&job, kind).unwrap()))
    }

    fn wait(&self, level: Level, until: zx::MonotonicInstant) -> bool {
        self.0[level as usize].wait_one(zx::Signals::EVENT_SIGNALED, until).is_ok()
    }
}

fn soon() -> zx::MonotonicInstant {
    zx::MonotonicInstant::get() + zx::MonotonicDuration::from_millis(50)
}

/// The process in the group.
fn run_short(group: &Path) {
    fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    let events = Events::new();
    assert!(events.wait(Level::Normal, zx::MonotonicInstant::INFINITE_PAST));
    assert_eq!(zx::memory_pressure(), Ok(Level::Normal));

    let vmo = zx::Vmo::create(LIMIT as u64).unwrap();
    let root = zx::runtime::vmar_root_self();
    let at = root.map(0, &vmo, 0, LIMIT, RW).unwrap();
    let mut taken = 0;
    let mut take = |bytes: usize| {
        if group.join("memory.max").exists() {
            // Version 2 tells of no amounts: calls that commit look.
            vmo.op_range(zx::VmoOp::COMMIT, taken as u64, bytes as u64).unwrap();
        } else {
            // The library sees nothing of it: Linux tells.
            (taken..taken + bytes).step_by(P).for_each(|offset| poke(at + offset, 1));
        }
        taken += bytes;
        taken / MIB
    };
    take(AT_ONCE);
    for level in [Level::Warning, Level::Critical] {
        let mut mib = 0;
        while !events.wait(level, soon()) {
            mib = take(MIB);
        }
        println!("{level:?} with {mib} MiB taken of {}", LIMIT / MIB);
        assert!(!events.wait(Level::Normal, zx::MonotonicInstant::INFINITE_PAST));
    }
    assert_eq!(zx::memory_pressure(), Ok(Level::Critical));

    // Given back, it is normal again after a while.
    vmo.op_range(zx::VmoOp::DECOMMIT, 0, LIMIT as u64).unwrap();
    assert!(events.wait(Level::Normal, zx::MonotonicInstant::INFINITE));
    assert_eq!(zx::memory_pressure(), Ok(Level::Normal));
    // SAFETY: nothing points into the mapping.
    unsafe { root.unmap(at, LIMIT).unwrap() };
}

#[test]
fn a_process_in_a_group_with_a_limit_is_told_in_time() {
    if let Some(group) = std::env::var_os(GROUP) {
        return run_short(Path::new(&group));
    }
    let group = match Group::make() {
        Ok(group) => group,
        Err(error) => return println!("skipped: no control group can be made: {error}"),
    };
    let test = "a_process_in_a_group_with_a_limit_is_told_in_time";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(GROUP, &group.0).env_remove("ZXVM_PRESSURE");
    let output = child.output().unwrap();
    let (out, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}");
    assert!(output.status.success(), "{}\n{out}\n{complaint}", output.status);
    assert!(out.contains("Critical with"), "it was no more than told to");
}
