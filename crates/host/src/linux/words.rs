//! Words of mappings, loaded and stored by the processor itself, as any thread of a program would.
//!
//! 1. All of them lie in the reservation of this process's engine, where Rust puts nothing of its own. Whoever keeps
//!    memory of Rust in a mapping there answers for it, as with every call that changes mapped memory.
//! 2. Every access is a single atomic one: threads may race on a word, and none is ever seen half stored.
//! 3. Stores of one thread become visible in the order in which they are made.
//! 4. Nothing is caught: an access that the mapping does not allow is the signal that it is for every program.

use core::sync::atomic::{AtomicU64, Ordering};

use super::fork::{in_child, reservation};
use crate::addr::AddrRange;

/// A run of mapped words, of 8 bytes each.
#[derive(Debug)]
pub struct Words {
    range: AddrRange,
}

impl Words {
    /// Bytes in one.
    pub const BYTES: usize = size_of::<u64>();

    /// The words at these addresses. `None`: they are not the engine's, or no longer in a forked child.
    pub fn new(range: AddrRange) -> Option<Self> {
        (!in_child() && reservation()?.contains(range)).then_some(Self { range })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.range.len() as usize / Self::BYTES
    }

    /// Stores a word, after all that this thread has stored before.
    ///
    /// # Panics
    /// If there is no such word.
    pub fn store(&self, index: usize, word: u64) {
        self.at(index).store(word, Ordering::Release);
    }

    /// Loads a word.
    ///
    /// # Panics
    /// If there is no such word.
    pub fn load(&self, index: usize) -> u64 {
        self.at(index).load(Ordering::Acquire)
    }

    fn at(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count());
        let addr = self.range.addr() + index * Self::BYTES;
        // SAFETY:
        // 1. The address is aligned (a page's, and whole words) and in the reservation (`new`), which stays.
        // 2. No other reference is ever formed to this memory (1 above), and others access it atomically or from
        //    outside of Rust.
        // 3. Nothing is read or written by forming the reference. An access that faults does not return.
        unsafe { AtomicU64::from_ptr(core::ptr::with_exposed_provenance_mut(addr)) }
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::{Host, PAGE_SIZE, Prot, View};

    /// The only test of this crate that declares a reservation: there is one in a process.
    #[test]
    fn words_are_those_of_the_reservation_and_of_what_is_mapped_there() {
        let host = super::super::LinuxHost::new(crate::linux::Delivery::Thread).unwrap();
        let range = host.reserve(4 * PAGE_SIZE).unwrap();
        assert!(Words::new(range).is_none(), "no engine, no words");
        super::super::keep_from_children(range);
        let store = host.create_store().unwrap();
        let page = |index: u64| {
            let start = range.start() + index * PAGE_SIZE;
            AddrRange::from_bounds(start, start + PAGE_SIZE)
        };
        for index in [0, 2] {
            host.map(page(index), View::Store { store, at: 0, prot: Prot::READ | Prot::WRITE }).unwrap();
        }
        let [one, other] = [0, 2].map(|index| Words::new(page(index)).unwrap());
        assert_eq!(one.count(), 512);
        one.store(511, 0x0123_4567_89ab_cdef);
        assert_eq!((other.load(511), other.load(510)), (0x0123_4567_89ab_cdef, 0), "both show one page");
        assert!(Words::new(AddrRange::from_bounds(range.start(), range.end() + PAGE_SIZE)).is_none());
        let outside = std::panic::catch_unwind(|| one.load(512));
        assert!(outside.is_err(), "the next word is another's");
        host.release(range);
        host.close_store(store);
    }
}
