//! [`Pager`]: whoever provides the pages of VMOs.

use core::ops::Range;

use zxvm_syscall::Kernel;

use crate::handle::NullableHandle;
use crate::port::Port;
use crate::sys::{self, Status};
use crate::vmo::{Vmo, VmoOptions};

flags! {
    /// What a new pager is to be. There is nothing to choose yet.
    pub struct PagerOptions: u32 {}
}

flags! {
    /// What is to be written back.
    pub struct PagerWritebackBeginOptions: u64 {
        /// Only what is zero and has no pages.
        const DIRTY_RANGE_IS_ZERO = sys::ZX_VMO_DIRTY_RANGE_IS_ZERO;
    }
}

/// What [`Pager::op_range`] can do to a range. pager.md §5 has the rules.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub enum PagerOp {
    /// Those who wait for it get this status: `IO`, `IO_DATA_INTEGRITY`, `BAD_STATE`, `NO_SPACE` or `BUFFER_TOO_SMALL`.
    Fail(Status),
    /// It may be written to.
    Dirty,
    /// It is being saved: what is written from now on is dirty again.
    WritebackBegin(PagerWritebackBeginOptions),
    /// It has been saved: what has not been written since the begin is clean.
    WritebackEnd,
}

impl PagerOp {
    /// The operation and its data.
    fn into_raw(self) -> (u32, u64) {
        match self {
            Self::Fail(status) => (sys::ZX_PAGER_OP_FAIL, i64::from(status.into_raw()).cast_unsigned()),
            Self::Dirty => (sys::ZX_PAGER_OP_DIRTY, 0),
            Self::WritebackBegin(options) => (sys::ZX_PAGER_OP_WRITEBACK_BEGIN, options.bits()),
            Self::WritebackEnd => (sys::ZX_PAGER_OP_WRITEBACK_END, 0),
        }
    }
}

object_type! {
    /// A pager: a program that provides the pages of VMOs when they are asked for. The requests come as packets through
    /// a port. Offsets and lengths are whole pages, in bytes; a range that ends before it starts is `OUT_OF_RANGE`.
    pub struct Pager;
}

impl Pager {
    /// A new pager. Its handle cannot be duplicated. When it is closed, its VMOs keep what they have, and whoever waits for
    /// more fails.
    ///
    /// # Errors
    /// `INVALID_ARGS`: options. `NO_MEMORY`.
    ///
    /// Source: `zx_pager_create`; pager.md §3.
    pub fn create(options: PagerOptions) -> Result<Self, Status> {
        let mut raw = sys::ZX_HANDLE_INVALID;
        Kernel::current()?.pager_create(options.bits(), &mut raw)?;
        Ok(Self(NullableHandle::adopt(raw)))
    }

    /// A new VMO of `size` bytes, rounded up to whole pages, which this pager provides: nothing is there until it is supplied.
    /// What it asks for comes as packets of this key ([`PagerPacket`](crate::PagerPacket)) through `port`. Needs `ATTACH_VMO`
    /// here and `WRITE` on the port. The handle has the rights [`VMO_DEFAULT`](crate::Rights::VMO_DEFAULT), and `RESIZE` if it
    /// is resizable.
    ///
    /// ```
    /// use zxvm as zx;
    /// # fn main() -> Result<(), zx::Status> {
    /// let (pager, port) = (zx::Pager::create(zx::PagerOptions::empty())?, zx::Port::create());
    /// let vmo = pager.create_vmo(zx::VmoOptions::empty(), &port, 7, 8192)?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| assert_eq!(vmo.read_to_object::<u8>(5000), Ok(42)));
    ///     let packet = port.wait(zx::MonotonicInstant::INFINITE)?;
    ///     let zx::PacketContents::Pager(request) = packet.contents() else { panic!("{packet:?}") };
    ///     assert_eq!((packet.key(), request.range()), (7, 4096..8192));
    ///     let aux = zx::Vmo::create(4096)?;
    ///     aux.write(&[42; 4096], 0)?;
    ///     pager.supply_pages(&vmo, request.range(), &aux, 0)
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `BAD_STATE`: the pager is being closed. `INVALID_ARGS`: options that are
    /// not for this call. `OUT_OF_RANGE`: more than 2^64 bytes less 128 KiB. `NOT_SUPPORTED`: this process may not have a
    /// userfaultfd.
    ///
    /// Source: `zx_pager_create_vmo`; pager.md §3.
    pub fn create_vmo(&self, options: VmoOptions, port: &Port, key: u64, size: u64) -> Result<Vmo, Status> {
        let (port, mut raw) = (port.raw_handle(), sys::ZX_HANDLE_INVALID);
        Kernel::current()?.pager_create_vmo(self.raw_handle(), options.bits(), port, key, size, &mut raw)?;
        Ok(NullableHandle::adopt(raw).into())
    }

