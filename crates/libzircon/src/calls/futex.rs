//! Futexes: waiting for a word in memory to change.

use zxvm_types::{zx_futex_t, zx_handle_t, zx_status_t, zx_time_t};

use crate::entry::{call, exports};

exports! {
    fn futex_wait(
        value_ptr: *const zx_futex_t,
        current_value: zx_futex_t,
        new_futex_owner: zx_handle_t,
        deadline: zx_time_t,
    ) -> zx_status_t {
        call(|kernel| kernel.futex_wait(value_ptr.expose_provenance(), current_value, new_futex_owner, deadline))
    }

    fn futex_wake(value_ptr: *const zx_futex_t, wake_count: u32) -> zx_status_t {
        call(|kernel| kernel.futex_wake(value_ptr.expose_provenance(), wake_count))
    }

    fn futex_requeue(
        value_ptr: *const zx_futex_t,
        wake_count: u32,
        current_value: zx_futex_t,
        requeue_ptr: *const zx_futex_t,
        requeue_count: u32,
        new_requeue_owner: zx_handle_t,
    ) -> zx_status_t {
        let (value, requeue) = (value_ptr.expose_provenance(), requeue_ptr.expose_provenance());
        call(|kernel| {
            kernel.futex_requeue(value, wake_count, current_value, requeue, requeue_count, new_requeue_owner)
        })
    }
}
