//! [`FilePager`]: threads that answer what a VMO asks for from a [`Backing`].

use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use zxvm::sys::zx_page_request_command_t::{ZX_PAGER_VMO_COMPLETE, ZX_PAGER_VMO_DIRTY, ZX_PAGER_VMO_READ};
use zxvm::{MonotonicInstant, Packet, PacketContents, Status, UserPacket, Vmo, VmoOp};

use crate::PAGE_SIZE;
use crate::backing::Backing;
use crate::core::{Aux, Config, Core, Lengths};
use crate::errors::{guarded, status_of};
use crate::in_place::Reader;
use crate::pressure::{Alarm, Outcome, Pause};
use crate::reads::Ticket;
use crate::stats::{Counters, Stats, add};
use crate::writeback::{Batch, Progress, Written};

/// How a [`FilePager`] is to be.
#[derive(Debug, Clone)]
pub struct PagerBuilder {
    threads: usize,
    read_ahead_pages: u64,
    resizable: bool,
    dirty_limit: Option<u64>,
    sync_every: u64,
    writeback_every: Option<Duration>,
    ignores_pressure: bool,
    in_place: bool,
}

impl Default for PagerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PagerBuilder {
    /// Two threads, windows of up to 512 pages, no limit on what is dirty, one sync a writeback, nothing in the background but when
    /// memory is limited and room is wanted.
    pub fn new() -> Self {
        Self {
            threads: 2,
            read_ahead_pages: 512,
            resizable: false,
            dirty_limit: None,
            sync_every: u64::MAX,
            writeback_every: None,
            ignores_pressure: false,
            in_place: false,
        }
    }

    /// How many threads answer requests, and so how many reads of the backing there are at once at most.
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = threads.get();
        self
    }

    /// How many pages are read at once at most, when requests are in order. 1: only what is asked for.
    pub fn read_ahead(mut self, pages: NonZero<u32>) -> Self {
        self.read_ahead_pages = pages.get().into();
        self
    }

    /// The VMO can be resized, by [`FilePager::set_len`].
    pub fn resizable(mut self) -> Self {
        self.resizable = true;
        self
    }

    /// When about so many bytes are dirty, whoever wants to make more dirty waits until they are written back; if that fails,
    /// so does the write. A page's first store then costs a question to the pager.
    pub fn dirty_limit(mut self, bytes: u64) -> Self {
        self.dirty_limit = Some(bytes);
        self
    }

    /// Makes what is written durable after about so many bytes, not only at the end: an error later spoils less.
    pub fn sync_every(mut self, bytes: NonZero<u64>) -> Self {
        self.sync_every = bytes.get();
        self
    }

    /// Writes back in the background, so often. Errors are told by [`FilePager::background_error`].
    pub fn writeback_every(mut self, period: Duration) -> Self {
        self.writeback_every = Some(period);
        self
    }

    /// Leaves it to the program to write back when [room is wanted](zxvm::writeback_event): for those whose pages may not be read at
    /// any time. Whoever waits for room then waits for the program.
    pub fn ignore_pressure(mut self) -> Self {
        self.ignores_pressure = true;
        self
    }

    /// The backing is read by the threads that need its pages, not by threads of the pager: see
    /// [`create_vmo_in_place`](zxvm::Pager::create_vmo_in_place) for which those are and what they must not hold. A page then takes no change
    /// of thread. Not for what can be resized or has a limit on what is dirty.
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Makes the pager.
    ///
    /// # Errors
    /// `InvalidInput`: in place, and it can be resized or has a limit on what is dirty. The backing does not say how long it is; no VMO
    /// with a pager can be had (a [`Status`] is inside); no threads.
    pub fn open<B: Backing>(self, backing: B) -> io::Result<FilePager<B>> {
        if self.in_place && (self.resizable || self.dirty_limit.is_some()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let len = guarded(|| backing.len())?;
        let (backing, counters) = (Arc::new(backing), Arc::<Counters>::default());
        let config = Config {
            window: self.read_ahead_pages * PAGE_SIZE,
            resizable: self.resizable,
            trap_dirty: self.dirty_limit.is_some(),
            writable: backing.is_writable(),
        };
        let heeds_pressure = config.writable && !self.ignores_pressure;
        let shared = Arc::new(Shared {
            core: Core::new(len, config, counters.clone(), |pager, options, port| {
                if self.in_place {
                    let reader = Reader::new(backing.clone(), counters, len, config.window);
                    pager.create_vmo_in_place(options, len, reader)
                } else {
                    pager.create_vmo(options, port, 0, len)
                }
            })?,
            backing,
            dirty_limit: self.dirty_limit,
            dirtied: AtomicU64::new(0),
            sync_every: self.sync_every,
            writing: Mutex::new(()),
            resizing: AtomicBool::new(false),
            background: Mutex::new(Background { stop: false, error: None }),
            wake_background: Condvar::new(),
            alarm: heeds_pressure.then(Alarm::new).transpose()?,
        });
        // From here on, dropping it ends the threads that there are.
        let mut pager = FilePager { shared, threads: Vec::new() };
        for _ in 0..if self.in_place { 0 } else { self.threads } {
            let (shared, aux) = (pager.shared.clone(), Aux::new(config.window)?);
            pager.threads.push(thread::Builder::new().name("pager".to_owned()).spawn(move || shared.work(aux))?);
        }
        if let Some(period) = self.writeback_every {
            let shared = pager.shared.clone();
            let body = move || shared.write_back_every(period);
            pager.threads.push(thread::Builder::new().name("pager writeback".to_owned()).spawn(body)?);
        }
        if heeds_pressure {
            let shared = pager.shared.clone();
            pager.threads.push(
                thread::Builder::new()
                    .name("pager pressure".to_owned())
                    .spawn(move || shared.write_back_under_pressure())?,
            );
        }
        Ok(pager)
    }
}

