//! Raw memory as slices of atomic words.
//!
//! Memory that a peer may write at any time is an *allegation*. It is only ever seen
//! through atomics, and what it says is checked elsewhere. This file, `chain`, `pool`
//! and the opening of a restored lock are the only unsafe code of the crate.

#![allow(unsafe_code)]

use crate::entries::Entries;
use crate::layout::{MAX_CAPACITY, MIN_CAPACITY, REGION_ALIGN, SLOTS, WORD_BYTES};
use crate::region::{HEADER_WORDS, Region};
use crate::status::Status;
use crate::sync::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The words of `size` bytes at `base`, as a region whose contents are unknown.
///
/// # Errors
/// [`Status::BadArgument`] for null, [`Status::Misaligned`], and
/// [`Status::TooSmall`] if header and [`MIN_CAPACITY`] slots do not fit.
///
/// # Safety
/// 1. `size` bytes at `base` stay mapped readable and writable for `'m`.
/// 2. For `'m` everybody accesses them by atomic operations only.
pub unsafe fn region_at<'m>(base: *mut u8, size: usize) -> Result<Region<'m>, Status> {
    if base.is_null() {
        return Err(Status::BadArgument);
    }
    if !base.addr().is_multiple_of(REGION_ALIGN) {
        return Err(Status::Misaligned);
    }
    if size < SLOTS + MIN_CAPACITY * WORD_BYTES {
        return Err(Status::TooSmall);
    }
    let slots = ((size - SLOTS) / WORD_BYTES).min(MAX_CAPACITY);
    // SAFETY: aligned and large enough as checked; duties 1 and 2 give the rest.
    let words =
        unsafe { core::slice::from_raw_parts(base.cast::<AtomicU64>(), HEADER_WORDS + slots) };
    Region::new(words).ok_or(Status::TooSmall)
}

/// The region that an owner works on at present. The owner can switch it while readers
/// use it. A region that was current once must stay readable.
///
/// # Invariants
/// `slots` points to at least `len` words at every instant, because capacities never
/// shrink and the pointers are published before `len`.
pub(crate) struct CurrentRegion {
    header: AtomicPtr<[AtomicU64; HEADER_WORDS]>,
    slots: AtomicPtr<AtomicU64>,
    len: AtomicUsize,
}

impl CurrentRegion {
    pub(crate) fn new(region: Region<'_>) -> Self {
        CurrentRegion {
            header: AtomicPtr::new(core::ptr::from_ref(region.header()).cast_mut()),
            slots: AtomicPtr::new(region.slots().as_ptr().cast_mut()),
            len: AtomicUsize::new(region.slots().len()),
        }
    }

    #[inline]
    pub(crate) fn get<'m>(&self) -> Region<'m> {
        let slots = self.slots();
        let header = self.header.load(Ordering::Acquire);
        // SAFETY: the invariant; `'m` is the lifetime of the owner's memory.
        Region::from_parts(unsafe { &*header }, slots)
    }

    /// The slots alone, for callers that need no header.
    #[inline]
    pub(crate) fn slots<'m>(&self) -> &'m [AtomicU64] {
        // Acquire pairs with the releases in `switch`: a reader that sees the new length
        // sees the new pointers. The old length is valid for both regions.
        let len = self.len.load(Ordering::Acquire);
        let slots = self.slots.load(Ordering::Acquire);
        // SAFETY: the invariant; `'m` is the lifetime of the owner's memory.
        unsafe { core::slice::from_raw_parts(slots, len) }
    }

    /// Makes `region` current. It refuses a region with fewer slots than now.
    pub(crate) fn switch(&self, region: Region<'_>) -> Result<(), Status> {
        if region.slots().len() < self.len.load(Ordering::Relaxed) {
            return Err(Status::TooSmall);
        }
        self.header.store(core::ptr::from_ref(region.header()).cast_mut(), Ordering::Release);
        self.slots.store(region.slots().as_ptr().cast_mut(), Ordering::Release);
        self.len.store(region.slots().len(), Ordering::Release);
        Ok(())
    }
}

/// The arrays that are private to a component.
pub struct Private<'m> {
    pub(crate) index: Entries<'m>,
    pub(crate) refs: &'m [AtomicU16],
    pub(crate) bitmap: &'m [AtomicU32],
    pub(crate) summary: &'m [AtomicU32],
    pub(crate) buckets: &'m [AtomicU64],
}

