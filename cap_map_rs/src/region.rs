//! A region as header fields and slots; what it says is not believed here.

use crate::layout::*;
use crate::status::Status;
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

    fn field(self, offset: usize) -> u64 {
        self.header.get(offset / WORD_BYTES).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn set_field(self, offset: usize, value: u64) {
        if let Some(word) = self.header.get(offset / WORD_BYTES) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Writes all header fields but the magic.
    pub(crate) fn write_header(self, geometry: &Geometry) {
        self.set_field(OFF_VERSION, VERSION);
        self.set_field(OFF_SIZE, (SLOTS + geometry.capacity as usize * WORD_BYTES) as u64);
        self.set_field(OFF_CAPACITY, u64::from(geometry.capacity));
        self.set_field(OFF_FIRST_USER, u64::from(geometry.first_user));
        self.set_field(OFF_SHIFT, u64::from(geometry.shift));
        self.set_field(OFF_BADGE_BITS, u64::from(geometry.badge_bits));
        self.set_field(OFF_SLOTS, SLOTS as u64);
        let (words, _) = geometry.label.as_chunks::<WORD_BYTES>();
        for (i, bytes) in words.iter().enumerate() {
            self.set_field(OFF_LABEL + i * WORD_BYTES, u64::from_ne_bytes(*bytes));
        }
    }

    /// Makes the header count: everything written before is visible to whoever
    /// sees the magic. Pairs with the load in [`Region::geometry`].
    pub(crate) fn publish(self) {
        self.header[OFF_MAGIC / WORD_BYTES].store(MAGIC, Ordering::Release);
    }

    /// Copies the header once and validates the copy against the memory.
    pub(crate) fn geometry(self) -> Result<Geometry, Status> {
        match self.header[OFF_MAGIC / WORD_BYTES].load(Ordering::Acquire) {
            MAGIC => {}
            0 => return Err(Status::Unpublished),
            _ => return Err(Status::BadMagic),
        }
        if self.field(OFF_VERSION) != VERSION {
            return Err(Status::BadVersion);
        }
        let capacity = in_range(
            self.field(OFF_CAPACITY),
            MIN_CAPACITY as u64,
            MAX_CAPACITY as u64,
            Status::BadCapacity,
        )?;
        let size = SLOTS as u64 + u64::from(capacity) * WORD_BYTES as u64;
        if self.field(OFF_SIZE) != size || capacity as usize > self.slots.len() {
            return Err(Status::BadSize);
        }
        let first_user =
            in_range(self.field(OFF_FIRST_USER), 0, u64::from(capacity) - 1, Status::BadFirstUser)?;
        let shift = in_range(self.field(OFF_SHIFT), 0, u64::from(MAX_SHIFT), Status::BadShift)?;
        let badge_bits =
            in_range(self.field(OFF_BADGE_BITS), 1, u64::from(BADGE_BITS), Status::BadBadgeBits)?;
        if self.field(OFF_SLOTS) != SLOTS as u64 {
            return Err(Status::BadSlotsOffset);
        }
        let mut label = [0; LABEL_BYTES];
        let (words, _) = label.as_chunks_mut::<WORD_BYTES>();
        for (i, bytes) in words.iter_mut().enumerate() {
            *bytes = self.field(OFF_LABEL + i * WORD_BYTES).to_ne_bytes();
        }
        if core::str::from_utf8(&label).is_err() {
            return Err(Status::BadLabel);
        }
        Ok(Geometry { capacity, first_user, shift, badge_bits, label })
    }
}

fn in_range(value: u64, low: u64, high: u64, status: Status) -> Result<u32, Status> {
    if value < low || value > high {
        return Err(status);
    }
    u32::try_from(value).map_err(|_| status)
}

/// The shape of a table, validated; a private copy that nobody can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of slots, 64 to 128 Ki.
    pub capacity: u32,
    /// First slot that the component allocates itself; below it core decides.
    pub first_user: u32,
    /// selector = slot << shift.
    pub shift: u32,
    /// Significant bits of a badge, 1 to 28.
    pub badge_bits: u32,
    /// Component label, UTF-8, padded with zero bytes.
    pub label: [u8; LABEL_BYTES],
}

impl Geometry {
    /// The label without its padding.
    pub fn label(&self) -> &str {
        let used = self.label.split(|byte| *byte == 0).next().unwrap_or(&[]);
        core::str::from_utf8(used).unwrap_or("")
    }

    /// Whether a badge can stand in this table: not zero, not all ones, not too wide.
    #[inline]
    pub fn accepts(&self, badge: u32) -> bool {
        badge != 0 && badge < (1 << self.badge_bits) - 1
    }

    /// Whether core, not the component, decides about the slot.
    #[inline]
    pub fn is_static(&self, slot: u32) -> bool {
        slot < self.first_user
    }
}
