//! The write paths that are walked through, and what each may and must come to.

use cap_map_rs::layout::{PHASE_ABORTED, PHASE_COMMITTED, PHASE_STAGING};
use cap_map_rs::{Released, Rewrite, Slot, Status};

use crate::fixture::{
    REFERENCED, SHIFT, State, WINDOW, badge, base, code, dead_batch, dead_section, enter, rewrite,
    rewrite_and_swap, with,
};
use crate::world::World;

/// Whose path it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Owner,
    Monitor,
}

/// One write path.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    pub(crate) side: Side,
    /// What is different in the beginning.
    pub(crate) prepare: fn(World),
    pub(crate) act: fn(World) -> u64,
    /// The meanings of the table that it goes through, in this order.
    pub(crate) states: Vec<State>,
    /// What becomes of a slot of the path that a monitor left like this.
    pub(crate) finally: fn(u32, Slot) -> Option<Slot>,
    /// What it must return.
    pub(crate) result: fn(u64) -> bool,
    /// Slots that a monitor leaves alone, as rewriting would change the path.
    pub(crate) aloof: &'static [u32],
}

/// All paths but the move of the table.
pub(crate) fn paths() -> Vec<Path> {
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
