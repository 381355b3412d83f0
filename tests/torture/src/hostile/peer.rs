//! A hostile peer: what it does to the shared memory between two instructions.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::SlotWord;
use cap_map_rs::layout::{
    OFF_CONTROL, OFF_INTENT_NEW, OFF_INTENT_OLD, OFF_INTENT_SLOT, OFF_QUIET, OFF_RESOLVER_MONITOR,
    OFF_RESOLVER_OWNER, PHASE_IDLE,
};
use cap_map_rs::word::Control;

use crate::fixture::{CAPACITY, badge, slot_word, word};
use crate::hostile::reach::Reach;
use crate::ptrace::Stepped;
use crate::world::{FIRST_USER, World, without_waiting};

/// No slot carries it.
pub(crate) const ABSENT: u32 = 5000;
/// The slot whose badge comes and goes.
pub(crate) const ELUSIVE: u32 = 8;

/// What becomes of the control word.
#[derive(Clone, Copy)]
pub(crate) enum Controls {
    Kept,
    /// Always another one: in this phase, the generation so many further.
    Always(u64, u32),
    /// Always another one, each phase in turn.
    Turning,
    /// Whatever the operation makes of it, it becomes one of this phase.
    TakenBack(u64, u32),
}

/// What becomes of the slot words.
#[derive(Clone, Copy)]
pub(crate) enum Slots {
    Kept,
    /// All slots are staged by the batch of the moment, with other new badges each time.
    Staged,
    /// Each slot turns from used to staged, detached, corrupt, free.
    Turning,
    /// [`ELUSIVE`] loses its badge for so many looks, has it for one.
    Elusive(u32),
}

/// What becomes of everything else.
#[derive(Clone, Copy)]
pub(crate) enum Rest {
    Kept,
    /// Announcements, intents, and the request for quiet change.
    Announcing,
    /// Any word of header and slots may become any number; start of the random numbers.
    Anything(u64),
    /// Another thread of the component rebuilds the index after a batch.
    Thread,
}

#[derive(Clone, Copy)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    controls: Controls,
    slots: Slots,
    rest: Rest,
}

impl Attack {
    pub(crate) fn reach(&self) -> Reach {
        let anything = matches!(self.rest, Rest::Anything(_));
        let (transitions, passes, generations) = match self.controls {
            Controls::Kept => (false, false, false),
            Controls::Always(_, steps) => (true, false, steps > 0),
            Controls::Turning => (true, false, true),
            // Each transition takes place, and is in vain.
            Controls::TakenBack(PHASE_IDLE, steps) => (false, false, steps > 0),
            Controls::TakenBack(_, steps) => (true, true, steps > 0),
        };
        Reach {
            transitions: transitions || anything,
            passes: passes || anything,
            generations: generations || anything,
        }
    }
}

pub(crate) const fn attack(
    name: &'static str,
    controls: Controls,
    slots: Slots,
    rest: Rest,
) -> Attack {
    Attack { name, controls, slots, rest }
}

pub(crate) const fn controls(name: &'static str, controls: Controls) -> Attack {
    attack(name, controls, Slots::Kept, Rest::Kept)
}

/// The peer's own state.
pub(crate) struct Peer {
    attack: Attack,
    /// How often it acted.
    pub(crate) steps: u64,
    /// The control word that it left.
    control: u64,
    /// The word of [`ELUSIVE`] that it left, and how often that was looked at.
    word: u64,
    looks: u32,
    random: fastrand::Rng,
}

