//! Being watched: a socket by which other processes of the user see what this one's memory is like. Nothing can be changed by it.
//!
//! 1. It is there only if it was asked for: by `ZXVM_TOP`, or by a call.
//! 2. One thread serves it (`server`), with all signals blocked. It waits for nobody but the sockets, and it holds no lock while it
//!    writes to one: a report (`report`) is whole before its first byte goes out.
//! 3. The file goes when serving ends, or the process by itself; children have neither the thread nor the socket.
//! 4. Starting a thread calls `malloc`. So where `malloc` may be built on this engine the thread is started before anybody calls
//!    the engine, and waits until it is there.

mod json;
mod report;
mod server;
mod socket;

use core::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use zxvm_host::linux::{NotForChildren, OwnFile, has_raised_privileges, remove_at_exit, without_signals};
use zxvm_types::Status;

use crate::kernel::Kernel;
use server::{Stop, serve};

/// How the thread that serves is told to end, and its file; if there is one.
#[derive(Debug, Default)]
pub struct Top(Mutex<Option<(Arc<Stop>, OwnFile)>>);

/// All that a thread needs to serve.
#[derive(Debug)]
struct Opened {
    listener: NotForChildren,
    stop: Arc<Stop>,
}

impl Kernel {
    /// From now on this process can be watched by the socket at `path` (`zxvm top --socket`), by its own user and by root. The
    /// file is made, for its user alone, in place of one whose owner has died; it is removed when the process ends by itself. A
    /// socket that was there for this process already goes first. Not a call of Zircon's.
    ///
    /// # Errors
    /// `INVALID_ARGS`: no path that a socket may have (107 bytes at most). `ALREADY_EXISTS`: something is there that is not a
    /// socket whose owner has died. `ACCESS_DENIED`, `NOT_FOUND`: of the folder. `NO_RESOURCES`: no thread or descriptor.
    /// `IO`: anything else. Nothing is served then.
    pub fn serve_top(&'static self, path: &Path) -> Result<(), Status> {
        let opened = self.open_top(path)?;
        let started = start_thread(move || serve(self, &opened.listener, &opened.stop));
        started.inspect_err(|_| self.stop_serving_top())
    }

    /// This process is not to be watched any more.
    pub fn stop_serving_top(&self) {
        end(&mut self.top.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn open_top(&self, path: &Path) -> Result<Opened, Status> {
        let top = &mut *self.top.0.lock().unwrap_or_else(PoisonError::into_inner);
        end(top);
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|_| Status::NO_RESOURCES)?;
        let (listener, file) = socket::open(path)?;
        let stop = Arc::new(Stop::new(stop));
        remove_at_exit(Some(file.clone()));
        *top = Some((stop.clone(), file));
        Ok(Opened { listener, stop })
    }

    /// Does what `ZXVM_TOP` says for the engine that this process may have at some time. To be called once, before anybody
    /// calls the engine, where [`Kernel::current`] may not start threads.
    pub fn serve_top_from_here() {
        let Some(path) = wanted() else { return };
        let told = path.clone();
        let started = start_thread(move || {
            let kernel = Self::wait_for_current();
            match kernel.open_top(&path) {
                Ok(opened) => serve(kernel, &opened.listener, &opened.stop),
                Err(status) => complain(&path, status),
            }
        });
        if let Err(status) = started {
            complain(&told, status);
        }
    }
}

/// Does what `ZXVM_TOP` says for an engine that was just made.
pub fn serve_as_environment_says(kernel: &'static Kernel) {
    if let Some(path) = wanted()
        && let Err(status) = kernel.serve_top(&path)
    {
        complain(&path, status);
    }
}

fn end(top: &mut Option<(Arc<Stop>, OwnFile)>) {
    if let Some((stop, file)) = top.take() {
        remove_at_exit(None);
        file.remove();
        stop.tell();
    }
}

fn start_thread(body: impl FnOnce() + Send + 'static) -> Result<(), Status> {
    without_signals(|| {
        let thread = std::thread::Builder::new().name("zxvm-top".into()).stack_size(256 << 10);
        thread.spawn(body).map(drop).map_err(|_| Status::NO_RESOURCES)
    })
}

/// Where the environment wants to be served. Whoever starts a program that may more than its user does not decide on files of it.
fn wanted() -> Option<PathBuf> {
    let text = std::env::var_os("ZXVM_TOP").filter(|_| !has_raised_privileges())?;
    socket::wanted(&text).unwrap_or_else(|why| {
        complain(Path::new(&text), why);
        None
    })
}

/// What the environment asks for has no caller to return an error to, and whoever asked for it is waiting for it.
fn complain(path: &Path, why: impl Display) {
    // To write to a standard error that is closed is nobody's error.
    let _ = writeln!(std::io::stderr(), "zxvm: ZXVM_TOP: {}: {why}", path.display());
}
