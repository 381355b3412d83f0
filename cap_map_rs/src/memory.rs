//! Raw memory as slices of atomic words.
//!
//! Memory that a peer may write at any time is an *allegation*. It is only ever seen
//! through atomics, and what it says is checked elsewhere. This file, `chain`, `pool`
//! and the opening of a restored lock are the only unsafe code of the crate.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

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
    let slots = (size - SLOTS) / WORD_BYTES;
    // SAFETY: aligned and large enough as checked; duties 1 and 2 give the rest.
    let words =
        unsafe { core::slice::from_raw_parts(base.cast::<AtomicU64>(), HEADER_WORDS + slots) };
    Region::new(words).ok_or(Status::TooSmall)
}

/// The region that an owner works on at present. The owner can switch it while readers
/// use it. A region that was current once must stay readable.
///
/// # Invariants
/// 1. `base` points to a header, and the slots follow it.
/// 2. There are at least `len` of them at every instant, because capacities never
///    shrink, a switch stores `base` before `len`, and readers load `len` before `base`.
/// 3. `next_len` belongs to `next_base` whenever that equals `base`.
pub(crate) struct CurrentRegion {
    /// Where the header lies. The store of this word decides a switch.
    base: AtomicPtr<AtomicU64>,
    /// Number of slots.
    len: AtomicUsize,
    /// What `base` becomes by the last switch, also if that was cut off.
    next_base: AtomicPtr<AtomicU64>,
    /// What `len` becomes by it.
    next_len: AtomicUsize,
}

impl CurrentRegion {
    pub(crate) fn new(region: Region<'_>) -> Self {
        let (base, len) = (base_of(region), region.slots().len());
        CurrentRegion {
            base: AtomicPtr::new(base),
            len: AtomicUsize::new(len),
            next_base: AtomicPtr::new(base),
            next_len: AtomicUsize::new(len),
        }
    }

    #[inline]
    pub(crate) fn get<'m>(&self) -> Region<'m> {
        let (base, slots) = self.parts();
        // SAFETY: invariant 1; `'m` is the lifetime of the owner's memory.
        Region::from_parts(unsafe { &*base.cast::<[AtomicU64; HEADER_WORDS]>() }, slots)
    }

    /// The slots alone, for callers that need no header.
    #[inline]
    pub(crate) fn slots<'m>(&self) -> &'m [AtomicU64] {
        self.parts().1
    }

    #[inline]
    fn parts<'m>(&self) -> (*mut AtomicU64, &'m [AtomicU64]) {
        // Acquire pairs with the releases in `switch`: a reader that sees the new length
        // sees the new base. The old length is valid for both regions.
        let len = self.len.load(Ordering::Acquire);
        let base = self.base.load(Ordering::Acquire);
        // SAFETY: invariant 1.
        let slots = unsafe { base.add(HEADER_WORDS) };
        // SAFETY: invariant 2; `'m` is the lifetime of the owner's memory.
        (base, unsafe { core::slice::from_raw_parts(slots, len) })
    }

    /// Makes `region` current. It refuses a region with fewer slots than now.
    pub(crate) fn switch(&self, region: Region<'_>) -> Result<(), Status> {
        self.switch_watched(region, |_| {})
    }

    /// Like [`CurrentRegion::switch`]. After each store, `stored` sees what a memory image
    /// taken there would contain.
    fn switch_watched(&self, region: Region<'_>, stored: impl Fn(&Self)) -> Result<(), Status> {
        let (base, len) = (base_of(region), region.slots().len());
        if len < self.len.load(Ordering::Relaxed) {
            return Err(Status::TooSmall);
        }
        // In this order for invariant 3. The releases keep the order for a memory image.
        self.next_base.store(base, Ordering::Release);
        stored(self);
        self.next_len.store(len, Ordering::Release);
        stored(self);
        // Release pairs with the load in `parts`: a reader sees what the region contains.
        self.base.store(base, Ordering::Release);
        stored(self);
        self.len.store(len, Ordering::Release);
        stored(self);
        Ok(())
    }

    /// Completes a switch that was cut off behind its decision. Without such a switch,
    /// nothing changes.
    pub(crate) fn recover(&self) {
        if self.base.load(Ordering::Relaxed) == self.next_base.load(Ordering::Relaxed) {
            self.len.store(self.next_len.load(Ordering::Relaxed), Ordering::Release);
        }
    }
}

