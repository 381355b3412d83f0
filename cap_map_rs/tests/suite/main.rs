//! Tests of the table through its public interface, one module per subject.

#![cfg(not(loom))]

mod attach;
mod budget;
mod common;
mod helping;
mod history;
mod hostile;
mod literal_layout;
mod owner;
mod pool;
mod reader;
mod rewrite;
mod stress;
