//! Badge numbers of a system: never those of the one before, but as many of
//! them as possible, at other objects.

/// First badge and distance from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) start: u32,
    pub(crate) step: i32,
}

/// The numbering of the system of a round.
pub(crate) fn numbering(seed: u64, round: u32, objects: u32) -> Numbering {
    let mut random = fastrand::Rng::with_seed(seed);
    let base = 0x1000 + 4 * random.u32(..0x1000);
    match round % 4 {
        0 => Numbering { start: base, step: 4 },
        // Each object gets the number that a neighbour had.
        1 => Numbering { start: base + 4 * (1 + round % 7), step: 4 },
        // The other way round: the first get the numbers of the last.
        2 => Numbering { start: base + 4 * (objects + 100), step: -4 },
        // Numbers of others, and numbers that were not in use.
        _ => Numbering { start: base + 8, step: 8 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_stay_within_their_range_and_change_from_round_to_round() {
        for seed in 0..100 {
            for round in 0..50 {
                let here = numbering(seed, round, 3000);
                assert_ne!(here, numbering(seed, round + 1, 3000));
                assert!(here.start.is_multiple_of(4) && here.step % 4 == 0);
                // Twice the objects that clients come up with besides.
                let last = i64::from(here.start) + 3400 * i64::from(here.step);
                assert!((4..1 << 27).contains(&last), "{here:?}");
            }
        }
    }
}
