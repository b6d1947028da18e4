//! Does a step on the real engine and takes down all that the program sees of it.

use std::collections::BTreeMap;

use zerocopy::{FromBytes, IntoBytes};
use zxvm_syscall::user::{UserFault, UserRef, UserSlice};
use zxvm_syscall::{Kernel, Out};
use zxvm_types::*;
use zxvm_vm::{PageState, RequestKind, WaitingOne};

use crate::PAGE;
use crate::cpu::{Cpu, Fault, ref_at, slice_at};
use crate::model::Birth;
use crate::model::port::user_packet;
use crate::model::seen::{Seen, SeenPage, SeenRoot, Waits};
use crate::model::source::{Kind as Asked, State};
use crate::op::{
    Allocate, Buffer, CreateChild, CreatePagerVmo, FILLER, Lost, Map, Op, OpRange, Outcome, PagerRange, QueryDirty,
    Supply, Transfer, UNTOUCHED, pattern,
};

/// A place for a result, or none at all.
struct Place<'a, T>(Option<&'a mut T>);

impl<T> Out<T> for Place<'_, T> {
    fn put(self, value: T) -> Result<(), UserFault> {
        *self.0.ok_or(UserFault { at: 0 })? = value;
        Ok(())
    }
}

impl Lost {
    fn first<T>(self, place: &mut T) -> Place<'_, T> {
        Place((self != Self::First).then_some(place))
    }

    fn second<T>(self, place: &mut T) -> Place<'_, T> {
        Place((self != Self::Second).then_some(place))
    }

    /// For calls with one result.
    fn only<T>(self, place: &mut T) -> Place<'_, T> {
        Place((self == Self::Nothing).then_some(place))
    }
}

/// The number of the object behind a handle that works.
///
/// # Panics
/// If it does not.
pub fn koid(kernel: &Kernel, handle: zx_handle_t) -> zx_koid_t {
    basic(kernel, handle).koid
}

fn basic(kernel: &Kernel, handle: zx_handle_t) -> zx_info_handle_basic_t {
    let mut record = zx_info_handle_basic_t::default();
    info(kernel, handle, ZX_INFO_HANDLE_BASIC, record.as_mut_bytes()).expect("basic information of a good handle");
    record
}

/// `zx_object_get_info` into `bytes`, with the number of records written.
///
/// # Errors
/// As the call.
pub fn info(kernel: &Kernel, handle: zx_handle_t, topic: u32, bytes: &mut [u8]) -> Result<usize, Status> {
    let mut actual = 0;
    kernel.object_get_info(handle, topic, UserSlice::from(bytes), &mut actual, None::<&mut usize>)?;
    Ok(actual)
}

/// All records of a topic that has many.
///
/// # Errors
/// As the call.
pub fn records<T>(kernel: &Kernel, handle: zx_handle_t, topic: u32) -> Result<Vec<T>, Status>
where
    T: FromBytes + IntoBytes + Clone + Default,
{
    let (mut actual, mut avail) = (0, 0);
    kernel.object_get_info(handle, topic, UserSlice::from(&mut [][..]), &mut actual, &mut avail)?;
    let mut records = vec![T::default(); avail];
    let count = info(kernel, handle, topic, records.as_mut_slice().as_mut_bytes())?;
    records.truncate(count);
    Ok(records)
}

/// The record of a topic that has one.
///
/// # Errors
/// As the call.
pub fn record<T>(kernel: &Kernel, handle: zx_handle_t, topic: u32) -> Result<T, Status>
where
    T: FromBytes + IntoBytes + Default,
{
    let mut record = T::default();
    info(kernel, handle, topic, record.as_mut_bytes())?;
    Ok(record)
}

/// What a fresh engine has.
///
/// # Panics
/// If it cannot tell.
pub fn birth(kernel: &Kernel) -> Birth {
    let (process, root) = (kernel.process_self(), kernel.vmar_root_self());
    let mut name = [0; ZX_MAX_NAME_LEN];
    kernel.object_get_property(process, ZX_PROP_NAME, UserSlice::from(&mut name[..])).expect("the process's name");
    let range: zx_info_vmar_t = record(kernel, root, ZX_INFO_VMAR).expect("the range of the root VMAR");
    Birth {
        process: (process, koid(kernel, process)),
        job: basic(kernel, process).related_koid,
        name,
        root: (root, koid(kernel, root)),
        base: range.base as u64,
        len: range.len as u64,
    }
}

