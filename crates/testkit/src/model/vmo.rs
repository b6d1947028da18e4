//! The calls on one VMO: vmo.md §2, §4 to §8.

use zxvm_types::*;

use super::wait::{Fetch, Job, Want, Zero};
use super::{Content, ContentId, Kind, Model, ObjectId, Pages, VMO_SIZE_MAX};
use crate::op::{Buffer, FILLER, Lost, Outcome, pattern};
use crate::pages_up;

/// Memory, as a program knows it.
#[derive(Clone, Debug)]
pub struct Vmo {
    /// What it shows.
    pub content: ContentId,
    /// How it came to be, and which part it shows.
    pub shape: Shape,
    /// What it was made from, or what that was made from, and so on: the first that is still there.
    pub parent: Option<ObjectId>,
    /// Whether it was made never to change.
    pub immutable: bool,
    /// NUL-padded.
    pub name: [u8; ZX_MAX_NAME_LEN],
}

/// How a VMO came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By `zx_vmo_create`.
    Created,
    /// As a snapshot of another one.
    Snapshot,
    /// As a window on the content of another one.
    Slice {
        /// Where in the content it begins, in bytes.
        start: u64,
        /// Bytes, whole pages.
        size: u64,
        /// Bytes.
        stream_size: u64,
    },
    /// As another object for the whole content.
    Reference,
}

