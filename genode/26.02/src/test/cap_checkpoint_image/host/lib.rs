//! The C++ reader and writer of images of Genode components, for tests that compare the
//! Rust reader with them.

use std::ffi::{CStr, c_char};

mod cpp {
    use std::ffi::c_char;

    unsafe extern "C" {
        pub(crate) fn image_sample(pages: u32, bytes: *mut u8, room: usize) -> usize;
        pub(crate) fn image_read(
            bytes: *const u8,
            count: usize,
            offset: *mut u64,
            reason: *mut c_char,
            room: usize,
        ) -> bool;
        pub(crate) fn image_json(
            bytes: *const u8,
            count: usize,
            text: *mut c_char,
            room: usize,
        ) -> bool;
    }
}

/// Longest text that is handed over.
const ROOM: usize = 1 << 16;

fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|c| c.cast_unsigned()).collect();
    let text = CStr::from_bytes_until_nul(&bytes).expect("the text ends in the buffer");
    text.to_str().expect("text").to_owned()
}

/// The image of a small component with an object of each kind and so many pages, at most 3.
#[must_use]
pub fn sample(pages: u32) -> Vec<u8> {
    let mut bytes = vec![0; ROOM];
    // SAFETY: the buffer has the size that is passed.
    let length = unsafe { cpp::image_sample(pages, bytes.as_mut_ptr(), bytes.len()) };
    assert!(0 < length && length <= bytes.len(), "no sample");
    bytes.truncate(length);
    bytes
}

/// What the reader says to an image.
///
/// # Errors
/// Where the image is refused, and the text of the refusal.
pub fn read(image: &[u8]) -> Result<(), (u64, String)> {
    let (mut offset, mut reason) = (0, [0; 256]);
    // SAFETY: the buffers have the sizes that are passed.
    let valid = unsafe {
        cpp::image_read(
            image.as_ptr(),
            image.len(),
            &raw mut offset,
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    if valid { Ok(()) } else { Err((offset, text(&reason))) }
}

/// The contents of a valid image as JSON.
#[must_use]
pub fn json(image: &[u8]) -> String {
    let mut buffer = vec![0; ROOM];
    // SAFETY: the buffers have the sizes that are passed.
    let done =
        unsafe { cpp::image_json(image.as_ptr(), image.len(), buffer.as_mut_ptr(), buffer.len()) };
    assert!(done, "the image is refused, or too large");
    text(&buffer)
}
