//! The component's side: slots, badges and reference counts.
//!
//! Look-ups take no lock. A private lock serialises all changes of the table. No
//! kernel call is made under it, and nothing under it waits for a monitor longer
//! than the configured patience. Functions that need the lock held end in `_locked`.
//!
//! One file per subject, importing downwards only:
//!
//! | file | subject |
//! |---|---|
//! | `insert_map` | entering a received capability, as the kernel decides |
//! | `references` | taking and giving back references, alone or with a look-up |
//! | `badges` | giving a badge to a slot, and taking it away |
//! | `slots` | allocating and freeing slots without badges |
//! | `filing` | changes of a slot word together with its entry in the index |
//! | `placement` | publishing the table, moving it, taking it up again |
//! | `lookup` | from a badge to its slot: fast, slow and contended path |
//! | `refresh` | keeping the index up to date with batches of monitors |
//! | `mod` | the table itself, and what its geometry tells |
//! | `record` | the private record of a slot, as a value |

mod badges;
mod filing;
mod insert_map;
mod lookup;
mod placement;
mod record;
mod references;
mod refresh;
mod slots;

use core::marker::PhantomData;

pub use self::insert_map::{Kernel, Mapped};
use self::record::Records;
use crate::chain::Buckets;
use crate::header::Geometry;
use crate::index::Index;
use crate::layout::{BADGE_BITS, LABEL_BYTES, MAX_SHIFT, MIN_CAPACITY};
use crate::memory::{CurrentRegion, Private};
use crate::region::Region;
use crate::seqlock::read_slot;
use crate::slot_bitmap::SlotBitmap;
use crate::status::Status;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Lock, RelaxStrategy};
use crate::word::{Slot, SlotWord};

/// What a table is made for. It does not change during the table's life.
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
    /// This was the last reference. The slot stays reserved until the caller frees
    /// it. Its badge, which comes with this, is not found any more. A slot without a
    /// badge, and a detached one, give zero.
    Last(u32),
}

/// A component's capability table.
pub struct Owner<'m, R> {
    current: CurrentRegion,
    /// Whether a monitor may see the region, so that changes follow the protocol.
    shared: AtomicBool,
    geometry: Geometry,
    /// The number of badges that the geometry accepts. The first one is 1.
    badges: u32,
    patience: u32,
    index: Index<'m>,
    /// Decided generation (even) that the index reflects.
    generation: AtomicU32,
    records: Records<'m>,
    /// Heads of the object pools' chains.
    buckets: Buckets<'m>,
    /// Which slots are allocated. The lock around it is the private lock.
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
        let buckets = Buckets::new(private.buckets)?;
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
            records: Records::new(private.refs),
            buckets,
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

    /// Like [`Owner::badge`], for a slot of the given region.
    #[inline]
    fn badge_in(&self, region: Region<'_>, slot: u32) -> u32 {
        let word = region.slot(slot).and_then(|cell| read_slot(region, cell));
        match word.map(SlotWord::meaning) {
            Some(Slot::Used(badge) | Slot::Detached(badge)) => badge,
            _ => 0,
        }
    }

    /// The head of the chain for objects at `slot`.
    #[inline]
    pub(crate) fn bucket(&self, slot: u32) -> Option<&'m AtomicU64> {
        self.buckets.of(slot)
    }

    /// Runs `f` under the private lock.
    pub(crate) fn locked<O>(&self, f: impl FnOnce() -> O) -> O {
        self.slots.with(|_| f())
    }
}

/// The number of slots of a region.
#[inline]
fn capacity_of(region: Region<'_>) -> u32 {
    // Regions have 128 Ki slots at most, so the number always fits.
    u32::try_from(region.capacity()).unwrap_or(u32::MAX)
}

/// The region, cut to the number of slots for which there are private arrays.
fn fitted(region: Region<'_>, max_slots: usize) -> Result<Region<'_>, Status> {
    let capacity = region.capacity().min(max_slots);
    if capacity < MIN_CAPACITY {
        return Err(Status::TooSmall);
    }
    region.truncated(capacity).ok_or(Status::TooSmall)
}
