//! The machine. None of this needs a handle or the engine.

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
