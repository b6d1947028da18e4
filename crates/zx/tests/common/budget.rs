//! A budget for one test, what the library and Linux say of memory, and a thread that answers for a pager.
//!
//! The budget is the whole process's, so the tests that set one go one after another: [`Alone`].

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use zxvm as zx;
use zxvm_syscall::Kernel;

use zx::{MemoryStats, MonotonicInstant, Packet, PacketContents, PagerOp, Status, UserPacket, Vmo, VmoOptions};

use super::P;
use super::family::PAGE;
use super::pager::{Asked, NEW, TRAP, TestPager, write_pages};

/// The least budget, in pages.
pub const LEAST: u64 = 64;

/// No other test that sets a budget runs while this lives; nothing that a pager provides is there before and after it.
pub struct Alone {
    _turn: MutexGuard<'static, ()>,
}

impl Alone {
    /// With a budget of so many pages.
    #[track_caller]
    pub fn with(pages: u64) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        set(Some(pages));
        Self { _turn: turn }
    }

    /// Without a limit.
    #[track_caller]
    pub fn unlimited() -> Self {
        let alone = Self::with(LEAST);
        set(None);
        alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        set(None);
        if !std::thread::panicking() {
            audit();
        }
    }
}

/// Sets the budget, in pages.
#[track_caller]
pub fn set(pages: Option<u64>) {
    assert_eq!(zx::set_memory_budget(pages.map(|pages| pages * PAGE)), Ok(()));
}

/// The books agree with each other and with Linux.
pub fn audit() {
    Kernel::current().unwrap().audit();
}

pub fn stats() -> MemoryStats {
    zx::memory_stats().unwrap()
}

/// Pages there, as far as the budget counts them. Never more than it.
#[track_caller]
pub fn resident() -> u64 {
    let stats = stats();
    assert!(stats.budget.is_none_or(|budget| stats.resident <= budget), "{stats:?}");
    stats.resident / PAGE
}

/// Pages said not to be needed, and always to be needed.
pub fn hinted() -> (u64, u64) {
    let stats = stats();
    (stats.need_not / PAGE, stats.need / PAGE)
}

/// Pages of memory that Linux has given to all VMOs of this process.
pub fn pages_in_memory() -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // The descriptor of the folder itself is gone by now.
        let Ok(target) = std::fs::read_link(&path) else { continue };
        if target.to_string_lossy().contains("memfd:zxvm") {
            bytes += std::fs::metadata(&path).unwrap().blocks() * 512;
        }
    }
    bytes / PAGE
}

/// Which of so many pages from `at` on have entries in Linux's page tables.
pub fn entries(at: usize, pages: usize) -> Vec<bool> {
    let mut words = vec![0; 8 * pages];
    File::open("/proc/self/pagemap").unwrap().read_exact_at(&mut words, (at / P * 8) as u64).unwrap();
    words.chunks(8).map(|word| word[7] >> 7 != 0).collect()
}

/// Memory full of pages that have to be saved: `pages` of a new VMO of `of` pages hold [`NEW`].
#[track_caller]
pub fn full_of_dirty(pager: &TestPager, options: VmoOptions, pages: Range<u64>, of: u64) -> Arc<Vmo> {
    let vmo = pager.vmo(options, of);
    for page in pages.clone() {
        pager.supply(&vmo, page..page + 1);
        if options.contains(TRAP) {
            pager.dirty(&vmo, page..page + 1);
        }
        write_pages(&vmo, page..page + 1).unwrap();
    }
    assert_eq!(stats().dirty, (pages.end - pages.start) * PAGE);
    assert_eq!(NEW, 0x77);
    vmo
}

/// A thread that answers what is asked for one VMO: it supplies and consents. Ends on drop.
pub struct Server {
    pager: Arc<TestPager>,
    asked: Arc<Mutex<Vec<Asked>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(pager: &Arc<TestPager>, vmo: &Arc<Vmo>) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (list, own, vmo) = (asked.clone(), pager.clone(), vmo.clone());
        let thread = std::thread::spawn(move || {
            loop {
                let packet = own.port.wait(MonotonicInstant::INFINITE).unwrap();
                let request = match packet.contents() {
                    PacketContents::Pager(_) => TestPager::asked_by(&packet),
                    PacketContents::User(_) => return,
                    other => panic!("neither from a VMO nor from us: {other:?}"),
                };
                // Whoever is let go by the answer can wait until it is over.
                let mut list = list.lock().unwrap();
                list.push(request.clone());
                match request {
                    // Where the VMO has shrunk or the pager let go nobody needs them any more.
                    Asked::Read(pages) => drop(own.try_supply(&vmo, pages)),
                    Asked::Dirty(pages) => {
                        let result = own.op(PagerOp::Dirty, &vmo, pages);
                        // NOT_FOUND: it went meanwhile. NO_MEMORY: there is no room, and it is asked for again.
                        let fine = [Status::OUT_OF_RANGE, Status::NOT_FOUND, Status::BAD_STATE, Status::NO_MEMORY];
                        assert!(result.is_ok() || fine.contains(&result.unwrap_err()), "{result:?}");
                    }
                    Asked::Complete => {}
                }
            }
        });
        Self { pager: pager.clone(), asked, thread: Some(thread) }
    }

    /// Waits until nothing is being answered.
    pub fn rest(&self) {
        drop(self.asked.lock().unwrap());
    }

    /// Waits until nothing is being answered. The pages that were to be read since this was called last, each as often as it was.
    pub fn reads(&self) -> Vec<u64> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked
            .into_iter()
            .filter_map(|asked| if let Asked::Read(pages) = asked { Some(pages) } else { None })
            .flatten()
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stop = Packet::from_user_packet(0, 0, UserPacket::from_u8_array([0; 32]));
        let sent = self.pager.port.queue(&stop);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(sent.is_ok() && matches!(ended, Some(Ok(()))), "{sent:?} {ended:?}");
        }
    }
}
