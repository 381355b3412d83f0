//! What this program does while it waits inside the table's code.

/// Gives the processor to somebody else.
pub(crate) struct Yield;

impl cap_map_rs::sync::RelaxStrategy for Yield {
    fn relax() {
        std::thread::yield_now();
    }
}
