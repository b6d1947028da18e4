//! The socket by which this process can be watched: where it is, and how it comes to be there and goes.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use zxvm_host::linux::{NotForChildren, OwnFile};
use zxvm_types::Status;

/// Who may wait to be let in.
const BACKLOG: i32 = 8;

/// Where the environment's `ZXVM_TOP` wants the socket of this process. `None`: nowhere.
///
/// # Errors
/// What it says cannot be understood.
pub fn wanted(text: &std::ffi::OsStr) -> Result<Option<PathBuf>, &'static str> {
    match text.as_bytes() {
        b"" | b"0" => Ok(None),
        b"1" => Ok(Some(usual_place())),
        [b'/', ..] => Ok(Some(text.into())),
        _ => Err("neither 1 nor a path from the root on"),
    }
}

/// In the folder of the user's own for such things, or else in that for all.
fn usual_place() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    own.unwrap_or_else(|| "/tmp".into()).join(format!("zxvm-top.{}", std::process::id()))
}

/// A socket that listens, for its user alone, and its file.
///
/// # Errors
/// `INVALID_ARGS`: no path that a socket may have (107 bytes at most). `ALREADY_EXISTS`: something is there that is not a socket
/// whose owner has died. `ACCESS_DENIED`, `NOT_FOUND`: of the folder. `NO_RESOURCES`: no descriptor. `IO`: anything else.
pub fn open(path: &Path) -> Result<(NotForChildren, OwnFile), Status> {
    let address = SocketAddrUnix::new(path).map_err(|_| Status::INVALID_ARGS)?;
    if path.as_os_str().is_empty() {
        return Err(Status::INVALID_ARGS);
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(status)?;
    // Before it has a file, so that this is what the file has from its first moment on.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(status)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if is_abandoned(path, &address) => {
            std::fs::remove_file(path).map_err(|_| Status::ACCESS_DENIED)?;
            bind(&socket, &address).map_err(status)?;
        }
        bound => bound.map_err(status)?,
    }
    let file = OwnFile::new(path).map_err(|_| Status::IO)?;
    if let Err(errno) = listen(&socket, BACKLOG) {
        file.remove();
        return Err(status(errno));
    }
    Ok((NotForChildren::new(socket), file))
}

/// Whether it is a socket that nobody listens at. Does not wait for one that is busy.
fn is_abandoned(path: &Path, address: &SocketAddrUnix) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let try_it = || connect(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?, address);
    is_socket && try_it() == Err(Errno::CONNREFUSED)
}

fn status(errno: Errno) -> Status {
    match errno {
        Errno::ADDRINUSE => Status::ALREADY_EXISTS,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Status::ACCESS_DENIED,
        Errno::NOENT | Errno::NOTDIR => Status::NOT_FOUND,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Status::NO_RESOURCES,
        Errno::NAMETOOLONG | Errno::INVAL => Status::INVALID_ARGS,
        _ => Status::IO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_place_or_none() {
        assert_eq!(wanted("".as_ref()), Ok(None));
        assert_eq!(wanted("0".as_ref()), Ok(None));
        assert_eq!(wanted("/a/b".as_ref()), Ok(Some("/a/b".into())));
        let usual = wanted("1".as_ref()).unwrap().unwrap();
        assert!(usual.is_absolute() && usual.ends_with(format!("zxvm-top.{}", std::process::id())), "{usual:?}");
        for wrong in ["yes", "top", "./top"] {
            assert!(wanted(wrong.as_ref()).is_err(), "{wrong}");
        }
    }
}
