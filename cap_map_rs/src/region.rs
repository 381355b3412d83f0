//! A region as header words and slots. What they say is checked elsewhere.

use crate::header::Area;
use crate::layout::*;
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering};
use crate::word::BatchWord;

/// Words in front of slot 0.
pub(crate) const HEADER_WORDS: usize = SLOTS / WORD_BYTES;

/// A region: header words and slots, seen through atomics.
#[derive(Clone, Copy)]
pub struct Region<'m> {
    header: &'m [AtomicU64; HEADER_WORDS],
    slots: &'m [AtomicU64],
}

impl<'m> Region<'m> {
    /// The region in `words`; `None` if they do not even hold a header.
    pub fn new(words: &'m [AtomicU64]) -> Option<Self> {
        let (header, slots) = words.split_first_chunk::<HEADER_WORDS>()?;
        Some(Region { header, slots })
    }

    /// The region of this header and these slots.
    #[inline]
    pub(crate) fn from_parts(
        header: &'m [AtomicU64; HEADER_WORDS],
        slots: &'m [AtomicU64],
    ) -> Self {
        Region { header, slots }
    }

    pub(crate) fn header(self) -> &'m [AtomicU64; HEADER_WORDS] {
        self.header
    }

    /// The first `capacity` slots only; `None` if there are fewer.
    pub(crate) fn truncated(self, capacity: usize) -> Option<Self> {
        Some(Region { header: self.header, slots: self.slots.get(..capacity)? })
    }

    /// The memory as a table of at most `max_slots` slots with an area of `area_bytes`
    /// behind them.
    ///
    /// # Errors
    /// [`Status::BadArea`] unless the length is a multiple of 8; [`Status::TooSmall`].
    pub(crate) fn divided(
        self,
        max_slots: usize,
        area_bytes: u32,
        area_version: u32,
    ) -> Result<(Self, Area), Status> {
        let bytes = area_bytes as usize;
        if !bytes.is_multiple_of(WORD_BYTES) {
            return Err(Status::BadArea);
        }
        let memory = SLOTS + self.capacity() * WORD_BYTES;
        let room = memory.checked_sub(bytes).ok_or(Status::TooSmall)?;
        // The area begins at a multiple of REGION_ALIGN.
        let room = if bytes == 0 { room } else { room - room % REGION_ALIGN };
        let slots = room.saturating_sub(SLOTS) / WORD_BYTES;
        let capacity = slots.min(max_slots).min(MAX_CAPACITY);
        if capacity < MIN_CAPACITY {
            return Err(Status::TooSmall);
        }
        let region = self.truncated(capacity).ok_or(Status::TooSmall)?;
        if bytes == 0 {
            return Ok((region, Area::NONE));
        }
        let offset = (SLOTS + capacity * WORD_BYTES).next_multiple_of(REGION_ALIGN);
        let offset = u32::try_from(offset).map_err(|_| Status::BadArea)?;
        Ok((region, Area { offset, bytes: area_bytes, version: area_version }))
    }

    /// All slots.
    #[inline]
    pub(crate) fn slots(self) -> &'m [AtomicU64] {
        self.slots
    }

    /// Number of slots that the memory holds.
    pub fn capacity(self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(crate) fn slot(self, slot: u32) -> Option<&'m AtomicU64> {
        self.slots.get(slot as usize)
    }

    /// The slots in front of the high-water mark, or all if that lies outside.
    pub(crate) fn written_slots(self) -> &'m [AtomicU64] {
        // Relaxed: the owner raises the mark before it announces and writes a slot, so a
        // party that has seen either sees the mark.
        let mark = self.high_water().load(Ordering::Relaxed);
        let mark = usize::try_from(mark).unwrap_or(usize::MAX);
        self.slots.get(..mark).unwrap_or(self.slots)
    }

    #[inline]
    pub(crate) fn batch_word(self) -> &'m AtomicU64 {
        &self.header[OFF_BATCH / WORD_BYTES]
    }

    #[inline]
    pub(crate) fn batch(self, order: Ordering) -> BatchWord {
        BatchWord(self.batch_word().load(order))
    }

    /// The sequence of the owner's writes.
    #[inline]
    pub(crate) fn sequence(self) -> &'m AtomicU64 {
        &self.header[OFF_SEQUENCE / WORD_BYTES]
    }

    /// The badge that the owner is about to put into a slot.
    #[inline]
    pub(crate) fn coming(self) -> &'m AtomicU64 {
        &self.header[OFF_COMING / WORD_BYTES]
    }

    /// The high-water mark.
    pub(crate) fn high_water(self) -> &'m AtomicU64 {
        &self.header[OFF_HIGH_WATER / WORD_BYTES]
    }

    /// The owner's request for quiet.
    pub(crate) fn quiet(self) -> &'m AtomicU64 {
        &self.header[OFF_QUIET / WORD_BYTES]
    }

    /// Whether both lie in the same memory, at least in part.
    pub(crate) fn overlaps(self, other: Region<'_>) -> bool {
        let [first, second] = [self.addresses(), other.addresses()];
        first.start < second.end && second.start < first.end
    }

    /// The addresses of header and slots.
    fn addresses(self) -> core::ops::Range<usize> {
        let start = core::ptr::from_ref(self.header).addr();
        let end = self.slots.as_ptr_range().end.addr();
        start..end
    }

    /// Zeroes header and slots. Only for memory that nobody else uses yet.
    pub(crate) fn clear(self) {
        for word in self.header.iter().chain(self.slots) {
            word.store(0, Ordering::Relaxed);
        }
    }
}