/// Where the header of a region lies, with access to the slots behind it.
fn base_of(region: Region<'_>) -> *mut AtomicU64 {
    region.slots().as_ptr().expose_provenance();
    let header = core::ptr::from_ref(region.header()).expose_provenance();
    core::ptr::with_exposed_provenance_mut(header)
}

/// A reference that a newer one replaces while others read it. There is none at first.
///
/// # Invariants
/// The pointer is null, or was a reference that `publish` got.
pub(crate) struct Latest<'m, T> {
    pointer: AtomicPtr<T>,
    /// What `get` returns is shared with other threads.
    read: PhantomData<&'m T>,
    /// What `publish` takes must live as long, so the lifetime can neither grow nor shrink.
    written: PhantomData<fn(&'m T)>,
}

impl<'m, T> Latest<'m, T> {
    pub(crate) fn new() -> Self {
        Latest {
            pointer: AtomicPtr::new(core::ptr::null_mut()),
            read: PhantomData,
            written: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'m T> {
        // Acquire pairs with the release in `publish`.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: the invariant.
        unsafe { pointer.as_ref() }
    }

    pub(crate) fn publish(&self, latest: &'m T) {
        // Release pairs with the load in `get`: a reader sees `latest` filled.
        self.pointer.store(core::ptr::from_ref(latest).cast_mut(), Ordering::Release);
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
        Some(Self::of(max_slots, max_slots))
    }

    /// The sizes for a table with room for `from` slots that gets room for `to`: counts
    /// and buckets for the slots that are added, the rest for all. `None` outside the
    /// layout's capacities, and unless there are more slots.
    pub const fn growth(from: usize, to: usize) -> Option<Self> {
        if from < MIN_CAPACITY || from >= to || to > MAX_CAPACITY {
            return None;
        }
        Some(Self::of(to - from, to))
    }

    const fn of(own: usize, all: usize) -> Self {
        let bitmap = all.div_ceil(32);
        PrivateSizes {
            index: (2 * all).next_power_of_two(),
            index_entry: if all < u16::MAX as usize { 2 } else { 4 },
            refs: own,
            bitmap,
            summary: bitmap.div_ceil(32),
            // As many as a component's 64 KiB and core's 4.5 MiB leave room for.
            buckets: own.div_ceil(64) * 13,
        }
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
    /// Carves the arrays for `max_slots` out of `size` bytes at `base`. Nothing is
    /// written yet.
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
        check(base, size, sizes.bytes())?;
        // SAFETY: duty 1, with the size and the alignment just checked; duty 2.
        Ok(unsafe { Self::carved(base, &sizes) })
    }

    /// The arrays of `sizes` at `base`.
    ///
    /// # Safety
    /// 1. `sizes.bytes()` bytes at `base`, which is a multiple of 8, stay mapped readable
    ///    and writable for `'m`.
    /// 2. For `'m` they are used through the result only.
    unsafe fn carved(base: *mut u8, sizes: &PrivateSizes) -> Self {
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
        Private { index, refs, bitmap, summary, buckets }
    }

    /// Zeroes all arrays.
    pub(crate) fn clear(&self) {
        self.index.clear();
        self.refs.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        for word in self.bitmap.iter().chain(self.summary) {
            word.store(0, Ordering::Relaxed);
        }
        self.buckets.iter().for_each(|word| word.store(0, Ordering::Relaxed));
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

/// Bytes in front of the arrays of a growth, for what describes them.
pub const GROWTH_HEADER_BYTES: usize = 192;

/// Memory by which the private arrays of a table grow, with a place for a description `D`
/// of them.
pub struct Growth<'m, D> {
    pub(crate) place: &'m mut MaybeUninit<D>,
    /// Number of slots that the table has room for already.
    pub(crate) from: usize,
    /// Number of slots that it gets room for.
    pub(crate) to: usize,
    pub(crate) arrays: Private<'m>,
}

impl<'m, D> Growth<'m, D> {
    /// Carves the arrays of a growth from `from_slots` to `to_slots` out of `size` bytes at
    /// `base`. Nothing is written yet.
    ///
    /// # Errors
    /// [`Status::TooSmall`] (also if there are not more slots), [`Status::BadArgument`]
    /// (null, or a number of slots outside the layout), [`Status::Misaligned`] (multiple
    /// of 8).
    ///
    /// # Safety
    /// 1. `size` bytes at `base` stay mapped readable and writable for `'m`.
    /// 2. For `'m` they are used through the result only.
    pub unsafe fn at(
        base: *mut u8,
        size: usize,
        from_slots: usize,
        to_slots: usize,
    ) -> Result<Self, Status> {
        const { assert!(size_of::<D>() <= GROWTH_HEADER_BYTES && align_of::<D>() <= 8) };
        if to_slots <= from_slots {
            return Err(Status::TooSmall);
        }
        let sizes = PrivateSizes::growth(from_slots, to_slots).ok_or(Status::BadArgument)?;
        check(base, size, GROWTH_HEADER_BYTES + sizes.bytes())?;
        // SAFETY: duties 1 and 2; large enough and aligned as asserted and checked.
        let place = unsafe { &mut *base.cast::<MaybeUninit<D>>() };
        // SAFETY: within `size` as just checked.
        let arrays = unsafe { base.add(GROWTH_HEADER_BYTES) };
        // SAFETY: duties 1 and 2. The header is a multiple of 8, too.
        let arrays = unsafe { Private::carved(arrays, &sizes) };
        Ok(Growth { place, from: from_slots, to: to_slots, arrays })
    }

    /// The same from parts, for models. `arrays` are as [`PrivateSizes::growth`] says.
    pub fn from_parts(
        place: &'m mut MaybeUninit<D>,
        from: usize,
        to: usize,
        arrays: Private<'m>,
    ) -> Self {
        Growth { place, from, to, arrays }
    }
}

/// Whether private memory of `size` bytes at `base` has room for `needed` bytes.
fn check(base: *mut u8, size: usize, needed: usize) -> Result<(), Status> {
    match base.addr() {
        0 => Err(Status::BadArgument),
        at if !at.is_multiple_of(8) => Err(Status::Misaligned),
        _ if size < needed => Err(Status::TooSmall),
        _ => Ok(()),
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;

    fn region(slots: usize) -> Region<'static> {
        let words: Vec<_> = (0..HEADER_WORDS + slots).map(|_| AtomicU64::new(0)).collect();
        Region::new(words.leak()).expect("large enough")
    }

    /// Where header and slots of the current region lie, and the number of slots.
    fn place(current: &CurrentRegion) -> (usize, usize, usize) {
        let region = current.get();
        (region.header().as_ptr().addr(), region.slots().as_ptr().addr(), region.slots().len())
    }

    fn image(current: &CurrentRegion) -> CurrentRegion {
        let base = |from: &AtomicPtr<AtomicU64>| AtomicPtr::new(from.load(Ordering::Relaxed));
        let len = |from: &AtomicUsize| AtomicUsize::new(from.load(Ordering::Relaxed));
        CurrentRegion {
            base: base(&current.base),
            len: len(&current.len),
            next_base: base(&current.next_base),
            next_len: len(&current.next_len),
        }
    }

    /// An image taken behind any store of a switch is of the old region or of the new one.
    #[test]
    fn a_switch_that_was_cut_off_is_over_or_has_not_begun() {
        let regions = [region(64), region(64), region(100), region(300)];
        let current = CurrentRegion::new(regions[0]);
        for pair in regions.windows(2) {
            let [old, new] = [pair[0], pair[1]].map(|region| place(&CurrentRegion::new(region)));
            assert_eq!(place(&current), old);
            let cuts = Cell::new(0);
            let watch = |current: &CurrentRegion| {
                cuts.set(cuts.get() + 1);
                let image = image(current);
                image.recover();
                assert_eq!(place(&image), if cuts.get() < 3 { old } else { new });
                // A reader of that instant gets no more slots than both regions have.
                assert!(
                    place(current).2 <= new.2 && (cuts.get() == 4 || place(current).2 == old.2)
                );
            };
            assert_eq!(current.switch_watched(pair[1], watch), Ok(()));
            assert_eq!((place(&current), cuts.get()), (new, 4));
        }
        assert_eq!(current.switch(regions[2]), Err(Status::TooSmall));
        current.recover();
        assert_eq!(place(&current), place(&CurrentRegion::new(regions[3])));
    }
}
