//! What the driver tells monitor and clients to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::state::ClientState;

/// Orders to a monitor.
#[derive(Serialize, Deserialize)]
pub(crate) enum MonitorOrder {
    /// Start a new target. Comes with the tools capability of core.
    Start { tools: u32, seed: u64 },
    /// Bring up the target from a checkpoint. Comes with the tools capability.
    Restore { tools: u32, file: PathBuf },
    /// Look at the table while the target uses it.
    Observe,
    /// Bring the target to rest, and stop it.
    Freeze,
    /// Write a checkpoint of the stopped target.
    Save { file: PathBuf, clients: ClientState },
    /// Read the reference counts. The answer comes with a file of them.
    References,
}

/// Answers of a monitor.
#[derive(Serialize, Deserialize)]
pub(crate) enum MonitorAnswer {
    /// The target runs. Comes with the memory of the table.
    Running { target: u32 },
    /// How many snapshots were of one instant, and how many were not.
    Observed { consistent: u64, other: u64 },
    /// Done.
    Done,
}

/// Orders to the clients.
#[derive(Serialize, Deserialize)]
pub(crate) enum ClientOrder {
    /// Begin. Objects that clients served before are created again. Comes with
    /// the tools capability of core.
    Setup { tools: u32, seed: u64, state: ClientState },
    /// Get capabilities of the objects in the state.
    Attach,
    /// Let the target create this many objects.
    Populate { objects: u32 },
    /// Call objects. Answered after so many calls, but the threads go on.
    Run { calls: u64 },
    /// Stop calling. A call without an answer does not count.
    Stop,
}

/// Answers of the clients.
#[derive(Serialize, Deserialize)]
pub(crate) enum ClientAnswer {
    /// Done.
    Done,
    /// The threads stand still.
    Stopped {
        /// What they expect from now on.
        state: ClientState,
        /// Calls that were answered.
        calls: u64,
        /// Answers that were not the expected ones.
        wrong: u64,
        /// The first of them.
        first_wrong: Option<String>,
    },
}
