//! What a pager VMO knows of its pages, and of who waits for them.

mod port;

pub use port::{RequestKind, RequestPort};
