//! What pagers, snapshots of mapped VMOs and reclaim will need: a say in page faults, and news of memory pressure.

use std::fs;
use std::io;

use zxvm_host::linux::probe::{self, UffdFeatures, Userfaultfd};

use super::{Finding, State, number};

/// All about faults and pressure.
pub fn findings() -> Vec<Finding> {
    let uffd = probe::userfaultfd();
    let mut findings = vec![access(&uffd)];
    if let Some(features) = uffd.features {
        findings.extend(FEATURES.map(|Feature { name, bit, since, with, without }| {
            if features.contains(bit) {
                Finding::new(name, State::Ok, "there", with)
            } else {
                Finding::new(name, State::Missing, format!("Linux {since} has it"), without)
            }
        }));
    }
    findings.push(pressure());
    findings
}

struct Feature {
    name: &'static str,
    bit: UffdFeatures,
    since: &'static str,
    with: &'static str,
    without: &'static str,
}

const FEATURES: [Feature; 4] = [
    Feature {
        name: "- MINOR_SHMEM",
        bit: UffdFeatures::MINOR_SHMEM,
        since: "5.14",
        with: "Pages are supplied without a copy.",
        without: "Every page supplied is copied once more.",
    },
    Feature {
        name: "- WP_HUGETLBFS_SHMEM",
        bit: UffdFeatures::WP_HUGETLBFS_SHMEM,
        since: "5.19",
        with: "First writes can be trapped.",
        without: "No dirty tracking, no snapshots of mapped VMOs.",
    },
    Feature {
        name: "- WP_ASYNC",
        bit: UffdFeatures::WP_ASYNC,
        since: "6.7",
        with: "Dirty pages are found without a trap each.",
        without: "The first write to each clean page costs a trap.",
    },
    Feature {
        name: "- SIGBUS",
        bit: UffdFeatures::SIGBUS,
        since: "4.14",
        with: "Faults are served in the faulting thread, faster.",
        without: "Faults are served by another thread, slower.",
    },
];

fn access(uffd: &Userfaultfd) -> Finding {
    let subject = "userfaultfd";
    let way = match (&uffd.syscall, &uffd.device) {
        (Ok(()), _) => Some("by system call, all faults"),
        (Err(_), Ok(())) => Some("by /dev/userfaultfd, all faults"),
        (Err(_), Err(_)) => None,
    };
    match (way, &uffd.user_mode_only) {
        (Some(way), _) => Finding::new(subject, State::Ok, way, "Faults can be served wherever they happen."),
        (None, Ok(())) => {
            let follows = "Linux calls on absent pages give EFAULT. Access to /dev/userfaultfd lifts that.";
            Finding::new(subject, State::Limited, "user-mode faults only", follows)
        }
        (None, Err(error)) => {
            let follows = "Pagers and snapshots of mapped VMOs would say NOT_SUPPORTED; all else works.";
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

fn pressure() -> Finding {
    match fs::read_to_string("/proc/pressure/memory") {
        Ok(_) => {
            Finding::new("memory pressure (PSI)", State::Ok, "told", "Memory can be given back before it runs out.")
        }
        Err(error) => {
            let follows = "Reclaim would go by the program's own budget alone (boot with psi=1 to change that).";
            Finding::new("memory pressure (PSI)", State::Limited, error.to_string(), follows)
        }
    }
}