/// What is in memory, who waits, and what may go.
pub fn seen(kernel: &Kernel) -> Seen {
    let census = kernel.space().census();
    let roots = census.roots.into_iter().map(|root| {
        let mut pages = BTreeMap::new();
        for (range, state) in root.states {
            let there = state.has_page();
            let state = state_of(state);
            let run = range.start() / PAGE..range.end() / PAGE;
            pages.extend(run.map(|page| (page, SeenPage { state, there })));
        }
        for at in root.loaded {
            pages.get_mut(&(at / PAGE)).expect("a zero page is not absent").there = true;
        }
        let kind = |kind| match kind {
            RequestKind::Read => Asked::Read,
            RequestKind::Dirty => Asked::Dirty,
        };
        let waiting = root.waiting.into_iter().map(|(of, who)| (kind(of), who.into())).collect();
        (root.koid, SeenRoot { losses: root.losses, pages, waiting })
    });
    let starving = census.starving.into_iter().map(Waits::from).collect();
    let stats = kernel.memory_stats();
    let told = (stats.resident / PAGE, stats.dirty / PAGE);
    Seen { roots: roots.collect(), starving, may_go: census.may_go, told }
}

impl From<WaitingOne> for Waits {
    fn from(one: WaitingOne) -> Self {
        match one {
            WaitingOne::Call => Self::Call,
            WaitingOne::Access(page) => Self::Access(page),
        }
    }
}

fn state_of(state: PageState) -> State {
    match state {
        PageState::Absent => State::Absent,
        PageState::CleanZero => State::CleanZero,
        PageState::Clean => State::Clean,
        PageState::AwaitingClean => State::AwaitingClean,
        PageState::Dirty => State::Dirty,
        PageState::DirtyZero => State::DirtyZero,
    }
}

/// How long a packet may take that is known to come.
const COMES: zx_time_t = 20_000_000_000;

fn access_status(fault: Fault) -> Status {
    match fault {
        Fault::Fatal => Status::NOT_FOUND,
        Fault::Waits => Status::SHOULD_WAIT,
    }
}

