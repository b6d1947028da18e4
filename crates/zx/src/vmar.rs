//! [`Vmar`]: a region of address space, and what can be done to it.

use core::mem::MaybeUninit;

use zxvm_syscall::Kernel;

use crate::handle::NullableHandle;
use crate::info::{self, Topic};
use crate::maps::MapInfo;
use crate::raw::{self, Records};
use crate::sys::{self, Status};
use crate::vmar_flags::{VmarFlags, VmarFlagsExtended};
use crate::vmo::Vmo;

assoc_values! {
    /// What [`Vmar::op_range`] can do to the VMOs that are mapped in a range. vmar.md §9 has the rules.
    pub struct VmarOp(u32) {
        /// Commit the absent pages, and enter them in the page tables. Needs `WRITE`.
        COMMIT = sys::ZX_VMAR_OP_COMMIT;
        /// Give the pages back: they read as zero. Needs `WRITE`.
        DECOMMIT = sys::ZX_VMAR_OP_DECOMMIT;
        /// Enter the committed pages in the page tables. Needs no right.
        MAP_RANGE = sys::ZX_VMAR_OP_MAP_RANGE;
        /// Make all bytes zero. Needs `WRITE`.
        ZERO = sys::ZX_VMAR_OP_ZERO;
        /// Hint: these pages will not be used soon. Needs no right.
        DONT_NEED = sys::ZX_VMAR_OP_DONT_NEED;
        /// Hint: keep these pages. Enters them in the page tables. Needs no right.
        ALWAYS_NEED = sys::ZX_VMAR_OP_ALWAYS_NEED;
        /// Bring the pages in, and enter them in the page tables. Needs `READ`.
        PREFETCH = sys::ZX_VMAR_OP_PREFETCH;
    }
}

/// Where a VMAR is.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq)]
pub struct VmarInfo {
    /// Its first address.
    pub base: usize,
    /// Its length in bytes.
    pub len: usize,
}

impl From<sys::zx_info_vmar_t> for VmarInfo {
    fn from(info: sys::zx_info_vmar_t) -> Self {
        Self { base: info.base, len: info.len }
    }
}

object_type! {
    /// A virtual memory address region: a range of addresses that holds mappings and further regions. The outermost one
    /// is [`vmar_root_self`](crate::runtime::vmar_root_self). Closing the handle changes nothing in the address space;
    /// [`destroy`](Self::destroy) does.
    ///
    /// ```
    /// use zxvm as zx;
    /// use zx::VmarFlags as F;
    /// # fn main() -> Result<(), zx::Status> {
    /// let root = zx::runtime::vmar_root_self();
    /// let (region, base) = root.allocate(0, 1 << 20, F::CAN_MAP_READ | F::CAN_MAP_WRITE | F::CAN_MAP_SPECIFIC)?;
    /// let vmo = zx::Vmo::create(4096)?;
    /// let addr = region.map(8192, &vmo, 0, 4096, F::PERM_READ | F::PERM_WRITE | F::SPECIFIC)?;
    /// assert_eq!(addr, base + 8192);
    /// // SAFETY: just mapped, readable and writable, and known to nobody else.
    /// unsafe { std::ptr::with_exposed_provenance_mut::<u8>(addr).write(7) };
    /// assert_eq!(vmo.read_to_object::<u8>(0)?, 7);
    /// // SAFETY: nothing refers to the memory any more.
    /// unsafe { region.destroy() }
    /// # }
    /// ```
    pub struct Vmar;
}

impl Vmar {
    /// A new region of `size` bytes (whole pages) inside this one, and its first address. `offset` is in bytes from the
    /// start of this region; it is 0 without `SPECIFIC` or `OFFSET_IS_UPPER_LIMIT`. Needs the right to each `CAN_MAP_*`
    /// that is asked for.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`: also if this region may not hold such a one. `INVALID_ARGS`: flags
    /// that are not for this call; a size or an offset that is not whole pages, or not inside. `BAD_STATE`: this region
    /// is destroyed. `ALREADY_EXISTS`: with `SPECIFIC`, something is there. `NO_RESOURCES`: no room. `NO_MEMORY`.
    ///
    /// Source: `zx_vmar_allocate`; vmar.md §3.
    pub fn allocate(&self, offset: usize, size: usize, flags: VmarFlags) -> Result<(Self, usize), Status> {
        let (mut child, mut addr) = (sys::ZX_HANDLE_INVALID, 0);
        Kernel::current()?.vmar_allocate(self.raw_handle(), flags.bits(), offset, size, &mut child, &mut addr)?;
        Ok((Self(NullableHandle::adopt(child)), addr))
    }

