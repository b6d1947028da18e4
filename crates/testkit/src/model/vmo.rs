//! The calls on VMOs: vmo.md §2, §4 to §9.

use zxvm_types::*;

use super::{Kind, MORE_THAN_MEMORY, Model, ObjectId, Pages, VMO_SIZE_MAX};
use crate::op::{Buffer, FILLER, Lost, Outcome, pattern};
use crate::{PAGE, pages_up};

/// Memory.
#[derive(Clone, Debug)]
pub struct Vmo {
    /// Bytes, whole pages.
    pub size: u64,
    /// Bytes.
    pub stream_size: u64,
    /// Whether the size can change.
    pub resizable: bool,
    /// Whether it can be locked.
    pub discardable: bool,
    /// `ZX_CACHE_POLICY_`
    pub cache_policy: u32,
    /// How often it is locked.
    pub locks: u64,
    /// NUL-padded.
    pub name: [u8; ZX_MAX_NAME_LEN],
    /// What it holds.
    pub pages: Pages,
}

impl Vmo {
    /// `OUT_OF_RANGE` unless the range, which need not be aligned, is inside.
    pub(super) fn in_range(&self, offset: u64, len: u64) -> Result<(), Status> {
        if offset <= self.size && len <= self.size - offset { Ok(()) } else { Err(Status::OUT_OF_RANGE) }
    }

    fn cached(&self) -> Result<(), Status> {
        if self.cache_policy == ZX_CACHE_POLICY_CACHED { Ok(()) } else { Err(Status::BAD_STATE) }
    }

    pub(super) fn commit(&mut self, offset: u64, len: u64) -> Result<(), Status> {
        self.in_range(offset, len)?;
        if len >= MORE_THAN_MEMORY {
            return Err(Status::NO_MEMORY);
        }
        if len > 0 {
            self.pages.commit(offset, offset + len);
        }
        Ok(())
    }

    pub(super) fn decommit(&mut self, offset: u64, len: u64) -> Result<(), Status> {
        self.in_range(offset, len)?;
        if len == 0 {
            return Ok(());
        }
        if !offset.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        self.pages.free(offset, offset + len);
        Ok(())
    }

    pub(super) fn zero(&mut self, offset: u64, len: u64) -> Result<(), Status> {
        // In the order of read and write; the specification gives none for this one.
        self.cached()?;
        self.in_range(offset, len)?;
        self.pages.zero(offset, offset + len);
        Ok(())
    }

    pub(super) fn prefetch(&self, offset: u64, len: u64) -> Result<(), Status> {
        self.in_range(offset, len)
    }
}

impl Model {
    pub(super) fn vmo_create(
        &mut self,
        size: u64,
        options: u32,
        lost: Lost,
        got: &Outcome,
    ) -> Result<Vec<(zx_handle_t, zx_koid_t)>, Status> {
        let has = |bit: u32| options & bit != 0;
        if has(ZX_VMO_RESIZABLE) && has(ZX_VMO_UNBOUNDED) {
            return Err(Status::INVALID_ARGS);
        }
        let rounded = if has(ZX_VMO_UNBOUNDED) { VMO_SIZE_MAX } else { pages_up(size).ok_or(Status::OUT_OF_RANGE)? };
        if options & !(ZX_VMO_RESIZABLE | ZX_VMO_DISCARDABLE | ZX_VMO_UNBOUNDED) != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if size > rounded {
            return Err(Status::OUT_OF_RANGE);
        }
        if rounded > VMO_SIZE_MAX {
            return Err(Status::OUT_OF_RANGE);
        }
        let vmo = Vmo {
            size: rounded,
            stream_size: size,
            resizable: has(ZX_VMO_RESIZABLE),
            discardable: has(ZX_VMO_DISCARDABLE),
            cache_policy: ZX_CACHE_POLICY_CACHED,
            locks: 0,
            name: [0; ZX_MAX_NAME_LEN],
            pages: Pages::default(),
        };
        let rights = ZX_DEFAULT_VMO_RIGHTS | if vmo.resizable { ZX_RIGHT_RESIZE } else { 0 };
        let vmo = self.add(ZX_VMO_ZERO_CHILDREN, Kind::Vmo(vmo));
        self.give_unless(lost, vmo, rights, got)
    }