/// Does the step.
pub fn apply(kernel: &Kernel, cpu: &dyn Cpu, op: &Op) -> Outcome {
    let mut handles = [ZX_HANDLE_INVALID; 2];
    let [first, second] = &mut handles;
    let mut numbers = [UNTOUCHED; 2];
    let mut bytes = Vec::new();
    let mut addr = UNTOUCHED as usize;
    let status = match *op {
        Op::HandleClose { handle } => kernel.handle_close(handle),
        Op::HandleCloseMany { ref handles } => kernel.handle_close_many(handles),
        Op::HandleDuplicate { handle, rights, lost } => kernel.handle_duplicate(handle, rights, lost.only(first)),
        Op::HandleReplace { handle, rights, lost } => kernel.handle_replace(handle, rights, lost.only(first)),
        Op::HandleCheckValid { handle } => kernel.handle_check_valid(handle),
        Op::ObjectGetInfo { handle, topic, len } => {
            bytes = vec![FILLER; len];
            let (mut actual, mut avail) = (UNTOUCHED as usize, UNTOUCHED as usize);
            let buffer = UserSlice::from(&mut bytes[..]);
            let status = kernel.object_get_info(handle, topic, buffer, &mut actual, &mut avail);
            numbers = [actual as u64, avail as u64];
            status
        }
        Op::ObjectGetProperty { handle, property, len } => {
            bytes = vec![FILLER; len.unwrap_or(0)];
            let value = if len.is_some() { UserSlice::from(&mut bytes[..]) } else { slice_at(0, 64) };
            kernel.object_get_property(handle, property, value)
        }
        Op::ObjectSetProperty { handle, property, ref value } => {
            let value = value.as_deref().map_or(ref_at(0, 64), UserRef::from);
            kernel.object_set_property(handle, property, value)
        }
        Op::ObjectSignal { handle, clear, set } => kernel.object_signal(handle, clear, set),
        Op::ObjectSignalPeer { handle, clear, set } => kernel.object_signal_peer(handle, clear, set),
        Op::ObjectWaitOne { handle, signals } => {
            let mut observed = UNTOUCHED as u32;
            let status = kernel.object_wait_one(handle, signals, ZX_TIME_INFINITE_PAST, &mut observed);
            if observed != UNTOUCHED as u32 {
                numbers[0] = u64::from(observed);
            }
            status
        }
        Op::ObjectWaitMany { ref items } => {
            let pending = u32::from_ne_bytes([FILLER; 4]);
            let item = |&(handle, waitfor)| zx_wait_item_t { handle, waitfor, pending };
            let mut items: Vec<_> = items.iter().map(item).collect();
            let status = kernel.object_wait_many(&mut items, ZX_TIME_INFINITE_PAST);
            bytes = items.iter().flat_map(|item| item.pending.to_ne_bytes()).collect();
            status
        }
        Op::EventCreate { options, lost } => kernel.event_create(options, lost.only(first)),
        Op::EventpairCreate { options, lost } => {
            kernel.eventpair_create(options, lost.first(first), lost.second(second))
        }
        Op::VmoCreate { size, options, lost } => kernel.vmo_create(size, options, lost.only(first)),
        Op::VmoRead { vmo, buffer, offset, len } => {
            let buffer = match buffer {
                Buffer::Own => {
                    bytes = vec![FILLER; len];
                    UserSlice::from(&mut bytes[..])
                }
                Buffer::Null => slice_at(0, len),
                Buffer::At(addr) => slice_at(addr, len),
            };
            kernel.vmo_read(vmo, buffer, offset)
        }
        Op::VmoWrite { vmo, buffer, fill, offset, len } => match buffer {
            Buffer::Own => kernel.vmo_write(vmo, UserRef::from(&pattern(fill, len)[..]), offset),
            Buffer::Null => kernel.vmo_write(vmo, ref_at(0, len), offset),
            Buffer::At(addr) => kernel.vmo_write(vmo, ref_at(addr, len), offset),
        },
        Op::VmoGetSize { vmo } => kernel.vmo_get_size(vmo, &mut numbers[0]),
        Op::VmoSetSize { vmo, size } => kernel.vmo_set_size(vmo, size),
        Op::VmoGetStreamSize { vmo } => kernel.vmo_get_stream_size(vmo, &mut numbers[0]),
        Op::VmoSetStreamSize { vmo, size } => kernel.vmo_set_stream_size(vmo, size),
        Op::VmoOpRange { vmo, op, offset, size, buffer_size } => {
            bytes = vec![FILLER; buffer_size];
            kernel.vmo_op_range(vmo, op, offset, size, UserSlice::from(&mut bytes[..]))
        }
        Op::VmoCreateChild(CreateChild { vmo, options, offset, size, lost }) => {
            kernel.vmo_create_child(vmo, options, offset, size, lost.only(first))
        }
        Op::VmoTransferData(Transfer { dst, options, offset, len, src, src_offset }) => {
            kernel.vmo_transfer_data(dst, options, offset, len, src, src_offset)
        }
        Op::VmoCreateContiguous { bti, size, alignment_log2 } => {
            kernel.vmo_create_contiguous(bti, size as usize, alignment_log2, first)
        }
        Op::VmoCreatePhysical { resource, paddr, size } => {
            kernel.vmo_create_physical(resource, paddr, size as usize, first)
        }
        Op::VmoDiscard { vmo } => kernel.vmo_discard(vmo).map(|gone| numbers[0] = gone.into()),
        Op::VmoFreeZeroPages { vmo } => kernel.vmo_free_zero_pages(vmo).map(|bytes| numbers[0] = bytes),
        Op::Reclaim { pages } => {
            numbers[0] = kernel.reclaim(pages.saturating_mul(PAGE)) / PAGE;
            Ok(())
        }
        Op::AgePass => {
            kernel.space().age_pass();
            Ok(())
        }
        Op::ReclaimAged { pages, passes, last } => {
            numbers[0] = kernel.space().take_aged(pages, passes, last);
            Ok(())
        }
        Op::SetBudget { pages } => kernel.set_memory_budget(pages.map(|pages| pages * PAGE)),
        Op::VmoSetCachePolicy { vmo, policy } => kernel.vmo_set_cache_policy(vmo, policy),
        Op::VmoReplaceAsExecutable { vmo, vmex, lost } => kernel.vmo_replace_as_executable(vmo, vmex, lost.only(first)),
        Op::VmarAllocate(Allocate { parent, options, offset, size, lost }) => kernel.vmar_allocate(
            parent,
            options,
            offset as usize,
            size as usize,
            lost.first(first),
            lost.second(&mut addr),
        ),
        Op::VmarMap(Map { vmar, options, vmar_offset, vmo, vmo_offset, len, lost }) => {
            let (at, len) = (vmar_offset as usize, len as usize);
            kernel.vmar_map(vmar, options, at, vmo, vmo_offset, len, lost.only(&mut addr))
        }
        Op::VmarUnmap { vmar, addr, len } => kernel.vmar_unmap(vmar, addr as usize, len as usize),
        Op::VmarProtect { vmar, options, addr, len } => kernel.vmar_protect(vmar, options, addr as usize, len as usize),
        Op::VmarDestroy { vmar } => kernel.vmar_destroy(vmar),
        Op::VmarOpRange(OpRange { vmar, op, addr, size, buffer, buffer_size }) => {
            kernel.vmar_op_range(vmar, op, addr as usize, size as usize, buffer as usize, buffer_size as usize)
        }
        Op::Load { addr } => cpu.load(addr).map(|byte| numbers[0] = byte.into()).map_err(access_status),
        Op::Store { addr, byte } => cpu.store(addr, byte).map_err(access_status),
        Op::PortCreate { options, lost } => kernel.port_create(options, lost.only(first)),
        Op::PortQueue { port, key, tag } => kernel.port_queue(port, UserRef::from(user_packet(key, tag).as_bytes())),
        Op::PortWait { port, comes } => {
            let mut packet = zx_port_packet_t::default();
            let deadline =
                if comes { zxvm_syscall::system::clock_get_monotonic() + COMES } else { ZX_TIME_INFINITE_PAST };
            let status = kernel.port_wait(port, deadline, &mut packet);
            if status.is_ok() {
                bytes = packet.as_bytes().to_vec();
            }
            status
        }
        Op::PagerCreate { options, lost } => kernel.pager_create(options, lost.only(first)),
        Op::PagerCreateVmo(CreatePagerVmo { pager, options, port, key, size, lost }) => {
            kernel.pager_create_vmo(pager, options, port, key, size, lost.only(first))
        }
        Op::PagerDetachVmo { pager, vmo } => kernel.pager_detach_vmo(pager, vmo),
        Op::PagerSupplyPages(Supply { pager, vmo, offset, len, aux, aux_offset }) => {
            kernel.pager_supply_pages(pager, vmo, offset, len, aux, aux_offset)
        }
        Op::PagerOpRange(PagerRange { pager, op, vmo, offset, len, data }) => {
            kernel.pager_op_range(pager, op, vmo, offset, len, data)
        }
        Op::PagerQueryDirtyRanges(QueryDirty { pager, vmo, offset, len, buffer_len }) => {
            bytes = vec![FILLER; buffer_len.unwrap_or(0)];
            let buffer = if buffer_len.is_some() { UserSlice::from(&mut bytes[..]) } else { slice_at(0, 4096) };
            let (mut actual, mut avail) = (UNTOUCHED as usize, UNTOUCHED as usize);
            let status = kernel.pager_query_dirty_ranges(pager, vmo, offset, len, buffer, &mut actual, &mut avail);
            if status.is_ok() {
                numbers = [actual as u64, avail as u64];
            }
            status
        }
        Op::PagerQueryVmoStats { pager, vmo, options, len } => {
            bytes = vec![FILLER; len.unwrap_or(0)];
            let buffer = if len.is_some() { UserSlice::from(&mut bytes[..]) } else { slice_at(0, 4096) };
            kernel.pager_query_vmo_stats(pager, vmo, options, buffer)
        }
    };
    let mut made = Vec::new();
    if status.is_ok() {
        made = handles.into_iter().filter(|&handle| handle != 0).map(|handle| (handle, koid(kernel, handle))).collect();
        if addr != UNTOUCHED as usize {
            numbers[0] = addr as u64;
        }
    }
    Outcome { status: status.into(), made, numbers, bytes }
}
