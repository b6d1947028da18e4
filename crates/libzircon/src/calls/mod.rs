//! The functions, one file per family.

mod extensions;
mod futex;
mod handle;
mod object;
mod system;
mod vmar;
mod vmo;
