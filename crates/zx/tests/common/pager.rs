//! A pager that a test plays by hand, and threads that must not wait for ever.
//!
//! Page `n` of a VMO is supplied with [`byte_of`]`(n)` throughout. Every wait has an end, so a request that is lost is a failed
//! check.

use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use zxvm as zx;

use zx::{
    MonotonicDuration, MonotonicInstant, Packet, PacketContents, Pager, PagerOp, PagerOptions, PagerVmoStatsOptions,
    PagerWritebackBeginOptions, Port, Status, Vmo, VmoOp, VmoOptions, sys::zx_page_request_command_t as Command,
};

use super::P;
use super::family::PAGE;

/// After this long something that must happen has not.
const LONG: Duration = Duration::from_secs(30);

/// Long enough for a thread to get somewhere, if it can.
const SHORT: Duration = Duration::from_millis(30);

/// The key of VMOs, where there is one.
pub const KEY: u64 = 0x5eed;

/// Asked before pages become dirty.
pub const TRAP: VmoOptions = VmoOptions::TRAP_DIRTY;

/// Not asked.
pub const FREE: VmoOptions = VmoOptions::empty();

/// What a page is supplied with. Never zero.
pub fn byte_of(page: u64) -> u8 {
    (page % 255) as u8 + 1
}

/// What a pager is asked, in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Read(Range<u64>),
    Dirty(Range<u64>),
    Complete,
}

use Asked::{Complete, Dirty, Read};

/// A pager and the port that its requests come to.
pub struct TestPager {
    pub pager: Pager,
    pub port: Port,
}

impl TestPager {
    pub fn new() -> Self {
        Self { pager: Pager::create(PagerOptions::empty()).unwrap(), port: Port::create() }
    }

    /// A VMO of so many pages.
    pub fn vmo(&self, options: VmoOptions, pages: u64) -> Arc<Vmo> {
        self.vmo_with_key(options, pages, KEY)
    }

    pub fn vmo_with_key(&self, options: VmoOptions, pages: u64, key: u64) -> Arc<Vmo> {
        Arc::new(self.pager.create_vmo(options, &self.port, key, pages * PAGE).unwrap())
    }

    /// A VMO of so many pages, all of them supplied.
    pub fn full(&self, options: VmoOptions, pages: u64) -> Arc<Vmo> {
        let vmo = self.vmo(options, pages);
        self.supply(&vmo, 0..pages);
        vmo
    }

    /// The next packet, which must come.
    #[track_caller]
    pub fn next(&self) -> (u64, Asked) {
        let deadline = MonotonicInstant::after(MonotonicDuration::from(LONG));
        self.take(deadline).expect("nothing is asked")
    }

    #[track_caller]
    fn take(&self, deadline: MonotonicInstant) -> Result<(u64, Asked), Status> {
        let packet = self.port.wait(deadline)?;
        Ok((packet.key(), Self::asked_by(&packet)))
    }

    /// What a packet from a VMO asks.
    #[track_caller]
    pub fn asked_by(packet: &Packet) -> Asked {
        assert_eq!(packet.status(), 0);
        let PacketContents::Pager(request) = packet.contents() else { panic!("not from a VMO: {packet:?}") };
        let range = request.range();
        assert_eq!((range.start % PAGE, range.end % PAGE), (0, 0), "whole pages: {range:?}");
        let pages = range.start / PAGE..range.end / PAGE;
        let asked = match request.command() {
            Command::ZX_PAGER_VMO_READ => Read(pages),
            Command::ZX_PAGER_VMO_DIRTY => Dirty(pages),
            Command::ZX_PAGER_VMO_COMPLETE => {
                assert_eq!(range, 0..0);
                Complete
            }
        };
        if let Read(pages) | Dirty(pages) = &asked {
            assert!(pages.start < pages.end, "something is asked: {asked:?}");
        }
        asked
    }

    #[track_caller]
    pub fn expect(&self, asked: Asked) {
        assert_eq!(self.next(), (KEY, asked));
    }

    #[track_caller]
    pub fn expect_read(&self, pages: Range<u64>) {
        self.expect(Read(pages));
    }

