//! The engine itself, tried out: what it got, and whether a VMO can be made, mapped, committed and given back.

use zerocopy::{FromZeros, IntoBytes};
use zxvm_host::linux::{Words, probe};
use zxvm_host::{AddrRange, PAGE_SIZE};
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

use super::{Finding, SIGBUS, SIGSEGV, State, signal_is_set};
use crate::table::size;

/// All about the engine. Without `has_stores` it can be started, but nothing can be put into a VMO.
pub fn findings(has_stores: bool) -> Vec<Finding> {
    let kernel = match Kernel::current() {
        Ok(kernel) => kernel,
        Err(status) => {
            let follows = match status {
                Status::INVALID_ARGS => "ZXVM_FAULTS is neither thread nor inline, or ZXVM_PRESSURE is not as below.",
                _ => "It needs /proc, one file descriptor and some address space.",
            };
            return vec![Finding::new("start", State::Missing, format!("it ended with {status}"), follows).blocks()];
        }
    };
    let mut findings = vec![root(kernel)];
    if has_stores {
        findings.extend([trial(kernel), snapshots(kernel)]);
    }
    findings.push(bad_addresses());
    findings
}

fn root(kernel: &Kernel) -> Finding {
    let mut info = zx_info_vmar_t::new_zeroed();
    let none = || None::<&mut usize>;
    let subject = "root VMAR";
    match kernel.object_get_info(kernel.vmar_root_self(), ZX_INFO_VMAR, info.as_mut_bytes().into(), none(), none()) {
        Err(status) => Finding::new(subject, State::Missing, status.to_string(), "Nothing can be mapped.").blocks(),
        Ok(()) => {
            let (got, wanted) = (info.len as u64, Config::default().root_len);
            let (state, follows) = if got < wanted {
                (
                    State::Limited,
                    format!("Less than {}: placement is less random, large alignments may not fit.", size(wanted)),
                )
            } else {
                (State::Ok, "Room for mappings; takes no memory by itself.".to_owned())
            };
            Finding::new(subject, state, size(got), follows)
        }
    }
}

fn trial(kernel: &Kernel) -> Finding {
    let (state, found, follows) = match try_out(kernel) {
        Ok(()) => (State::Ok, "works".to_owned(), "A VMO was made, mapped, committed and freed."),
        Err((call, status)) => (State::Missing, format!("{call}: {status}"), "No VMO can be used."),
    };
    Finding::new("a small trial", state, found, follows).blocks()
}

fn snapshots(kernel: &Kernel) -> Finding {
    let subject = "snapshots of mapped VMOs";
    match try_snapshot(kernel) {
        Ok(()) => Finding::new(subject, State::Ok, "work", "One was taken, stored over, and stayed as it was."),
        Err((call, status)) => {
            let follows = "The page faults below decide. Snapshots of VMOs that are not mapped work.";
            Finding::new(subject, State::Missing, format!("{call}: {status}"), follows)
        }
    }
}

/// Takes a snapshot and stores through the mapping of what it was taken of.
fn try_snapshot(kernel: &Kernel) -> Result<(), (&'static str, Status)> {
    let in_call = |call| move |status| (call, status);
    let (len, root) = (PAGE_SIZE as usize, kernel.vmar_root_self());
    let (mut vmo, mut addr, mut child) = (ZX_HANDLE_INVALID, 0, ZX_HANDLE_INVALID);
    kernel.vmo_create(len as u64, 0, &mut vmo).map_err(in_call("zx_vmo_create"))?;
    let options = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
    kernel.vmar_map(root, options, 0, vmo, 0, len, &mut addr).map_err(in_call("zx_vmar_map"))?;
    let words = AddrRange::new(addr as u64, len as u64).ok().and_then(Words::new);
    let words = words.ok_or(("zx_vmar_map", Status::BAD_STATE))?;
    let mut held = [0; Words::BYTES];
    let taken = (|| {
        words.store(0, 1);
        let snapshot = ZX_VMO_CHILD_SNAPSHOT;
        kernel.vmo_create_child(vmo, snapshot, 0, len as u64, &mut child).map_err(in_call("zx_vmo_create_child"))?;
        words.store(0, 2);
        kernel.vmo_read(child, held.as_mut_slice().into(), 0).map_err(in_call("zx_vmo_read"))?;
        kernel.handle_close(child).map_err(in_call("zx_handle_close"))?;
        if (u64::from_ne_bytes(held), words.load(0)) == (1, 2) {
            Ok(())
        } else {
            Err(("a store through the mapping", Status::IO_DATA_INTEGRITY))
        }
    })();
    kernel.vmar_unmap(root, addr, len).map_err(in_call("zx_vmar_unmap"))?;
    kernel.handle_close(vmo).map_err(in_call("zx_handle_close"))?;
    taken
}

fn try_out(kernel: &Kernel) -> Result<(), (&'static str, Status)> {
    let in_call = |call| move |status| (call, status);
    let (len, root) = (16 * PAGE_SIZE as usize, kernel.vmar_root_self());
    let (mut vmo, mut addr) = (ZX_HANDLE_INVALID, 0);
    kernel.vmo_create(len as u64, 0, &mut vmo).map_err(in_call("zx_vmo_create"))?;
    let options = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;
    kernel.vmar_map(root, options, 0, vmo, 0, len, &mut addr).map_err(in_call("zx_vmar_map"))?;
    for (call, op) in [("COMMIT", ZX_VMAR_OP_COMMIT), ("DECOMMIT", ZX_VMAR_OP_DECOMMIT)] {
        kernel.vmar_op_range(root, op, addr, len, 0, 0).map_err(in_call(call))?;
    }
    kernel.vmar_unmap(root, addr, len).map_err(in_call("zx_vmar_unmap"))?;
    kernel.handle_close(vmo).map_err(in_call("zx_handle_close"))
}

fn bad_addresses() -> Finding {
    let subject = "bad addresses";
    if signal_is_set("SigBlk", SIGSEGV | SIGBUS) {
        let follows = "Whoever started this program blocks it. A bad buffer ends the process.";
        return Finding::new(subject, State::Limited, "SIGSEGV or SIGBUS is blocked", follows);
    }
    if probe::survives_bad_address() {
        let follows = "Errors, not crashes. SIGSEGV handlers set later must chain.";
        Finding::new(subject, State::Ok, "reported", follows)
    } else {
        Finding::new(subject, State::Limited, "not reported", "A bad buffer may end the process.")
    }
}
