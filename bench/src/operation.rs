//! The operations that are measured, and the patterns of badges.

use crate::ops::Subject;

/// Badges and the order in which they are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    /// Badges from all over their range, at random.
    Random,
    /// The same badges, in the order of their slots.
    Sequential,
    /// The same badges, mostly the last few that were inserted.
    Recent,
    /// Badges as core hands them out (ascending multiples of four, with holes),
    /// at random.
    Clustered,
}

impl Pattern {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Pattern::Random => "random",
            Pattern::Sequential => "sequential",
            Pattern::Recent => "recent",
            Pattern::Clustered => "clustered",
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    FindHit,
    /// Each look-up waits for the result of the one before.
    FindDependent,
    FindMiss,
    InsertMapHit,
    InsertMapNew,
    InsertRemove,
    References,
    Window,
    /// Window with every eighth slot in front of it free.
    WindowHoles,
    Dispatch,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::FindHit => "find, hit",
            Operation::FindDependent => "find, hit, dependent",
            Operation::FindMiss => "find, miss",
            Operation::InsertMapHit => "insert_map, hit",
            Operation::InsertMapNew => "insert_map, new",
            Operation::InsertRemove => "insert + remove",
            Operation::References => "reference inc + dec",
            Operation::Window => "window of 4 slots",
            Operation::WindowHoles => "window, holes in front",
            Operation::Dispatch => "object dispatch",
        }
    }

    pub(crate) fn applies_to(self, subject: &Subject) -> bool {
        match self {
            Operation::Window | Operation::WindowHoles => subject.windows,
            Operation::Dispatch => subject.pool.is_some(),
            _ => true,
        }
    }
}
