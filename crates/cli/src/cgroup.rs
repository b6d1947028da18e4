//! The memory limit of the control group that this process is in, version 1 or 2.
//!
//! The groups above limit too, so all of them are asked, as far up as they can be seen from here.

use std::fs;
use std::path::{Path, PathBuf};

/// The tightest limit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Version of the control groups: 1 or 2.
    pub version: u8,
    /// Bytes that the processes of the group can have together.
    pub limit_bytes: u64,
    /// Bytes they have and would not give back; what is only cached of files does not count.
    pub used_bytes: u64,
}

/// Where a hierarchy is mounted, and what of it is there.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: u8,
    root: PathBuf,
    point: PathBuf,
}

/// The tightest limit on this process; `None` without one.
pub fn memory() -> Option<Group> {
    let mount = find_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
    let path = find_path(&fs::read_to_string("/proc/self/cgroup").ok()?, mount.version)?;
    // A path outside what is mounted: what is mounted is then all that can be seen of the group.
    let inside = path.strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let (limit, used) = match mount.version {
        1 => ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        _ => ("memory.max", "memory.current"),
    };
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let cached = |path: PathBuf| fs::read_to_string(path).map_or(0, |stat| file_cache(&stat));
    let groups = inside.ancestors().filter_map(|group| {
        let dir = mount.point.join(group);
        let limit_bytes = number(dir.join(limit)).filter(|&limit| limit < NO_LIMIT)?;
        let used_bytes = number(dir.join(used))?.saturating_sub(cached(dir.join("memory.stat")));
        Some(Group { version: mount.version, limit_bytes, used_bytes })
    });
    groups.min_by_key(|group| group.limit_bytes.saturating_sub(group.used_bytes))
}

/// Version 1 writes "no limit" as a number of about this size, version 2 as a word.
const NO_LIMIT: u64 = 1 << 62;

/// Bytes of file cache in `memory.stat`. Version 1 has the numbers of the group alone and, under other names, those of
/// the groups below as well, as version 2 has them.
fn file_cache(stat: &str) -> u64 {
    let field = |name: &str| {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
        stat.lines().find_map(value)
    };
    let both = |names: [&str; 2]| Some(field(names[0])? + field(names[1])?);
    both(["total_active_file", "total_inactive_file"]).or(both(["active_file", "inactive_file"])).unwrap_or(0)
}

/// The hierarchy that counts memory. Version 1 first: where it has the memory controller, version 2 has not.
fn find_mount(mountinfo: &str) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let (mut left, mut right) = (left.split(' ').skip(3), right.split(' '));
        let (root, point) = (left.next()?.into(), left.next()?.into());
        let version = match (right.next()?, right.nth(1)?) {
            ("cgroup", options) if options.split(',').any(|option| option == "memory") => 1,
            ("cgroup2", _) => 2,
            _ => return None,
        };
        Some(Mount { version, root, point })
    });
    mounts.min_by_key(|mount| mount.version)
}

/// The path of this process in that hierarchy.
fn find_path(cgroup: &str, version: u8) -> Option<PathBuf> {
    cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = match version {
            1 => controllers.split(',').any(|name| name == "memory"),
            _ => controllers.is_empty(),
        };
        ours.then(|| path.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "\
24 1 0:22 / /proc rw,relatime - proc proc rw
31 30 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
32 30 0:27 /box /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
";

    #[test]
    fn the_hierarchy_with_the_memory_controller_counts() {
        let first = Mount { version: 1, root: "/box".into(), point: "/sys/fs/cgroup/memory".into() };
        assert_eq!(find_mount(BOTH), Some(first));
        let second = Mount { version: 2, root: "/".into(), point: "/sys/fs/cgroup".into() };
        assert_eq!(find_mount("31 30 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"), Some(second));
        assert_eq!(find_mount("24 1 0:22 / /proc rw,relatime - proc proc rw\n"), None);
    }

    #[test]
    fn the_path_belongs_to_the_version() {
        let text = "5:cpu,memory:/box/a:b\n1:name=systemd:/s\n0::/two\n";
        assert_eq!(find_path(text, 1), Some("/box/a:b".into()));
        assert_eq!(find_path(text, 2), Some("/two".into()));
        assert_eq!(find_path("1:cpu:/c\n", 1), None);
    }

    #[test]
    fn the_cache_is_that_of_the_groups_below_too() {
        assert_eq!(file_cache("anon 7\nactive_file 10\ninactive_file 5\n"), 15);
        assert_eq!(file_cache("active_file 1\ninactive_file 1\ntotal_active_file 3\ntotal_inactive_file 4\n"), 7);
        assert_eq!(file_cache("active_anon 9\n"), 0);
    }
}
