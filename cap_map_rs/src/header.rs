//! The header: an owner writes it once, a monitor that attaches validates it once.
//!
//! The header lies in memory that a peer may write at any time. A monitor copies it
//! once, validates the copy against the memory it was given, and never reads the
//! header again.

use crate::layout::*;
use crate::region::Region;
use crate::status::Status;
use crate::sync::Ordering;

/// The validated shape of a table. It is a private copy that no peer can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of slots, 64 to 128 Ki.
    pub capacity: u32,
    /// First slot that the component allocates itself. Core decides below it.
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

impl Region<'_> {
    /// A header field; zero outside the header.
    fn field(self, offset: usize) -> u64 {
        self.header().get(offset / WORD_BYTES).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn set_field(self, offset: usize, value: u64) {
        if let Some(word) = self.header().get(offset / WORD_BYTES) {
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

    /// Writes the magic, so that the header counts.
    pub(crate) fn publish(self) {
        // Release pairs with the load in `geometry`: a monitor that sees the magic
        // sees everything that was written before.
        self.header()[OFF_MAGIC / WORD_BYTES].store(MAGIC, Ordering::Release);
    }

    /// Copies the header once, and validates the copy against the memory.
    pub(crate) fn geometry(self) -> Result<Geometry, Status> {
        match self.header()[OFF_MAGIC / WORD_BYTES].load(Ordering::Acquire) {
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
        if self.field(OFF_SIZE) != size || capacity as usize > self.capacity() {
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

/// The value, if it lies in `low..=high`.
fn in_range(value: u64, low: u64, high: u64, status: Status) -> Result<u32, Status> {
    if value < low || value > high {
        return Err(status);
    }
    u32::try_from(value).map_err(|_| status)
}
