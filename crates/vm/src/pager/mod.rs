//! What a pager VMO knows of its pages, and of who waits for them. Books only: nothing here touches memory.

mod in_place;
mod port;
mod requests;
mod states;

pub use in_place::{InPlace, Provide};
pub use port::{RequestKind, RequestPort};
pub use requests::{Requests, Sleeper, Who, Woken};
pub use states::{DirtyRun, PageState, States};
