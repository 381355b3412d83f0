//! Memory of the target that the monitor provides: files without a name.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use anyhow::{Context, Result};
use cap_map_rs::memory::region_at;
use cap_map_rs::{Region, layout};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::cpp::testbed_image_size;
use crate::wire::{TABLE_ADDRESS, TABLE_DISTANCE, TARGET_MAX_SLOTS, TARGET_SLOTS};

/// Bytes of a table with that many slots.
pub(crate) const fn table_bytes(slots: u32) -> usize {
    layout::SLOTS + slots as usize * layout::WORD_BYTES
}

/// Where the target's table lies when it has that many slots; `None` if it never has.
pub(crate) fn table_address(slots: u32) -> Option<u64> {
    let growths = 0..=TARGET_MAX_SLOTS.ilog2() - TARGET_SLOTS.ilog2();
    let growths = growths.into_iter().find(|growths| TARGET_SLOTS << growths == slots)?;
    Some(TABLE_ADDRESS + TABLE_DISTANCE * u64::from(growths))
}

/// Bytes of the target's memory image, whole pages.
pub(crate) fn image_bytes() -> u64 {
    testbed_image_size().next_multiple_of(0x1000)
}

/// Zeroed memory of `size` bytes as a file without a name.
pub(crate) fn anonymous_file(name: &str, size: u64) -> Result<File> {
    let file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.set_len(size).with_context(|| format!("memory for {name}"))?;
    Ok(file)
}

/// These bytes as a file without a name.
pub(crate) fn file_of(name: &str, bytes: &[u8]) -> Result<File> {
    let file = anonymous_file(name, bytes.len() as u64)?;
    file.write_all_at(bytes, 0).with_context(|| format!("memory for {name}"))?;
    Ok(file)
}

/// All bytes of such a file.
pub(crate) fn contents(file: &File) -> Result<Vec<u8>> {
    let size = usize::try_from(file.metadata()?.len())?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The target's table, mapped by a monitor.
///
/// # Invariants
/// `base` is the start of a shared mapping of `size` bytes that stays until the value is
/// dropped.
pub(crate) struct TableMemory {
    base: NonNull<u8>,
    size: usize,
    file: File,
}

impl TableMemory {
    /// Maps the whole file.
    pub(crate) fn new(file: File) -> Result<Self> {
        let size = usize::try_from(file.metadata()?.len())?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(std::ptr::null_mut(), size, access, MapFlags::SHARED, &file, 0) };
        let base = NonNull::new(base.context("mapping the table")?.cast()).context("no address")?;
        Ok(TableMemory { base, size, file })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn region(&self) -> Result<Region<'_>> {
        // SAFETY: mapped as the invariant says for the lifetime of `self`. The
        // target uses it by the library only, and files are written before.
        unsafe { region_at(self.base.as_ptr(), self.size) }
            .map_err(|status| anyhow::anyhow!("memory of the table: {status}"))
    }
}

impl Drop for TableMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and regions of it borrow `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.size) };
    }
}
