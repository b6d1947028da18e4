//! Signs that memory is short: what the kernel can be asked to tell without anybody having to look.
//!
//! 1. A sign says only that something may have changed: whoever hears one looks at the figures.
//! 2. What this process may not have, or this kernel does not know, is left out, and kept as refused.
//! 3. None of them makes a thread run while nothing happens.
//! 4. A sign that has become one of nothing (its group is gone) is given up, so that it cannot be heard for ever.
//!
//! Version 1 tells of amounts: it is asked for the marks, counted from the limit of the group as it is now. Files that are
//! cached count as used there, so a mark may be crossed early; from then on it is reclaim in the group that is a sign. Version 2
//! and the system as a whole tell only when somebody had to wait for memory, or came up against a limit.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::figures::Limit;
use super::groups::{Group, Version};
use crate::addr::PAGE_SIZE;

/// What the kernel is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Threads lost more than 20 ms of a second because memory was short. Not every process may ask for that.
    Stall,
    /// They lost more than 40 ms of two seconds.
    SlowStall,
    /// A group of version 2 came up against a limit of its own.
    Event,
    /// The usage of a group of version 1 crossed a mark.
    Usage,
    /// Memory was reclaimed in a group of version 1 because of its limit.
    Reclaim,
}

/// Microseconds lost, of how many. The kernel gives a process without `CAP_SYS_RESOURCE` multiples of two seconds only.
const STALL: &[u8] = b"some 20000 1000000\0";
const SLOW_STALL: &[u8] = b"some 40000 2000000\0";

/// One sign that can be heard.
#[derive(Debug)]
struct Sign {
    fd: OwnedFd,
    kind: Kind,
}

/// One that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub kind: Kind,
    /// The file that tells.
    pub file: PathBuf,
    /// Whether it can be heard, or why not.
    pub result: Result<(), Errno>,
}

/// All signs of this process.
#[derive(Debug, Default)]
pub struct Signs {
    signs: Vec<Sign>,
    asked: Vec<Asked>,
    miss_amounts: bool,
}

impl Signs {
    /// Asks for all there are. `limits` are those of the groups, as they are now.
    pub fn open(root: &Path, groups: &[Group], limits: &[Limit], marks: &[u64]) -> Self {
        let mut signs = Self::default();
        signs.ask_stall(root.join("proc/pressure/memory"));
        for group in groups {
            let folder = &group.folder;
            let limit = limits.iter().find(|limit| limit.group.as_ref() == Some(folder));
            match group.version {
                Version::One => {
                    // Reclaim for want of memory in the machine is a stall; in a group without a limit there is no other.
                    let Some(limit) = limit else { continue };
                    signs.miss_amounts |= !signs.ask(Kind::Usage, folder.join("memory.usage_in_bytes"), |file| {
                        // Past the mark by a page: what is left is then less than it.
                        let used = marks.iter().map(|mark| limit.total.saturating_sub(*mark) + PAGE_SIZE);
                        control(folder, file, used.map(|used| used.to_string()))
                    });
                    signs.ask(Kind::Reclaim, folder.join("memory.pressure_level"), |file| {
                        // Because of this limit, and not of one that a neighbour below it has.
                        control(folder, file, std::iter::once("low,local".to_owned()))
                    });
                }
                Version::Two => {
                    signs.miss_amounts |= limit.is_some();
                    signs.ask_stall(folder.join("memory.pressure"));
                    signs.ask(Kind::Event, folder.join("memory.events"), |file| {
                        let fd = open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                        read_event(fd.as_fd())?;
                        Ok(fd)
                    });
                }
            }
        }
        signs
    }

    /// What was asked for, and what became of it. A file that is not there is not in here: there is nothing to be refused.
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// Whether there is a group with a limit of which no amounts are told.
    pub fn miss_amounts(&self) -> bool {
        self.miss_amounts
    }

    /// Sleeps until there is a sign, or `bell` can be read, or the time has passed.
    pub fn wait(&mut self, bell: BorrowedFd<'_>, timeout: Option<&Timespec>) {
        let fds = self.signs.iter().map(|sign| (sign.fd.as_fd(), sign.kind.interest()));
        let fds = std::iter::once((bell, PollFlags::IN)).chain(fds);
        let mut fds: Vec<_> = fds.map(|(fd, interest)| PollFd::from_borrowed_fd(fd, interest)).collect();
        if poll(&mut fds, timeout).is_err() {
            // A signal cannot be: all are blocked. Whatever it is, the caller looks, and is back.
            return;
        }
        let happened: Vec<_> = fds[1..].iter().map(PollFd::revents).collect();
        let mut happened = happened.into_iter();
        self.signs.retain(|sign| match happened.next() {
            Some(flags) if !flags.is_empty() => sign.settle(flags).is_ok(),
            Some(_) | None => true,
        });
    }

    /// Asks for stalls as often as they are told of here.
    fn ask_stall(&mut self, file: PathBuf) {
        if !self.ask(Kind::Stall, file.clone(), |file| stall(file, STALL)) {
            self.ask(Kind::SlowStall, file, |file| stall(file, SLOW_STALL));
        }
    }

    /// Whether it can be heard.
    fn ask(&mut self, kind: Kind, file: PathBuf, act: impl FnOnce(&Path) -> rustix::io::Result<OwnedFd>) -> bool {
        let result = match act(&file) {
            Err(Errno::NOENT) => return false,
            result => result.map(|fd| self.signs.push(Sign { fd, kind })),
        };
        self.asked.push(Asked { kind, file, result });
        result.is_ok()
    }
}

impl Kind {
    fn interest(self) -> PollFlags {
        match self {
            Self::Stall | Self::SlowStall | Self::Event => PollFlags::PRI,
            Self::Usage | Self::Reclaim => PollFlags::IN,
        }
    }
}

impl Sign {
    /// It has been heard: the next time is another.
    ///
    /// # Errors
    /// There will be none.
    fn settle(&self, flags: PollFlags) -> rustix::io::Result<()> {
        match self.kind {
            Kind::Stall | Kind::SlowStall if flags.contains(PollFlags::ERR) => Err(Errno::NODEV),
            Kind::Stall | Kind::SlowStall => Ok(()),
            // The kernel marks every event as an error as well; whether it is one is told by the read.
            Kind::Event => read_event(self.fd.as_fd()),
            Kind::Usage | Kind::Reclaim => take(self.fd.as_fd()),
        }
    }
}

/// Takes what an eventfd has counted.
pub fn take(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    match rustix::io::read(fd, &mut [0; 8]) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Reads a file of events, after which the next event is a sign.
fn read_event(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::io::pread(fd, &mut [0_u8; 512], 0).map(drop)
}

fn stall(file: &Path, trigger: &[u8]) -> rustix::io::Result<OwnedFd> {
    let fd = open(file, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&fd, trigger)?;
    Ok(fd)
}

/// Has a group of version 1 tell of each of `what` in one of its files.
fn control(folder: &Path, file: &Path, what: impl Iterator<Item = String>) -> rustix::io::Result<OwnedFd> {
    let file = open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let control = open(folder.join("cgroup.event_control"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    for what in what {
        let line = format!("{} {} {what}", fd.as_raw_fd(), file.as_raw_fd());
        rustix::io::write(&control, line.as_bytes())?;
    }
    Ok(fd)
}
