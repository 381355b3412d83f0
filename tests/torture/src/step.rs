//! One side is stopped at each single instruction of a write path. There it is
//! dead, or wakes up after the other side has acted; both are judged.
//!
//! A dead process leaves the shared memory behind and nothing else, so the
//! stopped child stands for its own corpse: afterwards child and memory are set
//! back, and the walk goes on with the next instruction.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use cap_map_rs::layout::{
    OFF_CONTROL, OFF_INTENT_NEW, OFF_INTENT_OLD, OFF_INTENT_SLOT, PHASE_ABORTED, PHASE_COMMITTED,
    PHASE_STAGING, PHASE_WRITING, SLOTS, WORD_BYTES,
};
use cap_map_rs::word::{Control, Phase};
use cap_map_rs::{Kernel, Monitor, Released, Rewrite, Slot, SlotWord, Status};

use crate::hostile;
use crate::ptrace::Stepped;
use crate::world::{FIRST_USER, Relax, Table, World, waits};

pub(crate) const CAPACITY: u32 = 64;
pub(crate) const PATIENCE: u32 = 4;
/// Slots 8 to 19 carry badges 2000 to 2044.
pub(crate) const FILLED: u32 = 12;
/// A monitor that comes by adds this to badges.
const SHIFT: u32 = 10_000;
/// First slot of a receive window of four.
pub(crate) const WINDOW: u32 = 24;
/// A slot with one reference.
pub(crate) const REFERENCED: u32 = 12;
/// Instructions within which a monitor that has looked at a slot stages it.
const LATE: u32 = 48;

type State = Vec<Slot>;
type Verdict = Result<(), String>;

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

fn with(mut state: State, changes: &[(u32, Slot)]) -> State {
    for (slot, entry) in changes {
        state[*slot as usize] = *entry;
    }
    state
}

/// Whose path it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Owner,
    Monitor,
}

/// One write path.
struct Path {
    name: &'static str,
    side: Side,
    /// What is different in the beginning.
    prepare: fn(World),
    act: fn(World) -> u64,
    /// The meanings of the table that it goes through, in this order.
    states: Vec<State>,
    /// What becomes of a slot of the path that a monitor left like this.
    finally: fn(u32, Slot) -> Option<Slot>,
    /// What it must return.
    result: fn(u64) -> bool,
    /// Slots that a monitor leaves alone, as rewriting would change the path.
    aloof: &'static [u32],
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

pub(crate) fn code<T: Into<u64>>(result: Result<T, Status>) -> u64 {
    result.map_or_else(|status| 1_000_000 + u64::from(status as u32), Into::into)
}

pub(crate) fn word(world: World, offset: usize) -> &'static std::sync::atomic::AtomicU64 {
    &world.words(0)[offset / WORD_BYTES]
}

pub(crate) fn slot_word(world: World, slot: u32) -> &'static std::sync::atomic::AtomicU64 {
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

pub(crate) fn monitor(world: World, region: usize) -> Result<Monitor<'static, Relax>, Status> {
    Monitor::attach(world.region(region), PATIENCE)
}

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

