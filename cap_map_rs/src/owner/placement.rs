//! Where the table lies: publishing it, moving it to other memory, starting anew, and
//! taking it up again in a restored memory image.

use super::record::Record;
use super::{Owner, capacity_of};
use crate::chain::disband_locked;
use crate::header::{Area, Header, Identity};
use crate::memory::CurrentRegion;
use crate::region::Region;
use crate::seqlock::{self, continue_in, retire};
use crate::status::Status;
use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Ordering, RelaxStrategy};
use crate::word::{Bank, SlotWord};

/// How a table is shown to monitors.
#[derive(Clone, Copy, Debug)]
pub struct Publication {
    /// What tells the table from others.
    pub identity: Identity,
    /// Bytes behind the slots that the table leaves to other users, a multiple of 8.
    pub area_bytes: u32,
    /// Version of what those users write there.
    pub area_version: u32,
}

impl From<Identity> for Publication {
    fn from(identity: Identity) -> Self {
        Publication { identity, area_bytes: 0, area_version: 0 }
    }
}

impl<'m, R: RelaxStrategy> Owner<'m, R> {
    /// Makes the region visible to monitors, which may rewrite badges from then on.
    ///
    /// # Errors
    /// [`Status::BadLabel`]; [`Status::BadKind`] for core's own table, which no monitor may
    /// rewrite; [`Status::InUse`] if it is visible already.
    pub fn publish(&self, identity: &Identity) -> Result<(), Status> {
        let identity = identity.checked()?;
        self.check_publishable()?;
        self.slots.with(|_| {
            if self.shared.load(Ordering::Relaxed) {
                return Err(Status::InUse);
            }
            let region = self.current.get();
            self.shared.store(true, Ordering::Relaxed);
            region.write_header(&self.header(region, identity, Some(Area::NONE)));
            region.write_magic();
            Ok(())
        })
    }

    /// Whether monitors may ever rewrite this table.
    fn check_publishable(&self) -> Result<(), Status> {
        if self.config.is_core { Err(Status::BadKind) } else { Ok(()) }
    }

    /// Writes the header of a private table again, for whoever looks into the memory
    /// from outside.
    ///
    /// # Errors
    /// [`Status::BadLabel`]; [`Status::InUse`] if the table is published.
    pub fn describe(&self, identity: &Identity) -> Result<(), Status> {
        let identity = identity.checked()?;
        self.slots.with(|_| {
            if self.shared.load(Ordering::Relaxed) {
                return Err(Status::InUse);
            }
            let region = self.current.get();
            region.write_header(&self.header(region, identity, None));
            region.write_magic();
            Ok(())
        })
    }

    /// Moves the table to `region`, which may be larger. With a publication, monitors
    /// may see it there. The old region is retired. It must stay readable, because
    /// look-ups in progress may still use it. Returns where the area lies that the
    /// publication asks for. What the publication does not know of the table's identity
    /// is taken from memory that a monitor has prepared ([`Region::prepare`]), and a
    /// table that stays private keeps its identity.
    ///
    /// # Errors
    /// Nothing changes on [`Status::TooSmall`], [`Status::BadLabel`],
    /// [`Status::BadArea`], [`Status::BadShift`] (selectors would not fit),
    /// [`Status::BadKind`] (a publication of core's own table),
    /// [`Status::InUse`] (`region` overlaps the one in use, or the table is published and
    /// would become private), and [`Status::NotEmpty`] (more than an identity stands
    /// in the header: a table lies there, or lay there).
    pub fn move_to(
        &self,
        region: Region<'m>,
        publication: Option<&Publication>,
    ) -> Result<Area, Status> {
        let (area_bytes, area_version) =
            publication.map_or((0, 0), |of| (of.area_bytes, of.area_version));
        let memory = region;
        let (region, area) = memory.divided(self.records.len(), area_bytes, area_version)?;
        let own = publication.map(|of| of.identity.checked()).transpose()?;
        if own.is_some() {
            self.check_publishable()?;
        }
        self.slots.with(|_| {
            let old = self.current.get();
            if region.capacity() < old.capacity() {
                return Err(Status::TooSmall);
            }
            self.config.check(capacity_of(region))?;
            let shared = self.shared.load(Ordering::Relaxed);
            if memory.overlaps(old) || shared && publication.is_none() {
                return Err(Status::InUse);
            }
            if !region.is_blank() {
                return Err(Status::NotEmpty);
            }
            let identity = match own {
                Some(own) => own.or(region.identity()),
                None => old.identity(),
            };
            // The owner's own mark, because a hostile monitor writes into the shared one.
            let mark = self.high_water.load(Ordering::Relaxed);
            continue_in(region, old, retire(old), mark);
            region.write_header(&self.header(region, identity, publication.map(|_| area)));
            let publishing = publication.map_or(0, |_| address_of(region));
            // The next two releases keep the order for a memory image: note, switch, fact.
            self.publishing.store(publishing, Ordering::Relaxed);
            self.current.switch(region)?;
            self.shared.store(publication.is_some(), Ordering::Release);
            // Not before, as look-ups in the old region would miss a batch in the new one.
            region.write_magic();
            Ok(area)
        })
    }