/// A VMO with the content of a [`Backing`], and the threads that bring it in.
///
/// Dropping it ends that: who waits fails with `BAD_STATE`, and so does whoever wants what is not there (through a mapping, by a
/// signal). What is there stays. Reads and writebacks under way are waited for. Nothing is written back; [`close`](Self::close) does.
pub struct FilePager<B: Backing> {
    shared: Arc<Shared<B>>,
    threads: Vec<JoinHandle<()>>,
}

/// Somebody changes the length.
struct Resizing<'a>(&'a AtomicBool);

impl<'a> Resizing<'a> {
    fn new(resizing: &'a AtomicBool) -> Self {
        resizing.store(true, Ordering::Release);
        Self(resizing)
    }
}

impl Drop for Resizing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

struct Background {
    stop: bool,
    error: Option<io::Error>,
}

struct Shared<B> {
    core: Core,
    backing: Arc<B>,
    dirty_limit: Option<u64>,
    /// Bytes let become dirty since the last writeback, and what that left.
    dirtied: AtomicU64,
    sync_every: u64,
    /// One writeback, or change of length, at a time. Who holds it waits for nothing that needs a page to become dirty, or room.
    writing: Mutex<()>,
    /// Whether who holds it changes the length, for which consent may be needed once more.
    resizing: AtomicBool,
    background: Mutex<Background>,
    wake_background: Condvar,
    /// Tells when room is wanted.
    alarm: Option<Alarm>,
}

impl<B: Backing> FilePager<B> {
    /// A pager as [`PagerBuilder::new`] has it.
    ///
    /// # Errors
    /// As [`PagerBuilder::open`].
    pub fn new(backing: B) -> io::Result<Self> {
        PagerBuilder::new().open(backing)
    }

    /// A handle to the VMO, which has as many bytes as the backing, rounded up to whole pages. It has no right to resize, nor
    /// to write if the backing cannot be written to.
    ///
    /// # Errors
    /// `NO_MEMORY`.
    pub fn vmo(&self) -> Result<Vmo, Status> {
        self.shared.core.handle()
    }