    /// Takes a VMO away from this pager. Those who wait for pages of it fail with `BAD_STATE`, what the pager could give again
    /// is dropped, and the last packet of the VMO is sent. What is dirty stays, and can be queried and written back. Needs
    /// `ATTACH_VMO` and `MANAGE_VMO` here and `WRITE` there.
    ///
    /// # Errors
    /// `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `INVALID_ARGS`: not this pager's VMO.
    ///
    /// Source: `zx_pager_detach_vmo`; pager.md §3.
    pub fn detach_vmo(&self, vmo: &Vmo) -> Result<(), Status> {
        Kernel::current()?.pager_detach_vmo(self.raw_handle(), vmo.raw_handle())
    }

    /// Moves the pages of `aux_vmo` from `aux_offset` on to `range` of the pager's VMO, where it has none. Where they were is
    /// zero afterwards, whatever the VMO had. Needs `MANAGE_VMO` here, `WRITE` on the VMO, `READ` and `WRITE` on `aux_vmo`.
    ///
    /// # Errors
    /// `INVALID_ARGS`: not whole pages; not this pager's VMO. `BAD_HANDLE`; `WRONG_TYPE`; `ACCESS_DENIED`. `OUT_OF_RANGE`: not
    /// all of a range is in its VMO. `NOT_SUPPORTED`: `aux_vmo` has a pager. `BAD_STATE`: `aux_vmo` has relatives; the VMO has been
    /// detached.
    ///
    /// Source: `zx_pager_supply_pages`; pager.md §4.
    pub fn supply_pages(&self, vmo: &Vmo, range: Range<u64>, aux_vmo: &Vmo, aux_offset: u64) -> Result<(), Status> {
        let (vmo, aux) = (vmo.raw_handle(), aux_vmo.raw_handle());
        let (offset, length) = offset_and_length(&range);
        Kernel::current()?.pager_supply_pages(self.raw_handle(), vmo, offset, length, aux, aux_offset)
    }

    /// Does something to a range of the pager's VMO. Needs `MANAGE_VMO` here and `WRITE` there.
    ///
    /// # Errors
    /// `INVALID_ARGS`: not whole pages; not this pager's VMO; not a status to fail with; options. `BAD_HANDLE`; `WRONG_TYPE`;
    /// `ACCESS_DENIED`. `OUT_OF_RANGE`: not all of the range is in the VMO. `NOT_SUPPORTED`: `Dirty` for a VMO that does not trap
    /// it. `NOT_FOUND`: `Dirty` for pages that are not there. `BAD_STATE`: `Fail` or `Dirty` for a VMO that has been detached.
    ///
    /// Source: `zx_pager_op_range`; pager.md §5.
    pub fn op_range(&self, op: PagerOp, pager_vmo: &Vmo, range: Range<u64>) -> Result<(), Status> {
        let ((op, data), (offset, length)) = (op.into_raw(), offset_and_length(&range));
        Kernel::current()?.pager_op_range(self.raw_handle(), op, pager_vmo.raw_handle(), offset, length, data)
    }
}

/// A range that ends before it starts gets a length that no VMO has.
pub(crate) fn offset_and_length(range: &Range<u64>) -> (u64, u64) {
    (range.start, range.end.wrapping_sub(range.start))
}