    /// Maps `len` bytes (rounded up to whole pages) of `vmo` from `vmo_offset` on, and gives the first address.
    /// `vmar_offset` is in bytes from the start of this region; it is 0 without `SPECIFIC` or `OFFSET_IS_UPPER_LIMIT`.
    /// Needs `MAP` on `vmo`, and the right to each `PERM_*` on both handles. The mapping keeps the VMO, not its handle.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`: also if this region may not hold such a one. `INVALID_ARGS`: flags
    /// that are not for this call; `PERM_WRITE` or `PERM_EXECUTE` without `PERM_READ`; an offset that is not whole
    /// pages; a range that is empty or not inside this region. `OUT_OF_RANGE`: a range of the VMO that overflows.
    /// `NOT_SUPPORTED`: `REQUIRE_NON_RESIZABLE` and the VMO is resizable; it is discardable and `ALLOW_FAULTS` is
    /// missing. `BAD_STATE`: this region is destroyed. `ALREADY_EXISTS`: with `SPECIFIC`, something is there.
    /// `NO_RESOURCES`: no room. `NO_MEMORY`: also where Linux allows no more mappings.
    ///
    /// Source: `zx_vmar_map`; vmar.md §4.
    pub fn map(
        &self,
        vmar_offset: usize,
        vmo: &Vmo,
        vmo_offset: u64,
        len: usize,
        flags: VmarFlags,
    ) -> Result<usize, Status> {
        self.map_bits(vmar_offset, vmo, vmo_offset, len, flags.bits())
    }

    /// As [`map`](Self::map), or in place of the mappings that are there.
    ///
    /// # Safety
    /// With `SPECIFIC_OVERWRITE`: nothing refers to memory in the range.
    ///
    /// # Errors
    /// As [`map`](Self::map). `INVALID_ARGS`: also if a region, not a mapping, is in the range; or with `MAP_RANGE`.
    #[allow(unsafe_code)]
    pub unsafe fn map_unsafe(
        &self,
        vmar_offset: usize,
        vmo: &Vmo,
        vmo_offset: u64,
        len: usize,
        flags: VmarFlagsExtended,
    ) -> Result<usize, Status> {
        self.map_bits(vmar_offset, vmo, vmo_offset, len, flags.bits())
    }

    fn map_bits(
        &self,
        vmar_offset: usize,
        vmo: &Vmo,
        vmo_offset: u64,
        len: usize,
        options: sys::zx_vm_option_t,
    ) -> Result<usize, Status> {
        let mut addr = 0;
        let kernel = Kernel::current()?;
        kernel.vmar_map(self.raw_handle(), options, vmar_offset, vmo.raw_handle(), vmo_offset, len, &mut addr)?;
        Ok(addr)
    }

    /// Takes everything out of the range: `len` bytes (rounded up to whole pages) from the address `addr` on. Mappings
    /// are cut at its ends; regions inside go altogether. Where nothing is, nothing happens.
    ///
    /// # Safety
    /// Nothing refers to memory in the range.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`. `INVALID_ARGS`: not whole pages, empty, or not inside this region; a region is cut,
    /// or is inside and the handle lacks `OP_CHILDREN`. `BAD_STATE`: this region is destroyed. `NO_MEMORY`.
    ///
    /// Source: `zx_vmar_unmap`; vmar.md §5.
    #[allow(unsafe_code)]
    pub unsafe fn unmap(&self, addr: usize, len: usize) -> Result<(), Status> {
        Kernel::current()?.vmar_unmap(self.raw_handle(), addr, len)
    }

