//! Pagers: programs that provide the pages of VMOs.

use std::sync::Arc;

use zerocopy::IntoBytes;
use zxvm_host::PAGE_SIZE;
use zxvm_host::user::{UserRef, UserSlice};
use zxvm_object::{Object, PageSlot, PagerObject, VmoObject};
use zxvm_types::*;
use zxvm_vm::{DirtyRange, InPlace, IoError, MAX_SIZE, Pager, PagerOp, PagerVmoRequest, Provide, RequestPort};

use crate::info::Sink;
use crate::kernel::Kernel;
use crate::out::{Out, invalid_args};

/// What a pager may fail a request with.
const FAILURES: [Status; 5] =
    [Status::IO, Status::IO_DATA_INTEGRITY, Status::BAD_STATE, Status::NO_SPACE, Status::BUFFER_TOO_SMALL];

impl Kernel {
    /// Makes a pager.
    ///
    /// # Errors
    /// `INVALID_ARGS`: options; `out`. `NO_MEMORY`.
    ///
    /// Source: pager.md §3.
    pub fn pager_create(&self, options: u32, out: impl Out<zx_handle_t>) -> Result<(), Status> {
        if options != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let pager = PagerObject::new(self.koids.next(), Arc::new(Pager::default()), self.space.clone());
        self.give(Object::Pager(Arc::new(pager)), ZX_DEFAULT_PAGER_RIGHTS, out).map(drop)
    }

    /// Makes a VMO of `size` bytes, rounded up to pages, which this pager provides. Its requests go to `port` with `key`.
    ///
    /// # Errors
    /// In the order of pager.md §3; then `NOT_SUPPORTED` (this process may not have a userfaultfd), `INVALID_ARGS` (`out`),
    /// `NO_MEMORY`.
    pub fn pager_create_vmo(
        &self,
        pager: zx_handle_t,
        options: u32,
        port: zx_handle_t,
        key: u64,
        size: u64,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let pager = self.pager_with(pager, ZX_RIGHT_ATTACH_VMO)?;
        let port = self.port_with(port, ZX_RIGHT_WRITE)?;
        self.make_pager_vmo(&pager, options, size, || PageSlot::new(&port, key), out)
    }

    /// Makes a VMO of `size` bytes, rounded up to pages, whose pages `provider` brings in the thread that needs them. It is this
    /// pager's otherwise. Not a call of Zircon's.
    ///
    /// # Errors
    /// As [`Kernel::pager_create_vmo`] without a port; `INVALID_ARGS` for `ZX_VMO_TRAP_DIRTY`: nobody could be asked.
    pub fn pager_create_vmo_in_place(
        &self,
        pager: zx_handle_t,
        options: u32,
        size: u64,
        provider: Arc<dyn Provide>,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let pager = self.pager_with(pager, ZX_RIGHT_ATTACH_VMO)?;
        if options & ZX_VMO_TRAP_DIRTY != 0 {
            return Err(Status::INVALID_ARGS);
        }
        self.make_pager_vmo(&pager, options, size, || Arc::new(InPlace::new(provider)), out)
    }

