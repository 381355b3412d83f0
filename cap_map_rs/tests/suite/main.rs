//! Tests of the table through its public interface, one module per subject.

#![cfg(not(loom))]

mod attach;
mod common;
#[cfg(not(miri))]
mod foreign_words;
mod growth;
mod held_lock;
mod history;
mod hostile;
mod insert_map;
mod literal_layout;
mod model;
mod overtaken;
mod owner;
mod placement;
mod pool;
mod pool_image;
mod protocol;
mod reader;
mod recovery;
mod rewrite;

mod stress;
