//! The test driver: sets up systems, moves the target from one to the next,
//! and judges what arrived.

mod numbering;
mod report;
mod run;
mod system;
mod verify;

pub(crate) use run::{Options, migrate, restore};
