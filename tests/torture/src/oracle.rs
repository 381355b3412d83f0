//! The oracle: decides whether a table at rest is one that may be: whoever works on it is
//! dead, stopped at any instruction, or pauses between two operations.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_CONTROL, SLOTS, WORD_BYTES};
use cap_map_rs::word::{Control, Phase};
use cap_map_rs::{Slot, SlotWord};

use crate::claims::{Claim, Op, is_dead, object_badge, object_of};
use crate::world::{FIRST_BADGE, Lane, World, status};

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
            (Op::INSERT_AT | Op::RELEASE, Slot::Reserved) | (Op::REMOVE, Slot::Free) => here,
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
    let words = world.words(0);
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(SeqCst));
    let capacity = ledger.capacity.load(SeqCst);
    let slots = &words[SLOTS / WORD_BYTES..][..capacity as usize];
    let slots: Vec<SlotWord> = slots.iter().map(|word| SlotWord(word.load(SeqCst))).collect();
    let in_batch = !matches!(control.phase(), Phase::Idle | Phase::Writing);
    for (slot, word) in slots.iter().enumerate() {
        if word.is_staged() && (!in_batch || word.batch() != control.batch()) {
            return Err(format!("slot {slot} is left staged: {word:x?} in {control:x?}"));
        }
    }
    let entries: Vec<Slot> = slots.iter().map(|word| word.decode(control)).collect();
    let overlay = verify_batch(world, &entries)?;
    let ident_of = |badge: u32| {
        let known = || world.idents().get(badge as usize).map_or(0, |ident| ident.load(SeqCst));
        overlay.get(&badge).copied().unwrap_or_else(known)
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
            Slot::Used(badge) | Slot::Detached(badge) if badge >= FIRST_BADGE => {
                Some(ident_of(badge))
            }
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
         {lanes:?}, {unclaimed:?}, {:?}, cleaning {cleaning}",
        control.phase()
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

/// Whether the entry has this badge, or had it when the owner let go of it.
fn names(entry: Option<Slot>, badge: u32) -> bool {
    matches!(entry, Some(Slot::Used(found) | Slot::Detached(found)) if found == badge)
}

/// The last batch took place as a whole or not at all. Returns the new
/// capabilities of badges if it did and the ledger does not know yet.
fn verify_batch(world: World, entries: &[Slot]) -> Result<HashMap<u32, u32>, String> {
    let batch = &world.ledger().batch;
    let status = batch.status.load(SeqCst);
    let mut overlay = HashMap::new();
    if status == status::PREPARING {
        return Ok(overlay);
    }
    let (mut old_ones, mut new_ones) = (0, 0);
    for entry in batch.entries.iter().take(batch.len.load(SeqCst) as usize) {
        let (old, new) = (entry.old.load(SeqCst), entry.new.load(SeqCst));
        if old == new {
            continue;
        }
        overlay.insert(new, entry.ident.load(SeqCst));
        let found = entries.get(entry.slot.load(SeqCst) as usize).copied();
        old_ones += u32::from(names(found, old));
        new_ones += u32::from(names(found, new));
    }
    let number = batch.number.load(SeqCst);
    match status {
        status::INTENDED if old_ones > 0 && new_ones > 0 => {
            Err(format!("batch {number} is torn: {old_ones} old, {new_ones} new"))
        }
        status::COMMITTED | status::APPLIED if old_ones > 0 => {
            Err(format!("batch {number} was committed: {old_ones} old, {new_ones} new"))
        }
        status::REFUSED if new_ones > 0 => {
            Err(format!("batch {number} was refused: {old_ones} old, {new_ones} new"))
        }
        _ if new_ones == 0 => Ok(HashMap::new()),
        _ => Ok(overlay),
    }
}

/// Enters in the ledger what a dead monitor's last batch came to. To be called
/// on a table that [`verify`] has accepted.
pub(crate) fn settle(world: World) {
    let words = world.words(0);
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(SeqCst));
    let batch = &world.ledger().batch;
    let entries = batch.entries.iter().take(batch.len.load(SeqCst) as usize);
    let done = match batch.status.load(SeqCst) {
        status::INTENDED => entries.into_iter().any(|entry| {
            let slot = entry.slot.load(SeqCst) as usize;
            let word = SlotWord(words[SLOTS / WORD_BYTES + slot].load(SeqCst));
            let new = entry.new.load(SeqCst);
            entry.old.load(SeqCst) != new && names(Some(word.decode(control)), new)
        }),
        status::COMMITTED => true,
        _ => return,
    };
    if done {
        crate::monitor::apply(world);
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
