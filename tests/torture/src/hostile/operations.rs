//! The operations that are exposed to attacks, the attacks, and which of them reach
//! the bound of which loop.

use cap_map_rs::layout::{
    PHASE_ABORTED, PHASE_COMMITTED, PHASE_IDLE, PHASE_RETIRED, PHASE_STAGING, PHASE_WRITING,
};
use cap_map_rs::{Rewrite, SlotWord, Status};

use crate::fixture::{
    CAPACITY, REFERENCED, WINDOW, badge, code, dead_batch, dead_section, enter, monitor, rewrite,
    rewrite_and_swap,
};
use crate::hostile::peer::{ABSENT, Attack, Controls, ELUSIVE, Rest, Slots, attack, controls};
use crate::hostile::reach::{LOOK_UP, PASS, Reach};
use crate::world::World;

const NEVER_IDLE: Attack = controls("always_committed", Controls::Always(PHASE_COMMITTED, 0));
const OTHER_SEQUENCE: Attack = controls("always_idle", Controls::Always(PHASE_IDLE, 0));
const OTHER_GENERATION: Attack =
    controls("always_another_generation", Controls::Always(PHASE_IDLE, 2));
const TAKEN_BACK: Attack = controls("taken_back", Controls::TakenBack(PHASE_IDLE, 0));
const STAGED: Attack = attack("staged", Controls::Kept, Slots::Staged, Rest::Kept);
const STAGED_AND_IDLE: Attack =
    attack("staged_and_idle", Controls::Always(PHASE_IDLE, 0), Slots::Staged, Rest::Kept);
const ELUSIVE_ONCE: Attack = attack("elusive", Controls::Kept, Slots::Elusive(1), Rest::Kept);
const ELUSIVE_TWICE: Attack = attack("elusive", Controls::Kept, Slots::Elusive(2), Rest::Kept);
const THREAD: Attack = attack("thread", Controls::Kept, Slots::Kept, Rest::Thread);

/// Attacks that each operation is exposed to.
pub(crate) const ATTACKS: [Attack; 26] = [
    OTHER_SEQUENCE,
    controls("always_writing", Controls::Always(PHASE_WRITING, 0)),
    controls("always_staging", Controls::Always(PHASE_STAGING, 0)),
    NEVER_IDLE,
    controls("always_aborted", Controls::Always(PHASE_ABORTED, 0)),
    controls("always_retired", Controls::Always(PHASE_RETIRED, 0)),
    controls("always_corrupt", Controls::Always(6, 0)),
    OTHER_GENERATION,
    controls("another_staged", Controls::Always(PHASE_STAGING, 1)),
    controls("another_committed", Controls::Always(PHASE_COMMITTED, 2)),
    controls("another_aborted", Controls::Always(PHASE_ABORTED, 2)),
    TAKEN_BACK,
    controls("generation_taken_back", Controls::TakenBack(PHASE_IDLE, 2)),
    controls("back_to_writing", Controls::TakenBack(PHASE_WRITING, 0)),
    controls("back_to_staging", Controls::TakenBack(PHASE_STAGING, 1)),
    controls("back_to_committed", Controls::TakenBack(PHASE_COMMITTED, 0)),
    controls("back_to_aborted", Controls::TakenBack(PHASE_ABORTED, 0)),
    controls("turning", Controls::Turning),
    STAGED,
    STAGED_AND_IDLE,
    attack("slots_turning", Controls::Kept, Slots::Turning, Rest::Kept),
    attack("all_turning", Controls::Turning, Slots::Turning, Rest::Announcing),
    attack("announcing", Controls::Kept, Slots::Kept, Rest::Announcing),
    attack("intents", Controls::TakenBack(PHASE_WRITING, 0), Slots::Kept, Rest::Announcing),
    attack("anything", Controls::Kept, Slots::Kept, Rest::Anything(1)),
    attack("anything_else", Controls::Kept, Slots::Kept, Rest::Anything(2)),
];

/// What is exposed to attacks.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) prepare: fn(World),
    pub(crate) act: fn(World) -> u64,
    /// The most instructions that it may take.
    pub(crate) bound: fn(Reach) -> u64,
    /// What it may return instead of a result.
    pub(crate) statuses: &'static [Status],
    /// Slots that may be free afterwards although they were not before.
    pub(crate) frees: &'static [u32],
}

