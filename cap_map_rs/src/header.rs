//! The header: an owner writes it once, a monitor that attaches validates it once.
//!
//! The header lies in memory that a peer may write at any time. A monitor copies it
//! once, validates the copy against the memory it was given, and never reads the
//! header again.

use crate::layout::*;
use crate::region::Region;
use crate::status::Status;
use crate::sync::{AtomicU64, Ordering, fence};

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
}

impl Geometry {
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

    /// Bytes of header and slots.
    pub(crate) fn size(&self) -> usize {
        SLOTS + self.capacity as usize * WORD_BYTES
    }
}

/// Whose table it is, and who may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// Core's own table.
    Core = KIND_CORE,
    /// The table of a component that no monitor asked for.
    Private = KIND_PRIVATE,
    /// The table of a component in memory of a monitor, which may rewrite badges.
    Published = KIND_PUBLISHED,
}

/// What tells a table from others, for people and tools. Nothing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Label of the component, UTF-8, padded with zero bytes.
    pub label: [u8; LABEL_BYTES],
    /// Differs from boot to boot; zero if unknown.
    pub boot: u64,
    /// Differs from table to table of a boot; zero if unknown.
    pub instance: u64,
    /// Badge of the component's PD when the header is written; zero if unknown.
    pub pd: u32,
    /// Badge of the component's parent when the header is written; zero if unknown.
    pub parent: u32,
}

impl Identity {
    /// Nothing is known.
    pub const UNKNOWN: Self =
        Identity { label: [0; LABEL_BYTES], boot: 0, instance: 0, pd: 0, parent: 0 };

    /// A label, and nothing else.
    ///
    /// # Errors
    /// [`Status::BadLabel`] unless it is UTF-8 of at most 64 bytes.
    pub fn labelled(label: &[u8]) -> Result<Self, Status> {
        let mut identity = Self::UNKNOWN;
        let padded = identity.label.get_mut(..label.len()).ok_or(Status::BadLabel)?;
        padded.copy_from_slice(label);
        identity.checked()
    }

    /// The same, with what is unknown taken from `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        let number = |own: u64, other| if own == 0 { other } else { own };
        let badge = |own: u32, other| if own == 0 { other } else { own };
        Identity {
            label: if self.label.iter().all(|byte| *byte == 0) { other.label } else { self.label },
            boot: number(self.boot, other.boot),
            instance: number(self.instance, other.instance),
            pd: badge(self.pd, other.pd),
            parent: badge(self.parent, other.parent),
        }
    }

    /// The label without its padding.
    pub fn label(&self) -> &str {
        let used = self.label.split(|byte| *byte == 0).next().unwrap_or(&[]);
        core::str::from_utf8(used).unwrap_or("")
    }

    /// The same, if it can stand in a header.
    ///
    /// # Errors
    /// [`Status::BadLabel`].
    pub fn checked(self) -> Result<Self, Status> {
        core::str::from_utf8(&self.label).map_err(|_| Status::BadLabel)?;
        Ok(self)
    }
}

/// Memory behind the slots for other users, such as restart records of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Bytes from the start of the region, a multiple of 64; zero if there is none.
    pub offset: u32,
    /// Length in bytes, a multiple of 8.
    pub bytes: u32,
    /// Version of the contents, which their users choose.
    pub version: u32,
}

impl Area {
    /// There is none.
    pub const NONE: Self = Area { offset: 0, bytes: 0, version: 0 };
}

/// All that a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Shape of the table.
    pub geometry: Geometry,
    /// Whose table it is.
    pub kind: Kind,
    /// What tells it from others.
    pub identity: Identity,
    /// Memory behind the slots.
    pub area: Area,
}

impl Header {
    /// The header at the start of a table that lies in `memory` bytes, of which `words` are the
    /// first ones: for readers who have not mapped the table.
    ///
    /// # Errors
    /// Those of [`Monitor::attach`](crate::Monitor::attach), but [`Status::Retired`].
    pub fn read(words: &[AtomicU64], memory: usize) -> Result<Self, Status> {
        Region::new(words).ok_or(Status::TooSmall)?.read_header_within(memory)
    }
}

/// Words of a header that the checksum covers, in its order.
const COVERED: usize = {
    let [first, second] = CONSTANT;
    (first.end - first.start + second.end - second.start) / WORD_BYTES
};

/// A private copy of the constant words.
struct Words([u64; COVERED]);

impl Words {
    /// The place of a field in the copy.
    const fn place(offset: usize) -> usize {
        let [first, second] = CONSTANT;
        let before = if offset < first.end { 0 } else { second.start - first.end };
        (offset - before) / WORD_BYTES
    }

    fn get(&self, offset: usize) -> u64 {
        self.0.get(Self::place(offset)).copied().unwrap_or(0)
    }

    fn set(&mut self, offset: usize, value: u64) {
        if let Some(word) = self.0.get_mut(Self::place(offset)) {
            *word = value;
        }
    }