    fn make_pager_vmo<P: RequestPort + 'static>(
        &self,
        pager: &PagerObject,
        options: u32,
        size: u64,
        port: impl FnOnce() -> Arc<P>,
        out: impl Out<zx_handle_t>,
    ) -> Result<(), Status> {
        let unbounded = options & ZX_VMO_UNBOUNDED != 0;
        let resizable = options & ZX_VMO_RESIZABLE != 0;
        if options & !(ZX_VMO_RESIZABLE | ZX_VMO_TRAP_DIRTY | ZX_VMO_UNBOUNDED) != 0 || unbounded && resizable {
            return Err(Status::INVALID_ARGS);
        }
        if size > MAX_SIZE {
            return Err(Status::OUT_OF_RANGE);
        }
        let request = PagerVmoRequest {
            koid: self.koids.next(),
            size: if unbounded { MAX_SIZE } else { size },
            stream_size: size,
            resizable,
            trap_dirty: options & ZX_VMO_TRAP_DIRTY != 0,
            port: port(),
        };
        let vmo = self.space.create_pager_vmo(&self.stores, pager.pager(), request)?;
        // From here on there may be something to take when memory is short. Where that cannot be seen nothing is.
        let _ = self.watch_memory();
        let rights = ZX_DEFAULT_VMO_RIGHTS | if resizable { ZX_RIGHT_RESIZE } else { 0 };
        self.give(Object::Vmo(VmoObject::new(vmo)), rights, out).map(drop)
    }

    /// Takes a VMO away from its pager: those who wait for pages fail, what the pager has is dropped, and the last packet
    /// is sent. A second time it drops what has been cleaned since.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` for the pager (needs `ATTACH_VMO` and `MANAGE_VMO`), then for the
    /// VMO (`WRITE`); `INVALID_ARGS` (not this pager's).
    ///
    /// Source: pager.md §3.
    pub fn pager_detach_vmo(&self, pager: zx_handle_t, vmo: zx_handle_t) -> Result<(), Status> {
        let pager = self.pager_with(pager, ZX_RIGHT_ATTACH_VMO | ZX_RIGHT_MANAGE_VMO)?;
        let (vmo, _) = self.vmo_with(vmo, ZX_RIGHT_WRITE)?;
        self.space.detach_vmo(pager.pager(), vmo.vmo())
    }

    /// Moves the pages of `[aux_offset, aux_offset + length)` of one VMO to `offset` of the pager's, where it has none.
    ///
    /// # Errors
    /// In the order of pager.md §4.
    pub fn pager_supply_pages(
        &self,
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        offset: u64,
        length: u64,
        aux: zx_handle_t,
        aux_offset: u64,
    ) -> Result<(), Status> {
        whole_pages(&[offset, length, aux_offset])?;
        let (pager, vmo) = self.managed(pager, pager_vmo, ZX_RIGHT_WRITE)?;
        let (aux, _) = self.vmo_with(aux, ZX_RIGHT_READ | ZX_RIGHT_WRITE)?;
        self.space.supply_pages(pager.pager(), vmo.vmo(), offset, length, aux.vmo(), aux_offset)
    }

    /// Copies the buffer to `offset` of the pager's VMO, where it has no pages. Offset and length are whole pages. Not a call of
    /// Zircon's: it saves pages in another VMO.
    ///
    /// # Errors
    /// In the order of pager.md §4, without the auxiliary VMO; `INVALID_ARGS`: the buffer cannot be read, and what comes before is
    /// supplied.
    pub fn pager_supply_bytes(
        &self,
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        offset: u64,
        from: UserRef<'_>,
    ) -> Result<(), Status> {
        whole_pages(&[offset, from.len() as u64])?;
        let (pager, vmo) = self.managed(pager, pager_vmo, ZX_RIGHT_WRITE)?;
        self.space.supply_bytes(pager.pager(), vmo.vmo(), offset, from).map_err(|error| match error {
            IoError::Buffer { at: _ } => Status::INVALID_ARGS,
            IoError::Status(status) => status,
        })
    }

    /// Applies one of `ZX_PAGER_OP_*` to `[offset, offset + length)` of the pager's VMO.
    ///
    /// # Errors
    /// In the order of pager.md §5.
    pub fn pager_op_range(
        &self,
        pager: zx_handle_t,
        op: u32,
        pager_vmo: zx_handle_t,
        offset: u64,
        length: u64,
        data: u64,
    ) -> Result<(), Status> {
        whole_pages(&[offset, length])?;
        let (pager, vmo) = self.managed(pager, pager_vmo, ZX_RIGHT_WRITE)?;
        let op = match (op, data) {
            (ZX_PAGER_OP_FAIL, data) => PagerOp::Fail(failure(data)?),
            (ZX_PAGER_OP_DIRTY, 0) => PagerOp::Dirty,
            (ZX_PAGER_OP_WRITEBACK_BEGIN, 0) => PagerOp::WritebackBegin { zero_only: false },
            (ZX_PAGER_OP_WRITEBACK_BEGIN, ZX_VMO_DIRTY_RANGE_IS_ZERO) => PagerOp::WritebackBegin { zero_only: true },
            (ZX_PAGER_OP_WRITEBACK_END, 0) => PagerOp::WritebackEnd,
            (ZX_PAGER_OP_DIRTY | ZX_PAGER_OP_WRITEBACK_BEGIN | ZX_PAGER_OP_WRITEBACK_END, _) => {
                return Err(Status::INVALID_ARGS);
            }
            _ => return Err(Status::NOT_SUPPORTED),
        };
        self.space.pager_op_range(pager.pager(), vmo.vmo(), op, offset, length)
    }

    /// The ranges of `[offset, offset + length)` that differ from what the pager has, lowest first, into `buffer` as far as
    /// it is long enough; `actual` and `avail` get how many were written and how many there are.
    ///
    /// # Errors
    /// In order: `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` for the pager (needs `MANAGE_VMO`), then for the VMO (`READ`);
    /// `INVALID_ARGS` (not this pager's), `OUT_OF_RANGE`, `INVALID_ARGS` (not writable).
    ///
    /// Source: pager.md §8.
    #[expect(clippy::too_many_arguments, reason = "as the call has them")]
    pub fn pager_query_dirty_ranges(
        &self,
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        offset: u64,
        length: u64,
        buffer: UserSlice<'_>,
        actual: impl Out<usize>,
        avail: impl Out<usize>,
    ) -> Result<(), Status> {
        let (pager, vmo) = self.managed(pager, pager_vmo, ZX_RIGHT_READ)?;
        let ranges = self.space.dirty_ranges(pager.pager(), vmo.vmo(), offset, length)?;
        Sink { buffer, actual, avail }.many(ranges.iter().map(dirty_record))
    }

    /// Whether the VMO was modified since that was last forgotten (`ZX_PAGER_RESET_VMO_STATS`), into `buffer`. What cannot be
    /// told is not forgotten.
    ///
    /// # Errors
    /// In order: `BUFFER_TOO_SMALL`; `BAD_HANDLE`, `WRONG_TYPE`, `ACCESS_DENIED` for the pager (needs `MANAGE_VMO`), then for the
    /// VMO (`READ`); `INVALID_ARGS` (not this pager's; options; not writable).
    ///
    /// Source: pager.md §8.
    pub fn pager_query_vmo_stats(
        &self,
        pager: zx_handle_t,
        pager_vmo: zx_handle_t,
        options: u32,
        buffer: UserSlice<'_>,
    ) -> Result<(), Status> {
        if buffer.len() < size_of::<zx_pager_vmo_stats_t>() {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        let (pager, vmo) = self.managed(pager, pager_vmo, ZX_RIGHT_READ)?;
        if options & !ZX_PAGER_RESET_VMO_STATS != 0 {
            return Err(Status::INVALID_ARGS);
        }
        let modified = self.space.was_modified(pager.pager(), vmo.vmo(), false)?;
        tell_modified(buffer, modified)?;
        // What happened since it was told must not be forgotten untold.
        if options != 0 && self.space.was_modified(pager.pager(), vmo.vmo(), true)? != modified {
            tell_modified(buffer, true)?;
        }
        Ok(())
    }

    /// The pager, which must have `MANAGE_VMO`, and one of its VMOs by a handle with `needs`.
    fn managed(
        &self,
        pager: zx_handle_t,
        vmo: zx_handle_t,
        needs: zx_rights_t,
    ) -> Result<(Arc<PagerObject>, Arc<VmoObject>), Status> {
        let pager = self.pager_with(pager, ZX_RIGHT_MANAGE_VMO)?;
        let (vmo, _) = self.vmo_with(vmo, needs)?;
        if self.space.is_pagers(pager.pager(), vmo.vmo()) { Ok((pager, vmo)) } else { Err(Status::INVALID_ARGS) }
    }
}

