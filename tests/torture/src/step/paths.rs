//! The write paths that are walked through, and what each may and must come to.

use cap_map_rs::{Released, Rewrite, Slot, Status};

use crate::fixture::{
    REFERENCED, SHIFT, State, WINDOW, badge, base, code, dead_owner, decided, enter, monitor,
    refused, rewrite, rewrite_and_swap, staged, with,
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
    /// What recovery may make of a slot that it finds like this; nothing else, unless empty.
    pub(crate) recovered: fn(u32, Slot) -> Vec<Slot>,
    /// What it must return.
    pub(crate) result: fn(u64) -> bool,
    /// Slots that a monitor leaves alone, as rewriting would change the path.
    pub(crate) aloof: &'static [u32],
    /// A badge that both sides want, and what the path returns if the other side was first.
    pub(crate) contested: Option<(u32, Status)>,
    /// Whether it takes the claim away from a dead monitor first.
    pub(crate) takes_over: bool,
}

fn used(badge: u32) -> Slot {
    Slot::Used(badge)
}

/// The slot after the unfinished batch has taken place.
fn moved(slot: u32) -> (u32, Slot) {
    (slot, used(badge(slot) + SHIFT))
}

fn all_moved() -> State {
    with(base(), &[moved(8), moved(9), moved(10)])
}

fn owner(
    name: &'static str,
    act: fn(World) -> u64,
    states: Vec<State>,
    finally: fn(u32, Slot) -> Option<Slot>,
    result: fn(u64) -> bool,
) -> Path {
    Path {
        name,
        side: Side::Owner,
        prepare: |_| {},
        act,
        states,
        finally,
        recovered: |_, _| Vec::new(),
        result,
        aloof: &[],
        contested: None,
        takes_over: false,
    }
}

fn monitors(name: &'static str, act: fn(World) -> u64, states: Vec<State>) -> Path {
    let nothing: fn(u32, Slot) -> Option<Slot> = |_, _| None;
    Path { side: Side::Monitor, ..owner(name, act, states, nothing, |result| result == 0) }
}

