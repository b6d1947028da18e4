//! Pages and who sees them.
//!
//! Rooms, each using only those to its right: `vmar` (who owns which addresses) → `vmo` (what is in a memory object) →
//! `pager` (what a pager VMO knows of its pages) → `reclaim` (which pages may be there, and which go next) → `store` (where
//! pages live) → `lock`, `error`, `pressure` (order of locks, errors, how short memory is). A test reads the `use` lines to keep it
//! so.
//!
//! Nothing in here knows handles or rights, and nothing is `unsafe`: memory is what the [`Host`](zxvm_host::Host) says.
#![forbid(unsafe_code)]

mod error;
pub mod lock;
mod pager;
pub mod pressure;
mod reclaim;
mod store;
mod vmar;
mod vmo;

pub use error::status;
pub use pager::{InPlace, PageState, Provide, RequestKind, RequestPort};
pub use reclaim::{WritebackSink, page_queues};
pub use store::StoreSet;
pub use vmar::{
    AddressSpace, AllocateRequest, Census, DirtyRange, Fault, MapRecord, MapRequest, MemoryStats, NewMapping, PagerOp,
    Place, RecordKind, RegionFlags, RootCensus, Survey, Surveyed, SurveyedKind, Vmar, VmarOp, WaitingOne,
};
pub use vmo::{
    Attribution, CachePolicy, ChildKind, ChildObserver, ChildRequest, IoError, MAX_SIZE, Pager, PagerVmoRequest, Vmo,
    VmoInfo, VmoKind, VmoOp,
};
