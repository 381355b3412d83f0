//! Linking

/// Version of the library.
pub const CAP_MAP_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of this interface. It grows with a change that breaks programs.
pub const CAP_MAP_ABI_VERSION: u32 = 2;

/// Does nothing. The name carries CAP_MAP_ABI_VERSION: a program that calls it
/// does not link with an archive of another version.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_abi_2() {}

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
