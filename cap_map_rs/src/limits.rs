//! The bounds of the loops that a peer can prolong.
//!
//! A hostile monitor or owner changes the shared words as often as it likes. Each
//! loop that tries again because of that has a bound here, and so have look-ups and
//! dispatches that other threads of the component disturb. Tests import the bounds
//! instead of repeating the numbers.
//!
//! Loops over private words have none: the private lock, a compare-and-exchange that
//! another thread's success makes fail, and waiting for users of objects and for the
//! walkers of one instant.
//!
//! Models take smaller numbers, as loom explores every order of every attempt.

/// Looks at a slot with two badges that one call takes to learn which one counts. Each
/// look in vain means that a batch was decided meanwhile.
pub const SLOT_READS: u32 = if cfg!(loom) { 3 } else { 256 };

/// Exchanges of the batch word that a monitor tries to claim the table, to begin an
/// attempt, or to release its claim. Each one that fails means that another party
/// changed the word.
pub const BATCH_EXCHANGES: u32 = if cfg!(loom) { 3 } else { 256 };

/// Look-ups that one call of the owner makes while others change the table, insertions
/// that it tries after it has asked for quiet, and slots from which `insert_at` removes a
/// badge that monitors keep moving.
pub const LOOK_UPS: u32 = if cfg!(loom) { 2 } else { 8 };

/// Races that one `insert_map` loses before it gives up. Each lost race is another
/// thread's success.
pub const LOST_RACES: u32 = if cfg!(loom) { 2 } else { 64 };

/// Look-ups of one dispatch after the first. Each means that a badge has moved.
pub const DISPATCHES: u32 = if cfg!(loom) { 2 } else { 8 };

/// Attempts of one rewrite before an owner that keeps inserting makes it fail.
pub const ATTEMPTS: u32 = if cfg!(loom) { 2 } else { 16 };

/// Looks at one slot in an attempt before the owner's changes make the batch fail.
pub const SLOT_LOOKS: u32 = 2;

/// Attempts of a monitor to see the whole table at one instant.
pub const SNAPSHOTS: u32 = if cfg!(loom) { 1 } else { 10 };

/// Slots that a snapshot copies between two looks at the sequence. A failed
/// attempt ends early, because the owner must fetch back each line that was read.
pub const SNAPSHOT_CHUNK: usize = 512;

/// Half of the pause after the first failed snapshot, in calls of `spin_loop`
/// (about 15 ns each). Each later pause is twice as long.
pub const SNAPSHOT_PAUSE: u32 = 2;
