//! Slot words and batch words as values: encoding and decoding, no memory.

use crate::layout::*;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// No badge. A slot word does not tell a free slot from a reserved one.
    Free,
    /// Allocated without a badge. Only the owner knows that.
    Reserved,
    /// Carries this badge and is found by it.
    Used(u32),
    /// Carried this badge until its object died. The badge does not find it.
    Detached(u32),
    /// A state that no correct writer produces.
    Corrupt,
}

/// Which of the two badges of a slot word counts: the lowest bit of the generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank {
    /// Lowest bit of the badge that counts.
    shift: u32,
}

impl Bank {
    /// The bank of a generation.
    #[inline]
    pub const fn of(generation: u64) -> Self {
        Bank { shift: if generation & 1 == 0 { BADGE_0_SHIFT } else { BADGE_1_SHIFT } }
    }

    /// Lowest bit of the badge that does not count.
    #[inline]
    const fn other_shift(self) -> u32 {
        BADGE_0_SHIFT + BADGE_1_SHIFT - self.shift
    }
}

/// One slot word of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SlotWord(pub u64);

impl SlotWord {
    /// A slot without a badge.
    pub const FREE: Self = SlotWord(STATE_FREE << STATE_SHIFT);

    /// The same badge twice.
    #[inline]
    const fn twice(state: u64, badge: u32) -> Self {
        let badge = badge as u64 & mask(BADGE_BITS);
        SlotWord(state << STATE_SHIFT | badge << BADGE_0_SHIFT | badge << BADGE_1_SHIFT)
    }

    /// A slot that carries `badge`.
    #[inline]
    pub const fn used(badge: u32) -> Self {
        Self::twice(STATE_USED, badge)
    }

    /// A slot that carried `badge`.
    #[inline]
    pub const fn detached(badge: u32) -> Self {
        Self::twice(STATE_DETACHED, badge)
    }

    #[inline]
    const fn state(self) -> u64 {
        self.0 >> STATE_SHIFT
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 28 bits
    const fn badge_at(self, shift: u32) -> u32 {
        (self.0 >> shift & mask(BADGE_BITS)) as u32
    }

    /// The badge that counts in `bank`.
    #[inline]
    pub const fn badge(self, bank: Bank) -> u32 {
        self.badge_at(bank.shift)
    }

    /// The badge that does not count in `bank`.
    #[inline]
    pub const fn other_badge(self, bank: Bank) -> u32 {
        self.badge_at(bank.other_shift())
    }

    /// The word with another badge that does not count yet.
    #[inline]
    pub const fn staged(self, bank: Bank, replacement: u32) -> Self {
        let shift = bank.other_shift();
        let badge = replacement as u64 & mask(BADGE_BITS);
        SlotWord(self.0 & !(mask(BADGE_BITS) << shift) | badge << shift)
    }

    /// Whether both badges are the same, so that the word means the same in both banks.
    #[inline]
    pub const fn is_settled(self) -> bool {
        self.differences().is_none()
    }

    /// Where the two badges differ.
    #[inline]
    pub(crate) const fn differences(self) -> Differences {
        Differences(self.0 >> (BADGE_0_SHIFT - BADGE_1_SHIFT) ^ self.0)
    }

    /// The word with the badge that counts in `bank`, twice.
    #[inline]
    pub const fn settled(self, bank: Bank) -> Self {
        if self.is_settled() { self } else { Self::twice(self.state(), self.badge(bank)) }
    }

    /// Whether the slot carries no badge.
    #[inline]
    pub const fn is_free(self) -> bool {
        self.0 == Self::FREE.0
    }

    /// Whether the slot carries a badge.
    #[inline]
    pub const fn is_used(self) -> bool {
        self.state() == STATE_USED
    }

    /// Whether this is the word of a slot that carries exactly this badge in both banks.
    #[inline]
    pub const fn is_used_by(self, badge: u32) -> bool {
        self.0 == Self::used(badge).0
    }

    /// What the word means in `bank`.
    #[inline]
    pub const fn decode(self, bank: Bank) -> Slot {
        match self.state() {
            STATE_FREE => Slot::Free,
            STATE_USED => Slot::Used(self.badge(bank)),
            STATE_DETACHED => Slot::Detached(self.badge(bank)),
            _ => Slot::Corrupt,
        }
    }

    /// What a settled word means.
    #[inline]
    pub const fn meaning(self) -> Slot {
        self.decode(Bank::of(0))
    }
}

/// Where the two badges of some words differ: the bits of the lower badge. The other bits
/// mean nothing, so that it takes few instructions to gather many words.
#[derive(Clone, Copy)]
pub(crate) struct Differences(u64);

impl Differences {
    /// Those of no word.
    pub(crate) const NONE: Self = Differences(0);

    /// Those of more words.
    #[inline]
    pub(crate) const fn and(self, others: Self) -> Self {
        Differences(self.0 | others.0)
    }

    /// Whether all words are settled.
    #[inline]
    pub(crate) const fn is_none(self) -> bool {
        self.0 & mask(BADGE_BITS) << BADGE_1_SHIFT == 0
    }
}

/// The batch word of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchWord(pub u64);

impl BatchWord {
    /// The word of a table that nobody claims.
    #[inline]
    pub const fn new(generation: u64) -> Self {
        BatchWord((generation & mask(GENERATION_BITS)) << GENERATION_SHIFT)
    }

