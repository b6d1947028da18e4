//! [`AsyncPager`]: requests become futures.
//!
//! 1. One thread waits at the port, and does nothing else: what a request needs is a task of the runtime. There may be as many
//!    at once as there are requests.
//! 2. A task that the runtime drops answers its requests with `BAD_STATE`. One that panics is an error of the backing.
//! 3. While room is wanted (`pressure`) one task at a time writes back; the thread learns of it by packets, too.
//! 4. What may block (moving pages, waiting for reads) is done where the runtime lets tasks block.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::Handle;
use tokio::task;
use zxvm::sys::zx_page_request_command_t::{ZX_PAGER_VMO_COMPLETE, ZX_PAGER_VMO_DIRTY, ZX_PAGER_VMO_READ};
use zxvm::{Event, MonotonicInstant, Packet, PacketContents, Pager, Port, Status, UserPacket, Vmo};

use crate::PAGE_SIZE;
use crate::core::{Config, Core};
use crate::errors::status_of;
use crate::pressure::{self, Outcome, Pause};
use crate::reads::Ticket;
use crate::stats::{Stats, add};
use crate::writeback::{PIECE, Progress, Written};

/// Where the bytes of an [`AsyncPager`] are. As [`Backing`](crate::Backing), but every call is a future.
pub trait AsyncBacking: Send + Sync + 'static {
    /// How many bytes there are.
    fn len(&self) -> impl Future<Output = io::Result<u64>> + Send;

    /// Whether there are none.
    fn is_empty(&self) -> impl Future<Output = io::Result<bool>> + Send {
        async { Ok(self.len().await? == 0) }
    }

    /// The bytes of the range. Fewer mean that nothing comes after them: the rest is zero.
    fn read_at(&self, range: Range<u64>) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Whether it can be written to. If not, nobody gets a VMO that can.
    fn is_writable(&self) -> bool {
        false
    }

    /// Writes all of `data` at `offset`. Only what [`sync`](Self::sync) has confirmed counts as written.
    fn write_at(&self, offset: u64, data: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send {
        let _ = (offset, data);
        async { Err(ErrorKind::ReadOnlyFilesystem.into()) }
    }

    /// Makes everything written so far durable.
    fn sync(&self) -> impl Future<Output = io::Result<()>> + Send {
        async { Ok(()) }
    }
}

/// A VMO with the content of an [`AsyncBacking`]: each request is a future of its own on a tokio runtime.
///
/// Who accesses the VMO blocks its thread, so tasks do that where they may block. Dropping the pager is as with
/// [`FilePager`](crate::FilePager), but for futures under way: they are not waited for.
///
/// ```
/// # use std::{io, ops::Range};
/// use zxvm_pagers::{AsyncBacking, AsyncPager};
///
/// struct Remote;
///
/// impl AsyncBacking for Remote {
///     async fn len(&self) -> io::Result<u64> {
///         Ok(1 << 30)
///     }
///
///     async fn read_at(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///         Ok(range.map(|at| at as u8).collect())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> io::Result<()> {
/// let pager = AsyncPager::open(Remote, 64).await?;
/// let vmo = pager.vmo()?;
/// let bytes = tokio::task::spawn_blocking(move || vmo.read_to_vec::<u8>(1000, 3)).await??;
/// assert_eq!(bytes, [232, 233, 234]);
/// # Ok(())
/// # }
/// ```
pub struct AsyncPager<B: AsyncBacking> {
    shared: Arc<Shared<B>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<B> {
    core: Core,
    backing: B,
    runtime: Handle,
    /// One writeback at a time.
    writing: tokio::sync::Mutex<()>,
    /// Signalled while room is wanted. None where nothing can be written.
    wanted: Option<Event>,
    /// The latest error of a writeback that nobody called.
    error: Mutex<Option<io::Error>>,
}

/// Keys of packets of our own.
const STOP: u64 = 0;
const WRITTEN: u64 = 1;

impl<B: AsyncBacking> AsyncPager<B> {
    /// A pager on the runtime that this is called in. Up to `read_ahead_pages` pages (at least one) are read at once when
    /// requests are in order.
    ///
    /// # Errors
    /// The backing does not say how long it is; no VMO with a pager can be had (a [`Status`] is inside); no thread.
    pub async fn open(backing: B, read_ahead_pages: u32) -> io::Result<Self> {
        let len = backing.len().await?;
        let window = u64::from(read_ahead_pages.max(1)) * PAGE_SIZE;
        let config = Config { window, resizable: false, trap_dirty: false, writable: backing.is_writable() };
        let asked = |pager: &Pager, options, port: &Port| pager.create_vmo(options, port, 0, len);
        let (core, runtime) = (Core::new(len, config, Arc::default(), asked)?, Handle::current());
        let wanted = config.writable.then(zxvm::writeback_event).transpose()?;
        let (writing, error) = (tokio::sync::Mutex::new(()), Mutex::new(None));
        let shared = Arc::new(Shared { core, backing, runtime, writing, wanted, error });
        let body = {
            let shared = shared.clone();
            move || shared.work()
        };
        let thread = thread::Builder::new().name("pager".to_owned()).spawn(body)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A handle to the VMO. It has no right to write if the backing cannot be written to.
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

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.core.counters.stats()
    }

