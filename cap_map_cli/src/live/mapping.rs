//! A file with memory of others, mapped.

#![allow(unsafe_code)] // maps memory

use std::fs::File;
use std::ptr::NonNull;

use anyhow::{Context, Result, ensure};
use cap_map_rs::layout;
use cap_map_rs::sync::AtomicU64;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Memory that others write, to be looked at only.
///
/// # Invariants
/// `base` is the start of a shared mapping of at least `words` words that stays until the
/// value is dropped.
pub(crate) struct Mapping {
    base: NonNull<AtomicU64>,
    words: usize,
}

impl Mapping {
    /// Maps all words of a file. One that is made shorter meanwhile ends the process that reads
    /// behind its new end by SIGBUS.
    pub(crate) fn new(file: &File) -> Result<Self> {
        let words = usize::try_from(file.metadata()?.len())? / layout::WORD_BYTES;
        ensure!(words != 0, "the file is empty");
        let bytes = words * layout::WORD_BYTES;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, file, 0)
        };
        let base =
            NonNull::new(base.context("mapping the memory")?.cast()).context("no address")?;
        Ok(Mapping { base, words })
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped as the invariant says for the lifetime of `self`, and page-aligned.
        // Atomic loads of this width may be made from memory that is read-only.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let bytes = self.words * layout::WORD_BYTES;
        // SAFETY: the mapping is ours, and slices of it borrow `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), bytes) };
    }
}
