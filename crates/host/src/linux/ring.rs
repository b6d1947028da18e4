//! An io_uring of our own: a batch of positioned reads and writes, all under way at once.
//!
//! 1. [`Ring::run`] returns, or unwinds, only when the kernel is done with every buffer of the batch (`UnderWay`). So buffers
//!    need no more than to be borrowed for the call, and callers need no `unsafe`.
//! 2. What a transfer comes to is its own: an error of one does not touch the others. What goes wrong with the ring itself is
//!    told for the batch as a whole, of which some may have been done by then: all of it can be done again.
//! 3. A ring belongs to the process that made it. `exec` closes it; a forked child has a descriptor and no queues, is refused,
//!    and gives back nothing that is not its own.
//!
//! What the kernel and we share is in `queues`, why there may be no ring in `refusal`.

mod queues;
mod refusal;
#[cfg(all(test, not(miri)))]
mod tests;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::thread;

use rustix::io::Errno;

use queues::{Completion, Entry, Queues};
pub use refusal::{NoRing, without_rings};

/// A ring. One batch at a time.
#[derive(Debug)]
pub struct Ring {
    queues: Queues,
    /// The process that made it.
    owner: u32,
}

/// One positioned transfer. `at` is in bytes, from the start of the file.
#[derive(Debug)]
pub enum Transfer<'a> {
    /// From the file to the buffer, as far as the file goes.
    Read {
        /// The file.
        file: BorrowedFd<'a>,
        /// From where on.
        at: u64,
        /// Where to.
        to: &'a mut [u8],
    },
    /// From the buffer to the file, all of it.
    Write {
        /// The file.
        file: BorrowedFd<'a>,
        /// Where to.
        at: u64,
        /// What.
        from: &'a [u8],
    },
}

impl Ring {
    /// One with room for `depth` transfers under way at once, rounded up to a power of two. A batch may be longer. It takes a
    /// descriptor and some 100 bytes a transfer.
    ///
    /// # Errors
    /// The kernel lets this process have none.
    pub fn new(depth: u32) -> Result<Self, NoRing> {
        let queues = Queues::new(depth).map_err(NoRing::of)?;
        // Who may set one up may still not be let in.
        queues.enter(0).map_err(NoRing::of)?;
        Ok(Self { queues, owner: std::process::id() })
    }

    /// Does all of the batch, in any order, and says of each transfer how many bytes it moved. A read moves less than its buffer
    /// holds at the end of the file only. Transfers of a batch must not depend on each other.
    ///
    /// An error of one is what `pread` and `pwrite` would give; `EINVAL` also for a place that no file has (from 2^63 on).
    ///
    /// # Errors
    /// The ring cannot be used any more; nothing is under way. Some transfers may have been made, wholly or in part.
    pub fn run(&mut self, transfers: &mut [Transfer<'_>]) -> Result<Vec<io::Result<usize>>, NoRing> {
        if self.owner != std::process::id() {
            return Err(NoRing::Forked);
        }
        let mut batch = Batch::new(transfers);
        let under_way = UnderWay(&mut self.queues);
        loop {
            while under_way.0.has_room()
                && let Some((index, entry)) = batch.next()
            {
                // SAFETY: the memory of a transfer is borrowed for the whole call, and nobody touches it meanwhile: `batch` has
                // addresses only. `under_way` ends, whichever way it ends, after the kernel is done with it.
                unsafe { under_way.0.push(Entry { user_data: index as u64, ..entry }) };
            }
            let open = under_way.0.open();
            if open == 0 {
                return Ok(batch.results());
            }
            // While there is more to hand over, the device need not run dry.
            let wanted = if batch.waiting.is_empty() { open } else { open.div_ceil(2) };
            match under_way.0.enter(wanted) {
                Ok(()) | Err(Errno::INTR) => {}
                // No memory for more at once.
                Err(Errno::AGAIN | Errno::BUSY) if under_way.0.in_flight() > 0 => thread::yield_now(),
                Err(errno) => return Err(NoRing::of(errno)),
            }
            while let Some(completion) = under_way.0.pop() {
                batch.over(&completion);
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            // At those addresses the child may have something else by now.
            self.queues.forget();
        }
    }
}

/// What was handed to the kernel. Ends when nothing of it is left.
struct UnderWay<'q>(&'q mut Queues);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.take_back();
        while self.0.in_flight() > 0 {
            if self.0.enter(self.0.in_flight()).is_err() {
                // Results come in without that, if later: on the way back from any call.
                thread::yield_now();
            }
            while self.0.pop().is_some() {}
        }
    }
}

