//! Whether the parts of an image agree with each other.

use std::collections::{HashMap, HashSet};

use super::{Image, Row, State, Target};
use crate::checkpoint::{Checkpoint, RESERVED};
use crate::state::ObjectState;

/// What is wrong with an image whose structure and checksums are right.
pub(crate) fn verify(image: &Image) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = HashMap::new();
    for row in &image.rows {
        let slot = row.slot;
        if row.state == State::Corrupt {
            faults.push(format!("slot {slot}: is corrupt"));
        } else if row.state.is_found()
            && let Some(other) = seen.insert(row.badge, slot)
        {
            faults.push(format!("slot {slot}: has badge {} of slot {other}", row.badge));
        }
    }
    if let Some(checkpoint) = &image.checkpoint {
        check_slots(image, checkpoint, &mut faults);
        check_clients(image, checkpoint, &mut faults);
    }
    faults
}

/// References and objects of the slots.
fn check_slots(image: &Image, checkpoint: &Checkpoint, faults: &mut Vec<String>) {
    let rows: HashMap<_, _> = image.rows.iter().map(|row| (row.slot, row)).collect();
    for (slot, count) in (0u32..).zip(&checkpoint.references) {
        let row = rows.get(&slot);
        if *count != 0 && row.is_none() {
            faults.push(format!("slot {slot}: is free, but has {count} references"));
        }
        if row.is_some_and(|row| lacks_holder(row)) {
            faults.push(format!("slot {slot}: nobody has a reference to it"));
        }
        if *count == RESERVED && row.is_some_and(|row| row.badge != 0) {
            faults.push(format!("slot {slot}: carries a badge, but is said to be reserved"));
        }
    }
    let mut seen = HashMap::new();
    for row in &image.rows {
        let slot = row.slot;
        match &row.object {
            Some(Target::Gate { creator, entrypoint, name }) => {
                if creator == "target" && *entrypoint >= checkpoint.meta.entrypoints {
                    faults.push(format!("slot {slot}: there is no entrypoint {entrypoint}"));
                }
                if let Some(other) = seen.insert((creator, name), slot) {
                    faults.push(format!("slot {slot}: leads to the object of slot {other}"));
                }
            }
            Some(Target::Thread) if row.state != State::Static => {
                faults.push(format!("slot {slot}: leads to a thread"));
            }
            _ => {}
        }
    }
}

fn lacks_holder(row: &Row) -> bool {
    matches!(row.state, State::Used | State::Detached) && row.references == Some(0)
}

/// What the clients expect of the component.
fn check_clients(image: &Image, checkpoint: &Checkpoint, faults: &mut Vec<String>) {
    let served: HashSet<_> = image
        .rows
        .iter()
        .filter_map(|row| match &row.object {
            Some(Target::Gate { creator, name, .. }) if creator == "target" => Some(*name),
            _ => None,
        })
        .collect();
    let mut known = HashSet::new();
    for ObjectState { name, .. } in checkpoint.clients.objects() {
        if !served.contains(&name) {
            faults.push(format!("object {name:#x} of a client: no slot leads to it"));
        }
        if !known.insert(name) {
            faults.push(format!("object {name:#x} of a client: occurs twice"));
        }
    }
}
