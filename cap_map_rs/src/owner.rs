//! The component's side: slots, badges and reference counts.
//!
//! Look-ups take no lock. Whatever changes the table is serialised by a private
//! lock, under which no kernel call is made and nothing waits for the monitor
//! longer than the configured patience.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::head::Head;
use crate::index::{Found, Index, NOWHERE};
use crate::layout::{BADGE_BITS, LABEL_BYTES, MAX_SHIFT, MIN_CAPACITY};
use crate::limits::LOOK_UPS;
use crate::memory::{CurrentRegion, Private};
use crate::region::{Geometry, Region};
use crate::seqlock::{
    continue_in, publish, quietly, read_slot, read_staged, retire, write_plain, write_unshared,
};
use crate::slot_bitmap::SlotBitmap;
use crate::status::Status;
use crate::sync::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Lock, Ordering, RelaxStrategy};
use crate::word::{Slot, SlotWord};

// The private record of a slot: a count, and whether the component itself gave
// the slot a badge. A hostile monitor may write what it likes into slot words,
// so what may be found, or freed, is decided by this.

/// The part of a record that counts references.
const COUNT: u16 = UNBADGED - 1;

/// The slot was given no badge, or its last reference has gone.
const UNBADGED: u16 = 1 << 15;

/// A count that stays: its slot is never freed by counting.
const SATURATED: u16 = COUNT - 1;

/// The slot is free. Nothing else has all bits set, as counts stay below `COUNT`.
const FREE: u16 = u16::MAX;

/// What a table is made for; fixed for its life.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// First slot that the component allocates itself.
    pub first_user: u32,
    /// selector = slot << shift, 0 to 32.
    pub shift: u32,
    /// Significant bits of a badge, 1 to 28.
    pub badge_bits: u32,
    /// Calls of the waiting strategy granted to a monitor for deciding a batch
    /// before a write of the component aborts it.
    pub patience: u32,
}

/// What became of a reference that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The slot is still referenced, or is not counted at all.
    Kept,
    /// This was the last reference. The badge given is not found any more (zero
    /// for a slot that had none, or lost it when it was detached); the slot stays
    /// reserved until the caller frees it.
    Last(u32),
}

/// A component's capability table.
pub struct Owner<'m, R> {
    current: CurrentRegion,
    /// Whether a monitor may see the region, so that the protocol matters.
    shared: AtomicBool,
    geometry: Geometry,
    /// How many badges there are, from 1 on.
    badges: u32,
    patience: u32,
    index: Index<'m>,
    /// Decided generation (even) that the index reflects.
    generation: AtomicU32,
    refs: &'m [AtomicU16],
    /// Heads of the object pools' chains.
    buckets: &'m [AtomicU64],
    /// All bits of a chain's number.
    bucket_mask: u32,
    /// Allocated slots, behind the private lock.
    slots: Lock<SlotBitmap<'m>, R>,
    relax: PhantomData<fn() -> R>,
}

impl<'m, R: RelaxStrategy> Owner<'m, R> {
    /// An empty table in `region`, which is cleared and not yet published.
    ///
    /// The capacity is that of `region`, at most what `private` has room for.
    ///
    /// # Errors
    /// [`Status::BadFirstUser`], [`Status::BadShift`], [`Status::BadBadgeBits`],
    /// [`Status::TooSmall`].
    pub fn new(config: Config, private: Private<'m>, region: Region<'m>) -> Result<Self, Status> {
        let region = fitted(region, private.refs.len())?;
        let buckets = u32::try_from(private.buckets.len()).map_err(|_| Status::BadArgument)?;
        let capacity = u32::try_from(region.capacity()).map_err(|_| Status::BadCapacity)?;
        if config.first_user >= capacity {
            return Err(Status::BadFirstUser);
        }
        if config.shift > MAX_SHIFT {
            return Err(Status::BadShift);
        }
        if config.badge_bits < 1 || config.badge_bits > BADGE_BITS {
            return Err(Status::BadBadgeBits);
        }
        region.clear();
        private.refs.iter().for_each(|record| record.store(FREE, Ordering::Relaxed));
        Ok(Owner {
            current: CurrentRegion::new(region),
            shared: AtomicBool::new(false),
            geometry: Geometry {
                capacity,
                first_user: config.first_user,
                shift: config.shift,
                badge_bits: config.badge_bits,
                label: [0; LABEL_BYTES],
            },
            badges: (1 << config.badge_bits) - 2,
            patience: config.patience,
            index: Index::new(private.index, private.refs.len()),
            generation: AtomicU32::new(0),
            refs: private.refs,
            buckets: private.buckets,
            bucket_mask: u32::MAX.wrapping_shr(buckets.leading_zeros()),
            slots: Lock::new(SlotBitmap::new(private.bitmap, private.summary, config.first_user)),
            relax: PhantomData,
        })
    }