/// What one entry moves at most; the kernel moves no more than this, less a page.
const MOVE_MAX: usize = 1 << 30;

/// How often a transfer is made again that the kernel had no room for.
const TRIES: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

/// A transfer, as far as it has come. Its buffer is a number here.
#[derive(Debug)]
struct Job {
    way: Way,
    file: RawFd,
    at: u64,
    addr: usize,
    len: usize,
    done: usize,
    tries_left: u32,
    error: Option<io::Error>,
}

impl Job {
    fn new(transfer: &mut Transfer<'_>) -> Self {
        let (way, file, at, addr, len) = match transfer {
            Transfer::Read { file, at, to } => (Way::Read, file, *at, to.as_mut_ptr().expose_provenance(), to.len()),
            Transfer::Write { file, at, from } => {
                (Way::Write, file, *at, from.as_ptr().expose_provenance(), from.len())
            }
        };
        // To the kernel the highest number would be the file's own position.
        let is_place = at.checked_add(len as u64).is_some_and(|end| i64::try_from(end).is_ok());
        let error = (!is_place).then(|| Errno::INVAL.into());
        Self { way, file: file.as_raw_fd(), at, addr, len, done: 0, tries_left: TRIES, error }
    }

    /// What of it is still to be done.
    fn entry(&self) -> Entry {
        let opcode = match self.way {
            Way::Read => Entry::READ,
            Way::Write => Entry::WRITE,
        };
        Entry {
            opcode,
            fd: self.file,
            off: self.at + self.done as u64,
            addr: (self.addr + self.done) as u64,
            len: (self.len - self.done).min(MOVE_MAX) as u32,
            ..Entry::default()
        }
    }

    /// Takes down what an entry of it came to. Whether it goes on.
    fn goes_on(&mut self, result: i32) -> bool {
        let error = match usize::try_from(result) {
            Ok(0) => match self.way {
                Way::Read => return false,
                Way::Write => ErrorKind::WriteZero.into(),
            },
            Ok(moved) => {
                self.done = self.len.min(self.done + moved);
                return self.done < self.len;
            }
            Err(_) => match Errno::from_raw_os_error(result.wrapping_neg()) {
                Errno::INTR => return true,
                Errno::AGAIN if self.tries_left > 0 => {
                    self.tries_left -= 1;
                    return true;
                }
                // With O_DIRECT there is no going on from within a block: the file ends there.
                Errno::INVAL if self.way == Way::Read && self.done > 0 => return false,
                errno => errno.into(),
            },
        };
        self.error = Some(error);
        false
    }
}

struct Batch {
    jobs: Vec<Job>,
    /// Those with something left to hand over.
    waiting: VecDeque<usize>,
}

impl Batch {
    fn new(transfers: &mut [Transfer<'_>]) -> Self {
        let jobs: Vec<_> = transfers.iter_mut().map(Job::new).collect();
        let waiting = (0..jobs.len()).filter(|&index| jobs[index].error.is_none() && jobs[index].len > 0).collect();
        Self { jobs, waiting }
    }

    fn next(&mut self) -> Option<(usize, Entry)> {
        let index = self.waiting.pop_front()?;
        Some((index, self.jobs[index].entry()))
    }

    fn over(&mut self, completion: &Completion) {
        let index = completion.user_data as usize;
        if self.jobs[index].goes_on(completion.res) {
            self.waiting.push_back(index);
        }
    }

    fn results(self) -> Vec<io::Result<usize>> {
        self.jobs.into_iter().map(|job| job.error.map_or(Ok(job.done), Err)).collect()
    }
}
