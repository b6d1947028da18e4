//! The library's own heap, so that an allocator can be built on the library.
//!
//! 1. Memory comes from `mmap` by direct system calls; the process's `malloc` and `errno` are never touched.
//! 2. In a forked child the lock may be held for ever by a thread that is not there. Nothing there takes it: what is
//!    freed is left alone, and what is allocated (hardly anything is: the calls fail) gets pages of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlmalloc::Dlmalloc;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags};
use zxvm_host::PAGE_SIZE;

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Dlmalloc::new_with_allocator(Pages)));

/// Every program that is linked with the static library has the heap, and so has this as well, which nothing else refers to.
#[used]
static AT_LOAD: &extern "C" fn() = &crate::calls::top::PREPARE;

/// The allocator proper, and who may use it.
struct Heap(Mutex<Dlmalloc<Pages>>);

impl Heap {
    /// The allocator, or `None` in a forked child.
    fn enter(&self) -> Option<MutexGuard<'_, Dlmalloc<Pages>>> {
        if zxvm_host::linux::in_child() {
            return None;
        }
        Some(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the heap gets its memory.
struct Pages;

impl Pages {
    /// Fresh zeroed pages, at least `len` bytes; null if there are none.
    fn fresh(len: usize) -> *mut u8 {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // Where Linux allows no more mappings the heap must still grow: a failed allocation would end the process.
        // SAFETY: a new mapping at an address of the kernel's choice.
        let map = || unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, prot, MapFlags::PRIVATE) };
        zxvm_host::linux::reserve::with(map).map_or(ptr::null_mut(), |at| at.cast())
    }

    /// Fresh pages for one allocation; null for an alignment beyond a page.
    fn for_layout(layout: Layout) -> *mut u8 {
        if layout.align() > PAGE_SIZE as usize { ptr::null_mut() } else { Self::fresh(layout.size()) }
    }
}

// SAFETY: mappings are the heap's own from `alloc` until `free`, and `remap` keeps content and says where it went.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let at = Self::fresh(size);
        (at, if at.is_null() { 0 } else { size }, 0)
    }

    fn remap(&self, at: *mut u8, old: usize, new: usize, can_move: bool) -> *mut u8 {
        let flags = if can_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
        // SAFETY: a mapping of the heap, which forgets the old address if it moves.
        unsafe { rustix::mm::mremap(at.cast(), old, new, flags) }.map_or(ptr::null_mut(), |at| at.cast())
    }

    fn free_part(&self, at: *mut u8, old: usize, new: usize) -> bool {
        // SAFETY: the tail of a mapping of the heap, which does not use it any more.
        unsafe { rustix::mm::munmap(at.add(new).cast(), old - new) }.is_ok()
    }

    fn free(&self, at: *mut u8, size: usize) -> bool {
        // SAFETY: a mapping of the heap, which does not use it any more.
        unsafe { rustix::mm::munmap(at.cast(), size) }.is_ok()
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE as usize
    }
}

// SAFETY: memory is handed out by `Dlmalloc`, under the lock, or as fresh pages that nobody else knows. Where `enter`
// gives none, `dealloc` and `realloc` leave the old memory as it is.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.enter() {
            // SAFETY: the layout is not empty, which the caller promises.
            Some(mut heap) => unsafe { heap.malloc(layout.size(), layout.align()) },
            None => Pages::for_layout(layout),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.enter() {
            // SAFETY: as in `alloc`.
            Some(mut heap) => unsafe { heap.calloc(layout.size(), layout.align()) },
            None => Pages::for_layout(layout),
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if let Some(mut heap) = self.enter() {
            // SAFETY: it came from this heap with this layout, which the caller promises.
            unsafe { heap.free(at, layout.size(), layout.align()) };
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        match self.enter() {
            // SAFETY: as in `dealloc`; the new size is not zero.
            Some(mut heap) => unsafe { heap.realloc(at, layout.size(), layout.align(), new_size) },
            None => {
                // SAFETY: the caller promises that the new size makes a layout.
                let new = Pages::for_layout(unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) });
                if !new.is_null() {
                    // SAFETY: both hold the shorter of the two lengths, and the new pages are nobody else's.
                    unsafe { ptr::copy_nonoverlapping(at, new, layout.size().min(new_size)) };
                }
                new
            }
        }
    }
}