/// Paths that insert a badge, over what monitors may have left.
fn insertions() -> Vec<Path> {
    let inserting = |state: State| vec![state.clone(), with(state, &[(20, used(5000))])];
    let insert: fn(World) -> u64 = |world| code(world.table().insert(5000));
    let inserted: fn(u32, Slot) -> Option<Slot> = |slot, seen| match (slot, seen) {
        (20, Slot::Used(_)) => Some(seen),
        (20, _) => Some(Slot::Used(5000)),
        _ => None,
    };
    let into = |name, prepare: fn(World), state: State| Path {
        prepare,
        contested: Some((5000, Status::Exists)),
        ..owner(name, insert, inserting(state), inserted, |result| result == 20)
    };
    vec![
        into("insert", |_| {}, base()),
        into("insert_over_staged", staged, base()),
        into("insert_over_decided", decided, all_moved()),
        into("insert_over_refused", refused, base()),
        Path {
            recovered: |slot, seen| match (slot, seen) {
                // The slot stays allocated.
                (WINDOW, Slot::Free) => vec![Slot::Reserved],
                _ => Vec::new(),
            },
            contested: Some((5000, Status::Ok)),
            ..owner(
                "insert_at",
                |world| code(world.table().insert_at(5000, WINDOW).map(|()| 0_u32)),
                vec![
                    base(),
                    with(base(), &[(WINDOW, Slot::Free)]),
                    with(base(), &[(WINDOW, used(5000))]),
                ],
                |slot, seen| match (slot, seen) {
                    (WINDOW, Slot::Used(_)) => Some(seen),
                    (WINDOW, _) => Some(Slot::Used(5000)),
                    _ => None,
                },
                |result| result == 0,
            )
        },
        Path {
            contested: Some((5000, Status::Ok)),
            ..owner(
                "insert_at_free",
                |world| code(world.table().insert_at(5000, 20).map(|()| 0_u32)),
                inserting(base()),
                inserted,
                |result| result == 0,
            )
        },
        Path {
            aloof: &[REFERENCED],
            recovered: |slot, seen| match (slot, seen) {
                // It may be the slot that was about to be filled.
                (20, Slot::Free) => vec![Slot::Free, Slot::Reserved],
                _ => Vec::new(),
            },
            ..owner(
                "insert_map",
                |world| enter(world, REFERENCED),
                {
                    let detached = with(base(), &[(REFERENCED, Slot::Detached(badge(REFERENCED)))]);
                    vec![
                        base(),
                        detached.clone(),
                        with(detached.clone(), &[(20, Slot::Reserved)]),
                        detached.clone(),
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
    ]
}

/// Paths that take a badge out.
fn removals() -> Vec<Path> {
    let gone: fn(u32, Slot) -> Option<Slot> = |slot, _| (slot == 9).then_some(Slot::Free);
    let remove: fn(World) -> u64 = |world| code(world.table().remove(9).map(|()| 0_u32));
    let removing = |name, prepare: fn(World), state: State| Path {
        prepare,
        // The record says "free" in front of the slot.
        recovered: |slot, seen| if slot == 9 { vec![seen, Slot::Free] } else { Vec::new() },
        ..owner(
            name,
            remove,
            vec![state.clone(), with(state, &[(9, Slot::Free)])],
            gone,
            |result| result == 0,
        )
    };
    vec![
        removing("remove", |_| {}, base()),
        removing("remove_staged", staged, base()),
        removing("remove_decided", decided, all_moved()),
        owner(
            "remove_referenced",
            |world| code(world.table().remove(REFERENCED).map(|()| 0_u32)),
            vec![base(), with(base(), &[(REFERENCED, Slot::Detached(badge(REFERENCED)))])],
            |slot, seen| match seen {
                // The badge is one that the slot carried during the call.
                Slot::Used(_) if slot == REFERENCED => Some(Slot::Detached(0)),
                _ => None,
            },
            |result| result == 0,
        ),
        Path {
            prepare: |world| {
                let _ = world.table().acquire(10);
                decided(world);
            },
            ..owner(
                "remove_referenced_decided",
                |world| code(world.table().remove(10).map(|()| 0_u32)),
                vec![all_moved(), with(all_moved(), &[(10, Slot::Detached(badge(10) + SHIFT))])],
                |slot, seen| match seen {
                    Slot::Used(_) if slot == 10 => Some(Slot::Detached(0)),
                    _ => None,
                },
                |result| result == 0,
            )
        },
        Path {
            recovered: |slot, seen| match (slot, seen) {
                (REFERENCED, Slot::Free) => vec![Slot::Reserved],
                _ => Vec::new(),
            },
            ..owner(
                "release_last",
                |world| match world.table().release(REFERENCED) {
                    Ok(Released::Last(badge)) => u64::from(badge),
                    Ok(Released::Kept) => 1,
                    Err(status) => code::<u32>(Err(status)),
                },
                vec![
                    base(),
                    with(base(), &[(REFERENCED, Slot::Free)]),
                    with(base(), &[(REFERENCED, Slot::Reserved)]),
                ],
                |slot, _| (slot == REFERENCED).then_some(Slot::Reserved),
                |result| {
                    let badge = u64::from(badge(REFERENCED));
                    (0..4).any(|n| result == badge + n * u64::from(SHIFT))
                },
            )
        },
    ]
}

/// Paths of slots without badges, and of recovery.
fn others() -> Vec<Path> {
    let same: fn(u32, Slot) -> Option<Slot> = |_, _| None;
    let recover: fn(World) -> u64 = |world| {
        world.recovered();
        0
    };
    let recovering = |name, prepare: fn(World), state: State| Path {
        prepare,
        ..owner(name, recover, vec![state], same, |result| result == 0)
    };
    vec![
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
        recovering("recover", dead_owner, base()),
        recovering("recover_staged", staged, base()),
        recovering("recover_decided", decided, all_moved()),
    ]
}

/// Paths of a monitor.
fn batches() -> Vec<Path> {
    let one: fn(World) -> u64 = |world| rewrite(world, &mut [Rewrite::new(9, badge(9), 6004)]);
    let swapped = with(base(), &[(8, used(6000)), (9, used(badge(10))), (10, used(badge(9)))]);
    let contested = Some((6004, Status::DuplicateBadge));
    vec![
        Path {
            contested,
            ..monitors("rewrite_one", one, vec![base(), with(base(), &[(9, used(6004))])])
        },
        Path {
            contested: Some((6000, Status::DuplicateBadge)),
            ..monitors("rewrite_batch", rewrite_and_swap, vec![base(), swapped])
        },
        Path {
            result: |result| result == 1_000_000 + u64::from(Status::UnexpectedBadge as u32),
            ..monitors(
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
            )
        },
        Path {
            prepare: refused,
            contested,
            ..monitors("rewrite_over_refused", one, vec![base(), with(base(), &[(9, used(6004))])])
        },
        Path {
            prepare: decided,
            contested,
            takes_over: true,
            ..monitors(
                "rewrite_after_take_over",
                |world| {
                    let taken = monitor(world, 0).and_then(|monitor| monitor.take_over());
                    if let Err(status) = taken {
                        return code::<u32>(Err(status));
                    }
                    rewrite(world, &mut [Rewrite::new(9, badge(9) + SHIFT, 6004)])
                },
                vec![all_moved(), with(all_moved(), &[(9, used(6004))])],
            )
        },
    ]
}

/// All paths but the move of the table.
pub(crate) fn paths() -> Vec<Path> {
    [insertions(), removals(), others(), batches()].into_iter().flatten().collect()
}
