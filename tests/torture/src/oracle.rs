//! The oracle: decides whether a table at rest is one that may be: whoever works on it is
//! dead, stopped at any instruction, or pauses between two operations.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_COMING, OFF_HIGH_WATER, OFF_QUIET, OFF_SEQUENCE, WORD_BYTES};
use cap_map_rs::word::Bank;
use cap_map_rs::{Slot, SlotWord};

use crate::claims::{Claim, Op, SWAPPED, is_dead, object_badge, object_of};
use crate::ledger::{Batch, Lane, status};
use crate::world::{FIRST_BADGE, World};

/// An operation in progress, as its lane announced it.
#[derive(Debug)]
struct Progress {
    op: u32,
    slot: u32,
    count: u32,
    ident: u32,
    /// Slots it may have been handed out without having claimed them.
    unclaimed: u32,
}

impl Progress {
    fn of(lane: &Lane) -> Self {
        let op = lane.op.load(SeqCst);
        let count = lane.count.load(SeqCst);
        let unclaimed = match op {
            Op::ALLOC => count,
            Op::INSERT | Op::INSERT_MAP => 1,
            _ => 0,
        };
        let (slot, ident) = (lane.slot.load(SeqCst), lane.ident.load(SeqCst));
        Progress { op, slot, count, ident, unclaimed }
    }

    /// Whether it may have left `entry`, with this capability, in the slot that
    /// it works on.
    fn explains(&self, slot: u32, entry: Slot, ident: Option<u32>) -> bool {
        let mine = ident == Some(self.ident);
        let here = slot == self.slot;
        match (self.op, entry) {
            (Op::FREE, Slot::Reserved | Slot::Free) => {
                (self.slot..self.slot + self.count).contains(&slot)
            }
            // A slot looks free until its first badge is written, and when its last
            // one has just gone.
            (Op::INSERT_AT | Op::RELEASE, Slot::Reserved | Slot::Free)
            | (Op::REMOVE, Slot::Free) => here,
            (Op::INSERT_AT | Op::REMOVE | Op::RELEASE, Slot::Used(_))
            | (Op::REMOVE | Op::RELEASE, Slot::Detached(_)) => here && mine,
            (Op::RELEASE_OBJECT, Slot::Reserved | Slot::Free) => here,
            (Op::RELEASE_OBJECT, Slot::Used(badge) | Slot::Detached(badge)) => {
                here && badge == object_badge(object_of(self.ident))
            }
            _ => false,
        }
    }

    /// Whether it may have been handed out this slot. Each slot counts.
    fn took(&mut self, entry: Slot, ident: Option<u32>) -> bool {
        let inserted = match self.op {
            Op::INSERT => ident == Some(self.ident),
            Op::INSERT_MAP => {
                // Another lane may replace it at once, if it has died again.
                let badge = object_badge(object_of(self.ident));
                entry == Slot::Used(badge) || entry == Slot::Detached(badge)
            }
            _ => false,
        };
        let took = self.unclaimed > 0 && (entry == Slot::Reserved || inserted);
        self.unclaimed -= u32::from(took);
        took
    }
}