/// The result of an operation that failed.
pub(crate) fn failed(status: Status) -> u64 {
    code::<u32>(Err(status))
}

/// All operations.
pub(crate) fn operations() -> Vec<Operation> {
    use Status::{
        BadBadgeBits, BadCapacity, BadFirstUser, BadLabel, BadMagic, BadShift, BadSize,
        BadSlotsOffset, BadVersion, Busy, Changed, Corrupt, DuplicateBadge, DuplicateSlot, Exists,
        NotFound, NotRewritable, Retired, UnexpectedBadge, Unpublished,
    };
    // A monitor attaches before it does anything else.
    const LOOKING: &[Status] = &[
        Unpublished,
        Retired,
        BadMagic,
        BadVersion,
        BadCapacity,
        BadSize,
        BadFirstUser,
        BadShift,
        BadBadgeBits,
        BadSlotsOffset,
        BadLabel,
    ];
    let rewriting_statuses: &[Status] = [
        LOOKING,
        &[Changed, Busy, Corrupt, DuplicateSlot, DuplicateBadge, UnexpectedBadge, NotRewritable],
    ]
    .concat()
    .leak();
    let operation = |name, act, bound, statuses| Operation {
        name,
        prepare: |_| {},
        act,
        bound,
        statuses,
        frees: &[],
    };
    let insert: fn(World) -> u64 = |world| code(world.table().insert(ABSENT));
    let inserting: fn(Reach) -> u64 = |reach| reach.look_up() + reach.file() + PASS;
    let one: fn(World) -> u64 = |world| rewrite(world, &mut [Rewrite::new(9, badge(9), 6004)]);
    let rewriting: fn(Reach) -> u64 = |reach| reach.rewrite() + LOOK_UP;
    vec![
        operation(
            "find",
            |world| code(world.table().find(badge(9))),
            |reach| reach.find(),
            &[NotFound],
        ),
        operation(
            "find_absent",
            |world| code(world.table().find(ABSENT)),
            |reach| reach.find(),
            &[NotFound],
        ),
        operation(
            "find_acquire",
            |world| code(world.table().find_acquire(badge(REFERENCED))),
            |reach| 2 * reach.find(),
            &[NotFound],
        ),
        operation(
            "entry",
            |world| code(world.table().entry(9).map(|_| 0_u32)),
            |reach| LOOK_UP + reach.read(),
            &[Busy],
        ),
        operation("insert", insert, inserting, &[Busy, Exists]),
        Operation {
            prepare: |world| dead_batch(world, PHASE_STAGING, 2),
            ..operation("insert_over_staged", insert, inserting, &[Busy, Exists])
        },
        Operation {
            prepare: |world| dead_batch(world, PHASE_COMMITTED, 3),
            ..operation("insert_over_committed", insert, inserting, &[Busy, Exists])
        },
        operation(
            "insert_at",
            |world| code(world.table().insert_at(ABSENT, WINDOW).map(|()| 0_u32)),
            |reach| reach.insert_at(),
            &[Busy],
        ),
        Operation {
            frees: &[ELUSIVE],
            ..operation(
                "insert_at_known",
                |world| code(world.table().insert_at(badge(ELUSIVE), WINDOW).map(|()| 0_u32)),
                |reach| reach.insert_at(),
                &[Busy],
            )
        },
        Operation {
            frees: &[ELUSIVE],
            ..operation(
                "insert_map",
                |world| enter(world, ELUSIVE),
                |reach| reach.insert_map(),
                &[Busy],
            )
        },
        Operation {
            frees: &[9],
            ..operation(
                "remove",
                |world| code(world.table().remove(9).map(|()| 0_u32)),
                |reach| 2 * reach.write() + PASS,
                &[],
            )
        },
        operation(
            "remove_referenced",
            |world| code(world.table().remove(REFERENCED).map(|()| 0_u32)),
            |reach| 2 * reach.write() + 2 * reach.read() + PASS,
            &[],
        ),
        operation(
            "release_last",
            |world| code(world.table().release(REFERENCED).map(|_| 0_u32)),
            |reach| 2 * reach.write() + PASS,
            &[],
        ),
        operation("window_alloc", |world| code(world.table().alloc(4)), |_| LOOK_UP, &[]),
        Operation {
            frees: &[WINDOW, WINDOW + 1, WINDOW + 2, WINDOW + 3],
            ..operation(
                "window_free",
                |world| code(world.table().free(WINDOW, 4).map(|()| 0_u32)),
                |reach| 4 * (2 * reach.write() + PASS),
                &[],
            )
        },
        operation(
            "move",
            |world| code(world.table().move_to(world.region(1), b"new").map(|()| 0_u32)),
            |reach| reach.transitions() + 4 * PASS,
            &[],
        ),
        Operation {
            prepare: dead_section,
            // Slots that look free are.
            frees: &[8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 24, 25, 26, 27],
            ..operation(
                "recover",
                |world| {
                    world.recovered();
                    0
                },
                |reach| reach.transitions() + 4 * PASS + u64::from(CAPACITY) * reach.read(),
                &[],
            )
        },
        operation(
            "snapshot",
            |world| {
                let mut words = [SlotWord(0); CAPACITY as usize];
                let snapshot = monitor(world, 0).and_then(|monitor| monitor.snapshot(&mut words));
                code(snapshot.map(|snapshot| snapshot.consistent))
            },
            |reach| reach.snapshot() + 2 * PASS,
            LOOKING,
        ),
        operation(
            "iterate",
            |world| {
                let Ok(monitor) = monitor(world, 0) else { return 0 };
                let mut next = 0;
                while let Some((slot, _)) = monitor.next_used(next) {
                    next = slot + 1;
                }
                u64::from(next)
            },
            |reach| PASS + u64::from(CAPACITY) * reach.read(),
            &[],
        ),
        operation("rewrite_one", one, rewriting, rewriting_statuses),
        operation("rewrite_batch", rewrite_and_swap, rewriting, rewriting_statuses),
        Operation {
            prepare: |world| dead_batch(world, PHASE_STAGING, 2),
            ..operation("rewrite_over_staged", one, rewriting, rewriting_statuses)
        },
        Operation {
            prepare: |world| dead_batch(world, PHASE_COMMITTED, 3),
            ..operation("rewrite_over_committed", one, rewriting, rewriting_statuses)
        },
        Operation {
            prepare: dead_section,
            ..operation("rewrite_over_section", one, rewriting, rewriting_statuses)
        },
    ]
}