    /// Where the bytes come from.
    pub fn backing(&self) -> &B {
        &self.shared.backing
    }

    /// Where the content ends, in bytes.
    pub fn len(&self) -> u64 {
        self.shared.core.lengths().now
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the content at `len`, and the VMO at whole pages. What is cut off is gone; what is added is zero. The backing follows
    /// at the next writeback.
    ///
    /// # Errors
    /// Not [`resizable`](PagerBuilder::resizable) (`UNAVAILABLE` is inside); the end of the content cannot be read.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.shared.set_len(len)
    }

    /// Writes back all that was dirty when it was called, lowest first (small pieces [together](Backing::write_many)), and makes it
    /// durable.
    ///
    /// # Errors
    /// The first of the backing. What was not durable before it stays dirty; calling again writes it again.
    pub fn writeback(&self) -> io::Result<Written> {
        self.shared.writeback()
    }

    /// What has to be written back, in bytes, lowest first.
    ///
    /// # Errors
    /// `NO_MEMORY`.
    pub fn dirty_ranges(&self) -> Result<Vec<Range<u64>>, Status> {
        self.shared.core.dirty_ranges()
    }

    /// Bytes that have to be written back.
    ///
    /// # Errors
    /// `NO_MEMORY`.
    pub fn dirty_bytes(&self) -> Result<u64, Status> {
        self.shared.core.dirty_bytes()
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.core.counters.stats()
    }

    /// The latest error of a writeback that nobody called, once. What it was about is still dirty.
    pub fn background_error(&self) -> Option<io::Error> {
        self.shared.background().error.take()
    }

    /// Writes back all that is dirty and ends the pager.
    ///
    /// # Errors
    /// As [`writeback`](Self::writeback); the pager comes back, and is as it was.
    pub fn close(self) -> Result<Written, (io::Error, Self)> {
        match self.writeback() {
            Ok(written) => Ok(written),
            Err(error) => Err((error, self)),
        }
    }
}

impl<B: Backing> Drop for FilePager<B> {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.core.close();
        shared.background().stop = true;
        if let Some(alarm) = &shared.alarm {
            alarm.stop();
        }
        shared.wake_background.notify_all();
        // One is enough: each thread hands it on.
        let stop = Packet::from_user_packet(0, 0, UserPacket::default());
        if shared.core.port.queue(&stop).is_ok() {
            for thread in self.threads.drain(..) {
                // One that panicked has said so.
                let _ = thread.join();
            }
        }
    }
}