    #[track_caller]
    pub fn expect_dirty(&self, pages: Range<u64>) {
        self.expect(Dirty(pages));
    }

    /// Nothing is in the port.
    #[track_caller]
    pub fn expect_nothing(&self) {
        assert_eq!(self.take(MonotonicInstant::INFINITE_PAST), Err(Status::TIMED_OUT));
    }

    /// A VMO of as many pages, with what the pages of `range` are supplied with.
    pub fn aux(range: &Range<u64>) -> Vmo {
        let aux = Vmo::create((range.end - range.start) * PAGE).unwrap();
        for page in range.clone() {
            aux.write(&[byte_of(page); P], (page - range.start) * PAGE).unwrap();
        }
        aux
    }

    #[track_caller]
    pub fn supply(&self, vmo: &Vmo, pages: Range<u64>) {
        assert_eq!(self.try_supply(vmo, pages), Ok(()));
    }

    pub fn try_supply(&self, vmo: &Vmo, pages: Range<u64>) -> Result<(), Status> {
        self.pager.supply_pages(vmo, bytes(&pages), &Self::aux(&pages), 0)
    }

    /// Supplies zeros without pages.
    #[track_caller]
    pub fn supply_zeros(&self, vmo: &Vmo, pages: Range<u64>) {
        let aux = Vmo::create((pages.end - pages.start) * PAGE).unwrap();
        assert_eq!(self.pager.supply_pages(vmo, bytes(&pages), &aux, 0), Ok(()));
    }

    #[track_caller]
    pub fn fail(&self, vmo: &Vmo, pages: Range<u64>, status: Status) {
        assert_eq!(self.op(PagerOp::Fail(status), vmo, pages), Ok(()));
    }

    #[track_caller]
    pub fn dirty(&self, vmo: &Vmo, pages: Range<u64>) {
        assert_eq!(self.op(PagerOp::Dirty, vmo, pages), Ok(()));
    }

    #[track_caller]
    pub fn begin(&self, vmo: &Vmo, pages: Range<u64>) {
        assert_eq!(self.op(BEGIN, vmo, pages), Ok(()));
    }

    #[track_caller]
    pub fn begin_zeros(&self, vmo: &Vmo, pages: Range<u64>) {
        assert_eq!(self.op(BEGIN_ZEROS, vmo, pages), Ok(()));
    }

    #[track_caller]
    pub fn end(&self, vmo: &Vmo, pages: Range<u64>) {
        assert_eq!(self.op(PagerOp::WritebackEnd, vmo, pages), Ok(()));
    }

    /// Saves what is dirty, all at once.
    #[track_caller]
    pub fn write_back(&self, vmo: &Vmo, pages: Range<u64>) {
        self.begin(vmo, pages.clone());
        self.end(vmo, pages);
    }

    pub fn op(&self, op: PagerOp, vmo: &Vmo, pages: Range<u64>) -> Result<(), Status> {
        self.pager.op_range(op, vmo, bytes(&pages))
    }

    /// What has to be saved: pages, and whether they are zero without pages.
    #[track_caller]
    pub fn dirty_in(&self, vmo: &Vmo, pages: Range<u64>) -> Vec<(Range<u64>, bool)> {
        let ranges = self.pager.query_dirty_ranges(vmo, bytes(&pages)).unwrap();
        ranges.iter().map(|dirty| (dirty.range.start / PAGE..dirty.range.end / PAGE, dirty.is_zero)).collect()
    }

    /// What has to be saved of all of it.
    #[track_caller]
    pub fn all_dirty(&self, vmo: &Vmo) -> Vec<(Range<u64>, bool)> {
        self.dirty_in(vmo, 0..pages_of(vmo))
    }

    /// The dirty pages that are there, and those that are zero.
    #[track_caller]
    pub fn dirty_pages(&self, vmo: &Vmo) -> (Vec<u64>, Vec<u64>) {
        let of = |zero| {
            let ranges = self.all_dirty(vmo);
            ranges.into_iter().filter(|dirty| dirty.1 == zero).flat_map(|dirty| dirty.0).collect()
        };
        (of(false), of(true))
    }

