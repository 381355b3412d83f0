//! The component's side: slots, badges and reference counts.
//!
//! Look-ups take no lock. A private lock serialises all changes of the table. No
//! kernel call is made under it, and nothing under it waits for a monitor longer
//! than the configured wait budget. (`insert_at` may do so once for each of the bounded
//! number of times that a monitor moves the badge meanwhile.) Functions that need the lock
//! held end in `_locked`.
//!
//! One file per subject, importing downwards only:
//!
//! | file | subject |
//! |---|---|
//! | `insert_map` | entering a received capability, as the kernel decides |
//! | `references` | taking and giving back references, alone or with a look-up |
//! | `badges` | giving a badge to a slot, taking it away, and learning which one it was |
//! | `slots` | allocating and freeing slots without badges |
//! | `filing` | keeping the index up to date with slot words and with batches of monitors |
//! | `growth` | room for more slots, while the table is in use |
//! | `placement` | publishing the table, moving it, taking it up again |
//! | `lookup` | from a badge to its slot: fast, slow and contended path |
//! | `mod` | the table itself, and what its geometry tells |
//! | `record` | the private record of a slot, as a value |

mod badges;
mod filing;
mod growth;
mod insert_map;
mod lookup;
mod placement;
mod record;
mod references;
mod slots;

use core::marker::PhantomData;

pub use self::growth::{Extension, Growth};
pub use self::insert_map::{Kernel, Mapped};
pub use self::placement::Publication;
use self::record::{Record, Records};
use crate::chain::{Buckets, Grace};
use crate::header::{Area, Geometry, Header, Identity, Kind};
use crate::index::{HashTable, Index};
use crate::layout::{BADGE_BITS, MAX_SHIFT};
use crate::memory::{CurrentRegion, Latest, Private};
use crate::region::Region;
use crate::seqlock::read_slot_at_last;
use crate::slot_bitmap::SlotBitmap;
use crate::status::Status;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Lock, Ordering, RelaxStrategy};
use crate::word::{Bank, Slot, SlotWord};

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
    /// before a badge of the component disturbs it.
    pub wait_budget: u32,
    /// Whether this is core's own table.
    pub is_core: bool,
}

impl Config {
    /// Whether a table of `capacity` slots can be made for this.
    fn check(&self, capacity: u32) -> Result<(), Status> {
        if self.first_user >= capacity {
            return Err(Status::BadFirstUser);
        }
        if self.shift > MAX_SHIFT || !selectors_fit(capacity, self.shift, usize::BITS) {
            return Err(Status::BadShift);
        }
        if self.badge_bits < 1 || self.badge_bits > BADGE_BITS {
            return Err(Status::BadBadgeBits);
        }
        Ok(())
    }
}

/// Whether the selectors of `capacity` slots fit into `bits` bits.
fn selectors_fit(capacity: u32, shift: u32, bits: u32) -> bool {
    // Slots have 17 bits and shifts are 32 at most, so the product has 49.
    let last = u64::from(capacity.saturating_sub(1)).checked_shl(shift);
    last.is_some_and(|last| bits >= u64::BITS || last >> bits == 0)
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
    /// Address of the region that the last move was to publish; zero for a move that
    /// published nothing.
    publishing: AtomicUsize,
    config: Config,
    /// The number of badges that the table accepts. The first one is 1.
    badges: u32,
    index: Index<'m>,
    /// Generation that the index reflects.
    generation: AtomicU64,
    /// The owner's copy of the high-water mark. It changes under the private lock only.
    high_water: AtomicU32,
    records: Records<'m>,
    /// Heads of the object pools' chains.
    buckets: Buckets<'m>,
    /// How removals from the chains outlast the threads that walk there.
    grace: Grace<R>,
    /// What the last growth brought.
    extension: Latest<'m, Extension<'m>>,
    /// Which slots are allocated. The lock around it is the private lock.
    slots: Lock<SlotBitmap<'m>, R>,
    relax: PhantomData<fn() -> R>,
}

impl<'m, R: RelaxStrategy> Owner<'m, R> {
    /// An empty private table in `region`, which is cleared.
    ///
    /// The capacity is that of `region`, at most what `private` has room for.
    ///
    /// # Errors
    /// [`Status::BadFirstUser`], [`Status::BadShift`], [`Status::BadBadgeBits`],
    /// [`Status::TooSmall`]. Nothing is written then.
    pub fn new(config: Config, private: Private<'m>, region: Region<'m>) -> Result<Self, Status> {
        let (region, _) = region.divided(private.refs.len(), 0, 0)?;
        let buckets = Buckets::new(private.buckets, private.refs.len())?;
        config.check(capacity_of(region))?;
        region.clear();
        private.clear();
        let owner = Owner {
            current: CurrentRegion::new(region),
            shared: AtomicBool::new(false),
            publishing: AtomicUsize::new(0),
            config,
            badges: (1 << config.badge_bits) - 2,
            index: Index::new(HashTable::new(private.index, private.refs.len())),
            generation: AtomicU64::new(0),
            high_water: AtomicU32::new(0),
            records: Records::new(private.refs),
            buckets,
            grace: Grace::new(),
            extension: Latest::new(),
            slots: Lock::new(SlotBitmap::new(private.bitmap, private.summary, config.first_user)),
            relax: PhantomData,
        };
        region.write_header(&owner.header(region, Identity::UNKNOWN, None));
        region.write_magic();
        Ok(owner)
    }

