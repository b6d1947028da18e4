//! Rings for whoever needs one just now.
//!
//! 1. A ring is with one caller at a time, so that nobody waits for another's transfers. There are as many as there ever were
//!    callers at once.
//! 2. Whatever a ring cannot do is done again in the ordinary way, by the caller, as a whole: an error that counts is the file's.
//! 3. A refusal that is final is remembered. After any other, the next who needs a ring tries again.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zxvm_host::linux::ring::{NoRing, Ring, Transfer};

/// Transfers of one ring under way at once.
const DEPTH: u32 = 64;

/// Bytes of a part of a read.
pub const PART: usize = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Rings {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Ring>,
    why_not: Option<NoRing>,
}

impl Rings {
    /// Tries whether there are any.
    pub fn new() -> Self {
        let rings = Self::default();
        if let Some(ring) = rings.take() {
            rings.state().idle.push(ring);
        }
        rings
    }

    /// Why the last try to have one, or to use one, failed. Nothing: it went well.
    pub fn why_not(&self) -> Option<NoRing> {
        self.state().why_not
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Ring> {
        let mut state = self.state();
        if let Some(ring) = state.idle.pop() {
            return Some(ring);
        }
        if state.why_not.is_some_and(NoRing::is_final) {
            return None;
        }
        let made = Ring::new(DEPTH);
        state.why_not = made.as_ref().err().copied();
        made.ok()
    }

    fn run(&self, batch: &mut [Transfer<'_>]) -> Option<Vec<io::Result<usize>>> {
        let mut ring = self.take()?;
        match ring.run(batch) {
            Ok(results) => {
                self.state().idle.push(ring);
                Some(results)
            }
            Err(why) => {
                let mut state = self.state();
                // Those that lie there are refused as well.
                state.idle.clear();
                state.why_not = Some(why);
                None
            }
        }
    }

    /// Reads in parts, all at once. How many bytes there are up to the end of the file. Nothing: it is to be read otherwise, because
    /// it is one part only, or this has failed.
    pub fn read(&self, file: BorrowedFd<'_>, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        if buffer.len() <= PART {
            return None;
        }
        let places = (offset..).step_by(PART);
        let mut batch: Vec<_> =
            buffer.chunks_mut(PART).zip(places).map(|(to, at)| Transfer::Read { file, at, to }).collect();
        let results = self.run(&mut batch)?;
        let mut filled = 0;
        for (result, transfer) in results.into_iter().zip(batch) {
            let Transfer::Read { to, .. } = transfer else { unreachable!("nothing else is in it") };
            let count = result.ok()?;
            filled += count;
            if count < to.len() {
                break;
            }
        }
        Some(filled)
    }

    /// Writes all pieces at once. Whether they are written; if not, any of them may be.
    pub fn write(&self, file: BorrowedFd<'_>, pieces: &[(u64, &[u8])]) -> bool {
        let mut batch: Vec<_> = pieces.iter().map(|&(at, from)| Transfer::Write { file, at, from }).collect();
        let results = self.run(&mut batch);
        results.is_some_and(|results| results.iter().all(Result::is_ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;
    use zxvm_host::linux::ring::without_rings;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn reads_of_several_parts_end_with_the_file() {
        let rings = Rings::new();
        let content: Vec<u8> = (0..3 * PART + 1000).map(|at| (at / 7) as u8).collect();
        let file = file(&content);
        let mut buffer = vec![0; 5 * PART];
        for (offset, len) in [(0, 2 * PART), (10, 3 * PART + 1), (PART, 5 * PART), (content.len(), 2 * PART)] {
            let expected = &content[offset..content.len().min(offset + len)];
            let count = rings.read(file.as_fd(), offset as u64, &mut buffer[..len]);
            match rings.why_not() {
                None => assert_eq!(count, Some(expected.len()), "{len} at {offset}"),
                Some(_) => assert_eq!(count, None),
            }
            assert!(buffer[..count.unwrap_or(0)] == expected[..count.unwrap_or(0)], "{len} at {offset}");
        }
        assert_eq!(rings.read(file.as_fd(), 0, &mut buffer[..PART]), None, "one part needs no ring");
    }

    #[test]
    fn an_error_leaves_all_of_it_to_the_caller() {
        let rings = Rings::new();
        let good = file(&[0; 100]);
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(!rings.write(full.as_fd(), &[(0, b"a"), (1, b"b")]));
        assert_eq!(rings.write(good.as_fd(), &[(0, b"a"), (99, b"bc")]), rings.why_not().is_none());
        assert_eq!(rings.read(full.as_fd(), 0, &mut vec![0; 2 * PART]), None, "it is not open for that");
    }

    /// The filter comes when there is a ring already.
    #[test]
    fn who_is_refused_later_is_told_and_asks_no_more() {
        let rings = Rings::new();
        let file = file(&[7; 3 * PART]);
        let mut buffer = vec![0; 3 * PART];
        without_rings(|| assert_eq!(rings.read(file.as_fd(), 0, &mut buffer), None));
        assert!(rings.why_not().is_some_and(NoRing::is_final));
        assert!(rings.state().idle.is_empty());
        assert!(!rings.write(file.as_fd(), &[(0, b"a"), (5, b"b")]));
        let mut start = [0; 6];
        file.read_exact_at(&mut start, 0).unwrap();
        assert_eq!(start, [7; 6]);
    }

    #[test]
    fn callers_at_once_have_a_ring_each_and_leave_them_for_others() {
        let rings = Rings::new();
        let file = file(&[7; 2 * PART]);
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            let mut buffer = vec![0; 2 * PART];
                            let count = rings.read(file.as_fd(), 0, &mut buffer);
                            assert_eq!(count, rings.why_not().is_none().then_some(2 * PART));
                            assert!(buffer.iter().all(|byte| *byte == if count.is_some() { 7 } else { 0 }));
                        }
                    });
                }
            });
        }
        let idle = rings.state().idle.len();
        assert!(if rings.why_not().is_none() { (1..=4).contains(&idle) } else { idle == 0 }, "{idle}");
    }
}
