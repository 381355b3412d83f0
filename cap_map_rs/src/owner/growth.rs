//! Growing: more slots for a table that is in use.
//!
//! A growth brings records and chains for the slots that are added, and a larger index and
//! bitmap for all slots. Old memory stays in use, or may still be read by a look-up in
//! progress. One store decides that the table has grown. All other parts follow from the
//! description that it makes known, also in a memory image that was taken in between.

use super::Owner;
use crate::chain::Chains;
use crate::index::HashTable;
use crate::memory;
use crate::segments::{MAX_SEGMENTS, Segment};
use crate::slot_bitmap::SlotBitmap;
use crate::status::Status;
use crate::sync::{AtomicU16, AtomicU32, RelaxStrategy};
use crate::word::Bank;

/// Memory for more slots.
pub type Growth<'m> = memory::Growth<'m, Extension<'m>>;

/// What a growth brought. It lies in the growth's memory.
pub struct Extension<'m> {
    /// How often the table has grown.
    number: u32,
    index: HashTable<'m>,
    records: Segment<'m, &'m [AtomicU16]>,
    chains: Segment<'m, Chains<'m>>,
    bitmap: &'m [AtomicU32],
    summary: &'m [AtomicU32],
}

impl<'m, R: RelaxStrategy> Owner<'m, R> {
    /// The number of slots that the table has room for. It gets them from a region of that
    /// size by [`Owner::move_to`].
    pub fn max_slots(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }

    /// Gives the table room for more slots, while other threads use it. They wait only if
    /// they need the private lock. All memory that the table has must stay as it is.
    ///
    /// # Errors
    /// Nothing changes, and `more` is not written to, on [`Status::TooSmall`] (there is room
    /// for as many slots), [`Status::Changed`] (`more` is not for the number of slots that
    /// there is room for), and [`Status::OutOfSlots`] (it has grown eight times).
    pub fn grow(&self, more: Growth<'m>) -> Result<(), Status> {
        self.slots.with(|bitmap| {
            let extension = self.extend_locked(bitmap, more)?;
            self.extension.publish(extension);
            self.use_extension_locked(bitmap, extension);
            Ok(())
        })
    }

    /// Checks and fills what a growth brings. Nobody uses it yet.
    fn extend_locked(
        &self,
        bitmap: &SlotBitmap<'m>,
        more: Growth<'m>,
    ) -> Result<&'m Extension<'m>, Status> {
        let slots = self.records.len();
        if more.to <= slots {
            return Err(Status::TooSmall);
        }
        if more.from != slots {
            return Err(Status::Changed);
        }
        let number = self.extension.get().map_or(0, |extension| extension.number) + 1;
        if number > MAX_SEGMENTS {
            return Err(Status::OutOfSlots);
        }
        let (place, arrays) = (more.place, more.arrays);
        let chains = self.buckets.next(arrays.buckets, slots)?;
        arrays.clear();
        bitmap.copy_to(arrays.bitmap, arrays.summary);
        let extension: &'m Extension<'m> = place.write(Extension {
            number,
            index: HashTable::new(arrays.index, more.to),
            records: self.records.next(arrays.refs),
            chains,
            bitmap: arrays.bitmap,
            summary: arrays.summary,
        });
        let region = self.current.get();
        // The generation before the scan, as in `refresh_to_locked`.
        let bank = Bank::of(self.refresh_locked(region));
        extension.index.rebuild(self.badged_locked(region, bank));
        Ok(extension)
    }

    /// Uses what a growth brought. It does not matter what is in use already.
    fn use_extension_locked(&self, bitmap: &mut SlotBitmap<'m>, extension: &'m Extension<'m>) {
        bitmap.continue_in(extension.bitmap, extension.summary);
        self.records.add(&extension.records);
        self.buckets.add(&extension.chains);
        self.index.replace(&extension.index);
    }

