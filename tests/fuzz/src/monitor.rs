//! A monitor of a target whose region is arbitrary and keeps changing.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_map_rs::layout::*;
use cap_map_rs::limits::{ATTEMPTS, SNAPSHOTS};
use cap_map_rs::{Kind, Monitor, Rewrite, Slot, SlotWord};

use crate::hostile::Input;
use crate::hostile::{HEADER_WORDS, Relax, Script, bounded, under_attack};
use crate::memory::{Guarded, Place, checksum};

thread_local! {
    static MEMORY: OnceCell<Guarded> = const { OnceCell::new() };
}

/// Decodes the size and place of a region, and what it holds at first.
fn fill(input: &mut Input<'_>, memory: Guarded) -> (Place, usize) {
    let flags = input.byte();
    let place = if flags & 1 == 0 { Place::Back } else { Place::Front };
    let slots = MIN_CAPACITY + 8 * usize::from(input.byte() % 64);
    let size = SLOTS + slots * WORD_BYTES;
    let words = memory.words(place, size);
    words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    if flags & 2 != 0 {
        // Arbitrary bytes.
        for (word, bytes) in words.iter().zip(input.bytes(size).chunks(8)) {
            let mut value = [0; 8];
            value[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
    } else {
        // A header may claim more than there is.
        let claimed = if flags >> 2 == 63 { slots + 64 } else { slots };
        template(words, claimed as u64);
        for _ in 0..input.byte() % 8 {
            let at = usize::from(input.byte()) % words.len();
            words[at].store(input.u64(), Ordering::Relaxed);
        }
    }
    // A wrong checksum hides everything else, so most inputs get the right one.
    if flags & 4 == 0 || flags >> 2 == 63 {
        let sum = checksum(|at| words[at].load(Ordering::Relaxed));
        words[OFF_CHECKSUM / WORD_BYTES].store(sum, Ordering::Relaxed);
    }
    (place, size)
}

/// A well-formed table.
fn template(words: &[AtomicU64], capacity: u64) {
    let fields = [
        (OFF_MAGIC, MAGIC),
        (OFF_VERSION, VERSION),
        (OFF_SIZE, SLOTS as u64 + capacity * WORD_BYTES as u64),
        (OFF_CAPACITY, capacity),
        (OFF_FIRST_USER, 8),
        (OFF_SHIFT, 12),
        (OFF_BADGE_BITS, 28),
        (OFF_SLOTS, SLOTS as u64),
        (OFF_LABEL, u64::from_ne_bytes(*b"h\xc3\xb6stile")),
        (OFF_KIND, KIND_PUBLISHED),
        (OFF_BOOT, 1),
        (OFF_INSTANCE, 2),
        (OFF_BATCH, 100 << GENERATION_SHIFT),
        (OFF_HIGH_WATER, 48),
    ];
    for (offset, value) in fields {
        words[offset / WORD_BYTES].store(value, Ordering::Relaxed);
    }
    for (badge, cell) in (0..40).map(|i| 4 * (i + 1)).zip(&words[HEADER_WORDS + 8..]) {
        cell.store(SlotWord::used(badge).0, Ordering::Relaxed);
    }
}

/// The target.
pub fn run(data: &[u8]) {
    let memory = MEMORY.with(|memory| *memory.get_or_init(Guarded::new));
    let mut input = Input::new(data);
    let (place, size) = fill(&mut input, memory);
    let region = memory.region(place, size);
    let mode = input.byte();
    let wait_budget = u32::from(mode >> 4);
    let script = Script::decode(&mut input, memory.words(place, size));
    under_attack(&script, mode & 3 == 1, || {
        let Ok(monitor) = bounded(0, || Monitor::<Relax>::attach(region, wait_budget)) else {
            return;
        };
        let (geometry, header) = (*monitor.geometry(), *monitor.header());
        assert!(
            SLOTS + geometry.capacity as usize * WORD_BYTES <= size,
            "a table as large as told"
        );
        assert!(geometry.first_user < geometry.capacity && geometry.shift <= MAX_SHIFT);
        assert!((1..=BADGE_BITS).contains(&geometry.badge_bits));
        assert!(std::str::from_utf8(&header.identity.label).is_ok(), "a label is text");
        let area = header.area;
        let behind = SLOTS + geometry.capacity as usize * WORD_BYTES;
        let end = u64::from(area.offset) + u64::from(area.bytes);
        assert!(end == 0 || area.offset as usize >= behind && end <= size as u64, "{area:?}");
        let mut words = vec![SlotWord::FREE; geometry.capacity as usize];
        for _ in 0..64 {
            if input.is_empty() {
                break;
            }
            step(&mut input, &monitor, &mut words, u64::from(wait_budget));
            assert_eq!(*monitor.header(), header, "a copy that nobody can change");
        }
    });
}

fn step(
    input: &mut Input<'_>,
    monitor: &Monitor<'static, Relax>,
    words: &mut [SlotWord],
    wait_budget: u64,
) {
    let capacity = monitor.geometry().capacity;
    match input.byte() % 8 {
        0 => {
            let slot = input.number();
            let entry = bounded(0, || monitor.entry(slot));
            assert!(slot < capacity || entry.is_err());
        }
        1 => {
            let mut from = input.number();
            while let Some((slot, _)) = bounded(0, || monitor.next_used(from)) {
                assert!(slot >= from && slot < capacity, "an iteration goes on");
                from = slot + 1;
            }
        }
        2 | 3 => {
            let length = usize::from(input.byte()) % (words.len() + 2);
            let short = words.len() - length.min(words.len());
            // Room that is too short one time in four.
            let room = if length.is_multiple_of(4) { short } else { words.len() };
            if let Ok(snapshot) = bounded(0, || monitor.snapshot(&mut words[..room])) {
                let copied = &words[..snapshot.slots as usize];
                assert!(copied.len() <= room, "{} words in room for {room}", copied.len());
                assert!(snapshot.attempts <= SNAPSHOTS, "{} attempts", snapshot.attempts);
                assert!(copied.iter().all(|word| word.is_settled()), "a meaning of its own");
            }
        }
        4 => {
            let _ = bounded(0, || (monitor.stamp(), monitor.is_retired()));
            if input.byte().is_multiple_of(4) {
                let _ = bounded(0, || monitor.take_over());
            }
        }
        _ => {
            let mut batch: Vec<_> =
                (0..input.byte() % 24).map(|_| rewrite(input, monitor)).collect();
            // For the claim, and for quiet in front of each attempt.
            let bound = u64::from(1 + ATTEMPTS) * wait_budget;
            let result = bounded(bound, || monitor.rewrite(&mut batch));
            assert!(batch.iter().all(|entry| entry.left_out <= 1), "a flag");
            if result.is_ok() {
                let published = monitor.header().kind == Kind::Published;
                assert!(published || batch.is_empty(), "a private table");
                let geometry = monitor.geometry();
                let fits = |of: &Rewrite| of.slot < capacity && geometry.accepts(of.replacement);
                assert!(batch.iter().all(fits), "{batch:?}");
            }
            if let Err(refusal) = result
                && let Some(slot) = refusal.slot
            {
                assert!(batch.iter().any(|entry| entry.slot == slot), "a slot of the batch");
            }
        }
    }
}

fn rewrite(input: &mut Input<'_>, monitor: &Monitor<'static, Relax>) -> Rewrite {
    let (slot, kind) = (input.number(), input.byte());
    let expected = match monitor.entry(slot) {
        Ok(Slot::Used(badge)) if kind.is_multiple_of(2) => badge,
        _ => 4 * u32::from(kind % 64),
    };
    Rewrite::new(slot, expected, input.number())
}