    /// Number of slots at present.
    pub fn capacity(&self) -> u32 {
        capacity_of(self.current.get())
    }

    /// The kernel selector of a slot.
    #[inline]
    pub fn selector(&self, slot: u32) -> usize {
        (slot as usize).wrapping_shl(self.geometry.shift)
    }

    /// The slot of a kernel selector.
    ///
    /// # Errors
    /// [`Status::BadSlot`] outside the table.
    #[inline]
    pub fn slot_of(&self, selector: usize) -> Result<u32, Status> {
        u32::try_from(selector.wrapping_shr(self.geometry.shift))
            .ok()
            .filter(|slot| *slot < self.capacity())
            .ok_or(Status::BadSlot)
    }

    /// As [`Geometry::accepts`], in one comparison.
    #[inline]
    fn accepts(&self, badge: u32) -> bool {
        badge.wrapping_sub(1) < self.badges
    }

    /// Whether core decides about the slot, so that it is not counted.
    #[inline]
    pub fn is_static(&self, slot: u32) -> bool {
        self.geometry.is_static(slot)
    }

    /// What the slot holds now.
    ///
    /// # Errors
    /// [`Status::BadSlot`]; [`Status::Busy`] if it changed at every attempt.
    #[inline]
    pub fn entry(&self, slot: u32) -> Result<Slot, Status> {
        let region = self.current.get();
        let cell = region.slot(slot).ok_or(Status::BadSlot)?;
        let word = read_slot(region, cell).ok_or(Status::Busy)?;
        Ok(word.meaning())
    }

    /// The badge of a slot, also of a detached one; zero if it carries none.
    #[inline]
    pub fn badge(&self, slot: u32) -> u32 {
        self.badge_in(self.current.get(), slot)
    }

    #[inline]
    fn badge_in(&self, region: Region<'_>, slot: u32) -> u32 {
        let word = region.slot(slot).and_then(|cell| read_slot(region, cell));
        match word.map(SlotWord::meaning) {
            Some(Slot::Used(badge) | Slot::Detached(badge)) => badge,
            _ => 0,
        }
    }

    #[inline]
    pub(crate) fn carries(&self, slot: u32, badge: u32) -> bool {
        let Some(cell) = self.current.slots().get(slot as usize) else { return false };
        // Acquire as in `carries_in`, which looks at staged words again.
        let word = SlotWord(cell.load(Ordering::Acquire));
        word.is_used_by(badge)
            || word.is_staged() && self.carries_in(self.current.get(), slot, badge)
    }

    #[inline]
    fn carries_in(&self, region: Region<'_>, slot: u32, badge: u32) -> bool {
        let Some(cell) = region.slot(slot) else { return false };
        // Acquire pairs with the release of whoever wrote the word.
        let word = SlotWord(cell.load(Ordering::Acquire));
        word.is_used_by(badge)
            || word.is_staged()
                && read_staged(region.control_word(), cell)
                    .is_some_and(|word| word.is_used_by(badge))
    }

    /// As [`Owner::carries_in`], if the component itself gave the slot a badge. An
    /// entry of the index may name another one, by a badge that a hostile monitor
    /// took away before the slot was freed, and put back later. Under the lock.
    #[inline]
    fn holds(&self, region: Region<'_>, slot: u32, badge: u32) -> bool {
        self.carries_in(region, slot, badge) && is_badged(self.record(slot))
    }

    /// The slot that carries `badge`.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::NotFound`].
    #[inline]
    pub fn find(&self, badge: u32) -> Result<u32, Status> {
        match self.find_near(badge) {
            Some(slot) => Ok(slot),
            None => self.find_far(badge),
        }
    }

    /// The slot that carries `badge`, if it is filed where it belongs or next to
    /// that, as most are. Otherwise [`Owner::find_far`] tells.
    #[inline]
    pub fn find_near(&self, badge: u32) -> Option<u32> {
        if !self.accepts(badge) {
            return None;
        }
        let slot = self.index.near(badge);
        let cell = self.current.slots().get(slot as usize)?;
        // Acquire pairs with the release of whoever wrote the word.
        SlotWord(cell.load(Ordering::Acquire)).is_used_by(badge).then_some(slot)
    }

