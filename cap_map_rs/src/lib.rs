//! A flat capability table in memory that a monitor may share.
//!
//! A capability on Fiasco.OC is a kernel selector and a system-wide badge. This
//! crate keeps the mapping between the two as one word per selector slot. The
//! principles, each argued in `doc/design.md`:
//!
//! * **Badges live in one place**, the shared region. Everything else (index,
//!   reference counts, free slots, object pools) is private to the component,
//!   derived from it, and rebuilt when a monitor has rewritten badges.
//! * **Neither side can hold up the other.** The owner writes with plain stores and waits
//!   for nobody. A batch of a monitor is decided by one bit. Every wait is bounded.
//! * **The other side is not trusted.** Geometry is copied and validated once. No
//!   pointer or offset from the region is followed. Every loop is bounded.
//! * **It runs before anything else does**: no allocation, no panic, no unwinding.
//!
//! Modules, importing downwards only:
//!
//! | layer | modules |
//! |---|---|
//! | roles | `owner` (the component), `monitor`, `pool` (from badges to objects) |
//! | private structures | `index`, `slot_bitmap`, `chain`, `segments` |
//! | protocol | `seqlock` (all transitions of the shared words) |
//! | access | `memory` (raw memory as atomic words), `header`, `region`, `entries` |
//! | atomics | `sync` (the only source of atomics, fences and the private lock) |
//! | values | `layout` (bytes), `word`, `status`, `limits` (bounds of loops) |

#![cfg_attr(not(any(test, loom)), no_std)]
#![deny(unsafe_code)]

pub mod layout;
pub mod limits;
pub mod memory;
pub mod monitor;
pub mod owner;
pub mod pool;
pub mod status;
pub mod sync;
pub mod word;

mod chain;
mod entries;
mod header;
mod index;
mod region;
mod segments;
mod seqlock;
mod slot_bitmap;

pub use header::{Area, Geometry, Header, Identity, Kind};
pub use monitor::{Attached, Monitor, Refusal, Rewrite, Snapshot, Stamp};
pub use owner::{Config, Growth, Kernel, Mapped, Owner, Publication, Released};
pub use region::Region;
pub use segments::MAX_SEGMENTS;
pub use status::Status;
pub use word::{Slot, SlotWord};
