//! What handles name: objects with koids, rights, signals and waiters.
//!
//! Rooms: `table` (handle values) → `object` (kinds of objects) → `signals` (state and waits). `port` is a kind of object
//! with a file of its own, `page_slot` the place in it of a pager VMO; `info` turns what `vm` tells into the records of the ABI.
#![forbid(unsafe_code)]

mod info;
mod object;
mod page_slot;
mod pager;
mod port;
mod signals;
mod table;

pub use info::{aspace_record, maps_records, maps_v1, maps_v2, vmo_record};
pub use object::{Base, Event, EventPair, Job, Koids, Object, Process, VmarObject, VmoObject};
pub use page_slot::PageSlot;
pub use pager::PagerObject;
pub use port::{AsyncWait, MAX_USER_PACKETS, Port};
pub use signals::{Deadline, ObserverId, Signals, Trigger, WaitEnd, WaitFor, Watch, wait};
pub use table::{Handle, HandleTable};
