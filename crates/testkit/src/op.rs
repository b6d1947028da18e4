//! One step of a test as a value: a call with all its arguments, or an access by the processor.
//!
//! 1. An [`Op`] holds plain numbers: it can be printed, kept and repeated.
//! 2. An [`Outcome`] holds all that a step tells the program. Model and engine each give one, and they must be equal.

use zxvm_types::*;

/// Which result of a call cannot be written to where the program wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// None: all goes well.
    Nothing,
    /// The first.
    First,
    /// The second.
    Second,
}

/// Where the bytes of a read go, or those of a write come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// Memory of the test.
    Own,
    /// Nowhere: the address is NULL.
    Null,
    /// An address inside the root VMAR; all of it in one page.
    At(u64),
}

/// Arguments of `zx_vmo_create_child`.
#[derive(Clone, Copy, Debug)]
pub struct CreateChild {
    /// The parent.
    pub vmo: zx_handle_t,
    /// `ZX_VMO_CHILD_` bits.
    pub options: u32,
    /// Bytes from the parent's start.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Whether the handle can be given out.
    pub lost: Lost,
}

/// Arguments of `zx_vmo_transfer_data`.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// The VMO that pages go to.
    pub dst: zx_handle_t,
    /// Has to be 0.
    pub options: u32,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// The VMO that they come from.
    pub src: zx_handle_t,
    /// From where in it, in bytes.
    pub src_offset: u64,
}

/// Arguments of `zx_vmar_map`.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// The VMAR.
    pub vmar: zx_handle_t,
    /// `ZX_VM_` bits.
    pub options: u32,
    /// Bytes from its start, or the ceiling.
    pub vmar_offset: u64,
    /// The VMO.
    pub vmo: zx_handle_t,
    /// Bytes from its start.
    pub vmo_offset: u64,
    /// Bytes.
    pub len: u64,
    /// Whether the address can be given out.
    pub lost: Lost,
}

/// Arguments of `zx_vmar_allocate`.
#[derive(Clone, Copy, Debug)]
pub struct Allocate {
    /// The VMAR it is to be in.
    pub parent: zx_handle_t,
    /// `ZX_VM_` bits.
    pub options: u32,
    /// Bytes from its start, or the ceiling.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Whether the handle (first) and the address (second) can be given out.
    pub lost: Lost,
}

/// Arguments of `zx_vmar_op_range`.
#[derive(Clone, Copy, Debug)]
pub struct OpRange {
    /// The VMAR.
    pub vmar: zx_handle_t,
    /// `ZX_VMAR_OP_`.
    pub op: u32,
    /// Address.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
    /// Has to be 0.
    pub buffer: u64,
    /// Has to be 0.
    pub buffer_size: u64,
}

/// Arguments of `zx_pager_create_vmo`.
#[derive(Clone, Copy, Debug)]
pub struct CreatePagerVmo {
    /// The pager.
    pub pager: zx_handle_t,
    /// `ZX_VMO_` bits.
    pub options: u32,
    /// Where its packets go.
    pub port: zx_handle_t,
    /// The key of each.
    pub key: u64,
    /// Bytes.
    pub size: u64,
    /// Whether the handle can be given out.
    pub lost: Lost,
}

/// Arguments of `zx_pager_supply_pages`.
#[derive(Clone, Copy, Debug)]
pub struct Supply {
    /// The pager.
    pub pager: zx_handle_t,
    /// Its VMO.
    pub vmo: zx_handle_t,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// The VMO that the pages come from.
    pub aux: zx_handle_t,
    /// From where in it, in bytes.
    pub aux_offset: u64,
}

/// Arguments of `zx_pager_op_range`.
#[derive(Clone, Copy, Debug)]
pub struct PagerRange {
    /// The pager.
    pub pager: zx_handle_t,
    /// `ZX_PAGER_OP_`.
    pub op: u32,
    /// Its VMO.
    pub vmo: zx_handle_t,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// As the operation has it.
    pub data: u64,
}

/// Arguments of `zx_pager_query_dirty_ranges`.
#[derive(Clone, Copy, Debug)]
pub struct QueryDirty {
    /// The pager.
    pub pager: zx_handle_t,
    /// Its VMO.
    pub vmo: zx_handle_t,
    /// Where in it, in bytes.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Bytes of the buffer; none for a NULL buffer that is said to be long.
    pub buffer_len: Option<usize>,
}

