//! Limits of the interface, and the numbers that mean "none" or "for ever".

use crate::scalars::*;

constants! {
    /// No handle.
    pub const ZX_HANDLE_INVALID: zx_handle_t = 0;
    /// Bits that are set in every valid handle.
    pub const ZX_HANDLE_FIXED_BITS_MASK: zx_handle_t = 0x3;
    /// No object.
    pub const ZX_KOID_INVALID: zx_koid_t = 0;
    /// The kernel itself.
    pub const ZX_KOID_KERNEL: zx_koid_t = 1;
    /// The lowest number an object can have.
    pub const ZX_KOID_FIRST: zx_koid_t = 1024;
    /// Bytes of an object's name, with the NUL that ends it.
    pub const ZX_MAX_NAME_LEN: usize = 32;
    /// Most items of one `zx_object_wait_many`.
    pub const ZX_WAIT_MANY_MAX_ITEMS: usize = 64;
    /// A deadline that never comes.
    pub const ZX_TIME_INFINITE: zx_time_t = i64::MAX;
    /// A moment before every other.
    pub const ZX_TIME_INFINITE_PAST: zx_time_t = i64::MIN;
    /// The clock that stands still while the machine is suspended.
    pub const ZX_CLOCK_MONOTONIC: zx_clock_t = 0;
    /// The clock that counts from boot, suspended or not.
    pub const ZX_CLOCK_BOOT: zx_clock_t = 1;

    /// Base-two logarithm of the smallest page of this architecture.
    pub const ZX_MIN_PAGE_SHIFT: u32 = 12;
    /// Base-two logarithm of the largest page of this architecture.
    pub const ZX_MAX_PAGE_SHIFT: u32 = if cfg!(target_arch = "aarch64") { 16 } else { 21 };
    /// Bytes of the smallest page of this architecture.
    pub const ZX_MIN_PAGE_SIZE: usize = 1 << ZX_MIN_PAGE_SHIFT;
    /// Bytes of the largest page of this architecture.
    pub const ZX_MAX_PAGE_SIZE: usize = 1 << ZX_MAX_PAGE_SHIFT;
    /// Bytes of a page, for old programs; new ones call `zx_system_get_page_size`.
    pub const ZX_PAGE_SIZE: usize = 4096;
}
