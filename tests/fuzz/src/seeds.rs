//! The inputs that every campaign starts from, made anew for the layout of the day.

use cap_map_rs::layout::*;

/// Bytes that look random, the same for each seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// The seeds of a target, in a fixed order.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    if target == "checkpoint" {
        let with = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
        let mut seeds = Vec::new();
        for file in crate::checkpoint_file::samples() {
            seeds.extend([
                with(0, &file),
                with(1, &file),
                with(1, &file[..40]),
                with(0, &file[..file.len() - 1]),
                with(1, &[file.as_slice(), &[0]].concat()),
            ]);
        }
        return seeds;
    }
    if target == "owner" {
        return [directed(), noisy(target)].concat();
    }
    if target == "monitor" {
        // A header that claims more slots than there are, and all of them read.
        let claims = vec![vec![0xfc, 0, 0, 0, 0, 2, 1, 1, 0]];
        let special = vec![restless(), private()];
        return [claims, noisy(target), beyond_the_limits(), special].concat();
    }
    noisy(target)
}

/// Histories of an owner that lead to where a hostile monitor has a chance:
/// `[mode, size, writes...]`, then steps `[kind, slot, badge, ...]`.
fn directed() -> Vec<Vec<u8>> {
    const IDLE: [u8; 4] = [0, 4, 0, 0];
    // Badge 20 appears in slot 8, and the generation moves on.
    const BADGE_IN_SLOT_8: [u8; 5] = [0, 12, 8, 5, 4];
    // Badge 20, or 24, appears there, and the generation stays.
    const QUIETLY_20: [u8; 5] = [0, 13, 8, 5, 4];
    const QUIETLY_24: [u8; 5] = [0, 13, 8, 6, 4];
    const INSERT_AT_8: [u8; 3] = [4, 8, 5];
    const INSERT_AT_30: [u8; 3] = [4, 30, 5];
    const REMOVE_8: [u8; 3] = [9, 8, 0];
    const ALLOC_8: [u8; 3] = [1, 8, 0];
    const FREE_8: [u8; 4] = [8, 8, 0, 0];
    let script = |writes: &[&[u8]]| {
        [&[0, 0, u8::try_from(writes.len()).expect("few")], writes.concat().as_slice()].concat()
    };
    vec![
        // The badge appears in a slot that nobody has, and is looked for.
        [script(&[&BADGE_IN_SLOT_8]), vec![13, 0, 5, 0, 0, 0]].concat(),
        [script(&[&BADGE_IN_SLOT_8]), vec![4, 8, 5, 0, 0, 0]].concat(),
        // It appears in the slot that insert_map is about to fill.
        [script(&[&IDLE, &BADGE_IN_SLOT_8, &IDLE, &IDLE]), vec![6, 0, 5, 1, 0, 1, 0, 0, 0]]
            .concat(),
        // It appears in a receive window, and is given to another slot.
        [
            script(&[&IDLE, &BADGE_IN_SLOT_8, &IDLE]),
            [ALLOC_8, INSERT_AT_30].concat(),
            FREE_8.to_vec(),
        ]
        .concat(),
        // Another badge appears in its slot, so that the slot's entry in the index
        // stays when it is removed; the slot becomes a window, and the badge is back.
        [
            script(&[&IDLE, &QUIETLY_24, &IDLE, &QUIETLY_20, &IDLE]),
            [INSERT_AT_8, REMOVE_8, ALLOC_8, INSERT_AT_30].concat(),
            FREE_8.to_vec(),
        ]
        .concat(),
        // The same with a slot that is free when the badge is back.
        [
            script(&[&IDLE, &QUIETLY_24, &QUIETLY_20, &IDLE]),
            [INSERT_AT_8, REMOVE_8, INSERT_AT_8, ALLOC_8].concat(),
        ]
        .concat(),
    ]
}

/// Headers with one field just outside its range.
fn beyond_the_limits() -> Vec<Vec<u8>> {
    let fields = [
        (OFF_FIRST_USER, MIN_CAPACITY as u64),
        (OFF_SHIFT, u64::from(MAX_SHIFT) + 1),
        (OFF_BADGE_BITS, 0),
        (OFF_BADGE_BITS, u64::from(BADGE_BITS) + 1),
        (OFF_KIND, 0),
        (OFF_AREA, 64),
        (OFF_AREA, u64::from(u32::MAX) - 63),
        (OFF_HIGH_WATER, u64::MAX),
    ];
    let seed = |(offset, value): (usize, u64)| {
        let word = u8::try_from(offset / WORD_BYTES).expect("a header word");
        // Snapshots and look-ups follow.
        [&[0, 0, 1, word], value.to_le_bytes().as_slice(), &[0, 0, 2, 1, 1, 0]].concat()
    };
    fields.map(seed).into()
}

/// Rewrites of a table that is private.
fn private() -> Vec<u8> {
    let word = u8::try_from(OFF_KIND / WORD_BYTES).expect("a header word");
    let header = [&[0, 0, 1, word], KIND_PRIVATE.to_le_bytes().as_slice(), &[0, 0]].concat();
    // Slot 8 gets badge 200 instead of the one that it carries.
    [header, vec![5, 1, 8, 0, 200]].concat()
}

/// Snapshots of a table whose sequence a thread of the target moves on and on.
fn restless() -> Vec<u8> {
    const NEXT_SEQUENCE: [u8; 4] = [0, 1, 0, 0];
    [&[0, 63, 0, 1, 1], NEXT_SEQUENCE.as_slice(), &[2, 1].repeat(64)].concat()
}

fn noisy(target: &str) -> Vec<Vec<u8>> {
    (1..=12)
        .map(|n: u8| {
            // Modes: hook points and threads, the front and the back of the mapping.
            let mut seed = vec![if target == "monitor" { n % 2 } else { 0x10 + n % 4 }, n % 3];
            seed.extend(noise(u64::from(n), 60 + 20 * usize::from(n)));
            seed
        })
        .collect()
}
