//! What must hold of a table at rest, and the visitors who find that out: a monitor
//! that rewrites badges, and the owner that goes on.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_COMING, OFF_HIGH_WATER, OFF_QUIET, OFF_SEQUENCE};
use cap_map_rs::{Monitor, Rewrite, Slot, SlotWord, Status};

use crate::fixture::{
    CAPACITY, FILLED, SHIFT, State, Verdict, WAIT_BUDGET, code, monitor, rewrite, with,
};
use crate::world::{FIRST_USER, Relax, Table, World, waits};

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

/// What a monitor sees of this state.
pub(crate) fn shared(state: &State) -> State {
    let seen = |entry: &Slot| if *entry == Slot::Reserved { Slot::Free } else { *entry };
    state.iter().map(seen).collect()
}

/// A header word that the owner writes.
fn header(world: World, region: usize, offset: usize) -> u64 {
    world.words(region)[offset / 8].load(SeqCst)
}

/// Nobody has left anything unfinished in the header, once both sides have passed.
pub(crate) fn tidy(world: World, region: usize) -> Verdict {
    let batch = world.batch_word(region);
    let [coming, quiet, sequence, mark] = [OFF_COMING, OFF_QUIET, OFF_SEQUENCE, OFF_HIGH_WATER]
        .map(|offset| header(world, region, offset));
    let used = world.slots(region).iter().rposition(|word| *word != SlotWord::FREE);
    let marked = used.is_none_or(|slot| (slot as u64) < mark) && mark <= u64::from(CAPACITY);
    let at_rest = coming == 0 && quiet == 0 && sequence.is_multiple_of(2);
    if at_rest && marked && !batch.is_retired() {
        return Ok(());
    }
    Err(format!(
        "left with coming {coming}, quiet {quiet}, sequence {sequence}, mark {mark}, last slot \
         {used:?}, {batch:x?}"
    ))
}

/// The last batch has left one badge in each slot, and no claim.
fn settled(world: World, region: usize) -> Verdict {
    let batch = world.batch_word(region);
    let unsettled = world.slots(region).iter().position(|word| !word.is_settled());
    match (batch.is_claimed() || batch.is_attempted(), unsettled) {
        (false, None) => Ok(()),
        (_, slot) => Err(format!("left with {batch:x?}, slot with two badges: {slot:?}")),
    }
}

/// The waits since the last call were at most those granted so many times.
pub(crate) fn bounded(what: &str, times: u32) -> Verdict {
    let waited = waits();
    if waited <= times * WAIT_BUDGET {
        Ok(())
    } else {
        Err(format!("{what} waited {waited} times"))
    }
}

/// A monitor that may rewrite. Another one that holds the claim keeps it out until that
/// one is declared dead.
pub(crate) fn heir(world: World, region: usize) -> Result<Monitor<'static, Relax>, String> {
    let heir = monitor(world, region).map_err(|status| format!("attach: {status:?}"))?;
    if world.batch_word(region).is_claimed() {
        waits();
        let refused = heir.rewrite_one(0, 1, 1).map_err(|refusal| refusal.status);
        let waited = waits();
        if refused != Err(Status::Busy) || waited != WAIT_BUDGET {
            return Err(format!("beside a claim: {refused:?} after {waited} waits"));
        }
        heir.take_over().map_err(|status| format!("take_over: {status:?}"))?;
    }
    Ok(heir)
}

/// A monitor comes by and adds [`SHIFT`] to the badges of these slots.
pub(crate) fn shift_badges(world: World, region: usize, slots: &[u32]) -> Result<State, String> {
    let monitor = heir(world, region)?;
    let mut words = [SlotWord::FREE; CAPACITY as usize];
    let snapshot =
        monitor.snapshot(&mut words).map_err(|status| format!("snapshot: {status:?}"))?;
    let seen: State = words.iter().map(|word| word.meaning()).collect();
    if !snapshot.consistent || snapshot.attempts != 1 {
        return Err(format!("nobody interferes, but {snapshot:?}"));
    }
    equal("snapshot", &seen, &shared(&world.meanings(region)))?;
    let mut batch = Vec::new();
    for slot in slots {
        if let Slot::Used(badge) = seen[*slot as usize] {
            batch.push(Rewrite::new(*slot, badge, badge + SHIFT));
        }
    }
    waits();
    let result = monitor.rewrite(&mut batch);
    bounded("rewrite", 1)?;
    result.map_err(|refusal| format!("rewrite: {refusal:?}"))?;
    settled(world, region)?;
    if batch.iter().any(|entry| entry.left_out != 0) {
        return Err(format!("nobody interferes, but a slot was left out: {batch:?}"));
    }
    Ok(world.meanings(region))
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
    for badge in known.flat_map(|badge| (0..5).map(move |n| badge + n * SHIFT)) {
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

/// A monitor waits for an owner that asks for quiet, but not for ever.
fn quiet_is_honoured(world: World, region: usize) -> Verdict {
    let quiet = &world.words(region)[OFF_QUIET / 8];
    quiet.store(1, SeqCst);
    waits();
    let result = monitor(world, region).map(|monitor| monitor.rewrite_one(0, 77, 78));
    quiet.store(0, SeqCst);
    let waited = waits();
    match result {
        Ok(Err(refusal)) if refusal.status == Status::NotRewritable && waited == WAIT_BUDGET => {
            Ok(())
        }
        other => Err(format!("beside a request for quiet: {other:?} after {waited} waits")),
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
    bounded("remove afterwards", 0)?;
    state = with(state, &[(slot, Slot::Used(7000)), (15, Slot::Free)]);
    tidy(world, region)?;
    let shifting: &[u32] = if slot < 10 { &[8, 9] } else { &[8, 9, slot] };
    let after = shift_badges(world, region, shifting)?;
    equal("at last", &after, &shifted(&state, shifting))?;
    tidy(world, region)?;
    quiet_is_honoured(world, region)?;
    inspect(table, &after)
}

/// Another monitor gives slot 11 the badge `wanted`, if it can.
pub(crate) fn rival(world: World, wanted: u32) -> Result<u64, String> {
    heir(world, 0)?;
    let Some(Slot::Used(badge)) = world.meanings(0).get(11).copied() else {
        return Ok(code::<u32>(Err(Status::NotRewritable)));
    };
    Ok(rewrite(world, &mut [Rewrite::new(11, badge, wanted)]))
}
