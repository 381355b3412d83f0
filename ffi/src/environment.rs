//! Provided by the environment

unsafe extern "C" {
    /// Yields the processor. The library calls it while it waits for another
    /// thread or for a monitor. It must not use this library.
    fn cap_map_relax();
}

/// The waiting strategy of all exported functions.
pub struct Environment;

impl cap_map_rs::sync::RelaxStrategy for Environment {
    fn relax() {
        // SAFETY: takes and returns nothing; the environment provides it.
        unsafe { cap_map_relax() }
    }
}
