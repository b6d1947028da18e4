//! Operations on VMOs whose frames others may hold: read, write, commit, zero.
//!
//! 1. As long as nobody ever shared a content, writes and commits go the direct way, without a lock across the host's
//!    work. Afterwards each step is made under the layout lock, for reading, and the family's lock: so a snapshot sees
//!    it whole or not at all, and what others hold is left to them first.
//! 2. A caller's buffer is never touched under a lock: bytes go by way of a buffer of ours. So they do if the caller's
//!    buffer is in memory that we show.

use std::sync::Arc;

use zxvm_host::user::{UserRef, UserSlice};
use zxvm_host::{Access, PAGE_SIZE, Thread, VmoRange, Wait, Waiting, addr};
use zxvm_types::Status;

use super::fetch::{WRITE_MAX, Want};
use super::{AddressSpace, Fault, Layout};
use crate::error::{NO_ROOM, status};
use crate::pager::Sleeper;
use crate::vmo::family::Locked;
use crate::vmo::io::{BOUNCE, IoError, Read, Way};
use crate::vmo::ops::Direct;
use crate::vmo::{Vmo, VmoOp};

/// Bytes committed under one hold of the locks.
const COMMIT_STEP: u64 = 1 << 20;

/// Stands for whoever asks on its own behalf.
const NOBODY: Thread = Thread(0);

/// How often a read tries again because of what its buffer had to wait for, without any progress.
const WAITS_MAX: u32 = 1000;

impl AddressSpace {
    /// Copies `to.len()` bytes from `offset` on to the buffer. Commits nothing.
    ///
    /// # Errors
    /// In this order: `OUT_OF_RANGE` for an end that overflows, `BAD_STATE` if not cached, `OUT_OF_RANGE` past the size,
    /// `NOT_FOUND` if discarded; then, with what comes before already copied, what the buffer or the host gives.
    ///
    /// Source: vmo.md §6.
    pub fn read_vmo(&self, vmo: &Vmo, offset: u64, to: UserSlice<'_>) -> Result<(), IoError> {
        // Where a pager is, the host is not to wait for memory inside a call.
        let way = if self.is_paged() && self.overlaps(to.addr(), to.len()) { Way::Bounced } else { Way::Direct };
        let mut sleeper = None;
        let (mut done, mut waits) = (0, 0);
        let result = loop {
            let rest = to.part(done, to.len() - done);
            match vmo.read_some(offset.saturating_add(done as u64), rest, way) {
                Ok(Read::Copied(len)) => (done, waits) = (done + len, 0),
                Ok(Read::Absent(range)) => {
                    let sleeper = sleeper.get_or_insert_with(|| Arc::new(Sleeper::default()));
                    if let Err(error) = self.wait_to_read(vmo, range, sleeper) {
                        break Err(error.into());
                    }
                }
                // Where Linux does not hand over what waits inside its calls, a page of the buffer may just be one for
                // which others wait.
                Err(IoError::Buffer { at }) if waits < WAITS_MAX && self.let_go(at) => waits += 1,
                Err(error) => break Err(error),
            }
            if done == to.len() {
                break Ok(());
            }
        };
        if let Some(sleeper) = sleeper
            && let Some(source) = &mut vmo.lock().family_mut().source
        {
            source.requests.leave_call(&*source.port, &sleeper);
        }
        result
    }

    /// Deals with whatever a store to the page at `addr` may wait for. Answers whether it is worth to try again: there may have
    /// been something, or something else was just being shown there.
    fn let_go(&self, addr: usize) -> bool {
        if self.is_paged() || self.why_fault(addr, Access::Write) != Fault::Waits {
            return false;
        }
        let page = addr::round_down(addr as u64);
        self.resolve(Waiting { page, reason: Wait::Unknown, store: true, thread: NOBODY }).is_ok()
    }

