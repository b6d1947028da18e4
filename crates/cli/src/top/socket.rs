//! Finding the socket of a process, and asking there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use zxvm_host::linux::peer;

use super::report::Report;
use crate::failure::Failure;

/// How long the other side may take for the next piece of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that an answer may have.
const ANSWER_MAX: u64 = 64 << 20;

/// Where to ask.
#[derive(Clone, Debug)]
pub struct Target {
    path: PathBuf,
    /// Who must be there; anybody if it is not said.
    pid: Option<u32>,
}

/// An answer: as it was told, and taken apart.
pub struct Answer {
    pub text: String,
    pub report: Report,
}

impl Target {
    /// A socket that was named.
    pub fn socket(path: PathBuf) -> Self {
        Self { path, pid: None }
    }

    /// The socket of a process: where the process was told to have it, or else where it has it by itself.
    ///
    /// # Errors
    /// There is no such process, or no socket of it where it should be, or it is another user's.
    pub fn process(pid: u32) -> Result<Self, Failure> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let user = fs::metadata(&folder).map_err(|_| Failure::NoProcess(pid))?.uid();
        // Another user's cannot be read.
        let environment = fs::read(folder.join("environ")).unwrap_or_default();
        let places = places(pid, user, &environment, std::env::var_os("XDG_RUNTIME_DIR").as_deref());
        match places.iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Ok(Self { path: path.clone(), pid: Some(pid) }),
            None if !may_watch(user) => Err(Failure::OtherUser(pid)),
            None => {
                let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
                Err(Failure::NoSocket { pid, looked: looked.join(", ") })
            }
        }
    }

    /// Asks for a report.
    ///
    /// # Errors
    /// [`Failure::Unwatched`]: why there is none.
    pub fn ask(&self) -> Result<Answer, Failure> {
        let failed = |why: String| Failure::Unwatched { path: self.path.clone(), why };
        let text = self.text().map_err(|error| {
            failed(match error.kind() {
                io::ErrorKind::NotFound => "there is no such socket (any more)".to_owned(),
                io::ErrorKind::ConnectionRefused => "nobody listens there: its process has ended".to_owned(),
                io::ErrorKind::PermissionDenied => {
                    "it is another user's, who alone (besides root) may watch that process".to_owned()
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    format!("no answer for {} seconds", PATIENCE.as_secs())
                }
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    "the process ended, or stopped being watched, while it answered".to_owned()
                }
                _ => error.to_string(),
            })
        })?;
        let report = Report::read(&text).map_err(failed)?;
        Ok(Answer { text, report })
    }

    fn text(&self) -> io::Result<String> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        for what in [Timeout::Send, Timeout::Recv] {
            set_socket_timeout(&socket, what, Some(PATIENCE))?;
        }
        match connect(&socket, &SocketAddrUnix::new(&*self.path)?) {
            // Of a file that is no socket the kernel says the same as of one that nobody listens at.
            Err(Errno::CONNREFUSED) if !is_socket(&self.path) => return Err(io::Error::other("this is no socket")),
            connected => connected?,
        }
        let is_at = peer(&socket)?.process;
        if let Some(pid) = self.pid.filter(|&pid| is_at != 0 && is_at != pid) {
            return Err(io::Error::other(format!("process {is_at} is there, not {pid}")));
        }
        let mut stream = UnixStream::from(socket);
        let asked = stream.write_all(b"zxvm-top 1\n");
        let mut bytes = Vec::new();
        let read = stream.take(ANSWER_MAX).read_to_end(&mut bytes);
        if !bytes.ends_with(b"\n") {
            asked?;
            read?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Whole, whatever came of the question: who may not watch is told so before it has asked.
        String::from_utf8(bytes).map_err(|_| io::Error::other("what is told there is no report"))
    }
}

/// Whether this command is root's, or that user's.
fn may_watch(user: u32) -> bool {
    let own = rustix::process::geteuid();
    own.is_root() || own.as_raw() == user
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// Where the socket of a process may be, the likeliest first: by its own environment, by that of this command, by custom.
fn places(pid: u32, user: u32, environment: &[u8], own: Option<&OsStr>) -> Vec<PathBuf> {
    let variable = |name: &[u8]| {
        let variables = environment.split(|&byte| byte == 0);
        let value = variables.filter_map(|variable| variable.strip_prefix(name)?.strip_prefix(b"=")).next();
        value.map(OsStr::from_bytes).map(PathBuf::from).filter(|path| path.is_absolute())
    };
    let of_user = PathBuf::from(format!("/run/user/{user}"));
    let folders = [variable(b"XDG_RUNTIME_DIR"), own.map(PathBuf::from), Some(of_user), Some("/tmp".into())];
    let name = format!("zxvm-top.{pid}");
    let usual = folders.into_iter().flatten().map(|folder| folder.join(&name));
    let mut seen = BTreeSet::new();
    variable(b"ZXVM_TOP").into_iter().chain(usual).filter(|path| seen.insert(path.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_looked_for_where_processes_are_told_to_have_them() {
        let environment = b"A=1\0XDG_RUNTIME_DIR=/its\0ZXVM_TOP=/a/path\0";
        let found = places(7, 1000, environment, Some("/own".as_ref()));
        let expected =
            ["/a/path", "/its/zxvm-top.7", "/own/zxvm-top.7", "/run/user/1000/zxvm-top.7", "/tmp/zxvm-top.7"];
        assert_eq!(found, expected.map(PathBuf::from));
        let found = places(7, 1000, b"ZXVM_TOP=1\0", Some("/tmp".as_ref()));
        assert_eq!(found, ["/tmp/zxvm-top.7", "/run/user/1000/zxvm-top.7"].map(PathBuf::from));
    }
}
