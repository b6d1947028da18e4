//! Options of VMARs: [`VmarFlags`], which safe calls take, and [`VmarFlagsExtended`] with the one that is not safe.

use crate::sys;

/// Declares a flag set with all the safe flags, and those that are given besides.
macro_rules! vmar_flags {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$($flag_meta:tt)*])* const $flag:ident = $value:expr; )* }
    ) => {
        flags! {
            $(#[$meta])*
            pub struct $name: sys::zx_vm_option_t {
                /// Readable.
                const PERM_READ = sys::ZX_VM_PERM_READ;
                /// Writable; goes with `PERM_READ`.
                const PERM_WRITE = sys::ZX_VM_PERM_WRITE;
                /// Executable; goes with `PERM_READ`.
                const PERM_EXECUTE = sys::ZX_VM_PERM_EXECUTE;
                /// Place what comes into the new region close together.
                const COMPACT = sys::ZX_VM_COMPACT;
                /// Place exactly at the offset. Needs the VMAR's `CAN_MAP_SPECIFIC`.
                const SPECIFIC = sys::ZX_VM_SPECIFIC;
                /// The new region lets others choose where to be in it.
                const CAN_MAP_SPECIFIC = sys::ZX_VM_CAN_MAP_SPECIFIC;
                /// The new region may hold readable mappings.
                const CAN_MAP_READ = sys::ZX_VM_CAN_MAP_READ;
                /// The new region may hold writable mappings.
                const CAN_MAP_WRITE = sys::ZX_VM_CAN_MAP_WRITE;
                /// The new region may hold executable mappings.
                const CAN_MAP_EXECUTE = sys::ZX_VM_CAN_MAP_EXECUTE;
                /// Enter the committed pages in the page tables at once.
                const MAP_RANGE = sys::ZX_VM_MAP_RANGE;
                /// Refuse a VMO whose size can change.
                const REQUIRE_NON_RESIZABLE = sys::ZX_VM_REQUIRE_NON_RESIZABLE;
                /// Accept that an access to the mapping may fail.
                const ALLOW_FAULTS = sys::ZX_VM_ALLOW_FAULTS;
                /// Place anywhere that ends at or below the offset. Needs the VMAR's `CAN_MAP_SPECIFIC`.
                const OFFSET_IS_UPPER_LIMIT = sys::ZX_VM_OFFSET_IS_UPPER_LIMIT;
                /// Readable too where the processor cannot do execute-only.
                const PERM_READ_IF_XOM_UNSUPPORTED = sys::ZX_VM_PERM_READ_IF_XOM_UNSUPPORTED;
                /// Fault on pages past the end of the VMO's content. Goes with `ALLOW_FAULTS`.
                const FAULT_BEYOND_STREAM_SIZE = sys::ZX_VM_FAULT_BEYOND_STREAM_SIZE;

                /// At a multiple of 1 KiB.
                const ALIGN_1KB = sys::ZX_VM_ALIGN_1KB;
                /// At a multiple of 2 KiB.
                const ALIGN_2KB = sys::ZX_VM_ALIGN_2KB;
                /// At a multiple of 4 KiB.
                const ALIGN_4KB = sys::ZX_VM_ALIGN_4KB;
                /// At a multiple of 8 KiB.
                const ALIGN_8KB = sys::ZX_VM_ALIGN_8KB;
                /// At a multiple of 16 KiB.
                const ALIGN_16KB = sys::ZX_VM_ALIGN_16KB;
                /// At a multiple of 32 KiB.
                const ALIGN_32KB = sys::ZX_VM_ALIGN_32KB;
                /// At a multiple of 64 KiB.
                const ALIGN_64KB = sys::ZX_VM_ALIGN_64KB;
                /// At a multiple of 128 KiB.
                const ALIGN_128KB = sys::ZX_VM_ALIGN_128KB;
                /// At a multiple of 256 KiB.
                const ALIGN_256KB = sys::ZX_VM_ALIGN_256KB;
                /// At a multiple of 512 KiB.
                const ALIGN_512KB = sys::ZX_VM_ALIGN_512KB;
                /// At a multiple of 1 MiB.
                const ALIGN_1MB = sys::ZX_VM_ALIGN_1MB;
                /// At a multiple of 2 MiB.
                const ALIGN_2MB = sys::ZX_VM_ALIGN_2MB;
                /// At a multiple of 4 MiB.
                const ALIGN_4MB = sys::ZX_VM_ALIGN_4MB;
                /// At a multiple of 8 MiB.
                const ALIGN_8MB = sys::ZX_VM_ALIGN_8MB;
                /// At a multiple of 16 MiB.
                const ALIGN_16MB = sys::ZX_VM_ALIGN_16MB;
                /// At a multiple of 32 MiB.
                const ALIGN_32MB = sys::ZX_VM_ALIGN_32MB;
                /// At a multiple of 64 MiB.
                const ALIGN_64MB = sys::ZX_VM_ALIGN_64MB;
                /// At a multiple of 128 MiB.
                const ALIGN_128MB = sys::ZX_VM_ALIGN_128MB;
                /// At a multiple of 256 MiB.
                const ALIGN_256MB = sys::ZX_VM_ALIGN_256MB;
                /// At a multiple of 512 MiB.
                const ALIGN_512MB = sys::ZX_VM_ALIGN_512MB;
                /// At a multiple of 1 GiB.
                const ALIGN_1GB = sys::ZX_VM_ALIGN_1GB;
                /// At a multiple of 2 GiB.
                const ALIGN_2GB = sys::ZX_VM_ALIGN_2GB;
                /// At a multiple of 4 GiB.
                const ALIGN_4GB = sys::ZX_VM_ALIGN_4GB;

                $( $(#[$($flag_meta)*])* const $flag = $value; )*
            }
        }
    };
}

vmar_flags! {
    /// How to make or protect a region. At most one of the `ALIGN_*`, which share their bits.
    pub struct VmarFlags {}
}

vmar_flags! {
    /// As [`VmarFlags`](crate::VmarFlags), and one more that can pull memory away from under a reference.
    pub struct VmarFlagsExtended {
        /// Place exactly at the offset, in place of the mappings there. Needs the VMAR's `CAN_MAP_SPECIFIC`.
        const SPECIFIC_OVERWRITE = sys::ZX_VM_SPECIFIC_OVERWRITE;
    }
}
