//! What the kernel can do, and how it is set up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Resource, getrlimit};
use zxvm_host::PAGE_SIZE;
use zxvm_host::linux::probe;
use zxvm_host::linux::ring::Ring;

use super::{Finding, State, number, setting};
use crate::procfs::kernel_version;
use crate::witness::huge_shared_pages;

/// A memory file as large as a store, if it can be had.
pub struct Store(Result<OwnedFd, NoStore>);

/// Why not.
enum NoStore {
    /// It would end the process.
    NotTried,
    /// The kernel refused.
    Refused(io::Error),
}

impl Store {
    /// Makes one, if that is no danger.
    pub fn try_one() -> Self {
        Self(match getrlimit(Resource::Fsize).current {
            Some(_) => Err(NoStore::NotTried),
            None => probe::store().map_err(NoStore::Refused),
        })
    }

    /// Whether there is.
    pub fn can_be_had(&self) -> bool {
        self.0.is_ok()
    }
}

/// All about the kernel.
pub fn findings(store: Store) -> Vec<Finding> {
    let mut findings = vec![version(), page_size(), memory_files(&store)];
    if let Ok(store) = &store.0 {
        findings.extend([populate(store), executable(store), guard(store)]);
    }
    findings.extend([pagemap_scan(), ring(), huge_pages(), mappings(), overcommit()]);
    findings
}

fn version() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let (state, follows) = match kernel_version(&release) {
        Some(version) if version >= (6, 1) => (State::Ok, "zxvm needs 6.1 or later."),
        Some(_) | None => (State::Limited, "zxvm is made for 6.1 and later. It may run; nobody has tried."),
    };
    Finding::new("version", state, release, follows)
}

fn page_size() -> Finding {
    let bytes = rustix::param::page_size() as u64;
    let state = if bytes == PAGE_SIZE { State::Ok } else { State::Missing };
    Finding::new(
        "page size",
        state,
        format!("{} bytes", crate::table::count(bytes)),
        "The engine knows pages of 4,096 bytes only.",
    )
    .blocks()
}

fn memory_files(store: &Store) -> Finding {
    let (state, found) = match &store.0 {
        Ok(_) => (State::Ok, "memfd_create works".to_owned()),
        Err(NoStore::NotTried) => (State::Missing, "not tried (file size limit)".to_owned()),
        Err(NoStore::Refused(error)) => {
            let noexec = number("/proc/sys/vm/memfd_noexec").filter(|&level| level > 1);
            let why = noexec.map_or(String::new(), |level| format!("; vm.memfd_noexec is {level}"));
            (State::Missing, format!("memfd_create: {error}{why}"))
        }
    };
    Finding::new("memory files", state, found, "VMOs live in them.").blocks()
}

fn populate(store: &OwnedFd) -> Finding {
    let follows = "COMMIT and MAP_RANGE enter pages with it.";
    tried("MADV_POPULATE", probe::populate(store.as_fd()), State::Missing, follows, follows).blocks()
}

fn executable(store: &OwnedFd) -> Finding {
    let fine = "VMOs can be mapped executable.";
    let less = "VMOs cannot be mapped executable; such maps fail.";
    tried("executable memory", probe::executable(store.as_fd()), State::Limited, fine, less)
}

fn guard(store: &OwnedFd) -> Finding {
    let follows = "Not used by this version (Linux 6.15 has them).";
    tried("guard pages", probe::guard(store.as_fd()), State::Limited, follows, follows)
}

fn pagemap_scan() -> Finding {
    let fine = "MAP_RANGE finds missing entries with one call.";
    let less = "MAP_RANGE reads the page table entry by entry: about three times slower (Linux 6.7 has it).";
    tried("PAGEMAP_SCAN", probe::pagemap_scan(), State::Limited, fine, less)
}

fn ring() -> Finding {
    let fine = "Pagers for files have many transfers under way at once.";
    let less =
        "Pagers for files make one transfer after the other: with O_DIRECT, writing back takes about twice as long.";
    tried("io_uring", Ring::new(1).map(drop).map_err(io::Error::other), State::Limited, fine, less)
}

/// A finding about something that was tried: `fine` follows from success, `less` from failure.
fn tried(subject: &'static str, result: io::Result<()>, failed: State, fine: &str, less: &str) -> Finding {
    match result {
        Ok(()) => Finding::new(subject, State::Ok, "works", fine),
        Err(error) => Finding::new(subject, failed, error.to_string(), less),
    }
}

fn huge_pages() -> Finding {
    let subject = "huge shared pages";
    match huge_shared_pages() {
        None => {
            let found = setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
            let found =
                found.as_deref().and_then(crate::procfs::chosen).map_or("not built in".to_owned(), str::to_owned);
            Finding::new(subject, State::Ok, found, "Committed bytes are exact, page by page.")
        }
        Some(chosen) => {
            let follows = "More may be committed than asked for, and DECOMMIT of a part may free nothing.";
            Finding::new(subject, State::Limited, chosen, follows)
        }
    }
}

fn mappings() -> Finding {
    const USUAL: u64 = 65_530;
    let count = number("/proc/sys/vm/max_map_count");
    let state = if count.is_none_or(|count| count >= USUAL) { State::Ok } else { State::Limited };
    let found = count.map_or("unknown".to_owned(), crate::table::count);
    let follows = "So many runs of equal protection; then NO_MEMORY.";
    Finding::new("vm.max_map_count", state, found, follows)
}

fn overcommit() -> Finding {
    let mode = number("/proc/sys/vm/overcommit_memory");
    let (state, follows) = match mode {
        Some(2) => {
            let follows =
                "Commits fail with NO_MEMORY at the limit, and a store through a mapping ends the process there.";
            (State::Limited, follows)
        }
        Some(_) | None => (State::Ok, "Memory is taken when it is used."),
    };
    Finding::new("vm.overcommit_memory", state, mode.map_or("unknown".to_owned(), |mode| mode.to_string()), follows)
}
