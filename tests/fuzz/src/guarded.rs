//! Memory between two pages that cannot be accessed.

#![allow(unsafe_code)]

use std::sync::atomic::AtomicU64;

use cap_map_rs::Region;
use cap_map_rs::memory::region_at;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

const PAGE: usize = 4096;
const PAGES: usize = 3;

/// Where in its mapping a region lies.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Its first byte follows a guard page.
    Front,
    /// A guard page follows its last byte.
    Back,
}

/// A mapping of [`PAGES`] pages that stays for ever.
///
/// # Invariants
/// `base` is the first usable byte, a page's start.
#[derive(Clone, Copy)]
pub(crate) struct Guarded {
    base: usize,
}

impl Guarded {
    pub(crate) const BYTES: usize = PAGE * PAGES;

    pub(crate) fn new() -> Self {
        let (access, all) = (ProtFlags::empty(), PAGE * (PAGES + 2));
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), all, access, MapFlags::PRIVATE) };
        let usable = start.expect("address space").wrapping_byte_add(PAGE);
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: within the mapping just made.
        unsafe { mprotect(usable, Self::BYTES, access) }.expect("memory");
        Guarded { base: usable.expose_provenance() }
    }

    /// Start of `size` bytes at that place.
    pub(crate) fn at(self, place: Place, size: usize) -> *mut u8 {
        assert!(size <= Self::BYTES, "mapping is large enough");
        std::ptr::with_exposed_provenance_mut(match place {
            Place::Front => self.base,
            Place::Back => self.base + Self::BYTES - size,
        })
    }

    /// All words of the mapping.
    pub(crate) fn all(self) -> &'static [AtomicU64] {
        self.words(Place::Front, Self::BYTES)
    }

    /// The words of `size` bytes at that place.
    pub(crate) fn words(self, place: Place, size: usize) -> &'static [AtomicU64] {
        // SAFETY: mapped for ever, aligned, used by atomic operations only.
        unsafe { std::slice::from_raw_parts(self.at(place, size).cast(), size / 8) }
    }

    /// The region of `size` bytes (a multiple of 64) at that place.
    pub(crate) fn region(self, place: Place, size: usize) -> Region<'static> {
        // SAFETY: as above.
        unsafe { region_at(self.at(place, size), size) }.expect("aligned and large enough")
    }
}
