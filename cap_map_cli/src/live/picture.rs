//! A table in memory that changes, seen from outside: `doc/layout.md`, "How to read".

use std::collections::HashSet;
use std::hint;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cap_map_rs::limits::{SNAPSHOT_PAUSE, SNAPSHOTS};
use cap_map_rs::sync::AtomicU64;
use cap_map_rs::word::{BatchWord, SlotWord};
use cap_map_rs::{Header, Slot, layout};

use serde::Serialize;

use super::Machine;
use super::ram::Ram;
use crate::table::json;

const HEADER_WORDS: usize = layout::SLOTS / layout::WORD_BYTES;

/// Looks at one slot whose badge is being changed.
const SLOT_READS: u32 = 16;

/// The header of the table at an address, if there is one.
pub(crate) fn header_at(ram: &mut Ram, address: u64) -> Option<Header> {
    let mut words = [0; HEADER_WORDS];
    ram.read(address, &mut words).ok()?;
    let words = words.map(AtomicU64::new);
    let memory = usize::try_from(ram.bytes_from(address)).unwrap_or(usize::MAX);
    Header::read(&words, memory).ok()
}

/// Bytes of header and slots.
pub(crate) fn bytes_of(header: &Header) -> u64 {
    layout::SLOTS as u64 + u64::from(header.geometry.capacity) * layout::WORD_BYTES as u64
}

/// Sequence and generation: a table whose stamp is the same at two times, with an even
/// sequence, has not changed between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u64,
    pub(crate) batch: BatchWord,
}

impl Stamp {
    pub(crate) fn read(ram: &mut Ram, address: u64) -> Result<Self> {
        let mut word = |offset: usize| {
            let mut word = [0];
            ram.read(address + offset as u64, &mut word).map(|()| word[0])
        };
        let batch = BatchWord(word(layout::OFF_BATCH)?);
        Ok(Stamp { batch, sequence: word(layout::OFF_SEQUENCE)? })
    }

    fn is_of_same_instant(self, other: Self) -> bool {
        self.sequence == other.sequence && self.batch.generation() == other.batch.generation()
    }
}

/// The slots of a table that are not free.
pub(crate) struct Picture {
    pub(crate) slots: Vec<(u32, Slot)>,
    /// Slots in front of the high-water mark.
    pub(crate) written: u32,
    /// Whether all slots are of one instant. If not, each is of an instant of its own.
    pub(crate) one_instant: bool,
    pub(crate) attempts: u32,
    pub(crate) stamp: Stamp,
    /// Whether the owner has moved its table elsewhere.
    pub(crate) retired: bool,
}

impl Picture {
    /// Looks at the table with this header.
    pub(crate) fn take(ram: &mut Ram, address: u64, header: &Header) -> Result<Self> {
        let capacity = header.geometry.capacity;
        let mut words = Vec::new();
        let mut attempts = 0;
        let (stamp, one_instant) = loop {
            attempts += 1;
            let before = Stamp::read(ram, address)?;
            let mut mark = [0];
            ram.read(address + layout::OFF_HIGH_WATER as u64, &mut mark)?;
            let mark = u32::try_from(mark[0]).unwrap_or(capacity).min(capacity);
            words.resize(mark as usize, 0);
            ram.read(address + layout::SLOTS as u64, &mut words)?;
            let after = Stamp::read(ram, address)?;
            if before.is_of_same_instant(after) {
                break (before, true);
            }
            if attempts == SNAPSHOTS {
                break (before, false);
            }
            // Leaves the lines of the table alone, each time for twice as long.
            for _ in 0..SNAPSHOT_PAUSE << attempts {
                hint::spin_loop();
            }
        };
        let bank = stamp.batch.bank();
        let mut slots = Vec::new();
        for (slot, word) in (0u32..).zip(&words) {
            let word = SlotWord(*word);
            let content = if one_instant || word.is_settled() {
                word.decode(bank)
            } else {
                slot_alone(ram, address, slot)?
            };
            if content != Slot::Free {
                slots.push((slot, content));
            }
        }
        let written = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let retired = stamp.batch.is_retired();
        Ok(Picture { slots, written, one_instant, attempts, stamp, retired })
    }

    /// Whether the table has not changed since.
    pub(crate) fn is_current(&self, ram: &mut Ram, address: u64) -> bool {
        let is_steady = self.one_instant && self.stamp.sequence.is_multiple_of(2);
        let now = Stamp::read(ram, address);
        is_steady && now.is_ok_and(|now| now.is_of_same_instant(self.stamp))
    }
}

/// One slot, at an instant of its own.
fn slot_alone(ram: &mut Ram, address: u64, slot: u32) -> Result<Slot> {
    let at = address + layout::SLOTS as u64 + u64::from(slot) * layout::WORD_BYTES as u64;
    for _ in 0..SLOT_READS {
        let before = Stamp::read(ram, address)?;
        let mut word = [0];
        ram.read(at, &mut word)?;
        let word = SlotWord(word[0]);
        let after = Stamp::read(ram, address)?;
        if word.is_settled() || before.batch.generation() == after.batch.generation() {
            return Ok(word.decode(before.batch.bank()));
        }
    }
    // Batch after batch: what the slot holds cannot be told.
    Ok(Slot::Corrupt)
}

/// Many pictures of one table, for measurements: how many are wrong.
#[derive(Default, Serialize)]
pub(crate) struct Pictures {
    pictures: u64,
    seconds: f64,
    not_of_one_instant: u64,
    /// Those of one instant that have a badge in two slots: none, as no owner puts it there.
    with_a_badge_twice: u64,
    /// Changes of the table between the first and the last picture.
    writes: u64,
    generations: u64,
    most_attempts: u32,
}

impl Pictures {
    pub(crate) fn take(ram: &mut Ram, machine: &Machine, name: &str, count: u64) -> Result<Self> {
        let table = machine.table_called(name)?;
        let mut pictures = Pictures { pictures: count, ..Pictures::default() };
        let first = table.picture.stamp;
        let mut time = Duration::ZERO;
        let mut seen = HashSet::new();
        for _ in 0..count {
            let begin = Instant::now();
            let picture = Picture::take(ram, table.address, &table.header)?;
            time += begin.elapsed();
            ensure!(!picture.retired, "the table has moved");
            let mut used = picture.slots.iter().filter_map(|(_, content)| match content {
                Slot::Used(badge) => Some(*badge),
                _ => None,
            });
            seen.clear();
            let is_twice = used.any(|badge| !seen.insert(badge));
            pictures.not_of_one_instant += u64::from(!picture.one_instant);
            pictures.with_a_badge_twice += u64::from(picture.one_instant && is_twice);
            pictures.most_attempts = pictures.most_attempts.max(picture.attempts);
            let last = picture.stamp;
            pictures.writes = last.sequence.wrapping_sub(first.sequence) / 2;
            pictures.generations = last.batch.generation().wrapping_sub(first.batch.generation());
        }
        pictures.seconds = time.as_secs_f64();
        Ok(pictures)
    }

    pub(crate) fn json(&self) -> Result<String> {
        json(self)
    }

    pub(crate) fn text(&self) -> Result<String> {
        let Pictures { pictures, seconds, not_of_one_instant, with_a_badge_twice, .. } = self;
        let Pictures { writes, generations, most_attempts, .. } = self;
        Ok(format!(
            "{pictures} pictures in {seconds:.3} s, {writes} writes and {generations} batches meanwhile\n\
             {not_of_one_instant} not of one instant, {with_a_badge_twice} with a badge twice, \
             {most_attempts} attempts at most\n"
        ))
    }
}
