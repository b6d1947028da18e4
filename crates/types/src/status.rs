//! [`Status`]: a status code that is a Rust error.
//!
//! A `Status` turned into an [`io::Error`] rides along in it, so that turning it back gives the same `Status`.

use core::fmt;
use std::error::Error;
use std::ffi::NulError;
use std::io;

use crate::errors::for_each_status;
use crate::scalars::zx_status_t;

/// How an operation ended, as Zircon numbers it.
#[derive(Copy, Clone, Ord, PartialOrd, Eq, PartialEq, Hash)]
#[repr(transparent)]
pub struct Status(zx_status_t);

macro_rules! declare {
    ($( $(#[$meta:meta])* $name:ident = $c_name:ident = $value:literal; )*) => {
        impl Status {
            $( $(#[$meta])* pub const $name: Self = Self(crate::errors::$c_name); )*

            /// The name of the constant with this value.
            const fn const_name(self) -> Option<&'static str> {
                match self {
                    $( Self::$name => Some(stringify!($name)), )*
                    _ => None,
                }
            }
        }
    };
}
for_each_status!(declare);

/// `Ok` for `ZX_OK`, else the status as an error. The same as [`Status::ok`].
pub const fn ok(raw: zx_status_t) -> Result<(), Status> {
    Status::ok(raw)
}

impl Status {
    /// `Ok` for `ZX_OK`, else the status as an error.
    pub const fn ok(raw: zx_status_t) -> Result<(), Status> {
        match Self(raw) {
            Self::OK => Ok(()),
            status => Err(status),
        }
    }

    /// The status with this number, known or not.
    pub const fn from_raw(raw: zx_status_t) -> Self {
        Self(raw)
    }

    /// The number.
    pub const fn into_raw(self) -> zx_status_t {
        self.0
    }

    /// An I/O error of the kind that is nearest, with this status as its cause.
    pub fn into_io_error(self) -> io::Error {
        self.into()
    }

    /// The error, or `OK`.
    pub const fn from_result(result: Result<(), Self>) -> Self {
        match result {
            Ok(()) => Self::OK,
            Err(status) => status,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.const_name() {
            Some(name) => f.pad(name),
            None => write!(f, "Unknown zircon status code: {}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.const_name() {
            Some(name) => write!(f, "Status({name})"),
            None => write!(f, "Status({})", self.0),
        }
    }
}

impl Error for Status {}

impl From<io::ErrorKind> for Status {
    fn from(kind: io::ErrorKind) -> Self {
        use io::ErrorKind::*;
        match kind {
            NotFound => Self::NOT_FOUND,
            PermissionDenied => Self::ACCESS_DENIED,
            ConnectionRefused => Self::IO_REFUSED,
            ConnectionAborted | BrokenPipe => Self::PEER_CLOSED,
            AddrInUse => Self::ALREADY_BOUND,
            AddrNotAvailable => Self::UNAVAILABLE,
            AlreadyExists => Self::ALREADY_EXISTS,
            WouldBlock => Self::SHOULD_WAIT,
            InvalidInput => Self::INVALID_ARGS,
            TimedOut => Self::TIMED_OUT,
            Interrupted => Self::INTERRUPTED_RETRY,
            _ => Self::IO,
        }
    }
}

impl From<Status> for io::ErrorKind {
    fn from(status: Status) -> Self {
        match status {
            Status::INTERRUPTED_RETRY => Self::Interrupted,
            Status::BAD_HANDLE => Self::BrokenPipe,
            Status::TIMED_OUT => Self::TimedOut,
            Status::SHOULD_WAIT => Self::WouldBlock,
            Status::PEER_CLOSED => Self::ConnectionAborted,
            Status::NOT_FOUND => Self::NotFound,
            Status::ALREADY_EXISTS | Status::ALREADY_BOUND => Self::AlreadyExists,
            Status::UNAVAILABLE => Self::AddrNotAvailable,
            Status::ACCESS_DENIED => Self::PermissionDenied,
            Status::IO_REFUSED => Self::ConnectionRefused,
            Status::IO_DATA_INTEGRITY => Self::InvalidData,
            Status::BAD_PATH | Status::INVALID_ARGS | Status::OUT_OF_RANGE | Status::WRONG_TYPE => Self::InvalidInput,
            _ => Self::Other,
        }
    }
}

impl From<io::Error> for Status {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|cause| cause.downcast_ref::<Status>()) {
            Some(status) => *status,
            None => error.kind().into(),
        }
    }
}

impl From<Status> for io::Error {
    fn from(status: Status) -> Self {
        Self::new(status.into(), status)
    }
}

impl From<NulError> for Status {
    fn from(_: NulError) -> Self {
        Self::INVALID_ARGS
    }
}

impl From<Result<(), Status>> for Status {
    fn from(result: Result<(), Status>) -> Self {
        Self::from_result(result)
    }
}

impl From<Status> for Result<(), Status> {
    fn from(status: Status) -> Self {
        Status::ok(status.0)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;
    use crate::{ZX_ERR_INTERNAL_INTR_KILLED, ZX_ERR_INTERNAL_INTR_RETRY};

    #[test]
    fn texts() {
        assert_eq!(Status::NO_MEMORY.to_string(), "NO_MEMORY");
        assert_eq!(format!("{:?}", Status::NO_MEMORY), "Status(NO_MEMORY)");
        assert_eq!(Status::from_raw(-5).to_string(), "Unknown zircon status code: -5");
        assert_eq!(format!("{:?}", Status::from_raw(-5)), "Status(-5)");
        assert_eq!(format!("{:>4}|", Status::OK), "  OK|");
    }

    #[test]
    fn the_two_internal_codes() {
        assert_eq!(Status::from_raw(ZX_ERR_INTERNAL_INTR_RETRY), Status::INTERRUPTED_RETRY);
        assert_eq!(format!("{:?}", Status::from_raw(ZX_ERR_INTERNAL_INTR_KILLED)), "Status(-502)");
    }

    #[test]
    fn only_zero_is_ok() {
        assert_eq!(ok(0), Ok(()));
        assert_eq!(Status::ok(1), Err(Status::from_raw(1)));
        assert_eq!(Result::from(Status::OK), Ok(()));
        assert_eq!(Result::from(Status::STOP), Err(Status::STOP));
        assert_eq!(Status::from(Ok(())), Status::OK);
        assert_eq!(Status::from(Err(Status::BAD_STATE)), Status::BAD_STATE);
    }

    #[test]
    fn io_errors_by_kind() {
        for (kind, status) in [
            (io::ErrorKind::NotFound, Status::NOT_FOUND),
            (io::ErrorKind::PermissionDenied, Status::ACCESS_DENIED),
            (io::ErrorKind::ConnectionRefused, Status::IO_REFUSED),
            (io::ErrorKind::ConnectionAborted, Status::PEER_CLOSED),
            (io::ErrorKind::BrokenPipe, Status::PEER_CLOSED),
            (io::ErrorKind::AddrInUse, Status::ALREADY_BOUND),
            (io::ErrorKind::AddrNotAvailable, Status::UNAVAILABLE),
            (io::ErrorKind::OutOfMemory, Status::IO),
        ] {
            assert_eq!(Status::from(kind), status);
            assert_eq!(Status::from(io::Error::from(kind)), status);
        }
        let foreign = io::Error::new(io::ErrorKind::TimedOut, "somebody else's");
        assert_eq!(Status::from(foreign), Status::TIMED_OUT);
    }

    #[test]
    fn an_io_error_keeps_the_status_it_was_made_from() {
        for (status, kind) in [
            (Status::BAD_PATH, io::ErrorKind::InvalidInput),
            (Status::ALREADY_BOUND, io::ErrorKind::AlreadyExists),
            (Status::IO_DATA_INTEGRITY, io::ErrorKind::InvalidData),
            (Status::NO_MEMORY, io::ErrorKind::Other),
        ] {
            let error = status.into_io_error();
            assert_eq!(error.kind(), kind);
            assert_eq!(error.to_string(), status.to_string());
            assert_eq!(Status::from(error), status);
        }
    }

    #[test]
    fn a_nul_inside_is_a_bad_argument() {
        let error = CString::new("a\0b").unwrap_err();
        assert_eq!(Status::from(error), Status::INVALID_ARGS);
    }
}
