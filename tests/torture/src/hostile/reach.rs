//! The most instructions that an operation may take under attack, from the bounds
//! of its loops.

use cap_map_rs::limits::{
    ATTEMPTS, BATCH_EXCHANGES, LOOK_UPS, LOST_RACES, SLOT_LOOKS, SLOT_READS, SNAPSHOT_PAUSE,
    SNAPSHOTS,
};

use crate::fixture::{CAPACITY, WAIT_BUDGET};

// The instructions of one round of each loop in cap_map_rs, about twice as many as
// counted in the code of the release profile.

/// An exchange of the batch word that fails, or a wait, with what leads to it.
const EXCHANGE: u64 = 192;
/// A look-up in an index that need not be rebuilt; any function but for its loops.
pub(crate) const LOOK_UP: u64 = 512;
/// All slots: scanned, copied, or filed anew.
pub(crate) const PASS: u64 = CAPACITY as u64 * 128;
/// A look at a slot with two badges.
const LOOK: u64 = 32;
/// The pauses between snapshots, each twice as long as the one before.
const PAUSES: u64 = 4 * (SNAPSHOT_PAUSE * ((2 << SNAPSHOTS) - 2)) as u64;
/// Slots with two badges that one look-up may have to look at.
const CANDIDATES: u64 = 2;

/// What a peer can force an operation to repeat.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    /// The generation moves on.
    pub(crate) generations: bool,
}

impl Reach {
    /// The batch word is exchanged, or waited for.
    pub(crate) fn exchanges(self) -> u64 {
        (u64::from(BATCH_EXCHANGES) + u64::from(WAIT_BUDGET)) * EXCHANGE
    }

    pub(crate) fn read(self) -> u64 {
        LOOK * if self.generations { u64::from(SLOT_READS) } else { 2 }
    }

    pub(crate) fn look_up(self) -> u64 {
        LOOK_UP + CANDIDATES * self.read() + if self.generations { PASS } else { 0 }
    }

    /// Look-ups of one call.
    fn rounds(self) -> u64 {
        1 + if self.generations { u64::from(LOOK_UPS) } else { 0 }
    }

    pub(crate) fn find(self) -> u64 {
        // Without the lock and with it.
        2 * self.rounds() * self.look_up()
    }

    /// A badge is taken out of the index and of its slot.
    pub(crate) fn write(self) -> u64 {
        self.look_up() + self.read()
    }

    /// A badge is put into a slot and into the index.
    pub(crate) fn file(self) -> u64 {
        self.rounds() * (self.look_up() + u64::from(WAIT_BUDGET) * EXCHANGE) + PASS
    }

    pub(crate) fn insert_at(self) -> u64 {
        u64::from(1 + LOOK_UPS) * (self.find() + 2 * self.write() + self.file())
    }

    pub(crate) fn insert_map(self) -> u64 {
        u64::from(LOST_RACES) * (3 * self.find() + self.write() + self.file())
    }

    pub(crate) fn snapshot(self) -> u64 {
        u64::from(SNAPSHOTS) * PASS + PAUSES + u64::from(CAPACITY) * self.read()
    }

    pub(crate) fn rewrite(self) -> u64 {
        // The claim and its release; for each attempt its beginning, quiet and the scan.
        let attempt = self.exchanges() + u64::from(1 + SLOT_LOOKS) * PASS;
        2 * self.exchanges() + u64::from(ATTEMPTS) * attempt
    }
}
