//! Readers that are stopped in front of each instruction while the table changes: what
//! they return was true at some instant of the call.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::{Rewrite, Slot, SlotWord, Status};

use crate::fixture::{
    CAPACITY, Verdict, badge, code, decided, monitor, prepare, rewrite, slot_word, word,
};
use crate::step::each_instruction;
use crate::step::expect::heir;
use crate::world::{World, without_waiting};

/// The slot that readers look at. A batch exchanges its badge for that of [`OTHER`].
const SLOT: u32 = 9;
/// The slot with the other badge.
const OTHER: u32 = 10;

/// One reader.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    prepare: fn(World),
    act: fn(World) -> u64,
    /// What a table says at one instant, as the reader would return it.
    truth: fn(World) -> u64,
}

/// A number that tells tables apart.
fn digest(entries: impl Iterator<Item = Slot>) -> u64 {
    entries.fold(1, |sum: u64, entry| {
        let value = match entry {
            Slot::Used(badge) => u64::from(badge) << 1,
            Slot::Detached(badge) => u64::from(badge) << 1 | 1,
            _ => 0,
        };
        sum.wrapping_mul(0x0000_0100_0000_01b3).wrapping_add(value)
    })
}

fn snapshot(world: World) -> u64 {
    let mut words = [SlotWord::FREE; CAPACITY as usize];
    match monitor(world, 0).and_then(|monitor| monitor.snapshot(&mut words)) {
        Ok(snapshot) if snapshot.consistent => digest(words.iter().map(|word| word.meaning())),
        Ok(_) => 0,
        Err(status) => code::<u32>(Err(status)),
    }
}

fn where_is(world: World, wanted: u32) -> u64 {
    let bank = world.batch_word(0).bank();
    let slot = world.slots(0).iter().position(|word| word.decode(bank) == Slot::Used(wanted));
    slot.map_or(code::<u32>(Err(Status::NotFound)), |slot| slot as u64)
}

fn carried(world: World) -> u64 {
    match world.meanings(0)[SLOT as usize] {
        Slot::Used(badge) => u64::from(badge),
        _ => 0,
    }
}

/// All readers, each with settled words, and with those that a dead monitor left.
pub(crate) fn readers() -> Vec<Reader> {
    let find: fn(World) -> u64 = |world| code(world.table().find(badge(SLOT)));
    let truth: fn(World) -> u64 = |world| where_is(world, badge(SLOT));
    let find_moved: fn(World) -> u64 = |world| code(world.table().find(badge(SLOT) + 10_000));
    let truth_moved: fn(World) -> u64 = |world| where_is(world, badge(SLOT) + 10_000);
    let read: fn(World) -> u64 = |world| u64::from(world.table().badge(SLOT));
    let look: fn(World) -> u64 = |world| match monitor(world, 0).and_then(|m| m.entry(SLOT)) {
        Ok(Slot::Used(badge)) => u64::from(badge),
        _ => 0,
    };
    let nothing: fn(World) = |_| {};
    let whole: fn(World) -> u64 = |world| digest(world.meanings(0).into_iter());
    vec![
        Reader { name: "find", prepare: nothing, act: find, truth },
        Reader { name: "find_unsettled", prepare: decided, act: find_moved, truth: truth_moved },
        Reader { name: "badge", prepare: nothing, act: read, truth: carried },
        Reader { name: "badge_unsettled", prepare: decided, act: read, truth: carried },
        Reader { name: "entry_unsettled", prepare: decided, act: look, truth: carried },
        Reader { name: "snapshot", prepare: nothing, act: snapshot, truth: whole },
        Reader { name: "snapshot_unsettled", prepare: decided, act: snapshot, truth: whole },
    ]
}

