//! How short memory is: what is left, and the thread that hears of it.
//!
//! 1. No thread is started, and nothing held open, before somebody watches. One that watches sleeps in the kernel until there is a
//!    sign (`signs.rs`), somebody asks, or the time that the sink answered has passed: while nothing happens it costs nothing.
//!    (Next to nothing in a group of whose limit the kernel tells no amounts: see `pulse.rs`.)
//! 2. The thread takes no lock of the host while it tells the sink, and keeps neither the sink nor the host. It ends when the
//!    host is gone, and when it finds the sink gone.
//! 3. It looks at most fifty times a second, however many signs there are.
//! 4. A process that is put into another group is measured there from the next look on; the signs stay those of the groups that
//!    it was in when watching began.

mod figures;
mod groups;
mod pulse;
mod signs;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

use rustix::event::{EventfdFlags, Timespec, eventfd};

pub use figures::Limit;
pub use signs::{Asked, Kind};

use super::faults::without_signals;
use crate::api::{HostError, HostResult, PressureSink};
use pulse::Pulse;
use signs::Signs;

/// The least time from one look to the next.
const GAP: Duration = Duration::from_millis(20);

/// When to look again if the figures could not be read (no descriptors are left, say).
const RETRY: Duration = Duration::from_secs(1);

/// Where the files of the system are.
pub const ROOT: &str = "/";

/// What counts here, and what can be heard of it.
#[derive(Debug)]
pub struct Report {
    /// All limits, the machine's first.
    pub limits: Vec<Limit>,
    /// What was asked for, and what became of it.
    pub signs: Vec<Asked>,
}

/// Asks for all signs as a watcher would, and gives them up again.
///
/// # Errors
/// As [`left_and_total`].
pub fn report(marks: &[u64]) -> io::Result<Report> {
    let root = Path::new(ROOT);
    let groups = groups::groups(root);
    let limits = figures::limits(root, &groups)?;
    let signs = Signs::open(root, &groups, &limits, marks).asked().to_vec();
    Ok(Report { limits, signs })
}

/// Bytes that can still be had, and bytes that there are: each the least of all limits.
///
/// # Errors
/// The figures of the system cannot be read.
pub fn left_and_total(root: &Path) -> HostResult<(u64, u64)> {
    let error = |error: io::Error| HostError::Other(error.raw_os_error().unwrap_or(libc::EPROTO));
    let limits = figures::limits(root, &groups::groups(root)).map_err(error)?;
    let least = |of: fn(&Limit) -> u64| limits.iter().map(of).min().unwrap_or(0);
    Ok((least(|limit| limit.left), least(|limit| limit.total)))
}

/// The thread, for as long as this is there.
#[derive(Debug)]
pub struct Watcher(Arc<Shared>);

/// What the thread and the host have in common.
#[derive(Debug)]
struct Shared {
    /// Readable when one of these has been set.
    bell: OwnedFd,
    /// Somebody asks for a look.
    asked: AtomicBool,
    /// It is to end.
    ended: AtomicBool,
}

impl Watcher {
    /// Asks for the signs and starts the thread. The files are those below `root`.
    ///
    /// # Errors
    /// `NoDescriptors`, `NoMemory`.
    pub fn new(root: PathBuf, sink: Weak<dyn PressureSink>) -> HostResult<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { bell, asked: AtomicBool::new(false), ended: AtomicBool::new(false) });
        let marks = sink.upgrade().map_or_else(Vec::new, |sink| sink.marks());
        let groups = groups::groups(&root);
        let limits = figures::limits(&root, &groups).unwrap_or_default();
        let signs = Signs::open(&root, &groups, &limits, &marks);
        let served = shared.clone();
        without_signals(|| {
            let builder = std::thread::Builder::new().name("zxvm-memory".into()).stack_size(256 << 10);
            builder.spawn(move || served.serve(&root, &sink, signs)).map(drop).map_err(|_| HostError::NoMemory)
        })?;
        Ok(Self(shared))
    }

    /// The sink is told soon.
    pub fn look(&self) {
        if !self.0.asked.swap(true, Ordering::AcqRel) {
            self.0.ring();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.ring();
    }
}

impl Shared {
    fn ring(&self) {
        // A counter that is nearly full would not take it, and is readable all the same.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn serve(&self, root: &Path, sink: &Weak<dyn PressureSink>, mut signs: Signs) {
        let mut pulse = signs.miss_amounts().then(Pulse::new);
        let mut last = (Instant::now(), processor_time());
        loop {
            // Whoever asks from here on may ask for news.
            self.asked.store(false, Ordering::Release);
            let next = match (left_and_total(root), sink.upgrade()) {
                (_, None) => return,
                (Ok((left, _)), Some(sink)) => sink.memory_left(left),
                (Err(_), Some(_)) => Some(RETRY),
            };
            std::thread::sleep(GAP);
            let now = (Instant::now(), processor_time());
            let pulse = pulse.as_mut().map(|pulse| pulse.next(now.0 - last.0, now.1.saturating_sub(last.1)));
            last = now;
            let next = next.into_iter().chain(pulse).min().and_then(|next| Timespec::try_from(next).ok());
            signs.wait(self.bell.as_fd(), next.as_ref());
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            let _ = signs::take(self.bell.as_fd());
        }
    }
}

/// What this process has used of its processors.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(all(test, not(miri)))]
mod tests;
