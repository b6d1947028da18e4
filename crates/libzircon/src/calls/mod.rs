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
mod vmar;
mod vmo;
