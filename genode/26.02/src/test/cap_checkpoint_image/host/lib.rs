//! The C++ reader and writer of images of Genode components, for tests that compare the
//! Rust reader with them.

use std::ffi::{CStr, c_char};

mod cpp {
    use std::ffi::c_char;

    /// What the reader says of a chain.
    #[repr(C)]
    #[derive(Default)]
    pub(crate) struct ChainFound {
        pub(crate) containers: u32,
        pub(crate) rest: u32,
        pub(crate) offset: u64,
    }

    unsafe extern "C" {
        pub(crate) fn image_sample(pages: u32, kind: u32, bytes: *mut u8, room: usize) -> usize;
        pub(crate) fn image_read(
            bytes: *const u8,
            count: usize,
            offset: *mut u64,
            reason: *mut c_char,
            room: usize,
        ) -> bool;
        pub(crate) fn image_history(
            seed: u32,
            unit: bool,
            containers: u32,
            complete: bool,
            bytes: *mut u8,
            room: usize,
        ) -> usize;
        pub(crate) fn image_mixed_history(
            units: u32,
            containers: u32,
            complete: bool,
            bytes: *mut u8,
            room: usize,
        ) -> usize;
        pub(crate) fn image_chain(
            bytes: *const u8,
            count: usize,
            found: *mut ChainFound,
            reason: *mut c_char,
            reason_room: usize,
            merged: *mut u8,
            room: usize,
        ) -> usize;
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
/// Longest chain.
const CHAIN_ROOM: usize = 1 << 20;

fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|c| c.cast_unsigned()).collect();
    let text = CStr::from_bytes_until_nul(&bytes).expect("the text ends in the buffer");
    text.to_str().expect("text").to_owned()
}

/// The image of a small component with an object of each kind and so many pages, at most 3.
#[must_use]
pub fn sample(pages: u32) -> Vec<u8> {
    make_sample(pages, 0)
}

/// The same with region maps of an RM session, and a page fault that is pending.
#[must_use]
pub fn sample_with_maps(pages: u32) -> Vec<u8> {
    make_sample(pages, 1)
}

/// A unit of four components, one of which does not execute yet, with region maps and a page fault.
#[must_use]
pub fn sample_unit(pages: u32) -> Vec<u8> {
    make_sample(pages, 2)
}

fn make_sample(pages: u32, kind: u32) -> Vec<u8> {
    let mut bytes = vec![0; ROOM];
    // SAFETY: the buffer has the size that is passed.
    let length = unsafe { cpp::image_sample(pages, kind, bytes.as_mut_ptr(), bytes.len()) };
    assert!(0 < length && length <= bytes.len(), "no sample");
    bytes.truncate(length);
    bytes
}

/// What a component that changes at random has become after so many containers, each of them saved
/// behind the one before: the chain, and a complete image of the same instant.
#[must_use]
pub fn history(seed: u32, containers: u32) -> (Vec<u8>, Vec<u8>) {
    make_history(|complete, bytes| {
        // SAFETY: the buffer has the size that is passed.
        unsafe {
            cpp::image_history(seed, false, containers, complete, bytes.as_mut_ptr(), bytes.len())
        }
    })
}

/// The same for a unit.
#[must_use]
pub fn history_of_unit(seed: u32, containers: u32) -> (Vec<u8>, Vec<u8>) {
    make_history(|complete, bytes| {
        // SAFETY: the buffer has the size that is passed.
        unsafe {
            cpp::image_history(seed, true, containers, complete, bytes.as_mut_ptr(), bytes.len())
        }
    })
}

/// The same for a component that is a unit at some containers, and a single one at others.
#[must_use]
pub fn mixed_history(units: &[bool]) -> (Vec<u8>, Vec<u8>) {
    let bits = units.iter().rev().fold(0, |bits, unit| bits << 1 | u32::from(*unit));
    let containers = u32::try_from(units.len()).expect("a chain is short");
    make_history(|complete, bytes| {
        // SAFETY: the buffer has the size that is passed.
        unsafe {
            cpp::image_mixed_history(bits, containers, complete, bytes.as_mut_ptr(), bytes.len())
        }
    })
}

/// The chain of a history, and the complete image.
fn make_history(fill: impl Fn(bool, &mut [u8]) -> usize) -> (Vec<u8>, Vec<u8>) {
    let image = |complete| {
        let mut bytes = vec![0; CHAIN_ROOM];
        let length = fill(complete, &mut bytes);
        assert!(0 < length && length <= bytes.len(), "no history");
        bytes.truncate(length);
        bytes
    };
    (image(false), image(true))
}

/// What is behind a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing that looks like a container.
    Nothing,
    /// An intact container of another chain.
    LeftOver,
    /// Where the complete image, or what may be the next increment, is refused, and the text.
    Damaged(u64, String),
}

/// What the reader of chains says: number of containers, what is behind them, and the complete
/// image that they are together.
#[must_use]
pub fn read_chain(bytes: &[u8]) -> (usize, Rest, Vec<u8>) {
    let (mut found, mut reason) = (cpp::ChainFound::default(), [0; 256]);
    // All bytes are those of a container, but for the padding in front of a section.
    let mut merged = vec![0; bytes.len() + 8 * 32];
    // SAFETY: the buffers have the sizes that are passed.
    let length = unsafe {
        cpp::image_chain(
            bytes.as_ptr(),
            bytes.len(),
            &raw mut found,
            reason.as_mut_ptr(),
            reason.len(),
            merged.as_mut_ptr(),
            merged.len(),
        )
    };
    assert!(length <= merged.len(), "no room for {length} bytes");
    merged.truncate(length);
    let rest = match found.rest {
        0 => Rest::Nothing,
        1 => Rest::LeftOver,
        _ => Rest::Damaged(found.offset, text(&reason)),
    };
    (found.containers as usize, rest, merged)
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
