//! The machine, time, randomness, this process, names of statuses: what needs no handle, and events about memory.

use core::ffi::{c_char, c_void};

use zxvm_syscall::{Kernel, system};
use zxvm_types::{
    ZX_HANDLE_INVALID, ZX_OK, status_name, zx_duration_t, zx_handle_t, zx_status_t, zx_string_view_t, zx_ticks_t,
    zx_time_t,
};

use crate::entry::{call, exports, guarded};
use crate::user::{OutPtr, out_buffer};

exports! {
    fn system_get_page_size() -> u32 {
        system::page_size()
    }

    fn system_get_dcache_line_size() -> u32 {
        guarded(system::dcache_line_size)
    }

    fn system_get_num_cpus() -> u32 {
        guarded(system::num_cpus)
    }

    fn system_get_physmem() -> u64 {
        guarded(system::physmem)
    }

    fn system_get_version_string() -> zx_string_view_t {
        zx_string_view_t { c_str: system::VERSION.as_ptr(), length: system::VERSION.count_bytes() }
    }

    fn clock_get_monotonic() -> zx_time_t {
        guarded(system::clock_get_monotonic)
    }

    fn ticks_get() -> zx_ticks_t {
        guarded(system::ticks_get)
    }

    fn ticks_per_second() -> zx_ticks_t {
        guarded(system::ticks_per_second)
    }

    fn deadline_after(nanoseconds: zx_duration_t) -> zx_time_t {
        guarded(|| system::deadline_after(nanoseconds))
    }

    fn nanosleep(deadline: zx_time_t) -> zx_status_t {
        guarded(|| system::nanosleep(deadline));
        ZX_OK
    }

    fn cprng_draw(buffer: *mut c_void, buffer_size: usize) {
        // SAFETY: the caller's promise.
        let drawn = guarded(|| system::cprng_draw(unsafe { out_buffer(buffer, buffer_size) }));
        if drawn.is_err() {
            // There is no status to return, and going on without randomness would be worse.
            std::process::abort();
        }
    }

    fn system_get_event(root_job: zx_handle_t, kind: u32, event: *mut zx_handle_t) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.system_get_event(root_job, kind, unsafe { OutPtr::required(event) }))
    }

    fn process_self() -> zx_handle_t {
        guarded(|| Kernel::current_below_malloc().map_or(ZX_HANDLE_INVALID, Kernel::process_self))
    }

    fn job_default() -> zx_handle_t {
        guarded(|| Kernel::current_below_malloc().map_or(ZX_HANDLE_INVALID, Kernel::job_default))
    }

    fn status_get_string(status: zx_status_t) -> *const c_char {
        status_name(status).as_ptr()
    }
}
