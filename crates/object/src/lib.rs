//! What handles name: objects with koids, rights, signals and waiters.
//!
//! Rooms: `table` (handle values) → `object` (kinds of objects) → `signals` (state and waits); `info` turns what `vm` tells
//! into the records of the ABI.
#![forbid(unsafe_code)]

mod info;
mod object;
mod pager;
mod signals;
mod table;

pub use info::{aspace_record, maps_records, maps_v1, maps_v2, vmo_record};
pub use object::{Base, Event, EventPair, Job, Koids, Object, Process, VmarObject, VmoObject};
pub use pager::PagerObject;
pub use signals::{Deadline, Signals, WaitEnd, WaitFor, wait};
pub use table::{Handle, HandleTable};
