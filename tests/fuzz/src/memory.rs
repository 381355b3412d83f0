//! Memory that notices misuse: regions between pages that cannot be accessed, private
//! memory of exactly its size, and an allocator that counts.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::AtomicU64;

use cap_map_rs::Region;
use cap_map_rs::layout::{CONSTANT, WORD_BYTES};
use cap_map_rs::memory::{Private, PrivateSizes, region_at};
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

/// The checksum that the header in front of these words should have: FNV-1a of 64 bits.
pub(crate) fn checksum(words: impl Fn(usize) -> u64) -> u64 {
    let covered = CONSTANT.into_iter().flatten().step_by(WORD_BYTES);
    let words = covered.map(|offset| words(offset / WORD_BYTES));
    words.flat_map(u64::to_ne_bytes).fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A block whose neighbours the address sanitizer guards.
pub(crate) struct Block(Box<[u64]>);

impl Block {
    pub(crate) fn new(bytes: usize) -> Self {
        Block(vec![u64::MAX; bytes / 8].into_boxed_slice())
    }

    pub(crate) fn for_slots(max_slots: usize) -> Self {
        Self::new(PrivateSizes::new(max_slots).expect("a capacity of the layout").bytes())
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    pub(crate) fn base(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    /// The private arrays in this block.
    pub(crate) fn arrays(&mut self, max_slots: usize) -> Private<'_> {
        let (base, bytes) = (self.base(), self.bytes());
        // SAFETY: the block is borrowed as long as the result lives.
        unsafe { Private::at(base, bytes, max_slots) }.expect("as large as it says")
    }
}

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static SUM: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with sizes noted.
struct Noting;

#[global_allocator]
static ALLOCATOR: Noting = Noting;

fn note(size: usize) {
    // A thread that ends has no such variables any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
    let _ = SUM.try_with(|sum| sum.set(sum.get().saturating_add(size)));
}

// SAFETY: hands everything through.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's duty.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's duty.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Runs `f`; returns its result, the largest block it asked for, and all bytes.
pub(crate) fn allocations<T>(f: impl FnOnce() -> T) -> (T, usize, usize) {
    LARGEST.set(0);
    SUM.set(0);
    let result = f();
    (result, LARGEST.get(), SUM.get())
}
