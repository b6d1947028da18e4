//! Pagers that are ready to use: a VMO whose pages come from a file, from anything that reads and seeks, from a closure or,
//! with the feature `tokio`, from futures, and go back there when asked.
//!
//! ```
//! use zxvm as zx;
//! use zxvm_pagers::FilePager;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut file = tempfile::tempfile()?;
//! # std::io::Write::write_all(&mut file, b"what is in the file")?;
//! let pager = FilePager::new(file)?;
//! let vmo = pager.vmo()?;
//! assert_eq!(vmo.read_to_vec::<u8>(0, 7)?, b"what is");
//! vmo.write(b"WHAT", 0)?;
//! assert_eq!(pager.writeback()?.bytes, 19);
//! # let mut start = [0; 7];
//! # std::os::unix::fs::FileExt::read_exact_at(pager.backing(), &mut start, 0)?;
//! # assert_eq!(&start, b"WHAT is");
//! # Ok(())
//! # }
//! ```
//!
//! 1. [`Backing`] is where the bytes are: positioned reads and writes, which may fail, take long, or panic.
//! 2. [`FilePager`] has threads that wait for requests, read ahead as accesses turn out to be in order (`ahead`), and supply.
//! 3. A request is always answered: supplied, or failed with its own range. What was only read ahead never fails anybody.
//! 4. What is supplied is never older than what was written back: a page becomes clean only once no read of it is under way
//!    that began before its write was done (`reads`).
//! 5. A page is clean only after the backing has said that its content is durable. An error leaves it dirty, and reaches
//!    whoever asked for the writeback.
//! 6. What lies past the end of the backing, in the last page and beyond, reads as zero and is not written back.
//!
//! 7. Where memory is limited ([`zxvm::set_memory_budget`]) pagers write back by themselves while the engine asks for it (`pressure`),
//!    so that nobody waits for room longer than for the disk, and read ahead a small part of the limit at most.
//!
//! `O_DIRECT` is offered by [`DirectFile`], io_uring by [`RingFile`]; the two go together as far as Linux allows either. Whoever may
//! have no ring is served without one, and can ask why ([`NoRing`]).
#![forbid(unsafe_code)]

mod ahead;
#[cfg(feature = "tokio")]
mod async_pager;
mod backing;
mod buffer;
mod checksum;
mod core;
mod direct;
mod errors;
mod file_pager;
mod in_place;
mod journal;
mod pressure;
mod reads;
mod ring_file;
mod rings;
mod stats;
mod writeback;

#[cfg(feature = "tokio")]
pub use async_pager::{AsyncBacking, AsyncPager};
pub use backing::{Backing, FnBacking, SeekBacking, SeekReader, from_fn};
pub use checksum::checksum;
pub use direct::DirectFile;
pub use file_pager::{FilePager, PagerBuilder};
pub use journal::{Journaled, Recovered};
pub use ring_file::RingFile;
pub use stats::Stats;
pub use writeback::Written;
pub use zxvm_host::linux::ring::NoRing;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
