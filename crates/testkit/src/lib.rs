//! A naive model of the whole interface, and what drives it in lockstep with the engine.
//!
//! 1. [`model`] is written from the specification alone and shares no code with the engine: where both agree, two
//!    independent readings agree.
//! 2. What the specification leaves to the engine (handle values, koids, placement) the model takes over from the
//!    engine's answer, after checking that the choice was a legal one.
//! 3. A run is decided by its seed: the same seed gives the same calls on every host.
//! 4. `unsafe` is in [`cpu`] alone, which reaches memory at addresses that may not be there.
#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod cpu;
pub mod engine;
pub mod family;
pub mod generate;
pub mod group;
pub mod helper;
pub mod model;
pub mod op;
pub mod racing;
pub mod run;
mod run_in_budget;

/// Bytes in a page.
pub const PAGE: u64 = 4096;

/// `n` rounded up to whole pages; `None` where that overflows.
pub fn pages_up(n: u64) -> Option<u64> {
    n.checked_next_multiple_of(PAGE)
}
