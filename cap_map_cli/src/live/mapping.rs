//! A file with memory of others, mapped. It may become shorter at any time: its owner is a
//! machine that may end.

#![allow(unsafe_code)] // maps memory, and handles the signal of what is gone

use std::ffi::c_void;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use anyhow::{Context, Result, ensure};
use cap_map_rs::layout;
use cap_map_rs::sync::{AtomicU64, Ordering};
use libc::siginfo_t;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use signal_hook::consts::SIGBUS;
use signal_hook::low_level::emulate_default_handler;
use signal_hook_registry::register_sigaction;

const PAGE: usize = 4096;

/// Bytes that are taken from a pipe at once.
const PIPE_BYTES: usize = 1 << 16;

/// What comes through a pipe, in memory. Zeros take none.
pub(super) fn kept(mut pipe: File) -> Result<File> {
    let file = File::from(memfd_create("dump", MemfdFlags::CLOEXEC)?);
    let mut buffer = vec![0; PIPE_BYTES];
    let mut at = 0;
    loop {
        let bytes = match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(bytes, at)?;
        }
        at += bytes.len() as u64;
    }
    file.set_len(at)?;
    Ok(file)
}

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
    /// Maps all words of a file. Where it has become shorter, the last one that was mapped reads as
    /// zeros, and says so by [`Self::is_whole`]; an earlier one ends the process by SIGBUS.
    pub(crate) fn new(file: &File) -> Result<Self> {
        let words = usize::try_from(file.metadata()?.len())? / layout::WORD_BYTES;
        ensure!(words != 0, "the file is empty");
        handle_missing_pages()?;
        let bytes = words * layout::WORD_BYTES;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, file, 0)
        };
        let base: NonNull<AtomicU64> =
            NonNull::new(base.context("mapping the memory")?.cast()).context("no address")?;
        let start = base.as_ptr().expose_provenance();
        GUARDED_END.store(0, Ordering::Relaxed);
        IS_WHOLE.store(true, Ordering::Relaxed);
        GUARDED_START.store(start, Ordering::Relaxed);
        GUARDED_END.store(start + bytes, Ordering::Relaxed);
        Ok(Mapping { base, words })
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped as the invariant says for the lifetime of `self`, and page-aligned.
        // Atomic loads of this width may be made from memory that is read-only.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }

    /// Whether no word was read that is not in the file any more.
    pub(crate) fn is_whole(&self) -> bool {
        let is_guarded = GUARDED_START.load(Ordering::Relaxed) == self.base.as_ptr().addr();
        !is_guarded || IS_WHOLE.load(Ordering::Relaxed)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let bytes = self.words * layout::WORD_BYTES;
        if GUARDED_START.load(Ordering::Relaxed) == self.base.as_ptr().addr() {
            GUARDED_END.store(0, Ordering::Relaxed);
        }
        // SAFETY: the mapping is ours, and slices of it borrow `self`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), bytes) };
    }
}

/// Addresses of the last mapping, for the signal handler; an end of zero if there is none.
static GUARDED_START: AtomicUsize = AtomicUsize::new(0);
static GUARDED_END: AtomicUsize = AtomicUsize::new(0);

/// Whether all that was read of it was there.
static IS_WHOLE: AtomicBool = AtomicBool::new(true);

/// Lets zeros take the place of pages of the last mapping that the file does not have any more.
/// All other bus errors end the process as before.
fn handle_missing_pages() -> Result<()> {
    static HANDLED: OnceLock<bool> = OnceLock::new();
    let register = || {
        // SAFETY: the handler reads what the kernel passes to it, touches atomics, and makes
        // system calls that signal handlers may make.
        let registered = unsafe { register_sigaction(SIGBUS, handle_bus_error) };
        registered.is_ok()
    };
    ensure!(*HANDLED.get_or_init(register), "no handler for missing pages");
    Ok(())
}

fn handle_bus_error(info: &siginfo_t) {
    // SAFETY: the signal has an address, as its code says that it comes from an access.
    let address = (info.si_code > 0).then(|| unsafe { info.si_addr() }.addr());
    if !address.is_some_and(put_zeros) {
        // Nothing can be done if this fails.
        let _ = emulate_default_handler(SIGBUS);
    }
}

/// Puts a page of zeros to an address in the last mapping; whether that worked.
fn put_zeros(address: usize) -> bool {
    let guarded = GUARDED_START.load(Ordering::Relaxed)..GUARDED_END.load(Ordering::Relaxed);
    if !guarded.contains(&address) {
        return false;
    }
    IS_WHOLE.store(false, Ordering::Relaxed);
    let page: *mut c_void = std::ptr::with_exposed_provenance_mut(address & !(PAGE - 1));
    // SAFETY: the page belongs to the mapping, and nobody has read anything from it.
    let put =
        unsafe { mmap_anonymous(page, PAGE, ProtFlags::READ, MapFlags::PRIVATE | MapFlags::FIXED) };
    put.is_ok()
}