    /// Like [`Owner::find`], for badges that [`Owner::find_near`] has not found.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::NotFound`].
    #[inline(never)]
    pub fn find_far(&self, badge: u32) -> Result<u32, Status> {
        if !self.accepts(badge) {
            return Err(Status::BadBadge);
        }
        let generation = self.index_generation();
        let region = self.current.get();
        // A staged word may mean this badge or not; that is not found out here.
        let staged = Cell::new(false);
        let found = self.index.find(badge, |slot| {
            let Some(cell) = region.slot(slot) else { return false };
            // Acquire pairs with the release of whoever wrote the word.
            let word = SlotWord(cell.load(Ordering::Acquire));
            staged.set(staged.get() | word.is_staged());
            word.is_used_by(badge)
        });
        match found {
            Found::Slot(slot) => Ok(slot),
            Found::Nothing if !staged.get() && is_decided(region, generation) => {
                Err(Status::NotFound)
            }
            _ => self.find_disturbed(badge),
        }
    }

    /// Like [`Owner::find`], while others change what it looks at.
    #[cold]
    #[inline(never)]
    fn find_disturbed(&self, badge: u32) -> Result<u32, Status> {
        for _ in 0..LOOK_UPS {
            let generation = self.index_generation();
            let region = self.current.get();
            match self.index.find(badge, |slot| self.carries_in(region, slot, badge)) {
                Found::Slot(slot) => return Ok(slot),
                Found::Nothing if is_decided(region, generation) => {
                    return Err(Status::NotFound);
                }
                Found::Nothing => break,
                Found::Disturbed => R::relax(),
            }
        }
        match self.slots.with(|_| self.find_locked(badge)) {
            Found::Slot(slot) => Ok(slot),
            _ => Err(Status::NotFound),
        }
    }

    /// The generation that the index reflects at least, for whoever looks at
    /// the index afterwards. A miss counts only if that is still the last one
    /// decided, asked after the look-up: then no batch has filed the badge
    /// elsewhere.
    #[inline]
    fn index_generation(&self) -> u32 {
        // Acquire pairs with the release in `refresh_to`.
        self.generation.load(Ordering::Acquire)
    }

    /// Brings the index up to date with the last batch, and returns the
    /// generation it reflects. Under the lock.
    #[inline]
    fn refresh(&self, region: Region<'_>) -> u32 {
        let generation = region.control(Ordering::Acquire).decided();
        if self.generation.load(Ordering::Relaxed) != generation {
            self.refresh_to(region, generation);
        }
        generation
    }

    #[cold]
    #[inline(never)]
    fn refresh_to(&self, region: Region<'_>, generation: u32) {
        self.reindex(region);
        // Taken before the scan: a batch decided meanwhile shows as another one.
        self.generation.store(generation, Ordering::Release);
    }

    fn reindex(&self, region: Region<'_>) {
        let slots = (0u32..).zip(region.slots());
        let badged = slots.zip(self.refs).filter(|(_, record)| {
            // Relaxed: changes under the lock only.
            is_badged(record.load(Ordering::Relaxed))
        });
        self.index.rebuild(badged.filter_map(|((slot, cell), _)| {
            let word = read_slot(region, cell)?;
            word.is_used().then(|| (word.badge(), slot))
        }));
    }

    /// Looks up under the lock. Nothing is found for sure, and stays so until
    /// the lock is released, unless the result is `Disturbed`.
    #[inline]
    fn find_locked(&self, badge: u32) -> Found {
        let region = self.current.get();
        match self.try_find_locked(region, badge) {
            Found::Disturbed => self.find_quietly(region, badge),
            found => found,
        }
    }

    /// Looks up while monitors that rewrite over and over are asked to pause.
    #[cold]
    #[inline(never)]
    fn find_quietly(&self, region: Region<'_>, badge: u32) -> Found {
        quietly(region, || {
            for _ in 0..LOOK_UPS {
                let found = self.try_find_locked(region, badge);
                if found != Found::Disturbed {
                    return found;
                }
            }
            Found::Disturbed
        })
    }

    #[inline]
    fn try_find_locked(&self, region: Region<'_>, badge: u32) -> Found {
        self.refresh(region);
        let found = self.index.find(badge, |slot| self.holds(region, slot, badge));
        if matches!(found, Found::Slot(_)) || is_decided(region, self.index_generation()) {
            return found;
        }
        Found::Disturbed
    }

    // Slots without badges.

