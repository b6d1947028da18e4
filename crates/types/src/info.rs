//! What `zx_object_get_info` tells about handles, processes and VMARs.

use crate::objects::ZX_OBJ_TYPE_UPPER_BOUND;
use crate::padding::PadByte;
use crate::scalars::*;

const TYPES: usize = ZX_OBJ_TYPE_UPPER_BOUND as usize;

records! {
    /// A handle, and the object it refers to.
    pub struct zx_info_handle_basic_t: 32 {
        /// The object.
        0 => koid: zx_koid_t,
        /// What the handle allows.
        8 => rights: zx_rights_t,
        /// The object's type.
        12 => r#type as "type": zx_obj_type_t,
        /// The peer of an event pair, the job of a process; 0 for VMOs, VMARs, pagers, ports and events.
        16 => related_koid: zx_koid_t,
        /// Zero.
        24 => reserved: u32,
        /// Zero.
        28 => padding1: [PadByte; 4],
    }

    /// One handle of a process.
    pub struct zx_info_handle_extended_t: 40 {
        /// The object's type.
        0 => r#type as "type": zx_obj_type_t,
        /// The handle, as that process knows it.
        4 => handle_value: zx_handle_t,
        /// What it allows.
        8 => rights: zx_rights_t,
        /// Zero.
        12 => reserved: u32,
        /// The object.
        16 => koid: zx_koid_t,
        /// As in [`zx_info_handle_basic_t`].
        24 => related_koid: zx_koid_t,
        /// Zero.
        32 => peer_owner_koid: zx_koid_t,
    }

    /// How many handles an object has.
    pub struct zx_info_handle_count_t: 4 {
        /// The number. Mappings and children are not handles.
        0 => handle_count: u32,
    }

    /// The life of a process.
    pub struct zx_info_process_t: 24 {
        /// What it returned, once it has.
        0 => return_code: i64,
        /// When it started, on the monotonic clock.
        8 => start_time: zx_time_t,
        /// `ZX_INFO_PROCESS_FLAG_*`
        16 => flags: u32,
        /// Zero.
        20 => padding1: [PadByte; 4],
    }

    /// How many handles of each object type a process has.
    pub struct zx_info_process_handle_stats_t: 256 {
        /// By object type.
        0 => handle_count: [u32; TYPES],
    }

    /// Memory of a process, in bytes: all that the first version told.
    pub struct zx_info_task_stats_v1_t: 32 {
        /// Mapped, committed or not.
        0 => mem_mapped_bytes: usize,
        /// Committed, and nobody else's.
        8 => mem_private_bytes: usize,
        /// Committed, and others' as well.
        16 => mem_shared_bytes: usize,
        /// The shared bytes, each divided by the number of those who share it.
        24 => mem_scaled_shared_bytes: usize,
    }

    /// Memory of a process, in bytes.
    pub struct zx_info_task_stats_t: 40 {
        /// Mapped, committed or not.
        0 => mem_mapped_bytes: usize,
        /// Committed, and nobody else's.
        8 => mem_private_bytes: usize,
        /// Committed, and others' as well.
        16 => mem_shared_bytes: usize,
        /// The shared bytes, each divided by the number of those who share it.
        24 => mem_scaled_shared_bytes: usize,
        /// What that division leaves, in units of 2^-63 byte.
        32 => mem_fractional_scaled_shared_bytes: u64,
    }

    /// Where a VMAR is.
    pub struct zx_info_vmar_t: 16 {
        /// Its first address.
        0 => base: zx_vaddr_t,
        /// Its length in bytes.
        8 => len: usize,
    }
}

constants! {
    /// The process has started.
    pub const ZX_INFO_PROCESS_FLAG_STARTED: u32 = 1 << 0;
    /// The process has ended.
    pub const ZX_INFO_PROCESS_FLAG_EXITED: u32 = 1 << 1;
    /// A debugger is attached.
    pub const ZX_INFO_PROCESS_FLAG_DEBUGGER_ATTACHED: u32 = 1 << 2;
}
