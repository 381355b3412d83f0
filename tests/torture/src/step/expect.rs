//! What must hold of a table at rest, and the visitors who find that out: a monitor
//! that rewrites badges, and the owner that goes on.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_CONTROL, SLOTS, WORD_BYTES};
use cap_map_rs::word::{Control, Phase};
use cap_map_rs::{Rewrite, Slot, SlotWord, Status};

use crate::fixture::{CAPACITY, FILLED, PATIENCE, SHIFT, State, Verdict, monitor, with};
use crate::world::{FIRST_USER, Table, World, waits};

/// The meanings of all slots, straight from the memory.
pub(crate) fn meanings(world: World, region: usize) -> State {
    let words = world.words(region);
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(SeqCst));
    let slots = &words[SLOTS / WORD_BYTES..][..CAPACITY as usize];
    slots.iter().map(|word| SlotWord(word.load(SeqCst)).decode(control)).collect()
}

pub(crate) fn difference(found: &[Slot], expected: &[Slot]) -> String {
    let pairs =
        found.iter().zip(expected).enumerate().filter(|(_, (found, expected))| found != expected);
    pairs
        .map(|(slot, (found, expected))| format!("slot {slot}: {found:?}, not {expected:?}; "))
        .collect()
}

pub(crate) fn equal(what: &str, found: &[Slot], expected: &[Slot]) -> Verdict {
    if found == expected { Ok(()) } else { Err(format!("{what}: {}", difference(found, expected))) }
}

/// Nothing is staged and no section open, once both sides have passed.
pub(crate) fn tidy(world: World, region: usize) -> Verdict {
    let words = world.words(region);
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(SeqCst));
    let slots = &words[SLOTS / WORD_BYTES..][..CAPACITY as usize];
    let staged = slots.iter().position(|word| SlotWord(word.load(SeqCst)).is_staged());
    match (control.phase(), staged) {
        (Phase::Idle, None) => Ok(()),
        (phase, staged) => Err(format!("left in {phase:?}, staged: {staged:?}")),
    }
}

/// Staged slots belong to the batch of the moment.
pub(crate) fn no_stray(world: World) -> Verdict {
    let words = world.words(0);
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(SeqCst));
    let in_batch = !matches!(control.phase(), Phase::Idle | Phase::Writing);
    let slots = &words[SLOTS / WORD_BYTES..][..CAPACITY as usize];
    let mut staged = slots.iter().map(|word| SlotWord(word.load(SeqCst)));
    match staged.position(|word| word.is_staged() && (!in_batch || word.batch() != control.batch()))
    {
        None => Ok(()),
        Some(slot) => Err(format!("slot {slot} staged in {:?} by a late monitor", control.phase())),
    }
}

/// The waits since the last call were at most those granted in `sections`.
pub(crate) fn bounded(what: &str, sections: u32) -> Verdict {
    let waited = waits();
    if waited <= sections * PATIENCE {
        Ok(())
    } else {
        Err(format!("{what} waited {waited} times"))
    }
}

/// A monitor comes by and adds [`SHIFT`] to the badges of these slots.
pub(crate) fn shift_badges(world: World, region: usize, slots: &[u32]) -> Result<State, String> {
    let monitor = monitor(world, region).map_err(|status| format!("attach: {status:?}"))?;
    let mut words = [SlotWord(0); CAPACITY as usize];
    for _ in 0..3 {
        let snapshot =
            monitor.snapshot(&mut words).map_err(|status| format!("snapshot: {status:?}"))?;
        let seen: State = words.iter().map(|word| word.meaning()).collect();
        if !snapshot.consistent || snapshot.attempts != 1 {
            return Err(format!("nobody interferes, but {snapshot:?}"));
        }
        equal("snapshot", &seen, &meanings(world, region))?;
        let mut batch = Vec::new();
        for slot in slots {
            if let Slot::Used(badge) = seen[*slot as usize] {
                batch.push(Rewrite::new(*slot, badge, badge + SHIFT));
            }
        }
        waits();
        let result = monitor.rewrite(&mut batch);
        bounded("rewrite", 2)?;
        match result.map_err(|refusal| refusal.status) {
            Ok(()) => {
                tidy(world, region)?;
                return Ok(meanings(world, region));
            }
            // The section that a stopped owner had open changed that slot.
            Err(Status::UnexpectedBadge | Status::NotRewritable) => {}
            Err(status) => return Err(format!("rewrite: {status:?}")),
        }
    }
    Err("rewrite refused again and again".to_owned())
}

pub(crate) fn shifted(state: &State, slots: &[u32]) -> State {
    let shift = |slot: &u32| match state[*slot as usize] {
        Slot::Used(badge) => Some((*slot, Slot::Used(badge + SHIFT))),
        _ => None,
    };
    with(state.clone(), &slots.iter().filter_map(shift).collect::<Vec<_>>())
}

/// The index finds what the table says and nothing else; all free slots serve.
pub(crate) fn inspect(table: &Table, state: &State) -> Verdict {
    for (slot, entry) in (0u32..).zip(state) {
        let found = table.entry(slot);
        if found != Ok(*entry) {
            return Err(format!("the owner sees {found:?} in slot {slot}, not {entry:?}"));
        }
    }
    let known = (0..FILLED).map(|n| 2000 + 4 * n).chain([5000, 6000, 6004, 6008, 7000, 8004, 77]);
    for badge in known.flat_map(|badge| (0..4).map(move |n| badge + n * SHIFT)) {
        let slot = (0u32..)
            .zip(state)
            .find(|(_, entry)| **entry == Slot::Used(badge))
            .map(|(slot, _)| slot);
        let found = table.find(badge);
        if found.ok() != slot {
            return Err(format!("find({badge}): {found:?}, not {slot:?}"));
        }
    }
    let free = state.iter().skip(FIRST_USER as usize).filter(|entry| **entry == Slot::Free).count();
    let mut slots = Vec::new();
    while let Ok(slot) = table.alloc(1) {
        slots.push(slot);
    }
    for slot in &slots {
        table.free(*slot, 1).map_err(|status| format!("free {slot}: {status:?}"))?;
    }
    if slots.len() == free {
        Ok(())
    } else {
        Err(format!("{free} slots free, {} usable", slots.len()))
    }
}

/// The owner goes on: a new badge, one less, and a monitor once more.
pub(crate) fn go_on(world: World, region: usize, mut state: State) -> Verdict {
    let table = world.table();
    inspect(table, &state)?;
    waits();
    let slot = table.insert(7000).map_err(|status| format!("insert afterwards: {status:?}"))?;
    bounded("insert afterwards", 1)?;
    if state[slot as usize] != Slot::Free {
        return Err(format!("slot {slot} handed out twice"));
    }
    table.remove(15).map_err(|status| format!("remove afterwards: {status:?}"))?;
    bounded("remove afterwards", 1)?;
    state = with(state, &[(slot, Slot::Used(7000)), (15, Slot::Free)]);
    tidy(world, region)?;
    let shifting: &[u32] = if slot < 10 { &[8, 9] } else { &[8, 9, slot] };
    let after = shift_badges(world, region, shifting)?;
    equal("at last", &after, &shifted(&state, shifting))?;
    inspect(table, &after)
}