/// The whole table must be permissible; the error says what is not.
pub(crate) fn verify(world: World) -> Result<(), String> {
    let ledger = world.ledger();
    if let Some(text) = ledger.violation() {
        return Err(text);
    }
    verify_words(world)?;
    let entries = world.meanings(0);
    let mut overlay = HashMap::new();
    for seat in &ledger.seats {
        verify_batch(world, &seat.batch, &entries, &mut overlay)?;
    }
    // The capability of a badge, and whether the badge was exchanged for another one.
    let ident_of = |badge: u32| {
        let known = world.idents().get(badge as usize).map_or(0, |ident| ident.load(SeqCst));
        match overlay.get(&badge) {
            Some(ident) => (*ident, true),
            None => (known & !SWAPPED, known & SWAPPED != 0),
        }
    };
    let mut lanes: Vec<Progress> = ledger.lanes.iter().map(Progress::of).collect();
    let busy = u32::try_from(lanes.iter().filter(|lane| lane.op != 0).count()).unwrap_or(0);
    let cleaning = ledger.cleaning.load(SeqCst);
    let table = world.table();
    let mut carried = HashMap::new();
    let mut unclaimed = Vec::new();
    for (slot, entry) in (0u32..).zip(entries) {
        let claim = Claim::decode(ledger.claims[slot as usize].load(SeqCst));
        let held = ledger.held(slot as usize);
        let ident = match entry {
            Slot::Used(badge) if badge >= FIRST_BADGE => Some(ident_of(badge).0),
            // The badge of a detached slot may belong to another one after an exchange.
            Slot::Detached(badge) if badge >= FIRST_BADGE => match (ident_of(badge), claim) {
                ((_, true), Claim::Detached(_, ident) | Claim::Used(_, ident)) => Some(ident),
                ((ident, _), _) => Some(ident),
            },
            _ => None,
        };
        if let Slot::Used(badge) = entry
            && let Some(other) = carried.insert(badge, slot)
        {
            return Err(format!("badge {badge} in slots {other} and {slot}"));
        }
        let as_claimed = match (claim, entry) {
            (Claim::None, Slot::Free) | (Claim::Window(_), Slot::Reserved) => true,
            (Claim::Used(_, mine), Slot::Used(_))
            | (Claim::Detached(_, mine), Slot::Detached(_)) => ident == Some(mine),
            (Claim::Object(incarnation), Slot::Used(badge)) => {
                badge == object_badge(object_of(incarnation))
            }
            (Claim::Object(incarnation), Slot::Detached(badge)) => {
                badge == object_badge(object_of(incarnation)) && is_dead(ledger, incarnation)
            }
            // Its last holder has gone while somebody compared it.
            (Claim::Object(_), Slot::Free) => held == 0,
            _ => false,
        };
        let explained = as_claimed
            || cleaning == slot + 1
            || lanes.iter().any(|lane| lane.explains(slot, entry, ident));
        if !explained {
            unclaimed.push((slot, entry, ident));
        }
        let references = u32::from(table.references(slot));
        let cleaned = cleaning == slot + 1;
        if !cleaned && (references < held || references > held + busy) {
            return Err(format!("slot {slot}: {references} references, {held} held"));
        }
    }
    let Some((slot, entry, ident)) = unexplained(&mut lanes, &unclaimed) else { return Ok(()) };
    let claim = Claim::decode(ledger.claims[slot as usize].load(SeqCst));
    Err(format!(
        "slot {slot}: {claim:?} claimed, {entry:?} ({ident:?}) found; \
         {lanes:?}, {unclaimed:?}, {:x?}, cleaning {cleaning}",
        world.batch_word(0)
    ))
}

/// Content of a slot, and the capability that its badge stands for.
type Content = (u32, Slot, Option<u32>);

/// The first of these slots that no operation in progress can have been handed
/// out. A slot without a badge may be anybody's, so those with one choose first.
fn unexplained(lanes: &mut [Progress], slots: &[Content]) -> Option<Content> {
    let reserved = |content: &&Content| content.1 == Slot::Reserved;
    let badged = slots.iter().filter(|content| !reserved(content));
    badged
        .chain(slots.iter().filter(reserved))
        .find(|(_, entry, ident)| !lanes.iter_mut().any(|lane| lane.took(*entry, *ident)))
        .copied()
}

/// Each word is one that a correct owner or monitor writes, dead or alive.
fn verify_words(world: World) -> Result<(), String> {
    let batch = world.batch_word(0);
    if batch.is_retired() {
        return Err(format!("retired, but never moved: {batch:x?}"));
    }
    let (even, odd) = (Bank::of(0), Bank::of(1));
    let mark = header_word(world, OFF_HIGH_WATER);
    for (slot, word) in (0_u64..).zip(world.slots(0)) {
        let written = match word.meaning() {
            Slot::Free => word == SlotWord::FREE,
            // Only a monitor lets the badges differ, and only those of a slot in use.
            Slot::Used(_) => word == SlotWord::used(word.badge(even)).staged(even, word.badge(odd)),
            Slot::Detached(badge) => word == SlotWord::detached(badge),
            Slot::Reserved | Slot::Corrupt => false,
        };
        if !written || slot >= mark && word != SlotWord::FREE {
            return Err(format!("slot {slot}: {word:x?}, high-water mark {mark}"));
        }
    }
    Ok(())
}

/// No operation of the owner is in progress, and its words say so.
pub(crate) fn verify_rest(world: World) -> Result<(), String> {
    let [coming, quiet, sequence] =
        [OFF_COMING, OFF_QUIET, OFF_SEQUENCE].map(|offset| header_word(world, offset));
    if coming == 0 && quiet == 0 && sequence.is_multiple_of(2) {
        return Ok(());
    }
    Err(format!("owner at rest: coming {coming}, quiet {quiet}, sequence {sequence}"))
}

fn header_word(world: World, offset: usize) -> u64 {
    world.words(0)[offset / WORD_BYTES].load(SeqCst)
}