/// The badges of both slots change places, and nobody settles the words.
fn exchange(world: World) -> Verdict {
    heir(world, 0)?;
    let bank = world.batch_word(0).bank();
    let [a, b] = [SLOT, OTHER].map(|slot| SlotWord(slot_word(world, slot).load(SeqCst)));
    let (badge_a, badge_b) = (a.badge(bank), b.badge(bank));
    slot_word(world, SLOT).store(SlotWord::used(badge_a).staged(bank, badge_b).0, SeqCst);
    slot_word(world, OTHER).store(SlotWord::used(badge_b).staged(bank, badge_a).0, SeqCst);
    let batch = world.batch_word(0).flipped();
    word(world, cap_map_rs::layout::OFF_BATCH).store(batch.0, SeqCst);
    Ok(())
}

/// The same as a whole batch.
fn exchange_and_settle(world: World) -> Verdict {
    heir(world, 0)?;
    let bank = world.batch_word(0).bank();
    let [a, b] =
        [SLOT, OTHER].map(|slot| SlotWord(slot_word(world, slot).load(SeqCst)).badge(bank));
    match rewrite(world, &mut [Rewrite::new(SLOT, a, b), Rewrite::new(OTHER, b, a)]) {
        0 => Ok(()),
        refused => Err(format!("exchange: {refused}")),
    }
}

/// A monitor puts a badge beside the one that counts, and dies. No slot carries it.
fn stage(world: World) -> Verdict {
    let bank = world.batch_word(0).bank();
    let cell = slot_word(world, SLOT);
    cell.store(SlotWord(cell.load(SeqCst)).staged(bank, 6000).0, SeqCst);
    Ok(())
}

/// The owner removes a badge, unless the reader holds the private lock.
fn remove(world: World) -> Verdict {
    without_waiting(|| _ = world.table().remove(8));
    Ok(())
}

/// The same with the last badge.
fn remove_last(world: World) -> Verdict {
    without_waiting(|| _ = world.table().remove(19));
    Ok(())
}

/// The owner enters a badge, unless the reader holds the private lock.
fn insert(world: World) -> Verdict {
    without_waiting(|| _ = world.table().insert(8004));
    Ok(())
}

/// What happens to the table.
type Change = fn(World) -> Verdict;

/// What happens while the reader has stopped.
const CHANGES: [&[Change]; 8] = [
    &[exchange],
    &[exchange_and_settle],
    &[exchange, exchange],
    &[exchange_and_settle, exchange_and_settle],
    &[exchange, exchange_and_settle],
    &[exchange, stage],
    &[remove, insert],
    &[remove, remove_last],
];

/// Walks through a reader; returns the points and the failures. Beside each change while
/// it has stopped once, there is one more just in front of its next instruction but one.
pub(crate) fn walk(
    world: World,
    reader: &Reader,
    stride: u64,
    offset: u64,
) -> Result<(u64, Vec<String>), String> {
    prepare(world)?;
    (reader.prepare)(world);
    let (mut points, mut failures) = (0, Vec::new());
    let truth = reader.truth;
    each_instruction(world, reader.act, |child, step| {
        if step % stride != offset % stride {
            return Ok(true);
        }
        points += 1;
        child.save()?;
        for (number, changes) in CHANGES.iter().enumerate() {
            // Further instructions between the changes.
            for pause in [0, 1, 3, 8, 20] {
                let mut possible = vec![truth(world)];
                let verdict = changes.iter().enumerate().try_for_each(|(at, change)| {
                    for _ in 0..if at == 0 { 0 } else { pause } {
                        if !child.step()? {
                            break;
                        }
                    }
                    change(world)?;
                    possible.push(truth(world));
                    Ok(())
                });
                let verdict = verdict.and_then(|()| {
                    child.finish()?;
                    let returned = world.ledger().returned.load(SeqCst);
                    if possible.contains(&returned) {
                        return Ok(());
                    }
                    Err(format!("returned {returned}, possible are {possible:?}"))
                });
                if let Err(text) = verdict {
                    failures.push(format!("instruction {step}, change {number}/{pause}: {text}"));
                }
                failures.extend(world.ledger().violation());
                child.rewind()?;
                if changes.len() == 1 {
                    break;
                }
            }
        }
        Ok(failures.len() < 4)
    })?;
    Ok((points, failures))
}
