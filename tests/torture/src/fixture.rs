//! The table that every single-stepped operation begins with, what dead processes
//! may have left in it, and the operations that several paths and attacks share.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_BATCH, OFF_COMING, OFF_QUIET, OFF_SEQUENCE, SLOTS, WORD_BYTES};
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Kernel, Monitor, Rewrite, Slot, SlotWord, Status};

use crate::world::{FIRST_USER, Relax, TABLE_BYTES, World, identity};

/// Slots of the table.
pub(crate) const CAPACITY: u32 = 64;
/// Waits that an operation grants the other side.
pub(crate) const WAIT_BUDGET: u32 = 4;
/// Slots 8 to 19 carry badges 2000 to 2044.
pub(crate) const FILLED: u32 = 12;
/// A monitor that comes by adds this to badges.
pub(crate) const SHIFT: u32 = 10_000;
/// First slot of a receive window of four.
pub(crate) const WINDOW: u32 = 24;
/// A slot with one reference.
pub(crate) const REFERENCED: u32 = 12;

/// What each slot means.
pub(crate) type State = Vec<Slot>;

/// What is wrong, if anything.
pub(crate) type Verdict = Result<(), String>;

/// The badge that a filled slot begins with.
pub(crate) fn badge(slot: u32) -> u32 {
    2000 + 4 * (slot - FIRST_USER)
}

/// The table that all paths begin with.
pub(crate) fn base() -> State {
    let mut state = vec![Slot::Free; CAPACITY as usize];
    for slot in FIRST_USER..FIRST_USER + FILLED {
        state[slot as usize] = Slot::Used(badge(slot));
    }
    for slot in WINDOW..WINDOW + 4 {
        state[slot as usize] = Slot::Reserved;
    }
    state
}

/// The state with other entries in these slots.
pub(crate) fn with(mut state: State, changes: &[(u32, Slot)]) -> State {
    for (slot, entry) in changes {
        state[*slot as usize] = *entry;
    }
    state
}

/// A fresh table as [`base`] describes it.
pub(crate) fn prepare(world: World) -> Verdict {
    let ledger = world.ledger();
    ledger.capacity.store(CAPACITY, SeqCst);
    ledger.wait_budget.store(WAIT_BUDGET, SeqCst);
    let blank = vec![0; TABLE_BYTES];
    world.restore(&blank);
    let table = world.found();
    let say = |what: &str| format!("preparation: {what}");
    table.publish(&identity()).map_err(|_| say("publish"))?;
    for slot in FIRST_USER..FIRST_USER + FILLED {
        if table.insert(badge(slot)) != Ok(slot) {
            return Err(say("insert"));
        }
    }
    table.acquire(REFERENCED).map_err(|_| say("acquire"))?;
    for slot in 20..24 {
        table.alloc_at(slot).map_err(|_| say("alloc_at"))?;
    }
    if table.alloc(4) != Ok(WINDOW) {
        return Err(say("alloc"));
    }
    table.free(20, 4).map_err(|_| say("free"))
}

/// The kernel says that everything known is dead.
pub(crate) struct Dead;

impl Kernel for Dead {
    fn equal(&mut self, _: usize, _: usize) -> bool {
        false
    }

    fn valid(&mut self, _: usize) -> bool {
        false
    }

    fn map(&mut self, _: usize, _: usize) -> bool {
        true
    }

    fn vanished(&mut self, _: usize, _: u32) {}
}

/// Enters a capability received in the window under the badge of `slot`.
pub(crate) fn enter(world: World, slot: u32) -> u64 {
    let source = world.table().selector(WINDOW);
    let entered = world.table().insert_map(badge(slot), source, &mut Dead);
    code(entered.map(|mapped| mapped.slot))
}

/// A result as the one number that a stepped child can return.
pub(crate) fn code<T: Into<u64>>(result: Result<T, Status>) -> u64 {
    result.map_or_else(|status| 1_000_000 + u64::from(status as u32), Into::into)
}

/// A word of the header of region 0.
pub(crate) fn word(world: World, offset: usize) -> &'static AtomicU64 {
    &world.words(0)[offset / WORD_BYTES]
}

/// The word of a slot in region 0.
pub(crate) fn slot_word(world: World, slot: u32) -> &'static AtomicU64 {
    &world.words(0)[SLOTS / WORD_BYTES + slot as usize]
}

/// The slots of a batch that a monitor has not finished, and the new badges of these slots.
const UNFINISHED: std::ops::Range<u32> = FIRST_USER..FIRST_USER + 3;

/// A monitor that has put its new badges beside the old ones of slots 8 to 10, and holds
/// the claim.
pub(crate) fn staged(world: World) {
    let batch = world.batch_word(0).claimed();
    for slot in UNFINISHED {
        let word = SlotWord::used(badge(slot)).staged(batch.bank(), badge(slot) + SHIFT);
        slot_word(world, slot).store(word.0, SeqCst);
    }
    word(world, OFF_BATCH).store(batch.0, SeqCst);
}

/// The same monitor behind the instant of its batch.
pub(crate) fn decided(world: World) {
    staged(world);
    let batch: BatchWord = world.batch_word(0);
    word(world, OFF_BATCH).store(batch.flipped().0, SeqCst);
}

/// The same monitor after its batch was refused.
pub(crate) fn refused(world: World) {
    staged(world);
    let batch = world.batch_word(0);
    word(world, OFF_BATCH).store(batch.released().0, SeqCst);
}

/// An owner that died between the stores of a write, after it had announced a badge and
/// asked for quiet.
pub(crate) fn dead_owner(world: World) {
    word(world, OFF_SEQUENCE).fetch_or(1, SeqCst);
    word(world, OFF_COMING).store(8004, SeqCst);
    word(world, OFF_QUIET).store(1, SeqCst);
}

/// A monitor, attached anew.
pub(crate) fn monitor(world: World, region: usize) -> Result<Monitor<'static, Relax>, Status> {
    Monitor::attach(world.region(region), WAIT_BUDGET)
}

/// What a batch returns that took place but for so many slots.
pub(crate) fn left_out(slots: u64) -> u64 {
    100 * slots
}

/// A batch of a monitor that has just attached.
pub(crate) fn rewrite(world: World, batch: &mut [Rewrite]) -> u64 {
    let result = monitor(world, 0)
        .and_then(|monitor| monitor.rewrite(batch).map_err(|refusal| refusal.status));
    code(result.map(|()| left_out(batch.iter().map(|entry| u64::from(entry.left_out)).sum())))
}

/// Gives one slot a new badge and lets two others swap theirs. The slots do not ascend, so
/// that the monitor stages first, and looks at all slots then.
pub(crate) fn rewrite_and_swap(world: World) -> u64 {
    let batch = &mut [
        Rewrite::new(9, badge(9), badge(10)),
        Rewrite::new(8, badge(8), 6000),
        Rewrite::new(10, badge(10), badge(9)),
    ];
    rewrite(world, batch)
}