    /// Forgets everything and starts anew in `region`, as after a fork. The region in
    /// use belongs to the parent and is not touched. Objects are not found any more, but stay
    /// members of their pools until they are removed. A pool that another thread of the parent
    /// was changing stays locked, and cannot be changed any more. A thread of the parent that used an
    /// object remains a user for ever: then [`crate::pool::Node::drain`] does not end.
    ///
    /// # Errors
    /// [`Status::TooSmall`], [`Status::BadShift`] (selectors would not fit).
    pub fn reset(&mut self, region: Region<'m>) -> Result<(), Status> {
        // The lock may be held by a thread that does not exist here. Such a thread may have
        // been letting the table grow.
        self.slots.reopen();
        self.grace.reopen();
        self.slots.with(|bitmap| self.recover_growth_locked(bitmap));
        let (region, _) = region.divided(self.records.len(), 0, 0)?;
        if self.config.first_user >= capacity_of(region) {
            return Err(Status::TooSmall);
        }
        self.config.check(capacity_of(region))?;
        region.clear();
        region.write_header(&self.header(region, Identity::UNKNOWN, None));
        region.write_magic();
        self.current = CurrentRegion::new(region);
        self.shared = AtomicBool::new(false);
        self.publishing = AtomicUsize::new(0);
        self.slots.with(|bitmap| bitmap.clear());
        self.records.clear();
        self.buckets.heads().for_each(disband_locked);
        self.high_water = AtomicU32::new(0);
        self.refresh_to_locked(region, 0);
        Ok(())
    }

    /// Takes up the table again after the component's memory was restored from a
    /// checkpoint, which may have been taken at any moment. This opens the private
    /// lock, finishes or takes back what was being done, and derives all that is private
    /// from slot words and records. The claim of a monitor stays:
    /// [`crate::Monitor::take_over`].
    ///
    /// Slots without a badge that an `insert_map` had allocated, and that it had not
    /// entered yet, stay allocated.
    ///
    /// # Safety
    /// 1. No thread is inside a function of this table, nor will one resume there.
    #[allow(unsafe_code)]
    pub unsafe fn recover(&self) {
        // SAFETY: duty 1.
        unsafe { self.slots.force_open() };
        // SAFETY: duty 1.
        unsafe { self.grace.force_open() };
        self.slots.with(|bitmap| {
            self.current.recover();
            self.recover_growth_locked(bitmap);
            let region = self.current.get();
            seqlock::recover(region);
            self.recover_header_locked(region);
            let generation = region.batch(Ordering::Acquire).generation();
            let bank = Bank::of(generation);
            let mut mark = 0;
            for (slot, cell) in (0u32..).zip(region.slots()) {
                let word = SlotWord(cell.load(Ordering::Relaxed));
                if !word.is_free() {
                    // Also for a badge that is withdrawn below: a monitor that reads the
                    // table meanwhile may find the new mark beside the old sequence.
                    mark = slot + 1;
                }
                let meaning = word.settled(bank).meaning();
                let record = self.records.get(slot).recovered(meaning, bitmap.is_set(slot));
                if !word.is_free() && (record == Record::FREE || !record.is_badged()) {
                    // Its badge was being withdrawn, or a hostile monitor gave it one.
                    seqlock::write(region, cell, SlotWord::FREE);
                }
                // The record first, as this may be cut off, too.
                self.records.set(slot, record);
                if record == Record::FREE {
                    bitmap.unset(slot);
                } else {
                    bitmap.set(slot);
                }
            }
            self.set_high_water_locked(region, mark);
            self.refresh_to_locked(region, generation);
        });
        self.buckets.desert();
    }

