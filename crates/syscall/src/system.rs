//! Calls about the machine and the clock; they need no handle and no engine.

use core::ffi::CStr;

use rustix::time::{ClockId, clock_gettime};
use zxvm_host::PAGE_SIZE;
use zxvm_host::user::UserSlice;
use zxvm_types::*;

use crate::out::invalid_args;

/// The version of the library.
pub const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!("zxvm ", env!("CARGO_PKG_VERSION"), "\0").as_bytes())
{
    Ok(version) => version,
    Err(_) => panic!("no NUL inside"),
};

/// Bytes in a page.
pub fn page_size() -> u32 {
    PAGE_SIZE as u32
}

/// Bytes in a line of the data cache.
pub fn dcache_line_size() -> u32 {
    zxvm_host::linux::dcache_line_size()
}

/// Processors this process may use.
pub fn num_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

/// Bytes of memory in the machine.
pub fn physmem() -> u64 {
    zxvm_host::linux::physical_memory()
}

/// Nanoseconds since the machine started, without those in which it was suspended.
pub fn clock_get_monotonic() -> zx_time_t {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Nanoseconds since the machine started, with those in which it was suspended.
pub fn clock_get_boot() -> zx_time_t {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// The tick counter: the monotonic clock itself.
pub fn ticks_get() -> zx_ticks_t {
    clock_get_monotonic()
}

/// Ticks in a second.
pub fn ticks_per_second() -> zx_ticks_t {
    1_000_000_000
}

/// The moment `nanoseconds` from now, at most `ZX_TIME_INFINITE`.
pub fn deadline_after(nanoseconds: zx_duration_t) -> zx_time_t {
    clock_get_monotonic().saturating_add(nanoseconds)
}

/// Sleeps until `deadline`; one that has passed returns at once.
pub fn nanosleep(deadline: zx_time_t) {
    if let Ok(at) = u64::try_from(deadline) {
        zxvm_host::linux::sleep_until(at);
    }
}

/// Fills a buffer with random bytes from the kernel's generator.
///
/// # Errors
/// `INVALID_ARGS`: the buffer is not writable.
pub fn cprng_draw(to: UserSlice<'_>) -> Result<(), Status> {
    let mut bytes = [0; 256];
    let mut done = 0;
    while done < to.len() {
        let len = bytes.len().min(to.len() - done);
        match rustix::rand::getrandom(&mut bytes[..len], rustix::rand::GetRandomFlags::empty()) {
            Ok(len) => {
                to.part(done, len).fill_from(&bytes[..len]).map_err(invalid_args)?;
                done += len;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(Status::INTERNAL),
        }
    }
    Ok(())
}
