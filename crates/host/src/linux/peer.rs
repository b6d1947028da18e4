//! Who is at the other end of a socket, and whether this process is more than who started it.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use super::sys::KeepErrno;

/// A process, as the kernel knew it when it connected or began to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number; 0 if it has none that this process could know.
    pub process: u32,
    /// The user that it acted for.
    pub user: u32,
}

/// Who is at the other end of a Unix socket.
///
/// # Errors
/// It is no such socket, or not connected.
pub fn peer(socket: impl AsFd) -> rustix::io::Result<Peer> {
    let _errno = KeepErrno::new();
    let mut who = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most as many bytes as the record has.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut who).cast(), &raw mut len) };
    if got != 0 {
        return Err(Errno::from_raw_os_error(KeepErrno::get()));
    }
    Ok(Peer { process: u32::try_from(who.pid).unwrap_or(0), user: who.uid })
}

/// Whether this process may more than who started it (set-user-ID and the like), so that its environment is not to be trusted.
pub fn has_raised_privileges() -> bool {
    // SAFETY: a question without pointers.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
