//! Properties of objects.

constants! {
    /// The name: 32 bytes.
    pub const ZX_PROP_NAME: u32 = 3;
    /// The base of the GS segment.
    pub const ZX_PROP_REGISTER_GS: u32 = 2;
    /// The base of the FS segment.
    pub const ZX_PROP_REGISTER_FS: u32 = 4;
    /// Where a debugger finds the dynamic linker's list.
    pub const ZX_PROP_PROCESS_DEBUG_ADDR: u32 = 5;
    /// Where the vDSO is.
    pub const ZX_PROP_PROCESS_VDSO_BASE_ADDRESS: u32 = 6;
    /// Whether loading a library stops the process.
    pub const ZX_PROP_PROCESS_BREAK_ON_LOAD: u32 = 7;
    /// The number that hardware tracing knows the process by.
    pub const ZX_PROP_PROCESS_HW_TRACE_CONTEXT_ID: u32 = 8;
    /// Bytes that make a socket `READ_THRESHOLD`.
    pub const ZX_PROP_SOCKET_RX_THRESHOLD: u32 = 12;
    /// Room that makes a socket `WRITE_THRESHOLD`.
    pub const ZX_PROP_SOCKET_TX_THRESHOLD: u32 = 13;
    /// Whether the job goes when memory runs out.
    pub const ZX_PROP_JOB_KILL_ON_OOM: u32 = 15;
    /// What closing an exception does.
    pub const ZX_PROP_EXCEPTION_STATE: u32 = 16;
    /// The size of the content in bytes: `u64`.
    pub const ZX_PROP_VMO_CONTENT_SIZE: u32 = 17;
    /// Whether a debugger is asked a second time.
    pub const ZX_PROP_EXCEPTION_STRATEGY: u32 = 18;
    /// Whether writes go to the end.
    pub const ZX_PROP_STREAM_MODE_APPEND: u32 = 19;
}
