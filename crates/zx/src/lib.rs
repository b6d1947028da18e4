//! Zircon's handles and virtual memory on Linux, in the shape of Fuchsia's Rust binding (crate `zx`, its newest
//! generation: [`NullableHandle`]).
//!
//! ```
//! use zxvm as zx;
//!
//! # fn main() -> Result<(), zx::Status> {
//! let vmo = zx::Vmo::create(8192)?;
//! vmo.write(b"hello", 4096)?;
//! let root = zx::runtime::vmar_root_self();
//! let addr = root.map(0, &vmo, 0, 8192, zx::VmarFlags::PERM_READ | zx::VmarFlags::PERM_WRITE)?;
//! root.op_range(zx::VmarOp::DECOMMIT, addr, 8192)?;
//! assert_eq!(vmo.read_to_array::<u8, 5>(4096)?, [0; 5]);
//! // SAFETY: nothing refers to the memory.
//! unsafe { root.unmap(addr, 8192) }
//! # }
//! ```
//!
//! 1. A type here is a handle and nothing else: what it may do is decided by the rights of the handle at each call.
//! 2. Owned handles close on drop; borrowed ones ([`Unowned`]) never.
//! 3. Every call that can fail returns a [`Status`]. Only [`Event::create`], [`EventPair::create`],
//!    [`Port::create`], and [`Packet::contents`] of what is never sent, panic instead.
//! 4. All of it is thread-safe: methods take `&self`.
//! 5. `unsafe` marks what can pull memory away from under a reference: it stands in signatures. The few blocks are in
//!    `raw.rs`.
//! 6. What is not in Fuchsia's binding says so with its first words. It is in the files `*_ext.rs`, and what is unsafe in `raw.rs`.
//!
//! Two generations of the binding are served: methods are inherent, and also come from the traits of [`prelude`] under
//! the names that older code uses. After `fork` every call of the child fails with `BAD_STATE`.
#![deny(unsafe_code)]

#[macro_use]
mod assoc;
#[macro_use]
mod flags;
#[macro_use]
mod object_type;

mod bti;
mod cache_policy;
mod event;
mod eventpair;
mod handle;
mod handle_info;
mod info;
mod job;
mod koid;
mod maps;
mod memory_ext;
mod name;
mod packet;
mod pager;
mod pager_ext;
mod port;
mod process;
mod property;
#[allow(unsafe_code)]
mod raw;
mod resource;
mod rights;
pub mod runtime;
mod runtime_ext;
mod signals;
mod system;
mod system_ext;
mod time;
mod top_ext;
mod traits;
mod unowned;
mod vmar;
mod vmar_flags;
mod vmo;
mod vmo_child;
mod vmo_ext;
mod vmo_info;
mod wait;

/// The C names: numbers, and records as C lays them out.
pub mod sys {
    pub use zxvm_types::*;

    /// What is asked of a pager: the numbers `ZX_PAGER_VMO_*` as a type.
    #[allow(non_camel_case_types)]
    #[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
    #[repr(u16)]
    pub enum zx_page_request_command_t {
        /// Supply these pages.
        ZX_PAGER_VMO_READ = ZX_PAGER_VMO_READ,
        /// No more commands will come.
        ZX_PAGER_VMO_COMPLETE = ZX_PAGER_VMO_COMPLETE,
        /// Allow these pages to be written.
        ZX_PAGER_VMO_DIRTY = ZX_PAGER_VMO_DIRTY,
    }
}

/// The traits that older code calls methods through.
pub mod prelude {
    pub use crate::traits::{AsHandleRef, HandleBased, Peered};
}

pub use bti::Bti;
pub use cache_policy::CachePolicy;
pub use event::Event;
pub use eventpair::EventPair;
pub use handle::{Handle, NullableHandle};
pub use handle_info::{HandleBasicInfo, HandleCountInfo};
pub use info::Topic;
pub use job::Job;
pub use koid::Koid;
pub use maps::{MapDetails, MapInfo, MappingDetails};
pub use memory_ext::{MemoryStats, memory_budget, memory_stats, reclaim, set_memory_budget, writeback_event};
pub use name::Name;
pub use object_type::ObjectType;
pub use packet::{InterruptPacket, Packet, PacketContents, PagerPacket, SignalPacket, UserPacket};
pub use pager::{Pager, PagerOp, PagerOptions, PagerWritebackBeginOptions};
pub use pager_ext::{InPlace, PagerVmoStats, PagerVmoStatsOptions, VmoDirtyRange};
pub use port::{Port, PortOptions, WaitAsyncOpts};
pub use process::Process;
pub use property::Property;
pub use raw::{try_read, try_write};
pub use resource::Resource;
pub use rights::Rights;
pub use runtime_ext::{FaultDelivery, set_fault_delivery};
pub use signals::Signals;
pub use system::{system_get_dcache_line_size, system_get_num_cpus, system_get_page_size, system_get_physmem};
pub use system_ext::{MemoryPressure, memory_pressure, system_get_event};
pub use time::*;
pub use top_ext::{serve_top, stop_serving_top};
pub use traits::{AsHandleRef, HandleBased, Peered};
pub use unowned::{HandleRef, Unowned};
pub use vmar::{Vmar, VmarInfo, VmarOp};
pub use vmar_flags::{VmarFlags, VmarFlagsExtended};
pub use vmo::{TransferDataOptions, Vmo, VmoOp, VmoOptions};
pub use vmo_child::VmoChildOptions;
pub use vmo_ext::free_zero_pages_every;
pub use vmo_info::{VmoInfo, VmoInfoFlags};
pub use wait::{WaitItem, WaitResult, object_wait_many};
pub use zxvm_types::{Status, ok};