    /// Completes a growth that was cut off behind its decision.
    pub(super) fn recover_growth_locked(&self, bitmap: &mut SlotBitmap<'m>) {
        if let Some(extension) = self.extension.get() {
            self.use_extension_locked(bitmap, extension);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::mem::MaybeUninit;

    use spin::relax::Spin;

    use super::*;
    use crate::memory::{Private, PrivateSizes};
    use crate::region::{HEADER_WORDS, Region};
    use crate::sync::AtomicU64;
    use crate::{Config, Slot};

    fn words(count: usize) -> &'static [AtomicU64] {
        (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
    }

    fn arrays(sizes: &PrivateSizes) -> Private<'static> {
        let masks = |count| (0..count).map(|_| AtomicU32::new(77)).collect::<Vec<_>>().leak();
        let halves = |count| (0..count).map(|_| AtomicU16::new(77)).collect::<Vec<_>>().leak();
        Private::from_parts(
            halves(sizes.index),
            halves(sizes.refs),
            masks(sizes.bitmap),
            masks(sizes.summary),
            words(sizes.buckets),
        )
    }

    fn region(slots: usize) -> Region<'static> {
        Region::new(words(HEADER_WORDS + slots)).expect("large enough")
    }

    fn growth() -> Growth<'static> {
        let sizes = PrivateSizes::growth(64, 200).expect("in range");
        let place = Box::leak(Box::new(MaybeUninit::uninit()));
        Growth::from_parts(place, 64, 200, arrays(&sizes))
    }

    /// The steps of a growth behind its preparation.
    const STEPS: usize = 5;

    /// A table whose growth has ended behind so many steps.
    fn cut_off(cut: usize) -> Owner<'static, Spin> {
        let config =
            Config { first_user: 8, shift: 0, badge_bits: 28, is_core: false, wait_budget: 0 };
        let sizes = PrivateSizes::new(64).expect("in range");
        let owner = Owner::<Spin>::new(config, arrays(&sizes), region(64)).expect("valid");
        owner.insert_at(40, 9).expect("free");
        owner.acquire(9).expect("used");
        owner.slots.with(|bitmap| {
            let extension = owner.extend_locked(bitmap, growth()).expect("more slots");
            let steps: [&dyn Fn(&mut SlotBitmap<'static>); STEPS] = [
                &|_| owner.extension.publish(extension),
                &|bitmap| bitmap.continue_in(extension.bitmap, extension.summary),
                &|_| owner.records.add(&extension.records),
                &|_| owner.buckets.add(&extension.chains),
                &|_| owner.index.replace(&extension.index),
            ];
            steps.iter().take(cut).for_each(|step| step(bitmap));
        });
        owner
    }

    /// All slots that the growth added can be used.
    fn check_added(owner: &Owner<'static, Spin>) {
        for slot in 64..200 {
            assert_eq!(
                (owner.insert_at(1000 + slot, slot), owner.find(1000 + slot)),
                (Ok(()), Ok(slot))
            );
            assert_eq!(owner.acquire(slot), Ok(()));
            assert!(owner.bucket(slot).is_some());
        }
        assert_eq!(owner.find(44), Err(Status::NotFound), "the index is even again");
    }

    /// A memory image taken behind any step of a growth is of a table that has grown, or
    /// has not, and can grow then.
    #[test]
    fn a_growth_that_was_cut_off_is_over_or_has_not_begun() {
        for cut in 0..=STEPS {
            let owner = cut_off(cut);
            // SAFETY: this is the only thread.
            #[allow(unsafe_code)]
            unsafe {
                owner.recover();
            }
            if cut == 0 {
                assert_eq!((owner.max_slots(), owner.grow(growth())), (64, Ok(())));
            }
            assert_eq!((owner.max_slots(), owner.find(40), owner.references(9)), (200, Ok(9), 1));
            owner.move_to(region(200), None).expect("room for it");
            check_added(&owner);
            assert_eq!((owner.alloc(1), owner.entry(8)), (Ok(8), Ok(Slot::Reserved)));
        }
    }

    /// So is the table of a component that was forked while another thread let it grow.
    #[test]
    fn a_forked_table_has_grown_or_has_not() {
        for cut in 0..=STEPS {
            let mut owner = cut_off(cut);
            owner.reset(region(200)).expect("large enough");
            assert_eq!(owner.capacity(), if cut == 0 { 64 } else { 200 });
            if cut != 0 {
                check_added(&owner);
            }
            assert_eq!((owner.find(40), owner.alloc(1)), (Err(Status::NotFound), Ok(8)));
        }
    }
}