/// Whether a slot shows that its entry of a batch took place, or that it did not. A slot
/// whose badge the owner has taken out shows neither.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Old,
    New,
    Neither,
}

/// What a slot says about an entry of a batch. Exchanged badges are compared only, while
/// fresh ones may have been replaced by later batches.
pub(crate) fn side(world: World, swap: bool, found: Slot, old: u32, new: u32) -> Side {
    let comes_from = |badge: u32, earlier: u32| {
        badge == earlier || !swap && badge > earlier && world.descends(badge, earlier)
    };
    match found {
        _ if old == new => Side::Neither,
        Slot::Used(badge) | Slot::Detached(badge) if comes_from(badge, new) => Side::New,
        // A slot that was detached before the batch keeps the badge that it had.
        Slot::Used(badge) if comes_from(badge, old) => Side::Old,
        _ => Side::Neither,
    }
}

/// How many entries of the last batch of a monitor did not take place, and did.
pub(crate) fn sides(world: World, batch: &Batch, entries: &[Slot]) -> (u32, u32) {
    let swap = batch.swap.load(SeqCst) != 0;
    let (mut old_ones, mut new_ones) = (0, 0);
    for entry in batch.entries.iter().take(batch.len.load(SeqCst) as usize) {
        let found = entries.get(entry.slot.load(SeqCst) as usize).copied().unwrap_or(Slot::Free);
        match side(world, swap, found, entry.old.load(SeqCst), entry.new.load(SeqCst)) {
            Side::Old => old_ones += 1,
            Side::New => new_ones += 1,
            Side::Neither => {}
        }
    }
    (old_ones, new_ones)
}

/// The last batch of a monitor took place as a whole or not at all. `overlay` gets the
/// new capabilities of exchanged badges if it did and the ledger does not know yet.
fn verify_batch(
    world: World,
    batch: &Batch,
    entries: &[Slot],
    overlay: &mut HashMap<u32, u32>,
) -> Result<(), String> {
    let status = batch.status.load(SeqCst);
    if status == status::PREPARING {
        return Ok(());
    }
    let (old_ones, new_ones) = sides(world, batch, entries);
    let wrong = match status {
        status::INTENDED if old_ones > 0 && new_ones > 0 => "is torn",
        status::COMMITTED | status::APPLIED if old_ones > 0 => "took place",
        status::REFUSED if new_ones > 0 => "was refused",
        _ => "",
    };
    if !wrong.is_empty() {
        let number = batch.number.load(SeqCst);
        return Err(format!("batch {number} {wrong}: {old_ones} old, {new_ones} new"));
    }
    if new_ones > 0 && batch.swap.load(SeqCst) != 0 {
        for entry in batch.entries.iter().take(batch.len.load(SeqCst) as usize) {
            if entry.old.load(SeqCst) != entry.new.load(SeqCst) {
                overlay.insert(entry.new.load(SeqCst), entry.ident.load(SeqCst));
            }
        }
    }
    Ok(())
}

/// Enters in the ledger what the last batch of a dead monitor came to. To be called
/// on a table that [`verify`] has accepted.
pub(crate) fn settle(world: World, seat: usize) {
    let batch = &world.ledger().seats[seat].batch;
    let done = match batch.status.load(SeqCst) {
        status::INTENDED => sides(world, batch, &world.meanings(0)).1 > 0,
        status::COMMITTED => true,
        _ => return,
    };
    if done {
        crate::monitor::apply(world, batch);
    } else {
        batch.status.store(status::REFUSED, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entering(incarnation: u32) -> Progress {
        Progress { op: Op::INSERT_MAP, slot: 0, count: 1, ident: incarnation, unclaimed: 1 }
    }

    /// Two threads enter an object each: one has filed it in slot 55, the other one
    /// has been handed out slot 50, and neither has claimed anything.
    #[test]
    fn a_reserved_slot_does_not_use_up_the_thread_that_explains_another() {
        let slots = [(50, Slot::Reserved, None), (55, Slot::Used(object_badge(9)), None)];
        for objects in [[9, 11], [11, 9]] {
            let mut lanes = objects.map(|object| entering(object << 16 | 1));
            assert_eq!(unexplained(&mut lanes, &slots), None);
        }
        let mut lanes = [9, 11].map(|object| entering(object << 16 | 1));
        let lost = (60, Slot::Reserved, None);
        assert_eq!(unexplained(&mut lanes, &[slots[0], slots[1], lost]), Some(lost));
        let foreign = (55, Slot::Used(object_badge(12)), None);
        assert_eq!(unexplained(&mut lanes, &[foreign]), Some(foreign));
    }
}
