//! The owner's process: it makes or takes up a table, and runs the threads that change
//! it all the time.

mod worker;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cap_map_rs::Slot;
use fastrand::Rng;
use worker::Worker;

use crate::claims::{Claim, Op, fresh};
use crate::ledger::LANES;
use crate::world::{FIRST_BADGE, FIRST_USER, Table, World, identity, waits};

/// Brings ledger and table in agreement about what dead threads were at.
fn clean_up(world: World, table: &Table) {
    let ledger = world.ledger();
    for slot in 0..table.capacity() {
        ledger.cleaning.store(slot + 1, SeqCst);
        let word = &ledger.claims[slot as usize];
        let held = ledger.held(slot as usize);
        // A reference of somebody who died within an operation.
        while u32::from(table.references(slot)) > held {
            if let Err(status) = table.release(slot) {
                ledger.violate(&format!("clean-up: release {slot}: {status:?}"));
            }
        }
        let entry = table.entry(slot);
        let keep = match (entry, Claim::decode(word.load(SeqCst))) {
            (Ok(Slot::Free), _) => {
                word.store(0, SeqCst);
                true
            }
            (Ok(Slot::Reserved), Claim::Window(_)) | (Ok(Slot::Used(_)), Claim::Used(..)) => true,
            (Ok(Slot::Detached(_)), Claim::Detached(..)) => held != 0,
            (Ok(Slot::Used(_) | Slot::Detached(_)), Claim::Object(incarnation)) => {
                // Else it is the claim of a dead one that the table replaced.
                held != 0 && incarnation == ledger.kernel[slot as usize].load(SeqCst)
            }
            _ => false,
        };
        if !keep {
            word.store(0, SeqCst);
            for lane in &ledger.holds {
                lane[slot as usize].store(0, SeqCst);
            }
            while table.references(slot) != 0 {
                if let Err(status) = table.release(slot) {
                    ledger.violate(&format!("clean-up: {entry:?} {slot}: {status:?}"));
                }
            }
            if let Err(status) = table.free(slot, 1) {
                ledger.violate(&format!("clean-up: free {slot}, {entry:?}: {status:?}"));
            }
        }
    }
    ledger.cleaning.store(0, SeqCst);
    for lane in &ledger.lanes {
        lane.op.store(0, SeqCst);
    }
}

/// The owner's process. Never returns; the driver kills it.
pub(crate) fn main(world: World, restored: bool, alone: bool, seed: u64) {
    let ledger = world.ledger();
    let mut rng = Rng::with_seed(seed);
    let table = if restored {
        let table = world.recovered();
        clean_up(world, table);
        table
    } else {
        let table = world.found();
        if let Err(status) = table.publish(&identity()) {
            ledger.violate(&format!("publish: {status:?}"));
        }
        for _ in 0..table.capacity() / 2 {
            let Some((badge, ident)) = fresh(world) else { break };
            let lane = rng.u32(0..ledger.lanes_used.load(SeqCst));
            if let Ok(slot) = table.insert(badge) {
                ledger.claims[slot as usize].store(Claim::Used(lane, ident).encode(), SeqCst);
            }
        }
        table
    };
    ledger.lanes[0].count.store(u32::MAX, SeqCst);
    ledger.lanes[0].op.store(Op::ALLOC, SeqCst);
    // Beside a monitor, what it compares could change meanwhile.
    if alone {
        inspect(world, table, &mut rng);
    }
    ledger.lanes[0].op.store(0, SeqCst);
    waits();
    ledger.ready.store(1, SeqCst);
    while ledger.go.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_micros(20));
    }
    std::thread::scope(|scope| {
        for lane in 0..ledger.lanes_used.load(SeqCst).min(u32::try_from(LANES).unwrap_or(1)) {
            scope.spawn(move || Worker::new(world, table, lane, seed).run());
        }
    });
}

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
