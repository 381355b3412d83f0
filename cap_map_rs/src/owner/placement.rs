//! Where the table lies: publishing it, moving it to other memory, starting anew, and
//! taking it up again in a restored memory image.

use super::record::Record;
use super::{Owner, capacity_of, fitted};
use crate::header::Geometry;
use crate::layout::LABEL_BYTES;
use crate::memory::CurrentRegion;
use crate::region::Region;
use crate::seqlock::{continue_in, quiesce, retire};
use crate::status::Status;
use crate::sync::{AtomicBool, AtomicU32, Ordering, RelaxStrategy};
use crate::word::{Slot, SlotWord};

impl<'m, R: RelaxStrategy> Owner<'m, R> {
    /// Makes the region visible to monitors under `label`. The label is UTF-8 of at
    /// most 64 bytes.
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
    /// under `label`. The old region is retired. It must stay readable, because
    /// look-ups in progress may still use it.
    ///
    /// # Errors
    /// Nothing changes on [`Status::TooSmall`], [`Status::BadLabel`], and
    /// [`Status::InUse`] (`region` is the one in use).
    pub fn move_to(&self, region: Region<'m>, label: &[u8]) -> Result<(), Status> {
        let label = padded(label)?;
        let region = fitted(region, self.records.len())?;
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

    /// Forgets everything and starts anew in `region`, as after a fork. The region in
    /// use belongs to the parent and is not touched.
    ///
    /// # Errors
    /// [`Status::TooSmall`].
    pub fn reset(&mut self, region: Region<'m>) -> Result<(), Status> {
        let region = fitted(region, self.records.len())?;
        if self.geometry.first_user >= capacity_of(region) {
            return Err(Status::TooSmall);
        }
        region.clear();
        self.current = CurrentRegion::new(region);
        self.shared = AtomicBool::new(false);
        self.slots.with(|bitmap| bitmap.clear());
        self.records.clear();
        self.buckets.clear();
        self.index.rebuild(core::iter::empty());
        self.generation = AtomicU32::new(0);
        Ok(())
    }

    /// Takes up the table again after the component's memory was restored from a
    /// checkpoint, which may have been taken at any moment. This opens the private
    /// lock, and derives from the table all that is private except for the reference
    /// counts.
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
                quiesce::<R>(region, self.patience);
            }
            bitmap.clear();
            for (slot, cell) in (0u32..).zip(region.slots()) {
                let word = SlotWord(cell.load(Ordering::Relaxed));
                if word.meaning() == Slot::Free {
                    self.records.set(slot, Record::FREE);
                    continue;
                }
                bitmap.set(slot);
                let badged = word.meaning() != Slot::Reserved;
                self.records.set(slot, self.records.get(slot).recovered(badged));
            }
            self.refresh_to_locked(region, region.control(Ordering::Acquire).decided());
        });
        self.buckets.desert();
    }
}

/// The label in the header's form.
fn padded(label: &[u8]) -> Result<[u8; LABEL_BYTES], Status> {
    let mut padded = [0; LABEL_BYTES];
    padded.get_mut(..label.len()).ok_or(Status::BadLabel)?.copy_from_slice(label);
    core::str::from_utf8(label).map_err(|_| Status::BadLabel)?;
    Ok(padded)
}