    /// Bytes that have to be written back.
    ///
    /// # Errors
    /// `NO_MEMORY`.
    pub fn dirty_bytes(&self) -> Result<u64, Status> {
        self.shared.core.dirty_bytes()
    }

    /// Writes back all that was dirty when it was called, lowest first, and makes it durable. Zeros are written as such. Dropped
    /// half way, what it has not confirmed stays dirty.
    ///
    /// # Errors
    /// The first of the backing. What was not durable before it stays dirty; calling again writes it again.
    pub async fn writeback(&self) -> io::Result<Written> {
        self.shared.writeback().await
    }

    /// The latest error of a writeback that nobody called, once. What it was about is still dirty.
    pub fn background_error(&self) -> Option<io::Error> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Where tasks may block.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    task::spawn_blocking(call).await.unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

impl<B: AsyncBacking> Drop for AsyncPager<B> {
    fn drop(&mut self) {
        let core = &self.shared.core;
        core.close();
        let stop = Packet::from_user_packet(STOP, 0, UserPacket::default());
        if core.port.queue(&stop).is_ok() {
            // It waits for nothing but packets. If it panicked it has said so.
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

impl<B: AsyncBacking> Shared<B> {
    fn work(self: Arc<Self>) {
        let mut pause = Pause::default();
        self.listen();
        let mut listen_at = MonotonicInstant::INFINITE;
        loop {
            let packet = match self.core.port.wait(listen_at) {
                Ok(packet) => packet,
                Err(Status::TIMED_OUT) => {
                    listen_at = MonotonicInstant::INFINITE;
                    self.listen();
                    continue;
                }
                Err(_) => return,
            };
            match packet.contents() {
                PacketContents::Pager(request) => match request.command() {
                    ZX_PAGER_VMO_READ => self.answer(request.range()),
                    ZX_PAGER_VMO_DIRTY => self.core.let_dirty(request.range()),
                    ZX_PAGER_VMO_COMPLETE => {}
                },
                PacketContents::SignalOne(_) => {
                    let relief = Relief { shared: self.clone(), outcome: Outcome::Failed };
                    self.runtime.spawn(relief.bring());
                }
                PacketContents::User(_) if packet.key() == WRITTEN => match pause.after(outcome_of(packet.status())) {
                    Some(pause) => listen_at = pressure::after(pause),
                    None => self.listen(),
                },
                PacketContents::User(_) => return,
                _ => unreachable!("nothing else was asked for"),
            }
        }
    }

    /// A packet comes when room is wanted.
    fn listen(&self) {
        if let Some(wanted) = &self.wanted {
            // Refused where there is no memory, and then nobody is told: the program writes back when it does.
            let _ = pressure::listen(wanted, &self.core.port);
        }
    }

    async fn writeback(self: &Arc<Self>) -> io::Result<Written> {
        let shared = self;
        if !shared.core.config.writable {
            return Ok(Written::default());
        }
        let _writing = shared.writing.lock().await;
        let mut progress = Progress::default();
        let (pieces, ranges) = shared.core.dirty_pieces()?;
        progress.written.ranges = ranges;
        for piece in pieces {
            shared.core.begin(&piece)?;
            let inside = shared.core.inside(&piece);
            let mut at = inside.start;
            while at < inside.end {
                let to = inside.end.min(at + PIECE);
                let data = if piece.is_zero {
                    vec![0; (to - at) as usize]
                } else {
                    let shared = shared.clone();
                    blocking(move || Ok(shared.core.vmo.read_to_vec(at, to - at)?)).await?
                };
                shared.backing.write_at(at, data).await?;
                at = to;
            }
            progress.wrote(piece, inside.end - inside.start);
        }
        if progress.open.is_empty() {
            return Ok(progress.written);
        }
        shared.backing.sync().await?;
        add(&shared.core.counters.writebacks, 1);
        let shared = shared.clone();
        blocking(move || progress.synced(&shared.core).map(|()| progress.written)).await
    }

    fn answer(self: &Arc<Self>, asked: Range<u64>) {
        add(&self.core.counters.requests, 1);
        let work = self.core.plan(&asked);
        for (ticket, asked) in [(work.now, Some(asked)), (work.behind, None)] {
            if let Some(ticket) = ticket {
                let open = Open { shared: self.clone(), ticket: Some(ticket), asked };
                self.runtime.spawn(open.bring());
            }
        }
    }

    /// Reads and supplies. On an error also from where on nothing was supplied.
    async fn read(self: &Arc<Self>, ticket: &Ticket, asked: Option<&Range<u64>>) -> Result<(), (u64, io::Error)> {
        let Range { mut start, end } = ticket.range;
        while start < end {
            let chunk = start..end.min(start + self.core.config.window);
            let bytes = self.fill(chunk.clone()).await.map_err(|error| (start, error))?;
            self.core.reads.supplying(ticket, chunk.end);
            let len = chunk.end - chunk.start;
            let wanted = asked.map_or(0, |asked| asked.end.min(chunk.end).saturating_sub(asked.start.max(chunk.start)));
            add(&self.core.counters.pages_asked, wanted / PAGE_SIZE);
            add(&self.core.counters.pages_ahead, (len - wanted) / PAGE_SIZE);
            let (shared, range) = (self.clone(), chunk.clone());
            let supply = move || Ok(shared.core.supply(&Vmo::create(range.end - range.start)?, &bytes, &range)?);
            blocking(supply).await.map_err(|error| (start, error))?;
            start = chunk.end;
        }
        Ok(())
    }

    async fn fill(self: &Arc<Self>, chunk: Range<u64>) -> io::Result<Vec<u8>> {
        let content = chunk.start..chunk.end.min(self.core.lengths().now);
        if content.is_empty() {
            return Ok(Vec::new());
        }
        add(&self.core.counters.reads, 1);
        let (shared, len) = (self.clone(), (content.end - content.start) as usize);
        // In a task of its own, so that a panic of it is an error here.
        let read = self.runtime.spawn(async move { shared.backing.read_at(content).await });
        let mut bytes = read.await.unwrap_or_else(|gone| Err(io::Error::other(gone)))?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// A writeback because room is wanted. Whatever becomes of the task, the thread is told.
struct Relief<B: AsyncBacking> {
    shared: Arc<Shared<B>>,
    outcome: Outcome,
}

impl<B: AsyncBacking> Relief<B> {
    async fn bring(mut self) {
        let shared = self.shared.clone();
        // In a task of its own, so that a panic of the backing is an error here.
        let written = {
            let shared = shared.clone();
            shared.runtime.clone().spawn(async move { shared.writeback().await })
        };
        match written.await.unwrap_or_else(|gone| Err(io::Error::other(gone))) {
            Ok(written) => self.outcome = Outcome::of(&written),
            Err(error) => *shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
        }
    }
}

impl<B: AsyncBacking> Drop for Relief<B> {
    fn drop(&mut self) {
        let status = match self.outcome {
            Outcome::Wrote => Status::OK,
            Outcome::Nothing => Status::SHOULD_WAIT,
            Outcome::Failed => Status::IO,
        };
        // There is room: nobody else sends any but the one that says stop.
        let _ =
            self.shared.core.port.queue(&Packet::from_user_packet(WRITTEN, status.into_raw(), UserPacket::default()));
    }
}

/// What a packet tells of a writeback.
fn outcome_of(status: i32) -> Outcome {
    match Status::from_raw(status) {
        Status::OK => Outcome::Wrote,
        Status::SHOULD_WAIT => Outcome::Nothing,
        _ => Outcome::Failed,
    }
}

/// A read with those it is for. Whatever becomes of the task, they are answered.
struct Open<B: AsyncBacking> {
    shared: Arc<Shared<B>>,
    ticket: Option<Ticket>,
    asked: Option<Range<u64>>,
}

impl<B: AsyncBacking> Open<B> {
    async fn bring(mut self) {
        let shared = self.shared.clone();
        let ticket = self.ticket.as_ref().expect("not ended");
        let range = ticket.range.clone();
        let Err((from, error)) = shared.read(ticket, self.asked.as_ref()).await else {
            // Supplied: nobody waits any more.
            self.asked = None;
            drop(shared.core.reads.end(self.ticket.take().expect("not ended")));
            return;
        };
        let mut wanted = vec![];
        for wants in self.end() {
            let left = wants.start.max(from)..wants.end;
            match left {
                left if left.is_empty() => {}
                left if left == (from..range.end) => shared.core.fail(left, status_of(&error)),
                left => wanted.push(left),
            }
        }
        // With nobody else's pages. Noted before anything is waited for.
        let exactly = |range: Range<u64>| {
            let ticket = shared.core.reads.exactly(range.clone());
            Self { shared: shared.clone(), ticket: Some(ticket), asked: Some(range) }
        };
        let alone: Vec<_> = wanted.into_iter().map(exactly).collect();
        for mut open in alone {
            let ticket = open.ticket.as_ref().expect("not ended");
            let result = shared.read(ticket, open.asked.as_ref()).await;
            let end = ticket.range.end;
            drop(open.end());
            if let Err((from, error)) = result {
                shared.core.fail(from..end, status_of(&error));
            }
        }
    }

    /// Ends the read. All who wait for some of it.
    fn end(&mut self) -> Vec<Range<u64>> {
        let Some(ticket) = self.ticket.take() else { return Vec::new() };
        let joined = self.shared.core.reads.end(ticket);
        self.asked.take().into_iter().chain(joined).collect()
    }
}

impl<B: AsyncBacking> Drop for Open<B> {
    fn drop(&mut self) {
        for range in self.end() {
            self.shared.core.fail(range, Status::BAD_STATE);
        }
    }
}
