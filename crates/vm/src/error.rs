//! What the host's refusals mean to a caller.

use zxvm_host::HostError;
use zxvm_types::Status;

/// There is no room in the budget for pages of pagers' VMOs. Never leaves this crate: who gets it makes room, or waits for it, without
/// locks (`vmar/room.rs`).
pub const NO_ROOM: Status = Status::SHOULD_WAIT;

/// The status for a host call that failed for the world's reasons, not the caller's.
pub fn status(error: HostError) -> Status {
    match error {
        HostError::NoMemory => Status::NO_MEMORY,
        HostError::NoDescriptors | HostError::FileSizeLimit => Status::NO_RESOURCES,
        HostError::Permission => Status::ACCESS_DENIED,
        HostError::NotSupported => Status::NOT_SUPPORTED,
        // A buffer of the caller's is classified where the buffer is known; here the kernel could not reach a page.
        HostError::Fault { at: _ } => Status::NO_MEMORY,
        HostError::Other(_) => Status::INTERNAL,
    }
}