fn paths() -> Vec<Path> {
    let used = Slot::Used;
    let moved = |slot| (slot, used(badge(slot) + SHIFT));
    let inserting = |state: State| vec![state.clone(), with(state, &[(20, used(5000))])];
    let insert: fn(World) -> u64 = |world| code(world.table().insert(5000));
    let inserted: fn(u32, Slot) -> Option<Slot> = |slot, seen| match (slot, seen) {
        (20, Slot::Used(_)) => Some(seen),
        (20, _) => Some(Slot::Used(5000)),
        _ => None,
    };
    let nothing: fn(World) = |_| {};
    let same: fn(u32, Slot) -> Option<Slot> = |_, _| None;
    let recover: fn(World) -> u64 = |world| {
        world.recovered();
        0
    };
    let batch = with(base(), &[(8, used(6000)), (9, used(badge(10))), (10, used(badge(9)))]);
    let owner = |name, act, states, finally, result| Path {
        name,
        side: Side::Owner,
        prepare: nothing,
        act,
        states,
        finally,
        result,
        aloof: &[],
    };
    let monitors = |name, act, states, result| Path {
        name,
        side: Side::Monitor,
        prepare: nothing,
        act,
        states,
        finally: same,
        result,
        aloof: &[],
    };
    vec![
        owner("insert", insert, inserting(base()), inserted, |result| result == 20),
        owner(
            "insert_at",
            |world| code(world.table().insert_at(5000, WINDOW).map(|()| 0_u32)),
            vec![base(), with(base(), &[(WINDOW, used(5000))])],
            |slot, seen| match (slot, seen) {
                (WINDOW, Slot::Used(_)) => Some(seen),
                (WINDOW, _) => Some(Slot::Used(5000)),
                _ => None,
            },
            |result| result == 0,
        ),
        owner(
            "remove",
            |world| code(world.table().remove(9).map(|()| 0_u32)),
            vec![base(), with(base(), &[(9, Slot::Free)])],
            |slot, _| (slot == 9).then_some(Slot::Free),
            |result| result == 0,
        ),
        owner(
            "remove_referenced",
            |world| code(world.table().remove(REFERENCED).map(|()| 0_u32)),
            vec![base(), with(base(), &[(REFERENCED, Slot::Detached(badge(REFERENCED)))])],
            |slot, seen| match seen {
                Slot::Used(badge) if slot == REFERENCED => Some(Slot::Detached(badge)),
                _ => None,
            },
            |result| result == 0,
        ),
        owner(
            "release_last",
            |world| match world.table().release(REFERENCED) {
                Ok(Released::Last(badge)) => u64::from(badge),
                Ok(Released::Kept) => 1,
                Err(status) => code::<u32>(Err(status)),
            },
            vec![base(), with(base(), &[(REFERENCED, Slot::Reserved)])],
            |slot, _| (slot == REFERENCED).then_some(Slot::Reserved),
            |result| {
                let badge = u64::from(badge(REFERENCED));
                (0..100).any(|n| result == badge + n * u64::from(SHIFT))
            },
        ),
        Path {
            aloof: &[REFERENCED],
            ..owner(
                "insert_map",
                |world| enter(world, REFERENCED),
                {
                    let detached = with(base(), &[(REFERENCED, Slot::Detached(badge(REFERENCED)))]);
                    vec![
                        base(),
                        detached.clone(),
                        with(detached.clone(), &[(20, Slot::Reserved)]),
                        with(detached, &[(20, used(badge(REFERENCED)))]),
                    ]
                },
                |slot, seen| match (slot, seen) {
                    (20, Slot::Used(_)) => Some(seen),
                    (20, _) => Some(Slot::Used(badge(REFERENCED))),
                    (REFERENCED, _) => Some(Slot::Detached(badge(REFERENCED))),
                    _ => None,
                },
                |result| result == 20,
            )
        },
        owner(
            "window_alloc",
            |world| code(world.table().alloc(4)),
            (20..=24)
                .map(|end| {
                    (20..end).fold(base(), |state, slot| with(state, &[(slot, Slot::Reserved)]))
                })
                .collect(),
            |slot, _| (20..24).contains(&slot).then_some(Slot::Reserved),
            |result| result == 20,
        ),
        owner(
            "window_free",
            |world| code(world.table().free(WINDOW, 4).map(|()| 0_u32)),
            (WINDOW..=WINDOW + 4)
                .map(|end| {
                    (WINDOW..end).fold(base(), |state, slot| with(state, &[(slot, Slot::Free)]))
                })
                .collect(),
            |slot, _| (WINDOW..WINDOW + 4).contains(&slot).then_some(Slot::Free),
            |result| result == 0,
        ),
        Path {
            prepare: |world| dead_batch(world, PHASE_STAGING, 2),
            ..owner("insert_aborting", insert, inserting(base()), inserted, |result| result == 20)
        },
        Path {
            prepare: |world| dead_batch(world, PHASE_COMMITTED, 3),
            ..owner(
                "insert_rolling",
                insert,
                inserting(with(base(), &[moved(8), moved(9), moved(10)])),
                inserted,
                |result| result == 20,
            )
        },
        Path {
            prepare: |world| dead_batch(world, PHASE_ABORTED, 3),
            ..owner("insert_rolling_back", insert, inserting(base()), inserted, |result| {
                result == 20
            })
        },
        Path {
            prepare: dead_section,
            ..owner(
                "recover_section",
                recover,
                vec![base(), with(base(), &[(9, used(8004))])],
                |slot, seen| match seen {
                    Slot::Used(seen) if slot == 9 && seen == badge(9) => Some(Slot::Used(8004)),
                    _ => None,
                },
                |result| result == 0,
            )
        },
        Path {
            prepare: |world| dead_batch(world, PHASE_STAGING, 2),
            ..owner("recover_staged", recover, vec![base()], same, |result| result == 0)
        },
        Path {
            prepare: |world| dead_batch(world, PHASE_COMMITTED, 3),
            ..owner(
                "recover_committed",
                recover,
                vec![with(base(), &[moved(8), moved(9), moved(10)])],
                same,
                |result| result == 0,
            )
        },
        monitors(
            "rewrite_one",
            |world| rewrite(world, &mut [Rewrite::new(9, badge(9), 6004)]),
            vec![base(), with(base(), &[(9, used(6004))])],
            |result| result == 0,
        ),
        monitors("rewrite_batch", rewrite_and_swap, vec![base(), batch], |result| result == 0),
        monitors(
            "rewrite_refused",
            |world| {
                let wrong = [
                    Rewrite::new(8, badge(8), 6000),
                    Rewrite::new(9, badge(9), 6004),
                    Rewrite::new(10, 77, 6008),
                ];
                rewrite(world, &mut { wrong })
            },
            vec![base()],
            |result| result == 1_000_000 + u64::from(Status::UnexpectedBadge as u32),
        ),
        Path {
            prepare: dead_section,
            ..monitors(
                "rewrite_helping",
                |world| rewrite(world, &mut [Rewrite::new(8, badge(8), 6000)]),
                vec![
                    base(),
                    with(base(), &[(9, used(8004))]),
                    with(base(), &[(8, used(6000)), (9, used(8004))]),
                ],
                |result| result == 0,
            )
        },
        Path {
            prepare: |world| dead_batch(world, PHASE_COMMITTED, 3),
            ..monitors(
                "rewrite_rolling",
                |world| rewrite(world, &mut [Rewrite::new(9, badge(9) + SHIFT, 6004)]),
                {
                    let state = with(base(), &[moved(8), moved(9), moved(10)]);
                    vec![state.clone(), with(state, &[(9, used(6004))])]
                },
                |result| result == 0,
            )
        },
    ]
}

