//! Inspection of a table while nobody works on it.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::Slot;
use fastrand::Rng;

use crate::world::{FIRST_BADGE, FIRST_USER, Table, World};

/// The index finds exactly what the table says, and all free slots are usable.
pub(crate) fn inspect(world: World, table: &Table, rng: &mut Rng) {
    let ledger = world.ledger();
    let mut free = 0;
    for slot in 0..table.capacity() {
        match table.entry(slot) {
            Ok(Slot::Used(badge)) => {
                let found = table.find(badge);
                if found != Ok(slot) {
                    ledger.violate(&format!("inspection: slot {slot} carries {badge}: {found:?}"));
                }
            }
            Ok(Slot::Free) if slot >= FIRST_USER => free += 1,
            Ok(_) => {}
            Err(status) => ledger.violate(&format!("inspection: slot {slot}: {status:?}")),
        }
    }
    let carried =
        |badge| (0..table.capacity()).any(|slot| table.entry(slot) == Ok(Slot::Used(badge)));
    let last = ledger.seats.iter().flat_map(|seat| {
        seat.batch.entries.iter().take((seat.batch.len.load(SeqCst) as usize).min(8))
    });
    let gone = last.flat_map(|entry| [entry.old.load(SeqCst), entry.new.load(SeqCst)]);
    for badge in gone.chain((0..8).map(|_| rng.u32(1..FIRST_BADGE * 2))) {
        let found = table.find(badge);
        if found.is_ok() != carried(badge) && badge != 0 {
            ledger.violate(&format!("inspection: badge {badge}: {found:?}"));
        }
    }
    if rng.u8(0..4) == 0 {
        let mut slots = Vec::new();
        while slots.len() <= free
            && let Ok(slot) = table.alloc(1)
        {
            slots.push(slot);
        }
        if slots.len() != free {
            ledger.violate(&format!("inspection: {free} slots free, {} usable", slots.len()));
        }
        for slot in slots {
            if let Err(status) = table.free(slot, 1) {
                ledger.violate(&format!("inspection: free {slot}: {status:?}"));
            }
        }
    }
}
