//! VMARs: allocate, map, unmap, protect, destroy, op_range.

use std::sync::Arc;

use zxvm_host::{PAGE_SIZE, addr};
use zxvm_object::{Object, VmarObject};
use zxvm_types::*;
use zxvm_vm::{AllocateRequest, MapRequest, Place, RegionFlags, VmarOp};

use crate::kernel::{Kernel, require};
use crate::options::{Options, prot_for, rights_for};
use crate::out::{Out, invalid_args};

/// `len` in whole pages, which is not nothing.
fn whole_pages(len: usize) -> Result<u64, Status> {
    addr::round_up(len as u64).filter(|&len| len != 0).ok_or(Status::INVALID_ARGS)
}

fn aligned(addr: usize) -> Result<u64, Status> {
    if (addr as u64).is_multiple_of(PAGE_SIZE) { Ok(addr as u64) } else { Err(Status::INVALID_ARGS) }
}

fn place(options: Options, offset: usize) -> Place {
    Place {
        offset: offset as u64,
        specific: options.has(ZX_VM_SPECIFIC),
        overwrite: options.has(ZX_VM_SPECIFIC_OVERWRITE),
        upper_limit: options.has(ZX_VM_OFFSET_IS_UPPER_LIMIT),
        align: options.align(),
    }
}

impl Kernel {
    /// Makes a VMAR of `size` bytes inside another one. `child` gets the handle, `addr` the address.
    ///
    /// # Errors
    /// In the order of vmar.md §3.
    pub fn vmar_allocate(
        &self,
        parent: zx_handle_t,
        options: u32,
        offset: usize,
        size: usize,
        child: impl Out<zx_handle_t>,
        addr: impl Out<zx_vaddr_t>,
    ) -> Result<(), Status> {
        let options = Options(options);
        let can = options.can_map();
        let (object, _) = self.vmar_with(parent, rights_for(can) | rights_for(options.perms_asked()))?;
        options.check_form()?;
        let not_here = ZX_VM_SPECIFIC_OVERWRITE
            | ZX_VM_ALLOW_FAULTS
            | ZX_VM_REQUIRE_NON_RESIZABLE
            | ZX_VM_FAULT_BEYOND_STREAM_SIZE
            | ZX_VM_MAP_RANGE;
        if options.has_perms() || !(size as u64).is_multiple_of(PAGE_SIZE) || options.has(not_here) {
            return Err(Status::INVALID_ARGS);
        }
        let vmar = object.vmar().allocate(AllocateRequest {
            place: place(options, offset),
            size: size as u64,
            flags: RegionFlags {
                can,
                specific: options.has(ZX_VM_CAN_MAP_SPECIFIC),
                compact: options.has(ZX_VM_COMPACT),
            },
        })?;
        let undo = vmar.clone();
        let base = vmar.range().addr();
        let object = Object::Vmar(Arc::new(VmarObject::new(self.koids.next(), vmar)));
        let given = self.give(object, ZX_DEFAULT_VMAR_RIGHTS | rights_for(can), child).and_then(|handle| {
            addr.put(base).map_err(|fault| {
                let _ = self.handles.remove(handle);
                invalid_args(fault)
            })
        });
        given.inspect_err(|_| {
            // Empty, so the host is not asked and cannot refuse; dead already if another thread was faster.
            let _ = undo.destroy();
        })
    }

    /// Maps a VMO. `addr` gets the address.
    ///
    /// # Errors
    /// In the order of vmar.md §4.
    #[allow(clippy::too_many_arguments)]
    pub fn vmar_map(
        &self,
        handle: zx_handle_t,
        options: u32,
        vmar_offset: usize,
        vmo: zx_handle_t,
        vmo_offset: u64,
        len: usize,
        addr: impl Out<zx_vaddr_t>,
    ) -> Result<(), Status> {
        let options = Options(options);
        let (vmar, vmar_rights) = self.vmar_with(handle, 0)?;
        let (vmo, vmo_rights) = self.vmo(vmo)?;
        require(vmo_rights, ZX_RIGHT_MAP)?;
        options.check_perms()?;
        if options.has(ZX_VM_MAP_RANGE) && options.has(ZX_VM_SPECIFIC_OVERWRITE) || options.has_can_map() {
            return Err(Status::INVALID_ARGS);
        }
        require(vmar_rights & vmo_rights, rights_for(options.perms()))?;
        let ends_with_stream = options.has(ZX_VM_FAULT_BEYOND_STREAM_SIZE);
        if ends_with_stream && !options.has(ZX_VM_ALLOW_FAULTS) {
            return Err(Status::INVALID_ARGS);
        }
        options.check_form()?;
        let kind = vmo.vmo().kind();
        if kind.resizable && options.has(ZX_VM_REQUIRE_NON_RESIZABLE)
            || kind.discardable && !options.has(ZX_VM_ALLOW_FAULTS)
        {
            return Err(Status::NOT_SUPPORTED);
        }
        if options.has(ZX_VM_COMPACT | ZX_VM_CAN_MAP_SPECIFIC) || !vmo_offset.is_multiple_of(PAGE_SIZE) {
            return Err(Status::INVALID_ARGS);
        }
        let len = addr::round_up(len as u64).ok_or(Status::OUT_OF_RANGE)?;
        vmo_offset.checked_add(len).ok_or(Status::OUT_OF_RANGE)?;
        let new = vmar.vmar().map(MapRequest {
            vmo: vmo.vmo().clone(),
            offset: vmo_offset,
            len,
            place: place(options, vmar_offset),
            can: prot_for(vmar_rights & vmo_rights),
            prot: options.perms(),
            ends_with_stream,
            populate: options.has(ZX_VM_MAP_RANGE),
        })?;
        addr.put(new.range().addr()).map_err(|fault| {
            new.take_away();
            invalid_args(fault)
        })
    }

