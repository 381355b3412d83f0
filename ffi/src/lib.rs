//! The C ABI. `ffi/include/cap_map.h` is generated from this crate and
//! committed; `ffi/exports.txt` lists what is exported.
//!
//! Conventions: `cap_map_<noun>_<verb>`; the result is a status unless nothing
//! can fail; outputs come last and are written on success only; nothing panics,
//! unwinds, allocates or waits without bound. Pointers are checked for null,
//! which is all that can be checked.
//!
//! The environment provides one function, `cap_map_relax`.

#![no_std]
#![allow(non_camel_case_types)]

mod monitor;
mod owner;
mod pool;

pub use cap_map_rs::{Rewrite, Status};
pub use monitor::*;
pub use owner::*;
pub use pool::*;

unsafe extern "C" {
    /// Called while waiting for another thread or for the monitor: yields the
    /// processor. Must not use this library.
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

/// Does nothing. The name tells the version of this interface, so that a program
/// does not link with an archive of another one. An incompatible change comes
/// with the next number.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_abi_1() {}

/// A message for a status: static, zero-terminated, without a full stop.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_status_message(status: u32) -> *const core::ffi::c_char {
    cap_map_rs::status::message(status).as_ptr()
}
