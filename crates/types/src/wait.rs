//! Records that go into calls as arrays: what to wait for, where to read and write.

use crate::scalars::*;

records! {
    /// One of the objects of `zx_object_wait_many`.
    pub struct zx_wait_item_t: 12 {
        /// The object.
        0 => handle: zx_handle_t,
        /// Any of these signals ends the wait.
        4 => waitfor: zx_signals_t,
        /// Filled in: all the signals that were active.
        8 => pending: zx_signals_t,
    }

    /// A piece of the caller's memory.
    pub struct zx_iovec_t: 16 {
        /// Its address; `void*` in C.
        0 => buffer: zx_vaddr_t,
        /// Its length in bytes.
        8 => capacity: usize,
    }
}