    /// The checks of a read or a write up to the look at the buffer; `None` where there is nothing to transfer.
    fn transfer(&self, handle: zx_handle_t, right: u32, offset: u64, len: usize) -> Result<Option<ObjectId>, Status> {
        let (id, _) = self.vmo(handle, right)?;
        let vmo = self.vmo_of(id);
        let end = offset.checked_add(len as u64).ok_or(Status::OUT_OF_RANGE)?;
        vmo.cached()?;
        if end > vmo.size {
            return Err(Status::OUT_OF_RANGE);
        }
        Ok((len > 0).then_some(id))
    }

    pub(super) fn vmo_read(&mut self, handle: zx_handle_t, buffer: Buffer, offset: u64, len: usize) -> Outcome {
        let own = matches!(buffer, Buffer::Own);
        let untouched = vec![FILLER; if own { len } else { 0 }];
        let from = match self.transfer(handle, ZX_RIGHT_READ, offset, len) {
            Ok(Some(id)) => id,
            Ok(None) => return Outcome { bytes: untouched, ..Outcome::default() },
            Err(status) => return Outcome { status, bytes: untouched, ..Outcome::default() },
        };
        let mut bytes = vec![0; len];
        self.vmo_of(from).pages.read(offset, &mut bytes);
        match buffer {
            Buffer::Own => Outcome { bytes, ..Outcome::default() },
            Buffer::Null => Outcome::of(Err(Status::NOT_FOUND)),
            Buffer::At(addr) => Outcome::of(self.reach(addr, ZX_VM_PERM_WRITE).map(|(to, at)| {
                self.vmo_mut(to).pages.write(at, &bytes);
            })),
        }
    }

    pub(super) fn vmo_write(
        &mut self,
        handle: zx_handle_t,
        buffer: Buffer,
        fill: u8,
        offset: u64,
        len: usize,
    ) -> Result<(), Status> {
        let Some(id) = self.transfer(handle, ZX_RIGHT_WRITE, offset, len)? else { return Ok(()) };
        let bytes = match buffer {
            Buffer::Own => pattern(fill, len),
            Buffer::Null => return Err(Status::NOT_FOUND),
            Buffer::At(addr) => {
                let (from, at) = self.reach(addr, ZX_VM_PERM_READ)?;
                // As a load by the processor, it commits the page.
                self.vmo_mut(from).pages.commit(at, at + 1);
                let mut bytes = vec![0; len];
                self.vmo_of(from).pages.read(at, &mut bytes);
                bytes
            }
        };
        self.vmo_mut(id).pages.write(offset, &bytes);
        Ok(())
    }

    pub(super) fn vmo_set_size(&mut self, handle: zx_handle_t, size: u64) -> Result<(), Status> {
        let (id, rights) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        let vmo = self.vmo_mut(id);
        if vmo.resizable && rights & ZX_RIGHT_RESIZE == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let rounded = pages_up(size).ok_or(Status::OUT_OF_RANGE)?;
        if !vmo.resizable {
            return Err(Status::UNAVAILABLE);
        }
        if rounded > VMO_SIZE_MAX {
            return Err(Status::OUT_OF_RANGE);
        }
        vmo.pages.free(rounded.min(vmo.size), vmo.size);
        vmo.pages.zero(size, rounded);
        vmo.size = rounded;
        vmo.stream_size = size;
        Ok(())
    }

