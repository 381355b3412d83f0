//! A region as header words and slots. What they say is checked elsewhere.

use crate::layout::*;
use crate::sync::{AtomicU64, Ordering};
use crate::word::Control;

/// Words in front of slot 0.
pub(crate) const HEADER_WORDS: usize = SLOTS / WORD_BYTES;

/// A region: header words and slots, seen through atomics.
#[derive(Clone, Copy)]
pub struct Region<'m> {
    header: &'m [AtomicU64; HEADER_WORDS],
    slots: &'m [AtomicU64],
}

/// Who announces that it resolves a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seat {
    Owner,
    Monitor,
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

    #[inline]
    pub(crate) fn control_word(self) -> &'m AtomicU64 {
        &self.header[OFF_CONTROL / WORD_BYTES]
    }

    #[inline]
    pub(crate) fn control(self, order: Ordering) -> Control {
        Control(self.control_word().load(order))
    }

    pub(crate) fn seat(self, seat: Seat) -> &'m AtomicU64 {
        match seat {
            Seat::Owner => &self.header[OFF_RESOLVER_OWNER / WORD_BYTES],
            Seat::Monitor => &self.header[OFF_RESOLVER_MONITOR / WORD_BYTES],
        }
    }

    /// The owner's request for quiet.
    pub(crate) fn quiet(self) -> &'m AtomicU64 {
        &self.header[OFF_QUIET / WORD_BYTES]
    }

    /// Slot, expected word and new word of the owner's write intent.
    pub(crate) fn intent(self) -> [&'m AtomicU64; 3] {
        [
            &self.header[OFF_INTENT_SLOT / WORD_BYTES],
            &self.header[OFF_INTENT_OLD / WORD_BYTES],
            &self.header[OFF_INTENT_NEW / WORD_BYTES],
        ]
    }

    /// Zeroes header and slots. Only for memory that nobody else uses yet.
    pub(crate) fn clear(self) {
        for word in self.header.iter().chain(self.slots) {
            word.store(0, Ordering::Relaxed);
        }
    }
}
