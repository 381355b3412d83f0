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
use crate::wire::TARGET_SLOTS;

/// Bytes of the target's table.
pub(crate) const TABLE_BYTES: usize = layout::SLOTS + TARGET_SLOTS as usize * layout::WORD_BYTES;

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
/// `base` is the start of a shared mapping of [`TABLE_BYTES`] that stays until
/// the value is dropped.
pub(crate) struct TableMemory {
    base: NonNull<u8>,
    file: File,
}

impl TableMemory {
    pub(crate) fn new(file: File) -> Result<Self> {
        // A mapping behind the end of a file would end in a bus error.
        anyhow::ensure!(file.metadata()?.len() >= TABLE_BYTES as u64, "table file is too short");
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base =
            unsafe { mmap(std::ptr::null_mut(), TABLE_BYTES, access, MapFlags::SHARED, &file, 0) };
        let base = NonNull::new(base.context("mapping the table")?.cast()).context("no address")?;
        Ok(TableMemory { base, file })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn region(&self) -> Result<Region<'_>> {
        // SAFETY: mapped as the invariant says for the lifetime of `self`. The
        // target uses it by the library only, and files are written before.
        unsafe { region_at(self.base.as_ptr(), TABLE_BYTES) }
            .map_err(|status| anyhow::anyhow!("memory of the table: {status}"))
    }
}

impl Drop for TableMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and regions of it borrow `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), TABLE_BYTES) };
    }
}
