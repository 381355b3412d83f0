//! What clients expect of the target: carried from one system to the next.

use serde::{Deserialize, Serialize};

/// Expectations of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientState {
    /// Objects of the target that stay.
    pub(crate) permanent: Vec<ObjectState>,
    /// What the client threads have to themselves.
    pub(crate) threads: Vec<ThreadState>,
}

/// An object of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectState {
    /// Its name, which it got when it was created.
    pub(crate) name: u64,
    /// Calls that it has answered.
    pub(crate) calls: u64,
}

/// Expectations of one client thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThreadState {
    /// Objects of the target that the thread has created and will destroy.
    pub(crate) sessions: Vec<ObjectState>,
    /// Names of the objects that the thread serves itself.
    pub(crate) own: Vec<u64>,
    /// Number of such objects that there ever were.
    pub(crate) own_created: u64,
    /// Capabilities that the target keeps in this thread's cells.
    pub(crate) cells: Vec<CellState>,
}

/// A capability that an object of the target was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CellState {
    /// Position of that object among the permanent ones.
    pub(crate) holder: usize,
    /// Name of the object that the capability leads to.
    pub(crate) held: u64,
    /// Whether that object still exists.
    pub(crate) alive: bool,
}

/// Threads that call the target.
pub(crate) const THREADS: usize = 4;

impl ClientState {
    /// Whether clients of a target with so many slots can have this state.
    pub(crate) fn is_possible(&self, slots: u32) -> bool {
        let cells = self.threads.iter().flat_map(|thread| &thread.cells);
        self.objects().count() <= slots as usize
            && self.threads.len() <= THREADS
            && cells.into_iter().all(|cell| cell.holder < self.permanent.len())
    }

    /// Objects of the target that clients have capabilities of.
    pub(crate) fn objects(&self) -> impl Iterator<Item = ObjectState> {
        let sessions = self.threads.iter().flat_map(|thread| &thread.sessions);
        self.permanent.iter().chain(sessions).copied()
    }
}
