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

/// `"CAPTABLE"` read as a big-endian number. Zero stands for "not published".
pub const MAGIC: u64 = 0x4341_5054_4142_4c45;

/// Version of this layout.
pub const VERSION: u64 = 1;

// Header: written by the owner before publication, constant afterwards.

/// Offset of the magic number; written last, by the owner, to publish.
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

// Control words, each on a cache line of its own.

/// Offset of the control word: phase, sequence and generation in one.
pub const OFF_CONTROL: usize = 0x80;
/// Offset of the owner's write intent: slot number. Written by the owner.
pub const OFF_INTENT_SLOT: usize = 0xc0;
/// Offset of the owner's write intent: expected slot word.
pub const OFF_INTENT_OLD: usize = 0xc8;
/// Offset of the owner's write intent: new slot word.
pub const OFF_INTENT_NEW: usize = 0xd0;
/// Offset of the owner's request for quiet: nonzero while it asks monitors not
/// to begin a batch. Written by the owner; monitors honour it for a while.
pub const OFF_QUIET: usize = 0xd8;
/// Offset of the owner's resolver announcement (batch number plus one, or zero).
pub const OFF_RESOLVER_OWNER: usize = 0x100;
/// Offset of the monitor's resolver announcement (batch number plus one, or zero).
pub const OFF_RESOLVER_MONITOR: usize = 0x140;
/// Offset of slot 0; the bytes from 0x180 up to here are zero.
pub const SLOTS: usize = 0x200;

/// Smallest capacity in slots.
pub const MIN_CAPACITY: usize = if cfg!(loom) { 4 } else { 64 };
/// Largest capacity in slots.
pub const MAX_CAPACITY: usize = 128 * 1024;
/// Largest selector shift.
pub const MAX_SHIFT: u32 = 32;

// Slot word: state in the top bits, then the badge, then tag or new badge.

/// Lowest bit of the state field.
pub const STATE_SHIFT: u32 = 61;
/// Lowest bit of the badge field (in a staged slot: the old badge).
pub const BADGE_SHIFT: u32 = 33;
/// Width of a badge in bits.
pub const BADGE_BITS: u32 = 28;
/// Width of the tag: the low bits of the sequence that wrote the word.
pub const TAG_BITS: u32 = 33;
/// Lowest bit of a staged slot's new badge.
pub const NEW_BADGE_SHIFT: u32 = 5;
/// Width of a staged slot's batch number, which starts at bit 0.
pub const BATCH_BITS: u32 = if cfg!(loom) { 2 } else { 5 };

/// Slot state: nothing here.
pub const STATE_FREE: u64 = 0;
/// Slot state: allocated, carries no badge (receive window, raw selector).
pub const STATE_RESERVED: u64 = 1;
/// Slot state: carries a badge and is found by it.
pub const STATE_USED: u64 = 2;
/// Slot state: its object died and its badge may live elsewhere; not found.
pub const STATE_DETACHED: u64 = 3;
/// Slot state: a batch rewrite put a new badge beside the old one.
pub const STATE_STAGED: u64 = 4;

// Control word: phase, sequence, generation, from bit 0 upwards.

/// Width of the phase field, which starts at bit 0.
pub const PHASE_BITS: u32 = 3;
/// Lowest bit of the sequence field.
pub const SEQUENCE_SHIFT: u32 = 3;
/// Width of the sequence: counts every change of the control word.
pub const SEQUENCE_BITS: u32 = 37;
/// Lowest bit of the generation field.
pub const GENERATION_SHIFT: u32 = 40;
/// Width of the generation: odd while a batch is staged, moves on when decided.
pub const GENERATION_BITS: u32 = 24;

/// Phase: nobody writes.
pub const PHASE_IDLE: u64 = 0;
/// Phase: the owner writes the slot that its intent names.
pub const PHASE_WRITING: u64 = 1;
/// Phase: a monitor stages a batch; staged slots still mean their old badge.
pub const PHASE_STAGING: u64 = 2;
/// Phase: the batch is decided; staged slots mean their new badge.
pub const PHASE_COMMITTED: u64 = 3;
/// Phase: the batch is given up; staged slots mean their old badge.
pub const PHASE_ABORTED: u64 = 4;
/// Phase: the owner has moved its table elsewhere.
pub const PHASE_RETIRED: u64 = 5;
