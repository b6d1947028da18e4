//! Errors of backings, as the five statuses that a request may fail with.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use zxvm::Status;

/// What a request fails with for this error. A [`Status`] that an error carries is kept if it may be used.
///
/// | error | status |
/// |---|---|
/// | no room, over quota, file too large | `NO_SPACE` |
/// | invalid data | `IO_DATA_INTEGRITY` |
/// | less than there should be | `BUFFER_TOO_SMALL` |
/// | not connected, a broken pipe or connection | `BAD_STATE` |
/// | anything else | `IO` |
pub fn status_of(error: &io::Error) -> Status {
    const ALLOWED: [Status; 5] =
        [Status::IO, Status::IO_DATA_INTEGRITY, Status::BAD_STATE, Status::NO_SPACE, Status::BUFFER_TOO_SMALL];
    let carried = error.get_ref().and_then(|cause| cause.downcast_ref::<Status>());
    if let Some(status) = carried.filter(|status| ALLOWED.contains(status)) {
        return *status;
    }
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Status::NO_SPACE,
        ErrorKind::InvalidData => Status::IO_DATA_INTEGRITY,
        ErrorKind::UnexpectedEof => Status::BUFFER_TOO_SMALL,
        ErrorKind::NotConnected
        | ErrorKind::BrokenPipe
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionRefused => Status::BAD_STATE,
        _ => Status::IO,
    }
}

/// Calls a backing. A panic of it is an error like others: the thread, and whoever waits for it, go on.
pub fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(io::Error::other("the backing panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_nearest_status() {
        let kinds = [
            (ErrorKind::StorageFull, Status::NO_SPACE),
            (ErrorKind::QuotaExceeded, Status::NO_SPACE),
            (ErrorKind::InvalidData, Status::IO_DATA_INTEGRITY),
            (ErrorKind::UnexpectedEof, Status::BUFFER_TOO_SMALL),
            (ErrorKind::BrokenPipe, Status::BAD_STATE),
            (ErrorKind::PermissionDenied, Status::IO),
        ];
        for (kind, status) in kinds {
            assert_eq!(status_of(&kind.into()), status, "{kind}");
        }
        assert_eq!(status_of(&io::Error::from_raw_os_error(5)), Status::IO);
    }

    #[test]
    fn a_status_is_kept_if_a_request_may_fail_with_it() {
        for status in [Status::IO_DATA_INTEGRITY, Status::NO_SPACE, Status::BUFFER_TOO_SMALL] {
            assert_eq!(status_of(&status.into()), status);
        }
        assert_eq!(status_of(&Status::NO_MEMORY.into()), Status::IO);
        assert_eq!(status_of(&Status::TIMED_OUT.into()), Status::IO);
    }

    #[test]
    fn a_panic_is_an_error() {
        let error = guarded(|| -> io::Result<()> { panic!("on purpose") }).unwrap_err();
        assert_eq!(error.to_string(), "the backing panicked");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
