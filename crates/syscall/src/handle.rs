//! Handles: close, duplicate, replace.

use zxvm_object::Object;
use zxvm_types::*;

use crate::kernel::{Kernel, require};
use crate::out::{Out, invalid_args};

impl Kernel {
    /// Makes a handle and gives its value out; undone if that cannot be written.
    pub(crate) fn give(
        &self,
        object: Object,
        rights: zx_rights_t,
        out: impl Out<zx_handle_t>,
    ) -> Result<zx_handle_t, Status> {
        let value = self.handles.insert(object, rights)?;
        self.hand_out(value, out)
    }

    fn hand_out(&self, value: zx_handle_t, out: impl Out<zx_handle_t>) -> Result<zx_handle_t, Status> {
        out.put(value).map_err(|fault| {
            // Another thread may have guessed and closed it: then it is gone as well.
            let _ = self.handles.remove(value);
            invalid_args(fault)
        })?;
        Ok(value)
    }

    /// Closes a handle; `ZX_HANDLE_INVALID` is fine.
    ///
    /// # Errors
    /// `BAD_HANDLE`.
    ///
    /// Source: abi.md §12.
    pub fn handle_close(&self, handle: zx_handle_t) -> Result<(), Status> {
        if handle == ZX_HANDLE_INVALID {
            return Ok(());
        }
        self.handles.remove(handle).map(drop)
    }

    /// Closes all of them; zeros are skipped.
    ///
    /// # Errors
    /// `BAD_HANDLE`: at least one was bad or named twice; the others are closed.
    ///
    /// Source: abi.md §12.
    pub fn handle_close_many(&self, handles: &[zx_handle_t]) -> Result<(), Status> {
        // Every one is closed, so the first error must not end the walk.
        let mut result = Ok(());
        for &handle in handles {
            result = result.and(self.handle_close(handle));
        }
        result
    }

    /// Another handle to the same object, with `rights` (or `ZX_RIGHT_SAME_RIGHTS`).
    ///
    /// # Errors
    /// `BAD_HANDLE`, `ACCESS_DENIED` (needs `DUPLICATE`), `INVALID_ARGS` (more rights than held; `out`), `NO_MEMORY`.
    ///
    /// Source: abi.md §12.
    pub fn handle_duplicate(
        &self,
        handle: zx_handle_t,
        rights: zx_rights_t,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let copy = self.handles.duplicate(handle, |held| {
            require(held, ZX_RIGHT_DUPLICATE)?;
            reduced(held, rights)
        })?;
        self.hand_out(copy, out).map(drop)
    }

    /// Another handle in place of this one, which is gone whatever the result.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `INVALID_ARGS` (more rights than held; `out`), `NO_MEMORY`.
    ///
    /// Source: abi.md §12.
    pub fn handle_replace(
        &self,
        handle: zx_handle_t,
        rights: zx_rights_t,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let old = self.handles.remove_and(handle, |old| {
            let rights = reduced(old.rights, rights)?;
            self.give(old.object.clone(), rights, out).map(drop)
        });
        old?
    }

    /// Whether the value stands for a handle.
    ///
    /// # Errors
    /// `BAD_HANDLE`.
    pub fn handle_check_valid(&self, handle: zx_handle_t) -> Result<(), Status> {
        self.handles.get(handle).map(drop)
    }
}

/// `wanted` of `held`.
fn reduced(held: zx_rights_t, wanted: zx_rights_t) -> Result<zx_rights_t, Status> {
    match wanted {
        ZX_RIGHT_SAME_RIGHTS => Ok(held),
        wanted if wanted & !held == 0 => Ok(wanted),
        _ => Err(Status::INVALID_ARGS),
    }
}