    fn set_identity(&mut self, identity: &Identity) {
        let (label, _) = identity.label.as_chunks::<WORD_BYTES>();
        for (i, bytes) in label.iter().enumerate() {
            self.set(OFF_LABEL + i * WORD_BYTES, u64::from_ne_bytes(*bytes));
        }
        self.set(OFF_BOOT, identity.boot);
        self.set(OFF_INSTANCE, identity.instance);
        self.set(OFF_PD, u64::from(identity.pd));
        self.set(OFF_PARENT, u64::from(identity.parent));
    }

    /// Offsets in the region, in the order of the copy.
    fn offsets() -> impl Iterator<Item = usize> {
        CONSTANT.into_iter().flatten().step_by(WORD_BYTES)
    }

    /// FNV-1a of 64 bits (Fowler, Noll, Vo; RFC 9923) over the bytes in memory order.
    fn checksum(&self) -> u64 {
        let bytes = self.0.iter().flat_map(|word| word.to_ne_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    fn label(&self) -> [u8; LABEL_BYTES] {
        let mut label = [0; LABEL_BYTES];
        let (words, _) = label.as_chunks_mut::<WORD_BYTES>();
        for (i, bytes) in words.iter_mut().enumerate() {
            *bytes = self.get(OFF_LABEL + i * WORD_BYTES).to_ne_bytes();
        }
        label
    }

    /// The value of a field, if it lies in `low..=high`.
    fn in_range(&self, offset: usize, low: u64, high: u64, status: Status) -> Result<u32, Status> {
        let value = self.get(offset);
        if value < low || value > high {
            return Err(status);
        }
        u32::try_from(value).map_err(|_| status)
    }
}

impl From<&Header> for Words {
    fn from(header: &Header) -> Self {
        let Header { geometry, kind, identity, area } = header;
        let mut words = Words([0; COVERED]);
        words.set(OFF_MAGIC, MAGIC);
        words.set(OFF_VERSION, VERSION);
        words.set(OFF_SIZE, geometry.size() as u64);
        words.set(OFF_CAPACITY, u64::from(geometry.capacity));
        words.set(OFF_FIRST_USER, u64::from(geometry.first_user));
        words.set(OFF_SHIFT, u64::from(geometry.shift));
        words.set(OFF_BADGE_BITS, u64::from(geometry.badge_bits));
        words.set(OFF_SLOTS, SLOTS as u64);
        words.set_identity(identity);
        words.set(OFF_KIND, *kind as u64);
        words.set(OFF_AREA, u64::from(area.offset));
        words.set(OFF_AREA_BYTES, u64::from(area.bytes));
        words.set(OFF_AREA_VERSION, u64::from(area.version));
        words
    }
}

impl Region<'_> {
    /// Writes the header without the magic.
    pub(crate) fn write_header(self, header: &Header) {
        let words = Words::from(header);
        self.set_field(OFF_MAGIC, 0, Ordering::Relaxed);
        let fields = Words::offsets().zip(words.0).skip(1);
        for (offset, value) in fields.chain([(OFF_CHECKSUM, words.checksum())]) {
            // Fields that stay the same can be read meanwhile.
            if self.field(offset, Ordering::Relaxed) != value {
                // Release pairs with the fence in `copy_header`: a monitor that sees the new
                // field, beside the old magic, sees everything that was written before.
                self.set_field(offset, value, Ordering::Release);
            }
        }
    }

    /// Writes the magic, so that the header counts.
    pub(crate) fn write_magic(self) {
        // Release pairs with the load in `read_header`: a monitor that sees the magic
        // sees everything that was written before.
        self.set_field(OFF_MAGIC, MAGIC, Ordering::Release);
    }

    /// The constant words, as if the magic were there.
    fn copy_header(self) -> Words {
        let mut words = Words([MAGIC; COVERED]);
        for (offset, word) in Words::offsets().zip(&mut words.0).skip(1) {
            *word = self.field(offset, Ordering::Relaxed);
        }
        // Acquire pairs with the releases in `write_header`.
        fence(Ordering::Acquire);
        words
    }

    /// Leaves an identity in memory that a monitor hands out for a table. It stands in
    /// for what the component does not know about itself.
    ///
    /// # Errors
    /// [`Status::BadLabel`]; [`Status::NotEmpty`] if a table lies in the memory, or lay there.
    pub fn prepare(self, identity: &Identity) -> Result<(), Status> {
        let identity = identity.checked()?;
        if !self.is_blank() {
            return Err(Status::NotEmpty);
        }
        let mut words = Words([0; COVERED]);
        words.set_identity(&identity);
        for (offset, value) in Words::offsets().zip(words.0) {
            self.set_field(offset, value, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The identity in the header, or in memory that a monitor has prepared.
    pub(crate) fn identity(self) -> Identity {
        let words = self.copy_header();
        let label = Identity { label: words.label(), ..Identity::UNKNOWN };
        let badge = |offset| u32::try_from(words.get(offset)).unwrap_or(0);
        Identity {
            boot: words.get(OFF_BOOT),
            instance: words.get(OFF_INSTANCE),
            pd: badge(OFF_PD),
            parent: badge(OFF_PARENT),
            ..label.checked().unwrap_or(Identity::UNKNOWN)
        }
    }

    /// Whether there is nothing in the header but an identity.
    pub(crate) fn is_blank(self) -> bool {
        let word = |at: usize| self.header().get(at / WORD_BYTES);
        let is_identity = |at: &usize| {
            (OFF_LABEL..OFF_LABEL + LABEL_BYTES).contains(at)
                || [OFF_BOOT, OFF_INSTANCE, OFF_PD, OFF_PARENT].contains(at)
        };
        let others = (0..SLOTS).step_by(WORD_BYTES).filter(|at| !is_identity(at));
        others.filter_map(word).all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// Copies the header once, and validates the copy against the memory.
    pub(crate) fn read_header(self) -> Result<Header, Status> {
        self.read_header_within(SLOTS + self.capacity() * WORD_BYTES)
    }

    /// Like [`Region::read_header`], for a table that lies in that many bytes.
    fn read_header_within(self, memory: usize) -> Result<Header, Status> {
        match self.field(OFF_MAGIC, Ordering::Acquire) {
            MAGIC => {}
            0 => return Err(Status::Unpublished),
            _ => return Err(Status::BadMagic),
        }
        self.read_complete(memory)
    }

    /// Like [`Region::read_header_within`], for a header that may lack its magic.
    pub(crate) fn read_complete(self, memory: usize) -> Result<Header, Status> {
        let words = self.copy_header();
        if words.get(OFF_VERSION) != VERSION {
            return Err(Status::BadVersion);
        }
        if self.field(OFF_CHECKSUM, Ordering::Relaxed) != words.checksum() {
            return Err(Status::BadChecksum);
        }
        let geometry = geometry_of(&words, memory)?;
        let kind = match words.get(OFF_KIND) {
            KIND_CORE => Kind::Core,
            KIND_PRIVATE => Kind::Private,
            KIND_PUBLISHED => Kind::Published,
            _ => return Err(Status::BadKind),
        };
        let badge = |offset| words.in_range(offset, 0, u64::from(u32::MAX), Status::BadBadge);
        let identity = Identity {
            label: words.label(),
            boot: words.get(OFF_BOOT),
            instance: words.get(OFF_INSTANCE),
            pd: badge(OFF_PD)?,
            parent: badge(OFF_PARENT)?,
        };
        Ok(Header { geometry, kind, identity, area: area_of(&words, &geometry, memory)? })
    }

    /// A header field; zero outside the header.
    fn field(self, offset: usize, order: Ordering) -> u64 {
        self.header().get(offset / WORD_BYTES).map_or(0, |word| word.load(order))
    }

    fn set_field(self, offset: usize, value: u64, order: Ordering) {
        if let Some(word) = self.header().get(offset / WORD_BYTES) {
            word.store(value, order);
        }
    }
}

fn geometry_of(words: &Words, memory: usize) -> Result<Geometry, Status> {
    let (least, most) = (MIN_CAPACITY as u64, MAX_CAPACITY as u64);
    let capacity = words.in_range(OFF_CAPACITY, least, most, Status::BadCapacity)?;
    let size = (SLOTS + capacity as usize * WORD_BYTES) as u64;
    if words.get(OFF_SIZE) != size || size > memory as u64 {
        return Err(Status::BadSize);
    }
    let last = u64::from(capacity) - 1;
    let geometry = Geometry {
        capacity,
        first_user: words.in_range(OFF_FIRST_USER, 0, last, Status::BadFirstUser)?,
        shift: words.in_range(OFF_SHIFT, 0, u64::from(MAX_SHIFT), Status::BadShift)?,
        badge_bits: words.in_range(
            OFF_BADGE_BITS,
            1,
            u64::from(BADGE_BITS),
            Status::BadBadgeBits,
        )?,
    };
    if words.get(OFF_SLOTS) != SLOTS as u64 {
        return Err(Status::BadSlotsOffset);
    }
    if core::str::from_utf8(&words.label()).is_err() {
        return Err(Status::BadLabel);
    }
    Ok(geometry)
}

fn area_of(words: &Words, geometry: &Geometry, memory: usize) -> Result<Area, Status> {
    let field = |offset| words.in_range(offset, 0, u64::from(u32::MAX), Status::BadArea);
    let area = Area {
        offset: field(OFF_AREA)?,
        bytes: field(OFF_AREA_BYTES)?,
        version: field(OFF_AREA_VERSION)?,
    };
    if area.offset == 0 && area.bytes == 0 {
        return Ok(area);
    }
    let is_aligned = (area.offset as usize).is_multiple_of(REGION_ALIGN)
        && (area.bytes as usize).is_multiple_of(WORD_BYTES);
    let is_behind = area.offset as usize >= geometry.size();
    let is_within = u64::from(area.offset) + u64::from(area.bytes) <= memory as u64;
    if is_aligned && is_behind && is_within { Ok(area) } else { Err(Status::BadArea) }
}
