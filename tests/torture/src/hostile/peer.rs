//! A hostile peer: what it does to the shared memory between two instructions.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::SlotWord;
use cap_map_rs::layout::{
    BATCH_RETIRED, BATCH_UNDISTURBED, GENERATION_SHIFT, OFF_BATCH, OFF_COMING, OFF_HIGH_WATER,
    OFF_QUIET, OFF_SEQUENCE,
};
use cap_map_rs::word::BatchWord;

use crate::fixture::{CAPACITY, badge, slot_word, word};
use crate::hostile::Reach;
use crate::ptrace::Stepped;
use crate::world::{FIRST_USER, World, without_waiting};

/// No slot carries it.
pub(crate) const ABSENT: u32 = 5000;
/// The slot whose badge comes and goes.
pub(crate) const ELUSIVE: u32 = 8;
/// Badges that the peer writes begin here.
const FOREIGN: u32 = 3000;

/// What becomes of the batch word, each time it is not so.
#[derive(Clone, Copy)]
pub(crate) enum Batches {
    Kept,
    /// So many batches more were decided.
    Decided(u64),
    /// Another monitor claims the table.
    Claimed,
    /// Another monitor has claimed and released it.
    Released,
    /// The claim is gone, and its number is as it was.
    Unclaimed,
    /// The owner has put a badge into a slot.
    Disturbed,
    /// The same, and then not.
    Toggled,
    /// The table has moved elsewhere, and others have claimed it.
    Retired,
    /// All of these in turn.
    Turning,
}

/// What becomes of the slot words.
#[derive(Clone, Copy)]
pub(crate) enum Slots {
    Kept,
    /// All slots have two badges, the one that does not count another one each time.
    Unsettled,
    /// Each slot turns from one badge to two, detached, corrupt, free.
    Turning,
    /// [`ELUSIVE`] loses its badge for so many looks, and has it for one.
    Elusive(u32),
}

/// What becomes of everything else.
#[derive(Clone, Copy)]
pub(crate) enum Rest {
    Kept,
    /// The owner's sequence moves on.
    Writing,
    /// Announcement, high-water mark and sequence change, and quiet is requested.
    Announcing,
    /// Any word of header and slots may become any number; start of the random numbers.
    Anything(u64),
    /// Another thread of the component rebuilds the index after a batch.
    Thread,
}

#[derive(Clone, Copy)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    batches: Batches,
    slots: Slots,
    rest: Rest,
}

impl Attack {
    pub(crate) fn reach(&self) -> Reach {
        let generations = matches!(self.batches, Batches::Decided(_) | Batches::Turning)
            || matches!(self.rest, Rest::Anything(_) | Rest::Thread);
        Reach { generations }
    }
}

pub(crate) const fn attack(
    name: &'static str,
    batches: Batches,
    slots: Slots,
    rest: Rest,
) -> Attack {
    Attack { name, batches, slots, rest }
}

pub(crate) const fn batches(name: &'static str, batches: Batches) -> Attack {
    attack(name, batches, Slots::Kept, Rest::Kept)
}

pub(crate) const fn others(name: &'static str, rest: Rest) -> Attack {
    attack(name, Batches::Kept, Slots::Kept, rest)
}

/// The batch word after so many batches more.
fn decided(word: BatchWord, batches: u64) -> BatchWord {
    BatchWord(word.0.wrapping_add(batches << GENERATION_SHIFT))
}

/// The peer's own state.
pub(crate) struct Peer {
    attack: Attack,
    /// How often it acted.
    pub(crate) steps: u64,
    /// The word of [`ELUSIVE`] that it left, and how often that was looked at.
    word: u64,
    looks: u32,
    random: fastrand::Rng,
}

impl Peer {
    pub(crate) fn new(attack: Attack, world: World) -> Self {
        let seed = if let Rest::Anything(seed) = attack.rest { seed } else { 0 };
        let random = fastrand::Rng::with_seed(seed);
        let mut peer = Peer { attack, steps: 0, word: 0, looks: 0, random };
        if let Slots::Elusive(misses) = attack.slots {
            peer.elude(world, misses);
        }
        peer
    }