    /// Makes a header count that lacks nothing but its magic, and replaces one whose
    /// writing was cut off earlier, or that a hostile monitor wrote. Whether the table is
    /// published is the owner's own knowledge: a table that took itself for a private one
    /// would not follow the protocol any more.
    fn recover_header_locked(&self, region: Region<'_>) {
        // A move that was cut off behind the switch has published the region.
        let published = self.publishing.load(Ordering::Relaxed) == address_of(region);
        let shared = published || self.shared.load(Ordering::Relaxed);
        self.shared.store(shared, Ordering::Relaxed);
        let is_own = |header: &Header| {
            header.kind == self.kind(shared) && header.geometry == self.geometry(region)
        };
        if !region.read_complete(usize::MAX).as_ref().is_ok_and(is_own) {
            let area = shared.then_some(Area::NONE);
            region.write_header(&self.header(region, Identity::UNKNOWN, area));
        }
        region.write_magic();
    }
}

/// Where a region lies.
fn address_of(region: Region<'_>) -> usize {
    core::ptr::from_ref(region.header()).addr()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::memory::{Private, PrivateSizes};
    use crate::owner::Config;
    use crate::sync::AtomicU64;
    use crate::{Kind, Monitor, layout};

    type TestOwner = Owner<'static, spin::relax::Spin>;

    fn region() -> Region<'static> {
        let words = (0..layout::SLOTS / 8 + 64).map(|_| AtomicU64::new(0));
        Region::new(words.collect::<Vec<_>>().leak()).expect("a header and slots")
    }

    fn owner() -> TestOwner {
        let config =
            Config { first_user: 8, shift: 0, badge_bits: 28, is_core: false, wait_budget: 0 };
        let bytes = PrivateSizes::new(64).expect("in range").bytes();
        let memory = vec![0_u64; bytes / 8].leak();
        // SAFETY: leaked, and used for nothing else.
        #[allow(unsafe_code)]
        let private = unsafe { Private::at(memory.as_mut_ptr().cast(), bytes, 64) };
        let owner = Owner::new(config, private.expect("fits"), region()).expect("valid");
        assert_eq!(owner.insert(40), Ok(8));
        owner
    }

    /// What a monitor that looks at the recovered table finds, and whether the owner
    /// follows the protocol.
    fn recovered(owner: &TestOwner) -> (Kind, bool) {
        // SAFETY: this is the only thread.
        #[allow(unsafe_code)]
        unsafe {
            owner.recover();
        }
        let monitor = Monitor::<spin::relax::Spin>::attach(owner.current.get(), 0);
        let kind = monitor.expect("complete").header().kind;
        assert_eq!(owner.find(40), Ok(8));
        (kind, owner.shared.load(Ordering::Relaxed))
    }

    /// The private notes decide, as they were behind each store of a move.
    #[test]
    fn a_publication_that_was_cut_off_is_over_or_has_not_begun() {
        for from_published in [false, true] {
            for cut in 0..=4 {
                let (owner, new) = (owner(), region());
                if from_published {
                    owner.publish(&Identity::UNKNOWN).expect("private");
                }
                let old = owner.current.get();
                let header = owner.header(new, Identity::UNKNOWN, Some(Area::NONE));
                let steps: [&dyn Fn(); 4] = [
                    &|| {
                        continue_in(new, old, retire(old), owner.high_water.load(Ordering::Relaxed))
                    },
                    &|| {
                        new.write_header(&header);
                        owner.publishing.store(address_of(new), Ordering::Relaxed);
                    },
                    &|| owner.current.switch(new).expect("as large"),
                    &|| owner.shared.store(true, Ordering::Relaxed),
                ];
                steps.iter().take(cut).for_each(|step| step());
                let published = from_published || cut >= 3;
                let kind = if published { Kind::Published } else { Kind::Private };
                assert_eq!(recovered(&owner), (kind, published), "{from_published}, {cut}");
                // The note of a move that did not take place does not count later.
                if !published {
                    owner.move_to(region(), None).expect("zero");
                    assert_eq!(recovered(&owner), (Kind::Private, false));
                }
            }
        }
    }
}
