//! The functions, one file per family.

mod extensions;
mod futex;
mod handle;
mod in_place;
mod memory;
mod object;
mod pager;
mod port;
mod system;
pub mod top;
mod vmar;
mod vmo;
