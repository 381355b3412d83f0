//! Hostile bytes against everything that reads memory or files of others.
//!
//! Each target is a function of a byte string, which it decodes into a region,
//! calls, and what the peer writes meanwhile: at hook points (between two calls,
//! and in each wait), or from a second thread that repeats its list until the
//! calls are over. A target fails by a panic, a signal or a time-out:
//!
//! * regions end (or start) at pages that cannot be accessed, private arrays are
//!   heap blocks of exactly their size, which the address sanitizer guards;
//! * every call has a bound of waits, and libFuzzer's time limit beyond that;
//! * allocations made while a file is decoded are counted.

#![deny(unsafe_code)]

pub mod abi;
pub mod checkpoint_file;
pub mod corpus;
pub mod look;
pub mod monitor;
pub mod owner;

mod hostile;
mod memory;

// What cap_map_cli reads with, compiled here so that its coverage is seen. The crate
// itself brings C++ and another `cap_map_relax`.
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../cap_map_cli/src/checkpoint/mod.rs"]
mod checkpoint;
#[allow(dead_code, unused_imports)]
#[path = "../../../cap_map_cli/src/image/mod.rs"]
mod image;
#[allow(dead_code, unsafe_code, unused_imports)]
#[path = "../../../cap_map_cli/src/live/mod.rs"]
mod live;
#[allow(dead_code)]
#[path = "../../../cap_map_cli/src/table.rs"]
mod table;
mod wire {
    pub(crate) const COMPONENT_CORE: u32 = 0;
    pub(crate) const COMPONENT_TARGET: u32 = 1;
    pub(crate) const COMPONENT_CLIENTS: u32 = 2;
    pub(crate) const COMPONENT_MONITOR: u32 = 3;
}

/// A target: fails by a panic, a signal, or by taking too long.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("monitor", monitor::run),
    ("owner", owner::run),
    ("checkpoint", checkpoint_file::run),
    ("abi", abi::run),
    ("image", look::image),
    ("live", look::live),
];
