//! What `zx_object_get_info` tells about the memory of the whole machine. All in bytes.

records! {
    /// Memory of the machine: all that the first version told.
    pub struct zx_info_kmem_stats_v1_t: 72 {
        /// All there is.
        0 => total_bytes: u64,
        /// In nobody's use.
        8 => free_bytes: u64,
        /// The kernel's own, fixed.
        16 => wired_bytes: u64,
        /// The kernel's heap.
        24 => total_heap_bytes: u64,
        /// The part of that heap that is free.
        32 => free_heap_bytes: u64,
        /// Committed to VMOs.
        40 => vmo_bytes: u64,
        /// Page tables.
        48 => mmu_overhead_bytes: u64,
        /// Messages under way.
        56 => ipc_bytes: u64,
        /// The rest.
        64 => other_bytes: u64,
    }

    /// Memory of the machine.
    pub struct zx_info_kmem_stats_t: 152 {
        /// All there is.
        0 => total_bytes: u64,
        /// In nobody's use.
        8 => free_bytes: u64,
        /// Free, and lent by contiguous VMOs.
        16 => free_loaned_bytes: u64,
        /// The kernel's own, fixed.
        24 => wired_bytes: u64,
        /// The kernel's heap.
        32 => total_heap_bytes: u64,
        /// The part of that heap that is free.
        40 => free_heap_bytes: u64,
        /// Committed to VMOs.
        48 => vmo_bytes: u64,
        /// Page tables.
        56 => mmu_overhead_bytes: u64,
        /// Messages under way.
        64 => ipc_bytes: u64,
        /// Pages kept at hand for quick allocation.
        72 => cache_bytes: u64,
        /// The kernel's slabs.
        80 => slab_bytes: u64,
        /// Compressed pages.
        88 => zram_bytes: u64,
        /// The rest.
        96 => other_bytes: u64,
        /// Committed to VMOs and reclaimable.
        104 => vmo_reclaim_total_bytes: u64,
        /// Of these, in the newest queue.
        112 => vmo_reclaim_newest_bytes: u64,
        /// Of these, in the oldest queue.
        120 => vmo_reclaim_oldest_bytes: u64,
        /// Would be reclaimable, had it not been switched off for them.
        128 => vmo_reclaim_disabled_bytes: u64,
        /// In discardable VMOs that are locked.
        136 => vmo_discardable_locked_bytes: u64,
        /// In discardable VMOs that are not.
        144 => vmo_discardable_unlocked_bytes: u64,
    }
}