    pub(super) fn vmo_set_stream_size(&mut self, handle: zx_handle_t, size: u64) -> Result<(), Status> {
        let (id, _) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        let vmo = self.vmo_mut(id);
        if size == vmo.stream_size {
            return Ok(());
        }
        if size > vmo.size {
            return Err(Status::OUT_OF_RANGE);
        }
        vmo.pages.zero(size.min(vmo.stream_size), vmo.size);
        vmo.stream_size = size;
        Ok(())
    }

    /// The bytes of the outcome are the buffer.
    pub(super) fn vmo_op_range(
        &mut self,
        handle: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer_size: usize,
    ) -> Outcome {
        let mut bytes = vec![FILLER; buffer_size];
        let status = self.op_on_vmo(handle, op, offset, size, &mut bytes).into();
        Outcome { status, bytes, ..Outcome::default() }
    }

    fn op_on_vmo(
        &mut self,
        handle: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer: &mut [u8],
    ) -> Result<(), Status> {
        let (id, rights) = self.vmo(handle, 0)?;
        let vmo = self.vmo_mut(id);
        let needs = |right: u32| if rights & right == right { Ok(()) } else { Err(Status::ACCESS_DENIED) };
        match op {
            ZX_VMO_OP_COMMIT => {
                needs(ZX_RIGHT_WRITE)?;
                vmo.commit(offset, size)
            }
            ZX_VMO_OP_DECOMMIT => {
                needs(ZX_RIGHT_WRITE)?;
                vmo.decommit(offset, size)
            }
            ZX_VMO_OP_ZERO => {
                needs(ZX_RIGHT_WRITE)?;
                vmo.zero(offset, size)
            }
            ZX_VMO_OP_LOCK | ZX_VMO_OP_TRY_LOCK | ZX_VMO_OP_UNLOCK => {
                if rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE) == 0 {
                    return Err(Status::ACCESS_DENIED);
                }
                if !vmo.discardable {
                    return Err(Status::NOT_SUPPORTED);
                }
                if (offset, size) != (0, vmo.size) {
                    return Err(Status::OUT_OF_RANGE);
                }
                match op {
                    ZX_VMO_OP_UNLOCK => vmo.locks = vmo.locks.checked_sub(1).ok_or(Status::BAD_STATE)?,
                    ZX_VMO_OP_TRY_LOCK => vmo.locks += 1,
                    _ => {
                        let state = [offset, size, 0, 0];
                        let room = buffer.get_mut(..size_of_val(&state)).ok_or(Status::INVALID_ARGS)?;
                        room.copy_from_slice(&state.map(u64::to_ne_bytes).concat());
                        vmo.locks += 1;
                    }
                }
                Ok(())
            }
            ZX_VMO_OP_CACHE_INVALIDATE => Err(Status::NOT_SUPPORTED),
            ZX_VMO_OP_CACHE_SYNC | ZX_VMO_OP_CACHE_CLEAN | ZX_VMO_OP_CACHE_CLEAN_INVALIDATE => {
                needs(ZX_RIGHT_READ)?;
                if size == 0 {
                    return Err(Status::INVALID_ARGS);
                }
                vmo.in_range(offset, size)
            }
            ZX_VMO_OP_DONT_NEED | ZX_VMO_OP_ALWAYS_NEED => Ok(()),
            ZX_VMO_OP_PREFETCH => {
                needs(ZX_RIGHT_READ)?;
                vmo.prefetch(offset, size)
            }
            _ => Err(Status::INVALID_ARGS),
        }
    }

    pub(super) fn vmo_set_cache_policy(&mut self, handle: zx_handle_t, policy: u32) -> Result<(), Status> {
        if policy & !ZX_CACHE_POLICY_MASK != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let (id, _) = self.vmo(handle, ZX_RIGHT_MAP)?;
        if self.mappings_of(id) > 0 {
            return Err(Status::BAD_STATE);
        }
        let vmo = self.vmo_mut(id);
        if vmo.discardable && policy != ZX_CACHE_POLICY_CACHED {
            return Err(Status::BAD_STATE);
        }
        vmo.cache_policy = policy;
        Ok(())
    }
}
