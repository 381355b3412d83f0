//! Slot words and control words as values: encoding and decoding, no memory.

use crate::layout::*;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// What a slot word says, once the phase has told what "staged" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing here.
    Free,
    /// Allocated without a badge.
    Reserved,
    /// Carries this badge and is found by it.
    Used(u32),
    /// Carried this badge until its object died. The badge does not find it.
    Detached(u32),
    /// A state that no correct writer produces.
    Corrupt,
}

/// One slot word of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SlotWord(pub u64);

impl SlotWord {
    #[inline]
    const fn plain(state: u64, badge: u32, sequence: u64) -> Self {
        SlotWord(
            state << STATE_SHIFT
                | (badge as u64 & mask(BADGE_BITS)) << BADGE_SHIFT
                | sequence & mask(TAG_BITS),
        )
    }

    /// A free slot, tagged with the section that freed it.
    #[inline]
    pub const fn free(sequence: u64) -> Self {
        Self::plain(STATE_FREE, 0, sequence)
    }

    /// An allocated slot without badge.
    #[inline]
    pub const fn reserved(sequence: u64) -> Self {
        Self::plain(STATE_RESERVED, 0, sequence)
    }

    /// A slot that carries `badge`.
    #[inline]
    pub const fn used(badge: u32, sequence: u64) -> Self {
        Self::plain(STATE_USED, badge, sequence)
    }

    /// A slot that carried `badge`.
    #[inline]
    pub const fn detached(badge: u32, sequence: u64) -> Self {
        Self::plain(STATE_DETACHED, badge, sequence)
    }

    /// A slot whose badge changes from `old` to `new` if `batch` commits.
    #[inline]
    pub const fn staged(old: u32, new: u32, batch: u64) -> Self {
        SlotWord(
            STATE_STAGED << STATE_SHIFT
                | (old as u64 & mask(BADGE_BITS)) << BADGE_SHIFT
                | (new as u64 & mask(BADGE_BITS)) << NEW_BADGE_SHIFT
                | batch & mask(BATCH_BITS),
        )
    }

    #[inline]
    const fn state(self) -> u64 {
        self.0 >> STATE_SHIFT
    }

    /// The badge field; in a staged slot the old badge.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 28 bits
    pub const fn badge(self) -> u32 {
        (self.0 >> BADGE_SHIFT & mask(BADGE_BITS)) as u32
    }

    /// The badge that a staged slot will carry.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 28 bits
    pub const fn new_badge(self) -> u32 {
        (self.0 >> NEW_BADGE_SHIFT & mask(BADGE_BITS)) as u32
    }

    /// The tag: low bits of the sequence that wrote a slot that is not staged.
    #[inline]
    pub const fn tag(self) -> u64 {
        self.0 & mask(TAG_BITS)
    }

    /// Whether the slot takes part in a batch that has not been resolved.
    #[inline]
    pub const fn is_staged(self) -> bool {
        self.state() == STATE_STAGED
    }

    /// Whether the slot is free, or reserved without a badge.
    #[inline]
    pub(crate) const fn is_unbadged(self) -> bool {
        self.state() <= STATE_RESERVED
    }

    /// Whether the slot carries a badge, and takes part in no batch.
    #[inline]
    pub(crate) const fn is_used(self) -> bool {
        self.state() == STATE_USED
    }

    /// Whether this is the word of a slot that carries exactly this badge.
    #[inline]
    pub const fn is_used_by(self, badge: u32) -> bool {
        self.0 >> BADGE_SHIFT == STATE_USED << BADGE_BITS | badge as u64
    }

    /// Number of the batch that staged a staged slot.
    #[inline]
    pub const fn batch(self) -> u64 {
        self.0 & mask(BATCH_BITS)
    }

    /// Whether the word was written before the section `sequence`, as far as
    /// the tag can tell (half of its range counts as past, half as future).
    #[inline]
    pub const fn is_older_than(self, sequence: u64) -> bool {
        let age = sequence.wrapping_sub(self.tag()) & mask(TAG_BITS);
        age != 0 && age <= mask(TAG_BITS - 1)
    }

    /// The meaning of the word under the given control word.
    #[inline]
    pub const fn decode(self, control: Control) -> Slot {
        match self.state() {
            STATE_FREE => Slot::Free,
            STATE_RESERVED => Slot::Reserved,
            STATE_USED => Slot::Used(self.badge()),
            STATE_DETACHED => Slot::Detached(self.badge()),
            STATE_STAGED => match control.phase() {
                Phase::Committed if control.batch() == self.batch() => Slot::Used(self.new_badge()),
                _ => Slot::Used(self.badge()),
            },
            _ => Slot::Corrupt,
        }
    }

    /// The meaning of a word that is not staged, whatever the phase.
    #[inline]
    pub const fn meaning(self) -> Slot {
        self.decode(Control(0))
    }

    /// The word with a staged slot replaced by what it means under `control`.
    #[inline]
    pub const fn settled(self, control: Control) -> Self {
        if !self.is_staged() {
            return self;
        }
        match self.decode(control) {
            Slot::Used(badge) => SlotWord::used(badge, control.sequence()),
            _ => self,
        }
    }

    /// The same state under the tag of another section; staged and corrupt
    /// words have no tag and stay as they are.
    #[inline]
    pub const fn retagged(self, sequence: u64) -> Self {
        match self.state() {
            STATE_FREE | STATE_RESERVED | STATE_USED | STATE_DETACHED => {
                SlotWord(self.0 & !mask(TAG_BITS) | sequence & mask(TAG_BITS))
            }
            _ => self,
        }
    }
}