    /// The header of the table if it lies in `region`. One with an area, even if there
    /// is none, is published.
    fn header(&self, region: Region<'_>, identity: Identity, area: Option<Area>) -> Header {
        let kind = self.kind(area.is_some());
        let area = area.unwrap_or(Area::NONE);
        Header { geometry: self.geometry(region), kind, identity, area }
    }

    /// The kind of the table.
    fn kind(&self, published: bool) -> Kind {
        match (published, self.config.is_core) {
            (true, _) => Kind::Published,
            (false, true) => Kind::Core,
            (false, false) => Kind::Private,
        }
    }

    /// The shape of the table if it lies in `region`.
    fn geometry(&self, region: Region<'_>) -> Geometry {
        let Config { first_user, shift, badge_bits, .. } = self.config;
        Geometry { capacity: capacity_of(region), first_user, shift, badge_bits }
    }

    /// Number of slots at present.
    pub fn capacity(&self) -> u32 {
        capacity_of(self.current.get())
    }

    /// The kernel selector of a slot.
    #[inline]
    pub fn selector(&self, slot: u32) -> usize {
        (slot as usize).wrapping_shl(self.config.shift)
    }

    /// The slot of a kernel selector.
    ///
    /// # Errors
    /// [`Status::BadSlot`] outside the table.
    #[inline]
    pub fn slot_of(&self, selector: usize) -> Result<u32, Status> {
        u32::try_from(selector.wrapping_shr(self.config.shift))
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
        slot < self.config.first_user
    }

    /// What the slot holds now.
    ///
    /// # Errors
    /// [`Status::BadSlot`].
    #[inline]
    pub fn entry(&self, slot: u32) -> Result<Slot, Status> {
        let region = self.current.get();
        let cell = region.slot(slot).ok_or(Status::BadSlot)?;
        match self.records.get(slot) {
            Record::FREE => Ok(Slot::Free),
            record if record.is_badged() => Ok(read_slot_at_last(region, cell).meaning()),
            _ => Ok(Slot::Reserved),
        }
    }

    /// The badge of a slot, also of a detached one; zero if it carries none.
    #[inline]
    pub fn badge(&self, slot: u32) -> u32 {
        match self.badge_fast(slot) {
            Some(badge) => badge,
            None => self.badge_slow(slot),
        }
    }

    /// The badge of a slot that carries one, unless a monitor is about to rewrite it.
    /// Otherwise [`Owner::badge_slow`] has the answer.
    #[inline]
    pub fn badge_fast(&self, slot: u32) -> Option<u32> {
        let cell = self.current.slots().get(slot as usize)?;
        // F1, with O1, M7: this side sees what the component did for the slot before.
        let word = SlotWord(cell.load(Ordering::Acquire));
        (word.is_settled() && word.is_used()).then(|| word.badge(Bank::of(0)))
    }

    /// Like [`Owner::badge`], for what [`Owner::badge_fast`] does not answer.
    #[inline(never)]
    pub fn badge_slow(&self, slot: u32) -> u32 {
        self.badge_in(self.current.get(), slot)
    }

    /// Like [`Owner::badge`], for a slot of the given region.
    #[inline]
    fn badge_in(&self, region: Region<'_>, slot: u32) -> u32 {
        match region.slot(slot).map(|cell| read_slot_at_last(region, cell).meaning()) {
            Some(Slot::Used(badge) | Slot::Detached(badge)) => badge,
            _ => 0,
        }
    }

    /// The head of the chain for objects at `slot`.
    #[inline]
    pub(crate) fn bucket(&self, slot: u32) -> Option<&'m AtomicU64> {
        self.buckets.of(slot)
    }

    /// The grace periods of the chains.
    #[inline]
    pub(crate) fn grace(&self) -> &Grace<R> {
        &self.grace
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn selectors_fit_the_machine_or_are_refused() {
        for (capacity, shift) in [(4096, 20), (4097, 19), (64, 26), (131_072, 15), (1, 32)] {
            assert!(selectors_fit(capacity, shift, 32), "{capacity} slots, shift {shift}");
        }
        for (capacity, shift) in [(4097, 20), (4096, 21), (64, 27), (64, 32), (131_072, 16)] {
            assert!(!selectors_fit(capacity, shift, 32), "{capacity} slots, shift {shift}");
            assert!(selectors_fit(capacity, shift, 64));
        }
        assert!(selectors_fit(131_072, 32, 64));
    }
}
