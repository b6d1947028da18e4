//! What a pager VMO knows of its pages, and of who waits for them. Books only: nothing here touches memory.

mod port;
mod requests;
mod states;

pub use port::{RequestKind, RequestPort};
pub use requests::{Requests, Sleeper, Who, Woken};
pub use states::{DirtyRun, PageState, States};
