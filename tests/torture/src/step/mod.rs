//! One side is stopped in front of each single instruction of a path. There it is dead,
//! or wakes up after the other side has acted; both are verified.
//!
//! A dead process leaves the shared memory behind and nothing else, so the
//! stopped child stands for its own corpse: afterwards child and memory are set
//! back, and the walk goes on with the next instruction.

mod expect;
mod moves;
mod paths;
mod point;
mod pools;
mod readers;

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_SEQUENCE, WORD_BYTES};

use crate::fixture::{CAPACITY, State, Verdict, prepare};
use crate::ptrace::Stepped;
use crate::step::expect::{difference, shared};
use crate::step::paths::{Path, Side, paths};
use crate::step::point::Point;
use crate::world::World;

/// What happens at an instruction, by name.
type Variant = (&'static str, fn(&mut Point<'_>) -> Verdict);

/// What happens to an owner.
const OWNERS: [Variant; 7] = [
    ("killed, monitor first", |point| point.owner_dies()),
    ("killed, owner first", |point| point.owner_lives_again()),
    ("killed twice", |point| point.owner_dies_twice()),
    ("woken after a batch", |point| point.owner_wakes_up(1)),
    ("woken after two batches", |point| point.owner_wakes_up(2)),
    ("contested", |point| point.owner_finds_a_rival()),
    ("undisturbed", |point| point.undisturbed()),
];

/// What happens to a monitor.
const MONITORS: [Variant; 9] = [
    ("killed, owner first", |point| point.monitor_dies()),
    ("killed, monitor first", |point| point.another_monitor()),
    ("killed with the owner", |point| point.both_die()),
    ("woken after an insertion", |point| point.monitor_wakes_up(true, false)),
    ("woken after a removal", |point| point.monitor_wakes_up(false, true)),
    ("woken after both", |point| point.monitor_wakes_up(true, true)),
    ("contested", |point| point.monitor_finds_a_rival()),
    ("without its claim", |point| point.monitor_loses_its_claim()),
    ("replaced", |point| point.monitor_is_replaced()),
];

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
    for path in moves::moves().iter().filter(|path| wanted(path.name)) {
        let (points, failures) = moves::walk(world, path, stride, offset)?;
        report(path.name, points, &failures);
        offset = offset.wrapping_add(1);
    }
    for reader in readers::readers().iter().filter(|reader| wanted(reader.name)) {
        let (points, failures) = readers::walk(world, reader, stride, offset)?;
        report(reader.name, points, &failures);
        offset = offset.wrapping_add(1);
    }
    for path in pools::paths().iter().filter(|path| wanted(path.name)) {
        offset = offset.wrapping_add(1);
        let (points, failures) = pools::walk(world, path, stride, offset)?;
        report(path.name, points, &failures);
    }
    Ok(())
}

/// Leads a child through `act` and calls `at` in front of each instruction.
fn each_instruction(
    world: World,
    act: impl Fn(World) -> u64,
    mut at: impl FnMut(&mut Stepped, u64) -> Result<bool, String>,
) -> Result<u64, String> {
    let done = |result| world.ledger().returned.store(result, SeqCst);
    let mut child = Stepped::start(world, act, done)?;
    let mut steps = 0;
    while at(&mut child, steps)? && child.step()? {
        steps += 1;
    }
    Ok(steps)
}

/// Tables under equal steady stamps are equal.
#[derive(Default)]
struct Stamps(HashMap<(u64, u64), State>);

impl Stamps {
    /// What is wrong with the table of this instant.
    fn look(&mut self, world: World) -> Verdict {
        let sequence = world.words(0)[OFF_SEQUENCE / WORD_BYTES].load(SeqCst);
        let seen = shared(&world.meanings(0));
        if sequence % 2 == 1 {
            return Ok(());
        }
        let stamp = (sequence, world.batch_word(0).generation());
        let before = self.0.entry(stamp).or_insert_with(|| seen.clone());
        if *before == seen {
            return Ok(());
        }
        Err(format!("changed under the stamp {stamp:?}: {}", difference(&seen, before)))
    }
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
    let variants: &[Variant] = match path.side {
        Side::Owner => &OWNERS,
        Side::Monitor => &MONITORS,
    };
    let (mut at, mut points, mut failures) = (0, 0, Vec::new());
    let mut stamps = Stamps::default();
    let steps = each_instruction(world, path.act, |child, step| {
        let seen = world.meanings(0);
        match path.states.iter().skip(at).position(|state| *state == seen) {
            Some(further) => at += further,
            None => {
                failures
                    .push(format!("instruction {step}: {}", difference(&seen, &path.states[at])));
            }
        }
        failures.extend(stamps.look(world).err());
        if step % stride != offset % stride {
            return Ok(failures.len() < 4);
        }
        points += 1;
        child.save()?;
        let is_decided = at > 0 && at + 1 == path.states.len();
        for (name, variant) in variants {
            let (state, shifting) = (seen.clone(), shifting.as_slice());
            let point = &mut Point { world, path, child, state, is_decided, shifting };
            if let Err(text) = variant(point) {
                failures.push(format!("instruction {step}, {name}: {text}"));
            }
            failures.extend(world.ledger().violation());
            child.rewind()?;
        }
        Ok(failures.len() < 4)
    })?;
    if failures.is_empty() && at + 1 != path.states.len() {
        failures.push(format!("{steps} steps to state {at} of {}", path.states.len() - 1));
    }
    Ok((points, failures))
}
