//! A page that a pager refuses is an error, not a death; and one that is refused can be had later.

#![allow(unsafe_code)]

mod common;

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use common::family::PAGE;
use common::pager::{Asked, FREE, TRAP, TestPager, byte_of, crowd, task};
use common::{P, RW, Region, linux_may_fault};
use zx::{Status, VmarFlags as F, Vmo};
use zxvm as zx;

/// `EFAULT`, as [`std::io::Error`] has it.
const EFAULT: Option<i32> = Some(14);

/// A pipe would do for one call; this is for many.
fn scratch() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("zxvm-refused-{}", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn try_byte(at: usize) -> Result<u8, Status> {
    let mut byte = [0];
    // SAFETY: nobody writes there meanwhile.
    unsafe { zx::try_read(at, &mut byte) }.map(|()| byte[0])
}

fn try_store(at: usize, byte: u8) -> Result<(), Status> {
    // SAFETY: nobody has references to it.
    unsafe { zx::try_write(at, &[byte]) }
}

#[test]
fn what_a_pager_refuses_is_said_and_can_be_had_later() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let vmo = pager.vmo(FREE, 4);
    let at = region.map(0, &vmo, 0, 4, RW);
    for status in [Status::IO, Status::IO_DATA_INTEGRITY, Status::BAD_STATE, Status::NO_SPACE, Status::BUFFER_TOO_SMALL]
    {
        let load = task(move || try_byte(at + P));
        pager.expect_read(1..2);
        pager.fail(&vmo, 1..2, status);
        assert_eq!(load.end(), Err(status));
        let store = task(move || try_store(at + P, 9));
        pager.expect_read(1..2);
        pager.fail(&vmo, 1..2, status);
        assert_eq!(store.end(), Err(status), "each access asks anew");
    }
    let load = task(move || try_byte(at + P));
    pager.expect_read(1..2);
    pager.supply(&vmo, 1..2);
    assert_eq!(load.end(), Ok(byte_of(1)));
    pager.expect_nothing();
}

#[test]
fn a_store_whose_consent_is_refused_has_not_happened() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let vmo = pager.full(TRAP, 1);
    let at = region.map(0, &vmo, 0, 1, RW);
    let store = task(move || try_store(at, 99));
    pager.expect_dirty(0..1);
    pager.fail(&vmo, 0..1, Status::NO_SPACE);
    assert_eq!(store.end(), Err(Status::NO_SPACE));
    assert_eq!((try_byte(at), pager.all_dirty(&vmo)), (Ok(byte_of(0)), vec![]));
    let store = task(move || try_store(at, 99));
    pager.expect_dirty(0..1);
    pager.dirty(&vmo, 0..1);
    assert_eq!((store.end(), try_byte(at)), (Ok(()), Ok(99)));
}

#[test]
fn a_copy_stops_where_it_is_refused() {
    let (pager, region) = (TestPager::new(), Region::new(4));
    let vmo = pager.vmo(FREE, 4);
    pager.supply(&vmo, 0..2);
    let at = region.map(0, &vmo, 0, 4, RW);
    let copy = task(move || {
        let mut bytes = vec![0; 4 * P];
        // SAFETY: nobody writes there meanwhile.
        (unsafe { zx::try_read(at, &mut bytes) }, bytes)
    });
    pager.expect_read(2..3);
    pager.fail(&vmo, 2..3, Status::IO);
    let (result, bytes) = copy.end();
    assert_eq!(result, Err(Status::IO));
    assert_eq!([bytes[0], bytes[2 * P - 1], bytes[2 * P]], [byte_of(0), byte_of(1), 0]);
}

#[test]
fn whoever_waits_is_told_that_the_pager_has_let_go() {
    for close in [false, true] {
        let (pager, region) = (TestPager::new(), Region::new(2));
        let vmo = pager.vmo(FREE, 2);
        let at = region.map(0, &vmo, 0, 2, RW);
        let load = task(move || try_byte(at));
        pager.expect_read(0..1);
        if close {
            drop(pager);
        } else {
            assert_eq!(pager.pager.detach_vmo(&vmo), Ok(()));
        }
        assert_eq!(load.end(), Err(Status::BAD_STATE));
        assert_eq!((try_byte(at + P), try_store(at, 1)), (Err(Status::BAD_STATE), Err(Status::BAD_STATE)));
    }
}

#[test]
fn what_is_not_there_or_not_allowed_is_told_apart() {
    let region = Region::new(4);
    let vmo = Vmo::create(PAGE).unwrap();
    vmo.write(&[5], 0).unwrap();
    let at = region.map(0, &vmo, 0, 2, F::PERM_READ | F::ALLOW_FAULTS);
    assert_eq!(
        [try_byte(at), try_byte(at + P), try_byte(at + 3 * P)],
        [Ok(5), Err(Status::OUT_OF_RANGE), Err(Status::NOT_FOUND)]
    );
    assert_eq!(try_store(at, 1), Err(Status::ACCESS_DENIED));
    assert_eq!(try_byte(8), Err(Status::NOT_FOUND));
    assert_eq!(try_store(try_byte as fn(_) -> _ as usize, 1), Err(Status::ACCESS_DENIED));
}

#[test]
fn many_who_wait_for_one_page_are_all_told() {
    let (pager, region) = (TestPager::new(), Region::new(2));
    let vmo = pager.vmo(FREE, 2);
    let at = region.map(0, &vmo, 0, 2, RW);
    let loads = crowd(16, move |_| try_byte(at));
    let refusals = task(move || {
        let mut count = 0;
        // The next page is asked for when it is over.
        while pager.next().1 != Asked::Read(1..2) {
            pager.fail(&vmo, 0..1, Status::IO);
            count += 1;
        }
        pager.supply(&vmo, 1..2);
        count
    });
    for load in loads {
        assert_eq!(load.end(), Err(Status::IO));
    }
    assert_eq!(try_byte(at + P), Ok(byte_of(1)));
    let count = refusals.end();
    assert!((1..=16).contains(&count), "{count} requests for 16 loads");
}

#[test]
fn a_linux_call_on_what_is_refused_fails_and_can_be_made_again() {
    let (pager, region) = (TestPager::new(), Region::new(1));
    let vmo = pager.vmo(FREE, 1);
    let at = region.map(0, &vmo, 0, 1, RW);
    let mut file = scratch();
    file.write_all(&[3; 100]).unwrap();
    let file = Arc::new(file);
    let read = || {
        let file = file.clone();
        task(move || {
            // SAFETY: nobody has references to it, and whatever comes makes bytes.
            let to = unsafe { std::slice::from_raw_parts_mut(std::ptr::with_exposed_provenance_mut::<u8>(at), 100) };
            file.read_at(to, 0).map_err(|error| error.raw_os_error())
        })
    };
    for round in 0..3 {
        let call = read();
        if !linux_may_fault() {
            assert_eq!(call.end(), Err(EFAULT));
            continue;
        }
        pager.expect_read(0..1);
        if round < 2 {
            pager.fail(&vmo, 0..1, Status::IO);
            assert_eq!(call.end(), Err(EFAULT), "no signal");
            // The page is poisoned for an instant (CAVEATS.md).
            std::thread::sleep(std::time::Duration::from_millis(20));
        } else {
            pager.supply(&vmo, 0..1);
            assert_eq!(call.end(), Ok(100));
            assert_eq!((try_byte(at + 99), try_byte(at + 100)), (Ok(3), Ok(byte_of(0))));
        }
    }
}
