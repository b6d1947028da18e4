//! What a forked child must know: the engine's memory is the parent's.
//!
//! `fork` copies descriptors and shared mappings, so a child could write into its parent's VMOs by accident. A handler
//! that runs in the child before `fork` returns there takes the reservations away and raises a flag for good.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use crate::addr::AddrRange;

static IN_CHILD: AtomicBool = AtomicBool::new(false);
static RESERVATION: OnceLock<AddrRange> = OnceLock::new();

extern "C" fn in_child_handler() {
    IN_CHILD.store(true, Ordering::Relaxed);
    if let Some(range) = RESERVATION.get() {
        // SAFETY: the child's copy of the reservation; nobody in the child may use it any more.
        let _ = unsafe { rustix::mm::munmap(range.addr() as *mut _, range.len() as usize) };
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
