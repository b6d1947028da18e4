//! Zircon's integer types.
//!
//! The ABI is that of a 64-bit machine: pointers and `size_t` are eight bytes.

const _: () = assert!(size_of::<usize>() == 8, "the ABI is defined for 64-bit machines only");

scalars! {
    /// A reference to an object, valid in one process. 0 is none.
    pub type zx_handle_t = u32;
    /// How a call ended: `ZX_OK` or one of `ZX_ERR_*`.
    pub type zx_status_t = i32;
    /// A set of `ZX_RIGHT_*`.
    pub type zx_rights_t = u32;
    /// A set of signal bits.
    pub type zx_signals_t = u32;
    /// One of `ZX_OBJ_TYPE_*`.
    pub type zx_obj_type_t = u32;
    /// One of `ZX_CLOCK_*`.
    pub type zx_clock_t = u32;
    /// A set of `ZX_VM_*` bits with an alignment in the top byte.
    pub type zx_vm_option_t = u32;
    /// One of the `ZX_INFO_*` topics.
    pub type zx_object_info_topic_t = u32;
    /// One of `ZX_INFO_MAPS_TYPE_*`.
    pub type zx_info_maps_type_t = u32;
    /// One of `ZX_PKT_TYPE_*`.
    pub type zx_packet_type_t = u32;
    /// One of `ZX_SYSTEM_EVENT_*`.
    pub type zx_system_event_type_t = u32;
    /// What is to happen to a handle in a message.
    pub type zx_handle_op_t = u32;
    /// Number of a transaction in a channel.
    pub type zx_txid_t = u32;
    /// Number of an object: unique while the system runs.
    pub type zx_koid_t = u64;
    /// A moment, in nanoseconds of some clock.
    pub type zx_time_t = i64;
    /// A length of time, in nanoseconds.
    pub type zx_duration_t = i64;
    /// A moment or a length of time, in ticks of the hardware counter.
    pub type zx_ticks_t = i64;
    /// A moment on the monotonic clock, in nanoseconds.
    pub type zx_instant_mono_t = i64;
    /// A moment on the boot clock, in nanoseconds.
    pub type zx_instant_boot_t = i64;
    /// A length of time on the monotonic clock, in nanoseconds.
    pub type zx_duration_mono_t = i64;
    /// A length of time on the boot clock, in nanoseconds.
    pub type zx_duration_boot_t = i64;
    /// A moment on the monotonic clock, in ticks.
    pub type zx_instant_mono_ticks_t = i64;
    /// A moment on the boot clock, in ticks.
    pub type zx_instant_boot_ticks_t = i64;
    /// A length of time on the monotonic clock, in ticks.
    pub type zx_duration_mono_ticks_t = i64;
    /// A length of time on the boot clock, in ticks.
    pub type zx_duration_boot_ticks_t = i64;
    /// A virtual address.
    pub type zx_vaddr_t = usize;
    /// A physical address.
    pub type zx_paddr_t = usize;
    /// A physical address that fits 32 bits. Gone from the newest headers, kept for old programs.
    pub type zx_paddr32_t = u32;
    /// A physical address of a guest.
    pub type zx_gpaddr_t = usize;
    /// An offset in bytes.
    pub type zx_off_t = u64;
    /// The word a futex is about. Atomic in C.
    pub type zx_futex_t = i32;
}