    /// Unmaps `[addr, addr + len)`.
    ///
    /// # Errors
    /// In the order of vmar.md §5.
    pub fn vmar_unmap(&self, handle: zx_handle_t, addr: usize, len: usize) -> Result<(), Status> {
        let (vmar, rights) = self.vmar_with(handle, 0)?;
        let addr = aligned(addr)?;
        vmar.vmar().unmap(addr, whole_pages(len)?, rights & ZX_RIGHT_OP_CHILDREN != 0)
    }

    /// Changes what the pages of `[addr, addr + len)` allow.
    ///
    /// # Errors
    /// In the order of vmar.md §6.
    pub fn vmar_protect(&self, handle: zx_handle_t, options: u32, addr: usize, len: usize) -> Result<(), Status> {
        let options = Options(options);
        let (vmar, rights) = self.vmar_with(handle, rights_for(options.perms()))?;
        options.check_perms()?;
        let addr = aligned(addr)?;
        options.check_form()?;
        if !options.only_perms() {
            return Err(Status::INVALID_ARGS);
        }
        let len = whole_pages(len)?;
        vmar.vmar().protect(addr, len, options.perms(), rights & ZX_RIGHT_OP_CHILDREN != 0)
    }

    /// Destroys the VMAR and all in it.
    ///
    /// # Errors
    /// In the order of vmar.md §7.
    pub fn vmar_destroy(&self, handle: zx_handle_t) -> Result<(), Status> {
        let (vmar, _) = self.vmar_with(handle, ZX_RIGHT_OP_CHILDREN)?;
        vmar.vmar().destroy()
    }

    /// Applies an operation to all that is mapped in `[addr, addr + size)`. `buffer` and `buffer_size` must be 0. Commits
    /// and page-table work happen in the calling thread.
    ///
    /// # Errors
    /// In the order of vmar.md §9; an error at a later mapping leaves the earlier ones done.
    pub fn vmar_op_range(
        &self,
        handle: zx_handle_t,
        op: u32,
        addr: usize,
        size: usize,
        buffer: usize,
        buffer_size: usize,
    ) -> Result<(), Status> {
        let (vmar, rights) = self.vmar_with(handle, 0)?;
        let (op, needs) = match op {
            ZX_VMAR_OP_COMMIT => (VmarOp::Commit, ZX_RIGHT_WRITE),
            // `ZX_VMO_OP_DECOMMIT` is the same number.
            ZX_VMAR_OP_DECOMMIT => (VmarOp::Decommit, ZX_RIGHT_WRITE),
            ZX_VMAR_OP_MAP_RANGE => (VmarOp::MapRange, 0),
            ZX_VMAR_OP_ZERO => (VmarOp::Zero, ZX_RIGHT_WRITE),
            ZX_VMAR_OP_DONT_NEED => (VmarOp::DontNeed, 0),
            ZX_VMAR_OP_ALWAYS_NEED => (VmarOp::AlwaysNeed, 0),
            ZX_VMAR_OP_PREFETCH => (VmarOp::Prefetch, ZX_RIGHT_READ),
            _ => return Err(Status::INVALID_ARGS),
        };
        require(rights, needs)?;
        if buffer != 0 || buffer_size != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let len = whole_pages(size)?;
        let result = vmar.vmar().op_range(op, aligned(addr)?, len, rights & ZX_RIGHT_OP_CHILDREN != 0);
        if op == VmarOp::Commit { self.committed(len, result) } else { result }
    }
}
