//! The program from the outside.

mod commands;
mod common;
mod images;
mod processes;
mod restore;
