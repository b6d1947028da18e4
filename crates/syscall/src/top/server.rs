//! Serving those who watch.
//!
//! 1. A connection is for one question and one answer: a line of [`ASK`], then a line of JSON. Whoever watches for long comes again.
//! 2. At most [`CLIENTS`] are there at a time; each has [`PATIENCE`] to ask, and to take what it is told. The rest wait in line. A
//!    client takes no more memory than its question and one report.
//! 3. Only this process's own user, and root, are told anything.
//! 4. After a report the thread rests for as long as that took, so that whoever asks without end has half of it at most.

use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send};
use zxvm_host::linux::{NotForChildren, peer};

use super::report;
use crate::kernel::Kernel;

/// What is asked, for this version of the report.
const ASK: &[u8] = b"zxvm-top 1\n";

/// Bytes that a question may have.
const ASK_MAX: usize = 64;

/// How many are served at a time.
const CLIENTS: usize = 4;

/// How long one may take for what is its to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the thread rests after a report at most, and when Linux has nothing to give.
const REST_MAX: Duration = Duration::from_secs(1);

/// Tells the thread to end.
#[derive(Debug)]
pub struct Stop(OwnedFd);

impl Stop {
    /// By this counter.
    pub fn new(counter: OwnedFd) -> Self {
        Self(counter)
    }

    /// It is to end, soon.
    pub fn tell(&self) {
        // A counter at 0 takes 1 without waiting.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// One who watches.
struct Client {
    socket: NotForChildren,
    /// By when it must have done what is its to do.
    until: Option<Instant>,
    state: State,
}

/// How far it is.
enum State {
    /// This much has been asked.
    Asking(Vec<u8>),
    /// It has asked for a report.
    Waiting,
    /// It is told this, of which so much has gone out.
    Told(Vec<u8>, usize),
}

/// Whether a client stays.
#[derive(PartialEq, Eq)]
enum Next {
    Stays,
    Goes,
}

/// Answers all who come, until it is told to end.
pub fn serve(kernel: &Kernel, listener: &NotForChildren, stop: &Stop) {
    let mut clients = Vec::<Client>::new();
    let mut rest_until = Instant::now();
    loop {
        let now = Instant::now();
        clients.retain(|client| client.until.is_none_or(|until| now < until));
        let rests = now < rest_until;
        let ready = {
            let mut fds = vec![PollFd::new(&stop.0, PollFlags::IN)];
            // Nobody is let in whom there is no place for, or while there is nothing to be given.
            let lets_in = clients.len() < CLIENTS;
            fds.extend(clients.iter().map(|client| PollFd::from_borrowed_fd(client.socket.as_fd(), client.awaits())));
            if lets_in {
                fds.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
            }
            let wakes = clients.iter().filter_map(|client| client.until);
            let wakes = wakes.chain(rests.then_some(rest_until)).min();
            let patience = wakes.map(|at| at.saturating_duration_since(now) + Duration::from_millis(1));
            let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
            if poll(&mut fds, patience.as_ref()).is_err() {
                // No signal can be the reason: all are blocked. Then it is memory.
                std::thread::sleep(REST_MAX);
                continue;
            }
            let mut ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready[0] {
                return;
            }
            ready.remove(0);
            ready
        };
        let mut at = 0;
        clients.retain_mut(|client| {
            at += 1;
            !ready[at - 1] || client.go_on() == Next::Stays
        });
        if ready.get(at) == Some(&true) {
            match let_in(listener) {
                Ok(client) => clients.extend(client),
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
                // No descriptors, say. Whoever waits in line waits on.
                Err(_) => std::thread::sleep(REST_MAX / 10),
            }
        }
        if Instant::now() >= rest_until
            && let Some(client) = clients.iter_mut().find(|client| matches!(client.state, State::Waiting))
        {
            let begin = Instant::now();
            let report = kernel.top_report();
            client.tell(report);
            rest_until = Instant::now() + begin.elapsed().min(REST_MAX);
        }
    }
}

/// The next in line, unless there is nobody, or who is to be told nothing.
fn let_in(listener: &NotForChildren) -> rustix::io::Result<Option<Client>> {
    let socket = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let user = peer(&socket)?.user;
    if user != 0 && user != rustix::process::geteuid().as_raw() {
        // So short that it goes out at once.
        let _ = send(&socket, report::error("another user").as_bytes(), SendFlags::NOSIGNAL);
        return Ok(None);
    }
    let socket = NotForChildren::new(socket);
    Ok(Some(Client { socket, until: Some(Instant::now() + PATIENCE), state: State::Asking(Vec::new()) }))
}

impl Client {
    fn awaits(&self) -> PollFlags {
        match self.state {
            State::Asking(_) => PollFlags::IN,
            // Only that it goes away.
            State::Waiting => PollFlags::empty(),
            State::Told(..) => PollFlags::OUT,
        }
    }

    fn tell(&mut self, what: String) {
        (self.state, self.until) = (State::Told(what.into_bytes(), 0), Some(Instant::now() + PATIENCE));
    }

    /// Its socket has something for it, or takes something from it, or has broken.
    fn go_on(&mut self) -> Next {
        match &mut self.state {
            State::Waiting => Next::Goes,
            State::Asking(asked) => {
                let mut bytes = [0; ASK_MAX];
                match rustix::io::read(&self.socket, &mut bytes) {
                    Ok(0) => return Next::Goes,
                    Ok(read) => asked.extend_from_slice(&bytes[..read]),
                    Err(Errno::AGAIN | Errno::INTR) => return Next::Stays,
                    Err(_) => return Next::Goes,
                }
                if asked == ASK {
                    (self.state, self.until) = (State::Waiting, None);
                } else if asked.contains(&b'\n') || asked.len() > ASK_MAX {
                    self.tell(report::error("not a question of this version"));
                }
                Next::Stays
            }
            State::Told(report, sent) => match send(&self.socket, &report[*sent..], SendFlags::NOSIGNAL) {
                Ok(more) => {
                    *sent += more;
                    if *sent == report.len() { Next::Goes } else { Next::Stays }
                }
                Err(Errno::AGAIN | Errno::INTR) => Next::Stays,
                Err(_) => Next::Goes,
            },
        }
    }
}
