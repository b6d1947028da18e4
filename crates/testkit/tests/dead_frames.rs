//! A frame that nobody holds and the host would not free.
//!
//! It lay in the window of a VMO that was gone. The window went with the last VMO that showed a part of it, its range was
//! given to another VMO, and the next try to free the frame took that one's page.

use std::sync::Arc;

use zxvm_host::HostError;
use zxvm_host::fail::{FailNth, Mode};
use zxvm_host::sim::{SimConfig, SimHost};
use zxvm_syscall::user::{UserRef, UserSlice};
use zxvm_syscall::{Config, Kernel};
use zxvm_types::*;

const PAGE: usize = 4096;

#[test]
fn what_could_not_be_freed_is_not_freed_under_its_next_owner() {
    let host = Arc::new(FailNth::new(Arc::new(SimHost::new(SimConfig::default()))));
    let kernel = Kernel::new(host.clone(), Config { root_len: 64 << 20, seed: 7 }).unwrap();
    let filled = |byte: u8| {
        let mut vmo = 0;
        kernel.vmo_create(PAGE as u64, 0, &mut vmo).unwrap();
        kernel.vmo_write(vmo, UserRef::from(&[byte; PAGE][..]), 0).unwrap();
        vmo
    };
    let first = |vmo| {
        let mut byte = [0];
        kernel.vmo_read(vmo, UserSlice::from(&mut byte[..]), 0).unwrap();
        byte[0]
    };
    let snapshot = |vmo| {
        let mut child = 0;
        kernel.vmo_create_child(vmo, ZX_VMO_CHILD_SNAPSHOT, 0, PAGE as u64, &mut child).unwrap();
        child
    };
    let parent = filled(1);
    let (holder, other) = (snapshot(parent), snapshot(parent));
    kernel.vmo_write(other, UserRef::from(&[3; PAGE][..]), 0).unwrap();
    kernel.handle_close(parent).unwrap();
    host.arm(1, HostError::NoMemory, Mode::Once);
    kernel.handle_close(holder).unwrap();
    host.disarm();
    assert!(host.fired(), "closing the last holder frees the frame");
    let next: Vec<_> = (0..16).map(|_| filled(9)).collect();
    assert_eq!(first(other), 3);
    assert!(next.iter().all(|&vmo| first(vmo) == 9));
    kernel.audit();
}
