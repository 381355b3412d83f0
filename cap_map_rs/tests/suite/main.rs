//! Tests of the table through its public interface, one module per subject.

#![cfg(not(loom))]

mod attach;
mod budget;
mod common;
mod helping;
mod history;
mod hostile;
mod insert_map;
mod literal_layout;
mod model;
mod owner;
mod placement;
mod pool;
mod reader;
mod rewrite;
mod stress;