    /// Copies the buffer to the bytes from `offset` on, committing the pages written.
    ///
    /// # Errors
    /// As [`AddressSpace::read_vmo`]; also `NO_MEMORY`, `NO_RESOURCES`.
    ///
    /// Source: vmo.md §6.
    pub fn write_vmo(&self, vmo: &Vmo, offset: u64, from: UserRef<'_>) -> Result<(), IoError> {
        let end = offset.checked_add(from.len() as u64).ok_or(Status::OUT_OF_RANGE)?;
        let mut at = offset;
        let ours = self.overlaps(from.addr(), from.len());
        loop {
            let done = (at - offset) as usize;
            let rest = from.part(done, from.len() - done);
            let step = if ours && !rest.is_empty() { Direct::Careful } else { vmo.write_direct(at, rest)? };
            match step {
                Direct::DoneTo(next) => at = next,
                Direct::Done => return Ok(()),
                Direct::Careful => {
                    let relief = self.reclaim.relief();
                    match self.write_some(vmo, at, rest) {
                        Ok(Write::Copied(len)) => at += len as u64,
                        Ok(Write::Wanted(range)) => self.fetch(vmo, range, Want::Stored)?,
                        Err(IoError::Status(NO_ROOM)) => self.sleep_for_room(&Arc::default(), relief)?,
                        Err(error) => return Err(error),
                    }
                }
            }
            if at == end {
                return Ok(());
            }
        }
    }

    /// Whether a buffer lies in memory that we show. Linux holds a file's lock while it writes to it: what has to be brought
    /// for such a buffer may be in the same file.
    fn overlaps(&self, addr: usize, len: usize) -> bool {
        let (start, end) = (addr as u64, addr.saturating_add(len) as u64);
        start < self.range.end() && self.range.start() < end
    }

