//! Object pools in memory that was saved in front of any instruction: what a thread was
//! doing to a pool has happened or not, members are found, and all users count.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;

use crate::fixture::{Verdict, prepare};
use crate::ptrace::Stepped;
use crate::world::{NODES, World, without_waiting};

/// The slot of each node; all are in one chain.
const SLOTS: [u32; NODES] = [8, 24, 40];

/// The pool of each node, if it is a member.
type Members = [Option<usize>; NODES];

/// A change of the pools that is walked through.
pub(super) struct Path {
    pub(super) name: &'static str,
    /// Nodes that are inserted before, each with its pool and its users.
    prepare: &'static [(usize, usize, u32)],
    act: fn(World) -> u64,
    /// What the result must be.
    result: fn(World) -> u64,
    /// The node that joins or leaves pool 0.
    target: Option<usize>,
    /// A node that may be left with one user more.
    used: Option<usize>,
}

const OK: fn(World) -> u64 = |_| 0;

fn insert(world: World, node: usize) -> u64 {
    enter(world, node, 0).map_or(1, |()| 0)
}

fn remove(world: World, node: usize) -> u64 {
    let pools = world.pools();
    pools.pools[0].remove(world.table(), &pools.nodes[node]).map_or(1, |()| 0)
}

fn acquire(world: World, node: usize) -> u64 {
    world.pools().pools[0].acquire_slot(world.table(), SLOTS[node]).map_or(0, address)
}

fn address<T>(at: NonNull<T>) -> u64 {
    at.addr().get() as u64
}

/// All walks of pools.
pub(super) fn paths() -> Vec<Path> {
    let path = |name, prepare, act, target| Path {
        name,
        prepare,
        act,
        result: OK,
        target: Some(target),
        used: None,
    };
    let user = |name, prepare, act| Path {
        name,
        prepare,
        act,
        result: |world| address(NonNull::from(&world.pools().nodes[0])),
        target: None,
        used: Some(0),
    };
    vec![
        path("pool_insert_alone", &[], |world| insert(world, 0), 0),
        path("pool_insert_before_one", &[(1, 1, 2)], |world| insert(world, 0), 0),
        path("pool_insert_before_two", &[(1, 1, 2), (2, 0, 1)], |world| insert(world, 0), 0),
        path("pool_remove_alone", &[(0, 0, 2)], |world| remove(world, 0), 0),
        path("pool_remove_first", &[(1, 1, 2), (0, 0, 2)], |world| remove(world, 0), 0),
        path("pool_remove_last", &[(0, 0, 2), (1, 0, 1)], |world| remove(world, 0), 0),
        path("pool_remove_middle", &[(1, 1, 1), (0, 0, 2), (2, 0, 0)], |world| remove(world, 0), 0),
        user("pool_acquire_alone", &[(0, 0, 1)], |world| acquire(world, 0)),
        user("pool_acquire_walking", &[(0, 0, 1), (1, 0, 1)], |world| acquire(world, 0)),
        Path {
            result: OK,
            used: None,
            ..user("pool_recover", &[(0, 0, 1), (1, 1, 1), (2, 0, 1)], |world| {
                recovered(world);
                0
            })
        },
    ]
}

/// Makes the node a member of a pool.
fn enter(world: World, node: usize, pool: usize) -> Result<(), String> {
    let pools = world.pools();
    let at = NonNull::from(&pools.nodes[node]);
    // SAFETY: nodes and pools stay where they are; the driver sets them back only while
    // nothing else runs.
    #[allow(unsafe_code)]
    unsafe { pools.pools[pool].insert(world.table(), at, SLOTS[node]) }
        .map_err(|status| format!("insert: {status:?}"))
}

fn recovered(world: World) {
    let table = world.recovered();
    for pool in &world.pools().pools {
        // SAFETY: their former process is dead or will be rewound.
        #[allow(unsafe_code)]
        unsafe {
            pool.recover(table);
        }
    }
}

/// Whether a look-up by slot finds the node in its pool and nowhere else.
fn found(world: World, node: usize) -> Result<Option<usize>, String> {
    let pools = world.pools();
    let mut at = None;
    for (number, pool) in pools.pools.iter().enumerate() {
        if let Some(seen) = pool.acquire_slot(world.table(), SLOTS[node]) {
            pools.nodes[node].release();
            if seen != NonNull::from(&pools.nodes[node]) || at.is_some() {
                return Err(format!("node {node} is not found, but another"));
            }
            at = Some(number);
        }
    }
    Ok(at)
}

