//! What a VMO costs while nothing is in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use zxvm_syscall::Kernel;

struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is passed on to the system's allocator; counting touches no memory of the blocks.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn an_empty_vmo_costs_no_descriptor_and_less_than_512_bytes() {
    const COUNT: usize = 50_000;
    let kernel = Kernel::current().unwrap();
    let mut handles = Vec::with_capacity(COUNT);
    let (bytes, fds) = (BYTES.load(Ordering::Relaxed), descriptors());
    for _ in 0..COUNT {
        let mut handle = 0;
        kernel.vmo_create(1 << 20, 0, &mut handle).unwrap();
        handles.push(handle);
    }
    let each = (BYTES.load(Ordering::Relaxed) - bytes) / COUNT as isize;
    assert!((1..512).contains(&each), "{each} bytes each, handle included");
    assert_eq!(descriptors(), fds);
    kernel.handle_close_many(&handles).unwrap();
}
