//! The table that every single-stepped operation begins with, what dead processes
//! may have left in it, and the operations that several paths and attacks share.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{
    OFF_CONTROL, OFF_INTENT_NEW, OFF_INTENT_OLD, OFF_INTENT_SLOT, PHASE_STAGING, PHASE_WRITING,
    SLOTS, WORD_BYTES,
};
use cap_map_rs::word::Control;
use cap_map_rs::{Kernel, Monitor, Rewrite, Slot, SlotWord, Status};

use crate::world::{FIRST_USER, Relax, TABLE_BYTES, World};

/// Slots of the table.
pub(crate) const CAPACITY: u32 = 64;
/// Waits that an operation grants a batch.
pub(crate) const PATIENCE: u32 = 4;
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
    ledger.patience.store(PATIENCE, SeqCst);
    let blank = vec![0; TABLE_BYTES];
    world.restore(&blank);
    let table = world.found();
    let say = |what: &str| format!("preparation: {what}");
    table.publish(b"step").map_err(|_| say("publish"))?;
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

/// A monitor that died in the given phase of a batch on slots 8 to 10.
pub(crate) fn dead_batch(world: World, phase: u64, staged: u32) {
    let control = Control(word(world, OFF_CONTROL).load(SeqCst));
    let staging = control.advanced(PHASE_STAGING, 1);
    for slot in FIRST_USER..FIRST_USER + staged {
        let new = SlotWord::staged(badge(slot), badge(slot) + SHIFT, staging.batch());
        slot_word(world, slot).store(new.0, SeqCst);
    }
    let control = if phase == PHASE_STAGING { staging } else { staging.advanced(phase, 1) };
    word(world, OFF_CONTROL).store(control.0, SeqCst);
}

/// An owner that died in a write section: slot 9 was to carry 8004.
pub(crate) fn dead_section(world: World) {
    let open = Control(word(world, OFF_CONTROL).load(SeqCst)).to(PHASE_WRITING);
    word(world, OFF_INTENT_SLOT).store(9, SeqCst);
    word(world, OFF_INTENT_OLD).store(slot_word(world, 9).load(SeqCst), SeqCst);
    word(world, OFF_INTENT_NEW).store(SlotWord::used(8004, open.sequence()).0, SeqCst);
    word(world, OFF_CONTROL).store(open.0, SeqCst);
}

/// A monitor, attached anew.
pub(crate) fn monitor(world: World, region: usize) -> Result<Monitor<'static, Relax>, Status> {
    Monitor::attach(world.region(region), PATIENCE)
}

/// A batch of a monitor that has just attached.
pub(crate) fn rewrite(world: World, batch: &mut [Rewrite]) -> u64 {
    let result = monitor(world, 0)
        .and_then(|monitor| monitor.rewrite(batch).map_err(|refusal| refusal.status));
    code(result.map(|()| 0_u32))
}

/// Gives one slot a new badge and lets two others swap theirs.
pub(crate) fn rewrite_and_swap(world: World) -> u64 {
    let batch = &mut [
        Rewrite::new(8, badge(8), 6000),
        Rewrite::new(9, badge(9), badge(10)),
        Rewrite::new(10, badge(10), badge(9)),
    ];
    rewrite(world, batch)
}
