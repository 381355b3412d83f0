//! Runs the models of `cap_map_rs` as tests: `loom_models --help` says how to choose them.
//!
//! Compiled with `--cfg loom` only; without it there are no models, and running none is a
//! failure.

use std::process::ExitCode;

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
    ExitCode::from(2)
}
