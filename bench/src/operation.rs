//! The operations that are measured, with their lower bounds, and the patterns of badges.
//!
//! The lower bound of an operation is the loop and the calls through the C ABI that all
//! subjects share, with nothing inside but the locked instructions that threads which
//! know nothing of each other cannot do without.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

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

type Call = extern "C" fn(&AtomicU32, u32) -> u32;

/// Locked instructions in a row on a cached word.
extern "C" fn locked<const COUNT: usize>(word: &AtomicU32, key: u32) -> u32 {
    for _ in 0..COUNT {
        word.fetch_add(1, Ordering::AcqRel);
    }
    key
}

/// The calls of one operation; `None` without a lower bound.
fn calls(operation: Operation) -> Option<(Call, Option<Call>)> {
    match operation {
        // Lock-free.
        Operation::FindHit => Some((locked::<0>, None)),
        // Taking a lock, or counting; a lock is given up by a plain store.
        Operation::References | Operation::Window | Operation::InsertRemove => {
            Some((locked::<1>, Some(locked::<1>)))
        }
        // The object is kept from being destroyed, locked, and let go.
        Operation::Dispatch => Some((locked::<2>, Some(locked::<1>))),
        _ => None,
    }
}

/// Runs the lower bound of an operation `count` times on the same keys; false if it
/// has none.
pub(crate) fn run_lower_bound(operation: Operation, keys: impl Iterator<Item = u32>) -> bool {
    let Some(calls) = calls(operation) else { return false };
    let (first, second) = black_box(calls);
    let word = AtomicU32::new(0);
    let sum = keys.fold(0_u32, |sum, key| {
        let sum = sum.wrapping_add(first(&word, key));
        second.map_or(sum, |second| sum.wrapping_add(second(&word, key)))
    });
    black_box(sum);
    true
}