    /// Whether the owner has moved its table elsewhere.
    #[inline]
    pub const fn is_retired(self) -> bool {
        self.0 & BATCH_RETIRED != 0
    }

    /// Whether a monitor holds the claim to rewrite.
    #[inline]
    pub const fn is_claimed(self) -> bool {
        self.0 & BATCH_CLAIMED != 0
    }

    /// Whether a monitor has begun an attempt, and the owner has not disturbed it.
    #[inline]
    pub const fn is_attempted(self) -> bool {
        let both = BATCH_CLAIMED | BATCH_UNDISTURBED;
        self.0 & both == both
    }

    /// Number of the last claim, modulo 2^16.
    #[inline]
    pub const fn claim(self) -> u64 {
        self.0 >> CLAIM_SHIFT & mask(CLAIM_BITS)
    }

    /// Counts the batches, modulo 2^45.
    #[inline]
    pub const fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    /// Which badge of a slot word counts.
    #[inline]
    pub const fn bank(self) -> Bank {
        Bank::of(self.generation())
    }

    /// The word under a new claim, whose first attempt has begun.
    #[inline]
    pub const fn claimed(self) -> Self {
        let number = (self.claim() + 1) & mask(CLAIM_BITS);
        let others = self.0 & !(mask(CLAIM_BITS) << CLAIM_SHIFT);
        BatchWord(others | number << CLAIM_SHIFT | BATCH_CLAIMED | BATCH_UNDISTURBED)
    }

    /// The word with an attempt begun.
    #[inline]
    pub const fn attempted(self) -> Self {
        BatchWord(self.0 | BATCH_UNDISTURBED)
    }

    /// The word without a claim.
    #[inline]
    pub const fn released(self) -> Self {
        BatchWord(self.0 & !(BATCH_CLAIMED | BATCH_UNDISTURBED))
    }

    /// The word after the batch: the other bank counts.
    #[inline]
    pub const fn flipped(self) -> Self {
        BatchWord(self.0.wrapping_add(1 << GENERATION_SHIFT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_words() {
        assert_eq!(SlotWord::FREE.0, 0);
        assert_eq!(SlotWord::used(0x0fff_fffc).0, 0x5fff_fff9_ffff_ff80);
        assert_eq!(SlotWord::detached(4).0, 0x6000_0008_0000_0080);
        let staged = SlotWord::used(4).staged(Bank::of(0), 8);
        assert_eq!(staged.0, 0x4000_0008_0000_0100);
        assert_eq!(SlotWord::used(4).staged(Bank::of(1), 8).0, 0x4000_0010_0000_0080);
        assert_eq!(BatchWord::new(3).0, 0x0000_0000_0018_0000);
        assert_eq!(BatchWord::new(3).claimed().0, 0x0000_0000_0018_000e);
    }

    #[test]
    fn fields_come_back() {
        for generation in [0, 1] {
            let bank = Bank::of(generation);
            let word = SlotWord::used(0x0fff_fffe).staged(bank, 0x0abc_def0);
            assert_eq!((word.badge(bank), word.other_badge(bank)), (0x0fff_fffe, 0x0abc_def0));
            assert_eq!(word.decode(bank), Slot::Used(0x0fff_fffe));
            assert_eq!(word.decode(Bank::of(generation + 1)), Slot::Used(0x0abc_def0));
            assert!(!word.is_settled() && !word.is_used_by(0x0fff_fffe));
            assert_eq!(word.settled(bank), SlotWord::used(0x0fff_fffe));
            assert_eq!(word.settled(Bank::of(generation + 1)), SlotWord::used(0x0abc_def0));
        }
        assert!(SlotWord::used(12).is_used_by(12) && SlotWord::used(12).is_settled());
        assert!(!SlotWord::detached(12).is_used_by(12));
        assert_eq!(SlotWord::detached(12).meaning(), Slot::Detached(12));
    }

    #[test]
    fn states_that_nobody_writes_are_corrupt() {
        for state in [1, 4, 5, 6, 7] {
            assert_eq!(SlotWord(state << STATE_SHIFT).meaning(), Slot::Corrupt);
        }
    }

    #[test]
    fn a_batch_word_keeps_its_fields_apart() {
        let last = BatchWord(!BATCH_RETIRED & !BATCH_CLAIMED & !BATCH_UNDISTURBED);
        let claimed = last.claimed();
        assert_eq!((claimed.claim(), claimed.generation()), (0, last.generation()));
        assert!(claimed.is_claimed() && claimed.is_attempted() && !claimed.is_retired());
        assert_eq!(claimed.flipped().generation(), 0, "the generation wraps");
        assert_eq!(claimed.flipped().claim(), 0);
        assert_ne!(claimed.bank(), claimed.flipped().bank());
        let released = claimed.released();
        assert!(!released.is_claimed() && !released.is_attempted());
        assert_eq!(released.claim(), claimed.claim());
        assert!(BatchWord(BATCH_RETIRED).claimed().is_retired());
    }
}
