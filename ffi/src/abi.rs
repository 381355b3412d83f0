//! Version

/// Version of the library.
pub const CAP_MAP_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of this interface. It grows with a change that breaks programs.
pub const CAP_MAP_ABI_VERSION: u32 = 1;

/// Does nothing. The name carries CAP_MAP_ABI_VERSION: a program that calls it
/// does not link with an archive of another version.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_abi_1() {}
