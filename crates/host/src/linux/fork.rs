//! What a forked child must know: the engine's memory is the parent's.
//!
//! `fork` copies descriptors and shared mappings, so a child could write into its parent's VMOs by accident. A handler
//! that runs in the child before `fork` returns there takes the reservations away and raises a flag for good. It also closes the
//! few descriptors by which others would take the child for its parent.

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Once, OnceLock};

use crate::addr::AddrRange;

static IN_CHILD: AtomicBool = AtomicBool::new(false);
static RESERVATION: OnceLock<AddrRange> = OnceLock::new();

/// Descriptors that are closed in children; -1 where there is none.
static OURS: [AtomicI32; 8] = [const { AtomicI32::new(-1) }; 8];

extern "C" fn in_child_handler() {
    IN_CHILD.store(true, Ordering::Relaxed);
    if let Some(range) = RESERVATION.get() {
        // SAFETY: the child's copy of the reservation; nobody in the child may use it any more.
        let _ = unsafe { rustix::mm::munmap(range.addr() as *mut _, range.len() as usize) };
    }
    for ours in &OURS {
        let fd = ours.load(Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: the child's copy of a descriptor that is open as long as it is listed; whoever owns it is a thread that the
            // child does not have.
            unsafe { rustix::io::close(fd) };
        }
    }
}

/// A descriptor that children forked (by `fork`) do not keep, also if they run no other program. Only if eight are there
/// already, they do. Owned by threads of the library: in a child nobody may use it, or drop it.
#[derive(Debug)]
pub struct NotForChildren {
    fd: OwnedFd,
    place: Option<usize>,
}

impl NotForChildren {
    /// Counts only once [`keep_from_children`] was called. A child that is forked at this very moment may have it.
    pub fn new(fd: OwnedFd) -> Self {
        let raw = fd.as_raw_fd();
        let take = |place: &AtomicI32| place.compare_exchange(-1, raw, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        Self { place: OURS.iter().position(take), fd }
    }
}

impl AsFd for NotForChildren {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for NotForChildren {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // Before it is closed: its number may be another's after that.
            OURS[place].store(-1, Ordering::Relaxed);
        }
    }
}

/// Takes `range` away from children forked (by `fork`, not by a bare `clone`) from now on. The first range counts.
pub fn keep_from_children(range: AddrRange) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = RESERVATION.set(range);
        // SAFETY: the handler only makes system calls. No memory: then children are not guarded.
        unsafe { libc::pthread_atfork(None, None, Some(in_child_handler)) };
    });
}

/// The range that is kept from children.
pub fn reservation() -> Option<AddrRange> {
    RESERVATION.get().copied()
}

/// Whether this process was forked from the one that made the engine.
pub fn in_child() -> bool {
    IN_CHILD.load(Ordering::Relaxed)
}
