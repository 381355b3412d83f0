//! The bytes of a shared region: plain integers, no code.
//!
//! `doc/layout.md` is the normative text; `doc/` and this file change together,
//! and any change of meaning is a new [`VERSION`]. All words are 64 bits wide,
//! naturally aligned and in native byte order; offsets are in bytes from the
//! start of the region.

/// Bytes per word of the region.
pub const WORD_BYTES: usize = 8;

/// Alignment of the region's start in bytes (one cache line).
pub const REGION_ALIGN: usize = 64;

/// `"CAPTABLE"` read as a big-endian number. Zero stands for "no table yet".
pub const MAGIC: u64 = 0x4341_5054_4142_4c45;

/// Version of this layout.
pub const VERSION: u64 = 2;

// Header: written by the owner before the magic, constant afterwards.

/// Offset of the magic number; written last, by the owner.
pub const OFF_MAGIC: usize = 0x00;
/// Offset of the layout version.
pub const OFF_VERSION: usize = 0x08;
/// Offset of the region's size in bytes: header plus slots.
pub const OFF_SIZE: usize = 0x10;
/// Offset of the capacity: number of slots, [`MIN_CAPACITY`] to [`MAX_CAPACITY`].
pub const OFF_CAPACITY: usize = 0x18;
/// Offset of the number of the first slot that the component allocates itself.
pub const OFF_FIRST_USER: usize = 0x20;
/// Offset of the selector shift: selector = slot << shift, 0 to [`MAX_SHIFT`].
pub const OFF_SHIFT: usize = 0x28;
/// Offset of the number of significant badge bits, 1 to [`BADGE_BITS`].
pub const OFF_BADGE_BITS: usize = 0x30;
/// Offset of the byte offset of slot 0; [`SLOTS`] in this version.
pub const OFF_SLOTS: usize = 0x38;
/// Offset of the component label: UTF-8, padded with zero bytes.
pub const OFF_LABEL: usize = 0x40;
/// Bytes of the component label.
pub const LABEL_BYTES: usize = 64;

/// Offset of the kind of table: [`KIND_CORE`], [`KIND_PRIVATE`], [`KIND_PUBLISHED`].
pub const OFF_KIND: usize = 0x100;
/// Offset of a number that differs from boot to boot; zero if unknown.
pub const OFF_BOOT: usize = 0x108;
/// Offset of a number that differs from table to table of a boot; zero if unknown.
pub const OFF_INSTANCE: usize = 0x110;
/// Offset of the badge of the component's PD as of the header; zero if unknown.
pub const OFF_PD: usize = 0x118;
/// Offset of the badge of the component's parent as of the header; zero if unknown.
pub const OFF_PARENT: usize = 0x120;
/// Offset of the offset of the area behind the slots in bytes, a multiple of
/// [`REGION_ALIGN`]; zero if there is none.
pub const OFF_AREA: usize = 0x128;
/// Offset of the area's length in bytes, a multiple of [`WORD_BYTES`].
pub const OFF_AREA_BYTES: usize = 0x130;
/// Offset of the version of the area's contents, which its users choose.
pub const OFF_AREA_VERSION: usize = 0x138;
/// Offset of the checksum: FNV-1a of 64 bits over the bytes of [`CONSTANT`].
pub const OFF_CHECKSUM: usize = 0x140;

/// The ranges of bytes that the checksum covers, in this order.
pub const CONSTANT: [core::ops::Range<usize>; 2] = [0x00..0x80, 0x100..0x140];

/// Kind of table: core's own. No monitor may write it.
pub const KIND_CORE: u64 = 1;
/// Kind of table: a component's that no monitor asked for. No monitor may write it.
pub const KIND_PRIVATE: u64 = 2;
/// Kind of table: a component's in memory of a monitor.
pub const KIND_PUBLISHED: u64 = 3;

// Words that change. Those of the owner have a cache line of their own.

/// Offset of the batch word: retired, claimed, undisturbed, claim number, generation.
/// Changed by read-modify-writes of owner and monitors only.
pub const OFF_BATCH: usize = 0x80;
/// Offset of the sequence of the owner's writes: odd during a write. Written by the
/// owner only.
pub const OFF_SEQUENCE: usize = 0xc0;
/// Offset of the badge that the owner is about to put into a slot; zero for none.
/// Written by the owner only.
pub const OFF_COMING: usize = 0xc8;
/// Offset of the high-water mark: slots at and behind it are zero and have never been
/// written. 0 to the capacity. Raised by the owner before it writes a slot.
pub const OFF_HIGH_WATER: usize = 0xd0;
/// Offset of the owner's request for quiet: nonzero while it asks monitors not
/// to begin an attempt. Written by the owner; monitors honour it for a while.
pub const OFF_QUIET: usize = 0xd8;

/// Offset of slot 0; all bytes of the header not named above are zero.
pub const SLOTS: usize = 0x200;

/// Smallest capacity in slots.
pub const MIN_CAPACITY: usize = if cfg!(loom) { 4 } else { 64 };
/// Largest capacity in slots.
pub const MAX_CAPACITY: usize = 128 * 1024;
/// Largest selector shift.
pub const MAX_SHIFT: u32 = 32;

// Slot word: state in the top bits, then two badges. Bits 0 to 4 are zero.

/// Lowest bit of the state field.
pub const STATE_SHIFT: u32 = 61;
/// Lowest bit of badge 0, which counts while the generation is even.
pub const BADGE_0_SHIFT: u32 = 33;
/// Lowest bit of badge 1, which counts while the generation is odd.
pub const BADGE_1_SHIFT: u32 = 5;
/// Width of a badge in bits.
pub const BADGE_BITS: u32 = 28;

/// Slot state: no badge. Whether the slot is free or reserved is private to the owner.
pub const STATE_FREE: u64 = 0;
/// Slot state: carries a badge and is found by it.
pub const STATE_USED: u64 = 2;
/// Slot state: its object died and its badge may live elsewhere; not found.
pub const STATE_DETACHED: u64 = 3;

// Batch word, from bit 0 upwards.

/// Bit: the owner has moved its table elsewhere.
pub const BATCH_RETIRED: u64 = 1 << 0;
/// Bit: a monitor holds the claim to rewrite.
pub const BATCH_CLAIMED: u64 = 1 << 1;
/// Bit: the owner has put no badge into a slot since the monitor set the bit.
pub const BATCH_UNDISTURBED: u64 = 1 << 2;
/// Lowest bit of the number of the last claim.
pub const CLAIM_SHIFT: u32 = 3;
/// Width of the number of a claim.
pub const CLAIM_BITS: u32 = 16;
/// Lowest bit of the generation, which counts the batches.
pub const GENERATION_SHIFT: u32 = 19;
/// Width of the generation.
pub const GENERATION_BITS: u32 = 45;
