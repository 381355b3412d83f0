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
pub mod monitor;
pub mod owner;
pub mod seeds;

mod hostile;
mod memory;

// The testbed's reader, compiled here so that its coverage is seen; the testbed
// itself brings C++ and another `cap_map_relax`.
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../testbed/src/checkpoint/mod.rs"]
mod checkpoint;
#[allow(dead_code)]
#[path = "../../../testbed/src/table.rs"]
mod table;

/// A target: fails by a panic, a signal, or by taking too long.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 4] = [
    ("monitor", monitor::run),
    ("owner", owner::run),
    ("checkpoint", checkpoint_file::run),
    ("abi", abi::run),
];