/// The bound of each loop, the operation and the attack that reach it, and what
/// tells that it was reached where the result does.
pub(crate) fn bounds() -> Vec<(&'static str, Attack, Option<u64>)> {
    let status = |status| Some(failed(status));
    vec![
        // Transitions of the owner: while the table is not idle, ...
        ("insert", NEVER_IDLE, None),
        // ... to open a section, ...
        ("remove", OTHER_SEQUENCE, None),
        // ... and to retire the region.
        ("move", OTHER_SEQUENCE, None),
        // Transitions of a monitor.
        ("rewrite_one", OTHER_SEQUENCE, status(Status::Busy)),
        ("rewrite_over_staged", ATTACKS[2], status(Status::Busy)),
        // Looks at a staged slot.
        ("entry", STAGED_AND_IDLE, status(Status::Busy)),
        // Attempts to roll one slot.
        ("insert_over_committed", STAGED, None),
        ("rewrite_over_committed", STAGED, None),
        // Batches of one rewrite.
        ("rewrite_batch", TAKEN_BACK, status(Status::Changed)),
        // Look-ups beside another thread, and beside batches.
        ("find_absent", THREAD, status(Status::NotFound)),
        ("find_absent", OTHER_GENERATION, status(Status::NotFound)),
        ("insert", OTHER_GENERATION, status(Status::Busy)),
        // The badge is elsewhere after the look-up.
        ("insert_at_known", ELUSIVE_ONCE, status(Status::Busy)),
        ("insert_map", ELUSIVE_TWICE, status(Status::Busy)),
        // Snapshots: not of one instant.
        ("snapshot", OTHER_SEQUENCE, Some(0)),
    ]
}