/// Checks pools that no other thread uses, and puts nodes in and out.
fn inspect(world: World, path: &Path, members: &Members, lost: bool) -> Verdict {
    let pools = world.pools();
    let mut users = [0; NODES];
    for (node, _, count) in path.prepare {
        users[*node] = *count;
    }
    for (node, member) in members.iter().enumerate() {
        if found(world, node)? != *member {
            return Err(format!("node {node} is not where it should be"));
        }
    }
    for (number, pool) in pools.pools.iter().enumerate() {
        let mut left = members.iter().filter(|member| **member == Some(number)).count();
        while let Some(first) = pool.first() {
            let node = pools.nodes.iter().find(|node| NonNull::from(*node) == first);
            let node = node.ok_or("a pool leads to another node")?;
            node.release();
            pool.remove(world.table(), node).map_err(|status| format!("remove: {status:?}"))?;
            left = left.checked_sub(1).ok_or("a pool has too many members")?;
        }
        if left != 0 {
            return Err(format!("pool {number} has lost {left} members"));
        }
    }
    for (number, node) in pools.nodes.iter().enumerate() {
        for _ in 0..users[number] {
            if without_waiting(|| node.drain::<crate::world::Relax>()) {
                return Err(format!("users of node {number} were lost"));
            }
            node.release();
        }
        let waits = || !without_waiting(|| node.drain::<crate::world::Relax>());
        if waits() && path.used == Some(number) && lost {
            node.release();
        }
        if waits() {
            return Err(format!("node {number} is used for ever"));
        }
        enter(world, number, 1 - number % 2)?;
    }
    for node in 0..NODES {
        if found(world, node)? != Some(1 - node % 2) {
            return Err(format!("node {node} is not found again"));
        }
    }
    Ok(())
}

/// Walks through one path; returns the points and the failures.
pub(super) fn walk(
    world: World,
    path: &Path,
    stride: u64,
    offset: u64,
) -> Result<(u64, Vec<String>), String> {
    prepare(world)?;
    world.found_pools();
    let mut before: Members = [None; NODES];
    for (node, pool, users) in path.prepare {
        enter(world, *node, *pool)?;
        before[*node] = Some(*pool);
        for _ in 0..*users {
            world.pools().pools[*pool].acquire_slot(world.table(), SLOTS[*node]);
        }
    }
    let mut after = before;
    if let Some(node) = path.target {
        after[node] = if before[node].is_some() { None } else { Some(0) };
    }
    let ledger = world.ledger();
    let mut child =
        Stepped::start(world, path.act, |result| ledger.returned.store(result, SeqCst))?;
    let mut failures = Vec::new();
    let (mut points, mut steps, mut changed) = (0, 0, false);
    loop {
        if steps % stride == offset % stride {
            points += 1;
            child.save()?;
            recovered(world);
            let mut verdict = Ok(());
            if let Some(node) = path.target {
                match found(world, node) {
                    // What has happened does not cease to have happened.
                    Ok(at) if at == before[node] && changed => {
                        verdict = Err("the change was undone".to_owned());
                    }
                    Ok(at) => changed = at == after[node],
                    Err(text) => verdict = Err(text),
                }
            }
            let members = if changed { &after } else { &before };
            if let Err(text) = verdict.and_then(|()| inspect(world, path, members, true)) {
                failures.push(format!("instruction {steps}, killed: {text}"));
            }
            child.rewind()?;
            child.finish()?;
            let result = ledger.returned.load(SeqCst);
            if result != (path.result)(world) {
                failures.push(format!("instruction {steps}: returned {result}"));
            }
            if path.used.is_some() {
                world.pools().nodes[0].release();
            }
            if let Err(text) = inspect(world, path, &after, false) {
                failures.push(format!("instruction {steps}, undisturbed: {text}"));
            }
            child.rewind()?;
        }
        if failures.len() > 3 || !child.step()? {
            break;
        }
        steps += 1;
    }
    Ok((points, failures))
}