/// One step. The names are those of the calls.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the arguments are those of the calls, in their order and under their names
pub enum Op {
    HandleClose {
        handle: zx_handle_t,
    },
    HandleCloseMany {
        handles: Vec<zx_handle_t>,
    },
    HandleDuplicate {
        handle: zx_handle_t,
        rights: u32,
        lost: Lost,
    },
    HandleReplace {
        handle: zx_handle_t,
        rights: u32,
        lost: Lost,
    },
    HandleCheckValid {
        handle: zx_handle_t,
    },
    ObjectGetInfo {
        handle: zx_handle_t,
        topic: u32,
        len: usize,
    },
    /// `len`: none for a NULL buffer.
    ObjectGetProperty {
        handle: zx_handle_t,
        property: u32,
        len: Option<usize>,
    },
    /// `value`: none for a NULL buffer.
    ObjectSetProperty {
        handle: zx_handle_t,
        property: u32,
        value: Option<Vec<u8>>,
    },
    ObjectSignal {
        handle: zx_handle_t,
        clear: u32,
        set: u32,
    },
    ObjectSignalPeer {
        handle: zx_handle_t,
        clear: u32,
        set: u32,
    },
    /// The deadline is always past.
    ObjectWaitOne {
        handle: zx_handle_t,
        signals: u32,
    },
    /// The deadline is always past.
    ObjectWaitMany {
        items: Vec<(zx_handle_t, u32)>,
    },
    EventCreate {
        options: u32,
        lost: Lost,
    },
    EventpairCreate {
        options: u32,
        lost: Lost,
    },
    VmoCreate {
        size: u64,
        options: u32,
        lost: Lost,
    },
    VmoRead {
        vmo: zx_handle_t,
        buffer: Buffer,
        offset: u64,
        len: usize,
    },
    /// Writes [`pattern`]`(fill, len)` from memory of the test, else what the buffer holds.
    VmoWrite {
        vmo: zx_handle_t,
        buffer: Buffer,
        fill: u8,
        offset: u64,
        len: usize,
    },
    VmoGetSize {
        vmo: zx_handle_t,
    },
    VmoSetSize {
        vmo: zx_handle_t,
        size: u64,
    },
    VmoGetStreamSize {
        vmo: zx_handle_t,
    },
    VmoSetStreamSize {
        vmo: zx_handle_t,
        size: u64,
    },
    VmoOpRange {
        vmo: zx_handle_t,
        op: u32,
        offset: u64,
        size: u64,
        buffer_size: usize,
    },
    VmoCreateChild(CreateChild),
    VmoTransferData(Transfer),
    VmoCreateContiguous {
        bti: zx_handle_t,
        size: u64,
        alignment_log2: u32,
    },
    VmoCreatePhysical {
        resource: zx_handle_t,
        paddr: u64,
        size: u64,
    },
    /// Memory is short: what may be thrown away is.
    VmoDiscard {
        vmo: zx_handle_t,
    },
    /// Memory is short: pages of zeros are given back.
    VmoFreeZeroPages {
        vmo: zx_handle_t,
    },
    /// Memory is short: so many pages that pagers can bring again go, whichever turn it is.
    Reclaim {
        pages: u64,
    },
    /// A generation of ages ends.
    AgePass,
    /// Memory is short: what was not used for so many generations goes, and if it is the `last` resort what is always needed.
    ReclaimAged {
        pages: u64,
        passes: u32,
        last: bool,
    },
    /// From now on so many pages of what pagers provide may be in memory.
    SetBudget {
        pages: Option<u64>,
    },
    VmoSetCachePolicy {
        vmo: zx_handle_t,
        policy: u32,
    },
    VmoReplaceAsExecutable {
        vmo: zx_handle_t,
        vmex: zx_handle_t,
        lost: Lost,
    },
    VmarAllocate(Allocate),
    VmarMap(Map),
    VmarUnmap {
        vmar: zx_handle_t,
        addr: u64,
        len: u64,
    },
    VmarProtect {
        vmar: zx_handle_t,
        options: u32,
        addr: u64,
        len: u64,
    },
    VmarDestroy {
        vmar: zx_handle_t,
    },
    VmarOpRange(OpRange),
    /// The processor loads a byte.
    Load {
        addr: u64,
    },
    /// The processor stores a byte.
    Store {
        addr: u64,
        byte: u8,
    },
    PortCreate {
        options: u32,
        lost: Lost,
    },
    PortQueue {
        port: zx_handle_t,
        key: u64,
        tag: u8,
    },
    /// The deadline is past, unless the packet is known to come: then it is far.
    PortWait {
        port: zx_handle_t,
        comes: bool,
    },
    PagerCreate {
        options: u32,
        lost: Lost,
    },
    PagerCreateVmo(CreatePagerVmo),
    PagerDetachVmo {
        pager: zx_handle_t,
        vmo: zx_handle_t,
    },
    PagerSupplyPages(Supply),
    PagerOpRange(PagerRange),
    PagerQueryDirtyRanges(QueryDirty),
    /// `len`: none for a NULL buffer.
    PagerQueryVmoStats {
        pager: zx_handle_t,
        vmo: zx_handle_t,
        options: u32,
        len: Option<usize>,
    },
}

