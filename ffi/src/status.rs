//! Status

// Also how results reach the caller: as a status, with outputs that may be null.

use core::ptr::NonNull;

pub use cap_map_rs::Status;

/// A message for a status: static, zero-terminated, without a full stop.
#[unsafe(no_mangle)]
pub extern "C" fn cap_map_status_message(status: u32) -> *const core::ffi::c_char {
    cap_map_rs::status::message(status).as_ptr()
}

/// Writes an output if the caller wants it.
///
/// # Safety
/// 1. `out` is null or valid for a write.
pub(crate) unsafe fn give<T>(out: *mut T, value: T) {
    if let Some(out) = NonNull::new(out) {
        // SAFETY: duty 1.
        unsafe { out.write(value) }
    }
}

/// Turns a result with one output into a status.
///
/// # Safety
/// 1. `out` is null or valid for a write.
pub(crate) unsafe fn answer<T>(result: Result<T, Status>, out: *mut T) -> Status {
    match result {
        Ok(value) => {
            // SAFETY: duty 1.
            unsafe { give(out, value) };
            Status::Ok
        }
        Err(status) => status,
    }
}

pub(crate) fn status_of(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
}