/// The meanings of all slots, straight from the memory.
fn meanings(world: World, region: usize) -> State {
    let words = world.words(region);
    let control = Control(words[OFF_CONTROL / WORD_BYTES].load(SeqCst));
    let slots = &words[SLOTS / WORD_BYTES..][..CAPACITY as usize];
    slots.iter().map(|word| SlotWord(word.load(SeqCst)).decode(control)).collect()
}

fn difference(found: &[Slot], expected: &[Slot]) -> String {
    let pairs =
        found.iter().zip(expected).enumerate().filter(|(_, (found, expected))| found != expected);
    pairs
        .map(|(slot, (found, expected))| format!("slot {slot}: {found:?}, not {expected:?}; "))
        .collect()
}

fn equal(what: &str, found: &[Slot], expected: &[Slot]) -> Verdict {
    if found == expected { Ok(()) } else { Err(format!("{what}: {}", difference(found, expected))) }
}

/// Nothing is staged and no section open, once both sides have passed.
fn tidy(world: World, region: usize) -> Verdict {
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
fn no_stray(world: World) -> Verdict {
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
fn bounded(what: &str, sections: u32) -> Verdict {
    let waited = waits();
    if waited <= sections * PATIENCE {
        Ok(())
    } else {
        Err(format!("{what} waited {waited} times"))
    }
}

/// A monitor comes by and adds [`SHIFT`] to the badges of these slots.
fn shift_badges(world: World, region: usize, slots: &[u32]) -> Result<State, String> {
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

fn shifted(state: &State, slots: &[u32]) -> State {
    let shift = |slot: &u32| match state[*slot as usize] {
        Slot::Used(badge) => Some((*slot, Slot::Used(badge + SHIFT))),
        _ => None,
    };
    with(state.clone(), &slots.iter().filter_map(shift).collect::<Vec<_>>())
}

/// The index finds what the table says and nothing else; all free slots serve.
fn inspect(table: &Table, state: &State) -> Verdict {
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
fn go_on(world: World, region: usize, mut state: State) -> Verdict {
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

/// What a point of a path is judged with.
struct Point<'a> {
    world: World,
    path: &'a Path,
    child: &'a mut Stepped,
    /// The states that the path may be in, once somebody has helped.
    possible: &'a [State],
    /// Slots that the monitor that comes by rewrites.
    shifting: &'a [u32],
}

impl Point<'_> {
    fn one_of(&self, what: &str, found: &State, shifting: &[u32]) -> Verdict {
        let mut last = String::new();
        for (number, state) in self.possible.iter().enumerate() {
            // What changed by helping may not have been part of the batch.
            let before = &self.possible[number.saturating_sub(1)];
            let known = |slot: &u32| state[*slot as usize] == before[*slot as usize];
            let known: Vec<u32> = shifting.iter().copied().filter(known).collect();
            for shifting in [shifting, &known] {
                let expected = shifted(state, shifting);
                if *found == expected {
                    return Ok(());
                }
                last = difference(found, &expected);
            }
        }
        Err(format!("{what}: {last}"))
    }

    fn result(&self, seen: &State, when: &str) -> Verdict {
        let result = self.world.ledger().batch.number.load(SeqCst);
        if !(self.path.result)(result) {
            return Err(format!("{when}: returned {result}"));
        }
        let last =
            |(slot, entry): (u32, &Slot)| (self.path.finally)(slot, *entry).unwrap_or(*entry);
        let expected: State = (0u32..).zip(seen).map(last).collect();
        equal(when, &meanings(self.world, 0), &expected)?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, expected)
    }

    /// The owner is dead: a monitor comes by, then another life of the owner.
    fn owner_dies(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, self.shifting)?;
        self.one_of("monitor after death", &seen, self.shifting)?;
        waits();
        self.world.recovered();
        bounded("recovery", 1)?;
        equal("recovery", &meanings(self.world, 0), &seen)?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, seen)
    }

    /// The owner is dead and lives again before any monitor comes.
    fn owner_lives_again(&mut self) -> Verdict {
        waits();
        self.world.recovered();
        bounded("recovery", 1)?;
        let seen = meanings(self.world, 0);
        self.one_of("recovery at once", &seen, &[])?;
        tidy(self.world, 0)?;
        go_on(self.world, 0, seen)
    }

    /// The owner wakes up after so many visits of a monitor.
    fn owner_wakes_up(&mut self, visits: u32) -> Verdict {
        let mut seen = shift_badges(self.world, 0, self.shifting)?;
        self.one_of("monitor beside a sleeper", &seen, self.shifting)?;
        for visit in 1..visits {
            let completed =
                |slot: &u32| matches!(seen[*slot as usize], Slot::Used(badge) if badge < SHIFT);
            // The second one rewrites what the first one has completed.
            let mut slots = vec![11];
            if visit == 1 {
                slots.extend(self.shifting.iter().copied().filter(completed));
            }
            seen = shift_badges(self.world, 0, &slots)?;
        }
        self.child.finish()?;
        // Each section may find a batch to wait for, but there is none.
        self.result(&seen, "late owner")
    }

    /// The monitor is dead: the owner goes on as if nothing were.
    fn monitor_dies(&mut self) -> Verdict {
        let state = meanings(self.world, 0);
        self.one_of("at the death of the monitor", &state, &[])?;
        go_on(self.world, 0, self.helped(state)?)
    }

    /// The state after recovery, if the path began with a dead owner's section.
    fn helped(&self, state: State) -> Result<State, String> {
        let control = Control(word(self.world, OFF_CONTROL).load(SeqCst));
        if control.phase() == Phase::Writing || self.path.name == "rewrite_helping" {
            self.world.recovered();
            let seen = meanings(self.world, 0);
            self.one_of("helping", &seen, &[])?;
            return Ok(seen);
        }
        Ok(state)
    }

    /// The monitor is dead: another one takes over.
    fn another_monitor(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, &[8, 9, 11])?;
        self.one_of("another monitor", &seen, &[8, 9, 11])?;
        self.world.recovered();
        go_on(self.world, 0, seen)
    }

    /// The monitor wakes up after the owner has written. With `touching`, the
    /// owner has removed a slot of the batch meanwhile.
    fn monitor_wakes_up(&mut self, touching: bool) -> Verdict {
        let state = meanings(self.world, 0);
        let mut state = self.helped(state)?;
        let table = self.world.table();
        waits();
        let slot =
            table.insert(7000).map_err(|status| format!("insert beside a sleeper: {status:?}"))?;
        bounded("insert beside a sleeper", 1)?;
        state[slot as usize] = Slot::Used(7000);
        let begun = self
            .path
            .states
            .last()
            .is_some_and(|last| (0..slot as usize).all(|slot| state[slot] == last[slot]));
        let victim = self.victim();
        if touching {
            table
                .remove(victim)
                .map_err(|status| format!("remove beside a sleeper: {status:?}"))?;
            bounded("remove beside a sleeper", 1)?;
            state[victim as usize] = Slot::Free;
        }
        equal("owner beside a sleeper", &meanings(self.world, 0), &state)?;
        // It may be stopped for good once more.
        let watched = if touching { 0 } else { LATE };
        for _ in 0..watched {
            if !self.child.step()? {
                break;
            }
            no_stray(self.world)?;
        }
        self.child.finish()?;
        let result = self.world.ledger().batch.number.load(SeqCst);
        let refused = self.path.name == "rewrite_refused";
        let not_rewritable = 1_000_000 + u64::from(Status::NotRewritable as u32);
        let changes = !begun && !touching && !refused;
        let as_should = match (refused, begun, touching) {
            (false, false, true) => result == not_rewritable,
            (true, _, true) => result == not_rewritable || (self.path.result)(result),
            _ => (self.path.result)(result),
        };
        if !as_should {
            return Err(format!("late monitor returned {result}, committed before: {begun}"));
        }
        if changes && let Some(last) = self.path.states.last() {
            let changed = (0..slot as usize).filter(|slot| state[*slot] != last[*slot]);
            for slot in changed.collect::<Vec<_>>() {
                state[slot] = last[slot];
            }
        }
        equal("late monitor", &meanings(self.world, 0), &state)?;
        tidy(self.world, 0)?;
        table.remove(slot).map_err(|status| format!("remove: {status:?}"))?;
        state[slot as usize] = Slot::Free;
        go_on(self.world, 0, state)
    }

    /// A slot that the batch of the path is about.
    fn victim(&self) -> u32 {
        if self.path.name == "rewrite_helping" { 8 } else { 9 }
    }

    /// The monitor wakes up after another one has taken its place.
    fn monitor_is_replaced(&mut self) -> Verdict {
        let seen = shift_badges(self.world, 0, &[11])?;
        self.one_of("another monitor beside a sleeper", &seen, &[11])?;
        self.child.finish()?;
        let result = self.world.ledger().batch.number.load(SeqCst);
        if !(self.path.result)(result) {
            return Err(format!("replaced monitor returned {result}"));
        }
        let last = self.path.states.last().map(|last| shifted(last, &[11])).unwrap_or_default();
        equal("replaced monitor", &meanings(self.world, 0), &last)?;
        tidy(self.world, 0)?;
        self.world.recovered();
        go_on(self.world, 0, last)
    }
}

