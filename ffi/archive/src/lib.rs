//! The C ABI as a static archive. It contains no panic path: if the compiler
//! cannot prove that, the handler below stays in and its call of a function
//! that exists nowhere makes every link fail (and `./check abi` before).

#![cfg_attr(panic = "abort", no_std)]

pub use cap_map_ffi::*;

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn cap_map_panic_path_in_archive() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { cap_map_panic_path_in_archive() }
}
