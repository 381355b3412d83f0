//! Operations under the attack of a peer that acts between any two instructions,
//! always so that the operation has to try again: each loop reaches its bound.
//!
//! The operation must end within a number of instructions that is computed from
//! these bounds, with a status that it documents, and with the peer at rest the
//! table must work. What lies around the regions is out of its reach.

mod operations;
mod peer;
mod reach;

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{
    OFF_BATCH, OFF_COMING, OFF_HIGH_WATER, OFF_QUIET, OFF_SEQUENCE, SLOTS, WORD_BYTES,
};
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Slot, SlotWord};

use crate::fixture::{CAPACITY, Verdict, base, monitor, prepare, word};
use crate::hostile::operations::{ATTACKS, Operation, bounds, failed, operations};
use crate::hostile::peer::{Attack, Peer};
use crate::ptrace::Stepped;
use crate::world::{FIRST_USER, World};

/// What an operation has not returned.
const RUNNING: u64 = u64::MAX;

/// The words of a header.
type HeaderWords = [u64; SLOTS / WORD_BYTES];

fn header(world: World) -> HeaderWords {
    std::array::from_fn(|at| world.words(0)[at].load(SeqCst))
}

/// The peer puts the header right, but for what the owner wrote meanwhile, and releases
/// its claims.
fn mend(world: World, before: &HeaderWords) {
    let (batch, sequence) = (world.batch_word(0), word(world, OFF_SEQUENCE).load(SeqCst));
    for (word, value) in world.words(0).iter().zip(before) {
        word.store(*value, SeqCst);
    }
    word(world, OFF_BATCH).store(BatchWord::new(batch.generation()).0, SeqCst);
    word(world, OFF_SEQUENCE).store(sequence, SeqCst);
    for (offset, value) in [(OFF_COMING, 0), (OFF_QUIET, 0), (OFF_HIGH_WATER, CAPACITY)] {
        word(world, offset).store(u64::from(value), SeqCst);
    }
}

/// With the peer at rest, new badges come and go, and a monitor rewrites them.
fn works(world: World, operation: &Operation) -> Verdict {
    let table = world.table();
    let held = base();
    let mut slots = Vec::new();
    for number in 0..8 {
        let badge = 7000 + 4 * number;
        let slot = table
            .insert(badge)
            .map_err(|status| format!("insert afterwards, number {number}: {status:?}"))?;
        let known = held[slot as usize] != Slot::Free && !operation.frees.contains(&slot);
        if known || slot < FIRST_USER {
            return Err(format!("slot {slot} handed out twice"));
        }
        slots.push((slot, badge));
    }
    for (slot, badge) in slots {
        let rewritten = badge + 1;
        let monitor = monitor(world, usize::from(operation.name == "move"))
            .map_err(|status| format!("attach afterwards: {status:?}"))?;
        let mut words = [SlotWord(0); CAPACITY as usize];
        let snapshot = monitor
            .snapshot(&mut words)
            .map_err(|status| format!("snapshot afterwards: {status:?}"))?;
        if !snapshot.consistent || snapshot.attempts != 1 {
            return Err(format!("afterwards, nobody interferes, but {snapshot:?}"));
        }
        monitor
            .rewrite_one(slot, badge, rewritten)
            .map_err(|refusal| format!("rewrite afterwards: {refusal:?}"))?;
        let found = table.find(rewritten);
        if found != Ok(slot) {
            return Err(format!("find afterwards: {found:?}, not slot {slot}"));
        }
        table.remove(slot).map_err(|status| format!("remove afterwards: {status:?}"))?;
        if let Ok(found) = table.find(rewritten) {
            return Err(format!("removed, but found in slot {found}"));
        }
    }
    Ok(())
}

/// Exposes the operation to the attack; the instructions it took.
fn expose(
    world: World,
    operation: &Operation,
    attack: Attack,
    expected: Option<u64>,
) -> Result<u64, String> {
    prepare(world)?;
    (operation.prepare)(world);
    let before = header(world);
    let returned = &world.ledger().returned;
    returned.store(RUNNING, SeqCst);
    let mut child = Stepped::start(world, operation.act, |result| returned.store(result, SeqCst))?;
    let mut peer = Peer::new(attack, world);
    let bound = (operation.bound)(attack.reach());
    while returned.load(SeqCst) == RUNNING {
        if peer.steps == bound {
            return Err(format!("not over after {bound} instructions"));
        }
        child.go()?;
        peer.act(world, &child)?;
    }
    let result = returned.load(SeqCst);
    let allowed =
        result < 1_000_000 || operation.statuses.iter().any(|status| result == failed(*status));
    if !allowed || expected.is_some_and(|expected| result != expected) {
        return Err(format!("returned {result}"));
    }
    mend(world, &before);
    works(world, operation)?;
    Ok(peer.steps)
}

/// Exposes operations to attacks: `which` is `hostile`, `hostile/OPERATION`,
/// `hostile/OPERATION/ATTACK`, or `all`. Those that reach a bound come first, then
/// one of `stride * stride` others. Returns how many, and the failures.
pub(crate) fn main(
    world: World,
    which: &str,
    stride: u64,
    offset: u64,
) -> Result<(u64, Vec<String>), String> {
    let operations = operations();
    let bounds = bounds();
    let of = |name: &str| operations.iter().find(|operation| operation.name == name);
    let mut cases = Vec::new();
    for (name, attack, expected) in &bounds {
        cases.push((of(name).ok_or("no such operation")?, *attack, *expected));
    }
    let others = operations.iter().flat_map(|operation| ATTACKS.map(|attack| (operation, attack)));
    let reaches_none = |(operation, attack): &(&Operation, Attack)| {
        !bounds.iter().any(|(name, of, _)| *name == operation.name && of.name == attack.name)
    };
    for (number, (operation, attack)) in (offset..).zip(others.filter(reaches_none)) {
        let chosen = number % (stride * stride) == 0;
        // A pass over the table at each attempt takes long.
        if chosen && (stride == 1 || !attack.reach().generations) {
            cases.push((operation, attack, None));
        }
    }
    let (mut exposed, mut instructions, mut failures) = (0, 0, Vec::new());
    for (operation, attack, expected) in cases {
        let name = format!("hostile/{}/{}", operation.name, attack.name);
        if which != "all" && !format!("{name}/").starts_with(&format!("{which}/")) {
            continue;
        }
        exposed += 1;
        match expose(world, operation, attack, expected) {
            Ok(steps) => {
                instructions += steps;
                if which != "all" {
                    let bound = (operation.bound)(attack.reach());
                    println!("step: {name}: {steps} instructions of at most {bound}");
                }
            }
            Err(text) => failures.push(format!("{name}: {text}")),
        }
    }
    println!("step: hostile: {exposed} attacks, {instructions} instructions");
    Ok((exposed, failures))
}