/// A fresh table as [`base`] describes it.
pub(crate) fn prepare(world: World) -> Verdict {
    let ledger = world.ledger();
    ledger.capacity.store(CAPACITY, SeqCst);
    ledger.patience.store(PATIENCE, SeqCst);
    let blank = vec![0; crate::world::TABLE_BYTES];
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

/// Walks through one path; returns the points and the failures.
fn walk(world: World, path: &Path, stride: u64, offset: u64) -> Result<(u64, Vec<String>), String> {
    prepare(world)?;
    (path.prepare)(world);
    let mut shifting = vec![8, 11];
    for slot in 0..CAPACITY {
        let changes =
            path.states.iter().any(|state| state[slot as usize] != path.states[0][slot as usize]);
        if changes && !shifting.contains(&slot) {
            shifting.push(slot);
        }
    }
    shifting.retain(|slot| !path.aloof.contains(slot));
    let ledger = world.ledger();
    let mut child =
        Stepped::start(world, path.act, |result| ledger.batch.number.store(result, SeqCst))?;
    let mut failures = Vec::new();
    let mut at = 0;
    let mut points = 0;
    let mut steps = 0;
    loop {
        let seen = meanings(world, 0);
        match path.states.iter().skip(at).position(|state| *state == seen) {
            Some(further) => at += further,
            None => failures
                .push(format!("instruction {steps}: {}", difference(&seen, &path.states[at]))),
        }
        if steps % stride == offset % stride {
            points += 1;
            child.save()?;
            let possible = &path.states[at..(at + 2).min(path.states.len())];
            type Variant = fn(&mut Point<'_>) -> Verdict;
            let variants: [(&str, Variant); 5] = match path.side {
                Side::Owner => [
                    ("killed, monitor first", |point| point.owner_dies()),
                    ("killed, owner first", |point| point.owner_lives_again()),
                    ("woken after a batch", |point| point.owner_wakes_up(1)),
                    ("woken after 33 batches", |point| point.owner_wakes_up(33)),
                    ("undisturbed", |point| {
                        let seen = meanings(point.world, 0);
                        point.child.finish()?;
                        point.result(&seen, "undisturbed")
                    }),
                ],
                Side::Monitor => [
                    ("killed, owner first", |point| point.monitor_dies()),
                    ("killed, monitor first", |point| point.another_monitor()),
                    ("woken after a write", |point| point.monitor_wakes_up(false)),
                    ("woken after a removal", |point| point.monitor_wakes_up(true)),
                    ("replaced", |point| point.monitor_is_replaced()),
                ],
            };
            for (name, variant) in variants {
                let shifting = &shifting;
                let mut point = Point { world, path, child: &mut child, possible, shifting };
                if let Err(text) = variant(&mut point) {
                    failures.push(format!("instruction {steps}, {name}: {text}"));
                }
                if let Some(text) = ledger.violation() {
                    failures.push(text);
                }
                child.rewind()?;
            }
        }
        if failures.len() > 3 || !child.step()? {
            break;
        }
        steps += 1;
    }
    if failures.is_empty() && at + 1 != path.states.len() {
        failures.push(format!("ended in state {at} of {}", path.states.len() - 1));
    }
    Ok((points, failures))
}

/// The move of the table, whose memory changes on the way.
fn walk_move(world: World, stride: u64, offset: u64) -> Result<(u64, Vec<String>), String> {
    prepare(world)?;
    let ledger = world.ledger();
    let act = |world: World| code(world.table().move_to(world.region(1), b"new").map(|()| 0_u32));
    let mut child = Stepped::start(world, act, |result| ledger.batch.number.store(result, SeqCst))?;
    let mut failures = Vec::new();
    let (mut points, mut steps) = (0, 0);
    // A monitor rewrites wherever the table is to be found, if anywhere.
    let visit = || -> Result<State, String> {
        for region in [1, 0] {
            match shift_badges(world, region, &[8, 11]) {
                Ok(_) => return Ok(shifted(&base(), &[8, 11])),
                Err(text) if text.ends_with("Unpublished") || text.ends_with("Retired") => {}
                Err(text) => return Err(text),
            }
        }
        Ok(base())
    };
    let again = |state: State| -> Verdict {
        let table = world.recovered();
        inspect(table, &state)?;
        // Whoever comes back does not know where it was, and moves once more.
        table.move_to(world.region(2), b"again").map_err(|status| format!("move: {status:?}"))?;
        equal("moved again", &meanings(world, 2), &state)?;
        go_on(world, 2, state)
    };
    loop {
        if steps % stride == offset % stride {
            points += 1;
            child.save()?;
            for variant in 0..3 {
                let verdict = match variant {
                    0 => visit().and_then(again),
                    1 => again(base()),
                    _ => visit().and_then(|state| {
                        child.finish()?;
                        let result = ledger.batch.number.load(SeqCst);
                        if result != 0 {
                            return Err(format!("returned {result}"));
                        }
                        equal("late move", &meanings(world, 1), &state)?;
                        go_on(world, 1, state)
                    }),
                };
                if let Err(text) = verdict {
                    failures.push(format!("instruction {steps}, variant {variant}: {text}"));
                }
                child.rewind()?;
            }
        }
        if failures.len() > 3 || !child.step()? {
            return Ok((points, failures));
        }
        steps += 1;
    }
}

/// Walks through the paths whose names contain `which`, or all of them; every
/// instruction, or every so many. Returns whether all is well.
pub(crate) fn main(which: &str, stride: u64, seed: u64) -> Result<bool, String> {
    let (world, _memory) = World::create().map_err(|error| error.to_string())?;
    prepare(world)?;
    if let Err(text) = Stepped::start(world, |_| 0, |_| {}) {
        println!("not run: {text}");
        return Ok(true);
    }
    let start = Instant::now();
    // Another one for each path and each seed.
    let mut offset = seed;
    let mut good = true;
    let mut all = 0;
    let mut report = |name: &str, outcome: Result<(u64, Vec<String>), String>| {
        let (points, failures) = outcome?;
        println!("step: {name}: {points} points, {} failures", failures.len());
        for text in &failures {
            println!("step: {name}: {text}");
        }
        good &= failures.is_empty() && points > 0;
        all += points;
        Ok::<(), String>(())
    };
    let wanted = |name: &str| which == "all" || name.contains(which);
    for path in paths().iter().filter(|path| wanted(path.name)) {
        report(path.name, walk(world, path, stride, offset))?;
        offset = offset.wrapping_add(1);
    }
    if wanted("move") {
        report("move", walk_move(world, stride, offset))?;
    }
    if which == "all" || which.starts_with("hostile") {
        report("hostile", hostile::main(world, which, stride, seed))?;
    }
    println!("step: {all} points in {:.1} s", start.elapsed().as_secs_f32());
    Ok(good && all > 0)
}
