//! Address space: options and operations of VMARs.

use crate::scalars::zx_vm_option_t;

constants! {
    /// Readable.
    pub const ZX_VM_PERM_READ: zx_vm_option_t = 1 << 0;
    /// Writable; readable must be asked for as well.
    pub const ZX_VM_PERM_WRITE: zx_vm_option_t = 1 << 1;
    /// Executable; readable must be asked for as well.
    pub const ZX_VM_PERM_EXECUTE: zx_vm_option_t = 1 << 2;
    /// Place what comes into the new region close together.
    pub const ZX_VM_COMPACT: zx_vm_option_t = 1 << 3;
    /// Place exactly at the offset.
    pub const ZX_VM_SPECIFIC: zx_vm_option_t = 1 << 4;
    /// Place exactly at the offset, in place of the mappings there.
    pub const ZX_VM_SPECIFIC_OVERWRITE: zx_vm_option_t = 1 << 5;
    /// The new region lets others choose where to be in it.
    pub const ZX_VM_CAN_MAP_SPECIFIC: zx_vm_option_t = 1 << 6;
    /// The new region may hold readable mappings.
    pub const ZX_VM_CAN_MAP_READ: zx_vm_option_t = 1 << 7;
    /// The new region may hold writable mappings.
    pub const ZX_VM_CAN_MAP_WRITE: zx_vm_option_t = 1 << 8;
    /// The new region may hold executable mappings.
    pub const ZX_VM_CAN_MAP_EXECUTE: zx_vm_option_t = 1 << 9;
    /// Enter the committed pages in the page tables at once.
    pub const ZX_VM_MAP_RANGE: zx_vm_option_t = 1 << 10;
    /// Refuse a VMO whose size can change.
    pub const ZX_VM_REQUIRE_NON_RESIZABLE: zx_vm_option_t = 1 << 11;
    /// Accept that an access to the mapping may fail.
    pub const ZX_VM_ALLOW_FAULTS: zx_vm_option_t = 1 << 12;
    /// Place anywhere that ends at or below the offset.
    pub const ZX_VM_OFFSET_IS_UPPER_LIMIT: zx_vm_option_t = 1 << 13;
    /// Readable too where the processor cannot do execute-only.
    pub const ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED: zx_vm_option_t = 1 << 14;
    /// Fault on pages past the stream size of the VMO.
    pub const ZX_VM_FAULT_BEYOND_STREAM_SIZE: zx_vm_option_t = 1 << 15;

    /// Where in the options the alignment is: the base-two logarithm of it, or 0 for none.
    pub const ZX_VM_ALIGN_BASE: zx_vm_option_t = 24;
    /// Align to 1 KiB.
    pub const ZX_VM_ALIGN_1KB: zx_vm_option_t = 10 << ZX_VM_ALIGN_BASE;
    /// Align to 2 KiB.
    pub const ZX_VM_ALIGN_2KB: zx_vm_option_t = 11 << ZX_VM_ALIGN_BASE;
    /// Align to 4 KiB.
    pub const ZX_VM_ALIGN_4KB: zx_vm_option_t = 12 << ZX_VM_ALIGN_BASE;
    /// Align to 8 KiB.
    pub const ZX_VM_ALIGN_8KB: zx_vm_option_t = 13 << ZX_VM_ALIGN_BASE;
    /// Align to 16 KiB.
    pub const ZX_VM_ALIGN_16KB: zx_vm_option_t = 14 << ZX_VM_ALIGN_BASE;
    /// Align to 32 KiB.
    pub const ZX_VM_ALIGN_32KB: zx_vm_option_t = 15 << ZX_VM_ALIGN_BASE;
    /// Align to 64 KiB.
    pub const ZX_VM_ALIGN_64KB: zx_vm_option_t = 16 << ZX_VM_ALIGN_BASE;
    /// Align to 128 KiB.
    pub const ZX_VM_ALIGN_128KB: zx_vm_option_t = 17 << ZX_VM_ALIGN_BASE;
    /// Align to 256 KiB.
    pub const ZX_VM_ALIGN_256KB: zx_vm_option_t = 18 << ZX_VM_ALIGN_BASE;
    /// Align to 512 KiB.
    pub const ZX_VM_ALIGN_512KB: zx_vm_option_t = 19 << ZX_VM_ALIGN_BASE;
    /// Align to 1 MiB.
    pub const ZX_VM_ALIGN_1MB: zx_vm_option_t = 20 << ZX_VM_ALIGN_BASE;
    /// Align to 2 MiB.
    pub const ZX_VM_ALIGN_2MB: zx_vm_option_t = 21 << ZX_VM_ALIGN_BASE;
    /// Align to 4 MiB.
    pub const ZX_VM_ALIGN_4MB: zx_vm_option_t = 22 << ZX_VM_ALIGN_BASE;
    /// Align to 8 MiB.
    pub const ZX_VM_ALIGN_8MB: zx_vm_option_t = 23 << ZX_VM_ALIGN_BASE;
    /// Align to 16 MiB.
    pub const ZX_VM_ALIGN_16MB: zx_vm_option_t = 24 << ZX_VM_ALIGN_BASE;
    /// Align to 32 MiB.
    pub const ZX_VM_ALIGN_32MB: zx_vm_option_t = 25 << ZX_VM_ALIGN_BASE;
    /// Align to 64 MiB.
    pub const ZX_VM_ALIGN_64MB: zx_vm_option_t = 26 << ZX_VM_ALIGN_BASE;
    /// Align to 128 MiB.
    pub const ZX_VM_ALIGN_128MB: zx_vm_option_t = 27 << ZX_VM_ALIGN_BASE;
    /// Align to 256 MiB.
    pub const ZX_VM_ALIGN_256MB: zx_vm_option_t = 28 << ZX_VM_ALIGN_BASE;
    /// Align to 512 MiB.
    pub const ZX_VM_ALIGN_512MB: zx_vm_option_t = 29 << ZX_VM_ALIGN_BASE;
    /// Align to 1 GiB.
    pub const ZX_VM_ALIGN_1GB: zx_vm_option_t = 30 << ZX_VM_ALIGN_BASE;
    /// Align to 2 GiB.
    pub const ZX_VM_ALIGN_2GB: zx_vm_option_t = 31 << ZX_VM_ALIGN_BASE;
    /// Align to 4 GiB.
    pub const ZX_VM_ALIGN_4GB: zx_vm_option_t = 32 << ZX_VM_ALIGN_BASE;

    /// The old name of `ZX_VM_PERM_READ`.
    pub const ZX_VM_FLAG_PERM_READ: u32 = ZX_VM_PERM_READ;
    /// The old name of `ZX_VM_PERM_WRITE`.
    pub const ZX_VM_FLAG_PERM_WRITE: u32 = ZX_VM_PERM_WRITE;
    /// The old name of `ZX_VM_PERM_EXECUTE`.
    pub const ZX_VM_FLAG_PERM_EXECUTE: u32 = ZX_VM_PERM_EXECUTE;
    /// The old name of `ZX_VM_COMPACT`.
    pub const ZX_VM_FLAG_COMPACT: u32 = ZX_VM_COMPACT;
    /// The old name of `ZX_VM_SPECIFIC`.
    pub const ZX_VM_FLAG_SPECIFIC: u32 = ZX_VM_SPECIFIC;
    /// The old name of `ZX_VM_SPECIFIC_OVERWRITE`.
    pub const ZX_VM_FLAG_SPECIFIC_OVERWRITE: u32 = ZX_VM_SPECIFIC_OVERWRITE;
    /// The old name of `ZX_VM_CAN_MAP_SPECIFIC`.
    pub const ZX_VM_FLAG_CAN_MAP_SPECIFIC: u32 = ZX_VM_CAN_MAP_SPECIFIC;
    /// The old name of `ZX_VM_CAN_MAP_READ`.
    pub const ZX_VM_FLAG_CAN_MAP_READ: u32 = ZX_VM_CAN_MAP_READ;
    /// The old name of `ZX_VM_CAN_MAP_WRITE`.
    pub const ZX_VM_FLAG_CAN_MAP_WRITE: u32 = ZX_VM_CAN_MAP_WRITE;
    /// The old name of `ZX_VM_CAN_MAP_EXECUTE`.
    pub const ZX_VM_FLAG_CAN_MAP_EXECUTE: u32 = ZX_VM_CAN_MAP_EXECUTE;
    /// The old name of `ZX_VM_MAP_RANGE`.
    pub const ZX_VM_FLAG_MAP_RANGE: u32 = ZX_VM_MAP_RANGE;
    /// The old name of `ZX_VM_REQUIRE_NON_RESIZABLE`.
    pub const ZX_VM_FLAG_REQUIRE_NON_RESIZABLE: u32 = ZX_VM_REQUIRE_NON_RESIZABLE;

    /// Commit the absent pages.
    pub const ZX_VMAR_OP_COMMIT: u32 = 1;
    /// Give the pages back: they read as zero.
    pub const ZX_VMAR_OP_DECOMMIT: u32 = 2;
    /// Enter the committed pages in the page tables. (A VMO's operation 3 is another one.)
    pub const ZX_VMAR_OP_MAP_RANGE: u32 = 3;
    /// Make all bytes zero.
    pub const ZX_VMAR_OP_ZERO: u32 = 10;
    /// Hint: these pages will not be used soon.
    pub const ZX_VMAR_OP_DONT_NEED: u32 = 12;
    /// Hint: keep these pages.
    pub const ZX_VMAR_OP_ALWAYS_NEED: u32 = 13;
    /// Bring the pages in.
    pub const ZX_VMAR_OP_PREFETCH: u32 = 14;
}

const _: () = assert!(ZX_VM_ALIGN_1KB == 0x0a00_0000 && ZX_VM_ALIGN_4GB == 0x2000_0000);
