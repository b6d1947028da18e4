//! VMOs: options, operations, cache policies, and the record an operation fills in.

records! {
    /// What `ZX_VMO_OP_LOCK` and `ZX_VMO_OP_TRY_LOCK` say about what was lost. All in bytes.
    pub struct zx_vmo_lock_state_t: 32 {
        /// Start of the range locked.
        0 => offset: u64,
        /// Length of it.
        8 => size: u64,
        /// Start of what was discarded since the last unlock.
        16 => discarded_offset: u64,
        /// Length of it; 0 if nothing was.
        24 => discarded_size: u64,
    }
}

constants! {
    /// To create: the size can be changed.
    pub const ZX_VMO_RESIZABLE: u32 = 1 << 1;
    /// To create: the system may drop the content while nobody has it locked.
    pub const ZX_VMO_DISCARDABLE: u32 = 1 << 2;
    /// To create, on a pager: ask it before a clean page is written.
    pub const ZX_VMO_TRAP_DIRTY: u32 = 1 << 3;
    /// To create: as large as can be.
    pub const ZX_VMO_UNBOUNDED: u32 = 1 << 4;

    /// Child: what the parent holds now, as a copy on write.
    pub const ZX_VMO_CHILD_SNAPSHOT: u32 = 1 << 0;
    /// Child: the size can be changed.
    pub const ZX_VMO_CHILD_RESIZABLE: u32 = 1 << 2;
    /// Child: a window of the parent.
    pub const ZX_VMO_CHILD_SLICE: u32 = 1 << 3;
    /// Child: copy on write, where pages not yet written may still follow the parent.
    pub const ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE: u32 = 1 << 4;
    /// Child: the handle gets no `WRITE`.
    pub const ZX_VMO_CHILD_NO_WRITE: u32 = 1 << 5;
    /// Child: the same VMO under another handle.
    pub const ZX_VMO_CHILD_REFERENCE: u32 = 1 << 6;
    /// Child: copy on write of what the parent itself has modified.
    pub const ZX_VMO_CHILD_SNAPSHOT_MODIFIED: u32 = 1 << 7;

    /// Commit the absent pages.
    pub const ZX_VMO_OP_COMMIT: u32 = 1;
    /// Give the pages back: they read as zero.
    pub const ZX_VMO_OP_DECOMMIT: u32 = 2;
    /// Keep the content from being discarded. Fills in a [`zx_vmo_lock_state_t`].
    pub const ZX_VMO_OP_LOCK: u32 = 3;
    /// Undo one lock.
    pub const ZX_VMO_OP_UNLOCK: u32 = 4;
    /// Make instruction fetches see what was written.
    pub const ZX_VMO_OP_CACHE_SYNC: u32 = 6;
    /// Drop the cache without writing it back.
    pub const ZX_VMO_OP_CACHE_INVALIDATE: u32 = 7;
    /// Write the cache back.
    pub const ZX_VMO_OP_CACHE_CLEAN: u32 = 8;
    /// Write the cache back, then drop it.
    pub const ZX_VMO_OP_CACHE_CLEAN_INVALIDATE: u32 = 9;
    /// Make all bytes zero.
    pub const ZX_VMO_OP_ZERO: u32 = 10;
    /// As lock, unless the content has been discarded already.
    pub const ZX_VMO_OP_TRY_LOCK: u32 = 11;
    /// Hint: these pages will not be used soon.
    pub const ZX_VMO_OP_DONT_NEED: u32 = 12;
    /// Hint: keep these pages.
    pub const ZX_VMO_OP_ALWAYS_NEED: u32 = 13;
    /// Bring the pages in.
    pub const ZX_VMO_OP_PREFETCH: u32 = 14;

    /// Ordinary memory.
    pub const ZX_CACHE_POLICY_CACHED: u32 = 0;
    /// Past the cache.
    pub const ZX_CACHE_POLICY_UNCACHED: u32 = 1;
    /// As a device's registers.
    pub const ZX_CACHE_POLICY_UNCACHED_DEVICE: u32 = 2;
    /// Past the cache, writes may be joined.
    pub const ZX_CACHE_POLICY_WRITE_COMBINING: u32 = 3;
    /// The bits of a policy.
    pub const ZX_CACHE_POLICY_MASK: u32 = 3;
}