    /// Acts between two instructions.
    pub(crate) fn act(&mut self, world: World, child: &Stepped) -> Result<(), String> {
        self.steps += 1;
        match self.attack.slots {
            Slots::Kept => {}
            Slots::Elusive(misses) => {
                if child.holds(self.word)? {
                    self.looks += 1;
                    self.elude(world, misses);
                }
            }
            Slots::Unsettled | Slots::Turning => {
                for slot in 0..CAPACITY {
                    slot_word(world, slot).store(self.slot(world, slot).0, SeqCst);
                }
            }
        }
        match self.attack.rest {
            Rest::Kept => {}
            Rest::Writing => _ = word(world, OFF_SEQUENCE).fetch_add(1, SeqCst),
            Rest::Announcing => self.announce(world),
            Rest::Anything(_) => {
                let words = world.words(0);
                let at = self.random.usize(..words.len());
                words[at].store(self.random.u64(..), SeqCst);
                let batch = self.next(world.batch_word(0), Batches::Turning);
                if self.random.bool() {
                    word(world, OFF_BATCH).store(batch.0, SeqCst);
                }
            }
            Rest::Thread => rebuild(world),
        }
        let now = world.batch_word(0);
        let next = self.next(now, self.attack.batches);
        if next != now {
            word(world, OFF_BATCH).store(next.0, SeqCst);
        }
        Ok(())
    }

    fn next(&self, now: BatchWord, batches: Batches) -> BatchWord {
        match batches {
            Batches::Kept => now,
            Batches::Decided(batches) => decided(now, batches),
            Batches::Claimed => now.claimed(),
            Batches::Released => now.claimed().released(),
            Batches::Unclaimed => now.released(),
            Batches::Disturbed => BatchWord(now.0 & !BATCH_UNDISTURBED),
            Batches::Toggled => BatchWord(now.0 ^ BATCH_UNDISTURBED),
            Batches::Retired => BatchWord(now.claimed().0 | BATCH_RETIRED),
            Batches::Turning => match self.steps % 9 {
                0 => decided(now, 1),
                1 => now.claimed(),
                2 => now.released(),
                3 => now.attempted(),
                4 => BatchWord(now.0 & !BATCH_UNDISTURBED),
                5 => BatchWord(now.0 | BATCH_RETIRED),
                6 => BatchWord(now.0 & !BATCH_RETIRED),
                7 => decided(now, u64::MAX),
                _ => now,
            },
        }
    }

    #[allow(clippy::cast_possible_truncation)] // low bits are all that is wanted
    fn slot(&self, world: World, slot: u32) -> SlotWord {
        let n = self.steps as u32;
        let one = SlotWord::used(if slot < FIRST_USER { 1000 + slot } else { badge(slot) });
        let two = one.staged(world.batch_word(0).bank(), FOREIGN + n % 1000);
        match (self.attack.slots, (n / 3 + slot) % 6) {
            (Slots::Turning, 0) => one,
            (Slots::Turning, 1) => SlotWord::used(FOREIGN + n % 1000),
            (Slots::Turning, 2) => SlotWord::detached(FOREIGN + slot),
            (Slots::Turning, 3) => SlotWord(u64::MAX - self.steps),
            (Slots::Turning, 4) => SlotWord::FREE,
            _ => two,
        }
    }

    /// Another word, which no register holds yet. A word with two badges is looked at
    /// twice, which counts as one look.
    fn elude(&mut self, world: World, misses: u32) {
        let is_there = self.looks % (misses + 2) >= misses;
        let foreign = FOREIGN + self.looks;
        let word = if is_there {
            SlotWord::used(badge(ELUSIVE)).staged(world.batch_word(0).bank(), foreign)
        } else {
            SlotWord::used(foreign)
        };
        self.word = word.0;
        slot_word(world, ELUSIVE).store(self.word, SeqCst);
    }

    fn announce(&self, world: World) {
        let mark = match self.steps % 4 {
            0 => 0,
            1 => u64::from(CAPACITY) + 1,
            2 => 1 << 32,
            _ => u64::MAX,
        };
        for (offset, value) in [
            (OFF_COMING, [0, 6004, u64::from(ABSENT), u64::MAX][(self.steps / 5 % 4) as usize]),
            (OFF_QUIET, 1),
            (OFF_HIGH_WATER, mark),
            (OFF_SEQUENCE, self.steps.wrapping_mul(mark)),
        ] {
            word(world, offset).store(value, SeqCst);
        }
    }
}

/// Another thread of the component looks for a badge after a batch, unless it
/// would have to wait for the lock: then there was no batch.
fn rebuild(world: World) {
    let before = world.batch_word(0);
    word(world, OFF_BATCH).store(decided(before, 2).0, SeqCst);
    let look = || {
        let _ = world.table().find(ABSENT);
    };
    if !without_waiting(look) {
        word(world, OFF_BATCH).store(before.0, SeqCst);
    }
}
