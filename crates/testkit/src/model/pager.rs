//! The calls of pagers: pager.md §3 to §5, §8.

use std::collections::VecDeque;

use zerocopy::IntoBytes;
use zxvm_types::*;

use super::port::{Slot, SlotId};
use super::source::{Kind as Asked, Message, Modified, Provider, Source, State};
use super::{Content, ContentId, Kind, Model, ObjectId, Pages, Shape, VMO_SIZE_MAX, Vmo};
use crate::op::{CreatePagerVmo, FILLER, Lost, Outcome, PagerRange, QueryDirty, Supply};
use crate::{PAGE, pages_up};

/// What a pager may fail a request with.
const FAILURES: [Status; 5] =
    [Status::IO, Status::IO_DATA_INTEGRITY, Status::BAD_STATE, Status::NO_SPACE, Status::BUFFER_TOO_SMALL];

impl Model {
    pub(super) fn pager_create(
        &mut self,
        options: u32,
        lost: Lost,
        got: &Outcome,
    ) -> Result<Vec<(zx_handle_t, zx_koid_t)>, Status> {
        if options != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let pager = self.add(0, Kind::Pager);
        self.give_unless(lost, pager, ZX_DEFAULT_PAGER_RIGHTS, got)
    }

    /// A handle to a pager: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED`.
    fn pager(&self, handle: zx_handle_t, needs: u32) -> Result<ObjectId, Status> {
        let found = self.handle(handle)?;
        match self.object(found.object).kind {
            Kind::Pager if found.rights & needs == needs => Ok(found.object),
            Kind::Pager => Err(Status::ACCESS_DENIED),
            Kind::Process(..) | Kind::Vmo(_) | Kind::Vmar(_) | Kind::Event | Kind::Eventpair(_) | Kind::Port(_) => {
                Err(Status::WRONG_TYPE)
            }
        }
    }