impl<B: Backing> Shared<B> {
    fn background(&self) -> MutexGuard<'_, Background> {
        self.background.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for who answers a thread that may be changing the length: then there is none.
    fn writing_unless_resizing(&self) -> Option<MutexGuard<'_, ()>> {
        loop {
            match self.writing.try_lock() {
                Ok(writing) => return Some(writing),
                Err(TryLockError::Poisoned(writing)) => return Some(writing.into_inner()),
                Err(TryLockError::WouldBlock) if self.resizing.load(Ordering::Acquire) => return None,
                // A writeback is under way, and ends.
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_micros(100)),
            }
        }
    }

    /// A thread that answers.
    fn work(&self, mut aux: Aux) {
        while let Ok(packet) = self.core.port.wait(MonotonicInstant::INFINITE) {
            match packet.contents() {
                PacketContents::Pager(request) => match request.command() {
                    ZX_PAGER_VMO_READ => self.answer(&mut aux, &request.range()),
                    ZX_PAGER_VMO_DIRTY => self.let_dirty(request.range()),
                    ZX_PAGER_VMO_COMPLETE => {}
                },
                PacketContents::User(_) => {
                    // There was room for it a moment ago.
                    let _ = self.core.port.queue(&packet);
                    return;
                }
                _ => unreachable!("nothing else was asked for"),
            }
        }
    }

    fn answer(&self, aux: &mut Aux, asked: &Range<u64>) {
        add(&self.core.counters.requests, 1);
        let work = self.core.plan(asked);
        if let Some(ticket) = work.now {
            self.bring(aux, ticket, Some(asked.clone()));
        }
        if let Some(ticket) = work.behind {
            self.bring(aux, ticket, None);
        }
    }

    /// Reads and supplies. On an error those who asked for some of it are answered one by one, each with its own range.
    fn bring(&self, aux: &mut Aux, ticket: Ticket, asked: Option<Range<u64>>) {
        let range = ticket.range.clone();
        let result = self.read(aux, &ticket, asked.as_ref());
        let joined = self.core.reads.end(ticket);
        let Err((from, error)) = result else { return };
        for wanted in asked.into_iter().chain(joined) {
            let left = wanted.start.max(from)..wanted.end;
            if left.is_empty() {
                continue;
            }
            if left == (from..range.end) {
                self.core.fail(left, status_of(&error));
            } else {
                self.bring_exactly(aux, left);
            }
        }
    }

    /// Reads and supplies what is asked for and nothing else, or fails it.
    fn bring_exactly(&self, aux: &mut Aux, range: Range<u64>) {
        let ticket = self.core.reads.exactly(range.clone());
        let result = self.read(aux, &ticket, Some(&range));
        // Who joined is inside the range, and so was supplied or fails with it.
        drop(self.core.reads.end(ticket));
        if let Err((from, error)) = result {
            self.core.fail(from..range.end, status_of(&error));
        }
    }

    /// On an error also from where on nothing was supplied.
    fn read(&self, aux: &mut Aux, ticket: &Ticket, asked: Option<&Range<u64>>) -> Result<(), (u64, io::Error)> {
        let Range { mut start, end } = ticket.range;
        while start < end {
            let chunk = start..end.min(start + self.core.config.window);
            let len = chunk.end - chunk.start;
            let filled = self.fill(aux, chunk.start, len).map_err(|error| (start, error))?;
            self.core.reads.supplying(ticket, chunk.end);
            // Before whoever waits can look.
            let wanted = asked.map_or(0, |asked| asked.end.min(chunk.end).saturating_sub(asked.start.max(chunk.start)));
            add(&self.core.counters.pages_asked, wanted / PAGE_SIZE);
            add(&self.core.counters.pages_ahead, (len - wanted) / PAGE_SIZE);
            self.core
                .supply(&aux.vmo, &aux.buffer.bytes()[..filled], &chunk)
                .map_err(|status| (start, status.into()))?;
            start = chunk.end;
        }
        Ok(())
    }

    /// Reads to the buffer. How many bytes are the backing's.
    fn fill(&self, aux: &mut Aux, start: u64, len: u64) -> io::Result<usize> {
        // Past the end it may still have what was cut off.
        let content = self.core.lengths().now.saturating_sub(start).min(len);
        if content == 0 {
            return Ok(0);
        }
        add(&self.core.counters.reads, 1);
        let whole = content.next_multiple_of(PAGE_SIZE);
        let filled = guarded(|| self.backing.read_at(start, &mut aux.buffer.bytes()[..whole as usize]))?;
        if filled as u64 > whole {
            return Err(io::Error::other("the backing says it read more than it was asked for"));
        }
        Ok(filled.min(content as usize))
    }

    fn let_dirty(&self, range: Range<u64>) {
        let (bytes, limit) = (range.end - range.start, self.dirty_limit.unwrap_or(u64::MAX));
        let over = self.dirtied.load(Ordering::Relaxed) + bytes > limit;
        // Who changes the length may be the one who waits for consent: then what is too much is written back with the next.
        if over
            && let Some(writing) = self.writing_unless_resizing()
            && let Err(error) = self.writeback_alone(writing)
        {
            let status = status_of(&error);
            self.background().error = Some(error);
            // Last: whoever waits may look at once.
            self.core.fail(range, status);
            return;
        }
        self.dirtied.fetch_add(bytes, Ordering::Relaxed);
        self.core.let_dirty(range);
    }

    fn write_back_every(&self, period: Duration) {
        let mut background = self.background();
        while !background.stop {
            let waited = self.wake_background.wait_timeout_while(background, period, |background| !background.stop);
            background = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !background.stop {
                drop(background);
                let result = self.writeback();
                background = self.background();
                if let Err(error) = result {
                    background.error = Some(error);
                }
            }
        }
    }

    fn write_back_under_pressure(&self) {
        let Some(alarm) = &self.alarm else { return };
        let mut pause = Pause::default();
        while alarm.wait() {
            let outcome = match self.writeback() {
                Ok(written) => Outcome::of(&written),
                Err(error) => {
                    self.background().error = Some(error);
                    Outcome::Failed
                }
            };
            if pause.after(outcome).is_some_and(|pause| !alarm.pause(pause)) {
                return;
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let vmo = &self.core.vmo;
        loop {
            let old = self.core.lengths().now;
            // What a program may have stored past the end is not content, and what is cut off is gone.
            let from = old.min(len);
            let page_end = from.next_multiple_of(PAGE_SIZE).min(old.max(len));
            let zeroed = match page_end > from {
                // It may wait for the page, for consent, or for room, and so for a writeback: not under the lock.
                true => vmo.op_range(VmoOp::ZERO, from, page_end - from),
                false => Ok(()),
            };
            let _writing = self.writing();
            let _resizing = Resizing::new(&self.resizing);
            if self.core.lengths().now != old {
                // Somebody else was faster.
                continue;
            }
            zeroed?;
            vmo.set_size(len)?;
            let mut lengths = self.core.lengths();
            lengths.now = len;
            lengths.lowest = lengths.lowest.min(len);
            return Ok(());
        }
    }

    fn writeback(&self) -> io::Result<Written> {
        self.writeback_alone(self.writing())
    }

    fn writeback_alone(&self, _writing: MutexGuard<'_, ()>) -> io::Result<Written> {
        if !self.core.config.writable {
            return Ok(Written::default());
        }
        let written = self.write_dirty()?;
        if written != Written::default() {
            add(&self.core.counters.writebacks, 1);
        }
        if self.dirty_limit.is_some() {
            self.dirtied.store(self.core.dirty_bytes()?, Ordering::Relaxed);
        }
        Ok(written)
    }

    fn write_dirty(&self) -> io::Result<Written> {
        let lengths = *self.core.lengths();
        let mut progress = Progress::default();
        let (pieces, ranges) = self.core.dirty_pieces()?;
        progress.written.ranges = ranges;
        if lengths.lowest < lengths.backing {
            guarded(|| self.backing.set_len(lengths.lowest))?;
            self.core.lengths().backing = lengths.lowest;
        }
        let mut batch = Batch::for_pieces(&pieces);
        for piece in pieces {
            if piece.is_zero || !batch.has_room(&piece) {
                batch.write(&self.backing, &mut progress)?;
            }
            if piece.is_zero {
                self.core.begin(&piece)?;
                let inside = self.core.inside(&piece);
                let bytes = inside.end - inside.start;
                guarded(|| self.backing.zero_at(inside))?;
                progress.wrote(piece, bytes);
            } else {
                batch.read(&self.core, piece)?;
            }
            if progress.open_bytes + batch.bytes >= self.sync_every {
                batch.write(&self.backing, &mut progress)?;
                guarded(|| self.backing.sync())?;
                progress.synced(&self.core)?;
            }
        }
        batch.write(&self.backing, &mut progress)?;
        let lengths = *self.core.lengths();
        let resized = lengths.backing != lengths.now || lengths.lowest != lengths.now;
        if lengths.backing != lengths.now {
            guarded(|| self.backing.set_len(lengths.now))?;
        }
        if !progress.open.is_empty() || resized {
            guarded(|| self.backing.sync())?;
            *self.core.lengths() = Lengths { backing: lengths.now, lowest: lengths.now, ..lengths };
            progress.synced(&self.core)?;
        }
        Ok(progress.written)
    }
}

impl<B: Backing> std::fmt::Debug for FilePager<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilePager").field("len", &self.len()).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
