//! Properties of objects: [`Property`], their numbers, and how they are read and set.

use core::ops::Deref;

use zerocopy::{FromBytes, Immutable, IntoBytes};
use zxvm_syscall::Kernel;

use crate::sys::{self, Status, zx_handle_t};

assoc_values! {
    /// What can be asked of an object, and mostly set.
    pub struct Property(u32) {
        /// The name: 32 bytes.
        NAME = sys::ZX_PROP_NAME;
        /// The base of the GS segment.
        REGISTER_GS = sys::ZX_PROP_REGISTER_GS;
        /// The base of the FS segment.
        REGISTER_FS = sys::ZX_PROP_REGISTER_FS;
        /// Where a debugger finds the dynamic linker's list.
        PROCESS_DEBUG_ADDR = sys::ZX_PROP_PROCESS_DEBUG_ADDR;
        /// Where the vDSO is.
        PROCESS_VDSO_BASE_ADDRESS = sys::ZX_PROP_PROCESS_VDSO_BASE_ADDRESS;
        /// Whether loading a library stops the process.
        PROCESS_BREAK_ON_LOAD = sys::ZX_PROP_PROCESS_BREAK_ON_LOAD;
        /// The number that hardware tracing knows the process by.
        PROCESS_HW_TRACE_CONTEXT_ID = sys::ZX_PROP_PROCESS_HW_TRACE_CONTEXT_ID;
        /// Bytes that make a socket `READ_THRESHOLD`.
        SOCKET_RX_THRESHOLD = sys::ZX_PROP_SOCKET_RX_THRESHOLD;
        /// Room that makes a socket `WRITE_THRESHOLD`.
        SOCKET_TX_THRESHOLD = sys::ZX_PROP_SOCKET_TX_THRESHOLD;
        /// Whether the job goes when memory runs out.
        JOB_KILL_ON_OOM = sys::ZX_PROP_JOB_KILL_ON_OOM;
        /// What closing an exception does.
        EXCEPTION_STATE = sys::ZX_PROP_EXCEPTION_STATE;
        /// The size of the content in bytes: `u64`.
        VMO_CONTENT_SIZE = sys::ZX_PROP_VMO_CONTENT_SIZE;
        /// Whether a debugger is asked a second time.
        EXCEPTION_STRATEGY = sys::ZX_PROP_EXCEPTION_STRATEGY;
        /// Whether writes go to the end.
        STREAM_MODE_APPEND = sys::ZX_PROP_STREAM_MODE_APPEND;
    }
}

impl Deref for Property {
    type Target = u32;

    fn deref(&self) -> &u32 {
        &self.0
    }
}

/// The property's value.
pub(crate) fn get<T: FromBytes + IntoBytes>(handle: zx_handle_t, property: Property) -> Result<T, Status> {
    let mut value = T::new_zeroed();
    Kernel::current()?.object_get_property(handle, *property, value.as_mut_bytes().into())?;
    Ok(value)
}

/// Sets the property.
pub(crate) fn set<T: IntoBytes + Immutable>(handle: zx_handle_t, property: Property, value: &T) -> Result<(), Status> {
    Kernel::current()?.object_set_property(handle, *property, value.as_bytes().into())
}