    /// Copies bytes from the start of the buffer to the VMO under the locks.
    #[inline(never)]
    fn write_some(&self, vmo: &Vmo, offset: u64, from: UserRef<'_>) -> Result<Write, IoError> {
        // What is wrong with the rest of the arguments comes before what is wrong with the buffer.
        let check = |content: &Locked<'_>| -> Result<u64, Status> {
            Vmo::check_cached(content)?;
            let start = vmo.check_range(content, offset, from.len() as u64)?;
            content.check_there()?;
            Ok(start)
        };
        {
            let content = vmo.lock();
            let start = check(&content)?;
            let whole = pages_around(start, start + from.len() as u64);
            // Before the buffer is looked at: what it takes to store comes first.
            if !is_storable(&content, whole.start()) {
                return Ok(Write::Wanted(VmoRange::from_bounds(
                    whole.start(),
                    whole.end().min(whole.start() + WRITE_MAX),
                )));
            }
        }
        let mut bytes = [0; BOUNCE];
        // Up to the end of a page, so that whole pages are written as such.
        let len = from.len().min(BOUNCE - (offset % BOUNCE as u64) as usize);
        let bytes = &mut bytes[..len];
        let mut got = len;
        if let Err(fault) = from.part(0, len).copy_to(bytes) {
            got = fault.at.wrapping_sub(from.addr());
            if got == 0 {
                return Err(IoError::Buffer { at: fault.at });
            }
        }
        let layout = self.layout.read();
        let content = &mut vmo.lock();
        let start = check(content)?;
        let mut range = pages_around(start, start + got as u64);
        if content.is_in_pager_tree() {
            // The page may have gone, or have been saved, meanwhile.
            if !is_storable(content, range.start()) {
                return Ok(Write::Wanted(range));
            }
            let first = range.start() + PAGE_SIZE;
            if range.end() > first && !is_storable(content, first) {
                range = VmoRange::from_bounds(range.start(), first);
                got = got.min((first - start) as usize);
            }
        }
        if content.is_paged() {
            self.make_dirty(&layout, vmo, content, range)?;
            content.paged_mut().expect("a root").modified = true;
        }
        self.make_own(&layout, vmo.family(), content.family_mut(), vmo.content(), range)?;
        vmo.ensure_extents(content, range)?;
        let mut done = 0;
        while done < got {
            let (window, at, there) = content.extents.at(start + done as u64).expect("it has a place");
            let part = UserRef::from(&bytes[done..got.min(done.saturating_add(there as usize))]);
            vmo.family().host().write_store(window.store(), window.offset(at), part)?;
            done += part.len();
        }
        Ok(Write::Copied(got))
    }

    /// Applies `op` to `[offset, offset + len)` of a VMO, in bytes.
    ///
    /// # Errors
    /// By op, in the order of vmo.md §7: `INVALID_ARGS` for an empty cache range or an unaligned decommit,
    /// `OUT_OF_RANGE`, `NOT_SUPPORTED` for a decommit of what has relatives, `BAD_STATE` for zeroing what is not cached,
    /// `NOT_FOUND` for what was discarded, `NO_MEMORY`, `NO_RESOURCES`.
    pub fn vmo_op_range(&self, vmo: &Vmo, op: VmoOp, offset: u64, len: u64) -> Result<(), Status> {
        match op {
            VmoOp::Commit => {
                let range = vmo.widen(offset, len)?;
                // Nothing in the middle of a page is still nothing.
                if len == 0 { Ok(()) } else { self.commit_content(vmo, range) }
            }
            VmoOp::Decommit => vmo.decommit(offset, len),
            VmoOp::Zero => self.zero(vmo, offset, len),
            VmoOp::Cache if len == 0 => Err(Status::INVALID_ARGS),
            VmoOp::Cache => vmo.check_range(&vmo.lock(), offset, len).map(drop),
            VmoOp::Prefetch => {
                let range = vmo.widen(offset, len)?;
                if len == 0 || !vmo.is_pager_backed() { Ok(()) } else { self.fetch(vmo, range, Want::Present) }
            }
            VmoOp::DontNeed | VmoOp::AlwaysNeed if !vmo.is_pager_backed() => Ok(()),
            VmoOp::DontNeed | VmoOp::AlwaysNeed => {
                let range = vmo.widen(offset, len)?;
                match op {
                    _ if len == 0 => Ok(()),
                    VmoOp::DontNeed => {
                        self.need_not(vmo, range);
                        Ok(())
                    }
                    _ => self.fetch(vmo, range, Want::PresentIfCan),
                }
            }
        }
    }

    /// Commits the pages of `range` of the VMO's content and makes them its own, shortened by whatever shrinks it meanwhile.
    pub(super) fn commit_content(&self, vmo: &Vmo, range: VmoRange) -> Result<(), Status> {
        vmo.check_plausible(range)?;
        if vmo.is_pager_backed() {
            return self.fetch(vmo, range, Want::Committed);
        }
        let mut rest = range;
        while !rest.is_empty() {
            let done = match vmo.commit_direct(rest)? {
                Direct::Done => return Ok(()),
                Direct::DoneTo(done) => done,
                Direct::Careful => {
                    let step = rest.start().saturating_add(COMMIT_STEP).min(rest.end());
                    let layout = self.layout.read();
                    self.commit_locked(&layout, vmo, &mut vmo.lock(), VmoRange::from_bounds(rest.start(), step))?;
                    step
                }
            };
            rest = VmoRange::from_bounds(done, range.end());
        }
        Ok(())
    }

    /// Commits the pages of `range` of a careful content, as far as it is inside.
    pub(super) fn commit_locked(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        range: VmoRange,
    ) -> Result<(), Status> {
        content.check_there()?;
        let Some(range) = range.intersect(content.whole()) else { return Ok(()) };
        self.make_own(layout, vmo.family(), content.family_mut(), vmo.content(), range)?;
        vmo.ensure_extents(content, range)?;
        for cell in content.family().cells(vmo.content(), range) {
            if content.known.parts(cell.range).next() == Some(cell.range) {
                continue;
            }
            vmo.family().host().commit(cell.window.store(), cell.stored(), None).map_err(status)?;
        }
        content.known.note(range);
        Ok(())
    }

    /// Makes `[offset, offset + len)` of a VMO zero, freeing whole pages.
    ///
    /// # Errors
    /// `OUT_OF_RANGE`, `BAD_STATE` (not cached), `NOT_FOUND` (a part of a page that was discarded), then what the host
    /// gives: the edges are then as before, and of the whole pages those that were freed stay so.
    fn zero(&self, vmo: &Vmo, offset: u64, len: u64) -> Result<(), Status> {
        {
            let content = &mut vmo.lock();
            Vmo::check_cached(content)?;
            let start = vmo.check_range(content, offset, len)?;
            // Nothing in the middle of a page is still nothing, discarded or not.
            if len == 0 {
                return Ok(());
            }
            if !content.careful {
                return vmo.zero_own(content, start, start + len, &whole_pages(start, start + len));
            }
        }
        if vmo.is_pager_backed() {
            return self.zero_in_tree(vmo, vmo.base() + offset, vmo.base() + offset + len);
        }
        let layout = self.layout.read();
        let content = &mut vmo.lock();
        let start = vmo.check_range(content, offset, len)?;
        self.zero_locked(&layout, vmo, content, start, start + len)
    }

    /// Makes `[start, end)` of a content in a pager's tree zero.
    pub(super) fn zero_in_tree(&self, vmo: &Vmo, start: u64, end: u64) -> Result<(), Status> {
        let is_root = vmo.lock().is_paged();
        if is_root { self.zero_paged(vmo, start, end) } else { self.zero_over(vmo, start, end) }
    }

    /// Makes `[start, end)` of the VMO's content, which is inside, zero.
    pub(super) fn zero_locked(
        &self,
        layout: &Layout,
        vmo: &Vmo,
        content: &mut Locked<'_>,
        start: u64,
        end: u64,
    ) -> Result<(), Status> {
        let (first, last) = (addr::round_up(start).expect("inside the VMO"), addr::round_down(end));
        for edge in [(start, first.min(end)), (last.max(start), end)] {
            if edge.0 < edge.1 {
                let page = pages_around(edge.0, edge.1);
                self.make_own(layout, vmo.family(), content.family_mut(), vmo.content(), page)?;
            }
        }
        let mut own = Vec::new();
        for &whole in &whole_pages(start, end) {
            let cells = content.family().cells(vmo.content(), whole).into_iter();
            own.extend(cells.filter(|cell| !cell.is_shared()).map(|cell| cell.range));
            // What is shown instead is empty, and stores to it go on at once: nothing is to be freed there.
            self.drop_shared(layout, vmo.family(), content.family_mut(), vmo.content(), whole)?;
        }
        vmo.zero_own(content, start, end, &own)
    }
}

