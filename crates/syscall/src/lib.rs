//! One function per `zx_` call: decode, act, encode.
//!
//! Each checks in the order that the specification gives and changes nothing before the last check that can be made
//! beforehand. Buffers of callers come as [`user`] values, results go out through [`Out`]; a result that cannot be written
//! undoes what was made for it.
//!
//! All functions are safe: no memory of a client is ever a Rust reference here. Whether a client still uses what it
//! unmaps or decommits is the business of the client, and of the `unsafe` of the faces above.
#![forbid(unsafe_code)]

mod access;
mod child;
mod event;
mod futex;
mod handle;
mod info;
mod kernel;
mod memory;
mod object;
mod options;
mod out;
mod pager;
mod port;
mod relief;
pub mod system;
mod system_event;
mod top;
mod vmar;
mod vmo;
mod zero_scan;

pub use kernel::{Config, Kernel};
pub use memory::budget_of;
pub use out::Out;
pub use zxvm_host::linux::Delivery;
pub use zxvm_host::user;
pub use zxvm_vm::pressure;
pub use zxvm_vm::{MemoryStats, Provide};
