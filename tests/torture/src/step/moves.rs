//! The moves of the table, whose memory changes on the way, and its publication.

use std::sync::atomic::Ordering::SeqCst;

use cap_map_rs::layout::{OFF_SEQUENCE, WORD_BYTES};
use cap_map_rs::{Kind, Publication, Slot, Status};

use crate::fixture::{State, Verdict, base, code, monitor, prepare};
use crate::step::each_instruction;
use crate::step::expect::{equal, go_on, inspect, shift_badges, shifted};
use crate::world::{World, identity};

/// One move.
pub(crate) struct Move {
    pub(crate) name: &'static str,
    prepare: fn(World) -> Verdict,
    act: fn(World) -> Result<(), Status>,
    /// The regions that the table lies in before and after.
    from: usize,
    to: usize,
    /// Whether monitors see it before.
    shared: bool,
}

fn publication() -> Publication {
    identity().into()
}

fn say(what: &'static str) -> impl Fn(Status) -> String {
    move |status| format!("{what}: {status:?}")
}

/// A table that nobody has published, with the contents of the published one.
fn private(world: World) -> Verdict {
    prepare(world)?;
    let state = base();
    let table = world.found();
    for (slot, entry) in (0u32..).zip(&state) {
        match entry {
            Slot::Used(badge) => table.insert_at(*badge, slot).map_err(say("insert_at"))?,
            Slot::Reserved => table.alloc_at(slot).map_err(say("alloc_at"))?,
            _ => {}
        }
    }
    Ok(())
}

/// The table moves to region 1 and back, so that both have been in use.
fn there_and_back(world: World) -> Verdict {
    prepare(world)?;
    for region in [1, 0] {
        world.clear(region);
        world
            .table()
            .move_to(world.region(region), Some(&publication()))
            .map_err(say("move there and back"))?;
    }
    world.clear(1);
    Ok(())
}

/// The region that the owner writes.
fn whereabouts(world: World, regions: &[usize]) -> Result<usize, String> {
    let sequence = |region: usize| world.words(region)[OFF_SEQUENCE / WORD_BYTES].load(SeqCst);
    let before: Vec<u64> = regions.iter().map(|region| sequence(*region)).collect();
    let slot = world.table().insert(7008).map_err(say("insert after recovery"))?;
    world.table().remove(slot).map_err(say("remove after recovery"))?;
    let mut written =
        regions.iter().zip(before).filter(|(region, before)| sequence(**region) != *before);
    match (written.next(), written.next()) {
        (Some((region, _)), None) => Ok(*region),
        _ => Err("the owner writes no region, or two".to_owned()),
    }
}

/// All moves.
pub(crate) fn moves() -> Vec<Move> {
    let to_next: fn(World) -> Result<(), Status> =
        |world| world.table().move_to(world.region(1), Some(&publication())).map(|_| ());
    vec![
        Move { name: "move", prepare, act: to_next, from: 0, to: 1, shared: true },
        Move {
            name: "move_back",
            prepare: there_and_back,
            act: to_next,
            from: 0,
            to: 1,
            shared: true,
        },
        Move {
            name: "move_and_publish",
            prepare: private,
            act: to_next,
            from: 0,
            to: 1,
            shared: false,
        },
        Move {
            name: "publish",
            prepare: private,
            act: |world| world.table().publish(&identity()),
            from: 0,
            to: 0,
            shared: false,
        },
    ]
}

impl Move {
    /// A monitor rewrites wherever it finds the table; the slots afterwards.
    fn visit(&self, world: World) -> Result<State, String> {
        for region in [self.to, self.from] {
            match monitor(world, region) {
                Err(Status::Unpublished | Status::Retired) => {}
                Ok(monitor) if monitor.header().kind == Kind::Private => {}
                _ => {
                    shift_badges(world, region, &[8, 11])?;
                    return Ok(shifted(&base(), &[8, 11]));
                }
            }
        }
        Ok(base())
    }

    /// Another life of the owner finds the table in the old memory or in the new one, and
    /// may go on there or move on to a third one.
    fn recover(&self, world: World, state: State, moves_on: bool) -> Verdict {
        let table = world.recovered();
        inspect(table, &state)?;
        let region = whereabouts(world, if self.to == self.from { &[0] } else { &[0, 1] })?;
        if moves_on {
            let next = 2;
            table.move_to(world.region(next), Some(&publication())).map_err(say("move on"))?;
            equal("moved on", &world.meanings(next), &state)?;
            return go_on(world, next, state);
        }
        // A table that monitors saw stays visible, and another one can be published.
        match (table.publish(&identity()), self.shared) {
            (Err(Status::InUse), _) | (Ok(()), false) => {}
            (published, _) => return Err(format!("published again: {published:?}")),
        }
        equal("recovered", &world.meanings(region), &state)?;
        go_on(world, region, state.clone())?;
        // The other memory can be used once it is clean.
        let other = self.from + self.to - region;
        if other == region {
            return Ok(());
        }
        let state = world.meanings(region);
        world.clear(other);
        table.move_to(world.region(other), Some(&publication())).map_err(say("move again"))?;
        equal("moved again", &world.meanings(other), &state)
    }
}

/// Walks through a move; returns the points and the failures.
pub(crate) fn walk(
    world: World,
    path: &Move,
    stride: u64,
    offset: u64,
) -> Result<(u64, Vec<String>), String> {
    (path.prepare)(world)?;
    let (mut points, mut failures) = (0, Vec::new());
    let act = path.act;
    each_instruction(
        world,
        |world| code(act(world).map(|()| 0_u32)),
        |child, step| {
            if step % stride != offset % stride {
                return Ok(true);
            }
            points += 1;
            child.save()?;
            for variant in 0..5 {
                let verdict = match variant {
                    0 => path.visit(world).and_then(|state| path.recover(world, state, true)),
                    1 => path.recover(world, base(), true),
                    2 => path.visit(world).and_then(|state| path.recover(world, state, false)),
                    3 => path.recover(world, base(), false),
                    _ => path.visit(world).and_then(|state| {
                        child.finish()?;
                        let result = world.ledger().returned.load(SeqCst);
                        if result != 0 {
                            return Err(format!("returned {result}"));
                        }
                        equal("late move", &world.meanings(path.to), &state)?;
                        go_on(world, path.to, state)
                    }),
                };
                if let Err(text) = verdict {
                    failures.push(format!("instruction {step}, variant {variant}: {text}"));
                }
                failures.extend(world.ledger().violation());
                child.rewind()?;
            }
            Ok(failures.len() < 4)
        },
    )?;
    Ok((points, failures))
}