    /// Does `op` to the VMOs that are mapped in the range: `len` bytes (rounded up to whole pages) from the address
    /// `addr` on, lowest address first. What right it needs stands at the operation. After an error at one mapping,
    /// those below it are done.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`: also of a mapping that was made without the right to the VMO.
    /// `INVALID_ARGS`: no such operation; not whole pages; empty; a mapping in a region inside, and the operation does
    /// not reach there (`COMMIT`, `DECOMMIT`, `PREFETCH`) or the handle lacks `OP_CHILDREN`. `OUT_OF_RANGE`: not inside
    /// this region; past the end of a VMO. `BAD_STATE`: this region is destroyed; something in the range is not mapped.
    /// `NOT_SUPPORTED`: by a VMO. `NO_MEMORY`.
    ///
    /// Source: `zx_vmar_op_range`; vmar.md §9.
    pub fn op_range(&self, op: VmarOp, addr: usize, len: usize) -> Result<(), Status> {
        Kernel::current()?.vmar_op_range(self.raw_handle(), op.into_raw(), addr, len, 0, 0)
    }

    /// Says what may be done to the memory of the range: `len` bytes (rounded up to whole pages) from the address
    /// `addr` on, all of it mapped. Needs the right to each `PERM_*`.
    ///
    /// # Safety
    /// Nothing refers to memory in the range in a way that will not be allowed.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`: also of a mapping that was made without the right to the VMO, and
    /// of more permission in a region inside. `INVALID_ARGS`: flags that are not for this call; not whole pages, empty,
    /// or not inside this region; a region inside and the handle lacks `OP_CHILDREN`. `BAD_STATE`: this region is
    /// destroyed. `NOT_FOUND`: something in the range is not mapped. `NO_MEMORY`: part may be done.
    ///
    /// Source: `zx_vmar_protect`; vmar.md §6.
    #[allow(unsafe_code)]
    pub unsafe fn protect(&self, addr: usize, len: usize, flags: VmarFlags) -> Result<(), Status> {
        Kernel::current()?.vmar_protect(self.raw_handle(), flags.bits(), addr, len)
    }

    /// Takes the region out of the address space with everything in it. Needs `OP_CHILDREN`. Handles to it, and to
    /// regions inside, stay, but say `BAD_STATE`.
    ///
    /// # Safety
    /// Nothing refers to memory in the region.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `NOT_SUPPORTED`: the root. `BAD_STATE`: it is destroyed.
    ///
    /// Source: `zx_vmar_destroy`; vmar.md §7.
    #[allow(unsafe_code)]
    pub unsafe fn destroy(&self) -> Result<(), Status> {
        Kernel::current()?.vmar_destroy(self.raw_handle())
    }

    /// Where the region is, or was. Needs `INSPECT`.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`.
    ///
    /// Source: `ZX_INFO_VMAR`; vmar.md §11.
    pub fn info(&self) -> Result<VmarInfo, Status> {
        info::one::<sys::zx_info_vmar_t>(self.raw_handle(), Topic::VMAR).map(Into::into)
    }

    /// This region and what is in it, into `buf` as far as it is long enough. Needs `INSPECT`. The first record is the
    /// region itself; then depth first, by ascending address. A mapping gives one record for each run of equal
    /// protection.
    ///
    /// Gives the records, the rest of `buf`, and the number of records there are.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `BAD_STATE`: the region is destroyed. `NO_MEMORY`.
    ///
    /// Source: `ZX_INFO_VMAR_MAPS`; vmar.md §11.
    pub fn maps<'a>(&self, buf: &'a mut [MaybeUninit<MapInfo>]) -> Result<Records<'a, MapInfo>, Status> {
        raw::records(self.raw_handle(), Topic::VMAR_MAPS, buf)
    }

    /// This region and all that is in it. See [`maps`](Self::maps).
    pub fn maps_vec(&self) -> Result<Vec<MapInfo>, Status> {
        info::many(self.raw_handle(), Topic::VMAR_MAPS)
    }
}
