//! Pages that a function of the program brings in the thread that needs them: ours and not Zircon's.

use core::ffi::c_void;
use std::sync::Arc;

use zxvm_syscall::Provide;
use zxvm_types::{Status, zx_handle_t, zx_status_t};

use crate::entry::{call, extensions};
use crate::user::{OutPtr, in_buffer};

/// `zxvm_read_t`.
type Read = unsafe extern "C" fn(context: *mut c_void, offset: u64, buffer: *mut c_void, length: usize) -> zx_status_t;

/// A function of the program, and what it is called with.
#[derive(Debug)]
struct Reader {
    read: Read,
    /// A pointer of the program's, as a number: it means nothing here.
    context: usize,
}

impl Provide for Reader {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<(), Status> {
        let context = core::ptr::with_exposed_provenance_mut(self.context);
        // SAFETY: whoever made the VMO says that the function may be called so, by any thread, as long as the VMO is there; the buffer
        // is ours, as long as we say, and written by nobody else meanwhile.
        Status::ok(unsafe { (self.read)(context, offset, to.as_mut_ptr().cast(), to.len()) })
    }
}

extensions! {
    fn pager_create_vmo_in_place(
        pager: zx_handle_t,
        options: u32,
        size: u64,
        read: Option<Read>,
        context: *mut c_void,
        out: *mut zx_handle_t,
    ) -> zx_status_t {
        call(|kernel| {
            let reader = Reader { read: read.ok_or(Status::INVALID_ARGS)?, context: context.expose_provenance() };
            // SAFETY: the caller's promise.
            kernel.pager_create_vmo_in_place(pager, options, size, Arc::new(reader), unsafe { OutPtr::required(out) })
        })
    }

    fn pager_supply_bytes(
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        offset: u64,
        buffer: *const c_void,
        length: usize,
    ) -> zx_status_t {
        // SAFETY: the caller's promise.
        call(|kernel| kernel.pager_supply_bytes(pager, pager_vmo, offset, unsafe { in_buffer(buffer, length) }))
    }
}
