//! Private memory of exactly its size, and what is allocated meanwhile.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cap_map_rs::memory::{Private, PrivateSizes};

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
