//! The operations that are exposed to attacks, the attacks, and which of them reach
//! the bound of which loop.

use cap_map_rs::{Publication, Rewrite, SlotWord, Status};

use crate::fixture::{
    CAPACITY, REFERENCED, WINDOW, badge, code, dead_owner, decided, enter, monitor, refused,
    rewrite, rewrite_and_swap, staged,
};
use crate::hostile::peer::{
    ABSENT, Attack, Batches, ELUSIVE, Rest, Slots, attack, batches, others,
};
use crate::hostile::{LOOK_UP, PASS, Reach};
use crate::world::{World, identity};

const DECIDED: Attack = batches("always_decided", Batches::Decided(1));
const CLAIMED: Attack = batches("always_claimed", Batches::Claimed);
const RELEASED: Attack = batches("always_released", Batches::Released);
const DISTURBED: Attack = batches("always_disturbed", Batches::Disturbed);
const UNSETTLED: Attack = attack("unsettled", Batches::Kept, Slots::Unsettled, Rest::Kept);
const UNSETTLED_AND_DECIDED: Attack =
    attack("unsettled_and_decided", Batches::Decided(1), Slots::Unsettled, Rest::Kept);
const WRITING: Attack = others("always_writing", Rest::Writing);
const ELUSIVE_ONCE: Attack = attack("elusive", Batches::Kept, Slots::Elusive(1), Rest::Kept);
// An insertion of a received capability looks twice before it finds that there is none.
const ELUSIVE_LONGER: Attack = attack("elusive", Batches::Kept, Slots::Elusive(2), Rest::Kept);
const THREAD: Attack = others("thread", Rest::Thread);

/// Attacks that each operation is exposed to.
pub(crate) const ATTACKS: [Attack; 18] = [
    DECIDED,
    batches("always_decided_twice", Batches::Decided(2)),
    CLAIMED,
    RELEASED,
    batches("always_unclaimed", Batches::Unclaimed),
    DISTURBED,
    batches("toggled", Batches::Toggled),
    batches("always_retired", Batches::Retired),
    batches("turning", Batches::Turning),
    UNSETTLED,
    UNSETTLED_AND_DECIDED,
    attack("slots_turning", Batches::Kept, Slots::Turning, Rest::Kept),
    attack("all_turning", Batches::Turning, Slots::Turning, Rest::Announcing),
    WRITING,
    others("announcing", Rest::Announcing),
    attack("announcing_and_disturbed", Batches::Disturbed, Slots::Kept, Rest::Announcing),
    others("anything", Rest::Anything(1)),
    others("anything_else", Rest::Anything(2)),
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
        BadArea, BadBadge, BadBadgeBits, BadCapacity, BadChecksum, BadFirstUser, BadKind, BadLabel,
        BadMagic, BadShift, BadSize, BadSlotsOffset, BadVersion, Busy, Changed, Corrupt,
        DuplicateBadge, DuplicateSlot, Exists, NotFound, NotRewritable, Retired, UnexpectedBadge,
        Unpublished,
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
        BadChecksum,
        BadKind,
        BadBadge,
        BadArea,
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
            &[],
        ),
        operation("insert", insert, inserting, &[Busy, Exists]),
        Operation {
            prepare: staged,
            ..operation("insert_over_staged", insert, inserting, &[Busy, Exists])
        },
        Operation {
            prepare: decided,
            ..operation("insert_over_decided", insert, inserting, &[Busy, Exists])
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
            |world| {
                let publication = Publication::from(identity());
                code(world.table().move_to(world.region(1), Some(&publication)).map(|_| 0_u32))
            },
            |_| 4 * PASS,
            &[],
        ),
        Operation {
            prepare: dead_owner,
            ..operation(
                "recover",
                |world| {
                    world.recovered();
                    0
                },
                |_| 8 * PASS,
                &[],
            )
        },
        operation(
            "take_over",
            |world| code(monitor(world, 0).and_then(|monitor| monitor.take_over()).map(|()| 0_u32)),
            |reach| reach.exchanges() + PASS,
            rewriting_statuses,
        ),
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
            prepare: staged,
            ..operation("rewrite_over_staged", one, rewriting, rewriting_statuses)
        },
        Operation {
            prepare: refused,
            ..operation("rewrite_over_refused", one, rewriting, rewriting_statuses)
        },
    ]
}

/// The bound of each loop, the operation and the attack that reach it, and what
/// tells that it was reached where the result does.
pub(crate) fn bounds() -> Vec<(&'static str, Attack, Option<u64>)> {
    let status = |status| Some(failed(status));
    vec![
        // Exchanges of the batch word: to claim, and to take over.
        ("rewrite_one", RELEASED, status(Status::Busy)),
        ("take_over", CLAIMED, status(Status::Busy)),
        // Waits for the claim of another monitor, and for quiet.
        ("rewrite_over_staged", CLAIMED, status(Status::Busy)),
        ("rewrite_batch", ATTACKS[15], status(Status::Changed)),
        // The owner retires its region at once.
        ("move", CLAIMED, None),
        // Waits of the owner for an attempt.
        ("insert", CLAIMED, Some(20)),
        // Attempts of one rewrite.
        ("rewrite_batch", DISTURBED, status(Status::Changed)),
        // Looks at one slot of a batch, and of the scan.
        ("rewrite_one", UNSETTLED, status(Status::Changed)),
        // Looks at a slot with two badges.
        ("entry", UNSETTLED_AND_DECIDED, None),
        ("iterate", UNSETTLED_AND_DECIDED, None),
        // Look-ups beside another thread, and beside batches.
        ("find_absent", THREAD, status(Status::NotFound)),
        ("find_absent", DECIDED, status(Status::NotFound)),
        ("insert", DECIDED, status(Status::Busy)),
        // The badge is elsewhere after the look-up.
        ("insert_at_known", ELUSIVE_ONCE, status(Status::Busy)),
        ("insert_map", ELUSIVE_LONGER, status(Status::Busy)),
        // Snapshots: not of one instant.
        ("snapshot", WRITING, Some(0)),
    ]
}