    /// Allocates `count` consecutive slots; the first is returned.
    ///
    /// # Errors
    /// [`Status::BadArgument`] for zero, [`Status::OutOfSlots`].
    pub fn alloc(&self, count: u32) -> Result<u32, Status> {
        if count == 0 {
            return Err(Status::BadArgument);
        }
        self.slots.with(|bitmap| {
            let region = self.current.get();
            let first = bitmap.find_run(capacity_of(region), count).ok_or(Status::OutOfSlots)?;
            self.occupy(bitmap, region, first, first + count);
            Ok(first)
        })
    }

    /// Allocates the given slot, which may be a static one.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::InUse`].
    pub fn alloc_at(&self, slot: u32) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            let region = self.current.get();
            if slot >= capacity_of(region) {
                return Err(Status::BadSlot);
            }
            if bitmap.is_set(slot) {
                return Err(Status::InUse);
            }
            self.occupy(bitmap, region, slot, slot + 1);
            Ok(())
        })
    }

    /// Reserves the free slots `first..end`.
    #[inline]
    fn occupy(&self, bitmap: &SlotBitmap<'_>, region: Region<'_>, first: u32, end: u32) {
        bitmap.set_run(first, end);
        let slots = first as usize..end as usize;
        let records = self.refs.get(slots.clone()).unwrap_or_default();
        let cells = region.slots().get(slots).unwrap_or_default();
        for (cell, record) in cells.iter().zip(records) {
            record.store(UNBADGED, Ordering::Relaxed);
            write_plain(cell, SlotWord::reserved);
        }
    }

    /// Frees `count` slots from `first` on. Badges they carry are withdrawn.
    ///
    /// # Errors
    /// Nothing is freed on [`Status::BadSlot`], [`Status::NotAllocated`], or
    /// [`Status::InUse`] (one of them is still referenced).
    pub fn free(&self, first: u32, count: u32) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            let region = self.current.get();
            let end = first
                .checked_add(count)
                .filter(|end| *end <= capacity_of(region))
                .ok_or(Status::BadSlot)?;
            let records = self.refs.get(first as usize..end as usize).unwrap_or_default();
            // A free slot looks referenced here.
            if records.iter().any(|record| record.load(Ordering::Acquire) & COUNT != 0) {
                return Err(self.why_not_freed(first, end));
            }
            let cells = region.slots().get(first as usize..end as usize).unwrap_or_default();
            for ((slot, cell), record) in (first..end).zip(cells).zip(records) {
                self.clear(slot, cell, record);
            }
            bitmap.unset_run(first, end);
            Ok(())
        })
    }

    /// What the first slot of the range that cannot be freed suffers from.
    #[cold]
    fn why_not_freed(&self, first: u32, end: u32) -> Status {
        let culprit = (first..end).map(|slot| self.record(slot)).find(|record| record & COUNT != 0);
        if culprit == Some(FREE) { Status::NotAllocated } else { Status::InUse }
    }

    #[inline]
    fn vacate(&self, bitmap: &SlotBitmap<'_>, region: Region<'_>, slot: u32) {
        if let Some(cell) = region.slot(slot)
            && let Some(record) = self.refs.get(slot as usize)
        {
            self.clear(slot, cell, record);
        }
        bitmap.unset(slot);
    }

    /// Makes the slot a free one.
    #[inline]
    fn clear(&self, slot: u32, cell: &AtomicU64, record: &AtomicU16) {
        record.store(FREE, Ordering::Relaxed);
        // Relaxed: a slot without a badge is written under the lock only.
        if SlotWord(cell.load(Ordering::Relaxed)).is_unbadged() {
            write_plain(cell, SlotWord::free);
        } else {
            self.withdraw(slot);
        }
    }

    /// Makes a slot with a badge a free one, but for its record.
    #[inline(never)]
    fn withdraw(&self, slot: u32) {
        self.unfile(slot);
        self.write(self.current.get(), slot, |_, sequence| SlotWord::free(sequence));
    }

    /// Writes a slot whose badge changes or goes.
    fn write(&self, region: Region<'_>, slot: u32, word: impl Fn(SlotWord, u64) -> SlotWord) {
        self.write_in(region, slot, None, word);
    }

    fn write_in(
        &self,
        region: Region<'_>,
        slot: u32,
        generation: Option<u32>,
        word: impl Fn(SlotWord, u64) -> SlotWord,
    ) -> bool {
        if self.shared.load(Ordering::Relaxed) {
            return publish::<R>(region, slot, self.patience, generation, word);
        }
        if let Some(cell) = region.slot(slot) {
            write_unshared(cell, word);
        }
        true
    }

    /// Takes the slot out of the index. Under the lock.
    #[inline(never)]
    fn unfile(&self, slot: u32) {
        let region = self.current.get();
        self.refresh(region);
        let word = |slot| region.slot(slot).and_then(|cell| read_slot(region, cell));
        if let Some(filed) = word(slot)
            && filed.is_used()
        {
            let badge_of = |other| word(other).map_or(0, SlotWord::badge);
            self.index.remove(filed.badge(), slot, badge_of);
        }
    }

    /// Lets `slot` carry `badge`, unless another slot does by now.
    #[inline]
    fn file(&self, region: Region<'_>, slot: u32, badge: u32) -> Result<(), Status> {
        match self.try_file(region, slot, badge) {
            Err(Status::Busy) => self.file_quietly(region, slot, badge),
            result => result,
        }
    }

    /// Like [`Owner::file`], with monitors asked to pause.
    #[cold]
    #[inline(never)]
    fn file_quietly(&self, region: Region<'_>, slot: u32, badge: u32) -> Result<(), Status> {
        for _ in 0..LOOK_UPS {
            match quietly(region, || self.try_file(region, slot, badge)) {
                Err(Status::Busy) => {}
                result => return result,
            }
        }
        Err(Status::Busy)
    }

    #[inline]
    fn try_file(&self, region: Region<'_>, slot: u32, badge: u32) -> Result<(), Status> {
        let generation = self.refresh(region);
        // The record says of `slot`, too, that it has a badge. It may be filed already, if
        // a hostile monitor changed its word before it was freed.
        let known = |other| other != slot && self.holds(region, other, badge);
        let (place, known) = self.index.probe(badge, known);
        if known.is_some() {
            return Err(Status::Exists);
        }
        if place == NOWHERE {
            // Full, though twice as large as the table: slots whose words a hostile
            // monitor changed without a batch were not found to be taken out.
            self.reindex(region);
            return Err(Status::Busy);
        }
        // A monitor may give the badge to another slot at any moment; then the
        // section does not open, and the look-up has to be made again.
        if !self.write_in(region, slot, Some(generation), |_, at| SlotWord::used(badge, at)) {
            return Err(Status::Busy);
        }
        self.index.insert_at(place, badge, slot);
        Ok(())
    }

    // Badges.

    /// Allocates a slot for a new badge. It starts without references.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::Exists`], [`Status::OutOfSlots`], and
    /// [`Status::Busy`] if a hostile monitor rewrote badges at every attempt.
    pub fn insert(&self, badge: u32) -> Result<u32, Status> {
        if !self.accepts(badge) {
            return Err(Status::BadBadge);
        }
        self.slots.with(|bitmap| {
            let region = self.current.get();
            let slot = bitmap.find_one(capacity_of(region)).ok_or(Status::OutOfSlots)?;
            // By its record the slot may be filed, so not before the index is up to
            // date: it is still free. Whoever finds the badge counts references at once.
            self.refresh(region);
            self.set_record(slot, 0);
            self.file(region, slot, badge).inspect_err(|_| self.set_record(slot, FREE))?;
            bitmap.set(slot);
            Ok(slot)
        })
    }

    /// Lets the given slot carry `badge`, allocating it if it is free. Another
    /// slot that carried the badge is removed as by [`Owner::remove`]; a badge
    /// that the slot carried is replaced. Its references stay.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::BadSlot`], [`Status::Busy`].
    pub fn insert_at(&self, badge: u32, slot: u32) -> Result<(), Status> {
        if !self.accepts(badge) {
            return Err(Status::BadBadge);
        }
        self.slots.with(|bitmap| {
            let region = self.current.get();
            if slot >= capacity_of(region) {
                return Err(Status::BadSlot);
            }
            // Again if a monitor gives the badge to another slot meanwhile.
            for _ in 0..=LOOK_UPS {
                match self.find_locked(badge) {
                    Found::Slot(same) if same == slot => return Ok(()),
                    Found::Slot(other) => self.remove_locked(bitmap, other),
                    Found::Nothing | Found::Disturbed => {}
                }
                if bitmap.is_set(slot) {
                    self.unfile(slot);
                } else {
                    self.occupy(bitmap, region, slot, slot + 1);
                }
                self.set_badged(slot);
                match self.file(region, slot, badge) {
                    Err(Status::Exists) => {}
                    result => return result,
                }
            }
            Err(Status::Busy)
        })
    }

    /// Gives a reserved slot its badge and one reference, unless the badge
    /// exists by now.
    pub(crate) fn insert_reserved(&self, badge: u32, slot: u32) -> Result<(), Status> {
        self.slots.with(|_| {
            self.set_record(slot, 1);
            self.file(self.current.get(), slot, badge)
                .inspect_err(|_| self.set_record(slot, UNBADGED))
        })
    }

    /// Takes the badge of an allocated slot out of the table. The slot is free
    /// afterwards, or detached until its last reference goes.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::NotAllocated`].
    pub fn remove(&self, slot: u32) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            if slot >= capacity_of(self.current.get()) {
                return Err(Status::BadSlot);
            }
            if !bitmap.is_set(slot) {
                return Err(Status::NotAllocated);
            }
            self.remove_locked(bitmap, slot);
            Ok(())
        })
    }

    #[inline]
    fn remove_locked(&self, bitmap: &SlotBitmap<'_>, slot: u32) {
        let record = self.record(slot);
        if record & COUNT == 0 {
            self.vacate(bitmap, self.current.get(), slot);
        } else if record & UNBADGED == 0 {
            self.detach(slot);
        }
    }

    /// Lets a referenced slot not be found any more.
    #[inline(never)]
    fn detach(&self, slot: u32) {
        let region = self.current.get();
        if let Ok(Slot::Used(_)) = self.entry(slot) {
            self.unfile(slot);
            // The badge of this instant: a monitor may just have rewritten it.
            self.write(region, slot, |old, sequence| SlotWord::detached(old.badge(), sequence));
        }
    }

    /// Finds `badge` and takes a reference in one step.
    ///
    /// # Errors
    /// [`Status::BadBadge`], [`Status::NotFound`].
    pub fn find_acquire(&self, badge: u32) -> Result<u32, Status> {
        self.find_acquire_known(badge).map(|(slot, _)| slot)
    }

    /// Like [`Owner::find_acquire`]; tells whether the slot was referenced before.
    pub(crate) fn find_acquire_known(&self, badge: u32) -> Result<(u32, bool), Status> {
        // A miss needs no lock. A hit is made sure of under the lock.
        let found = self.find(badge)?;
        self.slots.with(|_| {
            // The slot may have been freed since, and a hostile monitor gives
            // badges to slots that nobody has.
            let slot = match found {
                slot if self.holds(self.current.get(), slot, badge) => slot,
                _ => match self.find_locked(badge) {
                    Found::Slot(slot) => slot,
                    _ => return Err(Status::NotFound),
                },
            };
            let referenced = self.record(slot) != 0;
            self.acquire(slot)?;
            Ok((slot, referenced))
        })
    }

    /// Removes a slot that still carries `badge`, and a reference the caller
    /// took. That is the end of the capability only if others, who referenced it
    /// before, have let go of it meanwhile.
    pub(crate) fn abandon(&self, slot: u32, badge: Option<u32>, referenced: bool) {
        self.slots.with(|bitmap| {
            if !self.is_static(slot) {
                let _ = self.change_record(slot, |record| {
                    (1..SATURATED).contains(&(record & COUNT)).then(|| record - 1)
                });
            }
            let detached = matches!(self.entry(slot), Ok(Slot::Detached(_)));
            let orphaned = !self.is_static(slot) && self.record(slot) & COUNT == 0;
            if badge.is_some_and(|badge| self.holds(self.current.get(), slot, badge))
                || orphaned && (detached || referenced)
            {
                self.remove_locked(bitmap, slot);
            }
        });
    }

    // References.

    #[inline]
    fn record(&self, slot: u32) -> u16 {
        self.refs.get(slot as usize).map_or(FREE, |record| record.load(Ordering::Acquire))
    }

    /// For slots without references, which nobody counts at the same time.
    #[inline]
    fn set_record(&self, slot: u32, value: u16) {
        if let Some(record) = self.refs.get(slot as usize) {
            record.store(value, Ordering::Relaxed);
        }
    }

    fn set_badged(&self, slot: u32) {
        if let Some(record) = self.refs.get(slot as usize) {
            record.fetch_and(COUNT, Ordering::Relaxed);
        }
    }

    /// The number of references to a slot; 65535 stands for "too many to count".
    pub fn references(&self, slot: u32) -> u16 {
        match self.record(slot) {
            FREE => 0,
            record if record & COUNT == SATURATED => u16::MAX,
            record => record & COUNT,
        }
    }

    /// Applies `change` to a record unless it returns `None`; returns the value
    /// it was applied to or refused for.
    #[inline]
    fn change_record(&self, slot: u32, change: impl Fn(u16) -> Option<u16>) -> Result<u16, u16> {
        let Some(record) = self.refs.get(slot as usize) else { return Err(FREE) };
        // Release and acquire as for any reference count: what was done under
        // one reference is visible to whoever drops the last one.
        record.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change)
    }

    /// Takes a reference. The caller holds one already, or the slot is its own.
    ///
    /// # Errors
    /// [`Status::BadSlot`], [`Status::NotAllocated`].
    #[inline]
    pub fn acquire(&self, slot: u32) -> Result<(), Status> {
        if self.is_static(slot) {
            return Ok(());
        }
        let more = |record| if record & COUNT < SATURATED { Some(record + 1) } else { None };
        match self.change_record(slot, more) {
            Err(FREE) if slot >= self.capacity() => Err(Status::BadSlot),
            Err(FREE) => Err(Status::NotAllocated),
            // Saturated counts stay as they are.
            _ => Ok(()),
        }
    }

    /// Gives a reference back if others are left for sure; false if nothing was
    /// done, and [`Owner::release`] has to be asked.
    #[inline]
    pub fn release_shared(&self, slot: u32) -> bool {
        !self.is_static(slot) && self.change_record(slot, one_of_many).is_ok()
    }

    /// Gives a reference back.
    ///
    /// # Errors
    /// [`Status::NotAllocated`] if there is none to give back.
    #[inline]
    pub fn release(&self, slot: u32) -> Result<Released, Status> {
        if self.is_static(slot) {
            return Ok(Released::Kept);
        }
        match self.change_record(slot, one_of_many) {
            Ok(_) => Ok(Released::Kept),
            Err(record) => match record & COUNT {
                0 | COUNT => Err(Status::NotAllocated),
                SATURATED => Ok(Released::Kept),
                _ => self.release_last(slot),
            },
        }
    }

    /// The count reaches zero under the lock only, as a hit takes its reference
    /// under the lock: neither can overtake the other.
    fn release_last(&self, slot: u32) -> Result<Released, Status> {
        self.slots.with(|_| {
            let some = |record| {
                if (1..SATURATED).contains(&(record & COUNT)) { Some(record - 1) } else { None }
            };
            match self.change_record(slot, some) {
                // The badge went before.
                Ok(record) if record == UNBADGED + 1 => return Ok(Released::Last(0)),
                Ok(1) => {}
                Ok(_) => return Ok(Released::Kept),
                Err(record) if record & COUNT == SATURATED => return Ok(Released::Kept),
                Err(_) => return Err(Status::NotAllocated),
            }
            let region = self.current.get();
            self.unfile(slot);
            // The badge of this instant: a monitor may just have rewritten it.
            let badge = Cell::new(0);
            self.write(region, slot, |old, sequence| {
                badge.set(match old.meaning() {
                    Slot::Used(badge) => badge,
                    _ => 0,
                });
                SlotWord::reserved(sequence)
            });
            self.set_record(slot, UNBADGED);
            Ok(Released::Last(badge.get()))
        })
    }

    /// The head of the chain for objects at `slot`.
    ///
    /// Objects of one pool have neighbouring slots more often than not, so the slot
    /// itself spreads best; pools are told apart in the chain. The number of chains
    /// is no power of two: what lies beyond is folded back, as in linear hashing
    /// (W. Litwin, VLDB 1980).
    #[inline]
    pub(crate) fn bucket(&self, slot: u32) -> Option<&'m AtomicU64> {
        let at = (slot & self.bucket_mask) as usize;
        let folded = (slot & self.bucket_mask >> 1) as usize;
        self.buckets.get(if at < self.buckets.len() { at } else { folded })
    }

    /// Runs `f` under the private lock.
    pub(crate) fn locked<O>(&self, f: impl FnOnce() -> O) -> O {
        self.slots.with(|_| f())
    }

    // The region.

    /// Makes the region visible to monitors under `label` (UTF-8, cut to 64
    /// bytes at a character's boundary by the caller).
    ///
    /// # Errors
    /// [`Status::BadLabel`].
    pub fn publish(&self, label: &[u8]) -> Result<(), Status> {
        let label = padded(label)?;
        self.slots.with(|_| {
            let region = self.current.get();
            region.write_header(&Geometry {
                capacity: capacity_of(region),
                label,
                ..self.geometry
            });
            self.shared.store(true, Ordering::Relaxed);
            region.publish();
            Ok(())
        })
    }

    /// Moves the table to `region`, which may be larger, and publishes it there
    /// under `label`. The old region is retired; it must stay readable, as
    /// look-ups in progress may still use it.
    ///
    /// # Errors
    /// Nothing changes on [`Status::TooSmall`], [`Status::BadLabel`], and
    /// [`Status::InUse`] (`region` is the one in use).
    pub fn move_to(&self, region: Region<'m>, label: &[u8]) -> Result<(), Status> {
        let label = padded(label)?;
        let region = fitted(region, self.refs.len())?;
        self.slots.with(|_| {
            let old = self.current.get();
            if region.capacity() < old.capacity() {
                return Err(Status::TooSmall);
            }
            if core::ptr::eq(region.control_word(), old.control_word()) {
                return Err(Status::InUse);
            }
            let retired = if self.shared.load(Ordering::Relaxed) {
                retire::<R>(old, self.patience)
            } else {
                old.control(Ordering::Relaxed)
            };
            continue_in(region, old, retired);
            region.write_header(&Geometry {
                capacity: capacity_of(region),
                label,
                ..self.geometry
            });
            self.current.switch(region)?;
            self.shared.store(true, Ordering::Relaxed);
            region.publish();
            Ok(())
        })
    }

    /// Forgets everything and starts anew in `region`, as after a fork: the
    /// region in use belongs to the parent and is not touched.
    ///
    /// # Errors
    /// [`Status::TooSmall`].
    pub fn reset(&mut self, region: Region<'m>) -> Result<(), Status> {
        let region = fitted(region, self.refs.len())?;
        if self.geometry.first_user >= capacity_of(region) {
            return Err(Status::TooSmall);
        }
        region.clear();
        self.current = CurrentRegion::new(region);
        self.shared = AtomicBool::new(false);
        self.slots.with(|bitmap| bitmap.clear());
        for record in self.refs {
            record.store(FREE, Ordering::Relaxed);
        }
        for bucket in self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
        self.index.rebuild(core::iter::empty());
        self.generation = AtomicU32::new(0);
        Ok(())
    }

    /// Takes up the table again after the component's memory was restored from
    /// a checkpoint taken at any moment: opens the private lock and derives all
    /// that is private from the table, except for the reference counts.
    ///
    /// # Safety
    /// 1. No thread is inside a function of this table, nor will one resume there.
    #[allow(unsafe_code)]
    pub unsafe fn recover(&self) {
        // SAFETY: duty 1.
        unsafe { self.slots.force_open() };
        self.slots.with(|bitmap| {
            let region = self.current.get();
            if self.shared.load(Ordering::Relaxed) {
                crate::seqlock::quiesce::<R>(region, self.patience);
            }
            bitmap.clear();
            for (slot, cell) in (0u32..).zip(region.slots()) {
                let word = SlotWord(cell.load(Ordering::Relaxed));
                if word.meaning() == Slot::Free {
                    self.set_record(slot, FREE);
                    continue;
                }
                bitmap.set(slot);
                let references = match self.record(slot) {
                    FREE => 0,
                    record => record & COUNT,
                };
                let unbadged = word.meaning() == Slot::Reserved;
                self.set_record(slot, references | if unbadged { UNBADGED } else { 0 });
            }
            self.refresh_to(region, region.control(Ordering::Acquire).decided());
        });
        // Threads that walked a chain will not leave it. Users of objects are not
        // inside of a function of the table: they stay, and give them back.
        for bucket in self.buckets {
            let head = Head(bucket.load(Ordering::Relaxed));
            bucket.store(head.deserted().0, Ordering::Relaxed);
        }
    }
}