/// What of an operation may wait.
enum Waits {
    Fetch(Fetch),
    Zero(Zero),
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
        let family = ContentId(self.next);
        let content = self.add_content(Content {
            size: rounded,
            stream_size: size,
            resizable: has(ZX_VMO_RESIZABLE),
            discardable: has(ZX_VMO_DISCARDABLE),
            cache_policy: ZX_CACHE_POLICY_CACHED,
            locks: 0,
            locked_once: false,
            discarded: false,
            idle: 0,
            losses: 0,
            family,
            root_offset: 0,
            pages: Pages::default(),
            source: None,
            over: None,
        });
        let rights = ZX_DEFAULT_VMO_RIGHTS | if has(ZX_VMO_RESIZABLE) { ZX_RIGHT_RESIZE } else { 0 };
        let name = [0; ZX_MAX_NAME_LEN];
        let vmo = Vmo { content, shape: Shape::Created, parent: None, immutable: false, name };
        let vmo = self.add(ZX_VMO_ZERO_CHILDREN, Kind::Vmo(vmo));
        self.give_unless(lost, vmo, rights, got)
    }

    /// The checks of a read or a write up to the look at the buffer; `None` where there is nothing to transfer.
    fn transfer(&self, handle: zx_handle_t, right: u32, offset: u64, len: usize) -> Result<Option<ObjectId>, Status> {
        let (id, _) = self.vmo(handle, right)?;
        let end = offset.checked_add(len as u64).ok_or(Status::OUT_OF_RANGE)?;
        self.content(id).cached()?;
        if end > self.size(id) {
            return Err(Status::OUT_OF_RANGE);
        }
        if len == 0 {
            return Ok(None);
        }
        self.content(id).present()?;
        Ok(Some(id))
    }

    pub(super) fn vmo_read(&mut self, handle: zx_handle_t, buffer: Buffer, offset: u64, len: usize) -> Option<Outcome> {
        let own = matches!(buffer, Buffer::Own);
        let untouched = vec![FILLER; if own { len } else { 0 }];
        let from = match self.transfer(handle, ZX_RIGHT_READ, offset, len) {
            Ok(Some(id)) => id,
            Ok(None) => return Some(Outcome { bytes: untouched, ..Outcome::default() }),
            Err(status) => return Some(Outcome { status, bytes: untouched, ..Outcome::default() }),
        };
        if self.is_paged(from) {
            return self.launch(Job::Read { vmo: from, offset, len, buffer, bytes: Vec::new() });
        }
        let mut bytes = vec![0; len];
        self.content(from).pages.read(self.start(from) + offset, &mut bytes);
        Some(match buffer {
            Buffer::Own => Outcome { bytes, ..Outcome::default() },
            Buffer::Null => Outcome::of(Err(Status::NOT_FOUND)),
            Buffer::At(addr) => Outcome::of(self.reach(addr, ZX_VM_PERM_WRITE).map(|(to, at)| {
                self.pages_mut(to).write(at, &bytes);
            })),
        })
    }

    pub(super) fn vmo_write(
        &mut self,
        handle: zx_handle_t,
        buffer: Buffer,
        fill: u8,
        offset: u64,
        len: usize,
    ) -> Option<Outcome> {
        let id = match self.transfer(handle, ZX_RIGHT_WRITE, offset, len) {
            Ok(Some(id)) => id,
            Ok(None) => return Some(Outcome::default()),
            Err(status) => return Some(Outcome::of(Err(status))),
        };
        if self.is_paged(id) {
            let Buffer::Own = buffer else { panic!("a buffer at {buffer:x?} while the call may wait") };
            return self.launch(Job::Write { vmo: id, offset, bytes: pattern(fill, len), done: 0 });
        }
        Some(Outcome::of(self.write_plain(id, buffer, fill, offset, len)))
    }

    fn write_plain(&mut self, id: ObjectId, buffer: Buffer, fill: u8, offset: u64, len: usize) -> Result<(), Status> {
        let bytes = match buffer {
            Buffer::Own => pattern(fill, len),
            Buffer::Null => return Err(Status::NOT_FOUND),
            Buffer::At(addr) => {
                let (from, at) = self.reach(addr, ZX_VM_PERM_READ)?;
                // As a load by the processor, it commits the page.
                self.pages_mut(from).touch(at);
                let mut bytes = vec![0; len];
                self.content(from).pages.read(at, &mut bytes);
                bytes
            }
        };
        let start = self.start(id);
        self.pages_mut(id).write(start + offset, &bytes);
        Ok(())
    }

    pub(super) fn vmo_set_size(&mut self, handle: zx_handle_t, size: u64) -> Option<Outcome> {
        match self.set_size(handle, size) {
            Ok(Some(job)) => self.launch(job),
            Ok(None) => Some(Outcome::default()),
            Err(status) => Some(Outcome::of(Err(status))),
        }
    }

    /// What is left to do, if that may wait.
    fn set_size(&mut self, handle: zx_handle_t, size: u64) -> Result<Option<Job>, Status> {
        let (id, rights) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        let content = self.content_mut(id);
        if content.resizable && rights & ZX_RIGHT_RESIZE == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        let rounded = pages_up(size).ok_or(Status::OUT_OF_RANGE)?;
        if !content.resizable {
            return Err(Status::UNAVAILABLE);
        }
        if rounded > VMO_SIZE_MAX {
            return Err(Status::OUT_OF_RANGE);
        }
        if content.root_offset.checked_add(rounded).is_none() {
            return Err(Status::INVALID_ARGS);
        }
        let old = content.size;
        if self.is_paged(id) {
            // Of new pages all is zero.
            let zero = if rounded <= old { self.zeroing(id, size, rounded) } else { self.zeroing(id, 0, 0) };
            return Ok(Some(Job::SetSize { vmo: id, size, zero }));
        }
        let content = self.content_mut(id);
        content.pages.free(rounded.min(old), old);
        content.pages.zero(size, rounded);
        content.size = rounded;
        content.stream_size = size;
        Ok(None)
    }

    pub(super) fn vmo_set_stream_size(&mut self, handle: zx_handle_t, size: u64) -> Option<Outcome> {
        match self.change_stream_size(handle, size) {
            Ok(Some(job)) => self.launch(job),
            Ok(None) => Some(Outcome::default()),
            Err(status) => Some(Outcome::of(Err(status))),
        }
    }

    /// What is left to do, if that may wait.
    fn change_stream_size(&mut self, handle: zx_handle_t, size: u64) -> Result<Option<Job>, Status> {
        let (id, _) = self.vmo(handle, ZX_RIGHT_WRITE)?;
        let (old, whole) = (self.stream_size(id), self.size(id));
        if size == old {
            return Ok(None);
        }
        if size > whole {
            return Err(Status::OUT_OF_RANGE);
        }
        if self.is_paged(id) {
            let zero = self.zeroing(id, size.min(old), whole.max(size.min(old)));
            return Ok(Some(Job::SetStreamSize { vmo: id, size, zero }));
        }
        self.make_zero(id, size.min(old), whole)?;
        self.set_stream_size(id, size);
        Ok(None)
    }

    /// The bytes of the outcome are the buffer.
    pub(super) fn vmo_op_range(
        &mut self,
        handle: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer_size: usize,
    ) -> Option<Outcome> {
        let mut bytes = vec![FILLER; buffer_size];
        match self.op_on_vmo(handle, op, offset, size, &mut bytes) {
            Ok(Some(Waits::Fetch(fetch))) => self.launch(Job::Fetch(fetch, bytes)),
            Ok(Some(Waits::Zero(zero))) => self.launch(Job::Zero(zero, bytes)),
            Ok(None) => Some(Outcome { bytes, ..Outcome::default() }),
            Err(status) => Some(Outcome { status, bytes, ..Outcome::default() }),
        }
    }

    fn op_on_vmo(
        &mut self,
        handle: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer: &mut [u8],
    ) -> Result<Option<Waits>, Status> {
        let (id, rights) = self.vmo(handle, 0)?;
        let paged = self.is_paged(id);
        let needs = |right: u32| if rights & right == right { Ok(()) } else { Err(Status::ACCESS_DENIED) };
        match op {
            ZX_VMO_OP_COMMIT => {
                needs(ZX_RIGHT_WRITE)?;
                if paged {
                    self.in_range(id, offset, size)?;
                    return Ok((size > 0).then(|| Waits::Fetch(self.fetch(id, offset, size, Want::Committed))));
                }
                self.commit(id, offset, size)
            }
            ZX_VMO_OP_DECOMMIT => {
                needs(ZX_RIGHT_WRITE)?;
                self.decommit(id, offset, size)
            }
            ZX_VMO_OP_ZERO => {
                needs(ZX_RIGHT_WRITE)?;
                if paged {
                    self.content(id).cached()?;
                    self.in_range(id, offset, size)?;
                    return Ok(Some(Waits::Zero(self.zeroing(id, offset, offset + size))));
                }
                self.zero(id, offset, size)
            }
            ZX_VMO_OP_LOCK | ZX_VMO_OP_TRY_LOCK | ZX_VMO_OP_UNLOCK => {
                if rights & (ZX_RIGHT_READ | ZX_RIGHT_WRITE) == 0 {
                    return Err(Status::ACCESS_DENIED);
                }
                self.lock_op(id, op, offset, size, buffer)
            }
            ZX_VMO_OP_CACHE_INVALIDATE => Err(Status::NOT_SUPPORTED),
            ZX_VMO_OP_CACHE_SYNC | ZX_VMO_OP_CACHE_CLEAN | ZX_VMO_OP_CACHE_CLEAN_INVALIDATE => {
                needs(ZX_RIGHT_READ)?;
                if size == 0 {
                    return Err(Status::INVALID_ARGS);
                }
                self.in_range(id, offset, size)
            }
            ZX_VMO_OP_DONT_NEED | ZX_VMO_OP_ALWAYS_NEED if paged => {
                self.in_range(id, offset, size)?;
                let brings = op == ZX_VMO_OP_ALWAYS_NEED && size > 0;
                return Ok(brings.then(|| Waits::Fetch(self.fetch(id, offset, size, Want::PresentIfCan))));
            }
            ZX_VMO_OP_DONT_NEED | ZX_VMO_OP_ALWAYS_NEED => Ok(()),
            ZX_VMO_OP_PREFETCH => {
                needs(ZX_RIGHT_READ)?;
                self.in_range(id, offset, size)?;
                let brings = paged && size > 0;
                return Ok(brings.then(|| Waits::Fetch(self.fetch(id, offset, size, Want::Present))));
            }
            _ => Err(Status::INVALID_ARGS),
        }
        .map(|()| None)
    }

    pub(super) fn vmo_set_cache_policy(&mut self, handle: zx_handle_t, policy: u32) -> Result<(), Status> {
        if policy & !ZX_CACHE_POLICY_MASK != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let (id, _) = self.vmo(handle, ZX_RIGHT_MAP)?;
        if self.mappings_of(id) > 0 {
            return Err(Status::BAD_STATE);
        }
        if self.children_of(id) > 0 || self.is_child(id) {
            return Err(Status::BAD_STATE);
        }
        let paged = self.is_paged(id);
        let content = self.content_mut(id);
        if (content.discardable || paged) && policy != ZX_CACHE_POLICY_CACHED {
            return Err(Status::BAD_STATE);
        }
        content.cache_policy = policy;
        Ok(())
    }
}
