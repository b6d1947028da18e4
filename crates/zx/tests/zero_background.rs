//! Pages of zeros given back in the background. A file of its own: it is the whole process that is looked through.

use std::time::{Duration, Instant};

use zxvm as zx;

const PAGE: u64 = 4096;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn zeros_go_while_a_thread_stores() {
    let root = zx::runtime::vmar_root_self();
    let vmo = zx::Vmo::create(64 * PAGE).unwrap();
    let access = zx::VmarFlags::PERM_READ | zx::VmarFlags::PERM_WRITE;
    let at = root.map(0, &vmo, 0, 64 * PAGE as usize, access).unwrap();
    vmo.write(&[0; 64 * PAGE as usize], 0).unwrap();
    vmo.write(&[7], 10 * PAGE).unwrap();
    assert_eq!(vmo.info().unwrap().committed_bytes, 64 * PAGE);
    zx::free_zero_pages_every(Duration::from_millis(10)).unwrap();
    // Page 63 is stored to all the time: never a zero that stays.
    let mut byte = 1_u8;
    until("the zeros go", || {
        byte = byte.wrapping_add(1).max(1);
        vmo.write(&[byte], 63 * PAGE).unwrap();
        vmo.info().unwrap().committed_bytes == 2 * PAGE
    });
    assert_eq!(vmo.read_to_array::<u8, 1>(63 * PAGE).unwrap(), [byte]);
    assert_eq!(vmo.read_to_array::<u8, 1>(10 * PAGE).unwrap(), [7]);
    zx::free_zero_pages_every(Duration::ZERO).unwrap();
    // It may have been in the middle of a round.
    std::thread::sleep(Duration::from_millis(100));
    vmo.write(&[0; 4 * PAGE as usize], 0).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(vmo.info().unwrap().committed_bytes, 6 * PAGE, "nobody looks any more");
    // SAFETY: nothing points into the mapping.
    unsafe { root.unmap(at, 64 * PAGE as usize).unwrap() };
}