    /// Whether it was modified.
    #[track_caller]
    pub fn modified(&self, vmo: &Vmo) -> bool {
        self.pager.query_vmo_stats(vmo, PagerVmoStatsOptions::empty()).unwrap().modified
    }

    /// Whether it was modified, for the last time.
    #[track_caller]
    pub fn forget_modified(&self, vmo: &Vmo) -> bool {
        self.pager.query_vmo_stats(vmo, PagerVmoStatsOptions::RESET).unwrap().modified
    }
}

/// Writeback of all that is dirty.
pub const BEGIN: PagerOp = PagerOp::WritebackBegin(PagerWritebackBeginOptions::empty());

/// Writeback of what is zero without pages.
pub const BEGIN_ZEROS: PagerOp = PagerOp::WritebackBegin(PagerWritebackBeginOptions::DIRTY_RANGE_IS_ZERO);

/// Pages in bytes.
pub fn bytes(pages: &Range<u64>) -> Range<u64> {
    pages.start * PAGE..pages.end * PAGE
}

pub fn pages_of(vmo: &Vmo) -> u64 {
    vmo.get_size().unwrap() / PAGE
}

pub fn committed(vmo: &Vmo) -> u64 {
    vmo.info().unwrap().committed_bytes / PAGE
}

/// One byte of a page, by a call.
pub fn read_page(vmo: &Vmo, page: u64) -> Result<u8, Status> {
    vmo.read_to_object(page * PAGE + PAGE / 2)
}

/// One byte of each page, by a call.
pub fn read_pages(vmo: &Vmo, pages: Range<u64>) -> Result<Vec<u8>, Status> {
    let bytes = vmo.read_to_vec::<u8>(pages.start * PAGE, (pages.end - pages.start) * PAGE)?;
    Ok(bytes.chunks(P).map(|page| page[P / 2]).collect())
}

/// Fills pages with 0x77, by a call.
pub fn write_pages(vmo: &Vmo, pages: Range<u64>) -> Result<(), Status> {
    vmo.write(&vec![NEW; (pages.end - pages.start) as usize * P], pages.start * PAGE)
}

/// What [`write_pages`] writes.
pub const NEW: u8 = 0x77;

pub fn op(vmo: &Vmo, op: VmoOp, pages: Range<u64>) -> Result<(), Status> {
    vmo.op_range(op, pages.start * PAGE, (pages.end - pages.start) * PAGE)
}

/// Something that another thread does.
pub struct Task<T> {
    result: Receiver<T>,
}

/// Does it in another thread.
pub fn task<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let (send, result) = channel();
    thread::spawn(move || {
        // Nobody may be left to be told: the test has failed then.
        let _ = send.send(act());
    });
    Task { result }
}

/// The same with a VMO.
pub fn with<T: Send + 'static>(vmo: &Arc<Vmo>, act: impl FnOnce(&Vmo) -> T + Send + 'static) -> Task<T> {
    let vmo = vmo.clone();
    task(move || act(&vmo))
}

/// Does it in so many threads, which start together.
pub fn crowd<T: Send + 'static>(count: usize, act: impl Fn(usize) -> T + Clone + Send + 'static) -> Vec<Task<T>> {
    let start = Arc::new(Barrier::new(count));
    let one = |number| {
        let (start, act) = (start.clone(), act.clone());
        task(move || {
            start.wait();
            act(number)
        })
    };
    (0..count).map(one).collect()
}

impl<T> Task<T> {
    /// What came of it. It must end.
    #[track_caller]
    pub fn end(self) -> T {
        match self.result.recv_timeout(LONG) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => panic!("it waits for ever"),
            Err(RecvTimeoutError::Disconnected) => panic!("it panicked"),
        }
    }

    /// It has not ended, and does not soon.
    #[track_caller]
    pub fn waits(&self)
    where
        T: std::fmt::Debug,
    {
        let ended = self.result.recv_timeout(SHORT);
        assert!(matches!(ended, Err(RecvTimeoutError::Timeout)), "it does not wait: {ended:?}");
    }
}