const _: () = assert!(BOUNCE as u64 == 2 * PAGE_SIZE, "what is written at once is two pages at most");

/// Whether nobody has to be asked, and nothing to be forked, before this page of a content is stored to.
fn is_storable(content: &Locked<'_>, page: u64) -> bool {
    let family = content.family();
    match family.paged(content.number()) {
        Some(source) => source.is_storable(page),
        None => {
            let page = VmoRange::from_bounds(page, page + PAGE_SIZE);
            family.source.is_none() || family.first_layer(content.number(), page).of == Some(content.number())
        }
    }
}

/// What became of a step of a write.
enum Write {
    /// So many bytes have been copied.
    Copied(usize),
    /// A pager has to be asked for pages of the content first, and none has been copied.
    Wanted(VmoRange),
}

/// The whole pages in `[start, end)`, if there are any.
pub(super) fn whole_pages(start: u64, end: u64) -> Vec<VmoRange> {
    let (first, last) = (addr::round_up(start).expect("inside the VMO"), addr::round_down(end));
    if first < last { vec![VmoRange::from_bounds(first, last)] } else { Vec::new() }
}

/// The whole pages around `[start, end)`.
pub(super) fn pages_around(start: u64, end: u64) -> VmoRange {
    VmoRange::from_bounds(addr::round_down(start), addr::round_up(end).expect("inside the VMO"))
}