/// The record without a reference that is neither the last nor uncounted.
#[inline]
fn one_of_many(record: u16) -> Option<u16> {
    if (2..SATURATED).contains(&(record & COUNT)) { Some(record - 1) } else { None }
}

/// Whether the component gave the slot of this record a badge.
#[inline]
fn is_badged(record: u16) -> bool {
    record & UNBADGED == 0
}

/// Whether `generation` is the last one decided.
#[inline]
fn is_decided(region: Region<'_>, generation: u32) -> bool {
    region.control(Ordering::Acquire).decided() == generation
}

#[inline]
fn capacity_of(region: Region<'_>) -> u32 {
    // Regions are cut to 128 Ki slots where they are made.
    u32::try_from(region.capacity()).unwrap_or(u32::MAX)
}

fn fitted(region: Region<'_>, max_slots: usize) -> Result<Region<'_>, Status> {
    let capacity = region.capacity().min(max_slots);
    if capacity < MIN_CAPACITY {
        return Err(Status::TooSmall);
    }
    region.truncated(capacity).ok_or(Status::TooSmall)
}

fn padded(label: &[u8]) -> Result<[u8; LABEL_BYTES], Status> {
    let mut padded = [0; LABEL_BYTES];
    padded.get_mut(..label.len()).ok_or(Status::BadLabel)?.copy_from_slice(label);
    core::str::from_utf8(label).map_err(|_| Status::BadLabel)?;
    Ok(padded)
}
