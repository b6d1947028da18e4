//! All of Linux that zxvm asks for, behind one trait ([`Host`]).
//!
//! Three implementers: [`linux`], the real thing; [`sim`], a deterministic model of it; and [`fail`], a wrapper that
//! fails the Nth call of either. `unsafe` code of the whole engine lives in [`linux`] and nowhere else.
#![deny(unsafe_code)]

pub mod addr;
mod api;
pub mod fail;
#[allow(unsafe_code)]
pub mod linux;
pub mod sim;

pub use addr::{AddrRange, PAGE_SIZE, RangeError, StoreRange, VmoRange};
pub use api::*;
pub use linux::user;
