//! Trees of files as they are on real machines, and the thread on this one.

use super::*;
use std::fs;
use std::sync::mpsc::{Sender, channel};

const MIB: u64 = 1 << 20;

/// A folder of files, gone at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("zxvm-pressure-{}-{name}", std::process::id()));
        let tree = Self(root);
        for (path, text) in files {
            tree.put(path, text);
        }
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn left_and_total_mib(&self) -> (u64, u64) {
        let (left, total) = left_and_total(&self.0).unwrap();
        (left / MIB, total / MIB)
    }

    fn folders(&self) -> Vec<String> {
        let inside = |group: groups::Group| group.folder.strip_prefix(&self.0).unwrap().display().to_string();
        groups::groups(&self.0).into_iter().map(inside).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// 8 GiB, 5 of them available.
const MEMINFO: (&str, &str) = (
    "proc/meminfo",
    "MemTotal:        8388608 kB\nMemFree:          102400 kB\nMemAvailable:    5242880 kB\nBuffers: 1 kB\n",
);

#[test]
fn without_groups_the_machine_counts() {
    let tree = Tree::new("plain", &[MEMINFO]);
    assert_eq!(tree.left_and_total_mib(), (5120, 8192));
    let nothing = Tree::new("nothing", &[]);
    assert_eq!(left_and_total(&nothing.0), Err(HostError::Other(libc::ENOENT)));
    let broken = Tree::new("broken", &[("proc/meminfo", "MemTotal: many\n")]);
    assert_eq!(left_and_total(&broken.0), Err(HostError::Other(libc::EPROTO)));
}

#[test]
fn in_version_2_every_group_above_limits_by_max_and_high() {
    let tree = Tree::new(
        "two",
        &[
            MEMINFO,
            ("proc/self/cgroup", "0::/outer/inner\n"),
            ("proc/self/mountinfo", "31 30 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"),
            ("sys/fs/cgroup/memory.stat", "inactive_file 0\n"),
            ("sys/fs/cgroup/outer/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/outer/memory.high", "max\n"),
            ("sys/fs/cgroup/outer/memory.current", "943718400\n"),
            ("sys/fs/cgroup/outer/memory.stat", "anon 3\nactive_file 104857600\ninactive_file 52428800\n"),
            ("sys/fs/cgroup/outer/inner/memory.max", "max\n"),
            ("sys/fs/cgroup/outer/inner/memory.high", "max\n"),
            ("sys/fs/cgroup/outer/inner/memory.current", "943718400\n"),
        ],
    );
    assert_eq!(tree.folders(), ["sys/fs/cgroup/outer/inner", "sys/fs/cgroup/outer", "sys/fs/cgroup"]);
    assert_eq!(tree.left_and_total_mib(), (174, 1024), "1024 less 900, and 50 of cache that goes first");
    tree.put("sys/fs/cgroup/outer/inner/memory.high", "964689920\n");
    assert_eq!(tree.left_and_total_mib(), (20, 920), "the group of its own, by what it is throttled at");
    tree.put("sys/fs/cgroup/outer/inner/memory.current", "1048576000\n");
    assert_eq!(tree.left_and_total_mib(), (0, 920), "past it");
    tree.put("sys/fs/cgroup/outer/inner/memory.stat", "inactive_file 9000000000\n");
    tree.put("sys/fs/cgroup/outer/memory.max", "max\n");
    assert_eq!(tree.left_and_total_mib(), (920, 920), "no more cache than is used");
}

#[test]
fn in_version_1_a_limit_as_large_as_can_be_is_none() {
    let group = "sys/fs/cgroup/memory/c1";
    let tree = Tree::new(
        "one",
        &[
            MEMINFO,
            ("proc/self/cgroup", "4:cpuset,memory:/box/c1\n1:name=systemd:/s\n0::/\n"),
            (
                "proc/self/mountinfo",
                "31 30 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                 32 30 0:27 /box /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,cpuset,memory\n",
            ),
            ("sys/fs/cgroup/unified/cgroup.procs", ""),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "4194304000\n"),
        ],
    );
    for (name, text) in [
        ("memory.limit_in_bytes", "419430400\n"),
        ("memory.usage_in_bytes", "209715200\n"),
        ("memory.stat", "inactive_file 1\nhierarchical_memory_limit 419430400\ntotal_inactive_file 10485760\n"),
    ] {
        tree.put(&format!("{group}/{name}"), text);
    }
    assert_eq!(tree.folders(), [group, "sys/fs/cgroup/memory", "sys/fs/cgroup/unified"]);
    assert_eq!(tree.left_and_total_mib(), (210, 400));
    tree.put(&format!("{group}/memory.limit_in_bytes"), "9223372036854771712\n");
    assert_eq!(tree.left_and_total_mib(), (5120, 8192));
}

