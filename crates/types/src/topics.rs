//! Topics of `zx_object_get_info`: a number, with the version of its record in the top four bits.

use crate::scalars::zx_object_info_topic_t;

/// The topic with this number and version.
const fn topic(number: u32, version: u32) -> zx_object_info_topic_t {
    number | version << 28
}

constants! {
    /// Whether there is such a handle. No record.
    pub const ZX_INFO_HANDLE_VALID: zx_object_info_topic_t = topic(1, 0);
    /// [`zx_info_handle_basic_t`](crate::zx_info_handle_basic_t)
    pub const ZX_INFO_HANDLE_BASIC: zx_object_info_topic_t = topic(2, 0);
    /// [`zx_info_process_t`](crate::zx_info_process_t)
    pub const ZX_INFO_PROCESS: zx_object_info_topic_t = topic(3, 1);
    /// [`zx_info_vmar_t`](crate::zx_info_vmar_t)
    pub const ZX_INFO_VMAR: zx_object_info_topic_t = topic(7, 0);
    /// [`zx_info_task_stats_v1_t`](crate::zx_info_task_stats_v1_t)
    pub const ZX_INFO_TASK_STATS_V1: zx_object_info_topic_t = topic(12, 0);
    /// [`zx_info_task_stats_t`](crate::zx_info_task_stats_t)
    pub const ZX_INFO_TASK_STATS: zx_object_info_topic_t = topic(12, 1);
    /// Many [`zx_info_maps_v1_t`](crate::zx_info_maps_v1_t)
    pub const ZX_INFO_PROCESS_MAPS_V1: zx_object_info_topic_t = topic(13, 0);
    /// Many [`zx_info_maps_v2_t`](crate::zx_info_maps_v2_t)
    pub const ZX_INFO_PROCESS_MAPS_V2: zx_object_info_topic_t = topic(13, 1);
    /// Many [`zx_info_maps_t`](crate::zx_info_maps_t)
    pub const ZX_INFO_PROCESS_MAPS: zx_object_info_topic_t = topic(13, 2);
    /// Many [`zx_info_vmo_v1_t`](crate::zx_info_vmo_v1_t)
    pub const ZX_INFO_PROCESS_VMOS_V1: zx_object_info_topic_t = topic(14, 0);
    /// Many [`zx_info_vmo_v2_t`](crate::zx_info_vmo_v2_t)
    pub const ZX_INFO_PROCESS_VMOS_V2: zx_object_info_topic_t = topic(14, 1);
    /// Many [`zx_info_vmo_v3_t`](crate::zx_info_vmo_v3_t)
    pub const ZX_INFO_PROCESS_VMOS_V3: zx_object_info_topic_t = topic(14, 2);
    /// Many [`zx_info_vmo_t`](crate::zx_info_vmo_t)
    pub const ZX_INFO_PROCESS_VMOS: zx_object_info_topic_t = topic(14, 3);
    /// [`zx_info_kmem_stats_v1_t`](crate::zx_info_kmem_stats_v1_t)
    pub const ZX_INFO_KMEM_STATS_V1: zx_object_info_topic_t = topic(17, 0);
    /// [`zx_info_kmem_stats_t`](crate::zx_info_kmem_stats_t)
    pub const ZX_INFO_KMEM_STATS: zx_object_info_topic_t = topic(17, 1);
    /// [`zx_info_handle_count_t`](crate::zx_info_handle_count_t)
    pub const ZX_INFO_HANDLE_COUNT: zx_object_info_topic_t = topic(19, 0);
    /// [`zx_info_process_handle_stats_t`](crate::zx_info_process_handle_stats_t)
    pub const ZX_INFO_PROCESS_HANDLE_STATS: zx_object_info_topic_t = topic(21, 0);
    /// [`zx_info_vmo_v1_t`](crate::zx_info_vmo_v1_t)
    pub const ZX_INFO_VMO_V1: zx_object_info_topic_t = topic(23, 0);
    /// [`zx_info_vmo_v2_t`](crate::zx_info_vmo_v2_t)
    pub const ZX_INFO_VMO_V2: zx_object_info_topic_t = topic(23, 1);
    /// [`zx_info_vmo_v3_t`](crate::zx_info_vmo_v3_t)
    pub const ZX_INFO_VMO_V3: zx_object_info_topic_t = topic(23, 2);
    /// [`zx_info_vmo_t`](crate::zx_info_vmo_t)
    pub const ZX_INFO_VMO: zx_object_info_topic_t = topic(23, 3);
    /// Many [`zx_info_handle_extended_t`](crate::zx_info_handle_extended_t)
    pub const ZX_INFO_HANDLE_TABLE: zx_object_info_topic_t = topic(27, 0);
    /// Many [`zx_info_maps_t`](crate::zx_info_maps_t), of one VMAR.
    pub const ZX_INFO_VMAR_MAPS: zx_object_info_topic_t = topic(36, 0);
}