fn whole_pages(numbers: &[u64]) -> Result<(), Status> {
    if numbers.iter().all(|number| number.is_multiple_of(PAGE_SIZE)) { Ok(()) } else { Err(Status::INVALID_ARGS) }
}

/// The status in the data of `ZX_PAGER_OP_FAIL`, if it is one to fail with.
fn failure(data: u64) -> Result<Status, Status> {
    let raw = zx_status_t::try_from(data.cast_signed()).map_err(|_| Status::INVALID_ARGS)?;
    FAILURES.into_iter().find(|status| status.into_raw() == raw).ok_or(Status::INVALID_ARGS)
}

fn dirty_record(range: &DirtyRange) -> zx_vmo_dirty_range_t {
    let options = if range.is_zero { ZX_VMO_DIRTY_RANGE_IS_ZERO } else { 0 };
    zx_vmo_dirty_range_t { offset: range.offset, length: range.length, options }
}

fn tell_modified(buffer: UserSlice<'_>, modified: bool) -> Result<(), Status> {
    let stats = zx_pager_vmo_stats_t { modified: if modified { ZX_PAGER_VMO_STATS_MODIFIED } else { 0 } };
    buffer.fill_from(stats.as_bytes()).map_err(invalid_args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_of_five_and_fits_a_status() {
        for status in FAILURES {
            let sign_extended = i64::from(status.into_raw()).cast_unsigned();
            assert_eq!(failure(sign_extended), Ok(status));
            // As if it were positive: what a caller that forgets the sign passes.
            assert_eq!(failure(u64::from(status.into_raw().cast_unsigned())), Err(Status::INVALID_ARGS), "{status}");
        }
        for bad in [Status::OK, Status::NO_MEMORY, Status::TIMED_OUT, Status::INTERNAL] {
            assert_eq!(failure(i64::from(bad.into_raw()).cast_unsigned()), Err(Status::INVALID_ARGS), "{bad}");
        }
    }
}
