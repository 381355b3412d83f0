//! Entries of the C++ part.

#![allow(unsafe_code)]

unsafe extern "C" {
    /// Serves as core; does not return.
    pub(crate) safe fn testbed_core(start: u32, step: i32);

    /// Serves as target; does not return.
    pub(crate) safe fn testbed_target();

    /// Bytes of the target's memory image.
    pub(crate) safe fn testbed_image_size() -> u64;
}
