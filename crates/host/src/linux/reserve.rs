//! Mappings kept for the moment when Linux allows no more.
//!
//! At `vm.max_map_count` every `mmap` fails, also one that would make mappings fewer. So a few mappings that nobody needs
//! are held; where giving memory back or putting something back is refused, they are given up, the call is made again,
//! and they are taken again if that is possible by then.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use crate::addr::PAGE_SIZE;

/// Pages of the reserve. Every second one is readable, so each is a mapping of its own.
const PAGES: usize = 16;
const LEN: usize = PAGES * PAGE_SIZE as usize;

/// Its address, while it is held.
static HELD: Mutex<Option<usize>> = Mutex::new(None);

/// Whether it was given up and could not be taken again yet.
static LOST: AtomicBool = AtomicBool::new(false);

/// Takes the reserve, if it is not held.
pub fn hold() {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if held.is_none() {
        *held = make();
    }
}

/// Makes a call that must not fail for want of mappings alone.
///
/// # Errors
/// What the call gives, with the reserve given up too.
pub fn with<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    match call() {
        Err(Errno::NOMEM) => {}
        result => {
            if LOST.load(Ordering::Relaxed)
                && let Ok(mut held) = HELD.try_lock()
            {
                remake(&mut held);
            }
            return result;
        }
    }
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = held.take() {
        // SAFETY: made by `make`, known to nobody else. Whole mappings go, so the limit plays no part.
        let _ = unsafe { munmap(at as *mut _, LEN) };
    }
    let result = call();
    remake(&mut held);
    result
}

fn remake(held: &mut Option<usize>) {
    if held.is_none() {
        *held = make();
    }
    LOST.store(held.is_none(), Ordering::Relaxed);
}

fn make() -> Option<usize> {
    // SAFETY: a new mapping at an address of the kernel's choice; nobody refers to it.
    unsafe {
        let base = mmap_anonymous(core::ptr::null_mut(), LEN, ProtFlags::empty(), MapFlags::PRIVATE).ok()?;
        for page in (0..PAGES).step_by(2) {
            let page = base.byte_add(page * PAGE_SIZE as usize);
            if mprotect(page, PAGE_SIZE as usize, MprotectFlags::READ).is_err() {
                let _ = munmap(base, LEN);
                return None;
            }
        }
        Some(base as usize)
    }
}