impl Peer {
    pub(crate) fn new(attack: Attack, world: World) -> Self {
        let seed = if let Rest::Anything(seed) = attack.rest { seed } else { 0 };
        let mut peer = Peer {
            attack,
            steps: 0,
            control: word(world, OFF_CONTROL).load(SeqCst),
            word: 0,
            looks: 0,
            random: fastrand::Rng::with_seed(seed),
        };
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
            Slots::Staged | Slots::Turning => {
                for slot in 0..CAPACITY {
                    slot_word(world, slot).store(self.slot(world, slot).0, SeqCst);
                }
            }
        }
        match self.attack.rest {
            Rest::Kept => {}
            Rest::Announcing => self.announce(world),
            Rest::Anything(_) => {
                let words = world.words(0);
                let at = self.random.usize(..words.len());
                words[at].store(self.random.u64(..), SeqCst);
                let now = Control(word(world, OFF_CONTROL).load(SeqCst));
                let next = now.advanced(self.random.u64(..8), self.random.u32(..3));
                if self.random.bool() {
                    word(world, OFF_CONTROL).store(next.0, SeqCst);
                }
            }
            Rest::Thread => rebuild(world),
        }
        let control = word(world, OFF_CONTROL);
        let now = Control(control.load(SeqCst));
        let next = match self.attack.controls {
            Controls::Kept => return Ok(()),
            Controls::Always(phase, steps) => now.advanced(phase, steps),
            Controls::Turning => {
                now.advanced(self.steps % 8, u32::from(self.steps.is_multiple_of(3)))
            }
            Controls::TakenBack(..) if now.0 == self.control => return Ok(()),
            Controls::TakenBack(phase, steps) => now.advanced(phase, steps),
        };
        control.store(next.0, SeqCst);
        self.control = next.0;
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation)] // low bits are all that is wanted
    fn slot(&self, world: World, slot: u32) -> SlotWord {
        let n = self.steps as u32;
        let batch = Control(word(world, OFF_CONTROL).load(SeqCst)).batch();
        let staged = SlotWord::staged(badge(FIRST_USER) + slot, 3000 + n % 1000, batch);
        match (self.attack.slots, (n / 3 + slot) % 6) {
            (Slots::Turning, 0) => SlotWord::used(3000 + slot, self.steps),
            (Slots::Turning, 1) => SlotWord::used(3000 + n % 1000, self.steps),
            (Slots::Turning, 2) => SlotWord::detached(3000 + slot, self.steps),
            (Slots::Turning, 3) => SlotWord(u64::MAX - self.steps),
            (Slots::Turning, 4) => SlotWord::free(self.steps),
            _ => staged,
        }
    }

    /// Another word, which no register holds yet.
    fn elude(&mut self, world: World, misses: u32) {
        let there = self.looks % (misses + 1) == misses;
        let badge = if there { badge(ELUSIVE) } else { 3000 };
        self.word = SlotWord::used(badge, 0x1_0000_0000 + u64::from(self.looks)).0;
        slot_word(world, ELUSIVE).store(self.word, SeqCst);
    }

    fn announce(&self, world: World) {
        let slot = match self.steps % 4 {
            0 => 9,
            1 => u64::from(CAPACITY),
            2 => 1 << 32,
            _ => u64::MAX,
        };
        for (offset, value) in [
            (OFF_RESOLVER_OWNER, self.steps % 34),
            (OFF_RESOLVER_MONITOR, (self.steps + 1) % 34),
            (OFF_QUIET, self.steps % 2),
            (OFF_INTENT_SLOT, slot),
            (OFF_INTENT_OLD, slot_word(world, 9).load(SeqCst)),
            (OFF_INTENT_NEW, SlotWord::used(3000, self.steps).0),
        ] {
            word(world, offset).store(value, SeqCst);
        }
    }
}

/// Another thread of the component looks for a badge after a batch, unless it
/// would have to wait for the lock: then there was no batch.
fn rebuild(world: World) {
    let control = word(world, OFF_CONTROL);
    let before = Control(control.load(SeqCst));
    control.store(before.advanced(PHASE_IDLE, 2).0, SeqCst);
    let look = || {
        let _ = world.table().find(ABSENT);
    };
    if !without_waiting(look) {
        control.store(before.0, SeqCst);
    }
}
