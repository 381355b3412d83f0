//! Status

pub use cap_map_rs::Status;

/// A message for a status: static, zero-terminated, without a full stop.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_status_message(status: u32) -> *const core::ffi::c_char {
    cap_map_rs::status::message(status).as_ptr()
}
