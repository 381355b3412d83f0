//! The program from the outside.

mod common;
mod inspect;
mod migrate;
mod processes;
mod restore;
mod usage;
