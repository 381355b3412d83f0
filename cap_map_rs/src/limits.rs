//! The bounds of the loops that a peer can prolong.
//!
//! A hostile monitor or owner changes the shared words as often as it likes. Each
//! loop that tries again because of that has a bound here, and so have look-ups and
//! dispatches that other threads of the component disturb. Tests import the bounds
//! instead of repeating the numbers.
//!
//! Loops over private words have none: the private lock, a compare-and-exchange that
//! another thread's success makes fail, and waiting for walkers and users of objects.
//!
//! Models take smaller numbers, as loom explores every order of every attempt.

/// Transitions of the control word that one call tries before its peer counts as
/// hostile. An owner then overrules the peer, a monitor gives up.
pub const TRANSITIONS: u32 = if cfg!(loom) { 8 } else { 256 };

/// Looks at a staged slot that one call takes to learn what the slot means.
pub const STAGED_READS: u32 = TRANSITIONS;

/// Attempts to roll one slot of a decided batch. The monitor whose batch was
/// aborted and another resolver change the slot once each.
pub const SLOT_RESOLUTIONS: u32 = 4;

/// Look-ups that one call of the owner makes while others change the table.
pub const LOOK_UPS: u32 = if cfg!(loom) { 2 } else { 8 };

/// Races that one `insert_map` loses before it gives up. Each lost race is another
/// thread's success.
pub const LOST_RACES: u32 = if cfg!(loom) { 2 } else { 64 };

/// Look-ups of one dispatch after the first. Each means that a badge has moved.
pub const DISPATCHES: u32 = if cfg!(loom) { 2 } else { 8 };

/// Batches that one rewrite begins before an owner that keeps interfering makes
/// it fail.
pub const BATCHES: u32 = if cfg!(loom) { 1 } else { 16 };

/// Attempts of a monitor to see the whole table at one instant.
pub const SNAPSHOTS: u32 = if cfg!(loom) { 1 } else { 10 };

/// Slots that a snapshot copies between two looks at the control word. A failed
/// attempt ends early, because the owner must fetch back each line that was read.
pub const SNAPSHOT_CHUNK: usize = 512;

/// Half of the pause after the first failed snapshot, in calls of `spin_loop`
/// (about 15 ns each). Each later pause is twice as long.
pub const SNAPSHOT_PAUSE: u32 = 2;
