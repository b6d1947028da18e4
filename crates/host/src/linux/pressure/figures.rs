//! How much memory is left: read from the files of the system and of the control groups.
//!
//! 1. All files are looked for below a root folder, so that tests bring their own.
//! 2. A file that is not there, or does not say what it should, limits nothing. Only without the figures of the system is
//!    there no answer.
//! 3. What can still be had in a group is its limit less what is used, and what is used less what the kernel would give
//!    back first: cache of files that nobody has used lately (`inactive_file`). Memory of VMOs is never given back so: it is
//!    charged as shared memory, for which the kernel needs swap.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::groups::{Group, Version};

/// Bytes that one limit allows, and what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The group that has it; `None`: the machine.
    pub group: Option<PathBuf>,
    /// Bytes that there are.
    pub total: u64,
    /// Bytes of them that can still be had.
    pub left: u64,
}

/// Version 1 says "no limit" with a number of about this size, version 2 with a word.
const NO_LIMIT: u64 = 1 << 62;

/// All limits that count here, the machine first.
///
/// # Errors
/// `/proc/meminfo` cannot be read (below `root`), or does not say how much memory there is.
pub fn limits(root: &Path, groups: &[Group]) -> io::Result<Vec<Limit>> {
    let text = fs::read_to_string(root.join("proc/meminfo"))?;
    let (total, left) = system(&text).ok_or(io::ErrorKind::InvalidData)?;
    let machine = Limit { group: None, total, left };
    Ok(std::iter::once(machine).chain(groups.iter().filter_map(of_group)).collect())
}

/// Total and left, by the text of `/proc/meminfo`.
fn system(text: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some((field("MemTotal:")?, field("MemAvailable:").or_else(|| field("MemFree:"))?))
}

/// The limit of one group, if it has one.
fn of_group(group: &Group) -> Option<Limit> {
    let read = |name: &str| fs::read_to_string(group.folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    // A word, "max", is no number.
    let limit = |name: &str| number(name).filter(|&limit| limit < NO_LIMIT);
    let (total, used) = match group.version {
        Version::One => (limit("memory.limit_in_bytes")?, number("memory.usage_in_bytes")?),
        // Past the lower of the two the kernel lets nobody take memory without giving some back.
        Version::Two => (limit("memory.max").into_iter().chain(limit("memory.high")).min()?, number("memory.current")?),
    };
    let given_back = read("memory.stat").and_then(|stat| inactive_file(&stat)).unwrap_or(0);
    let left = total.saturating_sub(used.saturating_sub(given_back));
    Some(Limit { group: Some(group.folder.clone()), total, left })
}

/// Bytes of cache that is given back first. Version 1 has them of the group alone and, under another name, with those of the
/// groups below, which is how usage is counted.
fn inactive_file(stat: &str) -> Option<u64> {
    let field = |name: &str| {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        stat.lines().find_map(value)
    };
    field("total_inactive_file").or_else(|| field("inactive_file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_counts_and_else_what_is_free() {
        let text = "MemTotal:       1000 kB\nMemFree:          10 kB\nMemAvailable:    500 kB\n";
        assert_eq!(system(text), Some((1_024_000, 512_000)));
        assert_eq!(system("MemTotal: 8 kB\nMemFree: 2 kB\n"), Some((8192, 2048)));
        for bad in ["", "MemTotal: 8 kB\n", "MemTotal: 8\nMemFree: 2 kB\n", "MemTotal: 99999999999999999999 kB\n"] {
            assert_eq!(system(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_the_inactive_cache_is_given_back() {
        assert_eq!(inactive_file("anon 7\nshmem 5\nactive_file 10\ninactive_file 5\n"), Some(5));
        assert_eq!(inactive_file("inactive_file 1\ntotal_inactive_file 4\n"), Some(4));
        assert_eq!(inactive_file("inactive_file x\n"), None);
        assert_eq!(inactive_file("inactive_anon 9\n"), None);
    }
}
