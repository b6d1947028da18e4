//! Families of VMOs: pages that hold one byte throughout, children, and who pays for which page.

use zxvm as zx;
use zxvm_syscall::Kernel;
use zxvm_syscall::user::UserSlice;

use zx::{Event, NullableHandle, Rights, Status, Vmo, VmoChildOptions, VmoOp, VmoOptions};

use super::P;

/// Bytes in a page.
pub const PAGE: u64 = P as u64;

/// The largest size of a VMO: 2^64 less 128 KiB.
pub const LARGEST: u64 = u64::MAX - (128 << 10) + 1;

/// Content may be discarded.
pub const DISCARDABLE: VmoOptions = VmoOptions::from_bits_retain(zx::sys::ZX_VMO_DISCARDABLE);

/// All types that make a copy. Without pagers they are the same.
pub const SNAPSHOTS: [VmoChildOptions; 3] =
    [VmoChildOptions::SNAPSHOT, VmoChildOptions::SNAPSHOT_AT_LEAST_ON_WRITE, VmoChildOptions::SNAPSHOT_MODIFIED];

/// A VMO of so many pages, nothing written.
pub fn empty(pages: u64) -> Vmo {
    Vmo::create(pages * PAGE).unwrap()
}

/// A VMO of so many pages that may grow and shrink, nothing written.
pub fn empty_resizable(pages: u64) -> Vmo {
    Vmo::create_with_opts(VmoOptions::RESIZABLE, pages * PAGE).unwrap()
}

/// Fills one page of a VMO with this byte.
pub fn fill(vmo: &Vmo, page: u64, byte: u8) {
    vmo.write(&[byte; P], page * PAGE).unwrap();
}

/// Fills the pages of a VMO, from the first on, with 1, 2, 3 and so on.
pub fn count_up(vmo: Vmo) -> Vmo {
    for page in 0..vmo.get_size().unwrap() / PAGE {
        fill(&vmo, page, page as u8 + 1);
    }
    vmo
}

/// A VMO of so many pages, which hold 1, 2, 3 and so on.
pub fn written(pages: u64) -> Vmo {
    count_up(empty(pages))
}

/// The byte that all of these are.
#[track_caller]
fn the_byte(bytes: &[u8]) -> u8 {
    let other = bytes.iter().position(|byte| *byte != bytes[0]);
    assert_eq!(other, None, "a page of several values: {} and {}", bytes[0], bytes[other.unwrap_or(0)]);
    bytes[0]
}

/// What a page's worth of bytes from `offset` on is filled with, read by a call.
#[track_caller]
pub fn page_at(vmo: &Vmo, offset: u64) -> u8 {
    the_byte(&vmo.read_to_vec::<u8>(offset, PAGE).unwrap())
}

/// Its content read by a call: one byte for each page, all bytes of which are the same.
#[track_caller]
pub fn content(vmo: &Vmo) -> Vec<u8> {
    let bytes = vmo.read_to_vec::<u8>(0, vmo.get_size().unwrap()).unwrap();
    let mut pages = Vec::new();
    for page in bytes.chunks(P) {
        pages.push(the_byte(page));
    }
    pages
}

/// A child of this type for `pages` pages from `page` on.
#[track_caller]
pub fn child(parent: &Vmo, options: VmoChildOptions, page: u64, pages: u64) -> Vmo {
    parent.create_child(options, page * PAGE, pages * PAGE).unwrap()
}

/// A snapshot of all of it.
#[track_caller]
pub fn snapshot(parent: &Vmo) -> Vmo {
    parent.create_child(VmoChildOptions::SNAPSHOT, 0, parent.get_size().unwrap()).unwrap()
}

/// A reference to it.
#[track_caller]
pub fn reference(parent: &Vmo) -> Vmo {
    parent.create_child(VmoChildOptions::REFERENCE, 0, 0).unwrap()
}

/// An operation on so many pages from `page` on.
pub fn op(vmo: &Vmo, op: VmoOp, page: u64, pages: u64) -> Result<(), Status> {
    vmo.op_range(op, page * PAGE, pages * PAGE)
}

/// Another handle without these rights.
pub fn without(vmo: &Vmo, rights: Rights) -> Vmo {
    vmo.duplicate_handle(vmo.basic_info().unwrap().rights - rights).unwrap()
}

/// A handle that is none, as a VMO.
pub fn no_handle() -> Vmo {
    NullableHandle::invalid().into()
}

/// A handle to something else, as a VMO.
pub fn wrong_handle() -> Vmo {
    Event::create().into_handle().into()
}

