//! The control groups that this process is in and that may limit its memory: version 1, version 2, or both at once.
//!
//! 1. The groups above limit too, so all are listed, from the process's own to the highest that can be seen from here.
//! 2. A group that lies outside of what is mounted (a container without a view of its own) is taken for what is mounted: that
//!    is how containers show it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy of its own for memory.
    One,
    /// One hierarchy for all.
    Two,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How its files are to be read.
    pub version: Version,
    /// Where they are.
    pub folder: PathBuf,
}

/// Where a hierarchy is mounted, and what of it is there.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    root: PathBuf,
    point: PathBuf,
}

/// The groups of this process, those of each hierarchy from its own upwards. All is read below `root`, and what cannot be
/// read there is no group.
pub fn groups(root: &Path) -> Vec<Group> {
    let read = |name: &str| fs::read_to_string(root.join("proc/self").join(name)).unwrap_or_default();
    let (mountinfo, cgroup) = (read("mountinfo"), read("cgroup"));
    let mut found = Vec::new();
    for version in [Version::One, Version::Two] {
        let Some(path) = path_in(&cgroup, version) else { continue };
        let mounts = mountinfo.lines().filter_map(mount).filter(|mount| mount.version == version);
        // Mounted several times, as in a container that shows the whole as well as a part: any that shows the group will do.
        let mounts: Vec<_> = mounts.collect();
        let Some(mount) = mounts.iter().find(|mount| inside(&path, mount).is_some()).or(mounts.first()) else {
            continue;
        };
        let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
        let inside = inside(&path, mount).unwrap_or(Path::new(""));
        let folders = inside.ancestors().map(|group| point.join(group)).filter(|folder| folder.is_dir());
        found.extend(folders.map(|folder| Group { version, folder }));
    }
    found
}

/// The path of a group below where it is mounted, if it is there.
fn inside<'a>(path: &'a Path, mount: &Mount) -> Option<&'a Path> {
    let inside = path.strip_prefix(&mount.root).ok()?;
    inside.components().all(|part| matches!(part, Component::Normal(_))).then_some(inside)
}

/// A line of `mountinfo`, if it is of a hierarchy that may count memory.
fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let (mut left, mut right) = (left.split(' ').skip(3), right.split(' '));
    let (root, point) = (unescaped(left.next()?), unescaped(left.next()?));
    let version = match (right.next()?, right.nth(1)?) {
        ("cgroup", options) if options.split(',').any(|option| option == "memory") => Version::One,
        ("cgroup2", _) => Version::Two,
        _ => return None,
    };
    Some(Mount { version, root, point })
}

/// A path as `mountinfo` writes it: blanks and the like are three octal digits after a backslash.
fn unescaped(word: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// The path of this process in the hierarchy, by the text of `/proc/self/cgroup`.
fn path_in(cgroup: &str, version: Version) -> Option<PathBuf> {
    cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = match version {
            Version::One => controllers.split(',').any(|name| name == "memory"),
            Version::Two => controllers.is_empty(),
        };
        ours.then(|| path.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_belongs_to_the_version() {
        let text = "5:cpu,memory:/box/a:b\n1:name=systemd:/s\n0::/two\n";
        assert_eq!(path_in(text, Version::One), Some("/box/a:b".into()));
        assert_eq!(path_in(text, Version::Two), Some("/two".into()));
        assert_eq!(path_in("1:cpu:/c\n", Version::One), None);
    }

    #[test]
    fn mounts_of_other_kinds_do_not_count() {
        let one = mount("32 30 0:27 /box /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory");
        let expected = Mount { version: Version::One, root: "/box".into(), point: "/sys/fs/cgroup/memory".into() };
        assert_eq!(one, Some(expected));
        let two = mount(r"31 30 0:26 / /sys/fs\040a\134 rw - cgroup2 cgroup2 rw,nsdelegate");
        assert_eq!(two, Some(Mount { version: Version::Two, root: "/".into(), point: r"/sys/fs a\".into() }));
        assert_eq!(mount("24 1 0:22 / /proc rw,relatime - proc proc rw"), None);
        assert_eq!(mount("25 1 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mount("25 1 0:22 /"), None);
    }

    #[test]
    fn a_path_outside_of_what_is_mounted_is_not_inside() {
        let mount = |root: &str| Mount { version: Version::Two, root: root.into(), point: "/m".into() };
        assert_eq!(inside(Path::new("/a/b"), &mount("/")), Some(Path::new("a/b")));
        assert_eq!(inside(Path::new("/a/b"), &mount("/a")), Some(Path::new("b")));
        assert_eq!(inside(Path::new("/a/b"), &mount("/c")), None);
        assert_eq!(inside(Path::new("/../x"), &mount("/")), None);
    }
}
