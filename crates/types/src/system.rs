//! Events of the system about memory.

use crate::scalars::zx_system_event_type_t;

constants! {
    /// Memory has run out.
    pub const ZX_SYSTEM_EVENT_OUT_OF_MEMORY: zx_system_event_type_t = 1;
    /// Pressure is critical.
    pub const ZX_SYSTEM_EVENT_MEMORY_PRESSURE_CRITICAL: zx_system_event_type_t = 2;
    /// Pressure is high.
    pub const ZX_SYSTEM_EVENT_MEMORY_PRESSURE_WARNING: zx_system_event_type_t = 3;
    /// There is no pressure.
    pub const ZX_SYSTEM_EVENT_MEMORY_PRESSURE_NORMAL: zx_system_event_type_t = 4;
    /// Memory is about to run out.
    pub const ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY: zx_system_event_type_t = 5;
}