/// The phases of a table; see `PHASE_*` in [`crate::layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody writes.
    Idle,
    /// The owner writes one slot.
    Writing,
    /// A monitor stages a batch.
    Staging,
    /// The batch is decided and being rolled forward.
    Committed,
    /// The batch is given up and being rolled back.
    Aborted,
    /// The owner moved away.
    Retired,
    /// A value that no correct writer produces.
    Corrupt,
}

/// The control word of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control(pub u64);

impl Control {
    /// Which phase the table is in.
    #[inline]
    pub const fn phase(self) -> Phase {
        match self.0 & mask(PHASE_BITS) {
            PHASE_IDLE => Phase::Idle,
            PHASE_WRITING => Phase::Writing,
            PHASE_STAGING => Phase::Staging,
            PHASE_COMMITTED => Phase::Committed,
            PHASE_ABORTED => Phase::Aborted,
            PHASE_RETIRED => Phase::Retired,
            _ => Phase::Corrupt,
        }
    }

    /// Counts the changes of the control word, modulo 2^37.
    #[inline]
    pub const fn sequence(self) -> u64 {
        self.0 >> SEQUENCE_SHIFT & mask(SEQUENCE_BITS)
    }

    /// Differs from what it was before a batch was committed, modulo 2^24.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 24 bits
    pub const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    /// The generation as of the last decided batch: always even, and unchanged
    /// by a batch that is only being staged.
    #[inline]
    pub const fn decided(self) -> u32 {
        self.generation() & !1
    }

    /// Number of the batch that is staged, or was decided last.
    #[inline]
    pub const fn batch(self) -> u64 {
        (self.generation() as u64).div_ceil(2) & mask(BATCH_BITS)
    }

    /// A control word from its parts; each wraps in its width.
    #[inline]
    pub const fn new(phase: u64, sequence: u64, generation: u32) -> Self {
        Control(
            phase & mask(PHASE_BITS)
                | (sequence & mask(SEQUENCE_BITS)) << SEQUENCE_SHIFT
                | (generation as u64 & mask(GENERATION_BITS)) << GENERATION_SHIFT,
        )
    }

    /// The next control word: given phase, sequence plus one, same generation.
    #[inline]
    pub const fn to(self, phase: u64) -> Self {
        Self::new(phase, self.sequence() + 1, self.generation())
    }

    /// Like [`Self::to`], with the generation advanced by `steps`.
    #[inline]
    pub const fn advanced(self, phase: u64, steps: u32) -> Self {
        Self::new(phase, self.sequence() + 1, self.generation().wrapping_add(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_words() {
        assert_eq!(SlotWord::free(0).0, 0);
        assert_eq!(SlotWord::used(0x0fff_fffc, 1).0, 0x5fff_fff8_0000_0001);
        assert_eq!(SlotWord::reserved(7).0, 0x2000_0000_0000_0007);
        assert_eq!(SlotWord::detached(4, 0).0, 0x6000_0008_0000_0000);
        assert_eq!(SlotWord::staged(4, 8, 3).0, 0x8000_0008_0000_0103);
        assert_eq!(Control::new(PHASE_STAGING, 5, 3).0, 0x0000_0300_0000_002a);
    }

    #[test]
    fn fields_come_back() {
        let word = SlotWord::staged(0x0fff_fffe, 0x0abc_def0, 31);
        assert_eq!((word.badge(), word.new_badge()), (0x0fff_fffe, 0x0abc_def0));
        let staging = Control::new(PHASE_STAGING, 9, 61);
        assert_eq!(word.decode(staging), Slot::Used(0x0fff_fffe));
        let committed = staging.advanced(PHASE_COMMITTED, 1);
        assert_eq!(word.decode(committed), Slot::Used(0x0abc_def0));
        let next = committed.advanced(PHASE_COMMITTED, 2);
        assert_eq!(word.decode(next), Slot::Used(0x0fff_fffe), "another batch");
        assert!(SlotWord::used(12, 99).is_used_by(12));
        assert!(!SlotWord::detached(12, 99).is_used_by(12));
        assert_eq!(SlotWord::used(12, 99).retagged(100), SlotWord::used(12, 100));
    }

    #[test]
    fn age_of_a_tag_wraps() {
        assert!(SlotWord::free(5).is_older_than(6));
        assert!(!SlotWord::free(6).is_older_than(6));
        assert!(!SlotWord::free(7).is_older_than(6));
        assert!(SlotWord::free(mask(TAG_BITS)).is_older_than(0));
    }

    #[test]
    fn control_wraps_in_its_fields() {
        let last = Control::new(PHASE_IDLE, mask(SEQUENCE_BITS), 0x00ff_ffff);
        assert_eq!(last.to(PHASE_WRITING), Control::new(PHASE_WRITING, 0, 0x00ff_ffff));
        assert_eq!(last.advanced(PHASE_STAGING, 2).generation(), 1);
    }

    #[test]
    fn batch_number_is_the_same_before_and_after_the_decision() {
        let staging = Control::new(PHASE_IDLE, 0, 62).advanced(PHASE_STAGING, 1);
        let decided = staging.advanced(PHASE_COMMITTED, 1);
        assert_eq!(staging.batch(), decided.batch());
        assert_ne!(staging.batch(), decided.advanced(PHASE_STAGING, 1).batch());
    }
}
