//! Pagers: operations, commands, and what they report.

records! {
    /// A run of pages that have to be written back. Offset and length in bytes.
    pub struct zx_vmo_dirty_range_t: 24 {
        /// Start in the VMO.
        0 => offset: u64,
        /// Length.
        8 => length: u64,
        /// `ZX_VMO_DIRTY_RANGE_IS_ZERO` or 0.
        16 => options: u64,
    }

    /// What a pager may ask about one of its VMOs.
    pub struct zx_pager_vmo_stats_t: 4 {
        /// `ZX_PAGER_VMO_STATS_MODIFIED` if it was written to since the last reset, else 0.
        0 => modified: u32,
    }
}

constants! {
    /// The pages cannot be had: the status is in the data.
    pub const ZX_PAGER_OP_FAIL: u32 = 1;
    /// The pages may be written.
    pub const ZX_PAGER_OP_DIRTY: u32 = 2;
    /// Writeback of the pages starts.
    pub const ZX_PAGER_OP_WRITEBACK_BEGIN: u32 = 3;
    /// Writeback of the pages is done.
    pub const ZX_PAGER_OP_WRITEBACK_END: u32 = 4;

    /// Command of a packet: supply these pages.
    pub const ZX_PAGER_VMO_READ: u16 = 0;
    /// Command of a packet: no more commands will come for this VMO.
    pub const ZX_PAGER_VMO_COMPLETE: u16 = 1;
    /// Command of a packet: allow these pages to be written.
    pub const ZX_PAGER_VMO_DIRTY: u16 = 2;

    /// Option of a query: start anew.
    pub const ZX_PAGER_RESET_VMO_STATS: u32 = 1;
    /// The VMO was written to.
    pub const ZX_PAGER_VMO_STATS_MODIFIED: u32 = 1;
    /// The run is dirty and all zeros.
    pub const ZX_VMO_DIRTY_RANGE_IS_ZERO: u64 = 1;
}
