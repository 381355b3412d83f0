//! One side is stopped at each single instruction of a write path. There it is
//! dead, or wakes up after the other side has acted; both are verified.

mod expect;
mod paths;
mod point;
mod walk;

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
    for path in paths::paths().iter().filter(|path| wanted(path.name)) {
        let (points, failures) = walk::walk(world, path, stride, offset)?;
        report(path.name, points, &failures);
        offset = offset.wrapping_add(1);
    }
    if wanted("move") {
        let (points, failures) = walk::walk_move(world, stride, offset)?;
        report("move", points, &failures);
    }
    Ok(())
}
