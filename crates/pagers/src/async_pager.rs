//! [`AsyncPager`]: requests become futures.
//!
//! 1. One thread waits at the port, and does nothing else: what a request needs is a task of the runtime. There may be as many
//!    at once as there are requests.
//! 2. A task that the runtime drops answers its requests with `BAD_STATE`. One that panics is an error of the backing.
//! 3. What may block (moving pages, waiting for reads) is done where the runtime lets tasks block.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Handle;
use tokio::task;
use zxvm::sys::zx_page_request_command_t::{ZX_PAGER_VMO_COMPLETE, ZX_PAGER_VMO_DIRTY, ZX_PAGER_VMO_READ};
use zxvm::{MonotonicInstant, Packet, PacketContents, Status, UserPacket, Vmo};

use crate::PAGE_SIZE;
use crate::core::{Config, Core};
use crate::errors::status_of;
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
}

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
        let (core, runtime) = (Core::new(len, config)?, Handle::current());
        let shared = Arc::new(Shared { core, backing, runtime, writing: tokio::sync::Mutex::new(()) });
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
        let shared = &self.shared;
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
}

/// Where tasks may block.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    task::spawn_blocking(call).await.unwrap_or_else(|gone| Err(io::Error::other(gone)))
}

impl<B: AsyncBacking> Drop for AsyncPager<B> {
    fn drop(&mut self) {
        let core = &self.shared.core;
        core.close();
        let stop = Packet::from_user_packet(0, 0, UserPacket::default());
        if core.port.queue(&stop).is_ok() {
            // It waits for nothing but packets. If it panicked it has said so.
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

impl<B: AsyncBacking> Shared<B> {
    fn work(self: Arc<Self>) {
        while let Ok(packet) = self.core.port.wait(MonotonicInstant::INFINITE) {
            match packet.contents() {
                PacketContents::Pager(request) => match request.command() {
                    ZX_PAGER_VMO_READ => self.answer(request.range()),
                    ZX_PAGER_VMO_DIRTY => self.core.let_dirty(request.range()),
                    ZX_PAGER_VMO_COMPLETE => {}
                },
                PacketContents::User(_) => return,
                _ => unreachable!("nothing else was asked for"),
            }
        }
    }

    fn answer(self: &Arc<Self>, asked: Range<u64>) {
        add(&self.core.counters.requests, 1);
        let end = self.core.vmo.get_size().unwrap_or(asked.end);
        let work = self.core.reads.plan(&asked, end);
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
