//! The machine. None of this needs a handle or the engine.

use rustix::time::{ClockId, clock_gettime};
use zxvm_syscall::system;

/// Bytes in a page.
pub fn system_get_page_size() -> u32 {
    system::page_size()
}

/// Bytes of memory in the machine.
pub fn system_get_physmem() -> u64 {
    system::physmem()
}

/// Processors this process may use.
pub fn system_get_num_cpus() -> u32 {
    system::num_cpus()
}

/// Bytes in a line of the data cache.
pub fn system_get_dcache_line_size() -> u32 {
    system::dcache_line_size()
}

/// Nanoseconds since boot, suspended or not. Asked of Linux here: the C interface has no call for it.
pub(crate) fn boot_nanos() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
