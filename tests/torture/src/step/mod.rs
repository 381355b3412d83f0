//! One side is stopped in front of each single instruction of a write path. There it is
//! dead, or wakes up after the other side has acted; both are verified.
//!
//! A dead process leaves the shared memory behind and nothing else, so the
//! stopped child stands for its own corpse: afterwards child and memory are set
//! back, and the walk goes on with the next instruction.

mod expect;
mod paths;
mod point;

use std::sync::atomic::Ordering::SeqCst;

use crate::fixture::{CAPACITY, State, Verdict, base, code, prepare};
use crate::ptrace::Stepped;
use crate::step::expect::{difference, equal, go_on, inspect, meanings, shift_badges, shifted};
use crate::step::paths::{Path, Side, paths};
use crate::step::point::Point;
use crate::world::World;

/// Walks through the paths whose names contain `which`, or all of them; every
/// instruction, or every so many. Says of each how many points and what failures.
pub(crate) fn main(
    world: World,
    which: &str,
    stride: u64,
    seed: u64,
    mut report: impl FnMut(&str, u64, &[String]),
) -> Result<(), String> {
    let wanted = |name: &str| which == "all" || name.contains(which);
    // Another one for each path and each seed.
    let mut offset = seed;
    for path in paths().iter().filter(|path| wanted(path.name)) {
        let (points, failures) = walk(world, path, stride, offset)?;
        report(path.name, points, &failures);
        offset = offset.wrapping_add(1);
    }
    if wanted("move") {
        let (points, failures) = walk_move(world, stride, offset)?;
        report("move", points, &failures);
    }
    Ok(())
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
