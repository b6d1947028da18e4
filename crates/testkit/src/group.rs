//! Control groups with a limit on memory, for a child process that is to be short of it.
//!
//! 1. A group is made below the one that this process is in (version 1), or beside it (version 2, where a group with processes in it
//!    can have no groups with limits below), and is removed at the end. Nothing else is changed.
//! 2. A process enters it by itself, as the first thing it does ([`enter`]).
//! 3. To make one takes rights which root has as a rule. Where it cannot be made the error says why; who asked passes over it.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A group that was made. Dropping it removes it: all who entered it are to have ended.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
}

impl MemoryGroup {
    /// Makes one whose processes may have `limit` bytes together, with what Linux caches of files for them.
    ///
    /// # Errors
    /// There are no control groups for memory, or this process may make none.
    pub fn new(limit: u64) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (parent, file) =
            place(&fs::read_to_string("/proc/self/cgroup")?, &fs::read_to_string("/proc/self/mountinfo")?)?;
        let name = format!("zxvm-short-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let group = Self { folder: parent.join(name) };
        fs::create_dir(&group.folder)?;
        fs::write(group.folder.join(file), limit.to_string())?;
        Ok(group)
    }

    /// What [`enter`] is to be told.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// This process is in the group from here on.
///
/// # Errors
/// It may not.
pub fn enter(folder: &Path) -> Result<()> {
    fs::write(folder.join("cgroup.procs"), std::process::id().to_string())
}

/// In which folder a group can be made, and which of its files has the limit.
fn place(cgroup: &str, mountinfo: &str) -> Result<(PathBuf, &'static str)> {
    // Version 1 first: where it has the memory controller, version 2 has not.
    if let Some(point) = mounted(mountinfo, "cgroup", "memory") {
        let path = path_of(cgroup, |controllers| controllers.split(',').any(|name| name == "memory"))?;
        return Ok((below(point, Path::new(path)), "memory.limit_in_bytes"));
    }
    let point = mounted(mountinfo, "cgroup2", "rw").ok_or_else(|| Error::other("no control groups are mounted"))?;
    let path = Path::new(path_of(cgroup, str::is_empty)?);
    Ok((below(point, path.parent().unwrap_or(path)), "memory.max"))
}

/// Where a hierarchy of this type and with this option is mounted.
fn mounted(mountinfo: &str, kind: &str, option: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let is_it = right.next() == Some(kind) && right.nth(1)?.split(',').any(|word| word == option);
        is_it.then(|| left.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// The path of this process in the hierarchy whose controllers are the right ones.
fn path_of(cgroup: &str, right: impl Fn(&str) -> bool) -> Result<&str> {
    let mut lines = cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let found = lines.find(|(controllers, _)| right(controllers));
    found.map(|(_, path)| path).ok_or_else(|| Error::other("this process is in no group for memory"))
}

/// The folder of a group, or the root of what can be seen where the group is outside of that.
fn below(point: PathBuf, path: &Path) -> PathBuf {
    let inside = point.join(path.strip_prefix("/").unwrap_or(path));
    if inside.is_dir() { inside } else { point }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "32 30 0:27 / /nowhere/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";
    const TWO: &str = "31 30 0:26 / /nowhere/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_hierarchy_that_limits_memory_is_found() {
        let both = format!("{TWO}{ONE}");
        let found = place("4:memory:/box\n0::/two\n", &both).unwrap();
        assert_eq!(found, ("/nowhere/memory".into(), "memory.limit_in_bytes"), "its groups cannot be seen from here");
        assert_eq!(place("0::/two\n", TWO).unwrap(), ("/nowhere/unified".into(), "memory.max"));
        assert!(place("0::/two\n", "").is_err() && place("1:cpu:/c\n", &both).is_err());
    }
}