impl Op {
    /// The name of the call, with the operation where one call has many.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HandleClose { .. } => "handle_close",
            Self::HandleCloseMany { .. } => "handle_close_many",
            Self::HandleDuplicate { .. } => "handle_duplicate",
            Self::HandleReplace { .. } => "handle_replace",
            Self::HandleCheckValid { .. } => "handle_check_valid",
            Self::ObjectGetInfo { .. } => "object_get_info",
            Self::ObjectGetProperty { .. } => "object_get_property",
            Self::ObjectSetProperty { .. } => "object_set_property",
            Self::ObjectSignal { .. } => "object_signal",
            Self::ObjectSignalPeer { .. } => "object_signal_peer",
            Self::ObjectWaitOne { .. } => "object_wait_one",
            Self::ObjectWaitMany { .. } => "object_wait_many",
            Self::EventCreate { .. } => "event_create",
            Self::EventpairCreate { .. } => "eventpair_create",
            Self::VmoCreate { .. } => "vmo_create",
            Self::VmoRead { .. } => "vmo_read",
            Self::VmoWrite { .. } => "vmo_write",
            Self::VmoGetSize { .. } => "vmo_get_size",
            Self::VmoSetSize { .. } => "vmo_set_size",
            Self::VmoGetStreamSize { .. } => "vmo_get_stream_size",
            Self::VmoSetStreamSize { .. } => "vmo_set_stream_size",
            Self::VmoOpRange { op: ZX_VMO_OP_COMMIT, .. } => "vmo_op_range COMMIT",
            Self::VmoOpRange { op: ZX_VMO_OP_DECOMMIT, .. } => "vmo_op_range DECOMMIT",
            Self::VmoOpRange { op: ZX_VMO_OP_ZERO, .. } => "vmo_op_range ZERO",
            Self::VmoOpRange { op: ZX_VMO_OP_LOCK | ZX_VMO_OP_TRY_LOCK, .. } => "vmo_op_range LOCK",
            Self::VmoOpRange { op: ZX_VMO_OP_UNLOCK, .. } => "vmo_op_range UNLOCK",
            Self::VmoOpRange { .. } => "vmo_op_range, others",
            Self::VmoCreateChild(args) if args.options & ZX_VMO_CHILD_SLICE != 0 => "vmo_create_child SLICE",
            Self::VmoCreateChild(args) if args.options & ZX_VMO_CHILD_REFERENCE != 0 => "vmo_create_child REFERENCE",
            Self::VmoCreateChild(_) => "vmo_create_child SNAPSHOT",
            Self::VmoTransferData(_) => "vmo_transfer_data",
            Self::VmoCreateContiguous { .. } => "vmo_create_contiguous",
            Self::VmoCreatePhysical { .. } => "vmo_create_physical",
            Self::VmoDiscard { .. } => "vmo_discard",
            Self::VmoFreeZeroPages { .. } => "vmo_free_zero_pages",
            Self::Reclaim { .. } => "reclaim",
            Self::AgePass => "age_pass",
            Self::ReclaimAged { .. } => "reclaim_aged",
            Self::SetBudget { .. } => "set_budget",
            Self::VmoSetCachePolicy { .. } => "vmo_set_cache_policy",
            Self::VmoReplaceAsExecutable { .. } => "vmo_replace_as_executable",
            Self::VmarAllocate(_) => "vmar_allocate",
            Self::VmarMap(_) => "vmar_map",
            Self::VmarUnmap { .. } => "vmar_unmap",
            Self::VmarProtect { .. } => "vmar_protect",
            Self::VmarDestroy { .. } => "vmar_destroy",
            Self::VmarOpRange(OpRange { op: ZX_VMAR_OP_COMMIT, .. }) => "vmar_op_range COMMIT",
            Self::VmarOpRange(OpRange { op: ZX_VMAR_OP_DECOMMIT, .. }) => "vmar_op_range DECOMMIT",
            Self::VmarOpRange(OpRange { op: ZX_VMAR_OP_MAP_RANGE, .. }) => "vmar_op_range MAP_RANGE",
            Self::VmarOpRange(OpRange { op: ZX_VMAR_OP_ZERO, .. }) => "vmar_op_range ZERO",
            Self::VmarOpRange(_) => "vmar_op_range, others",
            Self::Load { .. } => "load",
            Self::Store { .. } => "store",
            Self::PortCreate { .. } => "port_create",
            Self::PortQueue { .. } => "port_queue",
            Self::PortWait { .. } => "port_wait",
            Self::PagerCreate { .. } => "pager_create",
            Self::PagerCreateVmo(_) => "pager_create_vmo",
            Self::PagerDetachVmo { .. } => "pager_detach_vmo",
            Self::PagerSupplyPages(_) => "pager_supply_pages",
            Self::PagerOpRange(PagerRange { op: ZX_PAGER_OP_FAIL, .. }) => "pager_op_range FAIL",
            Self::PagerOpRange(PagerRange { op: ZX_PAGER_OP_DIRTY, .. }) => "pager_op_range DIRTY",
            Self::PagerOpRange(PagerRange { op: ZX_PAGER_OP_WRITEBACK_BEGIN, .. }) => "pager_op_range WRITEBACK_BEGIN",
            Self::PagerOpRange(PagerRange { op: ZX_PAGER_OP_WRITEBACK_END, .. }) => "pager_op_range WRITEBACK_END",
            Self::PagerOpRange(_) => "pager_op_range, others",
            Self::PagerQueryDirtyRanges(_) => "pager_query_dirty_ranges",
            Self::PagerQueryVmoStats { .. } => "pager_query_vmo_stats",
        }
    }
}

