//! The limits on this process.

use rustix::process::{Resource, getrlimit};

use super::{Finding, State};
use crate::cgroup;
use crate::table::{count, size};

/// All about limits.
pub fn findings() -> Vec<Finding> {
    vec![descriptors(), file_size(), address_space(), group_memory()]
}

/// Descriptors that the engine has open when it has the most: eight stores, the page table, two for accesses that wait, one that names
/// this process, and about six with which memory is watched.
const DESCRIPTORS: u64 = 18;

fn descriptors() -> Finding {
    let limit = getrlimit(Resource::Nofile).current;
    let state = if limit.is_none_or(|limit| limit >= 3 + DESCRIPTORS) { State::Ok } else { State::Limited };
    let follows = match state {
        State::Ok => format!("The engine takes {DESCRIPTORS} at most, whatever is mapped."),
        State::Limited | State::Missing => {
            "VMOs share fewer memory files, which is slower; with none left, NO_RESOURCES.".into()
        }
    };
    Finding::new("open files (-n)", state, limit.map_or("unlimited".into(), count), follows)
}

fn file_size() -> Finding {
    match getrlimit(Resource::Fsize).current {
        None => Finding::new("file size (-f)", State::Ok, "unlimited", "VMOs live in sparse files of 8 EiB.").blocks(),
        Some(limit) => {
            let follows =
                "VMOs live in sparse files of 8 EiB; the kernel ends a process that makes one under this limit.";
            Finding::new("file size (-f)", State::Missing, size(limit), follows).blocks()
        }
    }
}

fn address_space() -> Finding {
    match getrlimit(Resource::As).current {
        None => Finding::new("address space (-v)", State::Ok, "unlimited", "The root VMAR can have its full size."),
        Some(limit) => {
            let follows = "The root VMAR takes up to half of it, and the rest of the program has what is left.";
            Finding::new("address space (-v)", State::Limited, size(limit), follows)
        }
    }
}

fn group_memory() -> Finding {
    match cgroup::memory() {
        None => Finding::new("memory of the group", State::Ok, "unlimited", "No control group limits memory."),
        Some(group) => {
            let found = format!("{} of {} (v{})", size(group.used_bytes), size(group.limit_bytes), group.version);
            let follows = "Committing past it ends the process, not the call: Linux does not refuse memory in advance.";
            Finding::new("memory of the group", State::Limited, found, follows)
        }
    }
}
