//! Runs the models of `cap_map_rs`: `loom_models [--markdown] [--only MODEL...]`.
//!
//! Each model runs in a process of its own, two at a time, so that one that
//! fails takes nothing else down. Compiled with `--cfg loom` only; without it
//! there are no models, and running none is a failure.

use std::process::ExitCode;

#[cfg(loom)]
mod memory;
#[cfg(loom)]
mod models;
#[cfg(loom)]
mod runner;
#[cfg(loom)]
mod table;

#[cfg(loom)]
fn main() -> ExitCode {
    runner::main(models::ALL)
}

#[cfg(not(loom))]
fn main() -> ExitCode {
    eprintln!("loom: built without --cfg loom, so there is no model to run");
    ExitCode::FAILURE
}