impl Op {
    /// Whether it takes pages out of memory, whichever the engine likes.
    pub fn takes_pages(&self) -> bool {
        matches!(self, Self::Reclaim { .. } | Self::AgePass | Self::ReclaimAged { .. } | Self::SetBudget { .. })
    }
}

/// What a step told the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `OK`, or why not. Of an access that faults: `NOT_FOUND`; of one that would wait, where that is told: `SHOULD_WAIT`.
    pub status: Status,
    /// Handles made, in the order of the results, with the koids of their objects.
    pub made: Vec<(zx_handle_t, zx_koid_t)>,
    /// An address, a size, an amount, an answer (1 is yes), signals, *actual* and *avail*; [`UNTOUCHED`] where nothing was written.
    pub numbers: [u64; 2],
    /// What is in the buffer afterwards; it was full of [`FILLER`].
    pub bytes: Vec<u8>,
}

/// A number that no call has written to.
pub const UNTOUCHED: u64 = 0x5555_5555_5555_5555;
/// A byte of a buffer that no call has written to.
pub const FILLER: u8 = 0xaa;

impl Default for Outcome {
    fn default() -> Self {
        Self { status: Status::OK, made: Vec::new(), numbers: [UNTOUCHED; 2], bytes: Vec::new() }
    }
}

impl Outcome {
    /// Nothing but a status.
    pub fn of(result: Result<(), Status>) -> Self {
        Self { status: result.into(), ..Self::default() }
    }
}

/// Bytes that tell where they belong: no two neighbours are equal, and `fill` decides the first.
pub fn pattern(fill: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| fill.wrapping_add((at % 251) as u8)).collect()
}
