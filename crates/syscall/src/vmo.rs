//! VMOs: create, read, write, sizes, operations on ranges.

use std::sync::Arc;

use zxvm_host::Access;
use zxvm_host::user::{UserRef, UserSlice};
use zxvm_object::{Object, VmoObject};
use zxvm_types::*;
use zxvm_vm::{CachePolicy, Fault, IoError, MAX_SIZE, Vmo, VmoKind, VmoOp};

use crate::kernel::{Kernel, require};
use crate::out::{Out, invalid_args};
use zerocopy::IntoBytes;

impl Kernel {
    /// Makes a VMO of `size` bytes, rounded up to pages.
    ///
    /// # Errors
    /// In the order of vmo.md §2.1; then `INVALID_ARGS` (`out`), `NO_MEMORY`.
    pub fn vmo_create(&self, size: u64, options: u32, out: impl Out<zx_handle_t>) -> Result<(), Status> {
        let has = |bit| options & bit != 0;
        if has(ZX_VMO_RESIZABLE) && has(ZX_VMO_UNBOUNDED) {
            return Err(Status::INVALID_ARGS);
        }
        let whole = if has(ZX_VMO_UNBOUNDED) { MAX_SIZE } else { size };
        let whole = zxvm_host::addr::round_up(whole).ok_or(Status::OUT_OF_RANGE)?;
        if options & !(ZX_VMO_RESIZABLE | ZX_VMO_DISCARDABLE | ZX_VMO_UNBOUNDED) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if size > whole {
            return Err(Status::OUT_OF_RANGE);
        }
        let kind = VmoKind { resizable: has(ZX_VMO_RESIZABLE), discardable: has(ZX_VMO_DISCARDABLE), immutable: false };
        let vmo = Vmo::create(&self.stores, self.koids.next(), kind, whole, size)?;
        let rights = ZX_DEFAULT_VMO_RIGHTS | if kind.resizable { ZX_RIGHT_RESIZE } else { 0 };
        self.give(Object::Vmo(VmoObject::new(vmo)), rights, out).map(drop)
    }

    /// Copies from the VMO, from byte `offset` on. Commits nothing. Blocks only where the buffer does.
    ///
    /// # Errors
    /// In the order of vmo.md §6.
    pub fn vmo_read(&self, handle: zx_handle_t, to: UserSlice<'_>, offset: u64) -> Result<(), Status> {
        let (object, _) = self.vmo_with(handle, ZX_RIGHT_READ)?;
        self.space.read_vmo(object.vmo(), offset, to).map_err(|error| self.copy_error(error, Access::Write))
    }

    /// Copies to the VMO, from byte `offset` on. Blocks only where the buffer does.
    ///
    /// # Errors
    /// In the order of vmo.md §6.
    pub fn vmo_write(&self, handle: zx_handle_t, from: UserRef<'_>, offset: u64) -> Result<(), Status> {
        let (object, _) = self.vmo_with(handle, ZX_RIGHT_WRITE)?;
        let len = from.len() as u64;
        let written = self.space.write_vmo(object.vmo(), offset, from);
        self.committed(len, written.map_err(|error| self.copy_error(error, Access::Read)))
    }

    /// What a failed copy means; `access` is what the buffer had to allow.
    fn copy_error(&self, error: IoError, access: Access) -> Status {
        match error {
            IoError::Status(status) => status,
            IoError::Buffer { at } => self.access_error(at, access),
        }
    }

    /// Why memory could not be accessed at this address.
    pub(crate) fn access_error(&self, at: usize, access: Access) -> Status {
        match self.space.why_fault(at, access) {
            Fault::NotMapped => Status::NOT_FOUND,
            // What another thread has made accessible meanwhile was not when it was accessed.
            Fault::Denied | Fault::Waits => Status::ACCESS_DENIED,
            Fault::PastEnd => Status::OUT_OF_RANGE,
        }
    }

    /// Bytes in the VMO. No right is needed.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `WRONG_TYPE`, `INVALID_ARGS` (`out`).
    pub fn vmo_get_size(&self, handle: zx_handle_t, out: impl Out<u64>) -> Result<(), Status> {
        let (object, _) = self.vmo(handle)?;
        out.put(object.vmo().size()).map_err(invalid_args)
    }

    /// Gives the VMO a new size in bytes, rounded up to pages; every mapping follows.
    ///
    /// # Errors
    /// In the order of vmo.md §4; then `NO_MEMORY`, `NO_RESOURCES`, and all is as before.
    pub fn vmo_set_size(&self, handle: zx_handle_t, size: u64) -> Result<(), Status> {
        let (object, rights) = self.vmo_with(handle, ZX_RIGHT_WRITE)?;
        if object.vmo().kind().resizable {
            require(rights, ZX_RIGHT_RESIZE)?;
        }
        self.space.set_vmo_size(object.vmo(), size)
    }

    /// The stream size, in bytes. No right is needed.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `WRONG_TYPE`, `INVALID_ARGS` (`out`).
    pub fn vmo_get_stream_size(&self, handle: zx_handle_t, out: impl Out<u64>) -> Result<(), Status> {
        let (object, _) = self.vmo(handle)?;
        out.put(object.vmo().stream_size()).map_err(invalid_args)
    }

