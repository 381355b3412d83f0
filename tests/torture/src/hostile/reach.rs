//! The most instructions that an operation may take under attack, from the bounds
//! of its loops.

use cap_map_rs::limits::{BATCHES, LOOK_UPS, LOST_RACES, SNAPSHOT_PAUSE, SNAPSHOTS, TRANSITIONS};

use crate::fixture::{CAPACITY, PATIENCE};

// The instructions of one round of each loop in cap_map_rs, about twice as many as
// counted in the code of the release profile.

/// Transitions that succeed, if nobody changes the control word: to close what
/// was open, to open a section, to close it.
const UNDISTURBED: u64 = 4;
/// A transition that fails, with what leads to it.
const TRANSITION: u64 = 192;
/// A look-up in an index that need not be rebuilt; any function but for its loops.
pub(crate) const LOOK_UP: u64 = 512;
/// All slots: rolled forward or back with `SLOT_RESOLUTIONS` attempts each, or filed anew.
pub(crate) const PASS: u64 = CAPACITY as u64 * 128;
/// A look at a staged slot.
const LOOK: u64 = 24;
/// The pauses between snapshots, each twice as long as the one before.
const PAUSES: u64 = 4 * (SNAPSHOT_PAUSE * ((2 << SNAPSHOTS) - 2)) as u64;

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
        if self.transitions { u64::from(TRANSITIONS) } else { UNDISTURBED }
    }

    pub(crate) fn transitions(self) -> u64 {
        self.tries() * (TRANSITION + if self.passes { PASS } else { 0 })
            + u64::from(PATIENCE) * TRANSITION
    }

    pub(crate) fn look_up(self) -> u64 {
        LOOK_UP + if self.generations { PASS } else { 0 }
    }

    pub(crate) fn rounds(self) -> u64 {
        1 + if self.generations { u64::from(LOOK_UPS) } else { 0 }
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
        u64::from(1 + LOOK_UPS) * (self.find() + 2 * self.write() + self.file())
    }

    pub(crate) fn insert_map(self) -> u64 {
        u64::from(LOST_RACES) * (2 * self.find() + self.write() + self.file())
    }

    pub(crate) fn snapshot(self) -> u64 {
        u64::from(SNAPSHOTS) * PASS + PAUSES + u64::from(CAPACITY) * self.read()
    }

    pub(crate) fn rewrite(self) -> u64 {
        // A batch that cannot be begun is the last one.
        self.transitions() + u64::from(BATCHES) * (UNDISTURBED * TRANSITION + 2 * PASS)
    }
}