/// What is no VMO gives WRONG_TYPE, and no handle BAD_HANDLE, for this call.
#[track_caller]
pub fn check_handle<T>(call: impl Fn(&Vmo) -> Result<T, Status>) {
    assert_eq!(call(&no_handle()).err(), Some(Status::BAD_HANDLE));
    assert_eq!(call(&wrong_handle()).err(), Some(Status::WRONG_TYPE));
}

/// Locks the content, and tells what was lost. (`op_range` has no room for that.)
pub fn lock(vmo: &Vmo) -> Result<zx::sys::zx_vmo_lock_state_t, Status> {
    let mut bytes = [0_u8; size_of::<zx::sys::zx_vmo_lock_state_t>()];
    lock_into(vmo, &mut bytes)?;
    let word = |index: usize| u64::from_ne_bytes(*bytes[8 * index..].first_chunk().unwrap());
    Ok(zx::sys::zx_vmo_lock_state_t {
        offset: word(0),
        size: word(1),
        discarded_offset: word(2),
        discarded_size: word(3),
    })
}

/// Locks the content, with this buffer for what was lost.
pub fn lock_into(vmo: &Vmo, buffer: &mut [u8]) -> Result<(), Status> {
    let (op, size) = (VmoOp::LOCK.into_raw(), vmo.get_size()?);
    Kernel::current()?.vmo_op_range(vmo.raw_handle(), op, 0, size, UserSlice::from(buffer))
}

/// An amount of memory in bytes, to 2^-63 byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    pub bytes: u64,
    /// Of 2^63.
    pub fraction: u64,
}

/// One byte in the fixed point of fractions.
pub const ONE: u64 = 1 << 63;

impl Amount {
    /// So many pages.
    pub fn pages(count: u64) -> Self {
        Self { bytes: count * PAGE, fraction: 0 }
    }

    /// `count / parts` pages.
    pub fn part(count: u64, parts: u64) -> Self {
        let bytes = count * PAGE;
        let fraction = u128::from(bytes % parts) * u128::from(ONE) / u128::from(parts);
        Self { bytes: bytes / parts, fraction: fraction as u64 }
    }

    /// All of it in units of 2^-63 byte.
    pub fn units(self) -> u128 {
        u128::from(self.bytes) * u128::from(ONE) + u128::from(self.fraction)
    }
}

impl std::fmt::Debug for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} + {:#x}/2^63 ({:.4} pages)",
            self.bytes,
            self.fraction,
            self.units() as f64 / (ONE as f64 * P as f64)
        )
    }
}

/// Who pays for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub committed: u64,
    pub private: u64,
    pub scaled: Amount,
}

impl Figures {
    /// Whole pages seen, whole pages alone, and the share.
    pub fn new(committed: u64, private: u64, scaled: Amount) -> Self {
        Self { committed: committed * PAGE, private: private * PAGE, scaled }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::new(0, 0, Amount::pages(0))
    }

    /// What the VMO itself says.
    #[track_caller]
    pub fn of(vmo: &Vmo) -> Self {
        let info = vmo.info().unwrap();
        let committed = (
            info.committed_bytes,
            info.committed_private_bytes,
            info.committed_scaled_bytes,
            info.committed_fractional_scaled_bytes,
        );
        let populated = (
            info.populated_bytes,
            info.populated_private_bytes,
            info.populated_scaled_bytes,
            info.populated_fractional_scaled_bytes,
        );
        assert_eq!(committed, populated, "nothing is compressed");
        let (committed, private, bytes, fraction) = committed;
        assert!(fraction < ONE, "a fraction is less than one: {fraction:#x}");
        Self { committed, private, scaled: Amount { bytes, fraction } }
    }

    /// What is told about the mapping at `base`.
    #[track_caller]
    pub fn of_mapping(vmar: &zx::Vmar, base: usize) -> Self {
        let maps = vmar.maps_vec().unwrap();
        let map = maps.iter().find(|map| map.base == base && map.details().as_mapping().is_some()).expect("a mapping");
        let details = *map.details().as_mapping().expect("found as one");
        let committed = (
            details.committed_bytes,
            details.committed_private_bytes,
            details.committed_scaled_bytes,
            details.committed_fractional_scaled_bytes,
        );
        let populated = (
            details.populated_bytes,
            details.populated_private_bytes,
            details.populated_scaled_bytes,
            details.populated_fractional_scaled_bytes,
        );
        assert_eq!(committed, populated, "nothing is compressed");
        let (committed, private, bytes, fraction) = committed;
        let scaled = Amount { bytes: bytes as u64, fraction };
        Self { committed: committed as u64, private: private as u64, scaled }
    }
}