    /// Sets the stream size; what lies behind the smaller of the old and the new one becomes zero.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`), `OUT_OF_RANGE` (beyond the size), `NO_MEMORY`.
    ///
    /// Source: vmo.md §5.
    pub fn vmo_set_stream_size(&self, handle: zx_handle_t, size: u64) -> Result<(), Status> {
        let (object, _) = self.vmo_with(handle, ZX_RIGHT_WRITE)?;
        self.space.set_vmo_stream_size(object.vmo(), size)
    }

    /// Applies an operation to `[offset, offset + size)`. `buffer` is used by LOCK alone.
    ///
    /// # Errors
    /// In the order of vmo.md §7 and §9.
    pub fn vmo_op_range(
        &self,
        handle: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer: UserSlice<'_>,
    ) -> Result<(), Status> {
        let (object, rights) = self.vmo(handle)?;
        let vmo = object.vmo();
        let (op, needs) = match op {
            ZX_VMO_OP_COMMIT => (VmoOp::Commit, ZX_RIGHT_WRITE),
            ZX_VMO_OP_DECOMMIT => (VmoOp::Decommit, ZX_RIGHT_WRITE),
            ZX_VMO_OP_ZERO => (VmoOp::Zero, ZX_RIGHT_WRITE),
            ZX_VMO_OP_CACHE_SYNC | ZX_VMO_OP_CACHE_CLEAN | ZX_VMO_OP_CACHE_CLEAN_INVALIDATE => {
                (VmoOp::Cache, ZX_RIGHT_READ)
            }
            // As on a kernel without debugging system calls.
            ZX_VMO_OP_CACHE_INVALIDATE => return Err(Status::NOT_SUPPORTED),
            ZX_VMO_OP_DONT_NEED => (VmoOp::DontNeed, 0),
            ZX_VMO_OP_ALWAYS_NEED => (VmoOp::AlwaysNeed, 0),
            ZX_VMO_OP_PREFETCH => (VmoOp::Prefetch, ZX_RIGHT_READ),
            ZX_VMO_OP_LOCK | ZX_VMO_OP_TRY_LOCK | ZX_VMO_OP_UNLOCK => {
                if rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE) == 0 {
                    return Err(Status::ACCESS_DENIED);
                }
                return self.lock_op(vmo, op, offset, size, buffer);
            }
            _ => return Err(Status::INVALID_ARGS),
        };
        require(rights, needs)?;
        let result = self.space.vmo_op_range(vmo, op, offset, size);
        if op == VmoOp::Commit { self.committed(size, result) } else { result }
    }

    /// Sets how the VMO's memory is to be cached (state only, see CAVEATS).
    ///
    /// # Errors
    /// In the order of vmo.md §8.
    pub fn vmo_set_cache_policy(&self, handle: zx_handle_t, policy: u32) -> Result<(), Status> {
        let policy = match policy {
            ZX_CACHE_POLICY_CACHED => CachePolicy::Cached,
            ZX_CACHE_POLICY_UNCACHED => CachePolicy::Uncached,
            ZX_CACHE_POLICY_UNCACHED_DEVICE => CachePolicy::UncachedDevice,
            ZX_CACHE_POLICY_WRITE_COMBINING => CachePolicy::WriteCombining,
            _ => return Err(Status::INVALID_ARGS),
        };
        let (object, _) = self.vmo_with(handle, ZX_RIGHT_MAP)?;
        object.vmo().set_cache_policy(policy)
    }

    /// A handle with `EXECUTE` in place of this one, which is gone whatever the result. `vmex` may be
    /// `ZX_HANDLE_INVALID`: every program may have executable memory here, as Linux lets it.
    ///
    /// # Errors
    /// In the order of vmo.md §2.4: `BAD_HANDLE` (not a VMO either), then what `vmex` is refused with.
    pub fn vmo_replace_as_executable(
        &self,
        handle: zx_handle_t,
        vmex: zx_handle_t,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let verdict = match vmex {
            ZX_HANDLE_INVALID => Ok(()),
            // No object that exists here is a resource.
            vmex => self.handles.get(vmex).and(Err(Status::WRONG_TYPE)),
        };
        let replaced = self.handles.remove_and(handle, |old| {
            let Object::Vmo(_) = old.object else { return Err(Status::BAD_HANDLE) };
            verdict?;
            self.give(old.object.clone(), old.rights | ZX_RIGHT_EXECUTE, out).map(drop)
        });
        replaced?
    }

    fn lock_op(&self, vmo: &Arc<Vmo>, op: u32, offset: u64, size: u64, buffer: UserSlice<'_>) -> Result<(), Status> {
        if op == ZX_VMO_OP_UNLOCK {
            self.space.unlock_vmo(vmo, offset, size)?;
            // As for VMOs of pagers.
            let _ = self.watch_memory();
            return Ok(());
        }
        let even_if_discarded = op == ZX_VMO_OP_LOCK;
        let discarded = self.space.lock_vmo(vmo, offset, size, even_if_discarded)?;
        if op == ZX_VMO_OP_TRY_LOCK {
            return Ok(());
        }
        let discarded_size = if discarded { size } else { 0 };
        let state = zx_vmo_lock_state_t { offset, size, discarded_offset: 0, discarded_size };
        let written = if buffer.len() < size_of_val(&state) {
            Err(Status::INVALID_ARGS)
        } else {
            buffer.fill_from(state.as_bytes()).map_err(invalid_args)
        };
        written.inspect_err(|_| {
            let _ = self.space.unlock_vmo(vmo, offset, size);
        })
    }
}
