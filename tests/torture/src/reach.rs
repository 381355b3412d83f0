//! The most instructions that an operation may take under attack, from the bounds
//! of its loops.

use crate::step::{CAPACITY, PATIENCE};

// Bounds of the loops in cap_map_rs, and the instructions of one round of each,
// about twice as many as counted in the code of the release profile.

/// Transitions, and looks at a staged slot.
const ATTEMPTS: u64 = 256;
/// Transitions that succeed, if nobody changes the control word: to close what
/// was open, to open a section, to close it.
const UNDISTURBED: u64 = 4;
/// Look-ups, each after the first with monitors asked for quiet.
const LOOK_UPS: u64 = 8;
const SNAPSHOTS: u64 = 10;
const BATCHES: u64 = 16;
const RACES: u64 = 64;
/// A transition that fails, with what leads to it.
const TRANSITION: u64 = 192;
/// A look-up in an index that need not be rebuilt; any function but for its loops.
pub(crate) const LOOK_UP: u64 = 512;
/// All slots: rolled forward or back with four attempts each, or filed anew.
pub(crate) const PASS: u64 = CAPACITY as u64 * 128;
/// A look at a staged slot.
const LOOK: u64 = 24;
/// The pauses between snapshots: 4092 calls of `spin_loop`.
const PAUSES: u64 = 4 * 4092;

/// What a peer can force an operation to repeat.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    /// The control word changes when it likes.
    pub(crate) transitions: bool,
    /// It also lets the operation pass over the table in between.
    pub(crate) passes: bool,
    /// The generation moves on.
    pub(crate) generations: bool,
}

impl Reach {
    pub(crate) fn tries(self) -> u64 {
        if self.transitions { ATTEMPTS } else { UNDISTURBED }
    }

    pub(crate) fn transitions(self) -> u64 {
        self.tries() * (TRANSITION + if self.passes { PASS } else { 0 })
            + u64::from(PATIENCE) * TRANSITION
    }

    pub(crate) fn look_up(self) -> u64 {
        LOOK_UP + if self.generations { PASS } else { 0 }
    }

    pub(crate) fn rounds(self) -> u64 {
        1 + if self.generations { LOOK_UPS } else { 0 }
    }

    pub(crate) fn read(self) -> u64 {
        LOOK * self.tries()
    }

    pub(crate) fn find(self) -> u64 {
        // Without the lock and with it.
        2 * self.rounds() * (self.look_up() + self.read())
    }

    pub(crate) fn write(self) -> u64 {
        self.look_up() + self.transitions()
    }

    pub(crate) fn file(self) -> u64 {
        self.rounds() * self.write()
    }

    pub(crate) fn insert_at(self) -> u64 {
        (1 + LOOK_UPS) * (self.find() + 2 * self.write() + self.file())
    }

    pub(crate) fn insert_map(self) -> u64 {
        RACES * (2 * self.find() + self.write() + self.file())
    }

    pub(crate) fn snapshot(self) -> u64 {
        SNAPSHOTS * PASS + PAUSES + u64::from(CAPACITY) * self.read()
    }

    pub(crate) fn rewrite(self) -> u64 {
        // A batch that cannot be begun is the last one.
        self.transitions() + BATCHES * (UNDISTURBED * TRANSITION + 2 * PASS)
    }
}