#[test]
fn a_container_that_sees_its_own_group_only_is_limited_by_it() {
    let tree = Tree::new(
        "container",
        &[
            MEMINFO,
            // The path is that of outside, the mount has only the group itself.
            ("proc/self/cgroup", "0::/system.slice/box\n"),
            ("proc/self/mountinfo", "31 30 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup ro\n"),
            ("sys/fs/cgroup/memory.max", "104857600\n"),
            ("sys/fs/cgroup/memory.current", "94371840\n"),
        ],
    );
    assert_eq!(tree.folders(), ["sys/fs/cgroup"]);
    assert_eq!(tree.left_and_total_mib(), (10, 100));
}

#[test]
fn what_is_refused_is_left_out() {
    // Ordinary files are no controls: some cannot be opened, and none can be waited for.
    let tree = Tree::new(
        "refused",
        &[
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n0::/\n"),
            (
                "proc/self/mountinfo",
                "31 30 0:26 / /two rw - cgroup2 cgroup2 rw\n32 30 0:27 / /one rw - cgroup cgroup rw,memory\n",
            ),
            ("one/memory.limit_in_bytes", "419430400\n"),
            ("one/memory.usage_in_bytes", "209715200\n"),
            ("one/cgroup.event_control", ""),
            ("two/memory.events", "low 0\n"),
        ],
    );
    fs::create_dir_all(tree.0.join("proc/pressure/memory")).unwrap();
    let groups = groups::groups(&tree.0);
    let limits = figures::limits(&tree.0, &groups).unwrap();
    let signs = Signs::open(&tree.0, &groups, &limits, &[100 * MIB, 500 * MIB]);
    assert!(!signs.miss_amounts(), "the one limit is told of");
    fs::remove_file(tree.0.join("one/cgroup.event_control")).unwrap();
    assert!(Signs::open(&tree.0, &groups, &limits, &[]).miss_amounts());
    tree.put("one/cgroup.event_control", "");
    let signs = Signs::open(&tree.0, &groups, &limits, &[100 * MIB, 500 * MIB]);
    let asked: Vec<_> = signs.asked().iter().map(|asked| (asked.kind, asked.result)).collect();
    let is_folder = Err(rustix::io::Errno::ISDIR);
    let expected =
        [(Kind::Stall, is_folder), (Kind::SlowStall, is_folder), (Kind::Usage, Ok(())), (Kind::Event, Ok(()))];
    assert_eq!(asked, expected);
    let lines = fs::read_to_string(tree.0.join("one/cgroup.event_control")).unwrap();
    assert!(lines.ends_with(" 4096"), "a mark above the limit is crossed by the first page: {lines:?}");
}

#[derive(Debug)]
struct Told(Sender<u64>, Option<Duration>);

impl PressureSink for Told {
    fn memory_left(&self, left: u64) -> Option<Duration> {
        let _ = self.0.send(left);
        self.1
    }
}

#[test]
fn the_thread_tells_at_the_start_and_when_asked_and_ends_with_the_watcher() {
    let tree = Tree::new("thread", &[MEMINFO]);
    let (sender, told) = channel();
    let sink: Arc<dyn PressureSink> = Arc::new(Told(sender, None));
    let watcher = Watcher::new(tree.0.clone(), Arc::downgrade(&sink)).unwrap();
    assert_eq!(told.recv(), Ok(5120 * MIB));
    // There are no signs here, so whatever time passes, nobody looks.
    std::thread::sleep(5 * GAP);
    assert!(told.try_recv().is_err());
    tree.put("proc/meminfo", "MemTotal: 2048 kB\nMemAvailable: 1024 kB\n");
    watcher.look();
    // A look that was under way when the file was put in place may have found it half written.
    while told.recv().unwrap() != MIB {}
    let thread = Arc::downgrade(&watcher.0);
    drop(watcher);
    while thread.strong_count() > 0 {
        std::thread::yield_now();
    }
    drop(sink);
    assert!(told.try_iter().all(|left| left == MIB));
}

#[test]
fn the_thread_tells_again_when_the_sink_wants_it() {
    let tree = Tree::new("again", &[MEMINFO]);
    let (sender, told) = channel();
    let sink: Arc<dyn PressureSink> = Arc::new(Told(sender, Some(Duration::from_millis(1))));
    let watcher = Watcher::new(tree.0.clone(), Arc::downgrade(&sink)).unwrap();
    for _ in 0..3 {
        assert_eq!(told.recv(), Ok(5120 * MIB));
    }
    // Without the sink there is nobody to tell, and the thread ends by itself.
    drop(sink);
    while Arc::strong_count(&watcher.0) > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn this_machine_has_figures_that_make_sense() {
    let (left, total) = left_and_total(Path::new(ROOT)).unwrap();
    assert!(0 < left && left <= total, "{left} of {total}");
    let report = report(&[64 * MIB]).unwrap();
    assert_eq!(report.limits[0].group, None);
    assert_eq!(report.limits.iter().map(|limit| limit.total).min(), Some(total));
    for asked in report.signs {
        assert!(asked.file.exists(), "{asked:?}");
    }
}
