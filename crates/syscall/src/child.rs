//! VMOs made of VMOs: children of every kind, transfers; and what is made of devices, which are not here.

use zxvm_host::addr;
use zxvm_object::{Object, VmoObject};
use zxvm_types::*;
use zxvm_vm::{ChildKind, ChildRequest};

use crate::kernel::{Kernel, require};
use crate::out::Out;

const SNAPSHOTS: u32 = ZX_VMO_CHILD_SNAPSHOT | ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE | ZX_VMO_CHILD_SNAPSHOT_MODIFIED;
const KINDS: u32 = SNAPSHOTS | ZX_VMO_CHILD_SLICE | ZX_VMO_CHILD_REFERENCE;

impl Kernel {
    /// Makes a child of a VMO: a snapshot of `[offset, offset + size)`, a slice of it, or a reference to all of it. Blocks
    /// while other calls copy to the VMO.
    ///
    /// # Errors
    /// In the order of vmo.md §3.1; then `NOT_SUPPORTED` (a snapshot of what is mapped, where this process may not have a
    /// userfaultfd), `NO_MEMORY`, `NO_RESOURCES`, `INVALID_ARGS` (`out`).
    pub fn vmo_create_child(
        &self,
        handle: zx_handle_t,
        options: u32,
        offset: u64,
        size: u64,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        addr::round_up(size).ok_or(Status::OUT_OF_RANGE)?;
        let resizable = options & ZX_VMO_CHILD_RESIZABLE != 0;
        let read_only = options & ZX_VMO_CHILD_NO_WRITE != 0;
        if read_only && resizable {
            return Err(Status::INVALID_ARGS);
        }
        let (parent, held) = self.vmo_with(handle, ZX_RIGHT_DUPLICATE | ZX_RIGHT_READ)?;
        if parent.vmo().kind().discardable {
            return Err(Status::NOT_SUPPORTED);
        }
        let options = options & !ZX_VMO_CHILD_NO_WRITE;
        let (kind, may) = match options & KINDS {
            ZX_VMO_CHILD_SLICE => (ChildKind::Slice, 0),
            ZX_VMO_CHILD_REFERENCE => (ChildKind::Reference, ZX_VMO_CHILD_RESIZABLE),
            ZX_VMO_CHILD_SNAPSHOT => (ChildKind::Snapshot, ZX_VMO_CHILD_RESIZABLE),
            ZX_VMO_CHILD_SNAPSHOT_AT_LEAST_ON_WRITE => (ChildKind::AtLeastOnWrite, ZX_VMO_CHILD_RESIZABLE),
            ZX_VMO_CHILD_SNAPSHOT_MODIFIED => (ChildKind::Modified, ZX_VMO_CHILD_RESIZABLE),
            _ => return Err(Status::INVALID_ARGS),
        };
        if options & !(KINDS | may) != 0 || kind == ChildKind::Reference && (offset, size) != (0, 0) {
            return Err(Status::INVALID_ARGS);
        }
        if kind == ChildKind::Reference && resizable && parent.vmo().kind().resizable {
            require(held, ZX_RIGHT_RESIZE)?;
        }
        let request = ChildRequest {
            kind,
            offset,
            size,
            resizable,
            immutable: read_only && options & ZX_VMO_CHILD_SNAPSHOT != 0,
            koid: self.koids.next(),
            named: held & ZX_RIGHT_GET_PROPERTY != 0,
        };
        let child = self.space.create_child(parent.vmo(), request)?;
        parent.tell_children();
        let mut rights = held & !ZX_RIGHT_RESIZE | ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_SET_PROPERTY;
        if resizable {
            rights |= ZX_RIGHT_RESIZE;
        }
        if read_only {
            rights &= !ZX_RIGHT_WRITE;
        } else if options & SNAPSHOTS != 0 {
            rights = rights & !ZX_RIGHT_EXECUTE | ZX_RIGHT_WRITE;
        }
        self.give(Object::Vmo(VmoObject::new(child)), rights, out).map(drop)
    }

    /// Moves `[src_offset, src_offset + length)` of one VMO to `offset` of another: the source reads as zero afterwards.
    /// Blocks while other calls copy to the source.
    ///
    /// # Errors
    /// In the order of vmo.md §11; then `BAD_STATE` (not cached), `NOT_FOUND` (discarded), `NO_MEMORY`, `NO_RESOURCES`: some
    /// of it may have been moved then, and nothing is lost.
    pub fn vmo_transfer_data(
        &self,
        dst: zx_handle_t,
        options: u32,
        offset: u64,
        length: u64,
        src: zx_handle_t,
        src_offset: u64,
    ) -> Result<(), Status> {
        if options != 0 || [offset, length, src_offset].iter().any(|n| !n.is_multiple_of(zxvm_host::PAGE_SIZE)) {
            return Err(Status::INVALID_ARGS);
        }
        let (dst, _) = self.vmo_with(dst, ZX_RIGHT_WRITE)?;
        let (src, _) = self.vmo_with(src, ZX_RIGHT_READ | ZX_RIGHT_WRITE)?;
        if dst.vmo().koid() == src.vmo().koid() && offset == src_offset {
            return Ok(());
        }
        self.space.transfer(dst.vmo(), offset, length, src.vmo(), src_offset)
    }

    /// A VMO of physically contiguous memory: refused, since there are no devices here to ask for it.
    ///
    /// # Errors
    /// In the order of vmo.md §2.2, as far as the handle: `INVALID_ARGS`, `BAD_HANDLE`, `WRONG_TYPE` (no object that exists
    /// here is a BTI).
    pub fn vmo_create_contiguous(
        &self,
        bti: zx_handle_t,
        size: usize,
        alignment_log2: u32,
        _out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        if size == 0 || !matches!(alignment_log2, 0 | 12..64) {
            return Err(Status::INVALID_ARGS);
        }
        self.handles.get(bti).and(Err(Status::WRONG_TYPE))
    }

    /// A VMO of a device's memory: refused, since there are no resources here that stand for any.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `WRONG_TYPE` (no object that exists here is a resource): vmo.md §2.3 asks for the handle first.
    pub fn vmo_create_physical(
        &self,
        resource: zx_handle_t,
        _paddr: u64,
        _size: usize,
        _out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        self.handles.get(resource).and(Err(Status::WRONG_TYPE))
    }

    /// Takes the content of a discardable VMO away, as memory pressure does, if nobody has it locked and somebody once had.
    /// Answers whether it went. Not a call of Zircon's.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`), `NOT_SUPPORTED` (not discardable), `NO_MEMORY`.
    pub fn vmo_discard(&self, handle: zx_handle_t) -> Result<bool, Status> {
        let (object, _) = self.vmo_with(handle, ZX_RIGHT_WRITE)?;
        self.space.discard_vmo(object.vmo())
    }

    /// Frees the committed pages of a VMO that hold nothing but zeros; no content changes. Returns the bytes freed: a page
    /// that others hold too is theirs then. Not a call of Zircon's, which does this by itself.
    ///
    /// # Errors
    /// `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` (needs `WRITE`), `BAD_STATE` (not cached), `NOT_SUPPORTED` (it is mapped, and
    /// this process may not have a userfaultfd), `NO_MEMORY`.
    pub fn vmo_free_zero_pages(&self, handle: zx_handle_t) -> Result<u64, Status> {
        let (object, _) = self.vmo_with(handle, ZX_RIGHT_WRITE)?;
        self.space.free_zero_pages(object.vmo())
    }
}
