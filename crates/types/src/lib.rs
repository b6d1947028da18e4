//! Zircon's ABI as Rust items: numbers and `#[repr(C)]` records under their C names, and no logic.
//!
//! 1. A name here means what the same name means in `include/zircon/`; `tests/headers.rs` compares both sides.
//! 2. The plain name of a versioned record or topic is its newest version; older ones end in `_v1_t`, `_V1` and so on.
//! 3. Every record is plain data without implicit padding: any bytes of its size are a value of it, and its bytes can
//!    be copied to whoever asks without leaking memory.
//! 4. Size and offsets are stated where a record is declared, and checked by the compiler.
//!
//! Everything is re-exported here flat; only [`catalogue`] is a module of its own.

#![allow(non_camel_case_types)]
#![forbid(unsafe_code)]

#[macro_use]
mod macros;

pub mod catalogue;

mod errors;
mod info;
mod info_kmem;
mod info_maps;
mod info_vmo;
mod limits;
mod objects;
mod padding;
mod pager;
mod port;
mod property;
mod rights;
mod scalars;
mod signals;
mod status;
mod string_view;
mod system;
mod topics;
mod vm;
mod vmo;
mod wait;

pub use errors::*;
pub use info::*;
pub use info_kmem::*;
pub use info_maps::*;
pub use info_vmo::*;
pub use limits::*;
pub use objects::*;
pub use padding::*;
pub use pager::*;
pub use port::*;
pub use property::*;
pub use rights::*;
pub use scalars::*;
pub use signals::*;
pub use status::*;
pub use string_view::*;
pub use system::*;
pub use topics::*;
pub use vm::*;
pub use vmo::*;
pub use wait::*;
