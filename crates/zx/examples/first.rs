//! A first program: memory that is committed and given back at will, seen through a mapping and through calls.

use zxvm as zx;

const PAGE: u64 = 4096;

fn main() -> Result<(), zx::Status> {
    // Sixteen pages of memory, none of them there yet, mapped where the library finds room.
    let vmo = zx::Vmo::create(16 * PAGE)?;
    let root = zx::runtime::vmar_root_self();
    let access = zx::VmarFlags::PERM_READ | zx::VmarFlags::PERM_WRITE;
    let addr = root.map(0, &vmo, 0, 16 * PAGE as usize, access)?;
    println!("mapped at {addr:#x}, committed: {} bytes", vmo.info()?.committed_bytes);

    // All at once, with page-table entries: no fault will ever be taken here.
    root.op_range(zx::VmarOp::COMMIT, addr, 16 * PAGE as usize)?;
    println!("after COMMIT: {} bytes", vmo.info()?.committed_bytes);

    vmo.write(b"hello", 3 * PAGE)?;
    root.op_range(zx::VmarOp::DECOMMIT, addr, 8 * PAGE as usize)?;
    println!("after DECOMMIT of one half: {} bytes", vmo.info()?.committed_bytes);
    assert_eq!(vmo.read_to_array::<u8, 5>(3 * PAGE)?, [0; 5]);

    // Two pages more than are mapped: an error, not a crash. What comes before the gap is done.
    let gap = root.op_range(zx::VmarOp::COMMIT, addr, 18 * PAGE as usize);
    println!("over the end of the mapping: {gap:?}");
    Ok(())
}
