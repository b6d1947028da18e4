//! Which pages of mappings are in memory, by the kernel, whether the page table has entries for them or not.
//!
//! Looking changes nothing: no page comes in, none counts as used.

use std::io;

use super::sys::KeepErrno;
use crate::addr::{AddrRange, PAGE_SIZE};

/// Tells for each page of `range`, which must be mapped as a whole, whether it is in memory.
///
/// # Errors
/// The kernel's: a part is not mapped, there is no memory.
pub fn resident(range: AddrRange) -> io::Result<Vec<bool>> {
    let _errno = KeepErrno::new();
    let mut pages = vec![0_u8; (range.len() / PAGE_SIZE) as usize];
    // SAFETY: asks about addresses and touches none of them; writes one byte a page, as many as there are, to memory of ours.
    let failed = unsafe { libc::mincore(range.addr() as *mut _, range.len() as usize, pages.as_mut_ptr()) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    // The other bits mean nothing.
    Ok(pages.into_iter().map(|page| page & 1 == 1).collect())
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::linux::LinuxHost;
    use crate::{Host, Prot, View};

    #[test]
    fn a_page_is_there_from_its_first_use_until_it_is_freed_with_or_without_an_entry() {
        let host = LinuxHost::new(crate::linux::Delivery::Thread).unwrap();
        let range = host.reserve(4 * PAGE_SIZE).unwrap();
        assert_eq!(resident(range).unwrap(), [false; 4], "nothing is shown");
        let store = host.create_store().unwrap();
        host.map(range, View::Store { store, at: 0, prot: Prot::READ | Prot::WRITE }).unwrap();
        assert_eq!(resident(range).unwrap(), [false; 4]);
        let page = |index: u64, count: u64| {
            crate::addr::StoreRange::from_bounds(index * PAGE_SIZE, (index + count) * PAGE_SIZE)
        };
        host.commit(store, page(1, 2), None).unwrap();
        assert_eq!(resident(range).unwrap(), [false, true, true, false]);
        host.drop_entries(&[range]).unwrap();
        assert_eq!(resident(range).unwrap(), [false, true, true, false], "they are still there");
        host.punch(store, page(1, 1)).unwrap();
        assert_eq!(resident(range).unwrap(), [false, false, true, false]);
        host.release(range);
        host.close_store(store);
    }
}