    pub(super) fn pager_create_vmo(
        &mut self,
        args: CreatePagerVmo,
        got: &Outcome,
    ) -> Result<Vec<(zx_handle_t, zx_koid_t)>, Status> {
        let CreatePagerVmo { pager, options, port, key, size, lost } = args;
        let has = |bit: u32| options & bit != 0;
        let pager = self.pager(pager, ZX_RIGHT_ATTACH_VMO)?;
        let port = self.port(port, ZX_RIGHT_WRITE)?;
        let unbounded = has(ZX_VMO_UNBOUNDED);
        if options & !(ZX_VMO_RESIZABLE | ZX_VMO_TRAP_DIRTY | ZX_VMO_UNBOUNDED) != 0
            || unbounded && has(ZX_VMO_RESIZABLE)
        {
            return Err(Status::INVALID_ARGS);
        }
        pages_up(size).filter(|&size| size <= VMO_SIZE_MAX).ok_or(Status::OUT_OF_RANGE)?;
        let whole = if unbounded { VMO_SIZE_MAX } else { size };
        let rounded = pages_up(whole).filter(|&size| size <= VMO_SIZE_MAX).ok_or(Status::OUT_OF_RANGE)?;
        let slot = SlotId(self.next);
        self.next += 1;
        let sent = VecDeque::new();
        self.slots.insert(slot, Slot { port, pager, key, sent, placed: None, over: false });
        let family = ContentId(self.next);
        let content = self.add_content(Content {
            size: rounded,
            stream_size: size,
            resizable: has(ZX_VMO_RESIZABLE),
            discardable: false,
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
        let name = [0; ZX_MAX_NAME_LEN];
        let vmo = Vmo { content, shape: Shape::Created, parent: None, immutable: false, name };
        let vmo = self.add(ZX_VMO_ZERO_CHILDREN, Kind::Vmo(vmo));
        self.content_mut(vmo).source = Some(Source::new(pager, vmo, slot, has(ZX_VMO_TRAP_DIRTY)));
        let rights = ZX_DEFAULT_VMO_RIGHTS | if has(ZX_VMO_RESIZABLE) { ZX_RIGHT_RESIZE } else { 0 };
        let made = self.give_unless(lost, vmo, rights, got)?;
        self.source_mut(vmo).koid = made[0].1;
        Ok(made)
    }

    /// The pager's VMO, by handles that have these rights: `INVALID_ARGS` if it is not.
    fn managed(&self, pager: zx_handle_t, needs: u32, vmo: zx_handle_t, right: u32) -> Result<ObjectId, Status> {
        let pager = self.pager(pager, needs)?;
        let (vmo, _) = self.vmo(vmo, right)?;
        match &self.content(vmo).source {
            Some(source) if source.pager == pager && source.root == vmo => Ok(vmo),
            Some(_) | None => Err(Status::INVALID_ARGS),
        }
    }

    /// What the pager behind a VMO knows; it has one.
    pub(super) fn source_mut(&mut self, vmo: ObjectId) -> &mut Source {
        self.content_mut(vmo).source.as_mut().expect("a pager VMO")
    }

    /// Whether the pager can still answer.
    fn provided(&self, vmo: ObjectId) -> Result<(), Status> {
        match self.content(vmo).source.as_ref().expect("a pager VMO").provider {
            Provider::There => Ok(()),
            Provider::Detached | Provider::Closed => Err(Status::BAD_STATE),
        }
    }

    pub(super) fn pager_detach_vmo(&mut self, pager: zx_handle_t, vmo: zx_handle_t) -> Result<(), Status> {
        let vmo = self.managed(pager, ZX_RIGHT_ATTACH_VMO | ZX_RIGHT_MANAGE_VMO, vmo, ZX_RIGHT_WRITE)?;
        let content = self.content_mut(vmo);
        let source = content.source.as_mut().expect("a pager VMO");
        if source.provider == Provider::There {
            source.end(Provider::Detached);
            source.messages.push(Message::Complete);
        }
        for (page, state) in source.known(0..u64::MAX) {
            if matches!(state, State::Clean | State::CleanZero) {
                source.set(page, State::Absent);
                content.pages.free(page * PAGE, (page + 1) * PAGE);
            }
        }
        Ok(())
    }

    /// The last handle to a pager is closed.
    pub(super) fn pager_gone(&mut self, pager: ObjectId) {
        for source in self.contents.values_mut().filter_map(|content| content.source.as_mut()) {
            if source.pager == pager {
                let detached = source.provider == Provider::Detached;
                source.end(if detached { Provider::Detached } else { Provider::Closed });
                source.messages.clear();
            }
        }
        self.silence(pager);
    }

    pub(super) fn pager_supply_pages(&mut self, args: Supply) -> Result<(), Status> {
        let Supply { pager, vmo, offset, len, aux, aux_offset } = args;
        if [offset, len, aux_offset].iter().any(|number| !number.is_multiple_of(PAGE)) {
            return Err(Status::INVALID_ARGS);
        }
        let vmo = self.managed(pager, ZX_RIGHT_MANAGE_VMO, vmo, ZX_RIGHT_WRITE)?;
        let (aux, _) = self.vmo(aux, ZX_RIGHT_READ | ZX_RIGHT_WRITE)?;
        self.in_range(aux, aux_offset, len)?;
        if self.is_paged(aux) {
            return Err(Status::NOT_SUPPORTED);
        }
        let family = |id| self.content(id).family;
        if self.vmos().any(|(id, _)| id != aux && family(id) == family(aux)) {
            return Err(Status::BAD_STATE);
        }
        if len == 0 {
            return Ok(());
        }
        let start = self.start(aux) + aux_offset;
        let taken = self.pages_mut(aux).take(start, start + len);
        self.in_range(vmo, offset, len)?;
        self.provided(vmo)?;
        let pages = offset / PAGE..(offset + len) / PAGE;
        let mut taken: std::collections::BTreeMap<_, _> =
            taken.into_iter().map(|(at, frame)| ((offset + (at - start)) / PAGE, frame)).collect();
        let in_vain = self.supplied_in_vain(vmo, pages.clone(), |page| taken.contains_key(&page));
        let content = self.content_mut(vmo);
        let source = content.source.as_mut().expect("a pager VMO");
        for page in pages.start..in_vain {
            if source.at(page) != State::Absent {
                continue;
            }
            match taken.remove(&page) {
                Some(frame) => {
                    content.pages.put(page * PAGE, frame);
                    source.set(page, State::Clean);
                }
                None => source.set(page, State::CleanZero),
            }
        }
        source.resolve(Asked::Read, pages.start..in_vain);
        if in_vain < pages.end {
            self.starve(vmo, Asked::Read, &(in_vain..pages.end));
        }
        Ok(())
    }

    pub(super) fn pager_op_range(&mut self, args: PagerRange) -> Result<(), Status> {
        let PagerRange { pager, op, vmo, offset, len, data } = args;
        if !offset.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
            return Err(Status::INVALID_ARGS);
        }
        let vmo = self.managed(pager, ZX_RIGHT_MANAGE_VMO, vmo, ZX_RIGHT_WRITE)?;
        match op {
            ZX_PAGER_OP_FAIL => {
                let status = i32::try_from(data.cast_signed()).map_err(|_| Status::INVALID_ARGS)?;
                let status =
                    FAILURES.into_iter().find(|known| known.into_raw() == status).ok_or(Status::INVALID_ARGS)?;
                self.in_range(vmo, offset, len)?;
                self.provided(vmo)?;
                self.source_mut(vmo).fail(offset / PAGE..(offset + len) / PAGE, status);
                Ok(())
            }
            ZX_PAGER_OP_DIRTY => self.pager_op_dirty(vmo, offset, len, data),
            ZX_PAGER_OP_WRITEBACK_BEGIN => {
                if data & !ZX_VMO_DIRTY_RANGE_IS_ZERO != 0 {
                    return Err(Status::INVALID_ARGS);
                }
                self.in_range(vmo, offset, len)?;
                self.source_mut(vmo).begin_writeback(&(offset / PAGE..(offset + len) / PAGE), data != 0);
                Ok(())
            }
            ZX_PAGER_OP_WRITEBACK_END => {
                if data != 0 {
                    return Err(Status::INVALID_ARGS);
                }
                self.in_range(vmo, offset, len)?;
                self.source_mut(vmo).end_writeback(&(offset / PAGE..(offset + len) / PAGE));
                Ok(())
            }
            _ => Err(Status::NOT_SUPPORTED),
        }
    }

    fn pager_op_dirty(&mut self, vmo: ObjectId, offset: u64, len: u64, data: u64) -> Result<(), Status> {
        let size = self.size(vmo);
        if data != 0 {
            return Err(Status::INVALID_ARGS);
        }
        if !self.source_mut(vmo).trap_dirty {
            return Err(Status::NOT_SUPPORTED);
        }
        let end = offset.checked_add(len).filter(|_| offset <= size).ok_or(Status::OUT_OF_RANGE)?;
        let pages = offset / PAGE..end / PAGE;
        if end > size {
            self.source_mut(vmo).resolve(Asked::Dirty, pages);
            return Err(Status::OUT_OF_RANGE);
        }
        self.provided(vmo)?;
        if self.lacks_room(vmo, pages.clone()) {
            self.starve(vmo, Asked::Dirty, &pages);
            return Err(Status::NO_MEMORY);
        }
        let content = self.content_mut(vmo);
        let source = content.source.as_mut().expect("a pager VMO");
        if source.run(pages.start, pages.end, |state| state != State::Absent) < pages.end {
            source.resolve(Asked::Dirty, pages);
            return Err(Status::NOT_FOUND);
        }
        for page in pages.clone() {
            content.pages.touch(page * PAGE);
            source.set(page, State::Dirty);
        }
        source.grant(pages);
        Ok(())
    }

    /// The numbers of the outcome are *actual* and *avail*, its bytes the buffer.
    pub(super) fn pager_query_dirty_ranges(&self, args: QueryDirty) -> Outcome {
        let QueryDirty { pager, vmo, offset, len, buffer_len } = args;
        let mut outcome = Outcome { bytes: vec![FILLER; buffer_len.unwrap_or(0)], ..Outcome::default() };
        let ranges = match self.dirty_ranges(pager, vmo, offset, len) {
            Ok(ranges) => ranges,
            Err(status) => return Outcome { status, ..outcome },
        };
        if buffer_len.is_none() && !ranges.is_empty() {
            return Outcome { status: Status::INVALID_ARGS, ..outcome };
        }
        let size = size_of::<zx_vmo_dirty_range_t>();
        let fit = (outcome.bytes.len() / size).min(ranges.len());
        for (room, range) in outcome.bytes.chunks_exact_mut(size).zip(&ranges) {
            room.copy_from_slice(range.as_bytes());
        }
        outcome.numbers = [fit as u64, ranges.len() as u64];
        outcome
    }

    fn dirty_ranges(
        &self,
        pager: zx_handle_t,
        vmo: zx_handle_t,
        offset: u64,
        len: u64,
    ) -> Result<Vec<zx_vmo_dirty_range_t>, Status> {
        let vmo = self.managed(pager, ZX_RIGHT_MANAGE_VMO, vmo, ZX_RIGHT_READ)?;
        self.in_range(vmo, offset, len)?;
        let pages = offset / PAGE..(offset + len).div_ceil(PAGE);
        let source = self.content(vmo).source.as_ref().expect("a pager VMO");
        let record = |(pages, zero): (std::ops::Range<u64>, bool)| zx_vmo_dirty_range_t {
            offset: pages.start * PAGE,
            length: (pages.end - pages.start) * PAGE,
            options: if zero { ZX_VMO_DIRTY_RANGE_IS_ZERO } else { 0 },
        };
        Ok(source.dirty(pages).into_iter().map(record).collect())
    }

    /// The bytes of the outcome are the buffer.
    pub(super) fn pager_query_vmo_stats(
        &mut self,
        pager: zx_handle_t,
        vmo: zx_handle_t,
        options: u32,
        len: Option<usize>,
        got: &Outcome,
    ) -> Outcome {
        let mut bytes = vec![FILLER; len.unwrap_or(0)];
        // A buffer that is nowhere is long enough.
        let status = self.vmo_stats(pager, vmo, options, len.map(|_| &mut bytes[..]), got).into();
        Outcome { status, bytes, ..Outcome::default() }
    }

    fn vmo_stats(
        &mut self,
        pager: zx_handle_t,
        vmo: zx_handle_t,
        options: u32,
        bytes: Option<&mut [u8]>,
        got: &Outcome,
    ) -> Result<(), Status> {
        if bytes.as_ref().is_some_and(|bytes| bytes.len() < 4) {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        let vmo = self.managed(pager, ZX_RIGHT_MANAGE_VMO, vmo, ZX_RIGHT_READ)?;
        if options & !ZX_PAGER_RESET_VMO_STATS != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let bytes = bytes.ok_or(Status::INVALID_ARGS)?;
        let source = self.source_mut(vmo);
        let seen = got.bytes.first_chunk() == Some(&ZX_PAGER_VMO_STATS_MODIFIED.to_ne_bytes());
        let modified = match source.modified {
            Modified::No => false,
            Modified::Perhaps => seen,
            Modified::Yes => true,
        };
        let modified = if modified { ZX_PAGER_VMO_STATS_MODIFIED } else { 0 };
        bytes[..4].copy_from_slice(&modified.to_ne_bytes());
        // What may have gone unseen is decided now.
        source.modified = match (options, modified) {
            (0, ZX_PAGER_VMO_STATS_MODIFIED) => Modified::Yes,
            (_, _) => Modified::No,
        };
        Ok(())
    }
}