/// Sizes of the private arrays of a table with room for `max_slots`.
#[derive(Clone, Copy, Debug)]
pub struct PrivateSizes {
    /// Entries of the badge index, a power of two, at least twice the slots.
    pub index: usize,
    /// Bytes per entry of the badge index: 2 or 4.
    pub index_entry: usize,
    /// Reference counts, 2 bytes each.
    pub refs: usize,
    /// Words of the bitmap of free slots, 4 bytes each.
    pub bitmap: usize,
    /// Words of its summary, 4 bytes each.
    pub summary: usize,
    /// Buckets of the object pools, 8 bytes each.
    pub buckets: usize,
}

impl PrivateSizes {
    /// The sizes for `max_slots` slots; `None` outside the layout's capacities.
    pub const fn new(max_slots: usize) -> Option<Self> {
        if max_slots < MIN_CAPACITY || max_slots > MAX_CAPACITY {
            return None;
        }
        let bitmap = max_slots.div_ceil(32);
        Some(PrivateSizes {
            index: (2 * max_slots).next_power_of_two(),
            index_entry: if max_slots < u16::MAX as usize { 2 } else { 4 },
            refs: max_slots,
            bitmap,
            summary: bitmap.div_ceil(32),
            // As many as a component's 64 KiB and core's 4.5 MiB leave room for.
            buckets: max_slots.div_ceil(64) * 13,
        })
    }

    /// Bytes of all arrays; they start at a multiple of 8.
    pub const fn bytes(&self) -> usize {
        let unpadded = 8 * self.buckets
            + self.index_entry * self.index
            + 4 * (self.bitmap + self.summary)
            + 2 * self.refs;
        unpadded.next_multiple_of(8)
    }
}

impl<'m> Private<'m> {
    /// Carves the arrays for `max_slots` out of `size` bytes at `base` and
    /// clears them.
    ///
    /// # Errors
    /// [`Status::BadArgument`] (null, or `max_slots` outside the layout),
    /// [`Status::Misaligned`] (multiple of 8), [`Status::TooSmall`].
    ///
    /// # Safety
    /// 1. `size` bytes at `base` stay mapped readable and writable for `'m`.
    /// 2. For `'m` they are used through the result only.
    pub unsafe fn at(base: *mut u8, size: usize, max_slots: usize) -> Result<Self, Status> {
        let sizes = PrivateSizes::new(max_slots).ok_or(Status::BadArgument)?;
        if base.is_null() {
            return Err(Status::BadArgument);
        }
        if !base.addr().is_multiple_of(8) {
            return Err(Status::Misaligned);
        }
        if size < sizes.bytes() {
            return Err(Status::TooSmall);
        }
        // SAFETY: within `size` as just checked; duty 2 forbids other users.
        unsafe { core::ptr::write_bytes(base, 0, sizes.bytes()) };
        let mut carver = Carver { next: base };
        // SAFETY: this and the next ones: the sum of all parts is `sizes.bytes()`, and the parts
        // come in the order of falling alignment, so each is aligned.
        let buckets = unsafe { carver.take(sizes.buckets) };
        let wide = (sizes.index_entry == 4).then(|| {
            // SAFETY: as above; four-byte entries come here, two-byte ones last.
            unsafe { carver.take(sizes.index) }
        });
        // SAFETY: as above.
        let bitmap = unsafe { carver.take(sizes.bitmap) };
        // SAFETY: as above.
        let summary = unsafe { carver.take(sizes.summary) };
        // SAFETY: as above.
        let refs = unsafe { carver.take(sizes.refs) };
        let index = match wide {
            Some(entries) => Entries::Wide(entries),
            // SAFETY: as above.
            None => Entries::Narrow(unsafe { carver.take(sizes.index) }),
        };
        Ok(Private { index, refs, bitmap, summary, buckets })
    }

    /// The same arrays from parts, for models and tests.
    pub fn from_parts(
        index: &'m [AtomicU16],
        refs: &'m [AtomicU16],
        bitmap: &'m [AtomicU32],
        summary: &'m [AtomicU32],
        buckets: &'m [AtomicU64],
    ) -> Self {
        Private { index: Entries::Narrow(index), refs, bitmap, summary, buckets }
    }
}

/// Hands out consecutive pieces of raw memory.
struct Carver {
    next: *mut u8,
}

impl Carver {
    /// # Safety
    /// 1. `count` aligned `T`, valid when zeroed, lie at `self.next`, unused.
    unsafe fn take<'m, T>(&mut self, count: usize) -> &'m [T] {
        // SAFETY: duty 1.
        let slice = unsafe { core::slice::from_raw_parts(self.next.cast::<T>(), count) };
        // SAFETY: the end of the slice is within the same memory.
        self.next = unsafe { self.next.add(size_of_val(slice)) };
        slice
    }
}
