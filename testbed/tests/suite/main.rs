//! The program from the outside.

mod commands;
mod common;
mod processes;
mod restore;
