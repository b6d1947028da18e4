//! A say in page faults, which snapshots of mapped VMOs need, and pagers.

use std::io;

use zxvm_host::HostError;
use zxvm_host::linux::Delivery;
use zxvm_host::linux::probe::{self, UffdFeatures, Userfaultfd};

use super::{Finding, SIGBUS, State, number, signal_is_set};

/// What there is of userfaultfd.
pub struct Faults(Userfaultfd);

impl Faults {
    /// Tries all ways.
    pub fn try_all() -> Self {
        Self(probe::userfaultfd())
    }

    /// What decides on snapshots of mapped VMOs.
    pub fn for_snapshots(&self) -> Vec<Finding> {
        let deliveries = [Delivery::Thread, Delivery::InThread].map(delivery);
        std::iter::once(access(&self.0)).chain(self.features(&FOR_SNAPSHOTS)).chain(deliveries).collect()
    }

    /// What decides on pagers.
    pub fn for_pagers(&self) -> Vec<Finding> {
        self.features(&FOR_PAGERS)
    }

    fn features(&self, wanted: &[Feature]) -> Vec<Finding> {
        let Some(there) = self.0.features else { return Vec::new() };
        let finding = |&Feature { name, bit, since, with, without }: &Feature| {
            if there.contains(bit) {
                Finding::new(name, State::Ok, "there", with)
            } else {
                Finding::new(name, State::Missing, format!("Linux {since} has it"), without)
            }
        };
        wanted.iter().map(finding).collect()
    }
}

struct Feature {
    name: &'static str,
    bit: UffdFeatures,
    since: &'static str,
    with: &'static str,
    without: &'static str,
}

const FOR_SNAPSHOTS: [Feature; 1] = [Feature {
    name: "- WP_HUGETLBFS_SHMEM",
    bit: UffdFeatures::WP_HUGETLBFS_SHMEM,
    since: "5.19 (on aarch64 6.10)",
    with: "The first store to each shared page is caught and its page copied.",
    without: "Shared memory cannot be write-protected: snapshots of mapped VMOs are NOT_SUPPORTED.",
}];

const FOR_PAGERS: [Feature; 2] = [
    Feature {
        name: "- MINOR_SHMEM",
        bit: UffdFeatures::MINOR_SHMEM,
        since: "5.14",
        with: "Pages are supplied without a copy.",
        without: "Every page supplied is copied once more.",
    },
    Feature {
        name: "- WP_ASYNC",
        bit: UffdFeatures::WP_ASYNC,
        since: "6.7",
        with: "Dirty pages are found without a trap each.",
        without: "The first write to each clean page costs a trap.",
    },
];

/// Whether accesses that wait can be dealt with by this thread, and whether they are.
fn delivery(delivery: Delivery) -> Finding {
    let (subject, with) = match delivery {
        Delivery::Thread => (
            "ZXVM_FAULTS=thread",
            "A thread of the library deals with accesses that wait. It is what you get if you say nothing.",
        ),
        Delivery::InThread => {
            ("ZXVM_FAULTS=inline", "The thread that makes an access deals with it, in a handler for SIGBUS: sooner.")
        }
    };
    let without = "What needs it is NOT_SUPPORTED if you ask for it.";
    let chosen = Delivery::of_environment() == Some(delivery);
    if delivery == Delivery::InThread && signal_is_set("SigBlk", SIGBUS) {
        let follows = "Whoever started this program blocks it. An access that waits would end the process.";
        return Finding::new(subject, State::Limited, "SIGBUS is blocked", follows);
    }
    match probe::delivery(delivery) {
        Ok(()) => Finding::new(subject, State::Ok, if chosen { "works, chosen" } else { "works" }, with),
        Err(HostError::NotSupported) if delivery == Delivery::InThread && !cfg!(target_arch = "x86_64") => {
            Finding::new(subject, State::Missing, "only on x86-64", without)
        }
        Err(error) => Finding::new(subject, State::Missing, error.to_string(), without),
    }
}

fn access(uffd: &Userfaultfd) -> Finding {
    let subject = "userfaultfd";
    let way = match (&uffd.syscall, &uffd.device) {
        (Ok(()), _) => Some("by system call, all faults"),
        (Err(_), Ok(())) => Some("by /dev/userfaultfd, all faults"),
        (Err(_), Err(_)) => None,
    };
    match (way, &uffd.user_mode_only) {
        (Some(way), _) => {
            Finding::new(subject, State::Ok, way, "Served wherever they happen; in system calls too, unless inline.")
        }
        (None, Ok(())) => {
            let follows = "A Linux call that stores to a page shared with a snapshot, such as read(2), gives EFAULT. \
                           Access to /dev/userfaultfd lifts that.";
            Finding::new(subject, State::Limited, "user-mode faults only", follows)
        }
        (None, Err(error)) => {
            let follows = "Snapshots of mapped VMOs are NOT_SUPPORTED; all else works.";
            Finding::new(subject, State::Missing, refusal(error), follows)
        }
    }
}

fn refusal(error: &io::Error) -> String {
    match number("/proc/sys/vm/unprivileged_userfaultfd") {
        Some(value) => format!("{error}; vm.unprivileged_userfaultfd is {value}"),
        None => error.to_string(),
    }
}
